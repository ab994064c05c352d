/* tiers.c - see tiers.h: the sources, the choice between them, and what is due when. The rings'
 * side is in tiers_narrow.c.
 */
#include "collector/tiers.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "collector/pipeline.h"
#include "collector/tiers_internal.h"
#include "common/log.h"

enum {
	/* Before a cycle's end: so that a list's figures are counted in it, KERNEL_DELAY_MS later.
	 */
	DUMP_AHEAD_MS = 300,
	DUMP_APART_MS = 900, /* at least, between two lists: "once a second" less the jitter */
	DUMP_APART_CPU = 20, /* ... and so many times what the last one cost: 5 % of a CPU */
	DUMP_FAILURES = 3,   /* one after the other: it is not going to work any more */
	LISTENERS_APART_MS = 1000,
	POLLS_MOST = 1000, /* of one source at the end of the run */
	RETRY_MS = 60000,  /* a source that failed is opened again */
	RETRIES_MOST = 5,
	OWN_MS = 10000, /* so long the last frames of a proof take at most */
};

/* --- samples ---------------------------------------------------------------------------------- */

/* Names are looked up at once, while the process is there; the figures wait in the queue. */
static void on_sample(void *ctx, const struct kernel_sample *s, const struct kernel_process *who)
{
	struct tiers *t = ctx;
	struct kernel_sample x = *s;

	if (who && who->pid && t->c.who) {
		x.owner = attribution_told(t->c.who, &s->key, s->end, s->time_ns, who);
		if (x.owner != OWNER_NONE)
			x.has |= KERNEL_OWNER;
	}
	if ((x.has & KERNEL_CLOSED) && t->c.who)
		attribution_closed(t->c.who, &s->key, s->end);
	if (x.has)
		kernel_queue_add(t->queue, &x, monotonic_ns());
}

static void on_due(void *ctx, const struct kernel_sample *s)
{
	struct tiers *t = ctx;

	/* UDP: the process is all that is told this way (flows/kernel.h has datagrams apart) */
	if (flow_key_proto(&s->key) == PROTO_UDP) {
		if ((s->has & KERNEL_OWNER) &&
		    engine_set_owner(t->c.engine, &s->key, s->end, s->owner))
			attribution_check(t->c.who, &s->key, s->owner);
		return;
	}
	if (engine_kernel_sample(t->c.engine, s) && (s->has & KERNEL_OWNER) && t->c.who)
		attribution_check(t->c.who, &s->key, s->owner);
}

static void on_listeners(void *ctx)
{
	struct tiers *t = ctx;

	if (!t->listeners_ns)
		t->listeners_ns = monotonic_ns() + LISTENERS_APART_MS * NS_PER_MS;
}

static uint64_t realtime_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

/* A proof's. Its frames are read after it, as this is the engine's thread. */
static void on_own(void *ctx, uint16_t port)
{
	struct tiers *t = ctx;

	engine_exclude_own(t->c.engine, port, realtime_ns() + OWN_MS * NS_PER_MS);
}

/* --- the choice ------------------------------------------------------------------------------- */

/* Is there a provider for it? */
static bool knows(const struct tiers_source *x, const char *name)
{
	struct kernel_fact facts[KERNEL_FACTS_MOST];
	size_t i, n = x->s ? x->ops->facts(x->s, facts) : 0;

	for (i = 0; i < n; i++)
		if (!strcmp(facts[i].name, name))
			return facts[i].provider != NULL;
	return false;
}

static void tell_facts(const struct tiers_source *x)
{
	struct kernel_fact facts[KERNEL_FACTS_MOST];
	size_t i, n = x->ops->facts(x->s, facts);

	for (i = 0; i < n; i++)
		log_debug("%s tier: %s by %s%s%s", x->ops->name, facts[i].name,
			  facts[i].provider ? facts[i].provider : "nothing",
			  facts[i].why[0] ? "; " : "", facts[i].why);
}

static void open_source(struct tiers *t, struct tiers_source *x, bool dumps_only)
{
	struct kernel_sink sink = {on_sample, on_listeners, t};
	struct kernel_source_config c;

	if (!x->ops)
		return;
	memset(&c, 0, sizeof(c));
	c.btf_path = t->c.btf_path ? t->c.btf_path : "";
	c.verbose = t->c.verbose;
	c.dumps_only = dumps_only;
	c.own = on_own;
	c.own_ctx = t;
	if (x->ops->open(&x->s, &c, &sink, x->why)) {
		x->s = NULL;
		if (!x->why[0])
			snprintf(x->why, sizeof(x->why), "it was refused");
		return;
	}
	x->why[0] = '\0';
	tell_facts(x);
}

static void close_source(struct tiers_source *x)
{
	struct kernel_source_stats one;

	if (!x->s)
		return;
	x->ops->stats(x->s, &one);
	x->closed.events += one.events;
	x->closed.lost += one.lost;
	x->closed.map_full += one.map_full;
	x->closed.retransmits += one.retransmits;
	x->closed.synack_retransmits += one.synack_retransmits;
	x->closed.resets_sent += one.resets_sent;
	x->closed.resets_received += one.resets_received;
	x->ops->close(x->s);
	x->s = NULL;
	memset(&x->pace, 0, sizeof(x->pace));
}

static bool probes_close(const struct tiers *t)
{
	return knows(&t->probes, "close");
}

bool tiers_can_narrow(const struct tiers *t)
{
	return knows(&t->sockets, "counters") && (knows(&t->sockets, "close") || probes_close(t));
}

/* What is open makes the tier; what is of no use alone is closed. */
static void settle_tier(struct tiers *t)
{
	t->tier = t->probes.s ? TIER_PROBE : tiers_can_narrow(t) ? TIER_SOCKET : TIER_PACKET;
	if (t->tier == TIER_PACKET && t->sockets.s) {
		struct kernel_fact facts[KERNEL_FACTS_MOST];
		size_t i, n = t->sockets.ops->facts(t->sockets.s, facts);

		for (i = 0; i < n; i++)
			if (!facts[i].provider && facts[i].why[0] && !t->sockets.why[0])
				memcpy(t->sockets.why, facts[i].why, sizeof(t->sockets.why));
		close_source(&t->sockets);
	}
	if (t->c.who) {
		attribution_probes(t->c.who, t->probes.s != NULL, knows(&t->probes, "connect"),
				   knows(&t->probes, "accept"));
		t->c.who->dumped = knows(&t->sockets, "counters");
	}
	engine_set_connect_errors(t->c.engine, knows(&t->probes, "connect"));
}

static const char *const names[] = {"packet", "socket", "probe"};

const char *tiers_name(const struct tiers *t)
{
	return names[t->tier];
}

static void say_tier(const struct tiers *t)
{
	if (t->tier == TIER_PACKET)
		log_info("packet tier: all traffic is counted from packets");
	else if (t->tier == TIER_SOCKET)
		log_info("socket tier: TCP's figures come from the kernel's sockets (sock_diag)");
	else
		log_info("probe tier: TCP's figures, processes and errors come from the kernel "
			 "(eBPF%s)",
			 t->sockets.s ? ", sock_diag" : "");
}

/* An explicit mode that cannot be had is worth a warning. */
static void say_choice(const struct tiers *t)
{
	enum conf_capture_mode mode = t->c.mode;
	const char *why = t->probes.why;

	if (mode == CONF_MODE_PROBE && t->tier != TIER_PROBE)
		log_warn("capture.mode probe cannot be had: %s; %s is used", why, tiers_name(t));
	if (mode == CONF_MODE_AUTO && t->tier != TIER_PROBE && why[0])
		log_debug("the probe tier cannot be had: %s", why);
	why = t->sockets.why;
	if (mode == CONF_MODE_SOCKET && t->tier != TIER_SOCKET)
		log_warn("capture.mode socket cannot be had: %s; packet is used",
			 why[0] ? why : "no source of figures");
	else if (mode != CONF_MODE_PACKET && why[0])
		log_debug("the socket tier cannot be had: %s", why);
	say_tier(t);
}

static bool wants_probes(const struct tiers *t)
{
	return t->c.mode == CONF_MODE_AUTO || t->c.mode == CONF_MODE_PROBE;
}

static void plan_retry(struct tiers_source *x, bool wanted)
{
	x->retry_ns = 0;
	if (wanted && x->ops && !x->s && x->retries < RETRIES_MOST)
		x->retry_ns = monotonic_ns() + RETRY_MS * NS_PER_MS;
}

static void plan_retries(struct tiers *t)
{
	plan_retry(&t->probes, wants_probes(t));
	plan_retry(&t->sockets, t->c.mode != CONF_MODE_PACKET);
}

void tiers_open(struct tiers *t, const struct tiers_config *c)
{
	memset(t, 0, sizeof(*t));
	t->c = *c;
	t->interval_ns = c->interval_ns;
	t->sockets.ops = c->sockets;
	t->probes.ops = c->probes;
	if (c->mode != CONF_MODE_PACKET &&
	    kernel_queue_new(&t->queue, KERNEL_QUEUE_MOST, on_due, t)) {
		log_warn("memory for the kernel's figures was refused: packets are counted");
		t->c.mode = CONF_MODE_PACKET;
	}
	if (wants_probes(t))
		open_source(t, &t->probes, false);
	if (t->c.mode != CONF_MODE_PACKET)
		open_source(t, &t->sockets, probes_close(t));
	settle_tier(t);
	plan_retries(t);
	say_choice(t);
}

/* --- losing a source -------------------------------------------------------------------------- */

static void source_died(struct tiers *t, struct tiers_source *x, const char why[KERNEL_WHY_SIZE])
{
	enum tier before = t->tier;

	memcpy(x->why, why, sizeof(x->why));
	close_source(x);
	if (t->narrowed && !tiers_can_narrow(t))
		tiers_widen(t);
	settle_tier(t);
	plan_retries(t);
	if (t->tier == TIER_PACKET)
		kernel_queue_flush(t->queue);
	tiers_rings_follow(t);
	log_warn("the kernel's own figures (%s) fail: %s; %s tier from now on", x->ops->name,
		 why[0] ? why : "no reason was given", tiers_name(t));
	if (before != t->tier && t->tier == TIER_PACKET)
		t->dump_ns = 0;
}

static void read_source(struct tiers *t, struct tiers_source *x)
{
	char why[KERNEL_WHY_SIZE] = "";
	unsigned int rest_ms;

	if (!x->s)
		return;
	if (x->ops->poll(x->s, why)) {
		source_died(t, x, why);
		return;
	}
	rest_ms = x->ops->rest_ms ? x->ops->rest_ms(x->s) : 0;
	if (rest_ms)
		pace_read(&x->pace, monotonic_ns(), rest_ms);
}

/* An error is told again at the next reading: what it leads to reads the rings, which are being
 * read here. */
void tiers_before_frames(struct tiers *t)
{
	char why[KERNEL_WHY_SIZE] = "";

	if (t->probes.s && t->probes.ops->poll(t->probes.s, why))
		log_debug("%s tier: %s", t->probes.ops->name, why);
}

void tiers_gather(const struct tiers *t, struct pollfd fds[TIERS_FDS])
{
	const struct tiers_source *all[TIERS_FDS] = {&t->probes, &t->sockets};
	size_t i;

	for (i = 0; i < TIERS_FDS; i++) {
		fds[i].fd = all[i]->s && !all[i]->pace.until_ns ? all[i]->ops->fd(all[i]->s) : -1;
		fds[i].events = POLLIN;
		fds[i].revents = 0;
	}
}

void tiers_read(struct tiers *t, const struct pollfd fds[TIERS_FDS])
{
	if (fds[0].revents)
		read_source(t, &t->probes);
	if (fds[1].revents)
		read_source(t, &t->sockets);
}

/* --- lists ------------------------------------------------------------------------------------ */

uint64_t tiers_until_end_ns(const struct tiers *t)
{
	return t->interval_ns - realtime_ns() % t->interval_ns;
}

/* When the next list is to be taken: before the end of this cycle or, where that is too soon, of
 * another. */
static void plan_dump(struct tiers *t, uint64_t now_ns)
{
	uint64_t apart_ns = DUMP_APART_MS * NS_PER_MS, at_ns;
	struct kernel_source_stats s;

	t->dump_ns = 0;
	if (!t->sockets.s && !(t->probes.s && t->probes.ops->dump))
		return;
	if (t->sockets.s) {
		t->sockets.ops->stats(t->sockets.s, &s);
		if (s.dump_cpu_ns * DUMP_APART_CPU > apart_ns)
			apart_ns = s.dump_cpu_ns * DUMP_APART_CPU;
	}
	at_ns = now_ns + tiers_until_end_ns(t) - DUMP_AHEAD_MS * NS_PER_MS;
	while (at_ns <= now_ns || at_ns < t->dumped_ns + apart_ns)
		at_ns += t->interval_ns;
	t->dump_ns = at_ns;
}

static void dump_of(struct tiers *t, struct tiers_source *x, bool first)
{
	char why[KERNEL_WHY_SIZE] = "";

	if (!x->s || !x->ops->dump)
		return;
	if (!x->ops->dump(x->s, first, why)) {
		x->failures = 0;
		return;
	}
	log_debug("%s tier: a list of all sockets failed: %s", x->ops->name, why);
	if (++x->failures >= DUMP_FAILURES)
		source_died(t, x, why);
}

static uint64_t lost_events(const struct tiers *t)
{
	struct kernel_source_stats one;
	uint64_t sum = 0;

	if (t->probes.s) {
		t->probes.ops->stats(t->probes.s, &one);
		sum += one.lost;
	}
	if (t->sockets.s) {
		t->sockets.ops->stats(t->sockets.s, &one);
		sum += one.lost;
	}
	return sum;
}

void tiers_dump(struct tiers *t, bool first, uint64_t now_ns)
{
	/* before: what is lost while it is taken wants another one */
	t->lost = lost_events(t);
	dump_of(t, &t->sockets, first);
	dump_of(t, &t->probes, first);
	t->dumps++;
	t->dumped_ns = now_ns;
	plan_dump(t, now_ns);
}

/* --- what is due ------------------------------------------------------------------------------ */

static uint64_t sooner(uint64_t a, uint64_t b)
{
	return b && b < a ? b : a;
}

uint64_t tiers_due_ns(const struct tiers *t)
{
	uint64_t due_ns = UINT64_MAX;

	if (t->queue)
		due_ns = sooner(due_ns, kernel_queue_due_ns(t->queue));
	due_ns = sooner(due_ns, t->dump_ns);
	due_ns = sooner(due_ns, t->settle_ns);
	due_ns = sooner(due_ns, t->listeners_ns);
	due_ns = sooner(due_ns, t->probes.pace.until_ns);
	due_ns = sooner(due_ns, t->sockets.pace.until_ns);
	return sooner(due_ns, t->datagrams_ns);
}

static bool is_due(uint64_t at_ns, uint64_t now_ns)
{
	return at_ns && now_ns >= at_ns;
}

void tiers_work(struct tiers *t, uint64_t now_ns)
{
	if (pace_is_over(&t->probes.pace, now_ns))
		read_source(t, &t->probes);
	if (pace_is_over(&t->sockets.pace, now_ns))
		read_source(t, &t->sockets);
	if (t->queue)
		kernel_queue_work(t->queue, now_ns);
	if (is_due(t->settle_ns, now_ns))
		tiers_settle(t);
	if (is_due(t->dump_ns, now_ns))
		tiers_dump(t, false, now_ns);
	if (is_due(t->datagrams_ns, now_ns))
		tiers_datagrams(t, now_ns);
	if (is_due(t->listeners_ns, now_ns)) {
		t->listeners_ns = 0;
		if (t->c.who)
			attribution_listeners(t->c.who);
	}
}

static bool reopen(struct tiers *t, struct tiers_source *x, bool dumps_only, uint64_t now_ns)
{
	if (!is_due(x->retry_ns, now_ns))
		return false;
	x->retries++;
	x->failures = 0;
	open_source(t, x, dumps_only);
	if (!x->s)
		log_debug("%s tier, tried again: %s", x->ops->name, x->why);
	return true;
}

/* What failed, once more. Takes as long as at the start: frames wait in their rings. */
static void retry(struct tiers *t, uint64_t now_ns)
{
	enum tier before = t->tier;
	uint64_t dumps = t->dumps;
	bool tried = reopen(t, &t->probes, false, now_ns);

	tried = reopen(t, &t->sockets, probes_close(t), now_ns) || tried;
	if (!tried)
		return;
	settle_tier(t);
	plan_retries(t);
	if (t->tier != before)
		say_tier(t);
	tiers_ring_open(t);
	tiers_rings_follow(t);
	/* narrowing has taken a list */
	if (t->tier != TIER_PACKET && t->dumps == dumps)
		tiers_dump(t, false, now_ns);
}

void tiers_tick(struct tiers *t, uint64_t now_ns)
{
	retry(t, now_ns);
	if (t->tier == TIER_PACKET && !t->ring_bpf)
		return;
	/* what has no descriptor, or says nothing there of what it lost */
	read_source(t, &t->probes);
	read_source(t, &t->sockets);
	tiers_rings_follow(t);
	/* The wall clock may have been set: this is where its cycle ends now. */
	plan_dump(t, now_ns);
	if (lost_events(t) != t->lost && now_ns >= t->dumped_ns + DUMP_APART_MS * NS_PER_MS) {
		log_debug("events of sockets were lost: a list of all makes it good");
		tiers_dump(t, false, now_ns);
	}
}

void tiers_start(struct tiers *t, uint64_t now_ns)
{
	t->started = true;
	tiers_ring_open(t);
	tiers_rings_follow(t);
	/* narrowing has taken a list */
	if (t->tier != TIER_PACKET && !t->dumped_ns)
		tiers_dump(t, false, now_ns);
}

void tiers_change(struct tiers *t, const struct tiers_config *c, bool filter)
{
	t->interval_ns = c->interval_ns;
	t->c.all_interfaces = c->all_interfaces;
	t->c.btf_path = c->btf_path;
	t->c.ring = c->ring;
	tiers_ring_resume(t, filter);
	plan_dump(t, monotonic_ns());
}

/* --- the end ---------------------------------------------------------------------------------- */

static uint64_t events_of(const struct tiers_source *x)
{
	struct kernel_source_stats one;

	x->ops->stats(x->s, &one);
	return one.events + one.lost;
}

/* A call reads a bounded number: until one reads nothing. */
static void read_all(struct tiers *t, struct tiers_source *x)
{
	uint64_t before;
	int i;

	for (i = 0; i < POLLS_MOST && x->s; i++) {
		before = events_of(x);
		read_source(t, x);
		if (x->s && events_of(x) == before)
			break;
	}
}

void tiers_finish(struct tiers *t)
{
	read_all(t, &t->probes);
	read_all(t, &t->sockets);
	if (t->tier != TIER_PACKET)
		tiers_dump(t, false, monotonic_ns());
	if (t->queue)
		kernel_queue_flush(t->queue);
	tiers_datagrams(t, monotonic_ns());
}

void tiers_close(struct tiers *t)
{
	close_source(&t->probes);
	close_source(&t->sockets);
	kernel_queue_free(t->queue);
	ring_bpf_free(t->ring_bpf);
	free(t->nets);
	memset(t, 0, sizeof(*t));
}

/* --- telling ---------------------------------------------------------------------------------- */

static void add_stats(struct kernel_totals *out, const struct tiers_source *x)
{
	struct kernel_source_stats one;

	memset(&one, 0, sizeof(one));
	if (x->s)
		x->ops->stats(x->s, &one);
	out->events += x->closed.events + one.events;
	out->lost += x->closed.lost + one.lost;
	out->map_full += x->closed.map_full + one.map_full;
	out->retransmits += x->closed.retransmits + one.retransmits;
	out->synack_retransmits += x->closed.synack_retransmits + one.synack_retransmits;
	out->resets_sent += x->closed.resets_sent + one.resets_sent;
	out->resets_received += x->closed.resets_received + one.resets_received;
}

void tiers_stats(struct tiers *t, struct kernel_totals *out)
{
	const struct kernel_stats *k = engine_kernel_stats(t->c.engine);
	struct ring_bpf_stats ring;

	memset(out, 0, sizeof(*out));
	out->on = t->c.mode != CONF_MODE_PACKET && (t->tier != TIER_PACKET || t->dumped_ns);
	out->probes = t->probes.s || t->probes.closed.events;
	out->ebpf = out->probes || t->ring_bpf;
	add_stats(out, &t->probes);
	add_stats(out, &t->sockets);
	out->dumps = t->dumps;
	out->samples = k->samples;
	out->unmatched = k->unmatched;
	out->datagrams = k->datagrams;
	memset(&ring, 0, sizeof(ring));
	if (t->ring_bpf)
		ring_bpf_stats(t->ring_bpf, &ring);
	out->map_full += ring.lost;
}

/* What another source knows is left out where this one does not. */
static size_t add_facts(const struct tiers_source *x, const struct tiers_source *other,
			struct tiers_fact *out)
{
	struct kernel_fact facts[KERNEL_FACTS_MOST];
	size_t i, n, shown = 0;

	if (!x->s) {
		if (!x->why[0])
			return 0;
		memset(out, 0, sizeof(*out));
		out->source = x->ops->name;
		out->fact.name = "all";
		memcpy(out->fact.why, x->why, sizeof(out->fact.why));
		return 1;
	}
	n = x->ops->facts(x->s, facts);
	for (i = 0; i < n; i++) {
		if (!facts[i].provider && other->s &&
		    (knows(other, facts[i].name) || !strcmp(facts[i].name, "close")))
			continue;
		out[shown].source = x->ops->name;
		out[shown++].fact = facts[i];
	}
	return shown;
}

size_t tiers_facts(const struct tiers *t, struct tiers_fact out[TIERS_FACTS_MOST])
{
	size_t n = 0;

	if (t->c.mode == CONF_MODE_PACKET)
		return 0;
	n += add_facts(&t->probes, &t->sockets, out + n);
	n += add_facts(&t->sockets, &t->probes, out + n);
	memset(&out[n], 0, sizeof(out[n]));
	out[n].source = "ring";
	out[n].fact.name = "filter";
	out[n].fact.provider = tiers_filter_name(t);
	memcpy(out[n].fact.why, t->ring_why, sizeof(out[n].fact.why));
	return n + 1;
}
