/* json_check.h - is a text JSON (RFC 8259)? Strict, and nothing but syntax and UTF-8. */
#ifndef TESTS_COLLECTOR_JSON_CHECK_H
#define TESTS_COLLECTOR_JSON_CHECK_H

#include <ctype.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "output/escape.h"

struct json_check {
	const char *p, *end;
	int depth;
};

static bool json_check_value(struct json_check *c);

static void json_check_blanks(struct json_check *c)
{
	while (c->p < c->end && strchr(" \n\t\r", *c->p) && *c->p)
		c->p++;
}

static bool json_check_char(struct json_check *c, char want)
{
	json_check_blanks(c);
	if (c->p == c->end || *c->p != want)
		return false;
	c->p++;
	return true;
}

static bool json_check_escape(struct json_check *c)
{
	int i;

	c->p++;
	if (c->p == c->end)
		return false;
	if (*c->p != 'u')
		return *c->p && strchr("\"\\/bfnrt", *c->p++);
	c->p++;
	for (i = 0; i < 4; i++)
		if (c->p == c->end || !isxdigit((unsigned char)*c->p++))
			return false;
	return true;
}

static bool json_check_string(struct json_check *c)
{
	if (!json_check_char(c, '"'))
		return false;
	while (c->p < c->end && *c->p != '"') {
		size_t n = utf8_length(c->p, (size_t)(c->end - c->p));

		if (!n || (unsigned char)*c->p < 0x20)
			return false;
		if (*c->p != '\\')
			c->p += n;
		else if (!json_check_escape(c))
			return false;
	}
	return json_check_char(c, '"');
}

static bool json_check_digits(struct json_check *c)
{
	const char *from = c->p;

	while (c->p < c->end && isdigit((unsigned char)*c->p))
		c->p++;
	return c->p > from;
}

static bool json_check_number(struct json_check *c)
{
	const char *first;

	if (*c->p == '-')
		c->p++;
	first = c->p;
	if (!json_check_digits(c) || (*first == '0' && c->p - first > 1))
		return false;
	if (c->p < c->end && *c->p == '.') {
		c->p++;
		if (!json_check_digits(c))
			return false;
	}
	if (c->p < c->end && (*c->p == 'e' || *c->p == 'E')) {
		c->p++;
		if (c->p < c->end && (*c->p == '+' || *c->p == '-'))
			c->p++;
		return json_check_digits(c);
	}
	return true;
}

static bool json_check_list(struct json_check *c, bool object)
{
	char close = object ? '}' : ']';

	c->p++;
	if (++c->depth > 64)
		return false;
	if (json_check_char(c, close))
		return c->depth-- > 0;
	do {
		if (object && (!json_check_string(c) || !json_check_char(c, ':')))
			return false;
		if (!json_check_value(c))
			return false;
	} while (json_check_char(c, ','));
	c->depth--;
	return json_check_char(c, close);
}

static bool json_check_word(struct json_check *c, const char *word)
{
	size_t len = strlen(word);

	if ((size_t)(c->end - c->p) < len || memcmp(c->p, word, len))
		return false;
	c->p += len;
	return true;
}

static bool json_check_value(struct json_check *c)
{
	json_check_blanks(c);
	if (c->p == c->end)
		return false;
	switch (*c->p) {
	case '{':
		return json_check_list(c, true);
	case '[':
		return json_check_list(c, false);
	case '"':
		return json_check_string(c);
	case 't':
		return json_check_word(c, "true");
	case 'f':
		return json_check_word(c, "false");
	case 'n':
		return json_check_word(c, "null");
	default:
		return json_check_number(c);
	}
}

static inline bool is_json(const char *s, size_t len)
{
	struct json_check c = {s, s + len, 0};
	bool ok = json_check_value(&c);

	json_check_blanks(&c);
	return ok && c.p == c.end;
}

#endif
