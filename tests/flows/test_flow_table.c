/* test_flow_table.c - flows/flow_table.c: lookup, the order of eviction, time-outs per class, time
 * that jumps and steps back; against a naive model.
 */
#include "flows/flow_table.h"

#include "tests/flows/build.h"
#include "tests/test.h"

#define S 1000000000ULL

enum { FLOWS = 400 };

struct ended {
	struct flow_table t;
	uint32_t n, last;
	enum flow_end_reason reason;
	bool live[FLOWS]; /* by the flow's number in port 0 */
	uint64_t seen[FLOWS];
	enum flow_age_class class[FLOWS];
	uint64_t oldest_live_s; /* of the moment when the last one ended */
};

static void on_end(void *ctx, uint32_t n, enum flow_end_reason reason)
{
	struct ended *e = ctx;

	e->n++;
	e->last = flow_key_port(&e->t.flows[n].key, 0);
	e->reason = reason;
	e->live[e->last] = false;
}

static struct ended *start(size_t max_flows)
{
	static struct ended e;
	struct flow_table_config c = {.max_flows = max_flows,
				      .timeout_ns = {10 * S, 100 * S, 20 * S, 5 * S},
				      .end = on_end,
				      .ctx = &e};

	memset(&e, 0, sizeof(e));
	CHECK(flow_table_init(&e.t, &c) == 0);
	return &e;
}

static uint32_t see(struct ended *e, uint32_t number, uint8_t proto, uint64_t now_ns, bool *created)
{
	struct packet pkt;
	uint32_t n;

	memset(&pkt, 0, sizeof(pkt));
	pkt.key.w[4] = number | (uint64_t)proto << 32;
	pkt.hash = number % 7 ? number * 2654435761U : 42; /* some with one hash */
	pkt.time_ns = now_ns;
	n = flow_table_get(&e->t, &pkt, FLOW_NONE, created);
	e->t.flows[n].last_ns = now_ns;
	e->live[number] = true;
	e->seen[number] = now_ns / S;
	return n;
}

static void test_lookup(void)
{
	struct ended *e = start(FLOWS);
	bool created;
	uint32_t i, n[FLOWS];

	for (i = 0; i < FLOWS; i++) {
		n[i] = see(e, i, PROTO_TCP, S, &created);
		CHECK(created);
	}
	for (i = 0; i < FLOWS; i++) {
		CHECK_INT(see(e, i, PROTO_TCP, S, &created), n[i]);
		CHECK(!created);
	}
	CHECK_INT(e->t.used, FLOWS);
	flow_table_finish(&e->t);
	CHECK_INT(e->n, FLOWS);
	CHECK_INT(e->reason, FLOW_END_FINISH);
	CHECK_INT(e->t.used, 0);
	flow_table_destroy(&e->t);
}

static uint64_t least_recent(const struct ended *e)
{
	uint64_t least = UINT64_MAX;
	uint32_t i;

	for (i = 0; i < FLOWS; i++)
		if (e->live[i] && e->seen[i] < least)
			least = e->seen[i];
	return least;
}

/* Random sights, classes and seconds, no idle time-out reached: whatever is evicted was least
 * recently seen. */
static void test_eviction(void)
{
	struct ended *e = start(50);
	uint32_t seed = 3, i;
	uint64_t now = 1000 * S;
	bool created;

	for (i = 0; i < 20000; i++) {
		uint32_t x = build_random(&seed), number = x % FLOWS, n, before = e->n;
		uint64_t least = least_recent(e);
		bool new = !e->live[number];

		if (x >> 16 & 1) {
			now += (x >> 20) % 3 * S / 4;
			flow_table_advance(&e->t, now);
			if (e->n != before)
				continue;
		}
		n = see(e, number, number & 1 ? PROTO_TCP : PROTO_UDP, now, &created);
		CHECK(created == new);
		if (e->n != before) {
			CHECK_INT(e->reason, FLOW_END_EVICTED);
			CHECK_INT(e->seen[e->last], least);
		}
		if (number & 1)
			flow_table_set_class(&e->t, n,
					     x >> 24 & 1 ? FLOW_AGE_TCP : FLOW_AGE_ATTEMPT);
	}
	CHECK(e->t.evicted > 1000);
	CHECK_INT(e->t.created - e->n, e->t.used);
	flow_table_destroy(&e->t);
}

/* A flow ends after its class's time-out and not before, to two seconds. */
static void test_timeouts(void)
{
	static const uint64_t timeouts[] = {10, 100, 20, 5};
	uint32_t class, s;

	for (class = 0; class < FLOW_AGE_CLASSES; class ++) {
		struct ended *e = start(16);
		uint64_t t0 = 1000 * S;
		bool created;
		uint32_t n;

		flow_table_advance(&e->t, t0);
		n = see(e, 1, PROTO_TCP, t0, &created);
		flow_table_set_class(&e->t, n, (enum flow_age_class) class);
		for (s = 1; s <= timeouts[class] / 2; s++)
			flow_table_advance(&e->t, t0 + s * S);
		t0 += timeouts[class] / 2 * S;
		see(e, 1, PROTO_TCP, t0, &created); /* seen again: waits anew */
		CHECK(!created);
		for (s = 1; s <= timeouts[class]; s++) {
			flow_table_advance(&e->t, t0 + s * S);
			CHECK_MSG(e->n == 0, "class %u ended after %u s", class, s);
		}
		flow_table_advance(&e->t, t0 + (timeouts[class] + 2) * S);
		CHECK_INT(e->n, 1);
		CHECK_INT(e->reason, FLOW_END_IDLE);
		flow_table_destroy(&e->t);
	}
}

static void test_jumps(void)
{
	struct ended *e = start(16);
	bool created;
	uint32_t i;

	see(e, 1, PROTO_TCP, 1000 * S, &created);
	flow_table_advance(&e->t, 1000 * S);
	flow_table_advance(&e->t, 1000 * S + 20ULL * 365 * 86400 * S); /* 20 years */
	CHECK_INT(e->n, 1);
	see(e, 2, PROTO_TCP, 1000 * S, &created); /* a packet from the past */
	flow_table_advance(&e->t, 1000 * S);
	flow_table_advance(&e->t, 1050 * S);
	CHECK(e->live[2]);
	for (i = 1050; i < 1110; i++)
		flow_table_advance(&e->t, i * S);
	CHECK(!e->live[2]);
	/* back and forth at random: nothing is lost */
	for (i = 0; i < 3000; i++) {
		uint64_t now = (uint64_t)(i * 7919 % 3000) * S;

		flow_table_advance(&e->t, now);
		see(e, i % 100, i & 1 ? PROTO_TCP : PROTO_UDP, now, &created);
	}
	CHECK_INT(e->t.created - e->n, e->t.used);
	CHECK(e->t.used <= 16);
	flow_table_finish(&e->t);
	CHECK_INT(e->t.used, 0);
	CHECK_INT(e->t.created, e->n);
	flow_table_destroy(&e->t);
}

static void test_limits(void)
{
	struct flow_table_config c = {.max_flows = 1, .end = on_end};
	struct flow_table t;

	CHECK(flow_table_init(&t, &c) < 0);
	c.max_flows = ((size_t)1 << 29) + 1;
	CHECK(flow_table_init(&t, &c) < 0);
}

TEST_MAIN({"lookup", test_lookup}, {"eviction takes the least recently seen", test_eviction},
	  {"time-outs", test_timeouts}, {"time jumps", test_jumps}, {"limits", test_limits})
