/* layout.c - where a GeoIP database keeps what, see layout.h.
 *
 * The places are those of: MaxMind's GeoIP2 and GeoLite2 City, Country, Enterprise, ASN, ISP
 * (https://dev.maxmind.com/geoip/docs/databases), DB-IP's and IP2Location's mmdb files (both
 * arranged as MaxMind's), ip-location-db's flat files (https://github.com/sapics/ip-location-db),
 * IPinfo's (https://ipinfo.io/developers/database-types). A place counts only where its value
 * makes sense there: IPinfo's Lite file has the country's name under "country", others have the
 * code.
 */
#include "geoip/layout.h"

#include <stdlib.h>
#include <string.h>

const char *const geo_field_names[GEO_FIELDS] = {"country", "province", "city", "isp",
						 "asn",     "lat",      "lon"};

/* A path of keys, separated by dots; an array's first element is "0"; %L is the language. */
struct place {
	enum geo_field field;
	const char *path;
};

/* Best first, per field. At most 64. */
static const struct place places[] = {
    {GEO_COUNTRY, "country.iso_code"},
    {GEO_COUNTRY, "country_code"},
    {GEO_COUNTRY, "country_iso_code"},
    {GEO_COUNTRY, "country.code"},
    {GEO_COUNTRY, "country"},
    {GEO_COUNTRY, "geo.country_code"},
    {GEO_PROVINCE, "subdivisions.0.names.%L"},
    {GEO_PROVINCE, "subdivisions.0.names.en"},
    {GEO_PROVINCE, "state1"},
    {GEO_PROVINCE, "region_name"},
    {GEO_PROVINCE, "province"},
    {GEO_PROVINCE, "region"},
    {GEO_PROVINCE, "state"},
    {GEO_PROVINCE, "stateprov"},
    {GEO_PROVINCE, "geo.region"},
    {GEO_CITY, "city.names.%L"},
    {GEO_CITY, "city.names.en"},
    {GEO_CITY, "city_name"},
    {GEO_CITY, "city.name"},
    {GEO_CITY, "city"},
    {GEO_CITY, "geo.city"},
    {GEO_ISP, "autonomous_system_organization"},
    {GEO_ISP, "traits.autonomous_system_organization"},
    {GEO_ISP, "as_name"},
    {GEO_ISP, "asn.name"},
    {GEO_ISP, "as.name"},
    {GEO_ISP, "as_organization"},
    {GEO_ISP, "as_org"},
    {GEO_ISP, "isp"},
    {GEO_ISP, "traits.isp"},
    {GEO_ISP, "organization"},
    {GEO_ISP, "org"},
    {GEO_ASN, "autonomous_system_number"},
    {GEO_ASN, "traits.autonomous_system_number"},
    {GEO_ASN, "as_number"},
    {GEO_ASN, "asn.asn"},
    {GEO_ASN, "as.asn"},
    {GEO_ASN, "asn"},
    {GEO_LAT, "location.latitude"},
    {GEO_LAT, "latitude"},
    {GEO_LAT, "lat"},
    {GEO_LAT, "geo.latitude"},
    {GEO_LON, "location.longitude"},
    {GEO_LON, "longitude"},
    {GEO_LON, "lng"},
    {GEO_LON, "lon"},
    {GEO_LON, "geo.longitude"},
};

enum { PLACES = sizeof(places) / sizeof(places[0]), DEPTH_MAX = 8 };

static unsigned int find_child(const struct layout *l, unsigned int parent, const void *key,
			       size_t len)
{
	unsigned int i;

	for (i = l->nodes[parent].child; i; i = l->nodes[i].sibling)
		if (l->nodes[i].len == len && l->nodes[i].key[0] == *(const char *)key &&
		    !memcmp(l->nodes[i].key, key, len))
			return i;
	return 0;
}

static unsigned int add_child(struct layout *l, unsigned int parent, const char *key, size_t len)
{
	unsigned int i = find_child(l, parent, key, len);
	struct layout_node *node;

	if (i)
		return i;
	if (l->n == LAYOUT_NODES_MAX || len > LAYOUT_KEY_MAX)
		return 0; /* the tests see to it that the list fits */
	i = l->n++;
	node = &l->nodes[i];
	memset(node, 0, sizeof(*node));
	memcpy(node->key, key, len);
	node->len = (uint8_t)len;
	node->sibling = l->nodes[parent].child;
	l->nodes[parent].child = (uint8_t)i;
	return i;
}

static void add_place(struct layout *l, unsigned int number)
{
	const char *at = places[number].path;
	unsigned int node = 0;

	while (*at) {
		size_t len = strcspn(at, ".");

		if (len == 2 && !memcmp(at, "%L", 2))
			node = add_child(l, node, l->language, strlen(l->language));
		else
			node = add_child(l, node, at, len);
		if (!node)
			return;
		l->nodes[node].fields |= (uint8_t)(1u << places[number].field);
		at += len;
		at += *at == '.';
	}
	/* with the language "en" two places are one */
	if (!l->nodes[node].place)
		l->nodes[node].place = (uint8_t)(number + 1);
	l->fields |= 1u << places[number].field;
}

void layout_settle(struct layout *l, uint64_t keep)
{
	unsigned int i;

	memset(l->nodes, 0, sizeof(l->nodes[0]));
	memset(l->memos, 0, sizeof(l->memos));
	l->n = 1;
	l->fields = 0;
	for (i = 0; i < PLACES; i++)
		if (keep >> i & 1)
			add_place(l, i);
}

void layout_init(struct layout *l, const char *language)
{
	size_t len = language ? strlen(language) : 0;

	memset(l, 0, sizeof(*l));
	if (!len || len > LAYOUT_LANGUAGE_MAX) {
		language = "en";
		len = 2;
	}
	memcpy(l->language, language, len);
	layout_settle(l, ~0ULL);
}

/* ---- one field's value */

static bool is_digit(uint8_t c)
{
	return c >= '0' && c <= '9';
}

/* "AS64500", "64500", "AS64500 Example Ltd": the number, and where the rest begins. */
static bool parse_asn(const struct mmdb_value *v, uint32_t *asn, uint32_t *rest)
{
	uint64_t n = 0;
	uint32_t i = 0, first;

	if (v->size >= 2 && (v->p[0] | 32) == 'a' && (v->p[1] | 32) == 's')
		i = 2;
	for (first = i; i < v->size && i < first + 10 && is_digit(v->p[i]); i++)
		n = n * 10 + (uint64_t)(v->p[i] - '0');
	if (i == first || (i < v->size && v->p[i] != ' ') || n > UINT32_MAX)
		return false;
	while (i < v->size && v->p[i] == ' ')
		i++;
	*asn = (uint32_t)n;
	*rest = i;
	return true;
}

static bool take_asn(const struct mmdb_value *v, struct geo_record *r)
{
	uint32_t asn = 0, rest;
	uint64_t n;

	if (v->type == MMDB_TYPE_STRING) {
		if (!parse_asn(v, &asn, &rest) || rest != v->size)
			return false;
	} else {
		if (!mmdb_value_uint(v, &n) || n > UINT32_MAX)
			return false;
		asn = (uint32_t)n;
	}
	if (!asn) /* reserved, RFC 7607: nobody's */
		return false;
	r->asn = asn;
	return true;
}

/* Makers write "" or "-" for what they do not know. */
static bool take_text(const struct mmdb_value *v, const struct place *place, struct geo_record *r)
{
	struct text *text = &r->texts[place->field];
	uint32_t asn, skip = 0;

	if (v->type != MMDB_TYPE_STRING)
		return false;
	/* IPinfo's org is "AS64500 Example Ltd" */
	if (place->path[0] == 'o' && !strcmp(place->path, "org") && !parse_asn(v, &asn, &skip))
		skip = 0;
	if (v->size == skip || (v->size == 1 && v->p[0] == '-'))
		return false;
	text->s = (const char *)v->p + skip;
	text->len = v->size - skip;
	return true;
}

static bool take_country(const struct mmdb_value *v, struct geo_record *r)
{
	unsigned int i;

	if (v->type != MMDB_TYPE_STRING || v->size != 2)
		return false;
	for (i = 0; i < 2; i++)
		if ((v->p[i] | 32) < 'a' || (v->p[i] | 32) > 'z')
			return false;
	for (i = 0; i < 2; i++)
		r->country[i] = (char)(v->p[i] & ~32);
	return true;
}

static bool take_degrees(const struct mmdb_value *v, double most, double *degrees)
{
	char text[32], *end;
	uint64_t n;
	double x;

	if (v->type == MMDB_TYPE_STRING) {
		if (!v->size || v->size >= sizeof(text))
			return false;
		memcpy(text, v->p, v->size);
		text[v->size] = 0;
		x = strtod(text, &end);
		if (*end)
			return false;
	} else if (mmdb_value_uint(v, &n)) {
		x = (double)n;
	} else if (!mmdb_value_real(v, &x)) {
		return false;
	}
	if (!(x >= -most && x <= most)) /* NaN is neither */
		return false;
	/* a float's 24 bits are 7 digits at most; what a double shows behind them is noise */
	if (v->type == MMDB_TYPE_FLOAT)
		x = (double)(int64_t)(x * 1e5 + (x < 0 ? -0.5 : 0.5)) / 1e5;
	*degrees = x;
	return true;
}

/* r changes only where the value makes sense. */
static bool take_value(const struct mmdb_value *v, const struct place *place, struct geo_record *r)
{
	switch (place->field) {
	case GEO_COUNTRY:
		return take_country(v, r);
	case GEO_ASN:
		return take_asn(v, r);
	case GEO_LAT:
		return take_degrees(v, 90, &r->lat);
	case GEO_LON:
		return take_degrees(v, 180, &r->lon);
	default:
		return take_text(v, place, r);
	}
}

/* ---- the walk over a record */

struct walk {
	struct layout *layout;
	const struct mmdb_data *data;
	unsigned int wanted; /* fields */
	bool probing;        /* try each place, also where a better one is known */
	struct geo_record *r;
};

static void take_place(struct walk *w, unsigned int place, const struct mmdb_value *v)
{
	enum geo_field field = places[place].field;
	unsigned int bit = 1u << field;
	struct geo_record *r = w->r;

	if (!(w->wanted & bit))
		return;
	if (!w->probing && (r->has & bit) && r->from[field] < place)
		return;
	if (!take_value(v, &places[place], r))
		return;
	r->has |= bit;
	r->from[field] = (uint8_t)place;
	r->places |= 1ULL << place;
}

static int walk_value(struct walk *w, unsigned int node, size_t *at, unsigned int depth);

/* The key at *at, which moves behind it: what node it leads to (0: none). */
static int walk_key(struct walk *w, unsigned int node, size_t *at, unsigned int *child)
{
	const struct mmdb_data *d = w->data;
	struct layout_memo *memo = NULL;
	struct mmdb_value key;
	unsigned int bytes;
	size_t target = 0;
	int err;

	if (*at < d->size && d->size - *at >= MMDB_QUICK_BYTES &&
	    d->bytes[*at] >> 5 == MMDB_TYPE_POINTER) {
		target = mmdb_pointer(d->bytes + *at, &bytes);
		memo = &w->layout->memos[(target ^ target >> 6 ^ node * 11) % LAYOUT_MEMOS];
		if (memo->key == target && memo->from1 == node + 1) {
			*child = memo->child;
			*at += bytes;
			return 0;
		}
	}
	err = mmdb_value_read(d, *at, &key);
	if (err)
		return err;
	if (key.type != MMDB_TYPE_STRING)
		return FL_EMALFORMED;
	*at = key.next;
	*child = find_child(w->layout, node, key.p, key.size);
	if (memo) {
		memo->key = (uint32_t)target;
		memo->from1 = (uint8_t)(node + 1);
		memo->child = (uint8_t)*child;
	}
	return 0;
}

static int walk_map(struct walk *w, unsigned int node, uint32_t pairs, size_t *at,
		    unsigned int depth)
{
	unsigned int child;
	uint32_t i;
	int err = 0;

	for (i = 0; i < pairs && !err; i++) {
		err = walk_key(w, node, at, &child);
		if (err)
			return err;
		if (child && w->layout->nodes[child].fields & w->wanted)
			err = walk_value(w, child, at, depth + 1);
		else
			err = mmdb_values_skip(w->data, at, 1);
	}
	return err;
}

static int walk_array(struct walk *w, unsigned int node, uint32_t n, size_t *at, unsigned int depth)
{
	unsigned int child = find_child(w->layout, node, "0", 1);
	int err;

	if (n && child) {
		err = walk_value(w, child, at, depth + 1);
		if (err)
			return err;
		n--;
	}
	return mmdb_values_skip(w->data, at, n);
}

/* The value at *at belongs to node; *at moves behind it. Depth is bounded by the layout's: a
 * container that no node leads into is skipped, not entered. */
static int walk_value(struct walk *w, unsigned int node, size_t *at, unsigned int depth)
{
	const struct layout_node *n = &w->layout->nodes[node];
	struct mmdb_value v;
	size_t inside;
	int err = mmdb_value_read(w->data, *at, &v);

	if (err)
		return err;
	inside = v.inside;
	if (depth < DEPTH_MAX && n->child && v.type == MMDB_TYPE_MAP) {
		err = walk_map(w, node, v.size, &inside, depth);
	} else if (depth < DEPTH_MAX && n->child && v.type == MMDB_TYPE_ARRAY) {
		err = walk_array(w, node, v.size, &inside, depth);
	} else {
		if (n->place)
			take_place(w, n->place - 1u, &v);
		if (!v.next)
			return mmdb_values_skip(w->data, at, 1);
	}
	*at = v.next ? v.next : inside;
	return err;
}

int layout_probe(struct layout *l, const struct mmdb_data *d, size_t at, uint64_t *found)
{
	struct geo_record r;
	struct walk w = {l, d, ~0u, true, &r};
	int err;

	memset(&r, 0, sizeof(r));
	err = walk_value(&w, 0, &at, 0);
	if (!err)
		*found |= r.places;
	return err;
}

int layout_read(struct layout *l, const struct mmdb_data *d, size_t at, unsigned int wanted,
		struct geo_record *r)
{
	struct walk w = {l, d, wanted & ~r->has, false, r};
	const unsigned int both = 1u << GEO_LAT | 1u << GEO_LON;
	int err;

	err = walk_value(&w, 0, &at, 0);
	/* half a position is none, and 0, 0 is what makers write for "no idea" */
	if ((w.wanted & both) == both &&
	    ((r->has & both) != both || (r->lat == 0 && r->lon == 0))) /* both are exact */
		r->has &= ~both;
	return err;
}
