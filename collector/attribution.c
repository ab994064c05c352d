/* attribution.c - see attribution.h. */
#include "collector/attribution.h"

#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "collector/excludes.h"
#include "collector/pipeline.h"
#include "collector/syn_watch.h"
#include "common/log.h"
#include "common/memory.h"

#define NS_PER_MS 1000000ULL

enum {
	WORK_MS = 20,   /* while flows wait: a connection of a few ms is asked for in time */
	IDLE_MS = 1000, /* the scan of /proc goes on */
	/* The frames of a connection that ended come so much later than its event, at most. */
	CLOSED_MS = 1000,
	/* UDP ends have no end: told again while datagrams pass. */
	UDP_MS = 30000,
	/* A process is told after its SYN; but the two clocks are compared only now and then. */
	CLOCKS_MS = 10,
	/* Before /proc is asked for a connection of which a probe may tell soon: 10 us each. */
	LATER_MS = 150,
};

static void open_syns(struct attribution *a)
{
	a->syn_fd = syn_watch_open();
	if (a->syn_fd < 0)
		log_debug("processes of very short connections stay unknown: %s",
			  fl_strerror(a->syn_fd));
}

static bool is_over(void *ctx, const struct flow_key *key)
{
	const struct attribution *a = ctx;

	return engine_flow_is_over(a->engine, key);
}

int attribution_open(struct attribution *a, const struct conf *conf, struct engine *engine)
{
	struct owners_config c;
	int err;

	memset(a, 0, sizeof(*a));
	a->conf = conf;
	a->engine = engine;
	a->syn_fd = -1;
	if (!conf->processes.enabled)
		return 0;
	owners_config_default(&c);
	c.cpu_share = conf->processes.cpu_percent / 100.0;
	if (!conf->processes.namespaces)
		c.max_netns = 1;
	c.over = is_over;
	c.over_ctx = a;
	err = owners_new(&a->owners, &c);
	if (err)
		log_error("processes: %s; processes.enabled: false does without", fl_strerror(err));
	if (err)
		return err;
	a->work_ns = 1;
	open_syns(a);
	return 0;
}

static void forget_told(struct attribution *a)
{
	if (a->told)
		mem_unmap(a->told, ATTRIBUTION_TOLD, sizeof(*a->told));
	if (a->marks)
		mem_unmap(a->marks, ATTRIBUTION_TOLD, sizeof(*a->marks));
	if (a->later)
		mem_unmap(a->later, ATTRIBUTION_LATER, sizeof(*a->later));
	a->told = NULL;
	a->marks = NULL;
	a->later = NULL;
	a->later_first = a->nlater = 0;
}

void attribution_close(struct attribution *a)
{
	owners_free(a->owners);
	if (a->owners && a->syn_fd >= 0)
		close(a->syn_fd);
	forget_told(a);
	memset(a, 0, sizeof(*a));
	a->syn_fd = -1;
}

/* Of an end of a flow. A hash of one's own connections need not be keyed. */
static uint64_t hash_of(const struct flow_key *key, int end)
{
	uint64_t h = key->w[1] ^ key->w[3] * 3 ^ key->w[4] * 5 ^ (uint64_t)end;

	return (h ^ key->w[0] ^ key->w[2]) * 0x9e3779b97f4a7c15ULL;
}

static struct attribution_early *early_at(struct attribution *a, const struct flow_key *key,
					  int end)
{
	return &a->early[hash_of(key, end) >> 52]; /* 64 - log2(ATTRIBUTION_EARLY) */
}

/* The first of the ATTRIBUTION_WAYS records where it may be, and what their mark would be. */
static size_t told_at(const struct flow_key *key, int end, uint16_t *mark)
{
	uint64_t h = hash_of(key, end);

	*mark = (uint16_t)(h >> 32 | 1);
	return (h >> 50) * ATTRIBUTION_WAYS; /* 64 - log2(ATTRIBUTION_TOLD / ATTRIBUTION_WAYS) */
}

/* What was told last of this end, with asked: or found out; NULL: nothing. */
static struct attribution_told *told_last(struct attribution *a, const struct flow_key *key,
					  int end, bool asked)
{
	struct attribution_told *t, *last = NULL;
	uint16_t mark;
	size_t at = told_at(key, end, &mark), i;

	for (i = at; i < at + ATTRIBUTION_WAYS; i++) {
		if (a->marks[i] != mark)
			continue;
		t = &a->told[i];
		if (t->end == end && flow_key_equal(&t->key, key) && (asked || !t->asked) &&
		    (!last || t->time_ns >= last->time_ns))
			last = t;
	}
	return last;
}

/* What a probe has told of this end; OWNER_NONE: nothing that holds now. */
static uint32_t told_owner(struct attribution *a, const struct flow_key *key, int end)
{
	const struct attribution_told *t = a->told ? told_last(a, key, end, false) : NULL;

	if (!t || (t->closed_ns && monotonic_ns() > t->closed_ns + CLOSED_MS * NS_PER_MS))
		return OWNER_NONE;
	return t->owner;
}

/* The same of the connection that begins at time_ns: the first that was told after that. */
static uint32_t told_after(struct attribution *a, const struct flow_key *key, int end,
			   uint64_t time_ns)
{
	const struct attribution_told *t, *first = NULL;
	uint16_t mark;
	size_t at, i;

	if (!a->told)
		return OWNER_NONE;
	at = told_at(key, end, &mark);
	for (i = at; i < at + ATTRIBUTION_WAYS; i++) {
		if (a->marks[i] != mark)
			continue;
		t = &a->told[i];
		if (t->end == end && flow_key_equal(&t->key, key) && !t->asked &&
		    t->time_ns >= time_ns && (!first || t->time_ns < first->time_ns))
			first = t;
	}
	if (first)
		return first->owner;
	first = told_last(a, key, end, false);
	return first && !first->at_close && first->time_ns + CLOCKS_MS * NS_PER_MS >= time_ns
		   ? first->owner
		   : OWNER_NONE;
}

static bool early_is(const struct attribution_early *x, const struct flow_key *key, int end)
{
	return x->used && x->end == end && flow_key_equal(&x->key, key);
}

/* A router sends others' SYNs, too. */
static void on_syn(void *ctx, const struct flow_key *key, int end)
{
	struct attribution *a = ctx;
	struct attribution_early *x = early_at(a, key, end);
	struct ip_addr from;

	flow_key_addr(key, end, &from);
	if (!engine_has_local(a->engine, &from))
		return;
	if (early_is(x, key, end) || !owners_add(a->owners, key, 1U << end, monotonic_ns()))
		return;
	x->key = *key;
	x->end = (uint8_t)end;
	x->owner = OWNER_NONE;
	x->used = true;
}

/* The ends that no SYN has told of; the owner of what is answered already. */
static unsigned int early_take(struct attribution *a, const struct flow_key *key, unsigned int ends,
			       uint32_t owner[2])
{
	int end;

	for (end = 0; end < 2; end++) {
		struct attribution_early *x = early_at(a, key, end);

		if (!(ends & 1U << end) || !early_is(x, key, end))
			continue;
		ends &= ~(1U << end);
		x->used = false;
		if (x->owner != OWNER_NONE)
			owner[end] = x->owner;
	}
	return ends;
}

/* The ends that no probe has told of; the owner of the others. */
static unsigned int told_take(struct attribution *a, const struct engine_begin *b,
			      uint32_t owner[2])
{
	unsigned int ends = b->ends;
	int end;

	for (end = 0; end < 2; end++) {
		if (!(ends & 1U << end))
			continue;
		owner[end] =
		    b->syn ? told_after(a, b->key, end, b->time_ns) : told_owner(a, b->key, end);
		if (owner[end] != OWNER_NONE)
			ends &= ~(1U << end);
	}
	return ends;
}

/* The engine is to be asked to leave it out, perhaps. */
static void check_later(struct attribution *a, const struct flow_key *key, const uint32_t owner[2])
{
	struct attribution_early *x;
	int end;

	for (end = 0; end < 2; end++) {
		if (owner[end] == OWNER_NONE || !a->conf->capture.exclude.n ||
		    a->nchecks == ATTRIBUTION_CHECKS)
			continue;
		x = &a->checks[a->nchecks++];
		x->key = *key;
		x->owner = owner[end];
	}
}

static void work_at(struct attribution *a, uint64_t at_ns)
{
	if (!a->work_ns || a->work_ns > at_ns)
		a->work_ns = at_ns;
}

/* Probes tell of it soon, perhaps. False: they do not, or there is no room. */
static bool wait_for_probes(struct attribution *a, const struct engine_begin *b, unsigned int ends,
			    uint64_t now_ns)
{
	struct attribution_later *l;

	if (!a->later || !b->syn || a->nlater == ATTRIBUTION_LATER)
		return false;
	l = &a->later[(a->later_first + a->nlater) % ATTRIBUTION_LATER];
	l->key = *b->key;
	l->time_ns = b->time_ns;
	l->due_ns = now_ns + LATER_MS * NS_PER_MS;
	l->ends = ends;
	a->nlater++;
	work_at(a, l->due_ns);
	return true;
}

/* Those that have waited long enough, or all: probes have told of most. */
static void ask_later(struct attribution *a, uint64_t now_ns, bool all)
{
	while (a->nlater && (all || a->later[a->later_first].due_ns <= now_ns)) {
		const struct attribution_later *l = &a->later[a->later_first];
		struct engine_begin b = {&l->key, l->time_ns, l->ends, true};
		uint32_t owner[2];
		unsigned int ends = told_take(a, &b, owner);

		if (ends && !owners_add(a->owners, &l->key, ends, now_ns))
			log_debug("too many connections wait for their processes");
		a->later_first = (a->later_first + 1) % ATTRIBUTION_LATER;
		a->nlater--;
	}
	if (!a->nlater)
		a->later_first = 0; /* memory that was used already */
}

void attribution_new_flow(void *ctx, const struct engine_begin *b, uint32_t owner[2])
{
	struct attribution *a = ctx;
	uint64_t now_ns = monotonic_ns();
	unsigned int ends;

	if (!a->owners)
		return;
	ends = told_take(a, b, owner);
	if (ends && a->syn_fd >= 0)
		ends = early_take(a, b->key, ends, owner);
	check_later(a, b->key, owner);
	if (!ends || wait_for_probes(a, b, ends, now_ns) ||
	    !owners_add(a->owners, b->key, ends, now_ns))
		return;
	if (!a->work_ns || a->work_ns > now_ns + WORK_MS * NS_PER_MS)
		a->work_ns = now_ns + WORK_MS / 2 * NS_PER_MS;
}

void attribution_check(struct attribution *a, const struct flow_key *key, uint32_t owner)
{
	const struct owner *o = a->owners ? owners_get(a->owners, owner) : NULL;

	if (o && excludes_process(&a->conf->capture.exclude, key, o->process_name))
		engine_exclude_flow(a->engine, key);
}

/* The engine has the flow, or not yet (false). */
static bool tell(struct attribution *a, const struct flow_key *key, int end, uint32_t owner)
{
	if (!engine_set_owner(a->engine, key, end, owner))
		return false;
	attribution_check(a, key, owner);
	return true;
}

static void check_new(struct attribution *a)
{
	unsigned int i;

	for (i = 0; i < a->nchecks; i++)
		attribution_check(a, &a->checks[i].key, a->checks[i].owner);
	a->nchecks = 0;
}

/* A free record, or the one that was told longest ago; it is this end's now. */
static struct attribution_told *told_room(struct attribution *a, const struct flow_key *key,
					  int end)
{
	uint16_t mark;
	size_t at = told_at(key, end, &mark), i, oldest = at;

	for (i = at; i < at + ATTRIBUTION_WAYS && a->marks[oldest]; i++)
		if (!a->marks[i] || a->told[i].time_ns < a->told[oldest].time_ns)
			oldest = i;
	a->marks[oldest] = mark;
	a->told[oldest].key = *key;
	a->told[oldest].end = (uint8_t)end;
	return &a->told[oldest];
}

static uint64_t realtime_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000 * NS_PER_MS + (uint64_t)now.tv_nsec;
}

/* Found in /proc while the connection was open: who closes it will be no news. */
static void keep_asked(struct attribution *a, const struct flow_key *key, int end, uint32_t owner)
{
	struct attribution_told *t = told_last(a, key, end, true);

	if (!t || !t->asked)
		t = told_room(a, key, end);
	t->time_ns = realtime_ns();
	t->closed_ns = 0;
	t->owner = owner;
	t->at_close = false;
	t->asked = true;
}

static void found(void *ctx, const struct flow_key *key, int end, uint32_t owner, bool final)
{
	struct attribution *a = ctx;
	struct attribution_early *x = early_at(a, key, end);

	if (told_owner(a, key, end) != OWNER_NONE || owner == OWNER_NONE)
		return;
	if (!tell(a, key, end, owner) && early_is(x, key, end))
		x->owner = owner;
	if (final && a->later && flow_key_proto(key) == PROTO_TCP)
		keep_asked(a, key, end, owner);
}

void attribution_syns(struct attribution *a)
{
	syn_watch_read(a->syn_fd, on_syn, a);
	a->work_ns = 1; /* now: the connection may be over in a moment */
}

void attribution_work(struct attribution *a, uint64_t now_ns)
{
	const char *limits;
	struct owners_stats s;

	if (!a->owners)
		return;
	check_new(a);
	if (now_ns < a->work_ns)
		return;
	ask_later(a, now_ns, false);
	owners_work(a->owners, now_ns, found, a);
	owners_stats(a->owners, &s);
	a->work_ns = now_ns + (s.queued ? WORK_MS : IDLE_MS) * NS_PER_MS;
	if (a->nlater) {
		uint64_t due_ns = a->later[a->later_first].due_ns, soon_ns = WORK_MS * NS_PER_MS;

		work_at(a, due_ns > now_ns + soon_ns ? due_ns : now_ns + soon_ns);
	}
	limits = a->limits_told || !s.scans ? NULL : owners_limits(a->owners);
	if (s.scans)
		a->limits_told = true;
	if (limits)
		log_info("%s", limits);
}

static void listener(void *ctx, const struct owners_listener *l)
{
	static const struct ip_addr any;
	struct attribution *a = ctx;
	bool wildcard;

	if (l->maybe_client)
		return;
	wildcard = addr_is_v4(&l->addr) ? !memcmp(l->addr.b + 12, "\0\0\0\0", 4)
					: addr_equal(&l->addr, &any);
	engine_add_listener(a->engine, wildcard ? &any : &l->addr, l->port, l->proto);
}

void attribution_listeners(struct attribution *a)
{
	if (!a->owners)
		return;
	engine_listeners_begin(a->engine);
	if (owners_listening(a->owners, monotonic_ns(), listener, a))
		log_debug("the listening sockets were not affordable this time");
}

static void tcp_figures(void *ctx, const struct flow_key *key, int end, const struct sock_tcp *tcp)
{
	struct attribution *a = ctx;
	struct engine_tcp t;

	memset(&t, 0, sizeof(t));
	if (!(tcp->has & SOCK_TCP_RTT))
		return;
	t.rtt_us = tcp->rtt_us;
	t.rtt_var_us = tcp->rttvar_us;
	t.retransmits = tcp->total_retrans;
	engine_set_tcp(a->engine, key, end, &t);
}

void attribution_before_end(void *ctx)
{
	struct attribution *a = ctx;
	uint64_t now_ns = monotonic_ns();

	if (!a->owners)
		return;
	check_new(a);
	ask_later(a, now_ns, true);
	owners_work(a->owners, now_ns, found, a);
	if (owners_tcp_info(a->owners, now_ns, !a->dumped, tcp_figures, a))
		log_debug("the kernel's TCP figures were not affordable this time");
	attribution_listeners(a);
}

void attribution_owner(void *ctx, uint32_t owner, struct point *out)
{
	struct attribution *a = ctx;
	const struct owner *o = a->owners ? owners_get(a->owners, owner) : NULL;

	if (!o)
		return;
	out->pid = o->pid;
	out->process_name = o->process_name;
	out->container_id = o->container_id;
}

void attribution_probes(struct attribution *a, bool on, bool connects, bool accepts)
{
	if (!a->owners)
		return;
	if (!on)
		forget_told(a);
	if (on && !a->told) {
		a->told = mem_map(ATTRIBUTION_TOLD, sizeof(*a->told));
		a->marks = mem_map(ATTRIBUTION_TOLD, sizeof(*a->marks));
		if (!a->told || !a->marks) {
			log_debug("memory for what probes tell of processes was refused");
			forget_told(a);
		}
	}
	connects = connects && a->told;
	if (connects && accepts && !a->later)
		a->later = mem_map(ATTRIBUTION_LATER, sizeof(*a->later));
	if (connects && a->syn_fd >= 0) {
		close(a->syn_fd);
		a->syn_fd = -1;
	}
	if (!connects && a->syn_fd < 0)
		open_syns(a);
}

/* Who closes it: is that known from better sources? Then it was theirs up to now. */
static bool known_better(struct attribution_told *t, uint64_t now_ns)
{
	if (!t || t->closed_ns)
		return false;
	t->closed_ns = now_ns;
	return true;
}

uint32_t attribution_told(struct attribution *a, const struct flow_key *key, int end,
			  uint64_t time_ns, const struct kernel_process *who)
{
	uint64_t now_ns = monotonic_ns();
	struct attribution_told *t;
	bool udp = flow_key_proto(key) == PROTO_UDP, others;
	uint32_t owner;

	if (!a->owners || !a->told || !who->pid)
		return OWNER_NONE;
	if (who->at_close && known_better(told_last(a, key, end, true), now_ns))
		return OWNER_NONE;
	owner = owners_adopt(a->owners, who, now_ns);
	t = told_last(a, key, end, false);
	others = t && t->owner != owner && !udp;
	if (!t || others)
		t = told_room(a, key, end);
	t->time_ns = time_ns;
	t->closed_ns = udp ? now_ns + UDP_MS * NS_PER_MS : who->at_close ? now_ns : 0;
	t->owner = owner;
	t->at_close = who->at_close;
	t->asked = false;
	/* Its SYN may have been read already, and a cycle may end before KERNEL_OWNER is applied.
	 * But what the engine has may be the connection before, another process's. */
	if (!others)
		tell(a, key, end, owner);
	return who->at_close && !others ? OWNER_NONE : owner;
}

void attribution_closed(struct attribution *a, const struct flow_key *key, int end)
{
	struct attribution_told *t;

	if (!a->told)
		return;
	t = told_last(a, key, end, true);
	if (t && !t->closed_ns)
		t->closed_ns = monotonic_ns();
}
