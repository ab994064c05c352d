/* schema.h - the table of settings. It drives the file's reader, --set, the environment, the
 * printed default file and the manual page: a new setting is a field in conf.h and a row in
 * schema.c.
 */
#ifndef CONF_SCHEMA_H
#define CONF_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf/conf.h"

/* What one value is; behind it, what it is stored as. */
enum conf_type {
	CONF_BOOL,     /* bool */
	CONF_COUNT,    /* size_t */
	CONF_DURATION, /* uint64_t, ns */
	CONF_SIZE,     /* size_t, bytes */
	CONF_PERCENT,  /* unsigned int */
	CONF_ENUM,     /* an enum: the index in words */
	CONF_STRING,   /* char *; least to most bytes */
	CONF_WORD,     /* char *, one of words */
	CONF_IFACE,    /* char *, an interface's name or pattern */
	CONF_LABEL,    /* char *, an output's own name */
	CONF_URL,      /* char *, http(s)://host[:port][/path][?query] */
	CONF_PROXY,    /* char *, [scheme://][user:password@]host[:port] */
	CONF_ADDRESS,  /* char *, host:port */
	CONF_HEADER,   /* char *, "Name: value" */
	CONF_PORT,     /* uint16_t */
	CONF_NET,      /* struct ip_net */
	CONF_TAG,      /* struct conf_tag */
	CONF_EXCLUDE,  /* struct conf_exclude */
	CONF_OUTPUT,   /* struct conf_output */
};

enum {
	CONF_LIST = 1 << 0,    /* a pointer to values and a size_t */
	CONF_SOME = 1 << 1,    /* a list, and may not be empty; in a record: must be there */
	CONF_AUTO = 1 << 2,    /* a count that may be "auto": 0 */
	CONF_RESTART = 1 << 3, /* cannot change while running */
	CONF_SECRET = 1 << 4,  /* KEY_file names a file that holds it; never shown */
};

struct conf_setting {
	const char *path; /* "flows.max_flows" */
	enum conf_type type;
	unsigned int flags;
	size_t offset; /* in struct conf, or in the record */
	uint64_t least, most;
	size_t items_most;
	const char *initial; /* the default, as --set would have it */
	const char *example;
	const char *const *words; /* NULL at the end */
	const char *doc;          /* sentences */
};

struct conf_group {
	const struct conf_setting *settings;
	size_t n;
};

extern const struct conf_group conf_schema; /* of struct conf, by section */

/* The settings inside one value: CONF_EXCLUDE's; of an output's kind, schema_output.c. */
extern const struct conf_group conf_exclude_group;
extern const char *const conf_output_kinds[]; /* by enum conf_output_kind; NULL at the end */
extern const char *const conf_output_docs[];
extern const struct conf_group conf_output_groups[];

/* Outputs for what is often met, as they stand in a file. */
struct conf_example {
	const char *title;
	const char *text; /* lines */
};

extern const struct conf_example conf_output_examples[]; /* title NULL at the end */

struct conf_section {
	const char *path, *doc;
};

const struct conf_section *conf_section_find(const char *path);

/* NULL: there is none. */
const struct conf_setting *conf_setting_find(const struct conf_group *g, const char *path);

bool conf_setting_restarts(const struct conf_setting *s);

#endif
