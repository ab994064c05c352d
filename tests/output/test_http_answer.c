/* test_http_answer.c - output/http_answer.c, with what real servers answer.
 *
 * The bodies are InfluxDB 1.6.7's, VictoriaMetrics' and nginx 1.22's own, and of the others those
 * of their documentation, their tests and bug reports (2.7.11, 3 Core, QuestDB 7 and 8, Datakit).
 */
#include "output/http_answer.h"

#include <stdlib.h>

#include "output/http_body.h"
#include "output/http_date.h"
#include "tests/test.h"

enum { POINTS = 10, NOW_S = 784111777 }; /* Sun, 06 Nov 1994 08:49:37 GMT */

static const uint64_t second_ns = 1000000000;

static const struct {
	long status;
	const char *body;
	enum sink_verdict verdict;
	uint32_t lost;
	const char *part; /* of why; NULL: why is empty */
} answers[] = {
    {204, "", SINK_DELIVERED, 0, NULL},
    {200, "", SINK_DELIVERED, 0, NULL},
    {200, "ok", SINK_DELIVERED, 0, NULL},
    {200, "{\"content\":{}}", SINK_DELIVERED, 0, NULL},
    {202, "{}", SINK_DELIVERED, 0, NULL},
    {200, "<!DOCTYPE html><html><head><title>Sign in</title>", SINK_REFUSED, 0,
     "answered 200 (Sign in) with a web page"},
    {200, "\r\n <html>", SINK_REFUSED, 0, "with a web page"},
    {200, "{\"results\":[{\"statement_id\":0}]}", SINK_REFUSED, 0, "to be /write"},
    {200, "{\"results\":[{\"statement_id\":0,\"error\":\"database not found: x\"}]}", SINK_REFUSED,
     0, "to be /write"},
    {200, "{\"error\":\"no such thing\"}", SINK_REFUSED, 0, "answered 200 (no such thing)"},
    {201, "{\"code\":\"invalid\",\"line\":2,\"message\":\"error parsing line 2\"}", SINK_SPLIT, 0,
     "error parsing line 2"},
    /* InfluxDB 1 */
    {400, "{\"error\":\"partial write: unable to parse 'bad': missing fields dropped=0\"}\n",
     SINK_DELIVERED, 1, "1 of 10 points were refused"},
    {400,
     "{\"error\":\"partial write: unable to parse 'bad': missing fields\\nunable to parse 'a,=v "
     "v=3i 3': missing tag key dropped=0\"}",
     SINK_DELIVERED, 2, "2 of 10 points"},
    {400,
     "{\"error\":\"partial write: field type conflict: input field \\\"v\\\" on measurement "
     "\\\"a\\\" is type float, already exists as type integer dropped=1\"}",
     SINK_DELIVERED, 1, "field type conflict: input field \"v\" on measurement \"a\""},
    {400, "{\"error\":\"partial write: points beyond retention policy dropped=2\"}", SINK_DELIVERED,
     2, "points beyond retention policy dropped=2"},
    {400, "{\"error\":\"partial write: max-series-per-database limit exceeded: (20) dropped=30\"}",
     SINK_DELIVERED, POINTS, "10 of 10 points"},
    {400, "{\"error\":\"partial write: x dropped=99999999999999999999999\"}", SINK_SPLIT, 0,
     "halves"},
    {400, "{\"error\":\"partial write: x dropped=\"}", SINK_SPLIT, 0, "halves"},
    /* cut off: who knows how many more */
    {400, "{\"error\":\"partial write: unable to parse 'bad': missing fields\\nunable to pa",
     SINK_SPLIT, 0, "halves"},
    {400, "{\"error\":\"partial write: x dropped=1", SINK_SPLIT, 0, "halves"},
    /* words in a line are not the backend's */
    {400, "{\"error\":\"unable to parse 'a d=\\\"partial write dropped=0\\\" 5': x dropped=1\"}",
     SINK_SPLIT, 0, "halves"},
    {400, "{\"error\":\"unable to parse 'gzip database is required': missing fields\"}", SINK_SPLIT,
     0, "halves"},
    {400,
     "{\"error\":\"partial write: unable to parse 'b d=\\\"\\\\nunable to parse 'x dropped=7': q "
     "dropped=0\"}",
     SINK_DELIVERED, 1, "1 of 10 points"},
    {400, "{\"error\":\"database is required\"}", SINK_REFUSED, 0, "set database"},
    {400, "{\"error\":\"invalid consistency level\"}", SINK_REFUSED, 0, "path or query is wrong"},
    {400, "{\"error\":\"gzip: invalid header\"}", SINK_REFUSED, 0, "set gzip to false"},
    {401, "{\"error\":\"authorization failed\"}", SINK_REFUSED, 0,
     "answered 401 (authorization failed): it does not know who sends: check token"},
    {401, "{\"error\":\"unable to parse authentication credentials\"}", SINK_REFUSED, 0, "check"},
    {403, "{\"error\":\"user is required to write to database \\\"x\\\"\"}", SINK_REFUSED, 0,
     "(user is required to write to database \"x\"): who sends may not write there"},
    {403, "{\"error\":\"\\\"joe\\\" user is not authorized to write to database \\\"x\\\"\"}",
     SINK_REFUSED, 0, "check token, or user and password"},
    {404, "{\"error\":\"database not found: \\\"x\\\"\"}", SINK_REFUSED, 0,
     "create it: influx -execute 'CREATE DATABASE \"flows\"'"},
    {404, "404 page not found\n", SINK_REFUSED, 0,
     "answered 404 (page not found): the url's path leads"},
    {405, "Method Not Allowed\n", SINK_REFUSED, 0, "url's path"},
    {413, "{\"error\":\"Request Entity Too Large\"}", SINK_SPLIT, 0, "sending halves"},
    {500, "{\"error\":\"retention policy not found: nope\"}", SINK_REFUSED, 0, "retention_policy"},
    {500, "{\"error\":\"timeout\"}", SINK_RETRY, 0, "answered 500 (timeout)"},
    {500, "{\"error\":\"engine: cache-max-memory-size exceeded: (1073747571/1073741824)\"}",
     SINK_RETRY, 0, "cache-max-memory-size"},
    {500, "{\"error\":\"partial write: hinted handoff queue not empty\"}", SINK_RETRY, 0, "hinted"},
    {503, "{\"error\":\"engine is closed\"}", SINK_RETRY, 0, "engine is closed"},
    /* InfluxDB 2 */
    {400, "{\"code\":\"invalid\",\"message\":\"unable to parse 'bad': missing fields\"}",
     SINK_SPLIT, 0, "looking for what it does not take"},
    {400,
     "{\"code\":\"invalid\",\"message\":\"partial write error (2 written): unable to parse "
     "'air_sensor,service=S1 temperature=\\\"90.5\\\" 1632850122': schema: field type for field "
     "\\\"temperature\\\" not permitted by schema; got String but expected Float\"}",
     SINK_DELIVERED, 8, "8 of 10 points"},
    {400,
     "{\"code\":\"invalid\",\"message\":\"partial write error (5 accepted): 1 out of 6 points "
     "rejected (check rejected_points in your _monitoring bucket for further information)\"}",
     SINK_DELIVERED, 5, "5 of 10 points"},
    {400, "{\"code\":\"invalid\",\"message\":\"partial write error (20 written): x\"}",
     SINK_DELIVERED, 0, "0 of 10 points"},
    {400, "{\"code\":\"invalid\",\"message\":\"partial write error (many): x\"}", SINK_SPLIT, 0,
     "halves"},
    {400, "{\"code\":\"invalid\",\"message\":\"Please provide either orgID or org\"}", SINK_REFUSED,
     0, "set org"},
    {400,
     "{\"code\":\"invalid\",\"message\":\"invalid precision; valid precision units are ns, us, "
     "ms, and s\"}",
     SINK_REFUSED, 0, "query is wrong"},
    {422,
     "{\"code\":\"unprocessable entity\",\"message\":\"failure writing points to database: partial "
     "write: field type conflict: input field \\\"NS\\\" on measurement \\\"query_types\\\" is "
     "type "
     "integer, already exists as type float dropped=1\"}",
     SINK_DELIVERED, 1, "answered 422 (failure writing points to database: partial write:"},
    {422, "{\"code\":\"unprocessable entity\",\"message\":\"x\"}", SINK_SPLIT, 0, "halves"},
    {500,
     "{\"code\":\"internal error\",\"message\":\"unexpected error writing points to database: "
     "partial write: field type conflict: input field \\\"v\\\" is type float, already exists as "
     "type integer dropped=3\"}",
     SINK_DELIVERED, 3, "3 of 10 points"},
    {500,
     "{\"code\":\"internal error\",\"message\":\"unexpected error writing points to database: "
     "engine: cache-max-memory-size exceeded: (1073831987/1073741824)\"}",
     SINK_RETRY, 0, "cache-max"},
    {401, "{\"code\":\"unauthorized\",\"message\":\"unauthorized access\"}", SINK_REFUSED, 0,
     "check token"},
    {404, "{\"code\":\"not found\",\"message\":\"bucket \\\"laps\\\" not found\"}", SINK_REFUSED, 0,
     "influx bucket create --name 'hosts'"},
    {404, "{\"code\":\"not found\",\"message\":\"organization name \\\"o\\\" not found\"}",
     SINK_REFUSED, 0, "check org"},
    {429,
     "{\"code\":\"too many requests\",\"message\":\"org 0 has exceeded limited_write plan "
     "limit\"}",
     SINK_RETRY, 0, "plan limit"},
    /* InfluxDB 3 */
    {400,
     "{\"error\":\"partial write of line protocol occurred\",\"data\":[{\"original_line\":\"home,"
     "room=Sunroom temp=hi 1735549200\",\"line_number\":2,\"error_message\":\"invalid column type "
     "for column 'temp', expected iox::column_type::field::float, got "
     "iox::column_type::field::string\"}]}",
     SINK_DELIVERED, 1, "occurred: invalid column type for column 'temp'"},
    {400,
     "{\"error\":\"partial write of line protocol occurred\",\"data\":[{\"original_line\":\"a "
     "\\\"line_number\\\":\",\"line_number\":2,\"error_message\":\"x\"},{\"original_line\":\"b\","
     "\"line_number\":4,\"error_message\":\"y\"}]}",
     SINK_DELIVERED, 2, "occurred: x"},
    {400, "{\"error\":\"partial write of line protocol occurred\",\"data\":null}", SINK_SPLIT, 0,
     "halves"},
    {400,
     "{\"error\":\"parsing failed for write_lp endpoint\",\"data\":{\"original_line\":\"home temp="
     "hi 1\",\"line_number\":2,\"error_message\":\"invalid column type\"}}",
     SINK_SPLIT, 0, "endpoint: invalid column type"},
    {400,
     "{\"code\":\"invalid\",\"message\":\"failed to parse line protocol: errors encountered on "
     "line(s):\\nerror parsing line 2 (1-based): No fields were provided\",\"line\":2}",
     SINK_SPLIT, 0, "line(s): error parsing line 2"},
    /* QuestDB */
    {400,
     "{\"code\":\"invalid\",\"message\":\"failed to parse line protocol:errors encountered on "
     "line(s):\\nerror in line 1: table: stat, column: avg; cast error from protocol type: STRING "
     "to column type: DOUBLE\",\"line\":1,\"errorId\":\"a417ef293242-1\"}",
     SINK_SPLIT, 0, "cast error"},
    {400,
     "{\"code\":\"invalid\",\"message\":\"failed to parse line protocol:errors encountered on "
     "line(s):\\nerror in line 1: table: dst; cannot insert in non-WAL table\",\"line\":1}",
     SINK_REFUSED, 0, "change the table"},
    {400,
     "{\"code\":\"invalid\",\"message\":\"failed to parse line protocol:errors encountered on "
     "line(s):\\nerror in line 1: table: t; table does not exist, creating new tables is "
     "disabled\",\"line\":1}",
     SINK_REFUSED, 0, "let the backend make it"},
    {500,
     "{\"code\":\"internal error\",\"message\":\"failed to parse line protocol:errors encountered "
     "on line(s):write error: m1, error: java.lang.OutOfMemoryError\",\"line\":1}",
     SINK_RETRY, 0, "OutOfMemoryError"},
    /* Telegraf, Datakit */
    {400,
     "{\"code\":\"invalid\",\"message\":\"metric parse error: expected field at 1:4: "
     "\\\"bad\\\"\"}",
     SINK_SPLIT, 0, "metric parse error"},
    {400, "{\"error_code\":\"datakit.invalidToken\",\"message\":\"invalid token\"}", SINK_REFUSED,
     0, "check the token"},
    {400, "{\"error_code\":\"datakit.invalidPoint\",\"message\":\"lineproto.x\"}", SINK_SPLIT, 0,
     "lineproto"},
    /* VictoriaMetrics */
    {400,
     "remoteAddr: \"127.0.0.1:40908\"; requestURI: /nope?db=x&p=sesam; unsupported path requested: "
     "\"/nope\"\n",
     SINK_REFUSED, 0, "answered 400 (unsupported path requested: \"/nope\"): the url's path"},
    {400,
     "remoteAddr: \"127.0.0.1:40912\"; requestURI: /write?db=x; cannot read gzipped influx line "
     "protocol data: gzip: invalid header\n",
     SINK_REFUSED, 0, "set gzip to false"},
    {400,
     "remoteAddr: \"127.0.0.1:40924\"; requestURI: /write?db=x; cannot read influx line protocol "
     "data: too long line: more than 1000 bytes\n",
     SINK_SPLIT, 0, "(cannot read influx line protocol data: too long line"},
    {400, "remoteAddr: \"127.0.0.1:40924\"; requestURI: /write?db=x&p=sesam", SINK_SPLIT, 0,
     "db=x&p=***)"},
    /* nginx and other proxies */
    {400,
     "<html>\r\n<head><title>400 The plain HTTP request was sent to HTTPS port</title></head>\r\n",
     SINK_REFUSED, 0, "write https://"},
    {400, "Client sent an HTTP request to an HTTPS server.\n", SINK_REFUSED, 0, "write https://"},
    {400, "<html>\r\n<head><title>400 No required SSL certificate was sent</title></head>\r\n",
     SINK_REFUSED, 0, "set cert_file"},
    {400, "<html><body>bad <b>thing</b></body></html>", SINK_REFUSED, 0, "(bad thing) with a web"},
    {403, "<html>\r\n<head><title>403 Forbidden</title></head>\r\n", SINK_REFUSED, 0,
     "answered 403 (Forbidden): who"},
    {413, "<html>\r\n<head><title>413 Request Entity Too Large</title></head>\r\n", SINK_SPLIT, 0,
     "batch_size"},
    {502, "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n", SINK_RETRY, 0,
     "answered 502 (Bad Gateway)"},
    {503, "<html>\r\n<head><title>503 Service Temporarily Unavailable</title></head>\r\n",
     SINK_RETRY, 0, "Temporarily"},
    {301, "<html>\r\n<head><title>301 Moved Permanently</title></head>\r\n", SINK_REFUSED, 0,
     "which is not followed"},
    {307, "", SINK_REFUSED, 0, "answered 307 and sends on"},
    {407, "", SINK_REFUSED, 0, "proxy: http://user:password@host:port"},
    {408, "", SINK_RETRY, 0, "answered 408 (Request Timeout)"},
    {411, "", SINK_REFUSED, 0, "length"},
    {415, "", SINK_REFUSED, 0, "gzip"},
    {418, "", SINK_RETRY, 0, "answered 418"},
    {429, "", SINK_RETRY, 0, "answered 429 (Too Many Requests)"},
    {504, "", SINK_RETRY, 0, "Gateway Timeout"},
    {507, "", SINK_RETRY, 0, "Insufficient Storage"},
    {999, "", SINK_RETRY, 0, "answered 999"},
    {0, "", SINK_RETRY, 0, "answered 0"},
};

static void read_answer(long status, const char *body, uint32_t points, struct sink_result *r)
{
	struct http_answer a = {status, body, body ? strlen(body) : 0, NULL, NULL};

	memset(r, 0xee, sizeof(*r));
	http_answer_read(&a, points, NOW_S, "flows", "hosts", r);
}

static void test_answers(void)
{
	struct sink_result r;
	size_t i;

	for (i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		read_answer(answers[i].status, answers[i].body, POINTS, &r);
		CHECK_MSG(r.verdict == answers[i].verdict && r.lost == answers[i].lost &&
			      !r.wait_ns,
			  "%ld %s: verdict %d, lost %u: %s", answers[i].status, answers[i].body,
			  (int)r.verdict, (unsigned int)r.lost, r.why);
		CHECK_MSG(answers[i].part ? !!strstr(r.why, answers[i].part) : !*r.why,
			  "%ld %s: %s", answers[i].status, answers[i].body, r.why);
		CHECK(!strstr(r.why, "sesam") && strlen(r.why) < 420);
	}
}

/* With one point there is nothing to split, and all that was refused is that point. */
static void test_one_point(void)
{
	struct sink_result r;

	read_answer(400, "{\"error\":\"unable to parse 'bad': missing fields\"}", 1, &r);
	CHECK_INT(r.verdict, SINK_DELIVERED);
	CHECK_INT(r.lost, 1);
	read_answer(400, "{\"error\":\"unable to parse 'x': y\\nunable to parse 'z': y\"}", 2, &r);
	CHECK_INT(r.verdict, SINK_DELIVERED);
	CHECK_INT(r.lost, 2);
	read_answer(400, "{\"error\":\"partial write: a dropped=7\"}", 1, &r);
	CHECK_INT(r.lost, 1);
	read_answer(400, "what", 1, &r);
	CHECK_INT(r.verdict, SINK_SPLIT);
	CHECK_STR(r.why, "answered 400 (what): it does not take this point");
	read_answer(404, "{\"error\":\"database not found: \\\"x\\\"\"}", 1, &r);
	CHECK_INT(r.verdict, SINK_REFUSED);
}

static void test_bounds(void)
{
	struct http_answer a = {400, NULL, 0, NULL, NULL};
	struct sink_result r;
	char *body = malloc(2 * HTTP_ANSWER_BODY_MOST);
	size_t n;

	http_answer_read(&a, POINTS, NOW_S, NULL, NULL, &r);
	CHECK_STR(r.why, "answered 400 (Bad Request): looking for what it does not take by sending "
			 "halves");
	a.error = "database is required";
	http_answer_read(&a, POINTS, NOW_S, NULL, NULL, &r);
	CHECK_INT(r.verdict, SINK_REFUSED);
	a.status = 404;
	a.error = "database not found: \"x\"";
	http_answer_read(&a, POINTS, NOW_S, NULL, NULL, &r);
	CHECK(strstr(r.why, "CREATE DATABASE \"NAME\"'"));
	if (!CHECK(body != NULL))
		return;
	/* every line's complaint, more than is kept */
	n = (size_t)snprintf(body, 100, "{\"error\":\"partial write: unable to parse 'b': missing");
	while (n < 2 * HTTP_ANSWER_BODY_MOST - 100)
		n += (size_t)snprintf(body + n, 100, "\\nunable to parse 'b': missing");
	a.status = 400;
	a.error = NULL;
	a.body = body;
	for (a.body_size = 0; a.body_size < 200; a.body_size++) {
		http_answer_read(&a, 5000, NOW_S, NULL, NULL, &r);
		CHECK(r.verdict == SINK_SPLIT);
	}
	a.body_size = n;
	http_answer_read(&a, 5000, NOW_S, NULL, NULL, &r);
	CHECK_INT(r.verdict, SINK_SPLIT);
	memcpy(body + n, " dropped=0\"}", 12);
	a.body = body + n - 2 * strlen("\\nunable to parse 'b': missing");
	a.body_size = 12 + n - (size_t)(a.body - body);
	http_answer_read(&a, 5000, NOW_S, NULL, NULL, &r);
	CHECK_INT(r.verdict, SINK_SPLIT); /* without its beginning it is any text */
	free(body);
}

static void test_retry_after(void)
{
	static const struct {
		const char *value;
		uint64_t seconds;
	} values[] = {
	    {"0", 0},
	    {"1", 1},
	    {" 120", 120},
	    {"1.5", 2},
	    {"3600", 3600},
	    {"3601", 3600},
	    {"99999999999999999999999999", 3600},
	    {"-1", 0},
	    {"", 0},
	    {"soon", 0},
	    {"Sun, 06 Nov 1994 08:50:37 GMT", 60},
	    {"Sunday, 06-Nov-94 08:50:37 GMT", 60},
	    {"Sun Nov  6 08:50:37 1994", 60},
	    {"Sun, 06 Nov 1994 08:49:36 GMT", 0},
	    {"Mon, 07 Nov 1994 08:49:37 GMT", 3600},
	    {"Sun, 06 Foo 1994 08:50:37 GMT", 0},
	};
	struct http_answer a = {503, "", 0, NULL, NULL};
	struct sink_result r;
	size_t i;

	for (i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		a.retry_after = values[i].value;
		http_answer_read(&a, POINTS, NOW_S, NULL, NULL, &r);
		CHECK_MSG(r.verdict == SINK_RETRY && r.wait_ns == values[i].seconds * second_ns,
			  "'%s': %" PRIu64, values[i].value, r.wait_ns);
	}
	a.status = 429;
	a.retry_after = "7";
	http_answer_read(&a, POINTS, NOW_S, NULL, NULL, &r);
	CHECK_STR(r.why, "answered 429 (Too Many Requests) and asks to wait 7 s");
	a.status = 204;
	http_answer_read(&a, POINTS, NOW_S, NULL, NULL, &r);
	CHECK_INT(r.wait_ns, 0);
}

static void test_dates(void)
{
	static const struct {
		const char *text;
		uint64_t seconds;
	} dates[] = {
	    {"Thu, 01 Jan 1970 00:00:00 GMT", 0},
	    {"Wed, 31 Dec 1969 23:59:59 GMT", 0},
	    {"Tue, 29 Feb 2000 12:00:00 GMT", 951825600},
	    {"Wed, 01 Mar 2000 00:00:00 GMT", 951868800},
	    {"Fri, 31 Dec 2038 23:59:60 GMT", 2177452800},
	    {"Monday, 01-Jan-69 00:00:00 GMT", 3124224000},
	    {"Thu, 28 Feb 2100 00:00:00 GMT", 4107456000},
	};
	static const char *const bad[] = {"Sun, 06 Nov 1994",
					  "Sun, 00 Nov 1994 08:49:37 GMT",
					  "Sun, 06 anF 1994 08:49:37 GMT",
					  "Sun, 06 Nov 1994 24:49:37 GMT",
					  "Sun, 06 Nov 94 08:49:37 GMT",
					  "Sun, 06 Nov 1994 -8:49:37 GMT"};
	uint64_t s;
	size_t i;

	for (i = 0; i < sizeof(dates) / sizeof(dates[0]); i++) {
		s = 1;
		CHECK(http_date_parse(dates[i].text, &s));
		CHECK_INT(s, dates[i].seconds);
	}
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CHECK_MSG(!http_date_parse(bad[i], &s), "%s", bad[i]);
}

static void test_show(void)
{
	static const struct {
		const char *in, *out;
	} texts[] = {
	    {"", ""},
	    {"plain", "plain"},
	    {" a\r\n\t b \x7f\x01", "a b"},
	    {"\xc3\xa9\xff\xe2\x82", "\xc3\xa9???"},
	    {"\xc2\x9b"
	     "31m\xe2\x80\xae"
	     "x\xe2\x81\xa6",
	     "?31m?x?"},
	    {"GET /write?db=x&u=joe&p=sesam&q=1", "GET /write?db=x&u=joe&p=***&q=1"},
	    {"/v1/write?token=tkn_sesam HTTP", "/v1/write?token=*** HTTP"},
	    {"?TOKEN=sesam", "?TOKEN=***"},
	    {"password=sesam\"", "password=***\""},
	    {"http=p=1 stop=2 &key=sesam", "http=p=1 stop=2 &key=***"},
	    {"Authorization: Token sesam12345", "Authorization: Token ***"},
	    {"'bearer ABCDEFGHIJKLMNOPQRSTUVWX'", "'bearer ***'"},
	    {"Basic authentication is required", "Basic authentication is required"},
	    {"Basic am9lOnNlc2Ft=", "Basic ***"},
	    {"http://joe:sesam@h/x", "http://***@h/x"},
	    {"http://h/a@b //", "http://h/a@b //"},
	};
	char out[HTTP_BODY_SHOWN_SIZE], tiny[8], in[64];
	size_t i, size;

	for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		http_body_show(out, sizeof(out), texts[i].in);
		CHECK_STR(out, texts[i].out);
	}
	http_body_show(tiny, sizeof(tiny), "12345");
	CHECK_STR(tiny, "1234...");
	http_body_show(tiny, sizeof(tiny), "123 567");
	CHECK_STR(tiny, "123...");
	/* cut at any place: never half a character */
	for (size = 8; size < 40; size++) {
		for (i = 0; i + 3 < sizeof(in); i += 3)
			memcpy(in + i, "\xe2\x82\xac", 3);
		in[i] = 0;
		http_body_show(out, size, in);
		CHECK(strlen(out) < size && (strlen(out) - 3) % 3 == 0);
	}
}

/* JSON that is odd, cut or no JSON. */
static void test_json(void)
{
	static const struct {
		const char *in, *text, *code;
	} texts[] = {
	    {"{\"error\":\"a\\u00e9\\u20ac\\ud83d\\ude00\\\"\\/\\\\\"}",
	     "a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"/\\", ""},
	    {"{\"error\":\"\\ud83d\\u0041\\udc00\\u12\\x\"}", "?A??12x", ""},
	    {"{ \"error\" : \"x\" , \"message\":\"y\"}", "x", ""},
	    {"{\"message\":\"y\",\"error\":\"x\",\"code\":\"c\"}", "y", "c"},
	    {"{\"error\":{\"code\":\"c\",\"message\":\"m\"}}", "m", "c"},
	    {"{\"error\":null,\"message\":\"m\"}", "m", ""},
	    {"{\"error\":5,\"a\":\"b\"}", "", ""},
	    {"[\"error\",\"x\",{\"code\":\"c\"}]", "", "c"},
	    {"{\"x\":[\"error\"],\"message\":\"m\"}", "m", ""},
	    {"{\"error\":\"x\\", "x", ""},
	    {"{\"error\":\"x\\u00", "x?00", ""},
	    {"{\"error", "", ""},
	    {"{\"error\":", "", ""},
	    {"{", "", ""},
	    {"{\"error\":\"\\u0000a\"}", "?a", ""},
	};
	struct http_body b;
	size_t i;

	for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		http_body_read(&b, texts[i].in, strlen(texts[i].in), false);
		CHECK_INT(b.kind, HTTP_BODY_JSON);
		CHECK_STR(b.text, texts[i].text);
		CHECK_STR(b.code, texts[i].code);
	}
	http_body_read(&b, "<a><TITLE x=\"1\">t&amp;u</title>v", 33, false);
	CHECK_STR(b.text, " t&amp;u");
	http_body_read(&b, "<a", 2, true);
	CHECK_INT(b.kind, HTTP_BODY_PAGE);
	http_body_read(&b, "\0x", 2, true);
	CHECK_STR(b.text, "?x");
}

TEST_MAIN({"answers", test_answers}, {"one point", test_one_point}, {"bounds", test_bounds},
	  {"Retry-After", test_retry_after}, {"dates", test_dates}, {"show", test_show},
	  {"json", test_json})
