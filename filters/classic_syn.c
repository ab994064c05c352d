/* classic_syn.c - see classic_syn.h. Ancillary loads as in Linux 3.2's net/core/filter.c. */
#include "filters/classic_syn.h"

#include <string.h>

#include <linux/if_ether.h>
#include <linux/if_packet.h>

enum { DROP = 19, ACCEPT = 18 };

/* A jump of instruction `at` to instruction `to`. */
#define GO(at, to) ((unsigned char)((to) - (at)-1))

/* tcpdump: outbound and tcp[tcpflags] & (tcp-syn|tcp-ack|tcp-rst|tcp-fin) == tcp-syn, and for IPv6
 * the same */
static const struct filter_insn program[] = {
    {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (unsigned int)(SKF_AD_OFF + SKF_AD_PKTTYPE)),
     "which way it goes", "sent by this host"},
    {BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PACKET_OUTGOING, 0, GO(1, DROP)), "received: not ours",
     NULL},
    {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (unsigned int)(SKF_AD_OFF + SKF_AD_PROTOCOL)),
     "Ethernet type", NULL},
    {BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETH_P_IPV6, GO(3, 13), 0), "IPv6", NULL},
    {BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETH_P_IP, 0, GO(4, DROP)), "IPv4", NULL},
    {BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 9), "protocol", "IPv4"},
    {BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 6, 0, GO(6, DROP)), "TCP", NULL},
    {BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 6), "fragment offset", NULL},
    {BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 0x1fff, GO(8, DROP), 0), "not the first: no ports", NULL},
    {BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, 0), "length of the IPv4 header", NULL},
    {BPF_STMT(BPF_LD | BPF_B | BPF_IND, 13), "TCP flags", NULL},
    {BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0x17), "SYN, ACK, RST, FIN", NULL},
    {BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0x02, GO(12, ACCEPT), GO(12, DROP)), "SYN alone", NULL},
    {BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 6), "next header", "IPv6"},
    {BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 6, 0, GO(14, DROP)), "TCP", NULL},
    {BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 40 + 13), "TCP flags", NULL},
    {BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0x17), "SYN, ACK, RST, FIN", NULL},
    {BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0x02, GO(17, ACCEPT), GO(17, DROP)), "SYN alone", NULL},
    {BPF_STMT(BPF_RET | BPF_K, CLASSIC_SYN_COPY), "the headers", NULL},
    {BPF_STMT(BPF_RET | BPF_K, 0), "nothing", NULL},
};

int classic_syn_filter(struct filter_insn *out, size_t max, const struct filter_config *config)
{
	size_t n = sizeof(program) / sizeof(program[0]);

	(void)config;
	if (n > max)
		return FL_EFULL;
	memcpy(out, program, sizeof(program));
	return (int)n;
}
