/* repair.c - see repair.h. */
#include "collector/repair.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "collector/kernel_queue.h"
#include "collector/pipeline.h"
#include "collector/tiers.h"
#include "common/log.h"

#define NS_PER_MS 1000000ULL

enum {
	APART_MS = 1000,   /* at least, between two lists */
	APART_CPU = 20,    /* ... and so many times what the last one cost: 5 % of a CPU */
	LISTS = 2,         /* for each loss: what the first could not tell the second may */
	LOOK_MS = 20,      /* are the rings read by now? */
	GIVE_UP_MS = 5000, /* a ring that is read all the time does not lag that far */
	RETRY_MS = 60000,  /* the source failed */
	TRIES_MOST = 5,
	OWN_MS = 10000, /* so long the last frames of its proof take at most */
	SAMPLES_FIRST = 1024,
	FRAME_MOST = 8 * 65535, /* payload of one frame: GSO_MAX_SIZE, include/linux/netdevice.h */
};

void repair_init(struct repair *r, const struct repair_config *c)
{
	memset(r, 0, sizeof(*r));
	r->c = *c;
}

static uint64_t realtime_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* --- the source ------------------------------------------------------------------------------- */

static void on_own(void *ctx, uint16_t port)
{
	struct repair *r = ctx;

	engine_exclude_own(r->c.engine, port, realtime_ns() + OWN_MS * NS_PER_MS);
}

/* Kept until the rings have been read that far. One more than there is memory for has to wait for
 * the next list. */
static void on_sample(void *ctx, const struct kernel_sample *s, const struct kernel_process *who)
{
	struct repair *r = ctx;

	(void)who;
	if (!(s->has & (KERNEL_SENT | KERNEL_RECEIVED)))
		return;
	if (r->n == r->room) {
		size_t room = r->room ? 2 * r->room : SAMPLES_FIRST;
		struct kernel_sample *more;

		if (room > KERNEL_QUEUE_MOST)
			return;
		more = realloc(r->samples, room * sizeof(*more));
		if (!more)
			return;
		r->samples = more;
		r->room = room;
	}
	r->samples[r->n++] = *s;
}

static void forget(struct repair *r)
{
	free(r->samples);
	r->samples = NULL;
	r->n = r->room = 0;
	r->taken_ns = 0;
}

static void fail(struct repair *r, uint64_t now_ns)
{
	log_debug("bytes of packets that were dropped stay uncounted: %s", r->why);
	r->next_ns = now_ns + RETRY_MS * NS_PER_MS;
	r->tries++;
}

static bool open_source(struct repair *r, uint64_t now_ns)
{
	struct kernel_sink sink = {on_sample, NULL, r};
	struct kernel_source_config c;

	if (r->source)
		return true;
	if (r->tries == TRIES_MOST)
		return false;
	memset(&c, 0, sizeof(c));
	c.btf_path = "";
	c.dumps_only = true;
	c.own = on_own;
	c.own_ctx = r;
	if (!r->c.sockets->open(&r->source, &c, &sink, r->why))
		return true;
	r->source = NULL;
	fail(r, now_ns);
	return false;
}

/* --- lists ------------------------------------------------------------------------------------ */

static bool is_forwarding(const struct repair *r)
{
	return r->c.narrow != CONF_NARROW_ALWAYS && tiers_host_forwards(r->c.proc);
}

static void plan_next(struct repair *r, uint64_t now_ns)
{
	uint64_t apart_ns = APART_MS * NS_PER_MS;
	struct kernel_source_stats s;

	r->c.sockets->stats(r->source, &s);
	if (s.dump_cpu_ns * APART_CPU > apart_ns)
		apart_ns = s.dump_cpu_ns * APART_CPU;
	r->next_ns = now_ns + apart_ns;
}

static void take_list(struct repair *r, uint64_t now_ns)
{
	r->drops = r->c.drops(r->c.ctx); /* what is dropped from now on wants another one */
	r->lists -= r->lists ? 1 : 0;
	r->next_ns = now_ns + APART_MS * NS_PER_MS;
	if (r->c.needless(r->c.ctx) || is_forwarding(r)) {
		engine_set_dropped(r->c.engine, 0);
		return;
	}
	engine_set_dropped(r->c.engine, r->drops * FRAME_MOST);
	if (!open_source(r, now_ns))
		return;
	if (r->c.sockets->dump(r->source, false, r->why)) {
		r->c.sockets->close(r->source);
		r->source = NULL;
		forget(r);
		fail(r, now_ns);
		return;
	}
	plan_next(r, now_ns);
	r->taken++;
	r->taken_ns = realtime_ns();
	r->give_up_ns = now_ns + GIVE_UP_MS * NS_PER_MS;
}

static void apply(struct repair *r)
{
	const uint64_t *repaired = &engine_stats(r->c.engine)->bytes_repaired, before = *repaired;
	uint64_t most = r->c.drops(r->c.ctx) * FRAME_MOST;
	size_t i;

	for (i = 0; i < r->n && *repaired < most; i++)
		(void)engine_repair(r->c.engine, &r->samples[i], most - *repaired);
	if (*repaired != before)
		log_debug("%llu bytes of packets that were dropped are counted as the sockets tell",
			  (unsigned long long)(*repaired - before));
	forget(r);
}

void repair_tick(struct repair *r, uint64_t now_ns)
{
	if (r->c.drops(r->c.ctx) > r->drops)
		r->lists = LISTS;
	repair_work(r, now_ns);
}

void repair_work(struct repair *r, uint64_t now_ns)
{
	if (r->taken_ns) {
		if (r->c.read_until_ns(r->c.ctx) < r->taken_ns && now_ns < r->give_up_ns)
			return;
		apply(r);
	}
	if (r->c.dropping(r->c.ctx))
		r->lists = LISTS;
	if (r->lists && now_ns >= r->next_ns)
		take_list(r, now_ns);
}

uint64_t repair_due_ns(const struct repair *r)
{
	if (r->taken_ns)
		return monotonic_ns() + LOOK_MS * NS_PER_MS;
	return r->lists ? r->next_ns : UINT64_MAX;
}

void repair_finish(struct repair *r)
{
	uint64_t now_ns = monotonic_ns();

	if (r->taken_ns)
		apply(r);
	if (!r->c.drops(r->c.ctx))
		return;
	take_list(r, now_ns);
	if (r->taken_ns)
		apply(r);
}

void repair_close(struct repair *r)
{
	if (r->source)
		r->c.sockets->close(r->source);
	free(r->samples);
	memset(r, 0, sizeof(*r));
}
