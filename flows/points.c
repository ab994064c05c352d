/* points.c - see points.h. Everything is kept in the order of its first sight, so that the same
 * packets give the same lines in the same order, whatever the hash key. */
#include "flows/points.h"

#include <errno.h>
#include <stdlib.h>

#include "common/index.h"
#include "common/memory.h"
#include "common/siphash.h"
#include "flows/dns.h"
#include "flows/http.h"
#include "flows/packet.h"

/* Tags of a point: addresses of src and dst in words 0..3, then ports, protocol and these bits. */
#define TAG_INCOMING   (1ULL << 40)
#define TAG_SRC_FOLDED (1ULL << 41)
#define TAG_DST_FOLDED (1ULL << 42)
#define TAG_KIND(k)    ((uint64_t)(k) << 48)

enum { TEXT_PER_TRANSACTION = 64 };

struct net_sum {
	struct flow_key tags;
	struct points_who who;
	uint64_t bytes_read, bytes_written, packets_read, packets_written;
	uint64_t rtt_sum, rtt_var_sum, connect_ns;
	uint32_t rtt_samples, connects;
	uint32_t retransmits, retransmits_peer, established, closed, syn_retransmits,
	    connect_failed, resets;
	uint16_t error;   /* of connect: a point of its own */
	uint16_t ordinal; /* its distance in ns from the point without */
	bool knows_peer;  /* retransmits_peer */
};

struct tagset {
	struct flow_key tags;
	uint32_t points; /* so far in this cycle: the next one's distance in ns */
};

struct transaction_sum {
	struct flow_key tags;
	uint64_t count, answered, latency_sum, latency_max, retries;
	uint64_t text_at;
	int32_t code; /* rcode or status */
	uint32_t ordinal;
	uint16_t text_len; /* name (wire form) or path */
	uint16_t qtype;
	uint8_t method, version;
	bool truncated, has_question;
};

struct points {
	struct points_config config;
	struct siphash_key key;
	struct net_sum *net;
	struct index net_index;
	uint32_t nnet;
	struct transaction_sum *trans;
	struct index trans_index;
	uint32_t ntrans;
	uint32_t last_trans; /* the last one that was counted; may be none any more */
	struct tagset *tagsets;
	struct index tagset_index;
	uint32_t ntagsets;
	char *text;
	size_t text_used, text_size;
	uint64_t last_stamp_ns;
	/* What goes to the sink next, with the names in them. */
	struct point block[POINT_BLOCK];
	char names[POINT_BLOCK * (DNS_NAME_TEXT_MAX + 1)];
};

struct points *points_new(const struct points_config *config)
{
	struct points *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->config = *config;
	p->text_size = config->max_transactions * TEXT_PER_TRANSACTION + 65536;
	siphash_key_random(&p->key);
	p->net = mem_map(config->max_netflow, sizeof(*p->net));
	p->trans = mem_map(config->max_transactions, sizeof(*p->trans));
	p->tagsets = mem_map(config->max_transactions, sizeof(*p->tagsets));
	p->text = mem_map(p->text_size, 1);
	if (!p->net || !p->trans || !p->tagsets || !p->text ||
	    index_init(&p->net_index, config->max_netflow) ||
	    index_init(&p->trans_index, config->max_transactions) ||
	    index_init(&p->tagset_index, config->max_transactions)) {
		points_free(p);
		errno = ENOMEM;
		return NULL;
	}
	return p;
}

void points_free(struct points *p)
{
	if (!p)
		return;
	index_destroy(&p->net_index);
	index_destroy(&p->trans_index);
	index_destroy(&p->tagset_index);
	mem_unmap(p->net, p->config.max_netflow, sizeof(*p->net));
	mem_unmap(p->trans, p->config.max_transactions, sizeof(*p->trans));
	mem_unmap(p->tagsets, p->config.max_transactions, sizeof(*p->tagsets));
	mem_unmap(p->text, p->text_size, 1);
	free(p);
}

void points_configure(struct points *p, bool fold_client_port, bool dns_domain)
{
	p->config.fold_client_port = fold_client_port;
	p->config.dns_domain = dns_domain;
}

/* --- which side is src
 * ------------------------------------------------------------------------------ */

void ends_of_key(const struct flow_key *key, int client, struct ends *out)
{
	flow_key_addr(key, client, &out->client);
	flow_key_addr(key, 1 - client, &out->server);
	out->client_port = flow_key_port(key, client);
	out->server_port = flow_key_port(key, 1 - client);
	out->proto = flow_key_proto(key);
}

/* The tags of a point about these ends. */
static void make_tags(const struct points *p, const struct ends *e, enum point_kind kind,
		      struct flow_key *tags)
{
	bool folded = p->config.fold_client_port, incoming;
	uint16_t client_port = folded ? 0 : e->client_port;

	incoming = p->config.local && local_any(p->config.local) &&
		   local_has(p->config.local, &e->server) &&
		   !local_has(p->config.local, &e->client);
	memcpy(&tags->w[incoming ? 2 : 0], e->client.b, 16);
	memcpy(&tags->w[incoming ? 0 : 2], e->server.b, 16);
	tags->w[4] = (uint64_t)(incoming ? e->server_port : client_port) |
		     (uint64_t)(incoming ? client_port : e->server_port) << 16 |
		     (uint64_t)e->proto << 32 | TAG_KIND(kind) | (incoming ? TAG_INCOMING : 0);
	if (folded)
		tags->w[4] |= incoming ? TAG_DST_FOLDED : TAG_SRC_FOLDED;
}

static uint64_t tags_hash(const struct points *p, const struct flow_key *t)
{
	uint64_t w[2];

	if (t->w[0] || t->w[2])
		return siphash_words(&p->key, t->w, 5);
	w[0] = (t->w[1] & 0xffffffff00000000ULL) | t->w[3] >> 32;
	w[1] = t->w[4];
	return siphash_words(&p->key, w, 2);
}

/* --- netflow
 * ---------------------------------------------------------------------------------------- */

static bool same_tags(const struct net_sum *s, const struct points_place *place)
{
	return flow_key_equal(&s->tags, &place->tags) && s->who.owner == place->who.owner &&
	       s->who.name == place->who.name;
}

static struct net_sum *net_get(struct points *p, const struct points_place *place, uint16_t error)
{
	struct net_sum *s;
	uint32_t at, n, ordinal = error ? 1 : 0;

	/* the hash is the tags': all errors of a connection's tags are found here */
	INDEX_FIND(&p->net_index, place->hash, at, n)
	{
		if (!same_tags(&p->net[n], place))
			continue;
		if (p->net[n].error == error)
			return &p->net[n];
		ordinal += error && p->net[n].error;
	}
	if (p->nnet == p->config.max_netflow)
		p->config.full(p->config.full_ctx);
	n = p->nnet++;
	s = &p->net[n];
	memset(s, 0, sizeof(*s));
	s->tags = place->tags;
	s->who = place->who;
	s->error = error;
	s->ordinal = (uint16_t)ordinal;
	index_insert(&p->net_index, place->hash, n);
	if (p->config.names)
		names_hold(p->config.names, s->who.name); /* the flow may end before the cycle */
	return s;
}

static void find_tags(const struct points *p, const struct flow_key *key, int client,
		      struct points_place *place)
{
	struct ends ends;

	ends_of_key(key, client, &ends);
	make_tags(p, &ends, POINT_NETFLOW, &place->tags);
	place->src = place->tags.w[4] & TAG_INCOMING ? 1 - client : client;
}

static void find_hash(const struct points *p, struct points_place *place)
{
	uint64_t w[2];

	w[0] = tags_hash(p, &place->tags);
	w[1] = (uint64_t)place->who.owner << 32 | place->who.name;
	if (place->who.owner || place->who.name != NAMES_NONE)
		w[0] = siphash_words(&p->key, w, 2);
	place->hash = (uint32_t)w[0];
}

void points_find(const struct points *p, const struct flow *f, const struct flow_cold *c,
		 int client, struct points_place *place)
{
	find_tags(p, &f->key, client, place);
	place->who.owner = c->owner[place->src];
	place->who.name = c->name != NAMES_NONE && c->name_end == place->src ? c->name : NAMES_NONE;
	find_hash(p, place);
	index_prefetch(&p->net_index, place->hash);
}

void points_prefetch(const struct points *p, const struct points_place *place)
{
	const char *record = (const char *)&p->net[p->nnet];
	uint32_t at, n;

	INDEX_FIND(&p->net_index, place->hash, at, n)
	{
		record = (const char *)&p->net[n];
		break;
	}
	__builtin_prefetch(record, 1);
	__builtin_prefetch(record + 64, 1);
	__builtin_prefetch(record + 128, 1);
}

void points_add_connect_error(struct points *p, const struct flow_key *key, int client,
			      const struct points_who *who, uint16_t error)
{
	struct points_place place;

	find_tags(p, key, client, &place);
	place.who.owner = place.src == client ? who->owner : 0;
	place.who.name = place.src == client ? who->name : NAMES_NONE;
	find_hash(p, &place);
	net_get(p, &place, error)->connect_failed++;
}

/* An errno may come a cycle later than the packets of its attempt. */
static bool counts_nothing(const struct flow *f, const struct flow_cold *c)
{
	return !(f->packets[0] | f->packets[1] | c->segments[0] | c->segments[1] |
		 c->connect_failed);
}

void points_add_flow(struct points *p, const struct flow *f, const struct flow_cold *c,
		     const struct points_place *place)
{
	struct net_sum *s;
	int src = place->src, dst = 1 - src;

	if (f->state & FLOW_TCP && c->connect_error) {
		net_get(p, place, c->connect_error)->connect_failed++;
		if (counts_nothing(f, c))
			return;
	}
	s = net_get(p, place, 0);
	s->bytes_written += f->bytes[src];
	s->bytes_read += f->bytes[dst];
	s->packets_written += f->packets[src];
	s->packets_read += f->packets[dst];
	if (!(f->state & FLOW_TCP))
		return;
	s->packets_written += c->segments[src];
	s->packets_read += c->segments[dst];
	s->knows_peer = s->knows_peer || !(f->state & FLOW_NARROW) || c->kernel[dst];
	s->retransmits += c->retransmits[src];
	s->retransmits_peer += c->retransmits[dst];
	s->established += c->established;
	s->closed += c->closed;
	s->connect_failed += c->connect_failed;
	s->resets += c->resets;
	s->syn_retransmits += c->syn_retransmits[src];
	s->connects += c->connects[src];
	s->connect_ns += c->connect_ns[src];
	if (c->rtt[src].samples) {
		s->rtt_samples += c->rtt[src].samples;
		s->rtt_sum += (uint64_t)(c->rtt[src].srtt8_us + 4) / 8 * c->rtt[src].samples;
		s->rtt_var_sum += (uint64_t)(c->rtt[src].var4_us + 2) / 4 * c->rtt[src].samples;
	}
}

/* --- transactions
 * ----------------------------------------------------------------------------------- */

static uint32_t next_ordinal(struct points *p, const struct flow_key *tags, uint32_t hash)
{
	uint32_t at, n;

	INDEX_FIND(&p->tagset_index, hash, at, n)
	if (flow_key_equal(&p->tagsets[n].tags, tags))
		return p->tagsets[n].points++;
	n = p->ntagsets++;
	p->tagsets[n].tags = *tags;
	p->tagsets[n].points = 1;
	index_insert(&p->tagset_index, hash, n);
	return 0;
}

static bool transaction_is(const struct points *p, const struct transaction_sum *s,
			   const struct transaction_sum *want, const void *text)
{
	return flow_key_equal(&s->tags, &want->tags) && s->code == want->code &&
	       s->qtype == want->qtype && s->method == want->method &&
	       s->version == want->version && s->truncated == want->truncated &&
	       s->has_question == want->has_question && s->text_len == want->text_len &&
	       !memcmp(p->text + s->text_at, text, want->text_len);
}

/* The sum that has want's tags, key fields and text; made where there is none. Often it is that of
 * the transaction before: then nothing is hashed. */
static struct transaction_sum *transaction_get(struct points *p, const struct transaction_sum *want,
					       const void *text)
{
	struct transaction_sum *s = &p->trans[p->last_trans];
	uint64_t tags, w[4];
	uint32_t hash, at, n;

	if (p->last_trans < p->ntrans && transaction_is(p, s, want, text))
		return s;
	tags = tags_hash(p, &want->tags);
	w[0] = tags;
	w[1] = siphash_1_3(&p->key, text, want->text_len);
	w[2] = (uint64_t)(uint32_t)want->code << 32 | (uint64_t)want->qtype << 16 |
	       (uint64_t)want->method << 8 | want->version;
	w[3] = (uint64_t)want->truncated << 1 | want->has_question;
	hash = (uint32_t)siphash_words(&p->key, w, 4);
	INDEX_FIND(&p->trans_index, hash, at, n)
	{
		p->last_trans = n;
		if (transaction_is(p, &p->trans[n], want, text))
			return &p->trans[n];
	}
	if (p->ntrans == p->config.max_transactions || want->text_len > p->text_size - p->text_used)
		p->config.full(p->config.full_ctx);
	n = p->ntrans++;
	p->last_trans = n;
	s = &p->trans[n];
	*s = *want;
	s->text_at = p->text_used;
	memcpy(p->text + p->text_used, text, want->text_len);
	p->text_used += want->text_len;
	s->ordinal = next_ordinal(p, &want->tags, (uint32_t)tags);
	index_insert(&p->trans_index, hash, n);
	return s;
}

static void transaction_add(struct transaction_sum *s, bool has_latency, uint64_t latency_ns)
{
	s->count++;
	if (!has_latency)
		return;
	s->answered++;
	s->latency_sum += latency_ns;
	if (latency_ns > s->latency_max)
		s->latency_max = latency_ns;
}

void points_add_dns(struct points *p, const struct ends *ends, const struct dns_result *r)
{
	struct transaction_sum want = {.code = r->rcode, .qtype = r->qtype}, *s;

	want.text_len = p->config.dns_domain ? r->name_len : 0;
	want.has_question = r->name_len > 0;
	make_tags(p, ends, POINT_DNSFLOW, &want.tags);
	s = transaction_get(p, &want, r->name);
	s->retries += r->retries;
	transaction_add(s, r->has_latency, r->latency_ns);
}

void points_add_http(struct points *p, const struct ends *ends, const struct http_result *r)
{
	struct transaction_sum want = {.code = r->status,
				       .method = r->method,
				       .version = r->version,
				       .truncated = r->truncated,
				       .text_len = r->path_len};

	make_tags(p, ends, POINT_HTTPFLOW, &want.tags);
	transaction_add(transaction_get(p, &want, r->path), r->has_latency, r->latency_ns);
}

bool points_room(const struct points *p, size_t flows, size_t transactions)
{
	return p->nnet + flows <= p->config.max_netflow &&
	       p->ntrans + transactions <= p->config.max_transactions &&
	       p->text_used + transactions * 1024 <= p->text_size;
}

/* --- the end of a cycle
 * ----------------------------------------------------------------------------- */

static void point_tags(struct point *out, const struct flow_key *t)
{
	memcpy(out->src.addr.b, &t->w[0], 16);
	memcpy(out->dst.addr.b, &t->w[2], 16);
	out->src_geo = out->dst_geo = NULL;
	out->src.port = (uint16_t)t->w[4];
	out->dst.port = (uint16_t)(t->w[4] >> 16);
	out->src.port_folded = t->w[4] & TAG_SRC_FOLDED;
	out->dst.port_folded = t->w[4] & TAG_DST_FOLDED;
	out->transport = flow_key_proto(t);
	out->incoming = t->w[4] & TAG_INCOMING;
}

static void net_point(const struct net_sum *s, struct point *out)
{
	struct point_netflow *n = &out->u.netflow;

	out->kind = POINT_NETFLOW;
	out->has = 0;
	point_tags(out, &s->tags);
	n->bytes_read = s->bytes_read;
	n->bytes_written = s->bytes_written;
	n->packets_read = s->packets_read;
	n->packets_written = s->packets_written;
	if (out->transport != PROTO_TCP)
		return;
	out->has |= POINT_HAS_TCP | (s->knows_peer ? POINT_HAS_RETRANSMITS_PEER : 0) |
		    (s->error ? POINT_HAS_CONNECT_ERROR : 0);
	n->connect_error = s->error;
	n->retransmits = s->retransmits;
	n->retransmits_peer = s->retransmits_peer;
	n->tcp_established = s->established;
	n->tcp_closed = s->closed;
	n->tcp_syn_retransmits = s->syn_retransmits;
	n->tcp_connect_failed = s->connect_failed;
	n->tcp_resets = s->resets;
	if (s->rtt_samples) {
		out->has |= POINT_HAS_RTT;
		n->rtt_samples = s->rtt_samples;
		n->rtt_sum_us = s->rtt_sum;
		n->rtt_var_sum_us = s->rtt_var_sum;
		n->rtt_us = s->rtt_sum / s->rtt_samples;
		n->rtt_var_us = s->rtt_var_sum / s->rtt_samples;
	}
	if (s->connects) {
		out->has |= POINT_HAS_CONNECT_LATENCY;
		n->connects = s->connects;
		n->connect_sum_ns = s->connect_ns;
		n->connect_latency_us = s->connect_ns / s->connects / 1000;
	}
}

/* The name of a dnsflow point goes to buf, which has DNS_NAME_TEXT_MAX + 1 bytes. Returns what is
 * behind it. */
static char *transaction_point(const struct points *p, const struct transaction_sum *s,
			       struct point *out, char *buf)
{
	uint64_t mean = s->answered ? s->latency_sum / s->answered : 0;
	const char *text = p->text + s->text_at;

	out->kind = (enum point_kind)(s->tags.w[4] >> 48);
	out->has = s->answered ? POINT_HAS_LATENCY : 0;
	out->absent = 0;
	point_tags(out, &s->tags);
	if (out->kind == POINT_DNSFLOW) {
		struct point_dnsflow *d = &out->u.dnsflow;

		d->count = s->count;
		d->retries = s->retries;
		d->latency_ns = mean;
		d->latency_max_ns = s->latency_max;
		d->answered = s->answered;
		d->latency_sum_ns = s->latency_sum;
		d->rcode = s->code;
		d->query_type = s->qtype;
		if (s->has_question)
			out->has |= POINT_HAS_QUERY_TYPE;
		if (p->config.dns_domain) {
			out->has |= POINT_HAS_DOMAIN;
			d->domain.s = buf;
			d->domain.len = 0;
			if (s->text_len)
				d->domain.len = (uint32_t)dns_name_format((const uint8_t *)text,
									  s->text_len, buf);
			buf += d->domain.len;
		}
	} else {
		struct point_httpflow *h = &out->u.httpflow;

		h->count = s->count;
		h->latency_ns = mean;
		h->latency_max_ns = s->latency_max;
		h->answered = s->answered;
		h->latency_sum_ns = s->latency_sum;
		h->method.s = http_method_names[s->method];
		h->method.len = (uint32_t)strlen(h->method.s);
		h->path.s = text;
		h->path.len = s->text_len;
		if (!s->text_len)
			out->absent = POINT_TAG_BIT(POINT_TAG_PATH); /* http.paths: off */
		h->truncated = s->truncated;
		h->status_code = (uint16_t)s->code;
		h->version = s->version;
	}
	return buf;
}

/* pid, process_name, container_id, dst_domain. buf as in transaction_point(). */
static char *who_tags(const struct points *p, const struct points_who *who, struct point *out,
		      char *buf)
{
	const uint8_t *wire;
	size_t len;

	out->pid = 0;
	out->process_name.len = out->container_id.len = out->dst_domain.len = 0;
	if (who->owner && p->config.owner)
		p->config.owner(p->config.owner_ctx, who->owner, out);
	if (who->name == NAMES_NONE)
		return buf;
	wire = names_wire(p->config.names, who->name, &len);
	out->dst_domain.s = buf;
	out->dst_domain.len = wire ? (uint32_t)dns_name_format(wire, len, buf) : 0;
	names_release(p->config.names, who->name);
	return buf + out->dst_domain.len;
}

static void give(struct points *p, uint32_t n)
{
	const struct point_sink *sink = &p->config.sink;
	uint32_t i;

	if (sink->prepare)
		sink->prepare(sink->ctx, p->block, n);
	for (i = 0; i < n; i++)
		sink->put(sink->ctx, &p->block[i]);
}

static uint32_t block_of(uint32_t left)
{
	return left < POINT_BLOCK ? left : POINT_BLOCK;
}

/* Returns the last point's time. */
static uint64_t give_netflow(struct points *p, uint64_t time_ns)
{
	uint64_t last = time_ns;
	uint32_t i, k, n;
	char *name;

	memset(p->block, 0, sizeof(p->block));
	for (i = 0; i < p->nnet; i += n) {
		n = block_of(p->nnet - i);
		name = p->names;
		for (k = 0; k < n; k++) {
			net_point(&p->net[i + k], &p->block[k]);
			name = who_tags(p, &p->net[i + k].who, &p->block[k], name);
			p->block[k].time_ns = time_ns + p->net[i + k].ordinal;
			if (p->block[k].time_ns > last)
				last = p->block[k].time_ns;
		}
		give(p, n);
	}
	return last;
}

/* Returns the last point's time. */
static uint64_t give_transactions(struct points *p, uint64_t time_ns)
{
	uint64_t last = time_ns;
	uint32_t i, k, n;
	char *name;

	memset(p->block, 0, sizeof(p->block));
	for (i = 0; i < p->ntrans; i += n) {
		n = block_of(p->ntrans - i);
		name = p->names;
		for (k = 0; k < n; k++) {
			const struct transaction_sum *s = &p->trans[i + k];

			name = transaction_point(p, s, &p->block[k], name);
			p->block[k].time_ns = time_ns + s->ordinal;
			if (p->block[k].time_ns > last)
				last = p->block[k].time_ns;
		}
		give(p, n);
	}
	return last;
}

uint64_t points_end(struct points *p, uint64_t time_ns)
{
	uint64_t made = (uint64_t)p->nnet + p->ntrans, last;

	/* Two cycles' points must not overwrite one another either, whatever the clock does. */
	if (time_ns <= p->last_stamp_ns)
		time_ns = p->last_stamp_ns + 1;
	last = give_netflow(p, time_ns);
	p->last_stamp_ns = give_transactions(p, time_ns);
	if (last > p->last_stamp_ns)
		p->last_stamp_ns = last;
	p->config.sink.end(p->config.sink.ctx, time_ns);
	p->nnet = p->ntrans = p->ntagsets = 0;
	p->text_used = 0;
	index_clear(&p->net_index);
	index_clear(&p->trans_index);
	index_clear(&p->tagset_index);
	return made;
}
