/* test_attribution.c - which process a connection is told to be of, where several have the same
 * ports one after the other, and when /proc is asked.
 */
#include "collector/attribution.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "collector/pipeline.h"
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
static bool watches; /* the SYNs can be watched here */

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
	watches = who.syn_fd >= 0;
	attribution_probes(&who, true, true, false);
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
	attribution_probes(&who, false, false, false);
	CHECK(!who.told);
	CHECK_INT(who.syn_fd >= 0, watches);
	attribution_probes(&who, true, false, false);
	CHECK_INT(who.syn_fd >= 0, watches); /* who connects is not told */
	attribution_probes(&who, true, true, false);
	CHECK(who.told && who.syn_fd == -1);
	attribution_probes(&who, false, false, false);
	CHECK_INT(owner_at(BEGIN_NS - 20000), 0);
	finish();
}

/* ---- probes that tell who accepts, or who closes what was accepted */

static uint64_t asked(void)
{
	struct owners_stats s;

	owners_stats(who.owners, &s);
	return s.lookups + s.dumps + s.queued;
}

static void begin_waiting(void)
{
	begin();
	CHECK(!who.later); /* nobody tells who accepts: all are asked for at once */
	attribution_probes(&who, true, true, true);
	CHECK(who.later != NULL);
}

static void test_waits(void)
{
	struct kernel_process p;
	uint64_t now_ns = monotonic_ns();
	uint32_t want;

	begin_waiting();
	make_process(&p, 0);
	CHECK_INT(owner_at(BEGIN_NS), 0);
	CHECK_INT(who.nlater, 1);
	attribution_work(&who, now_ns + 100 * MS);
	CHECK_INT(who.nlater, 1);
	want = attribution_told(&who, &key, client, BEGIN_NS + MS, &p);
	attribution_work(&who, now_ns + 300 * MS);
	CHECK_INT(who.nlater, 0);
	CHECK_INT(asked(), 0); /* it was told meanwhile */
	CHECK_INT(owner_at(BEGIN_NS), want);
	CHECK_INT(owner_at(BEGIN_NS + 60 * MS), 0);
	attribution_work(&who, now_ns + 600 * MS);
	CHECK(asked() > 0); /* it was not */
	CHECK_INT(who.nlater, 0);
	finish();
}

/* A point is not to be without a process because nobody was asked. */
static void test_cycle_end(void)
{
	begin_waiting();
	CHECK_INT(owner_at(BEGIN_NS), 0);
	attribution_before_end(&who);
	CHECK_INT(who.nlater, 0);
	CHECK(asked() > 0);
	finish();
}

/* More than wait can are asked for at once. */
static void test_crowd(void)
{
	struct owners_stats s;
	int i;

	begin_waiting();
	for (i = 0; i < ATTRIBUTION_LATER + 10; i++)
		CHECK_INT(owner_at(BEGIN_NS + i), 0);
	CHECK_INT(who.nlater, ATTRIBUTION_LATER);
	owners_stats(who.owners, &s);
	CHECK_INT(s.queued, 10);
	finish();
}

/* Who closes a connection had it from its begin, and no other connection. */
static void test_closer(void)
{
	struct kernel_process p;
	const struct owner *o;
	uint32_t got;

	begin_waiting();
	make_process(&p, 0);
	p.at_close = true;
	/* 0: the engine knows, or will ask when its frames come */
	CHECK_INT(attribution_told(&who, &key, client, BEGIN_NS + 50 * MS, &p), OWNER_NONE);
	attribution_closed(&who, &key, client);
	got = owner_at(BEGIN_NS);
	o = owners_get(who.owners, got);
	CHECK(o && o->pid == p.pid);
	CHECK_INT(who.nlater, 0);
	CHECK_INT(owner_at(BEGIN_NS + 51 * MS), 0);
	CHECK_INT(who.nlater, 1);
	/* the next one on these ports, by another process */
	make_process(&p, 1);
	p.at_close = true;
	CHECK(attribution_told(&who, &key, client, BEGIN_NS + 90 * MS, &p) != OWNER_NONE);
	CHECK_INT(owner_at(BEGIN_NS), got);
	o = owners_get(who.owners, owner_at(BEGIN_NS + 51 * MS));
	CHECK(o && o->pid == p.pid);
	finish();
}

/* Who accepted it, as a probe saw, is not put in the shade by who closes it. */
static void test_accepted(void)
{
	struct kernel_process p, closer;
	uint32_t want;

	begin_waiting();
	make_process(&p, 0);
	make_process(&closer, 1);
	closer.at_close = true;
	want = attribution_told(&who, &key, client, BEGIN_NS + MS, &p);
	CHECK_INT(attribution_told(&who, &key, client, BEGIN_NS + 5 * MS, &closer), OWNER_NONE);
	CHECK_INT(owner_at(BEGIN_NS), want);
	finish();
}

/* The ends of a real connection on lo. */
static bool connect_lo(int fd[3])
{
	struct sockaddr_in at = {.sin_family = AF_INET}, own;
	socklen_t len = sizeof(at);
	static const uint8_t one[4] = {127, 0, 0, 1};
	struct ip_addr lo;

	addr_from_v4(&lo, one);
	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	fd[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	fd[1] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (!CHECK(!bind(fd[0], (struct sockaddr *)&at, sizeof(at)) && !listen(fd[0], 1) &&
		   !getsockname(fd[0], (struct sockaddr *)&at, &len) &&
		   !connect(fd[1], (struct sockaddr *)&at, sizeof(at)) &&
		   !getsockname(fd[1], (struct sockaddr *)&own, &len)))
		return false;
	fd[2] = accept(fd[0], NULL, NULL);
	client = !flow_key_make(&key, &lo, &lo, ntohs(own.sin_port), ntohs(at.sin_port), PROTO_TCP);
	return CHECK(fd[2] >= 0);
}

/* Nor who was found in /proc, of a connection that lived so long. */
static void test_found(void)
{
	struct kernel_process closer;
	uint64_t now_ns = monotonic_ns();
	struct owners_stats s;
	int fd[3], i;

	begin_waiting();
	make_process(&closer, 0);
	closer.at_close = true;
	if (!connect_lo(fd))
		return;
	CHECK_INT(owner_at(BEGIN_NS), 0);
	for (i = 1; i < 60; i++) {
		attribution_work(&who, now_ns + (uint64_t)i * 100 * MS);
		owners_stats(who.owners, &s);
		if (s.known)
			break;
	}
	if (!s.known) {
		TEST_SKIP("its own socket is not found here: no sock_diag, or /proc is hidden");
	} else {
		CHECK_INT(attribution_told(&who, &key, client, BEGIN_NS + MS, &closer), OWNER_NONE);
		CHECK_INT(owner_at(BEGIN_NS), 0); /* nothing is told of it by probes */
	}
	for (i = 0; i < 3; i++)
		close(fd[i]);
	finish();
}

TEST_MAIN({"one port, several processes", test_one_port}, {"in turns", test_turns},
	  {"many ports", test_many}, {"open, and no longer", test_open},
	  {"waits for probes", test_waits}, {"not beyond a cycle's end", test_cycle_end},
	  {"many wait", test_crowd}, {"who closes", test_closer},
	  {"who accepted, and who closes", test_accepted}, {"found, and who closes", test_found})
