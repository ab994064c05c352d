/* ring_bpf.c - loads the packet ring's eBPF filter (filters/ring.bpf.c) and reads what it counted.
 *
 * Entries of the map of flows belong to one of two generations; the program makes and finds those
 * of the current one only. So that nothing that is added meanwhile is lost, an entry is deleted
 * like this: the generation changes; from then on nobody adds to entries of the old one but a
 * program that runs at that moment, for microseconds; a read that comes at least GENERATION_REST_NS
 * later tells what is left in them, and then deletes them. Flows that go on have got new entries
 * meanwhile. What was told of each entry is remembered here, so that only growth is told.
 *
 * Kernel: include/uapi/linux/bpf.h; BPF_MAP_LOOKUP_BATCH for hashes is Linux 5.6, before that each
 * entry takes two calls.
 */
#include "collector/ring_bpf.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "collector/permissions.h"
#include "common/index.h"
#include "common/siphash.h"
#include "filters/classic.h"
#include "filters/ring_shared.h"

#include "filters/ring.skel.h"

/* both sides' numbers are the same */
typedef char ring_copies_agree[RING_COPY_HEADERS == (int)FILTER_COPY_HEADERS &&
				       RING_COPY_SMALL == (int)FILTER_COPY_SMALL &&
				       RING_COPY_HTTP == (int)FILTER_COPY_HTTP &&
				       RING_COPY_WHOLE == (int)FILTER_COPY_WHOLE &&
				       RING_NARROW_MOST == (int)RING_BPF_NETS_MOST
				   ? 1
				   : -1];

#define NS_PER_S           1000000000ULL
#define GENERATION_NS      (5 * NS_PER_S)
#define GENERATION_REST_NS (NS_PER_S / 2)

enum { BATCH = 512, LOG_SIZE = 256, OWN_TRIES = 200 };

/* An entry of the kernel's map, as it was when it was told last. */
struct told {
	struct ring_key key;
	uint64_t packets, bytes;
	uint32_t hash;
	uint32_t pass; /* the read that saw it last; 0: this record is free */
	uint32_t next; /* of the free ones, number + 1 */
};

struct ring_bpf {
	struct ring_filter *skel;
	int prog, flows, totals, own_map, nets, settings_map;
	struct ring_settings settings; /* as in the kernel */
	struct ring_own *own;          /* that too */
	struct ip_net *narrow;         /* RING_BPF_NETS_MOST, those in the kernel's maps */
	size_t nnarrow;
	struct index index; /* of told[], by key */
	struct told *told;
	size_t max_flows;
	uint32_t ntold, nold; /* records; of the old generation */
	uint32_t used,
	    free1; /* records that were ever used; first of those that are free again, + 1 */
	uint32_t pass;
	uint64_t generation_ns; /* when it changed, CLOCK_MONOTONIC */
	bool no_batch;          /* the kernel has no BPF_MAP_LOOKUP_BATCH */
	struct siphash_key hash_key;
	struct ring_totals *per_cpu;
	int ncpus;
	uint64_t told_packets, lost, generations;
	struct ring_key keys[BATCH];
	struct ring_value values[BATCH];
};

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

/* ---- loading ---- */

/* libbpf's last warning: one thread loads. */
static char last_warning[LOG_SIZE];

static int keep_warning(enum libbpf_print_level level, const char *format, va_list args)
{
	size_t n;

	if (level != LIBBPF_WARN)
		return 0;
	vsnprintf(last_warning, sizeof(last_warning), format, args);
	n = strlen(last_warning);
	if (n && last_warning[n - 1] == '\n')
		last_warning[n - 1] = 0;
	return 0;
}

static int load_with(struct ring_bpf *rb, size_t max_flows)
{
	int err;

	errno = 0;
	rb->skel = ring_filter__open();
	if (!rb->skel)
		return errno ? -errno : -ENOMEM;
	err = bpf_map__set_max_entries(rb->skel->maps.flows, (uint32_t)max_flows);
	if (!err)
		err = ring_filter__load(rb->skel);
	if (err) {
		ring_filter__destroy(rb->skel);
		rb->skel = NULL;
		return err < 0 ? err : -EINVAL;
	}
	rb->max_flows = max_flows;
	rb->prog = bpf_program__fd(rb->skel->progs.ring);
	rb->flows = bpf_map__fd(rb->skel->maps.flows);
	rb->totals = bpf_map__fd(rb->skel->maps.totals);
	rb->own_map = bpf_map__fd(rb->skel->maps.own);
	rb->nets = bpf_map__fd(rb->skel->maps.nets);
	rb->settings_map = bpf_map__fd(rb->skel->maps.settings);
	return 0;
}

static void say_why(char why[KERNEL_WHY_SIZE], int err)
{
	if (err == -EPERM || err == -EACCES)
		snprintf(
		    why, KERNEL_WHY_SIZE,
		    "bpf(2) is refused (%s): it needs CAP_BPF, before Linux 5.8 CAP_SYS_ADMIN, "
		    "a seccomp filter that lets it pass, and RLIMIT_MEMLOCK before 5.11",
		    strerror(-err));
	else if (err == -ENOSYS)
		snprintf(why, KERNEL_WHY_SIZE,
			 "this kernel has no bpf(2) (CONFIG_BPF_SYSCALL), or a seccomp filter "
			 "hides it");
	else
		snprintf(why, KERNEL_WHY_SIZE, "the kernel does not take the eBPF filter: %s%s%s",
			 strerror(-err), last_warning[0] ? "; libbpf: " : "", last_warning);
}

/* As large as there is memory for: refusals for want of it look like any other. */
static int load(struct ring_bpf *rb, size_t max_flows, char why[KERNEL_WHY_SIZE])
{
	libbpf_print_fn_t before = libbpf_set_print(keep_warning);
	int err;

	last_warning[0] = 0;
	permissions_raise_memlock();
	for (;;) {
		err = load_with(rb, max_flows);
		if ((err != -EPERM && err != -ENOMEM && err != -E2BIG) ||
		    max_flows / 2 < RING_BPF_FLOWS_LEAST)
			break;
		max_flows /= 2;
	}
	libbpf_set_print(before);
	if (err)
		say_why(why, err);
	return err;
}

static int take_memory(struct ring_bpf *rb)
{
	int err = index_init(&rb->index, rb->max_flows);

	if (err)
		return err;
	rb->ncpus = libbpf_num_possible_cpus();
	if (rb->ncpus < 1)
		return -EINVAL;
	rb->told = calloc(rb->max_flows, sizeof(*rb->told));
	rb->narrow = calloc(RING_BPF_NETS_MOST, sizeof(*rb->narrow));
	rb->own = calloc(1, sizeof(*rb->own));
	rb->per_cpu = calloc((size_t)rb->ncpus, sizeof(*rb->per_cpu));
	if (!rb->told || !rb->narrow || !rb->own || !rb->per_cpu)
		return -ENOMEM;
	siphash_key_random(&rb->hash_key);
	rb->generation_ns = clock_ns(CLOCK_MONOTONIC);
	return 0;
}

int ring_bpf_new(struct ring_bpf **out, const struct ring_bpf_config *config,
		 char why[KERNEL_WHY_SIZE])
{
	struct ring_bpf *rb = calloc(1, sizeof(*rb));
	size_t max_flows = config->max_flows ? config->max_flows : RING_BPF_FLOWS;
	int err = -ENOMEM;

	*out = NULL;
	why[0] = 0;
	if (max_flows < RING_BPF_FLOWS_LEAST)
		max_flows = RING_BPF_FLOWS_LEAST;
	if (rb)
		err = load(rb, max_flows, why);
	if (!err)
		err = take_memory(rb);
	if (!err)
		err = ring_bpf_set_ports(rb, config->dns_ports, config->ndns_ports,
					 config->tunnels_inner);
	if (!err)
		err = ring_bpf_set_narrow(rb, config->narrow, config->nnarrow);
	if (err) {
		if (!why[0])
			snprintf(why, KERNEL_WHY_SIZE, "eBPF filter: %s", fl_strerror(err));
		ring_bpf_free(rb);
		return err;
	}
	*out = rb;
	return 0;
}

void ring_bpf_free(struct ring_bpf *rb)
{
	if (!rb)
		return;
	ring_filter__destroy(rb->skel);
	index_destroy(&rb->index);
	free(rb->told);
	free(rb->own);
	free(rb->narrow);
	free(rb->per_cpu);
	free(rb);
}

int ring_bpf_fd(const struct ring_bpf *rb)
{
	return rb->prog;
}

/* ---- settings ---- */

static int put_settings(struct ring_bpf *rb)
{
	uint32_t zero = 0;

	return bpf_map_update_elem(rb->settings_map, &zero, &rb->settings, BPF_ANY) < 0 ? -errno
											: 0;
}

int ring_bpf_set_ports(struct ring_bpf *rb, const uint16_t *dns_ports, size_t n, bool tunnels_inner)
{
	size_t i;

	memset(rb->settings.dns_ports, 0, sizeof(rb->settings.dns_ports));
	rb->settings.dns_any = 0;
	for (i = 0; i < n; i++) {
		rb->settings.dns_ports[dns_ports[i] >> 6] |= 1ULL << (dns_ports[i] & 63);
		rb->settings.dns_any |= 1ULL << (dns_ports[i] & 63);
	}
	rb->settings.tunnels_inner = tunnels_inner;
	return put_settings(rb);
}

static bool same_net(const struct ip_net *a, const struct ip_net *b)
{
	return a->bits == b->bits && addr_equal(&a->addr, &b->addr);
}

/* Put a network into the kernel's map, or take it out. */
static int change_net(struct ring_bpf *rb, const struct ip_net *n, bool add)
{
	struct ring_net net;
	uint32_t one = 1;
	int err;

	net.bits = n->bits;
	memcpy(net.addr, n->addr.b, sizeof(net.addr));
	err = add ? bpf_map_update_elem(rb->nets, &net, &one, BPF_ANY)
		  : bpf_map_delete_elem(rb->nets, &net);
	return err < 0 && (add || errno != ENOENT) ? -errno : 0;
}

static bool among(const struct ip_net *nets, size_t n, const struct ip_net *x)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (same_net(&nets[i], x))
			return true;
	return false;
}

/* What is in both lists is never missing. */
static int replace_nets(struct ring_bpf *rb, const struct ip_net *nets, size_t n)
{
	size_t i, kept = 0;
	int err;

	for (i = 0; i < rb->nnarrow; i++) {
		if (among(nets, n, &rb->narrow[i])) {
			rb->narrow[kept++] = rb->narrow[i];
			continue;
		}
		err = change_net(rb, &rb->narrow[i], false);
		if (err)
			return err;
	}
	rb->nnarrow = kept;
	for (i = 0; i < n; i++) {
		if (among(rb->narrow, rb->nnarrow, &nets[i]))
			continue;
		err = change_net(rb, &nets[i], true);
		if (err)
			return err;
		rb->narrow[rb->nnarrow++] = nets[i];
	}
	return 0;
}

/* A free slot of an address's bucket; false: there is none. */
static bool put_host(struct ring_own *o, const struct ip_addr *addr)
{
	struct ring_own6 x;
	uint32_t x4, b;
	int i;

	memcpy(&x, addr->b, sizeof(x));
	memcpy(&x4, addr->b + 12, sizeof(x4));
	b = addr_is_v4(addr) ? ring_bucket4(o, x4) : ring_bucket6(o, x.high, x.low);
	for (i = 0; i < RING_OWN_SLOTS; i++) {
		if (addr_is_v4(addr) && !o->table4[b][i]) {
			o->table4[b][i] = x4;
			return true;
		}
		if (!addr_is_v4(addr) && !o->table6[b][i].high && !o->table6[b][i].low) {
			o->table6[b][i] = x;
			return true;
		}
	}
	return false;
}

/* Of one IP version, with a multiplier and size that has room for all; false: none has. */
static bool put_hosts(struct ring_own *o, const struct ip_net *nets, size_t n, bool v4)
{
	unsigned int tries, shift = 64 - 4; /* 16 buckets: one or two cache lines */
	uint64_t multiplier = 0x9e3779b97f4a7c15ULL;
	bool all = false;
	size_t i;

	for (tries = 0; !all && tries < OWN_TRIES; tries++) {
		/* another one, as any generator gives; at first larger tables */
		multiplier = (multiplier * 6364136223846793005ULL + 1442695040888963407ULL) | 1;
		if (tries % 8 == 7 && shift > 64 - 11)
			shift--;
		*(v4 ? &o->multiplier4 : &o->multiplier6) = multiplier;
		*(v4 ? &o->shift4 : &o->shift6) = shift;
		memset(v4 ? (void *)o->table4 : (void *)o->table6, 0,
		       v4 ? sizeof(o->table4) : sizeof(o->table6));
		all = true;
		for (i = 0; i < n && all; i++)
			all = nets[i].bits != 128 || addr_is_v4(&nets[i].addr) != v4 ||
			      put_host(o, &nets[i].addr);
	}
	return all;
}

/* What the program asks before its map of networks, which has all. Returns enum ring_narrow. */
static uint32_t make_own(struct ring_own *o, const struct ip_net *nets, size_t n)
{
	size_t i, n4 = 0;
	bool all;

	memset(o, 0, sizeof(*o));
	all = put_hosts(o, nets, n, true);
	all = put_hosts(o, nets, n, false) && all;
	for (i = 0; i < n; i++) {
		if (nets[i].bits == 128)
			continue;
		if (!addr_is_v4(&nets[i].addr) || nets[i].bits <= 96 || n4 == RING_OWN_NETS) {
			all = false;
			continue;
		}
		o->nets4[n4].mask = htonl(UINT32_MAX << (128 - nets[i].bits));
		memcpy(&o->nets4[n4].addr, nets[i].addr.b + 12, 4);
		o->nets4[n4].addr &= o->nets4[n4].mask;
		n4++;
	}
	return n ? RING_NARROW_TABLES | (all ? 0 : RING_NARROW_NETS) : 0;
}

int ring_bpf_set_narrow(struct ring_bpf *rb, const struct ip_net *nets, size_t n)
{
	int err = n > RING_BPF_NETS_MOST ? FL_EFULL : replace_nets(rb, nets, n), put;
	uint32_t zero = 0;

	/* nothing is narrowed by half a list */
	rb->settings.narrow = make_own(rb->own, nets, err ? 0 : n);
	if (!err && bpf_map_update_elem(rb->own_map, &zero, rb->own, BPF_ANY) < 0) {
		err = -errno;
		rb->settings.narrow = 0;
	}
	put = put_settings(rb);
	return err ? err : put;
}

/* ---- reading ---- */

struct reading {
	struct ring_bpf *rb;
	void (*each)(void *ctx, const struct kernel_datagrams *d);
	void *ctx;
	uint64_t to_realtime_ns; /* CLOCK_REALTIME - CLOCK_MONOTONIC */
};

static struct told *find_told(struct ring_bpf *rb, const struct ring_key *key)
{
	uint32_t hash = (uint32_t)siphash_1_3(&rb->hash_key, key, sizeof(*key)), at, rec;
	struct told *t;

	INDEX_FIND(&rb->index, hash, at, rec)
	{
		if (!memcmp(&rb->told[rec].key, key, sizeof(*key)))
			return &rb->told[rec];
	}
	if (!rb->free1 && rb->used >= rb->max_flows)
		return NULL;
	rec = rb->free1 ? rb->free1 - 1 : rb->used++;
	t = &rb->told[rec];
	if (rb->free1)
		rb->free1 = t->next;
	t->key = *key;
	t->packets = t->bytes = 0;
	t->hash = hash;
	index_insert(&rb->index, hash, rec);
	rb->ntold++;
	return t;
}

static void forget_told(struct ring_bpf *rb, struct told *t)
{
	uint32_t rec = (uint32_t)(t - rb->told);

	index_remove(&rb->index, t->hash, rec);
	t->pass = 0;
	t->next = rb->free1;
	rb->free1 = rec + 1;
	rb->ntold--;
}

static void tell(struct reading *r, const struct ring_key *key, const struct ring_value *v)
{
	struct ring_bpf *rb = r->rb;
	struct told *t = find_told(rb, key);
	struct kernel_datagrams d;
	struct ip_addr src, dst;

	/* there are as many records as the map has room */
	if (!t)
		return;
	t->pass = rb->pass;
	if (v->packets == t->packets)
		return;
	memset(&d, 0, sizeof(d));
	memcpy(src.b, key->src, sizeof(src.b));
	memcpy(dst.b, key->dst, sizeof(dst.b));
	d.end = (uint8_t)flow_key_make(&d.key, &src, &dst, key->sport, key->dport, PROTO_UDP);
	d.iface = (uint16_t)key->ifindex;
	d.packets = v->packets - t->packets;
	d.bytes = v->bytes - t->bytes;
	d.last_ns = v->last_ns + r->to_realtime_ns;
	/* when the first since the last read came is not known; between them they did */
	d.first_ns = t->packets ? d.last_ns : v->first_ns + r->to_realtime_ns;
	t->packets = v->packets;
	t->bytes = v->bytes;
	rb->told_packets += d.packets;
	r->each(r->ctx, &d);
}

/* Two calls for each entry. An entry that is added meanwhile may be missed until the next read. */
static int read_each(struct reading *r)
{
	struct ring_bpf *rb = r->rb;
	struct ring_key *key = NULL, next;
	struct ring_value v;
	size_t i;

	/* as many as there may be: an end also where the kernel begins again and again */
	for (i = 0; i < 4 * rb->max_flows; i++) {
		if (bpf_map_get_next_key(rb->flows, key, &next) < 0)
			return errno == ENOENT ? 0 : -errno;
		rb->keys[0] = next;
		key = &rb->keys[0];
		if (bpf_map_lookup_elem(rb->flows, key, &v) == 0)
			tell(r, key, &v);
	}
	return 0;
}

/* 0, or -errno: -EINVAL and others where the kernel has no such call. */
static int read_batches(struct reading *r)
{
	struct ring_bpf *rb = r->rb;
	uint32_t at = 0, n, i;
	bool first = true;
	int err;

	do {
		n = BATCH;
		err = bpf_map_lookup_batch(rb->flows, first ? NULL : &at, &at, rb->keys, rb->values,
					   &n, NULL) < 0
			  ? -errno
			  : 0;
		if (err && err != -ENOENT)
			return err;
		for (i = 0; i < n; i++)
			tell(r, &rb->keys[i], &rb->values[i]);
		first = false;
	} while (!err);
	return 0;
}

/* Datagrams that the program has counted, and those that had no room. */
static int sum_totals(struct ring_bpf *rb, struct ring_totals *sum)
{
	uint32_t zero = 0;
	int i;

	memset(sum, 0, sizeof(*sum));
	if (bpf_map_lookup_elem(rb->totals, &zero, rb->per_cpu) < 0)
		return -errno;
	for (i = 0; i < rb->ncpus; i++) {
		sum->counted += rb->per_cpu[i].counted;
		sum->full += rb->per_cpu[i].full;
	}
	return 0;
}

/* Delete what was told of the old generation, nobody adds to it any more. */
static void delete_old(struct ring_bpf *rb)
{
	uint32_t i;

	rb->nold = 0;
	for (i = 0; i < rb->used; i++) {
		struct told *t = &rb->told[i];

		if (!t->pass || t->key.generation == rb->settings.generation)
			continue;
		if (t->pass == rb->pass &&
		    (bpf_map_delete_elem(rb->flows, &t->key) == 0 || errno == ENOENT))
			forget_told(rb, t);
		else
			rb->nold++;
	}
}

/* The flows that go on get entries of the new one, the others are deleted by the next read. */
static int change_generation(struct ring_bpf *rb, uint64_t now)
{
	int err;

	rb->settings.generation ^= 1;
	err = put_settings(rb);
	if (err) {
		rb->settings.generation ^= 1;
		return err;
	}
	rb->generation_ns = now;
	rb->generations++;
	rb->nold = rb->ntold;
	return 0;
}

/* Nobody adds to entries of the old generation any more. */
static bool rested(const struct ring_bpf *rb, uint64_t now)
{
	return now - rb->generation_ns >= GENERATION_REST_NS;
}

/* Time for another generation? */
static int set_aside(struct ring_bpf *rb, uint64_t now)
{
	if (rb->nold || !rb->ntold)
		return 0;
	if (now - rb->generation_ns < GENERATION_NS && rb->ntold <= rb->max_flows / 4)
		return 0;
	return change_generation(rb, now);
}

int ring_bpf_read(struct ring_bpf *rb, void (*each)(void *ctx, const struct kernel_datagrams *d),
		  void *ctx)
{
	struct reading r = {rb, each, ctx, 0};
	uint64_t now = clock_ns(CLOCK_MONOTONIC);
	struct ring_totals before;
	int err = sum_totals(rb, &before);

	if (err)
		return err;
	r.to_realtime_ns = clock_ns(CLOCK_REALTIME) - now;
	/* what was counted has been told, and nothing waits to be deleted: an idle host's map is
	 * not gone through ten times a second */
	if (before.counted == rb->told_packets && !(rb->nold && rested(rb, now))) {
		rb->lost = 0;
		return set_aside(rb, now);
	}
	if (!++rb->pass)
		rb->pass = 1;
	err = rb->no_batch ? -EINVAL : read_batches(&r);
	if (err) {
		/* no such call, or one bucket with more than BATCH entries */
		rb->no_batch = rb->no_batch || err != -ENOSPC;
		err = read_each(&r);
	}
	if (err)
		return err;
	/* what was counted before the map was read is in what was told */
	rb->lost = before.counted > rb->told_packets ? before.counted - rb->told_packets : 0;
	if (rb->nold && rested(rb, now))
		delete_old(rb);
	return set_aside(rb, now);
}

static void run_stats(const struct ring_bpf *rb, struct ring_bpf_stats *out)
{
	struct bpf_prog_info info;
	uint32_t len = sizeof(info);

	memset(&info, 0, sizeof(info));
	if (bpf_obj_get_info_by_fd(rb->prog, &info, &len) < 0)
		return;
	out->runs = info.run_cnt;
	out->run_ns = info.run_time_ns;
}

void ring_bpf_stats(struct ring_bpf *rb, struct ring_bpf_stats *out)
{
	struct ring_totals sum;

	memset(out, 0, sizeof(*out));
	if (sum_totals(rb, &sum) == 0) {
		out->counted = sum.counted;
		out->full = sum.full;
	}
	out->told = rb->told_packets;
	out->lost = rb->lost;
	out->generations = rb->generations;
	out->flows = rb->ntold;
	out->max_flows = rb->max_flows;
	run_stats(rb, out);
}
