/* index.h - a bounded hash index: 32-bit hash -> number of a record that the caller keeps
 *elsewhere.
 *
 * Open addressing with linear probing and backward-shift deletion, at most half full. All address
 *space is taken by index_init(); the table in use begins small and doubles inside it, so that a
 *quiet host touches little memory. The hash must be keyed (common/siphash.h) where others choose
 *what is hashed.
 *
 *	uint32_t at, rec;
 *
 *	INDEX_FIND(ix, hash, at, rec) {          // every record with this hash
 *		if (same(&records[rec], key))
 *			return &records[rec];
 *	}
 *	index_insert(ix, hash, new_rec);         // not found
 */
#ifndef COMMON_INDEX_H
#define COMMON_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

struct index_slot {
	uint32_t hash;
	uint32_t rec1; /* record number + 1; 0: empty */
};

struct index {
	struct index_slot *slots; /* the level in use */
	uint32_t mask;            /* its size - 1 */
	uint32_t used, most;
	struct index_slot *base; /* all levels, smallest first */
	size_t base_slots;
};

/* At most `most` records (up to 2^30). 0 or -errno. */
int index_init(struct index *ix, size_t most) MUST_CHECK;
void index_destroy(struct index *ix);

/* Forget every record; the level in use stays. */
void index_clear(struct index *ix);

/* The caller has made sure that used < most and that the record is not in the index. */
void index_insert(struct index *ix, uint32_t hash, uint32_t rec);

/* Nothing happens where the record is not there. */
void index_remove(struct index *ix, uint32_t hash, uint32_t rec);

static inline void index_prefetch(const struct index *ix, uint32_t hash)
{
	__builtin_prefetch(&ix->slots[hash & ix->mask]);
}

#define INDEX_FIND(ix, h, at, rec)                                                                 \
	for ((at) = (h) & (ix)->mask; (ix)->slots[at].rec1; (at) = ((at) + 1) & (ix)->mask)        \
		if ((rec) = (ix)->slots[at].rec1 - 1, (ix)->slots[at].hash == (h))

#endif
