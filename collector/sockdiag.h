/* sockdiag.h - the kernel's own list of TCP and UDP sockets: tuple, state, inode, tcp_info.
 *
 * By NETLINK_SOCK_DIAG (sock_diag(7), Linux 3.3), and where that is refused or not built in, by
 * /proc/net/{tcp,tcp6,udp,udp6}. Needs no privilege. A v4-mapped IPv6 address is IPv4.
 *
 * Threads: a struct sockdiag belongs to one thread; it looks into the network namespace of the
 * thread that made it, whoever uses it later.
 */
#ifndef COLLECTOR_SOCKDIAG_H
#define COLLECTOR_SOCKDIAG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/addr.h"
#include "common/error.h"

/* The kernel's states of a socket (include/net/tcp_states.h). UDP: SOCK_ESTABLISHED is connected,
 * SOCK_CLOSE is not. */
enum sock_state {
	SOCK_ESTABLISHED = 1,
	SOCK_SYN_SENT = 2,
	SOCK_SYN_RECV = 3,
	SOCK_FIN_WAIT1 = 4,
	SOCK_FIN_WAIT2 = 5,
	SOCK_TIME_WAIT = 6,
	SOCK_CLOSE = 7,
	SOCK_CLOSE_WAIT = 8,
	SOCK_LAST_ACK = 9,
	SOCK_LISTEN = 10,
	SOCK_CLOSING = 11,
	SOCK_NEW_SYN_RECV = 12,
};

enum {
	SOCK_STATES_ALL = 0x1fff,
	SOCK_STATES_LISTEN = 1 << SOCK_LISTEN,
	SOCK_STATES_UNCONNECTED = 1 << SOCK_CLOSE,
	/* connections that have a struct tcp_sock: no handshake on the server's side, no TIME_WAIT
	 */
	SOCK_STATES_CONNECTED = 0x0b36,
};

/* Out of struct tcp_info, as far as the kernel's reaches. A kernel that has no value gives 0 there.
 */
enum sock_tcp_has {
	SOCK_TCP_RTT = 1 << 0, /* rtt_us, rttvar_us: there was a sample */
	SOCK_TCP_RETRANS = 1 << 1,
	SOCK_TCP_BYTES = 1 << 2,     /* bytes_acked, bytes_received: Linux 4.1, RHEL 7's 3.10 */
	SOCK_TCP_SEGS = 1 << 3,      /* segs_out, segs_in: Linux 4.2, RHEL 7's 3.10 */
	SOCK_TCP_MIN_RTT = 1 << 4,   /* min_rtt_us: Linux 4.6; there was a sample */
	SOCK_TCP_DATA_SEGS = 1 << 5, /* data_segs_out, data_segs_in: Linux 4.6 */
	SOCK_TCP_DELIVERED = 1 << 6, /* delivered: Linux 4.18 */
	SOCK_TCP_SENT = 1 << 7,      /* bytes_sent, bytes_retrans: Linux 4.19 */
};

struct sock_tcp {
	uint32_t has;           /* enum sock_tcp_has bits */
	uint32_t rtt_us;        /* smoothed, RFC 6298's SRTT */
	uint32_t rttvar_us;     /* the kernel's mean deviation */
	uint32_t min_rtt_us;    /* of the last minutes, see net.ipv4.tcp_min_rtt_wlen */
	uint32_t unacked;       /* segments sent and not acknowledged yet */
	uint32_t total_retrans; /* segments sent again since the start, SYN and SYN-ACK too */
	/* sent and acknowledged; counts 1 for the SYN of who connected (up to Linux 6.18 at least),
	 * and 1 for a FIN that was acknowledged */
	uint64_t bytes_acked;
	uint64_t bytes_received; /* in order; the peer's FIN counts 1 */
	uint64_t bytes_sent;     /* payload, with what was sent again */
	uint64_t bytes_retrans;  /* of these: sent again */
	uint32_t segs_out, segs_in;
	uint32_t data_segs_out, data_segs_in; /* those with payload */
	uint32_t delivered; /* segments that the peer is known to have, by ACK or SACK; the SYN counts 1 */
};

struct sock_end {
	struct ip_addr addr;
	uint16_t port;
};

struct sock_entry {
	struct sock_end local, remote; /* remote is all zero (of the family) where there is none */
	uint8_t proto;                 /* 6 or 17 */
	uint8_t state;                 /* enum sock_state */
	bool ipv6;                     /* an AF_INET6 socket; bound to :: it may take IPv4 too */
	bool v6only;                   /* as far as the kernel says: Linux 4.1 */
	uint32_t uid;
	uint32_t inode;      /* 0: no file has it: not accepted yet, or closed by its process */
	struct sock_tcp tcp; /* where asked for */
};

struct sock_query {
	uint8_t proto;
	uint32_t states; /* a bit for each enum sock_state */
	bool tcp_info;
};

/* begin() comes first, and again when a dump was interrupted or lost messages and starts anew:
 * forget what it gave. It may be NULL for who is satisfied with a socket seen twice. */
struct sock_visitor {
	void (*begin)(void *ctx);
	void (*socket)(void *ctx, const struct sock_entry *s);
	void *ctx;
};

struct sockdiag;

/* proc: where /proc is, borrowed; NULL: "/proc". pid: a process of this namespace, whose
 * /proc/PID/net is read where netlink is refused; 0: /proc/self. Netlink refused is no error. 0 or
 * -errno. */
int sockdiag_new(struct sockdiag **out, const char *proc, uint32_t pid) MUST_CHECK;
void sockdiag_free(struct sockdiag *d);

/* Every socket of the protocol in these states, IPv4 and IPv6; returns when all was told. The
 * kernel does not stop the world for a dump: a socket may be told twice or, opened meanwhile, not
 * at all. 0, or -errno (-EINTR: interrupted by changes again and again, what was told is
 * incomplete). */
int sockdiag_dump(struct sockdiag *d, const struct sock_query *q,
		  const struct sock_visitor *v) MUST_CHECK;

/* As sockdiag_dump(), but only those of these ports; 0: of any. By netlink the kernel itself leaves
 * the others out. */
int sockdiag_dump_ports(struct sockdiag *d, const struct sock_query *q, uint16_t local,
			uint16_t remote, const struct sock_visitor *v) MUST_CHECK;

/* The one socket that a packet from remote to local is delivered to: the connection, else who
 * listens or is bound there (look at *out's ends). remote all zero: the latter at once. 1: found;
 * 0: none; or -errno (-EOPNOTSUPP: only dumps here). About 5 us; 200 ms, once, where netlink does
 * not answer. */
int sockdiag_lookup(struct sockdiag *d, uint8_t proto, const struct sock_end *local,
		    const struct sock_end *remote, struct sock_entry *out) MUST_CHECK;

/* The same of TCP, with tcp_info. */
int sockdiag_lookup_tcp(struct sockdiag *d, const struct sock_end *local,
			const struct sock_end *remote, struct sock_entry *out) MUST_CHECK;

/* Does this protocol come by netlink, or out of /proc? */
bool sockdiag_by_netlink(const struct sockdiag *d, uint8_t proto);

/* Netlink no more, only /proc from now on: what a refusal does. For tests. */
void sockdiag_refuse(struct sockdiag *d);

/* Times a dump had to begin again, since the start. */
uint64_t sockdiag_repeats(const struct sockdiag *d);

bool sock_addr_is_any(const struct ip_addr *a); /* 0.0.0.0 or :: */

/* One line of /proc/net/{tcp,udp}{,6}; false for its head line and for what is none. For tests too.
 */
bool sockdiag_parse_line(const char *line, uint8_t proto, bool ipv6, struct sock_entry *out);

/* One SOCK_DIAG_BY_FAMILY message: header, struct inet_diag_msg, attributes; any bytes. */
bool sockdiag_parse_message(const void *msg, size_t len, uint8_t proto, struct sock_entry *out);

#endif
