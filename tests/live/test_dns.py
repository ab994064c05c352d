#!/usr/bin/env python3
"""test_dns.py - live DNS: dig and dnsperf against dnsmasq, and datagrams of our own, watched on the
client's host and on the server's at once.
"""
import re
import socket
import struct
import time

import lab
from lab import B4, B6, DEAD4, between, eq, same

ns_a = ns_b = None


def setup():
    global ns_a, ns_b
    lab.need('dnsmasq', 'dig')
    ns_a, ns_b = lab.pair()


class Watched:
    """Both hosts watched and dnsmasq running, for the length of a with; then .a and .b are points."""

    def __init__(self, *args, ports=(53,)):
        self.args, self.ports = args, ports

    def __enter__(self):
        for port in self.ports:
            ns_b.start(['dnsmasq', '--keep-in-foreground', '--conf-file=/dev/null', '--no-resolv',
                        '--no-hosts', '--log-facility=-', '--user=root', '--pid-file=',
                        '--port=%d' % port, '--address=/a.test/192.0.2.1',
                        '--address=/a.test/2001:db8::1', '--local=/test/', '--cache-size=0',
                        '--txt-record=big.test,' + ','.join('x' * 200 for _ in range(8)),
                        '--dns-forward-max=1000', '--edns-packet-max=1232'])
        for port in self.ports:
            ns_b.wait_listening(port)
            ns_b.wait_listening(port, 'udp')
        self.flowlines = [lab.Flowline(ns, *self.args) for ns in (ns_a, ns_b)]
        return self

    def __exit__(self, *unused):
        time.sleep(0.1)
        self.a, self.b = (f.stop() for f in self.flowlines)
        lab.stop_processes()

    def check(self, want):
        for name, points, direction in (('client', self.a, 'outgoing'), ('server', self.b, 'incoming')):
            same(name + "'s dnsflow", points.dns(), want)
            eq(name + ' directions', {p.tags['direction'] for p in points.where('dnsflow')}, {direction})


def dig(*args):
    return ns_a.quietly(['dig', '+tries=1', '+time=2'] + list(args)).stdout


def query(name, number, kind=1):
    labels = b''.join(struct.pack('B', len(p)) + p.encode() for p in name.split('.')) + b'\0'
    return struct.pack('>6H', number, 0x0100, 1, 0, 0, 0) + labels + struct.pack('>2H', kind, 1)


def test_answers():
    """What dig was told: rcode by rcode."""
    codes = {'NOERROR': 0, 'NXDOMAIN': 3, 'NOTIMP': 4, 'REFUSED': 5}
    want = {}

    def ask(server, name, kind, *more):
        said = dig('@' + server, name, kind, *more)
        key = (name.lower(), kind, codes[re.search(r'status: (\w+)', said).group(1)])
        want[key] = (want.get(key, (0, 0))[0] + 1, 0)

    with Watched() as w:
        for server in (B4, B6):
            ask(server, 'a.test', 'A')
            ask(server, 'A.Test', 'AAAA', '+noedns')
            ask(server, 'nothing.here.test', 'A')
            ask(server, 'a.test', 'TYPE65280')
        ask(B4, 'elsewhere.example', 'MX')
        ask(B4, '7.100.51.198.in-addr.arpa', 'PTR')
    eq('queries', sum(v[0] for v in want.values()), 10)
    eq('rcodes', {0, 3, 5} <= {k[2] for k in want}, True)
    w.check(want)
    for p in w.a.where('dnsflow'):
        between('latency', p.fields['latency'], 1000, 500e6)
        between('latency_max', p.fields['latency_max'], p.fields['latency'], 500e6)
    eq('transports', {p.tags['transport'] for p in w.a.where('dnsflow')}, {'udp'})
    eq('families', {p.tags['family'] for p in w.a.where('dnsflow')}, {'IPv4', 'IPv6'})


def test_tcp():
    """TCP at once; TCP after a truncated answer; several queries in one connection, by bytes."""
    with Watched() as w:
        dig('@' + B4, '+tcp', 'a.test', 'A')
        dig('@' + B6, '+tcp', 'no.test', 'AAAA')
        dig('@' + B4, '+bufsize=512', 'big.test', 'TXT')
        s = ns_a.connect(B4, 53)
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        ask = b''.join(struct.pack('>H', len(q)) + q for q in (query('a.test', n) for n in range(1, 21)))
        s.sendall(ask[:25])
        for i in range(25, len(ask), 13):
            time.sleep(0.001)
            s.sendall(ask[i:i + 13])
        for _ in range(20):
            n, = struct.unpack('>H', s.recv(2, socket.MSG_WAITALL))
            s.recv(n, socket.MSG_WAITALL)
        s.close()
    w.check({('a.test', 'A', 0): (21, 0), ('no.test', 'AAAA', 3): (1, 0), ('big.test', 'TXT', 0): (2, 0)})
    for p in (w.a, w.b):
        by = {t: p.where('dnsflow', transport=t).sum('count') for t in ('tcp', 'udp')}
        eq('by transport', by, {'tcp': 23, 'udp': 1})


def test_dead_server():
    """Nobody answers: one transaction with its retries, rcode -1, no latency."""
    f = lab.Flowline(ns_a, '--dns-timeout', '2s')
    ns_a.quietly(['dig', '@' + DEAD4, '+tries=3', '+time=1', 'dead.test', 'A'])
    s = ns_a.socket(socket.AF_INET, socket.SOCK_DGRAM)
    for _ in range(4):
        s.sendto(query('again.test', 77), (DEAD4, 53))
        time.sleep(0.2)
    s.sendto(query('other.test', 78), (DEAD4, 53))
    s.close()
    p = f.stop()
    got = p.dns()
    same('own', {k: v for k, v in got.items() if k[0] != 'dead.test'},
         {('again.test', 'A', -1): (1, 3), ('other.test', 'A', -1): (1, 0)})
    # dig takes a new socket for each try, or the same one: either way three datagrams
    eq('datagrams of dig', sum(got.get(('dead.test', 'A', -1), (0, 0))), 3)
    eq('latency', p.where('dnsflow').has('latency'), [])


def test_late_and_twice():
    """An answer to a query sent twice; two answers; an answer that nobody asked for."""
    with ns_b:
        server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind((B4, 53))
    server.settimeout(5)
    both = [lab.Flowline(ns) for ns in (ns_a, ns_b)]
    s = ns_a.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.connect((B4, 53))
    s.send(query('twice.test', 5))
    time.sleep(0.3)
    s.send(query('twice.test', 5))
    q, peer = server.recvfrom(512)
    answer = q[:2] + b'\x81\x80' + q[4:]
    for _ in range(2):
        server.sendto(answer, peer)
    server.sendto(b'\x00\x99' + answer[2:], peer)
    time.sleep(0.2)
    for name, f in zip(('client', 'server'), both):
        p = f.stop()
        same(name, p.dns(), {('twice.test', 'A', 0): (1, 1)})
        between(name + ' latency', p.where('dnsflow').sum('latency'), 300e6, 400e6)
        eq(name + ' orphans', p.where('flowline').sum('dns_orphans') >= 1, True)
        eq(name + ' datagrams', sorted(p.where('netflow').sums('packets_written', 'packets_read')), [2, 3])
    server.close()
    s.close()


def test_burst():
    """dnsperf as fast as it can for a second: every query is in the points, and only these."""
    lab.need('dnsperf')
    path = lab.scratch + '/queries'
    with open(path, 'w') as f:
        for i in range(500):
            f.write('a.test A\na.test AAAA\nn%d.test A\n' % i)
    with Watched() as w:
        said = ns_a.run(['dnsperf', '-s', B4, '-d', path, '-l', '1', '-Q', '20000', '-q', '50'])
    sent, done = (int(re.search(r'Queries %s:\s+(\d+)' % k, said).group(1)) for k in ('sent', 'completed'))
    codes = {k: int(v) for k, v in re.findall(r'(NOERROR|NXDOMAIN) (\d+)', said)}
    for name, p in (('client', w.a), ('server', w.b)):
        got = p.dns()
        eq(name + ' dropped', p.where('flowline').sum('packets_dropped_kernel'), 0)
        eq(name + ' queries', sum(v[0] for v in got.values()), sent)
        eq(name + ' answered', sum(v[0] for k, v in got.items() if k[2] >= 0), done)
        eq(name + ' rcodes', [sum(v[0] for k, v in got.items() if k[2] == c) for c in (0, 3)],
           [codes.get('NOERROR', 0), codes.get('NXDOMAIN', 0)])
        eq(name + ' retries', sum(v[1] for v in got.values()), 0)


def test_other_port():
    with Watched('--dns-ports', '53,5300', ports=(5300,)) as w:
        dig('@' + B4, '-p', '5300', 'a.test', 'A')
        dig('@' + B4, '-p', '5300', '+tcp', 'a.test', 'A')
    w.check({('a.test', 'A', 0): (2, 0)})


def test_loopback():
    """The client's and the server's host are one: a query on lo is one transaction."""
    with ns_b:
        server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(('127.0.0.1', 53))
    f = lab.Flowline(ns_b)
    s = ns_b.socket(socket.AF_INET, socket.SOCK_DGRAM)
    for i in range(10):
        s.sendto(query('lo%d.test' % i, i), ('127.0.0.1', 53))
        q, peer = server.recvfrom(512)
        server.sendto(q[:2] + b'\x81\x80' + q[4:], peer)
        s.recv(512)
    p = f.stop()
    same('dnsflow', p.dns(), {('lo%d.test' % i, 'A', 0): (1, 0) for i in range(10)})
    eq('type', {(q.tags['src_ip_type'], q.tags['dst_ip_type']) for q in p.where('dnsflow')},
       {('loopback', 'loopback')})
    server.close()
    s.close()


lab.main([
    ('answers', test_answers), ('over TCP', test_tcp), ('dead server', test_dead_server),
    ('sent twice, answered twice', test_late_and_twice), ('burst', test_burst),
    ('another port', test_other_port), ('on lo', test_loopback),
], setup)
