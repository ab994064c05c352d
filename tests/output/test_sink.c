/* test_sink.c - output/sink.c: files, pipes that close or are slow, full disks; every line
 * accounted for. */
#include "output/sink.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/test.h"

static char dir[] = "/tmp/flowline-test-sink-XXXXXX";
static char path[sizeof(dir) + 16], spec[sizeof(path) + 8];

static void make_path(void)
{
	if (!path[0]) {
		if (!mkdtemp(dir))
			abort();
		snprintf(path, sizeof(path), "%s/out", dir);
		snprintf(spec, sizeof(spec), "file:%s", path);
	}
	unlink(path);
}

static void remove_path(void)
{
	unlink(path);
	rmdir(dir);
	path[0] = 0;
	memcpy(dir + sizeof(dir) - 7, "XXXXXX", 6);
}

static struct sink *open_sink(const char *what)
{
	const char *message;
	struct sink *s;

	if (sink_open(&s, what, &message)) {
		printf("    %s\n", message);
		abort();
	}
	return s;
}

static void put_line(struct sink *s, const char *line)
{
	size_t len = strlen(line);

	memcpy(sink_reserve(s, len), line, len);
	sink_commit(s, len);
}

static void check_file(const char *want)
{
	static char got[8192];
	FILE *f = fopen(path, "r");
	size_t n;

	if (!CHECK(f != NULL))
		return;
	n = fread(got, 1, sizeof(got) - 1, f);
	got[n] = 0;
	fclose(f);
	CHECK_STR(got, want);
}

static void test_specs(void)
{
	static const struct {
		const char *spec, *message;
		int err;
	} specs[] = {
	    {"fil:x", "-o: unknown sink 'fil:x': want - or file:PATH", FL_EUSAGE},
	    {"", "-o: unknown sink '': want - or file:PATH", FL_EUSAGE},
	    {"x.lp", "-o: unknown sink 'x.lp': want - or file:PATH (did you mean 'file:x.lp'?)",
	     FL_EUSAGE},
	    {"file:", "-o file: names no file: want file:PATH, such as file:/var/log/flowline.lp",
	     FL_EUSAGE},
	    {"file:/nonexistent/x",
	     "-o file:/nonexistent/x: No such file or directory: create its directory first",
	     -ENOENT},
	    {"file:/", "-o file:/: Is a directory: name a file, not a directory", -EISDIR},
	};
	const char *message;
	struct sink *s;
	size_t i;

	for (i = 0; i < sizeof(specs) / sizeof(specs[0]); i++) {
		CHECK_INT(sink_open(&s, specs[i].spec, &message), specs[i].err);
		CHECK(!s);
		CHECK_STR(message, specs[i].message);
	}
	CHECK_INT(sink_close(NULL), 0);
}

static void test_file(void)
{
	struct stat st;
	struct sink *s;
	mode_t old = umask(022);

	make_path();
	s = open_sink(spec);
	CHECK_STR(sink_spec(s), spec);
	put_line(s, "a\n");
	put_line(s, "b\n");
	sink_commit(s, (sink_reserve(s, 10), (size_t)0));
	CHECK_INT(sink_stats(s)->points_written, 0);
	CHECK_INT(sink_flush(s), 0);
	CHECK_INT(sink_stats(s)->points_written, 2);
	CHECK_INT(sink_stats(s)->bytes_written, 4);
	put_line(s, "c\n");
	CHECK_INT(sink_close(s), 0);
	check_file("a\nb\nc\n");
	CHECK(!stat(path, &st) && (st.st_mode & 07777) == 0640);
	umask(old);
	s = open_sink(spec);
	put_line(s, "d\n");
	CHECK_INT(sink_close(s), 0);
	check_file("a\nb\nc\nd\n");
	remove_path();
}

static void test_file_ends_inside_line(void)
{
	struct sink *s;
	FILE *f;

	make_path();
	f = fopen(path, "w");
	if (!f || fputs("whole\nhal", f) < 0 || fclose(f))
		abort();
	s = open_sink(spec);
	put_line(s, "next\n");
	CHECK_INT(sink_flush(s), 0);
	CHECK_INT(sink_stats(s)->points_written, 1);
	CHECK_INT(sink_stats(s)->points_lost, 0);
	CHECK_INT(sink_close(s), 0);
	check_file("whole\nhal\nnext\n");
	remove_path();
}

static void test_dev_full(void)
{
	struct sink *s;
	int i;

	if (access("/dev/full", W_OK)) {
		TEST_SKIP("no /dev/full that can be written to");
		return;
	}
	s = open_sink("file:/dev/full");
	for (i = 0; i < 3; i++)
		put_line(s, "x\n");
	CHECK_INT(sink_flush(s), -ENOSPC);
	CHECK_INT(sink_stats(s)->points_lost, 3);
	CHECK_INT(sink_stats(s)->errors, 1);
	CHECK_INT(sink_stats(s)->points_written, 0);
	CHECK_INT(sink_flush(s), 0); /* nothing buffered, nothing refused */
	put_line(s, "x\n");
	CHECK_INT(sink_close(s), -ENOSPC);
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
static void torn_line(void)
{
	struct rlimit limit;
	struct sink *s;

	signal(SIGXFSZ, SIG_IGN);
	s = open_sink(spec);
	put_line(s, "one\n");
	put_line(s, "two\n");
	put_line(s, "three\n");
	if (getrlimit(RLIMIT_FSIZE, &limit))
		abort();
	limit.rlim_cur = 6; /* inside "two" */
	if (setrlimit(RLIMIT_FSIZE, &limit))
		abort();
	CHECK_INT(sink_flush(s), -EFBIG);
	CHECK_INT(sink_stats(s)->points_written, 1);
	CHECK_INT(sink_stats(s)->points_lost, 2);
	CHECK_INT(sink_stats(s)->bytes_written, 6);
	put_line(s, "four\n");
	CHECK_INT(sink_flush(s), -EFBIG);
	CHECK_INT(sink_stats(s)->points_lost, 3);
	limit.rlim_cur = 10; /* room for the rest of "two" and a part of "five" */
	if (setrlimit(RLIMIT_FSIZE, &limit))
		abort();
	put_line(s, "five\n");
	CHECK_INT(sink_flush(s), -EFBIG);
	CHECK_INT(sink_stats(s)->points_written, 1);
	CHECK_INT(sink_stats(s)->points_lost, 4);
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_FSIZE, &limit))
		abort();
	put_line(s, "six\n");
	CHECK_INT(sink_flush(s), 0);
	CHECK_INT(sink_stats(s)->points_written, 2);
	CHECK_INT(sink_stats(s)->points_lost, 4);
	CHECK_INT(sink_close(s), 0);
}

static void test_torn_line(void)
{
	make_path();
	in_child(torn_line);
	check_file("one\ntwo\nfive\nsix\n");
	remove_path();
}

static void reader_gone(void)
{
	int fds[2], keep = dup(STDOUT_FILENO);
	struct sink *s;

	signal(SIGPIPE, SIG_IGN);
	if (pipe(fds) || dup2(fds[1], STDOUT_FILENO) < 0)
		abort();
	s = open_sink("-");
	put_line(s, "a\n");
	CHECK_INT(sink_flush(s), 0);
	close(fds[0]);
	put_line(s, "b\n");
	put_line(s, "c\n");
	CHECK_INT(sink_flush(s), -EPIPE);
	CHECK_INT(sink_stats(s)->points_written, 1);
	CHECK_INT(sink_stats(s)->points_lost, 2);
	put_line(s, "d\n");
	CHECK_INT(sink_flush(s), -EPIPE);
	CHECK_INT(sink_stats(s)->points_lost, 3);
	CHECK_INT(sink_stats(s)->errors, 1); /* asked once, not again */
	CHECK_INT(sink_close(s), -EPIPE);
	dup2(keep, STDOUT_FILENO);
}

static void test_reader_gone(void)
{
	in_child(reader_gone);
}

static void closed_stdout(void)
{
	const char *message;
	struct sink *s;
	int keep = dup(STDOUT_FILENO), err;

	close(STDOUT_FILENO);
	err = sink_open(&s, "-", &message);
	dup2(keep, STDOUT_FILENO);
	CHECK_INT(err, -EBADF);
	CHECK(strstr(message, "standard output is not open") != NULL);
}

static void test_closed_stdout(void)
{
	in_child(closed_stdout);
}

enum { SLOW_LINES = 20000, SLOW_LENGTH = 100 };

/* A pipe that takes little at a time, in blocking mode or not, and signals that interrupt. */
static void on_alarm(int sig)
{
	(void)sig;
}

static void slow_writer(int fd, bool nonblocking)
{
	struct sigaction sa = {.sa_handler = on_alarm};
	struct itimerval every = {{0, 500}, {0, 500}};
	char line[SLOW_LENGTH + 1];
	struct sink *s;
	int i;

	dup2(fd, STDOUT_FILENO);
	if (nonblocking)
		fcntl(STDOUT_FILENO, F_SETFL, O_NONBLOCK);
	sigaction(SIGALRM, &sa, NULL);
	setitimer(ITIMER_REAL, &every, NULL);
	s = open_sink("-");
	for (i = 0; i < SLOW_LINES; i++) {
		snprintf(line, sizeof(line), "%0*d\n", SLOW_LENGTH - 1, i);
		put_line(s, line);
	}
	if (sink_flush(s) || sink_stats(s)->points_written != SLOW_LINES)
		_exit(1);
	_exit(sink_close(s) ? 1 : 0);
}

static void check_slow_reader(bool nonblocking)
{
	char line[SLOW_LENGTH + 2];
	int fds[2], status = 1, i = 0;
	FILE *f;
	pid_t pid;

	fflush(NULL);
	if (pipe(fds) || (pid = fork()) < 0)
		abort();
	if (!pid) {
		close(fds[0]);
		slow_writer(fds[1], nonblocking);
	}
	close(fds[1]);
	f = fdopen(fds[0], "r");
	while (f && fgets(line, sizeof(line), f)) {
		if (atol(line) != i || strlen(line) != SLOW_LENGTH)
			break;
		if (i++ % 1000 == 0)
			usleep(2000);
	}
	CHECK_INT(i, SLOW_LINES);
	if (f)
		fclose(f);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	CHECK_INT(status, 0);
}

static void test_slow_reader(void)
{
	check_slow_reader(false);
	check_slow_reader(true);
}

/* More than the buffer without a flush, in lines of the greatest size. */
static void test_long_lines(void)
{
	const size_t len = 64 * 1024;
	struct stat st;
	struct sink *s;
	char *p;
	int i;

	make_path();
	s = open_sink(spec);
	for (i = 0; i < 50; i++) {
		p = sink_reserve(s, len);
		memset(p, 'x', len - 1);
		p[len - 1] = '\n';
		sink_commit(s, len);
	}
	CHECK_INT(sink_flush(s), 0);
	CHECK_INT(sink_stats(s)->points_written, 50);
	CHECK(!stat(path, &st) && st.st_size == (off_t)(50 * len));
	CHECK_INT(sink_close(s), 0);
	remove_path();
}

TEST_MAIN({"specs", test_specs}, {"file", test_file},
	  {"file ends inside a line", test_file_ends_inside_line}, {"/dev/full", test_dev_full},
	  {"torn line", test_torn_line}, {"reader gone", test_reader_gone},
	  {"closed stdout", test_closed_stdout}, {"slow reader", test_slow_reader},
	  {"long lines", test_long_lines})
