/* test_procfs.c - sockets of this process and its children, a /proc made by hand, and stat lines.
 */
#include "collector/procfs.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/test.h"

static uint32_t inode_of(int fd)
{
	char path[64], link[64];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	n = readlink(path, link, sizeof(link) - 1);
	link[n > 0 ? n : 0] = 0;
	return n > 8 ? (uint32_t)strtoul(link + 8, NULL, 10) : 0;
}

/* A whole scan, in steps of 100 us; returns how many. */
static int scan(struct procfs *p)
{
	int steps = 0, r;

	do {
		r = procfs_scan(p, 100000);
		steps++;
	} while (r == 0 && steps < 100000);
	CHECK_INT(r, 1);
	return steps;
}

static void test_scan(void)
{
	struct procfs_process who[PROCFS_HOLDERS];
	const struct procfs_netns *ns;
	int fd = socket(AF_INET, SOCK_DGRAM, 0), ready[2];
	uint32_t inode = inode_of(fd);
	struct procfs *p;
	pid_t child;
	char c;

	if (!CHECK(procfs_new(&p, NULL, 65536) == 0))
		return;
	prctl(PR_SET_NAME, "test_procfs", 0, 0, 0); /* whatever runs it */
	CHECK_INT(procfs_holders(p, inode, who), 0);
	scan(p);
	CHECK_INT(procfs_holders(p, inode, who), 1);
	CHECK_INT(who[0].pid, getpid());
	CHECK(strstr(who[0].name, "procfs") != NULL);
	CHECK(who[0].start_ticks > 0);
	CHECK(procfs_netns(p, &ns) >= 1);
	CHECK(procfs_stats(p)->processes >= 1 && procfs_stats(p)->sockets >= 1);
	/* a child inherits it: two holders, oldest first */
	CHECK_INT(pipe(ready), 0);
	child = fork();
	if (child == 0) {
		close(ready[1]);
		_exit(read(ready[0], &c, 1) > 0);
	}
	close(ready[0]);
	scan(p);
	CHECK_INT(procfs_holders(p, inode, who), 2);
	CHECK(who[0].pid == (uint32_t)getpid() && who[1].pid == (uint32_t)child);
	close(ready[1]);
	waitpid(child, NULL, 0);
	CHECK_INT(procfs_holders(p, inode, who), 1); /* it is read anew: the child is gone */
	close(fd);
	scan(p);
	CHECK_INT(procfs_holders(p, inode, who), 0); /* a round did not see it */
	procfs_free(p);
}

static void *hold_socket(void *arg)
{
	int *fd = arg;

	*fd = socket(AF_INET, SOCK_DGRAM, 0);
	return NULL;
}

/* A process born after the last scan, and a socket made by a thread. */
static void test_hunt(void)
{
	struct procfs_process who[PROCFS_HOLDERS];
	int up[2], down[2], fd = -1;
	uint32_t inode = 0;
	struct procfs *p;
	pthread_t thread;
	pid_t child;
	char c = 0;

	if (!CHECK(procfs_new(&p, NULL, 65536) == 0))
		return;
	scan(p);
	CHECK(pipe(up) == 0 && pipe(down) == 0);
	child = fork();
	if (child == 0) {
		close(down[1]);
		inode = inode_of(socket(AF_INET, SOCK_STREAM, 0));
		if (write(up[1], &inode, sizeof(inode)) != sizeof(inode))
			_exit(1);
		_exit(read(down[0], &c, 1) > 0);
	}
	close(down[0]);
	CHECK_INT(read(up[0], &inode, sizeof(inode)), sizeof(inode));
	CHECK_INT(procfs_hunt(p, &inode, 1, 1000000000), 1);
	CHECK(procfs_holders(p, inode, who) == 1 && who[0].pid == (uint32_t)child);
	CHECK_INT(pthread_create(&thread, NULL, hold_socket, &fd), 0);
	pthread_join(thread, NULL);
	inode = inode_of(fd);
	CHECK_INT(procfs_hunt(p, &inode, 1, 1000000000), 1);
	CHECK(procfs_holders(p, inode, who) == 1 && who[0].pid == (uint32_t)getpid());
	inode = 4000000000U;
	CHECK_INT(procfs_hunt(p, &inode, 1, 1000000000), 0);
	close(fd);
	close(down[1]);
	close(up[0]);
	close(up[1]);
	waitpid(child, NULL, 0);
	procfs_free(p);
}

/* The CPU time given is kept to; each call does something. */
static void test_share(void)
{
	uint64_t before, used;
	struct procfs *p;
	int i, fds[512], n;

	if (!CHECK(procfs_new(&p, NULL, 65536) == 0))
		return;
	for (n = 0; n < 512; n++)
		if ((fds[n] = socket(AF_INET, SOCK_DGRAM, 0)) < 0)
			break;
	CHECK(scan(p) >= 1);
	for (i = 0; i < 50; i++) {
		before = procfs_cpu_ns();
		CHECK(procfs_scan(p, 1) >= 0);
		used = procfs_cpu_ns() - before;
		CHECK_MSG(used < 20000000, "a call of 1 ns took %llu ns", (unsigned long long)used);
	}
	while (n--)
		close(fds[n]);
	procfs_free(p);
}

/* More sockets than there is room for. */
static void test_full(void)
{
	struct procfs *p;
	int i, fds[20];

	if (!CHECK(procfs_new(&p, NULL, 8) == 0))
		return;
	for (i = 0; i < 20; i++)
		fds[i] = socket(AF_INET, SOCK_DGRAM, 0);
	scan(p);
	CHECK_INT(procfs_stats(p)->sockets, 8);
	CHECK(procfs_stats(p)->sockets_full >= 12);
	for (i = 0; i < 20; i++)
		close(fds[i]);
	scan(p);
	CHECK(procfs_stats(p)->sockets <= 8);
	procfs_free(p);
}

static void test_stat(void)
{
	static const char tail[] = " S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 987654 20 21\n";
	static const struct {
		const char *comm;
	} names[] = {{"nginx"}, {"a) b (c"}, {""}, {") S 1 2 3"}, {"\xc3\xa4\n\t"}};
	struct procfs_process who;
	char text[256];
	size_t i, len;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(text, sizeof(text), "4711 (%s)%s", names[i].comm, tail);
		CHECK(procfs_parse_stat(text, strlen(text), &who));
		CHECK_STR(who.name, names[i].comm);
		CHECK_INT(who.start_ticks, 987654);
		CHECK_INT(who.pid, 4711);
		for (len = 0; len + sizeof("987654 20 21\n") < strlen(text); len++) {
			char *cut = malloc(len + 1);

			memcpy(cut, text, len);
			(void)procfs_parse_stat(cut, len, &who);
			free(cut);
		}
	}
	CHECK(!procfs_parse_stat("", 0, &who));
	CHECK(!procfs_parse_stat("1 (x", 4, &who));
}

static void test_missing(void)
{
	struct procfs_process who;
	struct procfs *p;
	uint32_t inode = 7;

	if (!CHECK(procfs_new(&p, "/proc/self/no-such-place", 64) == 0))
		return;
	CHECK_INT(procfs_scan(p, 1000000), -ENOENT);
	CHECK_INT(procfs_hunt(p, &inode, 1, 1000000), 0);
	CHECK(procfs_process_read(p, 1, &who) < 0);
	procfs_free(p);
}

TEST_MAIN({"scan", test_scan}, {"hunt", test_hunt}, {"share", test_share}, {"full", test_full},
	  {"stat", test_stat}, {"missing", test_missing})
