/* sockets_events.c - sockets that are gone, by netlink multicast.
 *
 * Follows net/core/sock_diag.c and net/netlink/af_netlink.c of Linux 4.3 and 6.12. A message has
 * the form of a dump's: struct inet_diag_msg, INET_DIAG_PROTOCOL, INET_DIAG_INFO, and the state
 * CLOSE.
 */
#include "collector/sockets_events.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <sys/socket.h>

#include "flows/packet.h"

#ifndef NETLINK_SOCK_DIAG
#define NETLINK_SOCK_DIAG 4
#endif
#ifndef SOCK_DIAG_BY_FAMILY
#define SOCK_DIAG_BY_FAMILY 20
#endif
#ifndef SO_MEMINFO /* Linux 4.12 */
#define SO_MEMINFO 55
#endif

enum {
	EVENTS_BATCH = 64,
	EVENTS_MESSAGE = 1024, /* a message has 380 bytes in Linux 6.18 */
	EVENTS_DROPS = 8,      /* in what SO_MEMINFO gives */
	/* what one takes of the buffer (Linux 6.18: 1280), which is twice as large as asked for */
	EVENTS_KERNEL_BYTES = 1536,
	/* A rest is no longer than the buffer has room for this many messages in a ms, which is
	 * more than servers close: those of a process that ends may be twice as many. */
	EVENTS_PER_MS = 256,
	EVENTS_REST_MS = 8, /* the samples wait for longer than that anyway (kernel_queue.h) */
	EVENTS_FILL = 8, /* a reading that found more than this part of the buffer full: no rest */
};

struct sockets_events {
	int fd;
	uint32_t wanted; /* of SO_RCVBUF */
	uint32_t drops;  /* as the kernel last counted them */
	uint32_t taken;  /* messages of the last reading */
	struct sockets_events_stats stats;
	struct mmsghdr msgs[EVENTS_BATCH];
	struct iovec iov[EVENTS_BATCH];
	struct sockaddr_nl from[EVENTS_BATCH];
	union {
		struct nlmsghdr align;
		char bytes[EVENTS_MESSAGE];
	} buf[EVENTS_BATCH];
};

/* SO_RCVBUFFORCE needs CAP_NET_ADMIN; SO_RCVBUF gives at most net.core.rmem_max. */
static void events_set_buffer(struct sockets_events *e)
{
	int size = (int)e->wanted;
	socklen_t len = sizeof(size);

	if (setsockopt(e->fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0)
		(void)setsockopt(e->fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	if (getsockopt(e->fd, SOL_SOCKET, SO_RCVBUF, &size, &len) == 0)
		e->stats.buffer = (uint32_t)size;
}

int sockets_events_open(struct sockets_events **out, uint32_t groups, uint32_t buffer)
{
	struct sockets_events *e = calloc(1, sizeof(*e));
	struct sockaddr_nl own;
	int i, err;

	*out = NULL;
	if (!e)
		return -ENOMEM;
	for (i = 0; i < EVENTS_BATCH; i++) {
		e->iov[i].iov_base = &e->buf[i];
		e->iov[i].iov_len = sizeof(e->buf[i]);
		e->msgs[i].msg_hdr.msg_iov = &e->iov[i];
		e->msgs[i].msg_hdr.msg_iovlen = 1;
		e->msgs[i].msg_hdr.msg_name = &e->from[i];
	}
	memset(&own, 0, sizeof(own));
	own.nl_family = AF_NETLINK;
	own.nl_groups = groups;
	e->wanted = buffer;
	e->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_SOCK_DIAG);
	if (e->fd < 0 || bind(e->fd, (const struct sockaddr *)&own, sizeof(own)) < 0) {
		err = -errno;
		sockets_events_close(e);
		return err;
	}
	events_set_buffer(e);
	*out = e;
	return 0;
}

void sockets_events_close(struct sockets_events *e)
{
	if (!e)
		return;
	if (e->fd >= 0)
		close(e->fd);
	free(e);
}

int sockets_events_fd(const struct sockets_events *e)
{
	return e->fd;
}

/* How many messages had no room since the last call, as far as the kernel tells. */
static uint32_t events_new_drops(struct sockets_events *e)
{
	uint32_t info[EVENTS_DROPS + 1], n;
	socklen_t len = sizeof(info);

	if (getsockopt(e->fd, SOL_SOCKET, SO_MEMINFO, info, &len) < 0 || len < sizeof(info))
		return 0;
	n = info[EVENTS_DROPS] - e->drops;
	e->drops = info[EVENTS_DROPS];
	return n;
}

/* One ENOBUFS stands for all messages until the queue was read to its end: the kernel takes none
 * before that (NETLINK_S_CONGESTED). The buffer grows by what they would have needed; where the
 * kernel does not count them, to four times its size. */
static void events_overrun(struct sockets_events *e)
{
	uint32_t n = events_new_drops(e);
	uint64_t want = (n ? 2 : 4) * (uint64_t)e->wanted + (uint64_t)n * EVENTS_KERNEL_BYTES;

	e->stats.overruns++;
	e->stats.lost += n ? n : 1;
	if (e->wanted < SOCKETS_BUFFER_MOST) {
		e->wanted = want < SOCKETS_BUFFER_MOST ? (uint32_t)want : SOCKETS_BUFFER_MOST;
		events_set_buffer(e);
	}
}

static void events_message(struct sockets_events *e, int i,
			   void (*gone)(void *ctx, const struct sock_entry *s), void *ctx)
{
	const struct nlmsghdr *h = &e->buf[i].align;
	size_t len = e->msgs[i].msg_len;
	struct sock_entry s;

	if (e->from[i].nl_pid != 0 || e->msgs[i].msg_hdr.msg_flags & MSG_TRUNC ||
	    len < sizeof(*h) || h->nlmsg_len > len || h->nlmsg_type != SOCK_DIAG_BY_FAMILY)
		return;
	if (!sockdiag_parse_message(h, h->nlmsg_len, PROTO_TCP, &s))
		return;
	e->stats.messages++;
	gone(ctx, &s);
}

int sockets_events_read(struct sockets_events *e, unsigned int most,
			void (*gone)(void *ctx, const struct sock_entry *s), void *ctx)
{
	unsigned int done = 0;
	int i, n;

	e->taken = 0;
	while (done < most) {
		for (i = 0; i < EVENTS_BATCH; i++)
			e->msgs[i].msg_hdr.msg_namelen = sizeof(e->from[i]);
		n = recvmmsg(e->fd, e->msgs, EVENTS_BATCH, MSG_DONTWAIT, NULL);
		if (n < 0 && errno == ENOBUFS) {
			events_overrun(e);
			done++;
			continue;
		}
		if (n < 0 && errno != EINTR)
			return errno == EAGAIN ? 0 : -errno;
		for (i = 0; i < n; i++)
			events_message(e, i, gone, ctx);
		e->taken += n > 0 ? (unsigned int)n : 0;
		done += n > 0 ? (unsigned int)n : 1;
		if (n >= 0 && n < EVENTS_BATCH)
			return 0;
	}
	return 1;
}

unsigned int sockets_events_rest_ms(const struct sockets_events *e)
{
	uint32_t room = e->stats.buffer / EVENTS_KERNEL_BYTES, most = room / EVENTS_PER_MS;

	if (!e->taken || e->taken > room / EVENTS_FILL)
		return 0;
	return most < EVENTS_REST_MS ? most : EVENTS_REST_MS;
}

void sockets_events_stats(struct sockets_events *e, struct sockets_events_stats *out)
{
	/* what was dropped behind the one that ENOBUFS told of */
	if (e->stats.overruns)
		e->stats.lost += events_new_drops(e);
	*out = e->stats;
}
