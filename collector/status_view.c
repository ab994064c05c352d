/* status_view.c - see status_view.h. */
#include "collector/status_view.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define NS_PER_S 1000000000ULL

static const struct stats_totals nothing; /* as it was at the start */

void status_cycle(const struct status_view *v, struct status_cycle *out)
{
	uint64_t ns, ago_ns;

	out->complete = v->cycle_from && v->cycle_to;
	out->from = out->complete ? v->cycle_from : &nothing;
	out->to = out->complete ? v->cycle_to : v->now;
	ns = out->to->elapsed_ns - out->from->elapsed_ns;
	out->seconds = (double)(ns ? ns : 1) / 1e9;
	ago_ns = v->now->elapsed_ns - out->from->elapsed_ns;
	out->since_ns = v->now_ns > ago_ns ? v->now_ns - ago_ns : 0;
}

int64_t status_unaccounted(const struct output_stats *o)
{
	return (int64_t)(o->points_made + o->points_found - o->points_delivered - o->points_lost -
			 o->points_queued - o->points_spooled);
}

bool status_accounted(const struct status_view *v)
{
	size_t i;

	for (i = 0; i < v->noutputs; i++)
		if (status_unaccounted(&v->outputs[i]))
			return false;
	return stats_points_add_up(v->now);
}

const char *status_state_name(enum output_state state)
{
	switch (state) {
	case OUTPUT_IDLE:
		return "idle";
	case OUTPUT_OK:
		return "ok";
	case OUTPUT_RETRY:
		return "retry";
	case OUTPUT_REFUSED:
		return "refused";
	case OUTPUT_CLOSED:
		return "closed";
	}
	return "unknown";
}

uint64_t status_lag_ns(const struct status_view *v, const struct output_stats *o)
{
	return o->oldest_ns && v->now_ns > o->oldest_ns ? v->now_ns - o->oldest_ns : 0;
}

struct teller {
	void (*tell)(void *ctx, const char *problem);
	void *ctx;
	size_t n;
	char since[24];
};

static void tell(struct teller *t, const char *fmt, ...) PRINTF_LIKE(2, 3);

static void tell(struct teller *t, const char *fmt, ...)
{
	char problem[OUTPUT_NAME_MOST + SINK_WHY_SIZE + 128];
	va_list args;

	t->n++;
	if (!t->tell)
		return;
	va_start(args, fmt);
	vsnprintf(problem, sizeof(problem), fmt, args);
	va_end(args);
	t->tell(t->ctx, problem);
}

static void tell_loss(void *ctx, const struct stats_item *item)
{
	char digits[STATS_DIGITS_SIZE];
	struct teller *t = ctx;

	if (item->kind != STATS_LOSS || !item->change)
		return;
	stats_digits(item->change, digits);
	tell(t, "%s %s since %s (%s)", digits, item->name, t->since, item->text);
}

static void tell_output(struct teller *t, const struct output_stats *o)
{
	int64_t missing = status_unaccounted(o);

	if (o->state == OUTPUT_RETRY || o->state == OUTPUT_REFUSED)
		tell(t, "output %s does not deliver: %s", o->name,
		     o->why[0] ? o->why : "no reason was given");
	else if (o->state == OUTPUT_CLOSED)
		tell(t, "output %s: nobody reads any more%s%s", o->name, o->why[0] ? ": " : "",
		     o->why);
	if (missing)
		tell(t, "output %s: %" PRId64 " points are not accounted for, please report it",
		     o->name, missing);
}

size_t status_problems(const struct status_view *v, void (*to)(void *ctx, const char *problem),
		       void *ctx)
{
	struct teller t = {to, ctx, 0, ""};
	struct status_cycle cycle;
	struct tm tm;
	time_t since;
	size_t i;

	status_cycle(v, &cycle);
	since = (time_t)(cycle.since_ns / NS_PER_S);
	if (!localtime_r(&since, &tm) || !strftime(t.since, sizeof(t.since), "%H:%M:%S", &tm))
		snprintf(t.since, sizeof(t.since), "the last cycle");
	for (i = 0; i < v->noutputs; i++)
		tell_output(&t, &v->outputs[i]);
	stats_each(cycle.from, v->now, tell_loss, &t);
	if (!stats_adds_up(v->now))
		tell(&t, "the counts of packets do not add up, please report it");
	if (!stats_points_add_up(v->now))
		tell(&t, "the counts of points do not add up, please report it");
	return t.n;
}
