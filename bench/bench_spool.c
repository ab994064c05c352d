/* bench_spool.c - the spool: parcels of 5,000 netflow lines into it, out of it, and opened again.
 *
 * usage: bench_spool [parcels, default 200]
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "bench/bench.h"
#include "output/spool.h"

enum { LINES = 5000, LINE_MOST = 400 };

static struct parcel make_parcel(void)
{
	struct parcel p = {NULL, 0, LINES};
	char *text = malloc((size_t)LINES * LINE_MOST);
	int i;

	if (!text)
		exit(1);
	for (i = 0; i < LINES; i++)
		p.size += (size_t)snprintf(
		    text + p.size, LINE_MOST,
		    "netflow,direction=outgoing,dst_ip=%u.%u.%u.%u,dst_ip_type=public,dst_port=443,"
		    "family=IPv4,host=web-17.example.com,source=netflow,src_ip=10.0.0.7,"
		    "src_ip_type=private,src_port=*,sub_source=N/A,transport=tcp "
		    "bytes_read=%ui,bytes_written=%ui,packets_read=%ui,packets_written=%ui,rtt=%ui "
		    "1700000000000000000\n",
		    (unsigned int)(random_u64() % 256), (unsigned int)(random_u64() % 256),
		    (unsigned int)(random_u64() % 256), (unsigned int)(random_u64() % 256),
		    (unsigned int)(random_u64() % 10000000), (unsigned int)(random_u64() % 100000),
		    (unsigned int)(random_u64() % 10000), (unsigned int)(random_u64() % 10000),
		    (unsigned int)(random_u64() % 200000));
	p.bytes = text;
	return p;
}

static double cpu_seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void report(const char *what, double seconds, double bytes, double points)
{
	printf("%-8s %7.1f MB/s  %6.2f M points/s\n", what, bytes / seconds / 1e6,
	       points / seconds / 1e6);
}

static struct spool *open_it(const char *dir)
{
	struct spool_config c = {.dir = dir, .max_bytes = 1ULL << 34, .segment_bytes = 8 << 20};
	char why[SINK_WHY_SIZE] = "";
	struct spool *s;

	if (spool_open(&s, &c, 1, why)) {
		fprintf(stderr, "bench_spool: %s\n", why);
		exit(1);
	}
	return s;
}

int main(int argc, char **argv)
{
	unsigned long parcels = argc > 1 ? strtoul(argv[1], NULL, 10) : 200, i;
	char dir[] = "/tmp/flowline-bench-spool-XXXXXX", lock[64];
	struct parcel p = make_parcel();
	struct spool_mark mark;
	struct spool_record r;
	struct spool *s;
	double start, bytes = (double)p.size * (double)parcels, points = LINES * (double)parcels;

	if (!mkdtemp(dir))
		return 1;
	s = open_it(dir);
	start = cpu_seconds();
	for (i = 0; i < parcels; i++)
		if (spool_append(s, &p, i + 1, &mark))
			return 1;
	report("append", cpu_seconds() - start, bytes, points);
	printf("%-8s %7.1f %% of the lines' size on disk\n", "size",
	       100.0 * (double)spool_stats(s)->bytes / bytes);
	spool_close(s);
	start = cpu_seconds();
	s = open_it(dir);
	printf("%-8s %7.2f ms for %" PRIu64 " records\n", "open", (cpu_seconds() - start) * 1e3,
	       spool_stats(s)->records);
	start = cpu_seconds();
	while (spool_next(s, 1, &r) > 0)
		spool_done(s, &r.mark, r.parcel.points, 0);
	report("take", cpu_seconds() - start, bytes, points);
	spool_close(s);
	free((char *)p.bytes);
	snprintf(lock, sizeof(lock), "%s/lock", dir);
	unlink(lock);
	return rmdir(dir) ? 1 : 0;
}
