/* stream_dns.c - DNS messages in a TCP stream (RFC 1035 section 4.2.2, RFC 7766). A message inside
 * one piece is read where it lies; one over several pieces is gathered in a buffer. */
#include "flows/stream_internal.h"

#include <string.h>

#include "common/wire.h"
#include "flows/dns.h"
#include "flows/dns_pending.h"

void stream_dns_init(struct stream *st, int end)
{
	memset(&st->end[end].u.dns, 0, sizeof(st->end[end].u.dns));
	st->end[end].u.dns.buffer = FLOW_NONE;
}

static void buffer_give(struct streams *s, struct dns_reader *r)
{
	if (r->buffer == FLOW_NONE)
		return;
	s->buffers_next[r->buffer] = s->buffers_free;
	s->buffers_free = r->buffer;
	r->buffer = FLOW_NONE;
}

static bool buffer_take(struct streams *s, struct dns_reader *r)
{
	uint32_t n = s->buffers_free;

	if (r->buffer != FLOW_NONE)
		return true;
	if (n != FLOW_NONE)
		s->buffers_free = s->buffers_next[n];
	else if (s->buffers_unused_from < DNS_BUFFERS)
		n = s->buffers_unused_from++;
	r->buffer = n;
	return n != FLOW_NONE;
}

static bool give_message(struct piece *pc, const uint8_t *msg, uint32_t len, bool whole)
{
	struct stream *st = pc->st;
	uint64_t time_ns = whole ? pc->now_ns : pc->time_ns;

	pc->st->proven = true;
	return dns_pending_message(pc->s->config.dns, &st->key, pc->end, st->flow_hash, msg, len,
				   whole, time_ns);
}

/* What there is of the message is read now; the rest is only passed over. */
static void give_cut(struct piece *pc, const uint8_t *msg, uint32_t len)
{
	struct dns_reader *r = &pc->st->end[pc->end].u.dns;

	if (!r->given && len >= DNS_HEADER_SIZE)
		give_message(pc, msg, len, false);
	r->given = true;
}

/* Message bytes: p has n of them, n <= r->need. */
static bool take_message(struct piece *pc, const uint8_t *p, uint32_t n)
{
	struct dns_reader *r = &pc->st->end[pc->end].u.dns;
	bool ok = true;

	if (n == r->need && !r->have && !r->given) {
		ok = give_message(pc, p, n, true);
	} else if (!r->given) {
		if (buffer_take(pc->s, r)) {
			uint8_t *buf = pc->s->buffers + (size_t)r->buffer * DNS_BUFFER_SIZE;

			memcpy(buf + r->have, p, n);
			r->have += n;
			if (n == r->need)
				ok = give_message(pc, buf, r->have, true);
		} else {
			give_cut(pc, p, n);
		}
	}
	r->need -= n;
	if (!r->need) {
		buffer_give(pc->s, r);
		r->have = 0;
		r->given = false;
	}
	return ok;
}

int stream_dns_feed(struct piece *pc, const uint8_t *p, uint32_t n)
{
	struct dns_reader *r = &pc->st->end[pc->end].u.dns;

	while (n) {
		uint32_t take;

		if (!r->need) {
			r->length[r->length_have++] = *p++;
			n--;
			if (r->length_have < 2)
				continue;
			r->length_have = 0;
			r->need = load_be16(r->length);
			continue;
		}
		take = n < r->need ? n : r->need;
		if (!take_message(pc, p, take)) {
			buffer_give(pc->s, r);
			r->lost = true;
			return FL_EMALFORMED;
		}
		p += take;
		n -= take;
	}
	return 0;
}

void stream_dns_gap(struct piece *pc, uint64_t n)
{
	struct dns_reader *r = &pc->st->end[pc->end].u.dns;

	if (r->need && r->have)
		give_cut(pc, pc->s->buffers + (size_t)r->buffer * DNS_BUFFER_SIZE, r->have);
	if (r->need && n <= r->need) {
		r->given = true;
		r->need -= (uint32_t)n;
		if (r->need)
			return;
		r->have = 0;
		r->given = false;
		buffer_give(pc->s, r);
		return;
	}
	buffer_give(pc->s, r);
	r->lost = true;
}

bool stream_dns_resync(struct stream *st, int end, const uint8_t *p, uint32_t n)
{
	if (n < 2 + DNS_HEADER_SIZE || load_be16(p) < DNS_HEADER_SIZE ||
	    !dns_looks_like(p + 2, n - 2))
		return false;
	stream_dns_init(st, end);
	return true;
}

uint64_t stream_dns_skippable(const struct stream *st, int end)
{
	const struct dns_reader *r = &st->end[end].u.dns;

	return r->given ? r->need : 0;
}

void stream_dns_close(struct piece *pc)
{
	struct dns_reader *r = &pc->st->end[pc->end].u.dns;

	if (r->need && r->have)
		give_cut(pc, pc->s->buffers + (size_t)r->buffer * DNS_BUFFER_SIZE, r->have);
	buffer_give(pc->s, r);
}
