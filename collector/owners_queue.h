/* owners_queue.h - ends of flows that wait for their process, and when each is due.
 *
 * A list for each number of tries: all that are in one wait for the same time, so they are due in
 * the order in which they came, and nobody looks at those that are not.
 *
 * Time:    CLOCK_MONOTONIC, ns.
 * Threads: belongs to one.
 */
#ifndef COLLECTOR_OWNERS_QUEUE_H
#define COLLECTOR_OWNERS_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "flows/packet.h"

enum { OWNERS_TRIES = 7 }; /* at once, and after 10, 30, 100, 300 ms, 1 s and 3 s */

struct owners_waiting {
	struct flow_key key;
	uint64_t due_ns;
	uint32_t told;       /* the owner told so far */
	uint32_t prev, next; /* in its list; next: also of those that are free */
	uint8_t end, tries;
};

struct owners_queue {
	struct owners_waiting *list; /* `most` of them */
	uint32_t most, used, unused_from, free;
	uint32_t first[OWNERS_TRIES], last[OWNERS_TRIES];
};

/* 0 or -errno. A queue of zeros may be destroyed, too. */
int owners_queue_init(struct owners_queue *q, uint32_t most) MUST_CHECK;
void owners_queue_destroy(struct owners_queue *q);

/* A new one, due now. NULL: the queue is full. */
struct owners_waiting *owners_queue_add(struct owners_queue *q, const struct flow_key *key, int end,
					uint64_t now_ns);

/* Places in q->list of those that are due, at most `most`, the newest ones first: they may be gone
 * in a moment. Returns how many. They stay where they are. */
size_t owners_queue_due(const struct owners_queue *q, uint64_t now_ns, uint32_t *out, size_t most);

/* It was asked for in vain: one more try, later. False: that was the last one, it stays. */
bool owners_queue_later(struct owners_queue *q, uint32_t n, uint64_t now_ns);

void owners_queue_remove(struct owners_queue *q, uint32_t n);

#endif
