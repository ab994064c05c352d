/* owners.h - who on this host is at the end of a flow: tuple -> pid, process name, container.
 *
 * Joins sockdiag (tuple -> inode), procfs (inode -> pid) and cgroup (pid -> container). The rules
 * and their limits: docs/processes.md.
 *
 * Time:    now_ns is CLOCK_MONOTONIC.
 * Threads: a struct owners belongs to one thread. It makes short-lived helper threads of its own,
 * which enter other network namespaces. Cost:    all calls together stay within cpu_share of one
 * CPU, averaged over ten seconds; what is not affordable now waits. A single call ends soon after
 * the credit of that time is used up, but a dump that was begun is read to its end.
 */
#ifndef COLLECTOR_OWNERS_H
#define COLLECTOR_OWNERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "collector/sockdiag.h"
#include "common/error.h"
#include "common/text.h"
#include "flows/packet.h"

struct kernel_process; /* collector/kernel_source.h */

enum { OWNER_NONE = 0 };

struct owners_config {
	const char *proc;     /* "/proc"; must stay */
	double cpu_share;     /* processes.cpu_share: 0.01 is 1 % of one CPU */
	uint32_t max_owners;  /* at most 65535 */
	uint32_t max_sockets; /* inodes whose process is remembered */
	uint32_t max_queue;   /* ends of flows that wait */
	uint32_t max_netns;   /* 1: only our own; at most 255 */
	uint64_t
	    rescan_ns; /* a full scan of /proc begins this often; at once where one is needed */
	/* Has this connection ended at both sides, as far as its packets tell? Its socket is nobody's
	 * then, and who listens there is the last answer. Asked in owners_work(). NULL: not known. */
	bool (*over)(void *ctx, const struct flow_key *key);
	void *over_ctx;
};

void owners_config_default(struct owners_config *c);

struct owners;

/* All memory is taken here. 0, or -errno. */
int owners_new(struct owners **out, const struct owners_config *c) MUST_CHECK;
void owners_free(struct owners *o);

enum owners_result {
	OWNERS_KNOWN, /* the process that holds the connection's socket, or the bound UDP socket */
	OWNERS_LISTENER, /* who listens there: nobody holds the connection itself (yet, or any more)
			  */
	OWNERS_LATER, /* there is a socket, but its process is not found yet; or not affordable now
		       */
	OWNERS_NO_SOCKET,
};

/* One end of a flow. */
struct owners_request {
	struct sock_end local, remote;
	uint8_t proto;
	/* results: */
	enum owners_result result;
	uint32_t owner;
};

/* Fill in the results, now, as far as the CPU's share allows. */
void owners_resolve(struct owners *o, struct owners_request *r, size_t n, uint64_t now_ns);

/* ---- the queue: new flows in, owners out ------------------------------------------------------
 */

/* A new flow; ends: bit 0, end 0 of the key is this host's; bit 1, end 1. False: the queue is full
 * (counted). No system call. */
bool owners_add(struct owners *o, const struct flow_key *key, unsigned int ends, uint64_t now_ns);

/* An end's owner. final: there will be no other answer for this flow; else a better one may follow
 * (the process that accepts after the one that listens). OWNER_NONE comes only with final. */
typedef void (*owners_found)(void *ctx, const struct flow_key *key, int end, uint32_t owner,
			     bool final);

/* Answer what waits and is due; to call every 10 to 50 ms. Unanswered ones are tried again after 10
 * ms, 30 ms, 100 ms ... 3 s, then given up; those whose socket is gone after 10 ms. Also goes on
 * with the scan of /proc, as the CPU's share allows. */
void owners_work(struct owners *o, uint64_t now_ns, owners_found found, void *ctx);

/* ---- owners -----------------------------------------------------------------------------------
 */

struct owner {
	uint32_t pid;
	struct text process_name; /* comm; any bytes but 0 */
	struct text container_id; /* 64 hexadecimal digits; length 0: none */
};

/* Borrowed until the next call that resolves. NULL: OWNER_NONE, or its place was needed for another
 * (an id is not given out again soon: 16 bits of it are a generation). */
const struct owner *owners_get(struct owners *o, uint32_t id);

/* ---- once per cycle ---------------------------------------------------------------------------
 */

struct owners_listener {
	struct ip_addr addr; /* 0.0.0.0 or ::, every address; see dual */
	uint16_t port;
	uint8_t proto;
	bool dual;         /* bound to :: and takes IPv4 too */
	bool maybe_client; /* UDP, a port of the range that the kernel gives to clients */
};

/* Sockets that listen (TCP) or are bound without a peer (UDP), in all namespaces looked into. One
 * may be told several times. 0; -EAGAIN: not affordable now; or -errno. */
int owners_listening(struct owners *o, uint64_t now_ns,
		     void (*each)(void *ctx, const struct owners_listener *l),
		     void *ctx) MUST_CHECK;

/* The kernel's figures of every TCP connection, in all namespaces (own: in our own, too); tcp.has
 * says which there are (0: out of /proc/net, none). The key's end `end` is the one that the figures
 * are of; on loopback each end comes with its own. Returns as above. */
int owners_tcp_info(struct owners *o, uint64_t now_ns, bool own,
		    void (*each)(void *ctx, const struct flow_key *key, int end,
				 const struct sock_tcp *tcp),
		    void *ctx) MUST_CHECK;

/* ---- what a probe tells ------------------------------------------------------------------------
 */

/* The number of a process that a probe saw making or taking a connection; who->pid is not 0. Reads
 * /proc/PID at most once in a while, and while the CPU's share allows; where the process is gone it
 * has the name that the probe saw, and a container that is known of its control group. Never
 * OWNER_NONE. */
uint32_t owners_adopt(struct owners *o, const struct kernel_process *who, uint64_t now_ns);

struct owners_stats {
	uint64_t known, listener, none; /* final answers */
	uint64_t over;                  /* of listener: without asking for the connection's socket */
	uint64_t queued, queue_full;    /* waiting now; flows turned away, since the start */
	uint64_t owners_used, owners_evicted;
	uint64_t cpu_ns;    /* of all calls, since the start */
	uint64_t throttled; /* times that work waited for its share */
	uint64_t lookups, dumps;
	uint64_t scans, scan_cpu_ns, processes, processes_denied, sockets, sockets_full;
	uint64_t namespaces, namespaces_denied;
};

void owners_stats(struct owners *o, struct owners_stats *out);

/* What is not permitted, in a sentence with what to do about it; NULL: all is. For one message at
 * the start and for `flowline doctor`; known after the first scan. */
const char *owners_limits(struct owners *o);

#endif
