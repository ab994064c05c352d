/* places.h - what the databases' records say, each decoded once and shared by all addresses that
 * have it.
 *
 * A city database has a record per place and millions of networks: a thousand addresses of one
 * provider are a handful of places. A place is known by its key, the records of all databases.
 * Users are counted; without any a place goes, though what it says stays for a while, because it
 * may be on its way to an output.
 *
 * All address space is taken at start, pages as they are used. Threads: belongs to one thread.
 */
#ifndef GEOIP_PLACES_H
#define GEOIP_PLACES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "common/geo.h"
#include "common/index.h"
#include "common/siphash.h"
#include "geoip/layout.h"

enum { PLACE_KEY_WORDS_MAX = 16 };

/* Four lines of memory. What outputs read of each point's begins with the third: the end of `info`
 * and all of `written`. */
struct place {
	uint32_t hash, users;
	uint32_t next; /* of those that are free: number + 1 */
	char country[4];
	char asn[16];
	struct geo_info info;
	struct geo_written written;
};

struct places {
	struct place *v;
	uint32_t *keys;
	uint32_t key_words; /* of one */
	uint32_t used, most;
	uint32_t kept; /* so many others are let go of before one is overwritten */
	/* Places without users, in the order of losing the last one; numbers + 1. */
	uint32_t nfree, first_free, last_free;
	struct index index;
	struct siphash_key key;
	/* geoip_config's; NULL: nothing is written */
	size_t (*write)(char *out, const char *s, size_t len);
};

#define PLACE_NONE UINT32_MAX

/* Keys of key_words words (even, 2 or more). A place without users stays as it is until `kept`
 * others are without. 0 or -errno. */
int places_init(struct places *p, size_t most, size_t kept, uint32_t key_words) MUST_CHECK;
void places_destroy(struct places *p);

/* Forget everything. */
void places_clear(struct places *p);

uint32_t places_hash(const struct places *p, const uint32_t *key);

/* Fetch memory that an output will want of a place that it is given. */
static inline void places_prefetch_written(const struct places *p, uint32_t place)
{
	__builtin_prefetch(&p->v[place].info.written);
	__builtin_prefetch(p->v[place].written.bytes + GEO_WRITTEN_BYTES);
}

/* Fetch memory that places_find() will want: first index_prefetch(&p->index, hash), a little later
 * this. Whether there is any: false where places_find() will surely say that there is none. */
bool places_prefetch(const struct places *p, uint32_t hash);

/* The place with this key, with one more user; PLACE_NONE: there is none. */
uint32_t places_find(struct places *p, const uint32_t *key, uint32_t hash);

/* A place with this key, which there is none of, and one user. Its texts are borrowed from r's.
 * There must be less than `most` with users. */
uint32_t places_add(struct places *p, const uint32_t *key, uint32_t hash,
		    const struct geo_record *r);

/* One user less. PLACE_NONE: nothing happens. */
void places_drop(struct places *p, uint32_t place);

#endif
