/* doctor_advise.c - see doctor.h: what would mend what is missing, as commands.
 *
 * The reasons themselves come from the sources (why[]); here is what a person does about them, each
 * thing once: one setcap(8) with every capability that is of use, for setcap replaces those of
 * before.
 */
#include "collector/doctor.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void PRINTF_LIKE(3, 4) mend(struct doctor *d, const char *what, const char *fmt, ...)
{
	struct doctor_mend *m;
	va_list ap;

	if (d->nmends == DOCTOR_MENDS_MOST)
		return;
	m = &d->mends[d->nmends++];
	snprintf(m->what, sizeof(m->what), "%s", what);
	va_start(ap, fmt);
	vsnprintf(m->command, sizeof(m->command), fmt, ap);
	va_end(ap);
}

/* Before Linux 5.8 eBPF wants CAP_SYS_ADMIN. */
static bool has_cap_bpf(const struct doctor_host *h)
{
	return !h->major || h->major > 5 || (h->major == 5 && h->minor >= 8);
}

static bool may_bpf(const struct doctor_host *h)
{
	return h->has[DOCTOR_SYS_ADMIN] ||
	       (has_cap_bpf(h) && h->has[DOCTOR_BPF] && h->has[DOCTOR_PERFMON]);
}

/* Is it of use here? */
static bool is_wanted(const struct doctor *d, enum doctor_capability c)
{
	switch (c) {
	case DOCTOR_NET_RAW:
		return true;
	case DOCTOR_BPF:
	case DOCTOR_PERFMON:
		return d->libbpf && has_cap_bpf(&d->host);
	case DOCTOR_SYS_ADMIN:
		return d->libbpf && !has_cap_bpf(&d->host);
	case DOCTOR_SYS_PTRACE:
	case DOCTOR_DAC_READ_SEARCH:
		return d->processes_enabled;
	default:
		return false;
	}
}

/* "capture; the probe tier; processes of other users" */
static void say_missing(const struct doctor *d, char what[DOCTOR_COMMAND_SIZE])
{
	const struct doctor_host *h = &d->host;
	const char *parts[3];
	size_t n = 0, i, len = 0;

	if (!h->has[DOCTOR_NET_RAW] && !d->packet_works)
		parts[n++] = "capturing packets";
	if (d->libbpf && !may_bpf(h) && !d->probe.all.works)
		parts[n++] = "the probe tier";
	if (d->denied)
		parts[n++] = "processes of other users";
	what[0] = '\0';
	for (i = 0; i < n; i++)
		len += (size_t)snprintf(what + len, DOCTOR_COMMAND_SIZE - len, "%s%s",
					i ? ", " : "", parts[i]);
}

static void mend_capabilities(struct doctor *d, const char *program)
{
	char what[DOCTOR_COMMAND_SIZE], list[DOCTOR_COMMAND_SIZE] = "",
					more[DOCTOR_COMMAND_SIZE] = "";
	size_t i, k, len = 0, more_len = 0;

	say_missing(d, what);
	if (!what[0])
		return;
	for (i = 0; i < DOCTOR_CAPABILITIES; i++) {
		const char *name = doctor_capability_name((enum doctor_capability)i);

		if (!is_wanted(d, (enum doctor_capability)i))
			continue;
		if (len)
			list[len++] = ',';
		for (k = 0; name[k]; k++)
			list[len++] = (char)tolower((unsigned char)name[k]);
		list[len] = '\0';
		more_len += (size_t)snprintf(more + more_len, sizeof(more) - more_len,
					     " --cap-add %s", name + 4 /* without CAP_ */);
	}
	if (d->host.container[0])
		mend(d, what, "start the container with%s", more);
	if (!d->host.container[0] || d->host.uid)
		mend(d, what, "sudo setcap %s+ep %s", list, program);
}

/* Debian's and Ubuntu's kernels have BTF and kprobes; so have those of RHEL 8.2 and newer. */
static const char *newer_kernel(const struct doctor_host *h)
{
	if (strstr(h->distribution, "Ubuntu"))
		return "sudo apt install linux-image-generic";
	if (strstr(h->distribution, "Debian"))
		return strcmp(h->machine, "aarch64") ? "sudo apt install linux-image-amd64"
						     : "sudo apt install linux-image-arm64";
	return NULL;
}

static void mend_probe(struct doctor *d)
{
	const struct doctor_host *h = &d->host;
	const char *kernel = newer_kernel(h);

	if (d->probe.all.works)
		return;
	if (!d->libbpf) {
		mend(d, "the probe tier, and UDP counted in the kernel",
		     "install a flowline that was built with libbpf (./configure says what it "
		     "wants)");
		return;
	}
	if (!may_bpf(h))
		return; /* first things first: mend_capabilities() */
	if (h->user_namespace)
		mend(d, "the probe tier",
		     "run flowline outside of the user namespace (a rootful container)");
	if (!strcmp(h->lockdown, "confidentiality"))
		mend(d, "the probe tier",
		     "boot without lockdown=confidentiality (integrity is fine)");
	if (!h->btf && !d->btf_path[0]) {
		mend(d, "the probe tier", "set kernel.btf_path to a file with this kernel's BTF");
		if (kernel)
			mend(d, "the probe tier, by a kernel that has BTF", "%s", kernel);
	}
	if (h->memlock_bytes < (64U << 20) && (h->major < 5 || (h->major == 5 && h->minor < 11)) &&
	    !h->has[DOCTOR_SYS_RESOURCE])
		mend(d, "room for eBPF maps",
		     "LimitMEMLOCK=infinity in the unit, or 'ulimit -l unlimited'");
	if (h->seccomp == 2 && !h->user_namespace)
		mend(d, "the probe tier, where the seccomp filter refuses bpf(2)",
		     h->container[0]
			 ? "allow bpf and perf_event_open in the container's seccomp profile"
			 : "SystemCallFilter=bpf perf_event_open in a drop-in of the unit");
}

static void mend_rest(struct doctor *d)
{
	if (d->excludes && d->ebpf_filter.works)
		mend(d, "UDP counted in the kernel",
		     "do without capture.exclude, whose rules the eBPF filter does not know");
	if (d->narrow == CONF_NARROW_AUTO && (d->host.forward4 || d->host.forward6) && d->tier &&
	    strcmp(d->tier, "packet") != 0)
		mend(d, "narrowing, where no connection of this host is translated (NAT)",
		     "kernel.narrow: always");
	if (d->namespaces_denied && !d->denied)
		mend(d, "processes of containers (nearly root's rights, see docs/service.md)",
		     d->host.container[0] ? "--cap-add SYS_ADMIN, and --pid host"
					  : "CAP_SYS_ADMIN: packaging/systemd/containers.conf");
}

void doctor_advise(struct doctor *d, const char *program)
{
	d->nmends = 0;
	mend_capabilities(d, program);
	mend_probe(d);
	mend_rest(d);
}
