/* http_reply.c - gathering an answer, and libcurl's errors as advice; curl.se/libcurl/c
 * (libcurl-errors).
 */
#include "output/http_reply.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "output/http_body.h"

enum {
	TOO_LARGE =
	    100, /* of libcurl 8.6; an older one says CURLE_OUT_OF_MEMORY or CURLE_RECV_ERROR */
	WEIRD_REPLY = 8, /* CURLE_WEIRD_SERVER_REPLY, which had another name before 7.51 */
};

int http_reply_init(struct http_reply *p)
{
	p->body = malloc(HTTP_ANSWER_BODY_MOST);
	http_reply_reset(p);
	return p->body ? 0 : -ENOMEM;
}

void http_reply_free(struct http_reply *p)
{
	free(p->body);
	p->body = NULL;
}

void http_reply_reset(struct http_reply *p)
{
	p->status = 0;
	p->headers_done = p->too_long = false;
	p->body_size = p->body_seen = 0;
	*p->retry_after = *p->error = 0;
}

/* The header's value, where line is of that name. */
static void take_header(char *value, size_t room, const char *line, size_t size, const char *name)
{
	size_t len = strlen(name);

	if (size <= len || strncasecmp(line, name, len) || line[len] != ':')
		return;
	line += len + 1;
	size -= len + 1;
	while (size && (*line == ' ' || *line == '\t')) {
		line++;
		size--;
	}
	while (size && (unsigned char)line[size - 1] <= ' ')
		size--;
	size = size < room ? size : room - 1;
	memcpy(value, line, size);
	value[size] = 0;
}

void http_reply_header(struct http_reply *p, const char *line, size_t size)
{
	const char *end = line + size;

	if (size > 5 && !memcmp(line, "HTTP/", 5)) {
		http_reply_reset(p);
		while (line < end && *line != ' ')
			line++;
		while (line < end && *line == ' ')
			line++;
		for (; line < end && *line >= '0' && *line <= '9' && p->status < 1000; line++)
			p->status = p->status * 10 + (*line - '0');
		return;
	}
	if (size <= 2 && (!size || *line == '\r' || *line == '\n')) {
		p->headers_done = p->status >= 200;
		return;
	}
	take_header(p->retry_after, sizeof(p->retry_after), line, size, "Retry-After");
	take_header(p->error, sizeof(p->error), line, size, "X-Influxdb-Error");
}

bool http_reply_body(struct http_reply *p, const char *bytes, size_t size)
{
	size_t room = HTTP_ANSWER_BODY_MOST - p->body_size, n = size < room ? size : room;

	memcpy(p->body + p->body_size, bytes, n);
	p->body_size += n;
	p->body_seen += size;
	p->too_long = p->body_seen > HTTP_REPLY_READ_MOST;
	return !p->too_long;
}

bool http_reply_answer(const struct http_reply *p, bool whole, struct http_answer *a)
{
	a->status = p->status;
	a->body = p->body;
	a->body_size = p->body_size;
	a->retry_after = *p->retry_after ? p->retry_after : NULL;
	a->error = *p->error ? p->error : NULL;
	if (!p->status || !p->headers_done)
		return false;
	if (whole || p->too_long)
		return true;
	/* What is stored is told by the bodies of these; of all others the status is enough. */
	return p->status >= 300 && p->status != 400 && p->status != 422 && p->status != 500;
}

/* ---- no answer ---- */

static void say(struct sink_result *r, enum sink_verdict v, const char *fmt, ...) PRINTF_LIKE(3, 4);

static void say(struct sink_result *r, enum sink_verdict v, const char *fmt, ...)
{
	va_list args;

	r->verdict = v;
	va_start(args, fmt);
	vsnprintf(r->why, sizeof(r->why), fmt, args);
	va_end(args);
}

/* TLS that broke down may be a backend that is starting; what will not pass by itself is told by
 * the library's text. */
static bool tls_needs_mending(const char *error)
{
	static const char *const passing[] = {"reset",   "SYSCALL", "unexpected eof", "timed out",
					      "timeout", "closed",  "terminated",     "EOF",
					      "broken",  "aborted"};
	size_t i;

	for (i = 0; i < sizeof(passing) / sizeof(passing[0]); i++)
		if (strcasestr(error, passing[i]))
			return false;
	return true;
}

/* Certificates and what else TLS wants. False: it is not that. */
static bool tls_failure(const struct http_failure *f, const char *text, struct sink_result *r)
{
	switch (f->code) {
#if LIBCURL_VERSION_NUM < 0x073e00 /* later the same value */
	case CURLE_SSL_CACERT:
#endif
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_ISSUER_ERROR:
		if (strstr(f->error, "subject name") || strstr(f->error, "not match")) {
			say(r, SINK_REFUSED,
			    "has a certificate for another name (%s): write that name in the url",
			    text);
			return true;
		}
		say(r, SINK_REFUSED,
		    "has a certificate that is not trusted (%s): set ca_file to the authority that "
		    "signed it (insecure: true trusts anybody)",
		    text);
		return true;
	case CURLE_SSL_CACERT_BADFILE:
		say(r, SINK_REFUSED, "cannot be checked, ca_file is no use (%s): want PEM", text);
		return true;
	case CURLE_SSL_CERTPROBLEM:
	case CURLE_SSL_CIPHER:
		say(r, SINK_REFUSED,
		    "is not asked, cert_file or key_file is no use (%s): want PEM, and a key "
		    "without "
		    "passphrase",
		    text);
		return true;
	case CURLE_SSL_CONNECT_ERROR:
		if (!tls_needs_mending(f->error))
			return false;
		say(r, SINK_REFUSED,
		    "does not speak TLS as we do (%s): is the port right, or should the url begin "
		    "with http://?",
		    text);
		return true;
	default:
		/* TLS 1.3 says so only when the first answer is read */
		if (!f->tls || !strstr(f->error, "alert") || !strstr(f->error, "certificate"))
			return false;
		say(r, SINK_REFUSED,
		    "does not take our certificate (%s): set cert_file and key_file", text);
		return true;
	}
}

/* An answer that is none of HTTP, or too long in its headers. False: it is not that. */
static bool odd_answer(const struct http_failure *f, const struct http_reply *p, uint32_t points,
		       const char *text, struct sink_result *r)
{
	int code = (int)f->code;

	/* InfluxDB 1 repeats its complaint about every line in a header */
	if (p->status == 400 &&
	    (code == TOO_LARGE || code == CURLE_OUT_OF_MEMORY || strstr(f->error, "Too large"))) {
		say(r, SINK_SPLIT, "answered 400 with headers that are too long%s",
		    points > 1 ? ": looking for what it does not take by sending halves" : "");
		return true;
	}
	if (code == CURLE_UNSUPPORTED_PROTOCOL || code == WEIRD_REPLY ||
	    (code == CURLE_OK && !p->status)) {
		say(r, SINK_REFUSED,
		    "does not speak HTTP (%s): is the port right, or should the url begin with "
		    "https://?",
		    text);
		return true;
	}
	return false;
}

/* Never reached, or lost on the way: all of it passes. */
static void no_connection(const struct http_failure *f, const char *text, struct sink_result *r)
{
	unsigned long long ms = f->timeout_ns / 1000000;

	switch (f->code) {
	case CURLE_COULDNT_RESOLVE_HOST:
		say(r, SINK_RETRY,
		    "could not be found (%s): is the name right, does DNS work here?", text);
		break;
	case CURLE_COULDNT_RESOLVE_PROXY:
		say(r, SINK_RETRY,
		    "was not asked, its proxy could not be found (%s): check proxy, or "
		    "http_proxy and https_proxy in the environment",
		    text);
		break;
	case CURLE_COULDNT_CONNECT:
		say(r, SINK_RETRY,
		    "could not be reached (%s): is it running, is a firewall between?", text);
		break;
	case CURLE_OPERATION_TIMEDOUT:
		say(r, SINK_RETRY,
		    "gave no answer within %llu ms (%s): a larger timeout, or a smaller "
		    "batch_size, "
		    "may help",
		    ms, text);
		break;
	case CURLE_GOT_NOTHING:
		say(r, SINK_RETRY, "closed the connection without an answer");
		break;
	case CURLE_OUT_OF_MEMORY:
		say(r, SINK_RETRY, "was not asked: no memory");
		break;
	default:
		say(r, SINK_RETRY, "was lost in the middle (%s)", text);
		break;
	}
}

void http_failure_read(const struct http_failure *f, const struct http_reply *p, uint32_t points,
		       struct sink_result *r)
{
	char text[HTTP_BODY_SHOWN_SIZE];

	http_body_show(text, sizeof(text), *f->error ? f->error : curl_easy_strerror(f->code));
	if (f->proxy_status >= 300)
		say(r, f->proxy_status < 500 ? SINK_REFUSED : SINK_RETRY,
		    "was not asked, its proxy answered %ld: check proxy%s", f->proxy_status,
		    f->proxy_status == 407 ? " (http://user:password@host:port)" : "");
	else if (f->code == CURLE_URL_MALFORMAT)
		say(r, SINK_REFUSED, "cannot be asked: libcurl does not take the url (%s)", text);
	else if (!tls_failure(f, text, r) && !odd_answer(f, p, points, text, r))
		no_connection(f, text, r);
}
