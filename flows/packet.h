/* packet.h - what decoding makes of a frame: one TCP segment or UDP datagram of a flow.
 */
#ifndef FLOWS_PACKET_H
#define FLOWS_PACKET_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "common/addr.h"

enum { PROTO_TCP = 6, PROTO_UDP = 17 };

enum { TCP_FIN = 0x01, TCP_SYN = 0x02, TCP_RST = 0x04, TCP_PSH = 0x08, TCP_ACK = 0x10 };

/* The two ends of a flow in canonical order, so that both directions have the same key: words 0..1
 * the address of end 0, words 2..3 of end 1 (bytes in network order, loaded as they lie), word 4
 * the port of end 0, the port of end 1 << 16 and the protocol << 32. */
struct flow_key {
	uint64_t w[5];
};

static inline bool flow_key_equal(const struct flow_key *a, const struct flow_key *b)
{
	return !((a->w[0] ^ b->w[0]) | (a->w[1] ^ b->w[1]) | (a->w[2] ^ b->w[2]) |
		 (a->w[3] ^ b->w[3]) | (a->w[4] ^ b->w[4]));
}

static inline uint16_t flow_key_port(const struct flow_key *k, int end)
{
	return (uint16_t)(k->w[4] >> (16 * end));
}

static inline uint8_t flow_key_proto(const struct flow_key *k)
{
	return (uint8_t)(k->w[4] >> 32);
}

static inline void flow_key_addr(const struct flow_key *k, int end, struct ip_addr *out)
{
	memcpy(out->b, &k->w[2 * end], sizeof(out->b));
}

/* The key of a flow between src and dst; returns which end src is. */
static inline int flow_key_make(struct flow_key *k, const struct ip_addr *src,
				const struct ip_addr *dst, uint16_t sport, uint16_t dport,
				uint8_t proto)
{
	uint64_t s[2], t[2];
	int swap;

	memcpy(s, src->b, 16);
	memcpy(t, dst->b, 16);
	swap = s[0] != t[0] ? s[0] > t[0] : s[1] != t[1] ? s[1] > t[1] : sport > dport;
	k->w[2 * swap] = s[0];
	k->w[2 * swap + 1] = s[1];
	k->w[2 - 2 * swap] = t[0];
	k->w[3 - 2 * swap] = t[1];
	k->w[4] = (uint64_t)sport << 16 * swap | (uint64_t)dport << (16 - 16 * swap) |
		  (uint64_t)proto << 32;
	return swap;
}

struct packet {
	struct flow_key key;
	uint64_t hash; /* keyed, of the flow key */
	uint64_t time_ns;
	const uint8_t *payload; /* captured L4 payload, payload_cap bytes */
	uint32_t payload_len;   /* as the headers say, >= payload_cap */
	uint32_t payload_cap;
	uint32_t seq, ack;     /* TCP */
	uint32_t tsval, tsecr; /* TCP, where has_ts */
	uint32_t signature;    /* tells a second sight of the same packet; see flows/flow_table.h */
	uint16_t window;
	uint16_t iface;
	uint16_t packets; /* 1; of a datagram put together: its fragments */
	uint8_t tcp_flags;
	uint8_t end; /* which end of the key sent it: 0 or 1 */
	bool has_ts;
};

#endif
