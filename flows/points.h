/* points.h - one cycle's points: flows and transactions with the same tags are added up.
 *
 * Decides which side is src, what is folded, and that no two points of a cycle share measurement,
 * tags and time (docs/points.md). Bounded; memory is taken at start.
 */
#ifndef FLOWS_POINTS_H
#define FLOWS_POINTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/addr.h"
#include "common/error.h"
#include "flows/flow_table.h"
#include "flows/local.h"
#include "flows/names.h"
#include "flows/point.h"

struct points_config {
	size_t max_netflow, max_transactions;
	bool fold_client_port, dns_domain;
	/* A table is full while something is added: calls points_end() before it returns. */
	void (*full)(void *ctx);
	void *full_ctx;
	const struct local *local; /* NULL: nothing is local. Borrowed, as are: */
	struct names *names;       /* NULL: no dst_domain */
	/* Who is an owner (flow_cold.owner, not 0)? Fills in pid, process_name and container_id,
	 * whose texts stay until points_end() returns. NULL: nobody is asked. */
	void (*owner)(void *ctx, uint32_t owner, struct point *out);
	void *owner_ctx;
	struct point_sink sink;
};

struct points;

struct points *points_new(const struct points_config *config) MUST_CHECK;
void points_free(struct points *p);

/* Other settings; only between cycles: right behind points_end(). */
void points_configure(struct points *p, bool fold_client_port, bool dns_domain);

/* Who took part in a transaction. */
struct ends {
	struct ip_addr client, server;
	uint16_t client_port, server_port;
	uint8_t proto;
};

/* The ends of a flow whose end `client` is the client. */
void ends_of_key(const struct flow_key *key, int client, struct ends *out);

/* The tags of a netflow point that are not in the flow's key. */
struct points_who {
	uint32_t owner; /* of src; 0: not known */
	uint32_t name;  /* of dst; NAMES_NONE */
};

/* Where a flow's counts will go: made first for several flows, so that memory comes while the
 * others are worked out. */
struct points_place {
	struct flow_key tags;
	struct points_who who;
	uint32_t hash;
	int src; /* end */
};

void points_find(const struct points *p, const struct flow *f, const struct flow_cold *c,
		 int client, struct points_place *place);

/* Second look: the record. */
void points_prefetch(const struct points *p, const struct points_place *place);

/* Add what a flow counted in this cycle: its connect error has a point of its own. */
void points_add_flow(struct points *p, const struct flow *f, const struct flow_cold *c,
		     const struct points_place *place);

/* One attempt of the end `client` to connect failed with this errno; the flow is no more, or there
 * never was one. */
void points_add_connect_error(struct points *p, const struct flow_key *key, int client,
			      const struct points_who *who, uint16_t error);

struct dns_result {
	const uint8_t *name; /* wire form */
	uint8_t name_len;    /* 0: the query had no question */
	uint16_t qtype;
	int32_t rcode;       /* -1: not answered */
	uint64_t latency_ns; /* where has_latency */
	bool has_latency;
	uint32_t retries;
};

void points_add_dns(struct points *p, const struct ends *ends, const struct dns_result *r);

struct http_result {
	const char *path;
	uint16_t path_len;
	uint16_t status; /* 0: no response */
	uint8_t method, version;
	bool truncated, has_latency;
	uint64_t latency_ns;
};

void points_add_http(struct points *p, const struct ends *ends, const struct http_result *r);

/* Would `flows` more flows and `transactions` more transactions still fit? */
bool points_room(const struct points *p, size_t flows, size_t transactions);

/* Give every point to the sink, stamped time_ns (or a little later where points differ in fields
 * only), and begin the next cycle. Returns the number of points. */
uint64_t points_end(struct points *p, uint64_t time_ns);

#endif
