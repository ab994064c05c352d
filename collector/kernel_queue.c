/* kernel_queue.c - a list of blocks of samples: filled at its end, emptied at its head.
 */
#include "collector/kernel_queue.h"

#include <errno.h>
#include <stdlib.h>

enum {
	QUEUE_BLOCK = 1024, /* samples: 144 KiB */
	QUEUE_SPARE = 8,    /* empty blocks that are kept: most cycles want them again */
};

#define QUEUE_DELAY_NS ((uint64_t)KERNEL_DELAY_MS * 1000000)

struct queue_item {
	uint64_t arrived_ns;
	struct kernel_sample sample;
};

struct queue_block {
	struct queue_block *next;
	unsigned int first, end; /* items from first to before end wait */
	struct queue_item items[QUEUE_BLOCK];
};

struct kernel_queue {
	struct queue_block *head, *tail; /* both NULL: empty */
	struct queue_block *spare;
	unsigned int nspare;
	size_t limit;
	struct kernel_queue_stats stats;
	void (*apply)(void *ctx, const struct kernel_sample *s);
	void *ctx;
};

int kernel_queue_new(struct kernel_queue **out, size_t most,
		     void (*apply)(void *ctx, const struct kernel_sample *s), void *ctx)
{
	struct kernel_queue *q = calloc(1, sizeof(*q));

	*out = q;
	if (!q)
		return -ENOMEM;
	q->limit = most ? most : 1;
	q->apply = apply;
	q->ctx = ctx;
	return 0;
}

static void queue_free_list(struct queue_block *b)
{
	struct queue_block *next;

	for (; b; b = next) {
		next = b->next;
		free(b);
	}
}

void kernel_queue_free(struct kernel_queue *q)
{
	if (!q)
		return;
	queue_free_list(q->head);
	queue_free_list(q->spare);
	free(q);
}

static struct queue_block *queue_take_block(struct kernel_queue *q)
{
	struct queue_block *b = q->spare;

	if (b) {
		q->spare = b->next;
		q->nspare--;
	} else {
		b = malloc(sizeof(*b));
		if (!b)
			return NULL;
	}
	b->next = NULL;
	b->first = b->end = 0;
	return b;
}

static void queue_put_block(struct kernel_queue *q, struct queue_block *b)
{
	if (q->nspare == QUEUE_SPARE) {
		free(b);
		return;
	}
	b->next = q->spare;
	q->spare = b;
	q->nspare++;
}

static void queue_apply_first(struct kernel_queue *q)
{
	struct queue_block *b = q->head;

	q->apply(q->ctx, &b->items[b->first].sample);
	q->stats.waiting--;
	if (++b->first < b->end)
		return;
	q->head = b->next;
	if (!q->head)
		q->tail = NULL;
	queue_put_block(q, b);
}

/* The block that has room for one more; NULL: no memory. */
static struct queue_block *queue_room(struct kernel_queue *q)
{
	struct queue_block *b = q->tail;

	if (b && b->end < QUEUE_BLOCK)
		return b;
	b = queue_take_block(q);
	if (!b)
		return NULL;
	if (q->tail)
		q->tail->next = b;
	else
		q->head = b;
	q->tail = b;
	return b;
}

void kernel_queue_add(struct kernel_queue *q, const struct kernel_sample *s, uint64_t now_ns)
{
	struct queue_block *b;

	if (q->stats.waiting == q->limit) {
		queue_apply_first(q);
		q->stats.early++;
	}
	b = queue_room(q);
	if (!b) { /* in order, or an older sample would be the last word */
		q->stats.early += q->stats.waiting + 1;
		kernel_queue_flush(q);
		q->apply(q->ctx, s);
		return;
	}
	b->items[b->end].arrived_ns = now_ns;
	b->items[b->end++].sample = *s;
	if (++q->stats.waiting > q->stats.most)
		q->stats.most = q->stats.waiting;
}

void kernel_queue_work(struct kernel_queue *q, uint64_t now_ns)
{
	while (q->head) {
		uint64_t arrived = q->head->items[q->head->first].arrived_ns;

		if (now_ns >= arrived && now_ns - arrived < QUEUE_DELAY_NS)
			return;
		queue_apply_first(q);
	}
}

void kernel_queue_flush(struct kernel_queue *q)
{
	while (q->head)
		queue_apply_first(q);
}

uint64_t kernel_queue_due_ns(const struct kernel_queue *q)
{
	return q->head ? q->head->items[q->head->first].arrived_ns + QUEUE_DELAY_NS : 0;
}

void kernel_queue_stats(const struct kernel_queue *q, struct kernel_queue_stats *out)
{
	*out = q->stats;
}
