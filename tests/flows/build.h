/* build.h - frames for tests, built from the inside out: payload first, then one call per header.
 *
 *	struct build b;
 *
 *	build_payload(&b, "abc", 3);
 *	build_udp(&b, 40000, 53);
 *	build_ipv4(&b, IP4(10, 0, 0, 1), IP4(10, 0, 0, 2), PROTO_UDP);
 *	build_ethernet(&b, 0x0800);
 *	frame = build_frame(&b, LINK_ETHERNET, time_ns);
 *
 * Lengths are filled in right; a test that wants them wrong changes bytes behind build_at().
 */
#ifndef TESTS_FLOWS_BUILD_H
#define TESTS_FLOWS_BUILD_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "flows/frame.h"
#include "flows/packet.h"

enum { BUILD_ROOM = 1024, BUILD_MAX = 70000 };

#define IP4(a, b, c, d)                                                                            \
	((uint32_t)(a) << 24 | (uint32_t)(b) << 16 | (uint32_t)(c) << 8 | (uint32_t)(d))

struct build {
	uint32_t at, end; /* the frame so far */
	uint8_t bytes[BUILD_ROOM + BUILD_MAX];
};

static inline void put_be16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static inline void put_be32(uint8_t *p, uint32_t v)
{
	put_be16(p, v >> 16);
	put_be16(p + 2, v);
}

static inline uint32_t build_len(const struct build *b)
{
	return b->end - b->at;
}

/* The byte at offset `at` of the frame so far. */
static inline uint8_t *build_at(struct build *b, uint32_t at)
{
	return b->bytes + b->at + at;
}

/* n zeroed bytes in front of the frame so far. */
static inline uint8_t *build_prepend(struct build *b, uint32_t n)
{
	if (b->at < n)
		abort();
	b->at -= n;
	memset(b->bytes + b->at, 0, n);
	return b->bytes + b->at;
}

/* Begin a frame: its innermost bytes; NULL: n times 'x'. */
static inline void build_payload(struct build *b, const void *data, uint32_t n)
{
	if (n > BUILD_MAX)
		abort();
	b->at = BUILD_ROOM;
	b->end = BUILD_ROOM + n;
	if (data)
		memcpy(b->bytes + b->at, data, n);
	else
		memset(b->bytes + b->at, 'x', n);
}

static inline void build_udp(struct build *b, uint16_t sport, uint16_t dport)
{
	uint32_t len = build_len(b) + 8;
	uint8_t *p = build_prepend(b, 8);

	put_be16(p, sport);
	put_be16(p + 2, dport);
	put_be16(p + 4, len);
}

struct build_segment {
	uint16_t sport, dport;
	uint32_t seq, ack;
	uint8_t flags;
	uint16_t window;
	uint8_t options_len; /* a multiple of 4 */
	const uint8_t *options;
};

static inline void build_tcp(struct build *b, const struct build_segment *s)
{
	uint8_t *p = build_prepend(b, 20U + s->options_len);

	put_be16(p, s->sport);
	put_be16(p + 2, s->dport);
	put_be32(p + 4, s->seq);
	put_be32(p + 8, s->ack);
	p[12] = (uint8_t)((20 + s->options_len) / 4 << 4);
	p[13] = s->flags;
	put_be16(p + 14, s->window);
	if (s->options_len)
		memcpy(p + 20, s->options, s->options_len);
}

/* `word` is flags and fragment offset as they stand in the header. */
static inline void build_ipv4_fragment(struct build *b, uint32_t src, uint32_t dst, uint8_t proto,
				       uint16_t id, uint16_t word)
{
	uint32_t len = build_len(b) + 20;
	uint8_t *p = build_prepend(b, 20);

	p[0] = 0x45;
	put_be16(p + 2, len);
	put_be16(p + 4, id);
	put_be16(p + 6, word);
	p[8] = 64;
	p[9] = proto;
	put_be32(p + 12, src);
	put_be32(p + 16, dst);
}

static inline void build_ipv4(struct build *b, uint32_t src, uint32_t dst, uint8_t proto)
{
	build_ipv4_fragment(b, src, dst, proto, 0, 0x4000);
}

/* Addresses are 2001:db8::N. */
static inline void build_ipv6(struct build *b, uint32_t src, uint32_t dst, uint8_t next)
{
	uint32_t len = build_len(b);
	uint8_t *p = build_prepend(b, 40);

	p[0] = 0x60;
	put_be16(p + 4, len);
	p[6] = next;
	p[7] = 64;
	put_be32(p + 8, 0x20010db8);
	put_be32(p + 20, src);
	put_be32(p + 24, 0x20010db8);
	put_be32(p + 36, dst);
}

/* RFC 8200 section 4.5; `word` is offset and M flag as they stand in the header. */
static inline void build_ipv6_fragment(struct build *b, uint8_t next, uint32_t id, uint16_t word)
{
	uint8_t *p = build_prepend(b, 8);

	p[0] = next;
	put_be16(p + 2, word);
	put_be32(p + 4, id);
}

/* A hop-by-hop, routing or destination options header of 8 bytes. */
static inline void build_ipv6_extension(struct build *b, uint8_t next)
{
	build_prepend(b, 8)[0] = next;
}

/* n zero bytes with a 16-bit type in their last two: Ethernet (14), a VLAN tag behind its TPID (4),
 * Linux cooked v1 (16). */
static inline void build_typed(struct build *b, uint32_t n, uint16_t type)
{
	put_be16(build_prepend(b, n) + n - 2, type);
}

static inline void build_ethernet(struct build *b, uint16_t type)
{
	build_typed(b, 14, type);
}

static inline void build_vlan(struct build *b, uint16_t type)
{
	build_typed(b, 4, type);
}

static inline struct frame build_frame(const struct build *b, enum link_type link, uint64_t time_ns)
{
	struct frame f = {time_ns, b->bytes + b->at, b->end - b->at, b->end - b->at,
			  0,       (uint8_t)link};

	return f;
}

/* A DNS message into out (at most 512 bytes): name "a.example", "" for the root, NULL for no
 * question. */
static inline uint32_t build_dns(uint8_t *out, uint16_t id, const char *name, uint16_t type,
				 bool answer, uint8_t rcode)
{
	uint32_t n = 12;

	memset(out, 0, 12);
	put_be16(out, id);
	put_be16(out + 2, (answer ? 0x8180U : 0x0100U) | rcode);
	put_be16(out + 4, name != NULL);
	if (!name)
		return n;
	while (*name) {
		size_t len = strcspn(name, ".");

		out[n++] = (uint8_t)len;
		memcpy(out + n, name, len);
		n += (uint32_t)len;
		name += len + (name[len] == '.');
	}
	out[n++] = 0;
	put_be16(out + n, type);
	put_be16(out + n + 2, 1);
	return n + 4;
}

/* Numbers that are the same on every run. */
static inline uint32_t build_random(uint32_t *state)
{
	uint32_t x = *state;

	x ^= x << 13;
	x ^= x >> 17;
	x ^= x << 5;
	return *state = x;
}

#endif
