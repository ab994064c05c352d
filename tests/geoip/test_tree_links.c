/* test_tree_links.c - a bad record is found wherever it is in a tree, and no good one is taken for
 * bad: the two ways of looking and a third, written here, agree.
 */
#include "geoip/tree_links.h"

#include <stdlib.h>
#include <string.h>

#include "tests/test.h"

static uint32_t random_u32(void)
{
	static uint64_t x = 88172645463325252ULL;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return (uint32_t)(x >> 20);
}

static void put_node(uint8_t *p, unsigned int bits, uint32_t left, uint32_t right)
{
	uint64_t node = (uint64_t)left << bits | right;
	unsigned int i, bytes = bits / 4;

	if (bits == 28) /* the upper 4 bits of both are in the middle byte */
		node = (uint64_t)(left & 0xffffff) << 32 | (uint64_t)(left >> 24) << 28 | right;
	for (i = bytes; i-- > 0; node >>= 8)
		p[i] = (uint8_t)node;
}

static bool is_bad(uint32_t record, const struct tree_limits *l)
{
	if (record <= l->nodes)
		return !record;
	return record < l->nodes + TREE_SEPARATOR_BYTES ||
	       record >= l->nodes + TREE_SEPARATOR_BYTES + l->data_size;
}

/* Around the limits, and anything. */
static uint32_t random_record(unsigned int bits, const struct tree_limits *l)
{
	uint32_t around[] = {0, l->nodes, l->nodes + TREE_SEPARATOR_BYTES,
			     (uint32_t)(l->nodes + TREE_SEPARATOR_BYTES + l->data_size),
			     (uint32_t)((1ULL << bits) - 1)};
	uint32_t r = random_u32(), x = around[r % 5] + r / 5 % 7 - 3;

	return (r % 3 ? x : random_u32()) & (uint32_t)((1ULL << bits) - 1);
}

static void check(unsigned int bits, const struct tree_limits *l)
{
	size_t n = random_u32() % 40, i, at = n ? random_u32() % n : 0, size = n * bits / 4;
	uint8_t *bytes = malloc(size + TREE_SEPARATOR_BYTES);
	uint32_t good = l->nodes, record[2] = {good, good};
	bool bad;

	if (!bytes)
		abort();
	for (i = 0; i < n; i++)
		put_node(bytes + i * bits / 4, bits, good, good);
	memset(bytes + size, random_u32() % 2 ? 0 : 255, TREE_SEPARATOR_BYTES);
	record[random_u32() % 2] = random_record(bits, l);
	if (n)
		put_node(bytes + at * bits / 4, bits, record[0], record[1]);
	bad = n && (is_bad(record[0], l) || is_bad(record[1], l));
	if (tree_links_bad(bytes, n, bits, l) != bad ||
	    tree_links_bad_plain(bytes, n, bits, l) != bad)
		CHECK_MSG(false, "%u bits, %u nodes, %llu bytes of data: %x %x at %zu of %zu", bits,
			  l->nodes, (unsigned long long)l->data_size, record[0], record[1], at, n);
	free(bytes);
}

static void test_agree(void)
{
	static const struct tree_limits limits[] = {
	    {1, 1},
	    {5, 100},
	    {300, 70000},
	    {6324797, 18796000},
	    {65535, 10},
	    {16777000, 100},
	    {16777215, 1 << 20},
	    {16777200, 1},
	    {1 << 24, 9999},
	    {268000000, 1000},
	    {268435455, 1 << 24},
	    {1 << 30, 1ULL << 31},
	    {6324797, 1ULL << 31},
	    {1000, 1ULL << 40},
	};
	unsigned int bits, i, k;

	for (bits = 24; bits <= 32; bits += 4)
		for (i = 0; i < sizeof(limits) / sizeof(limits[0]); i++)
			for (k = 0; k < 3000 && limits[i].nodes < 1ULL << bits; k++)
				check(bits, &limits[i]);
	CHECK(true);
}

TEST_MAIN({"agree", test_agree})
