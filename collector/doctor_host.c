/* doctor_host.c - see doctor.h: the kernel, and what this process may. Out of /proc (proc(5)), /sys
 * and a few files that container engines leave; best effort, what cannot be read is not known.
 */
#include "collector/doctor.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/resource.h>
#include <sys/utsname.h>

enum { PATH_SIZE = 4096, FILE_MOST = 8192 };

/* Numbers: capabilities(7), linux/capability.h; CAP_PERFMON and CAP_BPF are of Linux 5.8. */
static const struct {
	const char *name;
	unsigned int number;
} capabilities[DOCTOR_CAPABILITIES] = {
    [DOCTOR_NET_RAW] = {"CAP_NET_RAW", 13},
    [DOCTOR_NET_ADMIN] = {"CAP_NET_ADMIN", 12},
    [DOCTOR_BPF] = {"CAP_BPF", 39},
    [DOCTOR_PERFMON] = {"CAP_PERFMON", 38},
    [DOCTOR_SYS_ADMIN] = {"CAP_SYS_ADMIN", 21},
    [DOCTOR_SYS_PTRACE] = {"CAP_SYS_PTRACE", 19},
    [DOCTOR_DAC_READ_SEARCH] = {"CAP_DAC_READ_SEARCH", 2},
    [DOCTOR_SYS_RESOURCE] = {"CAP_SYS_RESOURCE", 24},
};

const char *doctor_capability_name(enum doctor_capability c)
{
	return capabilities[c].name;
}

/* --- files ------------------------------------------------------------------------------------ */

static bool is_there(const char *root, const char *name)
{
	char path[PATH_SIZE];

	snprintf(path, sizeof(path), "%s%s", root, name);
	return access(path, R_OK) == 0;
}

/* The beginning of a small file, 0-terminated; what has zeros in it (environ) gets newlines. False:
 * it cannot be read. */
static bool read_file(const char *root, const char *name, char out[FILE_MOST])
{
	char path[PATH_SIZE];
	size_t n, i;
	FILE *f;

	snprintf(path, sizeof(path), "%s%s", root, name);
	out[0] = '\0';
	f = fopen(path, "re");
	if (!f)
		return false;
	n = fread(out, 1, FILE_MOST - 1, f);
	fclose(f);
	for (i = 0; i < n; i++)
		if (!out[i])
			out[i] = '\n';
	out[n] = '\0';
	return n > 0;
}

/* What follows `key` at the beginning of a line, without blanks and quotes. False: no such line. */
static bool find_line(const char *text, const char *key, char out[DOCTOR_WORD_SIZE])
{
	size_t len = strlen(key), n;
	const char *line = text;

	while (line && strncmp(line, key, len)) {
		line = strchr(line, '\n');
		line = line ? line + 1 : NULL;
	}
	if (!line)
		return false;
	line += len;
	line += strspn(line, " \t\"'");
	n = strcspn(line, "\n\"'");
	if (n >= DOCTOR_WORD_SIZE)
		n = DOCTOR_WORD_SIZE - 1;
	memcpy(out, line, n);
	out[n] = '\0';
	return n > 0;
}

static int read_number(const char *root, const char *name, int otherwise)
{
	char text[FILE_MOST], *end;
	long v;

	if (!read_file(root, name, text))
		return otherwise;
	v = strtol(text, &end, 10);
	return end == text ? otherwise : (int)v;
}

/* --- what they say ---------------------------------------------------------------------------- */

static void read_system(struct doctor_host *h, const char *root)
{
	char text[FILE_MOST];
	struct utsname u;

	if (!uname(&u)) {
		snprintf(h->release, sizeof(h->release), "%s", u.release);
		snprintf(h->machine, sizeof(h->machine), "%s", u.machine);
	}
	/* in tests it comes from here */
	if (*root && read_file(root, "/proc/sys/kernel/osrelease", text))
		find_line(text, "", h->release);
	if (sscanf(h->release, "%u.%u", &h->major, &h->minor) != 2)
		h->major = h->minor = 0;
	if (read_file(root, "/etc/os-release", text) ||
	    read_file(root, "/usr/lib/os-release", text))
		find_line(text, "PRETTY_NAME=", h->distribution);
	else if (read_file(root, "/etc/redhat-release", text))
		find_line(text, "", h->distribution);
}

static void read_rights(struct doctor_host *h, const char *root)
{
	char text[FILE_MOST], word[DOCTOR_WORD_SIZE];
	unsigned long long first, outside, count;
	uint64_t effective = 0;
	struct rlimit limit;
	size_t i;

	h->uid = geteuid();
	h->seccomp = -1;
	if (read_file(root, "/proc/self/status", text)) {
		if (find_line(text, "CapEff:", word))
			effective = strtoull(word, NULL, 16);
		if (find_line(text, "Seccomp:", word))
			h->seccomp = (int)strtol(word, NULL, 10);
	}
	for (i = 0; i < DOCTOR_CAPABILITIES; i++)
		h->has[i] = effective >> capabilities[i].number & 1;
	/* user_namespaces(7): the first one maps all numbers to themselves */
	if (read_file(root, "/proc/self/uid_map", text))
		h->user_namespace = sscanf(text, "%llu %llu %llu", &first, &outside, &count) != 3 ||
				    first || outside || count != UINT32_MAX;
	h->memlock_bytes = UINT64_MAX;
	if (!getrlimit(RLIMIT_MEMLOCK, &limit) && limit.rlim_cur != RLIM_INFINITY)
		h->memlock_bytes = limit.rlim_cur;
}

/* "none [integrity] confidentiality" (Linux 5.4) */
static void read_lockdown(struct doctor_host *h, const char *root)
{
	char text[FILE_MOST], *begin, *end;

	if (!read_file(root, "/sys/kernel/security/lockdown", text))
		return;
	begin = strchr(text, '[');
	end = begin ? strchr(begin, ']') : NULL;
	if (end)
		snprintf(h->lockdown, sizeof(h->lockdown), "%.*s", (int)(end - begin - 1),
			 begin + 1);
}

static void read_container(struct doctor_host *h, const char *root)
{
	static const char *const marks[][2] = {{"kubepods", "kubernetes"},
					       {"/docker", "docker"},
					       {"libpod", "podman"},
					       {"/lxc", "lxc"}};
	char text[FILE_MOST];
	const char *name = NULL;
	size_t i;

	/* systemd's own word for it, and that of who started process 1 */
	if (read_file(root, "/run/systemd/container", text) && find_line(text, "", h->container))
		return;
	if (read_file(root, "/proc/1/environ", text) && find_line(text, "container=", h->container))
		return;
	if (is_there(root, "/var/run/secrets/kubernetes.io"))
		name = "kubernetes";
	else if (is_there(root, "/run/.containerenv"))
		name = "podman";
	else if (is_there(root, "/.dockerenv"))
		name = "docker";
	if (!name && read_file(root, "/proc/1/cgroup", text))
		for (i = 0; i < sizeof(marks) / sizeof(marks[0]) && !name; i++)
			if (strstr(text, marks[i][0]))
				name = marks[i][1];
	snprintf(h->container, sizeof(h->container), "%s", name ? name : "");
}

void doctor_host(struct doctor_host *h, const char *root)
{
	memset(h, 0, sizeof(*h));
	read_system(h, root);
	read_rights(h, root);
	read_lockdown(h, root);
	read_container(h, root);
	h->unprivileged_bpf_disabled =
	    read_number(root, "/proc/sys/kernel/unprivileged_bpf_disabled", -1);
	h->btf = is_there(root, "/sys/kernel/btf/vmlinux");
	/* the ways to make one: perf_event_open(2) (Linux 4.17), tracefs */
	h->kprobes = is_there(root, "/sys/bus/event_source/devices/kprobe/type") ||
		     is_there(root, "/sys/kernel/tracing/kprobe_events") ||
		     is_there(root, "/sys/kernel/debug/tracing/kprobe_events");
	h->forward4 = read_number(root, "/proc/sys/net/ipv4/ip_forward", 0) != 0;
	h->forward6 = read_number(root, "/proc/sys/net/ipv6/conf/all/forwarding", 0) != 0;
}
