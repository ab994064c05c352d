/* fuzz_http.c - the HTTP reader on any bytes, fed whole and in pieces, with a hole somewhere.
 *
 * Input: one byte of options (bit 0: responses; bits 1-2: what they answer), one that sets the
 * sizes of the pieces, one that says where a hole of up to 15 bytes is (0: nowhere), then the
 * stream. Both ways of feeding must tell the same events and stop in the same state; a reader that
 * broke a rule aborts.
 */
#include <stdlib.h>
#include <string.h>

#include "flows/http.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct told {
	uint64_t hash; /* of all events in order (FNV-1a) */
	unsigned int events;
	enum http_answers answers;
};

static void tell(struct told *t, const void *data, size_t n)
{
	const uint8_t *p = data;
	size_t i;

	for (i = 0; i < n; i++)
		t->hash = (t->hash ^ p[i]) * 0x100000001b3ULL;
	t->events++;
}

static void must(int ok)
{
	if (!ok)
		abort();
}

static enum http_answers on_head(void *ctx, const struct http_head *h)
{
	uint8_t what[8] = {'h',        h->request, h->cut,     h->target_cut,
			   h->version, h->method,  h->upgrade, 0};
	struct told *t = ctx;
	const char *path;
	size_t len;

	must(h->version <= 1 && h->target_len <= HTTP_TARGET_MAX);
	must(h->request ? h->method < HTTP_METHODS && h->target_len > 0
			: h->status >= 100 && h->status <= 999);
	tell(t, what, sizeof(what));
	tell(t, &h->status, sizeof(h->status));
	if (h->request) {
		tell(t, h->target, h->target_len);
		path = http_target_path(h->method, h->target, h->target_len, &len);
		must(len > 0 && len <= h->target_len);
		tell(t, path, len);
	}
	return t->answers;
}

static void on_end(void *ctx)
{
	tell(ctx, "e", 1);
}

/* Feed n bytes in pieces of 1 to piece bytes (0: all at once); returns false when they are no HTTP.
 */
static int feed(struct http_reader *r, const struct http_events *ev, struct http_partial *partial,
		const uint8_t *p, size_t n, size_t piece)
{
	while (n) {
		size_t k = piece && piece < n ? piece : n;
		uint8_t *block = malloc(k);
		int got;

		must(block != NULL);
		memcpy(block, p, k);
		if (!http_reader_in_head(r))
			memset(partial, 0xa5, sizeof(*partial));
		r->partial = partial;
		got = http_reader_feed(r, ev, block, k);
		free(block);
		must(got < 0 ? r->state == HTTP_LOST : got == (int)k);
		if (got < 0)
			return 0;
		p += k;
		n -= k;
		if (piece)
			piece = piece % 31 + 1; /* other places on every round */
	}
	return 1;
}

static void run(struct told *t, struct http_reader *r, const uint8_t *data, size_t size,
		size_t piece)
{
	static struct http_partial partial;
	struct http_events ev = {on_head, on_end, t};
	size_t hole = (size_t)(data[2] >> 4) * 8, n = data[2] & 15;

	t->hash = 0xcbf29ce484222325ULL;
	t->events = 0;
	t->answers = (enum http_answers)(data[0] >> 1 & 3);
	http_reader_init(r, !(data[0] & 1));
	data += 3;
	size -= 3;
	if (hole > size || hole + n > size)
		n = 0;
	if (n) {
		if (!feed(r, &ev, &partial, data, hole, piece))
			return;
		http_reader_gap(r, &ev, n);
		data += hole + n;
		size -= hole + n;
	}
	if (feed(r, &ev, &partial, data, size, piece))
		http_reader_close(r, &ev);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct http_reader whole, pieces;
	struct told a, b;

	if (size < 3)
		return 0;
	run(&a, &whole, data, size, 0);
	run(&b, &pieces, data, size, data[1] % 31 + 1);
	must(a.hash == b.hash && a.events == b.events && whole.state == pieces.state);
	(void)http_guess(data + 3, size - 3);
	return 0;
}
