/* test_wire.c - the bounded cursor: values, the sticky error, limits. */
#include "common/wire.h"

#include <stdlib.h>

#include "tests/test.h"

static void test_values(void)
{
	static const uint8_t b[] = {0x80, 0x81, 0x82, 0xff, 0xfe, 0xfd, 0xfc, 1, 2, 3};
	struct wire w;

	CHECK_INT(load_be16(b), 0x8081);
	CHECK_INT(load_be16(b + 3), 0xfffe);
	CHECK_INT(load_be32(b + 3), 0xfffefdfc);
	wire_init(&w, b, sizeof(b));
	CHECK_INT(wire_u8(&w), 0x80);
	CHECK_INT(wire_be16(&w), 0x8182);
	CHECK_INT(wire_be32(&w), 0xfffefdfc);
	CHECK_INT(wire_left(&w), 3);
	CHECK(wire_bytes(&w, 2) == b + 7);
	CHECK(wire_skip(&w, 1) && !w.bad && wire_left(&w) == 0);
	CHECK(wire_skip(&w, 0) && wire_bytes(&w, 0) == b + 10 && !w.bad);
	CHECK_INT(wire_u8(&w), 0);
	CHECK(w.bad);
}

/* From blocks of the exact size, where each read that does not fit fails, whole and for good. */
static void test_bounds(void)
{
	size_t len, n;

	for (len = 0; len < 6; len++) {
		uint8_t *b = malloc(len ? len : 1);

		if (!b)
			abort();
		memset(b, 0x55, len ? len : 1);
		for (n = 1; n < 8; n++) {
			struct wire w;

			wire_init(&w, b, len);
			CHECK(wire_skip(&w, n) == (n <= len));
			CHECK(w.bad == (n > len) && wire_left(&w) == (n > len ? 0 : len - n));
		}
		for (n = 0; n < 3; n++) {
			struct wire w;
			uint32_t v;

			wire_init(&w, b, len);
			v = n == 0 ? wire_u8(&w) : n == 1 ? wire_be16(&w) : wire_be32(&w);
			CHECK((v != 0) == (len >= 1u << n));
			CHECK(w.bad == (len < 1u << n));
			if (w.bad) {
				CHECK(wire_left(&w) == 0 && !wire_bytes(&w, 1));
				CHECK(wire_u8(&w) == 0 && wire_be16(&w) == 0 && wire_be32(&w) == 0);
				CHECK(w.bad);
			}
		}
		free(b);
	}
}

static void test_huge_and_limit(void)
{
	static const uint8_t b[8] = {1, 2, 3, 4, 5, 6, 7, 8};
	struct wire w;

	wire_init(&w, b, sizeof(b));
	CHECK(!wire_bytes(&w, SIZE_MAX) && w.bad && wire_left(&w) == 0);
	wire_init(&w, b, sizeof(b));
	wire_limit(&w, 100);
	CHECK_INT(wire_left(&w), 8);
	wire_skip(&w, 2);
	wire_limit(&w, 3);
	CHECK_INT(wire_left(&w), 3);
	CHECK(wire_be32(&w) == 0 && w.bad);
	wire_init(&w, b, sizeof(b));
	wire_limit(&w, 0);
	CHECK(wire_left(&w) == 0 && !w.bad);
}

TEST_MAIN({"values", test_values}, {"bounds", test_bounds}, {"huge and limit", test_huge_and_limit})
