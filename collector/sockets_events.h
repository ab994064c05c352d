/* sockets_events.h - the last figures of every TCP socket that is gone: sock_diag's destroy
 * multicast.
 *
 * Linux 4.3 (net/core/sock_diag.c), for the sockets of the caller's network namespace; needs no
 * privilege. Older kernels let bind a socket to the groups, and no message ever comes: prove it.
 *
 * Threads: belongs to one.
 */
#ifndef COLLECTOR_SOCKETS_EVENTS_H
#define COLLECTOR_SOCKETS_EVENTS_H

#include <stddef.h>
#include <stdint.h>

#include "collector/sockdiag.h"
#include "common/error.h"

enum {
	/* bits of the groups SKNLGRP_INET_TCP_DESTROY and SKNLGRP_INET6_TCP_DESTROY */
	SOCKETS_GROUPS = 1 << 0 | 1 << 2,
	/* for SO_RCVBUF: taken by the kernel only as far as messages wait, 1,280 bytes each */
	SOCKETS_BUFFER = 4 << 20,
	SOCKETS_BUFFER_MOST = 64 << 20,
};

struct sockets_events_stats {
	uint64_t messages;
	uint64_t lost; /* messages that had no room; before Linux 4.12 times that this happened */
	uint64_t
	    overruns; /* times that it happened: each has made the buffer larger, up to the most */
	uint32_t buffer; /* bytes, as the kernel counts them */
};

struct sockets_events;

/* groups: SOCKETS_GROUPS; buffer: SOCKETS_BUFFER. 0 or -errno. */
int sockets_events_open(struct sockets_events **out, uint32_t groups, uint32_t buffer) MUST_CHECK;
void sockets_events_close(struct sockets_events *e);

int sockets_events_fd(const struct sockets_events *e);

/* Tell of those that wait, `most` or few more, without waiting. 1: there may be more; 0; or -errno:
 * of no use any more. What was lost is in the stats, and no error. */
int sockets_events_read(struct sockets_events *e, unsigned int most,
			void (*gone)(void *ctx, const struct sock_entry *s), void *ctx) MUST_CHECK;

/* Behind a reading: for how many ms at most the descriptor may be left alone (pace.h): what comes
 * meanwhile has room, also where it comes much faster than it did. 0: not at all. */
unsigned int sockets_events_rest_ms(const struct sockets_events *e);

void sockets_events_stats(struct sockets_events *e, struct sockets_events_stats *out);

#endif
