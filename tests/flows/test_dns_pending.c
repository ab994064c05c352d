/* test_dns_pending.c - flows/dns_pending.c: queries and answers as conversations over UDP and the
 * transactions that they give; bounds.
 */
#include "flows/dns_pending.h"

#include "tests/flows/script.h"
#include "tests/test.h"

struct dns_case {
	const char *name, *script, *want;
	uint64_t orphans;
};

static void play(const struct dns_case *t, bool swap)
{
	static struct script s;
	struct engine_config c;
	struct record r;
	struct words w;

	script_config(&c, &r);
	script_init(&s, script_engine(&c), PROTO_UDP, 53);
	if (swap)
		s.addr[0] = IP4(10, 0, 0, 9);
	script_play(&s, t->script);
	engine_finish(s.e, 0);
	if (!test_check(!strcmp(record_words(&r, false, &w), t->want), t->name, __FILE__, __LINE__))
		printf("    got    \"%s\"\n    wanted \"%s\"\n", w.len ? w.text + 1 : "", t->want);
	CHECK_MSG(engine_stats(s.e)->dns_orphans == t->orphans, "%s: %" PRIu64 " orphans", t->name,
		  engine_stats(s.e)->dns_orphans);
	CHECK_INT(engine_stats(s.e)->dns_pending, 0);
	CHECK_MSG(!r.broken, "%s: %s", t->name, r.broken);
	engine_free(s.e);
	record_free(&r);
}

static void test_conversations(void)
{
	static const struct dns_case cases[] = {
	    {"one", "c ? 7 a.test 1; +10 s ! 7 a.test 1 0", "dns a.test 1 rcode 0 10ms", 0},
	    {"the root", "c ? 7 . 2; s ! 7 . 2 0", "dns . 2 rcode 0 0ms", 0},
	    {"a retry is no second transaction",
	     "c ? 7 a.test 1; +1000 c ? 7 a.test 1; +10 s ! 7 a.test 1 0",
	     "dns a.test 1 rcode 0 retries 1 1010ms", 0},
	    {"a duplicate answer", "c ? 7 a.test 1; +10 s ! 7 a.test 1 0; +1 s ! 7 a.test 1 0",
	     "dns a.test 1 rcode 0 10ms", 1},
	    {"an answer nobody asked for", "s ! 7 a.test 1 0", "", 1},
	    {"no answer", "c ? 7 a.test 1", "dns a.test 1 rcode -1", 0},
	    {"an answer that comes too late", "c ? 7 a.test 1; +5001 s ! 7 a.test 1 0",
	     "dns a.test 1 rcode -1", 1},
	    {"an answer just in time", "c ? 7 a.test 1; +5000 s ! 7 a.test 1 0",
	     "dns a.test 1 rcode 0 5000ms", 0},
	    {"a retry after the time-out is another transaction",
	     "c ? 7 a.test 1; +5500 c ? 7 a.test 1; +10 s ! 7 a.test 1 0",
	     "dns a.test 1 rcode -1 dns a.test 1 rcode 0 10ms", 0},
	    {"one id, two questions",
	     "c ? 7 a.test 1; c ? 7 a.test 28; +10 s ! 7 a.test 28 0; +10 s ! 7 a.test 1 3",
	     "dns a.test 28 rcode 0 10ms dns a.test 1 rcode 3 20ms", 0},
	    {"another name's answer", "c ? 7 a.test 1; s ! 7 b.test 1 0", "dns a.test 1 rcode -1",
	     1},
	    {"another id's answer", "c ? 7 a.test 1; s ! 8 a.test 1 0", "dns a.test 1 rcode -1", 1},
	    {"an error without the question", "c ? 7 a.test 1; +10 s ! 7 - 0 5",
	     "dns a.test 1 rcode 5 10ms", 0},
	    {"it goes to the oldest of that id",
	     "c ? 7 a.test 1; +1 c ? 7 b.test 1; +10 s ! 7 - 0 2",
	     "dns a.test 1 rcode 2 11ms dns b.test 1 rcode -1", 0},
	    {"letters' case does not matter", "c ? 7 A.Test 1; +10 s ! 7 a.tEST 1 0",
	     "dns a.test 1 rcode 0 10ms", 0},
	    {"the same again",
	     "c ? 7 a.test 1; +10 s ! 7 a.test 1 0; +10 c ? 7 a.test 1; +20 s ! 7 a.test 1 0",
	     "dns a.test 1 rcode 0 x2 15ms", 0},
	    {"the answer was captured first", "s ! 7 a.test 1 0; +1 c ? 7 a.test 1",
	     "dns a.test 1 rcode -1", 1},
	    {"time goes back between query and answer", "c ? 7 a.test 1; +-10 s ! 7 a.test 1 0",
	     "dns a.test 1 rcode 0", 0},
	    {"the client's port is the server's kind", "s ? 7 a.test 1; +10 c ! 7 a.test 1 0",
	     "dns a.test 1 rcode 0 10ms", 0},
	};
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		play(&cases[i], false);
		play(&cases[i], true);
	}
}

/* More at once than fit: the oldest are written as unanswered, none is lost. */
static void test_bounds(void)
{
	static struct script s;
	struct engine_config c;
	struct record r;
	uint32_t i;

	script_config(&c, &r);
	c.max_dns_pending = c.max_http_pending = 16;
	script_init(&s, script_engine(&c), PROTO_UDP, 53);
	for (i = 0; i < 1000; i++)
		script_dns(&s, 0, (uint16_t)i, "a.test", 1, false, 0);
	CHECK_INT(engine_stats(s.e)->dns_pending, 16);
	CHECK_INT(engine_stats(s.e)->dns_evicted, 984);
	for (i = 984; i < 1000; i++)
		script_dns(&s, 1, (uint16_t)i, "a.test", 1, true, 0);
	CHECK_INT(engine_stats(s.e)->dns_orphans, 0);
	engine_finish(s.e, 0);
	CHECK_INT(r.dns_count, 1000);
	CHECK(!r.broken);
	engine_free(s.e);
	record_free(&r);
}

/* Random queries, retries and answers: each query is one transaction, or a retry. */
static void test_random(void)
{
	static struct script s;
	struct engine_config c;
	struct record r;
	uint32_t seed = 21, i, queries = 0, run;
	static const char *names[] = {"a.test", "b.test", "c.d.test", "-"};

	for (run = 0; run < 50; run++) {
		script_config(&c, &r);
		c.interval_ns = 1000000000;
		script_init(&s, script_engine(&c), PROTO_UDP, 53);
		for (i = queries = 0; i < 1000; i++) {
			uint32_t x = build_random(&seed);
			bool answer = x & 1;

			s.port[0] = (uint16_t)(40000 + (x >> 1 & 1));
			s.time_ns += (x >> 8 & 0x3ff) * 1000000ULL;
			queries += !answer;
			script_dns(&s, answer, x >> 2 & 3, names[x >> 4 & 3], x >> 6 & 1 ? 1 : 28,
				   answer, 0);
		}
		engine_finish(s.e, 0);
		CHECK_INT(r.dns_count + r.dns_retries, queries);
		CHECK(!r.broken);
		engine_free(s.e);
		record_free(&r);
	}
}

TEST_MAIN({"conversations", test_conversations}, {"bounds", test_bounds},
	  {"every query is a transaction or a retry", test_random})
