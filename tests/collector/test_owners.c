/* test_owners.c - who has the socket: this process, its children, other namespaces, short
 * connections. */
#include "collector/owners.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/live/netns.h"
#include "tests/test.h"

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

/* What the packets would tell. */
static bool all_over;

static bool is_over(void *ctx, const struct flow_key *key)
{
	return ctx == &all_over && key && all_over;
}

static struct owners *start_queue(double share, uint32_t max_netns, uint32_t max_queue)
{
	const char *reason = netns_enter();
	struct owners_config c;
	struct owners *o;

	if (reason) {
		TEST_SKIP(reason);
		return NULL;
	}
	owners_config_default(&c);
	c.cpu_share = share;
	c.max_netns = max_netns;
	c.max_queue = max_queue;
	c.rescan_ns = 1;
	c.over = is_over;
	c.over_ctx = &all_over;
	all_over = false;
	return CHECK(owners_new(&o, &c) == 0) ? o : NULL;
}

static struct owners *start(double share, uint32_t max_netns)
{
	return start_queue(share, max_netns, 64);
}

static int tcp_socket(const char *addr, uint16_t port, bool server)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), yes = 1;
	struct sockaddr_in a;

	memset(&a, 0, sizeof(a));
	a.sin_family = AF_INET;
	a.sin_port = htons(port);
	inet_pton(AF_INET, addr, &a.sin_addr);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
	if (server ? bind(fd, (void *)&a, sizeof(a)) || listen(fd, 64)
		   : connect(fd, (void *)&a, sizeof(a))) {
		close(fd);
		return -1;
	}
	return fd;
}

static uint16_t local_port(int fd)
{
	struct sockaddr_in a;
	socklen_t len = sizeof(a);

	return getsockname(fd, (void *)&a, &len) == 0 ? ntohs(a.sin_port) : 0;
}

static struct owners_request request(uint8_t proto, const char *local, uint16_t lport,
				     const char *remote, uint16_t rport)
{
	struct owners_request r;

	memset(&r, 0, sizeof(r));
	CHECK(addr_parse(&r.local.addr, local) == 0 && addr_parse(&r.remote.addr, remote) == 0);
	r.local.port = lport;
	r.remote.port = rport;
	r.proto = proto;
	return r;
}

static uint32_t pid_of(struct owners *o, uint32_t id)
{
	const struct owner *w = owners_get(o, id);

	return w ? w->pid : 0;
}

static void no_answer(void *ctx, const struct flow_key *key, int end, uint32_t owner, bool final)
{
	(void)ctx, (void)key, (void)end, (void)owner, (void) final;
}

static void scan(struct owners *o, uint64_t rounds)
{
	struct owners_stats s;
	uint64_t t = now_ns() - 1000000000;
	int i;

	owners_stats(o, &s);
	rounds += s.scans;
	for (i = 0; i < 100000 && s.scans < rounds; i++) {
		owners_work(o, t += 10000000, no_answer, NULL);
		owners_stats(o, &s);
	}
	CHECK(s.scans >= rounds);
}

/* A child that runs until it is told to end (its end of the pipe closes). */
static pid_t begin_child(int up[2], int down[2])
{
	pid_t pid;

	CHECK(pipe(up) == 0 && pipe(down) == 0);
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		close(up[0]);
		close(down[1]);
	} else {
		close(up[1]);
		close(down[0]);
	}
	return pid;
}

static void child_wait(int up[2], int down[2], uint16_t tell)
{
	char c;

	if (write(up[1], &tell, sizeof(tell)) == sizeof(tell))
		_exit(read(down[0], &c, 1) > 0);
	_exit(1);
}

static void end_child(pid_t pid, int up[2], int down[2])
{
	close(down[1]);
	close(up[0]);
	waitpid(pid, NULL, 0);
}

static void test_own(void)
{
	struct owners *o = start(1, 1);
	struct owners_request r[3];
	const struct owner *w;
	int l, c, a;

	if (!o)
		return;
	prctl(PR_SET_NAME, "test_owners", 0, 0, 0); /* whatever runs it */
	l = tcp_socket("0.0.0.0", 7101, true);
	scan(o, 1);
	c = tcp_socket("127.0.0.1", 7101, false);
	CHECK(l >= 0 && c >= 0);
	r[0] = request(PROTO_TCP, "127.0.0.1", local_port(c), "127.0.0.1", 7101);
	r[1] = request(PROTO_TCP, "127.0.0.1", 7101, "127.0.0.1", local_port(c));
	r[2] = request(PROTO_TCP, "127.0.0.1", 7109, "127.0.0.1", local_port(c));
	owners_resolve(o, r, 3, now_ns());
	CHECK_INT(r[0].result, OWNERS_KNOWN);
	CHECK_INT(r[1].result, OWNERS_LISTENER); /* not accepted yet */
	CHECK_INT(r[2].result, OWNERS_NO_SOCKET);
	CHECK_INT(pid_of(o, r[0].owner), getpid());
	CHECK_INT(r[0].owner, r[1].owner);
	w = owners_get(o, r[0].owner);
	CHECK(w && w->process_name.len &&
	      memmem(w->process_name.s, w->process_name.len, "owners", 6));
	a = accept(l, NULL, NULL);
	owners_resolve(o, r, 2, now_ns());
	CHECK_INT(r[1].result, OWNERS_KNOWN);
	/* another name, as after exec: seen once the cache is old */
	prctl(PR_SET_NAME, "renamed", 0, 0, 0);
	owners_resolve(o, r, 1, now_ns() + 6000000000ULL);
	w = owners_get(o, r[0].owner);
	CHECK(w && w->process_name.len == 7 && !memcmp(w->process_name.s, "renamed", 7));
	prctl(PR_SET_NAME, "test_owners", 0, 0, 0);
	CHECK(owners_get(o, OWNER_NONE) == NULL && owners_get(o, 0x12345678) == NULL);
	close(a);
	close(c);
	close(l);
	owners_free(o);
}

static void test_udp(void)
{
	struct owners *o = start(1, 1);
	struct owners_request r[2];
	struct sockaddr_in a;
	int s, c;

	if (!o)
		return;
	scan(o, 1);
	s = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0); /* bound to ::, takes IPv4 too */
	{
		struct sockaddr_in6 a6;

		memset(&a6, 0, sizeof(a6));
		a6.sin6_family = AF_INET6;
		a6.sin6_port = htons(7102);
		CHECK_INT(bind(s, (void *)&a6, sizeof(a6)), 0);
	}
	c = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0); /* never connected */
	memset(&a, 0, sizeof(a));
	a.sin_family = AF_INET;
	a.sin_port = htons(7102);
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	CHECK_INT(sendto(c, "x", 1, 0, (void *)&a, sizeof(a)), 1);
	r[0] = request(PROTO_UDP, "127.0.0.1", local_port(c), "127.0.0.1", 7102);
	r[1] = request(PROTO_UDP, "127.0.0.1", 7102, "127.0.0.1", local_port(c));
	owners_resolve(o, r, 2, now_ns());
	CHECK_INT(r[0].result, OWNERS_KNOWN);
	CHECK_INT(r[1].result, OWNERS_KNOWN);
	CHECK(pid_of(o, r[0].owner) == (uint32_t)getpid() && r[0].owner == r[1].owner);
	close(s);
	close(c);
	owners_free(o);
}

/* The server forks for each connection and keeps its own copy open: listening, the parent;
 * accepted, the child. A client that forks a helper: the client. */
static void test_forked(void)
{
	struct owners *o = start(1, 1);
	struct owners_request r[3];
	int up[2], down[2], l, c, a;
	uint16_t port;
	pid_t child;

	if (!o)
		return;
	l = tcp_socket("0.0.0.0", 7103, true);
	c = tcp_socket("127.0.0.1", 7103, false);
	a = accept(l, NULL, NULL);
	usleep(20000); /* another tick of the clock that start times are counted in */
	child = begin_child(up, down);
	if (child == 0)
		child_wait(up, down, 0);
	CHECK_INT(read(up[0], &port, 2), 2);
	scan(o, 1);
	r[0] = request(PROTO_TCP, "127.0.0.1", 7103, "127.0.0.1", local_port(c));
	r[1] = request(PROTO_TCP, "127.0.0.1", local_port(c), "127.0.0.1", 7103);
	r[2] = request(PROTO_TCP, "127.0.0.1", 7103, "127.0.0.1", 9); /* the listener */
	owners_resolve(o, r, 3, now_ns());
	CHECK_INT(pid_of(o, r[0].owner), child);
	CHECK_INT(pid_of(o, r[1].owner), getpid());
	CHECK_INT(pid_of(o, r[2].owner), getpid());
	CHECK_INT(r[2].result, OWNERS_LISTENER);
	end_child(child, up, down);
	/* the child is gone: after the cache's time the parent has it */
	owners_resolve(o, r, 1, now_ns() + 6000000000ULL);
	CHECK_INT(pid_of(o, r[0].owner), getpid());
	close(a);
	close(c);
	close(l);
	owners_free(o);
}

struct answer {
	uint32_t owner;
	int n, end;
	bool final;
};

static void keep_answer(void *ctx, const struct flow_key *key, int end, uint32_t owner, bool final)
{
	struct answer *a = ctx;

	(void)key;
	a->owner = owner;
	a->end = end;
	a->final = final;
	a->n++;
}

static struct flow_key key_of(const char *a0, uint16_t p0, const char *a1, uint16_t p1,
			      uint8_t proto)
{
	struct ip_addr a;
	struct flow_key k;

	CHECK_INT(addr_parse(&a, a0), 0);
	memcpy(&k.w[0], a.b, 16);
	CHECK_INT(addr_parse(&a, a1), 0);
	memcpy(&k.w[2], a.b, 16);
	k.w[4] = p0 | (uint64_t)p1 << 16 | (uint64_t)proto << 32;
	return k;
}

/* A process that is born, connects, lives 20 ms in all and is asked for 10 ms after its SYN, with 1
 * %. */
static void test_short(void)
{
	struct owners *o = start(0.01, 1);
	struct answer got;
	struct flow_key k;
	int up[2], down[2], l, i, hits = 0;
	uint16_t port = 0;
	pid_t child;

	if (!o)
		return;
	l = tcp_socket("127.0.0.1", 7104, true);
	for (i = 0; i < 20; i++) {
		child = begin_child(up, down);
		if (child == 0) {
			int c = tcp_socket("127.0.0.1", 7104, false);

			port = local_port(c);
			if (write(up[1], &port, sizeof(port)) != sizeof(port))
				_exit(1);
			usleep(20000);
			_exit(0);
		}
		CHECK_INT(read(up[0], &port, sizeof(port)), sizeof(port));
		k = key_of("127.0.0.1", 7104, "127.0.0.1", port, PROTO_TCP);
		CHECK(owners_add(o, &k, 2, now_ns()));
		usleep(10000);
		memset(&got, 0, sizeof(got));
		owners_work(o, now_ns(), keep_answer, &got);
		hits += got.n == 1 && got.final && got.end == 1 &&
			pid_of(o, got.owner) == (uint32_t)child;
		end_child(child, up, down);
	}
	CHECK_MSG(hits >= 15, "%d of 20", (int)hits); /* a busy machine may come too late */
	close(l);
	owners_free(o);
}

/* The back-off ends; a full queue is counted; the listener's owner is told at once and better
 * later. */
static void test_queue(void)
{
	struct owners *o = start(1, 1);
	uint64_t t = now_ns();
	struct owners_stats s;
	struct answer got;
	struct flow_key k;
	int i, l, c, a;

	if (!o)
		return;
	memset(&got, 0, sizeof(got));
	scan(o, 1); /* this process may be old by now; its sockets are new */
	t = now_ns();
	l = tcp_socket("127.0.0.1", 7105, true);
	c = tcp_socket("127.0.0.1", 7105, false);
	k = key_of("127.0.0.1", 7105, "127.0.0.1", local_port(c), PROTO_TCP);
	CHECK(owners_add(o, &k, 1, t));
	owners_work(o, t, keep_answer, &got);
	CHECK(got.n == 1 && !got.final && pid_of(o, got.owner) == (uint32_t)getpid());
	owners_work(o, t + 5000000, keep_answer, &got);
	CHECK_INT(got.n, 1); /* not due */
	a = accept(l, NULL, NULL);
	owners_work(o, t + 11000000, keep_answer, &got);
	CHECK(got.n == 2 && got.final);
	memset(&got, 0, sizeof(got));
	k = key_of("127.0.0.1", 7999, "127.0.0.1", 7998, PROTO_TCP);
	CHECK(owners_add(o, &k, 3, t));
	for (i = 0; i < 10; i++)
		owners_work(o, t += 5000000000, keep_answer, &got);
	CHECK(got.n == 2 && got.final && got.owner == OWNER_NONE);
	for (i = 0; i < 64; i++)
		CHECK(owners_add(o, &k, 1, t));
	CHECK(!owners_add(o, &k, 1, t));
	owners_stats(o, &s);
	CHECK(s.queue_full == 1 && s.queued == 64 && s.none == 2 && s.known == 1);
	close(a);
	close(c);
	close(l);
	owners_free(o);
}

struct told {
	bool wild, dual, udp, udp_client, loop;
	uint16_t port;
	int infos;
	uint32_t has;
};

static void keep_listener(void *ctx, const struct owners_listener *l)
{
	struct told *t = ctx;

	t->wild |=
	    l->proto == PROTO_TCP && l->port == 7106 && !l->dual && sock_addr_is_any(&l->addr);
	t->loop |= l->proto == PROTO_TCP && l->port == 7107 && !sock_addr_is_any(&l->addr);
	t->udp |= l->proto == PROTO_UDP && l->port == 7108 && !l->maybe_client;
	t->udp_client |= l->proto == PROTO_UDP && l->port == t->port && l->maybe_client;
}

static void keep_info(void *ctx, const struct flow_key *key, int end, const struct sock_tcp *tcp)
{
	struct told *t = ctx;

	if (flow_key_port(key, end) == t->port && flow_key_port(key, !end) == 7106) {
		t->infos++;
		t->has = tcp->has;
	}
}

static void test_cycle(void)
{
	struct owners *o = start(1, 1);
	int l, m, c, u, v;
	struct sockaddr_in a;
	struct told told;

	if (!o)
		return;
	l = tcp_socket("0.0.0.0", 7106, true);
	m = tcp_socket("127.0.0.1", 7107, true);
	memset(&a, 0, sizeof(a));
	a.sin_family = AF_INET;
	a.sin_port = htons(7108);
	u = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	CHECK_INT(bind(u, (void *)&a, sizeof(a)), 0);
	a.sin_port = 0;
	v = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	CHECK_INT(bind(v, (void *)&a, sizeof(a)), 0);
	memset(&told, 0, sizeof(told));
	told.port = local_port(v);
	CHECK_INT(owners_listening(o, now_ns(), keep_listener, &told), 0);
	CHECK(told.wild && told.loop && told.udp && told.udp_client);
	c = tcp_socket("127.0.0.1", 7106, false);
	told.port = local_port(c);
	CHECK_INT(owners_tcp_info(o, now_ns(), true, keep_info, &told), 0);
	CHECK_INT(told.infos, 1);
	CHECK(told.has & SOCK_TCP_RETRANS && told.has & SOCK_TCP_RTT);
	close(l);
	close(m);
	close(u);
	close(v);
	close(c);
	owners_free(o);
}

/* A child in a namespace of its own with an address that only exists there, and its listener on all
 * addresses; ours listens on the same port. */
static void test_namespaces(void)
{
	struct owners *o = start(1, 8);
	struct owners_request r[2];
	struct owners_stats s;
	int up[2], down[2], l;
	uint16_t port;
	pid_t child;

	if (!o)
		return;
	l = tcp_socket("0.0.0.0", 7110, true);
	child = begin_child(up, down);
	if (child == 0) {
		int n, c;

		close(l);
		if (unshare(CLONE_NEWNET) || !netns_ip("link set lo up") ||
		    !netns_ip("addr add 10.99.0.1/32 dev lo"))
			child_wait(up, down, 0);
		n = tcp_socket("0.0.0.0", 7110, true);
		c = tcp_socket("10.99.0.1", 7110, false);
		if (n < 0 || accept(n, NULL, NULL) < 0)
			child_wait(up, down, 0);
		child_wait(up, down, local_port(c));
	}
	CHECK_INT(read(up[0], &port, 2), 2);
	if (!port) {
		TEST_SKIP("no second network namespace");
	} else {
		scan(o, 2);
		owners_stats(o, &s);
		CHECK(s.namespaces >= 2);
		r[0] = request(PROTO_TCP, "10.99.0.1", port, "10.99.0.1", 7110);
		r[1] = request(PROTO_TCP, "10.99.0.1", 7110, "10.99.0.1", 3);
		owners_resolve(o, r, 2, now_ns());
		CHECK_INT(r[0].result, OWNERS_KNOWN);
		CHECK_INT(pid_of(o, r[0].owner), child);
		CHECK_INT(r[1].result, OWNERS_LISTENER);
		CHECK_INT(pid_of(o, r[1].owner), child);
		owners_resolve(o, r, 2, now_ns()); /* by the hint */
		CHECK_INT(pid_of(o, r[0].owner), child);
		/* the thread that calls is where it was */
		r[0] = request(PROTO_TCP, "127.0.0.1", 7110, "127.0.0.1", 3);
		owners_resolve(o, r, 1, now_ns());
		CHECK_INT(pid_of(o, r[0].owner), getpid());
		CHECK(tcp_socket("10.99.0.1", 7110, false) < 0);
	}
	end_child(child, up, down);
	if (port) {
		uint64_t before = s.namespaces;

		scan(o, 2);
		owners_stats(o, &s);
		CHECK_INT(s.namespaces, before - 1); /* nobody is in it: let go */
	}
	close(l);
	owners_free(o);
}

/* Many at once are found by one dump; with no share left, they wait. */
static void test_many(void)
{
	enum { N = 200 };
	struct owners *o = start(0.01, 1);
	static struct owners_request r[N];
	int l, c[N], i, n = 0, later = 0;
	struct owners_stats s;
	uint64_t t = now_ns(), used;

	if (!o)
		return;
	l = tcp_socket("127.0.0.1", 7111, true);
	scan(o, 1);
	t = now_ns();
	for (i = 0; i < N; i++) {
		c[i] = tcp_socket("127.0.0.1", 7111, false);
		close(accept(l, NULL, NULL));
		r[i] = request(PROTO_TCP, "127.0.0.1", local_port(c[i]), "127.0.0.1", 7111);
	}
	owners_resolve(o, r, N, t);
	for (i = 0; i < N; i++)
		n += r[i].result == OWNERS_KNOWN && pid_of(o, r[i].owner) == (uint32_t)getpid();
	CHECK_INT(n, N);
	owners_stats(o, &s);
	CHECK(s.dumps >= 1 && s.owners_used == 1);
	/* the same moment again and again: the credit of 100 ms ends */
	used = s.cpu_ns;
	for (i = 0; i < 2000 && !later; i++) {
		owners_resolve(o, r, N, t);
		later = r[0].result == OWNERS_LATER;
	}
	CHECK(later);
	owners_stats(o, &s);
	CHECK(s.throttled > 0 && s.cpu_ns - used < 400000000);
	for (i = 0; i < N; i++)
		close(c[i]);
	close(l);
	owners_free(o);
}

struct answers {
	uint32_t owner;
	unsigned int all, final, listener;
};

static void count_answer(void *ctx, const struct flow_key *key, int end, uint32_t owner, bool final)
{
	struct answers *a = ctx;

	(void)key, (void)end;
	a->all++;
	a->final += final;
	a->listener += owner == a->owner;
}

static void add_many(struct owners *o, int n, uint64_t t)
{
	struct flow_key k;
	int i;

	for (i = 0; i < n; i++) {
		k = key_of("127.0.0.1", 7112, "127.0.0.1", (uint16_t)(20000 + i), PROTO_TCP);
		CHECK(owners_add(o, &k, 1, t));
	}
}

/* The first turn of this test may find that a list of listeners does not pay: lookups are as cheap
 * on a quiet host. So many pay anywhere. */
enum { CONNECTIONS = 4096 };

/* A busy server's connections that are over before it is their turn: one list tells whose they
 * were, and none is asked for. */
static void test_server(void)
{
	struct owners *o = start_queue(1, 1, CONNECTIONS);
	struct owners_stats s, before;
	struct answers got;
	struct owners_request r;
	uint64_t t = now_ns();
	int l;

	if (!o)
		return;
	l = tcp_socket("0.0.0.0", 7112, true);
	scan(o, 1);
	t = now_ns();
	r = request(PROTO_TCP, "127.0.0.1", 7112, "127.0.0.1", 9);
	owners_resolve(o, &r, 1, t);
	CHECK_INT(r.result, OWNERS_LISTENER);
	memset(&got, 0, sizeof(got));
	got.owner = r.owner;
	owners_stats(o, &before);
	add_many(o, CONNECTIONS, t);
	all_over = true;
	owners_work(o, t, count_answer, &got);
	owners_stats(o, &s);
	CHECK_INT(got.final, CONNECTIONS);
	CHECK_INT(got.listener, CONNECTIONS);
	CHECK_INT(s.over - before.over, CONNECTIONS);
	CHECK_INT(s.queued, 0);
	CHECK_INT(s.lookups - before.lookups, 0);
	CHECK_INT(s.dumps - before.dumps, 0);
	/* not known to be over: asked for in their turn, and gone then */
	all_over = false;
	memset(&got, 0, sizeof(got));
	got.owner = r.owner;
	add_many(o, CONNECTIONS, t + 200 * 1000000ULL);
	owners_work(o, t + 200 * 1000000ULL, count_answer, &got);
	CHECK_INT(got.listener, CONNECTIONS);
	CHECK_INT(got.final, 0);
	owners_work(o, t + 211 * 1000000ULL, count_answer, &got);
	owners_stats(o, &s);
	CHECK_INT(got.final, CONNECTIONS);
	CHECK_INT(s.queued, 0);
	CHECK(s.dumps > before.dumps || s.lookups > before.lookups);
	close(l);
	owners_free(o);
}

/* Two processes that listen alike: no list can tell which of them it was. */
static void test_alike(void)
{
	struct owners *o = start_queue(1, 1, CONNECTIONS);
	struct owners_stats s, before;
	struct sockaddr_in a;
	struct answers got;
	uint64_t t;
	int fd[2], i, yes = 1;

	if (!o)
		return;
	memset(&a, 0, sizeof(a));
	a.sin_family = AF_INET;
	a.sin_port = htons(7112);
	for (i = 0; i < 2; i++) {
		fd[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		setsockopt(fd[i], SOL_SOCKET, SO_REUSEPORT, &yes, sizeof(yes));
		CHECK(bind(fd[i], (void *)&a, sizeof(a)) == 0 && listen(fd[i], 4) == 0);
	}
	scan(o, 1);
	t = now_ns();
	owners_stats(o, &before);
	add_many(o, CONNECTIONS, t);
	all_over = true;
	memset(&got, 0, sizeof(got));
	owners_work(o, t, count_answer, &got);
	owners_stats(o, &s);
	CHECK_INT(s.over - before.over, 0);
	CHECK(s.dumps > before.dumps || s.lookups > before.lookups);
	CHECK_INT(got.all, CONNECTIONS);
	close(fd[0]);
	close(fd[1]);
	owners_free(o);
}

TEST_MAIN({"own", test_own}, {"udp", test_udp}, {"forked", test_forked}, {"short", test_short},
	  {"queue", test_queue}, {"cycle", test_cycle}, {"namespaces", test_namespaces},
	  {"many", test_many}, {"a busy server", test_server}, {"two alike", test_alike})
