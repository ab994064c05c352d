/* probes.h - what the eBPF programs tell user space: the structs that both sides share.
 * SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
 *
 * Included by filters/probes.bpf.c (with the kernel's own integer types) and by collector/probes.c.
 * Only fixed-width members, no padding that is not named: the same layout on both sides. Host byte
 * order but where the name says _be.
 */
#ifndef FILTERS_PROBES_H
#define FILTERS_PROBES_H

#ifndef __bpf__
#include <stddef.h>
#include <stdint.h>
#else
#include <linux/types.h>
#include <stdbool.h>
#include <stddef.h>
typedef __u8 uint8_t;
typedef __u16 uint16_t;
typedef __u32 uint32_t;
typedef __u64 uint64_t;
#endif

enum probe_event_kind {
	PROBE_CONNECT_FAILED = 1, /* connect error, also of a connect that sent no packet */
	PROBE_ESTABLISHED = 2,    /* the handshake is complete; who: of a connect only */
	PROBE_ACCEPT = 3,         /* who took it, or closes what it had taken (PROBE_AT_CLOSE) */
	PROBE_CLOSE = 4,          /* the last figures */
	PROBE_LISTEN = 5,         /* someone listens, or no longer */
};

enum probe_event_flags {
	PROBE_FIN_RECEIVED = 1 << 0, /* counts 1 in bytes_received */
	PROBE_NO_PACKET = 1 << 1,    /* failed before a SYN was sent */
	PROBE_CLIENT = 1 << 2,      /* this end connected; else it accepted, or that is not known */
	PROBE_OTHER_NETNS = 1 << 3, /* not the collector's own network namespace: process only */
	PROBE_AT_CLOSE = 1 << 4,    /* of PROBE_ACCEPT */
};

enum { PROBE_COMM = 16 };

/* A v4 address is v4-mapped. */
struct probe_tuple {
	uint8_t local[16], remote[16];
	uint16_t local_port, remote_port; /* host byte order */
	uint8_t family;                   /* AF_INET, AF_INET6 of the socket */
	uint8_t protocol;                 /* 6, 17 */
	uint16_t unused;
};

/* All but PROBE_CLOSE with figures end before bytes_sent (PROBE_EVENT_SHORT bytes). */
struct probe_event {
	uint64_t time_ns; /* CLOCK_MONOTONIC (bpf_ktime_get_ns) */
	struct probe_tuple tuple;
	uint8_t kind, flags;
	uint8_t state; /* enum sock_state before; of PROBE_CLOSE SYN_SENT: there are no figures */
	uint8_t unused;
	uint32_t error; /* errno of PROBE_CONNECT_FAILED, positive */
	uint32_t pid;   /* thread group; 0: not known, nor what is in the next two */
	uint32_t netns; /* inode number */
	uint64_t cgroup_id;
	char comm[PROBE_COMM];
	/* of tcp_sock, since the connection began: */
	uint64_t bytes_sent; /* without what was sent again */
	uint64_t bytes_acked, bytes_received;
	uint32_t segments_out, segments_in, retransmits;
	uint32_t srtt_us; /* times 8, as the kernel keeps it */
	uint32_t mdev_us; /* times 4 */
	uint32_t unused2;
};

#define PROBE_EVENT_SHORT offsetof(struct probe_event, bytes_sent)

/* Key of the map of UDP tuples: a probe_tuple, whose local address is 0.0.0.0 or :: where the
 * program did not see it (udp_sendmsg()). Its value, one for each CPU; on a CPU that saw none of it
 * all is 0. */
struct probe_datagrams {
	uint64_t cgroup_id;
	uint64_t packets; /* sent or received by a process; only to show: flows count frames */
	uint32_t pid;
	char comm[PROBE_COMM];
	uint32_t other_netns; /* not 0: not the collector's own network namespace */
};

/* Places in the map of counters, each for each CPU, since the programs were loaded. */
enum probe_count {
	PROBE_COUNT_FULL,        /* not sent: no room in the ring or the perf buffer */
	PROBE_COUNT_MAP_FULL,    /* an entry of a map could not be made */
	PROBE_COUNT_RETRANSMITS, /* calls of tcp_retransmit_skb(), all network namespaces */
	PROBE_COUNT_SYNACKS,     /* SYN-ACKs sent again */
	PROBE_COUNT_RESETS_SENT, /* in answer to a segment */
	PROBE_COUNT_RESETS_RECEIVED,
	PROBE_COUNT_BINDS, /* UDP sockets bound to a port, in the own namespace */
	PROBE_COUNTS
};

/* Whose struct pt_regs kprobes find. */
enum probe_registers { PROBE_REGISTERS_X86 = 1, PROBE_REGISTERS_ARM64 = 2 };

#endif
