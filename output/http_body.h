/* http_body.h - what the body of a backend's answer says: JSON, a web page or plain text, whole or
 * cut off anywhere.
 *
 * The bytes come from a backend, a proxy or whoever answers in their place, and quote what was
 * sent: nothing in them is trusted. No allocation, nothing is read twice.
 */
#ifndef OUTPUT_HTTP_BODY_H
#define OUTPUT_HTTP_BODY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	HTTP_BODY_TEXT_SIZE = 1024,
	HTTP_BODY_DETAIL_SIZE = 256,
	HTTP_BODY_CODE_SIZE = 32,
	HTTP_BODY_SHOWN_SIZE = 200, /* long enough for people */
};

enum http_body_kind {
	HTTP_BODY_EMPTY,
	HTTP_BODY_JSON,
	HTTP_BODY_PAGE, /* HTML or XML */
	HTTP_BODY_TEXT,
};

struct http_body {
	enum http_body_kind kind;
	/* The message, decoded, its first bytes: JSON's first "error" or "message", a page's title,
	 * a text (without the request that VictoriaMetrics puts before it). Any bytes but 0: for
	 * people only through http_body_show(). */
	char text[HTTP_BODY_TEXT_SIZE];
	char detail[HTTP_BODY_DETAIL_SIZE]; /* JSON: the first "error_message" (InfluxDB 3) */
	char code[HTTP_BODY_CODE_SIZE];     /* JSON: the first "code" that is a string */
	bool cut;             /* the message's end is missing: what follows may be too small */
	uint32_t bad_lines;   /* lines of the message that say "unable to parse '...'" */
	uint32_t bad_entries; /* JSON: keys "line_number", one for each line that was refused */
	bool has_dropped;     /* the message ends in "dropped=N" */
	uint64_t dropped;
	bool is_error;    /* JSON: text is that of "error" */
	bool has_results; /* JSON: a list "results", as InfluxDB 1's query API answers */
};

/* cut: bytes are not all of the body. */
void http_body_read(struct http_body *b, const char *bytes, size_t size, bool cut);

/* Is `what` in the text before its first quote, that is, where only the backend's own words are? */
bool http_body_says(const struct http_body *b, const char *what);

/* text as people may see it: in one line, printable, valid UTF-8, at most size - 1 bytes (then with
 * "..." at its end), and with *** in the place of what looks like a password or token. size >= 8.
 */
void http_body_show(char *out, size_t size, const char *text);

#endif
