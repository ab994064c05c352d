/* test_local.c - which addresses are this host's: single ones, networks, set anew, too many. */
#include "flows/local.h"

#include "tests/test.h"

#include <stdlib.h>

static bool has(const struct local *l, const char *text)
{
	struct ip_addr a;

	CHECK_INT(addr_parse(&a, text), 0);
	return local_has(l, &a);
}

static void test_sets(void)
{
	struct ip_net nets[4];
	struct local l;

	if (!CHECK(!local_init(&l)))
		return;
	CHECK(!local_any(&l) && !has(&l, "10.0.0.1"));
	CHECK(!net_parse(&nets[0], "10.1.0.0/16") && !net_parse(&nets[1], "192.0.2.7") &&
	      !net_parse(&nets[2], "fd00::/8") && !net_parse(&nets[3], "192.0.2.7"));
	CHECK_INT(local_set(&l, nets, 4), 0);
	CHECK(local_any(&l));
	CHECK_INT(l.nhosts, 1); /* twice is once */
	CHECK(has(&l, "10.1.255.255") && !has(&l, "10.2.0.0"));
	CHECK(has(&l, "192.0.2.7") && !has(&l, "192.0.2.8"));
	CHECK(has(&l, "fd12::1") && !has(&l, "fe80::1"));
	CHECK_INT(local_set(&l, nets + 1, 1), 0); /* anew: nothing of before */
	CHECK(has(&l, "192.0.2.7") && !has(&l, "10.1.0.1") && !has(&l, "fd12::1"));
	local_destroy(&l);
}

static void test_most(void)
{
	struct ip_net *nets = calloc(LOCAL_NETS_MOST + 1, sizeof(*nets));
	struct local l;
	size_t i;

	if (!CHECK(nets != NULL))
		return;
	if (!CHECK(!local_init(&l))) {
		free(nets);
		return;
	}
	for (i = 0; i <= LOCAL_NETS_MOST; i++) {
		const uint8_t v4[4] = {10, 0, (uint8_t)(i >> 8), (uint8_t)i};

		addr_from_v4(&nets[i].addr, v4);
		nets[i].bits = 128;
	}
	CHECK_INT(local_set(&l, nets, LOCAL_NETS_MOST), 0);
	CHECK_INT(l.nhosts, LOCAL_NETS_MOST);
	CHECK(has(&l, "10.0.15.255") && !has(&l, "10.0.16.0"));
	CHECK_INT(local_set(&l, nets, LOCAL_NETS_MOST + 1), FL_EFULL);
	CHECK(has(&l, "10.0.15.255")); /* as before */
	local_destroy(&l);
	free(nets);
}

static void test_client(void)
{
	struct ip_addr a, out, zero;
	struct ip_net net;
	struct local l;

	memset(&zero, 0, sizeof(zero));
	if (!CHECK(!local_init(&l)) || !CHECK(!net_parse(&net, "10.0.0.0/8")))
		return;
	CHECK_INT(addr_parse(&a, "10.0.0.1"), 0);
	names_client(&l, &a, &out);
	CHECK(addr_equal(&out, &a)); /* no host of ours: each asks for itself */
	CHECK_INT(local_set(&l, &net, 1), 0);
	names_client(&l, &a, &out);
	CHECK(addr_equal(&out, &zero));
	names_client(NULL, &a, &out);
	CHECK(addr_equal(&out, &a));
	local_destroy(&l);
}

TEST_MAIN({"sets", test_sets}, {"too many", test_most}, {"who asks", test_client})
