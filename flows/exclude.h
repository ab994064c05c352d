/* exclude.h - traffic that is left out (capture.exclude), by the flow's key.
 *
 * The same rules as the kernel filter's (filters/classic.h): what that one cannot tell (fragments,
 * packets in tunnels, capture files) is left out here. Memory:  everything is borrowed and only
 * read.
 */
#ifndef FLOWS_EXCLUDE_H
#define FLOWS_EXCLUDE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/addr.h"
#include "flows/packet.h"

/* Fits where each list that has entries has one that fits; without any it fits nothing. */
struct exclude_rule {
	const struct ip_net *nets; /* either address is in one */
	size_t nnets;
	const uint16_t *ports; /* either port is one */
	size_t nports;
};

struct exclude {
	const struct exclude_rule *rules;
	size_t n;
};

/* Does one rule fit? Both directions of a flow have the same key and so the same answer. */
bool exclude_rule_fits(const struct exclude_rule *r, const struct flow_key *key);

/* Does any? x may be NULL: no rule. */
bool exclude_match(const struct exclude *x, const struct flow_key *key);

#endif
