/* test_address_class.c - every block of IANA's special-purpose registries, at its edges.
 */
#include "geoip/address_class.h"

#include <stdlib.h>

#include "tests/test.h"

static enum addr_class class_of(const char *text)
{
	struct ip_addr a;

	if (addr_parse(&a, text))
		CHECK_MSG(false, "no address: %s", text);
	return addr_class_of(&a);
}

/* first..last have the class; the address before first and the one behind last another one. */
static const struct {
	const char *before, *first, *last, *behind;
	enum addr_class class, class_before, class_behind;
} blocks[] = {
    /* IPv4 */
    {"255.255.255.255", "0.0.0.0", "0.255.255.255", "1.0.0.0", ADDR_OTHER, ADDR_OTHER, ADDR_PUBLIC},
    {"9.255.255.255", "10.0.0.0", "10.255.255.255", "11.0.0.0", ADDR_PRIVATE, ADDR_PUBLIC,
     ADDR_PUBLIC},
    {"100.63.255.255", "100.64.0.0", "100.127.255.255", "100.128.0.0", ADDR_OTHER, ADDR_PUBLIC,
     ADDR_PUBLIC},
    {"126.255.255.255", "127.0.0.0", "127.255.255.255", "128.0.0.0", ADDR_LOOPBACK, ADDR_PUBLIC,
     ADDR_PUBLIC},
    {"169.253.255.255", "169.254.0.0", "169.254.255.255", "169.255.0.0", ADDR_OTHER, ADDR_PUBLIC,
     ADDR_PUBLIC},
    {"172.15.255.255", "172.16.0.0", "172.31.255.255", "172.32.0.0", ADDR_PRIVATE, ADDR_PUBLIC,
     ADDR_PUBLIC},
    {"191.255.255.255", "192.0.0.0", "192.0.0.8", "192.0.0.9", ADDR_OTHER, ADDR_PUBLIC,
     ADDR_PUBLIC},
    {"192.0.0.8", "192.0.0.9", "192.0.0.10", "192.0.0.11", ADDR_PUBLIC, ADDR_OTHER, ADDR_OTHER},
    {"192.0.0.10", "192.0.0.11", "192.0.0.255", "192.0.1.0", ADDR_OTHER, ADDR_PUBLIC, ADDR_PUBLIC},
    {"192.0.1.255", "192.0.2.0", "192.0.2.255", "192.0.3.0", ADDR_OTHER, ADDR_PUBLIC, ADDR_PUBLIC},
    {"192.88.99.1", "192.88.99.2", "192.88.99.2", "192.88.99.3", ADDR_OTHER, ADDR_PUBLIC,
     ADDR_PUBLIC},
    {"192.167.255.255", "192.168.0.0", "192.168.255.255", "192.169.0.0", ADDR_PRIVATE, ADDR_PUBLIC,
     ADDR_PUBLIC},
    {"198.17.255.255", "198.18.0.0", "198.19.255.255", "198.20.0.0", ADDR_OTHER, ADDR_PUBLIC,
     ADDR_PUBLIC},
    {"198.51.99.255", "198.51.100.0", "198.51.100.255", "198.51.101.0", ADDR_OTHER, ADDR_PUBLIC,
     ADDR_PUBLIC},
    {"203.0.112.255", "203.0.113.0", "203.0.113.255", "203.0.114.0", ADDR_OTHER, ADDR_PUBLIC,
     ADDR_PUBLIC},
    {"223.255.255.255", "224.0.0.0", "239.255.255.255", "240.0.0.0", ADDR_MULTICAST, ADDR_PUBLIC,
     ADDR_OTHER},
    {"239.255.255.255", "240.0.0.0", "255.255.255.255", "0.0.0.0", ADDR_OTHER, ADDR_MULTICAST,
     ADDR_OTHER},
    /* IPv6 */
    {"ffff::", "::", "::", "::1", ADDR_OTHER, ADDR_MULTICAST, ADDR_LOOPBACK},
    {"::", "::1", "::1", "::2", ADDR_LOOPBACK, ADDR_OTHER, ADDR_OTHER},
    {"::1", "::2", "::fffe:ffff", "::1:0:0", ADDR_OTHER, ADDR_LOOPBACK, ADDR_PUBLIC},
    {"64:ff9b::ffff:ffff:ffff", "64:ff9b:1::", "64:ff9b:1:ffff:ffff:ffff:ffff:ffff",
     "64:ff9b:2::", ADDR_OTHER, ADDR_PUBLIC, ADDR_PUBLIC},
    {"ff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "100::", "100::1:ffff:ffff:ffff:ffff",
     "100:0:0:2::", ADDR_OTHER, ADDR_PUBLIC, ADDR_PUBLIC},
    {"2000:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "2001::", "2001:0:ffff:ffff:ffff:ffff:ffff:ffff",
     "2001:1::1", ADDR_OTHER, ADDR_PUBLIC, ADDR_PUBLIC},
    {"2001:1::", "2001:1::1", "2001:1::3", "2001:1::4", ADDR_PUBLIC, ADDR_OTHER, ADDR_OTHER},
    {"2001:1::3", "2001:2::", "2001:2:0:ffff:ffff:ffff:ffff:ffff", "2001:3::", ADDR_OTHER,
     ADDR_PUBLIC, ADDR_PUBLIC},
    {"2001:2:ffff:ffff:ffff:ffff:ffff:ffff", "2001:3::", "2001:3:ffff:ffff:ffff:ffff:ffff:ffff",
     "2001:4::", ADDR_PUBLIC, ADDR_OTHER, ADDR_OTHER},
    {"2001:4:111:ffff:ffff:ffff:ffff:ffff", "2001:4:112::", "2001:4:112:ffff:ffff:ffff:ffff:ffff",
     "2001:4:113::", ADDR_PUBLIC, ADDR_OTHER, ADDR_OTHER},
    {"2001:4:112::", "2001:10::", "2001:1f:ffff:ffff:ffff:ffff:ffff:ffff", "2001:20::", ADDR_OTHER,
     ADDR_PUBLIC, ADDR_PUBLIC},
    {"2001:1f:ffff:ffff:ffff:ffff:ffff:ffff", "2001:20::", "2001:3f:ffff:ffff:ffff:ffff:ffff:ffff",
     "2001:40::", ADDR_PUBLIC, ADDR_OTHER, ADDR_OTHER},
    {"2001:3f:ffff:ffff:ffff:ffff:ffff:ffff", "2001:40::", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff",
     "2001:200::", ADDR_OTHER, ADDR_PUBLIC, ADDR_PUBLIC},
    {"2001:db7:ffff:ffff:ffff:ffff:ffff:ffff", "2001:db8::",
     "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", "2001:db9::", ADDR_OTHER, ADDR_PUBLIC, ADDR_PUBLIC},
    {"3ffe:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff",
     "3fff:1000::", ADDR_OTHER, ADDR_PUBLIC, ADDR_PUBLIC},
    {"5eff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "5f00::", "5f00:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
     "5f01::", ADDR_OTHER, ADDR_PUBLIC, ADDR_PUBLIC},
    {"fbff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "fc00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
     "fe00::", ADDR_PRIVATE, ADDR_PUBLIC, ADDR_PUBLIC},
    {"fe7f:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "fe80::", "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
     "ff00::", ADDR_OTHER, ADDR_PUBLIC, ADDR_MULTICAST},
    {"feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "ff00::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
     "::", ADDR_MULTICAST, ADDR_OTHER, ADDR_OTHER},
};

static void test_blocks(void)
{
	size_t i;

	for (i = 0; i < sizeof(blocks) / sizeof(blocks[0]); i++) {
		CHECK_MSG(class_of(blocks[i].first) == blocks[i].class, "%s", blocks[i].first);
		CHECK_MSG(class_of(blocks[i].last) == blocks[i].class, "%s", blocks[i].last);
		CHECK_MSG(class_of(blocks[i].before) == blocks[i].class_before, "%s",
			  blocks[i].before);
		CHECK_MSG(class_of(blocks[i].behind) == blocks[i].class_behind, "%s",
			  blocks[i].behind);
	}
}

/* Blocks of the registries that are reachable (or N/A) and lie in nothing, and ordinary addresses.
 */
static const char *const public[] = {
    "1.1.1.1",         "8.8.8.8",        "9.9.9.9",
    "100.0.0.1",       "128.0.0.1",      "192.31.196.0",
    "192.31.196.255",  "192.52.193.0",   "192.52.193.255",
    "192.88.99.0",     "192.88.99.1",    "192.88.99.255",
    "192.175.48.0",    "192.175.48.255", "193.0.0.1",
    "223.255.255.255", "2001:200::",     "2001:4860:4860::8888",
    "2003::1",         "2400:cb00::1",   "2606:4700:4700::1111",
    "2620:4f:7fff::1", "2620:4f:8000::", "2620:4f:8000:ffff:ffff:ffff:ffff:ffff",
    "2620:4f:8001::",  "2a00:1450::1",   "100:0:0:ffff::",
};

static void test_public(void)
{
	size_t i;

	for (i = 0; i < sizeof(public) / sizeof(public[0]); i++)
		CHECK_MSG(class_of(public[i]) == ADDR_PUBLIC, "%s", public[i]);
}

/* The forms that take the class of the IPv4 address inside. */
static void test_embedded(void)
{
	static const char *const v4[] = {"8.8.8.8", "10.1.2.3",    "127.0.0.1", "224.0.0.1",
					 "0.0.0.0", "169.254.1.1", "192.0.0.9", "255.255.255.255"};
	char text[ADDR_TEXT_SIZE];
	struct ip_addr a, inside;
	size_t i;

	for (i = 0; i < sizeof(v4) / sizeof(v4[0]); i++) {
		CHECK(addr_parse(&inside, v4[i]) == 0);
		snprintf(text, sizeof(text), "::ffff:%s", v4[i]);
		CHECK_MSG(class_of(text) == addr_class_of(&inside), "%s", text);
		snprintf(text, sizeof(text), "64:ff9b::%s", v4[i]);
		CHECK_MSG(class_of(text) == addr_class_of(&inside), "%s", text);
		memset(&a, 0xee, sizeof(a));
		a.b[0] = 0x20;
		a.b[1] = 0x02;
		memcpy(a.b + 2, inside.b + 12, 4);
		CHECK_MSG(addr_class_of(&a) == addr_class_of(&inside), "6to4 of %s", v4[i]);
	}
	CHECK_INT(class_of("64:ff9b::1:0:0"), ADDR_PUBLIC); /* beyond the /96: no NAT64 */
}

/* Another formulation of the IPv4 registry, compared over addresses all across the space. */
static enum addr_class by_nets(const struct ip_addr *a)
{
	static const struct {
		const char *net;
		enum addr_class class;
	} nets[] = {
	    {"192.0.0.9/32", ADDR_PUBLIC},   {"192.0.0.10/32", ADDR_PUBLIC},
	    {"192.88.99.2/32", ADDR_OTHER},  {"0.0.0.0/8", ADDR_OTHER},
	    {"10.0.0.0/8", ADDR_PRIVATE},    {"100.64.0.0/10", ADDR_OTHER},
	    {"127.0.0.0/8", ADDR_LOOPBACK},  {"169.254.0.0/16", ADDR_OTHER},
	    {"172.16.0.0/12", ADDR_PRIVATE}, {"192.0.0.0/24", ADDR_OTHER},
	    {"192.0.2.0/24", ADDR_OTHER},    {"192.168.0.0/16", ADDR_PRIVATE},
	    {"198.18.0.0/15", ADDR_OTHER},   {"198.51.100.0/24", ADDR_OTHER},
	    {"203.0.113.0/24", ADDR_OTHER},  {"224.0.0.0/4", ADDR_MULTICAST},
	    {"240.0.0.0/4", ADDR_OTHER},
	};
	static struct ip_net parsed[sizeof(nets) / sizeof(nets[0])];
	size_t i;

	if (!parsed[0].bits)
		for (i = 0; i < sizeof(nets) / sizeof(nets[0]); i++)
			if (net_parse(&parsed[i], nets[i].net))
				abort();
	for (i = 0; i < sizeof(nets) / sizeof(nets[0]); i++)
		if (net_contains(&parsed[i], a))
			return nets[i].class;
	return ADDR_PUBLIC;
}

static void test_whole_ipv4(void)
{
	struct ip_addr a;
	uint32_t v;
	uint32_t wrong = 0;

	for (v = 0; v < 1u << 18; v++) { /* each /16's first and last, and two between */
		uint8_t b[4] = {(uint8_t)(v >> 10), (uint8_t)(v >> 2), (uint8_t)((v & 3) * 85),
				(uint8_t)((v & 3) * 85)};

		addr_from_v4(&a, b);
		wrong += addr_class_of(&a) != by_nets(&a);
	}
	for (v = 0; v < 1u << 16; v++) { /* 192.0.0.0/16 */
		uint8_t b[4] = {192, 0, (uint8_t)(v >> 8), (uint8_t)v};

		addr_from_v4(&a, b);
		wrong += addr_class_of(&a) != by_nets(&a);
	}
	CHECK_INT(wrong, 0);
}

static void test_names(void)
{
	CHECK_STR(addr_class_names[ADDR_LOOPBACK], "loopback");
	CHECK_STR(addr_class_names[ADDR_PRIVATE], "private");
	CHECK_STR(addr_class_names[ADDR_MULTICAST], "multicast");
	CHECK_STR(addr_class_names[ADDR_PUBLIC], "public");
	CHECK_STR(addr_class_names[ADDR_OTHER], "other");
}

TEST_MAIN({"blocks", test_blocks}, {"public", test_public}, {"embedded", test_embedded},
	  {"whole IPv4", test_whole_ipv4}, {"names", test_names})
