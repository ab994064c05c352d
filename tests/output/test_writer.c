/* test_writer.c - output/writer.c: points of a cycle are lines of the outputs at the cycle's end.
 */
#include "output/writer.h"

#include <stdlib.h>

#include "tests/output/fake_sink.h"
#include "tests/test.h"

static void test_cycle(void)
{
	static const struct self_field field = {"n", 7};
	struct point p = {.kind = POINT_SELF, .time_ns = 1};
	struct line_config lc = {.host = "h"};
	struct line_encoder *e = line_encoder_new(&lc);
	struct outputs *os = outputs_new();
	struct fake *f = fake_new();
	struct output_config c = {
	    .name = "f", .sink = fake_open(f, &fake_ops), .lossless = true, .queue_bytes = 1 << 20};
	char why[SINK_WHY_SIZE];
	struct output_stats s;
	struct line_writer *w;
	struct point_sink ps;
	struct output *o;

	if (!e || !os || output_open(&o, &c, why) || outputs_add(os, o))
		abort();
	w = line_writer_new(e, os);
	if (!w)
		abort();
	ps = line_writer_sink(w);
	ps.put(ps.ctx, &p); /* without fields: no line */
	p.u.self.fields = &field;
	p.u.self.nfields = 1;
	ps.put(ps.ctx, &p);
	p.u.self.output = "http:a b";
	ps.put(ps.ctx, &p);
	output_stats(o, &s);
	CHECK_INT(s.points_made, 0); /* not before the end of the cycle */
	ps.end(ps.ctx, 1);
	output_stats(o, &s);
	CHECK_INT(s.points_made, 2);
	CHECK_INT(outputs_end(os, UINT64_MAX), 0);
	CHECK_STR(f->text, "flowline,host=h n=7i 1\nflowline,host=h,output=http:a\\ b n=7i 1\n");
	line_writer_free(w);
	line_writer_free(NULL);
	outputs_free(os);
	line_encoder_free(e);
	free(f);
}

TEST_MAIN({"cycle", test_cycle})
