/* sockets_proof.h - does the kernel tell what it should? A connection of one's own on loopback
 * shows it.
 *
 * Takes some ms, and 300 ms more where no message comes of the closed ones.
 */
#ifndef COLLECTOR_SOCKETS_PROOF_H
#define COLLECTOR_SOCKETS_PROOF_H

#include <stdbool.h>
#include <stdint.h>

#include "collector/kernel_source.h"
#include "collector/sockdiag.h"
#include "collector/sockets.h"
#include "collector/sockets_events.h"
#include "common/error.h"

struct sockets_proof {
	bool counters; /* dumps told its bytes, to the byte */
	bool close;    /* messages of its end came, and told them */
	struct sockets_quirks quirks;
	uint32_t has;  /* enum sock_tcp_has bits that tcp_info had, without SOCK_TCP_RTT */
	bool all_gone; /* nothing will be told of these any more: */
	struct sock_end client, server;
	struct sock_end refused; /* the client's end of an attempt at the server's port */
	char counters_why[KERNEL_WHY_SIZE], close_why[KERNEL_WHY_SIZE];
};

/* has: the most that tcp_info may have. e: NULL: none. 0; or negative where there can be no such
 * connection, or no dump, and in why[] a sentence. */
int sockets_prove(struct sockdiag *d, struct sockets_events *e, uint32_t has,
		  struct sockets_proof *out, char why[KERNEL_WHY_SIZE]) MUST_CHECK;

/* Is it one of the proof's own? */
bool sockets_proof_owns(const struct sockets_proof *p, const struct sock_entry *s);

#endif
