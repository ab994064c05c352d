/* merge.h - a stage before the line writer: tags that are left out, and a limit on the series of a
 * cycle.
 *
 * Points that become alike are added up here, before they are written, so that no total changes:
 * counters are summed, means are made anew of their sums, maxima are the larger one. A cycle's
 * points are kept until its end and written in the order of their first sight, with times of their
 * own (+n ns where only fields tell points apart). Without exclusions and without a limit there is
 * no need for the stage.
 *
 * The limit (points.max_series) is hard: a measurement never writes more points (distinct tags and
 * key fields) in one cycle. What is over it goes, by what explodes, into points with POINT_OTHER:
 *   1. netflow: the remote address, its name and place, and the client's port; dnsflow: domain;
 *      httpflow: path
 *   2. also both ports, the remote address and places, pid
 *   3. direction, transport and family only
 *   4. one point for the rest
 * The later a series was seen first, the sooner it is folded; each level has a share kept free for
 * it.
 *
 * Threads: belongs to one thread. All memory is taken by merge_new().
 */
#ifndef OUTPUT_MERGE_H
#define OUTPUT_MERGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/addr.h"
#include "common/error.h"
#include "flows/point.h"

struct merge_config {
	/* Names of tags to leave out. Those that are not a point's own (host, custom ones ...) make
	 * no points alike and are ignored here: line_config.exclude is what leaves them out. A
	 * custom tag that replaces one of a point's own belongs here too. */
	const char *const *exclude;
	size_t nexclude;
	bool key_fields_as_tags; /* as the encoder's: key fields can be left out only as tags */
	uint32_t max_series;     /* points per cycle and measurement; 0: no limit but max_points */
	/* The most distinct points of one measurement that the stage has room for (1 to 2^29);
	 * beyond, it folds as it does for max_series. The engine's own limit, so that this never
	 * happens. */
	size_t max_points;
	/* As line_config's: points that differ in an address that is left out may differ in its
	 * class. */
	const char *(*address_class)(const struct ip_addr *a);
	struct point_sink next;
};

struct merge;

/* NULL with errno set. The names are only read. */
struct merge *merge_new(const struct merge_config *config) MUST_CHECK;
void merge_free(struct merge *m);

/* Where points go. POINT_SELF goes straight to the next sink. */
struct point_sink merge_sink(struct merge *m);

struct merge_stats {
	uint64_t series_limited; /* points taken that were folded into POINT_OTHER */
	uint64_t taken, written; /* points; written <= taken */
};

const struct merge_stats *merge_stats(const struct merge *m);

#endif
