/* attribution.c - see attribution.h. */
#include "collector/attribution.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "collector/excludes.h"
#include "collector/pipeline.h"
#include "collector/syn_watch.h"
#include "common/log.h"

#define NS_PER_MS 1000000ULL

enum {
	WORK_MS = 20,   /* while flows wait: a connection of a few ms is asked for in time */
	IDLE_MS = 1000, /* the scan of /proc goes on */
};

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
	err = owners_new(&a->owners, &c);
	if (err)
		log_error("processes: %s; processes.enabled: false does without", fl_strerror(err));
	if (err)
		return err;
	a->work_ns = 1;
	a->syn_fd = syn_watch_open();
	if (a->syn_fd < 0)
		log_debug("processes of very short connections stay unknown: %s",
			  fl_strerror(a->syn_fd));
	return 0;
}

void attribution_close(struct attribution *a)
{
	owners_free(a->owners);
	if (a->owners && a->syn_fd >= 0)
		close(a->syn_fd);
	memset(a, 0, sizeof(*a));
	a->syn_fd = -1;
}

/* Where an end of a flow is in early[]. A hash of one's own connections need not be keyed. */
static struct attribution_early *early_at(struct attribution *a, const struct flow_key *key,
					  int end)
{
	uint64_t h = key->w[1] ^ key->w[3] * 3 ^ key->w[4] * 5 ^ (uint64_t)end;

	h = (h ^ key->w[0] ^ key->w[2]) * 0x9e3779b97f4a7c15ULL;
	return &a->early[h >> 52];
}

static bool early_is(const struct attribution_early *x, const struct flow_key *key, int end)
{
	return x->used && x->end == end && flow_key_equal(&x->key, key);
}

static void on_syn(void *ctx, const struct flow_key *key, int end)
{
	struct attribution *a = ctx;
	struct attribution_early *x = early_at(a, key, end);

	if (early_is(x, key, end) || !owners_add(a->owners, key, 1U << end, monotonic_ns()))
		return;
	x->key = *key;
	x->end = (uint8_t)end;
	x->owner = OWNER_NONE;
	x->used = true;
}

/* The ends that no SYN has told of. What is answered already is for the engine, once it can listen.
 */
static unsigned int early_take(struct attribution *a, const struct flow_key *key, unsigned int ends)
{
	int end;

	for (end = 0; end < 2; end++) {
		struct attribution_early *x = early_at(a, key, end);

		if (!(ends & 1U << end) || !early_is(x, key, end))
			continue;
		ends &= ~(1U << end);
		x->used = false;
		if (x->owner != OWNER_NONE && a->napply < ATTRIBUTION_APPLY)
			a->apply[a->napply++] = *x;
	}
	return ends;
}

void attribution_new_flow(void *ctx, const struct flow_key *key, unsigned int ends)
{
	struct attribution *a = ctx;
	uint64_t now_ns = monotonic_ns();

	if (!a->owners)
		return;
	ends = early_take(a, key, ends);
	if (!ends || !owners_add(a->owners, key, ends, now_ns))
		return;
	if (!a->work_ns || a->work_ns > now_ns + WORK_MS * NS_PER_MS)
		a->work_ns = now_ns + WORK_MS / 2 * NS_PER_MS;
}

/* The engine has the flow, or not yet (false). */
static bool tell(struct attribution *a, const struct flow_key *key, int end, uint32_t owner)
{
	const struct owner *o = owners_get(a->owners, owner);

	if (!engine_set_owner(a->engine, key, end, owner))
		return false;
	if (o && excludes_process(&a->conf->capture.exclude, key, o->process_name))
		engine_exclude_flow(a->engine, key);
	return true;
}

static void apply(struct attribution *a)
{
	unsigned int i;

	for (i = 0; i < a->napply; i++)
		tell(a, &a->apply[i].key, a->apply[i].end, a->apply[i].owner);
	a->napply = 0;
}

static void found(void *ctx, const struct flow_key *key, int end, uint32_t owner, bool final)
{
	struct attribution *a = ctx;
	struct attribution_early *x = early_at(a, key, end);

	(void) final;
	if (owner != OWNER_NONE && !tell(a, key, end, owner) && early_is(x, key, end))
		x->owner = owner;
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
	apply(a);
	if (now_ns < a->work_ns)
		return;
	owners_work(a->owners, now_ns, found, a);
	owners_stats(a->owners, &s);
	a->work_ns = now_ns + (s.queued ? WORK_MS : IDLE_MS) * NS_PER_MS;
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
	apply(a);
	owners_work(a->owners, now_ns, found, a);
	if (owners_tcp_info(a->owners, now_ns, tcp_figures, a))
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
