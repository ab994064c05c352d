/* ifaces.c - links and addresses by rtnetlink.
 *
 * Follows rtnetlink(7), netlink(7) and RFC 3549. One socket is asked for a dump of the links, then
 * of the addresses, and gets the notifications too. Every entry carries the number of the dump that
 * saw it last; when a dump is through, what it did not see is gone. So a dump after lost
 * notifications gives exactly the differences, and the first dump is nothing special.
 */
#include "collector/ifaces.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <linux/if_addr.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <sys/socket.h>

enum {
	IFACES_BUFFER = 32768, /* the kernel's largest dump message */
	IFACES_WAIT_MS = 5000,
	IFACES_MAX = 1 << 16, /* of either list: far beyond any host */
};

struct address_entry {
	struct ip_net net;
	int index;
	uint32_t seen;
};

enum dump { DUMP_NONE, DUMP_LINKS, DUMP_ADDRESSES };

struct ifaces {
	int fd;
	uint32_t seq;   /* of the request under way */
	uint32_t round; /* number of the dump, kept in `seen` */
	enum dump dump;
	bool again; /* notifications were lost, or a dump was inconsistent: dump once more */
	bool local_changed;
	struct iface *links;
	uint32_t *links_seen;
	size_t nlinks, links_room;
	struct address_entry *addresses;
	size_t naddresses, addresses_room;
	union {
		struct nlmsghdr align;
		char bytes[IFACES_BUFFER];
	} buf;
};

/* Room for one more element; bounded growth, only when an interface or address appears. */
static int ifaces_grow(void **list, size_t n, size_t *room, size_t size)
{
	size_t more = *room ? *room * 2 : 16;
	void *p;

	if (n < *room)
		return 0;
	if (n >= IFACES_MAX)
		return FL_EFULL;
	p = realloc(*list, more * size);
	if (!p)
		return -ENOMEM;
	*list = p;
	*room = more;
	return 0;
}

static void ifaces_tell(const struct ifaces_events *ev, const struct iface *before,
			const struct iface *now)
{
	if (ev && ev->link)
		ev->link(ev->ctx, before, now);
}

static size_t ifaces_find(const struct ifaces *ifs, int index)
{
	size_t i;

	for (i = 0; i < ifs->nlinks && ifs->links[i].index != index; i++)
		;
	return i;
}

static void ifaces_forget_addresses(struct ifaces *ifs, int index)
{
	size_t i = 0;

	while (i < ifs->naddresses) {
		if (ifs->addresses[i].index != index) {
			i++;
			continue;
		}
		ifs->addresses[i] = ifs->addresses[--ifs->naddresses];
		ifs->local_changed = true;
	}
}

static void ifaces_remove_link(struct ifaces *ifs, const struct ifaces_events *ev, size_t i)
{
	struct iface gone = ifs->links[i];

	ifs->nlinks--;
	ifs->links[i] = ifs->links[ifs->nlinks];
	ifs->links_seen[i] = ifs->links_seen[ifs->nlinks];
	ifaces_forget_addresses(ifs, gone.index);
	ifaces_tell(ev, &gone, NULL);
}

static int ifaces_put_link(struct ifaces *ifs, const struct ifaces_events *ev,
			   const struct iface *now)
{
	size_t i = ifaces_find(ifs, now->index), room = ifs->links_room;
	struct iface before;
	int err;

	if (i == ifs->nlinks) {
		err = ifaces_grow((void **)&ifs->links, i, &room, sizeof(*ifs->links));
		if (!err)
			err = ifaces_grow((void **)&ifs->links_seen, i, &ifs->links_room,
					  sizeof(*ifs->links_seen));
		if (err)
			return err == FL_EFULL ? 0 : err; /* no reason to end */
		ifs->links[i] = *now;
		ifs->links_seen[i] = ifs->round;
		ifs->nlinks++;
		ifaces_tell(ev, NULL, now);
		return 0;
	}
	before = ifs->links[i];
	ifs->links[i] = *now;
	ifs->links_seen[i] = ifs->round;
	if (before.up != now->up || before.hatype != now->hatype || strcmp(before.name, now->name))
		ifaces_tell(ev, &before, now);
	return 0;
}

/* The attribute's bytes and length, or NULL: a walk that trusts no length. */
static const uint8_t *ifaces_attribute(const struct nlmsghdr *h, size_t header, uint16_t type,
				       size_t *len)
{
	const uint8_t *p = (const uint8_t *)h + NLMSG_HDRLEN + NLMSG_ALIGN(header);
	size_t begin = NLMSG_HDRLEN + NLMSG_ALIGN(header);
	size_t left = h->nlmsg_len > begin ? h->nlmsg_len - begin : 0;
	struct rtattr a;

	while (left >= sizeof(a)) {
		memcpy(&a, p, sizeof(a));
		if (a.rta_len < sizeof(a) || a.rta_len > left)
			return NULL;
		if ((a.rta_type & NLA_TYPE_MASK) == type) {
			*len = a.rta_len - RTA_LENGTH(0);
			return p + RTA_LENGTH(0);
		}
		if (RTA_ALIGN(a.rta_len) >= left)
			return NULL;
		p += RTA_ALIGN(a.rta_len);
		left -= RTA_ALIGN(a.rta_len);
	}
	return NULL;
}

static int ifaces_link_message(struct ifaces *ifs, const struct ifaces_events *ev,
			       const struct nlmsghdr *h)
{
	struct ifinfomsg info;
	struct iface now;
	const uint8_t *name;
	size_t len, i;

	if (h->nlmsg_len < NLMSG_LENGTH(sizeof(info)))
		return 0;
	memcpy(&info, NLMSG_DATA(h), sizeof(info));
	if (info.ifi_family != AF_UNSPEC)
		return 0; /* a bridge's port came or went (AF_BRIDGE), not the interface */
	if (h->nlmsg_type == RTM_DELLINK) {
		i = ifaces_find(ifs, info.ifi_index);
		if (i < ifs->nlinks)
			ifaces_remove_link(ifs, ev, i);
		return 0;
	}
	name = ifaces_attribute(h, sizeof(info), IFLA_IFNAME, &len);
	if (!name)
		return 0;
	memset(&now, 0, sizeof(now));
	now.index = info.ifi_index;
	now.hatype = info.ifi_type;
	now.up = (info.ifi_flags & IFF_UP) != 0;
	memcpy(now.name, name, len < IFACE_NAME_SIZE - 1 ? len : IFACE_NAME_SIZE - 1);
	return ifaces_put_link(ifs, ev, &now);
}

static bool ifaces_read_address(const struct nlmsghdr *h, struct address_entry *e)
{
	struct ifaddrmsg info;
	const uint8_t *a;
	size_t len;

	if (h->nlmsg_len < NLMSG_LENGTH(sizeof(info)))
		return false;
	memcpy(&info, NLMSG_DATA(h), sizeof(info));
	/* IFA_ADDRESS is the other end's on a point-to-point link; IFA_LOCAL is ours where there is
	 * one. */
	a = ifaces_attribute(h, sizeof(info), IFA_LOCAL, &len);
	if (!a)
		a = ifaces_attribute(h, sizeof(info), IFA_ADDRESS, &len);
	if (!a)
		return false;
	memset(e, 0, sizeof(*e));
	e->index = (int)info.ifa_index;
	if (info.ifa_family == AF_INET && len == 4 && info.ifa_prefixlen <= 32) {
		addr_from_v4(&e->net.addr, a);
		e->net.bits = (uint8_t)(96 + info.ifa_prefixlen);
		return true;
	}
	if (info.ifa_family == AF_INET6 && len == 16 && info.ifa_prefixlen <= 128) {
		memcpy(e->net.addr.b, a, 16);
		e->net.bits = info.ifa_prefixlen;
		return !(info.ifa_flags & IFA_F_DADFAILED); /* another host has it */
	}
	return false;
}

static int ifaces_address_message(struct ifaces *ifs, const struct nlmsghdr *h)
{
	struct address_entry e;
	size_t i;
	int err;

	if (!ifaces_read_address(h, &e))
		return 0;
	e.seen = ifs->round;
	for (i = 0; i < ifs->naddresses; i++)
		if (ifs->addresses[i].index == e.index &&
		    ifs->addresses[i].net.bits == e.net.bits &&
		    addr_equal(&ifs->addresses[i].net.addr, &e.net.addr))
			break;
	if (h->nlmsg_type == RTM_DELADDR) {
		if (i < ifs->naddresses) {
			ifs->addresses[i] = ifs->addresses[--ifs->naddresses];
			ifs->local_changed = true;
		}
		return 0;
	}
	if (i < ifs->naddresses) {
		ifs->addresses[i].seen = ifs->round;
		return 0;
	}
	err = ifaces_grow((void **)&ifs->addresses, i, &ifs->addresses_room, sizeof(e));
	if (err)
		return err == FL_EFULL ? 0 : err;
	ifs->addresses[ifs->naddresses++] = e;
	ifs->local_changed = true;
	return 0;
}

static int ifaces_request(struct ifaces *ifs, enum dump dump)
{
	struct {
		struct nlmsghdr h;
		struct rtgenmsg g;
		char pad[12]; /* old kernels want a whole struct ifinfomsg */
	} req;
	ssize_t n;

	memset(&req, 0, sizeof(req));
	req.h.nlmsg_len =
	    NLMSG_LENGTH(dump == DUMP_LINKS ? sizeof(struct ifinfomsg) : sizeof(struct ifaddrmsg));
	req.h.nlmsg_type = dump == DUMP_LINKS ? RTM_GETLINK : RTM_GETADDR;
	req.h.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	req.h.nlmsg_seq = ++ifs->seq;
	req.g.rtgen_family = AF_UNSPEC;
	n = send(ifs->fd, &req, req.h.nlmsg_len, 0);
	if (n < 0)
		return -errno;
	ifs->dump = dump;
	return 0;
}

static int ifaces_dump_begin(struct ifaces *ifs)
{
	ifs->round++;
	ifs->again = false;
	return ifaces_request(ifs, DUMP_LINKS);
}

/* A part of the dump is through: what it did not see is gone. */
static int ifaces_dump_done(struct ifaces *ifs, const struct ifaces_events *ev)
{
	size_t i = 0;

	/* Notifications were lost meanwhile, so what this dump saw may be old: only the next one
	 * judges. */
	if (ifs->again)
		return ifaces_dump_begin(ifs);
	if (ifs->dump == DUMP_LINKS) {
		while (i < ifs->nlinks)
			if (ifs->links_seen[i] != ifs->round)
				ifaces_remove_link(ifs, ev, i);
			else
				i++;
		return ifaces_request(ifs, DUMP_ADDRESSES);
	}
	while (i < ifs->naddresses) {
		if (ifs->addresses[i].seen == ifs->round) {
			i++;
			continue;
		}
		ifs->addresses[i] = ifs->addresses[--ifs->naddresses];
		ifs->local_changed = true;
	}
	ifs->dump = DUMP_NONE;
	return 0;
}

static int ifaces_error_message(const struct nlmsghdr *h)
{
	struct nlmsgerr e;

	if (h->nlmsg_len < NLMSG_LENGTH(sizeof(e)))
		return 0;
	memcpy(&e, NLMSG_DATA(h), sizeof(e));
	return e.error;
}

static int ifaces_message(struct ifaces *ifs, const struct ifaces_events *ev,
			  const struct nlmsghdr *h)
{
	bool answer = ifs->dump != DUMP_NONE && h->nlmsg_seq == ifs->seq;

	if (h->nlmsg_flags & NLM_F_DUMP_INTR && answer)
		ifs->again = true;
	switch (h->nlmsg_type) {
	case NLMSG_DONE:
		return answer ? ifaces_dump_done(ifs, ev) : 0;
	case NLMSG_ERROR:
		return answer ? ifaces_error_message(h) : 0;
	case RTM_NEWLINK:
	case RTM_DELLINK:
		return ifaces_link_message(ifs, ev, h);
	case RTM_NEWADDR:
	case RTM_DELADDR:
		return ifaces_address_message(ifs, h);
	default:
		return 0;
	}
}

/* One datagram. 1: read; 0: none there; or -errno. */
static int ifaces_receive(struct ifaces *ifs, const struct ifaces_events *ev)
{
	struct sockaddr_nl from;
	struct iovec iov = {ifs->buf.bytes, sizeof(ifs->buf.bytes)};
	struct msghdr msg;
	const struct nlmsghdr *h = &ifs->buf.align;
	size_t left;
	ssize_t n;
	int err = 0;

	memset(&msg, 0, sizeof(msg));
	msg.msg_name = &from;
	msg.msg_namelen = sizeof(from);
	msg.msg_iov = &iov;
	msg.msg_iovlen = 1;
	n = recvmsg(ifs->fd, &msg, MSG_DONTWAIT);
	if (n < 0 && errno == ENOBUFS) {
		/* A dump under way must end first: the kernel does one at a time on a socket. */
		ifs->again = true;
		return ifs->dump == DUMP_NONE && (err = ifaces_dump_begin(ifs)) < 0 ? err : 1;
	}
	if (n < 0)
		return errno == EAGAIN ? 0 : errno == EINTR ? 1 : -errno;
	if (from.nl_pid != 0)
		return 1; /* another process, not the kernel */
	if (msg.msg_flags & MSG_TRUNC)
		ifs->again = true;
	for (left = (size_t)n; left >= sizeof(*h) && !err;) {
		if (h->nlmsg_len < sizeof(*h) || h->nlmsg_len > left)
			break;
		err = ifaces_message(ifs, ev, h);
		if (NLMSG_ALIGN(h->nlmsg_len) >= left)
			break;
		left -= NLMSG_ALIGN(h->nlmsg_len);
		h = (const void *)((const char *)h + NLMSG_ALIGN(h->nlmsg_len));
	}
	if (!err && ifs->again && ifs->dump == DUMP_NONE)
		err = ifaces_dump_begin(ifs);
	return err < 0 ? err : 1;
}

int ifaces_poll(struct ifaces *ifs, const struct ifaces_events *events)
{
	int n, err = 1;

	/* Bounded: a host that changes all the time must not keep the caller here. */
	for (n = 0; n < 256 && err == 1; n++)
		err = ifaces_receive(ifs, events);
	if (ifs->local_changed && ifs->dump == DUMP_NONE) {
		ifs->local_changed = false;
		if (events && events->addresses)
			events->addresses(events->ctx);
	}
	return err < 0 ? err : 0;
}

static int ifaces_open(struct ifaces *ifs)
{
	struct sockaddr_nl addr;

	ifs->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
	if (ifs->fd < 0)
		return -errno;
	memset(&addr, 0, sizeof(addr));
	addr.nl_family = AF_NETLINK;
	addr.nl_groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR;
	if (bind(ifs->fd, (const struct sockaddr *)&addr, sizeof(addr)) < 0)
		return -errno;
	return ifaces_dump_begin(ifs);
}

static int64_t ifaces_now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int ifaces_new(struct ifaces **out)
{
	struct ifaces *ifs = calloc(1, sizeof(*ifs));
	struct pollfd pfd;
	int64_t end = ifaces_now_ms() + IFACES_WAIT_MS;
	int err;

	*out = NULL;
	if (!ifs)
		return -ENOMEM;
	err = ifaces_open(ifs);
	pfd.fd = ifs->fd;
	pfd.events = POLLIN;
	while (!err && ifs->dump != DUMP_NONE) {
		int64_t left = end - ifaces_now_ms();

		if (left <= 0)
			err = -ETIMEDOUT;
		else if (poll(&pfd, 1, (int)left) < 0 && errno != EINTR)
			err = -errno;
		else
			err = ifaces_poll(ifs, NULL);
	}
	if (err) {
		ifaces_free(ifs);
		return err;
	}
	ifs->local_changed = false;
	*out = ifs;
	return 0;
}

void ifaces_free(struct ifaces *ifs)
{
	if (!ifs)
		return;
	if (ifs->fd >= 0)
		close(ifs->fd);
	free(ifs->links);
	free(ifs->links_seen);
	free(ifs->addresses);
	free(ifs);
}

int ifaces_fd(const struct ifaces *ifs)
{
	return ifs->fd;
}

size_t ifaces_list(const struct ifaces *ifs, const struct iface **list)
{
	*list = ifs->links;
	return ifs->nlinks;
}

const struct iface *ifaces_by_name(const struct ifaces *ifs, const char *name)
{
	size_t i;

	for (i = 0; i < ifs->nlinks; i++)
		if (!strcmp(ifs->links[i].name, name))
			return &ifs->links[i];
	return NULL;
}

const struct iface *ifaces_by_index(const struct ifaces *ifs, int index)
{
	size_t i = ifaces_find(ifs, index);

	return i < ifs->nlinks ? &ifs->links[i] : NULL;
}

/* The part of an address's network that is this host's own. */
static uint8_t ifaces_local_bits(const struct ifaces *ifs, const struct address_entry *e)
{
	const struct iface *iface = ifaces_by_index(ifs, e->index);

	return addr_is_v4(&e->net.addr) && iface && iface->hatype == ARPHRD_LOOPBACK ? e->net.bits
										     : 128;
}

size_t ifaces_local(const struct ifaces *ifs, struct ip_net *nets, size_t max)
{
	static const uint8_t loopback4[4] = {127, 0, 0, 0};
	size_t i;

	for (i = 0; i < ifs->naddresses + 2 && i < max; i++) {
		memset(&nets[i], 0, sizeof(nets[i]));
		if (i == 0) {
			addr_from_v4(&nets[i].addr, loopback4);
			nets[i].bits = 96 + 8;
		} else if (i == 1) {
			nets[i].addr.b[15] = 1;
			nets[i].bits = 128;
		} else {
			nets[i] = ifs->addresses[i - 2].net;
			nets[i].bits = ifaces_local_bits(ifs, &ifs->addresses[i - 2]);
		}
	}
	return ifs->naddresses + 2;
}
