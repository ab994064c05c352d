/* enrich.c - see enrich.h. */
#include "collector/enrich.h"

#include <errno.h>

#include "common/log.h"
#include "geoip/address_class.h"
#include "output/escape.h"
#include "output/line.h"

/* A place's text as the encoder would write it. */
static size_t write_text(char *out, const char *s, size_t len)
{
	struct text t = {s, (uint32_t)len};

	return (size_t)(escape_put(out, ESCAPE_TAG, s, line_text_len(POINT_TAG_DST_CITY, &t)) -
			out);
}

/* How opening the databases went, which is told once. */
static void tell_start(struct enrich *e)
{
	char why[GEOIP_WHY_SIZE] = "";

	geoip_wait(e->geoip, why, sizeof(why));
	if (why[0])
		log_warn("%s", why);
}

int enrich_open(struct enrich *e, const char *const *databases, size_t n, const char *language,
		bool coordinates, bool beside)
{
	struct geoip_config c = {.databases = databases,
				 .n = n,
				 .language = language,
				 .coordinates = coordinates,
				 .start_beside = beside,
				 .reload_beside = true,
				 .write = write_text};
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
	if (e->geoip)
		tell_start(e);
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

/* The most frequent cases without a search; and without IPv6 in any database its addresses are not
 * looked at any closer. */
static inline bool may_have_place(const struct ip_addr *a, bool v6)
{
	enum addr_class class;

	if (!addr_is_v4(a)) {
		if (!v6 && !addr_inner_v4(a))
			return false;
	} else {
		class = (enum addr_class)addr_class_by_octet[a->b[12]];
		if (class != ADDR_CLASSES)
			return class == ADDR_PUBLIC;
		if (a->b[12] == 192 && a->b[13] == 168)
			return false;
	}
	return addr_class_search(a) == ADDR_PUBLIC;
}

void enrich_points(struct enrich *e, struct point *points, size_t n)
{
	const struct ip_addr *addr[2 * POINT_BLOCK];
	const struct geo_info *places[2 * POINT_BLOCK], **put[2 * POINT_BLOCK];
	size_t i, k = 0;
	bool v6;

	if (!e->geoip)
		return;
	if (geoip_starting(e->geoip))
		tell_start(e);
	v6 = geoip_has_v6(e->geoip);
	for (i = 0; i < n; i++) {
		if (may_have_place(&points[i].src.addr, v6)) {
			put[k] = &points[i].src_geo;
			addr[k++] = &points[i].src.addr;
		}
		if (may_have_place(&points[i].dst.addr, v6)) {
			put[k] = &points[i].dst_geo;
			addr[k++] = &points[i].dst.addr;
		}
	}
	geoip_lookup_block(e->geoip, addr, k, places);
	while (k-- > 0)
		*put[k] = places[k];
}
