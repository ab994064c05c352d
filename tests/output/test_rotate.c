/* test_rotate.c - output/rotate.c and rotate_tidy.c: when a file is moved, what it is called then,
 * what becomes of the moved ones, and what a crash or a full disk leaves behind. */
#include "output/rotate.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>
#include <zlib.h>

#include "tests/test.h"

/* 2026-01-02T03:04:05Z */
static const uint64_t start_ns = 1767323045ull * 1000000000;
static const uint64_t second_ns = 1000000000;

static char dir[] = "/tmp/flowline-test-rotate-XXXXXX";
static char path[sizeof(dir) + 16];
static bool made;

static const char *at(const char *name)
{
	static char text[4][sizeof(dir) + 300];
	static unsigned int i;

	i = (i + 1) % 4;
	snprintf(text[i], sizeof(text[i]), "%s/%s", dir, name);
	return text[i];
}

/* All names but of directories, sorted, each with a blank behind it. */
static const char *names(void)
{
	static char text[8192];
	struct dirent **list;
	int i, n = scandir(dir, &list, NULL, alphasort);
	size_t used = 0;

	text[0] = 0;
	for (i = 0; i < n; i++) {
		if (list[i]->d_name[0] != '.')
			used += (size_t)snprintf(text + used, sizeof(text) - used, "%s ",
						 list[i]->d_name);
		free(list[i]);
	}
	if (n >= 0)
		free(list);
	return text;
}

static void clear(void)
{
	DIR *d = opendir(dir);
	struct dirent *e;

	while (d && (e = readdir(d)))
		if (e->d_name[0] != '.' && unlink(at(e->d_name)))
			rmdir(at(e->d_name));
	if (d)
		closedir(d);
}

static void make_dir(void)
{
	if (!made && !mkdtemp(dir))
		abort();
	made = true;
	snprintf(path, sizeof(path), "%s/out", dir);
	clear();
}

static void put(const char *name, const char *text)
{
	FILE *f = fopen(at(name), "a");

	if (!f || fputs(text, f) < 0 || fclose(f))
		abort();
}

static int open_out(void)
{
	int fd = open(path, O_WRONLY | O_APPEND | O_CREAT, 0640);

	if (fd < 0)
		abort();
	return fd;
}

static struct rotate *new_rotate(uint64_t bytes, uint64_t age_ns, unsigned int keep, bool compress)
{
	struct rotate_config c = {path, bytes, age_ns, keep, compress};
	struct rotate *r = rotate_new(&c);

	if (!r)
		abort();
	return r;
}

static void tidy(struct rotate *r)
{
	rotate_tidy(r);
	CHECK(rotate_wait(r, 60000));
}

static const char *note(struct rotate *r)
{
	static char text[SINK_WHY_SIZE];

	return rotate_note(r, text) ? text : "";
}

/* Of a file, compressed or not: gzread() takes both. */
static size_t content(const char *name, char *text, size_t size)
{
	gzFile f = gzopen(at(name), "rb");
	int n;

	if (!f)
		return 0;
	n = gzread(f, text, (unsigned int)size - 1);
	if (gzclose(f) != Z_OK || n < 0)
		n = 0;
	text[n] = 0;
	return (size_t)n;
}

static void check_content(const char *name, const char *want)
{
	char got[4096];

	content(name, got, sizeof(got));
	CHECK_STR(got, want);
}

/* --- When ------------------------------------------------------------------------------------- */

static void test_size(void)
{
	struct rotate *r;
	int fd;

	make_dir();
	fd = open_out();
	r = new_rotate(10, 0, 3, false);
	CHECK(!rotate_due(r, fd, 100, start_ns)); /* empty */
	put("out", "123456");
	CHECK(!rotate_due(r, fd, 4, start_ns));
	CHECK(rotate_due(r, fd, 5, start_ns));
	CHECK(!rotate_due(r, fd, 0, start_ns));
	CHECK(!truncate(path, 0));
	CHECK(!rotate_due(r, fd, 11, start_ns));
	close(fd);
	fd = open("/dev/null", O_WRONLY);
	CHECK(!rotate_due(r, fd, 100, start_ns));
	close(fd);
	rotate_free(r);
	rotate_free(NULL);
	clear();
}

static bool have_attributes(void)
{
	bool have = !setxattr(path, "user.flowline.test", "1", 1, 0);

	removexattr(path, "user.flowline.test");
	return have;
}

static void test_age(void)
{
	const uint64_t hour_ns = 3600 * second_ns;
	struct timespec old[2] = {{1767323045, 0}, {1767323045, 0}};
	struct rotate *r;
	int fd;

	make_dir();
	fd = open_out();
	r = new_rotate(0, hour_ns, 3, false);
	CHECK(!rotate_due(r, fd, 0, start_ns));
	CHECK(!rotate_due(r, fd, 5, start_ns + hour_ns)); /* begun only now */
	put("out", "12345");
	CHECK(!rotate_due(r, fd, 5, start_ns + 2 * hour_ns - 1));
	CHECK(rotate_due(r, fd, 5, start_ns + 2 * hour_ns));
	CHECK(rotate_due(r, fd, 0, start_ns + 2 * hour_ns));
	CHECK(!rotate_due(r, fd, 0, start_ns)); /* the clock was set back: from there */
	CHECK(rotate_due(r, fd, 0, start_ns + hour_ns));
	rotate_free(r);
	/* After a restart, though it was written to at last much later. */
	r = new_rotate(0, hour_ns, 3, false);
	if (have_attributes()) {
		CHECK(!rotate_due(r, fd, 0, start_ns + 2 * hour_ns - 1));
		CHECK(rotate_due(r, fd, 0, start_ns + 2 * hour_ns));
		removexattr(path, "user.flowline.begun");
	}
	/* Without the attribute: from its last change. */
	CHECK(!futimens(fd, old));
	rotate_other_file(r);
	CHECK(!rotate_due(r, fd, 0, start_ns + hour_ns - 1));
	CHECK(rotate_due(r, fd, 0, start_ns + hour_ns));
	if (!setxattr(path, "user.flowline.begun", "17x", 3, 0)) {
		rotate_other_file(r);
		CHECK(!rotate_due(r, fd, 0, start_ns + hour_ns - 1));
	}
	/* Emptied by somebody: begins anew. */
	CHECK(!truncate(path, 0));
	CHECK(!rotate_due(r, fd, 5, start_ns + 9 * hour_ns));
	put("out", "12345");
	CHECK(!rotate_due(r, fd, 5, start_ns + 10 * hour_ns - 1));
	CHECK(rotate_due(r, fd, 5, start_ns + 10 * hour_ns));
	close(fd);
	rotate_free(r);
	clear();
}

/* --- Moving ----------------------------------------------------------------------------------- */

static int move(struct rotate *r, int fd, uint64_t now_ns)
{
	int new_fd = rotate_move(r, fd, now_ns);

	CHECK_STR(note(r), "");
	if (!CHECK(new_fd >= 0))
		return fd;
	close(fd);
	return new_fd;
}

static void test_move(void)
{
	struct rotate *r;
	struct stat st;
	int fd;

	make_dir();
	umask(022);
	fd = open_out();
	r = new_rotate(10, 0, 100, false);
	put("out", "a");
	fd = move(r, fd, start_ns);
	CHECK_STR(names(), "out out-20260102T030405Z ");
	CHECK(!fstat(fd, &st) && !st.st_size && (st.st_mode & 07777) == 0640);
	CHECK(fcntl(fd, F_GETFL) & O_APPEND && fcntl(fd, F_GETFD) & FD_CLOEXEC);
	CHECK_INT(write(fd, "b", 1), 1);
	fd = move(r, fd, start_ns + 999999999);
	put("out-20260102T030405Z-3.gz", "somebody's");
	fd = move(r, fd, start_ns);
	CHECK_STR(names(), "out out-20260102T030405Z out-20260102T030405Z-2 "
			   "out-20260102T030405Z-3.gz out-20260102T030405Z-4 ");
	check_content("out-20260102T030405Z", "a");
	check_content("out-20260102T030405Z-2", "b");
	fd = move(r, fd, start_ns + second_ns * 86400 * 59);
	CHECK(strstr(names(), "out-20260302T030405Z ") != NULL);
	/* Somebody has moved it already: what has its name is another's. */
	CHECK(!rename(path, at("elsewhere")));
	put("out", "another's");
	fd = move(r, fd, start_ns);
	check_content("out", "another's");
	CHECK(!access(at("elsewhere"), F_OK) && access(at("out-20260102T030405Z-5"), F_OK));
	close(fd);
	rotate_free(r);
	clear();
}

/* It cannot be moved: told once, and not tried again for a minute. */
static void test_move_fails(void)
{
	struct rotate_config c = {.max_bytes = 1, .keep = 3};
	char name[sizeof(dir) + 256];
	struct rotate *r;
	int fd;

	make_dir();
	snprintf(name, sizeof(name), "%s/%0250d", dir, 1);
	c.path = name;
	r = rotate_new(&c);
	fd = open(name, O_WRONLY | O_CREAT, 0600);
	CHECK(r && write(fd, "a", 1) == 1);
	CHECK(rotate_due(r, fd, 1, start_ns));
	CHECK_INT(rotate_move(r, fd, start_ns), -ENAMETOOLONG);
	CHECK(strstr(note(r), "grows on: File name too long: give it a shorter name") != NULL);
	CHECK(!rotate_due(r, fd, 1, start_ns));
	CHECK_INT(rotate_move(r, fd, start_ns), -ENAMETOOLONG);
	CHECK_STR(note(r), "");
	rotate_free(r);
	close(fd);
	clear();
}

/* --- The moved ones --------------------------------------------------------------------------- */

static void test_keep(void)
{
	static const char *const others[] = {
	    "out-20250101T000000",
	    "out-20250101T000000Zx",
	    "out-20250101T000000Z.xz",
	    "out-20250101T000000Z-1",
	    "out-20250101T000000Z-02",
	    "out-20250101T000000Z-",
	    "out-20250101T000000Z-1e3",
	    "out-2025010aT000000Z",
	    "out-20250101t000000Z",
	    "out.1",
	    "out-20250101",
	    "xout-20250101T000000Z",
	    "outer-20250101T000000Z",
	    "out-20250101T000000Z.gz.",
	};
	const size_t nothers = sizeof(others) / sizeof(others[0]);
	struct rotate *r;
	size_t i;

	make_dir();
	for (i = 0; i < nothers; i++)
		put(others[i], "x");
	put("out", "now");
	put("out-20250101T000000Z-2", "x");
	put("out-20250101T000000Z-10.gz", "x");
	put("out-20250101T000000Z.gz", "x");
	put("out-20250102T000000Z", "x");
	put("out-20250102T000000Z.gz", "x"); /* one file, in two forms */
	put("out-20250102T000000Z-2.gz", "x");
	put("out-20240102T000000Z-2.gz.tmp", "x"); /* of nothing */
	r = new_rotate(1, 0, 3, false);
	tidy(r);
	CHECK(!access(at("out-20250101T000000Z-10.gz"), F_OK));
	CHECK(!access(at("out-20250102T000000Z"), F_OK));
	CHECK(!access(at("out-20250102T000000Z.gz"), F_OK));
	CHECK(!access(at("out-20250102T000000Z-2.gz"), F_OK));
	CHECK(access(at("out-20250101T000000Z"), F_OK));
	CHECK(access(at("out-20250101T000000Z.gz"), F_OK));
	CHECK(access(at("out-20250101T000000Z-2"), F_OK));
	CHECK(access(at("out-20240102T000000Z-2.gz.tmp"), F_OK));
	for (i = 0; i < nothers; i++)
		CHECK_MSG(!access(at(others[i]), F_OK), "%s", others[i]);
	CHECK_STR(note(r), "");
	rotate_free(r);
	r = new_rotate(1, 0, 0, true);
	tidy(r);
	CHECK(access(at("out-20250102T000000Z"), F_OK));
	CHECK(access(at("out-20250102T000000Z-2.gz"), F_OK));
	check_content("out", "now");
	rotate_free(r);
	clear();
}

static void test_compress(void)
{
	struct stat before, after;
	unsigned char head[10];
	struct rotate *r;
	FILE *f;
	int fd;

	make_dir();
	fd = open_out();
	put("out", "some lines\n");
	CHECK(!fchmod(fd, 0604) && !fstat(fd, &before));
	r = new_rotate(1, 0, 3, true);
	fd = move(r, fd, start_ns);
	put("out", "more\n");
	tidy(r);
	CHECK_STR(names(), "out out-20260102T030405Z.gz ");
	check_content("out-20260102T030405Z.gz", "some lines\n");
	CHECK(!stat(at("out-20260102T030405Z.gz"), &after));
	CHECK_INT(after.st_mode & 0777, 0604);
	CHECK_INT(after.st_mtime, before.st_mtime);
	f = fopen(at("out-20260102T030405Z.gz"), "r");
	CHECK(f && fread(head, 1, 10, f) == 10 && head[0] == 0x1f && head[1] == 0x8b);
	if (f)
		fclose(f);
	fd = move(r, fd, start_ns);
	tidy(r);
	CHECK_STR(names(), "out out-20260102T030405Z-2.gz out-20260102T030405Z.gz ");
	/* Another program is at it: left alone, with what it has made so far. */
	put("out-20260102T030406Z", "locked");
	put("out-20260102T030406Z.gz.tmp", "half");
	close(fd);
	fd = open(at("out-20260102T030406Z"), O_RDONLY);
	CHECK(!flock(fd, LOCK_EX));
	tidy(r);
	CHECK(!access(at("out-20260102T030406Z"), F_OK) &&
	      !access(at("out-20260102T030406Z.gz.tmp"), F_OK));
	close(fd);
	tidy(r);
	check_content("out-20260102T030406Z.gz", "locked");
	CHECK(access(at("out-20260102T030406Z.gz.tmp"), F_OK) &&
	      access(at("out-20260102T030406Z"), F_OK));
	/* A link or a directory of such a name is nobody's to compress. */
	CHECK(!symlink("out", at("out-20260102T030407Z")));
	tidy(r);
	CHECK(strstr(note(r), "cannot be compressed") != NULL);
	check_content("out", "");
	CHECK(!unlink(at("out-20260102T030407Z")) && !mkdir(at("out-20260102T030407Z"), 0700));
	tidy(r);
	CHECK_STR(note(r), "");
	CHECK(!access(at("out-20260102T030407Z"), F_OK));
	rotate_free(r);
	clear();
}

/* What a crash leaves: a temporary file; or both, the original not removed yet. */
static void test_crash_leftovers(void)
{
	struct rotate *r;

	make_dir();
	put("out-20260101T000000Z", "first");
	put("out-20260101T000000Z.gz.tmp", "fir");
	put("out-20260102T000000Z", "second");
	put("out-20260102T000000Z.gz", "\037\213 torn, or whole: it is made anew");
	r = new_rotate(1, 0, 9, true);
	tidy(r);
	CHECK_STR(names(), "out-20260101T000000Z.gz out-20260102T000000Z.gz ");
	check_content("out-20260101T000000Z.gz", "first");
	check_content("out-20260102T000000Z.gz", "second");
	CHECK_STR(note(r), "");
	rotate_free(r);
	/* Not compressed any more: what is there stays, but for half a file. */
	put("out-20260103T000000Z", "third");
	put("out-20260103T000000Z.gz.tmp", "thi");
	r = new_rotate(1, 0, 9, false);
	tidy(r);
	CHECK_STR(names(), "out-20260101T000000Z.gz out-20260102T000000Z.gz out-20260103T000000Z ");
	rotate_free(r);
	clear();
}

/* --- Killed, stopped, no room ------------------------------------------------------------------
 */

enum { BIG = 2 << 20, KILLS = 30, MANY = 25 };

static char big[BIG + 1], got[BIG + 100];

/* Not too easy to compress. */
static void make_big(const char *name)
{
	unsigned int seed = 1;
	FILE *f;
	int i;

	for (i = 0; i < BIG; i++) {
		seed = seed * 1103515245 + 12345;
		big[i] = (char)(i % 80 == 79 ? '\n' : '0' + (seed >> 24) % 40);
	}
	f = fopen(at(name), "w");
	if (!f || fwrite(big, 1, BIG, f) != BIG || fclose(f))
		abort();
}

static void check_big(const char *name)
{
	CHECK_INT(content(name, got, sizeof(got)), BIG);
	CHECK(!memcmp(got, big, BIG));
}

static void test_killed(void)
{
	int i, whole = 0, parts = 0;

	for (i = 0; i < KILLS; i++) {
		struct rotate *r;
		pid_t pid;

		make_dir();
		make_big("out-20260101T000000Z");
		fflush(NULL);
		pid = fork();
		if (pid < 0)
			abort();
		if (!pid) {
			r = new_rotate(1, 0, 9, true);
			rotate_tidy(r);
			rotate_wait(r, 60000);
			for (;;)
				pause();
		}
		usleep((unsigned int)(i * 5000));
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		whole += access(at("out-20260101T000000Z"), F_OK) != 0;
		parts += access(at("out-20260101T000000Z.gz.tmp"), F_OK) == 0;
		r = new_rotate(1, 0, 9, true);
		tidy(r);
		CHECK_STR(names(), "out-20260101T000000Z.gz ");
		check_big("out-20260101T000000Z.gz");
		rotate_free(r);
	}
	printf("killed %d times: %d times in the middle, %d times behind it\n", KILLS, parts,
	       whole);
	clear();
}

/* More than there is time for at the end: the file that it was at stays as it is, no half of
 * another. */
static void test_stopped(void)
{
	struct rotate *r;
	char name[64];
	int i, plain = 0;

	make_dir();
	for (i = 0; i < MANY; i++) {
		snprintf(name, sizeof(name), "out-20260101T0000%02dZ", i);
		make_big(name);
	}
	r = new_rotate(1, 0, MANY, true);
	rotate_tidy(r);
	rotate_tidy(r); /* once more behind the one that runs */
	CHECK(!rotate_wait(r, 1));
	rotate_free(r);
	CHECK(strstr(names(), "tmp") == NULL);
	for (i = 0; i < MANY; i++) {
		struct stat st;

		snprintf(name, sizeof(name), "out-20260101T0000%02dZ", i);
		if (!stat(at(name), &st)) {
			plain++;
			CHECK_INT(st.st_size, BIG);
		} else {
			snprintf(name, sizeof(name), "out-20260101T0000%02dZ.gz", i);
			check_big(name);
		}
	}
	printf("stopped with %d of %d to do\n", plain, MANY);
	clear();
}

static bool write_to(const char *name, const char *text)
{
	int fd = open(name, O_WRONLY);
	bool good = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	if (fd >= 0)
		close(fd);
	return good;
}

/* A mount namespace of our own; without root, by way of a user namespace (user_namespaces(7)). */
static bool own_mounts(void)
{
	char uid[32], gid[32];

	snprintf(uid, sizeof(uid), "0 %u 1", (unsigned int)geteuid());
	snprintf(gid, sizeof(gid), "0 %u 1", (unsigned int)getegid());
	if (unshare(CLONE_NEWNS) &&
	    (unshare(CLONE_NEWUSER | CLONE_NEWNS) || !write_to("/proc/self/setgroups", "deny") ||
	     !write_to("/proc/self/uid_map", uid) || !write_to("/proc/self/gid_map", gid)))
		return false;
	return !mount("none", "/", "none", MS_REC | MS_PRIVATE, "");
}

/* A disk of 3 MiB, in a mount namespace of our own. Exits 77 where there may be none. */
static int no_room(void)
{
	struct rotate *r;

	if (!own_mounts() || mount("tmpfs", dir, "tmpfs", 0, "size=3m"))
		return 77;
	make_big("out-20260101T000000Z");
	r = new_rotate(1, 0, 9, true);
	tidy(r);
	CHECK(strstr(note(r), "out-20260101T000000Z cannot be compressed: No space left on device: "
			      "make room") != NULL);
	CHECK_STR(names(), "out-20260101T000000Z ");
	check_big("out-20260101T000000Z");
	tidy(r);
	CHECK_STR(note(r), ""); /* told once */
	CHECK(!mount("tmpfs", dir, "tmpfs", MS_REMOUNT, "size=16m"));
	tidy(r);
	CHECK_STR(names(), "out-20260101T000000Z.gz ");
	check_big("out-20260101T000000Z.gz");
	CHECK_STR(note(r), "");
	/* And a directory that may not be written to. */
	put("out", "x");
	put("out-20260102T000000Z", "x");
	{
		int fd = open_out();

		CHECK(rotate_due(r, fd, 1, start_ns));
		CHECK(!close(fd));
		fd = open(path, O_RDONLY);
		CHECK(!mount("tmpfs", dir, "tmpfs", MS_REMOUNT | MS_RDONLY, ""));
		CHECK_INT(rotate_move(r, fd, start_ns), -EROFS);
		CHECK(strstr(note(r), "cannot be rotated and grows on: Read-only file system: let "
				      "this user write to its directory") != NULL);
		tidy(r);
		CHECK(strstr(note(r), "cannot be compressed: Read-only file system") != NULL);
		close(fd);
	}
	rotate_free(r);
	return test_failed_checks ? 1 : 0;
}

static void test_no_room(void)
{
	int status = 0;
	pid_t pid;

	make_dir();
	fflush(NULL);
	pid = fork();
	if (pid < 0)
		abort();
	if (!pid) {
		test_failed_checks = 0;
		status = no_room();
		fflush(NULL);
		_exit(status);
	}
	waitpid(pid, &status, 0);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		TEST_SKIP("may not mount a small file system");
	else
		CHECK_INT(status, 0);
	clear();
	rmdir(dir);
}

TEST_MAIN({"size", test_size}, {"age", test_age}, {"move", test_move},
	  {"move fails", test_move_fails}, {"keep", test_keep}, {"compress", test_compress},
	  {"what a crash leaves", test_crash_leftovers}, {"killed", test_killed},
	  {"stopped", test_stopped}, {"no room", test_no_room})
