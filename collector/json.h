/* json.h - writes JSON (RFC 8259) piece by piece into a buffer, indented for people.
 *
 *	json_init(&j, &buffer);
 *	json_object(&j, NULL);
 *	json_u64(&j, "pid", 4711);
 *	json_array(&j, "names");
 *	json_string(&j, NULL, "eth0");
 *	json_end(&j);
 *	json_end(&j);
 *	if (!json_done(&j)) ...
 *
 * Inside an object each value has a key, inside an array and at the top none (NULL). Keys are as
 * they are: the program's own words. Texts may hold any bytes: what is not UTF-8 (RFC 3629) becomes
 * U+FFFD, one for each byte.
 */
#ifndef COLLECTOR_JSON_H
#define COLLECTOR_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "collector/buffer.h"

enum { JSON_DEPTH_MOST = 16 };

struct json {
	struct buffer *out; /* borrowed */
	unsigned int depth;
	bool any; /* there is a value before the next one, in the same object or array */
	bool array[JSON_DEPTH_MOST];
	bool failed; /* nested wrongly, or too deep */
};

void json_init(struct json *j, struct buffer *out);

void json_object(struct json *j, const char *key);
void json_array(struct json *j, const char *key);
void json_end(struct json *j); /* of the innermost of both */

void json_text(struct json *j, const char *key, const char *s, size_t len);
void json_string(struct json *j, const char *key, const char *s); /* NULL: null */
void json_u64(struct json *j, const char *key, uint64_t v);
void json_i64(struct json *j, const char *key, int64_t v);
/* 15 significant digits; what is no number becomes null. */
void json_double(struct json *j, const char *key, double v);
void json_bool(struct json *j, const char *key, bool v);
void json_null(struct json *j, const char *key);

/* End the text with a newline. False: it is not complete, or did not fit. */
bool json_done(struct json *j);

#endif
