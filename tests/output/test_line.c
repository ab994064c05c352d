/* test_line.c - output/line.c: whole lines, what is absent, custom tags, both places of key fields,
 * and random points read back by an own reader (line_decode.h).
 */
#include "output/line.h"

#include <errno.h>
#include <stdlib.h>

#include "output/escape.h"
#include "tests/output/line_decode.h"
#include "tests/test.h"

#define FLOW_TAGS_UNTIL_PORT                                                                       \
	"direction=outgoing,dst_ip=93.184.216.34,dst_ip_type=public,dst_port=443"
#define FLOW_TAGS FLOW_TAGS_UNTIL_PORT ",family=IPv4,"
#define SRC_TAGS  "src_ip=10.0.0.7,src_ip_type=private,src_port=*"
#define TIME      " 1700000000000000000\n"

static const char *class_of(const struct ip_addr *a)
{
	if (!addr_is_v4(a))
		return a->b[0] == 0xfd ? "private" : "other";
	return a->b[12] == 10 ? "private" : a->b[12] == 0 ? "" : "public";
}

static struct text text_of(const char *s)
{
	struct text t = {s, (uint32_t)strlen(s)};

	return t;
}

static struct point base_point(enum point_kind kind)
{
	static const uint8_t src[4] = {10, 0, 0, 7}, dst[4] = {93, 184, 216, 34};
	struct point p;

	memset(&p, 0, sizeof(p));
	p.kind = kind;
	p.time_ns = 1700000000000000000ULL;
	p.transport = 6;
	addr_from_v4(&p.src.addr, src);
	addr_from_v4(&p.dst.addr, dst);
	p.src.port_folded = true;
	p.dst.port = 443;
	return p;
}

static struct line_encoder *encoder(const struct line_tag *tags, size_t ntags, bool key_tags)
{
	struct line_config c = {.host = "h1",
				.tags = tags,
				.ntags = ntags,
				.address_class = class_of,
				.key_fields_as_tags = key_tags};
	struct line_encoder *e = line_encoder_new(&c);

	if (!e)
		abort();
	return e;
}

/* Encode into a buffer of exactly line_encoder_max() bytes, which a sanitizer guards. */
static void check_line(struct line_encoder *e, const struct point *p, const char *want)
{
	char *out = malloc(line_encoder_max(e) + 1);
	size_t len = line_encode(e, p, out);

	CHECK(len <= line_encoder_max(e));
	out[len] = 0;
	CHECK_STR(out, want);
	free(out);
}

static void check_line_once(const struct line_tag *tags, size_t ntags, bool key_tags,
			    const struct point *p, const char *want)
{
	struct line_encoder *e = encoder(tags, ntags, key_tags);

	check_line(e, p, want);
	line_encoder_free(e);
}

static void test_netflow(void)
{
	struct line_encoder *e = encoder(NULL, 0, false);
	struct point p = base_point(POINT_NETFLOW);
	struct point_netflow counts = {.bytes_read = 123456789012ULL,
				       .bytes_written = 1,
				       .packets_read = 99,
				       .packets_written = 100,
				       .retransmits = 3,
				       .retransmits_peer = 4,
				       .rtt_us = 12345,
				       .rtt_var_us = 7,
				       .tcp_established = 5,
				       .tcp_closed = 6,
				       .connect_latency_us = 888,
				       .tcp_syn_retransmits = 8,
				       .tcp_connect_failed = 9,
				       .tcp_resets = 10};

	p.u.netflow = counts;
	check_line(e, &p,
		   "netflow," FLOW_TAGS "host=h1,source=netflow," SRC_TAGS
		   ",sub_source=N/A,transport=tcp bytes_read=123456789012i,bytes_written=1i,"
		   "packets_read=99i,packets_written=100i" TIME);
	p.has =
	    POINT_HAS_TCP | POINT_HAS_RTT | POINT_HAS_CONNECT_LATENCY | POINT_HAS_RETRANSMITS_PEER;
	check_line(e, &p,
		   "netflow," FLOW_TAGS "host=h1,source=netflow," SRC_TAGS
		   ",sub_source=N/A,transport=tcp bytes_read=123456789012i,bytes_written=1i,"
		   "packets_read=99i,packets_written=100i,retransmits=3i,retransmits_peer=4i,"
		   "tcp_established=5i,tcp_closed=6i,tcp_syn_retransmits=8i,"
		   "tcp_connect_failed=9i,tcp_resets=10i,rtt=12345i,rtt_var=7i,"
		   "connect_latency=888i" TIME);
	memset(&p.u.netflow, 0, sizeof(p.u.netflow));
	p.has = 0;
	p.incoming = true;
	p.transport = 17;
	p.src.port_folded = false;
	p.src.port = 53;
	p.dst.port_folded = true;
	p.u.netflow.bytes_read = UINT64_MAX;
	p.time_ns = UINT64_MAX;
	check_line(e, &p,
		   "netflow,direction=incoming,dst_ip=93.184.216.34,dst_ip_type=public,"
		   "dst_port=*,family=IPv4,host=h1,source=netflow,src_ip=10.0.0.7,"
		   "src_ip_type=private,src_port=53,sub_source=N/A,transport=udp "
		   "bytes_read=9223372036854775807i,bytes_written=0i,packets_read=0i,"
		   "packets_written=0i 9223372036854775807\n");
	line_encoder_free(e);
}

/* So many attempts of one errno, and nothing else. */
static void test_connect_error(void)
{
	struct line_encoder *e = encoder(NULL, 0, false), *tags = encoder(NULL, 0, true);
	struct point p = base_point(POINT_NETFLOW);

	p.has = POINT_HAS_TCP | POINT_HAS_CONNECT_ERROR;
	p.u.netflow.tcp_connect_failed = 2;
	p.u.netflow.connect_error = ECONNREFUSED;
	check_line(e, &p,
		   "netflow," FLOW_TAGS "host=h1,source=netflow," SRC_TAGS
		   ",sub_source=N/A,transport=tcp "
		   "tcp_connect_failed=2i,connect_error=\"ECONNREFUSED\"" TIME);
	check_line(tags, &p,
		   "netflow,connect_error=ECONNREFUSED," FLOW_TAGS
		   "host=h1,source=netflow," SRC_TAGS
		   ",sub_source=N/A,transport=tcp tcp_connect_failed=2i" TIME);
	p.absent = POINT_TAG_BIT(POINT_TAG_CONNECT_ERROR);
	check_line(e, &p,
		   "netflow," FLOW_TAGS "host=h1,source=netflow," SRC_TAGS
		   ",sub_source=N/A,transport=tcp tcp_connect_failed=2i" TIME);
	p.absent = 0;
	p.u.netflow.connect_error = 4000; /* no errno of today's */
	check_line(e, &p,
		   "netflow," FLOW_TAGS "host=h1,source=netflow," SRC_TAGS
		   ",sub_source=N/A,transport=tcp "
		   "tcp_connect_failed=2i,connect_error=\"E4000\"" TIME);
	/* retransmits_peer is absent where the other end was not seen */
	p.has = POINT_HAS_TCP;
	check_line(tags, &p,
		   "netflow," FLOW_TAGS "host=h1,source=netflow," SRC_TAGS
		   ",sub_source=N/A,transport=tcp bytes_read=0i,bytes_written=0i,packets_read=0i,"
		   "packets_written=0i,retransmits=0i,tcp_established=0i,tcp_closed=0i,"
		   "tcp_syn_retransmits=0i,tcp_connect_failed=2i,tcp_resets=0i" TIME);
	line_encoder_free(e);
	line_encoder_free(tags);
}

static void test_addresses(void)
{
	static const char *const addrs[] = {"0.0.0.0",
					    "255.255.255.255",
					    "1.10.100.200",
					    "::",
					    "::1",
					    "2001:db8::1:0:0:1",
					    "fd00:1:2:3:4:5:6:7",
					    "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"};
	struct line_encoder *e = encoder(NULL, 0, false);
	static struct decoded_line d;
	char *out = malloc(line_encoder_max(e));
	size_t i, k, n = sizeof(addrs) / sizeof(addrs[0]);

	for (i = 0; i < n; i++) {
		for (k = 0; k < n; k++) {
			struct point p = base_point(POINT_NETFLOW);
			bool v4 = i < 3 && k < 3;

			if (addr_parse(&p.src.addr, addrs[i]) || addr_parse(&p.dst.addr, addrs[k]))
				abort();
			CHECK(decode_line(&d, out, line_encode(e, &p, out)));
			CHECK(decoded_is(&d, true, "src_ip", addrs[i], strlen(addrs[i])));
			CHECK(decoded_is(&d, true, "dst_ip", addrs[k], strlen(addrs[k])));
			CHECK(decoded_is(&d, true, "family", v4 ? "IPv4" : "IPv6", 4));
			/* the class function says nothing about 0.0.0.0: no tag */
			CHECK(!decoded_find(&d, true, "src_ip_type") == (i == 0));
			CHECK(!decoded_find(&d, true, "dst_ip_type") == (k == 0));
		}
	}
	free(out);
	line_encoder_free(e);
}

static void test_dnsflow(void)
{
	struct point p = base_point(POINT_DNSFLOW);

	p.transport = 17;
	p.u.dnsflow.count = 2;
	p.u.dnsflow.rcode = -1;
	p.u.dnsflow.retries = 3;
	p.u.dnsflow.query_type = 28;
	p.has = POINT_HAS_QUERY_TYPE;
	check_line_once(NULL, 0, false, &p,
			"dnsflow," FLOW_TAGS "host=h1,source=dnsflow," SRC_TAGS
			",sub_source=N/A,transport=udp count=2i,rcode=-1i,query_type=\"AAAA\","
			"retries=3i" TIME);
	check_line_once(NULL, 0, true, &p,
			"dnsflow," FLOW_TAGS
			"host=h1,query_type=AAAA,rcode=-1,source=dnsflow," SRC_TAGS
			",sub_source=N/A,transport=udp count=2i,retries=3i" TIME);
	p.has = POINT_HAS_LATENCY | POINT_HAS_DOMAIN | POINT_HAS_QUERY_TYPE;
	p.u.dnsflow.latency_ns = 1500;
	p.u.dnsflow.latency_max_ns = 2000;
	p.u.dnsflow.rcode = 3;
	p.u.dnsflow.domain = text_of("a\\.b\\032c\\\\.example");
	check_line_once(
	    NULL, 0, false, &p,
	    "dnsflow," FLOW_TAGS "host=h1,source=dnsflow," SRC_TAGS
	    ",sub_source=N/A,transport=udp count=2i,latency=1500i,latency_max=2000i,rcode=3i,"
	    "domain=\"a\\\\.b\\\\032c\\\\\\\\.example\",query_type=\"AAAA\",retries=3i" TIME);
	p.u.dnsflow.query_type = 65280;
	p.u.dnsflow.domain = text_of("x.example");
	check_line_once(NULL, 0, true, &p,
			"dnsflow,direction=outgoing,domain=x.example,dst_ip=93.184.216.34,"
			"dst_ip_type=public,dst_port=443,family=IPv4,host=h1,query_type=TYPE65280,"
			"rcode=3,source=dnsflow," SRC_TAGS ",sub_source=N/A,transport=udp "
			"count=2i,latency=1500i,latency_max=2000i,retries=3i" TIME);
}

static void test_httpflow(void)
{
	struct point p = base_point(POINT_HTTPFLOW);

	p.incoming = true;
	p.has = POINT_HAS_LATENCY;
	p.u.httpflow.count = 1;
	p.u.httpflow.latency_ns = 1;
	p.u.httpflow.latency_max_ns = 2;
	p.u.httpflow.method = text_of("GET");
	p.u.httpflow.path = text_of("/a b,c=\"\\\xff");
	p.u.httpflow.status_code = 404;
	p.u.httpflow.version = 1;
	check_line_once(NULL, 0, false, &p,
			"httpflow,direction=incoming,dst_ip=93.184.216.34,dst_ip_type=public,"
			"dst_port=443,family=IPv4,host=h1,source=httpflow," SRC_TAGS
			",sub_source=N/A,transport=tcp count=1i,latency=1i,latency_max=2i,"
			"method=\"GET\",path=\"/a b,c=\\\"\\\\\\\\xff\",status_code=404i,"
			"http_version=\"1.1\"" TIME);
	p.has = 0;
	p.incoming = false;
	p.u.httpflow.truncated = true;
	p.u.httpflow.status_code = 0;
	p.u.httpflow.version = 0;
	check_line_once(NULL, 0, true, &p,
			"httpflow," FLOW_TAGS "host=h1,http_version=1.0,method=GET,"
			"path=/a\\ b\\,c\\=\"\\x5c\\xff,source=httpflow," SRC_TAGS
			",status_code=0,sub_source=N/A,transport=tcp count=1i,truncated=true" TIME);
}

static void test_self(void)
{
	static const struct self_field fields[] = {{"packets_seen", 12}, {"rss_bytes", UINT64_MAX}};
	struct point p;

	memset(&p, 0, sizeof(p));
	p.kind = POINT_SELF;
	p.time_ns = 5;
	p.u.self.worker = "0";
	p.u.self.source = "ring";
	check_line_once(NULL, 0, false, &p, ""); /* no field, no line */
	p.u.self.fields = fields;
	p.u.self.nfields = 2;
	check_line_once(NULL, 0, true, &p,
			"flowline,host=h1,source=ring,worker=0 packets_seen=12i,"
			"rss_bytes=9223372036854775807i 5\n");
	p.u.self.worker = NULL;
	p.u.self.source = "";
	check_line_once(NULL, 0, false, &p,
			"flowline,host=h1 packets_seen=12i,rss_bytes=9223372036854775807i 5\n");
}

static void test_custom_tags(void)
{
	static const struct line_tag tags[] = {
	    {"zone", "eu west"}, {"Env", "prod"}, {"empty", ""},      {"", "nokey"},
	    {"e v,k=", "\\"},    {"host", "h2"},  {"sub_source", ""}, {"zone", "us=1"},
	};
	static const struct line_tag key = {"path", "fixed"};
	struct point p = base_point(POINT_NETFLOW);

	/* 'E' sorts before 'd'; the later "zone" counts; an empty value leaves the tag out */
	check_line_once(tags, sizeof(tags) / sizeof(tags[0]), false, &p,
			"netflow,Env=prod," FLOW_TAGS_UNTIL_PORT ",e\\ v\\,k\\==\\x5c,family=IPv4,"
			"host=h2,source=netflow," SRC_TAGS
			",transport=tcp,zone=us\\=1 bytes_read=0i,"
			"bytes_written=0i,packets_read=0i,packets_written=0i" TIME);
	p = base_point(POINT_HTTPFLOW);
	p.u.httpflow.method = text_of("GET");
	p.u.httpflow.path = text_of("/real");
	check_line_once(&key, 1, true, &p,
			"httpflow," FLOW_TAGS "host=h1,http_version=1.0,method=GET,path=fixed,"
			"source=httpflow," SRC_TAGS ",status_code=0,sub_source=N/A,transport=tcp "
			"count=0i" TIME);
}

static void test_limits(void)
{
	size_t len = LINE_MAX_BYTES;
	char *big = malloc(len + 1);
	struct line_tag tag = {"k", big};
	struct line_config c = {.host = "h", .tags = &tag, .ntags = 1};
	struct line_encoder *e;
	struct point p = base_point(POINT_NETFLOW);

	memset(big, 'x', len);
	big[len] = 0;
	errno = 0;
	CHECK(!line_encoder_new(&c));
	CHECK_INT(errno, EMSGSIZE);
	big[8192] = 0;
	e = line_encoder_new(&c);
	CHECK(e != NULL);
	if (e) {
		char *out = malloc(line_encoder_max(e));

		CHECK(line_encoder_max(e) <= LINE_MAX_BYTES);
		CHECK(line_encode(e, &p, out) > 8192);
		free(out);
	}
	line_encoder_free(e);
	line_encoder_free(NULL);
	free(big);
}

/* Texts beyond what flows/ may give are cut between characters, and the worst of them still fit. */
static void test_long_texts(void)
{
	static struct self_field fields[1000];
	static struct decoded_line d;
	char *s = malloc(5000), *out;
	struct point p = base_point(POINT_HTTPFLOW);
	const struct decoded_item *it;
	struct geo_info g = {.has_coordinates = false};
	int key_tags, fill;

	for (key_tags = 0; key_tags < 2; key_tags++) {
		struct line_encoder *e = encoder(NULL, 0, key_tags);

		out = malloc(line_encoder_max(e));
		for (fill = 0; fill < 3; fill++) {
			memset(s, fill == 0 ? '\n' : fill == 1 ? '\\' : 0xa9, 5000);
			p.u.httpflow.path.s = p.u.httpflow.method.s = s;
			p.u.httpflow.path.len = p.u.httpflow.method.len = 4999;
			g.country = g.province = g.city = g.isp = g.asn = p.u.httpflow.path;
			p.src_geo = p.dst_geo = &g;
			CHECK(decode_line(&d, out, line_encode(e, &p, out)));
		}
		for (fill = 0; fill < 4998; fill += 3)
			memcpy(s + fill, "\xe2\x82\xac", 3);
		CHECK(decode_line(&d, out, line_encode(e, &p, out)));
		it = decoded_find(&d, key_tags, "path");
		CHECK(it && it->len == LINE_TEXT_MAX / 3 * 3 && !memcmp(it->value, s, it->len));
		free(out);
		line_encoder_free(e);
	}
	for (fill = 0; fill < 1000; fill++)
		fields[fill].name = fill % 2 ? "packets_seen_and_much_more_than_that" : "\n";
	memset(&p, 0, sizeof(p));
	p.kind = POINT_SELF;
	memset(s, '\n', 4999);
	s[4999] = 0;
	p.u.self.worker = p.u.self.source = s;
	p.u.self.fields = fields;
	p.u.self.nfields = 1000;
	{
		struct line_encoder *e = encoder(NULL, 0, false);

		out = malloc(line_encoder_max(e));
		CHECK(line_encode(e, &p, out) > 10000);
		free(out);
		line_encoder_free(e);
	}
	free(s);
}

static struct geo_info place(const char *country, const char *city, double lat, double lon)
{
	struct geo_info g = {.country = text_of(country),
			     .city = text_of(city),
			     .isp = text_of("A, B=C"),
			     .asn = text_of("64500"),
			     .has_coordinates = true,
			     .lat = lat,
			     .lon = lon};

	return g;
}

/* What enrichment adds: in its place in the order, escaped, absent where it is not known. */
static void test_enriched(void)
{
	struct geo_info src = place("DE", "", 0, 0),
			dst = place("AT", "Linz \\", 48.30639, -14.28611);
	struct line_encoder *e = encoder(NULL, 0, false);
	struct point p = base_point(POINT_NETFLOW);

	dst.province = text_of("Upper\nAustria");
	p.pid = 4711;
	p.process_name = text_of("my app\xff");
	p.container_id = text_of("3f9ac2d1");
	p.dst_domain = text_of("www.example.com");
	p.src_geo = &src;
	p.dst_geo = &dst;
	check_line(e, &p,
		   "netflow,container_id=3f9ac2d1,direction=outgoing,dst_asn=64500,dst_city=Linz\\ "
		   "\\x5c,dst_country=AT,dst_domain=www.example.com,dst_ip=93.184.216.34,"
		   "dst_ip_type=public,dst_isp=A\\,\\ B\\=C,dst_port=443,"
		   "dst_province=Upper\\x0aAustria,family=IPv4,host=h1,pid=4711,"
		   "process_name=my\\ app\\xff,source=netflow,src_asn=64500,src_country=DE,"
		   "src_ip=10.0.0.7,src_ip_type=private,src_isp=A\\,\\ B\\=C,src_port=*,"
		   "sub_source=N/A,transport=tcp bytes_read=0i,bytes_written=0i,packets_read=0i,"
		   "packets_written=0i,dst_lat=48.30639,dst_lon=-14.28611" TIME);
	/* of a DNS point only the places */
	p.kind = POINT_DNSFLOW;
	p.src_geo = NULL;
	dst = place("AT", "", 1, 2);
	dst.isp.len = dst.asn.len = 0;
	memset(&p.u, 0, sizeof(p.u));
	check_line(e, &p,
		   "dnsflow,direction=outgoing,dst_country=AT,dst_ip=93.184.216.34,"
		   "dst_ip_type=public,dst_port=443,family=IPv4,host=h1,source=dnsflow," SRC_TAGS
		   ",sub_source=N/A,transport=tcp count=0i,rcode=0i,retries=0i" TIME);
	line_encoder_free(e);
}

/* What was written before, once for all points of a place, is what would be written now. */
static void test_written(void)
{
	static const char *const cities[] = {
	    "",        "Linz",          "New York",
	    "a,b=c\\", "\xc3\xa9t\xe9", "a city whose name is longer than one step"};
	struct geo_info plain, fast;
	struct geo_written w;
	struct line_encoder *e = encoder(NULL, 0, false);
	struct point p = base_point(POINT_NETFLOW);
	char *a = malloc(line_encoder_max(e)), *b = malloc(line_encoder_max(e));
	size_t i, k, n;
	int at;

	for (i = 0; i < sizeof(cities) / sizeof(cities[0]); i++) {
		plain = place(i & 1 ? "DE" : "", cities[i], 1, 2);
		const struct text *texts[GEO_TEXTS] = {&plain.country, &plain.province, &plain.city,
						       &plain.isp, &plain.asn};

		for (at = 0, k = 0; k < GEO_TEXTS; k++) {
			w.at[k] = (uint8_t)at;
			w.len[k] = (uint8_t)(escape_put(w.bytes + at, ESCAPE_TAG, texts[k]->s,
							texts[k]->len) -
					     (w.bytes + at));
			at += w.len[k];
		}
		CHECK(at <= GEO_WRITTEN_BYTES); /* as geoip/places.c has it */
		fast = plain;
		fast.written = &w;
		for (k = 1; k < 4; k++) {
			p.src_geo = k & 1 ? &plain : NULL;
			p.dst_geo = k & 2 ? &plain : NULL;
			n = line_encode(e, &p, a);
			p.src_geo = k & 1 ? &fast : NULL;
			p.dst_geo = k & 2 ? &fast : NULL;
			CHECK_INT(line_encode(e, &p, b), n);
			CHECK(!memcmp(a, b, n));
		}
	}
	free(a);
	free(b);
	line_encoder_free(e);
}

static void test_coordinates(void)
{
	static const struct {
		double lat, lon;
		const char *want;
	} rows[] = {
	    {0, 0, ",dst_lat=0.0,dst_lon=0.0 "},
	    {-0.0000001, -0.5, ",dst_lat=0.0,dst_lon=-0.5 "},
	    {90, -180, ",dst_lat=90.0,dst_lon=-180.0 "},
	    {89.9999999, 0.000001, ",dst_lat=90.0,dst_lon=0.000001 "},
	    {90.1, 181, ",packets_written=0i "},
	    {0.0 / 0.0, 1, ",packets_written=0i,dst_lon=1.0 "},
	};
	struct line_encoder *e = encoder(NULL, 0, false);
	char *out = malloc(line_encoder_max(e) + 1);
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct geo_info g = place("", "", rows[i].lat, rows[i].lon);
		struct point p = base_point(POINT_NETFLOW);

		p.dst_geo = &g;
		out[line_encode(e, &p, out)] = 0;
		CHECK_MSG(strstr(out, rows[i].want), "%s: %s", rows[i].want, out);
	}
	free(out);
	line_encoder_free(e);
}

/* What is left out by the point, by the configuration, and what is folded. */
static void test_left_out(void)
{
	static const char *const exclude[] = {"host", "zone", "dst_ip", "transport", "path"};
	static const struct line_tag tags[] = {{"zone", "eu"}, {"env", "prod"}};
	struct line_config c = {.host = "h1",
				.tags = tags,
				.ntags = 2,
				.address_class = class_of,
				.exclude = exclude,
				.nexclude = 5,
				.key_fields_as_tags = true};
	struct line_encoder *e = line_encoder_new(&c);
	struct point p = base_point(POINT_HTTPFLOW);

	if (!e)
		abort();
	p.u.httpflow.method = text_of("GET");
	p.u.httpflow.path = text_of("/a");
	p.absent = POINT_TAG_BIT(POINT_TAG_SRC_IP) | POINT_TAG_BIT(POINT_TAG_HTTP_VERSION);
	p.dst.port_other = true;
	check_line(e, &p,
		   "httpflow,direction=outgoing,dst_ip_type=public,dst_port=~other,env=prod,"
		   "family=IPv4,method=GET,source=httpflow,src_ip_type=private,src_port=*,"
		   "status_code=0,sub_source=N/A count=0i" TIME);
	line_encoder_free(e);
	e = encoder(NULL, 0, false);
	p.absent = (1U << POINT_TAGS) - 1;
	check_line(e, &p, "httpflow,host=h1,source=httpflow,sub_source=N/A count=0i" TIME);
	p.kind = POINT_DNSFLOW;
	memset(&p.u, 0, sizeof(p.u));
	p.has = POINT_HAS_DOMAIN | POINT_HAS_QUERY_TYPE;
	p.absent = (1U << POINT_TAGS) - 1 - POINT_TAG_BIT(POINT_TAG_DST_IP) -
		   POINT_TAG_BIT(POINT_TAG_DST_IP_TYPE);
	p.dst.addr_other = true; /* its class may still be told */
	check_line(e, &p,
		   "dnsflow,dst_ip=~other,dst_ip_type=public,host=h1,source=dnsflow,sub_source=N/A "
		   "count=0i,retries=0i" TIME);
	line_encoder_free(e);
}

static uint32_t random_state = 1;

static uint32_t random_u32(void)
{
	random_state = random_state * 1664525 + 1013904223;
	return random_state >> 8;
}

static void random_bytes(char *s, size_t n)
{
	static const char odd[] = "\\,= \"\n\xff\xc3\xa9x5c";

	while (n--)
		*s++ = random_u32() & 1 ? odd[random_u32() % (sizeof(odd) - 1)]
					: (char)(random_u32() >> 4);
}

static void test_random_points(void)
{
	static struct decoded_line d;
	int i, key_tags = 0;
	char text[64], number[24];

	for (key_tags = 0; key_tags < 2; key_tags++) {
		struct line_encoder *e = encoder(NULL, 0, key_tags);
		char *out = malloc(line_encoder_max(e));

		for (i = 0; i < 20000; i++) {
			struct point p = base_point(i % 2 ? POINT_DNSFLOW : POINT_HTTPFLOW);
			const char *key = i % 2 ? "domain" : "path";
			size_t len = 1 + random_u32() % sizeof(text);
			bool ok;

			random_bytes(text, len);
			p.time_ns = (uint64_t)random_u32() << 32 | (i & 7);
			p.has = POINT_HAS_DOMAIN;
			if (i % 2) {
				p.u.dnsflow.domain.s = text;
				p.u.dnsflow.domain.len = (uint32_t)len;
			} else {
				p.u.httpflow.method = text_of("PUT");
				p.u.httpflow.path.s = text;
				p.u.httpflow.path.len = (uint32_t)len;
			}
			snprintf(number, sizeof(number), "%" PRIu64, p.time_ns);
			ok = decode_line(&d, out, line_encode(e, &p, out));
			if (!ok || !decoded_is(&d, key_tags, key, text, len) ||
			    strcmp(d.time, number))
				CHECK_MSG(false, "%d: %s", i, d.error ? d.error : "differs");
		}
		CHECK_INT(i, 20000);
		free(out);
		line_encoder_free(e);
	}
}

TEST_MAIN({"netflow", test_netflow}, {"connect error", test_connect_error},
	  {"addresses", test_addresses}, {"dnsflow", test_dnsflow}, {"httpflow", test_httpflow},
	  {"self", test_self}, {"custom tags", test_custom_tags}, {"enriched", test_enriched},
	  {"written", test_written}, {"coordinates", test_coordinates}, {"left out", test_left_out},
	  {"limits", test_limits}, {"long texts", test_long_texts},
	  {"random points", test_random_points})
