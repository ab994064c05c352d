/* syn_watch.h - tells of connections as they begin, without waiting for the packet ring.
 *
 * The ring hands packets over in blocks, up to RING_RETIRE_MS late: too late to ask which process a
 * connection of a few milliseconds belongs to. This second socket gets nothing but the SYNs that
 * this host sends, at once. It is only a hint: what it loses under load costs a process name, never
 * a count.
 *
 * Threads: belongs to one thread.
 */
#ifndef COLLECTOR_SYN_WATCH_H
#define COLLECTOR_SYN_WATCH_H

#include "common/error.h"
#include "flows/packet.h"

/* A socket to poll for reading, or -errno (CAP_NET_RAW is needed). Close it with close(2). */
int syn_watch_open(void) MUST_CHECK;

/* Read what is there, at most a bounded number; end: the sender's. */
void syn_watch_read(int fd, void (*syn)(void *ctx, const struct flow_key *key, int end), void *ctx);

#endif
