/* fake_sink.h - a sink that does what a test tells it, and remembers what it got. */
#ifndef TESTS_OUTPUT_FAKE_SINK_H
#define TESTS_OUTPUT_FAKE_SINK_H

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "output/sink.h"

enum { FAKE_TEXT = 1 << 20, FAKE_SCRIPT = 64 };

/* How it answers. */
struct fake_answer {
	enum sink_verdict verdict;
	uint32_t lost;
	uint64_t wait_ns;
};

/* The test's; outlives the sink. */
struct fake {
	pthread_mutex_t lock;
	struct fake_answer script[FAKE_SCRIPT]; /* one for each send; then `always` */
	size_t n, at;
	struct fake_answer always;
	const char *poison;   /* a parcel that has this is SINK_SPLIT */
	uint32_t points_most; /* as one with more points, too big; 0: none is */
	bool hang;            /* send() asks to go on until it is told to stop */
	bool deaf;            /* ... and does not even ask, for 10 s */
	char text[FAKE_TEXT]; /* all that was delivered */
	size_t size;
	unsigned int sends, reopens, idles, closes;
	uint32_t sizes[1024]; /* points of each send */
};

struct fake_sink {
	struct sink sink;
	struct fake *fake;
};

static inline void fake_sleep_ms(long ms)
{
	struct timespec t = {ms / 1000, ms % 1000 * 1000000};

	nanosleep(&t, NULL);
}

static inline void fake_deliver(struct fake *f, const struct parcel *p)
{
	if (f->size + p->size < sizeof(f->text)) {
		memcpy(f->text + f->size, p->bytes, p->size);
		f->size += p->size;
		f->text[f->size] = '\0';
	}
}

static inline void fake_answer(struct fake *f, const struct parcel *p, struct sink_result *r)
{
	struct fake_answer a = f->at < f->n ? f->script[f->at++] : f->always;

	r->verdict = a.verdict;
	r->lost = a.lost;
	r->wait_ns = a.wait_ns;
	r->bytes = p->size;
	if (f->poison && memmem(p->bytes, p->size, f->poison, strlen(f->poison)))
		r->verdict = SINK_SPLIT;
	if (f->points_most && p->points > f->points_most) {
		r->verdict = SINK_SPLIT;
		r->too_big = true;
	}
	if (r->verdict == SINK_DELIVERED)
		fake_deliver(f, p);
	if (r->verdict != SINK_DELIVERED || r->lost)
		snprintf(r->why, sizeof(r->why), "it said %d", r->verdict);
}

static inline void fake_send(struct sink *s, const struct parcel *p, const struct sink_turn *turn,
			     struct sink_result *r)
{
	struct fake *f = ((struct fake_sink *)s)->fake;
	bool hang, deaf;

	pthread_mutex_lock(&f->lock);
	if (f->sends < 1024)
		f->sizes[f->sends] = p->points;
	f->sends++;
	hang = f->hang;
	deaf = f->deaf;
	pthread_mutex_unlock(&f->lock);
	if (deaf)
		fake_sleep_ms(10000);
	while (hang) {
		if (!turn->go_on(turn->ctx)) {
			r->verdict = SINK_STOPPED;
			return;
		}
		fake_sleep_ms(5);
		pthread_mutex_lock(&f->lock);
		hang = f->hang;
		pthread_mutex_unlock(&f->lock);
	}
	pthread_mutex_lock(&f->lock);
	fake_answer(f, p, r);
	pthread_mutex_unlock(&f->lock);
}

static inline int fake_reopen(struct sink *s, char why[SINK_WHY_SIZE])
{
	(void)why;
	((struct fake_sink *)s)->fake->reopens++;
	return 0;
}

static inline void fake_idle(struct sink *s)
{
	((struct fake_sink *)s)->fake->idles++;
}

static inline int fake_close(struct sink *s, char why[SINK_WHY_SIZE])
{
	struct fake_sink *fs = (struct fake_sink *)s;

	(void)why;
	pthread_mutex_lock(&fs->fake->lock);
	fs->fake->closes++;
	pthread_mutex_unlock(&fs->fake->lock);
	free(fs);
	return 0;
}

static const struct sink_ops fake_ops = {
    "fake", true, fake_send, fake_reopen, fake_idle, fake_close,
};

static const struct sink_ops fake_ops_file = {
    "fakefile", false, fake_send, fake_reopen, fake_idle, fake_close,
};

static inline struct sink *fake_open(struct fake *f, const struct sink_ops *ops)
{
	struct fake_sink *s = calloc(1, sizeof(*s));

	if (!s)
		abort();
	s->sink.ops = ops;
	s->fake = f;
	return &s->sink;
}

static inline struct fake *fake_new(void)
{
	struct fake *f = calloc(1, sizeof(*f));

	if (!f || pthread_mutex_init(&f->lock, NULL))
		abort();
	return f;
}

static inline void fake_set(struct fake *f, enum sink_verdict always)
{
	pthread_mutex_lock(&f->lock);
	f->always.verdict = always;
	pthread_mutex_unlock(&f->lock);
}

static inline void fake_hang(struct fake *f, bool hang)
{
	pthread_mutex_lock(&f->lock);
	f->hang = hang;
	pthread_mutex_unlock(&f->lock);
}

static inline unsigned int fake_sends(struct fake *f)
{
	unsigned int n;

	pthread_mutex_lock(&f->lock);
	n = f->sends;
	pthread_mutex_unlock(&f->lock);
	return n;
}

#endif
