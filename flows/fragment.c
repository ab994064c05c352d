/* fragment.c - see fragment.h.
 *
 * A datagram is a slot: 64 KiB of address space for its bytes and a bitmap of the 8-byte units that
 * have come. Slots are used in rings of age, so that the oldest goes first.
 */
#include "flows/fragment.h"

#include <stdlib.h>
#include <string.h>

#include "common/memory.h"

enum { UNITS = FRAGMENT_MAX / 8, MAP_BYTES = UNITS / 8, NONE = 0xffff };

struct slot {
	struct ip_addr src, dst;
	uint64_t first_ns, last_ns;
	uint32_t id;
	uint32_t total; /* length of the datagram; 0: not known yet */
	uint32_t have;  /* bytes that came, each once */
	uint32_t sum;   /* bytes that came, as often as they came */
	uint32_t cut;   /* first byte that was not captured; FRAGMENT_MAX: none */
	uint16_t packets, iface;
	uint16_t prev, next; /* list of age, or of free slots */
	uint8_t proto;
	bool has_first;
};

struct fragments {
	struct slot slots[FRAGMENT_DATAGRAMS];
	uint16_t oldest, newest, free, done; /* lists */
	uint32_t held;
	uint8_t *bytes; /* FRAGMENT_DATAGRAMS * FRAGMENT_MAX */
	uint8_t *maps;  /* FRAGMENT_DATAGRAMS * MAP_BYTES */
};

struct fragments *fragments_new(void)
{
	struct fragments *f = calloc(1, sizeof(*f));
	unsigned int i;

	if (!f)
		return NULL;
	f->bytes = mem_map(FRAGMENT_DATAGRAMS, FRAGMENT_MAX);
	f->maps = mem_map(FRAGMENT_DATAGRAMS, MAP_BYTES);
	if (!f->bytes || !f->maps) {
		fragments_free(f);
		return NULL;
	}
	f->oldest = f->newest = f->done = NONE;
	for (i = 0; i < FRAGMENT_DATAGRAMS; i++)
		f->slots[i].next = i + 1 < FRAGMENT_DATAGRAMS ? (uint16_t)(i + 1) : (uint16_t)NONE;
	return f;
}

void fragments_free(struct fragments *f)
{
	if (!f)
		return;
	mem_unmap(f->bytes, FRAGMENT_DATAGRAMS, FRAGMENT_MAX);
	mem_unmap(f->maps, FRAGMENT_DATAGRAMS, MAP_BYTES);
	free(f);
}

static void unlink_slot(struct fragments *f, uint16_t n)
{
	struct slot *s = &f->slots[n];

	if (s->prev != NONE)
		f->slots[s->prev].next = s->next;
	else
		f->oldest = s->next;
	if (s->next != NONE)
		f->slots[s->next].prev = s->prev;
	else
		f->newest = s->prev;
	f->held--;
}

/* Bytes from the beginning that are there without a hole. */
static uint32_t contiguous(const struct fragments *f, uint16_t n)
{
	const uint8_t *map = f->maps + (size_t)n * MAP_BYTES;
	uint32_t unit = 0, len;

	while (unit < UNITS && map[unit / 8] & 1 << unit % 8)
		unit++;
	len = unit * 8;
	if (f->slots[n].total && len > f->slots[n].total)
		len = f->slots[n].total;
	return len < f->slots[n].cut ? len : f->slots[n].cut;
}

/* Take a slot out of the age list and describe it; its bytes stay until fragments_release(). */
static void hand_out(struct fragments *f, uint16_t n, bool whole, struct datagram *out)
{
	struct slot *s = &f->slots[n];

	unlink_slot(f, n);
	out->src = s->src;
	out->dst = s->dst;
	out->time_ns = s->last_ns;
	out->data = f->bytes + (size_t)n * FRAGMENT_MAX;
	out->cap = contiguous(f, n);
	out->len = whole ? s->total : s->sum;
	out->packets = s->packets;
	out->iface = s->iface;
	out->proto = s->proto;
	out->whole = whole;
	out->has_first = s->has_first;
	s->next = f->done;
	f->done = n;
}

void fragments_release(struct fragments *f)
{
	while (f->done != NONE) {
		uint16_t n = f->done;

		f->done = f->slots[n].next;
		memset(f->maps + (size_t)n * MAP_BYTES, 0, MAP_BYTES);
		f->slots[n].next = f->free;
		f->free = n;
	}
}

bool fragments_due(const struct fragments *f, uint64_t now_ns)
{
	/* Room is kept for the datagrams of one batch, which are released only after it. */
	if (f->held > FRAGMENT_DATAGRAMS * 3 / 4)
		return true;
	return f->oldest != NONE &&
	       (int64_t)(now_ns - f->slots[f->oldest].first_ns) > (int64_t)FRAGMENT_TIMEOUT_NS;
}

bool fragments_expire(struct fragments *f, uint64_t now_ns, bool all, struct datagram *out)
{
	if (f->oldest == NONE || !(all || fragments_due(f, now_ns)))
		return false;
	hand_out(f, f->oldest, false, out);
	return true;
}

static uint16_t find(struct fragments *f, const struct fragment *frag)
{
	uint16_t n;

	/* Newest first: fragments of one datagram come close together. */
	for (n = f->newest; n != NONE; n = f->slots[n].prev) {
		struct slot *s = &f->slots[n];

		if (s->id == frag->id && s->proto == frag->proto &&
		    addr_equal(&s->src, frag->src) && addr_equal(&s->dst, frag->dst))
			return n;
	}
	if (f->free == NONE)
		return NONE;
	n = f->free;
	f->free = f->slots[n].next;
	memset(&f->slots[n], 0, sizeof(f->slots[n]));
	f->slots[n].src = *frag->src;
	f->slots[n].dst = *frag->dst;
	f->slots[n].id = frag->id;
	f->slots[n].proto = frag->proto;
	f->slots[n].first_ns = frag->time_ns;
	f->slots[n].cut = FRAGMENT_MAX;
	f->slots[n].prev = f->newest;
	f->slots[n].next = NONE;
	if (f->newest != NONE)
		f->slots[f->newest].next = n;
	else
		f->oldest = n;
	f->newest = n;
	f->held++;
	return n;
}

/* Copy what is new, unit by unit: the first bytes win (a later overlap changes nothing, RFC 5722's
 * attacks have no effect on what was already read). */
static void store(struct fragments *f, uint16_t n, const struct fragment *frag)
{
	uint8_t *map = f->maps + (size_t)n * MAP_BYTES;
	uint8_t *bytes = f->bytes + (size_t)n * FRAGMENT_MAX;
	struct slot *s = &f->slots[n];
	uint32_t at;

	for (at = 0; at < frag->len; at += 8) {
		uint32_t unit = (frag->offset + at) / 8,
			 len = frag->len - at < 8 ? frag->len - at : 8;
		uint32_t cap = frag->cap > at ? frag->cap - at : 0;

		if (map[unit / 8] & 1 << unit % 8)
			continue;
		map[unit / 8] |= (uint8_t)(1 << unit % 8);
		memcpy(bytes + frag->offset + at, frag->data + (cap ? at : 0),
		       cap < len ? cap : len);
		s->have += len;
		if (cap < len && s->cut > frag->offset + at + cap)
			s->cut = frag->offset + at + cap;
	}
}

bool fragments_add(struct fragments *f, const struct fragment *frag, struct datagram *out,
		   bool *malformed)
{
	struct slot *s;
	uint16_t n;

	/* len first: it may be a capture file's word for the frame's length, and the sum would wrap
	 */
	*malformed = frag->len == 0 || frag->len >= FRAGMENT_MAX ||
		     frag->offset + frag->len > FRAGMENT_MAX - 1;
	if (*malformed)
		return false;
	n = find(f, frag);
	if (n == NONE) {
		*malformed = true; /* cannot be: see fragments_due() */
		return false;
	}
	s = &f->slots[n];
	s->last_ns = frag->time_ns;
	s->iface = frag->iface;
	if (s->packets < 0xffff)
		s->packets++;
	s->sum += frag->len;
	if (!frag->offset)
		s->has_first = true;
	if (!frag->more && (!s->total || frag->offset + frag->len < s->total))
		s->total = frag->offset + frag->len;
	store(f, n, frag);
	if (!s->total || s->have < s->total ||
	    contiguous(f, n) < (s->cut < s->total ? s->cut : s->total))
		return false;
	hand_out(f, n, true, out);
	return true;
}
