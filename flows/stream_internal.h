/* stream_internal.h - what stream.c (order of segments) and the two readers of streams share.
 */
#ifndef FLOWS_STREAM_INTERNAL_H
#define FLOWS_STREAM_INTERNAL_H

#include "flows/http.h"
#include "flows/http_pair.h"
#include "flows/stream.h"

enum stream_kind { STREAM_HTTP, STREAM_DNS };

/* DNS over TCP, RFC 1035 section 4.2.2: a length, then the message. */
struct dns_reader {
	uint32_t need;   /* message bytes still to come; 0: a length comes next */
	uint32_t have;   /* message bytes in the buffer */
	uint32_t buffer; /* FLOW_NONE: none needed */
	uint8_t length[2];
	uint8_t length_have;
	bool given; /* the message was read already, cut: the rest is only passed over */
	bool lost;  /* waits for a segment that begins a message */
};

struct stream_end {
	uint32_t next; /* sequence number of the first byte not read yet, where synced */
	uint32_t held; /* segments beyond a hole, by sequence number */
	uint32_t nheld;
	uint32_t acked; /* by the other end, where has_acked */
	bool synced, has_acked;
	/* HTTP: of the message under way */
	uint64_t begin_ns; /* when its first byte came */
	uint32_t begin_ack;
	union {
		struct http_reader http;
		struct dns_reader dns;
	} u;
};

struct stream {
	struct stream_end end[2];
	struct http_queue queue;
	struct flow_key key;
	uint64_t flow_hash;
	uint32_t next_free;
	uint8_t kind;
	uint8_t client; /* HTTP: the end that sends requests */
	bool dead;      /* to be closed when the segment is done */
	bool tunnel;    /* dead because something else than HTTP goes on here */
	bool proven;    /* at least one head was read */
};

/* Bytes of one end being read now. */
struct piece {
	struct streams *s;
	struct stream *st;
	int end;
	uint32_t seq; /* of its first byte */
	uint32_t ack;
	uint64_t time_ns; /* when these bytes were captured */
	uint64_t now_ns;  /* when they could be read: a hole before them was filled */
	bool hole;        /* gap: whole segments are missing, not the end of a captured one */
};

struct streams {
	struct streams_config config;
	struct streams_stats stats;
	struct stream *pool;
	uint32_t free, unused_from;
	struct held_segment *segments;
	uint32_t segments_free, segments_unused_from;
	struct http_partial *partials;
	uint32_t partials_free, partials_unused_from;
	uint32_t *partials_next;
	uint8_t *buffers; /* DNS messages under way */
	uint32_t buffers_free, buffers_unused_from;
	uint32_t *buffers_next;
};

enum { DNS_BUFFERS = 256, DNS_BUFFER_SIZE = 65536, HTTP_PARTIALS = 8192 };

/* --- stream_http.c, stream_dns.c: the readers. feed: negative where the bytes are no message and
 * the reader has lost its place. gap: n bytes that nobody has. resync: begin again at this segment
 * if it begins a message. --- */
void stream_http_init(struct stream *st, int end);
int stream_http_feed(struct piece *pc, const uint8_t *p, uint32_t n);
void stream_http_gap(struct piece *pc, uint64_t n);
bool stream_http_resync(struct stream *st, int end, const uint8_t *p, uint32_t n);
uint64_t stream_http_skippable(const struct stream *st, int end);
bool stream_http_is_lost(const struct stream *st, int end);
void stream_http_close(struct piece *pc);

void stream_dns_init(struct stream *st, int end);
int stream_dns_feed(struct piece *pc, const uint8_t *p, uint32_t n);
void stream_dns_gap(struct piece *pc, uint64_t n);
bool stream_dns_resync(struct stream *st, int end, const uint8_t *p, uint32_t n);
uint64_t stream_dns_skippable(const struct stream *st, int end);
void stream_dns_close(struct piece *pc);

#endif
