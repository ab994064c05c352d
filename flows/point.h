/* point.h - a point before it becomes text: what flows/ gives to output/.
 *
 * The contract (every tag, field, unit) is docs/points.md. A point is borrowed for the length of the
 * call that hands it over. Strings are not 0-terminated and may hold any byte: the encoder escapes.
 */
#ifndef FLOWS_POINT_H
#define FLOWS_POINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/addr.h"
#include "common/text.h"

enum point_kind { POINT_NETFLOW, POINT_DNSFLOW, POINT_HTTPFLOW, POINT_SELF, POINT_KINDS };

struct point_side {
	struct ip_addr addr;
	uint16_t port;
	bool port_folded; /* written as "*" */
};

/* Fields that are absent when they were not measured. */
enum point_has {
	POINT_HAS_TCP = 1 << 0,             /* the tcp_* counters and retransmits */
	POINT_HAS_RTT = 1 << 1,             /* rtt and rtt_var */
	POINT_HAS_CONNECT_LATENCY = 1 << 2,
	POINT_HAS_LATENCY = 1 << 3,         /* dnsflow, httpflow: latency and latency_max */
	POINT_HAS_DOMAIN = 1 << 4,          /* empty where there was no question to read */
	POINT_HAS_QUERY_TYPE = 1 << 5,
};

struct point_netflow {
	uint64_t bytes_read, bytes_written;     /* L4 payload; read = received by src */
	uint64_t packets_read, packets_written;
	uint64_t retransmits, retransmits_peer;
	uint64_t rtt_us, rtt_var_us;            /* POINT_HAS_RTT */
	uint64_t tcp_established, tcp_closed;
	uint64_t connect_latency_us;            /* mean; POINT_HAS_CONNECT_LATENCY */
	uint64_t tcp_syn_retransmits, tcp_connect_failed, tcp_resets;
};

struct point_dnsflow {
	uint64_t count, retries;
	uint64_t latency_ns, latency_max_ns; /* mean, maximum; POINT_HAS_LATENCY */
	int32_t rcode;                       /* -1: no answer */
	uint16_t query_type;                 /* dns_type_name() writes it */
	struct text domain;                  /* presentation form; POINT_HAS_DOMAIN */
};

struct point_httpflow {
	uint64_t count;
	uint64_t latency_ns, latency_max_ns; /* mean, maximum; POINT_HAS_LATENCY */
	struct text method, path;
	bool truncated;
	uint16_t status_code; /* 0: no response */
	uint8_t version;      /* minor: 0 or 1; above: the request was cut before it */
};

/* One self-measurement counter; name is static. */
struct self_field {
	const char *name;
	uint64_t value;
};

struct point_self {
	const char *worker, *source; /* tags */
	const struct self_field *fields;
	size_t nfields;
};

struct point {
	enum point_kind kind;
	uint32_t has;     /* enum point_has bits */
	uint64_t time_ns; /* since the epoch */
	/* netflow, dnsflow, httpflow: */
	struct point_side src, dst;
	uint8_t transport; /* IP protocol number: 6 or 17 */
	bool incoming;     /* direction: src is the server */
	union {
		struct point_netflow netflow;
		struct point_dnsflow dnsflow;
		struct point_httpflow httpflow;
		struct point_self self;
	} u;
};

/* Where points go. put() takes one point of the cycle; end() closes the cycle. Neither may call back
 * into the engine. Errors are the sink's own to count and report. */
struct point_sink {
	void (*put)(void *ctx, const struct point *p);
	void (*end)(void *ctx, uint64_t cycle_end_ns);
	void *ctx;
};

#endif
