/* options.c - the command line: one table of options, most of them short for a setting of the
 * configuration (conf/schema.h).
 *
 * getopt_long(3) does the splitting; what it has no words for (which option was meant, which
 * command an option belongs to) is here. Settings wait until the file and the environment, which
 * they override, have been read.
 */
#include "collector/options.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conf/schema.h"
#include "conf/suggest.h"
#include "conf/value.h"

#define NS_PER_MS 1000000ULL

#define READ_RUN (COMMAND_READ | COMMAND_RUN)
#define CAPTURES (COMMAND_READ | COMMAND_RUN | COMMAND_FILTERS)
#define ALL      (CAPTURES | COMMAND_STATUS | COMMAND_DOCTOR)

enum { OPTIONS_MOST = 40, LONG_BASE = 256 };

static const char *const command_names[] = {"read",    "run",          "filters", "help",
					    "version", "check-config", "status",  "doctor"};

#define NCOMMANDS (sizeof(command_names) / sizeof(command_names[0]))

static void PRINTF_LIKE(2, 3) mistake(struct options *o, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	conf_errors_add(&o->errors, "%s", text);
	o->misused = true;
}

const char *command_name(unsigned int command)
{
	size_t i;

	for (i = 0; i < NCOMMANDS; i++)
		if (command == 1U << i)
			return command_names[i];
	return NULL;
}

static unsigned int command_find(const char *name)
{
	size_t i;

	for (i = 0; i < NCOMMANDS; i++)
		if (!strcmp(name, command_names[i]))
			return 1U << i;
	return 0;
}

/* Options that are no settings. */

static void parse_duration(struct options *o, const char *arg)
{
	uint64_t ns;

	if (conf_parse_duration(arg, &ns) && ns >= 10 * NS_PER_MS)
		o->duration_ns = ns;
	else
		mistake(o, "--duration: '%s' is not a duration: want 10ms or more, such as 10s",
			arg);
}

static void parse_stats(struct options *o, const char *arg)
{
	(void)arg;
	o->stats = true;
}

static void parse_quiet(struct options *o, const char *arg)
{
	(void)arg;
	o->quiet = true;
}

static void parse_json(struct options *o, const char *arg)
{
	(void)arg;
	o->json = true;
}

static void parse_socket(struct options *o, const char *arg)
{
	if (!*arg)
		mistake(o, "--socket: '' will not do: want a path, such as "
			   "/run/flowline/status.sock");
	if (o->socket)
		mistake(o, "--socket: '%s' is a second socket: give one", arg);
	o->socket = arg;
}

static void parse_config(struct options *o, const char *arg)
{
	if (o->config_file)
		mistake(o, "--config: '%s' is a second file: give one", arg);
	o->config_file = arg;
}

static void parse_set(struct options *o, const char *arg)
{
	if (conf_set(&o->conf, arg, &o->errors))
		o->misused = true;
}

static void parse_help(struct options *o, const char *arg)
{
	(void)arg;
	if (o->command != COMMAND_HELP)
		o->help_topic = o->command;
	o->command = COMMAND_HELP;
}

#define SETTING(path)     path, NULL, OPTION_REPLACE, 0, NULL
#define LIST(path, how)   path, NULL, how, 0, NULL
#define TURNS(path, text) path, text, OPTION_REPLACE, 0, NULL
#define FROM(path, least) path, NULL, OPTION_REPLACE, least, NULL
#define OWN(parse)        NULL, NULL, OPTION_REPLACE, 0, parse

static const struct option_spec specs[] = {
    {"config", 'c', "FILE", ALL, OWN(parse_config),
     "read settings from this file. Default: for run and doctor\n" CONF_DEFAULT_FILE
     ", where it\nexists"},
    {"set", 0, "PATH=VALUE", ALL, OWN(parse_set),
     "change one setting of the file (repeat it), such as\nflows.tcp_idle_timeout=5m"},
    {"interface", 'i', "IFACE", COMMAND_RUN | COMMAND_DOCTOR,
     LIST("capture.interfaces", OPTION_COLLECT),
     "watch this interface only (repeat it, or a comma list);\n"
     "one that is not there yet is waited for. Patterns: 'eth*',\n"
     "'!eth9'. Default: all"},
    {"duration", 0, "TIME", COMMAND_RUN, OWN(parse_duration),
     "stop after this long. Default: until SIGINT or SIGTERM"},
    {"ring-size", 0, "SIZE", COMMAND_RUN, SETTING("capture.ring_size"),
     "memory for packets on the way from the kernel, for each\n"
     "interface named. Default: 4M"},
    {"output", 'o', "OUTPUT", READ_RUN, LIST("outputs", OPTION_WHOLE),
     "where points go (repeat it; replaces the configuration's):\n"
     "- (standard output, the default), file:PATH (appended to),\n"
     "http://HOST:PORT, https://HOST:PORT (InfluxDB and all that\n"
     "speak its protocol), unix:PATH, unixgram:PATH or\n"
     "udp:HOST:PORT"},
    /* short cycles are for trying things out, not for a file that stays */
    {"interval", 0, "TIME", READ_RUN, FROM("interval", 10 * NS_PER_MS),
     "length of a cycle: points are written at its end. Default: 60s"},
    {"local", 0, "CIDR", READ_RUN, LIST("local", OPTION_COLLECT),
     "a local network (repeat it, or a comma list): its side of\n"
     "a flow is src. run knows the host's own addresses"},
    {"no-fold", 0, NULL, READ_RUN, TURNS("points.fold_client_port", "false"),
     "write client ports as they are, not as *"},
    {"dns-ports", 0, "PORTS", CAPTURES, SETTING("dns.ports"),
     "ports on which DNS is spoken, a comma list. Default: 53"},
    {"dns-timeout", 0, "TIME", READ_RUN, SETTING("dns.timeout"),
     "a DNS query without answer is given up. Default: 5s"},
    {"http-timeout", 0, "TIME", READ_RUN, SETTING("http.timeout"),
     "an HTTP request without response is given up. Default: 60s"},
    {"http-max-path", 0, "BYTES", READ_RUN, SETTING("http.max_path"),
     "longer HTTP paths are cut. Default: 150"},
    {"tunnels", 0, "SIDE", CAPTURES, SETTING("capture.tunnels"),
     "inner: VXLAN and Geneve are looked into; outer (default):\n"
     "they are UDP flows"},
    {"max-flows", 0, "COUNT", READ_RUN, SETTING("flows.max_flows"),
     "flows remembered at one time; with more, the least recently\n"
     "seen end early. Default: 1048576 (read), 262144 (run)"},
    {"tag", 0, "KEY=VALUE", READ_RUN, LIST("tags", OPTION_ADD),
     "add this tag to every point (repeat it)"},
    {"host", 0, "NAME", READ_RUN, SETTING("host"), "the tag host. Default: this machine's name"},
    {"stats", 0, NULL, READ_RUN, OWN(parse_stats),
     "at the end, a table of what was seen, used and lost, on\n"
     "standard error"},
    {"json", 0, NULL, COMMAND_STATUS | COMMAND_DOCTOR, OWN(parse_json), "as JSON, for programs"},
    {"socket", 0, "PATH", COMMAND_STATUS, OWN(parse_socket),
     "ask at this socket. Default: status.socket of the\nconfiguration"},
    {"verbose", 'v', NULL, ALL, TURNS("log.level", "debug"), "say more on standard error"},
    {"quiet", 'q', NULL, ALL, "log.level", "error", OPTION_REPLACE, 0, parse_quiet,
     "say nothing but errors"},
    {"help", 'h', NULL, ALL | COMMAND_HELP | COMMAND_VERSION | COMMAND_CHECK, OWN(parse_help),
     "this text"},
};

#define NSPECS (sizeof(specs) / sizeof(specs[0]))

const struct option_spec *option_specs(size_t *n)
{
	*n = NSPECS;
	return specs;
}

/* What getopt_long needs, made of the table: what the command takes. */
static void getopt_tables(unsigned int command, struct option *longs, char *letters)
{
	size_t i, n = 0, nlongs = 0;

	letters[n++] = ':'; /* a missing argument is told from an unknown option */
	for (i = 0; i < NSPECS; i++) {
		if (!(specs[i].commands & command))
			continue;
		longs[nlongs].name = specs[i].name;
		longs[nlongs].has_arg = specs[i].arg ? required_argument : no_argument;
		longs[nlongs].flag = NULL;
		longs[nlongs++].val = LONG_BASE + (int)i;
		if (specs[i].letter) {
			letters[n++] = specs[i].letter;
			if (specs[i].arg)
				letters[n++] = ':';
		}
	}
	letters[n] = '\0';
	memset(&longs[nlongs], 0, sizeof(longs[nlongs]));
}

static const struct option_spec *spec_of(int val)
{
	size_t i;

	if (val >= LONG_BASE && val < LONG_BASE + (int)NSPECS)
		return &specs[val - LONG_BASE];
	for (i = 0; i < NSPECS; i++)
		if (specs[i].letter && specs[i].letter == val)
			return &specs[i];
	return NULL;
}

static void mistake_other_command(struct options *o, const struct option_spec *spec)
{
	mistake(o, "option --%s is not for 'flowline %s' but for 'flowline %s'", spec->name,
		command_name(o->command), command_name(spec->commands & (~spec->commands + 1)));
}

/* A long option that getopt_long did not take: unknown, short for several, or another command's. */
static void mistake_long(struct options *o, const char *text)
{
	const char *names[NSPECS], *meant, *eq = strchr(text, '=');
	char name[64];
	size_t len = eq ? (size_t)(eq - text) : strlen(text), n = 0, i;
	const char *first = NULL;

	snprintf(name, sizeof(name), "%.*s", len < sizeof(name) ? (int)len : 63, text);
	for (i = 0; i < NSPECS; i++) {
		if (!(specs[i].commands & o->command)) {
			if (!strcmp(specs[i].name, name)) {
				mistake_other_command(o, &specs[i]);
				return;
			}
			continue;
		}
		names[n++] = specs[i].name;
		if (strncmp(specs[i].name, name, strlen(name)))
			continue;
		if (first) {
			mistake(o, "option '--%s' is ambiguous: --%s or --%s?", name, first,
				specs[i].name);
			return;
		}
		first = specs[i].name;
	}
	meant = first ? first : did_you_mean(name, names, n);
	if (meant)
		mistake(o, "unknown option '--%s' (did you mean '--%s'?)", name, meant);
	else
		mistake(o, "unknown option '--%s': 'flowline %s --help' lists them", name,
			command_name(o->command));
}

static void mistake_option(struct options *o, int what, const char *word)
{
	const struct option_spec *spec = spec_of(optopt);

	if (what == ':' && spec)
		mistake(o, "option --%s needs a value: --%s %s", spec->name, spec->name, spec->arg);
	else if (spec && !(spec->commands & o->command))
		mistake_other_command(o, spec);
	else if (spec)
		mistake(o, "option --%s takes no value: leave out '%s'", spec->name,
			strchr(word, '=') ? strchr(word, '=') : word);
	else if (optopt)
		mistake(o, "unknown option '-%c': 'flowline %s --help' lists them", optopt,
			command_name(o->command));
	else
		mistake_long(o, word[0] == '-' && word[1] == '-' ? word + 2 : word);
}

/* A setting's option, with what was before it on the command line. */
struct given {
	const struct option_spec *spec;
	const char *arg;
};

static bool given_before(const struct given *given, size_t i)
{
	const struct option_spec *spec = given[i].spec;

	while (i-- > 0)
		if (given[i].spec == spec)
			return true;
	return false;
}

/* --tag k=1 --tag k=2: one of them is a slip. Tags of the file are replaced without a word. */
static bool same_tag_before(const struct given *given, size_t i)
{
	size_t len = strcspn(given[i].arg, "="), j;

	for (j = 0; j < i; j++)
		if (given[j].spec == given[i].spec && strcspn(given[j].arg, "=") == len &&
		    !strncmp(given[j].arg, given[i].arg, len))
			return true;
	return false;
}

static void apply_given(struct options *o, const struct given *given, size_t i)
{
	const struct option_spec *spec = given[i].spec;
	struct conf_how how = {false, false};
	struct conf_place place = {&o->errors, NULL, 0, 0, NULL};
	struct conf_setting setting;
	char name[64];

	if (!spec->setting) { /* --set */
		spec->parse(o, given[i].arg);
		return;
	}
	setting = *conf_setting_find(&conf_schema, spec->setting);
	setting.least = spec->least ? spec->least : setting.least;
	snprintf(name, sizeof(name), "--%s", spec->name);
	place.path = name;
	how.append =
	    spec->how == OPTION_ADD || (spec->how != OPTION_REPLACE && given_before(given, i));
	how.one = spec->how == OPTION_ADD || spec->how == OPTION_WHOLE;
	if (spec->how == OPTION_ADD && same_tag_before(given, i))
		mistake(o, "--%s: '%.*s' is given twice: leave one out", spec->name,
			(int)strcspn(given[i].arg, "="), given[i].arg);
	else if (!*given[i].arg && (setting.flags & CONF_LIST) && !how.one)
		mistake(o, "--%s: '' will not do: want such as %s", spec->name, setting.example);
	else if (!*given[i].arg && setting.type == CONF_STRING)
		mistake(o, "--%s: '' will not do: want such as %s", spec->name, setting.example);
	else if (conf_value_set(&setting, conf_at(&setting, &o->conf),
				spec->text ? spec->text : given[i].arg, how, &place))
		o->misused = true;
}

/* Options that are no settings count at once; the others are put into given[]. */
static size_t parse_arguments(struct options *o, int argc, char **argv, struct given *given)
{
	struct option longs[OPTIONS_MOST];
	char letters[2 * OPTIONS_MOST + 2];
	size_t n = 0;
	int c;

	getopt_tables(o->command, longs, letters);
	opterr = 0;
	optind = 0; /* begin anew, also inside one argument (glibc) */
	while ((c = getopt_long(argc, argv, letters, longs, NULL)) != -1) {
		const struct option_spec *spec = c == '?' || c == ':' ? NULL : spec_of(c);

		if (!spec) {
			mistake_option(o, c, argv[optind > 0 ? optind - 1 : 0]);
			continue;
		}
		if (spec->parse && spec->parse != parse_set)
			spec->parse(o, optarg);
		if (spec->setting || spec->parse == parse_set) {
			given[n].spec = spec;
			given[n++].arg = optarg ? optarg : spec->text;
		}
	}
	o->files = argv + optind;
	o->nfiles = (size_t)(argc - optind);
	return n;
}

/* The file that is named, by -c before the environment; run also looks where it should be. */
static void load_config(struct options *o, char *const *env)
{
	static const char name[] = "FLOWLINE_CONFIG=";
	int err;

	for (; !o->config_file && env && *env; env++)
		if (!strncmp(*env, name, sizeof(name) - 1))
			o->config_file = *env + sizeof(name) - 1;
	if (!o->config_file && access(CONF_DEFAULT_FILE, F_OK) == 0 &&
	    (o->command == COMMAND_RUN || o->command == COMMAND_DOCTOR ||
	     (o->command == COMMAND_STATUS && !o->socket)))
		o->config_file = CONF_DEFAULT_FILE;
	if (!o->config_file || !*o->config_file)
		return;
	err = conf_load_file(&o->conf, o->config_file, &o->errors);
	(void)err; /* counted in errors */
}

/* Words that are neither options nor their values. */
static void check_words(struct options *o)
{
	size_t i, std_input = 0;

	if (o->command == COMMAND_READ) {
		if (!o->nfiles)
			mistake(o, "read: which capture file? Name one or several, or - for "
				   "standard input");
		for (i = 0; i < o->nfiles; i++) {
			std_input += !strcmp(o->files[i], "-");
			if (!*o->files[i])
				mistake(o, "read: a file name is empty: leave it out");
		}
		if (std_input > 1)
			mistake(o, "read: standard input (-) can be read once only");
		return;
	}
	if (o->command == COMMAND_CHECK)
		return;
	for (i = 0; i < o->nfiles && o->command != COMMAND_HELP; i++) {
		char shown[CONF_SHOWN_SIZE];

		conf_shown(o->files[i], shown);
		if (o->command == COMMAND_RUN && strstr(o->files[i], "://"))
			mistake(o, "run: unexpected '%s': an output is named with -o", shown);
		else if (o->command == COMMAND_RUN)
			mistake(o,
				"run: unexpected '%s': an interface is named with -i %s, a "
				"capture file is for 'flowline read'",
				shown, shown);
		else
			mistake(o, "%s: unexpected '%s': leave it out", command_name(o->command),
				shown);
	}
}

static void unknown_command(struct options *o, const char *word)
{
	const char *meant = did_you_mean(word, command_names, NCOMMANDS);

	if (word[0] == '-' && word[1])
		mistake(o,
			"'%s' comes before the command: write 'flowline read' or 'flowline run' "
			"first, then the options",
			word);
	else if (meant)
		mistake(o, "unknown command '%s' (did you mean '%s'?)", word, meant);
	else if (!strcmp(word, "-") || access(word, F_OK) == 0)
		mistake(o, "unknown command '%s' (did you mean 'flowline read %s'?)", word, word);
	else
		mistake(o,
			"unknown command '%s': want read, run, status, doctor, filters or "
			"check-config",
			word);
}

int options_from_conf(struct options *o)
{
	const struct conf *c = &o->conf;
	size_t i;

	o->ring_bytes = c->capture.ring_bytes;
	o->tunnels_inner = c->capture.tunnels == CONF_TUNNELS_INNER;
	o->no_fold = !c->points.fold_client_port;
	memcpy(o->dns_ports, c->dns.ports.v, c->dns.ports.n * sizeof(o->dns_ports[0]));
	o->ndns_ports = c->dns.ports.n;
	o->interval_ns = c->interval_ns;
	o->dns_timeout_ns = c->dns.timeout_ns;
	o->http_timeout_ns = c->http.timeout_ns;
	o->http_max_path = c->http.max_path;
	o->max_flows = c->flows.max_flows;
	if (c->local.n)
		memcpy(o->local, c->local.v, c->local.n * sizeof(o->local[0]));
	o->nlocal = c->local.n;
	for (i = 0; i < c->tags.n; i++) {
		o->tags[i].key = c->tags.v[i].key;
		o->tags[i].value = c->tags.v[i].value;
	}
	o->ntags = c->tags.n;
	snprintf(o->host, sizeof(o->host), "%s", c->host);
	o->log_level = (enum log_level)c->log.level;
	return 0;
}

/* Defaults, file, environment, command line. */
static void configure(struct options *o, const struct given *given, size_t n, char *const *env)
{
	size_t i;
	int err;

	load_config(o, env);
	err = conf_env(&o->conf, env, &o->errors);
	(void)err; /* counted in errors */
	for (i = 0; i < n; i++)
		apply_given(o, given, i);
	if (!o->errors.n && conf_check(&o->conf, &o->errors))
		return; /* told */
	if (!o->errors.n && options_from_conf(o))
		conf_errors_add(&o->errors, "memory was refused");
}

/* `flowline help [COMMAND]` */
static void parse_help_topic(struct options *o)
{
	if (o->command != COMMAND_HELP || o->help_topic || !o->nfiles)
		return;
	o->help_topic = command_find(o->files[0]);
	if (!o->help_topic)
		unknown_command(o, o->files[0]);
}

static unsigned int command_of(const char *word)
{
	if (!strcmp(word, "--help") || !strcmp(word, "-h"))
		return COMMAND_HELP;
	if (!strcmp(word, "--version") || !strcmp(word, "-V"))
		return COMMAND_VERSION;
	if (!strcmp(word, "--print-default-config"))
		return COMMAND_DEFAULTS;
	if (!strcmp(word, "--print-config-manual"))
		return COMMAND_MANUAL;
	if (!strcmp(word, "--print-completion"))
		return COMMAND_COMPLETION;
	return command_find(word);
}

static int parse_words(struct options *o, int argc, char **argv, char *const *env)
{
	struct given *given;
	size_t n = 1;
	int i;

	for (i = 0; i < argc; i++)
		n += strlen(argv[i]) + 1; /* -vqvq is four options */
	given = calloc(n, sizeof(*given));
	if (!given) {
		mistake(o, "memory was refused");
		return FL_EUSAGE;
	}
	n = parse_arguments(o, argc - 1, argv + 1, given);
	if (o->command == COMMAND_HELP && o->help_topic && !(o->help_topic & COMMAND_HELP)) {
		free(given);
		conf_errors_init(&o->errors); /* who asks for help is helped */
		return 0;
	}
	if (o->command & ALL)
		configure(o, given, n, env);
	free(given);
	parse_help_topic(o);
	check_words(o);
	return o->errors.n ? FL_EUSAGE : 0;
}

int options_parse(struct options *o, int argc, char **argv, char *const *env)
{
	const char *word = argc > 1 ? argv[1] : NULL;

	memset(o, 0, sizeof(*o));
	o->argc = argc;
	o->argv = argv;
	o->env = env;
	conf_errors_init(&o->errors);
	if (conf_default(&o->conf)) {
		mistake(o, "memory was refused");
		return FL_EUSAGE;
	}
	if (!word) {
		mistake(o,
			"which command? 'flowline read FILE', 'flowline run' or 'flowline --help'");
		return FL_EUSAGE;
	}
	o->command = command_of(word);
	if (!o->command) {
		unknown_command(o, word);
		return FL_EUSAGE;
	}
	return parse_words(o, argc, argv, env);
}

void options_free(struct options *o)
{
	conf_free(&o->conf);
	o->ntags = 0;
}

void options_log_errors(const struct options *o)
{
	const char *line = o->errors.text, *end;

	for (; (end = strchr(line, '\n')) != NULL; line = end + 1)
		log_error("%.*s", (int)(end - line), line);
	if (o->errors.left_out)
		log_error("and %zu more mistakes", o->errors.left_out);
}
