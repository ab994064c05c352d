/* test_enrich.c - places go to public addresses only; without any, points stay as they are. */
#include "collector/enrich.h"

#include "tests/geoip/mmdb_build.h"
#include "tests/test.h"

static struct enrich enrich_with(const char *path, bool beside)
{
	const char *const paths[] = {path};
	struct enrich e = {NULL};

	CHECK_INT(enrich_open(&e, paths, path ? 1 : 0, "en", false, beside), 0);
	return e;
}

static void point_to(struct point *p, const char *src, const char *dst)
{
	memset(p, 0, sizeof(*p));
	CHECK_INT(addr_parse(&p->src.addr, src), 0);
	CHECK_INT(addr_parse(&p->dst.addr, dst), 0);
}

static void write_database(char *path)
{
	static struct mmdb_build b;
	int fd = mkstemp(path);

	if (fd < 0)
		abort();
	close(fd);
	mmdb_begin(&b, 4, 24, "Test");
	mmdb_add(&b, "8.8.8.0/24", "{\"country\":{\"iso_code\":\"US\"}}");
	mmdb_add(&b, "10.0.0.0/8", "{\"country\":{\"iso_code\":\"XX\"}}");
	mmdb_write(&b, path);
}

static void check_places(bool beside)
{
	char path[] = "/tmp/flowline-enrich.XXXXXX";
	struct point p[3];
	struct enrich e;

	write_database(path);
	e = enrich_with(path, beside);
	point_to(&p[0], "10.0.0.1", "8.8.8.8");
	point_to(&p[1], "8.8.8.8", "9.9.9.9");
	point_to(&p[2], "10.0.0.1", "9.9.9.9");
	enrich_points(&e, p, 3);
	CHECK(!p[0].src_geo); /* private, whatever the database says */
	if (CHECK(p[0].dst_geo != NULL))
		CHECK(p[0].dst_geo->written && p[0].dst_geo->written->len[0] == 2 &&
		      p[0].dst_geo->country.len == 2 && !memcmp(p[0].dst_geo->country.s, "US", 2));
	CHECK(p[1].src_geo == p[0].dst_geo && !p[1].dst_geo);
	CHECK(!p[2].src_geo && !p[2].dst_geo);
	enrich_close(&e);
	unlink(path);
}

static void test_places(void)
{
	check_places(false);
	check_places(true); /* the first point waits */
}

/* Both ends of all points of a block have places. */
static void test_full_block(void)
{
	char path[] = "/tmp/flowline-enrich.XXXXXX", src[32];
	struct point p[POINT_BLOCK];
	struct enrich e;
	int i;

	write_database(path);
	e = enrich_with(path, false);
	for (i = 0; i < POINT_BLOCK; i++) {
		snprintf(src, sizeof(src), "8.8.8.%d", i);
		point_to(&p[i], src, "8.8.8.200");
	}
	enrich_points(&e, p, POINT_BLOCK);
	for (i = 0; i < POINT_BLOCK; i++)
		CHECK(p[i].src_geo && p[i].dst_geo == p[0].src_geo);
	CHECK_INT(geoip_stats(e.geoip)->misses, POINT_BLOCK + 1);
	CHECK_INT(geoip_stats(e.geoip)->hits, POINT_BLOCK - 1);
	enrich_points(&e, p, 0);
	enrich_close(&e);
	unlink(path);
}

static void test_none(void)
{
	struct enrich e = enrich_with(NULL, false);
	struct point p;

	point_to(&p, "10.0.0.1", "8.8.8.8");
	enrich_points(&e, &p, 1);
	CHECK(!p.src_geo && !p.dst_geo);
	enrich_poll(&e);
	enrich_close(&e);
}

TEST_MAIN({"places", test_places}, {"full block", test_full_block}, {"no database", test_none})
