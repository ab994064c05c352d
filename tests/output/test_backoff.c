/* test_backoff.c - output/backoff.c: the bound doubles, and the time is anywhere below it. */
#include "output/backoff.h"

#include "tests/test.h"

static void test_bounds(void)
{
	static const uint64_t bounds[] = {100, 200, 400, 800, 1000, 1000};
	size_t i, n = sizeof(bounds) / sizeof(bounds[0]);
	uint64_t most[6] = {0};
	struct backoff b;
	int round;

	backoff_init(&b, 100, 1000);
	for (round = 0; round < 2000; round++) {
		for (i = 0; i < n; i++) {
			uint64_t t = backoff_failed(&b, 0);

			if (t > bounds[i])
				CHECK_INT(t, bounds[i]);
			if (t > most[i])
				most[i] = t;
		}
		backoff_reset(&b);
	}
	for (i = 0; i < n; i++) /* full jitter: up to the bound, and from 0 on */
		CHECK_MSG(most[i] > bounds[i] * 9 / 10, "bound %zu: at most %d", i, (int)most[i]);
}

/* Two that begin at the same time do not go on at the same time. */
static void test_jitter(void)
{
	unsigned int low = 0, same = 0, i;
	struct backoff a, b;

	backoff_init(&a, 1000000, 1000000);
	backoff_init(&b, 1000000, 1000000);
	for (i = 0; i < 1000; i++) {
		uint64_t x = backoff_failed(&a, 0), y = backoff_failed(&b, 0);

		low += x < 500000;
		same += x == y;
	}
	CHECK(low > 400 && low < 600);
	CHECK(same < 5);
}

static void test_asked(void)
{
	struct backoff b;
	int i;

	backoff_init(&b, 10, 80);
	for (i = 0; i < 100; i++) {
		uint64_t t = backoff_failed(&b, 5000);

		if (t < 5000 || t > 5080)
			CHECK_INT(t, 5000);
	}
	CHECK_INT(b.failures, 100);
	for (i = 0; i < 100; i++) {
		uint64_t t = backoff_refused(&b);

		if (t < 40 || t > 80)
			CHECK_INT(t, 40);
	}
	backoff_init(&b, UINT64_MAX / 2, UINT64_MAX);
	for (i = 0; i < 70; i++)
		(void)backoff_failed(&b, 0);
	CHECK_INT(b.failures, 70);
}

TEST_MAIN({"bounds", test_bounds}, {"jitter", test_jitter}, {"asked", test_asked})
