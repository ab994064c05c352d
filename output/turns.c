/* turns.c - how a send() waits: in turns, and between them it asks whether it may go on. */
#include "output/turns.h"

#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <time.h>

enum { MS_NS = 1000000 };

uint64_t turns_now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

void turns_begin(struct turns *t, const struct sink_turn *turn, uint64_t until_ns)
{
	t->turn = turn;
	t->ask_ns = 0;
	t->until_ns = until_ns;
}

/* May it go on? Then *most_ns is how long until it has to ask again. */
static enum turns_end next_turn(struct turns *t, uint64_t *most_ns)
{
	uint64_t now_ns = turns_now_ns();

	/* A reader that takes a little all the time never makes a turn run out: the clock decides,
	 * not the number of turns. */
	if (now_ns >= t->ask_ns) {
		if (t->turn && t->turn->go_on && !t->turn->go_on(t->turn->ctx))
			return TURNS_STOP;
		t->ask_ns = now_ns + (uint64_t)SINK_TURN_MS * MS_NS;
	}
	if (t->until_ns && now_ns >= t->until_ns)
		return TURNS_TIMEOUT;
	*most_ns = t->ask_ns - now_ns;
	if (t->until_ns && t->until_ns - now_ns < *most_ns)
		*most_ns = t->until_ns - now_ns;
	return TURNS_READY;
}

enum turns_end turns_poll(struct turns *t, int fd, short events)
{
	struct pollfd p = {.fd = fd, .events = events};
	enum turns_end end;
	uint64_t most_ns;
	int n;

	for (;;) {
		end = next_turn(t, &most_ns);
		if (end != TURNS_READY)
			return end;
		n = poll(&p, 1, (int)(most_ns / MS_NS) + 1);
		/* Where poll() itself fails, the write behind it says what is wrong. */
		if (n > 0 || (n < 0 && errno != EINTR))
			return TURNS_READY;
	}
}

enum turns_end turns_sleep(struct turns *t, uint64_t ns)
{
	uint64_t end_ns = turns_now_ns() + ns, now_ns, most_ns;
	enum turns_end end;

	for (;;) {
		struct timespec ts = {0, 0};

		end = next_turn(t, &most_ns);
		if (end != TURNS_READY)
			return end;
		now_ns = turns_now_ns();
		if (now_ns >= end_ns)
			return TURNS_READY;
		if (end_ns - now_ns < most_ns)
			most_ns = end_ns - now_ns;
		ts.tv_nsec = (long)most_ns; /* a turn is less than a second */
		nanosleep(&ts, NULL);
	}
}
