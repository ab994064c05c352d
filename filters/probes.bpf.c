/* probes.bpf.c - eBPF programs that tell who connects, accepts and listens, and what a connection's
 * socket has counted when it is closed. SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
 *
 * A fact has several programs, one for each way to get it: collector/probes_attach.c loads the
 * first that works. A section's name is only its type: those of tp_btf and fentry say what they are
 * attached to. Registers of kprobes are read by their place in the kernel's struct pt_regs, which
 * is the same since ever; user space says which machine it is. So one compiled program does for
 * x86_64 and arm64.
 *
 * Contexts: tcp_v4_connect() sets SYN_SENT in the process that connects, when the source port is
 * not chosen yet; a connection is established and mostly closed in a softirq, where the current
 * process is anybody.
 */
#include "filters/kernel_types.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "filters/probes.h"

char program_license[] SEC("license") = "Dual BSD/GPL";

enum {
	TCP_ESTABLISHED = 1,
	TCP_SYN_SENT = 2,
	TCP_SYN_RECV = 3,
	TCP_CLOSE = 7,
	TCP_LISTEN = 10,
	SOCK_DONE = 1 << 1, /* enum sock_flags: set by tcp_fin() alone */
	INET = 2,
	INET6 = 10,
	TCP = 6,
	UDP = 17,
	OUR_EINVAL = 22,
	OUR_EAFNOSUPPORT = 97,
	OUR_EINPROGRESS = 115,
	LAST_ERRNO = 133,
	HURRY_NS = 5000000,
	LATER_NS = 45000000,
};

/* Set before loading, and constant for the verifier: what is not used is not even checked. */
const volatile __u32 own_netns;
const volatile __u8 use_perf;  /* events is a perf buffer: no ring buffers before Linux 5.8 */
const volatile __u8 registers; /* enum probe_registers */
const volatile __u32
    wake_bytes; /* events that nobody waits for wake the reader when so many wait */

/* In probes_attach.c a perf event array where use_perf. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
} events SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, PROBE_COUNTS);
	__type(key, __u32);
	__type(value, __u64);
} counts SEC(".maps");

struct process {
	__u64 cgroup_id;
	__u32 pid;
	char comm[PROBE_COMM];
	__u32 unused;
};

/* Sockets in SYN_SENT: address of the struct sock -> who connects. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 8192);
	__type(key, __u64);
	__type(value, struct process);
} connecting SEC(".maps");

struct call {
	__u64 sk, addr;
};

/* Threads within tcp_v4_connect() or tcp_v6_connect(), where only its begin has the arguments. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 2048);
	__type(key, __u64);
	__type(value, struct call);
} calls SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_PERCPU_HASH);
	__uint(max_entries, 4096);
	__type(key, struct probe_tuple);
	__type(value, struct probe_datagrams);
} datagrams SEC(".maps");

static __always_inline void count(__u32 which)
{
	__u64 *n = bpf_map_lookup_elem(&counts, &which);

	if (n)
		++*n;
}

/* ---- what a socket says */

/* A member of what `from` points to. direct: the verifier knows the pointer's type (tp_btf, and
 * what helpers return), so that a plain load does; else a helper must read, which costs ten times
 * as much. */
#define GET(direct, from, member) ((direct) ? (from)->member : BPF_CORE_READ(from, member))

static __always_inline bool is_protocol(struct sock *sk, __u64 protocol)
{
	return BPF_CORE_READ_BITFIELD_PROBED(sk, sk_protocol) == protocol;
}

static __always_inline void map_v4(__u8 out[16], __be32 addr)
{
	__u32 *w = (__u32 *)out;

	w[0] = w[1] = 0;
	w[2] = bpf_htonl(0xffff);
	w[3] = addr;
}

static __always_inline void read_tuple(struct probe_tuple *t, struct sock *sk, bool direct)
{
	__u16 family = GET(direct, sk, __sk_common.skc_family);

	t->family = (__u8)family;
	t->protocol = TCP;
	t->unused = 0;
	t->local_port = bpf_ntohs(BPF_CORE_READ((struct inet_sock *)sk, inet_sport));
	t->remote_port = bpf_ntohs(GET(direct, sk, __sk_common.skc_dport));
	if (family == INET6) {
		BPF_CORE_READ_INTO(&t->local, sk, __sk_common.skc_v6_rcv_saddr);
		BPF_CORE_READ_INTO(&t->remote, sk, __sk_common.skc_v6_daddr);
	} else {
		map_v4(t->local, GET(direct, sk, __sk_common.skc_rcv_saddr));
		map_v4(t->remote, GET(direct, sk, __sk_common.skc_daddr));
	}
}

static __always_inline __u32 read_netns(struct sock *sk, bool direct)
{
	if (!bpf_core_field_exists(sk->__sk_common.skc_net.net))
		return own_netns; /* a kernel without namespaces */
	return direct ? sk->__sk_common.skc_net.net->ns.inum
		      : BPF_CORE_READ(sk, __sk_common.skc_net.net, ns.inum);
}

static __always_inline void begin_event(struct probe_event *e, struct sock *sk, __u8 kind,
					__u32 netns, bool direct)
{
	__builtin_memset(e, 0, sizeof(*e));
	e->time_ns = bpf_ktime_get_ns();
	e->kind = kind;
	e->netns = netns;
	e->flags = netns == own_netns ? 0 : PROBE_OTHER_NETNS;
	read_tuple(&e->tuple, sk, direct);
}

static __always_inline void set_current(struct probe_event *e)
{
	e->pid = bpf_get_current_pid_tgid() >> 32;
	e->cgroup_id = bpf_get_current_cgroup_id();
	bpf_get_current_comm(e->comm, sizeof(e->comm));
}

static __always_inline void set_process(struct probe_event *e, const struct process *p)
{
	e->pid = p->pid;
	e->cgroup_id = p->cgroup_id;
	__builtin_memcpy(e->comm, p->comm, sizeof(e->comm));
}

static __u64 woken_ns;

/* An interrupt and a change of process for each event would cost more than all else. The reader
 * looks again LATER_NS after it was woken, of its own (collector/probes_events.c): what comes
 * before that need not wake it. */
static __always_inline __u64 wake_flags(const struct probe_event *e, bool hurry)
{
	if (e->time_ns - woken_ns > (hurry ? HURRY_NS : LATER_NS)) {
		woken_ns = e->time_ns;
		return BPF_RB_FORCE_WAKEUP;
	}
	return bpf_ringbuf_query(&events, BPF_RB_AVAIL_DATA) < wake_bytes ? BPF_RB_NO_WAKEUP
									  : BPF_RB_FORCE_WAKEUP;
}

/* hurry: processes may be gone soon. */
static __always_inline void send(void *ctx, struct probe_event *e, bool hurry)
{
	long err;

	if (use_perf)
		err = bpf_perf_event_output(ctx, &events, BPF_F_CURRENT_CPU, e, sizeof(*e));
	else
		err = bpf_ringbuf_output(&events, e, sizeof(*e), wake_flags(e, hurry));
	/* a perf buffer's own count comes only with the next event that has room */
	count(err ? PROBE_COUNT_FULL : PROBE_COUNT_EVENTS);
}

/* ---- states: connect, established, closed, listen */

static __always_inline void remember(struct sock *sk)
{
	__u64 key = (__u64)sk;
	struct process p = {};

	p.pid = bpf_get_current_pid_tgid() >> 32;
	p.cgroup_id = bpf_get_current_cgroup_id();
	bpf_get_current_comm(p.comm, sizeof(p.comm));
	if (bpf_map_update_elem(&connecting, &key, &p, BPF_ANY))
		count(PROBE_COUNT_MAP_FULL);
}

static __always_inline void established(void *ctx, struct sock *sk, bool direct)
{
	__u32 netns = read_netns(sk, direct);
	struct process *p;
	struct probe_event e;
	__u64 key = (__u64)sk;

	/* also where it was accepted: two ends may connect to each other at the same time */
	p = bpf_map_lookup_elem(&connecting, &key);
	if (!p && netns != own_netns)
		return;
	begin_event(&e, sk, PROBE_ESTABLISHED, netns, direct);
	e.established_ns = e.time_ns;
	if (p) {
		e.flags |= PROBE_CLIENT;
		set_process(&e, p);
		bpf_map_delete_elem(&connecting, &key);
	}
	send(ctx, &e, p != NULL);
}

static __always_inline void connect_ended(void *ctx, struct sock *sk, bool direct)
{
	__u32 sent = BPF_CORE_READ((struct tcp_sock *)sk, segs_out), netns = read_netns(sk, direct);
	__u64 key = (__u64)sk;
	struct process *p = bpf_map_lookup_elem(&connecting, &key);
	int error = BPF_CORE_READ(sk, sk_err);
	struct probe_event e;

	/* without an errno: its process gave it up, or connect() itself returns it (call_failed) */
	if (error > 0 || (sent && netns == own_netns)) {
		begin_event(&e, sk, error > 0 ? PROBE_CONNECT_FAILED : PROBE_CLOSE, netns, direct);
		e.flags |= PROBE_CLIENT | (sent ? 0 : PROBE_NO_PACKET);
		e.state = TCP_SYN_SENT;
		e.error = error > 0 ? error : 0;
		if (p)
			set_process(&e, p);
		send(ctx, &e, true);
	}
	if (p)
		bpf_map_delete_elem(&connecting, &key);
}

static __always_inline void read_figures(struct probe_event *e, const struct tcp_sock *tp,
					 bool direct)
{
	e->bytes_acked = GET(direct, tp, bytes_acked);
	e->bytes_received = GET(direct, tp, bytes_received);
	e->segments_out = GET(direct, tp, segs_out);
	e->segments_in = GET(direct, tp, segs_in);
	e->retransmits = GET(direct, tp, total_retrans);
	e->srtt_us = GET(direct, tp, srtt_us);
	e->mdev_us = GET(direct, tp, mdev_us);
	if (bpf_core_field_exists(tp->bytes_sent))
		e->bytes_sent = GET(direct, tp, bytes_sent) - GET(direct, tp, bytes_retrans);
	else /* a FIN that was acknowledged is in bytes_acked */
		e->bytes_sent =
		    e->bytes_acked - (e->bytes_acked &&
				      GET(direct, tp, snd_una) == GET(direct, tp, write_seq) &&
				      e->state != TCP_ESTABLISHED && e->state != 8);
}

static __always_inline void closed(void *ctx, struct sock *sk, int state, bool direct)
{
	struct tcp_sock *tp = direct ? bpf_skc_to_tcp_sock(sk) : (struct tcp_sock *)sk;
	__u32 netns = read_netns(sk, direct);
	struct probe_event e;

	if (!tp || netns != own_netns)
		return;
	begin_event(&e, sk, PROBE_CLOSE, netns, direct);
	e.state = (__u8)state;
	if (GET(direct, sk, __sk_common.skc_flags) & SOCK_DONE)
		e.flags |= PROBE_FIN_RECEIVED;
	read_figures(&e, tp, direct);
	send(ctx, &e, false);
}

static __always_inline int state_changes(void *ctx, struct sock *sk, int from, int to, bool direct)
{
	struct probe_event e;
	__u32 netns;

	if (to != TCP_SYN_SENT && to != TCP_ESTABLISHED && to != TCP_CLOSE && to != TCP_LISTEN)
		return 0;
	if (direct ? BPF_CORE_READ_BITFIELD(sk, sk_protocol) != TCP : !is_protocol(sk, TCP))
		return 0;
	if (to == TCP_SYN_SENT) {
		remember(sk);
	} else if (to == TCP_ESTABLISHED) {
		established(ctx, sk, direct);
	} else if (to == TCP_CLOSE && from == TCP_SYN_SENT) {
		connect_ended(ctx, sk, direct);
	} else if (to == TCP_CLOSE && from != TCP_LISTEN) {
		if (from != TCP_CLOSE)
			closed(ctx, sk, from, direct);
	} else {
		netns = read_netns(sk, direct);
		if (netns != own_netns)
			return 0;
		begin_event(&e, sk, PROBE_LISTEN, netns, direct);
		e.state = (__u8)from;
		send(ctx, &e, true);
	}
	return 0;
}

/* TP_PROTO(const struct sock *sk, const int oldstate, const int newstate), Linux 4.16 */
SEC("tp_btf/inet_sock_set_state") int state_btf(__u64 *ctx)
{
	return state_changes(ctx, (struct sock *)ctx[0], (int)ctx[1], (int)ctx[2], true);
}

SEC("raw_tp/inet_sock_set_state") int state_raw(__u64 *ctx)
{
	return state_changes(ctx, (struct sock *)ctx[0], (int)ctx[1], (int)ctx[2], false);
}

/* ---- registers */

/* The two empty statements keep the compiler from making one load with a chosen address of two
 * loads: the verifier only takes constant offsets into registers. */
#define REGISTER(regs, arm64, x86)                                                                 \
	({                                                                                         \
		__u64 value_;                                                                      \
		if (registers == PROBE_REGISTERS_ARM64) {                                          \
			value_ = (regs)[arm64];                                                    \
			asm volatile("# arm64" : "+r"(value_));                                    \
		} else {                                                                           \
			value_ = (regs)[x86];                                                      \
			asm volatile("# x86_64" : "+r"(value_));                                   \
		}                                                                                  \
		value_;                                                                            \
	})

#define ARGUMENT_1(regs) REGISTER(regs, 0, 14) /* rdi */
#define ARGUMENT_2(regs) REGISTER(regs, 1, 13) /* rsi */
#define RETURNED(regs)   REGISTER(regs, 0, 10) /* rax */

/* void tcp_set_state(struct sock *sk, int state) */
SEC("kprobe") int state_kprobe(__u64 *ctx)
{
	struct sock *sk = (struct sock *)ARGUMENT_1(ctx);
	int to = (int)ARGUMENT_2(ctx);

	return state_changes(ctx, sk, BPF_CORE_READ(sk, __sk_common.skc_state), to, false);
}

/* int inet_csk_listen_start(struct sock *sk, ...): does not go through tcp_set_state() */
SEC("kprobe") int listen_kprobe(__u64 *ctx)
{
	struct sock *sk = (struct sock *)ARGUMENT_1(ctx);

	return state_changes(ctx, sk, TCP_CLOSE, TCP_LISTEN, false);
}

/* ---- connect() that fails at once */

/* Where it has failed the socket knows no other end any more: take it from the arguments. */
static __always_inline bool read_target(struct probe_tuple *t, const void *addr)
{
	struct {
		__u16 family;
		__be16 port;
		__be32 v4;
		__u8 v6[16];
	} a = {};

	bpf_probe_read_kernel(&a, 8, addr);
	if (a.family == INET6) {
		bpf_probe_read_kernel(a.v6, sizeof(a.v6), addr + 8);
		__builtin_memcpy(t->remote, a.v6, sizeof(a.v6));
	} else {
		map_v4(t->remote, a.v4);
	}
	t->remote_port = bpf_ntohs(a.port);
	return a.family == INET || a.family == INET6;
}

/* An IPv6 socket's connect to a v4-mapped address is one of IPv4 within: told there. */
static __always_inline bool is_mapped(const struct probe_tuple *t)
{
	const __u32 *w = (const __u32 *)t->remote;

	return !w[0] && !w[1] && w[2] == bpf_htonl(0xffff);
}

static __always_inline int call_failed(void *ctx, struct sock *sk, const void *addr, int result,
				       bool v6)
{
	int error = -result;
	struct probe_event e;

	/* a wrong argument is no attempt, and restarts are not for programs to see */
	if (error <= 0 || error > LAST_ERRNO || error == OUR_EINVAL || error == OUR_EAFNOSUPPORT ||
	    error == OUR_EINPROGRESS)
		return 0;
	begin_event(&e, sk, PROBE_CONNECT_FAILED, read_netns(sk, false), false);
	if (!read_target(&e.tuple, addr) || (v6 && is_mapped(&e.tuple)))
		return 0;
	e.error = error;
	e.flags |= PROBE_CLIENT;
	if (!BPF_CORE_READ((struct tcp_sock *)sk, segs_out))
		e.flags |= PROBE_NO_PACKET;
	set_current(&e);
	send(ctx, &e, true);
	return 0;
}

static __always_inline int call_begins(const __u64 *ctx)
{
	__u64 key = bpf_get_current_pid_tgid();
	struct call c = {ARGUMENT_1(ctx), ARGUMENT_2(ctx)};

	if (bpf_map_update_elem(&calls, &key, &c, BPF_ANY))
		count(PROBE_COUNT_MAP_FULL);
	return 0;
}

static __always_inline int call_returns(__u64 *ctx, bool v6)
{
	__u64 key = bpf_get_current_pid_tgid();
	struct call *found = bpf_map_lookup_elem(&calls, &key), c;

	if (!found)
		return 0;
	c = *found;
	bpf_map_delete_elem(&calls, &key);
	return call_failed(ctx, (struct sock *)c.sk, (const void *)c.addr, (int)RETURNED(ctx), v6);
}

/* int tcp_v4_connect(struct sock *sk, struct sockaddr *uaddr, int addr_len) */
SEC("fexit/tcp_v4_connect") int connect4_fexit(__u64 *ctx)
{
	return call_failed(ctx, (struct sock *)ctx[0], (const void *)ctx[1], (int)ctx[3], false);
}

SEC("fexit/tcp_v6_connect") int connect6_fexit(__u64 *ctx)
{
	return call_failed(ctx, (struct sock *)ctx[0], (const void *)ctx[1], (int)ctx[3], true);
}

SEC("kprobe") int connect4_enter(__u64 *ctx)
{
	return call_begins(ctx);
}

SEC("kretprobe") int connect4_return(__u64 *ctx)
{
	return call_returns(ctx, false);
}

SEC("kprobe") int connect6_enter(__u64 *ctx)
{
	return call_begins(ctx);
}

SEC("kretprobe") int connect6_return(__u64 *ctx)
{
	return call_returns(ctx, true);
}

/* ---- accept */

static __always_inline int accepted(void *ctx, struct sock *sk)
{
	struct probe_event e;

	if (!sk || !is_protocol(sk, TCP))
		return 0;
	begin_event(&e, sk, PROBE_ACCEPT, read_netns(sk, false), false);
	set_current(&e);
	send(ctx, &e, true);
	return 0;
}

/* struct sock *inet_csk_accept(struct sock *sk, int flags, int *err, bool kern) */
SEC("fexit/inet_csk_accept") int accept_fexit(__u64 *ctx)
{
	return accepted(ctx, (struct sock *)ctx[4]);
}

/* struct sock *inet_csk_accept(struct sock *sk, struct proto_accept_arg *arg), Linux 6.10 */
SEC("fexit/inet_csk_accept") int accept_arg_fexit(__u64 *ctx)
{
	if (!bpf_core_type_exists(struct proto_accept_arg))
		return 0; /* there ctx[2] is another argument */
	return accepted(ctx, (struct sock *)ctx[2]);
}

SEC("kretprobe") int accept_return(__u64 *ctx)
{
	return accepted(ctx, (struct sock *)RETURNED(ctx));
}

/* ---- counters */

SEC("raw_tp/tcp_retransmit_skb") int retransmit_raw(void *ctx)
{
	count(PROBE_COUNT_RETRANSMITS);
	return 0;
}

SEC("kprobe") int retransmit_kprobe(void *ctx)
{
	count(PROBE_COUNT_RETRANSMITS);
	return 0;
}

SEC("raw_tp/tcp_retransmit_synack") int synack_raw(void *ctx)
{
	count(PROBE_COUNT_SYNACKS);
	return 0;
}

SEC("kprobe") int synack_kprobe(void *ctx)
{
	count(PROBE_COUNT_SYNACKS);
	return 0;
}

SEC("raw_tp/tcp_send_reset") int reset_sent_raw(void *ctx)
{
	count(PROBE_COUNT_RESETS_SENT);
	return 0;
}

SEC("kprobe") int reset_sent4_kprobe(void *ctx)
{
	count(PROBE_COUNT_RESETS_SENT);
	return 0;
}

SEC("kprobe") int reset_sent6_kprobe(void *ctx)
{
	count(PROBE_COUNT_RESETS_SENT);
	return 0;
}

SEC("raw_tp/tcp_receive_reset") int reset_received_raw(void *ctx)
{
	count(PROBE_COUNT_RESETS_RECEIVED);
	return 0;
}

SEC("kprobe") int reset_received_kprobe(void *ctx)
{
	count(PROBE_COUNT_RESETS_RECEIVED);
	return 0;
}

/* ---- UDP: who sends and receives */

static __always_inline void count_datagram(const struct probe_tuple *t, struct sock *sk)
{
	struct probe_datagrams *d = bpf_map_lookup_elem(&datagrams, t), new = {};

	if (d) {
		d->packets++;
		/* a CPU's part of an entry that another one made is all zero */
		if (d->pid)
			return;
	}
	new.packets = d ? d->packets : 1;
	new.pid = bpf_get_current_pid_tgid() >> 32;
	new.cgroup_id = bpf_get_current_cgroup_id();
	bpf_get_current_comm(new.comm, sizeof(new.comm));
	new.other_netns = sk &&read_netns(sk, false) != own_netns;
	if (bpf_map_update_elem(&datagrams, t, &new, BPF_ANY))
		count(PROBE_COUNT_MAP_FULL);
}

/* The headers in front of a datagram that is sent, or was received. */
static __always_inline int datagram(struct sk_buff *skb, struct sock *sk, bool sent)
{
	unsigned char *head = BPF_CORE_READ(skb, head);
	unsigned char *network = head + BPF_CORE_READ(skb, network_header);
	unsigned char *transport = head + BPF_CORE_READ(skb, transport_header);
	struct probe_tuple t = {};
	__u8 from[16], to[16];
	__be16 ports[2] = {};
	__u8 ip[20] = {};

	bpf_probe_read_kernel(ip, sizeof(ip), network);
	bpf_probe_read_kernel(ports, sizeof(ports), transport);
	if (ip[0] >> 4 == 4 && ip[9] == UDP) {
		map_v4(from, *(__u32 *)(ip + 12));
		map_v4(to, *(__u32 *)(ip + 16));
		t.family = INET;
	} else if (ip[0] >> 4 == 6 && (ip[6] == UDP || !sent)) {
		bpf_probe_read_kernel(from, sizeof(from), network + 8);
		bpf_probe_read_kernel(to, sizeof(to), network + 24);
		t.family = INET6;
	} else {
		return 0; /* raw sockets and ICMP send by the same function */
	}
	t.protocol = UDP;
	__builtin_memcpy(t.local, sent ? from : to, sizeof(from));
	__builtin_memcpy(t.remote, sent ? to : from, sizeof(from));
	t.local_port = bpf_ntohs(ports[!sent]);
	t.remote_port = bpf_ntohs(ports[sent]);
	count_datagram(&t, sk);
	return 0;
}

/* int ip_send_skb(struct net *net, struct sk_buff *skb): after udp_sendmsg() has chosen the
 * addresses */
SEC("fentry/ip_send_skb") int udp_sent4_fentry(__u64 *ctx)
{
	struct sk_buff *skb = (struct sk_buff *)ctx[1];

	return datagram(skb, BPF_CORE_READ(skb, sk), true);
}

SEC("kprobe") int udp_sent4_kprobe(__u64 *ctx)
{
	struct sk_buff *skb = (struct sk_buff *)ARGUMENT_2(ctx);

	return datagram(skb, BPF_CORE_READ(skb, sk), true);
}

/* int ip6_send_skb(struct sk_buff *skb) */
SEC("fentry/ip6_send_skb") int udp_sent6_fentry(__u64 *ctx)
{
	struct sk_buff *skb = (struct sk_buff *)ctx[0];

	return datagram(skb, BPF_CORE_READ(skb, sk), true);
}

SEC("kprobe") int udp_sent6_kprobe(__u64 *ctx)
{
	struct sk_buff *skb = (struct sk_buff *)ARGUMENT_1(ctx);

	return datagram(skb, BPF_CORE_READ(skb, sk), true);
}

/* void skb_consume_udp(struct sock *sk, struct sk_buff *skb, int len): in recvmsg(), Linux 4.10 */
SEC("fentry/skb_consume_udp") int udp_received_fentry(__u64 *ctx)
{
	return datagram((struct sk_buff *)ctx[1], (struct sock *)ctx[0], false);
}

SEC("kprobe") int udp_received_kprobe(__u64 *ctx)
{
	return datagram((struct sk_buff *)ARGUMENT_2(ctx), (struct sock *)ARGUMENT_1(ctx), false);
}

/* ---- bind: UDP servers */

/* Only counted: a program may bind for each of its questions, and user space looks now and then. */
static __always_inline int binds(struct socket *socket, const void *addr)
{
	struct sock *sk = BPF_CORE_READ(socket, sk);
	__be16 port = 0;

	bpf_probe_read_kernel(&port, sizeof(port), addr + 2);
	if (port && sk && is_protocol(sk, UDP) && read_netns(sk, false) == own_netns)
		count(PROBE_COUNT_BINDS);
	return 0;
}

/* int inet_bind(struct socket *sock, struct sockaddr *uaddr, int addr_len), and inet6_bind() */
SEC("fentry/inet_bind") int bind4_fentry(__u64 *ctx)
{
	return binds((struct socket *)ctx[0], (const void *)ctx[1]);
}

SEC("fentry/inet6_bind") int bind6_fentry(__u64 *ctx)
{
	return binds((struct socket *)ctx[0], (const void *)ctx[1]);
}

SEC("kprobe") int bind4_kprobe(__u64 *ctx)
{
	return binds((struct socket *)ARGUMENT_1(ctx), (const void *)ARGUMENT_2(ctx));
}

SEC("kprobe") int bind6_kprobe(__u64 *ctx)
{
	return binds((struct socket *)ARGUMENT_1(ctx), (const void *)ARGUMENT_2(ctx));
}
