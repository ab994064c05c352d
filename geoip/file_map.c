/* file_map.c - see file_map.h.
 *
 * Replaced by rename, a mapped file lives on behind the mapping and all is well. Overwritten in
 * place (cp, rsync --inplace, a download tool) it does not: pages behind a truncation raise
 * SIGBUS, and until the writer is done its readers see the beginning of one edition and the end of
 * another. No check can close that gap, it is open again right after. So:
 *
 * 1. While nobody writes the file it is mapped itself, under a read lease (fcntl(2), F_SETLEASE):
 *    whoever opens it for writing or truncates it is made to wait by the kernel, which sends
 *    SIGIO. A thread of the map's own waits for that (the signal goes to this thread only,
 *    F_SETOWN_EX, so nothing else in the process has to know of it), copies the file, maps the
 *    copy over the same addresses - a reader sees the one or the other, with the same bytes - and
 *    gives the lease back. The writer waits as long as the copy takes (50 ms for 70 MB); one that
 *    opens with O_NONBLOCK gets EAGAIN and has to try again.
 * 2. Where there can be no lease (another's file and no CAP_LEASE, a file system that is not
 *    local, somebody has it open for writing just now) it is copied at once.
 *
 * The copy has no name, so nobody else can write it. It lies on a disk (/var/tmp, or where the
 * configuration says), because there its pages are page cache: the kernel takes them back when
 * memory is short and a memory limit does not kill the process for them. Where that is not
 * possible it lies in memory (memfd_create).
 *
 * The kernel waits /proc/sys/fs/lease-break-time (45 s) for a lease to be given back, then takes
 * it. A process that was stopped for so long (SIGSTOP, a frozen cgroup) may find the file changed
 * or cut: giving back the lease tells (EAGAIN: there is none), the bytes count as lost, and what is
 * read until that is known does not end the process (guard.h).
 */
#include "geoip/file_map.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "common/memory.h"
#include "geoip/guard.h"

/* Headers older than Linux 3.17 lack it; CentOS 7's kernel has it all the same. */
#ifndef SYS_memfd_create
#if defined(__x86_64__)
#define SYS_memfd_create 319
#elif defined(__aarch64__)
#define SYS_memfd_create 279
#else
#define SYS_memfd_create -1
#endif
#endif

enum {
	COPY_BYTES = 256 * 1024,
	KEEPER_STACK_BYTES = 256 * 1024,
};

struct file_map {
	uint8_t *bytes; /* MAP_FAILED: not yet */
	size_t size;
	int file; /* held open so that its inode number is not given to the next edition */
	int copy; /* -1: none; the keeper's as long as it is leased */
	int guard;
	bool leased, lost, stop; /* __atomic */
	char *dir;               /* for copies; NULL: /var/tmp */
	struct file_identity id;
	pthread_t keeper;
	bool has_keeper;
	/* Between keeper and file_map_open(): */
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool started;
	pid_t keeper_tid;
	int keeper_err;
};

/* ---- the file as others see it */

static int64_t time_ns(const struct timespec *t)
{
	return (int64_t)t->tv_sec * 1000000000 + t->tv_nsec;
}

static void identity_from(struct file_identity *id, const struct stat *st)
{
	memset(id, 0, sizeof(*id));
	id->dev = st->st_dev;
	id->inode = st->st_ino;
	id->size = st->st_size;
	id->mtime_ns = time_ns(&st->st_mtim);
	id->ctime_ns = time_ns(&st->st_ctim);
}

int file_identity_of(struct file_identity *id, const char *path)
{
	struct stat st;

	memset(id, 0, sizeof(*id));
	if (stat(path, &st))
		return -errno;
	identity_from(id, &st);
	return 0;
}

bool file_identity_equal(const struct file_identity *a, const struct file_identity *b)
{
	return a->dev == b->dev && a->inode == b->inode && a->size == b->size &&
	       a->mtime_ns == b->mtime_ns && a->ctime_ns == b->ctime_ns;
}

/* Whether the file behind the descriptor has changed, contents or else, since id was taken. */
static bool has_changed(int fd, const struct file_identity *id)
{
	struct file_identity now;
	struct stat st;

	if (fstat(fd, &st))
		return true;
	identity_from(&now, &st);
	return !file_identity_equal(id, &now);
}

/* ---- a copy */

static int nameless_on_disk(const char *dir)
{
	char path[4096];
	int fd, n = snprintf(path, sizeof(path), "%s/.flowline-geoip.XXXXXX", dir);

	if (n < 0 || (size_t)n >= sizeof(path))
		return -ENAMETOOLONG;
	fd = mkostemp(path, O_CLOEXEC);
	if (fd < 0)
		return -errno;
	unlink(path);
	return fd;
}

static int nameless_in_memory(void)
{
	long fd = syscall(SYS_memfd_create, "flowline-geoip", 1u /* MFD_CLOEXEC */);

	return fd < 0 ? -errno : (int)fd;
}

static int write_all(int fd, const char *bytes, size_t n)
{
	while (n) {
		ssize_t m = write(fd, bytes, n);

		if (m < 0 && errno != EINTR)
			return -errno;
		if (m > 0) {
			bytes += m;
			n -= (size_t)m;
		}
	}
	return 0;
}

static int copy_file(int from, int to)
{
	char *buffer = malloc(COPY_BYTES);
	off_t at = 0;
	ssize_t n;
	int err = 0;

	if (!buffer)
		return -ENOMEM;
	while (!err) {
		n = pread(from, buffer, COPY_BYTES, at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			err = n < 0 ? -errno : 0;
			break;
		}
		at += n;
		err = write_all(to, buffer, (size_t)n);
	}
	free(buffer);
	return err;
}

/* A nameless copy of what fd is; its descriptor or -errno. */
static int snapshot(int fd, const char *dir)
{
	int err, copy = nameless_on_disk(dir ? dir : "/var/tmp");

	err = copy < 0 ? copy : copy_file(fd, copy);
	if (!err)
		return copy;
	if (copy >= 0)
		close(copy);
	copy = nameless_in_memory();
	if (copy < 0)
		return err; /* the disk's reason says more */
	err = copy_file(fd, copy);
	if (err)
		close(copy);
	return err ? err : copy;
}

static bool map_over(struct file_map *m, int fd, int flags)
{
	return mmap(m->bytes, m->size, PROT_READ, flags | MAP_FIXED, fd, 0) != MAP_FAILED;
}

/* ---- under a lease */

/* Where a file changes only by open(2) and truncate(2) on this host, which is what breaks a lease.
 * statfs(2) has the numbers; not among them: overlay, whose layers may be written from outside. */
static bool is_local(int fd)
{
	static const uint32_t kinds[] = {
	    0xef53 /* ext2, 3, 4 */, 0x58465342 /* xfs */,   0x9123683e /* btrfs */,
	    0xf2f52010 /* f2fs */,   0x01021994 /* tmpfs */,
	};
	struct statfs fs;
	size_t i;

	if (fstatfs(fd, &fs))
		return false;
	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if ((uint32_t)fs.f_type == kinds[i])
			return true;
	return false;
}

/* The same file, opened again: what was opened before goes, and its lease with it. */
static void open_anew(struct file_map *m)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", m->file);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return; /* the kernel takes the lease in time */
	dup3(fd, m->file, O_CLOEXEC);
	close(fd);
}

/* Somebody waits to write: from the file to a copy. */
static void retreat(struct file_map *m)
{
	int copy = snapshot(m->file, m->dir);
	struct stat st;
	bool lost;

	lost = copy < 0 || fstat(copy, &st) || (size_t)st.st_size != m->size ||
	       !map_over(m, copy, MAP_SHARED);
	if (lost) { /* zeros; where there are not even those the file stays, and the guard */
		__atomic_store_n(&m->lost, true, __ATOMIC_RELEASE);
		(void)map_over(m, -1, MAP_PRIVATE | MAP_ANONYMOUS);
	}
	m->copy = copy < 0 ? -1 : copy;
	__atomic_store_n(&m->leased, false, __ATOMIC_RELEASE);
	/* Given back only now. Whether it was still ours is whether the copy is good; who gave up
	 * CAP_LEASE since (EACCES) cannot ask, and goes by the file's times. */
	if (fcntl(m->file, F_SETLEASE, F_UNLCK)) {
		lost = lost || errno != EACCES || has_changed(m->file, &m->id);
		open_anew(m);
	}
	if (lost)
		__atomic_store_n(&m->lost, true, __ATOMIC_RELEASE);
}

static int take_lease(struct file_map *m)
{
	struct f_owner_ex owner = {F_OWNER_TID, (pid_t)syscall(SYS_gettid)};

	m->keeper_tid = owner.pid;
	/* before the lease, which sets an owner only where there is none: the whole process */
	if (fcntl(m->file, F_SETOWN_EX, &owner) || fcntl(m->file, F_SETLEASE, F_RDLCK))
		return -errno;
	return 0;
}

static void *keep(void *arg)
{
	struct file_map *m = arg;
	int err = take_lease(m);
	sigset_t io;

	pthread_mutex_lock(&m->lock);
	m->keeper_err = err;
	m->started = true;
	pthread_cond_signal(&m->changed);
	pthread_mutex_unlock(&m->lock);
	sigemptyset(&io);
	sigaddset(&io, SIGIO);
	while (!err && !__atomic_load_n(&m->stop, __ATOMIC_ACQUIRE)) {
		/* a lease that is being broken, or was, shows as what it will become */
		if (fcntl(m->file, F_GETLEASE) != F_RDLCK) {
			retreat(m);
			break;
		}
		sigwaitinfo(&io, NULL);
	}
	return NULL;
}

/* 0 or -errno. The new thread takes no signal but those of a fault of its own. */
static int start_keeper(struct file_map *m)
{
	pthread_attr_t attr;
	sigset_t all, old;
	int err;

	if (pthread_attr_init(&attr))
		return -ENOMEM;
	pthread_attr_setstacksize(&attr, KEEPER_STACK_BYTES);
	sigfillset(&all);
	sigdelset(&all, SIGBUS);
	sigdelset(&all, SIGSEGV);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	err = pthread_create(&m->keeper, &attr, keep, m);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_attr_destroy(&attr);
	if (err)
		return -err;
	pthread_mutex_lock(&m->lock);
	while (!m->started)
		pthread_cond_wait(&m->changed, &m->lock);
	pthread_mutex_unlock(&m->lock);
	m->has_keeper = true;
	return m->keeper_err;
}

static void stop_keeper(struct file_map *m)
{
	if (!m->has_keeper)
		return;
	__atomic_store_n(&m->stop, true, __ATOMIC_RELEASE);
	/* one that has ended has no number that could be another's before it was joined */
	pthread_kill(m->keeper, SIGIO);
	pthread_join(m->keeper, NULL);
	m->has_keeper = false;
}

/* ---- open and close */

static void unmap(struct file_map *m)
{
	if (m->guard >= 0)
		guard_remove(m->guard);
	m->guard = -1;
	if (m->bytes != MAP_FAILED)
		munmap(m->bytes, m->size);
	m->bytes = MAP_FAILED;
}

static int map_guarded(struct file_map *m, int fd)
{
	m->bytes = mmap(NULL, m->size, PROT_READ, MAP_SHARED, fd, 0);
	if (m->bytes == MAP_FAILED)
		return -errno;
	/* What has to come from the disk then comes in large pages, where the file system has them
	 * (ext4 since Linux 6.16, xfs): 31 faults in place of a thousand, also next time. */
	mem_hint_large(m->bytes, m->size, 1);
	m->guard = guard_add(m->bytes, m->size, &m->lost);
	return m->guard < 0 ? m->guard : 0;
}

/* Map the file itself. 0; else nothing is mapped, and a copy will do. */
static int map_leased(struct file_map *m)
{
	int err = is_local(m->file) ? map_guarded(m, m->file) : -ENOTSUP;

	if (!err) {
		__atomic_store_n(&m->leased, true, __ATOMIC_RELEASE);
		err = start_keeper(m);
	}
	/* from the lease on it is the same; was it what was opened? */
	if (!err && !has_changed(m->file, &m->id))
		return 0;
	__atomic_store_n(&m->leased, false, __ATOMIC_RELEASE);
	stop_keeper(m);
	unmap(m);
	if (m->copy >= 0)
		close(m->copy);
	m->copy = -1;
	m->lost = false;
	return err ? err : -EAGAIN;
}

static int map_copy(struct file_map *m, const char *path, char *why, size_t why_size)
{
	int err;

	m->copy = snapshot(m->file, m->dir);
	if (m->copy >= 0 && has_changed(m->file, &m->id)) {
		snprintf(why, why_size, "%s: it is being written; taken once it rests", path);
		return -EAGAIN;
	}
	err = m->copy < 0 ? m->copy : map_guarded(m, m->copy);
	if (err == -ENOSPC && m->bytes != MAP_FAILED)
		err = 0; /* a copy does not need its guard */
	if (err)
		snprintf(why, why_size,
			 "%s: no room for a private copy of %lld bytes in %s, nor in memory: %s",
			 path, (long long)m->size, m->dir ? m->dir : "/var/tmp", strerror(-err));
	return err;
}

static int open_file(struct file_map *m, const char *path, char *why, size_t why_size)
{
	struct stat st;
	int err = 0;

	m->file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (m->file < 0 || fstat(m->file, &st)) {
		err = -errno;
		snprintf(why, why_size, "%s: %s%s", path, strerror(-err),
			 err == -ENOENT ? " (tools/get-geoip fetches a free one)"
			 : err == -EACCES
			     ? " (who runs flowline must be able to read it: chmod a+r)"
			     : "");
		return err;
	}
	identity_from(&m->id, &st);
	m->size = (size_t)st.st_size;
	if (S_ISREG(st.st_mode) && st.st_size)
		return 0;
	snprintf(why, why_size, "%s: %s; fetch the database again", path,
		 S_ISREG(st.st_mode) ? "the file is empty" : "not a file");
	return FL_EFORMAT;
}

int file_map_open(struct file_map **out, const char *path, const char *dir,
		  struct file_identity *id, char *why, size_t why_size)
{
	struct file_map *m = calloc(1, sizeof(*m));
	int err;

	*out = NULL;
	if (!m) {
		snprintf(why, why_size, "%s: %s", path, strerror(ENOMEM));
		return -ENOMEM;
	}
	m->bytes = MAP_FAILED;
	m->file = m->copy = m->guard = -1;
	pthread_mutex_init(&m->lock, NULL);
	pthread_cond_init(&m->changed, NULL);
	m->dir = dir ? strdup(dir) : NULL;
	err = open_file(m, path, why, why_size);
	*id = m->id;
	if (!err && map_leased(m))
		err = map_copy(m, path, why, why_size);
	if (err) {
		file_map_close(m);
		return err;
	}
	*out = m;
	return 0;
}

void file_map_close(struct file_map *m)
{
	if (!m)
		return;
	stop_keeper(m);
	unmap(m);
	if (m->copy >= 0)
		close(m->copy);
	if (m->file >= 0)
		close(m->file); /* and with it the lease */
	pthread_mutex_destroy(&m->lock);
	pthread_cond_destroy(&m->changed);
	free(m->dir);
	free(m);
}

const uint8_t *file_map_bytes(const struct file_map *m, size_t *size)
{
	*size = m->size;
	return m->bytes;
}

int file_map_fd(const struct file_map *m)
{
	return file_map_leased(m) ? m->file : m->copy;
}

bool file_map_leased(const struct file_map *m)
{
	return __atomic_load_n(&m->leased, __ATOMIC_ACQUIRE);
}

bool file_map_lost(const struct file_map *m)
{
	return __atomic_load_n(&m->lost, __ATOMIC_ACQUIRE);
}
