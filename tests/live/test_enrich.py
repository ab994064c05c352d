#!/usr/bin/env python3
"""test_enrich.py - live: the name that a flow's address was asked for, and where in the world it is.

The databases are made here: https://maxmind.github.io/MaxMind-DB/ 2.0, 24-bit records, nothing but
maps, strings and doubles in the records.
"""
import ipaddress
import os
import struct
import time

import lab
from lab import B4, eq

ns_a = ns_b = None
# Public ones, inside the namespaces only.
WEB, ALIAS, SHARED = '8.8.8.8', '8.8.4.4', '9.9.9.9'
DATABASE = lab.scratch + '/city.mmdb'


def control(kind, size):
    """Type and size of a value, below 29; types above 7 are in a byte of their own."""
    return bytes([kind << 5 | size]) if kind < 8 else bytes([size, kind - 7])


def encode(v):
    if isinstance(v, dict):
        return control(7, len(v)) + b''.join(encode(k) + encode(x) for k, x in v.items())
    if isinstance(v, float):
        return control(3, 8) + struct.pack('>d', v)
    if isinstance(v, tuple):    # an integer of this many bytes: 2, 4, 8
        kind, form = {2: (5, '>H'), 4: (6, '>I'), 8: (9, '>Q')}[v[0]]
        return control(kind, v[0]) + struct.pack(form, v[1])
    if isinstance(v, list):
        return control(11, len(v)) + b''.join(encode(x) for x in v)
    return control(2, len(v)) + v.encode()


def mmdb(networks):
    """The bytes of a database: {network: record}."""
    nodes, data, leaves = [[None, None]], b'', {}
    for network, record in networks.items():
        net = ipaddress.ip_network(network)
        bits = format(int(net.network_address), '032b')[:net.prefixlen]
        at = 0
        for b in bits[:-1]:
            if nodes[at][int(b)] is None:
                nodes.append([None, None])
                nodes[at][int(b)] = len(nodes) - 1
            at = nodes[at][int(b)]
        leaves[at, int(bits[-1])] = len(data)
        data += encode(record)
    tree = b''
    for i, node in enumerate(nodes):
        for side in (0, 1):
            n = leaves[i, side] + len(nodes) + 16 if (i, side) in leaves else node[side]
            tree += struct.pack('>I', len(nodes) if n is None else n)[1:]
    about = {'binary_format_major_version': (2, 2), 'binary_format_minor_version': (2, 0),
             'build_epoch': (8, 1700000000), 'database_type': 'Test-City', 'description': {},
             'ip_version': (2, 4), 'languages': ['en'], 'node_count': (4, len(nodes)), 'record_size': (2, 24)}
    return tree + bytes(16) + data + b'\xab\xcd\xefMaxMind.com' + encode(about)


def place(country, city, lat, lon):
    return {'country': {'iso_code': country}, 'city': {'names': {'en': city}},
            'location': {'latitude': lat, 'longitude': lon}}


def setup():
    global ns_a, ns_b
    lab.need('dnsmasq', 'dig')
    ns_a, ns_b = lab.pair()
    for a in (WEB, ALIAS, SHARED):
        ns_b.ip('addr add %s/32 dev vb' % a)
        ns_a.ip('route add %s/32 via %s' % (a, B4))
    lab.serve(ns_b.listen('0.0.0.0', 8000), lambda s: s.sendall(b'hello'))


def connect(address):
    s = ns_a.connect(address, 8000)
    lab.read_all(s)
    s.close()


def test_names():
    """The question's name: plain, through a chain of CNAMEs, of two the newer; nothing that was not asked for."""
    ns_b.start(['dnsmasq', '--keep-in-foreground', '--conf-file=/dev/null', '--no-resolv', '--no-hosts',
                '--log-facility=-', '--user=root', '--pid-file=', '--cache-size=0', '--local=/test/',
                '--host-record=web.test,' + WEB, '--host-record=target.test,' + ALIAS,
                '--cname=middle.test,target.test', '--cname=alias.test,middle.test',
                '--host-record=one.test,' + SHARED, '--host-record=two.test,' + SHARED])
    ns_b.wait_listening(53, 'udp')
    f = lab.Flowline(ns_a, '--no-fold')
    connect(WEB)            # before anybody asked: no name
    time.sleep(0.3)
    for name, address in (('Web.Test', WEB), ('alias.test', ALIAS), ('one.test', SHARED), ('two.test', SHARED)):
        said = ns_a.run(['dig', '@' + B4, '+short', name, 'A'])
        eq(name, said.split()[-1], address)
        time.sleep(0.1)
        connect(address)
        time.sleep(0.1)
    connect(B4)
    points = f.stop().where('netflow', dst_port='8000')
    got = sorted(((p.tags['dst_ip'], p.tags.get('dst_domain')) for p in points if p.fields['tcp_established']),
                 key=repr)
    eq('names', got, sorted([(WEB, None), (WEB, 'web.test'), (ALIAS, 'alias.test'), (SHARED, 'one.test'),
                             (SHARED, 'two.test'), (B4, None)], key=repr))


def replace(content, in_place):
    path = DATABASE if in_place else DATABASE + '.new'
    with open(path, 'wb') as out:
        out.write(content)
    if not in_place:
        os.rename(path, DATABASE)
    time.sleep(3.5)         # looked at once a second; a file that is written in place has to rest


def line_fields(path, address):
    """[(country, city, dst_lat, dst_lon)] of the points to an address, in their order, as written."""
    out = []
    with open(path, encoding='utf-8') as f:
        for line in f:
            head, fields = lab.split_unquoted(line.rstrip('\n'), ' ')[:2]
            tags = dict(t.split('=', 1) for t in head.split(',')[1:])
            values = dict(v.split('=', 1) for v in fields.split(','))
            if head.startswith('netflow,') and tags['dst_ip'] == address and values['tcp_established'] != '0i':
                out.append(tuple(tags.get(t) for t in ('dst_country', 'dst_city')) +
                           tuple(values.get(v) for v in ('dst_lat', 'dst_lon')))
    return out


def test_places():
    """Renamed into place, overwritten in place, damaged: the next cycle has the new place, or the old one stays."""
    replace(mmdb({'8.8.8.0/24': place('US', 'Springfield', 1.5, -2.25)}), False)
    f = lab.Flowline(ns_a, '--set', 'geoip.databases=' + DATABASE, '--set', 'geoip.coordinates=true')
    connect(WEB)
    connect(B4)
    connect(SHARED)
    time.sleep(2)
    replace(mmdb({'8.8.8.0/24': place('SE', 'Lund', 3.5, 4.5)}), False)
    connect(WEB)
    time.sleep(2)
    replace(mmdb({'8.8.8.0/24': place('NO', 'Bergen', 5.5, 6.5)}), True)
    connect(WEB)
    time.sleep(2)
    replace(mmdb({'8.8.8.0/24': place('FI', 'Turku', 7.5, 8.5)})[:-40], True)
    connect(WEB)
    time.sleep(2)
    f.process.send_signal(2)
    f.process.wait(30)
    said = f.said()
    eq('exit status', f.process.returncode, 0)
    eq('places', line_fields(f.out, WEB), [('US', 'Springfield', '1.5', '-2.25'), ('SE', 'Lund', '3.5', '4.5'),
                                           ('NO', 'Bergen', '5.5', '6.5'), ('NO', 'Bergen', '5.5', '6.5')])
    for a in (B4, SHARED):
        eq(a, line_fields(f.out, a), [(None,) * 4])
    told = [line for line in said.splitlines() if DATABASE in line]
    eq('messages about it', len(told), 1)
    eq('what it says', 'the edition before stays in use' in told[0], True)
    eq('adds up', 'adds up' in said, True)


lab.main([('names', test_names), ('places', test_places)], setup)
