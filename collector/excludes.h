/* excludes.h - the configuration's capture.exclude as the rules of its users: the kernel's filter,
 * the engine, and those by process.
 *
 * Memory:  the rules point into the configuration, which must outlive them.
 */
#ifndef COLLECTOR_EXCLUDES_H
#define COLLECTOR_EXCLUDES_H

#include <stdbool.h>
#include <stddef.h>

#include "common/error.h"
#include "common/text.h"
#include "conf/conf.h"
#include "filters/classic.h"
#include "flows/exclude.h"

struct excludes {
	struct filter_exclude *filter; /* for struct filter_config, struct ring_config */
	struct exclude flows;          /* for struct engine_config; the same rules */
	size_t n;                      /* of both: rules without a process */
	bool has_process;              /* there are rules by process: see excludes_process() */
};

/* 0, or -ENOMEM. */
int excludes_init(struct excludes *x, const struct conf_excludes *conf) MUST_CHECK;

/* Also of a struct of zeros. */
void excludes_free(struct excludes *x);

/* Is a flow whose local end belongs to this process left out, by a rule that names it? Then it is
 * for engine_exclude_flow(). */
bool excludes_process(const struct conf_excludes *conf, const struct flow_key *key,
		      struct text process);

#endif
