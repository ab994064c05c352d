/* roles.h - which end of a flow is the client.
 *
 * By what was seen, strongest first: the handshake (SYN, SYN-ACK); an address and port that listens
 * (the kernel says so) or accepted a connection before; who asked and who answered (DNS, HTTP);
 * multicast; then by port. Never by who spoke first.
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
#include "flows/local.h"

enum { ROLES_LISTENERS = 16384 };

struct listener {
	struct ip_addr addr; /* ::: every address of this host */
	uint16_t port;
	uint8_t proto;
};

/* A set of listeners. */
struct listeners {
	struct index index;
	struct listener *all;
	uint32_t n;
};

struct roles {
	struct siphash_key key;
	struct listeners learnt; /* from handshakes */
	struct listeners told;   /* by the kernel, of this host */
	const struct local *local;
};

/* local is borrowed. 0 or -errno. */
int roles_init(struct roles *r, const struct local *local) MUST_CHECK;
void roles_destroy(struct roles *r);

/* The kernel's list of listening sockets, anew: begin, then one by one. What does not fit is left
 * out. */
void roles_told_begin(struct roles *r);
void roles_told_add(struct roles *r, const struct listener *l);

/* This address and port accept connections. When the table is full it is begun anew. */
void roles_learn(struct roles *r, const struct flow_key *key, int end);

/* The client's end, 0 or 1. */
int roles_client(const struct roles *r, const struct flow *f);

/* The client's end by ports and addresses alone. */
int roles_client_by_port(const struct flow_key *key);

#endif
