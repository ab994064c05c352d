/* run.c - `flowline run`: live traffic, one worker.
 *
 * A loop around poll(2): signals, the host's interfaces and addresses (ifaces.h), the packet rings
 * (watches.h), and about once a second the time, without which a quiet cycle would never end.
 * SIGHUP puts a new configuration in the place of the old one (reload.h), without a pause in the
 * capture.
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
#include "collector/notify.h"
#include "collector/pace.h"
#include "collector/pipeline.h"
#include "collector/reload.h"
#include "collector/repair.h"
#include "collector/source.h"
#include "collector/source_ring.h"
#include "collector/status.h"
#include "collector/tiers.h"
#include "collector/watches.h"
#include "common/log.h"

#define NS_PER_MS 1000000ULL
#define NS_PER_S  1000000000ULL

enum {
	RUN_MAX_FLOWS = 1 << 18,
	TICK_MS = 1000,
	FIRST_STATUS = 3, /* pollfd behind signals, interfaces, SYNs */
	FIRST_TIER = FIRST_STATUS + STATUS_FDS,
	FIRST_RING = FIRST_TIER + TIERS_FDS,
	/* Frames of the last moments may still be in a block that the kernel has not handed over:
	 * the engine is told a time that is older by this, so that they come before their cycle's
	 * end. */
	LATE_MS = 2 * RING_RETIRE_MS,
	/* SYNs are looked at one by one where they are few: their processes may end in a moment.
	 * Where there are many, so are those that are asked for together; 200 and more have room.
	 */
	SYN_REST_MS = 4,
};

struct run {
	const struct options *o;  /* main's, or */
	struct options *reloaded; /* the newest of a reload; owned */
	struct pipeline p;
	struct attribution who;
	struct ifaces *ifs;
	struct watches watches;
	struct frame_sink frames; /* of the watches */
	struct tiers tiers;
	struct repair repair;
	struct ring_bpf_config ring; /* of the options */
	struct status *status;       /* NULL: nobody can ask */
	struct notify notify;
	struct pace syns; /* of r->who.syn_fd */
	char host[OPTIONS_HOST_SIZE];
	uint64_t tick_ns, next_tick_ns, stop_ns; /* monotonic; stop_ns 0: until a signal */
	uint64_t drops_told;
	bool links_changed, addresses_changed;
	bool on_terminal; /* whose end SIGHUP tells, too */
};

static int signal_pipe[2] = {-1, -1};

/* The first signal that ends the loop is caught; a second one kills, should the output hang. */
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
	sa.sa_flags = SA_RESTART;
	sigaction(SIGHUP, &sa, NULL);
	return 0;
}

/* Is there a terminal whose user started this? */
static bool has_terminal(void)
{
	int fd = open("/dev/tty", O_RDONLY | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

/* SIGHUP also says that the terminal is no more, but to those whom nohup(1) starts. */
static bool dies_with_terminal(void)
{
	struct sigaction before;

	return !sigaction(SIGHUP, NULL, &before) && before.sa_handler != SIG_IGN && has_terminal();
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
	watches_stats(ctx, sum);
}

static void measure_kernel(void *ctx, struct kernel_totals *out)
{
	tiers_stats(ctx, out);
}

/* The host's own addresses, and --local. Only the former have sockets here. */
static int follow_addresses(struct run *r)
{
	size_t n = ifaces_local(r->ifs, NULL, 0), most = n + r->o->nlocal;
	struct ip_net *nets = calloc(most + 1, sizeof(*nets));
	int err = -ENOMEM;

	r->addresses_changed = false;
	if (nets) {
		n = ifaces_local(r->ifs, nets, n);
		tiers_addresses(&r->tiers, nets, n);
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
	if (r->links_changed) {
		watches_follow(&r->watches);
		tiers_rings_changed(&r->tiers);
	}
	r->links_changed = false;
	if (r->addresses_changed)
		err = follow_addresses(r);
	return err;
}

/* Short cycles end in time, too. */
static void set_tick(struct run *r)
{
	r->tick_ns = TICK_MS * NS_PER_MS;
	if (r->o->interval_ns / 4 < r->tick_ns)
		r->tick_ns = r->o->interval_ns / 4 + NS_PER_MS;
	r->next_tick_ns = monotonic_ns() + r->tick_ns;
}

/* `flowline status` asks. */
static void fill_status(void *ctx, struct status_view *v)
{
	const struct run *r = ctx;
	const struct options *o = r->o;
	struct pipeline *p = (struct pipeline *)&r->p;
	size_t i;

	pipeline_measure(p);
	v->host = r->host[0] ? r->host : NULL;
	v->config_file = o->config_file && *o->config_file ? o->config_file : NULL;
	v->mode = tiers_name(&r->tiers);
	v->nfacts = tiers_facts(&r->tiers, v->facts);
	v->interval_ns = o->interval_ns;
	for (i = 0; i < r->watches.n && v->ninterfaces < STATUS_INTERFACES_MOST; i++) {
		const struct watch *w = &r->watches.list[i];
		struct status_interface *one = &v->interfaces[v->ninterfaces++];

		memcpy(one->name, w->name, sizeof(one->name));
		one->open = w->source != NULL;
		if (w->source)
			source_ring.stats(w->source, &one->stats);
	}
	v->now = &p->now;
	if (p->cycles) {
		v->cycle_from = &p->cycle_from;
		v->cycle_to = &p->before;
	}
	while (v->noutputs < STATUS_OUTPUTS_MOST &&
	       outputs_stats(p->outputs, v->noutputs, &v->outputs[v->noutputs]))
		v->noutputs++;
	if (p->stages->enrich.geoip)
		while (v->ndatabases < GEOIP_DATABASES_MAX &&
		       geoip_database(p->stages->enrich.geoip, v->ndatabases,
				      &v->databases[v->ndatabases]))
			v->ndatabases++;
	v->talkers = &p->talkers;
}

/* The run can do without. */
static void open_status(struct run *r)
{
	const char *path = r->o->conf.status.socket;
	char why[STATUS_WHY_SIZE] = "";

	if (path[0] && status_open(&r->status, path, why))
		log_warn("flowline status will not work: %s", why);
}

/* In place of the pipeline's: frames wait in the ring, what probes tell does not. */
static void take_frames(void *ctx, const struct frame *frames, size_t n)
{
	struct run *r = ctx;

	tiers_before_frames(&r->tiers);
	r->p.frames.frames(r->p.frames.ctx, frames, n);
}

static void tiers_settings(struct run *r, struct tiers_config *c)
{
	const struct options *o = r->o;

	memset(&r->ring, 0, sizeof(r->ring));
	r->ring.dns_ports = o->dns_ports;
	r->ring.ndns_ports = o->ndns_ports;
	r->ring.tunnels_inner = o->tunnels_inner;
	memset(c, 0, sizeof(*c));
	c->mode = o->conf.capture.mode;
	c->narrow = o->conf.kernel.narrow;
	c->count_udp = o->conf.kernel.count_udp;
	c->btf_path = o->conf.kernel.btf_path;
	c->verbose = (enum log_level)o->conf.log.level == LOG_LEVEL_DEBUG;
	c->sockets = &kernel_source_sockets;
	c->probes = &kernel_source_probes;
	c->proc = "/proc";
	c->interval_ns = o->interval_ns;
	c->all_interfaces = !o->conf.capture.interfaces.n;
	c->engine = r->p.engine;
	c->who = &r->who;
	tiers_use_watches(&c->rings, &r->watches);
	c->ring = r->p.excludes.n ? NULL : &r->ring;
}

static bool rings_dropping(void *ctx)
{
	return watches_dropping(&((const struct run *)ctx)->watches);
}

static uint64_t rings_drops(void *ctx)
{
	struct source_stats sum;

	watches_stats(&((struct run *)ctx)->watches, &sum);
	return sum.dropped_kernel;
}

static uint64_t rings_read_until_ns(void *ctx)
{
	return watches_read_until_ns(&((const struct run *)ctx)->watches);
}

static bool is_narrowed(void *ctx)
{
	return ((const struct run *)ctx)->tiers.narrowed;
}

static void repair_start(struct run *r)
{
	struct repair_config c = {.sockets = &kernel_source_sockets,
				  .engine = r->p.engine,
				  .proc = "/proc",
				  .narrow = r->o->conf.kernel.narrow,
				  .dropping = rings_dropping,
				  .drops = rings_drops,
				  .read_until_ns = rings_read_until_ns,
				  .needless = is_narrowed,
				  .ctx = r};

	repair_init(&r->repair, &c);
}

static int start(struct run *r)
{
	struct tiers_config tiers;
	int err;

	err = attribution_open(&r->who, &r->o->conf, r->p.engine);
	if (err)
		return err;
	r->p.owners = r->who.owners;
	err = ifaces_new(&r->ifs);
	if (err) {
		log_error("the host's interfaces cannot be listed: %s", fl_strerror(err));
		return err;
	}
	tiers_settings(r, &tiers);
	tiers_open(&r->tiers, &tiers);
	r->p.kernel_stats = measure_kernel;
	r->p.kernel_ctx = &r->tiers;
	r->frames.frames = take_frames;
	r->frames.ctx = r;
	err = watches_open(&r->watches, r->o, &r->p.excludes, r->ifs, &r->frames);
	if (err)
		return err;
	set_tick(r);
	r->stop_ns = r->o->duration_ns ? monotonic_ns() + r->o->duration_ns : 0;
	r->p.source_stats = sum_sources;
	r->p.source_ctx = &r->watches;
	r->p.source_name = source_ring.name;
	err = follow_addresses(r);
	if (err)
		return err;
	attribution_listeners(&r->who);
	tiers_start(&r->tiers, monotonic_ns());
	repair_start(r);
	open_status(r);
	return 0;
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
	enrich_poll(&r->p.stages->enrich);
	pipeline_poll(&r->p);
	tiers_tick(&r->tiers, now_ns);
	repair_tick(&r->repair, now_ns);
	engine_tick(r->p.engine, realtime_ns() - LATE_MS * NS_PER_MS);
	tell_drops(r);
}

static int wait_ms(const struct run *r, uint64_t now_ns)
{
	uint64_t until_ns = r->next_tick_ns;

	if (!r->notify.ready) /* a first look, to be sure that the rings work */
		return 0;
	if (r->stop_ns && r->stop_ns < until_ns)
		until_ns = r->stop_ns;
	if (notify_due_ns(&r->notify) < until_ns)
		until_ns = notify_due_ns(&r->notify);
	if (r->who.work_ns && r->who.work_ns < until_ns)
		until_ns = r->who.work_ns;
	if (r->syns.until_ns && r->syns.until_ns < until_ns)
		until_ns = r->syns.until_ns;
	if (tiers_due_ns(&r->tiers) < until_ns)
		until_ns = tiers_due_ns(&r->tiers);
	if (repair_due_ns(&r->repair) < until_ns)
		until_ns = repair_due_ns(&r->repair);
	return until_ns <= now_ns ? 0 : (int)((until_ns - now_ns) / NS_PER_MS) + 1;
}

/* Fill fds: signals, interfaces, SYNs, status, the kernel's counters, rings (-1 where there is
 * none: poll passes over it).
 */
static nfds_t gather(const struct run *r, struct pollfd *fds)
{
	size_t i;

	memset(fds, 0, FIRST_RING * sizeof(*fds));
	fds[0].fd = signal_pipe[0];
	fds[1].fd = ifaces_fd(r->ifs);
	fds[2].fd = r->syns.until_ns ? -1 : r->who.syn_fd;
	for (i = 0; i < FIRST_STATUS; i++)
		fds[i].events = POLLIN;
	status_gather(r->status, fds + FIRST_STATUS);
	tiers_gather(&r->tiers, fds + FIRST_TIER);
	watches_gather(&r->watches, fds + FIRST_RING);
	return (nfds_t)(FIRST_RING + r->watches.n);
}

static bool has_file(const struct conf *c)
{
	size_t i;

	for (i = 0; i < c->outputs.n; i++)
		if (c->outputs.v[i].kind == CONF_OUTPUT_FILE)
			return true;
	return false;
}

/* The file, the environment and the command line anew. Whatever is wrong, the run goes on. */
static void reload(struct run *r)
{
	struct tiers_config tiers;
	struct reload next;

	if (reload_read(&next, r->o))
		return; /* said */
	if (pipeline_change(&r->p, r->o, next.o, !next.geoip,
			    realtime_ns() - LATE_MS * NS_PER_MS)) {
		log_error("the old configuration stays");
		reload_free(next.o);
		return;
	}
	log_set_level((enum log_level)next.o->conf.log.level);
	r->o = next.o;
	r->who.conf = &next.o->conf;
	tiers_pause(&r->tiers);
	watches_change(&r->watches, r->o, &r->p.excludes, !next.filter);
	tiers_settings(r, &tiers);
	tiers_change(&r->tiers, &tiers, next.filter);
	reload_free(r->reloaded);
	r->reloaded = next.o;
	if (follow_addresses(r))
		log_error("src may be the wrong side until addresses change again");
	set_tick(r);
	log_info("the new configuration is in force: %u settings changed%s%s", next.changed,
		 next.restarts ? ", others need a restart" : "",
		 has_file(&r->o->conf) ? ", files of outputs opened anew" : "");
}

/* True: end now. */
static bool take_signals(struct run *r)
{
	char c[64];
	ssize_t n = read(signal_pipe[0], c, sizeof(c)), i;
	bool again = false;

	for (i = 0; i < n; i++) {
		if (c[i] != SIGHUP || (r->on_terminal && !has_terminal()))
			return true;
		again = true;
	}
	if (again) {
		log_info("SIGHUP: reading the configuration again");
		notify_reloading(&r->notify);
		reload(r);
		notify_reloaded(&r->notify);
	}
	return false;
}

/* The SYN watch is ready, or has rested. */
static void take_syns(struct run *r, bool ready)
{
	uint64_t now_ns = monotonic_ns();

	/* behind a rest it is read where poll() then says so: an empty one is asked for nothing */
	(void)pace_is_over(&r->syns, now_ns);
	if (!ready)
		return;
	attribution_syns(&r->who);
	attribution_work(&r->who, now_ns);
	pace_read(&r->syns, now_ns, SYN_REST_MS);
}

/* Until a signal or the end of --duration: 0; negative where it cannot go on. */
static int loop(struct run *r)
{
	struct pollfd fds[FIRST_RING + WATCHES_MOST];
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
		/* A reload changes what has been polled for: poll again. */
		if (fds[0].revents) {
			if (take_signals(r))
				break;
			continue;
		}
		/* Who it was first, while the process is there. */
		tiers_read(&r->tiers, fds + FIRST_TIER);
		take_syns(r, fds[2].revents != 0);
		/* Rings before interfaces: one that went may have left frames. */
		err = watches_read(&r->watches, fds + FIRST_RING);
		if (!err && fds[1].revents)
			err = follow_host(r);
		status_poll(r->status, fds + FIRST_STATUS, fill_status, r);
		now_ns = monotonic_ns();
		attribution_work(&r->who, now_ns);
		tiers_work(&r->tiers, now_ns);
		repair_work(&r->repair, now_ns);
		if (!err && now_ns >= r->next_tick_ns)
			tick(r, now_ns);
		if (r->p.error == -EPIPE)
			err = -EPIPE;
		if (r->stop_ns && now_ns >= r->stop_ns)
			break;
		if (!err) {
			notify_ready(&r->notify);
			notify_poll(&r->notify, now_ns, fill_status, r);
		}
	}
	return err;
}

static void say_start(const struct run *r)
{
	const struct conf_strings *ifaces = &r->o->conf.capture.interfaces;
	size_t i, len = 0;
	char names[512] = "";

	for (i = 0; i < ifaces->n && len < sizeof(names) - CONF_IFACE_MOST - 4; i++)
		len += (size_t)snprintf(names + len, sizeof(names) - len, "%s%.16s", i ? ", " : "",
					ifaces->v[i]);
	log_info("watching %s, points every %g s%s", ifaces->n ? names : "all interfaces",
		 (double)r->o->interval_ns / 1e9,
		 r->o->duration_ns || !isatty(STDERR_FILENO) ? "" : " (Ctrl-C ends it)");
	if (!r->o->conf.geoip.databases.n)
		log_info("no GeoIP database: points tell no country or city (geoip.databases; "
			 "tools/get-geoip fetches a free one)");
}

int command_run(const struct options *o)
{
	static struct run r;
	struct pipeline_live live = {.new_flow = attribution_new_flow,
				     .before_end = attribution_before_end,
				     .owner = attribution_owner,
				     .ctx = &r.who};
	bool failed;
	int err;

	memset(&r, 0, sizeof(r));
	r.o = o;
	r.on_terminal = dies_with_terminal();
	if (o->host[0])
		snprintf(r.host, sizeof(r.host), "%s", o->host);
	else if (gethostname(r.host, sizeof(r.host) - 1))
		r.host[0] = '\0';
	err = pipeline_open(&r.p, o, &live, RUN_MAX_FLOWS);
	if (err)
		return err == FL_EUSAGE ? EXIT_USAGE : EXIT_FAILED;
	notify_open(&r.notify);
	err = catch_signals();
	if (err)
		log_error("a pipe for signals: %s", fl_strerror(err));
	else
		err = start(&r);
	failed = err != 0;
	if (!failed) {
		say_start(&r);
		failed = loop(&r) != 0;
		notify_stopping(&r.notify);
		watches_drain(&r.watches);
		tiers_finish(&r.tiers);
		repair_finish(&r.repair);
		if (pipeline_finish(&r.p, realtime_ns(), r.o->conf.sending.stop_timeout_ns,
				    r.o->stats))
			failed = true;
		tell_drops(&r);
	}
	notify_close(&r.notify);
	status_close(r.status);
	watches_close(&r.watches);
	repair_close(&r.repair);
	tiers_close(&r.tiers);
	ifaces_free(r.ifs);
	attribution_close(&r.who);
	pipeline_close(&r.p);
	reload_free(r.reloaded);
	return failed ? EXIT_FAILED : EXIT_OK;
}
