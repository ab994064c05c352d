/* test_tcp_narrow.c - flows/tcp_narrow.c: connections of which only some segments are seen count
 * the same as with all of them.
 */
#include "flows/kernel.h"

#include "tests/flows/kernel_world.h"

/* --- one connection
 * -------------------------------------------------------------------------------- */

static void normal_close(struct world *w)
{
	open_again(w);
	text(w, CLIENT, "GET /a HTTP/1.1\r\n\r\n");
	text(w, SERVER, "HTTP/1.1 200 OK\r\nContent-Length: 28000\r\n\r\n");
	bulk(w, SERVER, 20);
	bulk(w, CLIENT, 3);
	seg(w, CLIENT, TCP_FIN | TCP_ACK, 0, NULL);
	seg(w, SERVER, TCP_FIN | TCP_ACK, 0, NULL);
	ack(w, CLIENT);
}

/* Events of closed sockets that were lost: FINs tell all. */
static void lost_close(struct world *w)
{
	normal_close(w);
}

static void close_told(struct world *w)
{
	normal_close(w);
	sample(w, KERNEL_CLOSED);
	sample(w, KERNEL_CLOSED | KERNEL_FIN_MAYBE); /* the same again */
}

static void fin_with_data(struct world *w)
{
	open_again(w);
	sample(w, 0);
	bulk(w, SERVER, 5);
	seg(w, SERVER, TCP_FIN | TCP_ACK, 900, binary);
	bulk(w, CLIENT, 5); /* half closed: the client goes on */
	sample(w, KERNEL_FIN_MAYBE);
	seg(w, CLIENT, TCP_FIN | TCP_ACK, 0, NULL);
	sample(w, KERNEL_FIN_MAYBE | KERNEL_CLOSED);
}

static void sample_before_fin(struct world *w)
{
	struct kernel_sample late[2];
	int who;

	open_again(w);
	bulk(w, CLIENT, 4);
	for (who = 0; who < 2; who++)
		late[who] = told(w, who, 0);
	bulk(w, CLIENT, 4);
	seg(w, CLIENT, TCP_FIN | TCP_ACK, 0, NULL);
	seg(w, SERVER, TCP_FIN | TCP_ACK, 0, NULL);
	for (who = 0; who < 2; who++)
		if (w->local >> who & 1)
			give(w, &late[who]);
}

static void reset_told_before(struct world *w)
{
	open_again(w);
	bulk(w, SERVER, 4);
	sample(w, 0);
	bulk(w, SERVER, 4);
	seg(w, CLIENT, TCP_RST, 0, NULL);
	sample(w, KERNEL_CLOSED);
}

/* The RST's frame comes before the figures that say that there was a connection. */
static void reset_told_after(struct world *w)
{
	open_again(w);
	bulk(w, CLIENT, 4);
	seg(w, SERVER, TCP_RST | TCP_ACK, 0, NULL);
	wait_ns(w, 250 * MS);
	sample(w, KERNEL_CLOSED);
	seg(w, SERVER, TCP_RST | TCP_ACK, 0, NULL);
}

/* The same, and the socket does not know any more what it was. */
static void reset_told_little(struct world *w)
{
	open_again(w);
	seg(w, SERVER, TCP_RST | TCP_ACK, 0, NULL);
	w->established = false;
	sample(w, KERNEL_CLOSED);
}

static void reset_behind_head(struct world *w)
{
	open_again(w);
	text(w, CLIENT, "GET /a HTTP/1.1\r\n\r\n");
	seg(w, SERVER, TCP_RST | TCP_ACK, 0, NULL);
	seg(w, CLIENT, TCP_RST, 0, NULL);
}

static void half_open_scan(struct world *w)
{
	seg(w, CLIENT, TCP_SYN, 0, NULL);
	seg(w, SERVER, TCP_SYN | TCP_ACK, 0, NULL);
	seg(w, CLIENT, TCP_RST, 0, NULL);
}

static void refused(struct world *w)
{
	int i;

	for (i = 0; i < 3; i++) {
		w->next[0] = w->next[1] = 0;
		seg(w, CLIENT, TCP_SYN, 0, NULL);
		seg(w, SERVER, TCP_RST | TCP_ACK, 0, NULL);
	}
}

static void black_hole(struct world *w)
{
	int i;

	for (i = 0; i < 4; i++) {
		w->next[0] = 0;
		seg(w, CLIENT, TCP_SYN, 0, NULL);
		w->k[CLIENT].retransmits = (uint32_t)i;
		sample(w, 0);
		wait_ns(w, (S << i));
	}
	wait_ns(w, 200 * S);
	engine_tick(w->full.e, w->full.time_ns);
	engine_tick(w->narrow.e, w->full.time_ns);
	CHECK_INT(engine_stats(w->narrow.e)->flows_active, 0);
}

/* Open for hours and silent: samples keep it. */
static void long_idle(struct world *w)
{
	int i;

	open_again(w);
	bulk(w, CLIENT, 2);
	for (i = 0; i < 300; i++) {
		wait_ns(w, 60 * S);
		engine_tick(w->narrow.e, w->narrow.time_ns);
		sample(w, 0);
		if (i % 40 == 39)
			bulk(w, SERVER, 1);
		engine_tick(w->full.e, w->full.time_ns);
	}
	CHECK_INT(engine_stats(w->narrow.e)->flows_created, 1);
	seg(w, CLIENT, TCP_FIN | TCP_ACK, 0, NULL);
	seg(w, SERVER, TCP_FIN | TCP_ACK, 0, NULL);
}

static void reused_with_stale_samples(struct world *w)
{
	struct kernel_sample old[2], older[2];
	int who, i;

	for (i = 0; i < 3; i++) {
		open_again(w);
		bulk(w, CLIENT, (uint32_t)(7 - i));
		for (who = 0; who < 2; who++) {
			older[who] = i ? old[who] : told(w, who, 0);
			old[who] = told(w, who, KERNEL_CLOSED);
		}
		if (i != 1) {
			seg(w, CLIENT, TCP_FIN | TCP_ACK, 0, NULL);
			seg(w, SERVER, TCP_FIN | TCP_ACK, 0, NULL);
		} else {
			sample(w, 0);
		}
		new_isns(w, 70000);
		memset(w->k, 0, sizeof(w->k));
		w->next[0] = w->next[1] = 0;
		wait_ns(w, MS);
		if (i == 2)
			break;
		seg(w, CLIENT, TCP_SYN, 0, NULL); /* one attempt more, then the next connection */
		for (who = 0; who < 2; who++) {
			give(w, &old[who]);
			give(w, &older[who]);
		}
		new_isns(w, 5000);
	}
	CHECK_INT(engine_kernel_stats(w->narrow.e)->stale, 8);
}

static void keep_alive(struct world *w)
{
	int i;

	open_again(w);
	for (i = 0; i < 20; i++) {
		text(w, CLIENT, "GET /page HTTP/1.1\r\nHost: a\r\n\r\n");
		ack(w, SERVER);
		text(w, SERVER, "HTTP/1.1 200 OK\r\nContent-Length: 8400\r\n\r\n");
		bulk(w, SERVER, 6);
		if (i % 7 == 3)
			sample(w, 0);
	}
	seg(w, SERVER, TCP_FIN | TCP_ACK, 0, NULL);
	seg(w, CLIENT, TCP_FIN | TCP_ACK, 0, NULL);
	CHECK_INT(w->dropped, 1 + 20 * 13);
}

static void test_connections(void)
{
	static const struct {
		const char *name;
		void (*run)(struct world *w);
	} cases[] = {
	    {"close, told", close_told},
	    {"close, not told", lost_close},
	    {"FIN with data, half closed", fin_with_data},
	    {"figures from before the FIN come after it", sample_before_fin},
	    {"reset, told before", reset_told_before},
	    {"reset, told after", reset_told_after},
	    {"reset, told little", reset_told_little},
	    {"reset behind a head", reset_behind_head},
	    {"half open scan", half_open_scan},
	    {"refused", refused},
	    {"black hole", black_hole},
	    {"idle for hours", long_idle},
	    {"ports used again, old figures", reused_with_stale_samples},
	    {"HTTP keep-alive", keep_alive},
	};
	static struct world w;
	int local, variant;
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		for (local = 1; local < 4; local++)
			for (variant = 0; variant < 4; variant++) {
				world_init(&w, cases[i].name, local, variant);
				cases[i].run(&w);
				world_end(&w);
			}
}

/* --- open before the start
 * ------------------------------------------------------------------------- */

/* Nothing was sent between the start and the first figures. */
static void old_connection(int local, int variant, bool frame_first, int end)
{
	static struct world w;

	world_init(&w, "open before the start", local, variant);
	w.k[CLIENT].sent = w.k[SERVER].received = 5ULL * GIB + 77;
	w.k[SERVER].sent = w.k[CLIENT].received = 12345;
	w.k[CLIENT].out = w.k[SERVER].in = 4000000;
	w.next[CLIENT] = GIB + 78;
	w.next[SERVER] = 12346;
	w.established = true;
	if (frame_first)
		text(&w, CLIENT, "GET /early HTTP/1.1\r\n\r\n");
	sample(&w, KERNEL_OLD);
	bulk(&w, CLIENT, 3);
	text(&w, CLIENT, "POST /late HTTP/1.1\r\nContent-Length: 14000\r\n\r\n");
	bulk(&w, CLIENT, 10);
	bulk(&w, SERVER, 5);
	sample(&w, 0);
	bulk(&w, SERVER, 5);
	if (end == 0) {
		seg(&w, SERVER, TCP_FIN | TCP_ACK, 0, NULL);
		seg(&w, CLIENT, TCP_FIN | TCP_ACK, 0, NULL);
	} else if (end == 1) {
		seg(&w, SERVER, TCP_RST | TCP_ACK, 0, NULL);
	}
	sample(&w, end < 2 ? KERNEL_CLOSED : 0);
	CHECK_INT(w.some.net.tcp_established, 0);
	world_end(&w);
}

static void test_old(void)
{
	int i;

	for (i = 0; i < 3 * 4 * 2 * 3; i++)
		old_connection(1 + i % 3, i / 3 % 4, i / 12 % 2, i / 24);
}

/* --- more than 32 bits
 * ----------------------------------------------------------------------------- */

static void test_large(void)
{
	static struct world w;
	int i, k;

	for (i = 0; i < 24; i++) {
		world_init(&w, "large", 1 + i % 3, i / 3 & 3);
		open_again(&w);
		for (k = 0; k < 8; k++) {
			goes_by(&w, CLIENT, 11ULL * GIB + 5);
			goes_by(&w, SERVER, 1000);
			if (k == 7 && i >= 12) /* the FIN comes before the last figures */
				seg(&w, CLIENT, TCP_FIN | TCP_ACK, 0, NULL);
			sample(&w, k == 7 ? KERNEL_FIN_MAYBE : 0);
			if (k < 7)
				text(&w, CLIENT, "text");
		}
		check_bytes(&w, 8 * (11ULL * GIB + 5) + 7 * 4, 8000);
		/* and what frames tell between figures */
		world_init(&w, "large, told now and then", 1 + i % 3, i / 3 & 3);
		open_again(&w);
		for (k = 0; k < 9; k++) {
			goes_by(&w, SERVER, (3ULL * GIB) / 2);
			sample(&w, 0);
			goes_by(&w, SERVER, 60 << 20);
			seg(&w, SERVER, TCP_PSH | TCP_ACK, 4, binary);
		}
		seg(&w, SERVER, TCP_FIN | TCP_ACK, 0, NULL);
		check_bytes(&w, 0, 9 * (3ULL * GIB / 2 + (60 << 20) + 4));
	}
}

/* --- what else a sample tells
 * ---------------------------------------------------------------------- */

static const struct point_netflow *only_point(const struct world *w)
{
	CHECK_INT(w->some.n, 1);
	return &w->some.points[0].p.u.netflow;
}

static void test_figures(void)
{
	static struct world w;
	const struct point_netflow *n;
	struct kernel_sample s;
	uint64_t synack_ns;
	int who;

	for (who = 0; who < 2; who++) {
		world_init(&w, "figures", who == CLIENT ? LOCAL_CLIENT : LOCAL_SERVER, 0);
		seg(&w, CLIENT, TCP_SYN, 0, NULL);
		w.next[CLIENT] = 0;
		seg(&w, CLIENT, TCP_SYN, 0, NULL);
		synack_ns = w.narrow.time_ns;
		seg(&w, SERVER, TCP_SYN | TCP_ACK, 0, NULL);
		ack(&w, CLIENT);
		w.established = true;
		bulk(&w, CLIENT, 50);
		w.k[who].retransmits = who == CLIENT ? 4 : 3; /* one of the client's is its SYN */
		s = told(&w, who, KERNEL_RTT | KERNEL_OWNER);
		s.rtt_us = 777;
		s.rtt_var_us = 33;
		s.owner = 5;
		s.established_ns = synack_ns + 3 * MS;
		CHECK(give(&w, &s) && give(&w, &s));
		world_finish(&w);
		n = only_point(&w);
		CHECK_INT(n->packets_written, w.k[who].out);
		CHECK_INT(n->packets_read, w.k[who].in);
		CHECK_INT(n->retransmits, 3);
		CHECK_INT(n->rtt_us, 777);
		CHECK_INT(n->rtt_var_us, 33);
		CHECK_INT(n->connects, 1);
		CHECK_INT(n->connect_latency_us, who == CLIENT ? 2000 : 3000);
		CHECK_INT(n->tcp_established, 1);
		/* what nobody has told is absent */
		CHECK(!(w.some.points[0].p.has & POINT_HAS_RETRANSMITS_PEER));
		CHECK(w.all.points[0].p.has & POINT_HAS_RETRANSMITS_PEER);
		record_free(&w.some);
		record_free(&w.all);
	}
	world_init(&w, "both sockets", LOCAL_BOTH, 0);
	open_again(&w);
	w.k[SERVER].retransmits = 9;
	sample(&w, 0);
	world_finish(&w);
	n = only_point(&w);
	CHECK(w.some.points[0].p.has & POINT_HAS_RETRANSMITS_PEER);
	CHECK_INT(n->retransmits, 0);
	CHECK_INT(n->retransmits_peer, 9);
	CHECK(!(w.some.points[0].p.has & POINT_HAS_CONNECT_LATENCY) || n->connects == 1);
	record_free(&w.some);
	record_free(&w.all);
}

/* A cycle without news has no point, whatever was said in it. */
static void test_no_news(void)
{
	static struct world w;
	struct kernel_sample s;
	size_t points;

	world_init(&w, "no news", LOCAL_CLIENT, 0);
	open_again(&w);
	sample(&w, 0);
	wait_ns(&w, 20 * S);
	engine_tick(w.narrow.e, w.narrow.time_ns);
	points = w.some.n;
	CHECK_INT(points, 1);
	s = told(&w, CLIENT, KERNEL_RTT);
	s.rtt_us = 100;
	CHECK(give(&w, &s));
	wait_ns(&w, 20 * S);
	engine_tick(w.narrow.e, w.narrow.time_ns);
	CHECK_INT(w.some.n, points);
	world_end(&w);
}

/* --- narrowed in the middle, and no longer
 * --------------------------------------------------------- */

static void widen(struct world *w, bool narrow)
{
	struct ip_net nets[2];
	size_t n;

	ends_of(w, nets, &n);
	CHECK_INT(engine_set_narrow(w->narrow.e, nets, narrow ? n : 0), 0);
}

/* Every segment, to both. */
static void seen_bulk(struct world *w, int who, uint32_t segments)
{
	static char other[sizeof(binary)];

	memset(other, 0xfd, sizeof(other));
	while (segments--) {
		seg(w, who, TCP_ACK, 1400, other);
		seg(w, 1 - who, TCP_ACK, 1, other);
	}
}

static void test_midway(void)
{
	static struct world w;
	int i, handshake;

	for (i = 0; i < 24; i++) {
		handshake = i / 12;
		world_init(&w, "midway", 1 + i % 3, i / 3 & 3);
		widen(&w, false);
		if (handshake) {
			open_again(&w);
		} else {
			w.established = true;
			w.next[0] = 5000;
			w.next[1] = 9000;
		}
		seen_bulk(&w, CLIENT, 7);
		seen_bulk(&w, SERVER, 7);
		widen(&w, true);
		if (!handshake)
			sample(&w, 0); /* their own base */
		bulk(&w, CLIENT, 9);
		if (handshake)
			sample(&w, 0);
		bulk(&w, SERVER, 9);
		sample(&w, 0);
		widen(&w, false);
		seen_bulk(&w, SERVER, 3); /* the first of each tells how much has gone by */
		seen_bulk(&w, CLIENT, 3);
		seg(&w, SERVER, TCP_FIN | TCP_ACK, 0, NULL);
		seg(&w, CLIENT, TCP_FIN | TCP_ACK, 0, NULL);
		CHECK_INT(engine_kernel_stats(w.narrow.e)->narrowed, 1);
		world_end(&w);
	}
}

/* No segment tells where the hole ends: what is in it counts as sent. And more than 4 GiB before.
 */
static void test_midway_holes(void)
{
	static struct world w;

	world_init(&w, "holes", LOCAL_CLIENT, 0);
	widen(&w, false);
	open_again(&w);
	goes_by(&w, CLIENT, 2800); /* the ring has lost it */
	seg(&w, CLIENT, TCP_ACK, 1000, binary);
	script_play(&w.narrow, "c A 2801 1 1000");
	widen(&w, true);
	w.k[CLIENT].sent += 9ULL << 32; /* went by before, a multiple of what packets can tell */
	sample(&w, 0);
	bulk(&w, CLIENT, 1);
	sample(&w, 0);
	check_bytes(&w, 2800 + 1000 + 1400, 0);
}

/* --- at random
 * ------------------------------------------------------------------------------------- */

struct later {
	struct kernel_sample s;
	uint64_t due_ns;
};

/* Samples wait as the collector's queue makes them wait, and some are lost. */
static void random_life(struct world *w, uint32_t *seed)
{
	static struct later queue[400];
	size_t n = 0, from = 0;
	uint32_t steps = build_random(seed) % 40, i, x;
	bool closed[2] = {false, false}, reset = false;
	int who;

	new_isns(w, build_random(seed) % 90000 + 20000);
	w->established = false;
	if (build_random(seed) % 12 == 0) {
		w->next[0] = w->next[1] = 0;
		seg(w, CLIENT, TCP_SYN, 0, NULL);
		if (build_random(seed) & 1)
			seg(w, SERVER, TCP_RST | TCP_ACK, 0, NULL);
		return;
	}
	open_again(w);
	for (i = 0; i <= steps || from < n; i++) {
		x = build_random(seed);
		who = x & 1;
		wait_ns(w, (x >> 20) * 100000ULL);
		while (from < n && queue[from].due_ns <= w->narrow.time_ns)
			give(w, &queue[from++].s);
		if (i == steps && !closed[0] && !closed[1] && x >> 1 & 1) {
			seg(w, who, TCP_RST | TCP_ACK, 0, NULL);
			reset = true;
		} else if (i == steps) {
			for (who = 0; who < 2; who++)
				if (!closed[who])
					seg(w, who, TCP_FIN | TCP_ACK, x & 64 ? 700 : 0, binary);
		} else if (i < steps && !closed[who] && x >> 1 & 7) {
			if (x >> 4 & 1)
				bulk(w, who, x >> 5 & 7);
			else
				text(w, who, x >> 5 & 1 ? "some text" : "GET / HTTP/1.0\r\n\r\n");
		} else if (i < steps && i + 8 > steps && !closed[who]) {
			seg(w, who, TCP_FIN | TCP_ACK, 0, NULL);
			closed[who] = true;
		}
		for (who = 0; who < 2 && i <= steps; who++) {
			if (!(w->local >> who & 1) || n == 400 || (i < steps && x >> 9 & 3))
				continue;
			if (i == steps && !reset && x >> 11 & 1)
				continue; /* the last one is lost: FINs tell */
			queue[n].s = told(w, who, x >> 12 & 1 ? KERNEL_FIN_MAYBE : 0);
			queue[n++].due_ns = w->narrow.time_ns + 250 * MS;
		}
	}
}

static void test_random(void)
{
	static struct world w;
	uint32_t seed, state;
	int i;

	for (seed = 1; seed < 60; seed++) {
		state = seed;
		world_init(&w, "random", 1 + (int)seed % 3, (int)seed / 3 & 3);
		for (i = 0; i < 60; i++)
			random_life(&w, &state);
		CHECK(w.dropped > 1000);
		world_end(&w);
	}
}

TEST_MAIN({"connections", test_connections}, {"open before the start", test_old},
	  {"large", test_large}, {"figures", test_figures}, {"no news", test_no_news},
	  {"midway", test_midway}, {"midway, holes", test_midway_holes}, {"random", test_random})
