/* pipeline.c - engine, encoder and output put together. */
#include "collector/pipeline.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
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

/* Counts of an output that came after others. */
static void add_sink(struct sink_stats *sum, const struct sink_stats *more)
{
	sum->points_written += more->points_written;
	sum->points_lost += more->points_lost;
	sum->errors += more->errors;
	sum->bytes_written += more->bytes_written;
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
	t->sink = p->closed;
	add_sink(&t->sink, sink_stats(p->stages->sink));
	t->stages = p->closed_stages;
	add_stages(&t->stages, p->stages);
	t->processes = p->owners != NULL;
	if (p->owners)
		owners_stats(p->owners, &t->owners);
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
	struct point_sink lines = line_writer_sink(p->stages->writer);
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

/* The engine's sink: the stages', and at the cycle's end the point about this program itself. */
static void put_point(void *ctx, const struct point *point)
{
	const struct point_sink *first = &((struct pipeline *)ctx)->stages->first;

	first->put(first->ctx, point);
}

static void end_cycle(void *ctx, uint64_t cycle_end_ns)
{
	struct pipeline *p = ctx;
	struct stages *s = p->stages;
	struct point_sink lines = line_writer_sink(s->writer);

	s->first.end(s->first.ctx, cycle_end_ns);
	p->error = line_writer_error(s->writer);
	if (!p->source_name || p->error == -EPIPE)
		return;
	put_self(p, cycle_end_ns);
	lines.end(lines.ctx, cycle_end_ns);
	if (!p->error)
		p->error = line_writer_error(s->writer);
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

/* sink: one that is open already, which is taken over; NULL: open what the options name. */
static int open_output(struct stages *s, const struct options *o, struct sink *sink)
{
	const char *message = NULL;
	int err = open_encoder(s, o);

	s->sink_name = strcmp(o->sink, "-") ? o->sink : "standard output";
	if (!err && !sink) {
		err = sink_open(&s->sink, o->sink, &message);
		if (err)
			log_error("%s", message ? message : fl_strerror(err));
	}
	if (err)
		return err;
	s->writer = line_writer_new(s->encoder, sink ? sink : s->sink);
	if (!s->writer)
		return no_memory("the output");
	if (sink)
		s->sink = sink;
	return 0;
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

/* 0, or what closing the output said, which is logged. */
static int close_stages(struct pipeline *p, struct stages *s)
{
	int err = 0, closed = 0;

	if (!s)
		return 0;
	add_stages(&p->closed_stages, s);
	enrich_close(&s->enrich);
	merge_free(s->merge);
	line_writer_free(s->writer);
	if (s->sink) {
		err = sink_flush(s->sink);
		add_sink(&p->closed, sink_stats(s->sink));
		closed = sink_close(s->sink);
	}
	line_encoder_free(s->encoder);
	err = err ? err : closed;
	if (err && !p->error)
		log_error("%s: the last points may be lost: %s", s->sink_name, fl_strerror(err));
	free(s);
	return err;
}

/* same: stages whose open databases and standard output go over; they are taken from
 * it only when all else is well (pipeline_change()). */
static int open_stages(struct pipeline *p, const struct options *o, const struct stages *same,
		       bool same_geoip, struct stages **out)
{
	const struct conf *conf = &o->conf;
	struct stages *s = calloc(1, sizeof(*s));
	bool same_sink = same && !strcmp(o->sink, "-") && !strcmp(sink_spec(same->sink), "-");
	int err;

	*out = NULL;
	if (!s)
		return no_memory("the output");
	err = open_output(s, o, same_sink ? same->sink : NULL);
	if (!err)
		err = open_merge(s, o, p);
	s->enrich.next = s->merge ? merge_sink(s->merge) : line_writer_sink(s->writer);
	if (!err && !same_geoip)
		err = enrich_open(&s->enrich, (const char *const *)conf->geoip.databases.v,
				  conf->geoip.databases.n, conf->geoip.language,
				  conf->geoip.coordinates, same || !p->live);
	if (err) {
		if (same_sink)
			s->sink = NULL;
		(void)close_stages(p, s);
		return err;
	}
	s->first = enrich_sink(&s->enrich);
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
	err = open_excludes(&p->excludes, o, p->live);
	if (!err)
		err = open_stages(p, o, NULL, false, &p->stages);
	if (!err)
		err = open_engine(p, o, live);
	if (err)
		(void)pipeline_close(p);
	return err;
}

int pipeline_change(struct pipeline *p, const struct options *o, bool same_geoip, uint64_t now_ns)
{
	struct stages *old = p->stages, *next;
	struct excludes excludes;
	struct engine_config c;
	bool same_sink;
	int err;

	err = open_excludes(&excludes, o, p->live);
	if (err)
		return err;
	err = open_stages(p, o, old, same_geoip, &next);
	if (err) {
		excludes_free(&excludes);
		return err;
	}
	engine_end_cycle(p->engine, now_ns);
	same_sink = next->sink == old->sink;
	if (same_sink)
		old->sink = NULL;
	if (same_geoip) {
		next->enrich.geoip = old->enrich.geoip;
		old->enrich.geoip = NULL;
		next->first = enrich_sink(&next->enrich);
	}
	p->stages = next;
	err = close_stages(p, old);
	(void)err;
	if (!same_sink)
		p->error = 0; /* of the old output; the new one's next flush says how it is */
	engine_config_of(&c, o);
	engine_reconfigure(p->engine, &c);
	excludes_free(&p->excludes);
	p->excludes = excludes;
	engine_set_exclude(p->engine, &p->excludes.flows);
	return 0;
}

int pipeline_finish(struct pipeline *p, uint64_t end_ns, bool table)
{
	int err, before = p->error;

	engine_finish(p->engine, end_ns);
	err = sink_flush(p->stages->sink);
	pipeline_measure(p);
	p->error = before ? before : p->error ? p->error : err;
	if (p->error == -EPIPE || err == -EPIPE)
		log_error("%s: its reader has gone; %" PRIu64 " points were written, %" PRIu64
			  " were lost",
			  p->stages->sink_name, p->now.sink.points_written,
			  p->now.sink.points_lost);
	if (table)
		stats_print(stderr, &p->now);
	return p->error;
}

int pipeline_close(struct pipeline *p)
{
	int err;

	engine_free(p->engine);
	err = close_stages(p, p->stages);
	excludes_free(&p->excludes);
	memset(p, 0, sizeof(*p));
	return err;
}
