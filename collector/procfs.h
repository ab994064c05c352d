/* procfs.h - which processes hold which sockets, by reading /proc (proc(5)), a little at a time.
 *
 * A full scan reads the links of /proc/PID/fd of every process. It is resumed call by call, each
 * within a given time of this thread's CPU (CLOCK_THREAD_CPUTIME_ID). Between scans, procfs_hunt()
 * looks at the few processes most likely to have just opened a socket.
 *
 * Threads: a struct procfs belongs to one thread. Other users' processes need CAP_SYS_PTRACE (and
 * CAP_DAC_READ_SEARCH); without it they are counted in `denied`.
 */
#ifndef COLLECTOR_PROCFS_H
#define COLLECTOR_PROCFS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

enum { PROCFS_NAME_SIZE = 64, PROCFS_HOLDERS = 4, PROCFS_NETNS_MAX = 256 };

struct procfs_process {
	uint32_t pid; /* of the process, not of a thread */
	uint64_t
	    start_ticks; /* since boot; together with pid it names a process once and for all */
	char name[PROCFS_NAME_SIZE]; /* comm: any bytes but 0 */
};

/* A network namespace that some process lives in. */
struct procfs_netns {
	uint32_t inode;
	uint32_t pid; /* one of them */
};

struct procfs_stats {
	uint64_t rounds;        /* full scans that went through */
	uint64_t processes;     /* in the last one */
	uint64_t links;         /* links read, since the start */
	uint64_t denied;        /* processes of the last one whose files may not be seen */
	uint64_t sockets;       /* inodes known now */
	uint64_t sockets_full;  /* sockets left out because the table was full, since the start */
	uint64_t hunts, hunted; /* procfs_hunt() calls; processes they looked at */
	uint64_t round_cpu_ns;  /* CPU time of the last full scan */
};

struct procfs;

/* root: where /proc is, copied; NULL: "/proc". All memory is taken here: 46 B a socket, touched
 * when used. 0 or -errno. */
int procfs_new(struct procfs **out, const char *root, uint32_t max_sockets) MUST_CHECK;
void procfs_free(struct procfs *p);

/* Go on with the full scan for about cpu_ns (at least one step). 1: it went through, the next call
 * begins another; 0: there is more to do; or -errno where root cannot be read at all. */
int procfs_scan(struct procfs *p, uint64_t cpu_ns) MUST_CHECK;

/* Look for the holders of these inodes in the processes that opened sockets lately, those that were
 * started lately, and those that had sockets in the last full scan, for about cpu_ns. Returns how
 * many of them are known then. */
size_t procfs_hunt(struct procfs *p, const uint32_t *inodes, size_t n, uint64_t cpu_ns);

/* Processes that hold the socket. Of many holders only those with the lowest and the highest pid
 * are kept (of the last full scan, and of the one under way). Alive ones only, each read anew,
 * oldest first; returns how many, at most PROCFS_HOLDERS. */
size_t procfs_holders(struct procfs *p, uint32_t inode, struct procfs_process out[PROCFS_HOLDERS]);

/* Who is it? 0, or -errno (-ENOENT, -ESRCH: gone). */
int procfs_process_read(const struct procfs *p, uint32_t pid,
			struct procfs_process *out) MUST_CHECK;

/* The network namespaces seen in the last full scan, in no order; borrowed until the next call. */
size_t procfs_netns(const struct procfs *p, const struct procfs_netns **list);

const struct procfs_stats *procfs_stats(struct procfs *p);

/* This thread's CPU time. */
uint64_t procfs_cpu_ns(void);

/* Out of the text of /proc/PID/stat; false where it is none. */
bool procfs_parse_stat(const char *text, size_t len, struct procfs_process *out);

#endif
