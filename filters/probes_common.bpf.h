/* probes_common.bpf.h - what the programs of filters/probes.bpf.c share: settings, maps, what a
 * socket says, events, registers. SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
 *
 * Only for filters/probes.bpf.c.
 */
#ifndef FILTERS_PROBES_COMMON_BPF_H
#define FILTERS_PROBES_COMMON_BPF_H

#include "filters/kernel_types.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "filters/probes.h"

enum {
	TCP_ESTABLISHED = 1,
	TCP_SYN_SENT = 2,
	TCP_SYN_RECV = 3,
	TCP_FIN_WAIT1 = 4,
	TCP_CLOSE = 7,
	TCP_CLOSE_WAIT = 8,
	TCP_LAST_ACK = 9,
	TCP_LISTEN = 10,
	SHUTDOWN_MASK = 3,
	PF_KTHREAD = 0x00200000,
	SOCK_DONE = 1 << 1, /* enum sock_flags: set by tcp_fin() alone */
	INET = 2,
	INET6 = 10,
	TCP = 6,
	UDP = 17,
	OUR_EINVAL = 22,
	OUR_EAFNOSUPPORT = 97,
	OUR_EINPROGRESS = 115,
	LAST_ERRNO = 133,
	HURRY_NS = 10000000,
	LATER_NS = 45000000,
};

/* Set before loading, and constant for the verifier: what is not used is not even checked. */
const volatile __u32 own_netns;
const volatile __u8 use_perf;     /* events is a perf buffer: no ring buffers before Linux 5.8 */
const volatile __u8 registers;    /* enum probe_registers */
const volatile __u8 tell_closed;  /* the states' program tells the last figures */
const volatile __u8 tell_closers; /* ... and who closes what was accepted */
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

/* Threads within tcp_v4_connect(), tcp_v6_connect() or __skb_recv_udp(), where only its begin has
 * the arguments. */
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

static __always_inline void copy_v6(__u8 out[16], const struct in6_addr *addr)
{
	__u64 *to = (__u64 *)out;
	const __u64 *from = (const __u64 *)&addr->in6_u.u6_addr32[0];

	to[0] = from[0];
	to[1] = from[1];
}

static __always_inline __u16 sport_of(struct sock *sk)
{
	return bpf_ntohs(BPF_CORE_READ((struct inet_sock *)sk, inet_sport));
}

static __always_inline void read_tuple(struct probe_tuple *t, struct sock *sk, __u16 sport,
				       bool direct)
{
	__u16 family = GET(direct, sk, __sk_common.skc_family);

	t->family = (__u8)family;
	t->protocol = TCP;
	t->unused = 0;
	t->local_port = sport;
	t->remote_port = bpf_ntohs(GET(direct, sk, __sk_common.skc_dport));
	if (family != INET6) {
		map_v4(t->local, GET(direct, sk, __sk_common.skc_rcv_saddr));
		map_v4(t->remote, GET(direct, sk, __sk_common.skc_daddr));
	} else if (direct) {
		copy_v6(t->local, &sk->__sk_common.skc_v6_rcv_saddr);
		copy_v6(t->remote, &sk->__sk_common.skc_v6_daddr);
	} else {
		BPF_CORE_READ_INTO(&t->local, sk, __sk_common.skc_v6_rcv_saddr);
		BPF_CORE_READ_INTO(&t->remote, sk, __sk_common.skc_v6_daddr);
	}
}

static __always_inline __u32 read_netns(struct sock *sk, bool direct)
{
	if (!bpf_core_field_exists(sk->__sk_common.skc_net.net))
		return own_netns; /* a kernel without namespaces */
	return direct ? sk->__sk_common.skc_net.net->ns.inum
		      : BPF_CORE_READ(sk, __sk_common.skc_net.net, ns.inum);
}

/* Room for an event of so many bytes: in the ring buffer itself or, for a perf buffer, `local`.
 * What is not set is anything. NULL: there is none; return no_room(). Else it is to be given to
 * there_is() first, and to send() at the end, on every way: so the verifier wants it. */
static __always_inline struct probe_event *room(struct probe_event *local, __u64 size)
{
	if (use_perf) {
		__builtin_memset(local, 0, size);
		return local;
	}
	return bpf_ringbuf_reserve(&events, size, 0);
}

static __always_inline int no_room(void)
{
	count(PROBE_COUNT_FULL);
	return 0;
}

/* Keeps the compiler from making addresses of it before it was compared with NULL. */
static __always_inline struct probe_event *there_is(struct probe_event *e)
{
	asm volatile("" : "+r"(e));
	return e;
}

static __always_inline void set_event(struct probe_event *e, __u8 kind, __u32 netns)
{
	e->time_ns = bpf_ktime_get_ns();
	e->kind = kind;
	e->flags = netns == own_netns ? 0 : PROBE_OTHER_NETNS;
	e->state = 0;
	e->unused = 0;
	e->error = 0;
	e->pid = 0;
	e->netns = netns;
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
static __always_inline __u64 wake_flags(__u64 time_ns, bool hurry)
{
	if (time_ns - woken_ns > (hurry ? HURRY_NS : LATER_NS)) {
		woken_ns = time_ns;
		return BPF_RB_FORCE_WAKEUP;
	}
	return bpf_ringbuf_query(&events, BPF_RB_AVAIL_DATA) < wake_bytes ? BPF_RB_NO_WAKEUP
									  : BPF_RB_FORCE_WAKEUP;
}

/* What room() gave. hurry: processes may be gone soon. */
static __always_inline void send(void *ctx, struct probe_event *e, __u64 size, bool hurry)
{
	if (!use_perf)
		bpf_ringbuf_submit(e, wake_flags(e->time_ns, hurry));
	else if (bpf_perf_event_output(ctx, &events, BPF_F_CURRENT_CPU, e, size))
		/* a perf buffer's own count comes only with the next event that has room */
		count(PROBE_COUNT_FULL);
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

#endif
