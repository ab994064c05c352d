/* notify.h - tells the service manager how the run is: readiness, a line of state, reloads, the
 * end, and that it is alive.
 *
 * The protocol of sd_notify(3) by hand: datagrams of KEY=VALUE lines to the unix socket that
 * $NOTIFY_SOCKET names (a path, or "@..." in the abstract name space). Where it is not set every
 * function here does nothing.
 *
 * Alive means more than a loop that turns: the caller says so once in a turn that has read its
 * rings and reached the end of its work (notify_poll()), and only then is WATCHDOG=1 sent, at half
 * of $WATCHDOG_USEC. Threads: belongs to one thread, the run's.
 */
#ifndef COLLECTOR_NOTIFY_H
#define COLLECTOR_NOTIFY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "collector/status_view.h"

enum {
	NOTIFY_STATUS_SIZE = 512, /* of the line of state, with the final 0 */
	NOTIFY_STATUS_EVERY_S = 10,
};

struct notify {
	int fd; /* -1: nobody is to be told */
	struct sockaddr_un to;
	socklen_t to_len;
	bool ready;
	bool unsent; /* READY=1 did not go out: sent again by notify_poll() */
	bool told;   /* that something did not */
	uint64_t watchdog_ns, next_watchdog_ns; /* half of what is allowed; 0: nobody watches */
	uint64_t next_status_ns;
	char status[NOTIFY_STATUS_SIZE]; /* the last one */
};

/* Of the environment. What is wrong there is logged, and does without. */
void notify_open(struct notify *n);
void notify_close(struct notify *n);

/* The capture runs. Only the first call counts. */
void notify_ready(struct notify *n);

/* Around a reload: systemd shows "reloading" between the two. */
void notify_reloading(struct notify *n);
void notify_reloaded(struct notify *n);

/* It ends, in order. */
void notify_stopping(struct notify *n);

/* A turn of the loop has done its work: once it is ready, say so where it is time, and now and then
 * how it is. fill is called for that, as in status.h. */
void notify_poll(struct notify *n, uint64_t now_ns,
		 void (*fill)(void *ctx, struct status_view *view), void *ctx);

/* When notify_poll() has something to do, on the monotonic clock; UINT64_MAX: never. */
uint64_t notify_due_ns(const struct notify *n);

/* The line of state: one line, printable ASCII. */
void notify_describe(const struct status_view *v, char out[NOTIFY_STATUS_SIZE]);

#endif
