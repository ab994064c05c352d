/* siphash.h - keyed hashing of short inputs, SipHash-c-d (Aumasson and Bernstein, 2012).
 *
 * Addresses, ports and names come from whoever sends packets, so every hash table is keyed.
 * SipHash-1-3 is what Linux, Rust and Python use for tables; 2-4 is there because the published
 * vectors are for it.
 */
#ifndef COMMON_SIPHASH_H
#define COMMON_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

struct siphash_key {
	uint64_t k[2];
};

/* A key from the kernel's random numbers; never fails (falls back to time and addresses). */
void siphash_key_random(struct siphash_key *key);

uint64_t siphash_1_3(const struct siphash_key *key, const void *data, size_t len);
uint64_t siphash_2_4(const struct siphash_key *key, const void *data, size_t len);

#define SIPHASH_ROTL(x, b) (uint64_t)(((x) << (b)) | ((x) >> (64 - (b))))
#define SIPHASH_ROUND(v0, v1, v2, v3)                                                              \
	do {                                                                                       \
		v0 += v1;                                                                          \
		v1 = SIPHASH_ROTL(v1, 13) ^ v0;                                                    \
		v0 = SIPHASH_ROTL(v0, 32);                                                         \
		v2 += v3;                                                                          \
		v3 = SIPHASH_ROTL(v3, 16) ^ v2;                                                    \
		v0 += v3;                                                                          \
		v3 = SIPHASH_ROTL(v3, 21) ^ v0;                                                    \
		v2 += v1;                                                                          \
		v1 = SIPHASH_ROTL(v1, 17) ^ v2;                                                    \
		v2 = SIPHASH_ROTL(v2, 32);                                                         \
	} while (0)

/* SipHash-1-3 of n 64-bit words (no tail): the form used for flow keys, inline. */
static inline uint64_t siphash_words(const struct siphash_key *key, const uint64_t *w,
				     unsigned int n)
{
	uint64_t v0 = key->k[0] ^ 0x736f6d6570736575ULL;
	uint64_t v1 = key->k[1] ^ 0x646f72616e646f6dULL;
	uint64_t v2 = key->k[0] ^ 0x6c7967656e657261ULL;
	uint64_t v3 = key->k[1] ^ 0x7465646279746573ULL;
	unsigned int i;

	for (i = 0; i < n; i++) {
		v3 ^= w[i];
		SIPHASH_ROUND(v0, v1, v2, v3);
		v0 ^= w[i];
	}
	v3 ^= (uint64_t)n << 59;
	SIPHASH_ROUND(v0, v1, v2, v3);
	v0 ^= (uint64_t)n << 59;
	v2 ^= 0xff;
	SIPHASH_ROUND(v0, v1, v2, v3);
	SIPHASH_ROUND(v0, v1, v2, v3);
	SIPHASH_ROUND(v0, v1, v2, v3);
	return v0 ^ v1 ^ v2 ^ v3;
}

#endif
