/* enrich.c - see enrich.h. */
#include "collector/enrich.h"

#include <errno.h>

#include "common/log.h"
#include "geoip/address_class.h"

int enrich_open(struct enrich *e, const char *const *databases, size_t n, const char *language,
		bool coordinates)
{
	struct geoip_config c = {
	    .databases = databases, .n = n, .language = language, .coordinates = coordinates};
	char why[GEOIP_WHY_SIZE] = "";
	int err;

	if (!n)
		return 0;
	err = geoip_new(&e->geoip, &c, why, sizeof(why));
	if (err)
		log_error("geoip.databases: %s", fl_strerror(err));
	else if (why[0])
		log_warn("%s", why);
	return err;
}

void enrich_close(struct enrich *e)
{
	geoip_free(e->geoip);
	e->geoip = NULL;
}

void enrich_poll(struct enrich *e)
{
	char why[GEOIP_WHY_SIZE] = "";

	if (!e->geoip)
		return;
	if (geoip_poll(e->geoip, why, sizeof(why)) > 0)
		log_info("a new edition of a GeoIP database is in use");
	if (why[0])
		log_warn("%s", why);
}

static const struct geo_info *place_of(struct enrich *e, const struct ip_addr *a)
{
	return addr_class_of(a) == ADDR_PUBLIC ? geoip_lookup(e->geoip, a) : NULL;
}

static void put(void *ctx, const struct point *point)
{
	const struct geo_info *src, *dst;
	struct enrich *e = ctx;
	struct point p;

	if (point->kind == POINT_SELF) {
		e->next.put(e->next.ctx, point);
		return;
	}
	src = place_of(e, &point->src.addr);
	dst = place_of(e, &point->dst.addr);
	if (!src && !dst) {
		e->next.put(e->next.ctx, point);
		return;
	}
	p = *point;
	p.src_geo = src;
	p.dst_geo = dst;
	e->next.put(e->next.ctx, &p);
}

static void end(void *ctx, uint64_t cycle_end_ns)
{
	struct enrich *e = ctx;

	e->next.end(e->next.ctx, cycle_end_ns);
}

struct point_sink enrich_sink(struct enrich *e)
{
	struct point_sink s = {.put = put, .end = end, .ctx = e};

	return e->geoip ? s : e->next;
}
