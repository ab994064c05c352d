/* mmdb_data.h - reads the data section of a MaxMind DB file: one value at a time, in place.
 *
 * https://maxmind.github.io/MaxMind-DB/ (format 2.0), "Output Data Section". libmaxminddb opens the
 * file and walks the search tree; its MMDB_get_value() then begins at the record's start again for
 * every single field. What is wanted here is several fields of each record, so this walks a record
 * once. Every read is bounded; nothing is allocated.
 */
#ifndef GEOIP_MMDB_DATA_H
#define GEOIP_MMDB_DATA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "common/text.h"
#include "common/wire.h"

enum mmdb_type {
	MMDB_TYPE_POINTER = 1,
	MMDB_TYPE_STRING = 2,
	MMDB_TYPE_DOUBLE = 3,
	MMDB_TYPE_BYTES = 4,
	MMDB_TYPE_UINT16 = 5,
	MMDB_TYPE_UINT32 = 6,
	MMDB_TYPE_MAP = 7,
	MMDB_TYPE_INT32 = 8,
	MMDB_TYPE_UINT64 = 9,
	MMDB_TYPE_UINT128 = 10,
	MMDB_TYPE_ARRAY = 11,
	MMDB_TYPE_BOOLEAN = 14,
	MMDB_TYPE_FLOAT = 15,
};

struct mmdb_data {
	const uint8_t *bytes; /* the data section; offsets count from here */
	size_t size;
};

struct mmdb_value {
	enum mmdb_type type;
	uint32_t size;    /* bytes; of a map its pairs, of an array its elements */
	const uint8_t *p; /* the bytes, borrowed from the file */
	size_t inside;    /* of a map or array: offset of its first key or element */
	size_t next; /* offset behind the value; 0: behind its contents, a map or array in place */
};

/* Values shorter than this are read without looking at the end, where so many bytes are left. */
enum { MMDB_QUICK_BYTES = 32 };

/* Where the pointer at p leads to, and how many bytes it has; there are five to read. Its size
 * class is in bits 3 and 4 of the control byte, and the classes begin where the one before ends. */
static inline size_t mmdb_pointer(const uint8_t *p, unsigned int *bytes)
{
	static const uint32_t first[] = {0, 2048, 526336, 0};
	unsigned int class = p[0] >> 3 & 3;
	uint64_t n = (uint64_t)(p[0] & 7) << 32 | load_be32(p + 1);

	*bytes = class + 2;
	return class == 3 ? (uint32_t)n : (size_t)(n >> (8 * (3 - class))) + first[class];
}

/* The value at offset at; a pointer is followed. 0, or FL_EMALFORMED. */
int mmdb_value_read(const struct mmdb_data *d, size_t at, struct mmdb_value *v) MUST_CHECK;

/* The offset behind n whole values (a pair of a map is two) of which the first begins at *at. 0, or
 * FL_EMALFORMED: also where they hold more values than any honest record. */
int mmdb_values_skip(const struct mmdb_data *d, size_t *at, uint64_t n) MUST_CHECK;

/* The number, where it is one (any unsigned or signed integer that fits; double or float). */
bool mmdb_value_uint(const struct mmdb_value *v, uint64_t *n);
bool mmdb_value_real(const struct mmdb_value *v, double *x);

#endif
