/* output_internal.h - what output.c (the collector's side), output_thread.c (the loop) and
 * output_send.c (one parcel after the other) share.
 *
 * Lock order: output.lock is taken for moments only, never while a sink or a spool is called.
 */
#ifndef OUTPUT_OUTPUT_INTERNAL_H
#define OUTPUT_OUTPUT_INTERNAL_H

#include <pthread.h>

#include "output/backoff.h"
#include "output/output.h"

#define NS_PER_MS 1000000ULL
#define NS_PER_S  1000000000ULL

/* Batches in the order in which they came. */
struct batch_ring {
	struct batch **v;
	size_t first, n, room;
};

/* A parcel in memory. */
struct item {
	struct item *next;
	struct batch *batch; /* owns the bytes; NULL: they are behind the item */
	char *bytes;
	size_t size;
	uint32_t points;
	uint64_t made_ns; /* monotonic: of its first point */
	bool spooled;     /* it is in the spool, too */
	struct spool_mark mark;
};

/* How far a parcel has come. */
struct sending {
	bool active;
	struct parcel rest;
	uint32_t limit; /* points at a time; 0: all */
	uint32_t delivered, lost;
};

/* The thread's own. */
struct sender {
	struct output_config c; /* texts not set */
	struct sink *sink;
	struct batch_ring taken; /* empty but inside take() */
	struct item *first, *last, *building;
	bool first_in_flight;
	struct sending live, replay; /* of first; of record */
	struct spool_record record;
	uint32_t most_points; /* learned from a peer that found a parcel too big; 0: no limit */
	bool last_was_replay;
	double tokens; /* points that may be replayed now */
	uint64_t tokens_ns;

	struct spool *spool;
	uint64_t spool_try_ns; /* when to try it (again) */
	bool spool_told;       /* its error was logged */
	bool spool_dirty;

	struct backoff backoff;
	enum output_state state;
	uint64_t retry_ns;        /* monotonic */
	uint64_t failing_ns;      /* since when: of a row of failures */
	uint64_t lost_before_row; /* points */
	bool losing;              /* a sink that keeps nothing loses points, and that was told */
	bool gave_up;             /* of a lossless one: nothing more is sent */
	bool stop_seen;
	uint64_t told_refused_ns, refused_untold;
	char refused_why[SINK_WHY_SIZE];
	uint64_t told_spool_ns, spool_lost_told;
	uint64_t told_queue_ns, queue_lost_told;
	uint64_t next_idle_ns, next_minute_ns;

	/* Counted; in memory are memory_points that are not on disk as well. */
	uint64_t memory_points;
	uint64_t direct_delivered, lost_queue, lost_refused, lost_refused_spooled, lost_end;
	uint64_t to_spool, parcels, retries, errors, bytes_sent, last_ok_ns;
	uint64_t closed_found, closed_delivered, closed_lost; /* of a spool that is closed */
	uint64_t closed_points, closed_bytes;
	char why[SINK_WHY_SIZE];
};

struct output {
	char name[OUTPUT_NAME_MOST];
	char *spool_dir; /* NULL: none */
	bool lossless;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t work; /* for the thread: there is something to do */
	pthread_cond_t room; /* for the collector: bytes were sent, or the thread ended */

	/* Under the lock: */
	struct batch_ring queue;
	size_t held_bytes, queue_bytes; /* in memory, in all; at most */
	uint64_t queue_points;
	uint64_t made, lost_queue; /* by the collector */
	bool reopen, change, stop, stopped;
	uint64_t reopen_behind; /* so many points made */
	struct output_config next; /* of change */
	uint64_t stop_ns;
	int error;
	int close_error;
	char close_why[SINK_WHY_SIZE];
	struct output_stats shown; /* the thread's counters, as of its last output_publish() */

	struct sender s; /* the thread's */
};

uint64_t output_clock_ns(void);    /* monotonic */
uint64_t output_realtime_ns(void); /* since the epoch */

/* 0, or -ENOMEM. */
int batch_ring_add(struct batch_ring *r, struct batch *b) MUST_CHECK;
struct batch *batch_ring_take(struct batch_ring *r); /* NULL: it is empty */
void batch_ring_free(struct batch_ring *r);

/* The loop; ends with output.stopped. */
void *output_thread(void *arg);

/* Bring `shown` up to date. */
void output_publish(struct output *o);

/* Take over what the collector has put, and keep on disk what waited too long. Also in the middle
 * of a send. */
void output_turn(struct output *o);

/* Bytes of lines in memory are gone. */
void output_release(struct output *o, size_t bytes);

void item_free(struct item *it);

/* Send one parcel, if there is one whose time has come: true. */
bool output_send_one(struct output *o);

/* The spool gives and takes: points that are in it; 0: none, or there is no spool. */
uint64_t output_spooled(const struct sender *s);

/* Is there something to send now, or when (monotonic clock; UINT64_MAX: there is nothing)? */
uint64_t output_next_send_ns(const struct output *o, uint64_t now_ns);

/* Say what was lost in memory and in the spool, at most once a minute. */
void output_tell_losses(struct output *o);

/* At the end: say how many points were refused, where that is not said yet. */
void output_tell_refused(struct output *o);

#endif
