/* test_ifaces.c - interfaces and addresses, followed while the ip command changes them in a
 * namespace. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* unshare */
#endif
#include "tests/test.h"

#include <net/if_arp.h>
#include <poll.h>
#include <sys/socket.h>

#include "collector/ifaces.h"
#include "tests/live/netns.h"

struct seen {
	int came, went, up, down, renamed, addresses;
	char last[IFACE_NAME_SIZE];
};

static void seen_link(void *ctx, const struct iface *before, const struct iface *now)
{
	struct seen *s = ctx;

	s->came += !before;
	s->went += !now;
	if (before && now) {
		s->up += !before->up && now->up;
		s->down += before->up && !now->up;
		s->renamed += strcmp(before->name, now->name) != 0;
	}
	memcpy(s->last, (now ? now : before)->name, sizeof(s->last));
}

static void seen_addresses(void *ctx)
{
	((struct seen *)ctx)->addresses++;
}

static struct seen follow(struct ifaces *ifs)
{
	struct seen s;
	struct ifaces_events ev = {seen_link, seen_addresses, &s};
	struct pollfd pfd = {ifaces_fd(ifs), POLLIN, 0};

	memset(&s, 0, sizeof(s));
	while (poll(&pfd, 1, 200) > 0)
		if (!CHECK(ifaces_poll(ifs, &ev) == 0))
			break;
	return s;
}

static bool local_has(const struct ifaces *ifs, const char *text)
{
	struct ip_net nets[64];
	struct ip_addr a;
	size_t n = ifaces_local(ifs, nets, 64), i;

	CHECK_INT(addr_parse(&a, text), 0);
	for (i = 0; i < n && i < 64; i++)
		if (net_contains(&nets[i], &a))
			return true;
	return false;
}

static struct ifaces *start(void)
{
	const char *reason = netns_enter();
	struct ifaces *ifs = NULL;

	if (reason) {
		TEST_SKIP(reason);
		return NULL;
	}
	CHECK_INT(ifaces_new(&ifs), 0);
	return ifs;
}

static void test_links(void)
{
	struct ifaces *ifs = start();
	const struct iface *list;
	struct seen s;

	if (!ifs)
		return;
	CHECK(ifaces_list(ifs, &list) >= 1);
	CHECK(ifaces_by_name(ifs, "lo") && ifaces_by_name(ifs, "lo")->up);
	CHECK_INT(ifaces_by_name(ifs, "lo")->hatype, ARPHRD_LOOPBACK);
	CHECK(ifaces_by_name(ifs, "ia") == NULL);
	if (!netns_ip("link add ia type veth peer name ib")) {
		ifaces_free(ifs);
		TEST_SKIP("this kernel makes no veth pair");
		return;
	}
	s = follow(ifs);
	CHECK_INT(s.came, 2);
	CHECK(ifaces_by_name(ifs, "ia") && !ifaces_by_name(ifs, "ia")->up);
	CHECK_INT(ifaces_by_name(ifs, "ia")->hatype, ARPHRD_ETHER);
	CHECK(ifaces_by_index(ifs, (int)if_nametoindex("ib")) == ifaces_by_name(ifs, "ib"));
	netns_ip("link set ia up");
	CHECK_INT(follow(ifs).up, 1);
	netns_ip("link set ia down");
	CHECK_INT(follow(ifs).down, 1);
	netns_ip("link set ia name ic");
	CHECK_INT(follow(ifs).renamed, 1);
	CHECK(ifaces_by_name(ifs, "ia") == NULL && ifaces_by_name(ifs, "ic"));
	netns_ip("link del ic");
	CHECK_INT(follow(ifs).went, 2);
	CHECK(ifaces_by_name(ifs, "ic") == NULL);
	ifaces_free(ifs);
}

static void test_bridge_port(void)
{
	struct ifaces *ifs = start();
	struct seen s;

	if (!ifs)
		return;
	if (!netns_ip("link add bb type bridge") ||
	    !netns_ip("link add ba type veth peer name bc") || !netns_ip("link set ba master bb")) {
		ifaces_free(ifs);
		TEST_SKIP("this kernel makes no bridge");
		return;
	}
	follow(ifs);
	netns_ip("link set ba nomaster"); /* RTM_DELLINK of family AF_BRIDGE */
	s = follow(ifs);
	CHECK_INT(s.went, 0);
	CHECK(ifaces_by_name(ifs, "ba") != NULL);
	netns_ip("link del bb");
	netns_ip("link del ba");
	CHECK_INT(follow(ifs).went, 3);
	ifaces_free(ifs);
}

static void test_addresses(void)
{
	struct ifaces *ifs = start();
	struct ip_net one;

	if (!ifs)
		return;
	CHECK(local_has(ifs, "127.9.9.9") && local_has(ifs, "::1"));
	CHECK(!local_has(ifs, "10.7.0.1"));
	if (!netns_ip("link add aa type veth peer name ab") || !netns_ip("link set aa up")) {
		ifaces_free(ifs);
		TEST_SKIP("this kernel makes no veth pair");
		return;
	}
	follow(ifs);
	netns_ip("addr add 10.7.0.1/24 dev aa");
	CHECK_INT(follow(ifs).addresses, 1);
	CHECK(local_has(ifs, "10.7.0.1") && !local_has(ifs, "10.7.0.2"));
	netns_ip("addr add 10.8.0.1 peer 10.8.0.2 dev aa");
	CHECK(follow(ifs).addresses > 0);
	CHECK(local_has(ifs, "10.8.0.1") && !local_has(ifs, "10.8.0.2"));
	netns_ip("addr add 10.9.0.0/16 dev lo");
	CHECK(follow(ifs).addresses > 0);
	CHECK(local_has(ifs, "10.9.1.2"));
	if (netns_ip("addr add fd00:7::1/64 dev aa nodad")) {
		CHECK(follow(ifs).addresses > 0);
		CHECK(local_has(ifs, "fd00:7::1") && !local_has(ifs, "fd00:7::2"));
	}
	CHECK(ifaces_local(ifs, &one, 1) > 4); /* says how many, writes what fits */
	netns_ip("addr del 10.7.0.1/24 dev aa");
	CHECK(follow(ifs).addresses > 0);
	CHECK(!local_has(ifs, "10.7.0.1"));
	netns_ip("link del aa");
	CHECK(follow(ifs).addresses > 0);
	CHECK(!local_has(ifs, "10.8.0.1") && local_has(ifs, "10.9.1.2"));
	netns_ip("addr del 10.9.0.0/16 dev lo");
	ifaces_free(ifs);
}

/* More changes than the socket holds: ENOBUFS, and the dump that follows finds the end state. */
static void test_lost_notifications(void)
{
	struct ifaces *ifs = start();
	int small = 2048;
	struct seen s;
	FILE *f;
	int i;

	if (!ifs)
		return;
	CHECK_INT(setsockopt(ifaces_fd(ifs), SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)), 0);
	f = popen("ip -batch - >/dev/null 2>&1", "w");
	if (!CHECK(f != NULL))
		return;
	for (i = 1; i < 60; i++)
		fprintf(f, "addr add 10.77.0.%d/32 dev lo\n", i);
	fprintf(f, "addr del 10.77.0.7/32 dev lo\nlink add na type veth peer name nb\n");
	CHECK_INT(pclose(f), 0);
	s = follow(ifs);
	CHECK(s.addresses >= 1);
	CHECK_INT(s.came, 2);
	CHECK(ifaces_by_name(ifs, "na") && ifaces_by_name(ifs, "nb"));
	CHECK(local_has(ifs, "10.77.0.1") && local_has(ifs, "10.77.0.59"));
	CHECK(!local_has(ifs, "10.77.0.7"));
	CHECK_INT(ifaces_local(ifs, NULL, 0), 2 + 2 + 58); /* 127/8, ::1; lo's own two */
	netns_ip("link del na");
	ifaces_free(ifs);
}

TEST_MAIN({"links", test_links}, {"bridge port", test_bridge_port}, {"addresses", test_addresses},
	  {"lost notifications", test_lost_notifications})
