/* pace.c - see pace.h. */
#include "collector/pace.h"

#define NS_PER_MS 1000000ULL

/* Read so soon after its rest, it had something by then. */
static const uint64_t AT_ONCE_NS = NS_PER_MS;

void pace_read(struct pace *p, uint64_t now_ns, unsigned int most_ms)
{
	bool at_once = p->until_ns || (p->rested_ns && now_ns - p->rested_ns < AT_ONCE_NS);

	p->step_ms = at_once && p->step_ms ? 2 * p->step_ms : 1;
	if (p->step_ms > most_ms)
		p->step_ms = most_ms;
	p->rested_ns = 0;
	p->until_ns = p->step_ms ? now_ns + p->step_ms * NS_PER_MS : 0;
}

bool pace_is_over(struct pace *p, uint64_t now_ns)
{
	if (!p->until_ns || now_ns < p->until_ns)
		return false;
	p->until_ns = 0;
	p->rested_ns = now_ns;
	return true;
}
