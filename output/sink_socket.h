/* sink_socket.h - lines to a unix socket, stream or datagram (Telegraf's socket_listener), or in
 * UDP datagrams (InfluxDB's UDP listener).
 *
 * Sent again is always the whole parcel, byte for byte, so that points overwrite themselves.
 *
 * Stream:   connected when there is something to send, and again when it broke. SINK_DELIVERED: the
 *           reader has read every byte out of the socket (what it then does with it, a stream does
 *           not tell); else, if it goes away, or takes nothing for timeout_ns, or there is none:
 *           SINK_RETRY. What is written in one go are whole lines, so that a connection that is
 *           given up ends between two lines, unless one alone has more than 15 KiB.
 * Unix datagrams: SINK_DELIVERED: they are in the reader's queue; what it has not read when it ends
 *           is lost without a trace. No reader, or one whose queue is full for timeout_ns:
 *           SINK_RETRY.
 * UDP:      SINK_DELIVERED: they left this host as far as it knows; nothing tells what becomes of
 *           them. Where an ICMP error comes back while the parcel is sent (always so on the same
 *           host), the name's next address is tried, and SINK_RETRY at the end; one that comes
 * later is told with the next parcel, whose verdict it does not change. The name is looked up by
 *           the first send(), after errors and every five minutes; that may take as long as
 *           the resolver wants (resolv.conf(5)). At most 32 datagrams leave in a millisecond.
 *
 * A datagram holds whole lines, as many as fit; a line that does not fit into one is lost, counted
 * and told. The kernel's own limit (EMSGSIZE) makes them smaller.
 */
#ifndef OUTPUT_SINK_SOCKET_H
#define OUTPUT_SINK_SOCKET_H

#include "output/sink.h"

struct sink_unix_config {
	const char *path; /* "@name": abstract, unix(7) */
	bool datagram;
	size_t datagram_bytes; /* at most; of datagram */
	uint64_t timeout_ns;   /* without any progress; 0: for ever */
};

struct sink_udp_config {
	const char *host;      /* name or address */
	const char *port;      /* or the name of a service */
	size_t datagram_bytes; /* at most */
};

/* Nothing is connected yet: the peer need not be there. All is copied. 0, or a negative error with
 * why. */
int sink_unix_open(struct sink **sink, const struct sink_unix_config *c,
		   char why[SINK_WHY_SIZE]) MUST_CHECK;
int sink_udp_open(struct sink **sink, const struct sink_udp_config *c,
		  char why[SINK_WHY_SIZE]) MUST_CHECK;

#endif
