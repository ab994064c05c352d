/* flow_table.c - see flow_table.h. */
#include "flows/flow_table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/memory.h"

#define NS_PER_S 1000000000ULL

enum { STEP_BACK_S = 60, MAX_SLOTS = 60000 };

int flow_table_init(struct flow_table *t, const struct flow_table_config *config)
{
	int class, err;

	memset(t, 0, sizeof(*t));
	t->config = *config;
	t->free = FLOW_NONE;
	if (config->max_flows < 2 || config->max_flows > 1UL << 29)
		return -EINVAL;
	err = index_init(&t->index, config->max_flows);
	if (err)
		return err;
	t->flows = mem_map(config->max_flows, sizeof(*t->flows));
	t->cold = mem_map(config->max_flows, sizeof(*t->cold));
	t->sights = mem_map(config->max_flows, sizeof(*t->sights));
	for (class = 0; class < FLOW_AGE_CLASSES; class ++) {
		uint64_t s = config->timeout_ns[class] / NS_PER_S;
		uint32_t i;

		t->slots[class] = (uint32_t)(s < MAX_SLOTS ? s : MAX_SLOTS) + 2;
		t->heads[class] = malloc(t->slots[class] * sizeof(uint32_t));
		if (!t->heads[class])
			break;
		for (i = 0; i < t->slots[class]; i++)
			t->heads[class][i] = FLOW_NONE;
	}
	if (!t->flows || !t->cold || !t->sights || class < FLOW_AGE_CLASSES) {
		flow_table_destroy(t);
		return -ENOMEM;
	}
	return 0;
}

void flow_table_destroy(struct flow_table *t)
{
	int class;

	index_destroy(&t->index);
	mem_unmap(t->flows, t->config.max_flows, sizeof(*t->flows));
	mem_unmap(t->cold, t->config.max_flows, sizeof(*t->cold));
	mem_unmap(t->sights, t->config.max_flows, sizeof(*t->sights));
	for (class = 0; class < FLOW_AGE_CLASSES; class ++)
		free(t->heads[class]);
	memset(t, 0, sizeof(*t));
}

/* --- lists by age
 * ---------------------------------------------------------------------------------- */

/* List of a class for flows last seen `age` seconds before the clock. */
static uint32_t slot_of(const struct flow_table *t, int class, uint32_t age)
{
	uint32_t n = t->slots[class];

	return (t->now_slot[class] + n - age) % n;
}

/* Seconds since the flow was seen, at most what the class has lists for. A flow "seen in the
 * future" (the clock was set back) counts as just seen. */
static uint32_t flow_age(const struct flow_table *t, const struct flow *f)
{
	uint64_t s = f->last_ns / NS_PER_S;
	uint32_t most = t->slots[f->age_class] - 1;

	if (s >= t->clock_s)
		return 0;
	return t->clock_s - s < most ? (uint32_t)(t->clock_s - s) : most;
}

static void age_link(struct flow_table *t, uint32_t n, int class, uint32_t age)
{
	struct flow *f = &t->flows[n];
	uint32_t slot = slot_of(t, class, age), head = t->heads[class][slot];

	f->age_class = (uint8_t) class;
	f->age_slot = (uint16_t)slot;
	f->age_prev = FLOW_NONE;
	f->age_next = head;
	if (head != FLOW_NONE)
		t->flows[head].age_prev = n;
	t->heads[class][slot] = n;
	if (age > t->oldest[class])
		t->oldest[class] = age;
}

static void age_unlink(struct flow_table *t, uint32_t n)
{
	struct flow *f = &t->flows[n];

	if (f->age_prev != FLOW_NONE)
		t->flows[f->age_prev].age_next = f->age_next;
	else
		t->heads[f->age_class][f->age_slot] = f->age_next;
	if (f->age_next != FLOW_NONE)
		t->flows[f->age_next].age_prev = f->age_prev;
}

void flow_table_set_class(struct flow_table *t, uint32_t n, enum flow_age_class class)
{
	if (t->flows[n].age_class == class)
		return;
	age_unlink(t, n);
	t->flows[n].age_class = (uint8_t) class;
	age_link(t, n, class, flow_age(t, &t->flows[n]));
}

static void flow_end(struct flow_table *t, uint32_t n, enum flow_end_reason reason)
{
	struct flow *f = &t->flows[n];

	t->config.end(t->config.ctx, n, reason);
	age_unlink(t, n);
	index_remove(&t->index, f->hash, n);
	f->state = 0;
	f->age_next = t->free;
	t->free = n;
	t->used--;
}

/* The least recently seen flow, to the second: flows in the oldest list that were seen since move
 * on. */
static void evict(struct flow_table *t)
{
	for (;;) {
		int class, best = -1;
		uint32_t n, age, listed = 0;

		for (class = 0; class < FLOW_AGE_CLASSES; class ++) {
			while (t->oldest[class] &&
			       t->heads[class][slot_of(t, class, t->oldest[class])] == FLOW_NONE)
				t->oldest[class]--;
			if (t->heads[class][slot_of(t, class, t->oldest[class])] != FLOW_NONE &&
			    (best < 0 || t->oldest[class] > listed)) {
				best = class;
				listed = t->oldest[class];
			}
		}
		if (best < 0)
			return;
		n = t->heads[best][slot_of(t, best, listed)];
		age = flow_age(t, &t->flows[n]);
		if (age >= listed) {
			t->evicted++;
			flow_end(t, n, FLOW_END_EVICTED);
			return;
		}
		age_unlink(t, n);
		age_link(t, n, best, age);
	}
}

/* --- lookup
 * ---------------------------------------------------------------------------------------- */

static uint32_t take_record(struct flow_table *t)
{
	uint32_t n;

	if (t->used >= t->config.max_flows)
		evict(t);
	if (t->free != FLOW_NONE) {
		n = t->free;
		t->free = t->flows[n].age_next;
	} else {
		n = t->unused_from++;
	}
	t->used++;
	return n;
}

uint32_t flow_table_get(struct flow_table *t, const struct packet *pkt, uint32_t guess,
			bool *created)
{
	uint32_t hash = (uint32_t)pkt->hash, at, n;
	struct flow *f;
	bool tcp;

	/* state is 0 in a record that is free */
	if (guess != FLOW_NONE && t->flows[guess].state &&
	    flow_key_equal(&t->flows[guess].key, &pkt->key)) {
		*created = false;
		return guess;
	}
	INDEX_FIND(&t->index, hash, at, n)
	{
		if (__builtin_expect(flow_key_equal(&t->flows[n].key, &pkt->key), 1)) {
			*created = false;
			return n;
		}
	}
	n = take_record(t);
	f = &t->flows[n];
	memset(f, 0, sizeof(*f));
	tcp = flow_key_proto(&pkt->key) == PROTO_TCP;
	memset(&t->cold[n], 0, tcp ? sizeof(t->cold[n]) : (size_t)FLOW_COLD_UDP);
	f->key = pkt->key;
	f->hash = hash;
	f->last_ns = pkt->time_ns;
	t->cold[n].first_ns = pkt->time_ns;
	t->cold[n].stream = FLOW_NONE;
	if (tcp)
		t->cold[n].holes[0] = t->cold[n].holes[1] = FLOW_NONE;
	if (!t->clock_s)
		t->clock_s = pkt->time_ns / NS_PER_S;
	age_link(t, n, tcp ? FLOW_AGE_TCP : FLOW_AGE_UDP, 0);
	index_insert(&t->index, hash, n);
	t->created++;
	*created = true;
	return n;
}

/* --- time
 * ------------------------------------------------------------------------------------------ */

/* Flows that are in no list any more, about to end. */
static void end_batch(struct flow_table *t, const uint32_t *flows, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++)
		index_prefetch(&t->index, t->flows[flows[i]].hash);
	if (t->config.prepare)
		t->config.prepare(t->config.ctx, flows, n);
	for (i = 0; i < n; i++)
		flow_end(t, flows[i], FLOW_END_IDLE);
}

/* All flows of one list: ended where they are old enough, else moved to the list of their age. */
static void sweep(struct flow_table *t, int class, uint32_t slot, uint32_t timeout_s)
{
	uint32_t n = t->heads[class][slot], next, age, ending[FLOW_SWEEP];
	unsigned int nending = 0;

	t->heads[class][slot] = FLOW_NONE;
	for (; n != FLOW_NONE; n = next) {
		struct flow *f = &t->flows[n];

		next = f->age_next;
		if (next != FLOW_NONE)
			__builtin_prefetch(&t->flows[next]);
		age = flow_age(t, f);
		age_link(t, n, class, age);
		if (age <= timeout_s)
			continue;
		ending[nending++] = n;
		if (nending == FLOW_SWEEP) {
			end_batch(t, ending, nending);
			nending = 0;
		}
	}
	end_batch(t, ending, nending);
}

static void advance_class(struct flow_table *t, int class, uint64_t seconds)
{
	uint32_t n = t->slots[class], i;

	/* After a jump every list is looked at, once. */
	for (i = 0; i < (seconds < n ? seconds : n); i++) {
		t->now_slot[class] = (t->now_slot[class] + 1) % n;
		if (t->oldest[class] < n - 1)
			t->oldest[class]++;
		sweep(t, class, t->now_slot[class], n - 2);
	}
}

void flow_table_advance(struct flow_table *t, uint64_t now_ns)
{
	uint64_t now_s = now_ns / NS_PER_S, seconds;
	int class;

	if (now_s == t->clock_s)
		return;
	if (now_s < t->clock_s) {
		if (t->clock_s - now_s > STEP_BACK_S)
			t->clock_s = now_s;
		return;
	}
	seconds = t->clock_s ? now_s - t->clock_s : 0;
	t->clock_s = now_s;
	for (class = 0; class < FLOW_AGE_CLASSES; class ++)
		advance_class(t, class, seconds);
}

void flow_table_finish(struct flow_table *t)
{
	int class;
	uint32_t i;

	for (class = 0; class < FLOW_AGE_CLASSES; class ++)
		for (i = 0; i < t->slots[class]; i++) {
			uint32_t slot = slot_of(t, class, t->slots[class] - 1 - i);

			while (t->heads[class][slot] != FLOW_NONE)
				flow_end(t, t->heads[class][slot], FLOW_END_FINISH);
		}
}
