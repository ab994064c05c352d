/* json.c - see json.h. */
#include "collector/json.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "output/escape.h"

#define REPLACEMENT "\xef\xbf\xbd" /* U+FFFD */

void json_init(struct json *j, struct buffer *out)
{
	memset(j, 0, sizeof(*j));
	j->out = out;
}

static void new_line(struct json *j)
{
	static const char blanks[] = "                                ";

	buffer_put(j->out, "\n", 1);
	buffer_put(j->out, blanks, (size_t)j->depth * 2);
}

static void put_escaped(struct buffer *b, const char *s, size_t n)
{
	unsigned char c = (unsigned char)s[0];

	if (!n)
		buffer_str(b, REPLACEMENT);
	else if (c == '"' || c == '\\')
		buffer_printf(b, "\\%c", c);
	else if (c == '\n')
		buffer_str(b, "\\n");
	else if (c == '\t')
		buffer_str(b, "\\t");
	else if (c < 0x20 || c == 0x7f)
		buffer_printf(b, "\\u%04x", c);
	else
		buffer_put(b, s, n);
}

static void put_string(struct buffer *b, const char *s, size_t len)
{
	size_t i = 0;

	buffer_put(b, "\"", 1);
	while (i < len) {
		size_t n = utf8_length(s + i, len - i);

		put_escaped(b, s + i, n);
		i += n ? n : 1;
	}
	buffer_put(b, "\"", 1);
}

/* What stands before a value. */
static void begin(struct json *j, const char *key)
{
	bool keyed = j->depth && !j->array[j->depth - 1];

	if (keyed != (key != NULL) || (!j->depth && j->any))
		j->failed = true;
	if (j->any)
		buffer_put(j->out, ",", 1);
	if (j->depth)
		new_line(j);
	if (key) {
		put_string(j->out, key, strlen(key));
		buffer_put(j->out, ": ", 2);
	}
	j->any = true;
}

static void nest(struct json *j, const char *key, bool array)
{
	begin(j, key);
	if (j->depth == JSON_DEPTH_MOST) {
		j->failed = true;
		return;
	}
	buffer_put(j->out, array ? "[" : "{", 1);
	j->array[j->depth++] = array;
	j->any = false;
}

void json_object(struct json *j, const char *key)
{
	nest(j, key, false);
}

void json_array(struct json *j, const char *key)
{
	nest(j, key, true);
}

void json_end(struct json *j)
{
	if (!j->depth) {
		j->failed = true;
		return;
	}
	j->depth--;
	if (j->any)
		new_line(j);
	buffer_put(j->out, j->array[j->depth] ? "]" : "}", 1);
	j->any = true;
}

void json_text(struct json *j, const char *key, const char *s, size_t len)
{
	begin(j, key);
	put_string(j->out, s, len);
}

void json_string(struct json *j, const char *key, const char *s)
{
	if (s)
		json_text(j, key, s, strlen(s));
	else
		json_null(j, key);
}

void json_u64(struct json *j, const char *key, uint64_t v)
{
	begin(j, key);
	buffer_printf(j->out, "%" PRIu64, v);
}

void json_i64(struct json *j, const char *key, int64_t v)
{
	begin(j, key);
	buffer_printf(j->out, "%" PRId64, v);
}

void json_double(struct json *j, const char *key, double v)
{
	char text[40], *comma;

	if (!isfinite(v)) {
		json_null(j, key);
		return;
	}
	begin(j, key);
	snprintf(text, sizeof(text), "%.15g", v);
	comma = strchr(text, ','); /* of a locale, should anything ever set one */
	if (comma)
		*comma = '.';
	buffer_str(j->out, text);
}

void json_bool(struct json *j, const char *key, bool v)
{
	begin(j, key);
	buffer_str(j->out, v ? "true" : "false");
}

void json_null(struct json *j, const char *key)
{
	begin(j, key);
	buffer_str(j->out, "null");
}

bool json_done(struct json *j)
{
	if (j->depth || !j->any)
		j->failed = true;
	buffer_put(j->out, "\n", 1);
	return !j->failed && !j->out->failed;
}
