/* tiers_watches.c - the packet rings of watches.h as tiers.h wants them. */
#include "collector/tiers.h"

#include <net/if_arp.h>

#include "collector/ifaces.h"
#include "collector/watches.h"

static int narrow(void *ctx, const struct ip_net *nets, size_t n, int bpf_fd)
{
	return watches_narrow(ctx, nets, n, bpf_fd);
}

static void drain(void *ctx)
{
	watches_drain(ctx);
}

static void have(void *ctx, bool *narrowed, bool *ebpf)
{
	const struct watches *w = ctx;

	*narrowed = w->nnarrow > 0;
	*ebpf = w->bpf_fd >= 0;
}

/* Of interfaces that are down nothing comes. */
static bool ethernet(void *ctx)
{
	const struct watches *w = ctx;
	const struct iface *list;
	size_t i, n = ifaces_list(w->ifs, &list);

	for (i = 0; i < n; i++)
		if (list[i].up && list[i].hatype != ARPHRD_ETHER &&
		    list[i].hatype != ARPHRD_LOOPBACK)
			return false;
	return true;
}

void tiers_use_watches(struct tiers_rings *rings, struct watches *w)
{
	rings->narrow = narrow;
	rings->drain = drain;
	rings->have = have;
	rings->ethernet = ethernet;
	rings->ctx = w;
}
