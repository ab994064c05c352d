/* test_memory.c - mapped regions: zeroed, refused when impossible, dropped. */
#include "common/memory.h"

#include <errno.h>

#include "tests/test.h"

static void test_map(void)
{
	unsigned char *p = mem_map(1000, 7);
	size_t i, set = 0;

	if (!CHECK(p != NULL))
		return;
	CHECK_INT((uintptr_t)p % 4096, 0);
	for (i = 0; i < 7000; i++)
		set += p[i] != 0;
	CHECK_INT(set, 0);
	memset(p, 0xaa, 7000);
	mem_drop(p, 1000, 7);
	for (i = 0; i < 7000; i++)
		set += p[i] != 0;
	CHECK_INT(set, 0);
	p[6999] = 1; /* still there */
	CHECK_INT(p[6999], 1);
	mem_unmap(p, 1000, 7);
}

static void test_refused(void)
{
	static const size_t cases[][2] = {
	    {0, 8},        {8, 0},        {SIZE_MAX, 2}, {SIZE_MAX / 2, SIZE_MAX / 2},
	    {2, SIZE_MAX}, {SIZE_MAX, 1},
	};
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		errno = 0;
		CHECK_MSG(!mem_map(cases[i][0], cases[i][1]), "case %d", (int)i);
		CHECK(errno != 0);
	}
	mem_unmap(NULL, 10, 10);
	mem_drop(NULL, 10, 10);
}

TEST_MAIN({"map", test_map}, {"refused", test_refused})
