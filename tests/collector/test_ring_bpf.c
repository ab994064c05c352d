/* test_ring_bpf.c - the eBPF filter of the packet ring in the real kernel, in a network namespace.
 *
 * Frames are sent through a veth pair as in tests/live/test_filter_kernel.c: how much of each is
 * copied is compared with the classic filter. What it counts is compared with what was sent: by
 * several processes at once, on lo and on two interfaces, with more flows than it has room for, and
 * while entries are deleted.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* unshare */
#endif
#include "tests/test.h"

#include <arpa/inet.h>
#include <net/if_arp.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>

#include "collector/ring_bpf.h"
#include "filters/interpret.h"
#include "tests/filters/narrow_cases.h"
#include "tests/live/netns.h"

#ifndef SO_ATTACH_BPF
#define SO_ATTACH_BPF 50
#endif

enum { SENTINEL = 0xfffe };

static struct ring_bpf *rb;
static char why[KERNEL_WHY_SIZE];
static struct filter_insn prog[FILTER_INSNS_MAX];
static int nprog;

/* The filter, or the reason why not: what the kernel refuses is no failure. */
static const char *filter_new(const struct ip_net *narrow, size_t n, size_t max_flows)
{
	struct ring_bpf_config c = {case_dns_ports, 2, false, narrow, n, max_flows};
	const char *reason = netns_veth();

	if (reason)
		return reason;
	if (ring_bpf_new(&rb, &c, why) < 0) {
		CHECK(why[0] && !rb);
		return why;
	}
	CHECK(ring_bpf_fd(rb) >= 0);
	return NULL;
}

static void filter_free(void)
{
	ring_bpf_free(rb);
	rb = NULL;
}

static void tap_bind(int fd, const char *name)
{
	struct sockaddr_ll sll;

	memset(&sll, 0, sizeof(sll));
	sll.sll_family = AF_PACKET;
	sll.sll_protocol = htons(ETH_P_ALL);
	sll.sll_ifindex = (int)if_nametoindex(name);
	CHECK_INT(bind(fd, (const struct sockaddr *)&sll, sizeof(sll)), 0);
}

static int tap_open(const char *name)
{
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0), bpf = ring_bpf_fd(rb);

	CHECK_INT(setsockopt(fd, SOL_SOCKET, SO_ATTACH_BPF, &bpf, sizeof(bpf)), 0);
	tap_bind(fd, name);
	return fd;
}

static int sender_open(const char *name)
{
	struct sockaddr_ll sll;
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);

	memset(&sll, 0, sizeof(sll));
	sll.sll_family = AF_PACKET;
	sll.sll_ifindex = (int)if_nametoindex(name);
	CHECK_INT(bind(fd, (const struct sockaddr *)&sll, sizeof(sll)), 0);
	return fd;
}

/* ---- how much is copied ---- */

/* Bytes copied of the frame with this id, the sentinel comes behind it; -1: not even that. */
static int tap_copied(int fd, unsigned int id, bool ethernet)
{
	static uint8_t buf[65536];
	struct pollfd pfd = {fd, POLLIN, 0};
	int copied = 0;

	while (poll(&pfd, 1, 1000) > 0) {
		ssize_t n = recv(fd, buf, sizeof(buf), 0);
		size_t at = ethernet || buf[0] >> 4 == 4 ? 4 : 2;
		unsigned int got = (unsigned int)(buf[at] << 8 | buf[at + 1]);

		if (n < 14)
			return -1;
		if (got == SENTINEL)
			return copied;
		if (got == id)
			copied = (int)n;
	}
	return -1;
}

/* DNS is always copied */
static const struct filter_case sentinel = {"4u", 53, 53, 60, "", ALL};

static void send_frame(int fd, const uint8_t *frame, size_t len, size_t skip)
{
	uint8_t last[CASE_FRAME_MAX];

	CHECK(write(fd, frame + skip, len - skip) == (ssize_t)(len - skip));
	len = case_build(&sentinel, SENTINEL, last);
	CHECK(write(fd, last + skip, len - skip) == (ssize_t)(len - skip));
}

static void classic_build(const struct ip_net *narrow, size_t n)
{
	struct filter_config c = {.dns_ports = case_dns_ports, .ndns_ports = 2};

	c.narrow = narrow;
	c.nnarrow = n;
	nprog = classic_flow_filter(prog, FILTER_INSNS_MAX, &c);
	CHECK(nprog > 0);
}

/* A tap with the classic filter: what really came by. lo drops datagrams before anyone sees them
 * where its queue is full. */
static int classic_open(const char *name)
{
	struct sock_filter code[FILTER_INSNS_MAX];
	struct sock_fprog fprog;
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0), i;

	classic_build(NULL, 0);
	for (i = 0; i < nprog; i++)
		code[i] = prog[i].insn;
	memset(&fprog, 0, sizeof(fprog));
	fprog.len = (unsigned short)nprog;
	fprog.filter = code;
	CHECK_INT(setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &fprog, sizeof(fprog)), 0);
	tap_bind(fd, name);
	return fd;
}

static int classic_copied(const uint8_t *data, size_t len, uint16_t hatype, uint16_t protocol)
{
	struct interpret_frame f;
	struct interpret_result r;

	memset(&f, 0, sizeof(f));
	f.data = data;
	f.len = (uint32_t)len;
	f.hatype = hatype;
	f.protocol = protocol;
	r = interpret_run(prog, (size_t)nprog, &f);
	return r.ret < len ? (int)r.ret : (int)len;
}

/* Are these layers that the program leaves to user space? Then it may copy more than classic BPF.
 */
static bool left_to_user_space(const char *layers)
{
	size_t tags = strspn(layers, "qs");

	return tags > 1 || strpbrk(layers, "pmOFLhdfa");
}

static uint64_t counted(void)
{
	struct ring_bpf_stats stats;

	ring_bpf_stats(rb, &stats);
	return stats.counted;
}

static void check_copied(const char *layers, size_t len, unsigned int id, const char *where,
			 int got, int want, uint64_t more)
{
	if (left_to_user_space(layers))
		CHECK_MSG(got >= want, "%u \"%s\" len %zu, %s: %d, classic %d", id, layers, len,
			  where, got, want);
	else /* UDP whose lengths agree is counted instead */
		CHECK_MSG(got == want || (!got && more && layers[strlen(layers) - 1] == 'u'),
			  "%u \"%s\" len %zu, %s: %d, classic %d", id, layers, len, where, got,
			  want);
}

/* A frame through va: what the taps of both ends copied against the classic program. */
static void compare(int out, int sent, int received, const char *layers, const uint8_t *frame,
		    size_t len, unsigned int id)
{
	uint8_t untagged[CASE_FRAME_MAX];
	uint64_t before = counted();
	int got;

	send_frame(out, frame, len, 0);
	got = tap_copied(sent, id, true);
	check_copied(layers, len, id, "sent", got, classic_copied(frame, len, ARPHRD_ETHER, 0),
		     counted() - before);
	memcpy(untagged, frame, len);
	if (layers[0] == 'q' || layers[0] == 's') {
		memmove(untagged + 12, frame + 16, len - 16);
		len -= 4;
		layers++;
	}
	got = tap_copied(received, id, true);
	check_copied(layers, len, id, "received", got,
		     classic_copied(untagged, len, ARPHRD_ETHER, 0), counted() - before);
}

static void compare_all(const struct ip_net *narrow, size_t n)
{
	uint8_t frame[CASE_FRAME_MAX];
	int out = sender_open("va"), sent = tap_open("va"), received = tap_open("vb");
	size_t i, len, ip;

	classic_build(narrow, n);
	for (i = 0; i < FILTER_CASES; i++) {
		if (filter_cases[i].len <= 14)
			continue; /* the kernel sends no empty frame */
		len = case_build(&filter_cases[i], (uint16_t)i, frame);
		compare(out, sent, received, filter_cases[i].layers, frame, len, (unsigned int)i);
	}
	for (i = 0; i < NARROW_CASES; i++) {
		len = narrow_build(&narrow_cases[i], (uint16_t)i, frame, &ip);
		compare(out, sent, received, narrow_cases[i].layers, frame, len, (unsigned int)i);
	}
	close(out);
	close(sent);
	close(received);
}

static void test_copies(void)
{
	/* others' network makes the program use the longest prefix too */
	static const struct ip_net none[] = {CASE_NET4(192, 0, 2, 0, 24)};
	static struct ip_net both[NARROW_OWN + 1];
	static struct ip_net many[RING_BPF_NETS_MOST + 1];
	const char *reason = filter_new(NULL, 0, 0);

	if (reason) {
		TEST_SKIP(reason);
		return;
	}
	compare_all(NULL, 0);
	/* changed while it is attached to nothing, and again */
	CHECK_INT(ring_bpf_set_narrow(rb, narrow_own, NARROW_OWN), 0);
	compare_all(narrow_own, NARROW_OWN);
	CHECK_INT(ring_bpf_set_narrow(rb, none, 1), 0);
	compare_all(none, 1);
	memcpy(both, narrow_own, sizeof(narrow_own));
	both[NARROW_OWN] = none[0];
	CHECK_INT(ring_bpf_set_narrow(rb, both, NARROW_OWN + 1), 0);
	compare_all(both, NARROW_OWN + 1);
	CHECK_INT(ring_bpf_set_narrow(rb, many, RING_BPF_NETS_MOST + 1), FL_EFULL);
	compare_all(NULL, 0);
	CHECK_INT(ring_bpf_set_narrow(rb, narrow_own, NARROW_OWN), 0);
	CHECK_INT(ring_bpf_set_narrow(rb, NULL, 0), 0);
	compare_all(NULL, 0);
	filter_free();
}

/* Few addresses, and more than the tables take: the rest is looked for in the map of networks. */
static void test_many_addresses(void)
{
	static const size_t before[] = {0, 3, 40, 300, 500};
	static const struct ip_net nets[] = {CASE_NET4(10, 0, 0, 2, 31), CASE_NET6(0xfd, 0, 0, 64)};
	static struct ip_net all[2 * 500 + NARROW_OWN];
	static struct ip_net mixed[2 * 500 + 2];
	const char *reason = filter_new(NULL, 0, 0);
	size_t i, k, n, m;

	if (reason) {
		TEST_SKIP(reason);
		return;
	}
	for (i = 0; i < sizeof(before) / sizeof(before[0]); i++) {
		static const struct ip_net far4 = CASE_NET4(198, 18, 0, 0, 32);
		static const struct ip_net far6 = CASE_NET6(0x20, 1, 0, 128);

		for (k = n = 0; k < before[i]; k++) {
			all[n] = far4;
			all[n].addr.b[14] = (uint8_t)(k >> 8);
			all[n++].addr.b[15] = (uint8_t)k;
			all[n] = far6;
			all[n].addr.b[14] = (uint8_t)(k >> 8);
			all[n++].addr.b[15] = (uint8_t)k;
		}
		memcpy(mixed, all, n * sizeof(all[0]));
		memcpy(all + n, narrow_own, sizeof(narrow_own));
		CHECK_INT(ring_bpf_set_narrow(rb, all, n + NARROW_OWN), 0);
		/* what the others' addresses do to the classic program is not asked here */
		compare_all(narrow_own, NARROW_OWN);
		for (k = 0, m = n; k < 2; k++)
			mixed[m++] = nets[k];
		CHECK_INT(ring_bpf_set_narrow(rb, mixed, m), 0);
		compare_all(nets, 2);
		CHECK_INT(ring_bpf_set_narrow(rb, mixed, n), 0);
		compare_all(narrow_other, NARROW_OTHER); /* nothing of these frames is own */
	}
	filter_free();
}

/* A tun device: the frame begins with the IP header, whose lengths are true in these cases. */
static void test_no_link_header(void)
{
	static const uint8_t looks_like_ethernet[] = {8, 0, 0x45, 1};
	const char *reason = filter_new(narrow_own, NARROW_OWN, 0);
	uint8_t frame[CASE_FRAME_MAX];
	int tun = -1, tap;
	size_t i, len, ip;

	if (!reason)
		reason = netns_tun(&tun);
	if (reason) {
		TEST_SKIP(reason);
		filter_free();
		return;
	}
	tap = tap_open("t0");
	classic_build(narrow_own, NARROW_OWN);
	for (i = 0; i < 2 * NARROW_CASES; i++) {
		const struct narrow_case *c = &narrow_cases[i / 2];
		uint64_t before = counted();
		int want, got;

		len = narrow_build(c, (uint16_t)i, frame, &ip);
		if (ip != 14 || strpbrk(c->layers, "pmqs"))
			continue;
		if (i & 1 && c->layers[0] == '4' && !c->len)
			memcpy(frame + 14 + 12, looks_like_ethernet, 4);
		want = classic_copied(frame + 14, len - 14, ARPHRD_NONE,
				      c->layers[0] == '6' ? 0x86dd : 0x0800);
		send_frame(tun, frame, len, 14);
		got = tap_copied(tap, (unsigned int)i, false);
		if (c->len) /* padded or cut: the lengths do not agree, so that it is copied */
			CHECK_MSG(got >= want, "%zu \"%s\": %d, classic %d", i, c->layers, got,
				  want);
		else
			check_copied(c->layers, len - 14, (unsigned int)i, "no link header", got,
				     want, counted() - before);
	}
	close(tap);
	close(tun);
	filter_free();
}

/* ---- what is counted ---- */

/* Sums of what was told, by interface and the sender's port. */
enum { PORTS = 65536, IFACES = 3 };

static struct sum {
	uint64_t packets, bytes, first_ns, last_ns;
	struct ip_addr src, dst;
	uint16_t dport;
} sums[IFACES][PORTS];
static unsigned int ifaces[IFACES]; /* their indexes */
static uint64_t told, calls, strangers;

static void add(void *ctx, const struct kernel_datagrams *d)
{
	unsigned int i;
	uint16_t port = flow_key_port(&d->key, d->end);

	(void)ctx;
	calls++;
	told += d->packets;
	for (i = 0; i < IFACES && ifaces[i] != d->iface; i++)
		;
	if (i == IFACES || flow_key_proto(&d->key) != PROTO_UDP || !d->packets) {
		strangers++;
		return;
	}
	if (!sums[i][port].packets)
		sums[i][port].first_ns = d->first_ns;
	sums[i][port].packets += d->packets;
	sums[i][port].bytes += d->bytes;
	sums[i][port].last_ns = d->last_ns;
	sums[i][port].dport = flow_key_port(&d->key, !d->end);
	flow_key_addr(&d->key, d->end, &sums[i][port].src);
	flow_key_addr(&d->key, !d->end, &sums[i][port].dst);
}

static void sums_reset(void)
{
	memset(sums, 0, sizeof(sums));
	told = calls = strangers = 0;
	ifaces[0] = if_nametoindex("lo");
	ifaces[1] = if_nametoindex("va");
	ifaces[2] = if_nametoindex("vb");
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* Frames that passed the filter of a tap, whether there was room for them or not. */
static unsigned int tap_passed(int fd)
{
	struct tpacket_stats s = {0, 0};
	socklen_t len = sizeof(s);

	CHECK_INT(getsockopt(fd, SOL_PACKET, PACKET_STATISTICS, &s, &len), 0);
	return s.tp_packets;
}

/* A datagram with lengths that agree; returns the frame's length. */
static size_t datagram(uint8_t *out, const char *layers, uint16_t sport, uint16_t dport,
		       size_t payload)
{
	struct filter_case c = {layers, sport, dport, 0, "", ALL};
	size_t udp = 14 + (layers[0] == '6' ? 40 : 20) + (layers[0] == 'q' ? 4 : 0);
	bool v6 = strchr(layers, '6') != NULL;
	uint8_t *ip;

	if (layers[0] == 'q' && v6)
		udp += 20;
	c.len = udp + 8 + payload;
	case_build(&c, 1, out);
	ip = out + udp - (v6 ? 40 : 20);
	case_put16(ip + (v6 ? 4 : 2), (unsigned int)(8 + payload + (v6 ? 0 : 20)));
	case_put16(out + udp + 4, (unsigned int)(8 + payload));
	return c.len;
}

static void test_counts(void)
{
	static const struct {
		const char *layers;
		uint16_t sport, dport;
		unsigned int payload, times;
	} sends[] = {
	    {"4u", 1000, 443, 0, 3},     {"4u", 1001, 443, 18, 1},   {"4u", 1002, 443, 1200, 50},
	    {"6u", 1003, 443, 0, 2},     {"6u", 1004, 443, 1452, 7}, {"q4u", 1005, 443, 100, 4},
	    {"q6u", 1006, 443, 1400, 5}, {"4u", 443, 1002, 3000, 9}, {"4u", 1007, 4789, 70, 2},
	};
	const char *reason = filter_new(NULL, 0, 0);
	uint8_t frame[CASE_FRAME_MAX];
	uint64_t before = now_ns();
	struct ring_bpf_stats stats;
	int out, a, b;
	size_t i, k, len;

	if (reason) {
		TEST_SKIP(reason);
		return;
	}
	sums_reset();
	out = sender_open("va");
	a = tap_open("va");
	b = tap_open("vb");
	for (i = 0; i < sizeof(sends) / sizeof(sends[0]); i++) {
		len = datagram(frame, sends[i].layers, sends[i].sport, sends[i].dport,
			       sends[i].payload);
		for (k = 0; k < sends[i].times; k++)
			CHECK(write(out, frame, len) == (ssize_t)len);
	}
	CHECK_INT(tap_passed(a), 0);
	CHECK_INT(tap_passed(b), 0);
	CHECK_INT(ring_bpf_read(rb, add, NULL), 0);
	for (i = 0; i < sizeof(sends) / sizeof(sends[0]); i++)
		for (k = 1; k < IFACES; k++) {
			const struct sum *s = &sums[k][sends[i].sport];
			bool v6 = strchr(sends[i].layers, '6') != NULL;

			CHECK_INT(s->packets, sends[i].times);
			CHECK_INT(s->bytes, sends[i].times * sends[i].payload);
			CHECK_INT(s->dport, sends[i].dport);
			CHECK_INT(addr_is_v4(&s->src), !v6);
			CHECK_INT(s->src.b[15], 1);
			CHECK_INT(s->dst.b[15], 2);
			CHECK(s->first_ns >= before - 1000000 && s->first_ns <= s->last_ns);
			CHECK(s->last_ns <= now_ns() + 1000000);
		}
	CHECK_INT(strangers, 0);
	calls = 0;
	CHECK_INT(ring_bpf_read(rb, add, NULL), 0);
	CHECK_INT(calls, 0); /* nothing new */
	ring_bpf_stats(rb, &stats);
	CHECK_INT(stats.counted, told);
	CHECK_INT(stats.told, told);
	CHECK_INT(stats.lost + stats.full, 0);
	CHECK_INT(stats.flows, 2 * sizeof(sends) / sizeof(sends[0]));
	close(out);
	close(a);
	close(b);
	filter_free();
}

/* Left to user space: lengths that do not agree, DNS, tunnels where they are looked into. */
static void test_left_out(void)
{
	const char *reason = filter_new(NULL, 0, 0);
	uint8_t frame[CASE_FRAME_MAX];
	uint16_t port = 7000;
	int out, tap;
	size_t len;

	if (reason) {
		TEST_SKIP(reason);
		return;
	}
	sums_reset();
	out = sender_open("va");
	tap = tap_open("va");
	len = datagram(frame, "4u", 2000, 53, 100);
	CHECK(write(out, frame, len) > 0);
	len = datagram(frame, "4u", 2000, 443, 100);
	CHECK(write(out, frame, len - 1) > 0); /* cut */
	case_put16(frame + 14 + 20 + 4, 107);  /* shorter than the packet */
	CHECK(write(out, frame, len) > 0);
	case_put16(frame + 14 + 20 + 4, 0);
	CHECK(write(out, frame, len) > 0);
	len = datagram(frame, "6u", 2000, 443, 100);
	case_put16(frame + 14 + 4, 0); /* jumbogram's */
	CHECK(write(out, frame, len) > 0);
	CHECK_INT(tap_passed(tap), 5);
	CHECK_INT(ring_bpf_set_ports(rb, &port, 1, true), 0);
	len = datagram(frame, "4u", 2000, 4789, 100);
	CHECK(write(out, frame, len) > 0);
	len = datagram(frame, "4u", 7000, 2000, 100);
	CHECK(write(out, frame, len) > 0);
	CHECK_INT(tap_passed(tap), 2);
	len = datagram(frame, "4u", 2000, 53, 100); /* no DNS port any more */
	CHECK(write(out, frame, len) > 0);
	CHECK_INT(tap_passed(tap), 0);
	CHECK_INT(ring_bpf_read(rb, add, NULL), 0);
	CHECK_INT(told, 1);
	CHECK_INT(sums[1][2000].bytes, 100);
	close(out);
	close(tap);
	filter_free();
}

/* Its own process: `flows` sockets from port `first` on send `each` datagrams in turns to a socket
 * that nobody reads; the ones that the kernel did not take are not counted. */
static void burst(int family, uint16_t first, unsigned int flows, unsigned int each,
		  useconds_t pause)
{
	struct sockaddr_in6 a6;
	struct sockaddr_in a4;
	struct sockaddr *sa = family == AF_INET ? (struct sockaddr *)&a4 : (struct sockaddr *)&a6;
	socklen_t len = family == AF_INET ? sizeof(a4) : sizeof(a6);
	int fds[1024], to = socket(family, SOCK_DGRAM, 0);
	uint8_t payload[1000] = {0};
	unsigned int i, k;

	memset(&a4, 0, sizeof(a4));
	memset(&a6, 0, sizeof(a6));
	a4.sin_family = AF_INET;
	a4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	a6.sin6_family = AF_INET6;
	a6.sin6_addr = in6addr_loopback;
	if (bind(to, sa, len) < 0 || getsockname(to, sa, &len) < 0)
		_exit(2);
	for (i = 0; i < flows; i++) {
		struct sockaddr_in6 own6 = a6;
		struct sockaddr_in own4 = a4;

		own4.sin_port = own6.sin6_port = htons((uint16_t)(first + i));
		fds[i] = socket(family, SOCK_DGRAM, 0);
		if (bind(fds[i],
			 family == AF_INET ? (struct sockaddr *)&own4 : (struct sockaddr *)&own6,
			 len) < 0 ||
		    connect(fds[i], sa, len) < 0)
			_exit(3);
	}
	for (k = 0; k < each; k++) {
		for (i = 0; i < flows; i++)
			if (send(fds[i], payload, (first + i) % 1000, 0) < 0)
				_exit(4);
		if (pause)
			usleep(pause);
	}
	_exit(0);
}

enum { SENDERS = 4 };

/* Read all the time while they send; false: one of them failed. */
static bool read_while(pid_t pids[SENDERS])
{
	bool well = true;
	int i, status, left = SENDERS;

	while (left) {
		CHECK_INT(ring_bpf_read(rb, add, NULL), 0);
		usleep(20000);
		for (i = 0; i < SENDERS; i++)
			if (pids[i] && waitpid(pids[i], &status, WNOHANG) == pids[i]) {
				pids[i] = 0;
				left--;
				well = well && WIFEXITED(status) && !WEXITSTATUS(status);
			}
	}
	CHECK_INT(ring_bpf_read(rb, add, NULL), 0);
	return well;
}

/* Several senders on lo, which shows each datagram twice; entries are deleted all the time, because
 * more than a quarter of the map is used. */
static void test_bursts(void)
{
	enum { FLOWS = 200, EACH = 500 };
	const char *reason = filter_new(NULL, 0, 3000);
	struct ring_bpf_stats stats;
	pid_t pids[SENDERS];
	unsigned int i, k, came;
	int tap, all;

	if (reason) {
		TEST_SKIP(reason);
		return;
	}
	sums_reset();
	tap = tap_open("lo");
	all = classic_open("lo");
	for (i = 0; i < SENDERS; i++) {
		pids[i] = fork();
		if (!pids[i])
			burst(i & 1 ? AF_INET6 : AF_INET, (uint16_t)(10000 + 1000 * i), FLOWS, EACH,
			      2000);
	}
	CHECK(read_while(pids));
	ring_bpf_stats(rb, &stats);
	came = tap_passed(all);
	CHECK(came > SENDERS * FLOWS && came <= SENDERS * FLOWS * EACH);
	CHECK_INT(told, came);
	CHECK_INT(tap_passed(tap), 0);
	CHECK_INT(stats.counted, told);
	CHECK_INT(stats.lost + stats.full, 0);
	CHECK(stats.generations >= 2);
	CHECK_INT(strangers, 0);
	for (i = 0; i < SENDERS && came == SENDERS * FLOWS * EACH; i++)
		for (k = 10000 + 1000 * i; k < 10000 + 1000 * i + FLOWS; k++) {
			CHECK_INT(sums[0][k].packets, EACH);
			CHECK_INT(sums[0][k].bytes, EACH * (k % 1000));
		}
	close(tap);
	close(all);
	filter_free();
}

/* Three times as many flows as there is room: the others are copied. When they are silent their
 * entries go, and there is room again. */
static void test_full(void)
{
	enum { FLOWS = 800, EACH = 3 };
	const char *reason = filter_new(NULL, 0, RING_BPF_FLOWS_LEAST);
	struct ring_bpf_stats stats;
	unsigned int i, passed;
	int tap, all, status;

	if (reason) {
		TEST_SKIP(reason);
		return;
	}
	sums_reset();
	tap = tap_open("lo");
	all = classic_open("lo");
	for (i = 0; i < SENDERS; i++) {
		pid_t pid = fork();

		if (!pid)
			burst(i & 1 ? AF_INET6 : AF_INET, (uint16_t)(10000 + 1000 * i), FLOWS, EACH,
			      0);
		CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && !WEXITSTATUS(status));
	}
	CHECK_INT(ring_bpf_read(rb, add, NULL), 0);
	passed = tap_passed(tap);
	ring_bpf_stats(rb, &stats);
	CHECK(passed > 0 && told > 0);
	CHECK_INT(told + passed, tap_passed(all));
	CHECK_INT(stats.full, passed);
	CHECK_INT(stats.lost, 0);
	CHECK(stats.flows <= stats.max_flows);
	for (i = 0; i < 7; i++) {
		usleep(250000);
		CHECK_INT(ring_bpf_read(rb, add, NULL), 0);
	}
	ring_bpf_stats(rb, &stats);
	CHECK_INT(stats.flows, 0);
	close(tap);
	close(all);
	filter_free();
}

/* A program that nobody may load says so, whoever built it. */
static void test_refused(void)
{
	struct ring_bpf_config c = {case_dns_ports, 2, false, NULL, 0, 0};
	pid_t pid = fork();
	int status = 0;

	if (!pid) {
		struct ring_bpf *none = NULL;

		if (setgid(65534) < 0 || setuid(65534) < 0)
			_exit(77);
		/* an ordinary user: refused where kernel.unprivileged_bpf_disabled is on */
		if (ring_bpf_new(&none, &c, why) == 0) {
			ring_bpf_free(none);
			_exit(77);
		}
		printf("%s\n", why);
		_exit(!none && (strstr(why, "libbpf") || strstr(why, "bpf(2)")) ? 0 : 1);
	}
	CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status));
	if (WEXITSTATUS(status) == 77) {
		TEST_SKIP(
		    "an ordinary user may load eBPF filters here, or root is needed to become one");
		return;
	}
	CHECK_INT(WEXITSTATUS(status), 0);
}

TEST_MAIN({"copies as the classic filter", test_copies}, {"many addresses", test_many_addresses},
	  {"no link header", test_no_link_header}, {"counts", test_counts},
	  {"left to user space", test_left_out}, {"bursts", test_bursts}, {"full", test_full},
	  {"refused", test_refused})
