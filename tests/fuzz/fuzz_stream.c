/* fuzz_stream.c - TCP segments of a conversation that the input holds, reordered, cut, sent again,
 * with holes.
 *
 * Input: one byte (bit 0: DNS port, else HTTP; bits 1-3: the ISNs, near their wrap), one byte that
 * is the client's share of the rest, then segments as four bytes each (who and flags; where; how
 * long; how many bytes captured) up to half of what is left, then the two streams. Checked: each
 * position counted at most once, points' rules, all memory given back.
 */
#include <stdlib.h>
#include <string.h>

#include "flows/engine.h"
#include "tests/flows/script.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
	if (!ok)
		abort();
}

static void one_segment(struct script *s, const uint8_t *d, const uint8_t *const *bytes,
			const uint32_t *len)
{
	static const uint8_t flags[] = {TCP_ACK, TCP_ACK | TCP_PSH, TCP_ACK | TCP_FIN,
					TCP_RST, TCP_SYN,           TCP_SYN | TCP_ACK,
					TCP_ACK, TCP_RST | TCP_ACK};
	struct script_segment g = {.who = d[0] & 1, .flags = flags[d[0] >> 1 & 7]};
	uint32_t n = len[g.who], from = n ? d[1] * 4U % n : 0;

	s->time_ns += (uint64_t)(d[0] >> 4) * 150000000;
	g.len = d[2] < n - from ? d[2] : n - from;
	if (g.flags & (TCP_SYN | TCP_RST))
		g.len = 0;
	g.seq = g.flags & TCP_SYN ? 0 : 1 + from;
	g.ack = 1 + d[3] * 4U % (len[1 - g.who] + 1);
	g.cut = d[3] > 200 && g.len > 20 ? g.len - 20 : 0;
	g.data = (const char *)bytes[g.who] + from;
	script_tcp(s, &g);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct script s;
	const uint8_t *bytes[2];
	struct engine_config c;
	struct record r;
	uint32_t len[2], segments, i, half;

	if (size < 8)
		return 0;
	segments = (uint32_t)(size - 2) / 2 / 4;
	half = (uint32_t)(size - 2) - segments * 4;
	len[0] = (uint32_t)((uint64_t)half * data[1] / 255);
	len[1] = half - len[0];
	bytes[0] = data + 2 + segments * 4;
	bytes[1] = bytes[0] + len[0];
	script_config(&c, &r);
	c.max_flows = c.max_streams = 4;
	c.max_dns_pending = c.max_http_pending = 4;
	script_init(&s, script_engine(&c), PROTO_TCP, data[0] & 1 ? 53 : 8080);
	s.isn[0] = 0xffffffff - (data[0] & 0x0eU) * 16;
	s.isn[1] = 0xffffffff - (data[0] & 0x0eU) * 8;
	for (i = 0; i < segments; i++)
		one_segment(&s, data + 2 + i * 4, bytes, len);
	engine_finish(s.e, 0);
	require(!r.broken);
	require(r.net.packets_read + r.net.packets_written == segments);
	require(!engine_stats(s.e)->streams_active && !engine_stats(s.e)->http_pending &&
		!engine_stats(s.e)->dns_pending);
	engine_free(s.e);
	record_free(&r);
	return 0;
}
