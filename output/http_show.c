/* http_show.c - http_body_show(): a stranger's text for people, without what may be a secret.
 *
 * Backends quote requests: VictoriaMetrics writes the whole request URI, with its query, into an
 * error; a proxy may show headers.
 */
#include "output/http_body.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "output/escape.h"

struct shown {
	char *out;
	size_t room, len; /* room: without "..." and the final 0 */
	bool full;
};

static void show_bytes(struct shown *s, const char *bytes, size_t n)
{
	if (s->full || s->len + n > s->room) {
		s->full = true;
		return;
	}
	memcpy(s->out + s->len, bytes, n);
	s->len += n;
}

/* Blanks and controls become one space, none at the beginning. */
static void show_space(struct shown *s)
{
	if (s->len && s->out[s->len - 1] != ' ')
		show_bytes(s, " ", 1);
}

/* A character that moves the cursor or turns the writing direction: C1 controls, U+2028..202E,
 * U+2066..2069. */
static bool is_tricky(const unsigned char *c, size_t n)
{
	if (n == 2)
		return c[0] == 0xc2 && c[1] < 0xa0;
	if (n != 3 || c[0] != 0xe2)
		return false;
	return (c[1] == 0x80 && c[2] >= 0xa8 && c[2] <= 0xae) ||
	       (c[1] == 0x81 && c[2] >= 0xa6 && c[2] <= 0xa9);
}

/* One character; returns its bytes. */
static size_t show_character(struct shown *s, const char *text)
{
	size_t n;

	if ((unsigned char)*text <= ' ' || *text == 0x7f) {
		show_space(s);
		return 1;
	}
	n = utf8_length(text, strnlen(text, 4));
	if (!n || is_tricky((const unsigned char *)text, n))
		show_bytes(s, "?", 1);
	else
		show_bytes(s, text, n);
	return n ? n : 1;
}

/* Key of a secret before '=' at text: its length with the '='; 0: none. */
static size_t secret_key(const char *text, char before)
{
	static const char *const names[] = {"password", "passwd",   "pass",   "token",
					    "api_key",  "apikey",   "secret", "access_token",
					    "api-key",  "api_token"};
	static const char *const in_query[] = {"p", "key", "auth", "sig", "signature"};
	size_t i, len;

	if (isalnum((unsigned char)before) || before == '_' || before == '-')
		return 0;
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		len = strlen(names[i]);
		if (!strncasecmp(text, names[i], len) && text[len] == '=')
			return len + 1;
	}
	if (before != '?' && before != '&')
		return 0;
	for (i = 0; i < sizeof(in_query) / sizeof(in_query[0]); i++) {
		len = strlen(in_query[i]);
		if (!strncasecmp(text, in_query[i], len) && text[len] == '=')
			return len + 1;
	}
	return 0;
}

/* "Token x", "Bearer x", "Basic x" at text, where x is none of our words: length of its first word
 * and the space; 0: none. */
static size_t secret_header(const char *text, char before)
{
	static const char *const names[] = {"Token ", "Bearer ", "Basic "};
	size_t i, len, n;

	if (isalnum((unsigned char)before))
		return 0;
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		len = strlen(names[i]);
		if (strncasecmp(text, names[i], len))
			continue;
		n = strcspn(text + len, " \t\r\n\"'<>,;");
		if (n >= 20 || (n >= 8 && strcspn(text + len, "0123456789=+/") < n))
			return len;
	}
	return 0;
}

/* "//user:password@" at text: length up to the '@'; 0: none. */
static size_t secret_user(const char *text)
{
	size_t n;

	if (text[0] != '/' || text[1] != '/')
		return 0;
	n = 2 + strcspn(text + 2, "/?# \t\r\n\"'<>@");
	return n > 2 && text[n] == '@' ? n : 0;
}

/* A secret at text: shows what stands before it and ***; returns their length in text. */
static size_t show_secret(struct shown *s, const char *text, char before)
{
	size_t n = secret_key(text, before);

	if (!n)
		n = secret_header(text, before);
	if (n) {
		show_bytes(s, text, n);
		show_bytes(s, "***", 3);
		return n + strcspn(text + n, "& \t\r\n\"'<>,;");
	}
	n = secret_user(text);
	if (n)
		show_bytes(s, "//***", 5);
	return n;
}

void http_body_show(char *out, size_t size, const char *text)
{
	struct shown s = {out, size - 4, 0, false};
	char before = 0;

	while (*text && !s.full) {
		size_t n = show_secret(&s, text, before);

		if (!n)
			n = show_character(&s, text);
		text += n;
		before = text[-1];
	}
	while (s.len && out[s.len - 1] == ' ')
		s.len--;
	if (s.full) {
		memcpy(out + s.len, "...", 3);
		s.len += 3;
	}
	out[s.len] = 0;
}
