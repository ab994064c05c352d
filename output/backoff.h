/* backoff.h - how long to wait before something is tried again: exponential, with full jitter, so
 * that a fleet whose backend comes back does not come back as one wave.
 *
 * Source: M. Brooker, "Exponential Backoff And Jitter" (AWS Architecture Blog, 2015): a uniformly
 * random time up to the bound; the bound doubles.
 */
#ifndef OUTPUT_BACKOFF_H
#define OUTPUT_BACKOFF_H

#include <stdint.h>

struct backoff {
	uint64_t min_ns, max_ns; /* the first bound and the last */
	unsigned int failures;   /* in a row */
	uint64_t random;         /* state of the generator */
};

/* Seeded from the kernel's random numbers. */
void backoff_init(struct backoff *b, uint64_t min_ns, uint64_t max_ns);

/* After a failure: how long to wait. asked_ns: the peer wants to be left alone for so long (0: it
 * did not say); it is, and a random time up to the bound longer. */
uint64_t backoff_failed(struct backoff *b, uint64_t asked_ns);

/* As one that will not be mended by itself: from half of max_ns to all of it. */
uint64_t backoff_refused(struct backoff *b);

void backoff_reset(struct backoff *b);

#endif
