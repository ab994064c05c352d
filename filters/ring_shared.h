/* ring_shared.h - what the eBPF filter of the packet ring shares with user space: keys and values
 * of its maps. SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
 *
 * Included by filters/ring.bpf.c and by collector/ring_bpf.c. Only fixed-width members and no
 * padding that is not named: the same layout on both sides. Host byte order; addresses as they lie
 * in the packet, IPv4 as v4-mapped IPv6.
 */
#ifndef FILTERS_RING_SHARED_H
#define FILTERS_RING_SHARED_H

#ifndef __bpf__
#include <stdint.h>
#else
typedef __u8 uint8_t;
typedef __u16 uint16_t;
typedef __u32 uint32_t;
typedef __u64 uint64_t;
#endif

enum {
	RING_PORT_WORDS = 65536 / 64,
	RING_NARROW_MOST = 1024, /* entries of each map of own addresses */
	RING_OWN_NETS = 4,       /* IPv4 networks that are compared one by one */
	RING_OWN_BUCKETS = 2048, /* of the tables of own addresses, at most */
	RING_OWN_SLOTS = 2,      /* in each */
	/* FILTER_COPY_... of filters/classic.h, which is none for the eBPF side to include */
	RING_COPY_HEADERS = 160,
	RING_COPY_SMALL = 576,
	RING_COPY_HTTP = 16384,
	RING_COPY_WHOLE = 262144,
};

enum ring_narrow {
	RING_NARROW_TABLES = 1 << 0, /* map own */
	RING_NARROW_NETS = 1 << 1,   /* also map nets: longest prefix */
};

/* The one entry of map settings. */
struct ring_settings {
	uint32_t generation;    /* entries that are made now have it; 0 or 1 */
	uint32_t narrow;        /* enum ring_narrow bits; 0: no TCP is narrowed */
	uint32_t tunnels_inner; /* VXLAN and Geneve are copied, not counted */
	uint32_t unused;
	uint64_t dns_any; /* bit i: a DNS port is i, modulo 64; most others are told apart by this
			     alone */
	uint64_t dns_ports[RING_PORT_WORDS]; /* a bit for each port */
};

struct ring_own6 {
	uint64_t high, low; /* as in the packet */
};

/* The one entry of map own: the host's own addresses, as in the packet. An address is in bucket
 * ring_bucket4() or 6() of its table, or in map nets, where user space has found no multiplier with
 * which all find room. To ask a hash map would cost a frame of TCP more than all the rest. While it
 * is rewritten an address may be missed: its frames are copied, no other's are left out. */
struct ring_own {
	uint64_t multiplier4, multiplier6; /* odd */
	uint32_t shift4, shift6;           /* 64 less the table's size, as a power of two */
	struct {
		uint32_t addr, mask; /* mask 0: the end of the list */
	} nets4[RING_OWN_NETS];
	uint32_t table4[RING_OWN_BUCKETS][RING_OWN_SLOTS]; /* 0: none */
	struct ring_own6 table6[RING_OWN_BUCKETS][RING_OWN_SLOTS];
};

static inline uint32_t ring_bucket4(const struct ring_own *o, uint32_t addr)
{
	return (uint32_t)(addr * o->multiplier4 >> (o->shift4 & 63)) & (RING_OWN_BUCKETS - 1);
}

static inline uint32_t ring_bucket6(const struct ring_own *o, uint64_t high, uint64_t low)
{
	return (uint32_t)((low ^ high >> 7) * o->multiplier6 >> (o->shift6 & 63)) &
	       (RING_OWN_BUCKETS - 1);
}

/* Key of map flows: datagrams of one direction, seen on one interface. All bytes count: no padding.
 */
struct ring_key {
	uint8_t src[16], dst[16];
	uint16_t sport, dport;
	uint32_t ifindex;
	uint32_t generation;
	uint32_t unused;
};

struct ring_value {
	uint64_t packets, bytes;    /* payload */
	uint64_t first_ns, last_ns; /* CLOCK_MONOTONIC */
};

/* Key of map nets (struct bpf_lpm_trie_key: the length first). */
struct ring_net {
	uint32_t bits; /* 0 .. 128 */
	uint8_t addr[16];
};

/* The one entry of map totals, one value for each CPU. */
struct ring_totals {
	uint64_t counted; /* datagrams that are in map flows */
	uint64_t full;    /* datagrams that had no room there, and were copied to user space */
};

#endif
