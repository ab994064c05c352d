/* refuse.c - runs a program as if the kernel lacked, or refused, a part of what probes want.
 *
 *   usage: refuse [--btf] [--bpf] [--kprobes] [--memlock BYTES] PROGRAM [ARGUMENT...]
 *
 *   --btf      there is no /sys/kernel/btf: a kernel that was built without BTF
 *   --bpf      bpf(2) is answered with EPERM, as by the system call filter of a container
 *   --kprobes  no kprobe can be made, neither by perf_event_open(2) (its type is not to be found in
 *              /sys) nor by tracefs: a kernel without CONFIG_KPROBES
 *   --memlock  no more than this may be locked (RLIMIT_MEMLOCK), and CAP_SYS_RESOURCE, which could
 *              raise it, is gone: what eBPF maps count against before Linux 5.11
 *
 * All of it holds for the program alone, in a mount namespace of its own; the process stays the
 * same one. tracefs and securityfs are mounted where a host has them, because `ip netns exec`
 * mounts a new /sys without them. What was to be missing is looked for before the program starts:
 * where it is still there, refuse says so and exits 125.
 */
#include <errno.h>
#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#define TRACING     "/sys/kernel/tracing"
#define DEBUGFS     "/sys/kernel/debug"
#define SECURITY    "/sys/kernel/security"
#define BTF         "/sys/kernel/btf"
#define KPROBE_TYPE "/sys/bus/event_source/devices/kprobe"

enum { CANNOT = 125, NOT_FOUND = 127 };

static void die(const char *what)
{
	fprintf(stderr, "refuse: %s: %s\n", what, strerror(errno));
	exit(CANNOT);
}

static bool is_there(const char *path)
{
	return !access(path, F_OK);
}

/* An empty directory over this one. */
static void hide(const char *directory)
{
	if (is_there(directory) && mount("none", directory, "tmpfs", MS_RDONLY, NULL) < 0)
		die(directory);
}

/* A program that has been robbed of its capabilities goes on without, where nothing is to be
 * hidden. */
static void own_mounts(bool wanted)
{
	if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) {
		if (wanted)
			die("no mount namespace of its own");
		return;
	}
	/* not fatal: not every kernel has them */
	if (!is_there(TRACING "/events"))
		mount("tracefs", TRACING, "tracefs", 0, NULL);
	if (!is_there(SECURITY "/lockdown"))
		mount("securityfs", SECURITY, "securityfs", 0, NULL);
}

static void hide_btf(void)
{
	hide(BTF);
	if (is_there(BTF "/vmlinux")) {
		errno = EEXIST;
		die(BTF "/vmlinux");
	}
}

/* Who writes a probe to /dev/full is told that there is no room for it. */
static void hide_kprobes(void)
{
	hide(KPROBE_TYPE);
	hide(DEBUGFS);
	if (is_there(TRACING "/kprobe_events") &&
	    mount("/dev/full", TRACING "/kprobe_events", NULL, MS_BIND, NULL) < 0)
		die(TRACING "/kprobe_events");
	if (is_there(KPROBE_TYPE "/type") || is_there(DEBUGFS "/tracing")) {
		errno = EEXIST;
		die(KPROBE_TYPE);
	}
}

static void refuse_bpf(void)
{
	struct sock_filter code[] = {
	    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
	    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_bpf, 0, 1),
	    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
	    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog filter = {sizeof(code) / sizeof(code[0]), code};

	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) < 0)
		die("no seccomp filter");
	if (syscall(SYS_bpf, -1, NULL, 0) != -1 || errno != EPERM)
		die("bpf(2) is not refused");
}

/* Out of the bounding set, too, or the program of root had it again. */
static void drop_capability(int number)
{
	struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct data[2];
	uint32_t rest = ~(1U << number % 32);

	memset(data, 0, sizeof(data));
	if (prctl(PR_CAPBSET_DROP, number, 0, 0, 0) < 0 || syscall(SYS_capget, &head, data) < 0)
		die("a capability cannot be dropped");
	data[number / 32].effective &= rest;
	data[number / 32].permitted &= rest;
	data[number / 32].inheritable &= rest;
	if (syscall(SYS_capset, &head, data) < 0)
		die("a capability cannot be dropped");
}

static void limit_memlock(const char *text)
{
	struct rlimit all = {RLIM_INFINITY, RLIM_INFINITY}, limit;
	char *end;

	limit.rlim_cur = limit.rlim_max = strtoul(text, &end, 10);
	if (end == text || *end) {
		fprintf(stderr, "refuse: --memlock %s: give bytes\n", text);
		exit(CANNOT);
	}
	if (setrlimit(RLIMIT_MEMLOCK, &limit) < 0)
		die("RLIMIT_MEMLOCK");
	drop_capability(CAP_SYS_RESOURCE);
	if (setrlimit(RLIMIT_MEMLOCK, &all) == 0) {
		errno = EEXIST;
		die("CAP_SYS_RESOURCE");
	}
}

static int usage(void)
{
	fprintf(stderr, "usage: refuse [--btf] [--bpf] [--kprobes] [--memlock BYTES] "
			"PROGRAM [ARGUMENT...]\n");
	return 2;
}

int main(int argc, char **argv)
{
	bool btf = false, bpf = false, kprobes = false;
	const char *memlock = NULL;
	int i;

	for (i = 1; i < argc && !strncmp(argv[i], "--", 2); i++) {
		if (!strcmp(argv[i], "--btf"))
			btf = true;
		else if (!strcmp(argv[i], "--bpf"))
			bpf = true;
		else if (!strcmp(argv[i], "--kprobes"))
			kprobes = true;
		else if (!strcmp(argv[i], "--memlock") && i + 1 < argc)
			memlock = argv[++i];
		else
			return usage();
	}
	if (i == argc)
		return usage();
	own_mounts(btf || kprobes);
	if (btf)
		hide_btf();
	if (kprobes)
		hide_kprobes();
	if (memlock)
		limit_memlock(memlock);
	if (bpf)
		refuse_bpf();
	execv(argv[i], argv + i);
	fprintf(stderr, "refuse: %s: %s\n", argv[i], strerror(errno));
	return NOT_FOUND;
}
