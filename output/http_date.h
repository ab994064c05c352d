/* http_date.h - dates of HTTP headers, RFC 9110 section 5.6.7. */
#ifndef OUTPUT_HTTP_DATE_H
#define OUTPUT_HTTP_DATE_H

#include <stdbool.h>
#include <stdint.h>

/* "Sun, 06 Nov 1994 08:49:37 GMT", or one of the two obsolete forms. *seconds: since the epoch, 0
 * for what was before. False: it is no date. */
bool http_date_parse(const char *text, uint64_t *seconds);

#endif
