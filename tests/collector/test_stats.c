/* test_stats.c - self-measurement: the sum, changes and gauges, every counter of the engine shown.
 */
#include "collector/stats.h"

#include "tests/test.h"

#include <stdlib.h>

static uint64_t field(const struct self_field *f, size_t n, const char *name)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (!strcmp(f[i].name, name))
			return f[i].value;
	CHECK_MSG(false, "no field %s", name);
	return UINT64_MAX;
}

static void fill(struct stats_totals *t)
{
	memset(t, 0, sizeof(*t));
	t->engine.packets_seen = 30;
	t->engine.packets_parsed = 1;
	t->engine.packets_skipped = 2;
	t->engine.packets_truncated = 3;
	t->engine.packets_malformed = 4;
	t->engine.packets_unknown = 5;
	t->engine.packets_duplicate = 6;
	t->engine.packets_excluded = 9;
	t->source.frames = 30;
	t->source.dropped_kernel = 7;
	t->source.skipped = 8;
	stats_sum(t);
}

static void test_sum(void)
{
	struct stats_totals t;

	fill(&t);
	CHECK_INT(t.packets_seen, 45);
	CHECK_INT(t.packets_skipped, 10);
	CHECK(stats_adds_up(&t));
	t.engine.packets_parsed++;
	CHECK(!stats_adds_up(&t));
}

static void test_changes(void)
{
	struct stats_totals before, now;
	struct self_field f[STATS_FIELDS_MOST];
	size_t n, i, j;

	fill(&before);
	before.engine.flows_active = 100;
	now = before;
	now.engine.packets_parsed += 5;
	now.engine.packets_seen += 5;
	now.engine.flows_active = 60;
	now.source.dropped_kernel += 9;
	now.cpu_user_us = 12;
	now.rss_bytes = 4096;
	stats_sum(&now);
	n = stats_fields(&before, &now, f);
	CHECK_INT(field(f, n, "packets_seen"), 14);
	CHECK_INT(field(f, n, "packets_parsed"), 5);
	CHECK_INT(field(f, n, "packets_dropped_kernel"), 9);
	CHECK_INT(field(f, n, "packets_truncated"), 0);
	CHECK_INT(field(f, n, "flows_active"), 60); /* a gauge */
	CHECK_INT(field(f, n, "cpu_user_us"), 12);
	CHECK_INT(field(f, n, "rss_bytes"), 4096);
	for (i = 0; i < n; i++)
		for (j = 0; j < i; j++)
			CHECK_MSG(strcmp(f[i].name, f[j].name), "%s twice", f[i].name);
}

/* A counter that is added to struct engine_stats and not to the list would be a loss that nobody
 * sees: set one word after another, and look whether a field or the table follows. */
static void test_complete(void)
{
	struct self_field zero[STATS_FIELDS_MOST], f[STATS_FIELDS_MOST];
	struct stats_totals before, now;
	size_t words = sizeof(struct engine_stats) / sizeof(uint64_t), w, i, n;
	uint64_t one = 1;

	memset(&before, 0, sizeof(before));
	n = stats_fields(&before, &before, zero);
	for (w = 0; w < words; w++) {
		bool shown = false;

		now = before;
		memcpy((char *)&now.engine + w * sizeof(one), &one, sizeof(one));
		stats_sum(&now);
		CHECK_INT(stats_fields(&before, &now, f), n);
		for (i = 0; i < n; i++)
			shown = shown || f[i].value != zero[i].value;
		CHECK_MSG(shown, "word %zu of struct engine_stats is not shown", w);
	}
}

/* The same for the sums over the outputs. */
static void test_complete_sums(void)
{
	struct self_field zero[STATS_FIELDS_MOST], f[STATS_FIELDS_MOST];
	struct stats_totals before, now;
	size_t words = sizeof(struct sink_sums) / sizeof(uint64_t), w, i, n;
	uint64_t one = 1;

	memset(&before, 0, sizeof(before));
	n = stats_fields(&before, &before, zero);
	CHECK(n < STATS_FIELDS_MOST);
	for (w = 0; w < words; w++) {
		size_t shown = 0;

		now = before;
		memcpy((char *)&now.sink + w * sizeof(one), &one, sizeof(one));
		CHECK_INT(stats_fields(&before, &now, f), n);
		for (i = 0; i < n; i++)
			shown += f[i].value != zero[i].value;
		CHECK_MSG(shown == 1, "word %zu of struct sink_sums is shown %zu times", w, shown);
	}
}

static void test_points_add_up(void)
{
	struct stats_totals t;

	fill(&t);
	CHECK(stats_points_add_up(&t));
	t.sink.points_made = 100;
	t.sink.points_found = 7;
	CHECK(!stats_points_add_up(&t));
	t.sink.points_written = 50;
	t.sink.points_lost = 20;
	t.sink.points_queued = 30;
	t.sink.points_spooled = 7;
	CHECK(stats_points_add_up(&t));
}

struct seen {
	size_t n, counters, losses, gauges;
	uint64_t dropped, dropped_lately, active, active_lately, unit_bytes;
};

static void see(void *ctx, const struct stats_item *item)
{
	struct seen *s = ctx;

	s->n++;
	s->counters += item->kind == STATS_COUNTER;
	s->losses += item->kind == STATS_LOSS;
	s->gauges += item->kind == STATS_GAUGE;
	s->unit_bytes += item->unit == STATS_BYTES;
	if (!item->text[0] || (item->kind == STATS_GAUGE && item->change != item->total))
		CHECK_MSG(false, "%s", item->name);
	if (!strcmp(item->name, "packets_dropped_kernel")) {
		s->dropped = item->total;
		s->dropped_lately = item->change;
	} else if (!strcmp(item->name, "flows_active")) {
		s->active = item->total;
		s->active_lately = item->change;
	}
}

static void test_each(void)
{
	struct self_field f[STATS_FIELDS_MOST];
	struct stats_totals before, now;
	struct seen s = {0};

	fill(&before);
	now = before;
	now.source.dropped_kernel += 5;
	now.engine.flows_active = 60;
	stats_each(&before, &now, see, &s);
	CHECK_INT(s.n, stats_fields(&before, &now, f));
	CHECK_INT(s.dropped, 12);
	CHECK_INT(s.dropped_lately, 5);
	CHECK_INT(s.active, 60);
	CHECK_INT(s.active_lately, 60);
	CHECK_INT(s.losses, 7);
	CHECK_INT(s.gauges, 8);
	CHECK_INT(s.counters, s.n - 15);
	CHECK_INT(s.unit_bytes, 4);
}

static void test_digits(void)
{
	static const struct {
		uint64_t v;
		const char *want;
	} cases[] = {{0, "0"},
		     {999, "999"},
		     {1000, "1,000"},
		     {1234567, "1,234,567"},
		     {UINT64_MAX, "18,446,744,073,709,551,615"}};
	char text[STATS_DIGITS_SIZE];
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		stats_digits(cases[i].v, text);
		CHECK_STR(text, cases[i].want);
	}
}

static bool has_field(const struct stats_totals *t, const char *name)
{
	struct self_field f[STATS_FIELDS_MOST];
	size_t i, n = stats_fields(t, t, f);

	for (i = 0; i < n; i++)
		if (!strcmp(f[i].name, name))
			return true;
	return false;
}

/* What is not measured is absent, not 0; counts of stages that were closed stay. */
static void test_present(void)
{
	struct merge_stats merge = {.series_limited = 3};
	struct geoip_stats geoip = {.hits = 5, .misses = 2, .refused = 1};
	struct self_field f[STATS_FIELDS_MOST];
	struct stats_totals before, t;
	size_t n;

	fill(&t);
	CHECK(!has_field(&t, "series_limited") && !has_field(&t, "geoip_hits"));
	CHECK(!has_field(&t, "owners_known"));
	before = t;
	stats_add_stages(&t.stages, NULL, NULL);
	CHECK(!has_field(&t, "series_limited") && !has_field(&t, "geoip_hits"));
	stats_add_stages(&t.stages, &merge, &geoip);
	stats_add_stages(&t.stages, NULL, &geoip);
	t.processes = true;
	t.owners.known = 7;
	t.owners.queued = 4;
	n = stats_fields(&before, &t, f);
	CHECK(n < STATS_FIELDS_MOST);
	CHECK_INT(field(f, n, "series_limited"), 3);
	CHECK_INT(field(f, n, "geoip_hits"), 10);
	CHECK_INT(field(f, n, "geoip_misses"), 4);
	CHECK_INT(field(f, n, "geoip_refused"), 2);
	CHECK_INT(field(f, n, "owners_known"), 7);
	CHECK_INT(field(f, n, "owners_queued"), 4);
	CHECK(!has_field(&t, "kernel_events") && !has_field(&t, "map_full"));
	t.kernel.on = true; /* the socket tier */
	t.kernel.events = 9;
	t.kernel.lost = 2;
	t.kernel.map_full = 1;
	n = stats_fields(&before, &t, f);
	CHECK_INT(field(f, n, "kernel_events"), 9);
	CHECK_INT(field(f, n, "kernel_lost"), 2);
	CHECK(!has_field(&t, "map_full") && !has_field(&t, "kernel_datagrams"));
	t.kernel.ebpf = true;
	n = stats_fields(&before, &t, f);
	CHECK(n < STATS_FIELDS_MOST);
	CHECK_INT(field(f, n, "map_full"), 1);
	CHECK_INT(field(f, n, "kernel_datagrams"), 0);
	CHECK(!has_field(&t, "kernel_retransmits"));
	t.kernel.probes = true;
	t.kernel.retransmits = 5;
	t.kernel.synack_retransmits = 6;
	t.kernel.resets_sent = 7;
	t.kernel.resets_received = 8;
	n = stats_fields(&before, &t, f);
	CHECK(n < STATS_FIELDS_MOST);
	CHECK_INT(field(f, n, "kernel_retransmits"), 5);
	CHECK_INT(field(f, n, "kernel_synack_retransmits"), 6);
	CHECK_INT(field(f, n, "kernel_resets_sent"), 7);
	CHECK_INT(field(f, n, "kernel_resets_received"), 8);
}

static void test_table(void)
{
	struct stats_totals t;
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);

	if (!CHECK(f != NULL))
		return;
	fill(&t);
	t.engine.bytes_seen = 1234567;
	stats_print(f, &t);
	fclose(f);
	CHECK(strstr(text, "1,234,567 B "));
	CHECK(strstr(text, "adds up"));
	CHECK(!strstr(text, "DOES NOT"));
	CHECK(strstr(text, "--ring-size")); /* packets were dropped: what to do */
	free(text);
	f = open_memstream(&text, &len);
	if (!CHECK(f != NULL))
		return;
	t.engine.packets_unknown++;
	stats_print(f, &t);
	fclose(f);
	CHECK(strstr(text, "DOES NOT ADD UP"));
	free(text);
	f = open_memstream(&text, &len);
	if (!CHECK(f != NULL))
		return;
	t.engine.packets_unknown--;
	t.sink.points_made = 3;
	t.sink.points_written = 2;
	stats_print(f, &t);
	fclose(f);
	CHECK(strstr(text,
		     "made + found 3 = delivered + lost + queued + spooled 2: DOES NOT ADD UP"));
	free(text);
}

static void test_process(void)
{
	struct stats_totals t;

	memset(&t, 0, sizeof(t));
	stats_process(&t);
	CHECK(t.rss_bytes > 0);
}

TEST_MAIN({"the sum", test_sum}, {"changes and gauges", test_changes},
	  {"every counter is shown", test_complete},
	  {"every sum of the outputs is shown", test_complete_sums},
	  {"the outputs' balance", test_points_add_up}, {"the list", test_each},
	  {"digits", test_digits}, {"the table", test_table}, {"what is measured", test_present},
	  {"this process", test_process})
