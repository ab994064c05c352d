/* outlets.c - see outlets.h. */
#include "collector/outlets.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/pipeline.h"
#include "common/log.h"
#include "output/sink_file.h"
#include "output/sink_http.h"
#include "output/sink_socket.h"

#define NS_PER_S 1000000000ULL

enum {
	LOSSLESS_QUEUE = 1 << 20, /* a few batches: more would only leave the caches */
	LOSSLESS_GIVE_UP_S = 30,
};

/* One output that is to be. */
struct outlet {
	char name[CONF_OUTPUT_NAME_SIZE];
	char spool_dir[4096 + CONF_OUTPUT_NAME_SIZE];
	struct output_config config;
	bool reopen; /* the same file: it keeps its sink */
};

struct outlets {
	struct outlet v[CONF_OUTPUTS_MOST];
	size_t n;
	uint64_t stop_timeout_ns;
};

/* ---- sinks */

static const char *text_or_null(const char *s)
{
	return s && *s ? s : NULL;
}

static int open_http(struct sink **sink, const struct conf_output *c, char *why)
{
	struct sink_http_config h = {
	    .url = c->url,
	    .database = text_or_null(c->database),
	    .retention_policy = text_or_null(c->retention_policy),
	    .org = text_or_null(c->org),
	    .bucket = text_or_null(c->bucket),
	    .user = text_or_null(c->user),
	    .password = text_or_null(c->password),
	    .token = text_or_null(c->token),
	    .headers = (const char *const *)c->headers.v,
	    .nheaders = c->headers.n,
	    .ca_file = text_or_null(c->ca_file),
	    .cert_file = text_or_null(c->cert_file),
	    .key_file = text_or_null(c->key_file),
	    .insecure = c->insecure,
	    .proxy = text_or_null(c->proxy),
	    .gzip = c->gzip,
	    .timeout_ns = c->timeout_ns,
	};

	/* Not before it is needed: TLS takes 10 MB. */
	return sink_http_start() ? -ENOMEM : sink_http_open(sink, &h, why);
}

static int open_file(struct sink **sink, const struct conf_output *c, char *why)
{
	struct sink_file_config f = {
	    .path = c->path,
	    .rotate_bytes = c->rotate_bytes,
	    .rotate_age_ns = c->rotate_age_ns,
	    .keep = (unsigned int)c->keep,
	    .compress = c->compress,
	};

	return sink_file_open(sink, &f, why);
}

static int open_unix(struct sink **sink, const struct conf_output *c, char *why)
{
	struct sink_unix_config u = {
	    .path = c->path,
	    .datagram = c->type == CONF_UNIX_DATAGRAM,
	    .datagram_bytes = c->datagram_bytes,
	    .timeout_ns = c->timeout_ns,
	};

	return sink_unix_open(sink, &u, why);
}

/* "host:port" or "[v6]:port", as the configuration has checked. */
static int open_udp(struct sink **sink, const struct conf_output *c, char *why)
{
	char host[CONF_HOST_MOST + 1];
	const char *colon = strrchr(c->address, ':'), *from = c->address;
	size_t len = colon ? (size_t)(colon - from) : 0;
	struct sink_udp_config u = {.host = host, .datagram_bytes = c->datagram_bytes};

	if (len && from[0] == '[' && from[len - 1] == ']') {
		from++;
		len -= 2;
	}
	if (!len || len >= sizeof(host)) {
		snprintf(why, SINK_WHY_SIZE, "'%.200s' is not HOST:PORT", c->address);
		return FL_EUSAGE;
	}
	memcpy(host, from, len);
	host[len] = '\0';
	u.port = colon + 1;
	return sink_udp_open(sink, &u, why);
}

static int open_sink(struct sink **sink, const struct conf_output *c, char *why)
{
	why[0] = '\0';
	switch (c->kind) {
	case CONF_OUTPUT_STDOUT:
		return sink_stdout_open(sink, why);
	case CONF_OUTPUT_FILE:
		return open_file(sink, c, why);
	case CONF_OUTPUT_HTTP:
		return open_http(sink, c, why);
	case CONF_OUTPUT_UNIX:
		return open_unix(sink, c, why);
	case CONF_OUTPUT_UDP:
		return open_udp(sink, c, why);
	}
	return FL_EUSAGE;
}

/* ---- what an output is to be */

static void close_sink(struct sink *sink)
{
	char why[SINK_WHY_SIZE] = "";

	if (sink && sink->ops->close(sink, why))
		log_debug("%s", why);
}

/* All but the sink. */
static void describe(struct outlet *out, const struct conf_output *c, const struct conf *conf,
		     bool live)
{
	struct output_config *o = &out->config;
	char dir[CONF_OUTPUT_NAME_SIZE];
	bool as_it_comes = c->kind == CONF_OUTPUT_STDOUT || c->kind == CONF_OUTPUT_FILE;

	memset(out, 0, sizeof(*out));
	conf_output_name(c, out->name, sizeof(out->name));
	o->name = out->name;
	o->lossless = !live;
	o->give_up_ns = LOSSLESS_GIVE_UP_S * NS_PER_S;
	o->queue_bytes = live ? conf->sending.queue_bytes : LOSSLESS_QUEUE;
	o->batch_points = as_it_comes ? 0 : (uint32_t)c->batch_points;
	o->batch_bytes = c->batch_bytes;
	o->batch_age_ns = c->batch_age_ns;
	o->retry_min_ns = conf->sending.retry_min_ns;
	o->retry_max_ns = conf->sending.retry_max_ns;
	o->replay_rate = conf->spool.replay_rate;
	o->spool.max_bytes = conf->spool.max_bytes;
	o->spool.max_age_ns = conf->spool.max_age_ns;
	o->spool.segment_bytes = conf->spool.segment_bytes;
	if (!live || !c->spool || !conf->spool.directory[0])
		return;
	conf_output_dir_name(c, dir, sizeof(dir));
	snprintf(out->spool_dir, sizeof(out->spool_dir), "%s/%s", conf->spool.directory, dir);
	o->spool.dir = out->spool_dir;
}

static const struct conf_output *find(const struct conf *conf, const char *name)
{
	char other[CONF_OUTPUT_NAME_SIZE];
	size_t i;

	for (i = 0; conf && i < conf->outputs.n; i++) {
		conf_output_name(&conf->outputs.v[i], other, sizeof(other));
		if (!strcmp(name, other))
			return &conf->outputs.v[i];
	}
	return NULL;
}

/* May it keep its sink, which opens the file anew? */
static bool same_sink(const struct conf_output *a, const struct conf_output *b)
{
	if (!a || a->kind != b->kind)
		return false;
	if (a->kind == CONF_OUTPUT_STDOUT)
		return true;
	return a->kind == CONF_OUTPUT_FILE && !strcmp(a->path, b->path) &&
	       a->rotate_bytes == b->rotate_bytes && a->rotate_age_ns == b->rotate_age_ns &&
	       a->keep == b->keep && a->compress == b->compress;
}

static int prepare(struct outlets *next, const struct outputs *os, const struct conf *before,
		   const struct conf *now, bool live)
{
	char why[SINK_WHY_SIZE];
	size_t i;
	int err;

	next->stop_timeout_ns = now->sending.stop_timeout_ns;
	for (i = 0; i < now->outputs.n; i++) {
		const struct conf_output *c = &now->outputs.v[i];
		struct outlet *out = &next->v[next->n];

		describe(out, c, now, live);
		next->n++;
		if (os && outputs_find(os, out->name) && same_sink(find(before, out->name), c)) {
			out->reopen = c->kind == CONF_OUTPUT_FILE;
			continue;
		}
		err = open_sink(&out->config.sink, c, why);
		if (err) {
			log_error("output %s: %s", out->name, why[0] ? why : fl_strerror(err));
			return err;
		}
	}
	return 0;
}

int outlets_prepare(struct outlets **next, const struct outputs *os, const struct conf *before,
		    const struct conf *now)
{
	int err;

	*next = calloc(1, sizeof(**next));
	err = *next ? prepare(*next, os, before, now, true) : -ENOMEM;
	if (!err)
		return 0;
	if (err == -ENOMEM)
		log_error("memory for the outputs was refused");
	outlets_discard(*next);
	*next = NULL;
	return err;
}

void outlets_discard(struct outlets *next)
{
	size_t i;

	for (i = 0; next && i < next->n; i++)
		close_sink(next->v[i].config.sink);
	free(next);
}

/* ---- the change */

static bool wanted(const struct outlets *next, const char *name)
{
	size_t i;

	for (i = 0; i < next->n; i++)
		if (!strcmp(next->v[i].name, name))
			return true;
	return false;
}

static int start(struct outputs *os, struct outlet *out)
{
	char why[SINK_WHY_SIZE] = "";
	struct output *o;
	int err = output_open(&o, &out->config, why);

	out->config.sink = NULL; /* output_open() has it, in any case */
	if (err) {
		log_error("output %s: %s", out->name, why);
		return err;
	}
	err = outputs_add(os, o);
	if (err) {
		log_error("output %s: %s", out->name, fl_strerror(err));
		output_stop(o, 0);
		if (output_close(o, NULL, why))
			log_error("output %s: %s", out->name, why);
	}
	return err;
}

void outlets_apply(struct outlets *next, struct outputs *os)
{
	uint64_t until_ns = monotonic_ns() + next->stop_timeout_ns;
	size_t i = 0;

	outputs_poll(os);
	while (i < outputs_n(os)) {
		struct output *o = outputs_at(os, i);
		struct output_stats stats;

		output_stats(o, &stats);
		if (wanted(next, stats.name))
			i++;
		else
			outputs_leave(os, o, until_ns);
	}
	for (i = 0; i < next->n; i++) {
		struct outlet *out = &next->v[i];
		struct output *o = outputs_find(os, out->name);

		if (!o) {
			int err = start(os, out);

			(void)err; /* said; the others go on */
			continue;
		}
		output_change(o, &out->config);
		out->config.sink = NULL;
		if (out->reopen)
			output_reopen(o);
	}
	outlets_discard(next);
}

int outlets_open(struct outputs **os, const struct conf *conf, bool live)
{
	struct outlets *first = calloc(1, sizeof(*first));
	size_t i;
	int err = 0;

	*os = first ? outputs_new() : NULL;
	if (!*os)
		err = -ENOMEM;
	if (err)
		log_error("the outputs: %s", fl_strerror(err));
	else
		err = prepare(first, NULL, NULL, conf, live);
	for (i = 0; !err && i < first->n; i++)
		err = start(*os, &first->v[i]);
	outlets_discard(first);
	if (err) {
		outputs_free(*os);
		*os = NULL;
	}
	return err;
}
