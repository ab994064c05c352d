/* outlets.h - the outputs that the configuration names: opened, and changed while running.
 *
 * An output is known by its name (conf_output_name()): what has the same name before and after a
 * change keeps its thread, its queue and its spool, and gets the new settings.
 */
#ifndef COLLECTOR_OUTLETS_H
#define COLLECTOR_OUTLETS_H

#include <stdbool.h>

#include "common/error.h"
#include "conf/conf.h"
#include "collector/stats.h"
#include "output/outputs.h"

/* Open all. live: points that cannot be delivered now are kept in the spool, and nothing waits for
 * an output; else (capture files) reading waits, nothing is spooled, and an output that fails for
 * long is an error. 0, or a negative error, which is logged. */
int outlets_open(struct outputs **os, const struct conf *conf, bool live) MUST_CHECK;

/* A change that is prepared: all that can fail. */
struct outlets;

/* before: what os was opened with. 0, or a negative error, which is logged; nothing has changed. */
int outlets_prepare(struct outlets **next, const struct outputs *os, const struct conf *before,
		    const struct conf *now) MUST_CHECK;

/* Do it: new ones come, others change, files are opened anew, and what is no longer named sends
 * what it has and leaves. */
void outlets_apply(struct outlets *next, struct outputs *os);

/* The fields of the point `flowline` about one output, for the cycle between the two: counters as
 * their change, gauges as they are. time_ns: the cycle's end, since the epoch. Returns how many. */
size_t outlet_fields(const struct output_stats *before, const struct output_stats *now,
		     uint64_t time_ns, struct self_field out[STATS_FIELDS_MOST]);

/* Leave all as it is. NULL is fine. */
void outlets_discard(struct outlets *next);

#endif
