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

/* point_sink.prepare: the places of public addresses. They stay until enrich_poll(), or until as
 * many other points came as the cache has room for the addresses of. */
void enrich_points(struct enrich *e, struct point *points, size_t n);

#endif
