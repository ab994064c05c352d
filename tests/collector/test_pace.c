/* test_pace.c - the first at once, longer rests while there is much, none where none is allowed. */
#include "collector/pace.h"

#include "tests/test.h"

#define MS UINT64_C(1000000)

static void test_first(void)
{
	struct pace p = {0, 0, 0};

	CHECK(!pace_is_over(&p, 5 * MS));
	pace_read(&p, 10 * MS, 8);
	CHECK_INT(p.until_ns, 11 * MS);
	CHECK(!pace_is_over(&p, 11 * MS - 1));
	CHECK(pace_is_over(&p, 11 * MS));
	CHECK(!pace_is_over(&p, 12 * MS)); /* told once */
	CHECK_INT(p.until_ns, 0);
	pace_read(&p, 20 * MS, 8); /* nothing has come in the rest: it is the first again */
	CHECK_INT(p.until_ns, 21 * MS);
}

static void test_longer(void)
{
	static const unsigned int want[] = {1, 2, 4, 8, 8, 8};
	struct pace p = {0, 0, 0};
	uint64_t now = 100 * MS;
	size_t i;

	for (i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
		pace_read(&p, now, 8);
		CHECK_INT(p.until_ns, now + want[i] * MS);
		now = p.until_ns + MS / 10;
		CHECK(pace_is_over(&p, now));
		now += MS / 10;
	}
	pace_read(&p, now, 3); /* less is allowed now */
	CHECK_INT(p.until_ns, now + 3 * MS);
	CHECK(pace_is_over(&p, now + 3 * MS));
	pace_read(&p, now + 5 * MS, 8); /* quiet: from the beginning */
	CHECK_INT(p.until_ns, now + 6 * MS);
}

static void test_none(void)
{
	struct pace p = {0, 0, 0};

	pace_read(&p, 10 * MS, 4);
	pace_read(&p, 10 * MS + 1, 0);
	CHECK_INT(p.until_ns, 0);
	CHECK(!pace_is_over(&p, 100 * MS));
	pace_read(&p, 101 * MS, 4);
	CHECK_INT(p.until_ns, 102 * MS);
}

/* Read by others, too, while it rests (a tick): it rests on, and no shorter. */
static void test_while_resting(void)
{
	struct pace p = {0, 0, 0};

	pace_read(&p, 10 * MS, 8);
	pace_read(&p, 10 * MS + MS / 2, 8);
	CHECK_INT(p.until_ns, 12 * MS + MS / 2);
}

TEST_MAIN({"the first at once", test_first}, {"longer rests", test_longer}, {"no rest", test_none},
	  {"while it rests", test_while_resting})
