/* test_format.c - output/format.c against printf. */
#include "output/format.h"

#include "tests/test.h"

static void check_u64(uint64_t v)
{
	char got[FORMAT_U64_SIZE + 1], want[32];

	*format_u64(got, v) = 0;
	snprintf(want, sizeof(want), "%" PRIu64, v);
	CHECK_STR(got, want);
}

static void test_u64(void)
{
	uint64_t v, power = 1;
	int i;

	for (v = 0; v < 20000; v++)
		check_u64(v);
	for (i = 0; i < 20; i++, power *= 10) {
		check_u64(power - 1);
		check_u64(power);
		check_u64(power + 1);
		check_u64(power * 9);
		check_u64(power + power / 10);
	}
	for (i = 0; i < 64; i++) {
		check_u64(1ULL << i);
		check_u64(UINT64_MAX >> i);
		check_u64(UINT64_MAX / 3 >> i);
	}
}

static void test_count(void)
{
	static const struct {
		uint64_t v;
		const char *want;
	} cases[] = {
	    {0, "0i"},
	    {10, "10i"},
	    {INT64_MAX, "9223372036854775807i"},
	    {(uint64_t)INT64_MAX + 1, "9223372036854775807i"},
	    {UINT64_MAX, "9223372036854775807i"},
	};
	char got[FORMAT_U64_SIZE + 2];
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		*format_count(got, cases[i].v) = 0;
		CHECK_STR(got, cases[i].want);
	}
}

static void test_i32(void)
{
	static const int32_t cases[] = {0, 1, -1, 23, -10, INT32_MAX, INT32_MIN};
	char got[FORMAT_U64_SIZE + 2], want[32];
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		*format_i32(got, cases[i]) = 0;
		snprintf(want, sizeof(want), "%" PRId32, cases[i]);
		CHECK_STR(got, want);
	}
}

TEST_MAIN({"u64", test_u64}, {"count", test_count}, {"i32", test_i32})
