/* show_filters.c - `flowline filters`: the programs that run inside the kernel, for people and
 * tools. */
#include "collector/commands.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "collector/excludes.h"
#include "common/log.h"
#include "filters/asm.h"
#include "filters/classic.h"

static int show(const struct classic_filter *filter, const struct filter_config *config)
{
	static struct filter_insn prog[FILTER_INSNS_MAX];
	size_t i;
	int n = filter->build(prog, FILTER_INSNS_MAX, config);

	if (n < 0) {
		log_error("filter %s: %s; use fewer --dns-ports", filter->name, fl_strerror(n));
		return n;
	}
	printf("filter %s: %s\n\n%s\n\nassembly (%d instructions)\n", filter->name, filter->about,
	       filter->expression, n);
	asm_print(stdout, prog, (size_t)n);
	for (i = 0; i < config->nexcludes; i++)
		if (config->excludes_left[i])
			log_warn("filter %s has no room for rule %zu of those of capture.exclude "
				 "without a process: packets are left out after they were copied",
				 filter->name, i + 1);
	printf("\ntcpdump -ddd\n");
	asm_print_numbers(stdout, prog, (size_t)n);
	return 0;
}

int command_filters(const struct options *o)
{
	bool left[FILTER_EXCLUDES_MAX] = {false};
	struct filter_config config = {o->dns_ports, o->ndns_ports, o->tunnels_inner, NULL, 0,
				       left};
	struct excludes excludes;
	int status = EXIT_OK;
	size_t i;

	if (excludes_init(&excludes, &o->conf.capture.exclude)) {
		log_error("memory was refused");
		return EXIT_FAILED;
	}
	config.excludes = excludes.filter;
	config.nexcludes = excludes.n < FILTER_EXCLUDES_MAX ? excludes.n : FILTER_EXCLUDES_MAX;
	for (i = 0; i < CLASSIC_FILTERS; i++) {
		if (i)
			putchar('\n');
		if (show(&classic_filters[i], &config))
			status = EXIT_FAILED;
	}
	excludes_free(&excludes);
	if (fflush(stdout) || ferror(stdout)) {
		log_error("standard output: cannot be written: %s", strerror(errno));
		return EXIT_FAILED;
	}
	return status;
}
