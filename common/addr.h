/* addr.h - IP addresses and networks as 16 bytes, IPv4 as v4-mapped IPv6 (RFC 4291
 * section 2.5.5.2).
 */
#ifndef COMMON_ADDR_H
#define COMMON_ADDR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "common/error.h"

struct ip_addr {
	uint8_t b[16]; /* network order */
};

struct ip_net {
	struct ip_addr addr;
	uint8_t bits; /* 0..128; of an IPv4 network 96 + its own prefix length */
};

/* Longest text of an address ("ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255") and its final 0. */
#define ADDR_TEXT_SIZE 46

static const uint8_t addr_v4_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

static inline bool addr_is_v4(const struct ip_addr *a)
{
	return memcmp(a->b, addr_v4_prefix, sizeof(addr_v4_prefix)) == 0;
}

static inline void addr_from_v4(struct ip_addr *a, const uint8_t v4[4])
{
	memcpy(a->b, addr_v4_prefix, sizeof(addr_v4_prefix));
	memcpy(a->b + 12, v4, 4);
}

static inline bool addr_equal(const struct ip_addr *a, const struct ip_addr *b)
{
	return memcmp(a->b, b->b, sizeof(a->b)) == 0;
}

/* Write the address's text (dotted quad, or RFC 5952) and a final 0; returns its length. */
size_t addr_format(const struct ip_addr *a, char out[ADDR_TEXT_SIZE]);

/* Parse an address, or a network ("10.0.0.0/8", "2001:db8::/32", a lone address is /32 or /128).
 * 0, or FL_EUSAGE. Bits of the address beyond the prefix are cleared. */
int addr_parse(struct ip_addr *a, const char *text) MUST_CHECK;
int net_parse(struct ip_net *n, const char *text) MUST_CHECK;

bool net_contains(const struct ip_net *n, const struct ip_addr *a);

#endif
