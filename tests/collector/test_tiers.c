/* test_tiers.c - the choice of a tier, what falls back to what, and when what is done: with sources
 * and rings that only pretend.
 */
#include "collector/tiers.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "collector/pipeline.h"
#include "collector/tiers_internal.h"
#include "tests/collector/pretend_proc.h"
#include "tests/collector/tiers_pretend.h"
#include "tests/test.h"

static struct tiers t;
static struct engine *engine;
static struct ip_net own[2];

static void begin(enum conf_capture_mode mode, struct tiers_config *c)
{
	struct engine_config e;
	static const uint8_t addr[2][4] = {{127, 0, 0, 0}, {10, 0, 0, 7}};

	engine_config_default(&e);
	e.max_flows = 256;
	e.sink.put = put;
	e.sink.end = end;
	engine = engine_new(&e);
	memset(&rings, 0, sizeof(rings));
	memset(c, 0, sizeof(*c));
	c->mode = mode;
	c->btf_path = "";
	c->sockets = &sockets_ops;
	c->probes = &probes_ops;
	c->proc = proc;
	c->interval_ns = 3600000 * MS;
	c->all_interfaces = true;
	c->count_udp = CONF_COUNT_UDP_AUTO;
	c->engine = engine;
	c->rings.narrow = narrow_rings;
	c->rings.drain = drain_rings;
	c->rings.have = rings_have;
	memset(own, 0, sizeof(own));
	addr_from_v4(&own[0].addr, addr[0]);
	own[0].bits = 104;
	addr_from_v4(&own[1].addr, addr[1]);
	own[1].bits = 128;
}

static void finish(void)
{
	tiers_close(&t);
	CHECK_INT(sockets.opens, sockets.closes);
	CHECK_INT(probes.opens, probes.closes);
	engine_free(engine);
}

static void go(const struct tiers_config *c)
{
	tiers_open(&t, c);
	tiers_addresses(&t, own, 2);
	CHECK_INT(rings.calls, 0); /* they are not open yet */
	tiers_start(&t, monotonic_ns());
}

/* Everything works, unless a case says otherwise. */
static void all_work(void)
{
	memset(&sockets, 0, sizeof(sockets));
	memset(&probes, 0, sizeof(probes));
	sockets.open = sockets.counters = sockets.close = true;
	probes.open = probes.connect = true;
}

static void test_choice(void)
{
	static const struct {
		const char *name;
		enum conf_capture_mode mode;
		bool probes, connect, sockets, counters, close;
		enum tier tier;
		bool narrowed;
	} cases[] = {
	    {"packet asks nobody", CONF_MODE_PACKET, 1, 1, 1, 1, 1, TIER_PACKET, false},
	    {"auto, all", CONF_MODE_AUTO, 1, 1, 1, 1, 1, TIER_PROBE, true},
	    {"probe, all", CONF_MODE_PROBE, 1, 1, 1, 1, 1, TIER_PROBE, true},
	    {"socket, all", CONF_MODE_SOCKET, 1, 1, 1, 1, 1, TIER_SOCKET, true},
	    {"auto, no probes", CONF_MODE_AUTO, 0, 0, 1, 1, 1, TIER_SOCKET, true},
	    {"probe, no probes", CONF_MODE_PROBE, 0, 0, 1, 1, 1, TIER_SOCKET, true},
	    {"no multicast, probes", CONF_MODE_AUTO, 1, 1, 1, 1, 0, TIER_PROBE, true},
	    {"probes that do not tell of ends", CONF_MODE_AUTO, 1, 0, 1, 1, 1, TIER_PROBE, true},
	    {"nobody tells of ends", CONF_MODE_AUTO, 1, 0, 1, 1, 0, TIER_PROBE, false},
	    {"no lists", CONF_MODE_AUTO, 1, 1, 1, 0, 1, TIER_PROBE, false},
	    {"no sock_diag", CONF_MODE_AUTO, 1, 1, 0, 0, 0, TIER_PROBE, false},
	    {"as CentOS 7", CONF_MODE_AUTO, 0, 0, 1, 1, 0, TIER_PACKET, false},
	    {"as CentOS 7, socket", CONF_MODE_SOCKET, 0, 0, 1, 1, 0, TIER_PACKET, false},
	    {"socket without lists", CONF_MODE_SOCKET, 1, 1, 1, 0, 1, TIER_PACKET, false},
	    {"nothing", CONF_MODE_PROBE, 0, 0, 0, 0, 0, TIER_PACKET, false},
	};
	static const char *const names[] = {"packet", "socket", "probe"};
	struct tiers_config c;
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		all_work();
		probes.open = cases[i].probes;
		probes.connect = cases[i].connect;
		sockets.open = cases[i].sockets;
		sockets.counters = cases[i].counters;
		sockets.close = cases[i].close;
		begin(cases[i].mode, &c);
		go(&c);
		CHECK_MSG(t.tier == cases[i].tier, "%s: %s", cases[i].name, tiers_name(&t));
		CHECK_STR(tiers_name(&t), names[cases[i].tier]);
		CHECK_MSG(t.narrowed == cases[i].narrowed, "%s", cases[i].name);
		CHECK_MSG((rings.n == 2) == cases[i].narrowed, "%s", cases[i].name);
		/* one list at the start, of connections from before where they can be counted */
		CHECK_MSG(sockets.dumps == (t.tier != TIER_PACKET && cases[i].sockets),
			  "%s: %u lists", cases[i].name, sockets.dumps);
		CHECK_MSG(sockets.firsts == cases[i].narrowed, "%s", cases[i].name);
		CHECK_MSG(sockets.dumps_only == (probes.opens && cases[i].connect), "%s",
			  cases[i].name);
		finish();
	}
}

static void test_facts(void)
{
	static struct tiers_fact facts[TIERS_FACTS_MOST];
	struct tiers_config c;
	size_t i, n, closes = 0;

	all_work();
	begin(CONF_MODE_AUTO, &c);
	go(&c);
	n = tiers_facts(&t, facts);
	CHECK_INT(n, 4); /* close and connect of the probes, counters of the sockets, the filter */
	for (i = 0; i < n; i++)
		closes +=
		    !strcmp(facts[i].fact.name, "close") && !strcmp(facts[i].source, "socket");
	CHECK_INT(closes, 0); /* the probes tell: no word of what the other source does not */
	CHECK_STR(facts[n - 1].source, "ring");
	CHECK_STR(facts[n - 1].fact.provider, "classic, narrowed");
	finish();
	all_work();
	probes.open = false;
	begin(CONF_MODE_AUTO, &c);
	go(&c);
	n = tiers_facts(&t, facts);
	CHECK_STR(facts[0].source, "probe");
	CHECK(!facts[0].fact.provider);
	CHECK_STR(facts[0].fact.why, "it shall not");
	finish();
	all_work();
	begin(CONF_MODE_PACKET, &c);
	go(&c);
	CHECK_INT(tiers_facts(&t, facts), 0);
	finish();
}

static void test_settings(void)
{
	struct tiers_config c;

	all_work();
	begin(CONF_MODE_AUTO, &c);
	c.narrow = CONF_NARROW_NEVER;
	go(&c);
	CHECK_INT(t.tier, TIER_PROBE);
	CHECK_INT(rings.calls, 0);
	CHECK_INT(sockets.dumps, 1);
	finish();
	all_work();
	begin(CONF_MODE_AUTO, &c);
	c.all_interfaces = false; /* then a connection may be one of another interface */
	go(&c);
	CHECK(t.narrowed);
	CHECK_INT(sockets.firsts, 0);
	finish();
	all_work();
	begin(CONF_MODE_AUTO, &c);
	rings.result = -ENOSPC;
	go(&c);
	CHECK(!t.narrowed);
	CHECK_INT(rings.drains, 1);
	tiers_tick(&t, monotonic_ns());
	CHECK_INT(rings.n, 0);
	rings.result = 0; /* fewer addresses now */
	tiers_addresses(&t, own, 1);
	CHECK(t.narrowed);
	CHECK_INT(rings.n, 1);
	finish();
}

static void test_forwarding(void)
{
	struct tiers_config c;

	all_work();
	set_forwarding(1);
	begin(CONF_MODE_AUTO, &c);
	go(&c);
	CHECK(!t.narrowed);
	CHECK_INT(sockets.dumps, 1);
	set_forwarding(0);
	tiers_tick(&t, monotonic_ns());
	CHECK(t.narrowed);
	CHECK_INT(rings.n, 2);
	CHECK_INT(sockets.firsts, 1);
	set_forwarding(1);
	tiers_tick(&t, monotonic_ns());
	CHECK(!t.narrowed);
	CHECK_INT(rings.n, 0);
	CHECK_INT(rings.drains, 1);
	finish();
	all_work();
	begin(CONF_MODE_AUTO, &c);
	c.narrow = CONF_NARROW_ALWAYS;
	go(&c);
	CHECK(t.narrowed);
	finish();
	set_forwarding(0);
}

/* Rings that take the eBPF filter, or refuse it. */
static struct {
	bool refuse, tunnel;
	int fd;
	size_t n;
} taken;

static int take_filter(void *ctx, const struct ip_net *nets, size_t n, int bpf_fd)
{
	(void)ctx;
	(void)nets;
	taken.fd = taken.refuse ? -1 : bpf_fd;
	taken.n = n;
	return 0;
}

static void have_filter(void *ctx, bool *narrowed, bool *ebpf)
{
	(void)ctx;
	*narrowed = taken.n > 0;
	*ebpf = taken.fd >= 0;
}

static bool all_ethernet(void *ctx)
{
	(void)ctx;
	return !taken.tunnel;
}

static void begin_udp(enum conf_capture_mode mode, struct tiers_config *c,
		      const struct ring_bpf_config *ring)
{
	all_work();
	begin(mode, c);
	memset(&taken, 0, sizeof(taken));
	taken.fd = -1;
	c->ring = ring;
	c->rings.narrow = take_filter;
	c->rings.have = have_filter;
	c->rings.ethernet = all_ethernet;
}

/* The filter that counts UDP is there in each tier that has it, from the start; where the kernel
 * refuses it, its reason is told. */
static void test_udp(void)
{
	static const uint16_t port = 53;
	static const struct ring_bpf_config ring = {.dns_ports = &port, .ndns_ports = 1};
	static const struct {
		const char *name, *filter;
		enum conf_capture_mode mode;
		enum conf_count_udp count_udp;
		bool no_ring, wanted; /* no_ring: rules of capture.exclude */
	} cases[] = {
	    {"auto", "eBPF, narrowed", CONF_MODE_AUTO, CONF_COUNT_UDP_AUTO, false, true},
	    {"socket", "eBPF, narrowed", CONF_MODE_SOCKET, CONF_COUNT_UDP_AUTO, false, true},
	    {"probe", "eBPF, narrowed", CONF_MODE_PROBE, CONF_COUNT_UDP_AUTO, false, true},
	    {"packet", "classic", CONF_MODE_PACKET, CONF_COUNT_UDP_AUTO, false, false},
	    {"never", "classic, narrowed", CONF_MODE_AUTO, CONF_COUNT_UDP_NEVER, false, false},
	    {"rules", "classic, narrowed", CONF_MODE_SOCKET, CONF_COUNT_UDP_AUTO, true, false}};
	struct tiers_config c;
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		begin_udp(cases[i].mode, &c, cases[i].no_ring ? NULL : &ring);
		c.count_udp = cases[i].count_udp;
		go(&c);
		CHECK_MSG(cases[i].wanted == (t.ring_bpf || t.ring_why[0]), "%s", cases[i].name);
		CHECK_MSG(!t.ring_bpf == (taken.fd < 0), "%s", cases[i].name);
		CHECK(!(t.ring_bpf && t.ring_why[0]));
		CHECK_STR(tiers_filter_name(&t),
			  t.ring_bpf || !cases[i].wanted ? cases[i].filter : "classic, narrowed");
		finish();
	}
}

/* A tunnel comes and goes; a ring refuses it: the classic filter is there meanwhile, or for good.
 */
static void test_udp_without(void)
{
	static const struct ring_bpf_config ring = {.ndns_ports = 0};
	struct tiers_config c;

	begin_udp(CONF_MODE_SOCKET, &c, &ring);
	taken.tunnel = true;
	go(&c);
	if (!t.ring_bpf) {
		finish();
		TEST_SKIP("the kernel takes no eBPF filter here");
		return;
	}
	CHECK_INT(taken.fd, -1);
	CHECK_STR(tiers_filter_name(&t), "classic, narrowed");
	taken.tunnel = false;
	tiers_tick(&t, monotonic_ns());
	CHECK_INT(taken.fd, ring_bpf_fd(t.ring_bpf));
	taken.tunnel = true;
	tiers_tick(&t, monotonic_ns());
	CHECK_INT(taken.fd, -1);
	CHECK(t.narrowed);
	taken.tunnel = false;
	taken.refuse = true;
	tiers_tick(&t, monotonic_ns());
	CHECK(!t.ring_bpf);
	CHECK_STR(t.ring_why, "a packet ring refused it");
	CHECK_STR(tiers_filter_name(&t), "classic, narrowed");
	finish();
}

/* The old addresses stay known to the engine until frames of the old filter have been read. */
static void test_addresses(void)
{
	struct tiers_config c;
	unsigned int calls;

	all_work();
	begin(CONF_MODE_AUTO, &c);
	go(&c);
	calls = rings.calls;
	tiers_addresses(&t, own, 2);
	CHECK_INT(rings.calls, calls); /* the same ones */
	tiers_addresses(&t, own, 1);
	CHECK_INT(rings.calls, calls + 1);
	CHECK_INT(rings.n, 1);
	CHECK(t.settle_ns > monotonic_ns());
	CHECK(tiers_due_ns(&t) <= t.settle_ns);
	tiers_work(&t, t.settle_ns);
	CHECK_INT(t.settle_ns, 0);
	rings.result = -ENOSPC;
	tiers_addresses(&t, own, 2);
	CHECK(!t.narrowed);
	CHECK_INT(rings.drains, 1);
	finish();
	all_work(); /* a ring that came has widened all */
	begin(CONF_MODE_AUTO, &c);
	go(&c);
	tiers_rings_changed(&t);
	CHECK(t.narrowed);
	rings.n = 0;
	tiers_rings_changed(&t);
	CHECK(!t.narrowed);
	CHECK_INT(rings.drains, 1);
	finish();
}

static void make_sample(struct kernel_sample *s)
{
	struct ip_addr a, b;
	static const uint8_t addr[2][4] = {{10, 0, 0, 7}, {10, 0, 0, 8}};

	memset(s, 0, sizeof(*s));
	addr_from_v4(&a, addr[0]);
	addr_from_v4(&b, addr[1]);
	s->end = (uint8_t)flow_key_make(&s->key, &a, &b, 40000, 80, PROTO_TCP);
	s->has = KERNEL_SENT | KERNEL_RECEIVED;
	s->time_ns = 1790000000 * (1000 * MS);
	s->sent = 1000;
}

static void test_delay(void)
{
	struct tiers_config c;
	struct kernel_sample s;
	struct kernel_totals k;
	uint64_t now_ns;

	all_work();
	begin(CONF_MODE_SOCKET, &c);
	go(&c);
	make_sample(&s);
	now_ns = monotonic_ns();
	sockets.sink.sample(sockets.sink.ctx, &s, NULL);
	tiers_work(&t, now_ns + 100 * MS);
	tiers_stats(&t, &k);
	CHECK_INT(k.unmatched, 0);
	CHECK(tiers_due_ns(&t) <= monotonic_ns() + KERNEL_DELAY_MS * MS);
	tiers_work(&t, monotonic_ns() + KERNEL_DELAY_MS * MS);
	tiers_stats(&t, &k);
	CHECK_INT(k.unmatched, 1);
	CHECK(k.on && !k.ebpf);
	/* the end takes what waits, and one more list */
	sockets.sink.sample(sockets.sink.ctx, &s, NULL);
	tiers_finish(&t);
	tiers_stats(&t, &k);
	CHECK_INT(k.unmatched, 2);
	CHECK_INT(sockets.dumps, 2);
	finish();
}

static uint64_t realtime_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000 * MS + (uint64_t)now.tv_nsec;
}

/* A list is planned 300 ms before a cycle's end, by the wall clock, and not twice in a second. */
static void test_plan(void)
{
	struct tiers_config c;
	uint64_t now_ns, wall_ns, at_ns, rest_ns;
	unsigned int i, dumps;

	all_work();
	begin(CONF_MODE_SOCKET, &c);
	c.interval_ns = 10000 * MS;
	go(&c);
	now_ns = monotonic_ns();
	wall_ns = realtime_ns();
	at_ns = wall_ns + (t.dump_ns - now_ns);
	rest_ns = c.interval_ns - at_ns % c.interval_ns;
	CHECK_MSG(rest_ns > 250 * MS && rest_ns < 350 * MS, "%llu", (unsigned long long)rest_ns);
	CHECK(t.dump_ns >= t.dumped_ns + 900 * MS);
	CHECK_INT(sockets.dumps, 1);
	tiers_work(&t, t.dump_ns);
	CHECK_INT(sockets.dumps, 2);
	finish();
	all_work();
	begin(CONF_MODE_SOCKET, &c);
	c.interval_ns = 200 * MS; /* shorter than a list may be */
	go(&c);
	dumps = sockets.dumps;
	now_ns = monotonic_ns();
	for (i = 0; i < 20; i++)
		tiers_work(&t, now_ns + i * 100 * MS);
	CHECK_MSG(sockets.dumps - dumps <= 3 && sockets.dumps > dumps, "%u", sockets.dumps - dumps);
	/* one that costs 0.3 s of CPU: not before 6 s have passed */
	sockets.stats.dump_cpu_ns = 300 * MS;
	tiers_tick(&t, now_ns);
	CHECK(t.dump_ns >= t.dumped_ns + 6000 * MS);
	finish();
}

static void test_lost(void)
{
	struct tiers_config c;
	struct kernel_totals k;

	all_work();
	begin(CONF_MODE_SOCKET, &c);
	go(&c);
	CHECK_INT(sockets.dumps, 1);
	sockets.stats.lost = 5;
	tiers_tick(&t, t.dumped_ns + 100 * MS);
	CHECK_INT(sockets.dumps, 1); /* soon, but not at once */
	tiers_tick(&t, t.dumped_ns + 1000 * MS);
	CHECK_INT(sockets.dumps, 2);
	tiers_tick(&t, t.dumped_ns + 1000 * MS);
	CHECK_INT(sockets.dumps, 2);
	tiers_stats(&t, &k);
	CHECK_INT(k.lost, 5);
	finish();
}

static void test_failing(void)
{
	struct tiers_config c;
	struct kernel_totals k;
	unsigned int i;

	all_work(); /* the probes alone tell of ends */
	begin(CONF_MODE_AUTO, &c);
	go(&c);
	CHECK(t.narrowed);
	probes.stats.events = 7;
	probes.poll = -EIO;
	tiers_tick(&t, monotonic_ns());
	CHECK_INT(t.tier, TIER_PACKET);
	CHECK(!t.narrowed);
	CHECK_INT(rings.drains, 1);
	CHECK_INT(probes.closes, 1);
	CHECK_INT(sockets.closes, 1);
	tiers_stats(&t, &k);
	CHECK_INT(k.events, 7);
	tiers_tick(&t, monotonic_ns() + 2000 * MS);
	CHECK_INT(rings.n, 0);
	finish();
	all_work(); /* lists that fail again and again */
	begin(CONF_MODE_SOCKET, &c);
	go(&c);
	CHECK(t.narrowed);
	sockets.dump = -EIO;
	for (i = 0; i < 3 && t.dump_ns; i++) {
		CHECK(t.narrowed);
		tiers_work(&t, t.dump_ns);
	}
	CHECK(!t.narrowed);
	CHECK_INT(t.tier, TIER_PACKET);
	CHECK_STR(t.sockets.why, "no list");
	finish();
}

/* The probe's answer is taken, and nobody is asked. */
static void test_process(void)
{
	static struct attribution who;
	static const struct conf conf = {.processes = {true, 100, true}};
	struct kernel_process p;
	struct kernel_sample s;
	struct owners_stats stats;
	struct tiers_config c;
	const struct owner *o;
	struct engine_begin b = {NULL, 0, 0, false};
	uint32_t owner[2] = {0, 0};
	char comm[64] = "";
	FILE *f = fopen("/proc/self/comm", "re");

	CHECK(f && fgets(comm, sizeof(comm), f));
	if (f)
		fclose(f);
	all_work();
	begin(CONF_MODE_AUTO, &c);
	CHECK_INT(attribution_open(&who, &conf, engine), 0);
	c.who = &who;
	go(&c);
	CHECK(who.told && who.dumped);
	CHECK_INT(who.syn_fd, -1);
	make_sample(&s);
	memset(&p, 0, sizeof(p));
	p.pid = (uint32_t)getpid();
	snprintf(p.comm, sizeof(p.comm), "a thread");
	probes.sink.sample(probes.sink.ctx, &s, &p);
	o = owners_get(who.owners, attribution_told(&who, &s.key, s.end, s.time_ns, &p));
	if (CHECK(o)) {
		CHECK_INT(o->pid, getpid());
		CHECK(!memcmp(o->process_name.s, comm, o->process_name.len)); /* not the thread's */
	}
	b.key = &s.key;
	b.ends = 1U << s.end;
	attribution_new_flow(&who, &b, owner);
	owners_stats(who.owners, &stats);
	CHECK_INT(stats.queued, 0);
	CHECK(owner[s.end] && owners_get(who.owners, owner[s.end]) == o);
	CHECK_INT(owner[!s.end], 0);
	b.ends = 1U << !s.end;
	attribution_new_flow(&who, &b, owner);
	owners_stats(who.owners, &stats);
	CHECK_INT(stats.queued, 1);
	probes.poll = -EIO;
	tiers_tick(&t, monotonic_ns());
	CHECK(!who.told && !who.dumped);
	attribution_close(&who);
	finish();
}

static bool begins(const struct kernel_sample *like, uint16_t port)
{
	static const uint8_t localhost[4] = {127, 0, 0, 1};
	uint64_t excluded = engine_stats(engine)->packets_excluded;
	struct kernel_datagrams d;
	struct ip_addr a;

	memset(&d, 0, sizeof(d));
	addr_from_v4(&a, localhost);
	d.end = (uint8_t)flow_key_make(&d.key, &a, &a, 40000, port, PROTO_UDP);
	d.packets = 1;
	d.first_ns = d.last_ns = like->time_ns;
	engine_kernel_datagrams(engine, &d);
	return engine_stats(engine)->packets_excluded == excluded;
}

/* A source whose proof failed when the host was overwhelmed is opened later. */
static void test_again(void)
{
	uint64_t now_ns = monotonic_ns();
	struct tiers_config c;

	all_work();
	probes.open = sockets.close = false;
	begin(CONF_MODE_AUTO, &c);
	go(&c);
	CHECK_INT(t.tier, TIER_PACKET);
	CHECK_INT(sockets.closes, 1);
	sockets.close = true;
	tiers_tick(&t, now_ns + 50000 * MS);
	CHECK_INT(t.tier, TIER_PACKET);
	tiers_tick(&t, now_ns + 61000 * MS);
	CHECK_INT(t.tier, TIER_SOCKET);
	CHECK(t.narrowed && !sockets.dumps_only);
	CHECK_INT(sockets.firsts, 1);
	tiers_tick(&t, now_ns + 50000 * MS);
	CHECK_INT(sockets.opens, 2);
	probes.open = true;
	tiers_tick(&t, monotonic_ns() + 61000 * MS);
	CHECK_INT(t.tier, TIER_PROBE);
	CHECK_INT(probes.opens, 1);
	CHECK(t.narrowed);
	finish();
	all_work(); /* packet is packet */
	begin(CONF_MODE_PACKET, &c);
	go(&c);
	tiers_tick(&t, monotonic_ns() + 61000 * MS);
	CHECK_INT(probes.tried + sockets.tried, 0);
	finish();
}

/* What the rings see of a proof is left out, for a while. */
static void test_own(void)
{
	struct kernel_sample s;
	struct tiers_config c;
	struct timespec now;

	all_work();
	probes.open = false;
	probes.own = 40111;
	begin(CONF_MODE_AUTO, &c);
	go(&c);
	clock_gettime(CLOCK_REALTIME, &now);
	make_sample(&s);
	s.time_ns = (uint64_t)now.tv_sec * 1000 * MS;
	CHECK(!begins(&s, 40111)); /* it has failed, but there were connections */
	CHECK(begins(&s, 40222));
	CHECK(begins(&s, 40333));
	probes.own = 40333;
	tiers_tick(&t, monotonic_ns() + 61000 * MS);
	CHECK(begins(&s, 40333)); /* is known from before */
	probes.own = 40444;
	tiers_tick(&t, monotonic_ns() + 61000 * MS);
	s.time_ns += 8000 * MS;
	CHECK(!begins(&s, 40444));
	s.time_ns += 8000 * MS;
	CHECK(begins(&s, 40555));
	engine_exclude_own(engine, 40666, s.time_ns);
	CHECK(begins(&s, 40666)); /* too late */
	finish();
}

static void test_given_up(void)
{
	struct tiers_config c;
	int i;

	all_work();
	probes.open = sockets.open = false;
	begin(CONF_MODE_AUTO, &c);
	go(&c);
	for (i = 0; i < 10; i++)
		tiers_tick(&t, monotonic_ns() + 61000 * MS);
	CHECK_INT(probes.tried, 1 + 5);
	CHECK_INT(sockets.tried, 1 + 5);
	probes.open = true;
	tiers_tick(&t, monotonic_ns() + 61000 * MS);
	CHECK_INT(t.tier, TIER_PACKET);
	finish();
}

static void test_died(void)
{
	struct tiers_config c;

	all_work();
	begin(CONF_MODE_AUTO, &c);
	go(&c);
	probes.poll = -EIO;
	tiers_before_frames(&t); /* this is no place for consequences */
	CHECK_INT(t.tier, TIER_PROBE);
	tiers_tick(&t, monotonic_ns());
	CHECK(!t.probes.s);
	probes.poll = 0;
	tiers_tick(&t, monotonic_ns() + 61000 * MS);
	CHECK_INT(t.tier, TIER_PROBE);
	CHECK(t.narrowed);
	finish();
}

/* Messages of closed sockets are taken together; what has come in a rest is read at its end. */
static void test_rests(void)
{
	struct pollfd fds[TIERS_FDS];
	struct tiers_config c;
	unsigned int polls;
	uint64_t until_ns;

	all_work();
	begin(CONF_MODE_SOCKET, &c);
	sockets.fd1 = 7 + 1;
	sockets.rest = 8;
	go(&c);
	tiers_gather(&t, fds);
	CHECK_INT(fds[1].fd, 7);
	fds[1].revents = POLLIN;
	tiers_read(&t, fds);
	polls = sockets.polls;
	tiers_gather(&t, fds);
	CHECK_INT(fds[1].fd, -1);
	until_ns = t.sockets.pace.until_ns;
	CHECK(until_ns && until_ns <= monotonic_ns() + MS); /* the first one: a short rest */
	CHECK(tiers_due_ns(&t) <= until_ns);
	tiers_work(&t, until_ns - 1);
	CHECK_INT(sockets.polls, polls);
	tiers_work(&t, until_ns);
	CHECK_INT(sockets.polls, polls + 1);
	CHECK(t.sockets.pace.until_ns > until_ns); /* there was more */
	sockets.rest = 0;
	tiers_work(&t, t.sockets.pace.until_ns);
	tiers_gather(&t, fds);
	CHECK_INT(fds[1].fd, 7);
	CHECK_INT(t.sockets.pace.until_ns, 0);
	sockets.rest = 8; /* one that is given up rests no more */
	tiers_read(&t, fds);
	sockets.poll = -EIO;
	tiers_tick(&t, monotonic_ns());
	CHECK_INT(t.sockets.pace.until_ns, 0);
	finish();
}

TEST_MAIN({"a /proc of one's own", test_made}, {"the choice", test_choice}, {"facts", test_facts},
	  {"settings", test_settings}, {"forwarding", test_forwarding},
	  {"UDP in the kernel", test_udp}, {"UDP without it", test_udp_without},
	  {"addresses", test_addresses}, {"samples wait", test_delay},
	  {"lists before a cycle's end", test_plan}, {"lost events", test_lost},
	  {"sources that fail", test_failing}, {"processes", test_process},
	  {"tried again", test_again}, {"a proof is left out", test_own},
	  {"tried again a few times", test_given_up},
	  {"tried again after it failed in use", test_died}, {"rests", test_rests},
	  {"and away with it", test_removed})
