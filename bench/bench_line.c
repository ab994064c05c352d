/* bench_line.c - ns per point: encoding alone, and encoding into an output that is /dev/null, with
 * its thread; and how often memory is asked for on the way.
 *
 * Points as a busy host has them: 7 of 10 TCP with every field, 2 UDP, 1 over IPv6; addresses,
 * ports and counters vary. Mark: 3 million netflow points per second and core (333 ns).
 *
 * usage: bench_line [seconds per row, default 1]
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench/bench.h"
#include "bench/null_output.h"
#include "geoip/address_class.h"
#include "output/sink_file.h"
#include "output/writer.h"

enum { POINTS = 4096 };

static struct point points[POINTS];
static char *scratch;

/* Calls of malloc(3), of this program; not known where a sanitizer has taken it. */
static uint64_t allocations;

#if defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__)
void *__libc_malloc(size_t n);
void *malloc(size_t n);

void *malloc(size_t n)
{
	__atomic_add_fetch(&allocations, 1, __ATOMIC_RELAXED);
	return __libc_malloc(n);
}
#endif

static const char *class_of(const struct ip_addr *a)
{
	return addr_class_names[addr_class_of(a)];
}

static uint64_t below(uint64_t n)
{
	return random_u64() % n;
}

static void random_address(struct ip_addr *a, bool v6, bool local)
{
	uint64_t r = random_u64();
	uint8_t v4[4] = {10, 0, 0, 7};

	if (v6) {
		memset(a, 0, sizeof(*a));
		memcpy(a->b, "\x20\x01\x0d\xb8", 4);
		memcpy(a->b + 8, &r, 8);
		return;
	}
	if (!local)
		memcpy(v4, &r, 4);
	addr_from_v4(a, v4);
}

static void make_netflow(struct point *p)
{
	struct point_netflow *n = &p->u.netflow;

	n->bytes_read = below(10000000);
	n->bytes_written = below(100000);
	n->packets_read = below(10000);
	n->packets_written = below(10000);
	if (p->transport != 6)
		return;
	p->has = POINT_HAS_TCP | POINT_HAS_RETRANSMITS_PEER | POINT_HAS_RTT |
		 POINT_HAS_CONNECT_LATENCY;
	n->retransmits = below(20) ? 0 : below(50);
	n->tcp_established = below(3);
	n->tcp_closed = below(3);
	n->rtt_us = 100 + below(200000);
	n->rtt_var_us = below(20000);
	n->connect_latency_us = 100 + below(200000);
}

static void make_points(enum point_kind kind)
{
	static const char domain[] = "www.some-service.example.com", path[] = "/api/v1/items/12345";
	size_t i;

	memset(points, 0, sizeof(points));
	for (i = 0; i < POINTS; i++) {
		struct point *p = &points[i];
		uint64_t which = below(10);

		p->kind = kind;
		p->time_ns = 1700000000000000000ULL + (kind == POINT_NETFLOW ? 0 : i);
		p->transport = which < 2 ? 17 : 6;
		p->incoming = below(4) == 0;
		random_address(&p->src.addr, which == 9, true);
		random_address(&p->dst.addr, which == 9, false);
		p->src.port_folded = true;
		p->dst.port = below(2) ? 443 : (uint16_t)below(65536);
		if (kind == POINT_NETFLOW) {
			make_netflow(p);
			continue;
		}
		p->has = POINT_HAS_LATENCY | POINT_HAS_DOMAIN;
		if (kind == POINT_DNSFLOW) {
			p->u.dnsflow.count = 1 + below(9);
			p->u.dnsflow.latency_ns = p->u.dnsflow.latency_max_ns = below(30000000);
			p->u.dnsflow.query_type = below(2) ? 1 : 28;
			p->u.dnsflow.domain.s = domain;
			p->u.dnsflow.domain.len = sizeof(domain) - 1;
		} else {
			p->u.httpflow.count = 1 + below(9);
			p->u.httpflow.latency_ns = p->u.httpflow.latency_max_ns = below(30000000);
			p->u.httpflow.method.s = "GET";
			p->u.httpflow.method.len = 3;
			p->u.httpflow.path.s = path;
			p->u.httpflow.path.len = sizeof(path) - 1;
			p->u.httpflow.status_code = 200;
			p->u.httpflow.version = 1;
		}
	}
}

static double cpu_seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void report(const char *what, double seconds, uint64_t n, uint64_t bytes)
{
	printf("%-32s %7.1f ns/point  %6.2f M points/s  %4" PRIu64 " bytes/point\n", what,
	       seconds * 1e9 / (double)n, (double)n / seconds / 1e6, bytes / n);
}

static void bench_encode(const char *what, struct line_encoder *e, double seconds)
{
	uint64_t n = 0, bytes = 0, before = allocations;
	double start = cpu_seconds(), spent;
	size_t i;

	do {
		for (i = 0; i < POINTS; i++)
			bytes += line_encode(e, &points[i], scratch);
		n += POINTS;
		spent = cpu_seconds() - start;
	} while (spent < seconds);
	before = allocations - before;
	report(what, spent, n, bytes);
	if (before)
		printf("  %" PRIu64 " allocations\n", before);
}

static int bench_write(const char *what, struct line_encoder *e, double seconds)
{
	struct outputs *os = null_outputs();
	struct line_writer *w = line_writer_new(e, os);
	uint64_t before = allocations;
	struct output_stats stats;
	struct point_sink ps;
	double start, spent;
	size_t i;
	int err;

	if (!w)
		abort();
	ps = line_writer_sink(w);
	start = cpu_seconds();
	do {
		for (i = 0; i < POINTS; i++)
			ps.put(ps.ctx, &points[i]);
		ps.end(ps.ctx, 0);
		spent = cpu_seconds() - start;
	} while (spent < seconds);
	line_writer_free(w);
	err = outputs_end(os, UINT64_MAX);
	spent = cpu_seconds() - start;
	outputs_sum(os, &stats);
	report(what, spent, stats.points_delivered, stats.bytes_sent);
	printf("  %.1f allocations for a million points\n",
	       (double)(allocations - before) * 1e6 / (double)stats.points_delivered);
	outputs_free(os);
	return err;
}

int main(int argc, char **argv)
{
	static const struct line_tag tags[] = {{"env", "prod"}, {"team", "network"}};
	struct line_config c = {
	    .host = "web-17.example.com", .tags = tags, .ntags = 2, .address_class = class_of};
	struct line_encoder *e = line_encoder_new(&c);
	double seconds = argc > 1 ? strtod(argv[1], NULL) : 1;
	int err;

	if (e)
		scratch = malloc(line_encoder_max(e));
	if (!scratch) {
		line_encoder_free(e);
		return 1;
	}
	make_points(POINT_NETFLOW);
	bench_encode("netflow, encode", e, seconds);
	err = bench_write("netflow, encode and /dev/null", e, seconds);
	make_points(POINT_DNSFLOW);
	bench_encode("dnsflow, encode", e, seconds);
	make_points(POINT_HTTPFLOW);
	bench_encode("httpflow, encode", e, seconds);
	free(scratch);
	line_encoder_free(e);
	return err ? 1 : 0;
}
