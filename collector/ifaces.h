/* ifaces.h - the host's interfaces and addresses, followed as they change (rtnetlink(7)).
 *
 * Threads: a struct ifaces belongs to one thread. Needs no privilege.
 */
#ifndef COLLECTOR_IFACES_H
#define COLLECTOR_IFACES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/addr.h"
#include "common/error.h"

enum { IFACE_NAME_SIZE = 16 }; /* IFNAMSIZ */

struct iface {
	int index;
	uint16_t hatype; /* ARPHRD_ETHER, ARPHRD_LOOPBACK, ARPHRD_NONE ... (linux/if_arp.h) */
	bool up;         /* IFF_UP: its owner wants it to work; a cable may still be missing */
	char name[IFACE_NAME_SIZE];
};

/* What ifaces_poll() tells. Any may be NULL. The callbacks may ask, but not poll or free. */
struct ifaces_events {
	/* An interface came (before NULL), went (now NULL), or changed its name or its being up.
	 * Both are borrowed for the call. An index is never used again for another interface while
	 * the host runs. */
	void (*link)(void *ctx, const struct iface *before, const struct iface *now);
	/* What ifaces_local() gives has changed; once per poll. */
	void (*addresses)(void *ctx);
	void *ctx;
};

struct ifaces;

/* Ask the kernel for everything there is and wait for the answer (at most 5 s). 0, or -errno. */
int ifaces_new(struct ifaces **out) MUST_CHECK;
void ifaces_free(struct ifaces *ifs);

/* To poll for reading, then call ifaces_poll(). */
int ifaces_fd(const struct ifaces *ifs);

/* Read what has changed, without waiting. Lost notifications (ENOBUFS) are made good by asking for
 * everything again; events are then the differences. 0, or -errno where the socket is broken or
 * memory is refused. */
int ifaces_poll(struct ifaces *ifs, const struct ifaces_events *events) MUST_CHECK;

/* All interfaces, in no order, borrowed until the next ifaces_poll(); returns how many. */
size_t ifaces_list(const struct ifaces *ifs, const struct iface **list);

/* NULL where there is none; borrowed likewise. */
const struct iface *ifaces_by_name(const struct ifaces *ifs, const char *name);
const struct iface *ifaces_by_index(const struct ifaces *ifs, int index);

/* The addresses that are this host's own: 127.0.0.0/8 and ::1 always, then each address of an
 * interface (for IPv4 on lo the whole network, as the kernel's local table has it). Writes at most
 * max, returns how many there are: more than max means ask again with more room. */
size_t ifaces_local(const struct ifaces *ifs, struct ip_net *nets, size_t max);

#endif
