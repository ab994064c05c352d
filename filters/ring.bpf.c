/* ring.bpf.c - the packet ring's filter as an eBPF socket filter: how many bytes of a frame are
 * copied, 0 for none, as filters/classic.c with `narrow`; and plain UDP is counted here.
 * SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
 *
 * The frame begins with its Ethernet header, or with an IP header (an AF_PACKET SOCK_RAW socket).
 * The kernel has taken the outer tag of what it received; of what it sends one may be in the bytes.
 * Whatever is not plain (two tags, PPPoE, MPLS, IPv4 options, extension headers, fragments,
 * tunnels) is copied: user space knows it all, and here it would cost every other frame.
 *
 * The map of flows is a hash, not an LRU: what an LRU throws away is lost, what finds no room here
 * is copied and counted in user space. And its values are not per CPU: the datagrams of one
 * direction come mostly on one, so that adding costs the same, and an entry takes as much memory
 * on a machine with 256 CPUs as on one with two. User space empties it (collector/ring_bpf.c).
 *
 * Speed: TCP, which is not counted here, shall not pay for UDP, which is. bench/bench_ring_bpf.c
 * compares. Each load from the frame is a call: one brings all headers of the usual frame. (LD_ABS
 * and LD_IND are inlined in programs that were classic, here they are calls too: bpf_gen_ld_abs()
 * of net/core/filter.c.) Lookups in arrays are inlined, in hashes and tries they are not, and cost
 * more than all the rest: TCP asks arrays only, UDP makes keys when nothing else is left to ask.
 */
#include <linux/bpf.h>
#include <linux/types.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "filters/ring_shared.h"

enum {
	LO_IFINDEX = 1,      /* in every network namespace: LOOPBACK_IFINDEX of the kernel */
	PACKET_OUTGOING = 4, /* linux/if_packet.h */
	IP_TCP = 6,
	IP_UDP = 17,
	TCP_FIN_SYN_RST = 0x07,
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, uint32_t);
	__type(value, struct ring_settings);
} settings SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, uint32_t);
	__type(value, struct ring_totals);
} totals SEC(".maps");

/* user space sets its size */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1024);
	__type(key, struct ring_key);
	__type(value, struct ring_value);
} flows SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, uint32_t);
	__type(value, struct ring_own);
} own SEC(".maps");

/* what has no place there */
struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, RING_NARROW_MOST);
	__type(key, struct ring_net);
	__type(value, uint32_t);
} nets SEC(".maps");

struct ip4_header {
	uint8_t version, tos;
	__be16 len, id, fragment;
	uint8_t ttl, protocol;
	__be16 sum;
	uint32_t src, dst;
};

struct ip6_header {
	__be32 version;
	__be16 len;
	uint8_t next, hops;
	uint64_t src[2], dst[2];
};

union transport {
	struct {
		__be16 sport, dport;
		__be32 seq, ack;
		uint8_t offset, flags;
		__be16 window, sum, urgent;
	} tcp;
	struct {
		__be16 sport, dport, len, sum;
	} udp;
};

/* The begin of a frame of the usual kind, to be read by one call: Ethernet, an IP header without
 * more, and 20 bytes. `unused` puts what follows to multiples of 4 and 8, as the verifier wants it
 * on the stack. Of frames of another kind `type` and what is behind it are read piece by piece. */
struct begin {
	uint16_t unused;
	uint8_t mac[12]; /* or the begin of an IP header */
	__be16 type;
	union {
		struct {
			struct ip4_header ip;
			union transport next;
		} v4;
		struct {
			struct ip6_header ip;
			union transport next;
		} v6;
	};
};

enum { BEGIN4 = 14 + 20 + 20, BEGIN6 = 14 + 40 + 20 };

static __always_inline int is_dns(const struct ring_settings *s, uint16_t port)
{
	return s->dns_any >> (port & 63) & 1 && s->dns_ports[port >> 6] >> (port & 63) & 1;
}

/* ---- whose TCP is narrowed ---- */

static __always_inline int in_nets(const void *addr)
{
	struct ring_net net = {128, {}};

	__builtin_memcpy(net.addr, addr, 16);
	return bpf_map_lookup_elem(&nets, &net) != 0;
}

/* IPv4 as v4-mapped IPv6; out is aligned at 4. */
static __always_inline void mapped(void *out, uint32_t addr)
{
	uint32_t *w = out;

	w[0] = w[1] = 0;
	w[2] = bpf_htonl(0xffff);
	w[3] = addr;
}

static __always_inline int in_table4(const struct ring_own *o, uint32_t addr)
{
	const uint32_t *slots = o->table4[ring_bucket4(o, addr)];

	return (slots[0] == addr || slots[1] == addr) && addr;
}

static __always_inline int in_table6(const struct ring_own *o, const uint64_t addr[2])
{
	const struct ring_own6 *slots = o->table6[ring_bucket6(o, addr[0], addr[1])];

	return ((slots[0].low == addr[1] && slots[0].high == addr[0]) ||
		(slots[1].low == addr[1] && slots[1].high == addr[0])) &&
	       (addr[0] || addr[1]);
}

/* Is one of the ends in the host's own networks? */
static __always_inline int is_own4(const struct ring_settings *s, const struct ip4_header *ip)
{
	uint32_t zero = 0, src[4], dst[4];
	const struct ring_own *o;
	int i;

	o = bpf_map_lookup_elem(&own, &zero);
	if (!o)
		return 0;
#pragma unroll
	for (i = 0; i < RING_OWN_NETS; i++) {
		uint32_t addr = o->nets4[i].addr, mask = o->nets4[i].mask;

		if (!mask)
			break;
		if ((ip->src & mask) == addr || (ip->dst & mask) == addr)
			return 1;
	}
	if (in_table4(o, ip->src) || in_table4(o, ip->dst))
		return 1;
	if (!(s->narrow & RING_NARROW_NETS))
		return 0;
	mapped(src, ip->src);
	mapped(dst, ip->dst);
	return in_nets(src) || in_nets(dst);
}

static __always_inline int is_own6(const struct ring_settings *s, const struct ip6_header *ip)
{
	const struct ring_own *o;
	uint32_t zero = 0;

	o = bpf_map_lookup_elem(&own, &zero);
	if (!o)
		return 0;
	if (in_table6(o, ip->src) || in_table6(o, ip->dst))
		return 1;
	return s->narrow & RING_NARROW_NETS && (in_nets(ip->src) || in_nets(ip->dst));
}

/* ---- TCP ---- */

/* A method, "HTTP", or eight bytes that look like text: see part_tcp of filters/classic.c. */
static __always_inline int is_text(uint32_t a, uint32_t b)
{
	if ((a & 0x80808080) || a < 0x0a000000 || (a >= 0x0e000000 && a < 0x20000000))
		return 0;
	if (!(b & 0x80808080) && b >= 0x0a000000)
		return 1;
	return a == 0x48545450 || a == 0x47455420 || a == 0x504f5354 || a == 0x48454144 ||
	       a == 0x50555420 || a == 0x44454c45 || a == 0x434f4e4e || a == 0x4f505449 ||
	       a == 0x54524143 || a == 0x50415443;
}

enum { OR_NONE = 1 << 30 }; /* with the bytes to copy: none where TCP is narrowed */

/* at: of the TCP header, bytes: from there to the packet's end, as the IP header says. */
static __always_inline uint32_t tcp(struct __sk_buff *skb, const struct ring_settings *s,
				    const union transport *h, uint32_t at, uint32_t bytes)
{
	uint32_t len = skb->len, header = h->tcp.offset >> 4 << 2, copy;
	__be32 text[2];

	if (is_dns(s, bpf_ntohs(h->tcp.dport)) || is_dns(s, bpf_ntohs(h->tcp.sport)))
		return RING_COPY_WHOLE;
	if (len > RING_COPY_SMALL) {
		if (bpf_skb_load_bytes(skb, at + header, text, 8) < 0)
			return 0; /* as classic BPF ends; no frame of this length gets here */
		if (is_text(bpf_ntohl(text[0]), bpf_ntohl(text[1])))
			return RING_COPY_HTTP;
		copy = RING_COPY_HEADERS;
	} else {
		if (bytes != header)
			return RING_COPY_SMALL; /* with payload */
		copy = RING_COPY_SMALL;
	}
	return h->tcp.flags & TCP_FIN_SYN_RST || !s->narrow ? copy : copy | OR_NONE;
}

/* ---- UDP ---- */

/* No room, no memory: user space counts this one. */
static __always_inline uint32_t no_room(struct ring_totals *all)
{
	all->full++;
	return RING_COPY_HEADERS;
}

static __always_inline uint32_t count(struct ring_key *key, uint64_t bytes)
{
	uint64_t now = bpf_ktime_get_ns();
	struct ring_value *v, first = {1, bytes, now, now};
	struct ring_totals *all;
	uint32_t zero = 0;

	all = bpf_map_lookup_elem(&totals, &zero);
	if (!all)
		return RING_COPY_HEADERS;
	v = bpf_map_lookup_elem(&flows, key);
	if (!v) {
		if (bpf_map_update_elem(&flows, key, &first, BPF_NOEXIST) == 0) {
			all->counted++;
			return 0;
		}
		/* another CPU may have been first */
		v = bpf_map_lookup_elem(&flows, key);
		if (!v)
			return no_room(all);
	}
	__sync_fetch_and_add(&v->packets, 1);
	__sync_fetch_and_add(&v->bytes, bytes);
	v->last_ns = now;
	all->counted++;
	return 0;
}

/* Its ports, generation and interface; 0, or it is not to be counted: so much is copied. */
static __always_inline uint32_t udp_key(struct __sk_buff *skb, const struct ring_settings *s,
					const union transport *h, uint32_t at, uint32_t bytes,
					struct ring_key *key)
{
	uint32_t len = bpf_ntohs(h->udp.len);

	key->sport = bpf_ntohs(h->udp.sport);
	key->dport = bpf_ntohs(h->udp.dport);
	if (is_dns(s, key->dport) || is_dns(s, key->sport))
		return RING_COPY_WHOLE;
	if (s->tunnels_inner && (key->dport == 4789 || key->dport == 8472 || key->dport == 6081))
		return RING_COPY_WHOLE;
	if (len < 8 || len != bytes || skb->len < at + len)
		return RING_COPY_HEADERS; /* the lengths do not agree: user space knows what then */
	key->ifindex = skb->ifindex;
	key->generation = s->generation;
	key->unused = 0;
	return 0;
}

/* ---- IP ---- */

/* b->v4.ip lies at offset `at`; `next`: what follows it is there, too. */
static __always_inline uint32_t ip4(struct __sk_buff *skb, const struct ring_settings *s,
				    struct begin *b, uint32_t at, int next)
{
	const struct ip4_header *ip = &b->v4.ip;
	uint32_t bytes = bpf_ntohs(ip->len) - 20; /* too short: a large number, which is none */
	union transport *h = &b->v4.next;
	struct ring_key key;
	uint32_t copy;

	if (ip->protocol != IP_TCP && ip->protocol != IP_UDP)
		return ip->protocol == 4 || ip->protocol == 41 || ip->protocol == 47
			   ? RING_COPY_HTTP
			   : 0;
	if (ip->fragment & bpf_htons(0x3fff))
		return RING_COPY_WHOLE;
	if (ip->version != 0x45)
		return RING_COPY_HTTP;
	at += 20;
	if (ip->protocol == IP_TCP) {
		if (!next && bpf_skb_load_bytes(skb, at, h, 20) < 0)
			return RING_COPY_SMALL; /* cut in its header: user space counts it so */
		copy = tcp(skb, s, h, at, bytes);
		if (!(copy & OR_NONE))
			return copy;
		return is_own4(s, ip) ? 0 : copy & ~OR_NONE;
	}
	if (!next && bpf_skb_load_bytes(skb, at, h, 8) < 0)
		return RING_COPY_HEADERS; /* the same */
	copy = udp_key(skb, s, h, at, bytes, &key);
	if (copy)
		return copy;
	mapped(key.src, ip->src);
	mapped(key.dst, ip->dst);
	return count(&key, bytes - 8);
}

/* b->v6 has all of these headers; at: of what follows IPv6. */
static __always_inline uint32_t tcp6(struct __sk_buff *skb, const struct ring_settings *s,
				     const struct begin *b, uint32_t at)
{
	uint32_t copy = tcp(skb, s, &b->v6.next, at, bpf_ntohs(b->v6.ip.len));

	if (!(copy & OR_NONE))
		return copy;
	return is_own6(s, &b->v6.ip) ? 0 : copy & ~OR_NONE;
}

static __always_inline uint32_t udp6(struct __sk_buff *skb, const struct ring_settings *s,
				     const struct begin *b, uint32_t at)
{
	uint32_t bytes = bpf_ntohs(b->v6.ip.len), copy;
	struct ring_key key;

	copy = udp_key(skb, s, &b->v6.next, at, bytes, &key);
	if (copy)
		return copy;
	__builtin_memcpy(key.src, b->v6.ip.src, 16);
	__builtin_memcpy(key.dst, b->v6.ip.dst, 16);
	return count(&key, bytes - 8);
}

/* Linux puts a jumbogram header before its own segments beyond 64 KiB. */
static __always_inline uint32_t jumbo(struct __sk_buff *skb, const struct ring_settings *s,
				      struct begin *b, uint32_t at)
{
	uint8_t option[2];

	if (bpf_skb_load_bytes(skb, at, option, 2) < 0 || option[0] != IP_TCP || option[1] > 16)
		return RING_COPY_HTTP;
	at += 8 + option[1] * 8;
	if (bpf_skb_load_bytes(skb, at, &b->v6.next, 20) < 0)
		return RING_COPY_SMALL;
	return tcp(skb, s, &b->v6.next, at, 0) & ~OR_NONE;
}

/* b->v6.ip lies at offset `at`. */
static __always_inline uint32_t ip6(struct __sk_buff *skb, const struct ring_settings *s,
				    struct begin *b, uint32_t at)
{
	at += 40;
	switch (b->v6.ip.next) {
	case IP_TCP:
		if (bpf_skb_load_bytes(skb, at, &b->v6.next, 20) < 0)
			return RING_COPY_SMALL;
		return tcp6(skb, s, b, at);
	case IP_UDP:
		if (bpf_skb_load_bytes(skb, at, &b->v6.next, 8) < 0)
			return RING_COPY_HEADERS;
		return udp6(skb, s, b, at);
	case 0:
		return jumbo(skb, s, b, at);
	case 44:
		return RING_COPY_WHOLE;
	case 4:
	case 41:
	case 43:
	case 47:
	case 51:
	case 60:
	case 135:
	case 139:
	case 140:
		return RING_COPY_HTTP;
	default:
		return 0;
	}
}

/* ---- the frame ---- */

/* Does the frame begin with an IP header (tun, WireGuard, PPP)? The type of the device is not to be
 * had here. The kernel's word for the protocol is in both; in an Ethernet header, too, where
 * otherwise a part of the sender's address lies: 8.0.0.0/16 looks like IPv4 behind Ethernet. There
 * the lengths decide. */
static __always_inline int is_bare(struct __sk_buff *skb, const struct begin *b)
{
	uint32_t len = b->mac[2] << 8 | b->mac[3];

	if (skb->protocol != bpf_htons(0x0800) && skb->protocol != bpf_htons(0x86dd))
		return 0;
	if (b->type != skb->protocol)
		return 1;
	return b->type == bpf_htons(0x0800) && b->mac[0] >> 4 == 4 && len == skb->len &&
	       (b->v4.ip.version >> 4 != 4 || bpf_ntohs(b->v4.ip.len) > skb->len - 14);
}

/* Its EtherType; BARE_OTHER: behind a header of its own, or cut. */
enum { BARE_OTHER = 0xffff };

static __always_inline __be16 bare(struct __sk_buff *skb, const struct begin *b)
{
	uint32_t len4 = b->mac[2] << 8 | b->mac[3], len6 = 40 + (b->mac[4] << 8 | b->mac[5]);

	if (skb->protocol == bpf_htons(0x0800) && b->mac[0] >> 4 == 4 && len4 == skb->len)
		return bpf_htons(0x0800);
	if (skb->protocol == bpf_htons(0x86dd) && b->mac[0] >> 4 == 6 && len6 == skb->len)
		return bpf_htons(0x86dd);
	return BARE_OTHER;
}

/* IP at offset `at`, read piece by piece. */
static __always_inline uint32_t in_pieces(struct __sk_buff *skb, const struct ring_settings *s,
					  struct begin *b, uint32_t at, __be16 type)
{
	switch (bpf_ntohs(type)) {
	case 0x0800:
		if (bpf_skb_load_bytes(skb, at, &b->v4.ip, 20) < 0)
			return RING_COPY_SMALL; /* cut in its header */
		return ip4(skb, s, b, at, 0);
	case 0x86dd:
		if (bpf_skb_load_bytes(skb, at, &b->v6.ip, 40) < 0)
			return RING_COPY_SMALL;
		return ip6(skb, s, b, at);
	case 0x8100:
	case 0x88a8:
	case 0x8847:
	case 0x8848:
	case 0x8864:
	case BARE_OTHER:
		return RING_COPY_HTTP;
	default:
		return 0;
	}
}

/* A frame that is short, has a tag, or no Ethernet header, or is no IP. */
static __always_inline uint32_t unusual(struct __sk_buff *skb, const struct ring_settings *s,
					struct begin *b)
{
	uint32_t at = 14;
	__be16 type;

	if (bpf_skb_load_bytes(skb, 0, b->mac, 18) < 0)
		return RING_COPY_HEADERS; /* whole */
	type = b->type;
	if (is_bare(skb, b)) {
		type = bare(skb, b);
		at = 0;
	} else if (type == bpf_htons(0x8100) || type == bpf_htons(0x88a8) ||
		   type == bpf_htons(0x9100)) {
		if (skb->len < 64 || bpf_skb_load_bytes(skb, 16, &type, 2) < 0)
			return RING_COPY_HEADERS; /* whole: so short or cut */
		at = 18;
	}
	return in_pieces(skb, s, b, at, type);
}

/* By what is frequent: see "Speed" above. */
SEC("socket")
int ring(struct __sk_buff *skb)
{
	const struct ring_settings *s;
	struct begin b;
	uint32_t zero = 0;

	if (skb->ifindex == LO_IFINDEX && skb->pkt_type == PACKET_OUTGOING)
		return 0; /* it comes in again */
	s = bpf_map_lookup_elem(&settings, &zero);
	if (!s)
		return RING_COPY_WHOLE;
	if (skb->protocol == bpf_htons(0x0800)) {
		if (bpf_skb_load_bytes(skb, 0, b.mac, BEGIN4) == 0 && b.type == bpf_htons(0x0800) &&
		    !is_bare(skb, &b))
			return ip4(skb, s, &b, 14, 1);
	} else if (skb->protocol == bpf_htons(0x86dd)) {
		if (bpf_skb_load_bytes(skb, 0, b.mac, BEGIN6) == 0 && b.type == bpf_htons(0x86dd)) {
			if (b.v6.ip.next == IP_TCP)
				return tcp6(skb, s, &b, 54);
			if (b.v6.ip.next == IP_UDP)
				return udp6(skb, s, &b, 54);
		}
	}
	return unusual(skb, s, &b);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
