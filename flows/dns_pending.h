/* dns_pending.h - DNS queries that wait for their answers.
 *
 * A transaction is a query and its answer with the same ends, id, name and type; the same query
 * again before the answer is a retry. Time is the messages' own; bounded: the oldest goes, counted.
 */
#ifndef FLOWS_DNS_PENDING_H
#define FLOWS_DNS_PENDING_H

#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "flows/dns.h"
#include "flows/names.h"
#include "flows/points.h"

struct dns_pending_config {
	size_t max_pending;
	uint64_t timeout_ns;
	struct points *points; /* borrowed, as are: */
	const struct local *local;
	struct names *names; /* borrowed; learns the addresses of matched answers. NULL: off */
};

struct dns_pending_stats {
	uint64_t messages, malformed, not_query;
	uint64_t unanswered, orphans, evicted, pending;
};

struct dns_pending;

struct dns_pending *dns_pending_new(const struct dns_pending_config *config) MUST_CHECK;
void dns_pending_free(struct dns_pending *d);

/* Another time-out, also for the queries that wait. */
void dns_pending_set_timeout(struct dns_pending *d, uint64_t timeout_ns);

/* Take a message of the flow with this keyed hash. `key` and `end` (the sender) tell the ends. len
 * bytes were captured; whole: no byte is missing. Returns whether it was a DNS message at all. */
bool dns_pending_message(struct dns_pending *d, const struct flow_key *key, int end,
			 uint64_t flow_hash, const uint8_t *msg, size_t len, bool whole,
			 uint64_t time_ns);

/* Which end asked, as the last message taken by dns_pending_message() shows: 0 or 1. */
int dns_pending_client(const struct dns_pending *d);

/* Queries whose time-out has passed at now_ns are written as unanswered; with `all`, every query.
 */
void dns_pending_expire(struct dns_pending *d, uint64_t now_ns, bool all);

const struct dns_pending_stats *dns_pending_stats(const struct dns_pending *d);

#endif
