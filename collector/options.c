/* options.c - the command line: one table of options, a parser for each kind of value.
 *
 * getopt_long(3) does the splitting; what it has no words for (which option was meant, which
 * command an option belongs to, what a value should look like) is here.
 */
#include "collector/options.h"

#include <ctype.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NS_PER_MS 1000000ULL
#define NS_PER_S  1000000000ULL
#define NS_PER_H  (3600 * NS_PER_S)

#define READ_RUN (COMMAND_READ | COMMAND_RUN)
#define ALL      (COMMAND_READ | COMMAND_RUN | COMMAND_FILTERS)

enum { NAME_MOST = 32, OPTIONS_MOST = 40, LONG_BASE = 256 };

static const char *const command_names[] = {"read", "run", "filters", "help", "version"};

#define NCOMMANDS (sizeof(command_names) / sizeof(command_names[0]))

static void PRINTF_LIKE(2, 3) mistake(struct options *o, const char *fmt, ...)
{
	size_t room = sizeof(o->errors) - o->errors_len;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(o->errors + o->errors_len, room, fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n + 2 > room) { /* the first mistakes will do */
		o->errors[o->errors_len] = '\0';
		return;
	}
	o->errors_len += (size_t)n;
	o->errors[o->errors_len++] = '\n';
	o->errors[o->errors_len] = '\0';
}

/* Edit distance with neighbours swapped (optimal string alignment), given up beyond NAME_MOST
 * bytes. */
static unsigned int distance(const char *a, const char *b)
{
	unsigned int rows[3][NAME_MOST + 1];
	size_t la = strlen(a), lb = strlen(b), i, j;

	if (la > NAME_MOST || lb > NAME_MOST)
		return NAME_MOST;
	for (j = 0; j <= lb; j++)
		rows[0][j] = (unsigned int)j;
	for (i = 1; i <= la; i++) {
		unsigned int *row = rows[i % 3], *up = rows[(i + 2) % 3], *upup = rows[(i + 1) % 3];

		row[0] = (unsigned int)i;
		for (j = 1; j <= lb; j++) {
			unsigned int best = up[j - 1] + (a[i - 1] != b[j - 1]);

			if (up[j] + 1 < best)
				best = up[j] + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
			    upup[j - 2] + 1 < best)
				best = upup[j - 2] + 1;
			row[j] = best;
		}
	}
	return rows[la % 3][lb];
}

const char *did_you_mean(const char *word, const char *const *words, size_t n)
{
	size_t len = strlen(word), i;
	unsigned int most = len < 3 ? 1 : (unsigned int)(len / 3 + 1), best = most + 1;
	const char *meant = NULL;

	for (i = 0; i < n; i++) {
		unsigned int d = distance(word, words[i]);

		if (d < best && d < strlen(words[i])) {
			best = d;
			meant = words[i];
		}
	}
	return meant;
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

/* Values */

static void *member(struct options *o, const struct option_spec *spec)
{
	return (char *)o + spec->offset;
}

/* Digits at *s, *s moved behind them. False where there are none or too many. */
static bool digits(const char **s, uint64_t *value)
{
	const char *p = *s;
	uint64_t v = 0;

	for (; *p >= '0' && *p <= '9'; p++) {
		if (v > (UINT64_MAX - 9) / 10)
			return false;
		v = v * 10 + (uint64_t)(*p - '0');
	}
	*value = v;
	if (p == *s)
		return false;
	*s = p;
	return true;
}

struct unit {
	const char *suffix;
	uint64_t factor;
};

static const struct unit time_units[] = {
    {"ms", NS_PER_MS}, {"s", NS_PER_S},      {"m", 60 * NS_PER_S},
    {"h", NS_PER_H},   {"d", 24 * NS_PER_H}, {NULL, 0},
};

static const struct unit size_units[] = {
    {"", 1}, {"k", 1024}, {"K", 1024}, {"M", 1024 * 1024}, {"G", 1024 * 1024 * 1024}, {NULL, 0},
};

static bool number_with_unit(const char *s, const struct unit *units, uint64_t *value)
{
	if (!digits(&s, value))
		return false;
	for (; units->suffix; units++) {
		if (strcmp(s, units->suffix))
			continue;
		if (*value > UINT64_MAX / units->factor)
			return false;
		*value *= units->factor;
		return true;
	}
	return false;
}

static void format_with_unit(uint64_t v, const struct unit *units, char *out, size_t size)
{
	const struct unit *u = units, *best = units;

	for (; u->suffix; u++)
		if (u->factor > best->factor && v >= u->factor && v % u->factor == 0)
			best = u;
	snprintf(out, size, "%llu%s", (unsigned long long)(v / best->factor), best->suffix);
}

static void parse_with_unit(struct options *o, const struct option_spec *spec, const char *arg,
			    const struct unit *units, const char *what, const char *example)
{
	char least[32], most[32];
	uint64_t v;

	if (number_with_unit(arg, units, &v) && v >= spec->least && v <= spec->most) {
		memcpy(member(o, spec), &v, sizeof(v));
		return;
	}
	format_with_unit(spec->least, units, least, sizeof(least));
	format_with_unit(spec->most, units, most, sizeof(most));
	mistake(o, "--%s: '%s' is not %s: want %s to %s, such as %s", spec->name, arg, what, least,
		most, example);
}

static void parse_duration(struct options *o, const struct option_spec *spec, const char *arg)
{
	parse_with_unit(o, spec, arg, time_units, "a duration", "10s");
}

static void parse_size(struct options *o, const struct option_spec *spec, const char *arg)
{
	parse_with_unit(o, spec, arg, size_units, "a size", "8M");
}

static void parse_count(struct options *o, const struct option_spec *spec, const char *arg)
{
	const char *s = arg;
	uint64_t v;

	if (digits(&s, &v) && !*s && v >= spec->least && v <= spec->most)
		memcpy(member(o, spec), &v, sizeof(v));
	else
		mistake(o, "--%s: '%s' will not do: want a number from %llu to %llu", spec->name,
			arg, (unsigned long long)spec->least, (unsigned long long)spec->most);
}

static void parse_flag(struct options *o, const struct option_spec *spec, const char *arg)
{
	bool on = true;

	(void)arg;
	memcpy(member(o, spec), &on, sizeof(on));
}

/* The next piece of a comma list, in piece[]; false at its end. A piece that is too long is cut: no
 * valid value is that long. */
static bool next_piece(const char **list, char *piece, size_t size)
{
	const char *s = *list, *end;
	size_t len;

	if (!s)
		return false;
	end = strchr(s, ',');
	len = end ? (size_t)(end - s) : strlen(s);
	if (len >= size)
		len = size - 1;
	memcpy(piece, s, len);
	piece[len] = '\0';
	*list = end ? end + 1 : NULL;
	return true;
}

static void add_port(struct options *o, uint16_t port)
{
	size_t i;

	for (i = 0; i < o->ndns_ports; i++)
		if (o->dns_ports[i] == port)
			return;
	if (o->ndns_ports == OPTIONS_MAX_PORTS)
		mistake(o, "--dns-ports: more than %d ports: leave some out", OPTIONS_MAX_PORTS);
	else
		o->dns_ports[o->ndns_ports++] = port;
}

static void parse_ports(struct options *o, const struct option_spec *spec, const char *arg)
{
	char piece[64];

	o->ndns_ports = 0; /* replaces the default, and what was said before */
	while (next_piece(&arg, piece, sizeof(piece))) {
		const char *s = piece;
		uint64_t v;

		if (digits(&s, &v) && !*s && v >= 1 && v <= 65535)
			add_port(o, (uint16_t)v);
		else
			mistake(o, "--%s: '%s' is not a port: want 1 to 65535, such as 53,5300",
				spec->name, piece);
	}
}

static void parse_nets(struct options *o, const struct option_spec *spec, const char *arg)
{
	char piece[128];

	while (next_piece(&arg, piece, sizeof(piece))) {
		if (o->nlocal == OPTIONS_MAX_NETS) {
			mistake(o, "--%s: more than %d networks: join some", spec->name,
				OPTIONS_MAX_NETS);
			return;
		}
		if (net_parse(&o->local[o->nlocal], piece) == 0)
			o->nlocal++;
		else
			mistake(o,
				"--%s: '%s' is not a network: want such as 10.0.0.0/8, "
				"2001:db8::/32 or 192.0.2.7",
				spec->name, piece);
	}
}

static bool iface_name_valid(const char *s)
{
	size_t len = strlen(s);

	if (!len || len >= OPTIONS_IFACE_SIZE || !strcmp(s, ".") || !strcmp(s, ".."))
		return false;
	for (; *s; s++) /* dev_valid_name(), net/core/dev.c */
		if (*s == '/' || *s == ':' || isspace((unsigned char)*s))
			return false;
	return true;
}

static void parse_ifaces(struct options *o, const struct option_spec *spec, const char *arg)
{
	char piece[64];
	size_t i;

	while (next_piece(&arg, piece, sizeof(piece))) {
		if (!iface_name_valid(piece)) {
			mistake(o,
				"--%s: '%s' cannot be an interface's name: 'ip link' shows "
				"those that there are",
				spec->name, piece);
			continue;
		}
		for (i = 0; i < o->nifaces && strcmp(o->ifaces[i], piece); i++)
			;
		if (i < o->nifaces)
			continue;
		if (o->nifaces == OPTIONS_MAX_IFACES) {
			mistake(o, "--%s: more than %d interfaces: leave -i out to see them all",
				spec->name, OPTIONS_MAX_IFACES);
			return;
		}
		snprintf(o->ifaces[o->nifaces++], OPTIONS_IFACE_SIZE, "%.15s", piece);
	}
}

static void parse_tag(struct options *o, const struct option_spec *spec, const char *arg)
{
	const char *eq = strchr(arg, '=');
	size_t len = eq ? (size_t)(eq - arg) : 0, i;
	char *key;

	if (!len || !eq[1]) {
		mistake(o, "--%s: '%s' is not a tag: want KEY=VALUE, such as env=prod", spec->name,
			arg);
		return;
	}
	if (len == 4 && !memcmp(arg, "time", 4)) {
		mistake(o, "--tag: 'time' is a reserved name in line protocol: take another");
		return;
	}
	for (i = 0; i < o->ntags; i++) {
		if (strlen(o->tags[i].key) == len && !memcmp(o->tags[i].key, arg, len)) {
			mistake(o, "--tag: '%s' is given twice: leave one out", o->tags[i].key);
			return;
		}
	}
	if (o->ntags == OPTIONS_MAX_TAGS) {
		mistake(o, "--tag: more than %d tags: leave some out", OPTIONS_MAX_TAGS);
		return;
	}
	key = strndup(arg, len);
	if (!key) {
		mistake(o, "--tag: memory was refused");
		return;
	}
	o->tags[o->ntags].key = key;
	o->tags[o->ntags++].value = eq + 1;
}

static void parse_tunnels(struct options *o, const struct option_spec *spec, const char *arg)
{
	if (!strcmp(arg, "inner"))
		o->tunnels_inner = true;
	else if (!strcmp(arg, "outer"))
		o->tunnels_inner = false;
	else
		mistake(o, "--%s: '%s' is not known: want inner or outer", spec->name, arg);
}

static void parse_host(struct options *o, const struct option_spec *spec, const char *arg)
{
	if (!*arg || strlen(arg) >= sizeof(o->host))
		mistake(o, "--%s: want a name of 1 to %d bytes", spec->name, OPTIONS_HOST_SIZE - 1);
	else
		snprintf(o->host, sizeof(o->host), "%s", arg);
}

static void parse_sink(struct options *o, const struct option_spec *spec, const char *arg)
{
	if (!strcmp(arg, "-") || (!strncmp(arg, "file:", 5) && arg[5]))
		o->sink = arg;
	else if (*arg && !strchr(arg, ':'))
		mistake(o, "--%s: unknown sink '%s' (did you mean 'file:%s'?)", spec->name, arg,
			arg);
	else
		mistake(o, "--%s: unknown sink '%s': want - (standard output) or file:PATH",
			spec->name, arg);
}

static void parse_verbose(struct options *o, const struct option_spec *spec, const char *arg)
{
	(void)spec;
	(void)arg;
	o->log_level = LOG_LEVEL_DEBUG;
}

static void parse_quiet(struct options *o, const struct option_spec *spec, const char *arg)
{
	(void)spec;
	(void)arg;
	o->log_level = LOG_LEVEL_ERROR;
	o->quiet = true;
}

static void parse_help(struct options *o, const struct option_spec *spec, const char *arg)
{
	(void)spec;
	(void)arg;
	if (o->command != COMMAND_HELP)
		o->help_topic = o->command;
	o->command = COMMAND_HELP;
}

#define AT(m) offsetof(struct options, m)

static const struct option_spec specs[] = {
    {"interface", 'i', "IFACE", COMMAND_RUN, parse_ifaces, 0, 0, 0,
     "watch this interface only (repeat it, or a comma list);\n"
     "one that is not there yet is waited for. Default: all"},
    {"duration", 0, "TIME", COMMAND_RUN, parse_duration, AT(duration_ns), 10 * NS_PER_MS,
     3650 * 24 * NS_PER_H, "stop after this long. Default: until SIGINT or SIGTERM"},
    {"ring-size", 0, "SIZE", COMMAND_RUN, parse_size, AT(ring_bytes), 1 << 19, 1 << 30,
     "memory for packets on the way from the kernel, for each\n"
     "interface named. Default: 4M"},
    {"output", 'o', "SINK", READ_RUN, parse_sink, 0, 0, 0,
     "where points go: - (standard output, the default) or\n"
     "file:PATH (appended to)"},
    {"interval", 0, "TIME", READ_RUN, parse_duration, AT(interval_ns), 10 * NS_PER_MS,
     24 * NS_PER_H, "length of a cycle: points are written at its end. Default: 60s"},
    {"local", 0, "CIDR", READ_RUN, parse_nets, 0, 0, 0,
     "a local network (repeat it, or a comma list): its side of\n"
     "a flow is src. run knows the host's own addresses"},
    {"no-fold", 0, NULL, READ_RUN, parse_flag, AT(no_fold), 0, 0,
     "write client ports as they are, not as *"},
    {"dns-ports", 0, "PORTS", ALL, parse_ports, 0, 0, 0,
     "ports on which DNS is spoken, a comma list. Default: 53"},
    {"dns-timeout", 0, "TIME", READ_RUN, parse_duration, AT(dns_timeout_ns), NS_PER_MS, NS_PER_H,
     "a DNS query without answer is given up. Default: 5s"},
    {"http-timeout", 0, "TIME", READ_RUN, parse_duration, AT(http_timeout_ns), NS_PER_MS, NS_PER_H,
     "an HTTP request without response is given up. Default: 60s"},
    {"http-max-path", 0, "BYTES", READ_RUN, parse_count, AT(http_max_path), 1, 1024,
     "longer HTTP paths are cut. Default: 150"},
    {"tunnels", 0, "SIDE", ALL, parse_tunnels, 0, 0, 0,
     "inner: VXLAN and Geneve are looked into; outer (default):\n"
     "they are UDP flows"},
    {"max-flows", 0, "COUNT", READ_RUN, parse_count, AT(max_flows), 64, 1 << 24,
     "flows remembered at one time; with more, the least recently\n"
     "seen end early. Default: 1048576 (read), 262144 (run)"},
    {"tag", 0, "KEY=VALUE", READ_RUN, parse_tag, 0, 0, 0,
     "add this tag to every point (repeat it)"},
    {"host", 0, "NAME", READ_RUN, parse_host, 0, 0, 0,
     "the tag host. Default: this machine's name"},
    {"stats", 0, NULL, READ_RUN, parse_flag, AT(stats), 0, 0,
     "at the end, a table of what was seen, used and lost, on\n"
     "standard error"},
    {"verbose", 'v', NULL, ALL, parse_verbose, 0, 0, 0, "say more on standard error"},
    {"quiet", 'q', NULL, ALL, parse_quiet, 0, 0, 0, "say nothing but errors"},
    {"help", 'h', NULL, ALL | COMMAND_HELP | COMMAND_VERSION, parse_help, 0, 0, 0, "this text"},
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

static void parse_arguments(struct options *o, int argc, char **argv)
{
	struct option longs[OPTIONS_MOST];
	char letters[2 * OPTIONS_MOST + 2];
	int c;

	getopt_tables(o->command, longs, letters);
	opterr = 0;
	optind = 0; /* begin anew, also inside one argument (glibc) */
	while ((c = getopt_long(argc, argv, letters, longs, NULL)) != -1) {
		const struct option_spec *spec = c == '?' || c == ':' ? NULL : spec_of(c);

		if (spec)
			spec->parse(o, spec, optarg);
		else
			mistake_option(o, c, argv[optind > 0 ? optind - 1 : 0]);
	}
	o->files = argv + optind;
	o->nfiles = (size_t)(argc - optind);
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
	for (i = 0; i < o->nfiles && o->command != COMMAND_HELP; i++) {
		if (o->command == COMMAND_RUN)
			mistake(o,
				"run: unexpected '%s': an interface is named with -i %s, a "
				"capture file is for 'flowline read'",
				o->files[i], o->files[i]);
		else
			mistake(o, "%s: unexpected '%s': leave it out", command_name(o->command),
				o->files[i]);
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
		mistake(o, "unknown command '%s': want read, run or filters", word);
}

static void defaults(struct options *o)
{
	memset(o, 0, sizeof(*o));
	o->dns_ports[0] = 53;
	o->ndns_ports = 1;
	o->interval_ns = 60 * NS_PER_S;
	o->dns_timeout_ns = 5 * NS_PER_S;
	o->http_timeout_ns = 60 * NS_PER_S;
	o->http_max_path = 150;
	o->ring_bytes = 4 << 20;
	o->sink = "-";
	o->log_level = LOG_LEVEL_INFO;
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

int options_parse(struct options *o, int argc, char **argv)
{
	const char *word = argc > 1 ? argv[1] : NULL;

	defaults(o);
	if (!word) {
		mistake(o,
			"which command? 'flowline read FILE', 'flowline run' or 'flowline --help'");
		return FL_EUSAGE;
	}
	if (!strcmp(word, "--help") || !strcmp(word, "-h"))
		o->command = COMMAND_HELP;
	else if (!strcmp(word, "--version") || !strcmp(word, "-V"))
		o->command = COMMAND_VERSION;
	else
		o->command = command_find(word);
	if (!o->command) {
		unknown_command(o, word);
		return FL_EUSAGE;
	}
	parse_arguments(o, argc - 1, argv + 1);
	if (o->command == COMMAND_HELP && o->help_topic && !(o->help_topic & COMMAND_HELP)) {
		o->errors_len = 0; /* who asks for help is helped */
		return 0;
	}
	parse_help_topic(o);
	check_words(o);
	return o->errors_len ? FL_EUSAGE : 0;
}

void options_free(struct options *o)
{
	size_t i;

	for (i = 0; i < o->ntags; i++)
		free((char *)o->tags[i].key);
	o->ntags = 0;
}
