/* source.h - a capture source: where frames come from.
 *
 * Every source is one struct source_ops; what is not built in is another file with the same struct
 * whose probe says so. A source belongs to one thread.
 */
#ifndef COLLECTOR_SOURCE_H
#define COLLECTOR_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "filters/classic.h"
#include "flows/frame.h"

/* Takes frames, in order; they are borrowed for the call. */
struct frame_sink {
	void (*frames)(void *ctx, const struct frame *frames, size_t n);
	void *ctx;
};

struct source_stats {
	uint64_t frames;         /* handed over */
	uint64_t dropped_kernel; /* lost because the ring was full (PACKET_STATISTICS) */
	uint64_t skipped;        /* seen and left out by the source (second copy on lo ...) */
};

struct source; /* each source defines its own and casts */

struct source_ops {
	const char *name; /* "ring", "file" */
	/* Can this source work here? 0, or a negative error and in why[] a sentence that says why
	 * not and what would mend it. Leaves nothing behind. */
	int (*probe)(const void *config, char *why, size_t why_size);
	/* config is the source's own struct (struct ring_config ...). 0, or negative and why[] as
	 * above. */
	int (*open)(struct source **s, const void *config, char *why, size_t why_size);
	int (*fd)(const struct source *s); /* to poll for reading; -1: always ready */
	/* Hand over what is there, without waiting, at most about one ring block or batch. 1: there
	 * may be more; 0: nothing for now; FL_E... or -errno: the end (-ENODATA: a file's normal
	 * end), why[] set. */
	int (*poll)(struct source *s, const struct frame_sink *sink, char *why, size_t why_size);
	void (*stats)(struct source *s, struct source_stats *out);
	void (*close)(struct source *s);
};

extern const struct source_ops source_file; /* struct file_config: pcap and pcapng files */
extern const struct source_ops source_ring; /* struct ring_config: TPACKET_V3, Linux 3.2 */

struct file_config {
	const char *path; /* "-": standard input */
};

struct ring_config {
	int ifindex;       /* 0: every interface, also those that come later */
	size_t ring_bytes; /* memory of the ring, rounded to whole blocks */
	const uint16_t *dns_ports;
	size_t ndns_ports;
	bool tunnels_inner; /* VXLAN, Geneve: copy enough of a datagram to look inside */
	const struct filter_exclude *excludes; /* left out by the kernel's filter; NULL: none */
	size_t nexcludes;
	const struct ip_net *narrow; /* filter_config.narrow */
	size_t nnarrow;              /* 0: nothing is narrowed */
	/* An eBPF socket filter (collector/ring_bpf.h) that stands for all of the above from
	 * dns_ports on, but leaves the rules to user space: attached (SO_ATTACH_BPF, Linux 3.19) in
	 * place of the classic one. -1: none. Borrowed for the call, the socket keeps the program.
	 */
	int bpf_fd;
};

enum ring_filter {
	RING_FILTER_CLASSIC, /* nothing is narrowed */
	RING_FILTER_NARROW,
	RING_FILTER_BPF,
};

/* What the ring has: less than its configuration asked for where the kernel has no room for the
 * own addresses, or refused the eBPF filter: then the classic one is there. open() and
 * source_ring_set_filter() say so in why[], which otherwise is "" where they succeed. */
enum ring_filter source_ring_filter(const struct source *s);

/* Did a block that was read lately say that the ring has dropped frames? One that was filled behind
 * them does. Until the next stats(). */
bool source_ring_dropping(const struct source *s);

/* All frames from before this (their time) have been handed over. now_ns: CLOCK_REALTIME, read just
 * before. */
uint64_t source_ring_read_until_ns(const struct source *s, uint64_t now_ns);

/* Replace the filter of an open ring by the one that config tells (its ring_bytes and ifindex do
 * not count), without losing a packet: each one goes through the old filter or the new one, also
 * from classic to eBPF and back. Returns how many of the rules are left to user space (0: none), or
 * negative with why[] set and the old filter in force, or one that lets everything pass. A ring
 * that was narrowed is not any more where config does not ask for it, in either case. */
int source_ring_set_filter(struct source *s, const struct ring_config *config, char *why,
			   size_t why_size) MUST_CHECK;

#endif
