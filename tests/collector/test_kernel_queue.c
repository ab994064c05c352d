/* test_kernel_queue.c - order, delay, a full queue, many blocks, a clock that goes back.
 */
#include "collector/kernel_queue.h"

#include "tests/test.h"

#define MS UINT64_C(1000000)

static struct {
	uint32_t n;
	uint32_t next; /* samples are numbered in their retransmits */
	bool in_order;
} applied;

static void count(void *ctx, const struct kernel_sample *s)
{
	CHECK(ctx == &applied);
	applied.in_order = applied.in_order && s->retransmits == applied.next;
	applied.next = s->retransmits + 1;
	applied.n++;
}

static struct kernel_queue *start(size_t most)
{
	struct kernel_queue *q;

	memset(&applied, 0, sizeof(applied));
	applied.in_order = true;
	return CHECK(kernel_queue_new(&q, most, count, &applied) == 0) ? q : NULL;
}

static void add(struct kernel_queue *q, uint32_t number, uint64_t now_ns)
{
	struct kernel_sample s;

	memset(&s, 0, sizeof(s));
	s.retransmits = number;
	kernel_queue_add(q, &s, now_ns);
}

static struct kernel_queue_stats stats(const struct kernel_queue *q)
{
	struct kernel_queue_stats s;

	kernel_queue_stats(q, &s);
	return s;
}

static void test_delay(void)
{
	struct kernel_queue *q = start(100);

	CHECK_INT(kernel_queue_due_ns(q), 0);
	kernel_queue_work(q, 5000 * MS);
	kernel_queue_flush(q);
	CHECK_INT(applied.n, 0);
	add(q, 0, 1000 * MS);
	add(q, 1, 1100 * MS);
	CHECK_INT(kernel_queue_due_ns(q), (1000 + KERNEL_DELAY_MS) * MS);
	kernel_queue_work(q, (1000 + KERNEL_DELAY_MS) * MS - 1);
	CHECK_INT(applied.n, 0);
	kernel_queue_work(q, (1000 + KERNEL_DELAY_MS) * MS);
	CHECK_INT(applied.n, 1);
	CHECK_INT(kernel_queue_due_ns(q), (1100 + KERNEL_DELAY_MS) * MS);
	CHECK_INT(stats(q).waiting, 1);
	kernel_queue_flush(q);
	CHECK_INT(applied.n, 2);
	CHECK_INT(kernel_queue_due_ns(q), 0);
	CHECK(applied.in_order);
	CHECK_INT(stats(q).early, 0);
	CHECK_INT(stats(q).most, 2);
	kernel_queue_free(q);
	kernel_queue_free(NULL);
}

/* As much again as is allowed: all arrive, the oldest first. */
static void test_full(void)
{
	struct kernel_queue *q = start(3000);
	uint32_t i;

	for (i = 0; i < 6000; i++)
		add(q, i, 1000 * MS);
	CHECK_INT(applied.n, 3000);
	CHECK_INT(stats(q).early, 3000);
	CHECK_INT(stats(q).waiting, 3000);
	kernel_queue_work(q, 1001 * MS);
	CHECK_INT(applied.n, 3000);
	kernel_queue_work(q, 2000 * MS);
	CHECK_INT(applied.n, 6000);
	CHECK(applied.in_order);
	kernel_queue_free(q);
	q = start(0); /* none may wait but one */
	add(q, 0, 1);
	add(q, 1, 1);
	CHECK_INT(applied.n, 1);
	kernel_queue_free(q);
}

/* Blocks come, go, and are used again; now and then the queue runs empty within one. */
static void test_blocks(void)
{
	struct kernel_queue *q = start(KERNEL_QUEUE_MOST);
	uint32_t number = 0, round, i;
	uint64_t now = 1000 * MS;

	for (round = 0; round < 40; round++) {
		uint32_t n = round % 4 == 3 ? 30000 : round * 700 % 5000;

		for (i = 0; i < n; i++)
			add(q, number++, now);
		now += 100 * MS;
		kernel_queue_work(q, now);
		CHECK_INT(stats(q).waiting, number - applied.n);
	}
	CHECK(applied.n > 250000 && applied.n < number);
	CHECK_INT(stats(q).early, 0);
	kernel_queue_work(q, now + KERNEL_DELAY_MS * MS);
	CHECK_INT(applied.n, number);
	CHECK(applied.in_order);
	add(q, number, now);
	kernel_queue_free(q); /* what waits is forgotten */
	CHECK_INT(applied.n, number);
}

static void test_clock_back(void)
{
	struct kernel_queue *q = start(100);

	add(q, 0, 5000 * MS);
	kernel_queue_work(q, 1000 * MS);
	CHECK_INT(applied.n, 1);
	add(q, 1, 1000 * MS);
	kernel_queue_work(q, 1001 * MS);
	CHECK_INT(applied.n, 1);
	kernel_queue_free(q);
}

TEST_MAIN({"delay", test_delay}, {"full", test_full}, {"blocks", test_blocks},
	  {"clock back", test_clock_back})
