/* engine.c - see engine.h.
 *
 * Frames are handled in batches, in passes over the batch, so that memory is asked for before it is
 * needed: decode and hash all; look all up in the index, fetching the records; then count each. A
 * batch has no influence on what is counted.
 */
#include "flows/engine_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define NS_PER_S 1000000000ULL

enum { BATCH = ENGINE_BATCH, PORT_MDNS = 5353, PORT_LLMNR = 5355 };

static bool is_dns_port(const struct engine *e, uint16_t port)
{
	return e->dns_ports[port / 64] >> port % 64 & 1;
}

static bool key_has_dns_port(const struct engine *e, const struct flow_key *k)
{
	return is_dns_port(e, flow_key_port(k, 0)) || is_dns_port(e, flow_key_port(k, 1));
}

/* --- making and ending ------------------------------------------------------------------------ */

static void on_flow_end(void *ctx, uint32_t n, enum flow_end_reason reason);
static void on_points_full(void *ctx);
static void prepare_ends(void *ctx, const uint32_t *flows, unsigned int n);

static int make_tables(struct engine *e)
{
	const struct engine_config *c = &e->config;
	struct flow_table_config ft = {
	    .max_flows = c->max_flows, .end = on_flow_end, .prepare = prepare_ends, .ctx = e};
	struct points_config pc = {.max_netflow = 2 * c->max_flows + 1024,
				   .max_transactions =
				       4 * (c->max_dns_pending + c->max_http_pending + BATCH),
				   .full = on_points_full,
				   .full_ctx = e,
				   .fold_client_port = c->fold_client_port,
				   .dns_domain = c->dns_domain,
				   .sink = c->sink,
				   .local = &e->local,
				   .owner = c->owner,
				   .owner_ctx = c->owner_ctx};
	struct dns_pending_config dc = {.max_pending = c->max_dns_pending,
					.timeout_ns = c->dns_timeout_ns};
	struct http_pairs_config hc = {.max_pending = c->max_http_pending,
				       .timeout_ns = c->http_timeout_ns,
				       .max_path = c->http_max_path,
				       .paths = c->http_paths};
	struct streams_config sc = {.max_streams = c->max_streams};

	ft.timeout_ns[FLOW_AGE_UDP] = c->udp_idle_ns;
	ft.timeout_ns[FLOW_AGE_TCP] = c->tcp_idle_ns;
	ft.timeout_ns[FLOW_AGE_ATTEMPT] = c->tcp_attempt_ns;
	ft.timeout_ns[FLOW_AGE_CLOSED] = c->tcp_linger_ns;
	e->decoder.fragments = fragments_new();
	if (c->max_names) {
		e->names = names_new(c->max_names);
		if (!e->names)
			return -ENOMEM;
	}
	pc.names = dc.names = e->names;
	dc.local = &e->local;
	e->points = points_new(&pc);
	e->dirty = malloc(c->max_flows * sizeof(*e->dirty));
	if (!e->decoder.fragments || !e->points || !e->dirty || flow_table_init(&e->table, &ft) ||
	    tcp_init(&e->tcp, c->max_flows / 4 + 4096) ||
	    tcp_keep_lost(&e->tcp, e->table.cold, c->max_flows) ||
	    roles_init(&e->roles, &e->local) || local_init(&e->local) || local_init(&e->narrow))
		return -ENOMEM;
	dc.points = hc.points = e->points;
	e->dns = dns_pending_new(&dc);
	e->http = http_pairs_new(&hc);
	sc.dns = e->dns;
	sc.http = e->http;
	e->streams = streams_new(&sc);
	return e->dns && e->http && e->streams ? 0 : -ENOMEM;
}

struct engine *engine_new(const struct engine_config *config)
{
	struct engine *e;

	if (!config->interval_ns || config->http_max_path > 1024 || config->http_max_path < 1 ||
	    !config->sink.put || !config->sink.end) {
		errno = EINVAL;
		return NULL;
	}
	e = calloc(1, sizeof(*e));
	if (!e)
		return NULL;
	e->config = *config;
	engine_set_dns_ports(e, config->dns_ports, config->ndns_ports);
	siphash_key_random(&e->decoder.key);
	e->decoder.tunnels_inner = config->tunnels_inner;
	if (make_tables(e)) {
		engine_free(e);
		errno = ENOMEM;
		return NULL;
	}
	return e;
}

void engine_free(struct engine *e)
{
	if (!e)
		return;
	streams_free(e->streams);
	http_pairs_free(e->http);
	dns_pending_free(e->dns);
	roles_destroy(&e->roles);
	tcp_destroy(&e->tcp);
	flow_table_destroy(&e->table);
	free(e->dirty);
	points_free(e->points);
	names_free(e->names);
	local_destroy(&e->local);
	local_destroy(&e->narrow);
	fragments_free(e->decoder.fragments);
	free(e);
}

int engine_set_local(struct engine *e, const struct ip_net *nets, size_t n)
{
	return local_set(&e->local, nets, n);
}

bool engine_has_local(const struct engine *e, const struct ip_addr *a)
{
	return local_has(&e->local, a);
}

void engine_listeners_begin(struct engine *e)
{
	roles_told_begin(&e->roles);
}

void engine_add_listener(struct engine *e, const struct ip_addr *addr, uint16_t port, uint8_t proto)
{
	struct listener l = {.addr = *addr, .port = port, .proto = proto};

	roles_told_add(&e->roles, &l);
}

/* --- counting into points --------------------------------------------------------------------- */

/* Work out where these flows' counts will go, and fetch the memory: flow_report() follows for most.
 */
static void prepare_report(void *ctx, const uint32_t *flows, unsigned int n)
{
	struct engine *e = ctx;
	struct places *p = &e->places;
	unsigned int i;

	for (i = 0; i < n; i++) {
		__builtin_prefetch(&e->table.cold[flows[i]]);
		__builtin_prefetch(&e->table.cold[flows[i]].connect_ns);
	}
	for (i = 0; i < n; i++) {
		const struct flow *f = &e->table.flows[flows[i]];

		p->flow[i] = flows[i];
		points_find(e->points, f, &e->table.cold[flows[i]], roles_client(&e->roles, f),
			    &p->place[i]);
	}
	for (i = 0; i < n; i++)
		points_prefetch(e->points, &p->place[i]);
	p->n = n;
	p->next = 0;
}

/* Where the flow's counts go: prepared, or worked out now. */
static const struct points_place *flow_place(struct engine *e, uint32_t n)
{
	struct places *p = &e->places;

	while (p->next < p->n)
		if (p->flow[p->next++] == n)
			return &p->place[p->next - 1];
	prepare_report(e, &n, 1);
	p->n = 0;
	return &p->place[0];
}

/* Give what a flow counted since the last time to the cycle's points. */
static void flow_report(struct engine *e, uint32_t n)
{
	struct flow *f = &e->table.flows[n];
	struct flow_cold *c = &e->table.cold[n];

	f->state &= ~(uint32_t)FLOW_DIRTY;
	points_add_flow(e->points, f, c, flow_place(e, n));
	flow_clear_counts(f, c);
}

static void report_dirty(struct engine *e)
{
	uint32_t i, k, due[FLOW_SWEEP];
	unsigned int n = 0;

	for (i = 0; i < e->ndirty; i++) {
		if (i + 24 < e->ndirty) {
			__builtin_prefetch(&e->table.flows[e->dirty[i + 24]], 1);
			__builtin_prefetch((char *)&e->table.flows[e->dirty[i + 24]] + 64, 1);
		}
		/* a flow may have ended since, and its record may be another's, listed again */
		if (e->table.flows[e->dirty[i]].state & FLOW_DIRTY) {
			e->table.flows[e->dirty[i]].state &= ~(uint32_t)FLOW_DIRTY;
			due[n++] = e->dirty[i];
		}
		if (n == FLOW_SWEEP || (n && i + 1 == e->ndirty)) {
			prepare_report(e, due, n);
			for (k = 0; k < n; k++)
				flow_report(e, due[k]);
			n = 0;
		}
	}
	e->ndirty = 0;
}

void engine_mark_dirty(struct engine *e, uint32_t n)
{
	if (e->ndirty == e->config.max_flows)
		report_dirty(e);
	e->table.flows[n].state |= FLOW_DIRTY;
	e->dirty[e->ndirty++] = n;
}

/* Of the flows about to end those that may have something to report. */
static void prepare_ends(void *ctx, const uint32_t *flows, unsigned int n)
{
	struct engine *e = ctx;
	uint32_t due[FLOW_SWEEP];
	unsigned int i, ndue = 0;

	for (i = 0; i < n; i++) {
		uint32_t state = e->table.flows[flows[i]].state;

		if (state & FLOW_DIRTY || (state & (FLOW_TCP | FLOW_CLOSED)) == FLOW_TCP)
			due[ndue++] = flows[i];
	}
	prepare_report(e, due, ndue);
}

static void on_flow_end(void *ctx, uint32_t n, enum flow_end_reason reason)
{
	struct engine *e = ctx;
	struct flow *f = &e->table.flows[n];
	struct flow_cold *c = &e->table.cold[n];

	if (f->state & FLOW_TCP && !(f->state & FLOW_EXCLUDED)) {
		if (f->state & FLOW_STREAM)
			stream_close(e->streams, f, c);
		if (e->dropped_most)
			engine_repair_closed(e, f, c);
		if (tcp_end(&e->tcp, f, c, reason))
			f->state |= FLOW_DIRTY;
	}
	if (f->state & FLOW_DIRTY)
		flow_report(e, n);
	if (e->names)
		names_release(e->names, c->name);
}

static void cycle_end(struct engine *e, uint64_t stamp_ns)
{
	if (e->config.before_end)
		e->config.before_end(e->config.owner_ctx);
	report_dirty(e);
	e->stats.points += points_end(e->points, stamp_ns);
	e->stats.cycles++;
}

/* --- time ------------------------------------------------------------------------------------- */

static void count_packet(struct engine *e, const struct packet *pkt, uint32_t guess);

/* Fragments whose other parts do not come: counted to the flow of their first one. */
static void expire_fragments(struct engine *e, uint64_t now_ns, bool all)
{
	struct datagram d;
	struct packet pkt;

	while ((all || fragments_due(e->decoder.fragments, now_ns)) &&
	       fragments_expire(e->decoder.fragments, now_ns, all, &d)) {
		memset(&pkt, 0, sizeof(pkt));
		pkt.time_ns = d.time_ns;
		pkt.iface = d.iface;
		pkt.packets = d.packets;
		e->stats.fragments_lost += d.packets;
		if (pkt.time_ns > e->now_ns)
			e->now_ns = pkt.time_ns; /* a capture of nothing but lost fragments */
		if (d.has_first && decode_transport(&e->decoder, &d.src, &d.dst, d.proto, d.data,
						    d.cap, d.len, &pkt) == DECODE_PACKET) {
			/* what is missing is not known: no payload to read, no TCP bytes to count
			 */
			pkt.payload_cap = 0;
			if (d.proto == PROTO_TCP)
				pkt.payload_len = 0;
			count_packet(e, &pkt, FLOW_NONE);
		} else {
			e->stats.fragments_orphaned += d.packets;
		}
		fragments_release(e->decoder.fragments);
	}
}

/* Time-outs of flows and transactions, at most once a second of packet time. */
static void expire(struct engine *e, uint64_t now_ns)
{
	e->second_ns = now_ns / NS_PER_S * NS_PER_S;
	flow_table_advance(&e->table, now_ns);
	dns_pending_expire(e->dns, now_ns, false);
	http_pairs_expire(e->http, now_ns, false);
	expire_fragments(e, now_ns, false);
}

/* Packet time is t: end the cycles that are over. A jump over many cycles ends one: the others are
 * empty. */
static void advance(struct engine *e, uint64_t t)
{
	if (!e->cycle_end_ns) {
		e->now_ns = t;
		e->cycle_end_ns = engine_boundary(e, t);
	}
	if (t < e->now_ns && e->now_ns - t > 60 * NS_PER_S) {
		e->stats.time_steps++;
		if (e->config.step_back) {
			cycle_end(e, e->now_ns);
			e->now_ns = t;
			e->cycle_end_ns = engine_boundary(e, t);
		}
	}
	if (t >= e->cycle_end_ns) {
		expire(e, e->cycle_end_ns); /* what is due later is the next cycle's */
		cycle_end(e, e->cycle_end_ns);
		e->cycle_end_ns = engine_boundary(e, t);
	}
	if (t - e->second_ns >= NS_PER_S)
		expire(e, t);
	if (t > e->now_ns)
		e->now_ns = t;
}

/* What engine_make_room() cannot foresee: the end of many transactions or flows at once. */
static void on_points_full(void *ctx)
{
	struct engine *e = ctx;

	e->stats.cycles_early++;
	e->stats.points += points_end(e->points, e->now_ns);
	e->stats.cycles++;
}

void engine_make_room(struct engine *e)
{
	if (points_room(e->points, e->ndirty + 4 * BATCH, BATCH))
		return;
	e->stats.cycles_early++;
	cycle_end(e, e->now_ns);
}

/* --- packets ---------------------------------------------------------------------------------- */

static void count_udp_payload(struct engine *e, struct flow *f, const struct packet *pkt)
{
	uint16_t p0, p1;

	if (!key_has_dns_port(e, &pkt->key)) {
		e->stats.packets_udp += pkt->packets;
		return;
	}
	if (!pkt->payload_cap)
		return;
	p0 = flow_key_port(&pkt->key, 0);
	p1 = flow_key_port(&pkt->key, 1);
	if (p0 == PORT_MDNS || p1 == PORT_MDNS || p0 == PORT_LLMNR || p1 == PORT_LLMNR)
		return;
	if (dns_pending_message(e->dns, &pkt->key, pkt->end, pkt->hash, pkt->payload,
				pkt->payload_cap, pkt->payload_cap == pkt->payload_len,
				pkt->time_ns) &&
	    !(f->state & (3 * FLOW_CLIENT)))
		f->state |= (uint32_t)FLOW_CLIENT << dns_pending_client(e->dns);
}

static void count_udp(struct engine *e, struct flow *f, const struct packet *pkt)
{
	f->state |= (uint32_t)FLOW_SEEN << pkt->end;
	f->bytes[pkt->end] += pkt->payload_len;
	count_udp_payload(e, f, pkt);
}

/* Nothing of what an end has sent has come from its beginning. */
static bool first_bytes_missing(const struct engine *e, const struct flow_cold *c, int end)
{
	return c->hole_count[end] == 1 && e->tcp.holes[c->holes[end]].start == c->isn[end] + 1;
}

/* Does this segment begin something that is read? The cheap question: its first four bytes. */
static void look_for_stream(struct engine *e, struct flow *f, struct flow_cold *c,
			    const struct packet *pkt, bool hole)
{
	enum http_guess guess;

	if (key_has_dns_port(e, &pkt->key)) {
		stream_open_dns(e->streams, f, c, pkt);
		return;
	}
	guess = http_guess(pkt->payload, pkt->payload_cap);
	if (hole && guess == HTTP_NOT && f->state & FLOW_HANDSHAKE &&
	    first_bytes_missing(e, c, pkt->end)) {
		stream_open_late(e->streams, f, c, pkt);
		return;
	}
	if (guess == HTTP_MAYBE) {
		/* The very first bytes of a connection may be fewer than it takes to tell. */
		if (!(f->state & FLOW_HANDSHAKE) ||
		    pkt->seq + (pkt->tcp_flags & TCP_SYN ? 1 : 0) != c->isn[pkt->end] + 1)
			return;
		guess = f->state & (FLOW_CLIENT << pkt->end) ? HTTP_REQUEST : HTTP_RESPONSE;
	}
	if (guess == HTTP_NOT)
		return;
	stream_open_http(e->streams, f, c, pkt, guess == HTTP_REQUEST);
	if (!(f->state & (3 * FLOW_CLIENT)))
		f->state |= (uint32_t)FLOW_CLIENT
			    << (guess == HTTP_REQUEST ? pkt->end : 1 - pkt->end);
}

/* Under which name the client knows the server: it asked before it connected. */
static void name_flow(struct engine *e, const struct flow *f, struct flow_cold *c,
		      const struct packet *pkt)
{
	struct ip_addr who, whom;
	int client = (pkt->tcp_flags & (TCP_SYN | TCP_ACK)) == TCP_SYN
			 ? pkt->end
			 : roles_client_by_port(&f->key);

	flow_key_addr(&f->key, client, &who);
	flow_key_addr(&f->key, 1 - client, &whom);
	names_client(&e->local, &who, &who);
	c->name = names_lookup(e->names, &who, &whom, pkt->time_ns);
	c->name_end = (uint8_t)client;
	names_hold(e->names, c->name);
}

/* A flow that is left out; false where this packet begins another connection of the same ports. */
static bool skip_excluded(struct engine *e, uint32_t n, const struct packet *pkt)
{
	struct flow *f = &e->table.flows[n];
	struct flow_cold *c = &e->table.cold[n];

	f->last_ns = pkt->time_ns;
	if (pkt->tcp_flags & TCP_SYN && !(pkt->tcp_flags & TCP_ACK) && f->state & FLOW_TCP &&
	    pkt->seq != c->isn[pkt->end]) {
		c->isn[pkt->end] = pkt->seq;
		flow_table_set_class(&e->table, n, FLOW_AGE_TCP);
		tcp_restart(&e->tcp, f, c, pkt->time_ns);
		c->owner[0] = c->owner[1] = 0;
		if (e->names)
			names_release(e->names, c->name);
		engine_flow_begins(e, n, pkt);
		if (!(f->state & FLOW_EXCLUDED))
			return false;
	}
	if (pkt->tcp_flags & (TCP_FIN | TCP_RST))
		flow_table_set_class(&e->table, n, FLOW_AGE_CLOSED);
	/* The answer to a query from before it was left out, which would else count as unanswered.
	 */
	if (f->state & (3 * FLOW_SEEN) && !(f->state & FLOW_TCP) && pkt->payload_cap > 2 &&
	    pkt->payload[2] & 0x80)
		count_udp_payload(e, f, pkt);
	e->stats.packets_parsed -= pkt->packets;
	e->stats.packets_excluded += pkt->packets;
	return true;
}

void engine_flow_begins(struct engine *e, uint32_t n, const struct packet *pkt)
{
	struct flow *f = &e->table.flows[n];
	struct flow_cold *c = &e->table.cold[n];
	struct engine_begin b = {&f->key, pkt->time_ns, 0, pkt->tcp_flags & TCP_SYN};
	struct ip_addr a;
	int end;

	if (flow_key_proto(&f->key) == PROTO_TCP)
		f->state |= FLOW_TCP;
	c->name = NAMES_NONE;
	if (exclude_match(e->config.exclude, &f->key) ||
	    (pkt->time_ns < e->own_until_ns && engine_is_own(e, &f->key))) {
		f->state |= FLOW_EXCLUDED;
		flow_table_set_class(&e->table, n,
				     FLOW_AGE_UDP); /* known again at its next packet */
		return;
	}
	if (f->state & FLOW_TCP && local_any(&e->narrow) && engine_is_narrow(e, &f->key)) {
		tcp_narrow_begin(&e->tcp, f, c);
		e->kernel_stats.narrowed++;
	}
	if (e->names && names_stats(e->names)->names)
		name_flow(e, f, c, pkt);
	if (!e->config.new_flow)
		return;
	for (end = 0; end < 2; end++) {
		flow_key_addr(&f->key, end, &a);
		if (local_has(&e->local, &a))
			b.ends |= 1U << end;
	}
	if (b.ends)
		e->config.new_flow(e->config.owner_ctx, &b, c->owner);
}

/* The flow's ports are used again: what was counted is the connection's before, whose roles may
 * have been the other way round; this SYN is the new one's. */
static void connection_anew(struct engine *e, uint32_t n, const struct packet *pkt)
{
	struct flow *f = &e->table.flows[n];
	struct flow_cold *c = &e->table.cold[n];

	f->packets[pkt->end] -= pkt->packets;
	if (f->state & FLOW_STREAM)
		stream_close(e->streams, f, c);
	if (e->dropped_most)
		engine_repair_closed(e, f, c);
	tcp_end(&e->tcp, f, c, FLOW_END_REUSED);
	flow_report(e, n);
	if (e->names)
		names_release(e->names, c->name);
	tcp_restart(&e->tcp, f, c, pkt->time_ns);
	c->owner[0] = c->owner[1] = 0;
	engine_flow_begins(e, n, pkt);
	f->packets[pkt->end] += pkt->packets;
	engine_mark_dirty(e, n);
}

static void count_tcp(struct engine *e, uint32_t n, const struct packet *pkt)
{
	struct flow *f = &e->table.flows[n];
	struct flow_cold *c = &e->table.cold[n];
	enum flow_age_class class;
	bool hole = false;

	if (__builtin_expect(pkt->tcp_flags & TCP_SYN, 0) && tcp_is_reuse(f, c, pkt))
		connection_anew(e, n, pkt);
	if (__builtin_expect(f->state & FLOW_NARROW, 0))
		tcp_narrow_update(&e->tcp, f, c, pkt);
	else
		hole = tcp_update(&e->tcp, f, c, pkt);
	if (__builtin_expect((pkt->tcp_flags & (TCP_SYN | TCP_ACK)) == (TCP_SYN | TCP_ACK), 0))
		roles_learn(&e->roles, &f->key, pkt->end);
	if (f->state & FLOW_STREAM) {
		stream_segment(e->streams, f, c, pkt);
	} else if (pkt->payload_cap && !(f->state & FLOW_NO_HTTP)) {
		look_for_stream(e, f, c, pkt, hole);
		if (f->state & FLOW_STREAM)
			stream_segment(e->streams, f, c, pkt);
	}
	class = tcp_age_class(f);
	if (class == f->age_class)
		return;
	flow_table_set_class(&e->table, n, class);
	if (class == FLOW_AGE_CLOSED && e->connect_errors)
		engine_await_error(e, f, c);
}

static void count_packet(struct engine *e, const struct packet *pkt, uint32_t guess)
{
	struct flow *f;
	bool created;
	uint32_t n;

	n = flow_table_get(&e->table, pkt, guess, &created);
	f = &e->table.flows[n];
	if (created)
		engine_flow_begins(e, n, pkt);
	if (__builtin_expect(f->state & FLOW_EXCLUDED, 0) && skip_excluded(e, n, pkt))
		return;
	if (pkt->iface && flow_is_duplicate(f, &e->table.cold[n], &e->table.sights[n], pkt)) {
		e->stats.packets_duplicate++;
		e->stats.packets_parsed--;
		return;
	}
	f->last_ns = pkt->time_ns;
	f->packets[pkt->end] += pkt->packets;
	if (!(f->state & FLOW_DIRTY))
		engine_mark_dirty(e, n);
	if (f->state & FLOW_TCP)
		count_tcp(e, n, pkt);
	else
		count_udp(e, f, pkt);
}

static void count_batch(struct engine *e)
{
	uint32_t i, guess[BATCH];

	for (i = 0; i < e->npackets; i++) {
		guess[i] = flow_table_prefetch_record(&e->table, e->packets[i].hash);
		if (guess[i] != FLOW_NONE)
			__builtin_prefetch(&e->table.cold[guess[i]], 1);
	}
	engine_make_room(e);
	for (i = 0; i < e->npackets; i++) {
		advance(e, e->packets[i].time_ns);
		count_packet(e, &e->packets[i], guess[i]);
	}
	e->npackets = 0;
	fragments_release(e->decoder.fragments);
}

/* No room is left for more fragments, or the oldest have waited too long. */
static void give_up_fragments(struct engine *e, uint64_t time_ns)
{
	count_batch(e);
	advance(e, time_ns);
	expire_fragments(e, time_ns, false);
}

static void count_result(struct engine *e, enum decode_result r)
{
	switch (r) {
	case DECODE_PACKET:
		e->stats.packets_parsed++;
		break;
	case DECODE_HELD:
		e->stats.packets_parsed++;
		e->stats.fragments++;
		break;
	case DECODE_SKIPPED:
		e->stats.packets_skipped++;
		break;
	case DECODE_TRUNCATED:
		e->stats.packets_truncated++;
		break;
	case DECODE_MALFORMED:
		e->stats.packets_malformed++;
		break;
	default:
		e->stats.packets_unknown++;
	}
}

void engine_frames(struct engine *e, const struct frame *frames, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++) {
		struct packet *pkt = &e->packets[e->npackets];
		enum decode_result r;

		if (i + 1 < n)
			__builtin_prefetch(frames[i + 1].data);
		r = decode_frame(&e->decoder, &frames[i], pkt);
		count_result(e, r);
		e->stats.bytes_seen += frames[i].wirelen;
		if (r == DECODE_HELD && fragments_due(e->decoder.fragments, frames[i].time_ns))
			give_up_fragments(e, frames[i].time_ns);
		if (r != DECODE_PACKET)
			continue;
		flow_table_prefetch(&e->table, pkt->hash);
		if (++e->npackets == BATCH)
			count_batch(e);
	}
	e->stats.packets_seen += n;
	if (n)
		count_batch(e);
}

void engine_tick(struct engine *e, uint64_t now_ns)
{
	advance(e, now_ns);
	engine_make_room(e);
}

void engine_end_cycle(struct engine *e, uint64_t now_ns)
{
	advance(e, now_ns);
	cycle_end(e, e->now_ns);
}

void engine_finish(struct engine *e, uint64_t end_ns)
{
	expire_fragments(e, e->now_ns, true);
	if (e->config.before_end)
		e->config.before_end(e->config.owner_ctx); /* while the flows are there */
	report_dirty(e); /* in the order of first sight, which the table does not keep */
	flow_table_finish(&e->table);
	dns_pending_expire(e->dns, e->now_ns, true);
	http_pairs_expire(e->http, e->now_ns, true);
	cycle_end(e, end_ns > e->now_ns ? end_ns : e->now_ns);
}

/* --- what the collector knows of flows -------------------------------------------------------- */

uint32_t engine_find_flow(const struct engine *e, const struct flow_key *key)
{
	uint32_t at, n;

	INDEX_FIND(&e->table.index, (uint32_t)decode_key_hash(&e->decoder, key), at, n)
	if (flow_key_equal(&e->table.flows[n].key, key))
		return n;
	return FLOW_NONE;
}

bool engine_set_owner(struct engine *e, const struct flow_key *key, int end, uint32_t owner)
{
	uint32_t n = engine_find_flow(e, key);

	if (n != FLOW_NONE)
		e->table.cold[n].owner[end] = owner;
	return n != FLOW_NONE;
}

bool engine_flow_is_over(const struct engine *e, const struct flow_key *key)
{
	uint32_t n = engine_find_flow(e, key);

	return n != FLOW_NONE && e->table.flows[n].age_class == FLOW_AGE_CLOSED;
}

void engine_set_exclude(struct engine *e, const struct exclude *x)
{
	e->config.exclude = x;
}

void engine_exclude_flow(struct engine *e, const struct flow_key *key)
{
	uint32_t n = engine_find_flow(e, key);
	struct flow *f = &e->table.flows[n == FLOW_NONE ? 0 : n];
	struct flow_cold *c = &e->table.cold[n == FLOW_NONE ? 0 : n];
	uint64_t packets;

	if (n == FLOW_NONE || f->state & FLOW_EXCLUDED)
		return;
	if (f->state & FLOW_STREAM)
		stream_close(e->streams, f, c);
	if (f->state & FLOW_TCP)
		tcp_end(&e->tcp, f, c, FLOW_END_EVICTED);
	c->notes = 0;
	packets = (uint64_t)f->packets[0] + f->packets[1];
	e->stats.packets_parsed -= packets;
	e->stats.packets_excluded += packets;
	flow_clear_counts(f, c);
	f->state = (f->state & ~(uint32_t)FLOW_DIRTY) | FLOW_EXCLUDED;
}

const struct engine_stats *engine_stats(const struct engine *e)
{
	struct engine_stats *s = &((struct engine *)(uintptr_t)e)->stats;
	const struct dns_pending_stats *d = dns_pending_stats(e->dns);
	const struct http_pairs_stats *h = http_pairs_stats(e->http);
	const struct streams_stats *t = streams_stats(e->streams);

	s->flows_created = e->table.created;
	s->flows_evicted = e->table.evicted;
	s->flows_active = e->table.used;
	s->tcp_holes_forgotten = e->tcp.forgotten;
	s->dns_messages = d->messages;
	s->dns_malformed = d->malformed;
	s->dns_unanswered = d->unanswered;
	s->dns_orphans = d->orphans;
	s->dns_pending = d->pending;
	s->dns_evicted = d->evicted;
	s->dns_not_query = d->not_query;
	s->http_requests = h->requests;
	s->http_responses = h->responses;
	s->http_orphans = h->orphans;
	s->http_evicted = h->evicted;
	s->http_pending = h->pending;
	s->http_lost = t->lost;
	s->streams_active = t->active;
	s->streams_evicted = t->evicted;
	if (e->names) {
		s->names = names_stats(e->names)->names;
		s->names_evicted = names_stats(e->names)->evicted;
	}
	return s;
}
