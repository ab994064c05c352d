/* pipeline.c - engine, encoder and output put together. */
#include "collector/pipeline.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "collector/outlets.h"
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

static void sum_outputs(struct sink_sums *out, const struct outputs *os)
{
	struct output_stats sum;

	outputs_sum(os, &sum);
	out->points_made = sum.points_made;
	out->points_written = sum.points_delivered;
	out->points_lost = sum.points_lost;
	out->points_spooled = sum.points_spooled;
	out->points_queued = sum.points_queued;
	out->points_found = sum.points_found;
	out->errors = sum.errors;
	out->retries = sum.retries;
	out->bytes_written = sum.bytes_sent;
}

static void add_stages(struct stats_stages *sum, const struct stages *s)
{
	stats_add_stages(sum, s->merge ? merge_stats(s->merge) : NULL,
			 s->enrich.geoip ? geoip_stats(s->enrich.geoip) : NULL);
}

void pipeline_measure(struct pipeline *p)
{
	struct stats_totals *t = &p->now;

	t->engine = *engine_stats(p->engine);
	sum_outputs(&t->sink, p->outputs);
	t->stages = p->closed_stages;
	add_stages(&t->stages, p->stages);
	t->processes = p->owners != NULL;
	if (p->owners)
		owners_stats(p->owners, &t->owners);
	memset(&t->source, 0, sizeof(t->source));
	if (p->source_stats)
		p->source_stats(p->source_ctx, &t->source);
	memset(&t->kernel, 0, sizeof(t->kernel));
	if (p->kernel_stats)
		p->kernel_stats(p->kernel_ctx, &t->kernel);
	stats_sum(t);
	stats_process(t);
	t->elapsed_ns = monotonic_ns() - p->start_ns;
}

/* How one output is, as a point with the tag output. */
static void put_output(struct pipeline *p, size_t i, uint64_t time_ns,
		       const struct point_sink *lines)
{
	struct self_field fields[STATS_FIELDS_MOST];
	struct output_stats stats, *before = &p->before_outputs[i];
	struct point point;

	if (!outputs_stats(p->outputs, i, &stats))
		return;
	if (strcmp(before->name, stats.name))
		memset(before, 0, sizeof(*before));
	memset(&point, 0, sizeof(point));
	point.kind = POINT_SELF;
	point.time_ns = time_ns;
	point.u.self.output = stats.name;
	point.u.self.source = "output";
	point.u.self.nfields = outlet_fields(before, &stats, time_ns, fields);
	point.u.self.fields = fields;
	*before = stats;
	lines->put(lines->ctx, &point);
}

static void put_self(struct pipeline *p, uint64_t time_ns)
{
	struct self_field fields[STATS_FIELDS_MOST];
	struct point_sink lines = line_writer_sink(p->stages->writer);
	struct point point;
	size_t i;

	pipeline_measure(p);
	memset(&point, 0, sizeof(point));
	point.kind = POINT_SELF;
	point.time_ns = time_ns;
	point.u.self.worker = "0";
	point.u.self.source = p->source_name;
	point.u.self.nfields = stats_fields(&p->before, &p->now, fields);
	point.u.self.fields = fields;
	p->cycle_from = p->before;
	p->before = p->now;
	p->cycles++;
	lines.put(lines.ctx, &point);
	for (i = 0; i < outputs_n(p->outputs); i++)
		put_output(p, i, time_ns, &lines);
}

/* The engine's sink: points get their places ... */
static void prepare_points(void *ctx, struct point *points, size_t n)
{
	struct pipeline *p = ctx;

	enrich_points(&p->stages->enrich, points, n);
}

/* ... and go through the stages; at the cycle's end comes the point about this program itself. */
static void put_point(void *ctx, const struct point *point)
{
	struct pipeline *p = ctx;
	const struct point_sink *first = &p->stages->first;

	if (p->live)
		talkers_add(&p->talkers, point);
	first->put(first->ctx, point);
}

static void end_cycle(void *ctx, uint64_t cycle_end_ns)
{
	struct pipeline *p = ctx;
	struct stages *s = p->stages;
	struct point_sink lines = line_writer_sink(s->writer);

	if (p->live)
		talkers_end_cycle(&p->talkers);
	s->first.end(s->first.ctx, cycle_end_ns);
	if (p->source_name) {
		put_self(p, cycle_end_ns);
		lines.end(lines.ctx, cycle_end_ns);
	}
	p->error = outputs_error(p->outputs);
}

static int no_memory(const char *what)
{
	log_error("memory for %s was refused", what);
	return -ENOMEM;
}

static int open_encoder(struct stages *s, const struct options *o)
{
	char host[OPTIONS_HOST_SIZE] = "";
	struct line_config c;

	if (o->host[0])
		snprintf(host, sizeof(host), "%s", o->host);
	else if (gethostname(host, sizeof(host) - 1))
		host[0] = '\0'; /* the tag is absent then */
	memset(&c, 0, sizeof(c));
	c.host = host;
	c.tags = o->tags;
	c.ntags = o->ntags;
	c.address_class =
	    o->conf.points.ip_types == CONF_IP_TYPES_DATAKIT ? class_text_datakit : class_text;
	c.key_fields_as_tags = o->conf.points.key_fields == CONF_KEYS_TAG;
	c.exclude = (const char *const *)o->conf.points.exclude_tags.v;
	c.nexclude = o->conf.points.exclude_tags.n;
	s->encoder = line_encoder_new(&c);
	return s->encoder ? 0 : no_memory("the output");
}

static int open_writer(struct stages *s, const struct options *o, struct outputs *outputs)
{
	int err = open_encoder(s, o);

	if (err)
		return err;
	s->writer = line_writer_new(s->encoder, outputs);
	return s->writer ? 0 : no_memory("the output");
}

/* The stage that leaves out tags and limits series, where the options want one. */
static int open_merge(struct stages *s, const struct options *o, const struct pipeline *p)
{
	const struct conf *conf = &o->conf;
	uint32_t max_series = (uint32_t)conf->points.max_series;
	struct merge_config m;

	if (!max_series && p->live)
		max_series = LIVE_MAX_SERIES;
	if (!conf->points.exclude_tags.n && !max_series)
		return 0;
	memset(&m, 0, sizeof(m));
	m.exclude = (const char *const *)conf->points.exclude_tags.v;
	m.nexclude = conf->points.exclude_tags.n;
	m.key_fields_as_tags = conf->points.key_fields == CONF_KEYS_TAG;
	m.max_series = max_series;
	m.max_points = 2 * p->max_flows + 1024;
	m.address_class =
	    conf->points.ip_types == CONF_IP_TYPES_DATAKIT ? class_text_datakit : class_text;
	m.next = line_writer_sink(s->writer);
	s->merge = merge_new(&m);
	return s->merge ? 0 : no_memory("merging points");
}

static void close_stages(struct pipeline *p, struct stages *s)
{
	if (!s)
		return;
	add_stages(&p->closed_stages, s);
	enrich_close(&s->enrich);
	merge_free(s->merge);
	line_writer_free(s->writer);
	line_encoder_free(s->encoder);
	free(s);
}

/* same_geoip: open databases go over from the stages before, when all else is well
 * (pipeline_change()). */
static int open_stages(struct pipeline *p, const struct options *o, bool same_geoip,
		       struct stages **out)
{
	const struct conf *conf = &o->conf;
	struct stages *s = calloc(1, sizeof(*s));
	int err;

	*out = NULL;
	if (!s)
		return no_memory("the output");
	err = open_writer(s, o, p->outputs);
	if (!err)
		err = open_merge(s, o, p);
	if (err) {
		close_stages(p, s);
		return err;
	}
	s->first = s->merge ? merge_sink(s->merge) : line_writer_sink(s->writer);
	if (!same_geoip)
		err = enrich_open(&s->enrich, (const char *const *)conf->geoip.databases.v,
				  conf->geoip.databases.n, conf->geoip.language,
				  conf->geoip.coordinates, p->engine || !p->live);
	if (err) {
		close_stages(p, s);
		return err;
	}
	*out = s;
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
			: conf->http.paths == CONF_PATHS_OFF    ? HTTP_PATHS_OFF
								: HTTP_PATHS_RAW;
}

static void engine_config_of(struct engine_config *c, const struct options *o)
{
	engine_config_default(c);
	engine_settings(c, o);
	c->interval_ns = o->interval_ns;
	c->dns_timeout_ns = o->dns_timeout_ns;
	c->http_timeout_ns = o->http_timeout_ns;
	c->dns_ports = o->dns_ports;
	c->ndns_ports = o->ndns_ports;
	c->http_max_path = (uint32_t)o->http_max_path;
	c->fold_client_port = !o->no_fold;
	c->tunnels_inner = o->tunnels_inner;
}

static int open_excludes(struct excludes *x, const struct options *o, bool live)
{
	if (excludes_init(x, &o->conf.capture.exclude))
		return no_memory("capture.exclude");
	if (x->has_process && (!live || !o->conf.processes.enabled))
		log_warn("capture.exclude: rules with a process do nothing %s",
			 live ? "without processes.enabled" : "for capture files");
	return 0;
}

static int open_engine(struct pipeline *p, const struct options *o,
		       const struct pipeline_live *live)
{
	struct engine_config c;
	int err;

	engine_config_of(&c, o);
	c.max_flows = p->max_flows;
	c.step_back = live != NULL;
	if (live) {
		c.new_flow = live->new_flow;
		c.before_end = live->before_end;
		c.owner = live->owner;
		c.owner_ctx = live->ctx;
	}
	c.sink.put = put_point;
	c.sink.end = end_cycle;
	c.sink.prepare = prepare_points;
	c.sink.ctx = p;
	p->engine = engine_new(&c);
	if (!p->engine) {
		err = errno ? errno : ENOMEM;
		log_error("memory for %zu flows: %s; use a smaller --max-flows", c.max_flows,
			  strerror(err));
		return -err;
	}
	engine_set_exclude(p->engine, &p->excludes.flows);
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

	memset(p, 0, sizeof(*p));
	p->max_flows = o->max_flows ? (size_t)o->max_flows : max_flows;
	p->live = live != NULL;
	p->start_ns = monotonic_ns();
	talkers_init(&p->talkers);
	err = open_excludes(&p->excludes, o, p->live);
	if (!err)
		err = outlets_open(&p->outputs, &o->conf, p->live);
	if (!err)
		err = open_stages(p, o, false, &p->stages);
	if (!err)
		err = open_engine(p, o, live);
	if (err)
		pipeline_close(p);
	return err;
}

int pipeline_change(struct pipeline *p, const struct options *before, const struct options *o,
		    bool same_geoip, uint64_t now_ns)
{
	struct stages *old = p->stages, *next;
	struct excludes excludes;
	struct outlets *outlets;
	struct engine_config c;
	int err;

	err = open_excludes(&excludes, o, p->live);
	if (err)
		return err;
	err = open_stages(p, o, same_geoip, &next);
	if (err) {
		excludes_free(&excludes);
		return err;
	}
	err = outlets_prepare(&outlets, p->outputs, &before->conf, &o->conf);
	if (err) {
		close_stages(p, next);
		excludes_free(&excludes);
		return err;
	}
	engine_end_cycle(p->engine, now_ns);
	if (same_geoip) {
		next->enrich.geoip = old->enrich.geoip;
		old->enrich.geoip = NULL;
	}
	p->stages = next;
	close_stages(p, old);
	outputs_flush(p->outputs);
	outlets_apply(outlets, p->outputs);
	p->error = outputs_error(p->outputs);
	engine_config_of(&c, o);
	engine_reconfigure(p->engine, &c);
	excludes_free(&p->excludes);
	p->excludes = excludes;
	engine_set_exclude(p->engine, &p->excludes.flows);
	return 0;
}

void pipeline_poll(struct pipeline *p)
{
	outputs_poll(p->outputs);
	p->error = outputs_error(p->outputs);
}

int pipeline_finish(struct pipeline *p, uint64_t end_ns, uint64_t stop_ns, bool table)
{
	uint64_t now_ns;
	int err;

	engine_finish(p->engine, end_ns);
	now_ns = monotonic_ns();
	err = outputs_end(p->outputs, p->live ? now_ns + stop_ns : UINT64_MAX);
	p->error = p->error ? p->error : err;
	pipeline_measure(p);
	if (p->error == -EPIPE || err == -EPIPE)
		log_error("the points' reader has gone; %" PRIu64 " points were written, %" PRIu64
			  " were lost",
			  p->now.sink.points_written, p->now.sink.points_lost);
	if (table)
		stats_print(stderr, &p->now);
	return p->error;
}

void pipeline_close(struct pipeline *p)
{
	engine_free(p->engine);
	close_stages(p, p->stages);
	outputs_free(p->outputs);
	excludes_free(&p->excludes);
	memset(p, 0, sizeof(*p));
}
