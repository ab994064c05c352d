/* test_attribution.c - which process a connection is told to be of, where several have the same
 * ports one after the other.
 */
#include "collector/attribution.h"

#include <stdio.h>
#include <string.h>

#include "tests/test.h"

#define MS       1000000ULL
#define BEGIN_NS (1790000000000ULL * MS)

static void put(void *ctx, const struct point *p)
{
	(void)ctx;
	(void)p;
}

static void end(void *ctx, uint64_t cycle_end_ns)
{
	(void)ctx;
	(void)cycle_end_ns;
}

static struct attribution who;
static struct engine *engine;
static struct flow_key key;
static int client;

static void begin(void)
{
	static const struct conf conf = {.processes = {true, 100, true}};
	static const uint8_t addr[2][4] = {{10, 0, 0, 7}, {10, 0, 0, 8}};
	struct engine_config e;
	struct ip_addr a, b;

	engine_config_default(&e);
	e.max_flows = 256;
	e.sink.put = put;
	e.sink.end = end;
	engine = engine_new(&e);
	CHECK(engine != NULL);
	CHECK_INT(attribution_open(&who, &conf, engine), 0);
	attribution_probes(&who, true, true);
	CHECK(who.told && who.syn_fd == -1);
	addr_from_v4(&a, addr[0]);
	addr_from_v4(&b, addr[1]);
	client = flow_key_make(&key, &a, &b, 40000, 80, PROTO_TCP);
}

static void finish(void)
{
	attribution_close(&who);
	engine_free(engine);
}

/* Processes that are no more: only their events are left. */
static void make_process(struct kernel_process *p, uint32_t i)
{
	memset(p, 0, sizeof(*p));
	p->pid = 0x7ffffff0 + i; /* more than there are */
	snprintf(p->comm, sizeof(p->comm), "one %u", i);
}

/* A connection's first frame is a SYN at time_ns: whose is it? */
static uint32_t owner_at(uint64_t time_ns)
{
	struct engine_begin b = {&key, time_ns, 1U << client, true};
	uint32_t owner[2] = {0, 0};

	attribution_new_flow(&who, &b, owner);
	CHECK_INT(owner[!client], 0);
	return owner[client];
}

/* Three connect from one port, one after the other, and only then the frames of all of these
 * connections are read. */
static void test_one_port(void)
{
	struct kernel_process p[3];
	const struct owner *o;
	uint64_t time_ns = BEGIN_NS;
	uint32_t want[3], i;

	begin();
	CHECK_INT(owner_at(time_ns), 0);
	for (i = 0; i < 3; i++)
		make_process(&p[i], i);
	for (i = 0; i < 300; i++) {
		time_ns += MS;
		want[i / 100] = attribution_told(&who, &key, client, time_ns, &p[i / 100]);
		attribution_closed(&who, &key, client);
	}
	for (i = 0; i < 3; i++) {
		o = owners_get(who.owners, want[i]);
		CHECK(o && o->pid == p[i].pid);
	}
	for (i = 0; i < 300; i++)
		CHECK_INT(owner_at(BEGIN_NS + (i + 1) * MS - 20000), want[i / 100]);
	CHECK_INT(owner_at(time_ns + 20000), want[2]); /* the clocks differ a little */
	CHECK_INT(owner_at(time_ns + 20 * MS), 0);     /* another's, to be asked for */
	finish();
}

/* They take turns: records of one hash make room for newer ones. */
static void test_turns(void)
{
	struct kernel_process p[2];
	uint32_t want[2], i;

	begin();
	for (i = 0; i < 2; i++)
		make_process(&p[i], i);
	for (i = 0; i < 20; i++)
		want[i & 1] = attribution_told(&who, &key, client, BEGIN_NS + i * MS, &p[i & 1]);
	CHECK(want[0] != want[1]);
	for (i = 20 - ATTRIBUTION_WAYS; i < 20; i++)
		CHECK_INT(owner_at(BEGIN_NS + i * MS - 20000), want[i & 1]);
	finish();
}

/* 10,000 ports, all told before the first frame is read. */
static void test_many(void)
{
	static struct flow_key keys[10000];
	struct kernel_process p;
	struct ip_addr a, b;
	uint32_t want, i, wrong = 0;
	int ends[10000];

	begin();
	make_process(&p, 0);
	want = attribution_told(&who, &key, client, BEGIN_NS, &p);
	flow_key_addr(&key, client, &a);
	flow_key_addr(&key, !client, &b);
	for (i = 0; i < 10000; i++) {
		ends[i] = flow_key_make(&keys[i], &a, &b, (uint16_t)(20000 + i), 80, PROTO_TCP);
		CHECK_INT(attribution_told(&who, &keys[i], ends[i], BEGIN_NS + i, &p), want);
	}
	for (i = 0; i < 10000; i++) {
		key = keys[i];
		client = ends[i];
		wrong += owner_at(BEGIN_NS + i - 20) != want;
	}
	CHECK_MSG(wrong < 10, "%u of 10,000 are not known", wrong);
	finish();
}

/* A flow that begins in the middle, and one whose connection was closed long ago. */
static void test_open(void)
{
	struct engine_begin b = {&key, BEGIN_NS + 60000 * MS, 0, false};
	uint32_t owner[2] = {0, 0}, want;
	struct kernel_process p;

	begin();
	make_process(&p, 0);
	want = attribution_told(&who, &key, client, BEGIN_NS, &p);
	b.ends = 1U << client;
	attribution_new_flow(&who, &b, owner);
	CHECK_INT(owner[client], want);
	CHECK_INT(owner_at(BEGIN_NS + 60000 * MS), 0);
	p.pid = 0;
	CHECK_INT(attribution_told(&who, &key, client, BEGIN_NS, &p), OWNER_NONE);
	attribution_probes(&who, false, false);
	CHECK(!who.told);
	CHECK_INT(owner_at(BEGIN_NS - 20000), 0);
	finish();
}

TEST_MAIN({"one port, several processes", test_one_port}, {"in turns", test_turns},
	  {"many ports", test_many}, {"open, and no longer", test_open})
