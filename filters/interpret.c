/* interpret.c - a second implementation of the classic BPF machine, to compare the kernel's with.
 *
 * After the instruction set of McCanne and Jacobson (1993) and Linux's net/core/filter.c. Only what
 * filters/classic.c uses: no multiplication or division, scratch memory for whole words from A to
 * X.
 */
#include "filters/interpret.h"

#include <stdbool.h>

#include "common/wire.h"

struct machine {
	uint32_t a, x;
	uint32_t mem[BPF_MEMWORDS];
	const struct interpret_frame *frame;
	bool bad_load;
};

static bool interpret_ancillary_known(uint32_t k)
{
	return k == (uint32_t)(SKF_AD_OFF + SKF_AD_PROTOCOL) ||
	       k == (uint32_t)(SKF_AD_OFF + SKF_AD_PKTTYPE) ||
	       k == (uint32_t)(SKF_AD_OFF + SKF_AD_HATYPE);
}

static bool interpret_code_known(const struct sock_filter *insn)
{
	switch (insn->code) {
	case BPF_LD | BPF_W | BPF_ABS:
		return insn->k < 0x80000000u || interpret_ancillary_known(insn->k);
	case BPF_LD | BPF_H | BPF_ABS:
	case BPF_LD | BPF_B | BPF_ABS:
	case BPF_LD | BPF_W | BPF_IND:
	case BPF_LD | BPF_H | BPF_IND:
	case BPF_LD | BPF_B | BPF_IND:
		return insn->k < 0x80000000u;
	case BPF_LD | BPF_W | BPF_LEN:
	case BPF_LDX | BPF_W | BPF_IMM:
	case BPF_LDX | BPF_B | BPF_MSH:
	case BPF_ALU | BPF_AND | BPF_K:
	case BPF_ALU | BPF_ADD | BPF_K:
	case BPF_ALU | BPF_ADD | BPF_X:
	case BPF_ALU | BPF_SUB | BPF_X:
	case BPF_MISC | BPF_TAX:
	case BPF_MISC | BPF_TXA:
	case BPF_JMP | BPF_JA:
	case BPF_JMP | BPF_JEQ | BPF_K:
	case BPF_JMP | BPF_JGT | BPF_K:
	case BPF_JMP | BPF_JGE | BPF_K:
	case BPF_JMP | BPF_JSET | BPF_K:
	case BPF_RET | BPF_K:
		return true;
	case BPF_ALU | BPF_LSH | BPF_K:
	case BPF_ALU | BPF_RSH | BPF_K:
		return insn->k < 32;
	case BPF_ST:
	case BPF_LDX | BPF_W | BPF_MEM:
		return insn->k < BPF_MEMWORDS;
	default:
		return false;
	}
}

int interpret_check(const struct filter_insn *prog, size_t n)
{
	size_t i;

	if (n == 0 || n > BPF_MAXINSNS)
		return 0;
	for (i = 0; i < n; i++) {
		const struct sock_filter *insn = &prog[i].insn;
		size_t left = n - i - 1;

		if (!interpret_code_known(insn))
			return (int)i;
		if (BPF_CLASS(insn->code) != BPF_JMP)
			continue;
		if (BPF_OP(insn->code) == BPF_JA ? insn->k >= left
						 : insn->jt >= left || insn->jf >= left)
			return (int)i;
	}
	return BPF_CLASS(prog[n - 1].insn.code) == BPF_RET ? -1 : (int)n - 1;
}

static void interpret_load(struct machine *m, const struct sock_filter *insn)
{
	const struct interpret_frame *frame = m->frame;
	uint64_t at = insn->k;
	uint32_t size = BPF_SIZE(insn->code) == BPF_B ? 1 : BPF_SIZE(insn->code) == BPF_H ? 2 : 4;
	const uint8_t *p;

	if (BPF_MODE(insn->code) == BPF_LEN) {
		m->a = frame->len;
		return;
	}
	if (BPF_MODE(insn->code) == BPF_ABS && interpret_ancillary_known(insn->k)) {
		m->a = insn->k == (uint32_t)(SKF_AD_OFF + SKF_AD_PROTOCOL)  ? frame->protocol
		       : insn->k == (uint32_t)(SKF_AD_OFF + SKF_AD_PKTTYPE) ? frame->pkttype
									    : frame->hatype;
		return;
	}
	if (BPF_MODE(insn->code) == BPF_IND)
		at += m->x;
	if (at + size > frame->len) {
		m->bad_load = true;
		return;
	}
	p = frame->data + at;
	m->a = size == 1 ? *p : size == 2 ? load_be16(p) : load_be32(p);
}

/* A number, what was kept, or 4 * (the byte's lower half): the length of an IPv4 header. */
static void interpret_load_x(struct machine *m, const struct sock_filter *insn)
{
	if (BPF_MODE(insn->code) == BPF_MEM)
		m->x = m->mem[insn->k];
	else if (BPF_MODE(insn->code) != BPF_MSH)
		m->x = insn->k;
	else if (insn->k < m->frame->len)
		m->x = (uint32_t)(m->frame->data[insn->k] & 15) * 4;
	else
		m->bad_load = true;
}

static void interpret_alu(struct machine *m, const struct sock_filter *insn)
{
	uint32_t by = BPF_SRC(insn->code) == BPF_X ? m->x : insn->k;

	switch (BPF_OP(insn->code)) {
	case BPF_AND:
		m->a &= by;
		break;
	case BPF_LSH:
		m->a <<= by;
		break;
	case BPF_RSH:
		m->a >>= by;
		break;
	case BPF_SUB:
		m->a -= by;
		break;
	default:
		m->a += by;
	}
}

static size_t interpret_jump(const struct machine *m, const struct sock_filter *insn)
{
	bool yes;

	switch (BPF_OP(insn->code)) {
	case BPF_JA:
		return insn->k;
	case BPF_JEQ:
		yes = m->a == insn->k;
		break;
	case BPF_JGT:
		yes = m->a > insn->k;
		break;
	case BPF_JGE:
		yes = m->a >= insn->k;
		break;
	default:
		yes = (m->a & insn->k) != 0;
	}
	return yes ? insn->jt : insn->jf;
}

struct interpret_result interpret_run(const struct filter_insn *prog, size_t n,
				      const struct interpret_frame *frame)
{
	struct interpret_result r = {0, 0, -1};
	struct machine m = {0, 0, {0}, frame, false};
	size_t pc;

	for (pc = 0; pc < n; pc++) {
		const struct sock_filter *insn = &prog[pc].insn;

		r.insns++;
		switch (BPF_CLASS(insn->code)) {
		case BPF_LD:
			interpret_load(&m, insn);
			break;
		case BPF_LDX:
			interpret_load_x(&m, insn);
			break;
		case BPF_ST:
			m.mem[insn->k] = m.a;
			break;
		case BPF_ALU:
			interpret_alu(&m, insn);
			break;
		case BPF_JMP:
			pc += interpret_jump(&m, insn);
			break;
		case BPF_RET:
			r.ret = insn->k;
			return r;
		default:
			if (BPF_MISCOP(insn->code) == BPF_TAX)
				m.x = m.a;
			else
				m.a = m.x;
		}
		if (m.bad_load) {
			r.bad_load_at = (int)pc;
			return r;
		}
	}
	return r;
}
