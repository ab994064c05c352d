/* url.c - see url.h. */
#include "conf/url.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/addr.h"

static struct url_part part(const char *from, const char *to)
{
	struct url_part p = {from, (size_t)(to - from)};

	return p;
}

/* "host", "host:port", "[v6]:port", up to end. */
static void split_host(struct url *u, const char *at, const char *end)
{
	const char *host_end = at;

	if (at < end && *at == '[')
		while (host_end < end && *host_end != ']')
			host_end++;
	while (host_end < end && *host_end != ':')
		host_end++;
	u->host = part(at, host_end);
	if (host_end < end)
		u->port = part(host_end + 1, end);
}

bool url_split(struct url *u, const char *text)
{
	const char *at = strstr(text, "://"), *end, *p;

	memset(u, 0, sizeof(*u));
	if (!at)
		return false;
	u->scheme = part(text, at);
	at += 3;
	end = at + strcspn(at, "/?#");
	for (p = at; p < end; p++)
		if (*p == '@')
			u->user = part(at, p);
	split_host(u, u->user.at ? u->user.at + u->user.len + 1 : at, end);
	p = end + strcspn(end, "?#");
	u->path = part(end, p);
	if (*p == '?') {
		u->query = part(p + 1, p + 1 + strcspn(p + 1, "#"));
		p = u->query.at + u->query.len;
	}
	if (*p == '#')
		u->rest = part(p + 1, p + strlen(p));
	return true;
}

bool url_has_key(const struct url *u, const char *key)
{
	size_t len = strlen(key);
	const char *p = u->query.at, *end = p ? p + u->query.len : NULL;

	while (p && p < end) {
		if ((size_t)(end - p) > len && !strncmp(p, key, len) && p[len] == '=')
			return true;
		p = memchr(p, '&', (size_t)(end - p));
		p = p ? p + 1 : NULL;
	}
	return false;
}

static bool host_valid(const struct url_part *host)
{
	char text[ADDR_TEXT_SIZE];
	struct ip_addr a;
	size_t len = host->len, i;

	if (len && host->at[0] == '[') {
		if (len < 4 || host->at[len - 1] != ']')
			return false;
		len = strcspn(host->at + 1, "%]"); /* behind % is an interface, RFC 6874 */
		if (len >= sizeof(text))
			return false;
		memcpy(text, host->at + 1, len);
		text[len] = '\0';
		return addr_parse(&a, text) == 0;
	}
	for (i = 0; i < len; i++) {
		unsigned char c = (unsigned char)host->at[i];

		if (c <= ' ' || c == 0x7f || (c < 0x80 && strchr("\"#%/:;<>?@[\\]^`{|}", c)))
			return false;
	}
	return len > 0 && len < 256;
}

static bool port_valid(const struct url_part *port)
{
	unsigned long v = 0;
	size_t i;

	for (i = 0; i < port->len; i++) {
		if (port->at[i] < '0' || port->at[i] > '9' || i > 4)
			return false;
		v = v * 10 + (unsigned long)(port->at[i] - '0');
	}
	return v > 0 && v < 65536;
}

static const char *host_mistake(const struct url *u)
{
	if (u->port.at && memchr(u->port.at, ':', u->port.len))
		return "has too many colons: an IPv6 address wants brackets, as in "
		       "[2001:db8::1]:8086";
	if (!u->host.len)
		return "names no host: want such as http://influx.example.org:8086";
	if (!host_valid(&u->host))
		return "has a host that is none: want a name, an IPv4 address or [an IPv6 address]";
	if (u->port.at && !port_valid(&u->port))
		return "has a port that is none: want 1 to 65535";
	return NULL;
}

static bool is(const struct url_part *p, const char *word)
{
	return p->len == strlen(word) && !strncasecmp(p->at, word, p->len);
}

const char *url_mistake(const char *text)
{
	const unsigned char *p = (const unsigned char *)text;
	struct url u;

	for (; *p; p++)
		if (*p <= ' ' || *p == 0x7f)
			return "has a blank or a control character in it: write %20 for a blank";
	if (!url_split(&u, text) || (!is(&u.scheme, "http") && !is(&u.scheme, "https")))
		return "is not a URL: want http://HOST:PORT or https://HOST:PORT";
	if (u.user.at)
		return "has a user or password in it, which would be seen in many places: use "
		       "user and password (or password_file) of {http: {...}}";
	if (u.rest.at)
		return "has a # in it, behind which nothing is sent: leave that out, or write %23";
	return host_mistake(&u);
}

const char *address_mistake(const char *text)
{
	struct url u;
	const char *wrong;

	memset(&u, 0, sizeof(u));
	split_host(&u, text, text + strlen(text));
	if (strstr(text, "://") || strpbrk(text, "/@?"))
		return "is not an address: want HOST:PORT, such as telegraf.example.org:8094";
	wrong = host_mistake(&u);
	if (!u.port.at || (!u.host.len && !memchr(u.port.at, ':', u.port.len)))
		return "is not an address: want HOST:PORT, such as telegraf.example.org:8094";
	return wrong;
}

/* What libcurl 7.29 knows, CURLOPT_PROXY(3), and https, which is newer. */
const char *proxy_mistake(const char *text)
{
	static const char *const schemes[] = {"http",    "https",  "socks4",
					      "socks4a", "socks5", "socks5h"};
	const char *at, *wrong = NULL;
	struct url u;
	size_t i;

	if (strpbrk(text, " \t\r\n"))
		return "has a blank in it";
	if (!url_split(&u, text)) {
		at = strrchr(text, '@');
		split_host(&u, at ? at + 1 : text, text + strlen(text));
	} else {
		for (i = 0; i < 6 && !is(&u.scheme, schemes[i]); i++)
			;
		if (i == 6)
			wrong = "has an unknown scheme: want http, https, socks4, socks4a, socks5 "
				"or socks5h";
		else if (u.path.len > 1 || u.query.at || u.rest.at)
			wrong = "has a path: a proxy is [http://]HOST:PORT";
	}
	return wrong ? wrong : host_mistake(&u);
}

/* A query's keys whose values are nobody's business. */
static bool key_is_secret(const char *key, size_t len)
{
	static const char *const words[] = {"pass", "pwd", "token", "secret", "key", "auth", "sig"};
	size_t i, j;

	if (len == 1 && (*key == 'p' || *key == 'P')) /* InfluxDB 1 */
		return true;
	for (i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		for (j = 0; j + strlen(words[i]) <= len; j++)
			if (!strncasecmp(key + j, words[i], strlen(words[i])))
				return true;
	return false;
}

struct text_out {
	char *at, *end;
};

static void put(struct text_out *o, const char *text, size_t len)
{
	size_t room = (size_t)(o->end - o->at);

	len = len < room ? len : room;
	memcpy(o->at, text, len);
	o->at += len;
}

static void put_query(struct text_out *o, const char *query)
{
	while (*query) {
		size_t len = strcspn(query, "&;#"), key = strcspn(query, "=&;#");

		if (query[key] == '=' && key_is_secret(query, key)) {
			put(o, query, key + 1);
			put(o, "***", 3);
		} else {
			put(o, query, len);
		}
		query += len;
		put(o, query, *query != '\0');
		query += *query != '\0';
	}
}

/* Where what hides in front of the host ends; NULL: nothing hides. Of what is no right URL, all up
 * to the last @ may be a password. */
static const char *secret_end(const char *text, const char *begin)
{
	const char *at = strrchr(begin, '@');

	if (!at || (begin != text && !url_mistake(text)))
		return NULL;
	if (begin == text && !memchr(text, ':', (size_t)(at - text)))
		return NULL; /* me@example.org */
	return at;
}

void url_redact(const char *text, char *out, size_t size)
{
	struct text_out o = {out, out + size - 1};
	const char *begin = strstr(text, "://"), *at, *query;

	begin = begin ? begin + 3 : text;
	at = secret_end(text, begin);
	put(&o, text, (size_t)(begin - text));
	if (at) {
		put(&o, "***", 3);
		begin = at;
	}
	query = strchr(begin, '?');
	put(&o, begin, query ? (size_t)(query - begin) + 1 : strlen(begin));
	if (query)
		put_query(&o, query + 1);
	*o.at = '\0';
}
