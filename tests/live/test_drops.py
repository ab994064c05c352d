#!/usr/bin/env python3
"""test_drops.py - live: the packet ring drops frames, and the bytes of the connections that are open stay exact
(collector/repair.h). A flowline with the smallest ring is stopped while programs send more than it holds, or
overwhelmed without that; the judges are the programs themselves.
"""
import os
import signal
import socket
import threading
import time

import lab
from backends import spare, write_text
from lab import A4, A6, B4, B6, between, eq
from test_old_kernel import OLD_KERNEL

MB = 1 << 20
SMALL, SENDS = 150, 12000  # more frames than the smallest ring holds
ns_a = ns_b = None


def setup():
    global ns_a, ns_b
    ns_a, ns_b = lab.pair()
    for ns in (ns_a, ns_b):
        forward(ns, 0)


def forward(ns, on):
    for name in ('ipv4/ip_forward', 'ipv6/conf/all/forwarding'):
        ns.run(['sh', '-c', 'echo %d >/proc/sys/net/%s' % (on, name)])


def flowline(ns, *args, mode='packet'):
    return lab.Flowline(ns, '--set', 'capture.mode=' + mode, '--ring-size', '512k', *args)


class Pair:
    """A connection whose ends count what they send; each side reads all that comes."""

    def __init__(self, client, server, address, port):
        listener = server.listen(address, port)
        self.ends = [client.connect(address, port)]
        self.ends.append(listener.accept()[0])
        listener.close()
        self.sent = [0, 0]
        for s in self.ends:
            s.settimeout(20 * lab.SLOW)
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, end, size, times=1):
        def read():
            lab.exactly(self.ends[1 - end], size * times)
        reader = threading.Thread(target=read)
        reader.start()
        for _ in range(times):
            self.ends[end].sendall(b'\xfe' * size)
        reader.join()
        self.sent[end] += size * times

    def shut(self, end):
        self.ends[end].shutdown(socket.SHUT_WR)

    def close(self):
        for s in self.ends:
            s.close()


def overrun(f, work):
    """Nobody reads the ring meanwhile."""
    f.process.send_signal(signal.SIGSTOP)
    work()
    f.process.send_signal(signal.SIGCONT)
    time.sleep(2.5 * lab.SLOW)  # a list at once, and one more


def self_sums(points, *fields):
    return points.where('flowline', source='ring').sums(*fields)


def check(points, p, port, local='src', repaired=True):
    dropped, counted = self_sums(points, 'packets_dropped_kernel', 'bytes_repaired')
    between('frames dropped', dropped, 1000, 1 << 30)
    flow = points.where('netflow', **{'dst_port' if local == 'src' else 'src_port': str(port)})
    got = flow.sums('bytes_written', 'bytes_read')
    want = tuple(p.sent[::1 if local == 'src' else -1])
    if repaired:
        between('bytes repaired', counted, 1, 1 << 40)
        eq('bytes', got, want)
    else:
        eq('bytes repaired', counted, 0)
        eq('no more than was sent', got[0] < want[0] and got[1] <= want[1], True)
    return flow


def busy(p):
    p.send(0, SMALL, SENDS)
    p.send(0, 24 * MB + 3)
    p.send(1, 12 * MB + 5)


def lossy(ns, address, local='src', client=None, server=None, port=9000):
    """Open and close are seen, what is between is not."""
    f = flowline(ns)
    again = [n.sent_again() for n in (ns_a, ns_b)]
    p = Pair(client or ns_a, server or ns_b, address, port)
    p.send(0, 1000)
    p.send(1, 70000)
    overrun(f, lambda: busy(p))
    p.send(0, 777)
    p.send(1, 5)
    p.close()
    time.sleep(0.3 * lab.SLOW)
    points = f.stop()
    flow = check(points, p, port, local)
    eq('connections', flow.sums('tcp_established', 'tcp_closed', 'tcp_resets'), (1, 1, 0))
    again = sum(n.sent_again() for n in (ns_a, ns_b)) - sum(again)
    between('retransmissions', sum(flow.sums('retransmits', 'retransmits_peer')), 0, again)


def test_client():
    lossy(ns_a, B4)


def test_server():
    lossy(ns_b, B6, local='dst')


def test_loopback():
    """Both ends are here: two sockets tell of one connection."""
    lossy(ns_a, A6, client=ns_a, server=ns_a)


def test_half_closed():
    """The server's FIN is dropped, the client goes on."""
    f = flowline(ns_a)
    p = Pair(ns_a, ns_b, B4, 9001)
    p.send(1, 1000)

    def work():
        busy(p)
        p.shut(1)
        p.send(0, SMALL, SENDS)
    overrun(f, work)
    p.send(0, 4321)
    time.sleep(0.3 * lab.SLOW)
    points = f.stop()
    p.close()
    check(points, p, 9001)


def test_closed_at_once():
    """Perhaps before any list: the FINs tell what was in front of them."""
    f = flowline(ns_a)
    other = Pair(ns_a, ns_b, B4, 9008)
    pairs = [Pair(ns_a, ns_b, address, 9010 + i) for i, address in enumerate((B4, B6, B4))]
    overrun(f, lambda: busy(other))
    f.process.send_signal(signal.SIGSTOP)
    busy(other)
    for p in pairs:
        p.send(0, SMALL, 100)
        p.send(1, MB + 7)
    f.process.send_signal(signal.SIGCONT)
    time.sleep(0.3 * lab.SLOW)  # the ring has room again
    for p in pairs:
        p.close()
    time.sleep(1.5 * lab.SLOW)
    points = f.stop()
    other.close()
    for i, p in enumerate(pairs):
        flow = check(points, p, 9010 + i)
        eq('connections', flow.sums('tcp_established', 'tcp_closed', 'tcp_resets'), (1, 1, 0))


def test_open_before():
    """Open before the start, and silent at the first list. What an earlier list has counted is not counted
    again."""
    p = Pair(ns_a, ns_b, B4, 9002)
    p.send(0, 9 * MB)
    other = Pair(ns_a, ns_b, B4, 9003)
    p.sent = [0, 0]
    f = flowline(ns_a)
    p.send(0, 5000)
    p.send(1, 6000)
    time.sleep(0.3 * lab.SLOW)
    overrun(f, lambda: busy(other))
    overrun(f, lambda: busy(p))
    p.send(0, 10)
    overrun(f, lambda: busy(p))
    other.close()
    p.close()
    time.sleep(0.3 * lab.SLOW)
    points = f.stop()
    check(points, p, 9002)


def test_overwhelmed():
    """Without a stop: many connections send at once, and the loop has little of the machine."""
    f = flowline(ns_a)
    os.setpriority(os.PRIO_PROCESS, f.process.pid, 19)
    pairs = [Pair(ns_a, ns_b, B4, 9100 + i) for i in range(4)]
    threads = [threading.Thread(target=p.send, args=(0, SMALL, SENDS)) for p in pairs]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    f.process.send_signal(signal.SIGSTOP)  # to be sure
    for p in pairs:
        p.send(1, SMALL, SENDS)
    f.process.send_signal(signal.SIGCONT)
    time.sleep(2.5 * lab.SLOW)
    for p in pairs:
        p.close()
    time.sleep(0.3 * lab.SLOW)
    points = f.stop()
    for i, p in enumerate(pairs):
        check(points, p, 9100 + i)


def test_at_the_end():
    """The run ends before any list: the last one is taken then."""
    f = flowline(ns_a, '--set', 'processes.enabled=false')
    p = Pair(ns_a, ns_b, B4, 9004)
    f.process.send_signal(signal.SIGSTOP)
    busy(p)
    f.process.send_signal(signal.SIGINT)
    f.process.send_signal(signal.SIGCONT)
    points = f.stop(signal.SIGCONT)
    p.close()
    check(points, p, 9004)


def test_forwarding():
    """A host that forwards may translate addresses: nothing is repaired there."""
    forward(ns_a, 1)
    try:
        f = flowline(ns_a)
        p = Pair(ns_a, ns_b, B4, 9005)
        overrun(f, lambda: busy(p))
        p.close()
        check(f.stop(), p, 9005, repaired=False)
        f = flowline(ns_a, '--set', 'kernel.narrow=always')
        p = Pair(ns_a, ns_b, B4, 9006)
        overrun(f, lambda: busy(p))
        p.close()
        check(f.stop(), p, 9006)
    finally:
        forward(ns_a, 0)


def test_not_narrowed():
    """In the socket tier, which counts from packets where nothing is narrowed."""
    f = flowline(ns_a, '--set', 'kernel.narrow=never', mode='socket')
    p = Pair(ns_a, ns_b, B4, 9009)
    overrun(f, lambda: busy(p))
    p.send(0, 99)
    p.close()
    time.sleep(0.3 * lab.SLOW)
    check(f.stop(), p, 9009)


def test_nothing_dropped():
    f = lab.Flowline(ns_a, '--set', 'capture.mode=packet', '-v')
    p = Pair(ns_a, ns_b, B4, 9007)
    p.send(0, SMALL, 500)
    time.sleep(1.5 * lab.SLOW)
    p.close()
    points = f.stop()
    eq('dropped, repaired', self_sums(points, 'packets_dropped_kernel', 'bytes_repaired'), (0, 0))
    eq('bytes', points.where('netflow', dst_port='9007').sum('bytes_written'), SMALL * 500)


def test_old_kernel():
    """As RHEL 7's 3.10 looks: its tcp_info has bytes_acked and bytes_received."""
    if not os.access(OLD_KERNEL, os.X_OK):
        raise lab.Skip('%s is not built' % OLD_KERNEL)
    r = lab.quietly([OLD_KERNEL, '-k', 'el7', '--self-test'])
    if r.returncode == 77:
        raise lab.Skip(r.stdout.strip().splitlines()[0])
    ordinary = lab.FLOWLINE
    path = write_text(spare('old'), '#!/bin/sh\nexec "%s" -k el7 "%s" "$@"\n' % (
        os.path.abspath(OLD_KERNEL), os.path.abspath(ordinary)))
    os.chmod(path, 0o755)
    lab.FLOWLINE = path
    try:
        lossy(ns_a, B6)
    finally:
        lab.FLOWLINE = ordinary


if __name__ == '__main__':
    lab.main([('client', test_client), ('server', test_server), ('loopback', test_loopback),
              ('half closed', test_half_closed), ('closed at once', test_closed_at_once),
              ('open before the start', test_open_before),
              ('overwhelmed', test_overwhelmed), ('at the end', test_at_the_end),
              ('forwarding', test_forwarding), ('not narrowed', test_not_narrowed),
              ('nothing dropped', test_nothing_dropped),
              ('old kernel', test_old_kernel)], setup)
