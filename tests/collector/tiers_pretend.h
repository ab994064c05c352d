/* tiers_pretend.h - sources and rings that do as the tests of the tiers tell them. */
#ifndef TESTS_COLLECTOR_TIERS_PRETEND_H
#define TESTS_COLLECTOR_TIERS_PRETEND_H

#include "collector/tiers.h"

#include <errno.h>
#include <stdlib.h>

#include "tests/test.h"

#define MS 1000000ULL

/* What the pretended sources are to do, and what was done with them. */
struct pretend {
	bool open, counters, close, connect;
	int poll, dump; /* results */
	uint16_t own;   /* the port of its proof */
	struct kernel_sink sink;
	struct kernel_source_stats stats;
	unsigned int tried, opens, closes, dumps, firsts;
	bool dumps_only;
	int fd1; /* its descriptor + 1 */
	unsigned int polls, rest;
};

static struct pretend sockets, probes;

static int open_it(struct pretend *x, struct kernel_source **s,
		   const struct kernel_source_config *c, const struct kernel_sink *sink, char *why)
{
	x->sink = *sink;
	x->dumps_only = c->dumps_only;
	if (x->own)
		c->own(c->own_ctx, x->own);
	x->tried++;
	if (!x->open) {
		snprintf(why, KERNEL_WHY_SIZE, "it shall not");
		return -EPERM;
	}
	x->opens++;
	*s = (struct kernel_source *)x;
	return 0;
}

static int open_sockets(struct kernel_source **s, const struct kernel_source_config *c,
			const struct kernel_sink *sink, char why[KERNEL_WHY_SIZE])
{
	return open_it(&sockets, s, c, sink, why);
}

static int open_probes(struct kernel_source **s, const struct kernel_source_config *c,
		       const struct kernel_sink *sink, char why[KERNEL_WHY_SIZE])
{
	return open_it(&probes, s, c, sink, why);
}

static int fd_of(const struct kernel_source *s)
{
	return ((const struct pretend *)s)->fd1 - 1;
}

static unsigned int rest_of(const struct kernel_source *s)
{
	return ((const struct pretend *)s)->rest;
}

static int poll_it(struct kernel_source *s, char why[KERNEL_WHY_SIZE])
{
	struct pretend *x = (struct pretend *)s;

	x->polls++;
	if (x->poll)
		snprintf(why, KERNEL_WHY_SIZE, "it broke");
	return x->poll;
}

static int dump_it(struct kernel_source *s, bool first, char why[KERNEL_WHY_SIZE])
{
	struct pretend *x = (struct pretend *)s;

	if (x->dump)
		snprintf(why, KERNEL_WHY_SIZE, "no list");
	x->dumps++;
	x->firsts += first;
	return x->dump;
}

static size_t facts_of(const struct kernel_source *s, struct kernel_fact out[KERNEL_FACTS_MOST])
{
	const struct pretend *x = (const struct pretend *)s;

	memset(out, 0, 3 * sizeof(*out));
	out[0].name = "counters";
	out[0].provider = x->counters ? "pretended" : NULL;
	out[1].name = "close";
	/* probes tell of both ends of a connection's life */
	out[1].provider = (x->close && !x->dumps_only) || x->connect ? "pretended" : NULL;
	out[2].name = "connect";
	out[2].provider = x->connect ? "pretended" : NULL;
	return 3;
}

static void stats_of(struct kernel_source *s, struct kernel_source_stats *out)
{
	*out = ((struct pretend *)s)->stats;
}

static void close_it(struct kernel_source *s)
{
	((struct pretend *)s)->closes++;
}

static const struct kernel_source_ops sockets_ops = {"socket", open_sockets, fd_of,    poll_it,
						     dump_it,  facts_of,     stats_of, close_it,
						     rest_of};
static const struct kernel_source_ops probes_ops = {"probe", open_probes, fd_of,    poll_it,
						    NULL,    facts_of,    stats_of, close_it,
						    NULL};

/* The rings: what they were told last. */
static struct {
	unsigned int calls, drains;
	size_t n;
	int result;
} rings;

static int narrow_rings(void *ctx, const struct ip_net *nets, size_t n, int bpf_fd)
{
	(void)ctx;
	(void)nets;
	CHECK_INT(bpf_fd, -1);
	rings.calls++;
	rings.n = rings.result ? 0 : n;
	return n ? rings.result : 0;
}

static void rings_have(void *ctx, bool *narrowed, bool *ebpf)
{
	(void)ctx;
	*narrowed = rings.n > 0;
	*ebpf = false;
}

static void drain_rings(void *ctx)
{
	(void)ctx;
	CHECK_INT(rings.n, 0); /* filters first */
	rings.drains++;
}

static void put(void *ctx, const struct point *p)
{
	(void)ctx;
	(void)p;
}

static void end(void *ctx, uint64_t cycle_end_ns)
{
	(void)ctx;
	(void)cycle_end_ns;
}

#endif
