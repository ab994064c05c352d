/* batch.h - lines on their way to the outputs: made once, shared by all of them.
 *
 * Threads: filled by one thread; once an output has it, it is only read, by any. The last reference
 * frees it.
 */
#ifndef OUTPUT_BATCH_H
#define OUTPUT_BATCH_H

#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

enum { BATCH_BYTES = 256 * 1024 };

struct batch {
	int refs; /* __atomic */
	uint32_t points;
	size_t room, size; /* of bytes */
	uint64_t made_ns;  /* monotonic clock: when it was handed over */
	char bytes[];
};

/* Empty, with room for BATCH_BYTES, and one reference; NULL with errno set. */
struct batch *batch_new(void) MUST_CHECK;

/* A copy of just the size it needs; NULL with errno set. */
struct batch *batch_copy(const struct batch *from) MUST_CHECK;

struct batch *batch_ref(struct batch *b);
void batch_unref(struct batch *b); /* NULL is fine */

/* At the program's end: give back what is kept for the next batch_new(). */
void batch_free_spare(void);

#endif
