/* random_line.c - the inputs of fuzz_line made at random, with a taste for what line protocol finds
 * special, without libFuzzer.
 *
 * usage: FUZZ_LINE_OUT=FILE random_line [COUNT [SEED]]
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t state;

static uint64_t random_u64(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

/* One of three bytes is special, one a letter, one anything. */
static uint8_t random_byte(void)
{
	static const char special[] = "\\\\\",,  ==\n\r\t\0#'`\xc3\xbc\xff\xed\xa0\x80";
	uint64_t r = random_u64();

	switch (r % 3) {
	case 0:
		return (uint8_t)special[r / 3 % (sizeof(special) - 1)];
	case 1:
		return (uint8_t)('a' + r / 3 % 26);
	default:
		return (uint8_t)(r / 3);
	}
}

int main(int argc, char **argv)
{
	unsigned long count = argc > 1 ? strtoul(argv[1], NULL, 10) : 10000, i;
	uint8_t input[512];
	size_t n, at, len;

	state = 0x9e3779b97f4a7c15ULL ^ (argc > 2 ? strtoul(argv[2], NULL, 10) : 1);
	for (i = 0; i < count; i++) {
		for (n = 0; n < 10; n++)
			input[n] = (uint8_t)random_u64();
		while (n < sizeof(input) - 80) { /* five texts and a rest that is not read */
			len = random_u64() % 40;
			input[n++] = (uint8_t)len;
			for (at = 0; at < len; at++)
				input[n++] = random_byte();
		}
		LLVMFuzzerTestOneInput(input, n);
	}
	printf("%lu lines\n", count);
	return 0;
}
