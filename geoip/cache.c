/* cache.c - see cache.h. */
#include "geoip/cache.h"

#include <errno.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "common/memory.h"

int geo_cache_init(struct geo_cache *c, size_t most)
{
	size_t i;

	memset(c, 0, sizeof(*c));
	if (most > 1UL << 28)
		return -EINVAL;
	for (c->n = 1; (size_t)c->n * GEO_WAYS < most;)
		c->n *= 2;
	for (i = 0; i < sizeof(c->key) / sizeof(c->key[0]); i++)
		siphash_key_random(&c->key[i]);
	c->key[0].k[0] |= 1; /* for IPv4, which it is all there is of */
	c->sets = mem_map(2 * (size_t)c->n, sizeof(*c->sets));
	c->addresses = mem_map((size_t)c->n * GEO_WAYS, sizeof(*c->addresses));
	if (c->sets && c->addresses)
		return 0;
	geo_cache_destroy(c);
	return -ENOMEM;
}

void geo_cache_destroy(struct geo_cache *c)
{
	mem_unmap(c->sets, 2 * (size_t)c->n, sizeof(*c->sets));
	mem_unmap(c->addresses, (size_t)c->n * GEO_WAYS, sizeof(*c->addresses));
	c->sets = NULL;
	c->addresses = NULL;
}

void geo_cache_clear(struct geo_cache *c)
{
	size_t i;

	for (i = 0; i < 2; i++) {
		if (c->used[i])
			memset(c->sets + i * c->n, 0, c->n * sizeof(*c->sets));
		c->used[i] = false;
	}
}

static struct ip_addr *addresses_of(const struct geo_cache *c, uint32_t set)
{
	return &c->addresses[(size_t)(set - c->n) * GEO_WAYS];
}

/* All before the i-th one further, which goes, and this to the front. */
static void put_first(struct geo_cache *c, struct geo_spot spot, const struct ip_addr *a,
		      uint32_t what, unsigned int i)
{
	struct geo_set *s = &c->sets[spot.set];
	struct ip_addr *addresses;

	memmove(s->tag + 1, s->tag, i * sizeof(s->tag[0]));
	memmove(s->what + 1, s->what, i * sizeof(s->what[0]));
	s->tag[0] = spot.tag;
	s->what[0] = what;
	if (spot.set < c->n)
		return;
	addresses = addresses_of(c, spot.set);
	memmove(addresses + 1, addresses, i * sizeof(*addresses));
	addresses[0] = *a;
}

/* Bits of the ways with that tag. Without branches: which of them it is nobody can guess. */
#ifdef __SSE2__
static inline unsigned int ways_with(const uint32_t tag[GEO_WAYS], uint32_t wanted)
{
	const __m128i w = _mm_set1_epi32((int)wanted);
	__m128i front = _mm_cmpeq_epi32(_mm_loadu_si128((const __m128i *)tag), w);
	__m128i rear = _mm_cmpeq_epi32(_mm_loadu_si128((const __m128i *)(tag + 4)), w);

	return (unsigned int)_mm_movemask_epi8(_mm_packs_epi16(_mm_packs_epi32(front, rear), w)) &
	       0xff;
}
#else
static inline unsigned int ways_with(const uint32_t tag[GEO_WAYS], uint32_t wanted)
{
	return (unsigned int)(tag[0] == wanted) | (unsigned int)(tag[1] == wanted) << 1 |
	       (unsigned int)(tag[2] == wanted) << 2 | (unsigned int)(tag[3] == wanted) << 3 |
	       (unsigned int)(tag[4] == wanted) << 4 | (unsigned int)(tag[5] == wanted) << 5 |
	       (unsigned int)(tag[6] == wanted) << 6 | (unsigned int)(tag[7] == wanted) << 7;
}
#endif

uint32_t geo_cache_find(struct geo_cache *c, struct geo_spot spot, const struct ip_addr *a)
{
	const struct geo_set *s = &c->sets[spot.set];
	unsigned int ways = ways_with(s->tag, spot.tag), i;
	uint32_t what;

	for (; ways; ways &= ways - 1) {
		i = (unsigned int)__builtin_ctz(ways);
		what = s->what[i];
		if (!what)
			return 0; /* behind the last one */
		if (spot.set >= c->n && !addr_equal(&addresses_of(c, spot.set)[i], a))
			continue;
		if (i >= GEO_WAYS / 2)
			put_first(c, spot, a, what, i);
		return what;
	}
	return 0;
}

uint32_t geo_cache_add(struct geo_cache *c, struct geo_spot spot, const struct ip_addr *a,
		       uint32_t what)
{
	uint32_t last = c->sets[spot.set].what[GEO_WAYS - 1];

	c->used[spot.set >= c->n] = true;
	c->evicted += last != 0;
	put_first(c, spot, a, what, GEO_WAYS - 1);
	return last;
}

bool geo_cache_change(struct geo_cache *c, struct geo_spot spot, uint32_t before, uint32_t what)
{
	struct geo_set *s = &c->sets[spot.set];
	unsigned int i;

	for (i = 0; i < GEO_WAYS; i++) {
		if (s->what[i] == before) {
			s->what[i] = what;
			return true;
		}
	}
	return false;
}
