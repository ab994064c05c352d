/* fuzz_procs.c - any bytes as what the kernel says of sockets and processes: a sock_diag message, a
 * line of /proc/net/tcp, /proc/PID/stat, /proc/PID/cgroup. The first byte chooses.
 */
#include <stdlib.h>
#include <string.h>

#include "collector/cgroup.h"
#include "collector/procfs.h"
#include "collector/sockdiag.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
	if (!ok)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char id[CONTAINER_ID_LEN + 1];
	struct procfs_process who;
	struct sock_entry s;
	char *copy;
	bool some;

	if (size < 1)
		return 0;
	copy = malloc(size); /* of the exact size, for the sanitizer; with a final 0 */
	require(copy != NULL);
	memcpy(copy, data + 1, size - 1);
	copy[size - 1] = 0;
	switch (data[0] & 3) {
	case 0:
		copy = realloc(copy, size > 1 ? size - 1 : 1);
		(void)sockdiag_parse_message(copy, size - 1, 6, &s);
		break;
	case 1:
		if (sockdiag_parse_line(copy, 6, data[0] >> 2 & 1, &s))
			require(s.state < 32);
		break;
	case 2:
		copy = realloc(copy, size > 1 ? size - 1 : 1);
		if (procfs_parse_stat(copy, size - 1, &who))
			require(memchr(who.name, 0, sizeof(who.name)) != NULL);
		break;
	default:
		copy = realloc(copy, size > 1 ? size - 1 : 1);
		some = cgroup_container_id(copy, size - 1, id);
		require(strlen(id) == (some ? CONTAINER_ID_LEN : 0));
	}
	free(copy);
	return 0;
}
