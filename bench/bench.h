/* bench.h - what the benchmarks share. */
#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H

#include <stdint.h>

/* xorshift64 (Marsaglia, 2003): the same numbers in every run. */
static inline uint64_t random_u64(void)
{
	static uint64_t x = 88172645463325252ULL;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return x;
}

#endif
