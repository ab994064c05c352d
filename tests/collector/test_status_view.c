/* test_status_view.c - a run's status as JSON and as a table, and what counts as not well. */
#include "collector/status_view.h"

#include "tests/collector/json_check.h"
#include "tests/collector/status_build.h"
#include "tests/test.h"

enum { MOST = 1 << 20 };

static void use_utc(void)
{
	setenv("TZ", "UTC", 1);
	tzset();
}

static char *render(const struct status_view *v, bool json)
{
	struct buffer b;

	use_utc();
	buffer_init(&b, MOST);
	if (json)
		status_put_json(&b, v);
	else
		status_put_table(&b, v);
	CHECK(!b.failed && b.s != NULL);
	if (json)
		CHECK(is_json(b.s, b.len));
	return b.s ? b.s : calloc(1, 1);
}

static void has(const char *text, const char *part)
{
	CHECK_MSG(strstr(text, part) != NULL, "no '%s' in:\n%s", part, text);
}

static void has_not(const char *text, const char *part)
{
	CHECK_MSG(!strstr(text, part), "'%s' in:\n%s", part, text);
}

static void test_table(void)
{
	static const char want[] =
	    "flowline 0.1.0, pid 4711, on web1: running well for 2 min 10 s, since 14:00:01\n"
	    "configuration /etc/flowline/flowline.yaml\n"
	    "capture       packet: eth0, wg0 (not there)\n"
	    "rates of      the last cycle, 1 min 0 s\n"
	    "packets       12,345/s, 9.8 MB/s\n"
	    "dropped       0 by the kernel, 0 truncated, 0 malformed, 0 unknown\n"
	    "flows         1,234 active, 300 new\n"
	    "DNS           120 messages, 0 unanswered\n"
	    "HTTP          60 requests, 60 responses\n"
	    "points        600 made\n"
	    "process       CPU 1.2 %, memory 23.4 MB\n"
	    "outputs\n"
	    "  influx: ok, 1,234 points delivered, lag 0.4 s\n"
	    "    made 1,244 + found 0 = delivered 1,234 + lost 0 + queued 10 + spooled 0: adds up\n"
	    "  file:/var/log/flowline.line: ok, 1,244 points delivered, lag 0 s\n"
	    "    made 1,244 + found 0 = delivered 1,244 + lost 0 + queued 0 + spooled 0: adds up\n"
	    "GeoIP\n"
	    "  /usr/share/GeoIP/city.mmdb: DBIP-City-Lite of 2026-11-01 (country province city)\n"
	    "  /usr/share/GeoIP/asn.mmdb: NOT LOADED, the log says why\n"
	    "top talkers: payload both ways in the cycle\n"
	    "    6.0 MB   100 kB/s  10.0.0.7:* -> 93.184.216.0:443    udp  nginx (4000)\n"
	    "    3.0 MB  50.0 kB/s  10.0.0.7:* -> www.example.com:443 tcp\n"
	    "    1.5 MB  25.0 kB/s  10.0.0.7:* <- 93.184.216.3:443    tcp  sshd (4003)\n";
	struct built *b = build();
	char *text = render(&b->view, false);

	CHECK_STR(text, want);
	free(text);
	free(b);
}

static void test_json(void)
{
	static const char *const parts[] = {
	    "\"version\": \"0.1.0\"",
	    "\"pid\": 4711",
	    "\"well\": true",
	    "\"problems\": []",
	    "\"time\": \"2026-11-22T14:02:11.500Z\"",
	    "\"start_time\": \"2026-11-22T14:00:01.500Z\"",
	    "\"uptime_s\": 130,",
	    "\"mode\": \"packet\"",
	    "\"name\": \"wg0\",\n        \"open\": false\n",
	    "\"interval_s\": 60",
	    "\"complete\": true",
	    "\"length_s\": 60",
	    "\"packets_per_s\": 12345",
	    "\"bytes_per_s\": 9800000",
	    "\"points_per_s\": 10",
	    "\"cpu_percent\": 1.2,",
	    "\"packets_seen\": 740700,",  /* of the cycle */
	    "\"packets_seen\": 1604850,", /* since the start */
	    "\"flows_active\": 1234",
	    "\"packets_add_up\": true",
	    "\"state\": \"ok\",\n      \"error\": null",
	    "\"points_queued\": 10",
	    "\"lag_s\": 0.4,\n      \"oldest_time\": \"2026-11-22T14:02:11.100Z\"",
	    "\"last_ok_time\": null",
	    "\"retry_in_s\": null",
	    "\"build_time\": \"2026-11-01T00:00:00.000Z\"",
	    "\"path\": \"/usr/share/GeoIP/asn.mmdb\",\n      \"loaded\": false\n",
	    "\"src_port\": \"*\"",
	    "\"direction\": \"incoming\"",
	    "\"bytes\": 6000100",
	    "\"bytes_per_s\": 100001.667",
	    "\"dst_domain\": \"www.example.com\"",
	};
	struct built *b = build();
	char *text = render(&b->view, true);
	size_t i;

	for (i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		has(text, parts[i]);
	free(text);
	free(b);
}

/* Every field of the self-measurement is there by its name. */
static void test_json_complete(void)
{
	struct self_field f[STATS_FIELDS_MOST];
	struct built *b = build();
	char *text, key[80];
	size_t i, n;

	b->now.processes = b->now.stages.limited = b->now.stages.places = true;
	n = stats_fields(&b->now, &b->now, f);
	text = render(&b->view, true);
	for (i = 0; i < n; i++) {
		snprintf(key, sizeof(key), "\"%s\": ", f[i].name);
		has(text, key);
	}
	free(text);
	free(b);
}

static void test_no_cycle(void)
{
	struct built *b = build();
	char *text;

	b->view.cycle_from = b->view.cycle_to = NULL;
	b->view.talkers = NULL;
	b->view.ndatabases = 0;
	b->now.elapsed_ns = 0;
	text = render(&b->view, true);
	has(text, "\"complete\": false");
	has(text, "\"talkers\": []");
	free(text);
	b->now.elapsed_ns = 10 * BUILD_S;
	text = render(&b->view, false);
	has(text, "the time since the start, 10 s: no cycle (1 min 0 s) is complete yet");
	has(text, "packets       160,485/s");
	has_not(text, "GeoIP");
	has_not(text, "talkers");
	free(text);
	free(b);
}

/* Nothing but what has to be there. */
static void test_bare(void)
{
	struct status_view *v = calloc(1, sizeof(*v));
	struct stats_totals *now = calloc(1, sizeof(*now));

	if (v && now) {
		v->version = "x";
		v->now = now;
		free(render(v, true));
		free(render(v, false));
		CHECK_INT(status_problems(v, NULL, NULL), 0);
	}
	free(v);
	free(now);
}

static void test_retry(void)
{
	struct built *b = build();
	struct output_stats *o = &b->view.outputs[0];
	char *text;

	o->state = OUTPUT_RETRY;
	o->retry_at_ns = b->view.now_ns + 12 * BUILD_S;
	snprintf(o->why, sizeof(o->why), "connection refused");
	o->points_made += 120000;
	o->points_spooled = 120000;
	b->now.sink.points_made += 120000;
	b->now.sink.points_spooled += 120000;
	o->spool_bytes = 8100000;
	o->oldest_ns = b->view.now_ns - 3 * 3600 * BUILD_S;
	CHECK_INT(status_problems(&b->view, NULL, NULL), 1);
	text = render(&b->view, false);
	has(text, "running, but not well, for 2 min 10 s");
	has(text, "\n! output influx does not deliver: connection refused\n");
	has(text, "influx: RETRY in 12 s: connection refused; 1,234 points delivered; 120,000 "
		  "points (8.1 MB) in the spool, oldest 11:02:11\n");
	free(text);
	o->oldest_ns = b->view.now_ns - 15 * 3600 * BUILD_S;
	o->state = OUTPUT_REFUSED;
	text = render(&b->view, false);
	has(text, "oldest 2026-11-21 23:02:11");
	has(text, "influx: REFUSED, again in 12 s: connection refused;");
	free(text);
	text = render(&b->view, true);
	has(text, "\"state\": \"refused\"");
	has(text, "\"retry_in_s\": 12\n");
	has(text, "\"well\": false");
	has(text, "\"error\": \"connection refused\"");
	free(text);
	o->state = OUTPUT_CLOSED;
	o->retry_at_ns = 0;
	CHECK_INT(status_problems(&b->view, NULL, NULL), 1);
	free(b);
}

/* Lost lately is told; what was lost before the last cycle is history. */
static void test_losses(void)
{
	struct built *b = build();
	char *text;

	b->from.source.dropped_kernel = b->to.source.dropped_kernel = 1000;
	b->now.source.dropped_kernel = 1000;
	stats_sum(&b->now);
	CHECK_INT(status_problems(&b->view, NULL, NULL), 0);
	b->now.source.dropped_kernel = 1007; /* in the running cycle */
	stats_sum(&b->now);
	CHECK_INT(status_problems(&b->view, NULL, NULL), 1);
	text = render(&b->view, true);
	has(text, "\"7 packets_dropped_kernel since 14:01:01 (dropped by the kernel: the ring was "
		  "full)\"");
	free(text);
	text = render(&b->view, false);
	has(text, "0 (1,007 in all) by the kernel");
	free(text);
	b->now.source.dropped_kernel = 1000;
	stats_sum(&b->now);
	b->view.outputs[0].points_lost = b->view.outputs[0].lost_queue = 9;
	b->view.outputs[0].points_made += 9;
	b->now.sink.points_lost = b->to.sink.points_lost = 9;
	b->now.sink.points_made += 9;
	CHECK_INT(status_problems(&b->view, NULL, NULL), 1);
	text = render(&b->view, false);
	has(text, "! 9 points_lost since 14:01:01");
	has(text, "; 9 LOST (9 the queue was full)\n");
	free(text);
	b->from.sink.points_lost = 9;
	CHECK_INT(status_problems(&b->view, NULL, NULL), 0);
	free(b);
}

static void test_sums(void)
{
	struct built *b = build();
	char *text;

	CHECK(status_accounted(&b->view));
	b->view.outputs[1].points_made += 5;
	CHECK(!status_accounted(&b->view));
	CHECK_INT(status_problems(&b->view, NULL, NULL), 1);
	text = render(&b->view, false);
	has(text, "! output file:/var/log/flowline.line: 5 points are not accounted for");
	has(text, "spooled 0: DOES NOT ADD UP\n");
	free(text);
	b->view.outputs[1].points_made -= 5;
	b->now.sink.points_found++;
	CHECK(!status_accounted(&b->view));
	CHECK_INT(status_problems(&b->view, NULL, NULL), 1);
	b->now.sink.points_found--;
	b->now.engine.packets_parsed++;
	CHECK_INT(status_problems(&b->view, NULL, NULL), 1);
	free(b);
}

/* Texts that others choose steer no terminal, and do not spoil JSON. */
static void test_foreign_texts(void)
{
	struct built *b = build();
	char *text;

	snprintf(b->view.outputs[0].why, SINK_WHY_SIZE, "500: \x1b[2Jgone\"\n\xff");
	b->view.outputs[0].state = OUTPUT_RETRY;
	build_talker(&b->talkers, 5, "e\x1b]0;vil", "\x9b.example");
	talkers_end_cycle(&b->talkers);
	text = render(&b->view, false);
	CHECK(!strchr(text, '\x1b') && !strchr(text, '\xff') && !strchr(text, '\x9b'));
	has(text, "500: ?[2Jgone\"??; ");
	has(text, "e?]0;vil (4005)");
	free(text);
	text = render(&b->view, true);
	has(text, "e\\u001b]0;vil");
	free(text);
	free(b);
}

static void test_addresses(void)
{
	struct built *b = build();
	struct talker *k = b->talkers.shown;
	char *text;

	CHECK_INT(addr_parse(&k[0].dst.addr, "2001:db8::1"), 0);
	k[1].src.addr_other = k[1].dst.port_other = true;
	k[2].transport = 132;
	text = render(&b->view, false);
	has(text, "-> [2001:db8::1]:443 ");
	has(text, "~other:*   -> www.example.com:~other tcp");
	has(text, " 132  sshd");
	free(text);
	text = render(&b->view, true);
	has(text, "\"dst_ip\": \"2001:db8::1\"");
	has(text, "\"src_ip\": \"~other\"");
	has(text, "\"dst_port\": \"~other\"");
	has(text, "\"transport\": \"132\"");
	free(text);
	free(b);
}

/* What the kernel tells, and by which means; what it does not, why. */
static void test_tiers(void)
{
	struct built *b = build();
	struct status_view *v = &b->view;
	char *text;

	text = render(v, false);
	CHECK(!strstr(text, "\nkernel") && !strstr(text, "\nfacts"));
	free(text);
	text = render(v, true);
	CHECK(!strstr(text, "\"facts\""));
	free(text);
	v->mode = "probe";
	v->nfacts = 3;
	v->facts[0].source = "probe";
	v->facts[0].fact.name = "connect";
	v->facts[0].fact.provider = "tp_btf/inet_sock_set_state";
	v->facts[1].source = "probe";
	v->facts[1].fact.name = "udp";
	snprintf(v->facts[1].fact.why, KERNEL_WHY_SIZE, "no kprobes here");
	v->facts[2].source = "socket";
	v->facts[2].fact.name = "all";
	snprintf(v->facts[2].fact.why, KERNEL_WHY_SIZE, "no sock_diag");
	b->now.kernel.on = b->now.kernel.ebpf = b->from.kernel.on = b->to.kernel.on = true;
	b->now.kernel.events = b->to.kernel.events = 1700;
	b->from.kernel.events = 500;
	b->now.kernel.lost = b->to.kernel.lost = 3;
	b->now.kernel.probes = true;
	b->now.kernel.retransmits = b->to.kernel.retransmits = 40;
	b->from.kernel.retransmits = 10;
	b->now.kernel.resets_received = b->to.kernel.resets_received = 5;
	text = render(v, false);
	has(text, "\ncapture       probe: ");
	has(text, "\nkernel        1,200 (1,700 in all) events, 3 lost, 0 lists of sockets, 0 ");
	has(text, "\nthis machine  30 (40 in all) segments sent again, 0 SYN-ACKs sent again, "
		  "0 RSTs sent, 5 RSTs received\n");
	has(text, "\nfacts         connect tp_btf/inet_sock_set_state, udp nothing\n");
	free(text);
	text = render(v, true);
	has(text, "\"mode\": \"probe\"");
	has(text, "\"name\": \"udp\"");
	has(text, "\"provider\": null");
	has(text, "\"why\": \"no kprobes here\"");
	has(text, "\"why\": \"no sock_diag\"");
	has(text, "\"kernel_events\": 1700");
	free(text);
	CHECK_INT(status_problems(v, NULL, NULL), 0); /* lost events are made good */
	b->now.kernel.map_full = 4;
	CHECK_INT(status_problems(v, NULL, NULL), 1);
	free(b);
}

/* With all that fits, and each text at its worst. */
static void test_biggest(void)
{
	struct built *b = build();
	struct status_view *v = &b->view;
	size_t i;

	v->ninterfaces = STATUS_INTERFACES_MOST;
	v->noutputs = STATUS_OUTPUTS_MOST;
	for (i = 0; i < v->noutputs; i++) {
		memset(&v->outputs[i], 0xff, sizeof(v->outputs[i]));
		v->outputs[i].kind = "http";
		v->outputs[i].state = OUTPUT_RETRY;
		memset(v->outputs[i].why, 1, SINK_WHY_SIZE);
		v->outputs[i].why[SINK_WHY_SIZE - 1] = '\0';
		v->outputs[i].name[OUTPUT_NAME_MOST - 1] = '\0';
	}
	v->nfacts = TIERS_FACTS_MOST;
	for (i = 0; i < v->nfacts; i++) {
		v->facts[i].source = "probe";
		v->facts[i].fact.name = "connect_error_at_once";
		memset(v->facts[i].fact.why, 1, KERNEL_WHY_SIZE - 1);
	}
	free(render(v, true));
	free(render(v, false));
	free(b);
}

TEST_MAIN({"the table", test_table}, {"JSON", test_json}, {"every counter", test_json_complete},
	  {"before the first cycle", test_no_cycle}, {"nothing known", test_bare},
	  {"an output that does not deliver", test_retry}, {"losses", test_losses},
	  {"sums", test_sums}, {"texts of others", test_foreign_texts},
	  {"addresses", test_addresses}, {"the kernel's part", test_tiers},
	  {"the biggest", test_biggest})
