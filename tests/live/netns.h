/* netns.h - a private network namespace for a test program, or the reason why there is none.
 */
#ifndef TESTS_LIVE_NETNS_H
#define TESTS_LIVE_NETNS_H

#include <errno.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <net/if.h>
#include <linux/if_tun.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <fcntl.h>

/* Run one `ip` command; true where it worked. */
static inline bool netns_ip(const char *arguments)
{
	char command[256];

	snprintf(command, sizeof(command), "ip %s >/dev/null 2>&1", arguments);
	return system(command) == 0;
}

/* Enter a namespace of one's own (once per program). NULL, or why not. */
static inline const char *netns_enter(void)
{
	static const char *reason;
	static bool tried;

	if (tried)
		return reason;
	tried = true;
	if (unshare(CLONE_NEWNET) < 0 && unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0)
		reason = "no network namespace of one's own: needs root (CAP_SYS_ADMIN)";
	else if (!netns_ip("link set lo up"))
		reason = "the ip command (iproute2) does not work here";
	return reason;
}

/* Wait until a device sends: the kernel gives it its queue some time after its carrier came, and
 * drops frames before that. False where it takes longer than 5 s. */
static inline bool netns_wait_running(const char *name)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), i;
	struct ifreq ifr;
	bool running = false;

	for (i = 0; i < 500 && !running; i++) {
		memset(&ifr, 0, sizeof(ifr));
		snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
		running = ioctl(fd, SIOCGIFFLAGS, &ifr) == 0 && ifr.ifr_flags & IFF_RUNNING;
		usleep(10000);
	}
	usleep(20000); /* the flag is set just before the queue */
	close(fd);
	return running;
}

/* A veth pair va, vb that is up and silent. NULL, or why not. */
static inline const char *netns_veth(void)
{
	const char *reason = netns_enter();

	if (reason || if_nametoindex("va"))
		return reason;
	if (!netns_ip("link add va type veth peer name vb"))
		return "this kernel makes no veth pair";
	if (!netns_ip("link set va mtu 9000 addrgenmode none up") ||
	    !netns_ip("link set vb mtu 9000 addrgenmode none up") || !netns_wait_running("va") ||
	    !netns_wait_running("vb"))
		return "the veth pair does not come up";
	return NULL;
}

/* A tun device t0 that is up; *fd sends into the host. NULL, or why not. */
static inline const char *netns_tun(int *fd)
{
	const char *reason = netns_enter();
	struct ifreq ifr;

	if (reason)
		return reason;
	*fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	if (*fd < 0)
		return "no /dev/net/tun";
	memset(&ifr, 0, sizeof(ifr));
	ifr.ifr_flags = IFF_TUN | IFF_NO_PI;
	memcpy(ifr.ifr_name, "t0", 3);
	if (ioctl(*fd, TUNSETIFF, &ifr) < 0 || !netns_ip("link set t0 addrgenmode none up") ||
	    !netns_wait_running("t0")) {
		close(*fd);
		return "no tun device";
	}
	return NULL;
}

#endif
