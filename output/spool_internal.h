/* spool_internal.h - what spool.c and spool_open.c share. */
#ifndef OUTPUT_SPOOL_INTERNAL_H
#define OUTPUT_SPOOL_INTERNAL_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "output/spool.h"
#include "output/spool_record.h"
#include "output/spool_segment.h"

enum { SPOOL_PATH_SIZE = PATH_MAX };

/* Sixteen digits. */
#define SPOOL_NUMBER_MOST UINT64_C(9999999999999999)

struct spool_segment {
	uint64_t number;
	uint64_t bytes;   /* up to here it has records; behind it there may be a torn one */
	uint64_t start;   /* points appended before it, where start_known */
	uint64_t points;  /* not done */
	uint32_t records; /* not done; 0: its file could not be removed, and is to be tried again */
	uint64_t newest_ns;
	bool start_known;
	bool closed;   /* no more is appended */
	bool unmended; /* its damage was counted by spool_open(), but is still there */
	bool unsynced; /* something was appended since spool_sync() */
};

struct spool {
	char *dir;
	uint64_t max_bytes, max_age_ns, segment_bytes;
	struct spool_stats stats;
	struct spool_codec codec;
	struct spool_segment *segments; /* ascending */
	size_t count, room;
	uint64_t next_number, next_before; /* of the next segment; of the next record */
	int lock_fd;
	int write_fd; /* the last segment's; -1: none is open */
	/* The oldest segment with records, the way through it, and the record it stands at. */
	int read_fd; /* -1: none is open */
	uint64_t read_number;
	struct spool_walk walk;
	struct spool_head head;
	bool at_head;
	bool loaded; /* its lines are in the codec */
};

void spool_path(const struct spool *s, uint64_t number, char path[SPOOL_PATH_SIZE]);

/* Open a segment for reading and, where that is allowed, for writing (*writable). The descriptor,
 * or -errno. */
int spool_open_segment(const struct spool *s, uint64_t number, bool *writable) MUST_CHECK;

/* A segment behind the others. NULL: no memory. */
struct spool_segment *spool_add_segment(struct spool *s, uint64_t number);

/* Remove segment i, which must have no records, from the disk and the list. 0; or -errno: it stays
 * in both, and the next expiry tries again. */
int spool_drop(struct spool *s, size_t i);

/* Remove the oldest segments until there is room for so many bytes. 0, or -errno. */
int spool_trim(struct spool *s, uint64_t need) MUST_CHECK;

/* Go to the oldest record that is not done. 0, or -errno where that cannot be said now. */
int spool_settle(struct spool *s);

/* Make the directory and lock it. 0, or -errno; *who: the other collector's process, 0: unknown. */
int spool_lock(struct spool *s, long *who) MUST_CHECK;

#endif
