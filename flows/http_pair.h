/* http_pair.h - HTTP requests that wait for their responses (RFC 9112 section 9.3: in order per
 * connection).
 *
 * A response belongs to the oldest request of its connection that the server can have seen: the
 * acknowledgement number of the response's segment says so, whatever order the two directions were
 * captured in. Bounded: the oldest request goes, counted.
 */
#ifndef FLOWS_HTTP_PAIR_H
#define FLOWS_HTTP_PAIR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "flows/http.h"
#include "flows/points.h"

enum http_paths {
	HTTP_PATHS_RAW,
	HTTP_PATHS_TEMPLATE, /* http_template.h */
	HTTP_PATHS_OFF,      /* no path at all */
};

struct http_pairs_config {
	size_t max_pending;
	uint64_t timeout_ns;
	uint32_t max_path; /* bytes of a path that are kept */
	enum http_paths paths;
	struct points *points; /* borrowed */
};

struct http_pairs_stats {
	uint64_t requests, responses, orphans, evicted, pending;
};

enum { HTTP_EARLY = 4 };

/* One connection's requests; part of a stream. */
struct http_queue {
	uint32_t head, tail; /* oldest and newest pending request */
	uint8_t nearly;
	bool lost; /* response bytes were lost: older requests may have been answered there */
	struct {
		uint64_t time_ns;
		uint32_t ack;
		uint16_t status;
	} early[HTTP_EARLY]; /* responses captured before their requests */
};

struct http_pairs;

struct http_pairs *http_pairs_new(const struct http_pairs_config *config) MUST_CHECK;
void http_pairs_free(struct http_pairs *p);

/* Another time-out, also for the requests that wait, and how later paths are written. */
void http_pairs_configure(struct http_pairs *p, uint64_t timeout_ns, enum http_paths paths);

void http_queue_init(struct http_queue *q);

/* A request head was read. ends: borrowed for the call. end_ns: when its last byte came; seq: a
 * sequence number that the server has passed when it answers. */
void http_pairs_request(struct http_pairs *p, struct http_queue *q, const struct ends *ends,
			const struct http_head *h, uint64_t end_ns, uint32_t seq);

/* A final response head was read: begin_ns: when its first byte came; ack: that segment's
 * acknowledgement number. Returns what it answers. */
enum http_answers http_pairs_response(struct http_pairs *p, struct http_queue *q, uint16_t status,
				      uint64_t begin_ns, uint32_t ack);

/* The connection is over: what is pending is written with status 0. */
void http_pairs_close(struct http_pairs *p, struct http_queue *q);

/* Requests whose time-out has passed at now_ns are written with status 0; with `all`, every one. */
void http_pairs_expire(struct http_pairs *p, uint64_t now_ns, bool all);

const struct http_pairs_stats *http_pairs_stats(const struct http_pairs *p);

#endif
