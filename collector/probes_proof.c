/* probes_proof.c - connections of one's own on loopback: do the attached programs tell what they
 * should?
 *
 * An attach that succeeds proves nothing: a function may be inlined where it matters, or its
 * arguments may be others than in the kernel's type information.
 */
#include "collector/probes_internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "common/addr.h"

enum {
	CLIENT_SENDS = 1000,
	SERVER_SENDS = 500,
	WAIT_US = 2000,
	SOCKET_WAIT_US = 150000,
};

#define PROOF_NS 400000000ull  /* most that is waited for events */
#define AFTER_NS 1000000000ull /* our connections' last events come until then */

enum seen {
	SEEN_CONNECT = 1 << 0,
	SEEN_ESTABLISHED = 1 << 1, /* by the server */
	SEEN_CLIENT_CLOSE = 1 << 2,
	SEEN_SERVER_CLOSE = 1 << 3,
	SEEN_REFUSED = 1 << 4,
	SEEN_ACCEPT = 1 << 5,
	SEEN_RETURN = 1 << 6,
	SEEN_LISTEN = 1 << 7,
	SEEN_BIND = 1 << 8,
	SEEN_UDP_SENT = 1 << 9,
	SEEN_UDP_RECEIVED = 1 << 10,
	SEEN_RESET_RECEIVED = 1 << 11,
};

static const struct {
	enum probe_fact fact;
	uint32_t seen;
} wanted[] = {
    {PROBE_FACT_STATE, SEEN_CONNECT | SEEN_ESTABLISHED | SEEN_REFUSED},
    {PROBE_FACT_ACCEPT, SEEN_ACCEPT},
    {PROBE_FACT_CLOSE, SEEN_CLIENT_CLOSE | SEEN_SERVER_CLOSE},
    {PROBE_FACT_RETURN, SEEN_RETURN},
    {PROBE_FACT_LISTEN, SEEN_LISTEN},
    {PROBE_FACT_BIND, SEEN_BIND},
    {PROBE_FACT_UDP_SENT, SEEN_UDP_SENT},
    {PROBE_FACT_UDP_RECEIVED, SEEN_UDP_RECEIVED},
    {PROBE_FACT_RESET_RECEIVED, SEEN_RESET_RECEIVED},
};

struct probe_proof {
	uint16_t listens, connects, refuses, asks; /* ports, host byte order */
	int listener, client, server, refuser, udp, asker;
	uint64_t counts[PROBE_COUNTS]; /* before */
	uint32_t seen;
	uint32_t pid;  /* ours, as the kernel says */
	bool confused; /* the end that connected was told to have accepted */
};

/* ---- connections */

static struct sockaddr_in loopback(uint16_t port)
{
	struct sockaddr_in a;

	memset(&a, 0, sizeof(a));
	a.sin_family = AF_INET;
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	a.sin_port = htons(port);
	return a;
}

static int make(int type)
{
	struct timeval wait = {0, SOCKET_WAIT_US};
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait));
	return fd;
}

static int make_bound(int type, uint16_t port, uint16_t *out)
{
	struct sockaddr_in a = loopback(port);
	socklen_t len = sizeof(a);
	int fd = make(type);

	if (fd < 0)
		return -1;
	if (!bind(fd, (struct sockaddr *)&a, sizeof(a)) &&
	    !getsockname(fd, (struct sockaddr *)&a, &len)) {
		*out = ntohs(a.sin_port);
		return fd;
	}
	close(fd);
	return -1;
}

static bool send_all(int from, int to, size_t n)
{
	char bytes[CLIENT_SENDS];
	size_t got = 0;

	memset(bytes, 'x', sizeof(bytes));
	if (send(from, bytes, n, MSG_NOSIGNAL) != (ssize_t)n)
		return false;
	while (got < n) {
		ssize_t r = recv(to, bytes, n - got, 0);

		if (r <= 0)
			return false;
		got += (size_t)r;
	}
	return true;
}

static bool connect_and_talk(struct probe_proof *f)
{
	struct sockaddr_in to = loopback(f->listens), own;
	socklen_t len = sizeof(own);
	char end;

	f->client = make(SOCK_STREAM);
	if (f->client < 0 || connect(f->client, (struct sockaddr *)&to, sizeof(to)) ||
	    getsockname(f->client, (struct sockaddr *)&own, &len))
		return false;
	f->connects = ntohs(own.sin_port);
	f->server = accept(f->listener, NULL, NULL);
	if (f->server < 0 || !send_all(f->client, f->server, CLIENT_SENDS) ||
	    !send_all(f->server, f->client, SERVER_SENDS))
		return false;
	close(f->client);
	f->client = -1;
	if (recv(f->server, &end, 1, 0) != 0)
		return false;
	close(f->server);
	f->server = -1;
	return true;
}

static void connect_refused(struct probe_proof *f)
{
	struct sockaddr_in to = loopback(f->refuses);
	int fd = make(SOCK_STREAM);

	/* bound, but nobody listens there, nor can anybody begin to */
	if (fd >= 0 && !connect(fd, (struct sockaddr *)&to, sizeof(to)))
		errno = 0;
	if (fd >= 0)
		close(fd);
	fd = make(SOCK_STREAM);
	to.sin_addr.s_addr = htonl(INADDR_BROADCAST); /* ENETUNREACH, whatever the routes are */
	if (fd >= 0 && !connect(fd, (struct sockaddr *)&to, sizeof(to)))
		errno = 0;
	if (fd >= 0)
		close(fd);
}

static void send_datagram(struct probe_proof *f)
{
	struct sockaddr_in to = loopback(f->listens), own;
	socklen_t len = sizeof(own);
	uint16_t port;
	char byte = 'x';

	f->udp = make_bound(SOCK_DGRAM, f->listens, &port);
	f->asker = make(SOCK_DGRAM);
	if (f->udp < 0 || f->asker < 0 ||
	    sendto(f->asker, &byte, 1, 0, (struct sockaddr *)&to, sizeof(to)) != 1 ||
	    getsockname(f->asker, (struct sockaddr *)&own, &len) || recv(f->udp, &byte, 1, 0) != 1)
		return;
	f->asks = ntohs(own.sin_port);
}

static void close_all(struct probe_proof *f)
{
	int *all[] = {&f->listener, &f->client, &f->server, &f->refuser, &f->udp, &f->asker};
	size_t i;

	for (i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		if (*all[i] >= 0)
			close(*all[i]);
		*all[i] = -1;
	}
}

/* 0, or -errno: even without probes that does not work. */
static int act(struct probe_proof *f)
{
	bool worked;
	int err;

	errno = 0;
	f->listener = make_bound(SOCK_STREAM, 0, &f->listens);
	f->refuser = make_bound(SOCK_STREAM, 0, &f->refuses);
	worked =
	    f->listener >= 0 && f->refuser >= 0 && !listen(f->listener, 4) && connect_and_talk(f);
	err = worked ? 0 : errno ? -errno : -EIO;
	if (worked) {
		connect_refused(f);
		send_datagram(f);
		/* where that could not be tried (the port is taken) nothing is held against them */
		f->seen |= f->udp < 0 ? SEEN_BIND : 0;
		f->seen |= f->asks ? 0 : SEEN_UDP_SENT | SEEN_UDP_RECEIVED;
	}
	close_all(f);
	return err;
}

/* ---- events */

static bool figures_right(const struct probe_event *e, uint64_t sent, uint64_t received)
{
	return e->bytes_sent == sent &&
	       e->bytes_received - (e->flags & PROBE_FIN_RECEIVED ? 1 : 0) == received;
}

static void connection_event(struct probe_proof *f, const struct probe_event *e, bool client)
{
	switch (e->kind) {
	case PROBE_ESTABLISHED:
		f->seen |= client ? SEEN_CONNECT : SEEN_ESTABLISHED;
		if (client)
			f->pid = e->pid;
		break;
	case PROBE_ACCEPT:
		/* the client closes first */
		f->confused = f->confused || client;
		f->seen |= f->confused || !e->pid ? 0 : SEEN_ACCEPT;
		break;
	case PROBE_CLOSE:
		if (client && figures_right(e, CLIENT_SENDS, SERVER_SENDS))
			f->seen |= SEEN_CLIENT_CLOSE;
		if (!client && figures_right(e, SERVER_SENDS, CLIENT_SENDS))
			f->seen |= SEEN_SERVER_CLOSE;
		break;
	default:
		break;
	}
}

void probes_proof_event(struct probes *p, const struct probe_event *e)
{
	struct probe_proof *f = p->proof;
	const struct probe_tuple *t = &e->tuple;

	if (e->flags & PROBE_OTHER_NETNS)
		return;
	if (t->local_port == f->connects && t->remote_port == f->listens)
		connection_event(f, e, true);
	else if (t->local_port == f->listens && t->remote_port == f->connects)
		connection_event(f, e, false);
	else if (e->kind == PROBE_LISTEN && t->local_port == f->listens)
		f->seen |= SEEN_LISTEN;
	else if (e->kind == PROBE_CONNECT_FAILED && t->remote_port == f->refuses)
		f->seen |= e->error == ECONNREFUSED && !(e->flags & PROBE_NO_PACKET) ? SEEN_REFUSED
			   : e->error == ENETUNREACH && e->flags & PROBE_NO_PACKET   ? SEEN_RETURN
										     : 0;
}

static bool datagram_seen(struct probes *p, uint16_t local, uint16_t remote)
{
	static const uint8_t one[4] = {127, 0, 0, 1}, any[4];
	struct probe_tuple t;
	struct ip_addr a;

	memset(&t, 0, sizeof(t));
	addr_from_v4(&a, one);
	memcpy(t.local, a.b, sizeof(t.local));
	memcpy(t.remote, a.b, sizeof(t.remote));
	t.local_port = local;
	t.remote_port = remote;
	t.family = AF_INET;
	t.protocol = IPPROTO_UDP;
	if (probes_datagrams_known(p, &t))
		return true;
	addr_from_v4(&a, any); /* of a socket that is bound to no address */
	memcpy(t.local, a.b, sizeof(t.local));
	return probes_datagrams_known(p, &t);
}

static void look_at_maps(struct probes *p, struct probe_proof *f)
{
	static const struct {
		uint32_t count, seen;
	} counted[] = {{PROBE_COUNT_BINDS, SEEN_BIND},
		       {PROBE_COUNT_RESETS_RECEIVED, SEEN_RESET_RECEIVED}};
	size_t i;

	for (i = 0; i < sizeof(counted) / sizeof(counted[0]); i++)
		if (probes_count(p, counted[i].count) > f->counts[counted[i].count])
			f->seen |= counted[i].seen;
	if (f->asks && datagram_seen(p, f->asks, f->listens))
		f->seen |= SEEN_UDP_SENT;
	if (f->asks && datagram_seen(p, f->listens, f->asks))
		f->seen |= SEEN_UDP_RECEIVED;
}

/* What the facts that are attached must show. */
static uint32_t all_wanted(const struct probes *p)
{
	uint32_t all = 0;
	size_t i;

	for (i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
		if (probe_set_provider(&p->set, wanted[i].fact))
			all |= wanted[i].seen;
	return all;
}

/* ---- judgement */

static void begin(struct probes *p, struct probe_proof *f)
{
	uint32_t i;

	memset(f, 0, sizeof(*f));
	f->listener = f->client = f->server = f->refuser = f->udp = f->asker = -1;
	for (i = 0; i < PROBE_COUNTS; i++)
		f->counts[i] = probes_count(p, i);
	p->proof = f;
}

static void end(struct probes *p, struct probe_proof *f)
{
	p->proof = NULL;
	p->proof_ports[0] = f->listens;
	p->proof_ports[1] = f->refuses;
	p->proof_ports[2] = f->connects;
	p->proof_until_ns = probes_now_ns() + AFTER_NS;
	p->pid_foreign = f->pid != (uint32_t)getpid();
	if (p->config.own && f->listens)
		p->config.own(p->config.own_ctx, f->listens);
	if (p->config.own && f->refuses)
		p->config.own(p->config.own_ctx, f->refuses);
}

static int watch(struct probes *p, struct probe_proof *f)
{
	uint64_t until_ns = probes_now_ns() + PROOF_NS;
	uint32_t all = all_wanted(p);
	int err;

	for (;;) {
		err = probes_events_read(p);
		if (err)
			return err;
		look_at_maps(p, f);
		if ((f->seen & all) == all || probes_now_ns() >= until_ns)
			return 0;
		usleep(WAIT_US);
	}
}

bool probes_prove(struct probes *p, bool *again, char why[KERNEL_WHY_SIZE])
{
	struct probe_proof f;
	bool proven = true;
	size_t i;
	int err;

	begin(p, &f);
	err = act(&f);
	if (err)
		snprintf(why, KERNEL_WHY_SIZE,
			 "no connection of flowline's own could be made on 127.0.0.1 to try the "
			 "probes: %s; is lo up (ip link set lo up)?",
			 fl_strerror(err));
	else if ((err = watch(p, &f)))
		snprintf(why, KERNEL_WHY_SIZE, "events of eBPF programs cannot be read: %s",
			 fl_strerror(err));
	end(p, &f);
	*again = !err;
	for (i = 0; i < sizeof(wanted) / sizeof(wanted[0]) && !err; i++) {
		enum probe_fact fact = wanted[i].fact;

		if (!probe_set_provider(&p->set, fact) ||
		    (f.seen & wanted[i].seen) == wanted[i].seen)
			continue;
		proven = false;
		snprintf(why, KERNEL_WHY_SIZE,
			 "%s was attached, but did not tell all of a connection of flowline's own "
			 "(%#x of %#x)",
			 probe_set_provider(&p->set, fact), f.seen & wanted[i].seen,
			 wanted[i].seen);
		probe_set_distrust(&p->set, fact, "attached, but does not tell what it should");
	}
	return proven && !err;
}
