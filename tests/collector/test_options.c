/* test_options.c - the command line: values, mistakes and what is said about them. */
#include "collector/options.h"

#include <stdlib.h>
#include <unistd.h>

#include "conf/schema.h"
#include "tests/test.h"

static struct options o;

/* No file that this machine may happen to have. */
static char no_file[] = "FLOWLINE_CONFIG=";
static char *nothing_set[] = {no_file, NULL};
static char **environment = nothing_set;

/* Parse a line of words; borrowed parts of o stay valid until the next call. */
static int parse(const char *line)
{
	static char text[1024];
	static char *argv[64];
	char *word, *save = NULL;
	int argc = 0;

	options_free(&o);
	snprintf(text, sizeof(text), "%s", line);
	argv[argc++] = (char *)"flowline";
	for (word = strtok_r(text, " ", &save); word; word = strtok_r(NULL, " ", &save))
		argv[argc++] = word;
	argv[argc] = NULL;
	return options_parse(&o, argc, argv, environment);
}

static const char *output_name(size_t i)
{
	static char name[CONF_OUTPUT_NAME_SIZE];

	if (i >= o.conf.outputs.n)
		return "(none)";
	conf_output_name(&o.conf.outputs.v[i], name, sizeof(name));
	return name;
}

static void test_defaults(void)
{
	CHECK_INT(parse("read x.pcap"), 0);
	CHECK_INT(o.command, COMMAND_READ);
	CHECK_INT(o.nfiles, 1);
	CHECK_STR(o.files[0], "x.pcap");
	CHECK_INT(o.interval_ns, 60000000000LL);
	CHECK_INT(o.dns_timeout_ns, 5000000000LL);
	CHECK_INT(o.http_timeout_ns, 60000000000LL);
	CHECK_INT(o.http_max_path, 150);
	CHECK_INT(o.ndns_ports, 1);
	CHECK_INT(o.dns_ports[0], 53);
	CHECK_INT(o.max_flows, 0);
	CHECK(!o.no_fold && !o.tunnels_inner && !o.stats && !o.quiet);
	CHECK_INT(o.conf.outputs.n, 1);
	CHECK_INT(o.conf.outputs.v[0].kind, CONF_OUTPUT_STDOUT);
	CHECK_INT(parse("run"), 0);
	CHECK_INT(o.command, COMMAND_RUN);
	CHECK_INT(o.conf.capture.interfaces.n, 0);
	CHECK_INT(o.ring_bytes, 4 << 20);
	CHECK_INT(o.duration_ns, 0);
	CHECK_INT(parse("filters --dns-ports 53,5300 --tunnels inner"), 0);
	CHECK_INT(o.command, COMMAND_FILTERS);
}

static void test_values(void)
{
	CHECK_INT(parse("read a --no-fold --dns-ports 53,5353,53 --interval 500ms --local "
			"10.0.0.0/8,2001:db8::/32 b --local 192.0.2.7 -o file:/x --tag env=prod "
			"--tag a=b=c --stats --tunnels inner --http-max-path 20 --dns-timeout 1m "
			"--http-timeout 1h --max-flows 1000 --host me -q -"),
		  0);
	CHECK(o.no_fold && o.tunnels_inner && o.stats && o.quiet);
	CHECK_INT(o.nfiles, 3);
	CHECK_STR(o.files[1], "b");
	CHECK_STR(o.files[2], "-");
	CHECK_INT(o.ndns_ports, 2);
	CHECK_INT(o.dns_ports[1], 5353);
	CHECK_INT(o.interval_ns, 500000000);
	CHECK_INT(o.nlocal, 3);
	CHECK_INT(o.local[0].bits, 104);
	CHECK_INT(o.local[1].bits, 32);
	CHECK_INT(o.local[2].bits, 128);
	CHECK_STR(output_name(0), "file:/x");
	CHECK_INT(o.ntags, 2);
	CHECK_STR(o.tags[0].key, "env");
	CHECK_STR(o.tags[0].value, "prod");
	CHECK_STR(o.tags[1].value, "b=c");
	CHECK_INT(o.http_max_path, 20);
	CHECK_INT(o.dns_timeout_ns, 60000000000LL);
	CHECK_INT(o.http_timeout_ns, 3600000000000LL);
	CHECK_INT(o.max_flows, 1000);
	CHECK_STR(o.host, "me");
	CHECK_INT(o.log_level, LOG_LEVEL_ERROR);
	CHECK_INT(parse("run -i eth0 -ilo,eth0 --duration=2d --ring-size 64M -v"), 0);
	CHECK_INT(o.conf.capture.interfaces.n, 2);
	CHECK_STR(o.conf.capture.interfaces.v[1], "lo");
	CHECK_INT(o.duration_ns, 172800000000000LL);
	CHECK_INT(o.ring_bytes, 64 << 20);
	CHECK_INT(o.log_level, LOG_LEVEL_DEBUG);
	CHECK_INT(parse("read --inter 10s -- --stats"), 0); /* abbreviated; after -- a file */
	CHECK_STR(o.files[0], "--stats");
	CHECK(!o.stats);
}

static void test_help(void)
{
	static const struct {
		const char *line;
		unsigned int command, topic;
	} cases[] = {
	    {"--help", COMMAND_HELP, 0},
	    {"-h", COMMAND_HELP, 0},
	    {"help", COMMAND_HELP, 0},
	    {"help read", COMMAND_HELP, COMMAND_READ},
	    {"--help run", COMMAND_HELP, COMMAND_RUN},
	    {"run --help", COMMAND_HELP, COMMAND_RUN},
	    {"read --interval 3 -h --nonsense", COMMAND_HELP, COMMAND_READ},
	    {"filters -h", COMMAND_HELP, COMMAND_FILTERS},
	    {"status -h", COMMAND_HELP, COMMAND_STATUS},
	    {"help status", COMMAND_HELP, COMMAND_STATUS},
	    {"--version", COMMAND_VERSION, 0},
	    {"-V", COMMAND_VERSION, 0},
	    {"version", COMMAND_VERSION, 0},
	};
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		CHECK_MSG(parse(cases[i].line) == 0, "%s: %s", cases[i].line, o.errors.text);
		CHECK_MSG(o.command == cases[i].command && o.help_topic == cases[i].topic, "%s",
			  cases[i].line);
	}
}

static const struct mistake_case {
	const char *line, *want; /* a part of the message */
} mistakes[] = {
    {"", "which command?"},
    {"raed x", "unknown command 'raed' (did you mean 'read'?)"},
    {"filter", "did you mean 'filters'?"},
    {"frobnicate", "want read, run, status, doctor, filters or check-config"},
    {"-v read x", "'-v' comes before the command"},
    {"help foo", "unknown command 'foo'"},
    {"read", "read: which capture file?"},
    {"read - -", "can be read once only"},
    {"read x --intervall 5s", "(did you mean '--interval'?)"},
    {"read x --dns-prots 5", "(did you mean '--dns-ports'?)"},
    {"read x --xyzzy", "'flowline read --help' lists them"},
    {"read x -Z", "unknown option '-Z'"},
    {"read x --http 3", "ambiguous"},
    {"read x --interval", "option --interval needs a value: --interval TIME"},
    {"read x -o", "option --output needs a value"},
    {"read x --stats=1", "option --stats takes no value: leave out '=1'"},
    {"read x --duration 5s", "not for 'flowline read' but for 'flowline run'"},
    {"read x -i lo", "not for 'flowline read' but for 'flowline run'"},
    {"filters --stats", "not for 'flowline filters' but for 'flowline read'"},
    {"read x --interval 10", "'10' is not a duration: want 10ms to 24h, such as 10s"},
    {"read x --interval 0s", "is not a duration"},
    {"read x --interval 2d", "is not a duration"},
    {"read x --interval -1s", "is not a duration"},
    {"read x --interval 1.5s", "is not a duration"},
    {"read x --interval 99999999999999999999s", "is not a duration"},
    {"read x --interval 18446744073709551615d", "is not a duration"},
    {"read x --dns-ports 53,,54", "'' is not a port"},
    {"read x --dns-ports 0", "'0' is not a port: want 1 to 65535"},
    {"read x --dns-ports 65536", "'65536' is not a port"},
    {"read x --dns-ports 53x", "'53x' is not a port"},
    {"read x --local 10.0.0.0/33", "'10.0.0.0/33' is not a network"},
    {"read x --local foo", "'foo' is not a network"},
    {"read x --tag foo", "'foo' is not a tag: want KEY=VALUE"},
    {"read x --tag =v", "is not a tag"},
    {"read x --tag k=", "is not a tag"},
    {"read x --tag time=1", "reserved"},
    {"read x --tag a=1 --tag a=2", "'a' is given twice"},
    {"read x -o out.line", "(did you mean 'file:out.line'?)"},
    {"read x -o file:", "unknown output 'file:'"},
    {"read x -o unix:", "did you mean 'unix'?): want - (standard output), file:PATH, http"},
    {"read x -o ./out", "did you mean 'file:./out'?"},
    {"read x -o influx:h:8086", "did you mean 'http://h:8086'?"},
    {"read x -o influxdb://h:8086", "did you mean 'http://h:8086'?"},
    {"read x -o http:h:8086", "did you mean 'http://h:8086'?"},
    {"read x -o https:/h", "did you mean 'https:///h'?"},
    {"read x -o tcp:h:8094", "plain TCP is not spoken: want http://h:8094, or udp:"},
    {"read x -o h:8086", "did you mean 'http://h:8086'?"},
    {"read x -o udp:h", "'h' is not an address: want HOST:PORT"},
    {"read x -o udp:::1:8089", "an IPv6 address wants brackets"},
    {"read x -o http://", "names no host"},
    {"read x -o http://me:s3cret@h:8086",
     "--output: 'http://***@h:8086' has a user or password in it"},
    {"read x -o file:a -o file:a", "--output: two outputs are called 'file:a'"},
    {"read x -o - -o stdout", "'stdout' is given twice"},
    {"read x -o htpp://h:1", "did you mean 'http"},
    {"run http://h:8086/?p=s3cret",
     "unexpected 'http://h:8086/?p=***': an output is named with -o"},
    {"run --json", "not for 'flowline run' but for 'flowline status'"},
    {"status x", "status: unexpected 'x'"},
    {"status --socket /a --socket /b", "'/b' is a second socket"},
    {"status -o file:x", "not for 'flowline status' but for 'flowline read'"},
    {"status --dns-ports 5", "not for 'flowline status'"},
    {"read x --tunnels both", "want inner or outer"},
    {"read x --http-max-path 1025", "want a number from 1 to 1024"},
    {"read x --max-flows 1", "want a number from 64"},
    {"run eth0", "an interface is named with -i eth0"},
    {"run -i averyverylongname", "cannot be an interface's name"},
    {"run -i a/b", "cannot be an interface's name"},
    {"run --ring-size 1k", "is not a size: want 512k to 1G, such as 8M"},
    {"filters x", "filters: unexpected 'x'"},
    {"version x", "version: unexpected 'x'"},
};

static void test_mistakes(void)
{
	const struct mistake_case *cases = mistakes;
	size_t i;

	for (i = 0; i < sizeof(mistakes) / sizeof(mistakes[0]); i++) {
		CHECK_MSG(parse(cases[i].line) == FL_EUSAGE, "%s", cases[i].line);
		CHECK_MSG(strstr(o.errors.text, cases[i].want), "%s: got %swanted %s",
			  cases[i].line, o.errors.text, cases[i].want);
		CHECK_MSG(o.errors.len && o.errors.text[o.errors.len - 1] == '\n', "%s",
			  cases[i].line);
	}
}

/* A secret on the command line is never repeated. */
static void test_secrets(void)
{
	static const char *const lines[] = {
	    "read x -o http://me:s3cret@h:8086",
	    "read x -o me:s3cret@h:8086",
	    "read x -o influx://h/write?db=a&p=s3cret",
	    "read x -o http:h/?token=s3cret",
	    "read x -o tcp:me:s3cret@h",
	    "read x -o http://h:99999/?p=s3cret",
	    "read x s3 --set http://me:s3cret@h",
	    "run http://h/write?u=a&p=s3cret",
	    "read x --set outputs=[{http:{url:'http://h',token:s3cret,user:a}}]",
	    "read x --set outputs=[{http:{url:'http://h',headers:['A-b:s3cret',s3cret]}}]",
	    "read x --set outputs=[{http:{url:'http://h',proxy:'ftp://a:s3cret@p:1'}}]",
	    "read x --set outputs=[{http:{url:'http://h',password:*s3cret}}]",
	    "read x --set outputs=[{http:{url:'http://a:s3cret@h'}}]",
	};
	size_t i;

	for (i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		CHECK_MSG(parse(lines[i]) == FL_EUSAGE, "%s", lines[i]);
		CHECK_MSG(!strstr(o.errors.text, "s3cret"), "%s: %s", lines[i], o.errors.text);
	}
}

static void test_outputs(void)
{
	CHECK_MSG(parse("read x -o http://h:8086/write?db=a,b -o file:///p,q -o unix:/run/s "
			"-o unixgram:@g -o udp://[::1]:8089 -o HTTPS://X/y -o -") == 0,
		  "%s", o.errors.text);
	CHECK_INT(o.conf.outputs.n, 7);
	CHECK_STR(output_name(0), "http:h:8086/write");
	CHECK_STR(o.conf.outputs.v[0].url, "http://h:8086/write?db=a,b");
	CHECK_STR(output_name(1), "file:/p,q");
	CHECK_STR(output_name(2), "unix:/run/s");
	CHECK_INT(o.conf.outputs.v[2].type, CONF_UNIX_STREAM);
	CHECK(o.conf.outputs.v[2].spool);
	CHECK_STR(output_name(3), "unix:@g");
	CHECK_INT(o.conf.outputs.v[3].type, CONF_UNIX_DATAGRAM);
	CHECK(!o.conf.outputs.v[3].spool);
	CHECK_STR(output_name(4), "udp:[::1]:8089");
	CHECK_STR(output_name(5), "http:x:443/y");
	CHECK_STR(output_name(6), "stdout");
	/* the command line's replace the others, and rules count at the end */
	CHECK_INT(parse("read x --set outputs=[stdout,file:a] -o file:b"), 0);
	CHECK_INT(o.conf.outputs.n, 1);
	CHECK_STR(output_name(0), "file:b");
	CHECK_INT(parse("read x --set sending.retry_min=5m --set sending.retry_max=6m"), 0);
	CHECK_INT(parse("read x --set sending.retry_min=5m"), FL_EUSAGE);
	CHECK(strstr(o.errors.text, "is more than sending.retry_max (60s)"));
}

static void test_status(void)
{
	CHECK_INT(parse("status"), 0);
	CHECK_INT(o.command, COMMAND_STATUS);
	CHECK(!o.json && !o.socket && !o.nfiles);
	CHECK_STR(o.conf.status.socket, "/run/flowline/status.sock");
	CHECK_INT(parse("status --json --socket /s --set status.socket=/t"), 0);
	CHECK(o.json);
	CHECK_STR(o.socket, "/s");
	CHECK_STR(o.conf.status.socket, "/t");
	CHECK_STR(command_name(COMMAND_STATUS), "status");
}

static void test_all_at_once(void)
{
	const char *p;
	int lines = 0;

	CHECK_INT(parse("read --interval x --dns-ports y --tag z --bogus --max-flows 0"),
		  FL_EUSAGE);
	for (p = o.errors.text; (p = strchr(p, '\n')) != NULL; p++)
		lines++;
	CHECK_INT(lines, 6); /* the missing file is the sixth */
}

/* More mistakes than there is room for: whole lines, and no more than fit. */
static void test_errors_full(void)
{
	static char list[6001];
	char *argv[] = {(char *)"flowline",    (char *)"read", (char *)"x",
			(char *)"--dns-ports", list,           NULL};
	size_t i;

	options_free(&o);
	for (i = 0; i + 2 < sizeof(list); i += 2) {
		list[i] = 'x';
		list[i + 1] = ',';
	}
	list[sizeof(list) - 2] = 'y';
	CHECK_INT(options_parse(&o, 5, argv, environment), FL_EUSAGE);
	CHECK(o.errors.len < sizeof(o.errors.text));
	CHECK_INT(strlen(o.errors.text), o.errors.len);
	CHECK(o.errors.text[o.errors.len - 1] == '\n');
}

static char *write_file(const char *text)
{
	static char path[] = "/tmp/test_options.XXXXXX";
	FILE *f;
	int fd;

	memcpy(path + sizeof(path) - 7, "XXXXXX", 6);
	fd = mkstemp(path);
	f = fd < 0 ? NULL : fdopen(fd, "w");
	if (!f)
		return NULL;
	fputs(text, f);
	fclose(f);
	return path;
}

/* Defaults, file, environment, command line: each wins over what is before it. */
static void test_precedence(void)
{
	char *path = write_file("interval: 10s\nhost: file\ntags: {a: 1, b: 2}\n"
				"dns: {ports: [5300], timeout: 1s}\nlocal: [10.0.0.0/8]\n"
				"http: {max_path: 10}\noutputs: [{file: {path: '/x,y'}}]\n"
				"log: {level: debug}\n");
	char line[256], name[128];
	char host[] = "FLOWLINE_HOST=env", timeout[] = "FLOWLINE_DNS_TIMEOUT=2s";
	char *vars[] = {no_file, host, timeout, NULL};
	char *named[] = {name, NULL};

	if (!CHECK(path != NULL))
		return;
	environment = vars;
	snprintf(line, sizeof(line),
		 "read x -c %s --set http.max_path=20 --http-max-path 30 --tag b=3 --tag c=4 "
		 "--set tags.d=5 --local fd00::/8,192.0.2.1 --local 192.0.2.2",
		 path);
	CHECK_MSG(parse(line) == 0, "%s", o.errors.text);
	CHECK_INT(o.interval_ns, 10000000000LL);
	CHECK_STR(o.host, "env");
	CHECK_INT(o.dns_timeout_ns, 2000000000LL);
	CHECK_INT(o.dns_ports[0], 5300);
	CHECK_INT(o.http_max_path, 30);
	CHECK_INT(o.ntags, 4);
	CHECK_STR(o.tags[1].key, "b");
	CHECK_STR(o.tags[1].value, "3");
	CHECK_STR(o.tags[3].value, "5");
	CHECK_INT(o.nlocal, 3);
	CHECK_STR(output_name(0), "file:/x,y");
	CHECK_INT(o.log_level, LOG_LEVEL_DEBUG);
	snprintf(line, sizeof(line), "read x -c %s -o file:a,b --host me -q", path);
	CHECK_INT(parse(line), 0);
	CHECK_STR(output_name(0), "file:a,b");
	CHECK_STR(o.host, "me");
	CHECK_INT(o.log_level, LOG_LEVEL_ERROR);
	snprintf(name, sizeof(name), "FLOWLINE_CONFIG=%s", path);
	environment = named;
	CHECK_INT(parse("read x"), 0);
	CHECK_STR(o.host, "file");
	CHECK_INT(parse("run -c "), FL_EUSAGE);
	environment = nothing_set;
	remove(path);
	CHECK_INT(parse(line), FL_EUSAGE);
	CHECK(!o.misused);
	CHECK(strstr(o.errors.text, "cannot be read: No such file"));
}

static void test_config_mistakes(void)
{
	static const struct {
		const char *line, *want;
	} cases[] = {
	    {"read x --set flows.max_flow=1", "did you mean 'flows.max_flows'?"},
	    {"read x --set flows=1", "'flows' is a section"},
	    {"read x --set interval", "want PATH=VALUE"},
	    {"read x --set interval=5", "--set interval: '5' is not a duration: want 1s to 24h"},
	    {"read x --set interval=10ms", "want 1s to 24h"},
	    {"read x --set dns.ports=", "is empty"},
	    {"read x -c a -c b", "is a second file"},
	    {"version --set a=b", "not for 'flowline version'"},
	};
	char typo[] = "FLOWLINE_INTERVALL=5s";
	char *vars[] = {no_file, typo, NULL};
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		CHECK_MSG(parse(cases[i].line) == FL_EUSAGE, "%s", cases[i].line);
		CHECK_MSG(strstr(o.errors.text, cases[i].want), "%s: got %swanted %s",
			  cases[i].line, o.errors.text, cases[i].want);
	}
	environment = vars;
	CHECK_INT(parse("read x"), FL_EUSAGE);
	CHECK_STR(o.errors.text, "unknown environment variable FLOWLINE_INTERVALL (did you mean "
				 "FLOWLINE_INTERVAL?)\n");
	environment = nothing_set;
}

static void test_config_commands(void)
{
	CHECK_INT(parse("check-config a b"), 0);
	CHECK_INT(o.command, COMMAND_CHECK);
	CHECK_INT(o.nfiles, 2);
	CHECK_INT(parse("--print-default-config"), 0);
	CHECK_INT(o.command, COMMAND_DEFAULTS);
	CHECK_INT(parse("--print-config-manual"), 0);
	CHECK_INT(o.command, COMMAND_MANUAL);
	CHECK_INT(parse("read x -vqvqvqvqvq"), 0);
	CHECK_INT(o.log_level, LOG_LEVEL_ERROR);
}

/* Every option is spoken of in help, and no letter is taken twice. */
static void test_table(void)
{
	const struct option_spec *s;
	size_t n, i, j;

	s = option_specs(&n);
	for (i = 0; i < n; i++) {
		CHECK(s[i].help && *s[i].help && s[i].commands);
		CHECK_MSG(s[i].parse || conf_setting_find(&conf_schema, s[i].setting), "%s",
			  s[i].name);
		for (j = 0; j < i; j++)
			CHECK_MSG(strcmp(s[i].name, s[j].name) &&
				      (!s[i].letter || s[i].letter != s[j].letter),
				  "%s, %s", s[i].name, s[j].name);
	}
	options_free(&o);
}

TEST_MAIN({"defaults", test_defaults}, {"values", test_values}, {"help", test_help},
	  {"mistakes", test_mistakes}, {"secrets", test_secrets}, {"outputs", test_outputs},
	  {"status", test_status}, {"all mistakes at once", test_all_at_once},
	  {"no room for more mistakes", test_errors_full}, {"precedence", test_precedence},
	  {"mistakes in settings", test_config_mistakes},
	  {"configuration commands", test_config_commands}, {"table of options", test_table})
