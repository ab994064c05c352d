/* geo.h - what GeoIP databases say of an address: made by geoip/, written by output/.
 *
 * A text of length 0 is not known. The texts belong to whoever handed the struct over and stay as
 * long as it.
 */
#ifndef COMMON_GEO_H
#define COMMON_GEO_H

#include <stdbool.h>

#include "common/text.h"

enum { GEO_TEXTS = 5, GEO_WRITTEN_BYTES = 70, GEO_WRITTEN_PAD = 32 };

/* The five texts as an output writes them, made once for all points with this place. */
struct geo_written {
	uint8_t at[GEO_TEXTS], len[GEO_TEXTS]; /* in bytes; in the order of struct geo_info */
	char bytes[GEO_WRITTEN_BYTES + GEO_WRITTEN_PAD]; /* the padding: anything, may be read */
};

struct geo_info {
	struct text country;  /* ISO 3166-1 alpha-2 */
	struct text province; /* ISO 3166-2 subdivision, its name */
	struct text city;
	struct text isp; /* AS organisation */
	struct text asn; /* AS number in decimal, without "AS" */
	double lat, lon; /* degrees, where has_coordinates */
	/* What every point asks for, together. */
	const struct geo_written *written; /* NULL: not made */
	bool has_coordinates;
};

#endif
