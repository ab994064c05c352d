/* buffer.c - see buffer.h. */
#include "collector/buffer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "output/escape.h"

enum { SIZE_FIRST = 1024 };

void buffer_init(struct buffer *b, size_t most)
{
	memset(b, 0, sizeof(*b));
	b->most = most;
}

void buffer_free(struct buffer *b)
{
	free(b->s);
	buffer_init(b, b->most);
}

/* Room for len more bytes and a 0. */
static bool reserve(struct buffer *b, size_t len)
{
	size_t size = b->size ? b->size : SIZE_FIRST;
	char *s;

	if (b->failed || len > b->most - b->len) {
		b->failed = true;
		return false;
	}
	if (b->len + len < b->size)
		return true;
	while (size <= b->len + len)
		size *= 2;
	s = realloc(b->s, size);
	if (!s) {
		b->failed = true;
		return false;
	}
	b->s = s;
	b->size = size;
	return true;
}

void buffer_put(struct buffer *b, const char *s, size_t len)
{
	if (!reserve(b, len))
		return;
	if (len)
		memcpy(b->s + b->len, s, len);
	b->len += len;
	b->s[b->len] = '\0';
}

void buffer_str(struct buffer *b, const char *s)
{
	if (s)
		buffer_put(b, s, strlen(s));
}

void buffer_printf(struct buffer *b, const char *fmt, ...)
{
	va_list args, again;
	int n;

	va_start(args, fmt);
	va_copy(again, args);
	n = vsnprintf(NULL, 0, fmt, args);
	va_end(args);
	if (n < 0)
		b->failed = true;
	else if (reserve(b, (size_t)n)) {
		vsnprintf(b->s + b->len, (size_t)n + 1, fmt, again);
		b->len += (size_t)n;
	}
	va_end(again);
}

/* C1 controls (U+0080 to U+009F) are two bytes of UTF-8 and steer terminals, too. */
static bool is_control(const char *s, size_t len)
{
	unsigned char c = (unsigned char)s[0];

	return c < 0x20 || c == 0x7f || (len == 2 && c == 0xc2 && (unsigned char)s[1] < 0xa0);
}

void buffer_clean(struct buffer *b, const char *s, size_t len)
{
	size_t i = 0;

	while (i < len) {
		size_t n = utf8_length(s + i, len - i);

		if (!n || is_control(s + i, n))
			buffer_put(b, "?", 1);
		else
			buffer_put(b, s + i, n);
		i += n ? n : 1;
	}
}
