/* doctor_ebpf.c - which libbpf is built in. See doctor_ebpf_none.c. */
#include "collector/doctor.h"

#include <bpf/libbpf.h>

const char *doctor_libbpf(void)
{
	const char *version = libbpf_version_string(); /* "v1.1" */

	return *version == 'v' ? version + 1 : version;
}
