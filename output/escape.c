/* escape.c - bytes from the wire as text in line protocol; UTF-8 by RFC 3629 section 4. */
#include "output/escape.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum {
	CONTROL = 1,
	SEPARATOR = 2, /* comma, space */
	EQUALS = 4,
	QUOTE = 8,
	BACKSLASH = 16,
	HIGH = 32, /* part of a longer UTF-8 character, or invalid */
};

/* so many of the same: C99 has no ranges */
#define TIMES_8(x)   x, x, x, x, x, x, x, x
#define TIMES_32(x)  TIMES_8(x), TIMES_8(x), TIMES_8(x), TIMES_8(x)
#define TIMES_128(x) TIMES_32(x), TIMES_32(x), TIMES_32(x), TIMES_32(x)

static const uint8_t classes[256] = {
    [0x00] = TIMES_32(CONTROL), [' '] = SEPARATOR,        ['"'] = QUOTE,
    [','] = SEPARATOR,          ['='] = EQUALS,           ['\\'] = BACKSLASH,
    [0x7f] = CONTROL,           [0x80] = TIMES_128(HIGH),
};

/* What is not copied as it is. */
static const uint8_t not_plain[ESCAPE_POSITIONS] = {
    [ESCAPE_MEASUREMENT] = CONTROL | HIGH | BACKSLASH | SEPARATOR,
    [ESCAPE_TAG] = CONTROL | HIGH | BACKSLASH | SEPARATOR | EQUALS,
    [ESCAPE_STRING] = CONTROL | HIGH | BACKSLASH | QUOTE,
};

static bool is_tail(unsigned char c)
{
	return (c & 0xc0) == 0x80;
}

size_t utf8_length(const char *s, size_t left)
{
	const unsigned char *u = (const unsigned char *)s;

	if (u[0] < 0x80)
		return 1;
	if (u[0] < 0xc2 || left < 2 || !is_tail(u[1]))
		return 0;
	if (u[0] < 0xe0)
		return 2;
	if (u[0] < 0xf0) {
		if ((u[0] == 0xe0 && u[1] < 0xa0) || (u[0] == 0xed && u[1] > 0x9f))
			return 0; /* overlong; a surrogate */
		return left >= 3 && is_tail(u[2]) ? 3 : 0;
	}
	if (u[0] > 0xf4 || (u[0] == 0xf0 && u[1] < 0x90) || (u[0] == 0xf4 && u[1] > 0x8f))
		return 0; /* overlong; beyond U+10FFFF */
	return left >= 4 && is_tail(u[2]) && is_tail(u[3]) ? 4 : 0;
}

static bool is_hex(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* The backslash at s begins what a reader would take for an escape of layer 1. */
static bool looks_like_hex(const char *s, size_t left)
{
	return left >= 4 && s[1] == 'x' && is_hex(s[2]) && is_hex(s[3]);
}

/* The backslash at s, written as it is, would come before the end, or before a character that is
 * special to some parser, or before another backslash (which may be the first of an escape). */
static bool backslash_joins(const char *s, size_t left)
{
	uint8_t next;

	if (left < 2)
		return true;
	next = classes[(unsigned char)s[1]];
	return next == HIGH ? !utf8_length(s + 1, left - 1) : next != 0;
}

static char *put_hex(char *out, enum escape_position position, unsigned char c)
{
	static const char digits[] = "0123456789abcdef";

	if (position == ESCAPE_STRING)
		*out++ = '\\';
	*out++ = '\\';
	*out++ = 'x';
	*out++ = digits[c >> 4];
	*out++ = digits[c & 15];
	return out;
}

/* Write the character at s that is not copied as it is; returns how many bytes of s it was. */
static size_t put_special(char **out, enum escape_position position, const char *s, size_t left)
{
	unsigned char c = (unsigned char)*s;
	size_t n = 1;
	char *p = *out;

	switch (classes[c]) {
	case HIGH:
		n = utf8_length(s, left);
		memcpy(p, s, n);
		p += n;
		if (n)
			break;
		n = 1;
		p = put_hex(p, position, c);
		break;
	case CONTROL:
		p = put_hex(p, position, c);
		break;
	case BACKSLASH:
		if (looks_like_hex(s, left) ||
		    (position != ESCAPE_STRING && backslash_joins(s, left))) {
			p = put_hex(p, position, c);
			break;
		}
		if (position == ESCAPE_STRING)
			*p++ = '\\';
		*p++ = '\\';
		break;
	default:
		*p++ = '\\';
		*p++ = (char)c;
		break;
	}
	*out = p;
	return n;
}

char *escape_put(char *out, enum escape_position position, const char *s, size_t len)
{
	const char *end = s + len;
	uint8_t stop = not_plain[position];

	while (s < end) {
		if (!(classes[(unsigned char)*s] & stop))
			*out++ = *s++;
		else
			s += put_special(&out, position, s, (size_t)(end - s));
	}
	return out;
}
