/* roles.c - see roles.h. Port ranges: RFC 6335 (system ports below 1024), Linux's default
 * ip_local_port_range (from 32768). */
#include "flows/roles.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { SYSTEM_PORTS = 1024, EPHEMERAL_PORTS = 32768 };

static int listeners_init(struct listeners *l)
{
	l->all = calloc(ROLES_LISTENERS, sizeof(*l->all));
	return l->all ? index_init(&l->index, ROLES_LISTENERS) : -ENOMEM;
}

int roles_init(struct roles *r, const struct local *local)
{
	int err;

	memset(r, 0, sizeof(*r));
	siphash_key_random(&r->key);
	r->local = local;
	err = listeners_init(&r->learnt);
	if (!err)
		err = listeners_init(&r->told);
	return err;
}

void roles_destroy(struct roles *r)
{
	index_destroy(&r->learnt.index);
	index_destroy(&r->told.index);
	free(r->learnt.all);
	free(r->told.all);
}

static uint32_t listener_hash(const struct roles *r, const struct listener *l)
{
	uint64_t w[3];

	memcpy(w, l->addr.b, sizeof(l->addr.b));
	w[2] = (uint64_t)l->proto << 16 | l->port;
	return (uint32_t)siphash_words(&r->key, w, 3);
}

static bool listeners_have(const struct roles *r, const struct listeners *set,
			   const struct listener *l)
{
	uint32_t at, n;

	INDEX_FIND(&set->index, listener_hash(r, l), at, n)
	{
		const struct listener *have = &set->all[n];

		if (have->port == l->port && have->proto == l->proto &&
		    addr_equal(&have->addr, &l->addr))
			return true;
	}
	return false;
}

static void listeners_add(const struct roles *r, struct listeners *set, const struct listener *l)
{
	set->all[set->n] = *l;
	index_insert(&set->index, listener_hash(r, l), set->n++);
}

static void listeners_clear(struct listeners *set)
{
	index_clear(&set->index);
	set->n = 0;
}

void roles_told_begin(struct roles *r)
{
	listeners_clear(&r->told);
}

void roles_told_add(struct roles *r, const struct listener *l)
{
	if (r->told.n < ROLES_LISTENERS && !listeners_have(r, &r->told, l))
		listeners_add(r, &r->told, l);
}

static void listener_of(const struct flow_key *key, int end, struct listener *l)
{
	flow_key_addr(key, end, &l->addr);
	l->port = flow_key_port(key, end);
	l->proto = flow_key_proto(key);
}

void roles_learn(struct roles *r, const struct flow_key *key, int end)
{
	struct listener l;

	listener_of(key, end, &l);
	if (listeners_have(r, &r->learnt, &l))
		return;
	if (r->learnt.n == ROLES_LISTENERS)
		listeners_clear(&r->learnt);
	listeners_add(r, &r->learnt, &l);
}

static bool is_listener(const struct roles *r, const struct flow_key *key, int end)
{
	static const struct ip_addr any;
	struct listener l;

	listener_of(key, end, &l);
	if (r->learnt.n && listeners_have(r, &r->learnt, &l))
		return true;
	if (!r->told.n || !local_has(r->local, &l.addr))
		return false;
	if (listeners_have(r, &r->told, &l))
		return true;
	l.addr = any;
	return listeners_have(r, &r->told, &l);
}

/* 224/4, ff00::/8 and the limited broadcast: never a source, so the other end asked. */
static bool is_group(const struct flow_key *k, int end)
{
	struct ip_addr a;

	flow_key_addr(k, end, &a);
	if (!addr_is_v4(&a))
		return a.b[0] == 0xff;
	return a.b[12] >= 224 && (a.b[12] < 240 || !memcmp(a.b + 12, "\xff\xff\xff\xff", 4));
}

int roles_client_by_port(const struct flow_key *k)
{
	uint16_t p0 = flow_key_port(k, 0), p1 = flow_key_port(k, 1);
	bool group0 = is_group(k, 0);

	if (group0 != is_group(k, 1))
		return group0;
	if ((p0 < SYSTEM_PORTS) != (p1 < SYSTEM_PORTS))
		return p0 < SYSTEM_PORTS;
	if ((p0 >= EPHEMERAL_PORTS) != (p1 >= EPHEMERAL_PORTS))
		return p1 >= EPHEMERAL_PORTS;
	if (p0 != p1)
		return p0 < p1;
	/* Alike in everything (NTP peers, IKE): one rule for both directions and every run. */
	return memcmp(&k->w[0], &k->w[2], 16) > 0;
}

int roles_client(const struct roles *r, const struct flow *f)
{
	bool l0, l1;

	if (f->state & FLOW_HANDSHAKE)
		return f->state & (FLOW_CLIENT << 1) ? 1 : 0;
	/* UDP has no handshakes to learn from */
	if (r->told.n || (r->learnt.n && f->state & FLOW_TCP)) {
		l0 = is_listener(r, &f->key, 0);
		l1 = is_listener(r, &f->key, 1);
		if (l0 != l1)
			return l0 ? 1 : 0;
	}
	if (f->state & (3 * FLOW_CLIENT))
		return f->state & (FLOW_CLIENT << 1) ? 1 : 0;
	return roles_client_by_port(&f->key);
}
