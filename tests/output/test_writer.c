/* test_writer.c - output/writer.c: points of a cycle reach the sink at the cycle's end. */
#include "output/writer.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/test.h"

static struct line_writer *open_writer(const char *spec, struct line_encoder **e, struct sink **s)
{
	struct line_config c = {.host = "h"};
	const char *message;
	struct line_writer *w;

	*e = line_encoder_new(&c);
	if (!*e || sink_open(s, spec, &message))
		abort();
	w = line_writer_new(*e, *s);
	if (!w)
		abort();
	return w;
}

static void test_cycle(void)
{
	char path[] = "/tmp/flowline-test-writer-XXXXXX", spec[64], got[1024];
	static const struct self_field field = {"n", 7};
	struct point p = {.kind = POINT_SELF, .time_ns = 1};
	struct line_encoder *e;
	struct line_writer *w;
	struct point_sink ps;
	struct sink *s;
	int fd = mkstemp(path);
	ssize_t n;

	if (fd < 0)
		abort();
	snprintf(spec, sizeof(spec), "file:%s", path);
	w = open_writer(spec, &e, &s);
	ps = line_writer_sink(w);
	ps.put(ps.ctx, &p); /* without fields: no line */
	p.u.self.fields = &field;
	p.u.self.nfields = 1;
	ps.put(ps.ctx, &p);
	ps.put(ps.ctx, &p);
	CHECK_INT(pread(fd, got, sizeof(got), 0), 0);
	ps.end(ps.ctx, 1);
	CHECK_INT(line_writer_error(w), 0);
	CHECK_INT(sink_stats(s)->points_written, 2);
	n = pread(fd, got, sizeof(got) - 1, 0);
	got[n > 0 ? n : 0] = 0;
	CHECK_STR(got, "flowline,host=h n=7i 1\nflowline,host=h n=7i 1\n");
	line_writer_free(w);
	line_writer_free(NULL);
	CHECK_INT(sink_close(s), 0);
	line_encoder_free(e);
	close(fd);
	unlink(path);
}

static void test_full_disk(void)
{
	struct point p = {.kind = POINT_NETFLOW, .time_ns = 1};
	struct line_encoder *e;
	struct line_writer *w;
	struct point_sink ps;
	struct sink *s;

	if (access("/dev/full", W_OK)) {
		TEST_SKIP("no /dev/full that can be written to");
		return;
	}
	w = open_writer("file:/dev/full", &e, &s);
	ps = line_writer_sink(w);
	ps.put(ps.ctx, &p);
	ps.end(ps.ctx, 1);
	CHECK_INT(line_writer_error(w), -ENOSPC);
	CHECK_INT(sink_stats(s)->points_lost, 1);
	ps.end(ps.ctx, 2);
	CHECK_INT(line_writer_error(w), 0);
	line_writer_free(w);
	CHECK_INT(sink_close(s), 0);
	line_encoder_free(e);
}

TEST_MAIN({"cycle", test_cycle}, {"full disk", test_full_disk})
