/* test_probes.c - the probe source with real connections: each provider that this kernel has, ring
 * and perf buffer, lost events, refusals.
 */
#include "collector/probes_internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/live/netns.h"
#include "tests/test.h"

enum { KEEP = 4096 };

#define AT_CLOSE "connect's probe, when it is closed"

static struct {
	struct kernel_sample sample[KEEP];
	struct kernel_process who[KEEP];
	size_t n;
	int listeners;
	uint32_t child; /* the process in another namespace */
} got;

static void take_sample(void *ctx, const struct kernel_sample *s, const struct kernel_process *who)
{
	(void)ctx;
	/* other namespaces of this machine go on with their own work */
	if ((!s->has || s->has & KERNEL_ERROR) &&
	    (!who || (who->pid != (uint32_t)getpid() && who->pid != got.child)))
		return;
	if (got.n == KEEP)
		return;
	got.sample[got.n] = *s;
	memset(&got.who[got.n], 0, sizeof(got.who[got.n]));
	if (who)
		got.who[got.n] = *who;
	got.n++;
}

static void take_listeners(void *ctx)
{
	(void)ctx;
	got.listeners++;
}

static const struct kernel_sink sink = {take_sample, take_listeners, NULL};
static char why[KERNEL_WHY_SIZE];
static char skip[KERNEL_WHY_SIZE + 64];

/* NULL: skipped. */
static struct kernel_source *open_without(const char *without)
{
	struct kernel_source_config c = {.btf_path = "", .without = without};
	const char *reason = netns_enter();
	struct kernel_source *s = NULL;
	int err;

	memset(&got, 0, sizeof(got));
	if (reason) {
		TEST_SKIP(reason);
		return NULL;
	}
	err = kernel_source_probes.open(&s, &c, &sink, why);
	if (!err)
		return s;
	CHECK(!s);
	CHECK(why[0]);
	snprintf(skip, sizeof(skip), "%s", why);
	TEST_SKIP(skip);
	return NULL;
}

static void read_all(struct kernel_source *s)
{
	struct pollfd fd = {kernel_source_probes.fd(s), POLLIN, 0};
	uint64_t until_ns = probes_now_ns() + 150000000;

	/* only when there is something to read: each event makes the descriptor ready, soon */
	while (probes_now_ns() < until_ns)
		if (poll(&fd, 1, 20) > 0)
			CHECK_INT(kernel_source_probes.poll(s, why), 0);
}

static const struct kernel_fact *fact_of(struct kernel_source *s, const char *name)
{
	static struct kernel_fact facts[KERNEL_FACTS_MOST];
	size_t n = kernel_source_probes.facts(s, facts), i;

	for (i = 0; i < n; i++)
		if (!strcmp(facts[i].name, name)) {
			CHECK_MSG(facts[i].provider || facts[i].why[0], "%s", name);
			return &facts[i];
		}
	CHECK_MSG(false, "no fact %s", name);
	return NULL;
}

static bool has_provider(struct kernel_source *s, const char *name)
{
	const struct kernel_fact *f = fact_of(s, name);

	return f && f->provider;
}

static bool is_by(struct kernel_source *s, const char *name, const char *provider)
{
	const struct kernel_fact *f = fact_of(s, name);

	return f && f->provider && !strcmp(f->provider, provider);
}

/* ---- connections */

struct ends {
	int listener, client, server;
	struct flow_key key;
	int client_end;
};

static void get_addr(int fd, bool peer, struct ip_addr *a, uint16_t *port)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	const struct sockaddr_in *v4 = (void *)&ss;
	const struct sockaddr_in6 *v6 = (void *)&ss;

	memset(&ss, 0, sizeof(ss));
	CHECK_INT(peer ? getpeername(fd, (struct sockaddr *)&ss, &len)
		       : getsockname(fd, (struct sockaddr *)&ss, &len),
		  0);
	if (ss.ss_family == AF_INET)
		addr_from_v4(a, (const uint8_t *)&v4->sin_addr);
	else
		memcpy(a->b, &v6->sin6_addr, sizeof(a->b));
	*port = ntohs(ss.ss_family == AF_INET ? v4->sin_port : v6->sin6_port);
}

static socklen_t address(struct sockaddr_storage *out, int family, const char *text, uint16_t port)
{
	struct sockaddr_in *v4 = (void *)out;
	struct sockaddr_in6 *v6 = (void *)out;

	memset(out, 0, sizeof(*out));
	out->ss_family = (sa_family_t)family;
	if (family == AF_INET) {
		v4->sin_port = htons(port);
		CHECK_INT(inet_pton(family, text, &v4->sin_addr), 1);
		return sizeof(*v4);
	}
	v6->sin6_port = htons(port);
	CHECK_INT(inet_pton(family, text, &v6->sin6_addr), 1);
	return sizeof(*v6);
}

static bool make_pair(struct ends *e, int family, const char *bind_to, int from, const char *to)
{
	struct sockaddr_storage ss;
	struct ip_addr local, remote;
	uint16_t lport, rport, port;
	socklen_t len;

	e->listener = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	len = address(&ss, family, bind_to, 0);
	if (!CHECK(!bind(e->listener, (void *)&ss, len)) || !CHECK(!listen(e->listener, 8)))
		return false;
	get_addr(e->listener, false, &local, &port);
	e->client = socket(from, SOCK_STREAM | SOCK_CLOEXEC, 0);
	len = address(&ss, from, to, port);
	if (!CHECK(!connect(e->client, (void *)&ss, len)))
		return false;
	e->server = accept(e->listener, NULL, NULL);
	get_addr(e->client, false, &local, &lport);
	get_addr(e->client, true, &remote, &rport);
	e->client_end = flow_key_make(&e->key, &local, &remote, lport, rport, PROTO_TCP);
	return CHECK(e->server >= 0);
}

static void move(int from, int to, size_t n)
{
	static char bytes[100000];
	size_t sent = 0, received = 0;

	while (received < n) {
		size_t left = n - sent < sizeof(bytes) ? n - sent : sizeof(bytes);
		ssize_t r = left ? send(from, bytes, left, MSG_DONTWAIT | MSG_NOSIGNAL) : 0;

		sent += r > 0 ? (size_t)r : 0;
		r = recv(to, bytes, sizeof(bytes), MSG_DONTWAIT);
		if (!CHECK(r > 0 || errno == EAGAIN))
			return;
		received += r > 0 ? (size_t)r : 0;
	}
}

static const struct kernel_sample *find(const struct flow_key *key, int end, uint32_t has,
					const struct kernel_process **who)
{
	size_t i;

	for (i = 0; i < got.n; i++)
		if (flow_key_equal(&got.sample[i].key, key) && got.sample[i].end == end &&
		    (got.sample[i].has & has) == has) {
			if (who)
				*who = &got.who[i];
			return &got.sample[i];
		}
	return NULL;
}

static void check_who(const struct kernel_process *who)
{
	char comm[17] = "";
	FILE *f = fopen("/proc/self/comm", "re");

	if (f && fgets(comm, sizeof(comm), f))
		comm[strcspn(comm, "\n")] = 0;
	if (f)
		fclose(f);
	CHECK_INT(who->pid, getpid());
	CHECK_STR(who->comm, comm);
}

static void check_closed(const struct ends *e, int end, uint64_t sent, uint64_t received)
{
	const struct kernel_sample *s = find(&e->key, end, KERNEL_CLOSED, NULL);

	if (!CHECK(s)) /* it was not told */
		return;
	CHECK(s->has & KERNEL_SENT && s->has & KERNEL_RECEIVED && s->has & KERNEL_SEGMENTS);
	CHECK_INT(s->sent, sent);
	CHECK_INT(s->received - (s->has & KERNEL_FIN ? 1 : 0), received);
	CHECK(s->segments_out > 0 && s->segments_in > 0);
	CHECK(s->rtt_us > 0 || !(s->has & KERNEL_RTT));
	CHECK(s->retransmits < 100);
}

static void check_pair(struct kernel_source *s, int family, const char *bind_to, int from,
		       const char *to)
{
	const struct kernel_process *who;
	const struct kernel_sample *k;
	struct ends e;

	if (!make_pair(&e, family, bind_to, from, to))
		return;
	move(e.client, e.server, 200000);
	move(e.server, e.client, 70000);
	close(e.client);
	CHECK_INT(recv(e.server, &who, 1, 0), 0);
	close(e.server);
	close(e.listener);
	read_all(s);
	k = find(&e.key, e.client_end, KERNEL_ESTABLISHED, &who);
	if (CHECK(k))
		check_who(who);
	k = find(&e.key, !e.client_end, KERNEL_ESTABLISHED, NULL);
	CHECK(k && k->established_ns);
	if (has_provider(s, "accept")) {
		size_t i;

		for (i = 0; i < got.n; i++)
			if (flow_key_equal(&got.sample[i].key, &e.key) &&
			    got.sample[i].end != e.client_end && got.who[i].pid)
				break;
		if (CHECK(i < got.n))
			check_who(&got.who[i]);
		CHECK(i == got.n || got.who[i].at_close == is_by(s, "accept", AT_CLOSE));
		for (i = 0; i < got.n; i++)
			CHECK(!flow_key_equal(&got.sample[i].key, &e.key) ||
			      got.sample[i].end != e.client_end || !got.who[i].at_close);
	}
	check_closed(&e, e.client_end, 200000, 70000);
	check_closed(&e, !e.client_end, 70000, 200000);
}

/* Is the server's end told to be of this process, when it was closed? */
static bool closer_told(const struct ends *e)
{
	size_t i;

	for (i = 0; i < got.n; i++)
		if (flow_key_equal(&got.sample[i].key, &e->key) && got.who[i].at_close) {
			CHECK(got.sample[i].end != e->client_end);
			check_who(&got.who[i]);
			return true;
		}
	return false;
}

/* One end resets with bytes unread; the other has seen no FIN. */
static void check_reset(struct kernel_source *s)
{
	struct linger now = {1, 0};
	const struct kernel_sample *k;
	struct ends e;

	if (!make_pair(&e, AF_INET, "127.0.0.1", AF_INET, "127.0.0.1"))
		return;
	move(e.client, e.server, 1234);
	setsockopt(e.client, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	close(e.client);
	usleep(10000);
	close(e.server);
	close(e.listener);
	read_all(s);
	/* by then the socket has forgotten its ports */
	if (!is_by(s, "close", "raw_tp/tcp_destroy_sock"))
		check_closed(&e, e.client_end, 1234, 0);
	else
		CHECK(!find(&e.key, e.client_end, KERNEL_CLOSED, NULL));
	check_closed(&e, !e.client_end, 0, 1234);
	k = find(&e.key, !e.client_end, KERNEL_CLOSED, NULL);
	CHECK(k && !(k->has & KERNEL_FIN));
	/* the state says nothing more */
	CHECK_INT(closer_told(&e), is_by(s, "accept", AT_CLOSE));
}

/* The listener goes, and with it what nobody had accepted. */
static void check_not_accepted(struct kernel_source *s)
{
	struct sockaddr_storage ss;
	struct ip_addr local;
	struct ends e;
	uint16_t port;
	socklen_t len = address(&ss, AF_INET, "127.0.0.1", 0);

	e.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	CHECK(!bind(e.listener, (void *)&ss, len) && !listen(e.listener, 8));
	get_addr(e.listener, false, &local, &port);
	e.client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	len = address(&ss, AF_INET, "127.0.0.1", port);
	CHECK(!connect(e.client, (void *)&ss, len));
	get_addr(e.client, false, &local, &port);
	e.client_end = flow_key_make(&e.key, &local, &local, port,
				     ntohs(((struct sockaddr_in *)&ss)->sin_port), PROTO_TCP);
	got.n = 0;
	close(e.listener);
	read_all(s);
	CHECK(!closer_told(&e));
	close(e.client);
}

/* Who closes an accepted connection: a shutdown counts, bytes unread, and a child's exit; a socket
 * that nobody accepted is nobody's. */
static void check_closers(struct kernel_source *s)
{
	struct ends e;
	int mode;

	if (!is_by(s, "accept", AT_CLOSE))
		return;
	for (mode = 0; mode < 3; mode++) {
		if (!make_pair(&e, AF_INET, "127.0.0.1", AF_INET, "127.0.0.1"))
			return;
		move(e.client, e.server, 100);
		got.n = 0;
		if (mode == 0)
			CHECK_INT(shutdown(e.server, SHUT_WR), 0);
		if (mode == 1)
			CHECK_INT(send(e.client, "unread", 6, 0), 6);
		if (mode != 0)
			close(e.server);
		read_all(s);
		CHECK_MSG(closer_told(&e), "mode %d", mode);
		close(e.client);
		if (mode == 0)
			close(e.server);
		close(e.listener);
	}
	check_not_accepted(s);
}

/* The client says all it has to say, and reads on. */
static void check_half_closed(struct kernel_source *s)
{
	struct ends e;
	char byte;

	if (!make_pair(&e, AF_INET6, "::1", AF_INET6, "::1"))
		return;
	move(e.client, e.server, 10);
	shutdown(e.client, SHUT_WR);
	CHECK_INT(recv(e.server, &byte, 1, 0), 0);
	move(e.server, e.client, 30000);
	close(e.server);
	CHECK_INT(recv(e.client, &byte, 1, 0), 0);
	close(e.client);
	close(e.listener);
	read_all(s);
	check_closed(&e, e.client_end, 10, 30000);
	check_closed(&e, !e.client_end, 30000, 10);
}

static void check_error(struct kernel_source *s, int family, const char *to, int error,
			bool no_packet)
{
	struct sockaddr_storage ss;
	socklen_t len = address(&ss, family, to, 9);
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	size_t i, found = 0;

	got.n = 0;
	CHECK_INT(connect(fd, (void *)&ss, len) ? errno : 0, error);
	close(fd);
	read_all(s);
	for (i = 0; i < got.n; i++) {
		const struct kernel_sample *k = &got.sample[i];

		if (!(k->has & KERNEL_ERROR))
			continue;
		found++;
		CHECK_INT(k->connect_error, error);
		CHECK_INT(flow_key_port(&k->key, !k->end), 9);
		CHECK_INT(!!(k->has & KERNEL_NO_PACKET), no_packet);
		check_who(&got.who[i]);
	}
	CHECK_INT(found, 1);
	for (i = 0; i < got.n; i++) /* and not as a connection that ended */
		CHECK(!(got.sample[i].has & KERNEL_CLOSED));
}

/* A datagram from a socket of one family to another: who sends, and who receives. connected: the
 * sender says where to once, and not with each. */
static void check_datagram(struct kernel_source *s, int family, const char *bind_to, int from,
			   const char *to, bool connected)
{
	struct sockaddr_storage ss;
	struct ip_addr local, remote;
	uint16_t lport, rport;
	struct flow_key key;
	const struct kernel_process *who;
	int a = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0), end;
	int b = socket(from, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	socklen_t len = address(&ss, family, bind_to, 0);
	char byte = 0;

	CHECK(!bind(a, (void *)&ss, len));
	get_addr(a, false, &remote, &rport);
	len = address(&ss, from, to, rport);
	if (connected)
		CHECK(!connect(b, (void *)&ss, len));
	got.n = 0;
	CHECK_INT(connected ? send(b, &byte, 1, 0) : sendto(b, &byte, 1, 0, (void *)&ss, len), 1);
	get_addr(b, false, &local, &lport);
	CHECK_INT(recv(a, &byte, 1, 0), 1);
	/* all of it is on lo: the sender has the address that it sends to */
	if (ss.ss_family == AF_INET)
		addr_from_v4(&local, (const uint8_t *)&((struct sockaddr_in *)&ss)->sin_addr);
	else
		memcpy(local.b, &((struct sockaddr_in6 *)&ss)->sin6_addr, sizeof(local.b));
	CHECK_INT(kernel_source_probes.dump(s, false, why), 0);
	end = flow_key_make(&key, &local, &local, lport, rport, PROTO_UDP);
	if (has_provider(s, "udp_send") && CHECK(find(&key, end, 0, &who)))
		check_who(who);
	if (has_provider(s, "udp_receive") && CHECK(find(&key, !end, 0, &who)))
		check_who(who);
	got.n = 0;
	CHECK_INT(kernel_source_probes.dump(s, false, why), 0);
	CHECK(!find(&key, end, 0, NULL)); /* told once */
	close(a);
	close(b);
}

static void check_datagrams(struct kernel_source *s)
{
	int connected;

	for (connected = 0; connected < 2; connected++) {
		check_datagram(s, AF_INET, "127.0.0.1", AF_INET, "127.0.0.1", connected);
		check_datagram(s, AF_INET6, "::", AF_INET6, "::1", connected);
		check_datagram(s, AF_INET, "0.0.0.0", AF_INET6, "::ffff:127.0.0.1", connected);
		check_datagram(s, AF_INET6, "::", AF_INET, "127.0.0.1", connected);
	}
}

/* ---- cases */

static void all_kinds(const char *without)
{
	struct kernel_source *s = open_without(without);
	struct kernel_source_stats stats;

	if (!s)
		return;
	CHECK_INT(got.n, 0); /* nobody is told of the proof's connections */
	CHECK(kernel_source_probes.fd(s) >= 0);
	CHECK(has_provider(s, "connect") && has_provider(s, "close"));
	read_all(s);
	CHECK_INT(got.n, 0);
	got.listeners = 0;
	check_pair(s, AF_INET, "127.0.0.1", AF_INET, "127.0.0.1");
	CHECK(got.listeners > 0 || !has_provider(s, "listen"));
	check_pair(s, AF_INET6, "::1", AF_INET6, "::1");
	check_pair(s, AF_INET6, "::", AF_INET, "127.0.0.1");
	check_pair(s, AF_INET, "127.0.0.1", AF_INET6, "::ffff:127.0.0.1");
	check_reset(s);
	check_half_closed(s);
	check_closers(s);
	check_error(s, AF_INET, "127.0.0.1", ECONNREFUSED, false);
	check_error(s, AF_INET6, "::1", ECONNREFUSED, false);
	check_error(s, AF_INET6, "::ffff:127.0.0.1", ECONNREFUSED, false);
	if (has_provider(s, "connect_error_at_once")) {
		check_error(s, AF_INET, "255.255.255.255", ENETUNREACH, true);
		check_error(s, AF_INET6, "2001:db8::1", ENETUNREACH, true);
		check_error(s, AF_INET6, "::ffff:255.255.255.255", ENETUNREACH, true);
	}
	check_datagrams(s);
	kernel_source_probes.stats(s, &stats);
	CHECK(stats.events > 20);
	CHECK_INT(stats.lost, 0);
	CHECK(stats.resets_received >= 4 || !has_provider(s, "receive_reset"));
	kernel_source_probes.close(s);
}

static void test_best(void)
{
	all_kinds(NULL);
}

static void test_perf(void)
{
	all_kinds("ringbuf");
}

static void test_raw_tracepoints(void)
{
	all_kinds("tp_btf");
}

static void test_kprobes(void)
{
	all_kinds("tp_btf raw_tp fentry fexit");
}

static void test_no_kprobes(void)
{
	all_kinds("kprobe fentry fexit");
}

/* What is further down in the lists, behind what works here. */
static void only(const char *without, const char *name, const char *provider)
{
	struct kernel_source *s = open_without(without);
	const struct kernel_fact *f;

	if (!s)
		return;
	f = fact_of(s, name);
	if (!is_by(s, name, provider)) {
		snprintf(skip, sizeof(skip), "%s by %s: %.400s", name, provider, f ? f->why : "");
		kernel_source_probes.close(s);
		TEST_SKIP(skip);
		return;
	}
	kernel_source_probes.close(s);
	all_kinds(without);
}

static void test_closers(void)
{
	only("fexit kretprobe/inet_csk_accept", "accept", AT_CLOSE);
}

static void test_closers_raw(void)
{
	only("fexit kretprobe/inet_csk_accept tp_btf ringbuf", "accept", AT_CLOSE);
}

static void test_destroy(void)
{
	only("state", "close", "raw_tp/tcp_destroy_sock");
}

static void test_close_kprobe(void)
{
	only("state raw_tp", "close", "kprobe/tcp_close");
}

static void test_sendmsg(void)
{
	only("fentry kprobe/ip_send_skb", "udp_send", "kprobe/udp_sendmsg");
}

static void test_recv_udp(void)
{
	only("fentry kprobe/skb_consume_udp", "udp_receive", "kretprobe/__skb_recv_udp");
}

static void test_nothing(void)
{
	struct kernel_source_config c = {.btf_path = "",
					 .without = "tp_btf raw_tp fentry fexit kprobe"};
	struct kernel_source *s = NULL;

	CHECK(kernel_source_probes.open(&s, &c, &sink, why) < 0);
	CHECK(!s);
	CHECK_MSG(strstr(why, "kprobe/tcp_set_state: left out"), "%s", why);
	CHECK_MSG(strstr(why, "nothing tells of connections"), "%s", why);
	kernel_source_probes.close(NULL);
}

/* More than the buffer holds while nobody reads. */
static void lose(const char *without)
{
	struct kernel_source *s = open_without(without);
	struct kernel_source_stats stats;
	struct sockaddr_storage ss;
	socklen_t len = address(&ss, AF_INET, "127.0.0.1", 9);
	int i;

	if (!s)
		return;
	for (i = 0; i < 12000; i++) {
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

		if (!connect(fd, (void *)&ss, len))
			CHECK(false);
		close(fd);
	}
	read_all(s);
	kernel_source_probes.stats(s, &stats);
	CHECK(stats.lost > 1000);
	CHECK(stats.events > 1000);
	/* each is one or the other; other namespaces tell of themselves meanwhile */
	CHECK_MSG(stats.events + stats.lost >= 12000, "%d + %d", (int)stats.events,
		  (int)stats.lost);
	check_error(s, AF_INET, "127.0.0.1", ECONNREFUSED, false); /* goes on */
	kernel_source_probes.close(s);
}

static void test_lost(void)
{
	lose(NULL);
}

static void test_lost_perf(void)
{
	lose("ringbuf");
}

/* A connection in a namespace of a child: only who. */
static void test_other_netns(void)
{
	struct kernel_source *s = open_without(NULL);
	size_t i;
	int status = 1;
	pid_t child;

	if (!s)
		return;
	fflush(stdout);
	child = fork();
	if (child == 0) {
		struct ends e;

		/* not on loopback: those tuples say nothing outside */
		if (unshare(CLONE_NEWNET) || !netns_ip("link set lo up") ||
		    !netns_ip("addr add 198.51.100.7/32 dev lo"))
			_exit(2);
		_exit(make_pair(&e, AF_INET, "198.51.100.7", AF_INET, "198.51.100.7") &&
			      make_pair(&e, AF_INET, "127.0.0.1", AF_INET, "127.0.0.1")
			  ? 0
			  : 1);
	}
	got.child = (uint32_t)child;
	CHECK(waitpid(child, &status, 0) == child);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 2) {
		TEST_SKIP("no second network namespace");
	} else {
		CHECK_INT(status, 0);
		read_all(s);
		CHECK_INT(got.n, has_provider(s, "accept") ? 2 : 1);
		for (i = 0; i < got.n; i++) {
			CHECK_INT(got.sample[i].has, 0);
			CHECK_INT(got.who[i].pid, child);
		}
		CHECK_INT(got.listeners, 0);
	}
	kernel_source_probes.close(s);
}

static void test_refused(void)
{
	struct kernel_source_config c = {.btf_path = ""};
	struct kernel_source *s = NULL;
	int status = 1;
	pid_t child;

	fflush(stdout);
	child = fork();
	if (child == 0) {
		if (getuid() == 0 && (setgid(65534) || setuid(65534)))
			_exit(3);
		if (kernel_source_probes.open(&s, &c, &sink, why) >= 0)
			_exit(2);
		if (!strstr(why, "CAP_BPF"))
			printf("why: %s\n", why);
		fflush(stdout);
		_exit(strstr(why, "CAP_BPF") ? 0 : 1);
	}
	CHECK(waitpid(child, &status, 0) == child);
	CHECK_INT(status, 0);
}

static bool copy_file(const char *from, const char *to)
{
	static char bytes[65536];
	FILE *in = fopen(from, "re"), *out = in ? fopen(to, "we") : NULL;
	size_t n;

	while (out && (n = fread(bytes, 1, sizeof(bytes), in)) > 0)
		fwrite(bytes, 1, n, out);
	if (in)
		fclose(in);
	return out && fclose(out) == 0;
}

/* In a child that no longer sees the kernel's own BTF. */
static int open_hidden(const char *copy)
{
	struct kernel_source_config c = {.btf_path = ""};
	struct kernel_source *s = NULL;

	if (unshare(CLONE_NEWNS) || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("none", "/sys/kernel/btf", "tmpfs", 0, NULL))
		return 77;
	if (kernel_source_probes.open(&s, &c, &sink, why) >= 0 || !strstr(why, "kernel.btf_path"))
		return 1;
	c.btf_path = "/dev/null";
	if (kernel_source_probes.open(&s, &c, &sink, why) >= 0 ||
	    !strstr(why, "kernel.btf_path /dev/null cannot be used"))
		return 2;
	c.btf_path = copy;
	if (kernel_source_probes.open(&s, &c, &sink, why) < 0)
		return 3;
	check_pair(s, AF_INET, "127.0.0.1", AF_INET, "127.0.0.1");
	kernel_source_probes.close(s);
	return test_failed_checks ? 4 : 0;
}

static void test_btf_path(void)
{
	struct kernel_source *s = open_without(NULL);
	char copy[] = "/tmp/test_probes.XXXXXX";
	int status = 1, fd;
	pid_t child;

	if (!s)
		return;
	kernel_source_probes.close(s);
	fd = mkstemp(copy);
	if (!CHECK(fd >= 0) || !CHECK(copy_file("/sys/kernel/btf/vmlinux", copy)))
		return;
	fflush(stdout);
	child = fork();
	if (child == 0) {
		status = open_hidden(copy);
		if (status && status != 77)
			printf("    %s\n", why);
		fflush(stdout);
		_exit(status);
	}
	CHECK(waitpid(child, &status, 0) == child);
	close(fd);
	unlink(copy);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		TEST_SKIP("/sys/kernel/btf cannot be hidden here");
	else
		CHECK_INT(status, 0);
}

TEST_MAIN({"nothing", test_nothing}, {"refused", test_refused}, {"kernel.btf_path", test_btf_path},
	  {"best", test_best}, {"perf buffer", test_perf},
	  {"raw tracepoints", test_raw_tracepoints}, {"kprobes only", test_kprobes},
	  {"no kprobes", test_no_kprobes}, {"who closes", test_closers},
	  {"who closes, raw", test_closers_raw}, {"tcp_destroy_sock", test_destroy},
	  {"tcp_close", test_close_kprobe}, {"udp_sendmsg", test_sendmsg},
	  {"__skb_recv_udp", test_recv_udp}, {"lost", test_lost},
	  {"lost, perf buffer", test_lost_perf}, {"other netns", test_other_netns})
