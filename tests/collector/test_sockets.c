/* test_sockets.c - connections with known byte counts in a namespace of the test's own: dumps,
 * messages of those that are gone, and what is made of it where the kernel tells less.
 */
#include "collector/sockets.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <linux/filter.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "collector/sockets_events.h"
#include "flows/packet.h"
#include "tests/live/netns.h"
#include "tests/test.h"

#define ALL (&kernel_source_sockets)

enum { KEPT = 64, BYTES = KERNEL_SENT | KERNEL_RECEIVED };

/* As RHEL 7's 3.10, as 3.10 itself, and as Linux 4.3. */
static const struct sockets_pretend el7 = {
    SOCK_TCP_RTT | SOCK_TCP_RETRANS | SOCK_TCP_BYTES | SOCK_TCP_SEGS, 0, SOCKETS_BUFFER};
static const struct sockets_pretend v3_10 = {SOCK_TCP_RTT | SOCK_TCP_RETRANS, 0, SOCKETS_BUFFER};
static const struct sockets_pretend v4_3 = {SOCK_TCP_RTT | SOCK_TCP_RETRANS | SOCK_TCP_BYTES |
						SOCK_TCP_SEGS,
					    SOCKETS_GROUPS, SOCKETS_BUFFER};

static struct {
	struct kernel_sample list[KEPT];
	size_t n;
	unsigned int listeners;
} told;

static void keep(void *ctx, const struct kernel_sample *s, const struct kernel_process *who)
{
	CHECK(ctx == &told && who == NULL);
	if (told.n < KEPT)
		told.list[told.n] = *s;
	told.n++;
}

static void count_listener(void *ctx)
{
	CHECK(ctx == &told);
	told.listeners++;
}

static const struct kernel_sink sink = {keep, count_listener, &told};

static uint64_t now_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

/* What was told of the socket with these ports; NULL: nothing, or more than one. */
static const struct kernel_sample *find(uint16_t local, uint16_t remote)
{
	const struct kernel_sample *found = NULL;
	size_t i;

	for (i = 0; i < told.n && i < KEPT; i++) {
		const struct kernel_sample *s = &told.list[i];

		if (flow_key_port(&s->key, s->end) != local ||
		    flow_key_port(&s->key, !s->end) != remote)
			continue;
		if (found)
			return NULL;
		found = s;
	}
	return found;
}

static bool has_exactly(const struct kernel_sample *s, uint32_t mask, uint32_t want)
{
	return s && (s->has & mask) == want;
}

/* Both byte counts of this end. */
static bool counts(const struct kernel_sample *s, uint64_t sent, uint64_t received)
{
	if (!s || (s->has & BYTES) != BYTES)
		return false;
	if (s->sent != sent || s->received != received)
		printf("    %llu sent, %llu received; wanted %llu, %llu\n",
		       (unsigned long long)s->sent, (unsigned long long)s->received,
		       (unsigned long long)sent, (unsigned long long)received);
	return s->sent == sent && s->received == received;
}

static struct kernel_source *open_as(const struct sockets_pretend *p, bool dumps_only)
{
	struct kernel_source_config config;
	char why[KERNEL_WHY_SIZE];
	struct kernel_source *s;
	const char *reason = netns_enter();
	int err;

	if (reason) {
		TEST_SKIP(reason);
		return NULL;
	}
	memset(&config, 0, sizeof(config));
	config.dumps_only = dumps_only;
	memset(&told, 0, sizeof(told));
	sockets_pretend(p);
	err = ALL->open(&s, &config, &sink, why);
	sockets_pretend(NULL);
	CHECK_MSG(err == 0, "%s", why);
	CHECK_INT(told.n, 0);
	return err ? NULL : s;
}

static const char *provider(const struct kernel_source *s, const char *name)
{
	static struct kernel_fact facts[KERNEL_FACTS_MOST];
	size_t i, n = ALL->facts(s, facts);

	for (i = 0; i < n; i++)
		if (!strcmp(facts[i].name, name)) {
			CHECK(facts[i].provider || facts[i].why[0]);
			return facts[i].provider;
		}
	CHECK_MSG(false, "no fact %s", name);
	return NULL;
}

static void dump(struct kernel_source *s, bool first)
{
	char why[KERNEL_WHY_SIZE] = "";
	int err;

	told.n = 0;
	err = ALL->dump(s, first, why);
	CHECK_MSG(err == 0, "%s", why);
}

/* Read messages until n came, or half a second is over. */
static void wait_gone(struct kernel_source *s, size_t n)
{
	uint64_t end = now_ns(CLOCK_MONOTONIC) + 500000000;
	char why[KERNEL_WHY_SIZE];

	told.n = 0;
	while (told.n < n && now_ns(CLOCK_MONOTONIC) < end) {
		struct pollfd p = {ALL->fd(s), POLLIN, 0};

		poll(&p, 1, 20);
		CHECK_INT(ALL->poll(s, why), 0);
	}
}

struct pair {
	int listener, client, server;
	uint16_t port, client_port;
};

static socklen_t make_addr(struct sockaddr_storage *ss, int family, const char *addr, uint16_t port)
{
	struct sockaddr_in6 *a6 = (void *)ss;
	struct sockaddr_in *a4 = (void *)ss;

	memset(ss, 0, sizeof(*ss));
	ss->ss_family = (sa_family_t)family;
	a4->sin_port = htons(port);
	inet_pton(family, addr, family == AF_INET ? (void *)&a4->sin_addr : (void *)&a6->sin6_addr);
	return family == AF_INET ? sizeof(*a4) : sizeof(*a6);
}

static uint16_t port_of(int fd)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);

	getsockname(fd, (void *)&ss, &len);
	return ntohs(((struct sockaddr_in *)(void *)&ss)->sin_port);
}

/* A connection to a listener of its own. */
static void pair_open(struct pair *p, int server_family, int family, const char *addr)
{
	struct sockaddr_storage ss;
	socklen_t len;

	p->listener = socket(server_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	len = make_addr(&ss, server_family, server_family == AF_INET ? "0.0.0.0" : "::", 0);
	CHECK(bind(p->listener, (void *)&ss, len) == 0 && listen(p->listener, 16) == 0);
	p->port = port_of(p->listener);
	p->client = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	len = make_addr(&ss, family, addr, p->port);
	CHECK_INT(connect(p->client, (void *)&ss, len), 0);
	p->client_port = port_of(p->client);
	p->server = accept(p->listener, NULL, NULL);
	CHECK(p->server >= 0);
}

static void transfer(int from, int to, size_t n)
{
	static char buf[65536];

	while (n) {
		size_t part = n < sizeof(buf) ? n : sizeof(buf);

		if (!CHECK(write(from, buf, part) == (ssize_t)part))
			return;
		n -= part;
		while (part) {
			ssize_t got = read(to, buf, part);

			if (!CHECK(got > 0))
				return;
			part -= (size_t)got;
		}
	}
}

/* The kernel has the ACK of all that was sent: a delayed one takes 40 ms. */
static void settle(int fd)
{
	struct tcp_info info;
	socklen_t len;
	int i;

	for (i = 0; i < 200; i++) {
		len = sizeof(info);
		if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) || !info.tcpi_unacked)
			return;
		usleep(2000);
	}
}

static void pair_close(struct pair *p)
{
	int *fds[] = {&p->client, &p->server, &p->listener};
	size_t i;

	for (i = 0; i < 3; i++) {
		if (*fds[i] >= 0)
			close(*fds[i]);
		*fds[i] = -1;
	}
}

/* Numbers of all kinds through dump, half-closed dump, and the messages of the end. */
static void check_bytes(struct kernel_source *s, int server_family, int family, const char *addr)
{
	bool gone = ALL->fd(s) >= 0;
	struct pair p;

	pair_open(&p, server_family, family, addr);
	transfer(p.client, p.server, 300001);
	transfer(p.server, p.client, 77);
	settle(p.client);
	settle(p.server);
	dump(s, false);
	CHECK(counts(find(p.client_port, p.port), 300001, 77));
	CHECK(counts(find(p.port, p.client_port), 77, 300001));
	CHECK(has_exactly(find(p.port, p.client_port),
			  KERNEL_ESTABLISHED | KERNEL_FIN | KERNEL_FIN_MAYBE | KERNEL_CLOSED |
			      KERNEL_OLD,
			  KERNEL_ESTABLISHED));
	CHECK(find(p.port, 0) == NULL);
	shutdown(p.client, SHUT_WR);
	usleep(60000);
	transfer(p.server, p.client, 23);
	settle(p.server);
	dump(s, true);
	CHECK(counts(find(p.client_port, p.port), 300001, 100));
	CHECK(counts(find(p.port, p.client_port), 100, 300002));
	CHECK(has_exactly(find(p.client_port, p.port), KERNEL_FIN | KERNEL_OLD, KERNEL_OLD));
	CHECK(has_exactly(find(p.port, p.client_port), KERNEL_FIN | KERNEL_OLD,
			  KERNEL_FIN | KERNEL_OLD));
	close(p.server);
	p.server = -1;
	close(p.client);
	p.client = -1;
	if (gone) {
		uint32_t end = KERNEL_CLOSED | KERNEL_FIN_MAYBE | KERNEL_ESTABLISHED;

		wait_gone(s, 2);
		CHECK(has_exactly(find(p.client_port, p.port), end, end));
		CHECK(has_exactly(find(p.port, p.client_port), end, end));
	}
	pair_close(&p);
	dump(s, false); /* the client's TIME_WAIT is none */
	CHECK_INT(told.n, 0);
}

static void test_bytes(void)
{
	struct kernel_source *s = open_as(NULL, false);
	struct kernel_source_stats stats;

	if (!s)
		return;
	CHECK(provider(s, "counters") && provider(s, "rtt"));
	if (!provider(s, "close"))
		TEST_SKIP("this kernel sends no message of closed sockets: only dumps were tried");
	check_bytes(s, AF_INET, AF_INET, "127.0.0.1");
	check_bytes(s, AF_INET6, AF_INET6, "::1");
	check_bytes(s, AF_INET6, AF_INET, "127.0.0.1"); /* v4-mapped */
	ALL->stats(s, &stats);
	CHECK_INT(stats.dumps, 9);
	CHECK_INT(stats.sockets, 0);
	CHECK_INT(stats.lost, 0);
	CHECK(stats.dump_cpu_ns > 0);
	ALL->close(s);
}

/* The last figures are exact, whoever ends it and however; each told once. */
static void test_gone(void)
{
	struct kernel_source *s = open_as(NULL, false);
	const struct linger reset = {1, 0};
	const struct kernel_sample *c;
	uint64_t before, after;
	struct pair p;

	if (!s)
		return;
	if (ALL->fd(s) < 0) {
		TEST_SKIP("this kernel sends no message of closed sockets");
		ALL->close(s);
		return;
	}
	pair_open(&p, AF_INET, AF_INET, "127.0.0.1");
	transfer(p.client, p.server, 5000);
	transfer(p.server, p.client, 70000);
	before = now_ns(CLOCK_REALTIME);
	close(p.client);
	p.client = -1;
	usleep(10000);
	close(p.server);
	p.server = -1;
	wait_gone(s, 2);
	after = now_ns(CLOCK_REALTIME);
	CHECK_INT(told.n, 2);
	CHECK(counts(find(p.port, p.client_port), 70000, 5001));
	c = find(p.client_port, p.port);
	/* it may have become a TIME_WAIT before the server's FIN came */
	CHECK(c && c->sent == 5000 && (c->received == 70000 || c->received == 70001));
	CHECK(c && c->time_ns >= before && c->time_ns <= after);
	CHECK(has_exactly(c, KERNEL_RTT | KERNEL_RETRANSMITS | KERNEL_SEGMENTS | KERNEL_OLD,
			  KERNEL_RTT | KERNEL_RETRANSMITS | KERNEL_SEGMENTS));
	CHECK(c && c->rtt_us > 0 && c->rtt_us < 1000000 && c->segments_out > 3 &&
	      c->segments_in > 2 && c->retransmits == 0);
	close(p.listener);
	p.listener = -1;
	wait_gone(s, 1);
	CHECK(told.n == 0 && told.listeners >= 1);
	/* Reset by the client, with bytes that the server has not read. The client's own message
	 * has no ports any more (tcp_disconnect(), Linux 6.18) and is not told. */
	pair_open(&p, AF_INET, AF_INET, "127.0.0.1");
	transfer(p.client, p.server, 40);
	CHECK_INT(write(p.client, "unread", 6), 6);
	usleep(1000);
	setsockopt(p.client, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	close(p.client);
	p.client = -1;
	pair_close(&p);
	wait_gone(s, 1);
	CHECK(!find(p.client_port, p.port) || counts(find(p.client_port, p.port), 46, 0));
	CHECK(counts(find(p.port, p.client_port), 0, 46));
	ALL->close(s);
}

/* One segment in eight is thrown away before the server's TCP sees it. */
static int drop_some(int fd)
{
	struct sock_filter code[] = {
	    {BPF_LD | BPF_W | BPF_ABS, 0, 0, (uint32_t)(SKF_AD_OFF + 56)}, /* random, Linux 3.16 */
	    {BPF_JMP | BPF_JSET | BPF_K, 1, 0, 7},
	    {BPF_RET | BPF_K, 0, 0, 0},
	    {BPF_RET | BPF_K, 0, 0, 0xffffffff},
	};
	struct sock_fprog prog = {4, code};

	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog));
}

/* What is sent again counts in retransmits, and not in the bytes. */
static void test_loss(void)
{
	struct kernel_source *s = open_as(NULL, false);
	const struct kernel_sample *c;
	struct pair p;
	int unused = 0;

	if (!s)
		return;
	pair_open(&p, AF_INET, AF_INET, "127.0.0.1");
	if (drop_some(p.server) < 0) {
		TEST_SKIP("this kernel's socket filters have no random numbers");
	} else {
		transfer(p.client, p.server, 3000000);
		transfer(p.server, p.client, 500);
		settle(p.client);
		dump(s, false);
		c = find(p.client_port, p.port);
		CHECK(counts(c, 3000000, 500));
		CHECK(c && c->retransmits > 0);
		CHECK(counts(find(p.port, p.client_port), 500, 3000000));
		CHECK_INT(
		    setsockopt(p.server, SOL_SOCKET, SO_DETACH_FILTER, &unused, sizeof(unused)), 0);
		wait_gone(s, 1); /* nothing is closed yet */
		CHECK_INT(told.n, 0);
	}
	pair_close(&p);
	ALL->close(s);
}

/* Sent and never answered, for the listener's queue is full: not established, and its SYN, sent
 * again, counts. */
static void test_black_hole(void)
{
	struct kernel_source *s = open_as(NULL, false);
	const struct kernel_sample *c;
	struct sockaddr_storage ss;
	int listener, fds[2], i;
	socklen_t len;
	uint16_t port, to;

	if (!s)
		return;
	listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	len = make_addr(&ss, AF_INET, "127.0.0.1", 0);
	CHECK(bind(listener, (void *)&ss, len) == 0 && listen(listener, 0) == 0);
	to = port_of(listener);
	len = make_addr(&ss, AF_INET, "127.0.0.1", to);
	for (i = 0; i < 2; i++) {
		fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		CHECK(connect(fds[i], (void *)&ss, len) == 0 || errno == EINPROGRESS);
	}
	port = port_of(fds[1]);
	usleep(1300000);
	dump(s, false);
	CHECK(has_exactly(find(port_of(fds[0]), to), KERNEL_ESTABLISHED, KERNEL_ESTABLISHED));
	c = find(port, to);
	CHECK(counts(c, 0, 0));
	CHECK(has_exactly(c, KERNEL_ESTABLISHED | KERNEL_RTT, 0));
	CHECK(c && c->retransmits >= 1);
	close(fds[1]);
	wait_gone(s, 1);
	for (i = 0; i < 5 && !find(port, to); i++)
		wait_gone(s, 1);
	if (ALL->fd(s) >= 0) {
		CHECK(counts(find(port, to), 0, 0));
		CHECK(
		    has_exactly(find(port, to), KERNEL_ESTABLISHED | KERNEL_CLOSED, KERNEL_CLOSED));
	}
	close(fds[0]);
	close(listener);
	ALL->close(s);
}

/* A refused one is told as it is, or (connect() was called again) not at all. */
static void test_refused(void)
{
	struct kernel_source *s = open_as(NULL, false);
	struct sockaddr_storage ss;
	socklen_t len;
	int fd;

	if (!s)
		return;
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	len = make_addr(&ss, AF_INET, "127.0.0.1", 9);
	CHECK(connect(fd, (void *)&ss, len) < 0 && errno == ECONNREFUSED);
	close(fd);
	wait_gone(s, 1);
	CHECK_INT(told.n, 0);
	ALL->close(s);
}

static void test_el7(void)
{
	struct kernel_source *s = open_as(&el7, false);

	if (!s)
		return;
	CHECK(provider(s, "counters") && provider(s, "rtt") && !provider(s, "close"));
	CHECK_INT(ALL->fd(s), -1);
	check_bytes(s, AF_INET, AF_INET, "127.0.0.1");
	check_bytes(s, AF_INET6, AF_INET6, "::1");
	ALL->close(s);
}

static void test_4_3(void)
{
	struct kernel_source *s = open_as(&v4_3, false);

	if (!s)
		return;
	if (ALL->fd(s) < 0)
		TEST_SKIP("this kernel sends no message of closed sockets: only dumps were tried");
	CHECK(provider(s, "counters") != NULL);
	check_bytes(s, AF_INET, AF_INET, "127.0.0.1");
	ALL->close(s);
}

static void test_3_10(void)
{
	struct kernel_source *s = open_as(&v3_10, false);
	const struct kernel_sample *c;
	struct pair p;

	if (!s)
		return;
	CHECK(!provider(s, "counters") && provider(s, "rtt") && !provider(s, "close"));
	pair_open(&p, AF_INET, AF_INET, "127.0.0.1");
	transfer(p.client, p.server, 1000);
	dump(s, false);
	c = find(p.client_port, p.port);
	CHECK(has_exactly(
	    c, BYTES | KERNEL_SEGMENTS | KERNEL_RTT | KERNEL_RETRANSMITS | KERNEL_ESTABLISHED,
	    KERNEL_RTT | KERNEL_RETRANSMITS | KERNEL_ESTABLISHED));
	pair_close(&p);
	ALL->close(s);
}

static void test_dumps_only(void)
{
	uint64_t begin = now_ns(CLOCK_MONOTONIC);
	struct kernel_source *s = open_as(NULL, true);
	char why[KERNEL_WHY_SIZE];
	int i;

	if (!s)
		return;
	CHECK(now_ns(CLOCK_MONOTONIC) - begin < 500000000);
	CHECK_INT(ALL->fd(s), -1);
	CHECK(provider(s, "counters") && !provider(s, "close"));
	for (i = 0; i < 5; i++) { /* the proof's own connection is on its way out */
		dump(s, true);
		CHECK_INT(told.n, 0);
	}
	CHECK_INT(ALL->poll(s, why), 0);
	check_bytes(s, AF_INET, AF_INET, "127.0.0.1");
	ALL->close(s);
}

/* The netlink socket of dumps is out of step: another takes its place. That of messages is broken:
 * it is said, and is no end of the dumps. */
static void test_broken(void)
{
	int next = dup(0), null = open("/dev/null", O_RDWR | O_CLOEXEC);
	char why[KERNEL_WHY_SIZE] = "";
	struct kernel_source *s;
	struct pair p;

	close(next); /* the first that the source opens */
	s = open_as(NULL, false);
	if (!s)
		return;
	pair_open(&p, AF_INET, AF_INET, "127.0.0.1");
	CHECK(dup2(null, next) == next);
	dump(s, false);
	CHECK(told.n == 2 && counts(find(p.client_port, p.port), 0, 0));
	if (ALL->fd(s) >= 0) {
		CHECK(dup2(null, ALL->fd(s)) >= 0);
		CHECK(ALL->poll(s, why) < 0 && why[0]);
		dump(s, false);
		CHECK_INT(told.n, 2);
	}
	pair_close(&p);
	ALL->close(s);
	close(null);
}

static void count_gone(void *ctx, const struct sock_entry *s)
{
	*(uint32_t *)ctx += s->remote.port != 0;
}

/* n connections at once, closed at once. */
static void burst(uint32_t n)
{
	int *fds = calloc((size_t)n * 2, sizeof(*fds));
	struct sockaddr_storage ss;
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t len = make_addr(&ss, AF_INET, "127.0.0.1", 0);
	uint32_t i;

	CHECK(fds && bind(listener, (void *)&ss, len) == 0 && listen(listener, 1024) == 0);
	len = make_addr(&ss, AF_INET, "127.0.0.1", port_of(listener));
	for (i = 0; i < n; i++) {
		fds[2 * i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (connect(fds[2 * i], (void *)&ss, len) < 0)
			break;
		fds[2 * i + 1] = accept(listener, NULL, NULL);
	}
	CHECK_INT(i, n);
	while (i--) {
		close(fds[2 * i]);
		close(fds[2 * i + 1]);
	}
	close(listener);
	free(fds);
}

/* Nothing is read while most messages come; a worker of the kernel's makes them, sooner or later.
 * Waits for n, or where some were lost, until no more come. */
static void read_all(struct sockets_events *e, uint32_t n, uint32_t *seen)
{
	uint64_t end = now_ns(CLOCK_MONOTONIC) + UINT64_C(5000000000);
	struct sockets_events_stats before, after;
	uint32_t last;

	sockets_events_stats(e, &before);
	usleep(100000);
	*seen = 0;
	do {
		last = *seen;
		CHECK_INT(sockets_events_read(e, 100000, count_gone, seen), 0);
		usleep(150000);
		sockets_events_stats(e, &after);
	} while (*seen != last ||
		 (*seen < n && after.lost == before.lost && now_ns(CLOCK_MONOTONIC) < end));
}

static void test_overrun(void)
{
	const uint32_t n = 2000;
	const char *reason = netns_enter();
	struct rlimit files = {3 * 2000, 3 * 2000};
	struct sockets_events_stats first, before, stats;
	struct sockets_events *e;
	uint32_t seen = 0, round = 0;

	if (!reason && setrlimit(RLIMIT_NOFILE, &files) < 0)
		reason = "no right to 6,000 open files";
	if (!reason && sockets_events_open(&e, SOCKETS_GROUPS, 16384) < 0)
		reason = "messages of closed sockets are refused here";
	if (reason) {
		TEST_SKIP(reason);
		return;
	}
	memset(&stats, 0, sizeof(stats));
	first = stats;
	do {
		before = stats;
		burst(n);
		read_all(e, 2 * n, &seen);
		sockets_events_stats(e, &stats);
		if (round == 0)
			first = stats;
	} while (++round < 6 && stats.messages && stats.lost != before.lost);
	sockets_events_close(e);
	if (!first.messages) {
		TEST_SKIP("this kernel sends no message of closed sockets");
		return;
	}
	CHECK(first.overruns > 0 && first.lost > 0 && first.messages < 2 * n);
	/* where the kernel counts them; each burst has a listener, too */
	if (stats.lost > stats.overruns)
		CHECK(stats.messages + stats.lost >= round * 2 * n &&
		      stats.messages + stats.lost <= round * (2 * n + 1));
	if (stats.lost == before.lost)
		CHECK_INT(seen, 2 * n);
	else if (CHECK(stats.buffer < 2 * n * 1280))
		TEST_SKIP("the buffer may not be as large as that: net.core.rmem_max");
}

/* In a child: what open() says there; 0: it worked, and both facts are known. */
static int open_in_child(void (*prepare)(void), const char *want)
{
	struct kernel_source_config config;
	char why[KERNEL_WHY_SIZE];
	struct kernel_source *s;
	int status = -1;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		prepare();
		memset(&config, 0, sizeof(config));
		if (ALL->open(&s, &config, &sink, why) < 0) {
			if (!strstr(why, want))
				printf("    %s\n", why);
			_exit(strstr(why, want) ? 1 : 2);
		}
		_exit(provider(s, "counters") && provider(s, "close") ? 0 : 3);
	}
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void become_nobody(void)
{
	if (setgid(65534) || setuid(65534))
		_exit(4);
}

static void lose_loopback(void)
{
	if (unshare(CLONE_NEWNET))
		_exit(4);
}

static void test_rights(void)
{
	struct kernel_source *s = open_as(NULL, false);
	bool close_too = s && ALL->fd(s) >= 0;

	if (!s)
		return;
	ALL->close(s);
	CHECK_INT(open_in_child(lose_loopback, "ip link set lo up"), 1);
	if (geteuid() == 0 && close_too)
		CHECK_INT(open_in_child(become_nobody, "-"), 0);
}

/* One entry, and what must come of it. */
static void check_sample(uint8_t state, uint32_t tcp_has, bool connected, uint32_t want_has,
			 uint64_t sent, uint64_t received)
{
	static const struct sockets_quirks quirks = {1, 1, 1};
	struct sock_entry e;
	struct kernel_sample s;

	memset(&e, 0, sizeof(e));
	addr_from_v4(&e.local.addr, (const uint8_t[]){10, 0, 0, 2});
	addr_from_v4(&e.remote.addr, (const uint8_t[]){10, 0, 0, 1});
	e.local.port = 1000;
	e.remote.port = 80;
	e.proto = PROTO_TCP;
	e.state = state;
	e.tcp.has = tcp_has;
	e.tcp.bytes_acked = 1001;
	e.tcp.bytes_received = 501;
	e.tcp.bytes_sent = 1500;
	e.tcp.bytes_retrans = 400;
	e.tcp.rtt_us = 7;
	sockets_sample(&e, &quirks, connected, &s);
	CHECK_MSG(s.has == want_has, "state %u: has %x, wanted %x", state, s.has, want_has);
	CHECK_INT(s.sent, sent);
	CHECK_INT(s.received, received);
	CHECK(s.end == 1 && flow_key_port(&s.key, 1) == 1000 && flow_key_port(&s.key, 0) == 80);
	CHECK_INT(s.time_ns, 0);
}

static void test_samples(void)
{
	const uint32_t est = KERNEL_ESTABLISHED, new = SOCK_TCP_BYTES | SOCK_TCP_SENT;

	check_sample(SOCK_ESTABLISHED, 0, true, est, 0, 0);
	check_sample(SOCK_SYN_SENT, 0, true, 0, 0, 0);
	check_sample(SOCK_CLOSE, 0, true, KERNEL_CLOSED, 0, 0);
	check_sample(SOCK_CLOSE, SOCK_TCP_RTT, true, KERNEL_CLOSED | est | KERNEL_RTT, 0, 0);
	check_sample(SOCK_ESTABLISHED, new, true, est | BYTES, 1100, 501);
	check_sample(SOCK_CLOSE_WAIT, new, true, est | BYTES | KERNEL_FIN, 1100, 501);
	check_sample(SOCK_LAST_ACK, new, true, est | BYTES | KERNEL_FIN, 1100, 501);
	check_sample(SOCK_CLOSING, new, true, est | BYTES | KERNEL_FIN, 1100, 501);
	check_sample(SOCK_FIN_WAIT1, new, true, est | BYTES, 1100, 501);
	check_sample(SOCK_CLOSE, new, true, est | BYTES | KERNEL_CLOSED | KERNEL_FIN_MAYBE, 1100,
		     501);
	/* without bytes_sent: acknowledged ones less SYN and FIN */
	check_sample(SOCK_ESTABLISHED, SOCK_TCP_BYTES, true, est | BYTES, 1000, 501);
	check_sample(SOCK_ESTABLISHED, SOCK_TCP_BYTES, false, est | BYTES, 1001, 501);
	check_sample(SOCK_FIN_WAIT2, SOCK_TCP_BYTES, true, est | BYTES, 999, 501);
	check_sample(SOCK_FIN_WAIT2, SOCK_TCP_BYTES, false, est | BYTES, 1000, 501);
}

TEST_MAIN({"samples", test_samples}, {"bytes", test_bytes}, {"gone", test_gone},
	  {"loss", test_loss}, {"black hole", test_black_hole}, {"refused", test_refused},
	  {"as RHEL 7's kernel", test_el7}, {"as Linux 4.3", test_4_3},
	  {"as Linux 3.10", test_3_10}, {"dumps only", test_dumps_only}, {"broken", test_broken},
	  {"rights", test_rights}, {"overrun", test_overrun})
