#!/usr/bin/env python3
"""test_reload.py - live, SIGHUP: a new configuration while traffic goes on loses and doubles nothing;
a bad one changes nothing; interfaces by pattern come and go.
"""
import os
import pty
import signal
import socket
import struct
import threading
import time

import lab
from lab import A4, B4, between, eq

ns_a = ns_b = None


def setup():
    global ns_a, ns_b
    ns_a, ns_b = lab.pair()


class Run(lab.Flowline):
    """A flowline with a configuration file, to be written anew."""

    def __init__(self, text, *args, **more):
        self.conf = '%s/conf.%d.yaml' % (lab.scratch, lab.Flowline.serial)
        self.reloads = 0
        self.write(text)
        more.setdefault('interval', None)
        super().__init__(ns_a, '-c', self.conf, *args, **more)

    def write(self, text):
        with open(self.conf, 'w') as f:
            f.write(text)

    def reload(self, text=None, stays=False):
        if text is not None:
            self.write(text)
        self.reloads += 1
        self.process.send_signal(signal.SIGHUP)
        what = 'the old configuration stays' if stays else 'the new configuration is in force'
        before = self.said().count(what)

        def done():
            said = self.said()
            return said.count('in force') + said.count('old configuration stays') >= self.reloads or \
                self.process.poll() is not None
        lab.wait_until('the reload is done', done)
        if self.process.poll() is not None:
            raise RuntimeError('flowline ended: ' + self.said())
        if not self.said().count(what) >= max(before, 1):
            lab.fail('%s: not said: %s' % (what, self.said()[-600:]))


class Traffic:
    """Datagrams, connections and DNS queries, all counted, until stop()."""

    def __init__(self):
        self.sent = {9001: 0, 9009: 0}
        self.connections = self.bytes = self.queries = 0
        self.end = False
        self.listener = lab.serve(ns_b.listen(B4, 9000), self.answer)
        self.dns = ns_b.socket(kind=socket.SOCK_DGRAM)
        self.dns.bind((B4, 53))
        # Only one thread may enter a namespace: connect().
        self.udp = {port: ns_a.socket(kind=socket.SOCK_DGRAM) for port in self.sent}
        self.asker = ns_a.socket(kind=socket.SOCK_DGRAM)
        self.threads = [threading.Thread(target=t, daemon=True)
                        for t in (self.datagrams, self.connect, self.ask)]
        self.server = threading.Thread(target=self.serve_dns, daemon=True)
        self.dns.settimeout(0.2)
        for t in self.threads + [self.server]:
            t.start()

    @staticmethod
    def answer(s):
        lab.read_all(s)
        s.sendall(b'y' * 500)

    def datagrams(self):
        while not self.end:
            for port, s in self.udp.items():
                for _ in range(4):
                    s.sendto(b'd' * 100, (B4, port))
                    self.sent[port] += 1
            time.sleep(0.001)

    def connect(self):
        while not self.end:
            s = ns_a.connect(B4, 9000)
            for _ in range(5):
                s.sendall(b'x' * 1000)
                time.sleep(0.003)
            s.shutdown(socket.SHUT_WR)
            eq('received', lab.read_all(s), 500)
            s.close()
            self.connections += 1
            self.bytes += 5000

    def ask(self):
        s = self.asker
        while not self.end:
            self.queries += 1
            s.sendto(struct.pack('>6H', self.queries & 0xffff, 0x100, 1, 0, 0, 0) +
                     b'\x01q\x04test\x00\x00\x01\x00\x01', (B4, 53))
            s.recv(512)
            time.sleep(0.002)

    def serve_dns(self):
        while not self.end:
            try:
                m, who = self.dns.recvfrom(512)
            except OSError:
                continue
            self.dns.sendto(m[:2] + b'\x81\x80' + m[4:], who)

    def stop(self):
        self.end = True
        for t in self.threads:
            t.join(10)
        self.server.join(10)
        for s in [self.listener, self.dns, self.asker] + list(self.udp.values()):
            s.close()

    def check(self, p):
        """All that was sent is in the points, once."""
        net = p.where('netflow', src_ip=A4, dst_ip=B4)
        eq('datagrams', net.where(dst_port='9001').sums('packets_written', 'bytes_written'),
           (self.sent[9001], 100 * self.sent[9001]))
        tcp = net.where(dst_port='9000')
        eq('connections', tcp.sums('tcp_established', 'tcp_closed', 'retransmits'),
           (self.connections, self.connections, 0))
        eq('bytes', tcp.sums('bytes_written', 'bytes_read'), (self.bytes, 500 * self.connections))
        eq('DNS', p.dns(), {('q.test', 'A', 0): (self.queries, 0)})


CONFIGS = [
    'interval: 1s\ntags: {edition: one}\n',
    'interval: 2s\ntags: {edition: two, more: x}\npoints: {fold_client_port: false}\n'
    'dns: {ports: [53, 5300]}\ncapture: {exclude: [{port: 9009}]}\n',
    'tags: {edition: three}\npoints: {exclude_tags: [src_port]}\nhttp: {paths: template}\n'
    'capture: {tunnels: inner, exclude: [{cidr: 10.72.0.0/16}, {cidr: 10.71.0.0/24, port: 9009}]}\n'
    'interval: 1s\n',
    'points: {key_fields: tag}\ninterval: 1s\ntags: {edition: four}\ndns: {ports: 53}\n',
]


def key_fields(p):
    """As if points.key_fields had been field all the time."""
    for q in p:
        for name in ('domain', 'query_type', 'rcode'):
            if name in q.tags:
                q.fields[name] = int(q.tags[name]) if name == 'rcode' else q.tags[name]
    return p


def test_traffic():
    """Twenty reloads, four different configurations."""
    f = Run(CONFIGS[0])
    t = Traffic()
    for i in range(1, 21):
        time.sleep(0.25)
        f.reload(CONFIGS[i % 4])
    time.sleep(0.5)
    t.stop()
    p = key_fields(f.stop())
    t.check(p)
    eq('editions', {q.get('edition') for q in p}, {'one', 'two', 'three', 'four'})
    two = p.where('netflow', edition='two')
    eq('client ports', '*' in {q.tags['src_port'] for q in two.where(dst_port='9001')}, False)
    eq('src_port left out', [q for q in p.where('netflow', edition='three') if q.get('src_port')], [])
    # What the ring had before the change still counts, which is up to 0.1 s of 0.25 s.
    eq('left out', two.where(dst_port='9009').sum('packets_written') <
       two.where(dst_port='9001').sum('packets_written') * 0.75, True)
    between('not left out', p.where('netflow', dst_port='9009').sum('packets_written'),
            t.sent[9009] / 10, t.sent[9009] * 0.9)
    eq('said', f.said().count('in force'), 20)


def test_fast():
    """SIGHUP after SIGHUP, the same configuration."""
    f = Run(CONFIGS[0])
    t = Traffic()
    for _ in range(200):
        f.process.send_signal(signal.SIGHUP)
        time.sleep(0.005)
    t.stop()
    t.check(f.stop())


def test_interfaces_change():
    """From all interfaces to patterns and back, with traffic."""
    texts = ['interval: 1s\ncapture: {interfaces: %s}\n' % i for i in ('[]', '[v*]', '[va]', "['!lo']")]
    f = Run(texts[0])
    t = Traffic()
    for i in (1, 0, 2, 3, 0, 3, 1, 2, 0):
        time.sleep(0.2)
        f.reload(texts[i])
    t.stop()
    t.check(f.stop())


def test_bad():
    """Mistakes are told with their places, all at once, and change nothing."""
    f = Run(CONFIGS[0])
    t = Traffic()
    f.reload('interval: 1s\ntags: {edition: bad}\ndns: {port: 5}\nhttp:\n  timeout: soon\n', stays=True)
    for place in (f.conf + ':3:7: ', f.conf + ':5:12: '):
        eq(place, place in f.said(), True)
    os.rename(f.conf, f.conf + '.gone')
    f.reload(stays=True)
    os.rename(f.conf + '.gone', f.conf)
    f.reload('interval: 1s\noutputs: [{file: {path: /nowhere/at/all}}]\ntags: {edition: one}\n')
    f.reload(CONFIGS[1])
    t.stop()
    p = f.stop()
    t.check(p)
    eq('editions', {q.get('edition') for q in p}, {'one', 'two'})


def test_bad_output():
    """An output that cannot be opened."""
    out = lab.scratch + '/there.line'
    text = 'interval: 1s\ntags: {edition: %s}\noutputs: [{file: {path: %s}}]\n'
    with open(lab.scratch + '/out.yaml', 'w') as f:
        f.write(text % ('one', out))
    p = ns_a.start([os.path.abspath(lab.FLOWLINE), 'run', '-c', lab.scratch + '/out.yaml'],
                   stdout=open(lab.scratch + '/out.err', 'w'))

    def said():
        with open(lab.scratch + '/out.err') as f:
            return f.read()
    lab.wait_until('it watches', lambda: 'watching' in said())
    t = Traffic()
    for i, (name, path) in enumerate((('bad', '/nowhere/at/all'), ('two', out + '.2'), ('three', out))):
        with open(lab.scratch + '/out.yaml', 'w') as f:
            f.write(text % (name, path))
        time.sleep(0.3)
        p.send_signal(signal.SIGHUP)
        lab.wait_until('reloaded', lambda: said().count('in force') +
                       said().count('configuration stays') > i)
    time.sleep(0.3)
    t.stop()
    p.send_signal(signal.SIGTERM)
    eq('exit status', p.wait(10), 0)
    points, of = lab.Points(), {}
    for path in (out, out + '.2'):
        with open(path) as f:
            of[path] = lab.Points(lab.Point(line.rstrip('\n')) for line in f)
        points += of[path]
    t.check(lab.Points(points))
    eq('first file', {q.get('edition') for q in of[out]}, {'one', 'three'})
    eq('second file', {q.get('edition') for q in of[out + '.2']}, {'two'})
    eq('said', '/nowhere/at/all: ' in said(), True)


def test_restart():
    """What cannot change says so, and the rest of the file counts."""
    f = Run(CONFIGS[0])
    f.reload('interval: 1s\ntags: {edition: new}\nflows: {max_flows: 1000, udp_idle_timeout: 7s}\n')
    for text in ('needs a restart: flows.max_flows stays auto until then, not 1000',
                 'needs a restart: flows.udp_idle_timeout stays 1m until then, not 7s'):
        eq(text + ' in ' + f.said(), text in f.said().replace('60s', '1m'), True)
    time.sleep(1.2)
    eq('edition', 'new' in {q.get('edition') for q in f.stop()}, True)


def test_logrotate():
    f = Run(CONFIGS[0])
    t = Traffic()
    parts = []
    for i in range(4):
        time.sleep(0.4)
        parts.append('%s.%d' % (f.out, i))
        os.rename(f.out, parts[-1])
        f.reload()
        eq('a new file', os.path.exists(f.out), True)
    t.stop()
    f.process.send_signal(signal.SIGINT)
    f.process.wait(10)
    with open(f.out + '.all', 'w') as out:
        for name in parts + [f.out]:
            with open(name) as part:
                text = part.read()
            eq('whole lines in ' + name, text[-1:], '\n')
            out.write(text)
    os.rename(f.out + '.all', f.out)
    t.check(f.stop())


def test_process():
    """A rule by process: known a moment after its flow began, which is taken back; then without it."""
    with open('/proc/self/comm') as f:
        comm = f.read().strip()
    rule = 'interval: 2s\ncapture: {exclude: [{process: "%s", port: 9001}]}\n' % comm
    f = Run(rule)
    for text in ('interval: 2s\n', rule):
        for port in (9001, 9002):
            s = ns_a.socket(kind=socket.SOCK_DGRAM)
            for _ in range(20):
                s.sendto(b'd' * 100, (B4, port))
                time.sleep(0.02)
            time.sleep(0.5)
            s.close()
        f.reload(text)
    datagrams(B4, 7, 9002)
    time.sleep(0.5)
    p = f.stop().where('netflow', dst_ip=B4)
    eq('datagrams', [p.where(dst_port=d).sum('packets_written') for d in ('9001', '9002')], [20, 47])


def test_terminal():
    """Started from a terminal: SIGHUP reloads while it is there, and ends the run when it goes."""
    conf, err = lab.scratch + '/tty.yaml', lab.scratch + '/tty.err'
    with open(conf, 'w') as f:
        f.write('outputs: [{file: {path: %s/tty.line}}]\n' % lab.scratch)
    pid, terminal = pty.fork()
    if not pid:
        os.dup2(os.open(err, os.O_WRONLY | os.O_CREAT, 0o600), 2)
        os.execvp('ip', ['ip', 'netns', 'exec', ns_a.name, os.path.abspath(lab.FLOWLINE), 'run', '-c', conf])

    def said(text):
        with open(err) as f:
            return text in f.read()
    try:
        lab.wait_until('it watches', lambda: os.path.exists(err) and said('watching'))
        os.kill(pid, signal.SIGHUP)
        lab.wait_until('it reloads', lambda: said('in force'))
        eq('still runs', os.waitpid(pid, os.WNOHANG)[0], 0)
        os.close(terminal)
        lab.wait_until('it ends', lambda: os.waitpid(pid, os.WNOHANG)[0] == pid)
        pid = 0
    finally:
        if pid:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def datagrams(to, n, port=9001):
    s = ns_a.socket(kind=socket.SOCK_DGRAM)
    for _ in range(n):
        s.sendto(b'd' * 100, (to, port))
    s.close()


def test_patterns():
    """A ring for each interface that fits, as they come and go; those that do not fit are not seen."""
    f = Run('interval: 1s\ncapture: {interfaces: [px*, va, "!px9", later0]}\n')
    eq('waits', 'interface later0 is not there' in f.said(), True)
    for turn in range(2):
        for i in (1, 2, 9):
            lab.veth(ns_a, 'px%d' % i, ns_b, 'py%d' % i, ('10.73.%d.1/24' % i,), ('10.73.%d.2/24' % i,))
        lab.wait_until('they are there', lambda: f.said().count('interface px1 is there') == turn + 1 and
                       f.said().count('interface px2 is there') == turn + 1)
        for i in (1, 2, 9):
            datagrams('10.73.%d.2' % i, 20)
        for i in (1, 2, 9):
            ns_a.ip('link del px%d' % i)
        lab.wait_until('they are gone', lambda: f.said().count('interface px2 is gone') == turn + 1 and
                       f.said().count('interface px1 is gone') == turn + 1)
    datagrams(B4, 10)
    p = f.stop().where('netflow', dst_port='9001')
    eq('datagrams', [p.where(dst_ip=d).sum('packets_written')
                     for d in ('10.73.1.2', '10.73.2.2', '10.73.9.2', B4)], [40, 40, 0, 10])
    eq('px9', 'interface px9' in f.said(), False)


def test_many():
    """More interfaces than there are rings for: said once, and the others go on."""
    f = Run('interval: 1s\ncapture: {interfaces: [m*], ring_size: 512k}\n')
    for i in range(70):
        lab.quietly(['ip', '-n', ns_a.name, 'link', 'add', 'm%d' % i, 'type', 'veth', 'peer', 'name', 'n%d' % i])
    lab.wait_until('it is said', lambda: 'is not watched: 64 are' in f.said(), 20)
    time.sleep(0.3)
    eq('once', f.said().count('is not watched'), 1)
    f.reload('interval: 1s\n')
    f.reload('interval: 1s\ncapture: {interfaces: [va]}\n')
    datagrams(B4, 10)
    eq('datagrams', f.stop().where('netflow', dst_ip=B4).sum('packets_written'), 10)
    for i in range(70):
        lab.quietly(['ip', '-n', ns_a.name, 'link', 'del', 'm%d' % i])


lab.main([
    ('reloads under traffic', test_traffic), ('fast', test_fast),
    ('interfaces change', test_interfaces_change), ('bad', test_bad), ('bad output', test_bad_output),
    ('restart', test_restart), ('logrotate', test_logrotate), ('patterns', test_patterns),
    ('many interfaces', test_many), ('process', test_process),
    ('terminal', test_terminal),
], setup)
