/* http_url.c - checking a backend's URL and adding to it; RFC 3986 section 2 (percent-encoding) and
 * section 3 (parts).
 */
#include "output/http_url.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* The parts of a URL, as places in it. */
struct parts {
	const char *host, *host_end; /* an IPv6 literal with its brackets */
	const char *path, *path_end;
	const char *query, *query_end; /* behind the '?' */
	unsigned int port;
	bool port_given, tls;
};

/* A text that is being put together; its room was measured before. */
struct text_out {
	char *p, *end;
};

static void put_char(struct text_out *o, char c)
{
	if (o->p < o->end)
		*o->p++ = c;
}

static void put_hex(struct text_out *o, unsigned char c)
{
	static const char digits[] = "0123456789ABCDEF";

	put_char(o, '%');
	put_char(o, digits[c >> 4]);
	put_char(o, digits[c & 15]);
}

/* Part of the given URL: what may not stand in a URL at all is encoded, all else kept. */
static void put_given(struct text_out *o, const char *s, const char *end)
{
	for (; s < end; s++) {
		unsigned char c = (unsigned char)*s;

		if (c >= 0x80 || strchr("\"<>\\^`{|}", c))
			put_hex(o, c);
		else
			put_char(o, *s);
	}
}

/* A value: all but the unreserved characters is encoded. */
static void put_value(struct text_out *o, const char *s)
{
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;

		if (c < 0x80 && (isalnum(c) || strchr("-._~", c)))
			put_char(o, *s);
		else
			put_hex(o, c);
	}
}

static void put_text(struct text_out *o, const char *s)
{
	while (*s)
		put_char(o, *s++);
}

static bool has_param(const struct parts *p, const char *key)
{
	const char *s = p->query;
	size_t len = strlen(key);

	while (s && s < p->query_end) {
		const char *end = memchr(s, '&', (size_t)(p->query_end - s));

		end = end ? end : p->query_end;
		if ((size_t)(end - s) >= len && !strncmp(s, key, len) &&
		    ((size_t)(end - s) == len || s[len] == '='))
			return true;
		s = end + 1;
	}
	return false;
}

static void put_param(struct text_out *o, const struct parts *p, const char *key, const char *value,
		      char *separator)
{
	if (!value || !*value || has_param(p, key))
		return;
	put_char(o, *separator);
	put_text(o, key);
	put_char(o, '=');
	put_value(o, value);
	*separator = '&';
}

/* ---- checking ---- */

/* Where a complaint goes. */
struct complaint {
	char *why;
	size_t size;
};

static int wrong(const struct complaint *w, const char *fmt, ...) PRINTF_LIKE(2, 3);

static int wrong(const struct complaint *w, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(w->why, w->size, fmt, args);
	va_end(args);
	return FL_EUSAGE;
}

static int wrong_user(const struct complaint *w)
{
	return wrong(w, "the url has a user and a password in it: take them out and set user and "
			"password");
}

static int check_scheme(const char **s, bool *tls, const struct complaint *w)
{
	const char *url = *s, *colon = strstr(url, "://");
	/* a guess is shown only where it can hold no password and no token */
	bool plain = !strpbrk(url, "@?#");

	if (!strncasecmp(url, "http://", 7) || !strncasecmp(url, "https://", 8)) {
		*tls = (url[4] | 0x20) == 's';
		*s = colon + 3;
		return 0;
	}
	if (!*url)
		return wrong(w, "the url is empty: want one such as http://influx.example:8086");
	if (!strncasecmp(url, "http:", 5) || !strncasecmp(url, "https:", 6))
		return wrong(w, "the url wants two slashes behind its scheme: http://host:port");
	if (colon && plain)
		return wrong(w, "the url's scheme '%.*s' is not known: want http:// or https://",
			     colon - url < 20 ? (int)(colon - url) : 20, url);
	if (plain && strlen(url) < 100)
		return wrong(w, "the url has no scheme: did you mean http://%s?", url);
	return wrong(w, "the url has no scheme: want it to begin with http:// or https://");
}

static int check_characters(const char *url, const struct complaint *w)
{
	const unsigned char *s;

	for (s = (const unsigned char *)url; *s; s++) {
		if (*s == ' ')
			return wrong(w,
				     "the url has a space in it (character %d): write it as %%20",
				     (int)(s - (const unsigned char *)url) + 1);
		if (*s < ' ' || *s == 0x7f)
			return wrong(
			    w, "the url has a control character in it (character %d): take it out",
			    (int)(s - (const unsigned char *)url) + 1);
		if (*s == '#')
			return wrong(
			    w,
			    "the url has a '#' in it (character %d): write it as %%23, or take "
			    "that part out",
			    (int)(s - (const unsigned char *)url) + 1);
	}
	return 0;
}

static int check_port(const char *s, const char *end, struct parts *p, const struct complaint *w)
{
	unsigned int port = 0;
	const char *c;

	p->port = p->tls ? 443 : 80;
	if (s == end)
		return 0;
	for (c = s; c < end && port <= 65535 && isdigit((unsigned char)*c); c++)
		port = port * 10 + (unsigned int)(*c - '0');
	if ((c < end || !port || port > 65535) && strchr(s, '@')) /* a password with a '?' in it */
		return wrong_user(w);
	if (c < end || !port || port > 65535)
		return wrong(w, "the url's port '%.*s' is none: want a number from 1 to 65535",
			     end - s < 20 ? (int)(end - s) : 20, s);
	p->port = port;
	p->port_given = true;
	return 0;
}

/* [IPv6]:port, between s and end. RFC 6874's zone ("%25eth0") is left to libcurl. */
static int check_literal(const char *s, const char *end, struct parts *p, const struct complaint *w)
{
	const char *close = memchr(s, ']', (size_t)(end - s)), *zone;
	struct in6_addr address;
	char text[INET6_ADDRSTRLEN];
	size_t len;

	if (!close)
		return wrong(w, "the url's host begins with '[' and has no ']': want "
				"http://[2001:db8::1]:8086");
	zone = memchr(s, '%', (size_t)(close - s));
	len = (size_t)((zone ? zone : close) - s - 1);
	if (len < sizeof(text)) {
		memcpy(text, s + 1, len);
		text[len] = 0;
	}
	if (len >= sizeof(text) || inet_pton(AF_INET6, text, &address) != 1)
		return wrong(
		    w, "the url's host in [] is no IPv6 address: want http://[2001:db8::1]:8086");
	if (close + 1 < end && close[1] != ':')
		return wrong(w, "the url has something between ']' and the port: want "
				"http://[2001:db8::1]:8086");
	p->host = s;
	p->host_end = close + 1;
	return check_port(close + 1 < end ? close + 2 : end, end, p, w);
}

static int check_host(const char *s, const char *end, struct parts *p, const struct complaint *w)
{
	const char *colon, *c;

	if (memchr(s, '@', (size_t)(end - s)))
		return wrong_user(w);
	if (s < end && *s == '[')
		return check_literal(s, end, p, w);
	colon = memchr(s, ':', (size_t)(end - s));
	if (colon && memchr(colon + 1, ':', (size_t)(end - colon - 1)))
		return wrong(
		    w, "the url's host has several colons: an IPv6 address wants brackets, as in "
		       "http://[2001:db8::1]:8086");
	p->host = s;
	p->host_end = colon ? colon : end;
	if (p->host == p->host_end)
		return wrong(w, "the url has no host: want one such as http://influx.example:8086");
	for (c = p->host; c < p->host_end; c++) {
		if ((unsigned char)*c >= 0x80)
			return wrong(
			    w, "the url's host has letters beyond ASCII: write its ASCII form "
			       "(xn--...)");
		if (!isalnum((unsigned char)*c) && !strchr("-._", *c))
			return wrong(
			    w, "the url's host has a '%c' in it: want letters, digits, '-' and '.'",
			    *c);
	}
	return check_port(colon ? colon + 1 : end, end, p, w);
}

static int split(const char *url, struct parts *p, const struct complaint *w)
{
	const char *s = url, *end;
	int ret;

	memset(p, 0, sizeof(*p));
	ret = check_characters(url, w);
	if (!ret)
		ret = check_scheme(&s, &p->tls, w);
	if (ret)
		return ret;
	end = s + strcspn(s, "/?");
	/* "user:pass/word@host": the slash is the password's */
	if (*s != '[' && *end == '/' && strchr(end, '@') && memchr(s, ':', (size_t)(end - s)) &&
	    !isdigit((unsigned char)end[-1]))
		end = s + strlen(s);
	ret = check_host(s, end, p, w);
	if (ret)
		return ret;
	p->path = end;
	p->path_end = end + strcspn(end, "?");
	if (*p->path_end == '?') {
		p->query = p->path_end + 1;
		p->query_end = p->query + strlen(p->query);
	}
	return 0;
}

/* ---- making ---- */

static void put_url(struct text_out *o, const struct http_url_config *c, const struct parts *p)
{
	bool own_path = p->path_end - p->path > 1, v2 = c->bucket && *c->bucket;
	char separator = '?', digits[16];

	put_text(o, p->tls ? "https://" : "http://");
	put_given(o, p->host, p->host_end);
	if (p->port_given) {
		snprintf(digits, sizeof(digits), ":%u", p->port);
		put_text(o, digits);
	}
	if (own_path)
		put_given(o, p->path, p->path_end);
	else
		put_text(o, v2 ? "/api/v2/write" : "/write");
	if (p->query && p->query < p->query_end) {
		put_char(o, '?');
		put_given(o, p->query, p->query_end);
		separator = '&';
	}
	if (own_path || !v2) {
		put_param(o, p, "db", c->database, &separator);
		put_param(o, p, "rp", c->retention_policy, &separator);
	}
	if (own_path || v2) {
		put_param(o, p, "org", c->org, &separator);
		put_param(o, p, "bucket", c->bucket, &separator);
	}
	if (!own_path && v2)
		put_param(o, p, "precision", "ns", &separator);
}

static size_t length(const char *s)
{
	return s ? strlen(s) : 0;
}

int http_url_make(struct http_url *u, const struct http_url_config *c, char *why, size_t why_size)
{
	const struct complaint w = {why, why_size};
	struct text_out o;
	struct parts p;
	size_t room;
	int ret;

	memset(u, 0, sizeof(*u));
	*why = 0;
	ret = split(c->url, &p, &w);
	if (ret)
		return ret;
	/* each byte at most "%XX"; 100: scheme, port, path, keys */
	room = 3 * (length(c->url) + length(c->database) + length(c->retention_policy) +
		    length(c->org) + length(c->bucket)) +
	       100;
	u->text = malloc(room);
	if (!u->text) {
		snprintf(why, why_size, "no memory for its URL");
		return -ENOMEM;
	}
	o.p = u->text;
	o.end = u->text + room - 1;
	put_url(&o, c, &p);
	*o.p = 0;
	snprintf(u->place, sizeof(u->place), "%.*s:%u",
		 p.host_end - p.host < 256 ? (int)(p.host_end - p.host) : 256, p.host, p.port);
	u->tls = p.tls;
	return 0;
}
