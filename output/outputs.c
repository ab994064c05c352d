/* outputs.c - see outputs.h. */
#include "output/outputs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "output/output_internal.h"

struct outputs {
	struct output *v[OUTPUTS_MOST], *leaving[2 * OUTPUTS_MOST];
	size_t n, nleaving;
	struct output_stats left;                /* of those that are no more */
	struct output_stats ended[OUTPUTS_MOST]; /* after outputs_end() */
	size_t nended;
	struct batch *batch; /* being filled; NULL: memory was refused */
	char *line;          /* room where there is no batch */
};

enum { LINE_MOST = 64 * 1024 };

struct outputs *outputs_new(void)
{
	struct outputs *os = calloc(1, sizeof(*os));

	if (!os)
		return NULL;
	os->batch = batch_new();
	os->line = malloc(LINE_MOST);
	if (os->batch && os->line)
		return os;
	outputs_free(os);
	errno = ENOMEM;
	return NULL;
}

void outputs_free(struct outputs *os)
{
	if (!os)
		return;
	if (os->n || os->nleaving) {
		int err = outputs_end(os, output_clock_ns());

		(void)err; /* logged */
	}
	batch_unref(os->batch);
	batch_free_spare();
	free(os->line);
	free(os);
}

int outputs_add(struct outputs *os, struct output *o)
{
	if (os->n == OUTPUTS_MOST)
		return FL_EFULL;
	os->v[os->n++] = o;
	return 0;
}

size_t outputs_n(const struct outputs *os)
{
	return os->n;
}

struct output *outputs_at(const struct outputs *os, size_t i)
{
	return os->v[i];
}

struct output *outputs_find(const struct outputs *os, const char *name)
{
	size_t i;

	for (i = 0; i < os->n; i++)
		if (!strcmp(os->v[i]->name, name))
			return os->v[i];
	return NULL;
}

/* ---- lines */

static void give(struct outputs *os, struct batch *b)
{
	size_t i;

	for (i = 0; i < os->n; i++)
		output_put(os->v[i], b);
}

/* A small batch is copied, so that the big buffer can be used again at once. */
void outputs_flush(struct outputs *os)
{
	struct batch *b = os->batch, *copy = NULL;

	if (!b)
		os->batch = batch_new();
	if (!b || !b->points)
		return;
	b->made_ns = output_clock_ns();
	if (b->size < BATCH_BYTES / 2)
		copy = batch_copy(b);
	if (copy) {
		give(os, copy);
		batch_unref(copy);
		b->points = 0;
		b->size = 0;
		return;
	}
	give(os, b);
	batch_unref(b);
	os->batch = batch_new();
}

char *outputs_reserve(struct outputs *os, size_t most)
{
	if (!os->batch || os->batch->room - os->batch->size < most)
		outputs_flush(os);
	return os->batch ? os->batch->bytes + os->batch->size : os->line;
}

static void lose_line(struct outputs *os)
{
	size_t i;

	for (i = 0; i < os->n; i++)
		output_lose(os->v[i], 1);
}

void outputs_commit(struct outputs *os, size_t len)
{
	if (!len)
		return;
	if (!os->batch) {
		lose_line(os);
		return;
	}
	os->batch->size += len;
	os->batch->points++;
}

int outputs_error(const struct outputs *os)
{
	int err = 0, one;
	size_t i, closed = 0;

	for (i = 0; i < os->n; i++) {
		one = output_error(os->v[i]);
		if (one == -EPIPE)
			closed++;
		else if (one && !err)
			err = one;
	}
	return err ? err : os->n && closed == os->n ? -EPIPE : 0;
}

/* ---- the end of one, and of all */

static void add(struct output_stats *sum, const struct output_stats *one)
{
	sum->points_made += one->points_made;
	sum->points_found += one->points_found;
	sum->points_delivered += one->points_delivered;
	sum->points_lost += one->points_lost;
	sum->lost_queue += one->lost_queue;
	sum->lost_refused += one->lost_refused;
	sum->lost_spool += one->lost_spool;
	sum->lost_end += one->lost_end;
	sum->points_queued += one->points_queued;
	sum->points_spooled += one->points_spooled;
	sum->spool_bytes += one->spool_bytes;
	sum->points_to_spool += one->points_to_spool;
	sum->parcels += one->parcels;
	sum->retries += one->retries;
	sum->errors += one->errors;
	sum->bytes_sent += one->bytes_sent;
	if (one->oldest_ns && (!sum->oldest_ns || one->oldest_ns < sum->oldest_ns))
		sum->oldest_ns = one->oldest_ns;
	if (one->last_ok_ns > sum->last_ok_ns)
		sum->last_ok_ns = one->last_ok_ns;
}

/* 0, or its error. */
static int close_one(struct output *o, struct output_stats *stats)
{
	char why[SINK_WHY_SIZE], name[OUTPUT_NAME_MOST];
	int err;

	memcpy(name, o->name, sizeof(name));
	err = output_close(o, stats, why);
	if (err && why[0])
		log_error("output %s: %s", name, why);
	return err;
}

void outputs_leave(struct outputs *os, struct output *o, uint64_t until_ns)
{
	size_t i;

	output_stop(o, until_ns);
	for (i = 0; i < os->n && os->v[i] != o; i++)
		;
	os->n--;
	memmove(os->v + i, os->v + i + 1, (os->n - i) * sizeof(struct output *));
	if (os->nleaving < 2 * OUTPUTS_MOST) {
		os->leaving[os->nleaving++] = o;
	} else {
		struct output_stats stats;
		int err = close_one(o, &stats);

		(void)err; /* logged */
		add(&os->left, &stats);
	}
}

void outputs_poll(struct outputs *os)
{
	struct output_stats stats;
	size_t i = 0;
	int err;

	while (i < os->nleaving) {
		if (!output_stopped(os->leaving[i])) {
			i++;
			continue;
		}
		err = close_one(os->leaving[i], &stats);
		(void)err; /* logged */
		add(&os->left, &stats);
		os->leaving[i] = os->leaving[--os->nleaving];
	}
}

int outputs_end(struct outputs *os, uint64_t until_ns)
{
	struct output_stats stats;
	int err = 0, one;
	size_t i;

	outputs_flush(os);
	for (i = 0; i < os->n; i++)
		output_stop(os->v[i], until_ns);
	for (i = 0; i < os->nleaving; i++) {
		one = close_one(os->leaving[i], &stats);
		(void)one; /* logged */
		add(&os->left, &stats);
	}
	os->nleaving = 0;
	for (i = 0; i < os->n; i++) {
		one = close_one(os->v[i], &os->ended[i]);
		err = err ? err : one;
	}
	os->nended = os->n;
	os->n = 0;
	return err;
}

bool outputs_stats(const struct outputs *os, size_t i, struct output_stats *stats)
{
	if (i < os->n)
		output_stats(os->v[i], stats);
	else if (!os->n && i < os->nended)
		*stats = os->ended[i];
	else
		return false;
	return true;
}

void outputs_sum(const struct outputs *os, struct output_stats *sum)
{
	struct output_stats one;
	size_t i;

	*sum = os->left;
	for (i = 0; outputs_stats(os, i, &one); i++)
		add(sum, &one);
	for (i = 0; i < os->nleaving; i++) {
		output_stats(os->leaving[i], &one);
		add(sum, &one);
	}
}
