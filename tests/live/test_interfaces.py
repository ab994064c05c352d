#!/usr/bin/env python3
"""test_interfaces.py - live, what happens to interfaces: they vanish, come back, come later; addresses
come while the program runs; VLANs, bridges and routers, where a packet is seen on several.
"""
import signal
import socket
import struct
import time

import lab
from lab import A4, B4, B6, between, eq

ns_a = ns_b = None
MB = 1 << 20


def setup():
    global ns_a, ns_b
    ns_a, ns_b = lab.pair()


def datagrams(ns, to, n, size=100, port=9001, pause=0, own=None):
    s = ns.socket(socket.AF_INET6 if ':' in to else socket.AF_INET, socket.SOCK_DGRAM)
    if own:
        s.bind((own, 0))
    for _ in range(n):
        s.sendto(b'd' * size, (to, port))
        time.sleep(pause)
    s.close()


def transfer(client, server, address, up, down, port=9000):
    def handle(s):
        lab.read_all(s)
        s.sendall(b'y' * down)

    listener = lab.serve(server.listen(address, port), handle)
    s = client.connect(address, port)
    s.sendall(b'x' * up)
    s.shutdown(socket.SHUT_WR)
    eq('received', lab.read_all(s), down)
    s.close()
    listener.close()


def test_vanish():
    """-i of an interface that goes, with traffic just before, and comes back under its name."""
    lab.veth(ns_a, 'vx', ns_b, 'vy', ('10.73.0.1/24',), ('10.73.0.2/24',))
    f = lab.Flowline(ns_a, '-i', 'vx')
    for i in range(3):
        datagrams(ns_a, '10.73.0.2', 50)
        ns_a.ip('link del vx')
        lab.wait_until('it is said', lambda: f.said().count('is gone') == i + 1)
        lab.veth(ns_a, 'vx', ns_b, 'vy', ('10.73.0.1/24',), ('10.73.0.2/24',))
        lab.wait_until('it is said', lambda: f.said().count('is there') == i + 1)
    datagrams(ns_a, '10.73.0.2', 50)
    ns_a.ip('link set dev vx down')
    time.sleep(0.2)
    ns_a.ip('link set dev vx up')
    ns_a.wait_running('vx')
    datagrams(ns_a, '10.73.0.2', 50)
    p = f.stop().where('netflow', dst_ip='10.73.0.2', dst_port='9001')
    eq('datagrams', p.sum('packets_written'), 250)
    eq('direction', {q.tags['direction'] for q in p}, {'outgoing'})
    ns_a.ip('link del vx')


def test_later():
    """An interface that comes after the start: waited for by name, and by those that watch all."""
    named, every = lab.Flowline(ns_a, '-i', 'vx,va'), lab.Flowline(ns_a)
    eq('said', 'interface vx is not there' in named.said(), True)
    lab.veth(ns_a, 'vx', ns_b, 'vy', ('10.73.0.1/24',), ('10.73.0.2/24',))
    lab.wait_until('it is said', lambda: 'interface vx is there' in named.said())
    datagrams(ns_a, '10.73.0.2', 70)
    datagrams(ns_a, B4, 30)
    for name, f in (('named', named), ('all', every)):
        p = f.stop().where('netflow', src_ip_type='private')
        eq(name, [p.where(dst_ip=d).sum('packets_written') for d in ('10.73.0.2', B4)], [70, 30])
    ns_a.ip('link del vx')


def test_address():
    """An address that comes and goes while running: src is the local side from the next cycle on."""
    ns_a.ip('neigh replace 10.71.0.7 lladdr %s nud permanent dev va' % mac(ns_b, 'vb'))
    f = lab.Flowline(ns_b)
    datagrams(ns_a, '10.71.0.7', 10)
    time.sleep(1.5)
    ns_b.ip('addr add 10.71.0.7/24 dev vb')
    time.sleep(0.3)
    datagrams(ns_a, '10.71.0.7', 20)
    time.sleep(1.5)
    ns_b.ip('addr del 10.71.0.7/24 dev vb')
    time.sleep(0.3)
    datagrams(ns_a, '10.71.0.7', 30)
    p = f.stop().where('netflow', transport='udp')
    outgoing = p.where(direction='outgoing', src_ip=A4, dst_ip='10.71.0.7')
    eq('before and after: src is the client', outgoing.sums('packets_written', 'packets_read'), (40, 0))
    incoming = p.where(direction='incoming', src_ip='10.71.0.7', dst_ip=A4)
    eq('while local', incoming.sums('packets_written', 'packets_read'), (0, 20))
    ns_a.ip('neigh del 10.71.0.7 dev va')


def mac(ns, name):
    words = ns.ip('link show dev ' + name).split()
    return words[words.index('link/ether') + 1]


def test_vlan_frames():
    """802.1Q and QinQ frames, as they come from a wire: the kernel takes the outer tag away."""
    tap = ns_a.socket(socket.AF_PACKET, socket.SOCK_RAW)
    with ns_a:
        tap.bind(('va', 0))
    f, g = lab.Flowline(ns_b, '-i', 'vb'), lab.Flowline(ns_a)
    ethernet = b''.join(bytes.fromhex(mac(ns, name).replace(':', ''))
                        for ns, name in ((ns_b, 'vb'), (ns_a, 'va')))
    udp = struct.pack('>4H', 40000, 9001, 8 + 200, 0) + b'v' * 200
    ip = struct.pack('>BBHHHBBH4s4s', 0x45, 0, 20 + len(udp), 1, 0x4000, 64, 17, 0,
                     socket.inet_aton(A4), socket.inet_aton(B4))
    for tags in (b'\x81\0\0\5', b'\x88\xa8\0\7\x81\0\0\5'):
        for _ in range(10):
            tap.send(ethernet + tags + b'\x08\0' + ip + udp)
    tap.close()
    time.sleep(0.2)
    for name, p, way in (('received', f.stop(), 'read'), ('sent', g.stop(), 'written')):
        q = p.where('netflow', transport='udp')
        eq(name, q.sums('packets_' + way, 'bytes_' + way), (20, 4000))


def test_vlan_interface():
    for ns, name, address in ((ns_a, 'va', '10.74.0.1/24'), (ns_b, 'vb', '10.74.0.2/24')):
        r = lab.quietly(['ip', '-n', ns.name, 'link', 'add', 'link', name, 'name', 'vlan5', 'type', 'vlan',
                         'id', '5'])
        if r.returncode:
            raise lab.Skip('this kernel makes no VLAN interface: ' + r.stdout.strip())
        ns.ip('addr add %s dev vlan5' % address)
        ns.ip('link set dev vlan5 up')
    try:
        both = [lab.Flowline(ns) for ns in (ns_a, ns_b)]
        transfer(ns_a, ns_b, '10.74.0.2', 3 * MB, 2 * MB)
        datagrams(ns_a, '10.74.0.2', 100)
        for name, f, way in (('client', both[0], 1), ('server', both[1], -1)):
            p = f.stop().where('netflow')
            check_once(name, p, way)
    finally:
        for ns in (ns_a, ns_b):
            ns.ip('link del vlan5')


def check_once(name, p, way, most=0):
    """3 MB and 2 MB over TCP, 100 datagrams: on however many interfaces, once. most: segments that a kernel
    has really sent again, as a busy machine makes it."""
    tcp, udp = p.where(transport='tcp'), p.where(transport='udp', dst_port='9001' if way > 0 else '*')
    eq(name + ' bytes', tcp.sums('bytes_written', 'bytes_read')[::way], (3 * MB, 2 * MB))
    eq(name + ' connections', tcp.sums('tcp_established', 'tcp_closed', 'tcp_connect_failed'), (1, 1, 0))
    between(name + ' sent again', sum(tcp.sums('retransmits', 'retransmits_peer', 'tcp_syn_retransmits')), 0, most)
    eq(name + ' datagrams', udp.sums('packets_written', 'packets_read')[::way], (100, 0))


def middle(name):
    """A third host between A and B."""
    m = lab.Namespace(name)
    lab.veth(ns_a, 'wa', m, 'ma')
    lab.veth(ns_b, 'wb', m, 'mb')
    return m


def gone(m):
    lab.quietly(['ip', 'netns', 'del', m.name])
    lab.Namespace.made.remove(m)
    lab.wait_until('its links went', lambda: 'wa' not in ns_a.ip('link') and 'wb' not in ns_b.ip('link'))


def test_bridge():
    """A bridge and its ports are watched: what passes through is seen twice or more, counted once. So
    is what the host of the bridge itself sends."""
    m = middle('br')
    try:
        if lab.quietly(['ip', '-n', m.name, 'link', 'add', 'br0', 'type', 'bridge']).returncode:
            raise lab.Skip('this kernel makes no bridge')
        for port in ('ma', 'mb'):
            m.ip('link set dev %s master br0' % port)
        m.ip('addr add 10.75.0.3/24 dev br0')
        m.ip('link set dev br0 up')
        m.wait_running('br0')
        ns_a.ip('addr add 10.75.0.1/24 dev wa')
        ns_b.ip('addr add 10.75.0.2/24 dev wb')
        for through in (True, False):
            f = lab.Flowline(m)
            before = sum(n.sent_again() for n in (ns_a, ns_b, m))
            server, address = (ns_b, '10.75.0.2') if through else (m, '10.75.0.3')
            transfer(ns_a, server, address, 3 * MB, 2 * MB)
            datagrams(ns_a, address, 100)
            p = f.stop()
            check_once('through' if through else 'to the host', p.where('netflow'), 1 if through else -1,
                       sum(n.sent_again() for n in (ns_a, ns_b, m)) - before)
            between('duplicates', p.where('flowline').sum('packets_duplicate'), 100, 1 << 20)
    finally:
        gone(m)


def test_router():
    """A router watches both its interfaces: each packet passes both."""
    m = middle('ro')
    try:
        m.ip('addr add 10.76.1.3/24 dev ma')
        m.ip('addr add 10.76.2.3/24 dev mb')
        m.run(['sysctl', '-qw', 'net.ipv4.ip_forward=1'])
        ns_a.ip('addr add 10.76.1.1/24 dev wa')
        ns_a.ip('route add 10.76.2.0/24 via 10.76.1.3')
        ns_b.ip('addr add 10.76.2.2/24 dev wb')
        ns_b.ip('route add 10.76.1.0/24 via 10.76.2.3')
        for gro in ('off', 'on'):
            if lab.shutil.which('ethtool'):
                for name in ('ma', 'mb'):
                    m.quietly(['ethtool', '-K', name, 'gro', gro])
            f = lab.Flowline(m)
            before = sum(n.sent_again() for n in (ns_a, ns_b))
            transfer(ns_a, ns_b, '10.76.2.2', 3 * MB, 2 * MB)
            datagrams(ns_a, '10.76.2.2', 100)
            p = f.stop()
            check_once('GRO ' + gro, p.where('netflow'), 1, sum(n.sent_again() for n in (ns_a, ns_b)) - before)
    finally:
        gone(m)


def test_tun():
    """A device without Ethernet header."""
    text = lab.quietly(['ip', '-n', ns_a.name, 'tuntap', 'add', 'dev', 't0', 'mode', 'tun'])
    if text.returncode:
        raise lab.Skip('no tun device: ' + text.stdout.strip())
    import fcntl
    with ns_a:
        tun = open('/dev/net/tun', 'r+b', buffering=0)
        fcntl.ioctl(tun, 0x400454ca, struct.pack('16sH14x', b't0', 0x1001))  # TUNSETIFF, TUN without PI
    ns_a.ip('addr add 10.77.0.1/24 dev t0')
    ns_a.ip('link set dev t0 up')
    time.sleep(0.1)
    f = lab.Flowline(ns_a, '-i', 't0')
    datagrams(ns_a, '10.77.0.2', 25)
    p = f.stop().where('netflow', dst_ip='10.77.0.2')
    eq('datagrams', p.sums('packets_written', 'bytes_written'), (25, 2500))
    tun.close()
    ns_a.ip('link del t0')


def test_ends():
    """SIGTERM, --duration, and packets of the very last moment."""
    for how in (signal.SIGTERM, signal.SIGINT):
        f = lab.Flowline(ns_a, interval='1h')
        datagrams(ns_a, B4, 1000)
        eq('datagrams', f.stop(how).where('netflow', dst_ip=B4).sum('packets_written'), 1000)
    f = lab.Flowline(ns_a, '--duration', '1s')
    begin = time.time()
    datagrams(ns_a, B6, 10)
    f.process.wait(5 * lab.SLOW)
    between('seconds', time.time() - begin, 0.8, 1 + lab.SLOW)
    eq('datagrams', f.stop().where('netflow', dst_ip=B6).sum('packets_written'), 10)


def test_cycles():
    """Datagrams over many short cycles: every point's time is a cycle's end, and nothing is lost."""
    f = lab.Flowline(ns_a, interval='250ms')
    datagrams(ns_a, B4, 400, pause=0.005)
    p = f.stop().where('netflow', dst_ip=B4)
    eq('datagrams', p.sum('packets_written'), 400)
    between('cycles', len({q.time for q in p}), 8, 40)
    eq('odd times', [q.time for q in p[:-1] if int(q.time) % 250000000], [])


lab.main([
    ('vanishes, comes back', test_vanish), ('comes later', test_later), ('address', test_address),
    ('VLAN frames', test_vlan_frames), ('VLAN interface', test_vlan_interface), ('bridge', test_bridge),
    ('router', test_router), ('tun', test_tun), ('ends', test_ends), ('cycles', test_cycles),
], setup)
