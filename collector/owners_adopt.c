/* owners_adopt.c - see owners_adopt.h. */
#include "collector/owners_adopt.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "collector/cgroup.h"
#include "common/memory.h"

enum { PROCESSES = 4096, CGROUPS = 1024 }; /* powers of 2 */

/* As that of the answers by inode (owners.c): the process may have called exec. */
static const uint64_t KNOWN_NS = 5000000000;
/* Where /proc could not be read yet: soon again, as other events of the process follow. */
static const uint64_t GUESSED_NS = 200000000;

struct adopted_process {
	struct kernel_process who;
	uint32_t owner;
	uint64_t until_ns;
};

struct adopted_cgroup {
	uint64_t id; /* 0: free */
	char container[CONTAINER_ID_LEN + 1];
};

int adopter_init(struct adopter *a)
{
	a->processes = mem_map(PROCESSES, sizeof(*a->processes));
	a->cgroups = mem_map(CGROUPS, sizeof(*a->cgroups));
	return a->processes && a->cgroups ? 0 : -ENOMEM;
}

void adopter_destroy(struct adopter *a)
{
	if (a->processes)
		mem_unmap(a->processes, PROCESSES, sizeof(*a->processes));
	if (a->cgroups)
		mem_unmap(a->cgroups, CGROUPS, sizeof(*a->cgroups));
	memset(a, 0, sizeof(*a));
}

static struct adopted_process *process_of(struct adopter *a, uint32_t pid)
{
	return &a->processes[(pid * 2654435761U) >> 20]; /* 32 - log2(PROCESSES) */
}

static struct adopted_cgroup *cgroup_of(struct adopter *a, uint64_t id)
{
	return &a->cgroups[(id * 0x9e3779b97f4a7c15ULL) >> 54]; /* 64 - log2(CGROUPS) */
}

static bool same(const struct kernel_process *a, const struct kernel_process *b)
{
	return a->pid == b->pid && a->cgroup_id == b->cgroup_id &&
	       !strncmp(a->comm, b->comm, sizeof(a->comm));
}

uint32_t adopter_known(struct adopter *a, struct owners_table *table,
		       const struct kernel_process *who, uint64_t now_ns)
{
	const struct adopted_process *p = process_of(a, who->pid);

	if (p->owner == OWNER_NONE || now_ns >= p->until_ns || !same(&p->who, who))
		return OWNER_NONE;
	return owners_table_get(table, p->owner) ? p->owner : OWNER_NONE;
}

/* True: /proc told of the process. */
static bool ask_proc(struct adopter *a, const struct procfs *p, const char *proc,
		     const struct kernel_process *who, struct procfs_process *process,
		     char container[CONTAINER_ID_LEN + 1])
{
	struct adopted_cgroup *g;
	bool unified;
	int got;

	if (!p || procfs_process_read(p, who->pid, process))
		return false;
	got = cgroup_read_unified(proc, who->pid, container, &unified);
	if (got < 0)
		container[0] = '\0';
	if (got == 1 && unified && who->cgroup_id) {
		g = cgroup_of(a, who->cgroup_id);
		g->id = who->cgroup_id;
		memcpy(g->container, container, sizeof(g->container));
	}
	return true;
}

uint32_t adopter_read(struct adopter *a, struct owners_table *table, const struct procfs *p,
		      const char *proc, const struct kernel_process *who, uint64_t now_ns)
{
	struct adopted_process *known = process_of(a, who->pid);
	char container[CONTAINER_ID_LEN + 1] = "";
	const struct adopted_cgroup *g;
	struct procfs_process process;
	bool told;

	memset(&process, 0, sizeof(process));
	told = ask_proc(a, p, proc, who, &process, container);
	/* gone, but /proc told of it a while ago: one process has one number */
	if (!told && known->owner != OWNER_NONE && same(&known->who, who) &&
	    owners_table_get(table, known->owner)) {
		known->until_ns = now_ns + GUESSED_NS;
		return known->owner;
	}
	if (!told) {
		g = cgroup_of(a, who->cgroup_id);
		process.pid = who->pid;
		process.start_ticks = 0;
		memcpy(process.name, who->comm, sizeof(who->comm) - 1);
		if (who->cgroup_id && g->id == who->cgroup_id)
			memcpy(container, g->container, sizeof(container));
	}
	known->who = *who;
	known->owner = owners_table_put(table, &process, container);
	known->until_ns = now_ns + (told ? KNOWN_NS : GUESSED_NS);
	return known->owner;
}
