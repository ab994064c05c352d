/* test_classic_syn.c - which packets the watch for new connections lets pass. */
#include "filters/classic_syn.h"

#include "filters/interpret.h"
#include "tests/test.h"

#include <linux/if_ether.h>
#include <linux/if_packet.h>

static struct filter_insn prog[64];

struct packet_case {
	const char *name;
	uint8_t pkttype;
	uint16_t protocol;
	uint8_t ip_words; /* of the IPv4 header; 0: IPv6 */
	uint8_t l4, flags;
	uint16_t fragment;
	uint32_t len; /* 0: all of it */
	bool want;
};

static const struct packet_case packets[] = {
    {"SYN", PACKET_OUTGOING, ETH_P_IP, 5, 6, 0x02, 0, 0, true},
    {"SYN with ECN", PACKET_OUTGOING, ETH_P_IP, 5, 6, 0xc2, 0, 0, true},
    {"SYN behind IP options", PACKET_OUTGOING, ETH_P_IP, 15, 6, 0x02, 0, 0, true},
    {"SYN that may not be fragmented", PACKET_OUTGOING, ETH_P_IP, 5, 6, 0x02, 0x4000, 0, true},
    {"SYN-ACK", PACKET_OUTGOING, ETH_P_IP, 5, 6, 0x12, 0, 0, false},
    {"RST", PACKET_OUTGOING, ETH_P_IP, 5, 6, 0x04, 0, 0, false},
    {"data", PACKET_OUTGOING, ETH_P_IP, 5, 6, 0x18, 0, 0, false},
    {"received", PACKET_HOST, ETH_P_IP, 5, 6, 0x02, 0, 0, false},
    {"UDP", PACKET_OUTGOING, ETH_P_IP, 5, 17, 0x02, 0, 0, false},
    {"later fragment", PACKET_OUTGOING, ETH_P_IP, 5, 6, 0x02, 0x0010, 0, false},
    {"cut before the flags", PACKET_OUTGOING, ETH_P_IP, 5, 6, 0x02, 0, 33, false},
    {"ARP", PACKET_OUTGOING, ETH_P_ARP, 5, 6, 0x02, 0, 0, false},
    {"IPv6 SYN", PACKET_OUTGOING, ETH_P_IPV6, 0, 6, 0x02, 0, 0, true},
    {"IPv6 SYN-ACK", PACKET_OUTGOING, ETH_P_IPV6, 0, 6, 0x12, 0, 0, false},
    {"IPv6 UDP", PACKET_OUTGOING, ETH_P_IPV6, 0, 17, 0x02, 0, 0, false},
    {"IPv6 received", PACKET_HOST, ETH_P_IPV6, 0, 6, 0x02, 0, 0, false},
};

static void test_packets(void)
{
	int n = classic_syn_filter(prog, 64, NULL);
	size_t i;

	if (!CHECK(n > 0))
		return;
	CHECK_INT(interpret_check(prog, (size_t)n), -1);
	for (i = 0; i < sizeof(packets) / sizeof(packets[0]); i++) {
		const struct packet_case *c = &packets[i];
		uint8_t bytes[128] = {0};
		size_t at = c->ip_words ? (size_t)c->ip_words * 4 : 40;
		struct interpret_frame f = {bytes, (uint32_t)at + 20, c->protocol, 1, c->pkttype};

		bytes[0] = (uint8_t)(c->ip_words ? 0x40 | c->ip_words : 0x60);
		bytes[c->ip_words ? 9 : 6] = c->l4;
		if (c->ip_words) {
			bytes[6] = (uint8_t)(c->fragment >> 8);
			bytes[7] = (uint8_t)c->fragment;
		}
		bytes[at + 13] = c->flags;
		if (c->len)
			f.len = c->len;
		CHECK_MSG(interpret_run(prog, (size_t)n, &f).ret ==
			      (c->want ? CLASSIC_SYN_COPY : 0),
			  "%s", c->name);
	}
}

static void test_room(void)
{
	CHECK_INT(classic_syn_filter(prog, 3, NULL), FL_EFULL);
}

TEST_MAIN({"packets", test_packets}, {"no room", test_room})
