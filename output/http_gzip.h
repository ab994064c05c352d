/* http_gzip.h - request bodies as gzip, RFC 1952: the same bytes each time, without a time stamp.
 *
 * Threads: belongs to one.
 */
#ifndef OUTPUT_HTTP_GZIP_H
#define OUTPUT_HTTP_GZIP_H

#include <stddef.h>

#include "common/error.h"

struct http_gzip;

/* NULL with errno set. */
struct http_gzip *http_gzip_new(void) MUST_CHECK;
void http_gzip_free(struct http_gzip *z);

/* 0 and *out of *out_size bytes, valid until the next call; or -ENOMEM, -EIO. */
int http_gzip(struct http_gzip *z, const char *bytes, size_t size, const char **out,
	      size_t *out_size) MUST_CHECK;

#endif
