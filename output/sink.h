/* sink.h - where lines go.
 *
 * A sink gets whole lines. It buffers; sink_flush() at a cycle's end hands everything on. Owned by
 * one thread. A pipe or socket whose reader is gone raises SIGPIPE: the program ignores that
 * signal, once, before the first sink_flush(), and is then told -EPIPE.
 *
 * What could not be written is given up and counted, never written twice. A line of which only the
 * first bytes went out (a full disk) counts as lost too, but its rest is kept and goes first when
 * there is room again, so that a file never holds half a line with another one behind it.
 */
#ifndef OUTPUT_SINK_H
#define OUTPUT_SINK_H

#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

struct sink_stats {
	uint64_t points_written; /* accepted by the file or pipe */
	uint64_t points_lost;    /* given up */
	uint64_t errors;         /* writes that the kernel refused */
	uint64_t bytes_written;
};

struct sink;

/* Open what -o names: "-" (standard output) or "file:PATH" (appended to, created 0640). A file that
 * ends inside a line (its writer was killed) first gets a newline.
 * 0, or a negative error; then *message (static or thread-local) says what is wrong and how to mend
 * it. */
int sink_open(struct sink **sink, const char *spec, const char **message) MUST_CHECK;

/* Room for one line of at most `most` bytes (most <= 64 KiB); fill it, then sink_commit() its
 * length, newline included. Valid until the next call on this sink; sink_commit(s, 0) gives it back
 * unused. */
char *sink_reserve(struct sink *s, size_t most);
void sink_commit(struct sink *s, size_t len);

/* Write what is buffered. 0, or -errno: the first error since the last flush (-EPIPE: nobody reads,
 * now and for ever; what could not be written is in points_lost). */
int sink_flush(struct sink *s) MUST_CHECK;

const struct sink_stats *sink_stats(const struct sink *s);

/* The spec it was opened with, for messages; valid until sink_close(). */
const char *sink_spec(const struct sink *s);

/* Flush and close; NULL is fine. Returns as sink_flush(), or what close() said. For final
 * statistics: sink_flush(), sink_stats(), sink_close(). */
int sink_close(struct sink *s) MUST_CHECK;

#endif
