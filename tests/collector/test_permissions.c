/* test_permissions.c - what a refusal is told as, and how far RLIMIT_MEMLOCK is raised.
 */
#include "collector/permissions.h"

#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/test.h"

static void test_explain(void)
{
	char path[PERMISSIONS_PROGRAM_SIZE], why[1024], small[16];

	permissions_explain(why, sizeof(why), "opening a packet socket", "CAP_NET_RAW");
	CHECK(strstr(why, "opening a packet socket needs the capability CAP_NET_RAW: ") == why);
	CHECK(strstr(why, "sudo setcap cap_net_raw+ep "));
	CHECK(strstr(why, permissions_program(path)));
	CHECK(strstr(why, "--cap-add NET_RAW)"));
	permissions_explain(small, sizeof(small), "opening a packet socket", "CAP_NET_RAW");
	CHECK_STR(small, "opening a packe");
}

/* In a child: a soft limit that was raised to the hard one at least. */
static void test_raise_memlock(void)
{
	struct rlimit before, low, after;
	int status = 1;
	pid_t child;

	CHECK_INT(getrlimit(RLIMIT_MEMLOCK, &before), 0);
	child = fork();
	if (!child) {
		low = before;
		low.rlim_cur = 4096;
		if (setrlimit(RLIMIT_MEMLOCK, &low))
			_exit(2);
		permissions_raise_memlock();
		if (getrlimit(RLIMIT_MEMLOCK, &after))
			_exit(3);
		_exit(after.rlim_cur >= before.rlim_max ? 0 : 4);
	}
	CHECK_INT(waitpid(child, &status, 0), child);
	CHECK_INT(WIFEXITED(status) ? WEXITSTATUS(status) : -1, 0);
}

TEST_MAIN({"explain", test_explain}, {"RLIMIT_MEMLOCK", test_raise_memlock})
