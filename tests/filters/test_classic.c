/* test_classic.c - the flow filter run in user space: every case, every cut of every case, and what
 * the kernel demands of a program. */
#include "tests/test.h"

#include <net/if_arp.h>
#include <linux/if_packet.h>
#include <stdlib.h>

#include "filters/asm.h"
#include "filters/classic.h"
#include "filters/interpret.h"
#include "tests/filters/cases.h"

static struct filter_insn prog[FILTER_INSNS_MAX];

static int build(const uint16_t *ports, size_t n, bool inner)
{
	struct filter_config c = {.dns_ports = ports, .ndns_ports = n, .tunnels_inner = inner};

	return classic_flow_filter(prog, FILTER_INSNS_MAX, &c);
}

static struct interpret_result run(int n, const uint8_t *data, size_t len, uint16_t hatype,
				   uint16_t protocol, uint8_t pkttype)
{
	struct interpret_frame f;

	memset(&f, 0, sizeof(f));
	f.data = data;
	f.len = (uint32_t)len;
	f.hatype = hatype;
	f.protocol = protocol;
	f.pkttype = pkttype;
	return interpret_run(prog, (size_t)n, &f);
}

static void test_cases(void)
{
	uint8_t frame[CASE_FRAME_MAX];
	int n = build(case_dns_ports, 2, false);
	size_t i;

	CHECK(n > 0);
	CHECK_INT(interpret_check(prog, (size_t)n), -1);
	for (i = 0; i < FILTER_CASES; i++) {
		const struct filter_case *c = &filter_cases[i];
		size_t len = case_build(c, (uint16_t)i, frame);
		struct interpret_result r = run(n, frame, len, ARPHRD_ETHER, 0, 0);
		int got = r.ret < len ? (int)r.ret : (int)len;
		int want = c->want == ALL ? (int)c->len : c->want;

		CHECK_MSG(got == want, "case %zu \"%s\" %u %u %zu \"%s\": got %d, wanted %d", i,
			  c->layers, c->sport, c->dport, c->len, c->payload, got, want);
		CHECK_MSG(r.bad_load_at < 0, "case %zu \"%s\" bad load at %d", i, c->layers,
			  r.bad_load_at);
	}
}

/* However a frame is cut, no load may miss: the kernel would drop the frame and nobody would count
 * it. */
static void test_every_cut(void)
{
	uint8_t frame[CASE_FRAME_MAX];
	int n = build(case_dns_ports, 2, true), bad = 0;
	size_t i, len;

	for (i = 0; i < FILTER_CASES; i++) {
		case_build(&filter_cases[i], (uint16_t)i, frame);
		for (len = 14; len <= filter_cases[i].len; len++)
			if (run(n, frame, len, ARPHRD_ETHER, 0, 0).bad_load_at >= 0)
				bad++;
		for (len = 0; filter_cases[i].len > 14 && len <= filter_cases[i].len - 14; len++)
			if (run(n, frame + 14, len, ARPHRD_NONE,
				(uint16_t)(frame[12] << 8 | frame[13]), 0)
				.bad_load_at >= 0)
				bad++;
	}
	CHECK_INT(bad, 0);
}

static void test_random_bytes(void)
{
	static const uint16_t types[] = {0x0800, 0x86dd, 0x8100, 0x88a8, 0x8864, 0x8847, 0x8848};
	uint8_t frame[2048];
	int n = build(case_dns_ports, 2, true), bad = 0, round;
	size_t i, len;

	srandom(7);
	for (round = 0; round < 200000; round++) {
		len = 14 + (size_t)random() % (round & 1 ? 100 : 2000);
		for (i = 0; i < 128; i++)
			frame[i] = (uint8_t)random();
		case_put16(frame + 12, types[random() % 7]);
		case_put16(frame + 16, types[random() % 7]);
		case_put16(frame + 20, types[random() % 7]);
		if (run(n, frame, len, ARPHRD_ETHER, 0, 0).bad_load_at >= 0)
			bad++;
	}
	CHECK_INT(bad, 0);
}

static void test_links(void)
{
	uint8_t frame[CASE_FRAME_MAX];
	static const struct filter_case tcp = {"4t", 1, 2, 1514, "", HDR};
	int n = build(case_dns_ports, 2, false);
	size_t len = case_build(&tcp, 1, frame);

	CHECK_INT(run(n, frame, len, ARPHRD_LOOPBACK, 0x0800, PACKET_OUTGOING).ret, 0);
	CHECK_INT(run(n, frame, len, ARPHRD_LOOPBACK, 0x0800, PACKET_HOST).ret, HDR);
	CHECK_INT(run(n, frame, len, ARPHRD_ETHER, 0x0800, PACKET_OUTGOING).ret, HDR);
	CHECK_INT(run(n, frame + 14, len - 14, ARPHRD_NONE, 0x0800, 0).ret, HDR);
	CHECK_INT(run(n, frame + 14, len - 14, ARPHRD_PPP, 0x0800, 0).ret, HDR);
	CHECK_INT(run(n, frame + 14, len - 14, ARPHRD_NONE, 0x0806, 0).ret, 0);
	CHECK_INT(run(n, frame + 14, len - 14, 778, 0x0800, 0).ret, FILTER_COPY_HTTP);
	CHECK_INT(run(n, frame + 14, len - 14, 803, 0x0004, 0).ret, 0);
}

static void test_common_frame_is_cheap(void)
{
	uint8_t frame[CASE_FRAME_MAX];
	static const struct filter_case ack = {"4t", 1, 2, 66, "", ALL};
	static const struct filter_case bulk = {"4t", 1, 2, 1514, "\x17\x03\x03\x01", HDR};
	static const uint16_t dns[] = {53};
	int n = build(dns, 1, false);

	CHECK(run(n, frame, case_build(&ack, 1, frame), ARPHRD_ETHER, 0, 0).insns <= 11);
	CHECK(run(n, frame, case_build(&bulk, 1, frame), ARPHRD_ETHER, 0, 0).insns <= 30);
}

static void test_configurations(void)
{
	uint8_t frame[CASE_FRAME_MAX];
	static const struct filter_case vxlan = {"4u", 999, 4789, 1514, "", ALL};
	static const struct filter_case dns = {"4u", 999, 53, 1514, "", ALL};
	uint16_t ports[FILTER_DNS_PORTS_MAX + 1];
	struct filter_config c = {
	    .dns_ports = ports, .ndns_ports = FILTER_DNS_PORTS_MAX, .tunnels_inner = true};
	int n, i;

	for (i = 0; i <= FILTER_DNS_PORTS_MAX; i++)
		ports[i] = (uint16_t)(10000 + i);
	n = build(ports, FILTER_DNS_PORTS_MAX, true);
	CHECK(n > 0);
	CHECK_INT(interpret_check(prog, (size_t)n), -1);
	CHECK_INT(run(n, frame, case_build(&vxlan, 1, frame), ARPHRD_ETHER, 0, 0).ret,
		  FILTER_COPY_WHOLE);
	CHECK_INT(run(n, frame, case_build(&dns, 1, frame), ARPHRD_ETHER, 0, 0).ret, HDR);
	CHECK_INT(build(ports, FILTER_DNS_PORTS_MAX + 1, false), FL_EUSAGE);
	CHECK_INT(classic_flow_filter(prog, 100, &c), FL_EFULL);
	n = build(ports, 0, false);
	CHECK_INT(interpret_check(prog, (size_t)n), -1);
}

/* --- rules ------------------------------------------------------------------------------------ */

enum { RULES_MAX = 70, RULE_NETS = 1500, RULE_PORTS = 600 };

/* Random rules, near the addresses and ports of random packets. */
struct rules {
	struct filter_exclude rule[RULES_MAX];
	bool left[RULES_MAX];
	size_t n;
	struct ip_net nets[RULES_MAX * RULE_NETS];
	uint16_t ports[RULES_MAX * RULE_PORTS];
};

static struct rules rules;

static unsigned int rnd(unsigned int n)
{
	return (unsigned int)random() % n;
}

static void random_addr(struct ip_addr *a, bool v4, unsigned int spread)
{
	size_t i;

	memset(a, 0, sizeof(*a));
	if (v4)
		addr_from_v4(a, (const uint8_t[4]){10, 0, 0, 0});
	for (i = v4 ? 12 : 0; i < 16; i++)
		a->b[i] = (uint8_t)(a->b[i] ^ rnd(spread));
}

static void random_rules(size_t n, unsigned int nnets, unsigned int nports, unsigned int spread)
{
	size_t i, k;

	rules.n = n;
	for (i = 0; i < n; i++) {
		struct filter_exclude *r = &rules.rule[i];
		struct ip_net *nets = &rules.nets[i * RULE_NETS];
		uint16_t *ports = &rules.ports[i * RULE_PORTS];

		*r = (struct filter_exclude){nets, rnd(nnets + 1), ports, rnd(nports + 1)};
		for (k = 0; k < r->nnets; k++) {
			bool v4 = random() & 1;
			size_t bit;

			random_addr(&nets[k].addr, v4, spread);
			nets[k].bits = (uint8_t)(rnd(20) == 0 ? rnd(129)
						 : v4         ? 128 - rnd(20)
							      : 128 - rnd(100));
			for (bit = nets[k].bits; bit < 128; bit++)
				nets[k].addr.b[bit / 8] &= (uint8_t) ~(0x80 >> bit % 8);
		}
		for (k = 0; k < r->nports; k++)
			ports[k] = (uint16_t)rnd(50 * spread);
	}
}

static int build_rules(bool inner, size_t max)
{
	static const uint16_t dns[] = {53};
	struct filter_config c = {.dns_ports = dns, .ndns_ports = 1, .tunnels_inner = inner};

	c.excludes = rules.rule;
	c.nexcludes = rules.n;
	c.excludes_left = rules.left;
	return classic_flow_filter(prog, max, &c);
}

/* The rules as they are told: the model. */
static bool rule_fits(const struct filter_exclude *r, const struct ip_addr a[2],
		      const uint16_t port[2])
{
	bool nets = !r->nnets, ports = !r->nports;
	size_t i;

	for (i = 0; i < r->nnets; i++)
		nets = nets || net_contains(&r->nets[i], &a[0]) || net_contains(&r->nets[i], &a[1]);
	for (i = 0; i < r->nports; i++)
		ports = ports || r->ports[i] == port[0] || r->ports[i] == port[1];
	return nets && ports && (r->nnets || r->nports);
}

static bool left_out(const struct ip_addr a[2], const uint16_t port[2])
{
	size_t i;

	for (i = 0; i < rules.n; i++)
		if (!rules.left[i] && rule_fits(&rules.rule[i], a, port))
			return true;
	return false;
}

/* Random packets: returns how many were left out; all of them must agree with the model. */
static int try_packets(int n, unsigned int spread, int count)
{
	static const char *const layers[] = {"4t", "4u", "6t", "6u", "q4t", "p6u", "mm4u", "sq6t"};
	uint8_t frame[CASE_FRAME_MAX];
	int wrong = 0, out = 0;

	while (count--) {
		struct filter_case c = {layers[rnd(8)], 0, 0, 90 + rnd(2) * 800, "", 0};
		bool v4 = strchr(c.layers, '4') != NULL, want;
		uint16_t port[2] = {(uint16_t)rnd(50 * spread), (uint16_t)rnd(50 * spread)};
		size_t at, len;
		struct ip_addr a[2];
		struct interpret_result r;

		c.sport = port[0];
		c.dport = port[1];
		len = case_build(&c, 1, frame);
		at = 14;
		while (memcmp(frame + at, v4 ? "\x0a\0\0\x01\x0a" : "\xfd\0\0\0", v4 ? 5 : 4))
			at++;
		random_addr(&a[0], v4, spread);
		random_addr(&a[1], v4, spread);
		memcpy(frame + at, a[0].b + (v4 ? 12 : 0), v4 ? 4 : 16);
		memcpy(frame + at + (v4 ? 4 : 16), a[1].b + (v4 ? 12 : 0), v4 ? 4 : 16);
		want = left_out(a, port);
		out += want;
		r = run(n, frame, len, ARPHRD_ETHER, 0, 0);
		if (r.bad_load_at >= 0 || (r.ret == 0) != want)
			wrong++;
	}
	CHECK_INT(wrong, 0);
	return out;
}

static void test_rules_against_model(void)
{
	static const struct {
		size_t n;
		unsigned int nets, ports, spread;
	} shapes[] = {{1, 1, 0, 4},     {1, 0, 3, 4},     {1, 3, 3, 2},    {8, 1, 1, 4},
		      {8, 20, 4, 8},    {32, 5, 3, 8},    {64, 2, 2, 16},  {3, 200, 8, 64},
		      {1, 60, 300, 60}, {2, 400, 0, 200}, {2, 4, 500, 100}};
	size_t i, round;
	int n, out = 0;

	srandom(11);
	for (i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++)
		for (round = 0; round < 20; round++) {
			random_rules(shapes[i].n, shapes[i].nets, shapes[i].ports,
				     shapes[i].spread);
			n = build_rules(false, FILTER_INSNS_MAX);
			if (!CHECK(n > 0))
				return;
			CHECK_INT(interpret_check(prog, (size_t)n), -1);
			out += try_packets(n, shapes[i].spread, 1000);
		}
	CHECK(out > 10000);
}

/* Too many rules: those that fit are in it, the others are named. */
static void test_rules_that_do_not_fit(void)
{
	size_t i, left = 0;
	int n, before = build_rules(false, FILTER_INSNS_MAX);

	srandom(12);
	random_rules(RULES_MAX, 100, 30, 200);
	n = build_rules(false, FILTER_INSNS_MAX);
	CHECK(before > 0 && n > 2000 && n <= FILTER_INSNS_MAX);
	CHECK_INT(interpret_check(prog, (size_t)n), -1);
	for (i = 0; i < RULES_MAX; i++)
		left += rules.left[i];
	CHECK(left > RULES_MAX - FILTER_EXCLUDES_MAX && left < RULES_MAX);
	CHECK(try_packets(n, 200, 20000) > 100);
	random_rules(1, 1, 0, 4); /* one that cannot fit at all */
	rules.rule[0].nnets = RULE_NETS;
	for (i = 0; i < RULE_NETS; i++) {
		random_addr(&rules.nets[i].addr, true, 256);
		rules.nets[i].bits = 128;
	}
	n = build_rules(false, FILTER_INSNS_MAX);
	CHECK(rules.left[0]);
	rules.n = 0;
	CHECK_INT(build_rules(false, FILTER_INSNS_MAX), n);
	CHECK_INT(build_rules(false, 100), FL_EFULL);
}

static void test_exclude_cases(void)
{
	static const struct filter_case vxlan = {"4u", 22, 4789, 1514, "", ALL};
	static const struct filter_case on4 = {"4t", 22, 4789, 60, "", 0};
	uint8_t frame[CASE_FRAME_MAX];
	struct filter_config c = {.dns_ports = case_dns_ports,
				  .ndns_ports = 2,
				  .excludes = case_excludes,
				  .nexcludes = CASE_EXCLUDES};
	int n = classic_flow_filter(prog, FILTER_INSNS_MAX, &c);
	size_t i, len;

	CHECK_INT(interpret_check(prog, (size_t)n), -1);
	for (i = 0; i < EXCLUDE_CASES; i++) {
		const struct filter_case *x = &exclude_cases[i];
		struct interpret_result r;
		int want = x->want == ALL ? (int)x->len : x->want;

		len = case_build(x, (uint16_t)i, frame);
		r = run(n, frame, len, ARPHRD_ETHER, 0, 0);
		CHECK_MSG((r.ret < len ? (int)r.ret : (int)len) == want && r.bad_load_at < 0,
			  "case %zu \"%s\" %u %u %zu: got %u", i, x->layers, x->sport, x->dport,
			  x->len, r.ret);
		for (len = 14; len <= x->len; len++)
			CHECK(run(n, frame, len, ARPHRD_ETHER, 0, 0).bad_load_at < 0);
	}
	c.tunnels_inner = true; /* a datagram that is looked into */
	n = classic_flow_filter(prog, FILTER_INSNS_MAX, &c);
	CHECK(run(n, frame, case_build(&vxlan, 1, frame), ARPHRD_ETHER, 0, 0).ret > 0);
	CHECK_INT(run(n, frame, case_build(&on4, 1, frame), ARPHRD_ETHER, 0, 0).ret, 0);
}

/* What rules cost a packet that none fits; halving: 32 rules cost little more than one. */
static void test_rules_cost(void)
{
	static const struct filter_case ack = {"4t", 1000, 2000, 66, "", ALL};
	static const size_t numbers[] = {0, 1, 8, 32};
	static const unsigned int most[] = {11, 22, 28, 32};
	uint8_t frame[CASE_FRAME_MAX];
	size_t i, k, len = case_build(&ack, 1, frame);
	unsigned int insns;
	int n;

	for (i = 0; i < 4; i++) {
		rules.n = numbers[i];
		for (k = 0; k < rules.n; k++) {
			rules.rule[k] = (struct filter_exclude){&rules.nets[k], 1, NULL, 0};
			addr_from_v4(&rules.nets[k].addr,
				     (const uint8_t[4]){10, (uint8_t)(3 * k + 1), 0, 0});
			rules.nets[k].bits = 96 + 16;
		}
		n = build_rules(false, FILTER_INSNS_MAX);
		insns = run(n, frame, len, ARPHRD_ETHER, 0, 0).insns;
		CHECK_MSG(insns <= most[i], "%zu rules: %d instructions, %u for an ACK", rules.n, n,
			  insns);
		if (getenv("FILTER_COST"))
			printf("%zu rules: %d instructions, %u for an ACK\n", rules.n, n, insns);
	}
}

static void test_check_refuses(void)
{
	static const struct filter_insn jump_out[] = {
	    {{BPF_JMP | BPF_JEQ | BPF_K, 1, 0, 0}, "", NULL},
	    {{BPF_RET | BPF_K, 0, 0, 0}, "", NULL}};
	static const struct filter_insn no_ret[] = {
	    {{BPF_LD | BPF_W | BPF_LEN, 0, 0, 0}, "", NULL}};
	static const struct filter_insn odd[] = {{{0xffff, 0, 0, 0}, "", NULL},
						 {{BPF_RET | BPF_K, 0, 0, 0}, "", NULL}};

	CHECK_INT(interpret_check(jump_out, 2), 0);
	CHECK_INT(interpret_check(no_ret, 1), 0);
	CHECK_INT(interpret_check(odd, 2), 0);
	CHECK_INT(interpret_check(odd, 0), 0);
}

static void test_text(void)
{
	static const struct {
		struct sock_filter insn;
		const char *text;
	} cases[] = {
	    {{BPF_LD | BPF_H | BPF_ABS, 0, 0, 12}, "ldh  [12]"},
	    {{BPF_LD | BPF_B | BPF_IND, 0, 0, 9}, "ldb  [x + 9]"},
	    {{BPF_LD | BPF_W | BPF_LEN, 0, 0, 0}, "ld   #len"},
	    {{BPF_LD | BPF_W | BPF_ABS, 0, 0, (uint32_t)(SKF_AD_OFF + SKF_AD_HATYPE)},
	     "ld   hatype"},
	    {{BPF_LDX | BPF_W | BPF_IMM, 0, 0, 14}, "ldx  #14"},
	    {{BPF_LDX | BPF_B | BPF_MSH, 0, 0, 14}, "ldxb 4*([14]&0xf)"},
	    {{BPF_ALU | BPF_AND | BPF_K, 0, 0, 15}, "and  #0xf"},
	    {{BPF_ALU | BPF_ADD | BPF_X, 0, 0, 0}, "add  x"},
	    {{BPF_JMP | BPF_JEQ | BPF_K, 1, 2, 0x800}, "jeq  #0x800, 12, 13"},
	    {{BPF_JMP | BPF_JA, 0, 0, 4}, "ja   15"},
	    {{BPF_MISC | BPF_TAX, 0, 0, 0}, "tax"},
	    {{BPF_RET | BPF_K, 0, 0, 160}, "ret  #160"},
	};
	char text[ASM_TEXT_SIZE];
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		CHECK_INT(asm_format(text, &cases[i].insn, 10), (int)strlen(cases[i].text));
		CHECK_STR(text, cases[i].text);
	}
}

/* The numbers, read back, are the program. */
static void test_numbers(void)
{
	int n = build(case_dns_ports, 2, false), i, wrong = 0;
	FILE *f = tmpfile();
	unsigned int count = 0, code, jt, jf, k;

	if (!CHECK(f != NULL))
		return;
	asm_print_numbers(f, prog, (size_t)n);
	rewind(f);
	CHECK_INT(fscanf(f, "%u", &count), 1);
	CHECK_INT(count, n);
	for (i = 0; i < n; i++)
		if (fscanf(f, "%u %u %u %u", &code, &jt, &jf, &k) != 4 ||
		    code != prog[i].insn.code || jt != prog[i].insn.jt || jf != prog[i].insn.jf ||
		    k != prog[i].insn.k)
			wrong++;
	CHECK_INT(wrong, 0);
	fclose(f);
}

TEST_MAIN({"cases", test_cases}, {"every cut", test_every_cut}, {"random bytes", test_random_bytes},
	  {"links", test_links}, {"the common frame is cheap", test_common_frame_is_cheap},
	  {"configurations", test_configurations}, {"rules", test_exclude_cases},
	  {"random rules agree with a model", test_rules_against_model},
	  {"rules that do not fit", test_rules_that_do_not_fit},
	  {"what rules cost", test_rules_cost}, {"check refuses", test_check_refuses},
	  {"text", test_text}, {"numbers", test_numbers})
