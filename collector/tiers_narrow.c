/* tiers_narrow.c - see tiers.h: whose TCP packets the rings need not read, and the ring's filter in
 * eBPF that counts UDP.
 *
 * The order keeps every byte: to narrow, first the engine is told, which counts full frames of a
 * narrowed flow as well, then the filters; to widen, first the filters, then what is still in the
 * rings is read, then the engine.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/pipeline.h"
#include "collector/procfs.h"
#include "collector/tiers_internal.h"
#include "common/log.h"

enum {
	SETTLE_MS = 300,         /* longer than a frame waits in a ring */
	DATAGRAMS_MS = 100,      /* between two readings: as often as a ring hands over */
	DATAGRAMS_LEISURE = 100, /* ... and so many times what the last one cost: 1 % of a CPU */
	DATAGRAMS_AHEAD_MS = 5,  /* one more before a cycle's end */
};

/* --- does the host forward? ------------------------------------------------------------------- */

static bool is_set(const char *proc, const char *name)
{
	char path[4096];
	int value = 0;
	FILE *f;

	snprintf(path, sizeof(path), "%s/sys/net/%s", proc, name);
	f = fopen(path, "re");
	if (!f)
		return false; /* no IPv6, say */
	if (fscanf(f, "%d", &value) != 1)
		value = 0;
	fclose(f);
	return value != 0;
}

bool tiers_host_forwards(const char *proc)
{
	return is_set(proc, "ipv4/ip_forward") || is_set(proc, "ipv6/conf/all/forwarding");
}

/* A host that forwards may translate addresses: the tuples of its packets are then not those of its
 * sockets. */
static bool is_forwarding(const struct tiers *t)
{
	if (t->c.narrow != CONF_NARROW_AUTO)
		return false;
	return tiers_host_forwards(t->c.proc);
}

/* --- the filters ------------------------------------------------------------------------------ */

/* The eBPF filter is there, and the rings can have it. A frame of TCP costs no more there than in
 * the classic one (docs/cost.md), so that nothing else is asked. */
static bool ring_usable(const struct tiers *t)
{
	return t->ring_bpf && t->c.ring && !t->ring_paused &&
	       (!t->c.rings.ethernet || t->c.rings.ethernet(t->c.rings.ctx));
}

/* A ring has refused it: what it counted on the others is taken, and it is not tried again. */
static void drop_ring(struct tiers *t, const char *why)
{
	t->ring_on = false;
	tiers_datagrams(t, monotonic_ns());
	t->datagrams_ns = 0;
	ring_bpf_free(t->ring_bpf);
	t->ring_bpf = NULL;
	snprintf(t->ring_why, sizeof(t->ring_why), "%s", why);
}

/* n 0: all is read. 0, or negative (logged): the rings read all. */
static int set_rings(struct tiers *t, const struct ip_net *nets, size_t n)
{
	bool narrowed, ebpf;
	int fd = -1, err;

	if (ring_usable(t)) {
		err = ring_bpf_set_narrow(t->ring_bpf, nets, n);
		if (err)
			log_debug(
			    "the eBPF filter takes no %zu addresses: %s; a classic one is used", n,
			    fl_strerror(err));
		else
			fd = ring_bpf_fd(t->ring_bpf);
	}
	err = t->c.rings.narrow(t->c.rings.ctx, nets, n, fd);
	if (t->ring_on && fd < 0)
		tiers_datagrams(t, monotonic_ns()); /* the last of it */
	t->ring_on = fd >= 0;
	t->datagrams_ns = t->ring_on ? monotonic_ns() : 0;
	t->c.rings.have(t->c.rings.ctx, &narrowed, &ebpf);
	if (t->ring_on && !ebpf)
		drop_ring(t, "a packet ring refused it");
	return err;
}

static void narrow_engine(struct tiers *t, const struct ip_net *nets, size_t n)
{
	int err = engine_set_narrow(t->c.engine, nets, n);

	if (err) /* of 0 networks it never fails */
		log_error("narrowing to %zu addresses: %s", n, fl_strerror(err));
}

static void narrow(struct tiers *t)
{
	int err = engine_set_narrow(t->c.engine, t->nets, t->nnets);

	if (err) {
		log_debug("narrowing to %zu addresses: %s", t->nnets, fl_strerror(err));
		t->refused = true;
		return;
	}
	if (set_rings(t, t->nets, t->nnets)) {
		t->refused = true;
		tiers_widen(t);
		return;
	}
	t->narrowed = true;
	log_debug("TCP packets of %zu own networks are read where the kernel's figures do not tell",
		  t->nnets);
	tiers_dump(t, t->c.all_interfaces, monotonic_ns());
}

void tiers_widen(struct tiers *t)
{
	if (set_rings(t, NULL, 0))
		log_debug("the rings' filters could not be widened: some may be narrow still");
	t->c.rings.drain(t->c.rings.ctx);
	t->narrowed = false;
	t->settle_ns = 0;
	narrow_engine(t, NULL, 0);
}

static bool wants_narrow(const struct tiers *t)
{
	return t->tier != TIER_PACKET && t->c.narrow != CONF_NARROW_NEVER && !t->forwards &&
	       !t->refused && t->nnets && tiers_can_narrow(t);
}

void tiers_rings_follow(struct tiers *t)
{
	bool forwarded = t->forwards;

	if (!t->started || t->ring_paused)
		return;
	t->forwards = is_forwarding(t);
	if (t->forwards != forwarded && t->tier != TIER_PACKET)
		log_info("this host %s packets: %s (kernel.narrow)",
			 t->forwards ? "forwards" : "does not forward any more",
			 t->forwards
			     ? "all TCP packets are read"
			     : "TCP packets that the kernel's figures make needless are not read");
	if (wants_narrow(t) != t->narrowed) {
		if (t->narrowed)
			tiers_widen(t);
		else
			narrow(t);
	} else if (ring_usable(t) != t->ring_on) {
		if (set_rings(t, t->narrowed ? t->nets : NULL, t->narrowed ? t->nnets : 0)) {
			t->refused = true;
			tiers_widen(t);
		}
	}
}

void tiers_rings_changed(struct tiers *t)
{
	bool narrowed, ebpf;

	if (!t->started)
		return;
	t->c.rings.have(t->c.rings.ctx, &narrowed, &ebpf);
	if (t->ring_on && !ebpf)
		drop_ring(t, "a packet ring refused it");
	if (t->narrowed && !narrowed) {
		t->refused = true;
		tiers_widen(t);
	}
	tiers_rings_follow(t);
}

/* --- the host's own addresses ----------------------------------------------------------------- */

/* The engine knows the old and the new ones until frames of the old filter have been read. */
static int both(struct tiers *t, const struct ip_net *nets, size_t n)
{
	struct ip_net *all = calloc(t->nnets + n + 1, sizeof(*all));
	int err;

	if (!all)
		return -ENOMEM;
	memcpy(all, t->nets, t->nnets * sizeof(*all));
	memcpy(all + t->nnets, nets, n * sizeof(*all));
	err = engine_set_narrow(t->c.engine, all, t->nnets + n);
	free(all);
	return err;
}

void tiers_settle(struct tiers *t)
{
	t->settle_ns = 0;
	if (t->narrowed)
		narrow_engine(t, t->nets, t->nnets);
}

void tiers_addresses(struct tiers *t, const struct ip_net *nets, size_t n)
{
	struct ip_net *copy;

	if (n == t->nnets && (!n || !memcmp(nets, t->nets, n * sizeof(*nets))))
		return;
	copy = calloc(n + 1, sizeof(*copy));
	if (copy)
		memcpy(copy, nets, n * sizeof(*copy));
	t->refused = false;
	if (t->narrowed && (!copy || both(t, nets, n) || set_rings(t, nets, n))) {
		t->refused = true;
		tiers_widen(t);
	}
	if (!copy)
		n = 0;
	free(t->nets);
	t->nets = copy;
	t->nnets = n;
	if (t->narrowed)
		t->settle_ns = monotonic_ns() + SETTLE_MS * NS_PER_MS;
	else if (!t->refused)
		tiers_rings_follow(t);
}

/* --- UDP, counted in the kernel --------------------------------------------------------------- */

static void on_datagrams(void *ctx, const struct kernel_datagrams *d)
{
	struct tiers *t = ctx;

	engine_kernel_datagrams(t->c.engine, d);
}

void tiers_datagrams(struct tiers *t, uint64_t now_ns)
{
	uint64_t until_ns = tiers_until_end_ns(t), cost_ns, wait_ns = DATAGRAMS_MS * NS_PER_MS;
	int err;

	if (!t->ring_bpf)
		return;
	cost_ns = procfs_cpu_ns();
	err = ring_bpf_read(t->ring_bpf, on_datagrams, t);
	cost_ns = procfs_cpu_ns() - cost_ns;
	if (err)
		log_debug("reading what the eBPF filter has counted: %s", fl_strerror(err));
	if (cost_ns * DATAGRAMS_LEISURE > wait_ns)
		wait_ns = cost_ns * DATAGRAMS_LEISURE;
	if (until_ns > 2 * DATAGRAMS_AHEAD_MS * NS_PER_MS && until_ns < wait_ns)
		wait_ns = until_ns - DATAGRAMS_AHEAD_MS * NS_PER_MS;
	if (t->ring_on)
		t->datagrams_ns = now_ns + wait_ns;
}

void tiers_ring_open(struct tiers *t)
{
	struct ring_bpf_config c;

	if (!t->c.ring || t->c.count_udp == CONF_COUNT_UDP_NEVER || t->ring_bpf ||
	    t->tier == TIER_PACKET)
		return;
	t->ring_why[0] = '\0';
	c = *t->c.ring;
	c.narrow = NULL;
	c.nnarrow = 0;
	if (ring_bpf_new(&t->ring_bpf, &c, t->ring_why)) {
		t->ring_bpf = NULL;
		log_debug("the rings keep classic filters: %s", t->ring_why);
	}
}

void tiers_pause(struct tiers *t)
{
	if (!t->ring_on)
		return;
	t->ring_paused = true;
	if (set_rings(t, t->narrowed ? t->nets : NULL, t->narrowed ? t->nnets : 0)) {
		t->refused = true;
		tiers_widen(t);
	}
}

void tiers_ring_resume(struct tiers *t, bool changed)
{
	const struct ring_bpf_config *c = t->c.ring;
	int err;

	t->ring_paused = false;
	if (t->ring_bpf && changed && c) {
		err =
		    ring_bpf_set_ports(t->ring_bpf, c->dns_ports, c->ndns_ports, c->tunnels_inner);
		if (err) {
			log_warn("the eBPF filter does not take the new ports: %s; classic filters "
				 "are used",
				 fl_strerror(err));
			ring_bpf_free(t->ring_bpf);
			t->ring_bpf = NULL;
		}
	}
	tiers_ring_open(t);
	tiers_rings_follow(t);
}

const char *tiers_filter_name(const struct tiers *t)
{
	if (t->ring_on)
		return t->narrowed ? "eBPF, narrowed" : "eBPF";
	return t->narrowed ? "classic, narrowed" : "classic";
}
