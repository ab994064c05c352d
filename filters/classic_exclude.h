/* classic_exclude.h - the part of the flow filter that leaves packets out (capture.exclude).
 *
 * For classic.c only. One block for each place where an IP header may be; a block goes before the
 * instructions that decide how much is copied, and is not there where there is no rule.
 */
#ifndef FILTERS_CLASSIC_EXCLUDE_H
#define FILTERS_CLASSIC_EXCLUDE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "filters/classic.h"

/* Where the IP header is. */
struct exclude_place {
	bool ip6;
	bool at_x;     /* base counts from X, which the block does not change */
	uint32_t base; /* offset of the IP header */
	const char *section;
};

/* Write the block to out: TCP and UDP packets for which one of the rules fits end there, returning
 * 0; all others go on behind its last instruction. rules: bit i stands for config->excludes[i].
 * Returns how many instructions (0: none of the rules can fit here), or FL_EFULL. */
int classic_exclude_block(struct filter_insn *out, size_t max, const struct filter_config *config,
			  uint64_t rules, const struct exclude_place *place) MUST_CHECK;

#endif
