/* notify.c - see notify.h. */
#include "collector/notify.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "collector/pipeline.h"
#include "common/log.h"

#define NS_PER_US 1000ULL
#define NS_PER_S  1000000000ULL

enum {
	SEND_MOST_MS = 500,  /* what a change of state may wait for a busy manager */
	LEAST_NS = 10000000, /* between two signs of life */
};

/* ---- the environment */

/* 0, or -EINVAL where it is no address that can be sent to. */
static int parse_address(struct notify *n, const char *path)
{
	size_t len = strlen(path);

	/* an abstract name has no 0 at its end, and may fill the field */
	if ((path[0] != '/' && path[0] != '@') || len < 2 ||
	    len > sizeof(n->to.sun_path) - (path[0] == '/'))
		return -EINVAL;
	memset(&n->to, 0, sizeof(n->to));
	n->to.sun_family = AF_UNIX;
	memcpy(n->to.sun_path, path, len);
	if (path[0] == '@')
		n->to.sun_path[0] = '\0';
	n->to_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + (path[0] == '/'));
	return 0;
}

/* A whole number above 0; 0: it is none. */
static uint64_t number(const char *text)
{
	uint64_t value;
	char *end;

	if (!text || *text < '0' || *text > '9')
		return 0;
	errno = 0;
	value = strtoull(text, &end, 10);
	return errno || *end ? 0 : value;
}

static uint64_t watchdog_half_ns(void)
{
	const char *usec = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
	uint64_t us = number(usec);

	if (!usec || (pid && number(pid) != (uint64_t)getpid())) /* another process is watched */
		return 0;
	if (!us || us > UINT64_MAX / NS_PER_US) {
		log_warn("WATCHDOG_USEC='%s' is not a number of microseconds: the watchdog gets no "
			 "sign of life",
			 usec);
		return 0;
	}
	return us * NS_PER_US / 2 > LEAST_NS ? us * NS_PER_US / 2 : LEAST_NS;
}

void notify_open(struct notify *n)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct timeval most = {0, SEND_MOST_MS * 1000};

	memset(n, 0, sizeof(*n));
	n->fd = -1;
	if (!path || !*path)
		return;
	if (parse_address(n, path)) {
		log_warn("NOTIFY_SOCKET='%.120s' is no unix socket: the service manager is told "
			 "nothing",
			 path);
		return;
	}
	n->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (n->fd < 0 || setsockopt(n->fd, SOL_SOCKET, SO_SNDTIMEO, &most, sizeof(most))) {
		log_warn("a socket to tell the service manager: %s", fl_strerror(-errno));
		notify_close(n);
		return;
	}
	n->watchdog_ns = watchdog_half_ns();
}

void notify_close(struct notify *n)
{
	if (n->fd >= 0)
		close(n->fd);
	n->fd = -1;
}

/* ---- sending */

/* False: it did not go out. A change of state waits a moment for a manager that is busy; what comes
 * again anyway does not. */
static bool PRINTF_LIKE(3, 4) tell(struct notify *n, int flags, const char *fmt, ...)
{
	char text[NOTIFY_STATUS_SIZE + 128];
	const struct sockaddr *to = (const struct sockaddr *)&n->to;
	va_list ap;
	int len;

	if (n->fd < 0)
		return true;
	va_start(ap, fmt);
	len = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (len < 0 || (size_t)len >= sizeof(text))
		return false;
	if (sendto(n->fd, text, (size_t)len, flags | MSG_NOSIGNAL, to, n->to_len) == len) {
		n->told = false;
		return true;
	}
	if (!n->told && errno != EAGAIN && errno != EINTR)
		log_warn("the service manager cannot be told (NOTIFY_SOCKET): %s",
			 fl_strerror(-errno));
	n->told = n->told || (errno != EAGAIN && errno != EINTR);
	return false;
}

void notify_ready(struct notify *n)
{
	if (n->ready)
		return;
	n->ready = true;
	n->unsent = !tell(n, 0, "READY=1\n");
}

void notify_reloading(struct notify *n)
{
	uint64_t now_us = monotonic_ns() / NS_PER_US;

	if (n->ready)
		tell(n, 0, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64 "\n", now_us);
}

/* Also a sign of life: a reload may take a while (a new GeoIP database). */
void notify_reloaded(struct notify *n)
{
	if (n->ready)
		n->unsent = !tell(n, 0, "READY=1\nWATCHDOG=1\n");
	n->next_status_ns = 0;
}

void notify_stopping(struct notify *n)
{
	tell(n, 0, "STOPPING=1\nSTATUS=Ending: the last points are sent or kept\n");
}

uint64_t notify_due_ns(const struct notify *n)
{
	if (n->fd < 0 || !n->ready || !n->watchdog_ns)
		return UINT64_MAX;
	return n->next_watchdog_ns;
}

static void tell_status(struct notify *n, void (*fill)(void *ctx, struct status_view *view),
			void *ctx)
{
	static struct status_view view; /* big */
	char line[NOTIFY_STATUS_SIZE];

	memset(&view, 0, sizeof(view));
	fill(ctx, &view);
	notify_describe(&view, line);
	if (strcmp(line, n->status) && tell(n, MSG_DONTWAIT, "STATUS=%s\n", line))
		memcpy(n->status, line, sizeof(line));
}

void notify_poll(struct notify *n, uint64_t now_ns,
		 void (*fill)(void *ctx, struct status_view *view), void *ctx)
{
	if (n->fd < 0 || !n->ready)
		return;
	if (n->unsent)
		n->unsent = !tell(n, MSG_DONTWAIT, "READY=1\n");
	if (n->watchdog_ns && now_ns >= n->next_watchdog_ns)
		n->next_watchdog_ns =
		    now_ns +
		    (tell(n, MSG_DONTWAIT, "WATCHDOG=1\n") ? n->watchdog_ns : n->watchdog_ns / 4);
	if (now_ns < n->next_status_ns)
		return;
	n->next_status_ns = now_ns + NOTIFY_STATUS_EVERY_S * NS_PER_S;
	tell_status(n, fill, ctx);
}

/* ---- the line of state */

struct line {
	char *s;
	size_t len;
};

/* What does not fit is cut. systemd passes over a line that is not UTF-8, which a cut or a file's
 * name could make of it. */
static void PRINTF_LIKE(2, 3) put(struct line *l, const char *fmt, ...)
{
	size_t room = NOTIFY_STATUS_SIZE - l->len, i;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(l->s + l->len, room, fmt, ap);
	va_end(ap);
	if (n < 0)
		n = 0;
	for (i = l->len; l->s[i]; i++)
		if (l->s[i] < ' ' || l->s[i] > '~')
			l->s[i] = '?';
	l->len += (size_t)n < room ? (size_t)n : room - 1;
}

static void put_interfaces(struct line *l, const struct status_view *v)
{
	size_t i, shown = 0, open = 0;

	for (i = 0; i < v->ninterfaces; i++)
		open += v->interfaces[i].open;
	for (i = 0; i < v->ninterfaces && shown < 4; i++, shown++)
		put(l, "%s%s%s", i ? ", " : "",
		    v->interfaces[i].name[0] ? v->interfaces[i].name : "all interfaces",
		    v->interfaces[i].open ? "" : " (not there)");
	if (shown < v->ninterfaces)
		put(l, " and %zu more", v->ninterfaces - shown);
	if (!open)
		put(l, "%s", v->ninterfaces ? ": no packets can come" : "no interface");
}

static void put_output(struct line *l, const struct output_stats *o)
{
	put(l, "; %s: %s", o->name, status_state_name(o->state));
	if (o->points_spooled)
		put(l, ", %" PRIu64 " points in the spool", o->points_spooled);
	if (o->points_lost)
		put(l, ", %" PRIu64 " lost", o->points_lost);
	if (o->state != OUTPUT_OK && o->why[0])
		put(l, " (%.100s)", o->why);
}

void notify_describe(const struct status_view *v, char out[NOTIFY_STATUS_SIZE])
{
	struct line l = {out, 0};
	size_t i;

	memset(out, 0, NOTIFY_STATUS_SIZE);
	put_interfaces(&l, v);
	if (v->now)
		put(&l, ": %" PRIu64 " packets, %" PRIu64 " dropped by the kernel",
		    v->now->engine.packets_seen, v->now->source.dropped_kernel);
	/* those that do not deliver first: a long line is cut */
	for (i = 0; i < v->noutputs; i++)
		if (v->outputs[i].state != OUTPUT_OK && v->outputs[i].state != OUTPUT_IDLE)
			put_output(&l, &v->outputs[i]);
	for (i = 0; i < v->noutputs; i++)
		if (v->outputs[i].state == OUTPUT_OK || v->outputs[i].state == OUTPUT_IDLE)
			put_output(&l, &v->outputs[i]);
}
