/* wire.h - bounded reading of network bytes.
 *
 * A cursor over a byte range with a sticky error: a read beyond the end gives 0, moves to the end
 * and sets `bad`; so a decoder reads a whole header and asks once. All integers are network order
 * on the wire and host order here. Nothing else in the program reads packet bytes.
 */
#ifndef COMMON_WIRE_H
#define COMMON_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct wire {
	const uint8_t *p;   /* next byte */
	const uint8_t *end; /* one past the last byte */
	bool bad;           /* a read went beyond the end */
};

/* Unaligned loads; the caller has made sure that the bytes are there. */
static inline uint16_t load_be16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static inline uint32_t load_be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static inline void wire_init(struct wire *w, const void *data, size_t len)
{
	w->p = data;
	w->end = w->p + len;
	w->bad = false;
}

static inline size_t wire_left(const struct wire *w)
{
	return (size_t)(w->end - w->p);
}

/* The next n bytes, borrowed, and the cursor behind them; NULL (and bad) where they are not there.
 */
static inline const uint8_t *wire_bytes(struct wire *w, size_t n)
{
	const uint8_t *p = w->p;

	if (__builtin_expect(wire_left(w) < n, 0)) {
		w->p = w->end;
		w->bad = true;
		return NULL;
	}
	w->p += n;
	return p;
}

static inline bool wire_skip(struct wire *w, size_t n)
{
	return wire_bytes(w, n) != NULL;
}

static inline uint8_t wire_u8(struct wire *w)
{
	const uint8_t *p = wire_bytes(w, 1);

	return p ? *p : 0;
}

static inline uint16_t wire_be16(struct wire *w)
{
	const uint8_t *p = wire_bytes(w, 2);

	return p ? load_be16(p) : 0;
}

static inline uint32_t wire_be32(struct wire *w)
{
	const uint8_t *p = wire_bytes(w, 4);

	return p ? load_be32(p) : 0;
}

/* Shorten the cursor to at most n bytes from here on. */
static inline void wire_limit(struct wire *w, size_t n)
{
	if (wire_left(w) > n)
		w->end = w->p + n;
}

#endif
