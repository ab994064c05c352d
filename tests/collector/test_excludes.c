/* test_excludes.c - capture.exclude as rules of the filter, of the engine, and by process. */
#include "collector/excludes.h"

#include "tests/test.h"

static void key_of(struct flow_key *k, uint16_t port)
{
	struct ip_addr a;
	int end;

	for (end = 0; end < 2; end++) {
		CHECK_INT(addr_parse(&a, end ? "10.9.0.2" : "10.9.0.1"), 0);
		memcpy(&k->w[2 * end], a.b, sizeof(a.b));
	}
	k->w[4] = 40000 | (uint64_t)port << 16 | (uint64_t)PROTO_TCP << 32;
}

static struct conf conf;

static bool fits(const struct flow_key *k, const char *process)
{
	struct text t = {process, (uint32_t)strlen(process)};

	return excludes_process(&conf.capture.exclude, k, t);
}

static void test_rules(void)
{
	struct conf_errors errors;
	struct excludes x;
	struct flow_key k;

	conf_errors_init(&errors);
	CHECK_INT(conf_default(&conf), 0);
	CHECK_INT(
	    conf_set(&conf,
		     "capture.exclude=[{port: 22}, {process: backup}, {cidr: 10.9.0.0/16, port: "
		     "[80, 443]}, {process: [a, b], port: 7}]",
		     &errors),
	    0);
	CHECK_INT(excludes_init(&x, &conf.capture.exclude), 0);
	CHECK_INT(x.n, 2);
	CHECK_INT(x.flows.n, 2);
	CHECK(x.has_process);
	CHECK_INT(x.filter[0].nports, 1);
	CHECK_INT(x.filter[0].ports[0], 22);
	CHECK_INT(x.filter[1].nnets, 1);
	CHECK_INT(x.filter[1].nports, 2);
	key_of(&k, 443);
	CHECK(exclude_match(&x.flows, &k));
	key_of(&k, 7);
	CHECK(!exclude_match(&x.flows, &k));
	CHECK(fits(&k, "backup"));
	CHECK(fits(&k, "b"));
	CHECK(!fits(&k, "c"));
	key_of(&k, 8);
	CHECK(!fits(&k, "b"));
	CHECK(fits(&k, "backup"));
	excludes_free(&x);
	CHECK_INT(conf_set(&conf, "capture.exclude=[]", &errors), 0);
	CHECK_INT(excludes_init(&x, &conf.capture.exclude), 0);
	CHECK(!x.n && !fits(&k, "a"));
	excludes_free(&x);
	conf_free(&conf);
}

TEST_MAIN({"rules", test_rules})
