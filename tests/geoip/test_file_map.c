/* test_file_map.c - a mapped file that others truncate, overwrite and replace while it is read.
 *
 * Readers sum up the bytes without a pause meanwhile: any byte of another edition shows, and a page
 * that is gone would end the program.
 */
#include "geoip/file_map.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "tests/test.h"

enum { SIZE = 1000 * 1000 + 7, READERS = 2, ROUNDS = 60 };

static char path[] = "/tmp/flowline-test-map.XXXXXX";
static char why[512];

static void write_file(unsigned char fill, size_t size)
{
	unsigned char *bytes = malloc(size);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	memset(bytes, fill, size);
	CHECK(fd >= 0 && write(fd, bytes, size) == (ssize_t)size);
	close(fd);
	free(bytes);
}

static struct file_map *open_map(void)
{
	struct file_identity id;
	struct file_map *m;

	CHECK_INT(file_map_open(&m, path, "/tmp", &id, why, sizeof(why)), 0);
	return m;
}

/* Whether all is `fill`. */
static bool holds(const struct file_map *m, unsigned char fill)
{
	size_t size, i;
	const uint8_t *p = file_map_bytes(m, &size);

	for (i = 0; i < size; i++)
		if (p[i] != fill)
			return false;
	return size == SIZE;
}

struct reader {
	pthread_t thread;
	const struct file_map *m;
	unsigned char fill;
	bool stop, wrong; /* __atomic */
	unsigned long rounds;
};

static void *read_on(void *arg)
{
	struct reader *r = arg;

	while (!__atomic_load_n(&r->stop, __ATOMIC_ACQUIRE)) {
		if (!holds(r->m, r->fill))
			__atomic_store_n(&r->wrong, true, __ATOMIC_RELEASE);
		__atomic_add_fetch(&r->rounds, 1, __ATOMIC_RELEASE);
	}
	return NULL;
}

static void start_readers(struct reader *r, const struct file_map *m, unsigned char fill)
{
	int i;

	for (i = 0; i < READERS; i++) {
		memset(&r[i], 0, sizeof(r[i]));
		r[i].m = m;
		r[i].fill = fill;
		CHECK_INT(pthread_create(&r[i].thread, NULL, read_on, &r[i]), 0);
	}
}

static void stop_readers(struct reader *r)
{
	int i;

	for (i = 0; i < READERS; i++) {
		unsigned long until = __atomic_load_n(&r[i].rounds, __ATOMIC_ACQUIRE) + 2;

		while (__atomic_load_n(&r[i].rounds, __ATOMIC_ACQUIRE) < until)
			sched_yield();
		__atomic_store_n(&r[i].stop, true, __ATOMIC_RELEASE);
		pthread_join(r[i].thread, NULL);
		CHECK(!r[i].wrong);
	}
}

static bool has_leases(void)
{
	struct file_map *m;
	bool leased;

	write_file('a', SIZE);
	m = open_map();
	leased = file_map_leased(m);
	CHECK(holds(m, 'a'));
	file_map_close(m);
	if (!leased)
		TEST_SKIP("no leases on the file system of /tmp: only copies were tested");
	return leased;
}

/* What others do to the file. Each returns when it is done. */
static void truncate_it(void)
{
	CHECK(!truncate(path, 0));
}

static void cut_it(void)
{
	CHECK(!truncate(path, 4096));
}

static void open_truncating(void)
{
	int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);

	CHECK(fd >= 0);
	close(fd);
}

static void overwrite(void)
{
	static unsigned char bytes[SIZE];
	int fd = open(path, O_RDWR | O_CLOEXEC);

	memset(bytes, 'z', sizeof(bytes));
	CHECK(fd >= 0 && pwrite(fd, bytes, sizeof(bytes), 0) == SIZE);
	CHECK(!ftruncate(fd, 10));
	close(fd);
}

static void rename_over(void)
{
	char other[64];

	snprintf(other, sizeof(other), "%s.new", path);
	CHECK(!rename(path, other));
	write_file('n', 10);
	CHECK(!unlink(other));
}

static const struct {
	const char *name;
	void (*act)(void);
	bool retreats;
} acts[] = {
    {"truncate(2)", truncate_it, true},           {"cut to a page", cut_it, true},
    {"O_TRUNC", open_truncating, true},           {"overwritten", overwrite, true},
    {"renamed and replaced", rename_over, false},
};

static void test_acts(void)
{
	bool leases = has_leases();
	struct reader readers[READERS];
	size_t i;
	int k;

	for (k = 0; k < ROUNDS; k++) {
		for (i = 0; i < sizeof(acts) / sizeof(acts[0]); i++) {
			struct file_map *m;

			write_file((unsigned char)('a' + k % 26), SIZE);
			m = open_map();
			CHECK_MSG(file_map_leased(m) == leases, "%s", acts[i].name);
			start_readers(readers, m, (unsigned char)('a' + k % 26));
			if (k & 1)
				sched_yield();
			acts[i].act();
			if (leases) /* who wrote had to wait until we were away */
				CHECK_MSG(file_map_leased(m) == !acts[i].retreats, "%s",
					  acts[i].name);
			stop_readers(readers);
			CHECK_MSG(!file_map_lost(m), "%s", acts[i].name);
			file_map_close(m);
		}
	}
}

/* The writer does not wait for long, and one that does not want to wait is told. */
static void test_writer(void)
{
	struct timespec t = {0, 2000000};
	struct file_map *m;
	int fd, tries = 0;

	if (!has_leases())
		return;
	m = open_map();
	fd = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
	CHECK(fd < 0 && errno == EWOULDBLOCK);
	while (fd < 0 && ++tries < 1000) {
		nanosleep(&t, NULL);
		fd = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
	}
	CHECK_MSG(fd >= 0, "after %d tries", tries);
	CHECK(!file_map_leased(m) && !file_map_lost(m));
	CHECK(holds(m, 'a'));
	close(fd);
	file_map_close(m);
}

/* Somebody writes it already: a copy. */
static void test_being_written(void)
{
	struct file_map *m;
	int fd;

	write_file('a', SIZE);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	m = open_map();
	CHECK(!file_map_leased(m));
	CHECK(!ftruncate(fd, 0));
	CHECK(holds(m, 'a'));
	CHECK(!file_map_lost(m));
	close(fd);
	file_map_close(m);
}

static void test_refused(void)
{
	struct file_identity id;
	struct file_map *m;

	CHECK_INT(file_map_open(&m, "/nonexistent/x", NULL, &id, why, sizeof(why)), -ENOENT);
	CHECK(strstr(why, "/nonexistent/x: No such file"));
	CHECK_INT(file_map_open(&m, "/tmp", NULL, &id, why, sizeof(why)), -1005);
	CHECK_STR(why, "/tmp: not a file; fetch the database again");
	write_file('a', SIZE);
	CHECK(!truncate(path, 0));
	CHECK_INT(file_map_open(&m, path, NULL, &id, why, sizeof(why)), -1005);
	CHECK(strstr(why, ": the file is empty"));
	CHECK(!m);
	file_map_close(NULL);
}

/* Many at once, closed in another order, and nothing stays open. */
static void test_many(void)
{
	struct file_map *m[16];
	int i, before = dup(0), after;

	write_file('a', SIZE);
	for (i = 0; i < 16; i++)
		m[i] = open_map();
	CHECK(!truncate(path, 1));
	for (i = 0; i < 16; i++) {
		CHECK(!file_map_leased(m[i]));
		CHECK(holds(m[i * 5 % 16], 'a'));
	}
	for (i = 0; i < 16; i++)
		file_map_close(m[i * 3 % 16]);
	after = dup(0);
	CHECK_INT(after, before + 1);
	close(before);
	close(after);
}

static void test_path(void)
{
	int fd = mkstemp(path);

	CHECK(fd >= 0);
	close(fd);
}

static void test_end(void)
{
	CHECK(!unlink(path));
}

TEST_MAIN({"path", test_path}, {"acts", test_acts}, {"writer", test_writer},
	  {"being written", test_being_written}, {"refused", test_refused}, {"many", test_many},
	  {"end", test_end})
