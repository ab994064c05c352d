/* engine.h - frames in, points out: decoding, flow table, DNS and HTTP transactions, one cycle at a
 * time.
 *
 * Terms:   flow, RFC 7011 section 2; biflow, RFC 5103; cycle: the interval that one set of points
 *          covers.
 *
 * Time:    packet time only, ns since the epoch. Nothing in flows/ reads a clock, so the same
 *          frames give the same points. Time may jump and go backwards (files put together out of
 *          several).
 *
 * Threads: an engine belongs to one thread. No locks, no allocation after engine_new().
 */
#ifndef FLOWS_ENGINE_H
#define FLOWS_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/addr.h"
#include "common/error.h"
#include "flows/exclude.h"
#include "flows/frame.h"
#include "flows/http_pair.h"
#include "flows/packet.h"
#include "flows/point.h"

/* A flow that was seen for the first time. */
struct engine_begin {
	const struct flow_key *key;
	uint64_t time_ns;  /* of its first packet */
	unsigned int ends; /* bit 0: end 0 of the key is local, bit 1: end 1 */
	bool syn;          /* a connection begins here */
};

struct engine_config {
	uint64_t interval_ns; /* length of a cycle */
	size_t max_flows;     /* hard cap; a full table ends its least recently seen flow */
	size_t max_dns_pending, max_http_pending, max_streams;
	uint64_t dns_timeout_ns, http_timeout_ns;
	uint64_t tcp_idle_ns, udp_idle_ns, tcp_attempt_ns, tcp_linger_ns; /* flow time-outs */
	const uint16_t *dns_ports; /* copied */
	size_t ndns_ports;
	uint32_t http_max_path; /* bytes, at most 1024 */
	enum http_paths http_paths;
	bool fold_client_port;
	bool dns_domain;    /* points.dns.domain */
	bool tunnels_inner; /* look into VXLAN and Geneve */
	bool step_back;     /* live: the clock may be set back; a capture's may not */
	size_t max_names;   /* for dst_domain; 0: off */
	/* Flows left out; borrowed, see engine_set_exclude(). NULL: none. */
	const struct exclude *exclude;
	/* A flow begins of which an end is local. NULL: nobody wants to know. owner: of each end, 0;
	 * what is known already is to be set here: before engine_set_owner() is called, another
	 * connection may have the ports. May not call back into the engine. */
	void (*new_flow)(void *ctx, const struct engine_begin *b, uint32_t owner[2]);
	/* The cycle ends now: a chance for engine_set_tcp(), engine_set_owner() and listeners.
	 * NULL: none. */
	void (*before_end)(void *ctx);
	/* See points.h. */
	void (*owner)(void *ctx, uint32_t owner, struct point *out);
	void *owner_ctx; /* of these three */
	struct point_sink sink;
};

/* Fills in the documented defaults; everything but `sink` is usable as it is. */
void engine_config_default(struct engine_config *c);

struct engine;

/* NULL with errno set where memory is refused. */
struct engine *engine_new(const struct engine_config *config) MUST_CHECK;
void engine_free(struct engine *e);

/* Count frames, in capture order, any number at a time; ends cycles as packet time passes their
 * end. The frames' data must stay until the call returns. */
void engine_frames(struct engine *e, const struct frame *frames, size_t n);

/* Live: time has come to now_ns although no frame said so; ends the cycle and time-outs that are
 * due. */
void engine_tick(struct engine *e, uint64_t now_ns);

/* Live: the running cycle ends now, as engine_tick() would end it later; the next one ends when
 * this one would have. For engine_reconfigure(). */
void engine_end_cycle(struct engine *e, uint64_t now_ns);

/* Other settings, right behind engine_end_cycle(), so that no point mixes both: interval_ns (the
 * next cycle ends no later than it would have), dns_timeout_ns, http_timeout_ns, dns_ports,
 * http_paths, fold_client_port, dns_domain and tunnels_inner. The rest of the configuration is not
 * looked at. */
void engine_reconfigure(struct engine *e, const struct engine_config *config);

/* The end of the capture or of the run: what is pending is written as unanswered, the last cycle is
 * ended. end_ns 0: at the last packet's time. */
void engine_finish(struct engine *e, uint64_t end_ns);

/* Which addresses are this host's (or, for a capture file, the local networks). Copied. Counts from
 * the next cycle's points on. */
int engine_set_local(struct engine *e, const struct ip_net *nets, size_t n) MUST_CHECK;

/* Is it one of them? */
bool engine_has_local(const struct engine *e, const struct ip_addr *a);

/* Process of an end of a flow (the collector's number, not 0). False: there is no such flow (yet,
 * or any more). */
bool engine_set_owner(struct engine *e, const struct flow_key *key, int end, uint32_t owner);

/* Is there this connection, and has it ended at both sides (FIN and FIN, or RST)? */
bool engine_flow_is_over(const struct engine *e, const struct flow_key *key);

/* Other rules (borrowed until the next call or engine_free(); NULL: none), for flows that begin
 * from now on: those in the table stay counted or left out as they are. */
void engine_set_exclude(struct engine *e, const struct exclude *x);

/* Leave a flow out after the fact, as its process is known now. What it counted since the last
 * cycle is taken back (packets_excluded); points written, and requests that wait for their
 * response, stay. The next connection of the same ports begins anew. Nothing happens where the flow
 * is no more. */
void engine_exclude_flow(struct engine *e, const struct flow_key *key);

/* What begins before until_ns on 127.0.0.1 with this port at one of its ends is left out: the
 * collector's own. The last ENGINE_OWN_PORTS of them are known. */
enum { ENGINE_OWN_PORTS = 32 };

void engine_exclude_own(struct engine *e, uint16_t port, uint64_t until_ns);

/* What the kernel itself counted for the TCP connection whose local end is `end`: wins over what
 * the packets tell. To be called before the cycle's end. */
struct engine_tcp {
	uint32_t rtt_us, rtt_var_us; /* rtt 0: no sample yet */
	uint32_t retransmits;        /* since the connection began, SYNs too */
};

void engine_set_tcp(struct engine *e, const struct flow_key *key, int end,
		    const struct engine_tcp *tcp);

/* The host's listening sockets, anew: begin, then one by one; addr :: is every address. */
void engine_listeners_begin(struct engine *e);
void engine_add_listener(struct engine *e, const struct ip_addr *addr, uint16_t port,
			 uint8_t proto);

/* seen = parsed + skipped + truncated + malformed + unknown + duplicate + excluded; all since
 * engine_new(). */
struct engine_stats {
	uint64_t packets_seen;      /* frames given to engine_frames() */
	uint64_t packets_parsed;    /* counted to a flow, or held as a fragment of one */
	uint64_t packets_skipped;   /* nothing for a flow: ARP, ICMP, SCTP ... */
	uint64_t packets_truncated; /* cut before the ports were readable */
	uint64_t packets_malformed;
	uint64_t packets_unknown;   /* link or network protocol that is not looked into */
	uint64_t packets_duplicate; /* the same packet on a second interface */
	uint64_t packets_excluded;  /* of flows that are left out */
	uint64_t packets_udp;       /* of those parsed: UDP of other ports than DNS's */
	uint64_t bytes_seen;        /* on the wire */
	uint64_t bytes_repaired;    /* counted by engine_repair() (flows/kernel.h) */
	uint64_t fragments, fragments_orphaned, fragments_lost;
	uint64_t flows_created, flows_evicted, flows_active;
	uint64_t tcp_holes_forgotten; /* a byte may be counted less: more holes than fit */
	uint64_t dns_messages, dns_malformed, dns_unanswered, dns_orphans, dns_pending, dns_evicted;
	uint64_t dns_not_query; /* another opcode */
	uint64_t http_requests, http_responses, http_orphans, http_pending, http_evicted, http_lost;
	uint64_t streams_active, streams_evicted;
	uint64_t points, cycles, cycles_early; /* early: the table of points was full */
	uint64_t time_steps;                   /* times the clock went back */
	uint64_t names, names_evicted;
};

const struct engine_stats *engine_stats(const struct engine *e);

#endif
