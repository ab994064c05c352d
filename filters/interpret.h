/* interpret.h - run a classic BPF program in user space: for tests, and to say what a filter would
 * do.
 */
#ifndef FILTERS_INTERPRET_H
#define FILTERS_INTERPRET_H

#include <stddef.h>
#include <stdint.h>

#include "filters/classic.h"

/* A frame as the kernel has it when a socket filter runs. */
struct interpret_frame {
	const uint8_t *data; /* what offset 0 is */
	uint32_t len;
	uint16_t protocol; /* SKF_AD_PROTOCOL, host order */
	uint16_t hatype;   /* SKF_AD_HATYPE */
	uint8_t pkttype;   /* SKF_AD_PKTTYPE */
};

struct interpret_result {
	uint32_t ret;       /* what the program returned; 0 after a bad load */
	unsigned int insns; /* how many ran */
	int bad_load_at;    /* the instruction that read beyond the frame, -1: none */
};

/* Would Linux take the program? Jumps stay inside and go forward, only the instructions and
 * ancillary loads that Linux 3.2 has, no division by a constant 0, the last instruction returns.
 * Returns -1, or the number of the first instruction that is wrong. */
int interpret_check(const struct filter_insn *prog, size_t n);

/* The program must have passed interpret_check(). */
struct interpret_result interpret_run(const struct filter_insn *prog, size_t n,
				      const struct interpret_frame *frame);

#endif
