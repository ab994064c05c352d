/* test_sockdiag.c - real sockets in a namespace of the test's own: dumps, lookups, /proc/net; and
 * messages that are cut. */
#include "collector/sockdiag.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
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
		CHECK_INT(one.inode, inode_of(c));
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

static void test_cut_messages(void)
{
	uint8_t msg[16 + 72 + 4 + 248], *copy;
	struct sock_entry e;
	uint16_t rta[2] = {4 + 248, 2};
	uint32_t total = 7;
	uint64_t acked = 99;
	size_t len;

	memset(msg, 0, sizeof(msg));
	msg[16] = AF_INET;
	msg[17] = SOCK_ESTABLISHED;
	memcpy(msg + 88, rta, 4);
	memcpy(msg + 92 + 100, &total, 4);
	memcpy(msg + 92 + 120, &acked, 8);
	CHECK(sockdiag_parse_message(msg, sizeof(msg), PROTO_TCP, &e));
	CHECK(e.tcp.has == (SOCK_TCP_RETRANS | SOCK_TCP_BYTES | SOCK_TCP_SEGS));
	CHECK(e.tcp.total_retrans == 7 && e.tcp.bytes_acked == 99);
	for (len = 0; len < sizeof(msg); len++) {
		copy = malloc(len + 1);
		memcpy(copy, msg, len);
		CHECK(sockdiag_parse_message(copy, len, PROTO_TCP, &e) == (len >= 88));
		free(copy);
	}
	rta[0] = 4 + 104; /* Linux 3.10 as released */
	memcpy(msg + 88, rta, 4);
	CHECK(sockdiag_parse_message(msg, 88 + 108, PROTO_TCP, &e));
	CHECK_INT(e.tcp.has, SOCK_TCP_RETRANS);
	rta[0] = 4 + 144; /* RHEL 7's */
	memcpy(msg + 88, rta, 4);
	CHECK(sockdiag_parse_message(msg, 88 + 148, PROTO_TCP, &e));
	CHECK_INT(e.tcp.has, SOCK_TCP_RETRANS | SOCK_TCP_BYTES | SOCK_TCP_SEGS);
}

TEST_MAIN({"tcp", test_tcp}, {"udp", test_udp}, {"/proc/net", test_proc}, {"lines", test_lines},
	  {"cut messages", test_cut_messages})
