/* batch.c - see batch.h. */
#include "output/batch.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* Batches that were freed last, for the next batch_new(): their memory is in the caches and has
 * been zeroed by the kernel already. */
enum { SPARE_MOST = 4 };

static struct {
	pthread_mutex_t lock;
	struct batch *v[SPARE_MOST];
	size_t n;
} spare = {.lock = PTHREAD_MUTEX_INITIALIZER};

struct batch *batch_new(void)
{
	struct batch *b = NULL;

	pthread_mutex_lock(&spare.lock);
	if (spare.n)
		b = spare.v[--spare.n];
	pthread_mutex_unlock(&spare.lock);
	if (!b)
		b = malloc(sizeof(*b) + BATCH_BYTES);
	if (!b)
		return NULL;
	b->refs = 1;
	b->points = 0;
	b->room = BATCH_BYTES;
	b->size = 0;
	b->made_ns = 0;
	return b;
}

struct batch *batch_copy(const struct batch *from)
{
	struct batch *b = malloc(sizeof(*b) + from->size);

	if (!b)
		return NULL;
	b->refs = 1;
	b->points = from->points;
	b->room = b->size = from->size;
	b->made_ns = from->made_ns;
	memcpy(b->bytes, from->bytes, from->size);
	return b;
}

struct batch *batch_ref(struct batch *b)
{
	__atomic_add_fetch(&b->refs, 1, __ATOMIC_RELAXED);
	return b;
}

void batch_unref(struct batch *b)
{
	if (!b || __atomic_sub_fetch(&b->refs, 1, __ATOMIC_ACQ_REL))
		return;
	if (b->room == BATCH_BYTES) {
		pthread_mutex_lock(&spare.lock);
		if (spare.n < SPARE_MOST) {
			spare.v[spare.n++] = b;
			b = NULL;
		}
		pthread_mutex_unlock(&spare.lock);
	}
	free(b);
}

void batch_free_spare(void)
{
	pthread_mutex_lock(&spare.lock);
	while (spare.n)
		free(spare.v[--spare.n]);
	pthread_mutex_unlock(&spare.lock);
}
