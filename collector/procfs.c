/* procfs.c - socket inodes of /proc/PID/fd.
 *
 * Each known inode has the lowest and the highest pid that held it: of the round under way (a round
 * is one full scan) and of the one before, since a round may take many seconds and what it has seen
 * so far may be one holder of several. Inodes that a whole round did not see are forgotten.
 *
 * A pid that was seen holding a socket may be another process by now. It is the same one if it was
 * started before it was seen: no start time needs to be read while scanning.
 */
#include "collector/procfs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/syscall.h>

#include "common/index.h"
#include "common/memory.h"

enum {
	PROCFS_ROOT = 512,
	PROCFS_PATH = PROCFS_ROOT + 64,
	PROCFS_LINKS = 32,    /* between two looks at the clock */
	PROCFS_NEWBORN = 16,  /* the latest pids, which each hunt looks at first */
	PROCFS_BORN = 256,    /* the latest pids, which each hunt looks at at all */
	PROCFS_BUSY = 32,     /* the processes in which sockets were found last */
	PROCFS_USERS = 16384, /* the processes that had sockets in a full scan */
};

struct holder {
	uint32_t inode, round;
	uint32_t seen_s;            /* since boot */
	uint32_t low, high;         /* pids of this round */
	uint32_t old_low, old_high; /* of the round before; 0: none */
};

struct procfs {
	char root[PROCFS_ROOT];
	struct index
	    index; /* of holders; the inode, scrambled, is the hash: the kernel counts them */
	struct holder *holders;
	uint32_t nholders, max_holders;
	uint32_t ticks_per_s;
	/* the scan under way */
	uint32_t round;
	DIR *proc, *fds;
	uint32_t pid; /* whose fds */
	uint32_t now_s;
	uint64_t round_processes, round_denied, round_cpu_ns;
	struct procfs_netns netns[2][PROCFS_NETNS_MAX]; /* of the last round, of this one */
	size_t nnetns[2];
	uint32_t *users[2]; /* PROCFS_USERS pids: of the last round, of this one */
	uint32_t nusers[2], hunt_at;
	uint32_t busy[PROCFS_BUSY];
	uint32_t nbusy;
	struct procfs_stats stats;
};

uint64_t procfs_cpu_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static uint32_t since_boot_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_BOOTTIME, &ts);
	return (uint32_t)ts.tv_sec;
}

int procfs_new(struct procfs **out, const char *root, uint32_t max_sockets)
{
	struct procfs *p = calloc(1, sizeof(*p));
	int err;

	*out = NULL;
	if (!p)
		return -ENOMEM;
	if (!root)
		root = "/proc";
	if (strlen(root) >= sizeof(p->root)) {
		free(p);
		return -ENAMETOOLONG;
	}
	snprintf(p->root, sizeof(p->root), "%s", root);
	p->ticks_per_s = (uint32_t)sysconf(_SC_CLK_TCK);
	p->max_holders = max_sockets;
	p->round = 1;
	err = index_init(&p->index, max_sockets);
	if (!err) {
		p->holders = mem_map(max_sockets, sizeof(*p->holders));
		p->users[0] = mem_map(PROCFS_USERS, sizeof(uint32_t));
		p->users[1] = mem_map(PROCFS_USERS, sizeof(uint32_t));
		if (!p->holders || !p->users[0] || !p->users[1])
			err = -ENOMEM;
	}
	if (err) {
		procfs_free(p);
		return err;
	}
	*out = p;
	return 0;
}

void procfs_free(struct procfs *p)
{
	if (!p)
		return;
	if (p->fds)
		closedir(p->fds);
	if (p->proc)
		closedir(p->proc);
	if (p->index.base)
		index_destroy(&p->index);
	if (p->holders)
		mem_unmap(p->holders, p->max_holders, sizeof(*p->holders));
	if (p->users[0])
		mem_unmap(p->users[0], PROCFS_USERS, sizeof(uint32_t));
	if (p->users[1])
		mem_unmap(p->users[1], PROCFS_USERS, sizeof(uint32_t));
	free(p);
}

/* Inodes come from a counter of the kernel's, nobody chooses them: spreading them is enough. */
static uint32_t inode_hash(uint32_t inode)
{
	inode ^= inode >> 16;
	inode *= 0x85ebca6bU;
	return inode ^ inode >> 13;
}

static struct holder *holder_find(struct procfs *p, uint32_t inode)
{
	uint32_t at, rec;

	INDEX_FIND(&p->index, inode_hash(inode), at, rec)
	{
		if (p->holders[rec].inode == inode)
			return &p->holders[rec];
	}
	return NULL;
}

static void holder_note(struct procfs *p, uint32_t inode, uint32_t pid)
{
	struct holder *h = holder_find(p, inode);

	if (!h) {
		if (p->nholders == p->max_holders) {
			p->stats.sockets_full++;
			return;
		}
		h = &p->holders[p->nholders];
		memset(h, 0, sizeof(*h));
		h->inode = inode;
		index_insert(&p->index, inode_hash(inode), p->nholders++);
	}
	if (h->round != p->round) {
		h->old_low = h->low;
		h->old_high = h->high;
		h->low = h->high = pid;
		h->round = p->round;
	}
	if (pid < h->low)
		h->low = pid;
	if (pid > h->high)
		h->high = pid;
	h->seen_s = p->now_s;
}

/* Forget what the round that is through did not see. */
static void holders_sweep(struct procfs *p)
{
	uint32_t i = 0;

	while (i < p->nholders) {
		struct holder *h = &p->holders[i];

		if (h->round == p->round) {
			h->old_low = h->old_high = 0;
			i++;
			continue;
		}
		index_remove(&p->index, inode_hash(h->inode), i);
		p->nholders--;
		if (i == p->nholders)
			break;
		*h = p->holders[p->nholders];
		index_remove(&p->index, inode_hash(h->inode), p->nholders);
		index_insert(&p->index, inode_hash(h->inode), i);
	}
}

/* A decimal number that is the whole text; 0 where it is none. */
static uint32_t parse_pid(const char *s)
{
	uint32_t v = 0;

	for (; *s >= '0' && *s <= '9' && v < 100000000; s++)
		v = v * 10 + (uint32_t)(*s - '0');
	return *s ? 0 : v;
}

/* "socket:[123]" -> 123, "net:[123]" -> 123; 0 where it is something else. */
static uint32_t parse_link(const char *s, size_t len, const char *kind)
{
	size_t n = strlen(kind);
	uint64_t v = 0;

	if (len < n + 2 || memcmp(s, kind, n) || s[len - 1] != ']')
		return 0;
	for (s += n, len -= n + 1; len; s++, len--) {
		if (*s < '0' || *s > '9')
			return 0;
		v = v * 10 + (uint64_t)(*s - '0');
		if (v > UINT32_MAX)
			return 0;
	}
	return (uint32_t)v;
}

/* A process with sockets is likely to open more of them. */
static void note_user(struct procfs *p, uint32_t pid)
{
	uint32_t n = p->nusers[1];

	if (n < PROCFS_USERS && !(n && p->users[1][n - 1] == pid))
		p->users[1][p->nusers[1]++] = pid;
}

/* Read the links of an open /proc/PID/fd until it ends or the time is over; true where it ended. */
static bool read_fds(struct procfs *p, DIR *fds, uint32_t pid, uint64_t end_ns)
{
	const struct dirent *e;
	char link[64];
	unsigned int n = 0;
	uint32_t inode;
	ssize_t len;

	p->now_s = since_boot_s();
	while ((e = readdir(fds)) != NULL) {
		if (e->d_name[0] == '.')
			continue;
		len = readlinkat(dirfd(fds), e->d_name, link, sizeof(link));
		p->stats.links++;
		inode = len > 0 ? parse_link(link, (size_t)len, "socket:[") : 0;
		if (inode)
			holder_note(p, inode, pid);
		if (inode && fds == p->fds)
			note_user(p, pid);
		if (++n % PROCFS_LINKS == 0 && procfs_cpu_ns() >= end_ns)
			return false;
	}
	return true;
}

static DIR *open_fds(const struct procfs *p, uint32_t pid)
{
	char path[PROCFS_PATH];

	snprintf(path, sizeof(path), "%s/%u/fd", p->root, pid);
	return opendir(path);
}

static void note_netns(struct procfs *p, uint32_t pid)
{
	char path[PROCFS_PATH], link[64];
	uint32_t inode;
	ssize_t len;
	size_t i;

	snprintf(path, sizeof(path), "%s/%u/ns/net", p->root, pid);
	len = readlink(path, link, sizeof(link));
	inode = len > 0 ? parse_link(link, (size_t)len, "net:[") : 0;
	for (i = 0; inode && i < p->nnetns[1]; i++)
		if (p->netns[1][i].inode == inode)
			return;
	if (inode && i < PROCFS_NETNS_MAX) {
		p->netns[1][i].inode = inode;
		p->netns[1][i].pid = pid;
		p->nnetns[1]++;
	}
}

static int round_begin(struct procfs *p)
{
	p->proc = opendir(p->root);
	if (!p->proc)
		return -errno;
	p->round++;
	p->round_processes = p->round_denied = p->round_cpu_ns = 0;
	p->nnetns[1] = 0;
	p->nusers[1] = 0;
	return 0;
}

static void round_end(struct procfs *p)
{
	uint32_t *users = p->users[0];

	p->users[0] = p->users[1];
	p->users[1] = users;
	p->nusers[0] = p->nusers[1];
	closedir(p->proc);
	p->proc = NULL;
	holders_sweep(p);
	memcpy(p->netns[0], p->netns[1], p->nnetns[1] * sizeof(p->netns[1][0]));
	p->nnetns[0] = p->nnetns[1];
	p->stats.rounds++;
	p->stats.processes = p->round_processes;
	p->stats.denied = p->round_denied;
}

/* The next process of the scan; false where there is none left. */
static bool next_process(struct procfs *p)
{
	const struct dirent *e;

	while ((e = readdir(p->proc)) != NULL) {
		p->pid = parse_pid(e->d_name);
		if (!p->pid)
			continue;
		p->round_processes++;
		note_netns(p, p->pid);
		p->fds = open_fds(p, p->pid);
		if (!p->fds && (errno == EACCES || errno == EPERM))
			p->round_denied++;
		return true;
	}
	return false;
}

int procfs_scan(struct procfs *p, uint64_t cpu_ns)
{
	uint64_t begin = procfs_cpu_ns(), now = begin, end = begin + cpu_ns;
	int err, done = 0;

	if (!p->proc) {
		err = round_begin(p);
		if (err)
			return err;
	}
	do {
		if (!p->fds && !next_process(p)) {
			done = 1;
			round_end(p);
		} else if (p->fds && read_fds(p, p->fds, p->pid, end)) {
			closedir(p->fds);
			p->fds = NULL;
		}
		now = procfs_cpu_ns();
	} while (!done && now < end);
	p->round_cpu_ns += now - begin;
	if (done)
		p->stats.round_cpu_ns = p->round_cpu_ns;
	return done;
}

/* ---- hunting --------------------------------------------------------------------------------- */

static ssize_t read_file(const struct procfs *p, const char *name, char *buf, size_t size)
{
	char path[PROCFS_PATH];
	ssize_t n;
	int fd, err;

	snprintf(path, sizeof(path), "%s/%s", p->root, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	n = read(fd, buf, size - 1);
	err = errno;
	close(fd);
	if (n < 0)
		return -err;
	buf[n] = 0;
	return n;
}

/* The pid given out last: the last word of /proc/loadavg. 0 where it is not known. */
static uint32_t last_pid(const struct procfs *p)
{
	char text[128], *word;
	ssize_t n = read_file(p, "loadavg", text, sizeof(text));

	if (n <= 0)
		return 0;
	if (text[n - 1] == '\n')
		text[n - 1] = 0;
	word = strrchr(text, ' ');
	return word ? parse_pid(word + 1) : 0;
}

/* Pids are of threads too, whose /proc/TID exists without being listed: the process's, or 0. */
static uint32_t thread_process(const struct procfs *p, uint32_t tid)
{
	char name[32], text[1024];
	const char *at;
	ssize_t n;

	/* Signal 0 to a process by its first thread's number; EPERM: it exists. Saves reading a
	 * file. */
	if (syscall(SYS_tgkill, tid, tid, 0) == 0 || errno == EPERM)
		return tid;
	snprintf(name, sizeof(name), "%u/status", tid);
	n = read_file(p, name, text, sizeof(text));
	at = n > 0 ? strstr(text, "\nTgid:") : NULL;
	return at ? (uint32_t)strtoul(at + 6, NULL, 10) : 0;
}

static size_t count_known(struct procfs *p, const uint32_t *inodes, size_t n)
{
	size_t i, known = 0;

	for (i = 0; i < n; i++)
		known += holder_find(p, inodes[i]) != NULL;
	return known;
}

static void note_busy(struct procfs *p, uint32_t pid)
{
	uint32_t i;

	for (i = 0; i < PROCFS_BUSY; i++)
		if (p->busy[i] == pid)
			return;
	p->busy[p->nbusy++ % PROCFS_BUSY] = pid;
}

/* All files of one process. Returns whether it exists. */
static bool hunt_process(struct procfs *p, uint32_t pid, uint64_t end_ns)
{
	uint32_t before = p->nholders, process;
	DIR *fds = open_fds(p, pid);

	if (!fds)
		return errno != ENOENT;
	process = thread_process(p, pid);
	if (process) {
		p->stats.hunted++;
		(void)read_fds(p, fds, process, end_ns);
	}
	closedir(fds);
	if (process && p->nholders > before)
		note_busy(p, process);
	return true;
}

/* The i-th process of a hunt; 0: none. */
static uint32_t candidate(struct procfs *p, uint32_t i, uint32_t last)
{
	if (i < PROCFS_NEWBORN)
		return i < last ? last - i : 0;
	i -= PROCFS_NEWBORN;
	if (i < PROCFS_BUSY)
		return p->busy[i];
	i = i - PROCFS_BUSY + PROCFS_NEWBORN;
	if (i < PROCFS_BORN)
		return i < last ? last - i : 0;
	return p->users[0][p->hunt_at++ % p->nusers[0]];
}

size_t procfs_hunt(struct procfs *p, const uint32_t *inodes, size_t n, uint64_t cpu_ns)
{
	uint64_t end = procfs_cpu_ns() + cpu_ns;
	size_t known = count_known(p, inodes, n);
	uint32_t last, pid, i;

	if (known == n)
		return known;
	p->stats.hunts++;
	/* First the very youngest processes: short-lived ones, which no scan can have seen. Then
	 * who opened sockets lately: most hosts have a few busy servers and clients. Then more of
	 * the young, and all that had sockets in the last scan, each hunt going on where the one
	 * before had to end. */
	last = last_pid(p);
	for (i = 0; i < PROCFS_BORN + PROCFS_BUSY + p->nusers[0]; i++) {
		if (known == n || procfs_cpu_ns() >= end)
			break;
		pid = candidate(p, i, last);
		if (!pid)
			continue;
		if (hunt_process(p, pid, end))
			known = count_known(p, inodes, n);
		else if (i >= PROCFS_NEWBORN && i < PROCFS_NEWBORN + PROCFS_BUSY)
			p->busy[i - PROCFS_NEWBORN] = 0;
	}
	return known;
}

/* ---- who it is ------------------------------------------------------------------------------- */

bool procfs_parse_stat(const char *text, size_t len, struct procfs_process *out)
{
	const char *open = memchr(text, '(', len), *close = NULL, *p;
	const char *end = text + len;
	size_t n;
	int word;

	if (!open)
		return false;
	for (p = end; p > open && !close; p--) /* the last: a name may hold any byte */
		if (p[-1] == ')')
			close = p - 1;
	if (!close)
		return false;
	n = (size_t)(close - open - 1);
	if (n >= sizeof(out->name))
		n = sizeof(out->name) - 1;
	memset(out, 0, sizeof(*out));
	memcpy(out->name, open + 1, n);
	for (p = text; p < open && *p >= '0' && *p <= '9'; p++)
		out->pid = out->pid * 10 + (uint32_t)(*p - '0');
	/* the state is word 3, the start time word 22 (proc(5)) */
	p = close + 1;
	for (word = 2; word < 22 && p < end; p++)
		word += *p == ' ';
	if (p == end || *p < '0' || *p > '9')
		return false;
	for (; p < end && *p >= '0' && *p <= '9'; p++)
		out->start_ticks = out->start_ticks * 10 + (uint64_t)(*p - '0');
	return true;
}

int procfs_process_read(const struct procfs *p, uint32_t pid, struct procfs_process *out)
{
	char name[32], text[1024];
	ssize_t n;

	snprintf(name, sizeof(name), "%u/stat", pid);
	n = read_file(p, name, text, sizeof(text));
	if (n < 0)
		return (int)n;
	return procfs_parse_stat(text, (size_t)n, out) ? 0 : FL_EFORMAT;
}

static bool older(const struct procfs_process *a, const struct procfs_process *b)
{
	return a->start_ticks != b->start_ticks ? a->start_ticks < b->start_ticks : a->pid < b->pid;
}

size_t procfs_holders(struct procfs *p, uint32_t inode, struct procfs_process out[PROCFS_HOLDERS])
{
	const struct holder *h = holder_find(p, inode);
	uint32_t pids[4];
	size_t i, j, n = 0;

	if (!h)
		return 0;
	pids[0] = h->low;
	pids[1] = h->high;
	pids[2] = h->old_low;
	pids[3] = h->old_high;
	for (i = 0; i < 4; i++) {
		struct procfs_process one;

		for (j = 0; j < i && pids[j] != pids[i]; j++)
			;
		if (!pids[i] || j < i || procfs_process_read(p, pids[i], &one) ||
		    one.start_ticks / p->ticks_per_s > h->seen_s)
			continue;
		for (j = n++; j && older(&one, &out[j - 1]); j--)
			out[j] = out[j - 1];
		out[j] = one;
	}
	return n;
}

size_t procfs_netns(const struct procfs *p, const struct procfs_netns **list)
{
	*list = p->netns[0];
	return p->nnetns[0];
}

const struct procfs_stats *procfs_stats(struct procfs *p)
{
	p->stats.sockets = p->nholders;
	return &p->stats;
}
