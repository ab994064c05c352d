/* test_syn_watch.c - a connection on loopback is told by its SYN, once, with the client as its
 * sender. In a network namespace of its own, so that nobody else's connections come in between.
 */
#include "collector/syn_watch.h"

#include "tests/live/netns.h"
#include "tests/test.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

struct seen {
	unsigned int n;
	struct flow_key key;
	int end;
};

static void on_syn(void *ctx, const struct flow_key *key, int end)
{
	struct seen *s = ctx;

	s->n++;
	s->key = *key;
	s->end = end;
}

static uint16_t port_of(int fd)
{
	struct sockaddr_storage a;
	socklen_t len = sizeof(a);

	if (getsockname(fd, (struct sockaddr *)&a, &len))
		return 0;
	return ntohs(a.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&a)->sin6_port
					     : ((struct sockaddr_in *)&a)->sin_port);
}

static void connect_once(int family, int watch)
{
	int listener = socket(family, SOCK_STREAM, 0), client = socket(family, SOCK_STREAM, 0);
	struct pollfd p = {.fd = watch, .events = POLLIN};
	struct sockaddr_storage a;
	socklen_t len = sizeof(a);
	struct seen seen;

	memset(&a, 0, sizeof(a));
	memset(&seen, 0, sizeof(seen));
	a.ss_family = (sa_family_t)family;
	if (family == AF_INET)
		((struct sockaddr_in *)&a)->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	else
		((struct sockaddr_in6 *)&a)->sin6_addr = in6addr_loopback;
	len = family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
	CHECK(!bind(listener, (struct sockaddr *)&a, len) && !listen(listener, 1));
	CHECK(!getsockname(listener, (struct sockaddr *)&a, &len));
	CHECK(!connect(client, (struct sockaddr *)&a, len));
	CHECK_INT(poll(&p, 1, 1000), 1);
	syn_watch_read(watch, on_syn, &seen);
	CHECK_INT(seen.n, 1);
	CHECK_INT(flow_key_proto(&seen.key), PROTO_TCP);
	CHECK_INT(flow_key_port(&seen.key, seen.end), port_of(client));
	CHECK_INT(flow_key_port(&seen.key, !seen.end), port_of(listener));
	close(client);
	close(listener);
}

static void test_connections(void)
{
	const char *why = netns_enter();
	int fd;

	if (why || !netns_ip("link set lo up")) {
		TEST_SKIP(why ? why : "no loopback in the namespace");
		return;
	}
	fd = syn_watch_open();
	if (fd < 0) {
		TEST_SKIP("no packet socket is allowed");
		return;
	}
	connect_once(AF_INET, fd);
	connect_once(AF_INET6, fd);
	close(fd);
}

TEST_MAIN({"connections", test_connections})
