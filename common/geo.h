/* geo.h - what GeoIP databases say of an address: made by geoip/, written by output/.
 *
 * A text of length 0 is not known. The texts belong to whoever handed the struct over and stay as
 * long as it.
 */
#ifndef COMMON_GEO_H
#define COMMON_GEO_H

#include <stdbool.h>

#include "common/text.h"

struct geo_info {
	struct text country;  /* ISO 3166-1 alpha-2 */
	struct text province; /* ISO 3166-2 subdivision, its name */
	struct text city;
	struct text isp; /* AS organisation */
	struct text asn; /* AS number in decimal, without "AS" */
	bool has_coordinates;
	double lat, lon; /* degrees, where has_coordinates */
};

#endif
