/* cgroup.h - the container that a process runs in, by the path of its control group.
 *
 * Follows cgroups(7): /proc/PID/cgroup has lines "hierarchy:controllers:path", one "0::path" with
 * cgroup v2. Container engines put the container's id, 64 hexadecimal digits, into the path; which
 * forms are known is in cgroup.c.
 */
#ifndef COLLECTOR_CGROUP_H
#define COLLECTOR_CGROUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

enum { CONTAINER_ID_LEN = 64 };

/* Out of the text of a cgroup file: the id of the innermost container of the first line that has
 * one, and a final 0. False: none, out is "". The text may be cut anywhere. */
bool cgroup_container_id(const char *text, size_t len, char out[CONTAINER_ID_LEN + 1]);

/* The same of a process; proc: "/proc". 1: it has one; 0: none; or -errno (-ENOENT, -ESRCH: gone).
 */
int cgroup_read(const char *proc, uint32_t pid, char out[CONTAINER_ID_LEN + 1]) MUST_CHECK;

/* Likewise; *unified: the id is in the path of cgroup v2, so that all processes of that group,
 * whose number eBPF programs tell, are of this container. */
int cgroup_read_unified(const char *proc, uint32_t pid, char out[CONTAINER_ID_LEN + 1],
			bool *unified) MUST_CHECK;

#endif
