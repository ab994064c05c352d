/* geoip.h - country, province, city, AS and position of public addresses, out of any number of
 * databases.
 *
 * Several databases are asked in their order; for each field the first that has it wins. A
 * bounded cache keeps what addresses gave; of eight one not asked for long goes. A lookup allocates
 * nothing and opens nothing.
 *
 * Databases may be replaced while running, by rename or by overwriting (file_map.c says how that
 * is survived): geoip_poll() takes the new edition. One that is refused leaves the old edition in
 * use. Files that are missing or bad at the start are tried again by geoip_poll(); without any
 * database every lookup gives NULL.
 *
 * Opening a large database takes some 10 to 50 ms. Where the configuration says so a thread does it
 * beside what the caller does.
 *
 * Messages: `why` gets a sentence for people per database in trouble ("; " between), "" where all
 * is well. Each trouble is told once. Nothing here logs.
 * Threads: belongs to one thread. Those it has of its own take no signals.
 */
#ifndef GEOIP_GEOIP_H
#define GEOIP_GEOIP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/addr.h"
#include "common/error.h"
#include "common/geo.h"

enum {
	GEOIP_DATABASES_MAX = 16,
	/* Addresses of each family; 8 bytes each (IPv6: 24) and 270 for each distinct place, taken
	 * as they are used. With more addresses in a cycle than fit, each is looked up anew every
	 * cycle. */
	GEOIP_CACHE_DEFAULT = 131072,
	GEOIP_CACHE_MIN = 64,
	GEOIP_WHY_SIZE = 1024, /* room for what there is to say */
	GEOIP_BLOCK = 128,     /* addresses looked up together */
	GEOIP_KEPT = 256,      /* addresses asked for that a geo_info outlives: two blocks */
};

/* Everything is copied. */
struct geoip_config {
	const char *const *databases; /* paths; best first */
	size_t n;
	const char *language;     /* of names, as "de" or "pt-BR"; NULL: "en", also the fallback */
	bool coordinates;         /* look for lat and lon too */
	size_t cache_entries;     /* 0: GEOIP_CACHE_DEFAULT; made a power of two */
	const char *snapshot_dir; /* a directory on disk for private copies of the databases, which
				   * have no name there; NULL: /var/tmp. Where it cannot be used
				   * they lie in memory */
	/* Load beside the caller at the start: geoip_wait() says what is wrong. The first lookup
	 * waits, so that no point goes without its place. */
	bool start_beside;
	/* Load new editions beside the caller: geoip_poll() never waits, and takes what is ready.
	 */
	bool reload_beside;
	/* How the output writes a text, of up to 128 bytes (five times as many have room), to out;
	 * returns the length. Done once per place, for geo_info.written. NULL: that stays NULL. */
	size_t (*write)(char *out, const char *s, size_t len);
};

struct geoip_stats {
	uint64_t hits, misses;    /* of the cache; hits + misses = lookups */
	uint64_t evicted;         /* entries that had to go for others */
	uint64_t broken;          /* records that could not be read: nothing known */
	uint64_t loaded, refused; /* editions of databases */
};

/* For doctor and logs. Borrowed until the next geoip_poll(). */
struct geoip_database_info {
	const char *path;
	bool loaded;
	const char *type; /* as its maker calls it */
	uint64_t built_s; /* since the epoch */
	char fields[64];  /* "country province city" */
};

struct geoip;

/* 0, also where databases cannot be used (see `why`; geoip_database() tells which). -EINVAL (too
 * many databases), -ENOMEM. */
int geoip_new(struct geoip **g, const struct geoip_config *config, char *why,
	      size_t why_size) MUST_CHECK;
void geoip_free(struct geoip *g);

/* Until what was begun at the start is done, with what there is to say; at once where nothing was,
 * or it was waited for before. */
void geoip_wait(struct geoip *g, char *why, size_t why_size);

/* Whether geoip_wait() has something to wait for or to say. */
bool geoip_starting(const struct geoip *g);

/* What is known of a public address; NULL: nothing. Borrowed until the next geoip_poll(), or until
 * GEOIP_KEPT other addresses were asked for, whichever is first. */
const struct geo_info *geoip_lookup(struct geoip *g, const struct ip_addr *a);

/* Whether anything may be known of IPv6 addresses, NAT64 and 6to4 apart: for those who can spare
 * themselves the question. As of the last lookup or geoip_poll(). */
bool geoip_has_v6(const struct geoip *g);

/* The same for n addresses (GEOIP_BLOCK at most), one after the other, to out. Quicker than one by
 * one: what each needs comes from memory while the others are worked on. */
void geoip_lookup_block(struct geoip *g, const struct ip_addr *const *a, size_t n,
			const struct geo_info **out);

/* Look whether databases were replaced and take their new editions. Call it about once a second
 * and before a cycle's points; it costs one stat(2) per database where nothing changed. A renamed
 * file is taken at once, one that is overwritten in place when it has not changed for
 * GEOIP_REST_NS between two calls. Returns how many were taken. */
#define GEOIP_REST_NS 200000000LL
int geoip_poll(struct geoip *g, char *why, size_t why_size);

const struct geoip_stats *geoip_stats(const struct geoip *g);
bool geoip_database(const struct geoip *g, size_t i, struct geoip_database_info *info);

#endif
