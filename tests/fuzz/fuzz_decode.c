/* fuzz_decode.c - any bytes as frames of every link type, through an engine with small tables.
 *
 * Input: frames, each of one byte (bits 0-2: link type; 3: on another interface; 4: a second later;
 * 5: more bytes on the wire than captured; 6: four bytes of that follow), one byte of length, and
 * so many bytes. Checked besides the sanitizers: the rules of points (tests/flows/record.h), and
 * that every frame is accounted for.
 */
#include <stdlib.h>
#include <string.h>

#include "flows/engine.h"
#include "tests/flows/script.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
	if (!ok)
		abort();
}

struct input {
	const uint8_t *p;
	size_t left;
	uint64_t time_ns;
};

static uint8_t take(struct input *in)
{
	if (!in->left)
		return 0;
	in->left--;
	return *in->p++;
}

/* The next frame, in a block of its exact size. */
static void next_frame(struct input *in, struct frame *f)
{
	uint8_t kind = take(in), len, *copy;
	int i;

	memset(f, 0, sizeof(*f));
	if (kind & 64)
		for (i = 0; i < 4; i++)
			f->wirelen = f->wirelen << 8 | take(in);
	len = take(in);
	if (len > in->left)
		len = (uint8_t)in->left;
	copy = malloc(len ? len : 1);
	require(copy != NULL);
	memcpy(copy, in->p, len);
	in->p += len;
	in->left -= len;
	in->time_ns += kind & 16 ? 1000000000 : 1000;
	f->data = copy;
	f->caplen = len;
	f->link = (kind & 7) % LINK_TYPES;
	f->iface = kind >> 3 & 1;
	f->time_ns = in->time_ns;
	if (f->wirelen < len)
		f->wirelen = len + (kind & 32 ? 1000U : 0);
}

/* All frames through one engine; returns what it counted. */
static void run(const uint8_t *data, size_t size, bool inner, size_t batch, struct record *r)
{
	struct input in = {data, size, SCRIPT_TIME};
	struct engine_config c;
	struct frame frames[16];
	struct engine_stats st;
	struct engine *e;
	size_t n = 0;

	script_config(&c, r);
	c.max_flows = 16;
	c.max_dns_pending = c.max_http_pending = c.max_streams = 8;
	c.tunnels_inner = inner;
	e = script_engine(&c);
	while (in.left || n) {
		if (in.left && n < batch) {
			next_frame(&in, &frames[n++]);
			continue;
		}
		engine_frames(e, frames, n);
		while (n)
			free((void *)(uintptr_t)frames[--n].data);
	}
	engine_finish(e, 0);
	st = *engine_stats(e);
	require(st.packets_seen == st.packets_parsed + st.packets_skipped + st.packets_truncated +
				       st.packets_malformed + st.packets_unknown +
				       st.packets_duplicate);
	require(!st.dns_pending && !st.http_pending && !st.streams_active && !st.flows_active);
	require(!r->broken);
	engine_free(e);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct record one, many;

	if (size < 1)
		return 0;
	run(data + 1, size - 1, data[0] & 1, 1, &one);
	run(data + 1, size - 1, data[0] & 1, 16, &many);
	/* a batch has no influence on what is counted */
	require(!memcmp(&one.net, &many.net, sizeof(one.net)));
	require(one.n == many.n && one.dns_count == many.dns_count &&
		one.http_count == many.http_count);
	record_free(&one);
	record_free(&many);
	return 0;
}
