/* names.h - which name an address was asked for: dst_domain.
 *
 * Learnt from DNS answers that a client received: (client, address) -> queried name, the question's
 * and not the last CNAME's. Kept for the answer's TTL, at least NAMES_TTL_MIN_S and at most
 * NAMES_TTL_MAX_S. Of several names of one address the one learnt last that is alive counts.
 * Whoever feeds it makes sure that an answer belongs to a query of this client (dns_pending.h
 * does): anything else could be forged.
 *
 * Bounded: the least recently used name goes, but never one that is held. A flow holds the name it
 * began with, so that its points keep it beyond the TTL.
 *
 * Time:    packet time, ns. Nothing here reads a clock.
 * Threads: a table belongs to one thread. No locks, no allocation after names_new().
 */
#ifndef FLOWS_NAMES_H
#define FLOWS_NAMES_H

#include <stddef.h>
#include <stdint.h>

#include "common/addr.h"
#include "common/error.h"

enum {
	NAMES_TTL_MIN_S = 60,
	NAMES_TTL_MAX_S = 86400,
	NAMES_PER_ADDRESS = 8, /* of one client; the oldest goes, held or not it is found no more */
};

#define NAMES_NONE UINT32_MAX

struct names;

/* At most max_names (1 to 2^29) at a time. NULL with errno set. */
struct names *names_new(size_t max_names) MUST_CHECK;
void names_free(struct names *n);

/* The client was told at time_ns that `name` (wire form, lower case, with the root label; 1 to
 * DNS_NAME_MAX bytes) has this address. The unspecified address (how blocking resolvers say
 * "nowhere") is not learnt, nor is the root's name. */
void names_learn(struct names *n, const struct ip_addr *client, const struct ip_addr *addr,
		 const uint8_t *name, size_t name_len, uint32_t ttl_s, uint64_t time_ns);

/* The id of the newest name that is alive at time_ns, or NAMES_NONE. Good until the next
 * names_learn(), longer only where it is held. Counts as a use. */
uint32_t names_lookup(struct names *n, const struct ip_addr *client, const struct ip_addr *addr,
		      uint64_t time_ns);

/* Wire form of an id's name; *len its bytes. NULL for NAMES_NONE. Borrowed as the id is. */
const uint8_t *names_wire(const struct names *n, uint32_t id, size_t *len);

/* Keep the id until it was released as often as it was held. NAMES_NONE is ignored by both. */
void names_hold(struct names *n, uint32_t id);
void names_release(struct names *n, uint32_t id);

struct names_stats {
	uint64_t learnt;  /* new ones; not those learnt again */
	uint64_t evicted; /* to make room */
	uint64_t full;    /* not learnt, because every name is held */
	uint64_t names;   /* now */
};

const struct names_stats *names_stats(const struct names *n);

#endif
