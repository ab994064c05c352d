/* sink_http.h - lines to an HTTP backend that speaks InfluxDB's write API: InfluxDB 1, 2 and 3,
 * VictoriaMetrics, QuestDB, Telegraf's listeners, Datakit.
 *
 * Source: docs.influxdata.com, "API: write"; RFC 9110. libcurl 7.29 or newer.
 * A parcel is a request; sent again it is the same byte for byte, so that points overwrite
 * themselves. Connections are kept.
 */
#ifndef OUTPUT_SINK_HTTP_H
#define OUTPUT_SINK_HTTP_H

#include "output/sink.h"

/* Texts: NULL where there is none; they are copied. */
struct sink_http_config {
	const char *url; /* http(s)://host[:port][/path][?query], without user and password */
	/* Which API, where url has no path of its own ("" or "/"): with a bucket /api/v2/write,
	 * else /write. Added to the query where set. */
	const char *database, *retention_policy; /* InfluxDB 1 */
	const char *org, *bucket;                /* InfluxDB 2 and 3 */
	const char *user, *password;             /* basic authentication */
	const char *token;                       /* "Authorization: Token ..." */
	const char *const *headers;              /* "Name: value" */
	size_t nheaders;
	const char *ca_file;              /* PEM; NULL: the system's */
	const char *cert_file, *key_file; /* PEM, of the client */
	bool insecure;                    /* take any server certificate */
	const char *proxy;                /* NULL: as the environment says (http_proxy ...) */
	bool gzip;
	uint64_t timeout_ns; /* of a whole request */
};

/* Nothing is connected yet. 0, or a negative error with why (a bad URL, a file that cannot be
 * read). */
int sink_http_open(struct sink **sink, const struct sink_http_config *c,
		   char why[SINK_WHY_SIZE]) MUST_CHECK;

/* Once, before the first thread starts. 0, or negative. */
int sink_http_start(void) MUST_CHECK;

#endif
