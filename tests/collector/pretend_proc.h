/* pretend_proc.h - for tests: a /proc that says whether the host forwards. test_made is the first
 * case of a test, test_removed the last. */
#ifndef TESTS_COLLECTOR_PRETEND_PROC_H
#define TESTS_COLLECTOR_PRETEND_PROC_H

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "tests/test.h"

static char proc[] = "/tmp/flowline-proc.XXXXXX";

static void set_forwarding(int on)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/sys/net/ipv4/ip_forward", proc);
	f = fopen(path, "w");
	if (CHECK(f)) {
		fprintf(f, "%d\n", on);
		fclose(f);
	}
}

static void test_made(void)
{
	static const char *const parts[] = {"/sys", "/sys/net", "/sys/net/ipv4"};
	char path[128];
	size_t i;

	CHECK(mkdtemp(proc));
	for (i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), "%s%s", proc, parts[i]);
		CHECK_INT(mkdir(path, 0700), 0);
	}
	set_forwarding(0);
}

static void test_removed(void)
{
	static const char *const parts[] = {"/sys/net/ipv4/ip_forward", "/sys/net/ipv4", "/sys/net",
					    "/sys", ""};
	char path[128];
	size_t i;

	for (i = 0; i < 5; i++) {
		snprintf(path, sizeof(path), "%s%s", proc, parts[i]);
		CHECK_INT(remove(path), 0);
	}
}

#endif
