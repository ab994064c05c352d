/* turns.h - how a send() waits: in turns of SINK_TURN_MS, and between them it asks whether it may
 * go on.
 *
 * Time:    monotonic clock, ns.
 * Threads: belongs to the one that waits.
 */
#ifndef OUTPUT_TURNS_H
#define OUTPUT_TURNS_H

#include <stdbool.h>
#include <stdint.h>

#include "output/sink.h"

struct turns {
	const struct sink_turn *turn; /* NULL: nobody is asked */
	uint64_t ask_ns;              /* when to ask next */
	uint64_t until_ns;            /* 0: for ever */
};

enum turns_end {
	TURNS_READY,   /* or the time is over that was to be slept */
	TURNS_STOP,    /* go_on() said no */
	TURNS_TIMEOUT, /* until_ns has come */
};

uint64_t turns_now_ns(void);

void turns_begin(struct turns *t, const struct sink_turn *turn, uint64_t until_ns);

/* Wait until one of these poll(2) events, or an error, is at fd. */
enum turns_end turns_poll(struct turns *t, int fd, short events);

/* Sleep. */
enum turns_end turns_sleep(struct turns *t, uint64_t ns);

#endif
