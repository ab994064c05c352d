/* test_classic_narrow.c - the narrowed flow filter run in user space: every case for own and for
 * others' addresses, random frames against the rule as filter_config tells it, and what it costs.
 */
#include "tests/test.h"

#include <net/if_arp.h>
#include <stdlib.h>

#include "filters/classic.h"
#include "filters/interpret.h"
#include "tests/filters/narrow_cases.h"

static struct filter_insn whole[FILTER_INSNS_MAX], narrow[FILTER_INSNS_MAX];

static int build(struct filter_insn *prog, const struct ip_net *nets, size_t n, size_t max)
{
	struct filter_config c = {.dns_ports = case_dns_ports, .ndns_ports = 2};

	c.narrow = nets;
	c.nnarrow = n;
	return classic_flow_filter(prog, max, &c);
}

static struct interpret_result run(const struct filter_insn *prog, int n, const uint8_t *data,
				   size_t len)
{
	struct interpret_frame f;

	memset(&f, 0, sizeof(f));
	f.data = data;
	f.len = (uint32_t)len;
	f.hatype = ARPHRD_ETHER;
	return interpret_run(prog, (size_t)n, &f);
}

/* The same packet on a device without Ethernet header. */
static struct interpret_result run_bare(const struct filter_insn *prog, int n, const uint8_t *ip,
					size_t len)
{
	struct interpret_frame f;

	memset(&f, 0, sizeof(f));
	f.data = ip;
	f.len = (uint32_t)len;
	f.hatype = ARPHRD_NONE;
	f.protocol = ip[0] >> 4 == 6 ? 0x86dd : 0x0800;
	return interpret_run(prog, (size_t)n, &f);
}

static void test_cases(void)
{
	uint8_t frame[CASE_FRAME_MAX];
	int n = build(narrow, narrow_own, NARROW_OWN, FILTER_INSNS_MAX);
	size_t i, ip;

	CHECK(n > 0);
	CHECK_INT(interpret_check(narrow, (size_t)n), -1);
	for (i = 0; i < NARROW_CASES; i++) {
		const struct narrow_case *c = &narrow_cases[i];
		size_t len = narrow_build(c, (uint16_t)i, frame, &ip);
		struct interpret_result r = run(narrow, n, frame, len);
		int got = r.ret < len ? (int)r.ret : (int)len;
		int want = c->want == ALL ? (int)len : c->want;

		CHECK_MSG(got == want && r.bad_load_at < 0,
			  "case %zu \"%s\" %u %u %#x \"%s\" %zu in %zu: got %d, wanted %d", i,
			  c->layers, c->sport, c->dport, c->flags, c->payload, c->size, len, got,
			  want);
	}
}

/* Frames of other hosts: what the filter without addresses says. */
static void test_others(void)
{
	uint8_t frame[CASE_FRAME_MAX];
	int n = build(narrow, narrow_other, NARROW_OTHER, FILTER_INSNS_MAX);
	int m = build(whole, NULL, 0, FILTER_INSNS_MAX);
	size_t i, ip, copied = 0;

	CHECK_INT(interpret_check(narrow, (size_t)n), -1);
	for (i = 0; i < NARROW_CASES; i++) {
		size_t len = narrow_build(&narrow_cases[i], (uint16_t)i, frame, &ip);
		struct interpret_result r = run(narrow, n, frame, len);

		CHECK_INT(r.ret, run(whole, m, frame, len).ret);
		copied += r.ret > 0;
	}
	CHECK_INT(copied, NARROW_CASES - 1); /* all but ICMP */
}

static void test_every_cut(void)
{
	uint8_t frame[CASE_FRAME_MAX];
	int n = build(narrow, narrow_own, NARROW_OWN, FILTER_INSNS_MAX), bad = 0;
	size_t i, ip, len, most;

	for (i = 0; i < NARROW_CASES; i++) {
		most = narrow_build(&narrow_cases[i], (uint16_t)i, frame, &ip);
		for (len = 14; len <= most; len++)
			bad += run(narrow, n, frame, len).bad_load_at >= 0;
		for (len = 0; len + ip <= most; len++)
			bad += run_bare(narrow, n, frame + ip, len).bad_load_at >= 0;
	}
	CHECK_INT(bad, 0);
}

/* --- random frames ---------------------------------------------------------------------------- */

static unsigned int rnd(unsigned int n)
{
	return (unsigned int)random() % n;
}

static unsigned int word16(const uint8_t *p)
{
	return (unsigned int)p[0] << 8 | p[1];
}

static bool is_dns(unsigned int port)
{
	return port == case_dns_ports[0] || port == case_dns_ports[1];
}

static bool is_own(const struct ip_net *nets, size_t n, const uint8_t *p, bool v4)
{
	struct ip_addr a;
	size_t i;

	if (v4)
		addr_from_v4(&a, p);
	else
		memcpy(a.b, p, sizeof(a.b));
	for (i = 0; i < n; i++)
		if (net_contains(&nets[i], &a))
			return true;
	return false;
}

/* The rule: is this frame one that the narrowed filter leaves out and the other does not? as_ever:
 * what that one says. */
static bool rule(const uint8_t *frame, size_t len, size_t at, uint32_t as_ever,
		 const struct ip_net *nets, size_t n)
{
	const uint8_t *ip = frame + at, *tcp;
	bool v4 = ip[0] >> 4 == 4;
	size_t header = v4 ? 20 : 40, addr = v4 ? 4 : 16, first = v4 ? 12 : 8, behind;

	if (len < at + header + 20 || (at > 14 && len < 64))
		return false;
	if (v4 ? ip[0] != 0x45 || word16(ip + 6) & 0x3fff || ip[9] != 6 : ip[6] != 6)
		return false;
	if (!is_own(nets, n, ip + first, v4) && !is_own(nets, n, ip + first + addr, v4))
		return false;
	tcp = ip + header;
	if (is_dns(word16(tcp)) || is_dns(word16(tcp + 2)) || tcp[13] & (1 | 2 | 4))
		return false;
	behind = v4 ? word16(ip + 2) : word16(ip + 4) + 40;
	if (len <= FILTER_COPY_SMALL)
		return behind == header + (size_t)(tcp[12] >> 4) * 4;
	return as_ever == FILTER_COPY_HEADERS;
}

static void random_case(struct narrow_case *c)
{
	static const char *const layers[] = {
	    "4t",  "4t", "4T",  "6t", "6T", "q4t", "sq6T", "p4t", "p6T", "mm4T",
	    "m6t", "Ot", "6ht", "Ft", "Lt", "44t", "4g6t", "4u",  "6u",  "sqOT",
	};
	static const char *const payloads[] = {"",          "GET / HTTP",       "text",
					       "text text", "\x17\x03\x03\x01", "\x80\x80\x80\x80"};
	static const uint8_t flags[] = {ACK, ACK, PSH, CWR, SYN, FIN, RST, 0, 0xff};

	c->layers = layers[rnd(20)];
	c->sport = rnd(20) ? (uint16_t)rnd(65536) : 53;
	c->dport = rnd(20) ? (uint16_t)rnd(65536) : 5300;
	c->flags = flags[rnd(9)];
	c->payload = payloads[rnd(6)];
	c->size = rnd(3) == 0 ? 0 : rnd(2) ? rnd(600) : rnd(1500);
	if (c->size < strlen(c->payload))
		c->payload = "";
	c->len = rnd(4) ? 0 : rnd(2) ? 14 + rnd(80) : rnd(1600);
	if (c->len < 14)
		c->len = 0;
}

/* The addresses, and now and then lengths and offsets that lie. */
static void random_bytes(uint8_t *ip, unsigned int spread)
{
	bool v4 = ip[0] >> 4 == 4;
	size_t header = (size_t)(v4 ? (ip[0] & 15) * 4 : 40);

	ip[v4 ? 15 : 23] = (uint8_t)rnd(spread);
	ip[v4 ? 19 : 39] = (uint8_t)rnd(spread);
	if (!rnd(15))
		case_put16(ip + (v4 ? 2 : 4), rnd(2) ? rnd(80) : 0);
	if (!rnd(15))
		ip[header + 12] = (uint8_t)rnd(256);
}

/* Returns how many were left out, with or without Ethernet header. */
static int try_frames(const struct ip_net *nets, size_t nnets, unsigned int spread, int rounds)
{
	uint8_t frame[CASE_FRAME_MAX];
	int n = build(narrow, nets, nnets, FILTER_INSNS_MAX);
	int m = build(whole, NULL, 0, FILTER_INSNS_MAX);
	int round, wrong = 0, bad = 0, out = 0;
	struct narrow_case c;

	CHECK_INT(interpret_check(narrow, (size_t)n), -1);
	for (round = 0; round < rounds; round++) {
		struct interpret_result got, ever;
		size_t ip, len;
		bool want;

		random_case(&c);
		len = narrow_build(&c, (uint16_t)round, frame, &ip);
		random_bytes(frame + ip, spread);
		got = run(narrow, n, frame, len);
		ever = run(whole, m, frame, len);
		want = rule(frame, len, ip, ever.ret, nets, nnets);
		wrong += got.ret != (want ? 0 : ever.ret);
		bad += got.bad_load_at >= 0;
		out += want;
		if (len <= ip)
			continue;
		got = run_bare(narrow, n, frame + ip, len - ip);
		ever = run_bare(whole, m, frame + ip, len - ip);
		want = rule(frame + ip, len - ip, 0, ever.ret, nets, nnets);
		wrong += got.ret != (want ? 0 : ever.ret);
		bad += got.bad_load_at >= 0;
		out += want;
	}
	CHECK_INT(wrong, 0);
	CHECK_INT(bad, 0);
	return out;
}

static void test_random_frames(void)
{
	srandom(23);
	CHECK(try_frames(narrow_own, NARROW_OWN, 6, 300000) > 20000);
}

/* Networks that overlap, are next to each other, or are all there is. */
static void test_random_nets(void)
{
	struct ip_net nets[40];
	int round, out = 0;
	size_t i, bit, n;

	srandom(24);
	for (round = 0; round < 300; round++) {
		n = 1 + rnd(40);
		for (i = 0; i < n; i++) {
			struct ip_net *net = &nets[i];

			memset(net, 0, sizeof(*net));
			if (rnd(2))
				addr_from_v4(&net->addr, (const uint8_t[4]){10, 0, 0, 0});
			else
				net->addr.b[0] = 0xfd;
			net->addr.b[15] = (uint8_t)rnd(64);
			net->bits = (uint8_t)(rnd(200) ? 128 - rnd(rnd(4) ? 3 : 8) : rnd(129));
			for (bit = net->bits; bit < 128; bit++)
				net->addr.b[bit / 8] &= (uint8_t) ~(0x80 >> bit % 8);
		}
		out += try_frames(nets, n, 64, 500);
	}
	CHECK(out > 10000);
}

/* --- many addresses --------------------------------------------------------------------------- */

enum { MANY = 1500 };

static struct ip_net many[MANY];

static void many_addresses(size_t n)
{
	size_t i;

	memset(many, 0, sizeof(many));
	for (i = 0; i < n; i++) {
		many[i].bits = 128;
		if (i & 1) {
			memcpy(many[i].addr.b, "\xfd\0\0\1", 4);
			case_put16(many[i].addr.b + 14, (unsigned int)i);
		} else {
			addr_from_v4(&many[i].addr,
				     (const uint8_t[4]){172, 16, (uint8_t)(i >> 8), (uint8_t)i});
		}
	}
}

/* All of many addresses are found, and their neighbours are not. */
static void test_many(void)
{
	static const struct narrow_case ack4 = {"4t", 1, 2, ACK, "", 0, PAD, 0};
	static const struct narrow_case ack6 = {"6t", 1, 2, ACK, "", 0, 0, 0};
	uint8_t frame[CASE_FRAME_MAX];
	size_t i, ip, len;
	int n, wrong = 0;

	many_addresses(400);
	n = build(narrow, many, 400, FILTER_INSNS_MAX);
	CHECK(n > 0);
	CHECK_INT(interpret_check(narrow, (size_t)n), -1);
	for (i = 0; i < 450; i++) {
		bool v4 = !(i & 1);

		len = narrow_build(v4 ? &ack4 : &ack6, 1, frame, &ip);
		if (v4) {
			case_put16(frame + ip + 16 - (i & 2) * 2, 172 << 8 | 16);
			case_put16(frame + ip + 18 - (i & 2) * 2, (unsigned int)i);
		} else {
			memset(frame + ip + 24 - (i & 2) * 8, 0, 16);
			memcpy(frame + ip + 24 - (i & 2) * 8, "\xfd\0\0\1", 4);
			case_put16(frame + ip + 38 - (i & 2) * 8, (unsigned int)i);
		}
		wrong += (run(narrow, n, frame, len).ret == 0) != (i < 400);
	}
	CHECK_INT(wrong, 0);
}

/* A range of addresses, each on its own, is as small as the networks that it is made of. */
static void test_range(void)
{
	static const struct narrow_case ack = {"4t", 1, 2, ACK, "", 0, PAD, 0};
	uint8_t frame[CASE_FRAME_MAX];
	size_t i, ip, len = narrow_build(&ack, 1, frame, &ip);
	int n, wrong = 0;

	memset(many, 0, sizeof(many));
	for (i = 0; i < 1000; i++) { /* 172.16.0.3 to 172.16.3.234 */
		addr_from_v4(&many[i].addr, (const uint8_t[4]){172, 16, (uint8_t)((i + 3) >> 8),
							       (uint8_t)(i + 3)});
		many[i].bits = 128;
	}
	n = build(narrow, many, 1000, FILTER_INSNS_MAX);
	CHECK(n > 0);
	CHECK_INT(interpret_check(narrow, (size_t)n), -1);
	CHECK_MSG(n < 800, "%d instructions", n);
	for (i = 0; i < 1100; i++) {
		case_put16(frame + ip + 12, 172 << 8 | 16);
		case_put16(frame + ip + 14, (unsigned int)i);
		wrong += (run(narrow, n, frame, len).ret == 0) != (i >= 3 && i < 1003);
	}
	CHECK_INT(wrong, 0);
}

/* Where not all addresses fit nothing is narrowed, and that is told; addresses go before rules. */
static void test_too_many(void)
{
	bool left[CASE_EXCLUDES] = {false}, narrow_left = false;
	struct filter_config c = {.dns_ports = case_dns_ports, .ndns_ports = 2};
	int n, m = build(whole, NULL, 0, FILTER_INSNS_MAX), i, wrong = 0;

	c.narrow = many;
	c.nnarrow = MANY;
	c.narrow_left = &narrow_left;
	many_addresses(MANY);
	n = classic_flow_filter(narrow, FILTER_INSNS_MAX, &c);
	CHECK(narrow_left);
	CHECK_INT(n, m);
	for (i = 0; i < n && i < m; i++)
		wrong += memcmp(&narrow[i].insn, &whole[i].insn, sizeof(whole[i].insn)) != 0;
	CHECK_INT(wrong, 0);
	c.nnarrow = 4;
	n = classic_flow_filter(narrow, FILTER_INSNS_MAX, &c);
	CHECK(!narrow_left && n > m);
	c.excludes = case_excludes;
	c.nexcludes = CASE_EXCLUDES;
	c.excludes_left = left;
	CHECK_INT(classic_flow_filter(narrow, (size_t)n, &c), n); /* room for no rule */
	CHECK(!narrow_left && left[0] && left[1] && left[2]);
	CHECK(classic_flow_filter(narrow, (size_t)n - 1, &c) > m);
	CHECK(narrow_left && !left[1]);
	CHECK(classic_flow_filter(narrow, FILTER_INSNS_MAX, &c) > n);
	CHECK(!narrow_left && !left[0] && !left[1] && !left[2]);
	c.nnarrow = 0;
	CHECK_INT(classic_flow_filter(narrow, 100, &c), FL_EFULL);
	CHECK(!narrow_left);
}

/* What a rule leaves out does not come back, and the others are narrowed. */
static void test_with_rules(void)
{
	static const struct narrow_case ssh = {"4t", 1000, 22, SYN, "", 0, PAD, 0};
	static const struct narrow_case syn = {"4t", 1000, 23, SYN, "", 0, PAD, ALL};
	static const struct narrow_case ack = {"q6t", 1000, 23, ACK, "", 0, 0, 0};
	struct filter_config c = {.dns_ports = case_dns_ports, .ndns_ports = 2};
	uint8_t frame[CASE_FRAME_MAX];
	size_t ip, len;
	int n;

	c.excludes = case_excludes;
	c.nexcludes = CASE_EXCLUDES;
	c.narrow = narrow_own;
	c.nnarrow = NARROW_OWN;
	n = classic_flow_filter(narrow, FILTER_INSNS_MAX, &c);
	CHECK_INT(interpret_check(narrow, (size_t)n), -1);
	len = narrow_build(&ssh, 1, frame, &ip);
	CHECK_INT(run(narrow, n, frame, len).ret, 0);
	len = narrow_build(&syn, 1, frame, &ip);
	CHECK_INT(run(narrow, n, frame, len).ret, FILTER_COPY_SMALL);
	len = narrow_build(&ack, 1, frame, &ip);
	CHECK_INT(run(narrow, n, frame, len).ret, 0);
}

/* Instructions for the frames that nearly all of a host's TCP is made of. */
static void test_cost(void)
{
	static const struct {
		struct narrow_case c;
		unsigned int own, others; /* at most */
	} frames[] = {
	    {{"4T", 1000, 443, ACK, "", 0, 66, 0}, 32, 25},
	    {{"6T", 1000, 443, ACK, "", 0, 86, 0}, 34, 34},
	    {{"4T", 1000, 443, ACK, "\x17\x03\x03\x01", 1400, 0, 0}, 37, 43},
	    {{"4T", 1000, 443, PSH, "\x17\x03\x03\x01", 100, 0, ALL}, 32, 25},
	    {{"4T", 1000, 443, SYN, "", 0, 0, ALL}, 26, 25},
	    {{"4T", 1000, 80, PSH, "GET / HTTP/1.1", 1400, 0, ALL}, 37, 43},
	};
	static const uint16_t dns[] = {53};
	static const size_t numbers[] = {1, 16, 128};
	struct filter_config c = {.dns_ports = dns, .ndns_ports = 1};
	uint8_t frame[CASE_FRAME_MAX];
	unsigned int own, others, ever;
	size_t i, ip, len;
	int n, m, k;

	n = classic_flow_filter(whole, FILTER_INSNS_MAX, &c);
	c.narrow = narrow_own;
	c.nnarrow = NARROW_OWN;
	m = classic_flow_filter(narrow, FILTER_INSNS_MAX, &c);
	for (i = 0; i < sizeof(frames) / sizeof(frames[0]); i++) {
		len = narrow_build(&frames[i].c, 1, frame, &ip);
		ever = run(whole, n, frame, len).insns;
		own = run(narrow, m, frame, len).insns;
		frame[ip + 19] = frame[ip + 23] = 9; /* another host's */
		others = run(narrow, m, frame, len).insns;
		CHECK_MSG(own <= frames[i].own && others <= frames[i].others,
			  "frame %zu: %u, of others %u", i, own, others);
		if (getenv("FILTER_COST"))
			printf("%s %zu bytes: %u, narrowed %u, another host's %u\n",
			       frames[i].c.layers, len, ever, own, others);
	}
	for (k = 0; k < 3; k++) {
		many_addresses(2 * numbers[k]);
		c.narrow = many;
		c.nnarrow = 2 * numbers[k];
		m = classic_flow_filter(narrow, FILTER_INSNS_MAX, &c);
		len = narrow_build(&frames[0].c, 1, frame, &ip);
		others = run(narrow, m, frame, len).insns;
		CHECK_MSG(others > 11 && others <= 23 + 8 * (unsigned int)k, "%zu addresses: %u",
			  c.nnarrow, others);
		if (getenv("FILTER_COST"))
			printf("%zu addresses: %d instructions, %u for another host's ACK\n",
			       c.nnarrow, m, others);
	}
}

TEST_MAIN({"cases", test_cases}, {"others' frames", test_others}, {"every cut", test_every_cut},
	  {"random frames keep to the rule", test_random_frames},
	  {"random networks too", test_random_nets}, {"many addresses", test_many},
	  {"a range of addresses", test_range}, {"too many addresses", test_too_many},
	  {"with rules", test_with_rules}, {"what it costs", test_cost})
