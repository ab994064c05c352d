/* sink.h - where lines are sent: one interface for standard output, files, HTTP backends and
 * sockets.
 *
 * Terms:   a parcel is some whole lines that are sent in one go: an HTTP request, a write, a
 *          datagram or several.
 * Threads: a sink is opened by one thread and from then on used by one other, the output's own
 *          (output.h): send() may wait, the collector never does.
 * Signals: a pipe or socket whose reader is gone raises SIGPIPE: the program ignores that signal,
 *          once, before the first send(), and is told EPIPE.
 */
#ifndef OUTPUT_SINK_H
#define OUTPUT_SINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

enum {
	SINK_WHY_SIZE = 512,
	SINK_TURN_MS = 100, /* how often send() asks whether it may go on */
};

/* Whole lines, each with its newline. */
struct parcel {
	const char *bytes;
	size_t size;
	uint32_t points; /* lines */
};

enum sink_verdict {
	SINK_DELIVERED, /* over, but for result.lost of its points, which are given up */
	SINK_RETRY,     /* perhaps none of it arrived: the very same bytes are to be sent again */
	SINK_REFUSED,   /* as SINK_RETRY, but somebody has to mend something first: 401, 403, 404 */
	SINK_SPLIT,   /* too big, or one line spoils it: send it in halves; one line: it is lost */
	SINK_CLOSED,  /* nobody reads, now and for ever: what is not in .lost went out */
	SINK_STOPPED, /* go_on() said no; as SINK_RETRY */
};

struct sink_result {
	enum sink_verdict verdict;
	uint32_t lost; /* points; of SINK_DELIVERED and SINK_CLOSED */
	uint64_t
	    wait_ns; /* the peer asks not to be asked for so long (Retry-After); 0: it does not */
	uint64_t bytes; /* that went out, as they were sent (compressed) */
	bool too_big;   /* of SINK_SPLIT: later parcels had better be smaller, too */
	/* What is wrong and how to mend it: a sentence without the sink's name and a full stop; ""
	 * where all is well. SINK_DELIVERED with a sentence is an error, too. */
	char why[SINK_WHY_SIZE];
};

/* Asked about every SINK_TURN_MS while a send() waits; false: give up now. */
struct sink_turn {
	bool (*go_on)(void *ctx);
	void *ctx;
};

struct sink;

struct sink_ops {
	const char *kind; /* "stdout", "file", "http", "unix", "udp" */
	bool spools;      /* what it cannot deliver now is worth keeping on disk */

	/* *r is zeroed before. */
	void (*send)(struct sink *s, const struct parcel *p, const struct sink_turn *turn,
		     struct sink_result *r);
	/* Open what it writes to anew: a file that logrotate(8) has moved away. 0, or a negative
	 * error with why; then it goes on as it was. NULL: there is nothing to open. */
	int (*reopen)(struct sink *s, char why[SINK_WHY_SIZE]);
	/* About once a second, and when there is nothing to send: rotation by age, a connection
	 * that was idle for too long. NULL: nothing. */
	void (*idle)(struct sink *s);
	/* 0, or a negative error with why: what the last sends lost after all. Frees it. */
	int (*close)(struct sink *s, char why[SINK_WHY_SIZE]);
};

/* The first member of each kind's own struct. */
struct sink {
	const struct sink_ops *ops;
};

#endif
