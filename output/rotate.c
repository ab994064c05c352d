/* rotate.c - a file that is moved away when it is big or old enough; its helper is in
 * rotate_tidy.c. */
#include "output/rotate.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include "output/rotate_internal.h"
#include "output/turns.h"

static const char begun_attribute[] = "user.flowline.begun";

enum { NUMBERS = 10000 /* files of one second */ };

static const uint64_t again_ns = 60ull * 1000000000;

/* --- Notes ------------------------------------------------------------------------------------ */

void rotate_say(struct rotate *r, const char *fmt, ...)
{
	va_list ap;

	pthread_mutex_lock(&r->lock);
	if (!r->note[0]) {
		va_start(ap, fmt);
		vsnprintf(r->note, sizeof(r->note), fmt, ap);
		va_end(ap);
	}
	pthread_mutex_unlock(&r->lock);
}

bool rotate_note(struct rotate *r, char note[SINK_WHY_SIZE])
{
	bool any;

	pthread_mutex_lock(&r->lock);
	any = r->note[0];
	if (any)
		memcpy(note, r->note, sizeof(r->note));
	r->note[0] = 0;
	pthread_mutex_unlock(&r->lock);
	return any;
}

/* --- When ------------------------------------------------------------------------------------- */

/* A file that was found: when was it begun? */
static uint64_t read_begun(int fd, const struct stat *st)
{
	char text[32], *end;
	ssize_t n = fgetxattr(fd, begun_attribute, text, sizeof(text) - 1);
	uint64_t begun_ns;

	if (n > 0) {
		text[n] = 0;
		errno = 0;
		begun_ns = strtoull(text, &end, 10);
		if (!*end && !errno && begun_ns)
			return begun_ns;
	}
	return (uint64_t)st->st_mtim.tv_sec * 1000000000 + (uint64_t)st->st_mtim.tv_nsec;
}

static void write_begun(int fd, uint64_t now_ns)
{
	char text[32];
	int n = snprintf(text, sizeof(text), "%" PRIu64, now_ns);

	if (n > 0 && fsetxattr(fd, begun_attribute, text, (size_t)n, 0))
		return; /* no attributes there: rotate.h says what that means */
}

bool rotate_due(struct rotate *r, int fd, size_t more, uint64_t now_ns)
{
	struct stat st;

	if (fstat(fd, &st) || !S_ISREG(st.st_mode))
		return false;
	if (!st.st_size) {
		/* New, or emptied by someone (logrotate's copytruncate). */
		if (more && r->max_age_ns) {
			r->begun_ns = now_ns;
			write_begun(fd, now_ns);
		}
		return false;
	}
	if (!r->begun_ns)
		r->begun_ns = read_begun(fd, &st);
	if (r->begun_ns > now_ns)
		r->begun_ns = now_ns; /* the clock was set back */
	if (turns_now_ns() < r->next_try_ns)
		return false;
	if (r->max_bytes && more && (uint64_t)st.st_size + more > r->max_bytes)
		return true;
	return r->max_age_ns && now_ns - r->begun_ns >= r->max_age_ns;
}

void rotate_other_file(struct rotate *r)
{
	r->begun_ns = 0;
}

/* --- Moving ----------------------------------------------------------------------------------- */

static const char *move_advice(int err)
{
	switch (err) {
	case EACCES:
	case EPERM:
	case EROFS:
		return "let this user write to its directory, or do not rotate it";
	case ENOSPC:
	case EDQUOT:
		return "make room";
	case ENAMETOOLONG:
		return "give it a shorter name";
	case EEXIST:
		return "raise rotate_size";
	default:
		return "see to its directory";
	}
}

/* 1, 0, or -errno. */
static int exists(const char *path)
{
	struct stat st;

	return !lstat(path, &st) ? 1 : errno == ENOENT ? 0 : -errno;
}

/* A name that no moved file has, compressed or not. 0, or -errno. */
static int free_name(const struct rotate *r, uint64_t now_ns, char *name, size_t size)
{
	time_t now = (time_t)(now_ns / 1000000000);
	char when[ROTATE_TIME + 1], gz[PATH_MAX + ROTATE_NAME_MORE + 4];
	struct tm tm;
	unsigned int i;
	int there;

	if (!gmtime_r(&now, &tm) ||
	    strftime(when, sizeof(when), "%Y%m%dT%H%M%SZ", &tm) != ROTATE_TIME)
		return -EINVAL;
	for (i = 1; i < NUMBERS; i++) {
		if (i == 1)
			snprintf(name, size, "%s-%s", r->path, when);
		else
			snprintf(name, size, "%s-%s-%u", r->path, when, i);
		snprintf(gz, sizeof(gz), "%s.gz", name);
		there = exists(name);
		if (!there)
			there = exists(gz);
		if (there <= 0)
			return there;
	}
	return -EEXIST;
}

/* Is what the path names the file that is written to? Else it is not ours to move. */
static bool same_file(const char *path, int fd)
{
	struct stat a, b;

	return !lstat(path, &a) && !fstat(fd, &b) && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

static int open_new(const char *path)
{
	int fd;

	do {
		fd = open(path, ROTATE_OPEN_FLAGS, ROTATE_MODE);
	} while (fd < 0 && errno == EINTR);
	return fd < 0 ? -errno : fd;
}

static int move_and_open(struct rotate *r, int fd, uint64_t now_ns)
{
	char name[PATH_MAX + ROTATE_NAME_MORE];
	int err, new_fd;

	if (!same_file(r->path, fd)) /* somebody has moved it already */
		return open_new(r->path);
	err = free_name(r, now_ns, name, sizeof(name));
	if (err)
		return err;
	if (rename(r->path, name))
		return -errno;
	new_fd = open_new(r->path);
	/* No new one (too many open files ...): what is written goes on to the old one, which then
	 * had better have its old name. */
	if (new_fd < 0 && exists(r->path) == 0 && rename(name, r->path))
		rotate_say(r, "%.200s could not be opened anew, and is called %.200s now: %s",
			   r->path, name, fl_strerror(-errno));
	return new_fd;
}

int rotate_move(struct rotate *r, int fd, uint64_t now_ns)
{
	int new_fd = move_and_open(r, fd, now_ns);

	if (new_fd < 0) {
		r->next_try_ns = turns_now_ns() + again_ns;
		if (!r->told_move)
			rotate_say(r, "%.300s cannot be rotated and grows on: %s: %s", r->path,
				   fl_strerror(new_fd), move_advice(-new_fd));
		r->told_move = true;
		return new_fd;
	}
	r->told_move = false;
	r->begun_ns = 0;
	return new_fd;
}

/* --- Life ------------------------------------------------------------------------------------- */

static int init_lock(struct rotate *r)
{
	pthread_condattr_t attr;
	int err;

	err = pthread_condattr_init(&attr);
	if (err)
		return err;
	err = pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	if (!err)
		err = pthread_cond_init(&r->ended, &attr);
	pthread_condattr_destroy(&attr);
	if (err)
		return err;
	err = pthread_mutex_init(&r->lock, NULL);
	if (err)
		pthread_cond_destroy(&r->ended);
	return err;
}

struct rotate *rotate_new(const struct rotate_config *c)
{
	struct rotate *r;
	const char *slash = strrchr(c->path, '/');
	int err = ENOMEM;

	if (strlen(c->path) >= PATH_MAX) {
		errno = ENAMETOOLONG;
		return NULL;
	}
	r = calloc(1, sizeof(*r));
	if (!r)
		return NULL;
	r->max_bytes = c->max_bytes;
	r->max_age_ns = c->max_age_ns;
	r->keep = c->keep;
	r->compress = c->compress;
	r->path = strdup(c->path);
	r->dir = slash ? strndup(c->path, (size_t)(slash - c->path) + 1) : strdup(".");
	if (r->path && r->dir)
		err = init_lock(r);
	if (err) {
		free(r->path);
		free(r->dir);
		free(r);
		errno = err;
		return NULL;
	}
	r->base = slash ? r->path + (slash - c->path) + 1 : r->path;
	return r;
}

void rotate_free(struct rotate *r)
{
	if (!r)
		return;
	rotate_stop(r);
	pthread_cond_destroy(&r->ended);
	pthread_mutex_destroy(&r->lock);
	free(r->path);
	free(r->dir);
	free(r);
}
