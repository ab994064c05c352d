/* probes_message.c - see probes_message.h. */
#include "collector/probes_message.h"

#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/capability.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "common/log.h"

#ifndef CAP_PERFMON
#define CAP_PERFMON 38 /* Linux 5.8 */
#endif
#ifndef CAP_BPF
#define CAP_BPF 39
#endif

enum { TAIL_LINES = 8 };

static struct {
	char program[64];
	char words[160]; /* the last of the verifier, or the first of libbpf */
	bool verifier;   /* these are the verifier's */
	bool btf;
	bool verbose;
} kept;

static const char begin_log[] = "-- BEGIN PROG LOAD LOG --", end_log[] = "-- END PROG LOAD LOG --";

/* The last line of a verifier's log that says why; len bytes at p. */
static void keep_line(const char *p, size_t len)
{
	while (len && (*p == ' ' || *p == '\t')) {
		p++;
		len--;
	}
	if (!len || !strncmp(p, "processed ", 10) || !strncmp(p, "verification time", 17) ||
	    !strncmp(p, "stack depth", 11))
		return;
	if (len >= sizeof(kept.words))
		len = sizeof(kept.words) - 1;
	memcpy(kept.words, p, len);
	kept.words[len] = 0;
	kept.verifier = true;
}

static void take_log(const char *begin, const char *end)
{
	const char *tail = end, *p;
	int lines = 0;

	for (p = begin; p < end;) {
		const char *newline = memchr(p, '\n', (size_t)(end - p));
		const char *stop = newline ? newline : end;

		keep_line(p, (size_t)(stop - p));
		p = newline ? newline + 1 : end;
	}
	while (tail > begin && lines <= TAIL_LINES)
		lines += *--tail == '\n';
	if (kept.verbose)
		log_debug("the verifier's last lines:%.*s", (int)(end - tail), tail);
}

void probes_message_take(const char *text)
{
	const char *name = strstr(text, "prog '"), *log = strstr(text, begin_log), *end;
	size_t len = strlen(text);

	if (!strncmp(text, "libbpf: ", 8)) {
		text += 8;
		len -= 8;
	}
	while (len && text[len - 1] == '\n')
		len--;
	end = name ? strchr(name + 6, '\'') : NULL;
	if (end && (size_t)(end - name - 6) < sizeof(kept.program)) {
		memcpy(kept.program, name + 6, (size_t)(end - name - 6));
		kept.program[end - name - 6] = 0;
	}
	kept.btf = kept.btf || strstr(text, "vmlinux BTF") || strstr(text, "kernel BTF") ||
		   strstr(text, "target BTF");
	if (log) {
		log += sizeof(begin_log) - 1;
		end = strstr(log, end_log);
		take_log(log, end ? end : log + strlen(log));
		return;
	}
	if (kept.verbose)
		log_debug("libbpf: %.*s", (int)len, text);
	/* The first one says why, the others that it failed; this one of libbpf's is a guess. */
	if (kept.words[0] || strstr(text, "ulimit -l"))
		return;
	snprintf(kept.words, sizeof(kept.words), "%.*s", (int)len, text);
}

static int print(enum libbpf_print_level level, const char *format, va_list args)
{
	va_list again;
	char *text;
	int n;

	if (level != LIBBPF_WARN)
		return 0;
	va_copy(again, args);
	n = vsnprintf(NULL, 0, format, again);
	va_end(again);
	text = n > 0 ? malloc((size_t)n + 1) : NULL;
	if (!text)
		return 0;
	vsnprintf(text, (size_t)n + 1, format, args);
	probes_message_take(text);
	free(text);
	return n;
}

void probes_message_begin(bool verbose)
{
	memset(&kept, 0, sizeof(kept));
	kept.verbose = verbose;
	libbpf_set_print(print);
}

const char *probes_message_program(void)
{
	return kept.program;
}

static bool has_capability(int number)
{
	struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct data[2];

	memset(data, 0, sizeof(data));
	if (syscall(SYS_capget, &head, data))
		return true;
	return data[number / 32].effective >> number % 32 & 1;
}

bool probes_message_permitted(void)
{
	return has_capability(CAP_SYS_ADMIN) ||
	       (has_capability(CAP_BPF) && has_capability(CAP_PERFMON));
}

/* bpf_tracing_func_proto() of kernel/trace/bpf_trace.c: nothing else takes this function from a
 * program that has the right to be loaded. The verifier has had two wordings. */
static bool reading_refused(void)
{
	return kept.verifier && strstr(kept.words, "bpf_probe_read") &&
	       (!strncmp(kept.words, "unknown func", 12) || strstr(kept.words, "cannot use")) &&
	       probes_message_permitted();
}

/* security/security.c, lockdown_reasons[] (Linux 5.4): to make a kprobe and to read memory are
 * refused by confidentiality. Of what integrity refuses nothing is done here. In a container the
 * file is often not there. */
static bool locked_down(void)
{
	char text[80] = "";
	FILE *f = fopen("/sys/kernel/security/lockdown", "re");
	bool locked;

	if (!f)
		return reading_refused();
	locked = fgets(text, sizeof(text), f) && strstr(text, "[confidentiality]");
	fclose(f);
	return locked;
}

/* Before Linux 5.11 maps and programs count against RLIMIT_MEMLOCK, and are refused with EPERM.
 * libbpf raises it where CAP_SYS_RESOURCE lets it, and guesses as is done here, but for root alone.
 * A seccomp filter refuses all of bpf(2). */
static bool memlock_short(void)
{
	struct utsname u;
	struct rlimit limit;
	unsigned int major, minor;

	if (has_capability(CAP_SYS_RESOURCE) || getrlimit(RLIMIT_MEMLOCK, &limit) ||
	    limit.rlim_cur == RLIM_INFINITY || uname(&u) ||
	    sscanf(u.release, "%u.%u", &major, &minor) != 2)
		return false;
	if (major > 5 || (major == 5 && minor >= 11))
		return false;
	return syscall(SYS_bpf, -1, NULL, 0) == -1 && errno != EPERM;
}

const char *probes_message_cause(int err)
{
	if (locked_down())
		return "kernel lockdown (confidentiality) forbids it: ";
	if (err == -EPERM && !kept.verifier && probes_message_permitted() && memlock_short())
		return "too little locked memory (RLIMIT_MEMLOCK): ";
	return "";
}

void probes_message_reason(int err, char *out, size_t size)
{
	snprintf(out, size, "%s%s", probes_message_cause(err),
		 kept.words[0] ? kept.words : fl_strerror(err));
}

bool probes_message_host(int err, char why[KERNEL_WHY_SIZE])
{
	if (locked_down())
		snprintf(why, KERNEL_WHY_SIZE,
			 "kernel lockdown (confidentiality) forbids eBPF programs to read the "
			 "kernel's memory, and kprobes; mend: boot without "
			 "lockdown=confidentiality (lockdown=integrity is fine)");
	else if (err == -EPERM && memlock_short())
		snprintf(why, KERNEL_WHY_SIZE,
			 "eBPF maps were refused: too little locked memory (RLIMIT_MEMLOCK), "
			 "against which they count before Linux 5.11; mend: "
			 "LimitMEMLOCK=infinity in the unit file, or ulimit -l unlimited");
	else
		return false;
	return true;
}

static void mend_refusal(int err, char why[KERNEL_WHY_SIZE])
{
	if (!probes_message_permitted())
		snprintf(
		    why, KERNEL_WHY_SIZE,
		    "eBPF is refused: it wants CAP_BPF and CAP_PERFMON (before Linux 5.8 "
		    "CAP_SYS_ADMIN); in a unit file, AmbientCapabilities= and "
		    "CapabilityBoundingSet=; kernel.unprivileged_bpf_disabled=0 is not enough");
	else if (!probes_message_host(err, why))
		snprintf(
		    why, KERNEL_WHY_SIZE,
		    "bpf(2) is refused although the capabilities are there: a seccomp filter, a "
		    "container's profile or a security module forbids it");
}

void probes_message_mend(int err, const char *btf_path, char why[KERNEL_WHY_SIZE])
{
	if (err == -EPERM || err == -EACCES)
		mend_refusal(err, why);
	else if (err == -ENOSYS)
		snprintf(why, KERNEL_WHY_SIZE,
			 "this kernel has no eBPF (CONFIG_BPF_SYSCALL), or bpf(2) is hidden");
	else if (btf_path && btf_path[0] && (kept.btf || err <= -1000))
		snprintf(why, KERNEL_WHY_SIZE,
			 "kernel.btf_path %.200s cannot be used (%s): it must be the BTF of this "
			 "very kernel",
			 btf_path, kept.words[0] ? kept.words : fl_strerror(err));
	else if (kept.btf)
		snprintf(why, KERNEL_WHY_SIZE,
			 "the kernel's type information is missing (/sys/kernel/btf/vmlinux, "
			 "CONFIG_DEBUG_INFO_BTF): name a file with it in kernel.btf_path");
	else
		snprintf(why, KERNEL_WHY_SIZE, "eBPF programs cannot be loaded: %s%s%s",
			 fl_strerror(err), kept.words[0] ? ": " : "", kept.words);
}
