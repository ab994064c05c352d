/* test_tcp_repair.c - flows/tcp_repair.c: where frames were dropped, packets and the sockets'
 * figures together count what all packets would have.
 */
#include "flows/kernel.h"
#include "flows/tcp.h"

#include "tests/flows/kernel_world.h"

enum { LOST = 1 }; /* the ring has dropped it */

/* Neither engine is narrowed here: `narrow` is the one that misses frames. */
static void begin(struct world *w, const char *name, int local, int variant)
{
	world_init(w, name, local, variant & 3);
	w->full.ipv6 = w->narrow.ipv6 = variant & 4;
	CHECK_INT(engine_set_narrow(w->narrow.e, NULL, 0), 0);
}

/* A segment that begins back bytes in front of what is next; lost: the packet ring dropped it. */
static void put_frame(struct world *w, int who, uint8_t flags, uint32_t back, uint32_t len,
		      int lost)
{
	struct script_segment g = {.who = who,
				   .flags = flags,
				   .seq = w->next[who] - back,
				   .ack = w->next[1 - who],
				   .len = len,
				   .data = binary};

	script_tcp(&w->full, &g);
	if (!lost)
		script_tcp(&w->narrow, &g);
	wait_ns(w, MS);
}

static void frame(struct world *w, int who, uint8_t flags, uint32_t len, int lost)
{
	put_frame(w, who, flags, 0, len, lost);
	w->dropped += lost;
	if (flags & TCP_RST)
		return;
	w->k[who].sent += len;
	w->k[1 - who].received += len;
	w->k[1 - who].fin_received |= flags & TCP_FIN;
	w->next[who] += len + !!(flags & TCP_SYN) + !!(flags & TCP_FIN);
}

/* The last bytes once more, from back on. */
static void again(struct world *w, int who, uint32_t back, uint32_t len, int lost)
{
	put_frame(w, who, TCP_ACK, back, len, lost);
}

static void open_one(struct world *w)
{
	memset(w->k, 0, sizeof(w->k));
	w->next[0] = w->next[1] = 0;
	frame(w, CLIENT, TCP_SYN, 0, 0);
	frame(w, SERVER, TCP_SYN | TCP_ACK, 0, 0);
	frame(w, CLIENT, TCP_ACK, 0, 0);
	w->established = true;
}

static void many(struct world *w, int who, uint32_t n, int lost)
{
	while (n--)
		frame(w, who, TCP_ACK, 1400, lost);
}

static struct kernel_sample figures(const struct world *w, int who)
{
	struct kernel_sample s = told(w, who, 0);
	struct ip_addr a[2];
	uint8_t *p;
	int i;

	if (!w->narrow.ipv6)
		return s;
	memset(a, 0, sizeof(a));
	for (i = 0; i < 2; i++) {
		p = a[i].b;
		put_be32(p, 0x20010db8);
		put_be32(p + 12, w->narrow.addr[i]);
	}
	i = flow_key_make(&s.key, &a[0], &a[1], w->narrow.port[0], w->narrow.port[1], PROTO_TCP);
	s.end = (uint8_t)(who == CLIENT ? i : 1 - i);
	return s;
}

/* The sockets of this host tell; the bytes that counted. */
static uint64_t repair(struct world *w)
{
	uint64_t sum = 0;
	int who;

	for (who = 0; who < 2; who++) {
		struct kernel_sample s = figures(w, who);

		if (w->local >> who & 1)
			sum += engine_repair(w->narrow.e, &s, UINT64_MAX);
	}
	return sum;
}

/* All that is counted is the same as with every frame, but for frames. */
static void same(struct world *w)
{
	world_finish(w);
	check_end(w);
	CHECK_MSG(w->some.net.retransmits == w->all.net.retransmits &&
		      w->some.net.retransmits_peer == w->all.net.retransmits_peer,
		  "%s: retransmits %u and %u, by packets %u and %u", w->name,
		  (unsigned int)w->some.net.retransmits, (unsigned int)w->some.net.retransmits_peer,
		  (unsigned int)w->all.net.retransmits, (unsigned int)w->all.net.retransmits_peer);
	record_free(&w->all);
	record_free(&w->some);
}

static void same_bytes(struct world *w)
{
	world_finish(w);
	CHECK_MSG(w->some.net.bytes_read == w->all.net.bytes_read &&
		      w->some.net.bytes_written == w->all.net.bytes_written,
		  "%s, local %d, variant %d: %" PRIu64 " and %" PRIu64 ", by packets %" PRIu64
		  " and %" PRIu64,
		  w->name, w->local, w->variant, w->some.net.bytes_read, w->some.net.bytes_written,
		  w->all.net.bytes_read, w->all.net.bytes_written);
	record_free(&w->all);
	record_free(&w->some);
}

static void ends(struct world *w)
{
	frame(w, CLIENT, TCP_FIN | TCP_ACK, 0, 0);
	frame(w, SERVER, TCP_FIN | TCP_ACK, 0, 0);
	frame(w, CLIENT, TCP_ACK, 0, 0);
}

/* --- where the hole is ------------------------------------------------------------------------ */

static void nothing_lost(struct world *w)
{
	open_one(w);
	many(w, CLIENT, 5, 0);
	CHECK_INT(repair(w), 0);
	ends(w);
}

static void at_the_beginning(struct world *w)
{
	open_one(w);
	many(w, SERVER, 3, LOST);
	many(w, CLIENT, 2, LOST);
	many(w, SERVER, 3, 0);
	many(w, CLIENT, 3, 0);
	CHECK_INT(repair(w), 5 * 1400);
	CHECK_INT(repair(w), 0);
	ends(w);
}

static void in_the_middle(struct world *w)
{
	int i;

	open_one(w);
	for (i = 0; i < 10; i++) {
		many(w, CLIENT, 2, 0);
		many(w, CLIENT, 1, LOST);
		many(w, SERVER, 1, i % 3 == 0);
	}
	many(w, CLIENT, 1, 0);
	many(w, SERVER, 1, 0);
	CHECK_INT(repair(w), (10 + 4) * 1400);
	many(w, CLIENT, 1, LOST);
	many(w, CLIENT, 1, 0);
	CHECK_INT(repair(w), 1400);
	ends(w);
}

static void at_the_end(struct world *w)
{
	open_one(w);
	many(w, CLIENT, 3, 0);
	many(w, CLIENT, 4, LOST);
	many(w, SERVER, 4, LOST);
	CHECK_INT(repair(w), 8 * 1400);
	many(w, CLIENT, 1, 0);
	ends(w);
}

static void all_behind_the_handshake(struct world *w)
{
	open_one(w);
	many(w, CLIENT, 7, LOST);
	many(w, SERVER, 9, LOST);
	CHECK_INT(repair(w), 16 * 1400);
	ends(w);
}

/* Its end is half seen, and counts by time as ever. */
static void fin_lost(struct world *w)
{
	open_one(w);
	many(w, CLIENT, 2, LOST);
	frame(w, SERVER, TCP_FIN | TCP_ACK, 300, LOST);
	CHECK_INT(repair(w), 2 * 1400 + 300);
	many(w, CLIENT, 2, 0);
	frame(w, CLIENT, TCP_FIN | TCP_ACK, 0, 0);
}

static void half_closed(struct world *w)
{
	open_one(w);
	frame(w, SERVER, TCP_FIN | TCP_ACK, 300, 0);
	many(w, CLIENT, 5, 0);
	many(w, CLIENT, 5, LOST);
	many(w, CLIENT, 1, 0);
	many(w, CLIENT, 1, LOST);
	CHECK_INT(repair(w), 6 * 1400);
	frame(w, CLIENT, TCP_FIN | TCP_ACK, 0, 0);
}

/* What was dropped comes again, before the figures: counted as it comes, as any hole. */
static void again_before(struct world *w)
{
	open_one(w);
	many(w, CLIENT, 1, LOST);
	many(w, CLIENT, 2, 0);
	again(w, CLIENT, 3 * 1400, 1400, 0);
	again(w, CLIENT, 2 * 1400, 1400, 0);
	CHECK_INT(repair(w), 0);
	again(w, CLIENT, 2 * 1400, 1400, 0);
	ends(w);
}

/* ... and behind them: sent again. */
static void again_behind(struct world *w)
{
	open_one(w);
	many(w, CLIENT, 1, LOST);
	many(w, CLIENT, 2, 0);
	CHECK_INT(repair(w), 1400);
	again(w, CLIENT, 3 * 1400, 1400, 0);
	many(w, CLIENT, 2, LOST);
	CHECK_INT(repair(w), 2 * 1400);
	again(w, CLIENT, 2 * 1400, 1400, 0);
	again(w, CLIENT, 1400, 1400, 0);
	ends(w);
}

/* Frames behind the list were counted before its figures are applied. */
static void older_figures(struct world *w)
{
	struct kernel_sample old[2];
	uint64_t bytes = 0;
	int who;

	open_one(w);
	many(w, CLIENT, 2, LOST);
	many(w, CLIENT, 2, 0);
	many(w, CLIENT, 1, LOST);
	for (who = 0; who < 2; who++)
		old[who] = figures(w, who);
	many(w, CLIENT, 3, LOST);
	many(w, CLIENT, 3, 0);
	for (who = 0; who < 2; who++)
		if (w->local >> who & 1)
			bytes += engine_repair(w->narrow.e, &old[who], UINT64_MAX);
	CHECK_INT(bytes, 3 * 1400);
	CHECK_INT(repair(w), 3 * 1400);
	CHECK_INT(repair(w), 0);
	ends(w);
}

static const struct {
	const char *name;
	void (*run)(struct world *w);
	bool bytes_only;
} places[] = {
    {"nothing lost", nothing_lost, false},
    {"at the beginning", at_the_beginning, false},
    {"in the middle", in_the_middle, false},
    {"at the end", at_the_end, false},
    {"all behind the handshake", all_behind_the_handshake, false},
    {"a FIN", fin_lost, true},
    {"half closed", half_closed, false},
    {"sent again before the figures", again_before, true},
    {"sent again behind the figures", again_behind, false},
    {"figures that are older than packets", older_figures, false},
};

static void test_places(void)
{
	static struct world w;
	int local, variant;
	size_t i;

	for (i = 0; i < sizeof(places) / sizeof(places[0]); i++)
		for (local = 1; local < 4; local++)
			for (variant = 0; variant < 8; variant++) {
				begin(&w, places[i].name, local, variant);
				places[i].run(&w);
				(places[i].bytes_only ? same_bytes : same)(&w);
			}
}

/* --- figures that are newer than the packets that were read ----------------------------------- */

/* Should a ring lag: what the figures have counted counts no more when it comes. */
static void test_newer(void)
{
	static struct world w;
	struct kernel_sample s;
	int variant;

	for (variant = 0; variant < 8; variant++) {
		begin(&w, "newer figures", LOCAL_CLIENT, variant);
		open_one(&w);
		many(&w, CLIENT, 1, 0);
		s = figures(&w, CLIENT);
		s.sent += 3 * 1400;
		s.received += 2 * 1400 + 50;
		CHECK_INT(engine_repair(w.narrow.e, &s, UINT64_MAX), 5 * 1400 + 50);
		many(&w, CLIENT, 4, 0);
		many(&w, SERVER, 5, 0);
		ends(&w);
		same_bytes(&w);
	}
}

/* --- closed before any list ------------------------------------------------------------------- */

/* Both FINs were seen, and tell what was in front of them. */
static void test_closed(void)
{
	static struct world w;
	struct ip_net nets[1];
	int i;

	for (i = 0; i < 5 * 3 * 8; i++) {
		begin(&w, "closed", 1 + i % 3, i / 3 % 8);
		if (w.narrow.ipv6) { /* local networks are IPv4's here */
			memset(nets, 0, sizeof(nets));
			CHECK_INT(engine_set_local(w.narrow.e, nets, 1), 0);
			CHECK_INT(engine_set_local(w.full.e, nets, 1), 0);
		}
		engine_set_dropped(w.narrow.e, 1 << 20);
		open_one(&w);
		many(&w, CLIENT, 2, LOST);
		many(&w, CLIENT, 2, 0);
		many(&w, CLIENT, 1, LOST);
		if (i / 24 == 1)
			CHECK_INT(repair(&w), 3 * 1400); /* some of it by a list */
		many(&w, SERVER, 3, LOST);
		if (i / 24 == 2) { /* reordered: what is counted already comes, too */
			frame(&w, SERVER, TCP_FIN | TCP_ACK, 0, 0);
			again(&w, SERVER, 1 + 1400, 1400, 0);
		} else {
			frame(&w, SERVER, TCP_FIN | TCP_ACK, i / 24 == 3 ? 99 : 0, 0);
		}
		frame(&w, CLIENT, TCP_FIN | TCP_ACK, 0, 0);
		ack(&w, SERVER);
		if (i / 24 == 4) { /* the same ports again */
			new_isns(&w, 50000);
			open_one(&w);
			many(&w, CLIENT, 1, 0);
			CHECK_INT(engine_stats(w.narrow.e)->bytes_repaired, 6 * 1400);
			ends(&w);
		}
		same_bytes(&w);
	}
	/* not elsewhere, not without a FIN of either end, and no more than was dropped */
	for (i = 0; i < 5; i++) {
		begin(&w, "closed, not", LOCAL_CLIENT, 0);
		if (i == 1)
			CHECK_INT(engine_set_local(w.narrow.e, NULL, 0), 0);
		engine_set_dropped(w.narrow.e, i == 0 ? 1399 : 1 << 20);
		if (i == 4)
			engine_set_dropped(w.narrow.e, 0);
		open_one(&w);
		many(&w, CLIENT, 1, LOST);
		many(&w, CLIENT, 1, 0);
		frame(&w, CLIENT, i == 2 ? TCP_RST : TCP_FIN | TCP_ACK, 0, 0);
		frame(&w, SERVER, TCP_FIN | TCP_ACK, 0, i == 3);
		world_finish(&w);
		CHECK_INT(w.all.net.bytes_written, 2800);
		CHECK_INT(w.some.net.bytes_written + w.some.net.bytes_read, 1400);
		record_free(&w.some);
		record_free(&w.all);
	}
}

/* --- cycles ----------------------------------------------------------------------------------- */

/* What was written stays; the difference is the next cycle's. */
static void test_cycles(void)
{
	static struct world w;
	uint64_t before;

	begin(&w, "cycles", LOCAL_CLIENT, 0);
	open_one(&w);
	many(&w, CLIENT, 4, LOST);
	many(&w, CLIENT, 1, 0);
	wait_ns(&w, 10 * S);
	engine_tick(w.narrow.e, w.narrow.time_ns);
	CHECK_INT(w.some.n, 1);
	before = w.some.net.bytes_written;
	CHECK_INT(before, 1400);
	CHECK_INT(repair(&w), 4 * 1400);
	CHECK_INT(w.some.net.bytes_written, before);
	wait_ns(&w, 10 * S);
	engine_tick(w.narrow.e, w.narrow.time_ns);
	CHECK_INT(w.some.n, 2);
	CHECK_INT(w.some.points[1].p.u.netflow.bytes_written, 4 * 1400);
	CHECK_INT(w.some.points[1].p.u.netflow.packets_written, 0);
	CHECK_INT(engine_stats(w.narrow.e)->bytes_repaired, 4 * 1400);
	same_bytes(&w);
}

/* --- much ------------------------------------------------------------------------------------- */

/* More than sequence numbers can tell, in pieces of up to 3 GiB. */
static void test_large(void)
{
	static const uint64_t piece[] = {GIB, 2ULL * GIB - 1, 3ULL * GIB - 5000, 70000};
	static struct world w;
	uint64_t sum;
	int i, k;

	for (i = 0; i < 24; i++) {
		begin(&w, "large", 1 + i % 3, i / 3);
		open_one(&w);
		for (k = 0, sum = 0; k < 12; k++) {
			goes_by(&w, SERVER, piece[k % 4]);
			sum += piece[k % 4];
			CHECK_INT(repair(&w), piece[k % 4]);
			if (k & 1) {
				frame(&w, SERVER, TCP_ACK, 1400, 0);
				sum += 1400;
			}
		}
		CHECK_INT(engine_stats(w.narrow.e)->bytes_repaired, sum - 6 * 1400);
		if (w.narrow.ipv6) {
			world_finish(&w);
			CHECK_INT(w.some.net.bytes_read, sum);
			record_free(&w.some);
			record_free(&w.all);
		} else {
			check_bytes(&w, 0, sum);
		}
	}
}

/* More holes than fit, and holes that sequence numbers cannot tell any more. */
static void test_given_up(void)
{
	static struct world w;
	int i, variant;

	for (variant = 0; variant < 8; variant++) {
		begin(&w, "given up", LOCAL_CLIENT, variant);
		open_one(&w);
		for (i = 0; i < 5 * TCP_HOLES_PER_END; i++) {
			many(&w, CLIENT, 1, LOST);
			many(&w, CLIENT, 1, 0);
		}
		CHECK_INT(engine_stats(w.narrow.e)->tcp_holes_forgotten, 4 * TCP_HOLES_PER_END);
		CHECK_INT(repair(&w), 5 * TCP_HOLES_PER_END * 1400);
		CHECK_INT(repair(&w), 0);
		for (i = 0; i < 2 * TCP_HOLES_PER_END; i++) {
			many(&w, CLIENT, 1, LOST);
			many(&w, CLIENT, 1, 0);
		}
		CHECK_INT(repair(&w), 2 * TCP_HOLES_PER_END * 1400);
		ends(&w);
		same(&w);

		begin(&w, "far behind", LOCAL_CLIENT, variant);
		open_one(&w);
		for (i = 0; i < 3; i++) {
			goes_by(&w, CLIENT, GIB / 2 + 17);
			many(&w, CLIENT, 1, 0);
		}
		CHECK(engine_stats(w.narrow.e)->tcp_holes_forgotten > 0);
		CHECK_INT(repair(&w), 3 * (GIB / 2 + 17));
		/* the next connection of these ports begins with nothing */
		goes_by(&w, CLIENT, 5000);
		goes_by(&w, CLIENT, GIB + 1);
		many(&w, CLIENT, 2, 0);
		new_isns(&w, 7000);
		open_one(&w);
		many(&w, CLIENT, 1, 0);
		CHECK_INT(repair(&w), 0);
		world_finish(&w);
		record_free(&w.some);
		record_free(&w.all);
	}
}

/* --- open before the start -------------------------------------------------------------------- */

static void test_old(void)
{
	static struct world w;
	struct kernel_sample s;
	int i, variant;

	for (i = 0; i < 3 * 8; i++) {
		variant = i / 3;
		begin(&w, "open before the start", 1 + i % 3, variant);
		w.k[CLIENT].sent = w.k[SERVER].received = 5ULL * GIB + 77;
		w.k[SERVER].sent = w.k[CLIENT].received = 12345;
		w.next[CLIENT] = GIB + 78;
		w.next[SERVER] = 12346;
		w.established = true;
		many(&w, CLIENT, 3, 0);
		many(&w, SERVER, 3, 0);
		CHECK_INT(repair(&w), 0); /* busy: to which segment do they belong? */
		many(&w, CLIENT, 3, 0);
		wait_ns(&w, 200 * MS);
		s = figures(&w, CLIENT);
		s.has |= KERNEL_IN_FLIGHT;
		CHECK_INT(engine_repair(w.narrow.e, &s, UINT64_MAX), 0);
		CHECK_INT(repair(&w), 0);
		many(&w, CLIENT, 4, LOST);
		many(&w, SERVER, 2, 0);
		many(&w, SERVER, 2, LOST);
		many(&w, SERVER, 2, 0);
		CHECK_INT(repair(&w), 6 * 1400);
		many(&w, CLIENT, 1, 0);
		CHECK_INT(repair(&w), 0);
		ends(&w);
		same_bytes(&w);
	}
}

/* A mark that was set while something was dropped is too low, never too high. */
static void test_low_mark(void)
{
	static struct world w;

	begin(&w, "low mark", LOCAL_CLIENT, 0);
	w.next[CLIENT] = w.next[SERVER] = 9000;
	w.established = true;
	many(&w, CLIENT, 2, 0);
	many(&w, CLIENT, 3, LOST);
	wait_ns(&w, 200 * MS);
	CHECK_INT(repair(&w), 0);
	many(&w, CLIENT, 1, 0);
	CHECK_INT(repair(&w), 1400); /* of the three: its hole, up to the mark */
	wait_ns(&w, 200 * MS);
	CHECK_INT(repair(&w), 2 * 1400);
	CHECK_INT(repair(&w), 0);
	many(&w, CLIENT, 2, LOST);
	CHECK_INT(repair(&w), 2 * 1400);
	same_bytes(&w);
}

/* --- what is not repaired --------------------------------------------------------------------- */

static void test_not(void)
{
	static struct world w;
	struct ip_net nets[2];
	struct kernel_sample s;
	size_t n;

	begin(&w, "not", LOCAL_CLIENT, 0);
	CHECK_INT(repair(&w), 0); /* not known, and not made */
	CHECK_INT(engine_stats(w.narrow.e)->flows_active, 0);
	open_one(&w);
	many(&w, CLIENT, 2, 0);
	many(&w, CLIENT, 2, LOST);
	s = figures(&w, CLIENT);
	CHECK_INT(engine_repair(w.narrow.e, &s, 2799), 0); /* frames cannot have had so much */
	s.has = KERNEL_RECEIVED | KERNEL_FIN_MAYBE;
	s.received = 9000;
	CHECK_INT(engine_repair(w.narrow.e, &s, UINT64_MAX), 0); /* it may have a FIN */
	s = figures(&w, CLIENT);
	s.has &= ~(uint32_t)(KERNEL_SENT | KERNEL_RECEIVED);
	CHECK_INT(engine_repair(w.narrow.e, &s, UINT64_MAX), 0);
	s = figures(&w, CLIENT);
	s.time_ns = SCRIPT_TIME - 1; /* a connection before */
	CHECK_INT(engine_repair(w.narrow.e, &s, UINT64_MAX), 0);
	CHECK_INT(engine_repair(w.narrow.e, &s, UINT64_MAX), 0);
	s = figures(&w, CLIENT);
	CHECK_INT(engine_repair(w.narrow.e, &s, 2800), 2800);
	many(&w, CLIENT, 1, LOST);
	ends_of(&w, nets, &n);
	CHECK_INT(engine_set_narrow(w.narrow.e, nets, n), 0);
	CHECK_INT(repair(&w), 0); /* narrowed: that is told otherwise */
	sample(&w, 0);
	ends(&w);
	same_bytes(&w);

	begin(&w, "over", LOCAL_CLIENT, 0);
	open_one(&w);
	ends(&w);
	w.k[CLIENT].sent = 77777; /* of the next connection, whose SYN was dropped */
	w.k[CLIENT].fin_received = false;
	CHECK_INT(repair(&w), 0);
	same_bytes(&w);

	begin(&w, "left out", LOCAL_CLIENT, 0);
	open_one(&w);
	s = figures(&w, CLIENT);
	engine_exclude_flow(w.narrow.e, &s.key);
	s.sent = 1000;
	CHECK_INT(engine_repair(w.narrow.e, &s, UINT64_MAX), 0);
	world_finish(&w);
	record_free(&w.some);
	record_free(&w.all);
}

/* One SYN-ACK was dropped: that end has no mark, and its bytes are those of packets and no more. */
static void test_no_synack(void)
{
	static struct world w;

	begin(&w, "no SYN-ACK", LOCAL_CLIENT, 0);
	frame(&w, CLIENT, TCP_SYN, 0, 0);
	frame(&w, SERVER, TCP_SYN | TCP_ACK, 0, LOST);
	frame(&w, CLIENT, TCP_ACK, 0, 0);
	many(&w, CLIENT, 2, LOST);
	many(&w, SERVER, 2, 0);
	CHECK_INT(repair(&w), 2 * 1400);
	wait_ns(&w, 200 * MS);
	CHECK_INT(repair(&w), 0); /* silent: the server's mark */
	many(&w, SERVER, 3, LOST);
	CHECK_INT(repair(&w), 3 * 1400);
	ends(&w);
	same_bytes(&w);
}

/* --- at random -------------------------------------------------------------------------------- */

/* Never more than was sent; after the last figures exactly that. */
static void random_life(struct world *w, uint32_t *seed)
{
	uint32_t steps = build_random(seed) % 200, i, x;
	uint64_t counted = 0;
	int who, lost;

	open_one(w);
	for (i = 0; i < steps; i++) {
		x = build_random(seed);
		who = x & 1;
		lost = (x >> 1 & 7) < 3;
		if ((x >> 4 & 15) == 0 && w->k[who].sent > 2000)
			again(w, who, 900 + (x >> 8) % 1100, 1 + (x >> 20) % 900, lost);
		else if ((x >> 4 & 15) == 1)
			counted += repair(w);
		else
			frame(w, who, TCP_ACK, (x >> 8) % 2000, lost);
	}
	counted += repair(w);
	CHECK_INT(repair(w), 0);
	CHECK_INT(engine_stats(w->narrow.e)->bytes_repaired, counted);
	if (steps & 1)
		ends(w);
	else
		frame(w, CLIENT, TCP_RST, 0, 0);
}

static void test_random(void)
{
	static struct world w;
	uint32_t seed = 4711;
	int i;

	for (i = 0; i < 2000; i++) {
		begin(&w, "random", 1 + i % 3, i / 3 & 7);
		w.all.sums_only = w.some.sums_only = true;
		random_life(&w, &seed);
		same_bytes(&w);
	}
}

TEST_MAIN({"where frames are missing", test_places}, {"figures newer than packets", test_newer},
	  {"closed before any list", test_closed}, {"cycles", test_cycles},
	  {"gigabytes", test_large}, {"holes given up", test_given_up},
	  {"open before the start", test_old}, {"a mark too low", test_low_mark},
	  {"not repaired", test_not}, {"no SYN-ACK", test_no_synack}, {"at random", test_random})
