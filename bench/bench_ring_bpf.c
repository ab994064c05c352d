/* bench_ring_bpf.c - what the packet ring's filters cost a frame, in the kernel: the narrowed
 * classic one and the eBPF one that counts UDP (filters/ring.bpf.c).
 *
 *   bench_ring_bpf [ROUNDS [ADDRESSES]]     default: 30; 2 own addresses of each IP version
 *
 * Frames are sent into a veth pair in a network namespace of the benchmark's own, which is silent
 * but for them, and which TAPS packet sockets watch. So a frame runs the filter that many times,
 * and what sending it costs vanishes beside that. The classic program is what the kernel makes of
 * it, which no BPF_PROG_TEST_RUN shows. In each round the filters take turns: one that returns the
 * same number without a look at the frame, the classic one, the eBPF one. Columns are the fastest
 * round of each, ns for one run; `empty` is all that is no filter, and is in the other two.
 *
 * A flow's first datagram is measured by BPF_PROG_TEST_RUN, as the other taps would find it in the
 * map; beside it the same program with a flow that is there.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* unshare */
#endif
#include <arpa/inet.h>
#include <linux/bpf.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>

#include "collector/ring_bpf.h"
#include "filters/classic.h"
#include "tests/live/netns.h"

#ifndef SO_ATTACH_BPF
#define SO_ATTACH_BPF 50
#endif

enum { TAPS = 64, SENDS = 400, FIRSTS = 4096, FRAME_MAX = 32768, ADDRESSES_MOST = 500 };

enum kind { EMPTY, CLASSIC, EBPF, KINDS };

static const struct frame_case {
	const char *name;
	int version; /* 4 or 6 */
	int protocol;
	unsigned int port;
	size_t payload;
	const char *begin; /* of the payload */
} cases[] = {
    {"TCP, an acknowledgement", 4, 6, 443, 0, ""},
    {"TCP, bulk, 1514 bytes", 4, 6, 443, 1448, "\x17\x03\x03\x40\x18\x9a\xbc\xde"},
    {"TCP, bulk, 32 KB in pages", 4, 6, 443, 32000, "\x17\x03\x03\x40\x18\x9a\xbc\xde"},
    {"TCP, a small record", 4, 6, 443, 100, "\x17\x03\x03\x00\x18\x9a\xbc\xde"},
    {"TCP, an HTTP head", 4, 6, 80, 900, "GET /index.html HTTP/1.1\r\n"},
    {"TCP, IPv6, an acknowledgement", 6, 6, 443, 0, ""},
    {"TCP, IPv6, bulk, 1514 bytes", 6, 6, 443, 1428, "\x17\x03\x03\x40\x18\x9a\xbc\xde"},
    {"ICMP", 4, 1, 0, 56, ""},
    {"UDP, 30 bytes", 4, 17, 9999, 30, ""},
    {"UDP, 1200 bytes", 4, 17, 9999, 1200, ""},
    {"UDP, IPv6, 1200 bytes", 6, 17, 9999, 1200, ""},
};

enum { CASES = sizeof(cases) / sizeof(cases[0]) };

static const uint16_t dns_ports[] = {53};

/* As a host has them, the frames' are the last. */
static struct ip_net own[2 * ADDRESSES_MOST + 1];
static size_t nown;

static void own_make(size_t addresses)
{
	static const uint8_t lo[4] = {127, 0, 0, 0};
	uint8_t v4[4] = {10, 0, 0, 2};
	size_t i;

	addr_from_v4(&own[nown].addr, lo);
	own[nown++].bits = 104;
	for (i = addresses; i-- > 0; nown += 2) {
		v4[1] = (uint8_t)(i >> 8);
		v4[2] = (uint8_t)i;
		addr_from_v4(&own[nown].addr, v4);
		own[nown + 1].addr.b[0] = 0xfd;
		own[nown + 1].addr.b[13] = v4[1];
		own[nown + 1].addr.b[14] = v4[2];
		own[nown + 1].addr.b[15] = 2;
		own[nown].bits = own[nown + 1].bits = 128;
	}
}

static void put16(uint8_t *p, size_t x)
{
	p[0] = (uint8_t)(x >> 8);
	p[1] = (uint8_t)x;
}

/* From the sender to 10.0.0.2 or fd00::2; returns its length. */
static size_t frame_make(uint8_t *f, const struct frame_case *c)
{
	size_t ip = c->version == 4 ? 20 : 40, header = c->protocol == 6 ? 32 : 8;
	uint8_t *l4 = f + 14 + ip, *payload = l4 + header;
	size_t all = header + c->payload;

	memset(f, 0, 14 + ip + header);
	memset(payload, 0x9a, c->payload);
	memcpy(payload, c->begin, strlen(c->begin));
	f[0] = f[6] = 2;
	f[5] = 2;
	f[11] = 1;
	put16(f + 12, c->version == 4 ? 0x0800 : 0x86dd);
	if (c->version == 4) {
		f[14] = 0x45;
		put16(f + 16, all + 20);
		f[22] = 64;
		f[23] = (uint8_t)c->protocol;
		memcpy(f + 26, "\x0a\x00\x00\x01\x0a\x00\x00\x02", 8);
	} else {
		f[14] = 0x60;
		put16(f + 18, all);
		f[20] = (uint8_t)c->protocol;
		f[21] = 64;
		f[22] = f[38] = 0xfd;
		f[37] = 1;
		f[53] = 2;
	}
	put16(l4, 40000);
	put16(l4 + 2, c->port);
	if (c->protocol == 6) {
		l4[12] = 8 << 4;
		l4[13] = 0x10;
		memcpy(l4 + 20, "\x01\x01\x08\x0a", 4);
	} else {
		put16(l4 + 4, all);
	}
	return 14 + ip + all;
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* ---- taps ---- */

static int taps[TAPS], sender = -1;
static struct ring_bpf *rb;
static struct sock_filter classic[FILTER_INSNS_MAX];
static size_t nclassic;

static bool bind_to(int fd, uint16_t protocol)
{
	struct sockaddr_ll sll;

	memset(&sll, 0, sizeof(sll));
	sll.sll_family = AF_PACKET;
	sll.sll_protocol = htons(protocol);
	sll.sll_ifindex = (int)if_nametoindex("va");
	return bind(fd, (const void *)&sll, sizeof(sll)) == 0;
}

static bool open_all(void)
{
	int i, least = 1, one = 1;

	for (i = 0; i < TAPS; i++) {
		taps[i] = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
		/* what passes finds the queue full at once */
		if (taps[i] < 0 ||
		    setsockopt(taps[i], SOL_SOCKET, SO_RCVBUF, &least, sizeof(least)) < 0 ||
		    !bind_to(taps[i], ETH_P_ALL))
			return false;
	}
	sender = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	return sender >= 0 && bind_to(sender, 0) &&
	       setsockopt(sender, SOL_PACKET, PACKET_VNET_HDR, &one, sizeof(one)) == 0;
}

static bool attach(enum kind kind, uint32_t empty_returns)
{
	struct sock_filter empty[1] = {BPF_STMT(BPF_RET | BPF_K, empty_returns)};
	struct sock_fprog p = {kind == EMPTY ? 1 : (unsigned short)nclassic,
			       kind == EMPTY ? empty : classic};
	int i, fd = rb ? ring_bpf_fd(rb) : -1, err = 0;

	for (i = 0; i < TAPS && !err; i++)
		err = kind == EBPF
			  ? setsockopt(taps[i], SOL_SOCKET, SO_ATTACH_BPF, &fd, sizeof(fd))
			  : setsockopt(taps[i], SOL_SOCKET, SO_ATTACH_FILTER, &p, sizeof(p));
	return !err;
}

/* How much of a frame the first tap's filter copies: it has to be known for `empty`. */
static unsigned int taken(void)
{
	struct tpacket_stats s = {0, 0};
	socklen_t len = sizeof(s);

	return getsockopt(taps[0], SOL_PACKET, PACKET_STATISTICS, &s, &len) ? 0 : s.tp_packets;
}

static bool send_one(const uint8_t *frame, size_t len)
{
	struct virtio_net_hdr h;
	struct iovec v[2] = {{&h, sizeof(h)}, {(void *)(uintptr_t)frame, len}};

	memset(&h, 0, sizeof(h));
	if (len > 4096) /* the rest is in pages of its own */
		h.hdr_len = 14 + 20 + 32;
	return writev(sender, v, 2) == (ssize_t)(sizeof(h) + len);
}

/* ns for one run of one tap's filter; 0: frames cannot be sent. */
static double run(const uint8_t *frame, size_t len)
{
	uint64_t begin = now_ns();
	int i;

	for (i = 0; i < SENDS; i++)
		if (!send_one(frame, len))
			return 0;
	return (double)(now_ns() - begin) / SENDS / TAPS;
}

/* The fastest of all rounds; `copied`: does the classic, the eBPF filter let the frame pass? */
static bool measure(const struct frame_case *c, int rounds, double best[KINDS], bool copied[KINDS])
{
	static uint8_t frame[FRAME_MAX];
	size_t len = frame_make(frame, c);
	int round, kind;
	double ns;

	for (round = 0; round <= rounds; round++)
		for (kind = EMPTY; kind < (rb ? KINDS : EBPF); kind++) {
			if (!attach((enum kind)kind, copied[CLASSIC] ? 160 : 0))
				return false;
			taken();
			ns = run(frame, len);
			if (ns <= 0)
				return false;
			if (!round)
				copied[kind] = taken() > 0;
			else if (round == 1 || ns < best[kind])
				best[kind] = ns;
		}
	return true;
}

/* ---- a flow's first datagram ---- */

#ifdef __NR_bpf

/* The frame goes behind another Ethernet header, which the kernel takes for its own. -1: not here.
 */
static int64_t test_run(const uint8_t *frame, uint32_t len, uint32_t repeat)
{
	union bpf_attr a;

	memset(&a, 0, sizeof(a));
	a.test.prog_fd = (uint32_t)ring_bpf_fd(rb);
	a.test.data_in = (uint64_t)(uintptr_t)frame;
	a.test.data_size_in = len;
	a.test.repeat = repeat;
	if (syscall(__NR_bpf, BPF_PROG_TEST_RUN, &a, sizeof(a)) < 0)
		return -1;
	return a.test.duration;
}

static void none(void *ctx, const struct kernel_datagrams *d)
{
	(void)ctx;
	(void)d;
}

/* ns of one reading of the map. */
static unsigned long long read_map(void)
{
	uint64_t begin = now_ns();

	if (ring_bpf_read(rb, none, NULL) < 0)
		return 0;
	return now_ns() - begin;
}

static void firsts(void)
{
	static const struct frame_case c = {"", 4, 17, 9999, 100, ""};
	uint8_t frame[14 + 14 + 20 + 8 + 100];
	uint32_t len = 14 + (uint32_t)frame_make(frame + 14, &c), i;
	int64_t ns[2] = {0, 0}, one;
	unsigned long long all;
	int pass;

	memcpy(frame, frame + 14, 14);
	for (pass = 0; pass < 2; pass++)
		for (i = 0; i < FIRSTS; i++) {
			put16(frame + 14 + 34, 10000 + i);
			one = test_run(frame, len, 1);
			if (one < 0) {
				printf("no BPF_PROG_TEST_RUN: %s\n", strerror(errno));
				return;
			}
			ns[pass] += one;
		}
	printf(
	    "UDP, one run alone, with the clock: a flow's first datagram %lld ns, another %lld\n",
	    (long long)(ns[0] / FIRSTS), (long long)(ns[1] / FIRSTS));
	printf("UDP, a million runs in turn: %lld ns\n", (long long)test_run(frame, len, 1000000));
	all = read_map();
	printf("reading the map: %llu us with %d flows that are new", all / 1000, FIRSTS);
	(void)test_run(frame, len, 1);
	printf(", %llu us when one of them went on", read_map() / 1000);
	printf(", %llu us when none did\n", read_map() / 1000);
}

#else

static void firsts(void)
{
}

#endif

/* ---- all ---- */

static const char *begin(size_t addresses)
{
	struct filter_config fc = {.dns_ports = dns_ports, .ndns_ports = 1};
	struct ring_bpf_config rc = {dns_ports, 1, false, own, 0, 0};
	static struct filter_insn insns[FILTER_INSNS_MAX];
	static char why[KERNEL_WHY_SIZE];
	const char *reason = netns_veth();
	int n;

	if (reason)
		return reason;
	if (!netns_ip("link set va mtu 65535") || !netns_ip("link set vb mtu 65535"))
		return "a veth pair takes no frames of 32 KB";
	own_make(addresses);
	fc.narrow = own;
	fc.nnarrow = rc.nnarrow = nown;
	n = classic_flow_filter(insns, FILTER_INSNS_MAX, &fc);
	for (; n > 0 && nclassic < (size_t)n; nclassic++)
		classic[nclassic] = insns[nclassic].insn;
	if (ring_bpf_new(&rb, &rc, why))
		printf("no eBPF filter: %s\n", why);
	return n > 0 && open_all() ? NULL : "packet sockets are refused";
}

int main(int argc, char **argv)
{
	int rounds = argc > 1 ? (int)strtol(argv[1], NULL, 10) : 30;
	long addresses = argc > 2 ? strtol(argv[2], NULL, 10) : 2;
	const char *reason =
	    begin((size_t)(addresses > 0 && addresses <= ADDRESSES_MOST ? addresses : 2));
	size_t i;

	if (reason) {
		printf("nothing measured: %s\n", reason);
		return 0;
	}
	printf("%-31s %8s %8s %8s   ns a run\n", "frame", "empty", "classic", "eBPF");
	for (i = 0; i < CASES; i++) {
		double best[KINDS] = {0};
		bool copied[KINDS] = {false};

		if (!measure(&cases[i], rounds > 0 ? rounds : 30, best, copied)) {
			printf("%-31s %s\n", cases[i].name, strerror(errno));
			continue;
		}
		printf("%-31s %8.1f %8.1f %8.1f   %+.1f%s\n", cases[i].name, best[EMPTY],
		       best[CLASSIC], best[EBPF], rb ? best[EBPF] - best[CLASSIC] : 0.0,
		       copied[CLASSIC] ? copied[EBPF] || !rb ? ", copied" : ", copied by the first"
				       : "");
	}
	if (rb)
		firsts();
	ring_bpf_free(rb);
	return 0;
}
