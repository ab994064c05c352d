/* cache.h - which place addresses have, bounded: the least recently asked address goes, as far as
 * that is known: an address is only moved in the order when a quarter of the entries was added
 * since it was moved last.
 *
 * All address space is taken at start, pages as they are used. Keyed hash: others choose the
 * addresses.
 */
#ifndef GEOIP_CACHE_H
#define GEOIP_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "common/addr.h"
#include "common/error.h"
#include "common/index.h"
#include "common/siphash.h"

struct geo_entry { /* half a line of memory */
	struct ip_addr addr;
	uint32_t newer, older; /* neighbours by last use; CACHE_NONE at the ends */
	uint32_t moved;        /* geo_cache.added then */
	uint32_t place;        /* the caller's; CACHE_NONE: asked, and nothing was found */
};

#define CACHE_NONE UINT32_MAX

struct geo_cache {
	struct geo_entry *entries;
	uint32_t used, most;
	uint32_t newest, oldest;
	uint32_t added; /* entries, ever; wraps */
	struct index index;
	struct siphash_key key[3]; /* random words, five of them used */
	uint64_t evicted;
};

/* 0 or -errno. */
int geo_cache_init(struct geo_cache *c, size_t most) MUST_CHECK;
void geo_cache_destroy(struct geo_cache *c);

/* Forget everything. */
void geo_cache_clear(struct geo_cache *c);

/* Multilinear hashing (Carter and Wegman; Dietzfelbinger): any two addresses have the same hash
 * with a probability of 2^-32, whoever chose them, because the key is random and the hash is never
 * seen from outside. A fifth of the instructions of SipHash. The last lines keep addresses that
 * follow each other apart: their sums do so in equal steps. */
static inline uint32_t geo_cache_hash(const struct geo_cache *c, const struct ip_addr *a)
{
	uint32_t w[4], h;

	memcpy(w, a->b, sizeof(w));
	h = (uint32_t)((c->key[0].k[0] * w[0] + c->key[0].k[1] * w[1] + c->key[1].k[0] * w[2] +
			c->key[1].k[1] * w[3] + c->key[2].k[0]) >>
		       32);
	h = (h ^ h >> 15) * 0x9e3779b1U;
	return h ^ h >> 16;
}

/* Fetch memory that geo_cache_find() will want: first index_prefetch(&c->index, hash), a little
 * later this. Returns the entry that it will likely be, or CACHE_NONE. */
uint32_t geo_cache_prefetch(const struct geo_cache *c, uint32_t hash);

/* The address's entry, or NULL. It stays until three quarters of `most` entries were added.
 * likely: what geo_cache_prefetch() said since the cache was last cleared. */
struct geo_entry *geo_cache_find(struct geo_cache *c, const struct ip_addr *a, uint32_t hash,
				 uint32_t likely);

/* An entry for an address that has none: addr and links are set. The place is that of the
 * address that had to go, which is the caller's to let go of, or CACHE_NONE. */
struct geo_entry *geo_cache_add(struct geo_cache *c, const struct ip_addr *a, uint32_t hash);

#endif
