/* test_filter_kernel.c - the flow filter in the real kernel, frame by frame, in a network
 * namespace.
 *
 * Each case is sent through a veth pair. The sending end's tap sees the frame as it was built, tags
 * in the bytes; the receiving end's sees it without its outer tag. IP packets also go through a tun
 * device, which has no link header. The copied lengths are compared with the table and with the
 * user-space run.
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

#include "filters/classic.h"
#include "filters/interpret.h"
#include "tests/filters/narrow_cases.h"
#include "tests/live/netns.h"

enum { SENTINEL = 0xfffe };

static struct filter_insn prog[FILTER_INSNS_MAX];
static int nprog;

/* A tap as source_ring makes it: filter before bind. */
static int tap_open_config(const char *name, const struct filter_config *c)
{
	struct sock_filter code[FILTER_INSNS_MAX];
	struct sock_fprog fprog;
	struct sockaddr_ll sll;
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0), i;

	nprog = classic_flow_filter(prog, FILTER_INSNS_MAX, c);
	for (i = 0; i < nprog; i++)
		code[i] = prog[i].insn;
	memset(&fprog, 0, sizeof(fprog));
	fprog.len = (unsigned short)nprog;
	fprog.filter = code;
	CHECK_INT(setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &fprog, sizeof(fprog)), 0);
	memset(&sll, 0, sizeof(sll));
	sll.sll_family = AF_PACKET;
	sll.sll_protocol = htons(ETH_P_ALL);
	sll.sll_ifindex = (int)if_nametoindex(name);
	CHECK_INT(bind(fd, (const struct sockaddr *)&sll, sizeof(sll)), 0);
	return fd;
}

static int tap_open_with(const char *name, const struct filter_exclude *excludes, size_t nexcludes)
{
	struct filter_config c = {.dns_ports = case_dns_ports, .ndns_ports = 2};

	c.excludes = excludes;
	c.nexcludes = nexcludes;
	return tap_open_config(name, &c);
}

static int tap_open_narrow(const char *name, const struct ip_net *nets, size_t n)
{
	struct filter_config c = {.dns_ports = case_dns_ports, .ndns_ports = 2};

	c.narrow = nets;
	c.nnarrow = n;
	return tap_open_config(name, &c);
}

static int tap_open(const char *name)
{
	return tap_open_with(name, NULL, 0);
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

/* Next frame's copied length, its id from the bytes; -1: nothing within a second. */
static int tap_read(int fd, bool ethernet, unsigned int *id)
{
	static uint8_t buf[65536];
	struct pollfd pfd = {fd, POLLIN, 0};
	ssize_t n;

	if (poll(&pfd, 1, 1000) <= 0)
		return -1;
	n = recv(fd, buf, sizeof(buf), 0);
	if (n < 4)
		return -1;
	if (ethernet)
		*id = (unsigned int)(buf[4] << 8 | buf[5]);
	else
		*id = buf[0] >> 4 == 4 ? (unsigned int)(buf[4] << 8 | buf[5])
				       : (unsigned int)(buf[2] << 8 | buf[3]);
	return (int)n;
}

/* How much of the frame with this id was copied; 0 where the sentinel came first: it was dropped.
 */
static int tap_copied(int fd, bool ethernet, unsigned int id)
{
	unsigned int got = 0;
	int n, copied = 0;

	while ((n = tap_read(fd, ethernet, &got)) >= 0 && got != SENTINEL)
		if (got == id)
			copied = n;
	return n < 0 ? -1 : copied;
}

static const struct filter_case sentinel = {"4u", 9, 9, 60, "", ALL};

static void send_frame(int fd, const char *layers, uint8_t frame[CASE_FRAME_MAX], size_t len,
		       size_t skip)
{
	CHECK_MSG(write(fd, frame + skip, len - skip) == (ssize_t)(len - skip), "%s: %s", layers,
		  strerror(errno));
	len = case_build(&sentinel, SENTINEL, frame);
	CHECK(write(fd, frame + skip, len - skip) == (ssize_t)(len - skip));
}

static void send_case(int fd, const struct filter_case *c, uint16_t id, size_t skip)
{
	uint8_t frame[CASE_FRAME_MAX];
	size_t len = case_build(c, id, frame);

	send_frame(fd, c->layers, frame, len, skip);
}

static int user_space(const uint8_t *data, size_t len, uint16_t hatype, uint16_t protocol)
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

static void test_sent(void)
{
	const char *reason = netns_veth();
	int tap, out;
	size_t i;

	if (reason) {
		TEST_SKIP(reason);
		return;
	}
	tap = tap_open("va");
	out = sender_open("va");
	for (i = 0; i < FILTER_CASES; i++) {
		const struct filter_case *c = &filter_cases[i];
		int want = c->want == ALL ? (int)c->len : c->want, got;

		if (c->len <= 14)
			continue; /* the kernel sends no empty frame */
		send_case(out, c, (uint16_t)i, 0);
		got = tap_copied(tap, true, (unsigned int)i);
		CHECK_MSG(got == want, "case %zu \"%s\" len %zu: got %d, wanted %d", i, c->layers,
			  c->len, got, want);
	}
	close(tap);
	close(out);
}

static void test_received(void)
{
	const char *reason = netns_veth();
	uint8_t frame[CASE_FRAME_MAX];
	int tap, out;
	size_t i, len;

	if (reason) {
		TEST_SKIP(reason);
		return;
	}
	tap = tap_open("vb");
	out = sender_open("va");
	for (i = 0; i < FILTER_CASES; i++) {
		const struct filter_case *c = &filter_cases[i];
		bool tagged = c->layers[0] == 'q' || c->layers[0] == 's';
		int want = c->want == ALL ? (int)c->len : c->want, got;

		if (c->len <= 14)
			continue;
		len = case_build(c, (uint16_t)i, frame);
		if (tagged) { /* the kernel takes the outer tag */
			memmove(frame + 12, frame + 16, len - 16);
			len -= 4;
			want = c->want == ALL ? (int)len : c->want;
		}
		send_case(out, c, (uint16_t)i, 0);
		got = tap_copied(tap, true, (unsigned int)i);
		CHECK_MSG(got == want, "case %zu \"%s\" len %zu: got %d, wanted %d", i, c->layers,
			  c->len, got, want);
		CHECK_MSG(got == user_space(frame, len, ARPHRD_ETHER, 0),
			  "case %zu \"%s\": kernel %d", i, c->layers, got);
	}
	close(tap);
	close(out);
}

static void test_no_link_header(void)
{
	uint8_t frame[CASE_FRAME_MAX];
	int tun = -1, tap;
	const char *reason = netns_tun(&tun);
	size_t i, len;

	if (reason) {
		TEST_SKIP(reason);
		return;
	}
	tap = tap_open("t0");
	for (i = 0; i < FILTER_CASES; i++) {
		const struct filter_case *c = &filter_cases[i];
		bool ip = c->layers[0] == '4' || c->layers[0] == '6' || c->layers[0] == 'O' ||
			  c->layers[0] == 'F' || c->layers[0] == 'L';
		int got, want;

		if (!ip || c->len < 14 + 20)
			continue;
		len = case_build(c, (uint16_t)i, frame) - 14;
		want = c->want == ALL ? (int)len : c->want;
		/* The limits count from the frame's begin: without Ethernet 14 bytes later. */
		if (c->want == HDR && len <= (strchr(c->layers, 'u') ? HDR : FILTER_COPY_SMALL))
			want = (int)len;
		send_case(tun, c, (uint16_t)i, 14);
		got = tap_copied(tap, false, (unsigned int)i);
		CHECK_MSG(got == want, "case %zu \"%s\" len %zu: got %d, wanted %d", i, c->layers,
			  c->len, got, want);
		CHECK_MSG(got == user_space(frame + 14, len, ARPHRD_NONE,
					    c->layers[0] == '6' ? 0x86dd : 0x0800),
			  "case %zu \"%s\": kernel %d", i, c->layers, got);
	}
	close(tap);
	close(tun);
}

/* Ten datagrams on lo: the kernel shows 20 frames, the filter lets 10 pass. */
static void test_loopback_once(void)
{
	const char *reason = netns_enter();
	struct sockaddr_in to;
	int tap, fd, i, seen = 0;
	unsigned int id;

	if (reason) {
		TEST_SKIP(reason);
		return;
	}
	tap = tap_open("lo");
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	memset(&to, 0, sizeof(to));
	to.sin_family = AF_INET;
	to.sin_port = htons(9999);
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	for (i = 0; i < 10; i++)
		if (sendto(fd, "0123456789", 10, 0, (const struct sockaddr *)&to, sizeof(to)) < 0)
			i--; /* the ICMP error of the one before */
	while (tap_read(tap, true, &id) == 14 + 20 + 8 + 10)
		seen++;
	CHECK_INT(seen, 10);
	close(fd);
	close(tap);
}

/* Rules: sent with tags in the bytes, and on a device without link header. */
static void test_rules(void)
{
	int tun = -1, tap, out, raw;
	const char *reason = netns_veth();
	size_t i;

	if (!reason)
		reason = netns_tun(&tun);
	if (reason) {
		TEST_SKIP(reason);
		return;
	}
	tap = tap_open_with("va", case_excludes, CASE_EXCLUDES);
	raw = tap_open_with("t0", case_excludes, CASE_EXCLUDES);
	out = sender_open("va");
	for (i = 0; i < EXCLUDE_CASES; i++) {
		const struct filter_case *c = &exclude_cases[i];
		int want = c->want == ALL ? (int)c->len : c->want, got;

		send_case(out, c, (uint16_t)i, 0);
		got = tap_copied(tap, true, (unsigned int)i);
		CHECK_MSG(got == want, "case %zu \"%s\" len %zu: got %d, wanted %d", i, c->layers,
			  c->len, got, want);
		if (!strchr("46", c->layers[0]))
			continue;
		send_case(tun, c, (uint16_t)i, 14);
		got = tap_copied(raw, false, (unsigned int)i);
		CHECK_MSG(!got == !want, "case %zu \"%s\" len %zu, no link header: got %d", i,
			  c->layers, c->len, got);
	}
	close(tap);
	close(raw);
	close(out);
	close(tun);
}

/* The narrowed filter of own and of others' addresses: sent with tags in the bytes, and received on
 * a device without link header. */
static void test_narrow(void)
{
	uint8_t frame[CASE_FRAME_MAX];
	int tun = -1, tap, other, out, raw;
	const char *reason = netns_veth();
	size_t i, len, ip;

	if (!reason)
		reason = netns_tun(&tun);
	if (reason) {
		TEST_SKIP(reason);
		return;
	}
	tap = tap_open_narrow("va", narrow_own, NARROW_OWN);
	other = tap_open_narrow("va", narrow_other, NARROW_OTHER);
	raw = tap_open_narrow("t0", narrow_own, NARROW_OWN);
	out = sender_open("va");
	for (i = 0; i < NARROW_CASES; i++) {
		const struct narrow_case *c = &narrow_cases[i];
		int want, got;

		len = narrow_build(c, (uint16_t)i, frame, &ip);
		want = c->want == ALL ? (int)len : c->want;
		send_frame(out, c->layers, frame, len, 0);
		got = tap_copied(tap, true, (unsigned int)i);
		CHECK_MSG(got == want, "case %zu \"%s\" len %zu: got %d, wanted %d", i, c->layers,
			  len, got, want);
		got = tap_copied(other, true, (unsigned int)i);
		CHECK_MSG(!got == !strcmp(c->layers, "4i"), "case %zu \"%s\", others': got %d", i,
			  c->layers, got);
		if (ip != 14)
			continue;
		len = narrow_build(c, (uint16_t)i, frame, &ip) - 14;
		want =
		    user_space(frame + 14, len, ARPHRD_NONE, c->layers[0] == '6' ? 0x86dd : 0x0800);
		send_frame(tun, c->layers, frame, len + 14, 14);
		got = tap_copied(raw, false, (unsigned int)i);
		CHECK_MSG(got == want, "case %zu \"%s\", no link header: got %d, wanted %d", i,
			  c->layers, got, want);
	}
	close(tap);
	close(other);
	close(raw);
	close(out);
	close(tun);
}

/* What one socket's filters may take: a program of 4096 instructions wants more than 32 KiB. */
static long filter_memory(void)
{
	FILE *f = fopen("/proc/sys/net/core/optmem_max", "r");
	long bytes = 0;

	if (f && fscanf(f, "%ld", &bytes) != 1)
		bytes = 0;
	if (f)
		fclose(f);
	return bytes;
}

/* The largest program there is: the kernel takes it. */
static void test_largest(void)
{
	static struct ip_net nets[60][40];
	struct filter_exclude rules[60];
	const char *reason = netns_veth();
	int tap, out, i, k;

	if (reason) {
		TEST_SKIP(reason);
		return;
	}
	if (filter_memory() < 128 << 10) {
		TEST_SKIP("net.core.optmem_max has no room for it (20 KiB before Linux 6.7)");
		return;
	}
	for (i = 0; i < 60; i++) {
		for (k = 0; k < 40; k++) {
			addr_from_v4(&nets[i][k].addr,
				     (const uint8_t[4]){11, (uint8_t)(i * 3), (uint8_t)(k * 5), 0});
			nets[i][k].bits = 96 + 24;
		}
		rules[i] = (struct filter_exclude){nets[i], 40, case_web, i & 1};
	}
	tap = tap_open_with("va", rules, 60);
	out = sender_open("va");
	CHECK(nprog > FILTER_INSNS_MAX - 300);
	send_case(out, &filter_cases[0], 1, 0);
	CHECK_INT(tap_copied(tap, true, 1), filter_cases[0].len);
	close(tap);
	close(out);
}

TEST_MAIN({"sent, tags in the bytes", test_sent}, {"received, outer tag taken", test_received},
	  {"no link header", test_no_link_header}, {"lo once", test_loopback_once},
	  {"rules", test_rules}, {"narrowed TCP", test_narrow},
	  {"the largest program", test_largest})
