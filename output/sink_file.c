/* sink_file.c - lines to standard output or a file: write(2), every line accounted for. */
#include "output/sink_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"
#include "output/rotate.h"
#include "output/turns.h"

enum {
	OPEN_FLAGS = O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK,
	/* A pipe that poll(2) calls writable takes so much without waiting (pipe(7)). */
	PIPE_PIECE = PIPE_BUF,
	TTY_PIECE = 256,
	NOT_YET_NS = 1000000, /* poll(2) said yes, write(2) said no */
	READER_NS = SINK_TURN_MS * 1000000,
};

enum how {
	HOW_PLAIN,  /* a file; or our own description, which does not block */
	HOW_SOCKET, /* send(2) can be told not to wait */
	HOW_PIECES, /* a description that others share: poll(2), and then a little */
};

struct file_sink {
	struct sink sink;
	int fd; /* -1: a named pipe that has no reader yet */
	bool own_fd;
	bool regular;
	bool dead; /* nobody reads any more */
	enum how how;
	size_t piece; /* of HOW_PIECES */

	/* Of a line that was counted as lost: goes first. */
	const char *rest;
	size_t rest_size;
	char *rest_memory;

	char *path; /* NULL: standard output */
	struct sink_file_config config;
	struct rotate *rotate; /* NULL: not rotated */
	char *rotated_path;    /* what it rotates */
	char note[SINK_WHY_SIZE];
	bool told_removed;
};

/* --- Writing ---------------------------------------------------------------------------------- */

static ssize_t write_some(const struct file_sink *f, const char *p, size_t len)
{
	switch (f->how) {
	case HOW_SOCKET:
		return send(f->fd, p, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	case HOW_PIECES:
		return write(f->fd, p, len < f->piece ? len : f->piece);
	default:
		return write(f->fd, p, len);
	}
}

/* Write all; *done is how much was accepted. 0; -ECANCELED: told to stop; or -errno. */
static int write_all(const struct file_sink *f, struct turns *t, const char *p, size_t len,
		     size_t *done)
{
	enum turns_end end = TURNS_READY;
	unsigned int denied = 0;
	ssize_t n;

	*done = 0;
	while (*done < len) {
		if (f->how == HOW_PIECES || denied)
			end = turns_poll(t, f->fd, POLLOUT);
		if (end == TURNS_READY && denied > 1)
			end = turns_sleep(t, NOT_YET_NS);
		if (end != TURNS_READY)
			return -ECANCELED;
		n = write_some(f, p + *done, len - *done);
		if (n > 0) {
			*done += (size_t)n;
			denied = 0;
		} else if (n == 0) {
			return -EIO; /* a device that takes nothing would be asked for ever */
		} else if (errno == EAGAIN || errno == EWOULDBLOCK) {
			denied++;
		} else if (errno != EINTR) {
			return errno == ECONNRESET && f->how == HOW_SOCKET ? -EPIPE : -errno;
		}
	}
	return 0;
}

static uint32_t count_lines(const char *p, size_t len)
{
	const char *end = p + len;
	uint32_t n = 0;

	while (p < end && (p = memchr(p, '\n', (size_t)(end - p)))) {
		n++;
		p++;
	}
	return n;
}

static void drop_rest(struct file_sink *f)
{
	free(f->rest_memory);
	f->rest_memory = NULL;
	f->rest = NULL;
	f->rest_size = 0;
}

/* The file ends inside a line. */
static void rest_is_newline(struct file_sink *f)
{
	drop_rest(f);
	f->rest = "\n";
	f->rest_size = 1;
}

/* The line whose first bytes went out goes on at p. */
static void keep_rest(struct file_sink *f, const char *p, size_t len)
{
	const char *end = memchr(p, '\n', len);

	rest_is_newline(f); /* what also does where there is no memory */
	if (end)
		len = (size_t)(end + 1 - p);
	f->rest_memory = malloc(len);
	if (!f->rest_memory)
		return;
	memcpy(f->rest_memory, p, len);
	f->rest = f->rest_memory;
	f->rest_size = len;
}

static int write_rest(struct file_sink *f, struct turns *t, uint64_t *bytes)
{
	size_t done;
	int err;

	if (!f->rest_size)
		return 0;
	err = write_all(f, t, f->rest, f->rest_size, &done);
	*bytes += done;
	f->rest += done;
	f->rest_size -= done;
	if (!f->rest_size)
		drop_rest(f);
	return err;
}

/* Nothing more will be written to this file, or nobody may be waited for any more. */
static bool never_go_on(void *ctx)
{
	(void)ctx;
	return false;
}

static void write_last_rest(struct file_sink *f)
{
	static const struct sink_turn at_once = {.go_on = never_go_on};
	struct pollfd p = {.fd = f->fd, .events = POLLOUT};
	uint64_t bytes = 0;
	struct turns t;

	if (f->rest_size && f->fd >= 0 && !f->dead) {
		turns_begin(&t, &at_once, 0);
		if (f->how == HOW_PIECES && poll(&p, 1, 0) == 1)
			bytes += write_some(f, f->rest, f->rest_size) > 0;
		else if (f->how != HOW_PIECES && write_rest(f, &t, &bytes))
			bytes = 0; /* the file ends inside a line, which its next writer sees */
	}
	drop_rest(f);
}

/* --- Opening ---------------------------------------------------------------------------------- */

static int fail(char why[SINK_WHY_SIZE], int err, const char *path, const char *advice)
{
	snprintf(why, SINK_WHY_SIZE, "%.300s: %s: %s", path, fl_strerror(err), advice);
	return err;
}

static const char *open_advice(int err)
{
	switch (err) {
	case EACCES:
	case EPERM:
	case EROFS:
		return "name a file that this user may write to";
	case ENOENT:
	case ENOTDIR:
		return "create its directory first";
	case EISDIR:
		return "name a file, not a directory";
	case ENOSPC:
	case EDQUOT:
		return "make room, or name a file on another disk";
	case ENXIO:
		return "name a file (a socket is unix:PATH)";
	case EMFILE:
	case ENFILE:
		return "raise the limit on open files (ulimit -n)";
	default:
		return "name another file";
	}
}

/* The file's last byte is not a newline: its last writer was stopped inside a line. Where it
 * cannot be read, nothing is known, and nothing is done. */
static bool ends_inside_line(int fd, const char *path)
{
	struct stat st, same;
	char last = '\n';
	int in;

	if (fstat(fd, &st) || !S_ISREG(st.st_mode) || !st.st_size)
		return false;
	in = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (in < 0)
		return false;
	if (fstat(in, &same) || same.st_ino != st.st_ino || same.st_dev != st.st_dev ||
	    pread(in, &last, 1, st.st_size - 1) != 1)
		last = '\n';
	close(in);
	return last != '\n';
}

/* For the next send() to tell. */
static void note(struct file_sink *f, const char *text)
{
	if (!f->note[0])
		snprintf(f->note, sizeof(f->note), "%s", text);
}

/* fd: what the path names was opened. */
static void adopt(struct file_sink *f, int fd)
{
	struct stat st;

	if (f->fd >= 0 && close(f->fd) && errno != EINTR)
		note(f,
		     "the file before this one may have lost what was written to it last: see to "
		     "its disk");
	drop_rest(f);
	f->fd = fd;
	f->own_fd = true;
	f->dead = false;
	f->how = HOW_PLAIN;
	f->regular = fd >= 0 && !fstat(fd, &st) && S_ISREG(st.st_mode);
	if (fd >= 0 && ends_inside_line(fd, f->path))
		rest_is_newline(f);
}

/* The descriptor; -1 with *err 0: a named pipe without a reader; else *err is -errno. */
static int open_path(const char *path, int *err)
{
	struct stat st;
	int fd;

	do {
		fd = open(path, OPEN_FLAGS, 0640);
	} while (fd < 0 && errno == EINTR);
	*err = fd < 0 ? -errno : 0;
	if (*err == -ENXIO && !stat(path, &st) && S_ISFIFO(st.st_mode))
		*err = 0;
	return fd;
}

/* Rotation is of the file that a symbolic link leads to. 0, or -errno. */
static int open_rotate(struct file_sink *f)
{
	struct rotate_config c = {.max_bytes = f->config.rotate_bytes,
				  .max_age_ns = f->config.rotate_age_ns,
				  .keep = f->config.keep,
				  .compress = f->config.compress};
	char *real = NULL;
	int err = 0;

	if (f->regular && (c.max_bytes || c.max_age_ns)) {
		real = realpath(f->path, NULL);
		err = real ? 0 : -errno;
	}
	if (f->rotate && real && !strcmp(real, f->rotated_path)) {
		rotate_other_file(f->rotate);
		free(real);
	} else {
		rotate_free(f->rotate);
		free(f->rotated_path);
		c.path = f->rotated_path = real;
		f->rotate = real ? rotate_new(&c) : NULL;
		if (real && !f->rotate)
			err = -errno;
	}
	if (f->rotate)
		rotate_tidy(f->rotate);
	return err;
}

/* Open the path, again or for the first time. On an error all stays as it was. */
static int open_file(struct file_sink *f, char why[SINK_WHY_SIZE])
{
	int err, fd = open_path(f->path, &err);

	if (err)
		return fail(why, err, f->path, open_advice(-err));
	if (f->fd >= 0)
		write_last_rest(f);
	adopt(f, fd);
	err = open_rotate(f);
	if (err)
		return fail(why, err, f->path, "it is written to, but not rotated");
	f->told_removed = false;
	return 0;
}

/* --- Before a parcel, and between ------------------------------------------------------------- */

/* Somebody has removed the file: what is written to it would vanish with it. */
static void look_for_removal(struct file_sink *f)
{
	char why[SINK_WHY_SIZE], text[SINK_WHY_SIZE];
	struct stat st;

	if (fstat(f->fd, &st) || st.st_nlink)
		return;
	if (!open_file(f, why))
		snprintf(
		    text, sizeof(text),
		    "%.300s was removed, with what was in it: a new one is written to; to have "
		    "it moved, rename it and send SIGHUP",
		    f->path);
	else if (!f->told_removed)
		snprintf(text, sizeof(text), "the file was removed and cannot be made anew: %.400s",
			 why);
	else
		return;
	f->told_removed = f->regular && !fstat(f->fd, &st) && !st.st_nlink;
	note(f, text);
}

static uint64_t epoch_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void look_at_file(struct file_sink *f, size_t more)
{
	uint64_t now_ns = epoch_ns();
	int fd;

	if (!f->regular || !f->path)
		return;
	look_for_removal(f);
	if (!f->rotate || !rotate_due(f->rotate, f->fd, more, now_ns))
		return;
	fd = rotate_move(f->rotate, f->fd, now_ns);
	if (fd < 0)
		return;
	write_last_rest(f);
	adopt(f, fd);
	if (f->regular && more)
		(void)rotate_due(f->rotate, f->fd, more, now_ns); /* it begins now */
	rotate_tidy(f->rotate);
}

static void file_idle(struct sink *s)
{
	look_at_file((struct file_sink *)s, 0);
}

/* --- Sending ---------------------------------------------------------------------------------- */

static const char *write_advice(int err)
{
	switch (err) {
	case -ENOSPC:
	case -EDQUOT:
		return "make room";
	case -EFBIG:
		return "move the file away, or raise the limit on its size (ulimit -f)";
	default:
		return "see that it can be written to";
	}
}

/* A named pipe: a writer can open it only when there is a reader. */
static int wait_for_reader(struct file_sink *f, struct turns *t)
{
	int err, fd;

	for (;;) {
		fd = open_path(f->path, &err);
		if (err)
			return err;
		if (fd >= 0) {
			adopt(f, fd);
			return 0;
		}
		if (turns_sleep(t, READER_NS) != TURNS_READY)
			return -ECANCELED;
	}
}

static void closed(struct file_sink *f, uint32_t lost, struct sink_result *r)
{
	f->dead = true;
	drop_rest(f);
	r->verdict = SINK_CLOSED;
	r->lost = lost;
	snprintf(r->why, sizeof(r->why), "nobody reads it any more");
}

/* After an error behind `done` bytes: count what went out, give up the rest but the end of a line
 * that is half written. */
static void give_up(struct file_sink *f, const struct parcel *p, size_t done, int err,
		    struct sink_result *r)
{
	uint32_t whole = count_lines(p->bytes, done);

	r->lost = p->points > whole ? p->points - whole : 0;
	if (err == -EPIPE) {
		closed(f, r->lost, r);
		return;
	}
	if (done && p->bytes[done - 1] != '\n')
		keep_rest(f, p->bytes + done, p->size - done);
	if (err != -ECANCELED) {
		snprintf(r->why, sizeof(r->why), "%s: %s", fl_strerror(err), write_advice(err));
	} else if (done) {
		snprintf(r->why, sizeof(r->why),
			 "stopped before its reader took all: %u points lost", r->lost);
	} else {
		r->verdict = SINK_STOPPED;
		r->lost = 0;
	}
}

static void file_send(struct sink *s, const struct parcel *p, const struct sink_turn *turn,
		      struct sink_result *r)
{
	struct file_sink *f = (struct file_sink *)s;
	struct turns t;
	size_t done = 0;
	int err = 0;

	if (f->dead) {
		closed(f, p->points, r);
		return;
	}
	r->verdict = SINK_DELIVERED;
	turns_begin(&t, turn, 0);
	if (f->fd < 0)
		err = wait_for_reader(f, &t);
	look_at_file(f, p->size);
	if (!err)
		err = write_rest(f, &t, &r->bytes);
	if (!err)
		err = write_all(f, &t, p->bytes, p->size, &done);
	r->bytes += done;
	if (err)
		give_up(f, p, done, err, r);
	if (r->why[0])
		return;
	if (f->note[0]) {
		memcpy(r->why, f->note, sizeof(f->note));
		f->note[0] = 0;
	} else if (f->rotate && r->verdict == SINK_DELIVERED) {
		(void)rotate_note(f->rotate, r->why);
	}
}

/* --- The other operations --------------------------------------------------------------------- */

static int file_reopen(struct sink *s, char why[SINK_WHY_SIZE])
{
	why[0] = 0;
	return open_file((struct file_sink *)s, why);
}

static void free_file(struct file_sink *f)
{
	rotate_free(f->rotate);
	free(f->rotated_path);
	free(f->rest_memory);
	free(f->path);
	free(f);
}

static int file_close(struct sink *s, char why[SINK_WHY_SIZE])
{
	struct file_sink *f = (struct file_sink *)s;
	const char *name = f->path ? f->path : "standard output";
	int err = 0;

	why[0] = 0;
	write_last_rest(f);
	/* Some file systems tell only now that they could not keep what they took. */
	if (f->own_fd && f->fd >= 0 && close(f->fd) && errno != EINTR)
		err = fail(why, -errno, name, "what was written last may be lost");
	if (f->rotate) {
		(void)rotate_wait(f->rotate, SINK_TURN_MS);
		if (!f->note[0])
			(void)rotate_note(f->rotate, f->note);
	}
	if (f->note[0])
		log_warn("%s", f->note); /* there is no later send to tell it */
	free_file(f);
	return err;
}

static const struct sink_ops file_ops = {
    .kind = "file",
    .send = file_send,
    .reopen = file_reopen,
    .idle = file_idle,
    .close = file_close,
};

static const struct sink_ops stdout_ops = {
    .kind = "stdout",
    .send = file_send,
    .close = file_close,
};

int sink_file_open(struct sink **sink, const struct sink_file_config *c, char why[SINK_WHY_SIZE])
{
	struct file_sink *f;
	int err;

	*sink = NULL;
	why[0] = 0;
	if (!*c->path) {
		snprintf(why, SINK_WHY_SIZE,
			 "names no file: want a path, such as /var/log/flowline.lp");
		return FL_EUSAGE;
	}
	f = calloc(1, sizeof(*f));
	if (!f)
		return fail(why, -ENOMEM, c->path, "make memory free");
	f->sink.ops = &file_ops;
	f->fd = -1;
	f->config = *c;
	f->path = strdup(c->path);
	f->config.path = f->path;
	err = f->path ? open_file(f, why) : fail(why, -ENOMEM, c->path, "make memory free");
	if (err) {
		if (f->fd >= 0)
			close(f->fd);
		free_file(f);
		return err;
	}
	*sink = &f->sink;
	return 0;
}

/* --- Standard output -------------------------------------------------------------------------- */

/* A terminal's line or the slave of a pseudo-terminal (Documentation/admin-guide/devices.txt):
 * opening it again has no effect of its own, as opening /dev/ptmx would have. */
static bool is_terminal_line(const struct stat *st)
{
	unsigned int m = major(st->st_rdev);

	return S_ISCHR(st->st_mode) && (m == 4 || (m >= 136 && m <= 143));
}

/* O_NONBLOCK belongs to the description, which we share with a shell and others: it is set only on
 * a description of our own. Where there can be none, the little that surely fits is written. */
static void look_at_stdout(struct file_sink *f)
{
	struct stat st;
	int fd = -1;

	if (fstat(STDOUT_FILENO, &st) || S_ISREG(st.st_mode))
		return;
	if (S_ISSOCK(st.st_mode)) {
		f->how = HOW_SOCKET;
		return;
	}
	if (S_ISFIFO(st.st_mode) || is_terminal_line(&st))
		fd = open("/proc/self/fd/1", O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
	if (fd >= 0) {
		f->fd = fd;
		f->own_fd = true;
	} else if (S_ISFIFO(st.st_mode) || isatty(STDOUT_FILENO)) {
		f->how = HOW_PIECES;
		f->piece = S_ISFIFO(st.st_mode) ? PIPE_PIECE : TTY_PIECE;
	}
}

int sink_stdout_open(struct sink **sink, char why[SINK_WHY_SIZE])
{
	int flags = fcntl(STDOUT_FILENO, F_GETFL);
	struct file_sink *f;

	*sink = NULL;
	why[0] = 0;
	if (flags < 0 || (flags & O_ACCMODE) == O_RDONLY)
		return fail(why, -EBADF, "standard output is not open for writing",
			    "give it a place to go, or write to a file (file:PATH)");
	f = calloc(1, sizeof(*f));
	if (!f)
		return fail(why, -ENOMEM, "standard output", "make memory free");
	f->sink.ops = &stdout_ops;
	f->fd = STDOUT_FILENO;
	look_at_stdout(f);
	*sink = &f->sink;
	return 0;
}
