/* socket_filter.h - the smallest eBPF socket filter, loaded by bpf(2) without a library: for tests
 * of what attaches one.
 */
#ifndef TESTS_LIVE_SOCKET_FILTER_H
#define TESTS_LIVE_SOCKET_FILTER_H

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* A program that lets so many bytes of every frame pass: mov r0, bytes; exit. Its descriptor, or
 * -errno. */
static inline int socket_filter_load(int bytes)
{
#ifdef __NR_bpf
	/* struct bpf_insn and the first members of union bpf_attr, which older headers lack */
	struct {
		uint8_t code, registers;
		int16_t offset;
		int32_t value;
	} insns[2] = {{0xb7, 0, 0, 0}, {0x95, 0, 0, 0}};
	struct {
		uint32_t type, ninsns;
		uint64_t insns, license;
		uint32_t log_level, log_size;
		uint64_t log;
		uint32_t kernel_version, flags;
		uint8_t newer[80]; /* members since then; those that a kernel does not know are 0 */
	} attr;
	static const char license[] = "GPL";
	long fd;

	memset(&attr, 0, sizeof(attr));
	insns[0].value = bytes;
	attr.type = 1; /* BPF_PROG_TYPE_SOCKET_FILTER */
	attr.ninsns = 2;
	attr.insns = (uint64_t)(uintptr_t)insns;
	attr.license = (uint64_t)(uintptr_t)license;
	fd = syscall(__NR_bpf, 5 /* BPF_PROG_LOAD */, &attr, sizeof(attr));
	return fd < 0 ? -errno : (int)fd;
#else
	(void)bytes;
	return -ENOSYS;
#endif
}

#endif
