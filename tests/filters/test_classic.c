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
	struct filter_config c = {ports, n, inner};

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
	struct filter_config c = {ports, FILTER_DNS_PORTS_MAX, true};
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
	  {"configurations", test_configurations}, {"check refuses", test_check_refuses},
	  {"text", test_text}, {"numbers", test_numbers})
