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

enum addr_class addr_class_of(const struct ip_addr *a);

#endif
