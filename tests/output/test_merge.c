/* test_merge.c - output/merge.c: what is left out, what is folded, and that no total ever changes.
 */
#include "output/merge.h"

#include <errno.h>
#include <stdlib.h>

#include "output/line.h"
#include "tests/test.h"

enum { POINTS = 2000 };

/* Everything that must stay the same, over all points of a measurement. */
struct totals {
	uint64_t sums[20];
	uint64_t max_ns;
};

struct seen {
	struct line_encoder *encoder;
	struct totals totals[POINT_SELF];
	size_t series[POINT_SELF]; /* of this cycle */
	size_t n, ends, others;
	uint64_t end_ns;
	char *lines[3 * POINTS];
};

static const char *class_of(const struct ip_addr *a)
{
	return a->b[15] % 2 ? "private" : a->b[15] % 3 ? NULL : "other";
}

static void total_point(struct totals *t, const struct point *p)
{
	const struct point_netflow *n = &p->u.netflow;
	const uint64_t net[] = {n->bytes_read, n->bytes_written, n->packets_read,
				n->packets_written};
	const uint64_t tcp[] = {n->retransmits, n->retransmits_peer,    n->tcp_established,
				n->tcp_closed,  n->tcp_syn_retransmits, n->tcp_connect_failed,
				n->tcp_resets};
	uint64_t max = 0;
	size_t i;

	if (p->kind == POINT_NETFLOW) {
		for (i = 0; i < 4; i++)
			t->sums[i] += net[i];
		for (i = 0; (p->has & POINT_HAS_TCP) && i < 7; i++)
			if (i != 1 || p->has & POINT_HAS_RETRANSMITS_PEER)
				t->sums[4 + i] += tcp[i];
		if (p->has & POINT_HAS_RTT) {
			t->sums[11] += n->rtt_samples;
			t->sums[12] += n->rtt_sum_us;
			t->sums[13] += n->rtt_var_sum_us;
		}
		if (p->has & POINT_HAS_CONNECT_LATENCY) {
			t->sums[14] += n->connects;
			t->sums[15] += n->connect_sum_ns;
		}
	} else if (p->kind == POINT_DNSFLOW) {
		t->sums[0] += p->u.dnsflow.count;
		t->sums[1] += p->u.dnsflow.retries;
		if (p->has & POINT_HAS_LATENCY) {
			t->sums[2] += p->u.dnsflow.answered;
			t->sums[3] += p->u.dnsflow.latency_sum_ns;
			max = p->u.dnsflow.latency_max_ns;
		}
	} else {
		t->sums[0] += p->u.httpflow.count;
		if (p->has & POINT_HAS_LATENCY) {
			t->sums[2] += p->u.httpflow.answered;
			t->sums[3] += p->u.httpflow.latency_sum_ns;
			max = p->u.httpflow.latency_max_ns;
		}
	}
	if (max > t->max_ns)
		t->max_ns = max;
}

static bool means_are_right(const struct point *p)
{
	const struct point_netflow *n = &p->u.netflow;

	if (p->kind == POINT_NETFLOW)
		return (!(p->has & POINT_HAS_RTT) ||
			(n->rtt_us == n->rtt_sum_us / n->rtt_samples &&
			 n->rtt_var_us == n->rtt_var_sum_us / n->rtt_samples)) &&
		       (!(p->has & POINT_HAS_CONNECT_LATENCY) ||
			n->connect_latency_us == n->connect_sum_ns / n->connects / 1000);
	if (!(p->has & POINT_HAS_LATENCY))
		return true;
	if (p->kind == POINT_DNSFLOW)
		return p->u.dnsflow.latency_ns ==
		       p->u.dnsflow.latency_sum_ns / p->u.dnsflow.answered;
	return p->u.httpflow.latency_ns == p->u.httpflow.latency_sum_ns / p->u.httpflow.answered;
}

static void see_point(void *ctx, const struct point *p)
{
	struct seen *s = ctx;
	char *out = malloc(line_encoder_max(s->encoder));
	size_t len = line_encode(s->encoder, p, out);

	if (p->kind < POINT_SELF) {
		total_point(&s->totals[p->kind], p);
		s->series[p->kind]++;
		if (!means_are_right(p))
			CHECK_MSG(false, "mean: %.*s", (int)len, out);
	}
	s->lines[s->n] = malloc(len + 1);
	memcpy(s->lines[s->n], out, len);
	s->lines[s->n][len] = 0;
	s->others += strstr(s->lines[s->n], POINT_OTHER) != NULL;
	s->n++;
	free(out);
}

static void see_end(void *ctx, uint64_t cycle_end_ns)
{
	struct seen *s = ctx;

	s->ends++;
	s->end_ns = cycle_end_ns;
}

static void seen_free(struct seen *s)
{
	size_t i;

	for (i = 0; i < s->n; i++)
		free(s->lines[i]);
	line_encoder_free(s->encoder);
	free(s);
}

static struct seen *seen_new(const struct merge_config *c)
{
	struct seen *s = calloc(1, sizeof(*s));
	struct line_config lc = {.host = "h",
				 .address_class = class_of,
				 .exclude = c->exclude,
				 .nexclude = c->nexclude,
				 .key_fields_as_tags = c->key_fields_as_tags};

	if (s)
		s->encoder = line_encoder_new(&lc);
	if (!s || !s->encoder)
		abort();
	return s;
}

/* A merge whose points are seen by s. */
static struct merge *merge_to(struct seen *s, struct merge_config *c, struct point_sink *sink)
{
	struct point_sink next = {.put = see_point, .end = see_end, .ctx = s};
	struct merge *m;

	c->next = next;
	m = merge_new(c);
	if (!m)
		abort();
	*sink = merge_sink(m);
	return m;
}

static int compare_lines(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Rule 3 of docs/points.md: tags (up to the first blank that is not escaped) and time. */
static size_t count_alike(struct seen *s)
{
	char **keys = malloc((s->n + 1) * sizeof(*keys)), *end, *time;
	size_t i, alike = 0;

	for (i = 0; i < s->n; i++) {
		keys[i] = malloc(strlen(s->lines[i]) + 1);
		memcpy(keys[i], s->lines[i], strlen(s->lines[i]) + 1);
		for (end = keys[i]; *end != ' ' || end[-1] == '\\'; end++)
			;
		time = strrchr(s->lines[i], ' ');
		memcpy(end, time, strlen(time) + 1);
	}
	qsort(keys, s->n, sizeof(*keys), compare_lines);
	for (i = 1; i < s->n; i++)
		alike += !strcmp(keys[i - 1], keys[i]);
	for (i = 0; i < s->n; i++)
		free(keys[i]);
	free(keys);
	return alike;
}

/* --- random points
 * ---------------------------------------------------------------------------------- */

static uint64_t random_state;

static uint32_t below(uint32_t n)
{
	random_state = random_state * 6364136223846793005ULL + 1442695040888963407ULL;
	return (uint32_t)(random_state >> 33) % n;
}

static struct text word(const char *const *words, uint32_t n)
{
	const char *s = words[below(n)];
	struct text t = {s, (uint32_t)strlen(s)};

	return t;
}

static struct geo_info places[6];

static void make_places(void)
{
	static const char *const words[] = {"", "DE", "Berlin", "a b", "1", "\xff"};
	size_t i;

	for (i = 0; i < 6; i++) {
		places[i].country = word(words, 6);
		places[i].province = word(words, 6);
		places[i].city = word(words, 6);
		places[i].isp = word(words, 6);
		places[i].asn = word(words, 6);
		places[i].has_coordinates = below(3);
		places[i].lat = below(90);
	}
	memset(&places[5], 0, sizeof(places[5]));
	places[5].has_coordinates = true;
}

static void make_connect_error(struct point *p)
{
	struct point_netflow *n = &p->u.netflow;

	p->has = POINT_HAS_TCP | POINT_HAS_CONNECT_ERROR;
	memset(n, 0, sizeof(*n));
	n->tcp_connect_failed = 1 + below(5);
	n->connect_error = (uint16_t)(110 + below(3));
}

static void make_netflow_counts(struct point *p)
{
	struct point_netflow *n = &p->u.netflow;
	struct point_netflow v = {below(1 << 20),
				  below(1 << 20),
				  below(99),
				  below(99),
				  below(9),
				  below(9),
				  0,
				  0,
				  below(3),
				  below(3),
				  0,
				  below(3),
				  below(3),
				  below(3),
				  1 + below(5),
				  below(1 << 20),
				  below(1 << 20),
				  1 + below(5),
				  below(1 << 30),
				  0};

	*n = v;
	n->rtt_us = n->rtt_sum_us / n->rtt_samples;
	n->rtt_var_us = n->rtt_var_sum_us / n->rtt_samples;
	n->connect_latency_us = n->connect_sum_ns / n->connects / 1000;
	p->has = below(8) | (below(3) ? POINT_HAS_RETRANSMITS_PEER : 0);
	if (!below(8))
		make_connect_error(p);
}

static void make_transaction_counts(struct point *p)
{
	static const char *const domains[] = {"a.example", "b.example", "~other", "", "c,d e"};
	static const char *const paths[] = {"/", "/a", "/b c", "~other", "*", "/user/1", "/user/2"};
	static const char *const methods[] = {"GET", "POST"};

	p->has = (below(2) ? POINT_HAS_LATENCY : 0) | POINT_HAS_DOMAIN |
		 (below(9) ? POINT_HAS_QUERY_TYPE : 0);
	if (p->kind == POINT_DNSFLOW) {
		struct point_dnsflow v = {.count = 1 + below(9),
					  .retries = below(3),
					  .answered = 1 + below(4),
					  .latency_sum_ns = below(1 << 30),
					  .latency_max_ns = below(1 << 30),
					  .rcode = (int32_t)below(5) - 1,
					  .query_type = (uint16_t)below(30),
					  .domain = word(domains, 5)};

		v.latency_ns = v.latency_sum_ns / v.answered;
		p->u.dnsflow = v;
	} else {
		struct point_httpflow v = {.count = 1 + below(9),
					   .answered = 1 + below(4),
					   .latency_sum_ns = below(1 << 30),
					   .latency_max_ns = below(1 << 30),
					   .method = word(methods, 2),
					   .path = word(paths, 7),
					   .truncated = !below(5),
					   .status_code = (uint16_t)(200 + below(3)),
					   .version = (uint8_t)below(4)};

		v.latency_ns = v.latency_sum_ns / v.answered;
		p->u.httpflow = v;
	}
}

static void make_point(struct point *p, uint32_t addresses)
{
	static const char *const words[] = {"", "", "nginx", "~other", "x=y"};
	uint8_t v4[4] = {10, 0, 0, 0};

	memset(p, 0, sizeof(*p));
	p->kind = (enum point_kind)below(POINT_SELF);
	p->transport = below(3) ? 6 : 17;
	p->incoming = below(2);
	v4[3] = (uint8_t)below(3);
	addr_from_v4(&p->src.addr, v4);
	v4[3] = (uint8_t)below(addresses);
	addr_from_v4(&p->dst.addr, v4);
	if (!below(5))
		p->dst.addr.b[0] = 0x20;
	p->src.port = (uint16_t)below(3);
	p->src.port_folded = below(2);
	p->dst.port = (uint16_t)below(3);
	p->pid = below(3);
	p->process_name = word(words, 5);
	p->container_id = word(words, 3);
	p->dst_domain = word(words, 5);
	p->src_geo = below(2) ? &places[below(6)] : NULL;
	p->dst_geo = below(2) ? &places[below(6)] : NULL;
	if (p->kind == POINT_NETFLOW)
		make_netflow_counts(p);
	else
		make_transaction_counts(p);
}

/* --- tests
 * ------------------------------------------------------------------------------------------ */

/* One cycle of points; what came out. */
static struct seen *run(const struct merge_config *config, uint64_t seed, uint32_t addresses,
			struct totals *in, struct merge_stats *stats)
{
	struct merge_config c = *config;
	struct seen *s = seen_new(config);
	struct point_sink sink;
	struct merge *m;
	struct point p;
	int i;

	c.address_class = class_of;
	m = merge_to(s, &c, &sink);
	random_state = seed;
	make_places();
	for (i = 0; i < POINTS; i++) {
		make_point(&p, addresses);
		total_point(&in[p.kind], &p);
		sink.put(sink.ctx, &p);
	}
	sink.end(sink.ctx, 1000000);
	*stats = *merge_stats(m);
	merge_free(m);
	return s;
}

/* The same totals with any combination of exclusions, limit and place of key fields; never two
 * points alike; never more than the limit; and twice the same. */
static void test_totals(void)
{
	const char *names[POINT_TAGS];
	uint32_t limits[] = {0, 1, 2, 3, 7, 40, 100, 500};
	int round, kind, tag;

	for (round = 0; round < 96; round++) {
		struct totals in[POINT_SELF], in2[POINT_SELF];
		struct merge_config c = {.exclude = names,
					 .max_points = round % 5 ? 3 * POINTS : 200,
					 .key_fields_as_tags = round & 1};
		struct merge_stats st, st2;
		struct seen *s, *s2;
		bool same;
		size_t i;

		memset(in, 0, sizeof(in));
		memset(in2, 0, sizeof(in2));
		random_state = (uint64_t)round * 77 + 5;
		c.max_series = limits[round / 2 % 8];
		for (tag = 0; tag < POINT_TAGS; tag++)
			if (below(4) < (uint32_t)round % 4)
				names[c.nexclude++] = line_tag_names[tag];
		s = run(&c, (uint64_t)round, 1 + (uint32_t)round, in, &st);
		s2 = run(&c, (uint64_t)round, 1 + (uint32_t)round, in2, &st2);
		CHECK(!memcmp(in, s->totals, sizeof(in)));
		CHECK_INT(count_alike(s), 0);
		CHECK_INT(st.taken, POINTS);
		CHECK_INT(st.written, s->n);
		CHECK(s->ends == 1);
		for (kind = 0; kind < POINT_SELF && c.max_series; kind++)
			CHECK(s->series[kind] <= c.max_series);
		same = s->n == s2->n && st.series_limited == st2.series_limited;
		for (i = 0; same && i < s->n; i++)
			same = !strcmp(s->lines[i], s2->lines[i]);
		CHECK_MSG(same, "round %d differs the second time", round);
		seen_free(s);
		seen_free(s2);
	}
}

static struct point small_point(enum point_kind kind, int dst)
{
	uint8_t v4[4] = {10, 0, (uint8_t)(dst >> 8), (uint8_t)dst};
	struct point p;

	memset(&p, 0, sizeof(p));
	p.kind = kind;
	p.transport = 6;
	addr_from_v4(&p.dst.addr, v4);
	v4[0] = 192;
	v4[2] = v4[3] = 1;
	addr_from_v4(&p.src.addr, v4);
	p.src.port_folded = true;
	p.dst.port = 80;
	p.u.netflow.bytes_read = kind == POINT_NETFLOW;
	return p;
}

/* As many series as the limit: nothing is folded. One more: some are, and the totals stay. */
static void test_limit(void)
{
	static const char *const none[1];
	int n, i;

	for (n = 100; n <= 1000; n += n == 100 ? 1 : 899) {
		struct merge_config c = {.exclude = none, .max_series = 100, .max_points = 100000};
		struct seen *s = seen_new(&c);
		struct point_sink sink;
		struct merge *m;
		struct point p;

		m = merge_to(s, &c, &sink);
		for (i = 0; i < 2 * n; i++) {
			p = small_point(POINT_NETFLOW, i % n);
			sink.put(sink.ctx, &p);
		}
		sink.end(sink.ctx, 5);
		CHECK_INT(s->totals[POINT_NETFLOW].sums[0], 2 * n);
		CHECK(s->series[POINT_NETFLOW] <= 100);
		CHECK(n == 100 ? s->n == 100 : s->n > 75);
		CHECK_INT(s->others, n == 100 ? 0 : 1);
		CHECK_INT(merge_stats(m)->series_limited, n == 100 ? 0 : 2 * (n - ((int)s->n - 1)));
		if (n > 100)
			CHECK(strstr(s->lines[s->n - 1], "dst_ip=~other,dst_port=80,"));
		/* the next cycle begins anew */
		p = small_point(POINT_NETFLOW, 5000);
		sink.put(sink.ctx, &p);
		sink.end(sink.ctx, 6);
		CHECK(strstr(s->lines[s->n - 1], "dst_ip=10.0.19.136,"));
		merge_free(m);
		seen_free(s);
	}
}

/* Points that differ in an excluded tag, and those whose class still differs. */
static void test_exclude(void)
{
	static const char *const names[] = {"dst_ip", "host", "no_such_tag"};
	static const struct geo_info berlin = {.has_coordinates = true, .lat = 52.5, .lon = 13.4};
	struct merge_config c = {
	    .exclude = names, .nexclude = 3, .max_points = 10, .address_class = class_of};
	struct seen *s = seen_new(&c);
	struct point_sink sink;
	struct point p;
	struct merge *m;
	int i;

	m = merge_to(s, &c, &sink);
	for (i = 0; i < 4; i++) {
		p = small_point(POINT_NETFLOW, 1 + i);
		p.dst_geo = i == 3 ? NULL : &berlin;
		sink.put(sink.ctx, &p);
	}
	sink.end(sink.ctx, 9);
	CHECK_INT(s->n, 2);
	CHECK_STR(s->lines[0],
		  "netflow,direction=outgoing,dst_ip_type=private,dst_port=80,family=IPv4,"
		  "source=netflow,src_ip=192.0.1.1,src_ip_type=private,src_port=*,"
		  "sub_source=N/A,transport=tcp bytes_read=2i,bytes_written=0i,"
		  "packets_read=0i,packets_written=0i,dst_lat=52.5,dst_lon=13.4 9\n");
	/* no class; and of two places, so of none */
	CHECK(!strstr(s->lines[1], "dst_ip_type") && strstr(s->lines[1], "bytes_read=2i"));
	CHECK(!strstr(s->lines[1], "dst_lat"));
	memset(&p, 0, sizeof(p));
	p.kind = POINT_SELF;
	sink.put(sink.ctx, &p); /* goes on at once */
	CHECK_INT(s->n, 3);
	merge_free(m);
	seen_free(s);
}

/* Key fields as fields: times of their own, anew; and never a time of the cycle before. */
static void test_ordinals(void)
{
	static const char *const names[] = {"src_ip", "path"};
	struct merge_config c = {.exclude = names, .nexclude = 2, .max_points = 10};
	struct seen *s = seen_new(&c);
	struct point_sink sink;
	struct text paths[2] = {{"/a", 2}, {"/b", 2}};
	struct point p;
	struct merge *m;
	int i;

	m = merge_to(s, &c, &sink);
	for (i = 0; i < 4; i++) {
		p = small_point(POINT_HTTPFLOW, 1);
		p.src.addr.b[15] = (uint8_t)(i / 2);
		p.u.httpflow.count = 1;
		p.u.httpflow.path = paths[i % 2];
		p.time_ns = 7; /* what came with the point does not count */
		sink.put(sink.ctx, &p);
	}
	sink.end(sink.ctx, 100);
	CHECK_INT(s->n, 2); /* path is no tag here, so it stays */
	CHECK(strstr(s->lines[0], "count=2i,") && strstr(s->lines[0], "path=\"/a\"") &&
	      strstr(s->lines[0], " 100\n"));
	CHECK(strstr(s->lines[1], "path=\"/b\"") && strstr(s->lines[1], " 101\n"));
	sink.put(sink.ctx, &p);
	sink.end(sink.ctx, 101);
	CHECK(strstr(s->lines[2], " 102\n"));
	CHECK_INT(s->end_ns, 102);
	merge_free(m);
	seen_free(s);
}

/* Two errnos are two points with times of their own; folded or left out, failures as any others. */
static void test_connect_errors(void)
{
	static const char *const names[] = {"connect_error"};
	int how, i;

	/* as field; as tag; as tag that is left out; folded away */
	for (how = 0; how < 4; how++) {
		struct merge_config c = {.exclude = names,
					 .nexclude = how == 2,
					 .key_fields_as_tags = how == 1 || how == 2,
					 .max_series = how == 3,
					 .max_points = 100};
		struct seen *s = seen_new(&c);
		struct point_sink sink;
		struct merge *m;
		struct point p;

		m = merge_to(s, &c, &sink);
		for (i = 0; i < 6; i++) {
			p = small_point(POINT_NETFLOW, 1);
			p.has = POINT_HAS_TCP;
			if (i % 3) {
				p.u.netflow.bytes_read = 99; /* not measured */
				p.has |= POINT_HAS_CONNECT_ERROR;
				p.u.netflow.tcp_connect_failed = 1;
				p.u.netflow.connect_error =
				    (uint16_t)(i % 3 == 1 ? ECONNREFUSED : ETIMEDOUT);
			}
			sink.put(sink.ctx, &p);
		}
		sink.end(sink.ctx, 100);
		CHECK_INT(s->totals[POINT_NETFLOW].sums[0], 2);
		CHECK_INT(s->totals[POINT_NETFLOW].sums[9], 4);
		CHECK_INT(s->n, how < 2 ? 3 : 1);
		CHECK_INT(count_alike(s), 0);
		if (how == 0) {
			CHECK(strstr(s->lines[0], " bytes_read=2i,") &&
			      strstr(s->lines[0], " 100\n"));
			CHECK(strstr(s->lines[1], " tcp_connect_failed=2i,connect_error="
						  "\"ECONNREFUSED\" 101\n"));
			CHECK(strstr(s->lines[2], " tcp_connect_failed=2i,connect_error="
						  "\"ETIMEDOUT\" 102\n"));
		} else if (how == 1) {
			CHECK(strstr(s->lines[1], "netflow,connect_error=ECONNREFUSED,"));
		} else {
			CHECK(strstr(s->lines[0], "tcp_connect_failed=4i,") &&
			      !strstr(s->lines[0], "connect_error"));
		}
		merge_free(m);
		seen_free(s);
	}
}

static void test_new(void)
{
	struct merge_config c = {.max_points = 0};

	errno = 0;
	CHECK(!merge_new(&c));
	CHECK_INT(errno, EINVAL);
	merge_free(NULL);
}

TEST_MAIN({"totals", test_totals}, {"limit", test_limit}, {"exclude", test_exclude},
	  {"ordinals", test_ordinals}, {"connect errors", test_connect_errors}, {"new", test_new})
