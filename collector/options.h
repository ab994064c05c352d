/* options.h - the command line of every command, read and checked, and the configuration that comes
 * of defaults, file, environment and command line, in this order.
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
#include "conf/conf.h"
#include "output/line.h"

enum {
	COMMAND_READ = 1 << 0,
	COMMAND_RUN = 1 << 1,
	COMMAND_FILTERS = 1 << 2,
	COMMAND_HELP = 1 << 3,
	COMMAND_VERSION = 1 << 4,
	COMMAND_CHECK = 1 << 5,
	COMMAND_STATUS = 1 << 6,
	COMMAND_DOCTOR = 1 << 7,
	COMMAND_DEFAULTS = 1 << 8,    /* --print-default-config */
	COMMAND_MANUAL = 1 << 9,      /* --print-config-manual, for the build, as is */
	COMMAND_COMPLETION = 1 << 10, /* --print-completion */
};

enum {
	OPTIONS_MAX_TAGS = 64,
	OPTIONS_MAX_NETS = 256,
	OPTIONS_MAX_PORTS = 32, /* FILTER_DNS_PORTS_MAX */
	OPTIONS_HOST_SIZE = 256,
};

struct options {
	unsigned int command;    /* one of COMMAND_* */
	unsigned int help_topic; /* COMMAND_HELP: of which command; 0: of the program */
	char **files;            /* read, check-config: borrowed from argv */
	size_t nfiles;
	const char *config_file; /* borrowed; "": none; NULL: not said */
	int argc;                /* what it was parsed of; borrowed */
	char **argv;
	char *const *env;
	struct conf conf; /* all settings */
	/* Of conf, as read and run have it: */
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
	struct line_tag tags[OPTIONS_MAX_TAGS]; /* borrowed from conf */
	size_t ntags;
	char host[OPTIONS_HOST_SIZE]; /* "": ask the system */
	bool stats;
	bool quiet;
	bool json;          /* status, doctor */
	const char *socket; /* status: borrowed from argv; NULL: conf.status.socket */
	enum log_level log_level;
	struct conf_errors errors;
	bool misused; /* an error is of the command line, not of the configuration alone */
};

/* Read argv, env and the configuration file that they name (run, doctor, and status without
 * --socket: or CONF_DEFAULT_FILE where it exists). 0, or FL_EUSAGE with all that is wrong in
 * o->errors. argv and env must outlive o; argv may be put in another order (getopt_long). Needs
 * options_free() in every case. */
int options_parse(struct options *o, int argc, char **argv, char *const *env) MUST_CHECK;
void options_free(struct options *o);

/* Bring what is of conf up to date after conf was changed. 0, or -ENOMEM. */
int options_from_conf(struct options *o) MUST_CHECK;

/* Say each mistake of o->errors, as errors. */
void options_log_errors(const struct options *o);

/* One option as help shows it. */
struct option_spec {
	const char *name;
	char letter;           /* 0: long form only */
	const char *arg;       /* metavariable; NULL: takes none */
	unsigned int commands; /* COMMAND_* that take it */
	/* An option that is short for a setting has its path; text is the value where it takes
	 * none. */
	const char *setting, *text;
	enum option_how {
		OPTION_REPLACE, /* the last one counts */
		OPTION_COLLECT, /* a list: all of them */
		OPTION_ADD,     /* a list: they are added to the configuration's */
		OPTION_WHOLE,   /* a list: all of them, and commas are part of them */
	} how;
	uint64_t least; /* 0: as the setting */
	/* One that is not. */
	void (*parse)(struct options *o, const char *arg);
	const char *help; /* lines */
};

const struct option_spec *option_specs(size_t *n);

/* "read" ... of one COMMAND_* bit; NULL where there is none. */
const char *command_name(unsigned int command);

#endif
