/* test_escape.c - output/escape.c: both layers, every position, and that they can be undone. */
#include "output/escape.h"

#include <stdlib.h>

#include "tests/output/line_decode.h"
#include "tests/test.h"

static const struct {
	const char *in;
	size_t len;
	const char *measurement, *tag, *string;
} texts[] = {
#define IN(s) s, sizeof(s) - 1
    {IN("plain"), "plain", "plain", "plain"},
    {IN(""), "", "", ""},
    {IN("a,b c=d\"e"), "a\\,b\\ c=d\"e", "a\\,b\\ c\\=d\"e", "a,b c=d\\\"e"},
    {IN("a\\b"), "a\\b", "a\\b", "a\\\\b"},
    {IN("a\\"), "a\\x5c", "a\\x5c", "a\\\\"},
    {IN("a\\\\"), "a\\x5c\\x5c", "a\\x5c\\x5c", "a\\\\\\\\"},
    {IN("a\\\\b"), "a\\x5c\\b", "a\\x5c\\b", "a\\\\\\\\b"},
    {IN("\\,"), "\\x5c\\,", "\\x5c\\,", "\\\\,"},
    {IN("\\="), "\\x5c=", "\\x5c\\=", "\\\\="},
    {IN("\\ "), "\\x5c\\ ", "\\x5c\\ ", "\\\\ "},
    {IN("\\\""), "\\x5c\"", "\\x5c\"", "\\\\\\\""},
    {IN("\\\n"), "\\x5c\\x0a", "\\x5c\\x0a", "\\\\\\\\x0a"},
    {IN("\\\xff"), "\\x5c\\xff", "\\x5c\\xff", "\\\\\\\\xff"},
    {IN("\\\xc3\xa9"), "\\\xc3\xa9", "\\\xc3\xa9", "\\\\\xc3\xa9"},
    {IN("\\x"), "\\x", "\\x", "\\\\x"},
    {IN("\\x4"), "\\x4", "\\x4", "\\\\x4"},
    {IN("\\x4g"), "\\x4g", "\\x4g", "\\\\x4g"},
    {IN("\\x41"), "\\x5cx41", "\\x5cx41", "\\\\x5cx41"},
    {IN("\\xFf"), "\\x5cxFf", "\\x5cxFf", "\\\\x5cxFf"},
    {IN("\0\n\r\t\x1f\x7f"), "\\x00\\x0a\\x0d\\x09\\x1f\\x7f", "\\x00\\x0a\\x0d\\x09\\x1f\\x7f",
     "\\\\x00\\\\x0a\\\\x0d\\\\x09\\\\x1f\\\\x7f"},
    {IN("\xc2\x80 \xe2\x82\xac"), "\xc2\x80\\ \xe2\x82\xac", "\xc2\x80\\ \xe2\x82\xac",
     "\xc2\x80 \xe2\x82\xac"},
    {IN("\xf0\x9f\x98\x80"), "\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80"},
    /* cut inside a character */
    {IN("\xe2\x82"), "\\xe2\\x82", "\\xe2\\x82", "\\\\xe2\\\\x82"},
    /* overlong '/', a surrogate, U+110000 */
    {IN("\xc0\xaf"), "\\xc0\\xaf", "\\xc0\\xaf", "\\\\xc0\\\\xaf"},
    {IN("\xed\xa0\x80"), "\\xed\\xa0\\x80", "\\xed\\xa0\\x80", "\\\\xed\\\\xa0\\\\x80"},
    {IN("\xf4\x90\x80\x80"), "\\xf4\\x90\\x80\\x80", "\\xf4\\x90\\x80\\x80",
     "\\\\xf4\\\\x90\\\\x80\\\\x80"},
};

static void check_position(size_t i, enum escape_position position, const char *want)
{
	char out[ESCAPE_GROWTH * 32];
	size_t len = (size_t)(escape_put(out, position, texts[i].in, texts[i].len) - out);

	CHECK_MSG(len == strlen(want) && !memcmp(out, want, len), "case %zu position %d: got %.*s",
		  i, (int)position, (int)len, out);
}

static void test_positions(void)
{
	size_t i;

	for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		check_position(i, ESCAPE_MEASUREMENT, texts[i].measurement);
		check_position(i, ESCAPE_TAG, texts[i].tag);
		check_position(i, ESCAPE_STRING, texts[i].string);
	}
}

/* Every sequence of up to four bytes whose bytes are at the edges of the ranges of RFC 3629. */
static void test_utf8(void)
{
	static const unsigned char edges[] = {0x00, 0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf,
					      0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xe1, 0xec, 0xed, 0xee,
					      0xef, 0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xf8, 0xfc, 0xff};
	const size_t n = sizeof(edges);
	size_t i, len, want, wrong = 0;
	char s[4];

	for (i = 0; i < n * n * n * n; i++) {
		s[0] = (char)edges[i % n];
		s[1] = (char)edges[i / n % n];
		s[2] = (char)edges[i / n / n % n];
		s[3] = (char)edges[i / n / n / n];
		want = 0;
		for (len = 1; len <= 4 && !want; len++)
			want = decode_utf8_ok(s, len) ? len : 0;
		wrong += utf8_length(s, 4) != want;
		for (len = 1; len < 4; len++)
			wrong += utf8_length(s, len) != (want <= len ? want : 0);
	}
	CHECK_INT(wrong, 0);
}

/* Random bytes, mostly those that mean something, in a buffer that ends where the bytes may end. */
static void test_round_trip(void)
{
	static const char odd[] = "\\\\\\,= \"xx05cA\n\x7f\xc3\xa9\xe2\x82\xac\xff\xed\xa0";
	static struct decoded_line d;
	char in[48], line[64 + 3 * ESCAPE_GROWTH * 48], *p;
	size_t len, i, round, wrong = 0;
	uint32_t r = 12345;

	for (round = 0; round < 200000; round++) {
		r = r * 1664525 + 1013904223;
		len = 1 + (r >> 16) % sizeof(in);
		for (i = 0; i < len; i++) {
			r = r * 1664525 + 1013904223;
			in[i] = r >> 31 ? odd[(r >> 16) % (sizeof(odd) - 1)] : (char)(r >> 16);
		}
		p = escape_put(line, ESCAPE_MEASUREMENT, in, len);
		memcpy(p, ",t=", 3);
		p = escape_put(p + 3, ESCAPE_TAG, in, len);
		memcpy(p, " f=\"", 4);
		p = escape_put(p + 4, ESCAPE_STRING, in, len);
		memcpy(p, "\" 1\n", 4);
		if (!decode_line(&d, line, (size_t)(p + 4 - line)) || d.n != 2 ||
		    memcmp(d.measurement, in, len) || !decoded_is(&d, true, "t", in, len) ||
		    !decoded_is(&d, false, "f", in, len)) {
			wrong++;
			printf("    %s: %.*s\n", d.error ? d.error : "differs", (int)(p - line),
			       line);
		}
	}
	CHECK_INT(wrong, 0);
}

TEST_MAIN({"positions", test_positions}, {"utf8", test_utf8}, {"round trip", test_round_trip})
