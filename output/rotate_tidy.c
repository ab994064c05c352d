/* rotate_tidy.c - the helper behind rotate.c: removes moved files that are too many, compresses the
 * others with gzip (RFC 1952), in a thread of low priority.
 *
 * A pass looks at the directory as it is and needs no memory of the ones before, so a pass after a
 * crash mends what the crash left. Order: the compressed bytes are on the disk (fsync), get their
 * name, the directory is on the disk, the original goes. Two programs never work at one file: the
 * original is locked (flock(2)) meanwhile.
 */
#include "output/rotate.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>

#include "output/rotate_internal.h"

enum {
	NAME_BYTES = NAME_MAX + 1 + ROTATE_NAME_MORE,
	CHUNK = 64 * 1024,
	GZIP_WINDOW = 15 + 16, /* zlib.h: 16 more write a gzip header */
	GZIP_MEMORY = 8,       /* zlib's default */
	CLOSE_WAIT_MS = 1000,
};

/* --- What is there ---------------------------------------------------------------------------- */

enum { MOVED_PLAIN = 1, MOVED_GZ = 2, MOVED_TEMP = 4 };

struct moved {
	char when[ROTATE_TIME + 1];
	uint32_t number;    /* 1: none in its name */
	unsigned int forms; /* MOVED_ ... */
};

struct moved_list {
	struct moved *items;
	size_t n, room;
};

static bool is_time(const char *s)
{
	static const char form[] = "dddddddd"
				   "T"
				   "dddddd"
				   "Z";
	size_t i;

	for (i = 0; i < ROTATE_TIME; i++) {
		bool digit = s[i] >= '0' && s[i] <= '9';

		if (form[i] == 'd' ? !digit : s[i] != form[i])
			return false;
	}
	return true;
}

/* "-2" and so on; *s is moved behind it. 0: it is no such number. */
static uint32_t read_number(const char **s)
{
	const char *p = *s;
	uint32_t v = 0;

	if (*p != '-')
		return 1;
	p++;
	if (*p == '0')
		return 0;
	while (*p >= '0' && *p <= '9' && p - *s <= 6)
		v = v * 10 + (uint32_t)(*p++ - '0');
	*s = p;
	return v > 1 ? v : 0;
}

/* Is this one of the files that were moved away from base? */
static bool parse_name(const char *base, const char *name, struct moved *m)
{
	size_t len = strlen(base);

	if (strncmp(name, base, len) || name[len] != '-')
		return false;
	name += len + 1;
	if (strnlen(name, ROTATE_TIME) < ROTATE_TIME || !is_time(name))
		return false;
	memcpy(m->when, name, ROTATE_TIME);
	m->when[ROTATE_TIME] = 0;
	name += ROTATE_TIME;
	m->number = read_number(&name);
	if (!m->number)
		return false;
	m->forms = !*name                     ? MOVED_PLAIN
		   : !strcmp(name, ".gz")     ? MOVED_GZ
		   : !strcmp(name, ".gz.tmp") ? MOVED_TEMP
					      : 0;
	return m->forms;
}

static void moved_name(const struct rotate *r, const struct moved *m, const char *end, char *name)
{
	if (m->number == 1)
		snprintf(name, NAME_BYTES, "%s-%s%s", r->base, m->when, end);
	else
		snprintf(name, NAME_BYTES, "%s-%s-%u%s", r->base, m->when, m->number, end);
}

static int older_first(const void *a, const void *b)
{
	const struct moved *x = a, *y = b;
	int order = strcmp(x->when, y->when);

	return order ? order : x->number < y->number ? -1 : x->number > y->number;
}

static int add_moved(struct moved_list *l, const struct moved *m)
{
	if (l->n == l->room) {
		size_t room = l->room ? 2 * l->room : 64;
		struct moved *items = realloc(l->items, room * sizeof(*items));

		if (!items)
			return -ENOMEM;
		l->items = items;
		l->room = room;
	}
	l->items[l->n++] = *m;
	return 0;
}

/* All of them, oldest first, one item for all forms of a file. 0, or -errno. */
static int list_moved(const struct rotate *r, DIR *dir, struct moved_list *l)
{
	struct dirent *e;
	struct moved m;
	size_t i, n = 0;

	while ((errno = 0, e = readdir(dir)))
		if (parse_name(r->base, e->d_name, &m) && add_moved(l, &m))
			return -ENOMEM;
	if (errno)
		return -errno;
	if (l->n)
		qsort(l->items, l->n, sizeof(*l->items), older_first);
	for (i = 0; i < l->n; i++) {
		if (n && !older_first(&l->items[n - 1], &l->items[i]))
			l->items[n - 1].forms |= l->items[i].forms;
		else
			l->items[n++] = l->items[i];
	}
	l->n = n;
	return 0;
}

/* --- Compressing ------------------------------------------------------------------------------ */

struct gzip {
	struct rotate *r;
	int in, out;
	z_stream z;
	uint64_t taken; /* bytes of in */
	unsigned char from[CHUNK], to[CHUNK];
};

static bool stopped(const struct rotate *r)
{
	return __atomic_load_n(&r->stop, __ATOMIC_RELAXED);
}

static int write_full(int fd, const unsigned char *p, size_t len)
{
	while (len) {
		ssize_t n = write(fd, p, len);

		if (n > 0) {
			p += n;
			len -= (size_t)n;
		} else if (!n || errno != EINTR) {
			return n ? -errno : -EIO;
		}
	}
	return 0;
}

/* What zlib makes of what it has got. */
static int gzip_out(struct gzip *g, int flush)
{
	int err = 0, z;

	do {
		g->z.next_out = g->to;
		g->z.avail_out = CHUNK;
		z = deflate(&g->z, flush);
		if (z == Z_STREAM_ERROR)
			return -EINVAL;
		err = write_full(g->out, g->to, CHUNK - g->z.avail_out);
	} while (!err && !g->z.avail_out);
	return err;
}

static int gzip_all(struct gzip *g)
{
	int err = 0;
	ssize_t n;

	do {
		if (stopped(g->r))
			return -ECANCELED;
		do {
			n = read(g->in, g->from, CHUNK);
		} while (n < 0 && errno == EINTR);
		if (n < 0)
			return -errno;
		g->taken += (uint64_t)n;
		g->z.next_in = g->from;
		g->z.avail_in = (uInt)n;
		err = gzip_out(g, n ? Z_NO_FLUSH : Z_FINISH);
	} while (!err && n);
	return err;
}

static int gzip_file(struct rotate *r, int in, int out, const struct stat *st)
{
	struct gzip *g = calloc(1, sizeof(*g));
	gz_header header = {.time = (uLong)st->st_mtime, .os = 3 /* Unix */};
	struct stat now;
	int err = -ENOMEM;

	if (!g)
		return err;
	g->r = r;
	g->in = in;
	g->out = out;
	if (deflateInit2(&g->z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, GZIP_WINDOW, GZIP_MEMORY,
			 Z_DEFAULT_STRATEGY) == Z_OK) {
		deflateSetHeader(&g->z, &header);
		err = gzip_all(g);
		deflateEnd(&g->z);
	}
	/* Somebody writes to it yet: what is behind would be lost. */
	if (!err && (fstat(in, &now) || (uint64_t)now.st_size != g->taken))
		err = -EBUSY;
	free(g);
	return err;
}

/* As the original: who may read it, and of when it is. */
static int finish(int out, const struct stat *st)
{
	struct timespec times[2] = {st->st_atim, st->st_mtim};

	if (fchown(out, st->st_uid, st->st_gid) && fchown(out, (uid_t)-1, st->st_gid))
		(void)0; /* not allowed to give files away: it stays this user's */
	if (fchmod(out, st->st_mode & 0777) || futimens(out, times) || fsync(out))
		return -errno;
	return 0;
}

static int compress_locked(struct rotate *r, int dir, int in, const char *name, const char *temp,
			   const char *gz)
{
	struct stat st;
	int out, err;

	if (fstat(in, &st))
		return -errno;
	out = openat(dir, temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (out < 0)
		return -errno;
	err = gzip_file(r, in, out, &st);
	if (!err)
		err = finish(out, &st);
	if (close(out) && !err && errno != EINTR)
		err = -errno;
	if (!err && renameat(dir, temp, dir, gz))
		err = -errno;
	if (err) {
		unlinkat(dir, temp, 0);
		return err;
	}
	if (fsync(dir) && errno != EINVAL && errno != EROFS)
		return -errno; /* both stay; the next pass does it again */
	return unlinkat(dir, name, 0) && errno != ENOENT ? -errno : 0;
}

static const char *tidy_advice(int err)
{
	switch (err) {
	case ENOSPC:
	case EDQUOT:
		return "make room";
	case EACCES:
	case EPERM:
	case EROFS:
		return "let this user write to its directory";
	case EFBIG:
		return "raise the limit on a file's size (ulimit -f)";
	default:
		return "see to its directory";
	}
}

/* Told once until a pass has no error. */
static void tell(struct rotate *r, const char *what, const char *name, int err)
{
	if (!r->told_tidy)
		rotate_say(r, "%.200s%.200s cannot be %s: %s: %s", r->dir, name, what,
			   fl_strerror(err), tidy_advice(-err));
	r->told_tidy = true;
}

/* Where the file system has no locks, nothing keeps two programs apart. */
static bool lock(int fd)
{
	return !flock(fd, LOCK_EX | LOCK_NB) || errno != EWOULDBLOCK;
}

/* An original. False: it could not be done now. */
static bool do_original(struct rotate *r, int dir, const struct moved *m)
{
	char name[NAME_BYTES], temp[NAME_BYTES], gz[NAME_BYTES];
	struct stat st;
	int in, err = 0;

	moved_name(r, m, "", name);
	moved_name(r, m, ".gz.tmp", temp);
	moved_name(r, m, ".gz", gz);
	in = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (in < 0 && errno == ENOENT)
		return true;
	if (in < 0)
		err = -errno;
	else if (fstat(in, &st))
		err = -errno;
	else if (S_ISREG(st.st_mode) && lock(in) && !fstat(in, &st) && st.st_nlink) {
		/* With the lock, a temporary one is what a crash left. */
		if ((m->forms & MOVED_TEMP) && unlinkat(dir, temp, 0) && errno != ENOENT)
			err = -errno;
		if (!err && r->compress)
			err = compress_locked(r, dir, in, name, temp, gz);
	}
	if (in >= 0)
		close(in);
	if (!err || err == -ECANCELED || err == -EBUSY)
		return true;
	tell(r, "compressed", name, err);
	return false;
}

static bool remove_form(struct rotate *r, int dir, const struct moved *m, const char *end)
{
	char name[NAME_BYTES];

	moved_name(r, m, end, name);
	if (!unlinkat(dir, name, 0) || errno == ENOENT)
		return true;
	tell(r, "removed", name, -errno);
	return false;
}

/* --- A pass ----------------------------------------------------------------------------------- */

static bool tidy_list(struct rotate *r, int dir, const struct moved_list *l)
{
	size_t i, files = 0, over;
	bool good = true;

	for (i = 0; i < l->n; i++)
		files += (l->items[i].forms & (MOVED_PLAIN | MOVED_GZ)) != 0;
	over = files > r->keep ? files - r->keep : 0;
	/* First the old ones: that may be the room that compressing needs. */
	for (i = 0; i < l->n; i++) {
		struct moved *m = &l->items[i];

		if (!(m->forms & (MOVED_PLAIN | MOVED_GZ))) {
			good &= remove_form(r, dir, m, ".gz.tmp");
			continue;
		}
		if (!over)
			continue;
		over--;
		if (m->forms & MOVED_PLAIN)
			good &= remove_form(r, dir, m, "");
		if (m->forms & MOVED_GZ)
			good &= remove_form(r, dir, m, ".gz");
		if (m->forms & MOVED_TEMP)
			good &= remove_form(r, dir, m, ".gz.tmp");
		m->forms = 0;
	}
	for (i = 0; i < l->n && !stopped(r); i++)
		if (l->items[i].forms & MOVED_PLAIN)
			good &= do_original(r, dir, &l->items[i]);
	return good;
}

static void tidy(struct rotate *r)
{
	struct moved_list l = {NULL, 0, 0};
	DIR *dir = opendir(r->dir);
	int err = dir ? 0 : -errno;

	if (!err)
		err = list_moved(r, dir, &l);
	if (err)
		tell(r, "read", "", err);
	else if (tidy_list(r, dirfd(dir), &l))
		r->told_tidy = false;
	free(l.items);
	if (dir)
		closedir(dir);
}

/* --- The helper ------------------------------------------------------------------------------- */

static void *help(void *ctx)
{
	struct rotate *r = ctx;
	bool more;

	/* On Linux a thread's own: capturing comes first. */
	if (setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), 19))
		(void)0;
	do {
		tidy(r);
		pthread_mutex_lock(&r->lock);
		more = r->again && !stopped(r);
		r->again = false;
		r->running = more;
		if (!more)
			pthread_cond_broadcast(&r->ended);
		pthread_mutex_unlock(&r->lock);
	} while (more);
	return NULL;
}

static void join(struct rotate *r)
{
	if (r->joinable)
		pthread_join(r->helper, NULL);
	r->joinable = false;
}

/* No signal is for the helper: the run's own thread waits for them. */
static int start(struct rotate *r)
{
	sigset_t all, before;
	int err;

	sigfillset(&all);
	err = pthread_sigmask(SIG_SETMASK, &all, &before);
	if (err)
		return err;
	err = pthread_create(&r->helper, NULL, help, r);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return err;
}

void rotate_tidy(struct rotate *r)
{
	bool busy;
	int err;

	pthread_mutex_lock(&r->lock);
	busy = r->running;
	r->again = busy;
	r->running = true;
	pthread_mutex_unlock(&r->lock);
	if (busy)
		return;
	join(r);
	err = start(r);
	r->joinable = !err;
	if (err) {
		pthread_mutex_lock(&r->lock);
		r->running = false;
		pthread_mutex_unlock(&r->lock);
		rotate_say(r,
			   "%.300s: moved files are neither compressed nor removed: no thread: %s",
			   r->path, fl_strerror(-err));
	}
}

bool rotate_wait(struct rotate *r, unsigned int timeout_ms)
{
	struct timespec until;
	bool ended;
	int err = 0;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += timeout_ms / 1000;
	until.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	pthread_mutex_lock(&r->lock);
	while (r->running && !err)
		err = pthread_cond_timedwait(&r->ended, &r->lock, &until);
	ended = !r->running;
	pthread_mutex_unlock(&r->lock);
	return ended;
}

void rotate_stop(struct rotate *r)
{
	if (!rotate_wait(r, CLOSE_WAIT_MS))
		__atomic_store_n(&r->stop, 1, __ATOMIC_RELAXED);
	join(r);
}
