/* file_map.h - the bytes of a file, mapped such that nothing done to the file can change them, or
 * hurt whoever reads them.
 *
 * Errors: a negative value and a sentence in `why` that names the file and says what to do.
 * Threads: opened and closed by any one thread; then any may read the bytes. A map of the file
 * itself has a thread of its own that watches over it (file_map.c).
 */
#ifndef GEOIP_FILE_MAP_H
#define GEOIP_FILE_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/error.h"

/* What tells one content of a path from another. */
struct file_identity {
	dev_t dev;
	ino_t inode;
	off_t size;
	int64_t mtime_ns, ctime_ns;
};

struct file_map;

/* 0 or -errno. */
int file_identity_of(struct file_identity *id, const char *path) MUST_CHECK;
bool file_identity_equal(const struct file_identity *a, const struct file_identity *b);

/* *id is what was opened, also where it was refused. snapshot_dir is where a copy, where one is
 * needed, lies without a name (NULL: /var/tmp; where that cannot be used, in memory). 0;
 * FL_EFORMAT (no regular file, or empty), -EAGAIN (it was being written meanwhile: ask again), or
 * another -errno. */
int file_map_open(struct file_map **m, const char *path, const char *snapshot_dir,
		  struct file_identity *id, char *why, size_t why_size) MUST_CHECK;
void file_map_close(struct file_map *m);

/* The same address until the end, though what lies behind it may change from the file to a copy. */
const uint8_t *file_map_bytes(const struct file_map *m, size_t *size);

/* A descriptor of the file that the bytes are of, for a library that wants to read it by itself:
 * borrowed until file_map_close(). What is read there is what is in bytes where file_map_leased()
 * says the same before and after. -1: there is none. */
int file_map_fd(const struct file_map *m);

/* Whether it is (still) the file itself. */
bool file_map_leased(const struct file_map *m);

/* The bytes are lost, wholly or in part, which takes that the process was stopped for longer than
 * /proc/sys/fs/lease-break-time while somebody wrote to the file, or a failing disk. Reading on
 * does no harm, but the bytes mean nothing. */
bool file_map_lost(const struct file_map *m);

#endif
