/* status.h - what a running collector is asked over a unix socket: `flowline status`, or curl(1).
 *
 * A request is a line, "json" or "table", answered with just that; or an HTTP/1.x request: GET or
 * HEAD of "/" and "/json" (JSON), or "/table" (text). The HTTP answer's header Flowline-Exit says
 * with what `flowline status` ends: 0, or 3 where something is wrong. One answer, then the
 * connection ends.
 *
 * Nothing here waits: a slow reader gets the rest of its answer in later calls, and 5 s after it
 * came it is cut off. Memory is bounded by the number of clients.
 * Threads: belongs to one thread, the run's.
 */
#ifndef COLLECTOR_STATUS_H
#define COLLECTOR_STATUS_H

#include <poll.h>

#include "collector/status_view.h"
#include "common/error.h"

enum {
	STATUS_WHY_SIZE = 512,
	STATUS_CLIENTS_MOST = 8,
	STATUS_FDS = 1 + STATUS_CLIENTS_MOST,
	STATUS_TIMEOUT_MS = 5000,
	STATUS_ANSWER_MOST = 1 << 20, /* bytes */
};

#define STATUS_EXIT_HEADER "Flowline-Exit"

struct status;

/* Make the socket, mode 0660. Its directory is made (0755) where that lies in /run or /var/run. A
 * socket that nobody listens at any more is replaced. 0, or negative with why[], a sentence with
 * the mend: something answers there, or the kernel refused; the run can do without. */
int status_open(struct status **out, const char *path, char why[STATUS_WHY_SIZE]) MUST_CHECK;

/* Unlinks the socket if it still is this one. NULL is fine, here and below. */
void status_close(struct status *s);

/* To accept from; -1: none. */
int status_fd(const struct status *s);

/* Fill STATUS_FDS entries; fd -1 where there is nothing to wait for: poll(2) passes over it. */
void status_gather(const struct status *s, struct pollfd *fds);

/* Take and answer requests as revents of the gathered fds say (NULL: try all), and cut off clients
 * that are late; so it is to be called behind every poll(2), which costs next to nothing. fill is
 * called where somebody asks: view is zeroed but for its first part. It may be called again at
 * once, where the counters of an output's thread did not fit together. */
void status_poll(struct status *s, const struct pollfd *fds,
		 void (*fill)(void *ctx, struct status_view *view), void *ctx);

#endif
