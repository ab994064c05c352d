/* test_url.c - URLs, addresses and proxies: what is taken, and what is hidden of them. */
#include "conf/url.h"

#include "tests/test.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

struct mistake_case {
	const char *text, *want; /* NULL: it is right */
};

static void check(const struct mistake_case *cases, size_t n, const char *(*mistake)(const char *))
{
	size_t i;

	for (i = 0; i < n; i++) {
		const char *got = mistake(cases[i].text);

		CHECK_MSG(!got == !cases[i].want && (!got || strstr(got, cases[i].want)),
			  "%s: got %s", cases[i].text, got ? got : "(right)");
	}
}

static void test_urls(void)
{
	static const struct mistake_case cases[] = {
	    {"http://h", NULL},
	    {"http://h/", NULL},
	    {"https://influx.example.org:8086/api/v2/write?org=a&bucket=b", NULL},
	    {"HTTP://h", NULL},
	    {"http://192.0.2.1:80", NULL},
	    {"http://[2001:db8::1]:8086/x", NULL},
	    {"http://[fe80::1%25eth0]", NULL},
	    {"http://h\xc3\xa4st", NULL},
	    {"http://h_1?x=y", NULL},
	    {"http://h/a@b?c=d@e", NULL},
	    {"", "is not a URL"},
	    {"h:8086", "is not a URL"},
	    {"ftp://h", "is not a URL"},
	    {"http//h", "is not a URL"},
	    {"http://", "names no host"},
	    {"http:///write", "names no host"},
	    {"http://:8086", "names no host"},
	    {"http://h:", "has a port"},
	    {"http://h:0", "has a port"},
	    {"http://h:65536", "has a port"},
	    {"http://h:000080", "has a port"},
	    {"http://h:80x", "has a port"},
	    {"http://2001:db8::1:8086", "wants brackets"},
	    {"http://[::1", "has a host"},
	    {"http://[]", "has a host"},
	    {"http://[x]", "has a host"},
	    {"http://[::1]x", "has a host"},
	    {"http://a\\b", "has a host"},
	    {"http://u:p@h", "user or password"},
	    {"http://u@h", "user or password"},
	    {"http://h/#x", "has a #"},
	    {"http://h/a b", "blank"},
	    {"http://h/\n", "blank"},
	    {"http://h/\x7f", "blank"},
	};

	check(cases, COUNT(cases), url_mistake);
}

static void test_addresses(void)
{
	static const struct mistake_case cases[] = {
	    {"h:1", NULL},
	    {"192.0.2.1:65535", NULL},
	    {"[::1]:8089", NULL},
	    {"[fe80::1%eth0]:8089", NULL},
	    {"h", "HOST:PORT"},
	    {"", "HOST:PORT"},
	    {":1", "HOST:PORT"},
	    {"h:", "port"},
	    {"h:x", "port"},
	    {"[::1]", "HOST:PORT"},
	    {"::1:8089", "brackets"},
	    {"fe80::1:8089", "brackets"},
	    {"h:1/x", "HOST:PORT"},
	    {"a@h:1", "HOST:PORT"},
	    {"h h:1", "has a host"},
	};

	check(cases, COUNT(cases), address_mistake);
}

static void test_proxies(void)
{
	static const struct mistake_case cases[] = {
	    {"p:3128", NULL},
	    {"p", NULL},
	    {"http://p:3128", NULL},
	    {"http://p:3128/", NULL},
	    {"socks5h://me:pw@[::1]:1080", NULL},
	    {"me:pw@p:1", NULL},
	    {"ftp://p", "unknown scheme"},
	    {"http://p/x", "has a path"},
	    {"http://p?x", "has a path"},
	    {"http://", "names no host"},
	    {"p:x", "port"},
	    {"p q", "blank"},
	};

	check(cases, COUNT(cases), proxy_mistake);
}

static void test_keys(void)
{
	struct url u;

	CHECK(url_split(&u, "http://h/w?x=1&db=y&rp"));
	CHECK(url_has_key(&u, "db") && url_has_key(&u, "x"));
	CHECK(!url_has_key(&u, "rp") && !url_has_key(&u, "d") && !url_has_key(&u, "b"));
	CHECK(url_split(&u, "http://h/db=1"));
	CHECK(!url_has_key(&u, "db"));
	CHECK(!url_split(&u, "h/?db=1"));
}

static void test_redaction(void)
{
	static const struct {
		const char *text, *want;
	} cases[] = {
	    {"http://h:8086/write?db=x&u=me&p=geheim", "http://h:8086/write?db=x&u=me&p=***"},
	    {"http://h/?token=a&x=b;api_key=c", "http://h/?token=***&x=b;api_key=***"},
	    {"http://h/?PASSWORD=a=b&", "http://h/?PASSWORD=***&"},
	    {"http://me:pw@h:1/x", "http://***@h:1/x"},
	    {"http://me:p@w@h/x", "http://***@h/x"},
	    {"http://me:p/w@h/x", "http://***@h/x"}, /* no port, so no right URL */
	    {"http://me:p?w@h/x", "http://***@h/x"},
	    {"me:pw@h:1", "***@h:1"},
	    {"me@example.org", "me@example.org"},
	    {"h/write?p=x", "h/write?p=***"},
	    {"http://h/a@b", "http://h/a@b"},
	    {"plain", "plain"},
	    {"", ""},
	    {"what?", "what?"},
	    {"?p", "?p"},
	    {"?p=&&=", "?p=***&&="},
	};
	char out[64];
	size_t i;

	for (i = 0; i < COUNT(cases); i++) {
		url_redact(cases[i].text, out, sizeof(out));
		CHECK_STR(out, cases[i].want);
	}
	url_redact("http://h/?token=abcdef", out, 19);
	CHECK_STR(out, "http://h/?token=**");
	url_redact("abc", out, 1);
	CHECK_STR(out, "");
}

TEST_MAIN({"URLs", test_urls}, {"addresses", test_addresses}, {"proxies", test_proxies},
	  {"keys", test_keys}, {"redaction", test_redaction})
