/* test_fragment.c - flows/fragment.c: datagrams put together in every order, overlaps, cut and lost
 * fragments, bounds; then fragments of flows and of tunnels through the engine.
 */
#include "flows/fragment.h"

#include "tests/flows/script.h"
#include "tests/test.h"

static const struct ip_addr addr_a = {{1}}, addr_b = {{2}};
static uint8_t pattern[FRAGMENT_MAX];

static struct fragment piece(uint32_t id, uint32_t offset, uint32_t len, bool more)
{
	struct fragment f = {.src = &addr_a,
			     .dst = &addr_b,
			     .time_ns = 1000,
			     .id = id,
			     .offset = offset,
			     .len = len,
			     .cap = len,
			     .data = pattern + offset,
			     .proto = 17,
			     .more = more};

	return f;
}

static struct fragments *start(void)
{
	uint32_t i, seed = 5;

	for (i = 0; i < sizeof(pattern); i++)
		pattern[i] = (uint8_t)build_random(&seed);
	return fragments_new();
}

/* A datagram of 5 fragments, in all 120 orders. */
static void one_order(struct fragments *f, uint32_t order)
{
	uint32_t left[5] = {0, 1, 2, 3, 4}, n = 5;
	struct datagram d;
	bool malformed, whole = false;

	while (n) {
		uint32_t at = order % n, k = left[at];
		struct fragment p = piece(7, k * 16, k == 4 ? 11 : 16, k != 4);

		order /= n;
		CHECK(!whole);
		whole = fragments_add(f, &p, &d, &malformed);
		left[at] = left[--n];
	}
	if (!CHECK(whole))
		return;
	CHECK(d.len == 75 && d.cap == 75 && d.packets == 5 && d.whole && d.has_first &&
	      d.proto == 17);
	CHECK(!memcmp(d.data, pattern, 75));
	fragments_release(f);
}

static void test_orders(void)
{
	struct fragments *f = start();
	uint32_t i;

	for (i = 0; i < 120; i++)
		one_order(f, i);
	fragments_free(f);
}

/* Random cuts with overlaps and duplicates: whole exactly when every byte has come. */
static void test_random(void)
{
	struct fragments *f = start();
	uint32_t seed = 77, run;

	for (run = 0; run < 300; run++) {
		uint32_t total = build_random(&seed) % 3000 + 9, i;
		static uint8_t seen[4096];
		struct datagram d;
		bool malformed, whole = false, all = false;

		memset(seen, 0, sizeof(seen));
		for (i = 0; !whole && i < 5000; i++) {
			uint32_t offset = build_random(&seed) % total & ~7U, at;
			uint32_t len = (build_random(&seed) % 400 + 8) & ~7U;
			struct fragment p;

			if (offset + len >= total)
				len = total - offset;
			p = piece(run, offset, len, offset + len < total);
			whole = fragments_add(f, &p, &d, &malformed);
			memset(seen + offset, 1, len);
			for (all = true, at = 0; at < total; at++)
				all = all && seen[at];
			if (whole != all)
				break;
		}
		CHECK(whole && all && d.len == total && d.cap == total &&
		      !memcmp(d.data, pattern, total));
		fragments_release(f);
	}
	fragments_free(f);
}

static void test_first_bytes_win(void)
{
	struct fragments *f = start();
	struct fragment p = piece(1, 0, 16, true), q = piece(1, 8, 16, true),
			r = piece(1, 24, 8, false);
	struct datagram d;
	bool malformed;

	q.data = pattern + 100;
	CHECK(!fragments_add(f, &p, &d, &malformed));
	CHECK(!fragments_add(f, &q, &d, &malformed));
	CHECK(fragments_add(f, &r, &d, &malformed));
	CHECK(!memcmp(d.data, pattern, 16) && !memcmp(d.data + 16, pattern + 108, 8));
	CHECK_INT(d.len, 32);
	fragments_free(f);
}

/* Bytes that were not captured end what can be read, not what is counted. */
static void test_cut(void)
{
	struct fragments *f = start();
	struct fragment p = piece(1, 0, 800, true), q = piece(1, 800, 200, false);
	struct datagram d;
	bool malformed;

	p.cap = 100;
	CHECK(!fragments_add(f, &q, &d, &malformed));
	CHECK(fragments_add(f, &p, &d, &malformed));
	CHECK_INT(d.len, 1000);
	CHECK_INT(d.cap, 100);
	CHECK(!memcmp(d.data, pattern, 100));
	fragments_free(f);
}

static void test_expire(void)
{
	struct fragments *f = start();
	struct fragment p = piece(1, 0, 800, true), q = piece(2, 1600, 200, false);
	struct datagram d;
	bool malformed;

	CHECK(!fragments_add(f, &p, &d, &malformed));
	q.time_ns += 2 * FRAGMENT_TIMEOUT_NS;
	CHECK(!fragments_add(f, &q, &d, &malformed));
	CHECK(!fragments_due(f, 1000 + FRAGMENT_TIMEOUT_NS));
	CHECK(fragments_due(f, 1001 + FRAGMENT_TIMEOUT_NS));
	CHECK(fragments_expire(f, 1001 + FRAGMENT_TIMEOUT_NS, false, &d));
	CHECK(d.has_first && !d.whole && d.len == 800 && d.cap == 800 && d.packets == 1);
	CHECK(!fragments_expire(f, 1001 + FRAGMENT_TIMEOUT_NS, false, &d));
	CHECK(fragments_expire(f, 0, true, &d));
	CHECK(!d.has_first && d.len == 200 && d.cap == 0);
	CHECK(!fragments_expire(f, 0, true, &d));
	fragments_free(f);
}

static void test_bounds(void)
{
	struct fragments *f = start();
	struct fragment p = piece(1, 65528, 8, false), q = piece(1, 65528, 7, false),
			none = piece(1, 0, 0, true);
	struct datagram d;
	bool malformed;

	CHECK(!fragments_add(f, &p, &d, &malformed) && malformed);
	CHECK(!fragments_add(f, &none, &d, &malformed) && malformed);
	CHECK(!fragments_add(f, &q, &d, &malformed) && !malformed);
	p = piece(1, 0, 65528, true);
	CHECK(fragments_add(f, &p, &d, &malformed));
	CHECK_INT(d.len, 65535);
	CHECK(!memcmp(d.data, pattern, 65535));
	fragments_free(f);
}

/* --- through the engine
 * ------------------------------------------------------------------------------ */

static void send_fragment(struct engine *e, struct build *whole, uint16_t id, uint32_t from,
			  uint32_t len, uint8_t proto, uint64_t time_ns)
{
	static struct build b;
	uint32_t left = build_len(whole) - from;
	struct frame f;

	build_payload(&b, build_at(whole, from), len < left ? len : left);
	build_ipv4_fragment(&b, IP4(10, 0, 0, 1), IP4(10, 0, 0, 2), proto, id,
			    (uint16_t)(from / 8 | (len < left ? 0x2000U : 0)));
	f = build_frame(&b, LINK_RAW, time_ns);
	engine_frames(e, &f, 1);
}

/* A DNS query in fragments, the last one first; then a datagram whose middle is lost. */
static void test_engine_udp(void)
{
	static struct build whole;
	struct engine_config c;
	struct engine *e;
	struct record r;
	struct words w;
	uint8_t msg[512];
	uint32_t n;

	script_config(&c, &r);
	e = script_engine(&c);
	n = build_dns(msg, 1, "a.test", 1, false, 0);
	build_payload(&whole, msg, n);
	build_udp(&whole, 40000, 53);
	send_fragment(e, &whole, 1, 16, 1000, 17, SCRIPT_TIME);
	send_fragment(e, &whole, 1, 0, 16, 17, SCRIPT_TIME);
	build_payload(&whole, NULL, 1992);
	build_udp(&whole, 40000, 9999);
	send_fragment(e, &whole, 2, 0, 800, 17, SCRIPT_TIME);
	send_fragment(e, &whole, 2, 1600, 1000, 17, SCRIPT_TIME);
	engine_finish(e, 0);
	CHECK_STR(record_words(&r, false, &w), "dns a.test 1 rcode -1");
	CHECK_STR(record_words(&r, true, &w), "bytes 24/0 packets 2/0 bytes 1192/0 packets 2/0");
	CHECK_INT(engine_stats(e)->fragments_lost, 2);
	CHECK_INT(engine_stats(e)->packets_parsed, 4);
	engine_free(e);
	record_free(&r);
}

/* A tunnel's packet in fragments is looked into. */
static void test_engine_tunnel(void)
{
	static struct build whole;
	struct build_segment t = {.sport = 40000, .dport = 80, .seq = 1, .flags = TCP_ACK};
	struct engine_config c;
	struct engine *e;
	struct record r;
	struct words w;

	script_config(&c, &r);
	e = script_engine(&c);
	build_payload(&whole, NULL, 1400);
	build_tcp(&whole, &t);
	build_ipv6(&whole, 1, 2, PROTO_TCP);
	send_fragment(e, &whole, 1, 800, 1000, 41, SCRIPT_TIME);
	send_fragment(e, &whole, 1, 0, 800, 41, SCRIPT_TIME);
	engine_finish(e, 0);
	CHECK_STR(record_words(&r, true, &w), "bytes 1400/0 packets 2/0");
	engine_free(e);
	record_free(&r);
}

/* More datagrams at once than are held: the oldest is given up and counted, however short the time.
 */
static void test_engine_flood(void)
{
	static struct build whole;
	struct engine_config c;
	struct engine *e;
	struct record r;
	uint32_t i;

	script_config(&c, &r);
	e = script_engine(&c);
	build_payload(&whole, NULL, 1992);
	build_udp(&whole, 40000, 9999);
	for (i = 0; i < 3 * FRAGMENT_DATAGRAMS; i++)
		send_fragment(e, &whole, (uint16_t)i, 0, 800, 17, SCRIPT_TIME + i);
	engine_finish(e, 0);
	CHECK_INT(engine_stats(e)->packets_malformed, 0);
	CHECK_INT(engine_stats(e)->packets_parsed, 3 * FRAGMENT_DATAGRAMS);
	CHECK_INT(r.net.packets_written, 3 * FRAGMENT_DATAGRAMS);
	CHECK_INT(r.net.bytes_written, 3 * FRAGMENT_DATAGRAMS * 792);
	CHECK(r.last_ns >= SCRIPT_TIME);
	engine_free(e);
	record_free(&r);
}

TEST_MAIN({"five fragments in every order", test_orders}, {"random overlaps", test_random},
	  {"the first bytes win", test_first_bytes_win}, {"cut fragments", test_cut},
	  {"time-out", test_expire}, {"bounds", test_bounds}, {"engine: UDP", test_engine_udp},
	  {"engine: tunnel", test_engine_tunnel}, {"engine: flood", test_engine_flood})
