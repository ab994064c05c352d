/* source_ring.h - what a user of source_ring (source.h) has to know about its timing.
 */
#ifndef COLLECTOR_SOURCE_RING_H
#define COLLECTOR_SOURCE_RING_H

enum {
	/* The kernel hands a block over when it is full or this long after its first frame: a frame
	 * waits no longer, and an idle machine wakes at most ten times a second. To see everything
	 * up to a moment (the end of a run), wait this long and poll until 0. */
	RING_RETIRE_MS = 100,
	RING_DEFAULT_BYTES = 4 << 20, /* where ring_config.ring_bytes is 0 */
	RING_BLOCK_BYTES = 256 << 10, /* a 64 KiB GSO packet fits several times */
	RING_BLOCKS_MIN = 2,
};

#endif
