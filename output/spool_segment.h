/* spool_segment.h - from record to record through a segment file, over what is damaged.
 *
 * A record's header is believed where its checksum is right and it stands at its own place. Where
 * none stands where one should, the next header or trailer that is right is looked for; the numbers
 * in it tell how many points were in between.
 */
#ifndef OUTPUT_SPOOL_SEGMENT_H
#define OUTPUT_SPOOL_SEGMENT_H

#include <stdbool.h>
#include <stdint.h>

#include "output/spool_record.h"

struct spool_walk {
	int fd;
	uint64_t number, size; /* of the segment; size may grow on the way */
	uint64_t at;           /* where the next record begins */
	uint64_t before;       /* points before that */
	bool before_known;
};

enum spool_found {
	SPOOL_FOUND_END,
	SPOOL_FOUND_RECORD,  /* its header is right; the rest was not read */
	SPOOL_FOUND_DAMAGED, /* a stretch with a right header, trailer or end behind it */
	SPOOL_FOUND_TAIL,    /* no record from here on: cut off, or damaged */
	SPOOL_FOUND_ERROR,   /* cannot be read */
};

struct spool_item {
	struct spool_head head; /* of SPOOL_FOUND_RECORD */
	uint64_t from, to;      /* of the others */
	uint64_t before;        /* points before it */
	uint64_t points;        /* in it, as far as known; done or not */
	bool done;              /* SPOOL_FOUND_DAMAGED: one record, which was done */
};

/* Begin at the first record. The caller sets before, of the segment's header, where it is known. */
void spool_walk_begin(struct spool_walk *w, int fd, uint64_t number, uint64_t size);

/* The next one; the walk goes on behind it, but stays where it is at a tail or an error. */
enum spool_found spool_walk_next(struct spool_walk *w, struct spool_item *item);

/* Write a done record without lines over a damaged stretch, so that it is not counted again in
 * the next run. False where that did not go: it is too short, or cannot be written to. */
bool spool_mend(const struct spool_walk *w, const struct spool_item *item);

#endif
