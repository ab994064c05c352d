/* fuzz_mmdb.c - any bytes as a GeoIP database: opened or refused, looked up, never read beyond.
 *
 * Checked besides the sanitizers: a refusal names the file, texts lie within the limits of the
 * file, a country is two capital letters, positions are on the globe. The inputs are of
 * tests/geoip/mmdb_build.h.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "geoip/geoip.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
const char *__lsan_default_suppressions(void);

/* libmaxminddb 1.7's MMDB_open() does not free all it allocated for some metadata that it refuses:
 * about 5 KB for such a file, and a file is tried once. */
const char *__lsan_default_suppressions(void)
{
	return "leak:libmaxminddb";
}

static void write_input(const char *path, const uint8_t *data, size_t size)
{
	FILE *f = fopen(path, "wb");

	if (!f || fwrite(data, 1, size, f) != size || fclose(f))
		abort();
}

static unsigned int touched;

static void check_text(const struct text *t, size_t most)
{
	uint32_t i;

	if (t->len > most)
		abort();
	for (i = 0; i < t->len; i++)
		touched += (unsigned char)t->s[i];
}

static void check(const struct geo_info *info, size_t most)
{
	if (!info)
		return;
	check_text(&info->country, 2);
	check_text(&info->province, most);
	check_text(&info->city, most);
	check_text(&info->isp, most);
	check_text(&info->asn, 10);
	if (info->country.len && (info->country.s[0] < 'A' || info->country.s[0] > 'Z'))
		abort();
	if (info->has_coordinates &&
	    !(info->lat >= -90 && info->lat <= 90 && info->lon >= -180 && info->lon <= 180))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char path[64];
	const char *paths[1] = {path};
	struct geoip_config c = {.databases = paths,
				 .n = 1,
				 .language = "de",
				 .coordinates = true,
				 .cache_entries = GEOIP_CACHE_MIN,
				 .snapshot_dir = "/dev/shm"};
	char why[GEOIP_WHY_SIZE];
	struct ip_addr a;
	struct geoip *g;
	unsigned int i;

	if (!path[0])
		snprintf(path, sizeof(path), "/tmp/flowline-fuzz-mmdb.%ld", (long)getpid());
	write_input(path, data, size);
	if (geoip_new(&g, &c, why, sizeof(why)))
		abort();
	if (why[0] && strncmp(why, path, strlen(path)) != 0)
		abort();
	for (i = 0; i < 64; i++) {
		uint8_t v4[4] = {8, 8, 8, (uint8_t)i};

		/* addresses of the stored inputs, then some that branch elsewhere */
		v4[0] = (uint8_t)(v4[0] + i / 2 * 5);
		addr_from_v4(&a, v4);
		check(geoip_lookup(g, &a), size);
		memset(&a, (int)(i * 37), sizeof(a));
		memcpy(a.b, i & 1 ? "\x26\x00" : "\x20\x01", 2);
		check(geoip_lookup(g, &a), size);
	}
	geoip_free(g);
	unlink(path);
	return 0;
}
