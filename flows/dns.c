/* dns.c - DNS messages: header, first question, EDNS rcode, the addresses of an answer.
 *
 * Follows RFC 1035 section 4 (messages, compression), RFC 6891 (EDNS), RFC 2181 section 8 (TTL).
 * Texts of names and types are in dns_names.c.
 */
#include "flows/dns.h"

#include <string.h>

#include "common/wire.h"

enum {
	TYPE_A = 1,
	TYPE_CNAME = 5,
	TYPE_AAAA = 28,
	TYPE_OPT = 41,
	TYPE_ANY = 255,
	CLASS_IN = 1,

	FLAG_QR = 0x8000,
	FLAG_TC = 0x0200,
	FLAGS_OPCODE = 0x7800, /* 0: QUERY */

	LABEL_MAX = 63, /* length bytes above it are pointers (11) or reserved (01, 10) */
	LABEL_POINTER = 0xc0,
	HOPS_MAX = 127,   /* no name has more labels, so no honest one has more pointers */
	QUESTION_MIN = 5, /* the root name, type, class */
	RECORD_MIN = 11,  /* the root name, type, class, TTL, length of no data */
	MESSAGE_MAX = 65535,
	ALIASES_MAX = 16, /* CNAMEs looked at; resolvers give up at 8 to 16 */
	OWNERS_MAX = 128, /* names compared per answer: a hostile one costs 50 us, not 2 ms */
};

/* Eight bytes at once, in any byte order: ASCII A to Z get bit 5. */
static inline uint64_t lower8(uint64_t v)
{
	const uint64_t ones = 0x0101010101010101ULL;
	uint64_t low7 = v & 0x7f * ones;
	uint64_t from_a = low7 + (0x80 - 'A') * ones;      /* bit 7: 'A' or above */
	uint64_t above_z = low7 + (0x80 - 'Z' - 1) * ones; /* bit 7: above 'Z' */

	return v | (((from_a ^ above_z) & ~v & 0x80 * ones) >> 2);
}

/* Length bytes are below 64, so a whole wire name can be lowered without looking at its labels. */
static void lower_copy(uint8_t *out, const uint8_t *in, size_t n)
{
	uint64_t v;
	size_t i;

	if (n < 8) {
		for (i = 0; i < n; i++)
			out[i] = in[i] >= 'A' && in[i] <= 'Z' ? in[i] | 0x20 : in[i];
		return;
	}
	for (i = 0; i < n; i += 8) {
		if (i > n - 8)
			i = n - 8; /* the last eight again rather than a tail */
		memcpy(&v, in + i, 8);
		v = lower8(v);
		memcpy(out + i, &v, 8);
	}
}

static void header_read(struct dns_message *m, struct wire *w)
{
	uint16_t flags;

	m->id = wire_be16(w);
	flags = wire_be16(w);
	m->response = flags & FLAG_QR;
	m->truncated = flags & FLAG_TC;
	m->opcode = flags >> 11 & 15;
	m->rcode = flags & 15;
	m->qdcount = wire_be16(w);
	m->ancount = wire_be16(w);
	m->nscount = wire_be16(w);
	m->arcount = wire_be16(w);
}

static bool counts_fit(const struct dns_message *m, size_t len, bool whole)
{
	size_t records = (size_t)m->ancount + m->nscount + m->arcount;
	size_t room = (whole ? len : MESSAGE_MAX) - DNS_HEADER_SIZE;

	/* Some servers leave the counts of the records that they cut off. */
	if (m->truncated)
		records = 0;
	return QUESTION_MIN * (size_t)m->qdcount + RECORD_MIN * records <= room;
}

/* The first question cannot be compressed: there is no name before it to point at. */
static int question_read(struct dns_message *m, struct wire *w, bool whole)
{
	const uint8_t *name = w->p;
	size_t len = 1;
	uint8_t c;

	while ((c = wire_u8(w)) != 0) {
		len += c + 1u;
		if (c > LABEL_MAX || len > DNS_NAME_MAX)
			return FL_EMALFORMED;
		wire_skip(w, c);
	}
	m->qtype = wire_be16(w);
	m->qclass = wire_be16(w);
	if (w->bad) {
		m->qtype = m->qclass = 0;
		m->question_cut = true;
		return whole ? FL_EMALFORMED : FL_ETRUNCATED;
	}
	m->has_question = true;
	m->qname_len = (uint8_t)len;
	lower_copy(m->qname, name, len);
	return 0;
}

/* Pass a name by, without following its pointer. */
static void name_skip(struct wire *w)
{
	uint8_t c;

	while ((c = wire_u8(w)) != 0) {
		if (c >= LABEL_POINTER) {
			wire_skip(w, 1);
			return;
		}
		if (c > LABEL_MAX)
			w->bad = true;
		if (!wire_skip(w, c) || w->bad)
			return;
	}
}

struct record {
	const uint8_t *owner; /* in the message, compressed */
	const uint8_t *data;  /* data_len bytes; NULL where they are not all there */
	uint32_t ttl;         /* as on the wire: OPT keeps other things here */
	uint16_t type, class, data_len;
};

/* False where not even the fixed part was readable; then the cursor is at its end. */
static bool record_read(struct wire *w, struct record *r)
{
	r->owner = w->p;
	name_skip(w);
	r->type = wire_be16(w);
	r->class = wire_be16(w);
	r->ttl = wire_be32(w);
	r->data_len = wire_be16(w);
	if (w->bad)
		return false;
	r->data = wire_bytes(w, r->data_len);
	return true;
}

static void more_questions_skip(struct wire *w, unsigned int qdcount)
{
	for (; qdcount > 1 && !w->bad; qdcount--) {
		name_skip(w);
		wire_skip(w, 4);
	}
}

/* RFC 6891 section 6.1.3: the upper eight bits of the rcode are the first byte of the OPT record's
 * TTL. Only the first OPT counts; a message may not have a second one. */
static void edns_rcode_read(struct dns_message *m, struct wire *w)
{
	uint32_t before = (uint32_t)m->ancount + m->nscount;
	uint32_t all = before + m->arcount, i;
	struct record r;

	more_questions_skip(w, m->qdcount);
	for (i = 0; i < all && !w->bad; i++) {
		if (!record_read(w, &r))
			return;
		if (i >= before && r.type == TYPE_OPT && *r.owner == 0) {
			m->rcode |= (uint16_t)(r.ttl >> 24 << 4);
			return;
		}
	}
}

int dns_message_read(struct dns_message *m, const uint8_t *msg, size_t len, bool whole)
{
	struct wire w;
	int err;

	memset(m, 0, offsetof(struct dns_message, qname));
	if (len < DNS_HEADER_SIZE)
		return whole ? FL_EMALFORMED : FL_ETRUNCATED;
	if (len > MESSAGE_MAX)
		len = MESSAGE_MAX;
	wire_init(&w, msg, len);
	header_read(m, &w);
	if (!counts_fit(m, len, whole))
		return FL_EMALFORMED;
	if (m->qdcount) {
		err = question_read(m, &w, whole);
		if (err)
			return err;
	}
	if (m->response && m->arcount) /* a query has no rcode to complete */
		edns_rcode_read(m, &w);
	return 0;
}

bool dns_looks_like(const uint8_t *msg, size_t len)
{
	unsigned int qdcount, records;
	uint16_t flags;

	if (len < DNS_HEADER_SIZE)
		return false;
	flags = load_be16(msg + 2);
	qdcount = load_be16(msg + 4);
	records = (unsigned int)load_be16(msg + 6) + load_be16(msg + 8) + load_be16(msg + 10);
	if (flags & FLAGS_OPCODE || qdcount > DNS_QUESTIONS_PLAUSIBLE)
		return false;
	if (RECORD_MIN * records > MESSAGE_MAX - DNS_HEADER_SIZE && !(flags & FLAG_TC))
		return false;
	/* Without a question: a response, or a cookie query with its OPT (RFC 7873 section 5.4). */
	if (qdcount == 0)
		return flags & FLAG_QR || records;
	return len == DNS_HEADER_SIZE || msg[DNS_HEADER_SIZE] <= LABEL_MAX;
}

/* Write the name at `at` uncompressed and lowered; returns its wire length, 0 where it is none.
 * Each pointer must go before the labels that led to it, so no name can loop. */
static size_t name_expand(const uint8_t *msg, const uint8_t *end, const uint8_t *at,
			  uint8_t out[DNS_NAME_MAX])
{
	unsigned int hops = 0;
	size_t n = 0, to;
	const uint8_t *label;
	struct wire w;
	uint8_t c;

	wire_init(&w, at, (size_t)(end - at));
	for (;;) {
		c = wire_u8(&w);
		if (c >= LABEL_POINTER) {
			to = (size_t)(c & 0x3f) << 8 | wire_u8(&w);
			if (w.bad || to < DNS_HEADER_SIZE || to >= (size_t)(at - msg) ||
			    ++hops > HOPS_MAX)
				return 0;
			at = msg + to;
			wire_init(&w, at, (size_t)(end - at));
			continue;
		}
		label = wire_bytes(&w, c);
		if (w.bad || c > LABEL_MAX || n + c + 1 > DNS_NAME_MAX)
			return 0;
		out[n++] = c;
		if (!c)
			return n;
		lower_copy(out + n, label, c);
		n += c;
	}
}

struct link {
	uint32_t ttl_s; /* the smallest so far */
	size_t len;
	uint8_t name[DNS_NAME_MAX];
};

/* The names from the question through its CNAMEs. */
struct chain {
	const uint8_t *msg, *end;
	unsigned int n;
	struct link link[ALIASES_MAX + 1];
	size_t last_offset; /* the owner looked up last, and what came out */
	int last_link;
	unsigned int owners; /* looked up so far */
};

/* RFC 2181 section 8: with the top bit set, it is 0. */
static uint32_t ttl_of(const struct record *r)
{
	return r->ttl >> 31 ? 0 : r->ttl;
}

static uint32_t min_u32(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

static int chain_find_name(const struct chain *c, const uint8_t *name, size_t len)
{
	unsigned int i;

	for (i = 0; i < c->n; i++)
		if (c->link[i].len == len && !memcmp(c->link[i].name, name, len))
			return (int)i;
	return -1;
}

/* Which link owns a record, or -1. All the owners of a name are mostly one and the same pointer. */
static int chain_find_owner(struct chain *c, const struct record *r)
{
	size_t offset = (size_t)(r->owner - c->msg);
	uint8_t name[DNS_NAME_MAX];

	if (*r->owner >= LABEL_POINTER)
		offset = load_be16(r->owner) & 0x3fff;
	if (offset != c->last_offset) {
		if (++c->owners > OWNERS_MAX)
			return -1;
		c->last_offset = offset;
		c->last_link =
		    chain_find_name(c, name, name_expand(c->msg, c->end, r->owner, name));
	}
	return c->last_link;
}

struct alias {
	uint32_t ttl_s;
	const uint8_t *target;
	size_t owner_len; /* 0 once it was followed */
	uint8_t owner[DNS_NAME_MAX];
};

/* Follow the aliases in whatever order they came. Each is followed once: a loop ends. */
static void chain_follow(struct chain *c, struct alias *alias, unsigned int naliases)
{
	struct link *tail, *next;
	unsigned int i = 0;

	while (i < naliases && c->n <= ALIASES_MAX) {
		tail = &c->link[c->n - 1];
		if (alias[i].owner_len != tail->len ||
		    memcmp(alias[i].owner, tail->name, tail->len)) {
			i++;
			continue;
		}
		next = tail + 1;
		next->ttl_s = min_u32(tail->ttl_s, alias[i].ttl_s);
		next->len = name_expand(c->msg, c->end, alias[i].target, next->name);
		if (!next->len)
			return;
		alias[i].owner_len = 0;
		c->n++;
		i = 0;
	}
}

static void chain_build(struct chain *c, struct wire w, unsigned int ancount)
{
	struct alias alias[ALIASES_MAX];
	unsigned int n = 0;
	struct record r;

	for (; ancount && n < ALIASES_MAX && record_read(&w, &r) && r.data; ancount--) {
		if (r.type != TYPE_CNAME || r.class != CLASS_IN)
			continue;
		alias[n].owner_len = name_expand(c->msg, c->end, r.owner, alias[n].owner);
		alias[n].target = r.data;
		alias[n].ttl_s = ttl_of(&r);
		n += alias[n].owner_len != 0;
	}
	if (n)
		chain_follow(c, alias, n);
}

/* An A or AAAA record of the asked type, with data of the right length. */
static bool record_address(const struct record *r, uint16_t qtype, struct ip_addr *a)
{
	if (r->class != CLASS_IN || (qtype != TYPE_ANY && qtype != r->type))
		return false;
	if (r->type == TYPE_A && r->data_len == 4) {
		addr_from_v4(a, r->data);
		return true;
	}
	if (r->type == TYPE_AAAA && r->data_len == 16) {
		memcpy(a->b, r->data, 16);
		return true;
	}
	return false;
}

size_t dns_answer_addresses(const uint8_t *msg, size_t len, struct dns_address *out, size_t n)
{
	struct dns_message m;
	struct chain c;
	struct record r;
	size_t found = 0;
	unsigned int i;
	struct wire w;
	int link;

	if (len > MESSAGE_MAX)
		len = MESSAGE_MAX;
	if (len < DNS_HEADER_SIZE)
		return 0;
	memset(&m, 0, offsetof(struct dns_message, qname));
	wire_init(&w, msg, len);
	header_read(&m, &w);
	if (!m.response || m.opcode || !m.qdcount || !m.ancount || question_read(&m, &w, false))
		return 0;
	if (m.qclass != CLASS_IN ||
	    (m.qtype != TYPE_A && m.qtype != TYPE_AAAA && m.qtype != TYPE_ANY))
		return 0;
	more_questions_skip(&w, m.qdcount);

	c.msg = msg;
	c.end = msg + len;
	c.n = 1;
	c.link[0].ttl_s = UINT32_MAX;
	c.link[0].len = m.qname_len;
	memcpy(c.link[0].name, m.qname, m.qname_len);
	c.last_offset = DNS_HEADER_SIZE;
	c.last_link = 0;
	c.owners = 0;
	chain_build(&c, w, m.ancount);

	for (i = 0; i < m.ancount && found < n && record_read(&w, &r) && r.data; i++) {
		if (!record_address(&r, m.qtype, &out[found].addr))
			continue;
		link = chain_find_owner(&c, &r);
		if (link >= 0)
			out[found++].ttl_s = min_u32(ttl_of(&r), c.link[link].ttl_s);
	}
	return found;
}
