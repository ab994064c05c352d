/* probes_attach.c - see probes_attach.h. */
#include "collector/probes_attach.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "collector/permissions.h"
#include "collector/probes_message.h"
#include "collector/probes_plan.h"
#include "filters/probes.h"
#include "filters/probes.skel.h"

enum {
	RING_BYTES = 1 << 20,
	DATAGRAMS_ALL_CPUS = 64 << 10, /* entries; each CPU has a part of each */
	DATAGRAMS_LEAST = 1024,
	DATAGRAMS_MOST = 8192,
	LOADS_MOST = 40,
};

#if defined(__x86_64__)
enum { OUR_REGISTERS = PROBE_REGISTERS_X86 };
#elif defined(__aarch64__)
enum { OUR_REGISTERS = PROBE_REGISTERS_ARM64 };
#else
enum { OUR_REGISTERS = 0 };
#endif

/* ---- what is there at all */

static bool exists(const char *path)
{
	return access(path, F_OK) == 0;
}

/* Is the kernel's own type information there, and not something that hides it? */
static bool has_btf(void)
{
	uint8_t magic[2] = {0, 0};
	FILE *f = fopen("/sys/kernel/btf/vmlinux", "re");

	if (!f)
		return false;
	if (fread(magic, 1, sizeof(magic), f) != sizeof(magic))
		magic[0] = 0;
	fclose(f);
	return magic[0] == 0x9f && magic[1] == 0xeb; /* little-endian, as the programs are */
}

static bool left_out(const struct probe_set *set, const char *word)
{
	const char *list = set->config->without, *at;
	size_t len = strlen(word);

	for (at = list ? strstr(list, word) : NULL; at; at = strstr(at + len, word))
		if ((at == list || at[-1] == ' ') && (!at[len] || at[len] == ' '))
			return true;
	return false;
}

/* Why none of these can work here; NULL: try. */
static const char *hopeless(const struct probe_set *set, enum probe_means means, const char *name)
{
	if (left_out(set, probe_means_word(means, name)) || left_out(set, name))
		return "left out";
	if (means == PROBE_MEANS_KPROBE) {
		if (!OUR_REGISTERS)
			return "kprobes are only used on x86_64 and arm64";
		if (!exists("/sys/bus/event_source/devices/kprobe/type") &&
		    !exists("/sys/kernel/tracing/kprobe_events") &&
		    !exists("/sys/kernel/debug/tracing/kprobe_events"))
			return "this kernel has no kprobes (CONFIG_KPROBE_EVENTS), or /sys is "
			       "hidden";
	}
	if ((means == PROBE_MEANS_TP_BTF || means == PROBE_MEANS_TRAMPOLINE) && !has_btf())
		return "there is no /sys/kernel/btf/vmlinux (CONFIG_DEBUG_INFO_BTF)";
	return NULL;
}

static void fail(struct probe_provider_state *s, const char *why)
{
	s->failed = true;
	if (!s->why[0])
		snprintf(s->why, sizeof(s->why), "%s", why);
}

static void rule_out(struct probe_set *set)
{
	int f, i;

	for (f = 0; f < PROBE_FACTS; f++)
		for (i = 0; i < PROBE_PROVIDERS; i++) {
			const struct probe_provider *p = &probe_plans[f].providers[i];
			const char *why = p->means ? hopeless(set, p->means, p->name) : NULL;

			if (why)
				fail(&set->state[f][i], why);
		}
	set->use_perf = left_out(set, "ringbuf");
	if (!set->use_perf && libbpf_probe_bpf_map_type(BPF_MAP_TYPE_RINGBUF, NULL) != 1)
		set->use_perf = true; /* before Linux 5.8 */
}

/* ---- choice */

static bool state_is(const struct probe_set *set, enum probe_means means)
{
	int chosen = set->chosen[PROBE_FACT_STATE];

	return chosen >= 0 && probe_plans[PROBE_FACT_STATE].providers[chosen].means == means;
}

static bool by_tracepoint(const struct probe_set *set)
{
	return set->chosen[PROBE_FACT_STATE] >= 0 && !state_is(set, PROBE_MEANS_KPROBE);
}

/* Is it told by the program of PROBE_FACT_STATE? */
static bool by_state(const struct probe_set *set, enum probe_fact fact)
{
	int chosen = set->chosen[fact];

	return chosen >= 0 && probe_plans[fact].providers[chosen].means == PROBE_MEANS_STATE;
}

static void choose(struct probe_set *set)
{
	int f, i;

	for (f = 0; f < PROBE_FACTS; f++) {
		const struct probe_plan *plan = &probe_plans[f];

		set->chosen[f] = -1;
		if (f == PROBE_FACT_LISTEN && by_tracepoint(set))
			continue; /* the same tracepoint tells it */
		for (i = 0; i < PROBE_PROVIDERS && plan->providers[i].means; i++)
			if (!set->state[f][i].failed) {
				set->chosen[f] = i;
				break;
			}
	}
}

/* Part n of a fact's chosen provider; NULL: none, or not to be used. */
static const struct probe_part *part(const struct probe_set *set, int f, int n)
{
	int c = set->chosen[f];
	const struct probe_part *p;

	if (c < 0)
		return NULL;
	p = &probe_plans[f].providers[c].parts[n];
	if (by_state(set, (enum probe_fact)f) && n != !state_is(set, PROBE_MEANS_TP_BTF))
		return NULL;
	return p->program && !set->state[f][c].part_failed[n] ? p : NULL;
}

/* Part n of fact f does not work. True: its provider goes on without it. */
static bool part_failed(struct probe_set *set, int f, int n, const char *why)
{
	const struct probe_provider *p = &probe_plans[f].providers[set->chosen[f]];
	struct probe_provider_state *s = &set->state[f][set->chosen[f]];

	if (!p->parts[n].optional) {
		fail(s, why);
		return false;
	}
	s->part_failed[n] = true;
	snprintf(s->why, sizeof(s->why), "without %s (%s): %s",
		 p->means == PROBE_MEANS_STATE ? "resets" : "IPv6", p->parts[n].function, why);
	return true;
}

/* ---- load */

static void set_up(struct probe_set *set)
{
	struct probes_bpf *skel = set->skel;
	int cpus = libbpf_num_possible_cpus(), most;
	struct stat st;

	skel->rodata->own_netns = stat("/proc/self/ns/net", &st) ? 0 : (uint32_t)st.st_ino;
	skel->rodata->registers = OUR_REGISTERS;
	skel->rodata->use_perf = set->use_perf;
	skel->rodata->tell_closed = by_state(set, PROBE_FACT_CLOSE);
	skel->rodata->tell_closers = by_state(set, PROBE_FACT_ACCEPT);
	skel->rodata->wake_bytes = RING_BYTES / 4;
	if (set->use_perf) {
		bpf_map__set_type(skel->maps.events, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
		bpf_map__set_key_size(skel->maps.events, sizeof(uint32_t));
		bpf_map__set_value_size(skel->maps.events, sizeof(uint32_t));
		bpf_map__set_max_entries(skel->maps.events, cpus > 0 ? (uint32_t)cpus : 1);
	} else {
		bpf_map__set_max_entries(skel->maps.events, RING_BYTES);
	}
	most = DATAGRAMS_ALL_CPUS / (cpus > 0 ? cpus : 1);
	most = most < DATAGRAMS_LEAST ? DATAGRAMS_LEAST : most;
	bpf_map__set_max_entries(skel->maps.datagrams,
				 (uint32_t)(most > DATAGRAMS_MOST ? DATAGRAMS_MOST : most));
}

static int load(struct probe_set *set)
{
	struct bpf_object_open_opts opts;
	struct bpf_program *program;
	int f, n, err;

	memset(&opts, 0, sizeof(opts));
	opts.sz = sizeof(opts);
	/* the kernel's own is right by itself; a file may be that of the kernel before an upgrade
	 */
	if (set->config->btf_path && set->config->btf_path[0] && !has_btf())
		opts.btf_custom_path = set->config->btf_path;
	errno = 0;
	set->skel = probes_bpf__open_opts(&opts);
	if (!set->skel)
		return errno ? -errno : -EINVAL;
	bpf_object__for_each_program(program, set->skel->obj)
	    bpf_program__set_autoload(program, false);
	for (f = 0; f < PROBE_FACTS; f++)
		for (n = 0; n < PROBE_PARTS; n++) {
			const struct probe_part *p = part(set, f, n);

			program =
			    p ? bpf_object__find_program_by_name(set->skel->obj, p->program) : NULL;
			if (program)
				bpf_program__set_autoload(program, true);
		}
	set_up(set);
	set->loads++;
	err = probes_bpf__load(set->skel);
	if (err) {
		probes_bpf__destroy(set->skel);
		set->skel = NULL;
	}
	return err;
}

/* Nothing was loaded. True: something else is worth a try. */
static bool after_refusal(struct probe_set *set, int err, const char *why)
{
	const char *name = probes_message_program();
	bool any = false;
	int f, n;

	if (err == -ENOSYS || ((err == -EPERM || err == -EACCES) && !probes_message_permitted()))
		return false; /* not the fault of a program */
	for (f = 0; f < PROBE_FACTS; f++)
		for (n = 0; n < PROBE_PARTS; n++) {
			const struct probe_part *p = part(set, f, n);

			if (p && !strcmp(p->program, name)) {
				part_failed(set, f, n, why);
				return true;
			}
		}
	if (err == -EPERM || err == -EACCES)
		return false;
	/* the kernel's own BTF cannot be used: those that do without it may work with another */
	for (f = 0; f < PROBE_FACTS; f++) {
		int c = set->chosen[f];
		enum probe_means m = c < 0 ? PROBE_MEANS_NONE : probe_plans[f].providers[c].means;

		if (m == PROBE_MEANS_TP_BTF || m == PROBE_MEANS_TRAMPOLINE) {
			fail(&set->state[f][c], why);
			any = true;
		}
	}
	return any;
}

/* ---- attach */

static struct bpf_link *attach(struct probe_set *set, const struct probe_provider *provider,
			       const struct probe_part *p)
{
	struct bpf_program *program = bpf_object__find_program_by_name(set->skel->obj, p->program);
	struct bpf_link *link;

	errno = 0;
	if (!program)
		return NULL;
	if (provider->means == PROBE_MEANS_KPROBE)
		link = bpf_program__attach_kprobe(program, p->returns, p->function);
	else if (provider->means == PROBE_MEANS_RAW_TP ||
		 (provider->means == PROBE_MEANS_STATE && !state_is(set, PROBE_MEANS_TP_BTF)))
		link = bpf_program__attach_raw_tracepoint(program, p->function);
	else
		link = bpf_program__attach(program);
	return libbpf_get_error(link) ? NULL : link;
}

/* True: all that is wanted is attached. */
static bool attach_all(struct probe_set *set)
{
	char why[PROBE_WHY];
	bool good = true;
	int f, n;

	for (f = 0; f < PROBE_FACTS; f++)
		for (n = 0; n < PROBE_PARTS; n++) {
			const struct probe_part *p = part(set, f, n);
			int err;

			if (!p)
				continue;
			probes_message_begin(set->config->verbose);
			set->links[f][n] =
			    attach(set, &probe_plans[f].providers[set->chosen[f]], p);
			if (set->links[f][n])
				continue;
			err = errno ? -errno : -ENOENT;
			if (err == -ENOENT || err == -EINVAL || err == -EADDRNOTAVAIL)
				snprintf(why, sizeof(why), "cannot be attached to %s here: %s",
					 p->function, fl_strerror(err));
			else
				snprintf(why, sizeof(why), "%sattaching to %s is refused: %s",
					 probes_message_cause(err), p->function, fl_strerror(err));
			if (!part_failed(set, f, n, why)) {
				good = false;
				break; /* the other facts still say what works */
			}
		}
	return good;
}

void probe_set_unload(struct probe_set *set)
{
	int f, n;

	for (f = 0; f < PROBE_FACTS; f++)
		for (n = 0; n < PROBE_PARTS; n++) {
			bpf_link__destroy(set->links[f][n]);
			set->links[f][n] = NULL;
		}
	probes_bpf__destroy(set->skel);
	set->skel = NULL;
}

int probe_set_attach(struct probe_set *set, char why[KERNEL_WHY_SIZE])
{
	char reason[PROBE_WHY];
	int err = -ENOENT;

	permissions_raise_memlock();
	libbpf_set_strict_mode(LIBBPF_STRICT_ALL); /* libbpf 0.8 as 1.0: NULL and errno */
	rule_out(set);
	while (set->loads < LOADS_MOST) {
		choose(set);
		if (set->chosen[PROBE_FACT_STATE] < 0)
			break;
		probes_message_begin(set->config->verbose);
		err = load(set);
		if (err) {
			probes_message_reason(err, reason, sizeof(reason));
			if (after_refusal(set, err, reason))
				continue;
			probes_message_mend(err, set->config->btf_path, why);
			return err > -1000 ? err : FL_EFORMAT; /* libbpf's own values */
		}
		if (attach_all(set))
			return 0;
		probe_set_unload(set);
		err = -ENOENT;
	}
	/* the host's own refusal says more than what became of each program by it */
	if (!probes_message_host(err, why))
		probe_set_why(set, PROBE_FACT_STATE, why);
	return err;
}

/* ---- telling */

void probe_set_distrust(struct probe_set *set, enum probe_fact fact, const char *why)
{
	if (fact == PROBE_FACT_LISTEN && by_tracepoint(set))
		fact = PROBE_FACT_STATE;
	if (set->chosen[fact] >= 0)
		fail(&set->state[fact][set->chosen[fact]], why);
}

const char *probe_set_provider(const struct probe_set *set, enum probe_fact fact)
{
	if (!set->skel)
		return NULL;
	if ((fact == PROBE_FACT_LISTEN && by_tracepoint(set)) ||
	    (fact == PROBE_FACT_CLOSE && by_state(set, fact)))
		fact = PROBE_FACT_STATE;
	return set->chosen[fact] < 0 ? NULL : probe_plans[fact].providers[set->chosen[fact]].name;
}

void probe_set_why(const struct probe_set *set, enum probe_fact fact, char why[KERNEL_WHY_SIZE])
{
	const struct probe_plan *plan = &probe_plans[fact];
	size_t used = 0;
	int i, last;

	why[0] = 0;
	if (fact == PROBE_FACT_LISTEN && by_tracepoint(set))
		return;
	/* those behind the one that works were not wanted */
	last = probe_set_provider(set, fact) ? set->chosen[fact] : PROBE_PROVIDERS - 1;
	for (i = 0; i <= last && plan->providers[i].means; i++) {
		if (set->state[fact][i].why[0] && used < KERNEL_WHY_SIZE - 1)
			used += (size_t)snprintf(why + used, KERNEL_WHY_SIZE - used, "%s%s: %s",
						 used ? "; " : "", plan->providers[i].name,
						 set->state[fact][i].why);
	}
	if (!probe_set_provider(set, fact) && used < KERNEL_WHY_SIZE - 1)
		snprintf(why + used, KERNEL_WHY_SIZE - used, "%s%s", used ? "; " : "",
			 plan->without);
}

bool probe_set_program(const struct probe_set *set, size_t n, const char **name, uint64_t *run_ns,
		       uint64_t *runs)
{
	struct bpf_prog_info info;
	struct bpf_program *program;
	uint32_t len = sizeof(info);
	const struct probe_part *p;
	size_t i;

	for (i = 0; i < (size_t)PROBE_FACTS * PROBE_PARTS; i++) {
		p = set->skel ? part(set, (int)(i / PROBE_PARTS), (int)(i % PROBE_PARTS)) : NULL;
		if (!p || n--)
			continue;
		program = bpf_object__find_program_by_name(set->skel->obj, p->program);
		memset(&info, 0, sizeof(info));
		if (!program || bpf_obj_get_info_by_fd(bpf_program__fd(program), &info, &len))
			return false;
		*name = p->program;
		*run_ns = info.run_time_ns;
		*runs = info.run_cnt;
		return true;
	}
	return false;
}

void probe_set_run_time(const struct probe_set *set, uint64_t *run_ns, uint64_t *runs)
{
	uint64_t ns, count;
	const char *name;
	size_t n;

	*run_ns = *runs = 0;
	for (n = 0; probe_set_program(set, n, &name, &ns, &count); n++) {
		*run_ns += ns;
		*runs += count;
	}
}
