/* line.h - points as InfluxDB line protocol.
 *
 * https://docs.influxdata.com/influxdb/v1/write_protocols/line_protocol_reference/
 * Tags sorted by key, integers with `i`, each position with its own escaping (escape.h), bytes that
 * are no valid UTF-8 and control characters never raw (written as \xHH). No allocation and no
 * division by a variable per point; the order of tags and the constant parts are worked out once.
 */
#ifndef OUTPUT_LINE_H
#define OUTPUT_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "flows/point.h"

enum {
	LINE_MAX_BYTES = 64 * 1024, /* no line is longer */
	LINE_TEXT_MAX = 1024,       /* bytes of one text of a point; a longer one is cut */
	LINE_PROCESS_MAX = 256,     /* the same of process_name and container_id */
	LINE_PLACE_MAX = 128,       /* the same of GeoIP texts */
};

struct line_tag {
	const char *key, *value;
};

struct line_config {
	const char *host; /* tag host; NULL or "": absent */
	/* Custom tags. One of a built-in tag's name replaces it, so an empty value leaves that tag
	 * out; of two with the same name the later counts. */
	const struct line_tag *tags;
	size_t ntags;
	/* Class of an address as tag text ("private" ...), static strings, few of them. Given by
	 * collector/, so that output/ does not depend on geoip/. NULL: neither tag is
	 * written. */
	const char *(*address_class)(const struct ip_addr *a);
	bool key_fields_as_tags; /* points.key_fields: tag */
	/* Names of tags that no netflow, dnsflow or httpflow point gets (points.exclude_tags),
	 * custom ones included. The points that become alike are for merge.h to add up. */
	const char *const *exclude;
	size_t nexclude;
};

/* Names of the tags that a point itself gives. */
extern const char *const line_tag_names[POINT_TAGS];

/* Bytes of this text that are written as this tag (or key field): what is beyond its limit is cut,
 * between characters. */
size_t line_text_len(enum point_tag tag, const struct text *t);

/* Belongs to one thread. */
struct line_encoder;

/* The longest line possible for this configuration is known then: line_encoder_max(). NULL with
 * errno set; EMSGSIZE: with these tags a line may not fit into LINE_MAX_BYTES. The strings of the
 * configuration are copied. */
struct line_encoder *line_encoder_new(const struct line_config *config) MUST_CHECK;
void line_encoder_free(struct line_encoder *e);

/* Bytes that line_encode() may need at most (it may scribble on all of them). */
size_t line_encoder_max(const struct line_encoder *e);

/* Write the point and a newline (no final 0) to out, which has line_encoder_max() bytes; returns
 * the length. 0: the point has no field (a POINT_SELF without fields), so there is no line. */
size_t line_encode(struct line_encoder *e, const struct point *p, char *out);

#endif
