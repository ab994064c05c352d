/* exclude.c - see exclude.h. */
#include "flows/exclude.h"

static bool nets_fit(const struct exclude_rule *r, const struct flow_key *key)
{
	struct ip_addr a, b;
	size_t i;

	flow_key_addr(key, 0, &a);
	flow_key_addr(key, 1, &b);
	for (i = 0; i < r->nnets; i++)
		if (net_contains(&r->nets[i], &a) || net_contains(&r->nets[i], &b))
			return true;
	return false;
}

static bool ports_fit(const struct exclude_rule *r, const struct flow_key *key)
{
	uint16_t a = flow_key_port(key, 0), b = flow_key_port(key, 1);
	size_t i;

	for (i = 0; i < r->nports; i++)
		if (r->ports[i] == a || r->ports[i] == b)
			return true;
	return false;
}

bool exclude_rule_fits(const struct exclude_rule *r, const struct flow_key *key)
{
	if (!r->nnets && !r->nports)
		return false;
	return (!r->nports || ports_fit(r, key)) && (!r->nnets || nets_fit(r, key));
}

bool exclude_match(const struct exclude *x, const struct flow_key *key)
{
	size_t i;

	for (i = 0; x && i < x->n; i++)
		if (exclude_rule_fits(&x->rules[i], key))
			return true;
	return false;
}
