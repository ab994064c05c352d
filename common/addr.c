/* addr.c - text of addresses: RFC 5952 for IPv6, dotted quads for IPv4. */
#include "common/addr.h"

#include <arpa/inet.h>
#include <stdlib.h>

static char *format_u8(char *p, unsigned int v)
{
	if (v >= 100) {
		*p++ = (char)('0' + v / 100);
		v %= 100;
		*p++ = (char)('0' + v / 10);
	} else if (v >= 10) {
		*p++ = (char)('0' + v / 10);
	}
	*p++ = (char)('0' + v % 10);
	return p;
}

static char *format_v4(char *p, const uint8_t *b)
{
	int i;

	for (i = 0; i < 4; i++) {
		if (i)
			*p++ = '.';
		p = format_u8(p, b[i]);
	}
	return p;
}

static char *format_hex16(char *p, unsigned int v)
{
	static const char hex[] = "0123456789abcdef";

	if (v >= 0x1000)
		*p++ = hex[v >> 12];
	if (v >= 0x100)
		*p++ = hex[v >> 8 & 15];
	if (v >= 0x10)
		*p++ = hex[v >> 4 & 15];
	*p++ = hex[v & 15];
	return p;
}

/* The longest run of zero groups, at least two (RFC 5952 section 4.2): the first of equals. */
static void longest_zeros(const unsigned int g[8], int *start, int *len)
{
	int i, run = 0;

	*start = -1;
	*len = 1;
	for (i = 0; i < 8; i++) {
		run = g[i] ? 0 : run + 1;
		if (run > *len) {
			*len = run;
			*start = i - run + 1;
		}
	}
}

size_t addr_format(const struct ip_addr *a, char out[ADDR_TEXT_SIZE])
{
	unsigned int g[8];
	int i, zstart, zlen;
	char *p = out;

	if (addr_is_v4(a)) {
		p = format_v4(p, a->b + 12);
		*p = 0;
		return (size_t)(p - out);
	}
	for (i = 0; i < 8; i++)
		g[i] = (unsigned int)a->b[2 * i] << 8 | a->b[2 * i + 1];
	longest_zeros(g, &zstart, &zlen);
	for (i = 0; i < 8; i++) {
		if (i == zstart) {
			*p++ = ':';
			*p++ = ':';
			i += zlen - 1;
			continue;
		}
		if (i && (zstart < 0 || i != zstart + zlen))
			*p++ = ':';
		p = format_hex16(p, g[i]);
	}
	*p = 0;
	return (size_t)(p - out);
}

int addr_parse(struct ip_addr *a, const char *text)
{
	uint8_t v4[4];

	if (inet_pton(AF_INET, text, v4) == 1) {
		addr_from_v4(a, v4);
		return 0;
	}
	return inet_pton(AF_INET6, text, a->b) == 1 ? 0 : FL_EUSAGE;
}

int net_parse(struct ip_net *n, const char *text)
{
	char buf[ADDR_TEXT_SIZE + 4], *slash, *end;
	unsigned long bits, most;
	size_t len = strlen(text), i;

	if (len >= sizeof(buf))
		return FL_EUSAGE;
	memcpy(buf, text, len + 1);
	slash = strchr(buf, '/');
	if (slash)
		*slash++ = 0;
	if (addr_parse(&n->addr, buf))
		return FL_EUSAGE;
	most = strchr(buf, ':') ? 128 : 32;
	bits = most;
	if (slash) {
		bits = strtoul(slash, &end, 10);
		if (*slash < '0' || *slash > '9' || *end || bits > most)
			return FL_EUSAGE;
	}
	n->bits = (uint8_t)(bits + 128 - most);
	for (i = 0; i < 16; i++) {
		if (n->bits <= 8 * i)
			n->addr.b[i] = 0;
		else if (n->bits < 8 * i + 8)
			n->addr.b[i] &= (uint8_t)(0xff00 >> (n->bits - 8 * i));
	}
	return 0;
}

bool net_contains(const struct ip_net *n, const struct ip_addr *a)
{
	size_t whole = n->bits / 8, rest = n->bits % 8;

	if (memcmp(n->addr.b, a->b, whole))
		return false;
	return !rest || !((n->addr.b[whole] ^ a->b[whole]) & (0xff00 >> rest) & 0xff);
}
