/* test.h - what every unit test uses: checks that count, a table of cases, one closing line.
 *
 *   static void test_x(void) { CHECK(a == b); CHECK_INT(got, want); CHECK_STR(got, want); }
 *   TEST_MAIN({"x", test_x}, ...)
 *
 * A program exits 0 (all passed), 1 (a check failed) or 77 (TEST_SKIP gave a reason and nothing failed).
 */
#ifndef TESTS_TEST_H
#define TESTS_TEST_H

#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static int test_failed_checks, test_checks;
static const char *test_skip_reason;

static inline bool test_check(bool ok, const char *what, const char *file, int line)
{
	test_checks++;
	if (!ok) {
		test_failed_checks++;
		printf("%s:%d: failed: %s\n", file, line, what);
	}
	return ok;
}

#define CHECK(cond) test_check(!!(cond), #cond, __FILE__, __LINE__)

/* As CHECK, with a printf text that tells the case of a table. */
#define CHECK_MSG(cond, ...)                                                                       \
	do {                                                                                       \
		if (!test_check(!!(cond), #cond, __FILE__, __LINE__)) {                            \
			printf("    " __VA_ARGS__);                                                \
			putchar('\n');                                                             \
		}                                                                                  \
	} while (0)

#define CHECK_INT(got, want)                                                                       \
	do {                                                                                       \
		int64_t got_ = (int64_t)(got), want_ = (int64_t)(want);                            \
		if (!test_check(got_ == want_, #got " == " #want, __FILE__, __LINE__))             \
			printf("    got %" PRId64 ", wanted %" PRId64 "\n", got_, want_);          \
	} while (0)

#define CHECK_STR(got, want)                                                                       \
	do {                                                                                       \
		const char *got_ = (got), *want_ = (want);                                         \
		if (!test_check(!strcmp(got_, want_), #got " == " #want, __FILE__, __LINE__))      \
			printf("    got    \"%s\"\n    wanted \"%s\"\n", got_, want_);             \
	} while (0)

#define TEST_SKIP(reason) (test_skip_reason = (reason))

struct test_case {
	const char *name;
	void (*run)(void);
};

static inline int test_run(const struct test_case *cases, size_t n)
{
	int failed = 0, skipped = 0;
	size_t i;

	for (i = 0; i < n; i++) {
		int before = test_failed_checks, checks = test_checks;

		test_skip_reason = NULL;
		cases[i].run();
		if (test_failed_checks != before) {
			printf("not ok %s\n", cases[i].name);
			failed++;
		} else if (test_skip_reason) {
			printf("skip %s: %s\n", cases[i].name, test_skip_reason);
			skipped++;
		} else if (test_checks == checks) {
			printf("not ok %s: it checked nothing\n", cases[i].name);
			failed++;
		} else {
			printf("ok %s (%d checks)\n", cases[i].name, test_checks - checks);
		}
	}
	printf("%d passed, %d failed, %d skipped\n", (int)n - failed - skipped, failed, skipped);
	return failed ? 1 : skipped == (int)n ? 77 : 0;
}

#define TEST_MAIN(...)                                                                             \
	int main(void)                                                                             \
	{                                                                                          \
		static const struct test_case cases[] = {__VA_ARGS__};                             \
		return test_run(cases, sizeof(cases) / sizeof(cases[0]));                          \
	}

#endif
