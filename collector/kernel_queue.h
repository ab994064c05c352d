/* kernel_queue.h - samples of the kernel's wait here until the frames from before them were
 * counted.
 *
 * A sample comes at once, a frame waits in the ring for up to RING_RETIRE_MS: applied at once, a
 * connection's last figures would come before its first SYN. First in, first out.
 *
 * Time:    now_ns of one and the same clock in all calls, best CLOCK_MONOTONIC; nothing here reads
 *          one. Where it goes back, samples from after are due.
 * Threads: belongs to the thread of the engine.
 */
#ifndef COLLECTOR_KERNEL_QUEUE_H
#define COLLECTOR_KERNEL_QUEUE_H

#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "flows/kernel.h"

enum {
	KERNEL_DELAY_MS = 250,
	KERNEL_QUEUE_MOST = 131072, /* samples: room for a dump of 100,000 sockets, 19 MB */
};

struct kernel_queue;

struct kernel_queue_stats {
	size_t waiting;
	size_t most;    /* that ever waited */
	uint64_t early; /* applied before their time: the queue was full, or there was no memory */
};

/* most: samples that may wait; memory is taken in blocks as they come, and given back. apply: what
 * becomes of them, called by all three functions below; it does not call these. 0 or -errno. */
int kernel_queue_new(struct kernel_queue **out, size_t most,
		     void (*apply)(void *ctx, const struct kernel_sample *s), void *ctx) MUST_CHECK;
void kernel_queue_free(struct kernel_queue *q); /* what waits is forgotten; NULL is fine */

/* Copied. A full queue applies its oldest: early is better than never. */
void kernel_queue_add(struct kernel_queue *q, const struct kernel_sample *s, uint64_t now_ns);

/* Apply what has waited for KERNEL_DELAY_MS. */
void kernel_queue_work(struct kernel_queue *q, uint64_t now_ns);

/* Apply all: at the end of the run, or where nothing that is to come matters any more. */
void kernel_queue_flush(struct kernel_queue *q);

/* When there is work; 0: nothing waits. */
uint64_t kernel_queue_due_ns(const struct kernel_queue *q);

void kernel_queue_stats(const struct kernel_queue *q, struct kernel_queue_stats *out);

#endif
