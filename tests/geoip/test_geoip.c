/* test_geoip.c - databases of every known layout, several at once, replaced and damaged while in
 * use.
 *
 * The databases are made here (mmdb_build.h), so that nothing has to be fetched.
 */
#include "geoip/geoip.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "tests/geoip/mmdb_build.h"
#include "tests/test.h"

static struct mmdb_build build;
static char dir[] = "/tmp/flowline-test-geoip.XXXXXX";
static char why[GEOIP_WHY_SIZE];

static const char *in_dir(char path[128], const char *name)
{
	snprintf(path, 128, "%s/%s", dir, name);
	return path;
}

static struct geoip *open_with(const char *const *paths, size_t n, const char *language,
			       size_t cache)
{
	struct geoip_config c = {.databases = paths,
				 .n = n,
				 .language = language,
				 .coordinates = true,
				 .cache_entries = cache,
				 .snapshot_dir = dir};
	struct geoip *g;

	CHECK_INT(geoip_new(&g, &c, why, sizeof(why)), 0);
	return g;
}

static struct geoip *open_one(const char *path)
{
	return open_with(&path, 1, NULL, 0);
}

static const struct geo_info *look(struct geoip *g, const char *address)
{
	struct ip_addr a;

	if (addr_parse(&a, address))
		abort();
	return geoip_lookup(g, &a);
}

/* "US|California|Los Angeles|Example Ltd|64500|34.05,-118.24"; "": nothing known. */
static const char *shown(const struct geo_info *i)
{
	static char out[512];
	char position[64] = "";

	if (!i)
		return "";
	if (i->has_coordinates)
		snprintf(position, sizeof(position), "%g,%g", i->lat, i->lon);
	snprintf(out, sizeof(out), "%.*s|%.*s|%.*s|%.*s|%.*s|%s", (int)i->country.len, i->country.s,
		 (int)i->province.len, i->province.s, (int)i->city.len, i->city.s, (int)i->isp.len,
		 i->isp.s, (int)i->asn.len, i->asn.s, position);
	return out;
}

/* ---- layouts */

static const struct {
	const char *name, *json, *want;
} layouts[] = {
    {"MaxMind City",
     "{\"city\":{\"geoname_id\":1,\"names\":{\"de\":\"Muenchen\",\"en\":\"Munich\"}},\"continent\":"
     "{\"code\":"
     "\"EU\",\"names\":{\"en\":\"Europe\"}},\"country\":{\"iso_code\":\"DE\",\"names\":{\"en\":"
     "\"Germany\"}},"
     "\"location\":{\"accuracy_radius\":20,\"latitude\":48.137,\"longitude\":11.575,\"time_zone\":"
     "\"Europe/"
     "Berlin\"},\"registered_country\":{\"iso_code\":\"FR\"},\"subdivisions\":[{\"iso_code\":"
     "\"BY\","
     "\"names\":{\"en\":\"Bavaria\"}},{\"names\":{\"en\":\"second\"}}]}",
     "DE|Bavaria|Munich|||48.137,11.575"},
    {"MaxMind Country", "{\"country\":{\"geoname_id\":6252001,\"iso_code\":\"US\"}}", "US|||||"},
    {"MaxMind ASN",
     "{\"autonomous_system_number\":64500,\"autonomous_system_organization\":\"Example Ltd\"}",
     "|||Example Ltd|64500|"},
    {"MaxMind ISP",
     "{\"autonomous_system_number\":64501,\"autonomous_system_organization\":\"AS "
     "Org\",\"isp\":\"Isp\","
     "\"organization\":\"Organisation\"}",
     "|||AS Org|64501|"},
    {"MaxMind Enterprise",
     "{\"city\":{\"confidence\":11,\"names\":{\"en\":\"Oslo\"}},\"country\":{\"confidence\":99,"
     "\"iso_code\":"
     "\"NO\"},\"location\":{\"latitude\":59.9,\"longitude\":10.75},\"traits\":{\"autonomous_system_"
     "number\":"
     "64502,\"autonomous_system_organization\":\"Fjord "
     "AS\",\"is_anycast\":true,\"isp\":\"Fjord\"}}",
     "NO||Oslo|Fjord AS|64502|59.9,10.75"},
    {"ip-location-db city",
     "{\"city\":\"Sydney\",\"country_code\":\"AU\",\"latitude\":-33.8688f,\"longitude\":151.209f,"
     "\"postcode\":"
     "\"\",\"state1\":\"New South Wales\",\"state2\":\"x\",\"timezone\":\"\"}",
     "AU|New South Wales|Sydney|||-33.8688,151.209"},
    {"ip-location-db asn",
     "{\"autonomous_system_number\":\"13335\",\"autonomous_system_organization\":\"Cloud\"}",
     "|||Cloud|13335|"},
    {"IPinfo Lite",
     "{\"as_domain\":\"example.com\",\"as_name\":\"Example\",\"asn\":\"AS64503\",\"country\":"
     "\"Japan\","
     "\"country_code\":\"JP\"}",
     "JP|||Example|64503|"},
    {"IPinfo location",
     "{\"city\":\"Lyon\",\"country\":\"FR\",\"lat\":\"45.75\",\"lng\":\"4.85\",\"region\":"
     "\"Rhone\"}",
     "FR|Rhone|Lyon|||45.75,4.85"},
    {"IPinfo with org", "{\"country\":\"se\",\"org\":\"AS64504 Nord AB\"}", "SE|||Nord AB||"},
    {"IPinfo nested", "{\"asn\":{\"asn\":\"AS7\",\"name\":\"Seven\",\"type\":\"isp\"}}",
     "|||Seven|7|"},
    {"IP2Location, much unknown",
     "{\"city\":{\"names\":{\"en\":\"-\"}},\"country\":{\"iso_code\":\"BR\"},\"location\":{"
     "\"latitude\":0.0,"
     "\"longitude\":0.0},\"subdivisions\":[]}",
     "BR|||||"},
    {"half a position, AS 0, numbers out of range",
     "{\"country_code\":\"CH\",\"latitude\":47.0,\"longitude\":191.0,\"autonomous_system_number\":"
     "0}",
     "CH|||||"},
};

static void test_layouts(void)
{
	static const unsigned int bits[] = {24, 28, 32};
	char path[128];
	size_t i, k;

	in_dir(path, "layout.mmdb");
	for (i = 0; i < sizeof(layouts) / sizeof(layouts[0]); i++) {
		for (k = 0; k < 6; k++) {
			struct geoip *g;

			mmdb_begin(&build, k < 3 ? 4 : 6, bits[k % 3], layouts[i].name);
			mmdb_add(&build, "8.8.8.0/24", layouts[i].json);
			if (k >= 3)
				mmdb_add(&build, "2600::/16", layouts[i].json);
			mmdb_write(&build, path);
			g = open_one(path);
			CHECK_STR(why, "");
			CHECK_STR(shown(look(g, "8.8.8.8")), layouts[i].want);
			CHECK_STR(shown(look(g, "64:ff9b::808:808")), layouts[i].want);
			CHECK_STR(shown(look(g, "2002:808:808::1")), layouts[i].want);
			CHECK_STR(shown(look(g, "8.8.9.1")), "");
			CHECK_STR(shown(look(g, "2600:1::1")), k < 3 ? "" : layouts[i].want);
			geoip_free(g);
		}
	}
	unlink(path);
}

static void test_language(void)
{
	static const struct {
		const char *language, *want;
	} cases[] = {{"de", "Muenchen"},
		     {"en", "Munich"},
		     {NULL, "Munich"},
		     {"fr", "Munich"},
		     {"a-language-that-is-too-long", "Munich"}};
	char path[128];
	const char *p = in_dir(path, "language.mmdb");
	size_t i;

	mmdb_begin(&build, 4, 24, "City");
	mmdb_add(&build, "8.8.8.0/24", layouts[0].json);
	mmdb_write(&build, path);
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct geoip *g = open_with(&p, 1, cases[i].language, 0);
		const struct geo_info *info = look(g, "8.8.8.1");

		CHECK(info && info->city.len == strlen(cases[i].want) &&
		      !memcmp(info->city.s, cases[i].want, info->city.len));
		geoip_free(g);
	}
	unlink(path);
}

/* Per field the first database that has it; files for one family each. */
static void test_several(void)
{
	char a[128], b[128], c[128];
	const char *paths[3] = {in_dir(a, "a.mmdb"), in_dir(b, "b.mmdb"), in_dir(c, "c.mmdb")};
	struct geoip_database_info info;
	struct geoip *g;

	mmdb_begin(&build, 4, 24, "City v4");
	mmdb_add(&build, "8.8.8.0/24", "{\"city\":\"One\",\"country_code\":\"AA\"}");
	mmdb_add(&build, "9.0.0.0/8", "{\"country_code\":\"BB\"}");
	mmdb_write(&build, a);
	mmdb_begin(&build, 6, 28, "City v6");
	mmdb_add(&build, "2600::/16", "{\"city\":\"Six\",\"country_code\":\"CC\"}");
	mmdb_write(&build, b);
	mmdb_begin(&build, 6, 32, "ASN");
	mmdb_add(&build, "8.0.0.0/6", "{\"asn\":5,\"city\":\"Other\",\"as_name\":\"Five\"}");
	mmdb_add(&build, "2600::/12", "{\"asn\":6,\"as_name\":\"Six\"}");
	mmdb_write(&build, c);
	g = open_with(paths, 3, NULL, 0);
	CHECK_STR(why, "");
	CHECK_STR(shown(look(g, "8.8.8.8")), "AA||One|Five|5|");
	CHECK_STR(shown(look(g, "9.1.1.1")), "BB||Other|Five|5|");
	CHECK_STR(shown(look(g, "2600::1")), "CC||Six|Six|6|");
	CHECK_STR(shown(look(g, "2601::1")), "|||Six|6|");
	CHECK(geoip_database(g, 2, &info) && info.loaded);
	CHECK_STR(info.fields, "city isp asn");
	CHECK_STR(info.type, "ASN");
	CHECK_INT(info.built_s, 1700000000);
	CHECK(!geoip_database(g, 3, &info));
	geoip_free(g);
	unlink(a);
	unlink(b);
	unlink(c);
}

static void test_none(void)
{
	struct geoip *g = open_with(NULL, 0, NULL, 0);

	CHECK_STR(why, "");
	CHECK(!look(g, "8.8.8.8"));
	CHECK_INT(geoip_poll(g, why, sizeof(why)), 0);
	geoip_free(g);
	geoip_free(NULL);
}

/* ---- cache */

static void write_country(const char *path, const char *code)
{
	char json[64];

	mmdb_begin(&build, 6, 24, "Country");
	snprintf(json, sizeof(json), "{\"country_code\":\"%s\"}", code);
	mmdb_add(&build, "0.0.0.0/1", json);
	mmdb_write(&build, path);
}

static void test_cache(void)
{
	char path[128];
	const char *p = in_dir(path, "cache.mmdb");
	const struct geo_info *kept;
	struct geoip *g;
	uint64_t asked;
	unsigned int i;

	write_country(path, "AA");
	g = open_with(&p, 1, NULL, GEOIP_CACHE_MIN);
	kept = look(g, "8.8.8.8");
	CHECK_STR(shown(kept), "AA|||||");
	CHECK(look(g, "8.8.8.8") == kept);
	CHECK_INT(geoip_stats(g)->hits, 1);
	CHECK_INT(geoip_stats(g)->misses, 1);
	CHECK(!look(g, "200.1.1.1"));
	CHECK(!look(g, "200.1.1.1")); /* that nothing is known is kept too */
	CHECK_INT(geoip_stats(g)->hits, 2);
	CHECK_INT(geoip_stats(g)->evicted, 0);
	for (i = 0; i < 100000; i++) {
		struct ip_addr a;
		uint32_t r = i * 2654435761u % 1000;

		memset(&a, 0x26, sizeof(a));
		memcpy(a.b + 4, &r, sizeof(r));
		if (geoip_lookup(g, &a))
			CHECK(false);
	}
	asked = geoip_stats(g)->hits + geoip_stats(g)->misses;
	CHECK_INT(asked, 100004);
	/* a thousand addresses in turns go round a cache for 64: hardly one is still there */
	CHECK(geoip_stats(g)->evicted > 50000);
	CHECK_INT(geoip_stats(g)->evicted, geoip_stats(g)->misses - 2 - GEOIP_CACHE_MIN);
	CHECK_STR(shown(look(g, "8.8.8.8")), "AA|||||");
	geoip_free(g);
	unlink(path);
}

/* What was given out stays as long as it was promised to, whatever else is asked for, though
 * nobody else needs it any longer. */
static void test_kept(void)
{
	char path[128], json[64], network[32];
	const char *p = in_dir(path, "kept.mmdb");
	const struct geo_info *kept;
	struct ip_addr a;
	struct geoip *g;
	unsigned int i, round;

	mmdb_begin(&build, 4, 28, "City");
	for (i = 0; i < 500; i++) {
		snprintf(network, sizeof(network), "9.%u.%u.0/24", i / 250, i % 250);
		snprintf(json, sizeof(json), "{\"city\":\"City %u\"}", i);
		mmdb_add(&build, network, json);
	}
	mmdb_write(&build, path);
	g = open_with(&p, 1, NULL, GEOIP_CACHE_MIN);
	for (round = 0; round < 20; round++) {
		kept = look(g, "9.0.7.7");
		for (i = 0; i < GEOIP_KEPT; i++) {
			uint8_t v4[4] = {9, 1, (uint8_t)(i % 250), (uint8_t)(1 + round)};

			addr_from_v4(&a, v4);
			if (!geoip_lookup(g, &a))
				CHECK(false);
		}
		CHECK_STR(shown(kept), "||City 7|||");
	}
	CHECK(geoip_stats(g)->evicted > 20 * (GEOIP_KEPT - GEOIP_CACHE_MIN));
	geoip_free(g);
	unlink(path);
}

/* No database has IPv6: nobody has to ask for it. */
static void test_families(void)
{
	char path[128], next[128];
	struct geoip *g;

	in_dir(path, "family.mmdb");
	in_dir(next, "family.mmdb.new");
	mmdb_begin(&build, 4, 24, "City");
	mmdb_add(&build, "8.8.8.0/24", "{\"country_code\":\"AA\"}");
	mmdb_write(&build, path);
	g = open_one(path);
	CHECK(!geoip_has_v6(g));
	write_country(next, "BB");
	CHECK(!rename(next, path));
	CHECK(!geoip_has_v6(g));
	CHECK_INT(geoip_poll(g, why, sizeof(why)), 1);
	CHECK(geoip_has_v6(g));
	geoip_free(g);
	unlink(path);
	g = open_one(path);
	CHECK(!geoip_has_v6(g));
	geoip_free(g);
}

/* ---- replaced while in use */

static void rest(void)
{
	struct timespec t = {0, GEOIP_REST_NS + 20000000};

	nanosleep(&t, NULL);
}

static void test_renamed(void)
{
	char path[128], next[128];
	struct geoip *g;

	in_dir(path, "db.mmdb");
	in_dir(next, "db.mmdb.new");
	write_country(path, "AA");
	g = open_one(path);
	CHECK_STR(shown(look(g, "8.8.8.8")), "AA|||||");
	CHECK_INT(geoip_poll(g, why, sizeof(why)), 0);
	write_country(next, "BB");
	CHECK(!rename(next, path));
	CHECK_STR(shown(look(g, "8.8.8.8")), "AA|||||"); /* nothing moves under the reader */
	CHECK_INT(geoip_poll(g, why, sizeof(why)), 1);
	CHECK_STR(why, "");
	CHECK_STR(shown(look(g, "8.8.8.8")), "BB|||||");
	unlink(path);
	CHECK_INT(geoip_poll(g, why, sizeof(why)), 0);
	CHECK_STR(shown(look(g, "8.8.8.8")), "BB|||||");
	CHECK_INT(geoip_stats(g)->loaded, 2);
	geoip_free(g);
}

static void test_overwritten(void)
{
	char path[128];
	struct geoip *g;
	unsigned int i;
	int fd;

	in_dir(path, "db.mmdb");
	write_country(path, "AA");
	g = open_one(path);
	fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
	CHECK(fd >= 0);
	for (i = 0; i < 1000; i++) { /* all of it would be SIGBUS on a mapping of the file itself */
		uint8_t v4[4] = {8, 1, (uint8_t)(i >> 8), (uint8_t)i};
		struct ip_addr a;

		addr_from_v4(&a, v4);
		if (!geoip_lookup(g, &a))
			CHECK(false);
	}
	CHECK_INT(geoip_poll(g, why, sizeof(why)), 0); /* seen, and left to rest */
	CHECK_STR(why, "");
	rest();
	CHECK_INT(geoip_poll(g, why, sizeof(why)), 0);
	CHECK(strstr(why, "db.mmdb: the file is empty") && strstr(why, "stays in use"));
	CHECK_INT(geoip_poll(g, why, sizeof(why)), 0);
	CHECK_STR(why, ""); /* told once */
	CHECK_STR(shown(look(g, "8.8.8.8")), "AA|||||");
	close(fd);
	write_country(path, "BB");
	CHECK_INT(geoip_poll(g, why, sizeof(why)), 0);
	rest();
	CHECK_INT(geoip_poll(g, why, sizeof(why)), 1);
	CHECK_STR(shown(look(g, "8.8.8.8")), "BB|||||");
	CHECK_INT(geoip_stats(g)->refused, 1);
	geoip_free(g);
	unlink(path);
}

/* Missing or bad at the start: everything else works, and it is taken when it comes. */
static void test_late(void)
{
	char path[128], next[128];
	struct geoip *g;

	in_dir(path, "late.mmdb");
	in_dir(next, "late.mmdb.new");
	g = open_one(path);
	CHECK(strstr(why, "late.mmdb: No such file"));
	CHECK(!look(g, "8.8.8.8"));
	CHECK_INT(geoip_poll(g, why, sizeof(why)), 0);
	CHECK_STR(why, "");
	write_country(next, "AA");
	CHECK(!rename(next, path));
	CHECK_INT(geoip_poll(g, why, sizeof(why)), 1);
	CHECK_STR(shown(look(g, "8.8.8.8")), "AA|||||");
	geoip_free(g);
	unlink(path);
}

/* ---- damage */

static void make_city(uint8_t **bytes, size_t *size)
{
	mmdb_begin(&build, 6, 28, "City");
	mmdb_add(&build, "8.8.8.0/24", layouts[0].json);
	mmdb_add(&build, "9.0.0.0/8", layouts[4].json);
	mmdb_add(&build, "2600::/16", layouts[0].json);
	*bytes = mmdb_bytes(&build, size);
}

/* Every length: each but the whole is refused, or at least never read beyond. */
static void test_truncated(void)
{
	char path[128], wrong[256];
	uint8_t *bytes;
	size_t size, n, accepted = 0;
	struct geoip *g;

	in_dir(path, "cut.mmdb");
	make_city(&bytes, &size);
	for (n = 0; n < size; n += n < size - 200 ? 37 : 1) {
		mmdb_write_bytes(path, bytes, n);
		g = open_one(path);
		if (!why[0]) {
			accepted++;
			look(g, "8.8.8.8");
		} else if (!strstr(why, "cut.mmdb: ")) {
			snprintf(wrong, sizeof(wrong), "%.200s", why);
			CHECK_STR(wrong, "a sentence that names the file");
		}
		geoip_free(g);
	}
	CHECK_INT(accepted, 0);
	free(bytes);
	unlink(path);
}

/* Every byte turned over: refused or harmless. */
static void test_bytes_changed(void)
{
	char path[128];
	uint8_t *bytes;
	size_t size, i, refused = 0;

	in_dir(path, "bad.mmdb");
	make_city(&bytes, &size);
	for (i = 0; i < size; i += i < size - 800 ? 11 : 1) {
		struct geoip *g;

		bytes[i] ^= 0xff;
		mmdb_write_bytes(path, bytes, size);
		g = open_one(path);
		refused += why[0] != 0;
		look(g, "8.8.8.8");
		look(g, "9.8.8.8");
		look(g, "2600::1");
		geoip_free(g);
		bytes[i] ^= 0xff;
	}
	CHECK_MSG(refused > 100, "only %zu were refused", refused);
	free(bytes);
	unlink(path);
}

static void test_not_ours(void)
{
	char path[128];
	struct geoip *g;

	in_dir(path, "other.mmdb");
	mmdb_begin(&build, 4, 24, "Connection-Type");
	mmdb_add(&build, "8.8.8.0/24", "{\"connection_type\":\"Cable/DSL\"}");
	mmdb_write(&build, path);
	g = open_one(path);
	CHECK(strstr(why, "other.mmdb: a database of type 'Connection-Type', in which no country"));
	geoip_free(g);
	mmdb_write_bytes(path, (const uint8_t *)"<html>404</html>\n", 17);
	g = open_one(path);
	CHECK(strstr(why, "not a MaxMind DB"));
	geoip_free(g);
	unlink(path);
	g = open_one("/");
	CHECK_STR(why, "/: not a file; fetch the database again");
	geoip_free(g);
}

/* No directory for the snapshot: memory serves. */
static void test_snapshot_in_memory(void)
{
	char path[128];
	const char *p = in_dir(path, "db.mmdb");
	struct geoip_config c = {.databases = &p, .n = 1, .snapshot_dir = "/nonexistent"};
	struct geoip *g;

	write_country(path, "AA");
	CHECK_INT(geoip_new(&g, &c, why, sizeof(why)), 0);
	if (strstr(why, "no room for a private copy")) {
		TEST_SKIP("this kernel has no memfd_create");
	} else {
		CHECK_STR(why, "");
		CHECK_STR(shown(look(g, "8.8.8.8")), "AA|||||");
	}
	geoip_free(g);
	unlink(path);
}

/* ---- places shared by addresses */

static size_t write_dotted(char *out, const char *s, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++) {
		out[2 * i] = s[i];
		out[2 * i + 1] = '.';
	}
	return 2 * len;
}

static void check_written(const struct geo_info *g, int i, const char *want)
{
	const struct geo_written *w = g->written;

	CHECK_MSG(w && w->len[i] == strlen(want) && !memcmp(w->bytes + w->at[i], want, w->len[i]),
		  "wanted %s", want);
}

static void test_places(void)
{
	char path[128], next[128], json[256], network[32];
	const char *p = in_dir(path, "places.mmdb");
	struct geoip_config c = {&p, 1, NULL, true, GEOIP_CACHE_MIN, dir, .write = write_dotted};
	const struct geo_info *one, *other;
	struct geoip *g;
	unsigned int i, k;

	mmdb_begin(&build, 4, 28, "City");
	mmdb_add(&build, "8.0.0.0/9", "{\"country_code\":\"AA\",\"city\":\"Linz\",\"asn\":7}");
	snprintf(json, sizeof(json), "{\"country_code\":\"BB\",\"city\":\"%0140d\"}", 1);
	mmdb_add(&build, "8.128.0.0/9", json);
	for (i = 0; i < 100; i++) {
		snprintf(network, sizeof(network), "9.%u.0.0/16", i);
		snprintf(json, sizeof(json), "{\"city\":\"City %u\"}", i);
		mmdb_add(&build, network, json);
	}
	mmdb_write(&build, path);
	CHECK_INT(geoip_new(&g, &c, why, sizeof(why)), 0);
	CHECK_STR(why, "");
	one = look(g, "8.1.1.1");
	other = look(g, "8.2.2.2");
	CHECK(one && one == other); /* one record, one place */
	CHECK_STR(shown(one), "AA||Linz||7|");
	check_written(one, 0, "A.A.");
	check_written(one, 1, "");
	check_written(one, 2, "L.i.n.z.");
	check_written(one, 4, "7.");
	other = look(g, "8.200.1.1"); /* too long to be kept written */
	CHECK(other && other->city.len == 140 && !other->written);
	/* more places than fit, over and over: each address has its own */
	for (k = 0; k < 20000; k++) {
		char want[32], address[32];

		i = k * 2654435761u % 9973 % 100;
		snprintf(address, sizeof(address), "9.%u.%u.1", i, k % 7);
		snprintf(want, sizeof(want), "||City %u|||", i);
		if (strcmp(shown(look(g, address)), want) != 0)
			CHECK_STR(shown(look(g, address)), want);
	}
	CHECK_STR(shown(look(g, "8.1.1.1")), "AA||Linz||7|");
	in_dir(next, "places.mmdb.new");
	write_country(next, "CC");
	CHECK(!rename(next, path));
	CHECK_INT(geoip_poll(g, why, sizeof(why)), 1);
	CHECK_STR(shown(look(g, "8.1.1.1")), "CC|||||");
	check_written(look(g, "8.1.1.1"), 2, "");
	geoip_free(g);
	unlink(path);
}

/* ---- opened beside the caller */

/* Polls until something was taken or said; how many were taken. */
static int poll_until(struct geoip *g)
{
	struct timespec t = {0, 1000000};
	int i, taken = 0;

	for (i = 0; i < 5000 && !taken; i++) {
		taken = geoip_poll(g, why, sizeof(why));
		if (why[0])
			break;
		nanosleep(&t, NULL);
	}
	return taken;
}

static void test_beside(void)
{
	char path[128], next[128], none[128];
	const char *paths[2] = {in_dir(path, "db.mmdb"), in_dir(none, "none.mmdb")};
	struct geoip_config c = {
	    paths, 2, NULL, true, 0, dir, .start_beside = true, .reload_beside = true};
	struct geoip *g;
	int k;

	in_dir(next, "db.mmdb.new");
	for (k = 0; k < 3; k++) {
		write_country(path, "AA");
		CHECK_INT(geoip_new(&g, &c, why, sizeof(why)), 0);
		CHECK_STR(why, "");
		CHECK(geoip_starting(g));
		if (k == 1) {
			geoip_free(g); /* never asked */
			continue;
		}
		if (k == 0)
			CHECK_STR(shown(look(g, "8.8.8.8")), "AA|||||"); /* waits */
		CHECK(geoip_starting(g));
		geoip_wait(g, why, sizeof(why));
		CHECK(!geoip_starting(g));
		CHECK(strstr(why, "none.mmdb: No such file"));
		geoip_wait(g, why, sizeof(why));
		CHECK_STR(why, ""); /* told once */
		CHECK_STR(shown(look(g, "8.8.8.8")), "AA|||||");
		/* a new edition comes in by itself, the old one serves until then */
		write_country(next, "BB");
		CHECK(!rename(next, path));
		CHECK_INT(geoip_poll(g, why, sizeof(why)), 0);
		CHECK_STR(shown(look(g, "8.8.8.8")), "AA|||||");
		CHECK_INT(poll_until(g), 1);
		CHECK_STR(shown(look(g, "8.8.8.8")), "BB|||||");
		/* a bad one is told, once, and changes nothing */
		mmdb_write_bytes(next, (const uint8_t *)"<html>404</html>\n", 17);
		CHECK(!rename(next, path));
		CHECK_INT(poll_until(g), 0);
		CHECK(strstr(why, "not a MaxMind DB") && strstr(why, "stays in use"));
		CHECK_INT(geoip_poll(g, why, sizeof(why)), 0);
		CHECK_STR(why, "");
		CHECK_STR(shown(look(g, "8.8.8.8")), "BB|||||");
		/* closed in the middle of it */
		write_country(next, "CC");
		CHECK(!rename(next, path));
		CHECK_INT(geoip_poll(g, why, sizeof(why)), 0);
		geoip_free(g);
	}
	unlink(path);
}

/* Nothing is left open or lying about. */
static void test_leaves_nothing(void)
{
	char path[128], next[128];
	struct geoip *g;
	int i, before = dup(0), after;

	in_dir(path, "db.mmdb");
	in_dir(next, "db.mmdb.new");
	write_country(path, "AA");
	g = open_one(path);
	for (i = 0; i < 50; i++) {
		write_country(next, i & 1 ? "AA" : "BB");
		CHECK(!rename(next, path));
		CHECK_INT(geoip_poll(g, why, sizeof(why)), 1);
	}
	geoip_free(g);
	after = dup(0);
	CHECK_INT(after, before + 1);
	close(before);
	close(after);
	unlink(path);
	CHECK(!rmdir(dir)); /* the last test: empty */
}

static void test_directory(void)
{
	CHECK(mkdtemp(dir) != NULL);
}

TEST_MAIN({"directory", test_directory}, {"layouts", test_layouts}, {"language", test_language},
	  {"several databases", test_several}, {"no database", test_none}, {"cache", test_cache},
	  {"kept", test_kept}, {"families", test_families}, {"renamed into place", test_renamed},
	  {"overwritten in place", test_overwritten}, {"late", test_late},
	  {"truncated", test_truncated}, {"bytes changed", test_bytes_changed},
	  {"not ours", test_not_ours}, {"snapshot in memory", test_snapshot_in_memory},
	  {"places", test_places}, {"beside the caller", test_beside},
	  {"leaves nothing", test_leaves_nothing})
