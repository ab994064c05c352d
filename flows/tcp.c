/* tcp.c - see tcp.h. */
#include "flows/tcp.h"

#include <string.h>

enum {
	LATE_SYN_BYTES = 1 << 20, /* a SYN may come this far behind its connection's data ... */
	REORDER_US = 3000,        /* a hole filled within this (or one round trip) was reordered */
	RST_WINDOW = 1 << 24,     /* an RST this far from the stream is not of this connection */
};
#define LATE_SYN_NS 3000000000ULL

static uint32_t clock_1024(uint64_t ns)
{
	return (uint32_t)(ns >> 10);
}

/* --- connections
 * ----------------------------------------------------------------------------------- */

/* A SYN of an end whose later segments were captured before it. */
static bool is_late_syn(const struct flow *f, const struct flow_cold *c, const struct packet *pkt)
{
	int e = pkt->end;
	uint32_t ahead;

	/* sent before all that has been seen, whatever that has told of the end */
	if (f->state & FLOW_NARROW && pkt->time_ns < c->first_ns)
		return true;
	if (f->state & FLOW_CLOSED || (int64_t)(pkt->time_ns - c->first_ns) > (int64_t)LATE_SYN_NS)
		return false;
	if (f->state & (FLOW_SYNACK << (1 - e)) && !(f->state & (FLOW_SEQ << e)))
		return true;
	ahead = f->next_seq[e] - (pkt->seq + 1);
	return f->state & (FLOW_SEQ << e) && ahead < LATE_SYN_BYTES;
}

bool tcp_is_reuse(const struct flow *f, const struct flow_cold *c, const struct packet *pkt)
{
	int e = pkt->end;

	if (!(pkt->tcp_flags & TCP_SYN) || pkt->tcp_flags & TCP_RST ||
	    !(f->state & (3 * FLOW_SEEN)))
		return false;
	if (f->state & ((FLOW_SYN | FLOW_SYNACK) << e))
		return pkt->seq != c->isn[e];
	if (pkt->tcp_flags & TCP_ACK) {
		/* a SYN-ACK belongs to the SYN that it acknowledges; without one, to a fresh
		 * connection */
		if (f->state & (FLOW_SYN << (1 - e)))
			return f->state & FLOW_CLOSED && pkt->ack != c->isn[1 - e] + 1;
		return f->state & (FLOW_SEQ << e) && !is_late_syn(f, c, pkt);
	}
	if (f->state & (FLOW_SYN << (1 - e)) && !(f->state & (3 * FLOW_SYNACK)) &&
	    !(f->state & FLOW_CLOSED))
		return false; /* both ends open at once, RFC 9293 section 3.5 */
	return !is_late_syn(f, c, pkt);
}

void tcp_restart(struct tcp *t, struct flow *f, struct flow_cold *c, uint64_t now_ns)
{
	int e;

	tcp_seq_reset(t, c);
	f->state &= FLOW_DIRTY | FLOW_TCP;
	c->first_ns = now_ns;
	c->notes = 0;
	memset(c->rtt, 0, sizeof(c->rtt));
	for (e = 0; e < 2; e++) {
		c->holes[e] = FLOW_NONE; /* narrowed, it was something else */
		c->syn_ns[e] = 0;
		c->kernel[e] = false;
		c->retransmits_all[e] = 0;
	}
}

bool tcp_end(struct tcp *t, struct flow *f, struct flow_cold *c, enum flow_end_reason reason)
{
	bool talked = f->state & (3 * FLOW_OTHER);
	bool counted = f->state & FLOW_NARROW && tcp_narrow_end(f, c);

	if (c->notes & (NOTE_RESET | NOTE_FAILED)) { /* nobody has said what became of it */
		c->notes &= (uint16_t) ~(NOTE_RESET | NOTE_FAILED);
		c->connect_failed++;
		counted = true;
	}
	if (!(f->state & FLOW_CLOSED) && reason != FLOW_END_EVICTED) {
		if (f->state & (3 * (FLOW_SYN | FLOW_SYNACK)) && !talked) {
			c->connect_failed++;
			counted = true;
		} else if (talked && reason != FLOW_END_FINISH &&
			   (f->state & (3 * FLOW_FIN) || reason == FLOW_END_REUSED)) {
			c->closed++;
			counted = true;
		}
		f->state |= FLOW_CLOSED;
	}
	tcp_seq_reset(t, c);
	return counted;
}

/* --- round-trip times
 * ------------------------------------------------------------------------------ */

/* RFC 6298 section 2.2 and 2.3, in the kernel's fixed point (net/ipv4/tcp_input.c,
 * tcp_rtt_estimator). */
static void rtt_sample(struct flow_rtt *r, uint64_t us)
{
	uint32_t m = us < 1 << 28 ? (uint32_t)us : 1 << 28, srtt, err;

	r->samples++;
	if (!r->valid) {
		r->valid = true;
		r->srtt8_us = m << 3;
		r->var4_us = m << 1;
		return;
	}
	srtt = r->srtt8_us >> 3;
	err = m > srtt ? m - srtt : srtt - m;
	r->srtt8_us += m - srtt;
	r->var4_us += err - (r->var4_us >> 2);
}

static void rtt_sample_1024(struct flow_rtt *r, uint32_t sent, uint32_t now)
{
	if ((int32_t)(now - sent) >= 0)
		rtt_sample(r, ((uint64_t)(now - sent) << 10) / 1000);
}

/* The other end acknowledged: is it what the measurement waits for? With timestamps the echo says
 * which of several copies was acknowledged (RFC 7323 section 4); without, a copy has ended the
 * measurement (Karn). */
static void rtt_ack(struct flow *f, struct flow_cold *c, const struct packet *pkt)
{
	int o = 1 - pkt->end;

	if ((int32_t)(pkt->ack - f->u.probe.seq[o]) < 0)
		return;
	f->state &= ~((uint32_t)FLOW_PROBE << o);
	if (pkt->has_ts && pkt->tsecr != f->u.probe.ts[o])
		return;
	rtt_sample_1024(&c->rtt[o], f->u.probe.at[o], clock_1024(pkt->time_ns));
}

void tcp_kernel_rtt(struct flow_cold *c, int end, uint32_t rtt_us, uint32_t rtt_var_us)
{
	struct flow_rtt *r = &c->rtt[end];

	if (!rtt_us)
		return;
	r->srtt8_us = rtt_us < 1 << 28 ? rtt_us << 3 : UINT32_MAX;
	r->var4_us = rtt_var_us < 1 << 29 ? rtt_var_us << 2 : UINT32_MAX;
	r->valid = true;
	if (!r->samples)
		r->samples = 1;
}

void tcp_kernel_retransmits(const struct flow *f, struct flow_cold *c, int end,
			    uint32_t total_retransmits)
{
	uint32_t ours = c->retransmits_all[end];
	int32_t more;

	/* Of a connection that was open before, only what comes from now on is known; of one that
	 * was not, the kernel's count has the SYNs in it. */
	if (!c->kernel[end]) {
		c->kernel[end] = true;
		c->retransmits_base[end] =
		    f->state & (FLOW_SYN | FLOW_SYNACK) << end
			? (f->state & FLOW_RETRIED << end ? total_retransmits - ours : 0)
			: total_retransmits - ours;
	}
	more = (int32_t)(total_retransmits - c->retransmits_base[end] - ours);
	if (more < 0 && 0U - (uint32_t)more > c->retransmits[end])
		more = -(int32_t)c->retransmits[end]; /* what was written cannot be taken back */
	c->retransmits[end] += (uint32_t)more;
	c->retransmits_all[end] += (uint32_t)more;
}

/* --- handshake
 * ------------------------------------------------------------------------------------- */

static void set_client(struct flow *f, int client)
{
	f->state &= ~(3U * FLOW_CLIENT);
	f->state |= (uint32_t)FLOW_CLIENT << client | FLOW_HANDSHAKE;
}

void tcp_syn(struct tcp *t, struct flow *f, struct flow_cold *c, const struct packet *pkt)
{
	int e = pkt->end, o = 1 - e;
	bool ack = pkt->tcp_flags & TCP_ACK;
	uint32_t bit = (uint32_t)(ack ? FLOW_SYNACK : FLOW_SYN) << e;

	if (f->state & bit) {
		c->syn_retransmits[e]++;
		f->state |= (uint32_t)FLOW_RETRIED << e;
		return;
	}
	if (!(f->state & ((FLOW_SYN | FLOW_SYNACK) << e))) {
		c->isn[e] = pkt->seq;
		c->syn_ns[e] = pkt->time_ns;
		tcp_seq_begin(t, f, c, e, pkt->seq + 1, clock_1024(pkt->time_ns));
	}
	f->state |= bit;
	if (!(f->state & FLOW_HANDSHAKE))
		set_client(f, ack ? o : e);
	if (ack && f->state & (FLOW_SYN << o) && pkt->time_ns >= c->syn_ns[o]) {
		c->connects[o]++;
		c->connect_ns[o] += pkt->time_ns - c->syn_ns[o];
		if (!(f->state & (FLOW_RETRIED << o)))
			rtt_sample(&c->rtt[o], (pkt->time_ns - c->syn_ns[o]) / 1000);
	}
}

/* The first segment of an end that is no SYN: the client's ends the handshake. */
static void tcp_first_other(struct flow *f, struct flow_cold *c, const struct packet *pkt)
{
	int e = pkt->end, o = 1 - e;

	f->state |= (uint32_t)FLOW_OTHER << e;
	if (!(f->state & (FLOW_SYNACK << o)) || f->state & (FLOW_SYN << o) ||
	    pkt->time_ns < c->syn_ns[o])
		return;
	c->connects[o]++;
	c->connect_ns[o] += pkt->time_ns - c->syn_ns[o];
	if (!(f->state & (FLOW_RETRIED << o)))
		rtt_sample(&c->rtt[o], (pkt->time_ns - c->syn_ns[o]) / 1000);
}

void tcp_check_established(struct flow *f, struct flow_cold *c)
{
	int e;

	for (e = 0; e < 2; e++) {
		uint32_t want = (uint32_t)FLOW_SYN << e | (uint32_t)FLOW_SYNACK << (1 - e) |
				(uint32_t)FLOW_OTHER << e;

		if ((f->state & want) == want && !(f->state & FLOW_ESTABLISHED)) {
			f->state |= FLOW_ESTABLISHED;
			c->established++;
		}
	}
}

static void tcp_rst(struct flow *f, struct flow_cold *c, const struct packet *pkt)
{
	int e = pkt->end;
	uint32_t off = pkt->seq - f->next_seq[e] + RST_WINDOW;

	if (f->state & FLOW_CLOSED)
		return;
	if (f->state & (3 * FLOW_OTHER)) {
		if (f->state & (FLOW_SEQ << e) && off > 2 * RST_WINDOW)
			return;
		c->closed++;
		c->resets++;
	} else if (f->state & (3 * (FLOW_SYN | FLOW_SYNACK))) {
		c->connect_failed++;
	} else {
		return; /* of a connection that nobody saw */
	}
	f->state |= FLOW_CLOSED;
}

static void count_retransmit(struct flow_cold *c, int end)
{
	c->retransmits[end]++;
	c->retransmits_all[end]++;
}

/* --- data
 * ------------------------------------------------------------------------------------------ */

/* Payload that is not simply the next: count what is fresh, and say what was sent again. */
static __attribute__((noinline)) void tcp_odd_data(struct tcp *t, struct flow *f,
						   struct flow_cold *c, const struct packet *pkt,
						   uint32_t seq)
{
	int e = pkt->end;
	uint32_t reorder = REORDER_US, len = pkt->payload_len;
	uint32_t behind = f->next_seq[e] - seq;
	bool keep_alive = behind == 1 && len == 1 && !(pkt->tcp_flags & TCP_FIN);
	struct tcp_span span;

	if (c->rtt[e].valid && c->rtt[e].srtt8_us >> 3 > reorder)
		reorder = c->rtt[e].srtt8_us >> 3;
	tcp_seq_add(t, f, c, e, seq, len, clock_1024(pkt->time_ns), reorder, &span);
	f->bytes[e] += span.fresh;
	if (!span.old || span.late)
		return;
	if (!pkt->has_ts)
		f->state &= ~((uint32_t)FLOW_PROBE << e);
	/* One old byte is what a keep-alive or a zero-window probe leaves behind. */
	if (!keep_alive && !(span.old == 1 && span.fresh))
		count_retransmit(c, e);
}

/* True: bytes in front of the segment have not come. */
static inline bool tcp_data(struct tcp *t, struct flow *f, struct flow_cold *c,
			    const struct packet *pkt)
{
	int e = pkt->end;
	uint32_t seq = pkt->seq + (pkt->tcp_flags & TCP_SYN ? 1 : 0);
	bool hole = false;

	if (__builtin_expect(!(f->state & (FLOW_SEQ << e)), 0)) {
		f->state |= (uint32_t)FLOW_SEQ << e;
		f->next_seq[e] = c->low_seq[e] = seq;
	}
	if (!pkt->payload_len)
		return false;
	if (__builtin_expect(seq == f->next_seq[e], 1)) {
		f->next_seq[e] = seq + pkt->payload_len;
		f->bytes[e] += pkt->payload_len;
	} else {
		uint32_t was = f->next_seq[e];

		tcp_odd_data(t, f, c, pkt, seq);
		if (f->next_seq[e] == was)
			return false; /* nothing new at the end: no measurement begins */
		hole = (int32_t)(seq - was) > 0;
	}
	if (!(f->state & (FLOW_PROBE << e)) && !(pkt->tcp_flags & TCP_SYN)) {
		f->state |= (uint32_t)FLOW_PROBE << e;
		f->u.probe.seq[e] = f->next_seq[e];
		f->u.probe.ts[e] = pkt->tsval;
		f->u.probe.at[e] = clock_1024(pkt->time_ns);
	}
	return hole;
}

/* What is missing in front of a FIN: a hole, as what is missing in front of data. */
static void hole_before_fin(struct tcp *t, struct flow *f, struct flow_cold *c,
			    const struct packet *pkt)
{
	uint32_t stop = pkt->seq + (pkt->tcp_flags & TCP_SYN ? 1 : 0) + pkt->payload_len;
	struct tcp_span span;

	if ((int32_t)(stop - f->next_seq[pkt->end]) > 0)
		tcp_seq_add(t, f, c, pkt->end, stop, 0, clock_1024(pkt->time_ns), 0, &span);
}

static void tcp_fin(struct tcp *t, struct flow *f, struct flow_cold *c, const struct packet *pkt)
{
	int e = pkt->end;

	if (f->state & (FLOW_FIN << e)) {
		if (!pkt->payload_len)
			count_retransmit(c, e);
		return;
	}
	f->state |= (uint32_t)FLOW_FIN << e;
	if (t->dropped && !(pkt->tcp_flags & TCP_RST))
		hole_before_fin(t, f, c, pkt);
	if (f->state & (FLOW_FIN << (1 - e)) && !(f->state & FLOW_CLOSED)) {
		f->state |= FLOW_CLOSED;
		c->closed++;
	}
}

bool tcp_update(struct tcp *t, struct flow *f, struct flow_cold *c, const struct packet *pkt)
{
	int e = pkt->end;
	uint8_t flags = pkt->tcp_flags;
	bool hole = false;

	if (__builtin_expect(flags & (TCP_SYN | TCP_RST), 0)) {
		if (flags & TCP_RST)
			tcp_rst(f, c, pkt);
		else
			tcp_syn(t, f, c, pkt);
	} else if (__builtin_expect(!(f->state & (FLOW_OTHER << e)), 0)) {
		tcp_first_other(f, c, pkt);
	}
	/* An RST's sequence number may be 0 or a blind guess: it tells nothing about the stream. */
	if (!(flags & TCP_RST) || pkt->payload_len)
		hole = tcp_data(t, f, c, pkt);
	if (flags & TCP_ACK && f->state & (FLOW_PROBE << (1 - e)))
		rtt_ack(f, c, pkt);
	if (flags & TCP_FIN)
		tcp_fin(t, f, c, pkt);
	f->state |= (uint32_t)FLOW_SEEN << e;
	if (__builtin_expect((f->state & FLOW_ESTABLISHED) == 0, 0))
		tcp_check_established(f, c);
	return hole;
}
