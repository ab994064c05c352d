/* sockdiag.c - sockets by NETLINK_SOCK_DIAG; what a message holds is read in sockdiag_parse.c.
 *
 * Follows sock_diag(7), netlink(7), and net/ipv4/{inet_diag,tcp_diag,udp_diag}.c of Linux 3.10
 * and 6.12.
 */
#include "collector/sockdiag.h"

#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "flows/packet.h"

#ifndef NETLINK_SOCK_DIAG
#define NETLINK_SOCK_DIAG 4
#endif
#ifndef SOCK_DIAG_BY_FAMILY
#define SOCK_DIAG_BY_FAMILY 20
#endif
#ifndef NLM_F_DUMP_INTR
#define NLM_F_DUMP_INTR 0x10
#endif

enum {
	DIAG_BUFFER = 32768, /* the kernel fills at most this much for one read */
	DIAG_SOCKET_BUFFER = 1 << 20,
	DIAG_ATTEMPTS = 3,
	/* The kernel makes an answer while it is asked for: what is not there at once never comes.
	 */
	DIAG_WAIT_MS = 200,
	DIAG_PATH = 4096,
};

struct sockdiag {
	int fd; /* -1: no netlink */
	uint32_t seq;
	uint64_t repeats;
	bool refused[2];     /* TCP, UDP: not by netlink */
	char net[DIAG_PATH]; /* "/proc/PID/net" */
	union {
		struct nlmsghdr align;
		char bytes[DIAG_BUFFER];
	} buf;
};

struct diag_request {
	struct nlmsghdr h;
	struct inet_diag_req_v2 r;
};

static int diag_open(struct sockdiag *d)
{
	struct timeval wait = {0, DIAG_WAIT_MS * 1000};
	int size = DIAG_SOCKET_BUFFER;

	d->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
	if (d->fd < 0)
		return errno == EMFILE || errno == ENFILE || errno == ENOMEM ? -errno : 0;
	/* Neither is needed: a dump goes on as it is read. */
	(void)setsockopt(d->fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	(void)setsockopt(d->fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	return 0;
}

int sockdiag_new(struct sockdiag **out, const char *proc, uint32_t pid)
{
	struct sockdiag *d = calloc(1, sizeof(*d));
	int err;

	*out = NULL;
	if (!d)
		return -ENOMEM;
	if (!proc)
		proc = "/proc";
	if (pid)
		snprintf(d->net, sizeof(d->net), "%s/%u/net", proc, pid);
	else
		snprintf(d->net, sizeof(d->net), "%s/self/net", proc);
	err = diag_open(d);
	if (err) {
		sockdiag_free(d);
		return err;
	}
	*out = d;
	return 0;
}

void sockdiag_free(struct sockdiag *d)
{
	if (!d)
		return;
	if (d->fd >= 0)
		close(d->fd);
	free(d);
}

bool sockdiag_by_netlink(const struct sockdiag *d, uint8_t proto)
{
	return d->fd >= 0 && !d->refused[proto == PROTO_UDP];
}

void sockdiag_refuse(struct sockdiag *d)
{
	d->refused[0] = d->refused[1] = true;
}

uint64_t sockdiag_repeats(const struct sockdiag *d)
{
	return d->repeats;
}

static int diag_send(struct sockdiag *d, struct diag_request *req, uint16_t flags)
{
	struct sockaddr_nl to;

	memset(&to, 0, sizeof(to));
	to.nl_family = AF_NETLINK;
	req->h.nlmsg_len = sizeof(*req);
	req->h.nlmsg_type = SOCK_DIAG_BY_FAMILY;
	req->h.nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
	req->h.nlmsg_seq = ++d->seq;
	if (sendto(d->fd, req, sizeof(*req), 0, (const struct sockaddr *)&to, sizeof(to)) < 0)
		return -errno;
	return 0;
}

/* What an NLMSG_ERROR or NLMSG_DONE says; 0: nothing. */
static int diag_error(const struct nlmsghdr *h)
{
	int err = 0;

	if (h->nlmsg_len >= NLMSG_LENGTH(sizeof(err)))
		memcpy(&err, NLMSG_DATA(h), sizeof(err));
	return err < 0 ? err : 0;
}

/* One datagram of the kernel's; its length, or -errno. */
static ssize_t diag_receive(struct sockdiag *d)
{
	struct iovec iov = {d->buf.bytes, sizeof(d->buf.bytes)};
	struct sockaddr_nl from;
	struct msghdr msg;
	ssize_t n;

	do {
		memset(&msg, 0, sizeof(msg));
		msg.msg_name = &from;
		msg.msg_namelen = sizeof(from);
		msg.msg_iov = &iov;
		msg.msg_iovlen = 1;
		n = recvmsg(d->fd, &msg, 0);
	} while ((n < 0 && errno == EINTR) || (n >= 0 && from.nl_pid != 0));
	if (n < 0)
		return errno == EAGAIN ? -ETIMEDOUT : -errno;
	return msg.msg_flags & MSG_TRUNC ? -ENOBUFS : n;
}

struct diag_read {
	const struct sock_visitor *v;
	uint8_t proto;
	bool interrupted;
	bool done;
	int err;
};

static void diag_message(struct sockdiag *d, const struct nlmsghdr *h, struct diag_read *r)
{
	struct sock_entry s;

	if (h->nlmsg_seq != d->seq)
		return; /* of a request that was given up */
	if (h->nlmsg_flags & NLM_F_DUMP_INTR)
		r->interrupted = true;
	if (h->nlmsg_type == NLMSG_DONE || h->nlmsg_type == NLMSG_ERROR) {
		r->done = true;
		r->err = diag_error(h);
	} else if (h->nlmsg_type == SOCK_DIAG_BY_FAMILY &&
		   sockdiag_parse_message(h, h->nlmsg_len, r->proto, &s)) {
		r->v->socket(r->v->ctx, &s);
		if (!(h->nlmsg_flags & NLM_F_MULTI))
			r->done = true;
	}
}

/* Read answers until the last. ENOBUFS means that messages were lost; the dump still goes on. */
static int diag_answers(struct sockdiag *d, struct diag_read *r)
{
	const struct nlmsghdr *h;
	size_t left;
	ssize_t n;

	while (!r->done) {
		n = diag_receive(d);
		if (n == -ENOBUFS) {
			r->interrupted = true;
			continue;
		}
		if (n < 0)
			return (int)n;
		h = &d->buf.align;
		for (left = (size_t)n; left >= sizeof(*h);) {
			if (h->nlmsg_len < sizeof(*h) || h->nlmsg_len > left)
				break;
			diag_message(d, h, r);
			if (NLMSG_ALIGN(h->nlmsg_len) >= left)
				break;
			left -= NLMSG_ALIGN(h->nlmsg_len);
			h = (const void *)((const char *)h + NLMSG_ALIGN(h->nlmsg_len));
		}
	}
	return r->err;
}

/* From then on the protocol is read from /proc. */
static bool diag_is_refusal(int err)
{
	return err == -ENOENT || err == -EINVAL || err == -EPROTONOSUPPORT || err == -EOPNOTSUPP ||
	       err == -EPERM || err == -EACCES || err == -ECONNREFUSED;
}

/* Where an answer never came the socket is out of step, and nothing is asked of it again: each
 * question would wait. A new one may only be had in the namespace of the thread that made it. */
static bool diag_is_deaf(struct sockdiag *d, int err)
{
	if (err == -ETIMEDOUT)
		sockdiag_refuse(d);
	return err == -ETIMEDOUT;
}

/* A query, and the ports that are wanted; 0: any. */
struct diag_wanted {
	const struct sock_query *q;
	uint16_t local, remote;
};

static int diag_dump_family(struct sockdiag *d, const struct diag_wanted *w, uint8_t family,
			    struct diag_read *r)
{
	const struct sock_query *q = w->q;
	struct diag_request req;
	int err;

	memset(&req, 0, sizeof(req));
	req.r.sdiag_family = family;
	req.r.sdiag_protocol = q->proto;
	req.r.idiag_states = q->states;
	req.r.id.idiag_sport = htobe16(w->local);
	req.r.id.idiag_dport = htobe16(w->remote);
	if (q->tcp_info && q->proto == PROTO_TCP)
		req.r.idiag_ext = 1 << (INET_DIAG_INFO - 1);
	r->done = false;
	r->err = 0;
	err = diag_send(d, &req, NLM_F_DUMP);
	return err ? err : diag_answers(d, r);
}

static bool diag_is_wanted(const struct diag_wanted *w, const struct sock_entry *s)
{
	return w->q->states >> s->state & 1 && (!w->local || w->local == s->local.port) &&
	       (!w->remote || w->remote == s->remote.port);
}

static int proc_dump(struct sockdiag *d, const struct diag_wanted *w, const struct sock_visitor *v,
		     bool ipv6)
{
	const struct sock_query *q = w->q;
	char path[DIAG_PATH + 16], line[512];
	struct sock_entry s;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s%s", d->net, q->proto == PROTO_UDP ? "udp" : "tcp",
		 ipv6 ? "6" : "");
	f = fopen(path, "re");
	if (!f)
		return ipv6 && errno == ENOENT ? 0 : -errno; /* a kernel without IPv6 */
	while (fgets(line, sizeof(line), f))
		if (sockdiag_parse_line(line, q->proto, ipv6, &s) && diag_is_wanted(w, &s))
			v->socket(v->ctx, &s);
	fclose(f);
	return 0;
}

static int diag_dump_once(struct sockdiag *d, const struct diag_wanted *w,
			  const struct sock_visitor *v)
{
	uint8_t proto = w->q->proto;
	struct diag_read r = {v, proto, false, false, 0};
	int err;

	if (v->begin)
		v->begin(v->ctx);
	if (!sockdiag_by_netlink(d, proto)) {
		err = proc_dump(d, w, v, false);
		return err ? err : proc_dump(d, w, v, true);
	}
	err = diag_dump_family(d, w, AF_INET, &r);
	if (diag_is_refusal(err)) {
		d->refused[proto == PROTO_UDP] = true;
		return -EAGAIN;
	}
	if (!err)
		err = diag_dump_family(d, w, AF_INET6, &r);
	if (diag_is_deaf(d, err))
		return -EAGAIN;
	if (err == -ENOENT || err == -EINVAL)
		err = 0; /* a kernel without IPv6 */
	return !err && r.interrupted ? -EINTR : err;
}

int sockdiag_dump_ports(struct sockdiag *d, const struct sock_query *q, uint16_t local,
			uint16_t remote, const struct sock_visitor *v)
{
	struct diag_wanted w = {q, local, remote};
	int i, err = 0;

	for (i = 0; i < DIAG_ATTEMPTS; i++) {
		err = diag_dump_once(d, &w, v);
		if (err != -EINTR && err != -EAGAIN && err != -EBUSY)
			break;
		d->repeats++;
	}
	return err;
}

int sockdiag_dump(struct sockdiag *d, const struct sock_query *q, const struct sock_visitor *v)
{
	return sockdiag_dump_ports(d, q, 0, 0, v);
}

static void diag_put_addr(__be32 out[4], const struct ip_addr *a, bool v4)
{
	if (v4)
		memcpy(out, a->b + 12, 4);
	else
		memcpy(out, a->b, 16);
}

static void diag_keep_one(void *ctx, const struct sock_entry *s)
{
	*(struct sock_entry *)ctx = *s;
}

static int diag_lookup(struct sockdiag *d, uint8_t proto, const struct sock_end *local,
		       const struct sock_end *remote, bool tcp_info, struct sock_entry *out)
{
	struct sock_visitor v = {NULL, diag_keep_one, out};
	struct diag_read r = {&v, proto, false, false, 0};
	bool v4 = addr_is_v4(&local->addr);
	/* net/ipv4/udp_diag.c has the two ends swapped "for historical reasons" in a request for
	 * one. */
	const struct sock_end *src = proto == PROTO_UDP ? remote : local;
	const struct sock_end *dst = proto == PROTO_UDP ? local : remote;
	struct diag_request req;
	int err;

	if (!sockdiag_by_netlink(d, proto))
		return -EOPNOTSUPP;
	memset(&req, 0, sizeof(req));
	memset(out, 0, sizeof(*out));
	req.r.sdiag_family = v4 ? AF_INET : AF_INET6;
	req.r.sdiag_protocol = proto;
	req.r.idiag_states = SOCK_STATES_ALL;
	if (tcp_info)
		req.r.idiag_ext = 1 << (INET_DIAG_INFO - 1);
	diag_put_addr(req.r.id.idiag_src, &src->addr, v4);
	diag_put_addr(req.r.id.idiag_dst, &dst->addr, v4);
	req.r.id.idiag_sport = htobe16(src->port);
	req.r.id.idiag_dport = htobe16(dst->port);
	req.r.id.idiag_cookie[0] = INET_DIAG_NOCOOKIE;
	req.r.id.idiag_cookie[1] = INET_DIAG_NOCOOKIE;
	err = diag_send(d, &req, 0);
	if (!err)
		err = diag_answers(d, &r);
	if (err == -ENOENT || err == -ESTALE)
		return 0;
	if (diag_is_refusal(err) || diag_is_deaf(d, err))
		return -EOPNOTSUPP;
	return err ? err : out->proto != 0;
}

int sockdiag_lookup(struct sockdiag *d, uint8_t proto, const struct sock_end *local,
		    const struct sock_end *remote, struct sock_entry *out)
{
	return diag_lookup(d, proto, local, remote, false, out);
}

int sockdiag_lookup_tcp(struct sockdiag *d, const struct sock_end *local,
			const struct sock_end *remote, struct sock_entry *out)
{
	return diag_lookup(d, PROTO_TCP, local, remote, true, out);
}
