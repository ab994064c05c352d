/* siphash.c - SipHash over byte strings (Aumasson and Bernstein, "SipHash: a fast short-input
 * PRF"). */
#include "common/siphash.h"

#include <fcntl.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static uint64_t load_le64(const uint8_t *p)
{
	uint64_t v = 0;
	int i;

	for (i = 7; i >= 0; i--)
		v = v << 8 | p[i];
	return v;
}

static inline __attribute__((always_inline)) uint64_t
siphash(const struct siphash_key *key, const uint8_t *p, size_t len, int c, int d)
{
	uint64_t v0 = key->k[0] ^ 0x736f6d6570736575ULL;
	uint64_t v1 = key->k[1] ^ 0x646f72616e646f6dULL;
	uint64_t v2 = key->k[0] ^ 0x6c7967656e657261ULL;
	uint64_t v3 = key->k[1] ^ 0x7465646279746573ULL;
	uint64_t m = (uint64_t)len << 56;
	size_t left = len;
	int i;

	for (; left >= 8; p += 8, left -= 8) {
		uint64_t w = load_le64(p);

		v3 ^= w;
		for (i = 0; i < c; i++)
			SIPHASH_ROUND(v0, v1, v2, v3);
		v0 ^= w;
	}
	while (left-- > 0)
		m |= (uint64_t)p[left] << (8 * left);
	v3 ^= m;
	for (i = 0; i < c; i++)
		SIPHASH_ROUND(v0, v1, v2, v3);
	v0 ^= m;
	v2 ^= 0xff;
	for (i = 0; i < d; i++)
		SIPHASH_ROUND(v0, v1, v2, v3);
	return v0 ^ v1 ^ v2 ^ v3;
}

uint64_t siphash_1_3(const struct siphash_key *key, const void *data, size_t len)
{
	return siphash(key, data, len, 1, 3);
}

uint64_t siphash_2_4(const struct siphash_key *key, const void *data, size_t len)
{
	return siphash(key, data, len, 2, 4);
}

void siphash_key_random(struct siphash_key *key)
{
	struct timespec now;
	ssize_t n = -1;
	int fd = open("/dev/urandom", O_RDONLY | O_CLOEXEC);

	if (fd >= 0) {
		n = read(fd, key->k, sizeof(key->k));
		close(fd);
	}
	if (n == (ssize_t)sizeof(key->k))
		return;
	clock_gettime(CLOCK_REALTIME, &now);
	key->k[0] = (uint64_t)now.tv_nsec * 0x9e3779b97f4a7c15ULL ^ (uint64_t)(uintptr_t)key;
	key->k[1] = (uint64_t)now.tv_sec << 20 ^ (uint64_t)getpid();
}
