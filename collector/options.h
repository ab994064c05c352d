/* options.h - the command line of every command, read and checked.
 *
 * GNU conventions: long options may be abbreviated and may follow the file names, "--" ends them.
 * All mistakes are collected, so that a person mends them in one go.
 */
#ifndef COLLECTOR_OPTIONS_H
#define COLLECTOR_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/addr.h"
#include "common/error.h"
#include "common/log.h"
#include "output/line.h"

enum {
	COMMAND_READ = 1 << 0,
	COMMAND_RUN = 1 << 1,
	COMMAND_FILTERS = 1 << 2,
	COMMAND_HELP = 1 << 3,
	COMMAND_VERSION = 1 << 4,
};

enum {
	OPTIONS_MAX_TAGS = 64,
	OPTIONS_MAX_NETS = 256,
	OPTIONS_MAX_PORTS = 32, /* FILTER_DNS_PORTS_MAX */
	OPTIONS_MAX_IFACES = 32,
	OPTIONS_HOST_SIZE = 256,
	OPTIONS_IFACE_SIZE = 16, /* IFNAMSIZ */
	OPTIONS_ERRORS_SIZE = 8192,
};

struct options {
	unsigned int command;    /* one of COMMAND_* */
	unsigned int help_topic; /* COMMAND_HELP: of which command; 0: of the program */
	char **files;            /* read: borrowed from argv */
	size_t nfiles;
	char ifaces[OPTIONS_MAX_IFACES][OPTIONS_IFACE_SIZE]; /* run; none: all */
	size_t nifaces;
	uint64_t duration_ns; /* run; 0: until a signal */
	uint64_t ring_bytes;
	bool no_fold;
	uint16_t dns_ports[OPTIONS_MAX_PORTS];
	size_t ndns_ports;
	uint64_t interval_ns, dns_timeout_ns, http_timeout_ns;
	uint64_t http_max_path, max_flows; /* max_flows 0: the command's default */
	bool tunnels_inner;
	struct ip_net local[OPTIONS_MAX_NETS];
	size_t nlocal;
	const char *sink;                       /* borrowed from argv */
	struct line_tag tags[OPTIONS_MAX_TAGS]; /* keys are owned, values borrowed from argv */
	size_t ntags;
	char host[OPTIONS_HOST_SIZE]; /* "": ask the system */
	bool stats;
	bool quiet;
	enum log_level log_level;
	char errors[OPTIONS_ERRORS_SIZE]; /* one message a line */
	size_t errors_len;
};

/* Read argv. 0, or FL_EUSAGE with all that is wrong in o->errors. argv must outlive o, and may be
 * put in another order (getopt_long). Needs options_free() in every case. */
int options_parse(struct options *o, int argc, char **argv) MUST_CHECK;
void options_free(struct options *o);

/* One option as help shows it. */
struct option_spec {
	const char *name;
	char letter;           /* 0: long form only */
	const char *arg;       /* metavariable; NULL: takes none */
	unsigned int commands; /* COMMAND_* that take it */
	void (*parse)(struct options *o, const struct option_spec *spec, const char *arg);
	size_t offset;        /* of the member that it sets, where parse needs it */
	uint64_t least, most; /* of numbers */
	const char *help;     /* lines */
};

const struct option_spec *option_specs(size_t *n);

/* "read" ... of one COMMAND_* bit; NULL where there is none. */
const char *command_name(unsigned int command);

/* The word of words[0..n) that a mistyped word may have meant, or NULL. */
const char *did_you_mean(const char *word, const char *const *words, size_t n);

#endif
