/* geoip.c - databases, cache and reload, see geoip.h. */
#include "geoip/geoip.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "geoip/cache.h"
#include "geoip/database.h"
#include "geoip/layout.h"
#include "geoip/places.h"

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

/* What a thread makes of one source's file, for take(). */
struct edition {
	struct database
	    *retired; /* the edition before, for the thread to close: that takes time too */
	bool asked;
	struct database *db;
	struct file_identity id;
	int err;
	char why[GEOIP_WHY_SIZE];
};

struct geoip {
	struct source sources[GEOIP_DATABASES_MAX];
	size_t n;
	char *language, *snapshot_dir;
	unsigned int wanted; /* fields */
	bool starting;       /* begun at the start, and nobody was told yet how it went */
	bool reload_beside;
	char start_why[GEOIP_WHY_SIZE];
	/* Databases being opened. As long as it runs the thread owns editions, and reads the paths
	 * and texts above, which do not change. */
	struct edition *editions;
	bool loading;
	bool has_v6; /* one of the databases in use */
	bool loaded; /* __atomic: the thread has nothing more to do */
	pthread_t loader;
	struct geo_cache cache;
	struct places places;
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

/* ---- opening, beside the caller or not */

static void open_editions(struct geoip *g)
{
	struct edition *e;
	size_t i;

	for (i = 0; i < g->n; i++) {
		e = &g->editions[i];
		database_close(e->retired);
		e->retired = NULL;
		if (e->asked)
			e->err = database_open(&e->db, g->sources[i].path, g->language,
					       g->snapshot_dir, &e->id, e->why, sizeof(e->why));
	}
}

static void *load(void *arg)
{
	struct geoip *g = arg;

	open_editions(g);
	__atomic_store_n(&g->loaded, true, __ATOMIC_RELEASE);
	return NULL;
}

/* Those that are asked for; and close what is retired. Where there can be no thread it is done
 * here. */
static void begin_loading(struct geoip *g, bool beside)
{
	sigset_t all, old;
	int err = -1;

	g->loaded = false;
	g->loading = true;
	if (beside) {
		/* signals are the caller's; those of a fault are for whoever makes it */
		sigfillset(&all);
		sigdelset(&all, SIGBUS);
		sigdelset(&all, SIGSEGV);
		pthread_sigmask(SIG_SETMASK, &all, &old);
		err = pthread_create(&g->loader, NULL, load, g);
		pthread_sigmask(SIG_SETMASK, &old, NULL);
	}
	if (!err)
		return;
	open_editions(g);
	g->loading = false;
}

static void join_loader(struct geoip *g)
{
	if (g->loading)
		pthread_join(g->loader, NULL);
	g->loading = false;
}

/* ---- taking an edition */

static bool take(struct geoip *g, struct source *s, struct edition *e, char *why, size_t why_size)
{
	int err = e->err;

	e->asked = false;
	if (!err) {
		if (g->reload_beside)
			e->retired = s->db;
		else
			database_close(s->db);
		s->db = e->db;
		s->current = e->id;
		s->refused_err = 0;
		g->stats.loaded++;
		return true;
	}
	if (err != -EAGAIN || !s->db) {
		if (s->refused_err != err || !file_identity_equal(&s->refused, &e->id))
			say(why, why_size, "%s%s", e->why,
			    s->db ? "; the edition before stays in use" : "");
		g->stats.refused += err == FL_EFORMAT;
	}
	s->refused = e->id;
	s->refused_err = err;
	s->refused_at_ns = now_ns();
	return false;
}

static void note_families(struct geoip *g)
{
	size_t i;

	g->has_v6 = false;
	for (i = 0; i < g->n; i++)
		if (g->sources[i].db && database_has_v6(g->sources[i].db))
			g->has_v6 = true;
}

bool geoip_has_v6(const struct geoip *g)
{
	return g->has_v6;
}

/* What was loaded; waits for it. Returns how many are new. */
static int take_loaded(struct geoip *g, char *why, size_t why_size)
{
	int taken = 0;
	size_t i;

	join_loader(g);
	for (i = 0; i < g->n; i++)
		if (g->editions[i].asked)
			taken += take(g, &g->sources[i], &g->editions[i], why, why_size);
	if (taken) {
		note_families(g);
		geo_cache_clear(&g->cache);
		places_clear(&g->places); /* its texts were in the files */
	}
	return taken;
}

static void ask(struct edition *e)
{
	memset(&e->id, 0, sizeof(e->id));
	e->db = NULL;
	e->err = 0;
	e->why[0] = 0;
	e->asked = true;
}

void geoip_wait(struct geoip *g, char *why, size_t why_size)
{
	if (why_size)
		why[0] = 0;
	if (!g->starting)
		return;
	take_loaded(g, g->start_why, sizeof(g->start_why));
	if (g->start_why[0])
		say(why, why_size, "%s", g->start_why);
	g->starting = false;
}

bool geoip_starting(const struct geoip *g)
{
	return g->starting;
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
	int taken = 0, asked = 0;
	size_t i;

	if (why_size)
		why[0] = 0;
	if (g->loading && !__atomic_load_n(&g->loaded, __ATOMIC_ACQUIRE))
		return 0;
	if (g->starting)
		geoip_wait(g, why, why_size);
	else if (g->loading)
		taken = take_loaded(g, why, why_size);
	for (i = 0; i < g->n; i++) {
		if (due(&g->sources[i])) {
			ask(&g->editions[i]);
			asked++;
		}
	}
	if (!asked && !(taken && g->reload_beside))
		return taken;
	begin_loading(g, g->reload_beside);
	return g->loading ? taken : taken + take_loaded(g, why, why_size);
}

/* ---- lookups */

/* What the cache has of an address: the number of its place and this, or: */
enum { WHAT_NOTHING = 1, WHAT_PLACE = 2 };
/* Being looked up: its number among the newcomers and this. */
#define WHAT_PENDING 0x80000000U

/* Addresses that were not asked for lately, and which records they have in each database. */
struct newcomers {
	const struct ip_addr *addr[GEOIP_BLOCK];
	struct geo_spot spot[GEOIP_BLOCK];
	uint32_t what[GEOIP_BLOCK];
	uint32_t key[GEOIP_BLOCK][PLACE_KEY_WORDS_MAX];
	uint32_t hash[GEOIP_BLOCK]; /* of the key */
	unsigned int n;
};

static void find_records(struct geoip *g, struct newcomers *nc)
{
	uint32_t records[GEOIP_BLOCK];
	unsigned int k;
	size_t i;

	memset(nc->key, 0, nc->n * sizeof(nc->key[0]));
	for (i = 0; i < g->n; i++) {
		const struct database *db = g->sources[i].db;

		if (!db || !(database_fields(db) & g->wanted))
			continue;
		g->stats.broken += database_find(db, nc->addr, nc->n, records);
		for (k = 0; k < nc->n; k++)
			nc->key[k][i] = records[k];
	}
}

/* Fetch what place_of_records() will want. */
static void prefetch_places(const struct geoip *g, struct newcomers *nc)
{
	unsigned int k;
	size_t i;

	for (k = 0; k < nc->n; k++) {
		nc->hash[k] = places_hash(&g->places, nc->key[k]);
		index_prefetch(&g->places.index, nc->hash[k]);
	}
	for (k = 0; k < nc->n; k++) {
		if (places_prefetch(&g->places, nc->hash[k]))
			continue;
		for (i = 0; i < g->n; i++)
			if (nc->key[k][i])
				database_prefetch(g->sources[i].db, nc->key[k][i]);
	}
}

/* The place of these records, with one more user. */
static uint32_t place_of_records(struct geoip *g, const uint32_t *key, uint32_t hash)
{
	uint32_t place, any = 0;
	struct geo_record r;
	size_t i;

	for (i = 0; i < g->n; i++)
		any |= key[i];
	if (!any)
		return PLACE_NONE;
	place = places_find(&g->places, key, hash);
	if (place != PLACE_NONE)
		return place;
	r.has = 0;
	r.places = 0;
	for (i = 0; i < g->n && r.has != g->wanted; i++)
		if (key[i] && database_read(g->sources[i].db, key[i], g->wanted, &r))
			g->stats.broken++;
	return r.has ? places_add(&g->places, key, hash, &r) : PLACE_NONE;
}

/* What the cache had of an address goes. */
static void drop(struct geoip *g, uint32_t what)
{
	if (what >= WHAT_PLACE && what < WHAT_PENDING)
		places_drop(&g->places, what - WHAT_PLACE);
}

static void find_places(struct geoip *g, struct newcomers *nc)
{
	uint32_t place, what;
	unsigned int k;

	find_records(g, nc);
	prefetch_places(g, nc);
	for (k = 0; k < nc->n; k++) {
		place = place_of_records(g, nc->key[k], nc->hash[k]);
		what = place == PLACE_NONE ? WHAT_NOTHING : place + WHAT_PLACE;
		nc->what[k] = what;
		if (!geo_cache_change(&g->cache, nc->spot[k], WHAT_PENDING + k, what))
			drop(g, what); /* it had to go meanwhile */
	}
}

/* What the cache has of each; those that it did not have are newcomers. */
static void find_known(struct geoip *g, const struct ip_addr *const *a, size_t n, uint32_t *what,
		       struct newcomers *nc)
{
	struct geo_spot spot[GEOIP_BLOCK];
	size_t i;

	for (i = 0; i < n; i++) {
		spot[i] = geo_cache_spot(&g->cache, a[i]);
		geo_cache_prefetch(&g->cache, spot[i]);
	}
	for (i = 0; i < n; i++) {
		what[i] = geo_cache_find(&g->cache, spot[i], a[i]);
		if (!what[i]) {
			what[i] = WHAT_PENDING + nc->n;
			drop(g, geo_cache_add(&g->cache, spot[i], a[i], what[i]));
			nc->addr[nc->n] = a[i];
			nc->spot[nc->n++] = spot[i];
		} else if (what[i] >= WHAT_PLACE && what[i] < WHAT_PENDING) {
			places_prefetch_written(&g->places, what[i] - WHAT_PLACE);
		}
	}
	g->stats.misses += nc->n;
	g->stats.hits += n - nc->n;
	g->stats.evicted = g->cache.evicted;
}

void geoip_lookup_block(struct geoip *g, const struct ip_addr *const *a, size_t n,
			const struct geo_info **out)
{
	uint32_t what[GEOIP_BLOCK];
	struct newcomers nc;
	size_t i;

	if (g->loading && g->starting)
		take_loaded(g, g->start_why, sizeof(g->start_why));
	nc.n = 0;
	find_known(g, a, n, what, &nc);
	if (nc.n)
		find_places(g, &nc);
	for (i = 0; i < n; i++) {
		if (what[i] >= WHAT_PENDING)
			what[i] = nc.what[what[i] - WHAT_PENDING];
		out[i] = what[i] == WHAT_NOTHING ? NULL : &g->places.v[what[i] - WHAT_PLACE].info;
	}
}

const struct geo_info *geoip_lookup(struct geoip *g, const struct ip_addr *a)
{
	const struct geo_info *info;

	geoip_lookup_block(g, &a, 1, &info);
	return info;
}

/* ---- life */

static char *copy_text(const char *s)
{
	return s && *s ? strdup(s) : NULL;
}

static int setup(struct geoip *g, const struct geoip_config *c)
{
	size_t most = c->cache_entries ? c->cache_entries : GEOIP_CACHE_DEFAULT;
	int err;

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
	g->editions = calloc(g->n ? g->n : 1, sizeof(*g->editions));
	if (!g->editions)
		return -ENOMEM;
	most = most < GEOIP_CACHE_MIN ? GEOIP_CACHE_MIN : most;
	err = geo_cache_init(&g->cache, most);
	most = 2 * (size_t)g->cache.n * GEO_WAYS; /* each address another */
	if (!err)
		err = places_init(&g->places, most, GEOIP_KEPT + GEOIP_BLOCK,
				  g->n > 2 ? (uint32_t)(g->n + 1) & ~1u : 2);
	g->places.write = c->write;
	g->reload_beside = c->reload_beside;
	return err;
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
		ask(&g->editions[i]);
	g->starting = g->n != 0;
	begin_loading(g, c->start_beside && g->n);
	if (!c->start_beside)
		geoip_wait(g, why, why_size);
	*out = g;
	return 0;
}

void geoip_free(struct geoip *g)
{
	size_t i;

	if (!g)
		return;
	join_loader(g);
	for (i = 0; g->editions && i < g->n; i++) {
		database_close(g->editions[i].retired);
		if (g->editions[i].asked)
			database_close(g->editions[i].db);
	}
	free(g->editions);
	for (i = 0; i < GEOIP_DATABASES_MAX; i++) {
		database_close(g->sources[i].db);
		free(g->sources[i].path);
	}
	geo_cache_destroy(&g->cache);
	places_destroy(&g->places);
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
