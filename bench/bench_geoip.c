/* bench_geoip.c - lookups per second and core: uncached, cached, and what opening a database costs.
 *
 * Random public addresses, as many as asked, are looked up in the databases given: once with a
 * cache that is far too small (uncached), then again and again with one that holds a working set.
 * IPv6 addresses are random in the first blocks of each registry. Mark: 1 million uncached
 * lookups per second.
 *
 * usage: bench_geoip DATABASE.mmdb... (without: says so and ends well; tools/get-geoip fetches one)
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench/bench.h"
#include "geoip/address_class.h"
#include "geoip/geoip.h"

enum { ADDRESSES = 1 << 20, WORKING_SET = 8192 };

static struct ip_addr addresses[ADDRESSES];

static void make_addresses(bool v6)
{
	/* what the registries allocate from */
	static const uint8_t first[6][2] = {{0x20, 1}, {0x24, 0}, {0x26, 0},
					    {0x28, 0}, {0x2a, 0}, {0x2c, 0}};
	size_t i;

	for (i = 0; i < ADDRESSES; i++) {
		struct ip_addr *a = &addresses[i];

		do {
			uint64_t r = random_u64(), low = random_u64();

			if (v6) {
				memcpy(a->b, &r, 8);
				memcpy(a->b + 8, &low, 8);
				a->b[0] = first[r % 6][0];
				a->b[1] = (uint8_t)(first[r % 6][1] | (a->b[1] & 15));
			} else {
				addr_from_v4(a, (const uint8_t *)&r);
			}
		} while (addr_class_of(a) != ADDR_PUBLIC);
	}
}

static double now_s(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void measure(struct geoip *g, const char *what, size_t distinct, uint64_t rounds)
{
	uint64_t n = rounds * distinct, known = 0, cities = 0, i;
	const struct geo_info *info;
	double start, spent;
	size_t at = 0;

	start = now_s(CLOCK_PROCESS_CPUTIME_ID);
	for (i = 0; i < n; i++) {
		info = geoip_lookup(g, &addresses[at]);
		at = at + 1 == distinct ? 0 : at + 1;
		if (info) {
			known++;
			cities += info->city.len != 0;
		}
	}
	spent = now_s(CLOCK_PROCESS_CPUTIME_ID) - start;
	printf("%-16s %6.2f M lookups/s  %6.0f ns each  %5.1f%% known, %5.1f%% with a city\n", what,
	       (double)n / spent / 1e6, spent * 1e9 / (double)n, 100 * (double)known / (double)n,
	       100 * (double)cities / (double)n);
}

static struct geoip *open_all(const char *const *paths, size_t n, size_t cache)
{
	struct geoip_config c = {
	    .databases = paths, .n = n, .coordinates = true, .cache_entries = cache};
	char why[GEOIP_WHY_SIZE];
	double start = now_s(CLOCK_MONOTONIC);
	struct geoip *g;

	if (geoip_new(&g, &c, why, sizeof(why)) || why[0]) {
		fprintf(stderr, "bench_geoip: %s\n", why);
		exit(1);
	}
	printf("opened in %.0f ms\n", (now_s(CLOCK_MONOTONIC) - start) * 1e3);
	return g;
}

int main(int argc, char **argv)
{
	const char *const *paths = (const char *const *)(argv + 1);
	size_t n = (size_t)argc - 1;
	int v6;

	if (argc < 2) {
		printf(
		    "skipped: name databases on the command line; tools/get-geoip fetches one\n");
		return 0;
	}
	for (v6 = 0; v6 < 2; v6++) {
		struct geoip *g = open_all(paths, n, GEOIP_CACHE_MIN);

		make_addresses(v6);
		measure(g, v6 ? "IPv6, first" : "IPv4, first", ADDRESSES, 1);
		measure(g, v6 ? "IPv6, uncached" : "IPv4, uncached", ADDRESSES, 2);
		geoip_free(g);
		g = open_all(paths, n, 2 * WORKING_SET);
		measure(g, "    cached", WORKING_SET, 500);
		geoip_free(g);
	}
	return 0;
}
