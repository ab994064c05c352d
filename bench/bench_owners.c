/* bench_owners.c - what it costs to know who has which socket, on a host with very many.
 *
 *   bench_owners [PROCESSES [SECONDS]]     default: 5000 processes, 30 s at 1 % of a CPU
 *
 * Each process is a child of this one with ten sockets on loopback (a listener, four connections
 * with both ends, a UDP socket) in a network namespace of the benchmark's own where that is
 * permitted. They end with the benchmark, or after three minutes by themselves.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "collector/owners.h"
#include "collector/procfs.h"
#include "collector/sockdiag.h"

enum { CONNECTIONS = 4, LIFE_S = 180 };

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static long rss_kib(void)
{
	FILE *f = fopen("/proc/self/statm", "re");
	long pages = 0;

	if (f) {
		if (fscanf(f, "%*d %ld", &pages) != 1)
			pages = 0;
		fclose(f);
	}
	return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

/* The child's sockets; each child has an address of its own in 127.0.0.0/8. */
static bool open_sockets(uint32_t child)
{
	struct sockaddr_in a;
	int i, l = socket(AF_INET, SOCK_STREAM, 0), c;

	memset(&a, 0, sizeof(a));
	a.sin_family = AF_INET;
	a.sin_port = htons(8080);
	a.sin_addr.s_addr = htonl(0x7f010000 + child);
	if (l < 0 || bind(l, (void *)&a, sizeof(a)) || listen(l, CONNECTIONS))
		return false;
	for (i = 0; i < CONNECTIONS; i++) {
		c = socket(AF_INET, SOCK_STREAM, 0);
		if (c < 0 || connect(c, (void *)&a, sizeof(a)) || accept(l, NULL, NULL) < 0)
			return false;
	}
	return bind(socket(AF_INET, SOCK_DGRAM, 0), (void *)&a, sizeof(a)) == 0;
}

static uint32_t start_children(uint32_t n, int hold[2])
{
	int ready[2];
	uint32_t i, good = 0;
	char c;

	if (pipe(ready))
		return 0;
	for (i = 0; i < n; i++) {
		pid_t pid = fork();

		if (pid < 0)
			break;
		if (pid == 0) {
			close(hold[1]);
			alarm(LIFE_S);
			c = open_sockets(i + 1) ? 'y' : 'n';
			if (write(ready[1], &c, 1) == 1)
				(void)!read(hold[0], &c, 1); /* until the benchmark ends */
			_exit(0);
		}
	}
	for (n = i; n; n--)
		good += read(ready[0], &c, 1) == 1 && c == 'y';
	close(ready[0]);
	close(ready[1]);
	return good;
}

static struct {
	uint64_t n;
	struct sock_entry last;
} counted;

static void count(void *ctx, const struct sock_entry *s)
{
	(void)ctx;
	counted.n++;
	if (s->state == SOCK_ESTABLISHED && s->remote.port == 8080)
		counted.last = *s;
}

static void bench_dump(struct sockdiag *d, const char *what, uint8_t proto, bool info)
{
	struct sock_visitor v = {NULL, count, NULL};
	struct sock_query q = {proto, SOCK_STATES_ALL, info};
	uint64_t begin = now_ns(), cpu = procfs_cpu_ns();
	int err;

	counted.n = 0;
	err = sockdiag_dump(d, &q, &v);
	printf("%-22s %8llu sockets  %8.2f ms  %8.2f ms CPU%s\n", what,
	       (unsigned long long)counted.n, (double)(now_ns() - begin) / 1e6,
	       (double)(procfs_cpu_ns() - cpu) / 1e6, err ? "  FAILED" : "");
}

static void bench_lookup(struct sockdiag *d)
{
	struct sock_entry want = counted.last, s;
	uint64_t cpu = procfs_cpu_ns();
	int i, found = 0;

	for (i = 0; i < 20000; i++)
		found += sockdiag_lookup(d, 6, &want.local, &want.remote, &s) == 1;
	printf("%-22s %8d found    %8.2f us CPU each\n", "TCP lookup", found,
	       (double)(procfs_cpu_ns() - cpu) / 20000 / 1e3);
}

static void bench_scan(void)
{
	struct procfs *p;
	uint64_t begin = now_ns(), hunt;
	uint32_t inode = 4000000000U;
	long before = rss_kib();
	int r;

	if (procfs_new(&p, NULL, 262144))
		return;
	do
		r = procfs_scan(p, 2000000);
	while (r == 0);
	printf("%-22s %8llu sockets  %8.2f ms  %8.2f ms CPU, %llu processes, %llu links, %ld KiB\n",
	       "scan of /proc", (unsigned long long)procfs_stats(p)->sockets,
	       (double)(now_ns() - begin) / 1e6, (double)procfs_stats(p)->round_cpu_ns / 1e6,
	       (unsigned long long)procfs_stats(p)->processes,
	       (unsigned long long)procfs_stats(p)->links, rss_kib() - before);
	hunt = procfs_cpu_ns();
	(void)procfs_hunt(p, &inode, 1, 1000000000);
	printf("%-22s %8llu looked at            %8.2f ms CPU\n", "hunt in vain",
	       (unsigned long long)procfs_stats(p)->hunted, (double)(procfs_cpu_ns() - hunt) / 1e6);
	procfs_free(p);
}

static uint64_t answers, good_answers;

static void found(void *ctx, const struct flow_key *key, int end, uint32_t owner, bool final)
{
	(void)ctx, (void)key, (void)end;
	answers += final;
	good_answers += final && owner != OWNER_NONE;
}

/* A young process connects, as bench_run asks; returns the client's port. */
static uint16_t connect_once(int *fd)
{
	struct sockaddr_in a;
	socklen_t len = sizeof(a);

	memset(&a, 0, sizeof(a));
	a.sin_family = AF_INET;
	a.sin_port = htons(8080);
	a.sin_addr.s_addr = htonl(0x7f010001);
	*fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0); /* nobody accepts it */
	if (connect(*fd, (void *)&a, sizeof(a)) && errno != EINPROGRESS)
		return 0;
	(void)getsockname(*fd, (void *)&a, &len);
	return ntohs(a.sin_port);
}

/* The real thing: each 20 ms a new process connects, is asked for, and ends 20 ms later. */
static void bench_run(unsigned int seconds)
{
	struct owners_config c;
	struct owners *o;
	struct owners_stats s;
	uint64_t begin = now_ns(), asked = 0;
	long before = rss_kib();
	int up[2];

	owners_config_default(&c);
	if (owners_new(&o, &c) || pipe(up))
		return;
	while (now_ns() - begin < seconds * 1000000000ULL) {
		struct {
			struct sock_end local, remote;
		} t;
		struct flow_key k;
		uint16_t port = 0;
		pid_t pid = fork();
		int fd;

		if (pid == 0) {
			port = connect_once(&fd);
			(void)!write(up[1], &port, sizeof(port));
			usleep(20000);
			_exit(0);
		}
		if (read(up[0], &port, sizeof(port)) != sizeof(port))
			break;
		memset(&t, 0, sizeof(t));
		addr_from_v4(&t.local.addr, (const uint8_t[]){127, 0, 0, 1});
		addr_from_v4(&t.remote.addr, (const uint8_t[]){127, 1, 0, 1});
		memcpy(&k.w[0], t.local.addr.b, 16);
		memcpy(&k.w[2], t.remote.addr.b, 16);
		k.w[4] = port | 8080u << 16 | 6ULL << 32;
		asked += port && owners_add(o, &k, 1, now_ns());
		usleep(10000);
		owners_work(o, now_ns(), found, NULL);
		waitpid(pid, NULL, 0);
	}
	owners_stats(o, &s);
	printf("%-22s %8llu asked, %llu answered, %llu with a process; %.2f %% CPU (%.0f ms in "
	       "%.1f s), "
	       "%llu scans, throttled %llu, %ld KiB\n",
	       "at 1 %, short ones", (unsigned long long)asked, (unsigned long long)answers,
	       (unsigned long long)good_answers,
	       (double)s.cpu_ns * 100 / (double)(now_ns() - begin), (double)s.cpu_ns / 1e6,
	       (double)(now_ns() - begin) / 1e9, (unsigned long long)s.scans,
	       (unsigned long long)s.throttled, rss_kib() - before);
	owners_free(o);
}

int main(int argc, char **argv)
{
	uint32_t n = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 5000;
	unsigned int seconds = argc > 2 ? (unsigned int)strtoul(argv[2], NULL, 10) : 30;
	struct sockdiag *d;
	int hold[2];

	if (unshare(CLONE_NEWNET) || system("ip link set lo up"))
		printf("in the host's own network namespace\n");
	if (pipe(hold) || sockdiag_new(&d, NULL, 0))
		return 1;
	n = start_children(n, hold);
	printf("%u processes with %d sockets each\n", n, 2 * CONNECTIONS + 2);
	bench_dump(d, "UDP dump", 17, false);
	bench_dump(d, "TCP dump", 6, false);
	bench_dump(d, "TCP dump, tcp_info", 6, true);
	bench_lookup(d);
	bench_scan();
	bench_run(seconds);
	sockdiag_free(d);
	close(hold[1]);
	while (wait(NULL) > 0)
		;
	return 0;
}
