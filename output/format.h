/* format.h - integers as decimal text, straight into a line, without printf.
 *
 * Every function returns the end of what it wrote and writes no final 0.
 */
#ifndef OUTPUT_FORMAT_H
#define OUTPUT_FORMAT_H

#include <stdint.h>

enum { FORMAT_U64_SIZE = 20 };

/* Any value; two digits at a time, divided by constants only. */
char *format_u64_long(char *p, uint64_t v);

/* Most counters of a cycle have one digit. */
static inline char *format_u64(char *p, uint64_t v)
{
	if (v >= 10)
		return format_u64_long(p, v);
	*p = (char)('0' + v);
	return p + 1;
}

/* A counter as an integer field: "123i". Integers of line protocol are signed: what is above
 * INT64_MAX is written as INT64_MAX. */
static inline char *format_count(char *p, uint64_t v)
{
	p = format_u64(p, v > INT64_MAX ? (uint64_t)INT64_MAX : v);
	*p = 'i';
	return p + 1;
}

static inline char *format_i32(char *p, int32_t v)
{
	uint32_t most = (uint32_t)v;

	if (v < 0) {
		*p++ = '-';
		most = 0 - most;
	}
	return format_u64(p, most);
}

#endif
