/* show_filters.c - `flowline filters`: the programs that run inside the kernel, for people and
 * tools. */
#include "collector/commands.h"

#include <stdio.h>

#include "common/log.h"
#include "filters/asm.h"
#include "filters/classic.h"

static int show(const struct classic_filter *filter, const struct filter_config *config)
{
	static struct filter_insn prog[FILTER_INSNS_MAX];
	int n = filter->build(prog, FILTER_INSNS_MAX, config);

	if (n < 0) {
		log_error("filter %s: %s; use fewer --dns-ports", filter->name, fl_strerror(n));
		return n;
	}
	printf("filter %s: %s\n\n%s\n\nassembly (%d instructions)\n", filter->name, filter->about,
	       filter->expression, n);
	asm_print(stdout, prog, (size_t)n);
	printf("\ntcpdump -ddd\n");
	asm_print_numbers(stdout, prog, (size_t)n);
	return 0;
}

int command_filters(const struct options *o)
{
	struct filter_config config = {o->dns_ports, o->ndns_ports, o->tunnels_inner};
	int status = EXIT_OK;
	size_t i;

	for (i = 0; i < CLASSIC_FILTERS; i++) {
		if (i)
			putchar('\n');
		if (show(&classic_filters[i], &config))
			status = EXIT_FAILED;
	}
	if (fflush(stdout) || ferror(stdout)) {
		log_error("standard output: cannot be written: %m");
		return EXIT_FAILED;
	}
	return status;
}
