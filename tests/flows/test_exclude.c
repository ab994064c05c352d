/* test_exclude.c - which flows the rules of capture.exclude fit, both ways round. */
#include "flows/exclude.h"

#include "tests/test.h"

static bool fits(const char *nets, const char *ports, const char *a, uint16_t pa, const char *b,
		 uint16_t pb)
{
	struct exclude_rule r;
	struct exclude x = {&r, 1};
	struct ip_net net[4];
	uint16_t port[4];
	struct ip_addr addr[2];
	struct flow_key k;
	char word[64];
	int end, n;

	memset(&r, 0, sizeof(r));
	r.nets = net;
	r.ports = port;
	for (; sscanf(nets, " %63s%n", word, &n) == 1; nets += n)
		CHECK_INT(net_parse(&net[r.nnets++], word), 0);
	for (; sscanf(ports, " %hu%n", &port[r.nports], &n) == 1; ports += n)
		r.nports++;
	CHECK_INT(addr_parse(&addr[0], a), 0);
	CHECK_INT(addr_parse(&addr[1], b), 0);
	for (end = 0; end < 2; end++)
		memcpy(&k.w[2 * end], addr[end].b, sizeof(addr[end].b));
	k.w[4] = pa | (uint64_t)pb << 16 | (uint64_t)PROTO_TCP << 32;
	CHECK(exclude_match(&x, &k) == exclude_rule_fits(&r, &k));
	return exclude_match(&x, &k);
}

static void test_fits(void)
{
	static const struct {
		const char *nets, *ports, *a, *b;
		uint16_t pa, pb;
		bool want;
	} cases[] = {
	    {"", "", "10.0.0.1", "10.0.0.2", 1, 2, false},
	    {"", "22", "10.0.0.1", "10.0.0.2", 40000, 22, true},
	    {"", "22 80", "10.0.0.1", "10.0.0.2", 40000, 81, false},
	    {"", "65535", "10.0.0.1", "10.0.0.2", 40000, 65535, true},
	    {"10.9.0.0/16", "", "10.9.255.1", "8.8.8.8", 1, 2, true},
	    {"10.9.0.0/16", "", "10.10.0.1", "8.8.8.8", 1, 2, false},
	    {"10.9.0.0/16", "80 443", "10.9.0.1", "8.8.8.8", 5, 443, true},
	    {"10.9.0.0/16", "80 443", "10.9.0.1", "8.8.8.8", 5, 444, false},
	    {"10.9.0.0/16", "80 443", "10.8.0.1", "8.8.8.8", 5, 443, false},
	    {"0.0.0.0/0", "", "10.8.0.1", "8.8.8.8", 5, 443, true},
	    {"0.0.0.0/0", "", "fd00::1", "fd00::2", 5, 443, false},
	    {"::/0", "", "fd00::1", "fd00::2", 5, 443, true},
	    {"fd00::2/128 1.1.1.1", "", "fd00::1", "fd00::2", 5, 443, true},
	    {"fd00::/65", "", "fd00::7fff:0:0:1", "fd00:0:0:0:8000::2", 5, 443, true},
	    {"fd00::/65", "", "fd00:0:0:0:8000::1", "fd00:0:0:0:8000::2", 5, 443, false},
	};
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		bool way = fits(cases[i].nets, cases[i].ports, cases[i].a, cases[i].pa, cases[i].b,
				cases[i].pb);
		bool back = fits(cases[i].nets, cases[i].ports, cases[i].b, cases[i].pb, cases[i].a,
				 cases[i].pa);

		CHECK_MSG(way == cases[i].want && back == way, "case %zu", i);
	}
}

static void test_no_rules(void)
{
	static const struct exclude none;
	struct flow_key k;

	memset(&k, 0, sizeof(k));
	CHECK(!exclude_match(NULL, &k));
	CHECK(!exclude_match(&none, &k));
}

TEST_MAIN({"what fits", test_fits}, {"no rules", test_no_rules})
