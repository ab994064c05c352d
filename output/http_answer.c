/* http_answer.c - what a backend's answer to a write means: sent again, given up, or mended first.
 *
 * A partial write (400 of InfluxDB 1 and 3, 422 of InfluxDB 2) is over: the rest is stored. Where
 * the answer does not say how many points were refused, halves are sent: those that were stored
 * already overwrite themselves, and the bad line is alone in the end.
 */
#include "output/http_answer.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "output/http_body.h"
#include "output/http_date.h"

enum { RETRY_AFTER_MOST_S = 3600 };

static const uint64_t second_ns = 1000000000;

/* One answer, while it is looked at. */
struct look {
	const struct http_answer *a;
	uint32_t points;
	const char *database, *bucket;
	struct http_body body;
	char told[HTTP_BODY_SHOWN_SIZE + 64]; /* "answered 401 (authorization failed)" */
	struct sink_result *r;
};

static void verdict(struct look *l, enum sink_verdict v, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* Set the verdict and why: what was answered, then the printf text. */
static void verdict(struct look *l, enum sink_verdict v, const char *fmt, ...)
{
	int n = snprintf(l->r->why, sizeof(l->r->why), "%s", l->told);
	va_list args;

	l->r->verdict = v;
	if (n < 0 || (size_t)n >= sizeof(l->r->why))
		return;
	va_start(args, fmt);
	vsnprintf(l->r->why + n, sizeof(l->r->why) - (size_t)n, fmt, args);
	va_end(args);
}

static bool says(const struct look *l, const char *what)
{
	return http_body_says(&l->body, what);
}

static const char *status_name(long status)
{
	static const struct {
		long status;
		const char *name;
	} names[] = {
	    {400, "Bad Request"},        {401, "Unauthorized"},
	    {403, "Forbidden"},          {404, "Not Found"},
	    {405, "Method Not Allowed"}, {408, "Request Timeout"},
	    {413, "Content Too Large"},  {422, "Unprocessable Content"},
	    {429, "Too Many Requests"},  {500, "Internal Server Error"},
	    {502, "Bad Gateway"},        {503, "Service Unavailable"},
	    {504, "Gateway Timeout"},    {507, "Insufficient Storage"},
	};
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (names[i].status == status)
			return names[i].name;
	return "";
}

/* "answered 400 (partial write: ... dropped=2)" */
static void tell(struct look *l)
{
	const char *text = *l->body.text ? l->body.text : status_name(l->a->status);
	char shown[HTTP_BODY_SHOWN_SIZE], both[HTTP_BODY_TEXT_SIZE + HTTP_BODY_DETAIL_SIZE + 4];
	char number[24];
	size_t n = (size_t)snprintf(number, sizeof(number), "%ld ", l->a->status);

	text += strspn(text, " \r\n\t");
	if (!strncmp(text, number, n)) /* the title of a proxy's page */
		text += n;
	if (*l->body.detail) {
		snprintf(both, sizeof(both), "%s: %s", text, l->body.detail);
		text = both;
	}
	http_body_show(shown, sizeof(shown), text);
	if (*shown)
		snprintf(l->told, sizeof(l->told), "answered %ld (%s)", l->a->status, shown);
	else
		snprintf(l->told, sizeof(l->told), "answered %ld", l->a->status);
}

/* Seconds of Retry-After: RFC 9110 section 10.2.3. */
static uint64_t retry_after_s(const char *value, uint64_t now_s)
{
	uint64_t s = 0, date;

	if (!value)
		return 0;
	value += strspn(value, " \t");
	if (*value >= '0' && *value <= '9') {
		while (*value >= '0' && *value <= '9' && s <= RETRY_AFTER_MOST_S)
			s = s * 10 + (uint64_t)(*value++ - '0');
		if (*value == '.') /* not in the RFC, but seen: rounded up */
			s++;
	} else if (http_date_parse(value, &date)) {
		s = date > now_s ? date - now_s : 0;
	}
	return s < RETRY_AFTER_MOST_S ? s : RETRY_AFTER_MOST_S;
}

static void retry(struct look *l, uint64_t now_s)
{
	uint64_t s = retry_after_s(l->a->retry_after, now_s);

	l->r->wait_ns = s * second_ns;
	if (s)
		verdict(l, SINK_RETRY, " and asks to wait %u s", (unsigned int)s);
	else
		verdict(l, SINK_RETRY, "%s", "");
}

/* ---- points that were refused ---- */

static void split(struct look *l)
{
	verdict(l, SINK_SPLIT, "%s",
		l->points > 1 ? ": looking for what it does not take by sending halves"
			      : ": it does not take this point");
}

static void gave_up(struct look *l, uint64_t lost)
{
	l->r->lost = lost < l->points ? (uint32_t)lost : l->points;
	verdict(l, SINK_DELIVERED, ": %u of %u points were refused", (unsigned int)l->r->lost,
		(unsigned int)l->points);
}

/* "partial write error (2 written)" of InfluxDB 2 Cloud, "(2 accepted)" of its explicit schemas. */
static bool written_count(const struct look *l, uint64_t *written)
{
	const char *s = strstr(l->body.text, "partial write error (");
	unsigned long long n;
	char word[9];

	if (!s || sscanf(s, "partial write error (%18llu %8[a-z])", &n, word) != 2)
		return false;
	*written = n;
	return !strcmp(word, "written") || !strcmp(word, "accepted");
}

/* A write of which a part is stored. False: it is none, or it does not tell how many. */
static bool partial_write(struct look *l)
{
	const struct http_body *b = &l->body;
	uint64_t written;

	if (!says(l, "partial write"))
		return false;
	if (says(l, "partial write of line protocol")) {
		/* InfluxDB 3 may list the first 100 only */
		if (b->cut || !b->bad_entries || b->bad_entries >= 100)
			return false;
		gave_up(l, b->bad_entries);
	} else if (written_count(l, &written)) {
		gave_up(l, written < l->points ? l->points - written : 0);
	} else if (b->has_dropped) {
		/* points that could not be parsed are not in "dropped" */
		gave_up(l, b->dropped ? b->dropped : b->bad_lines);
	} else {
		return false;
	}
	return true;
}

/* 400 and 422. What is wrong with the request as a whole is nothing that halves would find. */
static void bad_request(struct look *l)
{
	const struct http_body *b = &l->body;

	if (partial_write(l))
		return;
	if (says(l, "HTTPS port") || says(l, "HTTP request to an HTTPS server"))
		verdict(l, SINK_REFUSED, ": it wants TLS: write https:// in the url");
	else if (says(l, "SSL certificate"))
		verdict(
		    l, SINK_REFUSED,
		    ": it wants a client certificate that it knows: set cert_file and key_file");
	else if (b->kind == HTTP_BODY_PAGE)
		verdict(l, SINK_REFUSED,
			" with a web page: does the url lead to the backend, or to "
			"a proxy before it?");
	else if (says(l, "database is required") || says(l, "database name required"))
		verdict(l, SINK_REFUSED, ": set database");
	else if (says(l, "retention policy not found"))
		verdict(l, SINK_REFUSED, ": set retention_policy to one that the database has");
	else if (says(l, "gzip"))
		verdict(l, SINK_REFUSED,
			": it does not read what was compressed: set gzip to false");
	else if (says(l, "orgID or org"))
		verdict(l, SINK_REFUSED, ": set org");
	else if (strstr(b->code, "oken")) /* Datakit: datakit.invalidToken and others */
		verdict(l, SINK_REFUSED, ": check the token, in the url's query");
	else if (says(l, "unsupported path") || says(l, "invalid consistency") ||
		 says(l, "invalid precision"))
		verdict(l, SINK_REFUSED, ": the url's path or query is wrong");
	else if (says(l, "non-WAL table") || says(l, "creating new tables is disabled") ||
		 says(l, "creating new columns is disabled"))
		verdict(l, SINK_REFUSED, ": change the table, or let the backend make it");
	else if (b->bad_lines >= l->points && !b->cut)
		gave_up(l, l->points); /* InfluxDB 1: not one line could be read */
	else
		split(l);
}

/* ---- what has to be mended ---- */

static void not_found(struct look *l)
{
	char name[64];

	if (says(l, "database not found") || says(l, "database does not exist")) {
		http_body_show(name, sizeof(name),
			       l->database && *l->database ? l->database : "NAME");
		verdict(l, SINK_REFUSED, ": create it: influx -execute 'CREATE DATABASE \"%s\"'",
			name);
	} else if (says(l, "organization")) {
		verdict(l, SINK_REFUSED, ": check org, and that the token belongs to it");
	} else if (says(l, "bucket")) {
		http_body_show(name, sizeof(name), l->bucket && *l->bucket ? l->bucket : "NAME");
		verdict(l, SINK_REFUSED,
			": create it (influx bucket create --name '%s'), or check that the token "
			"may write to it",
			name);
	} else if (says(l, "retention policy")) {
		verdict(l, SINK_REFUSED, ": set retention_policy to one that the database has");
	} else {
		verdict(l, SINK_REFUSED,
			": the url's path leads nowhere: leave it out for InfluxDB's own (with "
			"database or bucket set), or write the backend's");
	}
}

/* 5xx: the backend's trouble, which passes; but for what InfluxDB 1 and 2.0 say with 500. */
static void server_error(struct look *l, uint64_t now_s)
{
	if (l->a->status == 500 && says(l, "retention policy not found"))
		verdict(l, SINK_REFUSED, ": set retention_policy to one that the database has");
	else if (l->a->status == 500 && says(l, "database not found"))
		not_found(l);
	else if (l->a->status != 500 || !partial_write(l))
		retry(l, now_s);
}

/* 2xx. A login page, or another API of the same server, has stored nothing. */
static void success(struct look *l)
{
	const struct http_body *b = &l->body;

	if (l->a->status == 204) {
		l->r->verdict = SINK_DELIVERED;
	} else if (b->kind == HTTP_BODY_PAGE) {
		verdict(l, SINK_REFUSED,
			" with a web page: does the url lead to the backend, or to a login page?");
	} else if (b->has_results) {
		verdict(l, SINK_REFUSED, " as the query API does: the url's path is to be /write");
	} else if (b->kind == HTTP_BODY_JSON && !strcmp(b->code, "invalid")) {
		/* InfluxDB 3 in the cloud once said 201 to a partial write */
		if (!partial_write(l))
			split(l);
	} else if (b->is_error) {
		verdict(l, SINK_REFUSED, ": does the url lead to a write API?");
	} else {
		l->r->verdict = SINK_DELIVERED;
	}
}

static void client_error(struct look *l, uint64_t now_s)
{
	switch (l->a->status) {
	case 400:
	case 422:
		bad_request(l);
		break;
	case 401:
		verdict(l, SINK_REFUSED,
			": it does not know who sends: check token, or user and "
			"password");
		break;
	case 403:
		verdict(l, SINK_REFUSED,
			": who sends may not write there: check token, or user and password, and "
			"what they are granted");
		break;
	case 404:
		not_found(l);
		break;
	case 405:
		verdict(l, SINK_REFUSED, ": nothing is written at the url's path: check it");
		break;
	case 407:
		verdict(
		    l, SINK_REFUSED,
		    ": the proxy wants to know who sends: proxy: http://user:password@host:port");
		break;
	case 411:
		verdict(l, SINK_REFUSED, ": a proxy before the backend loses the request's length");
		break;
	case 413:
		verdict(l, SINK_SPLIT,
			": sending halves; a smaller batch_size, or a larger limit of "
			"the server, mends it");
		break;
	case 415:
		verdict(l, SINK_REFUSED,
			": it does not take lines that are compressed, or no lines "
			"at all: set gzip to false, or check the url's path");
		break;
	default:
		retry(l, now_s);
		break;
	}
}

void http_answer_read(const struct http_answer *a, uint32_t points, uint64_t now_s,
		      const char *database, const char *bucket, struct sink_result *r)
{
	struct look l;
	size_t size = a->body_size < HTTP_ANSWER_BODY_MOST ? a->body_size : HTTP_ANSWER_BODY_MOST;

	memset(&l, 0, sizeof(l));
	l.a = a;
	l.points = points;
	l.database = database;
	l.bucket = bucket;
	l.r = r;
	r->lost = 0;
	r->wait_ns = 0;
	*r->why = 0;
	http_body_read(&l.body, a->body, size, a->body_size >= HTTP_ANSWER_BODY_MOST);
	if (l.body.kind == HTTP_BODY_EMPTY && a->error)
		http_body_read(&l.body, a->error, strlen(a->error), true);
	tell(&l);
	if (a->status >= 200 && a->status < 300)
		success(&l);
	else if (a->status >= 300 && a->status < 400)
		verdict(&l, SINK_REFUSED,
			" and sends on to another place, which is not followed: write that one in "
			"the url");
	else if (a->status >= 400 && a->status < 500)
		client_error(&l, now_s);
	else if (a->status >= 500 && a->status < 600)
		server_error(&l, now_s);
	else
		retry(&l, now_s);
}
