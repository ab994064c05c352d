/* reload.h - SIGHUP: the configuration read anew, and what of it can change in a run.
 *
 * Settings with CONF_RESTART (conf/schema.h) keep their values until the next start, and that is
 * said.
 */
#ifndef COLLECTOR_RELOAD_H
#define COLLECTOR_RELOAD_H

#include <stdbool.h>

#include "collector/options.h"
#include "common/error.h"

struct reload {
	struct options *o;     /* new, to be freed by reload_free() */
	unsigned int changed;  /* settings that differ and are applied */
	unsigned int restarts; /* that differ and keep their old values */
	bool filter;           /* one of those that the kernel's filter is made of differs */
	bool geoip;            /* one of geoip.* differs */
};

/* Read file, environment and command line again, as `now` was. 0, or FL_EUSAGE or -ENOMEM after all
 * mistakes have been logged; then nothing is to be freed. Each setting that needs a restart is
 * warned about, and has its value of `now` in r->o. */
int reload_read(struct reload *r, const struct options *now) MUST_CHECK;

/* What reload_read() or a caller that took r->o over has left; NULL is fine. */
void reload_free(struct options *o);

#endif
