/* roles.c - see roles.h. Port ranges: RFC 6335 (system ports below 1024), Linux's default
 * ip_local_port_range (from 32768). */
#include "flows/roles.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { SYSTEM_PORTS = 1024, EPHEMERAL_PORTS = 32768 };

int roles_init(struct roles *r)
{
	memset(r, 0, sizeof(*r));
	siphash_key_random(&r->key);
	r->listeners = calloc(ROLES_LISTENERS, sizeof(*r->listeners));
	if (!r->listeners)
		return -ENOMEM;
	return index_init(&r->index, ROLES_LISTENERS);
}

void roles_destroy(struct roles *r)
{
	index_destroy(&r->index);
	free(r->listeners);
}

static uint32_t listener_hash(const struct roles *r, const struct flow_key *k, int end)
{
	uint64_t w[3] = {k->w[2 * end], k->w[2 * end + 1],
			 (uint64_t)flow_key_proto(k) << 16 | flow_key_port(k, end)};

	return (uint32_t)siphash_words(&r->key, w, 3);
}

static bool is_listener(const struct roles *r, const struct flow_key *k, int end)
{
	uint32_t at, n;

	INDEX_FIND(&r->index, listener_hash(r, k, end), at, n) {
		const struct listener *l = &r->listeners[n];

		if (l->port == flow_key_port(k, end) && l->proto == flow_key_proto(k) &&
		    !memcmp(l->addr.b, &k->w[2 * end], sizeof(l->addr.b)))
			return true;
	}
	return false;
}

void roles_learn(struct roles *r, const struct flow_key *key, int end)
{
	struct listener *l;

	if (is_listener(r, key, end))
		return;
	if (r->nlisteners == ROLES_LISTENERS) {
		index_clear(&r->index);
		r->nlisteners = 0;
	}
	l = &r->listeners[r->nlisteners];
	flow_key_addr(key, end, &l->addr);
	l->port = flow_key_port(key, end);
	l->proto = flow_key_proto(key);
	index_insert(&r->index, listener_hash(r, key, end), r->nlisteners++);
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
	if (r->nlisteners && f->state & FLOW_TCP) {
		l0 = is_listener(r, &f->key, 0);
		l1 = is_listener(r, &f->key, 1);
		if (l0 != l1)
			return l0 ? 1 : 0;
	}
	if (f->state & (3 * FLOW_CLIENT))
		return f->state & (FLOW_CLIENT << 1) ? 1 : 0;
	return roles_client_by_port(&f->key);
}
