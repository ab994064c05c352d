/* test_value.c - durations, sizes and the other single values, and how they are written. */
#include "conf/value.h"

#include "tests/test.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static void test_durations(void)
{
	static const struct {
		const char *text;
		uint64_t ns;
		const char *again; /* NULL: no duration */
	} cases[] = {
	    {"500ms", 500000000ULL, "500ms"},
	    {"1500ms", 1500000000ULL, "1500ms"},
	    {"10s", 10000000000ULL, "10s"},
	    {"60s", 60000000000ULL, "60s"},
	    {"5m", 300000000000ULL, "5m"},
	    {"300s", 300000000000ULL, "5m"},
	    {"1h", 3600000000000ULL, "1h"},
	    {"24h", 86400000000000ULL, "24h"},
	    {"7d", 604800000000000ULL, "7d"},
	    {"0s", 0, "0s"},
	    {"0ms", 0, "0s"},
	    {"5", 0, NULL},
	    {"", 0, NULL},
	    {"s", 0, NULL},
	    {"5 m", 0, NULL},
	    {"5M", 0, NULL},
	    {"-5s", 0, NULL},
	    {"1.5s", 0, NULL},
	    {"1e3s", 0, NULL},
	    {"18446744073709551615d", 0, NULL},
	    {"99999999999999999999s", 0, NULL},
	};
	char text[CONF_UNIT_SIZE];
	uint64_t ns;
	size_t i;

	for (i = 0; i < COUNT(cases); i++) {
		bool ok = conf_parse_duration(cases[i].text, &ns);

		CHECK_MSG(ok == (cases[i].again != NULL), "%s", cases[i].text);
		if (!ok || !cases[i].again)
			continue;
		CHECK_INT(ns, cases[i].ns);
		conf_format_duration(ns, text);
		CHECK_STR(text, cases[i].again);
	}
}

static void test_sizes(void)
{
	static const struct {
		const char *text;
		uint64_t bytes;
		const char *again;
	} cases[] = {
	    {"100", 100, "100"},
	    {"512k", 512 << 10, "512k"},
	    {"512K", 512 << 10, "512k"},
	    {"4M", 4 << 20, "4M"},
	    {"1G", 1 << 30, "1G"},
	    {"1536k", 1536 << 10, "1536k"},
	    {"1T", 1ULL << 40, "1T"},
	    {"0", 0, "0"},
	    {"4194304", 4 << 20, "4M"},
	    {"4MB", 0, NULL},
	    {"4m", 0, NULL},
	    {"k", 0, NULL},
	    {"17179869184G", 0, NULL},
	};
	char text[CONF_UNIT_SIZE];
	uint64_t bytes;
	size_t i;

	for (i = 0; i < COUNT(cases); i++) {
		bool ok = conf_parse_size(cases[i].text, &bytes);

		CHECK_MSG(ok == (cases[i].again != NULL), "%s", cases[i].text);
		if (!ok || !cases[i].again)
			continue;
		CHECK_INT(bytes, cases[i].bytes);
		conf_format_size(bytes, text);
		CHECK_STR(text, cases[i].again);
	}
}

/* Every setting: its default and its example are right, and what is printed reads back the same. */
static void test_round_trip(void)
{
	struct conf_how how = {false, false};
	struct conf_errors errors;
	struct conf_place place = {&errors, NULL, 0, 0, NULL};
	char text[2][512];
	struct conf c;
	size_t i, round;

	CHECK_INT(conf_default(&c), 0);
	for (i = 0; i < conf_schema.n; i++) {
		const struct conf_setting *s = &conf_schema.settings[i];
		void *at = conf_at(s, &c);
		const char *value = s->example;

		for (round = 0; round < 2; round++) {
			FILE *f = fmemopen(text[round], sizeof(text[round]), "w");

			conf_errors_init(&errors);
			CHECK_MSG(conf_value_set(s, at, value, how, &place) == 0, "%s: %s", s->path,
				  errors.text);
			conf_value_print(f, s, at, true);
			fclose(f);
			value = text[round];
			/* a text is written with YAML's quotes, which --set does not have */
			if (s->type == CONF_STRING && !(s->flags & CONF_LIST))
				value = s->example;
		}
		CHECK_MSG(!strcmp(text[0], text[1]), "%s: %s, %s", s->path, text[0], text[1]);
		CHECK_MSG(s->doc[strlen(s->doc) - 1] == '.', "%s", s->path);
	}
	conf_free(&c);
}

/* What conf_diff tells, and conf_copy's independence of the original. */
static void count_restarts(void *ctx, const struct conf_setting *s, const char *before,
			   const char *now)
{
	int *n = ctx;

	n[0]++;
	n[1] += conf_setting_restarts(s);
	CHECK(strcmp(before, now));
	if (!strcmp(s->path, "tags"))
		CHECK_STR(now, "{env: prod, rack: 'r 1'}");
}

static void test_diff(void)
{
	static struct conf_errors errors;
	struct conf a, b;
	int n[2] = {0, 0};

	conf_errors_init(&errors);
	CHECK_INT(conf_default(&a), 0);
	CHECK_INT(conf_copy(&b, &a), 0);
	CHECK_INT(conf_diff(&a, &b, count_restarts, n), 0);
	CHECK_INT(conf_set(&b, "tags=env=prod,rack=r 1", &errors), 0);
	CHECK_INT(conf_set(&b, "flows.max_flows=1000", &errors), 0);
	CHECK_INT(conf_set(&b, "capture.exclude=[{port: 22, cidr: [10.0.0.0/8, '::/0']}]", &errors),
		  0);
	CHECK_INT(conf_set(&b, "outputs=file:/x", &errors), 0);
	CHECK_INT(conf_diff(&a, &b, count_restarts, n), 4);
	CHECK_INT(n[0], 4);
	CHECK_INT(n[1], 1);
	conf_free(&a);
	CHECK_INT(conf_copy(&a, &b), 0);
	conf_free(&b);
	CHECK_STR(a.tags.v[1].value, "r 1");
	CHECK_INT(a.capture.exclude.v[0].cidr.n, 2);
	CHECK_INT(a.capture.exclude.v[0].port.v[0], 22);
	CHECK_STR(a.outputs.v[0].path, "/x");
	conf_free(&a);
	conf_free(&a);
}

TEST_MAIN({"durations", test_durations}, {"sizes", test_sizes}, {"round trip", test_round_trip},
	  {"differences and copies", test_diff})
