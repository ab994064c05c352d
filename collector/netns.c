/* netns.c - see netns.h. rtnetlink(7): the type of the route to an address of one's own is
 * RTN_LOCAL. */
#include "collector/netns.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>

struct netns_job {
	struct netns *ns;
	const char *proc;
	uint32_t pid; /* 0: the thread's own namespace */
	int fd;
	int err;
};

static int open_sockets(struct netns *ns, const char *proc, uint32_t pid)
{
	struct timeval wait = {1, 0};
	int err = sockdiag_new(&ns->diag, proc, pid);

	if (err)
		return err;
	ns->route_fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	if (ns->route_fd >= 0)
		(void)setsockopt(ns->route_fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	return 0;
}

static void *enter_and_open(void *arg)
{
	struct netns_job *job = arg;

	if (setns(job->fd, CLONE_NEWNET) < 0)
		job->err = -errno;
	else
		job->err = open_sockets(job->ns, job->proc, job->pid);
	return NULL; /* the thread ends, and its being in the other namespace with it */
}

static uint32_t fd_inode(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 ? (uint32_t)st.st_ino : 0;
}

static int open_link(const char *proc, uint32_t pid)
{
	char path[4096];
	int fd;

	if (pid)
		snprintf(path, sizeof(path), "%s/%u/ns/net", proc, pid);
	else
		snprintf(path, sizeof(path), "%s/self/ns/net", proc);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int netns_open_own(struct netns *ns, const char *proc)
{
	int fd = open_link(proc ? proc : "/proc", 0);

	memset(ns, 0, sizeof(*ns));
	ns->route_fd = -1;
	if (fd >= 0) {
		ns->inode = fd_inode(fd);
		close(fd);
	}
	return open_sockets(ns, proc, 0);
}

int netns_open(struct netns *ns, const char *proc, uint32_t pid)
{
	struct netns_job job = {ns, proc, pid, -1, 0};
	pthread_t thread;
	int err;

	memset(ns, 0, sizeof(*ns));
	ns->route_fd = -1;
	job.fd = open_link(proc ? proc : "/proc", pid);
	if (job.fd < 0)
		return job.fd;
	ns->inode = fd_inode(job.fd);
	err = pthread_create(&thread, NULL, enter_and_open, &job);
	if (!err)
		err = pthread_join(thread, NULL);
	close(job.fd);
	return err ? -err : job.err;
}

void netns_close(struct netns *ns)
{
	sockdiag_free(ns->diag);
	if (ns->route_fd >= 0)
		close(ns->route_fd);
	ns->diag = NULL;
	ns->route_fd = -1;
}

bool netns_has_address(const struct netns *ns, const struct ip_addr *a)
{
	bool v4 = addr_is_v4(a);
	struct {
		struct nlmsghdr h;
		struct rtmsg r;
		struct rtattr a;
		uint8_t addr[16];
	} req;
	union {
		struct nlmsghdr h;
		char bytes[4096];
	} buf;
	size_t len = v4 ? 4 : 16;
	struct rtmsg r;
	ssize_t n;

	memset(&req, 0, sizeof(req));
	req.h.nlmsg_len = (uint32_t)(sizeof(req) - sizeof(req.addr) + len);
	req.h.nlmsg_type = RTM_GETROUTE;
	req.h.nlmsg_flags = NLM_F_REQUEST;
	req.r.rtm_family = v4 ? AF_INET : AF_INET6;
	req.r.rtm_dst_len = v4 ? 32 : 128;
	req.a.rta_type = RTA_DST;
	req.a.rta_len = (uint16_t)RTA_LENGTH(len);
	memcpy(req.addr, a->b + 16 - len, len);
	if (ns->route_fd < 0 || send(ns->route_fd, &req, req.h.nlmsg_len, 0) < 0)
		return true;
	n = recv(ns->route_fd, &buf, sizeof(buf), 0);
	if (n < (ssize_t)NLMSG_LENGTH(sizeof(r)) || buf.h.nlmsg_type != RTM_NEWROUTE)
		return n < (ssize_t)sizeof(buf.h) || buf.h.nlmsg_type != NLMSG_ERROR;
	memcpy(&r, NLMSG_DATA(&buf.h), sizeof(r));
	return r.rtm_type == RTN_LOCAL || r.rtm_type == RTN_MULTICAST ||
	       r.rtm_type == RTN_BROADCAST;
}
