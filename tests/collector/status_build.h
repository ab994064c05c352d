/* status_build.h - a status_view of a run that is well, for tests to spoil. */
#ifndef TESTS_COLLECTOR_STATUS_BUILD_H
#define TESTS_COLLECTOR_STATUS_BUILD_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "collector/status_view.h"

#define BUILD_S 1000000000ULL

/* 2026-11-22 14:02:11.500 UTC */
#define BUILD_NOW (1795356131ULL * BUILD_S + BUILD_S / 2)

struct built {
	struct status_view view;
	struct stats_totals from, to, now;
	struct talkers talkers;
};

static inline void build_totals(struct stats_totals *t, uint64_t seconds)
{
	memset(t, 0, sizeof(*t));
	t->elapsed_ns = seconds * BUILD_S;
	t->engine.packets_seen = t->engine.packets_parsed = 12345 * seconds;
	t->engine.bytes_seen = 9800000 * seconds;
	t->engine.flows_active = 1234;
	t->engine.flows_created = 5 * seconds;
	t->engine.dns_messages = 2 * seconds;
	t->engine.http_requests = t->engine.http_responses = seconds;
	t->engine.points = 10 * seconds;
	t->cpu_user_us = 8000 * seconds;
	t->cpu_sys_us = 4000 * seconds;
	t->rss_bytes = 23400000;
	stats_sum(t);
}

static inline void build_talker(struct talkers *t, unsigned int i, const char *process,
				const char *domain)
{
	uint8_t src[4] = {10, 0, 0, 7}, dst[4] = {93, 184, 216, (uint8_t)i};
	struct point p;

	memset(&p, 0, sizeof(p));
	p.kind = POINT_NETFLOW;
	addr_from_v4(&p.src.addr, src);
	addr_from_v4(&p.dst.addr, dst);
	p.src.port_folded = true;
	p.dst.port = 443;
	p.transport = i % 2 ? 6 : 17;
	p.incoming = i == 3;
	p.pid = process[0] ? 4000 + i : 0;
	p.process_name.s = process;
	p.process_name.len = (uint32_t)strlen(process);
	p.dst_domain.s = domain;
	p.dst_domain.len = (uint32_t)strlen(domain);
	p.u.netflow.bytes_read = 6000000 / (i + 1);
	p.u.netflow.bytes_written = 100;
	talkers_add(t, &p);
}

static inline void build_outputs(struct status_view *v)
{
	struct output_stats *o = v->outputs;

	snprintf(o[0].name, sizeof(o[0].name), "influx");
	o[0].kind = "http";
	o[0].state = OUTPUT_OK;
	o[0].points_made = 1244;
	o[0].points_delivered = 1234;
	o[0].points_queued = 10;
	o[0].oldest_ns = v->now_ns - 400000000;
	o[0].last_ok_ns = v->now_ns - BUILD_S;
	snprintf(o[1].name, sizeof(o[1].name), "file:/var/log/flowline.line");
	o[1].kind = "file";
	o[1].state = OUTPUT_OK;
	o[1].points_made = o[1].points_delivered = 1244;
	v->noutputs = 2;
}

/* 130 s after the start, the last cycle from second 60 to 120. v: zeroed, or as status_poll() gives
 * it. */
static inline void build_view(struct built *b, struct status_view *v)
{
	size_t i;

	v->now_ns = BUILD_NOW;
	v->pid = 4711;
	v->version = "0.1.0";
	v->host = "web1";
	v->config_file = "/etc/flowline/flowline.yaml";
	v->mode = "packet";
	v->interval_ns = 60 * BUILD_S;
	snprintf(v->interfaces[0].name, IFACE_NAME_SIZE, "eth0");
	v->interfaces[0].open = true;
	v->interfaces[0].stats.frames = 99;
	snprintf(v->interfaces[1].name, IFACE_NAME_SIZE, "wg0");
	v->ninterfaces = 2;
	build_totals(&b->from, 60);
	build_totals(&b->to, 120);
	build_totals(&b->now, 130);
	build_outputs(v);
	for (i = 0; i < v->noutputs; i++) {
		b->now.sink.points_made += v->outputs[i].points_made;
		b->now.sink.points_written += v->outputs[i].points_delivered;
		b->now.sink.points_queued += v->outputs[i].points_queued;
	}
	v->now = &b->now;
	v->cycle_from = &b->from;
	v->cycle_to = &b->to;
	v->databases[0].path = "/usr/share/GeoIP/city.mmdb";
	v->databases[0].loaded = true;
	v->databases[0].type = "DBIP-City-Lite";
	v->databases[0].built_s = 1793491200; /* 2026-11-01 */
	snprintf(v->databases[0].fields, sizeof(v->databases[0].fields), "country province city");
	v->databases[1].path = "/usr/share/GeoIP/asn.mmdb";
	v->ndatabases = 2;
	talkers_init(&b->talkers);
	build_talker(&b->talkers, 0, "nginx", "");
	build_talker(&b->talkers, 1, "", "www.example.com");
	build_talker(&b->talkers, 3, "sshd", "");
	talkers_end_cycle(&b->talkers);
	v->talkers = &b->talkers;
}

static inline struct built *build(void)
{
	struct built *b = calloc(1, sizeof(*b));

	if (!b)
		abort();
	build_view(b, &b->view);
	return b;
}

#endif
