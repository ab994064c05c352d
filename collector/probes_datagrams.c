/* probes_datagrams.c - the map of UDP tuples: who has sent or received there.
 *
 * Entries are told once and deleted; a tuple that is still in use has made a new one by the next
 * time.
 */
#include "collector/probes_internal.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/addr.h"
#include "filters/probes.skel.h"

enum { ASKED_MOST = 512 }; /* in one list: routes, 5 us each */

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

static bool is_any(const uint8_t a[16])
{
	static const uint8_t any[16];

	return !memcmp(a, any, 16) ||
	       (!memcmp(a, addr_v4_prefix, sizeof(addr_v4_prefix)) && !memcmp(a + 12, any, 4));
}

static bool is_v4(const struct probe_tuple *t)
{
	return !memcmp(t->remote, addr_v4_prefix, sizeof(addr_v4_prefix));
}

static void get_addr(const struct sockaddr_storage *ss, uint8_t out[16])
{
	struct ip_addr a;

	if (ss->ss_family == AF_INET)
		addr_from_v4(&a, (const uint8_t *)&((const struct sockaddr_in *)ss)->sin_addr);
	else
		memcpy(a.b, &((const struct sockaddr_in6 *)ss)->sin6_addr, sizeof(a.b));
	memcpy(out, a.b, sizeof(a.b));
}

static socklen_t target(struct sockaddr_storage *ss, const struct probe_tuple *t)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)ss;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)ss;

	memset(ss, 0, sizeof(*ss));
	if (is_v4(t)) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons(t->remote_port);
		memcpy(&v4->sin_addr, t->remote + 12, 4);
		return sizeof(*v4);
	}
	v6->sin6_family = AF_INET6;
	v6->sin6_port = htons(t->remote_port);
	memcpy(&v6->sin6_addr, t->remote, 16);
	return sizeof(*v6);
}

/* A socket that is bound to no address sends from the one that the route there has: a socket of our
 * own that is connected to the same end gets it, too. Nothing is sent. False: there is no route. */
static bool ask_route(struct probe_tuple *t)
{
	struct sockaddr_storage ss;
	socklen_t len = target(&ss, t);
	int fd = socket(ss.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0), on = 1;
	bool known = false;

	if (fd < 0)
		return false;
	setsockopt(fd, SOL_SOCKET, SO_BROADCAST, &on, sizeof(on));
	if (!connect(fd, (struct sockaddr *)&ss, len)) {
		len = sizeof(ss);
		known = !getsockname(fd, (struct sockaddr *)&ss, &len);
		if (known)
			get_addr(&ss, t->local);
		len = sizeof(ss);
		if (known && !getpeername(fd, (struct sockaddr *)&ss, &len))
			get_addr(&ss, t->remote); /* 0.0.0.0 is 127.0.0.1 */
	}
	close(fd);
	return known;
}

int probes_datagrams_dump(struct probes *p)
{
	int fd = bpf_map__fd(p->set.skel->maps.datagrams);
	uint32_t n = read_keys(p), i, asked = 0;
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
		if (is_any(e.tuple.local) &&
		    (d->other_netns || asked++ >= ASKED_MOST || !ask_route(&e.tuple)))
			continue;
		if (probes_event_sample(&e, p->offset_ns, p->pid_foreign, &s, &who))
			p->sink.sample(p->sink.ctx, &s, &who);
	}
	return 0;
}
