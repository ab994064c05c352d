/* test_output.c - output/output.c, output_thread.c, output_send.c: every point is delivered, lost
 * with a cause, in memory or in the spool, whatever the sink does.
 */
#include "output/output.h"

#include <dirent.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <unistd.h>

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

static struct output_config config(struct fake *f)
{
	struct output_config c = {
	    .name = "test",
	    .sink = fake_open(f, &fake_ops),
	    .give_up_ns = 200 * MS,
	    .queue_bytes = 1 << 20,
	    .batch_points = 100,
	    .batch_bytes = 1 << 16,
	    .batch_age_ns = 5 * MS,
	    .retry_min_ns = 1 * MS,
	    .retry_max_ns = 20 * MS,
	    .spool = {.max_bytes = 1 << 24, .segment_bytes = 1 << 16},
	};

	return c;
}

static struct output *open_output(const struct output_config *c)
{
	char why[SINK_WHY_SIZE];
	struct output *o;

	if (output_open(&o, c, why))
		abort();
	return o;
}

/* Lines "p<i> v=1i\n" from..from+n-1. */
static void put_lines(struct output *o, unsigned int from, unsigned int n)
{
	struct batch *b = batch_new();
	unsigned int i;

	if (!b)
		abort();
	for (i = 0; i < n; i++)
		b->size +=
		    (size_t)snprintf(b->bytes + b->size, b->room - b->size, "p%u v=1i\n", from + i);
	b->points = n;
	b->made_ns = clock_now();
	output_put(o, b);
	batch_unref(b);
}

static bool balanced(const struct output_stats *s)
{
	return s->points_made + s->points_found ==
		   s->points_delivered + s->points_lost + s->points_queued + s->points_spooled &&
	       s->points_lost == s->lost_queue + s->lost_refused + s->lost_spool + s->lost_end;
}

/* Wait until so many points are delivered, lost or spooled; the balance holds all the time. */
static bool wait_for(struct output *o, uint64_t delivered, uint64_t lost, uint64_t spooled)
{
	uint64_t end = clock_now() + 10 * SEC;
	struct output_stats s;

	do {
		output_stats(o, &s);
		if (!balanced(&s)) {
			CHECK(balanced(&s));
			return false;
		}
		if (s.points_delivered == delivered && s.points_lost == lost &&
		    s.points_spooled == spooled)
			return true;
		fake_sleep_ms(1);
	} while (clock_now() < end);
	printf("    delivered %" PRIu64 ", lost %" PRIu64 ", spooled %" PRIu64 ", queued %" PRIu64
	       " of %" PRIu64 "\n",
	       s.points_delivered, s.points_lost, s.points_spooled, s.points_queued, s.points_made);
	return false;
}

static int close_output(struct output *o, uint64_t for_ns, struct output_stats *s)
{
	char why[SINK_WHY_SIZE];

	output_stop(o, for_ns == UINT64_MAX ? for_ns : clock_now() + for_ns);
	return output_close(o, s, why);
}

/* Is each of p0..p<n-1> in the text exactly once? (A line that was sent twice is there twice.) */
static bool each_once(const struct fake *f, unsigned int n)
{
	unsigned char *seen = calloc(n, 1);
	const char *at = f->text, *end = f->text + f->size;
	unsigned int i, bad = 0;

	if (!seen)
		abort();
	while (at < end && (at = memchr(at, 'p', (size_t)(end - at)))) {
		i = (unsigned int)strtoul(at + 1, NULL, 10);
		if (i >= n || seen[i]++)
			bad++;
		at = (const char *)memchr(at, '\n', (size_t)(end - at)) + 1;
	}
	for (i = 0; i < n; i++)
		bad += seen[i] != 1;
	free(seen);
	return !bad;
}

static void remove_dir(const char *dir)
{
	char path[512];
	struct dirent *e;
	DIR *d = opendir(dir);

	while (d && (e = readdir(d)))
		if (e->d_name[0] != '.') {
			snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
			unlink(path);
		}
	if (d)
		closedir(d);
	rmdir(dir);
}

static void fake_free(struct fake *f)
{
	CHECK(f->closes > 0);
	free(f);
}

static void test_delivers(void)
{
	struct fake *f = fake_new();
	struct output_config c = config(f);
	struct output *o = open_output(&c);
	struct output_stats s;
	unsigned int i;

	for (i = 0; i < 50; i++)
		put_lines(o, i * 7, 7);
	CHECK(wait_for(o, 350, 0, 0));
	CHECK_INT(close_output(o, SEC, &s), 0);
	CHECK(each_once(f, 350));
	CHECK_INT(s.points_made, 350);
	CHECK_INT(s.points_delivered, 350);
	CHECK_INT(s.state, OUTPUT_OK);
	CHECK_INT(s.bytes_sent, f->size);
	CHECK_STR(s.name, "test");
	CHECK_STR(s.kind, "fake");
	CHECK_STR(s.why, "");
	fake_free(f);
}

/* Parcels are bounded by points, by bytes, and not sent before they are full or old. */
static void test_parcels(void)
{
	struct fake *f = fake_new();
	struct output_config c = config(f);
	struct output *o;
	unsigned int i;

	c.batch_age_ns = 10 * SEC;
	o = open_output(&c);
	put_lines(o, 0, 250);
	put_lines(o, 250, 30);
	CHECK(wait_for(o, 200, 0, 0));
	CHECK_INT(f->sizes[0], 100);
	CHECK_INT(f->sizes[1], 100);
	CHECK_INT(fake_sends(f), 2); /* 80 wait for more */
	CHECK_INT(close_output(o, SEC, NULL), 0);
	CHECK_INT(f->sizes[2], 80);
	CHECK(each_once(f, 280));
	fake_free(f);

	f = fake_new();
	c = config(f);
	c.batch_bytes = 64; /* six to eight lines */
	o = open_output(&c);
	put_lines(o, 0, 280);
	CHECK(wait_for(o, 280, 0, 0));
	for (i = 0; i < fake_sends(f); i++)
		CHECK_MSG(f->sizes[i] >= 1 && f->sizes[i] <= 8, "send %u: %u points", i,
			  f->sizes[i]);
	CHECK_INT(close_output(o, SEC, NULL), 0);
	CHECK(each_once(f, 280));
	fake_free(f);

	f = fake_new();
	c = config(f);
	c.batch_points = 0; /* as they come */
	o = open_output(&c);
	put_lines(o, 0, 280);
	put_lines(o, 280, 1);
	CHECK(wait_for(o, 281, 0, 0));
	CHECK_INT(f->sizes[0], 280);
	CHECK_INT(f->sizes[1], 1);
	CHECK_INT(close_output(o, SEC, NULL), 0);
	fake_free(f);
}

/* Without a spool what failed is sent again, the very same. */
static void test_retries(void)
{
	struct fake *f = fake_new();
	struct output_config c = config(f);
	struct output *o;
	struct output_stats s;
	unsigned int i;

	for (i = 0; i < 5; i++)
		f->script[f->n++].verdict = i == 2 ? SINK_REFUSED : SINK_RETRY;
	f->script[1].wait_ns = 30 * MS;
	o = open_output(&c);
	put_lines(o, 0, 100);
	CHECK(wait_for(o, 100, 0, 0));
	CHECK_INT(close_output(o, SEC, &s), 0);
	CHECK(each_once(f, 100));
	CHECK_INT(f->sends, 6);
	CHECK_INT(s.retries, 5);
	CHECK_INT(s.errors, 5);
	CHECK_STR(s.why, "");
	fake_free(f);
}

/* Of a parcel that is refused as a whole only the bad line is lost. */
static void test_split(void)
{
	struct fake *f = fake_new();
	struct output_config c = config(f);
	struct output *o;
	struct output_stats s;

	f->poison = "p37 ";
	o = open_output(&c);
	put_lines(o, 0, 100);
	put_lines(o, 100, 100);
	CHECK(wait_for(o, 199, 1, 0));
	CHECK_INT(close_output(o, SEC, &s), 0);
	CHECK_INT(s.lost_refused, 1);
	CHECK(!strstr(f->text, "p37 "));
	CHECK(f->sends < 20);
	fake_free(f);

	/* What is too big is learned. */
	f = fake_new();
	c = config(f);
	f->points_most = 30;
	o = open_output(&c);
	put_lines(o, 0, 100);
	CHECK(wait_for(o, 100, 0, 0));
	CHECK_INT(f->sizes[0], 100);
	CHECK_INT(f->sizes[1], 50);
	CHECK_INT(f->sizes[2], 25);
	put_lines(o, 100, 100);
	CHECK(wait_for(o, 200, 0, 0));
	CHECK_INT(close_output(o, SEC, &s), 0);
	CHECK(each_once(f, 200));
	CHECK_INT(f->sends, 2 + 4 + 4);
	fake_free(f);
}

/* A partial write: what was refused is counted, the rest is not sent again. */
static void test_partial(void)
{
	struct fake *f = fake_new();
	struct output_config c = config(f);
	struct output_stats s;
	struct output *o;

	f->script[0].lost = 7;
	f->script[1].lost = 4000; /* more than there are */
	f->n = 2;
	o = open_output(&c);
	put_lines(o, 0, 100);
	CHECK(wait_for(o, 93, 7, 0));
	put_lines(o, 100, 10);
	CHECK(wait_for(o, 93, 17, 0));
	put_lines(o, 110, 10);
	CHECK(wait_for(o, 103, 17, 0));
	CHECK_INT(close_output(o, SEC, &s), 0);
	CHECK_INT(s.lost_refused, 17);
	CHECK_INT(f->sends, 3);
	fake_free(f);
}

/* A backend that is away: all goes to disk; back again: all comes, oldest first, once. */
static void test_spool(void)
{
	char dir[] = "/tmp/flowline-test-output-XXXXXX", spool[64];
	struct fake *f = fake_new();
	struct output_config c = config(f);
	struct output_stats s;
	struct output *o;
	unsigned int i;

	if (!mkdtemp(dir))
		abort();
	snprintf(spool, sizeof(spool), "%s/a", dir);
	c.spool.dir = spool;
	c.retry_max_ns = 5 * MS;
	fake_set(f, SINK_RETRY);
	o = open_output(&c);
	for (i = 0; i < 20; i++) {
		put_lines(o, i * 100, 100);
		fake_sleep_ms(1);
	}
	CHECK(wait_for(o, 0, 0, 2000));
	output_stats(o, &s);
	CHECK_INT(s.state, OUTPUT_RETRY);
	CHECK_INT(s.points_queued, 0);
	CHECK_STR(s.why, "it said 1");
	CHECK(s.oldest_ns > 0);
	fake_set(f, SINK_DELIVERED);
	CHECK(wait_for(o, 2000, 0, 0));
	put_lines(o, 2000, 50);
	CHECK(wait_for(o, 2050, 0, 0));
	CHECK(each_once(f, 2050));
	CHECK(!strncmp(f->text, "p0 v=1i\np1 ", 11)); /* in order */
	/* Away again, at the end of the run; the next run has it. */
	fake_set(f, SINK_RETRY);
	put_lines(o, 2050, 50);
	CHECK_INT(close_output(o, SEC, &s), 0);
	CHECK_INT(s.points_spooled, 50);
	CHECK_INT(s.lost_end, 0);
	CHECK(balanced(&s));
	fake_set(f, SINK_DELIVERED);
	c.sink = fake_open(f, &fake_ops);
	o = open_output(&c);
	CHECK(wait_for(o, 50, 0, 0));
	CHECK_INT(close_output(o, SEC, &s), 0);
	CHECK_INT(s.points_found, 50);
	CHECK_INT(s.points_made, 0);
	CHECK(each_once(f, 2100));
	remove_dir(spool);
	remove_dir(dir);
	fake_free(f);
}

/* A send that takes long: what waits behind it, and it itself, are on disk after a second, and are
 * not sent twice when it comes through after all. */
static void test_slow(void)
{
	char dir[] = "/tmp/flowline-test-output-XXXXXX";
	struct fake *f = fake_new();
	struct output_config c = config(f);
	struct output_stats s;
	struct output *o;

	if (!mkdtemp(dir))
		abort();
	c.spool.dir = dir;
	f->hang = true;
	o = open_output(&c);
	put_lines(o, 0, 100);
	fake_sleep_ms(50);
	put_lines(o, 100, 100);
	output_stats(o, &s);
	CHECK_INT(s.points_queued, 200);
	CHECK(wait_for(o, 0, 0, 200));
	output_stats(o, &s);
	CHECK_INT(s.points_queued, 0);
	fake_hang(f, false);
	CHECK(wait_for(o, 200, 0, 0));
	CHECK_INT(close_output(o, SEC, &s), 0);
	CHECK(each_once(f, 200));
	CHECK_INT(s.points_to_spool, 200);
	remove_dir(dir);
	fake_free(f);
}

/* The spool's share of the sending is bounded; live points do not wait for it. */
static void test_replay_rate(void)
{
	char dir[] = "/tmp/flowline-test-output-XXXXXX";
	struct fake *f = fake_new();
	struct output_config c = config(f);
	struct output_stats s;
	struct output *o;
	uint64_t begin;
	unsigned int i;

	if (!mkdtemp(dir))
		abort();
	c.spool.dir = dir;
	c.replay_rate = 2000;
	fake_set(f, SINK_RETRY);
	o = open_output(&c);
	for (i = 0; i < 16; i++)
		put_lines(o, i * 100, 100);
	CHECK(wait_for(o, 0, 0, 1600));
	fake_set(f, SINK_DELIVERED);
	begin = clock_now();
	while (output_stats(o, &s), !s.points_delivered)
		fake_sleep_ms(1);
	put_lines(o, 1600, 10);
	fake_sleep_ms(100);
	pthread_mutex_lock(&f->lock);
	CHECK(strstr(f->text, "p1600 ") != NULL); /* live ones came at once */
	pthread_mutex_unlock(&f->lock);
	CHECK(wait_for(o, 1610, 0, 0));
	CHECK(clock_now() - begin > 300 * MS);
	CHECK_INT(close_output(o, SEC, NULL), 0);
	CHECK(each_once(f, 1610));
	remove_dir(dir);
	fake_free(f);
}

/* The queue is bounded: the oldest go, and are counted. */
static void test_queue_full(void)
{
	struct fake *f = fake_new();
	struct output_config c = config(f);
	struct output_stats s;
	struct output *o;
	unsigned int i;

	c.queue_bytes = 10000;
	f->hang = true;
	o = open_output(&c);
	for (i = 0; i < 100; i++) {
		put_lines(o, i * 100, 100);
		fake_sleep_ms(1);
		output_stats(o, &s);
		if (!balanced(&s))
			CHECK(balanced(&s));
	}
	fake_sleep_ms(50);
	output_stats(o, &s);
	CHECK(s.lost_queue > 8000 && s.lost_queue < 9500);
	CHECK_INT(s.lost_queue + s.points_queued, 10000);
	fake_hang(f, false);
	CHECK(wait_for(o, 10000 - s.lost_queue, s.lost_queue, 0));
	CHECK(strstr(f->text, "p9999 ") != NULL); /* the newest are there */
	CHECK_INT(close_output(o, SEC, NULL), 0);
	fake_free(f);
}

/* At the end of a run there is a limit to waiting, and what cannot be sent is counted. */
static void test_stop(void)
{
	struct fake *f = fake_new();
	struct output_config c = config(f);
	struct output_stats s;
	struct output *o;
	uint64_t begin;

	f->hang = true;
	o = open_output(&c);
	put_lines(o, 0, 100);
	fake_sleep_ms(20);
	put_lines(o, 100, 100);
	begin = clock_now();
	CHECK(close_output(o, 100 * MS, &s) < 0);
	CHECK(clock_now() - begin < SEC);
	CHECK_INT(s.lost_end, 200);
	CHECK(balanced(&s));
	fake_free(f);

	/* One that does not even listen is left behind. */
	f = fake_new();
	c = config(f);
	f->deaf = true;
	o = open_output(&c);
	put_lines(o, 0, 100);
	fake_sleep_ms(20);
	begin = clock_now();
	CHECK(close_output(o, 10 * MS, &s) == -ETIMEDOUT);
	CHECK(clock_now() - begin < 4 * SEC);
	CHECK_INT(s.lost_end, 100);
	/* f is the thread's for ever */
}

/* Capture files: reading waits for the output, and nothing is lost. */
static void test_lossless(void)
{
	struct fake *f = fake_new();
	struct output_config c = config(f);
	struct output_stats s;
	struct output *o;
	unsigned int i;

	c.lossless = true;
	c.queue_bytes = 3000;
	c.batch_points = 0;
	f->script[3].verdict = SINK_RETRY;
	f->n = 4;
	o = open_output(&c);
	for (i = 0; i < 300; i++)
		put_lines(o, i * 100, 100);
	CHECK_INT(close_output(o, UINT64_MAX, &s), 0);
	CHECK_INT(s.points_delivered, 30000);
	CHECK(each_once(f, 30000));
	fake_free(f);

	/* One that fails for long ends it. */
	f = fake_new();
	c.sink = fake_open(f, &fake_ops);
	fake_set(f, SINK_RETRY);
	o = open_output(&c);
	for (i = 0; i < 100; i++)
		put_lines(o, i * 100, 100);
	CHECK(output_error(o) < 0);
	CHECK(close_output(o, UINT64_MAX, &s) < 0);
	CHECK_INT(s.points_lost, 10000);
	CHECK(balanced(&s));
	fake_free(f);

	/* One that is refused, at once; a file on a full disk too. */
	f = fake_new();
	c.sink = fake_open(f, &fake_ops_file);
	f->script[0].lost = 3;
	f->n = 1;
	o = open_output(&c);
	put_lines(o, 0, 100);
	CHECK_INT(close_output(o, UINT64_MAX, &s), -EIO);
	CHECK_INT(s.points_lost, 3);
	fake_free(f);
}

static void test_closed(void)
{
	struct fake *f = fake_new();
	struct output_config c = config(f);
	struct output_stats s;
	struct output *o;

	f->script[1].verdict = SINK_CLOSED;
	f->script[1].lost = 40;
	f->n = 2;
	o = open_output(&c);
	put_lines(o, 0, 100);
	put_lines(o, 100, 100);
	CHECK(wait_for(o, 160, 40, 0));
	CHECK_INT(output_error(o), -EPIPE);
	put_lines(o, 200, 100);
	CHECK(wait_for(o, 160, 140, 0));
	CHECK_INT(close_output(o, SEC, &s), -EPIPE);
	CHECK_INT(s.state, OUTPUT_CLOSED);
	fake_free(f);
}

/* A new sink takes over what the old one could not send. */
static void test_change(void)
{
	char dir[] = "/tmp/flowline-test-output-XXXXXX";
	struct fake *f = fake_new(), *g = fake_new();
	struct output_config c = config(f);
	struct output_stats s;
	struct output *o;

	if (!mkdtemp(dir))
		abort();
	c.spool.dir = dir;
	c.retry_min_ns = c.retry_max_ns = 3600 * SEC;
	fake_set(f, SINK_REFUSED);
	o = open_output(&c);
	put_lines(o, 0, 100);
	CHECK(wait_for(o, 0, 0, 100));
	output_stats(o, &s);
	CHECK_INT(s.state, OUTPUT_REFUSED);
	c.sink = fake_open(g, &fake_ops);
	output_change(o, &c);
	CHECK(wait_for(o, 100, 0, 0));
	CHECK_INT(f->closes, 1);
	c.sink = NULL;
	c.batch_points = 10;
	output_change(o, &c);
	output_reopen(o);
	fake_sleep_ms(20);
	put_lines(o, 100, 30);
	CHECK(wait_for(o, 130, 0, 0));
	CHECK_INT(g->reopens, 1);
	CHECK_INT(g->sizes[1], 10);
	CHECK_INT(close_output(o, SEC, NULL), 0);
	CHECK(each_once(g, 130));
	remove_dir(dir);
	fake_free(f);
	fake_free(g);
}

/* A directory that cannot be the spool: points wait in memory. */
static void test_no_spool(void)
{
	struct fake *f = fake_new();
	struct output_config c = config(f);
	struct output_stats s;
	struct output *o;

	c.spool.dir = "/dev/null/spool";
	fake_set(f, SINK_RETRY);
	o = open_output(&c);
	put_lines(o, 0, 100);
	fake_sleep_ms(30);
	output_stats(o, &s);
	CHECK_INT(s.points_queued, 100);
	CHECK(s.errors > 0);
	fake_set(f, SINK_DELIVERED);
	CHECK(wait_for(o, 100, 0, 0));
	CHECK_INT(close_output(o, SEC, NULL), 0);
	fake_free(f);
}

int main(void)
{
	static const struct test_case cases[] = {
	    {"delivers", test_delivers},
	    {"parcels", test_parcels},
	    {"retries", test_retries},
	    {"split", test_split},
	    {"partial", test_partial},
	    {"spool", test_spool},
	    {"slow", test_slow},
	    {"replay_rate", test_replay_rate},
	    {"queue_full", test_queue_full},
	    {"stop", test_stop},
	    {"lossless", test_lossless},
	    {"closed", test_closed},
	    {"change", test_change},
	    {"no_spool", test_no_spool},
	};

	log_set_level(LOG_LEVEL_ERROR);
	return test_run(cases, sizeof(cases) / sizeof(cases[0]));
}
