/* test_http_ca.c - output/http_ca.c: whose CA certificates are taken. */
#include "output/http_ca.h"

#include <stdlib.h>
#include <unistd.h>

#include "tests/test.h"

static char dir[] = "test_http_ca.XXXXXX", first[64], second[64], none[64];

static bool make_file(const char *path)
{
	FILE *f = fopen(path, "w");

	return f && !fclose(f);
}

static void test_find(void)
{
	const char *const places[] = {none, first, second, NULL}, *const nowhere[] = {none, NULL};

	if (!CHECK(mkdtemp(dir) != NULL))
		return;
	snprintf(first, sizeof(first), "%s/first", dir);
	snprintf(second, sizeof(second), "%s/second", dir);
	snprintf(none, sizeof(none), "%s/none", dir);
	CHECK(make_file(first) && make_file(second));

	/* libcurl's own choice is there */
	CHECK(!http_ca_find(second, NULL, places));
	CHECK(!http_ca_find(none, dir, places));
	CHECK(!http_ca_find(NULL, dir, places));
	/* it is not, or there is none */
	CHECK(http_ca_find(none, NULL, places) == first);
	CHECK(http_ca_find(none, none, places) == first);
	CHECK(http_ca_find(NULL, NULL, places) == first);
	/* nor is any other: libcurl's message says so */
	CHECK(!http_ca_find(none, NULL, nowhere));
	CHECK(!http_ca_find(NULL, NULL, nowhere + 1));
	unlink(first);
	CHECK(http_ca_find(NULL, NULL, places) == second);
	unlink(second);
	CHECK(!http_ca_find(NULL, NULL, places));
	rmdir(dir);
}

static void test_places(void)
{
	size_t n = 0;

	while (http_ca_places[n])
		CHECK_INT(*http_ca_places[n++], '/');
	CHECK(n > 0);
}

TEST_MAIN({"the first that is there", test_find}, {"absolute paths", test_places})
