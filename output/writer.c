/* writer.c - the point_sink that joins an encoder and the outputs. */
#include "output/writer.h"

#include <stdlib.h>

struct line_writer {
	struct line_encoder *encoder;
	struct outputs *outputs;
	size_t most_bytes;
};

struct line_writer *line_writer_new(struct line_encoder *encoder, struct outputs *outputs)
{
	struct line_writer *w = calloc(1, sizeof(*w));

	if (!w)
		return NULL;
	w->encoder = encoder;
	w->outputs = outputs;
	w->most_bytes = line_encoder_max(encoder);
	return w;
}

void line_writer_free(struct line_writer *w)
{
	free(w);
}

static void put(void *ctx, const struct point *p)
{
	struct line_writer *w = ctx;
	char *out = outputs_reserve(w->outputs, w->most_bytes);

	outputs_commit(w->outputs, line_encode(w->encoder, p, out));
}

static void end(void *ctx, uint64_t cycle_end_ns)
{
	struct line_writer *w = ctx;

	(void)cycle_end_ns;
	outputs_flush(w->outputs);
}

struct point_sink line_writer_sink(struct line_writer *w)
{
	struct point_sink s = {.put = put, .end = end, .ctx = w};

	return s;
}
