/* http_reply.h - an answer as libcurl hands it over in pieces, and what its absence means.
 *
 * Bounded: of the body HTTP_ANSWER_BODY_MOST bytes are kept, and reading ends where a backend says
 * more than a mebibyte.
 */
#ifndef OUTPUT_HTTP_REPLY_H
#define OUTPUT_HTTP_REPLY_H

#include <curl/curl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "output/http_answer.h"

enum {
	HTTP_REPLY_READ_MOST = 1024 * 1024,
	HTTP_REPLY_RETRY_AFTER = 64,
	HTTP_REPLY_ERROR = 512,
};

struct http_reply {
	long status;       /* of the last status line; 0: none came */
	bool headers_done; /* their end came */
	bool too_long;     /* reading was ended */
	char *body;
	size_t body_size, body_seen;
	char retry_after[HTTP_REPLY_RETRY_AFTER];
	char error[HTTP_REPLY_ERROR];
};

int http_reply_init(struct http_reply *p) MUST_CHECK; /* 0 or -ENOMEM */
void http_reply_free(struct http_reply *p);
void http_reply_reset(struct http_reply *p);

/* A header line with its end, or a status line, which begins an answer anew (after "100 Continue",
 * or what a proxy said to CONNECT). */
void http_reply_header(struct http_reply *p, const char *line, size_t size);

/* False: enough. */
bool http_reply_body(struct http_reply *p, const char *bytes, size_t size);

/* Fill in *a (which borrows from p). whole: libcurl saw its end. False: there is no answer, or of
 * one that was cut in the middle the missing part matters. */
bool http_reply_answer(const struct http_reply *p, bool whole, struct http_answer *a);

/* A transfer without an answer. */
struct http_failure {
	CURLcode code;
	const char *error; /* CURLOPT_ERRORBUFFER's */
	long proxy_status; /* what the proxy said to CONNECT; 0: nothing */
	uint64_t timeout_ns;
	bool tls;
};

/* Sets verdict and why. */
void http_failure_read(const struct http_failure *f, const struct http_reply *p, uint32_t points,
		       struct sink_result *r);

#endif
