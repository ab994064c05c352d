"""wire.py - a slow and lossy wire between two namespaces, carried in user space: not every kernel has netem.

Python 3.6 and newer, no third-party packages.
"""
import heapq
import random
import select
import socket
import struct
import threading
import time

import lab

MB = 1 << 20


class Wire:
    """Two veths, and frames carried between them in user space: late by `delay` seconds each way,
    and some of them lost. No offload, so a frame is a segment."""

    def __init__(self, delay, loss, seed=1):
        lab.need('ethtool')
        self.delay, self.loss, self.random = delay, loss, random.Random(seed)
        self.lost = self.late = 0
        self.c, self.d, self.m = (lab.Namespace(n) for n in 'cdm')
        lab.veth(self.c, 'vc', self.m, 'mc', ('10.72.0.1/24',))
        lab.veth(self.d, 'vd', self.m, 'md', ('10.72.0.2/24',))
        for ns, name in ((self.c, 'vc'), (self.m, 'mc'), (self.d, 'vd'), (self.m, 'md')):
            ns.run(['ethtool', '-K', name, 'tx', 'off', 'tso', 'off', 'gso', 'off', 'gro', 'off'])
        self.taps = []
        for name in ('mc', 'md'):
            self.m.run(['sysctl', '-qw', 'net.ipv6.conf.%s.disable_ipv6=1' % name])
            self.m.ip('link set dev %s promisc on' % name)
            tap = self.m.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
            with self.m:
                tap.bind((name, 3))
            tap.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * MB)
            tap.setblocking(False)
            self.taps.append(tap)
        self.c.ip('neigh add 10.72.0.2 lladdr %s nud permanent dev vc' % self.mac(self.d, 'vd'))
        self.d.ip('neigh add 10.72.0.1 lladdr %s nud permanent dev vd' % self.mac(self.c, 'vc'))
        self.running = True
        self.thread = threading.Thread(target=self.carry, daemon=True)
        self.thread.start()

    @staticmethod
    def mac(ns, name):
        words = ns.ip('link show dev ' + name).split()
        return words[words.index('link/ether') + 1]

    def carry(self):
        queue, n = [], 0
        while self.running:
            now = time.monotonic()
            while queue and queue[0][0] <= now:
                due, _, tap, frame = heapq.heappop(queue)
                self.late = max(self.late, now - due)
                try:
                    tap.send(frame)
                except OSError:
                    pass
            # a little early, then awake: a sleep is never exact
            pause = max(0, queue[0][0] - time.monotonic() - 0.0003) if queue else 0.02
            for tap in select.select(self.taps, [], [], min(pause, 0.02))[0]:
                while True:
                    try:
                        frame, where = tap.recvfrom(65535)
                    except BlockingIOError:
                        break
                    if where[2] == socket.PACKET_OUTGOING:
                        continue
                    if self.random.random() < self.loss:
                        self.lost += 1
                        continue
                    n += 1
                    other = self.taps[1 - self.taps.index(tap)]
                    heapq.heappush(queue, (time.monotonic() + self.delay, n, other, frame))

    def end(self):
        self.running = False
        self.thread.join()
        for tap in self.taps:
            tap.close()
        for ns in (self.c, self.d, self.m):
            lab.quietly(['ip', 'netns', 'del', ns.name])
            lab.Namespace.made.remove(ns)


def tcp_info(s):
    """rtt and rttvar in us, and segments sent again, of struct tcp_info (linux/tcp.h)."""
    info = s.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
    words = struct.unpack('=8B24I', info[:104])[8:]
    return words[15], words[16], words[23]
