/* url.h - where outputs lead: URLs and addresses, taken apart and checked, and shown without what
 * is secret in them.
 *
 * Sources: RFC 3986 sections 3 and 3.2.1; RFC 9110 section 4.2.4 (no user and password in a URL).
 */
#ifndef CONF_URL_H
#define CONF_URL_H

#include <stdbool.h>
#include <stddef.h>

struct url_part {
	const char *at; /* NULL: it is not there */
	size_t len;
};

struct url {
	struct url_part scheme;
	struct url_part user; /* "user:password" */
	struct url_part host; /* of an IPv6 address with its brackets */
	struct url_part port;
	struct url_part path;  /* with its '/' */
	struct url_part query; /* without the '?' */
	struct url_part rest;  /* a fragment */
};

/* Take apart what has a scheme and "://"; false: it has none. Nothing is checked. */
bool url_split(struct url *u, const char *text);

/* Whether the query has this key: "db" in "x=1&db=y". */
bool url_has_key(const struct url *u, const char *key);

/* What is wrong, as the end of a sentence that begins with the value and how to mend it; NULL: it
 * is right. A URL is http(s)://host[:port][/path][?query]; an address host:port; a proxy
 * [scheme://][user:password@]host[:port]. */
const char *url_mistake(const char *text);
const char *address_mistake(const char *text);
const char *proxy_mistake(const char *text);

/* A text with "***" for what is secret in it: user and password before a host, and the values of a
 * query's keys such as p, token and password. Any text is fine, whole or not, URL or not. out is
 * always 0-terminated; it is cut to size. */
void url_redact(const char *text, char *out, size_t size);

#endif
