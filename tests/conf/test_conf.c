/* test_conf.c - defaults, --set, the environment, and which interfaces patterns mean. */
#include "conf/conf.h"

#include <stdlib.h>
#include <unistd.h>

#include "conf/schema.h"
#include "tests/test.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static struct conf_errors errors;

static void test_defaults(void)
{
	struct conf c;

	CHECK_INT(conf_default(&c), 0);
	CHECK_STR(c.host, "");
	CHECK_INT(c.interval_ns, 60000000000LL);
	CHECK_INT(c.capture.ring_bytes, 4 << 20);
	CHECK_INT(c.capture.tunnels, CONF_TUNNELS_OUTER);
	CHECK_INT(c.flows.max_flows, 0);
	CHECK_INT(c.flows.tcp_idle_ns, 3600000000000LL);
	CHECK_INT(c.flows.tcp_attempt_ns, 75000000000LL);
	CHECK_INT(c.dns.ports.n, 1);
	CHECK_INT(c.dns.ports.v[0], 53);
	CHECK_INT(c.http.max_path, 150);
	CHECK(c.points.fold_client_port && c.points.dns_domain && !c.geoip.coordinates);
	CHECK_STR(c.geoip.language, "en");
	CHECK_INT(c.processes.cpu_percent, 5);
	CHECK_INT(c.outputs.n, 1);
	CHECK_INT(c.outputs.v[0].kind, CONF_OUTPUT_STDOUT);
	CHECK_INT(c.sending.queue_bytes, 64 << 20);
	CHECK_INT(c.sending.retry_min_ns, 1000000000LL);
	CHECK_INT(c.sending.retry_max_ns, 60000000000LL);
	CHECK_INT(c.sending.stop_timeout_ns, 5000000000LL);
	CHECK_STR(c.spool.directory, "/var/lib/flowline/spool");
	CHECK_INT(c.spool.max_bytes, 1 << 30);
	CHECK_INT(c.spool.max_age_ns, 72 * 3600000000000LL);
	CHECK_INT(c.spool.segment_bytes, 8 << 20);
	CHECK_INT(c.spool.replay_rate, 20000);
	CHECK_STR(c.status.socket, "/run/flowline/status.sock");
	CHECK_INT(c.log.level, CONF_LOG_INFO);
	conf_free(&c);
}

static const struct set_case {
	const char *text, *want; /* NULL: it is right */
} set_cases[] = {
    {"interval=10s", NULL},
    {"capture.interfaces=eth*,!eth9", NULL},
    {"capture.interfaces=['!docker*', wg0]", NULL},
    {"capture.exclude={port: 22}", NULL},
    {"capture.exclude=[{process: [a, b]}, {cidr: '::1'}]", NULL},
    {"capture.exclude=22", "want a list of rules"},
    {"capture.exclude=[{prot: 22}]", "unknown key 'prot' in '--set capture.exclude[1]' (did you "
				     "mean 'port'?)"},
    {"capture.exclude=[{}]", "a rule wants cidr, port or process"},
    {"capture.exclude=[{port: []}]", "would leave out all traffic"},
    {"capture.exclude=[{port: 0}]", "capture.exclude[1].port: '0' is not a port"},
    {"capture.exclude=[{port: 22}", "--set capture.exclude: not YAML"},
    {"outputs={file: {path: /x}}", NULL},
    {"outputs=[{file: {}}]", "file: 'path' is missing"},
    {"outputs=[{fiel: {path: x}}]", "unknown output 'fiel' (did you mean 'file'?)"},
    {"outputs=[stdout, {file: {path: x}}]", NULL},
    {"outputs=[{http: {url: 'http://h:8086'}}]", NULL},
    {"outputs=[stdout,-]", "'stdout' is given twice"},
    {"outputs=file:/a,file:/b", NULL},
    {"outputs=file:/a,file:/b,file:/a", "two outputs are called 'file:/a': give one a name"},
    {"outputs=[f:1,f:2,f:3,f:4,f:5,f:6,f:7,f:8,f:9,f:10,f:11,f:12,f:13,f:14,f:15,f:16,f:17]",
     "did you mean 'http://f:1'?"},
    {"outputs=udp:f:1,udp:f:2,udp:f:3,udp:f:4,udp:f:5,udp:f:6,udp:f:7,udp:f:8,udp:f:9,udp:f:10,"
     "udp:f:11,udp:f:12,udp:f:13,udp:f:14,udp:f:15,udp:f:16,udp:f:17",
     "more than 16 entries"},
    {"outputs=a=user:s3cret@host", "unknown output '***@host'"},
    {"http://u:s3cret@h", "'http://***@h' sets nothing"},
    {"sending.retry_min=5ms", "want 10ms to 1h"},
    {"sending.retry_max=25h", "want 10ms to 24h"},
    {"sending.queue_size=1023k", "want 1M to 4G"},
    {"sending.stop_timeout=0s", NULL},
    {"spool.directory=", NULL},
    {"spool.max_size=1T", NULL},
    {"spool.max_size=1025G", "want 1M to 1T"},
    {"spool.max_age=0s", NULL},
    {"spool.max_age=367d", "want 0s to 366d"},
    {"spool.segment_size=2G", "want 64k to 1G"},
    {"spool.replay_rate=0", NULL},
    {"status.socket=", NULL},
    {"outputs=", "is empty"},
    {"tags=env=prod,rack=r1", NULL},
    {"tags={env: prod}", NULL},
    {"tags.env.name=prod=1", NULL},
    {"tags=env=a,env=b", "'env' is given twice"},
    {"tags.time=1", "reserved"},
    {"flows.max_flows=auto", NULL},
    {"flows.max_flows=63", "want a number from 64 to 16777216, or auto"},
    {"processes.cpu_share=20", NULL},
    {"processes.cpu_share=0%", "is not a share: want 1% to 100%, such as 10%"},
    {"points.exclude_tags=pid,container_id", NULL},
    {"points.exclude_tags=container", "(did you mean 'container_id'?)"},
    {"points.exclude_tags=qqqqqq", "flowline.yaml(5) lists"},
    {"names.enabled=Yes", NULL},
    {"names.enabled=1", "want true or false"},
    {"log.level=warning", "want error, warn, info or debug (did you mean 'warn'?)"},
    {"capture.ring_size=8MB", "want 512k to 1G, such as 8M"},
    {"local=10.0.0.0/8,10.0.0.0/33", "'10.0.0.0/33' is not a network"},
    {"=x", "sets nothing"},
    {"capture=x", "is a section"},
    {"captrue.mode=auto", "did you mean 'capture.mode'?"},
    {"host=a\tb", "control character"},
    {"host=a\xffz", "not UTF-8"},
    {"host=\xc0\x80", "not UTF-8"},
    {"host=\xe2\x82", "not UTF-8"},
    {"host=\xed\xa0\x80", "not UTF-8"},
    {"host=\xf4\x90\x80\x80", "not UTF-8"},
    {"tags.a=\xc2\x85", "not UTF-8"},
    {"host=\xe2\x82\xac\xf0\x9f\x98\x80h\xc3\xa4", NULL},
    {"geoip.databases=", NULL},
    {"geoip.databases=/a,,/b", "1 to 4095 bytes"},
};

static void test_set(void)
{
	const struct set_case *cases = set_cases;
	struct conf c;
	size_t i;
	int err;

	CHECK_INT(conf_default(&c), 0);
	for (i = 0; i < COUNT(set_cases); i++) {
		conf_errors_init(&errors);
		err = conf_set(&c, cases[i].text, &errors);
		CHECK_MSG((err == 0) == !cases[i].want, "%s: %s", cases[i].text, errors.text);
		CHECK_MSG((err != 0) == (errors.n > 0), "%s", cases[i].text);
		CHECK_MSG(!cases[i].want || strstr(errors.text, cases[i].want), "%s: got %s",
			  cases[i].text, errors.text);
	}
	CHECK_INT(c.tags.n, 2);
	CHECK_STR(c.tags.v[1].key, "env.name");
	CHECK_STR(c.tags.v[1].value, "prod=1");
	if (CHECK(c.capture.exclude.n == 2))
		CHECK_INT(c.capture.exclude.v[1].cidr.v[0].bits, 128);
	CHECK_STR(c.capture.interfaces.v[0], "!docker*");
	conf_free(&c);
}

/* Rules between settings count once all is read. */
static void test_rules(void)
{
	static const struct {
		const char *sets[3];
		const char *want;
	} cases[] = {
	    {{"sending.retry_min=2m", NULL},
	     "sending.retry_min: sending.retry_min (2m) is more than sending.retry_max (60s)\n"},
	    {{"sending.retry_min=2m", "sending.retry_max=2m", NULL}, ""},
	    {{"outputs=[stdout, {udp: {address: 'h:1', batch_size: 32M}}]",
	      "sending.queue_size=16M", NULL},
	     "outputs[2].udp.batch_size: batch_size (32M) is more than sending.queue_size (16M): a "
	     "batch must fit in the queue\n"},
	    {{"outputs=[{udp: {address: 'h:1', batch_size: 32M}}]", "sending.queue_size=32M", NULL},
	     ""},
	};
	struct conf c;
	size_t i, j;

	for (i = 0; i < COUNT(cases); i++) {
		conf_errors_init(&errors);
		CHECK_INT(conf_default(&c), 0);
		for (j = 0; j < 3 && cases[i].sets[j]; j++)
			CHECK_MSG(!conf_set(&c, cases[i].sets[j], &errors), "%s", errors.text);
		CHECK_INT(conf_check(&c, &errors), *cases[i].want ? FL_EUSAGE : 0);
		CHECK_STR(errors.text, cases[i].want);
		conf_free(&c);
	}
}

static void test_env(void)
{
	char interval[] = "FLOWLINE_INTERVAL=5s", ports[] = "FLOWLINE_DNS_PORTS=53,5300";
	char domain[] = "FLOWLINE_POINTS_DNS_DOMAIN=no",
	     service[] = "FLOWLINE_SERVICE_HOST=10.0.0.1";
	char port[] = "FLOWLINE_PORT_80_TCP=tcp://10.0.0.1:80", config[] = "FLOWLINE_CONFIG=x";
	char own[] = "FLOWLINE=/bin/flowline", path[] = "PATH=/bin", odd[] = "FLOWLINE_",
	     lone[] = "x";
	char bad[] = "FLOWLINE_INTERVAL=5", unknown[] = "FLOWLINE_DNS_PROTS=1",
	     no[] = "FLOWLINE_QQ=1";
	char outputs[] = "FLOWLINE_OUTPUTS=http://h:8086/write?db=x,file:/y";
	char *good[] = {interval, ports, domain, service, port,    config,
			own,      path,  odd,    lone,    outputs, NULL};
	char *wrong[] = {ports, bad, unknown, no, NULL};
	struct conf c;

	conf_errors_init(&errors);
	CHECK_INT(conf_default(&c), 0);
	CHECK_MSG(conf_env(&c, good, &errors) == 0, "%s", errors.text);
	CHECK_INT(c.interval_ns, 5000000000LL);
	CHECK_INT(c.dns.ports.n, 2);
	CHECK(!c.points.dns_domain);
	if (CHECK(c.outputs.n == 2)) {
		CHECK_STR(c.outputs.v[0].url, "http://h:8086/write?db=x");
		CHECK_STR(c.outputs.v[1].path, "/y");
	}
	conf_free(&c);
	CHECK_INT(conf_default(&c), 0);
	CHECK_INT(conf_env(&c, wrong, &errors), FL_EUSAGE);
	CHECK_INT(errors.n, 3);
	CHECK(strstr(errors.text, "FLOWLINE_INTERVAL: '5' is not a duration: want 1s to 24h"));
	CHECK(strstr(errors.text, "FLOWLINE_DNS_PROTS (did you mean FLOWLINE_DNS_PORTS?)"));
	CHECK_INT(c.dns.ports.n, 1); /* nothing is applied */
	conf_free(&c);
}

static void test_interfaces(void)
{
	static const struct {
		const char *set, *name;
		bool want;
	} cases[] = {
	    {"", "eth0", true},
	    {"eth0", "eth0", true},
	    {"eth0", "eth1", false},
	    {"eth*,wg0", "eth7", true},
	    {"eth*,wg0", "lo", false},
	    {"eth*,!eth7", "eth7", false},
	    {"!eth7,eth*", "eth7", false},
	    {"!lo", "eth0", true},
	    {"!lo", "lo", false},
	    {"!veth*,!docker?", "docker0", false},
	    {"eth[0-3]", "eth3", true},
	    {"eth[0-3]", "eth4", false},
	};
	char text[128];
	struct conf c;
	size_t i;

	CHECK_INT(conf_default(&c), 0);
	for (i = 0; i < COUNT(cases); i++) {
		conf_errors_init(&errors);
		snprintf(text, sizeof(text), "capture.interfaces=%s%s", cases[i].set, "");
		if (strchr(cases[i].set, '['))
			snprintf(text, sizeof(text), "capture.interfaces=['%s']", cases[i].set);
		CHECK_MSG(conf_set(&c, text, &errors) == 0, "%s", errors.text);
		CHECK_MSG(conf_interface_wanted(&c.capture.interfaces, cases[i].name) ==
			      cases[i].want,
			  "%s, %s", cases[i].set, cases[i].name);
	}
	conf_free(&c);
}

/* More mistakes than there is room for: whole lines, and the rest is counted. */
static void test_errors_full(void)
{
	size_t i;

	conf_errors_init(&errors);
	for (i = 0; i < 1000; i++)
		conf_errors_add(&errors, "mistake %zu of very many that are the same, but for this",
				i);
	CHECK_INT(errors.n, 1000);
	CHECK(errors.left_out > 0 && errors.len < sizeof(errors.text));
	CHECK_INT(strlen(errors.text), errors.len);
	CHECK(errors.text[errors.len - 1] == '\n');
}

TEST_MAIN({"defaults", test_defaults}, {"set", test_set}, {"rules", test_rules},
	  {"environment", test_env}, {"interfaces", test_interfaces},
	  {"errors without room", test_errors_full})
