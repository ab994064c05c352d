/* http_pair.c - see http_pair.h. One list in the order of the requests' times serves the time-out;
 * a request that timed out stays in its connection's queue, written, so that a late response is not
 * given to the request after it. */
#include "flows/http_pair.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/memory.h"
#include "flows/http_template.h"

#define NONE UINT32_MAX

struct request {
	struct ends ends;
	struct http_queue *queue;
	uint64_t time_ns;
	uint32_t seq;
	uint32_t next_in_queue;
	uint32_t prev, next; /* by age; next: also of the free list */
	uint16_t path_len;
	uint8_t method, version;
	bool truncated, written;
	char path[];
};

struct http_pairs {
	struct http_pairs_config config;
	struct http_pairs_stats stats;
	char *requests; /* max_pending of `size` bytes */
	size_t size;
	uint32_t oldest, newest, free, unused_from;
	uint32_t expire_from; /* oldest one that is not written; NONE: none */
};

static struct request *request_at(const struct http_pairs *p, uint32_t n)
{
	return (struct request *)(void *)(p->requests + n * p->size);
}

struct http_pairs *http_pairs_new(const struct http_pairs_config *config)
{
	struct http_pairs *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->config = *config;
	p->oldest = p->newest = p->free = p->expire_from = NONE;
	p->size = (sizeof(struct request) + config->max_path + 15) & ~(size_t)15;
	p->requests = mem_map(config->max_pending, p->size);
	if (!p->requests) {
		free(p);
		return NULL;
	}
	return p;
}

void http_pairs_free(struct http_pairs *p)
{
	if (!p)
		return;
	mem_unmap(p->requests, p->config.max_pending, p->size);
	free(p);
}

void http_pairs_configure(struct http_pairs *p, uint64_t timeout_ns, enum http_paths paths)
{
	p->config.timeout_ns = timeout_ns;
	p->config.paths = paths;
}

const struct http_pairs_stats *http_pairs_stats(const struct http_pairs *p)
{
	return &p->stats;
}

void http_queue_init(struct http_queue *q)
{
	memset(q, 0, sizeof(*q));
	q->head = q->tail = NONE;
}

/* Write the transaction, once. */
static void request_write(struct http_pairs *p, struct request *r, uint16_t status,
			  uint64_t begin_ns)
{
	struct http_result res = {.path = r->path,
				  .path_len = r->path_len,
				  .status = status,
				  .method = r->method,
				  .version = r->version,
				  .truncated = r->truncated};

	if (r->written)
		return;
	r->written = true;
	if (status && begin_ns >= r->time_ns) {
		res.has_latency = true;
		res.latency_ns = begin_ns - r->time_ns;
	}
	points_add_http(p->config.points, &r->ends, &res);
}

/* The oldest request of its queue leaves both lists. */
static void request_remove(struct http_pairs *p, uint32_t n)
{
	struct request *r = request_at(p, n);
	struct http_queue *q = r->queue;

	q->head = r->next_in_queue;
	if (q->head == NONE)
		q->tail = NONE;
	if (p->expire_from == n)
		p->expire_from = r->next;
	if (r->prev != NONE)
		request_at(p, r->prev)->next = r->next;
	else
		p->oldest = r->next;
	if (r->next != NONE)
		request_at(p, r->next)->prev = r->prev;
	else
		p->newest = r->prev;
	r->next = p->free;
	p->free = n;
	p->stats.pending--;
}

static uint32_t request_take(struct http_pairs *p)
{
	uint32_t n;

	if (p->stats.pending >= p->config.max_pending) {
		p->stats.evicted++;
		request_write(p, request_at(p, p->oldest), 0, 0);
		request_remove(p, p->oldest);
	}
	n = p->free;
	if (n != NONE)
		p->free = request_at(p, n)->next;
	else
		n = p->unused_from++;
	p->stats.pending++;
	return n;
}

/* Cut at most bytes of UTF-8 so that no character is broken; other bytes are cut where they are. */
static size_t utf8_cut(const char *s, size_t len, size_t most)
{
	size_t at = most, back;

	if (len <= most)
		return len;
	for (back = 0; back < 3 && at > 0 && ((uint8_t)s[at] & 0xc0) == 0x80; back++)
		at--;
	return ((uint8_t)s[at] & 0xc0) == 0xc0 ? at : most;
}

static void set_path(const struct http_pairs *p, struct request *r, const struct http_head *h)
{
	size_t len, cut;
	const char *path = http_target_path(h->method, h->target, h->target_len, &len);
	bool reaches_end = path + len == h->target + h->target_len;

	if (p->config.paths == HTTP_PATHS_OFF) {
		r->path_len = 0;
		r->truncated = false;
		return;
	}
	if (p->config.paths == HTTP_PATHS_TEMPLATE && h->method != HTTP_CONNECT) {
		bool open = h->target_cut && reaches_end, full;

		r->path_len =
		    (uint16_t)http_template(path, len, open, r->path, p->config.max_path, &full);
		r->truncated = full || open;
		return;
	}
	cut = utf8_cut(path, len, p->config.max_path);
	memcpy(r->path, path, cut);
	r->path_len = (uint16_t)cut;
	r->truncated = cut < len || (h->target_cut && reaches_end);
}

void http_pairs_request(struct http_pairs *p, struct http_queue *q, const struct ends *ends,
			const struct http_head *h, uint64_t end_ns, uint32_t seq)
{
	uint32_t n = request_take(p);
	struct request *r = request_at(p, n);

	p->stats.requests++;
	r->ends = *ends;
	r->queue = q;
	r->time_ns = end_ns;
	r->seq = seq;
	r->method = h->method;
	r->version = h->version;
	r->written = false;
	set_path(p, r, h);
	r->next_in_queue = NONE;
	if (q->tail != NONE)
		request_at(p, q->tail)->next_in_queue = n;
	else
		q->head = n;
	q->tail = n;
	r->prev = p->newest;
	r->next = NONE;
	if (p->newest != NONE)
		request_at(p, p->newest)->next = n;
	else
		p->oldest = n;
	p->newest = n;
	if (p->expire_from == NONE)
		p->expire_from = n;
	while (q->nearly && q->head != NONE) {
		uint64_t time_ns = q->early[0].time_ns;
		uint32_t ack = q->early[0].ack;
		uint16_t status = q->early[0].status;

		q->nearly--;
		memmove(&q->early[0], &q->early[1], q->nearly * sizeof(q->early[0]));
		if ((int32_t)(ack - request_at(p, q->head)->seq) < 0) {
			p->stats.orphans++; /* it was there before the request was even sent */
			continue;
		}
		request_write(p, request_at(p, q->head), status, time_ns);
		request_remove(p, q->head);
	}
}

static enum http_answers answers_of(const struct request *r)
{
	return r->method == HTTP_HEAD      ? HTTP_ANSWERS_HEAD
	       : r->method == HTTP_CONNECT ? HTTP_ANSWERS_CONNECT
					   : HTTP_ANSWERS_OTHER;
}

/* Response bytes were lost, so the requests before the last one that this response can answer were
 * answered there: nobody waits with a next request for an answer to come after it. */
static void drop_answered_in_gap(struct http_pairs *p, struct http_queue *q, uint32_t ack)
{
	q->lost = false;
	while (q->head != NONE) {
		uint32_t next = request_at(p, q->head)->next_in_queue;

		if (next == NONE || (int32_t)(ack - request_at(p, next)->seq) < 0)
			return;
		request_write(p, request_at(p, q->head), 0, 0);
		request_remove(p, q->head);
	}
}

enum http_answers http_pairs_response(struct http_pairs *p, struct http_queue *q, uint16_t status,
				      uint64_t begin_ns, uint32_t ack)
{
	enum http_answers answers;

	p->stats.responses++;
	if (q->lost)
		drop_answered_in_gap(p, q, ack);
	if (q->head == NONE || (int32_t)(ack - request_at(p, q->head)->seq) < 0) {
		if (q->nearly == HTTP_EARLY) {
			p->stats.orphans++;
			q->nearly--;
			memmove(&q->early[0], &q->early[1], q->nearly * sizeof(q->early[0]));
		}
		q->early[q->nearly].time_ns = begin_ns;
		q->early[q->nearly].ack = ack;
		q->early[q->nearly++].status = status;
		return HTTP_ANSWERS_UNKNOWN;
	}
	answers = answers_of(request_at(p, q->head));
	request_write(p, request_at(p, q->head), status, begin_ns);
	request_remove(p, q->head);
	return answers;
}

void http_pairs_close(struct http_pairs *p, struct http_queue *q)
{
	while (q->head != NONE) {
		request_write(p, request_at(p, q->head), 0, 0);
		request_remove(p, q->head);
	}
	p->stats.orphans += q->nearly;
	q->nearly = 0;
}

void http_pairs_expire(struct http_pairs *p, uint64_t now_ns, bool all)
{
	while (p->expire_from != NONE) {
		struct request *r = request_at(p, p->expire_from);

		if (!all && (int64_t)(now_ns - r->time_ns) <= (int64_t)p->config.timeout_ns)
			return;
		request_write(p, r, 0, 0);
		p->expire_from = r->next;
	}
}
