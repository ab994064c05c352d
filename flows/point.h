/* point.h - a point before it becomes text: what flows/ gives to output/.
 *
 * The contract (every tag, field, unit) is docs/points.md. A point is borrowed for the length of
 * the call that hands it over. Strings are not 0-terminated and may hold any byte: the encoder
 * escapes.
 */
#ifndef FLOWS_POINT_H
#define FLOWS_POINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/addr.h"
#include "common/geo.h"
#include "common/text.h"

enum point_kind { POINT_NETFLOW, POINT_DNSFLOW, POINT_HTTPFLOW, POINT_SELF, POINT_KINDS };

/* The tags that a point itself gives (the others are the same for every point). From
 * POINT_TAG_DOMAIN on they are the key fields, which are tags only with points.key_fields: tag. */
enum point_tag {
	POINT_TAG_DIRECTION,
	POINT_TAG_FAMILY,
	POINT_TAG_TRANSPORT,
	POINT_TAG_SRC_IP,
	POINT_TAG_SRC_PORT,
	POINT_TAG_SRC_IP_TYPE,
	POINT_TAG_DST_IP,
	POINT_TAG_DST_PORT,
	POINT_TAG_DST_IP_TYPE,
	POINT_TAG_PID,
	POINT_TAG_PROCESS_NAME,
	POINT_TAG_CONTAINER_ID,
	POINT_TAG_DST_DOMAIN,
	POINT_TAG_SRC_COUNTRY, /* the five of src, then the five of dst in the same order */
	POINT_TAG_SRC_PROVINCE,
	POINT_TAG_SRC_CITY,
	POINT_TAG_SRC_ISP,
	POINT_TAG_SRC_ASN,
	POINT_TAG_DST_COUNTRY,
	POINT_TAG_DST_PROVINCE,
	POINT_TAG_DST_CITY,
	POINT_TAG_DST_ISP,
	POINT_TAG_DST_ASN,
	POINT_TAG_DOMAIN,
	POINT_TAG_QUERY_TYPE,
	POINT_TAG_RCODE,
	POINT_TAG_METHOD,
	POINT_TAG_PATH,
	POINT_TAG_STATUS_CODE,
	POINT_TAG_HTTP_VERSION,
	POINT_TAG_CONNECT_ERROR,
	POINT_TAGS /* at most 32 */
};

/* A bit of point.absent. */
#define POINT_TAG_BIT(tag) (1U << (tag))

/* What stands for values that a limit folded together. */
#define POINT_OTHER "~other"

struct point_side {
	struct ip_addr addr;
	uint16_t port;
	bool port_folded; /* written as "*" */
	bool addr_other;  /* written as POINT_OTHER; addr still tells the address class and the
			     family */
	bool port_other;  /* written as POINT_OTHER */
};

/* Fields that are absent when they were not measured. */
enum point_has {
	POINT_HAS_TCP = 1 << 0, /* the tcp_* counters and retransmits */
	POINT_HAS_RTT = 1 << 1, /* rtt and rtt_var */
	POINT_HAS_CONNECT_LATENCY = 1 << 2,
	POINT_HAS_LATENCY = 1 << 3, /* dnsflow, httpflow: latency and latency_max */
	POINT_HAS_DOMAIN = 1 << 4,  /* empty where there was no question to read */
	POINT_HAS_QUERY_TYPE = 1 << 5,
	POINT_HAS_RETRANSMITS_PEER = 1 << 6, /* with POINT_HAS_TCP */
	/* With POINT_HAS_TCP: a point that tells only so many tcp_connect_failed of this errno; all
	 * other counters are 0 and are not written. */
	POINT_HAS_CONNECT_ERROR = 1 << 7,
};

struct point_netflow {
	uint64_t bytes_read, bytes_written; /* L4 payload; read = received by src */
	uint64_t packets_read, packets_written;
	uint64_t retransmits, retransmits_peer; /* peer: POINT_HAS_RETRANSMITS_PEER */
	uint64_t rtt_us, rtt_var_us;            /* POINT_HAS_RTT */
	uint64_t tcp_established, tcp_closed;
	uint64_t connect_latency_us; /* mean; POINT_HAS_CONNECT_LATENCY */
	uint64_t tcp_syn_retransmits, tcp_connect_failed, tcp_resets;
	/* What the means are made of, so that points can be merged exactly; not written. */
	uint64_t rtt_samples, rtt_sum_us, rtt_var_sum_us; /* > 0 samples where POINT_HAS_RTT */
	uint64_t connects, connect_sum_ns;                /* > 0 where POINT_HAS_CONNECT_LATENCY */
	uint16_t connect_error; /* errno; POINT_HAS_CONNECT_ERROR; errno_name() writes it */
};

struct point_dnsflow {
	uint64_t count, retries;
	uint64_t latency_ns, latency_max_ns; /* mean, maximum; POINT_HAS_LATENCY */
	uint64_t answered, latency_sum_ns;   /* what the mean is made of; not written */
	int32_t rcode;                       /* -1: no answer */
	uint16_t query_type;                 /* dns_type_name() writes it */
	struct text domain;                  /* presentation form; POINT_HAS_DOMAIN */
};

struct point_httpflow {
	uint64_t count;
	uint64_t latency_ns, latency_max_ns; /* mean, maximum; POINT_HAS_LATENCY */
	uint64_t answered, latency_sum_ns;   /* what the mean is made of; not written */
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
	const char *worker, *source, *output; /* tags; NULL: absent */
	const struct self_field *fields;
	size_t nfields;
};

struct point {
	enum point_kind kind;
	uint32_t has;     /* enum point_has bits */
	uint32_t absent;  /* POINT_TAG_BIT()s of tags, or of key fields, that are left out */
	uint64_t time_ns; /* since the epoch */
	/* netflow, dnsflow, httpflow: */
	struct point_side src, dst;
	uint8_t transport; /* IP protocol number: 6 or 17 */
	bool incoming;     /* direction: src is the server */
	/* Absent where 0, empty, NULL: */
	uint32_t pid; /* this and the three below: netflow only */
	struct text process_name, container_id;
	struct text dst_domain;                   /* presentation form */
	const struct geo_info *src_geo, *dst_geo; /* netflow: coordinates of dst are fields */
	union {
		struct point_netflow netflow;
		struct point_dnsflow dnsflow;
		struct point_httpflow httpflow;
		struct point_self self;
	} u;
};

enum { POINT_BLOCK = 64 };

/* Where points go. put() takes one point of the cycle; end() closes the cycle. None may call back
 * into the engine. Errors are the sink's own to count and report. */
struct point_sink {
	void (*put)(void *ctx, const struct point *p);
	void (*end)(void *ctx, uint64_t cycle_end_ns);
	void *ctx;
	/* NULL, or: the n points (up to POINT_BLOCK) that go to put() next, in this order. What the
	 * engine does not know (src_geo, dst_geo) can be added to them; and what is to be looked up
	 * for each is looked up for all of them, so that the waits for memory are one wait. */
	void (*prepare)(void *ctx, struct point *points, size_t n);
};

#endif
