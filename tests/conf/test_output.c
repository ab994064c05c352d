/* test_output.c - outputs: every kind's settings and defaults, names, what does not go together,
 * and that nothing secret is shown.
 */
#include <stdlib.h>
#include <unistd.h>

#include "conf/value.h"
#include "tests/test.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define H        "http: {url: 'http://h:8086'"
#define S        "http: {url: 'https://h:8086'"

static struct conf_errors errors;
static struct conf c;

/* "outputs: [{...}]" */
static int load(const char *output)
{
	char text[8192];
	int len = snprintf(text, sizeof(text), "outputs:\n  - %s\n", output);

	conf_errors_init(&errors);
	conf_free(&c);
	if (conf_default(&c))
		return -1;
	return conf_load_text(&c, "f", text, (size_t)len, &errors);
}

static void test_defaults(void)
{
	const struct conf_output *o;
	enum conf_output_kind kind;

	for (kind = CONF_OUTPUT_STDOUT; conf_output_kinds[kind]; kind++) {
		struct conf_output init;

		CHECK_INT(conf_output_init(&init, kind), 0);
		CHECK_INT(init.kind, kind);
		CHECK_STR(init.name, "");
		CHECK_INT(init.batch_points, 5000);
		CHECK_INT(init.batch_bytes, 1 << 20);
		CHECK_INT(init.batch_age_ns, 1000000000LL);
		conf_group_free(&conf_output_groups[kind], &init);
	}
	CHECK_INT(load("file: {path: /x}"), 0);
	o = c.outputs.v;
	CHECK(o->rotate_bytes == 0 && o->rotate_age_ns == 0 && o->keep == 7 && o->compress);
	CHECK(!o->spool && !o->url);
	CHECK_INT(load(H "}"), 0);
	o = c.outputs.v;
	CHECK(!*o->database && !*o->password && !*o->token && !*o->proxy && !*o->key_file);
	CHECK(!o->headers.n && !o->insecure && o->gzip && o->spool && !o->path && !o->address);
	CHECK_INT(o->timeout_ns, 10000000000LL);
	CHECK_INT(load("unix: {path: /x}"), 0);
	o = c.outputs.v;
	CHECK(o->type == CONF_UNIX_STREAM && o->spool && o->timeout_ns == 10000000000ULL);
	CHECK_INT(o->datagram_bytes, 8192);
	CHECK_INT(load("unix: {path: '@x', type: datagram}"), 0);
	CHECK(!c.outputs.v[0].spool);
	CHECK_INT(load("udp: {address: 'h:1'}"), 0);
	CHECK_INT(c.outputs.v[0].datagram_bytes, 1400);
	CHECK(!c.outputs.v[0].spool);
}

/* Every setting of every kind: its example is right, and what is printed reads back the same. */
static void test_every_setting(void)
{
	const struct conf_setting *outputs = conf_setting_find(&conf_schema, "outputs");
	struct conf_how how = {false, true};
	struct conf_place place = {&errors, NULL, 0, 0, NULL};
	char text[4096];
	size_t kind, i;

	for (kind = 0; conf_output_kinds[kind]; kind++) {
		const struct conf_group *g = &conf_output_groups[kind];
		struct conf_list l;
		struct conf_output o;

		for (i = 0; i < g->n; i++) {
			const struct conf_setting *s = &g->settings[i];
			FILE *f = fmemopen(text, sizeof(text), "w");

			conf_errors_init(&errors);
			CHECK_MSG(strlen(s->doc) && s->doc[strlen(s->doc) - 1] == '.', "%s",
				  s->path);
			CHECK_INT(conf_output_init(&o, (enum conf_output_kind)kind), 0);
			if (g->settings[0].flags & CONF_SOME)
				CHECK_INT(conf_value_set(&g->settings[0],
							 conf_at(&g->settings[0], &o),
							 g->settings[0].example, how, &place),
					  0);
			how.one = !(s->flags & CONF_LIST);
			CHECK_MSG(!conf_value_set(s, conf_at(s, &o), s->example, how, &place),
				  "%s: %s", s->path, errors.text);
			how.one = true;
			if (o.type == CONF_UNIX_DATAGRAM)
				o.spool = false;
			l.v = &o;
			l.n = 1;
			fputs("outputs: ", f);
			conf_value_print(f, outputs, &l, true);
			fclose(f);
			conf_free(&c);
			CHECK_INT(conf_default(&c), 0);
			/* rules between settings are another test's */
			if (conf_load_text(&c, "f", text, strlen(text), &errors)) {
				CHECK_MSG(strstr(errors.text, "without") ||
					      strstr(errors.text, "is for https"),
					  "%s: %s", text, errors.text);
			} else {
				char again[4096];

				f = fmemopen(again, sizeof(again), "w");
				fputs("outputs: ", f);
				conf_value_print(f, outputs, &c.outputs, true);
				fclose(f);
				CHECK_STR(again, text);
			}
			conf_group_free(g, &o);
		}
	}
}

static const struct mistake_case {
	const char *output, *want; /* all that is said; NULL: it is right */
} mistakes[] = {
    {"stdout: {name: x}", NULL},
    {"stdout:", NULL},
    {H ", token: t, user: u}", "f:2:34: outputs[1]: token and user or password do not go "
			       "together: InfluxDB 2 and 3 want token, InfluxDB 1 wants "
			       "user and password\n"},
    {H ", password: p}", "f:2:34: outputs[1]: password without user: give both\n"},
    {H ", user: u}", NULL},
    {H ", user: u, password: p, database: d, retention_policy: r}", NULL},
    {H ", org: o}", "f:2:34: outputs[1]: org without bucket: InfluxDB 2 wants both, InfluxDB "
		    "1 wants database\n"},
    {H ", org: o, bucket: b, token: t}", NULL},
    {H ", bucket: b}", NULL},
    {H ", retention_policy: r}",
     "f:2:34: outputs[1]: retention_policy without database: give both\n"},
    {H ", database: d, bucket: b}", "f:2:47: outputs[1]: bucket and database do not go "
				    "together: InfluxDB 1 wants database, "
				    "InfluxDB 2 and 3 want bucket\n"},
    {"http: {url: 'http://h/write?db=x', database: y}",
     "f:2:40: outputs[1]: database is in the url too (db=): leave out one\n"},
    {S ", cert_file: /c}", "f:2:35: outputs[1]: cert_file without key_file: give both\n"},
    {S ", key_file: /c}", "f:2:35: outputs[1]: key_file without cert_file: give both\n"},
    {S ", key_file: /c, cert_file: /d, ca_file: /e}", NULL},
    {S ", insecure: true, ca_file: /e}",
     "f:2:51: outputs[1]: ca_file and insecure do not go together: insecure takes any "
     "certificate; leave one out\n"},
    {S ", insecure: true}", NULL},
    {H ", insecure: true}",
     "f:2:34: outputs[1]: insecure is for https://, and url is http://: leave it out\n"},
    {"http: {url: 'http://me:pw@h'}",
     "f:2:17: outputs[1].http.url: 'http://***@h' has a user or password in it, which "
     "would "
     "be seen in many places: use user and password (or password_file) of {http: {...}}\n"},
    {"http: {database: x}",
     "f:2:5: outputs[1]: http: 'url' is missing: want such as http://127.0.0.1:8086\n"},
    {"http: {url: ''}", "f:2:17: outputs[1].http.url: want a text of 1 to 4095 bytes, such as "
			"http://127.0.0.1:8086\n"},
    {H ", tokn: x}", "f:2:34: unknown key 'tokn' in 'outputs[1].http' (did you mean 'token'?)\n"},
    {H ", token: x, token_file: /etc/hostname}",
     "f:2:44: outputs[1]: token and token_file are both given: leave one out\n"},
    {H ", headers: ['A b: c']}", "f:2:44: outputs[1].http.headers: 'A b: ***' has a name with "
				 "blanks or other characters that a header's name cannot have\n"},
    {H ", headers: [abc]}",
     "f:2:44: outputs[1].http.headers: '(a header)' is not a header: want 'NAME: VALUE', "
     "such as 'X-Scope-OrgID: fleet'\n"},
    {H ", headers: [\"A: b\\nC: d\"]}", "f:2:44: outputs[1].http.headers: 'A: ***' has a "
					"control character, or is not UTF-8\n"},
    {H ", headers: ['content-length: 5']}",
     "f:2:44: outputs[1].http.headers: 'content-length: ***' is a header that flowline "
     "itself "
     "sets: leave it out\n"},
    {"file: {path: /x, spool: true}", "f:2:22: outputs[1]: spool is not for file, only for "
				      "http and for unix streams: nothing "
				      "tells later what arrived; leave it out\n"},
    {"unix: {path: /x, type: datagram, spool: true}",
     "f:2:38: outputs[1]: spool is for type: stream: nobody tells whether a datagram was "
     "taken "
     "in; leave it out\n"},
    {"unix: {path: /x, type: datagram, spool: false}", NULL},
    {"udp: {address: h}", "f:2:20: outputs[1].udp.address: 'h' is not an address: want "
			  "HOST:PORT, such as telegraf.example.org:8094\n"},
    {"file: {path: /x, name: 'a/b'}", "f:2:28: outputs[1].file.name: 'a/b' will not do as "
				      "a name: want letters, digits, '.', "
				      "'-', '_' and ':' only\n"},
    {"file: {path: /x, name: ..}", "f:2:28: outputs[1].file.name: '..' will not do as a name: "
				   "it begins with a letter or digit, and has no '..'\n"},
    {"influxdb: {url: x}", "f:2:5: outputs[1]: unknown output 'influxdb': want stdout, "
			   "file, http (InfluxDB and all "
			   "that speak its protocol), unix or udp\n"},
    {"{file: {path: x}, http: {url: y}}",
     "f:2:5: outputs[1]: want stdout, or one kind and its settings, such as {file: {path: "
     "PATH}} or {http: {url: URL}}\n"},
    {"file: {path: /x}\n  - file: {path: /x, keep: 1}",
     "f:3:5: outputs: two outputs are called 'file:/x': give one a name of its own, as in "
     "{file: {name: second, ...}}\n"},
    {"file: {path: /x}\n  - file: {path: /x, keep: 1, name: y}", NULL},
};

static void test_mistakes(void)
{
	const struct mistake_case *cases = mistakes;
	size_t i;

	for (i = 0; i < COUNT(mistakes); i++) {
		int err = load(cases[i].output);

		CHECK_MSG((err == 0) == !cases[i].want &&
			      !strcmp(errors.text, cases[i].want ? cases[i].want : ""),
			  "%s\n    got    %s    wanted %s", cases[i].output, errors.text,
			  cases[i].want ? cases[i].want : "(nothing)\n");
	}
}

static void test_names(void)
{
	static const struct {
		const char *output, *name, *dir;
	} cases[] = {
	    {"stdout", "stdout", "stdout"},
	    {"stdout: {name: x}", "x", "x"},
	    {"http://H:8086", "http:h:8086", "http:h:8086"},
	    {"http://h/", "http:h:80", "http:h:80"},
	    {"https://h?p=x", "http:h:443", "http:h:443"},
	    {"http://h:1/Write?db=x", "http:h:1/Write", "http:h:1_Write~"},
	    {"http: {url: 'http://h:1', database: d-1}", "http:h:1#d-1", "http:h:1_d-1~"},
	    {"http: {url: 'http://h:1', bucket: b, org: o}", "http:h:1#b", "http:h:1_b~"},
	    {"http: {url: 'http://[::1]:1', name: 'v6:1'}", "v6:1", "v6:1"},
	    {"unix:/run/x", "unix:/run/x", "unix:_run_x~"},
	    {"udp:h:1", "udp:h:1", "udp:h:1"},
	    {"file:/a~b\xc3\xa4", "file:/a~b\xc3\xa4", "file:_a_b__~"},
	};
	char name[2][CONF_OUTPUT_NAME_SIZE], dir[CONF_OUTPUT_NAME_SIZE], text[512];
	size_t i;

	for (i = 0; i < COUNT(cases); i++) {
		size_t len = strlen(cases[i].dir);

		CHECK_MSG(load(cases[i].output) == 0, "%s", errors.text);
		conf_output_name(c.outputs.v, name[0], sizeof(name[0]));
		CHECK_STR(name[0], cases[i].name);
		conf_output_dir_name(c.outputs.v, dir, sizeof(dir));
		CHECK_MSG(!strncmp(dir, cases[i].dir, len), "%s", dir);
		CHECK_INT(strlen(dir), cases[i].dir[len - 1] == '~' ? len + 8 : len);
	}
	/* cut: still apart, and never inside a character */
	for (i = 0; i < 2; i++) {
		snprintf(text, sizeof(text), "file:/%0300zu\xc3\xa4", i);
		CHECK_INT(load(text), 0);
		conf_output_name(c.outputs.v, name[i], sizeof(name[i]));
		CHECK_INT(strlen(name[i]), sizeof(name[i]) - 1);
		conf_output_dir_name(c.outputs.v, dir, 32);
		CHECK_INT(strlen(dir), 31);
	}
	CHECK(strcmp(name[0], name[1]));
}

static void test_headers(void)
{
	CHECK_MSG(
	    load("http:\n      url: http://h\n      headers:\n        - 'A: b'\n        - C: d\n"
		 "        - E:\n") == 0,
	    "%s", errors.text);
	if (CHECK(c.outputs.v[0].headers.n == 3)) {
		CHECK_STR(c.outputs.v[0].headers.v[0], "A: b");
		CHECK_STR(c.outputs.v[0].headers.v[1], "C: d");
		CHECK_STR(c.outputs.v[0].headers.v[2], "E: ");
	}
	CHECK_MSG(load(H ", headers: {A: b, C: d}}") == 0, "%s", errors.text);
	CHECK_INT(c.outputs.v[0].headers.n, 2);
	CHECK_INT(load(H ", headers: {A: [b]}}"), FL_EUSAGE);
	CHECK_INT(load(H ", headers: [[b]]}"), FL_EUSAGE);
}

static void never_shown(void *ctx, const struct conf_setting *s, const char *before,
			const char *now)
{
	*(int *)ctx += 1;
	CHECK_MSG(!strstr(before, "s3cret") && !strstr(now, "s3cret"), "%s: %s, %s", s->path,
		  before, now);
}

static void test_secrets(void)
{
	char path[] = "/tmp/test_output.XXXXXX", text[256];
	struct conf initial;
	int fd = mkstemp(path), n = 0;

	CHECK_INT(write(fd, "s3cret\n", 7), 7);
	close(fd);
	snprintf(text, sizeof(text), H ", user: me, password_file: %s}", path);
	CHECK_MSG(load(text) == 0, "%s", errors.text);
	CHECK_STR(c.outputs.v[0].password, "s3cret");
	unlink(path);
	CHECK_INT(load("http: {url: 'http://h/?p=s3cret', token: s3cret, headers: ['A: s3cret'], "
		       "proxy: 'me:s3cret@p:1'}"),
		  0);
	CHECK_INT(conf_default(&initial), 0);
	CHECK_INT(conf_diff(&initial, &c, never_shown, &n), 1);
	CHECK_INT(conf_diff(&c, &initial, never_shown, &n), 1);
	CHECK_INT(n, 2);
	CHECK_INT(load(text), FL_EUSAGE); /* the file is gone */
	CHECK(strstr(errors.text, "cannot be read: No such file"));
	conf_free(&initial);
	/* another password is a change, though both look alike */
	CHECK_INT(load(H ", user: a, password: s3cret}"), 0);
	CHECK_INT(conf_copy(&initial, &c), 0);
	CHECK_INT(load(H ", user: a, password: s3cret2}"), 0);
	CHECK_INT(conf_diff(&initial, &c, never_shown, &n), 1);
	conf_free(&initial);
}

/* As they stand in the manual. */
static void test_examples(void)
{
	const struct conf_example *e;
	char text[1024], *file;

	for (e = conf_output_examples; e->title; e++) {
		snprintf(text, sizeof(text), "%s", e->text);
		while ((file = strstr(text, "password_file: /")) != NULL)
			memcpy(file, "password: xxxxxx", 16);
		while ((file = strstr(text, "token_file: /")) != NULL)
			memcpy(file, "token: xxxxxx", 13);
		conf_errors_init(&errors);
		conf_free(&c);
		CHECK_INT(conf_default(&c), 0);
		CHECK_MSG(conf_load_text(&c, e->title, text, strlen(text), &errors) == 0, "%s",
			  errors.text);
		CHECK(c.outputs.n >= 1);
	}
	conf_free(&c);
}

TEST_MAIN({"defaults", test_defaults}, {"every setting", test_every_setting},
	  {"mistakes", test_mistakes}, {"names", test_names}, {"headers", test_headers},
	  {"secrets", test_secrets}, {"examples", test_examples})
