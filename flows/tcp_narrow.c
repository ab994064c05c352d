/* tcp_narrow.c - TCP connections of which not all segments are seen: flows/kernel.h.
 *
 * Each end has a position, flow.u.narrow.total: payload bytes since its SYN, of 64 bits. A segment
 * tells the lower 32 of it by its sequence number, a socket's figures tell all; it only moves
 * forward, and how far it moved is what is counted. Where no SYN was seen, positions begin with the
 * first segment, and are moved to the kernel's own numbers by its first figures: of what was before
 * them nobody knows how much of it has been counted elsewhere.
 *
 * What an end has received may have the other's FIN in it, as 1. Where that is not known the last
 * byte is held back (NOTE_HELD) until the FIN's segment has come, or can come no more.
 *
 * A segment may be forged. It moves a position by no more than AHEAD beyond what the kernel has
 * told (flow_cold.low_seq): where more has gone by unseen, the next figures tell it, and those come
 * before each cycle's end. A FIN or RST that is further ahead counts when the flow ends and nothing
 * has told otherwise until then.
 */
#include "flows/kernel.h"
#include "flows/tcp.h"

#include <string.h>

enum { AHEAD = 64 << 20 };

static uint32_t clock_1024(uint64_t ns)
{
	return (uint32_t)(ns >> 10);
}

/* The handshake was seen, or a part of it: the kernel's figures are all of this flow. */
static bool from_the_start(const struct flow *f)
{
	return f->state & (3 * (FLOW_SYN | FLOW_SYNACK));
}

/* The end's SYN was seen: its positions are absolute. */
static bool has_isn(const struct flow *f, int end)
{
	return f->state & ((uint32_t)(FLOW_SYN | FLOW_SYNACK) << end);
}

/* By the handshake. */
static int client_of(const struct flow *f)
{
	return f->state & (FLOW_CLIENT << 1) ? 1 : 0;
}

static bool note(const struct flow_cold *c, int end, enum flow_notes which)
{
	return c->notes & (unsigned int)which << end;
}

static void set_note(struct flow_cold *c, int end, enum flow_notes which)
{
	c->notes |= (uint16_t)((unsigned int)which << end);
}

static void clear_note(struct flow_cold *c, int end, enum flow_notes which)
{
	c->notes &= (uint16_t) ~((unsigned int)which << end);
}

/* v, moved by less than 2^31 so that its lower 32 bits are low. */
static uint64_t nearest(uint64_t v, uint32_t low)
{
	int32_t off = (int32_t)(low - (uint32_t)v);

	if (off < 0 && v < (uint64_t) - (int64_t)off)
		return low;
	return v + (uint64_t)(int64_t)off;
}

/* --- from packets to narrowed and back
 * ------------------------------------------------------------- */

bool tcp_narrow_begin(struct tcp *t, struct flow *f, struct flow_cold *c)
{
	bool midway = f->state & (3 * FLOW_SEEN), counted = false;
	uint64_t total[2] = {0, 0};
	uint32_t missing;
	int e;

	c->notes &= NOTE_FAILED;
	for (e = 0; e < 2; e++) {
		if (!midway)
			c->retransmits_base[e] = 0;
		if (!(f->state & (uint32_t)FLOW_SEQ << e))
			continue;
		missing = tcp_seq_missing(t, c, e);
		f->bytes[e] += missing;
		counted = counted || missing;
		if (has_isn(f, e)) {
			total[e] = f->next_seq[e] - c->isn[e] - 1;
			set_note(c, e, NOTE_LOW32);
		} else {
			c->isn[e] = f->next_seq[e] - 1;
		}
	}
	tcp_seq_reset(t, c);
	memset(&f->u, 0, sizeof(f->u));
	memcpy(f->u.narrow.total, total, sizeof(total));
	for (e = 0; e < 2; e++) {
		c->low_seq[e] = (uint32_t)total[e];
		c->holes[e] = 0;
	}
	f->state &= ~(3U * FLOW_PROBE);
	f->state |= FLOW_NARROW;
	if (midway)
		c->notes |= NOTE_MIDWAY;
	return counted;
}

void tcp_narrow_leave(struct flow_cold *c)
{
	c->notes |= NOTE_LEAVING;
}

/* Both ends have told where they are: packets count from there. */
static void back_to_packets(struct flow *f, struct flow_cold *c)
{
	int e;

	for (e = 0; e < 2; e++) {
		uint32_t at = c->isn[e] + 1 + (uint32_t)f->u.narrow.total[e];

		if (has_isn(f, e) && (int32_t)(at - f->next_seq[e]) > 0)
			f->next_seq[e] = at; /* the kernel has told more */
		c->low_seq[e] = f->next_seq[e];
		c->holes[e] = FLOW_NONE;
	}
	memset(&f->u, 0, sizeof(f->u));
	c->notes &= NOTE_FAILED | NOTE_RESET;
	f->state &= ~(uint32_t)FLOW_NARROW;
}

/* --- segments
 * -------------------------------------------------------------------------------------- */

static void narrow_syn(struct tcp *t, struct flow *f, struct flow_cold *c, const struct packet *pkt)
{
	int e = pkt->end;
	bool late = f->state & (uint32_t)FLOW_SEQ << e && !has_isn(f, e);
	uint32_t next = f->next_seq[e], began = c->isn[e];

	if (f->state & (uint32_t)(pkt->tcp_flags & TCP_ACK ? FLOW_SYNACK : FLOW_SYN) << e)
		c->retransmits_base[e]++; /* the kernel counts them with the others */
	if (late)
		f->state &= ~((uint32_t)FLOW_SEQ << e);
	tcp_syn(t, f, c, pkt);
	if (!late)
		return;
	/* Captured behind the end's first segments: what those did not tell lies before them. */
	f->next_seq[e] = next;
	if (note(c, e, NOTE_BASE))
		return;
	f->bytes[e] += began - c->isn[e];
	f->u.narrow.total[e] += began - c->isn[e];
}

static void count_reset(struct flow *f, struct flow_cold *c)
{
	f->state |= FLOW_CLOSED;
	c->closed++;
	c->resets++;
}

/* A segment that is neither SYN nor RST, of which those that are not seen were not the first: no
 * latency comes of it. Whoever sends it, the client has acknowledged the SYN-ACK. */
static void narrow_other(struct flow *f, struct flow_cold *c, int end)
{
	f->state |= (uint32_t)FLOW_OTHER << end;
	if (from_the_start(f))
		f->state |= (uint32_t)FLOW_OTHER << client_of(f);
	if (c->notes & NOTE_RESET) {
		c->notes &= (uint16_t)~NOTE_RESET;
		count_reset(f, c);
	}
}

static bool advance(struct flow *f, struct flow_cold *c, int end, uint64_t bytes)
{
	if (!bytes)
		return false;
	clear_note(c, end, NOTE_HELD); /* it is among these */
	f->u.narrow.total[end] += bytes;
	f->bytes[end] += bytes;
	return true;
}

/* Everything in front of this sequence number has been sent. False: that cannot be believed yet. */
static bool narrow_reach(struct flow *f, struct flow_cold *c, int end, uint32_t stop)
{
	uint32_t at = stop - c->isn[end] - 1;
	int32_t more = (int32_t)(at - (uint32_t)f->u.narrow.total[end]);

	if (more > 0 && at - c->low_seq[end] > AHEAD && !(c->notes & NOTE_LEAVING))
		return false;
	advance(f, c, end, more > 0 ? (uint32_t)more : 0);
	return true;
}

/* Behind a FIN there is nothing: an ACK there has the number that the FIN has used. */
static bool is_behind_fin(const struct flow *f, int end, uint32_t stop)
{
	return f->state & (uint32_t)FLOW_FIN << end && (int32_t)(stop - f->next_seq[end]) > 0;
}

/* Everything in front of the segment has been sent, too. */
static void narrow_position(struct flow *f, struct flow_cold *c, const struct packet *pkt)
{
	int e = pkt->end;
	uint32_t seq = pkt->seq + (pkt->tcp_flags & TCP_SYN ? 1 : 0), stop = seq + pkt->payload_len;
	uint64_t *total = &f->u.narrow.total[e];
	bool fin = pkt->tcp_flags & TCP_FIN;

	if (!(f->state & (uint32_t)FLOW_SEQ << e)) {
		f->state |= (uint32_t)FLOW_SEQ << e;
		f->next_seq[e] = seq;
		c->isn[e] = seq - 1 - (uint32_t)*total;
	}
	if (!fin && is_behind_fin(f, e, stop))
		return;
	if (!narrow_reach(f, c, e, stop)) {
		if (!fin)
			return;
		c->notes |= NOTE_CLAIM;
	}
	/* The FIN itself was counted, by an ACK behind it that was captured before it. */
	if (fin && has_isn(f, e) && (uint32_t)*total == stop - c->isn[e] && f->bytes[e]) {
		f->bytes[e]--;
		--*total;
	}
	if (fin || (int32_t)(stop - f->next_seq[e]) > 0)
		f->next_seq[e] = stop;
}

/* A byte that was held back: with a FIN that came before the figures it was that. */
static bool release(struct flow *f, struct flow_cold *c, int end, bool fin, uint64_t fin_ns)
{
	if (!note(c, end, NOTE_HELD))
		return false;
	clear_note(c, end, NOTE_HELD);
	if (fin && (has_isn(f, end) || (int32_t)(c->holes[end] - clock_1024(fin_ns)) >= 0))
		return false;
	return advance(f, c, end, 1);
}

static void narrow_fin(struct flow *f, struct flow_cold *c, int end, uint64_t time_ns)
{
	if (f->state & (uint32_t)FLOW_FIN << end)
		return;
	release(f, c, end, true, time_ns);
	f->state |= (uint32_t)FLOW_FIN << end;
	c->holes[end] = clock_1024(time_ns);
	if (f->state & (uint32_t)FLOW_FIN << (1 - end) && !(f->state & FLOW_CLOSED)) {
		f->state |= FLOW_CLOSED;
		c->closed++;
	}
}

/* The socket's own RST tells what it has sent and, by its ACK, received. That is all there is to
 * know: tcp_disconnect() has set the figures to 0 before the socket is gone. Where the connection
 * was not seen from its beginning the numbers say no less than what is so. True: they are those of
 * the handshake or behind it, so it was complete: a RST to a SYN or SYN-ACK has other ones. */
static bool rst_positions(struct flow *f, struct flow_cold *c, const struct packet *pkt)
{
	const uint32_t stop[2] = {pkt->seq, pkt->ack};
	bool open = f->state & (3 * FLOW_SYNACK);
	int i;

	/* seq 0: nobody's, the answer to a SYN; that to a SYN-ACK is without ACK */
	if (!(pkt->tcp_flags & TCP_ACK) || !pkt->seq || (f->state & (3 * FLOW_SEQ)) != 3 * FLOW_SEQ)
		return false;
	for (i = 0; i < 2; i++) {
		int e = i ? 1 - pkt->end : pkt->end;
		int32_t beyond = (int32_t)(stop[i] - c->isn[e] - 1);

		if (f->state & (uint32_t)FLOW_FIN << e)
			continue; /* which tells it */
		open = open && has_isn(f, e) && beyond >= 0;
		if (narrow_reach(f, c, e, stop[i]))
			continue;
		f->next_seq[e] = stop[i];
		c->notes |= NOTE_CLAIM;
	}
	return open;
}

/* Its sequence number is not looked at: most of the stream has not been seen. */
static void narrow_rst(struct flow *f, struct flow_cold *c, const struct packet *pkt)
{
	int e;

	if (f->state & FLOW_CLOSED)
		return;
	if (rst_positions(f, c, pkt))
		f->state |= (uint32_t)FLOW_OTHER << client_of(f);
	for (e = 0; e < 2; e++)
		release(f, c, e, false, 0);
	if (f->state & (3 * FLOW_OTHER)) {
		count_reset(f, c);
	} else if (f->state & (3 * FLOW_SYNACK)) {
		f->state |= FLOW_CLOSED; /* established or not: figures may tell yet */
		c->notes |= NOTE_RESET;
	} else if (f->state & (3 * FLOW_SYN)) {
		f->state |= FLOW_CLOSED;
		c->connect_failed++;
	}
}

void tcp_narrow_update(struct tcp *t, struct flow *f, struct flow_cold *c, const struct packet *pkt)
{
	int e = pkt->end;
	uint8_t flags = pkt->tcp_flags;

	f->u.narrow.segments[e] += pkt->packets;
	if (flags & TCP_RST)
		narrow_rst(f, c, pkt);
	else if (flags & TCP_SYN)
		narrow_syn(t, f, c, pkt);
	else
		narrow_other(f, c, e);
	if (!(flags & TCP_RST))
		narrow_position(f, c, pkt);
	if (flags & TCP_FIN)
		narrow_fin(f, c, e, pkt->time_ns);
	f->state |= (uint32_t)FLOW_SEEN << e;
	if (!(f->state & FLOW_ESTABLISHED))
		tcp_check_established(f, c);
	if (c->notes & NOTE_LEAVING && !(flags & TCP_RST)) {
		set_note(c, e, NOTE_SYNCED);
		if (note(c, 1 - e, NOTE_SYNCED))
			back_to_packets(f, c);
	}
}

/* --- figures of sockets
 * ---------------------------------------------------------------------------- */

/* The connect latency of a local server: from its SYN-ACK to the ACK, which the kernel alone saw.
 */
static bool count_latency(const struct flow *f, struct flow_cold *c, const struct kernel_sample *s)
{
	int end = s->end;

	if (c->notes & NOTE_LATENCY || end == client_of(f) || !s->established_ns ||
	    !(f->state & (uint32_t)FLOW_SYNACK << end) || s->established_ns < c->syn_ns[end])
		return false;
	c->notes |= NOTE_LATENCY;
	c->connects[end]++;
	c->connect_ns[end] += s->established_ns - c->syn_ns[end];
	return true;
}

static bool count_established(struct flow *f, struct flow_cold *c, const struct kernel_sample *s)
{
	bool counted, reset = c->notes & (NOTE_RESET | NOTE_FAILED);

	if (!from_the_start(f)) {
		f->state |= (uint32_t)FLOW_OTHER << s->end; /* so that its end counts */
		return false;
	}
	counted = count_latency(f, c, s);
	if (f->state & FLOW_ESTABLISHED ||
	    (f->state & FLOW_CLOSED && !(f->state & (3 * FLOW_OTHER)) && !reset))
		return counted;
	f->state |= (uint32_t)FLOW_OTHER << client_of(f) | FLOW_ESTABLISHED;
	c->established++;
	if (reset) {
		c->notes &= (uint16_t) ~(NOTE_RESET | NOTE_FAILED);
		count_reset(f, c);
	}
	return true;
}

/* A closed socket does not say what it was before. There is one at the server only once the
 * handshake is complete; the client's is then unless the SYN-ACK did not get through to it. */
static bool was_established(const struct flow *f, const struct kernel_sample *s)
{
	int server = 1 - client_of(f);

	return s->has & KERNEL_CLOSED && !(s->has & KERNEL_ERROR) &&
	       f->state & (uint32_t)FLOW_SYNACK << server &&
	       (s->end == server || !(f->state & (uint32_t)FLOW_RETRIED << server));
}

/* The kernel's count of an end's bytes, without the FIN that may be in it; and whether it may be in
 * what is left, as the last byte. A frame's time is from before the kernel counted it. */
static uint64_t without_fin(const struct flow *f, const struct flow_cold *c, int end, uint64_t v,
			    const struct kernel_sample *s, bool *maybe)
{
	bool fin = f->state & (uint32_t)FLOW_FIN << end;
	uint64_t exact;

	*maybe = false;
	if (fin && has_isn(f, end)) {
		exact = nearest(v, f->next_seq[end] - c->isn[end] - 1);
		if (v >= exact)
			return exact; /* also those of a connection before, told late */
	}
	if (end == s->end || !v || !(s->has & (KERNEL_FIN | KERNEL_FIN_MAYBE)))
		return v;
	if (s->has & KERNEL_FIN)
		return v - 1;
	if (fin)
		return v - ((int32_t)(clock_1024(s->time_ns) - c->holes[end]) >= 0);
	*maybe = !(f->state & FLOW_CLOSED); /* else it was reset */
	return v;
}

/* The first figures of a connection that was open before: what it had sent until then is no news.
 * What segments behind the sample have told so far is. */
static void set_base(struct flow *f, struct flow_cold *c, int end, uint64_t v, uint64_t time_ns)
{
	uint64_t *total = &f->u.narrow.total[end];
	uint64_t shift = v - (f->last_ns > time_ns ? 0 : *total);

	set_note(c, end, NOTE_BASE);
	*total += shift;
	c->isn[end] -= (uint32_t)shift;
}

static bool count_bytes(struct flow *f, struct flow_cold *c, int end, uint64_t v,
			const struct kernel_sample *s)
{
	uint64_t *total = &f->u.narrow.total[end];
	bool maybe;

	v = without_fin(f, c, end, v, s, &maybe);
	c->low_seq[end] = (uint32_t)v;
	if (!from_the_start(f) && !note(c, end, NOTE_BASE)) {
		set_base(f, c, end, v, s->time_ns);
		return false;
	}
	if (note(c, end, NOTE_LOW32)) {
		clear_note(c, end, NOTE_LOW32);
		*total = nearest(v, (uint32_t)*total);
	}
	if (v <= *total)
		return false;
	if (!maybe)
		return advance(f, c, end, v - *total);
	advance(f, c, end, v - 1 - *total);
	set_note(c, end, NOTE_HELD);
	c->holes[end] = clock_1024(s->time_ns);
	return true;
}

static bool count_segments(struct flow *f, struct flow_cold *c, int end, uint32_t v)
{
	uint32_t *segments = &f->u.narrow.segments[end];
	int32_t more = (int32_t)(v - *segments);

	if ((!from_the_start(f) || c->notes & NOTE_MIDWAY) && !note(c, end, NOTE_SEGMENTS)) {
		set_note(c, end, NOTE_SEGMENTS);
		*segments = v;
		return false;
	}
	if (more <= 0)
		return false;
	*segments = v;
	c->segments[end] += (uint32_t)more;
	return true;
}

static bool count_retransmits(const struct flow *f, struct flow_cold *c, int end, uint32_t all)
{
	int32_t more;

	if (c->notes & NOTE_MIDWAY || !from_the_start(f)) {
		uint32_t before = c->retransmits_all[end];

		tcp_kernel_retransmits(f, c, end, all);
		return c->retransmits_all[end] != before;
	}
	/* The base is the number of SYNs or SYN-ACKs among them. */
	c->kernel[end] = true;
	more = (int32_t)(all - c->retransmits_base[end] - c->retransmits_all[end]);
	if (more <= 0)
		return false;
	c->retransmits[end] += (uint32_t)more;
	c->retransmits_all[end] += (uint32_t)more;
	return true;
}

bool tcp_narrow_sample(struct flow *f, struct flow_cold *c, const struct kernel_sample *s)
{
	int own = s->end, other = 1 - own;
	uint32_t has = s->has;
	bool news = false;

	if (has & KERNEL_ESTABLISHED || was_established(f, s))
		news = count_established(f, c, s);
	if (has & KERNEL_SENT)
		news |= count_bytes(f, c, own, s->sent, s);
	if (has & KERNEL_RECEIVED)
		news |= count_bytes(f, c, other, s->received, s);
	if (has & (KERNEL_SENT | KERNEL_RECEIVED) && s->time_ns >= f->last_ns)
		c->notes &= (uint16_t)~NOTE_CLAIM;
	if (has & KERNEL_SEGMENTS) {
		news |= count_segments(f, c, own, s->segments_out);
		news |= count_segments(f, c, other, s->segments_in);
	}
	if (has & KERNEL_RETRANSMITS)
		news |= count_retransmits(f, c, own, s->retransmits);
	/* A round-trip time alone makes no point. */
	if (has & KERNEL_RTT && (news || f->state & FLOW_DIRTY))
		tcp_kernel_rtt(c, own, s->rtt_us, s->rtt_var_us);
	return news;
}

bool tcp_narrow_end(struct flow *f, struct flow_cold *c)
{
	bool counted = false;
	int e;

	for (e = 0; e < 2; e++) {
		int32_t more =
		    (int32_t)(f->next_seq[e] - c->isn[e] - 1 - (uint32_t)f->u.narrow.total[e]);

		if (c->notes & NOTE_CLAIM && f->state & (uint32_t)FLOW_SEQ << e && more > 0)
			counted |= advance(f, c, e, (uint32_t)more);
		counted |= release(f, c, e, false, 0);
	}
	c->notes &= (uint16_t)~NOTE_CLAIM;
	return counted;
}
