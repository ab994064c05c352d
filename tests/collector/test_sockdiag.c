/* test_sockdiag.c - real sockets in a namespace of the test's own: dumps, lookups, /proc/net; and
 * messages that are cut. */
#include "collector/sockdiag.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <linux/filter.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "flows/packet.h"
#include "tests/live/netns.h"
#include "tests/test.h"

struct seen {
	struct sock_entry list[256];
	size_t n, begins;
};

static void seen_begin(void *ctx)
{
	struct seen *s = ctx;

	s->n = 0;
	s->begins++;
}

static void seen_socket(void *ctx, const struct sock_entry *e)
{
	struct seen *s = ctx;

	if (s->n < 256)
		s->list[s->n++] = *e;
}

static struct seen seen;

static int dump(struct sockdiag *d, uint8_t proto, uint32_t states, bool info)
{
	struct sock_visitor v = {seen_begin, seen_socket, &seen};
	struct sock_query q = {proto, states, info};

	memset(&seen, 0, sizeof(seen));
	return sockdiag_dump(d, &q, &v);
}

static const struct sock_entry *find(uint16_t local, uint16_t remote)
{
	size_t i;

	for (i = 0; i < seen.n; i++)
		if (seen.list[i].local.port == local && seen.list[i].remote.port == remote)
			return &seen.list[i];
	return NULL;
}

static int make(int family, int type, const char *addr, uint16_t port, bool v6only)
{
	struct sockaddr_in6 a6;
	struct sockaddr_in a4;
	int fd = socket(family, type | SOCK_CLOEXEC, 0), on = v6only, yes = 1, err;

	memset(&a6, 0, sizeof(a6));
	memset(&a4, 0, sizeof(a4));
	a6.sin6_family = AF_INET6;
	a4.sin_family = AF_INET;
	a6.sin6_port = a4.sin_port = htons(port);
	inet_pton(family, addr, family == AF_INET ? (void *)&a4.sin_addr : (void *)&a6.sin6_addr);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
	if (family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	err = family == AF_INET ? bind(fd, (void *)&a4, sizeof(a4))
				: bind(fd, (void *)&a6, sizeof(a6));
	if (err || (type == SOCK_STREAM && listen(fd, 16))) {
		close(fd);
		return -1;
	}
	return fd;
}

static int dial(int family, int type, const char *addr, uint16_t port, uint16_t *local)
{
	struct sockaddr_storage ss;
	struct sockaddr_in6 *a6 = (void *)&ss;
	struct sockaddr_in *a4 = (void *)&ss;
	socklen_t len = sizeof(ss);
	int fd = socket(family, type | SOCK_CLOEXEC, 0), err;

	memset(&ss, 0, sizeof(ss));
	ss.ss_family = (sa_family_t)family;
	a4->sin_port = htons(port);
	inet_pton(family, addr, family == AF_INET ? (void *)&a4->sin_addr : (void *)&a6->sin6_addr);
	err = connect(fd, (void *)&ss, family == AF_INET ? sizeof(*a4) : sizeof(*a6));
	getsockname(fd, (void *)&ss, &len);
	*local = ntohs(a4->sin_port);
	if (err) {
		close(fd);
		return -1;
	}
	return fd;
}

static struct sockdiag *start(void)
{
	const char *reason = netns_enter();
	struct sockdiag *d;

	if (reason) {
		TEST_SKIP(reason);
		return NULL;
	}
	return CHECK(sockdiag_new(&d, NULL, 0) == 0) ? d : NULL;
}

static struct sock_end end_of(const char *addr, uint16_t port)
{
	struct sock_end e;

	memset(&e, 0, sizeof(e));
	CHECK_INT(addr_parse(&e.addr, addr), 0);
	e.port = port;
	return e;
}

static uint32_t inode_of(int fd)
{
	char path[64], link[64];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	n = readlink(path, link, sizeof(link) - 1);
	link[n > 0 ? n : 0] = 0;
	return n > 8 ? (uint32_t)strtoul(link + 8, NULL, 10) : 0;
}

/* One family: listener, connection, both ends; the same by dump and by lookup. */
static void check_tcp(struct sockdiag *d, int server_family, int family, const char *addr)
{
	const char *any = server_family == AF_INET ? "0.0.0.0" : "::";
	int l = make(server_family, SOCK_STREAM, any, 7001, false), c, a;
	const struct sock_entry *e;
	struct sock_entry one;
	struct sock_end client, server = end_of(addr, 7001);
	uint16_t port;

	if (!CHECK(l >= 0))
		return;
	c = dial(family, SOCK_STREAM, addr, 7001, &port);
	client = end_of(addr, port);
	CHECK_INT(write(c, "hello", 5), 5);
	usleep(20000);
	/* not accepted yet: no inode */
	CHECK_INT(dump(d, PROTO_TCP, SOCK_STATES_ALL, true), 0);
	e = find(7001, port);
	CHECK(e && e->inode == 0);
	a = accept(l, NULL, NULL);
	CHECK_INT(dump(d, PROTO_TCP, SOCK_STATES_ALL, true), 0);
	e = find(7001, 0);
	CHECK(e && e->state == SOCK_LISTEN && e->inode == inode_of(l) && !e->v6only &&
	      sock_addr_is_any(&e->local.addr) && e->ipv6 == (server_family == AF_INET6));
	e = find(port, 7001);
	if (CHECK(e != NULL)) {
		CHECK(e->state == SOCK_ESTABLISHED && e->inode == inode_of(c));
		CHECK(addr_equal(&e->local.addr, &client.addr));
		if (sockdiag_by_netlink(d, PROTO_TCP)) {
			CHECK(e->tcp.has & SOCK_TCP_RTT && e->tcp.rtt_us < 1000000);
			CHECK(!(e->tcp.has & SOCK_TCP_BYTES) || e->tcp.bytes_acked >= 5);
			CHECK_INT(e->tcp.total_retrans, 0);
		}
	}
	e = find(7001, port);
	CHECK(e && e->inode == inode_of(a));
	CHECK_INT(dump(d, PROTO_TCP, SOCK_STATES_LISTEN, false), 0);
	CHECK(find(7001, 0) && !find(port, 7001));
	if (sockdiag_by_netlink(d, PROTO_TCP)) {
		CHECK_INT(sockdiag_lookup(d, PROTO_TCP, &client, &server, &one), 1);
		CHECK(one.inode == inode_of(c) && one.tcp.has == 0);
		CHECK_INT(sockdiag_lookup_tcp(d, &client, &server, &one), 1);
		CHECK(one.inode == inode_of(c) && one.tcp.has & SOCK_TCP_RTT);
		CHECK_INT(sockdiag_lookup(d, PROTO_TCP, &server, &client, &one), 1);
		CHECK_INT(one.inode, inode_of(a));
		client.port = 1;
		CHECK_INT(sockdiag_lookup(d, PROTO_TCP, &client, &server, &one), 0);
		CHECK_INT(sockdiag_lookup(d, PROTO_TCP, &server, &client, &one), 1);
		CHECK(one.state == SOCK_LISTEN && one.inode == inode_of(l));
	}
	close(a);
	close(c);
	close(l);
}

static void test_tcp(void)
{
	struct sockdiag *d = start();

	if (!d)
		return;
	check_tcp(d, AF_INET, AF_INET, "127.0.0.1");
	check_tcp(d, AF_INET6, AF_INET6, "::1");
	check_tcp(d, AF_INET6, AF_INET, "127.0.0.1"); /* v4-mapped */
	CHECK_INT(sockdiag_repeats(d), 0);
	sockdiag_free(d);
}

static void check_udp(struct sockdiag *d, int family, const char *addr)
{
	int s = make(family, SOCK_DGRAM, family == AF_INET ? "0.0.0.0" : "::", 7002, true), c;
	struct sock_end client, server = end_of(addr, 7002);
	const struct sock_entry *e;
	struct sock_entry one;
	uint16_t port;

	c = dial(family, SOCK_DGRAM, addr, 7002, &port);
	client = end_of(addr, port);
	CHECK_INT(dump(d, PROTO_UDP, SOCK_STATES_ALL, false), 0);
	e = find(7002, 0);
	CHECK(e && e->state == SOCK_CLOSE && e->inode == inode_of(s));
	e = find(port, 7002);
	CHECK(e && e->state == SOCK_ESTABLISHED && e->inode == inode_of(c));
	if (sockdiag_by_netlink(d, PROTO_UDP)) {
		CHECK_INT(sockdiag_lookup(d, PROTO_UDP, &client, &server, &one), 1);
		CHECK_INT(one.inode, inode_of(c));
		CHECK_INT(sockdiag_lookup(d, PROTO_UDP, &server, &client, &one), 1);
		CHECK_INT(one.inode, inode_of(s));
	}
	close(s);
	close(c);
}

static void test_udp(void)
{
	struct sockdiag *d = start();

	if (!d)
		return;
	check_udp(d, AF_INET, "127.0.0.1");
	check_udp(d, AF_INET6, "::1");
	sockdiag_free(d);
}

/* Netlink cannot be opened: the same answers out of /proc/net. */
static void test_proc(void)
{
	struct sockdiag *d = start();

	if (!d)
		return;
	sockdiag_refuse(d);
	CHECK(!sockdiag_by_netlink(d, PROTO_TCP));
	check_tcp(d, AF_INET, AF_INET, "127.0.0.1");
	check_tcp(d, AF_INET6, AF_INET6, "::1");
	check_tcp(d, AF_INET6, AF_INET, "127.0.0.1");
	check_udp(d, AF_INET, "127.0.0.1");
	check_udp(d, AF_INET6, "::1");
	sockdiag_free(d);
}

static void test_lines(void)
{
	static const char line[] =
	    "   1: 0100007F:1F90 0200007F:D431 01 00000000:00000000 00:00000000 "
	    "00000000  1000        0 123456 1 0000000000000000 20 4 30 10 -1\n";
	char cut[sizeof(line)];
	struct sock_entry e;
	struct sock_end want;
	size_t i;

	want = end_of("127.0.0.1", 8080);
	CHECK(sockdiag_parse_line(line, PROTO_TCP, false, &e));
	CHECK(e.local.port == want.port && addr_equal(&e.local.addr, &want.addr));
	CHECK(e.remote.port == 0xd431 && e.inode == 123456 && e.uid == 1000 && e.state == 1);
	CHECK(!sockdiag_parse_line("  sl  local_address rem_address   st tx_queue", PROTO_TCP,
				   false, &e));
	for (i = 0; i < 88; i++) { /* up to the inode */
		memcpy(cut, line, i);
		cut[i] = 0;
		if (sockdiag_parse_line(cut, PROTO_TCP, false, &e))
			CHECK(e.inode == 0);
	}
}

/* A message with tcp_info of this many bytes; returns its length. */
static size_t make_message(uint8_t *msg, uint16_t info)
{
	uint16_t rta[2] = {(uint16_t)(4 + info), 2};

	memcpy(msg + 88, rta, 4);
	return 92 + (size_t)info;
}

/* What struct tcp_info has at this length; its bytes stand at their own offsets. */
static void check_info(uint8_t *msg, uint16_t info, uint32_t want)
{
	struct sock_entry e;

	CHECK(sockdiag_parse_message(msg, make_message(msg, info), PROTO_TCP, &e));
	CHECK_MSG(e.tcp.has == want, "tcp_info of %u bytes: has %x", info, e.tcp.has);
	CHECK_INT(e.tcp.total_retrans, want & SOCK_TCP_RETRANS ? 7 : 0);
	CHECK_INT(e.tcp.bytes_acked, want & SOCK_TCP_BYTES ? 99 : 0);
	CHECK_INT(e.tcp.min_rtt_us, want & SOCK_TCP_MIN_RTT ? 11 : 0);
	CHECK_INT(e.tcp.data_segs_in, want & SOCK_TCP_DATA_SEGS ? 12 : 0);
	CHECK_INT(e.tcp.data_segs_out, want & SOCK_TCP_DATA_SEGS ? 13 : 0);
	CHECK_INT(e.tcp.delivered, want & SOCK_TCP_DELIVERED ? 14 : 0);
	CHECK_INT(e.tcp.bytes_sent, want & SOCK_TCP_SENT ? 1500 : 0);
	CHECK_INT(e.tcp.bytes_retrans, want & SOCK_TCP_SENT ? 16 : 0);
}

static void test_cut_messages(void)
{
	const uint32_t v4_2 = SOCK_TCP_RETRANS | SOCK_TCP_BYTES | SOCK_TCP_SEGS;
	const uint32_t v4_9 = v4_2 | SOCK_TCP_MIN_RTT | SOCK_TCP_DATA_SEGS;
	const uint32_t v4_19 = v4_9 | SOCK_TCP_DELIVERED | SOCK_TCP_SENT;
	static const struct {
		uint32_t at, value;
	} info[] = {{100, 7},  {120, 99}, {148, 11},   {152, 12},
		    {156, 13}, {192, 14}, {200, 1500}, {208, 16}};
	uint8_t msg[16 + 72 + 4 + 280], *copy;
	struct sock_entry e;
	size_t len, i;

	memset(msg, 0, sizeof(msg));
	msg[16] = AF_INET;
	msg[17] = SOCK_ESTABLISHED;
	for (i = 0; i < sizeof(info) / sizeof(info[0]); i++) {
		uint64_t wide = info[i].value;

		if (info[i].at == 120 || info[i].at >= 200)
			memcpy(msg + 92 + info[i].at, &wide, 8);
		else
			memcpy(msg + 92 + info[i].at, &info[i].value, 4);
	}
	make_message(msg, 280);
	for (len = 0; len < sizeof(msg); len++) {
		copy = malloc(len + 1);
		memcpy(copy, msg, len);
		CHECK(sockdiag_parse_message(copy, len, PROTO_TCP, &e) == (len >= 88));
		free(copy);
	}
	check_info(msg, 96, 0);
	check_info(msg, 104, SOCK_TCP_RETRANS);                  /* Linux 3.10 as released */
	check_info(msg, 136, SOCK_TCP_RETRANS | SOCK_TCP_BYTES); /* 4.1 */
	check_info(msg, 144, v4_2);                              /* 4.2, RHEL 7's 3.10 */
	check_info(msg, 192, v4_9);
	check_info(msg, 200, v4_9 | SOCK_TCP_DELIVERED); /* 4.18 */
	check_info(msg, 215, v4_9 | SOCK_TCP_DELIVERED);
	check_info(msg, 216, v4_19);
	check_info(msg, 280, v4_19);
	memset(msg + 92 + 148, 0xff, 4); /* min_rtt without a sample */
	CHECK(sockdiag_parse_message(msg, make_message(msg, 280), PROTO_TCP, &e));
	CHECK_INT(e.tcp.has, v4_19 & ~(uint32_t)SOCK_TCP_MIN_RTT);
}

/* Only what was asked for, by netlink and by /proc. */
static void test_ports(void)
{
	struct sock_query q = {PROTO_TCP, SOCK_STATES_ALL, true};
	struct sock_visitor v = {seen_begin, seen_socket, &seen};
	struct sockdiag *d = start();
	uint16_t ports[2];
	int l, c[2], round;

	if (!d)
		return;
	l = make(AF_INET, SOCK_STREAM, "0.0.0.0", 7003, false);
	c[0] = dial(AF_INET, SOCK_STREAM, "127.0.0.1", 7003, &ports[0]);
	c[1] = dial(AF_INET, SOCK_STREAM, "127.0.0.1", 7003, &ports[1]);
	for (round = 0; round < 2; round++) {
		CHECK_INT(sockdiag_dump_ports(d, &q, ports[0], 0, &v), 0);
		CHECK(seen.n == 1 && find(ports[0], 7003));
		CHECK_INT(sockdiag_dump_ports(d, &q, 7003, ports[1], &v), 0);
		CHECK(seen.n == 1 && find(7003, ports[1]));
		CHECK_INT(sockdiag_dump_ports(d, &q, 0, 7003, &v), 0);
		CHECK(seen.n == 2 && find(ports[0], 7003) && find(ports[1], 7003));
		CHECK_INT(sockdiag_dump_ports(d, &q, 7003, 0, &v), 0);
		CHECK(seen.n == 3 && find(7003, 0)); /* and its listener */
		CHECK_INT(sockdiag_dump_ports(d, &q, 1, 7003, &v), 0);
		CHECK_INT(seen.n, 0);
		sockdiag_refuse(d);
	}
	close(c[0]);
	close(c[1]);
	close(l);
	sockdiag_free(d);
}

/* The newest netlink socket of this process; -1: none. */
static int netlink_socket(void)
{
	struct sockaddr_storage a;
	int fd;

	for (fd = 255; fd >= 0; fd--) {
		socklen_t len = sizeof(a);

		if (!getsockname(fd, (void *)&a, &len) && a.ss_family == AF_NETLINK)
			return fd;
	}
	return -1;
}

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* Answers never come: that is waited for once, and briefly. */
static void test_deaf(void)
{
	struct sock_filter nothing = {BPF_RET | BPF_K, 0, 0, 0};
	struct sock_fprog program = {1, &nothing};
	const char *reason = netns_enter();
	struct sock_end local, remote;
	struct sock_entry found;
	struct sockdiag *d;
	uint64_t begun_ms;
	int l, fd, i;

	if (reason) {
		TEST_SKIP(reason);
		return;
	}
	l = make(AF_INET, SOCK_STREAM, "127.0.0.1", 7004, false);
	CHECK_INT(sockdiag_new(&d, NULL, 0), 0);
	fd = netlink_socket();
	CHECK(l >= 0 && fd >= 0 && sockdiag_by_netlink(d, PROTO_TCP));
	CHECK_INT(setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)), 0);
	memset(&local, 0, sizeof(local));
	memset(&remote, 0, sizeof(remote));
	local.port = 7004;
	begun_ms = now_ms();
	CHECK_INT(sockdiag_lookup(d, PROTO_UDP, &local, &remote, &found), -EOPNOTSUPP);
	CHECK(now_ms() - begun_ms >= 150);
	CHECK(!sockdiag_by_netlink(d, PROTO_TCP) && !sockdiag_by_netlink(d, PROTO_UDP));
	begun_ms = now_ms();
	for (i = 0; i < 20; i++)
		CHECK_INT(sockdiag_lookup(d, PROTO_TCP, &local, &remote, &found), -EOPNOTSUPP);
	CHECK_INT(dump(d, PROTO_TCP, SOCK_STATES_LISTEN, false), 0);
	CHECK(find(7004, 0)); /* /proc has it */
	CHECK_INT(dump(d, PROTO_UDP, SOCK_STATES_ALL, false), 0);
	CHECK_MSG(now_ms() - begun_ms < 1000, "%u ms", (unsigned int)(now_ms() - begun_ms));
	sockdiag_free(d);
	CHECK_INT(sockdiag_new(&d, NULL, 0), 0);
	fd = netlink_socket();
	CHECK_INT(setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)), 0);
	CHECK_INT(dump(d, PROTO_TCP, SOCK_STATES_LISTEN, false), 0);
	CHECK(find(7004, 0));
	sockdiag_free(d);
	close(l);
}

TEST_MAIN({"tcp", test_tcp}, {"udp", test_udp}, {"/proc/net", test_proc}, {"lines", test_lines},
	  {"ports", test_ports}, {"cut messages", test_cut_messages}, {"deaf", test_deaf})
