/* fuzz_kernel.c - any bytes as what the kernel tells of its sockets, one thing after the other, and
 * all of it into a flow table: messages of sock_diag, events of the eBPF programs, datagrams that
 * the ring's filter has counted, and time that passes.
 */
#include <stdlib.h>
#include <string.h>

#include "collector/probes_internal.h"
#include "collector/sockdiag.h"
#include "collector/sockets.h"
#include "flows/engine.h"
#include "flows/kernel.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define NS_PER_MS 1000000ULL
#define BEGIN_NS  (1700000000000ULL * NS_PER_MS)

struct input {
	const uint8_t *at;
	size_t left;
	struct engine *e;
	uint64_t now_ns;
};

static void require(bool ok)
{
	if (!ok)
		abort();
}

/* What is missing is 0. */
static void take(struct input *in, void *out, size_t n)
{
	size_t some = n < in->left ? n : in->left;

	memset(out, 0, n);
	memcpy(out, in->at, some);
	in->at += some;
	in->left -= some;
}

static uint8_t take_byte(struct input *in)
{
	uint8_t b;

	take(in, &b, 1);
	return b;
}

static void give(struct input *in, struct kernel_sample *s, uint8_t more)
{
	require(s->end < 2);
	if (more & 1)
		s->has |= KERNEL_OLD;
	if (!s->time_ns || more & 2)
		s->time_ns = in->now_ns;
	(void)engine_kernel_sample(in->e, s);
}

static void message(struct input *in, uint8_t more)
{
	struct sockets_quirks q = {more >> 2 & 1, more >> 3 & 1, more >> 4 & 1};
	struct kernel_sample s;
	struct sock_entry entry;
	uint8_t len[2];
	size_t n;
	void *copy;

	take(in, len, sizeof(len));
	n = (len[0] | (size_t)len[1] << 8) % 2048;
	n = n < in->left ? n : in->left;
	copy = malloc(n ? n : 1); /* of the exact size, for the sanitizer */
	require(copy != NULL);
	take(in, copy, n);
	if (sockdiag_parse_message(copy, n, PROTO_TCP, &entry)) {
		sockets_sample(&entry, &q, more & 32, &s);
		give(in, &s, more);
	}
	free(copy);
}

static void event(struct input *in, uint8_t more)
{
	struct kernel_process who;
	struct kernel_sample s;
	struct probe_event e;

	take(in, &e, sizeof(e));
	if (!probes_event_sample(&e, (int64_t)BEGIN_NS, more & 4, &s, &who))
		return;
	require(memchr(who.comm, 0, sizeof(who.comm)) != NULL);
	give(in, &s, more);
}

static void datagrams(struct input *in)
{
	struct kernel_datagrams d;
	struct ip_addr a, b;
	uint8_t bytes[40];

	take(in, bytes, sizeof(bytes));
	memset(&d, 0, sizeof(d));
	memcpy(a.b, bytes, 16);
	memcpy(b.b, bytes + 16, 16);
	d.end = (uint8_t)flow_key_make(&d.key, &a, &b, bytes[32], bytes[33], PROTO_UDP);
	d.iface = bytes[34] & 3;
	d.packets = bytes[35];
	d.bytes = (uint64_t)bytes[36] << bytes[37] % 40;
	d.first_ns = in->now_ns;
	d.last_ns = in->now_ns + bytes[38] * NS_PER_MS;
	engine_kernel_datagrams(in->e, &d);
}

static void put(void *ctx, const struct point *p)
{
	(void)p;
	++*(uint64_t *)ctx;
}

static void end(void *ctx, uint64_t cycle_end_ns)
{
	(void)ctx;
	(void)cycle_end_ns;
}

static struct engine *make_engine(uint8_t flags, uint64_t *points)
{
	static const struct ip_net half = {.bits = 1}; /* :: to 7fff..., v4-mapped too */
	struct engine_config c;
	struct engine *e;

	engine_config_default(&c);
	c.interval_ns = 1000 * NS_PER_MS;
	c.max_flows = 64;
	c.max_dns_pending = c.max_http_pending = c.max_streams = 16;
	c.step_back = true;
	c.sink.put = put;
	c.sink.end = end;
	c.sink.ctx = points;
	e = engine_new(&c);
	require(e != NULL);
	require(!engine_set_local(e, &half, 1));
	if (flags & 1)
		require(!engine_set_narrow(e, &half, 1));
	engine_set_connect_errors(e, flags & 2);
	return e;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, size, NULL, BEGIN_NS};
	const struct engine_stats *s;
	uint64_t points = 0;
	uint8_t what;

	in.e = make_engine(take_byte(&in), &points);
	while (in.left) {
		what = take_byte(&in);
		switch (what & 3) {
		case 0:
			message(&in, what >> 2);
			break;
		case 1:
			event(&in, what >> 2);
			break;
		case 2:
			datagrams(&in);
			break;
		default:
			in.now_ns += (uint64_t)(what >> 2) * 500 * NS_PER_MS;
			engine_tick(in.e, in.now_ns);
		}
	}
	engine_finish(in.e, 0);
	s = engine_stats(in.e);
	require(s->points == points);
	require(s->packets_seen == s->packets_parsed + s->packets_duplicate + s->packets_excluded);
	engine_free(in.e);
	return 0;
}
