#!/usr/bin/env python3
"""Writes the seeds of fuzz_pcap to tests/fuzz/corpus/pcap: small captures, one for each format, link type and
protocol. Needs nothing but Python; the same files on every run."""
import os
import struct
import sys

OUT = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(__file__), "corpus", "pcap")


def pcap(link, frames, order="<", magic=0xA1B2C3D4, snap=65535):
    b = struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, snap, link)
    for i, f in enumerate(frames):
        b += struct.pack(order + "IIII", 1700000000 + i // 4, 250000 * (i % 4), len(f), len(f)) + f
    return b


def block(kind, body, order="<"):
    body += b"\0" * (-len(body) % 4)
    n = len(body) + 12
    return struct.pack(order + "II", kind, n) + body + struct.pack(order + "I", n)


def pcapng(frames, order="<", links=(1,), snaps=(65535,)):
    b = block(0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1), order)
    for link, snap in zip(links, snaps):
        b += block(1, struct.pack(order + "HHI", link, 0, snap) +
                   struct.pack(order + "HHB3xHH", 9, 1, 9, 0, 0), order)
    for i, f in enumerate(frames):
        t = 1700000000000000000 + i * 250000000
        b += block(6, struct.pack(order + "IIIII", i % len(links), t >> 32, t & 0xFFFFFFFF, len(f),
                                  len(f)) + f, order)
    b += block(3, struct.pack(order + "I", len(frames[0])) + frames[0], order)
    return b


def clocks(frames):
    """A pcapng file with one frame from each of several interfaces, which count time in units of their own."""
    b = block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 2, -1))
    units = [(0, 0), (3, 0), (12, 0), (0xA0, 0), (0xBF, 5), (6, -5)]
    for unit, offset in units:
        b += block(1, struct.pack("<HHI", 1, 0, 0) + struct.pack("<HHB3x", 9, 1, unit) +
                   struct.pack("<HHq", 14, 8, offset) + struct.pack("<HH", 0, 0))
    for i, f in enumerate(frames):
        b += block(6, struct.pack("<IIIII", i % len(units), 1, i, len(f), len(f)) + f)
    return b


def other_blocks(frames):
    """A pcapng file with the obsolete packet block, name resolution, statistics, and a custom block."""
    b = block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1))
    b += block(1, struct.pack("<HHI", 1, 0, 60))
    b += block(4, b"\1\0\x0a\0\xc0\0\2\1host\0\0\0\0\0\0\0")
    for f in frames:
        b += block(2, struct.pack("<HHIIII", 0, 1, 0x50000, 7, len(f), len(f)) + f)
        b += block(3, struct.pack("<I", len(f)) + f[:60])
    return b + block(5, b"\0" * 12) + block(0xBAD, struct.pack("<I", 32473) + b"custom")


def ip4(proto, payload, src=b"\x0a\0\0\1", dst=b"\x0a\0\0\2", frag=0, ident=7):
    return struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(payload), ident, frag, 64, proto, 0) + src + dst + payload


def ip6(proto, payload):
    return struct.pack(">IHBB", 6 << 28, len(payload), proto, 64) + b"\xfd" + b"\0" * 14 + b"\1" + \
        b"\xfd" + b"\0" * 14 + b"\2" + payload


def udp(sport, dport, payload):
    return struct.pack(">HHHH", sport, dport, 8 + len(payload), 0) + payload


def tcp(sport, dport, seq, ack, flags, payload=b"", options=b""):
    return struct.pack(">HHIIBBHHH", sport, dport, seq & 0xFFFFFFFF, ack & 0xFFFFFFFF,
                       (5 + len(options) // 4) << 4, flags, 65000, 0, 0) + options + payload


def ether(kind, payload):
    return b"\2\0\0\0\0\2\2\0\0\0\0\1" + struct.pack(">H", kind) + payload


def turn(f):
    """Swap the addresses of an IPv4 packet."""
    return f[:12] + f[16:20] + f[12:16] + f[20:]


NAME = b"\7example\3org\0"
QUERY = struct.pack(">HHHHHH", 7, 0x100, 1, 0, 0, 0) + NAME + b"\0\1\0\1"
ANSWER = struct.pack(">HHHHHH", 7, 0x8180, 1, 1, 0, 0) + NAME + b"\0\1\0\1\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\xc0\0\2\1"
GET = b"GET /index.html?a=b HTTP/1.1\r\nHost: example.org\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"


def dns():
    return [ip4(17, udp(40000, 53, QUERY)), turn(ip4(17, udp(53, 40000, ANSWER))),
            ip4(17, udp(40001, 53, QUERY))]


def connection(port, request, answer):
    c, s, n, m = 0xFFFFFFF0, 1000, len(request), len(answer)
    stamp = b"\1\1\x08\x0a\0\0\0\1\0\0\0\0"
    return [ip4(6, tcp(40000, port, c, 0, 2, options=b"\2\4\5\xb4" + stamp)),
            turn(ip4(6, tcp(port, 40000, s, c + 1, 0x12))),
            ip4(6, tcp(40000, port, c + 1, s + 1, 0x10)),
            ip4(6, tcp(40000, port, c + 1, s + 1, 0x18, request[:9])),
            ip4(6, tcp(40000, port, c + 1, s + 1, 0x18, request[:9])),
            ip4(6, tcp(40000, port, c + 10, s + 1, 0x18, request[9:])),
            turn(ip4(6, tcp(port, 40000, s + 11, c + 1 + n, 0x18, answer[10:]))),
            turn(ip4(6, tcp(port, 40000, s + 1, c + 1 + n, 0x18, answer[:10]))),
            ip4(6, tcp(40000, port, c + 1 + n, s + 1 + m, 0x11)),
            turn(ip4(6, tcp(port, 40000, s + 1 + m, c + 2 + n, 0x11)))]


def length_first(m):
    return struct.pack(">H", len(m)) + m


def main():
    http = connection(80, GET, OK)
    eth = [ether(0x800, f) for f in dns() + http]
    inner = ether(0x800, dns()[0])
    seeds = {
        "eth-le.pcap": pcap(1, eth),
        "eth-be.pcap": pcap(1, eth[:3], ">"),
        "eth-nano.pcap": pcap(1, eth[:3], "<", 0xA1B23C4D),
        "eth-cut.pcap": pcap(1, eth)[:-20],
        "eth-header-only.pcap": pcap(1, []),
        "raw.pcap": pcap(101, http),
        "raw6.pcap": pcap(101, [ip6(17, udp(40000, 53, QUERY)), ip6(0, b"\x3c\0" + b"\1\4\0\0\0\0" +
                                b"\x11\0" + b"\1\4\0\0\0\0" + udp(1, 2, b"x"))]),
        "sll.pcap": pcap(113, [struct.pack(">HHH8sH", 0, 1, 6, b"\2\0\0\0\0\1", 0x800) + f for f in dns()]),
        "sll2.pcap": pcap(276, [struct.pack(">HHIHBB8s", 0x800, 0, 2, 1, 0, 6, b"\2\0\0\0\0\1") + f
                                for f in dns()]),
        "null.pcap": pcap(0, [struct.pack("<I", 2) + f for f in dns()]),
        "loop.pcap": pcap(108, [struct.pack(">I", 2) + f for f in dns()]),
        "radiotap.pcap": pcap(127, eth[:1]),
        "chunked.pcap": pcap(101, connection(8080, GET + GET, CHUNKED + OK)),
        "dns-tcp.pcap": pcap(101, connection(53, length_first(QUERY), length_first(ANSWER))),
        "vlan-qinq-mpls-pppoe.pcap": pcap(1, [
            ether(0x8100, b"\0\5\x08\0" + dns()[0]),
            ether(0x88A8, b"\0\5\x81\0\0\6\x08\0" + dns()[1]),
            ether(0x8847, b"\0\0\1\x40" + dns()[0]),
            ether(0x8864, b"\x11\0\0\1" + struct.pack(">H", len(dns()[0]) + 2) + b"\0\x21" + dns()[0])]),
        "tunnels.pcap": pcap(101, [
            ip4(4, dns()[0]), ip4(41, ip6(17, udp(5, 53, QUERY))), ip4(47, b"\0\0\x08\0" + dns()[0]),
            ip4(17, udp(4000, 4789, b"\x08\0\0\0\0\0\1\0" + inner)),
            ip4(17, udp(4000, 6081, b"\0\0\x65\x58\0\0\1\0" + inner))]),
        "fragments.pcap": pcap(101, [
            ip4(17, udp(40000, 53, QUERY)[:24], frag=0x2000), ip4(17, udp(40000, 53, QUERY)[24:], frag=3)]),
        "arp-icmp-sctp.pcap": pcap(1, [ether(0x806, b"\0\1\x08\0\6\4\0\1" + b"\0" * 20),
                                       ether(0x800, ip4(1, b"\x08\0\0\0\0\0\0\0")),
                                       ether(0x800, ip4(132, b"\0\1\0\2" + b"\0" * 8))]),
        "ng-le.pcapng": pcapng(eth[:4]),
        "ng-be.pcapng": pcapng(eth[:4], ">"),
        "ng-two.pcapng": pcapng(eth[:4], "<", (1, 1), (65535, 65535)),
        "ng-links.pcapng": pcapng(eth[:2], "<", (1, 101), (65535, 65535)),
        "ng-snaps.pcapng": pcapng(eth[:4], "<", (1, 1), (96, 0)),
        "ng-unread.pcapng": pcapng(eth[:4], "<", (127, 1), (65535, 65535)),
        "ng-only-unread.pcapng": pcapng(eth[:2], "<", (127,)),
        "ng-sections.pcapng": pcapng(eth[:2]) + pcapng(dns()[:2], ">", (101,)),
        "ng-clocks.pcapng": clocks(eth[:6]),
        "ng-other-blocks.pcapng": other_blocks(eth[:2]),
        "ng-cut.pcapng": pcapng(eth[:2])[:-70],
        "ng-lengths-differ.pcapng": pcapng(eth[:2])[:-4] + b"\0\0\0\1",
    }
    os.makedirs(OUT, exist_ok=True)
    for name, data in sorted(seeds.items()):
        with open(os.path.join(OUT, name), "wb") as f:
            f.write(data)


main()
