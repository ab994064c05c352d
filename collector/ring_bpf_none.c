/* ring_bpf_none.c - the eBPF filter of the packet ring in a build without libbpf: says so. See
 * collector/ring_bpf.c.
 */
#include "collector/ring_bpf.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

int ring_bpf_new(struct ring_bpf **out, const struct ring_bpf_config *config,
		 char why[KERNEL_WHY_SIZE])
{
	(void)config;
	*out = NULL;
	snprintf(why, KERNEL_WHY_SIZE,
		 "this program was built without libbpf; build it with libbpf-dev, libelf-dev, "
		 "clang and bpftool (or from a release tarball)");
	return -ENOSYS;
}

void ring_bpf_free(struct ring_bpf *rb)
{
	(void)rb;
}

int ring_bpf_fd(const struct ring_bpf *rb)
{
	(void)rb;
	return -1;
}

int ring_bpf_set_narrow(struct ring_bpf *rb, const struct ip_net *nets, size_t n)
{
	(void)rb;
	(void)nets;
	(void)n;
	return -ENOSYS;
}

int ring_bpf_set_ports(struct ring_bpf *rb, const uint16_t *dns_ports, size_t n, bool tunnels_inner)
{
	(void)rb;
	(void)dns_ports;
	(void)n;
	(void)tunnels_inner;
	return -ENOSYS;
}

int ring_bpf_read(struct ring_bpf *rb, void (*each)(void *ctx, const struct kernel_datagrams *d),
		  void *ctx)
{
	(void)rb;
	(void)each;
	(void)ctx;
	return -ENOSYS;
}

void ring_bpf_stats(struct ring_bpf *rb, struct ring_bpf_stats *out)
{
	(void)rb;
	memset(out, 0, sizeof(*out));
}
