/* status_view.h - what `flowline status` tells of a run: the facts, what is wrong with them, and
 * both forms of telling (docs/status.md).
 *
 * The run fills a struct status_view when somebody asks (status.h); nothing of it is kept.
 */
#ifndef COLLECTOR_STATUS_VIEW_H
#define COLLECTOR_STATUS_VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "collector/buffer.h"
#include "collector/ifaces.h"
#include "collector/source.h"
#include "collector/stats.h"
#include "collector/talkers.h"
#include "collector/tiers.h"
#include "geoip/geoip.h"
#include "output/output.h"

enum {
	STATUS_INTERFACES_MOST = 64,
	STATUS_OUTPUTS_MOST = 32,
};

struct status_interface {
	char name[IFACE_NAME_SIZE]; /* "": all interfaces, with one ring */
	bool open;                  /* false: it is waited for */
	struct source_stats stats;  /* of its ring, since that was opened; where open */
};

/* Pointers are borrowed for the call that gets the view. */
struct status_view {
	/* Set before the run is asked: */
	const char *version;
	int pid;
	uint64_t now_ns; /* since the epoch */
	/* To be filled in; NULL, 0: not known, there is none. */
	const char *host, *config_file;
	const char *mode; /* of the capture: "packet", "socket" or "probe" */
	uint64_t interval_ns;
	struct status_interface interfaces[STATUS_INTERFACES_MOST];
	size_t ninterfaces;
	/* What the kernel's own counters tell, and by which means; none in mode packet. */
	struct tiers_fact facts[TIERS_FACTS_MOST];
	size_t nfacts;
	/* Totals of now; they must be there. elapsed_ns is how long the run is. */
	const struct stats_totals *now;
	/* Totals at the begin and at the end of the last complete cycle, which tell its length:
	 * rates are of this cycle. NULL: none is complete; they are since the start then. */
	const struct stats_totals *cycle_from, *cycle_to;
	struct output_stats outputs[STATUS_OUTPUTS_MOST];
	size_t noutputs;
	struct geoip_database_info databases[GEOIP_DATABASES_MAX];
	size_t ndatabases;
	const struct talkers *talkers;
};

/* The cycle that rates are of. */
struct status_cycle {
	const struct stats_totals *from, *to;
	bool complete;
	double seconds; /* > 0 */
	/* Losses count since `from` until now: also those that no cycle's end has told yet. */
	uint64_t since_ns; /* of `from`, since the epoch */
};

void status_cycle(const struct status_view *v, struct status_cycle *out);

/* made + found - (delivered + lost + queued + spooled): 0, unless there is a bug. */
int64_t status_unaccounted(const struct output_stats *o);

/* Is that so for all outputs, and for the totals, where outputs that were closed still count? */
bool status_accounted(const struct status_view *v);

/* "idle" "ok" "retry" "refused" "closed" */
const char *status_state_name(enum output_state state);

/* How long the oldest point that waits has waited; 0: none waits. */
uint64_t status_lag_ns(const struct status_view *v, const struct output_stats *o);

/* Tell what is wrong, a sentence each, borrowed for the call; NULL: only count. Something was lost
 * lately, an output does not deliver, a sum does not add up. Returns how many: with 0 all is
 * well. */
size_t status_problems(const struct status_view *v, void (*tell)(void *ctx, const char *problem),
		       void *ctx);

/* Both forms; what does not fit makes the buffer fail. */
void status_put_json(struct buffer *b, const struct status_view *v);
void status_put_table(struct buffer *b, const struct status_view *v);

#endif
