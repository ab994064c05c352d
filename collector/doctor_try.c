/* doctor_try.c - see doctor.h: opens what a run would open, in a run's order, and closes it again.
 *
 * The choice between the tiers is that of tiers.c itself: it is given sources that are open and
 * have proved themselves, so that each proof is made once.
 */
#include "collector/doctor.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/excludes.h"
#include "collector/owners.h"
#include "collector/pipeline.h"
#include "collector/ring_bpf.h"
#include "collector/source.h"
#include "collector/tiers.h"
#include "collector/watches.h"
#include "common/log.h"
#include "flows/engine.h"

#define NS_PER_MS 1000000ULL

enum { FLOWS = 256, SCAN_MS = 400 };

/* What is open during the try. */
struct bench {
	struct doctor *d;
	const struct options *o;
	struct excludes excludes;
	struct ifaces *ifs;
	struct engine *engine;
	struct watches watches;
	struct ring_bpf_config ring;
};

/* --- nobody is told --------------------------------------------------------------------------- */

static void no_point(void *ctx, const struct point *p)
{
	(void)ctx;
	(void)p;
}

static void no_end(void *ctx, uint64_t cycle_end_ns)
{
	(void)ctx;
	(void)cycle_end_ns;
}

static void no_frames(void *ctx, const struct frame *frames, size_t n)
{
	(void)ctx;
	(void)frames;
	(void)n;
}

static void no_sample(void *ctx, const struct kernel_sample *s, const struct kernel_process *who)
{
	(void)ctx;
	(void)s;
	(void)who;
}

static void no_listeners(void *ctx)
{
	(void)ctx;
}

/* --- sources that are open already, lent to tiers.c ------------------------------------------- */

static struct kernel_source *lent_sockets, *lent_probes;

static int lend(struct kernel_source **s, struct kernel_source *open,
		const struct doctor_source *of, char why[KERNEL_WHY_SIZE])
{
	*s = open;
	if (!open)
		memcpy(why, of->all.why, KERNEL_WHY_SIZE);
	return open ? 0 : -1;
}

static const struct doctor *lender; /* of both */

static int lend_sockets(struct kernel_source **s, const struct kernel_source_config *config,
			const struct kernel_sink *sink, char why[KERNEL_WHY_SIZE])
{
	(void)config;
	(void)sink;
	return lend(s, lent_sockets, &lender->socket, why);
}

static int lend_probes(struct kernel_source **s, const struct kernel_source_config *config,
		       const struct kernel_sink *sink, char why[KERNEL_WHY_SIZE])
{
	(void)config;
	(void)sink;
	return lend(s, lent_probes, &lender->probe, why);
}

static void give_back(struct kernel_source *s)
{
	(void)s; /* whoever lent it closes it */
}

static void open_source(const struct kernel_source_ops *ops, struct kernel_source **s,
			struct doctor_source *out, const struct doctor *d)
{
	static const struct kernel_sink sink = {no_sample, no_listeners, NULL};
	struct kernel_source_config c;

	memset(&c, 0, sizeof(c));
	c.btf_path = d->btf_path;
	c.verbose = d->verbose;
	if (ops->open(s, &c, &sink, out->all.why)) {
		*s = NULL;
		if (!out->all.why[0])
			snprintf(out->all.why, sizeof(out->all.why), "it was refused");
		return;
	}
	out->all.works = true;
	out->all.why[0] = '\0';
	out->nfacts = ops->facts(*s, out->facts);
}

/* --- the rings -------------------------------------------------------------------------------- */

static void try_ring(struct bench *b, const struct iface *iface, const char *name)
{
	struct doctor *d = b->d;
	struct doctor_interface *one;
	struct ring_config c;

	if (d->ninterfaces == DOCTOR_INTERFACES_MOST)
		return;
	one = &d->interfaces[d->ninterfaces++];
	snprintf(one->name, sizeof(one->name), "%s", name);
	one->there = iface || !*name;
	if (!one->there)
		return;
	memset(&c, 0, sizeof(c));
	c.ifindex = iface ? iface->index : 0;
	c.ring_bytes = b->o->ring_bytes;
	c.dns_ports = b->o->dns_ports;
	c.ndns_ports = b->o->ndns_ports;
	c.tunnels_inner = b->o->tunnels_inner;
	c.excludes = b->excludes.filter;
	c.nexcludes = b->excludes.n;
	c.bpf_fd = -1;
	one->ring.works = !source_ring.probe(&c, one->ring.why, sizeof(one->ring.why));
	if (one->ring.works)
		one->ring.why[0] = '\0'; /* a rule that was left to user space, say */
	else
		d->packet_works = false;
}

static void try_rings(struct bench *b)
{
	const struct conf_strings *wanted = &b->o->conf.capture.interfaces;
	const struct iface *list;
	size_t i, n = ifaces_list(b->ifs, &list);

	b->d->packet_works = true;
	if (!wanted->n)
		try_ring(b, NULL, "");
	for (i = 0; i < n && wanted->n; i++)
		if (list[i].up && conf_interface_wanted(wanted, list[i].name))
			try_ring(b, &list[i], list[i].name);
	for (i = 0; i < wanted->n; i++)
		if (!strpbrk(wanted->v[i], "*?[!") && !ifaces_by_name(b->ifs, wanted->v[i]))
			try_ring(b, NULL, wanted->v[i]);
	/* waited for, all of them: is it allowed at all? */
	for (i = 0; i < b->d->ninterfaces; i++)
		if (b->d->interfaces[i].there)
			return;
	try_ring(b, NULL, "");
}

/* --- the choice ------------------------------------------------------------------------------- */

static void tiers_settings(struct bench *b, struct tiers_config *c, enum conf_capture_mode mode)
{
	static struct kernel_source_ops sockets, probes;

	sockets = kernel_source_sockets;
	sockets.open = lend_sockets;
	sockets.close = give_back;
	probes = kernel_source_probes;
	probes.open = lend_probes;
	probes.close = give_back;
	memset(c, 0, sizeof(*c));
	c->mode = mode;
	c->narrow = b->o->conf.kernel.narrow;
	c->count_udp = b->o->conf.kernel.count_udp;
	c->btf_path = b->d->btf_path;
	c->sockets = &sockets;
	c->probes = &probes;
	c->proc = "/proc";
	c->interval_ns = b->o->interval_ns;
	c->engine = b->engine;
	tiers_use_watches(&c->rings, &b->watches);
	c->ring = b->excludes.n ? NULL : &b->ring;
}

/* What the run would take with the configuration as it is. */
static const char *choose(struct bench *b, enum conf_capture_mode mode)
{
	struct tiers_config c;
	struct tiers t;
	const char *name;

	tiers_settings(b, &c, mode);
	tiers_open(&t, &c);
	name = tiers_name(&t);
	tiers_close(&t);
	return name;
}

/* The eBPF filter where no ring has it: would the kernel take it? */
static void try_filter(struct bench *b, const struct tiers *t)
{
	struct doctor_piece *p = &b->d->ebpf_filter;
	struct ring_bpf *rb = NULL;

	if (t->ring_bpf) {
		p->works = true;
		return;
	}
	memcpy(p->why, t->ring_why, sizeof(p->why));
	if (p->why[0])
		return;
	p->works = !ring_bpf_new(&rb, &b->ring, p->why);
	if (p->works)
		p->why[0] = '\0';
	ring_bpf_free(rb);
}

/* As run.c begins, on rings of its own. */
static void try_start(struct bench *b, enum conf_capture_mode mode)
{
	struct frame_sink nowhere = {no_frames, NULL};
	struct tiers_fact facts[TIERS_FACTS_MOST];
	struct tiers_config c;
	struct ip_net *nets;
	struct tiers t;
	size_t n;

	tiers_settings(b, &c, mode);
	tiers_open(&t, &c);
	if (b->d->packet_works &&
	    !watches_open(&b->watches, b->o, &b->excludes, b->ifs, &nowhere)) {
		n = ifaces_local(b->ifs, NULL, 0);
		nets = calloc(n + 1, sizeof(*nets));
		if (nets)
			tiers_addresses(&t, nets, ifaces_local(b->ifs, nets, n));
		free(nets);
		tiers_start(&t, monotonic_ns());
		b->d->narrowed = t.narrowed;
		n = tiers_facts(&t, facts);
		b->d->filter = n ? facts[n - 1].fact.provider : "classic";
	}
	try_filter(b, &t);
	watches_close(&b->watches);
	tiers_close(&t);
}

static int open_bench(struct bench *b, struct doctor *d, const struct options *o)
{
	struct engine_config c;

	memset(b, 0, sizeof(*b));
	b->d = d;
	b->o = o;
	b->watches.bpf_fd = -1;
	b->ring.dns_ports = o->dns_ports;
	b->ring.ndns_ports = o->ndns_ports;
	b->ring.tunnels_inner = o->tunnels_inner;
	engine_config_default(&c);
	c.max_flows = c.max_streams = c.max_dns_pending = c.max_http_pending = FLOWS;
	c.max_names = 0;
	c.sink.put = no_point;
	c.sink.end = no_end;
	b->engine = engine_new(&c);
	if (!b->engine || excludes_init(&b->excludes, &o->conf.capture.exclude))
		return -1;
	d->excludes = b->excludes.n > 0;
	return ifaces_new(&b->ifs);
}

static void close_bench(struct bench *b)
{
	if (b->ifs)
		ifaces_free(b->ifs);
	if (b->engine)
		engine_free(b->engine);
	excludes_free(&b->excludes);
}

static void try_tiers(struct doctor *d, const struct options *o)
{
	enum conf_capture_mode mode = o->conf.capture.mode;
	struct bench b;

	lender = d;
	open_source(&kernel_source_probes, &lent_probes, &d->probe, d);
	open_source(&kernel_source_sockets, &lent_sockets, &d->socket, d);
	if (open_bench(&b, d, o)) {
		d->interfaces[0].there = true;
		snprintf(d->interfaces[0].ring.why, sizeof(d->interfaces[0].ring.why),
			 "the interfaces cannot be listed (rtnetlink), or memory was refused");
		d->ninterfaces = 1;
	} else {
		try_rings(&b);
		d->socket.tier = !strcmp(choose(&b, CONF_MODE_SOCKET), "socket");
		d->probe.tier = !strcmp(choose(&b, CONF_MODE_PROBE), "probe");
		if (d->packet_works) {
			d->tier_auto = choose(&b, CONF_MODE_AUTO);
			d->tier = choose(&b, mode);
		}
		try_start(&b, mode);
	}
	close_bench(&b);
	kernel_source_probes.close(lent_probes);
	kernel_source_sockets.close(lent_sockets);
	lent_probes = lent_sockets = NULL;
}

/* --- processes and places --------------------------------------------------------------------- */

static void nobody(void *ctx, const struct flow_key *key, int end, uint32_t owner, bool final)
{
	(void)ctx;
	(void)key;
	(void)end;
	(void)owner;
	(void) final;
}

static void try_processes(struct doctor *d, const struct options *o)
{
	uint64_t until_ns = monotonic_ns() + SCAN_MS * NS_PER_MS;
	struct owners_config c;
	struct owners_stats s;
	struct owners *owners;
	const char *why;

	d->processes_enabled = o->conf.processes.enabled;
	if (!d->processes_enabled)
		return;
	owners_config_default(&c);
	c.cpu_share = 1;
	if (!o->conf.processes.namespaces)
		c.max_netns = 1;
	if (owners_new(&owners, &c)) {
		snprintf(d->processes_why, sizeof(d->processes_why), "memory was refused");
		return;
	}
	do {
		owners_work(owners, monotonic_ns(), nobody, NULL);
		owners_stats(owners, &s);
	} while (!s.scans && monotonic_ns() < until_ns);
	why = owners_limits(owners);
	d->scanned = s.scans > 0;
	d->processes = s.processes;
	d->denied = s.processes_denied;
	d->namespaces = s.namespaces;
	d->namespaces_denied = s.namespaces_denied;
	snprintf(d->processes_why, sizeof(d->processes_why), "%s", why ? why : "");
	owners_free(owners);
}

static void try_databases(struct doctor *d, const struct options *o)
{
	struct geoip_database_info info;
	struct geoip_config c;
	struct geoip *g;

	if (!o->conf.geoip.databases.n)
		return;
	memset(&c, 0, sizeof(c));
	c.databases = (const char *const *)o->conf.geoip.databases.v;
	c.n = o->conf.geoip.databases.n;
	c.language = o->conf.geoip.language;
	c.coordinates = o->conf.geoip.coordinates;
	c.cache_entries = GEOIP_CACHE_MIN;
	if (geoip_new(&g, &c, d->geoip_why, sizeof(d->geoip_why))) {
		snprintf(d->geoip_why, sizeof(d->geoip_why),
			 "more than %d databases, or memory was refused", GEOIP_DATABASES_MAX);
		return;
	}
	while (d->ndatabases < GEOIP_DATABASES_MAX && geoip_database(g, d->ndatabases, &info)) {
		struct doctor_database *one = &d->databases[d->ndatabases++];

		snprintf(one->path, sizeof(one->path), "%s", info.path);
		one->loaded = info.loaded;
		one->built_s = info.loaded ? info.built_s : 0;
		snprintf(one->fields, sizeof(one->fields), "%s", info.loaded ? info.fields : "");
	}
	geoip_free(g);
}

void doctor_try(struct doctor *d, const struct options *o)
{
	enum log_level level = (enum log_level)o->conf.log.level;

	memset(d, 0, sizeof(*d));
	doctor_host(&d->host, "");
	d->libbpf = doctor_libbpf();
	d->config_file = o->config_file && *o->config_file ? o->config_file : NULL;
	d->verbose = level == LOG_LEVEL_DEBUG;
	d->mode = o->conf.capture.mode;
	d->narrow = o->conf.kernel.narrow;
	d->count_udp = o->conf.kernel.count_udp;
	d->btf_path = o->conf.kernel.btf_path ? o->conf.kernel.btf_path : "";
	d->filter = "classic";
	/* what the sources say at the start of a run is on the page */
	if (!d->verbose)
		log_set_level(LOG_LEVEL_ERROR);
	try_tiers(d, o);
	try_processes(d, o);
	try_databases(d, o);
	log_set_level(level);
}
