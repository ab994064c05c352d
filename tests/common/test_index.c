/* test_index.c - common/index.c against a naive model: random inserts and removals, few hashes
 * (long runs), growth, clearing.
 */
#include "common/index.h"

#include "tests/test.h"

enum { RECORDS = 5000 };

static uint32_t hashes[RECORDS];
static bool present[RECORDS];
static uint32_t seed;

static uint32_t next_random(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 17;
	seed ^= seed << 5;
	return seed;
}

static uint32_t times_found(const struct index *ix, uint32_t wanted)
{
	uint32_t at, rec, n = 0;

	INDEX_FIND(ix, hashes[wanted], at, rec)
	n += rec == wanted;
	return n;
}

static bool all_right(const struct index *ix)
{
	uint32_t i;

	for (i = 0; i < RECORDS; i++)
		if (times_found(ix, i) != present[i])
			return false;
	return true;
}

static void random_run(uint32_t hash_mask, uint32_t start)
{
	struct index ix;
	uint32_t used = 0, i;

	memset(present, 0, sizeof(present));
	seed = start;
	if (!CHECK(index_init(&ix, RECORDS) == 0))
		return;
	for (i = 0; i < RECORDS; i++)
		hashes[i] = next_random() & hash_mask;
	for (i = 0; i < 60000; i++) {
		/* a phase of growing, one of shrinking, and so on */
		uint32_t rec = next_random() % RECORDS, bias = i / 10000 % 2 ? 70 : 30;

		if (present[rec] && next_random() % 100 < bias) {
			index_remove(&ix, hashes[rec], rec);
			index_remove(&ix, hashes[rec], rec); /* not there: nothing happens */
			present[rec] = false;
			used--;
		} else if (!present[rec] && next_random() % 100 >= bias) {
			index_insert(&ix, hashes[rec], rec);
			present[rec] = true;
			used++;
		}
		if (i % 6000 == 0)
			CHECK(all_right(&ix));
	}
	CHECK_INT(ix.used, used);
	CHECK(all_right(&ix));
	CHECK(2 * (size_t)ix.used <= (size_t)ix.mask + 1);
	index_clear(&ix);
	memset(present, 0, sizeof(present));
	CHECK_INT(ix.used, 0);
	CHECK(all_right(&ix));
	index_destroy(&ix);
}

static void test_random(void)
{
	random_run(0xffffffff, 1);
	random_run(0xffffffff, 99);
}

/* Everything lands in a few places, also around the end of the table. */
static void test_collisions(void)
{
	random_run(0x3f, 7);
	random_run(0xffffffc0, 8);
}

static void test_full(void)
{
	struct index ix;
	uint32_t i;

	if (!CHECK(index_init(&ix, RECORDS) == 0))
		return;
	seed = 3;
	for (i = 0; i < RECORDS; i++) {
		hashes[i] = next_random() | 0xfffffff0;
		present[i] = true;
		index_insert(&ix, hashes[i], i);
	}
	CHECK(all_right(&ix));
	for (i = 0; i < RECORDS; i++) {
		index_remove(&ix, hashes[i], i);
		present[i] = false;
	}
	CHECK(all_right(&ix));
	index_destroy(&ix);
}

static void test_limits(void)
{
	struct index ix;

	CHECK(index_init(&ix, ((size_t)1 << 30) + 1) < 0);
	CHECK(index_init(&ix, 1) == 0);
	index_insert(&ix, 5, 0xfffffff0);
	hashes[0] = 5;
	index_destroy(&ix);
}

TEST_MAIN({"random inserts and removals", test_random}, {"few hashes", test_collisions},
	  {"full", test_full}, {"limits", test_limits})
