/* errors.h - mistakes in a configuration, collected so that a person mends them in one go.
 *
 * One line each, whole lines only: "flowline.yaml:15:19: flows.max_flows: '1 k' ... want ...".
 */
#ifndef CONF_ERRORS_H
#define CONF_ERRORS_H

#include <stddef.h>

#include "common/error.h"

enum { CONF_ERRORS_SIZE = 16384 };

struct conf_errors {
	char text[CONF_ERRORS_SIZE]; /* lines, each with its '\n'; 0-terminated */
	size_t len;                  /* of text */
	size_t n;                    /* of all mistakes */
	size_t left_out;             /* of them: not in text, because it was full */
};

void conf_errors_init(struct conf_errors *e);

/* Add one line (fmt without the '\n'). What does not fit is counted and left out. */
void conf_errors_add(struct conf_errors *e, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* Where a value came from, and what it is for. */
struct conf_place {
	struct conf_errors *errors;
	const char *file;          /* NULL: not out of a file */
	unsigned int line, column; /* from 1; in file */
	const char *path;          /* "flows.max_flows", "--interval"; NULL: none */
};

/* Add a line with the place before it. */
void conf_complain(const struct conf_place *at, const char *fmt, ...) PRINTF_LIKE(2, 3);

enum { CONF_SHOWN_SIZE = 84 };

/* A value as a message may quote it: cut to about 80 bytes on a character's boundary, '?' for
 * control characters; what is secret in a URL is ***. out may not be text. Returns out. */
const char *conf_shown(const char *text, char out[CONF_SHOWN_SIZE]);

#endif
