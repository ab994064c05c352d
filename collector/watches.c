/* watches.c - see watches.h. */
#include "collector/watches.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "collector/pipeline.h"
#include "collector/source_ring.h"
#include "collector/stats.h"
#include "common/log.h"

#define NS_PER_MS 1000000ULL
#define NS_PER_S  1000000000ULL

enum {
	BLOCKS_PER_ROUND = 16, /* of one ring, before the others and the signals have their turn */
	DRAIN_MS = RING_RETIRE_MS + 50,
	OVERLAP_MS = 4, /* longer than a frame takes from one socket to the other */
};

static uint64_t realtime_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

static void nap_ms(unsigned int ms)
{
	struct timespec nap = {0, (long)(ms * NS_PER_MS)};

	nanosleep(&nap, NULL);
}

static const char *name_of(const struct watch *w)
{
	return w->name[0] ? w->name : "all interfaces";
}

/* --- reading ---------------------------------------------------------------------------------- */

/* Hand over the frames of the ring's time; runs of them, as there is one cut at most. */
static void give_cut(void *ctx, const struct frame *frames, size_t n)
{
	struct watch *w = ctx;
	const struct frame_sink *out = w->all->frames;
	size_t i, begin = 0;

	for (i = 0; i <= n; i++) {
		if (i < n && frames[i].time_ns >= w->from_ns &&
		    (!w->until_ns || frames[i].time_ns < w->until_ns))
			continue;
		if (i > begin)
			out->frames(out->ctx, frames + begin, i - begin);
		begin = i + 1;
		w->all->cut += i < n;
	}
}

/* Hand over what the ring has. 0, or negative: it has come to its end. */
static int read_ring(struct watch *w, char *why, size_t why_size)
{
	struct frame_sink cut = {.frames = give_cut, .ctx = w};
	const struct frame_sink *to = w->from_ns || w->until_ns ? &cut : w->all->frames;
	int i, got = 1;

	for (i = 0; i < BLOCKS_PER_ROUND && got > 0; i++)
		got = source_ring.poll(w->source, to, why, why_size);
	return got < 0 ? got : 0;
}

/* Read all rings (or one) until the kernel has handed over the frames that had come by now. */
static void drain(struct watches *w, struct watch *only)
{
	uint64_t end_ns = monotonic_ns() + DRAIN_MS * NS_PER_MS;
	char why[256];
	size_t i;

	do {
		nap_ms(10);
		for (i = 0; i < w->n; i++) {
			struct watch *x = &w->list[i];

			/* An end is no news here: what the ring still had was handed over before.
			 */
			if (x->source && (!only || x == only) && read_ring(x, why, sizeof(why)) < 0)
				continue;
		}
	} while (monotonic_ns() < end_ns);
}

void watches_drain(struct watches *w)
{
	drain(w, NULL);
}

void watches_stats(struct watches *w, struct source_stats *sum)
{
	struct source_stats one;
	size_t i;

	*sum = w->closed;
	for (i = 0; i < w->n; i++) {
		if (!w->list[i].source)
			continue;
		source_ring.stats(w->list[i].source, &one);
		stats_add_source(sum, &one);
	}
	sum->frames -= w->cut;
}

bool watches_dropping(const struct watches *w)
{
	size_t i;

	for (i = 0; i < w->n; i++)
		if (w->list[i].source && source_ring_dropping(w->list[i].source))
			return true;
	return false;
}

uint64_t watches_read_until_ns(const struct watches *w)
{
	uint64_t now_ns = realtime_ns(), until_ns = UINT64_MAX, one_ns;
	size_t i;

	for (i = 0; i < w->n; i++) {
		if (!w->list[i].source)
			continue;
		one_ns = source_ring_read_until_ns(w->list[i].source, now_ns);
		until_ns = one_ns < until_ns ? one_ns : until_ns;
	}
	return until_ns;
}

void watches_gather(const struct watches *w, struct pollfd *fds)
{
	size_t i;

	for (i = 0; i < w->n; i++) {
		const struct source *s = w->list[i].source;

		fds[i].fd = s ? source_ring.fd(s) : -1;
		fds[i].events = POLLIN;
		fds[i].revents = 0;
	}
}

/* --- closing ---------------------------------------------------------------------------------- */

static void close_ring(struct watch *w)
{
	struct source_stats one;

	if (!w->source)
		return;
	source_ring.stats(w->source, &one);
	stats_add_source(&w->all->closed, &one);
	source_ring.close(w->source);
	w->source = NULL;
	w->from_ns = w->until_ns = 0;
}

void watches_close(struct watches *w)
{
	size_t i;

	for (i = 0; i < w->n; i++)
		close_ring(&w->list[i]);
	w->n = 0;
	free(w->narrow);
	w->narrow = NULL;
	w->nnarrow = 0;
	w->bpf_fd = -1;
}

static void remove_watch(struct watches *w, size_t i)
{
	close_ring(&w->list[i]);
	memmove(&w->list[i], &w->list[i + 1], (--w->n - i) * sizeof(w->list[0]));
}

static void ring_settings(const struct watches *w, struct ring_config *c)
{
	memset(c, 0, sizeof(*c));
	c->ring_bytes = (size_t)w->o->ring_bytes;
	c->dns_ports = w->o->dns_ports;
	c->ndns_ports = w->o->ndns_ports;
	c->tunnels_inner = w->o->tunnels_inner;
	c->excludes = w->excludes->filter;
	c->nexcludes = w->excludes->n;
	c->narrow = w->narrow;
	c->nnarrow = w->nnarrow;
	c->bpf_fd = w->bpf_fd;
}

/* --- filters ---------------------------------------------------------------------------------- */

/* Has this ring the filter that all are to have? */
static bool is_as_asked(const struct watch *x)
{
	enum ring_filter want = x->all->bpf_fd >= 0   ? RING_FILTER_BPF
				: x->all->nnarrow > 0 ? RING_FILTER_NARROW
						      : RING_FILTER_CLASSIC;

	return source_ring_filter(x->source) == want;
}

/* Replace the filters of the open rings. 0, or negative at the first one that cannot have it. */
static int set_filters(struct watches *w)
{
	bool asks = w->nnarrow || w->bpf_fd >= 0; /* for what it can do without */
	struct ring_config c;
	char why[512] = "";
	int err, first = 0;
	size_t i;

	ring_settings(w, &c);
	for (i = 0; i < w->n; i++) {
		struct watch *x = &w->list[i];

		if (!x->source)
			continue;
		err = source_ring_set_filter(x->source, &c, why, sizeof(why));
		if (asks && (err < 0 || !is_as_asked(x))) {
			log_warn("%s: %s", name_of(x), why);
			return err < 0 ? err : FL_EFULL;
		}
		if (err < 0)
			log_error("%s: the packet filter is not what it should be: %s", name_of(x),
				  why);
		first = first ? first : err < 0 ? err : 0;
	}
	return first;
}

/* The same on all rings: as asked, else without eBPF, else nothing narrowed. Negative: that. */
static int settle_filters(struct watches *w)
{
	int err = set_filters(w), refused = 0;

	if (err && w->bpf_fd >= 0) {
		w->bpf_fd = -1;
		err = set_filters(w);
	}
	if (err && w->nnarrow) {
		refused = err;
		w->nnarrow = 0;
		err = set_filters(w);
	}
	return refused ? refused : err;
}

int watches_narrow(struct watches *w, const struct ip_net *nets, size_t n, int bpf_fd)
{
	struct ip_net *copy = n ? calloc(n, sizeof(*copy)) : NULL;
	int err = n && !copy ? -ENOMEM : 0, settled;

	if (err)
		log_error("memory was refused: no TCP is narrowed");
	if (copy)
		memcpy(copy, nets, n * sizeof(*copy));
	free(w->narrow);
	w->narrow = copy;
	w->nnarrow = copy ? n : 0;
	w->bpf_fd = err ? -1 : bpf_fd;
	settled = settle_filters(w);
	return err ? err : settled;
}

/* A ring has come that has not what the others have. */
static void settle_new(struct watches *w)
{
	size_t i;

	for (i = 0; i < w->n; i++)
		if (w->list[i].source && !is_as_asked(&w->list[i]))
			break;
	if (i < w->n && settle_filters(w))
		log_warn("all of TCP is read from now on");
}

/* --- opening ---------------------------------------------------------------------------------- */

static void say_opened(const struct watch *w, const struct iface *iface)
{
	if (w->told)
		log_info("interface %s is there", w->name);
	else if (iface && !iface->up && w->waits)
		log_warn("interface %s is down: 'sudo ip link set %s up' brings it up", w->name,
			 w->name);
}

/* 0: open, or waited for; negative: it cannot be (logged). */
static int open_ring(struct watch *w)
{
	const struct iface *iface = w->name[0] ? ifaces_by_name(w->all->ifs, w->name) : NULL;
	struct ring_config c;
	char why[512] = "";
	int err;

	if (w->name[0] && !iface) {
		if (!w->told)
			log_warn("interface %s is not there: waiting for it ('ip link' shows those "
				 "that are)",
				 w->name);
		w->told = true;
		return 0;
	}
	ring_settings(w->all, &c);
	c.ifindex = iface ? iface->index : 0;
	err = source_ring.open(&w->source, &c, why, sizeof(why));
	if (err == -ENODEV || err == -ENXIO) { /* gone between asking and opening */
		w->told = true;
		return 0;
	}
	if (err) {
		log_error("%s: %s", name_of(w), why);
		w->refused = true;
		return err;
	}
	say_opened(w, iface);
	w->told = false;
	w->ifindex = c.ifindex;
	return 0;
}

/* --- which interfaces ------------------------------------------------------------------------- */

/* A name as it is, not a pattern. */
static bool is_plain(const char *pattern)
{
	return !strpbrk(pattern, "*?[!\\");
}

static bool wanted(const struct watches *w, const char *name)
{
	const struct conf_strings *patterns = &w->o->conf.capture.interfaces;

	return name[0] ? patterns->n && conf_interface_wanted(patterns, name) : !patterns->n;
}

static struct watch *find(struct watches *w, const char *name)
{
	size_t i;

	for (i = 0; i < w->n; i++)
		if (!strcmp(w->list[i].name, name))
			return &w->list[i];
	return NULL;
}

static void add(struct watches *w, const char *name, bool waits)
{
	struct watch *x = find(w, name);

	if (!x && w->n == WATCHES_MOST) {
		if (!w->limit_told)
			log_warn("interface %s is not watched: %d are, and that is the most; with "
				 "an empty capture.interfaces one ring sees all",
				 name, WATCHES_MOST);
		w->limit_told = true;
		return;
	}
	if (!x) {
		x = &w->list[w->n++];
		memset(x, 0, sizeof(*x));
		snprintf(x->name, sizeof(x->name), "%s", name);
		x->all = w;
		x->told = w->started && !waits; /* its coming is worth a word */
	}
	x->waits = x->waits || waits;
}

/* A watch for each interface that is wanted, and is there or named as it is. */
static void add_wanted(struct watches *w)
{
	const struct conf_strings *patterns = &w->o->conf.capture.interfaces;
	const struct iface *list;
	size_t i, n = ifaces_list(w->ifs, &list);

	if (!patterns->n)
		add(w, "", true);
	for (i = 0; i < w->n; i++)
		w->list[i].waits = !w->list[i].name[0];
	for (i = 0; i < patterns->n; i++)
		if (is_plain(patterns->v[i]) && wanted(w, patterns->v[i]))
			add(w, patterns->v[i], true);
	for (i = 0; i < n; i++)
		if (wanted(w, list[i].name))
			add(w, list[i].name, false);
}

/* The interface went: read what it left. Where nobody waits for it, the watch goes, too (true). */
static bool lost(struct watches *w, size_t i)
{
	struct watch *x = &w->list[i];

	drain(w, x);
	close_ring(x);
	x->told = true;
	if (x->waits) {
		log_warn("interface %s is gone: waiting for it to come back", x->name);
		return false;
	}
	log_info("interface %s is gone", x->name);
	remove_watch(w, i);
	return true;
}

/* Close what went or is not wanted, open what is missing. 0, or the first error. */
static int settle(struct watches *w)
{
	int err, first = 0;
	size_t i = 0;

	while (i < w->n) {
		struct watch *x = &w->list[i];
		const struct iface *iface = x->name[0] ? ifaces_by_name(w->ifs, x->name) : NULL;
		bool gone = x->name[0] && (!iface || iface->index != x->ifindex);

		if (x->source && gone && lost(w, i))
			continue;
		if (gone)
			x->refused = false;
		if (!x->source && !x->waits && gone && !iface) {
			remove_watch(w, i);
			continue;
		}
		i++;
	}
	add_wanted(w);
	for (i = 0; i < w->n; i++) {
		struct watch *x = &w->list[i];

		if (x->source || x->refused || !wanted(w, x->name))
			continue;
		err = open_ring(x);
		first = first ? first : err;
	}
	settle_new(w);
	return first;
}

int watches_open(struct watches *w, const struct options *o, const struct excludes *excludes,
		 const struct ifaces *ifs, const struct frame_sink *frames)
{
	int err;

	memset(w, 0, sizeof(*w));
	w->o = o;
	w->excludes = excludes;
	w->ifs = ifs;
	w->frames = frames;
	w->bpf_fd = -1;
	err = settle(w);
	w->started = true;
	return err;
}

void watches_follow(struct watches *w)
{
	if (settle(w))
		return; /* said; the others go on, and this one is tried when it comes anew */
}

int watches_read(struct watches *w, const struct pollfd *fds)
{
	char why[256] = "";
	size_t i, n = w->n;
	int err;

	for (i = 0; i < n; i++) {
		struct watch *x = &w->list[i];

		if (!fds[i].revents || !x->source)
			continue;
		err = read_ring(x, why, sizeof(why));
		if (!err)
			continue;
		if (err == -ENODEV && x->name[0]) {
			if (lost(w, i))
				return 0; /* the others' places have changed: at the next poll */
			continue;
		}
		log_error("%s: %s", name_of(x), why);
		return err;
	}
	return 0;
}

/* --- another configuration -------------------------------------------------------------------- */

/* The old rings (from 0 to nold) and the new ones see the same interfaces: the moment between them.
 */
static void cut_between(struct watches *w, size_t nold)
{
	uint64_t cut_ns;
	size_t i;

	nap_ms(OVERLAP_MS);
	cut_ns = realtime_ns();
	nap_ms(OVERLAP_MS);
	for (i = 0; i < w->n; i++) {
		struct watch *x = &w->list[i];

		if (i < nold && !wanted(w, x->name))
			x->until_ns = cut_ns;
		else if (i >= nold)
			x->from_ns = cut_ns;
	}
}

void watches_change(struct watches *w, const struct options *o, const struct excludes *excludes,
		    bool same_filter)
{
	bool was_all = find(w, "") != NULL, is_all = !o->conf.capture.interfaces.n;
	size_t i, nold = w->n;

	w->o = o;
	w->excludes = excludes;
	w->limit_told = false;
	for (i = 0; i < w->n; i++)
		w->list[i].refused = false;
	if (!same_filter) {
		w->bpf_fd = -1;
		if (settle_filters(w))
			log_debug("the packet filters are not all as the new options want them");
	}
	add_wanted(w);
	for (i = 0; i < w->n; i++)
		if (!w->list[i].source && wanted(w, w->list[i].name) && open_ring(&w->list[i]))
			continue; /* said; the others go on */
	settle_new(w);
	if (was_all != is_all)
		cut_between(w, nold);
	for (i = 0; i < w->n && wanted(w, w->list[i].name); i++)
		;
	if (i == w->n)
		return;
	drain(w, NULL);
	for (i = w->n; i-- > 0;) {
		w->list[i].from_ns = 0; /* older frames have been cut by now */
		if (wanted(w, w->list[i].name))
			continue;
		log_info("%s: not watched any more", name_of(&w->list[i]));
		remove_watch(w, i);
	}
}
