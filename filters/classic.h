/* classic.h - the classic BPF programs that run in the kernel, before a frame is copied.
 *
 * Attached with SO_ATTACH_FILTER. The value a program returns is the number of bytes copied,
 * counted from the first byte of the frame; 0: the frame is not wanted. Only instructions and
 * ancillary loads that Linux 3.2 has are used (net/core/filter.c: HATYPE, PKTTYPE, PROTOCOL).
 */
#ifndef FILTERS_CLASSIC_H
#define FILTERS_CLASSIC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <linux/filter.h>

#include "common/addr.h"
#include "common/error.h"

enum {
	FILTER_INSNS_MAX = 4096,   /* BPF_MAXINSNS; without rules and addresses fewer than 700 */
	FILTER_DNS_PORTS_MAX = 32, /* conditional jumps reach 255 instructions */
	FILTER_EXCLUDES_MAX = 64,
	FILTER_COPY_HEADERS =
	    160, /* 14 Ethernet + 2 tags or 4 labels + 60 IPv4 + 60 TCP, and a little */
	FILTER_COPY_SMALL =
	    576, /* a TCP frame up to here is copied whole: its end may be a head's */
	FILTER_COPY_HTTP = 16384,   /* a segment of an HTTP head; also what is inside a tunnel */
	FILTER_COPY_WHOLE = 262144, /* tcpdump's own "everything" */
};

struct filter_insn {
	struct sock_filter insn;
	const char *comment; /* static */
	const char *section; /* static; of the first instruction of a section, else NULL */
};

/* A packet is left out where each list that has entries has one that fits; a rule without any fits
 * nothing. */
struct filter_exclude {
	const struct ip_net *nets; /* either address is in one */
	size_t nnets;
	const uint16_t *ports; /* either port is one */
	size_t nports;
};

struct filter_config {
	const uint16_t *dns_ports;
	size_t ndns_ports;  /* at most FILTER_DNS_PORTS_MAX */
	bool tunnels_inner; /* copy VXLAN and Geneve whole */
	/* Left out: TCP and UDP in plain headers for which a rule fits. Fragments, tunnels, IPv4
	 * options and IPv6 extension headers pass: user space needs the same rules. */
	const struct filter_exclude *excludes;
	size_t nexcludes;
	/* NULL, or nexcludes answers: the program has no room for this rule, user space alone has
	 * it. */
	bool *excludes_left;
	/* TCP in plain headers (as above) with an address in one of these networks is narrowed: the
	 * kernel's own figures count it (flows/kernel.h), so that the ring needs only segments that
	 * make a difference. Left out are, but on DNS ports and with SYN, FIN or RST: a segment
	 * without payload, by the lengths in its headers and not the frame's, that is not longer
	 * than FILTER_COPY_SMALL; and a longer one of which only headers would be copied, as it
	 * does not look like text. All others are copied as ever, also frames below 64 bytes behind
	 * a tag, PPPoE or MPLS. */
	const struct ip_net *narrow;
	size_t nnarrow; /* 0: none; the program is the same as ever */
	/* NULL, or the answer: the program has no room for all of these networks, and so narrows
	 * nothing. They go before the rules. */
	bool *narrow_left;
};

struct classic_filter {
	const char *name;
	const char *about;      /* one sentence */
	const char *expression; /* what it lets pass, in tcpdump's words */
	/* Write the program to out; returns how many instructions. FL_EUSAGE: too many ports;
	 * FL_EFULL: it does not fit in max, even without rules and addresses. */
	int (*build)(struct filter_insn *out, size_t max, const struct filter_config *config);
};

enum { CLASSIC_FILTERS = 3 };

/* Every program there is, for those who want to read them. */
extern const struct classic_filter classic_filters[CLASSIC_FILTERS];

/* What the packet ring attaches: packets that flows, DNS and HTTP are made of; narrowed where the
 * configuration says so. Works on an AF_PACKET SOCK_RAW socket on every kind of link. */
int classic_flow_filter(struct filter_insn *out, size_t max,
			const struct filter_config *config) MUST_CHECK;

#endif
