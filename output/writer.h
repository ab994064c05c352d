/* writer.h - points into lines: the point_sink that joins an encoder and the outputs.
 *
 * Belongs to one thread.
 */
#ifndef OUTPUT_WRITER_H
#define OUTPUT_WRITER_H

#include "common/error.h"
#include "flows/point.h"
#include "output/line.h"
#include "output/outputs.h"

struct line_writer;

/* Both are borrowed: they must outlive the writer. NULL with errno set. */
struct line_writer *line_writer_new(struct line_encoder *encoder,
				    struct outputs *outputs) MUST_CHECK;
void line_writer_free(struct line_writer *w);

/* Where the engine puts its points: one line each, handed to the outputs when a batch is full and
 * at the end of a cycle. */
struct point_sink line_writer_sink(struct line_writer *w);

#endif
