/* test_stream.c - flows/stream.c and its two readers: HTTP and DNS over TCP with segments in every
 * order, cut, lost, sent again. Conversations in text, the transactions they give.
 */
#include "flows/stream.h"

#include "tests/flows/script.h"
#include "tests/test.h"

#define OPEN  "c S 0 0; s SA 0 1; c A 1 1; "
#define GET_A "'GET /a HTTP/1.1||'"
#define OK_2  "'HTTP/1.1 200 OK|Content-Length: 2||ok'"

struct stream_case {
	const char *name, *script, *want;
};

static void play(const struct stream_case *t, uint16_t port, uint32_t isn)
{
	static struct script s;
	struct engine_config c;
	struct record r;
	struct words w;

	script_config(&c, &r);
	script_init(&s, script_engine(&c), PROTO_TCP, port);
	s.isn[0] += isn;
	s.isn[1] += isn;
	script_play(&s, t->script);
	engine_finish(s.e, 0);
	if (!test_check(!strcmp(record_words(&r, false, &w), t->want), t->name, __FILE__, __LINE__))
		printf("    got    \"%s\"\n    wanted \"%s\"\n", w.len ? w.text + 1 : "", t->want);
	CHECK_MSG(!r.broken, "%s: %s", t->name, r.broken);
	CHECK_INT(engine_stats(s.e)->streams_active, 0);
	engine_free(s.e);
	record_free(&r);
}

static void play_all(const struct stream_case *cases, size_t n, uint16_t port)
{
	size_t i;

	for (i = 0; i < n; i++) {
		play(&cases[i], port, 0);
		play(&cases[i], port, 0xffffffff - 1010); /* wraps behind the first request bytes */
		play(&cases[i], port, 0xffffffff - 50010);
	}
}

#define PLAY_ALL(cases, port) play_all(cases, sizeof(cases) / sizeof((cases)[0]), port)

static void test_http(void)
{
	static const struct stream_case cases[] = {
	    {"one", OPEN "c PA . . " GET_A "; +10 s PA . . " OK_2, "GET /a 200 10ms"},
	    {"keep-alive",
	     OPEN "c PA . . " GET_A "; +10 s PA . . " OK_2 "; c PA . . " GET_A
		  "; +30 s PA . . " OK_2,
	     "GET /a 200 x2 20ms"},
	    {"pipelined",
	     OPEN "c PA . . 'GET /a HTTP/1.1||GET /b HTTP/1.1||'; +10 s PA . . "
		  "'HTTP/1.1 200 OK|Content-Length: 1||xHTTP/1.1 404 No|Content-Length: 0||'",
	     "GET /a 200 10ms GET /b 404 10ms"},
	    {"HEAD has no body",
	     OPEN "c PA . . 'HEAD /a HTTP/1.1||GET /b HTTP/1.1||'; +10 s PA . . "
		  "'HTTP/1.1 200 OK|Content-Length: 1000||HTTP/1.1 204 No||'",
	     "HEAD /a 200 10ms GET /b 204 10ms"},
	    {"304 has no body",
	     OPEN "c PA . . 'GET /a HTTP/1.1||GET /b HTTP/1.1||'; +10 s PA . . "
		  "'HTTP/1.1 304 No|Content-Length: 1000||HTTP/1.1 200 OK|Content-Length: 0||'",
	     "GET /a 304 10ms GET /b 200 10ms"},
	    {"100-continue is not final",
	     OPEN "c PA . . 'PUT /a HTTP/1.1|Content-Length: 3|Expect: 100-continue||';"
		  "+5 s PA . . 'HTTP/1.1 100 Continue||'; c PA . . 'abc'; +5 s PA . . " OK_2,
	     "PUT /a 200 10ms"},
	    {"CONNECT: then no HTTP any more",
	     OPEN "c PA . . 'CONNECT h:443 HTTP/1.1||'; +10 s PA . . "
		  "'HTTP/1.1 200 OK||'; c PA . . " GET_A "; s PA . . " OK_2,
	     "CONNECT h:443 200 10ms"},
	    {"CONNECT refused: HTTP goes on",
	     OPEN "c PA . . 'CONNECT h:443 HTTP/1.1||'; s PA . . "
		  "'HTTP/1.1 403 No|Content-Length: 0||'; c PA . . " GET_A "; s PA . . " OK_2,
	     "CONNECT h:443 403 0ms GET /a 200 0ms"},
	    {"Upgrade",
	     OPEN "c PA . . 'GET /ws HTTP/1.1|Upgrade: websocket||'; s PA . . "
		  "'HTTP/1.1 101 Switch|Upgrade: websocket||'; c PA . . " GET_A "; s PA . . " OK_2,
	     "GET /ws 101 0ms"},
	    {"a body by sequence number, its bytes never captured",
	     OPEN "c PA . . " GET_A "; s PA . . 'HTTP/1.1 200 OK|Content-Length: 100000||';"
		  "c PA . . 'GET /b HTTP/1.1||'; s PA 100044 . " OK_2,
	     "GET /a 200 0ms GET /b 200 0ms"},
	    {"a body cut by the snaplen",
	     OPEN "c PA . . " GET_A "; s PA . . "
		  "'HTTP/1.1 200 OK|Content-Length: "
		  "62||12345678901234567890123456789012345678901234567890123"
		  "456789012' cut=40; c PA . . 'GET /b HTTP/1.1||'; s PA . . " OK_2 " cut=38",
	     "GET /a 200 0ms GET /b 200 0ms"},
	    {"a request head cut by the snaplen",
	     OPEN "c PA . . 'GET /long/path HTTP/1.1|Host: h||' cut=12;"
		  "s PA . . " OK_2,
	     "GET /long/pa... 200 0ms"},
	};

	PLAY_ALL(cases, 8080);
}

static void test_http_odd(void)
{
	static const struct stream_case cases[] = {
	    {"the response captured before its request",
	     OPEN "s PA 1 20 " OK_2 "; +1 c PA 1 1 " GET_A, "GET /a 200"},
	    {"the request sent again",
	     OPEN "c PA 1 1 " GET_A "; +300 c PA 1 1 " GET_A "; +10 s PA 1 20 " OK_2,
	     "GET /a 200 310ms"},
	    {"no response", OPEN "c PA . . " GET_A "; c FA . .; s FA . .", "GET /a 0"},
	    {"a response without a request", OPEN "s PA . . " OK_2, ""},
	    {"the port used again before the response",
	     OPEN "c PA . . " GET_A "; c S 900000 0; s SA 900000 900001; c A . .;"
		  "c PA . . 'GET /b HTTP/1.1||'; +10 s PA . . " OK_2,
	     "GET /a 0 GET /b 200 10ms"},
	    {"not HTTP after all", OPEN "c PA . . 'GET out of here'; s PA . . 'x'; c PA . . 'y'",
	     ""},
	    {"no handshake, in the middle of a body",
	     "s A 5000 100 1000; c PA 100 6000 " GET_A "; +10 s PA 6000 119 " OK_2,
	     "GET /a 200 10ms"},
	    {"requests only", "c PA 1 1 " GET_A "; c PA . . " GET_A, "GET /a 0 x2"},
	};

	PLAY_ALL(cases, 8080);
}

static void test_dns(void)
{
	static const struct stream_case cases[] = {
	    {"one", OPEN "c ? 7 a.test 1; +10 s ! 7 a.test 1 0", "dns a.test 1 rcode 0 10ms"},
	    {"two in flight, answered in the other order",
	     OPEN "c ? 7 a.test 1; c ? 8 b.test 28; +10 s ! 8 b.test 28 0; +10 s ! 7 a.test 1 3",
	     "dns b.test 28 rcode 0 10ms dns a.test 1 rcode 3 20ms"},
	    {"no answer", OPEN "c ? 7 a.test 1; c FA . .; s FA . .", "dns a.test 1 rcode -1"},
	    {"already open", "c A 1 1; c ? 7 a.test 1; +10 s ! 7 a.test 1 0",
	     "dns a.test 1 rcode 0 10ms"},
	};

	PLAY_ALL(cases, 53);
}

/* --- segments of a message in every order
 * ------------------------------------------------------------ */

struct conversation {
	uint8_t bytes[2][700];
	uint32_t len[2];
};

static void send_range(struct script *s, const struct conversation *v, int who, uint32_t from,
		       uint32_t to)
{
	struct script_segment g = {.who = who,
				   .flags = TCP_PSH | TCP_ACK,
				   .seq = 1 + from,
				   .ack = who ? 1 + v->len[0] : 1,
				   .len = to - from,
				   .data = (const char *)v->bytes[who] + from};

	script_tcp(s, &g);
}

/* Pieces of random sizes, shuffled, some sent twice or overlapping, some cut in two overlapping
 * ones. */
static void send_shuffled(struct script *s, const struct conversation *v, int who, uint32_t *seed)
{
	uint32_t from[64], to[64], n = 0, at = 0, i, most = 1 + build_random(seed) % 120;

	while (at < v->len[who] && n < 40) {
		uint32_t step = 1 + build_random(seed) % most;

		from[n] = build_random(seed) % 4 ? at : at - build_random(seed) % (at + 1);
		at = n == 39 || at + step > v->len[who] ? v->len[who] : at + step;
		to[n++] = at;
	}
	for (i = 0; i + 1 < n; i++) {
		uint32_t j = i + build_random(seed) % (n - i), a = from[i], b = to[i];

		from[i] = from[j];
		to[i] = to[j];
		from[j] = a;
		to[j] = b;
	}
	for (i = 0; i < n; i++) {
		send_range(s, v, who, from[i], to[i]);
		if (build_random(seed) % 8 == 0)
			send_range(s, v, who, from[i], to[i]);
	}
}

static void shuffled_run(const struct conversation *v, uint16_t port, uint32_t *seed,
			 const char *want, int first)
{
	static struct script s;
	struct engine_config c;
	struct record r;
	struct words w;

	script_config(&c, &r);
	script_init(&s, script_engine(&c), PROTO_TCP, port);
	s.isn[0] = 0xffffffff - build_random(seed) % 800;
	s.isn[1] = 0xffffffff - build_random(seed) % 800;
	script_play(&s, OPEN);
	send_shuffled(&s, v, first, seed);
	send_shuffled(&s, v, 1 - first, seed);
	engine_finish(s.e, 0);
	CHECK_STR(record_words(&r, false, &w), want);
	CHECK_INT(r.net.bytes_read, v->len[1]);
	CHECK_INT(r.net.bytes_written, v->len[0]);
	engine_free(s.e);
	record_free(&r);
}

static void test_dns_orders(void)
{
	static struct conversation v;
	uint32_t seed = 9, run, i, n;
	const char *names[] = {"a.test", "bb.test", "a.much.longer.name.than.those.test"};

	memset(&v, 0, sizeof(v));
	for (i = 0; i < 3; i++) {
		n = build_dns(v.bytes[0] + v.len[0] + 2, (uint16_t)i, names[i], 1, false, 0);
		put_be16(v.bytes[0] + v.len[0], n);
		v.len[0] += n + 2;
		n = build_dns(v.bytes[1] + v.len[1] + 2, (uint16_t)i, names[i], 1, true, 0);
		put_be16(v.bytes[1] + v.len[1], n);
		v.len[1] += n + 2;
	}
	for (run = 0; run < 500; run++)
		shuffled_run(&v, 53, &seed,
			     "dns a.test 1 rcode 0 0ms dns bb.test 1 rcode 0 0ms"
			     " dns a.much.longer.name.than.those.test 1 rcode 0 0ms",
			     0);
}

static void add_text(struct conversation *v, int who, const char *text)
{
	size_t n = strlen(text);

	memcpy(v->bytes[who] + v->len[who], text, n);
	v->len[who] += (uint32_t)n;
}

/* An HTTP connection is known by a segment that begins a message, so the first one goes first. */
static void test_http_orders(void)
{
	static struct conversation v;
	uint32_t seed = 10, run;

	memset(&v, 0, sizeof(v));
	add_text(&v, 0, "POST /one HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n0123456789");
	add_text(&v, 0, "GET /two?q HTTP/1.1\r\nHost: x\r\n\r\nHEAD /three HTTP/1.1\r\n\r\n");
	add_text(
	    &v, 1,
	    "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\nContent-Length: 5\r\n\r\nHTTP/");
	add_text(&v, 1,
		 "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nGET /\r\n0\r\n\r\n");
	add_text(&v, 1, "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n");
	for (run = 0; run < 500; run++) {
		static struct script s;
		struct engine_config c;
		struct record r;
		struct words w;

		script_config(&c, &r);
		script_init(&s, script_engine(&c), PROTO_TCP, 8080);
		s.isn[0] = 0xffffffff - build_random(&seed) % 150;
		s.isn[1] = 0xffffffff - build_random(&seed) % 250;
		script_play(&s, OPEN);
		send_range(&s, &v, 0, 0, 5 + build_random(&seed) % 60);
		send_shuffled(&s, &v, 0, &seed);
		send_shuffled(&s, &v, 1, &seed);
		engine_finish(s.e, 0);
		CHECK_STR(record_words(&r, false, &w),
			  "POST /one 201 0ms GET /two 200 0ms HEAD /three 200 0ms");
		engine_free(s.e);
		record_free(&r);
	}
}

/* Other connections hold all the room for segments out of order. */
static void test_no_room(void)
{
	static struct script s;
	struct engine_config c;
	struct record r;
	uint32_t i, k;

	script_config(&c, &r);
	script_init(&s, script_engine(&c), PROTO_TCP, 8080);
	for (i = 0; i < 200; i++) {
		s.port[0] = (uint16_t)(20000 + i);
		script_play(&s, "c S 0 0; s SA 0 1; c PA 1 1 'GET /a HTTP/1.1|';");
		for (k = 0; k < 64; k++) {
			struct script_segment g = {
			    .flags = TCP_ACK, .seq = 1000 + 10 * k, .ack = 1, .len = 5};

			script_tcp(&s, &g);
		}
	}
	script_play(&s, "c PA 5000 1 'GET /b HTTP/1.1||'");
	engine_finish(s.e, 0);
	CHECK(engine_stats(s.e)->http_lost > 0);
	CHECK_INT(engine_stats(s.e)->streams_active, 0);
	CHECK(!r.broken);
	engine_free(s.e);
	record_free(&r);
}

/* More connections than there are streams: those without one are counted. */
static void test_bounds(void)
{
	static struct script s;
	struct engine_config c;
	struct record r;
	uint32_t i;

	script_config(&c, &r);
	c.max_streams = 4;
	script_init(&s, script_engine(&c), PROTO_TCP, 8080);
	for (i = 0; i < 10; i++) {
		s.port[0] = (uint16_t)(20000 + i);
		script_play(&s, "c S 0 0; s SA 0 1; c PA 1 1 " GET_A "; s PA 1 20 " OK_2);
	}
	CHECK_INT(engine_stats(s.e)->streams_active, 4);
	CHECK(engine_stats(s.e)->streams_evicted >= 6);
	engine_finish(s.e, 0);
	CHECK_INT(r.http_count, 4);
	engine_free(s.e);
	record_free(&r);
}

TEST_MAIN({"HTTP", test_http}, {"HTTP, not as it should be", test_http_odd},
	  {"DNS over TCP", test_dns}, {"DNS segments in random order", test_dns_orders},
	  {"HTTP segments in random order", test_http_orders},
	  {"no room for segments", test_no_room}, {"bounds", test_bounds})
