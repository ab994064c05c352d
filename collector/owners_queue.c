/* owners_queue.c - see owners_queue.h. */
#include "collector/owners_queue.h"

#include <errno.h>
#include <string.h>

#include "common/memory.h"

#define NONE      UINT32_MAX
#define NS_PER_MS 1000000ULL

int owners_queue_init(struct owners_queue *q, uint32_t most)
{
	int i;

	memset(q, 0, sizeof(*q));
	q->most = most;
	q->free = NONE;
	for (i = 0; i < OWNERS_TRIES; i++)
		q->first[i] = q->last[i] = NONE;
	q->list = mem_map(most ? most : 1, sizeof(*q->list));
	return q->list ? 0 : -ENOMEM;
}

void owners_queue_destroy(struct owners_queue *q)
{
	if (q->list)
		mem_unmap(q->list, q->most ? q->most : 1, sizeof(*q->list));
	memset(q, 0, sizeof(*q));
}

static void append(struct owners_queue *q, uint32_t n)
{
	struct owners_waiting *w = &q->list[n];
	uint32_t last = q->last[w->tries];

	w->prev = last;
	w->next = NONE;
	if (last == NONE)
		q->first[w->tries] = n;
	else
		q->list[last].next = n;
	q->last[w->tries] = n;
}

static void unlink_one(struct owners_queue *q, const struct owners_waiting *w)
{
	if (w->prev == NONE)
		q->first[w->tries] = w->next;
	else
		q->list[w->prev].next = w->next;
	if (w->next == NONE)
		q->last[w->tries] = w->prev;
	else
		q->list[w->next].prev = w->prev;
}

struct owners_waiting *owners_queue_add(struct owners_queue *q, const struct flow_key *key, int end,
					uint64_t now_ns)
{
	struct owners_waiting *w;
	uint32_t n = q->free;

	if (q->used == q->most)
		return NULL;
	if (n == NONE)
		n = q->unused_from++;
	else
		q->free = q->list[n].next;
	q->used++;
	w = &q->list[n];
	memset(w, 0, sizeof(*w));
	w->key = *key;
	w->end = (uint8_t)end;
	w->due_ns = now_ns;
	append(q, n);
	return w;
}

size_t owners_queue_due(const struct owners_queue *q, uint64_t now_ns, uint32_t *out, size_t most)
{
	size_t got = 0;
	uint32_t n;
	int i;

	for (i = 0; i < OWNERS_TRIES; i++)
		for (n = q->first[i]; n != NONE && got < most && q->list[n].due_ns <= now_ns;
		     n = q->list[n].next)
			out[got++] = n;
	return got;
}

bool owners_queue_later(struct owners_queue *q, uint32_t n, uint64_t now_ns)
{
	static const uint16_t wait_ms[OWNERS_TRIES - 1] = {10, 30, 100, 300, 1000, 3000};
	struct owners_waiting *w = &q->list[n];

	if (w->tries + 1 >= OWNERS_TRIES)
		return false;
	unlink_one(q, w);
	w->due_ns = now_ns + wait_ms[w->tries] * NS_PER_MS;
	w->tries++;
	append(q, n);
	return true;
}

void owners_queue_remove(struct owners_queue *q, uint32_t n)
{
	unlink_one(q, &q->list[n]);
	q->list[n].next = q->free;
	q->free = n;
	q->used--;
}
