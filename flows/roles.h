/* roles.h - which end of a flow is the client.
 *
 * By what was seen, strongest first: the handshake (SYN, SYN-ACK); an address and port that accepted a
 * connection before; who asked and who answered (DNS, HTTP); multicast; then by port. Never by who
 * spoke first.
 */
#ifndef FLOWS_ROLES_H
#define FLOWS_ROLES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "common/index.h"
#include "common/siphash.h"
#include "flows/flow_table.h"

enum { ROLES_LISTENERS = 16384 };

struct roles {
	struct siphash_key key;
	struct index index;
	struct listener {
		struct ip_addr addr;
		uint16_t port;
		uint8_t proto;
	} *listeners;
	uint32_t nlisteners;
};

int roles_init(struct roles *r) MUST_CHECK;
void roles_destroy(struct roles *r);

/* This address and port accept connections. When the table is full it is begun anew. */
void roles_learn(struct roles *r, const struct flow_key *key, int end);

/* The client's end, 0 or 1. */
int roles_client(const struct roles *r, const struct flow *f);

/* The client's end by ports and addresses alone. */
int roles_client_by_port(const struct flow_key *key);

#endif
