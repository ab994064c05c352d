/* dns_pending.c - see dns_pending.h. Pending queries are listed in the order of their first
 * sending, so the time-out looks only at the head. */
#include "flows/dns_pending.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/index.h"
#include "common/memory.h"

#define NONE UINT32_MAX

enum { ANSWER_ADDRESSES_MAX = 64 };

struct query {
	struct flow_key key;
	uint64_t time_ns; /* first sending */
	uint32_t hash, prev, next;
	uint32_t retries;
	uint16_t id, qtype;
	uint8_t client; /* end */
	uint8_t name_len;
	uint8_t name[DNS_NAME_MAX];
};

struct dns_pending {
	struct dns_pending_config config;
	struct dns_pending_stats stats;
	struct index index;
	struct query *queries;
	uint32_t oldest, newest, free, unused_from;
	int client;
	struct dns_message msg; /* scratch */
};

struct dns_pending *dns_pending_new(const struct dns_pending_config *config)
{
	struct dns_pending *d = calloc(1, sizeof(*d));

	if (!d)
		return NULL;
	d->config = *config;
	d->oldest = d->newest = d->free = NONE;
	d->queries = mem_map(config->max_pending, sizeof(*d->queries));
	if (!d->queries || index_init(&d->index, config->max_pending)) {
		dns_pending_free(d);
		errno = ENOMEM;
		return NULL;
	}
	return d;
}

void dns_pending_free(struct dns_pending *d)
{
	if (!d)
		return;
	index_destroy(&d->index);
	mem_unmap(d->queries, d->config.max_pending, sizeof(*d->queries));
	free(d);
}

void dns_pending_set_timeout(struct dns_pending *d, uint64_t timeout_ns)
{
	d->config.timeout_ns = timeout_ns;
}

const struct dns_pending_stats *dns_pending_stats(const struct dns_pending *d)
{
	return &d->stats;
}

int dns_pending_client(const struct dns_pending *d)
{
	return d->client;
}

static void query_remove(struct dns_pending *d, uint32_t n)
{
	struct query *q = &d->queries[n];

	index_remove(&d->index, q->hash, n);
	if (q->prev != NONE)
		d->queries[q->prev].next = q->next;
	else
		d->oldest = q->next;
	if (q->next != NONE)
		d->queries[q->next].prev = q->prev;
	else
		d->newest = q->prev;
	q->next = d->free;
	d->free = n;
	d->stats.pending--;
}

/* Write the transaction and forget the query. */
static void query_done(struct dns_pending *d, uint32_t n, int32_t rcode, uint64_t answer_ns)
{
	struct query *q = &d->queries[n];
	struct dns_result r = {.name = q->name,
			       .name_len = q->name_len,
			       .qtype = q->qtype,
			       .rcode = rcode,
			       .retries = q->retries};
	struct ends ends;

	if (rcode >= 0 && answer_ns >= q->time_ns) {
		r.has_latency = true;
		r.latency_ns = answer_ns - q->time_ns;
	}
	if (rcode < 0)
		d->stats.unanswered++;
	ends_of_key(&q->key, q->client, &ends);
	points_add_dns(d->config.points, &ends, &r);
	query_remove(d, n);
}

static uint32_t query_find(const struct dns_pending *d, const struct flow_key *key, int client,
			   uint32_t hash, const struct dns_message *m)
{
	uint32_t at, n, found = NONE;

	INDEX_FIND(&d->index, hash, at, n)
	{
		const struct query *q = &d->queries[n];

		if (q->id != m->id || q->client != client || !flow_key_equal(&q->key, key))
			continue;
		/* Where one of the two has no readable question, the oldest query of the id. */
		if (m->response && (!m->has_question || !q->name_len)) {
			if (found == NONE || q->time_ns < d->queries[found].time_ns)
				found = n;
			continue;
		}
		if (q->qtype == m->qtype && q->name_len == m->qname_len &&
		    !memcmp(q->name, m->qname, q->name_len))
			return n;
	}
	return found;
}

static void query_add(struct dns_pending *d, const struct flow_key *key, int client, uint32_t hash,
		      uint64_t time_ns)
{
	const struct dns_message *m = &d->msg;
	struct query *q;
	uint32_t n;

	if (d->stats.pending >= d->config.max_pending) {
		d->stats.evicted++;
		query_done(d, d->oldest, -1, 0);
	}
	n = d->free;
	if (n != NONE)
		d->free = d->queries[n].next;
	else
		n = d->unused_from++;
	q = &d->queries[n];
	q->key = *key;
	q->time_ns = time_ns;
	q->hash = hash;
	q->retries = 0;
	q->id = m->id;
	q->qtype = m->qtype;
	q->client = (uint8_t)client;
	q->name_len = m->qname_len;
	memcpy(q->name, m->qname, m->qname_len);
	q->prev = d->newest;
	q->next = NONE;
	if (d->newest != NONE)
		d->queries[d->newest].next = n;
	else
		d->oldest = n;
	d->newest = n;
	index_insert(&d->index, hash, n);
	d->stats.pending++;
}

/* The answer d->msg belongs to query n: its addresses have the name that was asked for. Only where
 * the answer repeats the question; one that was matched by its id alone is too easily forged. */
static void answer_learn(struct dns_pending *d, uint32_t n, const uint8_t *msg, size_t len,
			 uint64_t time_ns)
{
	struct dns_address found[ANSWER_ADDRESSES_MAX];
	const struct query *q = &d->queries[n];
	struct ends ends;
	size_t i, count;

	if (!d->config.names || d->msg.rcode || !d->msg.has_question || !q->name_len)
		return;
	count = dns_answer_addresses(msg, len, found, ANSWER_ADDRESSES_MAX);
	if (!count)
		return;
	ends_of_key(&q->key, q->client, &ends);
	names_client(d->config.local, &ends.client, &ends.client);
	for (i = 0; i < count; i++)
		names_learn(d->config.names, &ends.client, &found[i].addr, q->name, q->name_len,
			    found[i].ttl_s, time_ns);
}

bool dns_pending_message(struct dns_pending *d, const struct flow_key *key, int end,
			 uint64_t flow_hash, const uint8_t *msg, size_t len, bool whole,
			 uint64_t time_ns)
{
	struct dns_message *m = &d->msg;
	uint32_t hash, n;
	int client, err;

	/* A message cut inside its question still has ends, an id and an rcode. */
	err = dns_message_read(m, msg, len, whole);
	if (err && !(err == FL_ETRUNCATED && m->question_cut)) {
		d->stats.malformed++;
		return false;
	}
	d->stats.messages++;
	client = m->response ? 1 - end : end;
	d->client = client;
	if (m->opcode) {
		d->stats.not_query++;
		return true;
	}
	hash = (uint32_t)(flow_hash >> 32) ^ (uint32_t)m->id * 0x9e3779b1U;
	n = query_find(d, key, client, hash, m);
	if (n != NONE &&
	    (int64_t)(time_ns - d->queries[n].time_ns) > (int64_t)d->config.timeout_ns) {
		query_done(d, n, -1, 0);
		n = NONE;
		if (m->response)
			return true; /* too late: the transaction has been written */
	}
	if (!m->response) {
		if (n == NONE)
			query_add(d, key, client, hash, time_ns);
		else
			d->queries[n].retries++;
	} else if (n == NONE) {
		d->stats.orphans++;
	} else {
		answer_learn(d, n, msg, len, time_ns);
		query_done(d, n, m->rcode, time_ns);
	}
	return true;
}

void dns_pending_expire(struct dns_pending *d, uint64_t now_ns, bool all)
{
	while (d->oldest != NONE && (all || (int64_t)(now_ns - d->queries[d->oldest].time_ns) >
						(int64_t)d->config.timeout_ns))
		query_done(d, d->oldest, -1, 0);
}
