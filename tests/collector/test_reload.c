/* test_reload.c - the configuration read again: what is taken over, what waits for a restart, and
 * that a mistake changes nothing.
 */
#include "collector/reload.h"

#include <stdlib.h>
#include <unistd.h>

#include "tests/test.h"

static char dir[] = "/tmp/flowline-reload.XXXXXX", file[64];
static char *no_environment[] = {NULL};

static void write_file(const char *text)
{
	FILE *f = fopen(file, "w");

	if (!CHECK(f))
		return;
	CHECK(fputs(text, f) >= 0);
	CHECK_INT(fclose(f), 0);
}

/* Options of a run with that file, and an option that wins. */
static void begin(struct options *o, const char *text)
{
	static char words[][32] = {"flowline", "run", "--no-fold", "-c", "-i", "eth*"};
	static char *argv[] = {words[0], words[1], words[2], words[3],
			       file,     words[4], words[5], NULL};

	write_file(text);
	CHECK_INT(options_parse(o, 7, argv, no_environment), 0);
}

static void test_changes(void)
{
	static const struct {
		const char *text;
		unsigned int changed, restarts;
		bool filter, geoip;
	} cases[] = {
	    {"interval: 10s\n", 0, 0, false, false},
	    {"interval: 20s\n", 1, 0, false, false},
	    {"tags: {a: b}\ninterval: 10s\nhost: me\n", 2, 0, false, false},
	    {"interval: 10s\ndns: {ports: [53, 54]}\n", 1, 0, true, false},
	    {"interval: 10s\ncapture: {exclude: [{port: 22}]}\n", 1, 0, true, false},
	    {"interval: 10s\ncapture: {tunnels: inner}\n", 1, 0, true, false},
	    {"interval: 10s\ngeoip: {language: de}\n", 1, 0, false, true},
	    {"interval: 10s\nflows: {max_flows: 100, udp_idle_timeout: 1h}\n", 0, 2, false, false},
	    {"interval: 10s\ncapture: {ring_size: 8M}\nhttp: {paths: off}\n", 1, 1, false, false},
	    /* the command line wins, as before */
	    {"interval: 10s\npoints: {fold_client_port: true}\n", 0, 0, false, false},
	    {"interval: 10s\ncapture: {interfaces: [lo]}\n", 0, 0, false, false},
	};
	struct options o;
	struct reload r;
	size_t i;

	begin(&o, "interval: 10s\n");
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		write_file(cases[i].text);
		CHECK_MSG(reload_read(&r, &o) == 0, "%s", cases[i].text);
		if (!r.o)
			continue;
		CHECK_MSG(r.changed == cases[i].changed, "%s%u", cases[i].text, r.changed);
		CHECK_MSG(r.restarts == cases[i].restarts, "%s%u", cases[i].text, r.restarts);
		CHECK_MSG(r.filter == cases[i].filter, "%s", cases[i].text);
		CHECK_MSG(r.geoip == cases[i].geoip, "%s", cases[i].text);
		CHECK(r.o->no_fold);
		CHECK_STR(r.o->conf.capture.interfaces.v[0], "eth*");
		reload_free(r.o);
	}
	options_free(&o);
}

/* Settings that need a restart have their old values, everywhere. */
static void test_restart(void)
{
	struct options o;
	struct reload r;

	begin(&o, "flows: {max_flows: 5000}\nnames: {max_entries: 100}\n");
	write_file("flows: {max_flows: 6000}\nhttp: {max_path: 20}\ninterval: 5s\n"
		   "capture: {ring_size: 16M}\nstatus: {socket: /run/x}\n");
	CHECK_INT(reload_read(&r, &o), 0);
	CHECK_INT(r.restarts, 5);
	CHECK_INT(r.o->max_flows, 5000);
	CHECK_INT(r.o->conf.flows.max_flows, 5000);
	CHECK_INT(r.o->conf.names.max_entries, 100);
	CHECK_INT(r.o->http_max_path, 150);
	CHECK_INT(r.o->ring_bytes, 4 << 20);
	CHECK_STR(r.o->conf.status.socket, "/run/flowline/status.sock");
	CHECK_INT(r.o->interval_ns, 5000000000LL);
	options_free(&o);
	/* a reload of what a reload has made */
	o = *r.o;
	free(r.o);
	CHECK_INT(reload_read(&r, &o), 0);
	CHECK_INT(r.changed, 0);
	CHECK_INT(r.restarts, 5);
	reload_free(r.o);
	options_free(&o);
}

static void test_mistakes(void)
{
	static const char *const bad[] = {"interval: 0\n", "intervall: 5s\n", "{",
					  "tags: {a: b, a: c}\n", "outputs: []\n"};
	struct options o;
	struct reload r;
	size_t i;

	begin(&o, "interval: 10s\n");
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		write_file(bad[i]);
		CHECK_MSG(reload_read(&r, &o) == FL_EUSAGE, "%s", bad[i]);
		CHECK(!r.o);
		CHECK_INT(o.interval_ns, 10000000000LL);
	}
	unlink(file);
	CHECK_INT(reload_read(&r, &o), FL_EUSAGE);
	write_file("interval: 30s\n");
	CHECK_INT(reload_read(&r, &o), 0);
	CHECK_INT(r.o->interval_ns, 30000000000LL);
	reload_free(r.o);
	reload_free(NULL);
	options_free(&o);
}

static void test_clean(void)
{
	unlink(file);
	CHECK_INT(rmdir(dir), 0);
}

static void test_dir(void)
{
	CHECK(mkdtemp(dir));
	snprintf(file, sizeof(file), "%s/flowline.yaml", dir);
}

TEST_MAIN({"directory", test_dir}, {"changes", test_changes}, {"restart", test_restart},
	  {"mistakes", test_mistakes}, {"clean", test_clean})
