/* engine_settings.c - an engine's configuration: defaults, and what can change while it runs. */
#include "flows/engine_internal.h"

#include <string.h>

#define NS_PER_S 1000000000ULL

void engine_config_default(struct engine_config *c)
{
	static const uint16_t dns_port = 53;

	memset(c, 0, sizeof(*c));
	c->interval_ns = 60 * NS_PER_S;
	c->max_flows = 262144;
	c->max_dns_pending = 65536;
	c->max_http_pending = 65536;
	c->max_streams = 65536;
	c->dns_timeout_ns = 5 * NS_PER_S;
	c->http_timeout_ns = 60 * NS_PER_S;
	c->tcp_idle_ns = 3600 * NS_PER_S;
	c->udp_idle_ns = 60 * NS_PER_S;
	c->tcp_attempt_ns = 75 * NS_PER_S;
	c->tcp_linger_ns = 10 * NS_PER_S;
	c->dns_ports = &dns_port;
	c->ndns_ports = 1;
	c->http_max_path = 150;
	c->fold_client_port = true;
	c->dns_domain = true;
}

void engine_set_dns_ports(struct engine *e, const uint16_t *ports, size_t n)
{
	size_t i;

	memset(e->dns_ports, 0, sizeof(e->dns_ports));
	for (i = 0; i < n; i++)
		e->dns_ports[ports[i] / 64] |= 1ULL << ports[i] % 64;
}

void engine_reconfigure(struct engine *e, const struct engine_config *c)
{
	uint64_t end_ns;

	e->config.interval_ns = c->interval_ns;
	e->config.dns_timeout_ns = c->dns_timeout_ns;
	e->config.http_timeout_ns = c->http_timeout_ns;
	e->config.http_paths = c->http_paths;
	e->config.fold_client_port = c->fold_client_port;
	e->config.dns_domain = c->dns_domain;
	e->config.tunnels_inner = c->tunnels_inner;
	e->config.dns_ports = NULL; /* e->dns_ports is what counts */
	e->decoder.tunnels_inner = c->tunnels_inner;
	engine_set_dns_ports(e, c->dns_ports, c->ndns_ports);
	points_configure(e->points, c->fold_client_port, c->dns_domain);
	dns_pending_set_timeout(e->dns, c->dns_timeout_ns);
	http_pairs_configure(e->http, c->http_timeout_ns, c->http_paths);
	e->places.n = 0; /* made with the old settings */
	/* From an hour to a second: nobody wants to wait for the hour. */
	end_ns = e->cycle_end_ns ? engine_boundary(e, e->now_ns) : 0;
	if (end_ns < e->cycle_end_ns)
		e->cycle_end_ns = end_ns;
}

void engine_exclude_own(struct engine *e, uint16_t port, uint64_t until_ns)
{
	e->own_ports[e->nown++ % ENGINE_OWN_PORTS] = port;
	if (until_ns > e->own_until_ns)
		e->own_until_ns = until_ns;
}

bool engine_is_own(const struct engine *e, const struct flow_key *key)
{
	static const uint8_t localhost[4] = {127, 0, 0, 1};
	struct ip_addr lo, a, b;
	unsigned int i;

	addr_from_v4(&lo, localhost);
	flow_key_addr(key, 0, &a);
	flow_key_addr(key, 1, &b);
	if (!addr_equal(&a, &lo) || !addr_equal(&b, &lo))
		return false;
	for (i = 0; i < e->nown && i < ENGINE_OWN_PORTS; i++)
		if (e->own_ports[i] == flow_key_port(key, 0) ||
		    e->own_ports[i] == flow_key_port(key, 1))
			return true;
	return false;
}
