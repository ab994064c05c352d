/* writer.c - the point_sink that joins an encoder and a sink. */
#include "output/writer.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>

#include "common/log.h"

struct line_writer {
	struct line_encoder *encoder;
	struct sink *sink;
	size_t most_bytes;
	int error;          /* of the last flush */
	bool failing;       /* said so; an empty cycle does not end it, a written point does */
	uint64_t lost_seen; /* points_lost before the first failed flush of the row */
	uint64_t written_seen;
};

struct line_writer *line_writer_new(struct line_encoder *encoder, struct sink *sink)
{
	struct line_writer *w = calloc(1, sizeof(*w));

	if (!w)
		return NULL;
	w->encoder = encoder;
	w->sink = sink;
	w->most_bytes = line_encoder_max(encoder);
	w->lost_seen = sink_stats(sink)->points_lost;
	w->written_seen = sink_stats(sink)->points_written;
	return w;
}

void line_writer_free(struct line_writer *w)
{
	free(w);
}

static void put(void *ctx, const struct point *p)
{
	struct line_writer *w = ctx;
	char *out = sink_reserve(w->sink, w->most_bytes);

	sink_commit(w->sink, line_encode(w->encoder, p, out));
}

static const char *advice(int err)
{
	switch (err) {
	case -ENOSPC:
	case -EDQUOT:
		return "make room";
	case -EFBIG:
		return "move the file away, or raise the limit on its size (ulimit -f)";
	default:
		return "see that it can be written to";
	}
}

static void end(void *ctx, uint64_t cycle_end_ns)
{
	struct line_writer *w = ctx;
	const struct sink_stats *stats = sink_stats(w->sink);

	(void)cycle_end_ns;
	w->error = sink_flush(w->sink);
	if (w->error) {
		if (!w->failing && w->error != -EPIPE)
			log_error("-o %s: %s: %s; points are lost until then", sink_spec(w->sink),
				  fl_strerror(w->error), advice(w->error));
		w->failing = true;
	} else if (!w->failing) {
		w->lost_seen = stats->points_lost;
	} else if (stats->points_written != w->written_seen) {
		log_info("-o %s: written again; %" PRIu64 " points were lost", sink_spec(w->sink),
			 stats->points_lost - w->lost_seen);
		w->failing = false;
		w->lost_seen = stats->points_lost;
	}
	w->written_seen = stats->points_written;
}

struct point_sink line_writer_sink(struct line_writer *w)
{
	struct point_sink s = {.put = put, .end = end, .ctx = w};

	return s;
}

int line_writer_error(const struct line_writer *w)
{
	return w->error;
}
