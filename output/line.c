/* line.c - points as InfluxDB line protocol: measurement, sorted tags, fields, timestamp.
 *
 * The tags of a kind of point are worked out once, as a program: constant text
 * ("netflow,direction="), a slot to fill (the direction), constant text (",dst_ip="), a slot ...
 * Constant tags (host, source, custom ones) are part of the constant text, wherever their place in
 * the order is. The fields of a kind are few and have a fixed order, so they are plain code.
 */
#include "output/line.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "flows/dns.h"
#include "output/escape.h"
#include "output/format.h"

enum tag_slot {
	TAG_CONSTANT, /* nothing to fill */
	TAG_DIRECTION,
	TAG_FAMILY,
	TAG_TRANSPORT,
	TAG_SRC_IP,
	TAG_SRC_PORT,
	TAG_SRC_CLASS,
	TAG_DST_IP,
	TAG_DST_PORT,
	TAG_DST_CLASS,
	TAG_DNS_RCODE,
	TAG_DNS_DOMAIN,
	TAG_DNS_TYPE,
	TAG_HTTP_METHOD,
	TAG_HTTP_PATH,
	TAG_HTTP_STATUS,
	TAG_HTTP_VERSION,
	TAG_SELF_WORKER,
	TAG_SELF_SOURCE,
	TAG_SLOTS
};

struct tag {
	const char *key;
	enum tag_slot slot;
	const char *value; /* TAG_CONSTANT */
};

enum {
	COPY_STEP = 16, /* constant text is copied in whole steps, and padded for that */
	CLASSES_MAX = 8,
	CLASS_TEXT_MAX = 64,
	SELF_FIELDS_BYTES = 16 * 1024,
	/* All that is not constant text: at most three texts of a point as escaped strings or tags
	 * (method and path; worker, source), the fields of a POINT_SELF, and the addresses, numbers
	 * and names of fields, for which 2 KiB are more than enough. */
	DYNAMIC_MAX = 3 * ESCAPE_GROWTH * LINE_TEXT_MAX + SELF_FIELDS_BYTES + 2048,
};

struct piece {
	const char *text; /* constant, in program.text, padded to COPY_STEP */
	uint32_t len;
	uint32_t key_len; /* its end: the slot's ",key=", taken back where the slot stays empty */
	enum tag_slot slot;
};

struct program {
	char *text;
	struct piece pieces[TAG_SLOTS + 1];
	size_t n;
};

struct class_text {
	const char *name; /* as address_class() gave it: known again by its address */
	size_t len;
	char text[ESCAPE_GROWTH * CLASS_TEXT_MAX + COPY_STEP];
};

struct octet_text {
	char digits[3];
	uint8_t len;
};

struct line_encoder {
	struct program programs[POINT_KINDS];
	const char *(*address_class)(const struct ip_addr *a);
	bool key_fields_as_tags;
	size_t max_bytes;
	/* The points of a cycle have mostly one timestamp: the last one, as text. */
	uint64_t time_ns;
	size_t time_len;
	char time_text[FORMAT_U64_SIZE];
	size_t nclasses;
	struct class_text classes[CLASSES_MAX];
	struct octet_text octets[256];
};

/* --- The program of tags, made once ----------------------------------------------------------- */

static const char *const measurements[POINT_KINDS] = {
    [POINT_NETFLOW] = "netflow",
    [POINT_DNSFLOW] = "dnsflow",
    [POINT_HTTPFLOW] = "httpflow",
    [POINT_SELF] = "flowline",
};

static const struct tag flow_tags[] = {
    {"direction", TAG_DIRECTION, NULL},   {"dst_ip", TAG_DST_IP, NULL},
    {"dst_ip_type", TAG_DST_CLASS, NULL}, {"dst_port", TAG_DST_PORT, NULL},
    {"family", TAG_FAMILY, NULL},         {"src_ip", TAG_SRC_IP, NULL},
    {"src_ip_type", TAG_SRC_CLASS, NULL}, {"src_port", TAG_SRC_PORT, NULL},
    {"sub_source", TAG_CONSTANT, "N/A"},  {"transport", TAG_TRANSPORT, NULL},
};

static const struct tag dns_key_tags[] = {
    {"domain", TAG_DNS_DOMAIN, NULL},
    {"query_type", TAG_DNS_TYPE, NULL},
    {"rcode", TAG_DNS_RCODE, NULL},
};

static const struct tag http_key_tags[] = {
    {"http_version", TAG_HTTP_VERSION, NULL},
    {"method", TAG_HTTP_METHOD, NULL},
    {"path", TAG_HTTP_PATH, NULL},
    {"status_code", TAG_HTTP_STATUS, NULL},
};

static const struct tag self_tags[] = {
    {"source", TAG_SELF_SOURCE, NULL},
    {"worker", TAG_SELF_WORKER, NULL},
};

/* Room for all built-in tags of any kind; TAG_SLOTS and the constant host, source, sub_source. */
enum { BUILTIN_TAGS_MAX = TAG_SLOTS + 3 };

static void set_tag(struct tag *tags, size_t *n, const struct tag *tag)
{
	size_t i;

	for (i = 0; i < *n; i++) {
		if (!strcmp(tags[i].key, tag->key)) {
			tags[i] = *tag;
			return;
		}
	}
	tags[(*n)++] = *tag;
}

static void set_tags(struct tag *tags, size_t *n, const struct tag *more, size_t nmore)
{
	size_t i;

	for (i = 0; i < nmore; i++)
		set_tag(tags, n, &more[i]);
}

#define SET_TAGS(tags, n, more) set_tags(tags, n, more, sizeof(more) / sizeof((more)[0]))

/* Every tag of this kind, built-in ones first so that custom ones replace them. The count. */
static size_t collect_tags(struct tag *tags, const struct line_config *c, enum point_kind kind)
{
	struct tag host = {"host", TAG_CONSTANT, c->host};
	struct tag source = {"source", TAG_CONSTANT, measurements[kind]};
	size_t n = 0, i;

	set_tag(tags, &n, &host);
	if (kind == POINT_SELF) {
		SET_TAGS(tags, &n, self_tags);
	} else {
		set_tag(tags, &n, &source);
		SET_TAGS(tags, &n, flow_tags);
	}
	if (c->key_fields_as_tags && kind == POINT_DNSFLOW)
		SET_TAGS(tags, &n, dns_key_tags);
	if (c->key_fields_as_tags && kind == POINT_HTTPFLOW)
		SET_TAGS(tags, &n, http_key_tags);
	for (i = 0; i < c->ntags; i++) {
		struct tag custom = {c->tags[i].key, TAG_CONSTANT, c->tags[i].value};

		if (custom.key && *custom.key)
			set_tag(tags, &n, &custom);
	}
	return n;
}

/* Byte order, as InfluxDB wants it (strcmp compares unsigned bytes). */
static int compare_tags(const void *a, const void *b)
{
	return strcmp(((const struct tag *)a)->key, ((const struct tag *)b)->key);
}

static size_t escaped_most(const char *s)
{
	return s ? ESCAPE_GROWTH * strlen(s) : 0;
}

static char *put_escaped(char *p, enum escape_position position, const char *s)
{
	return escape_put(p, position, s, strlen(s));
}

/* End a piece of constant text at p; the next one begins at what is returned. */
static char *end_piece(struct program *prog, char *start, char *p, size_t key_len,
		       enum tag_slot slot)
{
	struct piece *piece = &prog->pieces[prog->n++];

	piece->text = start;
	piece->len = (uint32_t)(p - start);
	piece->key_len = (uint32_t)key_len;
	piece->slot = slot;
	return p + COPY_STEP;
}

/* Put the sorted tags together; *len is the length of all constant text. 0, or -ENOMEM. */
static int make_program(struct program *prog, enum point_kind kind, const struct tag *tags,
			size_t ntags, size_t *len)
{
	size_t most = escaped_most(measurements[kind]) + (TAG_SLOTS + 1) * COPY_STEP, i;
	char *p, *start, *key;

	for (i = 0; i < ntags; i++)
		most += escaped_most(tags[i].key) + escaped_most(tags[i].value) + 2;
	prog->text = calloc(1, most);
	if (!prog->text)
		return -ENOMEM;
	start = prog->text;
	p = put_escaped(start, ESCAPE_MEASUREMENT, measurements[kind]);
	*len = 0;
	for (i = 0; i < ntags; i++) {
		if (tags[i].slot == TAG_CONSTANT && (!tags[i].value || !*tags[i].value))
			continue;
		key = p;
		*p++ = ',';
		p = put_escaped(p, ESCAPE_TAG, tags[i].key);
		*p++ = '=';
		if (tags[i].slot == TAG_CONSTANT) {
			p = put_escaped(p, ESCAPE_TAG, tags[i].value);
			continue;
		}
		*len += (size_t)(p - start);
		start = end_piece(prog, start, p, (size_t)(p - key), tags[i].slot);
		p = start;
	}
	*len += (size_t)(p - start);
	end_piece(prog, start, p, 0, TAG_CONSTANT);
	return 0;
}

static int make_programs(struct line_encoder *e, const struct line_config *c)
{
	size_t constant, most = 0, n;
	struct tag *tags;
	int kind, err = 0;

	tags = calloc(BUILTIN_TAGS_MAX + c->ntags, sizeof(*tags));
	if (!tags)
		return -ENOMEM;
	for (kind = 0; kind < POINT_KINDS && !err; kind++) {
		n = collect_tags(tags, c, (enum point_kind)kind);
		qsort(tags, n, sizeof(*tags), compare_tags);
		err = make_program(&e->programs[kind], (enum point_kind)kind, tags, n, &constant);
		if (!err && constant > most)
			most = constant;
	}
	free(tags);
	e->max_bytes = most + DYNAMIC_MAX;
	if (!err && e->max_bytes > LINE_MAX_BYTES)
		err = -EMSGSIZE;
	return err;
}

static void make_octets(struct octet_text octets[256])
{
	char text[FORMAT_U64_SIZE];
	unsigned int i;

	for (i = 0; i < 256; i++) {
		octets[i].len = (uint8_t)(format_u64(text, i) - text);
		memcpy(octets[i].digits, text, octets[i].len);
	}
}

struct line_encoder *line_encoder_new(const struct line_config *config)
{
	struct line_encoder *e = calloc(1, sizeof(*e));
	int err;

	if (!e)
		return NULL;
	e->address_class = config->address_class;
	e->key_fields_as_tags = config->key_fields_as_tags;
	make_octets(e->octets);
	e->time_len = (size_t)(format_u64(e->time_text, e->time_ns) - e->time_text);
	err = make_programs(e, config);
	if (err) {
		line_encoder_free(e);
		errno = -err;
		return NULL;
	}
	return e;
}

void line_encoder_free(struct line_encoder *e)
{
	int kind;

	if (!e)
		return;
	for (kind = 0; kind < POINT_KINDS; kind++)
		free(e->programs[kind].text);
	free(e);
}

size_t line_encoder_max(const struct line_encoder *e)
{
	return e->max_bytes;
}

/* --- Values ----------------------------------------------------------------------------------- */

#define PUT(p, literal) put_bytes(p, literal, sizeof(literal) - 1)

/* For lengths that the compiler knows. */
static inline char *put_bytes(char *p, const char *s, size_t len)
{
	memcpy(p, s, len);
	return p + len;
}

/* Copy padded text in whole steps: a loop of two instructions instead of a call that must look at
 * the length. What is written beyond len is overwritten by what follows. */
static inline char *put_padded(char *p, const char *s, size_t len)
{
	size_t i = 0;

	do {
		memcpy(p + i, s + i, COPY_STEP);
		i += COPY_STEP;
	} while (i < len);
	return p + len;
}

static inline char *put_octet(char *p, const struct octet_text *o)
{
	memcpy(p, o->digits, sizeof(o->digits));
	return p + o->len;
}

static inline char *put_address(const struct line_encoder *e, char *p, const struct ip_addr *a)
{
	if (!addr_is_v4(a))
		return p + addr_format(a, p);
	p = put_octet(p, &e->octets[a->b[12]]);
	*p++ = '.';
	p = put_octet(p, &e->octets[a->b[13]]);
	*p++ = '.';
	p = put_octet(p, &e->octets[a->b[14]]);
	*p++ = '.';
	return put_octet(p, &e->octets[a->b[15]]);
}

static inline char *put_port(char *p, const struct point_side *side)
{
	if (!side->port_folded)
		return format_u64(p, side->port);
	*p = '*';
	return p + 1;
}

/* A text of a point, cut between characters where it is too long to be one. */
static char *put_text(char *p, enum escape_position position, const char *s, size_t len)
{
	size_t back = 0;

	if (len > LINE_TEXT_MAX) {
		len = LINE_TEXT_MAX;
		while (back < 3 && ((unsigned char)s[len - back] & 0xc0) == 0x80)
			back++;
		len -= back;
	}
	return escape_put(p, position, s, len);
}

static char *put_string(char *p, const struct text *t)
{
	*p++ = '"';
	p = put_text(p, ESCAPE_STRING, t->s, t->len);
	*p++ = '"';
	return p;
}

static char *put_class_name(char *p, const char *name)
{
	size_t len = strlen(name);

	return escape_put(p, ESCAPE_TAG, name, len < CLASS_TEXT_MAX ? len : CLASS_TEXT_MAX);
}

static char *put_new_class(struct line_encoder *e, char *p, const char *name)
{
	struct class_text *c;

	if (!name)
		return p;
	if (e->nclasses == CLASSES_MAX)
		return put_class_name(p, name);
	c = &e->classes[e->nclasses++];
	c->name = name;
	c->len = (size_t)(put_class_name(c->text, name) - c->text);
	return put_bytes(p, c->text, c->len);
}

static char *put_class(struct line_encoder *e, char *p, const struct ip_addr *a)
{
	const char *name;
	size_t i;

	if (!e->address_class)
		return p;
	name = e->address_class(a);
	for (i = 0; i < e->nclasses; i++) {
		if (e->classes[i].name == name)
			return put_padded(p, e->classes[i].text, e->classes[i].len);
	}
	return put_new_class(e, p, name);
}

static char *put_family(char *p, const struct point *pt)
{
	/* A v4-mapped address is IPv4; a pair is one or the other, never mixed. */
	if (addr_is_v4(&pt->src.addr) && addr_is_v4(&pt->dst.addr))
		return PUT(p, "IPv4");
	return PUT(p, "IPv6");
}

static char *put_transport(char *p, uint8_t protocol)
{
	if (protocol == 6)
		return PUT(p, "tcp");
	if (protocol == 17)
		return PUT(p, "udp");
	return format_u64(p, protocol);
}

static char *put_query_type(char *p, uint16_t type)
{
	return p + dns_type_name(type, p);
}

/* Nothing where the request was cut before its version: an empty string, no tag. */
static char *put_http_version(char *p, uint8_t minor)
{
	if (minor > 1)
		return p;
	return format_u64(PUT(p, "1."), minor);
}

static char *put_self_tag(char *p, const char *s)
{
	return s ? put_text(p, ESCAPE_TAG, s, strlen(s)) : p;
}

/* The slots of the kinds that few points have. */
static char *put_rare_slot(char *p, enum tag_slot slot, const struct point *pt)
{
	switch (slot) {
	case TAG_DNS_RCODE:
		return format_i32(p, pt->u.dnsflow.rcode);
	case TAG_DNS_DOMAIN:
		if (!(pt->has & POINT_HAS_DOMAIN))
			return p;
		return put_text(p, ESCAPE_TAG, pt->u.dnsflow.domain.s, pt->u.dnsflow.domain.len);
	case TAG_DNS_TYPE:
		if (!(pt->has & POINT_HAS_QUERY_TYPE))
			return p;
		return put_query_type(p, pt->u.dnsflow.query_type);
	case TAG_HTTP_METHOD:
		return put_text(p, ESCAPE_TAG, pt->u.httpflow.method.s, pt->u.httpflow.method.len);
	case TAG_HTTP_PATH:
		return put_text(p, ESCAPE_TAG, pt->u.httpflow.path.s, pt->u.httpflow.path.len);
	case TAG_HTTP_STATUS:
		return format_u64(p, pt->u.httpflow.status_code);
	case TAG_HTTP_VERSION:
		return put_http_version(p, pt->u.httpflow.version);
	case TAG_SELF_WORKER:
		return put_self_tag(p, pt->u.self.worker);
	case TAG_SELF_SOURCE:
		return put_self_tag(p, pt->u.self.source);
	default:
		return p;
	}
}

static inline char *put_slot(struct line_encoder *e, char *p, enum tag_slot slot,
			     const struct point *pt)
{
	switch (slot) {
	case TAG_DIRECTION:
		return pt->incoming ? PUT(p, "incoming") : PUT(p, "outgoing");
	case TAG_FAMILY:
		return put_family(p, pt);
	case TAG_TRANSPORT:
		return put_transport(p, pt->transport);
	case TAG_SRC_IP:
		return put_address(e, p, &pt->src.addr);
	case TAG_SRC_PORT:
		return put_port(p, &pt->src);
	case TAG_SRC_CLASS:
		return put_class(e, p, &pt->src.addr);
	case TAG_DST_IP:
		return put_address(e, p, &pt->dst.addr);
	case TAG_DST_PORT:
		return put_port(p, &pt->dst);
	case TAG_DST_CLASS:
		return put_class(e, p, &pt->dst.addr);
	default:
		return put_rare_slot(p, slot, pt);
	}
}

static char *put_tags(struct line_encoder *e, char *p, const struct point *pt)
{
	const struct program *prog = &e->programs[pt->kind];
	const struct piece *piece, *end = prog->pieces + prog->n;
	char *q;

	for (piece = prog->pieces; piece < end; piece++) {
		p = put_padded(p, piece->text, piece->len);
		q = put_slot(e, p, piece->slot, pt);
		p = q == p ? p - piece->key_len : q;
	}
	return p;
}

/* --- Fields ----------------------------------------------------------------------------------- */

#define PUT_COUNT(p, name, v) format_count(PUT(p, name "="), v)

static char *put_netflow(char *p, const struct point *pt)
{
	const struct point_netflow *n = &pt->u.netflow;

	p = PUT_COUNT(p, " bytes_read", n->bytes_read);
	p = PUT_COUNT(p, ",bytes_written", n->bytes_written);
	p = PUT_COUNT(p, ",packets_read", n->packets_read);
	p = PUT_COUNT(p, ",packets_written", n->packets_written);
	if (pt->has & POINT_HAS_TCP) {
		p = PUT_COUNT(p, ",retransmits", n->retransmits);
		p = PUT_COUNT(p, ",retransmits_peer", n->retransmits_peer);
		p = PUT_COUNT(p, ",tcp_established", n->tcp_established);
		p = PUT_COUNT(p, ",tcp_closed", n->tcp_closed);
		p = PUT_COUNT(p, ",tcp_syn_retransmits", n->tcp_syn_retransmits);
		p = PUT_COUNT(p, ",tcp_connect_failed", n->tcp_connect_failed);
		p = PUT_COUNT(p, ",tcp_resets", n->tcp_resets);
	}
	if (pt->has & POINT_HAS_RTT) {
		p = PUT_COUNT(p, ",rtt", n->rtt_us);
		p = PUT_COUNT(p, ",rtt_var", n->rtt_var_us);
	}
	if (pt->has & POINT_HAS_CONNECT_LATENCY)
		p = PUT_COUNT(p, ",connect_latency", n->connect_latency_us);
	return p;
}

static char *put_latency(char *p, const struct point *pt, uint64_t mean_ns, uint64_t max_ns)
{
	if (!(pt->has & POINT_HAS_LATENCY))
		return p;
	p = PUT_COUNT(p, ",latency", mean_ns);
	return PUT_COUNT(p, ",latency_max", max_ns);
}

static char *put_dnsflow(char *p, const struct point *pt, bool key_fields)
{
	const struct point_dnsflow *d = &pt->u.dnsflow;

	p = PUT_COUNT(p, " count", d->count);
	p = put_latency(p, pt, d->latency_ns, d->latency_max_ns);
	if (key_fields) {
		p = format_i32(PUT(p, ",rcode="), d->rcode);
		*p++ = 'i';
		if (pt->has & POINT_HAS_DOMAIN)
			p = put_string(PUT(p, ",domain="), &d->domain);
		if (pt->has & POINT_HAS_QUERY_TYPE) {
			p = put_query_type(PUT(p, ",query_type=\""), d->query_type);
			*p++ = '"';
		}
	}
	return PUT_COUNT(p, ",retries", d->retries);
}

static char *put_httpflow(char *p, const struct point *pt, bool key_fields)
{
	const struct point_httpflow *h = &pt->u.httpflow;

	p = PUT_COUNT(p, " count", h->count);
	p = put_latency(p, pt, h->latency_ns, h->latency_max_ns);
	if (key_fields) {
		p = put_string(PUT(p, ",method="), &h->method);
		p = put_string(PUT(p, ",path="), &h->path);
		p = PUT_COUNT(p, ",status_code", h->status_code);
		p = put_http_version(PUT(p, ",http_version=\""), h->version);
		*p++ = '"';
	}
	return h->truncated ? PUT(p, ",truncated=true") : p;
}

/* The names are the program's own; still, nothing they could be makes a line too long. */
static char *put_self(char *p, const struct point *pt)
{
	const struct point_self *s = &pt->u.self;
	const char *end = p + SELF_FIELDS_BYTES;
	size_t i, len, most;
	char before = ' ';

	for (i = 0; i < s->nfields; i++) {
		len = strlen(s->fields[i].name);
		most = ESCAPE_GROWTH * len + FORMAT_U64_SIZE + sizeof(",=i");
		if (!len || most > (size_t)(end - p))
			continue;
		*p++ = before;
		p = escape_put(p, ESCAPE_TAG, s->fields[i].name, len);
		*p++ = '=';
		p = format_count(p, s->fields[i].value);
		before = ',';
	}
	return p;
}

static char *put_fields(const struct line_encoder *e, char *p, const struct point *pt)
{
	switch (pt->kind) {
	case POINT_NETFLOW:
		return put_netflow(p, pt);
	case POINT_DNSFLOW:
		return put_dnsflow(p, pt, !e->key_fields_as_tags);
	case POINT_HTTPFLOW:
		return put_httpflow(p, pt, !e->key_fields_as_tags);
	case POINT_SELF:
		return put_self(p, pt);
	default:
		return p;
	}
}

static char *put_time(struct line_encoder *e, char *p, uint64_t time_ns)
{
	if (time_ns != e->time_ns) {
		e->time_ns = time_ns;
		e->time_len =
		    (size_t)(format_u64(e->time_text, time_ns > INT64_MAX ? INT64_MAX : time_ns) -
			     e->time_text);
	}
	memcpy(p, e->time_text, sizeof(e->time_text));
	return p + e->time_len;
}

size_t line_encode(struct line_encoder *e, const struct point *p, char *out)
{
	char *tags_end = put_tags(e, out, p);
	char *end = put_fields(e, tags_end, p);

	if (end == tags_end)
		return 0;
	*end++ = ' ';
	end = put_time(e, end, p->time_ns);
	*end++ = '\n';
	return (size_t)(end - out);
}
