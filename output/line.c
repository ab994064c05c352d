/* line.c - points as InfluxDB line protocol: measurement, sorted tags, fields, timestamp.
 *
 * The tags of a kind of point are worked out once (tags.h); a point without pid, names and places
 * has a program of its own, so that it does not pay for them. The fields of a kind are few and have
 * a fixed order, so they are plain code.
 */
#include "output/line.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/errno_name.h"
#include "flows/dns.h"
#include "output/escape.h"
#include "output/format.h"
#include "output/tags.h"

enum {
	CLASSES_MAX = 8,
	CLASS_TEXT_MAX = 64,
	COORDINATE_DIGITS = 6, /* of a degree: 0.1 m */
	SELF_FIELDS_BYTES = 16 * 1024,
	SELF_OUTPUT_MOST = 256,
	/* All that is not constant text. The most is a POINT_SELF: two texts and its fields;
	 * another kind has two texts (method and path), two of processes and ten of places.
	 * Addresses, numbers and names of fields: 2 KiB are more than enough. */
	DYNAMIC_MAX = 2 * ESCAPE_GROWTH * LINE_TEXT_MAX + SELF_FIELDS_BYTES + 2048,
};

/* Without the hint compilers lay out the rare case in the way of the others: 10 ns per point. */
#define LIKELY(x) __builtin_expect(!!(x), 1)

struct class_text {
	const char *name; /* as address_class() gave it: known again by its address */
	size_t len;
	char text[ESCAPE_GROWTH * CLASS_TEXT_MAX + TAG_COPY_STEP];
};

struct octet_text {
	char digits[3];
	uint8_t len;
};

struct line_encoder {
	struct tag_program programs[POINT_KINDS][TAGS_EXTRAS];
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

static int make_programs(struct line_encoder *e, const struct line_config *c)
{
	size_t constant = 0, most = 0;
	int i, err = 0;

	for (i = 0; i < POINT_KINDS * TAGS_EXTRAS && !err; i++) {
		err = tag_program_make(&e->programs[i / TAGS_EXTRAS][i % TAGS_EXTRAS], c,
				       (enum point_kind)(i / TAGS_EXTRAS),
				       (unsigned int)i % TAGS_EXTRAS, &constant);
		if (!err && constant > most)
			most = constant;
	}
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
	int i;

	if (!e)
		return;
	for (i = 0; i < POINT_KINDS * TAGS_EXTRAS; i++)
		tag_program_free(&e->programs[i / TAGS_EXTRAS][i % TAGS_EXTRAS]);
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
		memcpy(p + i, s + i, TAG_COPY_STEP);
		i += TAG_COPY_STEP;
	} while (i < len);
	return p + len;
}

static inline char *put_octet(char *p, const struct octet_text *o)
{
	memcpy(p, o->digits, sizeof(o->digits));
	return p + o->len;
}

static inline char *put_address(const struct line_encoder *e, char *p,
				const struct point_side *side)
{
	const struct ip_addr *a = &side->addr;

	if (side->addr_other)
		return PUT(p, POINT_OTHER);
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
	if (side->port_other)
		return PUT(p, POINT_OTHER);
	if (!side->port_folded)
		return format_u64(p, side->port);
	*p = '*';
	return p + 1;
}

static size_t text_cut(const char *s, size_t len, size_t most)
{
	size_t back = 0;

	if (len <= most)
		return len;
	while (back < 3 && ((unsigned char)s[most - back] & 0xc0) == 0x80)
		back++;
	return most - back;
}

size_t line_text_len(enum point_tag tag, const struct text *t)
{
	if (tag == POINT_TAG_PROCESS_NAME || tag == POINT_TAG_CONTAINER_ID)
		return text_cut(t->s, t->len, LINE_PROCESS_MAX);
	if (tag >= POINT_TAG_SRC_COUNTRY && tag <= POINT_TAG_DST_ASN)
		return text_cut(t->s, t->len, LINE_PLACE_MAX);
	return text_cut(t->s, t->len, LINE_TEXT_MAX);
}

static char *put_text(char *p, enum point_tag tag, const struct text *t)
{
	return escape_put(p, ESCAPE_TAG, t->s, line_text_len(tag, t));
}

static char *put_string(char *p, const struct text *t)
{
	*p++ = '"';
	p = escape_put(p, ESCAPE_STRING, t->s, text_cut(t->s, t->len, LINE_TEXT_MAX));
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

static char *put_connect_error(char *p, const struct point *pt)
{
	if (!(pt->has & POINT_HAS_CONNECT_ERROR))
		return p;
	return p + errno_name(pt->u.netflow.connect_error, p);
}

static char *put_self_tag(char *p, const char *s, size_t most)
{
	return s ? escape_put(p, ESCAPE_TAG, s, text_cut(s, strlen(s), most)) : p;
}

static char *put_place(char *p, int slot, const struct geo_info *g, int i)
{
	const struct text *const texts[GEO_TEXTS] = {&g->country, &g->province, &g->city, &g->isp,
						     &g->asn};

	return texts[i]->len ? put_text(p, (enum point_tag)slot, texts[i]) : p;
}

/* Most places are shorter than two steps: copied whole, because how many it would take is hard to
 * guess. */
static inline char *put_written(char *p, const struct geo_written *w, int i)
{
	const char *s = w->bytes + w->at[i];
	size_t len = w->len[i];

	memcpy(p, s, GEO_WRITTEN_PAD);
	if (!LIKELY(len <= GEO_WRITTEN_PAD))
		memcpy(p + GEO_WRITTEN_PAD, s + GEO_WRITTEN_PAD, len - GEO_WRITTEN_PAD);
	return p + len;
}

/* The i-th of a place's slots. */
static inline char *put_place_slot(char *p, int slot, const struct geo_info *g, int i)
{
	if (!g)
		return p;
	return LIKELY(g->written) ? put_written(p, g->written, i) : put_place(p, slot, g, i);
}

/* The slots that only netflow points have. */
static char *put_process_slot(char *p, int slot, const struct point *pt)
{
	const struct text *t = slot == POINT_TAG_PROCESS_NAME   ? &pt->process_name
			       : slot == POINT_TAG_CONTAINER_ID ? &pt->container_id
								: &pt->dst_domain;

	if (slot == POINT_TAG_PID)
		return pt->pid ? format_u64(p, pt->pid) : p;
	return t->len ? put_text(p, (enum point_tag)slot, t) : p;
}

/* The slots that few points have. */
static char *put_rare_slot(char *p, int slot, const struct point *pt)
{
	switch (slot) {
	case POINT_TAG_RCODE:
		return format_i32(p, pt->u.dnsflow.rcode);
	case POINT_TAG_DOMAIN:
		if (!(pt->has & POINT_HAS_DOMAIN))
			return p;
		return put_text(p, POINT_TAG_DOMAIN, &pt->u.dnsflow.domain);
	case POINT_TAG_QUERY_TYPE:
		if (!(pt->has & POINT_HAS_QUERY_TYPE))
			return p;
		return put_query_type(p, pt->u.dnsflow.query_type);
	case POINT_TAG_METHOD:
		return put_text(p, POINT_TAG_METHOD, &pt->u.httpflow.method);
	case POINT_TAG_PATH:
		return put_text(p, POINT_TAG_PATH, &pt->u.httpflow.path);
	case POINT_TAG_STATUS_CODE:
		return format_u64(p, pt->u.httpflow.status_code);
	case POINT_TAG_HTTP_VERSION:
		return put_http_version(p, pt->u.httpflow.version);
	case POINT_TAG_CONNECT_ERROR:
		return put_connect_error(p, pt);
	case TAG_SELF_WORKER:
		return put_self_tag(p, pt->u.self.worker, LINE_TEXT_MAX);
	case TAG_SELF_SOURCE:
		return put_self_tag(p, pt->u.self.source, LINE_TEXT_MAX);
	case TAG_SELF_OUTPUT:
		return put_self_tag(p, pt->u.self.output, SELF_OUTPUT_MOST);
	case TAG_CONSTANT:
		return p;
	default:
		return put_process_slot(p, slot, pt);
	}
}

static inline char *put_slot(struct line_encoder *e, char *p, int slot, const struct point *pt)
{
	switch (slot) {
	case POINT_TAG_DIRECTION:
		return pt->incoming ? PUT(p, "incoming") : PUT(p, "outgoing");
	case POINT_TAG_FAMILY:
		return put_family(p, pt);
	case POINT_TAG_TRANSPORT:
		return put_transport(p, pt->transport);
	case POINT_TAG_SRC_IP:
		return put_address(e, p, &pt->src);
	case POINT_TAG_SRC_PORT:
		return put_port(p, &pt->src);
	case POINT_TAG_SRC_IP_TYPE:
		return put_class(e, p, &pt->src.addr);
	case POINT_TAG_DST_IP:
		return put_address(e, p, &pt->dst);
	case POINT_TAG_DST_PORT:
		return put_port(p, &pt->dst);
	case POINT_TAG_DST_IP_TYPE:
		return put_class(e, p, &pt->dst.addr);
	case POINT_TAG_SRC_COUNTRY:
	case POINT_TAG_SRC_PROVINCE:
	case POINT_TAG_SRC_CITY:
	case POINT_TAG_SRC_ISP:
	case POINT_TAG_SRC_ASN:
		return put_place_slot(p, slot, pt->src_geo, slot - POINT_TAG_SRC_COUNTRY);
	case POINT_TAG_DST_COUNTRY:
	case POINT_TAG_DST_PROVINCE:
	case POINT_TAG_DST_CITY:
	case POINT_TAG_DST_ISP:
	case POINT_TAG_DST_ASN:
		return put_place_slot(p, slot, pt->dst_geo, slot - POINT_TAG_DST_COUNTRY);
	default:
		return put_rare_slot(p, slot, pt);
	}
}

/* Whether isp or asn of a place have to be looked at. */
static inline bool may_have_as(const struct geo_info *g)
{
	const struct geo_written *w = g->written;

	return !LIKELY(w) || (w->len[POINT_TAG_DST_ISP - POINT_TAG_DST_COUNTRY] |
			      w->len[POINT_TAG_DST_ASN - POINT_TAG_DST_COUNTRY]);
}

/* TAGS_... bits. */
static inline unsigned int extras_of(const struct point *pt)
{
	bool process = pt->pid | pt->process_name.len | pt->container_id.len | pt->dst_domain.len;
	bool as = false;

	if (pt->src_geo)
		as = may_have_as(pt->src_geo);
	if (pt->dst_geo)
		as |= may_have_as(pt->dst_geo);
	return (unsigned int)process * TAGS_PROCESS + (pt->src_geo != NULL) * TAGS_SRC_PLACE +
	       (pt->dst_geo != NULL) * TAGS_DST_PLACE + (unsigned int)as * TAGS_AS;
}

static char *put_tags(struct line_encoder *e, char *p, const struct point *pt)
{
	const struct tag_program *prog = &e->programs[pt->kind][extras_of(pt)];
	const struct tag_piece *piece, *end = prog->pieces + prog->n;
	uint64_t absent = pt->absent; /* of 64 bits, because slots go beyond POINT_TAGS */
	char *q;

	for (piece = prog->pieces; piece < end; piece++) {
		p = put_padded(p, piece->text, piece->len);
		q = p;
		if (LIKELY(!(absent >> piece->slot & 1)))
			q = put_slot(e, p, piece->slot, pt);
		p = q == p ? p - piece->key_len : q;
	}
	return p;
}

/* --- Fields ----------------------------------------------------------------------------------- */

#define PUT_COUNT(p, name, v) format_count(PUT(p, name "="), v)

/* Degrees as a float field; nothing for what are none (also NaN, which compares as nothing). */
static char *put_degrees(char *p, const char *name, double degrees, double most)
{
	char digits[COORDINATE_DIGITS];
	uint32_t units, part;
	int i;

	if (!(degrees >= -most && degrees <= most))
		return p;
	p = put_bytes(p, name, strlen(name));
	units = (uint32_t)((degrees < 0 ? -degrees : degrees) * 1e6 + 0.5);
	if (degrees < 0 && units)
		*p++ = '-';
	p = format_u64(p, units / 1000000);
	*p++ = '.';
	part = units % 1000000;
	for (i = COORDINATE_DIGITS; i-- > 0; part /= 10)
		digits[i] = (char)('0' + part % 10);
	for (i = COORDINATE_DIGITS; i > 1 && digits[i - 1] == '0';)
		i--;
	return put_bytes(p, digits, (size_t)i);
}

static bool is_there(const struct point *pt, enum point_tag tag)
{
	return LIKELY(!(pt->absent & POINT_TAG_BIT(tag)));
}

static char *put_failed(char *p, const struct point *pt, bool key_fields)
{
	p = PUT_COUNT(p, " tcp_connect_failed", pt->u.netflow.tcp_connect_failed);
	if (key_fields && is_there(pt, POINT_TAG_CONNECT_ERROR)) {
		p = put_connect_error(PUT(p, ",connect_error=\""), pt);
		*p++ = '"';
	}
	return p;
}

static char *put_netflow(char *p, const struct point *pt, bool key_fields)
{
	const struct point_netflow *n = &pt->u.netflow;

	if (!LIKELY(!(pt->has & POINT_HAS_CONNECT_ERROR)))
		return put_failed(p, pt, key_fields);
	p = PUT_COUNT(p, " bytes_read", n->bytes_read);
	p = PUT_COUNT(p, ",bytes_written", n->bytes_written);
	p = PUT_COUNT(p, ",packets_read", n->packets_read);
	p = PUT_COUNT(p, ",packets_written", n->packets_written);
	if (pt->has & POINT_HAS_TCP) {
		p = PUT_COUNT(p, ",retransmits", n->retransmits);
		if (LIKELY(pt->has & POINT_HAS_RETRANSMITS_PEER))
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
	if (pt->dst_geo && pt->dst_geo->has_coordinates) {
		p = put_degrees(p, ",dst_lat=", pt->dst_geo->lat, 90);
		p = put_degrees(p, ",dst_lon=", pt->dst_geo->lon, 180);
	}
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
		if (is_there(pt, POINT_TAG_RCODE)) {
			p = format_i32(PUT(p, ",rcode="), d->rcode);
			*p++ = 'i';
		}
		if ((pt->has & POINT_HAS_DOMAIN) && is_there(pt, POINT_TAG_DOMAIN))
			p = put_string(PUT(p, ",domain="), &d->domain);
		if ((pt->has & POINT_HAS_QUERY_TYPE) && is_there(pt, POINT_TAG_QUERY_TYPE)) {
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
		if (is_there(pt, POINT_TAG_METHOD))
			p = put_string(PUT(p, ",method="), &h->method);
		if (is_there(pt, POINT_TAG_PATH))
			p = put_string(PUT(p, ",path="), &h->path);
		if (is_there(pt, POINT_TAG_STATUS_CODE))
			p = PUT_COUNT(p, ",status_code", h->status_code);
		if (is_there(pt, POINT_TAG_HTTP_VERSION)) {
			p = put_http_version(PUT(p, ",http_version=\""), h->version);
			*p++ = '"';
		}
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
		return put_netflow(p, pt, !e->key_fields_as_tags);
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
