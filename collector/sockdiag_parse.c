/* sockdiag_parse.c - one socket out of a sock_diag message, or out of a line of /proc/net/tcp.
 *
 * struct inet_diag_msg: include/uapi/linux/inet_diag.h; struct tcp_info: include/uapi/linux/tcp.h,
 * which only ever grew at its end; /proc/net/tcp: Documentation/networking/proc_net_tcp.rst.
 */
#include "collector/sockdiag.h"

#include <stdlib.h>
#include <string.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include "common/wire.h"
#include "flows/packet.h"

/* Linux 4.1's INET_DIAG_SKV6ONLY; older headers lack the name */
enum { DIAG_V6ONLY = 11 };

/* Offsets in struct tcp_info. The installed header's struct is shorter than a new kernel's and
 * longer than an old one's, so it is of no use. */
enum {
	TCP_INFO_UNACKED = 24,
	TCP_INFO_RTT = 68,
	TCP_INFO_RTTVAR = 72,
	TCP_INFO_TOTAL_RETRANS = 100,
	TCP_INFO_BYTES_ACKED = 120,
	TCP_INFO_BYTES_RECEIVED = 128,
	TCP_INFO_SEGS_OUT = 136,
	TCP_INFO_SEGS_IN = 140,
	TCP_INFO_MIN_RTT = 148,
	TCP_INFO_DATA_SEGS_IN = 152,
	TCP_INFO_DATA_SEGS_OUT = 156,
	TCP_INFO_DELIVERED = 192,
	TCP_INFO_BYTES_SENT = 200,
	TCP_INFO_BYTES_RETRANS = 208,
};

/* min_rtt of a connection that has no sample yet: the kernel's ~0U, or 0 */
#define NO_MIN_RTT UINT32_MAX

bool sock_addr_is_any(const struct ip_addr *a)
{
	static const uint8_t zero[16];

	return memcmp(a->b + 12, zero, 4) == 0 && (addr_is_v4(a) || memcmp(a->b, zero, 12) == 0);
}

static uint32_t info_u32(const uint8_t *info, size_t at)
{
	uint32_t v;

	memcpy(&v, info + at, sizeof(v));
	return v;
}

static uint64_t info_u64(const uint8_t *info, size_t at)
{
	uint64_t v;

	memcpy(&v, info + at, sizeof(v));
	return v;
}

static void parse_tcp_info(struct sock_tcp *t, const uint8_t *info, size_t len)
{
	if (len >= TCP_INFO_TOTAL_RETRANS + 4) {
		t->unacked = info_u32(info, TCP_INFO_UNACKED);
		t->rtt_us = info_u32(info, TCP_INFO_RTT);
		t->rttvar_us = info_u32(info, TCP_INFO_RTTVAR);
		t->total_retrans = info_u32(info, TCP_INFO_TOTAL_RETRANS);
		t->has |= SOCK_TCP_RETRANS | (t->rtt_us ? SOCK_TCP_RTT : 0);
	}
	if (len >= TCP_INFO_BYTES_RECEIVED + 8) {
		t->bytes_acked = info_u64(info, TCP_INFO_BYTES_ACKED);
		t->bytes_received = info_u64(info, TCP_INFO_BYTES_RECEIVED);
		t->has |= SOCK_TCP_BYTES;
	}
	if (len >= TCP_INFO_SEGS_IN + 4) {
		t->segs_out = info_u32(info, TCP_INFO_SEGS_OUT);
		t->segs_in = info_u32(info, TCP_INFO_SEGS_IN);
		t->has |= SOCK_TCP_SEGS;
	}
	if (len >= TCP_INFO_DATA_SEGS_OUT + 4) {
		t->min_rtt_us = info_u32(info, TCP_INFO_MIN_RTT);
		t->data_segs_in = info_u32(info, TCP_INFO_DATA_SEGS_IN);
		t->data_segs_out = info_u32(info, TCP_INFO_DATA_SEGS_OUT);
		t->has |= SOCK_TCP_DATA_SEGS;
		if (t->min_rtt_us && t->min_rtt_us != NO_MIN_RTT)
			t->has |= SOCK_TCP_MIN_RTT;
	}
	if (len >= TCP_INFO_DELIVERED + 4) {
		t->delivered = info_u32(info, TCP_INFO_DELIVERED);
		t->has |= SOCK_TCP_DELIVERED;
	}
	if (len >= TCP_INFO_BYTES_RETRANS + 8) {
		t->bytes_sent = info_u64(info, TCP_INFO_BYTES_SENT);
		t->bytes_retrans = info_u64(info, TCP_INFO_BYTES_RETRANS);
		t->has |= SOCK_TCP_SENT;
	}
}

static void parse_attributes(struct sock_entry *s, const uint8_t *p, size_t left)
{
	struct rtattr a;
	size_t len;

	while (left >= sizeof(a)) {
		memcpy(&a, p, sizeof(a));
		if (a.rta_len < sizeof(a) || a.rta_len > left)
			return;
		len = a.rta_len - RTA_LENGTH(0);
		if ((a.rta_type & NLA_TYPE_MASK) == INET_DIAG_INFO && s->state != SOCK_LISTEN)
			parse_tcp_info(&s->tcp, p + RTA_LENGTH(0), len);
		else if ((a.rta_type & NLA_TYPE_MASK) == DIAG_V6ONLY && len >= 1)
			s->v6only = p[RTA_LENGTH(0)] != 0;
		if (RTA_ALIGN(a.rta_len) >= left)
			return;
		p += RTA_ALIGN(a.rta_len);
		left -= RTA_ALIGN(a.rta_len);
	}
}

static void parse_addr(struct ip_addr *out, const __be32 in[4], bool v4)
{
	if (v4)
		addr_from_v4(out, (const uint8_t *)in);
	else
		memcpy(out->b, in, 16);
}

/* A v4-mapped connection of an IPv6 socket has both ends mapped, but an IPv6 socket that is bound
 * to such an address has :: on the other side: make it one family. */
static void same_family(struct sock_entry *s)
{
	static const uint8_t zero[4];

	if (addr_is_v4(&s->local.addr) && sock_addr_is_any(&s->remote.addr))
		addr_from_v4(&s->remote.addr, zero);
}

bool sockdiag_parse_message(const void *msg, size_t len, uint8_t proto, struct sock_entry *out)
{
	const uint8_t *p = (const uint8_t *)msg + NLMSG_HDRLEN;
	struct inet_diag_msg m;
	size_t left;

	if (len < NLMSG_HDRLEN + sizeof(m))
		return false;
	left = len - NLMSG_HDRLEN;
	memcpy(&m, p, sizeof(m));
	if (m.idiag_family != AF_INET && m.idiag_family != AF_INET6)
		return false;
	memset(out, 0, sizeof(*out));
	out->proto = proto;
	out->state = m.idiag_state;
	out->ipv6 = m.idiag_family == AF_INET6;
	out->uid = m.idiag_uid;
	out->inode = m.idiag_inode;
	parse_addr(&out->local.addr, m.id.idiag_src, !out->ipv6);
	parse_addr(&out->remote.addr, m.id.idiag_dst, !out->ipv6);
	out->local.port = load_be16((const uint8_t *)&m.id.idiag_sport);
	out->remote.port = load_be16((const uint8_t *)&m.id.idiag_dport);
	same_family(out);
	parse_attributes(out, p + NLMSG_ALIGN(sizeof(m)), left - sizeof(m));
	return true;
}

/* n hexadecimal digits; the place behind them, or NULL. */
static const char *hex(const char *p, int n, uint32_t *out)
{
	uint32_t v = 0;
	int i;

	for (i = 0; i < n; i++) {
		int c = p[i];

		if (c >= '0' && c <= '9')
			v = v << 4 | (uint32_t)(c - '0');
		else if (c >= 'A' && c <= 'F')
			v = v << 4 | (uint32_t)(c - 'A' + 10);
		else
			return NULL;
	}
	*out = v;
	return p + n;
}

/* "0100007F:1F90": each 32-bit word of the address is printed as a number of this machine's. */
static const char *parse_end(const char *p, bool ipv6, struct sock_end *end)
{
	uint32_t words[4], port;
	int i, n = ipv6 ? 4 : 1;

	for (i = 0; i < n; i++) {
		p = hex(p, 8, &words[i]);
		if (!p)
			return NULL;
	}
	if (*p++ != ':')
		return NULL;
	p = hex(p, 4, &port);
	if (!p || *p++ != ' ')
		return NULL;
	end->port = (uint16_t)port;
	if (ipv6)
		memcpy(end->addr.b, words, 16);
	else
		addr_from_v4(&end->addr, (const uint8_t *)words);
	return p;
}

/* Skip n words and the blanks before each; the place of the blank behind the last, or NULL. */
static const char *skip_words(const char *p, int n)
{
	while (n--) {
		p += strspn(p, " ");
		if (!*p)
			return NULL;
		p += strcspn(p, " \n");
	}
	return p;
}

bool sockdiag_parse_line(const char *line, uint8_t proto, bool ipv6, struct sock_entry *out)
{
	const char *p = strchr(line, ':');
	uint32_t state;
	unsigned long n;

	if (!p || p[1] != ' ')
		return false; /* "  sl  local_address ..." has no colon */
	memset(out, 0, sizeof(*out));
	p = parse_end(p + 2, ipv6, &out->local);
	if (p)
		p = parse_end(p, ipv6, &out->remote);
	if (p)
		p = hex(p, 2, &state);
	if (p)
		p = skip_words(p, 3); /* the queues, the timer, retransmissions */
	if (!p || state >= 32)
		return false;
	n = strtoul(p, NULL, 10);
	out->uid = (uint32_t)n;
	p = skip_words(p, 2); /* uid, timeout */
	if (!p)
		return false;
	n = strtoul(p, NULL, 10);
	out->inode = (uint32_t)n;
	out->proto = proto;
	out->state = (uint8_t)state;
	out->ipv6 = ipv6;
	same_family(out);
	return true;
}
