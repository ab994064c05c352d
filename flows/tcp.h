/* tcp.h - what one TCP segment tells about its connection (RFC 9293, 6298, 7323).
 *
 * Counts into struct flow and struct flow_cold: payload once per sequence position, segments sent
 * again, round-trip times, handshakes, ends. Order does not matter where it need not: a SYN-ACK may
 * be captured before its SYN. The state of a connection is kept in flow.state.
 */
#ifndef FLOWS_TCP_H
#define FLOWS_TCP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "flows/flow_table.h"
#include "flows/packet.h"

/* A range of sequence numbers that was jumped over and has not come yet. */
struct tcp_hole {
	uint32_t start, end;
	uint32_t at;   /* when it was jumped over, units of 1,024 ns */
	uint32_t next; /* higher ones; FLOW_NONE */
};

/* What the holes of a flow that were given up had, of each end with FLOW_LOST. */
struct tcp_lost {
	struct tcp_lost_end {
		uint64_t bytes;
		uint32_t stop; /* the end of the highest of them */
	} end[2];
};

struct tcp {
	struct tcp_hole *holes; /* a pool for all flows */
	uint32_t most, unused_from, free;
	uint64_t forgotten;    /* holes given up: a byte that comes there is not counted */
	struct tcp_lost *lost; /* of each flow; NULL: not kept */
	const struct flow_cold *flows;
	size_t nflows;
	bool dropped; /* frames were dropped: what is missing in front of a FIN is kept as a hole */
};

/* 0 or -errno. Room for `holes` at a time. */
int tcp_init(struct tcp *t, size_t holes) MUST_CHECK;
void tcp_destroy(struct tcp *t);

/* Keep what holes had that are given up, for the n flows of this table. The memory is touched only
 * where there are such. 0 or -errno. */
int tcp_keep_lost(struct tcp *t, const struct flow_cold *flows, size_t n) MUST_CHECK;

/* Does this segment begin another connection than the one that the flow has seen so far? Then the
 * caller calls tcp_end(FLOW_END_REUSED), what else ends with a connection, and tcp_restart(). */
bool tcp_is_reuse(const struct flow *f, const struct flow_cold *c, const struct packet *pkt);
void tcp_restart(struct tcp *t, struct flow *f, struct flow_cold *c, uint64_t now_ns);

/* Count a segment. True: it has payload, and bytes in front of it have not come. */
bool tcp_update(struct tcp *t, struct flow *f, struct flow_cold *c, const struct packet *pkt);

/* The kernel's figures of the connection's end `end` (its tcp_info): they win over the packets'
 * estimate. rtt_us 0: no sample yet. */
void tcp_kernel_rtt(struct flow_cold *c, int end, uint32_t rtt_us, uint32_t rtt_var_us);
void tcp_kernel_retransmits(const struct flow *f, struct flow_cold *c, int end,
			    uint32_t total_retransmits);

/* The time-out class that fits the connection's state. */
static inline enum flow_age_class tcp_age_class(const struct flow *f)
{
	if (f->state & FLOW_CLOSED)
		return FLOW_AGE_CLOSED;
	if (f->state & (3 * FLOW_SYN) && !(f->state & (3 * FLOW_OTHER))) {
		/* A narrowed one's ACK is not seen; but a SYN-ACK that nobody answers is repeated.
		 */
		if (f->state & FLOW_NARROW && f->state & (3 * FLOW_SYNACK) &&
		    !(f->state & (3 * FLOW_RETRIED)))
			return FLOW_AGE_TCP;
		return FLOW_AGE_ATTEMPT;
	}
	return FLOW_AGE_TCP;
}

/* The flow ends or is reused: count an attempt that came to nothing, an end that had only half been
 * seen; give the holes back. True: something was counted. */
bool tcp_end(struct tcp *t, struct flow *f, struct flow_cold *c, enum flow_end_reason reason);

/* --- flows/tcp_narrow.c: FLOW_NARROW, see flows/kernel.h --- */

struct kernel_sample;

/* The flow is narrowed from now on; what it has counted by packets stays. True: something was
 * counted: what had been jumped over counts as sent. */
bool tcp_narrow_begin(struct tcp *t, struct flow *f, struct flow_cold *c);

/* All its segments are handed over again: it stays narrowed until each end has sent one, which
 * tells how much has gone by. */
void tcp_narrow_leave(struct flow_cold *c);

/* Count a segment, as tcp_update() does for any other flow. */
void tcp_narrow_update(struct tcp *t, struct flow *f, struct flow_cold *c,
		       const struct packet *pkt);

/* Count what is new in a socket's figures. True: something was. */
bool tcp_narrow_sample(struct flow *f, struct flow_cold *c, const struct kernel_sample *s);

/* Its end, for tcp_end(): count what waited for a better word. True: something was. */
bool tcp_narrow_end(struct flow *f, struct flow_cold *c);

/* --- flows/tcp_repair.c: see engine_repair() in flows/kernel.h --- */

/* Count what a socket's figures have beyond what was seen of the flow, unless that is more than
 * `most`; every frame from before the figures has been counted. Returns the bytes counted. */
uint64_t tcp_repair(struct tcp *t, struct flow *f, struct flow_cold *c,
		    const struct kernel_sample *s, uint64_t most);

/* The same of a connection that was closed by a FIN of either end: all in front of them was sent.
 */
uint64_t tcp_repair_closed(struct tcp *t, struct flow *f, struct flow_cold *c, uint64_t most);

/* --- flows/tcp.c: for tcp_narrow.c --- */

/* A segment with SYN, and no RST: handshake, roles, latency of the client's connect. */
void tcp_syn(struct tcp *t, struct flow *f, struct flow_cold *c, const struct packet *pkt);
void tcp_check_established(struct flow *f, struct flow_cold *c);

/* --- flows/tcp_seq.c: for tcp.c, tcp_narrow.c, tcp_repair.c and its test --- */

enum { TCP_HOLES_PER_END = 64 };

/* What the payload [seq, seq+len) of an end is. */
struct tcp_span {
	uint32_t fresh; /* bytes never seen before */
	uint32_t old;   /* bytes at positions below the highest one seen (fresh or not) */
	bool late;      /* fills a hole so soon that it was reordered, not sent again */
};

void tcp_seq_add(struct tcp *t, struct flow *f, struct flow_cold *c, int end, uint32_t seq,
		 uint32_t len, uint32_t now, uint32_t reorder, struct tcp_span *out);
void tcp_seq_reset(struct tcp *t, struct flow_cold *c);

/* Bytes of an end that were jumped over and have not come. */
uint32_t tcp_seq_missing(const struct tcp *t, const struct flow_cold *c, int end);

/* Bytes of an end in front of stop that were jumped over and have not come, also in holes that were
 * given up; and: they were sent, forget those holes. */
uint64_t tcp_seq_below(const struct tcp *t, const struct flow *f, const struct flow_cold *c,
		       int end, uint32_t stop);
void tcp_seq_take(struct tcp *t, struct flow *f, struct flow_cold *c, int end, uint32_t stop);

/* A SYN told that the stream of an end begins at seq; segments of it may have come before. */
void tcp_seq_begin(struct tcp *t, struct flow *f, struct flow_cold *c, int end, uint32_t seq,
		   uint32_t now);

#endif
