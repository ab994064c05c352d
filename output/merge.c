/* merge.c - see merge.h.
 *
 * A point's identity is a string of bytes, its key: what will be written of its tags and key
 * fields, tags first. Points with the same key are alike; those whose keys begin with the same tags
 * need times of their own. What is left out or folded is not in the key; an address then stays in
 * the record for its class and family only, which are.
 */
#include "output/merge.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/index.h"
#include "common/memory.h"
#include "common/siphash.h"
#include "output/line.h"

enum {
	KINDS = POINT_SELF, /* netflow, dnsflow, httpflow come before it */
	LEVELS = 5,         /* 0: as it is, 1 to 4: merge.h */
	CLASS_MAX = 64,
	PLACES = 5,
	TEXTS_MAX = 20,
	KEY_MAX = 8192, /* three texts of LINE_TEXT_MAX, two of processes, ten of places, and 256 */
	ROOM_PER_POINT = 256,
	ROOM_OTHER = 32 * 1024, /* kept for the keys of levels 1 and 2, and again for 3 and 4 */
};

#define PLACE_TAGS(first)                                                                          \
	(POINT_TAG_BIT(first) | POINT_TAG_BIT((first) + 1) | POINT_TAG_BIT((first) + 2) |          \
	 POINT_TAG_BIT((first) + 3) | POINT_TAG_BIT((first) + 4))
#define KEY_FIELD_TAGS (~0U << POINT_TAG_DOMAIN)

struct record {
	struct point point; /* its texts and places are in the table's room */
	uint64_t key_at;
	uint64_t taken; /* points that it is made of */
	uint32_t key_len, tags_len, hash;
	uint32_t tagset_points; /* while writing: points so far with these tags */
	bool has_place, mixed_place;
};

struct table {
	struct record *records, *spilled;
	struct index index;
	uint32_t n, spill_max;
	uint32_t limit[LEVELS]; /* a new record of this level only while n is below */
	bool folding;
	char *room;
	size_t room_used, room_size;
};

/* A point as it will be written, and its key. */
struct canon {
	struct point point;
	struct geo_info src_geo, dst_geo;
	struct text *texts[TEXTS_MAX]; /* in order of the key ... */
	uint32_t text_at[TEXTS_MAX];   /* ... and where in it */
	size_t ntexts;
	size_t len, tags_len;
	uint32_t hash;
	char key[KEY_MAX];
};

struct merge {
	struct merge_config config;
	struct merge_stats stats;
	uint32_t excluded;
	size_t cap;
	uint64_t last_stamp_ns;
	struct siphash_key key;
	struct table tables[KINDS];
	struct index tagsets;
	struct canon canon; /* scratch */
};

/* --- start
 * ------------------------------------------------------------------------------------------ */

static void set_limits(struct table *t, uint32_t cap)
{
	uint32_t left = cap - 1;

	t->limit[4] = cap;
	t->limit[3] = left;
	left -= left / 4 < 8 ? left / 4 : 8; /* directions times transports times families */
	t->limit[2] = left;
	left -= left / 16;
	t->limit[1] = left;
	left -= left / 8;
	t->limit[0] = left;
	t->spill_max = cap - left;
}

static int table_init(struct table *t, size_t cap)
{
	set_limits(t, (uint32_t)cap);
	t->room_size = cap * ROOM_PER_POINT + 3 * ROOM_OTHER;
	t->records = mem_map(cap, sizeof(*t->records));
	t->spilled = mem_map(t->spill_max, sizeof(*t->spilled));
	t->room = mem_map(t->room_size, 1);
	if (!t->records || !t->spilled || !t->room)
		return -ENOMEM;
	return index_init(&t->index, cap);
}

static uint32_t find_excluded(const struct merge_config *c)
{
	uint32_t mask = 0;
	size_t i;
	int tag;

	for (i = 0; i < c->nexclude; i++)
		for (tag = 0; tag < POINT_TAGS; tag++)
			if (!strcmp(c->exclude[i], line_tag_names[tag]))
				mask |= POINT_TAG_BIT(tag);
	return c->key_fields_as_tags ? mask : mask & ~KEY_FIELD_TAGS;
}

struct merge *merge_new(const struct merge_config *config)
{
	struct merge *m;
	int i, err = 0;

	if (!config->max_points || config->max_points > 1UL << 29) {
		errno = EINVAL;
		return NULL;
	}
	m = calloc(1, sizeof(*m));
	if (!m)
		return NULL;
	m->config = *config;
	m->excluded = find_excluded(config);
	m->config.exclude = NULL;
	m->cap = config->max_points;
	if (config->max_series && config->max_series < m->cap)
		m->cap = config->max_series;
	siphash_key_random(&m->key);
	for (i = 0; i < KINDS && !err; i++)
		err = table_init(&m->tables[i], m->cap);
	if (!err)
		err = index_init(&m->tagsets, m->cap);
	if (err) {
		merge_free(m);
		errno = ENOMEM;
		return NULL;
	}
	return m;
}

void merge_free(struct merge *m)
{
	int i;

	if (!m)
		return;
	for (i = 0; i < KINDS; i++) {
		struct table *t = &m->tables[i];

		index_destroy(&t->index);
		mem_unmap(t->records, m->cap, sizeof(*t->records));
		mem_unmap(t->spilled, t->spill_max, sizeof(*t->spilled));
		mem_unmap(t->room, t->room_size, 1);
	}
	index_destroy(&m->tagsets);
	free(m);
}

const struct merge_stats *merge_stats(const struct merge *m)
{
	return &m->stats;
}

/* --- leaving out and folding
 * ------------------------------------------------------------------------ */

static const struct text other_text = {POINT_OTHER, sizeof(POINT_OTHER) - 1};

/* The five texts of a place, in the order of the tags. */
static struct text *place_text(struct geo_info *g, int i)
{
	struct text *const texts[PLACES] = {&g->country, &g->province, &g->city, &g->isp, &g->asn};

	return texts[i];
}

/* Copies the place without what is left out; NULL where nothing is left. */
static const struct geo_info *cut_place(const struct geo_info *g, struct geo_info *copy,
					uint32_t absent, int first)
{
	bool any = false;
	int i;

	memset(copy, 0, sizeof(*copy));
	if (!g)
		return NULL;
	*copy = *g;
	copy->written = NULL; /* it lives as long as the original, and has all texts */
	for (i = 0; i < PLACES; i++) {
		if (absent & POINT_TAG_BIT(first + i))
			place_text(copy, i)->len = 0;
		any = any || place_text(copy, i)->len;
	}
	return any || copy->has_coordinates ? copy : NULL;
}

/* Level 1: what explodes first. */
static void fold_first(struct point *p)
{
	struct point_side *client = p->incoming ? &p->dst : &p->src;

	if (p->kind == POINT_DNSFLOW && (p->has & POINT_HAS_DOMAIN)) {
		p->u.dnsflow.domain = other_text;
	} else if (p->kind == POINT_HTTPFLOW) {
		p->u.httpflow.path = other_text;
		p->u.httpflow.truncated = false;
	} else if (p->kind == POINT_NETFLOW) {
		p->dst.addr_other = true;
		p->dst_geo = NULL;
		if (p->dst_domain.len)
			p->dst_domain = other_text;
		client->port_other = !client->port_folded;
	}
}

static void fold_remote(struct point *p)
{
	p->dst.addr_other = true;
	p->dst_geo = NULL;
	p->src.port_other = !p->src.port_folded;
	p->dst.port_other = !p->dst.port_folded;
	p->pid = 0;
}

static void fold_all(struct point *p)
{
	p->src.addr_other = true;
	p->src_geo = NULL;
	p->src.port_folded = p->dst.port_folded = false;
	p->src.port_other = p->dst.port_other = true;
	p->process_name.len = p->container_id.len = p->dst_domain.len = 0;
	p->absent |= POINT_TAG_BIT(POINT_TAG_SRC_IP_TYPE) | POINT_TAG_BIT(POINT_TAG_DST_IP_TYPE);
	if (p->kind == POINT_NETFLOW)
		p->absent |= POINT_TAG_BIT(POINT_TAG_CONNECT_ERROR);
	if (p->kind == POINT_DNSFLOW)
		p->absent |= POINT_TAG_BIT(POINT_TAG_RCODE) | POINT_TAG_BIT(POINT_TAG_QUERY_TYPE);
	if (p->kind == POINT_HTTPFLOW)
		p->absent |= POINT_TAG_BIT(POINT_TAG_METHOD) |
			     POINT_TAG_BIT(POINT_TAG_STATUS_CODE) |
			     POINT_TAG_BIT(POINT_TAG_HTTP_VERSION);
}

static void fold(struct point *p, int level)
{
	if (level >= 1)
		fold_first(p);
	if (level >= 2)
		fold_remote(p);
	if (level >= 3)
		fold_all(p);
	if (level >= 4) {
		p->absent |= POINT_TAG_BIT(POINT_TAG_DIRECTION) | POINT_TAG_BIT(POINT_TAG_FAMILY) |
			     POINT_TAG_BIT(POINT_TAG_TRANSPORT);
		p->has &= ~(uint32_t)POINT_HAS_DOMAIN;
	}
}

/* --- keys
 * ------------------------------------------------------------------------------------------- */

/* In a key instead of a number, none of which is that large. */
#define KEY_ABSENT UINT32_MAX
#define KEY_OTHER  (UINT32_MAX - 1)
#define KEY_ANY    (UINT32_MAX - 2)

static void key_bytes(struct canon *c, const void *data, size_t len)
{
	memcpy(c->key + c->len, data, len);
	c->len += len;
}

static void key_number(struct canon *c, uint32_t v)
{
	key_bytes(c, &v, sizeof(v));
}

static bool is_absent(const struct canon *c, enum point_tag tag)
{
	return c->point.absent & POINT_TAG_BIT(tag);
}

/* Alike is what is written alike, not what was left out for the same reason. */
static void key_unless(struct canon *c, enum point_tag tag, uint32_t v)
{
	key_number(c, is_absent(c, tag) ? KEY_ABSENT : v);
}

/* As much of the text as is written. */
static void key_text(struct canon *c, enum point_tag tag, struct text *t)
{
	t->len = t->len && !is_absent(c, tag) ? (uint32_t)line_text_len(tag, t) : 0;
	key_number(c, t->len);
	if (!t->len)
		return;
	c->texts[c->ntexts] = t;
	c->text_at[c->ntexts++] = (uint32_t)c->len;
	key_bytes(c, t->s, t->len);
}

static void key_side(const struct merge *m, struct canon *c, const struct point_side *side,
		     bool src)
{
	const char *class = NULL;
	size_t len;

	if (is_absent(c, src ? POINT_TAG_SRC_PORT : POINT_TAG_DST_PORT))
		key_number(c, KEY_ABSENT);
	else if (side->port_other || side->port_folded)
		key_number(c, side->port_other ? KEY_OTHER : KEY_ANY);
	else
		key_number(c, side->port);
	if (is_absent(c, src ? POINT_TAG_SRC_IP : POINT_TAG_DST_IP)) {
		key_number(c, KEY_ABSENT);
	} else if (side->addr_other) {
		key_number(c, KEY_OTHER);
	} else {
		key_number(c, 0);
		key_bytes(c, side->addr.b, sizeof(side->addr.b));
	}
	if (m->config.address_class &&
	    !is_absent(c, src ? POINT_TAG_SRC_IP_TYPE : POINT_TAG_DST_IP_TYPE))
		class = m->config.address_class(&side->addr);
	len = class ? strlen(class) : 0;
	len = len < CLASS_MAX ? len : CLASS_MAX;
	key_number(c, (uint32_t)len);
	if (len)
		key_bytes(c, class, len);
}

static void key_tags(const struct merge *m, struct canon *c)
{
	struct point *p = &c->point;
	bool v4 = addr_is_v4(&p->src.addr) && addr_is_v4(&p->dst.addr);
	int i;

	key_unless(c, POINT_TAG_DIRECTION, p->incoming);
	key_unless(c, POINT_TAG_FAMILY, v4);
	key_unless(c, POINT_TAG_TRANSPORT, p->transport);
	key_side(m, c, &p->src, true);
	key_side(m, c, &p->dst, false);
	key_number(c, p->pid);
	key_text(c, POINT_TAG_PROCESS_NAME, &p->process_name);
	key_text(c, POINT_TAG_CONTAINER_ID, &p->container_id);
	key_text(c, POINT_TAG_DST_DOMAIN, &p->dst_domain);
	for (i = 0; i < PLACES; i++)
		key_text(c, (enum point_tag)(POINT_TAG_SRC_COUNTRY + i),
			 place_text(&c->src_geo, i));
	for (i = 0; i < PLACES; i++)
		key_text(c, (enum point_tag)(POINT_TAG_DST_COUNTRY + i),
			 place_text(&c->dst_geo, i));
}

/* As fields an empty text is not the same as none; as tags both are absent. */
static void key_dns_fields(struct canon *c, bool as_tags)
{
	struct point_dnsflow *d = &c->point.u.dnsflow;
	bool type = (c->point.has & POINT_HAS_QUERY_TYPE) && !is_absent(c, POINT_TAG_QUERY_TYPE);

	if (!(c->point.has & POINT_HAS_DOMAIN))
		d->domain.len = 0;
	key_number(c, (uint32_t)(type | (!as_tags && (c->point.has & POINT_HAS_DOMAIN)) << 1));
	key_unless(c, POINT_TAG_RCODE, (uint32_t)d->rcode & 0xffff);
	key_number(c, type ? d->query_type : 0);
	key_text(c, POINT_TAG_DOMAIN, &d->domain);
}

static void key_http_fields(struct canon *c, bool as_tags)
{
	struct point_httpflow *h = &c->point.u.httpflow;

	key_unless(c, POINT_TAG_STATUS_CODE, h->status_code);
	key_unless(c, POINT_TAG_HTTP_VERSION,
		   h->version <= 1 ? h->version
		   : as_tags       ? KEY_ABSENT
				   : 2);
	key_text(c, POINT_TAG_METHOD, &h->method);
	key_text(c, POINT_TAG_PATH, &h->path);
}

static void key_fields(const struct merge *m, struct canon *c)
{
	if (c->point.kind == POINT_NETFLOW)
		key_number(c, c->point.u.netflow.connect_error);
	if (c->point.kind == POINT_DNSFLOW)
		key_dns_fields(c, m->config.key_fields_as_tags);
	if (c->point.kind == POINT_HTTPFLOW)
		key_http_fields(c, m->config.key_fields_as_tags);
}

/* Make m->canon of a point. */
static struct canon *canonise(struct merge *m, const struct point *p, int level)
{
	struct canon *c = &m->canon;

	c->point = *p;
	c->point.absent |= m->excluded;
	c->len = c->ntexts = 0;
	fold(&c->point, level);
	c->point.src_geo =
	    cut_place(c->point.src_geo, &c->src_geo, c->point.absent, POINT_TAG_SRC_COUNTRY);
	c->point.dst_geo =
	    cut_place(c->point.dst_geo, &c->dst_geo, c->point.absent, POINT_TAG_DST_COUNTRY);
	if (is_absent(c, POINT_TAG_PID) || p->kind != POINT_NETFLOW)
		c->point.pid = 0;
	if (p->kind != POINT_NETFLOW)
		c->point.process_name.len = c->point.container_id.len = c->point.dst_domain.len = 0;
	if (p->kind == POINT_HTTPFLOW && is_absent(c, POINT_TAG_PATH))
		c->point.u.httpflow.truncated = false;
	if (p->kind == POINT_NETFLOW && is_absent(c, POINT_TAG_CONNECT_ERROR)) {
		c->point.has &= ~(uint32_t)POINT_HAS_CONNECT_ERROR; /* a failure as any other */
		c->point.u.netflow.connect_error = 0;
	}
	key_tags(m, c);
	if (m->config.key_fields_as_tags)
		key_fields(m, c);
	c->tags_len = c->len;
	if (!m->config.key_fields_as_tags)
		key_fields(m, c);
	if (p->kind == POINT_HTTPFLOW)
		key_number(c, c->point.u.httpflow.truncated);
	c->hash = (uint32_t)siphash_1_3(&m->key, c->key, c->len);
	return c;
}

/* --- adding up
 * -------------------------------------------------------------------------------------- */

static void add_netflow(struct point_netflow *to, const struct point_netflow *n)
{
	to->bytes_read += n->bytes_read;
	to->bytes_written += n->bytes_written;
	to->packets_read += n->packets_read;
	to->packets_written += n->packets_written;
	to->retransmits += n->retransmits;
	to->retransmits_peer += n->retransmits_peer;
	to->tcp_established += n->tcp_established;
	to->tcp_closed += n->tcp_closed;
	to->tcp_syn_retransmits += n->tcp_syn_retransmits;
	to->tcp_connect_failed += n->tcp_connect_failed;
	to->tcp_resets += n->tcp_resets;
	to->rtt_samples += n->rtt_samples;
	to->rtt_sum_us += n->rtt_sum_us;
	to->rtt_var_sum_us += n->rtt_var_sum_us;
	to->connects += n->connects;
	to->connect_sum_ns += n->connect_sum_ns;
	if (to->rtt_samples) {
		to->rtt_us = to->rtt_sum_us / to->rtt_samples;
		to->rtt_var_us = to->rtt_var_sum_us / to->rtt_samples;
	}
	if (to->connects)
		to->connect_latency_us = to->connect_sum_ns / to->connects / 1000;
}

#define ADD_LATENCY(to, from)                                                                      \
	do {                                                                                       \
		(to)->answered += (from)->answered;                                                \
		(to)->latency_sum_ns += (from)->latency_sum_ns;                                    \
		if ((from)->latency_max_ns > (to)->latency_max_ns)                                 \
			(to)->latency_max_ns = (from)->latency_max_ns;                             \
		if ((to)->answered)                                                                \
			(to)->latency_ns = (to)->latency_sum_ns / (to)->answered;                  \
	} while (0)

/* Of a connect error's point nothing but the failures is measured. */
static void clear_connect_error(struct point *p)
{
	struct point_netflow *n = &p->u.netflow, clean;

	if (!(p->has & POINT_HAS_TCP))
		p->has &= ~(uint32_t)POINT_HAS_CONNECT_ERROR;
	if (!(p->has & POINT_HAS_CONNECT_ERROR)) {
		n->connect_error = 0;
		return;
	}
	memset(&clean, 0, sizeof(clean));
	clean.tcp_connect_failed = n->tcp_connect_failed;
	clean.connect_error = n->connect_error;
	*n = clean;
	p->has = POINT_HAS_TCP | POINT_HAS_CONNECT_ERROR;
}

/* What was not measured counts as nothing, whatever is in its place. */
static void clear_unmeasured(struct point *p)
{
	struct point_netflow *n = &p->u.netflow;

	if (p->kind == POINT_NETFLOW) {
		clear_connect_error(p);
		if (!(p->has & POINT_HAS_RETRANSMITS_PEER))
			n->retransmits_peer = 0;
		if (!(p->has & POINT_HAS_TCP))
			n->retransmits = n->retransmits_peer = n->tcp_established = n->tcp_closed =
			    n->tcp_syn_retransmits = n->tcp_connect_failed = n->tcp_resets = 0;
		if (!(p->has & POINT_HAS_RTT))
			n->rtt_samples = n->rtt_sum_us = n->rtt_var_sum_us = 0;
		if (!(p->has & POINT_HAS_CONNECT_LATENCY))
			n->connects = n->connect_sum_ns = 0;
	} else if (!(p->has & POINT_HAS_LATENCY)) {
		struct point_dnsflow *d = &p->u.dnsflow;
		struct point_httpflow *h = &p->u.httpflow;

		if (p->kind == POINT_DNSFLOW)
			d->answered = d->latency_sum_ns = d->latency_max_ns = 0;
		else
			h->answered = h->latency_sum_ns = h->latency_max_ns = 0;
	}
}

/* Points of several places (their addresses are left out) have none. */
static void add_place(struct record *r, const struct point *p)
{
	const struct geo_info *g = p->dst_geo, *own = r->point.dst_geo;
	bool has = g && g->has_coordinates;

	if (has != r->has_place || (has && own && (g->lat != own->lat || g->lon != own->lon)))
		r->mixed_place = true;
}

static void record_add(struct record *r, const struct point *p, uint64_t taken)
{
	const uint32_t identity = POINT_HAS_DOMAIN | POINT_HAS_QUERY_TYPE | POINT_HAS_CONNECT_ERROR;

	r->taken += taken;
	r->point.has |= p->has & ~identity;
	if (p->kind == POINT_NETFLOW) {
		add_netflow(&r->point.u.netflow, &p->u.netflow);
		add_place(r, p);
	} else if (p->kind == POINT_DNSFLOW) {
		r->point.u.dnsflow.count += p->u.dnsflow.count;
		r->point.u.dnsflow.retries += p->u.dnsflow.retries;
		ADD_LATENCY(&r->point.u.dnsflow, &p->u.dnsflow);
	} else {
		r->point.u.httpflow.count += p->u.httpflow.count;
		ADD_LATENCY(&r->point.u.httpflow, &p->u.httpflow);
	}
}

/* --- the table
 * -------------------------------------------------------------------------------------- */

static struct record *find(const struct table *t, const struct canon *c)
{
	uint32_t at, n;

	INDEX_FIND(&t->index, c->hash, at, n)
	{
		struct record *r = &t->records[n];

		if (r->key_len == c->len && !memcmp(t->room + r->key_at, c->key, c->len))
			return r;
	}
	return NULL;
}

static struct geo_info *keep_place(struct table *t, const struct geo_info *g)
{
	struct geo_info *copy = (struct geo_info *)(void *)(t->room + t->room_used);

	*copy = *g;
	t->room_used += sizeof(*copy);
	return copy;
}

static size_t room_needed(const struct canon *c)
{
	return ((c->len + 7) & ~(size_t)7) + (c->point.src_geo ? sizeof(struct geo_info) : 0) +
	       (c->point.dst_geo ? sizeof(struct geo_info) : 0);
}

/* Until something is folded, points as they are may fill the table. */
static bool fits(const struct merge *m, const struct table *t, const struct canon *c, int level)
{
	size_t kept = level == 0 ? 2 * ROOM_OTHER : level < 3 ? ROOM_OTHER : 0;

	if (level == 0 ? t->folding || t->n >= m->cap : t->n >= t->limit[level])
		return false;
	return t->room_used + room_needed(c) + kept <= t->room_size;
}

/* The canon's key goes to the table's room, and its texts are those inside the key. */
static void insert(struct table *t, struct canon *c, uint64_t taken)
{
	struct record *r = &t->records[t->n];
	char *key = t->room + t->room_used;
	size_t i;

	memcpy(key, c->key, c->len);
	for (i = 0; i < c->ntexts; i++)
		c->texts[i]->s = key + c->text_at[i];
	r->key_at = t->room_used;
	t->room_used += (c->len + 7) & ~(size_t)7;
	r->key_len = (uint32_t)c->len;
	r->tags_len = (uint32_t)c->tags_len;
	r->hash = c->hash;
	r->taken = taken;
	r->point = c->point;
	if (c->point.src_geo)
		r->point.src_geo = keep_place(t, &c->src_geo);
	if (c->point.dst_geo)
		r->point.dst_geo = keep_place(t, &c->dst_geo);
	r->has_place = c->point.dst_geo && c->point.dst_geo->has_coordinates;
	r->mixed_place = false;
	index_insert(&t->index, c->hash, t->n++);
}

static bool take(struct merge *m, struct table *t, const struct point *p, int level, uint64_t taken)
{
	struct canon *c = canonise(m, p, level);
	struct record *r = find(t, c);

	if (r) {
		record_add(r, &c->point, taken);
		return true;
	}
	if (!fits(m, t, c, level))
		return false;
	insert(t, c, taken);
	return true;
}

static void take_folded(struct merge *m, struct table *t, const struct point *p, uint64_t taken)
{
	int level;

	m->stats.series_limited += taken;
	for (level = 1; level < LEVELS; level++)
		if (take(m, t, p, level, taken))
			return;
}

/* One more than there is room for: those that were seen last give way to the folded ones. */
static void begin_folding(struct merge *m, struct table *t)
{
	uint32_t i, n = 0;

	t->folding = true;
	if (t->n > t->limit[0]) {
		n = t->n - t->limit[0];
		memcpy(t->spilled, t->records + t->limit[0], n * sizeof(*t->spilled));
		for (i = 0; i < n; i++)
			index_remove(&t->index, t->spilled[i].hash, t->limit[0] + i);
		t->n = t->limit[0];
	}
	for (i = 0; i < n; i++)
		take_folded(m, t, &t->spilled[i].point, t->spilled[i].taken);
}

static void put_point(void *ctx, const struct point *p)
{
	struct merge *m = ctx;
	struct table *t;
	struct point clean;

	if (p->kind >= POINT_SELF) {
		m->config.next.put(m->config.next.ctx, p);
		return;
	}
	m->stats.taken++;
	t = &m->tables[p->kind];
	clean = *p;
	clear_unmeasured(&clean);
	if (take(m, t, &clean, 0, 1))
		return;
	if (!t->folding)
		begin_folding(m, t);
	take_folded(m, t, &clean, 1);
}

/* --- the end of a cycle
 * ----------------------------------------------------------------------------- */

/* How many points before this one have its tags. */
static uint32_t next_ordinal(struct merge *m, struct table *t, uint32_t n)
{
	struct record *r = &t->records[n];
	const char *key = t->room + r->key_at;
	uint32_t hash = (uint32_t)siphash_1_3(&m->key, key, r->tags_len), at, first;

	INDEX_FIND(&m->tagsets, hash, at, first)
	{
		struct record *f = &t->records[first];

		if (f->tags_len == r->tags_len && !memcmp(t->room + f->key_at, key, r->tags_len))
			return f->tagset_points++;
	}
	r->tagset_points = 1;
	index_insert(&m->tagsets, hash, n);
	return 0;
}

static void write_table(struct merge *m, struct table *t, uint64_t base_ns)
{
	struct geo_info place;
	uint32_t i;

	for (i = 0; i < t->n; i++) {
		struct point *p = &t->records[i].point;

		p->time_ns = base_ns;
		/* plain netflow points have tags of their own: only connect errors share them */
		if (p->kind != POINT_NETFLOW)
			p->time_ns += next_ordinal(m, t, i);
		else if (p->has & POINT_HAS_CONNECT_ERROR)
			p->time_ns += 1 + next_ordinal(m, t, i);
		if (t->records[i].mixed_place && p->dst_geo) {
			place = *p->dst_geo;
			place.has_coordinates = false;
			p->dst_geo = &place;
		}
		if (p->time_ns > m->last_stamp_ns)
			m->last_stamp_ns = p->time_ns;
		m->config.next.put(m->config.next.ctx, p);
	}
	m->stats.written += t->n;
	t->n = 0;
	t->room_used = 0;
	t->folding = false;
	index_clear(&t->index);
	index_clear(&m->tagsets);
}

static void end_cycle(void *ctx, uint64_t cycle_end_ns)
{
	struct merge *m = ctx;
	uint64_t base_ns = cycle_end_ns;
	int i;

	/* more points than before may share their tags: their times may go beyond the next cycle's
	 */
	if (base_ns <= m->last_stamp_ns)
		base_ns = m->last_stamp_ns + 1;
	m->last_stamp_ns = base_ns;
	for (i = 0; i < KINDS; i++)
		write_table(m, &m->tables[i], base_ns);
	m->config.next.end(m->config.next.ctx, base_ns);
}

struct point_sink merge_sink(struct merge *m)
{
	struct point_sink sink = {.put = put_point, .end = end_cycle, .ctx = m};

	return sink;
}
