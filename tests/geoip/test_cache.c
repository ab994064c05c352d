/* test_cache.c - cache.c: what was added is found, of both families and no other's; the oldest of
 * a set goes, one that is asked for stays; nothing of a set reaches another.
 */
#include "geoip/cache.h"

#include "tests/test.h"

static struct geo_cache cache;

static uint32_t random_word(void)
{
	static uint64_t x = 88172645463325252ULL;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return (uint32_t)(x >> 20);
}

/* The i-th address of a family; all differ. */
static struct ip_addr address(bool v6, uint32_t i)
{
	struct ip_addr a;

	addr_from_v4(&a, (const uint8_t *)&i);
	if (v6)
		a.b[0] = 0x2a;
	return a;
}

static uint32_t find(const struct ip_addr *a)
{
	return geo_cache_find(&cache, geo_cache_spot(&cache, a), a);
}

static uint32_t add(const struct ip_addr *a, uint32_t what)
{
	return geo_cache_add(&cache, geo_cache_spot(&cache, a), a, what);
}

static void test_found(void)
{
	struct ip_addr a;
	uint32_t i, v6;

	CHECK_INT(geo_cache_init(&cache, 131072), 0); /* none has to go */
	for (i = 0; i < 4000; i++) {
		for (v6 = 0; v6 < 2; v6++) {
			a = address(v6, i);
			if (find(&a) || add(&a, 1 + 2 * i + v6))
				CHECK_MSG(false, "address %u", i);
		}
	}
	for (i = 0; i < 4000; i++) {
		for (v6 = 0; v6 < 2; v6++) {
			a = address(v6, i);
			if (find(&a) != 1 + 2 * i + v6)
				CHECK_MSG(false, "address %u", i);
		}
	}
	CHECK_INT(cache.evicted, 0);
	a = address(false, 4000);
	CHECK_INT(find(&a), 0);
	geo_cache_clear(&cache);
	for (i = 0; i < 4000; i++) {
		a = address(i & 1, i);
		if (find(&a))
			CHECK_MSG(false, "address %u", i);
	}
	geo_cache_destroy(&cache);
}

/* An empty way looks like the address 0.0.0.0, and one of another address like a tag of 0. */
static void test_zero(void)
{
	struct ip_addr zero = address(false, 0);

	CHECK_INT(geo_cache_init(&cache, GEO_WAYS), 0);
	CHECK_INT(find(&zero), 0);
	CHECK_INT(add(&zero, 7), 0);
	CHECK_INT(find(&zero), 7);
	geo_cache_destroy(&cache);
}

/* Addresses of one set. */
static void test_order(void)
{
	struct ip_addr a[GEO_WAYS + 4];
	uint32_t v6, i;

	for (v6 = 0; v6 < 2; v6++) {
		CHECK_INT(geo_cache_init(&cache, 1), 0);
		for (i = 0; i < GEO_WAYS + 4; i++)
			a[i] = address(v6, 100 + i);
		for (i = 0; i < GEO_WAYS; i++)
			CHECK_INT(add(&a[i], 1 + i), 0);
		CHECK_INT(find(&a[0]), 1); /* the oldest so far, no longer */
		CHECK_INT(add(&a[GEO_WAYS], 50), 2);
		CHECK_INT(add(&a[GEO_WAYS + 1], 51), 3);
		CHECK_INT(find(&a[1]), 0);
		CHECK_INT(find(&a[2]), 0);
		for (i = 3; i < GEO_WAYS; i++)
			CHECK_INT(find(&a[i]), 1 + i);
		CHECK_INT(find(&a[0]), 1);
		CHECK_INT(find(&a[GEO_WAYS]), 50);
		CHECK_INT(find(&a[GEO_WAYS + 1]), 51);
		CHECK_INT(cache.evicted, 2);
		geo_cache_destroy(&cache);
	}
}

static void test_change(void)
{
	struct ip_addr a = address(true, 5), b = address(true, 6);
	struct geo_spot spot;

	CHECK_INT(geo_cache_init(&cache, 1), 0);
	spot = geo_cache_spot(&cache, &a);
	CHECK_INT(add(&a, 1000), 0);
	CHECK_INT(add(&b, 1001), 0);
	CHECK(geo_cache_change(&cache, spot, 1000, 3));
	CHECK(!geo_cache_change(&cache, spot, 1000, 4));
	CHECK_INT(find(&a), 3);
	CHECK_INT(find(&b), 1001);
	geo_cache_destroy(&cache);
}

/* Against a list of who was added and not handed back, in a cache that is far too small. */
static void test_random(void)
{
	enum { VARIETY = 400 };
	static uint32_t model[2][VARIETY];
	uint32_t i, v6, k, what, gone, in = 0;
	struct ip_addr a;

	CHECK_INT(geo_cache_init(&cache, 64), 0);
	for (i = 0; i < 200000; i++) {
		k = random_word() % VARIETY;
		v6 = random_word() & 1;
		a = address(v6, k * 7919);
		what = 1 + 2 * k + v6;
		if (find(&a) != model[v6][k])
			CHECK_MSG(false, "step %u", i);
		if (model[v6][k])
			continue;
		gone = add(&a, what);
		model[v6][k] = what;
		in++;
		if (gone) {
			in--;
			if (model[(gone - 1) % 2][(gone - 1) / 2] != gone)
				CHECK_MSG(false, "step %u: gone twice", i);
			model[(gone - 1) % 2][(gone - 1) / 2] = 0;
		}
	}
	CHECK_INT(in, 128); /* all ways of both families */
	geo_cache_destroy(&cache);
}

/* Neighbours, as a scan of networks has them, fill the sets evenly: half as many as there is room
 * for, and hardly one has to go. */
static void test_spread(void)
{
	static const uint8_t steps[] = {1, 4, 8, 16};
	struct ip_addr a;
	uint32_t i, k;

	for (k = 0; k < sizeof(steps); k++) {
		CHECK_INT(geo_cache_init(&cache, 65536), 0);
		for (i = 0; i < 32768; i++) {
			uint8_t v4[4];
			uint32_t n = i << (steps[k] % 16);

			v4[0] = (uint8_t)(n >> 24);
			v4[1] = (uint8_t)(n >> 16);
			v4[2] = (uint8_t)(n >> 8);
			v4[3] = (uint8_t)n;
			addr_from_v4(&a, v4);
			(void)add(&a, 1);
		}
		CHECK_MSG(cache.evicted < 32768 / 16, "step %u: %llu had to go", steps[k],
			  (unsigned long long)cache.evicted);
		geo_cache_destroy(&cache);
	}
}

TEST_MAIN({"found", test_found}, {"zero", test_zero}, {"order", test_order},
	  {"change", test_change}, {"random", test_random}, {"spread", test_spread})
