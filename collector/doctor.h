/* doctor.h - `flowline doctor`: what works on this host, why the rest does not, and what would mend
 * it.
 *
 * Nothing is guessed from versions: each source is opened, proves itself with a connection of its
 * own on loopback as at the start of a run, and is closed again. Nothing stays behind.
 *
 * Threads: one.
 */
#ifndef COLLECTOR_DOCTOR_H
#define COLLECTOR_DOCTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "collector/buffer.h"
#include "collector/ifaces.h"
#include "collector/kernel_source.h"
#include "collector/options.h"
#include "conf/conf.h"
#include "geoip/geoip.h"

enum {
	DOCTOR_WORD_SIZE = 128,
	DOCTOR_COMMAND_SIZE = 512,
	DOCTOR_INTERFACES_MOST = 64, /* WATCHES_MOST */
	DOCTOR_MENDS_MOST = 16,
	DOCTOR_ANSWER_MOST = 1 << 20, /* bytes of the page */
};

enum doctor_capability {
	DOCTOR_NET_RAW,
	DOCTOR_NET_ADMIN,
	DOCTOR_BPF,
	DOCTOR_PERFMON,
	DOCTOR_SYS_ADMIN,
	DOCTOR_SYS_PTRACE,
	DOCTOR_DAC_READ_SEARCH,
	DOCTOR_SYS_RESOURCE,
	DOCTOR_CAPABILITIES,
};

/* "CAP_NET_RAW" ... */
const char *doctor_capability_name(enum doctor_capability c);

/* The kernel, and what this process may. -1, "" and UINT64_MAX as said: not known. */
struct doctor_host {
	char release[DOCTOR_WORD_SIZE], machine[DOCTOR_WORD_SIZE]; /* uname(2) */
	unsigned int major, minor;                                 /* of the release */
	char distribution[DOCTOR_WORD_SIZE];                       /* os-release(5); "" */
	unsigned int uid;                                          /* effective */
	bool has[DOCTOR_CAPABILITIES];                             /* effective */
	bool user_namespace; /* not the first: capabilities do not count for the kernel's own */
	char lockdown[DOCTOR_WORD_SIZE];  /* "none" "integrity" "confidentiality"; "": there is none
					   */
	int unprivileged_bpf_disabled;    /* sysctl kernel.unprivileged_bpf_disabled; -1 */
	uint64_t memlock_bytes;           /* RLIMIT_MEMLOCK, soft; UINT64_MAX: no limit */
	bool btf;                         /* /sys/kernel/btf/vmlinux, Linux 5.4 */
	bool kprobes;                     /* can be made, says the kernel */
	int seccomp;                      /* 0: none, 1: strict, 2: filter; -1 */
	char container[DOCTOR_WORD_SIZE]; /* "docker" ...; "": no sign of one */
	bool forward4, forward6;          /* net.ipv4.ip_forward, net.ipv6.conf.all.forwarding */
};

/* root: before /proc, /sys and the others; "" but in tests. */
void doctor_host(struct doctor_host *h, const char *root);

/* One of the pieces that a tier is made of. */
struct doctor_piece {
	bool works;
	char why[KERNEL_WHY_SIZE]; /* why not, and what would mend it */
};

struct doctor_interface {
	char name[IFACE_NAME_SIZE]; /* "": all */
	bool there;
	struct doctor_piece ring;
};

struct doctor_source {
	struct doctor_piece all; /* works: it could be opened, and facts[] say what it knows */
	bool tier;               /* a run can take its tier; else it is of some use, or of none */
	struct kernel_fact facts[KERNEL_FACTS_MOST];
	size_t nfacts;
};

struct doctor_database {
	char path[DOCTOR_COMMAND_SIZE];
	char fields[64]; /* "country province city" */
	bool loaded;
	uint64_t built_s; /* since the epoch; 0: not known */
};

struct doctor_mend {
	char what[DOCTOR_COMMAND_SIZE];    /* what it would bring */
	char command[DOCTOR_COMMAND_SIZE]; /* for a shell, or a setting */
};

struct doctor {
	struct doctor_host host;
	const char *libbpf;      /* its version; NULL: not built in */
	const char *config_file; /* borrowed; NULL: none was read */
	bool verbose;
	/* tiers */
	struct doctor_interface interfaces[DOCTOR_INTERFACES_MOST];
	size_t ninterfaces;
	bool packet_works; /* every interface that is there has a ring */
	struct doctor_source socket, probe;
	struct doctor_piece ebpf_filter;
	const char *filter;      /* which one the rings would have: tiers_filter_name() */
	bool narrowed;           /* a run would, now */
	enum conf_narrow narrow; /* the configuration's, as is: */
	enum conf_count_udp count_udp;
	const char *btf_path; /* borrowed; "": the kernel's own */
	bool excludes;        /* capture.exclude has rules, which the eBPF filter does not know */
	/* processes */
	bool processes_enabled;
	bool scanned;               /* /proc was read to its end */
	uint64_t processes, denied; /* seen; of those: their sockets may not be looked at */
	uint64_t namespaces, namespaces_denied;
	char processes_why[KERNEL_WHY_SIZE]; /* owners_limits(); "": all is permitted */
	struct doctor_database databases[GEOIP_DATABASES_MAX];
	size_t ndatabases;
	char geoip_why[GEOIP_WHY_SIZE];
	/* the choice */
	enum conf_capture_mode mode;  /* the configuration's */
	const char *tier_auto, *tier; /* which auto takes; which `mode` takes. NULL: no packets */
	struct doctor_mend mends[DOCTOR_MENDS_MOST];
	size_t nmends;
};

/* Open everything and close it again; o must outlive d. Tells what is wrong in d, nothing is
 * logged but with -v. */
void doctor_try(struct doctor *d, const struct options *o);

/* mends[], of all the rest; `program` is this program's file, as a shell takes it. */
void doctor_advise(struct doctor *d, const char *program);

/* The page, and docs/kernel.md's JSON. */
void doctor_text(struct buffer *b, const struct doctor *d);
void doctor_json(struct buffer *b, const struct doctor *d);

/* The version of libbpf that is built in; NULL: none is. (doctor_ebpf.c, doctor_ebpf_none.c) */
const char *doctor_libbpf(void);

#endif
