/* test_doctor.c - what the doctor reads of a host, what it advises, and its two pages. */
#include "tests/test.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "collector/doctor.h"
#include "tests/collector/json_check.h"

static struct doctor d;

/* --- a host made of files --------------------------------------------------------------------- */

static char root[64];

static void make_dirs(char *path)
{
	char *p;

	for (p = path + strlen(root) + 1; (p = strchr(p, '/')) != NULL; p++) {
		*p = '\0';
		CHECK(!mkdir(path, 0700) || errno == EEXIST);
		*p = '/';
	}
}

static void put_bytes(const char *name, const char *text, size_t len)
{
	char path[256];
	FILE *f;

	snprintf(path, sizeof(path), "%s%s", root, name);
	make_dirs(path);
	f = fopen(path, "w");
	if (CHECK(f != NULL)) {
		CHECK(fwrite(text, 1, len, f) == len);
		fclose(f);
	}
}

static void put(const char *name, const char *text)
{
	put_bytes(name, text, strlen(text));
}

static bool new_root(void)
{
	snprintf(root, sizeof(root), "/tmp/test_doctor.XXXXXX");
	return CHECK(mkdtemp(root) != NULL);
}

static void remove_root(void)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf %s", root);
	CHECK(system(command) == 0);
}

static void test_host(void)
{
	struct doctor_host h;

	if (!new_root())
		return;
	put("/proc/sys/kernel/osrelease", "5.4.0-42-generic\n");
	put("/etc/os-release", "ID=ubuntu\nPRETTY_NAME=\"Ubuntu 20.04.1 LTS\"\n");
	put("/proc/self/status", "Name:\tx\nCapEff:\t0000000000202000\nSeccomp:\t2\n");
	put("/proc/self/uid_map", "         0       1000          1\n");
	put("/sys/kernel/security/lockdown", "none [integrity] confidentiality\n");
	put("/proc/sys/kernel/unprivileged_bpf_disabled", "2\n");
	put("/sys/kernel/btf/vmlinux", "x");
	put("/sys/kernel/tracing/kprobe_events", "");
	put("/proc/sys/net/ipv6/conf/all/forwarding", "1\n");
	put("/proc/sys/net/ipv4/ip_forward", "0\n");
	put_bytes("/proc/1/environ", "PATH=/\0container=lxc\0HOME=/", 26);
	doctor_host(&h, root);
	CHECK_STR(h.release, "5.4.0-42-generic");
	CHECK_INT(h.major, 5);
	CHECK_INT(h.minor, 4);
	CHECK_STR(h.distribution, "Ubuntu 20.04.1 LTS");
	CHECK(h.has[DOCTOR_NET_RAW] && h.has[DOCTOR_SYS_ADMIN]);
	CHECK(!h.has[DOCTOR_NET_ADMIN] && !h.has[DOCTOR_BPF] && !h.has[DOCTOR_PERFMON] &&
	      !h.has[DOCTOR_SYS_PTRACE] && !h.has[DOCTOR_DAC_READ_SEARCH] &&
	      !h.has[DOCTOR_SYS_RESOURCE]);
	CHECK_INT(h.seccomp, 2);
	CHECK(h.user_namespace);
	CHECK_STR(h.lockdown, "integrity");
	CHECK_INT(h.unprivileged_bpf_disabled, 2);
	CHECK(h.btf && h.kprobes);
	CHECK(!h.forward4 && h.forward6);
	CHECK_STR(h.container, "lxc");
	remove_root();
}

/* RHEL 7, and nothing of what is newer: what is not there is not known, or not there. */
static void test_host_old(void)
{
	struct doctor_host h;

	if (!new_root())
		return;
	put("/proc/sys/kernel/osrelease", "3.10.0-1160.el7.x86_64\n");
	put("/etc/redhat-release", "CentOS Linux release 7.9.2009 (Core)\n");
	put("/proc/self/status", "CapEff:\t0000001fffffffff\n");
	put("/proc/self/uid_map", "         0          0 4294967295\n");
	doctor_host(&h, root);
	CHECK_INT(h.major, 3);
	CHECK_INT(h.minor, 10);
	CHECK_STR(h.distribution, "CentOS Linux release 7.9.2009 (Core)");
	CHECK(h.has[DOCTOR_SYS_ADMIN] && !h.has[DOCTOR_BPF]);
	CHECK_INT(h.seccomp, -1);
	CHECK_INT(h.unprivileged_bpf_disabled, -1);
	CHECK(!h.user_namespace && !h.btf && !h.kprobes && !h.forward4 && !h.forward6);
	CHECK_STR(h.lockdown, "");
	CHECK_STR(h.container, "");
	remove_root();
}

static void test_host_containers(void)
{
	static const struct {
		const char *file, *text, *want;
	} cases[] = {
	    {"/run/systemd/container", "systemd-nspawn\n", "systemd-nspawn"},
	    {"/var/run/secrets/kubernetes.io", "", "kubernetes"},
	    {"/run/.containerenv", "", "podman"},
	    {"/.dockerenv", "", "docker"},
	    {"/proc/1/cgroup", "0::/kubepods/besteffort/pod1\n", "kubernetes"},
	    {"/proc/1/cgroup", "4:cpu:/docker/0123\n", "docker"},
	    {"/proc/1/cgroup", "0::/init.scope\n", ""},
	};
	struct doctor_host h;
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (!new_root())
			return;
		put(cases[i].file, cases[i].text);
		doctor_host(&h, root);
		CHECK_STR(h.container, cases[i].want);
		remove_root();
	}
}

/* --- advice ----------------------------------------------------------------------------------- */

/* A host where all is well. */
static void all_well(void)
{
	size_t i;

	memset(&d, 0, sizeof(d));
	snprintf(d.host.release, sizeof(d.host.release), "6.1.0-30-amd64");
	snprintf(d.host.machine, sizeof(d.host.machine), "x86_64");
	snprintf(d.host.distribution, sizeof(d.host.distribution), "Debian GNU/Linux 12");
	d.host.major = 6;
	d.host.minor = 1;
	for (i = 0; i < DOCTOR_CAPABILITIES; i++)
		d.host.has[i] = true;
	d.host.btf = d.host.kprobes = true;
	d.host.memlock_bytes = UINT64_MAX;
	d.host.unprivileged_bpf_disabled = 2;
	d.libbpf = "1.1";
	d.btf_path = "";
	d.packet_works = true;
	d.ninterfaces = 1;
	d.interfaces[0].there = d.interfaces[0].ring.works = true;
	d.socket.all.works = d.socket.tier = d.probe.all.works = d.probe.tier = true;
	d.probe.nfacts = 1;
	d.probe.facts[0].name = "connect";
	d.probe.facts[0].provider = "tp_btf/inet_sock_set_state";
	d.ebpf_filter.works = d.narrowed = d.processes_enabled = d.scanned = true;
	d.filter = "eBPF, narrowed";
	d.processes = 90;
	d.namespaces = 1;
	d.tier = d.tier_auto = "probe";
}

static void no_probe(const char *why)
{
	d.probe.all.works = d.probe.tier = false;
	d.probe.nfacts = 0;
	snprintf(d.probe.all.why, sizeof(d.probe.all.why), "%s", why);
	d.tier = d.tier_auto = "socket";
}

/* Is there a command with all of this in it? */
static bool advises(const char *text)
{
	size_t i;

	for (i = 0; i < d.nmends; i++)
		if (strstr(d.mends[i].command, text))
			return true;
	return false;
}

static void test_advice_none(void)
{
	all_well();
	doctor_advise(&d, "/usr/bin/flowline");
	CHECK_INT(d.nmends, 0);
}

static void test_advice_capabilities(void)
{
	all_well();
	memset(d.host.has, 0, sizeof(d.host.has));
	d.host.uid = 1000;
	d.packet_works = false;
	no_probe("eBPF is refused");
	d.tier = d.tier_auto = NULL;
	d.denied = 80;
	doctor_advise(&d, "/usr/bin/flowline");
	CHECK_INT(d.nmends, 1);
	CHECK_STR(d.mends[0].what, "capturing packets, the probe tier, processes of other users");
	CHECK_STR(
	    d.mends[0].command,
	    "sudo setcap cap_net_raw,cap_bpf,cap_perfmon,cap_sys_ptrace,cap_dac_read_search+ep "
	    "/usr/bin/flowline");
	/* before Linux 5.8 */
	d.host.major = 5;
	d.host.minor = 4;
	doctor_advise(&d, "/usr/bin/flowline");
	CHECK(advises("setcap cap_net_raw,cap_sys_admin,cap_sys_ptrace,cap_dac_read_search+ep "));
	/* in a container who is not root wants both */
	snprintf(d.host.container, sizeof(d.host.container), "docker");
	doctor_advise(&d, "/usr/bin/flowline");
	CHECK_INT(d.nmends, 2);
	CHECK(advises("--cap-add NET_RAW --cap-add SYS_ADMIN"));
	/* a build without eBPF wants none of these */
	d.libbpf = NULL;
	d.processes_enabled = false;
	d.denied = 0;
	d.host.container[0] = '\0';
	doctor_advise(&d, "/usr/bin/flowline");
	CHECK(advises("sudo setcap cap_net_raw+ep /usr/bin/flowline"));
	CHECK(advises("with libbpf"));
}

static void test_advice_probe(void)
{
	all_well();
	no_probe("no BTF");
	d.host.btf = false;
	doctor_advise(&d, "x");
	CHECK(advises("kernel.btf_path"));
	CHECK(advises("apt install linux-image-amd64"));
	d.btf_path = "/file"; /* was named, and is wrong: the tier itself says so */
	doctor_advise(&d, "x");
	CHECK_INT(d.nmends, 0);
	all_well();
	no_probe("lockdown");
	snprintf(d.host.lockdown, sizeof(d.host.lockdown), "confidentiality");
	doctor_advise(&d, "x");
	CHECK(advises("lockdown=confidentiality"));
	all_well();
	no_probe("refused");
	d.host.seccomp = 2;
	doctor_advise(&d, "x");
	CHECK(advises("SystemCallFilter=bpf"));
	snprintf(d.host.container, sizeof(d.host.container), "podman");
	doctor_advise(&d, "x");
	CHECK(advises("container's seccomp profile"));
	d.host.user_namespace = true;
	doctor_advise(&d, "x");
	CHECK(advises("outside of the user namespace"));
	all_well();
	no_probe("memlock");
	d.host.major = 5;
	d.host.minor = 10;
	d.host.memlock_bytes = 65536;
	d.host.has[DOCTOR_SYS_RESOURCE] = false;
	doctor_advise(&d, "x");
	CHECK(advises("LimitMEMLOCK=infinity"));
	d.host.minor = 11; /* counts maps to the control group instead */
	doctor_advise(&d, "x");
	CHECK_INT(d.nmends, 0);
}

static void test_advice_rest(void)
{
	all_well();
	d.host.forward4 = true;
	d.narrowed = false;
	doctor_advise(&d, "x");
	CHECK(advises("kernel.narrow: always"));
	d.narrow = CONF_NARROW_NEVER;
	d.namespaces_denied = 2;
	d.excludes = true;
	doctor_advise(&d, "x");
	CHECK(!advises("kernel.narrow"));
	CHECK(advises("containers.conf"));
	CHECK(advises("capture.exclude"));
}

/* --- the pages -------------------------------------------------------------------------------- */

static void check_page(const char *const *has)
{
	struct buffer b;

	buffer_init(&b, DOCTOR_ANSWER_MOST);
	doctor_text(&b, &d);
	CHECK(!b.failed);
	for (; *has && b.s; has++)
		CHECK_MSG(strstr(b.s, *has), "no '%s' in\n%s", *has, b.s);
	CHECK(b.s && !strchr(b.s, '\033'));
	buffer_free(&b);
}

static void check_json(const char *const *has)
{
	struct buffer b;

	buffer_init(&b, DOCTOR_ANSWER_MOST);
	doctor_json(&b, &d);
	CHECK(!b.failed && b.s && is_json(b.s, b.len));
	for (; *has && b.s; has++)
		CHECK_MSG(strstr(b.s, *has), "no '%s' in\n%s", *has, b.s);
	buffer_free(&b);
}

static void test_pages_well(void)
{
	static const char *const text[] = {"libbpf 1.1",
					   "6.1.0-30-amd64 x86_64, Debian GNU/Linux 12",
					   "packet tier   works",
					   "socket tier   works",
					   "probe tier    works",
					   "connect                  tp_btf/inet_sock_set_state",
					   "works: UDP is counted in the kernel",
					   "narrowing     on",
					   "90 seen in 1 network namespace, nothing is hidden",
					   "probe, by capture.mode auto",
					   NULL};
	static const char *const json[] = {"\"libbpf\": \"1.1\"",           "\"works\": true",
					   "\"tier\": \"probe\"",           "\"CAP_BPF\": true",
					   "\"memlock_bytes\": null",       "\"lockdown\": null",
					   "\"takes\": \"eBPF, narrowed\"", NULL};

	all_well();
	check_page(text);
	check_json(json);
}

static void test_pages_ill(void)
{
	static const char *const text[] = {"without libbpf",
					   "packet tier   does not work",
					   "eth?[2J                  nothing: refused",
					   "eth7                     is not there",
					   "probe tier    does not work: not built in",
					   "narrowing     off: no packets can be had",
					   "tier          none",
					   "to mend       ",
					   "setcap cap_net_raw",
					   NULL};
	static const char *const json[] = {"\"libbpf\": null",
					   "\"works\": false",
					   "\"tier\": null",
					   "\"takes\": null",
					   "\"why\": \"not built in\"",
					   "\"command\": \"sudo setcap",
					   NULL};

	all_well();
	memset(d.host.has, 0, sizeof(d.host.has));
	d.libbpf = NULL;
	d.packet_works = d.interfaces[0].ring.works = d.narrowed = false;
	snprintf(d.interfaces[0].name, sizeof(d.interfaces[0].name), "eth\033[2J");
	snprintf(d.interfaces[0].ring.why, sizeof(d.interfaces[0].ring.why), "refused");
	d.ninterfaces = 2;
	memset(&d.interfaces[1], 0, sizeof(d.interfaces[1]));
	snprintf(d.interfaces[1].name, sizeof(d.interfaces[1].name), "eth7");
	no_probe("not built in");
	d.tier = d.tier_auto = NULL;
	doctor_advise(&d, "/usr/bin/flowline");
	check_page(text);
	check_json(json);
}

/* Each state of narrowing has a reason of its own. */
static void test_page_narrowing(void)
{
	static const char *const packet[] = {"off: the packet tier reads all packets", NULL};
	static const char *const never[] = {"off: kernel.narrow is never", NULL};
	static const char *const forwards[] = {"off: this host forwards packets", NULL};
	static const char *const other[] = {"off: the kernel tells no figures", NULL};

	all_well();
	d.narrowed = false;
	check_page(other);
	d.host.forward6 = true;
	check_page(forwards);
	d.narrow = CONF_NARROW_NEVER;
	check_page(never);
	d.tier = "packet";
	check_page(packet);
}

TEST_MAIN({"host", test_host}, {"host: old", test_host_old},
	  {"host: containers", test_host_containers}, {"advice: none", test_advice_none},
	  {"advice: capabilities", test_advice_capabilities}, {"advice: probe", test_advice_probe},
	  {"advice: rest", test_advice_rest}, {"pages: well", test_pages_well},
	  {"pages: ill", test_pages_ill}, {"page: narrowing", test_page_narrowing})
