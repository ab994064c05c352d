/* classic_exclude.h - the parts of the flow filter that look at addresses: what is left out
 * (capture.exclude), and whose TCP is narrowed.
 *
 * For classic.c only. One block for each place where an IP header may be; a block goes before the
 * instructions that decide how much is copied, and is not there where there is nothing to look for.
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

/* Write the block that finds TCP in plain headers with an address in config->narrow: it goes on
 * behind the block, and everything else with the block's last instruction, a BPF_JA whose distance
 * the caller has to fill in. X stays. Returns as above; 0: no address is of this version of IP. */
int classic_narrow_block(struct filter_insn *out, size_t max, const struct filter_config *config,
			 const struct exclude_place *place) MUST_CHECK;

#endif
