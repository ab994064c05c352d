/* test_talkers.c - the heaviest flows of a cycle: exact, copied, in order. */
#include "collector/talkers.h"

#include "common/wire.h"
#include "tests/test.h"

#include <stdlib.h>

static struct point netflow(uint32_t number, uint64_t bytes_read, uint64_t bytes_written)
{
	uint8_t v4[4] = {10, (uint8_t)(number >> 16), (uint8_t)(number >> 8), (uint8_t)number};
	struct point p;

	memset(&p, 0, sizeof(p));
	p.kind = POINT_NETFLOW;
	addr_from_v4(&p.src.addr, v4);
	v4[0] = 192;
	addr_from_v4(&p.dst.addr, v4);
	p.src.port_folded = true;
	p.dst.port = 443;
	p.transport = 6;
	p.u.netflow.bytes_read = bytes_read;
	p.u.netflow.bytes_written = bytes_written;
	return p;
}

static void add(struct talkers *t, uint32_t number, uint64_t bytes_read, uint64_t bytes_written)
{
	struct point p = netflow(number, bytes_read, bytes_written);

	talkers_add(t, &p);
}

static uint32_t number_of(const struct talker *k)
{
	return load_be32(k->src.addr.b + 12) & 0xffffff;
}

static void test_few(void)
{
	static struct talkers t;

	talkers_init(&t);
	talkers_end_cycle(&t);
	CHECK_INT(t.nshown, 0);
	add(&t, 1, 10, 5);
	add(&t, 2, 0, 100);
	add(&t, 3, 0, 0); /* nothing was said */
	CHECK_INT(t.nshown, 0);
	talkers_end_cycle(&t);
	CHECK_INT(t.nshown, 2);
	CHECK_INT(number_of(&t.shown[0]), 2);
	CHECK_INT(t.shown[0].bytes, 100);
	CHECK_INT(number_of(&t.shown[1]), 1);
	CHECK_INT(t.shown[1].bytes, 15);
	CHECK_INT(t.shown[1].bytes_read, 10);
	CHECK_INT(t.shown[1].bytes_written, 5);
	add(&t, 7, 1, 0); /* of the next one */
	CHECK_INT(t.nshown, 2);
	talkers_end_cycle(&t);
	CHECK_INT(t.nshown, 1);
	CHECK_INT(number_of(&t.shown[0]), 7);
	talkers_end_cycle(&t);
	CHECK_INT(t.nshown, 0);
}

struct wanted {
	uint64_t bytes;
	uint32_t number;
};

static int compare(const void *a, const void *b)
{
	const struct wanted *x = a, *y = b;

	if (x->bytes != y->bytes)
		return x->bytes > y->bytes ? -1 : 1;
	return x->number < y->number ? -1 : 1;
}

/* Against sorting all of them, also with many equals. */
static void test_exact(void)
{
	enum { MOST = 500 };
	static struct talkers t;
	static struct wanted all[MOST];
	unsigned int round, i;

	srand(815);
	talkers_init(&t);
	for (round = 0; round < 2000; round++) {
		unsigned int n = (unsigned int)rand() % MOST, range = round % 3 ? 1000000 : 12;
		size_t shown = n < TALKERS_MOST ? n : TALKERS_MOST, wrong = 0;

		for (i = 0; i < n; i++) {
			all[i].bytes = 1 + (uint64_t)((unsigned int)rand() % range);
			if (round % 7 == 0)
				all[i].bytes = i + 1; /* ascending: each one gets a place */
			all[i].number = i;
			add(&t, i, all[i].bytes - 1, 1);
		}
		qsort(all, n, sizeof(all[0]), compare);
		talkers_end_cycle(&t);
		for (i = 0; i < t.nshown && i < shown; i++)
			wrong += number_of(&t.shown[i]) != all[i].number ||
				 t.shown[i].bytes != all[i].bytes;
		if (t.nshown != shown || wrong)
			CHECK_MSG(false, "round %u: %zu of %zu, %zu wrong", round, t.nshown, shown,
				  wrong);
	}
	CHECK_INT(round, 2000);
}

static void test_copies(void)
{
	static struct talkers t;
	char name[] = "nginx", domain[600];
	struct point p = netflow(5, 1, 2);

	memset(domain, 'd', sizeof(domain));
	talkers_init(&t);
	p.pid = 4711;
	p.incoming = true;
	p.process_name.s = name;
	p.process_name.len = 5;
	p.dst_domain.s = domain;
	p.dst_domain.len = sizeof(domain);
	talkers_add(&t, &p);
	memset(name, 'x', sizeof(name)); /* borrowed: gone now */
	memset(domain, 'x', sizeof(domain));
	add(&t, 6, 1, 0); /* knows neither */
	talkers_end_cycle(&t);
	CHECK_STR(t.shown[0].process, "nginx");
	CHECK_INT(t.shown[0].pid, 4711);
	CHECK(t.shown[0].incoming && t.shown[0].src.port_folded);
	CHECK_INT(t.shown[0].dst.port, 443);
	CHECK_INT(t.shown[0].transport, 6);
	CHECK_INT(strlen(t.shown[0].domain), TALKER_DOMAIN_MOST - 1);
	CHECK_INT(t.shown[0].domain[0], 'd');
	CHECK_STR(t.shown[1].process, "");
	CHECK_STR(t.shown[1].domain, "");
	CHECK_INT(t.shown[1].pid, 0);
}

/* A place that is taken over keeps nothing of who had it. */
static void test_taken_over(void)
{
	static struct talkers t;
	struct point p = netflow(1, 1, 0);
	uint32_t i;

	talkers_init(&t);
	p.process_name.s = "old";
	p.process_name.len = 3;
	p.pid = 1;
	talkers_add(&t, &p);
	for (i = 2; i < 12; i++)
		add(&t, i, 100, 0);
	talkers_end_cycle(&t);
	CHECK_INT(t.nshown, TALKERS_MOST);
	for (i = 0; i < TALKERS_MOST; i++) {
		CHECK_INT(number_of(&t.shown[i]), i + 2);
		CHECK_STR(t.shown[i].process, "");
		CHECK_INT(t.shown[i].pid, 0);
	}
}

static void test_other_kinds(void)
{
	static struct talkers t;
	struct point p = netflow(1, 1, 1);

	talkers_init(&t);
	p.kind = POINT_DNSFLOW;
	talkers_add(&t, &p);
	p.kind = POINT_HTTPFLOW;
	talkers_add(&t, &p);
	p.kind = POINT_SELF;
	talkers_add(&t, &p);
	talkers_end_cycle(&t);
	CHECK_INT(t.nshown, 0);
}

TEST_MAIN({"a few", test_few}, {"exact", test_exact}, {"texts are copied", test_copies},
	  {"a place taken over", test_taken_over}, {"other kinds", test_other_kinds})
