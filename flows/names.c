/* names.c - see names.h.
 *
 * An entry is in the index (found by lookups), and in the list of those that may go unless it is
 * held. One that has been replaced while it was held is no longer in the index and goes with its
 * last release.
 */
#include "flows/names.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/index.h"
#include "common/memory.h"
#include "common/siphash.h"
#include "flows/dns.h"

#define NS_PER_S 1000000000ULL

enum { FILTER_SHIFT = 18, FILTER_BITS = 1 << FILTER_SHIFT, FILTER_STALE = FILTER_BITS / 2 };

struct entry {
	uint64_t pair[4]; /* client, address */
	uint64_t expires_ns;
	uint64_t order; /* of learning: newer is more */
	uint32_t hash, holds;
	uint32_t prev, next;
	bool indexed;
	uint8_t name_len;
	uint8_t name[DNS_NAME_MAX];
};

struct names {
	size_t max;
	struct siphash_key key;
	struct entry *entries;
	struct index index;
	uint32_t oldest, newest; /* by use */
	uint32_t free, unused_from;
	uint64_t order;
	struct names_stats stats;
	/* Bits of client and address that may have a name: most flows have none, and need not look
	 * in the table. Names that went leave theirs, so it is made anew from time to time. */
	uint64_t filter[FILTER_BITS / 64];
	uint32_t filter_set;
};

/* Which bit. Not keyed: to guess bits gains nobody more than a look into the table. */
static uint32_t filter_bit(const uint64_t pair[4])
{
	uint64_t h = pair[0] ^ pair[1] * 3 ^ pair[2] * 5 ^ pair[3] * 7;

	return (uint32_t)(h * 0x9e3779b97f4a7c15ULL >> (64 - FILTER_SHIFT));
}

static void filter_add(struct names *n, const uint64_t pair[4])
{
	uint32_t bit = filter_bit(pair);

	n->filter[bit / 64] |= 1ULL << bit % 64;
	n->filter_set++;
}

struct names *names_new(size_t max_names)
{
	struct names *n;

	if (!max_names || max_names > 1UL << 29) {
		errno = EINVAL;
		return NULL;
	}
	n = calloc(1, sizeof(*n));
	if (!n)
		return NULL;
	n->max = max_names;
	n->oldest = n->newest = n->free = NAMES_NONE;
	siphash_key_random(&n->key);
	n->entries = mem_map(max_names, sizeof(*n->entries));
	if (!n->entries || index_init(&n->index, max_names)) {
		names_free(n);
		errno = ENOMEM;
		return NULL;
	}
	return n;
}

void names_free(struct names *n)
{
	if (!n)
		return;
	index_destroy(&n->index);
	mem_unmap(n->entries, n->max, sizeof(*n->entries));
	free(n);
}

const struct names_stats *names_stats(const struct names *n)
{
	return &n->stats;
}

/* --- the list of what may go, least recently used first
 * --------------------------------------------- */

static void list_add(struct names *n, uint32_t id)
{
	struct entry *e = &n->entries[id];

	e->prev = n->newest;
	e->next = NAMES_NONE;
	if (n->newest != NAMES_NONE)
		n->entries[n->newest].next = id;
	else
		n->oldest = id;
	n->newest = id;
}

static void list_remove(struct names *n, uint32_t id)
{
	struct entry *e = &n->entries[id];

	if (e->prev != NAMES_NONE)
		n->entries[e->prev].next = e->next;
	else
		n->oldest = e->next;
	if (e->next != NAMES_NONE)
		n->entries[e->next].prev = e->prev;
	else
		n->newest = e->prev;
}

static void used(struct names *n, uint32_t id)
{
	if (n->entries[id].holds || n->newest == id)
		return;
	list_remove(n, id);
	list_add(n, id);
}

static void give_back(struct names *n, uint32_t id)
{
	n->entries[id].next = n->free;
	n->free = id;
	n->stats.names--;
}

/* Found no more; gone at once unless it is held. */
static void forget(struct names *n, uint32_t id)
{
	struct entry *e = &n->entries[id];

	index_remove(&n->index, e->hash, id);
	e->indexed = false;
	if (e->holds)
		return;
	list_remove(n, id);
	give_back(n, id);
}

static uint32_t take(struct names *n)
{
	uint32_t id;

	if (n->free == NAMES_NONE && n->unused_from == n->max) {
		if (n->oldest == NAMES_NONE) {
			n->stats.full++;
			return NAMES_NONE;
		}
		forget(n, n->oldest);
		n->stats.evicted++;
	}
	id = n->free;
	if (id != NAMES_NONE)
		n->free = n->entries[id].next;
	else
		id = n->unused_from++;
	n->stats.names++;
	return id;
}

/* --- learning and finding
 * --------------------------------------------------------------------------- */

static uint32_t make_pair(const struct names *n, const struct ip_addr *client,
			  const struct ip_addr *addr, uint64_t pair[4])
{
	memcpy(&pair[0], client->b, 16);
	memcpy(&pair[2], addr->b, 16);
	return (uint32_t)siphash_words(&n->key, pair, 4);
}

static bool same_pair(const struct entry *e, const uint64_t pair[4])
{
	return !memcmp(e->pair, pair, sizeof(e->pair));
}

/* The entry of exactly this name, or NAMES_NONE; then *oldest is the one that must go for it, if
 * any. */
static uint32_t find_name(const struct names *n, uint32_t hash, const uint64_t pair[4],
			  const uint8_t *name, size_t len, uint32_t *oldest)
{
	uint32_t at, id, count = 0, first = NAMES_NONE;

	*oldest = NAMES_NONE;
	INDEX_FIND(&n->index, hash, at, id)
	{
		const struct entry *e = &n->entries[id];

		if (!same_pair(e, pair))
			continue;
		if (e->name_len == len && !memcmp(e->name, name, len))
			return id;
		count++;
		if (first == NAMES_NONE || e->order < n->entries[first].order)
			first = id;
	}
	if (count >= NAMES_PER_ADDRESS)
		*oldest = first;
	return NAMES_NONE;
}

static bool is_unspecified(const struct ip_addr *a)
{
	static const uint8_t zero[16];

	return !memcmp(a->b, zero, 16) || (addr_is_v4(a) && !memcmp(a->b + 12, zero, 4));
}

/* Only of the names that are there. */
static void filter_anew(struct names *n)
{
	uint32_t id;

	memset(n->filter, 0, sizeof(n->filter));
	n->filter_set = 0;
	for (id = 0; id < n->unused_from; id++)
		if (n->entries[id].indexed)
			filter_add(n, n->entries[id].pair);
}

void names_learn(struct names *n, const struct ip_addr *client, const struct ip_addr *addr,
		 const uint8_t *name, size_t name_len, uint32_t ttl_s, uint64_t time_ns)
{
	uint64_t pair[4], expires_ns;
	uint32_t hash, id, oldest;
	struct entry *e;

	if (name_len < 2 || name_len > DNS_NAME_MAX || is_unspecified(addr))
		return;
	ttl_s = ttl_s < NAMES_TTL_MIN_S ? NAMES_TTL_MIN_S : ttl_s;
	ttl_s = ttl_s > NAMES_TTL_MAX_S ? NAMES_TTL_MAX_S : ttl_s;
	expires_ns = time_ns + ttl_s * NS_PER_S;
	hash = make_pair(n, client, addr, pair);
	id = find_name(n, hash, pair, name, name_len, &oldest);
	if (id == NAMES_NONE) {
		if (oldest != NAMES_NONE)
			forget(n, oldest);
		id = take(n);
		if (id == NAMES_NONE)
			return;
		e = &n->entries[id];
		memcpy(e->pair, pair, sizeof(e->pair));
		memcpy(e->name, name, name_len);
		e->name_len = (uint8_t)name_len;
		e->hash = hash;
		e->holds = 0;
		e->indexed = true;
		index_insert(&n->index, hash, id);
		list_add(n, id);
		n->stats.learnt++;
		if (n->filter_set >= FILTER_STALE + n->stats.names)
			filter_anew(n);
		filter_add(n, pair);
	}
	e = &n->entries[id];
	e->expires_ns = expires_ns;
	e->order = ++n->order;
	used(n, id);
}

uint32_t names_lookup(struct names *n, const struct ip_addr *client, const struct ip_addr *addr,
		      uint64_t time_ns)
{
	uint32_t at, id, hash, bit, found = NAMES_NONE;
	uint64_t pair[4];

	memcpy(&pair[0], client->b, sizeof(client->b));
	memcpy(&pair[2], addr->b, sizeof(addr->b));
	bit = filter_bit(pair);
	if (!(n->filter[bit / 64] >> bit % 64 & 1))
		return NAMES_NONE;
	hash = make_pair(n, client, addr, pair);
	INDEX_FIND(&n->index, hash, at, id)
	{
		const struct entry *e = &n->entries[id];

		if (!same_pair(e, pair) || time_ns >= e->expires_ns)
			continue;
		if (found == NAMES_NONE || e->order > n->entries[found].order)
			found = id;
	}
	if (found != NAMES_NONE)
		used(n, found);
	return found;
}

const uint8_t *names_wire(const struct names *n, uint32_t id, size_t *len)
{
	if (id == NAMES_NONE) {
		*len = 0;
		return NULL;
	}
	*len = n->entries[id].name_len;
	return n->entries[id].name;
}

void names_hold(struct names *n, uint32_t id)
{
	if (id == NAMES_NONE)
		return;
	if (!n->entries[id].holds++)
		list_remove(n, id);
}

void names_release(struct names *n, uint32_t id)
{
	if (id == NAMES_NONE || --n->entries[id].holds)
		return;
	if (n->entries[id].indexed)
		list_add(n, id);
	else
		give_back(n, id);
}
