/* pace.h - how long a descriptor rests after it was read.
 *
 * A descriptor that is ready for each small thing that happens would wake the loop for each. After
 * a read it is left alone for a while, in which more comes together: 1 ms at first, twice as long
 * each time that something has come meanwhile. The first after a quiet time is read at once.
 *
 * Time:    CLOCK_MONOTONIC, ns.
 * Threads: belongs to one.
 */
#ifndef COLLECTOR_PACE_H
#define COLLECTOR_PACE_H

#include <stdbool.h>
#include <stdint.h>

struct pace {
	uint64_t until_ns;  /* it rests until then; 0: it does not */
	uint64_t rested_ns; /* when it last rested to the end */
	unsigned int step_ms;
};

/* Something was read. most_ms: the longest that it may rest now; 0: not at all. */
void pace_read(struct pace *p, uint64_t now_ns, unsigned int most_ms);

/* Has a rest come to its end? True once: it is to be looked at again. */
bool pace_is_over(struct pace *p, uint64_t now_ns);

#endif
