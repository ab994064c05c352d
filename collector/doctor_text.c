/* doctor_text.c - what the doctor found, as a page for people.
 *
 * Names of interfaces and files, and words of other programs pass buffer_clean(), so that nothing
 * steers the terminal.
 */
#include "collector/doctor.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#ifdef HAVE_CONFIG_H
#include "config.h"
#endif
#ifndef PACKAGE_VERSION
#define PACKAGE_VERSION "(version unknown)"
#endif

enum {
	COLUMN = 14, /* of what a line tells */
	FACT = 13,   /* of a fact's provider, behind it */
	FACT_NAME = COLUMN + FACT - 3,
	WIDE = 96, /* columns */
	LINE_SIZE = 2 * DOCTOR_COMMAND_SIZE,
};

/* Words from column `at` on, which the cursor has reached; lines are broken between words. */
static void put_words(struct buffer *b, int at, const char *s)
{
	size_t room = (size_t)(WIDE - at), used = 0, len;

	for (; *s; s += len) {
		s += strspn(s, " \n\t");
		len = strcspn(s, " \n\t");
		if (!len)
			break;
		if (used && used + 1 + len > room) {
			buffer_printf(b, "\n%*s", at, "");
			used = 0;
		} else if (used) {
			buffer_str(b, " ");
			used++;
		}
		buffer_clean(b, s, len);
		used += len;
	}
	buffer_str(b, "\n");
}

static void PRINTF_LIKE(3, 4) put_line(struct buffer *b, const char *label, const char *fmt, ...)
{
	char line[LINE_SIZE];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	buffer_printf(b, "%-*s", COLUMN, label);
	put_words(b, COLUMN, line);
}

static void put_fact(struct buffer *b, const char *name, const char *text)
{
	int len = (int)strlen(name);

	buffer_str(b, "  ");
	buffer_clean(b, name, strlen(name));
	buffer_printf(b, "%*s", len < FACT_NAME ? FACT_NAME - len + 1 : 1, "");
	put_words(b, COLUMN + FACT, text);
}

static const char *yes(bool v)
{
	return v ? "yes" : "no";
}

/* --- the host --------------------------------------------------------------------------------- */

static void put_host(struct buffer *b, const struct doctor *d)
{
	const struct doctor_host *h = &d->host;
	char memlock[64] = "unlimited", bpf[64] = "not known", seccomp[64] = "not known";

	if (h->memlock_bytes != UINT64_MAX)
		snprintf(memlock, sizeof(memlock), "%" PRIu64 " bytes", h->memlock_bytes);
	if (h->unprivileged_bpf_disabled >= 0)
		snprintf(bpf, sizeof(bpf), "%d", h->unprivileged_bpf_disabled);
	if (h->seccomp >= 0)
		snprintf(seccomp, sizeof(seccomp), "%s",
			 h->seccomp == 2 ? "a filter"
			 : h->seccomp    ? "strict"
					 : "none");
	buffer_printf(b, "flowline %s, %s%s\n", PACKAGE_VERSION,
		      d->libbpf ? "libbpf " : "without libbpf", d->libbpf ? d->libbpf : "");
	put_line(b, "kernel", "%s %s%s%s", h->release, h->machine, h->distribution[0] ? ", " : "",
		 h->distribution);
	put_line(b, "",
		 "BTF %s%s%s%s, kprobes %s, lockdown %s, kernel.unprivileged_bpf_disabled %s",
		 yes(h->btf), d->btf_path[0] ? " (kernel.btf_path " : "", d->btf_path,
		 d->btf_path[0] ? ")" : "", yes(h->kprobes),
		 h->lockdown[0] ? h->lockdown : "not there", bpf);
	put_line(b, "process", "uid %u, memlock %s, seccomp %s, user namespace %s, container %s",
		 h->uid, memlock, seccomp, yes(h->user_namespace),
		 h->container[0] ? h->container : "no");
}

static void put_capabilities(struct buffer *b, const struct doctor *d)
{
	char has[LINE_SIZE] = "", lacks[LINE_SIZE] = "";
	size_t i, nhas = 0, nlacks = 0;

	for (i = 0; i < DOCTOR_CAPABILITIES; i++) {
		const char *name = doctor_capability_name((enum doctor_capability)i);

		if (d->host.has[i])
			nhas += (size_t)snprintf(has + nhas, sizeof(has) - nhas, " %s", name);
		else
			nlacks +=
			    (size_t)snprintf(lacks + nlacks, sizeof(lacks) - nlacks, " %s", name);
	}
	put_line(b, "capabilities", "%s%s", nhas ? "has" : "has none of them", has);
	if (nlacks)
		put_line(b, "", "lacks%s", lacks);
	put_line(b, "configuration", "%s",
		 d->config_file ? d->config_file : "none: the defaults (-c FILE names one)");
}

/* --- the tiers -------------------------------------------------------------------------------- */

static void put_packet(struct buffer *b, const struct doctor *d)
{
	char text[LINE_SIZE];
	size_t i;

	buffer_str(b, "\n");
	put_line(b, "packet tier", "%s", d->packet_works ? "works" : "does not work");
	for (i = 0; i < d->ninterfaces; i++) {
		const struct doctor_interface *one = &d->interfaces[i];

		snprintf(text, sizeof(text), "%s%s",
			 !one->there       ? "is not there: a run waits for it"
			 : one->ring.works ? "a packet ring with its filter"
					   : "nothing: ",
			 one->ring.why);
		put_fact(b, one->name[0] ? one->name : "all interfaces", text);
	}
}

static void put_source(struct buffer *b, const char *label, const struct doctor_source *s,
		       bool verbose)
{
	char text[LINE_SIZE];
	size_t i;

	buffer_str(b, "\n");
	put_line(b, label, "%s%s",
		 s->tier        ? "works"
		 : s->all.works ? "does not work: not all of these can be had"
				: "does not work: ",
		 s->all.why);
	for (i = 0; i < s->nfacts; i++) {
		const struct kernel_fact *f = &s->facts[i];
		bool why = f->why[0] && (verbose || !f->provider);

		snprintf(text, sizeof(text), "%s%s%s", f->provider ? f->provider : "nothing",
			 !why          ? ""
			 : f->provider ? "; before that: "
				       : ": ",
			 why ? f->why : "");
		put_fact(b, f->name, text);
	}
}

/* Why not, or what it does. */
static const char *narrowing(const struct doctor *d)
{
	if (d->narrowed)
		return "on: of this host's own TCP connections only SYN, FIN, RST and what HTTP "
		       "and DNS need are read";
	if (!d->tier)
		return "off: no packets can be had";
	if (!strcmp(d->tier, "packet"))
		return "off: the packet tier reads all packets";
	if (d->narrow == CONF_NARROW_NEVER)
		return "off: kernel.narrow is never; TCP is counted from packets";
	if (d->narrow == CONF_NARROW_AUTO && (d->host.forward4 || d->host.forward6))
		return "off: this host forwards packets, whose addresses may be translated (NAT); "
		       "TCP is counted from packets, the rest is as the tier has it";
	return "off: the kernel tells no figures of closed connections, or a packet ring has no "
	       "room for this host's addresses; TCP is counted from packets";
}

static const char *filter_use(const struct doctor *d)
{
	if (!d->ebpf_filter.works)
		return "does not work: ";
	if (!strncmp(d->filter, "eBPF", 4))
		return "works: UDP is counted in the kernel";
	if (!d->tier)
		return "works, but no packets can be had";
	if (!strcmp(d->tier, "packet"))
		return "works; the packet tier does without it";
	if (d->excludes)
		return "works, but is not used: it knows no rules of capture.exclude";
	if (d->count_udp == CONF_COUNT_UDP_NEVER)
		return "works; kernel.count_udp never does without it";
	return "works, but is not used: not all interfaces that are up have Ethernet headers, or "
	       "a packet ring refused it";
}

static void put_filter(struct buffer *b, const struct doctor *d)
{
	buffer_str(b, "\n");
	if (d->packet_works)
		put_line(b, "filter", "%s", d->filter);
	put_line(b, "eBPF filter", "%s%s", filter_use(d), d->ebpf_filter.why);
	put_line(b, "narrowing", "%s", narrowing(d));
}

/* --- the rest --------------------------------------------------------------------------------- */

static void put_processes(struct buffer *b, const struct doctor *d)
{
	if (!d->processes_enabled)
		put_line(b, "processes", "not asked for (processes.enabled)");
	else if (d->processes_why[0])
		put_line(b, "processes", "%s", d->processes_why);
	else
		put_line(b, "processes",
			 "%" PRIu64 " seen in %" PRIu64 " network namespace%s, nothing is hidden%s",
			 d->processes, d->namespaces, d->namespaces == 1 ? "" : "s",
			 d->scanned ? "" : " so far");
}

static void put_databases(struct buffer *b, const struct doctor *d)
{
	char built[32];
	struct tm tm;
	time_t t;
	size_t i;

	if (!d->ndatabases && !d->geoip_why[0])
		put_line(b, "GeoIP", "no database (geoip.databases)");
	for (i = 0; i < d->ndatabases; i++) {
		const struct doctor_database *one = &d->databases[i];

		t = (time_t)one->built_s;
		if (!t || !gmtime_r(&t, &tm) || !strftime(built, sizeof(built), "%Y-%m-%d", &tm))
			snprintf(built, sizeof(built), "date not known");
		if (one->loaded)
			put_line(b, i ? "" : "GeoIP", "%s: %s, of %s", one->path, one->fields,
				 built);
		else
			put_line(b, i ? "" : "GeoIP", "%s: cannot be used", one->path);
	}
	if (d->geoip_why[0])
		put_line(b, d->ndatabases ? "" : "GeoIP", "%s", d->geoip_why);
}

static void put_choice(struct buffer *b, const struct doctor *d)
{
	static const char *const modes[] = {"auto", "packet", "socket", "probe"};
	size_t i;

	buffer_str(b, "\n");
	if (!d->tier_auto)
		put_line(b, "tier", "none: 'flowline run' would not start");
	else if (d->mode == CONF_MODE_AUTO)
		put_line(b, "tier", "%s, by capture.mode auto", d->tier_auto);
	else
		put_line(b, "tier", "%s, by capture.mode %s; auto would take %s", d->tier,
			 modes[d->mode], d->tier_auto);
	for (i = 0; i < d->nmends; i++) {
		put_line(b, i ? "" : "to mend", "%s:", d->mends[i].what);
		/* a command is one line, to be copied */
		buffer_printf(b, "%*s", COLUMN + 2, "");
		buffer_clean(b, d->mends[i].command, strlen(d->mends[i].command));
		buffer_str(b, "\n");
	}
}

void doctor_text(struct buffer *b, const struct doctor *d)
{
	put_host(b, d);
	put_capabilities(b, d);
	put_packet(b, d);
	put_source(b, "socket tier", &d->socket, d->verbose);
	put_source(b, "probe tier", &d->probe, d->verbose);
	put_filter(b, d);
	put_processes(b, d);
	put_databases(b, d);
	put_choice(b, d);
}
