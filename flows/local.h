/* local.h - which addresses are this host's own (or, for a capture file, the local networks).
 *
 * Owned by one thread; memory is taken at start.
 */
#ifndef FLOWS_LOCAL_H
#define FLOWS_LOCAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/addr.h"
#include "common/error.h"
#include "common/index.h"
#include "common/siphash.h"

enum { LOCAL_NETS_MOST = 4096 };

struct local {
	struct siphash_key key;
	struct index index; /* of single addresses */
	struct ip_addr *hosts;
	size_t nhosts;
	struct ip_net *nets; /* proper networks, looked at one by one */
	size_t nnets;
};

/* 0 or -errno. */
int local_init(struct local *l) MUST_CHECK;
void local_destroy(struct local *l);

/* Copied. 0, or FL_EFULL: more than LOCAL_NETS_MOST; then the set is as before. */
int local_set(struct local *l, const struct ip_net *nets, size_t n) MUST_CHECK;

/* Any at all? Without one every side is foreign. */
static inline bool local_any(const struct local *l)
{
	return l->nhosts || l->nnets;
}

bool local_has(const struct local *l, const struct ip_addr *a);

/* Who asks, for names.h: a host asks over one of its addresses and connects from another, so all of
 * them are one client, ::. out may be a. */
static inline void names_client(const struct local *l, const struct ip_addr *a, struct ip_addr *out)
{
	static const struct ip_addr host;

	*out = l && local_any(l) && local_has(l, a) ? host : *a;
}

#endif
