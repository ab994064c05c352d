/* status_client.c - see status_client.h. The request is HTTP/1.0 (RFC 1945): its header tells how
 * long the answer is, so that a cut one is noticed.
 */
#include "collector/status_client.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_MS 1000000ULL
#define NS_PER_S  1000000000ULL

enum { BACKLOG_NAP_MS = 20 };

struct call {
	const char *path;
	int fd;
	uint64_t until_ns; /* monotonic */
	unsigned int timeout_ms;
	char *why;
};

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

static int left_ms(const struct call *c)
{
	uint64_t now = now_ns();

	return now >= c->until_ns ? 0 : (int)((c->until_ns - now) / NS_PER_MS) + 1;
}

/* --- what went wrong -------------------------------------------------------------------------- */

static int refused(struct call *c, int err)
{
	const char *what = strerror(err), *mend = "";

	switch (err) {
	case ENOENT:
		what = "there is no socket";
		mend = "is `flowline run` running? Its status.socket may be another path: --socket";
		break;
	case ENOTDIR:
	case EPROTOTYPE:
	case ENOTSOCK:
		what = "this is no socket of flowline";
		mend = "--socket wants the path that the running flowline has in status.socket";
		break;
	case ECONNREFUSED:
		what = "nobody answers";
		mend = "`flowline run` has ended, or was killed: start it";
		break;
	case EACCES:
	case EPERM:
		mend = "ask as root (sudo flowline status), or as a member of the socket's group";
		break;
	default:
		break;
	}
	snprintf(c->why, STATUS_WHY_SIZE, "%s: %s%s%s", c->path, what, mend[0] ? "; " : "", mend);
	return -err;
}

static int timed_out(struct call *c)
{
	snprintf(c->why, STATUS_WHY_SIZE,
		 "%s: no answer within %u ms; flowline is there, but hangs or is very busy: what "
		 "does its log say?",
		 c->path, c->timeout_ms);
	return -ETIMEDOUT;
}

static int broken(struct call *c, const char *what)
{
	snprintf(c->why, STATUS_WHY_SIZE, "%s: %s; try again, and look at flowline's log", c->path,
		 what);
	return FL_EFORMAT;
}

/* --- the talk --------------------------------------------------------------------------------- */

/* A full backlog refuses a socket that does not wait, and nothing tells when there is room. */
static int call_up(struct call *c)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	struct timespec nap = {0, (long)(BACKLOG_NAP_MS * NS_PER_MS)};

	if (strlen(c->path) >= sizeof(a.sun_path))
		return refused(c, ENAMETOOLONG);
	memcpy(a.sun_path, c->path, strlen(c->path));
	c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (c->fd < 0)
		return refused(c, errno);
	while (connect(c->fd, (const struct sockaddr *)&a, sizeof(a))) {
		if (errno == EINTR)
			continue;
		if (errno != EAGAIN)
			return refused(c, errno);
		if (!left_ms(c))
			return timed_out(c);
		nanosleep(&nap, NULL);
	}
	return 0;
}

static int wait_for(struct call *c, short events)
{
	struct pollfd fd = {c->fd, events, 0};
	int n = poll(&fd, 1, left_ms(c));

	if (n < 0 && errno != EINTR)
		return refused(c, errno);
	return !left_ms(c) ? timed_out(c) : 0;
}

static int send_request(struct call *c, bool json)
{
	const char *request = json ? "GET /json HTTP/1.0\r\n\r\n" : "GET /table HTTP/1.0\r\n\r\n";
	size_t len = strlen(request);

	while (len) {
		ssize_t n = send(c->fd, request, len, MSG_NOSIGNAL);
		int err;

		if (n >= 0) {
			request += n;
			len -= (size_t)n;
			continue;
		}
		if (errno != EAGAIN && errno != EINTR)
			return broken(c, "the connection broke");
		err = wait_for(c, POLLOUT);
		if (err)
			return err;
	}
	return 0;
}

static int receive(struct call *c, struct buffer *all)
{
	char piece[4096];

	for (;;) {
		ssize_t n = recv(c->fd, piece, sizeof(piece), 0);
		int err;

		if (!n)
			return 0;
		if (n > 0) {
			buffer_put(all, piece, (size_t)n);
			if (all->failed)
				return broken(c, "the answer is too long");
			continue;
		}
		if (errno != EAGAIN && errno != EINTR)
			return broken(c, "the connection broke");
		err = wait_for(c, POLLIN);
		if (err)
			return err;
	}
}

/* --- the answer ------------------------------------------------------------------------------- */

/* A header's number; -1: it is not there. head: lines with their ends, 0-terminated. */
static long header(const char *head, const char *name)
{
	const char *line = head;
	size_t len = strlen(name);
	char *end;
	long v;

	while ((line = strchr(line, '\n')) != NULL) {
		line++;
		if (strncasecmp(line, name, len) || line[len] != ':')
			continue;
		v = strtol(line + len + 1, &end, 10);
		return end > line + len + 1 && (*end == '\r' || *end == '\n') && v >= 0 ? v : -1;
	}
	return -1;
}

static int take(struct call *c, const struct buffer *all, struct buffer *answer)
{
	char *body = all->s ? strstr(all->s, "\r\n\r\n") : NULL;
	long length, status;
	size_t size;

	if (!all->len)
		return broken(c, "it ended the connection without an answer");
	if (!body || strncmp(all->s, "HTTP/1.", 7))
		return broken(c, strncmp(all->s, "HTTP/1.", 7) ? "this is no answer of flowline"
							       : "the answer was cut");
	body[2] = '\0'; /* the head is a text of its own */
	body += 4;
	size = all->len - (size_t)(body - all->s);
	length = header(all->s, "Content-Length");
	status = header(all->s, STATUS_EXIT_HEADER);
	if (strncmp(all->s + 8, " 200 ", 5) || length < 0 || (status != 0 && status != 3))
		return broken(c, "this is no answer of this version of flowline");
	if (size != (size_t)length)
		return broken(c, "the answer was cut");
	buffer_put(answer, body, size);
	return answer->failed ? broken(c, "memory was refused") : (int)status;
}

int status_ask(const char *path, bool json, unsigned int timeout_ms, struct buffer *answer,
	       char why[STATUS_WHY_SIZE])
{
	struct call c = {path, -1, now_ns() + timeout_ms * NS_PER_MS, timeout_ms, why};
	struct buffer all;
	int err;

	why[0] = '\0';
	buffer_init(&all, 2 * STATUS_ANSWER_MOST);
	err = call_up(&c);
	if (!err)
		err = send_request(&c, json);
	if (!err)
		err = receive(&c, &all);
	if (!err)
		err = take(&c, &all, answer);
	if (c.fd >= 0)
		close(c.fd);
	buffer_free(&all);
	return err;
}
