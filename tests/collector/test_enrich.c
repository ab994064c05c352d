/* test_enrich.c - places go to public addresses only; without any, points are passed on as they
 * are. */
#include "collector/enrich.h"

#include "tests/geoip/mmdb_build.h"
#include "tests/test.h"

static struct point last;
static const struct point *last_at;
static unsigned int ends;

static void put(void *ctx, const struct point *p)
{
	(void)ctx;
	last = *p;
	last_at = p;
}

static void end(void *ctx, uint64_t cycle_end_ns)
{
	(void)ctx;
	(void)cycle_end_ns;
	ends++;
}

static struct enrich enrich_with(const char *path, bool beside)
{
	struct enrich e = {.next = {put, end, NULL}};
	const char *const paths[] = {path};

	CHECK_INT(enrich_open(&e, paths, path ? 1 : 0, "en", false, beside), 0);
	return e;
}

static void point_to(struct point *p, const char *src, const char *dst)
{
	memset(p, 0, sizeof(*p));
	CHECK_INT(addr_parse(&p->src.addr, src), 0);
	CHECK_INT(addr_parse(&p->dst.addr, dst), 0);
}

static void check_places(bool beside)
{
	static struct mmdb_build b;
	char path[] = "/tmp/flowline-enrich.XXXXXX";
	int fd = mkstemp(path);
	struct point_sink s;
	struct enrich e;
	struct point p;

	if (!CHECK(fd >= 0))
		return;
	close(fd);
	mmdb_begin(&b, 4, 24, "Test");
	mmdb_add(&b, "8.8.8.0/24", "{\"country\":{\"iso_code\":\"US\"}}");
	mmdb_add(&b, "10.0.0.0/8", "{\"country\":{\"iso_code\":\"XX\"}}");
	mmdb_write(&b, path);
	e = enrich_with(path, beside);
	s = enrich_sink(&e);
	point_to(&p, "10.0.0.1", "8.8.8.8");
	s.put(s.ctx, &p);
	CHECK(!last.src_geo); /* private, whatever the database says */
	if (CHECK(last.dst_geo != NULL))
		CHECK(last.dst_geo->written && last.dst_geo->written->len[0] == 2 &&
		      last.dst_geo->country.len == 2 && !memcmp(last.dst_geo->country.s, "US", 2));
	CHECK(!p.dst_geo); /* the engine's point is not ours to change */
	point_to(&p, "8.8.8.8", "9.9.9.9");
	s.put(s.ctx, &p);
	CHECK(last.src_geo && !last.dst_geo);
	point_to(&p, "10.0.0.1", "9.9.9.9");
	s.put(s.ctx, &p);
	CHECK(last_at == &p && !last.src_geo && !last.dst_geo);
	p.kind = POINT_SELF;
	s.put(s.ctx, &p);
	CHECK(last_at == &p);
	s.end(s.ctx, 1);
	CHECK_INT(ends, 1);
	enrich_close(&e);
	unlink(path);
}

static void test_places(void)
{
	ends = 0;
	check_places(false);
	ends = 0;
	check_places(true); /* the first point waits */
}

static void test_none(void)
{
	struct enrich e = enrich_with(NULL, false);
	struct point_sink s = enrich_sink(&e);

	CHECK(s.put == put && s.end == end); /* no stage at all */
	enrich_poll(&e);
	enrich_close(&e);
}

TEST_MAIN({"places", test_places}, {"no database", test_none})
