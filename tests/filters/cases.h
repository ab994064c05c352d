/* cases.h - frames and how many bytes of each the flow filter must copy; for the user-space run and
 * for the kernel's.
 *
 * A frame is an Ethernet header, then its layers by letter, the payload's text, and filler up to
 * `len`: q s  802.1Q, 802.1ad tag       p  PPPoE session     m  MPLS label 4 O  IPv4, with 40 B
 * options   F L  IPv4 first, later fragment 6    IPv6                      h d f a  hop-by-hop (8
 * B), destination options (24 B), fragment, AH t T  TCP, with 40 B options    u  UDP    i  ICMP x
 * SCTP    g  GRE    A  ARP
 */
#ifndef TESTS_FILTERS_CASES_H
#define TESTS_FILTERS_CASES_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "common/addr.h"
#include "filters/classic.h"

enum { CASE_FRAME_MAX = 4096, HDR = FILTER_COPY_HEADERS, ALL = -1 };

struct filter_case {
	const char *layers;
	uint16_t sport, dport;
	size_t len; /* of the frame; shorter than the layers: cut there */
	const char *payload;
	int want; /* bytes copied; ALL: len */
};

/* Filter configuration of the cases: DNS on 53 and 5300, tunnels not looked into. */
static const uint16_t case_dns_ports[] = {53, 5300};

static const struct filter_case filter_cases[] = {
    /* TCP: small whole, else headers */
    {"4t", 1000, 2000, 54, "", ALL},
    {"4t", 1000, 2000, 576, "", ALL},
    {"4t", 1000, 2000, 577, "", HDR},
    {"4t", 1000, 2000, 1514, "", HDR},
    {"6t", 1000, 2000, 74, "", ALL},
    {"6t", 1000, 2000, 1514, "", HDR},
    {"OT", 1000, 2000, 1514, "", HDR},
    {"4T", 1000, 2000, 1514, "", HDR},
    {"4t", 443, 2000, 1514, "\x17\x03\x03\x01", HDR},
    {"4t", 80, 2000, 1514, "<html>", HDR},
    /* HTTP heads, behind TCP and IP options of several lengths */
    {"4t", 2000, 80, 1514, "GET / HTTP/1.1", ALL},
    {"4T", 2000, 80, 1514, "GET / HTTP/1.1", ALL},
    {"OT", 2000, 80, 1514, "GET / HTTP/1.1", ALL},
    {"Ot", 2000, 80, 1514, "HEAD / HTTP/1.1", ALL},
    {"6t", 2000, 80, 1514, "POST / HTTP/1.1", ALL},
    {"6T", 2000, 80, 1514, "PUT / HTTP/1.1", ALL},
    {"4t", 2000, 9, 1514, "DELETE / HTTP/1.1", ALL},
    {"4t", 2000, 9, 1514, "CONNECT a:1", ALL},
    {"4t", 2000, 9, 1514, "OPTIONS * HTTP/1.1", ALL},
    {"4t", 2000, 9, 1514, "TRACE / HTTP/1.1", ALL},
    {"4t", 2000, 9, 1514, "PATCH / HTTP/1.1", ALL},
    {"4t", 80, 2000, 1514, "HTTP/1.1 200 OK", ALL},
    {"4t", 2000, 80, 1514, "GET /\xc3\xa4", ALL},
    /* from the middle of a head: text; what only begins like text; what no text begins with */
    {"4t", 2000, 80, 1514, "ie: a=b; c=d", ALL},
    {"6T", 2000, 80, 1514, "\r\nCookie: a=b", ALL},
    {"OT", 2000, 80, 2000, "01234567", ALL},
    {"4t", 2000, 80, 1514, "0123456", HDR},
    {"4t", 2000, 80, 1514, "\x01\x02\x03\x04text", HDR},
    {"4t", 2000, 80, 1514, "text\x01\x02\x03\x04", HDR},
    {"4t", 2000, 80, 1514, "GETS", HDR},
    {"4t", 2000, 80, 1514, "get /", HDR},
    {"4t", 2000, 80, 1514, "TRAD", HDR},
    {"4t", 2000, 80, 1514, "CONM", HDR},
    /* DNS, both ways, on every port of the list */
    {"4u", 2000, 53, 80, "", ALL},
    {"4u", 2000, 53, 1514, "", ALL},
    {"4u", 53, 2000, 1514, "", ALL},
    {"4u", 2000, 5300, 1514, "", ALL},
    {"6u", 53, 2000, 1514, "", ALL},
    {"Ou", 53, 2000, 1514, "", ALL},
    {"4t", 2000, 53, 1514, "", ALL},
    {"6t", 53, 2000, 1514, "", ALL},
    {"OT", 5300, 2000, 1514, "", ALL},
    /* other UDP */
    {"4u", 2000, 443, 42, "", ALL},
    {"4u", 2000, 443, 160, "", ALL},
    {"4u", 2000, 443, 161, "", HDR},
    {"6u", 2000, 443, 1514, "", HDR},
    {"4u", 2000, 4789, 1514, "", HDR},
    {"Ou", 2000, 443, 1514, "", HDR},
    /* fragments, whole; not those of what nobody asked for */
    {"Fu", 2000, 443, 1514, "", ALL},
    {"Lu", 2000, 443, 1514, "", ALL},
    {"Ft", 2000, 443, 1514, "", ALL},
    {"Lt", 2000, 443, 1514, "", ALL},
    {"6fu", 2000, 443, 1514, "", ALL},
    {"Fi", 0, 0, 1514, "", 0},
    /* IPv6 extension headers */
    {"6ht", 2000, 443, 1514, "", HDR},
    {"6dt", 2000, 80, 1514, "GET / HTTP/1.1", ALL},
    {"6dT", 2000, 80, 1514, "GET / HTTP/1.1", ALL},
    {"6ht", 2000, 53, 1514, "", ALL},
    {"6ht", 2000, 443, 94, "", ALL},
    {"6hdt", 2000, 443, 1514, "", ALL},
    {"6hu", 2000, 53, 1514, "", ALL},
    {"6au", 2000, 53, 1514, "", ALL},
    /* a packet inside a packet */
    {"44t", 2000, 80, 1514, "", ALL},
    {"46u", 2000, 80, 1514, "", ALL},
    {"4g4t", 2000, 80, 1514, "", ALL},
    {"66t", 2000, 80, 1514, "", ALL},
    {"64t", 2000, 80, 1514, "", ALL},
    {"6g6t", 2000, 80, 1514, "", ALL},
    /* nobody asked for */
    {"4i", 0, 0, 98, "", 0},
    {"6i", 0, 0, 118, "", 0},
    {"4x", 1, 2, 200, "", 0},
    {"A", 0, 0, 60, "", 0},
    {"qA", 0, 0, 64, "", 0},
    {"q4i", 0, 0, 98, "", 0},
    /* tags in the bytes */
    {"q4t", 2000, 443, 1514, "", HDR},
    {"q4t", 2000, 443, 70, "", ALL},
    {"q4t", 2000, 80, 1514, "GET / HTTP/1.1", ALL},
    {"q6t", 2000, 80, 1514, "HTTP/1.1 200", ALL},
    {"sq4u", 2000, 53, 1514, "", ALL},
    {"sq6u", 2000, 53, 1514, "", ALL},
    {"qq4u", 2000, 443, 1514, "", HDR},
    {"sqOT", 2000, 80, 1514, "POST / HTTP/1.1", ALL},
    {"sqFu", 2000, 443, 1514, "", ALL},
    {"sq6ht", 2000, 80, 1514, "GET / HTTP/1.1", ALL},
    /* PPPoE, MPLS */
    {"p4t", 2000, 443, 1514, "", HDR},
    {"p6t", 2000, 80, 1514, "GET / HTTP/1.1", ALL},
    {"qp4u", 2000, 53, 1514, "", ALL},
    {"sqp6u", 2000, 53, 1514, "", ALL},
    {"m4t", 2000, 443, 1514, "", HDR},
    {"mm4t", 2000, 80, 1514, "GET / HTTP/1.1", ALL},
    {"mmm6u", 2000, 53, 1514, "", ALL},
    {"mmmm4u", 2000, 53, 1514, "", ALL},
    {"mmmmm4u", 2000, 53, 1514, "", HDR},
    {"qmm4u", 2000, 53, 1514, "", ALL},
    {"m44t", 2000, 53, 1514, "", ALL},
    /* cut frames: copied, so that they are counted */
    {"4t", 2000, 443, 14, "", ALL},
    {"4t", 2000, 443, 23, "", ALL},
    {"4t", 2000, 443, 24, "", ALL},
    {"4t", 2000, 443, 34, "", ALL},
    {"4u", 2000, 443, 36, "", ALL},
    {"6t", 2000, 443, 20, "", ALL},
    {"6t", 2000, 443, 30, "", ALL},
    {"6u", 2000, 443, 56, "", ALL},
    {"6ht", 2000, 443, 55, "", ALL},
    {"sq4t", 2000, 443, 40, "", ALL},
    {"p4t", 2000, 443, 20, "", ALL},
    {"m4t", 2000, 443, 16, "", ALL},
};

enum { FILTER_CASES = sizeof(filter_cases) / sizeof(filter_cases[0]) };

/* Rules of the cases below; the frames are from 10.0.0.1 to 10.0.0.2, from fd00::1 to fd00::2. */
#define CASE_NET4(a, b, c, d, bits)                                                                \
	{                                                                                          \
		{{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d}}, 96 + (bits)              \
	}
#define CASE_NET6(a, b, last, bits)                                                                \
	{                                                                                          \
		{{a, b, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last}}, bits                        \
	}
static const struct ip_net case_net_hosts[] = {CASE_NET4(10, 0, 0, 2, 32),
					       CASE_NET6(0xfd, 0, 1, 128)};
static const struct ip_net case_net_others[] = {CASE_NET4(10, 9, 0, 0, 16),
						CASE_NET6(0xfe, 0x80, 0, 10)};
static const uint16_t case_web[] = {8443, 443}, case_ssh[] = {22};
static const struct filter_exclude case_excludes[] = {
    {case_net_hosts, 2, case_web, 2},
    {NULL, 0, case_ssh, 1},
    {case_net_others, 2, NULL, 0},
};

enum { CASE_EXCLUDES = sizeof(case_excludes) / sizeof(case_excludes[0]) };

static const struct filter_case exclude_cases[] = {
    /* plain TCP and UDP, small and large, either side's port */
    {"4t", 2000, 443, 66, "", 0},
    {"4t", 443, 2000, 1514, "", 0},
    {"4t", 2000, 8443, 60, "", 0},
    {"4u", 2000, 443, 42, "", 0},
    {"4u", 2000, 443, 1514, "", 0},
    {"6t", 2000, 443, 74, "", 0},
    {"6t", 22, 2000, 1514, "", 0},
    {"6u", 8443, 2000, 1514, "", 0},
    {"4T", 2000, 22, 74, "", 0},
    {"4t", 2000, 22, 1514, "GET / HTTP/1.1", 0},
    {"4u", 22, 53, 80, "", 0},
    {"4t", 2000, 444, 66, "", ALL},
    {"4t", 2000, 23, 66, "", ALL},
    {"4u", 2000, 53, 1514, "", ALL},
    {"6t", 2000, 80, 1514, "", HDR},
    /* behind tags, PPPoE, MPLS */
    {"q4t", 2000, 443, 70, "", 0},
    {"sq6u", 2000, 22, 1514, "", 0},
    {"p4t", 2000, 443, 1514, "", 0},
    {"qmm4u", 2000, 22, 1514, "", 0},
    {"mmmm6t", 443, 2000, 1514, "", 0},
    {"q4t", 2000, 80, 70, "", ALL},
    /* left to user space: options, fragments, extension headers, a packet inside */
    {"Ot", 2000, 22, 1514, "", HDR},
    {"Fu", 2000, 22, 1514, "", ALL},
    {"Lu", 2000, 22, 1514, "", ALL},
    {"6ht", 2000, 22, 1514, "", HDR},
    {"6fu", 2000, 22, 1514, "", ALL},
    {"44t", 2000, 22, 1514, "", ALL},
    {"4g4t", 2000, 22, 1514, "", ALL},
    /* cut before or behind the ports */
    {"4t", 2000, 22, 37, "", ALL},
    {"4t", 2000, 22, 38, "", 0},
    {"6u", 2000, 22, 57, "", ALL},
    {"6u", 2000, 22, 58, "", 0},
    /* wanted as little as before */
    {"4i", 0, 0, 98, "", 0},
    {"A", 0, 0, 60, "", 0},
};

enum { EXCLUDE_CASES = sizeof(exclude_cases) / sizeof(exclude_cases[0]) };

static inline uint8_t *case_put16(uint8_t *p, unsigned int v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
	return p + 2;
}

static inline unsigned int case_ethertype(char layer)
{
	switch (layer) {
	case 'q':
		return 0x8100;
	case 's':
		return 0x88a8;
	case 'p':
		return 0x8864;
	case 'm':
		return 0x8847;
	case '6':
		return 0x86dd;
	case 'A':
		return 0x0806;
	default:
		return 0x0800;
	}
}

static inline uint8_t case_protocol(char layer)
{
	static const char letters[] = "tTuixg4OFL6hdfa";
	static const uint8_t numbers[] = {6, 6, 17, 1, 132, 47, 4, 4, 4, 4, 41, 0, 60, 44, 51};
	const char *at = layer ? strchr(letters, layer) : NULL;

	return at ? numbers[at - letters] : 59;
}

static inline uint8_t *case_layer_link(uint8_t *p, char layer, char next)
{
	if (layer == 'q' || layer == 's') {
		p = case_put16(p, 5);
		return case_put16(p, case_ethertype(next));
	}
	if (layer == 'p') {
		p = case_put16(p, 0x1100);
		p = case_put16(p, 7);
		p = case_put16(p, 1400);
		return case_put16(p, next == '6' ? 0x57 : 0x21);
	}
	p = case_put16(p, 1); /* MPLS: label 16, bottom of the stack where no label follows */
	return case_put16(p, next == 'm' ? 0x0040 : 0x0140);
}

static inline uint8_t *case_layer_ip(uint8_t *p, char layer, char next, uint16_t id)
{
	size_t size;

	switch (layer) {
	case '6':
		p[0] = 0x60;
		case_put16(p + 2, id);
		case_put16(p + 4, 1400);
		p[6] = case_protocol(next);
		p[7] = 64;
		p[8] = p[24] = 0xfd;
		p[23] = 1;
		p[39] = 2;
		return p + 40;
	case 'h':
	case 'd':
	case 'f':
	case 'a':
		size = layer == 'd' ? 24 : layer == 'a' ? 24 : 8;
		p[0] = case_protocol(next);
		p[1] = layer == 'f' ? 0 : layer == 'a' ? 4 : (uint8_t)(size / 8 - 1);
		if (layer == 'f')
			p[3] = 1; /* more fragments */
		return p + size;
	default:
		size = layer == 'O' ? 60 : 20;
		p[0] = (uint8_t)(0x40 | size / 4);
		case_put16(p + 2, 1400);
		case_put16(p + 4, id);
		case_put16(p + 6, layer == 'F' ? 0x2000 : layer == 'L' ? 0x00b9 : 0x4000);
		p[8] = 64;
		p[9] = case_protocol(next);
		memcpy(p + 12, "\x0a\x00\x00\x01\x0a\x00\x00\x02", 8);
		memset(p + 20, 1, size - 20); /* no-operation options */
		return p + size;
	}
}

static inline uint8_t *case_layer(uint8_t *p, const struct filter_case *c, char layer, char next,
				  uint16_t id)
{
	switch (layer) {
	case 'q':
	case 's':
	case 'p':
	case 'm':
		return case_layer_link(p, layer, next);
	case 't':
	case 'T':
		case_put16(p, c->sport);
		case_put16(p + 2, c->dport);
		p[12] = layer == 'T' ? 0xf0 : 0x50;
		p[13] = 0x10;
		memset(p + 20, 1, layer == 'T' ? 40 : 0);
		return p + (layer == 'T' ? 60 : 20);
	case 'u':
		case_put16(p, c->sport);
		case_put16(p + 2, c->dport);
		case_put16(p + 4, 1400);
		return p + 8;
	case 'g':
		case_put16(p + 2, case_ethertype(next));
		return p + 4;
	case 'i':
	case 'x':
	case 'A':
		return p + 8;
	default:
		return case_layer_ip(p, layer, next, id);
	}
}

/* Build a frame; id is kept in its destination address and in the IP id or flow label. */
static inline size_t case_build(const struct filter_case *c, uint16_t id,
				uint8_t out[CASE_FRAME_MAX])
{
	uint8_t *p = out;
	const char *layer;

	memset(out, 0, CASE_FRAME_MAX);
	memcpy(p, "\x02\xfe\x00\x00", 4);
	case_put16(p + 4, id);
	memcpy(p + 6, "\x02\xfe\x00\x00\x00\x01", 6);
	case_put16(p + 12, case_ethertype(c->layers[0]));
	p += 14;
	for (layer = c->layers; *layer; layer++)
		p = case_layer(p, c, layer[0], layer[1], id);
	memcpy(p, c->payload, strlen(c->payload));
	p += strlen(c->payload);
	if (c->len > (size_t)(p - out))
		memset(p, 0xee, c->len - (size_t)(p - out));
	return c->len;
}

#endif
