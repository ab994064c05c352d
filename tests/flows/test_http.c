/* test_http.c - the HTTP/1.x message reader: what a stream of bytes says, in pieces of any size,
 * with bytes missing anywhere, and the two small questions about first bytes and paths.
 *
 * A stream is told as a log of events: "GET /x 1.1;" "200;" for heads, "~" before one that is cut,
 * "_" behind a cut target, "end;", "LOST;" when feed says no HTTP, and the state in which it stops.
 */
#include <stdlib.h>

#include "common/error.h"
#include "flows/http.h"
#include "tests/test.h"

static const char *const state_names[] = {
    [HTTP_START] = "START",
    [HTTP_HEAD_LINE] = "HEAD_LINE",
    [HTTP_HEADERS] = "HEADERS",
    [HTTP_BODY] = "BODY",
    [HTTP_CHUNK_SIZE] = "CHUNK_SIZE",
    [HTTP_CHUNK_DATA] = "CHUNK_DATA",
    [HTTP_CHUNK_END] = "CHUNK_END",
    [HTTP_TRAILERS] = "TRAILERS",
    [HTTP_UNTIL_CLOSE] = "CLOSE",
    [HTTP_TUNNEL] = "TUNNEL",
    [HTTP_LOST] = "LOST",
};

#define PLAIN      HTTP_ANSWERS_OTHER
#define TO_HEAD    HTTP_ANSWERS_HEAD
#define TO_CONNECT HTTP_ANSWERS_CONNECT

#define GET     "GET /x HTTP/1.1\r\n"
#define POST    "POST /x HTTP/1.1\r\n"
#define OK      "HTTP/1.1 200 OK\r\n"
#define CHUNKED "Transfer-Encoding: chunked\r\n"

static const struct stream {
	const char *bytes, *want;
	enum http_answers
	    answers; /* what each final response answers; UNKNOWN: this is a request */
} streams[] = {
    /* Start lines. */
    {GET "\r\n", "GET /x 1.1;end;START", 0},
    {"GET / HTTP/1.0\r\nHost: a\r\n\r\n", "GET / 1.0;end;START", 0},
    {"\r\n\n\r\n" GET "\r\n", "GET /x 1.1;end;START", 0},
    {"GET /x HTTP/1.1\nHost: a\n\n", "GET /x 1.1;end;START", 0},
    {"GET  \t /x\t HTTP/1.1 \r\n\r\n", "GET /x 1.1;end;START", 0},
    {"GET\t/x\vHTTP/1.1\r\n\r\n", "GET /x 1.1;end;START", 0},
    {"HEAD / HTTP/1.1\r\n\r\nPUT / HTTP/1.1\r\n\r\nDELETE /d HTTP/1.1\r\n\r\nOPTIONS * "
     "HTTP/1.1\r\n\r\n"
     "TRACE / HTTP/1.1\r\n\r\nPATCH / HTTP/1.1\r\n\r\nCONNECT h:1 HTTP/1.1\r\n\r\n",
     "HEAD / 1.1;end;PUT / 1.1;end;DELETE /d 1.1;end;OPTIONS * 1.1;end;TRACE / 1.1;end;"
     "PATCH / 1.1;end;CONNECT h:1 1.1;end;START",
     0},
    {"GET /\xc3\xa9\xff HTTP/1.1\r\n\r\n", "GET /\xc3\xa9\xff 1.1;end;START", 0},
    {"GET /x", "HEAD_LINE", 0},
    {"GET /\r\n", "LOST;LOST", 0},
    {"GET / HTTP/0.9\r\n\r\n", "LOST;LOST", 0},
    {"GET / HTTP/2.0\r\n\r\n", "LOST;LOST", 0},
    {"GET / HTTP/1.\r\n\r\n", "LOST;LOST", 0},
    {"GET / HTTP/1.2\r\n\r\n", "LOST;LOST", 0},
    {"GET / HTTP/1.10\r\n\r\n", "LOST;LOST", 0},
    {"GET / http/1.1\r\n\r\n", "LOST;LOST", 0},
    {"GET /a b HTTP/1.1\r\n\r\n", "LOST;LOST", 0},
    {"GET HTTP/1.1\r\n\r\n", "LOST;LOST", 0},
    {"get / HTTP/1.1\r\n\r\n", "LOST;LOST", 0},
    {"GETS / HTTP/1.1\r\n\r\n", "LOST;LOST", 0},
    {"GE / HTTP/1.1\r\n\r\n", "LOST;LOST", 0},
    {"SUBSCRIBE / HTTP/1.1\r\n\r\n", "LOST;LOST", 0},
    {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "LOST;LOST", 0},
    {" GET / HTTP/1.1\r\n\r\n", "LOST;LOST", 0},
    {"\x16\x03\x01\x02", "LOST;LOST", 0},
    {GET "\r\n\x16\x03\x01", "GET /x 1.1;end;LOST;LOST", 0},
    {OK "\r\n", "200;CLOSE", PLAIN},
    {"HTTP/1.0 200\r\nContent-Length: 0\r\n\r\n", "200;end;START", PLAIN},
    {"HTTP/1.1  404  \r\nContent-Length: 0\r\n\r\n", "404;end;START", PLAIN},
    {"HTTP/1.1 999 Denied\nContent-Length: 0\n\n", "999;end;START", PLAIN},
    {"HTTP/1.1 099 x\r\n\r\n", "LOST;LOST", PLAIN},
    {"HTTP/1.1 20 x\r\n\r\n", "LOST;LOST", PLAIN},
    {"HTTP/1.1 2000\r\n\r\n", "LOST;LOST", PLAIN},
    {"HTTP/1.1200 OK\r\n\r\n", "LOST;LOST", PLAIN},
    {"HTTP/2.0 200 OK\r\n\r\n", "LOST;LOST", PLAIN},
    {"ICY 200 OK\r\n\r\n", "LOST;LOST", PLAIN},
    {"GET / HTTP/1.1\r\n\r\n", "LOST;LOST", PLAIN},
    /* Pipelines, and which responses have no body (RFC 9112 section 6.3). */
    {GET "\r\n" POST "Content-Length: 3\r\n\r\nabc" GET "\r\n",
     "GET /x 1.1;end;POST /x 1.1;end;GET /x 1.1;end;START", 0},
    {POST "Content-Length: 3\r\n\r\nabc\r\n" GET "\r\n", "POST /x 1.1;end;GET /x 1.1;end;START", 0},
    {"HTTP/1.1 100 Continue\r\n\r\n" OK "Content-Length: 2\r\n\r\nhi", "100;200;end;START", PLAIN},
    {"HTTP/1.1 103 Early\r\nContent-Length: 9\r\n\r\n" OK "Content-Length: 0\r\n\r\n",
     "103;200;end;START", PLAIN},
    {OK "Content-Length: 50\r\n\r\n" OK "Content-Length: 50\r\n\r\n", "200;end;200;end;START",
     TO_HEAD},
    {OK CHUNKED "\r\n" OK "\r\n", "200;end;200;end;START", TO_HEAD},
    {"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\nHTTP/1.1 204 No\r\nContent-Length: "
     "9\r\n"
     "\r\n" OK "Content-Length: 1\r\n\r\n!",
     "304;end;204;end;200;end;START", PLAIN},
    {OK "Content-Length: 4\r\n\r\nabcHTTP/1.1 500 x\r\n", "200;end;LOST;LOST", PLAIN},
    {OK "\r\nHTTP/1.1 200 OK\r\n\r\n", "200;CLOSE", PLAIN},
    {OK "Content-Length: 9\r\n\r\n\x16\x03\x01", "200;end;TUNNEL", TO_CONNECT},
    {"HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno" OK "\r\nxx", "403;end;200;end;TUNNEL",
     TO_CONNECT},
    {"HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\n\r\n\x81\x05", "101^;end;TUNNEL", PLAIN},
    /* Field lines. */
    {POST "CONTENT-length:5\r\n\r\nabcde", "POST /x 1.1;end;START", 0},
    {POST "content-length: \t 5 \t\r\n\r\nabcd", "POST /x 1.1;BODY", 0},
    {POST
     "Content-Lengt: 5\r\nContent-Lengths: 5\r\nContent-Length : 5\r\nX-Content-Length: 5\r\n\r\n",
     "POST /x 1.1;end;START", 0},
    {POST "Content\rLength: 5\r\nno colon\r\n: \r\n\r\n", "POST /x 1.1;end;START", 0},
    {POST "X: a\r\n Content-Length: 5\r\n\tTransfer-Encoding: chunked\r\n\r\n",
     "POST /x 1.1;end;START", 0},
    {POST " Content-Length: 5\r\nTE: trailers\r\n\r\n", "POST /x 1.1;end;START", 0},
    {POST "Content-Length:\r\n 5\r\n\r\nabcde", "POST /x 1.1;end;START", 0},
    {POST "Content-Length: 1\r\n\t5\r\n\r\nabcde", "POST /x 1.1;LOST;LOST", 0},
    {POST "Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n", "POST /x 1.1;end;START", 0},
    {POST "X: \r\n \r\n\r\n", "POST /x 1.1;end;START", 0},
    {POST "X: \r\r\n\r\n", "POST /x 1.1;end;START", 0},
    {POST "\r\r\n\r\n", "POST /x 1.1;end;START", 0},
    /* Content-Length: lists, nonsense, overflow. */
    {POST "Content-Length: 5, 5,,5\r\nContent-Length: 5\r\n\r\nabcde", "POST /x 1.1;end;START", 0},
    {POST "Content-Length: 5\r\nContent-Length: 6\r\n\r\nabcde", "POST /x 1.1;LOST;LOST", 0},
    {POST "Content-Length: 5, 6\r\n\r\n", "POST /x 1.1;LOST;LOST", 0},
    {POST "Content-Length: 0\r\nContent-Length: 6\r\n\r\n", "POST /x 1.1;LOST;LOST", 0},
    {POST "Content-Length: +5\r\n\r\n", "POST /x 1.1;LOST;LOST", 0},
    {POST "Content-Length: -5\r\n\r\n", "POST /x 1.1;LOST;LOST", 0},
    {POST "Content-Length: 0x5\r\n\r\n", "POST /x 1.1;LOST;LOST", 0},
    {POST "Content-Length: 5 5\r\n\r\n", "POST /x 1.1;LOST;LOST", 0},
    {POST "Content-Length: 5\v\r\n\r\n", "POST /x 1.1;LOST;LOST", 0},
    {POST "Content-Length: 18446744073709551615\r\n\r\n", "POST /x 1.1;BODY", 0},
    {POST "Content-Length: 18446744073709551616\r\n\r\n", "POST /x 1.1;LOST;LOST", 0},
    {POST "Content-Length: 99999999999999999999999\r\n\r\n", "POST /x 1.1;LOST;LOST", 0},
    {POST "Content-Length: 0000000000000000000000000000002\r\n\r\nab", "POST /x 1.1;end;START", 0},
    {OK "Content-Length: x\r\n\r\nHTTP/1.1 200 OK\r\n", "200;CLOSE", PLAIN},
    {OK "Content-Length: 1\r\nContent-Length: 2\r\n\r\nabc", "200;CLOSE", PLAIN},
    {OK "Content-Length: 18446744073709551616\r\n\r\nabc", "200;CLOSE", PLAIN},
    /* Transfer-Encoding, and the shapes that request smuggling uses. */
    {OK CHUNKED "\r\n5\r\nhello\r\n0\r\n\r\n" OK "Content-Length: 0\r\n\r\n",
     "200;end;200;end;START", PLAIN},
    {OK "Content-Length: 3\r\n" CHUNKED "\r\n1\r\na\r\n0\r\n\r\n", "200;end;START", PLAIN},
    {OK CHUNKED "Content-Length: x\r\n\r\n1\r\na\r\n0\r\n\r\n", "200;end;START", PLAIN},
    {OK "transfer-encoding:gzip ,\tCHUNKED\r\n\r\n0\r\n\r\n", "200;end;START", PLAIN},
    {OK "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "200;end;START",
     PLAIN},
    {OK "Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n", "200;CLOSE", PLAIN},
    {OK "Transfer-Encoding: identity\r\nContent-Length: 2\r\n\r\nab", "200;end;START", PLAIN},
    {OK "Transfer-Encoding: chunked;q=1\r\n\r\n0\r\n\r\n", "200;end;START", PLAIN},
    {POST "Transfer-Encoding: gzip\r\nContent-Length: 2\r\n\r\nab", "POST /x 1.1;LOST;LOST", 0},
    {POST "Transfer-Encoding: xchunked\r\n\r\n", "POST /x 1.1;LOST;LOST", 0},
    {POST "Transfer-Encoding: chunke\r\n\r\n", "POST /x 1.1;LOST;LOST", 0},
    {POST "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", "POST /x 1.1;end;LOST;LOST", 0},
    {POST "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" GET "\r\n",
     "POST /x 1.1;end;GET /x 1.1;end;START", 0},
    /* Chunks. */
    {OK CHUNKED "\r\n5;a=b;c=\"d\"\r\nhello\r\nA  \r\n0123456789\r\n0;x\r\nSum: 1\r\nB: c\r\n\r\n",
     "200;end;START", PLAIN},
    {OK CHUNKED "\r\n1\na\n0\nT: 1\n\n", "200;end;START", PLAIN},
    {OK CHUNKED "\r\n0000000000000000000001\r\na\r\n00\r\n\r\n", "200;end;START", PLAIN},
    {OK CHUNKED "\r\nffffffffffffffff\r\nabc", "200;CHUNK_DATA", PLAIN},
    {OK CHUNKED "\r\n10000000000000000\r\nabc", "200;LOST;LOST", PLAIN},
    {OK CHUNKED "\r\n\r\n", "200;LOST;LOST", PLAIN},
    {OK CHUNKED "\r\n;a\r\n", "200;LOST;LOST", PLAIN},
    {OK CHUNKED "\r\n-1\r\n", "200;LOST;LOST", PLAIN},
    {OK CHUNKED "\r\n0x1\r\n", "200;LOST;LOST", PLAIN},
    {OK CHUNKED "\r\n1g\r\n", "200;LOST;LOST", PLAIN},
    {OK CHUNKED "\r\n1\r\nab\r\n", "200;LOST;LOST", PLAIN},
    {OK CHUNKED "\r\n1\r\na\rb\r\n", "200;LOST;LOST", PLAIN},
    {OK CHUNKED "\r\n1\r\na", "200;CHUNK_END", PLAIN},
    {OK CHUNKED "\r\n0\r\nX: y\r\n", "200;TRAILERS", PLAIN},
    {OK CHUNKED "\r\n0\r\n\r\r\n\r\n", "200;end;START", PLAIN},
    {POST CHUNKED "\r\n3\r\nabc\r\n0\r\n\r\n" GET "\r\n", "POST /x 1.1;end;GET /x 1.1;end;START",
     0},
};

/* --- the harness --- */

struct log {
	char text[512];
	size_t len;
	enum http_answers answers;
	struct http_reader *tunnel; /* set to make `head` turn this reader into a tunnel */
	unsigned int max_target;    /* longest target seen */
};

static void say(struct log *l, const char *s, size_t n)
{
	if (n > sizeof(l->text) - 1 - l->len)
		n = sizeof(l->text) - 1 - l->len;
	memcpy(l->text + l->len, s, n);
	l->len += n;
	l->text[l->len] = 0;
}

static enum http_answers on_head(void *ctx, const struct http_head *h)
{
	struct log *l = ctx;
	char num[32];

	if (h->cut)
		say(l, "~", 1);
	if (h->request) {
		say(l, http_method_names[h->method], strlen(http_method_names[h->method]));
		say(l, " ", 1);
		say(l, h->target, h->target_len);
		if (h->target_len > l->max_target)
			l->max_target = (unsigned int)h->target_len;
		if (h->target_cut)
			say(l, "_", 1);
		snprintf(num, sizeof(num), h->version == HTTP_VERSION_UNKNOWN ? " ?;" : " 1.%u;",
			 h->version);
	} else {
		snprintf(num, sizeof(num), "%u%s;", h->status, h->upgrade ? "^" : "");
	}
	say(l, num, strlen(num));
	if (l->tunnel)
		http_reader_tunnel(l->tunnel);
	return l->answers;
}

static void on_end(void *ctx)
{
	say(ctx, "end;", 4);
}

/* 1xx responses have an end too, which the tables leave out for brevity. */
static void drop_interim_ends(struct log *l)
{
	static const char *const interim[] = {"100;end;", "103;end;"};
	size_t i;

	for (i = 0; i < 2; i++) {
		char *at = strstr(l->text, interim[i]);

		if (at)
			memmove(at + 4, at + 8, strlen(at + 8) + 1);
	}
}

struct run {
	struct http_reader r;
	struct http_partial partial;
	struct http_events ev;
	struct log log;
	bool stopped;
};

static void run_begin(struct run *t, enum http_answers answers)
{
	memset(t, 0xa5, sizeof(*t));
	memset(&t->log, 0, sizeof(t->log));
	t->log.answers = answers;
	t->ev.head = on_head;
	t->ev.end = on_end;
	t->ev.ctx = &t->log;
	t->stopped = false;
	http_reader_init(&t->r, answers == HTTP_ANSWERS_UNKNOWN);
}

/* Feed one piece from a block of exactly its size. `partial` is spoilt whenever the reader must not
 * need it. */
static void run_feed(struct run *t, const char *bytes, size_t n)
{
	uint8_t *block;
	int got;

	if (t->stopped)
		return;
	block = malloc(n ? n : 1);
	if (!block)
		abort();
	memcpy(block, bytes, n);
	t->r.partial = &t->partial;
	got = http_reader_feed(&t->r, &t->ev, block, n);
	free(block);
	if (got < 0) {
		say(&t->log, "LOST;", 5);
		t->stopped = true;
		CHECK_INT(t->r.state, HTTP_LOST);
	} else {
		CHECK_INT(got, n);
	}
	if (!http_reader_in_head(&t->r))
		memset(&t->partial, 0xa5, sizeof(t->partial));
}

static const char *run_result(struct run *t)
{
	const char *state = state_names[t->r.state];

	say(&t->log, state, strlen(state));
	drop_interim_ends(&t->log);
	return t->log.text;
}

/* --- tests --- */

static void test_whole(void)
{
	struct run t;
	size_t i;

	for (i = 0; i < sizeof(streams) / sizeof(streams[0]); i++) {
		run_begin(&t, streams[i].answers);
		run_feed(&t, streams[i].bytes, strlen(streams[i].bytes));
		CHECK_STR(run_result(&t), streams[i].want);
	}
}

static void test_byte_by_byte(void)
{
	struct run t;
	size_t i, j;

	for (i = 0; i < sizeof(streams) / sizeof(streams[0]); i++) {
		run_begin(&t, streams[i].answers);
		for (j = 0; streams[i].bytes[j]; j++)
			run_feed(&t, streams[i].bytes + j, 1);
		CHECK_STR(run_result(&t), streams[i].want);
	}
}

/* Every way to cut a stream into three pieces. */
static void test_split_everywhere(void)
{
	struct run t;
	size_t i, a, b;

	for (i = 0; i < sizeof(streams) / sizeof(streams[0]); i++) {
		const char *s = streams[i].bytes;
		size_t n = strlen(s);

		for (a = 0; a <= n; a++)
			for (b = a; b <= n; b++) {
				run_begin(&t, streams[i].answers);
				run_feed(&t, s, a);
				run_feed(&t, s + a, b - a);
				run_feed(&t, s + b, n - b);
				if (strcmp(run_result(&t), streams[i].want) != 0)
					CHECK_STR(t.log.text, streams[i].want);
			}
	}
	CHECK(i > 100);
}

/* A gap of any size anywhere: no event but those of the whole stream before the hole, a cut head,
 * an end; then in the right state. */
static void test_gap_everywhere(void)
{
	struct run t, before;
	size_t i, a, g;

	for (i = 0; i < sizeof(streams) / sizeof(streams[0]); i++) {
		const char *s = streams[i].bytes;
		size_t n = strlen(s);

		for (a = 0; a <= n; a++)
			for (g = 0; g <= n - a + 1; g++) {
				uint64_t can;

				run_begin(&before, streams[i].answers);
				run_feed(&before, s, a);
				t = before;
				t.ev.ctx = &t.log;
				can = http_reader_skippable(&t.r);
				t.r.partial = &t.partial;
				http_reader_gap(&t.r, &t.ev, g);
				CHECK(!strncmp(t.log.text, before.log.text, before.log.len));
				CHECK(g > can ? t.r.state == HTTP_LOST
					      : (t.r.state == HTTP_LOST) ==
						    (before.r.state == HTTP_LOST));
				if (a + g <= n)
					run_feed(&t, s + a + g, n - a - g);
				if (g <= can && a + g <= n)
					CHECK_STR(run_result(&t), streams[i].want);
			}
	}
}

static void test_cut_heads(void)
{
	static const struct stream cuts[] = {
	    {"", "LOST", 0},
	    {"GE", "LOST", 0},
	    {"GET", "LOST", 0},
	    {"GET ", "LOST", 0},
	    {"GET /", "~GET /_ ?;LOST", 0},
	    {"GET /a?b", "~GET /a?b_ ?;LOST", 0},
	    {"GET /a ", "~GET /a ?;LOST", 0},
	    {"GET /a HTTP/1.", "~GET /a ?;LOST", 0},
	    {"GET /a HTTP/1.0", "~GET /a 1.0;LOST", 0},
	    {"GET /a HTTP/1.0\r\nHo", "~GET /a 1.0;LOST", 0},
	    {"GET /a HTTP/1.0\r\n\r\nPOS", "GET /a 1.0;end;LOST", 0},
	    {"GET /a HTTP/1.0\r\n\r\nPOST ", "GET /a 1.0;end;LOST", 0},
	    {"HTTP/1.1 20", "LOST", PLAIN},
	    {"HTTP/1.1 200", "~200;LOST", PLAIN},
	    {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n", "~200;LOST", PLAIN},
	    {OK "Content-Length: 5\r\n\r\nab", "200;end;LOST", PLAIN},
	    {OK "\r\nab", "200;CLOSE", PLAIN},
	    {OK CHUNKED "\r\n4\r\nab", "200;LOST", PLAIN},
	    {OK CHUNKED "\r\n4", "200;LOST", PLAIN},
	    {OK CHUNKED "\r\n0\r\nA: b", "200;LOST", PLAIN},
	    {OK "\r\n", "200;end;TUNNEL", TO_CONNECT},
	};
	struct run t;
	size_t i, j;
	int way;

	for (i = 0; i < sizeof(cuts) / sizeof(cuts[0]); i++)
		for (way = 0; way < 4; way++) {
			const char *want = cuts[i].want;

			run_begin(&t, cuts[i].answers);
			for (j = 0; cuts[i].bytes[j]; j++)
				run_feed(&t, cuts[i].bytes + j, 1);
			if (way < 2) {
				t.r.partial = &t.partial;
				http_reader_gap(&t.r, &t.ev, way ? UINT64_MAX : 100);
				CHECK_STR(run_result(&t), want);
			} else if (way == 2 && http_reader_in_head(&t.r)) {
				http_reader_close(&t.r, &t.ev);
				CHECK_STR(run_result(&t), want);
			} else if (way == 3) { /* nothing lent: no crash, and lost */
				t.r.partial = NULL;
				http_reader_gap(&t.r, &t.ev, 100);
				CHECK(t.r.state == HTTP_LOST || !http_reader_in_head(&t.r));
			}
		}
}

static void test_close(void)
{
	struct run t;

	run_begin(&t, PLAIN);
	run_feed(&t, OK "\r\nabc", strlen(OK) + 5);
	CHECK(http_reader_skippable(&t.r) == UINT64_MAX);
	http_reader_gap(&t.r, &t.ev, 12345);
	http_reader_close(&t.r, &t.ev);
	CHECK_STR(run_result(&t), "200;end;START");

	run_begin(&t, PLAIN);
	run_feed(&t, OK "Content-Length: 9\r\n\r\nabc", strlen(OK) + 24);
	CHECK(http_reader_skippable(&t.r) == 6);
	http_reader_close(&t.r, &t.ev);
	CHECK_STR(run_result(&t), "200;LOST");

	run_begin(&t, 0);
	run_feed(&t, GET "\r\n", 19);
	http_reader_close(&t.r, &t.ev);
	CHECK_STR(run_result(&t), "GET /x 1.1;end;START");
}

static void test_lost_and_again(void)
{
	struct run t;

	run_begin(&t, 0);
	run_feed(&t, "nonsense", 8);
	CHECK_INT(t.r.state, HTTP_LOST);
	CHECK(http_reader_skippable(&t.r) == 0);
	CHECK_INT(http_reader_feed(&t.r, &t.ev, (const uint8_t *)GET "\r\n", 19), 19);
	http_reader_gap(&t.r, &t.ev, 5);
	http_reader_close(&t.r, &t.ev);
	CHECK_STR(run_result(&t), "LOST;LOST");
	t.stopped = false;
	t.log.len = 0;
	http_reader_init(&t.r, true);
	run_feed(&t, GET "\r\n", 19);
	CHECK_STR(run_result(&t), "GET /x 1.1;end;START");
}

static void test_tunnel(void)
{
	static const char connect[] = "CONNECT h:443 HTTP/1.1\r\n\r\n";
	struct run t;

	run_begin(&t, 0);
	run_feed(&t, connect, sizeof(connect) - 1);
	CHECK_INT(t.r.state, HTTP_START);
	http_reader_tunnel(&t.r);
	run_feed(&t, "\x16\x03\x01", 3);
	http_reader_gap(&t.r, &t.ev, 1000);
	http_reader_close(&t.r, &t.ev);
	CHECK(http_reader_skippable(&t.r) == UINT64_MAX);
	CHECK_STR(run_result(&t), "CONNECT h:443 1.1;end;TUNNEL");

	/* Told while the head is given: nothing more is read. */
	run_begin(&t, 0);
	t.log.tunnel = &t.r;
	run_feed(&t, GET "\r\n" GET "\r\n", 38);
	CHECK_STR(run_result(&t), "GET /x 1.1;TUNNEL");
}

/* With nothing lent a head in one piece is read, any other is cut. */
static void test_no_partial(void)
{
	static const uint8_t bytes[] = GET "Host: a\r\n\r\n" GET "Ho";
	struct run t;

	run_begin(&t, 0);
	t.r.partial = NULL;
	CHECK_INT(http_reader_feed(&t.r, &t.ev, bytes, sizeof(bytes) - 1), sizeof(bytes) - 1);
	CHECK_STR(run_result(&t), "GET /x 1.1;end;~GET /x 1.1;LOST");

	/* Taken away inside a head: the target is gone with it, so there is nothing to give. */
	run_begin(&t, 0);
	run_feed(&t, GET "Ho", 19);
	t.r.partial = NULL;
	CHECK_INT(http_reader_feed(&t.r, &t.ev, bytes, 5), FL_EMALFORMED);
	CHECK_STR(run_result(&t), "LOST");
}

/* A request whose target, or one header line, or whole head has the given size. */
static void run_sized(struct run *t, size_t target, const char *field, size_t pad, size_t lines,
		      size_t piece)
{
	size_t room = target + lines * (pad + 64) + 128, n = 0, i;
	char *s = malloc(room);

	if (!s)
		abort();
	memcpy(s, "GET /", 5);
	n = 5;
	memset(s + n, 'a', target - 1);
	n += target - 1;
	n += (size_t)snprintf(s + n, room - n, " HTTP/1.0\r\n");
	for (i = 0; i < lines; i++) {
		n += (size_t)snprintf(s + n, room - n, "%s", field);
		memset(s + n, ' ', pad);
		n += pad;
		n += (size_t)snprintf(s + n, room - n, "3\r\n");
	}
	n += (size_t)snprintf(s + n, room - n, "\r\nabc");
	for (i = 0; i < n; i += piece)
		run_feed(t, s + i, n - i < piece ? n - i : piece);
	free(s);
}

static void test_limits(void)
{
	static const size_t pieces[] = {1, 7, 256, 257, 1460, 1000000};
	struct run t;
	size_t i;

	for (i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
		run_begin(&t, 0);
		run_sized(&t, HTTP_TARGET_MAX, "Content-Length:", 1, 1, pieces[i]);
		CHECK_INT(t.log.max_target, HTTP_TARGET_MAX);
		CHECK_INT(t.r.state, HTTP_START);
		CHECK(!t.r.target_cut);

		/* The version behind a target that is too long is still found. */
		run_begin(&t, 0);
		run_sized(&t, 5000, "Content-Length:", 1, 1, pieces[i]);
		CHECK_INT(t.log.max_target, HTTP_TARGET_MAX);
		CHECK(t.r.target_cut && t.r.version == 0);
		CHECK_INT(t.r.state, HTTP_START);

		/* 15 + pad + 1 + CR: the longest line that is read whole, and one more. */
		run_begin(&t, 0);
		run_sized(&t, 2, "Content-Length:", HTTP_LINE_MAX - 17, 1, pieces[i]);
		CHECK_INT(t.r.state, HTTP_START);
		run_begin(&t, 0);
		run_sized(&t, 2, "Content-Length:", HTTP_LINE_MAX - 16, 1, pieces[i]);
		CHECK_INT(t.r.state, HTTP_LOST);
		CHECK(!strcmp(t.log.text, "GET /a 1.0;LOST;"));

		run_begin(&t, 0);
		run_sized(&t, 2, "Transfer-Encoding: chunked", HTTP_LINE_MAX, 1, pieces[i]);
		CHECK_STR(t.log.text, "GET /a 1.0;LOST;");

		/* Long lines of other fields are no matter; the body is garbage, for it has no
		 * length. */
		run_begin(&t, 0);
		run_sized(&t, 2, "Cookie:", 70000, 2, pieces[i]);
		CHECK_STR(t.log.text, "GET /a 1.0;end;LOST;");
		run_begin(&t, 0);
		run_sized(&t, 2, "Cookie:", 70000, 5, pieces[i]);
		CHECK_STR(t.log.text, "LOST;");
		run_begin(&t, 0);
		run_sized(&t, HTTP_HEAD_MAX, "Cookie:", 0, 1, pieces[i]);
		CHECK_STR(t.log.text, "LOST;");
	}
}

/* The head's last byte at HTTP_HEAD_MAX is read; one byte more is no HTTP. */
static void test_head_max(void)
{
	size_t over, piece, i;
	struct run t;

	for (over = 0; over < 2; over++)
		for (piece = 1; piece < 1000000; piece = piece * 9 + 1) {
			size_t n = HTTP_HEAD_MAX + over;
			char *s = malloc(n);

			if (!s)
				abort();
			memset(s, 'x', n);
			memcpy(s, GET, strlen(GET));
			memcpy(s + n - 4, "\r\n\r\n", 4);
			run_begin(&t, 0);
			for (i = 0; i < n; i += piece)
				run_feed(&t, s + i, n - i < piece ? n - i : piece);
			CHECK_STR(run_result(&t), over ? "LOST;LOST" : "GET /x 1.1;end;START");
			free(s);
		}
}

static void test_zero_bytes(void)
{
	static const char bytes[] =
	    "GET /a\0b\x01 HTTP/1.1\r\nX: \0\0\r\n\0\0\r\nContent-Length: 1\r\n\r\n\0";
	struct run t;
	size_t piece, i, n = sizeof(bytes) - 1;

	for (piece = 1; piece <= n; piece++) {
		run_begin(&t, 0);
		for (i = 0; i < n; i += piece)
			run_feed(&t, bytes + i, n - i < piece ? n - i : piece);
		CHECK_INT(t.log.max_target, 5);
		CHECK(!memcmp(t.log.text, "GET /a\0b\x01 1.1;end;", 17));
		CHECK_INT(t.r.state, HTTP_START);
	}
	/* A zero in a length makes it no number. */
	run_begin(&t, 0);
	run_feed(&t, POST "Content-Length: 1\0\r\n\r\n", strlen(POST) + 22);
	CHECK_STR(run_result(&t), "POST /x 1.1;LOST;LOST");
}

static void test_guess(void)
{
	static const struct {
		const char *bytes;
		enum http_guess want;
	} cases[] = {
	    {"", HTTP_MAYBE},
	    {"G", HTTP_MAYBE},
	    {"GET", HTTP_MAYBE},
	    {"GET ", HTTP_MAYBE},
	    {"GET /", HTTP_REQUEST},
	    {"GET\t/", HTTP_NOT},
	    {"GET  /", HTTP_REQUEST},
	    {"GET \xc3", HTTP_REQUEST},
	    {"GET \r", HTTP_NOT},
	    {"GET \x7f", HTTP_NOT},
	    {"GETS", HTTP_NOT},
	    {"get /", HTTP_NOT},
	    {"P", HTTP_MAYBE},
	    {"PO", HTTP_MAYBE},
	    {"PX", HTTP_NOT},
	    {"POST /", HTTP_REQUEST},
	    {"POSTER", HTTP_NOT},
	    {"PUT /", HTTP_REQUEST},
	    {"HEAD /", HTTP_REQUEST},
	    {"HEAD", HTTP_MAYBE},
	    {"H", HTTP_MAYBE},
	    {"HT", HTTP_MAYBE},
	    {"HTTP", HTTP_MAYBE},
	    {"HTTP/1.", HTTP_MAYBE},
	    {"HTTP/1.1", HTTP_RESPONSE},
	    {"HTTP/1.x", HTTP_NOT},
	    {"HTTP/2.0", HTTP_NOT},
	    {"DELETE /", HTTP_REQUEST},
	    {"DELET", HTTP_MAYBE},
	    {"DELETED /", HTTP_NOT},
	    {"CONNECT a", HTTP_REQUEST},
	    {"OPTIONS *", HTTP_REQUEST},
	    {"TRACE /", HTTP_REQUEST},
	    {"PATCH /", HTTP_REQUEST},
	    {"PRI * HTTP/2.0", HTTP_NOT},
	    {"SSH-2.0-x", HTTP_NOT},
	    {"\x16\x03\x01\x02\x00", HTTP_NOT},
	    {"X", HTTP_NOT},
	    {"\r\nGET /", HTTP_NOT},
	};
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t n = strlen(cases[i].bytes);
		uint8_t *block = malloc(n + 1);

		if (!block)
			abort();
		memcpy(block + 1, cases[i].bytes, n);
		CHECK_MSG(http_guess(block + 1, n) == cases[i].want, "%s", cases[i].bytes);
		free(block);
	}
}

static void test_path(void)
{
	static const struct {
		int method;
		const char *target, *want;
	} cases[] = {
	    {HTTP_GET, "/", "/"},
	    {HTTP_GET, "/a/b", "/a/b"},
	    {HTTP_GET, "/a?b=/c#d", "/a"},
	    {HTTP_GET, "/a#b?c", "/a"},
	    {HTTP_GET, "/?", "/"},
	    {HTTP_GET, "?x", "/"},
	    {HTTP_GET, "#x", "/"},
	    {HTTP_GET, "//h/a", "//h/a"},
	    {HTTP_GET, "/http://h/a", "/http://h/a"},
	    {HTTP_GET, "http://h/a?x", "/a"},
	    {HTTP_GET, "http://u:p@[::1]:80/a", "/a"},
	    {HTTP_GET, "HTTPS://h", "/"},
	    {HTTP_GET, "http://h?x", "/"},
	    {HTTP_GET, "http://h#x", "/"},
	    {HTTP_GET, "http://", "/"},
	    {HTTP_GET, "http:/", "http:/"},
	    {HTTP_GET, "a+b-c.1://h/x", "/x"},
	    {HTTP_GET, "1a://h/x", "1a://h/x"},
	    {HTTP_GET, "://h/x", "://h/x"},
	    {HTTP_GET, "a_b://h/x", "a_b://h/x"},
	    {HTTP_GET, "@://h/x", "@://h/x"},
	    {HTTP_GET, "a/b", "a/b"},
	    {HTTP_OPTIONS, "*", "*"},
	    {HTTP_CONNECT, "h:443", "h:443"},
	    {HTTP_CONNECT, "http://h/a?x", "http://h/a?x"},
	};
	size_t i, len;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t n = strlen(cases[i].target);
		char *block = malloc(n), got[64] = "";
		const char *p;

		if (!block)
			abort();
		memcpy(block, cases[i].target, n);
		p = http_target_path((uint8_t)cases[i].method, block, n, &len);
		memcpy(got, p, len < sizeof(got) ? len : sizeof(got) - 1);
		CHECK_STR(got, cases[i].want);
		free(block);
	}
}

TEST_MAIN({"whole", test_whole}, {"byte by byte", test_byte_by_byte},
	  {"split everywhere", test_split_everywhere}, {"gap everywhere", test_gap_everywhere},
	  {"cut heads", test_cut_heads}, {"close", test_close},
	  {"lost and again", test_lost_and_again}, {"tunnel", test_tunnel},
	  {"no partial", test_no_partial}, {"limits", test_limits}, {"head max", test_head_max},
	  {"zero bytes", test_zero_bytes}, {"guess", test_guess}, {"path", test_path})
