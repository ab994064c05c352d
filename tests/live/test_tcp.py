#!/usr/bin/env python3
"""test_tcp.py - live netflow: senders and receivers that count every byte, iperf3, connections that
come to nothing or to a bad end, and a slow, lossy wire. The judges are the programs themselves and
the kernel's tcp_info.
"""
import json
import os
import signal
import socket
import struct
import threading
import time

import lab
from lab import A4, A6, B4, B6, DEAD4, DEAD6, between, eq
from wire import Wire, tcp_info

MB = 1 << 20
COUNTERS = ('tcp_established', 'tcp_closed', 'tcp_connect_failed', 'tcp_resets')
ns_a = ns_b = None


def setup():
    global ns_a, ns_b
    ns_a, ns_b = lab.pair()


class Watched:
    def __init__(self, *args):
        self.args = args

    def __enter__(self):
        self.flowlines = [lab.Flowline(ns, *self.args) for ns in (ns_a, ns_b)]
        return self

    def __exit__(self, *unused):
        time.sleep(0.1)
        self.a, self.b = (f.stop() for f in self.flowlines)

    def flow(self, at_client=True, **tags):
        return (self.a if at_client else self.b).where('netflow', **tags)

    def check(self, sent, received, counters=(1, 1, 0, 0), **tags):
        """Bytes from the client's side, both hosts; directions and counters too."""
        for name, at_client in (('client', True), ('server', False)):
            p = self.flow(at_client, **tags)
            up, down = ('bytes_written', 'bytes_read')[::1 if at_client else -1]
            eq(name + ': bytes sent by the client', p.sum(up), sent)
            eq(name + ': bytes sent by the server', p.sum(down), received)
            eq(name + ': ' + ', '.join(COUNTERS), p.sums(*COUNTERS), counters)
            eq(name + ' direction', {q.tags['direction'] for q in p},
               {'outgoing' if at_client else 'incoming'})


# --- bytes -------------------------------------------------------------------------------------------

def exchange(address, up, down, listen=None, sendfile=False):
    """The client sends `up` bytes and ends its half; the server then answers with `down`."""
    got = []

    def handle(s):
        got.append(lab.read_all(s))
        if sendfile:
            s.setblocking(True)
            with open('%s/zeros' % lab.scratch, 'rb') as f:
                at = 0
                while at < down:
                    at += os.sendfile(s.fileno(), f.fileno(), at, down - at)
        else:
            s.sendall(b'z' * down)

    listener = lab.serve(ns_b.listen(listen or address, 9000), handle)
    family = socket.AF_INET6 if ':' in address else socket.AF_INET
    s = ns_a.connect(address, 9000, family)
    s.sendall(b'a' * up)
    s.shutdown(socket.SHUT_WR)
    back = lab.read_all(s)
    s.close()
    listener.close()
    eq('what the programs counted', (got, back), ([up], down))


def test_bytes():
    """Both directions, half closed, IPv4."""
    with Watched() as w:
        exchange(B4, 5 * MB + 1, 7 * MB + 3)
    w.check(5 * MB + 1, 7 * MB + 3)
    eq('tags', {(p.tags['family'], p.tags['src_ip'], p.tags['dst_ip'], p.tags['dst_port'],
                 p.tags['src_port']) for p in w.flow()}, {('IPv4', A4, B4, '9000', '*')})
    eq('tags at the server', {(p.tags['src_ip'], p.tags['dst_ip'], p.tags['src_port'],
                               p.tags['dst_port']) for p in w.flow(False)}, {(B4, A4, '9000', '*')})


def test_ipv6():
    with Watched() as w:
        exchange(B6, MB, 2 * MB)
    w.check(MB, 2 * MB, family='IPv6', src_ip_type='private')
    eq('addresses', {(p.tags['src_ip'], p.tags['dst_ip']) for p in w.flow()}, {(A6, B6)})


def test_mapped():
    """IPv6 sockets that speak IPv4: it is IPv4."""
    with Watched() as w:
        exchange('::ffff:' + B4, 1000, 100000, listen='::')
    w.check(1000, 100000, family='IPv4')
    eq('addresses', {(p.tags['src_ip'], p.tags['dst_ip']) for p in w.flow()}, {(A4, B4)})


def test_sendfile():
    with open('%s/zeros' % lab.scratch, 'wb') as f:
        f.truncate(30 * MB)
    with Watched() as w:
        exchange(B4, 10, 30 * MB, sendfile=True)
    w.check(10, 30 * MB)


def test_open_before():
    """A connection older than the run: bytes from now on, neither established nor, yet, closed."""
    listener = ns_b.listen(B4, 9000)
    s = ns_a.connect(B4, 9000)
    t, _ = listener.accept()
    s.sendall(b'x' * 1000)
    lab.exactly(t, 1000)
    with Watched() as w:
        s.sendall(b'x' * 2000)
        lab.exactly(t, 2000)
        t.sendall(b'y' * 300)
        lab.exactly(s, 300)
    w.check(2000, 300, (0, 0, 0, 0))
    with Watched() as w:
        s.close()
        t.close()
    w.check(0, 0, (0, 1, 0, 0))
    listener.close()


def test_udp():
    """Datagrams of all sizes, up to fragments: payload and packets to the one."""
    sizes = [0, 1, 100, 1472, 1473, 5000, 65507] * 20
    sink = ns_b.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sink.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 * MB)
    sink.bind((B4, 9001))
    with Watched() as w:
        s = ns_a.socket(socket.AF_INET, socket.SOCK_DGRAM)
        for n in sizes:
            s.sendto(b'u' * n, (B4, 9001))
            eq('datagram', len(sink.recv(70000)), n)
    fragments = [(n + 8 + 1479) // 1480 for n in sizes]
    for at_client, up, none in ((True, 'written', 'read'), (False, 'read', 'written')):
        p = w.flow(at_client, transport='udp')
        eq('bytes', p.sums('bytes_' + up, 'bytes_' + none), (sum(sizes), 0))
        eq('packets', p.sums('packets_' + up, 'packets_' + none), (sum(fragments), 0))
        eq('TCP fields of UDP', p.has('tcp_established') + p.has('retransmits') + p.has('rtt'), [])


def iperf(w, *args):
    server = ns_b.start(['iperf3', '-s', '-1'])
    ns_b.wait_listening(5201)
    said = json.loads(ns_a.run(['iperf3', '-c', B4, '-J', '--cport', '40404'] + list(args)))
    server.wait(10)
    return said['end']


COOKIE = 37  # what iperf3 sends first on each of its TCP connections


def check_iperf(w, up, down):
    """The data connection to the byte; the control connection is another flow."""
    for name, at_client in (('client', True), ('server', False)):
        port = {'src_port' if at_client else 'dst_port': '40404'}
        p = w.flow(at_client, transport='tcp', **port)
        names = ('bytes_written', 'bytes_read')[::1 if at_client else -1]
        for what, field, (low, high) in (('up', names[0], up), ('down', names[1], down)):
            between('%s: bytes %s' % (name, what), p.sum(field), low, high)
        eq(name + ' established', p.sum('tcp_established'), 1)
        eq(name + ' connections', w.flow(at_client, transport='tcp').sum('tcp_established'), 2)


def test_iperf_tcp():
    lab.need('iperf3')
    for reverse in ((), ('-R',)):
        with Watched('--no-fold') as w:
            end = iperf(w, '-n', '40M', *reverse)
        # What was written but not delivered when the sides ended may not have been sent.
        data = (end['sum_received']['bytes'], end['sum_sent']['bytes'])
        up, down = (COOKIE, COOKIE), data
        if not reverse:
            up, down = (data[0] + COOKIE, data[1] + COOKIE), (0, 0)
        check_iperf(w, up, down)


def test_iperf_udp():
    lab.need('iperf3')
    with Watched('--no-fold') as w:
        end = iperf(w, '-u', '-b', '200M', '-n', '20M', '-l', '1200')
    for name, at_client in (('client', True), ('server', False)):
        up, down = ('written', 'read')[::1 if at_client else -1]
        p = w.flow(at_client, transport='udp')
        # and the datagram of 4 bytes each way with which iperf3 begins
        eq(name + ' bytes', p.sums('bytes_' + up, 'bytes_' + down), (end['sum']['bytes'] + 4, 4))
        eq(name + ' packets', p.sums('packets_' + up, 'packets_' + down), (end['sum']['packets'] + 1, 1))


def test_loopback():
    """Both ends here: each packet once, src is the client; IPv4 and IPv6, TCP and UDP."""
    f = lab.Flowline(ns_a)
    before = ns_a.sent_again()
    for address in ('127.0.0.1', '::1', A4):
        listener = lab.serve(ns_a.listen(address, 9000), lambda s: (lab.read_all(s), s.sendall(b'y' * 777)))
        s = ns_a.connect(address, 9000)
        s.sendall(b'x' * 3 * MB)
        s.shutdown(socket.SHUT_WR)
        lab.read_all(s)
        s.close()
        listener.close()
        family = socket.AF_INET6 if ':' in address else socket.AF_INET
        u, v = ns_a.socket(family, socket.SOCK_DGRAM), ns_a.socket(family, socket.SOCK_DGRAM)
        u.bind((address, 9001))
        for i in range(100):
            v.sendto(b'd' * 10, (address, 9001))
            u.recv(100)
    p = f.stop()
    for address in ('127.0.0.1', '::1', A4):
        q = p.where('netflow', src_ip=address, dst_ip=address, transport='tcp', dst_port='9000')
        eq(address + ' bytes', q.sums('bytes_written', 'bytes_read'), (3 * MB, 777))
        eq(address + ' counters', q.sums(*COUNTERS), (1, 1, 0, 0))
        q = p.where('netflow', src_ip=address, transport='udp')
        eq(address + ' datagrams', q.sums('packets_written', 'bytes_written'), (100, 1000))
    eq('directions', {q.tags['direction'] for q in p.where('netflow')}, {'outgoing'})
    eq('sent again', sum(p.where('netflow').sums('retransmits', 'retransmits_peer')),
       ns_a.sent_again() - before)


# --- ends that are not good --------------------------------------------------------------------------

def test_refused():
    with Watched() as w:
        for address in (B4, B6):
            s = ns_a.socket(socket.AF_INET6 if ':' in address else socket.AF_INET)
            eq('connect', s.connect_ex((address, 9)), 111)
            s.close()
    for family in ('IPv4', 'IPv6'):
        w.check(0, 0, (0, 0, 1, 0), family=family)


def test_black_hole():
    """SYNs into nothing: one attempt that failed, its SYNs sent again counted."""
    with Watched() as w:
        for address in (DEAD4, DEAD6):
            s = ns_a.socket(socket.AF_INET6 if ':' in address else socket.AF_INET)
            s.settimeout(3.4)
            try:
                s.connect((address, 80))
                lab.fail('connected to nobody')
            except socket.timeout:
                pass
            s.close()
    for address in (DEAD4, DEAD6):
        p = w.flow(dst_ip=address)
        eq(address + ' counters', p.sums(*COUNTERS), (0, 0, 1, 0))
        sent = p.sum('packets_written')
        between(address + ' SYNs', sent, 2, 4)
        eq(address + ' SYNs sent again', p.sum('tcp_syn_retransmits'), sent - 1)
        eq(address + ' latency, rtt', p.has('connect_latency') + p.has('rtt'), [])


def test_reset():
    """A RST in the middle, from either side; and instead of a FIN with data unread."""
    def reset(s):
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
        s.close()

    with Watched('--no-fold') as w:
        for i in range(2):
            listener = ns_b.listen(B4, 9100 + i)
            s = ns_a.connect(B4, 9100 + i)
            t, _ = listener.accept()
            s.sendall(b'x' * 500)
            lab.exactly(t, 500)
            reset(t if i else s)
            time.sleep(0.05)
            (s if i else t).close()
            listener.close()
    for i in range(2):
        port = str(9100 + i)
        for at_client, tag in ((True, 'dst_port'), (False, 'src_port')):
            eq('reset by ' + ('server' if i else 'client'),
               w.flow(at_client, **{tag: port}).sums(*COUNTERS), (1, 1, 0, 1))


def test_many_reused():
    """200 connections one after another from one port: each is one."""
    listener = lab.serve(ns_b.listen(B4, 9000), lambda s: (s.recv(100), s.sendall(b'y' * 50)))
    with Watched('--no-fold') as w:
        for _ in range(200):
            s = ns_a.socket()
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
            s.bind((A4, 41000))
            s.connect((B4, 9000))
            s.sendall(b'x' * 20)
            lab.read_all(s)
            s.close()
    listener.close()
    for name, at_client in (('client', True), ('server', False)):
        p = w.flow(at_client)
        eq(name, p.sums('tcp_established', 'tcp_closed', 'tcp_connect_failed'), (200, 200, 0))
        eq(name + ' bytes', sorted(p.sums('bytes_written', 'bytes_read')), [200 * 20, 200 * 50])


# --- a slow and lossy wire ---------------------------------------------------------------------------

PACKETS = ('--set', 'capture.mode=packet')


def over_wire(wire, up, down, rounds, *args):
    """Transfers in turns; returns the points of both sides and both sockets' tcp_info at the end."""
    flowlines = [lab.Flowline(ns, *args) for ns in (wire.c, wire.d)]
    listener = wire.d.listen('10.72.0.2', 9000)
    s = wire.c.socket()
    s.settimeout(60)
    s.connect(('10.72.0.2', 9000))
    t, _ = listener.accept()
    t.settimeout(60)

    def server():
        for _ in range(rounds):
            lab.exactly(t, up)
            t.sendall(b'y' * down)

    thread = threading.Thread(target=server)
    thread.start()
    for _ in range(rounds):
        s.sendall(b'x' * up)
        lab.exactly(s, down)
    thread.join()
    time.sleep(0.3)
    infos = tcp_info(s), tcp_info(t)
    points = [f.stop().where('netflow') for f in flowlines]
    s.close()
    t.close()
    listener.close()
    return points, infos


def test_delay():
    """20 ms: connect_latency, rtt. Seen from the client's host, and (no time passes) the server's."""
    wire = Wire(0.010, 0)
    try:
        (a, b), infos = over_wire(wire, 100, 100, 40, *PACKETS)
    finally:
        wire.end()
    eq('bytes', a.sums('bytes_written', 'bytes_read'), (4000, 4000))
    most = 22000 + 2e6 * wire.late  # a busy machine carries late
    between('connect_latency at the client, us', a.has('connect_latency')[0], 20000, most)
    between('connect_latency at the server, us', b.has('connect_latency')[0], 20000, most)
    between('rtt at the client, us (kernel: %d)' % infos[0][0], a.has('rtt')[-1], 20000, most)
    # the last answer is acknowledged late (RFC 9293 section 3.8.6.3): the kernel sees the same
    for name, p, info in (('client', a, infos[0]), ('server', b, infos[1])):
        between('%s: rtt, us' % name, p.has('rtt')[-1], info[0] * 0.9, info[0] * 1.1)
    eq('sent again', a.sums('retransmits', 'retransmits_peer'), (0, 0))


def test_delay_auto():
    """The same where the kernel tells what it can: rtt is its own, at both ends."""
    wire = Wire(0.010, 0)
    try:
        (a, b), infos = over_wire(wire, 100, 100, 40)
    finally:
        wire.end()
    most = 22000 + 2e6 * wire.late
    eq('bytes', a.sums('bytes_written', 'bytes_read'), (4000, 4000))
    eq('bytes at the server', b.sums('bytes_written', 'bytes_read'), (4000, 4000))
    between('connect_latency at the client, us', a.has('connect_latency')[0], 20000, most)
    for name, p, info in (('client', a, infos[0]), ('server', b, infos[1])):
        between('%s: rtt, us' % name, p.has('rtt')[-1], info[0] * 0.9 - 50, info[0] * 1.1 + 50)
    eq('sent again', a.sum('retransmits') + b.sum('retransmits'), infos[0][2] + infos[1][2])


def test_loss():
    """2% lost both ways: bytes once, and as many segments sent again as the kernel says."""
    wire = Wire(0.005, 0.02)
    try:
        (a, b), infos = over_wire(wire, 400000, 300000, 2, *PACKETS)
    finally:
        wire.end()
    if not wire.lost:
        lab.fail('the wire lost nothing')
    for name, p, own, ways in (('client', a, infos[0][2], 1), ('server', b, infos[1][2], -1)):
        eq(name + ' bytes', p.sums('bytes_written', 'bytes_read'), (800000, 600000)[::ways])
        eq(name + ' sent again, as its kernel says', p.sum('retransmits') + p.sum('tcp_syn_retransmits'),
           own)
    # what the other end sent again is seen where it arrives, and where the original was seen or passed by
    for name, p, far in (('client', a, infos[1][2]), ('server', b, infos[0][2])):
        between(name + ': sent again by the other end, of %d' % far, p.sum('retransmits_peer'),
                far * 0.5, far)


# --- loss in the kernel ------------------------------------------------------------------------------

def test_drops():
    """A ring that nobody reads overflows: what was dropped is said, and with it the sum is right."""
    f = lab.Flowline(ns_a, '-i', 'va', '--ring-size', '512K', *PACKETS)
    f.process.send_signal(signal.SIGSTOP)
    s = ns_a.socket(socket.AF_INET, socket.SOCK_DGRAM)
    for _ in range(20000):
        s.sendto(b'd' * 100, (DEAD4, 9))
    s.close()
    f.process.send_signal(signal.SIGCONT)
    time.sleep(0.5)
    p = f.stop()
    dropped = p.where('flowline').sum('packets_dropped_kernel')
    between('dropped', dropped, 1000, 20000)
    eq('counted and dropped', p.where('netflow').sum('packets_written') + dropped, 20000)
    eq('seen', p.where('flowline').sum('packets_seen'), 20000)
    eq('said', 'the kernel has dropped' in f.said() and '--ring-size' in f.said(), True)


lab.main([
    ('bytes', test_bytes), ('IPv6', test_ipv6), ('v4-mapped', test_mapped), ('sendfile', test_sendfile),
    ('open before', test_open_before), ('UDP', test_udp), ('iperf3, TCP', test_iperf_tcp),
    ('iperf3, UDP', test_iperf_udp), ('lo', test_loopback), ('refused', test_refused),
    ('black hole', test_black_hole), ('reset', test_reset), ('one port, many', test_many_reused),
    ('20 ms', test_delay), ('20 ms, auto', test_delay_auto), ('2% lost', test_loss), ('kernel drops', test_drops),
], setup)
