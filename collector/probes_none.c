/* probes_none.c - the probe tier of a build without libbpf: says so. See collector/probes.c. */
#include "collector/kernel_source.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const char without[] = "this program was built without libbpf; build it with libbpf-dev, "
			      "libelf-dev, clang and bpftool (or from a release tarball)";

static int none_open(struct kernel_source **s, const struct kernel_source_config *config,
		     const struct kernel_sink *sink, char why[KERNEL_WHY_SIZE])
{
	(void)config;
	(void)sink;
	*s = NULL;
	snprintf(why, KERNEL_WHY_SIZE, "%s", without);
	return -ENOSYS;
}

static int none_fd(const struct kernel_source *s)
{
	(void)s;
	return -1;
}

static int none_poll(struct kernel_source *s, char why[KERNEL_WHY_SIZE])
{
	(void)s;
	snprintf(why, KERNEL_WHY_SIZE, "%s", without);
	return -ENOSYS;
}

static size_t none_facts(const struct kernel_source *s, struct kernel_fact out[KERNEL_FACTS_MOST])
{
	(void)s;
	(void)out;
	return 0;
}

static void none_stats(struct kernel_source *s, struct kernel_source_stats *out)
{
	(void)s;
	memset(out, 0, sizeof(*out));
}

static void none_close(struct kernel_source *s)
{
	(void)s;
}

const struct kernel_source_ops kernel_source_probes = {
    "probe", none_open, none_fd, none_poll, NULL, none_facts, none_stats, none_close, NULL,
};
