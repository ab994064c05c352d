/* test_kernel.c - flows/kernel.c: which flows are made of a sample, connects that fail, datagrams,
 * and that every packet stays accounted for.
 */
#include "flows/kernel.h"

#include "tests/flows/kernel_world.h"

/* A flow is made by the first list only, and it is nobody's business when it is left out. */
static void count_new(void *ctx, const struct engine_begin *b, uint32_t owner[2])
{
	CHECK(!b->syn && !owner[0] && !owner[1]);
	*(int *)ctx += b->ends != 0;
}

static void test_made_of_a_sample(void)
{
	static struct world w;
	static const uint16_t ports[] = {80};
	struct exclude_rule rule = {.ports = ports, .nports = 1};
	struct exclude x = {&rule, 1};
	struct engine_config c;
	struct kernel_sample s;
	struct engine *e;
	int made = 0;

	world_init(&w, "made", LOCAL_CLIENT, 0);
	s = told(&w, CLIENT, 0);
	CHECK(!give(&w, &s));
	CHECK_INT(engine_kernel_stats(w.narrow.e)->unmatched, 1);
	world_config(&w, &c, &w.some);
	c.new_flow = count_new;
	c.owner_ctx = &made;
	c.before_end = NULL;
	e = script_engine(&c);
	{
		struct ip_net nets[2];
		size_t n;

		ends_of(&w, nets, &n);
		CHECK_INT(engine_set_local(e, nets, n), 0);
	}
	s.has |= KERNEL_OLD;
	CHECK(engine_kernel_sample(e, &s) && engine_kernel_sample(e, &s));
	CHECK_INT(made, 1);
	CHECK_INT(engine_stats(e)->flows_active, 1);
	engine_set_exclude(e, &x);
	s.key.w[4] ^= 1 << 8; /* another port of the client's */
	CHECK(engine_kernel_sample(e, &s));
	s.sent += 1000;
	CHECK(engine_kernel_sample(e, &s));
	CHECK_INT(made, 1);
	engine_finish(e, 0);
	CHECK_INT(w.some.n, 0);
	engine_free(e);
	world_finish(&w);
	record_free(&w.some);
	record_free(&w.all);
}

/* --- connects that fail
 * ---------------------------------------------------------------------------- */

enum { ERRNO_REFUSED = 111, ERRNO_TIMEOUT = 110, ERRNO_NOADDR = 99 };

static void fail(struct world *w, uint16_t error, uint32_t has)
{
	struct kernel_sample s = told(w, CLIENT, has | KERNEL_ERROR);

	s.has = has | KERNEL_ERROR;
	s.connect_error = error;
	give(w, &s);
}

static void attempt(struct world *w, const char *events)
{
	for (; *events; events++) {
		switch (*events) {
		case 'S':
			w->next[0] = w->next[1] = 0;
			seg(w, CLIENT, TCP_SYN, 0, NULL);
			break;
		case 'A':
			seg(w, SERVER, TCP_SYN | TCP_ACK, 0, NULL);
			break;
		case 'R':
			seg(w, SERVER, TCP_RST | TCP_ACK, 0, NULL);
			break;
		case 'r': /* no socket is there any more */
			seg(w, CLIENT, TCP_RST, 0, NULL);
			break;
		case 'e':
			fail(w, ERRNO_REFUSED, 0);
			break;
		case 't':
			fail(w, ERRNO_TIMEOUT, 0);
			break;
		case 'n':
			fail(w, ERRNO_NOADDR, KERNEL_NO_PACKET);
			break;
		case '+':
			new_isns(w, 100000);
			break;
		default: /* '.': a while */
			wait_ns(w, 12 * S);
			engine_tick(w->narrow.e, w->narrow.time_ns);
		}
	}
}

static void test_connect_errors(void)
{
	static const struct {
		const char *events;
		int local;
		const char *want;
	} cases[] = {
	    {"SRe", LOCAL_CLIENT, "failed 1 errno 111 packets 1/1"},
	    {"SeR", LOCAL_CLIENT, "failed 1 errno 111 packets 1/1"},
	    {"SRee", LOCAL_CLIENT, "failed 1 errno 111 packets 1/1"},
	    {"SR", LOCAL_CLIENT, "packets 1/1 failed 1"},
	    {"SR..e", LOCAL_CLIENT, "packets 1/1 failed 1"}, /* of two cycles */
	    {"SR.e", LOCAL_BOTH, "packets 1/1 failed 1"},
	    {"SRe", LOCAL_BOTH, "failed 1 errno 111 packets 1/1"},
	    {"SR", LOCAL_SERVER, "packets 1/1 failed 1"}, /* the client's kernel is elsewhere */
	    {"SSSt", LOCAL_CLIENT, "failed 1 errno 110 packets 3/0 syn-again 2"},
	    {"Sn", LOCAL_CLIENT, "failed 1 errno 99 packets 1/0 failed 1"},
	    {"n", LOCAL_CLIENT, "failed 1 errno 99"},
	    {"nn", LOCAL_CLIENT, "failed 2 errno 99"},
	    {"SRe+SRe", LOCAL_CLIENT, "failed 2 errno 111 packets 2/2"},
	    {"SRe+S+SRe+St", LOCAL_CLIENT,
	     "failed 2 errno 111 packets 4/2 failed 1 failed 1 errno 110"},
	    {"S.t", LOCAL_CLIENT, "packets 1/0 failed 1 errno 110"}, /* a cycle of its own */
	    {"SAr", LOCAL_CLIENT, "packets 2/1 failed 1 connect 1000 rtt 1000"},
	    /* the server's socket has taken the ACK, which is not handed over */
	    {"SAR", LOCAL_CLIENT,
	     "packets 1/2 established 1 closed 1 resets 1 connect 1000 rtt 1000"},
	    {"e", LOCAL_CLIENT, ""},
	};
	static struct world w;
	struct words text;
	char *at;
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		world_init(&w, cases[i].events, cases[i].local, 0);
		engine_set_connect_errors(w.narrow.e, true);
		attempt(&w, cases[i].events);
		world_finish(&w);
		record_words(&w.some, true, &text);
		while ((at = strstr(text.text, " no peer")))
			memmove(at, at + 8, strlen(at + 8) + 1);
		if (!test_check(!strcmp(text.text + !!text.text[0], cases[i].want), cases[i].events,
				__FILE__, __LINE__))
			printf("    got    \"%s\"\n    wanted \"%s\"\n", text.text, cases[i].want);
		CHECK_MSG(!w.some.broken, "%s: %s", cases[i].events, w.some.broken);
		record_free(&w.some);
		record_free(&w.all);
	}
}

/* --- datagrams
 * ------------------------------------------------------------------------------------- */

static void datagrams(struct engine *e, const struct script *s, int who, uint16_t iface,
		      uint64_t from_ms, uint64_t to_ms, uint64_t packets)
{
	struct kernel_datagrams d = {.iface = iface,
				     .packets = packets,
				     .bytes = packets * 100,
				     .first_ns = SCRIPT_TIME + from_ms * MS,
				     .last_ns = SCRIPT_TIME + to_ms * MS};
	int client = key_of(s, &d.key);

	d.end = (uint8_t)(who == CLIENT ? client : 1 - client);
	engine_kernel_datagrams(e, &d);
}

static void test_datagrams(void)
{
	static const uint16_t ports[] = {9001};
	static struct script s;
	struct exclude_rule rule = {.ports = ports, .nports = 1};
	struct exclude x = {&rule, 1};
	const struct engine_stats *st;
	struct engine_config c;
	struct record r;

	script_config(&c, &r);
	c.exclude = &x;
	script_init(&s, script_engine(&c), PROTO_UDP, 9000);
	engine_tick(s.e, SCRIPT_TIME);
	datagrams(s.e, &s, CLIENT, 2, 0, 10, 5);
	datagrams(s.e, &s, CLIENT, 3, 0, 10, 5); /* the same on a bridge */
	datagrams(s.e, &s, SERVER, 3, 1, 9, 4);
	datagrams(s.e, &s, SERVER, 2, 1, 9, 4);
	datagrams(s.e, &s, CLIENT, 3, 11, 20, 7); /* the other one is read first */
	datagrams(s.e, &s, CLIENT, 2, 11, 20, 7);
	datagrams(s.e, &s, CLIENT, 3, 25, 25, 1); /* a router's: received here ... */
	datagrams(s.e, &s, CLIENT, 2, 26, 26, 1); /* ... and sent there */
	datagrams(s.e, &s, CLIENT, 3, 1500, 1510, 1); /* the flow has moved to it */
	datagrams(s.e, &s, CLIENT, 2, 1511, 1512, 1);
	datagrams(s.e, &s, CLIENT, 3, 1600, 1700, 2);
	datagrams(s.e, &s, CLIENT, 2, 0, 0, 0);
	s.port[1] = 9001;
	datagrams(s.e, &s, CLIENT, 2, 1, 2, 50);
	st = engine_stats(s.e);
	CHECK_INT(st->packets_seen, 88);
	CHECK_INT(st->packets_parsed, 20);
	CHECK_INT(st->packets_duplicate, 18);
	CHECK_INT(st->packets_excluded, 50);
	CHECK_INT(engine_kernel_stats(s.e)->datagrams, 88);
	engine_finish(s.e, 0);
	engine_free(s.e);
	CHECK_INT(r.n, 1);
	CHECK_INT(r.net.packets_written, 16);
	CHECK_INT(r.net.bytes_written, 1600);
	CHECK_INT(r.net.packets_read, 4);
	CHECK_INT(r.net.bytes_read, 400);
	record_free(&r);
}

/* Leaving a narrowed flow out takes back what was seen, not what the kernel has told. */
static void test_excluded_flow(void)
{
	static struct world w;
	struct flow_key key;

	world_init(&w, "left out", LOCAL_CLIENT, 0);
	open_again(&w);
	bulk(&w, CLIENT, 20);
	sample(&w, 0);
	key_of(&w.narrow, &key);
	engine_exclude_flow(w.narrow.e, &key);
	sample(&w, KERNEL_CLOSED);
	CHECK_INT(engine_stats(w.narrow.e)->packets_excluded, 2);
	CHECK_INT(engine_stats(w.narrow.e)->packets_parsed, 0);
	world_finish(&w);
	CHECK_INT(w.some.n, 0);
	record_free(&w.some);
	record_free(&w.all);
}

TEST_MAIN({"made of a sample", test_made_of_a_sample}, {"connect errors", test_connect_errors},
	  {"datagrams", test_datagrams}, {"excluded flow", test_excluded_flow})
