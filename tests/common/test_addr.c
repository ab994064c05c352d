/* test_addr.c - addresses and networks to text and back: RFC 5952, RFC 4291. */
#include "common/addr.h"

#include <arpa/inet.h>

#include "tests/test.h"

/* in is parsed, out is the canonical text; NULL: it must be refused. */
static const struct {
	const char *in, *out;
} addresses[] = {
    {"0.0.0.0", "0.0.0.0"},
    {"255.255.255.255", "255.255.255.255"},
    {"192.0.2.100", "192.0.2.100"},
    {"10.20.30.9", "10.20.30.9"},
    {"::ffff:192.0.2.1", "192.0.2.1"},
    {"::FFFF:c000:0201", "192.0.2.1"},
    {"::", "::"},
    {"::1", "::1"},
    {"1::", "1::"},
    {"2001:0DB8:0:0:0:0:0:1", "2001:db8::1"},
    {"2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"}, /* RFC 5952 4.2.2: one group stays */
    {"2001:0:0:1:0:0:0:1", "2001:0:0:1::1"},          /* 4.2.3: the longest run */
    {"2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"},    /* 4.2.3: the first of equals */
    {"0:0:1:0:0:0:0:0", "0:0:1::"},
    {"fe80::abcd:ef01:0:10", "fe80::abcd:ef01:0:10"},
    {"::192.0.2.1", "::c000:201"},
    {"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
    {"", NULL},
    {"1.2.3", NULL},
    {"1.2.3.4.5", NULL},
    {"1.2.3.256", NULL},
    {" 1.2.3.4", NULL},
    {"1.2.3.4/8", NULL},
    {":::", NULL},
    {"1:2:3:4:5:6:7:8:9", NULL},
    {"12345::", NULL},
    {"fe80::1%eth0", NULL},
    {"host", NULL},
};

static void test_addresses(void)
{
	char out[ADDR_TEXT_SIZE];
	struct ip_addr a;
	size_t i;

	for (i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
		int err = addr_parse(&a, addresses[i].in);

		CHECK_MSG(err == (addresses[i].out ? 0 : FL_EUSAGE), "%s", addresses[i].in);
		if (err || !addresses[i].out)
			continue;
		CHECK_INT(addr_format(&a, out), strlen(addresses[i].out));
		CHECK_STR(out, addresses[i].out);
	}
}

/* Each pattern of zero groups agrees with the C library, but for the forms with a dotted quad. */
static void test_zero_patterns(void)
{
	char out[ADDR_TEXT_SIZE], want[INET6_ADDRSTRLEN];
	struct ip_addr a;
	unsigned int mask, i;

	for (mask = 0; mask < 256; mask++) {
		for (i = 0; i < 8; i++) {
			a.b[2 * i] = 0;
			a.b[2 * i + 1] = mask >> i & 1 ? (uint8_t)(i + 1) : 0;
		}
		addr_format(&a, out);
		inet_ntop(AF_INET6, a.b, want, sizeof(want));
		if (!strchr(want, '.'))
			CHECK_STR(out, want);
	}
}

static void test_all_octets(void)
{
	char out[ADDR_TEXT_SIZE], want[ADDR_TEXT_SIZE];
	struct ip_addr a;
	int i;

	for (i = 0; i < 256; i++) {
		uint8_t v4[4] = {(uint8_t)i, (uint8_t)(255 - i), 0, (uint8_t)i};

		addr_from_v4(&a, v4);
		CHECK(addr_is_v4(&a));
		snprintf(want, sizeof(want), "%d.%d.0.%d", i, 255 - i, i);
		CHECK_INT(addr_format(&a, out), strlen(want));
		CHECK_STR(out, want);
	}
}

static const struct {
	const char *net, *first; /* the address after parsing; NULL: refused */
	int bits;
	const char *in, *out; /* an address inside, one that is not */
} nets[] = {
    {"10.0.0.0/8", "10.0.0.0", 104, "10.255.255.255", "11.0.0.0"},
    {"10.9.8.7/8", "10.0.0.0", 104, "10.0.0.0", "9.255.255.255"},
    {"192.0.2.77/29", "192.0.2.72", 125, "192.0.2.79", "192.0.2.80"},
    {"192.0.2.77", "192.0.2.77", 128, "192.0.2.77", "192.0.2.76"},
    {"192.0.2.77/32", "192.0.2.77", 128, "::ffff:192.0.2.77", "192.0.2.78"},
    {"0.0.0.0/0", "0.0.0.0", 96, "255.255.255.255", "::1"},
    {"172.16.0.0/12", "172.16.0.0", 108, "172.31.255.255", "172.32.0.0"},
    {"::/0", "::", 0, "1.2.3.4", NULL},
    {"2001:db8::/32", "2001:db8::", 32, "2001:db8:ffff::1", "2001:db9::"},
    {"2001:db8:ffff::/33", "2001:db8:8000::", 33, "2001:db8:8000::", "2001:db8:7fff::"},
    {"2001:db8::ff/121", "2001:db8::80", 121, "2001:db8::ff", "2001:db8::7f"},
    {"fe80::1", "fe80::1", 128, "fe80::1", "fe80::2"},
    {"10.0.0.0/33", NULL, 0, NULL, NULL},
    {"2001:db8::/129", NULL, 0, NULL, NULL},
    {"10.0.0.0/", NULL, 0, NULL, NULL},
    {"10.0.0.0/8x", NULL, 0, NULL, NULL},
    {"10.0.0.0/-1", NULL, 0, NULL, NULL},
    {"10.0.0.0/ 8", NULL, 0, NULL, NULL},
    {"10.0.0.0/+8", NULL, 0, NULL, NULL},
    {"10.0.0.0/8/8", NULL, 0, NULL, NULL},
    {"10.0.0.0/99999999999999999999", NULL, 0, NULL, NULL},
    {"10.0.0/8", NULL, 0, NULL, NULL},
    {"/8", NULL, 0, NULL, NULL},
    {"", NULL, 0, NULL, NULL},
    {"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128", NULL, 0, NULL, NULL},
};

static void test_nets(void)
{
	char out[ADDR_TEXT_SIZE];
	struct ip_addr a;
	struct ip_net n;
	size_t i;

	for (i = 0; i < sizeof(nets) / sizeof(nets[0]); i++) {
		int err = net_parse(&n, nets[i].net);

		CHECK_MSG(err == (nets[i].first ? 0 : FL_EUSAGE), "%s", nets[i].net);
		if (err || !nets[i].first)
			continue;
		addr_format(&n.addr, out);
		CHECK_STR(out, nets[i].first);
		CHECK_INT(n.bits, nets[i].bits);
		CHECK(addr_parse(&a, nets[i].in) == 0);
		CHECK_MSG(net_contains(&n, &a), "%s in %s", nets[i].in, nets[i].net);
		if (!nets[i].out)
			continue;
		CHECK(addr_parse(&a, nets[i].out) == 0);
		CHECK_MSG(!net_contains(&n, &a), "%s in %s", nets[i].out, nets[i].net);
	}
}

static void test_equal(void)
{
	struct ip_addr a, b;
	int i;

	CHECK(addr_parse(&a, "2001:db8::1") == 0);
	for (i = 0; i < 16; i++) {
		b = a;
		CHECK(addr_equal(&a, &b));
		b.b[i] ^= 1;
		CHECK(!addr_equal(&a, &b));
	}
	CHECK(!addr_is_v4(&a));
	CHECK(addr_parse(&a, "::fffe:1.2.3.4") == 0 && !addr_is_v4(&a));
}

TEST_MAIN({"addresses", test_addresses}, {"zero patterns", test_zero_patterns},
	  {"all octets", test_all_octets}, {"networks", test_nets}, {"equal", test_equal})
