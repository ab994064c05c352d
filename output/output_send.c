/* output_send.c - one parcel after the other: which is next, what became of it, what is said about
 * it. See output.h.
 *
 * Live parcels and those of the spool take turns, the latter as fast as replay_rate allows. While
 * the backend is away everything waits in the spool, and its oldest record is what is tried. A
 * parcel that is too big, or of which one line is refused with all others, is sent in halves, and
 * halves of halves, until what is refused is one line.
 */
#include "output/output_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/log.h"

#define TELL_NS (60 * NS_PER_S)

static bool failing(const struct sender *s)
{
	return s->state == OUTPUT_RETRY || s->state == OUTPUT_REFUSED;
}

static void set_error(struct output *o, int err)
{
	pthread_mutex_lock(&o->lock);
	o->error = err;
	pthread_cond_broadcast(&o->room);
	pthread_mutex_unlock(&o->lock);
}

/* ---- what is said */

static void tell_failing(const struct output *o, const char *why, bool refused)
{
	char where[512] = "points wait in memory";

	if (o->lossless)
		snprintf(where, sizeof(where), "trying again");
	else if (o->s.spool)
		snprintf(where, sizeof(where), "points wait in the spool %.400s", o->spool_dir);
	if (refused)
		log_error("output %s: %s; %s until that is mended", o->name, why, where);
	else
		log_warn("output %s: %s; %s", o->name, why, where);
}

static void tell_recovered(const struct output *o, uint64_t now_ns)
{
	const struct sender *s = &o->s;
	uint64_t spooled = output_spooled(s);
	char more[96] = "";

	if (spooled)
		snprintf(more, sizeof(more), "; %" PRIu64 " points of the spool follow", spooled);
	log_info("output %s: points arrive again, after %.1f s%s", o->name,
		 (double)(now_ns - s->failing_ns) / 1e9, more);
}

void output_tell_refused(struct output *o)
{
	struct sender *s = &o->s;

	if (!s->refused_untold)
		return;
	log_warn("output %s: %" PRIu64 " points were refused and are lost: %s", o->name,
		 s->refused_untold, s->refused_why);
	s->refused_untold = 0;
	s->told_refused_ns = output_clock_ns();
}

/* Points that the peer refuses for good. Many may come: a line a minute. */
static void count_refused(struct output *o, uint32_t lost, const char *why)
{
	struct sender *s = &o->s;

	if (lost)
		snprintf(s->refused_why, sizeof(s->refused_why), "%s", why);
	s->refused_untold += lost;
	if (!s->told_refused_ns || output_clock_ns() - s->told_refused_ns >= TELL_NS)
		output_tell_refused(o);
}

static void tell_queue(struct output *o, uint64_t now_ns)
{
	struct sender *s = &o->s;
	uint64_t lost = s->lost_queue;

	pthread_mutex_lock(&o->lock);
	lost += o->lost_queue;
	pthread_mutex_unlock(&o->lock);
	if (lost == s->queue_lost_told || (s->told_queue_ns && now_ns - s->told_queue_ns < TELL_NS))
		return;
	log_warn("output %s: the memory for points that wait (sending.queue_size) is full: %" PRIu64
		 " of the oldest are lost",
		 o->name, lost - s->queue_lost_told);
	s->queue_lost_told = lost;
	s->told_queue_ns = now_ns;
}

static void tell_spool(struct output *o, uint64_t now_ns)
{
	struct sender *s = &o->s;
	const struct spool_stats *t = s->spool ? spool_stats(s->spool) : NULL;
	uint64_t lost;

	if (!t || (s->told_spool_ns && now_ns - s->told_spool_ns < TELL_NS))
		return;
	lost = t->points_lost - s->lost_refused_spooled;
	if (lost <= s->spool_lost_told)
		return;
	log_warn("output %s: %" PRIu64 " points of the spool are lost (%" PRIu64
		 " since the start were too old or over spool.max_size, %" PRIu64
		 " records were damaged)",
		 o->name, lost - s->spool_lost_told, t->points_expired, t->records_damaged);
	s->spool_lost_told = lost;
	s->told_spool_ns = now_ns;
}

void output_tell_losses(struct output *o)
{
	uint64_t now_ns = output_clock_ns();

	tell_queue(o, now_ns);
	tell_spool(o, now_ns);
}

/* ---- the state after a try */

static void set_why(struct sender *s, const char *why)
{
	snprintf(s->why, sizeof(s->why), "%s", why);
}

static void give_up(struct output *o, const char *why)
{
	o->s.gave_up = true;
	log_error("output %s: given up: %s", o->name, why);
	set_error(o, -EIO);
}

static void failed(struct output *o, const struct sink_result *r)
{
	bool refused = r->verdict == SINK_REFUSED;
	uint64_t now_ns = output_clock_ns(), wait_ns;
	struct sender *s = &o->s;
	enum output_state state = refused ? OUTPUT_REFUSED : OUTPUT_RETRY;
	bool news; /* another reason may want another mend */

	s->errors++;
	s->retries++;
	if (!s->failing_ns)
		s->failing_ns = now_ns;
	news = s->state != state || (refused && strcmp(s->why, r->why));
	set_why(s, r->why);
	wait_ns = refused ? backoff_refused(&s->backoff) : backoff_failed(&s->backoff, r->wait_ns);
	s->retry_ns = now_ns + wait_ns;
	if (o->lossless && (refused || now_ns - s->failing_ns >= s->c.give_up_ns))
		give_up(o, r->why);
	else if (news)
		tell_failing(o, r->why, refused);
	s->state = state;
}

/* A sink that keeps nothing (a file on a full disk) took some or nothing. */
static void lost_some(struct output *o, const struct sink_result *r, uint32_t lost)
{
	struct sender *s = &o->s;

	s->errors++;
	set_why(s, r->why);
	if (s->sink->ops->spools) {
		count_refused(o, lost, r->why);
		return;
	}
	if (!s->losing && lost)
		log_error("output %s: %s; points are lost until then", o->name, r->why);
	else if (!s->losing)
		log_warn("output %s: %s", o->name, r->why);
	if (!s->losing)
		s->lost_before_row = s->lost_refused;
	s->losing = true;
	if (o->lossless && lost)
		set_error(o, -EIO);
}

static void succeeded(struct output *o, const struct sink_result *r, uint32_t lost)
{
	uint64_t now_ns = output_clock_ns();
	struct sender *s = &o->s;

	if (failing(s))
		tell_recovered(o, now_ns);
	s->state = OUTPUT_OK;
	s->failing_ns = 0;
	s->retry_ns = 0;
	backoff_reset(&s->backoff);
	s->last_ok_ns = output_realtime_ns();
	if (r->why[0]) {
		lost_some(o, r, lost);
		return;
	}
	if (s->losing && s->lost_refused > s->lost_before_row)
		log_info("output %s: written again; %" PRIu64 " points were lost", o->name,
			 s->lost_refused - s->lost_before_row);
	s->losing = false;
	count_refused(o, 0, NULL);
	set_why(s, "");
}

/* ---- parcels */

static void begin(struct sending *x, const struct parcel *p)
{
	memset(x, 0, sizeof(*x));
	x->active = true;
	x->rest = *p;
}

/* The first lines of what is left of it, at most so many. */
static struct parcel front(const struct sending *x, uint32_t most)
{
	struct parcel p = x->rest;
	const char *at = p.bytes;
	uint32_t n;

	if (!most || most >= p.points)
		return p;
	for (n = 0; n < most; n++)
		at = (const char *)memchr(at, '\n', (size_t)(p.bytes + p.size - at)) + 1;
	p.size = (size_t)(at - p.bytes);
	p.points = most;
	return p;
}

static void advance(struct sending *x, const struct parcel *p, uint32_t lost)
{
	x->delivered += p->points - lost;
	x->lost += lost;
	x->rest.bytes += p->size;
	x->rest.size -= p->size;
	x->rest.points -= p->points;
}

/* The first parcel in memory is over, or on disk. */
static void drop_first(struct output *o)
{
	struct sender *s = &o->s;
	struct item *it = s->first;

	s->first = it->next;
	if (!s->first)
		s->last = NULL;
	s->live.active = false;
	if (!it->spooled)
		s->memory_points -= it->points;
	output_release(o, it->size);
	item_free(it);
}

static void done_in_spool(struct sender *s, const struct spool_mark *mark, const struct sending *x)
{
	uint64_t before = spool_stats(s->spool)->points_lost;

	spool_done(s->spool, mark, x->delivered, x->lost);
	s->lost_refused_spooled += spool_stats(s->spool)->points_lost - before;
}

static void complete(struct output *o, struct sending *x)
{
	struct sender *s = &o->s;

	x->active = false;
	if (x == &s->replay) {
		s->tokens -= s->record.parcel.points;
		done_in_spool(s, &s->record.mark, x);
		return;
	}
	if (s->first->spooled) {
		done_in_spool(s, &s->first->mark, x);
	} else {
		s->direct_delivered += x->delivered;
		s->lost_refused += x->lost;
	}
	drop_first(o);
}

static bool go_on(void *ctx)
{
	struct output *o = ctx;
	bool on;

	output_turn(o);
	pthread_mutex_lock(&o->lock);
	on = !o->stop || output_clock_ns() < o->stop_ns;
	pthread_mutex_unlock(&o->lock);
	return on;
}

static void split(struct output *o, struct sending *x, const struct parcel *p,
		  const struct sink_result *r)
{
	struct sender *s = &o->s;

	s->errors++;
	if (p->points > 1) {
		x->limit = p->points / 2;
		if (r->too_big)
			s->most_points = x->limit;
		return;
	}
	set_why(s, r->why);
	advance(x, p, 1);
	count_refused(o, 1, r->why);
}

/* Nobody reads any more. */
static void closed(struct output *o, struct sending *x, const struct parcel *p, uint32_t lost)
{
	struct sender *s = &o->s;

	advance(x, p, lost);
	x->lost += x->rest.points;
	x->rest.size = 0;
	s->state = OUTPUT_CLOSED;
	set_error(o, -EPIPE);
}

static void try_it(struct output *o, struct sending *x)
{
	struct sender *s = &o->s;
	uint32_t most =
	    x->limit && (!s->most_points || x->limit < s->most_points) ? x->limit : s->most_points;
	struct parcel p = front(x, most);
	struct sink_turn turn = {go_on, o};
	struct sink_result r;
	uint32_t lost;

	memset(&r, 0, sizeof(r));
	s->first_in_flight = x == &s->live;
	s->sink->ops->send(s->sink, &p, &turn, &r);
	s->first_in_flight = false;
	s->parcels++;
	s->bytes_sent += r.bytes;
	lost = r.lost < p.points ? r.lost : p.points;
	switch (r.verdict) {
	case SINK_DELIVERED:
		advance(x, &p, lost);
		x->limit = x->limit < UINT32_MAX / 2 ? 2 * x->limit : 0;
		if (!x->rest.size)
			complete(o, x);
		succeeded(o, &r, lost);
		break;
	case SINK_SPLIT:
		split(o, x, &p, &r);
		if (!x->rest.size)
			complete(o, x);
		break;
	case SINK_CLOSED:
		closed(o, x, &p, lost);
		complete(o, x);
		break;
	case SINK_RETRY:
	case SINK_REFUSED:
		failed(o, &r);
		break;
	case SINK_STOPPED:
		break;
	}
	/* One that was put on disk meanwhile is sent from there. */
	if (x == &s->live && x->active && s->first->spooled)
		drop_first(o);
	output_publish(o);
}

/* ---- which is next */

static void refill(struct sender *s, uint64_t now_ns)
{
	double rate = (double)s->c.replay_rate;

	s->tokens += (double)(now_ns - s->tokens_ns) * rate / 1e9;
	if (s->tokens > rate)
		s->tokens = rate;
	s->tokens_ns = now_ns;
}

static bool may_replay(const struct sender *s)
{
	return output_spooled(s) && !s->stop_seen &&
	       (failing(s) || !s->c.replay_rate || s->tokens > 0);
}

static bool begin_replay(struct sender *s)
{
	if (s->replay.active)
		return true;
	if (spool_next(s->spool, output_realtime_ns(), &s->record) <= 0)
		return false;
	begin(&s->replay, &s->record.parcel);
	return true;
}

/* What is to be sent next; NULL: nothing. */
static struct sending *choose(struct sender *s)
{
	struct parcel p;
	bool replay = may_replay(s);

	if (replay && (failing(s) || !s->first || !s->last_was_replay) && begin_replay(s)) {
		s->last_was_replay = true;
		return &s->replay;
	}
	s->last_was_replay = false;
	if (!s->first)
		return NULL;
	if (!s->live.active) {
		p.bytes = s->first->bytes;
		p.size = s->first->size;
		p.points = s->first->points;
		begin(&s->live, &p);
	}
	return &s->live;
}

uint64_t output_next_send_ns(const struct output *o, uint64_t now_ns)
{
	const struct sender *s = &o->s;

	if (!s->first && (!output_spooled(s) || s->stop_seen))
		return UINT64_MAX;
	if (failing(s) && !s->gave_up)
		return s->retry_ns;
	if (s->first || !s->c.replay_rate || s->tokens > 0)
		return now_ns;
	return now_ns + (uint64_t)(-s->tokens * 1e9 / (double)s->c.replay_rate) + NS_PER_MS;
}

bool output_send_one(struct output *o)
{
	uint64_t now_ns = output_clock_ns();
	struct sender *s = &o->s;
	struct sending *x;

	refill(s, now_ns);
	if (s->gave_up || s->state == OUTPUT_CLOSED) {
		if (!s->first)
			return false;
		s->lost_refused += s->first->points;
		drop_first(o);
		return true;
	}
	if (failing(s) && now_ns < s->retry_ns)
		return false;
	x = choose(s);
	if (!x)
		return false;
	try_it(o, x);
	return true;
}
