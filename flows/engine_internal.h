/* engine_internal.h - the engine's own state, for the files that it consists of. */
#ifndef FLOWS_ENGINE_INTERNAL_H
#define FLOWS_ENGINE_INTERNAL_H

#include "flows/decode.h"
#include "flows/dns_pending.h"
#include "flows/engine.h"
#include "flows/flow_table.h"
#include "flows/fragment.h"
#include "flows/http_pair.h"
#include "flows/kernel.h"
#include "flows/local.h"
#include "flows/names.h"
#include "flows/points.h"
#include "flows/roles.h"
#include "flows/stream.h"
#include "flows/tcp.h"

enum { ENGINE_BATCH = 64 };

struct engine {
	struct engine_config config;
	struct engine_stats stats;
	struct decoder decoder;
	struct flow_table table;
	struct tcp tcp;
	struct roles roles;
	struct local local;
	struct local narrow;                  /* connections with an end here are narrowed */
	uint16_t own_ports[ENGINE_OWN_PORTS]; /* engine_exclude_own(); a ring */
	unsigned int nown;
	uint64_t own_until_ns;
	bool connect_errors; /* the errno of a failed connect comes from the kernel */
	uint64_t dropped_most; /* engine_set_dropped() */
	struct kernel_stats kernel_stats;
	struct names *names; /* NULL: off */
	struct points *points;
	struct dns_pending *dns;
	struct http_pairs *http;
	struct streams *streams;
	uint64_t now_ns;       /* packet time, only forward but for steps */
	uint64_t cycle_end_ns; /* 0: no cycle yet */
	uint64_t second_ns;    /* beginning of the last second for which time-outs were looked at */
	uint32_t *dirty;       /* flows that have something for this cycle */
	uint32_t ndirty;
	uint32_t npackets;
	struct places {
		uint32_t flow[FLOW_SWEEP];
		struct points_place place[FLOW_SWEEP];
		unsigned int n, next;
	} places; /* of flows that are about to be reported, in this order */
	uint64_t dns_ports[65536 / 64];
	struct packet packets[ENGINE_BATCH];
};

/* The end of the cycle that packet time t is in. */
static inline uint64_t engine_boundary(const struct engine *e, uint64_t t)
{
	return (t / e->config.interval_ns + 1) * e->config.interval_ns;
}

/* The ports of the configuration, instead of those before. */
void engine_set_dns_ports(struct engine *e, const uint16_t *ports, size_t n);

/* Is it the collector's own connection (engine_exclude_own())? */
bool engine_is_own(const struct engine *e, const struct flow_key *key);

/* --- engine.c, for kernel.c --- */

/* FLOW_NONE: there is none. */
uint32_t engine_find_flow(const struct engine *e, const struct flow_key *key);

/* A flow whose first packet is pkt. Its memory is fresh, or tcp_restart() was called. */
void engine_flow_begins(struct engine *e, uint32_t n, const struct packet *pkt);

/* The flow, not FLOW_DIRTY so far, has something for this cycle's points. */
void engine_mark_dirty(struct engine *e, uint32_t n);

/* The tables of points are nearly full: the cycle ends early, nothing is lost. */
void engine_make_room(struct engine *e);

/* --- kernel.c, for engine.c --- */

/* Is one of the ends in e->narrow? */
bool engine_is_narrow(const struct engine *e, const struct flow_key *key);

/* The flow ends, tcp_end() follows: count what frames that were dropped had of it. */
void engine_repair_closed(struct engine *e, struct flow *f, struct flow_cold *c);

/* The connection has ended: where it was an attempt of a local client, its errno is waited for. */
void engine_await_error(const struct engine *e, struct flow *f, struct flow_cold *c);

#endif
