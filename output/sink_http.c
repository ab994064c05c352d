/* sink_http.c - parcels as HTTP requests, by libcurl's multi interface: a send() that waits can be
 * told to give up at any moment.
 *
 * Sources: curl.se/libcurl/c, of 7.29 (CentOS 7). What a newer library can do is asked for and not
 * missed where it cannot. Redirects are not followed: credentials stay with the host they are for.
 */
#include "output/sink_http.h"

#include <curl/curl.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#include "output/http_answer.h"
#include "output/http_body.h"
#include "output/http_ca.h"
#include "output/http_gzip.h"
#include "output/http_reply.h"
#include "output/http_url.h"

#ifndef PACKAGE_VERSION
#define PACKAGE_VERSION "0"
#endif
#ifndef PACKAGE_URL
#define PACKAGE_URL ""
#endif

enum {
	IDLE_CLOSE_S = 90, /* load balancers forget a silent connection after a minute or more */
	NO_FDS_MS = 10,    /* while a name is resolved there may be nothing to wait for */
	KEEPALIVE_S = 30,
	PLACE_SHOWN = 100,
};

struct sink_http {
	struct sink sink; /* first */
	struct http_url url;
	struct curl_slist *headers;
	CURL *easy;
	CURLM *multi; /* NULL: no connection */
	struct http_gzip *gzip;
	struct http_reply reply;
	char *database, *bucket, *password, *token; /* for advice, and not to be shown */
	uint64_t timeout_ns;
	time_t used_s; /* monotonic clock: the last send */
	char error[CURL_ERROR_SIZE];
};

static uint64_t clock_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* ---- sending ---- */

static size_t on_body(char *bytes, size_t size, size_t n, void *ctx)
{
	return http_reply_body(ctx, bytes, size * n) ? size * n : 0;
}

static size_t on_header(char *line, size_t size, size_t n, void *ctx)
{
	http_reply_header(ctx, line, size * n);
	return size * n;
}

/* Wait until something happens, at most a turn. */
static void wait_turn(CURLM *multi)
{
	uint64_t before = clock_ms();
	int nfds = 0;

	if (curl_multi_wait(multi, NULL, 0, SINK_TURN_MS, &nfds) != CURLM_OK ||
	    (!nfds && clock_ms() - before < 2))
		poll(NULL, 0, NO_FDS_MS);
}

/* What curl says of the transfer that is over. */
static CURLcode transfer_result(CURLM *multi)
{
	CURLcode code = CURLE_GOT_NOTHING;
	CURLMsg *msg;
	int left;

	while ((msg = curl_multi_info_read(multi, &left)))
		if (msg->msg == CURLMSG_DONE)
			code = msg->data.result;
	return code;
}

/* One request and its answer. False: go_on() said no. */
static bool transfer(struct sink_http *h, const struct sink_turn *turn, CURLcode *code)
{
	int running = 1;

	if (!h->multi) {
		h->multi = curl_multi_init();
		if (h->multi)
			curl_multi_setopt(h->multi, CURLMOPT_MAXCONNECTS, 1L);
	}
	*code = CURLE_OUT_OF_MEMORY;
	if (!h->multi || curl_multi_add_handle(h->multi, h->easy) != CURLM_OK)
		return true;
	while (curl_multi_perform(h->multi, &running) == CURLM_OK && running) {
		if (!turn->go_on(turn->ctx))
			break;
		wait_turn(h->multi);
	}
	if (!running)
		*code = transfer_result(h->multi);
	curl_multi_remove_handle(h->multi, h->easy);
	return !running;
}

/* Take every occurrence of a secret out of a text. */
static void hide(char *text, const char *secret)
{
	size_t len = secret ? strlen(secret) : 0;
	char *at;

	/* a shorter one would be found in words that have nothing to do with it */
	if (len < 4)
		return;
	while ((at = strstr(text, secret))) {
		memmove(at + 3, at + len, strlen(at + len) + 1);
		memcpy(at, "***", 3);
	}
}

/* r->why with the place before it. */
static void finish_why(struct sink_http *h, struct sink_result *r)
{
	char why[SINK_WHY_SIZE];

	if (!*r->why)
		return;
	memcpy(why, r->why, sizeof(why));
	hide(why, h->password);
	hide(why, h->token);
	snprintf(r->why, sizeof(r->why), "%.*s %.*s", PLACE_SHOWN, h->url.place,
		 SINK_WHY_SIZE - PLACE_SHOWN - 2, why);
}

/* The same bytes each time, since only they make points that are sent twice overwrite themselves.
 */
static bool set_body(struct sink_http *h, const struct parcel *p, struct sink_result *r,
		     size_t *size)
{
	const char *bytes = p->bytes;
	int ret = 0;

	*size = p->size;
	if (h->gzip)
		ret = http_gzip(h->gzip, p->bytes, p->size, &bytes, size);
	if (!ret && (curl_easy_setopt(h->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)*size) ||
		     curl_easy_setopt(h->easy, CURLOPT_POSTFIELDS, bytes)))
		ret = -ENOMEM;
	if (ret) {
		r->verdict = SINK_RETRY;
		snprintf(r->why, sizeof(r->why), "the request could not be made: %s",
			 fl_strerror(ret));
	}
	return !ret;
}

static void http_send(struct sink *s, const struct parcel *p, const struct sink_turn *turn,
		      struct sink_result *r)
{
	struct sink_http *h = (struct sink_http *)s;
	struct http_answer answer;
	long proxy_status = 0;
	CURLcode code;
	size_t size;

	if (!p->size || !set_body(h, p, r, &size))
		return;
	http_reply_reset(&h->reply);
	*h->error = 0;
	if (!transfer(h, turn, &code)) {
		r->verdict = SINK_STOPPED;
		snprintf(r->why, sizeof(r->why), "%.*s did not answer before the end", PLACE_SHOWN,
			 h->url.place);
		return;
	}
	h->used_s = (time_t)(clock_ms() / 1000);
	curl_easy_getinfo(h->easy, CURLINFO_HTTP_CONNECTCODE, &proxy_status);
	if (proxy_status < 300 && http_reply_answer(&h->reply, code == CURLE_OK, &answer)) {
		r->bytes = size;
		http_answer_read(&answer, p->points, (uint64_t)time(NULL), h->database, h->bucket,
				 r);
	} else {
		struct http_failure f = {code, h->error, proxy_status, h->timeout_ns, h->url.tls};

		http_failure_read(&f, &h->reply, p->points, r);
	}
	finish_why(h, r);
}

/* A connection that nothing was sent over for so long is closed: what is between may have forgotten
 * it, and the next request would wait for nothing. */
static void http_idle(struct sink *s)
{
	struct sink_http *h = (struct sink_http *)s;

	if (!h->multi || (time_t)(clock_ms() / 1000) - h->used_s < IDLE_CLOSE_S)
		return;
	curl_multi_cleanup(h->multi);
	h->multi = NULL;
}

/* ---- opening ---- */

static int http_close(struct sink *s, char why[SINK_WHY_SIZE])
{
	struct sink_http *h = (struct sink_http *)s;

	*why = 0;
	/* the easy handle first: a connection of an old library belongs to it */
	curl_easy_cleanup(h->easy);
	if (h->multi)
		curl_multi_cleanup(h->multi);
	curl_slist_free_all(h->headers);
	http_gzip_free(h->gzip);
	http_reply_free(&h->reply);
	free(h->url.text);
	free(h->database);
	free(h->bucket);
	free(h->password);
	free(h->token);
	free(h);
	return 0;
}

static const struct sink_ops http_ops = {
    .kind = "http",
    .spools = true,
    .send = http_send,
    .idle = http_idle,
    .close = http_close,
};

/* "" is as NULL. */
static const char *given(const char *text)
{
	return text && *text ? text : NULL;
}

static int copy_text(char **copy, const char *text)
{
	*copy = given(text) ? strdup(text) : NULL;
	return given(text) && !*copy ? -ENOMEM : 0;
}

static int check_file(const char *path, const char *setting, char why[SINK_WHY_SIZE])
{
	int err;

	if (!given(path) || !access(path, R_OK))
		return 0;
	err = errno;
	snprintf(why, SINK_WHY_SIZE, "%s: %s: %s%s", setting, path, strerror(err),
		 err == EACCES ? ": let the collector's user read it" : "");
	return -err;
}

static int add_header(struct sink_http *h, const char *line)
{
	struct curl_slist *list = curl_slist_append(h->headers, line);

	if (!list)
		return -ENOMEM;
	h->headers = list;
	return 0;
}

/* Is the header of this name among the given ones? */
static bool has_header(const struct sink_http_config *c, const char *name)
{
	size_t i, len = strlen(name);

	for (i = 0; i < c->nheaders; i++)
		if (!strncasecmp(c->headers[i], name, len) && c->headers[i][len] == ':')
			return true;
	return false;
}

/* "Name: value" as RFC 9110 section 5.1 has it: nothing that would end the line. */
static int check_header(const char *line, size_t number, char why[SINK_WHY_SIZE])
{
	size_t name = strspn(line, "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				   "abcdefghijklmnopqrstuvwxyz");
	const unsigned char *s;

	for (s = (const unsigned char *)line; *s; s++)
		if ((*s < ' ' && *s != '\t') || *s == 0x7f)
			name = 0;
	if (name && line[name] == ':')
		return 0;
	snprintf(why, SINK_WHY_SIZE,
		 "header %zu of headers is none: want 'Name: value', in one line", number);
	return FL_EUSAGE;
}

static int add_token(struct sink_http *h, const char *token)
{
	size_t size = strlen(token) + sizeof("Authorization: Token ");
	char *line = malloc(size);
	int ret = -ENOMEM;

	if (line) {
		snprintf(line, size, "Authorization: Token %s", token);
		ret = add_header(h, line);
		free(line);
	}
	return ret;
}

/* What the user writes takes the place of what is here. */
static int add_headers(struct sink_http *h, const struct sink_http_config *c,
		       char why[SINK_WHY_SIZE])
{
	size_t i;
	int ret = 0;

	for (i = 0; i < c->nheaders && !ret; i++) {
		ret = check_header(c->headers[i], i + 1, why);
		if (!ret)
			ret = add_header(h, c->headers[i]);
	}
	if (!ret && given(c->token) && strpbrk(c->token, "\r\n")) {
		snprintf(why, SINK_WHY_SIZE, "the token has a line end in it: take it out");
		ret = FL_EUSAGE;
	}
	if (!ret && given(c->token) && !has_header(c, "Authorization"))
		ret = add_token(h, c->token);
	if (!ret && !has_header(c, "Content-Type"))
		ret = add_header(h, "Content-Type: text/plain; charset=utf-8");
	if (!ret && c->gzip)
		ret = add_header(h, "Content-Encoding: gzip");
	/* else libcurl waits up to a second for a "100 Continue" that few backends send */
	if (!ret && !has_header(c, "Expect"))
		ret = add_header(h, "Expect:");
	return ret;
}

/* What a library that is older may not know: its answer does not matter. */
static void set_if_known(CURL *easy)
{
	curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
	curl_easy_setopt(easy, CURLOPT_TCP_KEEPIDLE, (long)KEEPALIVE_S);
	curl_easy_setopt(easy, CURLOPT_TCP_KEEPINTVL, (long)KEEPALIVE_S);
	curl_easy_setopt(easy, CURLOPT_TCP_NODELAY, 1L);
#if LIBCURL_VERSION_NUM >= 0x072500
	/* the token is the backend's, not the proxy's */
	curl_easy_setopt(easy, CURLOPT_HEADEROPT, (long)CURLHEADER_SEPARATE);
#endif
#if LIBCURL_VERSION_NUM >= 0x075700
	/* giving up does not wait for a resolver that hangs */
	curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
#endif
}

/* The CA certificates that count: those given, or the system's where libcurl does not know them. */
static const char *ca_file(const struct sink_http_config *c)
{
	const char *found = NULL;
#if LIBCURL_VERSION_NUM >= 0x074600
	const curl_version_info_data *v = curl_version_info(CURLVERSION_NOW);

	if (v->age >= CURLVERSION_SEVENTH)
		found = http_ca_find(v->cainfo, v->capath, http_ca_places);
#endif
	return given(c->ca_file) ? c->ca_file : found;
}

static CURLcode set_tls(CURL *easy, const struct sink_http_config *c)
{
	const char *ca = ca_file(c);
	long verify = c->insecure ? 0 : 1;
	CURLcode ret = curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, verify);

	if (!ret)
		ret = curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, verify * 2);
	if (!ret && ca)
		ret = curl_easy_setopt(easy, CURLOPT_CAINFO, ca);
	if (!ret && given(c->cert_file))
		ret = curl_easy_setopt(easy, CURLOPT_SSLCERT, c->cert_file);
	if (!ret && given(c->key_file))
		ret = curl_easy_setopt(easy, CURLOPT_SSLKEY, c->key_file);
	/* a key with a passphrase: fail, do not ask at the terminal */
	if (!ret && (given(c->key_file) || given(c->cert_file)))
		ret = curl_easy_setopt(easy, CURLOPT_KEYPASSWD, "");
	return ret;
}

static CURLcode set_who(CURL *easy, const struct sink_http_config *c)
{
	CURLcode ret = CURLE_OK;

	if (given(c->user) || given(c->password)) {
		ret = curl_easy_setopt(easy, CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
		if (!ret)
			ret = curl_easy_setopt(easy, CURLOPT_USERNAME, c->user ? c->user : "");
		if (!ret)
			ret = curl_easy_setopt(easy, CURLOPT_PASSWORD,
					       c->password ? c->password : "");
	}
	/* NULL: the environment; no_proxy counts in both cases */
	if (!ret && given(c->proxy))
		ret = curl_easy_setopt(easy, CURLOPT_PROXY, c->proxy);
	return ret;
}

static CURLcode set_options(struct sink_http *h, const struct sink_http_config *c)
{
	static const char agent[] = "flowline/" PACKAGE_VERSION, home[] = PACKAGE_URL;
	char name[256];
	long ms = (long)(c->timeout_ns / 1000000);
	CURL *e = h->easy;
	CURLcode ret;

	if (*home)
		snprintf(name, sizeof(name), "%s (+%s)", agent, home);
	else
		snprintf(name, sizeof(name), "%s", agent);
	ret = curl_easy_setopt(e, CURLOPT_URL, h->url.text);
	ret = ret ? ret : curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
	ret = ret ? ret : curl_easy_setopt(e, CURLOPT_POST, 1L);
	ret = ret ? ret : curl_easy_setopt(e, CURLOPT_HTTPHEADER, h->headers);
	ret = ret ? ret : curl_easy_setopt(e, CURLOPT_USERAGENT, name);
	/* one request at a time gains nothing from HTTP/2 */
	ret = ret ? ret : curl_easy_setopt(e, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	ret = ret ? ret : curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 0L);
	ret = ret ? ret : curl_easy_setopt(e, CURLOPT_TIMEOUT_MS, ms > 0 ? ms : 1L);
	ret = ret ? ret : curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, ms > 0 ? ms : 1L);
	ret = ret ? ret : curl_easy_setopt(e, CURLOPT_ERRORBUFFER, h->error);
	ret = ret ? ret : curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body);
	ret = ret ? ret : curl_easy_setopt(e, CURLOPT_WRITEDATA, &h->reply);
	ret = ret ? ret : curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, on_header);
	ret = ret ? ret : curl_easy_setopt(e, CURLOPT_HEADERDATA, &h->reply);
	ret = ret ? ret : set_tls(e, c);
	ret = ret ? ret : set_who(e, c);
	set_if_known(e);
	return ret;
}

static int check_config(struct sink_http *h, const struct sink_http_config *c,
			char why[SINK_WHY_SIZE])
{
	struct http_url_config u;
	int ret;

	memset(&u, 0, sizeof(u));
	u.url = c->url;
	u.database = c->database;
	u.retention_policy = c->retention_policy;
	u.org = c->org;
	u.bucket = c->bucket;
	ret = http_url_make(&h->url, &u, why, SINK_WHY_SIZE);
	if (!ret && h->url.tls &&
	    !(curl_version_info(CURLVERSION_NOW)->features & CURL_VERSION_SSL)) {
		snprintf(why, SINK_WHY_SIZE,
			 "this libcurl has no TLS: install one that has, or write "
			 "http:// in the url");
		ret = FL_EUSAGE;
	}
	ret = ret ? ret : check_file(c->ca_file, "ca_file", why);
	ret = ret ? ret : check_file(c->cert_file, "cert_file", why);
	return ret ? ret : check_file(c->key_file, "key_file", why);
}

int sink_http_open(struct sink **sink, const struct sink_http_config *c, char why[SINK_WHY_SIZE])
{
	struct sink_http *h = calloc(1, sizeof(*h));
	CURLcode code;
	int ret;

	*why = 0;
	if (!h) {
		snprintf(why, SINK_WHY_SIZE, "no memory for it");
		return -ENOMEM;
	}
	h->sink.ops = &http_ops;
	h->timeout_ns = c->timeout_ns;
	ret = check_config(h, c, why);
	ret = ret ? ret : add_headers(h, c, why);
	ret = ret ? ret : copy_text(&h->database, c->database);
	ret = ret ? ret : copy_text(&h->bucket, c->bucket);
	ret = ret ? ret : copy_text(&h->password, c->password);
	ret = ret ? ret : copy_text(&h->token, c->token);
	ret = ret ? ret : http_reply_init(&h->reply);
	h->easy = ret ? NULL : curl_easy_init();
	if (!ret && c->gzip)
		h->gzip = http_gzip_new();
	if (!ret && (!h->easy || (c->gzip && !h->gzip)))
		ret = -ENOMEM;
	code = ret ? CURLE_OK : set_options(h, c);
	if (code) {
		snprintf(why, SINK_WHY_SIZE, "libcurl does not take its settings: %s",
			 curl_easy_strerror(code));
		ret = code == CURLE_OUT_OF_MEMORY ? -ENOMEM : FL_EUSAGE;
	}
	if (ret) {
		char nothing[SINK_WHY_SIZE];

		if (!*why)
			snprintf(why, SINK_WHY_SIZE, "%s", fl_strerror(ret));
		http_close(&h->sink, nothing);
		return ret;
	}
	*sink = &h->sink;
	return 0;
}

int sink_http_start(void)
{
	return curl_global_init(CURL_GLOBAL_ALL) ? -ENOMEM : 0;
}
