/* asm.c - classic BPF disassembler.
 *
 * Notation: Documentation/networking/filter.rst of Linux (bpf_asm), with the ancillary loads by
 * name.
 */
#include "filters/asm.h"

#include <stdarg.h>
#include <stdint.h>

static const struct {
	uint32_t offset;
	const char *name;
} asm_ancillary[] = {
    {SKF_AD_PROTOCOL, "proto"},    {SKF_AD_PKTTYPE, "pkttype"},
    {SKF_AD_IFINDEX, "ifindex"},   {SKF_AD_MARK, "mark"},
    {SKF_AD_QUEUE, "queue"},       {SKF_AD_HATYPE, "hatype"},
    {SKF_AD_RXHASH, "rxhash"},     {SKF_AD_CPU, "cpu"},
    {SKF_AD_VLAN_TAG, "vlan_tci"}, {SKF_AD_VLAN_TAG_PRESENT, "vlan_present"},
};

static size_t PRINTF_LIKE(2, 3) asm_text(char *out, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(out, ASM_TEXT_SIZE, fmt, ap);
	va_end(ap);
	return n < 0 ? 0 : n < ASM_TEXT_SIZE ? (size_t)n : ASM_TEXT_SIZE - 1;
}

static const char *asm_ancillary_name(uint32_t k)
{
	size_t i;

	for (i = 0; i < sizeof(asm_ancillary) / sizeof(asm_ancillary[0]); i++)
		if (k == (uint32_t)SKF_AD_OFF + asm_ancillary[i].offset)
			return asm_ancillary[i].name;
	return NULL;
}

static size_t asm_load(char *out, const struct sock_filter *insn)
{
	const char *op = BPF_SIZE(insn->code) == BPF_B   ? "ldb"
			 : BPF_SIZE(insn->code) == BPF_H ? "ldh"
							 : "ld";
	const char *name;

	switch (BPF_MODE(insn->code)) {
	case BPF_ABS:
		name = asm_ancillary_name(insn->k);
		return name ? asm_text(out, "%-4s %s", op, name)
			    : asm_text(out, "%-4s [%u]", op, insn->k);
	case BPF_IND:
		return asm_text(out, "%-4s [x + %u]", op, insn->k);
	case BPF_IMM:
		return asm_text(out, "%-4s #0x%x", op, insn->k);
	case BPF_LEN:
		return asm_text(out, "%-4s #len", op);
	case BPF_MEM:
		return asm_text(out, "%-4s M[%u]", op, insn->k);
	default:
		return asm_text(out, "? 0x%x %u", insn->code, insn->k);
	}
}

static size_t asm_load_x(char *out, const struct sock_filter *insn)
{
	switch (BPF_MODE(insn->code)) {
	case BPF_IMM:
		return asm_text(out, "ldx  #%u", insn->k);
	case BPF_LEN:
		return asm_text(out, "ldx  #len");
	case BPF_MEM:
		return asm_text(out, "ldx  M[%u]", insn->k);
	case BPF_MSH:
		return asm_text(out, "ldxb 4*([%u]&0xf)", insn->k);
	default:
		return asm_text(out, "? 0x%x %u", insn->code, insn->k);
	}
}

static size_t asm_alu(char *out, const struct sock_filter *insn)
{
	static const char *const names[16] = {"add", "sub", "mul", "div", "or", "and",
					      "lsh", "rsh", "neg", "mod", "xor"};
	const char *name = names[BPF_OP(insn->code) >> 4];

	if (!name)
		return asm_text(out, "? 0x%x %u", insn->code, insn->k);
	if (BPF_OP(insn->code) == BPF_NEG)
		return asm_text(out, "neg");
	if (BPF_SRC(insn->code) == BPF_X)
		return asm_text(out, "%-4s x", name);
	return asm_text(out, BPF_OP(insn->code) == BPF_AND ? "%-4s #0x%x" : "%-4s #%u", name,
			insn->k);
}

static size_t asm_jump(char *out, const struct sock_filter *insn, unsigned int pc)
{
	static const char *const names[16] = {"ja", "jeq", "jgt", "jge", "jset"};
	const char *name = names[BPF_OP(insn->code) >> 4];
	unsigned int yes = pc + 1 + insn->jt, no = pc + 1 + insn->jf;

	if (!name)
		return asm_text(out, "? 0x%x %u", insn->code, insn->k);
	if (BPF_OP(insn->code) == BPF_JA)
		return asm_text(out, "%-4s %u", name, pc + 1 + insn->k);
	if (BPF_SRC(insn->code) == BPF_X)
		return asm_text(out, "%-4s x, %u, %u", name, yes, no);
	return asm_text(out, "%-4s #0x%x, %u, %u", name, insn->k, yes, no);
}

size_t asm_format(char out[ASM_TEXT_SIZE], const struct sock_filter *insn, unsigned int pc)
{
	switch (BPF_CLASS(insn->code)) {
	case BPF_LD:
		return asm_load(out, insn);
	case BPF_LDX:
		return asm_load_x(out, insn);
	case BPF_ST:
		return asm_text(out, "st   M[%u]", insn->k);
	case BPF_STX:
		return asm_text(out, "stx  M[%u]", insn->k);
	case BPF_ALU:
		return asm_alu(out, insn);
	case BPF_JMP:
		return asm_jump(out, insn, pc);
	case BPF_RET:
		if (BPF_RVAL(insn->code) == BPF_A)
			return asm_text(out, "ret  a");
		return asm_text(out, "ret  #%u", insn->k);
	default:
		return asm_text(out, BPF_MISCOP(insn->code) == BPF_TAX ? "tax" : "txa");
	}
}

void asm_print(FILE *f, const struct filter_insn *prog, size_t n)
{
	char text[ASM_TEXT_SIZE];
	size_t i;

	for (i = 0; i < n; i++) {
		asm_format(text, &prog[i].insn, (unsigned int)i);
		if (prog[i].section)
			fprintf(f, "%s; %s\n", i ? "\n" : "", prog[i].section);
		if (prog[i].comment && *prog[i].comment)
			fprintf(f, "%3zu: %-30s ; %s\n", i, text, prog[i].comment);
		else
			fprintf(f, "%3zu: %s\n", i, text);
	}
}

void asm_print_numbers(FILE *f, const struct filter_insn *prog, size_t n)
{
	size_t i;

	fprintf(f, "%zu\n", n);
	for (i = 0; i < n; i++)
		fprintf(f, "%u %u %u %u\n", prog[i].insn.code, prog[i].insn.jt, prog[i].insn.jf,
			prog[i].insn.k);
}
