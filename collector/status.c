/* status.c - see status.h; unix(7), RFC 9112. */
#include "collector/status.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#ifdef HAVE_CONFIG_H
#include "config.h"
#endif
#ifndef PACKAGE_VERSION
#define PACKAGE_VERSION "(version unknown)"
#endif

#define NS_PER_MS 1000000ULL
#define NS_PER_S  1000000000ULL

enum {
	BACKLOG = 8,
	REQUEST_MOST = 4096, /* bytes; of what follows the first line the rest is passed over */
	FILLS_MOST = 3,
	PAUSE_MS = 1000, /* where the process has no descriptor left to accept with */
	DRAINS = 4,
};

enum want { WANT_MORE, WANT_JSON, WANT_TABLE, WANT_OTHER, WANT_METHOD, WANT_NOTHING };

struct request {
	enum want want;
	bool http, head;
};

struct client {
	int fd; /* -1: free */
	uint64_t deadline_ns;
	char in[REQUEST_MOST];
	size_t got;
	struct buffer answer; /* empty: it has not asked yet */
	size_t sent;
};

struct status {
	int fd;
	char path[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
	dev_t dev; /* of its file; ino 0: not known */
	ino_t ino;
	uint64_t pause_ns; /* until then it does not accept; 0: it does */
	struct client clients[STATUS_CLIENTS_MOST];
	struct status_view view;
};

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

/* --- the socket's file ------------------------------------------------------------------------ */

static int explain(char why[STATUS_WHY_SIZE], const char *path, const char *what, int err,
		   const char *mend)
{
	snprintf(why, STATUS_WHY_SIZE, "status.socket: %s: %s%s%s%s%s", path, what, err ? ": " : "",
		 err ? strerror(err) : "", mend[0] ? "; " : "", mend);
	return err ? -err : -EADDRINUSE;
}

static const char *mend_of(int err)
{
	switch (err) {
	case EACCES:
	case EPERM:
		return "run as root, or set status.socket to a path in a directory that this user "
		       "may write to";
	case ENOENT:
		return "make its directory first, or set status.socket to another path";
	case EROFS:
		return "set status.socket to a path in /run";
	default:
		return "set status.socket to another path";
	}
}

/* Of path, into dir; "." where it names none. */
static void directory_of(const char *path, char *dir, size_t size)
{
	const char *slash = strrchr(path, '/');
	size_t len = slash ? (size_t)(slash - path) : 0;

	if (slash == path)
		snprintf(dir, size, "/");
	else if (!slash)
		snprintf(dir, size, ".");
	else
		snprintf(dir, size, "%.*s", (int)len, path);
}

/* /run is empty at each boot, and without systemd nobody makes our directory there. */
static int make_directory(const char *dir, char why[STATUS_WHY_SIZE])
{
	char parent[sizeof(((struct status *)NULL)->path)];
	int err;

	directory_of(dir, parent, sizeof(parent));
	if (strcmp(parent, "/run") && strcmp(parent, "/var/run"))
		return 0;
	if (!mkdir(dir, 0755) || errno == EEXIST)
		return 0;
	err = errno;
	return explain(why, dir, "this directory cannot be made", err, mend_of(err));
}

/* What stands at the path: 0: nothing (any more), or negative with why. */
static int clear_stale(const struct sockaddr_un *a, char why[STATUS_WHY_SIZE])
{
	struct stat st;
	int fd, err;

	if (lstat(a->sun_path, &st)) /* whatever else is wrong, bind() will say */
		return 0;
	if (!S_ISSOCK(st.st_mode))
		return explain(why, a->sun_path, "there is something that is no socket", EEXIST,
			       "move it away, or set status.socket to another path");
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0) {
		err = errno;
		return explain(why, a->sun_path, "no socket", err, "");
	}
	err = connect(fd, (const struct sockaddr *)a, sizeof(*a)) ? errno : 0;
	close(fd);
	if (err == ECONNREFUSED)
		return !unlink(a->sun_path) || errno == ENOENT
			   ? 0
			   : explain(why, a->sun_path, "an old socket cannot be removed", errno,
				     mend_of(errno));
	if (err == ENOENT)
		return 0;
	if (!err || err == EAGAIN) /* its backlog is full: it is alive, too */
		return explain(why, a->sun_path, "another flowline answers at this socket", 0,
			       "stop it, or give this one another status.socket");
	return explain(why, a->sun_path, "somebody else's socket is there", err,
		       "set status.socket to another path");
}

/* bind(2) takes the mode from the descriptor, less the umask: it is never wider than it shall be.
 */
static int bind_here(struct status *s, const struct sockaddr_un *a, char why[STATUS_WHY_SIZE])
{
	struct stat st;
	int err = 0;

	(void)fchmod(s->fd, 0660);
	if (bind(s->fd, (const struct sockaddr *)a, sizeof(*a)))
		err = errno;
	else if (chmod(a->sun_path, 0660) || listen(s->fd, BACKLOG)) {
		err = errno;
		unlink(a->sun_path);
	}
	if (err)
		return explain(why, a->sun_path, "cannot be made", err, mend_of(err));
	if (!lstat(a->sun_path, &st)) {
		s->dev = st.st_dev;
		s->ino = st.st_ino;
	}
	return 0;
}

/* Two that start at once would each take the other's new socket for an old one: the directory is
 * locked meanwhile, where it can be. */
static int open_socket(struct status *s, const struct sockaddr_un *a, char why[STATUS_WHY_SIZE])
{
	char dir[sizeof(s->path)];
	int lock, err, tries;

	directory_of(a->sun_path, dir, sizeof(dir));
	err = make_directory(dir, why);
	if (err)
		return err;
	lock = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (tries = 0; lock >= 0 && tries < 100 && flock(lock, LOCK_EX | LOCK_NB); tries++) {
		struct timespec nap = {0, (long)(10 * NS_PER_MS)};

		if (errno != EWOULDBLOCK)
			break;
		nanosleep(&nap, NULL);
	}
	err = clear_stale(a, why);
	if (!err) {
		s->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		err = s->fd < 0 ? explain(why, a->sun_path, "no socket", errno, "")
				: bind_here(s, a, why);
	}
	if (lock >= 0)
		close(lock);
	return err;
}

int status_open(struct status **out, const char *path, char why[STATUS_WHY_SIZE])
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	struct status *s;
	size_t i;
	int err;

	*out = NULL;
	why[0] = '\0';
	if (!path[0] || strlen(path) >= sizeof(a.sun_path)) {
		snprintf(why, STATUS_WHY_SIZE,
			 "status.socket: '%.128s%s': the path of a unix socket has 1 to %zu bytes",
			 path, strlen(path) > 128 ? "..." : "", sizeof(a.sun_path) - 1);
		return -ENAMETOOLONG;
	}
	memcpy(a.sun_path, path, strlen(path));
	s = calloc(1, sizeof(*s));
	if (!s)
		return explain(why, path, "memory was refused", ENOMEM, "");
	memcpy(s->path, a.sun_path, sizeof(s->path));
	s->fd = -1;
	for (i = 0; i < STATUS_CLIENTS_MOST; i++) {
		s->clients[i].fd = -1;
		buffer_init(&s->clients[i].answer, STATUS_ANSWER_MOST + 1024);
	}
	err = open_socket(s, &a, why);
	if (err) {
		status_close(s);
		return err;
	}
	*out = s;
	return 0;
}

/* --- clients ---------------------------------------------------------------------------------- */

static void drop(struct client *c)
{
	char rest[1024];
	int i;

	/* With unread bytes the kernel would tell the peer of a broken connection. */
	for (i = 0; i < DRAINS && recv(c->fd, rest, sizeof(rest), MSG_DONTWAIT) > 0; i++)
		;
	close(c->fd);
	c->fd = -1;
	c->got = c->sent = 0;
	buffer_free(&c->answer);
}

void status_close(struct status *s)
{
	struct stat st;
	size_t i;

	if (!s)
		return;
	for (i = 0; i < STATUS_CLIENTS_MOST; i++)
		if (s->clients[i].fd >= 0)
			drop(&s->clients[i]);
	if (s->ino && !lstat(s->path, &st) && st.st_dev == s->dev && st.st_ino == s->ino)
		unlink(s->path);
	if (s->fd >= 0)
		close(s->fd);
	free(s);
}

static bool is_word(const char *s, size_t len, const char *word)
{
	return len == strlen(word) && !memcmp(s, word, len);
}

/* "GET /json HTTP/1.1" */
static void parse_http(const char *line, size_t len, struct request *r)
{
	const char *blank = memchr(line, ' ', len), *target;
	size_t method = blank ? (size_t)(blank - line) : len, n = 0;

	r->http = true;
	r->head = is_word(line, method, "HEAD");
	r->want = WANT_OTHER;
	if (!r->head && !is_word(line, method, "GET")) {
		r->want = WANT_METHOD;
		return;
	}
	target = line + method + 1;
	while (target + n < line + len && target[n] != ' ' && target[n] != '?')
		n++;
	if (is_word(target, n, "/") || is_word(target, n, "/json"))
		r->want = WANT_JSON;
	else if (is_word(target, n, "/table"))
		r->want = WANT_TABLE;
}

/* Is the request's last line there, an empty one? */
static bool head_ends(const char *s, size_t len)
{
	size_t i;

	for (i = 1; i < len; i++)
		if (s[i] == '\n' && (s[i - 1] == '\n' || (i > 1 && !memcmp(s + i - 2, "\n\r", 2))))
			return true;
	return false;
}

/* end: nothing more can come. */
static void parse(const char *s, size_t len, bool end, struct request *r)
{
	static const char http[] = " HTTP/1.";
	const char *eol = memchr(s, '\n', len);
	size_t line = eol ? (size_t)(eol - s) : len, tail = sizeof(http) - 1;

	memset(r, 0, sizeof(*r));
	r->want = WANT_MORE;
	if (!eol && !end)
		return;
	if (line && s[line - 1] == '\r')
		line--;
	if (line > tail + 1 && !memcmp(s + line - tail - 1, http, tail)) {
		if (end || head_ends(s, len))
			parse_http(s, line, r);
	} else if (is_word(s, line, "json")) {
		r->want = WANT_JSON;
	} else if (is_word(s, line, "table")) {
		r->want = WANT_TABLE;
	} else {
		r->want = line ? WANT_OTHER : WANT_NOTHING;
	}
}

static void fill_view(struct status *s, void (*fill)(void *ctx, struct status_view *view),
		      void *ctx)
{
	struct status_view *v = &s->view;
	int i;

	for (i = 0; i < FILLS_MOST; i++) {
		memset(v, 0, sizeof(*v));
		v->version = PACKAGE_VERSION;
		v->pid = (int)getpid();
		v->now_ns = clock_ns(CLOCK_REALTIME);
		fill(ctx, v);
		if (status_accounted(v))
			break;
	}
}

static void put_http_head(struct buffer *b, const struct request *r, const struct buffer *body,
			  bool well)
{
	static const char *const lines[] = {
	    [WANT_JSON] = "200 OK",
	    [WANT_TABLE] = "200 OK",
	    [WANT_OTHER] = "404 Not Found",
	    [WANT_METHOD] = "405 Method Not Allowed\r\nAllow: GET, HEAD",
	};

	buffer_printf(
	    b, "HTTP/1.0 %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n", lines[r->want],
	    r->want == WANT_JSON ? "application/json" : "text/plain; charset=utf-8", body->len);
	if (r->want == WANT_JSON || r->want == WANT_TABLE)
		buffer_printf(b, STATUS_EXIT_HEADER ": %d\r\n", well ? 0 : 3);
	buffer_str(b, "Cache-Control: no-store\r\nConnection: close\r\n\r\n");
}

static void make_answer(struct status *s, struct client *c, const struct request *r,
			void (*fill)(void *ctx, struct status_view *view), void *ctx)
{
	struct buffer body;
	bool well = false;

	buffer_init(&body, STATUS_ANSWER_MOST);
	if (r->want == WANT_JSON || r->want == WANT_TABLE) {
		fill_view(s, fill, ctx);
		well = !status_problems(&s->view, NULL, NULL);
		if (r->want == WANT_JSON)
			status_put_json(&body, &s->view);
		else
			status_put_table(&body, &s->view);
	} else {
		buffer_str(&body, r->want == WANT_METHOD
				      ? "flowline: GET and HEAD are understood\n"
				      : "flowline: want json or table; by HTTP / or /table\n");
	}
	if (r->http)
		put_http_head(&c->answer, r, &body, well);
	if (!r->head)
		buffer_put(&c->answer, body.s, body.len);
	if (body.failed)
		c->answer.failed = true;
	buffer_free(&body);
}

/* False: the client is done with. */
static bool send_answer(struct client *c)
{
	while (c->sent < c->answer.len) {
		ssize_t n = send(c->fd, c->answer.s + c->sent, c->answer.len - c->sent,
				 MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n > 0)
			c->sent += (size_t)n;
		else if (n < 0 && errno == EINTR)
			continue;
		else
			return n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
	}
	return false;
}

/* 1: go on reading; 0: the request is complete, or will never be; -1: the client is done with. */
static int read_request(struct client *c)
{
	ssize_t n = recv(c->fd, c->in + c->got, sizeof(c->in) - c->got, MSG_DONTWAIT);

	if (n < 0)
		return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? 1 : -1;
	c->got += (size_t)n;
	return n > 0 && c->got < sizeof(c->in);
}

static bool serve(struct status *s, struct client *c,
		  void (*fill)(void *ctx, struct status_view *view), void *ctx)
{
	struct request r;
	int more;

	if (!c->answer.len) {
		more = read_request(c);
		if (more < 0)
			return false;
		parse(c->in, c->got, !more, &r);
		if (r.want == WANT_MORE)
			return true;
		if (r.want == WANT_NOTHING)
			return false;
		make_answer(s, c, &r, fill, ctx);
		if (c->answer.failed)
			return false;
	}
	return send_answer(c);
}

static struct client *free_client(struct status *s)
{
	size_t i;

	for (i = 0; i < STATUS_CLIENTS_MOST; i++)
		if (s->clients[i].fd < 0)
			return &s->clients[i];
	return NULL;
}

static void accept_clients(struct status *s, uint64_t now_ns,
			   void (*fill)(void *ctx, struct status_view *view), void *ctx)
{
	struct client *c;
	int tries;

	for (tries = 0; tries < STATUS_CLIENTS_MOST && (c = free_client(s)) != NULL; tries++) {
		int fd = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd < 0) {
			/* poll() would report the waiting client again and again */
			if (errno == EMFILE || errno == ENFILE || errno == ENOMEM ||
			    errno == ENOBUFS)
				s->pause_ns = now_ns + PAUSE_MS * NS_PER_MS;
			return;
		}
		c->fd = fd;
		c->deadline_ns = now_ns + STATUS_TIMEOUT_MS * NS_PER_MS;
		if (!serve(s, c, fill, ctx)) /* the request is mostly there already */
			drop(c);
	}
}

int status_fd(const struct status *s)
{
	return s ? s->fd : -1;
}

void status_gather(const struct status *s, struct pollfd *fds)
{
	bool room = false;
	size_t i;

	memset(fds, 0, STATUS_FDS * sizeof(*fds));
	for (i = 0; i < STATUS_CLIENTS_MOST; i++) {
		const struct client *c = s ? &s->clients[i] : NULL;

		fds[1 + i].fd = c ? c->fd : -1;
		fds[1 + i].events = c && c->answer.len ? POLLOUT : POLLIN;
		room = room || (c && c->fd < 0);
	}
	/* with all places taken, others wait in the backlog */
	fds[0].fd = room && !s->pause_ns ? s->fd : -1;
	fds[0].events = POLLIN;
}

void status_poll(struct status *s, const struct pollfd *fds,
		 void (*fill)(void *ctx, struct status_view *view), void *ctx)
{
	uint64_t now_ns;
	size_t i;

	if (!s)
		return;
	now_ns = clock_ns(CLOCK_MONOTONIC);
	for (i = 0; i < STATUS_CLIENTS_MOST; i++) {
		struct client *c = &s->clients[i];

		if (c->fd < 0)
			continue;
		if (((!fds || fds[1 + i].revents) && !serve(s, c, fill, ctx)) ||
		    now_ns >= c->deadline_ns)
			drop(c);
	}
	if (s->pause_ns && now_ns >= s->pause_ns)
		s->pause_ns = 0;
	if (!s->pause_ns && (!fds || fds[0].revents))
		accept_clients(s, now_ns, fill, ctx);
}
