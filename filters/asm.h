/* asm.h - a classic BPF program as text, for people and for other tools.
 */
#ifndef FILTERS_ASM_H
#define FILTERS_ASM_H

#include <stddef.h>
#include <stdio.h>

#include "filters/classic.h"

enum { ASM_TEXT_SIZE = 80 };

/* One instruction in the notation of the kernel's Documentation/networking/filter.rst, jumps as the
 * numbers of their instructions; pc is its own number. Writes a final 0, returns the length. */
size_t asm_format(char out[ASM_TEXT_SIZE], const struct sock_filter *insn, unsigned int pc);

/* The whole program, one numbered and commented instruction a line. */
void asm_print(FILE *f, const struct filter_insn *prog, size_t n);

/* The program as `tcpdump -ddd` prints it: the number of instructions, then "code jt jf k" a line.
 */
void asm_print_numbers(FILE *f, const struct filter_insn *prog, size_t n);

#endif
