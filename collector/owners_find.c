/* owners_find.c - see owners_find.h.
 *
 * A namespace's own sockets are looked for in the collector's own namespace first, in the others
 * only where that did not find a connection. Loopback addresses exist in every namespace and say
 * nothing: they are only looked for in our own.
 */
#include "collector/owners_find.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "collector/netns.h"
#include "common/index.h"
#include "common/memory.h"
#include "common/siphash.h"
#include "flows/packet.h"

#define NONE UINT32_MAX

enum {
	FINDER_HINTS = 256,
	FINDER_LISTENERS = 4096, /* of one list; a host with more is asked for each connection */
	/* TIME_WAIT is nobody's: it has no inode, and a busy server has more of these than of all
	 * others. */
	FINDER_STATES = SOCK_STATES_ALL & ~(1 << SOCK_TIME_WAIT),
};

static const uint64_t LIST_NS = 100000000; /* for so long a list of listeners is good */

struct finder_ns {
	struct netns ns;
	uint64_t dump_ns[2]; /* TCP, UDP: what a dump costs */
	bool seen;
};

/* The listening sockets of our own namespace. */
struct finder_list {
	struct sock_entry *list; /* FINDER_LISTENERS */
	uint32_t *next;          /* the next one of the same port; NONE */
	struct index port;       /* the first of each port */
	uint32_t n;
	bool full;        /* there were more */
	uint64_t read_ns; /* 0: never */
	uint64_t cost_ns;
	uint64_t window_ns; /* wants are counted since then, */
	uint32_t asked;     /* so many, */
	bool worth;         /* and in the window before so many that it paid */
};

struct finder {
	const char *proc;
	struct finder_ns *list; /* 0 is our own */
	uint32_t nlist, max_list;
	uint64_t lookup_ns;
	struct siphash_key key;
	struct index exact, port; /* of the wants of the dump under way */
	uint32_t *same_port;      /* of f->missing: the next with the same port and protocol */
	struct finder_list bound;
	/* What netns_has_address() said last, in this call. */
	struct ip_addr asked_addr;
	const struct netns *asked_ns;
	bool asked_has;
	struct finder_want **missing; /* FINDER_BATCH: what is still looked for */
	size_t nmissing;
	uint8_t hints[FINDER_HINTS]; /* local address -> namespace that had it */
	struct finder_stats stats;
};

int finder_new(struct finder **out, const char *proc, uint32_t max_netns)
{
	struct finder *f = calloc(1, sizeof(*f));
	int err;

	*out = NULL;
	if (!f)
		return -ENOMEM;
	f->proc = proc ? proc : "/proc";
	f->max_list = max_netns < 1 ? 1 : max_netns > 255 ? 255 : max_netns;
	f->lookup_ns = 10000;
	siphash_key_random(&f->key);
	f->list = calloc(f->max_list, sizeof(*f->list));
	f->missing = calloc(FINDER_BATCH, sizeof(struct finder_want *));
	f->same_port = calloc(FINDER_BATCH, sizeof(*f->same_port));
	f->bound.list = mem_map(FINDER_LISTENERS, sizeof(*f->bound.list));
	f->bound.next = mem_map(FINDER_LISTENERS, sizeof(*f->bound.next));
	f->bound.cost_ns = 200000;
	err = f->list && f->missing && f->same_port && f->bound.list && f->bound.next ? 0 : -ENOMEM;
	if (!err)
		err = index_init(&f->exact, FINDER_BATCH);
	if (!err)
		err = index_init(&f->port, FINDER_BATCH);
	if (!err)
		err = index_init(&f->bound.port, FINDER_LISTENERS);
	if (!err)
		err = netns_open_own(&f->list[0].ns, f->proc);
	if (err) {
		finder_free(f);
		return err;
	}
	f->list[0].dump_ns[0] = f->list[0].dump_ns[1] = 1000000;
	f->nlist = 1;
	*out = f;
	return 0;
}

void finder_free(struct finder *f)
{
	uint32_t i;

	if (!f)
		return;
	for (i = 0; i < f->nlist; i++)
		netns_close(&f->list[i].ns);
	if (f->exact.base)
		index_destroy(&f->exact);
	if (f->port.base)
		index_destroy(&f->port);
	if (f->bound.port.base)
		index_destroy(&f->bound.port);
	if (f->bound.list)
		mem_unmap(f->bound.list, FINDER_LISTENERS, sizeof(*f->bound.list));
	if (f->bound.next)
		mem_unmap(f->bound.next, FINDER_LISTENERS, sizeof(*f->bound.next));
	free(f->same_port);
	free(f->missing);
	free(f->list);
	free(f);
}

void finder_refresh(struct finder *f, const struct procfs_netns *list, size_t n)
{
	struct finder_ns *e;
	uint32_t k;
	size_t i;
	int err;

	f->stats.namespaces_denied = 0;
	for (k = 1; k < f->nlist; k++)
		f->list[k].seen = false;
	for (i = 0; i < n; i++) {
		for (k = 0; k < f->nlist && f->list[k].ns.inode != list[i].inode; k++)
			;
		if (k == f->max_list)
			continue;
		e = &f->list[k];
		if (k == f->nlist) {
			err = netns_open(&e->ns, f->proc, list[i].pid);
			if (err || e->ns.inode != list[i].inode) {
				netns_close(&e->ns);
				if (err == -EPERM || err == -EACCES) {
					f->stats.namespaces_denied++;
					f->stats.namespaces_error = err;
				}
				continue;
			}
			e->dump_ns[0] = e->dump_ns[1] = 200000;
			f->nlist++;
		}
		e->seen = true;
	}
	for (k = 1; k < f->nlist;) {
		if (f->list[k].seen) {
			k++;
			continue;
		}
		netns_close(&f->list[k].ns);
		f->list[k] = f->list[--f->nlist];
	}
}

static bool same_end(const struct sock_end *a, const struct sock_end *b)
{
	return a->port == b->port && addr_equal(&a->addr, &b->addr);
}

/* How exactly a socket without a connection is bound to the local end; 0: not to it. */
static uint8_t bound_rank(const struct finder_want *w, const struct sock_entry *s)
{
	if (s->proto != w->proto || s->local.port != w->local.port || s->remote.port ||
	    s->state != (w->proto == PROTO_TCP ? SOCK_LISTEN : SOCK_CLOSE))
		return 0;
	if (addr_equal(&s->local.addr, &w->local.addr))
		return 3;
	if (!sock_addr_is_any(&s->local.addr))
		return 0;
	if (addr_is_v4(&s->local.addr) == addr_is_v4(&w->local.addr))
		return 2;
	return s->ipv6 && !s->v6only && addr_is_v4(&w->local.addr);
}

/* Most wants of a call are of one address. */
static bool has_address(struct finder *f, const struct netns *ns, const struct ip_addr *a)
{
	if (f->asked_ns != ns || !addr_equal(&f->asked_addr, a)) {
		f->asked_has = netns_has_address(ns, a);
		f->asked_addr = *a;
		f->asked_ns = ns;
	}
	return f->asked_has;
}

static void offer(struct finder *f, struct finder_want *w, const struct sock_entry *s,
		  const struct netns *ns)
{
	uint8_t rank;

	if (s->proto == w->proto && same_end(&s->local, &w->local) &&
	    same_end(&s->remote, &w->remote)) {
		if (s->state == SOCK_TIME_WAIT)
			return;
		w->exact = true;
		if (s->inode) {
			w->inode = s->inode;
			w->uid = s->uid;
		}
		return;
	}
	rank = bound_rank(w, s);
	if (!rank || rank < w->bound_rank || !s->inode || s->inode == w->bound_inode)
		return;
	/* Bound to every address of the namespace: also to this one? */
	if (rank < 3 && rank > w->bound_rank && !has_address(f, ns, &w->local.addr))
		return;
	w->ambiguous = rank == w->bound_rank;
	if (w->ambiguous)
		return; /* the first stays, unless a lookup tells */
	w->bound_rank = rank;
	w->bound_inode = s->inode;
	if (!w->inode)
		w->uid = s->uid;
}

/* Who listens in our own namespace has the address, too: a connection that is not there is no more.
 */
static bool is_found(const struct finder_want *w, uint32_t ns)
{
	return w->inode || (w->bound_inode && (w->proto == PROTO_UDP || w->exact || !ns));
}

/* ---- one by one ------------------------------------------------------------------------------ */

static void lookup_bound(struct finder *f, struct finder_ns *e, struct finder_want *w)
{
	struct sock_end none;
	struct sock_entry s;

	memset(&none, 0, sizeof(none));
	if (addr_is_v4(&w->local.addr))
		memcpy(none.addr.b, addr_v4_prefix, sizeof(addr_v4_prefix));
	f->stats.lookups++;
	if (sockdiag_lookup(e->ns.diag, w->proto, &w->local, &none, &s) == 1)
		offer(f, w, &s, &e->ns);
}

static void lookup(struct finder *f, struct finder_ns *e, struct finder_want *w)
{
	struct sock_entry s;

	f->stats.lookups++;
	if (sockdiag_lookup(e->ns.diag, w->proto, &w->local, &w->remote, &s) != 1)
		return;
	if (w->ambiguous) { /* who gets a packet of this very connection */
		w->bound_rank = 0;
		w->bound_inode = 0;
	}
	offer(f, w, &s, &e->ns);
	if ((w->exact || s.state == SOCK_TIME_WAIT) && !w->inode && !w->bound_inode)
		lookup_bound(f, e, w);
}

void finder_find_bound(struct finder *f, struct finder_want *w)
{
	uint32_t i;

	for (i = 0; i < f->nlist && !w->bound_inode; i++)
		lookup_bound(f, &f->list[i], w);
}

/* ---- all at once ----------------------------------------------------------------------------- */

static uint32_t exact_hash(const struct finder *f, const struct sock_end *local,
			   const struct sock_end *remote, uint8_t proto)
{
	uint64_t w[5];

	memcpy(&w[0], local->addr.b, 16);
	memcpy(&w[2], remote->addr.b, 16);
	w[4] = (uint64_t)proto << 32 | (uint64_t)remote->port << 16 | local->port;
	return (uint32_t)siphash_words(&f->key, w, 5);
}

static uint32_t port_hash(const struct finder *f, uint16_t port, uint8_t proto)
{
	uint64_t w = (uint64_t)proto << 16 | port;

	return (uint32_t)siphash_words(&f->key, &w, 1);
}

struct dump {
	struct finder *f;
	struct finder_ns *e;
};

static void match(void *ctx, const struct sock_entry *s)
{
	struct dump *d = ctx;
	struct finder *f = d->f;
	bool bound = s->remote.port == 0;
	const struct index *ix = bound ? &f->port : &f->exact;
	uint32_t at, rec, h;

	h = bound ? port_hash(f, s->local.port, s->proto)
		  : exact_hash(f, &s->local, &s->remote, s->proto);
	INDEX_FIND(ix, h, at, rec)
	{
		if (bound && f->missing[rec]->local.port != s->local.port)
			continue;
		for (; rec != NONE; rec = bound ? f->same_port[rec] : NONE)
			offer(f, f->missing[rec], s, &d->e->ns);
	}
}

/* A server's connections all have its port: one place in the index for each port, and a chain. */
static void index_port(struct finder *f, uint32_t i)
{
	const struct finder_want *w = f->missing[i];
	uint32_t at, rec, h = port_hash(f, w->local.port, w->proto);

	f->same_port[i] = NONE;
	INDEX_FIND(&f->port, h, at, rec)
	{
		if (f->missing[rec]->local.port != w->local.port)
			continue;
		f->same_port[i] = f->same_port[rec];
		f->same_port[rec] = i;
		return;
	}
	index_insert(&f->port, h, i);
}

static int dump_one(struct finder *f, struct finder_ns *e, uint8_t proto)
{
	struct dump d = {f, e};
	struct sock_visitor v = {NULL, match, &d};
	struct sock_query q = {proto, FINDER_STATES, false};
	size_t i;

	index_clear(&f->exact);
	index_clear(&f->port);
	for (i = 0; i < f->nmissing; i++) {
		struct finder_want *w = f->missing[i];

		if (w->proto != proto)
			continue;
		index_insert(&f->exact, exact_hash(f, &w->local, &w->remote, proto), (uint32_t)i);
		index_port(f, (uint32_t)i);
	}
	f->stats.dumps++;
	return sockdiag_dump(e->ns.diag, &q, &v);
}

/* Moves an estimate an eighth of the way, as RFC 6298 does. */
static void learn(uint64_t *estimate, uint64_t seen)
{
	*estimate = *estimate - *estimate / 8 + seen / 8;
}

/* ---- both ------------------------------------------------------------------------------------ */

/* Look for those of f->missing that are of one protocol in one namespace. */
static void find_in(struct finder *f, struct finder_ns *e, uint8_t proto)
{
	uint64_t begin = procfs_cpu_ns(), *cost = &e->dump_ns[proto == PROTO_UDP];
	bool can_lookup = sockdiag_by_netlink(e->ns.diag, proto);
	size_t i, n = 0;

	for (i = 0; i < f->nmissing; i++)
		n += f->missing[i]->proto == proto;
	if (!n)
		return;
	if (!can_lookup || n * f->lookup_ns > *cost) {
		(void)dump_one(f, e, proto); /* what it did not reach is tried again later */
		learn(cost, procfs_cpu_ns() - begin);
		for (i = 0; i < f->nmissing && can_lookup; i++)
			if (f->missing[i]->proto == proto && f->missing[i]->ambiguous &&
			    !f->missing[i]->exact)
				lookup(f, e, f->missing[i]);
		return;
	}
	for (i = 0; i < f->nmissing; i++)
		if (f->missing[i]->proto == proto)
			lookup(f, e, f->missing[i]);
	learn(&f->lookup_ns, (procfs_cpu_ns() - begin) / n);
}

static bool is_loopback(const struct ip_addr *a)
{
	static const uint8_t one[16] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};

	return addr_is_v4(a) ? a->b[12] == 127 : !memcmp(a->b, one, sizeof(one));
}

static uint8_t *hint(struct finder *f, const struct ip_addr *a)
{
	uint64_t w[2];

	memcpy(w, a->b, 16);
	return &f->hints[siphash_words(&f->key, w, 2) % FINDER_HINTS];
}

/* Keep in f->missing what is not found and may be elsewhere. */
static void drop_found(struct finder *f, uint32_t ns)
{
	size_t i, n = 0;

	for (i = 0; i < f->nmissing; i++) {
		struct finder_want *w = f->missing[i];

		if (is_found(w, ns) && ns)
			*hint(f, &w->local.addr) = (uint8_t)ns;
		if (!is_found(w, ns) && !is_loopback(&w->local.addr))
			f->missing[n++] = w;
	}
	f->nmissing = n;
}

void finder_find(struct finder *f, struct finder_want *wants, size_t n)
{
	uint32_t k;
	size_t i;

	f->nmissing = 0;
	f->asked_ns = NULL;
	for (i = 0; i < n && i < FINDER_BATCH; i++)
		if (!wants[i].settled)
			f->missing[f->nmissing++] = &wants[i];
	find_in(f, &f->list[0], PROTO_TCP);
	find_in(f, &f->list[0], PROTO_UDP);
	drop_found(f, 0);
	/* Where the address was last found, without trying all. */
	for (i = 0; i < f->nmissing && f->nlist > 1; i++) {
		k = *hint(f, &f->missing[i]->local.addr);
		if (k && k < f->nlist && sockdiag_by_netlink(f->list[k].ns.diag, PROTO_TCP))
			lookup(f, &f->list[k], f->missing[i]);
	}
	drop_found(f, 0);
	for (k = 1; k < f->nlist && f->nmissing; k++) {
		find_in(f, &f->list[k], PROTO_TCP);
		find_in(f, &f->list[k], PROTO_UDP);
		drop_found(f, k);
	}
}

/* ---- who listens, for many ------------------------------------------------------------------- */

static void list_begin(void *ctx)
{
	struct finder *f = ctx;

	f->bound.n = 0;
	f->bound.full = false;
	index_clear(&f->bound.port);
}

/* The first one listed of a port; NONE. */
static uint32_t list_first(const struct finder *f, uint16_t port, uint32_t hash)
{
	uint32_t at, rec;

	INDEX_FIND(&f->bound.port, hash, at, rec)
	if (f->bound.list[rec].local.port == port)
		return rec;
	return NONE;
}

static void list_one(void *ctx, const struct sock_entry *s)
{
	struct finder *f = ctx;
	struct finder_list *b = &f->bound;
	uint32_t hash = port_hash(f, s->local.port, PROTO_TCP), first;

	if (b->n == FINDER_LISTENERS) {
		b->full = true;
		return;
	}
	first = list_first(f, s->local.port, hash);
	b->list[b->n] = *s;
	b->next[b->n] = first == NONE ? NONE : b->next[first];
	if (first == NONE)
		index_insert(&b->port, hash, b->n);
	else
		b->next[first] = b->n;
	b->n++;
}

static bool list_read(struct finder *f, uint64_t now_ns)
{
	struct sock_visitor v = {list_begin, list_one, f};
	struct sock_query q = {PROTO_TCP, SOCK_STATES_LISTEN, false};
	uint64_t begin = procfs_cpu_ns();
	int err;

	list_begin(f);
	err = sockdiag_dump(f->list[0].ns.diag, &q, &v);
	learn(&f->bound.cost_ns, procfs_cpu_ns() - begin);
	f->stats.lists++;
	f->bound.read_ns = now_ns;
	f->bound.full = f->bound.full || err;
	return !f->bound.full;
}

/* Is there a list that is good now, and is it worth to read one? */
static bool list_ready(struct finder *f, size_t n, uint64_t now_ns)
{
	struct finder_list *b = &f->bound;

	if (!sockdiag_by_netlink(f->list[0].ns.diag, PROTO_TCP))
		return false;
	if (now_ns - b->window_ns >= LIST_NS) {
		b->worth =
		    now_ns - b->window_ns < 2 * LIST_NS && b->asked * f->lookup_ns > b->cost_ns;
		b->window_ns = now_ns;
		b->asked = 0;
	}
	b->asked += (uint32_t)n;
	if (b->read_ns && now_ns - b->read_ns < LIST_NS)
		return !b->full;
	return (b->worth || n * f->lookup_ns > b->cost_ns) && list_read(f, now_ns);
}

void finder_listeners(struct finder *f, struct finder_want **wants, size_t n, uint64_t now_ns)
{
	uint32_t at;
	size_t i;

	f->asked_ns = NULL;
	if (!n || !list_ready(f, n, now_ns))
		return;
	for (i = 0; i < n; i++) {
		struct finder_want *w = wants[i];

		if (w->proto != PROTO_TCP)
			continue;
		at = list_first(f, w->local.port, port_hash(f, w->local.port, PROTO_TCP));
		for (; at != NONE; at = f->bound.next[at])
			offer(f, w, &f->bound.list[at], &f->list[0].ns);
		w->settled = w->bound_inode && !w->ambiguous;
		f->stats.listed += w->settled;
		if (w->settled)
			continue;
		w->bound_rank = 0;
		w->bound_inode = 0;
		w->ambiguous = false;
	}
}

int finder_dump(struct finder *f, const struct sock_query *q, const struct sock_visitor *v,
		bool own)
{
	uint32_t k;
	int err = own ? sockdiag_dump(f->list[0].ns.diag, q, v) : 0;

	for (k = 1; k < f->nlist; k++)
		if (sockdiag_dump(f->list[k].ns.diag, q, v))
			continue; /* it may be just going away */
	return err;
}

const struct finder_stats *finder_stats(struct finder *f)
{
	struct finder_stats *s = &f->stats;

	s->namespaces = f->nlist;
	s->lookup_ns = f->lookup_ns;
	s->dump_ns = f->list[0].dump_ns[0] + f->list[0].dump_ns[1];
	return s;
}
