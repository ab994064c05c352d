/* spool.h - parcels on disk that wait for their backend: oldest first, bounded, and nothing
 * damaged is ever given out.
 *
 * A spool is a directory of segment files. A record in a segment has its length, its points, a
 * running number of points and a checksum; a byte of it says that it was delivered. Opening reads
 * all headers: a torn tail (the writer was killed, the disk was full) is cut, damaged records are
 * left out, and both are counted and told. A segment whose records are all delivered is removed.
 *
 * Balance: found + appended = delivered + lost + points, where found is what spool_open() found.
 * Time:    ns since the epoch, given by the caller.
 * Threads: a spool belongs to one thread. A lock on the directory keeps a second collector away.
 */
#ifndef OUTPUT_SPOOL_H
#define OUTPUT_SPOOL_H

#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "output/sink.h"

struct spool_config {
	const char *dir;        /* made, with its parents, where it is not there: 0750 */
	uint64_t max_bytes;     /* of all segments; over it the oldest segment goes */
	uint64_t max_age_ns;    /* since a segment's newest record was appended; 0: no limit */
	uint64_t segment_bytes; /* a new one is begun behind it, or behind an eighth of max_bytes */
};

struct spool_stats {
	uint64_t points, bytes;   /* now; bytes as on disk */
	uint64_t records;         /* now, not delivered */
	uint64_t oldest_ns;       /* when the oldest of them was appended; 0: there is none */
	uint64_t points_found;    /* by spool_open() */
	uint64_t points_appended; /* since then, as all below */
	uint64_t points_delivered;
	uint64_t points_lost; /* by a limit or damage; of a torn tail as far as its header tells */
	uint64_t points_expired; /* of them: too old, or over max_bytes */
	uint64_t records_damaged;
	uint64_t tails_cut;
	uint64_t errors; /* of the file system */
};

/* A record; valid until it is done or lost. */
struct spool_mark {
	uint64_t segment, offset;
};

struct spool_record {
	struct spool_mark mark;
	struct parcel parcel; /* bytes: the spool's, until the next call of spool_next() */
	uint64_t appended_ns;
};

struct spool;

/* 0, or a negative error with why, which names the path and the mend (read-only, no permission,
 * another collector uses it). now_ns: for max_age. What was damaged is in the stats, and as a
 * sentence in why ("" where all is well). */
int spool_open(struct spool **spool, const struct spool_config *c, uint64_t now_ns,
	       char why[SINK_WHY_SIZE]) MUST_CHECK;

/* Close; what is in it stays. NULL is fine. */
void spool_close(struct spool *s);

/* Other limits. */
void spool_change(struct spool *s, uint64_t max_bytes, uint64_t max_age_ns);

/* Append a copy of the parcel (as it is, or compressed). 0 and *mark; or -errno (ENOSPC, EROFS
 * ...): nothing of it is in the spool, and the spool can be used on. A parcel that is bigger than
 * max_bytes (as stored) or 64 MiB: -EFBIG; not whole lines, or not `points` of them: -EINVAL. */
int spool_append(struct spool *s, const struct parcel *p, uint64_t now_ns,
		 struct spool_mark *mark) MUST_CHECK;

/* The oldest record that is not done: 1; 0: there is none, or (stats: records) it cannot be read
 * now for want of memory or descriptors, and is to be asked for again later. Records that turn out
 * to be damaged, and files that cannot be read, are counted as lost and passed over. Asked again it
 * gives the same. */
int spool_next(struct spool *s, uint64_t now_ns, struct spool_record *r) MUST_CHECK;

/* It was delivered (points), or given up for good (lost). delivered + lost = its points. A mark
 * whose record is gone meanwhile (a limit), or done already, does nothing. Any order will do,
 * though the oldest first is cheapest. */
void spool_done(struct spool *s, const struct spool_mark *mark, uint32_t delivered, uint32_t lost);

/* Segments that are too old go. About once a minute. */
void spool_expire(struct spool *s, uint64_t now_ns);

/* What was appended is on the disk when this returns: fdatasync(2). 0, or -errno. */
int spool_sync(struct spool *s) MUST_CHECK;

const struct spool_stats *spool_stats(const struct spool *s);

#endif
