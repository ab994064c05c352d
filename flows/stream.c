/* stream.c - see stream.h. Sequence numbers are compared by signed difference (RFC 9293
 * section 3.4). */
#include "flows/stream_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/memory.h"

enum {
	SEGMENT_BYTES = 2048, /* a longer segment is held in several */
	SEGMENTS = 8192,      /* in all */
	SEGMENTS_PER_END = 64,
	LOST_AFTER_SEGMENTS = 32 /* held beyond a hole that the receiver has passed */
};
#define LOST_AFTER_NS   1000000000ULL /* the receiver has passed the hole this long ago */
#define LOST_UNACKED_NS 5000000000ULL /* one-sided captures have no acknowledgements */

/* A segment that came before those in front of it. */
struct held_segment {
	uint64_t time_ns;
	uint32_t next;
	uint32_t seq, ack, len, cap;
	uint8_t data[SEGMENT_BYTES];
};

struct streams *streams_new(const struct streams_config *config)
{
	struct streams *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->config = *config;
	s->free = s->segments_free = s->partials_free = s->buffers_free = FLOW_NONE;
	s->pool = mem_map(config->max_streams, sizeof(*s->pool));
	s->segments = mem_map(SEGMENTS, sizeof(*s->segments));
	s->partials = mem_map(HTTP_PARTIALS, sizeof(*s->partials));
	s->partials_next = mem_map(HTTP_PARTIALS, sizeof(*s->partials_next));
	s->buffers = mem_map(DNS_BUFFERS, DNS_BUFFER_SIZE);
	s->buffers_next = mem_map(DNS_BUFFERS, sizeof(*s->buffers_next));
	if (!s->pool || !s->segments || !s->partials || !s->partials_next || !s->buffers ||
	    !s->buffers_next) {
		streams_free(s);
		errno = ENOMEM;
		return NULL;
	}
	return s;
}

void streams_free(struct streams *s)
{
	if (!s)
		return;
	mem_unmap(s->pool, s->config.max_streams, sizeof(*s->pool));
	mem_unmap(s->segments, SEGMENTS, sizeof(*s->segments));
	mem_unmap(s->partials, HTTP_PARTIALS, sizeof(*s->partials));
	mem_unmap(s->partials_next, HTTP_PARTIALS, sizeof(*s->partials_next));
	mem_unmap(s->buffers, DNS_BUFFERS, DNS_BUFFER_SIZE);
	mem_unmap(s->buffers_next, DNS_BUFFERS, sizeof(*s->buffers_next));
	free(s);
}

const struct streams_stats *streams_stats(const struct streams *s)
{
	return &s->stats;
}

static int32_t ahead(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b);
}

/* --- the readers, by kind
 * --------------------------------------------------------------------------- */

static int reader_feed(struct piece *pc, const uint8_t *p, uint32_t n)
{
	return pc->st->kind == STREAM_HTTP ? stream_http_feed(pc, p, n) : stream_dns_feed(pc, p, n);
}

static void reader_gap(struct piece *pc, uint64_t n)
{
	if (pc->st->kind == STREAM_HTTP)
		stream_http_gap(pc, n);
	else
		stream_dns_gap(pc, n);
}

static bool reader_resync(struct stream *st, int end, const uint8_t *p, uint32_t n)
{
	return st->kind == STREAM_HTTP ? stream_http_resync(st, end, p, n)
				       : stream_dns_resync(st, end, p, n);
}

static uint64_t reader_skippable(const struct stream *st, int end)
{
	return st->kind == STREAM_HTTP ? stream_http_skippable(st, end)
				       : stream_dns_skippable(st, end);
}

static bool reader_is_lost(const struct stream *st, int end)
{
	return st->kind == STREAM_HTTP ? stream_http_is_lost(st, end) : st->end[end].u.dns.lost;
}

/* --- segments beyond a hole
 * ------------------------------------------------------------------------- */

static uint32_t segment_take(struct streams *s)
{
	uint32_t n = s->segments_free;

	if (n != FLOW_NONE)
		s->segments_free = s->segments[n].next;
	else if (s->segments_unused_from < SEGMENTS)
		n = s->segments_unused_from++;
	return n;
}

static void segment_give(struct streams *s, struct stream_end *e)
{
	uint32_t n = e->held;

	e->held = s->segments[n].next;
	e->nheld--;
	s->segments[n].next = s->segments_free;
	s->segments_free = n;
}

/* Keep [pc->seq, pc->seq + len) for later. false: no room. A byte that is held twice is read once.
 */
static bool hold(struct piece *pc, const uint8_t *p, uint32_t cap, uint32_t len)
{
	struct stream_end *e = &pc->st->end[pc->end];
	uint32_t seq = pc->seq;

	while (len) {
		uint32_t part = len < SEGMENT_BYTES ? len : SEGMENT_BYTES, n, *link = &e->held;
		struct held_segment *h;

		if (cap == 0)
			part = len; /* only its length is known */
		if (e->nheld >= SEGMENTS_PER_END || (n = segment_take(pc->s)) == FLOW_NONE)
			return false;
		h = &pc->s->segments[n];
		h->seq = seq;
		h->ack = pc->ack;
		h->len = part;
		h->cap = cap < part ? cap : part;
		h->time_ns = pc->time_ns;
		memcpy(h->data, p, h->cap);
		while (*link != FLOW_NONE && ahead(pc->s->segments[*link].seq, seq) <= 0)
			link = &pc->s->segments[*link].next;
		h->next = *link;
		*link = n;
		e->nheld++;
		seq += part;
		len -= part;
		p += h->cap;
		cap -= h->cap;
	}
	return true;
}

static void drop_held(struct streams *s, struct stream_end *e)
{
	while (e->held != FLOW_NONE)
		segment_give(s, e);
}

/* --- reading in order
 * ------------------------------------------------------------------------------- */

/* Pass over what the reader does not need, up to stop; holes in there do not matter. */
static void pass_over(struct piece *pc, uint32_t stop)
{
	struct stream_end *e = &pc->st->end[pc->end];
	uint64_t skip = reader_skippable(pc->st, pc->end);
	uint32_t n;

	if (!skip || ahead(stop, e->next) <= 0)
		return;
	n = stop - e->next;
	if (skip < n)
		n = (uint32_t)skip;
	reader_gap(pc, n);
	e->next += n;
}

/* Give a segment's bytes to the reader. false: it lies beyond a hole, hold it. */
static bool deliver(struct piece *pc, const uint8_t *p, uint32_t cap, uint32_t len)
{
	struct stream_end *e = &pc->st->end[pc->end];
	uint32_t seq = pc->seq, stop = seq + len, off;

	if (reader_is_lost(pc->st, pc->end)) {
		if (ahead(stop, e->next) <= 0)
			return true;
		if (ahead(seq, e->next) < 0 || !reader_resync(pc->st, pc->end, p, cap)) {
			e->next = stop;
			return true;
		}
		e->next = seq;
	}
	pass_over(pc, stop);
	if (ahead(stop, e->next) <= 0)
		return true;
	if (ahead(seq, e->next) > 0)
		return false;
	off = e->next - seq;
	if (off < cap) {
		pc->seq = e->next;
		e->next = seq + cap;
		if (reader_feed(pc, p + off, cap - off) < 0) {
			pc->s->stats.lost++;
			e->next = stop;
			return true;
		}
	}
	if (ahead(stop, e->next) > 0) {
		uint32_t missing = stop - e->next;

		e->next = stop;
		reader_gap(pc, missing);
		if (reader_is_lost(pc->st, pc->end))
			pc->s->stats.lost++;
	}
	return true;
}

/* Read the held segments that the hole in front no longer keeps back. */
static void drain(struct piece *pc)
{
	struct stream_end *e = &pc->st->end[pc->end];

	while (e->held != FLOW_NONE && !pc->st->dead) {
		struct held_segment *h = &pc->s->segments[e->held];
		uint64_t skip = reader_skippable(pc->st, pc->end);

		if (!reader_is_lost(pc->st, pc->end) && ahead(h->seq, e->next) > 0 &&
		    skip < h->seq - e->next)
			return;
		pc->seq = h->seq;
		pc->ack = h->ack;
		pc->time_ns = h->time_ns;
		deliver(pc, h->data, h->cap, h->len);
		segment_give(pc->s, e);
	}
}

/* The bytes in front of seq will not come. */
static void pass_hole(struct piece *pc, uint32_t seq)
{
	struct stream_end *e = &pc->st->end[pc->end];
	uint32_t missing = seq - e->next;

	pc->s->stats.lost++;
	if (ahead(seq, e->next) <= 0)
		return;
	e->next = seq;
	pc->hole = true;
	reader_gap(pc, missing);
	pc->hole = false;
}

/* The bytes in front of the first held segment will not come. */
static void give_up_hole(struct piece *pc)
{
	struct stream_end *e = &pc->st->end[pc->end];
	struct held_segment *h = &pc->s->segments[e->held];

	pc->time_ns = h->time_ns;
	pass_hole(pc, h->seq);
	drain(pc);
}

static bool hole_is_lost(const struct streams *s, const struct stream_end *e, uint64_t now_ns)
{
	const struct held_segment *h = &s->segments[e->held];
	int64_t age = (int64_t)(now_ns - h->time_ns);

	if (e->has_acked && ahead(e->acked, h->seq) >= 0)
		return age > (int64_t)LOST_AFTER_NS || e->nheld >= LOST_AFTER_SEGMENTS;
	return age > (int64_t)LOST_UNACKED_NS;
}

static void segment_data(struct piece *pc, const struct packet *pkt)
{
	struct stream_end *e = &pc->st->end[pc->end];
	const uint8_t *p = pkt->payload;

	pc->seq = pkt->seq + (pkt->tcp_flags & TCP_SYN ? 1 : 0);
	if (!e->synced) {
		if (!reader_resync(pc->st, pc->end, p, pkt->payload_cap))
			return;
		e->synced = true;
		e->next = pc->seq;
	}
	if (deliver(pc, p, pkt->payload_cap, pkt->payload_len)) {
		drain(pc);
		return;
	}
	if (hold(pc, p, pkt->payload_cap, pkt->payload_len))
		return;
	if (e->held == FLOW_NONE) { /* other streams have all the room */
		pass_hole(pc, pc->seq);
		deliver(pc, p, pkt->payload_cap, pkt->payload_len);
		return;
	}
	give_up_hole(pc);
	pc->seq = pkt->seq;
	pc->ack = pkt->ack;
	pc->time_ns = pkt->time_ns;
	if (!pc->st->dead && !deliver(pc, p, pkt->payload_cap, pkt->payload_len))
		pc->s->stats.lost++; /* a second hole, and no room: this segment is passed by */
}

/* --- opening and closing
 * ---------------------------------------------------------------------------- */

/* Where an end's bytes begin: behind its SYN, or where the other end says it has read to. */
static void sync_end(struct stream *st, const struct flow *f, const struct flow_cold *c, int end,
		     const struct packet *pkt)
{
	struct stream_end *e = &st->end[end];

	e->held = FLOW_NONE;
	if (st->kind == STREAM_HTTP)
		stream_http_init(st, end);
	else
		stream_dns_init(st, end);
	if (end == pkt->end) {
		e->synced = true;
		e->next = pkt->seq + (pkt->tcp_flags & TCP_SYN ? 1 : 0);
	} else if (pkt->tcp_flags & TCP_ACK) {
		e->synced = true;
		e->next = pkt->ack;
		/* acknowledged, but captured later than this segment: still to come */
		if (f->state & (FLOW_SEQ << end) && ahead(pkt->ack, f->next_seq[end]) > 0)
			e->next = f->next_seq[end];
	} else if (f->state & ((FLOW_SYN | FLOW_SYNACK) << end)) {
		e->synced = true;
		e->next = c->isn[end] + 1;
	}
}

static struct stream *stream_open(struct streams *s, struct flow *f, struct flow_cold *c,
				  const struct packet *pkt, enum stream_kind kind, int client)
{
	struct stream *st;
	uint32_t n = s->free;

	if (n != FLOW_NONE)
		s->free = s->pool[n].next_free;
	else if (s->unused_from < s->config.max_streams)
		n = s->unused_from++;
	if (n == FLOW_NONE) {
		s->stats.evicted++;
		return NULL;
	}
	st = &s->pool[n];
	memset(st, 0, sizeof(*st));
	st->kind = (uint8_t)kind;
	st->client = (uint8_t)client;
	st->key = f->key;
	st->flow_hash = pkt->hash;
	http_queue_init(&st->queue);
	sync_end(st, f, c, 0, pkt);
	sync_end(st, f, c, 1, pkt);
	c->stream = n;
	f->state |= FLOW_STREAM;
	s->stats.active++;
	return st;
}

void stream_open_http(struct streams *s, struct flow *f, struct flow_cold *c,
		      const struct packet *pkt, bool request)
{
	stream_open(s, f, c, pkt, STREAM_HTTP, request ? pkt->end : 1 - pkt->end);
}

void stream_open_late(struct streams *s, struct flow *f, struct flow_cold *c,
		      const struct packet *pkt)
{
	int client = f->state & (FLOW_CLIENT << 1) ? 1 : 0, e = pkt->end;
	struct stream *st = stream_open(s, f, c, pkt, STREAM_HTTP, client);

	if (st)
		st->end[e].next = c->isn[e] + 1;
}

void stream_open_dns(struct streams *s, struct flow *f, struct flow_cold *c,
		     const struct packet *pkt)
{
	int e = pkt->end;
	struct stream *st = stream_open(s, f, c, pkt, STREAM_DNS, 0);

	/* Segments may be out of order from the first one on: a SYN knows better where to begin. */
	if (st && f->state & ((FLOW_SYN | FLOW_SYNACK) << e))
		st->end[e].next = c->isn[e] + 1;
	else if (st)
		st->end[e].u.dns.lost = true;
}

static void stream_release(struct streams *s, struct flow *f, struct flow_cold *c)
{
	struct stream *st = &s->pool[c->stream];
	int end;

	for (end = 0; end < 2; end++) {
		struct piece pc = {.s = s, .st = st, .end = end};

		drop_held(s, &st->end[end]);
		if (st->kind == STREAM_HTTP)
			stream_http_close(&pc);
		else
			stream_dns_close(&pc);
	}
	if (st->kind == STREAM_HTTP)
		http_pairs_close(s->config.http, &st->queue);
	if (st->tunnel)
		f->state |= FLOW_NO_HTTP;
	st->next_free = s->free;
	s->free = c->stream;
	c->stream = FLOW_NONE;
	f->state &= ~(uint32_t)FLOW_STREAM;
	s->stats.active--;
}

void stream_segment(struct streams *s, struct flow *f, struct flow_cold *c,
		    const struct packet *pkt)
{
	struct stream *st = &s->pool[c->stream];
	struct stream_end *o = &st->end[1 - pkt->end];
	struct piece pc = {.s = s,
			   .st = st,
			   .end = pkt->end,
			   .ack = pkt->ack,
			   .time_ns = pkt->time_ns,
			   .now_ns = pkt->time_ns};

	if (pkt->tcp_flags & TCP_ACK && (!o->has_acked || ahead(pkt->ack, o->acked) > 0)) {
		o->acked = pkt->ack;
		o->has_acked = true;
	}
	if (pkt->payload_len)
		segment_data(&pc, pkt);
	for (pc.end = 0; pc.end < 2 && !st->dead; pc.end++)
		if (st->end[pc.end].held != FLOW_NONE &&
		    hole_is_lost(s, &st->end[pc.end], pkt->time_ns))
			give_up_hole(&pc);
	if (st->dead)
		stream_release(s, f, c);
}

void stream_close(struct streams *s, struct flow *f, struct flow_cold *c)
{
	struct stream *st = &s->pool[c->stream];
	struct piece pc = {.s = s, .st = st, .now_ns = f->last_ns};

	/* The requests first, so that responses find them. */
	for (pc.end = 0; pc.end < 2; pc.end++) {
		int end = pc.end ? 1 - st->client : st->client;
		struct piece each = pc;

		each.end = end;
		while (st->end[end].held != FLOW_NONE && !st->dead)
			give_up_hole(&each);
	}
	stream_release(s, f, c);
}
