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
	/* What all rings have, see watches_narrow(). The caller looks after watches_follow() and
	 * watches_change(): a ring that came and cannot have it has widened all. */
	struct ip_net *narrow;
	size_t nnarrow; /* 0: nothing is narrowed */
	int bpf_fd;     /* -1: classic filters */
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
 * are wanted now; an eBPF filter goes then (it knows the old options), a classic one comes in its
 * place until watches_narrow() is called again. A ring that is no longer wanted is read to its end
 * first. Between one ring for all interfaces and one for each, both are open for a moment, and a
 * frame counts in the one or the other by its time: none is lost or counted twice. What cannot be
 * had is logged, and does without.
 */
void watches_change(struct watches *w, const struct options *o, const struct excludes *excludes,
		    bool same_filter);

/* TCP with an end in one of these networks is narrowed (filter_config.narrow) from now on, on rings
 * that are open and on those that will be; n 0: nothing is. They are copied. bpf_fd, not -1: an
 * eBPF filter in place of the classic one (ring_config.bpf_fd), with its own idea of narrowing, to
 * stay open until another call says otherwise. A ring that refuses it gives all rings classic
 * filters again (logged; w->bpf_fd is -1). No packet is lost on the way.
 *
 * 0, or negative (logged): a ring cannot have it, and nothing is narrowed on any.
 *
 * The order matters. To narrow, first the engine (engine_set_narrow(), which counts full frames of
 * a narrowed flow as well), then this; to widen, first this, then what is still in the rings
 * (watches_drain()), then the engine: else bytes would be missing that nobody else counts. */
int watches_narrow(struct watches *w, const struct ip_net *nets, size_t n, int bpf_fd) MUST_CHECK;

/* Of all rings, also of those that are closed. */
void watches_stats(struct watches *w, struct source_stats *sum);

/* Does one of the rings say that it drops frames (until the next watches_stats())? Cheap. */
bool watches_dropping(const struct watches *w);

/* Frames' time: all from before it have been read, of all rings. */
uint64_t watches_read_until_ns(const struct watches *w);

/* One pollfd for each of list[0..n), with fd -1 where there is no ring. */
void watches_gather(const struct watches *w, struct pollfd *fds);

/* Read what is ready. 0, or negative (logged) where it cannot go on. */
int watches_read(struct watches *w, const struct pollfd *fds) MUST_CHECK;

/* Read all until the kernel has handed over the frames that had come by now. */
void watches_drain(struct watches *w);

#endif
