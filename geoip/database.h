/* database.h - one GeoIP database file (MaxMind DB format), opened so that nothing done to the
 * file can hurt.
 *
 * Errors: a negative value and a sentence in `why` that names the file and says what to do.
 * Threads: a database belongs to one thread.
 */
#ifndef GEOIP_DATABASE_H
#define GEOIP_DATABASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/addr.h"
#include "common/error.h"
#include "geoip/layout.h"

/* What tells one content of a path from another. */
struct file_identity {
	dev_t dev;
	ino_t inode;
	off_t size;
	int64_t mtime_ns, ctime_ns;
};

struct database;

/* 0 or -errno. */
int file_identity_of(struct file_identity *id, const char *path) MUST_CHECK;
bool file_identity_equal(const struct file_identity *a, const struct file_identity *b);

/* Take a snapshot of the file, verify it, find its layout. *id is what was taken, also where it
 * was refused. snapshot_dir is where the snapshot's nameless file lies (NULL: /var/tmp). 0;
 * FL_EFORMAT (no database, damaged, or none of its fields is known), -EAGAIN (it was being
 * written meanwhile: ask again), or another -errno. */
int database_open(struct database **db, const char *path, const char *language,
		  const char *snapshot_dir, struct file_identity *id, char *why,
		  size_t why_size) MUST_CHECK;
void database_close(struct database *db);

/* Add what it knows of the address, among the fields `wanted`, to r. 0, or FL_EMALFORMED: a
 * damaged record; r is as before. */
int database_lookup(const struct database *db, const struct ip_addr *a, unsigned int wanted,
		    struct geo_record *r) MUST_CHECK;

unsigned int database_fields(const struct database *db); /* bits 1 << enum geo_field */
const char *database_type(const struct database *db);    /* as the maker calls it */
uint64_t database_built_s(const struct database *db);    /* since the epoch */

#endif
