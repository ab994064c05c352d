/* backoff.c - see backoff.h. */
#include "output/backoff.h"

#include "common/siphash.h"

void backoff_init(struct backoff *b, uint64_t min_ns, uint64_t max_ns)
{
	struct siphash_key key;

	siphash_key_random(&key);
	b->min_ns = min_ns;
	b->max_ns = max_ns;
	b->failures = 0;
	b->random = key.k[0];
}

/* SplitMix64 (G. Steele, D. Lea, C. Flood, 2014): uniform up to most_ns. */
static uint64_t random_up_to(struct backoff *b, uint64_t most_ns)
{
	uint64_t z = b->random += 0x9e3779b97f4a7c15ULL;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
	z ^= z >> 31;
	return most_ns == UINT64_MAX ? z : z % (most_ns + 1);
}

static uint64_t bound(const struct backoff *b)
{
	uint64_t ns = b->min_ns;
	unsigned int i;

	for (i = 1; i < b->failures && ns < b->max_ns; i++)
		ns = ns > b->max_ns / 2 ? b->max_ns : ns * 2;
	return ns < b->max_ns ? ns : b->max_ns;
}

uint64_t backoff_failed(struct backoff *b, uint64_t asked_ns)
{
	b->failures++;
	return asked_ns + random_up_to(b, bound(b));
}

uint64_t backoff_refused(struct backoff *b)
{
	b->failures++;
	return b->max_ns / 2 + random_up_to(b, b->max_ns - b->max_ns / 2);
}

void backoff_reset(struct backoff *b)
{
	b->failures = 0;
}
