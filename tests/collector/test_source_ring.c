/* test_source_ring.c - the packet ring on a veth pair, a tun device and lo of a private namespace.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* unshare */
#endif
#include "tests/test.h"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>

#include "collector/source.h"
#include "collector/source_ring.h"
#include "tests/filters/narrow_cases.h"
#include "tests/live/netns.h"
#include "tests/live/socket_filter.h"

struct got {
	uint64_t frames, bytes, out_of_order;
	uint32_t last_id;
	struct frame last;
	uint8_t last_data[64];
};

static void got_frames(void *ctx, const struct frame *frames, size_t n)
{
	struct got *g = ctx;
	size_t i;

	for (i = 0; i < n; i++) {
		const struct frame *f = &frames[i];

		g->frames++;
		g->bytes += f->wirelen;
		if (f->caplen > f->wirelen || f->time_ns < g->last.time_ns)
			g->out_of_order++;
		g->last = *f;
	}
	if (n && frames[n - 1].caplen)
		memcpy(g->last_data, g->last.data, g->last.caplen < 64 ? g->last.caplen : 64);
}

static struct ring_config config_for(const char *name, size_t bytes)
{
	struct ring_config c;

	memset(&c, 0, sizeof(c));
	c.ifindex = name ? (int)if_nametoindex(name) : 0;
	c.ring_bytes = bytes;
	c.dns_ports = case_dns_ports;
	c.ndns_ports = 2;
	c.bpf_fd = -1;
	return c;
}

static struct source *ring(const char *name, size_t bytes)
{
	struct ring_config c = config_for(name, bytes);
	struct source *s = NULL;
	char why[256] = "";

	CHECK_MSG(source_ring.open(&s, &c, why, sizeof(why)) == 0, "%s", why);
	return s;
}

/* Read until nothing has come for a while. */
static int drain(struct source *s, struct got *g)
{
	struct frame_sink sink = {got_frames, g};
	struct pollfd pfd = {source_ring.fd(s), POLLIN, 0};
	char why[256];
	int err;

	do {
		while ((err = source_ring.poll(s, &sink, why, sizeof(why))) > 0)
			;
	} while (err == 0 && poll(&pfd, 1, 3 * RING_RETIRE_MS) > 0);
	return err;
}

static int sender(const char *name)
{
	struct sockaddr_ll sll;
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);

	memset(&sll, 0, sizeof(sll));
	sll.sll_family = AF_PACKET;
	sll.sll_ifindex = (int)if_nametoindex(name);
	CHECK_INT(bind(fd, (const struct sockaddr *)&sll, sizeof(sll)), 0);
	return fd;
}

static void send_many(int fd, const struct filter_case *c, int count)
{
	uint8_t frame[CASE_FRAME_MAX];
	size_t len = case_build(c, 7, frame);
	int i;

	for (i = 0; i < count; i++)
		if (write(fd, frame, len) != (ssize_t)len)
			CHECK_MSG(false, "write: %s", strerror(errno));
}

static const struct filter_case bulk = {"4t", 1, 2, 1514, "", HDR};
static const struct filter_case ping = {"4i", 0, 0, 98, "", 0};

static void test_every_frame(void)
{
	const char *reason = netns_veth();
	struct source *s;
	struct source_stats st;
	struct got g;
	int out;

	if (reason) {
		TEST_SKIP(reason);
		return;
	}
	memset(&g, 0, sizeof(g));
	s = ring("vb", 0);
	out = sender("va");
	if (!s)
		return;
	send_many(out, &bulk, 10000);
	send_many(out, &ping, 100);
	CHECK_INT(drain(s, &g), 0);
	source_ring.stats(s, &st);
	CHECK_INT(g.frames, 10000);
	CHECK_INT(g.bytes, 10000 * 1514);
	CHECK_INT(g.out_of_order, 0);
	CHECK_INT(g.last.caplen, HDR);
	CHECK_INT(g.last.link, LINK_ETHERNET);
	CHECK_INT(g.last.iface, if_nametoindex("vb"));
	CHECK(g.last.time_ns / 1000000000u + 60 > (uint64_t)time(NULL));
	CHECK_INT(st.frames, 10000);
	CHECK_INT(st.dropped_kernel, 0);
	source_ring.close(s);
	close(out);
}

/* A small ring that nobody reads: what is missing is counted, and not twice. */
static void test_drops(void)
{
	const char *reason = netns_veth();
	struct source *s;
	struct source_stats st;
	struct got g;
	int out;

	if (reason) {
		TEST_SKIP(reason);
		return;
	}
	memset(&g, 0, sizeof(g));
	s = ring("vb", 1);
	out = sender("va");
	if (!s)
		return;
	CHECK(!source_ring_dropping(s));
	send_many(out, &bulk, 10000);
	CHECK_INT(source_ring_read_until_ns(s, UINT64_MAX), 0); /* blocks wait, none was read */
	CHECK_INT(drain(s, &g), 0);
	CHECK(source_ring_read_until_ns(s, UINT64_MAX) > UINT64_MAX - 1000000000);
	CHECK(source_ring_read_until_ns(s, 9000000000) < 9000000000 - RING_RETIRE_MS * 1000000);
	send_many(out, &bulk, 100);
	CHECK_INT(drain(s, &g), 0);
	CHECK(source_ring_dropping(s));
	source_ring.stats(s, &st);
	CHECK(!source_ring_dropping(s));
	CHECK(st.dropped_kernel > 0);
	CHECK_INT(g.frames + st.dropped_kernel, 10100);
	source_ring.stats(s, &st);
	CHECK_INT(g.frames + st.dropped_kernel, 10100);
	source_ring.close(s);
	close(out);
}

/* One socket for all: Ethernet and raw IP mixed, each with its link type. */
static void test_all_interfaces(void)
{
	static const struct filter_case tcp6 = {"6t", 1, 2, 1514, "", HDR};
	const char *reason = netns_veth();
	uint8_t frame[CASE_FRAME_MAX];
	struct source *s;
	struct got g;
	int out, tun = -1;

	if (!reason)
		reason = netns_tun(&tun);
	if (reason) {
		TEST_SKIP(reason);
		return;
	}
	memset(&g, 0, sizeof(g));
	s = ring(NULL, 0);
	out = sender("va");
	if (!s)
		return;
	send_many(out, &bulk, 5);
	CHECK_INT(drain(s, &g), 0);
	CHECK_INT(g.frames, 10); /* sent on va, received on vb */
	CHECK_INT(g.last.link, LINK_ETHERNET);
	case_build(&tcp6, 7, frame);
	CHECK(write(tun, frame + 14, 1500) == 1500);
	CHECK_INT(drain(s, &g), 0);
	CHECK_INT(g.frames, 11);
	CHECK_INT(g.last.link, LINK_RAW);
	CHECK_INT(g.last.wirelen, 1500);
	CHECK_INT(g.last.caplen, HDR);
	CHECK(memcmp(g.last_data, frame + 14, 40) == 0);
	CHECK_INT(g.last.iface, if_nametoindex("t0"));
	source_ring.close(s);
	close(out);
	close(tun);
}

static void test_down_up_gone(void)
{
	const char *reason = netns_enter();
	struct source *s;
	struct got g;
	int out;

	if (!reason && (!netns_ip("link add ga type veth peer name gb") ||
			!netns_ip("link set ga addrgenmode none up") ||
			!netns_ip("link set gb addrgenmode none up")))
		reason = "this kernel makes no veth pair";
	if (reason) {
		TEST_SKIP(reason);
		return;
	}
	memset(&g, 0, sizeof(g));
	s = ring("gb", 0);
	if (!s)
		return;
	netns_ip("link set gb down");
	CHECK_INT(drain(s, &g), 0);
	netns_ip("link set gb up");
	CHECK(netns_wait_running("ga") && netns_wait_running("gb"));
	out = sender("ga");
	send_many(out, &bulk, 3);
	CHECK_INT(drain(s, &g), 0);
	CHECK_INT(g.frames, 3);
	netns_ip("link set gb down");
	CHECK_INT(drain(s, &g), 0);
	netns_ip("link del gb"); /* down already: the socket gets no second error */
	CHECK_INT(drain(s, &g), -ENODEV);
	source_ring.close(s);
	close(out);
}

/* All frames of the tests below fit, whole: so slow may the reader be. */
enum { REPLACE_RING = 32 << 20 };

static const struct filter_case medium = {"4t", 1, 2, 600, "", HDR};

/* 100 times another filter while packets come: every one of those that each filter wants is there.
 */
static void replace_while_sending(struct ring_config *with, struct ring_config *without)
{
	enum { FRAMES = 40000, ROUNDS = 100 };
	struct frame_sink sink;
	struct source *s;
	struct source_stats st;
	struct got g;
	char why[256] = "";
	int i, status = 0, failed = test_failed_checks;
	pid_t pid;

	memset(&g, 0, sizeof(g));
	sink = (struct frame_sink){got_frames, &g};
	CHECK_MSG(source_ring.open(&s, without, why, sizeof(why)) == 0, "%s", why);
	if (!s)
		return;
	pid = fork();
	if (!pid) {
		int out = sender("va");

		for (i = 0; i < FRAMES / 20; i++) {
			send_many(out, &medium, 20);
			usleep(100);
		}
		_exit(test_failed_checks != failed);
	}
	for (i = 0; i < ROUNDS; i++) {
		CHECK_MSG(source_ring_set_filter(s, i & 1 ? without : with, why, sizeof(why)) >= 0,
			  "%s", why);
		while (source_ring.poll(s, &sink, why, sizeof(why)) > 0)
			;
		usleep(2000);
	}
	while (waitpid(pid, &status, WNOHANG) == 0)
		source_ring.poll(s, &sink, why, sizeof(why));
	CHECK_INT(status, 0);
	CHECK_INT(drain(s, &g), 0);
	source_ring.stats(s, &st);
	CHECK_INT(g.frames, FRAMES);
	CHECK_INT(st.dropped_kernel, 0);
	source_ring.close(s);
}

static void test_replace(void)
{
	const char *reason = netns_veth();
	struct ring_config with, without;

	if (reason) {
		TEST_SKIP(reason);
		return;
	}
	without = with = config_for("vb", REPLACE_RING);
	with.excludes = case_excludes;
	with.nexcludes = CASE_EXCLUDES;
	replace_while_sending(&with, &without);
}

/* Where filters have little room (every kernel before 6.7), in a namespace that has its own
 * setting. */
static void test_little_room(void)
{
	static struct ip_net nets[40];
	struct filter_exclude rules[40];
	const char *reason = netns_veth();
	struct ring_config with, without;
	struct source *s;
	char why[256] = "";
	FILE *f;
	int i;

	if (!reason) {
		f = fopen("/proc/sys/net/core/optmem_max", "we");
		reason = "net.core.optmem_max is not the namespace's own: Linux 6.7";
		if (f && fputs("20480\n", f) >= 0 && fclose(f) == 0)
			reason = NULL;
	}
	if (reason) {
		TEST_SKIP(reason);
		return;
	}
	for (i = 0; i < 40; i++) {
		addr_from_v4(&nets[i].addr, (const uint8_t[4]){11, (uint8_t)i, 0, 0});
		nets[i].bits = 96 + 16;
		rules[i] = (struct filter_exclude){&nets[i], 1, case_web, 2};
	}
	without = with = config_for("vb", REPLACE_RING);
	with.excludes = rules;
	with.nexcludes = 40;
	with.narrow = narrow_other;
	with.nnarrow = NARROW_OTHER;
	replace_while_sending(&with, &without);
	CHECK_INT(source_ring.open(&s, &with, why, sizeof(why)), 0);
	CHECK(s && source_ring_filter(s) == RING_FILTER_NARROW); /* the rules have less room */
	source_ring.close(s);
}

/* From one moment on packets are left out, and counted by nobody; then they are back. */
static void test_filter_works(void)
{
	static const struct filter_case web = {"4t", 1, 443, 1514, "", 0};
	const char *reason = netns_veth();
	struct ring_config c;
	struct source *s;
	struct got g;
	char why[256];
	int out;

	if (reason) {
		TEST_SKIP(reason);
		return;
	}
	memset(&g, 0, sizeof(g));
	c = config_for("vb", 0);
	c.excludes = case_excludes;
	c.nexcludes = CASE_EXCLUDES;
	s = ring("vb", 0);
	out = sender("va");
	if (!s)
		return;
	send_many(out, &web, 10);
	CHECK_INT(drain(s, &g), 0);
	CHECK_INT(g.frames, 10);
	CHECK_INT(source_ring_set_filter(s, &c, why, sizeof(why)), 0);
	send_many(out, &web, 10);
	send_many(out, &bulk, 1);
	CHECK_INT(drain(s, &g), 0);
	CHECK_INT(g.frames, 11);
	c.nexcludes = 0;
	CHECK_INT(source_ring_set_filter(s, &c, why, sizeof(why)), 0);
	send_many(out, &web, 10);
	CHECK_INT(drain(s, &g), 0);
	CHECK_INT(g.frames, 21);
	c.ndns_ports = FILTER_DNS_PORTS_MAX + 1; /* refused: the old one stays */
	CHECK_INT(source_ring_set_filter(s, &c, why, sizeof(why)), FL_EUSAGE);
	send_many(out, &bulk, 1);
	CHECK_INT(drain(s, &g), 0);
	CHECK_INT(g.frames, 22);
	source_ring.close(s);
	close(out);
}

/* --- narrowed, and by eBPF -------------------------------------------------------------------- */

enum { BPF_COPY = 100 };

static const struct narrow_case acks = {"4T", 1, 2, ACK, "", 0, 0, 0};
static const struct narrow_case data = {"4T", 1, 2, PSH, "x", 1, 0, ALL};

static void send_narrow(int fd, const struct narrow_case *c, int count)
{
	uint8_t frame[CASE_FRAME_MAX];
	size_t ip, len = narrow_build(c, 7, frame, &ip);

	while (count--)
		CHECK(write(fd, frame, len) == (ssize_t)len);
}

/* Ten ACKs of an own address and three segments with a byte: how many come? */
static uint64_t frames_of_13(struct source *s, int out, struct got *g)
{
	uint64_t before = g->frames;

	send_narrow(out, &acks, 10);
	send_narrow(out, &data, 3);
	CHECK_INT(drain(s, g), 0);
	return g->frames - before;
}

static void test_narrow(void)
{
	static struct ip_net many[2000];
	const char *reason = netns_veth();
	struct ring_config c;
	struct source *s;
	struct got g;
	char why[256] = "";
	int out, i;

	if (reason) {
		TEST_SKIP(reason);
		return;
	}
	memset(&g, 0, sizeof(g));
	c = config_for("vb", 0);
	out = sender("va");
	s = ring("vb", 0);
	if (!s)
		return;
	CHECK_INT(source_ring_filter(s), RING_FILTER_CLASSIC);
	CHECK_INT(frames_of_13(s, out, &g), 13);
	c.narrow = narrow_own;
	c.nnarrow = NARROW_OWN;
	CHECK_INT(source_ring_set_filter(s, &c, why, sizeof(why)), 0);
	CHECK_INT(source_ring_filter(s), RING_FILTER_NARROW);
	CHECK_STR(why, "");
	CHECK_INT(frames_of_13(s, out, &g), 3);
	for (i = 0; i < 2000; i++) {
		addr_from_v4(&many[i].addr,
			     (const uint8_t[4]){10, 0, (uint8_t)(i >> 8), (uint8_t)i});
		many[i].bits = 96 + 32;
		many[i].addr.b[13] = (uint8_t)(i % 7);
	}
	c.narrow = many; /* too many: nothing is narrowed, and that is said */
	c.nnarrow = 2000;
	CHECK_INT(source_ring_set_filter(s, &c, why, sizeof(why)), 0);
	CHECK_INT(source_ring_filter(s), RING_FILTER_CLASSIC);
	CHECK_MSG(strstr(why, "no room for this host's 2000 addresses"), "%s", why);
	CHECK_INT(frames_of_13(s, out, &g), 13);
	c.narrow = narrow_own;
	c.nnarrow = NARROW_OWN;
	CHECK_INT(source_ring_set_filter(s, &c, why, sizeof(why)), 0);
	c.nnarrow = 0;
	c.ndns_ports = FILTER_DNS_PORTS_MAX + 1; /* refused, and widened all the same */
	CHECK_INT(source_ring_set_filter(s, &c, why, sizeof(why)), FL_EUSAGE);
	CHECK_INT(source_ring_filter(s), RING_FILTER_CLASSIC);
	CHECK_INT(frames_of_13(s, out, &g), 13);
	source_ring.close(s);
	close(out);
}

static void test_bpf(void)
{
	const char *reason = netns_veth();
	int fd = socket_filter_load(BPF_COPY), out;
	struct ring_config c;
	struct source *s;
	struct got g;
	char why[256] = "";

	if (!reason && fd < 0)
		reason = "this kernel or account loads no eBPF socket filter";
	if (reason) {
		TEST_SKIP(reason);
		return;
	}
	memset(&g, 0, sizeof(g));
	c = config_for("vb", 0);
	c.narrow = narrow_own;
	c.nnarrow = NARROW_OWN;
	c.bpf_fd = fd;
	out = sender("va");
	CHECK_MSG(source_ring.open(&s, &c, why, sizeof(why)) == 0, "%s", why);
	if (!s)
		return;
	CHECK_INT(source_ring_filter(s), RING_FILTER_BPF);
	send_many(out, &ping, 1); /* the program tells nothing apart */
	CHECK_INT(drain(s, &g), 0);
	CHECK_INT(g.frames, 1);
	send_many(out, &bulk, 1);
	CHECK_INT(drain(s, &g), 0);
	CHECK_INT(g.last.caplen, BPF_COPY);
	CHECK_INT(g.last.wirelen, 1514);
	c.bpf_fd = -1;
	CHECK_INT(source_ring_set_filter(s, &c, why, sizeof(why)), 0);
	CHECK_INT(source_ring_filter(s), RING_FILTER_NARROW);
	CHECK_INT(frames_of_13(s, out, &g), 3);
	c.bpf_fd = fd;
	CHECK_INT(source_ring_set_filter(s, &c, why, sizeof(why)), 0);
	CHECK_INT(frames_of_13(s, out, &g), 13);
	c.bpf_fd = out; /* no program: the classic filter, and it is said */
	CHECK_INT(source_ring_set_filter(s, &c, why, sizeof(why)), 0);
	CHECK_INT(source_ring_filter(s), RING_FILTER_NARROW);
	CHECK_MSG(strstr(why, "refused the eBPF packet filter"), "%s", why);
	CHECK_INT(frames_of_13(s, out, &g), 3);
	source_ring.close(s);
	CHECK_INT(source_ring.open(&s, &c, why, sizeof(why)), 0);
	CHECK(s && source_ring_filter(s) == RING_FILTER_NARROW);
	CHECK_MSG(strstr(why, "refused the eBPF packet filter"), "%s", why);
	source_ring.close(s);
	close(out);
	close(fd);
}

/* 100 times from classic to eBPF and back, and from wide to narrowed, while packets come. */
static void test_replace_kinds(void)
{
	const char *reason = netns_veth();
	int fd = socket_filter_load(BPF_COPY);
	struct ring_config wide, other;

	if (reason) {
		TEST_SKIP(reason);
		return;
	}
	wide = other = config_for("vb", REPLACE_RING);
	other.narrow = narrow_other;
	other.nnarrow = NARROW_OTHER;
	replace_while_sending(&other, &wide);
	other.bpf_fd = fd;
	if (fd >= 0)
		replace_while_sending(&other, &wide);
	else
		TEST_SKIP("this kernel or account loads no eBPF socket filter");
	close(fd);
}

static void test_errors(void)
{
	struct ring_config c;
	struct source *s;
	char why[256];
	const char *reason = netns_enter();
	uint16_t ports[FILTER_DNS_PORTS_MAX + 1] = {0};

	if (reason) {
		TEST_SKIP(reason);
		return;
	}
	c = config_for(NULL, 0);
	CHECK_INT(source_ring.probe(&c, why, sizeof(why)), 0);
	c.ifindex = 9999;
	CHECK_INT(source_ring.open(&s, &c, why, sizeof(why)), -ENODEV);
	CHECK(s == NULL);
	c = config_for(NULL, 0);
	c.dns_ports = ports;
	c.ndns_ports = FILTER_DNS_PORTS_MAX + 1;
	CHECK_INT(source_ring.probe(&c, why, sizeof(why)), FL_EUSAGE);
	c = config_for(NULL, (size_t)3 << 30);
	CHECK_INT(source_ring.probe(&c, why, sizeof(why)), FL_EUSAGE);
	if (geteuid() != 0 || seteuid(65534) != 0)
		return;
	c = config_for(NULL, 0);
	CHECK_INT(source_ring.probe(&c, why, sizeof(why)), -EPERM);
	CHECK_MSG(strstr(why, "CAP_NET_RAW") && strstr(why, "setcap cap_net_raw+ep"), "%s", why);
	CHECK_INT(seteuid(0), 0);
}

TEST_MAIN({"every frame", test_every_frame}, {"drops", test_drops},
	  {"all interfaces", test_all_interfaces}, {"down, up, gone", test_down_up_gone},
	  {"another filter", test_filter_works},
	  {"another filter, 100 times while packets come", test_replace},
	  {"another filter in little room", test_little_room}, {"narrowed TCP", test_narrow},
	  {"an eBPF filter", test_bpf},
	  {"classic, narrowed, eBPF, 100 times while packets come", test_replace_kinds},
	  {"errors", test_errors})
