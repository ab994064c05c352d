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
#include "filters/probes_common.bpf.h"

char program_license[] SEC("license") = "Dual BSD/GPL";

/* ---- states: connect, established, closed, listen, and who closes */

static __always_inline void remember(struct sock *sk)
{
	__u64 key = (__u64)sk;
	struct process p;

	p.cgroup_id = bpf_get_current_cgroup_id();
	p.pid = bpf_get_current_pid_tgid() >> 32;
	p.unused = 0;
	bpf_get_current_comm(p.comm, sizeof(p.comm));
	if (bpf_map_update_elem(&connecting, &key, &p, BPF_ANY))
		count(PROBE_COUNT_MAP_FULL);
}

/* A socket that was accepted is a copy of the one that listened; one that connects has no backlog.
 * (listen(fd, 0) makes them look the same: then nothing is said of who has it.) */
static __always_inline bool is_accepted(struct sock *sk, bool direct)
{
	return GET(direct, sk, sk_max_ack_backlog) != 0;
}

static __always_inline int established(void *ctx, struct sock *sk, int from, __u32 netns,
				       bool direct)
{
	struct probe_event local, *e;
	struct process *p = NULL;
	__u64 key = (__u64)sk;

	/* not all that were in SYN_RECV are: two ends may connect to each other at the same time */
	if (from != TCP_SYN_RECV || !is_accepted(sk, direct))
		p = bpf_map_lookup_elem(&connecting, &key);
	if (!p && netns != own_netns)
		return 0;
	e = room(&local, PROBE_EVENT_SHORT);
	if (!e)
		return no_room();
	e = there_is(e);
	set_event(e, PROBE_ESTABLISHED, netns);
	read_tuple(&e->tuple, sk, GET(direct, sk, __sk_common.skc_num), direct);
	if (p) {
		e->flags |= PROBE_CLIENT;
		set_process(e, p);
	}
	send(ctx, e, PROBE_EVENT_SHORT, p != NULL);
	if (p)
		bpf_map_delete_elem(&connecting, &key);
	return 0;
}

static __always_inline int connect_failed(void *ctx, struct sock *sk, const struct process *p,
					  int error, bool sent, __u32 netns, bool direct)
{
	struct probe_event local, *e;

	/* without an errno: its process gave it up, or connect() itself returns it (call_failed) */
	if (error <= 0 && (!sent || netns != own_netns))
		return 0;
	e = room(&local, PROBE_EVENT_SHORT);
	if (!e)
		return no_room();
	e = there_is(e);
	set_event(e, error > 0 ? PROBE_CONNECT_FAILED : PROBE_CLOSE, netns);
	read_tuple(&e->tuple, sk, sport_of(sk), direct);
	e->flags |= PROBE_CLIENT | (sent ? 0 : PROBE_NO_PACKET);
	e->state = TCP_SYN_SENT;
	e->error = error > 0 ? error : 0;
	if (p)
		set_process(e, p);
	send(ctx, e, PROBE_EVENT_SHORT, true);
	return 0;
}

static __always_inline void connect_ended(void *ctx, struct sock *sk, __u32 netns, bool direct)
{
	__u32 sent = BPF_CORE_READ((struct tcp_sock *)sk, segs_out);
	__u64 key = (__u64)sk;
	struct process *p = bpf_map_lookup_elem(&connecting, &key);

	connect_failed(ctx, sk, p, GET(direct, sk, sk_err), sent != 0, netns, direct);
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
	e->unused2 = 0;
	if (bpf_core_field_exists(tp->bytes_sent))
		e->bytes_sent = GET(direct, tp, bytes_sent) - GET(direct, tp, bytes_retrans);
	else /* a FIN that was acknowledged is in bytes_acked */
		e->bytes_sent =
		    e->bytes_acked - (e->bytes_acked &&
				      GET(direct, tp, snd_una) == GET(direct, tp, write_seq) &&
				      e->state != TCP_ESTABLISHED && e->state != TCP_CLOSE_WAIT);
}

/* queued: what is still to be sent counts as sent. */
static __always_inline int closed(void *ctx, struct sock *sk, int state, bool queued, bool direct)
{
	struct tcp_sock *tp = direct ? bpf_skc_to_tcp_sock(sk) : (struct tcp_sock *)sk;
	struct probe_event local, *e;

	if (!tp)
		return 0;
	e = room(&local, sizeof(*e));
	if (!e)
		return no_room();
	e = there_is(e);
	set_event(e, PROBE_CLOSE, own_netns);
	read_tuple(&e->tuple, sk,
		   direct ? bpf_ntohs(tp->inet_conn.icsk_inet.inet_sport) : sport_of(sk), direct);
	e->state = (__u8)state;
	if (GET(direct, sk, __sk_common.skc_flags) & SOCK_DONE)
		e->flags |= PROBE_FIN_RECEIVED;
	read_figures(e, tp, direct);
	if (queued)
		e->bytes_sent += BPF_CORE_READ(tp, write_seq) - BPF_CORE_READ(tp, snd_nxt);
	send(ctx, e, sizeof(*e), false);
	return 0;
}

/* A process has the socket and it is this one: no softirq that interrupts it, which would wait for
 * its owner. Kernel threads (NFS, a worker that closes for another) are nobody. */
static __always_inline bool process_has(struct sock *sk, bool direct)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();

	return GET(direct, sk, sk_lock.owned) && !(BPF_CORE_READ(task, flags) & PF_KTHREAD) &&
	       bpf_get_current_pid_tgid() >> 32;
}

static __always_inline int tell_closer(void *ctx, struct sock *sk, int from, __u32 netns,
				       bool direct)
{
	struct probe_event local, *e = room(&local, PROBE_EVENT_SHORT);

	if (!e)
		return no_room();
	e = there_is(e);
	set_event(e, PROBE_ACCEPT, netns);
	read_tuple(&e->tuple, sk, sport_of(sk), direct);
	e->flags |= PROBE_AT_CLOSE;
	e->state = (__u8)from;
	set_current(e);
	send(ctx, e, PROBE_EVENT_SHORT, false);
	return 0;
}

/* tcp_close() and tcp_shutdown() make these states, in the process that calls them; tcp_close()
 * also CLOSED at once, of a connection that it resets. There others do so as well (an RST that
 * came), but only tcp_close() after both directions were shut. */
static __always_inline void who_closes(void *ctx, struct sock *sk, int from, int to, __u32 netns,
				       bool direct)
{
	if (to == TCP_CLOSE && ((from != TCP_ESTABLISHED && from != TCP_CLOSE_WAIT) ||
				BPF_CORE_READ_BITFIELD_PROBED(sk, sk_shutdown) != SHUTDOWN_MASK))
		return;
	if (is_accepted(sk, direct) && process_has(sk, direct))
		tell_closer(ctx, sk, from, netns, direct);
}

static __always_inline int listens(void *ctx, struct sock *sk, int from, bool direct)
{
	struct probe_event local, *e = room(&local, PROBE_EVENT_SHORT);

	if (!e)
		return no_room();
	e = there_is(e);
	set_event(e, PROBE_LISTEN, own_netns);
	read_tuple(&e->tuple, sk, sport_of(sk), direct);
	e->state = (__u8)from;
	send(ctx, e, PROBE_EVENT_SHORT, true);
	return 0;
}

/* Half of all calls are for states that say nothing new, and end here. */
static __always_inline bool state_matters(int to)
{
	__u32 wanted = 1 << TCP_ESTABLISHED | 1 << TCP_SYN_SENT | 1 << TCP_CLOSE | 1 << TCP_LISTEN;

	if (tell_closers)
		wanted |= 1 << TCP_FIN_WAIT1 | 1 << TCP_LAST_ACK;
	return wanted >> (to & 31) & 1;
}

static __always_inline int state_changes(void *ctx, struct sock *sk, int from, int to, bool direct)
{
	__u32 netns;

	if (!state_matters(to))
		return 0;
	if (direct ? BPF_CORE_READ_BITFIELD(sk, sk_protocol) != TCP : !is_protocol(sk, TCP))
		return 0;
	if (to == TCP_SYN_SENT) {
		remember(sk);
		return 0;
	}
	netns = read_netns(sk, direct);
	if (to == TCP_ESTABLISHED) {
		established(ctx, sk, from, netns, direct);
	} else if (to == TCP_CLOSE && from == TCP_SYN_SENT) {
		connect_ended(ctx, sk, netns, direct);
	} else if (to == TCP_LISTEN || from == TCP_LISTEN) {
		if (netns == own_netns)
			listens(ctx, sk, from, direct);
	} else if (from != TCP_CLOSE) {
		if (tell_closers)
			who_closes(ctx, sk, from, to, netns, direct);
		if (tell_closed && to == TCP_CLOSE && netns == own_netns)
			closed(ctx, sk, from, false, direct);
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
	struct probe_tuple target = {};
	int error = -result;
	struct probe_event local, *e;

	/* a wrong argument is no attempt, and restarts are not for programs to see */
	if (error <= 0 || error > LAST_ERRNO || error == OUR_EINVAL || error == OUR_EAFNOSUPPORT ||
	    error == OUR_EINPROGRESS)
		return 0;
	if (!read_target(&target, addr) || (v6 && is_mapped(&target)))
		return 0;
	e = room(&local, PROBE_EVENT_SHORT);
	if (!e)
		return no_room();
	e = there_is(e);
	set_event(e, PROBE_CONNECT_FAILED, read_netns(sk, false));
	read_tuple(&e->tuple, sk, sport_of(sk), false);
	__builtin_memcpy(e->tuple.remote, target.remote, sizeof(target.remote));
	e->tuple.remote_port = target.remote_port;
	e->error = error;
	e->flags |= PROBE_CLIENT;
	if (!BPF_CORE_READ((struct tcp_sock *)sk, segs_out))
		e->flags |= PROBE_NO_PACKET;
	set_current(e);
	send(ctx, e, PROBE_EVENT_SHORT, true);
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

/* Of this thread; false: its begin was not seen. */
static __always_inline bool call_ends(struct call *out)
{
	__u64 key = bpf_get_current_pid_tgid();
	struct call *found = bpf_map_lookup_elem(&calls, &key);

	if (!found)
		return false;
	*out = *found;
	bpf_map_delete_elem(&calls, &key);
	return true;
}

static __always_inline int call_returns(__u64 *ctx, bool v6)
{
	struct call c;

	if (!call_ends(&c))
		return 0;
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

/* ---- the last figures, where the states' program does not tell them */

/* Kernels that do not count bytes_sent (before Linux 4.19) would want the state before. */
static __always_inline bool was_connected(struct sock *sk)
{
	struct tcp_sock *tp = (struct tcp_sock *)sk;

	return bpf_core_field_exists(tp->bytes_sent) && BPF_CORE_READ(tp, rcv_nxt) &&
	       BPF_CORE_READ(sk, __sk_common.skc_dport) && read_netns(sk, false) == own_netns;
}

/* TP_PROTO(struct sock *sk), Linux 4.16: the socket is given back. An aborted one (SO_LINGER of 0
 * seconds) has forgotten its ports by then. */
SEC("raw_tp/tcp_destroy_sock") int destroy_raw(__u64 *ctx)
{
	struct sock *sk = (struct sock *)ctx[0];

	if (was_connected(sk))
		closed(ctx, sk, TCP_CLOSE, false, false);
	return 0;
}

/* Who closes what the other end has reset: the state is CLOSED already, and the process gives back
 * the socket (which it owns while it does so since Linux 4.20). */
static __always_inline int gives_back(void *ctx, struct sock *sk, bool direct)
{
	if (is_accepted(sk, direct) && process_has(sk, direct) &&
	    GET(direct, sk, __sk_common.skc_dport))
		tell_closer(ctx, sk, TCP_CLOSE, read_netns(sk, direct), direct);
	return 0;
}

SEC("tp_btf/tcp_destroy_sock") int closer_btf(__u64 *ctx)
{
	return gives_back(ctx, (struct sock *)ctx[0], true);
}

SEC("raw_tp/tcp_destroy_sock") int closer_raw(__u64 *ctx)
{
	return gives_back(ctx, (struct sock *)ctx[0], false);
}

/* void tcp_close(struct sock *sk, long timeout): in the process, whose bytes the kernel may still
 * have to send, unless the connection is at its end already. */
SEC("kprobe") int close_kprobe(__u64 *ctx)
{
	struct sock *sk = (struct sock *)ARGUMENT_1(ctx);
	int state = BPF_CORE_READ(sk, __sk_common.skc_state);
	bool queued = state == TCP_ESTABLISHED || state == TCP_CLOSE_WAIT;

	if (state != TCP_LISTEN && state != TCP_SYN_SENT && was_connected(sk))
		closed(ctx, sk, state, queued, false);
	return 0;
}

/* ---- accept */

static __always_inline int accepted(void *ctx, struct sock *sk)
{
	struct probe_event local, *e;

	if (!sk || !is_protocol(sk, TCP))
		return 0;
	e = room(&local, PROBE_EVENT_SHORT);
	if (!e)
		return no_room();
	e = there_is(e);
	set_event(e, PROBE_ACCEPT, read_netns(sk, false));
	read_tuple(&e->tuple, sk, sport_of(sk), false);
	set_current(e);
	send(ctx, e, PROBE_EVENT_SHORT, true);
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

/* The other end by the call's argument or, of a connected socket, its own. The local address may be
 * any: the kernel chooses it later. An IPv6 socket sends to v4-mapped addresses by udp_sendmsg().
 */
static __always_inline int udp_sends(struct sock *sk, const struct msghdr *msg, bool v6)
{
	const void *name = BPF_CORE_READ(msg, msg_name);
	struct probe_tuple t = {};

	if (!is_protocol(sk, UDP))
		return 0; /* UDP-Lite */
	if (name) {
		if (!read_target(&t, name))
			return 0;
	} else {
		t.remote_port = bpf_ntohs(BPF_CORE_READ(sk, __sk_common.skc_dport));
		if (v6)
			BPF_CORE_READ_INTO(&t.remote, sk, __sk_common.skc_v6_daddr);
		else
			map_v4(t.remote, BPF_CORE_READ(sk, __sk_common.skc_daddr));
	}
	t.local_port = sport_of(sk);
	if (!t.remote_port || !t.local_port || (v6 && is_mapped(&t)))
		return 0;
	if (v6)
		BPF_CORE_READ_INTO(&t.local, sk, __sk_common.skc_v6_rcv_saddr);
	else
		map_v4(t.local, BPF_CORE_READ((struct inet_sock *)sk, inet_saddr));
	t.family = v6 ? INET6 : INET;
	t.protocol = UDP;
	count_datagram(&t, sk);
	return 0;
}

/* int udp_sendmsg(struct sock *sk, struct msghdr *msg, size_t len), and udpv6_sendmsg() */
SEC("kprobe") int udp_sends4_kprobe(__u64 *ctx)
{
	return udp_sends((struct sock *)ARGUMENT_1(ctx), (const struct msghdr *)ARGUMENT_2(ctx),
			 false);
}

SEC("kprobe") int udp_sends6_kprobe(__u64 *ctx)
{
	return udp_sends((struct sock *)ARGUMENT_1(ctx), (const struct msghdr *)ARGUMENT_2(ctx),
			 true);
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

/* struct sk_buff *__skb_recv_udp(struct sock *sk, unsigned int flags, ...): what recvmsg() takes,
 * Linux 4.10 */
SEC("kprobe") int udp_takes_enter(__u64 *ctx)
{
	return call_begins(ctx);
}

SEC("kretprobe") int udp_takes_return(__u64 *ctx)
{
	struct sk_buff *skb = (struct sk_buff *)RETURNED(ctx);
	struct call c;

	/* an error's number is beyond all pointers */
	if (!call_ends(&c) || !skb || (__u64)skb >= (__u64)-4095)
		return 0;
	return datagram(skb, (struct sock *)c.sk, false);
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
