/* netns.h - sockets that look into another network namespace (network_namespaces(7)).
 *
 * setns(2) changes the calling thread only. A helper thread enters the namespace, opens the sockets
 * and ends; sockets belong to the namespace they were made in, whoever uses them. Needs
 * CAP_SYS_ADMIN, and CAP_SYS_PTRACE for other users' /proc/PID/ns. An open socket keeps its
 * namespace alive: close it soon after the last process has left.
 */
#ifndef COLLECTOR_NETNS_H
#define COLLECTOR_NETNS_H

#include <stdbool.h>
#include <stdint.h>

#include "collector/sockdiag.h"
#include "common/addr.h"
#include "common/error.h"

struct netns {
	uint32_t inode; /* its number in /proc/PID/ns/net */
	struct sockdiag *diag;
	int route_fd; /* rtnetlink; -1: none */
};

/* The calling thread's own namespace. 0 or -errno. */
int netns_open_own(struct netns *ns, const char *proc) MUST_CHECK;

/* That of a process. 0 or -errno (-EPERM: not permitted; -ENOENT: the process is gone). */
int netns_open(struct netns *ns, const char *proc, uint32_t pid) MUST_CHECK;

void netns_close(struct netns *ns);

/* Is it an address of this namespace? By its routing table, so that 127.0.0.0/8 and anycast count.
 * True where that cannot be asked. */
bool netns_has_address(const struct netns *ns, const struct ip_addr *a);

#endif
