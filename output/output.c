/* output.c - the collector's side of an output: its queue, its life. See output.h. */
#include "output/output.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/log.h"
#include "output/output_internal.h"

/* A thread that does not end in time is given so much more, then left behind. */
#define STOP_GRACE_NS (2 * NS_PER_S)

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

uint64_t output_clock_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

uint64_t output_realtime_ns(void)
{
	return clock_ns(CLOCK_REALTIME);
}

/* ---- the ring of batches */

int batch_ring_add(struct batch_ring *r, struct batch *b)
{
	size_t i, room;
	struct batch **v;

	if (r->n == r->room) {
		room = r->room ? 2 * r->room : 16;
		v = calloc(room, sizeof(struct batch *));
		if (!v)
			return -ENOMEM;
		for (i = 0; i < r->n; i++)
			v[i] = r->v[(r->first + i) % r->room];
		free(r->v);
		r->v = v;
		r->room = room;
		r->first = 0;
	}
	r->v[(r->first + r->n++) % r->room] = b;
	return 0;
}

struct batch *batch_ring_take(struct batch_ring *r)
{
	struct batch *b;

	if (!r->n)
		return NULL;
	b = r->v[r->first];
	r->first = (r->first + 1) % r->room;
	r->n--;
	return b;
}

void batch_ring_free(struct batch_ring *r)
{
	struct batch *b;

	while ((b = batch_ring_take(r)))
		batch_unref(b);
	free(r->v);
	memset(r, 0, sizeof(*r));
}

/* ---- the queue */

static void until(uint64_t ns, struct timespec *t)
{
	t->tv_sec = (time_t)(ns / NS_PER_S);
	t->tv_nsec = (long)(ns % NS_PER_S);
}

/* Under the lock. The oldest go. */
static void make_room(struct output *o, size_t size)
{
	struct batch *b;

	while (o->held_bytes + size > o->queue_bytes && (b = batch_ring_take(&o->queue))) {
		o->held_bytes -= b->size;
		o->queue_points -= b->points;
		o->lost_queue += b->points;
		batch_unref(b);
	}
}

void output_put(struct output *o, struct batch *b)
{
	pthread_mutex_lock(&o->lock);
	o->made += b->points;
	while (o->lossless && o->held_bytes && o->held_bytes + b->size > o->queue_bytes &&
	       !o->error && !o->stopped)
		pthread_cond_wait(&o->room, &o->lock);
	if (!o->lossless)
		make_room(o, b->size);
	if (o->stopped || batch_ring_add(&o->queue, b)) {
		o->lost_queue += b->points;
	} else {
		batch_ref(b);
		o->held_bytes += b->size;
		o->queue_points += b->points;
		if (o->queue.n == 1)
			pthread_cond_signal(&o->work);
	}
	pthread_mutex_unlock(&o->lock);
}

void output_lose(struct output *o, uint32_t points)
{
	pthread_mutex_lock(&o->lock);
	o->made += points;
	o->lost_queue += points;
	pthread_mutex_unlock(&o->lock);
}

/* ---- orders */

static void discard_sink(struct sink *sink)
{
	char why[SINK_WHY_SIZE] = "";

	if (sink && sink->ops->close(sink, why))
		log_debug("%s", why);
}

void output_change(struct output *o, const struct output_config *c)
{
	struct sink *unused = NULL;

	pthread_mutex_lock(&o->lock);
	if (o->change)
		unused = o->next.sink;
	o->next = *c;
	if (!c->sink)
		o->next.sink = unused;
	o->change = true;
	o->queue_bytes = c->queue_bytes;
	pthread_cond_signal(&o->work);
	pthread_mutex_unlock(&o->lock);
	if (c->sink)
		discard_sink(unused);
}

void output_reopen(struct output *o)
{
	pthread_mutex_lock(&o->lock);
	o->reopen = true;
	o->reopen_behind = o->made;
	pthread_cond_signal(&o->work);
	pthread_mutex_unlock(&o->lock);
}

void output_stop(struct output *o, uint64_t until_ns)
{
	pthread_mutex_lock(&o->lock);
	if (!o->stop || until_ns < o->stop_ns)
		o->stop_ns = until_ns;
	o->stop = true;
	pthread_cond_signal(&o->work);
	pthread_mutex_unlock(&o->lock);
}

/* ---- what it says of itself */

int output_error(const struct output *o)
{
	return __atomic_load_n(&o->error, __ATOMIC_RELAXED);
}

bool output_stopped(const struct output *o)
{
	return __atomic_load_n(&o->stopped, __ATOMIC_ACQUIRE);
}

void output_stats(const struct output *const_o, struct output_stats *stats)
{
	struct output *o = (struct output *)const_o; /* the lock is no part of what it is */

	pthread_mutex_lock(&o->lock);
	*stats = o->shown;
	stats->points_made = o->made;
	stats->points_queued += o->queue_points;
	stats->lost_queue += o->lost_queue;
	stats->points_lost += o->lost_queue;
	pthread_mutex_unlock(&o->lock);
}

/* ---- life */

static int init_sync(struct output *o)
{
	pthread_condattr_t attr;
	int err;

	err = pthread_mutex_init(&o->lock, NULL);
	if (!err)
		err = pthread_condattr_init(&attr);
	if (err)
		return -err;
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&o->work, &attr);
	pthread_cond_init(&o->room, &attr);
	pthread_condattr_destroy(&attr);
	return 0;
}

/* Signals are the collector's. */
static int start_thread(struct output *o)
{
	sigset_t all, before;
	int err;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	err = pthread_create(&o->thread, NULL, output_thread, o);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return -err;
}

static void free_output(struct output *o)
{
	if (!o)
		return;
	batch_ring_free(&o->queue);
	batch_ring_free(&o->s.taken);
	free(o->spool_dir);
	free(o);
}

static void setup(struct output *o, const struct output_config *c)
{
	struct sender *s = &o->s;

	snprintf(o->name, sizeof(o->name), "%s", c->name);
	snprintf(o->shown.name, sizeof(o->shown.name), "%s", c->name);
	o->lossless = c->lossless;
	o->queue_bytes = c->queue_bytes;
	s->c = *c;
	s->c.name = s->c.spool.dir = NULL; /* those are o's */
	s->sink = c->sink;
	o->shown.kind = s->sink->ops->kind;
	backoff_init(&s->backoff, c->retry_min_ns, c->retry_max_ns);
	s->tokens_ns = output_clock_ns();
}

int output_open(struct output **output, const struct output_config *c, char why[SINK_WHY_SIZE])
{
	struct output *o = calloc(1, sizeof(*o));
	int err = o ? init_sync(o) : -ENOMEM;

	*output = NULL;
	if (!err) {
		setup(o, c);
		if (c->spool.dir && c->sink->ops->spools) {
			o->spool_dir = strdup(c->spool.dir);
			err = o->spool_dir ? 0 : -ENOMEM;
		}
	}
	if (!err)
		err = start_thread(o);
	if (err) {
		snprintf(why, SINK_WHY_SIZE, "no thread and no memory for it: %s",
			 fl_strerror(err));
		discard_sink(c->sink);
		free_output(o);
		return err;
	}
	*output = o;
	return 0;
}

/* Wait for the thread; false: it hangs. */
static bool wait_stopped(struct output *o)
{
	bool forever, stopped;
	struct timespec t;
	int err = 0;

	pthread_mutex_lock(&o->lock);
	forever = o->stop_ns > UINT64_MAX - STOP_GRACE_NS;
	until(forever ? 0 : o->stop_ns + STOP_GRACE_NS, &t);
	while (!o->stopped && err != ETIMEDOUT)
		err = forever ? pthread_cond_wait(&o->room, &o->lock)
			      : pthread_cond_timedwait(&o->room, &o->lock, &t);
	stopped = o->stopped;
	pthread_mutex_unlock(&o->lock);
	return stopped;
}

int output_close(struct output *o, struct output_stats *stats, char why[SINK_WHY_SIZE])
{
	struct output_stats last;
	int err;

	why[0] = '\0';
	if (!wait_stopped(o)) {
		output_stats(o, &last);
		last.lost_end += last.points_queued;
		last.points_lost += last.points_queued;
		last.points_queued = 0;
		snprintf(why, SINK_WHY_SIZE,
			 "it does not take what is written to it: %" PRIu64
			 " points were given up at the end",
			 last.lost_end);
		if (stats)
			*stats = last;
		pthread_detach(o->thread); /* its memory is in use, for ever */
		return -ETIMEDOUT;
	}
	pthread_join(o->thread, NULL);
	output_stats(o, &last);
	if (stats)
		*stats = last;
	if (o->change)
		discard_sink(o->next.sink);
	err = o->error ? o->error : o->close_error;
	if (!o->error) /* else it was said */
		snprintf(why, SINK_WHY_SIZE, "%s", o->close_why);
	if (!err && last.lost_end) {
		err = -EIO;
		snprintf(why, SINK_WHY_SIZE,
			 "%" PRIu64 " points could not be delivered and are lost: %.400s",
			 last.lost_end, last.why[0] ? last.why : "there was no time");
	}
	if (!err && o->lossless && last.points_lost)
		err = -EIO; /* said when it happened */
	pthread_cond_destroy(&o->work);
	pthread_cond_destroy(&o->room);
	pthread_mutex_destroy(&o->lock);
	free_output(o);
	return err;
}
