/* test_http_pair.c - flows/http_pair.c by itself: order, acknowledgement numbers, early responses,
 * time-outs, bounds, and where a long path is cut.
 */
#include "flows/http_pair.h"

#include "flows/packet.h"
#include "tests/flows/record.h"
#include "tests/test.h"

struct rig {
	struct record r;
	struct points *points;
	struct http_pairs *pairs;
	struct http_queue q[4];
};

/* The tests keep few points: there is room. */
static void on_full(void *ctx)
{
	(void)ctx;
	abort();
}

static struct rig *start(size_t max_pending, uint32_t max_path)
{
	static struct rig g;
	struct points_config pc = {.max_netflow = 64,
				   .max_transactions = 256,
				   .full = on_full,
				   .sink = {.put = record_put, .end = record_end, .ctx = &g.r}};
	struct http_pairs_config hc = {
	    .max_pending = max_pending, .timeout_ns = 100, .max_path = max_path};
	int i;

	memset(&g, 0, sizeof(g));
	g.points = hc.points = points_new(&pc);
	g.pairs = http_pairs_new(&hc);
	if (!g.points || !g.pairs)
		abort();
	for (i = 0; i < 4; i++)
		http_queue_init(&g.q[i]);
	return &g;
}

static void request(struct rig *g, int q, const char *target, uint64_t time_ns, uint32_t seq)
{
	struct http_head h = {.request = true,
			      .method = target[0] == '/' ? HTTP_GET : HTTP_CONNECT,
			      .version = 1,
			      .target = target,
			      .target_len = strlen(target)};
	struct ends ends;

	memset(&ends, 0, sizeof(ends));
	ends.client_port = (uint16_t)q;
	ends.proto = PROTO_TCP;
	http_pairs_request(g->pairs, &g->q[q], &ends, &h, time_ns, seq);
}

static enum http_answers response(struct rig *g, int q, uint16_t status, uint64_t time_ns,
				  uint32_t ack)
{
	return http_pairs_response(g->pairs, &g->q[q], status, time_ns, ack);
}

static void finish(struct rig *g, const char *want)
{
	struct words w;
	int i;

	for (i = 0; i < 4; i++)
		http_pairs_close(g->pairs, &g->q[i]);
	CHECK_INT(http_pairs_stats(g->pairs)->pending, 0);
	points_end(g->points, 1000000000);
	CHECK_STR(record_words(&g->r, false, &w), want);
	http_pairs_free(g->pairs);
	points_free(g->points);
	record_free(&g->r);
}

#define MS 1000000

static void test_order(void)
{
	struct rig *g = start(64, 150);

	request(g, 0, "/a", 1 * MS, 10);
	request(g, 0, "/b", 2 * MS, 20);
	request(g, 1, "/c", 2 * MS, 20);
	CHECK_INT(response(g, 1, 201, 5 * MS, 20), HTTP_ANSWERS_OTHER);
	response(g, 0, 200, 11 * MS, 20);
	response(g, 0, 404, 22 * MS, 20);
	finish(g, "GET /c 201 3ms GET /a 200 10ms GET /b 404 20ms");
}

/* A response cannot answer a request that its segment does not acknowledge, also where numbers
 * wrap. */
static void test_acknowledged(void)
{
	struct rig *g = start(64, 150);

	request(g, 0, "/a", 50 * MS, 0xfffffff0);
	response(g, 0, 500, 10 * MS, 0xffffff00); /* of a request that was not captured */
	response(g, 0, 200, 60 * MS, 5);
	finish(g, "GET /a 200 10ms");
	g = start(64, 150);
	response(g, 0, 200, 60 * MS, 50); /* captured before the request that it answers */
	request(g, 0, "/a", 50 * MS, 40);
	CHECK_INT(http_pairs_stats(g->pairs)->pending, 0);
	finish(g, "GET /a 200 10ms");
	g = start(64, 150);
	response(g, 0, 200, 60 * MS, 30);
	request(g, 0, "/a", 70 * MS, 40);
	CHECK_INT(http_pairs_stats(g->pairs)->orphans, 1);
	finish(g, "GET /a 0");
}

static void test_lost(void)
{
	struct rig *g = start(64, 150);

	request(g, 0, "/a", 1 * MS, 10);
	request(g, 0, "/b", 2 * MS, 20);
	request(g, 0, "/c", 3 * MS, 30);
	g->q[0].lost = true; /* response bytes are missing; this one acknowledges two requests */
	response(g, 0, 200, 12 * MS, 20);
	finish(g, "GET /a 0 GET /b 200 10ms GET /c 0");
}

/* Written once when its time is over; a late response is still its own, not the next one's. */
static void test_timeout(void)
{
	struct rig *g = start(64, 150);

	request(g, 0, "/a", 0, 10);
	request(g, 0, "/b", 101, 20);
	http_pairs_expire(g->pairs, 100, false);
	CHECK_INT(g->r.n, 0);
	http_pairs_expire(g->pairs, 101, false);
	http_pairs_expire(g->pairs, 101, false);
	response(g, 0, 200, 150, 20);
	response(g, 0, 404, 160, 20);
	finish(g, "GET /a 0 GET /b 404 0ms");
	g = start(64, 150);
	request(g, 0, "/a", 0, 10);
	http_pairs_expire(g->pairs, 0, true);
	request(g, 0, "/b", 0, 20);
	http_pairs_expire(g->pairs, 0, true);
	finish(g, "GET /a 0 GET /b 0");
}

static void test_bounds(void)
{
	struct rig *g = start(4, 150);
	char path[3] = "/?";
	int i;

	for (i = 0; i < 20; i++) {
		path[1] = (char)('a' + i % 10);
		request(g, i % 3, path, (uint64_t)i, 10);
		CHECK(http_pairs_stats(g->pairs)->pending <= 4);
	}
	CHECK_INT(http_pairs_stats(g->pairs)->evicted, 16);
	for (i = 0; i < 30; i++)
		response(g, 3, 200, 1, 10); /* early ones are bounded too */
	CHECK_INT(http_pairs_stats(g->pairs)->orphans, 30 - HTTP_EARLY);
	for (i = 0; i < 4; i++)
		http_pairs_close(g->pairs, &g->q[i]);
	CHECK_INT(http_pairs_stats(g->pairs)->orphans, 30);
	points_end(g->points, 1);
	CHECK_INT(g->r.http_count, 20);
	http_pairs_free(g->pairs);
	points_free(g->points);
	record_free(&g->r);
}

static void test_path(void)
{
	static const struct {
		const char *target, *want;
	} cases[] = {
	    {"/1234567", "GET /1234567 0"},
	    {"/12345678", "GET /1234567... 0"},
	    {"/123456\xc3\xa4z", "GET /123456... 0"},         /* 2 bytes across the limit */
	    {"/1234\xe2\x82\xac", "GET /1234\xe2\x82\xac 0"}, /* 3 bytes up to it */
	    {"/12345\xe2\x82\xac", "GET /12345... 0"},
	    {"/123\xf0\x9f\x98\x80z", "GET /123\xf0\x9f\x98\x80... 0"},
	    {"/1234\xf0\x9f\x98\x80", "GET /1234... 0"},
	    {"/\x80\x80\x80\x80\x80\x80\x80\x80\x80", "GET /\x80\x80\x80\x80\x80\x80\x80... 0"},
	    {"/a?123456789", "GET /a 0"},
	    {"host:4433", "CONNECT host:443... 0"},
	};
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct rig *g = start(4, 8);

		request(g, 0, cases[i].target, 0, 10);
		finish(g, cases[i].want);
	}
}

TEST_MAIN({"in order", test_order}, {"acknowledgement numbers", test_acknowledged},
	  {"lost response bytes", test_lost}, {"time-out", test_timeout}, {"bounds", test_bounds},
	  {"long paths", test_path})
