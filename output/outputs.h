/* outputs.h - all outputs of a run: lines are made once, in batches, and given to each of them.
 *
 * Threads: the collector's.
 */
#ifndef OUTPUT_OUTPUTS_H
#define OUTPUT_OUTPUTS_H

#include "output/output.h"

enum { OUTPUTS_MOST = 16 };

struct outputs;

/* None yet. NULL with errno set. */
struct outputs *outputs_new(void) MUST_CHECK;

/* Stops and closes what is left; NULL is fine. */
void outputs_free(struct outputs *os);

/* Taken over. 0, or FL_EFULL. */
int outputs_add(struct outputs *os, struct output *o) MUST_CHECK;

size_t outputs_n(const struct outputs *os);
struct output *outputs_at(const struct outputs *os, size_t i);

/* The one of this name; NULL: there is none. */
struct output *outputs_find(const struct outputs *os, const char *name);

/* Room for one line of at most `most` bytes (most <= 64 KiB); fill it, then outputs_commit() its
 * length, newline included. Valid until the next call. */
char *outputs_reserve(struct outputs *os, size_t most);
void outputs_commit(struct outputs *os, size_t len);

/* Hand over what was committed. */
void outputs_flush(struct outputs *os);

/* 0; -EPIPE: nobody reads any of them; or the first error of a lossless one. */
int outputs_error(const struct outputs *os);

/* Stop one until until_ns (monotonic); outputs_poll() closes it when it has ended. */
void outputs_leave(struct outputs *os, struct output *o, uint64_t until_ns);
void outputs_poll(struct outputs *os);

/* Stop all until until_ns, close them. 0, or the first error; each was logged. What they counted
 * stays in outputs_sum() and outputs_stats(). */
int outputs_end(struct outputs *os, uint64_t until_ns) MUST_CHECK;

/* The counters of all, those that have left included: name, kind, state and why are not set. */
void outputs_sum(const struct outputs *os, struct output_stats *sum);

/* Of the i-th, also after outputs_end(); false: there is none. */
bool outputs_stats(const struct outputs *os, size_t i, struct output_stats *stats);

#endif
