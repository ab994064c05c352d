/* owners_find.h - the sockets of tuples, in all network namespaces, at the smaller of two costs.
 *
 * A few tuples are asked for one by one; many are matched against one dump of all sockets. Which is
 * cheaper is measured as it goes.
 *
 * Threads: a struct finder belongs to one thread.
 */
#ifndef COLLECTOR_OWNERS_FIND_H
#define COLLECTOR_OWNERS_FIND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "collector/procfs.h"
#include "collector/sockdiag.h"
#include "common/error.h"

enum { FINDER_BATCH = 4096 }; /* most tuples at a time */

struct finder_want {
	struct sock_end local, remote;
	uint8_t proto;
	bool settled; /* finder_find() passes over it */
	/* results */
	bool exact;           /* a connection of just these ends exists */
	bool ambiguous;       /* several sockets listen there alike (SO_REUSEPORT) */
	uint8_t bound_rank;   /* 0: nobody; 1..3: the better, the more exactly bound */
	uint32_t inode;       /* of the connection; 0: none, or nobody holds it (yet, any more) */
	uint32_t bound_inode; /* of who listens or is bound at the local end */
	uint32_t uid;         /* of either */
};

struct finder_stats {
	uint64_t lookups, dumps;
	uint64_t namespaces;         /* looked into now, our own included */
	uint64_t namespaces_denied;  /* that could not be entered, in the last refresh */
	int namespaces_error;        /* why: -errno */
	uint64_t lookup_ns, dump_ns; /* the measured cost of one, as CPU time */
	uint64_t lists, listed;      /* of finder_listeners(): read, and wants that it settled */
};

struct finder;

int finder_new(struct finder **out, const char *proc, uint32_t max_netns) MUST_CHECK;
void finder_free(struct finder *f);

/* Open the namespaces that are new, close those that no process is in any more. */
void finder_refresh(struct finder *f, const struct procfs_netns *list, size_t n);

/* Before finder_find(): who listens at the local ends of these, of our own namespace, by one list
 * for all that ask within a tenth of a second, where they are so many that it is cheaper than to
 * ask for each. Those with one listener are settled: bound_* is filled in. What they say of the
 * connection itself is nothing. */
void finder_listeners(struct finder *f, struct finder_want **wants, size_t n, uint64_t now_ns);

/* Fill in the results of n <= FINDER_BATCH wants. */
void finder_find(struct finder *f, struct finder_want *wants, size_t n);

/* Who listens at the local end of an accepted connection (fills in bound_*). */
void finder_find_bound(struct finder *f, struct finder_want *w);

/* Dump all namespaces, one after the other; own: our own one, too. 0, or the first error of our
 * own.
 */
int finder_dump(struct finder *f, const struct sock_query *q, const struct sock_visitor *v,
		bool own) MUST_CHECK;

const struct finder_stats *finder_stats(struct finder *f);

#endif
