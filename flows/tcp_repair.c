/* tcp_repair.c - bytes of connections whose frames the packet ring has dropped, by what their
 * sockets tell: engine_repair() in flows/kernel.h.
 *
 * The flow is counted by packets, and stays so. A socket's figures tell how far each end's stream
 * had come: what is jumped over in front of that, and what is missing at its end, was sent.
 * Positions count from the SYN; where none was seen, from the first figures that were taken while
 * the connection was silent: then they belong to the last segment that was seen. A segment that was
 * dropped just then makes them too low a mark, never too high a one.
 *
 * A retransmission of what is counted here comes later, as one of any other byte that was seen.
 */
#include "flows/kernel.h"
#include "flows/tcp.h"

enum { REPAIR_AHEAD = 1 << 30 }; /* bytes: packets are never further in front of the figures */
#define REPAIR_QUIET_NS 100000000ULL

static bool is_absolute(const struct flow *f, int end)
{
	return f->state & ((uint32_t)(FLOW_SYN | FLOW_SYNACK) << end);
}

/* How far the end has come by the figures; false: they do not tell. */
static bool told_by(const struct kernel_sample *s, int end, uint64_t *v)
{
	if (!(s->has & (end == s->end ? KERNEL_SENT : KERNEL_RECEIVED)))
		return false;
	*v = end == s->end ? s->sent : s->received;
	if (end == s->end)
		return true;
	if (s->has & KERNEL_FIN_MAYBE)
		return false;
	*v -= s->has & KERNEL_FIN && *v ? 1 : 0;
	return true;
}

/* No SYN was seen: do the figures belong to the last segment? A later silent moment may set a mark
 * that was too low higher. What an end has received may be less than what was seen of it: what
 * lacks is to be sent again. False: there is no mark yet. */
static bool has_mark(struct flow *f, struct flow_cold *c, int end, uint64_t v,
		     const struct kernel_sample *s)
{
	unsigned int bit = (unsigned int)NOTE_BASE << end;
	uint32_t beyond = f->next_seq[end] - c->isn[end] - 1 - (uint32_t)v;
	bool silent = f->last_ns + REPAIR_QUIET_NS <= s->time_ns;

	if (end == s->end ? s->has & KERNEL_IN_FLIGHT : c->hole_count[end])
		silent = false;
	if (silent && (!(c->notes & bit) || beyond < REPAIR_AHEAD)) {
		c->isn[end] = f->next_seq[end] - 1 - (uint32_t)v;
		c->notes |= (uint16_t)bit;
	}
	return c->notes & bit;
}

static uint64_t repair_end(struct tcp *t, struct flow *f, struct flow_cold *c, int end, uint64_t v,
			   uint64_t most)
{
	uint32_t stop = c->isn[end] + 1 + (uint32_t)v, beyond = f->next_seq[end] - stop;
	uint64_t bytes = tcp_seq_below(t, f, c, end, stop);

	if (beyond >= REPAIR_AHEAD) /* the figures are in front */
		bytes += 0U - beyond;
	if (!bytes || bytes > most)
		return 0;
	tcp_seq_take(t, f, c, end, stop);
	if (beyond >= REPAIR_AHEAD)
		f->next_seq[end] = stop;
	f->bytes[end] += bytes;
	return bytes;
}

uint64_t tcp_repair(struct tcp *t, struct flow *f, struct flow_cold *c,
		    const struct kernel_sample *s, uint64_t most)
{
	uint64_t v, bytes = 0;
	int end;

	if (f->state & FLOW_CLOSED) /* the socket is of another connection */
		return 0;
	for (end = 0; end < 2; end++) {
		if (!(f->state & (uint32_t)FLOW_SEQ << end) || !told_by(s, end, &v))
			continue;
		if (is_absolute(f, end) || has_mark(f, c, end, v, s))
			bytes += repair_end(t, f, c, end, v, most - bytes);
	}
	return bytes;
}

uint64_t tcp_repair_closed(struct tcp *t, struct flow *f, struct flow_cold *c, uint64_t most)
{
	uint64_t bytes = 0, one;
	int end;

	if ((f->state & (3 * FLOW_FIN)) != 3 * FLOW_FIN)
		return 0;
	for (end = 0; end < 2; end++) {
		one = tcp_seq_below(t, f, c, end, f->next_seq[end]);
		if (!one || one > most - bytes)
			continue;
		tcp_seq_take(t, f, c, end, f->next_seq[end]);
		f->bytes[end] += one;
		bytes += one;
	}
	return bytes;
}
