/* kernel.h - what the kernel itself has counted, given to the flow table: the other way in, beside
 * frames (engine.h).
 *
 * A narrowed flow is a TCP connection of which the packet ring hands over only the segments that
 * make a difference: SYN, FIN, RST, and those that may belong to an HTTP head or to DNS
 * (filter_config.narrow). Its handshake and its end are counted from these, exactly as those of any
 * other flow; its bytes are the kernel's, or what sequence numbers tell: a FIN says to the byte how
 * much its end has sent. All counts of a narrowed flow only grow: of two sources that know the same
 * total the one that knows more wins, so none counts twice.
 *
 * What may be wrong of it is bounded. A segment is believed up to 64 MiB beyond what the kernel has
 * told; a FIN or RST that is further ahead, only when the flow ends and no figures came behind it.
 * The byte that may be a FIN (KERNEL_FIN_MAYBE) counts when that is known. A socket that was
 * aborted (SO_LINGER, connect to AF_UNSPEC) has forgotten its figures, and tells nothing: its RST's
 * numbers say what it had sent and received.
 *
 * Time:    as frames, ns since the epoch. A sample is applied when the frames from before it have
 *          been counted: the caller keeps it back for that long (collector/kernel_queue.h).
 * Threads: the engine's.
 */
#ifndef FLOWS_KERNEL_H
#define FLOWS_KERNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/addr.h"
#include "common/error.h"
#include "flows/packet.h"

struct engine;

enum kernel_sample_has {
	KERNEL_SENT = 1 << 0,        /* sent */
	KERNEL_RECEIVED = 1 << 1,    /* received */
	KERNEL_SEGMENTS = 1 << 2,    /* segments_out, segments_in */
	KERNEL_RTT = 1 << 3,         /* rtt_us, rtt_var_us: there was a sample */
	KERNEL_RETRANSMITS = 1 << 4, /* retransmits */
	KERNEL_FIN = 1 << 5,         /* the peer's FIN was received and counts 1 in `received` */
	KERNEL_FIN_MAYBE = 1 << 6,   /* ... or not, that is not known */
	KERNEL_CLOSED = 1 << 7,      /* the socket is no more: its last figures */
	KERNEL_ESTABLISHED = 1 << 8, /* the handshake is complete */
	KERNEL_OLD = 1 << 9,    /* was open before the start: may make a flow that is not known */
	KERNEL_OWNER = 1 << 10, /* owner */
	KERNEL_ERROR = 1 << 11, /* connect_error */
	KERNEL_NO_PACKET = 1 << 12, /* with KERNEL_ERROR: failed before a SYN was sent */
	KERNEL_IN_FLIGHT = 1 << 13, /* more was sent than `sent` has: it is not acknowledged yet */
};

/* One socket's own figures, each since its connection began. */
struct kernel_sample {
	struct flow_key key;
	uint8_t end;       /* the socket's own end of the key */
	uint32_t has;      /* enum kernel_sample_has bits */
	uint64_t time_ns;  /* when the kernel gave them */
	uint64_t sent;     /* payload bytes handed to the network, each position once */
	uint64_t received; /* payload bytes received in order */
	uint32_t segments_out, segments_in;
	uint32_t rtt_us, rtt_var_us; /* smoothed, and its mean deviation: as RFC 6298's */
	uint32_t retransmits;        /* segments sent again, SYNs too */
	uint64_t established_ns;     /* when the handshake was complete; 0: not known */
	uint32_t owner;              /* the collector's number of the process, not 0 */
	uint16_t connect_error;      /* errno of a connect that failed */
};

/* Count what is new in it. False: the flow is not known, nor made (see KERNEL_OLD), and nothing was
 * counted. A sample that is older than the flow's connection belongs to one before it on the same
 * ports and counts nothing (true). */
bool engine_kernel_sample(struct engine *e, const struct kernel_sample *s);

/* The packet ring has dropped frames; s is of a socket of this host, and all frames from before it
 * have been counted, or were dropped. Of a flow that is counted by packets the bytes in front of
 * the socket's figures that no packet has told of are counted now: each position once, whatever
 * comes later. A connection without a SYN counts from its first silent moment on. Flows that are
 * not known, narrowed, left out or over count nothing, nor does what is more than `most`: the bytes
 * that the dropped frames can have had (a stray figure would else count for gigabytes). Exact where
 * less than 3 GiB at the end of what was seen were dropped. Not for a host that translates
 * addresses, as for narrowing. Returns the bytes counted (engine_stats bytes_repaired). */
uint64_t engine_repair(struct engine *e, const struct kernel_sample *s, uint64_t most);

/* Of local connections that end from now on by a FIN of either end, what was jumped over counts
 * when their flow ends (tcp_linger_ns later): no list has their socket any more. most: as above, of
 * all that was dropped since the start; 0: no connection's. */
void engine_set_dropped(struct engine *e, uint64_t most);

/* TCP connections with an end in one of these networks are narrowed from now on; n 0: none. Copied.
 * The ring's filter must be told the same. Flows that are in the table and have such an end are
 * narrowed too. 0 or -errno. */
int engine_set_narrow(struct engine *e, const struct ip_net *nets, size_t n) MUST_CHECK;

/* Datagrams that the kernel's filter has counted in place of handing them over: so many more of end
 * `end` since the last call, the last of them at last_ns, seen on this interface. Makes the flow
 * where there is none. Counts nothing (and counts them as duplicates) where the flow's packets of
 * that end are counted on another interface. */
struct kernel_datagrams {
	struct flow_key key; /* proto UDP */
	uint8_t end;         /* the sender's */
	uint16_t iface;
	uint64_t packets, bytes; /* bytes: payload */
	uint64_t first_ns, last_ns;
};

void engine_kernel_datagrams(struct engine *e, const struct kernel_datagrams *d);

/* The errno of each connect of this host that fails is told by a sample (KERNEL_ERROR): an attempt
 * that ended by an RST waits for it until its flow ends (tcp_linger_ns), and only then is counted
 * without. The errno of an attempt that was counted already, or whose flow is no more, counts
 * nothing; that of one that sent no packet counts in any case. */
void engine_set_connect_errors(struct engine *e, bool come);

/* Since engine_new(). */
struct kernel_stats {
	uint64_t samples;   /* applied */
	uint64_t unmatched; /* of no flow */
	uint64_t stale;     /* of a connection before */
	uint64_t narrowed;  /* flows that were narrowed */
	uint64_t datagrams; /* given to engine_kernel_datagrams(); in packets_seen, too */
};

const struct kernel_stats *engine_kernel_stats(const struct engine *e);

#endif
