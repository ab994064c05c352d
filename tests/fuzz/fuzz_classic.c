/* fuzz_classic.c - any bytes as a frame: the flow filter, with rules of what is left out, must end,
 * and never read beyond the frame; narrowed, it copies the same or nothing.
 */
#include <stdint.h>
#include <stdlib.h>

#include "filters/classic.h"
#include "filters/interpret.h"
#include "tests/filters/narrow_cases.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* First two bytes: the device's type; the next two: the protocol the kernel saw; then the frame. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint16_t types[] = {1, 772, 65534, 512, 768, 776, 778, 32};
	static const uint16_t ports[] = {53, 5300};
	static struct filter_insn prog[FILTER_INSNS_MAX], narrow[FILTER_INSNS_MAX];
	static int n, m;
	struct filter_config config = {.dns_ports = ports,
				       .ndns_ports = 2,
				       .tunnels_inner = true,
				       .excludes = case_excludes,
				       .nexcludes = CASE_EXCLUDES};
	struct interpret_frame f;
	struct interpret_result r, s;

	if (!n) {
		n = classic_flow_filter(prog, FILTER_INSNS_MAX, &config);
		config.narrow = narrow_own;
		config.nnarrow = NARROW_OWN;
		m = classic_flow_filter(narrow, FILTER_INSNS_MAX, &config);
		if (n <= 0 || interpret_check(prog, (size_t)n) >= 0 || m <= n ||
		    interpret_check(narrow, (size_t)m) >= 0)
			abort();
	}
	if (size < 4 + 14) /* the kernel gives no frame shorter than its link header */
		return 0;
	f.hatype = types[data[0] % 8];
	f.pkttype = data[1] % 5;
	f.protocol = (uint16_t)(data[2] << 8 | data[3]);
	f.data = data + 4;
	f.len = (uint32_t)(size - 4);
	r = interpret_run(prog, (size_t)n, &f);
	s = interpret_run(narrow, (size_t)m, &f);
	if (r.bad_load_at >= 0 || r.insns > 200 || s.bad_load_at >= 0 || s.insns > 250 ||
	    (s.ret && s.ret != r.ret))
		abort();
	return 0;
}
