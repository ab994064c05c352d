/* repair.h - where a packet ring dropped frames: the bytes that they had, from this host's sockets
 * (engine_repair()).
 *
 * Nothing is opened, asked or kept before a ring has dropped something. Then the socket source
 * proves itself, and a list of all sockets is taken at once and a second later, and so on as long
 * as frames are dropped: at most one a second, and 5 % of a CPU. Its figures are applied when the
 * rings have been read up to the moment of the list, so that what is still in them is not taken for
 * dropped. Connections that were open at no list have what packets told, their FINs among them
 * (engine_set_dropped()).
 *
 * On a host that forwards nothing is repaired (unless kernel.narrow says that it translates none of
 * its own connections): by address translation one connection's packets would have another one's
 * tuple.
 *
 * Time:    now_ns is CLOCK_MONOTONIC.
 * Threads: the engine's.
 */
#ifndef COLLECTOR_REPAIR_H
#define COLLECTOR_REPAIR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "collector/kernel_source.h"
#include "conf/conf.h"
#include "flows/engine.h"

struct repair_config {
	const struct kernel_source_ops *sockets;
	struct engine *engine; /* borrowed */
	const char *proc;      /* "/proc"; must stay */
	enum conf_narrow narrow;
	/* Has a ring said, with what was just read, that it drops frames? Cheap. */
	bool (*dropping)(void *ctx);
	/* Frames that rings have dropped, since the start. */
	uint64_t (*drops)(void *ctx);
	/* Packet time: all frames from before it have been handed over. */
	uint64_t (*read_until_ns)(void *ctx);
	/* Are the figures counted by others (tiers.h: narrowed)? */
	bool (*needless)(void *ctx);
	void *ctx;
};

struct repair {
	struct repair_config c;
	struct kernel_source *source;  /* NULL: not open */
	char why[KERNEL_WHY_SIZE];     /* why not, the last time; "": never tried */
	unsigned int tries;            /* to open it, that failed */
	uint64_t drops;                /* frames, when the last list was begun */
	unsigned int lists;            /* that are to be taken yet */
	uint64_t next_ns;              /* the next list, at the earliest */
	struct kernel_sample *samples; /* of the last list, until they are applied */
	size_t n, room;
	uint64_t taken_ns, give_up_ns; /* the list: packet time; applied then in any case */
	uint64_t taken;                /* lists so far */
};

void repair_init(struct repair *r, const struct repair_config *c);

/* In each turn of the loop, behind reading the rings; cheap where nothing is to be done. */
void repair_work(struct repair *r, uint64_t now_ns);

/* About once a second. */
void repair_tick(struct repair *r, uint64_t now_ns);

/* When repair_work() has something to do; UINT64_MAX: nothing that is known. */
uint64_t repair_due_ns(const struct repair *r);

/* The end of the run, the rings have been read to their end: a last list, applied at once. */
void repair_finish(struct repair *r);

/* Of a struct of zeros: fine. */
void repair_close(struct repair *r);

#endif
