/* test_spool.c - output/spool.c: order, limits, errors of the file system; every point accounted
 * for. */
#include "output/spool.h"

#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>

#include "tests/output/spool_make.h"

static void test_order(void)
{
	const struct spool_stats *st;
	struct spool_record r, again;
	unsigned int i;
	struct spool *s = make_open();

	st = spool_stats(s);
	CHECK_STR(make_why, "");
	CHECK_INT(spool_next(s, NOW, &r), 0);
	CHECK(make_balanced(s));
	for (i = 0; i < 20; i++)
		make_append(s, i, 1 + i % 7);
	CHECK_INT(st->records, 20);
	CHECK_INT(st->points, st->points_appended);
	CHECK_INT(st->oldest_ns, NOW);
	CHECK_INT(make_next(s, &r), 0);
	CHECK_INT(r.appended_ns, NOW);
	make_append(s, 20, 3);
	CHECK_INT(make_next(s, &again), 0); /* asked again: the same */
	CHECK(r.mark.segment == again.mark.segment && r.mark.offset == again.mark.offset);
	for (i = 0; i < 21; i++) {
		CHECK_INT(st->oldest_ns, NOW + i);
		CHECK_INT(make_deliver(s), i);
		CHECK(make_balanced(s));
	}
	CHECK_INT(make_deliver(s), -1);
	CHECK_INT(st->points, 0);
	CHECK_INT(st->bytes, 0);
	CHECK_INT(st->points_delivered, st->points_appended);
	CHECK_INT(st->errors + st->points_lost + st->records_damaged + st->tails_cut, 0);
	CHECK_INT(make_count(), 0); /* the current segment is removed, too */
	make_append(s, 21, 1);
	CHECK_INT(make_deliver(s), 21);
	spool_close(s);
	spool_close(NULL);
	make_remove();
}

static void test_reopen(void)
{
	uint64_t points, bytes;
	struct spool *s = make_open();
	unsigned int i;

	for (i = 0; i < 10; i++)
		make_append(s, i, 5);
	for (i = 0; i < 4; i++)
		CHECK_INT(make_deliver(s), i);
	points = spool_stats(s)->points;
	bytes = spool_stats(s)->bytes;
	CHECK_INT(spool_sync(s), 0);
	spool_close(s);
	s = make_open();
	CHECK_STR(make_why, "");
	CHECK_INT(spool_stats(s)->points_found, points);
	CHECK_INT(spool_stats(s)->points, points);
	CHECK_INT(spool_stats(s)->bytes, bytes);
	CHECK_INT(spool_stats(s)->records, 6);
	CHECK_INT(spool_stats(s)->oldest_ns, NOW + 4);
	make_append(s, 10, 5); /* goes on in the same segment */
	CHECK_INT(make_count(), 1);
	for (i = 4; i < 11; i++)
		CHECK_INT(make_deliver(s), i);
	CHECK_INT(make_deliver(s), -1);
	CHECK(make_balanced(s));
	spool_close(s);
	make_remove();
}

/* Done in any order, twice, in parts, and marks of nothing. */
static void test_done(void)
{
	static const unsigned int order[] = {5, 0, 7, 1, 6, 2, 2, 9, 5};
	struct spool_mark marks[10], none = {99, 64}, wrong;
	struct spool *s = make_open_limits(64 << 20, 0, 1000); /* about three in a segment */
	const struct spool_stats *st = spool_stats(s);
	struct spool_record r;
	unsigned int i;

	for (i = 0; i < 10; i++)
		marks[i] = make_append(s, i, 4);
	CHECK(make_count() > 2);
	for (i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
		spool_done(s, &marks[order[i]], 4, 0);
		CHECK(make_balanced(s));
	}
	CHECK_INT(st->points_delivered, 7 * 4);
	wrong = marks[3];
	wrong.offset++;
	spool_done(s, &wrong, 4, 0);
	spool_done(s, &none, 4, 0);
	CHECK_INT(st->points_delivered, 7 * 4);
	spool_close(s);
	s = make_open_limits(64 << 20, 0, 1000);
	st = spool_stats(s);
	CHECK_INT(st->points_found, 3 * 4);
	CHECK_INT(make_next(s, &r), 3);
	spool_done(s, &r.mark, 1, 3);
	CHECK_INT(st->points_delivered, 1);
	CHECK_INT(st->points_lost, 3);
	CHECK_INT(make_next(s, &r), 4);
	spool_done(s, &r.mark, 0, 4);
	CHECK_INT(make_deliver(s), 8);
	CHECK_INT(make_deliver(s), -1);
	CHECK(make_balanced(s));
	CHECK_INT(make_count(), 0);
	spool_close(s);
	make_remove();
}

static void test_max_bytes(void)
{
	const uint64_t most = 40000;
	struct spool *s = make_open_limits(most, 0, 1 << 20);
	const struct spool_stats *st = spool_stats(s);
	struct spool_mark first = make_append(s, 1, 20), mark;
	struct parcel p;
	unsigned int i;
	long id, before;

	for (i = 1; i < 200; i++) {
		make_append(s, 2 * i + 1, 20);
		CHECK(st->bytes <= most);
		CHECK(make_balanced(s));
	}
	CHECK(st->bytes > most / 2);
	CHECK(st->points_lost > 0 && st->points_lost == st->points_expired);
	spool_done(s, &first, 20, 0); /* gone meanwhile */
	CHECK_INT(st->points_delivered, 0);
	before = make_deliver(s);
	CHECK(before > 0);
	while ((id = make_deliver(s)) != -1) {
		CHECK_INT(id, before + 2);
		before = id;
	}
	CHECK_INT(before, 399);
	CHECK(make_balanced(s));
	p = make_parcel(1, 2000);
	CHECK_INT(spool_append(s, &p, NOW, &mark), -EFBIG);
	make_append(s, 3, 20);
	CHECK_INT(make_deliver(s), 3);
	for (i = 0; i < 30; i++)
		make_append(s, 2 * i + 1, 20);
	spool_change(s, most / 4, 0);
	CHECK(st->bytes <= most / 4);
	CHECK(make_balanced(s));
	spool_close(s);
	s = make_open_limits(most / 16, 0, 1 << 20); /* a smaller limit than what is there */
	CHECK(spool_stats(s)->bytes <= most / 16);
	CHECK(make_balanced(s));
	spool_close(s);
	make_remove();
}

static void test_max_age(void)
{
	struct spool *s = make_open_limits(64 << 20, 100 * NS_PER_S, 600);
	const struct spool_stats *st = spool_stats(s);
	struct spool_record r;
	struct spool_mark mark;
	struct parcel p;
	unsigned int i;

	for (i = 0; i < 20; i++) {
		p = make_parcel(2 * i + 1, 4);
		CHECK_INT(spool_append(s, &p, NOW + i * 10 * NS_PER_S, &mark), 0);
	}
	spool_expire(s, NOW);
	CHECK_INT(st->points_expired, 0);
	spool_expire(s, NOW + 150 * NS_PER_S);
	CHECK(st->points_expired >= 3 * 4 && st->points_expired <= 5 * 4);
	CHECK_INT(spool_next(s, NOW + 200 * NS_PER_S, &r), 1); /* looks at the age, too */
	CHECK(r.appended_ns >= NOW + 80 * NS_PER_S);
	CHECK_INT(st->oldest_ns, r.appended_ns);
	CHECK(make_balanced(s));
	spool_expire(s, NOW + 1000 * NS_PER_S); /* the current segment is no better */
	CHECK_INT(st->points, 0);
	CHECK_INT(st->points_expired, 20 * 4);
	CHECK_INT(make_count(), 0);
	make_append(s, 1, 1);
	CHECK_INT(make_deliver(s), 1);
	CHECK(make_balanced(s));
	spool_close(s);
	make_remove();
}

static void test_many_segments(void)
{
	enum { MANY = 3000 };
	struct spool *s = make_open_limits(UINT64_C(1) << 30, 0, 1);
	unsigned int i;
	int wrong = 0;

	for (i = 0; i < MANY; i++)
		make_append(s, i, 1);
	CHECK_INT(make_count(), MANY);
	spool_close(s);
	s = make_open_limits(UINT64_C(1) << 30, 0, 1);
	CHECK_INT(spool_stats(s)->records, MANY);
	for (i = 0; i < MANY; i++)
		wrong += make_deliver(s) != (long)i;
	CHECK_INT(wrong, 0);
	CHECK_INT(make_count(), 0);
	CHECK(make_balanced(s));
	spool_close(s);
	make_remove();
}

static void test_parcels(void)
{
	static const struct {
		const char *bytes;
		uint32_t points;
		int err;
	} parcels[] = {
	    {"a\n", 1, 0},       {"", 0, -EINVAL},       {"a", 1, -EINVAL}, {"a\nb", 2, -EINVAL},
	    {"a\n", 2, -EINVAL}, {"a\nb\n", 1, -EINVAL}, {"\n\n\n", 3, 0},  {"a\n", 0, -EINVAL},
	};
	struct spool *s = make_open();
	struct spool_record r;
	struct spool_mark mark;
	struct parcel p;
	char *big;
	size_t i;

	for (i = 0; i < sizeof(parcels) / sizeof(parcels[0]); i++) {
		p.bytes = parcels[i].bytes;
		p.size = strlen(p.bytes);
		p.points = parcels[i].points;
		CHECK_INT(spool_append(s, &p, NOW, &mark), parcels[i].err);
		if (parcels[i].err)
			continue;
		CHECK_INT(spool_next(s, NOW, &r), 1);
		CHECK(r.parcel.size == p.size && !memcmp(r.parcel.bytes, p.bytes, p.size));
		spool_done(s, &r.mark, p.points, 0);
	}
	/* far beyond the buffers' first size, and much smaller on disk */
	p.size = 20 << 20;
	p.points = 1;
	p.bytes = big = malloc(p.size);
	if (!big)
		abort();
	memset(big, 'y', p.size);
	big[p.size - 1] = '\n';
	CHECK_INT(spool_append(s, &p, NOW, &mark), 0);
	CHECK(spool_stats(s)->bytes < p.size / 50);
	CHECK_INT(spool_next(s, NOW, &r), 1);
	CHECK(r.parcel.size == p.size && !memcmp(r.parcel.bytes, big, p.size));
	p.size = (64 << 20) + 1; /* not looked at */
	CHECK_INT(spool_append(s, &p, NOW, &mark), -EFBIG);
	free(big);
	CHECK(make_balanced(s));
	spool_close(s);
	make_remove();
}

/* --- Errors ----------------------------------------------------------------------------------- */

static void check_refused(const char *dir, int err, const char *text)
{
	struct spool_config c = {dir, 1 << 20, 0, 1 << 20};
	struct spool *s;

	CHECK_INT(spool_open(&s, &c, NOW, make_why), err);
	CHECK(!s);
	CHECK_MSG(strstr(make_why, text) != NULL, "%s: %s", text, make_why);
	CHECK_MSG(!strncmp(make_why, dir, strlen(dir)), "%s", make_why);
}

static void test_refused(void)
{
	char below[MAKE_PATH + 16], text[64];
	struct spool *s = make_open();
	struct stat st;

	CHECK(!stat(make_dir(), &st) && (st.st_mode & 0777) == (0750 & ~(umask(022) | 022)));
	snprintf(text, sizeof(text), "another flowline uses it (process %ld)", (long)getpid());
	check_refused(make_dir(), -EBUSY, text);
	spool_close(s);
	s = make_open();
	spool_close(s);
	make_remove();
	close(open(make_dir(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	check_refused(make_dir(), -ENOTDIR, "Not a directory: name a directory that can be made");
	snprintf(below, sizeof(below), "%s/below/it", make_dir());
	check_refused(below, -ENOTDIR, "Not a directory");
	check_refused("", -ENOENT, "has no name");
	check_refused("/proc/flowline", -ENOENT, "No such file or directory");
	make_remove();
	snprintf(below, sizeof(below), "%s/", make_dir());
	CHECK_INT(spool_open(&s, &(struct spool_config){below, 1 << 20, 0, 1 << 20}, NOW, make_why),
		  0);
	spool_close(s);
	make_remove();
}

static int as_nobody(void)
{
	struct spool_record r;
	struct spool_mark mark;
	struct parcel p;
	struct spool *s;
	char path[MAKE_PATH], text[96];
	unsigned int i;

	if (!geteuid() && (chown(make_dir(), 65534, 65534) || setgid(65534) || setuid(65534)))
		return 77;
	s = make_open_limits(64 << 20, 0, 1000);
	for (i = 0; i < 10; i++)
		make_append(s, 2 * i + 1, 4);
	CHECK_INT(make_next(s, &r), 1);
	CHECK(!chmod(make_dir(), 0500)); /* no new files, none removed */
	for (i = 0; i < 10; i++) {
		p = make_parcel(1, 40); /* has no room in the current segment */
		CHECK_INT(spool_append(s, &p, NOW, &mark), -EACCES);
	}
	CHECK(spool_stats(s)->errors >= 10);
	for (i = 0; i < 5; i++)
		CHECK_INT(make_deliver(s), 2 * i + 1);
	CHECK(make_balanced(s));
	CHECK(!chmod(make_dir(), 0700));
	snprintf(path, sizeof(path), "%s", make_segment(3));
	CHECK(!chmod(path, 0)); /* one cannot be read */
	spool_expire(s, NOW);
	for (i = 5; i < 10; i++)
		make_deliver(s);
	CHECK_INT(make_deliver(s), -1);
	CHECK(make_balanced(s));
	make_append(s, 1, 1);
	spool_close(s);
	CHECK(!access(path, F_OK)); /* left alone */
	s = make_open();
	CHECK_MSG(strstr(make_why, "1 segments cannot be read and are left alone "
				   "(0000000000000003.seg: Permission denied)") != NULL,
		  "%s", make_why);
	CHECK_INT(make_deliver(s), 1);
	spool_close(s);
	CHECK(!chmod(path, 0600));
	s = make_open();
	CHECK_STR(make_why, "");
	CHECK(spool_stats(s)->points > 0);
	CHECK(!chmod(path, 0400)); /* can be read only: given out all the same, each once */
	for (i = 0; make_deliver(s) >= 0 && i < 10; i++)
		;
	CHECK(i < 10);
	CHECK(make_balanced(s));
	spool_close(s);
	CHECK(!chmod(make_dir(), 0));
	snprintf(text, sizeof(text), "Permission denied: user %ld, who runs flowline, must own it",
		 (long)geteuid());
	check_refused(make_dir(), -EACCES, text);
	CHECK(!chmod(make_dir(), 0700));
	return 0;
}

static void test_permissions(void)
{
	char base[MAKE_PATH];
	int ret;

	make_empty();
	mkdir(make_dir(), 0700);
	snprintf(base, sizeof(base), "%s/..", make_dir());
	CHECK(!chmod(base, 0755));
	ret = make_child(as_nobody);
	if (ret == 77)
		TEST_SKIP("cannot become another user");
	else
		CHECK_INT(ret, 0);
	make_remove();
}

/* Removed, replaced and cut while the spool is open. */
static void test_under_us(void)
{
	struct spool *s = make_open_limits(64 << 20, 0, 1000);
	const struct spool_stats *st = spool_stats(s);
	struct spool_mark mark;
	struct spool_record r;
	char moved[MAKE_PATH];
	struct parcel p;
	unsigned int i;

	for (i = 0; i < 10; i++)
		make_append(s, 2 * i + 1, 4);
	CHECK_INT(make_next(s, &r), 1);
	make_empty();
	rmdir(make_dir());
	make_append(s, 21, 4); /* the directory is made anew */
	CHECK(make_balanced(s));
	check_refused(make_dir(), -EBUSY, "another flowline uses it");
	while (make_deliver(s) >= 0)
		CHECK(make_balanced(s));
	CHECK(make_balanced(s));
	CHECK(st->points_lost > 0);
	CHECK(st->points_delivered >= 2 * 4); /* the open segment's, and the new one */
	make_empty();
	rmdir(make_dir());
	close(open(make_dir(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	p = make_parcel(1, 1);
	CHECK_INT(spool_append(s, &p, NOW, &mark), -ENOTDIR);
	unlink(make_dir());
	for (i = 0; i < 4; i++)
		make_append(s, i, 2);
	CHECK(!truncate(make_segment((unsigned int)(make_next(s, &r), r.mark.segment)), 100));
	make_append(s, 4, 2);
	while (make_deliver(s) >= 0)
		CHECK(make_balanced(s));
	CHECK(make_balanced(s));
	CHECK_INT(st->points, 0);
	make_append(s, 5, 2);
	snprintf(moved, sizeof(moved), "%s-moved", make_dir());
	CHECK(!rename(make_dir(), moved));
	for (i = 0; i < 20; i++)
		make_append(s, 2 * i + 1, 4);
	while (make_deliver(s) >= 0)
		;
	CHECK(make_balanced(s));
	spool_close(s);
	make_remove();
	CHECK(!rename(moved, make_dir()));
	make_remove();
}

/* --- Full ------------------------------------------------------------------------------------- */

/* In a small file system: append until it is full, deliver some, append again. */
static void fill(struct spool *s)
{
	const struct spool_stats *st = spool_stats(s);
	unsigned int next = 0, want = 0, refused = 0, round;
	struct spool_mark mark;
	struct parcel p;
	int err;

	for (round = 0; round < 20; round++) {
		do {
			p = make_parcel(2 * next + 1, 50);
			err = spool_append(s, &p, NOW, &mark);
			next += !err;
		} while (!err);
		CHECK(err == -ENOSPC || err == -EFBIG);
		refused++;
		CHECK_INT(spool_append(s, &p, NOW, &mark), err);
		CHECK(make_balanced(s));
		while (st->records > 2)
			if (!CHECK(make_deliver(s) == (long)(2 * want++ + 1)))
				return;
	}
	CHECK(st->errors >= refused);
	CHECK_INT(st->points_lost, 0);
	CHECK(next > 40);
	spool_close(s);
	s = make_open();
	CHECK_INT(spool_stats(s)->records, next - want);
	while (want < next)
		CHECK_INT(make_deliver(s), 2 * want++ + 1);
	CHECK_INT(make_deliver(s), -1);
	spool_close(s);
}

static bool write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool ok = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	if (fd >= 0)
		close(fd);
	return ok;
}

/* A user namespace in which the user is root: user_namespaces(7). */
static bool become_root(void)
{
	char uid[32], gid[32];

	snprintf(uid, sizeof(uid), "0 %ld 1", (long)geteuid());
	snprintf(gid, sizeof(gid), "0 %ld 1", (long)getegid());
	return !unshare(CLONE_NEWUSER | CLONE_NEWNS) && write_text("/proc/self/uid_map", uid) &&
	       write_text("/proc/self/setgroups", "deny") && write_text("/proc/self/gid_map", gid);
}

/* A mount of its own: by root, or in a user namespace. */
static int small_mount(const char *dir)
{
	if (unshare(CLONE_NEWNS) && !become_root())
		return 77;
	if (mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) ||
	    mount("tmpfs", dir, "tmpfs", 0, "size=128k"))
		return 77;
	return 0;
}

static int full_disk(void)
{
	mkdir(make_dir(), 0700);
	if (small_mount(make_dir()))
		return 77;
	fill(make_open_limits(64 << 20, 0, 20000));
	fill(make_open_limits(64 << 20, 0, 1));
	CHECK(!mount("none", make_dir(), "none", MS_REMOUNT | MS_RDONLY, NULL));
	check_refused(make_dir(), -EROFS, "Read-only file system: mount it for writing");
	CHECK(!umount(make_dir()));
	return 0;
}

static void test_full_disk(void)
{
	int ret;

	make_remove();
	ret = make_child(full_disk);
	if (ret == 77)
		TEST_SKIP("no mounts of one's own: needs root (CAP_SYS_ADMIN)");
	else
		CHECK_INT(ret, 0);
	make_remove();
}

/* A limit on the size of a file cuts a write short: the record goes to another file. */
static int file_limit(void)
{
	struct rlimit limit = {3000, 3000};
	const struct spool_stats *st;
	struct spool_mark mark;
	struct parcel p;
	struct spool *s;
	unsigned int i;

	signal(SIGXFSZ, SIG_IGN);
	if (setrlimit(RLIMIT_FSIZE, &limit))
		return 77;
	s = make_open();
	st = spool_stats(s);
	for (i = 0; i < 50; i++)
		make_append(s, 2 * i + 1, 4);
	CHECK(make_count() > 3);
	p = make_parcel(1, 400);
	CHECK_INT(spool_append(s, &p, NOW, &mark), -EFBIG);
	CHECK_INT(st->errors, 1);
	make_append(s, 101, 4);
	for (i = 0; i < 51; i++)
		CHECK_INT(make_deliver(s), 2 * i + 1);
	CHECK_INT(st->points_delivered, 51 * 4);
	CHECK(make_balanced(s));
	spool_close(s);
	return 0;
}

static void test_file_limit(void)
{
	CHECK_INT(make_child(file_limit), 0);
	make_remove();
}

/* Without descriptors nothing is lost: it goes on when there are some again. */
static int no_descriptors(void)
{
	struct rlimit limit, few = {0, 0};
	struct spool_mark mark;
	struct spool_record r;
	struct parcel p;
	struct spool *s;
	unsigned int i;

	s = make_open_limits(64 << 20, 0, 1000);
	for (i = 0; i < 10; i++)
		make_append(s, 2 * i + 1, 4);
	spool_close(s);
	s = make_open_limits(64 << 20, 0, 1000);
	CHECK_INT(make_deliver(s), 1);
	if (getrlimit(RLIMIT_NOFILE, &limit))
		return 77;
	few.rlim_max = limit.rlim_max;
	CHECK(!setrlimit(RLIMIT_NOFILE, &few));
	while (make_deliver(s) >= 0)
		;
	CHECK_INT(spool_next(s, NOW, &r), 0);
	CHECK(spool_stats(s)->records > 5);
	p = make_parcel(1, 4);
	CHECK_INT(spool_append(s, &p, NOW, &mark), -EMFILE);
	CHECK_INT(spool_stats(s)->points_lost, 0);
	CHECK(!setrlimit(RLIMIT_NOFILE, &limit));
	make_append(s, 21, 4);
	while (make_deliver(s) >= 0)
		;
	CHECK_INT(spool_stats(s)->points_delivered, 11 * 4);
	CHECK(make_balanced(s));
	spool_close(s);
	return 0;
}

static void test_no_descriptors(void)
{
	CHECK_INT(make_child(no_descriptors), 0);
	make_end();
}

TEST_MAIN({"order", test_order}, {"reopen", test_reopen}, {"done", test_done},
	  {"max_bytes", test_max_bytes}, {"max_age", test_max_age},
	  {"many segments", test_many_segments}, {"parcels", test_parcels},
	  {"refused", test_refused}, {"permissions", test_permissions}, {"under us", test_under_us},
	  {"full disk", test_full_disk}, {"file limit", test_file_limit},
	  {"no descriptors", test_no_descriptors})
