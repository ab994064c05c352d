/* kernel_types.h - the few members of the kernel's own structs that the eBPF programs read.
 * SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
 *
 * Only for filters/probes.bpf.c. Neither order nor offsets are the kernel's: libbpf looks each
 * member up by its name in the running kernel's type information (BTF) and writes the true offset
 * into the program ("compile once, run everywhere"). A member that some kernel does not have is
 * asked for with bpf_core_field_exists() first. Names: Linux 4.16 to 6.18.
 */
#ifndef FILTERS_KERNEL_TYPES_H
#define FILTERS_KERNEL_TYPES_H

#include <linux/bpf.h>
#include <linux/types.h>

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

/* include/net/net_namespace.h */
struct ns_common {
	unsigned int inum; /* the number of /proc/PID/ns/net */
};

struct net {
	struct ns_common ns;
};

typedef struct {
	struct net *net; /* with CONFIG_NET_NS only */
} possible_net_t;

struct in6_addr {
	union {
		__be32 u6_addr32[4];
	} in6_u;
};

/* include/net/sock.h */
struct sock_common {
	__be32 skc_daddr;
	__be32 skc_rcv_saddr;
	__be16 skc_dport;
	__u16 skc_num; /* local port, host byte order; 0 again before a socket is told closed */
	unsigned short skc_family;
	volatile unsigned char skc_state;
	possible_net_t skc_net;
	struct in6_addr skc_v6_daddr;
	struct in6_addr skc_v6_rcv_saddr;
	unsigned long skc_flags; /* bits of enum sock_flags */
};

typedef struct {
	int owned; /* by a process, lock_sock(); not while a softirq has it */
} socket_lock_t;

struct sock {
	struct sock_common __sk_common;
	socket_lock_t sk_lock;
	int sk_err;
	__u32 sk_max_ack_backlog; /* of listen(); an accepted socket has its listener's */
	__u8 sk_shutdown;         /* RCV_SHUTDOWN 1, SEND_SHUTDOWN 2 */
	__u16 sk_protocol;        /* a bit-field of 8 before Linux 5.6 */
};

/* include/net/inet_sock.h */
struct inet_sock {
	struct sock sk;
	__be16 inet_sport; /* stays when skc_num is cleared */
	__be32 inet_saddr; /* of what is sent; 0: the route's */
};

/* include/net/inet_connection_sock.h */
struct inet_connection_sock {
	struct inet_sock icsk_inet;
};

/* include/linux/tcp.h */
struct tcp_sock {
	struct inet_connection_sock inet_conn;
	__u64 bytes_sent;    /* with what was sent again; Linux 4.19 */
	__u64 bytes_retrans; /* Linux 4.19 */
	__u64 bytes_acked;   /* Linux 4.1 */
	__u64 bytes_received;
	__u32 segs_out, segs_in; /* Linux 4.2 */
	__u32 total_retrans;
	__u32 srtt_us; /* times 8; Linux 3.15 */
	__u32 mdev_us; /* times 4 */
	__u32 snd_una, snd_nxt, write_seq;
	__u32 rcv_nxt; /* 0 until the other end's SYN has come */
};

/* include/net/sock.h, Linux 6.10: with it inet_csk_accept() has two arguments, before it four */
struct proto_accept_arg {
	int flags;
};

/* include/linux/net.h */
struct socket {
	struct sock *sk;
};

/* include/linux/socket.h */
struct msghdr {
	void *msg_name; /* the kernel's copy of the sockaddr; NULL: none */
};

/* include/linux/sched.h */
struct task_struct {
	unsigned int flags; /* PF_... */
};

/* include/linux/skbuff.h */
struct sk_buff {
	struct sock *sk;
	unsigned char *head;
	__u16 transport_header; /* from head */
	__u16 network_header;
};

#pragma clang attribute pop

#endif
