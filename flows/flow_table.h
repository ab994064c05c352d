/* flow_table.h - bounded table of bidirectional flows.
 *
 * Terms:   flow, RFC 7011 section 2; biflow, RFC 5103. Addresses are IPv6; IPv4 is v4-mapped. A
 *          flow has two ends, 0 and 1, in the canonical order of its key; which one is the client
 *          is decided when points are made.
 * Time:    packet time, ns since the epoch. Nothing here reads a clock.
 * Threads: a table belongs to one thread. No locks.
 *
 * What every packet touches is in struct flow, two cache lines; what only some packets touch is in
 * struct flow_cold at the same number. Flows are listed by the second in which they were last seen,
 * lazily: a packet only writes last_ns, and a flow found in a list too old moves on (a time wheel).
 */
#ifndef FLOWS_FLOW_TABLE_H
#define FLOWS_FLOW_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "common/index.h"
#include "flows/packet.h"

#define FLOW_NONE UINT32_MAX

/* flow.state; bits of end 1 are those of end 0 << 1. */
enum flow_state {
	FLOW_SYN = 1 << 0,    /* sent SYN without ACK */
	FLOW_SYNACK = 1 << 2, /* sent SYN with ACK */
	FLOW_OTHER = 1 << 4,  /* sent a segment that is neither SYN nor RST */
	FLOW_FIN = 1 << 6,
	FLOW_SEQ = 1 << 8,     /* next_seq is known */
	FLOW_PROBE = 1 << 10,  /* an RTT measurement is under way */
	FLOW_LOST = 1 << 12,   /* holes were given up, tcp.lost has what they had */
	FLOW_SEEN = 1 << 14,   /* sent anything */
	FLOW_CLIENT = 1 << 16, /* is the client, by a handshake or a protocol's roles */
	FLOW_ESTABLISHED = 1 << 18,
	FLOW_CLOSED = 1 << 19,    /* its end was counted (or there was nothing to count) */
	FLOW_DIRTY = 1 << 20,     /* has something for this cycle's points */
	FLOW_HANDSHAKE = 1 << 21, /* role is from a handshake, the strongest reason */
	FLOW_NO_HTTP = 1 << 22,   /* a tunnel or an upgraded connection: not looked into any more */
	FLOW_TCP = 1 << 23,
	FLOW_RETRIED = 1 << 24,  /* sent its SYN or SYN-ACK again: no RTT from it */
	FLOW_STREAM = 1 << 26,   /* flow_cold.stream is in use */
	FLOW_EXCLUDED = 1 << 27, /* left out: kept so that its packets are known, counted nowhere */
	FLOW_NARROW = 1 << 28,   /* the ring hands over only some of its segments: flows/kernel.h */
};

/* flow_cold.notes; bits of end 1 are those of end 0 << 1. */
enum flow_notes {
	/* narrow.total goes by the kernel's own count; of a flow that is not narrowed: so does isn,
	 * no SYN was seen (tcp_repair.c) */
	NOTE_BASE = 1 << 0,
	NOTE_SEGMENTS = 1 << 2, /* so does narrow.segments */
	NOTE_LOW32 = 1 << 4,    /* of narrow.total only the lower 32 bits are known */
	NOTE_HELD = 1 << 6,     /* a byte beyond narrow.total that may be the FIN: not counted */
	NOTE_SYNCED = 1 << 8,   /* with NOTE_LEAVING: sent a segment since */
	NOTE_LEAVING = 1 << 10, /* is to be no longer narrowed */
	NOTE_LATENCY = 1 << 11, /* the server's connect latency was counted */
	NOTE_RESET = 1 << 12,   /* reset, and it is not known whether it was established */
	NOTE_FAILED = 1 << 13,  /* an attempt that came to nothing, its errno may come */
	NOTE_MIDWAY = 1 << 14,  /* narrowed when it was already counted by packets */
	NOTE_CLAIM = 1 << 15,   /* next_seq is a FIN's or RST's, too far ahead to be believed */
};

enum flow_age_class {
	FLOW_AGE_UDP,
	FLOW_AGE_TCP,
	FLOW_AGE_ATTEMPT,
	FLOW_AGE_CLOSED,
	FLOW_AGE_CLASSES
};

enum flow_end_reason { FLOW_END_IDLE, FLOW_END_EVICTED, FLOW_END_REUSED, FLOW_END_FINISH };

/* RTT by packets: a segment whose ACK is waited for. */
struct flow_probe {
	uint32_t seq[2]; /* waits for an ACK of this */
	uint32_t ts[2];  /* its TSval */
	uint32_t at[2];  /* when it was sent, units of 1,024 ns */
};

/* What each end has sent since the connection began (or since its first sight), of a FLOW_NARROW.
 */
struct flow_totals {
	uint64_t total[2];    /* payload bytes */
	uint32_t segments[2]; /* wraps */
};

struct flow {
	/* first line: lookup, and all that UDP needs */
	struct flow_key key;
	uint64_t last_ns;
	uint32_t packets[2]; /* sent by each end, this cycle */
	uint32_t hash;
	uint32_t state;
	/* second line */
	uint64_t bytes[2];    /* L4 payload sent by each end, this cycle; TCP: each position once */
	uint32_t next_seq[2]; /* highest sequence number seen, exclusive */
	union {
		struct flow_probe probe;
		struct flow_totals narrow; /* FLOW_NARROW */
	} u;
	uint32_t age_prev, age_next;
	uint16_t iface[2]; /* where each end's packets are counted */
	uint8_t age_class;
	uint8_t age_unused;
	uint16_t age_slot;
} __attribute__((aligned(128)));

/* Smoothed round-trip time, RFC 6298 section 2, times 8 and 4 as the kernel keeps them. */
struct flow_rtt {
	uint32_t srtt8_us, var4_us;
	uint32_t samples; /* this cycle */
	bool valid;
};

/* The kernel hands packets on in batches of 8 (net.core.gro_normal_batch), and a busy one more at a
 * time: a router shows so many of a flow on one interface before the first of them on the other. */
enum { FLOW_SIGNATURES = 32 };

/* The last packets of each end, for telling a second sight of one; where there are several
 * interfaces. */
struct flow_sights {
	uint32_t signatures[2][FLOW_SIGNATURES];
	uint8_t at[2];
	uint64_t counted_ns[2]; /* the last datagram of each end that the kernel has counted */
};

struct flow_cold {
	/* first line: all that UDP has, and what TCP touches most */
	struct flow_rtt rtt[2]; /* of segments sent by each end */
	uint64_t first_ns;
	uint32_t stream;   /* DNS or HTTP reader; FLOW_NONE */
	uint32_t owner[2]; /* process at each end, the collector's number; 0: not known */
	uint32_t name;     /* by which end name_end knows the other; NAMES_NONE */
	uint8_t name_end;
	uint8_t hole_count[2];
	bool kernel[2]; /* the kernel's own figures of an end have been seen */
	uint16_t notes; /* enum flow_notes */
	/* second line: TCP only, as is the third */
	uint32_t holes[2];            /* list in the TCP hole pool; FLOW_NARROW: when the FIN or the
				       * byte that is held back came, units of 1,024 ns */
	uint32_t low_seq[2];          /* below: never seen, where no SYN told the beginning;
				       * FLOW_NARROW: narrow.total as the kernel last told it */
	uint32_t isn[2];              /* FLOW_NARROW without a SYN: as if its total began there */
	uint64_t syn_ns[2];           /* first SYN or SYN-ACK of each end */
	uint32_t retransmits_base[2]; /* the kernel's count where ours began */
	uint32_t retransmits_all[2];  /* ours since then */
	uint16_t connect_error;       /* of this cycle: errno of a failed attempt; 0: none */
	/* third line: counters of this cycle */
	uint64_t connect_ns[2] __attribute__((aligned(64))); /* sums */
	uint32_t connects[2]; /* end 0/1 as client: SYN to SYN-ACK; as server: SYN-ACK to ACK */
	uint32_t retransmits[2], syn_retransmits[2];
	uint32_t established, closed, connect_failed, resets;
	uint32_t segments[2]; /* FLOW_NARROW: in addition to packets, by the kernel's count */
} __attribute__((aligned(64)));

/* Payload of which every byte has been seen, in order: on another interface that is a second sight,
 * also where offloading has cut the packets differently there. */
static inline bool flow_has_payload(const struct flow *f, const struct flow_cold *c,
				    const struct packet *pkt)
{
	int e = pkt->end;

	return f->state & FLOW_TCP && f->state & (uint32_t)FLOW_SEQ << e && pkt->payload_len &&
	       !c->hole_count[e] && !(pkt->tcp_flags & TCP_SYN) &&
	       (int32_t)(f->next_seq[e] - pkt->seq - pkt->payload_len) >= 0;
}

/* The same packet on another interface (bond and slave, bridge and veth): counted where it was seen
 * first. What differs between the two sights (MAC addresses, TTL, checksums) is not part of the
 * signature. */
static inline bool flow_is_duplicate(struct flow *f, const struct flow_cold *c,
				     struct flow_sights *s, const struct packet *pkt)
{
	int e = pkt->end, i;

	if (!(f->state & (uint32_t)FLOW_SEEN << e)) {
		memset(s->signatures[e], 0,
		       sizeof(s->signatures[e])); /* the record's last flow's */
		s->counted_ns[e] = 0;
	} else if (pkt->iface != f->iface[e]) {
		if (flow_has_payload(f, c, pkt))
			return true;
		for (i = 0; i < FLOW_SIGNATURES; i++)
			if (s->signatures[e][i] == pkt->signature)
				return true;
	}
	f->iface[e] = pkt->iface;
	s->signatures[e][s->at[e]++ % FLOW_SIGNATURES] = pkt->signature;
	return false;
}

/* A new cycle: what was counted in the last one is told. */
static inline void flow_clear_counts(struct flow *f, struct flow_cold *c)
{
	f->packets[0] = f->packets[1] = 0;
	f->bytes[0] = f->bytes[1] = 0;
	if (!(f->state & FLOW_TCP))
		return;
	c->rtt[0].samples = c->rtt[1].samples = 0;
	memset(c->connect_ns, 0, sizeof(*c) - offsetof(struct flow_cold, connect_ns));
	c->connect_error = 0;
}

enum { FLOW_SWEEP = 16, FLOW_COLD_UDP = 64 /* bytes of flow_cold that a UDP flow has */ };

struct flow_table_config {
	size_t max_flows; /* hard cap; all memory is taken by flow_table_new() */
	uint64_t timeout_ns[FLOW_AGE_CLASSES]; /* silent this long: ended with FLOW_END_IDLE */
	/* A flow ends; its record is freed when the call returns. May not call back into the table.
	 */
	void (*end)(void *ctx, uint32_t n, enum flow_end_reason reason);
	/* These flows, at most FLOW_SWEEP, are about to end, in this order: a chance to fetch
	 * memory. */
	void (*prepare)(void *ctx, const uint32_t *flows, unsigned int n);
	void *ctx;
};

struct flow_table {
	struct index index;
	struct flow *flows;
	struct flow_cold *cold;
	struct flow_sights *sights;        /* touched only where packets have an interface */
	uint32_t used, unused_from, free;  /* records */
	uint32_t *heads[FLOW_AGE_CLASSES]; /* a list per second */
	uint32_t slots[FLOW_AGE_CLASSES];  /* lists of the class: its time-out in seconds + 2 */
	uint32_t now_slot[FLOW_AGE_CLASSES];
	uint32_t oldest[FLOW_AGE_CLASSES]; /* no older list than this many seconds is filled */
	uint64_t clock_s;                  /* second of the newest lists; 0: not started */
	uint64_t evicted, created;
	struct flow_table_config config;
};

/* 0 or -errno. */
int flow_table_init(struct flow_table *t, const struct flow_table_config *config) MUST_CHECK;
void flow_table_destroy(struct flow_table *t);

/* First of two looks: brings the index slot into the cache. */
static inline void flow_table_prefetch(const struct flow_table *t, uint64_t hash)
{
	index_prefetch(&t->index, (uint32_t)hash);
}

/* Second look: a guess at the flow's number (FLOW_NONE: none), its record on the way into the
 * cache. */
static inline uint32_t flow_table_prefetch_record(const struct flow_table *t, uint64_t hash)
{
	uint32_t at, n;

	INDEX_FIND(&t->index, (uint32_t)hash, at, n)
	{
		__builtin_prefetch(&t->flows[n], 1);
		__builtin_prefetch((const char *)&t->flows[n] + 64, 1);
		return n;
	}
	return FLOW_NONE;
}

/* The packet's flow, made where there is none: a full table first ends its least recently seen flow
 * (FLOW_END_EVICTED). guess: what flow_table_prefetch_record() said, or FLOW_NONE. Never fails; the
 * number stays valid until the flow ends. */
uint32_t flow_table_get(struct flow_table *t, const struct packet *pkt, uint32_t guess,
			bool *created);

/* The time-out class of a flow has changed. */
void flow_table_set_class(struct flow_table *t, uint32_t n, enum flow_age_class class);

/* Time has come to now_ns: end flows whose time-out has passed. Time may jump; a step back of more
 * than a minute restarts the clock there. */
void flow_table_advance(struct flow_table *t, uint64_t now_ns);

/* End every flow (FLOW_END_FINISH). */
void flow_table_finish(struct flow_table *t);

#endif
