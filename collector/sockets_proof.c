/* sockets_proof.c - one connection with known byte counts, and one attempt that is refused.
 *
 * The client sends, the server answers, the client shuts down, and both close: each step leaves its
 * mark in the counters, and so shows what this kernel counts beside payload.
 */
#include "collector/sockets_proof.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "flows/packet.h"

#define PROOF_LISTING "listing sockets by sock_diag (the kernel's modules inet_diag and tcp_diag)"

enum {
	PROOF_SENT = 1357, /* bytes, the client's */
	PROOF_BACK = 2468,
	PROOF_STEP_MS = 200, /* loopback needs less than one */
	PROOF_GONE_MS = 300,
};

struct proof {
	struct sockdiag *d;
	struct sockets_events *e;
	struct sockets_proof *out;
	uint32_t has;
	int listener, client, server, refused;
	struct sock_entry live[2];               /* the client's end, the server's */
	struct sock_entry gone[2], refused_gone; /* proto 0: no message yet */
	const char *step;                        /* what is being done */
};

static uint64_t proof_now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static bool end_is(const struct sock_end *a, const struct sock_end *b)
{
	return a->port == b->port && addr_equal(&a->addr, &b->addr);
}

bool sockets_proof_owns(const struct sockets_proof *p, const struct sock_entry *s)
{
	return (end_is(&s->local, &p->client) && end_is(&s->remote, &p->server)) ||
	       (end_is(&s->local, &p->server) &&
		(end_is(&s->remote, &p->client) || s->remote.port == 0)) ||
	       (end_is(&s->local, &p->refused) &&
		(end_is(&s->remote, &p->server) || s->remote.port == 0));
}

static int proof_wait(int fd, short events)
{
	struct pollfd p = {fd, events, 0};
	int n;

	do
		n = poll(&p, 1, PROOF_STEP_MS);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n ? 0 : -ETIMEDOUT;
}

/* A socket on 127.0.0.1 and a port that was free. */
static int proof_socket(int *fd, struct sock_end *end)
{
	struct sockaddr_in a;
	socklen_t len = sizeof(a);

	*fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (*fd < 0)
		return -errno;
	memset(&a, 0, sizeof(a));
	a.sin_family = AF_INET;
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (bind(*fd, (const struct sockaddr *)&a, sizeof(a)) < 0 ||
	    getsockname(*fd, (struct sockaddr *)&a, &len) < 0)
		return -errno;
	addr_from_v4(&end->addr, (const uint8_t *)&a.sin_addr);
	end->port = ntohs(a.sin_port);
	return 0;
}

/* 0; or what became of it. */
static int proof_dial(int fd, uint16_t port)
{
	struct sockaddr_in a;
	socklen_t len = sizeof(int);
	int err;

	memset(&a, 0, sizeof(a));
	a.sin_family = AF_INET;
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	a.sin_port = htons(port);
	if (connect(fd, (const struct sockaddr *)&a, sizeof(a)) == 0)
		return 0;
	if (errno != EINPROGRESS)
		return -errno;
	err = proof_wait(fd, POLLOUT);
	if (err)
		return err;
	return getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len) < 0 ? -errno : -err;
}

static int proof_connect(struct proof *p)
{
	int err;

	p->step = "listening on 127.0.0.1";
	err = proof_socket(&p->listener, &p->out->server);
	if (!err && listen(p->listener, 4) < 0)
		err = -errno;
	if (err)
		return err;
	p->step = "connecting to itself on 127.0.0.1";
	err = proof_socket(&p->client, &p->out->client);
	if (!err)
		err = proof_dial(p->client, p->out->server.port);
	if (!err)
		err = proof_wait(p->listener, POLLIN);
	if (err)
		return err;
	p->server = accept(p->listener, NULL, NULL);
	if (p->server < 0)
		return -errno;
	close(p->listener);
	p->listener = -1;
	return 0;
}

/* n bytes from one end to the other, all read: a socket that is closed with bytes unread resets. */
static int proof_transfer(int from, int to, size_t n)
{
	char buf[PROOF_BACK];
	ssize_t got;
	int err;

	memset(buf, 'f', sizeof(buf));
	if (send(from, buf, n, MSG_NOSIGNAL) != (ssize_t)n)
		return errno ? -errno : -EIO;
	while (n) {
		err = proof_wait(to, POLLIN);
		if (err)
			return err;
		got = recv(to, buf, n, MSG_DONTWAIT);
		if (got == 0)
			return -ECONNRESET;
		if (got < 0 && errno != EAGAIN && errno != EINTR)
			return -errno;
		n -= got > 0 ? (size_t)got : 0;
	}
	return 0;
}

/* Both ends as the kernel has them now. */
static int proof_look(struct proof *p)
{
	const struct sock_end *c = &p->out->client, *s = &p->out->server;
	int err;

	p->step = PROOF_LISTING;
	err = sockdiag_lookup_tcp(p->d, c, s, &p->live[0]);
	if (err > 0)
		err = sockdiag_lookup_tcp(p->d, s, c, &p->live[1]);
	/* a listener would be found, too */
	if (err >= 0 && (err == 0 || !p->live[0].remote.port || !p->live[1].remote.port))
		err = -ENOENT;
	p->live[0].tcp.has &= p->has;
	p->live[1].tcp.has &= p->has;
	return err < 0 ? err : 0;
}

static void proof_count(void *ctx, const struct sock_entry *s)
{
	*(unsigned int *)ctx += s->state == SOCK_ESTABLISHED;
}

/* A dump is another request: one, for with very many sockets it takes a while. */
static int proof_dump(struct proof *p)
{
	struct sock_query q = {PROTO_TCP, SOCK_STATES_CONNECTED, true};
	unsigned int n = 0;
	struct sock_visitor v = {NULL, proof_count, &n};
	int err;

	p->step = PROOF_LISTING;
	err = sockdiag_dump_ports(p->d, &q, p->out->client.port, p->out->server.port, &v);
	if (!err && !sockdiag_by_netlink(p->d, PROTO_TCP))
		err = -EOPNOTSUPP;
	return !err && !n ? -ENOENT : err;
}

static uint64_t proof_bytes_sent(const struct sock_tcp *t)
{
	return t->bytes_sent - t->bytes_retrans;
}

/* Nothing is closed yet: which bytes does it tell, and are they right? The server's ACK of what the
 * client sent came with its answer. */
static int proof_counters(struct proof *p)
{
	const struct sock_tcp *c = &p->live[0].tcp, *s = &p->live[1].tcp;
	struct sockets_proof *out = p->out;
	int err = proof_dump(p);

	if (!err)
		err = proof_look(p);
	if (err)
		return err;
	out->has = c->has & s->has & ~(uint32_t)SOCK_TCP_RTT;
	if (!(out->has & SOCK_TCP_BYTES)) {
		snprintf(
		    out->counters_why, sizeof(out->counters_why),
		    "this kernel tells no bytes of a socket: Linux 4.1 or newer, and RHEL 7's, do");
		return 0;
	}
	out->quirks.acked_syn = c->bytes_acked == PROOF_SENT + 1;
	out->counters = c->bytes_received == PROOF_BACK && s->bytes_received == PROOF_SENT &&
			c->bytes_acked == PROOF_SENT + (uint64_t)out->quirks.acked_syn &&
			(!(out->has & SOCK_TCP_SENT) ||
			 (proof_bytes_sent(c) == PROOF_SENT && proof_bytes_sent(s) == PROOF_BACK));
	if (!out->counters)
		snprintf(
		    out->counters_why, sizeof(out->counters_why),
		    "the kernel's byte counts of a connection that sent %d and %d bytes are wrong: "
		    "%llu acknowledged and %llu received",
		    PROOF_SENT, PROOF_BACK, (unsigned long long)c->bytes_acked,
		    (unsigned long long)c->bytes_received);
	return 0;
}

/* The client's FIN: does it count? Its ACK may take 40 ms, and only matters where the kernel has no
 * bytes_sent. */
static int proof_fin(struct proof *p)
{
	struct sockets_quirks *q = &p->out->quirks;
	uint64_t end = proof_now_ms() + PROOF_STEP_MS;
	bool want_ack = !(p->out->has & SOCK_TCP_SENT);
	int on = 1, err;
	char c;

	p->step = "closing its own connection on 127.0.0.1";
	(void)setsockopt(p->server, IPPROTO_TCP, TCP_QUICKACK, &on, sizeof(on));
	if (shutdown(p->client, SHUT_WR) < 0)
		return -errno;
	err = proof_wait(p->server, POLLIN);
	if (err)
		return err;
	if (recv(p->server, &c, 1, MSG_DONTWAIT) != 0)
		return -EIO;
	for (;;) {
		err = proof_look(p);
		if (err || !want_ack || p->live[0].state == SOCK_FIN_WAIT2 || proof_now_ms() > end)
			break;
		(void)poll(NULL, 0, 2);
	}
	if (err || !(p->out->has & SOCK_TCP_BYTES))
		return err;
	q->received_fin = p->live[1].tcp.bytes_received == PROOF_SENT + 1;
	q->acked_fin = p->live[0].tcp.bytes_acked == PROOF_SENT + (uint64_t)q->acked_syn + 1;
	return 0;
}

/* Nobody listens at the server's port any more. What connect() says does not matter here. */
static int proof_refused(struct proof *p)
{
	int err;

	p->step = "connecting to itself on 127.0.0.1";
	err = proof_socket(&p->refused, &p->out->refused);
	if (!err)
		(void)proof_dial(p->refused, p->out->server.port);
	return err;
}

static void proof_gone(void *ctx, const struct sock_entry *s)
{
	struct proof *p = ctx;
	struct sock_entry *keep = NULL;

	if (end_is(&s->local, &p->out->refused))
		keep = &p->refused_gone;
	else if (sockets_proof_owns(p->out, s) && s->remote.port)
		keep = &p->gone[end_is(&s->local, &p->out->server)];
	if (!keep)
		return;
	*keep = *s;
	keep->tcp.has &= p->has;
}

static bool proof_all_gone(const struct proof *p)
{
	return p->gone[0].proto && p->gone[1].proto && p->refused_gone.proto;
}

/* Does the message of this closed end tell its bytes? A FIN may count 1. */
static bool proof_is_right(const struct proof *p, int end)
{
	uint64_t sent = end ? PROOF_BACK : PROOF_SENT, received = end ? PROOF_SENT : PROOF_BACK;
	struct kernel_sample s;

	sockets_sample(&p->gone[end], &p->out->quirks, end == 0, &s);
	if ((s.has & (KERNEL_SENT | KERNEL_RECEIVED)) != (KERNEL_SENT | KERNEL_RECEIVED))
		return false;
	if (s.received != received && s.received != received + p->out->quirks.received_fin)
		return false;
	return s.sent == sent || (!(p->has & p->out->has & SOCK_TCP_SENT) &&
				  s.sent == sent + p->out->quirks.acked_fin);
}

static int proof_close(struct proof *p)
{
	uint64_t end = proof_now_ms() + PROOF_GONE_MS, now;
	struct sockets_proof *out = p->out;
	struct kernel_sample s;
	int err = 0;

	if (!p->e)
		return 0;
	while (!err && !proof_all_gone(p) && (now = proof_now_ms()) < end) {
		struct pollfd fd = {sockets_events_fd(p->e), POLLIN, 0};

		(void)poll(&fd, 1, (int)(end - now));
		err = sockets_events_read(p->e, 1024, proof_gone, p);
		err = err > 0 ? 0 : err;
	}
	out->all_gone = proof_all_gone(p);
	sockets_sample(&p->refused_gone, &out->quirks, true, &s);
	out->close = out->all_gone && out->counters && proof_is_right(p, 0) &&
		     proof_is_right(p, 1) && !s.sent && !s.received &&
		     !(s.has & KERNEL_ESTABLISHED);
	if (err)
		snprintf(out->close_why, sizeof(out->close_why),
			 "reading messages of closed sockets: %s", fl_strerror(err));
	else if (!out->all_gone)
		snprintf(out->close_why, sizeof(out->close_why),
			 "no message came of a connection that was closed: Linux 4.3 or newer "
			 "sends one");
	else if (!out->close)
		snprintf(out->close_why, sizeof(out->close_why),
			 "the message of a connection that was closed does not tell its bytes");
	return 0;
}

static void proof_close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

int sockets_prove(struct sockdiag *d, struct sockets_events *e, uint32_t has,
		  struct sockets_proof *out, char why[KERNEL_WHY_SIZE])
{
	struct proof p;
	int err;

	memset(&p, 0, sizeof(p));
	memset(out, 0, sizeof(*out));
	p.d = d;
	p.e = e;
	p.out = out;
	p.has = has;
	p.listener = p.client = p.server = p.refused = -1;
	err = proof_connect(&p);
	if (!err)
		err = proof_transfer(p.client, p.server, PROOF_SENT);
	if (!err)
		err = proof_transfer(p.server, p.client, PROOF_BACK);
	if (!err)
		err = proof_counters(&p);
	if (!err)
		err = proof_fin(&p);
	if (!err)
		err = proof_refused(&p);
	proof_close_fd(&p.server);
	proof_close_fd(&p.client);
	proof_close_fd(&p.refused);
	proof_close_fd(&p.listener);
	if (!err)
		return proof_close(&p);
	snprintf(why, KERNEL_WHY_SIZE, "%s: %s%s", p.step, fl_strerror(err),
		 err == -ENETUNREACH || err == -EADDRNOTAVAIL ? " (mend it with: ip link set lo up)"
							      : "");
	return err;
}
