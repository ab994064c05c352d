/* sockets.h - the socket source of the kernel's figures (kernel_source_sockets): sock_diag's dumps
 * of live TCP connections, and its destroy multicast for those that are gone. No eBPF, no
 * privilege.
 *
 * What each kernel has: rtt and retransmits since 3.3; bytes since 4.1 (and in RHEL 7's 3.10),
 * without what was sent and not acknowledged; all that was sent since 4.19; the multicast
 * since 4.3.
 *
 * Threads: belongs to the thread of the engine; sees the network namespace of the thread that
 * opened it.
 */
#ifndef COLLECTOR_SOCKETS_H
#define COLLECTOR_SOCKETS_H

#include <stdbool.h>
#include <stdint.h>

#include "collector/kernel_source.h"
#include "collector/sockdiag.h"

/* What the kernel's byte counters count beside payload, as the proof's own connection showed it. */
struct sockets_quirks {
	uint8_t acked_syn;    /* 1: bytes_acked counts the SYN of who connected */
	uint8_t acked_fin;    /* 1: bytes_acked counts a FIN that was acknowledged */
	uint8_t received_fin; /* 1: bytes_received counts the peer's FIN */
};

/* A sample of one socket out of a dump, or (gone: state SOCK_CLOSE) out of the multicast.
 * connected: this end did, or that is not known; it matters where the kernel has no bytes_sent.
 * There the sent bytes of a gone socket may count its FIN, which nothing in the message tells: the
 * flow table does, where it saw the FIN. time_ns is left 0. */
void sockets_sample(const struct sock_entry *s, const struct sockets_quirks *q, bool connected,
		    struct kernel_sample *out);

/* For tests: sources that are opened from now on take the kernel for an older one. NULL: no more.
 */
struct sockets_pretend {
	uint32_t has;    /* enum sock_tcp_has bits that tcp_info has */
	uint32_t groups; /* of the multicast; 0: as before Linux 4.3, no message ever comes */
	uint32_t buffer; /* bytes, for what waits to be read */
};

void sockets_pretend(const struct sockets_pretend *p);

#endif
