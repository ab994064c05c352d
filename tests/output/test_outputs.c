/* test_outputs.c - output/outputs.c, output/batch.c: one line made, given to all. */
#include "output/outputs.h"

#include "common/log.h"
#include "tests/output/fake_sink.h"
#include "tests/test.h"

#define MS  1000000ULL
#define SEC (1000 * MS)

static uint64_t clock_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * SEC + (uint64_t)t.tv_nsec;
}

static struct output *open_one(struct fake *f, const char *name, uint32_t batch_points)
{
	struct output_config c = {
	    .name = name,
	    .sink = fake_open(f, &fake_ops),
	    .queue_bytes = 1 << 24,
	    .batch_points = batch_points,
	    .batch_bytes = 1 << 16,
	    .retry_min_ns = MS,
	    .retry_max_ns = MS,
	};
	char why[SINK_WHY_SIZE];
	struct output *o;

	if (output_open(&o, &c, why))
		abort();
	return o;
}

static void put(struct outputs *os, unsigned int i)
{
	char *p = outputs_reserve(os, 64);

	outputs_commit(os, (size_t)snprintf(p, 64, "p%u v=1i\n", i));
}

/* Three outputs with parcels of their own sizes get the same bytes. */
static void test_all(void)
{
	struct fake *f[3];
	static const char *const names[] = {"a", "b", "c"};
	struct outputs *os = outputs_new();
	struct output_stats s;
	unsigned int i, made = 60000; /* some batches */

	if (!os)
		abort();
	CHECK_INT(outputs_error(os), 0);
	for (i = 0; i < 3; i++) {
		f[i] = fake_new();
		CHECK_INT(outputs_add(os, open_one(f[i], names[i], i * 700)), 0);
	}
	CHECK_INT(outputs_n(os), 3);
	CHECK(outputs_find(os, "b") == outputs_at(os, 1));
	CHECK(outputs_find(os, "d") == NULL);
	outputs_flush(os); /* nothing yet */
	for (i = 0; i < made; i++) {
		put(os, i);
		if (i % 10007 == 0)
			outputs_flush(os);
	}
	outputs_commit(os, 0);
	CHECK_INT(outputs_error(os), 0);
	CHECK_INT(outputs_end(os, clock_now() + 10 * SEC), 0);
	outputs_sum(os, &s);
	CHECK_INT(s.points_made, 3 * made);
	CHECK_INT(s.points_delivered, 3 * made);
	CHECK(outputs_stats(os, 2, &s));
	CHECK_INT(s.points_delivered, made);
	CHECK_STR(s.name, "c");
	CHECK(!outputs_stats(os, 3, &s));
	CHECK_STR(f[0]->text, f[1]->text);
	CHECK_STR(f[0]->text, f[2]->text);
	CHECK(strstr(f[0]->text, "p0 v=1i\np1 v=1i\n") == f[0]->text);
	CHECK(strstr(f[0]->text, "p59999 v=1i\n") != NULL);
	CHECK_INT(f[1]->sizes[0] <= 700, 1);
	outputs_free(os);
	for (i = 0; i < 3; i++)
		free(f[i]);
}

/* One leaves: what it counted stays in the sum. */
static void test_leave(void)
{
	struct fake *f = fake_new(), *g = fake_new();
	struct outputs *os = outputs_new();
	struct output_stats s;
	unsigned int i;

	if (!os)
		abort();
	CHECK_INT(outputs_add(os, open_one(f, "f", 10)), 0);
	CHECK_INT(outputs_add(os, open_one(g, "g", 10)), 0);
	for (i = 0; i < 100; i++)
		put(os, i);
	outputs_flush(os);
	outputs_leave(os, outputs_find(os, "f"), clock_now() + SEC);
	CHECK_INT(outputs_n(os), 1);
	for (i = 100; i < 130; i++)
		put(os, i);
	for (i = 0; i < 2000 && !f->closes; i++) {
		outputs_poll(os);
		fake_sleep_ms(1);
	}
	outputs_poll(os);
	CHECK_INT(outputs_end(os, clock_now() + SEC), 0);
	outputs_sum(os, &s);
	CHECK_INT(s.points_made, 230);
	CHECK_INT(s.points_delivered, 230);
	CHECK(!strstr(f->text, "p100 "));
	CHECK(strstr(g->text, "p129 ") != NULL);
	outputs_free(os);
	free(f);
	free(g);
}

/* The run ends when nobody reads any of them. */
static void test_closed(void)
{
	struct fake *f = fake_new(), *g = fake_new();
	struct outputs *os = outputs_new();
	unsigned int i;

	if (!os)
		abort();
	fake_set(f, SINK_CLOSED);
	CHECK_INT(outputs_add(os, open_one(f, "f", 10)), 0);
	CHECK_INT(outputs_add(os, open_one(g, "g", 10)), 0);
	put(os, 0);
	outputs_flush(os);
	for (i = 0; i < 2000 && !output_error(outputs_at(os, 0)); i++)
		fake_sleep_ms(1);
	CHECK_INT(output_error(outputs_at(os, 0)), -EPIPE);
	CHECK_INT(outputs_error(os), 0);
	fake_set(g, SINK_CLOSED);
	put(os, 1);
	outputs_flush(os);
	for (i = 0; i < 2000 && !outputs_error(os); i++)
		fake_sleep_ms(1);
	CHECK_INT(outputs_error(os), -EPIPE);
	outputs_free(os);
	free(f);
	free(g);
}

static void test_batch(void)
{
	struct batch *a = batch_new(), *b, *c;

	if (!a)
		abort();
	a->size = 10;
	a->points = 1;
	memcpy(a->bytes, "012345678\n", 10);
	b = batch_copy(a);
	if (!b)
		abort();
	CHECK_INT(b->size, 10);
	CHECK_INT(b->room, 10);
	CHECK(!memcmp(b->bytes, a->bytes, 10));
	CHECK(batch_ref(a) == a);
	batch_unref(a);
	CHECK_INT(a->refs, 1);
	batch_unref(a);
	batch_unref(b);
	batch_unref(NULL);
	c = batch_new(); /* the one that was given back, empty */
	if (!c)
		abort();
	CHECK_INT(c->size, 0);
	CHECK_INT(c->points, 0);
	CHECK_INT(c->room, BATCH_BYTES);
	batch_unref(c);
	batch_free_spare();
}

int main(void)
{
	static const struct test_case cases[] = {
	    {"all", test_all},
	    {"leave", test_leave},
	    {"closed", test_closed},
	    {"batch", test_batch},
	};

	log_set_level(LOG_LEVEL_ERROR);
	return test_run(cases, sizeof(cases) / sizeof(cases[0]));
}
