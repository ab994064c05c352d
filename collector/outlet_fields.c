/* outlet_fields.c - what a point `flowline` tells of one output. */
#include <string.h>

#include "collector/outlets.h"

#define AT(m) offsetof(struct output_stats, m)

struct field {
	const char *name;
	size_t offset;
	bool gauge;
};

static const struct field fields[] = {
    {"points_made", AT(points_made), false},
    {"points_found", AT(points_found), true},
    {"points_written", AT(points_delivered), false},
    {"points_lost", AT(points_lost), false},
    {"points_lost_queue", AT(lost_queue), false},
    {"points_lost_refused", AT(lost_refused), false},
    {"points_lost_spool", AT(lost_spool), false},
    {"points_queued", AT(points_queued), true},
    {"points_spooled", AT(points_spooled), true},
    {"points_to_spool", AT(points_to_spool), false},
    {"spool_bytes", AT(spool_bytes), true},
    {"parcels", AT(parcels), false},
    {"retries", AT(retries), false},
    {"sink_errors", AT(errors), false},
    {"bytes_written", AT(bytes_sent), false},
};

static uint64_t value(const struct output_stats *s, const struct field *f)
{
	uint64_t v;

	memcpy(&v, (const char *)s + f->offset, sizeof(v));
	return v;
}

size_t outlet_fields(const struct output_stats *before, const struct output_stats *now,
		     uint64_t time_ns, struct self_field out[STATS_FIELDS_MOST])
{
	size_t i, n = sizeof(fields) / sizeof(fields[0]);

	for (i = 0; i < n; i++) {
		out[i].name = fields[i].name;
		out[i].value = value(now, &fields[i]);
		if (!fields[i].gauge)
			out[i].value -= value(before, &fields[i]);
	}
	out[n].name = "lag_ms"; /* how long the oldest point that waits has waited */
	out[n].value =
	    now->oldest_ns && time_ns > now->oldest_ns ? (time_ns - now->oldest_ns) / 1000000 : 0;
	out[n + 1].name = "delivers"; /* 1: the last parcel arrived */
	out[n + 1].value = now->state == OUTPUT_OK;
	return n + 2;
}
