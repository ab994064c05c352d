/* http_answer.h - what a backend's answer to a write means.
 *
 * Sources: docs.influxdata.com (InfluxDB 1.x, 2.x and 3 "write" API), docs.victoriametrics.com,
 * questdb.io (ILP over HTTP), RFC 9110 section 10.2.3 (Retry-After).
 */
#ifndef OUTPUT_HTTP_ANSWER_H
#define OUTPUT_HTTP_ANSWER_H

#include "output/sink.h"

enum { HTTP_ANSWER_BODY_MOST = 64 * 1024 };

struct http_answer {
	long status;      /* 204 ... */
	const char *body; /* need not be whole: at most HTTP_ANSWER_BODY_MOST bytes */
	size_t body_size;
	const char *retry_after; /* the header's value; NULL: none */
	const char *error;       /* X-Influxdb-Error; NULL: none */
};

/* points: of the parcel. now_s: seconds since the epoch, for a Retry-After that is a date.
 * database, bucket: for the advice; NULL: none. Sets verdict, lost, wait_ns and why. */
void http_answer_read(const struct http_answer *a, uint32_t points, uint64_t now_s,
		      const char *database, const char *bucket, struct sink_result *r);

#endif
