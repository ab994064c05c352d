/* http_target.c - the cheap questions about HTTP: does a segment begin with a start line, and which
 * path does a request target name (RFC 9112 section 3.2, RFC 3986 section 3).
 */
#include <string.h>

#include "common/wire.h"
#include "flows/http.h"

const char *const http_method_names[HTTP_METHODS] = {
    [HTTP_GET] = "GET",         [HTTP_HEAD] = "HEAD",     [HTTP_POST] = "POST",
    [HTTP_PUT] = "PUT",         [HTTP_DELETE] = "DELETE", [HTTP_CONNECT] = "CONNECT",
    [HTTP_OPTIONS] = "OPTIONS", [HTTP_TRACE] = "TRACE",   [HTTP_PATCH] = "PATCH",
};

/* The first four bytes of a message. */
#define FOUR(a, b, c, d)                                                                           \
	((uint32_t)(a) << 24 | (uint32_t)(b) << 16 | (uint32_t)(c) << 8 | (uint32_t)(d))

static inline bool is_digit(uint8_t b)
{
	return b >= '0' && b <= '9';
}

/* What a message may begin with; a request's method with the space behind it. */
static const char *const openings[] = {"HTTP/1.", "GET ",     "HEAD ",    "POST ",  "PUT ",
				       "DELETE ", "CONNECT ", "OPTIONS ", "TRACE ", "PATCH "};

/* Whether p begins with the opening, then one more byte that a message may go on with. */
static enum http_guess match(const uint8_t *p, size_t len, const char *opening)
{
	size_t n = strlen(opening);

	if (memcmp(p, opening, len < n ? len : n) != 0)
		return HTTP_NOT;
	if (len <= n)
		return HTTP_MAYBE;
	if (opening[0] == 'H' && opening[1] == 'T')
		return is_digit(p[n]) ? HTTP_RESPONSE : HTTP_NOT;
	return p[n] >= ' ' && p[n] != 0x7f ? HTTP_REQUEST : HTTP_NOT;
}

enum http_guess http_guess(const uint8_t *p, size_t len)
{
	size_t i;

	if (len < 4) {
		for (i = 0; i < sizeof(openings) / sizeof(openings[0]); i++)
			if (match(p, len, openings[i]) != HTTP_NOT)
				return HTTP_MAYBE;
		return HTTP_NOT;
	}
	switch (load_be32(p)) {
	case FOUR('H', 'T', 'T', 'P'):
		return match(p, len, "HTTP/1.");
	case FOUR('G', 'E', 'T', ' '):
		return match(p, len, "GET ");
	case FOUR('H', 'E', 'A', 'D'):
		return match(p, len, "HEAD ");
	case FOUR('P', 'O', 'S', 'T'):
		return match(p, len, "POST ");
	case FOUR('P', 'U', 'T', ' '):
		return match(p, len, "PUT ");
	case FOUR('D', 'E', 'L', 'E'):
		return match(p, len, "DELETE ");
	case FOUR('C', 'O', 'N', 'N'):
		return match(p, len, "CONNECT ");
	case FOUR('O', 'P', 'T', 'I'):
		return match(p, len, "OPTIONS ");
	case FOUR('T', 'R', 'A', 'C'):
		return match(p, len, "TRACE ");
	case FOUR('P', 'A', 'T', 'C'):
		return match(p, len, "PATCH ");
	default:
		return HTTP_NOT;
	}
}

/* The length of "scheme://authority" at the beginning of an absolute-form target (RFC 9112 section
 * 3.2.2, RFC 3986 section 3.1), or 0. */
static size_t scheme_authority(const char *t, size_t len)
{
	size_t i = 0;

	while (i < len) {
		uint8_t b = (uint8_t)t[i];
		bool letter = (b | 0x20) >= 'a' && (b | 0x20) <= 'z';

		if (!letter && (i == 0 || (!is_digit(b) && b != '+' && b != '-' && b != '.')))
			break;
		i++;
	}
	if (i == 0 || len - i < 3 || memcmp(t + i, "://", 3) != 0)
		return 0;
	for (i += 3; i < len && t[i] != '/' && t[i] != '?' && t[i] != '#'; i++)
		;
	return i;
}

const char *http_target_path(uint8_t method, const char *target, size_t target_len, size_t *len)
{
	size_t from, i;

	if (method == HTTP_CONNECT) {
		*len = target_len;
		return target;
	}
	/* Most targets begin with "/" and need no look at the scheme. */
	from = target_len && target[0] != '/' ? scheme_authority(target, target_len) : 0;
	for (i = from; i < target_len && target[i] != '?' && target[i] != '#'; i++)
		;
	*len = i - from;
	if (*len)
		return target + from;
	*len = 1;
	return "/";
}
