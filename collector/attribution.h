/* attribution.h - processes, listening sockets and the kernel's own TCP figures for the flows of a
 * live run: joins owners.h and engine.h.
 *
 * Threads: belongs to the thread of the engine.
 */
#ifndef COLLECTOR_ATTRIBUTION_H
#define COLLECTOR_ATTRIBUTION_H

#include <stdbool.h>
#include <stdint.h>

#include "collector/kernel_source.h"
#include "collector/owners.h"
#include "common/error.h"
#include "conf/conf.h"
#include "flows/engine.h"

enum {
	ATTRIBUTION_EARLY = 4096,
	ATTRIBUTION_CHECKS = 4096,
	ATTRIBUTION_TOLD = 65536,
	ATTRIBUTION_WAYS = 4, /* records of a hash, of which the oldest makes room */
	ATTRIBUTION_LATER = 8192,
};

/* An end of a connection whose SYN was seen before its packets: being asked for, or answered. */
struct attribution_early {
	struct flow_key key;
	uint32_t owner; /* OWNER_NONE: not answered yet */
	uint8_t end;
	bool used;
};

/* An end of a connection whose process a probe has told: nobody needs to be asked for it. Or of
 * several, one after the other by the same process on the same ports; another's have a record of
 * their own. */
struct attribution_told {
	struct flow_key key;
	uint64_t time_ns;   /* of frames: when it was told, the last time */
	uint64_t closed_ns; /* monotonic; 0: open. Soon after, the ports may be another's */
	uint32_t owner;
	uint8_t end;
	bool at_close; /* by who closed it: it began before time_ns */
	bool asked;    /* by /proc, not a probe: only says that who closes it is no news */
};

/* A connection that began a moment ago: probes may tell of its ends before anybody is asked. */
struct attribution_later {
	struct flow_key key;
	uint64_t time_ns; /* of its first frame */
	uint64_t due_ns;  /* monotonic */
	unsigned int ends;
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
	/* Flows that began with an owner, which capture.exclude may name: when the engine can
	 * listen. */
	struct attribution_early checks[ATTRIBUTION_CHECKS];
	unsigned int nchecks;
	/* By a hash likewise; NULL: there are no probes. ATTRIBUTION_TOLD, owned */
	struct attribution_told *told;
	/* A few bits of each one's hash, 0: it is free. Records are many and seldom in the CPU's
	 * cache, these are; most that are looked for are not there. */
	uint16_t *marks;
	/* A ring, first come first served; NULL: all are asked for at once. Owned */
	struct attribution_later *later;
	unsigned int later_first, nlater;
	bool
	    dumped; /* the TCP figures of our own network namespace come from elsewhere (tiers.h) */
};

/* 0, or negative (logged). Does nothing where the configuration does not want processes. */
int attribution_open(struct attribution *a, const struct conf *conf,
		     struct engine *engine) MUST_CHECK;
void attribution_close(struct attribution *a);

/* For engine_config; ctx is the struct attribution. */
void attribution_new_flow(void *ctx, const struct engine_begin *b, uint32_t owner[2]);
void attribution_before_end(void *ctx);
void attribution_owner(void *ctx, uint32_t owner, struct point *out);

/* The listening sockets, for the direction of connections that are open already. */
void attribution_listeners(struct attribution *a);

/* syn_fd is readable. */
void attribution_syns(struct attribution *a);

/* Answer what is due; cheap where nothing is. now_ns: monotonic. */
void attribution_work(struct attribution *a, uint64_t now_ns);

/* From now on probes tell who connects or sends (on), or no longer. Where they tell all that do
 * (connects), the SYNs are not watched; where they also tell who accepts, at once or when it closes
 * (accepts), new connections wait 150 ms, but not beyond the cycle's end, before /proc is asked:
 * most end or are told by then. Without processes.enabled it does nothing. */
void attribution_probes(struct attribution *a, bool on, bool connects, bool accepts);

/* A probe saw the process at this end, at time_ns (of frames): told to the engine where it has the
 * flow, and known when the flow begins. Its number for KERNEL_OWNER; OWNER_NONE where there is
 * nothing more to do, or without processes.enabled. The answer stands: none of /proc takes its
 * place. That of who closes (who->at_close) only counts where nothing was known of the end, but who
 * listens.
 *
 * Right for each connection, however many have the same ports one after the other, where this is
 * called before the frames of that time are counted (tiers_before_frames()). */
uint32_t attribution_told(struct attribution *a, const struct flow_key *key, int end,
			  uint64_t time_ns, const struct kernel_process *who);

/* This end's socket is no more: its ports may be another process's. */
void attribution_closed(struct attribution *a, const struct flow_key *key, int end);

/* The engine has just taken this owner for a flow that it has: capture.exclude may name it. */
void attribution_check(struct attribution *a, const struct flow_key *key, uint32_t owner);

#endif
