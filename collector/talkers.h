/* talkers.h - the heaviest flows of a cycle, for `flowline status`.
 *
 * Takes the netflow points on their way out. One cycle's points are distinct (flows/points.h), so
 * keeping the few heaviest is exact: nothing is estimated. Of equals the earlier one counts.
 * Memory:  all inside; nothing is allocated, texts are copied.
 * Threads: belongs to one thread.
 */
#ifndef COLLECTOR_TALKERS_H
#define COLLECTOR_TALKERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "flows/point.h"

enum {
	TALKERS_MOST = 10,
	TALKER_PROCESS_MOST = 64, /* bytes with the final 0; longer ones are cut, as are */
	TALKER_DOMAIN_MOST = 256,
};

struct talker {
	struct point_side src, dst;
	uint8_t transport; /* IP protocol number */
	bool incoming;
	uint64_t bytes; /* L4 payload both ways: what counts */
	uint64_t bytes_read, bytes_written;
	uint32_t pid;                      /* 0: not known */
	char process[TALKER_PROCESS_MOST]; /* "": not known; any bytes but 0 */
	char domain[TALKER_DOMAIN_MOST];   /* of dst; likewise */
	uint64_t order;                    /* of arrival, since the start */
};

struct talkers {
	struct talker running[TALKERS_MOST]; /* in no order */
	size_t nrunning;
	size_t least; /* index of the lightest, where all places are taken */
	uint64_t arrivals;
	struct talker shown[TALKERS_MOST]; /* of the last complete cycle, heaviest first */
	size_t nshown;
};

void talkers_init(struct talkers *t);

/* A point of the running cycle; other kinds than netflow, and those without bytes, are passed over.
 */
void talkers_add(struct talkers *t, const struct point *p);

/* The cycle is complete: its talkers are shown now, the next one begins. */
void talkers_end_cycle(struct talkers *t);

#endif
