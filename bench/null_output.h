/* null_output.h - an output with its thread whose lines go to /dev/null, for benchmarks. */
#ifndef BENCH_NULL_OUTPUT_H
#define BENCH_NULL_OUTPUT_H

#include <stdio.h>
#include <stdlib.h>

#include "output/outputs.h"
#include "output/sink_file.h"

/* Never NULL: ends the benchmark where it cannot be had. */
static inline struct outputs *null_outputs(void)
{
	struct sink_file_config f = {.path = "/dev/null"};
	struct output_config c = {.name = "null", .lossless = true, .queue_bytes = 1 << 20};
	struct outputs *os = outputs_new();
	char why[SINK_WHY_SIZE] = "";
	struct output *o;

	if (os && !sink_file_open(&c.sink, &f, why) && !output_open(&o, &c, why) &&
	    !outputs_add(os, o))
		return os;
	fprintf(stderr, "%s\n", why);
	exit(1);
}

#endif
