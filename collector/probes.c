/* probes.c - the probe source: eBPF programs tell who connects, accepts and listens, why a connect
 * failed, and a connection's last figures. It has no live figures: the socket source's dumps do
 * that.
 */
#include "collector/probes_internal.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "collector/probes_message.h"
#include "common/memory.h"
#include "filters/probes.skel.h"

#define NS_PER_SEC 1000000000ull

enum {
	OFFSET_NS = 1000000000, /* the two clocks may drift apart: compared this often */
	OFFSET_TRIES = 4,
	OFFSET_CLOSE_NS = 5000,
	BINDS_NS = 100000000,
	PROOFS_MOST = 4,
};

uint64_t probes_now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * NS_PER_SEC + (uint64_t)t.tv_nsec;
}

static uint64_t realtime_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * NS_PER_SEC + (uint64_t)t.tv_nsec;
}

/* Another process may have the CPU between two clocks' readings: the closest of some count. */
static void refresh_offset(struct probes *p, uint64_t now_ns)
{
	uint64_t least_ns = UINT64_MAX;
	int i;

	if (p->offset_at_ns && now_ns - p->offset_at_ns < OFFSET_NS)
		return;
	for (i = 0; i < OFFSET_TRIES && least_ns > OFFSET_CLOSE_NS; i++) {
		uint64_t before_ns = probes_now_ns(), real_ns = realtime_ns();

		now_ns = probes_now_ns();
		if (now_ns - before_ns >= least_ns)
			continue;
		least_ns = now_ns - before_ns;
		p->offset_ns = (int64_t)(real_ns - before_ns - least_ns / 2);
	}
	p->offset_at_ns = now_ns;
}

uint64_t probes_count(struct probes *p, uint32_t which)
{
	const uint64_t *each = p->values;
	uint64_t sum = 0;
	int i;

	if (!p->set.skel ||
	    bpf_map_lookup_elem(bpf_map__fd(p->set.skel->maps.counts), &which, p->values))
		return 0;
	for (i = 0; i < p->cpus; i++)
		sum += each[i];
	return sum;
}

static void probes_close(struct kernel_source *s)
{
	struct probes *p = (struct probes *)s;

	if (!p)
		return;
	probes_events_close(p);
	probe_set_unload(&p->set);
	free(p->values);
	free(p->tuples);
	free(p->btf_path);
	free(p);
}

static int take_memory(struct probes *p)
{
	p->cpus = libbpf_num_possible_cpus();
	if (p->cpus <= 0)
		p->cpus = 1;
	/* the kernel fills in multiples of 8 bytes for each CPU */
	p->values = calloc((size_t)p->cpus, (sizeof(struct probe_datagrams) + 7) / 8 * 8);
	return p->values ? 0 : -ENOMEM;
}

static int attach(struct probes *p, char why[KERNEL_WHY_SIZE])
{
	int err = probe_set_attach(&p->set, why);

	if (err)
		return err;
	p->tuples_most = bpf_map__max_entries(p->set.skel->maps.datagrams);
	if (!p->tuples)
		p->tuples = calloc(p->tuples_most, sizeof(*p->tuples));
	err = p->tuples ? probes_events_open(p) : -ENOMEM;
	if (err)
		snprintf(why, KERNEL_WHY_SIZE, "the buffer of events cannot be opened: %s",
			 fl_strerror(err));
	return err;
}

static void detach(struct probes *p)
{
	probes_events_close(p);
	probe_set_unload(&p->set);
}

/* Attach what works and have it prove itself; what does not is replaced by the next that may. */
static int attach_proven(struct probes *p, char why[KERNEL_WHY_SIZE])
{
	bool again = true;
	int i, err;

	for (i = 0; i < PROOFS_MOST && again; i++) {
		err = attach(p, why);
		if (err)
			return err;
		if (probes_prove(p, &again, why))
			return 0;
		detach(p);
	}
	return -ENODATA;
}

static int probes_open(struct kernel_source **s, const struct kernel_source_config *config,
		       const struct kernel_sink *sink, char why[KERNEL_WHY_SIZE])
{
	struct probes *p = calloc(1, sizeof(*p));
	int err;

	*s = NULL;
	why[0] = 0;
	if (p)
		p->epoll = p->timer = -1;
	if (!p || take_memory(p)) {
		probes_close((struct kernel_source *)p);
		snprintf(why, KERNEL_WHY_SIZE, "memory was refused");
		return -ENOMEM;
	}
	p->config = *config;
	p->btf_path = config->btf_path ? strdup(config->btf_path) : NULL;
	p->config.btf_path = p->btf_path;
	p->set.config = &p->config;
	p->sink = *sink;
	err = attach_proven(p, why);
	if (err) {
		probes_close((struct kernel_source *)p);
		return err;
	}
	p->config.without = NULL; /* the caller's, and needed no more */
	refresh_offset(p, probes_now_ns());
	p->binds = probes_count(p, PROBE_COUNT_BINDS);
	mem_trim(); /* of libbpf: the kernel's types take 12 MB while they are read */
	*s = (struct kernel_source *)p;
	return 0;
}

static int probes_fd(const struct kernel_source *s)
{
	return probes_events_fd((const struct probes *)s);
}

static void look_at_binds(struct probes *p, uint64_t now_ns)
{
	uint64_t binds;

	if (now_ns - p->binds_at_ns < BINDS_NS)
		return;
	p->binds_at_ns = now_ns;
	binds = probes_count(p, PROBE_COUNT_BINDS);
	p->listeners = p->listeners || binds != p->binds;
	p->binds = binds;
}

static int probes_poll(struct kernel_source *s, char why[KERNEL_WHY_SIZE])
{
	struct probes *p = (struct probes *)s;
	uint64_t now_ns = probes_now_ns();
	int err;

	refresh_offset(p, now_ns);
	err = probes_events_read(p);
	if (err) {
		snprintf(why, KERNEL_WHY_SIZE, "events of eBPF programs can no longer be read: %s",
			 fl_strerror(err));
		return err;
	}
	look_at_binds(p, now_ns);
	if (p->listeners && p->sink.listeners)
		p->sink.listeners(p->sink.ctx);
	p->listeners = false;
	return 0;
}

static uint64_t cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * NS_PER_SEC + (uint64_t)t.tv_nsec;
}

static int probes_dump(struct kernel_source *s, bool first, char why[KERNEL_WHY_SIZE])
{
	struct probes *p = (struct probes *)s;
	uint64_t begun_ns = cpu_ns();
	int err;

	(void)first;               /* nothing here is from before the start */
	err = probes_poll(s, why); /* a dump counts in its cycle: so does what is in the ring */
	if (err)
		return err;
	err = probes_datagrams_dump(p);
	if (err)
		snprintf(why, KERNEL_WHY_SIZE, "the map of UDP tuples can no longer be read: %s",
			 fl_strerror(err));
	p->stats.dumps++;
	p->stats.dump_cpu_ns = cpu_ns() - begun_ns;
	return err;
}

/* Two facts of one program, for who reads the list: close is told by what tells of connects. */
static size_t add_fact(const struct probes *p, struct kernel_fact *f, enum probe_fact fact,
		       const char *name)
{
	f->name = name;
	f->provider = probe_set_provider(&p->set, fact);
	probe_set_why(&p->set, fact, f->why);
	return 1;
}

static size_t probes_facts(const struct kernel_source *s, struct kernel_fact out[KERNEL_FACTS_MOST])
{
	static const struct {
		enum probe_fact fact;
		const char *name;
	} list[] = {{PROBE_FACT_STATE, "connect"},
		    {PROBE_FACT_STATE, "connect_error"},
		    {PROBE_FACT_RETURN, "connect_error_at_once"},
		    {PROBE_FACT_CLOSE, "close"},
		    {PROBE_FACT_ACCEPT, "accept"},
		    {PROBE_FACT_LISTEN, "listen"},
		    {PROBE_FACT_BIND, "bind"},
		    {PROBE_FACT_UDP_SENT, "udp_send"},
		    {PROBE_FACT_UDP_RECEIVED, "udp_receive"},
		    {PROBE_FACT_RETRANSMIT, "retransmit"},
		    {PROBE_FACT_SYNACK, "retransmit_synack"},
		    {PROBE_FACT_RESET_SENT, "send_reset"},
		    {PROBE_FACT_RESET_RECEIVED, "receive_reset"}};
	const struct probes *p = (const struct probes *)s;
	size_t n = 0, i;

	for (i = 0; i < sizeof(list) / sizeof(list[0]); i++)
		n += add_fact(p, &out[n], list[i].fact, list[i].name);
	out[n].name = "events";
	out[n].provider = p->ring ? "ring buffer" : "perf buffer";
	snprintf(out[n].why, sizeof(out[n].why), "%s",
		 p->ring ? "" : "ring buffers are not there (before Linux 5.8), or left out");
	return n + 1;
}

static void probes_stats(struct kernel_source *s, struct kernel_source_stats *out)
{
	struct probes *p = (struct probes *)s;

	*out = p->stats;
	out->lost = probes_count(p, PROBE_COUNT_FULL);
	out->map_full = probes_count(p, PROBE_COUNT_MAP_FULL);
	out->retransmits = probes_count(p, PROBE_COUNT_RETRANSMITS);
	out->synack_retransmits = probes_count(p, PROBE_COUNT_SYNACKS);
	out->resets_sent = probes_count(p, PROBE_COUNT_RESETS_SENT);
	out->resets_received = probes_count(p, PROBE_COUNT_RESETS_RECEIVED);
	probe_set_run_time(&p->set, &out->run_ns, &out->runs);
}

const struct kernel_source_ops kernel_source_probes = {
    .name = "probe",
    .open = probes_open,
    .fd = probes_fd,
    .poll = probes_poll,
    .dump = probes_dump,
    .facts = probes_facts,
    .stats = probes_stats,
    .close = probes_close,
};
