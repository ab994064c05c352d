/* sink_socket.c - lines to a unix stream socket (unix(7)).
 *
 * A stream has no acknowledgement, but the kernel tells how much of it the reader has not read yet
 * (SIOCOUTQ: unix_outq_len() in net/unix/af_unix.c), and that a reader closed its end with bytes
 * unread (ECONNRESET: unix_release_sock()). The two together say whether a parcel was read; the
 * error is set before the unread bytes are dropped, so the one after the other is no race.
 */
#include "output/sink_socket.h"

#include <errno.h>
#include <linux/sockios.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "output/socket_place.h"
#include "output/turns.h"

#ifndef SIOCOUTQ
#define SIOCOUTQ 0x5411
#endif

enum {
	/* unix_stream_sendmsg() takes up to SKB_MAX_ALLOC (four pages less the headers; newer
	 * kernels more) as a whole or not at all. */
	WHOLE_BYTES = 15 * 1024,
	CONNECT_NS = 10 * 1000000,    /* between two tries while its queue is full */
	UNREAD_FIRST_NS = 50000,      /* between two looks at what is unread: at first, */
	UNREAD_LAST_NS = 5 * 1000000, /* and at most */
	ANSWERS = 16,                 /* reads of what nobody wants, at once */
};

struct stream_sink {
	struct sink sink;
	struct socket_place place;
	uint64_t timeout_ns;
	int fd; /* -1: not connected */
};

/* --- The name --------------------------------------------------------------------------------- */

int socket_place_set(struct socket_place *place, const char *path, char why[SINK_WHY_SIZE])
{
	size_t len = strlen(path), room = sizeof(place->addr.sun_path);
	bool abstract = path[0] == '@';

	memset(place, 0, sizeof(*place));
	if (!len || (abstract && len == 1)) {
		snprintf(why, SINK_WHY_SIZE,
			 "names no socket: want a path, such as /run/telegraf.sock, or @name");
		return FL_EUSAGE;
	}
	/* An abstract name has no final 0, but one before it. */
	if (abstract ? len > room : len >= room) {
		snprintf(
		    why, SINK_WHY_SIZE,
		    "%.200s: a socket's name has at most %zu bytes, this one has %zu: choose a "
		    "shorter one",
		    path, abstract ? room : room - 1, len);
		return -ENAMETOOLONG;
	}
	place->addr.sun_family = AF_UNIX;
	memcpy(place->addr.sun_path, path, len);
	memcpy(place->name, path, len);
	if (abstract)
		place->addr.sun_path[0] = 0;
	place->size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + !abstract);
	return 0;
}

const char *socket_place_advice(int err, bool datagram)
{
	switch (err) {
	case ENOENT:
	case ENOTDIR:
		return "start its reader, which makes this socket, or name another path";
	case ECONNREFUSED:
		return "nobody reads from it: start its reader";
	case EACCES:
	case EPERM:
		return "let this user write to the socket and search its directories";
	case EPROTOTYPE:
		return datagram ? "it is no datagram socket: use type: stream"
				: "it is no stream socket: use type: datagram";
	case EAGAIN:
		return "its reader does not take connections: see whether it hangs";
	case EMFILE:
	case ENFILE:
		return "raise the limit on open files (ulimit -n)";
	default:
		return "see to its reader";
	}
}

/* --- The connection --------------------------------------------------------------------------- */

static void disconnect(struct stream_sink *k)
{
	if (k->fd >= 0)
		close(k->fd);
	k->fd = -1;
}

/* Has the reader closed it? One that only will not write any more (shutdown(2)) has not. What it
 * writes is read and forgotten, so that it never waits for us. */
static bool is_gone(const struct stream_sink *k)
{
	struct pollfd p = {.fd = k->fd};
	char answer[4096];
	int i;

	for (i = 0; i < ANSWERS; i++)
		if (recv(k->fd, answer, sizeof(answer), MSG_DONTWAIT) <= 0)
			break;
	return poll(&p, 1, 0) && (p.revents & (POLLHUP | POLLERR | POLLNVAL));
}

static void progress(const struct stream_sink *k, struct turns *t)
{
	t->until_ns = k->timeout_ns ? turns_now_ns() + k->timeout_ns : 0;
}

/* -ECANCELED, -ETIMEDOUT or 0. */
static int waited(enum turns_end end)
{
	return end == TURNS_STOP ? -ECANCELED : end == TURNS_TIMEOUT ? -ETIMEDOUT : 0;
}

static int connect_stream(struct stream_sink *k, struct turns *t)
{
	int err = 0;

	k->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (k->fd < 0)
		return -errno;
	while (connect(k->fd, (const struct sockaddr *)&k->place.addr, k->place.size)) {
		if (errno == EISCONN)
			break;
		if (errno != EAGAIN && errno != EINTR)
			return -errno;
		if (errno == EAGAIN)
			err = waited(turns_sleep(t, CONNECT_NS));
		if (err)
			return err == -ETIMEDOUT ? -EAGAIN : err;
	}
	return 0;
}

/* --- Sending ---------------------------------------------------------------------------------- */

/* So many bytes go in one go: whole lines, or a line that alone is bigger. */
static size_t whole_lines(const char *p, size_t left)
{
	const char *end;

	if (left <= WHOLE_BYTES)
		return left;
	end = memrchr(p, '\n', WHOLE_BYTES);
	if (!end)
		end = memchr(p, '\n', left);
	return end ? (size_t)(end - p) + 1 : left;
}

/* 0, -ECANCELED, -ETIMEDOUT or -errno. */
static int write_stream(struct stream_sink *k, struct turns *t, const struct parcel *p,
			uint64_t *bytes)
{
	size_t done = 0, end = 0;
	ssize_t n;
	int err;

	while (done < p->size) {
		if (end == done)
			end += whole_lines(p->bytes + done, p->size - done);
		n = send(k->fd, p->bytes + done, end - done, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n > 0) {
			done += (size_t)n;
			*bytes += (size_t)n;
			progress(k, t);
			continue;
		}
		if (n == 0)
			return -EIO;
		if (errno == ENOBUFS || errno == ENOMEM)
			err = waited(turns_sleep(t, CONNECT_NS));
		else if (errno == EAGAIN || errno == EWOULDBLOCK)
			err = waited(turns_poll(t, k->fd, POLLOUT));
		else
			err = errno == EINTR ? 0 : -errno;
		if (err)
			return err;
	}
	return 0;
}

/* Until the reader has read all. */
static int wait_until_read(struct stream_sink *k, struct turns *t)
{
	uint64_t sleep_ns = UNREAD_FIRST_NS;
	int unread, before = 0, gone = 0, err;
	socklen_t size = sizeof(gone);

	while (!ioctl(k->fd, SIOCOUTQ, &unread) && unread > 0) {
		if (unread != before)
			progress(k, t);
		before = unread;
		err = waited(turns_sleep(t, sleep_ns));
		if (err)
			return err;
		sleep_ns = 2 * sleep_ns < UNREAD_LAST_NS ? 2 * sleep_ns : UNREAD_LAST_NS;
	}
	if (getsockopt(k->fd, SOL_SOCKET, SO_ERROR, &gone, &size))
		return -errno;
	return -gone;
}

static void explain(const struct stream_sink *k, int err, bool connected, struct sink_result *r)
{
	if (!connected)
		snprintf(r->why, sizeof(r->why), "%s: %s: %s", k->place.name, fl_strerror(err),
			 socket_place_advice(-err, false));
	else if (err == -ETIMEDOUT)
		snprintf(r->why, sizeof(r->why),
			 "%s: its reader took nothing for %.1f s: see whether it hangs, or raise "
			 "timeout",
			 k->place.name, (double)k->timeout_ns / 1e9);
	else if (err == -EPIPE || err == -ECONNRESET)
		snprintf(r->why, sizeof(r->why),
			 "%s: its reader closed the connection before it had read all",
			 k->place.name);
	else
		snprintf(r->why, sizeof(r->why), "%s: %s: see to its reader", k->place.name,
			 fl_strerror(err));
}

static void stream_send(struct sink *s, const struct parcel *p, const struct sink_turn *turn,
			struct sink_result *r)
{
	struct stream_sink *k = (struct stream_sink *)s;
	bool connected;
	struct turns t;
	int err = 0;

	turns_begin(&t, turn, 0);
	progress(k, &t);
	if (k->fd >= 0 && is_gone(k))
		disconnect(k);
	if (k->fd < 0)
		err = connect_stream(k, &t);
	connected = !err;
	if (!err) {
		progress(k, &t);
		err = write_stream(k, &t, p, &r->bytes);
	}
	if (!err)
		err = wait_until_read(k, &t);
	if (!err) {
		r->verdict = SINK_DELIVERED;
		return;
	}
	/* A part of it may be in: the next connection begins with the whole. */
	disconnect(k);
	r->verdict = err == -ECANCELED    ? SINK_STOPPED
		     : err == -EPROTOTYPE ? SINK_REFUSED
					  : SINK_RETRY;
	if (err != -ECANCELED)
		explain(k, err, connected, r);
}

static void stream_idle(struct sink *s)
{
	struct stream_sink *k = (struct stream_sink *)s;

	if (k->fd >= 0 && is_gone(k))
		disconnect(k);
}

static int stream_close(struct sink *s, char why[SINK_WHY_SIZE])
{
	struct stream_sink *k = (struct stream_sink *)s;

	why[0] = 0;
	disconnect(k);
	free(k);
	return 0;
}

static const struct sink_ops stream_ops = {
    .kind = "unix",
    .spools = true,
    .send = stream_send,
    .idle = stream_idle,
    .close = stream_close,
};

int sink_unix_open(struct sink **sink, const struct sink_unix_config *c, char why[SINK_WHY_SIZE])
{
	struct socket_place place;
	struct stream_sink *k;
	int err;

	*sink = NULL;
	why[0] = 0;
	err = socket_place_set(&place, c->path, why);
	if (err)
		return err;
	if (c->datagram)
		return sink_unix_datagram_open(sink, &place, c, why);
	k = calloc(1, sizeof(*k));
	if (!k) {
		snprintf(why, SINK_WHY_SIZE, "%s: no memory: make some free", place.name);
		return -ENOMEM;
	}
	k->sink.ops = &stream_ops;
	k->place = place;
	k->timeout_ns = c->timeout_ns;
	k->fd = -1;
	*sink = &k->sink;
	return 0;
}
