/* test_sink_file.c - output/sink_file.c: files, pipes that close or are slow, full disks; every
 * line accounted for. */
#include "output/sink_file.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/output/sink_file_build.h"
#include "tests/test.h"

static void test_names(void)
{
	static const struct {
		const char *path, *why;
		int err;
	} cases[] = {
	    {"", "names no file: want a path, such as /var/log/flowline.lp", FL_EUSAGE},
	    {"/nonexistent/x",
	     "/nonexistent/x: No such file or directory: create its directory first", -ENOENT},
	    {"/dev/null/x", "/dev/null/x: Not a directory: create its directory first", -ENOTDIR},
	    {"/", "/: Is a directory: name a file, not a directory", -EISDIR},
	};
	char why[SINK_WHY_SIZE];
	struct sink *s;
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct sink_file_config c = {.path = cases[i].path};

		CHECK_INT(sink_file_open(&s, &c, why), cases[i].err);
		CHECK(!s);
		CHECK_STR(why, cases[i].why);
	}
}

static void test_file(void)
{
	struct sink_result r;
	struct stat st;
	struct sink *s;
	mode_t old = umask(022);

	make_path();
	s = open_sink(path);
	CHECK_STR(s->ops->kind, "file");
	CHECK(!s->ops->spools);
	r = put(s, "a\nb\n");
	CHECK_RESULT(r, SINK_DELIVERED, 0, 4);
	CHECK_STR(r.why, "");
	check_file("a\nb\n");
	put_well(s, "c\n");
	s->ops->idle(s);
	CHECK_INT(shut(s), 0);
	check_file("a\nb\nc\n");
	CHECK(!stat(path, &st) && (st.st_mode & 07777) == 0640);
	umask(old);
	s = open_sink(path);
	put_well(s, "d\n");
	CHECK_INT(shut(s), 0);
	check_file("a\nb\nc\nd\n");
	remove_path();
}

static void test_file_ends_inside_line(void)
{
	struct sink_result r;
	struct sink *s;
	FILE *f;

	make_path();
	f = fopen(path, "w");
	if (!f || fputs("whole\nhal", f) < 0 || fclose(f))
		abort();
	s = open_sink(path);
	r = put(s, "next\n");
	CHECK_RESULT(r, SINK_DELIVERED, 0, 6);
	CHECK_INT(shut(s), 0);
	check_file("whole\nhal\nnext\n");
	remove_path();
}

static void test_dev_full(void)
{
	struct sink_result r;
	struct sink *s;

	if (access("/dev/full", W_OK)) {
		TEST_SKIP("no /dev/full that can be written to");
		return;
	}
	s = open_sink("/dev/full");
	r = put(s, "x\nx\nx\n");
	CHECK_RESULT(r, SINK_DELIVERED, 3, 0);
	CHECK_STR(r.why, "No space left on device: make room");
	r = put(s, "x\n");
	CHECK_RESULT(r, SINK_DELIVERED, 1, 0);
	CHECK_INT(shut(s), 0);
}

/* Run in a child, whose limits and standard output may be spoilt; its exit status says how it went.
 */
static void in_child(void (*run)(void))
{
	int status = 1;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid < 0)
		abort();
	if (!pid) {
		alarm(60);
		test_failed_checks = 0;
		run();
		fflush(NULL);
		_exit(test_failed_checks ? 1 : 0);
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	CHECK_INT(status, 0);
}

/* A limit on the file's size stops write(2) inside a line, as a full disk does. */
static void limit_file(rlim_t bytes)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_FSIZE, &limit))
		abort();
	limit.rlim_cur = bytes < limit.rlim_max ? bytes : limit.rlim_max;
	if (setrlimit(RLIMIT_FSIZE, &limit))
		abort();
}

static void torn_line(void)
{
	struct sink_result r;
	struct sink *s;

	signal(SIGXFSZ, SIG_IGN);
	s = open_sink(path);
	limit_file(6); /* inside "two" */
	r = put(s, "one\ntwo\nthree\n");
	CHECK_RESULT(r, SINK_DELIVERED, 2, 6);
	CHECK(strstr(r.why, "ulimit -f") != NULL);
	r = put(s, "four\n");
	CHECK_RESULT(r, SINK_DELIVERED, 1, 0);
	limit_file(10); /* room for the rest of "two" and a part of "five" */
	r = put(s, "five\n");
	CHECK_RESULT(r, SINK_DELIVERED, 1, 4);
	limit_file(RLIM_INFINITY);
	r = put(s, "six\n");
	CHECK_RESULT(r, SINK_DELIVERED, 0, 7);
	CHECK_STR(r.why, "");
	limit_file(18); /* the file ends inside "seven" when it is closed */
	r = put(s, "seven\n");
	CHECK_RESULT(r, SINK_DELIVERED, 1, 1);
	limit_file(RLIM_INFINITY);
	CHECK_INT(shut(s), 0); /* its rest is the last that is written */
}

static void test_torn_line(void)
{
	make_path();
	in_child(torn_line);
	check_file("one\ntwo\nfive\nsix\nseven\n");
	remove_path();
}

static void reader_gone(void)
{
	int fds[2], keep = dup(STDOUT_FILENO);
	struct sink_result r[4];
	struct sink *s;

	signal(SIGPIPE, SIG_IGN);
	if (pipe(fds) || dup2(fds[1], STDOUT_FILENO) < 0)
		abort();
	s = open_stdout();
	r[0] = put(s, "a\n");
	close(fds[0]);
	r[1] = put(s, "b\nc\n");
	r[2] = put(s, "d\n");
	CHECK(!s->ops->reopen && !s->ops->idle);
	CHECK_INT(shut(s), 0);
	dup2(keep, STDOUT_FILENO);
	CHECK_RESULT(r[0], SINK_DELIVERED, 0, 2);
	CHECK_RESULT(r[1], SINK_CLOSED, 2, 0);
	CHECK_RESULT(r[2], SINK_CLOSED, 1, 0);
	CHECK_STR(r[2].why, "nobody reads it any more");
}

static void test_reader_gone(void)
{
	in_child(reader_gone);
}

/* It goes away in the middle of a parcel: what fitted into the pipe went out. */
static void *read_a_little(void *ctx)
{
	char buf[1000];
	int fd = *(int *)ctx;
	ssize_t n = read(fd, buf, sizeof(buf));

	usleep(50000);
	close(fd);
	return n == sizeof(buf) ? ctx : NULL;
}

static void reader_goes(void)
{
	enum { LINES = 50000 };
	static char text[LINES * 10];
	int fds[2], keep = dup(STDOUT_FILENO), i;
	static const struct sink_turn turn = {.go_on = always};
	struct sink_result r;
	pthread_t thread;
	struct sink *s;

	signal(SIGPIPE, SIG_IGN);
	for (i = 0; i < LINES; i++)
		memcpy(text + 10 * i, "123456789\n", 10);
	if (pipe(fds) || dup2(fds[1], STDOUT_FILENO) < 0)
		abort();
	s = open_stdout();
	if (pthread_create(&thread, NULL, read_a_little, &fds[0]))
		abort();
	r = send_turn(s, text, sizeof(text), &turn);
	pthread_join(thread, NULL);
	CHECK_INT(shut(s), 0);
	dup2(keep, STDOUT_FILENO);
	CHECK_INT(r.verdict, SINK_CLOSED);
	CHECK(r.bytes >= 1000 && r.bytes < sizeof(text));
	CHECK_INT(r.lost, LINES - r.bytes / 10);
}

static void test_reader_goes(void)
{
	in_child(reader_goes);
}

static void closed_stdout(void)
{
	char why[SINK_WHY_SIZE];
	struct sink *s;
	int keep = dup(STDOUT_FILENO), err;

	close(STDOUT_FILENO);
	err = sink_stdout_open(&s, why);
	dup2(keep, STDOUT_FILENO);
	CHECK_INT(err, -EBADF);
	CHECK(!s);
	CHECK(strstr(why, "standard output is not open for writing: ") == why);
}

static void test_closed_stdout(void)
{
	in_child(closed_stdout);
}

/* --- Slow readers ----------------------------------------------------------------------------- */

enum { SLOW_LINES = 20000, SLOW_LENGTH = 100, SLOW_PARCEL = 500 };

enum slow_kind {
	SLOW_PIPE,        /* opened anew by the sink */
	SLOW_NONBLOCKING, /* someone else set our description to O_NONBLOCK */
	SLOW_SHARED,      /* no way to open it anew */
	SLOW_SOCKET,
	SLOW_KINDS
};

static void on_alarm(int sig)
{
	(void)sig;
}

/* What takes little at a time, and signals that interrupt. */
static void slow_writer(int fd, enum slow_kind kind)
{
	struct sigaction sa = {.sa_handler = on_alarm};
	struct itimerval every = {{0, 500}, {0, 500}}, never = {{0, 0}, {0, 0}};
	static char text[SLOW_PARCEL * SLOW_LENGTH + 1];
	static const struct sink_turn turn = {.go_on = always};
	struct rlimit files;
	struct sink_result r;
	int i, j, flags;
	struct sink *s;

	dup2(fd, STDOUT_FILENO);
	if (kind == SLOW_NONBLOCKING)
		fcntl(STDOUT_FILENO, F_SETFL, O_NONBLOCK);
	flags = fcntl(STDOUT_FILENO, F_GETFL);
	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = kind == SLOW_SHARED ? 3 : files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	sigaction(SIGALRM, &sa, NULL);
	setitimer(ITIMER_REAL, &every, NULL);
	s = open_stdout();
	for (i = 0; i < SLOW_LINES; i += SLOW_PARCEL) {
		for (j = 0; j < SLOW_PARCEL; j++)
			snprintf(text + j * SLOW_LENGTH, SLOW_LENGTH + 1, "%0*d\n", SLOW_LENGTH - 1,
				 i + j);
		r = send_turn(s, text, SLOW_PARCEL * SLOW_LENGTH, &turn);
		if (r.verdict != SINK_DELIVERED || r.lost || r.bytes != SLOW_PARCEL * SLOW_LENGTH)
			_exit(1);
	}
	setitimer(ITIMER_REAL, &never, NULL);
	/* What others share is as it was. */
	if (fcntl(STDOUT_FILENO, F_GETFL) != flags)
		_exit(2);
	_exit(shut(s) ? 3 : 0);
}

static void check_slow_reader(enum slow_kind kind)
{
	char line[SLOW_LENGTH + 2];
	int fds[2], status = 1, i = 0;
	FILE *f;
	pid_t pid;

	fflush(NULL);
	if ((kind == SLOW_SOCKET ? socketpair(AF_UNIX, SOCK_STREAM, 0, fds) : pipe(fds)) ||
	    (pid = fork()) < 0)
		abort();
	if (!pid) {
		close(fds[0]);
		slow_writer(fds[1], kind);
	}
	close(fds[1]);
	f = fdopen(fds[0], "r");
	while (f && fgets(line, sizeof(line), f)) {
		if (atol(line) != i || strlen(line) != SLOW_LENGTH)
			break;
		if (i++ % 1000 == 0)
			usleep(2000);
	}
	CHECK_MSG(i == SLOW_LINES, "kind %d: %d lines", kind, i);
	if (f)
		fclose(f);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	CHECK_MSG(status == 0, "kind %d: status %d", kind, status);
}

static void test_slow_reader(void)
{
	int kind;

	for (kind = 0; kind < SLOW_KINDS; kind++)
		check_slow_reader((enum slow_kind)kind);
}

/* --- Stopping --------------------------------------------------------------------------------- */

struct asked {
	int times, most;
};

static bool some_times(void *ctx)
{
	struct asked *a = ctx;

	return a->times++ < a->most;
}

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Nobody reads: the parcel stops in the middle, the next one before it begins; then somebody reads,
 * and the torn line goes first. */
static void stopped(bool shared)
{
	enum { LINES = 30000 };
	static char text[LINES * 7], got[sizeof(text) + 100];
	int fds[2], keep = dup(STDOUT_FILENO), i;
	struct asked asked = {0, 3}, once = {0, 0};
	struct sink_turn turn = {some_times, &asked}, no = {some_times, &once};
	struct sink_result r[3];
	struct rlimit files, old;
	struct sink *s;
	size_t n = 0;
	ssize_t m;
	double took;

	for (i = 0; i < LINES; i++)
		memcpy(text + 7 * i, "123456\n", 7);
	if (pipe(fds) || dup2(fds[1], STDOUT_FILENO) < 0)
		abort();
	close(fds[1]);
	getrlimit(RLIMIT_NOFILE, &old);
	files = old;
	files.rlim_cur = shared ? 3 : old.rlim_cur;
	setrlimit(RLIMIT_NOFILE, &files);
	s = open_stdout();
	setrlimit(RLIMIT_NOFILE, &old);
	took = seconds();
	r[0] = send_turn(s, text, sizeof(text), &turn);
	took = seconds() - took;
	r[1] = send_turn(s, "no\n", 3, &no);
	fcntl(fds[0], F_SETFL, O_NONBLOCK);
	while ((m = read(fds[0], got + n, sizeof(got) - n)) > 0)
		n += (size_t)m;
	r[2] = put(s, "yes\n");
	while ((m = read(fds[0], got + n, sizeof(got) - n)) > 0)
		n += (size_t)m;
	CHECK_INT(shut(s), 0);
	dup2(keep, STDOUT_FILENO);
	CHECK_MSG(took >= 0.19 && took < 2, "%f s", took);
	CHECK_INT(asked.times, 4);
	CHECK_INT(r[0].verdict, SINK_DELIVERED);
	CHECK(r[0].bytes >= 4096 && r[0].bytes % 7); /* a pipe holds 64 KiB, not whole lines */
	CHECK_INT(r[0].lost, LINES - r[0].bytes / 7);
	CHECK(strstr(r[0].why, "stopped before its reader took all") != NULL);
	CHECK_RESULT(r[1], SINK_STOPPED, 0, 0);
	CHECK_INT(r[2].verdict, SINK_DELIVERED);
	CHECK_INT(r[2].lost, 0);
	CHECK_INT(n, r[0].bytes + r[2].bytes);
	CHECK_INT(n, (r[0].bytes / 7 + 1) * 7 + 4);
	CHECK(!memcmp(got, text, n - 4) && !memcmp(got + n - 4, "yes\n", 4));
	close(fds[0]);
	close(keep);
}

static void stopped_own(void)
{
	stopped(false);
}

static void stopped_shared(void)
{
	stopped(true);
}

static void test_stopped(void)
{
	in_child(stopped_own);
	in_child(stopped_shared);
}

/* A named pipe: waits for its first reader; when that goes it is over, until it is opened anew. */
static void test_fifo(void)
{
	struct asked asked = {0, 2};
	struct sink_turn turn = {some_times, &asked};
	struct sink_result r;
	char why[SINK_WHY_SIZE], got[16];
	struct sink *s;
	int fd;

	signal(SIGPIPE, SIG_IGN);
	make_path();
	if (mkfifo(path, 0600))
		abort();
	s = open_sink(path);
	r = send_turn(s, "a\n", 2, &turn);
	CHECK_RESULT(r, SINK_STOPPED, 0, 0);
	fd = open(path, O_RDONLY | O_NONBLOCK);
	put_well(s, "a\n");
	CHECK_INT(read(fd, got, sizeof(got)), 2);
	close(fd);
	r = put(s, "b\nc\n");
	CHECK_RESULT(r, SINK_CLOSED, 2, 0);
	CHECK_INT(s->ops->reopen(s, why), 0);
	fd = open(path, O_RDONLY | O_NONBLOCK);
	put_well(s, "d\n");
	CHECK_INT(read(fd, got, sizeof(got)), 2);
	CHECK_INT(got[0], 'd');
	CHECK_INT(shut(s), 0);
	close(fd);
	remove_path();
}

/* A big parcel of lines of the greatest size. */
static void test_long_lines(void)
{
	enum { LENGTH = 64 * 1024, LINES = 50 };
	static char text[LENGTH * LINES];
	struct sink_result r;
	struct stat st;
	struct sink *s;
	int i;

	memset(text, 'x', sizeof(text));
	for (i = 1; i <= LINES; i++)
		text[i * LENGTH - 1] = '\n';
	make_path();
	s = open_sink(path);
	r = send_turn(s, text, sizeof(text), NULL);
	CHECK_RESULT(r, SINK_DELIVERED, 0, sizeof(text));
	CHECK(!stat(path, &st) && st.st_size == (off_t)sizeof(text));
	CHECK_INT(shut(s), 0);
	remove_path();
}

TEST_MAIN({"names", test_names}, {"file", test_file},
	  {"file ends inside a line", test_file_ends_inside_line}, {"/dev/full", test_dev_full},
	  {"torn line", test_torn_line}, {"reader gone", test_reader_gone},
	  {"reader goes in the middle", test_reader_goes}, {"closed stdout", test_closed_stdout},
	  {"slow reader", test_slow_reader}, {"stopped", test_stopped}, {"named pipe", test_fifo},
	  {"long lines", test_long_lines})
