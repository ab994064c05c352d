/* test_places.c - places.c: a place is found by its key as long as it has users, and stays readable
 * for as long as was asked for afterwards; its numbers are used again then.
 */
#include "geoip/places.h"

#include "tests/test.h"

enum { MOST = 50, KEPT = 20 };

static struct places places;

static uint32_t add(uint32_t n)
{
	struct geo_record r = {.has = 1u << GEO_ASN | 1u << GEO_COUNTRY};
	uint32_t key[2] = {n, 0};

	r.asn = n;
	memcpy(r.country, "AT", 2);
	return places_add(&places, key, places_hash(&places, key), &r);
}

static uint32_t find(uint32_t n)
{
	uint32_t key[2] = {n, 0};

	return places_find(&places, key, places_hash(&places, key));
}

static bool says(uint32_t number, uint32_t n)
{
	const struct text *t = &places.v[number].info.asn;
	char want[16];

	snprintf(want, sizeof(want), "%u", n);
	return t->len == strlen(want) && !memcmp(t->s, want, t->len);
}

static void test_users(void)
{
	uint32_t one, other;

	CHECK_INT(places_init(&places, MOST, KEPT, 2), 0);
	CHECK(find(7) == PLACE_NONE);
	one = add(7);
	other = add(4294967295U);
	CHECK(one != other && says(one, 7) && says(other, 4294967295U));
	CHECK_INT(places.v[one].info.country.len, 2);
	CHECK(find(7) == one);
	places_drop(&places, one);
	CHECK(find(7) == one);
	places_drop(&places, one);
	places_drop(&places, one);
	CHECK(find(7) == PLACE_NONE);
	CHECK(says(one, 7)); /* still */
	places_drop(&places, PLACE_NONE);
	places_clear(&places);
	CHECK(find(4294967295U) == PLACE_NONE);
	places_destroy(&places);
}

/* Full, and each let go of in turn: what it says stays while KEPT others go. */
static void test_kept(void)
{
	uint32_t number[1000], n, k;

	CHECK_INT(places_init(&places, MOST, KEPT, 2), 0);
	for (n = 0; n < 1000; n++) {
		if (n >= MOST)
			places_drop(&places, number[n - MOST]);
		number[n] = add(n);
		if (number[n] >= places.most)
			CHECK_MSG(false, "number %u", number[n]);
		for (k = 0; k < MOST + KEPT && k <= n; k++)
			if (!says(number[n - k], n - k))
				CHECK_MSG(false, "%u of %u is overwritten", n - k, n);
	}
	CHECK_INT(places.used, MOST + KEPT);
	for (n = 1000 - MOST; n < 1000; n++)
		if (find(n) != number[n])
			CHECK_MSG(false, "%u is lost", n);
	places_destroy(&places);
}

/* One line of memory and the next are what outputs read. */
static void test_layout(void)
{
	struct place *p;
	uintptr_t at;

	CHECK_INT(places_init(&places, MOST, KEPT, 2), 0);
	p = &places.v[add(1)];
	at = (uintptr_t)&p->info.written;
	if (sizeof(void *) == 8) {
		CHECK_INT(sizeof(*p), 256);
		CHECK_INT(at % 64, 0);
		CHECK((uintptr_t)&p->info.has_coordinates - at < 64);
		CHECK((uintptr_t)&p->written - at < 64);
		CHECK_INT((uintptr_t)(&p->written + 1) - at, 128);
	} else {
		TEST_SKIP("pointers are not of 64 bits");
	}
	places_destroy(&places);
}

TEST_MAIN({"users", test_users}, {"kept", test_kept}, {"layout", test_layout})
