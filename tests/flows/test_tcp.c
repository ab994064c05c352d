/* test_tcp.c - flows/tcp.c: handshakes in every order, ends, retransmissions, round-trip times, as
 * conversations and the netflow point that they give. Each is played with both canonical orders of
 * the ends, with sequence numbers that wrap, and over IPv6.
 */
#include "flows/tcp.h"

#include "tests/flows/script.h"
#include "tests/test.h"

#define OPEN "c S 0 0; +10 s SA 0 1; +10 c A 1 1; "

struct tcp_case {
	const char *name, *script, *want;
};

static void play_variant(const struct tcp_case *t, int variant)
{
	static struct script s;
	struct engine_config c;
	struct record r;
	struct words w;

	script_config(&c, &r);
	script_init(&s, script_engine(&c), PROTO_TCP, 7777);
	if (variant & 1)
		s.addr[0] = IP4(10, 0, 0, 9);
	if (variant & 2) {
		s.isn[0] = 0xffffffff;
		s.isn[1] = 0xffffffff - 60;
	}
	s.ipv6 = variant & 4;
	script_play(&s, t->script);
	engine_finish(s.e, 0);
	engine_free(s.e);
	record_words(&r, true, &w);
	if (!test_check(!strcmp(w.text + (w.len > 0), t->want), t->name, __FILE__, __LINE__))
		printf("    got    \"%s\"\n    wanted \"%s\" (variant %d)\n", w.text + 1, t->want,
		       variant);
	CHECK_MSG(!r.broken, "%s: %s", t->name, r.broken);
	record_free(&r);
}

static void play_all(const struct tcp_case *cases, size_t n)
{
	size_t i;
	int variant;

	for (i = 0; i < n; i++)
		for (variant = 0; variant < 8; variant++)
			play_variant(&cases[i], variant);
}

#define PLAY_ALL(cases) play_all(cases, sizeof(cases) / sizeof((cases)[0]))

static void test_handshake(void)
{
	static const struct tcp_case cases[] = {
	    {"in order", OPEN, "packets 2/1 established 1 connect 10000 rtt 10000"},
	    {"SYN-ACK captured before SYN", "s SA 0 1; +1 c S 0 0; +9 c A 1 1",
	     "packets 2/1 established 1"},
	    {"ACK before SYN-ACK", "c S 0 0; +5 c A 1 1; +5 s SA 0 1",
	     "packets 2/1 established 1 connect 10000 rtt 10000"},
	    {"ACK first, then SYN-ACK and SYN", "c A 1 1; s SA 0 1; c S 0 0",
	     "packets 2/1 established 1"},
	    {"data first, then the handshake", "c PA 1 1 100; c S 0 0; s SA 0 1; c A 1 1",
	     "bytes 100/0 packets 3/1 established 1 connect 0 rtt 0"},
	    {"SYN again: no RTT from it, latency from the first one",
	     "c S 0 0; +1000 c S 0 0; +10 s SA 0 1; +10 c A 1 1",
	     "packets 3/1 established 1 syn-again 1 connect 1010000"},
	    {"SYN-ACK again", "c S 0 0; +10 s SA 0 1; +1000 s SA 0 1; +10 c A 1 1",
	     "packets 2/2 established 1 connect 10000 rtt 10000"},
	    {"refused", "c S 0 0; +10 s RA 0 1", "packets 1/1 failed 1"},
	    {"refused three times",
	     "c S 0 0; s RA 0 1; +500 c S 0 0; s RA 0 1; +500 c S 0 0; s RA 0 1",
	     "packets 3/3 syn-again 2 failed 1"},
	    {"no answer", "c S 0 0; +1000 c S 0 0; +2000 c S 0 0",
	     "packets 3/0 syn-again 2 failed 1"},
	    {"half open scan", "c S 0 0; s SA 0 1; c R 1 0",
	     "packets 2/1 failed 1 connect 0 rtt 0"},
	    {"data in the SYN (fast open)", "c S 0 0 30; +10 s SA 0 31; +10 c PA 31 1 10",
	     "bytes 40/0 packets 2/1 established 1 connect 10000 rtt 10000"},
	    {"already open", "c PA 500 900 100; s PA 900 600 50; c A 600 950",
	     "bytes 100/50 packets 2/1 rtt 0"},
	    {"already open and closed", "c PA 500 900 100; c FA . .; s FA 900 601; c A . .",
	     "bytes 100/0 packets 3/1 closed 1 rtt 0"},
	};

	PLAY_ALL(cases);
}

/* Which of the two is the client of a simultaneous open is no fact; that there was one connection
 * is. */
static void test_simultaneous(void)
{
	static struct script s;
	struct engine_config c;
	struct record r;

	script_config(&c, &r);
	script_init(&s, script_engine(&c), PROTO_TCP, 7777);
	script_play(&s, "c S 0 0; s S 0 0; +10 c SA 0 1; s SA 0 1; +10 c PA 1 1 5; s PA 1 6 7;"
			"c FA . .; s FA . .; c A . .");
	engine_finish(s.e, 0);
	engine_free(s.e);
	CHECK_INT(r.net.tcp_established, 1);
	CHECK_INT(r.net.tcp_closed, 1);
	CHECK_INT(r.net.tcp_connect_failed, 0);
	CHECK_INT(r.net.bytes_read + r.net.bytes_written, 12);
	record_free(&r);
}

static void test_ends(void)
{
	static const struct tcp_case cases[] = {
	    {"both FIN", OPEN "c FA . .; +1 s FA . .; c A . .",
	     "packets 4/2 established 1 closed 1 connect 10000 rtt 10000"},
	    {"FIN again", OPEN "c FA 1 1; c FA 1 1; s FA 1 2; c A . .",
	     "packets 5/2 again 1/0 established 1 closed 1 connect 10000 rtt 10000"},
	    {"half closed: the server goes on", OPEN "c FA . .; s PA 1 2 100; s PA . . 50; c A . .",
	     "bytes 0/150 packets 4/3 established 1 connect 10000 rtt 10000"},
	    {"reset by the server", OPEN "c PA . . 10; s RA 1 11",
	     "bytes 10/0 packets 3/2 established 1 closed 1 resets 1 connect 10000 rtt 8750"},
	    {"reset after both FIN counts nothing more", OPEN "c FA . .; s FA . .; c R 2 0",
	     "packets 4/2 established 1 closed 1 connect 10000 rtt 10000"},
	    {"reset twice", OPEN "s RA 1 1; s RA 1 1",
	     "packets 2/3 established 1 closed 1 resets 1 connect 10000 rtt 10000"},
	    {"a blind reset far outside the window", OPEN "s A 1 1; s R 500000000 0; c PA 1 1 10",
	     "bytes 10/0 packets 3/3 established 1 connect 10000 rtt 10000"},
	    {"a reset of a connection that nobody saw", "s R 5 0", "packets 0/1"},
	    {"the port is used again",
	     OPEN "c FA . .; s FA . .; c A . .; c S 900000 0; +10 s SA 900000 900001; +10 c A "
		  "900001 900001;"
		  "c PA . . 100",
	     "bytes 100/0 packets 7/3 established 2 closed 1 connect 10000 rtt 10000"},
	    {"used again without an end",
	     OPEN "c PA . . 7; c S 900000 0; s SA 900000 900001; c A . .",
	     "bytes 7/0 packets 5/2 established 2 closed 1 connect 5000 rtt 5000"},
	    {"used again after an attempt without an answer",
	     "c S 0 0; +1000 c S 900000 0; s RA 0 900001", "packets 2/1 failed 2"},
	};

	PLAY_ALL(cases);
}

static void test_again(void)
{
	static const struct tcp_case cases[] = {
	    {"sent again", OPEN "c PA 1 1 100; +300 c PA 1 1 100; s A 1 101",
	     "bytes 100/0 packets 4/2 again 1/0 established 1 connect 10000 rtt 10000"},
	    {"sent again, more of it", OPEN "c PA 1 1 100; +300 c PA 1 1 150",
	     "bytes 150/0 packets 4/1 again 1/0 established 1 connect 10000 rtt 10000"},
	    {"reordered", OPEN "c PA 101 1 100; +1 c PA 1 1 100",
	     "bytes 200/0 packets 4/1 established 1 connect 10000 rtt 10000"},
	    {"a lost segment comes later", OPEN "c PA 101 1 100; +500 c PA 1 1 100",
	     "bytes 200/0 packets 4/1 again 1/0 established 1 connect 10000 rtt 10000"},
	    {"keep-alive with a byte", OPEN "c PA 1 1 100; s A 1 101; +60 c A 100 1 1; s A 1 101",
	     "bytes 100/0 packets 4/3 established 1 connect 10000 rtt 8750"},
	    {"keep-alive without", OPEN "c PA 1 1 100; +60 c A 100 1",
	     "bytes 100/0 packets 4/1 established 1 connect 10000 rtt 10000"},
	    {"keep-alive before any data", OPEN "+60 c A 0 1 1; s A 1 1",
	     "packets 3/2 established 1 connect 10000 rtt 10000"},
	    {"zero window probe, taken with the rest", OPEN "c PA 1 1 1; +300 c PA 1 1 100",
	     "bytes 100/0 packets 4/1 established 1 connect 10000 rtt 10000"},
	    {"overlap on both sides", OPEN "c A 101 1 100; +500 c A 51 1 200; +500 c A 1 1 60",
	     "bytes 250/0 packets 5/1 again 2/0 established 1 connect 10000 rtt 10000"},
	    {"without a SYN, backwards",
	     "c A 301 1 100; c A 201 1 100; c A 101 1 100; c A 101 1 100",
	     "bytes 300/0 packets 4/0 again 1/0"},
	    {"without a SYN, a hole below", "c A 301 1 100; c A 101 1 100; +500 c A 101 1 300",
	     "bytes 300/0 packets 3/0 again 1/0"},
	};

	PLAY_ALL(cases);
}

static void test_rtt(void)
{
	static const struct tcp_case cases[] = {
	    {"by sequence number, smoothed by 1/8", OPEN "c PA 1 1 10; +90 s A 1 11",
	     "bytes 10/0 packets 3/2 established 1 connect 10000 rtt 20000"},
	    {"Karn: an answer to two copies says nothing",
	     OPEN "c PA 1 1 10; +200 c PA 1 1 10; +1 s A 1 11",
	     "bytes 10/0 packets 4/2 again 1/0 established 1 connect 10000 rtt 10000"},
	    {"timestamps: which copy was answered",
	     OPEN "c PA 1 1 10 ts=500,1; +200 c PA 1 1 10 ts=700,1; +1 s A 1 11 ts=9,700",
	     "bytes 10/0 packets 4/2 again 1/0 established 1 connect 10000 rtt 10000"},
	    {"timestamps: the first copy was",
	     OPEN "c PA 1 1 10 ts=500,1; +89 c PA 1 1 10 ts=700,1;"
		  "+1 s A 1 11 ts=9,500",
	     "bytes 10/0 packets 4/2 again 1/0 established 1 connect 10000 rtt 20000"},
	    {"no measurement, no rtt", "c PA 1 1 10; c PA 11 1 10", "bytes 20/0 packets 2/0"},
	    /* the clock of a measurement ticks each 1,024 ns */
	    {"without a handshake", "c PA 1 1 10; +40 s A 1 11",
	     "bytes 10/0 packets 1/1 rtt 39999"},
	};

	PLAY_ALL(cases);
}

/* What POINTS.md promises whatever comes: random flags and numbers over a few connections. */
static void test_counts_agree(void)
{
	static struct script s;
	struct engine_config c;
	struct record r;
	uint32_t seed = 12345, i, run;

	for (run = 0; run < 200; run++) {
		uint64_t sent = 0;

		script_config(&c, &r);
		script_init(&s, script_engine(&c), PROTO_TCP, 7777);
		for (i = 0; i < 100; i++) {
			uint32_t x = build_random(&seed);
			struct script_segment g = {.who = x & 1,
						   .flags = (uint8_t)(x >> 8 & 0x17),
						   .seq = x >> 16 & 0x3ff,
						   .ack = x >> 20 & 0x3ff,
						   .len = x >> 27};

			s.time_ns += (x & 0xfff) * 1000000ULL;
			sent += g.len;
			script_tcp(&s, &g);
		}
		engine_finish(s.e, 0);
		CHECK_INT(r.net.packets_read + r.net.packets_written, 100);
		CHECK(r.net.bytes_read + r.net.bytes_written <= sent);
		CHECK(r.net.tcp_resets <= r.net.tcp_closed);
		CHECK(!r.broken);
		engine_free(s.e);
		record_free(&r);
	}
}

TEST_MAIN({"handshakes in every order", test_handshake},
	  {"both ends open at once", test_simultaneous}, {"ends and port reuse", test_ends},
	  {"segments sent again", test_again}, {"round-trip times", test_rtt},
	  {"random segments keep the counts' rules", test_counts_agree})
