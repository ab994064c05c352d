/* tree_links.c - see tree_links.h.
 *
 * A record is good by how many of four limits it has reached: 1, the number of nodes + 1, the
 * beginning of the data, its end. After an odd number of them it is good, else it is not.
 */
#include "geoip/tree_links.h"

#include <endian.h>
#include <string.h>

#include "common/wire.h"

#if defined(__x86_64__) && (defined(__clang__) || __GNUC__ >= 5) /* 4.8 lacks the header for it */
#define HAVE_AVX2_CODE 1
#include <immintrin.h>
#else
#define HAVE_AVX2_CODE 0
#endif

enum { LIMITS = 4 };

static void limits_of(const struct tree_limits *l, uint32_t most, uint32_t limits[LIMITS])
{
	uint64_t data_end = l->nodes + TREE_SEPARATOR_BYTES + l->data_size;

	limits[0] = 1;
	limits[1] = l->nodes + 1;
	limits[2] = l->nodes + TREE_SEPARATOR_BYTES;
	limits[3] = data_end < most ? (uint32_t)data_end : most;
}

static bool bad_links_wide(const uint8_t *at, size_t n, const struct tree_limits *l)
{
	uint64_t data_end = l->nodes + TREE_SEPARATOR_BYTES + l->data_size;
	uint32_t bad = 0, record;

	for (n *= 2; n > 0; n--, at += 4) {
		record = load_be32(at);
		bad |= (record == 0) | (record - l->nodes - 1 < TREE_SEPARATOR_BYTES - 1) |
		       (record >= data_end);
	}
	return bad;
}

#define BOTH(x) ((uint64_t)(x) << 32 | (x))
#define TOP     0x80000000U

/* Records of 24 and 28 bits: each in half a word, whose top bit says, after an addition that brings
 * a limit to 2^31, whether the record has reached it. */
static inline bool bad_links(const uint8_t *at, size_t n, unsigned int bits,
			     const struct tree_limits *l)
{
	uint64_t good = ~0ULL, both, node, a, b, c, d;
	uint32_t limits[LIMITS];

	limits_of(l, TOP, limits);
	a = BOTH(TOP - limits[0]);
	b = BOTH(TOP - limits[1]);
	c = BOTH(TOP - limits[2]);
	d = BOTH(TOP - limits[3]);
	for (; n > 0; n--, at += bits / 4) {
		memcpy(&node, at, sizeof(node));
		node = be64toh(node);
		if (bits == 24)
			both = (node >> 8 & 0x00ffffff00000000) | (node >> 16 & 0xffffff);
		else
			both = (node >> 8 & 0x00ffffff0fffffff) | (node << 20 & 0x0f00000000000000);
		good &= (both + a) ^ (both + b) ^ (both + c) ^ (both + d);
	}
	return ~good & BOTH(TOP);
}

bool tree_links_bad_plain(const uint8_t *at, size_t n, unsigned int bits,
			  const struct tree_limits *l)
{
	return bits == 24   ? bad_links(at, n, 24, l)
	       : bits == 28 ? bad_links(at, n, 28, l)
			    : bad_links_wide(at, n, l);
}

#if HAVE_AVX2_CODE

/* The bytes of two nodes as four records, lowest byte first. Of 28 bits the middle byte is in both:
 * its upper half belongs to the first record, where it stays 4 bits too high. */
static const uint8_t order24[16] = {2, 1, 0, 255, 5, 4, 3, 255, 8, 7, 6, 255, 11, 10, 9, 255};
static const uint8_t order28[16] = {2, 1, 0, 3, 6, 5, 4, 3, 9, 8, 7, 10, 13, 12, 11, 10};

/* The last value before a limit, where it is compared as a signed number: as the first and as the
 * second record of a node. */
__attribute__((target("avx2"))) static __m256i before(uint32_t limit, unsigned int bits)
{
	uint32_t second = limit - 1, first = second;

	if (bits == 28)
		first = (second & 0x0f000000) << 4 | (second & 0xffffff);
	return _mm256_set1_epi64x((int64_t)((uint64_t)(second ^ TOP) << 32 | (first ^ TOP)));
}

/* A multiple of four nodes, of 24 or 28 bits. */
__attribute__((target("avx2"))) static bool
bad_links_avx2(const uint8_t *at, size_t n, unsigned int bits, const struct tree_limits *l)
{
	const __m256i order = _mm256_broadcastsi128_si256(
	    _mm_loadu_si128((const __m128i *)(bits == 24 ? order24 : order28)));
	const __m256i mask = _mm256_set1_epi64x(bits == 24 ? -1 : 0x0ffffffff0ffffff);
	const __m256i top = _mm256_set1_epi32((int)TOP);
	const size_t pair = bits / 2; /* bytes */
	uint32_t limits[LIMITS];
	__m256i a, b, c, d, x, good = _mm256_set1_epi32(-1);

	limits_of(l, 1U << bits, limits);
	a = before(limits[0], bits);
	b = before(limits[1], bits);
	c = before(limits[2], bits);
	d = before(limits[3], bits);
	for (; n > 0; n -= 4, at += 2 * pair) {
		x = _mm256_castsi128_si256(_mm_loadu_si128((const __m128i *)at));
		x = _mm256_inserti128_si256(x, _mm_loadu_si128((const __m128i *)(at + pair)), 1);
		x = _mm256_xor_si256(_mm256_and_si256(_mm256_shuffle_epi8(x, order), mask), top);
		good = _mm256_and_si256(
		    good,
		    _mm256_xor_si256(
			_mm256_xor_si256(_mm256_cmpgt_epi32(x, a), _mm256_cmpgt_epi32(x, b)),
			_mm256_xor_si256(_mm256_cmpgt_epi32(x, c), _mm256_cmpgt_epi32(x, d))));
	}
	return _mm256_movemask_epi8(good) != -1;
}

bool tree_links_bad(const uint8_t *at, size_t n, unsigned int bits, const struct tree_limits *l)
{
	size_t whole = n & ~(size_t)3;

	if (bits == 32 || l->nodes + TREE_SEPARATOR_BYTES > 1U << bits ||
	    !__builtin_cpu_supports("avx2"))
		return tree_links_bad_plain(at, n, bits, l);
	return bad_links_avx2(at, whole, bits, l) ||
	       tree_links_bad_plain(at + whole * (bits / 4), n - whole, bits, l);
}

#else

bool tree_links_bad(const uint8_t *at, size_t n, unsigned int bits, const struct tree_limits *l)
{
	return tree_links_bad_plain(at, n, bits, l);
}

#endif
