/* geoip.c - databases, cache and reload, see geoip.h. */
#include "geoip/geoip.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "geoip/cache.h"
#include "geoip/database.h"
#include "geoip/layout.h"

/* What is no fault of the file (memory, permissions) is tried again this often. */
#define RETRY_NS 60000000000LL

struct source {
	char *path;
	struct database *db;          /* NULL: none could be used yet */
	struct file_identity current; /* what db is a copy of */
	/* Of an edition that is not (yet) in use: */
	struct file_identity pending;
	int64_t pending_since_ns;
	struct file_identity refused;
	int refused_err; /* 0: the last try went well */
	int64_t refused_at_ns;
};

struct geoip {
	struct source sources[GEOIP_DATABASES_MAX];
	size_t n;
	char *language, *snapshot_dir;
	unsigned int wanted; /* fields */
	struct geo_cache cache;
	struct geoip_stats stats;
};

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void PRINTF_LIKE(3, 4) say(char *why, size_t size, const char *fmt, ...)
{
	size_t len = size ? strlen(why) : 0;
	va_list ap;

	if (len + 3 >= size)
		return;
	if (len) {
		memcpy(why + len, "; ", 3);
		len += 2;
	}
	va_start(ap, fmt);
	vsnprintf(why + len, size - len, fmt, ap);
	va_end(ap);
}

/* ---- taking an edition */

static bool take(struct geoip *g, struct source *s, char *why, size_t why_size)
{
	char sentence[GEOIP_WHY_SIZE];
	struct file_identity id;
	struct database *db;
	int err;

	memset(&id, 0, sizeof(id));
	sentence[0] = 0;
	err = database_open(&db, s->path, g->language, g->snapshot_dir, &id, sentence,
			    sizeof(sentence));
	if (!err) {
		database_close(s->db);
		s->db = db;
		s->current = id;
		s->refused_err = 0;
		g->stats.loaded++;
		return true;
	}
	if (err != -EAGAIN || !s->db) {
		if (s->refused_err != err || !file_identity_equal(&s->refused, &id))
			say(why, why_size, "%s%s", sentence,
			    s->db ? "; the edition before stays in use" : "");
		g->stats.refused += err == FL_EFORMAT;
	}
	s->refused = id;
	s->refused_err = err;
	s->refused_at_ns = now_ns();
	return false;
}

static bool same_file(const struct file_identity *a, const struct file_identity *b)
{
	return a->inode == b->inode && a->dev == b->dev;
}

/* Whether there is something to take, now. */
static bool due(struct source *s)
{
	struct file_identity id;
	int64_t now;

	if (file_identity_of(&id, s->path))
		return false; /* gone, perhaps for a moment: what is loaded stays */
	if (s->db && file_identity_equal(&id, &s->current))
		return false;
	now = now_ns();
	if (s->refused_err && s->refused_err != -EAGAIN && file_identity_equal(&id, &s->refused))
		return s->refused_err != FL_EFORMAT && now - s->refused_at_ns >= RETRY_NS;
	/* The same file with other contents: somebody may be writing it, so it has to rest first.
	 * Another file has been renamed into place, as it should be. */
	if (!same_file(&id, &s->current) && !same_file(&id, &s->refused))
		return true;
	if (!file_identity_equal(&id, &s->pending)) {
		s->pending = id;
		s->pending_since_ns = now;
		return false;
	}
	return now - s->pending_since_ns >= GEOIP_REST_NS;
}

int geoip_poll(struct geoip *g, char *why, size_t why_size)
{
	int taken = 0;
	size_t i;

	if (why_size)
		why[0] = 0;
	for (i = 0; i < g->n; i++)
		if (due(&g->sources[i]))
			taken += take(g, &g->sources[i], why, why_size);
	if (taken)
		geo_cache_clear(&g->cache); /* its texts were in the files */
	return taken;
}

/* ---- lookups */

static void text_set(struct text *t, const char *s, size_t len)
{
	t->s = s;
	t->len = (uint32_t)len;
}

static size_t format_asn(char out[10], uint32_t asn)
{
	char reversed[10];
	size_t n = 0, i;

	do
		reversed[n++] = (char)('0' + asn % 10);
	while (asn /= 10);
	for (i = 0; i < n; i++)
		out[i] = reversed[n - 1 - i];
	return n;
}

static void fill(struct geo_entry *e, const struct geo_record *r)
{
	struct geo_info *info = &e->info;

	memset(info, 0, sizeof(*info));
	e->known = r->has != 0;
	if (r->has & 1u << GEO_COUNTRY) {
		memcpy(e->country, r->country, sizeof(e->country));
		text_set(&info->country, e->country, sizeof(e->country));
	}
	if (r->has & 1u << GEO_PROVINCE)
		info->province = r->texts[GEO_PROVINCE];
	if (r->has & 1u << GEO_CITY)
		info->city = r->texts[GEO_CITY];
	if (r->has & 1u << GEO_ISP)
		info->isp = r->texts[GEO_ISP];
	if (r->has & 1u << GEO_ASN)
		text_set(&info->asn, e->asn, format_asn(e->asn, r->asn));
	if (r->has & 1u << GEO_LAT) {
		info->has_coordinates = true;
		info->lat = r->lat;
		info->lon = r->lon;
	}
}

const struct geo_info *geoip_lookup(struct geoip *g, const struct ip_addr *a)
{
	uint32_t hash = geo_cache_hash(&g->cache, a);
	struct geo_entry *e = geo_cache_find(&g->cache, a, hash);
	struct geo_record r;
	size_t i;

	if (e) {
		g->stats.hits++;
		return e->known ? &e->info : NULL;
	}
	g->stats.misses++;
	r.has = 0;
	r.places = 0;
	for (i = 0; i < g->n && r.has != g->wanted; i++)
		if (g->sources[i].db && database_lookup(g->sources[i].db, a, g->wanted, &r))
			g->stats.broken++;
	e = geo_cache_add(&g->cache, a, hash);
	g->stats.evicted = g->cache.evicted;
	fill(e, &r);
	return e->known ? &e->info : NULL;
}

/* ---- life */

static char *copy_text(const char *s)
{
	return s && *s ? strdup(s) : NULL;
}

static int setup(struct geoip *g, const struct geoip_config *c)
{
	size_t most = c->cache_entries ? c->cache_entries : GEOIP_CACHE_DEFAULT;

	g->wanted = (1u << GEO_FIELDS) - 1;
	if (!c->coordinates)
		g->wanted &= ~(1u << GEO_LAT | 1u << GEO_LON);
	g->language = copy_text(c->language);
	g->snapshot_dir = copy_text(c->snapshot_dir);
	for (g->n = 0; g->n < c->n; g->n++) {
		g->sources[g->n].path = strdup(c->databases[g->n]);
		if (!g->sources[g->n].path)
			return -ENOMEM;
	}
	return geo_cache_init(&g->cache, most < GEOIP_CACHE_MIN ? GEOIP_CACHE_MIN : most);
}

int geoip_new(struct geoip **out, const struct geoip_config *c, char *why, size_t why_size)
{
	struct geoip *g;
	size_t i;
	int err;

	*out = NULL;
	if (why_size)
		why[0] = 0;
	if (c->n > GEOIP_DATABASES_MAX) {
		say(why, why_size, "geoip.databases: %zu are too many (at most %d)", c->n,
		    GEOIP_DATABASES_MAX);
		return -EINVAL;
	}
	g = calloc(1, sizeof(*g));
	err = g ? setup(g, c) : -ENOMEM;
	if (err) {
		say(why, why_size, "geoip: %s", strerror(-err));
		geoip_free(g);
		return err;
	}
	for (i = 0; i < g->n; i++)
		take(g, &g->sources[i], why, why_size);
	*out = g;
	return 0;
}

void geoip_free(struct geoip *g)
{
	size_t i;

	if (!g)
		return;
	for (i = 0; i < GEOIP_DATABASES_MAX; i++) {
		database_close(g->sources[i].db);
		free(g->sources[i].path);
	}
	geo_cache_destroy(&g->cache);
	free(g->language);
	free(g->snapshot_dir);
	free(g);
}

const struct geoip_stats *geoip_stats(const struct geoip *g)
{
	return &g->stats;
}

bool geoip_database(const struct geoip *g, size_t i, struct geoip_database_info *info)
{
	const struct source *s;
	unsigned int fields, f;
	size_t len = 0;

	if (i >= g->n)
		return false;
	s = &g->sources[i];
	memset(info, 0, sizeof(*info));
	info->path = s->path;
	info->loaded = s->db != NULL;
	info->type = s->db ? database_type(s->db) : "";
	info->built_s = s->db ? database_built_s(s->db) : 0;
	fields = s->db ? database_fields(s->db) : 0;
	for (f = 0; f < GEO_FIELDS; f++)
		if (fields >> f & 1)
			len += (size_t)snprintf(info->fields + len, sizeof(info->fields) - len,
						"%s%s", len ? " " : "", geo_field_names[f]);
	return true;
}
