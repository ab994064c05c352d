#!/usr/bin/env python3
"""test_fallback.py - live: things are taken away from flowline, and the host changes under it. It falls back to what
works, never stops, and its points stay right: a little of everything is sent, and all of it has to be there once.
"""
import ctypes
import os
import re
import signal
import socket
import struct
import threading
import time

import lab
import tier_traffic as traffic
import tiers
from lab import B4, B6, DEAD4, between, eq, fail
from tiers import connect, listen, make_socket

OLD_KERNEL = os.path.join(os.environ.get('top_builddir', '.'), 'tests/old-kernel/old_kernel')
ns_a = ns_b = None


def setup():
    global ns_a, ns_b
    ns_a, ns_b = traffic.setup()


class Small:
    """A little of everything, for one flowline or two in ns_a; what it adds up to is known."""
    PORT = 7600

    def __init__(self):
        self.up = self.down = self.connections = self.refused = self.datagrams = 0

    def go(self, address=B4, port=PORT, up=300000, down=400000, source=None):
        got = []
        listener = lab.serve(listen(ns_b, address, port), lambda s: (got.append(lab.read_all(s)),
                                                                     s.sendall(traffic.DATA * down)))
        s = make_socket(ns_a, tiers.family_of(address))
        if source:
            s.bind((source, 0))
        s.connect((address, port))
        s.sendall(traffic.DATA * (up - 1000))
        time.sleep(0.1)
        s.sendall(traffic.DATA * 1000)
        s.shutdown(socket.SHUT_WR)
        eq('read', (lab.read_all(s), got), (down, [up]))
        s.close()
        listener.close()
        self.up, self.down, self.connections = self.up + up, self.down + down, self.connections + 1

    def refuse(self, address=B4):
        s = make_socket(ns_a, tiers.family_of(address))
        eq('connect', s.connect_ex((address, self.PORT)), 111)
        s.close()
        self.refused += 1

    def datagram(self, n=10):
        s = make_socket(ns_a, kind=socket.SOCK_DGRAM)
        for _ in range(n):
            s.sendto(b'd' * 50, (DEAD4, self.PORT))
        s.close()
        self.datagrams += n

    def all(self):
        for address in (B4, B6):
            self.go(address)
            self.refuse(address)
        self.datagram()
        return self

    def check(self, what, points):
        p = tiers.flow(points, True, self.PORT)
        want = dict.fromkeys(tiers.SUMS, 0)
        want.update(bytes_written=self.up, bytes_read=self.down, tcp_established=self.connections,
                    tcp_closed=self.connections, tcp_connect_failed=self.refused)
        got = tiers.sums(p)
        for f in ('retransmits', 'tcp_syn_retransmits'):  # on a busy machine there are some
            want[f] = got[f]
        lab.same(what, got, want)
        u = tiers.flow(points, True, self.PORT, 'udp')
        eq(what + ': datagrams', u.sums('packets_written', 'bytes_written'), (self.datagrams, 50 * self.datagrams))
        eq(what + ': directions', {q.tags['direction'] for q in p}, {'outgoing'})


def watched(modes, change=None, args=(), prefix=(), want=None):
    """Runs of these modes, a little traffic, and `change` in the middle with more of it. want: {asked: tiers it
    may then have}."""
    runs = tiers.start(*[tiers.Run(ns_a, m, *args, prefix=prefix) for m in modes])
    time.sleep(0.4)  # the first looks at the host
    small = Small().all()
    if change:
        change(small, runs)
        small.all()
    time.sleep(1.1)
    got = {r.wanted: r.mode() for r in runs}
    print('    asked for and had: ' + ', '.join('%s: %s' % x for x in got.items()))
    for r in runs:
        small.check('%s (%s)' % (r.wanted, got[r.wanted]), r.stop())
        if want and got[r.wanted] not in want[r.wanted]:
            fail('asked for %s, it has %s, wanted one of %s; it says: %s' % (
                r.wanted, got[r.wanted], want[r.wanted], r.said()[-1000:]))
    return runs


def had(mode):
    """What this machine has where nothing is refused."""
    if mode not in had.known:
        r = tiers.start(tiers.Run(ns_a, mode))[0]
        had.known[mode] = r.mode()
        r.stop()
    return had.known[mode]


had.known = {}
BELOW = {'packet': ('packet',), 'socket': ('packet', 'socket'), 'probe': ('packet', 'socket', 'probe'),
         'auto': ('packet', 'socket', 'probe')}


def need_tier(*modes):
    for m in modes:
        if had(m) != m:
            raise lab.Skip('no %s tier here' % m)


def test_auto():
    """auto is the best that each of the others can be."""
    best = 'probe' if had('probe') == 'probe' else had('socket')
    watched(['auto'], want={'auto': (best,)})


def test_no_bpf():
    """bpf() refused: the sockets, if they work here."""
    tiers.can_confine()
    watched(['auto', 'probe'], prefix=tiers.confined(('bpf', 'attach_bpf')),
            want=dict.fromkeys(('auto', 'probe'), (had('socket'),)))


def test_no_filter():
    """eBPF programs for probes, but not on the ring."""
    tiers.can_confine()
    watched(['auto'], prefix=tiers.confined(('attach_bpf',)), want=BELOW)


def test_no_netlink():
    """Neither sock_diag nor bpf(): packets."""
    tiers.can_confine()
    watched(['auto', 'socket'], prefix=tiers.confined(('bpf', 'sock_diag')),
            want=dict.fromkeys(('auto', 'socket'), ('packet',)))


def test_no_multicast():
    """No message about sockets that end, as on RHEL 7."""
    tiers.can_confine()
    watched(['auto', 'socket'], prefix=tiers.confined(('membership',), (tiers.CAP_NET_ADMIN,)), want=BELOW)


def test_capabilities():
    """CAP_NET_RAW and nothing that probes or other users' processes would need."""
    tiers.can_confine()
    drop = [c for c in range(39 + 1) if c not in (tiers.CAP_NET_RAW, 1)]  # CAP_DAC_OVERRIDE: its files
    with open('/proc/sys/kernel/cap_last_cap') as f:
        most = int(f.read())
    watched(['auto', 'probe'], prefix=tiers.confined((), [c for c in drop if c <= most]), want=BELOW)


def test_old_kernel():
    """The look of 3.10, and no message about sockets that end: auto is packet, or what dumps can help there."""
    if not os.access(OLD_KERNEL, os.X_OK):
        raise lab.Skip('%s is not built' % OLD_KERNEL)
    r = lab.quietly([OLD_KERNEL, '-k', '3.10', '--self-test'])
    if r.returncode == 77:
        raise lab.Skip(r.stdout.strip().splitlines()[0])
    tiers.can_confine()
    watched(['auto'], prefix=tiers.confined(('membership', 'sock_diag'), (tiers.CAP_NET_ADMIN,)) +
            [os.path.abspath(OLD_KERNEL), '-k', '3.10'], want={'auto': ('packet',)})


def test_never():
    """kernel.narrow: never: all packets are read, and bytes are not counted twice."""
    watched(['socket', 'probe'], args=('--set', 'kernel.narrow=never'), want=BELOW)


def filter_of(r):
    """The packet filter that a run has, and why it is no other."""
    f = [f for f in r.status()['capture'].get('facts') or [] if f['source'] == 'ring']
    return (f[0]['provider'], f[0]['why']) if f else ('none', 'it is in the %s tier' % r.mode())


def in_kernel(r):
    """Datagrams that the kernel has counted, by what a run says at its end."""
    found = re.search(r'([0-9,]+) +UDP datagrams counted in the kernel', r.said())
    return int(found.group(1).replace(',', '')) if found else 0


def test_udp():
    """Socket and probe tier: UDP is counted in the kernel; not while an interface has no Ethernet header."""
    def change(small, runs):
        for r in runs:
            took, why = filter_of(r)
            if not took.startswith('eBPF'):
                for x in runs:
                    x.stop()
                raise lab.Skip('no eBPF filter here (%s): %s' % (r.name, why))
        for command, want in ((['tuntap', 'add', 'dev', 'bare0', 'mode', 'tun'], 'eBPF'),
                              (['link', 'set', 'bare0', 'up'], 'classic'), (['link', 'del', 'bare0'], 'eBPF')):
            ns_a.run(['ip'] + command)
            for r in runs:
                lab.wait_until('%s: %s' % (' '.join(command), want),
                               lambda r=r, want=want: filter_of(r)[0].startswith(want), 5 * lab.SLOW)
            small.datagram(100)

    try:
        for r in watched(['socket', 'probe'], change, want=BELOW):
            # and what the other's probes have sent to themselves as a proof
            between('%s: datagrams in the kernel' % r.name, in_kernel(r), 220, 225)
    finally:
        ns_a.quietly(['ip', 'link', 'del', 'bare0'])
    for r in watched(['socket', 'probe'], args=('--set', 'kernel.count_udp=never'), want=BELOW):
        eq('%s: never' % r.name, in_kernel(r), 0)


def sysctl(ns, name, value):
    ns.run(['sysctl', '-qw', '%s=%s' % (name, value)])


def test_forwarding():
    """A host that forwards, and one that begins to and ends it while it is watched."""
    for names in (['net.ipv4.ip_forward'], ['net.ipv6.conf.all.forwarding']):
        try:
            for n in names:
                sysctl(ns_a, n, 1)
            watched(['socket', 'probe', 'packet'], want=BELOW)
        finally:
            for n in names:
                sysctl(ns_a, n, 0)


def test_forwarding_begins():
    def change(small, runs):
        sysctl(ns_a, 'net.ipv4.ip_forward', 1)
        for _ in range(15):
            small.go(up=20000, down=50000)
        sysctl(ns_a, 'net.ipv4.ip_forward', 0)
        for _ in range(15):
            small.go(up=20000, down=50000)
    try:
        watched(['socket', 'probe'], change, want=BELOW)
    finally:
        sysctl(ns_a, 'net.ipv4.ip_forward', 0)


def nat_rules(router):
    """Masquerading in a namespace, by nft or iptables."""
    if not router.quietly(['nft', 'list', 'ruleset']).returncode:
        router.run(['nft', 'add table ip nat; add chain ip nat post { type nat hook postrouting priority 100; }; '
                    'add rule ip nat post masquerade'])
    elif router.quietly(['iptables', '-t', 'nat', '-A', 'POSTROUTING', '-j', 'MASQUERADE']).returncode:
        raise lab.Skip('neither nft nor iptables')


def test_nat():
    """On a router that masquerades: what is its own, and what it passes on, in every tier alike."""
    router, inner = lab.Namespace('r'), lab.Namespace('i')
    lab.veth(inner, 'vi', router, 'vr', ('10.73.0.2/24',), ('10.73.0.1/24',))
    lab.veth(router, 'vo', ns_b, 'vn', ('10.74.0.1/24',), ('10.74.0.2/24',))
    inner.ip('route add default via 10.73.0.1')
    sysctl(router, 'net.ipv4.ip_forward', 1)
    nat_rules(router)
    runs = tiers.start(*[tiers.Run(router, m) for m in tiers.MODES])
    time.sleep(0.4)
    for ns in (inner, router, inner, router):
        got = []
        listener = lab.serve(listen(ns_b, '10.74.0.2', 7700), lambda s: (got.append(lab.read_all(s)),
                                                                         s.sendall(traffic.DATA * 500000)))
        s = connect(ns, '10.74.0.2', 7700)
        s.sendall(traffic.DATA * 300000)
        s.shutdown(socket.SHUT_WR)
        eq('read', (lab.read_all(s), got), (500000, [300000]))
        s.close()
        listener.close()
    time.sleep(1.2)
    for r in runs:
        p = r.stop().where('netflow', dst_port='7700')
        for source in ('10.73.0.2', '10.74.0.1'):
            q = p.where(src_ip=source)
            # the router's address stands for two of its own and for the two that it translates
            n = 2 if source == '10.73.0.2' else 4
            eq('%s, from %s' % (r.name, source), q.sums('bytes_written', 'bytes_read', 'tcp_established', 'tcp_closed'),
               (n * 300000, n * 500000, n, n))


def test_address_added():
    """An address that comes while it is watched, and goes again."""
    def change(small, runs):
        ns_a.ip('addr add 10.71.0.77/24 dev va')
        ns_b.quietly(['ping', '-c', '1', '-W', '1', '10.71.0.77'])
        for _ in range(5):
            small.go(up=20000, down=90000, source='10.71.0.77')
            time.sleep(0.3)
        ns_a.ip('addr del 10.71.0.77/24 dev va')
    watched(['socket', 'probe', 'packet'], change, want=BELOW)


def test_reload():
    """SIGHUP, twice, with another tag, under way."""
    def change(small, runs):
        for n, word in enumerate(('two', 'three')):
            for r in runs:
                with open(r.conf, 'w') as f:
                    f.write('tags: {edition: %s}\n' % word)
                r.process.send_signal(signal.SIGHUP)
            small.go()
            lab.wait_until('the reloads are done', lambda: all(
                r.said().count('the new configuration is in force') > n for r in runs))
            small.go()
    watched(['socket', 'probe', 'packet'], change, want=BELOW)


def test_stopped():
    """Nobody reads for a while, and messages are lost: the next dump repairs what it can, and the ring has
    the rest."""
    def change(small, runs):
        for r in runs:
            r.process.send_signal(signal.SIGSTOP)
        # A ring's block is closed after some ms, full or not: what takes long fills it with few packets.
        n = int(3000 / lab.SLOW)
        server = ns_b.start([traffic.PYTHON, '-c', traffic.MANY_SERVER, B4, str(small.PORT), str(n)])
        ns_b.wait_listening(small.PORT)
        client = ns_a.start([traffic.PYTHON, '-c', traffic.MANY_CLIENT, B4, str(small.PORT), str(n)])
        eq('client', client.wait(60 * lab.SLOW), 0)
        server.wait(10 * lab.SLOW)
        up = sum(1 + i % 100 for i in range(n))
        small.up, small.down, small.connections = small.up + up, small.down + 3 * up, small.connections + n
        for r in runs:
            r.process.send_signal(signal.SIGCONT)
        time.sleep(0.5)
    watched(['socket', 'probe', 'packet'], change, args=('--ring-size', '64M'), want=BELOW)


def deafen(runs):
    """Every netlink socket of theirs drops what comes: a filter that takes nothing, SO_ATTACH_FILTER."""
    code = ctypes.create_string_buffer(struct.pack('=HBBI', 0x06, 0, 0, 0), 8)
    program = struct.pack('HP', 1, ctypes.addressof(code))
    n = 0
    for r in runs:
        links = set()
        for row in r.ns.run(['cat', '/proc/net/netlink']).splitlines()[1:]:
            words = row.split()
            if words[1] == '4':  # NETLINK_SOCK_DIAG
                links.add('socket:[%s]' % words[-1])
        for s in tiers.take_socket(r.process.pid, links):
            s.setsockopt(socket.SOL_SOCKET, 26, program)
            s.close()
            n += 1
    return n


def answers(run):
    try:
        return run.mode()
    except RuntimeError:
        return None


def test_deaf():
    """The source says nothing any more, from one moment to the next: frames still tell the bytes of what ends
    by FIN, and flowline goes on."""
    def change(small, runs):
        between('sockets made deaf', deafen(runs), len(runs), 100)
        time.sleep(1.5)
        small.all()
        begin = time.time()
        lab.wait_until('status answers', lambda: all(answers(r) for r in runs), 60)
        print('    status answers after %.1f s' % (time.time() - begin))
    need_tier('socket')
    watched(['socket', 'probe'], change, want=BELOW)


lab.main([
    ('auto', test_auto), ('bpf() refused', test_no_bpf), ('no eBPF on the ring', test_no_filter),
    ('no netlink', test_no_netlink), ('no multicast', test_no_multicast),
    ('few capabilities', test_capabilities), ('the look of 3.10', test_old_kernel),
    ('kernel.narrow: never', test_never), ('UDP in the kernel', test_udp), ('forwarding', test_forwarding),
    ('forwarding begins', test_forwarding_begins), ('NAT', test_nat),
    ('an address is added', test_address_added), ('SIGHUP', test_reload),
    ('stopped for a while', test_stopped), ('the source is dead', test_deaf),
], setup)
