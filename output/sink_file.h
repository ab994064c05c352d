/* sink_file.h - lines to standard output or a file: appended, rotated, compressed.
 *
 * What could not be written is given up and counted, never written twice: the verdict is
 * SINK_DELIVERED with the points that were lost. A line of which only the first bytes went out (a
 * full disk) counts as lost too, but its rest is kept and goes first when there is room again, so
 * that a file never holds half a line with another one behind it.
 *
 * Waiting: a pipe, terminal or socket that is full is waited for in turns (turns.h), for ever; so
 * is the first reader of a named pipe. SINK_STOPPED: nothing of the parcel went out; where a part
 * did, it is SINK_DELIVERED with the rest as lost. Descriptors that are shared with others (a
 * shell's standard output) keep their flags. Ends:    SINK_CLOSED once a pipe's or socket's reader
 * is gone; sink.reopen() of a named pipe begins anew. Rotated: see rotate.h; regular files only,
 * looked at before each parcel and in idle(). A parcel is never split over two files; one that is
 * bigger than rotate_bytes gets a file of its own. What goes wrong with it is told once, in the why
 * of a later send(), and writing goes on. Removed: a file that somebody has unlinked is made anew,
 * and that is told in the same way. One that was renamed is written on to until reopen(), as
 * logrotate(8) wants it; its copytruncate needs nothing.
 */
#ifndef OUTPUT_SINK_FILE_H
#define OUTPUT_SINK_FILE_H

#include "output/sink.h"

struct sink_file_config {
	const char *path;
	uint64_t rotate_bytes;  /* a file is moved away before it gets bigger; 0: never */
	uint64_t rotate_age_ns; /* as one that was begun so long ago; 0: never */
	unsigned int keep;      /* moved files that are kept; the oldest goes */
	bool compress;          /* moved files, with gzip */
};

/* Created 0640. A file that ends inside a line (its writer was killed) first gets a newline. What
 * an earlier run left half compressed is done now. 0, or a negative error with a sentence in why
 * that names the file and the mend. */
int sink_file_open(struct sink **sink, const struct sink_file_config *c,
		   char why[SINK_WHY_SIZE]) MUST_CHECK;

int sink_stdout_open(struct sink **sink, char why[SINK_WHY_SIZE]) MUST_CHECK;

#endif
