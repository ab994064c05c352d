/* status_text.c - a run's status as a table for people: about one screen.
 *
 * Names, errors and addresses of talkers come from elsewhere: they pass buffer_clean(), so that
 * nothing steers the terminal. Times are the local ones of the running collector.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "collector/status_view.h"

#define NS_PER_S 1000000000ULL

enum {
	COLUMN = 14,         /* of what a line tells */
	SOME_SIZE = 64,      /* a number, a time, a port */
	END_SIZE = 128,      /* an address or its name, with the port */
	NAMES_SHOWN = 8,     /* of interfaces */
	DOMAIN_SHOWN = 46,   /* bytes; as long as an address */
	PROBLEMS_SHOWN = 10, /* lines */
	FACTS_WIDE = 86,     /* columns, behind the label */
};

/* --- numbers, times --------------------------------------------------------------------------- */

/* "8.1 MB", by 1000 as networks and disks count */
static void format_bytes(double v, char out[SOME_SIZE])
{
	static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB", "EB"};
	size_t i = 0;

	/* not "1000 kB": what would be rounded up to it is the next unit's */
	while (v >= (i ? 999.95 : 999.5) && i + 1 < sizeof(units) / sizeof(units[0])) {
		v /= 1000;
		i++;
	}
	snprintf(out, SOME_SIZE, i && v < 99.95 ? "%.1f %s" : "%.0f %s", v, units[i]);
}

static void format_rate(double v, char out[SOME_SIZE])
{
	if (v >= 99.5 && v < 1e18)
		stats_digits((uint64_t)(v + 0.5), out);
	else
		snprintf(out, SOME_SIZE, "%.1f", v);
}

/* "0.4 s", "3 min 12 s", "2 d 3 h" */
static void format_duration(uint64_t ns, char out[SOME_SIZE])
{
	uint64_t s = ns / NS_PER_S;

	if (!ns)
		snprintf(out, SOME_SIZE, "0 s");
	else if (s < 10)
		snprintf(out, SOME_SIZE, "%.1f s", (double)ns / 1e9);
	else if (s < 60)
		snprintf(out, SOME_SIZE, "%" PRIu64 " s", s);
	else if (s < 3600)
		snprintf(out, SOME_SIZE, "%" PRIu64 " min %" PRIu64 " s", s / 60, s % 60);
	else if (s < 86400)
		snprintf(out, SOME_SIZE, "%" PRIu64 " h %" PRIu64 " min", s / 3600, s / 60 % 60);
	else
		snprintf(out, SOME_SIZE, "%" PRIu64 " d %" PRIu64 " h", s / 86400, s / 3600 % 24);
}

/* Local time: of the day, and with the date where that is not today's (now_ns; 0: always). */
static void format_time(uint64_t ns, uint64_t now_ns, char out[SOME_SIZE])
{
	time_t t = (time_t)(ns / NS_PER_S), now = (time_t)(now_ns / NS_PER_S);
	struct tm tm, today;
	bool same;

	out[0] = '\0';
	if (!localtime_r(&t, &tm) || !localtime_r(&now, &today))
		return;
	same = now_ns && tm.tm_year == today.tm_year && tm.tm_yday == today.tm_yday;
	if (!strftime(out, SOME_SIZE, same ? "%H:%M:%S" : "%Y-%m-%d %H:%M:%S", &tm))
		out[0] = '\0';
}

/* --- lines ------------------------------------------------------------------------------------ */

static void label(struct buffer *b, const char *name)
{
	buffer_printf(b, "%-*s", COLUMN, name);
}

static void put_clean(struct buffer *b, const char *s)
{
	buffer_clean(b, s, strlen(s));
}

/* "1,234 active" */
static void put_number(struct buffer *b, uint64_t n, const char *what)
{
	char digits[STATS_DIGITS_SIZE];

	stats_digits(n, digits);
	buffer_printf(b, "%s %s", digits, what);
}

static void put_count(struct buffer *b, uint64_t n, const char *one, const char *many)
{
	put_number(b, n, n == 1 ? one : many);
}

struct problem_list {
	struct buffer *b;
	size_t n;
};

static void put_problem(void *ctx, const char *problem)
{
	struct problem_list *list = ctx;

	if (++list->n > PROBLEMS_SHOWN)
		return;
	buffer_str(list->b, "! ");
	put_clean(list->b, problem);
	buffer_str(list->b, "\n");
}

static void put_run(struct buffer *b, const struct status_view *v)
{
	uint64_t up_ns = v->now->elapsed_ns;
	struct problem_list list = {b, 0};
	char text[SOME_SIZE];

	buffer_str(b, "flowline ");
	put_clean(b, v->version);
	buffer_printf(b, ", pid %d", v->pid);
	if (v->host && v->host[0]) {
		buffer_str(b, ", on ");
		put_clean(b, v->host);
	}
	format_duration(up_ns, text);
	buffer_printf(b, ": %s for %s",
		      status_problems(v, NULL, NULL) ? "running, but not well," : "running well",
		      text);
	format_time(v->now_ns > up_ns ? v->now_ns - up_ns : 0, v->now_ns, text);
	buffer_printf(b, ", since %s\n", text);
	status_problems(v, put_problem, &list);
	if (list.n > PROBLEMS_SHOWN)
		buffer_printf(b, "! and %zu more\n", list.n - PROBLEMS_SHOWN);
	label(b, "configuration");
	put_clean(b, v->config_file && v->config_file[0] ? v->config_file
							 : "no file: the defaults, and what the "
							   "command line says");
	buffer_str(b, "\n");
}

static void put_interfaces(struct buffer *b, const struct status_view *v)
{
	size_t i, shown = v->ninterfaces < NAMES_SHOWN ? v->ninterfaces : NAMES_SHOWN;

	if (!v->ninterfaces)
		buffer_str(b, "no interface yet");
	for (i = 0; i < shown; i++) {
		const struct status_interface *x = &v->interfaces[i];

		buffer_str(b, i ? ", " : "");
		put_clean(b, x->name[0] ? x->name : "all interfaces");
		if (!x->open)
			buffer_str(b, " (not there)");
	}
	if (v->ninterfaces > shown)
		buffer_printf(b, " and %zu more", v->ninterfaces - shown);
}

static void put_capture(struct buffer *b, const struct status_view *v, const struct status_cycle *c)
{
	double length = c->seconds;
	char text[SOME_SIZE];

	label(b, "capture");
	put_clean(b, v->mode ? v->mode : "live");
	buffer_str(b, ": ");
	put_interfaces(b, v);
	format_duration((uint64_t)(length * 1e9), text);
	buffer_printf(b, "\n%-*s%s%s", COLUMN, "rates of",
		      c->complete ? "the last cycle, " : "the time since the start, ", text);
	if (!c->complete) {
		format_duration(v->interval_ns, text);
		buffer_printf(b, ": no cycle (%s) is complete yet", text);
	}
	format_rate((double)(c->to->packets_seen - c->from->packets_seen) / length, text);
	buffer_printf(b, "\n%-*s%s/s", COLUMN, "packets", text);
	format_bytes((double)(c->to->engine.bytes_seen - c->from->engine.bytes_seen) / length,
		     text);
	buffer_printf(b, ", %s/s\n", text);
}

/* What the kernel tells, and by which means: "connect tp_btf/inet_sock_set_state, udp nothing". */
static void put_facts(struct buffer *b, const struct status_view *v)
{
	size_t i, at = 0, len;

	label(b, "facts");
	for (i = 0; i < v->nfacts; i++) {
		const struct kernel_fact *f = &v->facts[i].fact;
		const char *by = f->provider ? f->provider : "nothing";

		/* of a source that is not there at all, flowline doctor tells */
		if (!f->provider && !strcmp(f->name, "all"))
			continue;
		len = strlen(f->name) + strlen(by) + 3;
		if (at && at + len > FACTS_WIDE) {
			buffer_printf(b, ",\n%*s", COLUMN, "");
			at = 0;
		}
		buffer_printf(b, "%s%s %s", at ? ", " : "", f->name, by);
		at += len;
	}
	buffer_str(b, "\n");
}

static void put_cause(struct buffer *b, const char *before, uint64_t lately, uint64_t total,
		      const char *cause)
{
	char digits[STATS_DIGITS_SIZE];

	stats_digits(lately, digits);
	buffer_printf(b, "%s%s", before, digits);
	if (total != lately) {
		stats_digits(total, digits);
		buffer_printf(b, " (%s in all)", digits);
	}
	buffer_printf(b, " %s", cause);
}

#define CHANGE(m) (c->to->m - c->from->m)

static void put_drops(struct buffer *b, const struct status_view *v, const struct status_cycle *c)
{
	label(b, "dropped");
	put_cause(b, "", CHANGE(source.dropped_kernel), v->now->source.dropped_kernel,
		  "by the kernel");
	put_cause(b, ", ", CHANGE(engine.packets_truncated), v->now->engine.packets_truncated,
		  "truncated");
	put_cause(b, ", ", CHANGE(engine.packets_malformed), v->now->engine.packets_malformed,
		  "malformed");
	put_cause(b, ", ", CHANGE(engine.packets_unknown), v->now->engine.packets_unknown,
		  "unknown");
	buffer_str(b, "\n");
}

static void put_kernel(struct buffer *b, const struct status_view *v, const struct status_cycle *c)
{
	if (!v->now->kernel.on)
		return;
	label(b, "kernel");
	put_cause(b, "", CHANGE(kernel.events), v->now->kernel.events, "events");
	put_cause(b, ", ", CHANGE(kernel.lost), v->now->kernel.lost, "lost");
	put_cause(b, ", ", CHANGE(kernel.dumps), v->now->kernel.dumps, "lists of sockets");
	if (v->now->kernel.ebpf)
		put_cause(b, ", ", CHANGE(kernel.datagrams), v->now->kernel.datagrams,
			  "datagrams counted there");
	buffer_str(b, "\n");
	if (v->now->kernel.probes) {
		label(b, "this machine");
		put_cause(b, "", CHANGE(kernel.retransmits), v->now->kernel.retransmits,
			  "segments sent again");
		put_cause(b, ", ", CHANGE(kernel.synack_retransmits),
			  v->now->kernel.synack_retransmits, "SYN-ACKs sent again");
		put_cause(b, ", ", CHANGE(kernel.resets_sent), v->now->kernel.resets_sent,
			  "RSTs sent");
		put_cause(b, ", ", CHANGE(kernel.resets_received), v->now->kernel.resets_received,
			  "RSTs received");
		buffer_str(b, "\n");
	}
	if (v->nfacts)
		put_facts(b, v);
}

static void put_engine(struct buffer *b, const struct status_view *v, const struct status_cycle *c)
{
	double cpu_us = (double)(CHANGE(cpu_user_us) + CHANGE(cpu_sys_us));
	char text[SOME_SIZE];

	label(b, "flows");
	put_number(b, v->now->engine.flows_active, "active");
	buffer_str(b, ", ");
	put_number(b, CHANGE(engine.flows_created), "new");
	buffer_printf(b, "\n%-*s", COLUMN, "DNS");
	put_count(b, CHANGE(engine.dns_messages), "message", "messages");
	buffer_str(b, ", ");
	put_number(b, CHANGE(engine.dns_unanswered), "unanswered");
	buffer_printf(b, "\n%-*s", COLUMN, "HTTP");
	put_count(b, CHANGE(engine.http_requests), "request", "requests");
	buffer_str(b, ", ");
	put_count(b, CHANGE(engine.http_responses), "response", "responses");
	buffer_printf(b, "\n%-*s", COLUMN, "points");
	put_number(b, CHANGE(engine.points), "made");
	format_bytes((double)v->now->rss_bytes, text);
	buffer_printf(b, "\n%-*sCPU %.1f %%, memory %s\n", COLUMN, "process",
		      cpu_us / 1e4 / c->seconds, text);
}

/* --- outputs ---------------------------------------------------------------------------------- */

static void put_state(struct buffer *b, const struct status_view *v, const struct output_stats *o)
{
	bool waits = o->state == OUTPUT_RETRY || o->state == OUTPUT_REFUSED;
	char text[SOME_SIZE];

	if (o->state == OUTPUT_IDLE || o->state == OUTPUT_OK)
		buffer_str(b, o->state == OUTPUT_OK ? "ok" : "nothing was sent yet");
	else
		buffer_str(b, o->state == OUTPUT_RETRY     ? "RETRY"
			      : o->state == OUTPUT_REFUSED ? "REFUSED, again"
							   : "CLOSED");
	if (waits && o->retry_at_ns > v->now_ns) {
		format_duration(o->retry_at_ns - v->now_ns, text);
		buffer_printf(b, " in %s", text);
	} else if (waits) {
		buffer_str(b, " now");
	}
	if (o->why[0]) {
		buffer_str(b, ": ");
		put_clean(b, o->why);
	}
	buffer_str(b, o->why[0] ? "; " : ", ");
	put_count(b, o->points_delivered, "point delivered", "points delivered");
}

static void put_lost(struct buffer *b, const struct output_stats *o)
{
	const struct {
		uint64_t n;
		const char *why;
	} causes[] = {{o->lost_queue, "the queue was full"},
		      {o->lost_refused, "refused for good"},
		      {o->lost_spool, "over the spool's limits or damaged there"},
		      {o->lost_end, "at the end"}};
	const char *before = " (";
	size_t i;

	buffer_str(b, "; ");
	put_number(b, o->points_lost, "LOST");
	for (i = 0; i < sizeof(causes) / sizeof(causes[0]); i++) {
		if (!causes[i].n)
			continue;
		buffer_str(b, before);
		put_number(b, causes[i].n, causes[i].why);
		before = ", ";
	}
	if (before[0] == ',')
		buffer_str(b, ")");
}

static void put_waiting(struct buffer *b, const struct status_view *v, const struct output_stats *o)
{
	char text[SOME_SIZE];

	if (o->points_spooled) {
		format_bytes((double)o->spool_bytes, text);
		buffer_str(b, "; ");
		put_count(b, o->points_spooled, "point", "points");
		buffer_printf(b, " (%s) in the spool", text);
	}
	if (o->points_spooled && o->oldest_ns) {
		format_time(o->oldest_ns, v->now_ns, text);
		buffer_printf(b, ", oldest %s", text);
	} else if (o->state != OUTPUT_CLOSED) {
		format_duration(status_lag_ns(v, o), text);
		buffer_printf(b, ", lag %s", text);
	}
}

static void put_balance(struct buffer *b, const struct output_stats *o)
{
	const struct {
		const char *name;
		uint64_t n;
	} parts[] = {{"made ", o->points_made},
		     {" + found ", o->points_found},
		     {" = delivered ", o->points_delivered},
		     {" + lost ", o->points_lost},
		     {" + queued ", o->points_queued},
		     {" + spooled ", o->points_spooled}};
	char digits[STATS_DIGITS_SIZE];
	size_t i;

	buffer_str(b, "    ");
	for (i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		stats_digits(parts[i].n, digits);
		buffer_printf(b, "%s%s", parts[i].name, digits);
	}
	buffer_str(b, status_unaccounted(o) ? ": DOES NOT ADD UP\n" : ": adds up\n");
}

static void put_output(struct buffer *b, const struct status_view *v, const struct output_stats *o)
{
	buffer_str(b, "  ");
	put_clean(b, o->name);
	buffer_str(b, ": ");
	put_state(b, v, o);
	put_waiting(b, v, o);
	if (o->points_lost)
		put_lost(b, o);
	buffer_str(b, "\n");
	put_balance(b, o);
}

/* --- databases, talkers ----------------------------------------------------------------------- */

static void put_database(struct buffer *b, const struct geoip_database_info *d)
{
	time_t built = (time_t)d->built_s;
	char day[SOME_SIZE] = "";
	struct tm tm;

	buffer_str(b, "  ");
	put_clean(b, d->path ? d->path : "");
	buffer_str(b, ": ");
	if (!d->loaded) {
		buffer_str(b, "NOT LOADED, the log says why\n");
		return;
	}
	put_clean(b, d->type ? d->type : "");
	if (d->built_s && gmtime_r(&built, &tm) && strftime(day, sizeof(day), "%Y-%m-%d", &tm))
		buffer_printf(b, " of %s", day);
	if (d->fields[0]) {
		buffer_str(b, " (");
		put_clean(b, d->fields);
		buffer_str(b, ")");
	}
	buffer_str(b, "\n");
}

/* An address, or the name of it, and the port. */
static void format_end(const struct point_side *s, const char *name, char out[END_SIZE])
{
	const char *where = name[0] ? name : s->addr_other ? POINT_OTHER : NULL;
	char ip[ADDR_TEXT_SIZE], number[8];
	const char *port = s->port_other ? POINT_OTHER : s->port_folded ? "*" : number;

	addr_format(&s->addr, ip);
	snprintf(number, sizeof(number), "%u", s->port);
	if (where)
		snprintf(out, END_SIZE, "%.*s:%s", DOMAIN_SHOWN, where, port);
	else
		snprintf(out, END_SIZE, strchr(ip, ':') ? "[%s]:%s" : "%s:%s", ip, port);
}

/* Columns stand one below another as long as all is ASCII, as nearly always. */
static void put_padded(struct buffer *b, const char *s, size_t width)
{
	size_t len = strlen(s);

	put_clean(b, s);
	if (len < width)
		buffer_printf(b, "%*s", (int)(width - len), "");
}

struct row {
	char bytes[SOME_SIZE], rate[SOME_SIZE], src[END_SIZE], dst[END_SIZE], transport[8];
};

static void make_row(struct row *r, const struct talker *k, double cycle_s)
{
	format_bytes((double)k->bytes, r->bytes);
	format_bytes((double)k->bytes / cycle_s, r->rate);
	format_end(&k->src, "", r->src);
	format_end(&k->dst, k->domain, r->dst);
	snprintf(r->transport, sizeof(r->transport), "%u", k->transport);
}

static size_t longer(size_t width, const char *s)
{
	size_t len = strlen(s);

	return len > width ? len : width;
}

static void put_talkers(struct buffer *b, const struct talkers *t, double cycle_s)
{
	struct row rows[TALKERS_MOST];
	size_t i, src = 0, dst = 0;

	buffer_str(b, "top talkers: payload both ways in the cycle\n");
	for (i = 0; i < t->nshown; i++) {
		make_row(&rows[i], &t->shown[i], cycle_s);
		src = longer(src, rows[i].src);
		dst = longer(dst, rows[i].dst);
	}
	for (i = 0; i < t->nshown; i++) {
		const struct talker *k = &t->shown[i];

		buffer_printf(b, "  %8s %8s/s  ", rows[i].bytes, rows[i].rate);
		put_padded(b, rows[i].src, src);
		buffer_str(b, k->incoming ? " <- " : " -> ");
		put_padded(b, rows[i].dst, dst);
		buffer_printf(b, " %s",
			      k->transport == 6    ? "tcp"
			      : k->transport == 17 ? "udp"
						   : rows[i].transport);
		if (k->process[0]) {
			buffer_str(b, "  ");
			put_clean(b, k->process);
		}
		if (k->pid)
			buffer_printf(b, " (%" PRIu32 ")", k->pid);
		buffer_str(b, "\n");
	}
}

void status_put_table(struct buffer *b, const struct status_view *v)
{
	struct status_cycle c;
	size_t i;

	status_cycle(v, &c);
	put_run(b, v);
	put_capture(b, v, &c);
	put_drops(b, v, &c);
	put_kernel(b, v, &c);
	put_engine(b, v, &c);
	buffer_str(b, v->noutputs ? "outputs\n" : "outputs       none\n");
	for (i = 0; i < v->noutputs; i++)
		put_output(b, v, &v->outputs[i]);
	if (v->ndatabases)
		buffer_str(b, "GeoIP\n");
	for (i = 0; i < v->ndatabases; i++)
		put_database(b, &v->databases[i]);
	if (v->talkers && v->talkers->nshown)
		put_talkers(b, v->talkers, c.seconds);
}
