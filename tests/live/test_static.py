#!/usr/bin/env python3
"""test_static.py - live: what the static program has of its own in place of the system's: names are resolved by
musl against a real dnsmasq, CA certificates are found where distributions have them, TLS is mbedTLS's, threads
have small stacks.

STATIC_FLOWLINE=PATH: the program of tools/build-static; without it all of this is skipped.
"""
import os
import ssl
import time

import backends
import lab
from backends import Certificates, Load, Run, points_of, same_points, spare, write_text
from lab import between, eq, wait_until
from peers import Backend

ns_a = ns_b = None
STATIC = os.environ.get('STATIC_FLOWLINE', '')


def setup():
    global ns_a, ns_b
    if not os.access(STATIC, os.X_OK):
        raise lab.Skip('no static program: tools/build-static makes one, STATIC_FLOWLINE names it')
    backends.FLOWLINE = os.path.abspath(STATIC)
    ns_a, ns_b = lab.pair()


def with_mounts(commands):
    """A prefix: `ip netns exec` gives each program mounts of its own, so these are seen by it alone."""
    return ['sh', '-ec', commands + '\nexec "$@"', 'sh']


def arrive(what, url, prefix, b, more=''):
    """Points arrive at b over this url."""
    b.store.lines.clear()
    f = Run(ns_a, '- http: {name: http, url: "%s", database: x, batch_age: 100ms%s}' % (url, more), prefix=prefix)
    load = Load(ns_a, 50)
    wait_until('%s: points arrive: %s' % (what, f.said()[-300:]), lambda: b.store.lines)
    load.stop()
    f.stop()
    same_points(what, b.store.points(), points_of(f.lines()))


def refused(what, url, prefix, b, word, more=''):
    b.store.lines.clear()
    f = Run(ns_a, '- http: {name: http, url: "%s", database: x, batch_age: 100ms%s}' % (url, more), prefix=prefix)
    load = Load(ns_a, 50)
    f.wait_said(word)
    load.stop()
    f.stop(status=None)
    eq(what, len(b.store.lines), 0)


def test_names():
    """/etc/hosts, A, an answer over TCP, a search list, a name server that is dead, a name that is not there."""
    lab.need('dnsmasq')
    long = ['c%d.' % i + '.'.join([str(i) * 60] * 3) + '.test' for i in range(4)]
    names = ['--host-record=plain.test,127.0.0.1', '--host-record=end.test,127.0.0.1', '--host-record=six.test,::1',
             '--cname=%s,%s' % (long[0], 'end.test')]
    names += ['--cname=%s,%s' % pair for pair in zip(long[1:], long)]
    ns_a.start(['dnsmasq', '-k', '-C', '/dev/null', '--no-resolv', '--no-hosts', '--user=root', '--local=/test/',
                '--bind-interfaces', '--listen-address=127.0.0.1', '--pid-file=', '--edns-packet-max=512'] + names)
    ns_a.wait_listening(53)
    resolv = write_text(spare('resolv'), 'nameserver 127.0.0.1\nsearch nowhere.test test\n')
    dead = write_text(spare('resolv'), 'nameserver %s\nnameserver 127.0.0.1\noptions timeout:1\n' % lab.DEAD4)
    hosts = write_text(spare('hosts'), '127.0.0.1 localhost listed.example\n')
    mounts = 'mount --bind %s "$(readlink -f /etc/resolv.conf)"; mount --bind %s /etc/hosts'
    b = Backend(ns_a).start()
    prefix = with_mounts(mounts % (resolv, hosts))
    for what, name in (('hosts', 'listed.example'), ('A', 'plain.test'), ('TCP', long[3]), ('search', 'plain'),
                       ('localhost', 'localhost')):
        arrive(what, 'http://%s:8086' % name, prefix, b)
    arrive('dead server', 'http://plain.test:8086', with_mounts(mounts % (dead, hosts)), b)
    refused('nobody', 'http://nobody.test:8086', prefix, b, 'nobody.test')
    b.kill()


def test_certificates():
    """The system's CA certificates, at each place under /etc/ssl; none; the wrong ones; a client's."""
    c = Certificates()
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(*c.server)
    tls.load_verify_locations(c.ca)
    url = 'https://localhost:8086'
    place = 'mount -t tmpfs tmpfs /etc/ssl; mkdir -p /etc/ssl/certs; '
    for oldest, newest in ((ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_2), (ssl.TLSVersion.TLSv1_3,) * 2):
        tls.minimum_version, tls.maximum_version = oldest, newest
        b = Backend(ns_a, tls=tls).start()
        for path in ('certs/ca-certificates.crt', 'ca-bundle.pem', 'cert.pem'):
            arrive('%s, %s' % (newest.name, path), url, with_mounts('%scp %s /etc/ssl/%s' % (place, c.ca, path)), b)
        refused('no CA', url, with_mounts(place), b, 'ca_file')
        refused('other CA', url, with_mounts('%scp %s /etc/ssl/cert.pem' % (place, c.other_ca)), b, 'ca_file')
        arrive('ca_file', url, with_mounts(place), b, ', ca_file: ' + c.ca)
        b.kill()
    tls.verify_mode = ssl.CERT_REQUIRED
    b = Backend(ns_a, tls=tls).start()
    client = ', cert_file: %s, key_file: %s' % c.client
    arrive('client', url, with_mounts('%scp %s /etc/ssl/cert.pem' % (place, c.ca)), b, client)
    b.kill()


def test_threads():
    """Four outputs at once over TLS, each with threads, names and stacks of its own; reloads meanwhile."""
    c = Certificates()
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(*c.server)
    peers = [Backend(ns_a, port=8086 + i, tls=tls).start() for i in range(4)]
    outputs = ''.join('- http: {name: o%d, url: "https://localhost:%d", database: x, batch_age: 100ms, gzip: %s, '
                      'ca_file: %s}\n' % (i, 8086 + i, 'true' if i % 2 else 'false', c.ca) for i in range(4))
    f = Run(ns_a, outputs, interval='250ms')
    load = Load(ns_a, 300)
    for edition in range(5):
        time.sleep(0.5)
        f.reload(outputs, 'tags: {edition: e%d}' % edition)
    load.stop()
    f.stop()
    load.check('file', f.lines())
    for i, b in enumerate(peers):
        same_points('o%d' % i, b.store.points(), points_of(f.lines()))
        between('points', len(b.store.lines), 300, 1 << 24)
        b.kill()


if __name__ == '__main__':
    lab.main([('names', test_names), ('certificates', test_certificates), ('threads', test_threads)], setup)
