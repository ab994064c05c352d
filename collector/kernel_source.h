/* kernel_source.h - a source of the kernel's own figures: sockets (sock_diag, no eBPF) or probes
 * (eBPF). What is not built in is another file with the same struct whose probe says so.
 *
 * Threads: belongs to the thread of the engine.
 */
#ifndef COLLECTOR_KERNEL_SOURCE_H
#define COLLECTOR_KERNEL_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "flows/kernel.h"

enum { KERNEL_WHY_SIZE = 512, KERNEL_FACTS_MOST = 32 };

/* Who made or accepted a connection, as a probe saw it; 0 and "": not known. */
struct kernel_process {
	uint32_t pid;
	char comm[16];      /* 0-terminated */
	uint64_t cgroup_id; /* of cgroup v2; 0: not known */
	bool at_close;      /* it closes an accepted connection: had nobody told of it before, it is its */
};

struct kernel_sink {
	/* A sample, at once; the sink keeps it back until the frames from before it have come. who
	 * may be NULL. */
	void (*sample)(void *ctx, const struct kernel_sample *s, const struct kernel_process *who);
	/* Someone listens, or no longer: the list is to be read again. */
	void (*listeners)(void *ctx);
	void *ctx;
};

/* One thing that a source can know, and by which means: for `flowline doctor`, and -v. */
struct kernel_fact {
	const char *name; /* static: "connect", "accept", "close", "udp" ... */
	const char *provider; /* static: what works: "tp_btf/inet_sock_set_state", "kprobe/inet_csk_accept",
			         "sock_diag"; NULL: nothing does */
	char why[KERNEL_WHY_SIZE]; /* what did not work before that, and what would mend it; "": nothing */
};

struct kernel_source_stats {
	uint64_t events;     /* read: destroyed sockets, or events of probes */
	uint64_t lost;       /* of those: the buffer was full (ENOBUFS, or the ring's own count) */
	uint64_t dumps;      /* lists of all sockets that were read */
	uint64_t sockets;    /* in the last one */
	uint64_t map_full;   /* entries that had no room in a map of the kernel's */
	uint64_t dump_cpu_ns; /* CPU time of the last dump, reading and counting */
	uint64_t run_ns, runs; /* of the kernel's probes, where kernel.bpf_stats_enabled is on */
	/* counted by probes, of all sockets of the machine; 0 where they are not attached */
	uint64_t retransmits, synack_retransmits, resets_sent, resets_received;
};

struct kernel_source; /* each source defines its own and casts */

struct kernel_source_config {
	const char *btf_path; /* kernel.btf_path; "": the kernel's own, /sys/kernel/btf/vmlinux */
	bool verbose;         /* -v: the verifier's last lines are wanted */
	/* For tests: kinds of providers not to be tried, such as "tp_btf raw_tp fentry fexit kprobe state
	 * ringbuf", or one provider's name, such as "kprobe/ip_send_skb"; NULL: none. */
	const char *without;
	bool dumps_only;      /* socket source: not told of closed ones, another source does that */
	/* A port on 127.0.0.1 that the proof listens at, or to which it tried to connect: what has
	 * it at an end now is the source's own, also where open() fails. NULL: nobody wants to know. */
	void (*own)(void *ctx, uint16_t port);
	void *own_ctx;
};

struct kernel_source_ops {
	const char *name; /* "socket", "probe" */
	/* Open, and prove by a connection of one's own on loopback that it tells what it should. 0, or
	 * negative and in why[] a sentence that says why not and what would mend it; takes at most half
	 * a second for the proof. The proof's own connection is told to nobody. */
	int (*open)(struct kernel_source **s, const struct kernel_source_config *config,
		    const struct kernel_sink *sink, char why[KERNEL_WHY_SIZE]);
	int (*fd)(const struct kernel_source *s); /* to poll for reading; -1: none */
	/* Read what is there, without waiting, a bounded number. 0, or negative (why[] set): it is of no
	 * use any more. */
	int (*poll)(struct kernel_source *s, char why[KERNEL_WHY_SIZE]);
	/* Live figures of all connections, once per cycle and after lost events. first: KERNEL_OLD is
	 * set in each. NULL: this source has none, the socket source's dump does. 0 or negative. */
	int (*dump)(struct kernel_source *s, bool first, char why[KERNEL_WHY_SIZE]);
	/* Facts in the order of importance; returns how many. */
	size_t (*facts)(const struct kernel_source *s, struct kernel_fact out[KERNEL_FACTS_MOST]);
	void (*stats)(struct kernel_source *s, struct kernel_source_stats *out);
	void (*close)(struct kernel_source *s); /* NULL is fine */
	/* Behind poll(): for how many ms at most fd need not be looked at (pace.h), since what comes
	 * meanwhile surely has room; 0: look at once. NULL: always at once. */
	unsigned int (*rest_ms)(const struct kernel_source *s);
};

extern const struct kernel_source_ops kernel_source_sockets; /* collector/sockets.c */
extern const struct kernel_source_ops kernel_source_probes; /* collector/probes.c, or probes_none.c */

#endif
