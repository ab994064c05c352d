/* test_watches.c - the filters of the packet rings: narrowed, by eBPF, and back, also on interfaces
 * that come later; in a network namespace.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* unshare */
#endif
#include "tests/test.h"

#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "collector/watches.h"
#include "tests/filters/narrow_cases.h"
#include "tests/live/netns.h"
#include "tests/live/socket_filter.h"

enum { BPF_COPY = 100, TOO_MANY = 2000, COUNT = 10 };

static struct options options;
static struct excludes excludes;
static struct ifaces *ifs;
static struct watches watches;
static char *patterns[3];
static uint64_t frames_seen, copied_most;

static void count_frames(void *ctx, const struct frame *frames, size_t n)
{
	size_t i;

	(void)ctx;
	frames_seen += n;
	for (i = 0; i < n; i++)
		if (frames[i].caplen > copied_most)
			copied_most = frames[i].caplen;
}

static const struct frame_sink sink = {count_frames, NULL};

/* Open the rings of so many of the patterns vb, wb, xb. NULL, or why not. */
static const char *open_rings(size_t n)
{
	static char names[3][8] = {"vb", "wb", "xb"};
	const char *reason = netns_veth();
	size_t i;

	if (!reason && !if_nametoindex("wa") &&
	    (!netns_ip("link add wa type veth peer name wb") ||
	     !netns_ip("link set wa addrgenmode none up") ||
	     !netns_ip("link set wb addrgenmode none up") || !netns_wait_running("wa") ||
	     !netns_wait_running("wb")))
		reason = "this kernel makes no second veth pair";
	if (reason)
		return reason;
	memset(&options, 0, sizeof(options));
	memcpy(options.dns_ports, case_dns_ports, sizeof(case_dns_ports));
	options.ndns_ports = 2;
	options.ring_bytes = 1 << 20;
	for (i = 0; i < 3; i++)
		patterns[i] = names[i];
	options.conf.capture.interfaces.v = patterns;
	options.conf.capture.interfaces.n = n;
	if (ifaces_new(&ifs))
		return "no list of interfaces";
	CHECK_INT(watches_open(&watches, &options, &excludes, ifs, &sink), 0);
	return NULL;
}

static void close_rings(void)
{
	watches_close(&watches);
	ifaces_free(ifs);
}

/* Send ten ACKs and a large segment on a device; how many frames have come? */
static uint64_t frames_of(const char *device)
{
	static const struct narrow_case ack = {"4T", 1, 2, ACK, "", 0, 0, 0};
	static const struct narrow_case text = {"4T", 1, 2, ACK, "some text", 900, 0, ALL};
	uint8_t frame[CASE_FRAME_MAX];
	struct sockaddr_ll sll;
	uint64_t before = frames_seen;
	size_t ip, len;
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0), i;

	copied_most = 0;
	memset(&sll, 0, sizeof(sll));
	sll.sll_family = AF_PACKET;
	sll.sll_ifindex = (int)if_nametoindex(device);
	CHECK_INT(bind(fd, (const struct sockaddr *)&sll, sizeof(sll)), 0);
	for (i = 0; i <= COUNT; i++) {
		len = narrow_build(i < COUNT ? &ack : &text, 7, frame, &ip);
		CHECK(write(fd, frame, len) == (ssize_t)len);
	}
	close(fd);
	watches_drain(&watches);
	return frames_seen - before;
}

/* One of two rings drops frames, and one has not been read to its end. */
static void test_dropping(void)
{
	static const struct narrow_case ack = {"4T", 1, 2, ACK, "", 0, 0, 0};
	const char *reason = open_rings(2);
	struct source_stats stats;
	struct sockaddr_ll sll;
	struct pollfd fds[2];
	uint8_t frame[CASE_FRAME_MAX];
	size_t ip, len = narrow_build(&ack, 7, frame, &ip);
	uint64_t now_ns;
	int fd, i;

	if (reason) {
		TEST_SKIP(reason);
		return;
	}
	fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	memset(&sll, 0, sizeof(sll));
	sll.sll_family = AF_PACKET;
	sll.sll_ifindex = (int)if_nametoindex("wa");
	CHECK_INT(bind(fd, (const struct sockaddr *)&sll, sizeof(sll)), 0);
	CHECK(watches_read_until_ns(&watches) > 0);
	for (i = 0; i < 15000; i++)
		CHECK(write(fd, frame, len) == (ssize_t)len);
	CHECK_INT(watches_read_until_ns(&watches), 0);
	watches_gather(&watches, fds);
	fds[0].revents = fds[1].revents = POLLIN;
	CHECK_INT(watches_read(&watches, fds), 0);
	CHECK(!watches_dropping(&watches)); /* the next block says so */
	CHECK(write(fd, frame, len) == (ssize_t)len);
	close(fd);
	watches_drain(&watches);
	CHECK(watches_dropping(&watches));
	now_ns = watches_read_until_ns(&watches);
	watches_drain(&watches);
	CHECK(watches_read_until_ns(&watches) > now_ns);
	watches_stats(&watches, &stats);
	CHECK(stats.dropped_kernel > 0);
	CHECK(!watches_dropping(&watches));
	close_rings();
}

static void test_narrow(void)
{
	const char *reason = open_rings(2);

	if (reason) {
		TEST_SKIP(reason);
		return;
	}
	CHECK_INT(watches.bpf_fd, -1);
	CHECK_INT(frames_of("va"), COUNT + 1);
	CHECK_INT(watches_narrow(&watches, narrow_own, NARROW_OWN, -1), 0);
	CHECK_INT(watches.nnarrow, NARROW_OWN);
	CHECK_INT(frames_of("va"), 1);
	CHECK_INT(frames_of("wa"), 1);
	watches_change(&watches, &options, &excludes, false); /* other options: still narrowed */
	CHECK_INT(frames_of("va"), 1);
	CHECK_INT(watches_narrow(&watches, narrow_other, NARROW_OTHER, -1), 0);
	CHECK_INT(frames_of("wa"), COUNT + 1);
	CHECK_INT(watches_narrow(&watches, narrow_own, NARROW_OWN, -1), 0);
	CHECK_INT(frames_of("wa"), 1);
	CHECK_INT(watches_narrow(&watches, NULL, 0, -1), 0);
	CHECK_INT(frames_of("va"), COUNT + 1);
	CHECK_INT(frames_of("wa"), COUNT + 1);
	close_rings();
}

/* More addresses than a filter holds: what was narrowed is wide again, on all rings. */
static void test_too_many(void)
{
	static struct ip_net many[TOO_MANY];
	const char *reason = open_rings(2);
	int i;

	if (reason) {
		TEST_SKIP(reason);
		return;
	}
	for (i = 0; i < TOO_MANY; i++) {
		addr_from_v4(&many[i].addr,
			     (const uint8_t[4]){10, 0, (uint8_t)(i >> 8), (uint8_t)i});
		many[i].bits = 128;
	}
	CHECK_INT(watches_narrow(&watches, narrow_own, NARROW_OWN, -1), 0);
	CHECK_INT(watches_narrow(&watches, many, TOO_MANY, -1), FL_EFULL);
	CHECK_INT(watches.nnarrow, 0);
	CHECK_INT(frames_of("va"), COUNT + 1);
	CHECK_INT(frames_of("wa"), COUNT + 1);
	close_rings();
}

static void test_bpf(void)
{
	const char *reason = open_rings(2);
	int fd = socket_filter_load(BPF_COPY);

	if (!reason && fd < 0) {
		reason = "this kernel or account loads no eBPF socket filter";
		close_rings();
	}
	if (reason) {
		TEST_SKIP(reason);
		return;
	}
	CHECK_INT(watches_narrow(&watches, narrow_own, NARROW_OWN, fd), 0);
	CHECK_INT(watches.bpf_fd, fd);
	CHECK_INT(frames_of("va"), COUNT + 1); /* this one tells nothing apart */
	CHECK_INT(copied_most, BPF_COPY);
	CHECK_INT(frames_of("wa"), COUNT + 1);
	CHECK_INT(copied_most, BPF_COPY);
	CHECK_INT(watches_narrow(&watches, NULL, 0, fd), 0);
	CHECK_INT(frames_of("va"), COUNT + 1);
	CHECK_INT(copied_most, BPF_COPY);
	watches_change(&watches, &options, &excludes, false); /* it does not know the new options */
	CHECK_INT(watches.bpf_fd, -1);
	CHECK_INT(frames_of("va"), COUNT + 1);
	CHECK(copied_most > BPF_COPY);
	CHECK_INT(watches_narrow(&watches, narrow_own, NARROW_OWN, fd), 0);
	CHECK_INT(watches_narrow(&watches, narrow_own, NARROW_OWN, -1), 0);
	CHECK_INT(frames_of("wa"), 1);
	CHECK(copied_most > BPF_COPY);
	/* no program: narrowed all the same, by classic filters */
	CHECK_INT(watches_narrow(&watches, narrow_own, NARROW_OWN, ifaces_fd(ifs)), 0);
	CHECK_INT(watches.bpf_fd, -1);
	CHECK_INT(watches.nnarrow, NARROW_OWN);
	CHECK_INT(frames_of("va"), 1);
	close_rings();
	close(fd);
}

/* A ring that is opened later has the same filter. */
static void test_later(void)
{
	const char *reason = open_rings(3);
	struct ifaces_events none = {NULL, NULL, NULL};
	int fd = socket_filter_load(BPF_COPY), i;

	if (reason) {
		TEST_SKIP(reason);
		return;
	}
	CHECK_INT(watches_narrow(&watches, narrow_own, NARROW_OWN, -1), 0);
	for (i = 0; i < 2; i++) {
		CHECK(netns_ip("link add xa type veth peer name xb"));
		CHECK(netns_ip("link set xa addrgenmode none up") &&
		      netns_ip("link set xb addrgenmode none up"));
		CHECK(netns_wait_running("xa") && netns_wait_running("xb"));
		CHECK_INT(ifaces_poll(ifs, &none), 0);
		watches_follow(&watches);
		CHECK_INT(watches.nnarrow, NARROW_OWN);
		CHECK_INT(frames_of("xa"), i && fd >= 0 ? COUNT + 1 : 1);
		CHECK(!i || fd < 0 || copied_most == BPF_COPY);
		CHECK(netns_ip("link del xa"));
		CHECK_INT(ifaces_poll(ifs, &none), 0);
		watches_follow(&watches);
		CHECK_INT(watches_narrow(&watches, narrow_own, NARROW_OWN, fd < 0 ? -1 : fd), 0);
	}
	close_rings();
	if (fd >= 0)
		close(fd);
}

/* A ring that comes later and has no room for the addresses: all are wide again. */
static void test_no_room(void)
{
	const char *reason = open_rings(3);
	struct ifaces_events none = {NULL, NULL, NULL};
	FILE *f;

	if (reason) {
		TEST_SKIP(reason);
		return;
	}
	CHECK_INT(watches_narrow(&watches, narrow_own, NARROW_OWN, -1), 0);
	f = fopen("/proc/sys/net/core/optmem_max", "we");
	if (f && fputs("9000\n", f) >= 0 && fclose(f) == 0) {
		CHECK(netns_ip("link add xa type veth peer name xb"));
		CHECK(netns_ip("link set xa addrgenmode none up") &&
		      netns_ip("link set xb addrgenmode none up"));
		CHECK(netns_wait_running("xa") && netns_wait_running("xb"));
		CHECK_INT(ifaces_poll(ifs, &none), 0);
		watches_follow(&watches);
		CHECK_INT(watches.nnarrow, 0);
		CHECK_INT(frames_of("xa"), COUNT + 1);
		CHECK_INT(frames_of("va"), COUNT + 1);
		CHECK(netns_ip("link del xa"));
	} else {
		TEST_SKIP("net.core.optmem_max is not the namespace's own: Linux 6.7");
	}
	close_rings();
}

TEST_MAIN({"narrowed and back", test_narrow}, {"too many addresses", test_too_many},
	  {"an eBPF filter", test_bpf}, {"an interface that comes later", test_later},
	  {"one that has no room", test_no_room}, {"a ring drops", test_dropping})
