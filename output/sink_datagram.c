/* sink_datagram.c - lines in datagrams: to a unix socket (unix(7)) or by UDP (RFC 768, udp(7)).
 *
 * Both are connected sockets: the kernel then tells that nobody listens, by UDP with the ICMP
 * errors that come back (RFC 1122 section 4.1.3.3).
 */
#include "output/sink_socket.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <unistd.h>

#include "output/socket_place.h"
#include "output/turns.h"

enum {
	PACE = 32, /* datagrams at once: a receive buffer of the default size holds about 90 of 1400
		    * bytes (net.core.rmem_default), and its reader does not always wake at once */
	PACE_NS = 1000000,
	NO_BUFFERS_NS = 5 * 1000000, /* ENOBUFS: poll(2) does not know when there are some again */
};

static const uint64_t udp_timeout_ns = 1000000000;
static const uint64_t look_up_ns = 300ull * 1000000000;

struct datagram_sink {
	struct sink sink;
	size_t most_bytes;
	uint64_t timeout_ns;
	int fd; /* -1: not connected */

	struct socket_place place; /* unix */

	char *host, *port;      /* UDP; NULL: unix */
	unsigned int addresses; /* that the name had */
	unsigned int address;   /* which of them is tried first */
	uint64_t looked_up_ns;  /* monotonic clock */
};

/* --- The connection --------------------------------------------------------------------------- */

static void disconnect(struct datagram_sink *k)
{
	if (k->fd >= 0)
		close(k->fd);
	k->fd = -1;
}

/* The descriptor, or -errno. */
static int connected_socket(int family, const struct sockaddr *addr, socklen_t size)
{
	int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), err;

	if (fd < 0)
		return -errno;
	while (connect(fd, addr, size)) {
		if (errno == EINTR)
			continue;
		err = -errno;
		close(fd);
		return err;
	}
	return fd;
}

static int connect_unix(struct datagram_sink *k, char why[SINK_WHY_SIZE])
{
	int fd = connected_socket(AF_UNIX, (const struct sockaddr *)&k->place.addr, k->place.size);

	if (fd < 0)
		snprintf(why, SINK_WHY_SIZE, "%s: %s: %s", k->place.name, fl_strerror(fd),
			 socket_place_advice(-fd, true));
	return fd;
}

/* The n-th address first, then the ones behind it, then those before: the first that there is a way
 * to. */
static int connect_one_of(const struct addrinfo *all, unsigned int n, unsigned int first,
			  unsigned int *used)
{
	const struct addrinfo *a;
	unsigned int i, j;
	int fd = -EADDRNOTAVAIL;

	for (i = 0; i < n; i++) {
		*used = (first + i) % n;
		for (j = 0, a = all; j < *used; j++)
			a = a->ai_next;
		fd = connected_socket(a->ai_family, a->ai_addr, a->ai_addrlen);
		if (fd >= 0)
			break;
	}
	return fd;
}

static int connect_udp(struct datagram_sink *k, char why[SINK_WHY_SIZE])
{
	struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_DGRAM}, *all, *a;
	int fd, err = getaddrinfo(k->host, k->port, &hints, &all);
	unsigned int n = 0;

	k->looked_up_ns = turns_now_ns();
	if (err) {
		snprintf(why, SINK_WHY_SIZE, "%.200s port %.50s: %s: see to the name, or to DNS",
			 k->host, k->port,
			 err == EAI_SYSTEM ? fl_strerror(-errno) : gai_strerror(err));
		return -EDESTADDRREQ;
	}
	for (a = all; a; a = a->ai_next)
		n++;
	fd = connect_one_of(all, n, k->address, &k->address);
	freeaddrinfo(all);
	k->addresses = n;
	if (fd < 0)
		snprintf(why, SINK_WHY_SIZE, "%.200s port %.50s: %s: see to the way there", k->host,
			 k->port, fl_strerror(fd));
	return fd;
}

/* 0, or a negative error with why. */
static int connect_datagram(struct datagram_sink *k, char why[SINK_WHY_SIZE])
{
	char text[SINK_WHY_SIZE];
	int fd;

	if (k->fd < 0) {
		fd = k->host ? connect_udp(k, why) : connect_unix(k, why);
		if (fd < 0)
			return fd;
		k->fd = fd;
	} else if (k->host && turns_now_ns() - k->looked_up_ns >= look_up_ns) {
		/* A name may have moved; where it cannot be looked up, the old address is all there
		 * is. */
		fd = connect_udp(k, text);
		if (fd >= 0) {
			close(k->fd);
			k->fd = fd;
		}
	}
	return 0;
}

/* The error that waits at the socket: an ICMP message came. 0, or -errno. */
static int take_error(const struct datagram_sink *k)
{
	socklen_t size;
	int err = 0;

	size = sizeof(err);
	if (!k->host || k->fd < 0 || getsockopt(k->fd, SOL_SOCKET, SO_ERROR, &err, &size))
		return 0;
	return -err;
}

/* --- Sending ---------------------------------------------------------------------------------- */

static void progress(const struct datagram_sink *k, struct turns *t)
{
	t->until_ns = k->timeout_ns ? turns_now_ns() + k->timeout_ns : 0;
}

/* 0, -EMSGSIZE, -ECANCELED, -ETIMEDOUT, or -errno. */
static int send_one(const struct datagram_sink *k, struct turns *t, const char *p, size_t len)
{
	enum turns_end end = TURNS_READY;
	unsigned int denied = 0;

	while (end == TURNS_READY) {
		if (send(k->fd, p, len, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
			return 0;
		switch (errno) {
		case EINTR:
			break;
		case EAGAIN:
			/* Until there is room, says poll(2); should it be wrong, not at full speed.
			 */
			if (denied++)
				end = turns_sleep(t, PACE_NS);
			if (end == TURNS_READY)
				end = turns_poll(t, k->fd, POLLOUT);
			break;
		case ENOBUFS:
		case ENOMEM:
			end = turns_sleep(t, NO_BUFFERS_NS);
			break;
		default:
			return -errno;
		}
	}
	return end == TURNS_STOP ? -ECANCELED : -ETIMEDOUT;
}

/* The next datagram: whole lines of at most limit bytes, or one that is longer. */
static size_t next_datagram(const char *p, size_t left, size_t limit)
{
	const char *end;

	if (left <= limit)
		return left;
	end = memrchr(p, '\n', limit);
	if (!end)
		end = memchr(p, '\n', left);
	return end ? (size_t)(end - p) + 1 : left;
}

static bool is_one_line(const char *p, size_t len)
{
	const char *end = memchr(p, '\n', len);

	return !end || end == p + len - 1;
}

/* All of it: 0; with the lines that fit into no datagram in r->lost. Else as send_one(). */
static int send_all(const struct datagram_sink *k, struct turns *t, const struct parcel *p,
		    struct sink_result *r)
{
	size_t at = 0, len, limit = k->most_bytes, longest = 0;
	unsigned int sent = 0;
	int err;

	r->lost = 0;
	for (; at < p->size; at += len) {
		len = next_datagram(p->bytes + at, p->size - at, limit);
		err = len > k->most_bytes ? -EMSGSIZE : send_one(k, t, p->bytes + at, len);
		if (!err) {
			r->bytes += len;
			progress(k, t);
			if (k->host && ++sent % PACE == 0 && turns_sleep(t, PACE_NS) == TURNS_STOP)
				return -ECANCELED;
		} else if (err != -EMSGSIZE) {
			return err;
		} else if (is_one_line(p->bytes + at, len)) {
			r->lost++;
			longest = len > longest ? len : longest;
		} else {
			limit = len / 2; /* the kernel's limit: in halves, until it fits */
			len = 0;
		}
	}
	if (r->lost)
		snprintf(r->why, sizeof(r->why),
			 "%u points lost whose lines (of up to %zu bytes) fit into no datagram: "
			 "raise datagram_size, now %zu",
			 r->lost, longest, k->most_bytes);
	return 0;
}

static void explain(const struct datagram_sink *k, int err, struct sink_result *r)
{
	const char *what = fl_strerror(err);

	if (err == -ETIMEDOUT)
		snprintf(r->why, sizeof(r->why), "%.200s: %s", k->host ? k->host : k->place.name,
			 k->host ? "the network interface takes nothing: see to it"
				 : "its reader's queue stays full: see whether it hangs");
	else if (!k->host)
		snprintf(r->why, sizeof(r->why), "%s: %s: %s", k->place.name, what,
			 socket_place_advice(-err, true));
	else
		snprintf(r->why, sizeof(r->why), "%.200s port %.50s: %s: %s", k->host, k->port,
			 what,
			 err == -ECONNREFUSED ? "nobody listens there: start its reader"
					      : "see to the way there, and to its firewalls");
}

/* Once, at the present address. 0; or a negative error with why. */
static int try_address(struct datagram_sink *k, struct turns *t, const struct parcel *p,
		       struct sink_result *r)
{
	int err = connect_datagram(k, r->why);

	if (err)
		return err;
	r->why[0] = 0;
	progress(k, t);
	err = send_all(k, t, p, r);
	if (!err)
		err = take_error(k);
	if (err && err != -ECANCELED)
		explain(k, err, r);
	return err;
}

static void datagram_send(struct sink *s, const struct parcel *p, const struct sink_turn *turn,
			  struct sink_result *r)
{
	struct datagram_sink *k = (struct datagram_sink *)s;
	int earlier = take_error(k), err;
	/* A reader that was started anew has a new socket of the old name. */
	unsigned int tries = k->host || k->fd < 0 ? 1 : 2, i = 0;
	struct turns t;

	turns_begin(&t, turn, 0);
	for (;;) {
		err = try_address(k, &t, p, r);
		if (k->host && k->addresses > tries)
			tries = k->addresses;
		if (!err || err == -ECANCELED || err == -ETIMEDOUT || ++i >= tries)
			break;
		disconnect(k);
		k->address++;
	}
	if (!err) {
		r->verdict = SINK_DELIVERED;
		if (earlier && !r->why[0]) {
			explain(k, earlier, r);
			disconnect(k); /* and look the name up again */
		}
		return;
	}
	disconnect(k);
	k->address = 0;
	r->lost = 0;
	r->verdict = err == -ECANCELED    ? SINK_STOPPED
		     : err == -EPROTOTYPE ? SINK_REFUSED
					  : SINK_RETRY;
	if (err == -ECANCELED)
		r->why[0] = 0;
}

/* --- Opening and closing ---------------------------------------------------------------------- */

static void free_datagram(struct datagram_sink *k)
{
	free(k->host);
	free(k->port);
	free(k);
}

static int datagram_close(struct sink *s, char why[SINK_WHY_SIZE])
{
	struct datagram_sink *k = (struct datagram_sink *)s;

	why[0] = 0;
	disconnect(k);
	free_datagram(k);
	return 0;
}

static const struct sink_ops unix_ops = {
    .kind = "unix",
    .send = datagram_send,
    .close = datagram_close,
};

static const struct sink_ops udp_ops = {
    .kind = "udp",
    .send = datagram_send,
    .close = datagram_close,
};

static struct datagram_sink *new_datagram(const struct sink_ops *ops, const char *name,
					  size_t most_bytes, uint64_t timeout_ns, int *err,
					  char why[SINK_WHY_SIZE])
{
	struct datagram_sink *k = most_bytes ? calloc(1, sizeof(*k)) : NULL;

	*err = k ? 0 : most_bytes ? -ENOMEM : FL_EUSAGE;
	if (!k) {
		snprintf(why, SINK_WHY_SIZE, "%.300s: %s", name,
			 most_bytes ? "no memory: make some free"
				    : "a datagram of no bytes holds no line: raise datagram_size");
		return NULL;
	}
	k->sink.ops = ops;
	k->most_bytes = most_bytes;
	k->timeout_ns = timeout_ns;
	k->fd = -1;
	return k;
}

int sink_unix_datagram_open(struct sink **sink, const struct socket_place *place,
			    const struct sink_unix_config *c, char why[SINK_WHY_SIZE])
{
	int err;
	struct datagram_sink *k =
	    new_datagram(&unix_ops, place->name, c->datagram_bytes, c->timeout_ns, &err, why);

	if (!k)
		return err;
	k->place = *place;
	*sink = &k->sink;
	return 0;
}

int sink_udp_open(struct sink **sink, const struct sink_udp_config *c, char why[SINK_WHY_SIZE])
{
	struct datagram_sink *k;
	int err;

	*sink = NULL;
	why[0] = 0;
	if (!*c->host || !*c->port) {
		snprintf(why, SINK_WHY_SIZE, "names no %s: want HOST:PORT, such as 127.0.0.1:8089",
			 *c->host ? "port" : "host");
		return FL_EUSAGE;
	}
	k = new_datagram(&udp_ops, c->host, c->datagram_bytes, udp_timeout_ns, &err, why);
	if (!k)
		return err;
	k->host = strdup(c->host);
	k->port = strdup(c->port);
	if (!k->host || !k->port) {
		free_datagram(k);
		snprintf(why, SINK_WHY_SIZE, "%.300s: no memory: make some free", c->host);
		return -ENOMEM;
	}
	*sink = &k->sink;
	return 0;
}
