/* database.h - one GeoIP database file (MaxMind DB format), opened so that nothing done to the
 * file can hurt.
 *
 * Errors: a negative value and a sentence in `why` that names the file and says what to do.
 * Threads: opened by any one thread; then it belongs to one.
 */
#ifndef GEOIP_DATABASE_H
#define GEOIP_DATABASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/addr.h"
#include "common/error.h"
#include "geoip/file_map.h"
#include "geoip/layout.h"

struct database;

/* Map the file (file_map.h), verify it, find its layout. *id is what was opened, also where it was
 * refused. snapshot_dir is file_map_open()'s. 0; FL_EFORMAT (no database, damaged, or none of its
 * fields is known), -EAGAIN (it was being written meanwhile: ask again), or another -errno. */
int database_open(struct database **db, const char *path, const char *language,
		  const char *snapshot_dir, struct file_identity *id, char *why,
		  size_t why_size) MUST_CHECK;
void database_close(struct database *db);

enum { DATABASE_BLOCK = 128 };

/* Where the records of n addresses (DATABASE_BLOCK at most) are: the same record, the same number.
 * 0: it has none. The walks through the tree go on side by side, so that they wait for memory
 * together. Returns how many came upon a damaged tree; they have none. */
unsigned int database_find(const struct database *db, const struct ip_addr *const *a, size_t n,
			   uint32_t *records);

/* Fetch memory that database_read() will want. */
void database_prefetch(const struct database *db, uint32_t record);

/* Add what the record (not 0) says, among the fields `wanted`, to r. 0, or FL_EMALFORMED: a damaged
 * record; r is as before. */
int database_read(struct database *db, uint32_t record, unsigned int wanted,
		  struct geo_record *r) MUST_CHECK;

unsigned int database_fields(const struct database *db); /* bits 1 << enum geo_field */
const char *database_type(const struct database *db);    /* as the maker calls it */
bool database_has_v6(const struct database *db);         /* room for IPv6 in its tree */
uint64_t database_built_s(const struct database *db);    /* since the epoch */

#endif
