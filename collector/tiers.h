/* tiers.h - how a live run counts: from packets alone, or with the kernel's own counters.
 *
 * packet   the packet rings tell everything
 * socket   a list of all TCP sockets once per cycle, and the last figures of each that ends
 *          (kernel_source_sockets): bytes, segments, round trips and retransmits are the kernel's
 * probe    eBPF probes as well (kernel_source_probes): who connects, with which error, and the last
 *          figures in place of the socket source's
 *
 * In the socket and the probe tier the rings are narrowed (filters/classic.h, flows/kernel.h) for
 * connections of the host's own addresses, where both a list and the last figures can be had and
 * the host does not forward packets. What does not work, at the start or later, is done without,
 * piece by piece: nothing here ends a run. It is tried again a minute later, and so some times: a
 * host that is overwhelmed when it boots makes a proof fail, too.
 *
 * A run opens the sources before its rings: tiers_open(), watches_open(), tiers_start(). The
 * connections with which they prove themselves are left out of the engine, so that those of a later
 * attempt do not count either (engine_exclude_own()).
 *
 * Time:    now_ns is CLOCK_MONOTONIC; samples' own time is that of frames.
 * Threads: the engine's.
 */
#ifndef COLLECTOR_TIERS_H
#define COLLECTOR_TIERS_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "collector/attribution.h"
#include "collector/kernel_queue.h"
#include "collector/kernel_source.h"
#include "collector/pace.h"
#include "collector/ring_bpf.h"
#include "collector/stats.h"
#include "common/addr.h"
#include "common/error.h"
#include "conf/conf.h"
#include "flows/engine.h"

enum {
	TIERS_FDS = 2,                                /* pollfds of tiers_gather() */
	TIERS_FACTS_MOST = 2 * KERNEL_FACTS_MOST + 1, /* of tiers_facts() */
};

enum tier { TIER_PACKET, TIER_SOCKET, TIER_PROBE };

/* The packet rings, whose filters are to be narrowed (watches.h). */
struct tiers_rings {
	/* As watches_narrow(). */
	int (*narrow)(void *ctx, const struct ip_net *nets, size_t n, int bpf_fd);
	void (*drain)(void *ctx); /* as watches_drain() */
	/* What all rings have now: watches.nnarrow, watches.bpf_fd. */
	void (*have)(void *ctx, bool *narrowed, bool *ebpf);
	/* Do the frames of all that is watched begin with an Ethernet header? Else no eBPF filter.
	 */
	bool (*ethernet)(void *ctx);
	void *ctx;
};

struct watches;

/* Does the host forward packets, by proc/sys/net? */
bool tiers_host_forwards(const char *proc);

/* Those of a run (tiers_watches.c); w is borrowed. */
void tiers_use_watches(struct tiers_rings *rings, struct watches *w);

struct tiers_config {
	enum conf_capture_mode mode;
	enum conf_narrow narrow;
	enum conf_count_udp count_udp;
	const char *btf_path; /* as struct kernel_source_config, borrowed until tiers_change() */
	bool verbose;
	const struct kernel_source_ops *sockets, *probes; /* NULL: there is none */
	const char *proc;                                 /* "/proc"; must stay */
	uint64_t interval_ns;
	bool all_interfaces;     /* are watched: connections of before the start may be counted */
	struct engine *engine;   /* borrowed, as is: */
	struct attribution *who; /* NULL: nobody asks for processes */
	struct tiers_rings rings;
	/* The filter that counts UDP in the kernel; its narrow list is not looked at. NULL: not
	 * wanted: it knows no rules of capture.exclude. Borrowed. */
	const struct ring_bpf_config *ring;
};

struct tiers_source {
	const struct kernel_source_ops *ops;
	struct kernel_source *s;           /* NULL: not open */
	char why[KERNEL_WHY_SIZE];         /* why not, or why not any more; "": not wanted */
	struct kernel_source_stats closed; /* of one that is no more */
	unsigned int failures;             /* of its list, one after the other */
	uint64_t retry_ns;                 /* monotonic: to be opened again; 0: not */
	unsigned int retries;              /* so far */
	struct pace pace;                  /* of its descriptor */
};

struct tiers {
	struct tiers_config c;
	enum tier tier;
	struct tiers_source sockets, probes;
	struct kernel_queue *queue;
	struct ring_bpf *ring_bpf;
	char ring_why[KERNEL_WHY_SIZE]; /* why there is no ring_bpf; "": not wanted */
	bool ring_on;                   /* the rings have it */
	struct ip_net *nets; /* the host's own addresses; owned */
	size_t nnets;
	bool started;
	bool forwards;    /* the host forwards packets, and kernel.narrow is auto */
	bool narrowed;    /* the rings are */
	bool ring_paused; /* between tiers_pause() and tiers_change() */
	bool refused;     /* by a ring: not tried again until the addresses change */
	/* Monotonic, when there is something to do; 0: nothing. */
	uint64_t dump_ns, settle_ns, listeners_ns, datagrams_ns;
	uint64_t dumped_ns; /* the last list */
	uint64_t lost;      /* events that a list has made good */
	uint64_t dumps;
	uint64_t interval_ns;
};

/* Choose the tier, by trying, and say which. */
void tiers_open(struct tiers *t, const struct tiers_config *c);

/* The rings are open: narrow them, and take a first list of all connections. */
void tiers_start(struct tiers *t, uint64_t now_ns);

/* The host's own addresses, as ifaces_local() gives them; copied. Before tiers_start(), and when
 * they have changed. */
void tiers_addresses(struct tiers *t, const struct ip_net *nets, size_t n);

/* Behind watches_follow(): a ring that came may not have taken what the others have. */
void tiers_rings_changed(struct tiers *t);

/* The sources' descriptors (-1: none, or it rests: tiers_work() reads it then), and reading those
 * that are ready. */
void tiers_gather(const struct tiers *t, struct pollfd fds[TIERS_FDS]);
void tiers_read(struct tiers *t, const struct pollfd fds[TIERS_FDS]);

/* Frames are about to be counted: who made their connections is asked for first. */
void tiers_before_frames(struct tiers *t);

/* When tiers_work() has something to do; UINT64_MAX: never. */
uint64_t tiers_due_ns(const struct tiers *t);

/* Do what is due; cheap where nothing is. */
void tiers_work(struct tiers *t, uint64_t now_ns);

/* About once a second. */
void tiers_tick(struct tiers *t, uint64_t now_ns);

/* The end of the run, behind watches_drain() and before engine_finish(): a last list, and all that
 * waits is counted. */
void tiers_finish(struct tiers *t);

/* Before the rings follow another configuration: they get classic filters, and what the eBPF one
 * has counted is taken, so that no datagram counts in two rings. */
void tiers_pause(struct tiers *t);

/* Another configuration: only interval_ns, all_interfaces, where btf_path is, and ring may differ.
 * filter: what the ring's filter is made of has changed, see reload.h. Behind tiers_pause() and
 * watches_change(). */
void tiers_change(struct tiers *t, const struct tiers_config *c, bool filter);

/* NULL, or of a struct of zeros: fine. */
void tiers_close(struct tiers *t);

void tiers_stats(struct tiers *t, struct kernel_totals *out);

/* "packet" "socket" "probe" */
const char *tiers_name(const struct tiers *t);

/* What is known by which means, and what is not. Returns how many. */
struct tiers_fact {
	const char *source; /* "probe", "socket", "ring" */
	struct kernel_fact fact;
};

size_t tiers_facts(const struct tiers *t, struct tiers_fact out[TIERS_FACTS_MOST]);

#endif
