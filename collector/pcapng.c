/* pcapng.c - the blocks of a pcapng file (draft-ietf-opsawg-pcapng), read from a stream.
 *
 * libpcap refuses a file whose interfaces differ in link type or snapshot length, which captures of
 * several interfaces have; so this format is read here.
 *
 * A block is its type, its length, a body, and its length again. A block that is looked into is
 * read in one piece into the caller's room, where its packet's bytes stay.
 */
#include "collector/pcapng.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/wire.h"

#define NS_PER_S 1000000000ULL

/* Latest time that is believed, ns: below INT64_MAX by more than any cycle. Year 2261. */
#define TIME_MOST_NS 9200000000000000000ULL

#define BYTE_ORDER_MAGIC 0x1a2b3c4dU

enum block_type {
	BLOCK_INTERFACE = 1,
	BLOCK_PACKET = 2, /* obsolete */
	BLOCK_SIMPLE = 3,
	BLOCK_ENHANCED = 6,
	BLOCK_SECTION = 0x0a0d0d0a, /* the same in both byte orders */
};

enum {
	HEAD_BYTES = 8, /* type, length */
	TAIL_BYTES = 4, /* length */
	MAGIC_BYTES = 4,
	PACKET_HEAD_BYTES = 20, /* of the body, in front of the packet's bytes */
	SIMPLE_HEAD_BYTES = 4,
	OPTION_END = 0,
	OPTION_TSRESOL = 9,
	OPTION_TSOFFSET = 14,
	TSRESOL_DEFAULT = 6, /* us */
	TSRESOL_BINARY = 0x80,
	TSRESOL_DECIMAL_MOST = 19, /* a unit of which 64 bits hold a second */
	TSRESOL_BINARY_MOST = 63,
};

enum clock_kind {
	CLOCK_MULTIPLY, /* 10^-9 s and coarser */
	CLOCK_DIVIDE,   /* finer than ns */
	CLOCK_SHIFT,    /* powers of 2 */
};

struct ng_iface {
	uint64_t scale;      /* of CLOCK_MULTIPLY and CLOCK_DIVIDE */
	uint64_t units_most; /* CLOCK_MULTIPLY: more would be beyond TIME_MOST_NS */
	int64_t offset_ns;
	uint32_t snaplen; /* 0: no limit */
	uint16_t linktype;
	int16_t link;
	uint8_t clock; /* enum clock_kind */
	uint8_t shift;
};

struct pcapng {
	FILE *f;
	int (*link_of)(int linktype);
	struct ng_iface *ifaces; /* of this section */
	size_t nifaces, room_ifaces;
	uint64_t readable, packets;
	int first_unread; /* a link type, -1: none yet */
	uint64_t last_ns;
	uint64_t at;       /* bytes read so far */
	uint64_t block_at; /* where this block begins */
	uint32_t type, total, body;
	bool big;     /* byte order of this section */
	bool pending; /* the head is read, the body is not */
	int err;      /* not 0: reading has ended */
	char why[256];
};

PRINTF_LIKE(3, 4)
static int end_reading(struct pcapng *ng, int err, const char *fmt, ...)
{
	va_list ap;
	int n;

	n = snprintf(ng->why, sizeof(ng->why),
		     "frame %llu: at byte %llu: ", (unsigned long long)ng->packets + 1,
		     (unsigned long long)ng->block_at);
	va_start(ap, fmt);
	vsnprintf(ng->why + n, sizeof(ng->why) - (size_t)n, fmt, ap);
	va_end(ap);
	ng->err = err;
	return err;
}

#define bad_block(ng, ...) end_reading(ng, FL_EFORMAT, __VA_ARGS__)

static inline uint32_t load_le32(const uint8_t *p)
{
	return (uint32_t)p[3] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[1] << 8 | p[0];
}

static inline uint32_t load_32(const struct pcapng *ng, const uint8_t *p)
{
	return ng->big ? load_be32(p) : load_le32(p);
}

static inline uint16_t read_16(const struct pcapng *ng, struct wire *w)
{
	uint16_t v = wire_be16(w);

	return ng->big ? v : (uint16_t)(v >> 8 | v << 8);
}

static inline uint32_t read_32(const struct pcapng *ng, struct wire *w)
{
	uint32_t v = wire_be32(w);

	return ng->big ? v : __builtin_bswap32(v);
}

struct pcapng *pcapng_new(FILE *f, int (*link_of)(int linktype))
{
	struct pcapng *ng = calloc(1, sizeof(*ng));

	if (!ng)
		return NULL;
	ng->f = f;
	ng->link_of = link_of;
	ng->first_unread = -1;
	return ng;
}

void pcapng_free(struct pcapng *ng)
{
	if (!ng)
		return;
	free(ng->ifaces);
	free(ng);
}

const char *pcapng_why(const struct pcapng *ng)
{
	return ng->why;
}

int pcapng_refused(const struct pcapng *ng)
{
	return ng->readable ? -1 : ng->first_unread;
}

uint64_t pcapng_packets(const struct pcapng *ng)
{
	return ng->packets;
}

/* ---- the stream ------------------------------------------------------------------ */

/* n bytes of a block. 0, or reading has ended. */
static int read_bytes(struct pcapng *ng, uint8_t *to, size_t n)
{
	size_t got = fread_unlocked(to, 1, n, ng->f);

	ng->at += got;
	if (__builtin_expect(got == n, 1))
		return 0;
	if (ferror(ng->f))
		return end_reading(ng, errno ? -errno : -EIO, "reading failed: %s",
				   strerror(errno));
	if (ng->at - ng->block_at < HEAD_BYTES)
		return bad_block(ng, "the file ends inside the head of a block");
	return bad_block(ng, "the file ends inside a block: %llu of its %u bytes are there",
			 (unsigned long long)(ng->at - ng->block_at), (unsigned int)ng->total);
}

static int skip_bytes(struct pcapng *ng, size_t n)
{
	uint8_t waste[4096];
	int err = 0;

	while (n && !err) {
		size_t part = n < sizeof(waste) ? n : sizeof(waste);

		err = read_bytes(ng, waste, part);
		n -= part;
	}
	return err;
}

static bool looked_into(uint32_t type)
{
	return type == BLOCK_ENHANCED || type == BLOCK_PACKET || type == BLOCK_SIMPLE ||
	       type == BLOCK_INTERFACE || type == BLOCK_SECTION;
}

/* A section's byte order comes before its length can be understood. */
static int read_byte_order(struct pcapng *ng)
{
	bool first = ng->block_at == 0;
	uint8_t magic[MAGIC_BYTES];
	int err;

	err = read_bytes(ng, magic, sizeof(magic));
	if (err)
		return err;
	ng->big = load_be32(magic) == BYTE_ORDER_MAGIC;
	if (ng->big || load_le32(magic) == BYTE_ORDER_MAGIC)
		return 0;
	return end_reading(ng, first ? FL_EUNKNOWN : FL_EFORMAT,
			   "a section without its byte order");
}

/* Type and length of the next block. 1; 0: the end of the file; or reading has ended. */
static int read_head(struct pcapng *ng)
{
	uint32_t least = HEAD_BYTES + TAIL_BYTES;
	uint8_t head[HEAD_BYTES];
	int err;

	ng->block_at = ng->at;
	ng->total = HEAD_BYTES;
	err = read_bytes(ng, head, sizeof(head));
	if (err && ng->at == ng->block_at && !ferror(ng->f)) {
		ng->err = 0;
		return 0;
	}
	if (err)
		return err;
	ng->type = load_32(ng, head);
	if (ng->block_at == 0 && ng->type != BLOCK_SECTION)
		return end_reading(ng, FL_EUNKNOWN, "no section begins here");
	if (ng->type == BLOCK_SECTION) {
		ng->total = HEAD_BYTES + MAGIC_BYTES;
		least += MAGIC_BYTES;
		err = read_byte_order(ng);
		if (err)
			return err;
	}
	ng->total = load_32(ng, head + 4);
	if (ng->total < least || ng->total % 4)
		return bad_block(ng, "a block's length is %u: want a multiple of 4, at least %u",
				 (unsigned int)ng->total, (unsigned int)least);
	if (ng->total > PCAPNG_BLOCK_MOST && looked_into(ng->type))
		return bad_block(ng, "a block's length is %u: more than %u are not believed",
				 (unsigned int)ng->total, (unsigned int)PCAPNG_BLOCK_MOST);
	ng->body = ng->total - least;
	return 1;
}

static int check_tail(struct pcapng *ng, const uint8_t tail[TAIL_BYTES])
{
	uint32_t total = load_32(ng, tail);

	if (__builtin_expect(total == ng->total, 1))
		return 0;
	return bad_block(ng, "a block's two lengths differ: %u and %u", (unsigned int)ng->total,
			 (unsigned int)total);
}

/* The body, at most size bytes of it, to room; its end is checked. 0, or reading has ended. */
static int read_body(struct pcapng *ng, uint8_t *room, size_t size)
{
	uint8_t tail[TAIL_BYTES];
	int err;

	if (__builtin_expect((size_t)ng->body + TAIL_BYTES <= size, 1)) {
		err = read_bytes(ng, room, (size_t)ng->body + TAIL_BYTES);
		return err ? err : check_tail(ng, room + ng->body);
	}
	if (size > ng->body)
		size = ng->body;
	err = read_bytes(ng, room, size);
	if (!err)
		err = skip_bytes(ng, ng->body - size);
	if (!err)
		err = read_bytes(ng, tail, sizeof(tail));
	return err ? err : check_tail(ng, tail);
}

static int skip_body(struct pcapng *ng)
{
	uint8_t tail[TAIL_BYTES];
	int err = skip_bytes(ng, ng->body);

	if (!err)
		err = read_bytes(ng, tail, sizeof(tail));
	return err ? err : check_tail(ng, tail);
}

/* ---- sections and interfaces ----------------------------------------------------- */

static int open_section(struct pcapng *ng, struct wire *w)
{
	uint16_t major = read_16(ng, w), minor = read_16(ng, w);

	wire_skip(w, 8); /* its length: blocks say where they end */
	if (w->bad)
		return bad_block(ng, "a section's block is too short: %u bytes",
				 (unsigned int)ng->total);
	/* 1.2 is 1.0: some programs wrote it */
	if (major != 1 || (minor != 0 && minor != 2))
		return bad_block(ng, "pcapng version %u.%u is not read, only 1.0 is", major, minor);
	ng->nifaces = 0;
	return 0;
}

/* if_tsresol: the unit of time is 10^-n s, or 2^-n s where the highest bit is set. */
static int set_clock(struct pcapng *ng, struct ng_iface *i, uint8_t tsresol)
{
	unsigned int n = tsresol & ~(unsigned int)TSRESOL_BINARY;
	unsigned int most = tsresol & TSRESOL_BINARY ? TSRESOL_BINARY_MOST : TSRESOL_DECIMAL_MOST;
	unsigned int k;

	if (n > most)
		return bad_block(ng, "interface %zu counts time in %u^-%u s: at most ^-%u is read",
				 ng->nifaces, tsresol & TSRESOL_BINARY ? 2 : 10, n, most);
	i->scale = 1;
	if (tsresol & TSRESOL_BINARY) {
		i->clock = CLOCK_SHIFT;
		i->shift = (uint8_t)n;
		return 0;
	}
	i->clock = n <= 9 ? CLOCK_MULTIPLY : CLOCK_DIVIDE;
	for (k = n; k < 9; k++)
		i->scale *= 10;
	for (k = 9; k < n; k++)
		i->scale *= 10;
	i->units_most = TIME_MOST_NS / i->scale;
	return 0;
}

static void set_offset(struct ng_iface *i, uint32_t high, uint32_t low)
{
	const int64_t most_s = (int64_t)(TIME_MOST_NS / NS_PER_S);
	int64_t s = (int64_t)((uint64_t)high << 32 | low);

	if (s > most_s)
		s = most_s;
	if (s < -most_s)
		s = -most_s;
	i->offset_ns = s * (int64_t)NS_PER_S;
}

static int read_options(struct pcapng *ng, struct ng_iface *i, struct wire *w)
{
	int err = 0;

	while (!err && wire_left(w)) {
		uint16_t code = read_16(ng, w), len = read_16(ng, w);
		struct wire value;
		const uint8_t *p = wire_bytes(w, ((size_t)len + 3) / 4 * 4);

		if (!p)
			return bad_block(ng, "an option of interface %zu goes beyond its block",
					 ng->nifaces);
		if (code == OPTION_END)
			break;
		wire_init(&value, p, len);
		if (code == OPTION_TSRESOL) {
			err = set_clock(ng, i, wire_u8(&value));
		} else if (code == OPTION_TSOFFSET) {
			uint32_t a = read_32(ng, &value), b = read_32(ng, &value);

			set_offset(i, ng->big ? a : b, ng->big ? b : a);
		}
		if (!err && value.bad)
			err = bad_block(ng, "interface %zu has an option %u of %u bytes: too few",
					ng->nifaces, code, len);
	}
	return err;
}

static int make_room(struct pcapng *ng)
{
	size_t most = ng->room_ifaces ? ng->room_ifaces * 2 : 8;
	struct ng_iface *more;

	if (ng->nifaces >= PCAPNG_IFACES_MOST)
		return bad_block(ng, "more than %u interfaces in a section",
				 (unsigned int)PCAPNG_IFACES_MOST);
	if (ng->nifaces < ng->room_ifaces)
		return 0;
	more = realloc(ng->ifaces, most * sizeof(*more));
	if (!more)
		return end_reading(ng, -ENOMEM, "memory for interface %zu was refused",
				   ng->nifaces);
	ng->ifaces = more;
	ng->room_ifaces = most;
	return 0;
}

static int add_interface(struct pcapng *ng, struct wire *w)
{
	struct ng_iface i;
	int err;

	memset(&i, 0, sizeof(i));
	i.linktype = read_16(ng, w);
	wire_skip(w, 2); /* reserved */
	i.snaplen = read_32(ng, w);
	if (w->bad)
		return bad_block(ng, "the block of interface %zu is too short: %u bytes",
				 ng->nifaces, (unsigned int)ng->total);
	err = set_clock(ng, &i, TSRESOL_DEFAULT);
	if (!err)
		err = read_options(ng, &i, w);
	if (!err)
		err = make_room(ng);
	if (err)
		return err;
	i.link = (int16_t)ng->link_of(i.linktype);
	if (i.link >= 0)
		ng->readable++;
	else if (ng->first_unread < 0)
		ng->first_unread = i.linktype;
	ng->ifaces[ng->nifaces++] = i;
	return 0;
}

/* ---- packets --------------------------------------------------------------------- */

/* units / 2^shift seconds, in ns; exact, in 64 bits. */
static uint64_t ns_of_binary(uint64_t units, unsigned int shift)
{
	uint64_t s = units >> shift, part = units & (((uint64_t)1 << shift) - 1), high, low;

	if (s >= TIME_MOST_NS / NS_PER_S)
		return TIME_MOST_NS;
	if (shift <= 32)
		return s * NS_PER_S + (part * NS_PER_S >> shift);
	high = (part >> 32) * NS_PER_S;
	low = (part & 0xffffffff) * NS_PER_S;
	return s * NS_PER_S + ((high + (low >> 32)) >> (shift - 32));
}

static uint64_t time_of(const struct ng_iface *i, uint64_t units)
{
	uint64_t ns, offset;

	if (i->clock == CLOCK_MULTIPLY)
		ns = units <= i->units_most ? units * i->scale : TIME_MOST_NS;
	else if (i->clock == CLOCK_DIVIDE)
		ns = units / i->scale;
	else
		ns = ns_of_binary(units, i->shift);
	if (ns > TIME_MOST_NS)
		ns = TIME_MOST_NS;
	if (__builtin_expect(!i->offset_ns, 1))
		return ns;
	if (i->offset_ns < 0) {
		offset = (uint64_t)-i->offset_ns;
		return ns > offset ? ns - offset : 0;
	}
	offset = (uint64_t)i->offset_ns;
	return ns < TIME_MOST_NS - offset ? ns + offset : TIME_MOST_NS;
}

/* caplen bytes of packet follow in the block, of which w may have less. */
static int give_packet(struct pcapng *ng, struct wire *w, uint32_t caplen, uint32_t wirelen,
		       struct pcapng_packet *packet)
{
	const struct ng_iface *i = &ng->ifaces[packet->iface];

	packet->data = w->p;
	packet->caplen = caplen < PCAPNG_FRAME_BYTES ? caplen : PCAPNG_FRAME_BYTES;
	packet->wirelen = wirelen > caplen ? wirelen : caplen;
	packet->linktype = i->linktype;
	packet->link = i->link;
	packet->time_ns = ng->last_ns;
	ng->packets++;
	return 1;
}

static int bad_interface(struct pcapng *ng, uint32_t iface)
{
	return bad_block(ng, "it names interface %u, but the section has described %zu",
			 (unsigned int)iface, ng->nifaces);
}

/* Enhanced packet block, and the obsolete one: its 16 bits of interface are followed by a count of
 * drops. */
static int take_packet(struct pcapng *ng, struct wire *w, struct pcapng_packet *packet)
{
	uint32_t high, low, caplen, wirelen;

	if (ng->body < PACKET_HEAD_BYTES)
		return bad_block(ng, "a packet's block is too short: %u bytes",
				 (unsigned int)ng->total);
	if (ng->type == BLOCK_ENHANCED) {
		packet->iface = read_32(ng, w);
	} else {
		packet->iface = read_16(ng, w);
		wire_skip(w, 2);
	}
	high = read_32(ng, w);
	low = read_32(ng, w);
	caplen = read_32(ng, w);
	wirelen = read_32(ng, w);
	if (packet->iface >= ng->nifaces)
		return bad_interface(ng, packet->iface);
	if (caplen > ng->body - PACKET_HEAD_BYTES)
		return bad_block(ng, "%u bytes of packet do not fit into a block of %u",
				 (unsigned int)caplen, (unsigned int)ng->total);
	ng->last_ns = time_of(&ng->ifaces[packet->iface], (uint64_t)high << 32 | low);
	return give_packet(ng, w, caplen, wirelen, packet);
}

static int take_simple(struct pcapng *ng, struct wire *w, struct pcapng_packet *packet)
{
	uint32_t wirelen = read_32(ng, w), caplen = wirelen;

	if (w->bad)
		return bad_block(ng, "a packet's block is too short: %u bytes",
				 (unsigned int)ng->total);
	if (!ng->nifaces)
		return bad_interface(ng, 0);
	packet->iface = 0;
	if (ng->ifaces[0].snaplen && caplen > ng->ifaces[0].snaplen)
		caplen = ng->ifaces[0].snaplen;
	if (caplen > ng->body - SIMPLE_HEAD_BYTES)
		return bad_block(ng, "%u bytes of packet do not fit into a block of %u",
				 (unsigned int)caplen, (unsigned int)ng->total);
	return give_packet(ng, w, caplen, wirelen, packet);
}

/* The body, or as much of it as had room, is at room. */
static int take_block(struct pcapng *ng, const uint8_t *room, size_t size,
		      struct pcapng_packet *packet)
{
	struct wire w;

	wire_init(&w, room, ng->body < size ? ng->body : size);
	switch (ng->type) {
	case BLOCK_ENHANCED:
	case BLOCK_PACKET:
		return take_packet(ng, &w, packet);
	case BLOCK_SIMPLE:
		return take_simple(ng, &w, packet);
	case BLOCK_INTERFACE:
		return add_interface(ng, &w);
	default:
		return open_section(ng, &w);
	}
}

int pcapng_next(struct pcapng *ng, uint8_t *room, size_t size, struct pcapng_packet *packet)
{
	int err = ng->err;

	while (!err) {
		err = ng->pending ? 1 : read_head(ng);
		if (err <= 0)
			return err;
		ng->pending = false;
		if (!looked_into(ng->type)) {
			err = skip_body(ng);
			continue;
		}
		if ((size_t)ng->body + TAIL_BYTES > size && size < PCAPNG_ROOM_BYTES) {
			ng->pending = true;
			return FL_EFULL;
		}
		err = read_body(ng, room, size);
		if (!err)
			err = take_block(ng, room, size, packet);
	}
	return err;
}
