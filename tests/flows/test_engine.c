/* test_engine.c - flows/engine.c as a whole, as properties: the same random traffic gives the same
 * sums for any cycle, any batch and any table size; time that jumps; every frame accounted for.
 */
#include "flows/engine.h"

#include "tests/flows/script.h"
#include "tests/test.h"

/* The key of the script's connection. */
static void script_key(struct flow_key *k, const struct script *s)
{
	struct ip_addr a;
	int end;

	for (end = 0; end < 2; end++) { /* the lower address, the client here, is end 0 */
		uint8_t v4[4];

		put_be32(v4, s->addr[end]);
		addr_from_v4(&a, v4);
		memcpy(&k->w[2 * end], a.b, sizeof(a.b));
	}
	k->w[4] = s->port[0] | (uint64_t)s->port[1] << 16 | (uint64_t)s->proto << 32;
}

/* --- random traffic: TCP, DNS and HTTP of a few hosts
 * ------------------------------------------------- */

static const char *const lives[] = {
    "c S 0 0; +7 s SA 0 1; +7 c A 1 1; c PA . . 'GET /a HTTP/1.1||'; +900 s PA . ."
    " 'HTTP/1.1 200 OK|Content-Length: 3||abc'; c FA . .; s FA . .; c A . .",
    "c S 0 0; +3 s SA 0 1; c A 1 1; c PA . . 1000; +300 c PA 1 1 1000; +300 s A . .; s PA . . "
    "9000; c A . .; s RA . .",
    "c S 0 0; +1000 c S 0 0; +2000 c S 0 0",
    "c S 0 0; s RA 0 1",
    "c PA 500 900 100; +700 s PA 900 600 50; +700 c A 600 950",
    "c S 0 0; s SA 0 1; c PA 1 1 'HEAD /b HTTP/1.1||GET /c HTTP/1.1||'; +1500 s PA . ."
    " 'HTTP/1.1 200 OK|Content-Length: 9||'; +4000 s PA . . 'HTTP/1.1 404 No|Content-Length: 0||'",
};

static void one_life(struct script *s, uint32_t *seed)
{
	uint32_t x = build_random(seed);

	s->addr[0] = IP4(10, 0, 0, 1 + (x & 7));
	s->addr[1] = IP4(10, 0, 1, 1 + (x >> 3 & 7));
	s->port[0] = (uint16_t)(40000 + (x >> 6 & 0xff));
	s->isn[0] = build_random(seed);
	s->isn[1] = build_random(seed);
	s->ipv6 = x >> 14 & 1;
	s->proto = x >> 15 & 1 ? PROTO_TCP : PROTO_UDP;
	s->port[1] = s->proto == PROTO_TCP ? 8080 : 53;
	if (s->proto == PROTO_TCP) {
		script_play(s, lives[(x >> 16) % (sizeof(lives) / sizeof(lives[0]))]);
	} else {
		script_dns(s, 0, (uint16_t)(x >> 16), "a.test", 1, false, 0);
		s->time_ns += (x >> 20) * 2000000ULL;
		if (x >> 17 & 3)
			script_dns(s, 1, (uint16_t)(x >> 16), "a.test", 1, true, x >> 19 & 3);
	}
	s->time_ns += (build_random(seed) & 0xff) * 1000000ULL;
}

struct outcome {
	struct record r;
	struct engine_stats stats;
};

static void run(struct engine_config *c, struct outcome *o, uint32_t seed, uint32_t n)
{
	static struct script s;
	struct engine_config own;
	uint32_t i;

	script_config(&own, &o->r);
	c->sink = own.sink;
	o->r.sums_only = true;
	script_init(&s, script_engine(c), PROTO_TCP, 80);
	for (i = 0; i < n; i++)
		one_life(&s, &seed);
	engine_finish(s.e, 0);
	o->stats = *engine_stats(s.e);
	engine_free(s.e);
	CHECK_MSG(!o->r.broken, "%s", o->r.broken);
}

static void check_same(const struct outcome *a, const struct outcome *b)
{
	CHECK(!memcmp(&a->r.net, &b->r.net, sizeof(a->r.net)));
	CHECK_INT(a->r.dns_count, b->r.dns_count);
	CHECK_INT(a->r.dns_retries, b->r.dns_retries);
	CHECK_INT(a->r.http_count, b->r.http_count);
}

/* Sums over cycles are the totals, whatever a cycle is. */
static void test_any_interval(void)
{
	static const uint64_t intervals[] = {3600000000000ULL, 60000000000ULL, 7000000000ULL,
					     1000000000ULL, 1000000ULL};
	static struct outcome first, o;
	struct engine_config c;
	uint32_t seed;
	size_t i;

	for (seed = 1; seed < 6; seed++)
		for (i = 0; i < sizeof(intervals) / sizeof(intervals[0]); i++) {
			script_config(&c, &o.r);
			c.interval_ns = intervals[i];
			run(&c, i ? &o : &first, seed, 800);
			if (!i) {
				CHECK(first.r.net.tcp_established > 50 && first.r.dns_count > 50 &&
				      first.r.http_count > 50);
				continue;
			}
			check_same(&first, &o);
			CHECK(o.stats.cycles >= first.stats.cycles);
		}
}

/* A small table evicts; bytes and packets stay exact as far as each was in sight. */
static void test_small_tables(void)
{
	static struct outcome large, small;
	struct engine_config c;

	script_config(&c, &large.r);
	run(&c, &large, 77, 2000);
	CHECK_INT(large.stats.flows_evicted, 0);
	script_config(&c, &small.r);
	c.max_flows = 8;
	c.max_dns_pending = c.max_http_pending = 4;
	c.max_streams = 8;
	run(&c, &small, 77, 2000);
	CHECK(small.stats.flows_evicted > 100);
	CHECK_INT(small.r.net.packets_read + small.r.net.packets_written,
		  large.r.net.packets_read + large.r.net.packets_written);
	/* lives are played one after another, so none is evicted in the middle */
	CHECK_INT(small.r.net.bytes_read + small.r.net.bytes_written,
		  large.r.net.bytes_read + large.r.net.bytes_written);
	CHECK_INT(small.r.dns_count + small.r.dns_retries, large.r.dns_count + large.r.dns_retries);
	CHECK_INT(small.r.http_count, large.r.http_count);
	CHECK_INT(small.r.net.tcp_established, large.r.net.tcp_established);
}

/* --- time
 * --------------------------------------------------------------------------------------------- */

static void test_time(void)
{
	static struct script s;
	struct engine_config c;
	struct record r;
	int back;

	for (back = 0; back < 2; back++) {
		script_config(&c, &r);
		c.step_back = back;
		script_init(&s, script_engine(&c), PROTO_TCP, 7777);
		script_play(&s, "c PA 1 1 100; s A 1 101");
		s.time_ns += 20ULL * 365 * 86400 * 1000000000;
		script_play(&s, "c PA 101 1 100; s A 1 201");
		s.time_ns = SCRIPT_TIME;
		script_play(&s, "c PA 201 1 100; s A 1 301");
		s.time_ns = 5; /* 1970 */
		script_play(&s, "c PA 301 1 100");
		s.time_ns = SCRIPT_TIME + 120000000000ULL;
		script_play(&s, "c PA 401 1 100");
		engine_finish(s.e, 0);
		CHECK_INT(r.net.bytes_written, 500);
		CHECK_INT(r.net.packets_written + r.net.packets_read, 8);
		CHECK(engine_stats(s.e)->time_steps >= 2);
		CHECK_MSG(!r.broken, "%s", r.broken);
		engine_free(s.e);
		record_free(&r);
	}
}

/* Silence ends flows: a half closed connection ends then, an attempt fails, and each is written
 * once. */
static void test_idle(void)
{
	static struct script s;
	struct engine_config c;
	struct record r;

	script_config(&c, &r);
	script_init(&s, script_engine(&c), PROTO_TCP, 7777);
	script_play(&s, "c S 0 0; s SA 0 1; c A 1 1; c FA . .; s A 1 2");
	s.port[0]++;
	script_play(&s, "c S 0 0");
	CHECK_INT(engine_stats(s.e)->flows_active, 2);
	engine_tick(s.e, SCRIPT_TIME + 78 * 1000000000ULL);
	CHECK_INT(engine_stats(s.e)->flows_active, 1);
	engine_tick(s.e, SCRIPT_TIME + 3603 * 1000000000ULL);
	CHECK_INT(engine_stats(s.e)->flows_active, 0);
	engine_finish(s.e, 0);
	CHECK_INT(r.net.tcp_established, 1);
	CHECK_INT(r.net.tcp_closed, 1);
	CHECK_INT(r.net.tcp_connect_failed, 1);
	engine_free(s.e);
	record_free(&r);
}

/* --- everything is accounted for
 * ------------------------------------------------------------------------ */

static void test_accounting(void)
{
	static struct build b;
	struct engine_config c;
	struct engine_stats st;
	struct engine *e;
	struct record r;
	uint32_t seed = 8, i, k;

	script_config(&c, &r);
	e = script_engine(&c);
	for (i = 0; i < 5000; i++) {
		struct frame f;

		build_payload(&b, NULL, build_random(&seed) % 100);
		build_udp(&b, 1000, 53);
		build_ipv4_fragment(&b, IP4(10, 0, 0, 1), IP4(10, 0, 0, 2), 17, (uint16_t)(i % 10),
				    0);
		build_ethernet(&b, 0x0800);
		for (k = 0; k < 3; k++)
			*build_at(&b, build_random(&seed) % build_len(&b)) =
			    (uint8_t)build_random(&seed);
		f = build_frame(&b, LINK_ETHERNET, SCRIPT_TIME + i * 1000000ULL);
		f.caplen -= build_random(&seed) % 8 ? 0 : build_random(&seed) % f.caplen;
		f.iface = (uint16_t)(build_random(&seed) % 3);
		engine_frames(e, &f, 1);
	}
	engine_finish(e, 0);
	st = *engine_stats(e);
	CHECK_INT(st.packets_seen, st.packets_parsed + st.packets_skipped + st.packets_truncated +
				       st.packets_malformed + st.packets_unknown +
				       st.packets_duplicate + st.packets_excluded);
	CHECK_INT(r.net.packets_read + r.net.packets_written + st.fragments_orphaned,
		  st.packets_parsed);
	CHECK(!r.broken);
	engine_free(e);
	record_free(&r);
}

/* Left out by a rule: no point of any kind, every frame counted; what no rule fits is as ever. */
static void test_exclude_rules(void)
{
	static const uint16_t ports[] = {53, 8080};
	static const struct exclude_rule rule = {NULL, 0, ports, 2};
	static const struct exclude all = {&rule, 1};
	struct engine_config c;
	static struct script s;
	struct record r;
	int way;

	for (way = 0; way < 2; way++) {
		const struct engine_stats *st;

		script_config(&c, &r);
		c.exclude = way ? NULL : &all;
		script_init(&s, script_engine(&c), PROTO_TCP, 8080);
		if (way)
			engine_set_exclude(s.e, &all);
		script_play(&s, lives[0]);
		s.port[1] = 7777;
		script_play(&s, "c S 0 0; s SA 0 1; c A 1 1; c PA 1 1 100");
		s.proto = PROTO_UDP;
		s.port[1] = 53;
		script_dns(&s, 0, 1, "a.test", 1, false, 0);
		script_dns(&s, 1, 1, "a.test", 1, true, 0);
		engine_finish(s.e, 0);
		st = engine_stats(s.e);
		CHECK_INT(r.net.packets_written + r.net.packets_read, 4);
		CHECK_INT(r.net.bytes_written, 100);
		CHECK_INT(r.dns_count, 0);
		CHECK_INT(r.http_count, 0);
		CHECK_INT(st->packets_parsed, 4);
		CHECK_INT(st->packets_excluded, st->packets_seen - 4);
		CHECK_INT(st->flows_created, 3);
		engine_free(s.e);
		record_free(&r);
	}
}

/* Other rules count for flows that begin later. */
static void test_exclude_replaced(void)
{
	static const uint16_t ports[] = {7777};
	static const struct exclude_rule rule = {NULL, 0, ports, 1};
	static const struct exclude all = {&rule, 1};
	struct engine_config c;
	static struct script s;
	struct record r;

	script_config(&c, &r);
	script_init(&s, script_engine(&c), PROTO_TCP, 7777);
	script_play(&s, "c S 0 0; s SA 0 1; c A 1 1");
	engine_set_exclude(s.e, &all);
	script_play(&s, "c PA 1 1 100"); /* begun before: still counted */
	s.port[0]++;
	script_play(&s, "c S 0 0; s SA 0 1; c A 1 1; c PA 1 1 100; c FA . .; s FA . .; c A . .");
	CHECK_INT(engine_stats(s.e)->packets_excluded, 7);
	engine_set_exclude(s.e, NULL);
	s.isn[0] += 100000; /* the same ports, another connection */
	script_play(&s, "+100 c S 0 0; c S 0 0; s SA 0 1; c A 1 1; c PA 1 1 10");
	engine_finish(s.e, 0);
	CHECK_INT(engine_stats(s.e)->packets_excluded, 7);
	CHECK_INT(r.net.bytes_written, 110);
	CHECK_INT(r.net.tcp_established, 2);
	engine_free(s.e);
	record_free(&r);
}

/* Left out after the fact: what was not told yet is taken back. */
static void test_exclude_flow(void)
{
	struct engine_config c;
	static struct script s;
	struct record r;
	struct flow_key k;

	script_config(&c, &r);
	c.interval_ns = 1000000000;
	script_init(&s, script_engine(&c), PROTO_TCP, 7777);
	memset(&k, 0, sizeof(k));
	engine_exclude_flow(s.e, &k); /* no such flow */
	script_play(&s, "c S 0 0; s SA 0 1; c A 1 1; c PA 1 1 100");
	s.port[0] = 40001;
	script_play(&s, "c S 0 0; s SA 0 1; c A 1 1; +2000 c PA 1 1 200; c PA 401 1 100");
	script_key(&k, &s);
	engine_exclude_flow(s.e, &k);
	engine_exclude_flow(s.e, &k);
	script_play(&s, "c PA 501 1 100; c PA 601 1 'GET / HTTP/1.1||'; c FA . .; s FA . .");
	CHECK_INT(engine_stats(s.e)->packets_excluded, 6);
	s.isn[0] += 5000000;
	script_play(&s, "+30000 c S 0 0; s SA 0 1; c A 1 1; c PA 1 1 7; c FA . .; s FA . .");
	engine_finish(s.e, 0);
	CHECK_INT(r.net.bytes_written, 107);
	CHECK_INT(r.http_count, 0);
	CHECK_INT(r.net.tcp_established, 3);
	CHECK_INT(r.net.packets_written + r.net.packets_read, 4 + 3 + 6);
	CHECK_INT(engine_stats(s.e)->packets_parsed, 4 + 3 + 6);
	CHECK_INT(engine_stats(s.e)->packets_excluded, 6);
	engine_free(s.e);
	record_free(&r);
}

/* A query from before its flow was left out has its answer; queries after it are not read. */
static void test_exclude_flow_dns(void)
{
	struct engine_config c;
	static struct script s;
	struct record r;
	struct flow_key k;

	script_config(&c, &r);
	script_init(&s, script_engine(&c), PROTO_UDP, 53);
	script_dns(&s, 0, 1, "a.test", 1, false, 0);
	script_key(&k, &s);
	engine_exclude_flow(s.e, &k);
	s.time_ns += 1000000;
	script_dns(&s, 1, 1, "a.test", 1, true, 0);
	script_dns(&s, 0, 2, "b.test", 1, false, 0);
	engine_finish(s.e, 0);
	CHECK_INT(r.dns_count, 1);
	CHECK_INT(r.latency_points, 1);
	CHECK_INT(engine_stats(s.e)->dns_unanswered, 0);
	CHECK_INT(r.net.packets_written + r.net.packets_read, 0);
	CHECK_INT(engine_stats(s.e)->packets_excluded, 3);
	CHECK_INT(engine_stats(s.e)->packets_parsed, 0);
	engine_free(s.e);
	record_free(&r);
}

/* Fragments of what is left out are left out, those that never become whole too. */
static void test_exclude_fragments(void)
{
	static const uint16_t ports[] = {9999};
	static const struct exclude_rule rule = {NULL, 0, ports, 1};
	static const struct exclude all = {&rule, 1};
	static struct build b;
	struct engine_config c;
	struct engine *e;
	struct record r;
	uint16_t i;

	script_config(&c, &r);
	c.exclude = &all;
	e = script_engine(&c);
	for (i = 0; i < 3; i++) { /* datagram 1: both parts; datagram 0: the first alone */
		struct frame f;

		build_payload(&b, NULL, 800);
		if (i != 2)
			build_udp(&b, 1000, 9999);
		build_ipv4_fragment(&b, IP4(10, 0, 0, 1), IP4(10, 0, 0, 2), 17, i > 0,
				    i == 2 ? 101 : 0x2000);
		f = build_frame(&b, LINK_RAW, SCRIPT_TIME + i);
		engine_frames(e, &f, 1);
	}
	engine_finish(e, 0);
	CHECK_INT(engine_stats(e)->packets_excluded, 3);
	CHECK_INT(engine_stats(e)->packets_parsed, 0);
	CHECK_INT(r.n, 0);
	engine_free(e);
	record_free(&r);
}

/* n bytes of a stream, from seq on, as the interface shows them; id is the IP header's. */
static void send_on(struct engine *e, uint16_t iface, uint32_t seq, uint32_t n, uint16_t id)
{
	static struct build b;
	struct build_segment t = {.sport = 40000, .dport = 80, .seq = seq, .flags = TCP_ACK};
	struct frame f;

	build_payload(&b, NULL, n);
	build_tcp(&b, &t);
	build_ipv4_fragment(&b, IP4(10, 0, 0, 1), IP4(10, 0, 0, 2), 6, id, 0x4000);
	f = build_frame(&b, LINK_RAW, SCRIPT_TIME + id);
	f.iface = iface;
	engine_frames(e, &f, 1);
}

/* What was counted, and the end of it. */
static void check_sights(struct engine *e, struct record *r, uint64_t packets, uint64_t bytes,
			 uint64_t retransmits, uint64_t duplicates)
{
	engine_finish(e, 0);
	CHECK_INT(r->net.packets_written, packets);
	CHECK_INT(r->net.bytes_written, bytes);
	CHECK_INT(r->net.retransmits, retransmits);
	CHECK_INT(engine_stats(e)->packets_duplicate, duplicates);
	engine_free(e);
	record_free(r);
}

/* The same packet on a second interface is counted once. */
static void test_two_interfaces(void)
{
	struct engine_config c;
	struct engine *e;
	struct record r;
	uint32_t i;

	script_config(&c, &r);
	e = script_engine(&c);
	for (i = 0; i < 10; i++) {
		send_on(e, 2, 1 + i * 100, 100, (uint16_t)i);
		send_on(e, 3, 1 + i * 100, 100, (uint16_t)i);
	}
	check_sights(e, &r, 10, 1000, 0, 10);
}

/* A router's two interfaces: many packets on one before the first on the other, and there
 * offloading has cut them differently. What is really sent again, on the first, still counts. */
static void test_batch_on_two_interfaces(void)
{
	struct engine_config c;
	struct engine *e;
	struct record r;
	uint32_t i;

	script_config(&c, &r);
	e = script_engine(&c);
	for (i = 0; i < 100; i++)
		send_on(e, 2, 1 + i * 1000, 1000, (uint16_t)i);
	for (i = 0; i < 200; i++)
		send_on(e, 3, 1 + i * 500, 500, (uint16_t)(1000 + i));
	send_on(e, 2, 1 + 99 * 1000, 1000, 2000);
	check_sights(e, &r, 101, 100000, 1, 200);
}

/* All frames in one call, or each in its own: the same points. */
static void test_batches(void)
{
	enum { N = 500 };
	static struct frame frames[N];
	static struct words words[2];
	struct engine_config c;
	struct record r;
	uint32_t seed, i, way;

	for (way = 0; way < 2; way++) {
		static struct build b;
		struct engine *e;

		script_config(&c, &r);
		c.interval_ns = 1000000000;
		e = script_engine(&c);
		for (seed = 5, i = 0; i < N; i++) {
			uint8_t *copy;

			build_payload(&b, NULL, build_random(&seed) % 100);
			build_udp(&b, 5000, (uint16_t)(6000 + i / 100));
			build_ipv4(&b, IP4(10, 0, 0, 1), IP4(10, 0, 0, 2), 17);
			frames[i] = build_frame(&b, LINK_RAW, SCRIPT_TIME + i * 20000000ULL);
			copy = malloc(frames[i].caplen);
			if (!copy)
				abort();
			memcpy(copy, frames[i].data, frames[i].caplen);
			frames[i].data = copy;
			if (way)
				engine_frames(e, &frames[i], 1);
		}
		if (!way)
			engine_frames(e, frames, N);
		engine_finish(e, 0);
		record_words(&r, true, &words[way]);
		engine_free(e);
		record_free(&r);
		for (i = 0; i < N; i++)
			free((void *)(uintptr_t)frames[i].data);
	}
	CHECK(words[0].len > 100);
	CHECK_STR(words[0].text, words[1].text);
}

static void test_refused_configurations(void)
{
	struct engine_config c;
	struct record r;

	script_config(&c, &r);
	c.interval_ns = 0;
	CHECK(!engine_new(&c));
	script_config(&c, &r);
	c.http_max_path = 1025;
	CHECK(!engine_new(&c));
	script_config(&c, &r);
	c.sink.put = NULL;
	CHECK(!engine_new(&c));
}

struct owned {
	uint64_t begin_ns[8];
	unsigned int n, established[8];
};

/* The third connection's process is not known yet. */
static void give_owner(void *ctx, const struct engine_begin *b, uint32_t owner[2])
{
	struct owned *o = ctx;

	CHECK(b->syn && b->ends == 3);
	CHECK_INT(owner[0] + owner[1], 0);
	o->begin_ns[o->n] = b->time_ns;
	if (++o->n != 3)
		owner[flow_key_port(b->key, 0) == 8080] = o->n;
}

static void name_owner(void *ctx, uint32_t owner, struct point *out)
{
	(void)ctx;
	out->pid = owner;
}

static void count_owned(void *ctx, const struct point *p)
{
	struct owned *o = ctx;

	CHECK(p->pid < 8);
	o->established[p->pid] += p->u.netflow.tcp_established;
}

static void no_end(void *ctx, uint64_t cycle_end_ns)
{
	(void)ctx;
	(void)cycle_end_ns;
}

/* Connections of the same ports, one after the other, each of another process: known when it
 * begins. */
static void test_owners_at_once(void)
{
	static struct script s;
	static const struct ip_net all = {.bits = 0};
	struct owned o;
	struct engine_config c;
	unsigned int i;

	memset(&o, 0, sizeof(o));
	engine_config_default(&c);
	c.max_flows = 64;
	c.new_flow = give_owner;
	c.owner = name_owner;
	c.owner_ctx = c.sink.ctx = &o;
	c.sink.put = count_owned;
	c.sink.end = no_end;
	script_init(&s, script_engine(&c), PROTO_TCP, 8080);
	CHECK(!engine_has_local(s.e, &all.addr));
	CHECK_INT(engine_set_local(s.e, &all, 1), 0);
	CHECK(engine_has_local(s.e, &all.addr));
	for (i = 0; i < 5; i++) {
		script_play(&s, "c S 0; +1 s SA 0 1; c A 1 1; c FA . .; s FA . .; c A . .");
		s.isn[0] += 100000;
		s.isn[1] += 100000;
		s.time_ns += 1000;
	}
	engine_finish(s.e, 0);
	CHECK_INT(o.n, 5);
	for (i = 0; i < 6; i++)
		CHECK_INT(o.established[i], i == 3 ? 0 : 1);
	for (i = 1; i < 5; i++)
		CHECK(o.begin_ns[i] > o.begin_ns[i - 1]);
	engine_free(s.e);
}

/* Over at both sides: its socket is nobody's. */
static void test_over(void)
{
	static struct script s;
	struct engine_config c;
	struct record r;
	struct flow_key k;

	script_config(&c, &r);
	script_init(&s, script_engine(&c), PROTO_TCP, 7777);
	script_key(&k, &s);
	CHECK(!engine_flow_is_over(s.e, &k)); /* no such flow */
	script_play(&s, "c S 0 0; s SA 0 1; c A 1 1; c PA 1 1 100; c FA . .");
	CHECK(!engine_flow_is_over(s.e, &k)); /* the server may go on */
	script_play(&s, "s FA . .; c A . .");
	CHECK(engine_flow_is_over(s.e, &k));
	s.isn[0] += 100000; /* the same ports, another connection */
	s.isn[1] += 100000;
	script_play(&s, "+2000 c S 0 0; s SA 0 1; c A 1 1");
	CHECK(!engine_flow_is_over(s.e, &k));
	script_play(&s, "c R . .");
	CHECK(engine_flow_is_over(s.e, &k));
	engine_free(s.e);
	record_free(&r);
	script_config(&c, &r);
	script_init(&s, script_engine(&c), PROTO_UDP, 53);
	script_key(&k, &s);
	script_dns(&s, 0, 1, "a.test", 1, false, 0);
	CHECK(!engine_flow_is_over(s.e, &k));
	engine_free(s.e);
	record_free(&r);
}

TEST_MAIN({"any interval gives the same sums", test_any_interval},
	  {"small tables", test_small_tables}, {"time jumps", test_time}, {"silence", test_idle},
	  {"every frame is accounted for", test_accounting},
	  {"a packet on two interfaces", test_two_interfaces},
	  {"batches on two interfaces", test_batch_on_two_interfaces}, {"batches", test_batches},
	  {"rules of what is left out", test_exclude_rules}, {"other rules", test_exclude_replaced},
	  {"a flow left out late", test_exclude_flow}, {"owners at once", test_owners_at_once},
	  {"over", test_over}, {"a DNS flow left out late", test_exclude_flow_dns},
	  {"fragments left out", test_exclude_fragments},
	  {"configurations that are refused", test_refused_configurations})
