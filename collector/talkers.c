/* talkers.c - see talkers.h. */
#include "collector/talkers.h"

#include <stdlib.h>
#include <string.h>

void talkers_init(struct talkers *t)
{
	memset(t, 0, sizeof(*t));
}

static void copy_text(char *out, size_t size, const struct text *text)
{
	size_t len = text->len < size ? text->len : size - 1;

	if (len)
		memcpy(out, text->s, len);
	out[len] = '\0';
}

static void fill(struct talker *k, const struct point *p, uint64_t bytes, uint64_t order)
{
	const struct point_netflow *n = &p->u.netflow;

	k->src = p->src;
	k->dst = p->dst;
	k->transport = p->transport;
	k->incoming = p->incoming;
	k->bytes = bytes;
	k->bytes_read = n->bytes_read;
	k->bytes_written = n->bytes_written;
	k->pid = p->pid;
	copy_text(k->process, sizeof(k->process), &p->process_name);
	copy_text(k->domain, sizeof(k->domain), &p->dst_domain);
	k->order = order;
}

/* Does a stand before b? */
static bool heavier(const struct talker *a, const struct talker *b)
{
	return a->bytes != b->bytes ? a->bytes > b->bytes : a->order < b->order;
}

static void find_least(struct talkers *t)
{
	size_t i;

	t->least = 0;
	for (i = 1; i < t->nrunning; i++)
		if (heavier(&t->running[t->least], &t->running[i]))
			t->least = i;
}

/* With so few places a scan is cheaper than a heap, and only a point that gets a place pays for
 * it. */
void talkers_add(struct talkers *t, const struct point *p)
{
	uint64_t bytes;
	size_t at;

	if (p->kind != POINT_NETFLOW)
		return;
	bytes = p->u.netflow.bytes_read + p->u.netflow.bytes_written;
	if (!bytes)
		return;
	if (t->nrunning < TALKERS_MOST)
		at = t->nrunning++;
	else if (bytes > t->running[t->least].bytes)
		at = t->least;
	else
		return;
	fill(&t->running[at], p, bytes, t->arrivals++);
	if (t->nrunning == TALKERS_MOST)
		find_least(t);
}

static int compare(const void *a, const void *b)
{
	return heavier(a, b) ? -1 : 1;
}

void talkers_end_cycle(struct talkers *t)
{
	memcpy(t->shown, t->running, t->nrunning * sizeof(t->running[0]));
	t->nshown = t->nrunning;
	if (t->nshown)
		qsort(t->shown, t->nshown, sizeof(t->shown[0]), compare);
	t->nrunning = 0;
}
