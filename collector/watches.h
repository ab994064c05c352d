/* watches.h - the packet rings of a live run: one for all interfaces, or one for each interface
 * that the patterns of capture.interfaces mean, as interfaces come and go.
 *
 * Threads: belongs to the thread of the engine.
 */
#ifndef COLLECTOR_WATCHES_H
#define COLLECTOR_WATCHES_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "collector/excludes.h"
#include "collector/ifaces.h"
#include "collector/options.h"
#include "collector/source.h"
#include "common/error.h"

enum { WATCHES_MOST = 64 };

/* One interface, or all. */
struct watch {
	char name[IFACE_NAME_SIZE]; /* "": all */
	int ifindex;
	struct source *source; /* NULL: not there now */
	bool waits;            /* named as it is: stays while its interface is not there */
	bool told;             /* that it is not there */
	bool refused;          /* by the kernel, which was said: not tried again until a change */
	/* Frames of other times are another ring's, see watches_change(). 0: no limit */
	uint64_t from_ns, until_ns;
	struct watches *all;
};

struct watches {
	const struct options *o; /* borrowed, as are: */
	const struct excludes *excludes;
	const struct ifaces *ifs;
	const struct frame_sink *frames;
	struct watch list[WATCHES_MOST];
	size_t n;
	struct source_stats closed; /* of rings that are no more */
	uint64_t cut;               /* frames that another ring has handed over */
	bool limit_told, started;
};

/* Open the rings. What is borrowed must outlive w. 0, or negative (logged): one cannot be opened.
 */
int watches_open(struct watches *w, const struct options *o, const struct excludes *excludes,
		 const struct ifaces *ifs, const struct frame_sink *frames) MUST_CHECK;
void watches_close(struct watches *w);

/* After the interfaces have changed: close the rings of those that went, open those that came. What
 * cannot be had is logged, and does without. */
void watches_follow(struct watches *w);

/* Other options: a new filter on the open rings where same_filter is false, and the interfaces that
 * are wanted now. A ring that is no longer wanted is read to its end first. Between one ring for
 * all interfaces and one for each, both are open for a moment, and a frame counts in the one or the
 * other by its time: none is lost or counted twice. What cannot be had is logged, and does without.
 */
void watches_change(struct watches *w, const struct options *o, const struct excludes *excludes,
		    bool same_filter);

/* Of all rings, also of those that are closed. */
void watches_stats(struct watches *w, struct source_stats *sum);

/* One pollfd for each of list[0..n), with fd -1 where there is no ring. */
void watches_gather(const struct watches *w, struct pollfd *fds);

/* Read what is ready. 0, or negative (logged) where it cannot go on. */
int watches_read(struct watches *w, const struct pollfd *fds) MUST_CHECK;

/* Read all until the kernel has handed over the frames that had come by now. */
void watches_drain(struct watches *w);

#endif
