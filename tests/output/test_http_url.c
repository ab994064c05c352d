/* test_http_url.c - output/http_url.c: what is posted to, and what each wrong URL is told. */
#include "output/http_url.h"

#include <stdlib.h>

#include "tests/test.h"

static const struct {
	struct http_url_config c; /* url, db, rp, org, bucket */
	const char *text, *place;
	bool tls;
} good[] = {
    {{"http://h:8086", "db", NULL, NULL, NULL}, "http://h:8086/write?db=db", "h:8086", false},
    {{"http://h:8086/", "db", "rp", NULL, NULL},
     "http://h:8086/write?db=db&rp=rp",
     "h:8086",
     false},
    {{"http://h", NULL, NULL, NULL, NULL}, "http://h/write", "h:80", false},
    {{"HTTPS://H", "", "", "", ""}, "https://H/write", "H:443", true},
    {{"https://h/", NULL, NULL, "o", "b"},
     "https://h/api/v2/write?org=o&bucket=b&precision=ns",
     "h:443",
     true},
    {{"https://h", NULL, NULL, NULL, "b"},
     "https://h/api/v2/write?bucket=b&precision=ns",
     "h:443",
     true},
    /* with no path, only what the API knows */
    {{"https://h", "db", "rp", "o", "b"},
     "https://h/api/v2/write?org=o&bucket=b&precision=ns",
     "h:443",
     true},
    {{"http://h:9529/v1/write/network", NULL, NULL, NULL, NULL},
     "http://h:9529/v1/write/network",
     "h:9529",
     false},
    {{"http://h:9529/v1/write/network?token=tkn_1", NULL, NULL, NULL, NULL},
     "http://h:9529/v1/write/network?token=tkn_1",
     "h:9529",
     false},
    {{"http://h/write?u=x", "db", NULL, NULL, NULL}, "http://h/write?u=x&db=db", "h:80", false},
    {{"http://h?u=x", "db", NULL, NULL, NULL}, "http://h/write?u=x&db=db", "h:80", false},
    {{"http://h/?", "db", NULL, NULL, NULL}, "http://h/write?db=db", "h:80", false},
    /* what is there is not added again, but a key that only ends so is another */
    {{"http://h/write?db=mine", "db", "rp", NULL, NULL},
     "http://h/write?db=mine&rp=rp",
     "h:80",
     false},
    {{"http://h/write?rp&a=1&db=", "db", "rp", NULL, NULL},
     "http://h/write?rp&a=1&db=",
     "h:80",
     false},
    {{"http://h/write?xdb=mine&dbx=1", "db", NULL, NULL, NULL},
     "http://h/write?xdb=mine&dbx=1&db=db",
     "h:80",
     false},
    {{"http://h/?precision=us", NULL, NULL, "o", "b"},
     "http://h/api/v2/write?precision=us&org=o&bucket=b",
     "h:80",
     false},
    {{"http://h/p/api/v2/write", NULL, NULL, "o", "b"},
     "http://h/p/api/v2/write?org=o&bucket=b",
     "h:80",
     false},
    {{"http://h/api/v3/write_lp", "db", NULL, NULL, NULL},
     "http://h/api/v3/write_lp?db=db",
     "h:80",
     false},
    /* percent-encoding */
    {{"http://h", "a b&c=d/e?f#g%h+i", NULL, NULL, NULL},
     "http://h/write?db=a%20b%26c%3Dd%2Fe%3Ff%23g%25h%2Bi",
     "h:80",
     false},
    {{"http://h", "-._~AZaz09", NULL, NULL, NULL}, "http://h/write?db=-._~AZaz09", "h:80", false},
    {{"http://h", "\xc3\xa9\xff\x01", NULL, NULL, NULL},
     "http://h/write?db=%C3%A9%FF%01",
     "h:80",
     false},
    {{"http://h/a%20b/\xc3\xa9{x}?y=\"z\"", NULL, NULL, NULL, NULL},
     "http://h/a%20b/%C3%A9%7Bx%7D?y=%22z%22",
     "h:80",
     false},
    /* hosts */
    {{"http://10.0.0.1:1", NULL, NULL, NULL, NULL}, "http://10.0.0.1:1/write", "10.0.0.1:1", false},
    {{"http://a-b_c.example.:65535", NULL, NULL, NULL, NULL},
     "http://a-b_c.example.:65535/write",
     "a-b_c.example.:65535",
     false},
    {{"http://h:", NULL, NULL, NULL, NULL}, "http://h/write", "h:80", false},
    {{"http://[::1]:8086", NULL, NULL, NULL, NULL}, "http://[::1]:8086/write", "[::1]:8086", false},
    {{"https://[2001:db8::1]/w", NULL, NULL, NULL, NULL},
     "https://[2001:db8::1]/w",
     "[2001:db8::1]:443",
     true},
    {{"http://[fe80::1%25eth0]:8086/", NULL, NULL, NULL, NULL},
     "http://[fe80::1%25eth0]:8086/write",
     "[fe80::1%25eth0]:8086",
     false},
    {{"http://[::1]/a@b", NULL, NULL, NULL, NULL}, "http://[::1]/a@b", "[::1]:80", false},
    {{"http://h:8086/a@b", NULL, NULL, NULL, NULL}, "http://h:8086/a@b", "h:8086", false},
};

static void test_good(void)
{
	struct http_url u;
	char why[512];
	size_t i;

	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		int ret = http_url_make(&u, &good[i].c, why, sizeof(why));

		CHECK_MSG(!ret, "%s: %s", good[i].c.url, why);
		if (ret)
			continue;
		CHECK_STR(u.text, good[i].text);
		CHECK_STR(u.place, good[i].place);
		CHECK_INT(u.tls, good[i].tls);
		free(u.text);
	}
}

static const struct {
	const char *url, *part; /* of the sentence */
} bad[] = {
    {"", "is empty"},
    {"influx:8086", "did you mean http://influx:8086?"},
    {"influx.example", "did you mean http://influx.example?"},
    {"influx.example:8086/write", "did you mean http://influx.example:8086/write?"},
    {"influx:8086?p=sesam", "has no scheme"},
    {"joe:sesam@influx:8086", "has no scheme"},
    {"http:/h", "two slashes"},
    {"https:h", "two slashes"},
    {"htp://h", "'htp' is not known: want http:// or https://"},
    {"sesam://joe@h", "has no scheme"},
    {"udp://h:8089", "'udp' is not known"},
    {"http://", "has no host"},
    {"http:///write", "has no host"},
    {"http://:8086", "has no host"},
    {"http://?db=x", "has no host"},
    {"http://joe:sesam@h:8086", "set user and password"},
    {"http://joe@h/", "set user and password"},
    {"http://joe:sesam/1@h/", "set user and password"},
    {"http://joe:sesam?1@h/", "set user and password"},
    {"http://joe:sesam#1@h/", "has a '#'"},
    {"http://h /", "a space in it (character 9)"},
    {"http://h/\n", "a control character in it (character 10)"},
    {"http://h/\x7f", "a control character in it (character 10)"},
    {"http://h/a#b", "'#' in it (character 11)"},
    {"http://h:0", "port '0' is none"},
    {"http://h:65536", "port '65536' is none"},
    {"http://h:99999999999999999999999", "port '99999999999999999999' is none"},
    {"http://h:80a/", "port '80a' is none"},
    {"http://h:-1/", "port '-1' is none"},
    {"http://::1:8086", "wants brackets"},
    {"http://2001:db8::1/", "wants brackets"},
    {"http://[::1", "has no ']'"},
    {"http://[]", "no IPv6 address"},
    {"http://[::g]:1", "no IPv6 address"},
    {"http://[1:2:3:4:5:6:7:8:1:2:3:4:5:6:7:8:1:2:3:4:5:6:7:8:1:2:3:4]", "no IPv6 address"},
    {"http://[::1]8086", "between ']' and the port"},
    {"http://[::1]:x", "port 'x' is none"},
    {"http://a,b/", "has a ',' in it"},
    {"http://a\\b/", "has a '\\' in it"},
    {"http://b\xc3\xbc"
     "cher.example/",
     "xn--"},
};

static void test_bad(void)
{
	struct http_url_config c;
	struct http_url u;
	char why[512], tiny[4];
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		memset(&c, 0, sizeof(c));
		c.url = bad[i].url;
		CHECK_MSG(http_url_make(&u, &c, why, sizeof(why)) == FL_EUSAGE, "'%s' was taken",
			  bad[i].url);
		CHECK_MSG(strstr(why, bad[i].part), "'%s': %s", bad[i].url, why);
		CHECK_MSG(!strstr(why, "sesam"), "'%s': %s", bad[i].url, why);
		CHECK(!u.text);
		CHECK_INT(http_url_make(&u, &c, tiny, sizeof(tiny)), FL_EUSAGE);
	}
}

/* Every byte in every part: never a crash, and never a byte in the text that a request line may not
 * hold. */
static void test_bytes(void)
{
	char url[64], value[2], why[512];
	struct http_url_config c;
	struct http_url u;
	size_t wrong = 0;
	int b, where;
	const char *s;

	for (b = 1; b < 256; b++) {
		for (where = 0; where < 4; where++) {
			memset(&c, 0, sizeof(c));
			value[0] = (char)b;
			value[1] = 0;
			snprintf(url, sizeof(url), "http://h%s:8086%s%s%s%s", where ? "" : value,
				 where == 1 ? "/" : "", where == 1 ? value : "",
				 where == 2 ? "?a=" : "", where == 2 ? value : "");
			c.url = url;
			c.database = where == 3 ? value : NULL;
			if (http_url_make(&u, &c, why, sizeof(why)))
				continue;
			for (s = u.text; *s; s++)
				wrong += *s <= ' ' || (unsigned char)*s >= 0x7f;
			free(u.text);
		}
	}
	CHECK_INT(wrong, 0);
}

TEST_MAIN({"good", test_good}, {"bad", test_bad}, {"bytes", test_bytes})
