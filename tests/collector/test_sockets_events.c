/* test_sockets_events.c - how long the multicast of closed sockets may be left alone: by the room
 * that its buffer has, and not while much comes. (What it tells is in test_sockets.c.)
 */
#include "collector/sockets_events.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/live/netns.h"
#include "tests/test.h"

static void count(void *ctx, const struct sock_entry *s)
{
	*(uint32_t *)ctx += s->remote.port != 0;
}

/* One after the other; both ends' sockets are gone when it returns. */
static bool connections(uint32_t n)
{
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), c, accepted;
	struct sockaddr_in a;
	socklen_t len = sizeof(a);
	bool done;

	memset(&a, 0, sizeof(a));
	a.sin_family = AF_INET;
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	done = !bind(listener, (void *)&a, sizeof(a)) && !listen(listener, 16) &&
	       !getsockname(listener, (void *)&a, &len);
	for (; done && n; n--) {
		c = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		done = !connect(c, (void *)&a, sizeof(a));
		accepted = accept(listener, NULL, NULL);
		close(c);
		close(accepted);
	}
	close(listener);
	return done;
}

/* In one reading, as many messages as there are; a worker of the kernel's makes them, a moment
 * later. */
static uint32_t read_some(struct sockets_events *e)
{
	uint32_t seen = 0, i;

	usleep(200000);
	for (i = 0; i < 20 && !seen; i++) {
		CHECK(sockets_events_read(e, 100000, count, &seen) >= 0);
		if (!seen)
			usleep(20000);
	}
	return seen;
}

static struct sockets_events *begin(uint32_t buffer)
{
	const char *reason = netns_enter();
	struct sockets_events *e = NULL;

	if (!reason && sockets_events_open(&e, SOCKETS_GROUPS, buffer))
		reason = "messages of closed sockets are refused here";
	if (!reason)
		CHECK_INT(sockets_events_rest_ms(e), 0); /* nothing was read */
	if (!reason && (!CHECK(connections(2)) || !read_some(e))) {
		reason = "this kernel sends no message of closed sockets";
		sockets_events_close(e);
	}
	if (reason)
		TEST_SKIP(reason);
	return reason ? NULL : e;
}

/* What waits in a buffer of 4 MiB for 8 ms, at 256 a ms, is less than half of it. */
static void test_large(void)
{
	struct sockets_events *e = begin(SOCKETS_BUFFER);
	struct sockets_events_stats stats;
	uint32_t seen = 0;

	if (!e)
		return;
	sockets_events_stats(e, &stats);
	if (stats.buffer < 2 * SOCKETS_BUFFER) {
		TEST_SKIP("the buffer may not be as large as that: net.core.rmem_max");
	} else {
		CHECK_INT(sockets_events_rest_ms(e), 8);
		CHECK_INT(sockets_events_read(e, 100, count, &seen), 0);
		CHECK(seen == 0 && sockets_events_rest_ms(e) == 0); /* it has ended */
	}
	sockets_events_close(e);
}

static void test_small(void)
{
	struct sockets_events *e = begin(8192);

	if (!e)
		return;
	CHECK_INT(sockets_events_rest_ms(e), 0);
	sockets_events_close(e);
}

/* Room for 512: two ms, but none where more than 64 were there at once. */
static void test_much(void)
{
	struct sockets_events *e = begin(512 * 1536 / 2);
	struct sockets_events_stats stats;
	uint32_t seen;

	if (!e)
		return;
	sockets_events_stats(e, &stats);
	if (stats.buffer != 512 * 1536) {
		TEST_SKIP("the buffer may not be as large as that: net.core.rmem_max");
	} else {
		CHECK_INT(sockets_events_rest_ms(e), 2);
		CHECK(connections(60));
		seen = read_some(e);
		CHECK_INT(sockets_events_rest_ms(e), seen > 64 ? 0 : 2);
		CHECK(seen > 64); /* all 120, unless the kernel's worker is late */
	}
	sockets_events_close(e);
}

TEST_MAIN({"a large buffer", test_large}, {"a small buffer", test_small},
	  {"much at once", test_much})
