/* test_status.c - the status socket: how it is made and left, requests in pieces, slow and silent
 * clients, and what `flowline status` says of all that can be at the other end.
 */
#include "collector/status.h"
#include "collector/status_client.h"

#include "tests/collector/json_check.h"
#include "tests/collector/status_build.h"
#include "tests/test.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static char dir[64];
static char path[96];
static char why[STATUS_WHY_SIZE];

static struct run {
	struct built built;
	unsigned int fills;
	bool unwell, big;
	unsigned int torn; /* so many times counters do not fit together */
} run;

static void fill(void *ctx, struct status_view *v)
{
	struct run *r = ctx;
	size_t i;

	r->fills++;
	build_view(&r->built, v);
	if (r->unwell)
		v->outputs[0].state = OUTPUT_CLOSED;
	if (r->fills <= r->torn)
		v->outputs[0].points_made++;
	for (i = 0; r->big && i < STATUS_OUTPUTS_MOST; i++) {
		v->outputs[i] = v->outputs[0];
		v->outputs[i].state = OUTPUT_RETRY;
		memset(v->outputs[i].why, 1, SINK_WHY_SIZE - 1);
		v->noutputs = i + 1;
	}
}

/* A directory of its own for each case, and a server in it. */
static struct status *begin(bool open)
{
	struct status *s = NULL;

	memset(&run, 0, sizeof(run));
	snprintf(dir, sizeof(dir), "/tmp/flowline-status-XXXXXX");
	if (!CHECK(mkdtemp(dir) != NULL))
		exit(1);
	snprintf(path, sizeof(path), "%s/status.sock", dir);
	if (open && !CHECK(!status_open(&s, path, why)))
		exit(1);
	return s;
}

static void end(struct status *s)
{
	status_close(s);
	unlink(path);
	CHECK(!rmdir(dir));
}

static int dial(const char *to)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	memcpy(a.sun_path, to, strlen(to));
	if (connect(fd, (struct sockaddr *)&a, sizeof(a))) {
		close(fd);
		return -1;
	}
	return fd;
}

static void say(int fd, const char *s, size_t len)
{
	CHECK_INT(send(fd, s, len, MSG_NOSIGNAL), len);
}

/* One turn of a run's loop. */
static void turn(struct status *s, int wait_ms)
{
	struct pollfd fds[STATUS_FDS];

	status_gather(s, fds);
	poll(fds, STATUS_FDS, wait_ms);
	status_poll(s, fds, fill, &run);
}

/* What is there to read; *over: the server has ended the connection. */
static size_t hear(int fd, char *out, size_t size, bool *over)
{
	size_t len = 0;
	ssize_t n;

	while (len < size && (n = recv(fd, out + len, size - len, 0)) > 0)
		len += (size_t)n;
	*over = len < size && (n == 0 || errno != EAGAIN);
	if (len < size)
		out[len] = '\0';
	return len;
}

static char answer[STATUS_ANSWER_MOST];

static size_t ask(struct status *s, const char *request, size_t len, bool shut)
{
	int fd = dial(path), turns;
	size_t got = 0;
	bool over = false;

	if (!CHECK(fd >= 0))
		return 0;
	say(fd, request, len);
	if (shut)
		shutdown(fd, SHUT_WR);
	for (turns = 0; turns < 100 && !over; turns++) {
		turn(s, 0);
		got += hear(fd, answer + got, sizeof(answer) - got, &over);
	}
	CHECK_MSG(over, "no end after %.40s", request);
	close(fd);
	return got;
}

/* --- the file --------------------------------------------------------------------------------- */

static void test_file(void)
{
	mode_t before = umask(077);
	struct status *s = begin(true), *other = NULL;
	struct stat st;

	umask(before);
	CHECK(!lstat(path, &st) && S_ISSOCK(st.st_mode));
	CHECK_INT(st.st_mode & 07777, 0660);
	CHECK(status_fd(s) >= 0);
	CHECK_INT(status_open(&other, path, why), -EADDRINUSE);
	CHECK(!other && strstr(why, "another flowline answers"));
	CHECK(ask(s, "json\n", 5, false) > 100); /* that did not hurt it */
	end(s);
	CHECK(lstat(path, &st) && errno == ENOENT);
}

static void test_stale(void)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	struct status *s = begin(false);
	struct stat st;
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	memcpy(a.sun_path, path, strlen(path));
	CHECK(!bind(fd, (struct sockaddr *)&a, sizeof(a)));
	close(fd); /* as killed: the file stays */
	CHECK(!lstat(path, &st));
	CHECK_INT(status_open(&s, path, why), 0);
	CHECK_STR(why, "");
	CHECK(ask(s, "table\n", 6, false) > 100);
	end(s);
}

static void test_refused(void)
{
	char long_path[200];
	struct status *s = begin(false);
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

	close(fd);
	CHECK(status_open(&s, path, why) < 0);
	CHECK_MSG(!s && strstr(why, "no socket") && strstr(why, path), "%s", why);
	CHECK(!access(path, F_OK)); /* is not ours to remove */
	unlink(path);
	fd = socket(AF_UNIX, SOCK_DGRAM, 0);
	memcpy(a.sun_path, path, strlen(path));
	CHECK(!bind(fd, (struct sockaddr *)&a, sizeof(a)));
	CHECK(status_open(&s, path, why) < 0);
	CHECK_MSG(strstr(why, "somebody else"), "%s", why);
	close(fd);
	unlink(path);
	memset(long_path, 'x', sizeof(long_path) - 1);
	long_path[sizeof(long_path) - 1] = '\0';
	CHECK_INT(status_open(&s, long_path, why), -ENAMETOOLONG);
	CHECK_INT(status_open(&s, "", why), -ENAMETOOLONG);
	snprintf(long_path, sizeof(long_path), "%s/none/status.sock", dir);
	CHECK_INT(status_open(&s, long_path, why), -ENOENT);
	CHECK_MSG(strstr(why, "make its directory"), "%s", why);
	CHECK(!s);
	end(NULL);
}

/* One that was replaced by another's is left alone. */
static void test_not_ours(void)
{
	struct status *s = begin(true);
	int fd;

	CHECK(!unlink(path));
	fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	close(fd);
	status_close(s);
	CHECK(!access(path, F_OK));
	end(NULL);
}

static void test_run_directory(void)
{
	static const char own[] = "/run/flowline-test-status", in[] = "/run/flowline-test-status/s";
	struct status *s = NULL;
	struct stat st;
	int err;

	if (access("/run", W_OK) || !access(own, F_OK)) {
		TEST_SKIP("/run cannot be written to");
		return;
	}
	err = status_open(&s, in, why);
	CHECK_MSG(!err, "%s", why);
	CHECK(!stat(own, &st) && (st.st_mode & 0777) == 0755);
	status_close(s);
	CHECK(access(in, F_OK) != 0);
	CHECK(!rmdir(own));
}

/* --- requests --------------------------------------------------------------------------------- */

enum form {
	JSON,
	TABLE,
	NOTHING,
	HTTP_JSON,
	HTTP_TABLE,
	HTTP_HEAD_ONLY,
	HTTP_404,
	HTTP_405,
	UNKNOWN
};

static const struct {
	const char *request;
	enum form form;
} requests[] = {
    {"json\n", JSON},
    {"json\r\n", JSON},
    {"table\n", TABLE},
    {"json\nand more\n", JSON},
    {"\n", NOTHING},
    {"xml\n", UNKNOWN},
    {"json \n", UNKNOWN},
    {"jsonjson\n", UNKNOWN},
    {"GET / HTTP/1.0\r\n\r\n", HTTP_JSON},
    {"GET / HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n\r\n", HTTP_JSON},
    {"GET /json HTTP/1.0\n\n", HTTP_JSON},
    {"GET /json?pretty HTTP/1.0\r\n\r\n", HTTP_JSON},
    {"GET /table HTTP/1.0\r\n\r\n", HTTP_TABLE},
    {"HEAD /table HTTP/1.1\r\nHost: x\r\n\r\n", HTTP_HEAD_ONLY},
    {"GET /other HTTP/1.0\r\n\r\n", HTTP_404},
    {"GET  HTTP/1.0\r\n\r\n", HTTP_404},
    {"GETHTTP /HTTP/1.0\r\n", UNKNOWN},
    {"POST / HTTP/1.1\r\n\r\n", HTTP_405},
    {"/ HTTP/1.1\r\n\r\n", HTTP_405},
};

static bool starts(const char *s, const char *with)
{
	return !strncmp(s, with, strlen(with));
}

/* Has the answer the form, and the length that its head tells? */
static bool is_form(enum form form, size_t len)
{
	const char *body = strstr(answer, "\r\n\r\n"), *told = strstr(answer, "Content-Length: ");
	size_t size = body ? len - (size_t)(body + 4 - answer) : 0;
	bool right = told && strtoul(told + 16, NULL, 10) == size;

	switch (form) {
	case JSON:
		return is_json(answer, len);
	case TABLE:
		return starts(answer, "flowline 0.1.0, pid");
	case HTTP_JSON:
		return right && starts(answer, "HTTP/1.0 200 OK\r\n") && is_json(body + 4, size) &&
		       strstr(answer, "application/json") && strstr(answer, "Flowline-Exit: 0");
	case HTTP_TABLE:
		return right && starts(answer, "HTTP/1.0 200 OK\r\n") &&
		       starts(body + 4, "flowline 0.1.0, pid");
	case HTTP_HEAD_ONLY:
		return body && !size && !right && starts(answer, "HTTP/1.0 200 OK\r\n");
	case HTTP_404:
		return right && starts(answer, "HTTP/1.0 404 ");
	case HTTP_405:
		return right && starts(answer, "HTTP/1.0 405 ") && strstr(answer, "Allow: GET");
	case UNKNOWN:
		return starts(answer, "flowline: want json or table");
	case NOTHING:
		return !len;
	}
	return false;
}

static void test_requests(void)
{
	struct status *s = begin(true);
	size_t i, n;

	for (i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
		n = ask(s, requests[i].request, strlen(requests[i].request), false);
		CHECK_MSG(is_form(requests[i].form, n), "%s gave\n%.300s", requests[i].request,
			  answer);
	}
	n = ask(s, "json", 4, true); /* printf json | nc -NU */
	CHECK(is_form(JSON, n));
	CHECK_INT(ask(s, "", 0, true), 0);
	end(s);
}

/* In two pieces, cut at each place. */
static void test_pieces(void)
{
	struct status *s = begin(true);
	size_t i, at, got;
	bool over;

	for (i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
		size_t len = strlen(requests[i].request);

		if (strchr(requests[i].request, '\n') != strrchr(requests[i].request, '\n') &&
		    !strstr(requests[i].request, "HTTP"))
			continue; /* answered before its end */
		for (at = 1; at < len; at++) {
			int fd = dial(path);

			say(fd, requests[i].request, at);
			turn(s, 0);
			got = hear(fd, answer, sizeof(answer), &over);
			if (!over) {
				CHECK_INT(got, 0);
				say(fd, requests[i].request + at, len - at);
				turn(s, 0);
				got = hear(fd, answer, sizeof(answer), &over);
			}
			CHECK_MSG(over && is_form(requests[i].form, got), "%s at %zu: %.100s",
				  requests[i].request, at, answer);
			close(fd);
		}
	}
	end(s);
}

static void test_any_bytes(void)
{
	static const char words[] = "GET HEAD json table / HTTP/1.0\r\n\r\n\0\n\n";
	struct status *s = begin(true);
	char bytes[6000];
	unsigned int i, k;

	srand(42);
	for (i = 0; i < 300; i++) {
		size_t len = (size_t)rand() % (i % 10 ? 40 : sizeof(bytes));

		for (k = 0; k < len; k++)
			bytes[k] =
			    rand() % 4 ? words[(size_t)rand() % sizeof(words)] : (char)rand();
		ask(s, bytes, len, true);
	}
	memset(bytes, 'a', sizeof(bytes)); /* a line without end */
	CHECK(is_form(UNKNOWN, ask(s, bytes, sizeof(bytes), false)));
	CHECK(is_form(JSON, ask(s, "json\n", 5, false)));
	end(s);
}

/* The counters of an output's thread may be read in the middle of a change: then again. */
static void test_torn(void)
{
	struct status *s = begin(true);

	run.torn = 2;
	ask(s, "GET / HTTP/1.0\r\n\r\n", 18, false);
	CHECK_INT(run.fills, 3);
	CHECK(strstr(answer, "Flowline-Exit: 0"));
	run.torn = 100;
	ask(s, "GET / HTTP/1.0\r\n\r\n", 18, false);
	CHECK_INT(run.fills, 6);
	CHECK(strstr(answer, "Flowline-Exit: 3"));
	CHECK(strstr(answer, "are not accounted for"));
	end(s);
}

/* --- clients that take their time ------------------------------------------------------------- */

static void test_slow_reader(void)
{
	struct status *s = begin(true);
	struct pollfd fds[STATUS_FDS];
	size_t got = 0;
	bool over = false;
	int fd, turns;

	run.big = true;
	fd = dial(path);
	say(fd, "json\n", 5);
	turn(s, 0);
	status_gather(s, fds);
	CHECK(fds[1].fd >= 0 && fds[1].events == POLLOUT); /* more than the socket takes */
	CHECK_INT(run.fills, 1);
	turn(s, 0);
	CHECK(ask(s, "table\n", 6, false) > 1000); /* nobody waits for it */
	for (turns = 0; turns < 100000 && !over; turns++) {
		got += hear(fd, answer + got, 4096 < sizeof(answer) - got ? 4096 : 1, &over);
		turn(s, 0);
	}
	CHECK(over && got > 200000);
	CHECK(is_json(answer, got));
	close(fd);
	fd = dial(path); /* one that goes in the middle */
	say(fd, "json\n", 5);
	turn(s, 0);
	close(fd);
	turn(s, 0);
	status_gather(s, fds);
	CHECK_INT(fds[1].fd, -1);
	end(s);
}

static void test_many_and_silent(void)
{
	struct status *s = begin(true);
	struct pollfd fds[STATUS_FDS];
	int fd[STATUS_CLIENTS_MOST], late, i, turns;
	bool over = false;
	char c;

	for (i = 0; i < STATUS_CLIENTS_MOST; i++) {
		fd[i] = dial(path);
		CHECK(fd[i] >= 0);
		turn(s, 0);
	}
	late = dial(path); /* waits in the backlog */
	say(late, "json\n", 5);
	turn(s, 0);
	status_gather(s, fds);
	CHECK_INT(fds[0].fd, -1);
	for (i = 0; i < STATUS_CLIENTS_MOST; i++)
		CHECK(fds[1 + i].fd >= 0);
	CHECK_INT(hear(late, answer, sizeof(answer), &over), 0);
	CHECK(!over);
	close(fd[3]); /* a place becomes free */
	turn(s, 0);
	turn(s, 0);
	CHECK(hear(late, answer, sizeof(answer), &over) > 100 && over);
	for (turns = 0; turns < STATUS_TIMEOUT_MS / 100 + 5; turns++)
		turn(s, 100);
	for (i = 0; i < STATUS_CLIENTS_MOST; i++)
		if (i != 3)
			CHECK_INT(recv(fd[i], &c, 1, 0), 0); /* cut off */
	status_gather(s, fds);
	CHECK(fds[0].fd >= 0 && fds[1].fd < 0 && fds[STATUS_CLIENTS_MOST].fd < 0);
	for (i = 0; i < STATUS_CLIENTS_MOST; i++)
		if (i != 3)
			close(fd[i]);
	close(late);
	end(s);
}

static void test_nothing(void)
{
	struct pollfd fds[STATUS_FDS];
	int i;

	status_gather(NULL, fds);
	for (i = 0; i < STATUS_FDS; i++)
		CHECK_INT(fds[i].fd, -1);
	status_poll(NULL, fds, fill, NULL);
	status_close(NULL);
	CHECK_INT(status_fd(NULL), -1);
}

/* --- the client ------------------------------------------------------------------------------- */

static int stop;

static void *serve_status(void *arg)
{
	while (!__atomic_load_n(&stop, __ATOMIC_ACQUIRE))
		turn(arg, 10);
	return NULL;
}

static void test_client(void)
{
	struct status *s = begin(true);
	struct buffer b;
	pthread_t thread;
	int i;

	stop = 0;
	if (!CHECK(!pthread_create(&thread, NULL, serve_status, s)))
		exit(1);
	for (i = 0; i < 20; i++) {
		buffer_init(&b, STATUS_ANSWER_MOST);
		CHECK_INT(status_ask(path, i % 2, 5000, &b, why), 0);
		CHECK(i % 2 ? is_json(b.s, b.len) : starts(b.s, "flowline 0.1.0, pid"));
		CHECK_STR(why, "");
		buffer_free(&b);
	}
	__atomic_store_n(&stop, 1, __ATOMIC_RELEASE);
	pthread_join(thread, NULL);
	run.unwell = run.big = true;
	stop = 0;
	if (!CHECK(!pthread_create(&thread, NULL, serve_status, s)))
		exit(1);
	buffer_init(&b, STATUS_ANSWER_MOST);
	CHECK_INT(status_ask(path, true, 5000, &b, why), 3);
	CHECK(is_json(b.s, b.len) && b.len > 200000);
	buffer_free(&b);
	__atomic_store_n(&stop, 1, __ATOMIC_RELEASE);
	pthread_join(thread, NULL);
	end(s);
}

static void asks(int want, const char *word)
{
	struct buffer b;
	int got;

	buffer_init(&b, STATUS_ANSWER_MOST);
	got = status_ask(path, true, 200, &b, why);
	CHECK_MSG(got == want, "got %d, wanted %d: %s", got, want, why);
	CHECK_MSG(strstr(why, word) && strstr(why, path), "%s", why);
	CHECK_INT(b.len, 0);
	buffer_free(&b);
}

static void test_client_alone(void)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd;

	end(begin(false));
	asks(-ENOENT, "flowline run");
	mkdir(dir, 0700);
	fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	close(fd);
	asks(-ECONNREFUSED, "nobody answers"); /* what connect(2) says of a plain file, too */
	unlink(path);
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	memcpy(a.sun_path, path, strlen(path));
	CHECK(!bind(fd, (struct sockaddr *)&a, sizeof(a)));
	asks(-ECONNREFUSED, "has ended");
	CHECK(!listen(fd, 8));
	asks(-ETIMEDOUT, "within 200 ms");
	close(fd);
	end(NULL);
}

/* Something else at the other end, or flowline that is killed in the middle. */
static const struct {
	const char *says, *word;
} others[] = {
    {"", "without an answer"},
    {"SSH-2.0-OpenSSH\r\n", "no answer of flowline"},
    {"HTTP/1.0 200 OK\r\nConten", "was cut"},
    {"HTTP/1.0 200 OK\r\nContent-Length: 5\r\nFlowline-Exit: 0\r\n\r\n{}\n", "was cut"},
    {"HTTP/1.0 200 OK\r\nContent-Length: 2\r\nFlowline-Exit: 0\r\n\r\n{}\n", "was cut"},
    {"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\n{}\n", "this version"},
    {"HTTP/1.0 200 OK\r\nContent-Length: x\r\nFlowline-Exit: 0\r\n\r\n{}\n", "this version"},
    {"HTTP/1.0 404 No\r\nContent-Length: 3\r\nFlowline-Exit: 0\r\n\r\n{}\n", "this version"},
    {"HTTP/1.\r\n\r\n", "this version"},
};

static void *say_other(void *arg)
{
	int listener = *(int *)arg, fd;
	char request[256];
	size_t i;

	for (i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		fd = accept(listener, NULL, NULL);
		if (read(fd, request, sizeof(request)) > 0 &&
		    write(fd, others[i].says, strlen(others[i].says)) >= 0)
			close(fd);
	}
	return NULL;
}

static void test_client_others(void)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	pthread_t thread;
	size_t i;
	int fd;

	begin(false);
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	memcpy(a.sun_path, path, strlen(path));
	CHECK(!bind(fd, (struct sockaddr *)&a, sizeof(a)) && !listen(fd, 8));
	if (!CHECK(!pthread_create(&thread, NULL, say_other, &fd)))
		exit(1);
	for (i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		asks(FL_EFORMAT, others[i].word);
	pthread_join(thread, NULL);
	close(fd);
	end(NULL);
}

/* As another user, in a child. */
static void test_client_permission(void)
{
	struct status *s = begin(true);
	int status = -1;
	pid_t pid;

	if (getuid()) {
		TEST_SKIP("only root can become another user");
		end(s);
		return;
	}
	CHECK(!chmod(dir, 0755));
	fflush(stdout);
	pid = fork();
	if (!pid) {
		struct buffer b;

		buffer_init(&b, 1000);
		if (setgid(65534) || setuid(65534))
			_exit(2);
		_exit(status_ask(path, true, 200, &b, why) == -EACCES && strstr(why, "sudo") ? 0
											     : 1);
	}
	CHECK(waitpid(pid, &status, 0) == pid);
	CHECK_INT(status, 0);
	end(s);
}

TEST_MAIN({"the socket's file", test_file}, {"an old socket", test_stale},
	  {"no socket can be made", test_refused}, {"the file is another's", test_not_ours},
	  {"its directory in /run", test_run_directory}, {"requests", test_requests},
	  {"requests in pieces", test_pieces}, {"any bytes", test_any_bytes},
	  {"counters in the middle of a change", test_torn}, {"slow readers", test_slow_reader},
	  {"many clients, silent clients", test_many_and_silent}, {"no server", test_nothing},
	  {"the client", test_client}, {"the client alone", test_client_alone},
	  {"the client and others", test_client_others},
	  {"the client without permission", test_client_permission})
