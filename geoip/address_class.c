/* address_class.c - the class of an address, from two tables.
 *
 * https://www.iana.org/assignments/iana-ipv4-special-registry and iana-ipv6-special-registry
 * (2025), RFC 6890 and RFC 8190; multicast is RFC 5771 and RFC 4291. What the registries' column
 * "Globally Reachable" answers with False is `other` (or loopback, private), with True `public`.
 * Where it says N/A the block that encloses it decides: Teredo (2001::/32) and ORCHID
 * (2001:10::/28) are `other` as the rest of 2001::/23, the former 6to4 relays (192.88.99.0/24) are
 * `public` as nothing encloses them.
 *
 * Both tables ascend by first address, then by length, so blocks come before those inside them: the
 * last match is the longest, and a search may stop at the first block that begins beyond the
 * address.
 */
#include "geoip/address_class.h"

#include "common/wire.h"

const char *const addr_class_names[ADDR_CLASSES] = {
    [ADDR_LOOPBACK] = "loopback", [ADDR_PRIVATE] = "private", [ADDR_MULTICAST] = "multicast",
    [ADDR_PUBLIC] = "public",     [ADDR_OTHER] = "other",
};

struct block4 {
	uint32_t first, last;
	enum addr_class class;
};

#define V4(a, b, c, d) ((uint32_t)(a) << 24 | (uint32_t)(b) << 16 | (uint32_t)(c) << 8 | (d))
#define BLOCK4(a, b, c, d, bits, class)                                                            \
	{                                                                                          \
		V4(a, b, c, d), V4(a, b, c, d) | (uint32_t)(0xffffffffULL >> (bits)), class        \
	}

static const struct block4 blocks4[] = {
    BLOCK4(0, 0, 0, 0, 8, ADDR_OTHER),        /* "This network", RFC 791 */
    BLOCK4(10, 0, 0, 0, 8, ADDR_PRIVATE),     /* RFC 1918 */
    BLOCK4(100, 64, 0, 0, 10, ADDR_OTHER),    /* Shared (carrier-grade NAT), RFC 6598 */
    BLOCK4(127, 0, 0, 0, 8, ADDR_LOOPBACK),   /* RFC 1122 */
    BLOCK4(169, 254, 0, 0, 16, ADDR_OTHER),   /* Link local, RFC 3927 */
    BLOCK4(172, 16, 0, 0, 12, ADDR_PRIVATE),  /* RFC 1918 */
    BLOCK4(192, 0, 0, 0, 24, ADDR_OTHER),     /* IETF protocol assignments, RFC 6890 */
    BLOCK4(192, 0, 0, 9, 32, ADDR_PUBLIC),    /* Port Control Protocol anycast, RFC 7723 */
    BLOCK4(192, 0, 0, 10, 32, ADDR_PUBLIC),   /* TURN anycast, RFC 8155 */
    BLOCK4(192, 0, 2, 0, 24, ADDR_OTHER),     /* Documentation, RFC 5737 */
    BLOCK4(192, 31, 196, 0, 24, ADDR_PUBLIC), /* AS112-v4, RFC 7535 */
    BLOCK4(192, 52, 193, 0, 24, ADDR_PUBLIC), /* AMT relays, RFC 7450 */
    BLOCK4(192, 88, 99, 0, 24, ADDR_PUBLIC),  /* former 6to4 relays, RFC 7526: N/A */
    BLOCK4(192, 88, 99, 2, 32, ADDR_OTHER),   /* 6a44 relays, RFC 6751 */
    BLOCK4(192, 168, 0, 0, 16, ADDR_PRIVATE), /* RFC 1918 */
    BLOCK4(192, 175, 48, 0, 24, ADDR_PUBLIC), /* AS112 service, RFC 7534 */
    BLOCK4(198, 18, 0, 0, 15, ADDR_OTHER),    /* Benchmarking, RFC 2544 */
    BLOCK4(198, 51, 100, 0, 24, ADDR_OTHER),  /* Documentation, RFC 5737 */
    BLOCK4(203, 0, 113, 0, 24, ADDR_OTHER),   /* Documentation, RFC 5737 */
    BLOCK4(224, 0, 0, 0, 4, ADDR_MULTICAST),  /* RFC 5771 */
    BLOCK4(240, 0, 0, 0, 4, ADDR_OTHER),      /* Reserved, RFC 1112; 255.255.255.255, RFC 919 */
};

struct block6 {
	uint64_t first_high, first_low; /* the address in two halves */
	uint64_t mask_high, mask_low;
	enum addr_class class;
};

/* The address as its first four and its last two groups of 16 bits; what is between them is 0. */
#define HIGH(a, b, c, d)                                                                           \
	((uint64_t)(a) << 48 | (uint64_t)(b) << 32 | (uint64_t)(c) << 16 | (uint64_t)(d))
#define LOW(g, h)       ((uint64_t)(g) << 16 | (uint64_t)(h))
#define MASK_HIGH(bits) (~0ULL << (64 - (bits)))
#define MASK_LOW(bits)  (~0ULL << (128 - (bits)))
/* Of up to 64 bits, and of more. */
#define BLOCK6(a, b, c, d, bits, class)                                                            \
	{                                                                                          \
		HIGH(a, b, c, d), 0, MASK_HIGH(bits), 0, class                                     \
	}
#define LONG6(a, b, g, h, bits, class)                                                             \
	{                                                                                          \
		HIGH(a, b, 0, 0), LOW(g, h), ~0ULL, MASK_LOW(bits), class                          \
	}

static const struct block6 blocks6[] = {
    LONG6(0, 0, 0, 0, 96, ADDR_OTHER),            /* v4-compatible, obsolete: RFC 4291 2.5.5.1 */
    LONG6(0, 0, 0, 0, 128, ADDR_OTHER),           /* Unspecified, RFC 4291 */
    LONG6(0, 0, 0, 1, 128, ADDR_LOOPBACK),        /* RFC 4291 */
    BLOCK6(0x64, 0xff9b, 1, 0, 48, ADDR_OTHER),   /* Local-use NAT64, RFC 8215 */
    BLOCK6(0x100, 0, 0, 0, 64, ADDR_OTHER),       /* Discard only, RFC 6666 */
    BLOCK6(0x100, 0, 0, 1, 64, ADDR_OTHER),       /* Dummy prefix, RFC 9780 */
    BLOCK6(0x2001, 0, 0, 0, 23, ADDR_OTHER),      /* IETF protocol assignments, RFC 2928 */
    LONG6(0x2001, 1, 0, 1, 128, ADDR_PUBLIC),     /* Port Control Protocol anycast, RFC 7723 */
    LONG6(0x2001, 1, 0, 2, 128, ADDR_PUBLIC),     /* TURN anycast, RFC 8155 */
    LONG6(0x2001, 1, 0, 3, 128, ADDR_PUBLIC),     /* DNS-SD registration anycast, RFC 9665 */
    BLOCK6(0x2001, 2, 0, 0, 48, ADDR_OTHER),      /* Benchmarking, RFC 5180 */
    BLOCK6(0x2001, 3, 0, 0, 32, ADDR_PUBLIC),     /* AMT, RFC 7450 */
    BLOCK6(0x2001, 4, 0x112, 0, 48, ADDR_PUBLIC), /* AS112-v6, RFC 7535 */
    BLOCK6(0x2001, 0x20, 0, 0, 28, ADDR_PUBLIC),  /* ORCHIDv2, RFC 7343 */
    BLOCK6(0x2001, 0x30, 0, 0, 28, ADDR_PUBLIC),  /* Drone remote identification, RFC 9374 */
    BLOCK6(0x2001, 0xdb8, 0, 0, 32, ADDR_OTHER),  /* Documentation, RFC 3849 */
    BLOCK6(0x2620, 0x4f, 0x8000, 0, 48, ADDR_PUBLIC), /* AS112 service, RFC 7534 */
    BLOCK6(0x3fff, 0, 0, 0, 20, ADDR_OTHER),          /* Documentation, RFC 9637 */
    BLOCK6(0x5f00, 0, 0, 0, 16, ADDR_OTHER),          /* Segment routing SIDs, RFC 9602 */
    BLOCK6(0xfc00, 0, 0, 0, 7, ADDR_PRIVATE),         /* Unique local, RFC 4193 */
    BLOCK6(0xfe80, 0, 0, 0, 10, ADDR_OTHER),          /* Link local, RFC 4291 */
    BLOCK6(0xfec0, 0, 0, 0, 10, ADDR_OTHER),          /* Site local, given up by RFC 3879 */
    BLOCK6(0xff00, 0, 0, 0, 8, ADDR_MULTICAST),       /* RFC 4291 */
};

/* (tests/geoip/test_address_class.c compares.) */
enum {
	MIXED = ADDR_CLASSES,
	/* short, for the table */
	L = ADDR_LOOPBACK,
	V = ADDR_PRIVATE,
	M = ADDR_MULTICAST,
	P = ADDR_PUBLIC,
	O = ADDR_OTHER,
	X = MIXED,
};

/* clang-format off */
const uint8_t addr_class_by_octet[256] = {
    O, P, P, P, P, P, P, P, P, P, V, P, P, P, P, P, /* 0 */
    P, P, P, P, P, P, P, P, P, P, P, P, P, P, P, P, /* 16 */
    P, P, P, P, P, P, P, P, P, P, P, P, P, P, P, P, /* 32 */
    P, P, P, P, P, P, P, P, P, P, P, P, P, P, P, P, /* 48 */
    P, P, P, P, P, P, P, P, P, P, P, P, P, P, P, P, /* 64 */
    P, P, P, P, P, P, P, P, P, P, P, P, P, P, P, P, /* 80 */
    P, P, P, P, X, P, P, P, P, P, P, P, P, P, P, P, /* 96 */
    P, P, P, P, P, P, P, P, P, P, P, P, P, P, P, L, /* 112 */
    P, P, P, P, P, P, P, P, P, P, P, P, P, P, P, P, /* 128 */
    P, P, P, P, P, P, P, P, P, P, P, P, P, P, P, P, /* 144 */
    P, P, P, P, P, P, P, P, P, X, P, P, X, P, P, P, /* 160 */
    P, P, P, P, P, P, P, P, P, P, P, P, P, P, P, P, /* 176 */
    X, P, P, P, P, P, X, P, P, P, P, X, P, P, P, P, /* 192 */
    P, P, P, P, P, P, P, P, P, P, P, P, P, P, P, P, /* 208 */
    M, M, M, M, M, M, M, M, M, M, M, M, M, M, M, M, /* 224 */
    O, O, O, O, O, O, O, O, O, O, O, O, O, O, O, O, /* 240 */
};
/* clang-format on */

static enum addr_class class_of_v4(uint32_t v4)
{
	enum addr_class class = ADDR_PUBLIC;
	size_t i;

	if (addr_class_by_octet[v4 >> 24] != MIXED)
		return (enum addr_class)addr_class_by_octet[v4 >> 24];
	/* what most hosts have; the table has nothing inside these two */
	if (v4 >> 16 == V4(192, 168, 0, 0) >> 16 || v4 >> 20 == V4(172, 16, 0, 0) >> 20)
		return ADDR_PRIVATE;
	for (i = 0; i < sizeof(blocks4) / sizeof(blocks4[0]) && blocks4[i].first <= v4; i++)
		if (v4 <= blocks4[i].last)
			class = blocks4[i].class;
	return class;
}

/* (tests/geoip/test_address_class.c looks on both sides of each of the table's blocks.) */
static enum addr_class class_of_v6(uint64_t high, uint64_t low)
{
	enum addr_class class = ADDR_PUBLIC;
	const struct block6 *b = blocks6;
	const struct block6 *end = b + sizeof(blocks6) / sizeof(blocks6[0]);
	unsigned int first = (unsigned int)(high >> 48);

	/* Of what is given out (2000::/3) all but these have no block in the table: no search. */
	if (first >> 13 == 1 && first != 0x2001 && first != 0x2620 && first != 0x3fff)
		return class;
	for (; b < end && b->first_high <= high; b++)
		if ((high & b->mask_high) == b->first_high && (low & b->mask_low) == b->first_low)
			class = b->class;
	return class;
}

enum addr_class addr_class_search(const struct ip_addr *a)
{
	uint64_t high = (uint64_t)load_be32(a->b) << 32 | load_be32(a->b + 4);
	uint64_t low = (uint64_t)load_be32(a->b + 8) << 32 | load_be32(a->b + 12);

	if (high == 0 && low >> 32 == 0xffff) /* v4-mapped */
		return class_of_v4((uint32_t)low);
	if (high == HIGH(0x64, 0xff9b, 0, 0) && low >> 32 == 0) /* NAT64, RFC 6052 */
		return class_of_v4((uint32_t)low);
	if (high >> 48 == 0x2002) /* 6to4, RFC 3056 */
		return class_of_v4((uint32_t)(high >> 16));
	return class_of_v6(high, low);
}
