/* syn_watch.c - see syn_watch.h. */
#include "collector/syn_watch.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/wire.h"
#include "filters/classic_syn.h"

enum { INSNS = 32, READS = 128 };

int syn_watch_open(void)
{
	struct filter_insn insns[INSNS];
	struct sock_filter code[INSNS];
	struct sock_fprog prog = {.filter = code};
	struct sockaddr_ll all;
	int fd, n, i, err;

	n = classic_syn_filter(insns, INSNS, NULL);
	if (n < 0)
		return n;
	for (i = 0; i < n; i++)
		code[i] = insns[i].insn;
	prog.len = (unsigned short)n;
	/* protocol 0: nothing comes before the filter is there */
	fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	memset(&all, 0, sizeof(all));
	all.sll_family = AF_PACKET;
	all.sll_protocol = htons(ETH_P_ALL);
	if (!setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog)) &&
	    !bind(fd, (struct sockaddr *)&all, sizeof(all)))
		return fd;
	err = -errno;
	close(fd);
	return err;
}

/* The filter has looked at the headers; here only their bounds matter. */
static bool read_key(const uint8_t *p, size_t len, struct flow_key *key, int *end)
{
	struct ip_addr src, dst;
	size_t at = 40;

	if (len < 20)
		return false;
	if (p[0] >> 4 == 4) {
		at = (size_t)(p[0] & 15) * 4;
		addr_from_v4(&src, p + 12);
		addr_from_v4(&dst, p + 16);
	} else if (len >= 40) {
		memcpy(src.b, p + 8, sizeof(src.b));
		memcpy(dst.b, p + 24, sizeof(dst.b));
	}
	if (at < 20 || len < at + 4 || (p[0] >> 4 != 4 && p[0] >> 4 != 6))
		return false;
	*end = flow_key_make(key, &src, &dst, load_be16(p + at), load_be16(p + at + 2), PROTO_TCP);
	return true;
}

void syn_watch_read(int fd, void (*syn)(void *ctx, const struct flow_key *key, int end), void *ctx)
{
	uint8_t bytes[CLASSIC_SYN_COPY];
	struct flow_key key;
	int i, end;

	for (i = 0; i < READS; i++) {
		ssize_t n = recv(fd, bytes, sizeof(bytes), 0);

		if (n < 0)
			return; /* nothing more, or an interface went down: it goes on */
		if (read_key(bytes, (size_t)n, &key, &end))
			syn(ctx, &key, end);
	}
}
