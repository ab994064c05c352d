/* test_dns.c - the DNS reader against messages put together here, byte by byte. */
#include "flows/dns.h"

#include <stdlib.h>

#include "tests/test.h"

enum { QUERY = 0x0100, RESPONSE = 0x8180, TC = 0x0200 };
enum {
	A = 1,
	NS = 2,
	CNAME = 5,
	TXT = 16,
	AAAA = 28,
	OPT = 41,
	IXFR = 251,
	ANY = 255,
	IN = 1,
	CH = 3
};

struct msg {
	size_t n;
	uint8_t b[8192];
};

static void put(struct msg *m, const void *data, size_t n)
{
	memcpy(m->b + m->n, data, n);
	m->n += n;
}

static void put16(struct msg *m, unsigned int v)
{
	uint8_t b[2] = {(uint8_t)(v >> 8), (uint8_t)v};

	put(m, b, 2);
}

static void put32(struct msg *m, uint32_t v)
{
	put16(m, v >> 16);
	put16(m, v & 0xffff);
}

/* "a.b" as labels; a final "@12" is a pointer to byte 12, else the root ends it. */
static void put_name(struct msg *m, const char *name)
{
	while (*name && *name != '@') {
		size_t n = strcspn(name, ".@");
		uint8_t len = (uint8_t)n;

		put(m, &len, 1);
		put(m, name, n);
		name += n;
		if (*name == '.')
			name++;
	}
	if (*name == '@')
		put16(m, 0xc000 | (unsigned int)strtoul(name + 1, NULL, 10));
	else
		put(m, "", 1);
}

static void start(struct msg *m, unsigned int flags, int qd, int an, int ns, int ar)
{
	m->n = 0;
	put16(m, 0xbeef);
	put16(m, flags);
	put16(m, (unsigned int)qd);
	put16(m, (unsigned int)an);
	put16(m, (unsigned int)ns);
	put16(m, (unsigned int)ar);
}

static void put_question(struct msg *m, const char *name, unsigned int type, unsigned int class)
{
	put_name(m, name);
	put16(m, type);
	put16(m, class);
}

static void put_record(struct msg *m, const char *owner, unsigned int type, unsigned int class,
		       uint32_t ttl, const void *data, size_t n)
{
	put_name(m, owner);
	put16(m, type);
	put16(m, class);
	put32(m, ttl);
	put16(m, (unsigned int)n);
	put(m, data, n);
}

static void put_a(struct msg *m, const char *owner, uint32_t ttl, unsigned int last)
{
	uint8_t v4[4] = {192, 0, 2, (uint8_t)last};

	put_record(m, owner, A, IN, ttl, v4, 4);
}

static void put_cname(struct msg *m, const char *owner, uint32_t ttl, const char *target)
{
	size_t at;

	put_record(m, owner, CNAME, IN, ttl, "", 0);
	at = m->n;
	put_name(m, target);
	m->b[at - 1] = (uint8_t)(m->n - at);
}

/* Read from a heap block of the exact size, so that the sanitizers see one byte too many. */
static int read_exact(struct dns_message *d, const uint8_t *p, size_t n, bool whole)
{
	uint8_t *copy = malloc(n ? n : 1);
	int err;

	if (!copy)
		abort();
	memcpy(copy, p, n);
	err = dns_message_read(d, copy, n, whole);
	free(copy);
	return err;
}

static size_t addresses_exact(const struct msg *m, size_t n, struct dns_address *out, size_t max)
{
	uint8_t *copy = malloc(n ? n : 1);
	size_t got;

	if (!copy)
		abort();
	memcpy(copy, m->b, n);
	got = dns_answer_addresses(copy, n, out, max);
	free(copy);
	return got;
}

static void test_query(void)
{
	char text[DNS_NAME_TEXT_MAX + 1];
	struct dns_message d;
	struct msg m;
	size_t n;

	start(&m, QUERY, 1, 0, 0, 0);
	put_question(&m, "WWW.ExAmPlE-[`{z.COM", AAAA, IN);
	CHECK_INT(read_exact(&d, m.b, m.n, true), 0);
	CHECK(d.id == 0xbeef && !d.response && !d.truncated && d.opcode == 0 && d.rcode == 0);
	CHECK(d.qdcount == 1 && d.ancount == 0 && d.nscount == 0 && d.arcount == 0);
	CHECK(d.has_question && !d.question_cut && d.qtype == AAAA && d.qclass == IN);
	CHECK_INT(d.qname_len, 22);
	CHECK_INT(dns_name_format(d.qname, d.qname_len, text), 20);
	CHECK_STR(text, "www.example-[`{z.com");
	for (n = 0; n < m.n; n++) { /* each cut, with more bytes behind it and without */
		CHECK_INT(read_exact(&d, m.b, n, false), FL_ETRUNCATED);
		CHECK(!d.has_question && d.qname_len == 0 && d.question_cut == (n >= 12));
		CHECK_INT(read_exact(&d, m.b, n, true), FL_EMALFORMED);
	}
	put(&m, "trailing", 8);
	CHECK_INT(read_exact(&d, m.b, m.n, true), 0);
}

static void test_lower_case(void)
{
	struct dns_message d;
	struct msg m;
	int c, len, at, i;

	/* Every byte at every place of the eight that are done at once, in names of 1 to 20 bytes.
	 */
	for (len = 1; len <= 20; len++) {
		for (c = 0; c < 256; c++) {
			bool ok = true;

			at = c % len;
			start(&m, QUERY, 1, 0, 0, 0);
			m.b[m.n++] = (uint8_t)len;
			for (i = 0; i < len; i++)
				m.b[m.n++] = i == at ? (uint8_t)c : 'Q';
			m.b[m.n++] = 0;
			put32(&m, A << 16 | IN);
			ok = read_exact(&d, m.b, m.n, true) == 0 && d.qname[0] == len;
			for (i = 0; i < len && ok; i++)
				ok = d.qname[1 + i] == (i != at                ? 'q'
							: c >= 'A' && c <= 'Z' ? c + 32
									       : c);
			CHECK_MSG(ok, "byte %d of %d is %d", at, len, c);
		}
	}
}

/* A name of n wire bytes, with labels of at most 63. */
static void put_long_name(struct msg *m, size_t n)
{
	for (n--; n; n -= (size_t)m->b[m->n] + 1, m->n += (size_t)m->b[m->n] + 1) {
		size_t label = n - 1 > 63 ? 63 : n - 1;

		if (n - 1 == 64) /* no label of 0 bytes may be left */
			label = 62;
		m->b[m->n] = (uint8_t)label;
		memset(m->b + m->n + 1, 'x', label);
	}
	m->b[m->n++] = 0;
}

static void test_long_names(void)
{
	struct dns_message d;
	struct msg m;
	size_t n;

	for (n = 3; n < 300; n++) {
		start(&m, QUERY, 1, 0, 0, 0);
		put_long_name(&m, n);
		put32(&m, A << 16 | IN);
		CHECK_INT(m.n, 12 + n + 4);
		CHECK_MSG(read_exact(&d, m.b, m.n, true) == (n <= 255 ? 0 : FL_EMALFORMED),
			  "name of %d", (int)n);
		CHECK_INT(d.qname_len, n <= 255 ? n : 0);
	}
}

static const struct {
	const char *what;
	const char *bytes; /* behind a header that says one question */
	size_t len;
	int whole, cut; /* wanted */
} odd_names[] = {
    {"root", "\0\0\1\0\1", 5, 0, 0},
    {"reserved label type 01", "\x41gggg\0\0\1\0\1", 10, FL_EMALFORMED, FL_EMALFORMED},
    {"reserved label type 10", "\x80gggg\0\0\1\0\1", 10, FL_EMALFORMED, FL_EMALFORMED},
    {"pointer at itself", "\xc0\x0c\0\1\0\1", 6, FL_EMALFORMED, FL_EMALFORMED},
    {"pointer into the header", "\xc0\0\0\1\0\1", 6, FL_EMALFORMED, FL_EMALFORMED},
    {"pointer at its own name", "\1a\xc0\x0c\0\1\0\1", 8, FL_EMALFORMED, FL_EMALFORMED},
    {"pointer forward", "\xc0\x12\0\1\0\1\1a\0", 9, FL_EMALFORMED, FL_EMALFORMED},
    {"label beyond the end", "\x3fgggggggg", 9, FL_EMALFORMED, FL_ETRUNCATED},
    {"no root", "\1a\1b\1c", 6, FL_EMALFORMED, FL_ETRUNCATED},
    {"no class", "\1a\0\0\1\0", 6, FL_EMALFORMED, FL_ETRUNCATED},
};

static void test_odd_names(void)
{
	struct dns_message d;
	struct msg m;
	size_t i;

	for (i = 0; i < sizeof(odd_names) / sizeof(odd_names[0]); i++) {
		start(&m, QUERY, 1, 0, 0, 0);
		put(&m, odd_names[i].bytes, odd_names[i].len);
		CHECK_MSG(read_exact(&d, m.b, m.n, true) == odd_names[i].whole, "%s",
			  odd_names[i].what);
		CHECK_MSG(read_exact(&d, m.b, m.n, false) == odd_names[i].cut, "%s",
			  odd_names[i].what);
	}
}

static const struct {
	unsigned int flags;
	int qd, an, ns, ar;
	int whole, cut; /* wanted of header, root question and one A record: 12 + 5 + 15 bytes */
} counts[] = {
    {RESPONSE, 1, 1, 0, 0, 0, 0},
    {RESPONSE, 1, 0, 0, 0, 0, 0},
    {RESPONSE, 1, 2, 0, 0, FL_EMALFORMED, 0},
    {RESPONSE, 1, 0, 1, 1, FL_EMALFORMED, 0},
    {RESPONSE | TC, 1, 9, 9, 9, 0, 0},
    {RESPONSE, 5, 0, 0, 0, FL_EMALFORMED, 0},
    {RESPONSE | TC, 5, 0, 0, 0, FL_EMALFORMED, 0},
    {RESPONSE, 1, 5956, 0, 0, FL_EMALFORMED, 0},
    {RESPONSE, 1, 5957, 0, 0, FL_EMALFORMED, FL_EMALFORMED},
    {RESPONSE, 1, 65535, 65535, 65535, FL_EMALFORMED, FL_EMALFORMED},
    {RESPONSE, 65535, 0, 0, 0, FL_EMALFORMED, FL_EMALFORMED},
};

static void test_counts(void)
{
	struct dns_message d;
	struct msg m;
	size_t i;

	for (i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		start(&m, counts[i].flags, counts[i].qd, counts[i].an, counts[i].ns, counts[i].ar);
		put_question(&m, "", A, IN);
		put_a(&m, "", 60, 1);
		CHECK_INT(m.n, 12 + 5 + 15);
		CHECK_MSG(read_exact(&d, m.b, m.n, true) == counts[i].whole, "case %d", (int)i);
		CHECK_MSG(read_exact(&d, m.b, m.n, false) == counts[i].cut, "case %d", (int)i);
	}
	start(&m, RESPONSE | 1, 0, 0, 0, 0); /* FORMERR, often a header and nothing else */
	CHECK_INT(read_exact(&d, m.b, m.n, true), 0);
	CHECK(!d.has_question && !d.question_cut && d.qname_len == 0 && d.rcode == 1);
}

static void test_edns(void)
{
	struct dns_message d;
	struct msg m;
	size_t all;

	/* Two questions, the OPT between other records: BADCOOKIE is 1 << 4 | 7. */
	start(&m, RESPONSE, 2, 1, 1, 3);
	m.b[3] = 0x87;
	put_question(&m, "a.b", A, IN);
	put_question(&m, "c@14", A, IN);
	put_a(&m, "@12", 60, 1);
	put_record(&m, "b", NS, IN, 60, "\1n\0", 3);
	put_a(&m, "n", 60, 1);
	put_record(&m, "", OPT, 1232, 0x01008000, "\0\12\0\2ab", 6);
	all = m.n;
	put_record(&m, "", OPT, 1232, 0xff000000, "", 0); /* a second one counts for nothing */
	CHECK_INT(read_exact(&d, m.b, m.n, true), 0);
	CHECK_INT(d.rcode, 23);
	CHECK_INT(read_exact(&d, m.b, all - 6, false), 0); /* its data may be cut */
	CHECK_INT(d.rcode, 23);
	CHECK_INT(read_exact(&d, m.b, all - 7, false), 0);
	CHECK_INT(d.rcode, 7);
	m.b[2] = 0x01; /* a query has no rcode to complete */
	CHECK_INT(read_exact(&d, m.b, m.n, true), 0);
	CHECK_INT(d.rcode, 7);

	/* An OPT in the answer section is none, nor one with a name. */
	start(&m, RESPONSE, 1, 1, 0, 1);
	put_question(&m, "a", A, IN);
	put_record(&m, "", OPT, 1232, 0x01000000, "", 0);
	put_record(&m, "a", OPT, 1232, 0x01000000, "", 0);
	CHECK_INT(read_exact(&d, m.b, m.n, true), 0);
	CHECK_INT(d.rcode, 0);
	start(&m, RESPONSE, 1, 0, 0, 1); /* an odd record is no error */
	put_question(&m, "a", A, IN);
	put(&m, "\x7fgggggggggggggg", 15);
	CHECK_INT(read_exact(&d, m.b, m.n, true), 0);
	start(&m, 0x2800, 1, 0, 0, 0);
	put_question(&m, "a", 6, IN);
	CHECK_INT(read_exact(&d, m.b, m.n, true), 0);
	CHECK_INT(d.opcode, 5);
	start(&m, QUERY, 1, 0, 1, 0); /* IXFR carries the SOA that the client has, RFC 1995 */
	put_question(&m, "a", IXFR, IN);
	put_record(&m, "@12", 6, IN, 0, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 22);
	CHECK_INT(read_exact(&d, m.b, m.n, true), 0);
	CHECK(!d.response && d.qtype == IXFR);
}

static const struct {
	bool want;
	unsigned int flags;
	int qd, an, ns, ar;
	uint8_t label;
} looks[] = {
    {true, QUERY, 1, 0, 0, 0, 3},        {true, RESPONSE, 1, 4, 0, 1, 63},
    {true, RESPONSE, 0, 0, 0, 0, 200},   {true, QUERY, 0, 0, 0, 1, 0},
    {true, QUERY, 1, 0, 0, 0, 0},        {true, RESPONSE | TC, 1, 9999, 0, 0, 3},
    {true, QUERY, 1, 0, 1, 0, 3},        {true, QUERY, 4, 0, 0, 0, 3},
    {false, QUERY, 0, 0, 0, 0, 3},       {false, 0x2800, 1, 0, 0, 0, 3},
    {false, 0xf800, 1, 0, 0, 0, 3},      {false, QUERY, 5, 0, 0, 0, 3},
    {false, QUERY, 1, 0, 0, 0, 64},      {false, QUERY, 1, 0, 0, 0, 0xc0},
    {false, RESPONSE, 1, 6000, 0, 0, 3}, {false, RESPONSE, 1, 5000, 5000, 5000, 3},
};

static void test_looks_like(void)
{
	struct msg m;
	size_t i, n;

	for (i = 0; i < sizeof(looks) / sizeof(looks[0]); i++) {
		start(&m, looks[i].flags, looks[i].qd, looks[i].an, looks[i].ns, looks[i].ar);
		put(&m, &looks[i].label, 1);
		CHECK_MSG(dns_looks_like(m.b, m.n) == looks[i].want, "case %d", (int)i);
		for (n = 0; n < 12; n++)
			CHECK(!dns_looks_like(m.b, n));
	}
	CHECK(!dns_looks_like((const uint8_t *)"GET / HTTP/1.1\r\n", 16));
	CHECK(!dns_looks_like((const uint8_t *)"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\x00",
			      12));
}

static const struct {
	const char *wire;
	size_t len;
	const char *text;
} names[] = {
    {"\0", 1, "."},
    {"\3www\7example\3com\0", 17, "www.example.com"},
    {"\1a\0", 3, "a"},
    {"\5a.b\\c\0", 7, "a\\.b\\\\c"},
    {"\4 !~\x7f\0", 6, "\\032!~\\127"},
    {"\3\0\x09\xff\1\"\0", 7, "\\000\\009\\255.\""},
    {"\5_x-*;\0", 7, "_x-*;"},
    {"\3www\7exa", 8, "www"}, /* no wire name: what is there */
    {"", 0, "."},
};

static void test_name_format(void)
{
	char out[DNS_NAME_TEXT_MAX + 1];
	uint8_t worst[255];
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		size_t n = dns_name_format((const uint8_t *)names[i].wire, names[i].len, out);

		CHECK_STR(out, names[i].text);
		CHECK_INT(n, strlen(names[i].text));
	}
	memset(worst, 1, sizeof(worst)); /* 127 labels of one byte \001 */
	worst[254] = 0;
	CHECK_INT(dns_name_format(worst, 255, out), 127 * 4 + 126);
	for (i = 0; i < 254; i += 64) { /* the most that four labels can give */
		worst[i] = i < 192 ? 63 : 61;
		memset(worst + i + 1, 0xff, worst[i]);
	}
	CHECK_INT(dns_name_format(worst, 255, out), (3 * 63 + 61) * 4 + 3);
	/* Labels that no message has must not overflow either. */
	memset(worst, 0xff, sizeof(worst));
	worst[0] = 254;
	CHECK_INT(dns_name_format(worst, 255, out), 254 * 4);
}

/* clang-format off */
static const struct {
	unsigned int type;
	const char *name;
} types[] = {
	{0, "TYPE0"}, {1, "A"}, {2, "NS"}, {5, "CNAME"}, {6, "SOA"}, {10, "NULL"}, {12, "PTR"},
	{13, "HINFO"}, {15, "MX"}, {16, "TXT"}, {23, "NSAP-PTR"}, {28, "AAAA"}, {33, "SRV"},
	{35, "NAPTR"}, {38, "A6"}, {39, "DNAME"}, {41, "OPT"}, {43, "DS"}, {44, "SSHFP"},
	{46, "RRSIG"}, {47, "NSEC"}, {48, "DNSKEY"}, {50, "NSEC3"}, {51, "NSEC3PARAM"},
	{52, "TLSA"},
	{53, "SMIMEA"}, {54, "TYPE54"}, {55, "HIP"}, {61, "OPENPGPKEY"}, {63, "ZONEMD"},
	{64, "SVCB"}, {65, "HTTPS"}, {66, "DSYNC"}, {69, "TYPE69"}, {98, "TYPE98"}, {99, "SPF"},
	{103, "UNSPEC"}, {104, "NID"}, {109, "EUI64"}, {128, "NXNAME"}, {248, "TYPE248"},
	{249, "TKEY"}, {250, "TSIG"}, {251, "IXFR"}, {252, "AXFR"}, {253, "MAILB"}, {254, "MAILA"},
	{255, "ANY"}, {256, "URI"}, {257, "CAA"}, {261, "RESINFO"}, {1000, "TYPE1000"},
	{32767, "TYPE32767"}, {32768, "TA"}, {32769, "DLV"}, {65280, "TYPE65280"},
	{65535, "TYPE65535"},
};
/* clang-format on */

static void test_type_name(void)
{
	char out[DNS_TYPE_NAME_SIZE], number[16];
	unsigned int t, named = 0;
	size_t i;

	for (i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		CHECK_INT(dns_type_name((uint16_t)types[i].type, out), strlen(types[i].name));
		CHECK_STR(out, types[i].name);
	}
	for (t = 0; t < 65536; t++) { /* each entry is found, and nothing is found wrongly */
		size_t n = dns_type_name((uint16_t)t, out);

		snprintf(number, sizeof(number), "TYPE%u", t);
		named += strcmp(out, number) != 0;
		if (n != strlen(out) || n < 1 || n >= DNS_TYPE_NAME_SIZE)
			CHECK_MSG(false, "type %u", t);
	}
	CHECK_INT(named, 67 + 11 + 1 + 7 + 9 + 2);
}

/* What addresses must come out, as "1/60 2/30": the last byte and the TTL of each. */
static void check_answer(const char *what, const struct msg *m, const char *want)
{
	struct dns_address a[8];
	char got[256] = "";
	size_t n = addresses_exact(m, m->n, a, 8), i, len = 0;

	for (i = 0; i < n; i++)
		len += (size_t)snprintf(got + len, sizeof(got) - len, "%s%u/%u", i ? " " : "",
					a[i].addr.b[15], (unsigned int)a[i].ttl_s);
	CHECK_MSG(!strcmp(got, want), "%s: got '%s', wanted '%s'", what, got, want);
	for (i = 0; i < m->n; i++) /* a cut message: never more than the whole one has */
		if (addresses_exact(m, i, a, 8) > n)
			CHECK_MSG(false, "%s: cut at %d", what, (int)i);
}

static void test_answers(void)
{
	struct dns_address a[2];
	struct msg m;

	start(&m, RESPONSE, 1, 3, 0, 0);
	put_question(&m, "WWW.example", A, IN);
	put_a(&m, "@12", 60, 1);
	put_a(&m, "www.EXAMPLE", 30, 2);    /* in full, other case */
	put_a(&m, "www@16", 0x80000001, 3); /* a TTL with the top bit is 0 */
	check_answer("plain", &m, "1/60 2/30 3/0");
	CHECK_INT(dns_answer_addresses(m.b, m.n, a, 2), 2);
	CHECK(addr_is_v4(&a[1].addr) && a[1].addr.b[12] == 192);
	CHECK_INT(dns_answer_addresses(m.b, m.n, a, 0), 0);
	m.b[2] = 0x01;
	check_answer("a query", &m, "");
	m.b[2] = 0xa9;
	check_answer("an update", &m, "");

	start(&m, RESPONSE, 1, 2, 0, 0);
	put_question(&m, "a", AAAA, IN);
	put_record(&m, "@12", AAAA, IN, 9, "\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\7", 16);
	put_a(&m, "@12", 60, 1);
	check_answer("only the type that was asked", &m, "7/9");
	CHECK_INT(dns_answer_addresses(m.b, m.n, a, 1), 1);
	CHECK(!memcmp(a[0].addr.b, "\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\7", 16));
	m.b[16] = ANY;
	check_answer("any", &m, "7/9 1/60");
	m.b[16] = TXT;
	check_answer("another type", &m, "");

	start(&m, RESPONSE, 1, 4, 1, 0);
	put_question(&m, "a", A, IN);
	put_a(&m, "b", 60, 1);
	put_record(&m, "@12", A, CH, 60, "\300\0\2\2", 4);
	put_record(&m, "@12", A, IN, 60, "\300\0\2", 3);
	put_record(&m, "@12", A, IN, 60, "\300\0\2\4\0", 5);
	put_a(&m, "@12", 60, 5); /* authority section */
	check_answer("foreign owner, class, lengths, section", &m, "");
	start(&m, RESPONSE, 1, 1, 0, 0);
	put_question(&m, "a", A, CH);
	put_a(&m, "@12", 60, 1);
	check_answer("question of another class", &m, "");
	start(&m, RESPONSE, 2, 1, 0, 0);
	put_question(&m, "a", A, IN);
	put_question(&m, "b", A, IN);
	put_a(&m, "@12", 60, 1);
	check_answer("second question", &m, "1/60");
}

static void test_aliases(void)
{
	struct msg m;
	char from[8], to[8];
	int i, n;

	start(&m, RESPONSE, 1, 4, 0, 0);
	put_question(&m, "a", A, IN);
	put_cname(&m, "@12", 300, "B");
	put_cname(&m, "b", 20, "c");
	put_a(&m, "C", 60, 1);
	put_a(&m, "c", 10, 2);
	check_answer("in order", &m, "1/20 2/10");

	start(&m, RESPONSE, 1, 6, 0, 0);
	put_question(&m, "a", A, IN);
	put_a(&m, "c", 60, 1);
	put_a(&m, "x", 60, 9);
	put_cname(&m, "b", 50, "c");
	put_cname(&m, "y", 1, "c");
	put_cname(&m, "@12", 40, "b");
	put_a(&m, "c", 30, 2);
	check_answer("out of order", &m, "1/40 2/30");

	start(&m, RESPONSE, 1, 4, 0, 0);
	put_question(&m, "a", A, IN);
	put_cname(&m, "@12", 300, "b");
	put_cname(&m, "b", 300, "@12");
	put_cname(&m, "b", 300, "b");
	put_a(&m, "b", 60, 1);
	check_answer("a loop", &m, "1/60");

	start(&m, RESPONSE, 1, 2, 0, 0);
	put_question(&m, "a", A, IN);
	put_cname(&m, "@12", 300, "b@4000");
	put_a(&m, "b", 60, 1);
	check_answer("a target that is no name", &m, "");

	for (n = 15; n <= 17; n++) {
		start(&m, RESPONSE, 1, n + 1, 0, 0);
		put_question(&m, "n0", A, IN);
		for (i = 0; i < n; i++) {
			snprintf(from, sizeof(from), "n%d", i);
			snprintf(to, sizeof(to), "n%d", i + 1);
			put_cname(&m, from, 300, to);
		}
		put_a(&m, to, 60, 1);
		check_answer("a long chain", &m, n <= 16 ? "1/60" : "");
	}
}

static void test_pointers(void)
{
	struct msg m;
	size_t at, i;
	char text[8];

	start(&m, RESPONSE, 1, 2, 0, 0); /* 12: a.b 17+4 */
	put_question(&m, "a.b", A, IN);
	at = m.n;
	put_a(&m, "@21", 60, 1); /* at itself */
	put_a(&m, "a@14", 60, 2);
	CHECK_INT(at, 21);
	check_answer("pointer at itself", &m, "2/60");
	m.b[at + 1] = 0;
	check_answer("pointer into the header", &m, "2/60");
	m.b[at + 1] = (uint8_t)m.n;
	check_answer("pointer beyond the end", &m, "2/60");
	m.b[at + 1] = (uint8_t)(m.n - 14);
	check_answer("pointer forward", &m, "2/60");
	m.b[at] = 0x80;
	check_answer("no such label", &m, "");

	/* Pointers at pointers: 127 are followed, no more. */
	start(&m, RESPONSE, 1, 2, 0, 0);
	put_question(&m, "b", A, IN);
	put_record(&m, "x", TXT, IN, 0, "", 0);
	at = m.n;
	for (i = 0; i < 130; i++) {
		snprintf(text, sizeof(text), "@%u", i ? (unsigned int)(at + 2 * (i - 1)) : 12);
		put_name(&m, text);
	}
	m.b[at - 2] = 260 >> 8;
	m.b[at - 1] = 260 & 255;
	snprintf(text, sizeof(text), "@%u", (unsigned int)(at + 2 * 125));
	put_a(&m, text, 60, 1);
	check_answer("127 pointers", &m, "1/60");
	m.b[m.n - 15] += 2;
	check_answer("128 pointers", &m, "");
}

/* Owners in full at different places: 128 of them are compared, and those that repeat the last one.
 */
static void test_many_owners(void)
{
	struct dns_address a[256];
	struct msg m;
	int i;

	start(&m, RESPONSE, 1, 203, 0, 0);
	put_question(&m, "a", A, IN);
	for (i = 0; i < 100; i++) {
		put_a(&m, "x", 60, 1);
		put_a(&m, "a", 60, 2);
	}
	put_a(&m, "@12", 60, 3);
	put_a(&m, "@12", 60, 4);
	put_a(&m, "@12", 60, 5);
	CHECK_INT(addresses_exact(&m, m.n, a, 256), 64);
	start(&m, RESPONSE, 1, 200, 0, 0);
	put_question(&m, "a", A, IN);
	for (i = 0; i < 200; i++)
		put_a(&m, "@12", 60, 1);
	CHECK_INT(addresses_exact(&m, m.n, a, 256), 200);
	CHECK_INT(addresses_exact(&m, m.n - 1, a, 256), 199);
}

TEST_MAIN({"query", test_query}, {"lower case", test_lower_case}, {"long names", test_long_names},
	  {"odd names", test_odd_names}, {"counts", test_counts}, {"edns", test_edns},
	  {"looks like", test_looks_like}, {"name format", test_name_format},
	  {"type name", test_type_name}, {"answers", test_answers}, {"aliases", test_aliases},
	  {"pointers", test_pointers}, {"many owners", test_many_owners})
