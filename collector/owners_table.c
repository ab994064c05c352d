/* owners_table.c - see owners_table.h. An id is the slot's number and its generation << 16. */
#include "collector/owners_table.h"

#include <errno.h>
#include <string.h>

#include "common/memory.h"

int owners_table_init(struct owners_table *t, uint32_t most)
{
	int err;

	memset(t, 0, sizeof(*t));
	if (most < 1 || most > 65535)
		return -EINVAL;
	t->most = most;
	siphash_key_random(&t->key);
	err = index_init(&t->index, most);
	if (err)
		return err;
	t->slots = mem_map(most, sizeof(*t->slots));
	return t->slots ? 0 : -errno;
}

void owners_table_destroy(struct owners_table *t)
{
	if (t->index.base)
		index_destroy(&t->index);
	if (t->slots)
		mem_unmap(t->slots, t->most, sizeof(*t->slots));
	memset(t, 0, sizeof(*t));
}

static uint32_t take_slot(struct owners_table *t)
{
	struct owner_slot *s;

	if (t->used < t->most)
		return t->used++;
	for (;;) { /* a clock: each has one round after it was asked for */
		t->hand = t->hand + 1 < t->most ? t->hand + 1 : 0;
		s = &t->slots[t->hand];
		if (!s->recent)
			break;
		s->recent = false;
	}
	index_remove(&t->index, s->hash, t->hand);
	t->evicted++;
	return t->hand;
}

uint32_t owners_table_put(struct owners_table *t, const struct procfs_process *p,
			  const char container[CONTAINER_ID_LEN + 1])
{
	uint64_t w[2] = {p->pid, p->start_ticks};
	uint32_t hash = (uint32_t)siphash_words(&t->key, w, 2), at, rec;
	struct owner_slot *s;

	INDEX_FIND(&t->index, hash, at, rec)
	{
		s = &t->slots[rec];
		if (s->owner.pid == p->pid && s->start_ticks == p->start_ticks &&
		    !strcmp(s->name, p->name) && !strcmp(s->container, container)) {
			s->recent = true;
			return rec | (uint32_t)s->generation << 16;
		}
	}
	rec = take_slot(t);
	s = &t->slots[rec];
	if (++s->generation == 0)
		s->generation = 1; /* so that no id is OWNER_NONE */
	s->owner.pid = p->pid;
	s->start_ticks = p->start_ticks;
	s->hash = hash;
	s->recent = true;
	memcpy(s->name, p->name, sizeof(s->name));
	memcpy(s->container, container, sizeof(s->container));
	s->owner.process_name.s = s->name;
	s->owner.process_name.len = (uint32_t)strlen(s->name);
	s->owner.container_id.s = s->container;
	s->owner.container_id.len = (uint32_t)strlen(s->container);
	index_insert(&t->index, hash, rec);
	return rec | (uint32_t)s->generation << 16;
}

const struct owner *owners_table_get(struct owners_table *t, uint32_t id)
{
	uint32_t slot = id & 0xffff;

	if (slot >= t->used || t->slots[slot].generation != id >> 16)
		return NULL;
	t->slots[slot].recent = true;
	return &t->slots[slot].owner;
}
