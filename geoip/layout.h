/* layout.h - where a GeoIP database keeps country, province, city, AS and coordinates.
 *
 * Every maker arranges its records differently. layout.c lists the places known for each field,
 * best first. A layout begins with all of them; shown some of the database's records
 * (layout_probe) it is then cut down (layout_settle) to the places that this database has, so
 * that a lookup compares few keys, in one pass. Belongs to one thread, and to one data section.
 */
#ifndef GEOIP_LAYOUT_H
#define GEOIP_LAYOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "common/text.h"
#include "geoip/mmdb_data.h"

enum geo_field {
	GEO_COUNTRY,
	GEO_PROVINCE,
	GEO_CITY,
	GEO_ISP,
	GEO_ASN,
	GEO_LAT,
	GEO_LON,
	GEO_FIELDS
};

/* "country", "province" ... */
extern const char *const geo_field_names[GEO_FIELDS];

enum {
	LAYOUT_LANGUAGE_MAX = 16, /* bytes of a language's name, such as "pt-BR" */
	LAYOUT_NODES_MAX = 80,
	LAYOUT_KEY_MAX = 32,
	LAYOUT_MEMOS = 64,
};

/* The wanted keys as a tree. */
struct layout_node {
	char key[LAYOUT_KEY_MAX];
	uint8_t len;
	uint8_t child, sibling; /* number of a node; 0: none */
	uint8_t place;          /* 1 + number in the list of places; 0: only on the way to others */
	uint8_t fields;         /* bits 1 << enum geo_field: what it or a node below can give */
};

/* Makers write a key once and point to it: which node it leads to from which, found before. */
struct layout_memo {
	uint32_t key;         /* offset of the key's text */
	uint8_t from1, child; /* from: number of the node + 1; 0: empty */
};

struct layout {
	struct layout_node nodes[LAYOUT_NODES_MAX]; /* nodes[0] is the record itself */
	unsigned int n;
	unsigned int fields; /* bits 1 << enum geo_field: what the nodes can give */
	char language[LAYOUT_LANGUAGE_MAX + 1];
	struct layout_memo memos[LAYOUT_MEMOS];
};

/* What one record says, or several merged. A bit in `has` for each field. Texts are borrowed from
 * the file. */
struct geo_record {
	unsigned int has;
	uint64_t places;          /* bits: found here */
	uint8_t from[GEO_FIELDS]; /* place */
	char country[2];          /* upper case */
	struct text texts[GEO_ISP + 1];
	uint32_t asn;
	double lat, lon;
};

/* All known places; language picks among translated names, "en" is the fallback. */
void layout_init(struct layout *l, const char *language);

/* Look at the record at offset at and note in *places what it has. 0, or FL_EMALFORMED. */
int layout_probe(struct layout *l, const struct mmdb_data *d, size_t at,
		 uint64_t *places) MUST_CHECK;

/* Keep only these places. */
void layout_settle(struct layout *l, uint64_t places);

/* Add to r the fields of `wanted` (bits) that the record at offset at has. Never replaces what r
 * has before. 0, or FL_EMALFORMED: then r has what came before the damage, which nobody should
 * use. */
int layout_read(struct layout *l, const struct mmdb_data *d, size_t at, unsigned int wanted,
		struct geo_record *r) MUST_CHECK;

#endif
