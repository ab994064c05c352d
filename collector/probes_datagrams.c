/* probes_datagrams.c - the map of UDP tuples: who has sent or received there.
 *
 * Entries are told once and deleted; a tuple that is still in use has made a new one by the next
 * time.
 */
#include "collector/probes_internal.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <string.h>
#include <time.h>

#include "filters/probes.skel.h"

/* The CPU with the most datagrams says who it was: several processes may share a socket. NULL:
 * none. */
static const struct probe_datagrams *best(struct probes *p, const struct probe_tuple *t)
{
	int fd = bpf_map__fd(p->set.skel->maps.datagrams), i;
	const struct probe_datagrams *all = p->values, *most = NULL;

	if (bpf_map_lookup_elem(fd, t, p->values))
		return NULL; /* made room for another, meanwhile */
	for (i = 0; i < p->cpus; i++)
		if (all[i].pid && (!most || all[i].packets > most->packets))
			most = &all[i];
	return most;
}

bool probes_datagrams_known(struct probes *p, const struct probe_tuple *t)
{
	return best(p, t) != NULL;
}

static uint32_t read_keys(struct probes *p)
{
	int fd = bpf_map__fd(p->set.skel->maps.datagrams);
	uint32_t n = 0;

	while (n < p->tuples_most &&
	       !bpf_map_get_next_key(fd, n ? &p->tuples[n - 1] : NULL, &p->tuples[n]))
		n++;
	return n;
}

int probes_datagrams_dump(struct probes *p)
{
	int fd = bpf_map__fd(p->set.skel->maps.datagrams);
	uint32_t n = read_keys(p), i;
	struct kernel_process who;
	struct kernel_sample s;
	struct probe_event e;

	memset(&e, 0, sizeof(e));
	e.time_ns = probes_now_ns();
	for (i = 0; i < n; i++) {
		const struct probe_datagrams *d = best(p, &p->tuples[i]);

		if (!d)
			continue;
		e.tuple = p->tuples[i];
		e.pid = d->pid;
		e.cgroup_id = d->cgroup_id;
		e.flags = d->other_netns ? PROBE_OTHER_NETNS : 0;
		memcpy(e.comm, d->comm, sizeof(e.comm));
		if (bpf_map_delete_elem(fd, &p->tuples[i]) && errno != ENOENT)
			return -errno;
		if (probes_event_sample(&e, p->offset_ns, p->pid_foreign, &s, &who))
			p->sink.sample(p->sink.ctx, &s, &who);
	}
	return 0;
}
