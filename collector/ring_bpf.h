/* ring_bpf.h - the packet ring's filter as an eBPF program (filters/ring.bpf.c): it copies what the
 * narrowed classic filter copies, and plain UDP it counts by itself.
 *
 * Counted and not copied: UDP in Ethernet (with one tag) or without link header, and IPv4
 * without options and fragments, or IPv6 without extension headers, whose lengths agree; not to or
 * from a DNS port, not to a tunnel's port with tunnels_inner. Everything that it does not know well
 * is copied, and counted in user space as ever. TCP: as filters/classic.h with `narrow`, but rules
 * of capture.exclude are not in it: user space has them for all.
 *
 * No datagram is lost: one that finds no room in the map is copied, and a flow's entry is deleted
 * only when the program has not used it for seconds (generations, see collector/ring_bpf.c).
 *
 * For rings on any device: an eBPF program is not told the type of the device, so it tells by the
 * bytes whether a frame begins with an Ethernet or an IP header; behind other headers all is
 * copied. One program may be attached to any number of rings; two that see the same interface count
 * its datagrams twice.
 *
 * Wants SO_ATTACH_BPF (Linux 3.19), and of bpf(2) array, hash and LPM maps (4.11), BTF is not
 * needed; CAP_BPF, before 5.8 CAP_SYS_ADMIN.
 *
 * Threads: belongs to the thread of the engine.
 */
#ifndef COLLECTOR_RING_BPF_H
#define COLLECTOR_RING_BPF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "collector/kernel_source.h"
#include "common/addr.h"
#include "common/error.h"
#include "flows/kernel.h"

struct ring_bpf;

enum {
	RING_BPF_FLOWS = 32768,      /* entries where the configuration says 0 */
	RING_BPF_FLOWS_LEAST = 1024, /* with less memory than that it is not loaded */
	RING_BPF_NETS_MOST = 1024,
};

struct ring_bpf_config {
	const uint16_t *dns_ports;
	size_t ndns_ports;
	bool tunnels_inner;
	const struct ip_net *narrow; /* TCP with an end in one of these is narrowed */
	size_t nnarrow;              /* at most RING_BPF_NETS_MOST */
	size_t max_flows; /* directions of UDP flows in a few seconds; about 140 bytes each, when
			     used */
};

/* Load the program; the configuration is copied. 0, or negative and in why[] a sentence that says
 * why not and what would mend it. Where RLIMIT_MEMLOCK (kernels before 5.11) has no room and cannot
 * be raised, the map is smaller. */
int ring_bpf_new(struct ring_bpf **out, const struct ring_bpf_config *config,
		 char why[KERNEL_WHY_SIZE]) MUST_CHECK;
void ring_bpf_free(struct ring_bpf *rb); /* NULL is fine; rings that have it attached keep it */

/* For SO_ATTACH_BPF; stays open until ring_bpf_free(). */
int ring_bpf_fd(const struct ring_bpf *rb);

/* While it runs: other networks (n 0: nothing is narrowed), other ports; each is complete when the
 * call returns. 0 or -errno; FL_EFULL: more than RING_BPF_NETS_MOST, and nothing is narrowed then.
 */
int ring_bpf_set_narrow(struct ring_bpf *rb, const struct ip_net *nets, size_t n) MUST_CHECK;
int ring_bpf_set_ports(struct ring_bpf *rb, const uint16_t *dns_ports, size_t n,
		       bool tunnels_inner) MUST_CHECK;

/* Tell what was counted since the last call, one call of each() for one direction of a flow on an
 * interface; nothing where nothing came. d->iface is the interface's index, as in frames; times are
 * ns since the epoch. 0 or -errno: the rest is told next time. 0.3 to 0.5 us an entry; nothing
 * where no datagram came since the last call. */
int ring_bpf_read(struct ring_bpf *rb, void (*each)(void *ctx, const struct kernel_datagrams *d),
		  void *ctx) MUST_CHECK;

struct ring_bpf_stats {
	uint64_t counted;      /* datagrams that the program has counted */
	uint64_t told;         /* of those: told by ring_bpf_read() */
	uint64_t lost;         /* counted before the last read, and not told: always 0 */
	uint64_t full;         /* datagrams that were copied because the map was full */
	uint64_t generations;  /* times that entries were set aside to be deleted */
	size_t flows;          /* entries in the map at the last read */
	size_t max_flows;      /* room for them */
	uint64_t runs, run_ns; /* of the program, where kernel.bpf_stats_enabled is on */
};

void ring_bpf_stats(struct ring_bpf *rb, struct ring_bpf_stats *out);

#endif
