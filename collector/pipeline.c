/* pipeline.c - engine, encoder and output put together. */
#include "collector/pipeline.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"
#include "geoip/address_class.h"

#define NS_PER_S 1000000000ULL

enum { LIVE_MAX_SERIES = 100000 }; /* points.max_series: auto */

uint64_t monotonic_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

static const char *class_text(const struct ip_addr *a)
{
	return addr_class_names[addr_class_of(a)];
}

/* points.ip_types: datakit */
static const char *class_text_datakit(const struct ip_addr *a)
{
	enum addr_class c = addr_class_of(a);

	return addr_class_names[c == ADDR_PUBLIC ? ADDR_OTHER : c];
}

static void give_frames(void *ctx, const struct frame *frames, size_t n)
{
	engine_frames(ctx, frames, n);
}

void pipeline_measure(struct pipeline *p)
{
	struct stats_totals *t = &p->now;

	t->engine = *engine_stats(p->engine);
	t->sink = *sink_stats(p->sink);
	memset(&t->source, 0, sizeof(t->source));
	if (p->source_stats)
		p->source_stats(p->source_ctx, &t->source);
	stats_sum(t);
	stats_process(t);
	t->elapsed_ns = monotonic_ns() - p->start_ns;
}

static void put_self(struct pipeline *p, uint64_t time_ns)
{
	struct self_field fields[STATS_FIELDS_MOST];
	struct point_sink lines = line_writer_sink(p->writer);
	struct point point;

	pipeline_measure(p);
	memset(&point, 0, sizeof(point));
	point.kind = POINT_SELF;
	point.time_ns = time_ns;
	point.u.self.worker = "0";
	point.u.self.source = p->source_name;
	point.u.self.nfields = stats_fields(&p->before, &p->now, fields);
	point.u.self.fields = fields;
	p->before = p->now;
	lines.put(lines.ctx, &point);
}

/* The engine's sink: the writer's, and at the cycle's end the point about this program itself. */
static void put_point(void *ctx, const struct point *point)
{
	struct pipeline *p = ctx;

	p->points.put(p->points.ctx, point);
}

static void end_cycle(void *ctx, uint64_t cycle_end_ns)
{
	struct pipeline *p = ctx;
	struct point_sink lines = line_writer_sink(p->writer);

	p->points.end(p->points.ctx, cycle_end_ns);
	p->error = line_writer_error(p->writer);
	if (!p->source_name || p->error == -EPIPE)
		return;
	put_self(p, cycle_end_ns);
	lines.end(lines.ctx, cycle_end_ns);
	if (!p->error)
		p->error = line_writer_error(p->writer);
}

static int open_output(struct pipeline *p, const struct options *o)
{
	char host[OPTIONS_HOST_SIZE] = "";
	struct line_config c;
	const char *message = NULL;
	int err;

	if (o->host[0])
		snprintf(host, sizeof(host), "%s", o->host);
	else if (gethostname(host, sizeof(host) - 1))
		host[0] = '\0'; /* the tag is absent then */
	memset(&c, 0, sizeof(c));
	c.host = host;
	c.tags = o->tags;
	c.ntags = o->ntags;
	c.address_class = o->conf.points.ip_types == CONF_IP_TYPES_DATAKIT ? class_text_datakit
									    : class_text;
	c.key_fields_as_tags = o->conf.points.key_fields == CONF_KEYS_TAG;
	c.exclude = (const char *const *)o->conf.points.exclude_tags.v;
	c.nexclude = o->conf.points.exclude_tags.n;
	p->encoder = line_encoder_new(&c);
	if (!p->encoder) {
		log_error("memory for the output was refused");
		return -ENOMEM;
	}
	p->sink_name = strcmp(o->sink, "-") ? o->sink : "standard output";
	err = sink_open(&p->sink, o->sink, &message);
	if (err) {
		log_error("%s", message ? message : fl_strerror(err));
		return err;
	}
	p->writer = line_writer_new(p->encoder, p->sink);
	if (!p->writer) {
		log_error("memory for the output was refused");
		return -ENOMEM;
	}
	return 0;
}

/* The stages between the engine and the lines: places, then what is left out and limited. */
static int open_stages(struct pipeline *p, const struct options *o, bool live, size_t max_flows)
{
	const struct conf *conf = &o->conf;
	uint32_t max_series = (uint32_t)conf->points.max_series;
	struct merge_config m;

	if (!max_series && live)
		max_series = LIVE_MAX_SERIES;

	p->points = line_writer_sink(p->writer);
	if (conf->points.exclude_tags.n || max_series) {
		memset(&m, 0, sizeof(m));
		m.exclude = (const char *const *)conf->points.exclude_tags.v;
		m.nexclude = conf->points.exclude_tags.n;
		m.key_fields_as_tags = conf->points.key_fields == CONF_KEYS_TAG;
		m.max_series = max_series;
		m.max_points = 2 * max_flows + 1024;
		m.address_class = conf->points.ip_types == CONF_IP_TYPES_DATAKIT ? class_text_datakit
										   : class_text;
		m.next = p->points;
		p->merge = merge_new(&m);
		if (!p->merge) {
			log_error("memory for merging points was refused");
			return -ENOMEM;
		}
		p->points = merge_sink(p->merge);
	}
	p->enrich.next = p->points;
	if (enrich_open(&p->enrich, (const char *const *)conf->geoip.databases.v,
			conf->geoip.databases.n, conf->geoip.language, conf->geoip.coordinates))
		return -ENOMEM;
	p->points = enrich_sink(&p->enrich);
	return 0;
}

/* The settings that the engine takes as they are. */
static void engine_settings(struct engine_config *c, const struct options *o)
{
	const struct conf *conf = &o->conf;

	c->tcp_idle_ns = conf->flows.tcp_idle_ns;
	c->udp_idle_ns = conf->flows.udp_idle_ns;
	c->tcp_attempt_ns = conf->flows.tcp_attempt_ns;
	c->max_dns_pending = conf->dns.max_pending;
	c->max_http_pending = conf->http.max_pending;
	c->dns_domain = conf->points.dns_domain;
	c->max_names = conf->names.enabled ? conf->names.max_entries : 0;
	c->http_paths = conf->http.paths == CONF_PATHS_TEMPLATE ? HTTP_PATHS_TEMPLATE
			: conf->http.paths == CONF_PATHS_OFF	 ? HTTP_PATHS_OFF
								 : HTTP_PATHS_RAW;
}

static int open_engine(struct pipeline *p, const struct options *o, const struct pipeline_live *live,
		       size_t max_flows)
{
	struct engine_config c;
	int err;

	engine_config_default(&c);
	c.interval_ns = o->interval_ns;
	engine_settings(&c, o);
	c.max_flows = max_flows;
	c.dns_timeout_ns = o->dns_timeout_ns;
	c.http_timeout_ns = o->http_timeout_ns;
	c.dns_ports = o->dns_ports;
	c.ndns_ports = o->ndns_ports;
	c.http_max_path = (uint32_t)o->http_max_path;
	c.fold_client_port = !o->no_fold;
	c.tunnels_inner = o->tunnels_inner;
	c.step_back = live != NULL;
	if (live) {
		c.new_flow = live->new_flow;
		c.before_end = live->before_end;
		c.owner = live->owner;
		c.owner_ctx = live->ctx;
	}
	c.sink.put = put_point;
	c.sink.end = end_cycle;
	c.sink.ctx = p;
	p->engine = engine_new(&c);
	if (!p->engine) {
		err = errno ? errno : ENOMEM;
		log_error("memory for %zu flows: %s; use a smaller --max-flows", c.max_flows,
			  strerror(err));
		return -err;
	}
	err = engine_set_local(p->engine, o->local, o->nlocal);
	if (err)
		log_error("--local: %zu networks: %s", o->nlocal, fl_strerror(err));
	p->frames.frames = give_frames;
	p->frames.ctx = p->engine;
	return err;
}

int pipeline_open(struct pipeline *p, const struct options *o, const struct pipeline_live *live,
		  size_t max_flows)
{
	int err;

	if (o->max_flows)
		max_flows = (size_t)o->max_flows;
	memset(p, 0, sizeof(*p));
	p->start_ns = monotonic_ns();
	err = open_output(p, o);
	if (!err)
		err = open_stages(p, o, live != NULL, max_flows);
	if (!err)
		err = open_engine(p, o, live, max_flows);
	if (err)
		(void)pipeline_close(p);
	return err;
}

int pipeline_finish(struct pipeline *p, uint64_t end_ns, bool table)
{
	const struct sink_stats *sink = sink_stats(p->sink);
	int err, before = p->error;

	engine_finish(p->engine, end_ns);
	err = sink_flush(p->sink);
	pipeline_measure(p);
	p->error = before ? before : p->error ? p->error : err;
	if (p->error == -EPIPE || err == -EPIPE)
		log_error("%s: its reader has gone; %" PRIu64 " points were written, %" PRIu64
			  " were lost",
			  p->sink_name, sink->points_written, sink->points_lost);
	if (table)
		stats_print(stderr, &p->now);
	return p->error;
}

int pipeline_close(struct pipeline *p)
{
	int err;

	engine_free(p->engine);
	enrich_close(&p->enrich);
	merge_free(p->merge);
	line_writer_free(p->writer);
	err = sink_close(p->sink);
	line_encoder_free(p->encoder);
	if (err && !p->error)
		log_error("%s: the last points may be lost: %s", p->sink_name, fl_strerror(err));
	memset(p, 0, sizeof(*p));
	return err;
}
