/* decode.h - from a frame to a packet: link layers, IP, tunnels, fragments, TCP and UDP headers.
 *
 * Links: Ethernet II (and LLC/SNAP), 802.1Q/802.1ad, PPPoE (RFC 2516), MPLS (RFC 3032), Linux
 * cooked v1/v2, raw IP, BSD null/loop. IP: RFC 791, RFC 8200. Looked into: IP-in-IP (RFC 2003),
 * 6in4 (RFC 4213), GRE (RFC 2784, 2890, 2637), AH; with tunnels_inner VXLAN (RFC 7348) and Geneve
 * (RFC 8926).
 */
#ifndef FLOWS_DECODE_H
#define FLOWS_DECODE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"
#include "common/siphash.h"
#include "flows/frame.h"
#include "flows/packet.h"

enum decode_result {
	DECODE_PACKET,    /* *pkt is filled in */
	DECODE_HELD,      /* a fragment, kept until its datagram is whole */
	DECODE_SKIPPED,   /* nothing for a flow: ARP, ICMP, SCTP, ESP ... */
	DECODE_TRUNCATED, /* fewer bytes captured than the headers need */
	DECODE_MALFORMED, /* the headers contradict themselves */
	DECODE_UNKNOWN,   /* a protocol that is not looked into */
	DECODE_RESULTS
};

struct fragments;

struct decoder {
	struct siphash_key key;
	struct fragments *fragments; /* borrowed */
	bool tunnels_inner;
};

/* The hash that a packet of this flow has. */
uint64_t decode_key_hash(const struct decoder *d, const struct flow_key *key);

/* pkt->payload points into the frame's data, or into a fragment buffer that stays until
 * fragments_release(). */
enum decode_result decode_frame(const struct decoder *d, const struct frame *f, struct packet *pkt);

/* The TCP or UDP header and payload of a datagram of protocol proto: data has cap bytes of len.
 * key's addresses are src and dst. For fragments.c, which calls it for whole datagrams. */
enum decode_result decode_transport(const struct decoder *d, const struct ip_addr *src,
				    const struct ip_addr *dst, uint8_t proto, const uint8_t *data,
				    uint32_t cap, uint32_t len, struct packet *pkt);

#endif
