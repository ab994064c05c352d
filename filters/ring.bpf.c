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

struct ring_host {
	uint8_t addr[16];
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, RING_NARROW_MOST);
	__type(key, struct ring_host);
	__type(value, uint32_t);
} hosts SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, RING_NARROW_MOST);
	__type(key, struct ring_net);
	__type(value, uint32_t);
} nets SEC(".maps");

/* What the IP header says of a TCP segment or UDP datagram. */
struct plain {
	uint32_t at;    /* offset of the TCP or UDP header */
	uint32_t bytes; /* from there to the packet's end, as the IP header says */
	uint32_t src[4], dst[4];
};

static __always_inline int is_dns(const struct ring_settings *s, uint16_t port)
{
	return s->dns_any >> (port & 63) & 1 && s->dns_ports[port >> 6] >> (port & 63) & 1;
}

static __always_inline int in_nets(const uint32_t addr[4])
{
	struct ring_net net = {128, {}};

	__builtin_memcpy(net.addr, addr, 16);
	return bpf_map_lookup_elem(&nets, &net) != 0;
}

/* Is one of the ends in the host's own networks? */
static __always_inline int is_narrow(const struct ring_settings *s, const struct plain *p)
{
	if (s->narrow & RING_NARROW_HOSTS &&
	    (bpf_map_lookup_elem(&hosts, p->src) || bpf_map_lookup_elem(&hosts, p->dst)))
		return 1;
	return s->narrow & RING_NARROW_NETS && (in_nets(p->src) || in_nets(p->dst));
}

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

static __always_inline uint32_t tcp(struct __sk_buff *skb, const struct ring_settings *s,
				    const struct plain *p, int may_narrow)
{
	uint32_t len = skb->len, header, copy;
	struct {
		__be16 sport, dport;
		__be32 seq, ack;
		uint8_t offset, flags;
	} h = {};
	__be32 text[2];

	if (bpf_skb_load_bytes(skb, p->at, &h, 14) < 0)
		return RING_COPY_SMALL; /* cut in its header: user space counts it as that */
	if (is_dns(s, bpf_ntohs(h.dport)) || is_dns(s, bpf_ntohs(h.sport)))
		return RING_COPY_WHOLE;
	header = h.offset >> 4 << 2;
	copy = RING_COPY_SMALL;
	if (len > RING_COPY_SMALL) {
		if (bpf_skb_load_bytes(skb, p->at + header, text, 8) < 0)
			return 0; /* as classic BPF ends; no frame of this length gets here */
		if (is_text(bpf_ntohl(text[0]), bpf_ntohl(text[1])))
			return RING_COPY_HTTP;
		copy = RING_COPY_HEADERS;
	} else if (p->bytes != header || len < p->at + 20) {
		return RING_COPY_SMALL; /* with payload, or cut in its header */
	}
	if (may_narrow && s->narrow && !(h.flags & TCP_FIN_SYN_RST) && is_narrow(s, p))
		return 0;
	return copy;
}

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

static __always_inline uint32_t udp(struct __sk_buff *skb, const struct ring_settings *s,
				    const struct plain *p)
{
	struct ring_key key = {};
	struct {
		__be16 sport, dport, len, sum;
	} h = {};
	uint32_t len;

	if (bpf_skb_load_bytes(skb, p->at, &h, 8) < 0)
		return RING_COPY_HEADERS; /* cut in its header: user space counts it as that */
	key.sport = bpf_ntohs(h.sport);
	key.dport = bpf_ntohs(h.dport);
	if (is_dns(s, key.dport) || is_dns(s, key.sport))
		return RING_COPY_WHOLE;
	if (s->tunnels_inner && (key.dport == 4789 || key.dport == 8472 || key.dport == 6081))
		return RING_COPY_WHOLE;
	len = bpf_ntohs(h.len);
	if (len < 8 || len != p->bytes || skb->len < p->at + len)
		return RING_COPY_HEADERS; /* the lengths do not agree: user space knows what then */
	__builtin_memcpy(key.src, p->src, 16);
	__builtin_memcpy(key.dst, p->dst, 16);
	key.ifindex = skb->ifindex;
	key.generation = s->generation;
	return count(&key, len - 8);
}

static __always_inline uint32_t ip4(struct __sk_buff *skb, const struct ring_settings *s,
				    uint32_t at)
{
	struct plain p = {};
	struct {
		uint8_t version, tos;
		__be16 len, id, fragment;
		uint8_t ttl, protocol;
		__be16 sum;
		uint32_t src, dst;
	} h = {};

	if (bpf_skb_load_bytes(skb, at, &h, 20) < 0)
		return RING_COPY_SMALL; /* cut in its header */
	if (h.protocol != IP_TCP && h.protocol != IP_UDP)
		return h.protocol == 4 || h.protocol == 41 || h.protocol == 47 ? RING_COPY_HTTP : 0;
	if (h.fragment & bpf_htons(0x3fff))
		return RING_COPY_WHOLE;
	if (h.version != 0x45)
		return RING_COPY_HTTP;
	p.at = at + 20;
	p.bytes = bpf_ntohs(h.len) - 20; /* too short: a large number, which is no length */
	p.src[2] = p.dst[2] = bpf_htonl(0xffff);
	p.src[3] = h.src;
	p.dst[3] = h.dst;
	return h.protocol == IP_TCP ? tcp(skb, s, &p, 1) : udp(skb, s, &p);
}

static __always_inline uint32_t ip6(struct __sk_buff *skb, const struct ring_settings *s,
				    uint32_t at)
{
	struct plain p = {};
	struct {
		__be32 version;
		__be16 len;
		uint8_t next, hops;
		uint32_t src[4], dst[4];
	} h = {};
	uint8_t option[2];

	if (bpf_skb_load_bytes(skb, at, &h, 40) < 0)
		return RING_COPY_SMALL; /* cut in its header */
	p.at = at + 40;
	p.bytes = bpf_ntohs(h.len);
	__builtin_memcpy(p.src, h.src, 16);
	__builtin_memcpy(p.dst, h.dst, 16);
	switch (h.next) {
	case IP_TCP:
		return tcp(skb, s, &p, 1);
	case IP_UDP:
		return udp(skb, s, &p);
	case 0:
		/* Linux puts a jumbogram header before its own segments beyond 64 KiB */
		if (bpf_skb_load_bytes(skb, p.at, option, 2) < 0 || option[0] != IP_TCP ||
		    option[1] > 16)
			return RING_COPY_HTTP;
		p.at += 8 + option[1] * 8;
		p.bytes = 0; /* of no use here */
		return tcp(skb, s, &p, 0);
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

struct begin {
	uint8_t mac[12]; /* or the begin of an IP header */
	__be16 type;
	uint8_t version, tos; /* of an IPv4 header behind Ethernet */
	__be16 len;
};

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
	       (b->version >> 4 != 4 || bpf_ntohs(b->len) > skb->len - 14);
}

static __always_inline uint32_t bare(struct __sk_buff *skb, const struct ring_settings *s,
				     const struct begin *b)
{
	uint32_t len4 = b->mac[2] << 8 | b->mac[3], len6 = 40 + (b->mac[4] << 8 | b->mac[5]);

	if (skb->protocol == bpf_htons(0x0800) && b->mac[0] >> 4 == 4 && len4 == skb->len)
		return ip4(skb, s, 0);
	if (skb->protocol == bpf_htons(0x86dd) && b->mac[0] >> 4 == 6 && len6 == skb->len)
		return ip6(skb, s, 0);
	return RING_COPY_HTTP; /* behind a header of its own, or cut */
}

SEC("socket")
int ring(struct __sk_buff *skb)
{
	uint32_t zero = 0, at = 14;
	const struct ring_settings *s;
	struct begin b = {};
	__be16 type;

	if (skb->ifindex == LO_IFINDEX && skb->pkt_type == PACKET_OUTGOING)
		return 0; /* it comes in again */
	s = bpf_map_lookup_elem(&settings, &zero);
	if (!s)
		return RING_COPY_WHOLE;
	if (bpf_skb_load_bytes(skb, 0, &b, 18) < 0)
		return RING_COPY_HEADERS; /* whole */
	if (is_bare(skb, &b))
		return bare(skb, s, &b);
	type = b.type;
	if (type == bpf_htons(0x8100) || type == bpf_htons(0x88a8) || type == bpf_htons(0x9100)) {
		if (skb->len < 64 || bpf_skb_load_bytes(skb, 16, &type, 2) < 0)
			return RING_COPY_HEADERS; /* whole: so short or cut */
		at = 18;
	}
	switch (bpf_ntohs(type)) {
	case 0x0800:
		return ip4(skb, s, at);
	case 0x86dd:
		return ip6(skb, s, at);
	case 0x8100:
	case 0x88a8:
	case 0x8847:
	case 0x8848:
	case 0x8864:
		return RING_COPY_HTTP;
	default:
		return 0;
	}
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
