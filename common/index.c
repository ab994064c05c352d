/* index.c - see index.h. */
#include "common/index.h"

#include <errno.h>
#include <string.h>

#include "common/memory.h"

enum {
	INDEX_FIRST = 1024,
	/* From this size on pages are hit at random: worth a large page; below, a quiet host's
	 * memory is worth more. */
	INDEX_LARGE_BYTES = 32 << 20,
};

int index_init(struct index *ix, size_t most)
{
	size_t slots = INDEX_FIRST;

	memset(ix, 0, sizeof(*ix));
	if (most > 1UL << 30)
		return -EINVAL;
	while (slots < 2 * most)
		slots *= 2;
	ix->base_slots = 2 * slots;
	ix->base = mem_map(ix->base_slots, sizeof(*ix->base));
	if (!ix->base)
		return -errno;
	if (ix->base_slots * sizeof(*ix->base) >= INDEX_LARGE_BYTES)
		mem_hint_large(ix->base, ix->base_slots, sizeof(*ix->base));
	ix->slots = ix->base;
	ix->mask = INDEX_FIRST - 1;
	ix->most = (uint32_t)most;
	return 0;
}

void index_destroy(struct index *ix)
{
	mem_unmap(ix->base, ix->base_slots, sizeof(*ix->base));
	memset(ix, 0, sizeof(*ix));
}

void index_clear(struct index *ix)
{
	if (ix->used)
		memset(ix->slots, 0, ((size_t)ix->mask + 1) * sizeof(*ix->slots));
	ix->used = 0;
}

static void put(struct index *ix, uint32_t hash, uint32_t rec1)
{
	uint32_t at = hash & ix->mask;

	while (ix->slots[at].rec1)
		at = (at + 1) & ix->mask;
	ix->slots[at].hash = hash;
	ix->slots[at].rec1 = rec1;
}

/* Level n+1 lies right behind level n and is twice as large. A level once left is not used again.
 */
static void grow(struct index *ix)
{
	struct index_slot *old = ix->slots;
	size_t old_size = (size_t)ix->mask + 1, i;

	ix->slots = old + old_size;
	ix->mask = (uint32_t)(2 * old_size - 1);
	for (i = 0; i < old_size; i++)
		if (old[i].rec1)
			put(ix, old[i].hash, old[i].rec1);
}

void index_insert(struct index *ix, uint32_t hash, uint32_t rec)
{
	if (2 * (size_t)(ix->used + 1) > (size_t)ix->mask + 1)
		grow(ix);
	put(ix, hash, rec + 1);
	ix->used++;
}

void index_remove(struct index *ix, uint32_t hash, uint32_t rec)
{
	uint32_t at = hash & ix->mask, hole, next, home;

	while (ix->slots[at].rec1 && ix->slots[at].rec1 != rec + 1)
		at = (at + 1) & ix->mask;
	if (!ix->slots[at].rec1)
		return;
	ix->used--;
	hole = at;
	for (next = (hole + 1) & ix->mask; ix->slots[next].rec1; next = (next + 1) & ix->mask) {
		home = ix->slots[next].hash & ix->mask;
		if (((next - home) & ix->mask) >= ((next - hole) & ix->mask)) {
			ix->slots[hole] = ix->slots[next];
			hole = next;
		}
	}
	ix->slots[hole].rec1 = 0;
}
