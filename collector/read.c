/* read.c - `flowline read`: capture files in the order given, as one stream, through the engine.
 *
 * Nothing here may make two runs differ: no clock but for the progress line, no point about the
 * program itself.
 */
#include "collector/commands.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "collector/pipeline.h"
#include "collector/source.h"
#include "collector/source_file.h"
#include "common/log.h"

enum {
	READ_MAX_FLOWS = 1 << 20,
	PROGRESS_BATCHES = 256, /* of 64 frames; between two looks at the clock */
	PROGRESS_MS = 200,
};

struct progress {
	bool on, shown;
	unsigned int batches;
	uint64_t last_ns;
};

static volatile sig_atomic_t interrupted;

static void on_signal(int sig)
{
	interrupted = sig;
}

/* The first signal ends reading between two batches, so that what was read is written. Standard
 * input is read on: who writes it (tcpdump) had the signal too, and flushes. The second one kills.
 */
static void catch_signals(void)
{
	struct sigaction sa;

	memset(&sa, 0, sizeof(sa));
	sa.sa_handler = on_signal;
	sa.sa_flags = SA_RESTART | SA_RESETHAND;
	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
}

static bool to_stdout(const struct conf_outputs *outputs)
{
	size_t i;

	for (i = 0; i < outputs->n; i++)
		if (outputs->v[i].kind == CONF_OUTPUT_STDOUT)
			return true;
	return false;
}

/* On a terminal, unless the points go there too. */
static bool progress_wanted(const struct options *o)
{
	struct stat out, err;

	if (o->quiet || !isatty(STDERR_FILENO))
		return false;
	if (!to_stdout(&o->conf.outputs) || !isatty(STDOUT_FILENO))
		return true;
	return fstat(STDOUT_FILENO, &out) || fstat(STDERR_FILENO, &err) ||
	       out.st_rdev != err.st_rdev;
}

static void progress_show(struct progress *g, const struct source *s, const char *path,
			  const struct pipeline *p)
{
	uint64_t now_ns, done, total, packets;

	g->batches = 0;
	now_ns = monotonic_ns();
	if (now_ns - g->last_ns < PROGRESS_MS * 1000000ULL)
		return;
	g->last_ns = now_ns;
	g->shown = true;
	packets = engine_stats(p->engine)->packets_seen;
	source_file_progress(s, &done, &total);
	if (total)
		fprintf(stderr, "\r\033[K%s: %" PRIu64 "%%, %" PRIu64 " packets", path,
			done >= total ? 100 : done * 100 / total, packets);
	else
		fprintf(stderr, "\r\033[K%s: %" PRIu64 " packets", path, packets);
	fflush(stderr);
}

static void progress_clear(struct progress *g)
{
	if (g->shown) {
		fputs("\r\033[K", stderr);
		fflush(stderr);
	}
	g->shown = false;
}

/* One file. 0, or negative: it could not be read to its end (logged), or the output failed. */
static int read_file(struct pipeline *p, const char *path, struct progress *g)
{
	const char *name = strcmp(path, "-") ? path : "standard input";
	struct file_config config = {path};
	char why[1024] = "";
	struct source_stats stats;
	struct source *s;
	int err;

	err = source_file.open(&s, &config, why, sizeof(why));
	if (err) {
		progress_clear(g);
		log_error("%s: %s", name, why);
		return err;
	}
	do {
		err = source_file.poll(s, &p->frames, why, sizeof(why));
		if (g->on && ++g->batches >= PROGRESS_BATCHES)
			progress_show(g, s, name, p);
		if (interrupted && strcmp(path, "-"))
			err = err < 0 ? err : -EINTR;
	} while (err > 0 && !p->error);
	source_file.stats(s, &stats);
	source_file.close(s);
	progress_clear(g);
	if (p->error)
		return p->error;
	if (err == -ENODATA)
		return 0;
	if (err == -EINTR)
		log_error("%s: interrupted; the points are those of the frames until there", name);
	else
		log_error("%s: %s%s", name, why,
			  stats.frames ? "; the frames before it are used" : "");
	return err;
}

int command_read(const struct options *o)
{
	struct progress g = {false, false, 0, 0};
	struct pipeline p;
	bool failed = false;
	size_t i;
	int err;

	err = pipeline_open(&p, o, NULL, READ_MAX_FLOWS);
	if (err)
		return err == FL_EUSAGE ? EXIT_USAGE : EXIT_FAILED;
	catch_signals();
	g.on = progress_wanted(o);
	for (i = 0; i < o->nfiles && !p.error && (!interrupted || i == 0); i++)
		if (read_file(&p, o->files[i], &g))
			failed = true;
	if (interrupted && i < o->nfiles)
		failed = true;
	if (pipeline_finish(&p, 0, 0, o->stats))
		failed = true;
	pipeline_close(&p);
	return failed ? EXIT_FAILED : EXIT_OK;
}
