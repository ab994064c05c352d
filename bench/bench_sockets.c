/* bench_sockets.c - what a dump of very many sockets costs, and the messages when all of them
 * close.
 *
 *   bench_sockets [CONNECTIONS]     default: 50000, each with both ends here: 100,000 sockets
 *
 * In a network namespace of the benchmark's own where that is permitted; the sockets are those of
 * children, as many as it takes with the limit of open files. The samples go nowhere, or through
 * the delay queue.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "collector/kernel_queue.h"
#include "collector/sockets.h"

enum {
	PORTS = 20000, /* connections to one address */
	ROUNDS = 7,
	LIFE_S = 120, /* of a child, if nobody ends it */
};

static struct {
	uint64_t samples, applied, bytes;
	struct kernel_queue *queue; /* NULL: nowhere */
} got;

struct cost {
	double wall, user, sys; /* ms */
};

static double ms(const struct timeval *t)
{
	return (double)t->tv_sec * 1e3 + (double)t->tv_usec / 1e3;
}

static struct cost now(void)
{
	struct timespec ts;
	struct rusage r;
	struct cost c;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	getrusage(RUSAGE_SELF, &r);
	c.wall = (double)ts.tv_sec * 1e3 + (double)ts.tv_nsec / 1e6;
	c.user = ms(&r.ru_utime);
	c.sys = ms(&r.ru_stime);
	return c;
}

static struct cost since(const struct cost *begin)
{
	struct cost c = now();

	c.wall -= begin->wall;
	c.user -= begin->user;
	c.sys -= begin->sys;
	return c;
}

static void print(const char *what, const struct cost *c, uint64_t n)
{
	printf("%-30s %8llu  %8.1f ms  CPU %7.1f ms = %6.1f user + %6.1f system, %5.0f ns each\n",
	       what, (unsigned long long)n, c->wall, c->user + c->sys, c->user, c->sys,
	       n ? (c->user + c->sys) * 1e6 / (double)n : 0);
}

static void take(void *ctx, const struct kernel_sample *s, const struct kernel_process *who)
{
	(void)ctx, (void)who;
	got.samples++;
	got.bytes += s->sent + s->received;
	if (got.queue)
		kernel_queue_add(got.queue, s, 1000);
}

static void apply(void *ctx, const struct kernel_sample *s)
{
	(void)ctx;
	got.applied += s->has != 0;
}

/* n connections to an address of its own, with one byte sent through each. Returns how many. */
static uint32_t open_sockets(uint32_t child, uint32_t n)
{
	struct sockaddr_in a;
	uint32_t i;
	int l = socket(AF_INET, SOCK_STREAM, 0), c, s;
	char byte = 'x';

	memset(&a, 0, sizeof(a));
	a.sin_family = AF_INET;
	a.sin_port = htons(8080);
	a.sin_addr.s_addr = htonl(0x7f010001 + child);
	if (l < 0 || bind(l, (void *)&a, sizeof(a)) || listen(l, 64))
		return 0;
	for (i = 0; i < n; i++) {
		c = socket(AF_INET, SOCK_STREAM, 0);
		if (c < 0 || connect(c, (void *)&a, sizeof(a)))
			break;
		s = accept(l, NULL, NULL);
		if (s < 0 || send(c, &byte, 1, 0) != 1 || recv(s, &byte, 1, 0) != 1)
			break;
	}
	return i;
}

/* Each child keeps its sockets until hold is closed. Returns how many connections there are. */
static uint32_t start_children(uint32_t n, int hold[2])
{
	struct rlimit r = {8192, 8192};
	uint32_t each, child, sum = 0, part;
	int ready[2];

	if (getrlimit(RLIMIT_NOFILE, &r) == 0 && r.rlim_cur < r.rlim_max) {
		r.rlim_cur = r.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &r);
	}
	each = r.rlim_cur > 2 * PORTS + 64 ? PORTS : (uint32_t)(r.rlim_cur - 64) / 2;
	if (pipe(hold) || pipe(ready))
		return 0;
	for (child = 0; child * each < n; child++) {
		pid_t pid = fork();

		if (pid < 0)
			break;
		if (pid > 0)
			continue;
		close(hold[1]);
		alarm(LIFE_S);
		part = open_sockets(child, n - child * each < each ? n - child * each : each);
		if (write(ready[1], &part, sizeof(part)) == sizeof(part))
			(void)!read(hold[0], &part, 1);
		_exit(0);
	}
	close(ready[1]);
	close(hold[0]);
	for (; child && read(ready[0], &part, sizeof(part)) == sizeof(part); child--)
		sum += part;
	close(ready[0]);
	return sum;
}

static int compare(const void *a, const void *b)
{
	const struct cost *x = a, *y = b;
	double d = x->user + x->sys - y->user - y->sys;

	return d < 0 ? -1 : d > 0;
}

/* The median of some dumps. */
static void bench_dump(struct kernel_source *s, const char *what)
{
	struct cost costs[ROUNDS], begin;
	char why[KERNEL_WHY_SIZE];
	uint64_t n = 0;
	int i;

	for (i = 0; i < ROUNDS; i++) {
		got.samples = 0;
		begin = now();
		if (kernel_source_sockets.dump(s, false, why)) {
			printf("%s: %s\n", what, why);
			return;
		}
		if (got.queue)
			kernel_queue_flush(got.queue);
		costs[i] = since(&begin);
		n = got.samples;
	}
	qsort(costs, ROUNDS, sizeof(costs[0]), compare);
	print(what, &costs[ROUNDS / 2], n);
}

/* All close at once, while the messages are read as a collector reads them. */
static void bench_close(struct kernel_source *s, int hold, uint32_t n)
{
	struct kernel_source_stats stats;
	char why[KERNEL_WHY_SIZE];
	struct cost begin = now(), c;
	struct pollfd p = {kernel_source_sockets.fd(s), POLLIN, 0};

	if (p.fd < 0) {
		printf("this kernel sends no message of closed sockets\n");
		close(hold);
		return;
	}
	got.samples = 0;
	close(hold);
	while (got.samples < 2 * (uint64_t)n && poll(&p, 1, 1000) > 0)
		if (kernel_source_sockets.poll(s, why))
			printf("poll: %s\n", why);
	c = since(&begin);
	print("messages of closed ones, read", &c, got.samples);
	kernel_source_sockets.stats(s, &stats);
	printf("%-30s %8llu\n", "lost", (unsigned long long)stats.lost);
}

int main(int argc, char **argv)
{
	uint32_t n = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 50000;
	const struct kernel_sink sink = {take, NULL, NULL};
	struct kernel_source_config config;
	char why[KERNEL_WHY_SIZE];
	struct kernel_source *s;
	struct cost begin;
	int hold[2];

	if (unshare(CLONE_NEWNET) || system("ip link set lo up"))
		printf("in the host's own network namespace\n");
	memset(&config, 0, sizeof(config));
	config.btf_path = "";
	if (kernel_queue_new(&got.queue, KERNEL_QUEUE_MOST, apply, NULL))
		return 1;
	n = start_children(n, hold);
	printf("%u connections, both ends here\n", n);
	begin = now();
	if (kernel_source_sockets.open(&s, &config, &sink, why)) {
		printf("%s\n", why);
		return 1;
	}
	begin = since(&begin);
	print("open and proof", &begin, 0);
	bench_dump(s, "dump, through the queue");
	kernel_queue_free(got.queue);
	got.queue = NULL;
	bench_dump(s, "dump");
	bench_close(s, hold[1], n);
	kernel_source_sockets.close(s);
	while (wait(NULL) > 0)
		;
	return 0;
}
