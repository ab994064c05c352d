/* run.c - `flowline run`: live traffic, one worker.
 *
 * A loop around poll(2): signals, the host's interfaces and addresses (ifaces.h), the packet rings,
 * and about once a second the time, without which a quiet cycle would never end. Without -i one
 * ring sees all interfaces, also those that come later; with -i each has a ring of its own.
 */
#include "collector/commands.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "collector/attribution.h"
#include "collector/ifaces.h"
#include "collector/pipeline.h"
#include "collector/source.h"
#include "collector/source_ring.h"
#include "common/log.h"

#define NS_PER_MS 1000000ULL
#define NS_PER_S  1000000000ULL

enum {
	RUN_MAX_FLOWS = 1 << 18,
	TICK_MS = 1000,
	FIRST_RING = 3, /* pollfd behind signals, interfaces, SYNs */
	BLOCKS_PER_ROUND = 16, /* of one ring, before the others and the signals have their turn */
	DRAIN_MS = RING_RETIRE_MS + 50,
	/* Frames of the last moments may still be in a block that the kernel has not handed over:
	 * the engine is told a time that is older by this, so that they come before their cycle's
	 * end. */
	LATE_MS = 2 * RING_RETIRE_MS,
};

/* One interface of -i, or all. */
struct watch {
	const char *name; /* NULL: all */
	int ifindex;
	struct source *source; /* NULL: not there now */
	bool told;             /* that it is not there */
};

struct run {
	const struct options *o;
	struct pipeline p;
	struct attribution who;
	struct ifaces *ifs;
	struct watch watches[OPTIONS_MAX_IFACES];
	size_t nwatches;
	struct source_stats closed;              /* of rings that are no more */
	uint64_t tick_ns, next_tick_ns, stop_ns; /* monotonic; stop_ns 0: until a signal */
	uint64_t drops_told;
	bool links_changed, addresses_changed;
};

static int signal_pipe[2] = {-1, -1};

/* The first signal ends the loop; the second kills, should the loop hang in its output. */
static void on_signal(int sig)
{
	int saved = errno;
	char c = (char)sig;

	if (write(signal_pipe[1], &c, 1) < 0)
		c = 0; /* full: it is known already */
	errno = saved;
}

static int catch_signals(void)
{
	struct sigaction sa;

	if (pipe2(signal_pipe, O_CLOEXEC | O_NONBLOCK))
		return -errno;
	memset(&sa, 0, sizeof(sa));
	sa.sa_handler = on_signal;
	sa.sa_flags = SA_RESTART | SA_RESETHAND;
	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	return 0;
}

static uint64_t realtime_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

/* Asked by the pipeline at each cycle's end. */
static void sum_sources(void *ctx, struct source_stats *sum)
{
	struct run *r = ctx;
	struct source_stats one;
	size_t i;

	*sum = r->closed;
	for (i = 0; i < r->nwatches; i++) {
		if (!r->watches[i].source)
			continue;
		source_ring.stats(r->watches[i].source, &one);
		stats_add_source(sum, &one);
	}
}

/* Hand over what the ring has. 0, or negative: it has come to its end. */
static int read_ring(struct run *r, struct watch *w, char *why, size_t why_size)
{
	int i, got = 1;

	for (i = 0; i < BLOCKS_PER_ROUND && got > 0; i++)
		got = source_ring.poll(w->source, &r->p.frames, why, why_size);
	return got < 0 ? got : 0;
}

/* Read all rings (or one) until the kernel has handed over the frames that had come by now. */
static void drain(struct run *r, struct watch *only)
{
	uint64_t end_ns = monotonic_ns() + DRAIN_MS * NS_PER_MS;
	struct timespec nap = {0, 10 * NS_PER_MS};
	char why[256];
	size_t i;

	do {
		nanosleep(&nap, NULL);
		for (i = 0; i < r->nwatches; i++) {
			struct watch *w = &r->watches[i];

			/* An end is no news here: what the ring still had was handed over before.
			 */
			if (w->source && (!only || w == only) &&
			    read_ring(r, w, why, sizeof(why)) < 0)
				continue;
		}
	} while (monotonic_ns() < end_ns);
}

static void close_watch(struct run *r, struct watch *w)
{
	struct source_stats one;

	if (!w->source)
		return;
	source_ring.stats(w->source, &one);
	stats_add_source(&r->closed, &one);
	source_ring.close(w->source);
	w->source = NULL;
}

static void lost_watch(struct run *r, struct watch *w)
{
	drain(r, w);
	close_watch(r, w);
	w->told = true;
	log_warn("interface %s is gone: waiting for it to come back", w->name);
}

/* 0: open, or waited for; negative: it never will be (logged). */
static int open_watch(struct run *r, struct watch *w)
{
	const struct iface *iface = w->name ? ifaces_by_name(r->ifs, w->name) : NULL;
	struct ring_config c;
	char why[512] = "";
	int err;

	if (w->name && !iface) {
		if (!w->told)
			log_warn("interface %s is not there: waiting for it ('ip link' shows those "
				 "that are)",
				 w->name);
		w->told = true;
		return 0;
	}
	memset(&c, 0, sizeof(c));
	c.ifindex = iface ? iface->index : 0;
	c.ring_bytes = (size_t)r->o->ring_bytes;
	c.dns_ports = r->o->dns_ports;
	c.ndns_ports = r->o->ndns_ports;
	c.tunnels_inner = r->o->tunnels_inner;
	err = source_ring.open(&w->source, &c, why, sizeof(why));
	if (err == -ENODEV || err == -ENXIO) { /* gone between asking and opening */
		w->told = true;
		return 0;
	}
	if (err) {
		log_error("%s: %s", w->name ? w->name : "all interfaces", why);
		return err;
	}
	if (w->told)
		log_info("interface %s is there", w->name);
	else if (iface && !iface->up)
		log_warn("interface %s is down: 'sudo ip link set %s up' brings it up", w->name,
			 w->name);
	w->told = false;
	w->ifindex = c.ifindex;
	return 0;
}

/* After the interfaces have changed: close the rings of those that went, open those that came. */
static int follow_links(struct run *r)
{
	size_t i;
	int err;

	r->links_changed = false;
	for (i = 0; i < r->nwatches; i++) {
		struct watch *w = &r->watches[i];
		const struct iface *iface = w->name ? ifaces_by_name(r->ifs, w->name) : NULL;

		if (!w->name)
			continue;
		if (w->source && (!iface || iface->index != w->ifindex))
			lost_watch(r, w);
		if (!w->source && iface) {
			err = open_watch(r, w);
			if (err)
				return err;
		}
	}
	return 0;
}

/* The host's own addresses, and --local. */
static int follow_addresses(struct run *r)
{
	size_t n = ifaces_local(r->ifs, NULL, 0), most = n + r->o->nlocal;
	struct ip_net *nets = calloc(most + 1, sizeof(*nets));
	int err = -ENOMEM;

	r->addresses_changed = false;
	if (nets) {
		n = ifaces_local(r->ifs, nets, n);
		memcpy(nets + n, r->o->local, r->o->nlocal * sizeof(*nets));
		err = engine_set_local(r->p.engine, nets, n + r->o->nlocal);
	}
	if (err)
		log_error("the host's own addresses: %s", fl_strerror(err));
	free(nets);
	return err;
}

static void on_link(void *ctx, const struct iface *before, const struct iface *now)
{
	struct run *r = ctx;

	r->links_changed = true;
	if (!before && now)
		log_debug("interface %s came", now->name);
	else if (before && !now)
		log_debug("interface %s went", before->name);
}

static void on_addresses(void *ctx)
{
	struct run *r = ctx;

	r->addresses_changed = true;
}

static int follow_host(struct run *r)
{
	struct ifaces_events events = {on_link, on_addresses, r};
	int err = ifaces_poll(r->ifs, &events);

	if (err) {
		log_error("the host's interfaces cannot be followed: %s", fl_strerror(err));
		return err;
	}
	if (r->links_changed)
		err = follow_links(r);
	if (!err && r->addresses_changed)
		err = follow_addresses(r);
	return err;
}

static int start(struct run *r)
{
	size_t i;
	int err;

	err = attribution_open(&r->who, &r->o->conf, r->p.engine);
	if (err)
		return err;
	err = ifaces_new(&r->ifs);
	if (err) {
		log_error("the host's interfaces cannot be listed: %s", fl_strerror(err));
		return err;
	}
	r->nwatches = r->o->nifaces ? r->o->nifaces : 1;
	for (i = 0; i < r->nwatches; i++) {
		r->watches[i].name = r->o->nifaces ? r->o->ifaces[i] : NULL;
		err = open_watch(r, &r->watches[i]);
		if (err)
			return err;
	}
	r->tick_ns = TICK_MS * NS_PER_MS;
	if (r->o->interval_ns / 4 < r->tick_ns) /* short cycles end in time, too */
		r->tick_ns = r->o->interval_ns / 4 + NS_PER_MS;
	r->next_tick_ns = monotonic_ns() + r->tick_ns;
	r->stop_ns = r->o->duration_ns ? monotonic_ns() + r->o->duration_ns : 0;
	r->p.source_stats = sum_sources;
	r->p.source_ctx = r;
	r->p.source_name = source_ring.name;
	err = follow_addresses(r);
	if (!err)
		attribution_listeners(&r->who);
	return err;
}

/* What the kernel dropped, when it is new and much more than was told before. */
static void tell_drops(struct run *r)
{
	uint64_t drops = r->p.now.source.dropped_kernel;

	if (drops <= r->drops_told * 10)
		return;
	log_warn("the kernel has dropped %" PRIu64
		 " packets, the ring was full: a bigger --ring-size "
		 "helps with bursts",
		 drops);
	r->drops_told = drops;
}

static void tick(struct run *r, uint64_t now_ns)
{
	r->next_tick_ns = now_ns + r->tick_ns;
	enrich_poll(&r->p.enrich);
	engine_tick(r->p.engine, realtime_ns() - LATE_MS * NS_PER_MS);
	tell_drops(r);
}

static int wait_ms(const struct run *r, uint64_t now_ns)
{
	uint64_t until_ns = r->next_tick_ns;

	if (r->stop_ns && r->stop_ns < until_ns)
		until_ns = r->stop_ns;
	if (r->who.work_ns && r->who.work_ns < until_ns)
		until_ns = r->who.work_ns;
	return until_ns <= now_ns ? 0 : (int)((until_ns - now_ns) / NS_PER_MS) + 1;
}

/* Fill fds: signals, interfaces, SYNs, rings (-1 where there is none: poll passes over it). */
static nfds_t gather(const struct run *r, struct pollfd *fds)
{
	size_t i;

	memset(fds, 0, (FIRST_RING + r->nwatches) * sizeof(*fds));
	fds[0].fd = signal_pipe[0];
	fds[1].fd = ifaces_fd(r->ifs);
	fds[2].fd = r->who.syn_fd;
	for (i = 0; i < r->nwatches; i++) {
		const struct source *s = r->watches[i].source;

		fds[FIRST_RING + i].fd = s ? source_ring.fd(s) : -1;
	}
	for (i = 0; i < FIRST_RING + r->nwatches; i++)
		fds[i].events = POLLIN;
	return (nfds_t)(FIRST_RING + r->nwatches);
}

static int read_rings(struct run *r, const struct pollfd *fds)
{
	char why[256] = "";
	size_t i;
	int err;

	for (i = 0; i < r->nwatches; i++) {
		struct watch *w = &r->watches[i];

		if (!fds[i].revents || !w->source)
			continue;
		err = read_ring(r, w, why, sizeof(why));
		if (!err)
			continue;
		if (err == -ENODEV && w->name) {
			lost_watch(r, w);
			continue;
		}
		log_error("%s: %s", w->name ? w->name : "all interfaces", why);
		return err;
	}
	return 0;
}

/* Until a signal or the end of --duration: 0; negative where it cannot go on. */
static int loop(struct run *r)
{
	struct pollfd fds[FIRST_RING + OPTIONS_MAX_IFACES];
	uint64_t now_ns;
	int err = 0;

	while (!err) {
		nfds_t n = gather(r, fds);

		now_ns = monotonic_ns();
		if (poll(fds, n, wait_ms(r, now_ns)) < 0 && errno != EINTR) {
			err = -errno;
			log_error("waiting for packets: %s", fl_strerror(err));
			break;
		}
		if (fds[0].revents)
			break;
		/* Rings first: an interface that went may have left frames. */
		if (fds[2].revents) {
			attribution_syns(&r->who);
			attribution_work(&r->who, monotonic_ns());
		}
		err = read_rings(r, fds + FIRST_RING);
		if (!err && fds[1].revents)
			err = follow_host(r);
		now_ns = monotonic_ns();
		attribution_work(&r->who, now_ns);
		if (!err && now_ns >= r->next_tick_ns)
			tick(r, now_ns);
		if (r->p.error == -EPIPE)
			err = -EPIPE;
		if (r->stop_ns && now_ns >= r->stop_ns)
			break;
	}
	return err;
}

static void say_start(const struct run *r)
{
	const struct options *o = r->o;
	size_t i, len = 0;
	char names[512] = "";

	for (i = 0; i < o->nifaces && len < sizeof(names) - OPTIONS_IFACE_SIZE - 3; i++)
		len += (size_t)snprintf(names + len, sizeof(names) - len, "%s%s", i ? ", " : "",
					o->ifaces[i]);
	log_info("watching %s, points every %g s%s", o->nifaces ? names : "all interfaces",
		 (double)o->interval_ns / 1e9, o->duration_ns ? "" : " (Ctrl-C ends it)");
}

int command_run(const struct options *o)
{
	static struct run r;
	struct pipeline_live live = {.new_flow = attribution_new_flow,
				     .before_end = attribution_before_end,
				     .owner = attribution_owner, .ctx = &r.who};
	bool failed;
	size_t i;
	int err;

	memset(&r, 0, sizeof(r));
	r.o = o;
	err = pipeline_open(&r.p, o, &live, RUN_MAX_FLOWS);
	if (err)
		return err == FL_EUSAGE ? EXIT_USAGE : EXIT_FAILED;
	err = catch_signals();
	if (err)
		log_error("a pipe for signals: %s", fl_strerror(err));
	else
		err = start(&r);
	failed = err != 0;
	if (!failed) {
		say_start(&r);
		failed = loop(&r) != 0;
		drain(&r, NULL);
		if (pipeline_finish(&r.p, realtime_ns(), o->stats))
			failed = true;
		tell_drops(&r);
	}
	for (i = 0; i < r.nwatches; i++)
		close_watch(&r, &r.watches[i]);
	ifaces_free(r.ifs);
	attribution_close(&r.who);
	if (pipeline_close(&r.p))
		failed = true;
	return failed ? EXIT_FAILED : EXIT_OK;
}
