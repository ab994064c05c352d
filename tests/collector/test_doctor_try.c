/* test_doctor_try.c - the doctor tries everything for real, in a network namespace: what it says of
 * one piece goes with what it says of the others. tests/live/test_doctor.py compares it with runs.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* unshare */
#endif
#include "tests/test.h"

#include <time.h>

#include "collector/doctor.h"
#include "tests/collector/json_check.h"
#include "tests/live/netns.h"

static struct doctor d;

static void test_real(void)
{
	static struct options o;
	char *argv[] = {(char *)"flowline", (char *)"doctor", (char *)"-c", (char *)"", NULL};
	struct timespec from, to;
	struct buffer b;
	const char *reason = netns_enter();
	double s;

	if (reason) {
		TEST_SKIP(reason);
		return;
	}
	if (!CHECK(!options_parse(&o, 4, argv, NULL)))
		return;
	clock_gettime(CLOCK_MONOTONIC, &from);
	doctor_try(&d, &o);
	clock_gettime(CLOCK_MONOTONIC, &to);
	s = (double)(to.tv_sec - from.tv_sec) + (double)(to.tv_nsec - from.tv_nsec) / 1e9;
	CHECK_MSG(s < 10, "it took %g s", s); /* 2 on a machine of its own */
	CHECK_INT(d.ninterfaces, 1);
	CHECK(d.packet_works == d.interfaces[0].ring.works);
	CHECK(d.packet_works || d.interfaces[0].ring.why[0]);
	/* a tier is there, or there is a reason */
	CHECK(d.probe.tier == d.probe.all.works);
	CHECK(d.probe.tier || d.probe.all.why[0]);
	CHECK(d.socket.tier || d.socket.all.why[0] || d.socket.nfacts);
	CHECK(d.ebpf_filter.works || d.ebpf_filter.why[0]);
	CHECK(!d.packet_works == !d.tier_auto);
	if (d.packet_works)
		CHECK_STR(d.tier_auto, d.probe.tier    ? "probe"
				       : d.socket.tier ? "socket"
						       : "packet");
	if (!d.libbpf)
		CHECK(!d.probe.tier && !d.ebpf_filter.works);
	doctor_advise(&d, "x");
	buffer_init(&b, DOCTOR_ANSWER_MOST);
	doctor_json(&b, &d);
	CHECK(!b.failed && is_json(b.s, b.len));
	buffer_free(&b);
	options_free(&o);
}

TEST_MAIN({"real", test_real})
