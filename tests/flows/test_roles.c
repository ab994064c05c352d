/* test_roles.c - flows/roles.c: which end is the client, by each of the reasons, and that both
 * orders of the key agree.
 */
#include "flows/roles.h"

#include "tests/flows/build.h"
#include "tests/test.h"

static void set_v4(uint64_t *w, uint32_t a)
{
	struct ip_addr addr;
	uint8_t v4[4];

	put_be32(v4, a);
	addr_from_v4(&addr, v4);
	memcpy(w, addr.b, 16);
}

static struct flow_key key_of(uint32_t a0, uint16_t p0, uint32_t a1, uint16_t p1, uint8_t proto)
{
	struct flow_key k;

	set_v4(&k.w[0], a0);
	set_v4(&k.w[2], a1);
	k.w[4] = p0 | (uint64_t)p1 << 16 | (uint64_t)proto << 32;
	return k;
}

#define A IP4(10, 0, 0, 1)
#define B IP4(10, 0, 0, 2)

static void test_ports(void)
{
	static const struct {
		const char *name;
		uint32_t client, server;
		uint16_t client_port, server_port;
	} cases[] = {
	    {"a system port serves", A, B, 40000, 80},
	    {"a system port serves, low client port", A, B, 2000, 443},
	    {"an ephemeral port asks", A, B, 50000, 8080},
	    {"the lower of two ephemeral ports serves", A, B, 50001, 50000},
	    {"the lower of two system ports serves", A, B, 514, 22},
	    {"a group is never a client", A, IP4(224, 0, 0, 251), 53, 50000},
	    {"nor is the broadcast address", A, IP4(255, 255, 255, 255), 68, 50000},
	};
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct flow_key k = key_of(cases[i].client, cases[i].client_port, cases[i].server,
					   cases[i].server_port, PROTO_UDP);

		CHECK_MSG(roles_client_by_port(&k) == 0, "%s", cases[i].name);
		k = key_of(cases[i].server, cases[i].server_port, cases[i].client,
			   cases[i].client_port, PROTO_UDP);
		CHECK_MSG(roles_client_by_port(&k) == 1, "%s, the other way round", cases[i].name);
	}
}

/* NTP peers: one of the two, whichever way the key lies. */
static void test_equal(void)
{
	struct flow_key k = key_of(A, 123, B, 123, PROTO_UDP),
			m = key_of(B, 123, A, 123, PROTO_UDP);

	CHECK(roles_client_by_port(&k) != roles_client_by_port(&m));
}

/* The end that has this port. */
static int client_end(const struct flow_key *k, uint16_t port)
{
	return flow_key_port(k, 0) == port ? 0 : 1;
}

static struct local local;

static void begin(struct roles *r)
{
	CHECK(local_init(&local) == 0);
	CHECK(roles_init(r, &local) == 0);
}

static void end(struct roles *r)
{
	roles_destroy(r);
	local_destroy(&local);
}

/* Sockets that the kernel says listen: an address of this host, or all of them. */
static void test_told(void)
{
	struct listener exact = {.port = 8080, .proto = PROTO_TCP},
			any = {.port = 5000, .proto = PROTO_TCP},
			udp = {.port = 40053, .proto = PROTO_UDP};
	struct ip_net mine = {.bits = 128};
	struct roles r;
	struct flow f;
	uint8_t a[4] = {10, 0, 0, 1};

	begin(&r);
	memset(&f, 0, sizeof(f));
	addr_from_v4(&exact.addr, a);
	mine.addr = udp.addr = exact.addr;
	CHECK(local_set(&local, &mine, 1) == 0);
	roles_told_begin(&r);
	roles_told_add(&r, &exact);
	roles_told_add(&r, &any);
	roles_told_add(&r, &any);
	roles_told_add(&r, &udp);
	CHECK_INT(r.told.n, 3);
	f.state = FLOW_TCP;
	f.key = key_of(IP4(10, 0, 0, 1), 8080, B, 100, PROTO_TCP); /* by port B were the server */
	CHECK_INT(roles_client(&r, &f), client_end(&f.key, 100));
	f.key = key_of(IP4(10, 0, 0, 1), 5000, B, 100, PROTO_TCP);
	CHECK_INT(roles_client(&r, &f), client_end(&f.key, 100));
	f.key = key_of(IP4(10, 0, 0, 9), 5000, B, 100, PROTO_TCP); /* not an address of this host */
	CHECK_INT(roles_client(&r, &f), client_end(&f.key, 5000));
	f.state = 0;
	f.key = key_of(IP4(10, 0, 0, 1), 40053, B, 100, PROTO_UDP);
	CHECK_INT(roles_client(&r, &f), client_end(&f.key, 100));
	roles_told_begin(&r); /* they have gone */
	CHECK_INT(roles_client(&r, &f), client_end(&f.key, 40053));
	end(&r);
}

static void test_learned(void)
{
	struct roles r;
	struct flow f;

	memset(&f, 0, sizeof(f));
	begin(&r);
	f.state = FLOW_TCP;
	f.key = key_of(A, 80, B, 60000, PROTO_TCP);
	CHECK_INT(roles_client(&r, &f), 1);
	f.state = FLOW_TCP | FLOW_CLIENT; /* by what it said: end 0 */
	CHECK_INT(roles_client(&r, &f), 0);
	roles_learn(&r, &f.key, 0); /* it accepted a connection before */
	CHECK_INT(roles_client(&r, &f), 1);
	f.state = FLOW_TCP | FLOW_CLIENT | FLOW_HANDSHAKE; /* but not this one */
	CHECK_INT(roles_client(&r, &f), 0);
	f.state = FLOW_TCP | FLOW_CLIENT;
	roles_learn(&r, &f.key, 1); /* both listen: no reason any more */
	CHECK_INT(roles_client(&r, &f), 0);
	f.key = key_of(A, 80, B, 60000, PROTO_UDP);
	f.state = 0;
	CHECK_INT(roles_client(&r, &f), 1); /* UDP listeners are others */
	end(&r);
}

static void test_full(void)
{
	struct roles r;
	struct flow f;
	uint32_t i;

	memset(&f, 0, sizeof(f));
	f.state = FLOW_TCP;
	begin(&r);
	for (i = 0; i < 3 * ROLES_LISTENERS + 5; i++) {
		f.key = key_of(IP4(1, 0, 0, 0) + i, 50000, B, 100, PROTO_TCP);
		roles_learn(&r, &f.key, 0);
		roles_learn(&r, &f.key, 0);
	}
	CHECK(r.learnt.n <= ROLES_LISTENERS);
	CHECK_INT(roles_client(&r, &f), 1); /* the newest is known */
	end(&r);
}

TEST_MAIN({"by port", test_ports}, {"ports alike", test_equal}, {"told by the kernel", test_told},
	  {"learned", test_learned}, {"table full", test_full})
