/* test_owners_queue.c - when each is due, order, room, what leaves from the middle. */
#include "collector/owners_queue.h"

#include "tests/test.h"

#define MS UINT64_C(1000000)

static struct flow_key key_of(uint32_t number)
{
	struct flow_key k;

	memset(&k, 0, sizeof(k));
	k.w[4] = number;
	return k;
}

static uint32_t add(struct owners_queue *q, uint32_t number, uint64_t now_ns)
{
	struct flow_key k = key_of(number);
	struct owners_waiting *w = owners_queue_add(q, &k, number % 2 ? 1 : 0, now_ns);

	CHECK(w && w->due_ns == now_ns && w->tries == 0 && w->told == 0);
	return w ? (uint32_t)(w - q->list) : 0;
}

static void test_tries(void)
{
	static const uint64_t wait_ms[] = {10, 30, 100, 300, 1000, 3000};
	struct owners_queue q;
	uint64_t now = 5 * MS;
	uint32_t n, due[4];
	size_t i;

	if (!CHECK(owners_queue_init(&q, 4) == 0))
		return;
	CHECK_INT(owners_queue_due(&q, now, due, 4), 0);
	n = add(&q, 7, now);
	CHECK_INT(q.list[n].end, 1);
	for (i = 0; i < sizeof(wait_ms) / sizeof(wait_ms[0]); i++) {
		CHECK_INT(owners_queue_due(&q, now, due, 4), 1);
		CHECK_INT(due[0], n);
		CHECK(owners_queue_later(&q, n, now));
		CHECK_INT(owners_queue_due(&q, now + wait_ms[i] * MS - 1, due, 4), 0);
		now += wait_ms[i] * MS;
	}
	CHECK_INT(owners_queue_due(&q, now, due, 4), 1);
	CHECK(!owners_queue_later(&q, n, now)); /* that was the last */
	CHECK_INT(q.used, 1);
	owners_queue_remove(&q, n);
	CHECK_INT(q.used, 0);
	CHECK_INT(owners_queue_due(&q, UINT64_MAX, due, 4), 0);
	owners_queue_destroy(&q);
	owners_queue_destroy(&q);
}

static void test_room(void)
{
	struct flow_key k = key_of(9);
	struct owners_queue q;
	uint32_t n[3], due[3];

	if (!CHECK(owners_queue_init(&q, 3) == 0))
		return;
	n[0] = add(&q, 0, 1);
	n[1] = add(&q, 1, 2);
	n[2] = add(&q, 2, 3);
	CHECK(owners_queue_add(&q, &k, 0, 4) == NULL);
	CHECK_INT(owners_queue_due(&q, 2, due, 3), 2);
	CHECK(due[0] == n[0] && due[1] == n[1]);
	CHECK_INT(owners_queue_due(&q, 9, due, 2), 2); /* no more than asked for */
	owners_queue_remove(&q, n[1]);
	CHECK_INT(owners_queue_due(&q, 9, due, 3), 2);
	CHECK(due[0] == n[0] && due[1] == n[2]);
	n[1] = add(&q, 3, 5);
	CHECK_INT(q.list[n[1]].key.w[4], 3);
	CHECK_INT(owners_queue_due(&q, 9, due, 3), 3);
	CHECK_INT(due[2], n[1]);
	owners_queue_remove(&q, n[0]);
	owners_queue_remove(&q, n[1]);
	owners_queue_remove(&q, n[2]);
	CHECK_INT(owners_queue_due(&q, 9, due, 3), 0);
	owners_queue_destroy(&q);
}

/* New ones come before those that were tried. */
static void test_new_first(void)
{
	struct owners_queue q;
	uint32_t old, young, due[2];

	if (!CHECK(owners_queue_init(&q, 2) == 0))
		return;
	old = add(&q, 0, MS);
	CHECK(owners_queue_later(&q, old, MS));
	young = add(&q, 1, 50 * MS);
	CHECK_INT(owners_queue_due(&q, 50 * MS, due, 2), 2);
	CHECK(due[0] == young && due[1] == old);
	CHECK_INT(owners_queue_due(&q, 50 * MS, due, 1), 1);
	CHECK_INT(due[0], young);
	owners_queue_destroy(&q);
}

static void test_none(void)
{
	struct flow_key k = key_of(1);
	struct owners_queue q;

	if (!CHECK(owners_queue_init(&q, 0) == 0))
		return;
	CHECK(owners_queue_add(&q, &k, 0, 1) == NULL);
	owners_queue_destroy(&q);
}

TEST_MAIN({"tries", test_tries}, {"room", test_room}, {"new ones first", test_new_first},
	  {"no room at all", test_none})
