/* excludes.c - see excludes.h. */
#include "collector/excludes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int excludes_init(struct excludes *x, const struct conf_excludes *conf)
{
	struct exclude_rule *rules = calloc(conf->n + 1, sizeof(*rules));
	size_t i;

	memset(x, 0, sizeof(*x));
	x->flows.rules = rules;
	x->filter = calloc(conf->n + 1, sizeof(*x->filter));
	if (!x->filter || !rules) {
		excludes_free(x);
		return -ENOMEM;
	}
	for (i = 0; i < conf->n; i++) {
		const struct conf_exclude *c = &conf->v[i];

		if (c->process.n) {
			x->has_process = true;
			continue;
		}
		rules[x->n] = (struct exclude_rule){c->cidr.v, c->cidr.n, c->port.v, c->port.n};
		x->filter[x->n++] =
		    (struct filter_exclude){c->cidr.v, c->cidr.n, c->port.v, c->port.n};
	}
	x->flows.n = x->n;
	return 0;
}

void excludes_free(struct excludes *x)
{
	free(x->filter);
	free((void *)(uintptr_t)x->flows.rules);
	memset(x, 0, sizeof(*x));
}

bool excludes_process(const struct conf_excludes *conf, const struct flow_key *key,
		      struct text process)
{
	size_t i, k;

	for (i = 0; i < conf->n; i++) {
		const struct conf_exclude *c = &conf->v[i];
		struct exclude_rule rest = {c->cidr.v, c->cidr.n, c->port.v, c->port.n};

		for (k = 0; k < c->process.n; k++)
			if (strlen(c->process.v[k]) == process.len &&
			    !memcmp(c->process.v[k], process.s, process.len) &&
			    ((!c->cidr.n && !c->port.n) || exclude_rule_fits(&rest, key)))
				return true;
	}
	return false;
}
