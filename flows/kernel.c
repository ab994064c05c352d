/* kernel.c - see kernel.h: the engine's way in for what the kernel has counted itself. */
#include "flows/kernel.h"

#include <errno.h>
#include <string.h>

#include "flows/engine_internal.h"

#define ELSEWHERE_NS 1000000000ULL /* no datagrams for so long: the flow has left an interface */

#define GONE_SOON_NS 1000000000ULL

/* --- which flows are narrowed
 * ---------------------------------------------------------------------- */

bool engine_is_narrow(const struct engine *e, const struct flow_key *key)
{
	struct ip_addr a, b;

	flow_key_addr(key, 0, &a);
	flow_key_addr(key, 1, &b);
	return local_has(&e->narrow, &a) || local_has(&e->narrow, &b);
}

static void renarrow(struct engine *e, uint32_t n)
{
	struct flow *f = &e->table.flows[n];
	struct flow_cold *c = &e->table.cold[n];
	bool narrow = local_any(&e->narrow) && engine_is_narrow(e, &f->key);

	if (narrow && f->state & FLOW_NARROW) {
		c->notes &= (uint16_t) ~(NOTE_LEAVING | 3 * NOTE_SYNCED);
	} else if (narrow) {
		e->kernel_stats.narrowed++;
		if (tcp_narrow_begin(&e->tcp, f, c) && !(f->state & FLOW_DIRTY))
			engine_mark_dirty(e, n);
	} else if (f->state & FLOW_NARROW) {
		tcp_narrow_leave(c);
	}
}

int engine_set_narrow(struct engine *e, const struct ip_net *nets, size_t n)
{
	uint32_t i;

	if (local_set(&e->narrow, nets, n))
		return -E2BIG;
	for (i = 0; i < e->table.unused_from; i++)
		if ((e->table.flows[i].state & (FLOW_TCP | FLOW_EXCLUDED)) == FLOW_TCP)
			renarrow(e, i);
	return 0;
}

/* --- flows without a frame
 * ------------------------------------------------------------------------- */

/* The flow of this key, made where there is none. */
static uint32_t get_flow(struct engine *e, const struct flow_key *key, int end, uint64_t time_ns,
			 uint16_t iface)
{
	struct packet pkt;
	bool created;
	uint32_t n;

	memset(&pkt, 0, sizeof(pkt));
	pkt.key = *key;
	pkt.hash = decode_key_hash(&e->decoder, key);
	pkt.time_ns = time_ns;
	pkt.end = (uint8_t)end;
	pkt.iface = iface;
	n = flow_table_get(&e->table, &pkt, FLOW_NONE, &created);
	if (created) {
		memset(&e->table.sights[n], 0, sizeof(e->table.sights[n]));
		engine_flow_begins(e, n, &pkt);
	}
	return n;
}

static void mark(struct engine *e, uint32_t n)
{
	if (!(e->table.flows[n].state & FLOW_DIRTY))
		engine_mark_dirty(e, n);
}

/* --- connects that failed
 * -------------------------------------------------------------------------- */

void engine_set_connect_errors(struct engine *e, bool come)
{
	e->connect_errors = come;
}

void engine_await_error(const struct engine *e, struct flow *f, struct flow_cold *c)
{
	struct ip_addr client;

	if (!c->connect_failed || f->state & (3 * FLOW_OTHER))
		return;
	flow_key_addr(&f->key, f->state & (FLOW_SYN << 1) ? 1 : 0, &client);
	if (!(f->state & (3 * FLOW_SYN)) || !local_has(&e->local, &client))
		return;
	c->connect_failed--;
	c->notes |= NOTE_FAILED;
}

/* Failed before a SYN was sent: there is no flow, or it is another attempt's. */
static void count_packetless(struct engine *e, const struct kernel_sample *s)
{
	struct points_who who = {.owner = s->has & KERNEL_OWNER ? s->owner : 0, .name = NAMES_NONE};
	struct ip_addr client, server;

	if (exclude_match(e->config.exclude, &s->key))
		return;
	if (e->names) {
		flow_key_addr(&s->key, s->end, &client);
		flow_key_addr(&s->key, 1 - s->end, &server);
		names_client(&e->local, &client, &client);
		who.name = names_lookup(e->names, &client, &server, s->time_ns);
	}
	points_add_connect_error(e->points, &s->key, s->end, &who, s->connect_error);
}

/* The attempt of this flow is over, and why: unless it is counted already. */
static void count_error(struct engine *e, uint32_t n, const struct kernel_sample *s)
{
	struct flow *f = &e->table.flows[n];
	struct flow_cold *c = &e->table.cold[n];
	bool waits = c->notes & (NOTE_FAILED | NOTE_RESET);
	bool tries = f->state & (uint32_t)FLOW_SYN << s->end && !(f->state & FLOW_CLOSED) &&
		     !(f->state & (3 * FLOW_OTHER));

	if (!waits && !tries)
		return;
	c->notes &= (uint16_t) ~(NOTE_FAILED | NOTE_RESET);
	f->state |= FLOW_CLOSED;
	c->connect_error = s->connect_error;
	mark(e, n);
}

/* --- samples
 * --------------------------------------------------------------------------------------- */

/* Of a connection before, whose ports are used again. Its time may be later than the new one's SYN:
 * that of a socket that is gone is when it was read. But none that was connected goes within its
 * first second without a FIN or RST, and these come before the figures, or tell what they would. */
static bool is_stale(const struct flow *f, const struct flow_cold *c, const struct kernel_sample *s)
{
	const uint32_t gone = KERNEL_CLOSED | KERNEL_ESTABLISHED;

	if (!(f->state & (3 * (FLOW_SYN | FLOW_SYNACK))))
		return false;
	if (s->time_ns < c->first_ns)
		return true;
	return (s->has & gone) == gone && !(f->state & (3 * FLOW_FIN | FLOW_CLOSED)) &&
	       s->time_ns - c->first_ns < GONE_SOON_NS;
}

/* A flow of which every segment is seen: the kernel's figures where they are better. */
static void count_beside(struct flow *f, struct flow_cold *c, const struct kernel_sample *s)
{
	if (!(f->state & FLOW_DIRTY))
		return; /* a round-trip time alone makes no point */
	if (s->has & KERNEL_RTT)
		tcp_kernel_rtt(c, s->end, s->rtt_us, s->rtt_var_us);
	if (s->has & KERNEL_RETRANSMITS)
		tcp_kernel_retransmits(f, c, s->end, s->retransmits);
}

static void count_sample(struct engine *e, uint32_t n, const struct kernel_sample *s)
{
	struct flow *f = &e->table.flows[n];
	struct flow_cold *c = &e->table.cold[n];
	enum flow_age_class class;

	if (s->has & KERNEL_OWNER)
		c->owner[s->end] = s->owner;
	if (s->has & KERNEL_ERROR)
		count_error(e, n, s);
	if (!(f->state & FLOW_NARROW))
		count_beside(f, c, s);
	else if (tcp_narrow_sample(f, c, s))
		mark(e, n);
	class = tcp_age_class(f);
	if (class != f->age_class)
		flow_table_set_class(&e->table, n, class);
}

bool engine_kernel_sample(struct engine *e, const struct kernel_sample *s)
{
	uint32_t n;
	struct flow *f;

	if (flow_key_proto(&s->key) != PROTO_TCP)
		return false;
	engine_make_room(e);
	if ((s->has & (KERNEL_ERROR | KERNEL_NO_PACKET)) == (KERNEL_ERROR | KERNEL_NO_PACKET)) {
		e->kernel_stats.samples++;
		count_packetless(e, s);
		return true;
	}
	n = engine_find_flow(e, &s->key);
	if (n == FLOW_NONE && !(s->has & KERNEL_OLD)) {
		e->kernel_stats.unmatched++;
		return false;
	}
	if (n == FLOW_NONE) {
		n = get_flow(e, &s->key, s->end, s->time_ns, 0);
		e->table.flows[n].state |= 3 * FLOW_SEEN; /* a SYN is another connection's */
	}
	f = &e->table.flows[n];
	if (is_stale(f, &e->table.cold[n], s)) {
		e->kernel_stats.stale++;
		return true;
	}
	e->kernel_stats.samples++;
	if (!(f->state & FLOW_EXCLUDED))
		count_sample(e, n, s);
	if (s->time_ns > f->last_ns)
		f->last_ns = s->time_ns;
	return true;
}

void engine_set_tcp(struct engine *e, const struct flow_key *key, int end,
		    const struct engine_tcp *tcp)
{
	struct kernel_sample s = {.end = (uint8_t)end,
				  .has = KERNEL_RTT | KERNEL_RETRANSMITS,
				  .rtt_us = tcp->rtt_us,
				  .rtt_var_us = tcp->rtt_var_us,
				  .retransmits = tcp->retransmits};
	uint32_t n = engine_find_flow(e, key);

	if (n == FLOW_NONE)
		return;
	if (e->table.flows[n].state & FLOW_NARROW)
		count_sample(e, n, &s);
	else
		count_beside(&e->table.flows[n], &e->table.cold[n], &s);
}

/* --- frames that were dropped
 * ---------------------------------------------------------------------- */

uint64_t engine_repair(struct engine *e, const struct kernel_sample *s, uint64_t most)
{
	struct flow_cold *c;
	struct flow *f;
	uint64_t bytes;
	uint32_t n;

	if (flow_key_proto(&s->key) != PROTO_TCP)
		return 0;
	engine_make_room(e);
	n = engine_find_flow(e, &s->key);
	if (n == FLOW_NONE)
		return 0;
	f = &e->table.flows[n];
	c = &e->table.cold[n];
	if (f->state & (FLOW_NARROW | FLOW_EXCLUDED) || is_stale(f, c, s))
		return 0;
	bytes = tcp_repair(&e->tcp, f, c, s, most);
	e->stats.bytes_repaired += bytes;
	if (bytes)
		mark(e, n);
	return bytes;
}

void engine_set_dropped(struct engine *e, uint64_t most)
{
	e->dropped_most = most;
	e->tcp.dropped = most != 0;
}

void engine_repair_closed(struct engine *e, struct flow *f, struct flow_cold *c)
{
	struct ip_addr a, b;
	uint64_t bytes;

	if (f->state & (FLOW_NARROW | FLOW_EXCLUDED) || e->stats.bytes_repaired >= e->dropped_most)
		return;
	flow_key_addr(&f->key, 0, &a);
	flow_key_addr(&f->key, 1, &b);
	if (!local_has(&e->local, &a) && !local_has(&e->local, &b))
		return;
	bytes = tcp_repair_closed(&e->tcp, f, c, e->dropped_most - e->stats.bytes_repaired);
	e->stats.bytes_repaired += bytes;
	if (bytes)
		f->state |= FLOW_DIRTY;
}

/* --- datagrams
 * ------------------------------------------------------------------------------------- */

/* Counted on another interface, where the flow has not fallen silent since. The two interfaces'
 * counts are read one after the other, in any order, and a router sends what it has received a
 * moment later: a little later is no reason to count the same datagrams there. */
static bool counted_elsewhere(const struct flow *f, const struct flow_sights *sights,
			      const struct kernel_datagrams *d)
{
	return d->iface && f->state & (uint32_t)FLOW_SEEN << d->end &&
	       f->iface[d->end] != d->iface &&
	       (!sights->counted_ns[d->end] ||
		d->first_ns <= sights->counted_ns[d->end] + ELSEWHERE_NS);
}

void engine_kernel_datagrams(struct engine *e, const struct kernel_datagrams *d)
{
	struct flow_sights *sights;
	struct flow *f;
	uint32_t n;

	if (flow_key_proto(&d->key) != PROTO_UDP || !d->packets)
		return;
	engine_make_room(e);
	n = get_flow(e, &d->key, d->end, d->first_ns, d->iface);
	f = &e->table.flows[n];
	sights = &e->table.sights[n];
	e->stats.packets_seen += d->packets;
	e->kernel_stats.datagrams += d->packets;
	if (f->state & FLOW_EXCLUDED) {
		e->stats.packets_excluded += d->packets;
	} else if (counted_elsewhere(f, sights, d)) {
		e->stats.packets_duplicate += d->packets;
	} else {
		e->stats.packets_parsed += d->packets;
		f->state |= (uint32_t)FLOW_SEEN << d->end;
		f->iface[d->end] = d->iface;
		f->packets[d->end] += (uint32_t)d->packets;
		f->bytes[d->end] += d->bytes;
		if (d->last_ns > sights->counted_ns[d->end])
			sights->counted_ns[d->end] = d->last_ns;
		mark(e, n);
	}
	if (d->last_ns > f->last_ns)
		f->last_ns = d->last_ns;
}

const struct kernel_stats *engine_kernel_stats(const struct engine *e)
{
	return &e->kernel_stats;
}
