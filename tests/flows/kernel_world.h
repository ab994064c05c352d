/* kernel_world.h - one connection, played to two engines: one that sees every segment, and a
 * narrowed one. Both must count the same.
 *
 * The narrowed engine gets what the ring's filter hands over (filters/classic.h): SYN, FIN, RST,
 * small segments with payload, text; and samples as a socket of each local end would give them.
 */
#ifndef TESTS_FLOWS_KERNEL_WORLD_H
#define TESTS_FLOWS_KERNEL_WORLD_H

#include "flows/kernel.h"
#include "tests/flows/script.h"
#include "tests/test.h"

#define MS 1000000ULL
#define S  1000000000ULL

enum { CLIENT, SERVER, SMALL = 100, GIB = 1 << 30 };
enum { LOCAL_CLIENT = 1, LOCAL_SERVER = 2, LOCAL_BOTH = 3 };

struct sock {
	uint64_t sent, received;
	uint32_t out, in, retransmits;
	bool fin_received;
};

struct world {
	struct script full, narrow;
	struct record all, some;
	struct sock k[2];
	uint32_t next[2]; /* relative to the ISN */
	uint32_t dropped; /* segments that the narrowed engine did not get */
	int local, variant;
	bool established;
	const char *name;
};

static char binary[3000];

static inline void world_config(struct world *w, struct engine_config *c, struct record *r)
{
	(void)w;
	script_config(c, r);
	c->max_flows = 512;
	c->interval_ns = 10 * S;
}

static inline void ends_of(const struct world *w, struct ip_net nets[2], size_t *n)
{
	int who;

	*n = 0;
	for (who = 0; who < 2; who++) {
		uint8_t v4[4];

		if (!(w->local >> who & 1))
			continue;
		put_be32(v4, w->narrow.addr[who]);
		addr_from_v4(&nets[*n].addr, v4);
		nets[(*n)++].bits = 128;
	}
}

static inline void script_vary(struct script *s, int variant)
{
	if (variant & 1)
		s->addr[0] = IP4(10, 0, 0, 9); /* the other end of the key */
	if (variant & 2) {
		s->isn[0] = 0xffffffff - 20; /* wraps */
		s->isn[1] = 0xfffff000;
	}
}

/* variant: which of the ends is which in the key, and where sequence numbers begin. */
static inline void world_init(struct world *w, const char *name, int local, int variant)
{
	struct engine_config c;
	struct ip_net nets[2];
	size_t n;

	memset(w, 0, sizeof(*w));
	memset(binary, 0xfe, sizeof(binary));
	w->name = name;
	w->local = local;
	w->variant = variant;
	world_config(w, &c, &w->all);
	script_init(&w->full, script_engine(&c), PROTO_TCP, 80);
	world_config(w, &c, &w->some);
	script_init(&w->narrow, script_engine(&c), PROTO_TCP, 80);
	script_vary(&w->full, variant);
	script_vary(&w->narrow, variant);
	ends_of(w, nets, &n);
	CHECK_INT(engine_set_local(w->full.e, nets, n), 0);
	CHECK_INT(engine_set_local(w->narrow.e, nets, n), 0);
	CHECK_INT(engine_set_narrow(w->narrow.e, nets, n), 0);
}

static inline void wait_ns(struct world *w, uint64_t ns)
{
	w->full.time_ns += ns;
	w->narrow.time_ns += ns;
}

static inline bool passes(const struct script_segment *g)
{
	if (g->flags & (TCP_SYN | TCP_FIN | TCP_RST))
		return true;
	if (!g->len)
		return false;
	return g->len <= SMALL || g->data != binary;
}

/* data NULL: text. */
static inline void seg(struct world *w, int who, uint8_t flags, uint32_t len, const char *data)
{
	struct script_segment g = {.who = who,
				   .flags = flags,
				   .seq = w->next[who],
				   .ack = w->next[1 - who],
				   .len = len,
				   .data = data};

	script_tcp(&w->full, &g);
	if (passes(&g))
		script_tcp(&w->narrow, &g);
	else
		w->dropped++;
	w->k[who].out++;
	w->k[1 - who].in++;
	wait_ns(w, MS);
	if (flags & TCP_RST)
		return;
	w->k[who].sent += len;
	w->k[1 - who].received += len;
	w->k[1 - who].fin_received |= flags & TCP_FIN;
	w->next[who] += len + !!(flags & TCP_SYN) + !!(flags & TCP_FIN);
}

static inline void ack(struct world *w, int who)
{
	seg(w, who, TCP_ACK, 0, NULL);
}

static inline void bulk(struct world *w, int who, uint32_t segments)
{
	while (segments--) {
		seg(w, who, TCP_ACK, 1400, binary);
		ack(w, 1 - who);
	}
}

static inline void text(struct world *w, int who, const char *s)
{
	seg(w, who, TCP_PSH | TCP_ACK, (uint32_t)strlen(s), s);
}

/* A connection in the ports of the one before. */
static inline void open_again(struct world *w)
{
	memset(w->k, 0, sizeof(w->k));
	w->next[0] = w->next[1] = 0;
	seg(w, CLIENT, TCP_SYN, 0, NULL);
	seg(w, SERVER, TCP_SYN | TCP_ACK, 0, NULL);
	ack(w, CLIENT);
	w->established = true;
}

static inline void new_isns(struct world *w, uint32_t by)
{
	int who;

	for (who = 0; who < 2; who++) {
		w->full.isn[who] += by;
		w->narrow.isn[who] += by;
	}
}

static inline int key_of(const struct script *s, struct flow_key *key)
{
	struct ip_addr a[2];
	uint8_t v4[4];
	int who;

	for (who = 0; who < 2; who++) {
		put_be32(v4, s->addr[who]);
		addr_from_v4(&a[who], v4);
	}
	return flow_key_make(key, &a[0], &a[1], s->port[0], s->port[1], s->proto);
}

/* What the socket of the end `who` would say now. */
static inline struct kernel_sample told(const struct world *w, int who, uint32_t has)
{
	const struct sock *k = &w->k[who];
	struct kernel_sample s;
	int client;

	memset(&s, 0, sizeof(s));
	client = key_of(&w->narrow, &s.key);
	s.end = (uint8_t)(who == CLIENT ? client : 1 - client);
	s.has = has | KERNEL_SENT | KERNEL_RECEIVED | KERNEL_SEGMENTS | KERNEL_RETRANSMITS;
	s.has |= w->established ? KERNEL_ESTABLISHED : 0;
	if (k->fin_received && !(has & KERNEL_FIN_MAYBE))
		s.has |= KERNEL_FIN;
	s.time_ns = w->narrow.time_ns;
	s.sent = k->sent;
	s.received = k->received + k->fin_received;
	s.segments_out = k->out;
	s.segments_in = k->in;
	s.retransmits = k->retransmits;
	return s;
}

static inline bool give(struct world *w, const struct kernel_sample *s)
{
	return engine_kernel_sample(w->narrow.e, s);
}

/* The sockets of this host say what they have now. */
static inline void sample(struct world *w, uint32_t has)
{
	int who;

	for (who = 0; who < 2; who++) {
		struct kernel_sample s = told(w, who, has);

		if (w->local >> who & 1)
			CHECK(give(w, &s));
	}
}

static inline void check_end(struct world *w)
{
	const struct point_netflow *a = &w->all.net, *b = &w->some.net;
	const uint64_t want[] = {a->bytes_read,          a->bytes_written, a->tcp_established,
				 a->tcp_closed,          a->tcp_resets,    a->tcp_connect_failed,
				 a->tcp_syn_retransmits, w->all.http_count};
	const uint64_t got[] = {b->bytes_read,          b->bytes_written,  b->tcp_established,
				b->tcp_closed,          b->tcp_resets,     b->tcp_connect_failed,
				b->tcp_syn_retransmits, w->some.http_count};
	static const char *const names[] = {"read",   "written", "established", "closed",
					    "resets", "failed",  "syn-again",   "http"};
	struct words requests[2];
	size_t i;

	for (i = 0; i < sizeof(want) / sizeof(want[0]); i++)
		CHECK_MSG(got[i] == want[i],
			  "%s, local %d, variant %d: %s %" PRIu64 ", by packets %" PRIu64, w->name,
			  w->local, w->variant, names[i], got[i], want[i]);
	CHECK_MSG(!w->some.broken, "%s: %s", w->name, w->some.broken);
	record_words(&w->all, false, &requests[0]);
	record_words(&w->some, false, &requests[1]);
	CHECK_STR(requests[1].text, requests[0].text);
}

static inline void world_finish(struct world *w)
{
	engine_finish(w->full.e, 0);
	engine_finish(w->narrow.e, 0);
	engine_free(w->full.e);
	engine_free(w->narrow.e);
}

static inline void world_end(struct world *w)
{
	world_finish(w);
	check_end(w);
	record_free(&w->all);
	record_free(&w->some);
}

/* So much goes by that nobody hands over. */
static inline void goes_by(struct world *w, int who, uint64_t bytes)
{
	w->k[who].sent += bytes;
	w->k[1 - who].received += bytes;
	w->next[who] += (uint32_t)bytes;
}

/* dst is the server: written is the client's, unless only the server is local. */
static inline void check_bytes(struct world *w, uint64_t client, uint64_t server)
{
	bool swapped = w->local == LOCAL_SERVER;
	const struct point_netflow *n = &w->some.net;

	world_finish(w);
	CHECK_MSG(n->bytes_written == (swapped ? server : client) &&
		      n->bytes_read == (swapped ? client : server),
		  "%s, local %d: %" PRIu64 " and %" PRIu64, w->name, w->local, n->bytes_written,
		  n->bytes_read);
	record_free(&w->some);
	record_free(&w->all);
}

#endif
