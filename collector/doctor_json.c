/* doctor_json.c - what the doctor found as JSON: stable names, described in docs/kernel.md.
 *
 * What is not known is null, never 0 or false.
 */
#include "collector/doctor.h"

#include <stdio.h>
#include <string.h>

#include "collector/json.h"

#ifdef HAVE_CONFIG_H
#include "config.h"
#endif
#ifndef PACKAGE_VERSION
#define PACKAGE_VERSION "(version unknown)"
#endif

static void put_text(struct json *j, const char *key, const char *s)
{
	json_string(j, key, s && s[0] ? s : NULL);
}

static void put_number(struct json *j, const char *key, int v)
{
	if (v < 0)
		json_null(j, key);
	else
		json_i64(j, key, v);
}

static void put_host(struct json *j, const struct doctor *d)
{
	const struct doctor_host *h = &d->host;
	size_t i;

	json_object(j, "kernel");
	put_text(j, "release", h->release);
	put_text(j, "machine", h->machine);
	put_text(j, "distribution", h->distribution);
	json_bool(j, "btf", h->btf);
	put_text(j, "btf_path", d->btf_path);
	json_bool(j, "kprobes", h->kprobes);
	put_text(j, "lockdown", h->lockdown);
	put_number(j, "unprivileged_bpf_disabled", h->unprivileged_bpf_disabled);
	json_end(j);
	json_object(j, "process");
	json_u64(j, "uid", h->uid);
	json_object(j, "capabilities");
	for (i = 0; i < DOCTOR_CAPABILITIES; i++)
		json_bool(j, doctor_capability_name((enum doctor_capability)i), h->has[i]);
	json_end(j);
	if (h->memlock_bytes == UINT64_MAX)
		json_null(j, "memlock_bytes");
	else
		json_u64(j, "memlock_bytes", h->memlock_bytes);
	put_number(j, "seccomp", h->seccomp);
	json_bool(j, "user_namespace", h->user_namespace);
	put_text(j, "container", h->container);
	json_end(j);
}

static void put_packet(struct json *j, const struct doctor *d)
{
	size_t i;

	json_object(j, "packet");
	json_bool(j, "works", d->packet_works);
	json_array(j, "interfaces");
	for (i = 0; i < d->ninterfaces; i++) {
		const struct doctor_interface *one = &d->interfaces[i];

		json_object(j, NULL);
		put_text(j, "name", one->name);
		json_bool(j, "there", one->there);
		json_bool(j, "works", one->ring.works);
		put_text(j, "why", one->ring.why);
		json_end(j);
	}
	json_end(j);
	json_end(j);
}

static void put_source(struct json *j, const char *key, const struct doctor_source *s)
{
	size_t i;

	json_object(j, key);
	json_bool(j, "works", s->tier);
	json_bool(j, "opens", s->all.works);
	put_text(j, "why", s->all.why);
	json_array(j, "facts");
	for (i = 0; i < s->nfacts; i++) {
		json_object(j, NULL);
		json_string(j, "name", s->facts[i].name);
		put_text(j, "provider", s->facts[i].provider);
		put_text(j, "why", s->facts[i].why);
		json_end(j);
	}
	json_end(j);
	json_end(j);
}

static void put_filter(struct json *j, const struct doctor *d)
{
	static const char *const narrow[] = {"auto", "always", "never"};

	json_object(j, "filter");
	put_text(j, "takes", d->packet_works ? d->filter : NULL);
	json_bool(j, "ebpf_works", d->ebpf_filter.works);
	put_text(j, "ebpf_why", d->ebpf_filter.why);
	json_bool(j, "narrowed", d->narrowed);
	json_string(j, "narrow", narrow[d->narrow]);
	json_bool(j, "forwards_ipv4", d->host.forward4);
	json_bool(j, "forwards_ipv6", d->host.forward6);
	json_end(j);
}

static void put_rest(struct json *j, const struct doctor *d)
{
	size_t i;

	json_object(j, "processes");
	json_bool(j, "enabled", d->processes_enabled);
	json_bool(j, "complete", d->scanned);
	json_u64(j, "seen", d->processes);
	json_u64(j, "denied", d->denied);
	json_u64(j, "namespaces", d->namespaces);
	json_u64(j, "namespaces_denied", d->namespaces_denied);
	put_text(j, "why", d->processes_why);
	json_end(j);
	json_object(j, "geoip");
	json_array(j, "databases");
	for (i = 0; i < d->ndatabases; i++) {
		json_object(j, NULL);
		json_string(j, "path", d->databases[i].path);
		json_bool(j, "loaded", d->databases[i].loaded);
		put_text(j, "fields", d->databases[i].fields);
		json_end(j);
	}
	json_end(j);
	put_text(j, "why", d->geoip_why);
	json_end(j);
	json_array(j, "mend");
	for (i = 0; i < d->nmends; i++) {
		json_object(j, NULL);
		json_string(j, "what", d->mends[i].what);
		json_string(j, "command", d->mends[i].command);
		json_end(j);
	}
	json_end(j);
}

void doctor_json(struct buffer *b, const struct doctor *d)
{
	static const char *const modes[] = {"auto", "packet", "socket", "probe"};
	struct json j;

	json_init(&j, b);
	json_object(&j, NULL);
	json_string(&j, "version", PACKAGE_VERSION);
	put_text(&j, "libbpf", d->libbpf);
	put_text(&j, "config_file", d->config_file);
	json_bool(&j, "works", d->packet_works);
	json_string(&j, "mode", modes[d->mode]);
	put_text(&j, "tier", d->tier);
	put_text(&j, "tier_auto", d->tier_auto);
	put_host(&j, d);
	put_packet(&j, d);
	put_source(&j, "socket", &d->socket);
	put_source(&j, "probe", &d->probe);
	put_filter(&j, d);
	put_rest(&j, d);
	json_end(&j);
	if (!json_done(&j))
		b->failed = true;
}
