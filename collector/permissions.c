/* permissions.c - which capability is missing, and the command that grants it (capabilities(7),
 * setcap(8)).
 */
#include "collector/permissions.h"

#include <ctype.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

/* A path that a shell would not take as it is is not shown. */
const char *permissions_program(char path[PERMISSIONS_PROGRAM_SIZE])
{
	ssize_t n = readlink("/proc/self/exe", path, PERMISSIONS_PROGRAM_SIZE - 1), i;

	if (n <= 0 || n == PERMISSIONS_PROGRAM_SIZE - 1)
		return "$(command -v flowline)";
	path[n] = '\0';
	for (i = 0; i < n; i++)
		if (!isalnum((unsigned char)path[i]) && path[i] != '/' && path[i] != '.' &&
		    path[i] != '-' && path[i] != '_' && path[i] != '+')
			return "$(command -v flowline)";
	return path;
}

void permissions_explain(char *why, size_t why_size, const char *what, const char *capability)
{
	char path[PERMISSIONS_PROGRAM_SIZE], lower[64];
	size_t i;

	for (i = 0; capability[i] && i < sizeof(lower) - 1; i++)
		lower[i] = (char)tolower((unsigned char)capability[i]);
	lower[i] = '\0';
	snprintf(why, why_size,
		 "%s needs the capability %s: run as root, or grant it once with: "
		 "sudo setcap %s+ep %s (in a container: start it with --cap-add %s)",
		 what, capability, lower, permissions_program(path),
		 capability + 4 /* without CAP_ */);
}

void permissions_raise_memlock(void)
{
	struct rlimit most = {RLIM_INFINITY, RLIM_INFINITY}, now;

	if (setrlimit(RLIMIT_MEMLOCK, &most) == 0 || getrlimit(RLIMIT_MEMLOCK, &now) < 0)
		return;
	now.rlim_cur = now.rlim_max;
	(void)setrlimit(RLIMIT_MEMLOCK, &now);
}
