/* output.h - one output: a queue, a thread of its own, a sink, and a spool behind it.
 *
 * Points come as batches of lines, made once for all outputs (batch.h). The thread makes parcels
 * of them, sends, waits and tries again with exponential back-off and full jitter, and moves to the
 * spool what cannot be sent now. Nothing here makes the collector wait, but where the input is a
 * capture file (lossless): there a full queue holds up reading.
 *
 * Balance: made + found = delivered + lost + queued + spooled, at any moment between two parcels.
 * Threads: all functions are the collector's; output_stats() reads counters of the thread.
 */
#ifndef OUTPUT_OUTPUT_H
#define OUTPUT_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "output/batch.h"
#include "output/sink.h"
#include "output/spool.h"

enum { OUTPUT_NAME_MOST = 128 };

struct output_config {
	const char *name;  /* unique among the outputs; copied */
	struct sink *sink; /* open; taken over */
	/* output_put() waits while the queue is full, and what fails for give_up_ns ends it. */
	bool lossless;
	uint64_t give_up_ns;
	size_t queue_bytes; /* what waits in memory, at most */
	/* A parcel is sent when it has so many points or bytes, or its first point is so old.
	 * batch_points 0: batches are sent as they come. */
	uint32_t batch_points;
	size_t batch_bytes;
	uint64_t batch_age_ns;
	uint64_t retry_min_ns, retry_max_ns; /* of the back-off */
	/* Spool; used where the sink's kind spools. dir NULL: there is none. */
	struct spool_config spool;
	uint64_t replay_rate; /* points a second, beside the live ones; 0: as fast as it goes */
};

enum output_state {
	OUTPUT_IDLE,    /* nothing was sent yet */
	OUTPUT_OK,      /* the last parcel arrived */
	OUTPUT_RETRY,   /* the last one did not: waiting to send it again */
	OUTPUT_REFUSED, /* the same; somebody has to mend something */
	OUTPUT_CLOSED,  /* nobody reads any more */
};

struct output_stats {
	char name[OUTPUT_NAME_MOST];
	const char *kind;
	enum output_state state;
	uint64_t points_made;      /* given to it */
	uint64_t points_found;     /* in its spool at the start */
	uint64_t points_delivered; /* taken by the sink */
	uint64_t points_lost;      /* the sum of the four below */
	uint64_t lost_queue;       /* the queue was full */
	uint64_t lost_refused;     /* by the sink or its peer, for good */
	uint64_t lost_spool;       /* over the spool's limits, or damaged there */
	uint64_t lost_end;         /* at the end of the run, with no spool to keep them */
	uint64_t points_queued;    /* in memory, now */
	uint64_t points_spooled;   /* on disk, now */
	uint64_t spool_bytes;      /* now */
	uint64_t points_to_spool;  /* ever written there */
	uint64_t parcels, retries, errors;
	uint64_t bytes_sent;
	uint64_t
	    oldest_ns; /* since the epoch: when the oldest point that waits was made; 0: none */
	uint64_t last_ok_ns;     /* since the epoch; 0: never */
	uint64_t retry_at_ns;    /* since the epoch: when it tries again; 0: it does not wait */
	char why[SINK_WHY_SIZE]; /* the last error; "" once a parcel arrived */
};

struct output;

/* Start its thread. 0, or a negative error with why; the sink is closed then. A spool that cannot
 * be opened is told in the log and tried again from time to time; the output works without it. */
int output_open(struct output **output, const struct output_config *c,
		char why[SINK_WHY_SIZE]) MUST_CHECK;

/* Give it a batch (a reference of its own is taken). */
void output_put(struct output *o, struct batch *b);

/* Points that could not even be put. */
void output_lose(struct output *o, uint32_t points);

/* Other settings, and a sink that takes the old one's place (NULL: it stays); queue and spool stay.
 * Their name, lossless and spool.dir do not change. */
void output_change(struct output *o, const struct output_config *c);

/* Reopen what the sink writes to, behind what was put so far (or at once, where that cannot be
 * sent now). */
void output_reopen(struct output *o);

/* 0, -EPIPE (nobody reads any more), or the last error of a lossless one. */
int output_error(const struct output *o);

void output_stats(const struct output *o, struct output_stats *stats);

/* Begin to end: send what can be sent until until_ns (monotonic clock), keep the rest in the spool,
 * count what is lost. */
void output_stop(struct output *o, uint64_t until_ns);

/* Has its thread ended? */
bool output_stopped(const struct output *o);

/* After output_stop(): wait for the thread, at most a moment longer than until_ns, fill stats (NULL:
 * not wanted), free all. A thread that hangs in the kernel is left behind. 0, or what went wrong:
 * the end of a lossless one, points that were lost at the end or (lossless) at any time; why is ""
 * where that was logged before. */
int output_close(struct output *o, struct output_stats *stats, char why[SINK_WHY_SIZE]);

#endif
