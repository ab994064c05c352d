/* narrow_cases.h - TCP frames with true lengths and flags, and how many bytes of each the narrowed
 * flow filter must copy where one of their addresses is the host's own; for the user-space run and
 * for the kernel's.
 *
 * Frames as in cases.h: from 10.0.0.1 to 10.0.0.2, from fd00::1 to fd00::2.
 */
#ifndef TESTS_FILTERS_NARROW_CASES_H
#define TESTS_FILTERS_NARROW_CASES_H

#include "tests/filters/cases.h"

enum { ACK = 0x10, PSH = 0x18, SYN = 0x02, FIN = 0x11, RST = 0x04, CWR = 0xd0, PAD = 60 };

struct narrow_case {
	const char *layers;
	uint16_t sport, dport;
	uint8_t flags;
	const char *payload; /* its begin */
	size_t size;         /* of the payload, by the lengths in the headers */
	size_t len;          /* of the frame, 0: as the headers say; more: padded; less: cut */
	int want;            /* as filter_case */
};

/* The host's own addresses: in one IP version the sender's, in the other the receiver's. */
static const struct ip_net narrow_own[] = {CASE_NET4(10, 0, 0, 2, 32), CASE_NET4(127, 0, 0, 0, 8),
					   CASE_NET6(0xfd, 0, 1, 128), CASE_NET6(0, 0, 1, 128)};
/* Those of another host. */
static const struct ip_net narrow_other[] = {CASE_NET4(10, 0, 0, 3, 32), CASE_NET4(10, 9, 0, 0, 16),
					     CASE_NET6(0xfd, 0, 3, 128)};

enum { NARROW_OWN = 4, NARROW_OTHER = 3 };

static const struct narrow_case narrow_cases[] = {
    /* without payload: plain, padded by Ethernet, with time stamps, behind tags, IPv6 */
    {"4t", 1000, 443, ACK, "", 0, 0, 0},
    {"4t", 1000, 443, ACK, "", 0, PAD, 0},
    {"4T", 1000, 443, ACK, "", 0, 0, 0},
    {"q4T", 1000, 443, ACK, "", 0, 0, 0},
    {"q4t", 1000, 443, ACK, "", 0, PAD + 4, 0},
    {"q4t", 1000, 443, ACK, "", 0, 0, ALL}, /* behind a tag only from 64 bytes on */
    {"sq4T", 1000, 443, ACK, "", 0, 0, 0},
    {"6t", 1000, 443, ACK, "", 0, 0, 0},
    {"6T", 1000, 443, ACK, "", 0, 0, 0},
    {"6t", 1000, 443, ACK, "", 0, 90, 0},
    {"q6t", 1000, 443, ACK, "", 0, 0, 0},
    {"p4T", 1000, 443, ACK, "", 0, 0, 0},
    {"p4t", 1000, 443, ACK, "", 0, PAD + 4, 0},
    {"p6T", 1000, 443, ACK, "", 0, 0, 0},
    {"m4t", 1000, 443, ACK, "", 0, PAD + 4, 0},
    {"mmm6t", 1000, 443, ACK, "", 0, 0, 0},
    {"4t", 80, 1000, PSH, "", 0, PAD, 0},
    {"4t", 80, 1000, CWR, "", 0, PAD, 0},
    {"4t", 80, 1000, 0, "", 0, PAD, 0},
    /* one byte, also within the padding: data, or another system's keep-alive probe */
    {"4t", 1000, 22, PSH, "x", 1, 0, ALL},
    {"4t", 1000, 22, PSH, "x", 1, PAD, ALL},
    {"4t", 1000, 22, ACK, "", 1, PAD, ALL},
    {"q4t", 1000, 22, ACK, "", 1, PAD + 4, ALL},
    {"4T", 1000, 22, PSH, "x", 1, 0, ALL},
    {"6t", 1000, 22, PSH, "x", 1, 0, ALL},
    {"6T", 1000, 22, PSH, "x", 1, 0, ALL},
    {"p4t", 1000, 22, PSH, "x", 1, 0, ALL},
    {"mm6t", 1000, 22, PSH, "x", 1, 0, ALL},
    /* small, text or not, up to the limit */
    {"4t", 1000, 80, PSH, "GET / HTTP/1.1", 80, 0, ALL},
    {"4t", 1000, 443, PSH, "\x17\x03\x03\x01", 200, 0, ALL},
    {"4t", 1000, 443, PSH, "\x17\x03\x03\x01", 522, 0, ALL},
    {"6t", 1000, 443, PSH, "\x17\x03\x03\x01", 502, 0, ALL},
    /* large: a head or text, as ever; else nothing */
    {"4t", 1000, 443, ACK, "\x17\x03\x03\x01", 523, 0, 0},
    {"4t", 1000, 443, PSH, "\x17\x03\x03\x01", 1460, 0, 0},
    {"4T", 1000, 443, ACK, "\x17\x03\x03\x01", 1420, 0, 0},
    {"6t", 1000, 443, ACK, "\x17\x03\x03\x01", 503, 0, 0},
    {"6T", 1000, 443, ACK, "\x17\x03\x03\x01", 1400, 0, 0},
    {"q4t", 1000, 443, ACK, "\x17\x03\x03\x01", 1460, 0, 0},
    {"sq6T", 1000, 443, ACK, "\x17\x03\x03\x01", 1400, 0, 0},
    {"p4t", 1000, 443, ACK, "\x17\x03\x03\x01", 1400, 0, 0},
    {"m6t", 1000, 443, ACK, "\x17\x03\x03\x01", 1400, 0, 0},
    {"4t", 80, 1000, ACK, "text\x01\x02\x03\x04", 1460, 0, 0},
    {"4t", 80, 1000, ACK, "<p>some text", 1460, 0, ALL},
    {"4t", 1000, 80, PSH, "GET / HTTP/1.1", 1460, 0, ALL},
    {"4T", 80, 1000, ACK, "HTTP/1.1 200 OK", 1448, 0, ALL},
    {"6t", 1000, 80, ACK, "POST / HTTP/1.1", 1440, 0, ALL},
    {"6T", 1000, 80, ACK, "\r\nCookie: a=b", 1400, 0, ALL},
    {"q4t", 1000, 80, ACK, "PUT / HTTP/1.1", 1460, 0, ALL},
    {"p6t", 1000, 80, ACK, "GET /\xc3\xa4", 1400, 0, ALL},
    {"mm4T", 80, 1000, ACK, "HTTP/1.1 304", 1400, 0, ALL},
    /* the begin and the end of a connection, with data or without */
    {"4t", 1000, 443, SYN, "", 0, PAD, ALL},
    {"4T", 443, 1000, SYN | ACK, "", 0, 0, ALL},
    {"6T", 1000, 443, SYN, "", 0, 0, ALL},
    {"q4T", 1000, 443, SYN, "", 0, 0, ALL},
    {"p4t", 1000, 443, SYN, "", 0, 0, ALL},
    {"4T", 1000, 443, SYN, "\x16\x03\x01\x02", 300, 0, ALL},
    {"4T", 1000, 443, SYN, "\x16\x03\x01\x02", 1400, 0, HDR},
    {"4T", 1000, 80, SYN, "GET / HTTP/1.1", 1400, 0, ALL},
    {"4t", 1000, 443, FIN, "", 0, PAD, ALL},
    {"6t", 1000, 443, FIN, "", 0, 0, ALL},
    {"4t", 1000, 443, FIN | PSH, "\x17\x03\x03\x01", 100, 0, ALL},
    {"4t", 1000, 443, FIN | PSH, "\x17\x03\x03\x01", 1460, 0, HDR},
    {"6T", 1000, 443, FIN | PSH, "\x17\x03\x03\x01", 1400, 0, HDR},
    {"sq4t", 1000, 443, FIN | PSH, "\x17\x03\x03\x01", 1400, 0, HDR},
    {"m6T", 1000, 443, FIN | PSH, "\x17\x03\x03\x01", 1400, 0, HDR},
    {"4t", 1000, 443, RST, "", 0, PAD, ALL},
    {"4t", 443, 1000, RST | ACK, "", 0, PAD, ALL},
    {"6t", 1000, 443, RST, "", 0, 0, ALL},
    {"4t", 443, 1000, RST | ACK, "\x01\x02", 900, 0, HDR},
    /* DNS over TCP: its acknowledgements and all else */
    {"4t", 1000, 53, ACK, "", 0, PAD, ALL},
    {"4t", 53, 1000, ACK, "", 0, PAD, ALL},
    {"6T", 5300, 1000, ACK, "", 0, 0, ALL},
    {"p4t", 5300, 1000, ACK, "", 0, 0, ALL},
    {"4t", 53, 1000, ACK, "\x80\x01\x02\x03", 1460, 0, ALL},
    {"6t", 1000, 5300, ACK, "\x80\x01\x02\x03", 1440, 0, ALL},
    {"q6T", 53, 1000, ACK, "\x80\x01\x02\x03", 1300, 0, ALL},
    /* not plain: IPv4 options, fragments, extension headers, a packet inside */
    {"Ot", 1000, 443, ACK, "", 0, 0, ALL},
    {"OT", 1000, 443, ACK, "\x17\x03\x03\x01", 1400, 0, HDR},
    {"Ft", 1000, 443, ACK, "", 0, PAD, ALL},
    {"Lt", 1000, 443, ACK, "\x17\x03\x03\x01", 1400, 0, ALL},
    {"6ht", 1000, 443, ACK, "", 0, 0, ALL},
    {"6dT", 1000, 443, ACK, "\x17\x03\x03\x01", 1400, 0, HDR},
    {"6ft", 1000, 443, ACK, "", 0, 0, ALL},
    {"44t", 1000, 443, ACK, "", 0, 0, ALL},
    {"4g4t", 1000, 443, ACK, "", 0, 0, ALL},
    /* cut in its headers; cut behind them */
    {"4t", 1000, 443, ACK, "", 0, 53, ALL},
    {"6t", 1000, 443, ACK, "", 0, 73, ALL},
    {"4T", 1000, 443, ACK, "", 0, 60, 0},
    /* not TCP */
    {"4u", 1000, 443, 0, "", 100, 0, ALL},
    {"6u", 1000, 443, 0, "", 1400, 0, HDR},
    {"4u", 53, 1000, 0, "", 1400, 0, ALL},
    {"4i", 0, 0, 0, "", 100, 0, 0},
};

enum { NARROW_CASES = sizeof(narrow_cases) / sizeof(narrow_cases[0]) };

static inline size_t narrow_layer_size(char layer)
{
	static const char letters[] = "qspm4OFL6hdfatTugixA";
	static const uint8_t sizes[] = {4,  4, 8,  4,  20, 60, 20, 20, 40, 8,
					24, 8, 24, 20, 60, 8,  4,  8,  8,  8};

	return sizes[strchr(letters, layer) - letters];
}

/* Build a frame, with id as case_build() does; *ip is where its first IP header is. */
static inline size_t narrow_build(const struct narrow_case *n, uint16_t id,
				  uint8_t out[CASE_FRAME_MAX], size_t *ip)
{
	struct filter_case c = {n->layers, n->sport, n->dport, 0, n->payload, 0};
	size_t at, end = 14 + n->size;
	const char *layer;

	for (layer = n->layers; *layer; layer++)
		end += narrow_layer_size(*layer);
	c.len = n->len > end ? n->len : end;
	case_build(&c, id, out);
	memset(out + end, 0, c.len - end); /* what Ethernet pads with */
	*ip = 0;
	at = 14;
	for (layer = n->layers; *layer; at += narrow_layer_size(*layer++)) {
		if (strchr("4OFL6", *layer) && !*ip)
			*ip = at;
		if (strchr("4OFL", *layer))
			case_put16(out + at + 2, (unsigned int)(end - at));
		else if (*layer == '6')
			case_put16(out + at + 4, (unsigned int)(end - at - 40));
		else if (*layer == 't' || *layer == 'T')
			out[at + 13] = n->flags;
	}
	return n->len ? n->len : end;
}

#endif
