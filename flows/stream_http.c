/* stream_http.c - the HTTP reader of a stream: lends it memory for heads in several pieces, and
 * gives its heads to the pairing. */
#include "flows/stream_internal.h"

#include <string.h>

void stream_http_init(struct stream *st, int end)
{
	http_reader_init(&st->end[end].u.http, end == st->client);
}

static void become_tunnel(struct stream *st)
{
	http_reader_tunnel(&st->end[0].u.http);
	http_reader_tunnel(&st->end[1].u.http);
	st->dead = st->tunnel = true;
}

static enum http_answers on_head(void *ctx, const struct http_head *h)
{
	struct piece *pc = ctx;
	struct stream *st = pc->st;
	struct stream_end *e = &st->end[pc->end];
	enum http_answers answers;
	struct ends ends;
	uint64_t begin_ns = e->begin_ns;

	st->proven = true;
	e->begin_ns = pc->time_ns; /* the next message of this piece begins here */
	if (h->request) {
		ends_of_key(&st->key, st->client, &ends);
		http_pairs_request(pc->s->config.http, &st->queue, &ends, h, pc->now_ns,
				   pc->seq + 1);
		return HTTP_ANSWERS_UNKNOWN;
	}
	if (h->status < 200 && h->status != 101)
		return HTTP_ANSWERS_OTHER;
	answers =
	    http_pairs_response(pc->s->config.http, &st->queue, h->status, begin_ns, e->begin_ack);
	e->begin_ack = pc->ack;
	if (h->status == 101 || (answers == HTTP_ANSWERS_CONNECT && h->status < 300))
		become_tunnel(st);
	return answers;
}

static void on_end(void *ctx)
{
	(void)ctx;
}

/* Memory for a head that does not end in this piece. The last one is for everybody: it is only lent
 * for the length of a call, and a head that outlives the call while none is left is given cut. */
static void lend_partial(struct streams *s, struct http_reader *r)
{
	uint32_t n = s->partials_free;

	if (r->partial)
		return;
	if (n != FLOW_NONE)
		s->partials_free = s->partials_next[n];
	else if (s->partials_unused_from < HTTP_PARTIALS)
		n = s->partials_unused_from++;
	if (n != FLOW_NONE)
		r->partial = &s->partials[n];
}

static void return_partial(struct streams *s, struct http_reader *r)
{
	uint32_t n;

	if (!r->partial || http_reader_in_head(r))
		return;
	n = (uint32_t)(r->partial - s->partials);
	s->partials_next[n] = s->partials_free;
	s->partials_free = n;
	r->partial = NULL;
}

int stream_http_feed(struct piece *pc, const uint8_t *p, uint32_t n)
{
	struct http_events ev = {on_head, on_end, pc};
	struct stream_end *e = &pc->st->end[pc->end];
	int r;

	if (!http_reader_in_head(&e->u.http)) {
		e->begin_ns = pc->time_ns;
		e->begin_ack = pc->ack;
	}
	lend_partial(pc->s, &e->u.http);
	r = http_reader_feed(&e->u.http, &ev, p, n);
	return_partial(pc->s, &e->u.http);
	if (r < 0 && !pc->st->proven) {
		pc->s->stats.not_http++;
		pc->st->dead = true;
	}
	return r;
}

void stream_http_gap(struct piece *pc, uint64_t n)
{
	struct http_events ev = {on_head, on_end, pc};
	struct stream_end *e = &pc->st->end[pc->end];

	/* Without the rest of its head a request is not known to be one. A response's status is. */
	if (pc->hole && pc->end == pc->st->client && http_reader_in_head(&e->u.http))
		e->u.http.state = HTTP_LOST;
	http_reader_gap(&e->u.http, &ev, n);
	if (e->u.http.state == HTTP_LOST && pc->end != pc->st->client)
		pc->st->queue.lost = true;
	if (e->u.http.state == HTTP_LOST && !pc->st->proven)
		pc->st->dead = true; /* opened for bytes that did not come */
	return_partial(pc->s, &e->u.http);
}

bool stream_http_resync(struct stream *st, int end, const uint8_t *p, uint32_t n)
{
	enum http_guess want = end == st->client ? HTTP_REQUEST : HTTP_RESPONSE;

	if (http_guess(p, n) != want)
		return false;
	stream_http_init(st, end);
	return true;
}

uint64_t stream_http_skippable(const struct stream *st, int end)
{
	return http_reader_skippable(&st->end[end].u.http);
}

bool stream_http_is_lost(const struct stream *st, int end)
{
	return st->end[end].u.http.state == HTTP_LOST;
}

/* A head whose end never came is no message: the server has not read one either. */
void stream_http_close(struct piece *pc)
{
	struct http_reader *r = &pc->st->end[pc->end].u.http;

	if (http_reader_in_head(r)) {
		pc->s->stats.lost++;
		http_reader_tunnel(r);
	}
	return_partial(pc->s, r);
}
