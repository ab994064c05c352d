#!/usr/bin/env python3
"""Writes demo.pcap: one second of a small host's life, the same bytes on every run.

192.168.1.20 looks up www.example.com, fetches a page from it, asks a database something over
TCP, and sets its clock by NTP. Remote addresses are from the documentation ranges (RFC 5737).
Needs scapy: apt install python3-scapy, or pip install scapy.
"""
import os
import struct
import sys

from scapy.all import DNS, DNSQR, DNSRR, IP, TCP, UDP, Ether, Raw, wrpcap

HOST, ROUTER = "192.168.1.20", "192.168.1.1"
WEB, DATABASE, CLOCK = "203.0.113.80", "192.168.1.30", "192.0.2.123"
START = 1700000000.0  # 2023-11-14 22:13:20 UTC
PACKETS = []


def put(time, src, dst, layer):
    """One frame, `time` seconds after the start."""
    macs = {HOST: "02:00:00:00:00:20", DATABASE: "02:00:00:00:00:30"}
    frame = Ether(src=macs.get(src, "02:00:00:00:00:01"), dst=macs.get(dst, "02:00:00:00:00:01"))
    frame = frame / IP(src=src, dst=dst, id=len(PACKETS) + 1, ttl=64 if src == HOST else 57) / layer
    frame = Ether(bytes(frame))
    frame.time = START + time
    PACKETS.append(frame)


class Connection:
    """A TCP connection of HOST to a server; every step says when."""

    def __init__(self, server, sport, dport, rtt):
        self.server, self.ports, self.rtt = server, (sport, dport), rtt
        self.seq = {HOST: 1000, server: 5000}

    def send(self, time, src, flags, data=b"", options=()):
        dst = self.server if src == HOST else HOST
        sport, dport = self.ports if src == HOST else self.ports[::-1]
        ack = self.seq[dst] if "A" in flags else 0
        put(time, src, dst, TCP(sport=sport, dport=dport, flags=flags, seq=self.seq[src], ack=ack,
                                window=64240, options=list(options)) / Raw(data))
        self.seq[src] += len(data) + ("S" in flags or "F" in flags)

    def open(self, time):
        self.send(time, HOST, "S", options=[("MSS", 1460)])
        self.send(time + self.rtt, self.server, "SA", options=[("MSS", 1460)])
        self.send(time + self.rtt + 0.0001, HOST, "A")

    def close(self, time):
        self.send(time, HOST, "FA")
        self.send(time + self.rtt, self.server, "FA")
        self.send(time + self.rtt + 0.0001, HOST, "A")


def dns_lookup():
    name = DNSQR(qname="www.example.com", qtype="A")
    put(0.000, HOST, ROUTER, UDP(sport=40001, dport=53) / DNS(id=0x1234, rd=1, qd=name))
    answer = DNSRR(rrname="www.example.com", type="A", ttl=300, rdata=WEB)
    put(0.012, ROUTER, HOST, UDP(sport=53, dport=40001) /
        DNS(id=0x1234, qr=1, rd=1, ra=1, qd=name, an=answer))


def http_get():
    body = b"<!doctype html><title>Example</title><p>Hello.</p>\n" * 40
    head = (b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n" % len(body))
    web = Connection(WEB, 40002, 80, 0.020)
    web.open(0.013)
    web.send(0.034, HOST, "PA", b"GET /index.html?from=demo HTTP/1.1\r\nHost: www.example.com\r\n"
             b"User-Agent: demo\r\nAccept: */*\r\n\r\n")
    web.send(0.054, WEB, "A")
    answer = head + body
    web.send(0.069, WEB, "A", answer[:1460])
    web.send(0.0691, WEB, "PA", answer[1460:])
    web.send(0.0692, HOST, "A")
    web.close(0.100)


def database_query():
    database = Connection(DATABASE, 40003, 5432, 0.0004)
    database.open(0.200)
    database.send(0.201, HOST, "PA", struct.pack("!I", 100) + bytes(96))
    database.send(0.205, DATABASE, "PA", bytes(900))
    database.send(0.2052, HOST, "A")
    database.close(0.300)


def clock_query():
    put(0.500, HOST, CLOCK, UDP(sport=40004, dport=123) / Raw(b"\x23" + bytes(47)))
    put(0.531, CLOCK, HOST, UDP(sport=123, dport=40004) / Raw(b"\x24\x01" + bytes(46)))


def main():
    out = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(__file__), "demo.pcap")
    dns_lookup()
    http_get()
    database_query()
    clock_query()
    wrpcap(out, PACKETS, linktype=1)


if __name__ == "__main__":
    main()
