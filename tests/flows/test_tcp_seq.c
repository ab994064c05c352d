/* test_tcp_seq.c - flows/tcp_seq.c against a naive model, a set of the positions seen: random
 * segments around wrapping sequence numbers, with and without a SYN; then its bounds.
 */
#include "flows/tcp.h"

#include "tests/flows/build.h"
#include "tests/test.h"

enum { POSITIONS = 4096 };

struct end_state {
	struct tcp t;
	struct flow f;
	struct flow_cold c;
	uint64_t bytes;
};

static void end_init(struct end_state *s, size_t holes)
{
	memset(s, 0, sizeof(*s));
	CHECK(tcp_init(&s->t, holes) == 0);
	s->c.holes[0] = s->c.holes[1] = FLOW_NONE;
}

/* A segment by way of tcp_update(), which has the quick way for what is simply next. */
static void segment(struct end_state *s, uint8_t flags, uint32_t seq, uint32_t len)
{
	struct packet pkt;

	memset(&pkt, 0, sizeof(pkt));
	pkt.tcp_flags = flags;
	pkt.seq = seq;
	pkt.payload_len = len;
	pkt.packets = 1;
	pkt.time_ns = 1000000000;
	tcp_update(&s->t, &s->f, &s->c, &pkt);
	s->bytes += s->f.bytes[0];
	s->f.bytes[0] = 0;
}

static uint32_t holes_in_use(const struct tcp *t)
{
	uint32_t n = t->free, unused = 0;

	while (n != FLOW_NONE) {
		unused++;
		n = t->holes[n].next;
	}
	return t->unused_from - unused;
}

/* Segments of up to `most` bytes; few holes at a time, so that none is forgotten. */
static void random_run(uint32_t base, bool syn, uint32_t most, uint32_t *seed)
{
	static uint8_t seen[POSITIONS];
	struct end_state s;
	uint32_t want = 0, i, at;

	memset(seen, 0, sizeof(seen));
	end_init(&s, 256);
	if (syn)
		segment(&s, TCP_SYN, base - 1, 0);
	for (i = 0; i < 400; i++) {
		uint32_t start = build_random(seed) % (POSITIONS - most);
		uint32_t len = build_random(seed) % most;

		/* positions in steps of 64: at most 64 runs, so at most 64 holes */
		start &= ~63U;
		len = (len + 63) & ~63U;
		segment(&s, TCP_ACK, base + start, len);
		for (at = start; at < start + len; at++)
			if (!seen[at]) {
				seen[at] = 1;
				want++;
			}
		if (!test_check(s.bytes == want, "bytes are the model's", __FILE__, __LINE__)) {
			printf("    got %u, wanted %u after %u segments, base %u, syn %d\n",
			       (unsigned int)s.bytes, want, i + 1, base, syn);
			break;
		}
	}
	CHECK_INT(s.t.forgotten, 0);
	tcp_seq_reset(&s.t, &s.c);
	CHECK_INT(holes_in_use(&s.t), 0);
	CHECK_INT(s.c.hole_count[0], 0);
	tcp_destroy(&s.t);
}

static void test_model(void)
{
	static const uint32_t bases[] = {1,          5000,       0x7ffff000, 0x7fffff00,
					 0xfffff000, 0xfffffff0, 0};
	uint32_t seed = 4711, run, i;

	for (run = 0; run < 20; run++)
		for (i = 0; i < sizeof(bases) / sizeof(bases[0]); i++) {
			random_run(bases[i], true, 200, &seed);
			random_run(bases[i], false, 200, &seed);
			random_run(bases[i], true, 1500, &seed);
			random_run(bases[i], false, 1500, &seed);
		}
}

/* A SYN that comes after later segments opens the hole in front of them. */
static void test_late_syn(void)
{
	struct end_state s;

	end_init(&s, 16);
	segment(&s, TCP_ACK, 101, 100);
	segment(&s, TCP_SYN, 0, 0);
	segment(&s, TCP_ACK, 1, 100);
	CHECK_INT(s.bytes, 200);
	segment(&s, TCP_ACK, 1, 200);
	segment(&s, TCP_ACK, 0, 1); /* keep-alive at the SYN's own number */
	CHECK_INT(s.bytes, 200);
	tcp_destroy(&s.t);
}

/* More holes than are kept: nothing is counted twice, what is forgotten is counted less, and said.
 */
static void test_many_holes(void)
{
	struct end_state s;
	uint32_t i;

	end_init(&s, 1024);
	segment(&s, TCP_SYN, 0xfffffff0, 0);
	for (i = 0; i < 200; i++)
		segment(&s, TCP_ACK, 0xfffffff1 + 20 * i + 10, 10);
	CHECK_INT(s.bytes, 2000);
	CHECK_INT(s.c.hole_count[0], TCP_HOLES_PER_END);
	CHECK_INT(s.t.forgotten, 200 - TCP_HOLES_PER_END);
	CHECK_INT(holes_in_use(&s.t), TCP_HOLES_PER_END);
	for (i = 0; i < 200; i++)
		segment(&s, TCP_ACK, 0xfffffff1 + 20 * i, 20);
	CHECK_INT(s.bytes, 2000 + 10 * TCP_HOLES_PER_END);
	CHECK_INT(holes_in_use(&s.t), 0);
	tcp_destroy(&s.t);
}

/* A hole cut in two where no more are kept, at each place of the list. */
static void test_split_when_full(void)
{
	uint32_t which, i;

	for (which = 0; which < TCP_HOLES_PER_END; which++) {
		struct end_state s;

		end_init(&s, 1024);
		segment(&s, TCP_SYN, 0, 0);
		for (i = 0; i < TCP_HOLES_PER_END; i++)
			segment(&s, TCP_ACK, 1 + 40 * i + 30, 10);
		segment(&s, TCP_ACK, 1 + 40 * which + 10, 10);
		CHECK_INT(s.bytes, 10 * TCP_HOLES_PER_END + 10);
		CHECK_INT(s.c.hole_count[0], TCP_HOLES_PER_END);
		CHECK_INT(holes_in_use(&s.t), TCP_HOLES_PER_END);
		segment(&s, TCP_ACK, 1, 40 * TCP_HOLES_PER_END);
		CHECK_INT(holes_in_use(&s.t), 0);
		/* one hole of 30 bytes was forgotten, or one half of the one that was cut */
		CHECK_INT(s.bytes, 40 * TCP_HOLES_PER_END - (which ? 30 : 10));
		tcp_destroy(&s.t);
	}
}

/* The pool for all is empty: counted less, and said. */
static void test_empty_pool(void)
{
	struct end_state s;
	uint32_t i;

	end_init(&s, 4);
	segment(&s, TCP_SYN, 0, 0);
	for (i = 0; i < 10; i++)
		segment(&s, TCP_ACK, 1 + 20 * i + 10, 10);
	CHECK_INT(s.bytes, 100);
	CHECK_INT(s.t.forgotten, 6);
	segment(&s, TCP_ACK, 1, 200);
	CHECK_INT(s.bytes, 140);
	tcp_destroy(&s.t);
}

/* Many gigabytes: a hole from long ago is not mistaken for one ahead. */
static void test_long_stream(void)
{
	struct end_state s;
	uint64_t want = 0;
	uint32_t seq = 1, i;

	end_init(&s, 16);
	segment(&s, TCP_SYN, 0, 0);
	segment(&s, TCP_ACK, seq + 100, 100); /* its hole never fills */
	seq += 200;
	want += 100;
	for (i = 0; i < 400000; i++) {
		segment(&s, TCP_ACK, seq, 60000);
		if (i % 1000 == 0)
			segment(&s, TCP_ACK, seq + 60000 - 1460, 1460);
		seq += 60000;
		want += 60000;
	}
	CHECK_INT(s.bytes, want);
	CHECK_INT(s.c.retransmits[0], 400);
	tcp_destroy(&s.t);
}

/* What is missing below a position, also in holes that were given up: 10 bytes of each 20. */
static void missing_below(size_t pool, uint32_t base, uint32_t holes)
{
	struct end_state s;
	uint32_t i, stop;

	end_init(&s, pool);
	CHECK_INT(tcp_keep_lost(&s.t, &s.c, 1), 0);
	segment(&s, TCP_SYN, base - 1, 0);
	for (i = 0; i < holes; i++)
		segment(&s, TCP_ACK, base + 20 * i + 10, 10);
	CHECK_INT(tcp_seq_below(&s.t, &s.f, &s.c, 0, base), 0);
	CHECK_INT(tcp_seq_below(&s.t, &s.f, &s.c, 0, base + 20 * holes), 10 * holes);
	if (!s.t.forgotten) {
		CHECK_INT(tcp_seq_below(&s.t, &s.f, &s.c, 0, base + 24), 14);
		CHECK_INT(tcp_seq_below(&s.t, &s.f, &s.c, 0, base + 30), 20);
		CHECK_INT(tcp_seq_below(&s.t, &s.f, &s.c, 0, base + 35), 20);
	}
	/* up to 5 bytes of the last hole, then that one comes as a whole */
	stop = base + 20 * (holes - 1) + 5;
	CHECK_INT(tcp_seq_below(&s.t, &s.f, &s.c, 0, stop), 10 * holes - 5);
	tcp_seq_take(&s.t, &s.f, &s.c, 0, stop);
	CHECK_INT(tcp_seq_below(&s.t, &s.f, &s.c, 0, stop), 0);
	CHECK_INT(tcp_seq_below(&s.t, &s.f, &s.c, 0, base + 20 * holes), 5);
	CHECK_INT(holes_in_use(&s.t), 1);
	segment(&s, TCP_ACK, base, 20 * holes);
	CHECK_INT(s.bytes, 10 * holes + 5);
	CHECK_INT(tcp_seq_below(&s.t, &s.f, &s.c, 0, base + 20 * holes), 0);
	CHECK_INT(holes_in_use(&s.t), 0);
	CHECK(!(s.f.state & FLOW_LOST));
	tcp_destroy(&s.t);
}

static void test_below(void)
{
	missing_below(1024, 1, 3);
	missing_below(1024, 0xfffffff0, 3);
	missing_below(1024, 5000, TCP_HOLES_PER_END);
	missing_below(1024, 5000, 5 * TCP_HOLES_PER_END);
	missing_below(1024, 0xfffff000, 5 * TCP_HOLES_PER_END);
}

TEST_MAIN({"each position once, as the model", test_model},
	  {"a SYN that comes late", test_late_syn}, {"more holes than are kept", test_many_holes},
	  {"cut a hole when there is no more room", test_split_when_full},
	  {"no hole left for anybody", test_empty_pool}, {"missing below", test_below},
	  {"24 GB of one stream", test_long_stream})
