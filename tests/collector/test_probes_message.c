/* test_probes_message.c - what of the host is named where eBPF is refused: lockdown,
 * RLIMIT_MEMLOCK, capabilities; each made in a process of its own.
 */
#include "collector/probes_message.h"

#include <errno.h>
#include <linux/capability.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/error.h"
#include "tests/test.h"

#define SECURITY "/sys/kernel/security"

enum { CANNOT = 77 };

static char why[KERNEL_WHY_SIZE];

/* In a child that may change what holds for it alone. */
static void apart(int (*run)(void), const char *cannot)
{
	int status = 1;
	pid_t child;

	fflush(stdout);
	child = fork();
	if (child == 0) {
		test_failed_checks = 0;
		status = run();
		fflush(stdout);
		_exit(status);
	}
	CHECK(child > 0 && waitpid(child, &status, 0) == child);
	if (WIFEXITED(status) && WEXITSTATUS(status) == CANNOT)
		TEST_SKIP(cannot);
	else
		CHECK_INT(status, 0);
}

/* As with all that a failed load says: libbpf's words and the verifier's are told before. */
static void take_refusal(void)
{
	probes_message_begin(false);
	probes_message_take("libbpf: prog 'state_btf': BPF program load failed: Operation not "
			    "permitted\n");
}

static void take_verifier(const char *line)
{
	char text[200];

	probes_message_begin(false);
	snprintf(text, sizeof(text),
		 "libbpf: prog 'state_btf': -- BEGIN PROG LOAD LOG --\n%s\n"
		 "-- END PROG LOAD LOG --\n",
		 line);
	probes_message_take(text);
}

static bool write_lockdown(const char *text)
{
	FILE *f = fopen(SECURITY "/lockdown", "we");
	bool good = f && fputs(text, f) >= 0;

	return f && fclose(f) == 0 && good;
}

static int under_lockdown(void)
{
	char out[160];

	if (unshare(CLONE_NEWNS) || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("none", SECURITY, "tmpfs", 0, NULL))
		return CANNOT;
	CHECK(write_lockdown("none integrity [confidentiality]\n"));
	take_verifier("unknown func bpf_probe_read#4");
	probes_message_reason(-EINVAL, out, sizeof(out));
	CHECK_STR(out, "kernel lockdown (confidentiality) forbids it: unknown func "
		       "bpf_probe_read#4");
	CHECK_STR(probes_message_cause(-EACCES), "kernel lockdown (confidentiality) forbids it: ");
	CHECK(probes_message_host(-EINVAL, why));
	CHECK(strstr(why, "kernel lockdown (confidentiality) forbids "));
	CHECK(strstr(why, "mend: boot without lockdown=confidentiality"));
	/* of less than that nothing is said: it is not to blame */
	CHECK(write_lockdown("none [integrity] confidentiality\n"));
	probes_message_reason(-EINVAL, out, sizeof(out));
	CHECK_STR(out, "unknown func bpf_probe_read#4");
	CHECK(!probes_message_host(-EINVAL, why));
	CHECK(write_lockdown("[none] integrity confidentiality\n"));
	CHECK_STR(probes_message_cause(-EINVAL), "");
	/* nothing to be read, as in a container: the verifier's words say it */
	CHECK_INT(unlink(SECURITY "/lockdown"), 0);
	CHECK_INT(probes_message_host(-EINVAL, why), probes_message_permitted());
	take_verifier("program of this type cannot use helper bpf_probe_read#4");
	CHECK_INT(probes_message_host(-EINVAL, why), probes_message_permitted());
	take_verifier("R1 invalid mem access 'inv'");
	CHECK(!probes_message_host(-EINVAL, why));
	return test_failed_checks != 0;
}

static void test_lockdown(void)
{
	apart(under_lockdown, SECURITY " cannot be covered here");
}

/* Does this kernel count maps against it? Linux 5.11 counts them to the control group. */
static bool counts_memlock(void)
{
	struct utsname u;
	unsigned int major = 0, minor = 0;

	return uname(&u) == 0 && sscanf(u.release, "%u.%u", &major, &minor) == 2 &&
	       (major < 5 || (major == 5 && minor < 11)) && syscall(SYS_bpf, -1, NULL, 0) == -1 &&
	       errno != EPERM;
}

static bool drop_sys_resource(void)
{
	struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct data[2];

	memset(data, 0, sizeof(data));
	if (syscall(SYS_capget, &head, data))
		return false;
	data[0].effective &= ~(1U << CAP_SYS_RESOURCE);
	return syscall(SYS_capset, &head, data) == 0;
}

static int with_little_memlock(void)
{
	struct rlimit limit = {65536, 65536};
	char out[160];
	bool counts;

	if (setrlimit(RLIMIT_MEMLOCK, &limit) || !probes_message_permitted() ||
	    !drop_sys_resource())
		return CANNOT;
	counts = counts_memlock();
	take_refusal();
	probes_message_reason(-EPERM, out, sizeof(out));
	CHECK(strstr(out, "BPF program load failed"));
	CHECK_INT(strstr(out, "RLIMIT_MEMLOCK") != NULL, counts);
	probes_message_mend(-EPERM, "", why);
	CHECK_INT(strstr(why, "RLIMIT_MEMLOCK") != NULL, counts);
	CHECK_INT(strstr(why, "LimitMEMLOCK=infinity") != NULL, counts);
	CHECK_INT(strstr(why, "security module") != NULL, !counts);
	/* no other error is by it, and not what the verifier found */
	CHECK_STR(probes_message_cause(-EINVAL), "");
	take_verifier("R1 invalid mem access 'inv'");
	CHECK_STR(probes_message_cause(-EPERM), "");
	return test_failed_checks != 0;
}

static void test_memlock(void)
{
	apart(with_little_memlock, "eBPF wants more rights than there are here");
}

static int without_rights(void)
{
	if (getuid() == 0 && (setgid(65534) || setuid(65534)))
		return CANNOT;
	if (probes_message_permitted())
		return CANNOT;
	take_refusal();
	probes_message_mend(-EPERM, "", why);
	CHECK(strstr(why, "it wants CAP_BPF and CAP_PERFMON"));
	return test_failed_checks != 0;
}

static void test_capabilities(void)
{
	apart(without_rights, "capabilities cannot be given up");
}

TEST_MAIN({"lockdown", test_lockdown}, {"memlock", test_memlock},
	  {"capabilities", test_capabilities})
