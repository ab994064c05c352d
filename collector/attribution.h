/* attribution.h - processes, listening sockets and the kernel's own TCP figures for the flows of a
 * live run: joins owners.h and engine.h.
 *
 * Threads: belongs to the thread of the engine.
 */
#ifndef COLLECTOR_ATTRIBUTION_H
#define COLLECTOR_ATTRIBUTION_H

#include <stdbool.h>
#include <stdint.h>

#include "collector/owners.h"
#include "common/error.h"
#include "conf/conf.h"
#include "flows/engine.h"

enum { ATTRIBUTION_EARLY = 4096, ATTRIBUTION_APPLY = 1024 };

/* An end of a connection whose SYN was seen before its packets: being asked for, or answered. */
struct attribution_early {
	struct flow_key key;
	uint32_t owner; /* OWNER_NONE: not answered yet */
	uint8_t end;
	bool used;
};

struct attribution {
	struct owners *owners;   /* owned; NULL: processes are not asked for */
	struct engine *engine;   /* borrowed */
	const struct conf *conf; /* borrowed: capture.exclude by process */
	uint64_t work_ns;        /* monotonic: when there is something to do next; 0: nothing */
	bool limits_told;
	int syn_fd; /* syn_watch.h; to poll for reading; -1: none */
	/* By a hash of the key; a newer one takes an older one's place. */
	struct attribution_early early[ATTRIBUTION_EARLY];
	struct attribution_early
	    apply[ATTRIBUTION_APPLY]; /* to be told to the engine when it can listen */
	unsigned int napply;
};

/* 0, or negative (logged). Does nothing where the configuration does not want processes. */
int attribution_open(struct attribution *a, const struct conf *conf,
		     struct engine *engine) MUST_CHECK;
void attribution_close(struct attribution *a);

/* For engine_config; ctx is the struct attribution. */
void attribution_new_flow(void *ctx, const struct flow_key *key, unsigned int ends);
void attribution_before_end(void *ctx);
void attribution_owner(void *ctx, uint32_t owner, struct point *out);

/* The listening sockets, for the direction of connections that are open already. */
void attribution_listeners(struct attribution *a);

/* syn_fd is readable. */
void attribution_syns(struct attribution *a);

/* Answer what is due; cheap where nothing is. now_ns: monotonic. */
void attribution_work(struct attribution *a, uint64_t now_ns);

#endif
