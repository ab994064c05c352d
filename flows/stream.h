/* stream.h - the TCP connections whose bytes are read: DNS over TCP and HTTP.
 *
 * Puts segments in order, passes over what a reader does not need (a body with a Content-Length
 * needs no bytes at all), and tells bytes that never came (lost by the capture, or not copied by
 * the kernel's filter) from bytes that are late. A connection gets a stream when a segment looks
 * like HTTP, or on a DNS port. Bounded pools, taken at start; one stream belongs to one flow
 * (flow_cold.stream).
 */
#ifndef FLOWS_STREAM_H
#define FLOWS_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "flows/flow_table.h"
#include "flows/packet.h"

struct dns_pending;
struct http_pairs;

struct streams_config {
	size_t max_streams;
	struct dns_pending *dns; /* borrowed */
	struct http_pairs *http; /* borrowed */
};

struct streams_stats {
	uint64_t active, evicted; /* evicted: no room for another connection */
	uint64_t lost;            /* times that bytes were missing where a message needed them */
	uint64_t not_http;        /* looked like HTTP and was not */
};

struct streams;

struct streams *streams_new(const struct streams_config *config) MUST_CHECK;
void streams_free(struct streams *s);

/* A connection that shows HTTP (guessed on pkt's first bytes) or is on a DNS port: begin to read
 * it, from this segment on. Sets flow_cold.stream and FLOW_STREAM, where there is room. */
void stream_open_http(struct streams *s, struct flow *f, struct flow_cold *c,
		      const struct packet *pkt, bool request);
/* A connection whose first bytes are late: pkt lies behind them. If they show that it is no HTTP
 * the stream ends. */
void stream_open_late(struct streams *s, struct flow *f, struct flow_cold *c,
		      const struct packet *pkt);
void stream_open_dns(struct streams *s, struct flow *f, struct flow_cold *c,
		     const struct packet *pkt);

/* A segment of a flow that has a stream. May end the stream (it is no HTTP; it has become a
 * tunnel). */
void stream_segment(struct streams *s, struct flow *f, struct flow_cold *c,
		    const struct packet *pkt);

/* The connection is over: what is held back is read, unanswered requests are written. */
void stream_close(struct streams *s, struct flow *f, struct flow_cold *c);

const struct streams_stats *streams_stats(const struct streams *s);

#endif
