/* format.c - integers as decimal text, two digits per step. */
#include "output/format.h"

#include <string.h>

static const char pairs[200 + 1] = "00010203040506070809101112131415161718192021222324"
				   "25262728293031323334353637383940414243444546474849"
				   "50515253545556575859606162636465666768697071727374"
				   "75767778798081828384858687888990919293949596979899";

static inline char *put_2(char *p, uint32_t v)
{
	memcpy(p, pairs + 2 * v, 2);
	return p + 2;
}

static inline char *put_4(char *p, uint32_t v)
{
	return put_2(put_2(p, v / 100), v % 100);
}

static inline char *put_8(char *p, uint32_t v)
{
	return put_4(put_4(p, v / 10000), v % 10000);
}

/* v < 10000, without leading zeros. */
static inline char *put_short(char *p, uint32_t v)
{
	uint32_t high = v / 100;

	if (v < 10) {
		*p = (char)('0' + v);
		return p + 1;
	}
	if (v < 100)
		return put_2(p, v);
	if (v < 1000)
		*p++ = (char)('0' + high);
	else
		p = put_2(p, high);
	return put_2(p, v % 100);
}

/* v < 10^8, without leading zeros. */
static inline char *put_medium(char *p, uint32_t v)
{
	if (v < 10000)
		return put_short(p, v);
	return put_4(put_short(p, v / 10000), v % 10000);
}

char *format_u64_long(char *p, uint64_t v)
{
	const uint64_t e8 = 100000000;
	uint64_t high;

	if (v < e8)
		return put_medium(p, (uint32_t)v);
	high = v / e8;
	if (high < e8) {
		p = put_medium(p, (uint32_t)high);
	} else {
		p = put_medium(p, (uint32_t)(high / e8));
		p = put_8(p, (uint32_t)(high % e8));
	}
	return put_8(p, (uint32_t)(v % e8));
}
