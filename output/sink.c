/* sink.c - lines to standard output or a file: one buffer, write(2), every line accounted for. */
#include "output/sink.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BUFFER_BYTES = 256 * 1024 };

struct sink {
	int fd;
	bool own_fd; /* to be closed */
	bool dead;   /* -EPIPE: nobody reads any more */
	bool torn;   /* the buffer begins with the rest of a line that was counted as lost */
	int error;   /* first since the last flush */
	size_t used;
	uint64_t lines; /* points in the buffer, without a torn one */
	struct sink_stats stats;
	char *spec;
	char *buffer;
};

/* --- Writing ---------------------------------------------------------------------------------- */

/* Someone else may have set our terminal or pipe to O_NONBLOCK: wait as write(2) would have. */
static void wait_writable(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLOUT};

	(void)poll(&p, 1, -1);
}

/* Write all; *done is how much was accepted. 0, or -errno. */
static int write_all(int fd, const char *data, size_t len, size_t *done)
{
	ssize_t n;

	*done = 0;
	while (*done < len) {
		n = write(fd, data + *done, len - *done);
		if (n > 0) {
			*done += (size_t)n;
		} else if (n == 0) {
			return -EIO; /* a device that takes nothing would be asked for ever */
		} else if (errno == EAGAIN || errno == EWOULDBLOCK) {
			wait_writable(fd);
		} else if (errno != EINTR) {
			return -errno;
		}
	}
	return 0;
}

static uint64_t count_lines(const char *p, size_t len)
{
	const char *end = p + len;
	uint64_t n = 0;

	while (p < end && (p = memchr(p, '\n', (size_t)(end - p)))) {
		n++;
		p++;
	}
	return n;
}

/* After an error behind `done` bytes: count what went out, give up the rest but the end of a line
 * that is half written. */
static void give_up(struct sink *s, size_t done)
{
	uint64_t whole = count_lines(s->buffer, done);
	bool inside = done ? s->buffer[done - 1] != '\n' : s->torn;
	char *rest = s->buffer + done, *end = NULL;

	if (s->torn && whole)
		whole--; /* the torn one is complete now, but was counted before */
	s->stats.points_written += whole;
	s->stats.points_lost += s->lines - whole;
	s->lines = 0;
	if (inside && !s->dead)
		end = memchr(rest, '\n', s->used - done);
	s->used = 0;
	s->torn = false;
	if (end) {
		s->used = (size_t)(end + 1 - rest);
		memmove(s->buffer, rest, s->used);
		s->torn = true;
	}
}

static void write_buffer(struct sink *s)
{
	size_t done = 0;
	int err;

	if (!s->used)
		return;
	err = s->dead ? -EPIPE : write_all(s->fd, s->buffer, s->used, &done);
	s->stats.bytes_written += done;
	if (!err) {
		s->stats.points_written += s->lines;
		s->lines = 0;
		s->used = 0;
		s->torn = false;
		return;
	}
	if (!s->dead)
		s->stats.errors++;
	if (err == -EPIPE)
		s->dead = true;
	if (!s->error)
		s->error = err;
	give_up(s, done);
}

char *sink_reserve(struct sink *s, size_t most)
{
	if (most > BUFFER_BYTES - s->used)
		write_buffer(s);
	return s->buffer + s->used;
}

void sink_commit(struct sink *s, size_t len)
{
	if (!len)
		return;
	s->used += len;
	s->lines++;
}

int sink_flush(struct sink *s)
{
	int err;

	write_buffer(s);
	err = s->error ? s->error : s->dead ? -EPIPE : 0;
	s->error = 0;
	return err;
}

const struct sink_stats *sink_stats(const struct sink *s)
{
	return &s->stats;
}

const char *sink_spec(const struct sink *s)
{
	return s->spec;
}

/* --- Opening ---------------------------------------------------------------------------------- */

static __thread char message_text[1024];

static int fail(const char **message, int err)
{
	*message = message_text;
	return err;
}

#define FAIL(message, err, ...)                                                                    \
	(snprintf(message_text, sizeof(message_text), __VA_ARGS__), fail(message, err))

static const char *file_advice(int err)
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
	default:
		return "name another file";
	}
}

/* The file's last byte is not a newline: its last writer was stopped inside a line. Where it
 * cannot be read, nothing is known, and nothing is done. */
static bool ends_inside_line(int fd, const char *path)
{
	struct stat st;
	char last = '\n';
	int in;

	if (fstat(fd, &st) || !S_ISREG(st.st_mode) || !st.st_size)
		return false;
	in = open(path, O_RDONLY | O_CLOEXEC);
	if (in < 0)
		return false;
	if (pread(in, &last, 1, st.st_size - 1) != 1)
		last = '\n';
	close(in);
	return last != '\n';
}

static int open_file(struct sink *s, const char *path, const char **message)
{
	if (!*path)
		return FAIL(message, FL_EUSAGE,
			    "-o file: names no file: want file:PATH, such as "
			    "file:/var/log/flowline.lp");
	do {
		s->fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0640);
	} while (s->fd < 0 && errno == EINTR);
	if (s->fd < 0) {
		int err = errno;

		return FAIL(message, -err, "-o file:%.700s: %s: %s", path, fl_strerror(-err),
			    file_advice(err));
	}
	s->own_fd = true;
	if (ends_inside_line(s->fd, path)) {
		s->buffer[0] = '\n';
		s->used = 1;
		s->torn = true;
	}
	return 0;
}

static int open_stdout(struct sink *s, const char **message)
{
	int flags = fcntl(STDOUT_FILENO, F_GETFL);

	if (flags < 0 || (flags & O_ACCMODE) == O_RDONLY)
		return FAIL(
		    message, -EBADF,
		    "-o -: standard output is not open for writing: give it a place to go, or "
		    "use -o file:PATH");
	s->fd = STDOUT_FILENO;
	return 0;
}

static int unknown_sink(const char *spec, const char **message)
{
	if (*spec && !strchr(spec, ':'))
		return FAIL(message, FL_EUSAGE,
			    "-o: unknown sink '%.400s': want - or file:PATH (did you mean "
			    "'file:%.400s'?)",
			    spec, spec);
	return FAIL(message, FL_EUSAGE, "-o: unknown sink '%.400s': want - or file:PATH", spec);
}

static void free_sink(struct sink *s)
{
	if (!s)
		return;
	free(s->buffer);
	free(s->spec);
	free(s);
}

int sink_open(struct sink **sink, const char *spec, const char **message)
{
	struct sink *s = calloc(1, sizeof(*s));
	int err;

	*sink = NULL;
	*message = "";
	if (s) {
		s->fd = -1;
		s->spec = strdup(spec);
		s->buffer = malloc(BUFFER_BYTES);
	}
	if (!s || !s->spec || !s->buffer)
		err = FAIL(message, -ENOMEM, "-o %.400s: no memory for its buffer", spec);
	else if (!strcmp(spec, "-"))
		err = open_stdout(s, message);
	else if (!strncmp(spec, "file:", 5))
		err = open_file(s, spec + 5, message);
	else
		err = unknown_sink(spec, message);
	if (err) {
		free_sink(s);
		return err;
	}
	*sink = s;
	return 0;
}

int sink_close(struct sink *s)
{
	int err;

	if (!s)
		return 0;
	err = sink_flush(s);
	/* Some file systems tell only now that they could not keep what they took. */
	if (s->own_fd && close(s->fd) && errno != EINTR && !err)
		err = -errno;
	free_sink(s);
	return err;
}
