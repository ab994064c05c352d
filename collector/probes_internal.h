/* probes_internal.h - what the files of the probe source share: probes.c (open, facts, figures),
 * probes_events.c (events to samples), probes_datagrams.c (the map of UDP tuples), probes_proof.c.
 *
 * Threads: the engine's.
 */
#ifndef COLLECTOR_PROBES_INTERNAL_H
#define COLLECTOR_PROBES_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "collector/kernel_source.h"
#include "collector/probes_attach.h"
#include "filters/probes.h"

struct ring_buffer;
struct perf_buffer;

enum { PROBE_POLL_MOST = 16384 };

struct probes {
	struct probe_set set;
	struct kernel_source_config config;
	char *btf_path;
	struct kernel_sink sink;
	struct ring_buffer *ring; /* one of these two */
	struct perf_buffer *perf;
	int epoll, timer; /* what fd() gives: of the ring, and of the next look at it; -1: none */
	int cpus;         /* possible ones: values of a per-CPU map */
	void *values;     /* room for one value of each CPU */
	struct probe_tuple *tuples; /* room for the keys of the map of UDP tuples */
	uint32_t tuples_most;

	int64_t offset_ns;     /* add to the monotonic clock for the time of day */
	uint64_t offset_at_ns; /* monotonic: when it was taken */
	uint64_t binds;        /* the counter, when it was looked at */
	uint64_t binds_at_ns;
	bool pid_foreign; /* the kernel's pids are not those of our /proc */
	bool listeners;   /* changed, to be told after this poll */
	int budget;       /* events that this poll may still read */
	struct kernel_source_stats stats;

	struct probe_proof *proof; /* while it runs: events go there */
	uint16_t proof_ports[3];   /* of our own connections, host byte order */
	uint64_t proof_until_ns;   /* monotonic: what has one of these until then is of the proof */
};

uint64_t probes_now_ns(void); /* monotonic */

/* Sum of a counter over all CPUs (enum probe_count). */
uint64_t probes_count(struct probes *p, uint32_t which);

/* Open the ring or the perf buffer of the attached programs. 0 or -errno. */
int probes_events_open(struct probes *p) MUST_CHECK;
void probes_events_close(struct probes *p);
int probes_events_fd(const struct probes *p);
/* Take what is there, at most PROBE_POLL_MOST. 0 or -errno. */
int probes_events_read(struct probes *p) MUST_CHECK;

/* The sample of an event. offset_ns: add to the event's times for the time of day. False: nothing
 * to tell (loopback of another namespace, whose tuples say nothing here). */
bool probes_event_sample(const struct probe_event *e, int64_t offset_ns, bool pid_foreign,
			 struct kernel_sample *s, struct kernel_process *who);

/* Tell and forget who has sent and received datagrams. 0 or -errno. */
int probes_datagrams_dump(struct probes *p) MUST_CHECK;
bool probes_datagrams_known(struct probes *p, const struct probe_tuple *t);

/* Connections of our own on loopback: facts of which nothing comes are distrusted. True: all that
 * is attached is proven; else why[] says what is not. *again: another provider may do better. */
bool probes_prove(struct probes *p, bool *again, char why[KERNEL_WHY_SIZE]);
void probes_proof_event(struct probes *p, const struct probe_event *e);

#endif
