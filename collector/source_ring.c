/* source_ring.c - live capture: an AF_PACKET socket with a TPACKET_V3 ring and a BPF filter,
 * classic or extended.
 *
 * Follows Linux Documentation/networking/packet_mmap.rst and net/packet/af_packet.c; TPACKET_V3 is
 * Linux 3.2. The order matters: a socket of protocol 0 receives nothing, so filter and ring are in
 * place before bind() lets the first packet in.
 *
 * Interfaces of every kind come through one socket. sll_hatype, which the ring keeps behind each
 * frame's header, says what the frame begins with: Ethernet, or (tunnels, tun, PPP) tp_net says
 * where IP is.
 */
#include "collector/source_ring.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <arpa/inet.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "collector/permissions.h"
#include "collector/source.h"
#include "filters/classic.h"

#ifndef SO_ATTACH_BPF
#define SO_ATTACH_BPF 50 /* Linux 3.19, asm-generic/socket.h */
#endif

enum {
	RING_BATCH = 64,
	RING_FRAME_BYTES = 2048,
	RING_MIXED_MS = 20, /* so far frames of several CPUs may be out of order */
};

struct ring {
	int fd;
	int ifindex; /* as configured; 0: all */
	uint8_t *map;
	unsigned int nblocks;
	unsigned int next; /* block that the kernel fills or has filled next */
	enum ring_filter filter;
	bool dropping;    /* the last blocks said so: see source_ring_dropping() */
	uint64_t last_ns; /* time of the last frame that was handed over */
	struct source_stats stats;
	struct frame batch[RING_BATCH];
};

static int ring_fail(char *why, size_t why_size, const char *what)
{
	int err = errno ? errno : EIO;

	if (err == EPERM || err == EACCES)
		permissions_explain(why, why_size, what, "CAP_NET_RAW");
	else
		snprintf(why, why_size, "%s: %s", what, strerror(err));
	return -err;
}

/* All but the second copies on lo, whole: user space leaves out what is not wanted. */
static const struct sock_filter filter_between[] = {
    {BPF_LD | BPF_W | BPF_ABS, 0, 0, (uint32_t)(SKF_AD_OFF + SKF_AD_HATYPE)},
    {BPF_JMP | BPF_JEQ | BPF_K, 0, 3, ARPHRD_LOOPBACK},
    {BPF_LD | BPF_W | BPF_ABS, 0, 0, (uint32_t)(SKF_AD_OFF + SKF_AD_PKTTYPE)},
    {BPF_JMP | BPF_JEQ | BPF_K, 0, 1, PACKET_OUTGOING},
    {BPF_RET | BPF_K, 0, 0, 0},
    {BPF_RET | BPF_K, 0, 0, FILTER_COPY_WHOLE},
};

enum { BETWEEN_INSNS = sizeof(filter_between) / sizeof(filter_between[0]) };

/* SO_LOCK_FILTER (Linux 3.9) would guard the filter against whoever else has the socket: nobody
 * has, and a locked filter could not be replaced. */
static int ring_attach(int fd, const struct sock_filter *code, size_t n)
{
	struct sock_fprog fprog;

	memset(&fprog, 0, sizeof(fprog));
	fprog.len = (unsigned short)n;
	fprog.filter = (struct sock_filter *)(uintptr_t)code;
	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &fprog, sizeof(fprog)) < 0 ? -errno : 0;
}

/* Attach the filter, in place of another where there is one (the kernel swaps the two under RCU:
 * net/core/filter.c, sk_attach_filter()). A socket's filters, old and new, share
 * net.core.optmem_max (20 KiB before Linux 6.7): where both have no room a small one goes between
 * them, and where the new one alone has none it takes fewer rules, and no addresses in the end.
 * max: instructions; it is what was found to fit. */
static int ring_try_filter(int fd, struct filter_insn *prog, struct sock_filter *code,
			   const struct filter_config *fc, size_t *max)
{
	int n = classic_flow_filter(prog, *max, fc), i, err;
	size_t half;

	if (n < 0)
		return n;
	for (i = 0; i < n; i++)
		code[i] = prog[i].insn;
	err = ring_attach(fd, code, (size_t)n);
	if (err == -ENOMEM && ring_attach(fd, filter_between, BETWEEN_INSNS) == 0)
		err = ring_attach(fd, code, (size_t)n);
	half = (size_t)n - (size_t)n / 4;
	if (err != -ENOMEM || classic_flow_filter(prog, half, fc) < 0)
		return err;
	*max = half;
	return -EAGAIN;
}

static int ring_classic_fail(int err, size_t ndns_ports, char *why, size_t why_size)
{
	errno = err > FL_ETRUNCATED ? -err : 0;
	if (err == FL_EUSAGE || err == FL_EFULL)
		snprintf(why, why_size, "the packet filter does not hold %zu DNS ports: name fewer",
			 ndns_ports);
	else if (err == -ENOMEM)
		snprintf(why, why_size,
			 "the kernel has no room for the packet filter: 'sysctl -w "
			 "net.core.optmem_max=131072' gives it more");
	else
		err = ring_fail(why, why_size, "attaching the packet filter");
	return err;
}

/* Returns how many rules are left to user space, or negative. why[] is added to. */
static int ring_attach_classic(struct ring *r, const struct ring_config *config, char *why,
			       size_t why_size)
{
	bool *left = calloc(config->nexcludes + 1, sizeof(*left)), narrow_left = false;
	struct filter_config fc = {config->dns_ports, config->ndns_ports, config->tunnels_inner,
				   config->excludes,  config->nexcludes,  left,
				   config->narrow,    config->nnarrow,    &narrow_left};
	struct filter_insn *prog = calloc(FILTER_INSNS_MAX, sizeof(*prog));
	struct sock_filter *code = calloc(FILTER_INSNS_MAX, sizeof(*code));
	size_t max = FILTER_INSNS_MAX, i, said = strlen(why);
	int err = -ENOMEM;

	if (!prog || !code || !left) {
		snprintf(why, why_size, "no memory for the packet filter");
		goto out;
	}
	do
		err = ring_try_filter(r->fd, prog, code, &fc, &max);
	while (err == -EAGAIN);
	if (err < 0) {
		err = ring_classic_fail(err, fc.ndns_ports, why, why_size);
		goto out;
	}
	r->filter = config->nnarrow && !narrow_left ? RING_FILTER_NARROW : RING_FILTER_CLASSIC;
	if (narrow_left)
		snprintf(why + said, why_size - said,
			 "%sthe packet filter has no room for this host's %zu addresses: all of "
			 "TCP is read",
			 said ? "; " : "", config->nnarrow);
	for (i = 0; i < config->nexcludes; i++)
		err += left[i];
out:
	free(left);
	free(prog);
	free(code);
	return err;
}

/* The program's instructions count for net.core.optmem_max as those of a classic one do
 * (sk_attach_bpf()). */
static int ring_attach_bpf(struct ring *r, int bpf_fd, char *why, size_t why_size)
{
	int err, tries;

	for (tries = 0; tries < 2; tries++) {
		if (!setsockopt(r->fd, SOL_SOCKET, SO_ATTACH_BPF, &bpf_fd, sizeof(bpf_fd))) {
			r->filter = RING_FILTER_BPF;
			return 0;
		}
		err = -errno;
		if (err != -ENOMEM || ring_attach(r->fd, filter_between, BETWEEN_INSNS) < 0)
			break;
	}
	snprintf(why, why_size,
		 "the kernel refused the eBPF packet filter, a classic one is there: %s",
		 strerror(-err));
	return err;
}

/* Whatever it takes: nothing may be missing where the caller believes that all is there. Without a
 * filter for a moment lo shows its frames twice; that happens only where net.core.optmem_max is
 * less now than when the filter was attached. */
static void ring_let_pass(struct ring *r)
{
	int none = 0;

	r->filter = RING_FILTER_CLASSIC;
	if (ring_attach(r->fd, filter_between, BETWEEN_INSNS) == 0)
		return;
	setsockopt(r->fd, SOL_SOCKET, SO_DETACH_FILTER, &none, sizeof(none));
	ring_attach(r->fd, filter_between, BETWEEN_INSNS);
}

/* As source_ring_set_filter(). */
static int ring_attach_filter(struct ring *r, const struct ring_config *config, char *why,
			      size_t why_size)
{
	int err;

	why[0] = 0;
	if (config->bpf_fd >= 0 && !ring_attach_bpf(r, config->bpf_fd, why, why_size))
		return (int)config->nexcludes;
	err = ring_attach_classic(r, config, why, why_size);
	if (err >= 0 || r->filter == RING_FILTER_CLASSIC || config->nnarrow)
		return err;
	ring_let_pass(r);
	why[0] = 0;
	return ring_attach_classic(r, config, why, why_size);
}

enum ring_filter source_ring_filter(const struct source *s)
{
	return ((const struct ring *)s)->filter;
}

static int ring_map(struct ring *r, size_t bytes, char *why, size_t why_size)
{
	struct tpacket_req3 req;
	int version = TPACKET_V3;
	size_t nblocks = (bytes ? bytes : RING_DEFAULT_BYTES) / RING_BLOCK_BYTES;

	if (nblocks < RING_BLOCKS_MIN)
		nblocks = RING_BLOCKS_MIN;
	if (nblocks > (1u << 31) / RING_BLOCK_BYTES) {
		snprintf(why, why_size, "a ring of %zu bytes is too large: want at most 2 GiB",
			 bytes);
		return FL_EUSAGE;
	}
	if (setsockopt(r->fd, SOL_PACKET, PACKET_VERSION, &version, sizeof(version)) < 0)
		return ring_fail(why, why_size,
				 "asking for a TPACKET_V3 ring (Linux 3.2 and newer)");
	memset(&req, 0, sizeof(req));
	req.tp_block_size = RING_BLOCK_BYTES;
	req.tp_block_nr = (unsigned int)nblocks;
	req.tp_frame_size = RING_FRAME_BYTES; /* V3 packs frames; only the product has to fit */
	req.tp_frame_nr = (unsigned int)(nblocks * (RING_BLOCK_BYTES / RING_FRAME_BYTES));
	req.tp_retire_blk_tov = RING_RETIRE_MS;
	if (setsockopt(r->fd, SOL_PACKET, PACKET_RX_RING, &req, sizeof(req)) < 0)
		return ring_fail(why, why_size, "taking memory for the packet ring");
	r->map =
	    mmap(NULL, nblocks * RING_BLOCK_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, r->fd, 0);
	if (r->map == MAP_FAILED) {
		r->map = NULL;
		return ring_fail(why, why_size, "mapping the packet ring");
	}
	r->nblocks = (unsigned int)nblocks;
	return 0;
}

static int ring_bind(const struct ring *r, char *why, size_t why_size)
{
	struct sockaddr_ll sll;

	memset(&sll, 0, sizeof(sll));
	sll.sll_family = AF_PACKET;
	sll.sll_protocol = htons(ETH_P_ALL);
	sll.sll_ifindex = r->ifindex;
	if (bind(r->fd, (const struct sockaddr *)&sll, sizeof(sll)) < 0)
		return ring_fail(why, why_size, "binding to the interface");
	return 0;
}

static void ring_close(struct source *s)
{
	struct ring *r = (struct ring *)s;

	if (!r)
		return;
	if (r->map)
		munmap(r->map, (size_t)r->nblocks * RING_BLOCK_BYTES);
	if (r->fd >= 0)
		close(r->fd);
	free(r);
}

static int ring_open(struct source **s, const void *config, char *why, size_t why_size)
{
	const struct ring_config *c = config;
	struct ring *r = calloc(1, sizeof(*r));
	int err;

	*s = NULL;
	if (!r) {
		snprintf(why, why_size, "no memory");
		return -ENOMEM;
	}
	r->ifindex = c->ifindex;
	r->fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	err = r->fd < 0 ? ring_fail(why, why_size, "opening a packet socket") : 0;
	if (!err)
		err = ring_attach_filter(r, c, why, why_size);
	if (err >= 0) /* rules that are left to user space are no error */
		err = ring_map(r, c->ring_bytes, why, why_size);
	if (!err)
		err = ring_bind(r, why, why_size);
	if (err) {
		ring_close((struct source *)r);
		return err;
	}
	*s = (struct source *)r;
	return 0;
}

static int ring_probe(const void *config, char *why, size_t why_size)
{
	struct source *s;
	int err = ring_open(&s, config, why, why_size);

	ring_close(s);
	return err;
}

static int ring_fd(const struct source *s)
{
	return ((const struct ring *)s)->fd;
}

/* Fill in a frame; false where it is of a link that the engine does not know. */
static bool ring_frame(struct frame *f, const struct tpacket3_hdr *h)
{
	const struct sockaddr_ll *sll =
	    (const void *)((const uint8_t *)h + TPACKET_ALIGN(sizeof(*h)));
	uint32_t cut = 0;

	f->link = LINK_ETHERNET;
	if (sll->sll_hatype != ARPHRD_ETHER && sll->sll_hatype != ARPHRD_LOOPBACK) {
		if (sll->sll_protocol != htons(ETH_P_IP) && sll->sll_protocol != htons(ETH_P_IPV6))
			return false;
		f->link = LINK_RAW;
		cut = h->tp_net > h->tp_mac ? (uint32_t)(h->tp_net - h->tp_mac) : 0;
		if (cut > h->tp_snaplen)
			return false;
	}
	f->time_ns = (uint64_t)h->tp_sec * 1000000000u + h->tp_nsec;
	f->data = (const uint8_t *)h + h->tp_mac + cut;
	f->caplen = h->tp_snaplen - cut;
	f->wirelen = (h->tp_len > h->tp_snaplen ? h->tp_len : h->tp_snaplen) - cut;
	f->iface = (uint16_t)sll->sll_ifindex;
	return true;
}

static struct tpacket_block_desc *ring_block(const struct ring *r)
{
	return (struct tpacket_block_desc *)(r->map + (size_t)r->next * RING_BLOCK_BYTES);
}

static bool ring_block_ready(const struct ring *r)
{
	return __atomic_load_n(&ring_block(r)->hdr.bh1.block_status, __ATOMIC_ACQUIRE) &
	       TP_STATUS_USER;
}

static void ring_hand_over(struct ring *r, const struct frame_sink *sink, size_t n)
{
	if (!n)
		return;
	sink->frames(sink->ctx, r->batch, n);
	r->last_ns = r->batch[n - 1].time_ns;
	r->stats.frames += n;
}

static void ring_read_block(struct ring *r, const struct frame_sink *sink)
{
	struct tpacket_block_desc *block = ring_block(r);
	const uint8_t *p = (const uint8_t *)block + block->hdr.bh1.offset_to_first_pkt;
	uint32_t left = block->hdr.bh1.num_pkts;
	size_t n = 0;

	while (left--) {
		const struct tpacket3_hdr *h = (const void *)p;

		if (ring_frame(&r->batch[n], h))
			n++;
		else
			r->stats.skipped++;
		if (n == RING_BATCH) {
			ring_hand_over(r, sink, n);
			n = 0;
		}
		p += h->tp_next_offset;
	}
	ring_hand_over(r, sink, n);
	if (block->hdr.bh1.block_status & TP_STATUS_LOSING)
		r->dropping = true;
	__atomic_store_n(&block->hdr.bh1.block_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
	r->next = r->next + 1 == r->nblocks ? 0 : r->next + 1;
}

/* Nothing to read: has the interface gone? ENETDOWN alone (link set down) passes: the socket works
 * again when it comes up. Only an interface that was removed unbinds the socket for good. */
static int ring_check(const struct ring *r, char *why, size_t why_size)
{
	struct sockaddr_ll sll;
	socklen_t len = sizeof(sll);
	int err = 0;
	socklen_t err_len = sizeof(err);

	/* Reading the error also takes it away, else poll(2) would never sleep again. */
	if (getsockopt(r->fd, SOL_SOCKET, SO_ERROR, &err, &err_len) < 0)
		return ring_fail(why, why_size, "reading the packet socket's state");
	if (!r->ifindex)
		return 0;
	memset(&sll, 0, sizeof(sll));
	if (getsockname(r->fd, (struct sockaddr *)&sll, &len) < 0)
		return ring_fail(why, why_size, "reading the packet socket's state");
	if (sll.sll_ifindex == r->ifindex)
		return 0;
	snprintf(why, why_size, "the interface is gone");
	return -ENODEV;
}

static int ring_poll(struct source *s, const struct frame_sink *sink, char *why, size_t why_size)
{
	struct ring *r = (struct ring *)s;

	if (!ring_block_ready(r))
		return ring_check(r, why, why_size);
	ring_read_block(r, sink);
	return ring_block_ready(r);
}

static void ring_stats(struct source *s, struct source_stats *out)
{
	struct ring *r = (struct ring *)s;
	struct tpacket_stats_v3 st;
	socklen_t len = sizeof(st);

	memset(&st, 0, sizeof(st));
	/* The kernel's counters start again at 0 with every reading. */
	if (getsockopt(r->fd, SOL_PACKET, PACKET_STATISTICS, &st, &len) == 0)
		r->stats.dropped_kernel += st.tp_drops;
	r->dropping = false;
	*out = r->stats;
}

bool source_ring_dropping(const struct source *s)
{
	return ((const struct ring *)s)->dropping;
}

uint64_t source_ring_read_until_ns(const struct source *s, uint64_t now_ns)
{
	const struct ring *r = (const struct ring *)s;
	uint64_t waits_ns = ring_block_ready(r) ? RING_MIXED_MS : RING_RETIRE_MS + RING_MIXED_MS;
	uint64_t from_ns = ring_block_ready(r) ? r->last_ns : now_ns;

	return from_ns > waits_ns * 1000000 ? from_ns - waits_ns * 1000000 : 0;
}

int source_ring_set_filter(struct source *s, const struct ring_config *config, char *why,
			   size_t why_size)
{
	return ring_attach_filter((struct ring *)s, config, why, why_size);
}

const struct source_ops source_ring = {
    .name = "ring",
    .probe = ring_probe,
    .open = ring_open,
    .fd = ring_fd,
    .poll = ring_poll,
    .stats = ring_stats,
    .close = ring_close,
};
