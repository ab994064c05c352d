/* guard.h - mapped files that shrink, or whose disk fails, give zeros instead of a signal.
 *
 * Reading a page of a mapping that the file no longer has raises SIGBUS, which ends the process.
 * Inside a guarded range the page is replaced by one of zeros, for good, and the reading goes on:
 * whoever reads there must be able to live with any bytes. This is the last line: what keeps a
 * file from changing at all is file_map.c.
 *
 * Threads: any; every thread's faults are caught. The handler is installed by the first
 * guard_add() and stays; a SIGBUS from elsewhere goes to who had the signal before.
 */
#ifndef GEOIP_GUARD_H
#define GEOIP_GUARD_H

#include <stdbool.h>
#include <stddef.h>

#include "common/error.h"

enum { GUARDS_MAX = 64 };

/* Guard size bytes from base on, the beginning of a page. *lost becomes true when a page had to be
 * replaced
 * (__atomic; it must stay until guard_remove()). The guard's number, or -errno (-ENOSPC: too
 * many). */
int guard_add(const void *base, size_t size, bool *lost) MUST_CHECK;
void guard_remove(int number);

/* What this thread reads from now on is guarded, wherever it is; *lost: as above. NULL: no more.
 * For a library that maps a file by itself. Not nested; needs a guard_add() before. */
void guard_thread(bool *lost);

#endif
