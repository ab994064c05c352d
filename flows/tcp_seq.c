/* tcp_seq.c - each byte of a stream once: the ranges of sequence numbers that were jumped over.
 *
 * Kept per end: the highest position seen (flow.next_seq) and, below it, an ordered list of holes,
 * mostly empty. A connection whose beginning was not seen also has everything below low_seq as one
 * hole without a beginning. Sequence numbers wrap; comparisons are signed differences, so a hole
 * counts for 1 GiB. Of those that are given up the sum is kept, for who learns that they were sent
 * (tcp_repair.c).
 */
#include "flows/tcp.h"

#include <errno.h>
#include <string.h>

#include "common/memory.h"

int tcp_init(struct tcp *t, size_t holes)
{
	memset(t, 0, sizeof(*t));
	t->free = FLOW_NONE;
	t->most = (uint32_t)holes;
	t->holes = mem_map(holes, sizeof(*t->holes));
	return t->holes ? 0 : -errno;
}

int tcp_keep_lost(struct tcp *t, const struct flow_cold *flows, size_t n)
{
	t->lost = mem_map(n, sizeof(*t->lost));
	t->flows = flows;
	t->nflows = n;
	return t->lost ? 0 : -errno;
}

void tcp_destroy(struct tcp *t)
{
	mem_unmap(t->holes, t->most, sizeof(*t->holes));
	mem_unmap(t->lost, t->nflows, sizeof(*t->lost));
	memset(t, 0, sizeof(*t));
}

static int32_t before(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b);
}

static uint32_t hole_take(struct tcp *t)
{
	uint32_t n = t->free;

	if (n != FLOW_NONE)
		t->free = t->holes[n].next;
	else if (t->unused_from < t->most)
		n = t->unused_from++;
	return n;
}

static void hole_give(struct tcp *t, uint32_t n)
{
	t->holes[n].next = t->free;
	t->free = n;
}

/* A hole that is not kept any more: nobody can tell whether bytes that come there are fresh. */
static void give_up(struct tcp *t, struct flow *f, const struct flow_cold *c, int end,
		    uint32_t start, uint32_t stop)
{
	uint32_t bit = (uint32_t)FLOW_LOST << end;
	struct tcp_lost_end *l;

	t->forgotten++;
	if (!t->lost)
		return;
	l = &t->lost[c - t->flows].end[end];
	if (!(f->state & bit))
		l->bytes = 0;
	if (!(f->state & bit) || before(stop, l->stop) > 0)
		l->stop = stop;
	l->bytes += stop - start;
	f->state |= bit;
}

void tcp_seq_reset(struct tcp *t, struct flow_cold *c)
{
	int end;

	if (!(c->hole_count[0] | c->hole_count[1]))
		return; /* nearly always; the lists are on another line of the cache */
	for (end = 0; end < 2; end++) {
		while (c->holes[end] != FLOW_NONE) {
			uint32_t n = c->holes[end];

			c->holes[end] = t->holes[n].next;
			hole_give(t, n);
		}
		c->hole_count[end] = 0;
	}
}

uint32_t tcp_seq_missing(const struct tcp *t, const struct flow_cold *c, int end)
{
	uint32_t n, bytes = 0;

	if (!c->hole_count[end])
		return 0;
	for (n = c->holes[end]; n != FLOW_NONE; n = t->holes[n].next)
		bytes += t->holes[n].end - t->holes[n].start;
	return bytes;
}

/* Put a hole behind *link. Where there are too many the lowest is forgotten: the oldest, and the
 * likeliest never to be filled. */
static void hole_insert(struct tcp *t, struct flow *f, struct flow_cold *c, int end, uint32_t *link,
			uint32_t start, uint32_t stop, uint32_t now)
{
	uint32_t n;

	if (c->hole_count[end] >= TCP_HOLES_PER_END) {
		uint32_t lowest = c->holes[end];

		if (link == &c->holes[end]) { /* the new one is the lowest */
			give_up(t, f, c, end, start, stop);
			return;
		}
		give_up(t, f, c, end, t->holes[lowest].start, t->holes[lowest].end);
		if (link == &t->holes[lowest].next)
			link = &c->holes[end];
		c->holes[end] = t->holes[lowest].next;
		hole_give(t, lowest);
		c->hole_count[end]--;
	}
	n = hole_take(t);
	if (n == FLOW_NONE) {
		give_up(t, f, c, end, start, stop);
		return;
	}
	t->holes[n].start = start;
	t->holes[n].end = stop;
	t->holes[n].at = now;
	t->holes[n].next = *link;
	*link = n;
	c->hole_count[end]++;
}

/* Cut [seq, stop) out of the holes; the bytes that were holes are fresh. */
static void fill(struct tcp *t, struct flow *f, struct flow_cold *c, int end, uint32_t seq,
		 uint32_t stop, uint32_t now, uint32_t reorder, struct tcp_span *out)
{
	uint32_t *link = &c->holes[end];

	while (*link != FLOW_NONE) {
		uint32_t n = *link;
		struct tcp_hole *h = &t->holes[n];
		uint32_t from = before(seq, h->start) > 0 ? seq : h->start;
		uint32_t to = before(stop, h->end) < 0 ? stop : h->end;

		if (before(h->start, stop) >= 0)
			break;
		if (before(from, to) >= 0) {
			link = &h->next;
			continue;
		}
		out->fresh += to - from;
		if (now - h->at <= reorder)
			out->late = true;
		if (from == h->start && to == h->end) {
			*link = h->next;
			hole_give(t, n);
			c->hole_count[end]--;
			continue;
		}
		if (from != h->start && to != h->end) {
			uint32_t tail = h->end;

			h->end = from;
			hole_insert(t, f, c, end, &h->next, to, tail, h->at);
			break;
		}
		if (from == h->start)
			h->start = to;
		else
			h->end = from;
		link = &h->next;
	}
}

/* Bytes below the first position seen of a stream whose beginning was not seen. */
static void extend_low(struct tcp *t, struct flow *f, struct flow_cold *c, int end, uint32_t seq,
		       uint32_t stop, uint32_t now, struct tcp_span *out)
{
	uint32_t low = c->low_seq[end], to = before(stop, low) < 0 ? stop : low;

	out->fresh += to - seq;
	out->late =
	    true; /* was it ever seen before? nobody can say: it is not counted as sent again */
	c->low_seq[end] = seq;
	if (to != low)
		hole_insert(t, f, c, end, &c->holes[end], to, low, now);
}

void tcp_seq_begin(struct tcp *t, struct flow *f, struct flow_cold *c, int end, uint32_t seq,
		   uint32_t now)
{
	if (f->state & ((uint32_t)FLOW_SEQ << end)) {
		if (before(c->low_seq[end], seq) > 0)
			hole_insert(t, f, c, end, &c->holes[end], seq, c->low_seq[end], now);
		return;
	}
	f->state |= (uint32_t)FLOW_SEQ << end;
	f->next_seq[end] = seq;
}

/* Holes further behind than sequence numbers can be told apart are forgotten. */
static void prune(struct tcp *t, struct flow *f, struct flow_cold *c, int end, uint32_t next)
{
	while (c->holes[end] != FLOW_NONE && next - t->holes[c->holes[end]].start > 1U << 30) {
		uint32_t n = c->holes[end];

		give_up(t, f, c, end, t->holes[n].start, t->holes[n].end);
		c->holes[end] = t->holes[n].next;
		hole_give(t, n);
		c->hole_count[end]--;
	}
	if (next - c->low_seq[end] > 1U << 30)
		c->low_seq[end] = next - (1U << 30);
}

void tcp_seq_add(struct tcp *t, struct flow *f, struct flow_cold *c, int end, uint32_t seq,
		 uint32_t len, uint32_t now, uint32_t reorder, struct tcp_span *out)
{
	uint32_t next = f->next_seq[end], stop = seq + len, old_stop;
	bool open_below = !(f->state & ((FLOW_SYN | FLOW_SYNACK) << end));

	memset(out, 0, sizeof(*out));
	prune(t, f, c, end, next);
	if (before(seq, next) >= 0) {
		if (seq != next) {
			uint32_t *link = &c->holes[end];

			while (*link != FLOW_NONE)
				link = &t->holes[*link].next;
			hole_insert(t, f, c, end, link, next, seq, now);
		}
		f->next_seq[end] = stop;
		out->fresh = len;
		return;
	}
	old_stop = stop;
	if (before(stop, next) > 0) {
		out->fresh = stop - next;
		f->next_seq[end] = stop;
		old_stop = next;
	}
	out->old = old_stop - seq;
	if (open_below && before(seq, c->low_seq[end]) < 0) {
		uint32_t low = c->low_seq[end];

		extend_low(t, f, c, end, seq, old_stop, now, out);
		if (before(old_stop, low) <= 0)
			return;
		seq = low;
	}
	if (c->holes[end] != FLOW_NONE)
		fill(t, f, c, end, seq, old_stop, now, reorder, out);
}

/* Were all the holes that were given up below stop? */
static const struct tcp_lost_end *lost_below(const struct tcp *t, const struct flow *f,
					     const struct flow_cold *c, int end, uint32_t stop)
{
	const struct tcp_lost_end *l;

	if (!t->lost || !(f->state & (uint32_t)FLOW_LOST << end))
		return NULL;
	l = &t->lost[c - t->flows].end[end];
	return before(l->stop, stop) <= 0 ? l : NULL;
}

uint64_t tcp_seq_below(const struct tcp *t, const struct flow *f, const struct flow_cold *c,
		       int end, uint32_t stop)
{
	const struct tcp_lost_end *l = lost_below(t, f, c, end, stop);
	uint64_t bytes = l ? l->bytes : 0;
	uint32_t n;

	if (!c->hole_count[end])
		return bytes;
	for (n = c->holes[end]; n != FLOW_NONE; n = t->holes[n].next) {
		const struct tcp_hole *h = &t->holes[n];

		if (before(h->start, stop) >= 0)
			break;
		bytes += (before(h->end, stop) <= 0 ? h->end : stop) - h->start;
	}
	return bytes;
}

void tcp_seq_take(struct tcp *t, struct flow *f, struct flow_cold *c, int end, uint32_t stop)
{
	if (lost_below(t, f, c, end, stop))
		f->state &= ~((uint32_t)FLOW_LOST << end);
	while (c->hole_count[end] && before(t->holes[c->holes[end]].start, stop) < 0) {
		uint32_t n = c->holes[end];

		if (before(t->holes[n].end, stop) > 0) {
			t->holes[n].start = stop;
			return;
		}
		c->holes[end] = t->holes[n].next;
		hole_give(t, n);
		c->hole_count[end]--;
	}
}
