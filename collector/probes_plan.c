/* probes_plan.c - see probes_plan.h.
 *
 * Tracepoints first: what they are given is part of the kernel's interface, and they are there
 * where kprobes are not. tp_btf and raw_tp are the same tracepoint; tp_btf wants the kernel's own
 * BTF, raw_tp (Linux 4.17) takes that of kernel.btf_path, too. fentry and fexit cost less than a
 * kprobe, and much less than a kretprobe. tcp_send_reset only tells of resets by a socket before
 * Linux 6.10, none by a port where nobody listens.
 *
 * Further down in a list is what knows less: udp_sendmsg() not the address that a socket sends
 * from; tcp_destroy_sock not what an aborted connection had counted; tcp_close() not what comes
 * after it.
 */
#include "collector/probes_plan.h"

#include <stddef.h>
#include <string.h>

/* clang-format off */
#define TP_BTF(name, ...)           {PROBE_MEANS_TP_BTF, "tp_btf/" name, {__VA_ARGS__}}
#define RAW_TP(name, ...)           {PROBE_MEANS_RAW_TP, "raw_tp/" name, {__VA_ARGS__}}
#define TRAMPOLINE(name, ...)       {PROBE_MEANS_TRAMPOLINE, name, {__VA_ARGS__}}
#define KPROBE(name, ...)           {PROBE_MEANS_KPROBE, name, {__VA_ARGS__}}
#define STATE(name, ...)            {PROBE_MEANS_STATE, name, {__VA_ARGS__}}
#define NOTHING_MORE                {NULL, NULL, false, false}
#define RESETS(program, name)       {program, name, false, true}
#define PART(program, name)         {program, name, false, false}
#define RETURNS(program, name)      {program, name, true, false}
#define IPV6(program, name)         {program, name, false, true}
#define IPV6_RETURNS(program, name) {program, name, true, true}
/* clang-format on */

const struct probe_plan probe_plans[PROBE_FACTS] = {
    [PROBE_FACT_STATE] = {"connect",
			  {TP_BTF("inet_sock_set_state", PART("state_btf", "inet_sock_set_state")),
			   RAW_TP("inet_sock_set_state", PART("state_raw", "inet_sock_set_state")),
			   KPROBE("kprobe/tcp_set_state", PART("state_kprobe", "tcp_set_state"))},
			  "nothing tells of connections"},
    [PROBE_FACT_ACCEPT] =
	{"accept",
	 {TRAMPOLINE("fexit/inet_csk_accept", PART("accept_fexit", "inet_csk_accept")),
	  TRAMPOLINE("fexit/inet_csk_accept", PART("accept_arg_fexit", "inet_csk_accept")),
	  KPROBE("kretprobe/inet_csk_accept", RETURNS("accept_return", "inet_csk_accept")),
	  STATE("connect's probe, when it is closed", RESETS("closer_btf", "tcp_destroy_sock"),
		RESETS("closer_raw", "tcp_destroy_sock"))},
	 "who accepted is found by sock_diag and /proc"},
    [PROBE_FACT_CLOSE] =
	{"close",
	 {STATE("connect's probe", NOTHING_MORE),
	  RAW_TP("tcp_destroy_sock", PART("destroy_raw", "tcp_destroy_sock")),
	  KPROBE("kprobe/tcp_close", PART("close_kprobe", "tcp_close"))},
	 "the last figures of connections come from sock_diag destroy, or are missing"},
    [PROBE_FACT_RETURN] =
	{"connect_return",
	 {TRAMPOLINE("fexit/tcp_v4_connect", PART("connect4_fexit", "tcp_v4_connect"),
		     IPV6("connect6_fexit", "tcp_v6_connect")),
	  KPROBE("kretprobe/tcp_v4_connect", PART("connect4_enter", "tcp_v4_connect"),
		 RETURNS("connect4_return", "tcp_v4_connect"),
		 IPV6("connect6_enter", "tcp_v6_connect"),
		 IPV6_RETURNS("connect6_return", "tcp_v6_connect"))},
	 "a connect() that fails before a packet is sent (no route, no free port) is not counted"},
    [PROBE_FACT_LISTEN] = {"listen",
			   {KPROBE("kprobe/inet_csk_listen_start",
				   PART("listen_kprobe", "inet_csk_listen_start"))},
			   "who listens is found by sock_diag, now and then"},
    [PROBE_FACT_BIND] = {"bind",
			 {TRAMPOLINE("fentry/inet_bind", PART("bind4_fentry", "inet_bind"),
				     IPV6("bind6_fentry", "inet6_bind")),
			  KPROBE("kprobe/inet_bind", PART("bind4_kprobe", "inet_bind"),
				 IPV6("bind6_kprobe", "inet6_bind"))},
			 "servers of UDP are found by sock_diag, now and then"},
    [PROBE_FACT_UDP_SENT] = {"udp_send",
			     {TRAMPOLINE("fentry/ip_send_skb",
					 PART("udp_sent4_fentry", "ip_send_skb"),
					 IPV6("udp_sent6_fentry", "ip6_send_skb")),
			      KPROBE("kprobe/ip_send_skb", PART("udp_sent4_kprobe", "ip_send_skb"),
				     IPV6("udp_sent6_kprobe", "ip6_send_skb")),
			      KPROBE("kprobe/udp_sendmsg", PART("udp_sends4_kprobe", "udp_sendmsg"),
				     IPV6("udp_sends6_kprobe", "udpv6_sendmsg"))},
			     "who sends datagrams is found by sock_diag and /proc"},
    [PROBE_FACT_UDP_RECEIVED] =
	{"udp_receive",
	 {TRAMPOLINE("fentry/skb_consume_udp", PART("udp_received_fentry", "skb_consume_udp")),
	  KPROBE("kprobe/skb_consume_udp", PART("udp_received_kprobe", "skb_consume_udp")),
	  KPROBE("kretprobe/__skb_recv_udp", PART("udp_takes_enter", "__skb_recv_udp"),
		 RETURNS("udp_takes_return", "__skb_recv_udp"))},
	 "who receives datagrams is found by sock_diag and /proc"},
    [PROBE_FACT_RETRANSMIT] =
	{"retransmit",
	 {RAW_TP("tcp_retransmit_skb", PART("retransmit_raw", "tcp_retransmit_skb")),
	  KPROBE("kprobe/tcp_retransmit_skb", PART("retransmit_kprobe", "tcp_retransmit_skb"))},
	 "the machine's own count is missing; each connection's comes from its socket"},
    [PROBE_FACT_SYNACK] =
	{"retransmit_synack",
	 {RAW_TP("tcp_retransmit_synack", PART("synack_raw", "tcp_retransmit_synack")),
	  KPROBE("kprobe/tcp_rtx_synack", PART("synack_kprobe", "tcp_rtx_synack"))},
	 "the machine's own count is missing"},
    [PROBE_FACT_RESET_SENT] = {"send_reset",
			       {RAW_TP("tcp_send_reset", PART("reset_sent_raw", "tcp_send_reset")),
				KPROBE("kprobe/tcp_v4_send_reset",
				       PART("reset_sent4_kprobe", "tcp_v4_send_reset"),
				       IPV6("reset_sent6_kprobe", "tcp_v6_send_reset"))},
			       "the machine's own count is missing"},
    [PROBE_FACT_RESET_RECEIVED] =
	{"receive_reset",
	 {RAW_TP("tcp_receive_reset", PART("reset_received_raw", "tcp_receive_reset")),
	  KPROBE("kprobe/tcp_reset", PART("reset_received_kprobe", "tcp_reset"))},
	 "the machine's own count is missing"},
};

const char *probe_means_word(enum probe_means means, const char *provider)
{
	switch (means) {
	case PROBE_MEANS_TP_BTF:
		return "tp_btf";
	case PROBE_MEANS_RAW_TP:
		return "raw_tp";
	case PROBE_MEANS_KPROBE:
		return "kprobe";
	case PROBE_MEANS_TRAMPOLINE:
		return strncmp(provider, "fexit", 5) ? "fentry" : "fexit";
	case PROBE_MEANS_STATE:
		return "state";
	case PROBE_MEANS_NONE:
		break;
	}
	return "";
}
