/* http_url.h - the URL that lines are posted to, made of what the configuration says.
 *
 * Sources: RFC 3986; docs.influxdata.com, "API: write" of InfluxDB 1, 2 and 3.
 *
 *   url                     database, bucket  is posted to
 *   http://h:8086           db                http://h:8086/write?db=db
 *   https://h/              -, b, org o       https://h/api/v2/write?org=o&bucket=b&precision=ns
 *   http://h:9529/v1/write/network            as it is
 *   http://h/write?u=x      db                http://h/write?u=x&db=db
 */
#ifndef OUTPUT_HTTP_URL_H
#define OUTPUT_HTTP_URL_H

#include <stdbool.h>
#include <stddef.h>

#include "common/error.h"

enum { HTTP_URL_PLACE_SIZE = 300 };

/* Texts: NULL where there is none. */
struct http_url_config {
	const char *url;
	const char *database, *retention_policy; /* "db", "rp" */
	const char *org, *bucket;
};

struct http_url {
	char *text; /* free() it; may hold secrets in its query: not for messages */
	/* "host:port", for messages: the port is always there, a long name is cut. */
	char place[HTTP_URL_PLACE_SIZE];
	bool tls;
};

/* 0, or -ENOMEM or FL_EUSAGE with a sentence in why that says what is wrong with url and how to
 * mend it, and shows no part of it that may be a secret. What url's query has already is not added
 * again. */
int http_url_make(struct http_url *u, const struct http_url_config *c, char *why,
		  size_t why_size) MUST_CHECK;

#endif
