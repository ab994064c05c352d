/* doctor_ebpf_none.c - a build without libbpf. See doctor_ebpf.c. */
#include "collector/doctor.h"

const char *doctor_libbpf(void)
{
	return NULL;
}
