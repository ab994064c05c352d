/* spool_make.h - spools in a temporary directory, and parcels that can be known again.
 */
#ifndef TESTS_OUTPUT_SPOOL_MAKE_H
#define TESTS_OUTPUT_SPOOL_MAKE_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "output/spool.h"
#include "tests/test.h"

enum { MAKE_BYTES = 512 * 1024, MAKE_PATH = 512 };

#define NS_PER_S UINT64_C(1000000000)
#define NOW      (UINT64_C(1700000000) * NS_PER_S)

static char make_why[SINK_WHY_SIZE];

/* A directory of its own, which does not exist yet, below one that does. */
static inline const char *make_dir(void)
{
	static char base[64], dir[80];

	if (!base[0]) {
		snprintf(base, sizeof(base), "%s/flowline-test-spool-XXXXXX",
			 access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm");
		if (!mkdtemp(base))
			abort();
		snprintf(dir, sizeof(dir), "%s/spool", base);
	}
	return dir;
}

static inline const char *make_path(const char *name)
{
	static char path[MAKE_PATH];

	snprintf(path, sizeof(path), "%s/%s", make_dir(), name);
	return path;
}

static inline const char *make_segment(unsigned int number)
{
	char name[32];

	snprintf(name, sizeof(name), "%016u.seg", number);
	return make_path(name);
}

/* All files of the directory; and the directory. */
static inline void make_empty(void)
{
	DIR *d = opendir(make_dir());
	struct dirent *e;

	while (d && (e = readdir(d)) != NULL)
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			unlink(make_path(e->d_name));
	if (d)
		closedir(d);
}

static inline void make_remove(void)
{
	char base[128];

	make_empty();
	rmdir(make_dir());
	unlink(make_dir());
	snprintf(base, sizeof(base), "%s", make_dir());
	base[strlen(base) - strlen("/spool")] = 0;
	rmdir(base);
	mkdir(base, 0700); /* the next test uses it; the last one calls make_end() */
}

static inline void make_end(void)
{
	char base[128];

	make_remove();
	snprintf(base, sizeof(base), "%s", make_dir());
	base[strlen(base) - strlen("/spool")] = 0;
	rmdir(base);
}

static inline unsigned int make_count(void)
{
	DIR *d = opendir(make_dir());
	unsigned int n = 0;
	struct dirent *e;

	while (d && (e = readdir(d)) != NULL)
		n += strstr(e->d_name, ".seg") != NULL;
	if (d)
		closedir(d);
	return n;
}

/* Parcel `id` has `lines` lines, of which every one tells both. Odd ones cannot be compressed much.
 */
static inline struct parcel make_parcel(unsigned int id, unsigned int lines)
{
	static char bytes[MAKE_BYTES];
	uint64_t x = id * UINT64_C(0x9e3779b97f4a7c15) + 1;
	struct parcel p = {bytes, 0, lines};
	unsigned int i, k;

	for (i = 0; i < lines; i++) {
		p.size += (size_t)snprintf(bytes + p.size, sizeof(bytes) - p.size,
					   "p,id=%u,lines=%u v=%ui,s=\"", id, lines, i);
		for (k = 0; k < 20; k++) {
			x ^= x << 13;
			x ^= x >> 7;
			x ^= x << 17;
			bytes[p.size++] = id & 1 ? (char)(35 + x % 57) : 'x';
		}
		p.size += (size_t)snprintf(bytes + p.size, sizeof(bytes) - p.size, "\" %u\n", i);
	}
	return p;
}

/* The id of a parcel that is byte for byte as it was made; -1: it is not. */
static inline long make_known(const struct parcel *p)
{
	unsigned int id, lines;
	struct parcel want;
	char head[64] = "";

	memcpy(head, p->bytes, p->size < sizeof(head) - 1 ? p->size : sizeof(head) - 1);
	if (sscanf(head, "p,id=%u,lines=%u", &id, &lines) != 2 || lines > 4000)
		return -1;
	want = make_parcel(id, lines);
	if (want.size != p->size || want.points != p->points ||
	    memcmp(want.bytes, p->bytes, p->size) != 0)
		return -1;
	return (long)id;
}

static inline struct spool *make_open_limits(uint64_t max_bytes, uint64_t max_age_ns,
					     uint64_t segment_bytes)
{
	struct spool_config c = {make_dir(), max_bytes, max_age_ns, segment_bytes};
	struct spool *s;

	if (spool_open(&s, &c, NOW, make_why)) {
		printf("    %s\n", make_why);
		abort();
	}
	return s;
}

static inline struct spool *make_open(void)
{
	return make_open_limits(64 << 20, 0, 1 << 20);
}

static inline struct spool_mark make_append(struct spool *s, unsigned int id, unsigned int lines)
{
	struct parcel p = make_parcel(id, lines);
	struct spool_mark mark;

	CHECK_INT(spool_append(s, &p, NOW + id, &mark), 0);
	return mark;
}

/* found + appended = delivered + lost + points. */
static inline bool make_balanced(const struct spool *s)
{
	const struct spool_stats *st = spool_stats(s);

	return st->points_found + st->points_appended ==
		   st->points_delivered + st->points_lost + st->points &&
	       !st->records == !st->points && !st->records == !st->oldest_ns;
}

/* The next record's id; -1: there is none; -2: not as it was made. */
static inline long make_next(struct spool *s, struct spool_record *r)
{
	long id;

	if (!spool_next(s, NOW, r))
		return -1;
	id = make_known(&r->parcel);
	return id < 0 ? -2 : id;
}

/* Deliver the next one. Its id, as above. */
static inline long make_deliver(struct spool *s)
{
	struct spool_record r;
	long id = make_next(s, &r);

	if (id >= 0)
		spool_done(s, &r.mark, r.parcel.points, 0);
	return id;
}

/* Run in a child, whose user, limits and mounts may be spoilt. */
static inline int make_child(int (*run)(void))
{
	int status = 1;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid < 0)
		abort();
	if (!pid) {
		int ret;

		test_failed_checks = 0;
		ret = run();
		fflush(NULL);
		_exit(test_failed_checks ? 1 : ret);
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

#endif
