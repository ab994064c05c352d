/* http_body.c - a reader of JSON (RFC 8259) that takes what is there, and a page's title.
 *
 * It looks for a few keys at any depth and never complains: an answer that was cut off in the
 * middle says as much as it holds.
 */
#include "output/http_body.h"

#include <string.h>
#include <strings.h>

#define BAD_LINE "unable to parse '"

enum { TAIL_SIZE = 32 }; /* "dropped=18446744073709551615" */

/* A message that comes byte by byte: its beginning is kept, its lines are counted, its end is
 * remembered. */
struct message {
	char *text; /* room for size; NULL: nothing is wanted of it */
	size_t size, len;
	char tail[TAIL_SIZE]; /* the last bytes, a ring */
	size_t total;         /* bytes seen */
	bool first_line;
	size_t matched; /* of BAD_LINE, at the line's beginning */
	size_t column;
	uint32_t bad_lines; /* but for the first line */
};

static void message_init(struct message *m, char *text, size_t size)
{
	memset(m, 0, sizeof(*m));
	m->text = text;
	m->size = size;
	m->first_line = true;
}

static void message_byte(struct message *m, char c)
{
	if (!m->text)
		return;
	if (m->len + 1 < m->size)
		m->text[m->len++] = c ? c : '?';
	m->tail[m->total++ % TAIL_SIZE] = c;
	if (c == '\n') {
		m->first_line = false;
		m->column = m->matched = 0;
		return;
	}
	if (m->column++ == m->matched && m->matched < sizeof(BAD_LINE) - 1 &&
	    c == BAD_LINE[m->matched] && ++m->matched == sizeof(BAD_LINE) - 1)
		m->bad_lines += !m->first_line;
}

static void message_end(struct message *m)
{
	if (m->text)
		m->text[m->len] = 0;
}

/* Byte number i from the end. */
static char message_tail(const struct message *m, size_t i)
{
	return i < m->total && i < TAIL_SIZE ? m->tail[(m->total - 1 - i) % TAIL_SIZE] : 0;
}

/* Counts of a message that is whole. The first line may have other words before those that are
 * looked for, but none behind a quote: there are bytes that came from the network. */
static void message_counts(const struct message *m, struct http_body *b)
{
	static const char name[] = "dropped=", bad[] = BAD_LINE;
	size_t quote = strcspn(b->text, "'\""), digits = 0, i;
	uint64_t n = 0, unit = 1;

	b->bad_lines = m->bad_lines;
	if (b->text[quote] == '\'' && quote + 2 >= sizeof(bad) &&
	    !memcmp(b->text + quote + 2 - sizeof(bad), bad, sizeof(bad) - 1))
		b->bad_lines++;
	while (digits < 18 && message_tail(m, digits) >= '0' && message_tail(m, digits) <= '9') {
		n += unit * (uint64_t)(message_tail(m, digits) - '0');
		unit *= 10;
		digits++;
	}
	for (i = 0; i < sizeof(name) - 1; i++)
		if (message_tail(m, digits + i) != name[sizeof(name) - 2 - i])
			return;
	b->has_dropped = digits > 0 && !b->cut;
	b->dropped = b->has_dropped ? n : 0;
}

/* ---- JSON ---- */

struct json {
	const char *p, *end;
};

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Four hexadecimal digits at p; false where they are not there. */
static bool json_hex4(const struct json *j, const char *p, uint32_t *value)
{
	int i;

	*value = 0;
	if (j->end - p < 4)
		return false;
	for (i = 0; i < 4; i++) {
		int digit = hex_value(p[i]);

		if (digit < 0)
			return false;
		*value = *value << 4 | (uint32_t)digit;
	}
	return true;
}

static void put_utf8(struct message *m, uint32_t c)
{
	if (c < 0x80) {
		message_byte(m, (char)c);
		return;
	}
	if (c < 0x800) {
		message_byte(m, (char)(0xc0 | c >> 6));
	} else {
		if (c < 0x10000) {
			message_byte(m, (char)(0xe0 | c >> 12));
		} else {
			message_byte(m, (char)(0xf0 | c >> 18));
			message_byte(m, (char)(0x80 | (c >> 12 & 0x3f)));
		}
		message_byte(m, (char)(0x80 | (c >> 6 & 0x3f)));
	}
	message_byte(m, (char)(0x80 | (c & 0x3f)));
}

/* Behind "\u": a character, or a pair of surrogates; a lone surrogate becomes '?'. */
static void json_unicode(struct json *j, struct message *m)
{
	uint32_t c, low;

	if (!json_hex4(j, j->p, &c)) {
		message_byte(m, '?');
		return;
	}
	j->p += 4;
	if (c >= 0xd800 && c < 0xdc00 && j->end - j->p >= 2 && j->p[0] == '\\' && j->p[1] == 'u' &&
	    json_hex4(j, j->p + 2, &low) && low >= 0xdc00 && low < 0xe000) {
		j->p += 6;
		c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
	}
	put_utf8(m, c >= 0xd800 && c < 0xe000 ? '?' : c);
}

static void json_escape(struct json *j, struct message *m)
{
	char c = *j->p++;

	switch (c) {
	case 'n':
		message_byte(m, '\n');
		break;
	case 'b':
	case 'f':
	case 'r':
	case 't':
		message_byte(m, ' ');
		break;
	case 'u':
		json_unicode(j, m);
		break;
	default:
		message_byte(m, c);
		break;
	}
}

/* A string, behind its first quote. False: its end is missing. */
static bool json_string(struct json *j, struct message *m)
{
	while (j->p < j->end) {
		char c = *j->p++;

		if (c == '"') {
			message_end(m);
			return true;
		}
		if (c != '\\')
			message_byte(m, c);
		else if (j->p < j->end)
			json_escape(j, m);
	}
	message_end(m);
	return false;
}

static void json_blanks(struct json *j)
{
	while (j->p < j->end && strchr(" \t\r\n", *j->p) && *j->p)
		j->p++;
}

/* The string behind a key, at its first quote. */
static void json_value(struct json *j, const char *key, struct http_body *b)
{
	struct message m;
	bool is_text = false;

	message_init(&m, NULL, 0);
	if (!*b->text && (!strcmp(key, "error") || !strcmp(key, "message"))) {
		message_init(&m, b->text, sizeof(b->text));
		is_text = true;
		b->is_error = *key == 'e';
	} else if (!*b->detail && !strcmp(key, "error_message")) {
		message_init(&m, b->detail, sizeof(b->detail));
	} else if (!*b->code && (!strcmp(key, "code") || !strcmp(key, "error_code"))) {
		message_init(&m, b->code, sizeof(b->code));
	}
	j->p++;
	if (!json_string(j, &m))
		b->cut = true;
	if (is_text)
		message_counts(&m, b);
}

static void json_read(struct http_body *b, const char *bytes, size_t size)
{
	struct json j = {bytes, bytes + size};
	char key[16] = "";

	while (j.p < j.end) {
		struct message m;

		if (*j.p == '"' && *key) {
			json_value(&j, key, b);
			*key = 0;
			continue;
		}
		if (*j.p == '"') {
			message_init(&m, key, sizeof(key));
			j.p++;
			if (!json_string(&j, &m))
				b->cut = true;
			json_blanks(&j);
			if (j.p >= j.end || *j.p != ':')
				*key = 0; /* a value in a list */
			b->bad_entries += !strcmp(key, "line_number");
			continue;
		}
		if (*j.p == '[' && !strcmp(key, "results"))
			b->has_results = true;
		if (strchr("{}[],", *j.p))
			*key = 0;
		j.p++;
	}
}

/* ---- pages and texts ---- */

/* Where `tag` begins, in any case; end where it does not. */
static const char *find_tag(const char *p, const char *end, const char *tag)
{
	size_t len = strlen(tag);

	for (; (size_t)(end - p) >= len; p++)
		if (*p == '<' && !strncasecmp(p, tag, len))
			return p;
	return end;
}

/* Its title; a page without one: what is between the tags. */
static void page_read(struct message *m, const char *p, const char *end)
{
	const char *title = find_tag(p, end, "<title");

	if (title < end) {
		p = title;
		end = find_tag(title, end, "</title");
	}
	while (p < end) {
		const char *tag = *p == '<' ? memchr(p, '>', (size_t)(end - p)) : NULL;

		if (*p == '<') {
			p = tag ? tag + 1 : end;
			message_byte(m, ' ');
		} else {
			message_byte(m, *p++);
		}
	}
}

/* VictoriaMetrics: remoteAddr: "127.0.0.1:40924"; requestURI: /write?db=x; cannot read ... */
static const char *skip_request(const char *p, const char *end)
{
	static const char first[] = "remoteAddr: ", uri[] = "; requestURI: ";
	const char *at;

	if ((size_t)(end - p) < sizeof(first) || memcmp(p, first, sizeof(first) - 1))
		return p;
	at = memmem(p, (size_t)(end - p), uri, sizeof(uri) - 1);
	at = at ? memmem(at + 1, (size_t)(end - at - 1), "; ", 2) : NULL;
	return at ? at + 2 : p;
}

void http_body_read(struct http_body *b, const char *bytes, size_t size, bool cut)
{
	const char *p = bytes, *end;
	struct message m;

	memset(b, 0, sizeof(*b));
	b->cut = cut;
	if (!size)
		return;
	end = bytes + size;
	while (p < end && *p && strchr(" \t\r\n", *p))
		p++;
	while (end > p && end[-1] && strchr(" \t\r\n", end[-1]))
		end--;
	if (p == end)
		return;
	if (*p == '{' || *p == '[') {
		b->kind = HTTP_BODY_JSON;
		json_read(b, p, (size_t)(end - p));
		return;
	}
	message_init(&m, b->text, sizeof(b->text));
	if (*p == '<') {
		b->kind = HTTP_BODY_PAGE;
		page_read(&m, p, end);
		message_end(&m);
		return;
	}
	b->kind = HTTP_BODY_TEXT;
	p = skip_request(p, end);
	while (p < end)
		message_byte(&m, *p++);
	message_end(&m);
	message_counts(&m, b);
}

bool http_body_says(const struct http_body *b, const char *what)
{
	const char *at = strstr(b->text, what);

	return at && (size_t)(at - b->text) < strcspn(b->text, "'\"");
}
