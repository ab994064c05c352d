/* cache.c - see cache.h. */
#include "geoip/cache.h"

#include <errno.h>
#include <string.h>

#include "common/memory.h"

int geo_cache_init(struct geo_cache *c, size_t most)
{
	size_t i;
	int err;

	memset(c, 0, sizeof(*c));
	if (most >= CACHE_NONE / 4)
		return -EINVAL;
	c->most = (uint32_t)most;
	c->newest = c->oldest = CACHE_NONE;
	for (i = 0; i < sizeof(c->key) / sizeof(c->key[0]); i++)
		siphash_key_random(&c->key[i]);
	c->entries = mem_map(most, sizeof(*c->entries));
	if (!c->entries)
		return -errno;
	mem_hint_large(c->entries, most, sizeof(*c->entries));
	err = index_init(&c->index, most);
	if (err) {
		mem_unmap(c->entries, most, sizeof(*c->entries));
		c->entries = NULL;
	}
	return err;
}

void geo_cache_destroy(struct geo_cache *c)
{
	if (!c->entries)
		return;
	index_destroy(&c->index);
	mem_unmap(c->entries, c->most, sizeof(*c->entries));
	c->entries = NULL;
}

void geo_cache_clear(struct geo_cache *c)
{
	index_clear(&c->index);
	c->used = 0;
	c->added = 0;
	c->newest = c->oldest = CACHE_NONE;
}

uint32_t geo_cache_prefetch(const struct geo_cache *c, uint32_t hash)
{
	uint32_t at, rec;

	INDEX_FIND(&c->index, hash, at, rec)
	{
		__builtin_prefetch(&c->entries[rec]);
		return rec;
	}
	return CACHE_NONE;
}

static void unlink_entry(struct geo_cache *c, const struct geo_entry *e)
{
	if (e->newer == CACHE_NONE)
		c->newest = e->older;
	else
		c->entries[e->newer].older = e->older;
	if (e->older == CACHE_NONE)
		c->oldest = e->newer;
	else
		c->entries[e->older].newer = e->newer;
}

static void link_newest(struct geo_cache *c, struct geo_entry *e)
{
	uint32_t rec = (uint32_t)(e - c->entries);

	e->moved = c->added;
	e->newer = CACHE_NONE;
	e->older = c->newest;
	if (c->newest == CACHE_NONE)
		c->oldest = rec;
	else
		c->entries[c->newest].newer = rec;
	c->newest = rec;
}

static struct geo_entry *search(struct geo_cache *c, const struct ip_addr *a, uint32_t hash)
{
	uint32_t at, rec;

	INDEX_FIND(&c->index, hash, at, rec)
	{
		if (addr_equal(&c->entries[rec].addr, a))
			return &c->entries[rec];
	}
	return NULL;
}

struct geo_entry *geo_cache_find(struct geo_cache *c, const struct ip_addr *a, uint32_t hash,
				 uint32_t likely)
{
	struct geo_entry *e = likely == CACHE_NONE ? NULL : &c->entries[likely];

	/* It may be another's by now; an address is never in two entries, and all below `used` are
	 * in use. */
	if (!e || !addr_equal(&e->addr, a))
		e = search(c, a, hash);
	/* Its place in the order is four other lines of memory: not for every use. */
	if (e && c->added - e->moved > c->most / 4) {
		unlink_entry(c, e);
		link_newest(c, e);
	}
	return e;
}

struct geo_entry *geo_cache_add(struct geo_cache *c, const struct ip_addr *a, uint32_t hash)
{
	struct geo_entry *e;

	c->added++;
	if (c->used < c->most) {
		e = &c->entries[c->used++];
		e->place = CACHE_NONE;
	} else {
		e = &c->entries[c->oldest];
		index_remove(&c->index, geo_cache_hash(c, &e->addr), c->oldest);
		unlink_entry(c, e);
		c->evicted++;
	}
	e->addr = *a;
	link_newest(c, e);
	index_insert(&c->index, hash, (uint32_t)(e - c->entries));
	return e;
}
