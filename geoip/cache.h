/* cache.h - which place addresses have, bounded.
 *
 * Sets of eight addresses, of which the one asked for longest ago goes when another is to be added
 * (as far as that is known: one that is asked for moves to the front only from the rear half). An
 * IPv4 address that is there costs one line of memory, because that is what a lookup takes: all
 * that is known of eight addresses is in one. IPv6 addresses have sets of their own, where a word
 * of their hash stands for them, and they themselves are beside.
 *
 * All address space is taken at start, pages as they are used. Keyed hash: others choose the
 * addresses, and none can choose many of one set.
 */
#ifndef GEOIP_CACHE_H
#define GEOIP_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "common/addr.h"
#include "common/error.h"
#include "common/siphash.h"

enum { GEO_WAYS = 8 };

/* A line of memory. The newest first; where nothing is, `what` is 0. */
struct geo_set {
	uint32_t tag[GEO_WAYS];
	uint32_t what[GEO_WAYS]; /* the caller's, not 0 */
};

struct geo_cache {
	struct geo_set *sets;      /* of IPv4, then as many of IPv6 */
	struct ip_addr *addresses; /* of the latter, GEO_WAYS for each set */
	uint32_t n;                /* sets of each; a power of two */
	struct siphash_key key[3]; /* random words, five of them used */
	bool used[2];              /* sets of IPv4, of IPv6: those that are not are not cleared */
	uint64_t evicted;
};

/* Where an address is, if it is there. */
struct geo_spot {
	uint32_t set;
	uint32_t tag;
};

/* Room for at least `most` addresses of each family, if they spread evenly. 0 or -errno. */
int geo_cache_init(struct geo_cache *c, size_t most) MUST_CHECK;
void geo_cache_destroy(struct geo_cache *c);

/* Forget everything. */
void geo_cache_clear(struct geo_cache *c);

/* Multilinear hashing (Carter and Wegman; Dietzfelbinger): any two addresses have the same hash
 * with a probability of 2^-32, whoever chose them, because the key is random and the hash is never
 * seen from outside. A fifth of the instructions of SipHash. The mixing keeps addresses that
 * follow each other apart: their sums do so in equal steps. */
static inline struct geo_spot geo_cache_spot(const struct geo_cache *c, const struct ip_addr *a)
{
	struct geo_spot spot;
	uint32_t w[4], h;
	uint64_t sum;

	memcpy(w, a->b, sizeof(w));
	if (addr_is_v4(a)) {
		sum = c->key[0].k[0] * w[3] + c->key[0].k[1];
		spot.tag = w[3];
	} else {
		sum = c->key[0].k[0] * w[0] + c->key[0].k[1] * w[1] + c->key[1].k[0] * w[2] +
		      c->key[1].k[1] * w[3] + c->key[2].k[0];
		spot.tag = (uint32_t)(sum >> 16);
	}
	h = (uint32_t)(sum >> 32);
	h = (h ^ h >> 15) * 0x9e3779b1U;
	spot.set = ((h ^ h >> 16) & (c->n - 1)) + (addr_is_v4(a) ? 0 : c->n);
	return spot;
}

/* Fetch memory that the others will want. */
static inline void geo_cache_prefetch(const struct geo_cache *c, struct geo_spot spot)
{
	__builtin_prefetch(&c->sets[spot.set]);
}

/* What is known of the address at its spot; 0: it is not there. */
uint32_t geo_cache_find(struct geo_cache *c, struct geo_spot spot, const struct ip_addr *a);

/* Add an address that is not there. Returns what was known of the one that had to go, or 0. */
uint32_t geo_cache_add(struct geo_cache *c, struct geo_spot spot, const struct ip_addr *a,
		       uint32_t what);

/* Of what was added at that spot, known to be `before`: it is `what` now. False: it had to go. */
bool geo_cache_change(struct geo_cache *c, struct geo_spot spot, uint32_t before, uint32_t what);

#endif
