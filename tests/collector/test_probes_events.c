/* test_probes_events.c - events of eBPF programs and messages of libbpf, made by hand.
 */
#include "collector/probes_internal.h"

#include <errno.h>
#include <string.h>

#include "collector/probes_message.h"
#include "collector/sockdiag.h"
#include "tests/test.h"

static char why[KERNEL_WHY_SIZE];

static struct probe_event event(uint8_t kind, uint8_t flags)
{
	static const uint8_t a[4] = {192, 0, 2, 9}, b[4] = {198, 51, 100, 1};
	struct probe_event e;
	struct ip_addr addr;

	memset(&e, 0, sizeof(e));
	e.kind = kind;
	e.flags = flags;
	e.time_ns = 1000;
	addr_from_v4(&addr, a);
	memcpy(e.tuple.local, addr.b, sizeof(addr.b));
	addr_from_v4(&addr, b);
	memcpy(e.tuple.remote, addr.b, sizeof(addr.b));
	e.tuple.local_port = 40000;
	e.tuple.remote_port = 443;
	e.tuple.protocol = PROTO_TCP;
	e.pid = 77;
	e.cgroup_id = 5;
	memset(e.comm, 'c', sizeof(e.comm));
	e.state = SOCK_ESTABLISHED;
	e.bytes_sent = 10;
	e.bytes_received = 21;
	e.segments_out = 3;
	e.segments_in = 4;
	e.retransmits = 2;
	e.srtt_us = 800;
	e.mdev_us = 40;
	e.error = ETIMEDOUT;
	return e;
}

static void test_samples(void)
{
	const uint32_t last = KERNEL_SENT | KERNEL_RECEIVED | KERNEL_SEGMENTS | KERNEL_RETRANSMITS |
			      KERNEL_RTT | KERNEL_CLOSED | KERNEL_ESTABLISHED;
	static const struct {
		uint8_t kind, flags;
		uint32_t has;
	} cases[] = {
	    {PROBE_CONNECT_FAILED, PROBE_CLIENT, KERNEL_ERROR},
	    {PROBE_CONNECT_FAILED, PROBE_NO_PACKET, KERNEL_ERROR | KERNEL_NO_PACKET},
	    {PROBE_CONNECT_FAILED, PROBE_OTHER_NETNS, KERNEL_ERROR},
	    {PROBE_CONNECT_FAILED, PROBE_OTHER_NETNS | PROBE_NO_PACKET, 0},
	    {PROBE_ESTABLISHED, PROBE_CLIENT, KERNEL_ESTABLISHED},
	    {PROBE_ESTABLISHED, PROBE_OTHER_NETNS, 0},
	    {PROBE_ACCEPT, 0, KERNEL_ESTABLISHED},
	    {PROBE_ACCEPT, PROBE_OTHER_NETNS, 0},
	    {PROBE_ACCEPT, PROBE_AT_CLOSE, 0},
	    {PROBE_CLOSE, PROBE_OTHER_NETNS, 0},
	};
	struct kernel_process who;
	struct kernel_sample s;
	struct probe_event e;
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		e = event(cases[i].kind, cases[i].flags);
		CHECK(probes_event_sample(&e, 5000, false, &s, &who));
		CHECK_MSG(s.has == cases[i].has, "case %d: %#x", (int)i, s.has);
		CHECK_INT(s.time_ns, 6000);
		CHECK_INT(who.pid, 77);
		CHECK_INT(strlen(who.comm), 15);
		CHECK_INT(who.at_close, !!(cases[i].flags & PROBE_AT_CLOSE));
		CHECK_INT(flow_key_port(&s.key, s.end), 40000);
		CHECK_INT(flow_key_port(&s.key, !s.end), 443);
	}
	e = event(PROBE_CLOSE, PROBE_FIN_RECEIVED);
	CHECK(probes_event_sample(&e, 5000, true, &s, &who));
	CHECK_INT(s.has, last | KERNEL_FIN);
	CHECK_INT(s.sent, 10);
	CHECK_INT(s.received, 21);
	CHECK_INT(s.rtt_us, 100);
	CHECK_INT(s.rtt_var_us, 10);
	CHECK_INT(s.retransmits, 2);
	CHECK_INT(who.pid, 0); /* of another pid namespace */
	CHECK_INT(who.cgroup_id, 5);
	e.state = SOCK_SYN_SENT; /* given up by its process */
	CHECK(probes_event_sample(&e, 5000, true, &s, &who));
	CHECK_INT(s.has, KERNEL_CLOSED);
	e = event(PROBE_ESTABLISHED, PROBE_OTHER_NETNS);
	e.tuple.local[12] = 127;
	CHECK(!probes_event_sample(&e, 0, false, &s, &who));
	e.flags = 0;
	CHECK(probes_event_sample(&e, 100, false, &s, &who));
	CHECK_INT(s.established_ns, 1100);
}

static void test_messages(void)
{
	char out[160];

	probes_message_begin(false);
	CHECK_STR(probes_message_program(), "");
	probes_message_reason(-EPERM, out, sizeof(out));
	CHECK_STR(out, strerror(EPERM));
	probes_message_take(
	    "libbpf: prog 'state_btf': BPF program load failed: Invalid argument\n");
	probes_message_take("libbpf: prog 'state_btf': -- BEGIN PROG LOAD LOG --\n"
			    "0: R1=ctx(off=0,imm=0)\n; return accepted(ctx)\n"
			    "invalid bpf_context access off=32 size=8\n"
			    "processed 1 insns (limit 1000000) max_states_per_insn 0\n"
			    "-- END PROG LOAD LOG --\n");
	probes_message_take("libbpf: prog 'state_btf': failed to load: -22\n");
	probes_message_take("libbpf: failed to load object 'probes_bpf'\n");
	CHECK_STR(probes_message_program(), "state_btf");
	probes_message_reason(-EINVAL, out, sizeof(out));
	CHECK_STR(out, "invalid bpf_context access off=32 size=8");
	probes_message_begin(false);
	probes_message_take("libbpf: Error loading vmlinux BTF: -2\n");
	probes_message_mend(-ENOENT, "", why);
	CHECK(strstr(why, "kernel.btf_path"));
	probes_message_mend(-ENOENT, "/x", why);
	CHECK(strstr(why, "kernel.btf_path /x cannot be used"));
	probes_message_mend(-ENOSYS, "", why);
	CHECK(strstr(why, "CONFIG_BPF_SYSCALL"));
	CHECK_STR(probes_message_program(), "");
}

TEST_MAIN({"samples", test_samples}, {"messages", test_messages})
