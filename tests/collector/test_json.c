/* test_json.c - the writer of JSON and the buffer below it. */
#include "collector/json.h"

#include "tests/collector/json_check.h"
#include "tests/test.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

enum { MOST = 1 << 20 };

static void test_shape(void)
{
	static const char want[] = "{\n"
				   "  \"pid\": 4711,\n"
				   "  \"empty\": {},\n"
				   "  \"none\": [],\n"
				   "  \"list\": [\n"
				   "    \"a\",\n"
				   "    null,\n"
				   "    {\n"
				   "      \"deep\": -1\n"
				   "    }\n"
				   "  ],\n"
				   "  \"yes\": true,\n"
				   "  \"no\": false\n"
				   "}\n";
	struct buffer b;
	struct json j;

	buffer_init(&b, MOST);
	json_init(&j, &b);
	json_object(&j, NULL);
	json_u64(&j, "pid", 4711);
	json_object(&j, "empty");
	json_end(&j);
	json_array(&j, "none");
	json_end(&j);
	json_array(&j, "list");
	json_string(&j, NULL, "a");
	json_string(&j, NULL, NULL);
	json_object(&j, NULL);
	json_i64(&j, "deep", -1);
	json_end(&j);
	json_end(&j);
	json_bool(&j, "yes", true);
	json_bool(&j, "no", false);
	json_end(&j);
	CHECK(json_done(&j));
	CHECK_STR(b.s, want);
	CHECK(is_json(b.s, b.len));
	buffer_free(&b);
}

static void test_texts(void)
{
	static const struct {
		const char *s;
		size_t len;
		const char *want;
	} cases[] = {
	    {"", 0, "\"\"\n"},
	    {"a b", 3, "\"a b\"\n"},
	    {"\"\\/", 3, "\"\\\"\\\\/\"\n"},
	    {"\n\t\r\x01\x1f\x7f", 6, "\"\\n\\t\\u000d\\u0001\\u001f\\u007f\"\n"},
	    {"a\0b", 3, "\"a\\u0000b\"\n"},
	    {"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", 9,
	     "\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\"\n"},
	    {"\xff", 1, "\"\xef\xbf\xbd\"\n"},
	    {"a\xc3", 2, "\"a\xef\xbf\xbd\"\n"},                               /* cut */
	    {"\xc0\x80", 2, "\"\xef\xbf\xbd\xef\xbf\xbd\"\n"},                 /* overlong */
	    {"\xed\xa0\x80", 3, "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"\n"}, /* surrogate */
	};
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct buffer b;
		struct json j;

		buffer_init(&b, MOST);
		json_init(&j, &b);
		json_text(&j, NULL, cases[i].s, cases[i].len);
		CHECK(json_done(&j));
		CHECK_STR(b.s, cases[i].want);
		CHECK(is_json(b.s, b.len));
		buffer_free(&b);
	}
}

/* Any bytes become valid JSON; the same each time. */
static void test_any_bytes(void)
{
	char bytes[64];
	unsigned int i, k;

	srand(4711);
	for (i = 0; i < 20000; i++) {
		size_t len = (size_t)rand() % sizeof(bytes);
		struct buffer b;
		struct json j;

		for (k = 0; k < len; k++)
			bytes[k] =
			    (char)(rand() % 3 ? rand() : "\xe2\x82\xac\xf0\x9f\"\\"[rand() % 7]);
		buffer_init(&b, MOST);
		json_init(&j, &b);
		json_object(&j, NULL);
		json_text(&j, "k", bytes, len);
		json_end(&j);
		if (!json_done(&j) || !is_json(b.s, b.len))
			CHECK_MSG(false, "case %u: %s", i, b.s ? b.s : "-");
		buffer_free(&b);
	}
	CHECK_INT(i, 20000);
}

static void test_numbers(void)
{
	static const struct {
		double v;
		const char *want;
	} cases[] = {
	    {0, "0"},
	    {0.1, "0.1"},
	    {12.345, "12.345"},
	    {-1.5, "-1.5"},
	    {1e6, "1000000"},
	    {1e20, "1e+20"},
	    {DBL_MAX, "1.79769313486232e+308"},
	    {1e-9, "1e-09"},
	};
	struct buffer b;
	struct json j;
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		buffer_init(&b, MOST);
		json_init(&j, &b);
		json_double(&j, NULL, cases[i].v);
		CHECK_STR(b.s, cases[i].want);
		CHECK(is_json(b.s, b.len));
		buffer_free(&b);
	}
	buffer_init(&b, MOST);
	json_init(&j, &b);
	json_array(&j, NULL);
	json_double(&j, NULL, NAN);
	json_double(&j, NULL, -INFINITY);
	json_u64(&j, NULL, UINT64_MAX);
	json_i64(&j, NULL, INT64_MIN);
	json_end(&j);
	CHECK(json_done(&j));
	CHECK_STR(b.s, "[\n  null,\n  null,\n  18446744073709551615,\n  -9223372036854775808\n]\n");
	buffer_free(&b);
}

static void misuse_open(struct json *j)
{
	json_object(j, NULL);
}

static void misuse_end(struct json *j)
{
	json_end(j);
	json_null(j, NULL);
}

static void misuse_key(struct json *j)
{
	json_array(j, NULL);
	json_null(j, "key");
	json_end(j);
}

static void misuse_no_key(struct json *j)
{
	json_object(j, NULL);
	json_null(j, NULL);
	json_end(j);
}

static void misuse_two(struct json *j)
{
	json_null(j, NULL);
	json_null(j, NULL);
}

static void misuse_deep(struct json *j)
{
	int i;

	for (i = 0; i <= JSON_DEPTH_MOST; i++)
		json_array(j, NULL);
	for (i = 0; i <= JSON_DEPTH_MOST; i++)
		json_end(j);
}

static void misuse_nothing(struct json *j)
{
	(void)j;
}

static void test_misuse(void)
{
	static void (*const uses[])(struct json * j) = {misuse_open,   misuse_end, misuse_key,
							misuse_no_key, misuse_two, misuse_deep,
							misuse_nothing};
	size_t i;

	for (i = 0; i < sizeof(uses) / sizeof(uses[0]); i++) {
		struct buffer b;
		struct json j;

		buffer_init(&b, MOST);
		json_init(&j, &b);
		uses[i](&j);
		CHECK_MSG(!json_done(&j), "misuse %zu", i);
		buffer_free(&b);
	}
}

static void test_bound(void)
{
	struct buffer b;
	struct json j;
	int i;

	buffer_init(&b, 100);
	for (i = 0; i < 10; i++)
		buffer_printf(&b, "%010d", i);
	CHECK(!b.failed);
	CHECK_INT(b.len, 100);
	buffer_str(&b, NULL);
	buffer_str(&b, "");
	CHECK(!b.failed);
	buffer_str(&b, "x");
	CHECK(b.failed);
	CHECK_INT(b.len, 100);
	CHECK_INT(b.s[100], 0);
	buffer_put(&b, "", 0); /* it sticks */
	CHECK(b.failed);
	buffer_free(&b);
	CHECK(!b.failed && !b.len && !b.s);
	for (i = 0; i < 50; i++)
		buffer_printf(&b, "%s", "yz");
	CHECK_INT(b.len, 100); /* of most again */
	buffer_free(&b);
	buffer_init(&b, 10);
	json_init(&j, &b);
	json_string(&j, NULL, "0123456789");
	CHECK(!json_done(&j));
	buffer_free(&b);
	buffer_init(&b, 5000000);
	for (i = 0; i < 100000; i++)
		buffer_printf(&b, "%050d", i);
	CHECK_INT(b.len, 5000000);
	CHECK(!b.failed && b.size <= 2 * b.len);
	buffer_free(&b);
}

static void test_clean(void)
{
	static const char dirty[] = "ok \x1b[31mred\x07 \xc3\xa4 \xc2\x9bx \xff\xe2\x82 \x7f\0z";
	struct buffer b;

	buffer_init(&b, MOST);
	buffer_clean(&b, dirty, sizeof(dirty) - 1);
	CHECK_STR(b.s, "ok ?[31mred? \xc3\xa4 ?x ??? ??z");
	buffer_free(&b);
}

TEST_MAIN({"objects and arrays", test_shape}, {"texts", test_texts}, {"any bytes", test_any_bytes},
	  {"numbers", test_numbers}, {"misuse", test_misuse}, {"the bound", test_bound},
	  {"fit for a terminal", test_clean})
