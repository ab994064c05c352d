/* test_sink_http.c - output/sink_http.c against a server in a thread of this program: what is
 * asked, what each answer becomes, and how long it waits.
 */
#include "output/sink_http.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <zlib.h>

#include "tests/output/http_server.h"
#include "tests/test.h"

#define OK_ANSWER "HTTP/1.1 204 No Content\r\n\r\n"

static const uint64_t ms_ns = 1000000;

static struct http_server server;
static char url[64];
static const char lines[] = "netflow,host=a bytes_read=1i 1700000000000000000\n"
			    "netflow,host=b bytes_read=2i 1700000000000000000\n"
			    "netflow,host=c bytes_read=3i 1700000000000000000\n";
static const struct parcel three = {lines, sizeof(lines) - 1, 3};

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* Says yes so often. */
struct patience {
	int left, asked;
};

static bool go_on(void *ctx)
{
	struct patience *p = ctx;

	p->asked++;
	return p->left-- > 0;
}

static void send_parcel(struct sink *s, const struct parcel *p, struct sink_result *r)
{
	struct patience much = {1000000, 0};
	struct sink_turn turn = {go_on, &much};

	memset(r, 0, sizeof(*r));
	s->ops->send(s, p, &turn, r);
}

static void config(struct sink_http_config *c)
{
	memset(c, 0, sizeof(*c));
	c->url = url;
	c->database = "flows";
	c->timeout_ns = 5000 * ms_ns;
}

static struct sink *open_sink(const struct sink_http_config *c)
{
	struct sink *s = NULL;
	char why[SINK_WHY_SIZE];
	int ret = sink_http_open(&s, c, why);

	CHECK_MSG(!ret, "%s", why);
	return ret ? NULL : s;
}

static void close_sink(struct sink *s)
{
	char why[SINK_WHY_SIZE];

	CHECK(s->ops->close(s, why) == 0);
}

/* The server as it is at first. */
static void fresh_server(void)
{
	static bool started;

	if (started)
		server_end(&server);
	started = CHECK(server_start(&server));
	snprintf(url, sizeof(url), "http://127.0.0.1:%d", server.port);
}

/* One send with a sink of its own. */
static void send_once(const struct sink_http_config *c, struct sink_result *r)
{
	struct sink *s = open_sink(c);

	if (!s)
		return;
	send_parcel(s, &three, r);
	close_sink(s);
}

static bool has_line(const char *line)
{
	const char *at = strstr(server.head, line);

	return at && !strncmp(at + strlen(line), "\r\n", 2);
}

static size_t gunzip(const char *in, size_t size, char *out, size_t room)
{
	z_stream z;
	int ret;

	memset(&z, 0, sizeof(z));
	if (inflateInit2(&z, 16 + 15) != Z_OK)
		return 0;
	z.next_in = (unsigned char *)(size_t)in;
	z.avail_in = (unsigned int)size;
	z.next_out = (unsigned char *)out;
	z.avail_out = (unsigned int)room;
	ret = inflate(&z, Z_FINISH);
	inflateEnd(&z);
	return ret == Z_STREAM_END ? room - z.avail_out : 0;
}

/* What goes over the wire, without compression. */
static void test_request(void)
{
	static const char *const headers[] = {"X-Who: me", "content-type: application/x"};
	struct sink_http_config c;
	struct sink_result r;

	fresh_server();
	config(&c);
	c.retention_policy = "r p";
	send_once(&c, &r);
	CHECK_INT(r.verdict, SINK_DELIVERED);
	CHECK_INT(r.lost, 0);
	CHECK_STR(r.why, "");
	CHECK_INT(r.bytes, three.size);
	CHECK(!strncmp(server.head, "POST /write?db=flows&rp=r%20p HTTP/1.1\r\n", 40));
	CHECK(has_line("\r\nContent-Type: text/plain; charset=utf-8"));
	CHECK(strstr(server.head, "\r\nUser-Agent: flowline/"));
	CHECK(!strstr(server.head, "Expect") && !strstr(server.head, "Content-Encoding"));
	CHECK(!strstr(server.head, "Authorization") && !strstr(server.head, "Accept-Encoding"));
	CHECK(server.body_size == three.size && !memcmp(server.body, lines, three.size));
	c.token = "sesam";
	c.headers = headers;
	c.nheaders = 2;
	c.bucket = "b";
	send_once(&c, &r);
	CHECK(!strncmp(server.head, "POST /api/v2/write?bucket=b&precision=ns HTTP", 45));
	CHECK(has_line("\r\nAuthorization: Token sesam"));
	CHECK(has_line("\r\nX-Who: me") && has_line("\r\ncontent-type: application/x"));
	CHECK(!strstr(server.head, "text/plain"));
	c.token = NULL;
	c.user = "joe";
	c.password = "s:e@m";
	send_once(&c, &r);
	CHECK(has_line("\r\nAuthorization: Basic am9lOnM6ZUBt"));
	CHECK_INT(r.verdict, SINK_DELIVERED);
}

/* Many sends: one connection, bodies that unpack to the parcel, and the same bytes again. */
static void test_gzip(void)
{
	enum { BIG = 200000 };
	char *text = malloc(BIG), *out = malloc(BIG), *first = malloc(BIG);
	struct sink_http_config c;
	size_t sizes[] = {1, 50, 4096, 65536, BIG, 100, BIG}, i, k, first_size;
	struct sink_result r;
	struct sink *s;

	fresh_server();
	config(&c);
	c.gzip = true;
	s = open_sink(&c);
	if (!s || !CHECK(text && out && first))
		return;
	for (i = 0; i < BIG; i++)
		text[i] = (char)(i % 97 * i % 23 + 'a');
	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct parcel p = {text, sizes[i], 1};

		first_size = 0;
		for (k = 0; k < 2; k++) {
			send_parcel(s, &p, &r);
			CHECK_INT(r.verdict, SINK_DELIVERED);
			CHECK_INT(r.bytes, server.body_size);
			CHECK(has_line("\r\nContent-Encoding: gzip"));
			CHECK_INT(gunzip(server.body, server.body_size, out, BIG), p.size);
			CHECK(!memcmp(out, text, p.size));
			CHECK(!k || (first_size == server.body_size &&
				     !memcmp(first, server.body, first_size)));
			first_size = server.body_size;
			memcpy(first, server.body, first_size);
		}
	}
	CHECK_INT(server.connections, 1);
	close_sink(s);
	free(text);
	free(out);
	free(first);
}

static const struct {
	const char *answer;
	enum sink_verdict verdict;
	uint32_t lost;
	unsigned int wait_s;
	const char *part;
	bool reused; /* the connection */
} answers[] = {
    {"HTTP/1.1 204 No Content\r\n\r\n", SINK_DELIVERED, 0, 0, NULL, true},
    {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", SINK_DELIVERED, 0, 0, NULL, true},
    {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n", SINK_DELIVERED, 0, 0, NULL,
     true},
    {"HTTP/1.1 100 Continue\r\nRetry-After: 9\r\n\r\nHTTP/1.1 503 x\r\nContent-Length: 0\r\n\r\n",
     SINK_RETRY, 0, 0, "answered 503 (Service Unavailable)", true},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", SINK_DELIVERED, 0,
     0, NULL, true},
    {"HTTP/1.1 400 Bad Request\r\nTransfer-Encoding: chunked\r\n\r\n"
     "1a\r\n{\"error\":\"partial write: x\r\nc\r\n dropped=2\"}\r\n0\r\n\r\n",
     SINK_DELIVERED, 2, 0, "2 of 3 points were refused", true},
    {"HTTP/1.1 400 Bad Request\r\nContent-Length: 51\r\n\r\n"
     "{\"error\":\"unable to parse 'bad': missing fields\"}\r\n",
     SINK_SPLIT, 0, 0, "looking for", true},
    {"HTTP/1.1 400 Bad Request\r\nX-Influxdb-Error: database is required\r\n"
     "Content-Length: 0\r\n\r\n",
     SINK_REFUSED, 0, 0, "set database", true},
    {"HTTP/1.1 401 Unauthorized\r\nContent-Length: 32\r\n\r\n{\"error\":\"what is sesam-token?\"}",
     SINK_REFUSED, 0, 0, "what is ***-token?", true},
    {"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n", SINK_SPLIT, 0, 0, "halves", true},
    {"HTTP/1.1 429 x\r\nretry-after: 7 \r\nContent-Length: 0\r\n\r\n", SINK_RETRY, 0, 7,
     "asks to wait 7 s", true},
    {"HTTP/1.1 503 x\r\nRetry-After:Fri, 31 Dec 9999 23:59:59 GMT\r\nContent-Length: 0\r\n\r\n",
     SINK_RETRY, 0, 3600, "asks to wait 3600 s", true},
    {"HTTP/1.1 301 Moved\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
     SINK_REFUSED, 0, 0, "not followed", true},
    {"HTTP/1.1 307 Moved\r\nLocation: /write\r\nContent-Length: 0\r\n\r\n", SINK_REFUSED, 0, 0,
     "not followed", true},
    /* HTTP/1.0 ends with its connection */
    {"HTTP/1.0 200 OK\r\n\r\nok", SINK_DELIVERED, 0, 0, NULL, false},
    /* cut: nothing, in the head, in the body */
    {"", SINK_RETRY, 0, 0, "closed the connection without an answer", false},
    {"HTTP/1.1 204 No", SINK_RETRY, 0, 0, NULL, false},
    {"HTTP/1.1 204 No Content\r\nX: y", SINK_RETRY, 0, 0, "", false},
    {"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", SINK_RETRY, 0, 0, "lost in the middle",
     false},
    {"HTTP/1.1 400 No\r\nContent-Length: 100\r\n\r\n{\"error\":\"partial write: dropp", SINK_RETRY,
     0, 0, "lost in the middle", false},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n", SINK_RETRY, 0, 0,
     "lost in the middle", false},
    {"HTTP/1.1 413 x\r\nContent-Length: 100\r\n\r\n<html>", SINK_SPLIT, 0, 0, "halves", false},
    {"HTTP/1.1 503 x\r\nRetry-After: 3\r\nContent-Length: 100\r\n\r\nhalf", SINK_RETRY, 0, 3,
     "wait 3 s", false},
    {"SSH-2.0-OpenSSH_9.2\r\n", SINK_REFUSED, 0, 0, "does not speak HTTP", false},
    {"\x15\x03\x01\x00\x02\x02\x16", SINK_REFUSED, 0, 0, "does not speak HTTP", false},
};

static void test_answers(void)
{
	struct sink_http_config c;
	struct sink_result r;
	struct sink *s;
	size_t i, pieces;

	fresh_server();
	config(&c);
	c.token = "sesam";
	s = open_sink(&c);
	for (i = 0; s && i < sizeof(answers) / sizeof(answers[0]); i++) {
		for (pieces = 0; pieces < 2; pieces++) {
			server.answer = answers[i].answer;
			server.in_pieces = pieces;
			server.close_after = !answers[i].reused;
			send_parcel(s, &three, &r);
			CHECK_MSG(r.verdict == answers[i].verdict && r.lost == answers[i].lost &&
				      r.wait_ns == answers[i].wait_s * 1000 * ms_ns,
				  "%s: verdict %d lost %u: %s", server.answer, (int)r.verdict,
				  (unsigned int)r.lost, r.why);
			CHECK_MSG(r.verdict == SINK_DELIVERED || strstr(r.why, "127.0.0.1:"), "%s",
				  r.why);
			CHECK_MSG(!answers[i].part || strstr(r.why, answers[i].part), "%s: %s",
				  server.answer, r.why);
			CHECK(!strstr(r.why, "sesam"));
		}
	}
	/* and well again after all that */
	server.answer = OK_ANSWER;
	server.close_after = false;
	send_parcel(s, &three, &r);
	CHECK_INT(r.verdict, SINK_DELIVERED);
	close_sink(s);
}

/* As many connections as were broken, no more. */
static void test_keep_alive(void)
{
	struct sink_http_config c;
	struct sink_result r;
	struct sink *s;
	int i;

	fresh_server();
	config(&c);
	s = open_sink(&c);
	if (!s)
		return;
	for (i = 0; i < 50; i++) {
		server.answer =
		    i % 2 ? OK_ANSWER : "HTTP/1.1 503 x\r\nContent-Length: 3\r\n\r\nabc";
		send_parcel(s, &three, &r);
		s->ops->idle(s);
	}
	CHECK_INT(server.connections, 1);
	CHECK_INT(server.requests, 50);
	/* closed by the server while idle: a new one, and no error */
	server.close_after = true;
	send_parcel(s, &three, &r);
	CHECK_INT(r.verdict, SINK_DELIVERED);
	poll(NULL, 0, 50);
	server.close_after = false;
	send_parcel(s, &three, &r);
	CHECK_INT(r.verdict, SINK_DELIVERED);
	CHECK_INT(server.connections, 2);
	close_sink(s);
}

/* An answer that does not end costs neither memory nor time. */
static void test_huge(void)
{
	struct sink_http_config c;
	struct sink_result r;
	uint64_t start;

	fresh_server();
	config(&c);
	server.answer = "HTTP/1.1 200 OK\r\n\r\n";
	server.filler = 1000 * 1000 * 1000;
	start = now_ms();
	send_once(&c, &r);
	CHECK(now_ms() - start < 3000);
	CHECK_INT(r.verdict, SINK_DELIVERED);
	server.answer = "HTTP/1.1 503 x\r\nRetry-After: 5\r\nContent-Length: 500000\r\n\r\n";
	server.filler = 500000;
	send_once(&c, &r);
	CHECK_INT(r.verdict, SINK_RETRY);
	CHECK_INT(r.wait_ns, 5000 * ms_ns);
	server.filler = 0;
}

static void test_times(void)
{
	struct patience little = {1, 0};
	struct sink_turn turn = {go_on, &little};
	struct sink_http_config c;
	struct sink_result r;
	uint64_t start;
	struct sink *s;

	fresh_server();
	config(&c);
	c.timeout_ns = 300 * ms_ns;
	server.delay_ms = 1500;
	start = now_ms();
	send_once(&c, &r);
	CHECK_INT(r.verdict, SINK_RETRY);
	CHECK_MSG(strstr(r.why, "gave no answer within 300 ms"), "%s", r.why);
	CHECK_MSG(now_ms() - start >= 290 && now_ms() - start < 1200, "%d ms",
		  (int)(now_ms() - start));
	fresh_server();
	config(&c);
	server.delay_ms = 3000;
	s = open_sink(&c);
	if (!s)
		return;
	memset(&r, 0, sizeof(r));
	start = now_ms();
	s->ops->send(s, &three, &turn, &r);
	CHECK_INT(r.verdict, SINK_STOPPED);
	CHECK_INT(little.asked, 2);
	CHECK_MSG(now_ms() - start < 300, "%d ms", (int)(now_ms() - start));
	/* it can be used on */
	fresh_server();
	close_sink(s);
	config(&c);
	s = open_sink(&c);
	little.left = 0;
	send_parcel(s, &three, &r);
	CHECK_INT(r.verdict, SINK_DELIVERED);
	server.delay_ms = 500;
	s->ops->send(s, &three, &turn, &r);
	CHECK_INT(r.verdict, SINK_STOPPED);
	poll(NULL, 0, 600);
	server.delay_ms = 0;
	send_parcel(s, &three, &r);
	CHECK_INT(r.verdict, SINK_DELIVERED);
	close_sink(s);
}

/* Nobody there, a name that is none, something else than TLS. */
static void test_unreachable(void)
{
	struct sink_http_config c;
	struct sink_result r;
	char where[80];

	fresh_server();
	server.close_before = true;
	config(&c);
	send_once(&c, &r);
	CHECK_INT(r.verdict, SINK_RETRY);
	server.close_before = false;
	server.answer = "HTTP/1.1 400 Bad Request\r\n\r\n";
	server.speak_first = true;
	snprintf(where, sizeof(where), "https://127.0.0.1:%d", server.port);
	c.url = where;
	send_once(&c, &r);
	CHECK_INT(r.verdict, SINK_REFUSED);
	CHECK_MSG(strstr(r.why, "should the url begin with http://?"), "%s", r.why);
	config(&c);
	snprintf(where, sizeof(where), "http://127.0.0.1:%d", server.port);
	server_end(&server);
	c.url = where;
	send_once(&c, &r);
	CHECK_INT(r.verdict, SINK_RETRY);
	CHECK_MSG(strstr(r.why, "could not be reached"), "%s", r.why);
	c.url = "http://no-such-host.invalid";
	c.timeout_ns = 2000 * ms_ns;
	send_once(&c, &r);
	CHECK_MSG(r.verdict == SINK_RETRY && strstr(r.why, "no-such-host.invalid:80 "), "%s",
		  r.why);
	if (CHECK(server_start(&server)))
		server.answer = OK_ANSWER;
}

/* As a proxy our server sees the whole URL, or CONNECT; no_proxy goes past it. */
static void test_proxy(void)
{
	struct sink_http_config c;
	struct sink_result r;
	char proxy[64];

	fresh_server();
	config(&c);
	c.proxy = url;
	c.url = "http://backend.invalid:8086";
	c.token = "sesam";
	send_once(&c, &r);
	CHECK_INT(r.verdict, SINK_DELIVERED);
	CHECK(!strncmp(server.head, "POST http://backend.invalid:8086/write?db=flows HTTP", 52));
	c.url = "https://backend.invalid";
	server.answer = "HTTP/1.1 407 Who\r\nContent-Length: 0\r\n\r\n";
	send_once(&c, &r);
	CHECK_INT(r.verdict, SINK_REFUSED);
	CHECK_MSG(strstr(r.why, "proxy answered 407"), "%s", r.why);
	CHECK(!strncmp(server.head, "CONNECT backend.invalid:443 HTTP", 32));
	CHECK(!strstr(server.head, "sesam"));
	server.answer = OK_ANSWER;
	snprintf(proxy, sizeof(proxy), "http://127.0.0.1:%d", server.port);
	setenv("http_proxy", proxy, 1);
	c.proxy = NULL;
	c.url = "http://backend.invalid:8086";
	send_once(&c, &r);
	CHECK_INT(r.verdict, SINK_DELIVERED);
	setenv("http_proxy", "http://127.0.0.1:1", 1);
	setenv("no_proxy", "127.0.0.1", 1);
	c.url = url;
	send_once(&c, &r);
	CHECK_INT(r.verdict, SINK_DELIVERED);
	c.proxy = "http://127.0.0.1:1";
	send_once(&c, &r);
	CHECK_INT(r.verdict, SINK_DELIVERED);
	unsetenv("http_proxy");
	unsetenv("no_proxy");
}

/* What cannot be opened, and what it says. */
static void test_open(void)
{
	static const char *const headers[] = {"X: y\r\nEvil: yes"}, *const none[] = {"no colon"};
	struct sink_http_config c;
	char why[SINK_WHY_SIZE];
	struct sink *s;

	fresh_server();
	config(&c);
	c.url = "h:8086";
	CHECK_INT(sink_http_open(&s, &c, why), FL_EUSAGE);
	CHECK(strstr(why, "did you mean http://h:8086?"));
	config(&c);
	c.ca_file = "/no/such/file.pem";
	CHECK_INT(sink_http_open(&s, &c, why), -ENOENT);
	CHECK_STR(why, "ca_file: /no/such/file.pem: No such file or directory");
	c.ca_file = "";
	c.key_file = "/no/such/key.pem";
	CHECK_INT(sink_http_open(&s, &c, why), -ENOENT);
	config(&c);
	c.headers = headers;
	c.nheaders = 1;
	CHECK_INT(sink_http_open(&s, &c, why), FL_EUSAGE);
	CHECK(strstr(why, "header 1 of headers is none"));
	c.headers = none;
	CHECK_INT(sink_http_open(&s, &c, why), FL_EUSAGE);
	config(&c);
	c.token = "a\nb";
	CHECK_INT(sink_http_open(&s, &c, why), FL_EUSAGE);
	CHECK(strstr(why, "token"));
	config(&c);
	c.token = c.user = c.password = c.proxy = c.ca_file = c.cert_file = "";
	c.insecure = true;
	s = open_sink(&c);
	if (!s)
		return;
	CHECK_STR(s->ops->kind, "http");
	CHECK(s->ops->spools && !s->ops->reopen);
	close_sink(s);
	server_end(&server);
}

int main(void)
{
	static const struct test_case cases[] = {
	    {"request", test_request},         {"gzip", test_gzip},   {"answers", test_answers},
	    {"keep-alive", test_keep_alive},   {"huge", test_huge},   {"times", test_times},
	    {"unreachable", test_unreachable}, {"proxy", test_proxy}, {"open", test_open},
	};

	signal(SIGPIPE, SIG_IGN);
	unsetenv("http_proxy");
	unsetenv("https_proxy");
	unsetenv("all_proxy");
	unsetenv("HTTPS_PROXY");
	unsetenv("ALL_PROXY");
	unsetenv("no_proxy");
	unsetenv("NO_PROXY");
	if (sink_http_start()) {
		printf("1 failed: libcurl does not start\n0 passed, 1 failed, 0 skipped\n");
		return 1;
	}
	return test_run(cases, sizeof(cases) / sizeof(cases[0]));
}
