/* test_guard.c - pages that a mapped file no longer has. */
#include "geoip/guard.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/test.h"

enum { PAGES = 8 };

static size_t page;

/* A mapping of PAGES pages of 'x', of a file that has only one of them left. */
static const volatile unsigned char *map_cut(void)
{
	char path[] = "/tmp/flowline-test-guard.XXXXXX", *bytes = malloc(PAGES * page);
	int fd = mkstemp(path);
	void *map;

	memset(bytes, 'x', PAGES * page);
	CHECK(write(fd, bytes, PAGES * page) == (ssize_t)(PAGES * page));
	map = mmap(NULL, PAGES * page, PROT_READ, MAP_SHARED, fd, 0);
	CHECK(map != MAP_FAILED);
	CHECK(!ftruncate(fd, (off_t)page));
	close(fd);
	unlink(path);
	free(bytes);
	return map;
}

static void test_range(void)
{
	const volatile unsigned char *map = map_cut();
	bool lost = false;
	int n = guard_add((const void *)map, PAGES * page, &lost);

	CHECK(n >= 0);
	CHECK_INT(map[0], 'x');
	CHECK(!lost);
	CHECK_INT(map[5 * page + 7], 0);
	CHECK(lost);
	CHECK_INT(map[PAGES * page - 1], 0);
	CHECK_INT(map[page], 0);
	CHECK_INT(map[0], 'x');
	guard_remove(n);
	munmap((void *)map, PAGES * page);
}

static void test_thread(void)
{
	const volatile unsigned char *map = map_cut(), *other = map_cut();
	bool lost = false, unused;
	int n = guard_add((const void *)map, page, &unused); /* installs the handler */

	guard_thread(&lost);
	CHECK_INT(other[page], 0);
	guard_thread(NULL);
	CHECK(lost);
	guard_remove(n);
	munmap((void *)map, PAGES * page);
	munmap((void *)other, PAGES * page);
}

/* How the process ends that reads what nobody guards, or that is sent the signal. */
static int end_of(bool sent)
{
	const volatile unsigned char *map = map_cut();
	struct rlimit none = {0, 0};
	pid_t pid = fork();
	int status = 0;
	bool lost;

	if (!pid) {
		signal(SIGBUS, SIG_DFL);
		setrlimit(RLIMIT_CORE, &none);
		if (guard_add((const void *)map, 2 * page, &lost) < 0)
			_exit(2);
		if (sent)
			raise(SIGBUS);
		_exit(map[4 * page] ? 3 : 4);
	}
	CHECK(waitpid(pid, &status, 0) == pid);
	munmap((void *)map, PAGES * page);
	return status;
}

static void on_bus(int sig)
{
	_exit(sig == SIGBUS ? 77 : 78);
}

/* Whoever had the signal before gets what is not guarded. */
static void test_elsewhere(void)
{
	const volatile unsigned char *map = map_cut();
	bool lost;
	int status = 0;
	pid_t pid = fork();

	if (!pid) {
		signal(SIGBUS, on_bus);
		if (guard_add((const void *)map, 2 * page, &lost) < 0)
			_exit(2);
		_exit(map[4 * page]);
	}
	CHECK(waitpid(pid, &status, 0) == pid);
	CHECK_MSG(WIFEXITED(status) && WEXITSTATUS(status) == 77, "status %x", status);
	munmap((void *)map, PAGES * page);
}

/* Killed by the signal; valgrind repeats what faulted with other registers, so it may be another.
 */
static bool was_killed(int status)
{
	return WIFSIGNALED(status) && (WTERMSIG(status) == SIGBUS || WTERMSIG(status) == SIGSEGV);
}

static void test_ends(void)
{
	int status = end_of(false);

	CHECK_MSG(was_killed(status), "status %x", status);
	status = end_of(true);
	CHECK_MSG(was_killed(status), "status %x", status);
}

static void test_many(void)
{
	int n[GUARDS_MAX], i;
	static char bytes[1];
	bool lost;

	for (i = 0; i < GUARDS_MAX; i++) {
		n[i] = guard_add(bytes, 1, &lost);
		CHECK(n[i] >= 0);
	}
	CHECK(guard_add(bytes, 1, &lost) < 0);
	guard_remove(n[5]);
	CHECK_INT(guard_add(bytes, 1, &lost), n[5]);
	for (i = 0; i < GUARDS_MAX; i++)
		guard_remove(n[i]);
}

static void test_page(void)
{
	page = (size_t)sysconf(_SC_PAGESIZE);
	CHECK(page >= 4096);
}

TEST_MAIN({"page size", test_page}, {"the end of the unguarded", test_ends},
	  {"others' handlers", test_elsewhere}, {"range", test_range}, {"thread", test_thread},
	  {"many", test_many})
