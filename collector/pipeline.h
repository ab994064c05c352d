/* pipeline.h - engine, encoder and output put together: frames in, lines out. What read and run
 * share.
 *
 * Owned by one thread.
 */
#ifndef COLLECTOR_PIPELINE_H
#define COLLECTOR_PIPELINE_H

#include <stdbool.h>
#include <stdint.h>

#include "collector/enrich.h"
#include "collector/excludes.h"
#include "collector/options.h"
#include "collector/source.h"
#include "collector/stats.h"
#include "collector/talkers.h"
#include "common/error.h"
#include "flows/engine.h"
#include "output/line.h"
#include "output/merge.h"
#include "output/outputs.h"
#include "output/writer.h"

/* What a point passes on its way out. */
struct stages {
	struct enrich enrich;
	struct merge *merge;     /* NULL: no tag is left out and there is no limit */
	struct point_sink first; /* behind the engine */
	struct line_encoder *encoder;
	struct line_writer *writer;
};

struct pipeline {
	struct engine *engine;
	struct stages *stages;
	struct outputs *outputs;
	struct talkers talkers;   /* of a live run */
	struct excludes excludes; /* of the options */
	size_t max_flows;
	bool live;
	struct frame_sink frames; /* give frames to this */
	int error;                /* of the outputs (outputs_error()); 0: they can be written to */
	/* Self-measurement: */
	void (*source_stats)(void *ctx, struct source_stats *sum); /* asked at each cycle's end */
	void *source_ctx;
	/* NULL: packets alone. Asked likewise. */
	void (*kernel_stats)(void *ctx, struct kernel_totals *out);
	void *kernel_ctx;
	const char *source_name; /* tag source of the point `flowline`; NULL: no such point */
	struct owners *owners;   /* borrowed; NULL: processes are not asked for */
	struct stats_stages closed_stages;
	struct stats_totals now, before; /* before: at the end of the last cycle, and */
	struct stats_totals cycle_from;  /* of the one before that */
	unsigned int cycles;             /* that have ended */
	struct output_stats before_outputs[OUTPUTS_MOST]; /* as before */
	uint64_t start_ns;                                /* monotonic clock */
};

/* What only a live run has. */
struct pipeline_live {
	void (*new_flow)(void *ctx, const struct engine_begin *b, uint32_t owner[2]);
	void (*before_end)(void *ctx);
	void (*owner)(void *ctx, uint32_t owner, struct point *out);
	void *ctx;
};

/* Put it together as the options say, which must outlive it; live: NULL for capture files. 0, or
 * negative after having logged why: FL_EUSAGE where the command line is wrong. max_flows is for
 * options that do not say. */
int pipeline_open(struct pipeline *p, const struct options *o, const struct pipeline_live *live,
		  size_t max_flows) MUST_CHECK;

/* Other options (which must outlive p, or be changed again; those of before are in `before`), in
 * the middle of a live run: the cycle ends at now_ns (packet time) as the old ones say; then
 * outputs come and go and files are opened anew, and the engine is told what it can change. Where
 * something of the new options cannot be had, that is logged and all is left as it was: 0, or
 * negative. same_geoip: its databases stay open as they are. */
int pipeline_change(struct pipeline *p, const struct options *before, const struct options *o,
		    bool same_geoip, uint64_t now_ns) MUST_CHECK;

/* Bring p->now up to date. */
void pipeline_measure(struct pipeline *p);

/* From time to time in a live run: how the outputs are. */
void pipeline_poll(struct pipeline *p);

/* End of the input: what is pending is written (engine_finish), the outputs end (live: they have
 * stop_ns for it), the table is shown. 0, or the first error of an output, which is logged. */
int pipeline_finish(struct pipeline *p, uint64_t end_ns, uint64_t stop_ns, bool table) MUST_CHECK;

void pipeline_close(struct pipeline *p);

uint64_t monotonic_ns(void);

#endif
