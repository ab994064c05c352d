/* decode.c - see decode.h. Decoders never log: each way to fail is a result with a counter.
 *
 * A layer is the bytes from one header on: `cap` of them captured, `len` of them there according to
 * the layers below. Every length from the wire is first cut to what the layer has.
 */
#include "flows/decode.h"

#include "common/wire.h"
#include "flows/fragment.h"

enum {
	ETHERTYPE_IPV4 = 0x0800,
	ETHERTYPE_ARP = 0x0806,
	ETHERTYPE_TEB = 0x6558, /* transparent Ethernet bridging */
	ETHERTYPE_VLAN = 0x8100,
	ETHERTYPE_RARP = 0x8035,
	ETHERTYPE_IPV6 = 0x86dd,
	ETHERTYPE_PPP = 0x880b,
	ETHERTYPE_MPLS = 0x8847,
	ETHERTYPE_MPLS_MULTICAST = 0x8848,
	ETHERTYPE_PPPOE_DISCOVERY = 0x8863,
	ETHERTYPE_PPPOE_SESSION = 0x8864,
	ETHERTYPE_QINQ = 0x88a8,
	ETHERTYPE_ERSPAN2 = 0x88be,
	ETHERTYPE_LLDP = 0x88cc,
	ETHERTYPE_QINQ_OLD = 0x9100,
	ETHERTYPE_FIRST = 0x0600, /* below: an IEEE 802.3 length */
	PPP_IPV4 = 0x21,
	PPP_IPV6 = 0x57,
	IP_HOPOPTS = 0,
	IP_ICMP = 1,
	IP_IGMP = 2,
	IP_IPV4 = 4,
	IP_IPV6 = 41,
	IP_ROUTING = 43,
	IP_FRAGMENT = 44,
	IP_GRE = 47,
	IP_ESP = 50,
	IP_AH = 51,
	IP_ICMPV6 = 58,
	IP_NONE = 59,
	IP_DSTOPTS = 60,
	IP_MOBILITY = 135,
	IP_HIP = 139,
	IP_SHIM6 = 140,
	MAX_TUNNELS = 8, /* headers inside headers; real ones have three or four */
	MAX_TAGS = 8,    /* VLAN tags or MPLS labels in a row */
	MAX_EXTENSIONS = 16,
};

struct layer {
	const uint8_t *p;
	uint32_t cap, len;
};

struct context {
	const struct decoder *d;
	const struct frame *frame;
	struct packet *pkt;
	unsigned int depth;
	bool inside_ip; /* an IP header has been passed */
};

static enum decode_result decode_ip(struct context *c, struct layer l);
static enum decode_result decode_ethernet(struct context *c, struct layer l);

/* Step over n header bytes. */
static inline enum decode_result layer_pull(struct layer *l, uint32_t n)
{
	if (__builtin_expect(l->cap < n, 0))
		return l->len < n ? DECODE_MALFORMED : DECODE_TRUNCATED;
	l->p += n;
	l->cap -= n;
	l->len -= n;
	return DECODE_PACKET;
}

#define PULL(l, n)                                                                                 \
	do {                                                                                       \
		enum decode_result pulled_ = layer_pull(l, n);                                     \
		if (__builtin_expect(pulled_ != DECODE_PACKET, 0))                                 \
			return pulled_;                                                            \
	} while (0)

static inline void layer_limit(struct layer *l, uint32_t len)
{
	if (l->len > len)
		l->len = len;
	if (l->cap > l->len)
		l->cap = l->len;
}

/* --- TCP and UDP
 * ---------------------------------------------------------------------------------- */

static uint32_t mix32(uint32_t h, uint32_t v)
{
	h = (h ^ v) * 0x9e3779b1U;
	return h ^ h >> 15;
}

static inline uint64_t key_hash(const struct decoder *d, const struct flow_key *k)
{
	uint64_t w[2];

	if (k->w[0] | k->w[2])
		return siphash_words(&d->key, k->w, 5);
	/* IPv4: the first words are 0, the low halves of the second are constant */
	w[0] = (k->w[1] & 0xffffffff00000000ULL) | k->w[3] >> 32;
	w[1] = k->w[4];
	return siphash_words(&d->key, w, 2);
}

uint64_t decode_key_hash(const struct decoder *d, const struct flow_key *key)
{
	return key_hash(d, key);
}

static inline void set_key(const struct decoder *d, struct packet *pkt, const struct ip_addr *src,
			   const struct ip_addr *dst, uint16_t sport, uint16_t dport, uint8_t proto)
{
	pkt->end = (uint8_t)flow_key_make(&pkt->key, src, dst, sport, dport, proto);
	pkt->hash = key_hash(d, &pkt->key);
}

/* Timestamps option, RFC 7323: kind 8, length 10. The usual layout is NOP NOP 8 10. */
static void tcp_options(struct packet *pkt, const uint8_t *p, uint32_t n)
{
	uint32_t i = 0;

	pkt->has_ts = false;
	if (n >= 12 && load_be32(p) == 0x0101080aU) {
		i = 2;
	} else {
		while (i < n && p[i] != 8) {
			if (p[i] == 0)
				return;
			if (p[i] == 1) {
				i++;
				continue;
			}
			if (i + 1 >= n || p[i + 1] < 2)
				return;
			i += p[i + 1];
		}
	}
	if (i + 10 > n || p[i + 1] != 10)
		return;
	pkt->has_ts = true;
	pkt->tsval = load_be32(p + i + 2);
	pkt->tsecr = load_be32(p + i + 6);
}

static inline enum decode_result decode_tcp(const struct decoder *d, const struct ip_addr *src,
					    const struct ip_addr *dst, struct layer l,
					    struct packet *pkt)
{
	const uint8_t *p = l.p;
	uint32_t hlen;

	if (l.len < 20)
		return DECODE_MALFORMED;
	if (l.cap < 14) /* up to the flags: what counting needs */
		return DECODE_TRUNCATED;
	hlen = (uint32_t)(p[12] >> 4) * 4;
	if (hlen < 20 || hlen > l.len)
		return DECODE_MALFORMED;
	set_key(d, pkt, src, dst, load_be16(p), load_be16(p + 2), PROTO_TCP);
	pkt->seq = load_be32(p + 4);
	pkt->ack = load_be32(p + 8);
	pkt->tcp_flags = p[13];
	pkt->window = l.cap >= 16 ? load_be16(p + 14) : 0xffff;
	pkt->has_ts = false;
	if (hlen > 20 && l.cap >= hlen)
		tcp_options(pkt, p + 20, hlen - 20);
	pkt->payload_len = l.len - hlen;
	pkt->payload_cap = l.cap > hlen ? l.cap - hlen : 0;
	pkt->payload = p + (l.cap > hlen ? hlen : l.cap);
	if (pkt->iface) /* nobody asks where there is one interface only */
		pkt->signature =
		    mix32(mix32(mix32(pkt->signature, pkt->seq), pkt->ack),
			  pkt->payload_len << 8 ^ pkt->tcp_flags ^ (uint32_t)pkt->window << 16);
	return DECODE_PACKET;
}

static enum decode_result decode_udp_tunnel(struct context *c, struct layer l, uint16_t dport)
{
	if (dport == 6081) { /* Geneve, RFC 8926 section 3.4 */
		uint32_t hlen;
		uint16_t type;

		if (l.cap < 8 || l.p[0] >> 6)
			return DECODE_UNKNOWN;
		hlen = 8 + (uint32_t)(l.p[0] & 0x3f) * 4;
		type = load_be16(l.p + 2);
		PULL(&l, hlen);
		return type == ETHERTYPE_TEB ? decode_ethernet(c, l) : decode_ip(c, l);
	}
	/* VXLAN, RFC 7348 section 5: the I flag */
	if (l.cap < 8 || !(l.p[0] & 0x08))
		return DECODE_UNKNOWN;
	PULL(&l, 8);
	return decode_ethernet(c, l);
}

static inline enum decode_result decode_udp(const struct decoder *d, const struct ip_addr *src,
					    const struct ip_addr *dst, struct layer l,
					    struct packet *pkt)
{
	const uint8_t *p = l.p;
	uint32_t ulen;

	if (l.len < 8)
		return DECODE_MALFORMED;
	if (l.cap < 6)
		return DECODE_TRUNCATED;
	ulen = load_be16(p + 4);
	if (ulen == 0) /* larger than the field (RFC 2675), or left to the network card */
		ulen = l.len;
	if (ulen < 8)
		return DECODE_MALFORMED;
	layer_limit(&l, ulen);
	set_key(d, pkt, src, dst, load_be16(p), load_be16(p + 2), PROTO_UDP);
	pkt->payload_len = l.len - 8;
	pkt->payload_cap = l.cap > 8 ? l.cap - 8 : 0;
	pkt->payload = p + (l.cap > 8 ? 8 : l.cap);
	pkt->tcp_flags = 0;
	if (pkt->iface)
		pkt->signature = mix32(pkt->signature, pkt->payload_len);
	if (pkt->iface && pkt->payload_cap >= 8)
		pkt->signature = mix32(mix32(pkt->signature, load_be32(pkt->payload)),
				       load_be32(pkt->payload + 4));
	return DECODE_PACKET;
}

enum decode_result decode_transport(const struct decoder *d, const struct ip_addr *src,
				    const struct ip_addr *dst, uint8_t proto, const uint8_t *data,
				    uint32_t cap, uint32_t len, struct packet *pkt)
{
	struct layer l = {data, cap, len};

	if (proto == PROTO_TCP)
		return decode_tcp(d, src, dst, l, pkt);
	if (proto == PROTO_UDP)
		return decode_udp(d, src, dst, l, pkt);
	return DECODE_SKIPPED;
}

/* --- inside IP
 * ------------------------------------------------------------------------------------- */

/* PPP protocol field, one byte where compressed (RFC 1661 section 6.5). */
static enum decode_result decode_ppp(struct context *c, struct layer l)
{
	uint32_t n;
	uint16_t proto;

	if (l.cap >= 2 && l.p[0] == 0xff && l.p[1] == 0x03)
		PULL(&l, 2); /* address and control */
	if (l.cap < 1)
		return l.len ? DECODE_TRUNCATED : DECODE_MALFORMED;
	n = l.p[0] & 1 ? 1 : 2;
	if (l.cap < n)
		return DECODE_TRUNCATED;
	proto = n == 1 ? l.p[0] : load_be16(l.p);
	PULL(&l, n);
	if (proto == PPP_IPV4 || proto == PPP_IPV6)
		return decode_ip(c, l);
	return proto >= 0x8000 ? DECODE_SKIPPED : DECODE_UNKNOWN; /* LCP, IPCP ...: control */
}

static enum decode_result decode_mpls(struct context *c, struct layer l)
{
	unsigned int i;

	for (i = 0; i < MAX_TAGS; i++) {
		bool bottom;

		if (l.cap < 4)
			return l.len < 4 ? DECODE_MALFORMED : DECODE_TRUNCATED;
		bottom = l.p[2] & 1;
		PULL(&l, 4);
		if (!bottom)
			continue;
		if (l.cap < 1)
			return DECODE_TRUNCATED;
		if (l.p[0] >> 4 == 4 || l.p[0] >> 4 == 6)
			return decode_ip(c, l);
		if (l.len >= 18 && l.p[0] >> 4 == 0) { /* RFC 4385 control word, then Ethernet */
			PULL(&l, 4);
			return decode_ethernet(c, l);
		}
		return DECODE_UNKNOWN;
	}
	return DECODE_UNKNOWN;
}

static enum decode_result decode_ethertype(struct context *c, struct layer l, uint16_t type);

/* GRE version 0: RFC 2784 and 2890; version 1: PPTP, RFC 2637. */
static enum decode_result decode_gre(struct context *c, struct layer l)
{
	uint16_t flags, type;
	uint32_t n = 4;

	if (l.cap < 4)
		return l.len < 4 ? DECODE_MALFORMED : DECODE_TRUNCATED;
	flags = load_be16(l.p);
	type = load_be16(l.p + 2);
	if ((flags & 7) > 1 || flags & 0x4000) /* source routing is gone since RFC 2784 */
		return DECODE_UNKNOWN;
	n += flags & 0x8000 ? 4 : 0;
	n += flags & 0x2000 ? 4 : 0;
	n += flags & 0x1000 ? 4 : 0;
	n += (flags & 7) == 1 && flags & 0x0080 ? 4 : 0;
	if (type == ETHERTYPE_ERSPAN2)
		n += flags & 0x1000 ? 8 : 0; /* type I has no header, and no sequence number */
	PULL(&l, n);
	if ((flags & 7) == 1)
		return type == ETHERTYPE_PPP && l.len ? decode_ppp(c, l) : DECODE_SKIPPED;
	if (type == ETHERTYPE_TEB || type == ETHERTYPE_ERSPAN2)
		return decode_ethernet(c, l);
	return decode_ethertype(c, l, type);
}

/* What an IP header carries, after all extension headers. */
static inline enum decode_result decode_payload(struct context *c, const struct ip_addr *src,
						const struct ip_addr *dst, uint8_t proto,
						struct layer l)
{
	switch (proto) {
	case PROTO_TCP:
		return decode_tcp(c->d, src, dst, l, c->pkt);
	case PROTO_UDP:
		if (c->d->tunnels_inner && l.cap >= 16) {
			uint16_t dport = load_be16(l.p + 2);
			struct layer inner = l;

			if ((dport == 4789 || dport == 8472 || dport == 6081) &&
			    layer_pull(&inner, 8) == DECODE_PACKET) {
				struct context t = *c;
				uint16_t packets = c->pkt->packets;
				enum decode_result r = decode_udp_tunnel(&t, inner, dport);

				if (r == DECODE_PACKET || r == DECODE_HELD)
					return r;
				c->pkt->packets = packets;
			}
		}
		return decode_udp(c->d, src, dst, l, c->pkt);
	case IP_IPV4:
	case IP_IPV6:
		return decode_ip(c, l);
	case IP_GRE:
		return decode_gre(c, l);
	default:
		return DECODE_SKIPPED;
	}
}

static enum decode_result decode_upper(struct context *c, const struct ip_addr *src,
				       const struct ip_addr *dst, uint8_t proto, struct layer l);

/* Hold a fragment; a datagram that it completes is decoded at once. */
static enum decode_result hold_fragment(struct context *c, struct fragment *frag, struct layer l)
{
	struct datagram whole;
	bool malformed = false;

	if (frag->proto == IP_ICMP || frag->proto == IP_ICMPV6 || frag->proto == IP_ESP)
		return DECODE_SKIPPED; /* nothing that is counted */
	frag->time_ns = c->frame->time_ns;
	frag->iface = c->frame->iface;
	frag->len = l.len;
	frag->cap = l.cap;
	frag->data = l.p;
	if (!c->d->fragments || (frag->more && l.len % 8))
		return DECODE_MALFORMED;
	if (!fragments_add(c->d->fragments, frag, &whole, &malformed))
		return malformed ? DECODE_MALFORMED : DECODE_HELD;
	c->pkt->packets = whole.packets;
	l.p = whole.data;
	l.cap = whole.cap;
	l.len = whole.len;
	return decode_upper(c, &whole.src, &whole.dst, whole.proto, l);
}

/* The outermost header's word counts, not the frame's: behind it are padding and trailers, and some
 * captures give a cut length as the original one. Inside a tunnel the outer header is the bound. */
static void limit_to_header(const struct context *c, struct layer *l, uint32_t len)
{
	if (!c->inside_ip)
		l->len = len;
	layer_limit(l, len);
}

static enum decode_result decode_ipv4(struct context *c, struct layer l)
{
	struct ip_addr src, dst;
	const uint8_t *p = l.p;
	uint32_t hlen, total, frag;
	uint8_t proto;

	if (l.cap < 20)
		return l.len < 20 ? DECODE_MALFORMED : DECODE_TRUNCATED;
	hlen = (uint32_t)(p[0] & 15) * 4;
	total = load_be16(p + 2);
	if (total == 0) /* segmented by the network card: larger than the field */
		total = l.len;
	if (hlen < 20 || total < hlen)
		return DECODE_MALFORMED;
	limit_to_header(c, &l, total);
	frag = load_be16(p + 6);
	proto = p[9];
	addr_from_v4(&src, p + 12);
	addr_from_v4(&dst, p + 16);
	c->pkt->signature = load_be16(p + 4);
	PULL(&l, hlen);
	c->inside_ip = true;
	if (__builtin_expect(frag & 0x3fff, 0)) {
		struct fragment f = {.src = &src,
				     .dst = &dst,
				     .id = load_be16(p + 4),
				     .offset = (frag & 0x1fff) * 8,
				     .more = frag & 0x2000,
				     .proto = proto};

		return hold_fragment(c, &f, l);
	}
	return proto == IP_AH ? decode_upper(c, &src, &dst, proto, l)
			      : decode_payload(c, &src, &dst, proto, l);
}

/* RFC 8200 section 4.5. *atomic: l has been moved on; else the result is the datagram's. */
static enum decode_result ipv6_fragment(struct context *c, const struct ip_addr *src,
					const struct ip_addr *dst, struct layer *l, bool *atomic)
{
	struct fragment f = {.src = src, .dst = dst};
	uint16_t word;

	*atomic = false;
	if (l->cap < 8)
		return l->len < 8 ? DECODE_MALFORMED : DECODE_TRUNCATED;
	word = load_be16(l->p + 2);
	f.proto = l->p[0];
	f.id = load_be32(l->p + 4);
	f.offset = word & 0xfff8;
	f.more = word & 1;
	PULL(l, 8);
	*atomic = !f.offset && !f.more; /* it is whole, RFC 6946 */
	if (*atomic)
		return DECODE_PACKET;
	return hold_fragment(c, &f, *l);
}

/* Extension headers in any order, then what they lead to. */
static enum decode_result decode_upper(struct context *c, const struct ip_addr *src,
				       const struct ip_addr *dst, uint8_t proto, struct layer l)
{
	enum decode_result r;
	bool atomic;
	unsigned int i;
	uint32_t n;

	for (i = 0; i < MAX_EXTENSIONS; i++) {
		uint8_t next = l.cap ? l.p[0] : 0;

		switch (proto) {
		case IP_FRAGMENT:
			r = ipv6_fragment(c, src, dst, &l, &atomic);
			if (!atomic)
				return r;
			proto = next;
			continue;
		case IP_HOPOPTS:
		case IP_ROUTING:
		case IP_DSTOPTS:
		case IP_MOBILITY:
		case IP_HIP:
		case IP_SHIM6:
		case IP_AH:
			if (l.cap < 2)
				return l.len < 2 ? DECODE_MALFORMED : DECODE_TRUNCATED;
			n = proto == IP_AH ? ((uint32_t)l.p[1] + 2) * 4
					   : ((uint32_t)l.p[1] + 1) * 8;
			proto = next;
			PULL(&l, n);
			continue;
		default:
			return decode_payload(c, src, dst, proto, l);
		}
	}
	return DECODE_MALFORMED;
}

static enum decode_result decode_ipv6(struct context *c, struct layer l)
{
	struct ip_addr src, dst;
	uint32_t len;
	uint8_t proto;

	if (l.cap < 40)
		return l.len < 40 ? DECODE_MALFORMED : DECODE_TRUNCATED;
	len = load_be16(l.p + 4);
	proto = l.p[6];
	memcpy(src.b, l.p + 8, 16);
	memcpy(dst.b, l.p + 24, 16);
	c->pkt->signature = load_be32(l.p) & 0xfffff; /* flow label: there is no id */
	if (len) /* 0: a jumbogram (RFC 2675), or segmented by the network card */
		limit_to_header(c, &l, len + 40);
	PULL(&l, 40);
	c->inside_ip = true;
	if (proto == PROTO_TCP || proto == PROTO_UDP)
		return decode_payload(c, &src, &dst, proto, l);
	return decode_upper(c, &src, &dst, proto, l);
}

static enum decode_result decode_ip(struct context *c, struct layer l)
{
	if (l.cap < 1)
		return l.len ? DECODE_TRUNCATED : DECODE_MALFORMED;
	if (++c->depth > MAX_TUNNELS)
		return DECODE_UNKNOWN;
	switch (l.p[0] >> 4) {
	case 4:
		return decode_ipv4(c, l);
	case 6:
		return decode_ipv6(c, l);
	default:
		return DECODE_MALFORMED;
	}
}

/* --- links
 * ----------------------------------------------------------------------------------------- */

/* LLC (IEEE 802.2): only SNAP with an Ethernet type inside is looked into. */
static enum decode_result decode_llc(struct context *c, struct layer l)
{
	uint16_t type;

	if (l.cap < 8)
		return DECODE_SKIPPED;
	if (l.p[0] != 0xaa || l.p[1] != 0xaa || l.p[2] != 3)
		return DECODE_SKIPPED; /* spanning tree, IS-IS ... */
	if (l.p[3] | l.p[4] | l.p[5])
		return DECODE_SKIPPED; /* another organisation's protocol: CDP ... */
	type = load_be16(l.p + 6);
	PULL(&l, 8);
	return decode_ethertype(c, l, type);
}

static enum decode_result decode_pppoe(struct context *c, struct layer l)
{
	uint32_t len;

	if (l.cap < 6)
		return l.len < 6 ? DECODE_MALFORMED : DECODE_TRUNCATED;
	if (l.p[0] != 0x11)
		return DECODE_MALFORMED; /* version 1, type 1 */
	len = load_be16(l.p + 4);
	PULL(&l, 6);
	layer_limit(&l, len);
	return decode_ppp(c, l);
}

static enum decode_result decode_ethertype(struct context *c, struct layer l, uint16_t type)
{
	unsigned int tags = 0;

	while (type == ETHERTYPE_VLAN || type == ETHERTYPE_QINQ || type == ETHERTYPE_QINQ_OLD) {
		if (++tags > MAX_TAGS)
			return DECODE_UNKNOWN;
		if (l.cap < 4)
			return l.len < 4 ? DECODE_MALFORMED : DECODE_TRUNCATED;
		type = load_be16(l.p + 2);
		PULL(&l, 4);
	}
	switch (type) {
	case ETHERTYPE_IPV4:
	case ETHERTYPE_IPV6:
		return decode_ip(c, l);
	case ETHERTYPE_ARP:
	case ETHERTYPE_RARP:
	case ETHERTYPE_LLDP:
	case ETHERTYPE_PPPOE_DISCOVERY:
		return DECODE_SKIPPED;
	case ETHERTYPE_PPPOE_SESSION:
		return decode_pppoe(c, l);
	case ETHERTYPE_MPLS:
	case ETHERTYPE_MPLS_MULTICAST:
		return decode_mpls(c, l);
	default:
		if (type < ETHERTYPE_FIRST) {
			layer_limit(&l, type);
			return decode_llc(c, l);
		}
		return DECODE_UNKNOWN;
	}
}

static enum decode_result decode_ethernet(struct context *c, struct layer l)
{
	uint16_t type;

	if (l.cap < 14)
		return l.len < 14 ? DECODE_MALFORMED : DECODE_TRUNCATED;
	if (++c->depth > MAX_TUNNELS)
		return DECODE_UNKNOWN;
	type = load_be16(l.p + 12);
	PULL(&l, 14);
	return decode_ethertype(c, l, type);
}

/* DLT_NULL: an address family in the byte order of whoever wrote the file; the IP version says the
 * same and is checked by decode_ip(). Families: 2 everywhere; IPv6 is 10, 24, 28 or 30. */
static enum decode_result decode_null(struct context *c, struct layer l)
{
	uint32_t family;

	if (l.cap < 4)
		return l.len < 4 ? DECODE_MALFORMED : DECODE_TRUNCATED;
	family = load_be32(l.p);
	if (family > 0xffff)
		family = __builtin_bswap32(family);
	PULL(&l, 4);
	switch (family) {
	case 2:
	case 10:
	case 24:
	case 28:
	case 30:
		return decode_ip(c, l);
	default:
		return DECODE_UNKNOWN;
	}
}

/* Linux cooked: protocol is an Ethernet type, or (RFC-less) 1: 802.3 without LLC, 4: LLC. */
static enum decode_result decode_cooked(struct context *c, struct layer l, uint32_t hlen,
					uint32_t at)
{
	uint16_t type;

	if (l.cap < hlen)
		return l.len < hlen ? DECODE_MALFORMED : DECODE_TRUNCATED;
	type = load_be16(l.p + at);
	PULL(&l, hlen);
	if (type == 4)
		return decode_llc(c, l);
	if (type < ETHERTYPE_FIRST)
		return DECODE_SKIPPED;
	return decode_ethertype(c, l, type);
}

enum decode_result decode_frame(const struct decoder *d, const struct frame *f, struct packet *pkt)
{
	struct context c = {d, f, pkt, 0, false};
	struct layer l = {f->data, f->caplen, f->wirelen};

	pkt->time_ns = f->time_ns;
	pkt->iface = f->iface;
	pkt->packets = 1;
	pkt->signature = 0;
	switch (f->link) {
	case LINK_ETHERNET:
		return decode_ethernet(&c, l);
	case LINK_RAW:
		return decode_ip(&c, l);
	case LINK_SLL:
		return decode_cooked(&c, l, 16, 14);
	case LINK_SLL2:
		return decode_cooked(&c, l, 20, 0);
	case LINK_NULL:
	case LINK_LOOP:
		return decode_null(&c, l);
	default:
		return DECODE_UNKNOWN;
	}
}
