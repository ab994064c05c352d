/* test_siphash.c - SipHash-2-4's published vectors; SipHash-1-3 as CPython computes it. */
#include "common/siphash.h"

#include "tests/test.h"

/* Of the messages "", 00, 00 01, ... under the key 00 01 .. 0f (the authors' vectors.h). */
static const uint64_t vectors_2_4[] = {
    0x726fdb47dd0e0e31ULL, 0x74f839c593dc67fdULL, 0x0d6c8009d9a94f5aULL, 0x85676696d7fb7e2dULL,
    0xcf2794e0277187b7ULL, 0x18765564cd99a68dULL, 0xcbc9466e58fee3ceULL, 0xab0200f58b01d137ULL,
    0x93f5f5799a932462ULL, 0x9e0082df0ba9e4b0ULL, 0x7a5dbbc594ddb9f3ULL, 0xf4b32f46226bada7ULL,
    0x751e8fbc860ee5fbULL, 0x14ea5627c0843d90ULL, 0xf723ca908e7af2eeULL, 0xa129ca6149be45e5ULL,
};

/* Of the messages 00 01 .. (len - 1) under the key 0: CPython 3.11's hash() with PYTHONHASHSEED=0.
 */
static const struct {
	unsigned int len;
	uint64_t want;
} vectors_1_3[] = {
    {15, 0xf30eb725bb91c9eaULL},
    {16, 0x8972188433a5c5b7ULL},
    {40, 0x95bc321ab41d8206ULL},
    {63, 0x385d3e39e5f37359ULL},
};

static const struct siphash_key counting = {{0x0706050403020100ULL, 0x0f0e0d0c0b0a0908ULL}};

static void fill(uint8_t *b, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++)
		b[i] = (uint8_t)i;
}

static void test_2_4(void)
{
	uint8_t b[64];
	unsigned int i;

	fill(b, sizeof(b));
	for (i = 0; i < sizeof(vectors_2_4) / sizeof(vectors_2_4[0]); i++)
		CHECK_MSG(siphash_2_4(&counting, b, i) == vectors_2_4[i], "length %u", i);
}

static void test_1_3(void)
{
	struct siphash_key zero = {{0, 0}};
	uint8_t b[65];
	unsigned int i;

	fill(b, 64);
	for (i = 0; i < sizeof(vectors_1_3) / sizeof(vectors_1_3[0]); i++)
		CHECK_MSG(siphash_1_3(&zero, b, vectors_1_3[i].len) == vectors_1_3[i].want,
			  "length %u", vectors_1_3[i].len);
	memmove(b + 1, b, 64); /* not aligned */
	CHECK(siphash_1_3(&zero, b + 1, 63) == vectors_1_3[3].want);
	CHECK(siphash_1_3(&zero, b + 1, 63) != siphash_1_3(&counting, b + 1, 63));
}

/* siphash_words() is siphash_1_3() over the words as little-endian bytes, on any machine. */
static void test_words(void)
{
	uint64_t w[40];
	uint8_t b[sizeof(w)];
	unsigned int i, n;

	for (i = 0; i < 40; i++)
		w[i] = 0x9e3779b97f4a7c15ULL * (i + 1);
	for (i = 0; i < sizeof(b); i++)
		b[i] = (uint8_t)(w[i / 8] >> (8 * (i % 8)));
	for (n = 0; n <= 40; n++)
		CHECK_MSG(siphash_words(&counting, w, n) ==
			      siphash_1_3(&counting, b, (size_t)8 * n),
			  "%u words", n);
}

static void test_key_random(void)
{
	struct siphash_key a = {{0, 0}}, b = {{0, 0}};

	siphash_key_random(&a);
	siphash_key_random(&b);
	CHECK(memcmp(&a, &b, sizeof(a)) != 0);
	CHECK(a.k[0] && a.k[1]);
}

TEST_MAIN({"SipHash-2-4", test_2_4}, {"SipHash-1-3", test_1_3}, {"words", test_words},
	  {"random key", test_key_random})
