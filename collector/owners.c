/* owners.c - see owners.h: the queue, the cache by inode, the rule for shared sockets, the CPU's
 * share. */
#include "collector/owners.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/cgroup.h"
#include "collector/owners_adopt.h"
#include "collector/owners_find.h"
#include "collector/owners_queue.h"
#include "collector/owners_table.h"
#include "collector/procfs.h"
#include "common/memory.h"

enum {
	OWNERS_CACHE = 8192, /* inodes; a power of 2 */
	OWNERS_BATCH = FINDER_BATCH,
	OWNERS_HUNTED = 256, /* inodes looked for in one hunt */
};

static const uint64_t MS = 1000000;

/* An answer is looked at anew after this time: the process may have called exec. */
static const uint64_t CACHE_NS = 5000000000;
static const uint64_t SHARE_WINDOW_NS = 10000000000;
static const uint64_t HUNT_NS = 20000000; /* most CPU time of one hunt */

struct cached {
	uint32_t inode;
	uint32_t owner;   /* OWNER_NONE: not found */
	uint64_t next_ns; /* when to look again */
	uint8_t tries;    /* of what was not found */
};

struct owners {
	struct owners_config config;
	struct procfs *procfs;
	struct finder *finder;
	struct owners_table table;
	struct adopter adopter;
	struct cached *cache;
	struct owners_queue queue;
	/* OWNERS_BATCH of each: */
	struct finder_want *wants, **fresh; /* fresh: those that are asked for the first time */
	struct owners_request *requests;
	uint32_t *requested; /* place in the queue of each */
	/* the CPU's share */
	int64_t credit_ns, most_credit_ns;
	uint64_t credited_ns; /* when it was last counted */
	uint64_t scan_begun_ns;
	bool scanning;
	bool scan_wanted; /* an inode's process was not found: do not wait for rescan_ns */
	uint16_t client_ports[2];
	struct owners_stats stats;
	char limits[256];
};

void owners_config_default(struct owners_config *c)
{
	memset(c, 0, sizeof(*c));
	c->proc = "/proc";
	c->cpu_share = 0.01;
	c->max_owners = 16384;
	c->max_sockets = 262144;
	c->max_queue = 16384;
	c->max_netns = 64;
	c->rescan_ns = 10000000000;
}

static void read_client_ports(struct owners *o)
{
	char path[4096];
	unsigned int low = 32768, high = 60999;
	FILE *f;

	snprintf(path, sizeof(path), "%s/sys/net/ipv4/ip_local_port_range", o->config.proc);
	f = fopen(path, "re");
	if (f) {
		if (fscanf(f, "%u %u", &low, &high) != 2 || low > high || high > 65535) {
			low = 32768;
			high = 60999;
		}
		fclose(f);
	}
	o->client_ports[0] = (uint16_t)low;
	o->client_ports[1] = (uint16_t)high;
}

int owners_new(struct owners **out, const struct owners_config *c)
{
	struct owners *o = calloc(1, sizeof(*o));
	int err;

	*out = NULL;
	if (!o)
		return -ENOMEM;
	o->config = *c;
	if (!o->config.proc)
		o->config.proc = "/proc";
	o->most_credit_ns = (int64_t)(c->cpu_share * (double)SHARE_WINDOW_NS);
	o->credit_ns = o->most_credit_ns;
	o->cache = mem_map(OWNERS_CACHE, sizeof(*o->cache));
	o->fresh = mem_map(OWNERS_BATCH, sizeof(struct finder_want *));
	o->wants = mem_map(OWNERS_BATCH, sizeof(*o->wants));
	o->requests = mem_map(OWNERS_BATCH, sizeof(*o->requests));
	o->requested = mem_map(OWNERS_BATCH, sizeof(*o->requested));
	err = o->cache && o->fresh && o->wants && o->requests && o->requested ? 0 : -ENOMEM;
	if (!err)
		err = owners_queue_init(&o->queue, c->max_queue);
	if (!err)
		err = owners_table_init(&o->table, c->max_owners);
	if (!err)
		err = adopter_init(&o->adopter);
	if (!err)
		err = procfs_new(&o->procfs, o->config.proc, c->max_sockets);
	if (!err)
		err = finder_new(&o->finder, o->config.proc, c->max_netns);
	if (err) {
		owners_free(o);
		return err;
	}
	read_client_ports(o);
	*out = o;
	return 0;
}

static void unmap(void *p, size_t n, size_t size)
{
	if (p)
		mem_unmap(p, n, size);
}

void owners_free(struct owners *o)
{
	if (!o)
		return;
	finder_free(o->finder);
	procfs_free(o->procfs);
	owners_table_destroy(&o->table);
	adopter_destroy(&o->adopter);
	unmap(o->cache, OWNERS_CACHE, sizeof(*o->cache));
	owners_queue_destroy(&o->queue);
	unmap(o->fresh, OWNERS_BATCH, sizeof(struct finder_want *));
	unmap(o->wants, OWNERS_BATCH, sizeof(*o->wants));
	unmap(o->requests, OWNERS_BATCH, sizeof(*o->requests));
	unmap(o->requested, OWNERS_BATCH, sizeof(*o->requested));
	free(o);
}

/* ---- the CPU's share ------------------------------------------------------------------------- */

static void earn(struct owners *o, uint64_t now_ns)
{
	if (o->credited_ns && now_ns > o->credited_ns)
		o->credit_ns += (int64_t)((double)(now_ns - o->credited_ns) * o->config.cpu_share);
	if (o->credit_ns > o->most_credit_ns)
		o->credit_ns = o->most_credit_ns;
	o->credited_ns = now_ns;
}

static void spend(struct owners *o, uint64_t begin_cpu_ns)
{
	uint64_t used = procfs_cpu_ns() - begin_cpu_ns;

	o->stats.cpu_ns += used;
	o->credit_ns -= (int64_t)used;
}

static bool may_work(struct owners *o)
{
	if (o->credit_ns > 0)
		return true;
	o->stats.throttled++;
	return false;
}

/* ---- inode -> owner -------------------------------------------------------------------------- */

static struct cached *cache_of(struct owners *o, uint32_t inode)
{
	return &o->cache[(inode * 2654435761U) >> 19]; /* 32 - log2(OWNERS_CACHE) */
}

static bool cache_knows(const struct cached *c, uint32_t inode, uint64_t now_ns)
{
	return c->inode == inode && c->owner != OWNER_NONE && now_ns < c->next_ns;
}

static uint32_t wanted_inode(const struct finder_want *w)
{
	return w->inode ? w->inode : w->bound_inode;
}

/* A socket held by several processes. Accepted connections: the youngest holder, since a forking
 * server accepts first and forks then, and the child does the work. All else (listening, bound,
 * outgoing): the oldest, who made it; the others inherited it. */
static uint32_t owner_of(struct owners *o, struct finder_want *w, uint64_t now_ns)
{
	uint32_t inode = wanted_inode(w);
	struct cached *c = cache_of(o, inode);
	struct procfs_process holders[PROCFS_HOLDERS], *p;
	char container[CONTAINER_ID_LEN + 1];
	bool connection = w->proto == PROTO_TCP && w->inode;
	size_t n;

	if (cache_knows(c, inode, now_ns))
		return c->owner;
	n = procfs_holders(o->procfs, inode, holders);
	if (!n)
		return OWNER_NONE;
	if (n > 1 && connection && !w->bound_inode)
		finder_find_bound(o->finder, w); /* only now does it matter */
	p = connection && w->bound_inode ? &holders[n - 1] : &holders[0];
	if (cgroup_read(o->config.proc, p->pid, container) < 0)
		container[0] = 0;
	c->inode = inode;
	c->owner = owners_table_put(&o->table, p, container);
	c->tries = 0;
	c->next_ns = now_ns + CACHE_NS;
	return c->owner;
}

/* Is it time to look for this inode again? Each time it was in vain, twice as long: 10 ms to 40 s.
 */
static bool hunt_due(struct owners *o, uint32_t inode, uint64_t now_ns)
{
	struct cached *c = cache_of(o, inode);

	if (c->inode != inode || c->owner != OWNER_NONE) {
		memset(c, 0, sizeof(*c));
		c->inode = inode;
	}
	if (now_ns < c->next_ns)
		return false;
	c->next_ns = now_ns + (10 * MS << c->tries);
	if (c->tries < 12)
		c->tries++;
	return true;
}

static void answer(struct owners *o, struct finder_want *w, struct owners_request *r,
		   uint64_t now_ns)
{
	uint32_t inode = wanted_inode(w);

	r->owner = inode ? owner_of(o, w, now_ns) : OWNER_NONE;
	if (r->owner != OWNER_NONE)
		r->result = w->inode || w->proto == PROTO_UDP ? OWNERS_KNOWN : OWNERS_LISTENER;
	else
		r->result = w->exact || inode ? OWNERS_LATER : OWNERS_NO_SOCKET;
}

/* Look for the processes of those whose inode alone is known; false where there is none to look
 * for. */
static bool hunt(struct owners *o, const struct owners_request *r, size_t n, uint64_t now_ns)
{
	uint32_t inodes[OWNERS_HUNTED], inode;
	uint64_t most = o->credit_ns > 0 ? (uint64_t)o->credit_ns : 0;
	size_t i, m = 0;

	for (i = 0; i < n && m < OWNERS_HUNTED; i++) {
		inode = wanted_inode(&o->wants[i]);
		if (r[i].result == OWNERS_LATER && inode && hunt_due(o, inode, now_ns))
			inodes[m++] = inode;
	}
	if (m && procfs_hunt(o->procfs, inodes, m, most < HUNT_NS ? most : HUNT_NS) < m)
		o->scan_wanted = true;
	return m > 0;
}

static void set_wants(struct owners *o, const struct owners_request *r, size_t n)
{
	size_t i;

	memset(o->wants, 0, n * sizeof(*o->wants));
	for (i = 0; i < n; i++) {
		o->wants[i].local = r[i].local;
		o->wants[i].remote = r[i].remote;
		o->wants[i].proto = r[i].proto;
	}
}

/* Behind set_wants(). */
static void resolve_batch(struct owners *o, struct owners_request *r, size_t n, uint64_t now_ns)
{
	size_t i;

	finder_find(o->finder, o->wants, n);
	for (i = 0; i < n; i++)
		answer(o, &o->wants[i], &r[i], now_ns);
	if (!hunt(o, r, n, now_ns))
		return;
	for (i = 0; i < n; i++)
		if (r[i].result == OWNERS_LATER)
			answer(o, &o->wants[i], &r[i], now_ns);
}

void owners_resolve(struct owners *o, struct owners_request *r, size_t n, uint64_t now_ns)
{
	uint64_t begin;
	size_t i, k;

	earn(o, now_ns);
	for (i = 0; i < n; i += k) {
		k = n - i < OWNERS_BATCH ? n - i : OWNERS_BATCH;
		if (may_work(o)) {
			begin = procfs_cpu_ns();
			set_wants(o, r + i, k);
			resolve_batch(o, r + i, k, now_ns);
			spend(o, begin);
			continue;
		}
		for (; k; k--, i++) {
			r[i].owner = OWNER_NONE;
			r[i].result = OWNERS_LATER;
		}
	}
}

/* ---- the queue ------------------------------------------------------------------------------- */

bool owners_add(struct owners *o, const struct flow_key *key, unsigned int ends, uint64_t now_ns)
{
	int end;

	for (end = 0; end < 2; end++)
		if (ends >> end & 1 && !owners_queue_add(&o->queue, key, end, now_ns)) {
			o->stats.queue_full++;
			return false;
		}
	return true;
}

static bool is_over(const struct owners *o, const struct owners_waiting *w)
{
	return flow_key_proto(&w->key) == PROTO_TCP && o->config.over &&
	       o->config.over(o->config.over_ctx, &w->key);
}

/* No better answer will come. A socket that is gone does not come back; once more, should a dump
 * have missed it, or the connection have none yet. */
static bool is_final(const struct owners *o, const struct owners_waiting *w,
		     const struct owners_request *r, const struct finder_want *want)
{
	bool gone = r->result == OWNERS_NO_SOCKET ||
		    (r->result == OWNERS_LISTENER && !want->exact && !want->settled);

	return r->result == OWNERS_KNOWN || w->tries + 1 >= OWNERS_TRIES ||
	       (gone && w->tries >= 1) || ((gone || want->settled) && is_over(o, w));
}

/* Tell what is new. True where the flow is through. */
static bool tell(struct owners *o, struct owners_waiting *w, const struct owners_request *r,
		 const struct finder_want *want, owners_found found, void *ctx)
{
	uint32_t owner = r->owner != OWNER_NONE ? r->owner : w->told;
	bool final = is_final(o, w, r, want);

	if (final || owner != w->told)
		found(ctx, &w->key, w->end, owner, final);
	w->told = owner;
	if (!final)
		return false;
	o->stats.over += want->settled;
	if (r->result == OWNERS_KNOWN)
		o->stats.known++;
	else if (owner != OWNER_NONE)
		o->stats.listener++;
	else
		o->stats.none++;
	return true;
}

/* Whom a listener's process has been told of, and whose connection has ended since, is through. */
static bool leave(struct owners *o, uint32_t n, owners_found found, void *ctx)
{
	const struct owners_waiting *w = &o->queue.list[n];

	if (w->told == OWNER_NONE || !is_over(o, w))
		return false;
	found(ctx, &w->key, w->end, w->told, true);
	o->stats.listener++;
	o->stats.over++;
	owners_queue_remove(&o->queue, n);
	return true;
}

static void set_request(struct owners_request *r, const struct owners_waiting *w)
{
	flow_key_addr(&w->key, w->end, &r->local.addr);
	flow_key_addr(&w->key, !w->end, &r->remote.addr);
	r->local.port = flow_key_port(&w->key, w->end);
	r->remote.port = flow_key_port(&w->key, !w->end);
	r->proto = flow_key_proto(&w->key);
}

/* An accepted connection is its listener's at first: for many of them that is told without asking
 * for each, and most of a busy server's are over before it is their turn again. */
static void settle_fresh(struct owners *o, size_t n, uint64_t now_ns)
{
	size_t i, m = 0;

	for (i = 0; i < n; i++)
		if (!o->queue.list[o->requested[i]].tries && o->wants[i].proto == PROTO_TCP)
			o->fresh[m++] = &o->wants[i];
	finder_listeners(o->finder, o->fresh, m, now_ns);
}

static void work_queue(struct owners *o, uint64_t now_ns, owners_found found, void *ctx)
{
	size_t i, due, n = 0;

	due = owners_queue_due(&o->queue, now_ns, o->requested, OWNERS_BATCH);
	for (i = 0; i < due; i++) {
		if (leave(o, o->requested[i], found, ctx))
			continue;
		set_request(&o->requests[n], &o->queue.list[o->requested[i]]);
		o->requested[n++] = o->requested[i];
	}
	if (!n)
		return;
	set_wants(o, o->requests, n);
	settle_fresh(o, n, now_ns);
	resolve_batch(o, o->requests, n, now_ns);
	for (i = 0; i < n; i++) {
		uint32_t at = o->requested[i];

		if (tell(o, &o->queue.list[at], &o->requests[i], &o->wants[i], found, ctx))
			owners_queue_remove(&o->queue, at);
		else
			(void)owners_queue_later(&o->queue, at, now_ns); /* tell() knows the last */
	}
}

static void work_scan(struct owners *o, uint64_t now_ns)
{
	const struct procfs_netns *list;
	uint64_t share = (uint64_t)(o->credit_ns > 0 ? o->credit_ns : 0);
	size_t n;
	int r;

	if (!o->scanning && !o->scan_wanted && o->scan_begun_ns &&
	    now_ns < o->scan_begun_ns + o->config.rescan_ns)
		return;
	if (!o->scanning) {
		o->scan_begun_ns = now_ns;
		o->scan_wanted = false;
	}
	/* Half of the credit is kept for new flows, and a call is kept short. */
	r = procfs_scan(o->procfs, share / 2 < 2 * MS ? share / 2 : 2 * MS);
	o->scanning = r == 0;
	if (r == 1 && o->config.max_netns > 1) {
		n = procfs_netns(o->procfs, &list);
		finder_refresh(o->finder, list, n);
	}
}

void owners_work(struct owners *o, uint64_t now_ns, owners_found found, void *ctx)
{
	uint64_t begin = procfs_cpu_ns();

	earn(o, now_ns);
	if (o->queue.used && may_work(o)) {
		work_queue(o, now_ns, found, ctx);
		spend(o, begin);
		begin = procfs_cpu_ns();
	}
	if (o->credit_ns > o->most_credit_ns / 2) {
		work_scan(o, now_ns);
		spend(o, begin);
	}
}

const struct owner *owners_get(struct owners *o, uint32_t id)
{
	return owners_table_get(&o->table, id);
}

/* ---- once per cycle -------------------------------------------------------------------------- */

struct telling {
	struct owners *o;
	void (*listener)(void *ctx, const struct owners_listener *l);
	void (*info)(void *ctx, const struct flow_key *key, int end, const struct sock_tcp *tcp);
	void *ctx;
};

static void tell_listener(void *ctx, const struct sock_entry *s)
{
	const struct telling *t = ctx;
	struct owners_listener l;

	if (s->remote.port || !s->local.port)
		return;
	memset(&l, 0, sizeof(l));
	l.addr = s->local.addr;
	l.port = s->local.port;
	l.proto = s->proto;
	l.dual = s->ipv6 && !s->v6only && !addr_is_v4(&l.addr) && sock_addr_is_any(&l.addr);
	l.maybe_client = s->proto == PROTO_UDP && l.port >= t->o->client_ports[0] &&
			 l.port <= t->o->client_ports[1];
	t->listener(t->ctx, &l);
}

/* The key in its canonical order, as flows/decode.c makes it; returns the local end's number. */
static void tell_info(void *ctx, const struct sock_entry *s)
{
	const struct telling *t = ctx;
	struct flow_key key;
	int end = flow_key_make(&key, &s->local.addr, &s->remote.addr, s->local.port,
				s->remote.port, s->proto);

	t->info(t->ctx, &key, end, &s->tcp);
}

static int dump_for(struct owners *o, struct telling *t, uint8_t proto, uint32_t states, bool info,
		    bool own)
{
	struct sock_visitor v = {NULL, info ? tell_info : tell_listener, t};
	struct sock_query q = {proto, states, info};
	uint64_t begin = procfs_cpu_ns();
	int err = finder_dump(o->finder, &q, &v, own);

	spend(o, begin);
	return err;
}

int owners_listening(struct owners *o, uint64_t now_ns,
		     void (*each)(void *ctx, const struct owners_listener *l), void *ctx)
{
	struct telling t = {o, each, NULL, ctx};
	int err;

	earn(o, now_ns);
	if (!may_work(o))
		return -EAGAIN;
	err = dump_for(o, &t, PROTO_TCP, SOCK_STATES_LISTEN, false, true);
	return err ? err : dump_for(o, &t, PROTO_UDP, SOCK_STATES_UNCONNECTED, false, true);
}

int owners_tcp_info(struct owners *o, uint64_t now_ns, bool own,
		    void (*each)(void *ctx, const struct flow_key *key, int end,
				 const struct sock_tcp *tcp),
		    void *ctx)
{
	struct telling t = {o, NULL, each, ctx};

	earn(o, now_ns);
	if (!may_work(o))
		return -EAGAIN;
	return dump_for(o, &t, PROTO_TCP, SOCK_STATES_CONNECTED, true, own);
}

uint32_t owners_adopt(struct owners *o, const struct kernel_process *who, uint64_t now_ns)
{
	uint32_t owner = adopter_known(&o->adopter, &o->table, who, now_ns);
	uint64_t begin;

	if (owner != OWNER_NONE)
		return owner;
	earn(o, now_ns);
	if (!may_work(o))
		return adopter_read(&o->adopter, &o->table, NULL, NULL, who, now_ns);
	begin = procfs_cpu_ns();
	owner = adopter_read(&o->adopter, &o->table, o->procfs, o->config.proc, who, now_ns);
	spend(o, begin);
	return owner;
}

void owners_stats(struct owners *o, struct owners_stats *out)
{
	const struct procfs_stats *p = procfs_stats(o->procfs);
	const struct finder_stats *f = finder_stats(o->finder);

	*out = o->stats;
	out->queued = o->queue.used;
	out->owners_used = o->table.used;
	out->owners_evicted = o->table.evicted;
	out->lookups = f->lookups;
	out->dumps = f->dumps;
	out->namespaces = f->namespaces;
	out->namespaces_denied = f->namespaces_denied;
	out->scans = p->rounds;
	out->scan_cpu_ns = p->round_cpu_ns;
	out->processes = p->processes;
	out->processes_denied = p->denied;
	out->sockets = p->sockets;
	out->sockets_full = p->sockets_full;
}

const char *owners_limits(struct owners *o)
{
	struct owners_stats s;

	owners_stats(o, &s);
	if (s.processes_denied)
		snprintf(
		    o->limits, sizeof(o->limits),
		    "the open files of %llu of %llu processes may not be seen: their flows have no "
		    "process; grant CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH",
		    (unsigned long long)s.processes_denied, (unsigned long long)s.processes);
	else if (s.namespaces_denied)
		snprintf(o->limits, sizeof(o->limits),
			 "%llu network namespaces may not be entered: their flows have no process; "
			 "grant CAP_SYS_ADMIN",
			 (unsigned long long)s.namespaces_denied);
	else
		return NULL;
	return o->limits;
}
