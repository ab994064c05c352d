/* test_points.c - flows/points.c: which side is src, folding, merging, the nanoseconds that tell
 * points apart, full tables.
 */
#include "flows/points.h"

#include "flows/packet.h"
#include "tests/flows/build.h"
#include "tests/flows/record.h"
#include "tests/test.h"

#define T 1700000000000000000ULL

static struct record record;
static struct points *points;
static struct local local;
static uint32_t fulls;

static void on_full(void *ctx)
{
	(void)ctx;
	fulls++;
	points_end(points, T);
}

static struct {
	size_t blocks, seen, largest;
} prepared;

static const struct geo_info somewhere;

static void prepare(void *ctx, struct point *p, size_t n)
{
	size_t i;

	CHECK(ctx == &record);
	CHECK(record.sums_only || record.n == prepared.seen); /* all before have been put */
	for (i = 0; i < n; i++) {
		CHECK(!p[i].src_geo && !p[i].dst_geo);
		p[i].dst_geo = &somewhere;
	}
	prepared.blocks++;
	prepared.seen += n;
	if (n > prepared.largest)
		prepared.largest = n;
}

static void start(bool fold, bool domain, size_t max_netflow, size_t max_transactions)
{
	struct points_config c = {.max_netflow = max_netflow,
				  .max_transactions = max_transactions,
				  .fold_client_port = fold,
				  .dns_domain = domain,
				  .full = on_full,
				  .sink = {record_put, record_end, &record, prepare}};

	memset(&record, 0, sizeof(record));
	memset(&prepared, 0, sizeof(prepared));
	fulls = 0;
	if (local_init(&local))
		abort();
	c.local = &local;
	points = points_new(&c);
	if (!points)
		abort();
}

static void stop(void)
{
	CHECK_MSG(!record.broken, "%s", record.broken);
	CHECK(record.sums_only || prepared.seen == record.n);
	points_free(points);
	local_destroy(&local);
	record_free(&record);
}

static struct ip_addr address(const char *text)
{
	struct ip_addr a;

	if (addr_parse(&a, text))
		abort();
	return a;
}

static struct ends ends_of(const char *client, uint16_t cport, const char *server, uint16_t sport)
{
	struct ends e = {.client = address(client),
			 .server = address(server),
			 .client_port = cport,
			 .server_port = sport,
			 .proto = PROTO_UDP};

	return e;
}

static void set_local(const char *const *texts, size_t n)
{
	struct ip_net nets[8];
	size_t i;

	for (i = 0; i < n; i++)
		if (net_parse(&nets[i], texts[i]))
			abort();
	CHECK(local_set(&local, nets, n) == 0);
}

static void add_dns(const struct ends *e, const char *wire, uint8_t len, int32_t rcode,
		    uint64_t latency_ns)
{
	struct dns_result r = {.name = (const uint8_t *)wire,
			       .name_len = len,
			       .qtype = 1,
			       .rcode = rcode,
			       .has_latency = rcode >= 0,
			       .latency_ns = latency_ns};

	points_add_dns(points, e, &r);
}

static void test_direction(void)
{
	static const struct {
		const char *client, *server, *local;
		bool incoming;
	} cases[] = {
	    {"10.0.0.1", "8.8.8.8", "10.0.0.0/8", false},
	    {"8.8.8.8", "10.0.0.1", "10.0.0.0/8", true},
	    {"10.0.0.1", "10.0.0.2", "10.0.0.0/8", false}, /* both local: the client */
	    {"10.0.0.2", "10.0.0.1", "10.0.0.1", true},    /* exactly one */
	    {"9.9.9.9", "8.8.8.8", "10.0.0.0/8", false},   /* none */
	    {"2001:db8::1", "2001:db8:1::1", "2001:db8:1::/48", true},
	    {"10.0.0.1", "8.8.8.8", NULL, false},
	};
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct ends e = ends_of(cases[i].client, 40000, cases[i].server, 53);
		const struct point *p;

		start(true, true, 16, 16);
		set_local(&cases[i].local, cases[i].local != NULL);
		add_dns(&e, "\1a", 3, 0, 5);
		CHECK_INT(points_end(points, T), 1);
		p = &record.points[0].p;
		CHECK_MSG(p->incoming == cases[i].incoming, "case %d", (int)i);
		CHECK(addr_equal(p->incoming ? &p->dst.addr : &p->src.addr, &e.client));
		CHECK(addr_equal(p->incoming ? &p->src.addr : &p->dst.addr, &e.server));
		CHECK_INT(p->incoming ? p->src.port : p->dst.port, 53);
		CHECK(p->incoming ? p->dst.port_folded && !p->src.port_folded
				  : p->src.port_folded && !p->dst.port_folded);
		stop();
	}
}

/* Client ports folded: alike in tags, so one point; else one each. */
static void test_fold(void)
{
	int fold, i;

	for (fold = 0; fold < 2; fold++) {
		start(fold, true, 16, 16);
		for (i = 0; i < 5; i++) {
			struct ends e = ends_of("10.0.0.1", (uint16_t)(40000 + i), "8.8.8.8", 53);

			add_dns(&e, "\1a", 3, 0, (uint64_t)i * 10);
		}
		CHECK_INT(points_end(points, T), fold ? 1 : 5);
		CHECK_INT(record.points[0].p.u.dnsflow.count, fold ? 5 : 1);
		if (fold) {
			CHECK_INT(record.points[0].p.u.dnsflow.latency_ns, 20);
			CHECK_INT(record.points[0].p.u.dnsflow.latency_max_ns, 40);
		}
		CHECK_INT(record.points[0].p.src.port, fold ? 0 : 40000);
		stop();
	}
}

/* The n-th point of a tag set is n ns later; other tag sets and kinds begin anew; the next cycle
 * never before. */
static void test_ordinals(void)
{
	struct ends e = ends_of("10.0.0.1", 40000, "8.8.8.8", 53);
	struct ends other = ends_of("10.0.0.1", 40000, "8.8.4.4", 53);
	uint32_t i;

	start(true, true, 16, 64);
	for (i = 0; i < 10; i++) {
		add_dns(&e, "\1a", 3, (int32_t)i, 1);
		add_dns(&other, "\1a", 3, (int32_t)i, 1);
		add_dns(&e, "\1a", 3, (int32_t)i, 3); /* added to the one before */
	}
	CHECK_INT(points_end(points, T), 20);
	for (i = 0; i < 20; i++)
		CHECK_INT(record.points[i].p.time_ns, T + i / 2);
	add_dns(&e, "\1a", 3, 0, 1);
	points_end(points, T + 5); /* the clock stood still */
	CHECK(record.points[20].p.time_ns > T + 9);
	add_dns(&e, "\1a", 3, 0, 1);
	points_end(points, T - 1000000000); /* or went back */
	CHECK(record.points[21].p.time_ns > record.points[20].p.time_ns);
	stop();
}

static void test_no_domain(void)
{
	struct ends e = ends_of("10.0.0.1", 40000, "8.8.8.8", 53);

	start(true, false, 16, 16);
	add_dns(&e, "\1a", 3, 0, 1);
	add_dns(&e, "\1b", 3, 0, 1);
	CHECK_INT(points_end(points, T), 1);
	CHECK(!(record.points[0].p.has & POINT_HAS_DOMAIN));
	CHECK(record.points[0].p.has & POINT_HAS_QUERY_TYPE);
	stop();
	start(true, true, 16, 16);
	add_dns(&e, "", 0, 2, 1); /* no question: no type either */
	add_dns(&e, "", 1, 2, 1); /* the root */
	CHECK_INT(points_end(points, T), 2);
	CHECK(!(record.points[0].p.has & POINT_HAS_QUERY_TYPE));
	CHECK(record.points[1].p.has & POINT_HAS_QUERY_TYPE);
	stop();
}

/* More than fits: the owner ends the cycle, and the sums are right. */
static void test_full(void)
{
	char path[1000];
	uint32_t i;

	start(false, true, 16, 16);
	for (i = 0; i < 1000; i++) {
		struct ends e = ends_of("10.0.0.1", (uint16_t)i, "8.8.8.8", 53);

		add_dns(&e, "\1a", 3, 0, 1);
	}
	points_end(points, T);
	CHECK_INT(record.dns_count, 1000);
	CHECK_INT(fulls, 62);
	stop();
	start(true, true, 16, 100000);
	memset(path, 'p', sizeof(path));
	for (i = 0; i < 20000; i++) { /* text runs out first */
		struct ends e = ends_of("10.0.0.1", 1, "8.8.8.8", 80);
		struct http_result r = {.path = path, .path_len = sizeof(path), .status = 200};

		e.proto = PROTO_TCP;
		put_be32((uint8_t *)path, i);
		points_add_http(points, &e, &r);
	}
	record.sums_only = true;
	points_end(points, T);
	CHECK_INT(record.http_count, 20000);
	CHECK(fulls > 0);
	stop();
}

/* Points are shown in blocks before they go out, each with a text of its own, the longest there
 * is. */
static void test_blocks(void)
{
	struct ends e = ends_of("10.0.0.1", 40000, "8.8.8.8", 53);
	enum { N = 2 * POINT_BLOCK + 3 };
	char wire[255], want[16];
	size_t i, at;

	memset(wire, 1, sizeof(wire));
	for (at = 0; at < 254; at += 64)
		wire[at] = at == 192 ? 61 : 63;
	wire[254] = 0;
	start(true, true, 16, 2 * N);
	for (i = 0; i < N; i++) {
		wire[1] = (char)(128 + i % 100);
		wire[2] = (char)(128 + i / 100);
		add_dns(&e, wire, 255, 0, 1);
	}
	CHECK_INT(points_end(points, T), N);
	CHECK_INT(prepared.blocks, 3);
	CHECK_INT(prepared.largest, POINT_BLOCK);
	for (i = 0; i < N; i++) {
		snprintf(want, sizeof(want), "\\%d\\%d", (int)(128 + i % 100),
			 (int)(128 + i / 100));
		CHECK(!memcmp(record.points[i].text, want, 8));
		CHECK_INT(record.points[i].p.u.dnsflow.domain.len, 4 * 250 + 3);
		CHECK(record.points[i].p.dst_geo == &somewhere);
	}
	stop();
}

static void test_local_limits(void)
{
	static struct ip_net nets[5000];
	uint32_t i;

	start(true, true, 16, 16);
	for (i = 0; i < 5000; i++) {
		nets[i].addr = address("10.0.0.0");
		put_be32(nets[i].addr.b + 12, IP4(10, 0, 0, 0) + i);
		nets[i].bits = 128;
	}
	CHECK_INT(local_set(&local, nets, 5000), FL_EFULL);
	CHECK_INT(local_set(&local, nets, 4096), 0);
	CHECK(local_has(&local, &nets[4095].addr) && !local_has(&local, &nets[4096].addr));
	CHECK_INT(local_set(&local, nets, 0), 0);
	CHECK(!local_any(&local));
	stop();
}

TEST_MAIN({"which side is src", test_direction}, {"folding", test_fold},
	  {"nanoseconds apart", test_ordinals}, {"without domain or question", test_no_domain},
	  {"full tables", test_full}, {"blocks", test_blocks},
	  {"many local addresses", test_local_limits})
