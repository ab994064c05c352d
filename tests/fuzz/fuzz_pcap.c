/* fuzz_pcap.c - any bytes as a capture file, through the source, the engine and the encoder.
 *
 * Checked besides the sanitizers: frames are sound (caplen <= wirelen, a known link), and every
 * frame is accounted for (seen = parsed + skipped + what was lost).
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "collector/source_file.h"
#include "collector/stats.h"
#include "flows/engine.h"
#include "output/line.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct line_encoder *encoder;
static char *line;

static void put(void *ctx, const struct point *p)
{
	size_t n = line_encode(encoder, p, line);

	(void)ctx;
	if (!n || n > line_encoder_max(encoder) || line[n - 1] != '\n')
		abort();
}

static void end(void *ctx, uint64_t cycle_end_ns)
{
	(void)ctx;
	(void)cycle_end_ns;
}

static void take(void *ctx, const struct frame *frames, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (frames[i].caplen > frames[i].wirelen || frames[i].link >= LINK_TYPES)
			abort();
	engine_frames(ctx, frames, n);
}

static struct engine *start(void)
{
	struct engine_config c;
	struct engine *e;

	engine_config_default(&c);
	c.max_flows = 64; /* so that eviction is reached */
	c.sink.put = put;
	c.sink.end = end;
	c.tunnels_inner = true;
	e = engine_new(&c);
	if (!e)
		abort();
	return e;
}

static const char *no_class(const struct ip_addr *a)
{
	(void)a;
	return "other";
}

static void start_encoder(void)
{
	struct line_config c;

	memset(&c, 0, sizeof(c));
	c.host = "fuzz";
	c.address_class = no_class;
	encoder = line_encoder_new(&c);
	line = encoder ? malloc(line_encoder_max(encoder)) : NULL;
	if (!line)
		abort();
}

/* libpcap reads files, so the bytes become one. */
static void write_input(const char *path, const uint8_t *data, size_t size)
{
	FILE *f = fopen(path, "wb");

	if (!f || fwrite(data, 1, size, f) != size || fclose(f))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char path[64];
	struct file_config config = {path};
	struct stats_totals totals;
	struct frame_sink sink;
	struct source *s;
	char why[512];
	struct engine *e;

	if (!encoder)
		start_encoder();
	if (!path[0])
		snprintf(path, sizeof(path), "/tmp/flowline-fuzz-pcap.%ld", (long)getpid());
	write_input(path, data, size);
	if (!source_file.open(&s, &config, why, sizeof(why))) {
		e = start();
		sink.frames = take;
		sink.ctx = e;
		while (source_file.poll(s, &sink, why, sizeof(why)) > 0)
			;
		engine_finish(e, 0);
		memset(&totals, 0, sizeof(totals));
		totals.engine = *engine_stats(e);
		stats_sum(&totals);
		if (!stats_adds_up(&totals))
			abort();
		engine_free(e);
		source_file.close(s);
	}
	unlink(path);
	return 0;
}
