/* reload.c - see reload.h. */
#include "collector/reload.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "conf/schema.h"
#include "conf/value.h"

static bool begins(const char *text, const char *with)
{
	return !strncmp(text, with, strlen(with));
}

/* One setting that differs. */
static void differs(void *ctx, const struct conf_setting *s, const char *before, const char *after)
{
	struct reload *r = ctx;

	if (!conf_setting_restarts(s)) {
		log_debug("%s: %s, was %s", s->path, after, before);
		r->changed++;
		r->filter = r->filter || !strcmp(s->path, "dns.ports") ||
			    !strcmp(s->path, "capture.tunnels") ||
			    !strcmp(s->path, "capture.exclude");
		r->geoip = r->geoip || begins(s->path, "geoip.");
		return;
	}
	log_warn("needs a restart: %s stays %s until then, not %s", s->path, before, after);
	r->restarts++;
}

/* The old values of settings that need a restart. Not from within conf_diff(), which still reads.
 */
static int keep_old(struct conf *next, const struct conf *now)
{
	size_t i;

	for (i = 0; i < conf_schema.n; i++) {
		const struct conf_setting *s = &conf_schema.settings[i];

		if (!conf_setting_restarts(s))
			continue;
		conf_value_free(s, conf_at(s, next));
		if (conf_value_copy(s, conf_at(s, next), conf_at(s, now)))
			return -ENOMEM;
	}
	return 0;
}

static int compare(struct reload *r, const struct options *now)
{
	if (conf_diff(&now->conf, &r->o->conf, differs, r) < 0 ||
	    keep_old(&r->o->conf, &now->conf) || options_from_conf(r->o)) {
		log_error("memory was refused: the old configuration stays");
		return -ENOMEM;
	}
	return 0;
}

int reload_read(struct reload *r, const struct options *now)
{
	int err;

	memset(r, 0, sizeof(*r));
	r->o = malloc(sizeof(*r->o));
	if (!r->o) {
		log_error("memory was refused: the old configuration stays");
		return -ENOMEM;
	}
	err = options_parse(r->o, now->argc, now->argv, now->env);
	if (!err && now->config_file && *now->config_file && !r->o->config_file) {
		log_error("%s is not there any more", now->config_file);
		err = FL_EUSAGE;
	}
	if (err) {
		options_log_errors(r->o);
		log_error("the old configuration stays");
	} else {
		err = compare(r, now);
	}
	if (err) {
		reload_free(r->o);
		r->o = NULL;
	}
	return err;
}

void reload_free(struct options *o)
{
	if (o)
		options_free(o);
	free(o);
}
