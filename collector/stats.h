/* stats.h - self-measurement: one list of counters, shown as a point each cycle and as a table at
 * the end.
 *
 * The sum that must hold, and that both show: seen = parsed + skipped + what was lost, by cause.
 * "Seen" is all that reached the capture: frames dropped by the kernel and left out by the source
 * are in it.
 */
#ifndef COLLECTOR_STATS_H
#define COLLECTOR_STATS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "collector/owners.h"
#include "collector/source.h"
#include "flows/engine.h"
#include "flows/point.h"
#include "geoip/geoip.h"
#include "output/merge.h"

enum { STATS_FIELDS_MOST = 96 };

/* What points passed on their way out counted; present where there is such a stage. */
struct stats_stages {
	bool limited, places; /* present */
	uint64_t series_limited;
	uint64_t geoip_hits, geoip_misses, geoip_refused;
};

/* Sums over all outputs, also those closed by now; a point counts once for each output. The
 * balance: made + found = written + lost + queued + spooled. */
struct sink_sums {
	uint64_t points_made;    /* given to outputs */
	uint64_t points_written; /* delivered */
	uint64_t points_lost;
	uint64_t points_spooled; /* on disk, now */
	uint64_t points_queued;  /* in memory, now */
	uint64_t points_found;   /* in spools when they were opened */
	uint64_t errors, retries;
	uint64_t bytes_written; /* as they were sent */
};

/* What the kernel's own counters gave (collector/tiers.h); since the start. */
struct kernel_totals {
	bool on;                     /* there are such sources: the socket or the probe tier */
	bool ebpf;                   /* ... and eBPF programs among them */
	uint64_t events, lost;       /* read; lost: a buffer was full */
	uint64_t dumps;              /* lists of all sockets */
	uint64_t samples, unmatched; /* counted; of flows that are not known */
	uint64_t datagrams;          /* counted in the kernel, in place of being copied */
	uint64_t map_full;           /* datagrams and events that no map had room for */
	bool probes;                 /* there are probes, which count of the whole machine: */
	uint64_t retransmits, synack_retransmits, resets_sent, resets_received;
};

/* Everything that is counted, since the start. */
struct stats_totals {
	struct engine_stats engine;
	struct source_stats source; /* all sources together, also those closed by now */
	struct sink_sums sink;
	struct stats_stages stages; /* all together, also those closed by now */
	bool processes;             /* owners is measured */
	struct owners_stats owners;
	struct kernel_totals kernel;
	uint64_t packets_seen, packets_skipped; /* by stats_sum() */
	uint64_t cpu_user_us, cpu_sys_us, rss_bytes;
	uint64_t elapsed_ns;
};

/* Add the counters of one source. */
void stats_add_source(struct source_stats *sum, const struct source_stats *one);

/* Add what the stages of one output counted; NULL: there is no such stage. */
void stats_add_stages(struct stats_stages *sum, const struct merge_stats *merge,
		      const struct geoip_stats *geoip);

/* Work out packets_seen and packets_skipped from the engine's and the source's counters. */
void stats_sum(struct stats_totals *t);

/* Does the sum hold? */
bool stats_adds_up(const struct stats_totals *t);

/* Does the balance of the outputs? */
bool stats_points_add_up(const struct stats_totals *t);

/* CPU time and memory of this process: getrusage(2), /proc/self/statm. */
void stats_process(struct stats_totals *t);

/* The fields of the point `flowline` for the cycle between the two: counters as their change,
 * gauges as they are; what is not measured is absent. Returns how many. */
size_t stats_fields(const struct stats_totals *before, const struct stats_totals *now,
		    struct self_field out[STATS_FIELDS_MOST]);

enum stats_kind {
	STATS_COUNTER, /* since the start */
	STATS_LOSS,    /* a counter of what was lost, or given up because a limit was reached */
	STATS_GAUGE,   /* now */
};
enum stats_unit { STATS_PLAIN, STATS_BYTES, STATS_MICROSECONDS };

/* One measure of the list. */
struct stats_item {
	const char *name; /* as the point's field; static, as is: */
	const char *text; /* for people */
	enum stats_kind kind;
	enum stats_unit unit;
	uint64_t total;  /* of now */
	uint64_t change; /* since before; of a gauge: as total */
};

/* Tell each one that is measured, in the order of the table. */
void stats_each(const struct stats_totals *before, const struct stats_totals *now,
		void (*each)(void *ctx, const struct stats_item *item), void *ctx);

enum { STATS_DIGITS_SIZE = 32 };

/* 1234567 as 1,234,567. */
void stats_digits(uint64_t v, char out[STATS_DIGITS_SIZE]);

/* The readable table of --stats. */
void stats_print(FILE *f, const struct stats_totals *t);

#endif
