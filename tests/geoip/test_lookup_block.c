/* test_lookup_block.c - geoip.c, many addresses at once: the answers and the counts are those of
 * one by one, whatever the order, the size of the block, the cache and the databases.
 *
 * Two instances look up the same addresses, one in blocks, the other one by one.
 */
#include "geoip/geoip.h"

#include <stdlib.h>
#include <unistd.h>

#include "tests/geoip/mmdb_build.h"
#include "tests/test.h"

static struct mmdb_build build;
static char city[] = "/tmp/flowline-block-city.XXXXXX", as[] = "/tmp/flowline-block-as.XXXXXX";
static const char *const paths[] = {city, as};

static uint32_t random_below(uint32_t n)
{
	static uint64_t x = 88172645463325252ULL;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return (uint32_t)(x >> 20) % n;
}

/* Networks of all lengths, some with the same record. */
static void write_databases(unsigned int bits, char edition)
{
	char net[64], json[128];
	unsigned int i;

	mmdb_begin(&build, 6, bits, "City");
	for (i = 0; i < 60; i++) {
		snprintf(net, sizeof(net), "%u.%u.0.0/%u", 20 + i / 10, i % 10 * 24, 13 + i % 20);
		snprintf(json, sizeof(json), "{\"city\":\"%c%u\",\"country_code\":\"DE\"}", edition,
			 i % 23);
		mmdb_add(&build, net, json);
	}
	mmdb_add(&build, "2a05::/20", "{\"city\":\"Six\"}");
	mmdb_add(&build, "2a10:1234::/40", "{\"city\":\"Long\"}");
	mmdb_write(&build, city);
	mmdb_begin(&build, 4, bits, "ASN");
	mmdb_add(&build, "20.0.0.0/7", "{\"asn\":\"64500\",\"as_name\":\"Example Ltd\"}");
	mmdb_add(&build, "22.0.0.0/8", "{\"asn\":\"64501\"}");
	mmdb_write(&build, as);
}

static void random_address(struct ip_addr *a, uint32_t variety)
{
	uint32_t r = random_below(variety);
	uint8_t v4[4] = {(uint8_t)(20 + r % 8), (uint8_t)(r / 8 * 7), (uint8_t)(r % 3), (uint8_t)r};

	if (r % 5) {
		addr_from_v4(a, v4);
		return;
	}
	memset(a, 0, sizeof(*a));
	memcpy(a->b, r % 2 ? "\x2a\x10\x12\x34" : "\x2a\x05\x99", 4);
	memcpy(a->b + 8, &r, sizeof(r));
}

static bool same_text(const struct text *a, const struct text *b)
{
	return a->len == b->len && !memcmp(a->s ? a->s : "", b->s ? b->s : "", a->len);
}

static bool same_info(const struct geo_info *a, const struct geo_info *b)
{
	if (!a || !b)
		return a == b;
	return same_text(&a->country, &b->country) && same_text(&a->city, &b->city) &&
	       same_text(&a->isp, &b->isp) && same_text(&a->asn, &b->asn);
}

static struct geoip *open_both(size_t cache)
{
	struct geoip_config c = {.databases = paths, .n = 2, .cache_entries = cache};
	char why[GEOIP_WHY_SIZE];
	struct geoip *g;

	CHECK_INT(geoip_new(&g, &c, why, sizeof(why)), 0);
	CHECK_STR(why, "");
	return g;
}

/* Returns how many addresses had a place. */
static unsigned int look_up(struct geoip *blocks, struct geoip *single, uint32_t variety,
			    unsigned int times)
{
	struct ip_addr addresses[GEOIP_BLOCK];
	const struct ip_addr *a[GEOIP_BLOCK];
	const struct geo_info *out[GEOIP_BLOCK];
	unsigned int known = 0, t;
	size_t n, i;

	for (t = 0; t < times; t++) {
		n = t % 4 ? random_below(GEOIP_BLOCK + 1) : GEOIP_BLOCK;
		for (i = 0; i < n; i++) {
			random_address(&addresses[i], variety);
			a[i] = &addresses[i];
		}
		geoip_lookup_block(blocks, a, n, out);
		for (i = 0; i < n; i++) {
			known += out[i] != NULL;
			if (!same_info(out[i], geoip_lookup(single, a[i])))
				CHECK_MSG(false, "block %u, address %zu", t, i);
		}
	}
	return known;
}

/* Which ones have to go depends on each one's own random key: the counts are the same only where
 * none has to. */
static void check_stats(const struct geoip *blocks, const struct geoip *single)
{
	const struct geoip_stats *b = geoip_stats(blocks), *s = geoip_stats(single);

	CHECK_INT(b->hits + b->misses, s->hits + s->misses);
	if (!b->evicted && !s->evicted) {
		CHECK_INT(b->hits, s->hits);
		CHECK_INT(b->misses, s->misses);
	}
	CHECK_INT(b->broken, s->broken);
}

/* With each kind of node; all in the cache in the end, many in it only once, few at all. */
static void test_same(void)
{
	static const struct {
		size_t cache;
		uint32_t variety;
		bool fits;
	} cases[] = {{0, 40, true},
		     {0, 5000, true},
		     {GEOIP_CACHE_MIN, 8, true}, /* in one set, at worst */
		     {GEOIP_CACHE_MIN, 5000, false},
		     {200, 2000, false}};
	unsigned int bits, i;

	for (bits = 24; bits <= 32; bits += 4) {
		write_databases(bits, 'A');
		for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
			struct geoip *blocks = open_both(cases[i].cache);
			struct geoip *single = open_both(cases[i].cache);

			CHECK(look_up(blocks, single, cases[i].variety, 1000) > 1000);
			check_stats(blocks, single);
			CHECK_INT(geoip_stats(blocks)->evicted == 0, cases[i].fits);
			CHECK_INT(geoip_stats(single)->evicted == 0, cases[i].fits);
			CHECK(!geoip_stats(blocks)->broken);
			geoip_free(blocks);
			geoip_free(single);
		}
	}
}

/* All of a block at one address: one is looked up, the others are there. */
static void test_alike(void)
{
	const struct ip_addr *a[GEOIP_BLOCK];
	const struct geo_info *out[GEOIP_BLOCK];
	struct ip_addr address;
	struct geoip *g;
	size_t i;

	write_databases(28, 'A');
	g = open_both(0);
	CHECK_INT(addr_parse(&address, "20.0.0.1"), 0);
	for (i = 0; i < GEOIP_BLOCK; i++)
		a[i] = &address;
	geoip_lookup_block(g, a, GEOIP_BLOCK, out);
	for (i = 0; i < GEOIP_BLOCK; i++)
		CHECK(out[i] && out[i] == out[0]);
	CHECK_INT(geoip_stats(g)->misses, 1);
	CHECK_INT(geoip_stats(g)->hits, GEOIP_BLOCK - 1);
	geoip_lookup_block(g, a, 0, out);
	CHECK_INT(geoip_stats(g)->hits, GEOIP_BLOCK - 1);
	geoip_free(g);
}

/* A new edition between two blocks. */
static void test_replaced(void)
{
	struct geoip *blocks, *single;
	char why[GEOIP_WHY_SIZE];

	write_databases(24, 'A');
	blocks = open_both(0);
	single = open_both(0);
	look_up(blocks, single, 500, 50);
	unlink(city);
	unlink(as);
	write_databases(28, 'B');
	CHECK_INT(geoip_poll(blocks, why, sizeof(why)), 2);
	CHECK_INT(geoip_poll(single, why, sizeof(why)), 2);
	CHECK(look_up(blocks, single, 500, 50) > 0);
	check_stats(blocks, single);
	geoip_free(blocks);
	geoip_free(single);
}

static void test_files(void)
{
	int fds[2] = {mkstemp(city), mkstemp(as)};

	if (!CHECK(fds[0] >= 0 && fds[1] >= 0))
		abort();
	close(fds[0]);
	close(fds[1]);
}

static void test_away(void)
{
	CHECK_INT(unlink(city), 0);
	CHECK_INT(unlink(as), 0);
}

TEST_MAIN({"files", test_files}, {"same answers", test_same}, {"one address", test_alike},
	  {"replaced between", test_replaced}, {"files away", test_away})
