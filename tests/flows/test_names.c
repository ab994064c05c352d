/* test_names.c - flows/names.c, and how flows/dns_pending.c feeds it: only what answers a query is
 * learnt.
 */
#include "flows/names.h"

#include <stdlib.h>

#include "flows/dns_pending.h"
#include "flows/local.h"
#include "tests/test.h"

#define S 1000000000ULL

enum { TIME = 1000 };

static struct ip_addr v4(int a, int b, int c, int d)
{
	uint8_t bytes[4] = {(uint8_t)a, (uint8_t)b, (uint8_t)c, (uint8_t)d};
	struct ip_addr addr;

	addr_from_v4(&addr, bytes);
	return addr;
}

/* "www.example" in wire form; returns its length. */
static size_t wire(const char *text, uint8_t *out)
{
	size_t at = 0, len = strlen(text), i;

	for (i = 0; i <= len; i++) {
		if (i < len && text[i] != '.')
			continue;
		out[at] = (uint8_t)(i - at);
		memcpy(out + at + 1, text + at, i - at);
		at = i + 1;
	}
	out[at] = 0;
	return at + 1;
}

static void learn(struct names *n, int client, int addr, const char *name, uint32_t ttl_s,
		  uint64_t at_s)
{
	struct ip_addr c = v4(10, 0, 0, client), a = v4(93, 0, addr >> 8, addr & 255);
	uint8_t name_wire[DNS_NAME_MAX];

	names_learn(n, &c, &a, name_wire, wire(name, name_wire), ttl_s, at_s * S);
}

static uint32_t lookup(struct names *n, int client, int addr, uint64_t at_s)
{
	struct ip_addr c = v4(10, 0, 0, client), a = v4(93, 0, addr >> 8, addr & 255);

	return names_lookup(n, &c, &a, at_s * S);
}

/* The name as text; "" for none. */
static const char *text_of(const struct names *n, uint32_t id)
{
	static char text[DNS_NAME_TEXT_MAX + 1];
	const uint8_t *name;
	size_t len;

	name = names_wire(n, id, &len);
	text[0] = 0;
	if (name)
		dns_name_format(name, len, text);
	return text;
}

static const char *name_at(struct names *n, int client, int addr, uint64_t at_s)
{
	return text_of(n, lookup(n, client, addr, at_s));
}

static struct names *table(size_t max)
{
	struct names *n = names_new(max);

	if (!n)
		abort();
	return n;
}

static void test_expiry(void)
{
	struct names *n = table(16);

	learn(n, 1, 1, "short.example", 1, 1000);
	learn(n, 1, 2, "mid.example", 300, 1000);
	learn(n, 1, 3, "long.example", 4000000000U, 1000);
	CHECK_STR(name_at(n, 1, 1, 1059), "short.example"); /* floor */
	CHECK_STR(name_at(n, 1, 1, 1060), "");
	CHECK_STR(name_at(n, 1, 2, 1299), "mid.example");
	CHECK_STR(name_at(n, 1, 2, 1300), "");
	CHECK_STR(name_at(n, 1, 3, 1000 + 86399), "long.example"); /* cap */
	CHECK_STR(name_at(n, 1, 3, 1000 + 86400), "");
	learn(n, 1, 2, "mid.example", 300, 1250); /* again: alive longer, and no second entry */
	CHECK_STR(name_at(n, 1, 2, 1500), "mid.example");
	CHECK_INT(names_stats(n)->names, 3);
	CHECK_INT(names_stats(n)->learnt, 3);
	CHECK_STR(name_at(n, 2, 2, 1260), ""); /* another client asked nothing */
	names_free(n);
	names_free(NULL);
}

static void test_shared_address(void)
{
	struct names *n = table(64);
	char name[32];
	int i;

	learn(n, 1, 1, "old.example", 3600, 1000);
	learn(n, 1, 1, "new.example", 60, 1001);
	CHECK_STR(name_at(n, 1, 1, 1002), "new.example");
	CHECK_STR(name_at(n, 1, 1, 1100), "old.example"); /* the newest that is alive */
	learn(n, 1, 1, "old.example", 3600, 1050);
	CHECK_STR(name_at(n, 1, 1, 1055), "old.example"); /* learnt again: the newest now */
	learn(n, 2, 1, "theirs.example", 60, 1060);
	CHECK_STR(name_at(n, 1, 1, 1061), "old.example");
	CHECK_STR(name_at(n, 2, 1, 1061), "theirs.example");
	for (i = 0; i < 20; i++) {
		snprintf(name, sizeof(name), "n%d.example", i);
		learn(n, 3, 1, name, 60, 2000);
	}
	CHECK_INT(names_stats(n)->names, 3 + NAMES_PER_ADDRESS);
	CHECK_STR(name_at(n, 3, 1, 2001), "n19.example");
	names_free(n);
}

static void test_full(void)
{
	struct names *n = table(4);
	uint32_t held;
	int i;

	for (i = 0; i < 4; i++)
		learn(n, 1, i, "x.example", 600, 1000);
	held = lookup(n, 1, 0, 1001);
	names_hold(n, held);
	CHECK_STR(name_at(n, 1, 1, 1001), "x.example"); /* a use: 2 is the oldest now */
	learn(n, 1, 9, "y.example", 600, 1002);
	CHECK_STR(name_at(n, 1, 0, 1003), "x.example");
	CHECK_STR(name_at(n, 1, 1, 1003), "x.example");
	CHECK_STR(name_at(n, 1, 2, 1003), "");
	CHECK_INT(names_stats(n)->evicted, 1);
	for (i = 10; i < 1000; i++)
		learn(n, 1, i, "z.example", 600, 1004);
	CHECK_STR(name_at(n, 1, 0, 1005), "x.example"); /* held */
	CHECK_STR(name_at(n, 1, 9, 1005), "");
	CHECK_STR(text_of(n, held), "x.example");
	CHECK_STR(name_at(n, 1, 0, 1600), "");    /* no new flow begins with it any more ... */
	CHECK_STR(text_of(n, held), "x.example"); /* ... but the old one keeps it */
	names_hold(n, held);
	names_release(n, held);
	for (i = 0; i < 10; i++)
		learn(n, 1, 2000 + i, "z.example", 600, 1700);
	CHECK_STR(text_of(n, held), "x.example");
	names_release(n, held);
	for (i = 0; i < 4; i++)
		learn(n, 1, 3000 + i, "z.example", 600, 1800);
	CHECK_STR(name_at(n, 1, 0, 1005), "");
	names_hold(n, NAMES_NONE);
	names_release(n, NAMES_NONE);
	CHECK_INT(names_stats(n)->names, 4);
	names_free(n);
}

/* All held: nothing is learnt, and that is counted; what is replaced while held goes with its
 * release. */
static void test_all_held(void)
{
	struct names *n = table(NAMES_PER_ADDRESS + 1);
	uint32_t ids[NAMES_PER_ADDRESS + 1];
	char name[32];
	int i;

	for (i = 0; i <= NAMES_PER_ADDRESS; i++) {
		snprintf(name, sizeof(name), "n%d.example", i);
		learn(n, 1, 1, name, 600, 1000);
		ids[i] = lookup(n, 1, 1, 1000);
		names_hold(n, ids[i]);
	}
	CHECK_STR(text_of(n, ids[0]), "n0.example"); /* not found any more, but held */
	learn(n, 1, 2, "more.example", 600, 1000);
	CHECK_INT(names_stats(n)->full, 1);
	CHECK_STR(name_at(n, 1, 2, 1001), "");
	for (i = 0; i <= NAMES_PER_ADDRESS; i++)
		names_release(n, ids[i]);
	CHECK_INT(names_stats(n)->names, NAMES_PER_ADDRESS);
	learn(n, 1, 2, "more.example", 600, 1000);
	CHECK_STR(name_at(n, 1, 2, 1001), "more.example");
	names_free(n);
}

/* Against a plain list, with holds in between. */
static void test_random(void)
{
	enum { ADDRS = 40, STEPS = 20000, HELD = 8 };
	static uint64_t newest[ADDRS];
	struct names *n = table(ADDRS);
	uint32_t seed = 7, held[HELD], i, id;
	char name[32], want[HELD][32];

	for (i = 0; i < HELD; i++)
		held[i] = NAMES_NONE;
	for (i = 1; i < STEPS; i++) {
		uint32_t r = (seed = seed * 1664525 + 1013904223) >> 8, slot = r % HELD;
		int addr = (int)(r / 8 % ADDRS);

		if (r % 3) {
			snprintf(name, sizeof(name), "a%d.example", addr);
			learn(n, 1, addr, name, 100, i);
			newest[addr] = i;
			continue;
		}
		id = lookup(n, 1, addr, i);
		if (id == NAMES_NONE || !newest[addr] || i >= newest[addr] + 100) {
			CHECK(id == NAMES_NONE);
			continue;
		}
		if (held[slot] != NAMES_NONE)
			CHECK_STR(text_of(n, held[slot]), want[slot]);
		names_release(n, held[slot]);
		names_hold(n, id);
		held[slot] = id;
		snprintf(want[slot], sizeof(want[slot]), "a%d.example", addr);
		CHECK_STR(text_of(n, id), want[slot]);
	}
	CHECK(names_stats(n)->names <= ADDRS);
	names_free(n);
}

/* --- fed by DNS messages
 * ---------------------------------------------------------------------------- */

struct feed {
	struct local local; /* empty */
	struct names *names;
	struct points *points;
	struct dns_pending *dns;
	struct flow_key key;
	uint64_t now_ns;
};

static void ignore_point(void *ctx, const struct point *p)
{
	(void)ctx;
	(void)p;
}

static void ignore_end(void *ctx, uint64_t cycle_end_ns)
{
	(void)ctx;
	(void)cycle_end_ns;
}

static void feed_open(struct feed *f)
{
	struct points_config pc = {.max_netflow = 16,
				   .max_transactions = 64,
				   .dns_domain = true,
				   .sink = {.put = ignore_point, .end = ignore_end}};
	struct dns_pending_config dc = {.max_pending = 16, .timeout_ns = 5 * S};
	struct ip_addr client = v4(10, 0, 0, 1), server = v4(10, 0, 0, 53);

	if (local_init(&f->local))
		abort();
	pc.local = dc.local = &f->local;
	f->names = dc.names = table(16);
	f->points = dc.points = points_new(&pc);
	f->dns = dns_pending_new(&dc);
	if (!f->points || !f->dns)
		abort();
	memset(&f->key, 0, sizeof(f->key));
	memcpy(&f->key.w[0], client.b, 16);
	memcpy(&f->key.w[2], server.b, 16);
	f->key.w[4] = 40000 | 53U << 16 | 17ULL << 32;
	f->now_ns = TIME * S;
}

static void feed_close(struct feed *f)
{
	dns_pending_free(f->dns);
	points_free(f->points);
	names_free(f->names);
	local_destroy(&f->local);
}

static uint8_t *put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
	return p + 2;
}

static uint8_t *put_record(uint8_t *p, const char *owner, uint32_t type, uint32_t ttl_s,
			   const void *data, size_t len)
{
	p += wire(owner, p);
	p = put16(put16(p, type), 1);
	p = put16(put16(p, 0), ttl_s);
	p = put16(p, (uint32_t)len);
	memcpy(p, data, len);
	return p + len;
}

/* A query, or an answer with a CNAME to cdn.test and the address 93.0.0.`addr` there. */
static void message(struct feed *f, bool response, uint32_t id, const char *name, int addr,
		    uint32_t rcode)
{
	uint8_t msg[512] = {0}, *p = msg, alias[64], v4_bytes[4] = {93, 0, 0, (uint8_t)addr};

	p = put16(put16(p, id), (response ? 0x8180U : 0x100U) | rcode);
	p = put16(put16(p, 1), response && !rcode ? 2 : 0);
	p = put16(put16(p, 0), 0);
	p += wire(name, p);
	p = put16(put16(p, 1), 1);
	if (response && !rcode) {
		p = put_record(p, name, 5, 300, alias, wire("cdn.test", alias));
		p = put_record(p, "cdn.test", 1, 3600, v4_bytes, 4);
	}
	CHECK(dns_pending_message(f->dns, &f->key, response ? 1 : 0, 1234567, msg,
				  (size_t)(p - msg), true, f->now_ns));
}

static void test_learning(void)
{
	struct feed f;

	feed_open(&f);
	message(&f, false, 7, "www.shop.test", 0, 0);
	message(&f, true, 7, "www.shop.test", 5, 0);
	CHECK_STR(name_at(f.names, 1, 5, TIME + 299),
		  "www.shop.test");                        /* the question, not the CNAME */
	CHECK_STR(name_at(f.names, 1, 5, TIME + 300), ""); /* the smallest TTL of the chain */
	message(&f, true, 7, "www.shop.test", 6, 0);       /* a second answer */
	CHECK_STR(name_at(f.names, 1, 6, TIME), "");
	feed_close(&f);
}

/* Poisoning: another id, another name, an error, too late, never asked. */
static void test_unmatched(void)
{
	struct feed f;

	feed_open(&f);
	message(&f, true, 1, "bank.test", 1, 0);
	message(&f, false, 2, "www.test", 0, 0);
	message(&f, true, 3, "www.test", 2, 0);
	message(&f, true, 2, "bank.test", 3, 0);
	message(&f, true, 2, "www.test", 4, 3);
	message(&f, false, 5, "late.test", 0, 0);
	f.now_ns += 6 * S;
	message(&f, true, 5, "late.test", 5, 0);
	CHECK_INT(names_stats(f.names)->learnt, 0);
	feed_close(&f);
}

static void test_not_learnt(void)
{
	struct ip_addr client = v4(10, 0, 0, 1), nowhere = v4(0, 0, 0, 0), addr = v4(93, 0, 0, 1),
		       none;
	struct names *n = table(4);
	uint8_t name[DNS_NAME_MAX + 1] = {1, 'a', 0};

	memset(&none, 0, sizeof(none));
	names_learn(n, &client, &nowhere, name, 3, 60, S);
	names_learn(n, &client, &none, name, 3, 60, S);
	names_learn(n, &client, &addr, name + 2, 1, 60, S);
	names_learn(n, &client, &addr, name, DNS_NAME_MAX + 1, 60, S);
	CHECK_INT(names_stats(n)->learnt, 0);
	names_free(n);
	CHECK(!names_new(0));
}

TEST_MAIN({"expiry", test_expiry}, {"shared address", test_shared_address}, {"full", test_full},
	  {"all held", test_all_held}, {"random", test_random}, {"learning", test_learning},
	  {"unmatched answers", test_unmatched}, {"not learnt", test_not_learnt})
