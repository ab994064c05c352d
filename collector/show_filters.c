/* show_filters.c - `flowline filters`: the programs that run inside the kernel, for people and
 * tools. */
#include "collector/commands.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/excludes.h"
#include "collector/ifaces.h"
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
	if (*config->narrow_left)
		log_warn("filter %s has no room for this host's %zu addresses: all of TCP is read",
			 filter->name, config->nnarrow);
	printf("\ntcpdump -ddd\n");
	asm_print_numbers(stdout, prog, (size_t)n);
	return 0;
}

/* The addresses that `flowline run` would narrow to. NULL: they cannot be had. */
static struct ip_net *own_addresses(size_t *n)
{
	struct ip_net *nets = NULL;
	struct ifaces *ifs;

	*n = 0;
	if (ifaces_new(&ifs))
		return NULL;
	*n = ifaces_local(ifs, NULL, 0);
	nets = calloc(*n, sizeof(*nets));
	*n = nets ? ifaces_local(ifs, nets, *n) : 0;
	ifaces_free(ifs);
	return nets;
}

int command_filters(const struct options *o)
{
	static const struct ip_net lo = {{{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127, 0, 0, 0}},
					 96 + 8};
	bool left[FILTER_EXCLUDES_MAX] = {false}, narrow_left = false;
	struct filter_config config = {.dns_ports = o->dns_ports,
				       .ndns_ports = o->ndns_ports,
				       .tunnels_inner = o->tunnels_inner,
				       .excludes_left = left,
				       .narrow_left = &narrow_left};
	struct excludes excludes;
	struct ip_net *own;
	int status = EXIT_OK;
	size_t i;

	if (excludes_init(&excludes, &o->conf.capture.exclude)) {
		log_error("memory was refused");
		return EXIT_FAILED;
	}
	own = own_addresses(&config.nnarrow);
	config.narrow = own ? own : &lo;
	config.nnarrow = own ? config.nnarrow : 1;
	config.excludes = excludes.filter;
	config.nexcludes = excludes.n < FILTER_EXCLUDES_MAX ? excludes.n : FILTER_EXCLUDES_MAX;
	for (i = 0; i < CLASSIC_FILTERS; i++) {
		if (i)
			putchar('\n');
		if (show(&classic_filters[i], &config))
			status = EXIT_FAILED;
	}
	excludes_free(&excludes);
	free(own);
	if (fflush(stdout) || ferror(stdout)) {
		log_error("standard output: cannot be written: %s", strerror(errno));
		return EXIT_FAILED;
	}
	return status;
}
