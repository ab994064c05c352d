/* record.h - a sink that keeps the points of an engine, checks what must hold for all of them, and
 * tells them in one line of text for tables of cases.
 */
#ifndef TESTS_FLOWS_RECORD_H
#define TESTS_FLOWS_RECORD_H

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "flows/point.h"

struct recorded {
	struct point p;
	char text[1100]; /* domain or path */
};

struct record {
	struct recorded *points;
	size_t n, room;
	size_t cycle_from; /* first point of the cycle under way */
	uint64_t cycles, last_end_ns;
	uint64_t last_ns;   /* newest stamp of the cycles before */
	const char *broken; /* the first rule that a point broke */
	bool sums_only;     /* keep no points, for long runs */
	struct point_netflow net;
	uint64_t dns_count, dns_retries, http_count, latency_points;
};

static inline bool record_same_tags(const struct point *a, const struct point *b)
{
	return a->kind == b->kind && a->time_ns == b->time_ns && a->transport == b->transport &&
	       a->incoming == b->incoming && a->src.port == b->src.port &&
	       a->dst.port == b->dst.port && a->src.port_folded == b->src.port_folded &&
	       a->dst.port_folded == b->dst.port_folded && addr_equal(&a->src.addr, &b->src.addr) &&
	       addr_equal(&a->dst.addr, &b->dst.addr);
}

static inline void record_rule(struct record *r, bool ok, const char *rule)
{
	if (!ok && !r->broken)
		r->broken = rule;
}

/* What docs/points.md promises of each point by itself. */
static inline void record_check(struct record *r, const struct point *p)
{
	bool tcp = p->transport == 6, latency = p->has & POINT_HAS_LATENCY;

	record_rule(r, tcp || p->transport == 17, "transport is tcp or udp");
	record_rule(r, p->time_ns > r->last_ns, "stamps of two cycles differ");
	record_rule(r, !(p->src.port_folded && p->dst.port_folded), "the server's port stays");
	if (p->kind == POINT_NETFLOW) {
		record_rule(r, tcp == !!(p->has & POINT_HAS_TCP), "tcp fields are tcp's");
		record_rule(r, tcp || !(p->has & (POINT_HAS_RTT | POINT_HAS_CONNECT_LATENCY)),
			    "udp has no rtt");
		record_rule(r, !latency, "netflow has no latency");
		if (p->has & POINT_HAS_CONNECT_ERROR)
			record_rule(
			    r,
			    tcp && p->u.netflow.tcp_connect_failed && p->u.netflow.connect_error &&
				!p->u.netflow.packets_written && !p->u.netflow.bytes_written,
			    "a connect error tells failures only");
	} else if (p->kind == POINT_DNSFLOW) {
		record_rule(r, p->u.dnsflow.count > 0, "a dnsflow counts something");
		record_rule(r, !latency || p->u.dnsflow.latency_ns <= p->u.dnsflow.latency_max_ns,
			    "mean <= max");
		record_rule(r, !latency || p->u.dnsflow.rcode >= 0, "no answer, no latency");
	} else {
		record_rule(r, p->kind == POINT_HTTPFLOW && tcp, "httpflow is over tcp");
		record_rule(r, p->u.httpflow.count > 0, "an httpflow counts something");
		record_rule(r, !latency || p->u.httpflow.latency_ns <= p->u.httpflow.latency_max_ns,
			    "mean <= max");
		record_rule(r, !latency || p->u.httpflow.status_code, "no response, no latency");
		record_rule(r, p->u.httpflow.path.len > 0, "a path is never empty");
	}
}

static inline void record_sum(struct record *r, const struct point *p)
{
	const struct point_netflow *n = &p->u.netflow;

	r->latency_points += !!(p->has & POINT_HAS_LATENCY);
	if (p->kind == POINT_DNSFLOW) {
		r->dns_count += p->u.dnsflow.count;
		r->dns_retries += p->u.dnsflow.retries;
	}
	if (p->kind == POINT_HTTPFLOW)
		r->http_count += p->u.httpflow.count;
	if (p->kind != POINT_NETFLOW)
		return;
	r->net.bytes_read += n->bytes_read;
	r->net.bytes_written += n->bytes_written;
	r->net.packets_read += n->packets_read;
	r->net.packets_written += n->packets_written;
	if (!(p->has & POINT_HAS_TCP))
		return;
	r->net.retransmits += n->retransmits;
	r->net.retransmits_peer += n->retransmits_peer;
	r->net.tcp_established += n->tcp_established;
	r->net.tcp_closed += n->tcp_closed;
	r->net.tcp_syn_retransmits += n->tcp_syn_retransmits;
	r->net.tcp_connect_failed += n->tcp_connect_failed;
	r->net.tcp_resets += n->tcp_resets;
}

static inline void record_put(void *ctx, const struct point *p)
{
	struct record *r = ctx;
	struct recorded *to;
	struct text t = {NULL, 0};

	record_check(r, p);
	record_sum(r, p);
	if (r->sums_only)
		return;
	if (r->n == r->room) {
		r->room = 2 * r->room + 64;
		r->points = realloc(r->points, r->room * sizeof(*r->points));
		if (!r->points)
			abort();
	}
	to = &r->points[r->n++];
	to->p = *p;
	if (p->kind == POINT_DNSFLOW && p->has & POINT_HAS_DOMAIN)
		t = p->u.dnsflow.domain;
	else if (p->kind == POINT_HTTPFLOW)
		t = p->u.httpflow.path;
	if (t.len >= sizeof(to->text))
		abort();
	if (t.len)
		memcpy(to->text, t.s, t.len);
	to->text[t.len] = 0;
}

/* Within a flush no two points are alike in measurement, tags and time. */
static inline void record_end(void *ctx, uint64_t cycle_end_ns)
{
	struct record *r = ctx;
	size_t i, j;

	for (i = r->cycle_from; i < r->n; i++) {
		for (j = r->cycle_from; j < i && r->n - r->cycle_from < 3000; j++)
			record_rule(r, !record_same_tags(&r->points[i].p, &r->points[j].p),
				    "two points with the same tags and time");
		if (r->points[i].p.time_ns > r->last_ns)
			r->last_ns = r->points[i].p.time_ns;
	}
	record_rule(r, !r->cycles || cycle_end_ns > r->last_end_ns, "cycles end in order");
	r->cycle_from = r->n;
	r->last_end_ns = cycle_end_ns;
	r->cycles++;
}

static inline void record_free(struct record *r)
{
	free(r->points);
	memset(r, 0, sizeof(*r));
}

/* --- in words
 * --------------------------------------------------------------------------------------- */

struct words {
	char text[4000];
	size_t len;
};

static inline void PRINTF_LIKE(2, 3) words_add(struct words *w, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(w->text + w->len, sizeof(w->text) - w->len, fmt, ap);
	va_end(ap);
	w->len += n > 0 ? (size_t)n : 0;
	if (w->len >= sizeof(w->text))
		abort();
}

static inline void words_pair(struct words *w, const char *name, uint64_t a, uint64_t b)
{
	if (a || b)
		words_add(w, " %s %" PRIu64 "/%" PRIu64, name, a, b);
}

static inline void words_count(struct words *w, const char *name, uint64_t n)
{
	if (n)
		words_add(w, " %s %" PRIu64, name, n);
}

static inline void words_netflow(struct words *w, const struct point *p)
{
	const struct point_netflow *n = &p->u.netflow;

	words_pair(w, "bytes", n->bytes_written, n->bytes_read);
	words_pair(w, "packets", n->packets_written, n->packets_read);
	if (!(p->has & POINT_HAS_TCP))
		return;
	words_pair(w, "again", n->retransmits, n->retransmits_peer);
	words_count(w, "established", n->tcp_established);
	words_count(w, "closed", n->tcp_closed);
	words_count(w, "syn-again", n->tcp_syn_retransmits);
	words_count(w, "failed", n->tcp_connect_failed);
	if (p->has & POINT_HAS_CONNECT_ERROR)
		words_add(w, " errno %u", n->connect_error);
	else if (!(p->has & POINT_HAS_RETRANSMITS_PEER))
		words_add(w, " no peer");
	words_count(w, "resets", n->tcp_resets);
	if (p->has & POINT_HAS_CONNECT_LATENCY)
		words_add(w, " connect %" PRIu64, n->connect_latency_us);
	if (p->has & POINT_HAS_RTT)
		words_add(w, " rtt %" PRIu64, n->rtt_us);
}

/* " GET /a 200 x2 10ms", " dns a.test 1 rcode 0 x1 retries 1 10ms" */
static inline void words_transaction(struct words *w, const struct recorded *r)
{
	const struct point *p = &r->p;
	uint64_t count, latency;

	if (p->kind == POINT_DNSFLOW) {
		words_add(w, " dns %s %u rcode %d", r->text, p->u.dnsflow.query_type,
			  p->u.dnsflow.rcode);
		words_count(w, "retries", p->u.dnsflow.retries);
		count = p->u.dnsflow.count;
		latency = p->u.dnsflow.latency_ns;
	} else {
		words_add(w, " %.*s %s%s %u", (int)p->u.httpflow.method.len, p->u.httpflow.method.s,
			  r->text, p->u.httpflow.truncated ? "..." : "", p->u.httpflow.status_code);
		count = p->u.httpflow.count;
		latency = p->u.httpflow.latency_ns;
	}
	if (count != 1)
		words_add(w, " x%" PRIu64, count);
	if (p->has & POINT_HAS_LATENCY)
		words_add(w, " %" PRIu64 "ms", latency / 1000000);
}

/* All points but netflow's, or netflow's only; without the first blank. */
static inline const char *record_words(const struct record *r, bool netflow, struct words *w)
{
	size_t i;

	memset(w, 0, sizeof(*w));
	for (i = 0; i < r->n; i++) {
		if ((r->points[i].p.kind == POINT_NETFLOW) != netflow)
			continue;
		if (netflow)
			words_netflow(w, &r->points[i].p);
		else
			words_transaction(w, &r->points[i]);
	}
	return w->len ? w->text + 1 : w->text;
}

#endif
