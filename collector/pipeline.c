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
	struct point_sink lines = line_writer_sink(p->writer);

	lines.put(lines.ctx, point);
}

static void end_cycle(void *ctx, uint64_t cycle_end_ns)
{
	struct pipeline *p = ctx;
	struct point_sink lines = line_writer_sink(p->writer);

	lines.end(lines.ctx, cycle_end_ns);
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
	c.address_class = class_text;
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

static int open_engine(struct pipeline *p, const struct options *o, bool live, size_t max_flows)
{
	struct engine_config c;
	int err;

	engine_config_default(&c);
	c.interval_ns = o->interval_ns;
	c.max_flows = o->max_flows ? (size_t)o->max_flows : max_flows;
	c.dns_timeout_ns = o->dns_timeout_ns;
	c.http_timeout_ns = o->http_timeout_ns;
	c.dns_ports = o->dns_ports;
	c.ndns_ports = o->ndns_ports;
	c.http_max_path = (uint32_t)o->http_max_path;
	c.fold_client_port = !o->no_fold;
	c.tunnels_inner = o->tunnels_inner;
	c.step_back = live;
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

int pipeline_open(struct pipeline *p, const struct options *o, bool live, size_t max_flows)
{
	int err;

	memset(p, 0, sizeof(*p));
	p->start_ns = monotonic_ns();
	err = open_output(p, o);
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
	line_writer_free(p->writer);
	err = sink_close(p->sink);
	line_encoder_free(p->encoder);
	if (err && !p->error)
		log_error("%s: the last points may be lost: %s", p->sink_name, fl_strerror(err));
	memset(p, 0, sizeof(*p));
	return err;
}
