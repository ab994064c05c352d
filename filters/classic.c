/* classic.c - classic BPF programs as tables, and the small assembler that puts the tables
 * together.
 *
 * The machine is the BSD Packet Filter (McCanne and Jacobson, 1993) as Linux runs it:
 * net/core/filter.c, Documentation/networking/filter.rst. Link headers: IEEE 802.3, 802.1Q; RFC
 * 2516 (PPPoE), RFC 3032 (MPLS).
 *
 * Where a frame begins. On an AF_PACKET SOCK_RAW socket offset 0 is the link header, both ways. The
 * outer VLAN tag is gone on receive (the kernel or the card took it) and so needs no care; on
 * transmit, and where two tags were, a tag is in the bytes. Loads relative to the network header
 * (SKF_NET_OFF) are not used: they fail, and so drop the frame, when the bytes are not in the
 * linear part of the skb, and on transmit the network header lies before the tag with some drivers
 * and behind it with others.
 *
 * A load beyond the frame's end makes the kernel drop it uncounted. So lengths are asked first, and
 * a frame too short for its headers is copied as it is: user space counts it as truncated.
 *
 * Speed. Since Linux 4.18 loads at a constant offset are inlined and loads at [x + k] are calls;
 * the common frames (IPv4 or IPv6 directly in Ethernet) take only the first kind, everything else
 * the second.
 *
 * Narrowed, addresses are asked before flags and lengths. Nearly all TCP of a host that is not a
 * router is its own, and nearly all of that is left out: for such a frame all has to be asked in
 * any order (32 instructions for an ACK, where it was 11 and a copy). Of the others, this order is
 * dearer for the few segments that pass (6 with two IPv4 addresses) and cheaper for mirrored
 * traffic (14), which goes through the questions as ever.
 */
#include "filters/classic.h"

#include <linux/if_arp.h>
#include <linux/if_packet.h>
#include <string.h>

#include "filters/classic_exclude.h"
#include "filters/classic_syn.h"

#ifndef ARPHRD_RAWIP
#define ARPHRD_RAWIP 519 /* Linux 4.14 */
#endif

enum how {
	FIX,          /* k as it stands */
	REL,          /* k counts from the part's base, and from X where that is BASE_X */
	RELX,         /* k counts from the part's base and from X */
	AT_FIX,       /* FIX, left out where the base is BASE_X */
	AT_REL,       /* REL, left out where the base is BASE_X */
	X_FIX,        /* FIX, left out where the base is a constant */
	DNS_PORTS,    /* one comparison for each DNS port */
	TUNNEL_PORTS, /* one comparison for each tunnel's port, where they are looked into */
};

/* Names of places to jump to. Those from GLOBAL on are known everywhere, the others in their scope.
 */
/* clang-format off */
enum label {
	NEXT,
	ETHER, LO, BARE, TO_IP6, TO_OTHER,
	TCP, UDP, TUNNEL, INSIDE, EXT, EXT_BIG, SHORT, DROP, FRAGMENT,
	TCP_BIG, UDP_BIG, TCP_AT, UDP_AT, TCP_HTTP, TCP_WHOLE, TCP_HEADERS, TCP_TEXT, TCP_LOW,
	UDP_WHOLE,
	TAG, TAG2, PPPOE, PPPOE_LEN, PPPOE4, PPPOE6, MPLS, MPLS_LEN, MPLS1, MPLS2, MPLS3,
	TO_IP4_X, TO_IP6_X, PLAIN, BOTH, BIG, AS_EVER,
	GLOBAL,
	ANY_IP4 = GLOBAL, ANY_IP6, ANY_OTHER, ANY_BARE, ANY_IP4_X, ANY_IP6_X, ANY_TCP_X, ANY_UDP_X,
	ANY_NARROW,
	LABELS
};
/* clang-format on */

struct line {
	uint8_t label, how;
	uint16_t code;
	uint32_t k;
	uint8_t yes, no; /* labels; JA: yes */
	const char *comment;
};

#define LDB   (BPF_LD | BPF_B | BPF_ABS)
#define LDH   (BPF_LD | BPF_H | BPF_ABS)
#define LDW   (BPF_LD | BPF_W | BPF_ABS)
#define LDLEN (BPF_LD | BPF_W | BPF_LEN)
#define LDXI  (BPF_LDX | BPF_W | BPF_IMM)
#define LDXM  (BPF_LDX | BPF_W | BPF_MEM)
#define STM   BPF_ST
#define ANDK  (BPF_ALU | BPF_AND | BPF_K)
#define ADDK  (BPF_ALU | BPF_ADD | BPF_K)
#define ADDX  (BPF_ALU | BPF_ADD | BPF_X)
#define SUBX  (BPF_ALU | BPF_SUB | BPF_X)
#define LSHK  (BPF_ALU | BPF_LSH | BPF_K)
#define RSHK  (BPF_ALU | BPF_RSH | BPF_K)
#define TAX   (BPF_MISC | BPF_TAX)
#define TXA   (BPF_MISC | BPF_TXA)
#define JA    (BPF_JMP | BPF_JA)
#define JEQ   (BPF_JMP | BPF_JEQ | BPF_K)
#define JGT   (BPF_JMP | BPF_JGT | BPF_K)
#define JGE   (BPF_JMP | BPF_JGE | BPF_K)
#define JSET  (BPF_JMP | BPF_JSET | BPF_K)
#define RET   (BPF_RET | BPF_K)
#define AD(x) ((uint32_t)(SKF_AD_OFF + SKF_AD_##x))

#define BASE_X (-1) /* a part's base: whatever X holds */

/* clang-format off */

/* "link[0:2] is an Ethernet header, and on lo not outbound"
 * lo shows every frame on its way out and on its way in: one of them is enough. */
static const struct line part_link[] = {
	{0,     FIX, LDW, AD(HATYPE), 0, 0,                "ARPHRD_ type of the device"},
	{0,     FIX, JEQ, ARPHRD_ETHER, ETHER, NEXT,       "Ethernet; veth, bridge, bond, Wi-Fi"},
	{0,     FIX, JEQ, ARPHRD_LOOPBACK, LO, BARE,       "lo has an Ethernet header too"},
	{BARE,  FIX, JA,  0, ANY_BARE, 0,                  "a link without Ethernet header"},
	{LO,    FIX, LDW, AD(PKTTYPE), 0, 0,               "which way"},
	{0,     FIX, JEQ, PACKET_OUTGOING, NEXT, ETHER,    "out: it comes in again"},
	{0,     FIX, RET, 0, 0, 0,                         "second copy"},
	{ETHER, FIX, LDH, 12, 0, 0,                        "EtherType"},
	{0,     FIX, JEQ, 0x0800, ANY_IP4, NEXT,           "IPv4"},
	{0,     FIX, JEQ, 0x86dd, TO_IP6, TO_OTHER,        "IPv6"},
	{TO_IP6, FIX, JA, 0, ANY_IP6, 0,                   ""},
	{TO_OTHER, FIX, JA, 0, ANY_OTHER, 0,               "tags, PPPoE, MPLS, or nothing wanted"},
};

/* "ip and (tcp or udp or proto 4 or proto 41 or proto 47)", at offset 14 or X */
static const struct line part_ip4[] = {
	{0,     FIX, LDLEN, 0, 0, 0,                       "length of the frame"},
	{0,     FIX, JGE, 24, NEXT, SHORT,                 "the protocol is there"},
	{0,     REL, LDB, 9, 0, 0,                         "protocol"},
	{0,     FIX, JEQ, 6, TCP, NEXT,                    "TCP"},
	{0,     FIX, JEQ, 17, UDP, NEXT,                   "UDP"},
	{0,     FIX, JEQ, 4, TUNNEL, NEXT,                 "IP in IP"},
	{0,     FIX, JEQ, 41, TUNNEL, NEXT,                "6in4"},
	{0,     FIX, JEQ, 47, TUNNEL, DROP,                "GRE"},
	{TCP,   FIX, LDLEN, 0, 0, 0,                       "length of the frame"},
	{0,     FIX, JGT, FILTER_COPY_SMALL, TCP_BIG, NEXT, "more than a small one"},
	{SHORT, FIX, RET, FILTER_COPY_SMALL, 0, 0,         "whole: small, or cut in its header"},
	{TCP_BIG, REL, LDH, 6, 0, 0,                       "flags and fragment offset"},
	{0,     FIX, JSET, 0x3fff, FRAGMENT, NEXT,         "more fragments, or not the first"},
	{0,     REL, LDB, 0, 0, 0,                         "version and header length"},
	{0,     AT_FIX, JEQ, 0x45, TCP_AT, NEXT,           "no options"},
	{0,     FIX, ANDK, 0x0f, 0, 0,                     ""},
	{0,     FIX, LSHK, 2, 0, 0,                        "header length in bytes"},
	{0,     AT_REL, ADDK, 0, 0, 0,                     "behind Ethernet"},
	{0,     X_FIX, ADDX, 0, 0, 0,                      ""},
	{0,     FIX, TAX, 0, 0, 0,                         "X: where TCP begins"},
	{0,     FIX, JA,  0, ANY_TCP_X, 0,                 ""},
	{UDP,   FIX, LDLEN, 0, 0, 0,                       "length of the frame"},
	{0,     FIX, JGT, FILTER_COPY_HEADERS, UDP_BIG, NEXT, "more than is copied anyhow"},
	{0,     FIX, RET, FILTER_COPY_HEADERS, 0, 0,       "whole"},
	{UDP_BIG, REL, LDH, 6, 0, 0,                       "flags and fragment offset"},
	{0,     FIX, JSET, 0x3fff, FRAGMENT, NEXT,         "more fragments, or not the first"},
	{0,     REL, LDB, 0, 0, 0,                         "version and header length"},
	{0,     AT_FIX, JEQ, 0x45, UDP_AT, NEXT,           "no options"},
	{0,     FIX, ANDK, 0x0f, 0, 0,                     ""},
	{0,     FIX, LSHK, 2, 0, 0,                        "header length in bytes"},
	{0,     AT_REL, ADDK, 0, 0, 0,                     "behind Ethernet"},
	{0,     X_FIX, ADDX, 0, 0, 0,                      ""},
	{0,     FIX, TAX, 0, 0, 0,                         "X: where UDP begins"},
	{0,     FIX, JA,  0, ANY_UDP_X, 0,                 ""},
	{TUNNEL, FIX, RET, FILTER_COPY_HTTP, 0, 0,         "a packet inside: enough for its head"},
	{FRAGMENT, FIX, RET, FILTER_COPY_WHOLE, 0, 0,      "whole, to be put together"},
	{DROP,  FIX, RET, 0, 0, 0,                         "ICMP, SCTP, ..."},
};

/* "tcp port DNS" whole; else X becomes where the payload begins. The frame is longer than
 * FILTER_COPY_SMALL, so every load is inside it, also those of the next part. */
static const struct line part_tcp[] = {
	{TCP_AT, REL, LDH, 2, 0, 0,                        "destination port"},
	{0,     DNS_PORTS, JEQ, 0, TCP_WHOLE, NEXT,        "a DNS port"},
	{0,     REL, LDH, 0, 0, 0,                         "source port"},
	{0,     DNS_PORTS, JEQ, 0, TCP_WHOLE, NEXT,        "a DNS port"},
	{0,     REL, LDB, 12, 0, 0,                        "data offset"},
	{0,     FIX, ANDK, 0xf0, 0, 0,                     ""},
	{0,     FIX, RSHK, 2, 0, 0,                        "TCP header length in bytes"},
	{0,     X_FIX, ADDX, 0, 0, 0,                     ""},
	{0,     FIX, TAX, 0, 0, 0,                         "X: the payload"},
};

/* "tcp[((tcp[12] & 0xf0) >> 2):4]" is a method or "HTTP", or the payload's first eight bytes look like
 * text: a head, or a segment from the middle of one; else headers. Text is what a head can be told by
 * without memory of the segments before: of ciphertext and compressed bodies one segment in 256 looks
 * like it. */
static const struct line part_text[] = {
	{0,     RELX, LDW, 0, 0, 0,                        "its first four bytes"},
	{0,     FIX, JSET, 0x80808080, TCP_HEADERS, NEXT,  "not ASCII: ciphertext, a body"},
	{0,     FIX, JGT, 0x54524143, TCP_TEXT, NEXT,      "above TRAC: no method"},
	{0,     FIX, JGE, 0x434f4e4e, NEXT, TCP_LOW,       "below CONN: no method"},
	{0,     FIX, JEQ, 0x48545450, TCP_HTTP, NEXT,      "HTTP"},
	{0,     FIX, JEQ, 0x47455420, TCP_HTTP, NEXT,      "GET"},
	{0,     FIX, JEQ, 0x504f5354, TCP_HTTP, NEXT,      "POST"},
	{0,     FIX, JEQ, 0x48454144, TCP_HTTP, NEXT,      "HEAD"},
	{0,     FIX, JEQ, 0x50555420, TCP_HTTP, NEXT,      "PUT"},
	{0,     FIX, JEQ, 0x44454c45, TCP_HTTP, NEXT,      "DELETE"},
	{0,     FIX, JEQ, 0x434f4e4e, TCP_HTTP, NEXT,      "CONNECT"},
	{0,     FIX, JEQ, 0x4f505449, TCP_HTTP, NEXT,      "OPTIONS"},
	{0,     FIX, JEQ, 0x54524143, TCP_HTTP, NEXT,      "TRACE"},
	{0,     FIX, JEQ, 0x50415443, TCP_HTTP, TCP_TEXT,  "PATCH"},
	{TCP_LOW, FIX, JGE, 0x20000000, TCP_TEXT, NEXT,    "a blank, a digit, a sign"},
	{0,     FIX, JGE, 0x0e000000, TCP_HEADERS, NEXT,   "no text begins so: TLS"},
	{0,     FIX, JGE, 0x0a000000, TCP_TEXT, TCP_HEADERS, "the end of a line"},
	{TCP_TEXT, RELX, LDW, 4, 0, 0,                     "the next four"},
	{0,     FIX, JSET, 0x80808080, TCP_HEADERS, NEXT,  "not ASCII: ciphertext, a body"},
	{0,     FIX, JGE, 0x0a000000, TCP_HTTP, TCP_HEADERS, "text: it may be the rest of a head"},
};

/* How much of TCP is copied. */
static const struct line part_tcp_end[] = {
	{TCP_HEADERS, FIX, RET, FILTER_COPY_HEADERS, 0, 0, "headers"},
	{TCP_HTTP, FIX, RET, FILTER_COPY_HTTP, 0, 0,       "an HTTP head"},
	{TCP_WHOLE, FIX, RET, FILTER_COPY_WHOLE, 0, 0,     "DNS over TCP"},
};

/* "tcp[tcpflags] & (tcp-syn|tcp-fin|tcp-rst) == 0 and not port DNS", small and without payload: ip[2:2] is
 * ((ip[0] & 0xf) << 2) + ((tcp[12] & 0xf0) >> 2); nothing is copied. A small frame's own length says
 * nothing, Ethernet pads it to 60 bytes. A long one goes on with part_text. Offsets count from the IP
 * header, which is plain; all of TCP's first 20 bytes are there. */
static const struct line part_narrow4[] = {
	{0,     REL, LDH, 22, 0, 0,                        "destination port"},
	{0,     DNS_PORTS, JEQ, 0, AS_EVER, NEXT,          "a DNS port"},
	{0,     REL, LDH, 20, 0, 0,                        "source port"},
	{0,     DNS_PORTS, JEQ, 0, AS_EVER, NEXT,          "a DNS port"},
	{0,     FIX, LDLEN, 0, 0, 0,                       "length of the frame"},
	{0,     FIX, JGT, FILTER_COPY_SMALL, BIG, NEXT,    "more than a small one"},
	{0,     REL, LDH, 32, 0, 0,                        "data offset and flags"},
	{0,     FIX, JSET, 0x0007, SHORT, NEXT,            "RST, SYN, FIN"},
	{0,     FIX, ANDK, 0xf000, 0, 0,                   ""},
	{0,     FIX, RSHK, 10, 0, 0,                       "TCP header length in bytes"},
	{0,     AT_FIX, TAX, 0, 0, 0,                      ""},
	{0,     X_FIX, STM, 0, 0, 0,                       ""},
	{0,     REL, LDH, 2, 0, 0,                         "total length"},
	{0,     X_FIX, LDXM, 0, 0, 0,                      ""},
	{0,     FIX, SUBX, 0, 0, 0,                        ""},
	{0,     FIX, JEQ, 20, DROP, NEXT,                  "headers and nothing more"},
	{SHORT, FIX, RET, FILTER_COPY_SMALL, 0, 0,         "whole: small"},
	{DROP,  FIX, RET, 0, 0, 0,                         "no payload: the kernel counts it"},
	{BIG,   REL, LDH, 32, 0, 0,                        "data offset and flags"},
	{0,     FIX, JSET, 0x0007, AS_EVER, NEXT,          "RST, SYN, FIN"},
	{0,     FIX, ANDK, 0xf000, 0, 0,                   ""},
	{0,     FIX, RSHK, 10, 0, 0,                       "TCP header length in bytes"},
	{0,     REL, ADDK, 20, 0, 0,                       "behind IP"},
	{0,     X_FIX, ADDX, 0, 0, 0,                      ""},
	{0,     FIX, TAX, 0, 0, 0,                         "X: the payload"},
	{0,     FIX, JA, 0, ANY_NARROW, 0,                 ""},
};

/* The same with ip6[4:2] is (tcp[12] & 0xf0) >> 2. */
static const struct line part_narrow6[] = {
	{0,     REL, LDH, 42, 0, 0,                        "destination port"},
	{0,     DNS_PORTS, JEQ, 0, AS_EVER, NEXT,          "a DNS port"},
	{0,     REL, LDH, 40, 0, 0,                        "source port"},
	{0,     DNS_PORTS, JEQ, 0, AS_EVER, NEXT,          "a DNS port"},
	{0,     FIX, LDLEN, 0, 0, 0,                       "length of the frame"},
	{0,     FIX, JGT, FILTER_COPY_SMALL, BIG, NEXT,    "more than a small one"},
	{0,     REL, LDH, 52, 0, 0,                        "data offset and flags"},
	{0,     FIX, JSET, 0x0007, SHORT, NEXT,            "RST, SYN, FIN"},
	{0,     FIX, ANDK, 0xf000, 0, 0,                   ""},
	{0,     FIX, RSHK, 10, 0, 0,                       "TCP header length in bytes"},
	{0,     AT_FIX, TAX, 0, 0, 0,                      ""},
	{0,     X_FIX, STM, 0, 0, 0,                       ""},
	{0,     REL, LDH, 4, 0, 0,                         "payload length of IPv6"},
	{0,     X_FIX, LDXM, 0, 0, 0,                      ""},
	{0,     FIX, SUBX, 0, 0, 0,                        ""},
	{0,     FIX, JEQ, 0, DROP, NEXT,                   "headers and nothing more"},
	{SHORT, FIX, RET, FILTER_COPY_SMALL, 0, 0,         "whole: small"},
	{DROP,  FIX, RET, 0, 0, 0,                         "no payload: the kernel counts it"},
	{BIG,   REL, LDH, 52, 0, 0,                        "data offset and flags"},
	{0,     FIX, JSET, 0x0007, AS_EVER, NEXT,          "RST, SYN, FIN"},
	{0,     FIX, ANDK, 0xf000, 0, 0,                   ""},
	{0,     FIX, RSHK, 10, 0, 0,                       "TCP header length in bytes"},
	{0,     REL, ADDK, 40, 0, 0,                       "behind IP"},
	{0,     X_FIX, ADDX, 0, 0, 0,                      ""},
	{0,     FIX, TAX, 0, 0, 0,                         "X: the payload"},
	{0,     FIX, JA, 0, ANY_NARROW, 0,                 ""},
};

/* Behind part_text, where TCP is narrowed. */
static const struct line part_narrow_end[] = {
	{TCP_HEADERS, FIX, RET, 0, 0, 0,                   "no head: the kernel counts it"},
	{TCP_HTTP, FIX, RET, FILTER_COPY_HTTP, 0, 0,       "an HTTP head"},
};

/* "udp port DNS" whole, also "udp dst port 4789 or 8472 or 6081" on request; else headers.
 * The frame is longer than FILTER_COPY_HEADERS, so every load is inside it. */
static const struct line part_udp[] = {
	{UDP_AT, REL, LDH, 2, 0, 0,                        "destination port"},
	{0,     DNS_PORTS, JEQ, 0, UDP_WHOLE, NEXT,        "a DNS port"},
	{0,     TUNNEL_PORTS, JEQ, 0, UDP_WHOLE, NEXT,     "VXLAN (4789, 8472), Geneve (6081)"},
	{0,     REL, LDH, 0, 0, 0,                         "source port"},
	{0,     DNS_PORTS, JEQ, 0, UDP_WHOLE, NEXT,        "a DNS port"},
	{0,     FIX, RET, FILTER_COPY_HEADERS, 0, 0,       "headers"},
	{UDP_WHOLE, FIX, RET, FILTER_COPY_WHOLE, 0, 0,     "DNS, or a tunnel looked into"},
};

/* "ip6 and (tcp or udp or tunnels or extension headers)", at offset 14 or X. An extension header is walked
 * only where one is followed by TCP: Linux puts a jumbogram header before its own segments beyond 64 KiB. */
static const struct line part_ip6[] = {
	{0,     FIX, LDLEN, 0, 0, 0,                       "length of the frame"},
	{0,     FIX, JGE, 21, NEXT, SHORT,                 "the next header is there"},
	{0,     REL, LDB, 6, 0, 0,                         "next header"},
	{0,     FIX, JEQ, 6, TCP, NEXT,                    "TCP"},
	{0,     FIX, JEQ, 17, UDP, NEXT,                   "UDP"},
	{0,     FIX, JEQ, 0, EXT, NEXT,                    "hop-by-hop options"},
	{0,     FIX, JEQ, 60, EXT, NEXT,                   "destination options"},
	{0,     FIX, JEQ, 43, EXT, NEXT,                   "routing"},
	{0,     FIX, JEQ, 44, FRAGMENT, NEXT,              "fragment"},
	{0,     FIX, JEQ, 51, INSIDE, NEXT,                "authentication header"},
	{0,     FIX, JEQ, 135, INSIDE, NEXT,               "mobility"},
	{0,     FIX, JEQ, 139, INSIDE, NEXT,               "host identity"},
	{0,     FIX, JEQ, 140, INSIDE, NEXT,               "shim6"},
	{0,     FIX, JEQ, 4, INSIDE, NEXT,                 "IPv4 inside"},
	{0,     FIX, JEQ, 41, INSIDE, NEXT,                "IPv6 inside"},
	{0,     FIX, JEQ, 47, INSIDE, DROP,                "GRE"},
	{TCP,   FIX, LDLEN, 0, 0, 0,                       "length of the frame"},
	{0,     FIX, JGT, FILTER_COPY_SMALL, TCP_AT, NEXT, "more than a small one"},
	{SHORT, FIX, RET, FILTER_COPY_SMALL, 0, 0,         "whole: small, or cut in its header"},
	{UDP,   FIX, LDLEN, 0, 0, 0,                       "length of the frame"},
	{0,     FIX, JGT, FILTER_COPY_HEADERS, UDP_AT, NEXT, "more than is copied anyhow"},
	{0,     FIX, RET, FILTER_COPY_HEADERS, 0, 0,       "whole"},
	{EXT,   FIX, LDLEN, 0, 0, 0,                       "length of the frame"},
	{0,     FIX, JGT, FILTER_COPY_SMALL, EXT_BIG, NEXT, "more than a small one"},
	{0,     FIX, RET, FILTER_COPY_SMALL, 0, 0,         "whole"},
	{EXT_BIG, REL, LDB, 40, 0, 0,                        "next header of the first extension"},
	{0,     FIX, JEQ, 6, NEXT, INSIDE,                 "TCP"},
	{0,     REL, LDB, 41, 0, 0,                        "its length in 8 bytes, less one"},
	{0,     FIX, JGT, 16, INSIDE, NEXT,                "odd: left to user space"},
	{0,     FIX, LSHK, 3, 0, 0,                        "in bytes, less 8"},
	{0,     REL, ADDK, 40 + 8, 0, 0,                   "behind the IPv6 header and these 8"},
	{0,     X_FIX, ADDX, 0, 0, 0,                      ""},
	{0,     FIX, TAX, 0, 0, 0,                         "X: where TCP begins"},
	{0,     FIX, JA, 0, ANY_TCP_X, 0,                  ""},
	{INSIDE, FIX, RET, FILTER_COPY_HTTP, 0, 0,         "headers before it, or a packet inside"},
	{FRAGMENT, FIX, RET, FILTER_COPY_WHOLE, 0, 0,      "whole, to be put together"},
	{DROP,  FIX, RET, 0, 0, 0,                         "ICMPv6, ..."},
};

/* IPv6 at X, no extension header: TCP or UDP begins 40 bytes on. */
static const struct line part_ip6_end[] = {
	{TCP_AT, FIX, TXA, 0, 0, 0,                        ""},
	{0,     FIX, ADDK, 40, 0, 0,                       "behind the IPv6 header"},
	{0,     FIX, TAX, 0, 0, 0,                         "X: where TCP begins"},
	{0,     FIX, JA, 0, ANY_TCP_X, 0,                  ""},
	{UDP_AT, FIX, TXA, 0, 0, 0,                        ""},
	{0,     FIX, ADDK, 40, 0, 0,                       "behind the IPv6 header"},
	{0,     FIX, TAX, 0, 0, 0,                         "X: where UDP begins"},
	{0,     FIX, JA, 0, ANY_UDP_X, 0,                  ""},
};

/* "vlan or pppoes or mpls": X becomes the offset of the IP header; up to two tags in the bytes, up to four
 * labels. A holds the EtherType. From 64 bytes on every load is inside the frame. */
static const struct line part_other[] = {
	{0,     FIX, LDXI, 14, 0, 0,                       "X: behind Ethernet"},
	{0,     FIX, JEQ, 0x8100, TAG, NEXT,               "802.1Q"},
	{0,     FIX, JEQ, 0x88a8, TAG, NEXT,               "802.1ad"},
	{0,     FIX, JEQ, 0x9100, TAG, NEXT,               "QinQ before there was 802.1ad"},
	{0,     FIX, JEQ, 0x8864, PPPOE_LEN, NEXT,         "PPPoE session"},
	{0,     FIX, JEQ, 0x8847, MPLS_LEN, NEXT,          "MPLS"},
	{0,     FIX, JEQ, 0x8848, MPLS_LEN, DROP,          "MPLS, upstream labels"},
	{TAG,   FIX, LDLEN, 0, 0, 0,                       "length of the frame"},
	{0,     FIX, JGE, 64, NEXT, SHORT,                 "the headers are there"},
	{0,     FIX, LDXI, 18, 0, 0,                       "X: behind the tag"},
	{0,     FIX, LDH, 16, 0, 0,                        "EtherType"},
	{0,     FIX, JEQ, 0x0800, TO_IP4_X, NEXT,          "IPv4"},
	{0,     FIX, JEQ, 0x86dd, TO_IP6_X, NEXT,          "IPv6"},
	{0,     FIX, JEQ, 0x8864, PPPOE, NEXT,             "PPPoE session"},
	{0,     FIX, JEQ, 0x8847, MPLS, NEXT,              "MPLS"},
	{0,     FIX, JEQ, 0x8848, MPLS, NEXT,              "MPLS, upstream labels"},
	{0,     FIX, JEQ, 0x8100, TAG2, NEXT,              "a second tag"},
	{0,     FIX, JEQ, 0x88a8, TAG2, DROP,              "a second tag"},
	{TAG2,  FIX, LDXI, 22, 0, 0,                       "X: behind the second tag"},
	{0,     FIX, LDH, 20, 0, 0,                        "EtherType"},
	{0,     FIX, JEQ, 0x0800, TO_IP4_X, NEXT,          "IPv4"},
	{0,     FIX, JEQ, 0x86dd, TO_IP6_X, NEXT,          "IPv6"},
	{0,     FIX, JEQ, 0x8864, PPPOE, NEXT,             "PPPoE session"},
	{0,     FIX, JEQ, 0x8847, MPLS, NEXT,              "MPLS"},
	{0,     FIX, JEQ, 0x8848, MPLS, DROP,              "MPLS, upstream labels"},
	{MPLS_LEN, FIX, LDLEN, 0, 0, 0,                    "length of the frame"},
	{0,     FIX, JGE, 64, NEXT, SHORT,                 "the headers are there"},
	{MPLS,  RELX, LDB, 2, 0, 0,                        "first label"},
	{0,     FIX, JSET, 1, MPLS1, NEXT,                 "bottom of the stack"},
	{0,     RELX, LDB, 6, 0, 0,                        "second label"},
	{0,     FIX, JSET, 1, MPLS2, NEXT,                 "bottom of the stack"},
	{0,     RELX, LDB, 10, 0, 0,                       "third label"},
	{0,     FIX, JSET, 1, MPLS3, NEXT,                 "bottom of the stack"},
	{0,     RELX, LDB, 14, 0, 0,                       "fourth label"},
	{0,     FIX, JSET, 1, NEXT, SHORT,                 "bottom of the stack; or too deep"},
	{0,     FIX, TXA, 0, 0, 0,                         ""},
	{0,     FIX, ADDK, 4, 0, 0,                        ""},
	{0,     FIX, TAX, 0, 0, 0,                         "behind one label of four"},
	{MPLS3, FIX, TXA, 0, 0, 0,                         ""},
	{0,     FIX, ADDK, 4, 0, 0,                        ""},
	{0,     FIX, TAX, 0, 0, 0,                         "of three"},
	{MPLS2, FIX, TXA, 0, 0, 0,                         ""},
	{0,     FIX, ADDK, 4, 0, 0,                        ""},
	{0,     FIX, TAX, 0, 0, 0,                         "of two"},
	{MPLS1, FIX, TXA, 0, 0, 0,                         ""},
	{0,     FIX, ADDK, 4, 0, 0,                        ""},
	{0,     FIX, TAX, 0, 0, 0,                         "behind all of them"},
	{0,     RELX, LDB, 0, 0, 0,                        "MPLS does not say what it carries"},
	{0,     FIX, ANDK, 0xf0, 0, 0,                     ""},
	{0,     FIX, JEQ, 0x40, TO_IP4_X, NEXT,            "looks like IPv4"},
	{0,     FIX, JEQ, 0x60, TO_IP6_X, DROP,            "looks like IPv6"},
	{PPPOE_LEN, FIX, LDLEN, 0, 0, 0,                   "length of the frame"},
	{0,     FIX, JGE, 64, NEXT, SHORT,                 "the headers are there"},
	{PPPOE, RELX, LDH, 6, 0, 0,                        "PPP protocol"},
	{0,     FIX, JEQ, 0x0021, PPPOE4, NEXT,            "IPv4"},
	{0,     FIX, JEQ, 0x0057, PPPOE6, DROP,            "IPv6"},
	{PPPOE4, FIX, TXA, 0, 0, 0,                        ""},
	{0,     FIX, ADDK, 8, 0, 0,                        "behind PPPoE and PPP"},
	{0,     FIX, TAX, 0, 0, 0,                         ""},
	{TO_IP4_X, FIX, JA, 0, ANY_IP4_X, 0,               "IPv4 at X"},
	{PPPOE6, FIX, TXA, 0, 0, 0,                        ""},
	{0,     FIX, ADDK, 8, 0, 0,                        "behind PPPoE and PPP"},
	{0,     FIX, TAX, 0, 0, 0,                         ""},
	{TO_IP6_X, FIX, JA, 0, ANY_IP6_X, 0,               "IPv6 at X"},
	{SHORT, FIX, RET, FILTER_COPY_HEADERS, 0, 0,       "cut in its headers, or too many"},
	{DROP,  FIX, RET, 0, 0, 0,                         "ARP, LLDP, ..."},
};

/* "ip or ip6" on a device without Ethernet header. A holds the device's type. Behind a header of unknown
 * length (GRE to many peers, IP over InfiniBand) user space learns from the ring where IP begins, but
 * the filter does not: it copies enough for any. */
static const struct line part_bare[] = {
	{0,     FIX, JEQ, ARPHRD_NONE, PLAIN, NEXT,        "tun, WireGuard"},
	{0,     FIX, JEQ, ARPHRD_PPP, PLAIN, NEXT,         "PPP"},
	{0,     FIX, JEQ, ARPHRD_TUNNEL, PLAIN, NEXT,      "IP in IP"},
	{0,     FIX, JEQ, ARPHRD_TUNNEL6, PLAIN, NEXT,     "IP in IPv6"},
	{0,     FIX, JEQ, ARPHRD_SIT, PLAIN, NEXT,         "6in4"},
	{0,     FIX, JEQ, ARPHRD_RAWIP, PLAIN, NEXT,       "mobile broadband"},
	{0,     FIX, LDW, AD(PROTOCOL), 0, 0,              "what the kernel takes it for"},
	{0,     FIX, JEQ, 0x0800, BOTH, NEXT,              "IPv4"},
	{0,     FIX, JEQ, 0x86dd, BOTH, DROP,              "IPv6"},
	{BOTH,  FIX, RET, FILTER_COPY_HTTP, 0, 0,          "behind a header of its own"},
	{PLAIN, FIX, LDLEN, 0, 0, 0,                       "length of the packet"},
	{0,     FIX, JGE, 20, NEXT, SHORT,                 "the header is there"},
	{0,     FIX, LDXI, 0, 0, 0,                        "X: IP begins the frame"},
	{0,     FIX, LDW, AD(PROTOCOL), 0, 0,              "what the kernel takes it for"},
	{0,     FIX, JEQ, 0x0800, TO_IP4_X, NEXT,          "IPv4"},
	{0,     FIX, JEQ, 0x86dd, TO_IP6_X, DROP,          "IPv6"},
	{TO_IP4_X, FIX, JA, 0, ANY_IP4_X, 0,               ""},
	{TO_IP6_X, FIX, JA, 0, ANY_IP6_X, 0,               ""},
	{SHORT, FIX, RET, FILTER_COPY_HEADERS, 0, 0,       "cut in its header"},
	{DROP,  FIX, RET, 0, 0, 0,                         "neither"},
};
/* clang-format on */

#define PART(lines) lines, sizeof(lines) / sizeof((lines)[0])

/* The program: its parts in the order they have in it. */
static const struct part {
	const struct line *lines;
	size_t nlines;
	uint8_t entry; /* label of the first instruction; 0: the part names its own */
	uint8_t scope; /* parts of one scope see each other's labels */
	int base;      /* what REL counts from: a constant offset, or BASE_X */
	const char *section;
} flow_parts[] = {
    {PART(part_link), 0, 0, 0, "what link: Ethernet, lo (once), others"},
    {PART(part_ip4), ANY_IP4, 1, 14, "ip and (tcp or udp or proto 4 or 41 or 47), in Ethernet"},
    {PART(part_tcp), 0, 1, 34, "TCP beyond the small ones, in Ethernet and IPv4 without options"},
    {PART(part_text), 0, 1, 34, NULL},
    {PART(part_tcp_end), 0, 1, 34, NULL},
    {PART(part_udp), 0, 1, 34, "UDP beyond the small ones, in Ethernet and IPv4 without options"},
    {PART(part_ip6), ANY_IP6, 2, 14, "ip6 and (tcp or udp or tunnels or extensions), in Ethernet"},
    {PART(part_tcp), 0, 2, 54, "TCP beyond the small ones, in Ethernet and IPv6"},
    {PART(part_text), 0, 2, 54, NULL},
    {PART(part_tcp_end), 0, 2, 54, NULL},
    {PART(part_udp), 0, 2, 54, "UDP beyond the small ones, in Ethernet and IPv6"},
    {PART(part_other), ANY_OTHER, 3, BASE_X, "vlan or pppoes or mpls, in Ethernet"},
    {PART(part_bare), ANY_BARE, 4, BASE_X, "ip or ip6, on devices without Ethernet header"},
    {PART(part_ip4), ANY_IP4_X, 5, BASE_X, "ip and (tcp or udp or proto 4 or 41 or 47), at X"},
    {PART(part_ip6), ANY_IP6_X, 6, BASE_X, "ip6 and (tcp or udp or tunnels or extensions), at X"},
    {PART(part_ip6_end), 0, 6, BASE_X, "IPv6 at X ends"},
    {PART(part_tcp), ANY_TCP_X, 7, BASE_X, "TCP beyond the small ones, at X"},
    {PART(part_text), 0, 7, BASE_X, NULL},
    {PART(part_tcp_end), 0, 7, BASE_X, NULL},
    {PART(part_udp), ANY_UDP_X, 8, BASE_X, "UDP beyond the small ones, at X"},
};

/* At the end, where TCP is narrowed. */
static const struct part narrow_text[] = {
    {PART(part_text), ANY_NARROW, 13, BASE_X, "narrowed TCP beyond the small ones, payload at X"},
    {PART(part_narrow_end), 0, 13, BASE_X, NULL},
};

enum { SCOPES = 14, SCOPE_NONE = 255 /* jumps that are complete */ };

/* Before which parts packets are left out, or narrowed. */
static const struct exclusion {
	uint8_t entry;
	struct exclude_place place, own;
	struct part narrow;
} exclusions[] = {
    {ANY_IP4,
     {false, false, 14, "capture.exclude: IPv4 in Ethernet"},
     {false, false, 14, "whose TCP is narrowed: IPv4 in Ethernet"},
     {PART(part_narrow4), 0, 9, 14, "narrowed TCP: IPv4 in Ethernet"}},
    {ANY_IP6,
     {true, false, 14, "capture.exclude: IPv6 in Ethernet"},
     {true, false, 14, "whose TCP is narrowed: IPv6 in Ethernet"},
     {PART(part_narrow6), 0, 10, 14, "narrowed TCP: IPv6 in Ethernet"}},
    {ANY_IP4_X,
     {false, true, 0, "capture.exclude: IPv4 at X"},
     {false, true, 0, "whose TCP is narrowed: IPv4 at X"},
     {PART(part_narrow4), 0, 11, BASE_X, "narrowed TCP: IPv4 at X"}},
    {ANY_IP6_X,
     {true, true, 0, "capture.exclude: IPv6 at X"},
     {true, true, 0, "whose TCP is narrowed: IPv6 at X"},
     {PART(part_narrow6), 0, 12, BASE_X, "narrowed TCP: IPv6 at X"}},
};

struct builder {
	const struct filter_config *config;
	uint64_t excludes; /* bit i: rule i is to be in it */
	bool narrow;
	struct filter_insn *out;
	size_t n, max;
	struct {
		uint8_t yes, no, scope;
	} jumps[FILTER_INSNS_MAX];      /* labels of each instruction, until all are known */
	uint16_t where[SCOPES][LABELS]; /* instruction + 1; 0: no such place */
	const char *section;            /* title for the next instruction */
};

static void builder_emit(struct builder *b, const struct line *l, const struct part *part,
			 uint32_t k)
{
	struct filter_insn *f;
	uint16_t code = l->code;

	if (b->n >= b->max || b->n >= FILTER_INSNS_MAX) {
		b->max = 0; /* said once, at the end */
		return;
	}
	if (l->how == REL || l->how == AT_REL || l->how == RELX)
		k += part->base == BASE_X ? 0 : (uint32_t)part->base;
	/* A load that counts from X: the same instruction in indirect mode. */
	if (BPF_CLASS(code) == BPF_LD && BPF_MODE(code) == BPF_ABS &&
	    (l->how == RELX || (l->how == REL && part->base == BASE_X)))
		code = (uint16_t)((code & ~BPF_ABS) | BPF_IND);
	f = &b->out[b->n];
	memset(f, 0, sizeof(*f));
	f->insn.code = code;
	f->insn.k = k;
	f->comment = l->comment;
	f->section = b->section;
	b->section = NULL;
	b->jumps[b->n].yes = l->yes;
	b->jumps[b->n].no = l->no;
	b->jumps[b->n].scope = part->scope;
	b->n++;
}

static void builder_line(struct builder *b, const struct line *l, const struct part *part)
{
	static const uint16_t tunnel_ports[] = {4789, 8472, 6081};
	size_t i;

	if (l->label)
		b->where[l->label < GLOBAL ? part->scope : 0][l->label] = (uint16_t)(b->n + 1);
	switch (l->how) {
	case DNS_PORTS:
		for (i = 0; i < b->config->ndns_ports; i++)
			builder_emit(b, l, part, b->config->dns_ports[i]);
		return;
	case TUNNEL_PORTS:
		for (i = 0; b->config->tunnels_inner && i < 3; i++)
			builder_emit(b, l, part, tunnel_ports[i]);
		return;
	case AT_FIX:
	case AT_REL:
		if (part->base != BASE_X)
			builder_emit(b, l, part, l->k);
		return;
	case X_FIX:
		if (part->base == BASE_X)
			builder_emit(b, l, part, l->k);
		return;
	default:
		builder_emit(b, l, part, l->k);
	}
}

/* Distance from instruction i to a label; negative where there is no such place ahead. */
static int builder_distance(const struct builder *b, size_t i, uint8_t label)
{
	unsigned int scope = label < GLOBAL ? b->jumps[i].scope : 0;

	if (label == NEXT || scope == SCOPE_NONE)
		return 0;
	return (int)b->where[scope][label] - 1 - (int)(i + 1);
}

static int builder_resolve(struct builder *b)
{
	size_t i;

	for (i = 0; i < b->n; i++) {
		struct sock_filter *insn = &b->out[i].insn;
		int yes = builder_distance(b, i, b->jumps[i].yes);
		int no = builder_distance(b, i, b->jumps[i].no);

		if (BPF_CLASS(insn->code) != BPF_JMP || b->jumps[i].scope == SCOPE_NONE)
			continue;
		if (yes < 0 || no < 0)
			return FL_EFULL;
		if (BPF_OP(insn->code) == BPF_JA) {
			insn->k = (uint32_t)yes;
			continue;
		}
		if (yes > 255 || no > 255)
			return FL_EFULL;
		insn->jt = (uint8_t)yes;
		insn->jf = (uint8_t)no;
	}
	return (int)b->n;
}

static void builder_part(struct builder *b, const struct part *part)
{
	size_t i;

	b->section = part->section;
	for (i = 0; i < part->nlines; i++)
		builder_line(b, &part->lines[i], part);
}

/* What classic_exclude.c has written: its jumps are complete. */
static bool builder_block(struct builder *b, int n)
{
	if (n < 0)
		b->max = 0;
	for (; n > 0; n--)
		b->jumps[b->n++].scope = SCOPE_NONE;
	return b->max > 0;
}

static size_t builder_room(const struct builder *b)
{
	size_t max = b->max < FILTER_INSNS_MAX ? b->max : FILTER_INSNS_MAX;

	return b->n < max ? max - b->n : 0;
}

/* The questions of narrowed TCP, behind the one for addresses, whose last instruction goes past
 * them. */
static void builder_narrow(struct builder *b, const struct exclusion *x)
{
	int n = classic_narrow_block(b->out + b->n, builder_room(b), b->config, &x->own);

	if (!builder_block(b, n) || !n)
		return;
	b->jumps[b->n - 1].yes = AS_EVER;
	b->jumps[b->n - 1].scope = x->narrow.scope;
	builder_part(b, &x->narrow);
	b->where[x->narrow.scope][AS_EVER] = (uint16_t)(b->n + 1);
}

/* The rules and the addresses, where the part that follows has a place for them. */
static void builder_before(struct builder *b, uint8_t entry)
{
	const struct exclusion *x = exclusions;
	const struct exclusion *end = x + sizeof(exclusions) / sizeof(exclusions[0]);

	while (x < end && x->entry != entry)
		x++;
	if (x == end)
		return;
	if (b->excludes && builder_room(b))
		builder_block(b, classic_exclude_block(b->out + b->n, builder_room(b), b->config,
						       b->excludes, &x->place));
	if (b->narrow && builder_room(b))
		builder_narrow(b, x);
}

/* The program with the rules whose bits are set, narrowed or not. */
static int flow_filter_with(struct filter_insn *out, size_t max, const struct filter_config *config,
			    uint64_t excludes, bool narrow)
{
	struct builder b;
	size_t i;

	memset(&b, 0, sizeof(b));
	b.config = config;
	b.excludes = excludes;
	b.narrow = narrow;
	b.out = out;
	b.max = max;
	for (i = 0; i < sizeof(flow_parts) / sizeof(flow_parts[0]); i++) {
		const struct part *part = &flow_parts[i];

		if (part->entry) {
			b.where[0][part->entry] = (uint16_t)(b.n + 1);
			builder_before(&b, part->entry);
		}
		builder_part(&b, part);
	}
	if (narrow) {
		b.where[0][ANY_NARROW] = (uint16_t)(b.n + 1);
		builder_part(&b, &narrow_text[0]);
		builder_part(&b, &narrow_text[1]);
	}
	return b.max ? builder_resolve(&b) : FL_EFULL;
}

/* As many rules as fit, the first ones first; all at once is what nearly everybody needs. */
static uint64_t excludes_that_fit(struct filter_insn *out, size_t max,
				  const struct filter_config *config, uint64_t all, bool narrow)
{
	uint64_t some = 0;
	size_t i;

	if (!all || flow_filter_with(out, max, config, all, narrow) >= 0)
		return all;
	for (i = 0; i < FILTER_EXCLUDES_MAX; i++)
		if (all >> i & 1 &&
		    flow_filter_with(out, max, config, some | 1ULL << i, narrow) >= 0)
			some |= 1ULL << i;
	return some;
}

int classic_flow_filter(struct filter_insn *out, size_t max, const struct filter_config *config)
{
	uint64_t all = 0, some;
	bool narrow = config->nnarrow > 0;
	size_t i;

	if (config->ndns_ports > FILTER_DNS_PORTS_MAX)
		return FL_EUSAGE;
	narrow = narrow && flow_filter_with(out, max, config, 0, true) >= 0;
	if (config->narrow_left)
		*config->narrow_left = config->nnarrow && !narrow;
	for (i = 0; i < config->nexcludes && i < FILTER_EXCLUDES_MAX; i++)
		if (config->excludes[i].nnets || config->excludes[i].nports)
			all |= 1ULL << i;
	some = excludes_that_fit(out, max, config, all, narrow);
	for (i = 0; config->excludes_left && i < config->nexcludes; i++)
		config->excludes_left[i] = i >= FILTER_EXCLUDES_MAX || ((all & ~some) >> i & 1);
	return flow_filter_with(out, max, config, some, narrow);
}

static int classic_whole_filter(struct filter_insn *out, size_t max,
				const struct filter_config *config)
{
	struct filter_config whole = *config;

	whole.nnarrow = 0;
	return classic_flow_filter(out, max, &whole);
}

const struct classic_filter classic_filters[CLASSIC_FILTERS] = {
    {"flow", "frames that flows, DNS and HTTP are made of, each cut to what is read of it",
     "(ip or ip6) and (tcp or udp or proto 4 or proto 41 or proto 47), also in VLAN, PPPoE and "
     "MPLS",
     classic_whole_filter},
    {"narrow", "the same while the kernel's own figures count the TCP of this host's addresses",
     "flow, and not (tcp and host OWN and not port DNS and tcp[tcpflags] & "
     "(tcp-syn|tcp-fin|tcp-rst) == 0\nand (no payload or (greater 577 and the payload is not "
     "text)))",
     classic_flow_filter},
    {"syn", "SYNs that this host sends, for the processes of very short connections",
     "outbound and tcp[tcpflags] & (tcp-syn|tcp-ack|tcp-rst|tcp-fin) == tcp-syn (IPv6 the same), "
     "from the IP header on",
     classic_syn_filter},
};
