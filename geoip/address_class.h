/* address_class.h - what kind of address it is: loopback, private, multicast, public or other.
 *
 * By the IANA IPv4 and IPv6 special-purpose address registries (RFC 6890 and its updates). IPv4
 * inside IPv6 (v4-mapped, NAT64 64:ff9b::/96 RFC 6052, 6to4 2002::/16 RFC 3056) takes the class of
 * the IPv4 address.
 */
#ifndef GEOIP_ADDRESS_CLASS_H
#define GEOIP_ADDRESS_CLASS_H

#include "common/addr.h"

enum addr_class {
	ADDR_LOOPBACK,
	ADDR_PRIVATE,
	ADDR_MULTICAST,
	ADDR_PUBLIC,
	ADDR_OTHER,
	ADDR_CLASSES
};

/* "loopback", "private", "multicast", "public", "other". */
extern const char *const addr_class_names[ADDR_CLASSES];

/* By an IPv4 address's first octet, where all that begins with it is of one class; ADDR_CLASSES
 * where it is not. */
extern const uint8_t addr_class_by_octet[256];

/* By the tables of blocks. */
enum addr_class addr_class_search(const struct ip_addr *a);

/* The IPv4 address inside a NAT64 or 6to4 one, 4 bytes; NULL: it is neither. */
static inline const uint8_t *addr_inner_v4(const struct ip_addr *a)
{
	static const uint8_t nat64[12] = {0, 0x64, 0xff, 0x9b};

	if (a->b[0] == 0x20 && a->b[1] == 0x02)
		return a->b + 2;
	return a->b[0] == 0 && !memcmp(a->b, nat64, sizeof(nat64)) ? a->b + 12 : NULL;
}

static inline enum addr_class addr_class_of(const struct ip_addr *a)
{
	if (addr_is_v4(a) && addr_class_by_octet[a->b[12]] != ADDR_CLASSES)
		return (enum addr_class)addr_class_by_octet[a->b[12]];
	return addr_class_search(a);
}

#endif
