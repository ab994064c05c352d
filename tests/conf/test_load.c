/* test_load.c - configuration files: what they set, and every mistake with its line and column. */
#include "conf/conf.h"

#include <stdlib.h>
#include <unistd.h>

#include "conf/value.h"
#include "tests/test.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static struct conf_errors errors;
static struct conf c;

static int load(const char *text)
{
	int err;

	conf_errors_init(&errors);
	conf_free(&c);
	err = conf_default(&c);
	return err ? err : conf_load_text(&c, "f.yaml", text, strlen(text), &errors);
}

static void test_values(void)
{
	CHECK_MSG(load("# comment\n"
		       "host: web1\n"
		       "tags:\n  env: prod\n  rack: \"r 12\"\n"
		       "local: [10.0.0.0/8, 'fd00::/8']\n"
		       "interval: 10s\n"
		       "capture:\n"
		       "  interfaces:\n    - eth*\n    - !docker0\n    - !veth*\n    - '!eth9'\n"
		       "  exclude:\n    - port: 22\n    - {cidr: 10.9.0.0/16, port: [80, 443]}\n"
		       "    - process: backup\n"
		       "  ring_size: 8M\n  tunnels: inner\n"
		       "flows: {max_flows: 1000, udp_idle_timeout: 30s}\n"
		       "dns:\n  ports: 5300\n"
		       "http:\n"
		       "points:\n  dns:\n    domain: false\n  key_fields: tag\n"
		       "geoip:\n  databases:\n"
		       "processes: {cpu_share: 10%}\n"
		       "outputs:\n  - file:\n      path: /var/log/x, y.line\n") == 0,
		  "%s", errors.text);
	CHECK_STR(c.host, "web1");
	CHECK_INT(c.tags.n, 2);
	CHECK_STR(c.tags.v[1].value, "r 12");
	CHECK_INT(c.local.n, 2);
	CHECK_INT(c.interval_ns, 10000000000LL);
	CHECK_INT(c.capture.interfaces.n, 4);
	CHECK_STR(c.capture.interfaces.v[1], "!docker0");
	CHECK_STR(c.capture.interfaces.v[2], "!veth*");
	CHECK_STR(c.capture.interfaces.v[3], "!eth9");
	CHECK_INT(c.capture.exclude.n, 3);
	CHECK_INT(c.capture.exclude.v[1].port.n, 2);
	CHECK_STR(c.capture.exclude.v[2].process.v[0], "backup");
	CHECK_INT(c.capture.ring_bytes, 8 << 20);
	CHECK_INT(c.capture.tunnels, CONF_TUNNELS_INNER);
	CHECK_INT(c.flows.max_flows, 1000);
	CHECK_INT(c.dns.ports.v[0], 5300);
	CHECK(!c.points.dns_domain);
	CHECK_INT(c.points.key_fields, CONF_KEYS_TAG);
	CHECK_INT(c.processes.cpu_percent, 10);
	CHECK_INT(c.outputs.v[0].kind, CONF_OUTPUT_FILE);
	CHECK_STR(c.outputs.v[0].path, "/var/log/x, y.line");
}

static void test_forms(void)
{
	static const char *const right[] = {
	    "",
	    "\n\n# nothing\n",
	    "---\n",
	    "---\ninterval: 10s\n...\n",
	    "\xef\xbb\xbfinterval: 10s\n",
	    "interval: 10s\r\nhost: a\r\n",
	    "outputs: [stdout]",
	    "outputs: [stdout: ]",
	    "outputs: ['-']",
	    "outputs: file:/x",
	    "host: h\xc3\xa4st\n",
	    "{interval: 10s, dns: {ports: [53]}}",
	    "capture: {exclude: []}",
	    "tags: ~",
	    "tags: &t {a: b}\ndns: {timeout: &d 5s}\nhttp: {timeout: *d}\n",
	    "names: {enabled: off}",
	};
	size_t i;

	for (i = 0; i < COUNT(right); i++)
		CHECK_MSG(load(right[i]) == 0, "%s: %s", right[i], errors.text);
}

static const struct mistake {
	const char *text, *want; /* all that is said */
} mistakes[] = {
    {"flows:\n  idle_timout: 5m\n",
     "f.yaml:2:3: unknown key 'idle_timout' in 'flows' (did you mean "
     "'tcp_idle_timeout'?)\n"},
    {"flows:\n  tcp_idle_timeout: 5 min\n",
     "f.yaml:2:21: flows.tcp_idle_timeout: '5 min' is not a duration: want 1s to 24h, such "
     "as 5m\n"},
    {"intervall: 5s\n", "f.yaml:1:1: unknown key 'intervall' (did you mean 'interval'?)\n"},
    {"ring_size: 5M\n",
     "f.yaml:1:1: unknown key 'ring_size' (did you mean 'capture.ring_size'?)\n"},
    {"dns: {interval: 5s}\n",
     "f.yaml:1:7: unknown key 'interval' in 'dns' (did you mean the outermost "
     "'interval'?)\n"},
    {"dns.timeout: 5s\n", "f.yaml:1:1: unknown key 'dns.timeout': want one key for each "
			  "part, as in dns: {timeout: "
			  "...}\n"},
    {"qqqqqqqqq: 1\n",
     "f.yaml:1:1: unknown key 'qqqqqqqqq': 'flowline --print-default-config' lists them\n"},
    {"points:\n  dns:\n    domian: no\n",
     "f.yaml:3:5: unknown key 'domian' in 'points.dns' (did you mean 'domain'?)\n"},
    {"interval: 5s\nhost: a\ninterval: 6s\n",
     "f.yaml:3:1: 'interval' is given twice (first in line 1): leave one out\n"},
    {"tags: {a: 1, a: 2}\n", "f.yaml:1:14: tags: 'a' is given twice: leave one out\n"},
    {"tags: {a: }\n", "f.yaml:1:11: tags: 'a' is not a tag: want KEY: VALUE, such as env: prod\n"},
    {"tags: [a, b]\n",
     "f.yaml:1:7: tags: a list will not do: want a map, such as {env: prod, rack: r12}\n"},
    {"interval:\n", "f.yaml:1:10: interval: has no value: want such as 10s\n"},
    {"interval: [5s]\n",
     "f.yaml:1:11: interval: a list will not do: want a single value, such as 10s\n"},
    {"flows: 5\n",
     "f.yaml:1:8: flows: a single value will not do: want settings, each in a line KEY: "
     "VALUE\n"},
    {"- a\n", "f.yaml:1:1: a list will not do: want settings, each in a line KEY: VALUE\n"},
    {"[a]: b\n", "f.yaml:1:1: a list cannot be a key\n"},
    {"capture:\n\tmode: auto\n", "f.yaml:2:1: a tab: YAML wants blanks here\n"},
    {"host: \"a\\0b\"\n", "f.yaml:1:7: a text with a 0 byte\n"},
    {"host: a\n---\nhost: b\n",
     "f.yaml:2:1: a second document: one file holds one configuration\n"},
    {"host: \xff\n", "f.yaml:1:7: not a text in UTF-8: invalid leading UTF-8 octet\n"},
    {"local: [*x]\n", "f.yaml:1:9: what begins with * is an alias, and there is no anchor (&) "
		      "of this name before it: put a text into quotes\n"},
    {"capture: {interfaces: [*]}\n", "f.yaml:1:25: not YAML: quote what begins with *\n"},
    {"tags: &a {b: *a}\n",
     "f.yaml:1:14: what begins with * is an alias, and there is no anchor (&) of this name before "
     "it: put a text into quotes\n"},
    {"a: [[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]\n", "f.yaml:1:19: nested too deeply\n"},
    {"dns: {ports: [53, 0, x]}\n",
     "f.yaml:1:19: dns.ports: '0' is not a port: want 1 to 65535, such as [53, 5300]\n"
     "f.yaml:1:22: dns.ports: 'x' is not a port: want 1 to 65535, such as [53, 5300]\n"},
    {"dns: {ports: []}\n",
     "f.yaml:1:14: dns.ports: is empty: want at least one, such as [53, 5300]\n"},
    {"outputs: [file]\n",
     "f.yaml:1:11: outputs[1]: unknown output 'file' (did you mean 'file:file'?)\n"},
    {"outputs:\n  - file:\n      pat: x\n",
     "f.yaml:3:7: unknown key 'pat' in 'outputs[1].file' (did you mean 'path'?)\n"},
    {"outputs:\n  - file: {}\n", "f.yaml:2:5: outputs[1]: file: 'path' is missing: want such as "
				 "/var/log/flowline.line\n"},
    {"sending:\n  retry_min: 2m\n",
     "f.yaml:2:14: sending.retry_min: sending.retry_min (2m) is more than sending.retry_max "
     "(60s)\n"},
    {"sending:\n  retry_max: 500ms\n",
     "f.yaml:2:14: sending.retry_max: sending.retry_min (1s) is more than sending.retry_max "
     "(500ms)\n"},
    {"outputs:\n  - stdout\n  - udp:\n      address: h:1\n      batch_size: 20M\nsending:\n  "
     "queue_size: 16M\n",
     "f.yaml:5:19: outputs[2].udp.batch_size: batch_size (20M) is more than sending.queue_size "
     "(16M): a batch must fit in the queue\n"},
    {"capture:\n  exclude:\n    - {port: 22}\n    - {}\n",
     "f.yaml:4:7: capture.exclude[2]: a rule wants cidr, port or process, such as {port: "
     "22}\n"},
};

static void test_mistakes(void)
{
	const struct mistake *cases = mistakes;
	size_t i;

	for (i = 0; i < COUNT(mistakes); i++) {
		CHECK_MSG(load(cases[i].text) == FL_EUSAGE, "%s", cases[i].text);
		CHECK_MSG(!strcmp(errors.text, cases[i].want), "got    %s    wanted %s",
			  errors.text, cases[i].want);
	}
}

/* What libyaml says differs between its versions: the place counts. */
static void test_not_yaml(void)
{
	static const struct {
		const char *text, *want;
	} cases[] = {
	    {"a: b: c\n", "f.yaml:1:5: not YAML: "},
	    {"a: [1, 2\n", "f.yaml:2:1: not YAML: "},
	    {"a: 'x\n", "not YAML: "},
	    {"host: a\n dns: b\n", "f.yaml:2:5: not YAML: "},
	    {"host: \"\\q\"\n", "not YAML: "},
	    {"%YAML 9.9\n---\n", "not YAML: "},
	    {"host: a\x01\n", "not a text in UTF-8: "},
	};
	size_t i;

	for (i = 0; i < COUNT(cases); i++) {
		CHECK_MSG(load(cases[i].text) == FL_EUSAGE, "%s", cases[i].text);
		CHECK_MSG(strstr(errors.text, cases[i].want), "%s: got %s", cases[i].text,
			  errors.text);
		CHECK_INT(errors.n, 1);
	}
}

/* All mistakes at once, in the file's order; and nothing of such a file counts. */
static void test_all_at_once(void)
{
	CHECK_INT(
	    load("interval: 5s\nhost: a\nflows: {max_flows: 1}\nhots: b\nlocal: [x, 10.0.0.1]\n"),
	    FL_EUSAGE);
	CHECK_INT(errors.n, 3);
	CHECK(strstr(errors.text, "f.yaml:3:20: ") < strstr(errors.text, "f.yaml:4:1: "));
	CHECK(strstr(errors.text, "f.yaml:4:1: ") < strstr(errors.text, "f.yaml:5:9: "));
	CHECK_INT(c.interval_ns, 60000000000LL);
	CHECK_STR(c.host, "");
	CHECK_INT(c.local.n, 0);
}

/* Small files that a careless reader would make big or slow. */
static void test_bounds(void)
{
	size_t size = CONF_FILE_MOST - 64, i, len;
	char *text = malloc(size + 64);

	if (!CHECK(text != NULL))
		return;
	memset(text, '[', size);
	text[size] = '\0';
	CHECK_INT(load(text), FL_EUSAGE);
	CHECK(strstr(errors.text, "nested too deeply"));
	len = (size_t)snprintf(text, 64, "dns: {ports: [");
	for (i = len; i + 2 < size; i += 2)
		memcpy(text + i, "1,", 2);
	text[i] = '\0';
	CHECK_INT(load(text), FL_EUSAGE);
	CHECK(strstr(errors.text, "too many values"));
	/* ten aliases of ten aliases of ...: shared, not unfolded */
	CHECK_INT(load("tags: &a [x,x,x,x,x,x,x,x,x]\nlocal: &b [*a,*a,*a,*a,*a,*a,*a,*a]\n"
		       "outputs: &c [*b,*b,*b,*b,*b,*b,*b]\ndns: &d [*c,*c,*c,*c,*c,*c]\n"
		       "http: [*d,*d,*d,*d,*d]\n"),
		  FL_EUSAGE);
	CHECK(errors.n < 40);
	len = (size_t)snprintf(text, 64, "local: [");
	for (i = 0; i < 5000; i++)
		len += (size_t)snprintf(text + len, 64, "10.%zu.%zu.1,", i / 256, i % 256);
	snprintf(text + len, 64, "]\n");
	CHECK_INT(load(text), FL_EUSAGE);
	CHECK_STR(strrchr(errors.text, ':'), ": join some\n");
	CHECK_INT(errors.n, 1);
	free(text);
}

static char *temporary(const char *text, size_t len)
{
	static char path[32];
	int fd;

	snprintf(path, sizeof(path), "/tmp/test_load.XXXXXX");
	fd = mkstemp(path);
	if (fd < 0 || write(fd, text, len) != (ssize_t)len)
		path[0] = '\0';
	if (fd >= 0)
		close(fd);
	return path;
}

static void test_files(void)
{
	char *big = calloc(1, CONF_FILE_MOST + 1), *path;

	if (!CHECK(big != NULL))
		return;
	conf_errors_init(&errors);
	conf_free(&c);
	CHECK_INT(conf_default(&c), 0);
	memset(big, '\n', CONF_FILE_MOST + 1);
	path = temporary(big, CONF_FILE_MOST + 1);
	CHECK_INT(conf_load_file(&c, path, &errors), FL_EUSAGE);
	CHECK(strstr(errors.text, "is larger than 1 MiB"));
	unlink(path);
	path = temporary(big, CONF_FILE_MOST);
	conf_errors_init(&errors);
	CHECK_INT(conf_load_file(&c, path, &errors), 0);
	unlink(path);
	CHECK_INT(conf_load_file(&c, path, &errors), FL_EUSAGE);
	CHECK(strstr(errors.text, "cannot be read: No such file"));
	CHECK_INT(conf_load_file(&c, "/", &errors), FL_EUSAGE);
	CHECK(strstr(errors.text, "/: cannot be read: Is a directory"));
	free(big);
}

/* A schema of its own: how long a secret may be. */
struct secret_holder {
	char *token;
};

static const struct conf_setting secret_settings[] = {
    {"token", CONF_STRING, CONF_SECRET, offsetof(struct secret_holder, token), 1, 20, 0, "", "xyz",
     NULL, "A secret."},
};

static void test_secrets(void)
{
	static const struct conf_group group = {secret_settings, 1};
	struct secret_holder holder = {NULL};
	char text[128], shown[64] = "";
	char *path = temporary("s3cret\r\n", 8);
	FILE *f;

	conf_errors_init(&errors);
	snprintf(text, sizeof(text), "token_file: %s\n", path);
	CHECK_INT(conf_load_group(&group, &holder, "f.yaml", text, strlen(text), &errors), 0);
	CHECK_STR(holder.token ? holder.token : "(none)", "s3cret");
	f = fmemopen(shown, sizeof(shown), "w");
	conf_value_print(f, &secret_settings[0], &holder.token, false);
	fclose(f);
	CHECK_STR(shown, "'***'");
	unlink(path);
	CHECK_INT(conf_load_group(&group, &holder, "f.yaml", text, strlen(text), &errors),
		  FL_EUSAGE);
	CHECK(strstr(errors.text, "f.yaml:1:13: token_file: /tmp/"));
	CHECK(strstr(errors.text, "cannot be read: No such file"));
	path = temporary("", 0);
	snprintf(text, sizeof(text), "token_file: %s\n", path);
	CHECK_INT(conf_load_group(&group, &holder, "f.yaml", text, strlen(text), &errors),
		  FL_EUSAGE);
	CHECK(strstr(errors.text, "is empty"));
	unlink(path);
	conf_errors_init(&errors);
	CHECK_INT(conf_load_group(&group, &holder, "f.yaml", "token: \"hid\\tden\"", 16, &errors),
		  FL_EUSAGE);
	CHECK(!strstr(errors.text, "hid")); /* a message never has it */
	CHECK_STR(holder.token, "s3cret");
	conf_group_free(&group, &holder);
	conf_free(&c);
}

TEST_MAIN({"values", test_values}, {"forms", test_forms}, {"mistakes", test_mistakes},
	  {"not YAML", test_not_yaml}, {"all at once", test_all_at_once}, {"bounds", test_bounds},
	  {"files", test_files}, {"secrets", test_secrets})
