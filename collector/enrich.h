/* enrich.h - what the collector knows of a point's addresses, added on the way from the engine to
 * the output.
 *
 * Threads: belongs to one thread.
 */
#ifndef COLLECTOR_ENRICH_H
#define COLLECTOR_ENRICH_H

#include "flows/point.h"
#include "geoip/geoip.h"

struct enrich {
	struct geoip *geoip; /* owned; NULL: none */
	struct point_sink next;
};

/* Open the databases of the configuration. 0, or negative; what is wrong with a database is logged,
 * and is no error: it is taken when it comes. beside: in a thread, for which the first point
 * waits; what is wrong is logged then, by enrich_poll() or enrich_close(). */
int enrich_open(struct enrich *e, const char *const *databases, size_t n, const char *language,
		bool coordinates, bool beside) MUST_CHECK;
void enrich_close(struct enrich *e);

/* Databases may have been replaced: about once a second, not while points are being given. Never
 * waits for one to be opened. */
void enrich_poll(struct enrich *e);

/* Where points go: GeoIP for the public addresses. */
struct point_sink enrich_sink(struct enrich *e);

#endif
