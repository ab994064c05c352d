/* stats.c - self-measurement: the point `flowline` and the table of --stats, both made of one list.
 */
#include "collector/stats.h"

#include <inttypes.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
	COST_PACKETS = 10000
}; /* with fewer, start and end of the program would be most of the cost */

/* One counter: a field of the point and a line of the table. */
struct measure {
	const char *name; /* of the field */
	size_t offset;
	enum stats_kind kind;
	enum stats_unit unit;
	const char *text; /* of the line */
};

struct group {
	const char *title;
	const struct measure *stats;
	size_t n;
	size_t
	    present; /* offset of a bool: without it the group is not measured; 0: it always is */
};

#define AT(m)  offsetof(struct stats_totals, m)
#define ENG(m) offsetof(struct stats_totals, engine.m)

static const struct measure packets[] = {
    {"packets_seen", AT(packets_seen), STATS_COUNTER, STATS_PLAIN, "seen"},
    {"packets_parsed", ENG(packets_parsed), STATS_COUNTER, STATS_PLAIN,
     "parsed: counted to a flow"},
    {"packets_skipped", AT(packets_skipped), STATS_COUNTER, STATS_PLAIN,
     "skipped: nothing for a flow (ARP, ICMP, second copy on lo)"},
    {"packets_duplicate", ENG(packets_duplicate), STATS_COUNTER, STATS_PLAIN,
     "duplicate: the same packet on a second interface"},
    {"packets_excluded", ENG(packets_excluded), STATS_COUNTER, STATS_PLAIN,
     "excluded: left out by capture.exclude (more may be in the kernel)"},
    {"packets_truncated", ENG(packets_truncated), STATS_COUNTER, STATS_PLAIN,
     "truncated: cut before the ports"},
    {"packets_malformed", ENG(packets_malformed), STATS_COUNTER, STATS_PLAIN,
     "malformed: contradict their protocol"},
    {"packets_unknown", ENG(packets_unknown), STATS_COUNTER, STATS_PLAIN,
     "unknown: a protocol that is not looked into"},
    {"packets_dropped_kernel", AT(source.dropped_kernel), STATS_LOSS, STATS_PLAIN,
     "dropped by the kernel: the ring was full"},
};

static const struct measure traffic[] = {
    {"bytes_seen", ENG(bytes_seen), STATS_COUNTER, STATS_BYTES, "on the wire"},
    {"bytes_repaired", ENG(bytes_repaired), STATS_COUNTER, STATS_BYTES,
     "of TCP whose packets were dropped, as this host's sockets tell"},
    {"packets_udp", ENG(packets_udp), STATS_COUNTER, STATS_PLAIN,
     "UDP packets that were handed over, but DNS"},
    {"fragments", ENG(fragments), STATS_COUNTER, STATS_PLAIN, "IP fragments"},
    {"fragments_orphaned", ENG(fragments_orphaned), STATS_COUNTER, STATS_PLAIN,
     "fragments without their first one"},
    {"fragments_lost", ENG(fragments_lost), STATS_LOSS, STATS_PLAIN,
     "fragments for which there was no room"},
    {"time_steps", ENG(time_steps), STATS_COUNTER, STATS_PLAIN, "times the clock went back"},
};

static const struct measure flows[] = {
    {"flows_created", ENG(flows_created), STATS_COUNTER, STATS_PLAIN, "created"},
    {"flows_active", ENG(flows_active), STATS_GAUGE, STATS_PLAIN, "active at the end"},
    {"flows_evicted", ENG(flows_evicted), STATS_LOSS, STATS_PLAIN,
     "ended early: the table was full"},
    {"tcp_holes_forgotten", ENG(tcp_holes_forgotten), STATS_COUNTER, STATS_PLAIN,
     "TCP holes forgotten: more than fit"},
    {"streams_active", ENG(streams_active), STATS_GAUGE, STATS_PLAIN,
     "TCP streams being put in order at the end"},
    {"streams_evicted", ENG(streams_evicted), STATS_LOSS, STATS_PLAIN,
     "TCP streams given up: no room"},
};

static const struct measure dns[] = {
    {"dns_messages", ENG(dns_messages), STATS_COUNTER, STATS_PLAIN, "messages"},
    {"dns_malformed", ENG(dns_malformed), STATS_COUNTER, STATS_PLAIN, "malformed"},
    {"dns_not_query", ENG(dns_not_query), STATS_COUNTER, STATS_PLAIN,
     "with another opcode than QUERY"},
    {"dns_unanswered", ENG(dns_unanswered), STATS_COUNTER, STATS_PLAIN, "queries without answer"},
    {"dns_orphans", ENG(dns_orphans), STATS_COUNTER, STATS_PLAIN, "answers without their query"},
    {"dns_pending", ENG(dns_pending), STATS_GAUGE, STATS_PLAIN, "waiting for an answer at the end"},
    {"dns_evicted", ENG(dns_evicted), STATS_LOSS, STATS_PLAIN, "given up: no room"},
    {"names", ENG(names), STATS_GAUGE, STATS_PLAIN, "addresses whose name is known at the end"},
    {"names_evicted", ENG(names_evicted), STATS_COUNTER, STATS_PLAIN, "names forgotten: no room"},
};

static const struct measure http[] = {
    {"http_requests", ENG(http_requests), STATS_COUNTER, STATS_PLAIN, "requests"},
    {"http_responses", ENG(http_responses), STATS_COUNTER, STATS_PLAIN, "responses"},
    {"http_orphans", ENG(http_orphans), STATS_COUNTER, STATS_PLAIN,
     "responses without their request"},
    {"http_lost", ENG(http_lost), STATS_COUNTER, STATS_PLAIN,
     "times a message was lost in missing bytes"},
    {"http_pending", ENG(http_pending), STATS_GAUGE, STATS_PLAIN,
     "waiting for a response at the end"},
    {"http_evicted", ENG(http_evicted), STATS_LOSS, STATS_PLAIN, "given up: no room"},
};

static const struct measure output[] = {
    {"cycles", ENG(cycles), STATS_COUNTER, STATS_PLAIN, "cycles"},
    {"cycles_early", ENG(cycles_early), STATS_COUNTER, STATS_PLAIN,
     "cycles ended early: the table of points was full"},
    {"points", ENG(points), STATS_COUNTER, STATS_PLAIN, "points made"},
    {"points_made", AT(sink.points_made), STATS_COUNTER, STATS_PLAIN,
     "points given to outputs (each output counts them)"},
    {"points_found", AT(sink.points_found), STATS_COUNTER, STATS_PLAIN,
     "points found in spools at the start"},
    {"points_written", AT(sink.points_written), STATS_COUNTER, STATS_PLAIN, "points delivered"},
    {"points_lost", AT(sink.points_lost), STATS_LOSS, STATS_PLAIN, "points lost"},
    {"points_queued", AT(sink.points_queued), STATS_GAUGE, STATS_PLAIN,
     "points waiting in memory at the end"},
    {"points_spooled", AT(sink.points_spooled), STATS_GAUGE, STATS_PLAIN,
     "points waiting on disk at the end"},
    {"sink_errors", AT(sink.errors), STATS_COUNTER, STATS_PLAIN, "errors of the outputs"},
    {"sink_retries", AT(sink.retries), STATS_COUNTER, STATS_PLAIN,
     "times something was sent again"},
    {"bytes_written", AT(sink.bytes_written), STATS_COUNTER, STATS_BYTES, "written"},
};

static const struct measure limit[] = {
    {"series_limited", AT(stages.series_limited), STATS_COUNTER, STATS_PLAIN,
     "points folded into ~other by points.max_series"},
};

static const struct measure places[] = {
    {"geoip_hits", AT(stages.geoip_hits), STATS_COUNTER, STATS_PLAIN,
     "addresses answered from the cache"},
    {"geoip_misses", AT(stages.geoip_misses), STATS_COUNTER, STATS_PLAIN, "addresses looked up"},
    {"geoip_refused", AT(stages.geoip_refused), STATS_COUNTER, STATS_PLAIN,
     "databases refused: damaged"},
};

static const struct measure owners[] = {
    {"owners_known", AT(owners.known), STATS_COUNTER, STATS_PLAIN,
     "flow ends whose process was found"},
    {"owners_listener", AT(owners.listener), STATS_COUNTER, STATS_PLAIN,
     "whose listener alone was found"},
    {"owners_none", AT(owners.none), STATS_COUNTER, STATS_PLAIN, "whose process was not found"},
    {"owners_queued", AT(owners.queued), STATS_GAUGE, STATS_PLAIN, "waiting at the end"},
    {"owners_queue_full", AT(owners.queue_full), STATS_COUNTER, STATS_PLAIN,
     "not asked for: the queue was full"},
    {"owners_throttled", AT(owners.throttled), STATS_COUNTER, STATS_PLAIN,
     "times it waited: processes.cpu_share was used up"},
};

static const struct measure kernel[] = {
    {"kernel_events", AT(kernel.events), STATS_COUNTER, STATS_PLAIN, "events of sockets"},
    {"kernel_lost", AT(kernel.lost), STATS_COUNTER, STATS_PLAIN,
     "events lost: the buffer was full; a list of all sockets followed"},
    {"kernel_dumps", AT(kernel.dumps), STATS_COUNTER, STATS_PLAIN, "lists of all sockets"},
    {"kernel_samples", AT(kernel.samples), STATS_COUNTER, STATS_PLAIN,
     "figures of connections taken over"},
    {"kernel_unmatched", AT(kernel.unmatched), STATS_COUNTER, STATS_PLAIN,
     "of connections that are not known here"},
};

static const struct measure ebpf[] = {
    {"kernel_datagrams", AT(kernel.datagrams), STATS_COUNTER, STATS_PLAIN,
     "UDP datagrams counted in the kernel"},
    {"map_full", AT(kernel.map_full), STATS_LOSS, STATS_PLAIN,
     "not counted: a map in the kernel was full"},
};

static const struct measure probes[] = {
    {"kernel_retransmits", AT(kernel.retransmits), STATS_COUNTER, STATS_PLAIN,
     "TCP segments that this machine sent again"},
    {"kernel_synack_retransmits", AT(kernel.synack_retransmits), STATS_COUNTER, STATS_PLAIN,
     "SYN-ACKs that it sent again"},
    {"kernel_resets_sent", AT(kernel.resets_sent), STATS_COUNTER, STATS_PLAIN,
     "RSTs that it answered with"},
    {"kernel_resets_received", AT(kernel.resets_received), STATS_COUNTER, STATS_PLAIN,
     "RSTs that its connections received"},
};

static const struct measure process[] = {
    {"cpu_user_us", AT(cpu_user_us), STATS_COUNTER, STATS_MICROSECONDS, "CPU time in the program"},
    {"cpu_sys_us", AT(cpu_sys_us), STATS_COUNTER, STATS_MICROSECONDS, "CPU time in the kernel"},
    {"rss_bytes", AT(rss_bytes), STATS_GAUGE, STATS_BYTES, "memory (resident)"},
};

#define GROUP(title, list)                                                                         \
	{                                                                                          \
		title, list, sizeof(list) / sizeof((list)[0]), 0                                   \
	}
#define GROUP_IF(title, list, present)                                                             \
	{                                                                                          \
		title, list, sizeof(list) / sizeof((list)[0]), AT(present)                         \
	}

static const struct group groups[] = {
    GROUP("packets", packets),
    GROUP("traffic", traffic),
    GROUP("flows", flows),
    GROUP("DNS", dns),
    GROUP("HTTP", http),
    GROUP_IF("places", places, stages.places),
    GROUP_IF("processes of flows", owners, processes),
    GROUP_IF("kernel's counters", kernel, kernel.on),
    GROUP_IF("eBPF", ebpf, kernel.ebpf),
    GROUP_IF("probes", probes, kernel.probes),
    GROUP_IF("limit", limit, stages.limited),
    GROUP("output", output),
    GROUP("process", process),
};

#define NGROUPS (sizeof(groups) / sizeof(groups[0]))

static uint64_t value_of(const struct stats_totals *t, const struct measure *s)
{
	uint64_t v;

	memcpy(&v, (const char *)t + s->offset, sizeof(v));
	return v;
}

static bool measured(const struct stats_totals *t, const struct group *g)
{
	return !g->present || *(const bool *)((const char *)t + g->present);
}

void stats_add_stages(struct stats_stages *sum, const struct merge_stats *merge,
		      const struct geoip_stats *geoip)
{
	if (merge) {
		sum->limited = true;
		sum->series_limited += merge->series_limited;
	}
	if (geoip) {
		sum->places = true;
		sum->geoip_hits += geoip->hits;
		sum->geoip_misses += geoip->misses;
		sum->geoip_refused += geoip->refused;
	}
}

void stats_add_source(struct source_stats *sum, const struct source_stats *one)
{
	sum->frames += one->frames;
	sum->dropped_kernel += one->dropped_kernel;
	sum->skipped += one->skipped;
}

void stats_sum(struct stats_totals *t)
{
	t->packets_seen = t->engine.packets_seen + t->source.dropped_kernel + t->source.skipped;
	t->packets_skipped = t->engine.packets_skipped + t->source.skipped;
}

/* All lines of the group but the first, which is the sum itself. */
static uint64_t sum_of_causes(const struct stats_totals *t)
{
	uint64_t sum = 0;
	size_t i;

	for (i = 1; i < sizeof(packets) / sizeof(packets[0]); i++)
		sum += value_of(t, &packets[i]);
	return sum;
}

bool stats_adds_up(const struct stats_totals *t)
{
	return t->packets_seen == sum_of_causes(t);
}

static uint64_t points_in(const struct sink_sums *s)
{
	return s->points_made + s->points_found;
}

static uint64_t points_out(const struct sink_sums *s)
{
	return s->points_written + s->points_lost + s->points_queued + s->points_spooled;
}

bool stats_points_add_up(const struct stats_totals *t)
{
	return points_in(&t->sink) == points_out(&t->sink);
}

static uint64_t microseconds(const struct timeval *tv)
{
	return (uint64_t)tv->tv_sec * 1000000 + (uint64_t)tv->tv_usec;
}

void stats_process(struct stats_totals *t)
{
	unsigned long long size, resident;
	struct rusage u;
	FILE *f;

	if (!getrusage(RUSAGE_SELF, &u)) {
		t->cpu_user_us = microseconds(&u.ru_utime);
		t->cpu_sys_us = microseconds(&u.ru_stime);
	}
	f = fopen("/proc/self/statm", "re"); /* proc(5): size and resident, in pages */
	if (!f)
		return;
	if (fscanf(f, "%llu %llu", &size, &resident) == 2)
		t->rss_bytes = resident * (uint64_t)sysconf(_SC_PAGESIZE);
	fclose(f);
}

void stats_each(const struct stats_totals *before, const struct stats_totals *now,
		void (*each)(void *ctx, const struct stats_item *item), void *ctx)
{
	size_t g, i;

	for (g = 0; g < NGROUPS; g++) {
		if (!measured(now, &groups[g]))
			continue;
		for (i = 0; i < groups[g].n; i++) {
			const struct measure *s = &groups[g].stats[i];
			uint64_t v = value_of(now, s);
			struct stats_item item = {s->name, s->text, s->kind, s->unit, v, v};

			if (s->kind != STATS_GAUGE)
				item.change = v - value_of(before, s);
			each(ctx, &item);
		}
	}
}

struct field_list {
	struct self_field *out;
	size_t n;
};

static void add_field(void *ctx, const struct stats_item *item)
{
	struct field_list *list = ctx;

	if (list->n == STATS_FIELDS_MOST)
		return;
	list->out[list->n].name = item->name;
	list->out[list->n++].value = item->change;
}

size_t stats_fields(const struct stats_totals *before, const struct stats_totals *now,
		    struct self_field out[STATS_FIELDS_MOST])
{
	struct field_list list = {out, 0};

	stats_each(before, now, add_field, &list);
	return list.n;
}

void stats_digits(uint64_t v, char out[STATS_DIGITS_SIZE])
{
	char digits[24];
	int n = snprintf(digits, sizeof(digits), "%" PRIu64, v), i, at = 0;

	for (i = 0; i < n; i++) {
		if (i && (n - i) % 3 == 0)
			out[at++] = ',';
		out[at++] = digits[i];
	}
	out[at] = '\0';
}

static void print_stat(FILE *f, const struct measure *s, uint64_t v)
{
	static const char *const units[] = {"", "B", "us"};
	char text[STATS_DIGITS_SIZE];

	stats_digits(v, text);
	fprintf(f, "  %20s %-2s  %s\n", text, units[s->unit], s->text);
}

/* The sum and the balance. */
static void print_checks(FILE *f, const struct stats_totals *t)
{
	char in[STATS_DIGITS_SIZE], out[STATS_DIGITS_SIZE];

	stats_digits(t->packets_seen, in);
	stats_digits(sum_of_causes(t), out);
	fprintf(
	    f,
	    "check: seen %s = parsed + skipped + duplicate + excluded + truncated + malformed + "
	    "unknown + dropped %s: %s\n",
	    in, out, stats_adds_up(t) ? "adds up" : "DOES NOT ADD UP, please report it");
	stats_digits(points_in(&t->sink), in);
	stats_digits(points_out(&t->sink), out);
	fprintf(f, "check: points made + found %s = delivered + lost + queued + spooled %s: %s\n",
		in, out, stats_points_add_up(t) ? "adds up" : "DOES NOT ADD UP, please report it");
}

/* What the packets cost, and what would mend losses. */
static void print_conclusions(FILE *f, const struct stats_totals *t)
{
	uint64_t cpu_us = t->cpu_user_us + t->cpu_sys_us;

	print_checks(f, t);
	if (t->engine.packets_seen >= COST_PACKETS)
		fprintf(f, "cost:  %.0f ns of CPU time for each packet, %.3f s in all\n",
			1e3 * (double)cpu_us / (double)t->engine.packets_seen,
			(double)t->elapsed_ns / 1e9);
	if (t->source.dropped_kernel)
		fprintf(
		    f,
		    "lost:  the kernel dropped packets: a bigger --ring-size helps with bursts\n");
	if (t->engine.flows_evicted)
		fprintf(f, "lost:  flows ended early: a bigger --max-flows helps\n");
}

void stats_print(FILE *f, const struct stats_totals *t)
{
	size_t g, i;

	for (g = 0; g < NGROUPS; g++) {
		if (!measured(t, &groups[g]))
			continue;
		fprintf(f, "%s\n", groups[g].title);
		for (i = 0; i < groups[g].n; i++)
			print_stat(f, &groups[g].stats[i], value_of(t, &groups[g].stats[i]));
	}
	print_conclusions(f, t);
	fflush(f);
}
