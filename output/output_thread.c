/* output_thread.c - the loop of an output: batches become parcels, those that wait too long go to
 * the spool, and at the end everything is accounted for. See output.h.
 */
#include "output/output_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"

enum {
	LINE_MOST = 64 * 1024,
};

#define SPOOL_AFTER_NS  NS_PER_S        /* what waited so long is kept on disk as well */
#define SPOOL_TRY_NS    (10 * NS_PER_S) /* after an error of the spool */
#define IDLE_NS         NS_PER_S
#define SPOOL_EXPIRE_NS (60 * NS_PER_S)

/* ---- counting */

uint64_t output_spooled(const struct sender *s)
{
	return s->spool ? spool_stats(s->spool)->points : 0;
}

static void count_spool(const struct sender *s, struct output_stats *out)
{
	uint64_t delivered = s->closed_delivered, lost = s->closed_lost;

	out->points_found = s->closed_found;
	out->points_spooled = s->closed_points;
	out->spool_bytes = s->closed_bytes;
	if (s->spool) {
		const struct spool_stats *t = spool_stats(s->spool);

		out->points_found += t->points_found;
		out->points_spooled = t->points;
		out->spool_bytes = t->bytes;
		out->oldest_ns = t->oldest_ns;
		delivered += t->points_delivered;
		lost += t->points_lost;
	}
	out->points_delivered = s->direct_delivered + delivered;
	out->lost_spool = lost > s->lost_refused_spooled ? lost - s->lost_refused_spooled : 0;
	out->lost_refused = s->lost_refused + s->lost_refused_spooled;
}

/* When the oldest point in memory was made, since the epoch. */
static uint64_t oldest_in_memory(const struct sender *s)
{
	const struct item *it = s->first ? s->first : s->building;

	return it ? output_realtime_ns() - (output_clock_ns() - it->made_ns) : 0;
}

/* Under the lock. */
static void publish(struct output *o)
{
	const struct sender *s = &o->s;
	struct output_stats *out = &o->shown;
	uint64_t oldest_ns = oldest_in_memory(s);

	out->oldest_ns = 0;
	count_spool(s, out);
	if (!out->oldest_ns)
		out->oldest_ns = oldest_ns;
	out->kind = s->sink ? s->sink->ops->kind : out->kind;
	out->state = s->state;
	out->lost_queue = s->lost_queue;
	out->lost_end = s->lost_end;
	out->points_lost = out->lost_queue + out->lost_refused + out->lost_spool + out->lost_end;
	out->points_queued = s->memory_points;
	out->points_to_spool = s->to_spool;
	out->parcels = s->parcels;
	out->retries = s->retries;
	out->errors = s->errors;
	out->bytes_sent = s->bytes_sent;
	out->last_ok_ns = s->last_ok_ns;
	out->retry_at_ns = 0;
	if (s->state == OUTPUT_RETRY || s->state == OUTPUT_REFUSED) {
		uint64_t now = output_clock_ns();

		out->retry_at_ns =
		    output_realtime_ns() + (s->retry_ns > now ? s->retry_ns - now : 0);
	}
	memcpy(out->why, s->why, sizeof(out->why));
}

void output_publish(struct output *o)
{
	pthread_mutex_lock(&o->lock);
	publish(o);
	pthread_mutex_unlock(&o->lock);
}

void output_release(struct output *o, size_t bytes)
{
	pthread_mutex_lock(&o->lock);
	o->held_bytes -= bytes;
	publish(o);
	pthread_cond_signal(&o->room);
	pthread_mutex_unlock(&o->lock);
}

/* ---- batches become parcels */

void item_free(struct item *it)
{
	if (!it)
		return;
	batch_unref(it->batch);
	free(it);
}

static void append(struct sender *s, struct item *it)
{
	if (s->last)
		s->last->next = it;
	else
		s->first = it;
	s->last = it;
}

static void close_building(struct sender *s)
{
	if (s->building)
		append(s, s->building);
	s->building = NULL;
}

static struct item *new_building(const struct sender *s, uint64_t made_ns)
{
	size_t room = s->c.batch_bytes > LINE_MOST ? s->c.batch_bytes : LINE_MOST;
	struct item *it = malloc(sizeof(*it) + room);

	if (!it)
		return NULL;
	memset(it, 0, sizeof(*it));
	it->bytes = (char *)(it + 1);
	it->made_ns = made_ns;
	return it;
}

/* How many bytes of whole lines may be added to the parcel, and of how many points. A parcel's
 * first line is taken however long it is. */
static size_t lines_that_fit(const struct sender *s, const struct item *it, const char *from,
			     size_t size, uint32_t *points)
{
	size_t used = 0;
	uint32_t n = 0;

	while (used < size) {
		const char *end = memchr(from + used, '\n', size - used);
		size_t len = end ? (size_t)(end + 1 - (from + used)) : size - used;

		if (it->points + n && (it->size + used + len > s->c.batch_bytes ||
				       it->points + n >= s->c.batch_points))
			break;
		used += len;
		n++;
	}
	*points = n;
	return used;
}

/* Lines of a batch from `at` on, *left points: as many as fit. Returns how many bytes they are; 0:
 * memory was refused. */
static size_t build(struct sender *s, const struct batch *b, size_t at, uint32_t *left)
{
	size_t size = b->size - at, used = size;
	uint32_t points = *left;
	struct item *it;

	if (!s->building)
		s->building = new_building(s, b->made_ns);
	it = s->building;
	if (!it)
		return 0;
	if (it->size + size > s->c.batch_bytes || it->points + points > s->c.batch_points)
		used = lines_that_fit(s, it, b->bytes + at, size, &points);
	memcpy(it->bytes + it->size, b->bytes + at, used);
	it->size += used;
	it->points += points;
	*left -= points;
	if (used < size || it->size >= s->c.batch_bytes || it->points >= s->c.batch_points)
		close_building(s);
	return used;
}

static void lose(struct output *o, uint64_t *cause, uint32_t points, size_t bytes)
{
	o->s.memory_points -= points;
	*cause += points;
	output_release(o, bytes);
}

static void add_batch(struct output *o, struct batch *b)
{
	struct sender *s = &o->s;
	uint32_t left = b->points;
	size_t at = 0, used;
	struct item *it;

	if (!s->c.batch_points) {
		it = calloc(1, sizeof(*it));
		if (!it) {
			lose(o, &s->lost_queue, b->points, b->size);
			batch_unref(b);
			return;
		}
		it->batch = b;
		it->bytes = b->bytes;
		it->size = b->size;
		it->points = b->points;
		it->made_ns = b->made_ns;
		append(s, it);
		return;
	}
	while (at < b->size) {
		used = build(s, b, at, &left);
		if (!used) {
			lose(o, &s->lost_queue, left, b->size - at);
			break;
		}
		at += used;
	}
	batch_unref(b);
}

static void close_old_building(struct sender *s, uint64_t now_ns, bool stopping)
{
	if (s->building && (stopping || now_ns - s->building->made_ns >= s->c.batch_age_ns))
		close_building(s);
}

/* Over the limit of memory the oldest go, but for one that is being sent. */
static void shed(struct output *o)
{
	struct sender *s = &o->s;
	struct item *keep = s->first_in_flight ? s->first : NULL, *it;
	size_t held, most;

	if (o->lossless)
		return;
	for (;;) {
		pthread_mutex_lock(&o->lock);
		held = o->held_bytes;
		most = o->queue_bytes;
		pthread_mutex_unlock(&o->lock);
		it = keep ? keep->next : s->first;
		if (held <= most || !it)
			return;
		if (keep)
			keep->next = it->next;
		else
			s->first = it->next;
		if (s->last == it)
			s->last = keep;
		if (!keep)
			s->live.active = false;
		lose(o, &s->lost_queue, it->points, it->size);
		item_free(it);
	}
}

static void take(struct output *o)
{
	struct sender *s = &o->s;
	struct batch_ring ring;
	struct batch *b;
	bool stopping;

	pthread_mutex_lock(&o->lock);
	ring = s->taken;
	s->taken = o->queue;
	o->queue = ring;
	s->memory_points += o->queue_points;
	o->queue_points = 0;
	stopping = o->stop;
	publish(o);
	pthread_mutex_unlock(&o->lock);
	while ((b = batch_ring_take(&s->taken)))
		add_batch(o, b);
	close_old_building(s, output_clock_ns(), stopping);
}

/* ---- the spool */

static void open_spool(struct output *o, uint64_t now_ns)
{
	struct sender *s = &o->s;
	struct spool_config c = s->c.spool;
	char why[SINK_WHY_SIZE] = "";
	int err;

	if (!o->spool_dir || s->spool || now_ns < s->spool_try_ns)
		return;
	c.dir = o->spool_dir;
	err = spool_open(&s->spool, &c, output_realtime_ns(), why);
	if (err) {
		s->spool_try_ns = now_ns + SPOOL_TRY_NS;
		s->errors++;
		if (!s->spool_told)
			log_error("output %s: no spool: %s; points wait in memory only", o->name,
				  why);
		s->spool_told = true;
		return;
	}
	if (why[0])
		log_warn("output %s: spool: %s", o->name, why);
	if (s->spool_told)
		log_info("output %s: the spool %s can be used again", o->name, o->spool_dir);
	s->spool_told = false;
	if (output_spooled(s))
		log_info("output %s: %" PRIu64 " points of earlier runs are in the spool and are "
			 "sent beside the new ones",
			 o->name, output_spooled(s));
}

static void spool_failed(struct output *o, int err, uint64_t now_ns)
{
	struct sender *s = &o->s;

	s->errors++;
	s->spool_try_ns = now_ns + SPOOL_TRY_NS;
	if (!s->spool_told)
		log_error("output %s: the spool %s takes nothing: %s; points wait in memory, and "
			  "the oldest go when that is full: make room, or see to its permissions",
			  o->name, o->spool_dir, fl_strerror(err));
	s->spool_told = true;
}

/* One parcel; it stays in memory only while it is being sent. 0, or the spool's error. */
static int keep_one(struct output *o, struct item *it, struct item *before, uint64_t now_ns)
{
	struct parcel p = {it->bytes, it->size, it->points};
	struct sender *s = &o->s;
	int err = spool_append(s->spool, &p, output_realtime_ns(), &it->mark);

	if (err == -EFBIG)
		return err; /* it waits in memory; others may fit */
	if (err) {
		spool_failed(o, err, now_ns);
		return err;
	}
	if (s->spool_told)
		log_info("output %s: the spool %s takes points again", o->name, o->spool_dir);
	s->spool_told = false;
	s->spool_dirty = true;
	it->spooled = true;
	s->to_spool += it->points;
	s->memory_points -= it->points;
	if (it == s->first && s->first_in_flight)
		return 0;
	if (before)
		before->next = it->next;
	else
		s->first = it->next;
	if (s->last == it)
		s->last = before;
	if (!before)
		s->live.active = false;
	output_release(o, it->size);
	item_free(it);
	return 0;
}

/* Half of the memory is taken: the other half is for what comes meanwhile. */
static bool crowded(struct output *o)
{
	bool half;

	pthread_mutex_lock(&o->lock);
	half = o->held_bytes > o->queue_bytes / 2;
	pthread_mutex_unlock(&o->lock);
	return half;
}

/* Put on disk what waited too long; all: everything. */
static void keep(struct output *o, bool all)
{
	struct item *it, *next, *before = NULL;
	uint64_t now_ns = output_clock_ns();
	struct sender *s = &o->s;

	if (!s->spool || now_ns < s->spool_try_ns)
		return;
	all = all || crowded(o) || s->state == OUTPUT_RETRY || s->state == OUTPUT_REFUSED;
	for (it = s->first; it; it = next) {
		int err = 0;

		next = it->next;
		if (!it->spooled && !all && now_ns - it->made_ns < SPOOL_AFTER_NS)
			return;
		if (!it->spooled)
			err = keep_one(o, it, before, now_ns);
		if (err && err != -EFBIG)
			return;
		if (err || (s->first_in_flight && it == s->first))
			before = it;
	}
}

static void sync_spool(struct output *o)
{
	struct sender *s = &o->s;
	int err;

	if (!s->spool || !s->spool_dirty)
		return;
	s->spool_dirty = false;
	err = spool_sync(s->spool);
	if (err)
		spool_failed(o, err, output_clock_ns());
}

static void close_spool(struct sender *s)
{
	const struct spool_stats *t;

	if (!s->spool)
		return;
	t = spool_stats(s->spool);
	s->closed_found = t->points_found;
	s->closed_delivered = t->points_delivered;
	s->closed_lost = t->points_lost;
	s->closed_points = t->points;
	s->closed_bytes = t->bytes;
	spool_close(s->spool);
	s->spool = NULL;
}

/* ---- the loop */

void output_turn(struct output *o)
{
	take(o);
	keep(o, false);
	shed(o);
	if (output_clock_ns() >= o->s.next_idle_ns)
		sync_spool(o);
}

static void swap_sink(struct output *o, struct sink *next)
{
	char why[SINK_WHY_SIZE] = "";

	if (o->s.sink->ops->close(o->s.sink, why))
		log_error("output %s: %s", o->name, why);
	o->s.sink = next;
	/* What was wrong may be mended now. */
	o->s.retry_ns = 0;
	o->s.most_points = 0;
}

/* What the collector asked for. */
static void obey(struct output *o)
{
	char why[SINK_WHY_SIZE] = "";
	struct output_config next;
	struct sender *s = &o->s;
	bool reopen, change,
	    stuck = s->gave_up || (s->state != OUTPUT_OK && s->state != OUTPUT_IDLE);

	pthread_mutex_lock(&o->lock);
	reopen = o->reopen &&
		 (stuck || o->made - o->queue_points - s->memory_points >= o->reopen_behind);
	change = o->change;
	next = o->next;
	o->reopen = o->reopen && !reopen;
	o->change = false;
	pthread_mutex_unlock(&o->lock);
	if (change) {
		struct sink *sink = next.sink;

		next.name = next.spool.dir = NULL;
		s->c = next;
		s->backoff.min_ns = next.retry_min_ns;
		s->backoff.max_ns = next.retry_max_ns;
		if (s->spool)
			spool_change(s->spool, next.spool.max_bytes, next.spool.max_age_ns);
		if (sink)
			swap_sink(o, sink);
	}
	if (reopen && s->sink->ops->reopen && s->sink->ops->reopen(s->sink, why)) {
		s->errors++;
		log_error("output %s: %s", o->name, why);
	}
}

/* What is to be done from time to time. */
static void idle(struct output *o, uint64_t now_ns)
{
	struct sender *s = &o->s;

	if (now_ns < s->next_idle_ns)
		return;
	s->next_idle_ns = now_ns + IDLE_NS;
	if (s->sink->ops->idle)
		s->sink->ops->idle(s->sink);
	open_spool(o, now_ns);
	sync_spool(o);
	output_tell_losses(o);
	if (s->spool && now_ns >= s->next_minute_ns) {
		s->next_minute_ns = now_ns + SPOOL_EXPIRE_NS;
		spool_expire(s->spool, output_realtime_ns());
	}
}

static void wait_for_work(struct output *o, uint64_t now_ns)
{
	struct sender *s = &o->s;
	uint64_t until_ns = s->next_idle_ns, send_ns = output_next_send_ns(o, now_ns);
	struct timespec t;

	if (send_ns < until_ns)
		until_ns = send_ns;
	if (s->building && s->building->made_ns + s->c.batch_age_ns < until_ns)
		until_ns = s->building->made_ns + s->c.batch_age_ns;
	if (until_ns <= now_ns)
		return;
	t.tv_sec = (time_t)(until_ns / NS_PER_S);
	t.tv_nsec = (long)(until_ns % NS_PER_S);
	pthread_mutex_lock(&o->lock);
	if (!o->queue.n && !o->reopen && !o->change && (!o->stop || s->stop_seen))
		pthread_cond_timedwait(&o->work, &o->lock, &t);
	pthread_mutex_unlock(&o->lock);
}

static bool failing(const struct sender *s)
{
	return s->state == OUTPUT_RETRY || s->state == OUTPUT_REFUSED;
}

/* Asked to stop: true when there is nothing more to do. */
static bool finished(struct output *o)
{
	struct sender *s = &o->s;
	bool stop, late;

	pthread_mutex_lock(&o->lock);
	stop = o->stop;
	late = output_clock_ns() >= o->stop_ns;
	pthread_mutex_unlock(&o->lock);
	if (!stop)
		return false;
	s->stop_seen = true;
	take(o);
	if (!s->first || late || s->state == OUTPUT_CLOSED || s->gave_up)
		return true;
	/* Where it cannot be delivered now and can be kept, there is nothing to wait for. */
	return failing(s) && !o->lossless;
}

static void end(struct output *o)
{
	struct sender *s = &o->s;
	struct item *it;
	char why[SINK_WHY_SIZE] = "";
	int err;

	take(o);
	s->spool_try_ns = 0;
	open_spool(o, output_clock_ns());
	keep(o, true);
	while ((it = s->first)) {
		s->first = it->next;
		if (!it->spooled)
			lose(o, &s->lost_end, it->points, it->size);
		item_free(it);
	}
	s->last = NULL;
	sync_spool(o);
	output_tell_refused(o);
	if (output_spooled(s))
		log_info("output %s: %" PRIu64 " points stay in the spool %s for the next run",
			 o->name, output_spooled(s), o->spool_dir);
	close_spool(s);
	err = s->sink->ops->close(s->sink, why);
	s->sink = NULL;
	pthread_mutex_lock(&o->lock);
	publish(o);
	o->close_error = err;
	memcpy(o->close_why, why, sizeof(why));
	__atomic_store_n(&o->stopped, true, __ATOMIC_RELEASE);
	pthread_cond_broadcast(&o->room);
	pthread_mutex_unlock(&o->lock);
}

void *output_thread(void *arg)
{
	struct output *o = arg;

	while (!finished(o)) {
		obey(o);
		idle(o, output_clock_ns());
		output_turn(o);
		if (!output_send_one(o))
			wait_for_work(o, output_clock_ns());
	}
	end(o);
	return NULL;
}
