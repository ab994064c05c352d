/* escape.h - arbitrary bytes as text inside a line of InfluxDB line protocol.
 *
 * https://docs.influxdata.com/influxdb/v1/write_protocols/line_protocol_reference/ (special
 * characters).
 * Two layers, both reversible (docs/points.md, Escaping):
 *  1. Bytes to text. Control characters (00-1f, 7f) and bytes that are not valid UTF-8 (RFC 3629)
 *     become the four characters \xHH; so does the backslash of what only looks like one.
 *  2. Text to its position. Measurement: comma and space; keys and tag values: also '='; strings:
 *     '"' and the backslash itself.
 * Outside strings line protocol cannot escape a backslash, and parsers disagree about one that
 * stands before a special character, another backslash or the end. There it is written as \x5c,
 * which all of them read alike.
 */
#ifndef OUTPUT_ESCAPE_H
#define OUTPUT_ESCAPE_H

#include <stddef.h>

enum escape_position {
	ESCAPE_MEASUREMENT,
	ESCAPE_TAG,    /* tag key, tag value and field key */
	ESCAPE_STRING, /* string field, between the quotes, which are the caller's */
	ESCAPE_POSITIONS
};

/* A byte becomes at most so many. */
enum { ESCAPE_GROWTH = 5 };

/* Write len bytes of s, escaped, to out, which has room for ESCAPE_GROWTH * len bytes; returns the
 * end of what was written. No final 0. */
char *escape_put(char *out, enum escape_position position, const char *s, size_t len);

/* Length of the UTF-8 character that s begins with (left > 0 bytes are there), 0 where it is
 * invalid or cut: overlong forms, surrogates and what lies beyond U+10FFFF are invalid. */
size_t utf8_length(const char *s, size_t left);

#endif
