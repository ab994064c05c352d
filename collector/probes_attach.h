/* probes_attach.h - for each fact the first provider that works: loads and attaches the eBPF
 * programs of filters/probes.bpf.c.
 *
 * One object holds all programs and their maps. Which of them this kernel takes is found out by
 * trying: what it refuses, to load or to attach, is left out, and all is loaded again with the next
 * provider of that fact.
 *
 * Threads: one at a time; libbpf's messages go through one function for the whole program.
 */
#ifndef COLLECTOR_PROBES_ATTACH_H
#define COLLECTOR_PROBES_ATTACH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "collector/kernel_source.h"
#include "common/error.h"

struct probes_bpf;
struct bpf_link;

/* In the order of importance; the first is the one that must be there. */
enum probe_fact {
	PROBE_FACT_STATE, /* connect, established */
	PROBE_FACT_ACCEPT,
	PROBE_FACT_CLOSE,
	PROBE_FACT_RETURN, /* the errno of a connect() that fails at once */
	PROBE_FACT_LISTEN,
	PROBE_FACT_BIND,
	PROBE_FACT_UDP_SENT,
	PROBE_FACT_UDP_RECEIVED,
	PROBE_FACT_RETRANSMIT,
	PROBE_FACT_SYNACK,
	PROBE_FACT_RESET_SENT,
	PROBE_FACT_RESET_RECEIVED,
	PROBE_FACTS
};

enum { PROBE_PROVIDERS = 4, PROBE_PARTS = 4, PROBE_WHY = 160 };

struct probe_provider_state {
	bool failed;
	bool part_failed[PROBE_PARTS]; /* one that it can do without */
	char why[PROBE_WHY];
};

struct probe_set {
	struct probes_bpf *skel;
	struct bpf_link *links[PROBE_FACTS][PROBE_PARTS];
	int chosen[PROBE_FACTS]; /* index of the provider; -1: none works */
	struct probe_provider_state state[PROBE_FACTS][PROBE_PROVIDERS];
	bool use_perf; /* events by perf buffer, not ring buffer */
	char why_perf[PROBE_WHY];
	int loads;                                 /* times the object was loaded */
	const struct kernel_source_config *config; /* borrowed while programs are attached */
};

/* Load and attach what works, but no provider that is failed already. 0, or negative and why[] a
 * sentence: nothing is loaded. set is all zero at first. */
int probe_set_attach(struct probe_set *set, char why[KERNEL_WHY_SIZE]) MUST_CHECK;

/* Its programs are attached, but do not tell what they should. Counts from the next attach on. */
void probe_set_distrust(struct probe_set *set, enum probe_fact fact, const char *why);

/* Detach and unload; what was learned stays. */
void probe_set_unload(struct probe_set *set);

/* NULL: nothing tells it. Static. */
const char *probe_set_provider(const struct probe_set *set, enum probe_fact fact);

/* What was tried before and did not work, and what is missing without. */
void probe_set_why(const struct probe_set *set, enum probe_fact fact, char why[KERNEL_WHY_SIZE]);

/* Time and number of all runs of the attached programs (kernel.bpf_stats_enabled; Linux 5.1). */
void probe_set_run_time(const struct probe_set *set, uint64_t *run_ns, uint64_t *runs);

/* What the n-th attached program is called and took; false: no more. For tests and benchmarks. */
bool probe_set_program(const struct probe_set *set, size_t n, const char **name, uint64_t *run_ns,
		       uint64_t *runs);

#endif
