/* owners_table.h - bounded table of owners with small ids; what owners.c keeps its answers in.
 *
 * Threads: a table belongs to one thread.
 */
#ifndef COLLECTOR_OWNERS_TABLE_H
#define COLLECTOR_OWNERS_TABLE_H

#include "collector/cgroup.h"
#include "collector/owners.h"
#include "collector/procfs.h"
#include "common/index.h"
#include "common/siphash.h"

struct owner_slot {
	struct owner owner; /* its texts point below */
	uint64_t start_ticks;
	uint32_t hash;
	uint16_t generation;
	bool recent; /* asked for since the hand last passed */
	char name[PROCFS_NAME_SIZE];
	char container[CONTAINER_ID_LEN + 1];
};

struct owners_table {
	struct siphash_key key;
	struct index index;
	struct owner_slot *slots;
	uint32_t most, used, hand;
	uint64_t evicted;
};

int owners_table_init(struct owners_table *t, uint32_t most) MUST_CHECK;
void owners_table_destroy(struct owners_table *t);

/* The id of this process with this name in this container; a new one where there is none yet. When
 * full, one that was not asked for lately goes. Never OWNER_NONE. */
uint32_t owners_table_put(struct owners_table *t, const struct procfs_process *p,
			  const char container[CONTAINER_ID_LEN + 1]);

const struct owner *owners_table_get(struct owners_table *t, uint32_t id);

#endif
