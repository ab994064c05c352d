/* test_engine_settings.c - an engine whose settings change while it runs: sums stay the same, and
 * each point is of one configuration.
 */
#include "flows/engine.h"

#include "tests/flows/script.h"
#include "tests/test.h"

#define MS 1000000ULL
#define S  1000000000ULL

static const uint16_t port_53[] = {53}, ports_both[] = {53, 5300};

/* One of many configurations, by number. */
static void vary(struct engine_config *c, uint32_t x)
{
	static const uint64_t intervals[] = {S, 10 * S, 60 * S, 250 * MS};

	c->interval_ns = intervals[x & 3];
	c->fold_client_port = x >> 2 & 1;
	c->dns_domain = x >> 3 & 1;
	c->tunnels_inner = x >> 4 & 1;
	c->http_paths = x >> 5 & 1 ? HTTP_PATHS_TEMPLATE : HTTP_PATHS_RAW;
	c->dns_ports = x >> 7 & 1 ? ports_both : port_53;
	c->ndns_ports = x >> 7 & 1 ? 2 : 1;
}

static void one_step(struct script *s, uint32_t *seed)
{
	static const char *const steps[] = {
	    "c S 0 0; +7 s SA 0 1; c A 1 1; c PA . . 'GET /a/12 HTTP/1.1||'",
	    "s PA . . 'HTTP/1.1 200 OK|Content-Length: 3||abc'; c A . .",
	    "c FA . .; s FA . .; c A . .",
	    "c PA . . 700; +1 s A . .; s PA . . 1400; c A . .",
	    "c PA . . 'GET /b HTTP/1.1||'",
	};
	uint32_t x = build_random(seed);

	s->time_ns += (x & 0xff) * MS;
	s->port[0] = (uint16_t)(40000 + (x >> 8 & 3));
	s->proto = x >> 10 & 1 ? PROTO_TCP : PROTO_UDP;
	s->port[1] = s->proto == PROTO_TCP ? 8080 : 53;
	if (s->proto == PROTO_TCP)
		script_play(s, steps[(x >> 12) % (sizeof(steps) / sizeof(steps[0]))]);
	else
		script_dns(s, x >> 11 & 1, (uint16_t)(x >> 24 & 3), "a.test", 1, x >> 11 & 1, 0);
}

static void play(struct record *r, uint32_t seed, uint32_t often)
{
	static struct script s;
	struct engine_config c, next;
	uint32_t i, other = seed * 7919;

	script_config(&c, r);
	script_init(&s, script_engine(&c), PROTO_TCP, 8080);
	for (i = 0; i < 2000; i++) {
		one_step(&s, &seed);
		if (!often || build_random(&other) % often)
			continue;
		next = c;
		vary(&next, build_random(&other) >> 8);
		engine_end_cycle(s.e, s.time_ns - 5 * MS);
		engine_reconfigure(s.e, &next);
	}
	engine_finish(s.e, 0);
	engine_free(s.e);
	CHECK_MSG(!r->broken, "%s", r->broken);
}

static void test_sums(void)
{
	static struct record plain, varied;
	uint32_t seed, often;

	for (seed = 1; seed < 6; seed++) {
		play(&plain, seed, 0);
		CHECK(plain.dns_count > 50 && plain.http_count > 10);
		for (often = 1; often < 100; often += 24) {
			play(&varied, seed, often);
			CHECK(varied.cycles > plain.cycles);
			CHECK(!memcmp(&plain.net, &varied.net, sizeof(plain.net)));
			CHECK_INT(varied.dns_count, plain.dns_count);
			CHECK_INT(varied.dns_retries, plain.dns_retries);
			CHECK_INT(varied.http_count, plain.http_count);
			free(varied.points);
		}
		free(plain.points);
	}
}

/* The cycle's end after the interval has changed from one to the other, at 1.5 s of a minute. */
static void test_interval(void)
{
	static const struct {
		uint64_t before_ns, after_ns, end_ns;
	} cases[] = {
	    {10 * S, 10 * S, 10 * S}, /* as it would have been */
	    {10 * S, 60 * S, 10 * S}, /* the same, then a minute */
	    {60 * S, 2 * S, 2 * S},   /* at once the shorter one */
	    {3600 * S, S, 2 * S},
	};
	static const uint64_t begin = SCRIPT_TIME / (3600 * S) * (3600 * S);
	static struct script s;
	struct engine_config c;
	struct record r;
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		script_config(&c, &r);
		c.interval_ns = cases[i].before_ns;
		script_init(&s, script_engine(&c), PROTO_UDP, 9000);
		s.time_ns = begin + 1500 * MS;
		script_dns(&s, 0, 1, "-", 1, false, 0);
		engine_end_cycle(s.e, s.time_ns);
		CHECK_INT(r.n, 1);
		CHECK_INT(r.points[0].p.time_ns, s.time_ns);
		c.interval_ns = cases[i].after_ns;
		engine_reconfigure(s.e, &c);
		script_dns(&s, 0, 1, "-", 1, false, 0);
		engine_tick(s.e, begin + cases[i].end_ns - 1);
		CHECK_INT(r.n, 1);
		engine_tick(s.e, begin + cases[i].end_ns);
		CHECK_INT(r.n, 2);
		CHECK_INT(r.points[1].p.time_ns, begin + cases[i].end_ns);
		engine_finish(s.e, 0);
		engine_free(s.e);
		free(r.points);
	}
}

/* What each setting does, from the moment it is set. */
static void test_each(void)
{
	static struct script s;
	struct engine_config c;
	struct record r;
	size_t i, dns = 0, folded = 0;

	script_config(&c, &r);
	script_init(&s, script_engine(&c), PROTO_UDP, 5300);
	script_dns(&s, 0, 1, "-", 1, false, 0);
	engine_end_cycle(s.e, s.time_ns);
	CHECK_INT(r.n, 1); /* the port is not DNS's */
	c.dns_ports = ports_both;
	c.ndns_ports = 2;
	c.fold_client_port = false;
	c.dns_timeout_ns = 100 * MS;
	engine_reconfigure(s.e, &c);
	script_dns(&s, 0, 2, "-", 1, false, 0);
	engine_tick(s.e, s.time_ns + 2 * S); /* the time-out, which is short now */
	CHECK_INT(engine_stats(s.e)->dns_unanswered, 1);
	engine_end_cycle(s.e, s.time_ns + 2 * S);
	for (i = 1; i < r.n; i++) {
		dns += r.points[i].p.kind == POINT_DNSFLOW;
		folded += r.points[i].p.src.port_folded;
	}
	CHECK_INT(r.n, 3);
	CHECK_INT(dns, 1);
	CHECK_INT(folded, 0);
	CHECK(r.points[0].p.src.port_folded);
	CHECK(r.points[1].p.time_ns > r.points[0].p.time_ns);
	engine_finish(s.e, 0);
	engine_free(s.e);
	free(r.points);
}

/* Before the first packet, and twice at the same time. */
static void test_edges(void)
{
	static struct script s;
	struct engine_config c;
	struct record r;

	script_config(&c, &r);
	script_init(&s, script_engine(&c), PROTO_UDP, 9000);
	engine_reconfigure(s.e, &c);
	engine_end_cycle(s.e, s.time_ns);
	engine_reconfigure(s.e, &c);
	engine_end_cycle(s.e, s.time_ns);
	CHECK_INT(r.n, 0);
	script_dns(&s, 0, 1, "-", 1, false, 0);
	engine_end_cycle(s.e, s.time_ns);
	script_dns(&s, 0, 1, "-", 1, false, 0);
	engine_end_cycle(s.e, s.time_ns - 500 * MS);
	CHECK_INT(r.n, 2);
	CHECK(r.points[1].p.time_ns > r.points[0].p.time_ns);
	engine_finish(s.e, 0);
	CHECK_MSG(!r.broken, "%s", r.broken);
	engine_free(s.e);
	free(r.points);
}

/* The collector's own: 127.0.0.1, one port, what begins until then. */
static void test_own(void)
{
	static struct record r;
	static struct script s;
	struct engine_config c;
	uint64_t until_ns = SCRIPT_TIME + 5 * S;
	uint16_t port;

	script_config(&c, &r);
	script_init(&s, script_engine(&c), PROTO_TCP, 7001);
	engine_exclude_own(s.e, 7001, until_ns);
	script_play(&s, "c S 0; +1 s SA 0 1; c A 1 1");
	CHECK_INT(engine_stats(s.e)->packets_excluded, 0); /* other addresses */
	s.addr[0] = s.addr[1] = IP4(127, 0, 0, 1);
	script_play(&s, "c S 0; +1 s SA 0 1; c A 1 1; c FA . .; s FA . .; c A . .");
	CHECK_INT(engine_stats(s.e)->packets_excluded, 6);
	s.port[1] = 7002;
	script_play(&s, "c S 0; +1 s SA 0 1; c A 1 1");
	CHECK_INT(engine_stats(s.e)->packets_excluded, 6);
	for (port = 8000; port < 8000 + ENGINE_OWN_PORTS; port++)
		engine_exclude_own(s.e, port, until_ns);
	s.port[0]++;
	s.port[1] = 8000;
	script_play(&s, "c S 0; +1 s RA 0 1");
	CHECK_INT(engine_stats(s.e)->packets_excluded, 8);
	s.port[1] = 7001; /* the oldest is forgotten */
	script_play(&s, "c S 0; +1 s RA 0 1");
	CHECK_INT(engine_stats(s.e)->packets_excluded, 8);
	s.time_ns = until_ns;
	s.port[0]++;
	s.port[1] = 8000;
	script_play(&s, "c S 0; +1 s RA 0 1");
	CHECK_INT(engine_stats(s.e)->packets_excluded, 8);
	engine_finish(s.e, 0);
	CHECK_MSG(!r.broken, "%s", r.broken);
	CHECK_INT(r.net.tcp_established, 2);
	CHECK_INT(r.net.tcp_connect_failed, 2);
	engine_free(s.e);
	free(r.points);
}

TEST_MAIN({"sums", test_sums}, {"interval", test_interval}, {"each", test_each},
	  {"edges", test_edges}, {"the collector's own", test_own})
