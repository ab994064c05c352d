/* classic_syn.h - the classic BPF program of the watch for new connections (collector/syn_watch.h).
 */
#ifndef FILTERS_CLASSIC_SYN_H
#define FILTERS_CLASSIC_SYN_H

#include "filters/classic.h"

enum {
	CLASSIC_SYN_COPY = 96
}; /* IPv6 and TCP headers, or IPv4 with all options and TCP's first bytes */

/* SYNs that this host sends, each once. For an AF_PACKET SOCK_DGRAM socket: the packet begins with
 * its IP header. Same form as classic_flow_filter(); config is not looked at. */
int classic_syn_filter(struct filter_insn *out, size_t max,
		       const struct filter_config *config) MUST_CHECK;

#endif
