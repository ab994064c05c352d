/* old_kernel.c - run a program as an old kernel would: what is newer is answered as unknown.
 *
 *   old_kernel [-k el7|3.10|3.2] PROGRAM [ARGUMENT...]
 *   old_kernel [-k ...] --self-test      are the answers right? exit status 0, 1, or 77 with the
 * reason old_kernel --list                    the system calls it knows, and since when Linux has
 * them
 *
 * A classic BPF filter (seccomp(2), "filter mode") answers ENOSYS to every system call that the
 * kernel of that time does not have, and to options, commands and flags that are newer what that
 * kernel answers: ENOPROTOOPT, EINVAL, and so on. 3.10 and 3.2 are as released; el7 is the 3.10 of
 * RHEL and CentOS 7, which has a few calls of later kernels. The program itself still runs on the
 * kernel that is there: what lies behind pointers (netlink messages, eBPF programs, structures) and
 * what /proc shows stays new.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#ifndef PR_SET_NO_NEW_PRIVS
#define PR_SET_NO_NEW_PRIVS 38
#endif

enum { EL7 = 1, V3_10 = 2, V3_2 = 4, ALL = 7, SKIPPED = 77 };

#if defined(__x86_64__)
#define ARCH                AUDIT_ARCH_X86_64
#define NR(x86_64, generic) (x86_64)
#elif defined(__aarch64__)
#define ARCH                AUDIT_ARCH_AARCH64
#define NR(x86_64, generic) (generic)
#else
#define ARCH                0
#define NR(x86_64, generic) (generic)
#endif

/* What came after the last call of 3.2, in the order of its numbers (arch/x86/entry/syscalls,
 * include/uapi/asm-generic/unistd.h), and which of the three kernels has it. Numbers beyond the
 * last one are newer still. */
static const struct call {
	const char *name, *since;
	int nr, in;
} calls[] = {
    {"kcmp", "3.5", NR(312, 272), EL7 | V3_10},
    {"finit_module", "3.8", NR(313, 273), EL7 | V3_10},
    {"sched_setattr", "3.14", NR(314, 274), 0},
    {"sched_getattr", "3.14", NR(315, 275), 0},
    {"renameat2", "3.15", NR(316, 276), 0},
    {"seccomp", "3.17", NR(317, 277), EL7},
    {"getrandom", "3.17", NR(318, 278), EL7},
    {"memfd_create", "3.17", NR(319, 279), EL7},
    {"kexec_file_load", "3.17", NR(320, 294), 0},
    {"bpf", "3.18", NR(321, 280), EL7},
    {"execveat", "3.19", NR(322, 281), 0},
    {"userfaultfd", "4.3", NR(323, 282), 0},
    {"membarrier", "4.3", NR(324, 283), 0},
    {"mlock2", "4.4", NR(325, 284), 0},
    {"copy_file_range", "4.5", NR(326, 285), 0},
    {"preadv2", "4.6", NR(327, 286), 0},
    {"pwritev2", "4.6", NR(328, 287), 0},
    {"pkey_mprotect", "4.9", NR(329, 288), 0},
    {"pkey_alloc", "4.9", NR(330, 289), 0},
    {"pkey_free", "4.9", NR(331, 290), 0},
    {"statx", "4.11", NR(332, 291), 0},
    {"io_pgetevents", "4.18", NR(333, 292), 0},
    {"rseq", "4.18", NR(334, 293), 0},
    {"pidfd_send_signal", "5.1", 424, 0},
    {"io_uring_setup", "5.1", 425, 0},
    {"io_uring_enter", "5.1", 426, 0},
    {"io_uring_register", "5.1", 427, 0},
    {"open_tree", "5.2", 428, 0},
    {"move_mount", "5.2", 429, 0},
    {"fsopen", "5.2", 430, 0},
    {"fsconfig", "5.2", 431, 0},
    {"fsmount", "5.2", 432, 0},
    {"fspick", "5.2", 433, 0},
    {"pidfd_open", "5.3", 434, 0},
    {"clone3", "5.3", 435, 0},
    {"close_range", "5.9", 436, 0},
    {"openat2", "5.6", 437, 0},
    {"pidfd_getfd", "5.6", 438, 0},
    {"faccessat2", "5.8", 439, 0},
    {"process_madvise", "5.10", 440, 0},
    {"epoll_pwait2", "5.11", 441, 0},
    {"mount_setattr", "5.12", 442, 0},
    {"quotactl_fd", "5.14", 443, 0},
    {"landlock_create_ruleset", "5.13", 444, 0},
    {"landlock_add_rule", "5.13", 445, 0},
    {"landlock_restrict_self", "5.13", 446, 0},
    {"memfd_secret", "5.14", 447, 0},
    {"process_mrelease", "5.15", 448, 0},
    {"futex_waitv", "5.16", 449, 0},
    {"set_mempolicy_home_node", "5.17", 450, 0},
    {"cachestat", "6.5", 451, 0},
    {"fchmodat2", "6.6", 452, 0},
    {"map_shadow_stack", "6.6", 453, 0},
    {"futex_wake", "6.7", 454, 0},
    {"futex_wait", "6.7", 455, 0},
    {"futex_requeue", "6.7", 456, 0},
    {"statmount", "6.8", 457, 0},
    {"listmount", "6.8", 458, 0},
    {"lsm_get_self_attr", "6.8", 459, 0},
    {"lsm_set_self_attr", "6.8", 460, 0},
    {"lsm_list_modules", "6.8", 461, 0},
    {"mseal", "6.10", 462, 0},
};

enum { NCALLS = sizeof(calls) / sizeof(calls[0]) };

/* A call that is old, with a value of an argument that is not: up to two arguments are looked at.
 */
enum op { ANY, EQUAL, ABOVE, BELOW, BITS }; /* BITS: any of them is set */

struct condition {
	int argument;
	enum op op;
	uint32_t value;
};

static const struct rule {
	int kernels, nr, error;
	struct condition conditions[3];
} rules[] = {
#ifdef SYS_setsockopt
#define SOCKET_OPTION(kernels, call, level, last)                                                  \
	{                                                                                          \
		kernels, call, ENOPROTOOPT,                                                        \
		{                                                                                  \
			{1, EQUAL, level}, {2, ABOVE, last},                                       \
			{                                                                          \
				0, ANY, 0                                                          \
			}                                                                          \
		}                                                                                  \
	}
#define SOCKET_OPTIONS(kernels, level, last)                                                       \
	SOCKET_OPTION(kernels, SYS_setsockopt, level, last),                                       \
	    SOCKET_OPTION(kernels, SYS_getsockopt, level, last)
    /* the last that is there: SO_SELECT_ERR_QUEUE, SO_RXQ_OVFL. Later: SO_INCOMING_CPU 49,
     * SO_ATTACH_BPF 50, SO_ATTACH_REUSEPORT_CBPF 51, SO_MEMINFO 55, SO_COOKIE 57 */
    SOCKET_OPTIONS(EL7 | V3_10, 1 /* SOL_SOCKET */, 45),
    SOCKET_OPTIONS(V3_2, 1, 40),
    /* PACKET_TX_HAS_OFF, PACKET_FANOUT; later: PACKET_QDISC_BYPASS 20, PACKET_IGNORE_OUTGOING 23 */
    SOCKET_OPTIONS(EL7 | V3_10, 263 /* SOL_PACKET */, 19),
    SOCKET_OPTIONS(V3_2, 263, 18),
    /* TCP_TIMESTAMP, TCP_USER_TIMEOUT; later: TCP_NOTSENT_LOWAT 25, TCP_CC_INFO 26 */
    SOCKET_OPTIONS(EL7 | V3_10, 6 /* SOL_TCP */, 24),
    SOCKET_OPTIONS(V3_2, 6, 18),
    /* NETLINK_TX_RING, NETLINK_NO_ENOBUFS; later: NETLINK_LISTEN_ALL_NSID 8, NETLINK_EXT_ACK 11,
     * NETLINK_GET_STRICT_CHK 12 */
    SOCKET_OPTIONS(EL7 | V3_10, 270 /* SOL_NETLINK */, 7),
    SOCKET_OPTIONS(V3_2, 270, 5),
#endif
#ifdef SYS_socket
    /* AF_VSOCK is 3.9; AF_XDP 4.18 */
    {EL7 | V3_10, SYS_socket, EAFNOSUPPORT, {{0, ABOVE, 40}}},
    {V3_2, SYS_socket, EAFNOSUPPORT, {{0, ABOVE, 39}}},
#endif
    /* PR_SET_THP_DISABLE is 3.15, PR_CAP_AMBIENT (47) 4.3, PR_SET_VMA (0x53564d41) 5.17; the number
     * that is let through above them is Yama's, 3.4 */
    {EL7 | V3_10, SYS_prctl, EINVAL, {{0, ABOVE, 40}, {0, BELOW, 0x59616d61}}},
    /* PR_SET_MM is 3.3 */
    {V3_2, SYS_prctl, EINVAL, {{0, ABOVE, 34}}},
    /* F_OFD_GETLK, F_OFD_SETLK, F_OFD_SETLKW: 3.15 */
    {ALL, SYS_fcntl, EINVAL, {{1, EQUAL, 36}}},
    {ALL, SYS_fcntl, EINVAL, {{1, EQUAL, 37}}},
    {ALL, SYS_fcntl, EINVAL, {{1, EQUAL, 38}}},
    /* O_TMPFILE, 3.11: before, a directory that was opened for writing */
    {ALL, SYS_openat, EISDIR, {{2, BITS, 020000000}}},
#ifdef SYS_open
    {ALL, SYS_open, EISDIR, {{1, BITS, 020000000}}},
#endif
    /* all but FALLOC_FL_KEEP_SIZE and FALLOC_FL_PUNCH_HOLE */
    {ALL, SYS_fallocate, EOPNOTSUPP, {{1, ABOVE, 3}}},
    /* SIOCGSKNS, 4.10; NS_GET_USERNS and NS_GET_PARENT, 4.9 */
    {ALL, SYS_ioctl, ENOTTY, {{1, EQUAL, 0x894c}}},
    {ALL, SYS_ioctl, ENOTTY, {{1, EQUAL, 0xb701}}},
    {ALL, SYS_ioctl, ENOTTY, {{1, EQUAL, 0xb702}}},
    /* of the calls that only el7 has: up to BPF_OBJ_GET; MFD_HUGETLB; SECCOMP_GET_ACTION_AVAIL */
    {EL7, NR(321, 280), EINVAL, {{0, ABOVE, 7}}},
    {EL7, NR(319, 279), EINVAL, {{1, ABOVE, 3}}},
    {EL7, NR(317, 277), EINVAL, {{0, ABOVE, 1}}},
};

enum { NRULES = sizeof(rules) / sizeof(rules[0]), MOST_CODE = 1024 };

/* ---- the filter ---- */

struct program {
	struct sock_filter code[MOST_CODE];
	unsigned short n;
};

static void emit(struct program *p, uint16_t code, uint8_t yes, uint8_t no, uint32_t k)
{
	struct sock_filter i = {code, yes, no, k};

	if (p->n < MOST_CODE)
		p->code[p->n++] = i;
}

static void load(struct program *p, size_t offset)
{
	emit(p, BPF_LD | BPF_W | BPF_ABS, 0, 0, (uint32_t)offset);
}

static void answer(struct program *p, int error)
{
	emit(p, BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ERRNO | (uint32_t)error);
}

/* The low half of an argument; both machines are little-endian. */
static void load_argument(struct program *p, int i)
{
	load(p, offsetof(struct seccomp_data, args) + 8 * (size_t)i);
}

/* If all conditions hold, the error; else on behind it. */
static void emit_rule(struct program *p, const struct rule *r)
{
	static const uint16_t jumps[] = {0, BPF_JEQ, BPF_JGT, BPF_JGE, BPF_JSET};
	uint8_t left = 1; /* instructions behind the jump that leaves the rule */
	int i;

	for (i = 0; r->conditions[i].op != ANY; i++)
		left = (uint8_t)(left + 2);
	load(p, offsetof(struct seccomp_data, nr));
	emit(p, BPF_JMP | BPF_JEQ | BPF_K, 0, left, (uint32_t)r->nr);
	for (i = 0; r->conditions[i].op != ANY; i++) {
		const struct condition *c = &r->conditions[i];

		left = (uint8_t)(left - 2);
		load_argument(p, c->argument);
		emit(p, (uint16_t)(BPF_JMP | jumps[c->op] | BPF_K), c->op == BELOW ? left : 0,
		     c->op == BELOW ? 0 : left, c->value);
	}
	answer(p, r->error);
}

/* The first call of the table that a kernel does not have ends its numbers; what it has beyond is
 * let through one by one. */
static void make_filter(struct program *p, int kernel)
{
	uint32_t first_missing = kernel == V3_2 ? calls[0].nr : calls[2].nr;
	int i;

	p->n = 0;
	load(p, offsetof(struct seccomp_data, arch));
	emit(p, BPF_JMP | BPF_JEQ | BPF_K, 1, 0, ARCH);
	answer(p, ENOSYS);
	load(p, offsetof(struct seccomp_data, nr));
	for (i = 0; i < NCALLS; i++)
		if (calls[i].in & kernel && (uint32_t)calls[i].nr >= first_missing)
			emit(p, BPF_JMP | BPF_JEQ | BPF_K, 0, 0, (uint32_t)calls[i].nr);
	/* each to behind the next two instructions */
	for (i = p->n - 1; i > 3; i--)
		p->code[i].jt = (uint8_t)(p->n - i + 1);
	emit(p, BPF_JMP | BPF_JGE | BPF_K, 0, 1, first_missing);
	answer(p, ENOSYS);
	for (i = 0; i < NRULES; i++)
		if (rules[i].kernels & kernel)
			emit_rule(p, &rules[i]);
	emit(p, BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW);
}

/* NULL, or why it cannot be. With CAP_SYS_ADMIN the program may still gain privileges (setcap). */
static const char *install(int kernel)
{
	static struct program p;
	struct sock_fprog filter;

	if (!ARCH)
		return "its system calls are known for x86_64 and arm64 only";
	make_filter(&p, kernel);
	if (p.n >= MOST_CODE)
		return "the filter is too long: raise MOST_CODE";
	filter.len = p.n;
	filter.filter = p.code;
	if (!prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter))
		return NULL;
	if (errno == EACCES && !prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) &&
	    !prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter))
		return NULL;
	return "this kernel takes no seccomp filter (or the container forbids it)";
}

/* ---- is it right? ---- */

static int wrong;

static void want(const char *what, long result, int error)
{
	int got = result < 0 ? errno : 0;

	if (got == error)
		return;
	printf("not ok %s: %s, wanted %s\n", what, got ? strerror(got) : "done",
	       error ? strerror(error) : "done");
	wrong++;
}

static long get_option(int fd, int level, int option)
{
	char value[256];
	socklen_t size = sizeof(value);

	return getsockopt(fd, level, option, value, &size);
}

/* Arguments that no call takes: one that got through fails, in another way. */
static void test_calls(int kernel)
{
	size_t i;

	for (i = 0; i < NCALLS; i++) {
		const struct call *c = &calls[i];
		long ret = syscall(c->nr, -1L, -1L, -1L, -1L, -1L, -1L);
		bool unknown = ret < 0 && errno == ENOSYS;

		/* what is let through may be unknown to the kernel that is there */
		if (!(c->in & kernel) && !unknown) {
			printf("not ok %s (%d): should not be there\n", c->name, c->nr);
			wrong++;
		}
	}
	want("a number beyond all", syscall(1000, 0, 0, 0), ENOSYS);
	if (kernel == EL7)
		want("getrandom", syscall(NR(318, 278), &i, sizeof(i), 0) < 0 ? -1 : 0, 0);
}

static void test_arguments(int kernel)
{
	int udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), tcp, file;
	int size = 65536;
	struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET};

	tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	file = open("/dev/null", O_RDWR | O_CLOEXEC);
	want("SO_RCVBUF", setsockopt(udp, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size)), 0);
	want("SO_ERROR", get_option(udp, SOL_SOCKET, SO_ERROR), 0);
	want("SO_INCOMING_CPU", get_option(udp, SOL_SOCKET, 49), ENOPROTOOPT);
	want("SO_MEMINFO", get_option(udp, SOL_SOCKET, 55), ENOPROTOOPT);
	want("SO_COOKIE", get_option(udp, SOL_SOCKET, 57), ENOPROTOOPT);
	want("SO_ATTACH_BPF", setsockopt(udp, SOL_SOCKET, 50, &size, sizeof(size)), ENOPROTOOPT);
	want("PACKET_IGNORE_OUTGOING", setsockopt(udp, 263, 23, &size, sizeof(size)), ENOPROTOOPT);
	want("TCP_INFO", get_option(tcp, 6, 11), 0);
	want("TCP_CC_INFO", get_option(tcp, 6, 26), ENOPROTOOPT);
	want("TCP_TIMESTAMP", get_option(tcp, 6, 24), kernel == V3_2 ? ENOPROTOOPT : 0);
	want("AF_XDP", socket(44, SOCK_RAW, 0), EAFNOSUPPORT);
	want("F_OFD_SETLK", fcntl(file, 37, &lock), EINVAL);
	want("F_GETFD", fcntl(file, F_GETFD), 0);
	want("O_TMPFILE", open("/tmp", 020000000 | O_DIRECTORY | O_RDWR, 0600), EISDIR);
	want("PR_CAP_AMBIENT", prctl(47, 1, 0, 0, 0), EINVAL);
	want("collapsing a range", fallocate(file, 8, 0, 4096), EOPNOTSUPP);
	if (kernel == EL7)
		want("BPF_BTF_LOAD", syscall(NR(321, 280), 18, NULL, 0), EINVAL);
	close(file);
	close(tcp);
	close(udp);
}

static int self_test(int kernel)
{
	test_calls(kernel);
	test_arguments(kernel);
	printf("%d passed, %d failed, 0 skipped\n", wrong ? 0 : 1, wrong);
	return wrong ? 1 : 0;
}

/* ---- main ---- */

static int usage(void)
{
	fprintf(stderr, "usage: old_kernel [-k el7|3.10|3.2] PROGRAM [ARGUMENT...]\n"
			"       old_kernel [-k el7|3.10|3.2] --self-test\n"
			"       old_kernel --list\n");
	return 2;
}

static int list_calls(void)
{
	size_t i;

	for (i = 0; i < NCALLS; i++)
		printf("%3d %-24s %-5s %s\n", calls[i].nr, calls[i].name, calls[i].since,
		       calls[i].in & V3_10 ? "3.10, el7"
		       : calls[i].in & EL7 ? "el7"
					   : "");
	return 0;
}

static int kernel_named(const char *name)
{
	if (!strcmp(name, "el7"))
		return EL7;
	return !strcmp(name, "3.10") ? V3_10 : !strcmp(name, "3.2") ? V3_2 : 0;
}

int main(int argc, char **argv)
{
	const char *why;
	int kernel = EL7;

	if (argc > 2 && !strcmp(argv[1], "-k")) {
		kernel = kernel_named(argv[2]);
		argv += 2;
		argc -= 2;
	}
	if (argc < 2 || !kernel || !strcmp(argv[1], "-h") || !strcmp(argv[1], "--help"))
		return usage();
	if (!strcmp(argv[1], "--list"))
		return list_calls();
	why = install(kernel);
	if (why) {
		printf("skip: %s\n0 passed, 0 failed, 1 skipped\n", why);
		return SKIPPED;
	}
	if (!strcmp(argv[1], "--self-test"))
		return self_test(kernel);
	execvp(argv[1], argv + 1);
	fprintf(stderr, "old_kernel: %s: %s\n", argv[1], strerror(errno));
	return 127;
}
