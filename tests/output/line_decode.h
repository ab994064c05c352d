/* line_decode.h - an own reader of line protocol, to judge what the encoder wrote.
 *
 * Shares no code with output/. Stricter than any backend: what parsers are known to read in
 * different ways (outside strings a backslash before another one, before '"' or at the end; raw
 * control characters; tags out of order or twice; bytes that are not UTF-8) is an error here.
 */
#ifndef TESTS_OUTPUT_LINE_DECODE_H
#define TESTS_OUTPUT_LINE_DECODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { DECODE_ITEMS = 256, DECODE_BYTES = 128 * 1024 };

struct decoded_item {
	char type; /* 't' tag, 'i' integer, 'f' float (digits, a point, digits), 's' string, 'b' bool */
	size_t key_len, len;
	const char *key, *value; /* the original bytes */
};

struct decoded_line {
	const char *error; /* why it is no line */
	size_t n, used;
	struct decoded_item items[DECODE_ITEMS];
	const char *measurement;
	char time[24];
	char bytes[DECODE_BYTES];
};

struct decode_cursor {
	const char *p, *end;
	struct decoded_line *d;
};

static inline bool decode_fail(struct decode_cursor *c, const char *why)
{
	if (!c->d->error)
		c->d->error = why;
	return false;
}

/* By arithmetic, not by ranges of bytes: the code point, and whether it needed this length. */
static inline bool decode_utf8_ok(const char *s, size_t len)
{
	static const uint32_t least[5] = {0, 0, 0x80, 0x800, 0x10000};
	const unsigned char *u = (const unsigned char *)s;
	size_t i = 0, n, k;
	uint32_t cp;

	while (i < len) {
		n = u[i] < 0x80       ? 1
		    : u[i] >> 5 == 6  ? 2
		    : u[i] >> 4 == 14 ? 3
		    : u[i] >> 3 == 30 ? 4
				      : 0;
		if (!n || i + n > len)
			return false;
		cp = n == 1 ? u[i] : u[i] & (0x7fu >> n);
		for (k = 1; k < n; k++) {
			if (u[i + k] >> 6 != 2)
				return false;
			cp = cp << 6 | (u[i + k] & 63);
		}
		if ((n > 1 && cp < least[n]) || cp > 0x10ffff || (cp >= 0xd800 && cp < 0xe000))
			return false;
		i += n;
	}
	return true;
}

static inline int decode_hex_digit(char c)
{
	const char *digits = "0123456789abcdef", *at = c ? strchr(digits, c | 32) : NULL;

	return at ? (int)(at - digits) : -1;
}

/* Undo \xHH in d->bytes from `start` on; returns the length that is left. */
static inline size_t decode_bytes(struct decoded_line *d, size_t start)
{
	size_t from = start, to = start;

	while (from < d->used) {
		const char *s = d->bytes + from;

		if (d->used - from >= 4 && s[0] == '\\' && s[1] == 'x' &&
		    decode_hex_digit(s[2]) >= 0 && decode_hex_digit(s[3]) >= 0) {
			d->bytes[to++] =
			    (char)(decode_hex_digit(s[2]) * 16 + decode_hex_digit(s[3]));
			from += 4;
		} else {
			d->bytes[to++] = d->bytes[from++];
		}
	}
	d->used = to;
	d->bytes[d->used++] = 0;
	return to - start;
}

/* A name or tag value up to one of `stops`; those of `never` may not stand in it, but escaped. */
static inline bool decode_word(struct decode_cursor *c, const char *stops, const char *never,
			       const char **out, size_t *len)
{
	size_t start = c->d->used;

	while (c->p < c->end && !strchr(stops, *c->p)) {
		if (strchr(never, *c->p))
			return decode_fail(c, "special character that is not escaped");
		if (*c->p == '\\') {
			if (c->p + 1 == c->end || strchr("\\\"", c->p[1]))
				return decode_fail(c, "backslash that parsers disagree about");
			if (strchr(stops, c->p[1]) || strchr(never, c->p[1]))
				c->p++;
		}
		c->d->bytes[c->d->used++] = *c->p++;
	}
	*out = c->d->bytes + start;
	*len = decode_bytes(c->d, start);
	return *len ? true : decode_fail(c, "empty name or value");
}

static inline bool decode_string(struct decode_cursor *c, struct decoded_item *it)
{
	size_t start = c->d->used;

	for (c->p++; c->p < c->end && *c->p != '"'; c->p++) {
		if (*c->p == '\\') {
			c->p++;
			if (c->p == c->end || (*c->p != '\\' && *c->p != '"'))
				return decode_fail(c, "lone backslash in a string");
		}
		c->d->bytes[c->d->used++] = *c->p;
	}
	if (c->p == c->end)
		return decode_fail(c, "string without an end");
	c->p++;
	it->type = 's';
	it->value = c->d->bytes + start;
	it->len = decode_bytes(c->d, start);
	return true;
}

/* An integer up to and without what follows; INT64 range. */
static inline bool decode_integer(struct decode_cursor *c, struct decoded_item *it)
{
	const char *start = c->p;
	uint64_t v = 0, most = INT64_MAX;

	if (*c->p == '-') {
		c->p++;
		most++;
	}
	if (c->p == c->end || *c->p < '0' || *c->p > '9' ||
	    (*c->p == '0' && c->p + 1 < c->end && c->p[1] >= '0' && c->p[1] <= '9'))
		return decode_fail(c, "no integer");
	for (; c->p < c->end && *c->p >= '0' && *c->p <= '9'; c->p++) {
		if (v > (most - (uint64_t)(*c->p - '0')) / 10)
			return decode_fail(c, "integer beyond 64 bits");
		v = v * 10 + (uint64_t)(*c->p - '0');
	}
	it->type = 'i';
	it->len = (size_t)(c->p - start);
	it->value = c->d->bytes + c->d->used;
	memcpy(c->d->bytes + c->d->used, start, it->len);
	c->d->used += it->len;
	c->d->bytes[c->d->used++] = 0;
	return true;
}

/* What is behind the integer part of a float. */
static inline bool decode_fraction(struct decode_cursor *c, struct decoded_item *it)
{
	const char *start = c->p++;
	size_t len;

	if (c->p == c->end || *c->p < '0' || *c->p > '9')
		return decode_fail(c, "no digit behind the point");
	while (c->p < c->end && *c->p >= '0' && *c->p <= '9')
		c->p++;
	len = (size_t)(c->p - start);
	it->type = 'f';
	memcpy(c->d->bytes + c->d->used - 1, start, len); /* over the final 0 */
	it->len += len;
	c->d->used += len;
	c->d->bytes[c->d->used - 1] = 0;
	return true;
}

static inline bool decode_value(struct decode_cursor *c, struct decoded_item *it)
{
	if (c->p == c->end)
		return decode_fail(c, "field without a value");
	if (*c->p == '"')
		return decode_string(c, it);
	if (c->end - c->p > 4 && !memcmp(c->p, "true", 4)) {
		c->p += 4;
		it->type = 'b';
		it->value = "true";
		it->len = 4;
		return true;
	}
	if (!decode_integer(c, it))
		return false;
	if (c->p < c->end && *c->p == '.')
		return decode_fraction(c, it);
	if (c->p == c->end || *c->p++ != 'i')
		return decode_fail(c, "integer without i");
	return true;
}

static inline bool decode_tags(struct decode_cursor *c)
{
	struct decoded_line *d = c->d;

	while (c->p < c->end && *c->p == ',') {
		struct decoded_item *it = &d->items[d->n++];

		c->p++;
		it->type = 't';
		if (!decode_word(c, "=", ", ", &it->key, &it->key_len))
			return false;
		c->p++;
		if (!decode_word(c, ", ", "=", &it->value, &it->len))
			return false;
		if (d->n > 1 && strcmp(it[-1].key, it->key) >= 0)
			return decode_fail(c, "tags out of order, or one twice");
		if (d->n == DECODE_ITEMS)
			return decode_fail(c, "too many tags");
	}
	return true;
}

static inline bool decode_fields(struct decode_cursor *c)
{
	struct decoded_line *d = c->d;

	do {
		struct decoded_item *it = &d->items[d->n++];

		c->p++;
		if (!decode_word(c, "=", ", ", &it->key, &it->key_len))
			return false;
		c->p++;
		if (!decode_value(c, it))
			return false;
		if (d->n == DECODE_ITEMS)
			return decode_fail(c, "too many fields");
	} while (c->p < c->end && *c->p == ',');
	return true;
}

/* Read one whole line with its newline; false: d->error says why not. */
static inline bool decode_line(struct decoded_line *d, const char *line, size_t len)
{
	struct decode_cursor c = {line, line + len - 1, d};
	struct decoded_item time;
	size_t n, i;

	d->error = NULL;
	d->n = d->used = 0;
	if (!len || line[len - 1] != '\n')
		return decode_fail(&c, "no newline at the end");
	for (i = 0; i < len - 1; i++) {
		if ((unsigned char)line[i] < ' ' || line[i] == 0x7f)
			return decode_fail(&c, "raw control character");
	}
	if (!decode_utf8_ok(line, len))
		return decode_fail(&c, "not UTF-8");
	if (!decode_word(&c, ", ", "", &d->measurement, &n) || !decode_tags(&c))
		return false;
	if (c.p == c.end || *c.p != ' ')
		return decode_fail(&c, "no fields");
	if (!decode_fields(&c))
		return false;
	if (c.p == c.end || *c.p++ != ' ' || c.p == c.end || !decode_integer(&c, &time) ||
	    c.p != c.end)
		return decode_fail(&c, "no time, or more behind it");
	snprintf(d->time, sizeof(d->time), "%s", time.value);
	return true;
}

/* The tag (type 't') or field (0) of this name; NULL where there is none. */
static inline const struct decoded_item *decoded_find(const struct decoded_line *d, bool tag,
						      const char *key)
{
	size_t i;

	for (i = 0; i < d->n; i++) {
		if ((d->items[i].type == 't') == tag && !strcmp(d->items[i].key, key))
			return &d->items[i];
	}
	return NULL;
}

/* Its value is exactly these bytes. */
static inline bool decoded_is(const struct decoded_line *d, bool tag, const char *key,
			      const char *value, size_t len)
{
	const struct decoded_item *it = decoded_find(d, tag, key);

	return it && it->len == len && !memcmp(it->value, value, len);
}

#endif
