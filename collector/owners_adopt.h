/* owners_adopt.h - a process that a probe tells of becomes an owner; part of owners.h.
 *
 * A probe knows the process when it makes or takes a connection: also one that is gone a moment
 * later. /proc still has more: the name of the process where a thread has one of its own, when it
 * began, and its container. What it said is remembered for some seconds by process, and the
 * container by the number of its control group (cgroup v2), for those of which /proc tells nothing
 * any more.
 *
 * Threads: those of the struct owners.
 */
#ifndef COLLECTOR_OWNERS_ADOPT_H
#define COLLECTOR_OWNERS_ADOPT_H

#include <stdint.h>

#include "collector/kernel_source.h"
#include "collector/owners_table.h"

struct adopter {
	struct adopted_process
	    *processes; /* both by a hash; a newer one takes an older one's place */
	struct adopted_cgroup *cgroups;
};

/* Memory is taken here, and touched when used. 0 or -errno. */
int adopter_init(struct adopter *a) MUST_CHECK;
void adopter_destroy(struct adopter *a);

/* As it was read lately; OWNER_NONE: it is to be read. No system call. */
uint32_t adopter_known(struct adopter *a, struct owners_table *table,
		       const struct kernel_process *who, uint64_t now_ns);

/* Read /proc; p and proc NULL: without. Never OWNER_NONE. */
uint32_t adopter_read(struct adopter *a, struct owners_table *table, const struct procfs *p,
		      const char *proc, const struct kernel_process *who, uint64_t now_ns);

#endif
