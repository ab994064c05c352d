/* test_errno_name.c - common/errno_name.c: names, and numbers where there is none. */
#include "common/errno_name.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "tests/test.h"

static void check_name(unsigned int error, const char *want)
{
	char text[ERRNO_NAME_SIZE + 1];
	size_t len;

	memset(text, '#', sizeof(text));
	len = errno_name(error, text);
	CHECK(len <= ERRNO_NAME_SIZE);
	CHECK_INT(text[len], '#'); /* no final 0, nothing behind it */
	text[len] = 0;
	CHECK_STR(text, want);
}

static void test_names(void)
{
	check_name(ECONNREFUSED, "ECONNREFUSED");
	check_name(ETIMEDOUT, "ETIMEDOUT");
	check_name(EHOSTUNREACH, "EHOSTUNREACH");
	check_name(ENETUNREACH, "ENETUNREACH");
	check_name(EADDRNOTAVAIL, "EADDRNOTAVAIL");
	check_name(EACCES, "EACCES");
	check_name(EPERM, "EPERM");
	check_name(EPROTONOSUPPORT, "EPROTONOSUPPORT");
}

static void test_numbers(void)
{
	check_name(0, "E0");
	check_name(4000, "E4000");
	check_name(UINT_MAX, "E4294967295");
}

/* No two errnos have one name. */
static void test_distinct(void)
{
	char a[ERRNO_NAME_SIZE], b[ERRNO_NAME_SIZE];
	unsigned int i, j;

	for (i = 1; i < 200; i++)
		for (j = 1; j < i; j++) {
			size_t la = errno_name(i, a), lb = errno_name(j, b);

			CHECK_MSG(la != lb || memcmp(a, b, la), "%u and %u", i, j);
		}
}

TEST_MAIN({"names", test_names}, {"numbers", test_numbers}, {"distinct", test_distinct})
