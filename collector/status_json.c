/* status_json.c - a run's status as JSON: stable names, described in docs/status.md.
 *
 * What is not known is null or absent, never 0. Times are RFC 3339, in UTC; durations are seconds.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "collector/json.h"
#include "collector/status_view.h"

#define NS_PER_MS 1000000ULL
#define NS_PER_S  1000000000ULL

/* Milliseconds are what anybody reads. */
static double rounded(double v)
{
	return (double)(int64_t)(v * 1e3 + 0.5) / 1e3;
}

static double seconds(uint64_t ns)
{
	return (double)(ns / NS_PER_MS) / 1e3;
}

static void put_time(struct json *j, const char *key, uint64_t ns)
{
	time_t s = (time_t)(ns / NS_PER_S);
	char text[32], all[48];
	struct tm tm;

	if (!ns || !gmtime_r(&s, &tm) || !strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm)) {
		json_null(j, key);
		return;
	}
	snprintf(all, sizeof(all), "%s.%03uZ", text, (unsigned int)(ns % NS_PER_S / NS_PER_MS));
	json_string(j, key, all);
}

static void put_text(struct json *j, const char *key, const char *s)
{
	json_string(j, key, s && s[0] ? s : NULL);
}

static void put_problem(void *ctx, const char *problem)
{
	json_string(ctx, NULL, problem);
}

static void put_run(struct json *j, const struct status_view *v)
{
	uint64_t up_ns = v->now->elapsed_ns;

	json_string(j, "version", v->version);
	json_i64(j, "pid", v->pid);
	put_text(j, "host", v->host);
	json_bool(j, "well", !status_problems(v, NULL, NULL));
	json_array(j, "problems");
	status_problems(v, put_problem, j);
	json_end(j);
	put_time(j, "time", v->now_ns);
	put_time(j, "start_time", v->now_ns > up_ns ? v->now_ns - up_ns : 0);
	json_double(j, "uptime_s", seconds(up_ns));
	put_text(j, "config_file", v->config_file);
}

static void put_facts(struct json *j, const struct status_view *v)
{
	size_t i;

	json_array(j, "facts");
	for (i = 0; i < v->nfacts; i++) {
		json_object(j, NULL);
		put_text(j, "source", v->facts[i].source);
		put_text(j, "name", v->facts[i].fact.name);
		put_text(j, "provider", v->facts[i].fact.provider);
		put_text(j, "why", v->facts[i].fact.why);
		json_end(j);
	}
	json_end(j);
}

static void put_capture(struct json *j, const struct status_view *v)
{
	size_t i;

	json_object(j, "capture");
	put_text(j, "mode", v->mode);
	json_array(j, "interfaces");
	for (i = 0; i < v->ninterfaces; i++) {
		const struct status_interface *x = &v->interfaces[i];

		json_object(j, NULL);
		put_text(j, "name", x->name);
		json_bool(j, "open", x->open);
		if (x->open) {
			json_u64(j, "frames", x->stats.frames);
			json_u64(j, "dropped_kernel", x->stats.dropped_kernel);
			json_u64(j, "skipped", x->stats.skipped);
		}
		json_end(j);
	}
	json_end(j);
	if (v->nfacts)
		put_facts(j, v);
	json_end(j);
}

static void put_counter(void *ctx, const struct stats_item *item)
{
	if (item->kind != STATS_GAUGE)
		json_u64(ctx, item->name, item->change);
}

static void put_gauge(void *ctx, const struct stats_item *item)
{
	if (item->kind == STATS_GAUGE)
		json_u64(ctx, item->name, item->total);
}

static void put_cycle(struct json *j, const struct status_view *v)
{
	struct status_cycle c;
	double cpu_us;

	status_cycle(v, &c);
	cpu_us = (double)(c.to->cpu_user_us + c.to->cpu_sys_us - c.from->cpu_user_us -
			  c.from->cpu_sys_us);
	json_object(j, "cycle");
	json_double(j, "interval_s", seconds(v->interval_ns));
	json_bool(j, "complete", c.complete);
	put_time(j, "start_time", c.since_ns);
	json_double(j, "length_s", rounded(c.seconds));
	json_double(j, "packets_per_s",
		    rounded((double)(c.to->packets_seen - c.from->packets_seen) / c.seconds));
	json_double(
	    j, "bytes_per_s",
	    rounded((double)(c.to->engine.bytes_seen - c.from->engine.bytes_seen) / c.seconds));
	json_double(j, "points_per_s",
		    rounded((double)(c.to->engine.points - c.from->engine.points) / c.seconds));
	json_double(j, "cpu_percent", rounded(cpu_us / 1e4 / c.seconds));
	json_object(j, "counters");
	stats_each(c.from, c.to, put_counter, j);
	json_end(j);
	json_end(j);
}

static void put_totals(struct json *j, const struct status_view *v)
{
	static const struct stats_totals start;

	json_object(j, "totals");
	stats_each(&start, v->now, put_counter, j);
	json_end(j);
	json_object(j, "gauges");
	stats_each(&start, v->now, put_gauge, j);
	json_end(j);
	json_bool(j, "packets_add_up", stats_adds_up(v->now));
	json_bool(j, "points_add_up", stats_points_add_up(v->now));
}

static void put_lost(struct json *j, const struct output_stats *o)
{
	json_object(j, "lost");
	json_u64(j, "queue", o->lost_queue);
	json_u64(j, "refused", o->lost_refused);
	json_u64(j, "spool", o->lost_spool);
	json_u64(j, "end", o->lost_end);
	json_end(j);
}

static void put_output(struct json *j, const struct status_view *v, const struct output_stats *o)
{
	json_object(j, NULL);
	json_string(j, "name", o->name);
	put_text(j, "kind", o->kind);
	json_string(j, "state", status_state_name(o->state));
	put_text(j, "error", o->why);
	json_u64(j, "points_made", o->points_made);
	json_u64(j, "points_found", o->points_found);
	json_u64(j, "points_delivered", o->points_delivered);
	json_u64(j, "points_lost", o->points_lost);
	put_lost(j, o);
	json_u64(j, "points_queued", o->points_queued);
	json_u64(j, "points_spooled", o->points_spooled);
	json_bool(j, "points_add_up", !status_unaccounted(o));
	json_u64(j, "spool_bytes", o->spool_bytes);
	json_u64(j, "points_to_spool", o->points_to_spool);
	json_u64(j, "parcels", o->parcels);
	json_u64(j, "retries", o->retries);
	json_u64(j, "errors", o->errors);
	json_u64(j, "bytes_sent", o->bytes_sent);
	json_double(j, "lag_s", seconds(status_lag_ns(v, o)));
	put_time(j, "oldest_time", o->oldest_ns);
	put_time(j, "last_ok_time", o->last_ok_ns);
	if (o->retry_at_ns)
		json_double(j, "retry_in_s",
			    o->retry_at_ns > v->now_ns ? seconds(o->retry_at_ns - v->now_ns) : 0);
	else
		json_null(j, "retry_in_s");
	json_end(j);
}

/* "country province city" */
static void put_words(struct json *j, const char *key, const char *words)
{
	json_array(j, key);
	while (*words) {
		size_t len = strcspn(words, " ");

		if (len)
			json_text(j, NULL, words, len);
		words += len + (words[len] == ' ');
	}
	json_end(j);
}

static void put_databases(struct json *j, const struct status_view *v)
{
	size_t i;

	json_array(j, "geoip");
	for (i = 0; i < v->ndatabases; i++) {
		const struct geoip_database_info *d = &v->databases[i];

		json_object(j, NULL);
		json_string(j, "path", d->path);
		json_bool(j, "loaded", d->loaded);
		if (d->loaded) {
			put_text(j, "type", d->type);
			put_time(j, "build_time", d->built_s * NS_PER_S);
			put_words(j, "fields", d->fields);
		}
		json_end(j);
	}
	json_end(j);
}

static void put_side(struct json *j, const struct point_side *s, const char *ip_key,
		     const char *port_key)
{
	char ip[ADDR_TEXT_SIZE], port[8];

	addr_format(&s->addr, ip);
	snprintf(port, sizeof(port), "%u", s->port);
	json_string(j, ip_key, s->addr_other ? POINT_OTHER : ip);
	json_string(j, port_key, s->port_other ? POINT_OTHER : s->port_folded ? "*" : port);
}

static void put_talker(struct json *j, const struct talker *k, double cycle_s)
{
	char protocol[8];

	snprintf(protocol, sizeof(protocol), "%u", k->transport);
	json_object(j, NULL);
	put_side(j, &k->src, "src_ip", "src_port");
	put_side(j, &k->dst, "dst_ip", "dst_port");
	json_string(j, "transport",
		    k->transport == 6    ? "tcp"
		    : k->transport == 17 ? "udp"
					 : protocol);
	json_string(j, "direction", k->incoming ? "incoming" : "outgoing");
	json_u64(j, "bytes", k->bytes);
	json_u64(j, "bytes_read", k->bytes_read);
	json_u64(j, "bytes_written", k->bytes_written);
	json_double(j, "bytes_per_s", rounded((double)k->bytes / cycle_s));
	if (k->pid)
		json_u64(j, "pid", k->pid);
	if (k->process[0])
		json_string(j, "process_name", k->process);
	if (k->domain[0])
		json_string(j, "dst_domain", k->domain);
	json_end(j);
}

void status_put_json(struct buffer *b, const struct status_view *v)
{
	struct status_cycle c;
	struct json j;
	size_t i;

	json_init(&j, b);
	json_object(&j, NULL);
	put_run(&j, v);
	put_capture(&j, v);
	put_cycle(&j, v);
	put_totals(&j, v);
	json_array(&j, "outputs");
	for (i = 0; i < v->noutputs; i++)
		put_output(&j, v, &v->outputs[i]);
	json_end(&j);
	put_databases(&j, v);
	status_cycle(v, &c);
	json_array(&j, "talkers");
	for (i = 0; v->talkers && i < v->talkers->nshown; i++)
		put_talker(&j, &v->talkers->shown[i], c.seconds);
	json_end(&j);
	json_end(&j);
	if (!json_done(&j))
		b->failed = true;
}
