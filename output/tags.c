/* tags.c - see tags.h. */
#include "output/tags.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "output/escape.h"

struct tag {
	const char *key;
	int slot;
	const char *value; /* TAG_CONSTANT */
};

static const char *const measurements[POINT_KINDS] = {
    [POINT_NETFLOW] = "netflow",
    [POINT_DNSFLOW] = "dnsflow",
    [POINT_HTTPFLOW] = "httpflow",
    [POINT_SELF] = "flowline",
};

const char *const line_tag_names[POINT_TAGS] = {
    [POINT_TAG_DIRECTION] = "direction",
    [POINT_TAG_FAMILY] = "family",
    [POINT_TAG_TRANSPORT] = "transport",
    [POINT_TAG_SRC_IP] = "src_ip",
    [POINT_TAG_SRC_PORT] = "src_port",
    [POINT_TAG_SRC_IP_TYPE] = "src_ip_type",
    [POINT_TAG_DST_IP] = "dst_ip",
    [POINT_TAG_DST_PORT] = "dst_port",
    [POINT_TAG_DST_IP_TYPE] = "dst_ip_type",
    [POINT_TAG_PID] = "pid",
    [POINT_TAG_PROCESS_NAME] = "process_name",
    [POINT_TAG_CONTAINER_ID] = "container_id",
    [POINT_TAG_DST_DOMAIN] = "dst_domain",
    [POINT_TAG_SRC_COUNTRY] = "src_country",
    [POINT_TAG_SRC_PROVINCE] = "src_province",
    [POINT_TAG_SRC_CITY] = "src_city",
    [POINT_TAG_SRC_ISP] = "src_isp",
    [POINT_TAG_SRC_ASN] = "src_asn",
    [POINT_TAG_DST_COUNTRY] = "dst_country",
    [POINT_TAG_DST_PROVINCE] = "dst_province",
    [POINT_TAG_DST_CITY] = "dst_city",
    [POINT_TAG_DST_ISP] = "dst_isp",
    [POINT_TAG_DST_ASN] = "dst_asn",
    [POINT_TAG_DOMAIN] = "domain",
    [POINT_TAG_QUERY_TYPE] = "query_type",
    [POINT_TAG_RCODE] = "rcode",
    [POINT_TAG_METHOD] = "method",
    [POINT_TAG_PATH] = "path",
    [POINT_TAG_STATUS_CODE] = "status_code",
    [POINT_TAG_HTTP_VERSION] = "http_version",
    [POINT_TAG_CONNECT_ERROR] = "connect_error",
};

/* Room for all built-in tags of any kind: the slots, and the constant host, source, sub_source. */
enum { BUILTIN_TAGS_MAX = TAG_SLOTS + 3 };

static void set_tag(struct tag *tags, size_t *n, const char *key, int slot, const char *value)
{
	struct tag tag = {key, slot, value};
	size_t i;

	for (i = 0; i < *n; i++) {
		if (!strcmp(tags[i].key, key)) {
			tags[i] = tag;
			return;
		}
	}
	tags[(*n)++] = tag;
}

static void set_slots(struct tag *tags, size_t *n, int first, int last)
{
	int slot;

	for (slot = first; slot <= last; slot++)
		set_tag(tags, n, line_tag_names[slot], slot, NULL);
}

static bool is_excluded(const struct line_config *c, const char *key)
{
	size_t i;

	for (i = 0; i < c->nexclude; i++)
		if (!strcmp(c->exclude[i], key))
			return true;
	return false;
}

/* Excluded tags become constant ones without a value, which are left out. */
static void exclude_tags(struct tag *tags, size_t n, const struct line_config *c)
{
	size_t i;

	for (i = 0; i < n; i++) {
		if (is_excluded(c, tags[i].key)) {
			tags[i].slot = TAG_CONSTANT;
			tags[i].value = NULL;
		}
	}
}

/* Every tag of this kind, built-in ones first so that custom ones replace them. The count. */
static size_t collect_tags(struct tag *tags, const struct line_config *c, enum point_kind kind,
			   unsigned int extras)
{
	size_t n = 0, i;

	set_tag(tags, &n, "host", TAG_CONSTANT, c->host);
	if (kind == POINT_SELF) {
		set_tag(tags, &n, "output", TAG_SELF_OUTPUT, NULL);
		set_tag(tags, &n, "source", TAG_SELF_SOURCE, NULL);
		set_tag(tags, &n, "worker", TAG_SELF_WORKER, NULL);
	} else {
		set_tag(tags, &n, "source", TAG_CONSTANT, measurements[kind]);
		set_tag(tags, &n, "sub_source", TAG_CONSTANT, "N/A");
		set_slots(tags, &n, POINT_TAG_DIRECTION, POINT_TAG_DST_IP_TYPE);
	}
	if ((extras & TAGS_PROCESS) && kind == POINT_NETFLOW)
		set_slots(tags, &n, POINT_TAG_PID, POINT_TAG_DST_DOMAIN);
	if ((extras & TAGS_SRC_PLACE) && kind != POINT_SELF)
		set_slots(tags, &n, POINT_TAG_SRC_COUNTRY,
			  extras & TAGS_AS ? POINT_TAG_SRC_ASN : POINT_TAG_SRC_CITY);
	if ((extras & TAGS_DST_PLACE) && kind != POINT_SELF)
		set_slots(tags, &n, POINT_TAG_DST_COUNTRY,
			  extras & TAGS_AS ? POINT_TAG_DST_ASN : POINT_TAG_DST_CITY);
	if (c->key_fields_as_tags && kind == POINT_NETFLOW)
		set_slots(tags, &n, POINT_TAG_CONNECT_ERROR, POINT_TAG_CONNECT_ERROR);
	if (c->key_fields_as_tags && kind == POINT_DNSFLOW)
		set_slots(tags, &n, POINT_TAG_DOMAIN, POINT_TAG_RCODE);
	if (c->key_fields_as_tags && kind == POINT_HTTPFLOW)
		set_slots(tags, &n, POINT_TAG_METHOD, POINT_TAG_HTTP_VERSION);
	for (i = 0; i < c->ntags; i++)
		if (c->tags[i].key && *c->tags[i].key)
			set_tag(tags, &n, c->tags[i].key, TAG_CONSTANT, c->tags[i].value);
	if (kind != POINT_SELF)
		exclude_tags(tags, n, c);
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
static char *end_piece(struct tag_program *prog, char *start, char *p, size_t key_len, int slot)
{
	struct tag_piece *piece = &prog->pieces[prog->n++];

	piece->text = start;
	piece->len = (uint32_t)(p - start);
	piece->key_len = (uint32_t)key_len;
	piece->slot = slot;
	return p + TAG_COPY_STEP;
}

/* Put the sorted tags together. */
static int join_tags(struct tag_program *prog, enum point_kind kind, const struct tag *tags,
		     size_t ntags, size_t *len)
{
	size_t most = escaped_most(measurements[kind]) + (TAG_SLOTS + 1) * TAG_COPY_STEP, i;
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

int tag_program_make(struct tag_program *prog, const struct line_config *c, enum point_kind kind,
		     unsigned int extras, size_t *len)
{
	struct tag *tags = calloc(BUILTIN_TAGS_MAX + c->ntags, sizeof(*tags));
	size_t n;
	int err;

	if (!tags)
		return -ENOMEM;
	n = collect_tags(tags, c, kind, extras);
	qsort(tags, n, sizeof(*tags), compare_tags);
	err = join_tags(prog, kind, tags, n, len);
	free(tags);
	return err;
}

void tag_program_free(struct tag_program *prog)
{
	free(prog->text);
	memset(prog, 0, sizeof(*prog));
}
