/* probes_plan.h - which eBPF programs tell what, best first: the table of probes_attach.c.
 */
#ifndef COLLECTOR_PROBES_PLAN_H
#define COLLECTOR_PROBES_PLAN_H

#include <stdbool.h>

#include "collector/probes_attach.h"

enum probe_means {
	PROBE_MEANS_NONE, /* ends the list of providers */
	PROBE_MEANS_TP_BTF,
	PROBE_MEANS_RAW_TP,
	PROBE_MEANS_TRAMPOLINE, /* fentry, fexit: Linux 5.5, and on arm64 6.0 */
	PROBE_MEANS_KPROBE,
	/* The program of PROBE_FACT_STATE tells it, and for the rest there is a tracepoint: its first
	 * part is of tp_btf, its second of raw_tp; the one that PROBE_FACT_STATE has, too. */
	PROBE_MEANS_STATE,
};

struct probe_part {
	const char *program;  /* its name in filters/probes.bpf.c; NULL ends the list */
	const char *function; /* of the kernel, or the tracepoint's name */
	bool returns;         /* a kprobe at its end */
	bool optional;        /* of IPv6, or resets: the provider does without */
};

struct probe_provider {
	enum probe_means means;
	const char *name; /* for people */
	struct probe_part parts[PROBE_PARTS];
};

struct probe_plan {
	const char *fact;
	struct probe_provider providers[PROBE_PROVIDERS];
	const char *without; /* what is missing where none works */
};

extern const struct probe_plan probe_plans[PROBE_FACTS];

/* A word of kernel_source_config.without for these means. */
const char *probe_means_word(enum probe_means means, const char *provider);

#endif
