/* writer.h - points into a sink: the point_sink that joins an encoder and a sink.
 *
 * Belongs to one thread, as both of them do. It logs the first failed flush of a row and the
 * recovery; how many points were written and lost is in sink_stats().
 */
#ifndef OUTPUT_WRITER_H
#define OUTPUT_WRITER_H

#include "common/error.h"
#include "flows/point.h"
#include "output/line.h"
#include "output/sink.h"

struct line_writer;

/* The encoder and the sink are borrowed: they must outlive the writer. NULL with errno set. */
struct line_writer *line_writer_new(struct line_encoder *encoder, struct sink *sink) MUST_CHECK;
void line_writer_free(struct line_writer *w);

/* Where the engine puts its points: one line each, flushed at the end of a cycle. */
struct point_sink line_writer_sink(struct line_writer *w);

/* What the last flush said: 0, or -errno. After -EPIPE nobody reads any more and nothing ever will
 * be written again: a normal end of the run (`| head`), which the writer does not log. */
int line_writer_error(const struct line_writer *w);

#endif
