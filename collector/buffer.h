/* buffer.h - a text that grows, up to a limit: what is put together before it is sent or shown.
 *
 * The first failure (the limit, memory) sticks: what is put behind it is left out, so that a writer
 * asks once, at the end.
 */
#ifndef COLLECTOR_BUFFER_H
#define COLLECTOR_BUFFER_H

#include <stdbool.h>
#include <stddef.h>

#include "common/error.h"

struct buffer {
	char *s;          /* owned; 0-terminated; NULL while nothing was put */
	size_t len, size; /* bytes, without and with what is still free */
	size_t most;      /* of len */
	bool failed;
};

/* Empty; nothing is allocated. */
void buffer_init(struct buffer *b, size_t most);
void buffer_free(struct buffer *b); /* leaves it empty */

void buffer_put(struct buffer *b, const char *s, size_t len);
void buffer_str(struct buffer *b, const char *s); /* NULL is as "" */
void buffer_printf(struct buffer *b, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* Any bytes, made fit for a terminal: control characters and what is not UTF-8 become '?'. */
void buffer_clean(struct buffer *b, const char *s, size_t len);

#endif
