#!/usr/bin/env python3
"""test_old_kernel.py - live: flowline does on an old kernel what it does on a new one. Everything runs under
tests/old-kernel/old_kernel, which answers to newer system calls and options what an old kernel would: as RHEL 7's
3.10, 3.10 and 3.2; beside it the same flowline without that, whose points have to be the same.

STATIC_FLOWLINE=PATH: the same for the program of tools/build-static.
"""
import collections
import os
import signal
import socket
import subprocess
import time

import backends
import lab
from backends import (Load, Run, balance, http_output, parse_line, points_of, same_points,
                      settled, spare, split_lines, write_text)
from lab import B4, B6, between, eq, fail, wait_until
from peers import Backend

ns_a = ns_b = None
OLD_KERNEL = os.path.join(os.environ.get('top_builddir', '.'), 'tests/old-kernel/old_kernel')
STATIC = os.environ.get('STATIC_FLOWLINE', '')
# What is measured with the clock, and may differ between two that look at the same.
MEASURED = ('rtt', 'rtt_var', 'latency', 'latency_max', 'connect_latency')


def setup():
    global ns_a, ns_b
    if not os.access(OLD_KERNEL, os.X_OK):
        raise lab.Skip('%s is not built' % OLD_KERNEL)
    for kernel in ('el7', '3.10', '3.2'):
        r = lab.quietly([OLD_KERNEL, '-k', kernel, '--self-test'])
        if r.returncode == 77:
            raise lab.Skip(r.stdout.strip().splitlines()[0])
        if r.returncode:
            raise RuntimeError('old_kernel -k %s: %s' % (kernel, r.stdout))
    ns_a, ns_b = lab.pair()


def under(kernel, program):
    """A program that is this one under the look of that kernel; all that is started from then on is it."""
    path = write_text(spare('old'), '#!/bin/sh\nexec "%s" -k %s "%s" "$@"\n' % (
        os.path.abspath(OLD_KERNEL), kernel, program))
    os.chmod(path, 0o755)
    backends.FLOWLINE = path


def traffic():
    """UDP over IPv4 and IPv6, TCP with HTTP, a refused connection, questions and answers of DNS."""
    page = b'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello'

    def serve(s):
        while s.recv(4096):
            s.sendall(page)
    web = lab.serve(ns_b.listen('::', 8080), serve)
    names = ns_b.socket(kind=socket.SOCK_DGRAM)
    names.bind((B4, 53))
    sockets = [ns_a.socket(kind=socket.SOCK_DGRAM), ns_a.socket(socket.AF_INET6, socket.SOCK_DGRAM)]
    for turn in range(20):
        sockets[0].sendto(b'd' * (100 + turn), (B4, 9001))
        sockets[1].sendto(b'e' * (100 + turn), (B6, 9002))
        question = bytes([0, turn + 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0]) + b'\3www\7example\3org\0\0\1\0\1'
        sockets[0].sendto(question, (B4, 53))
        asked, who = names.recvfrom(512)
        names.sendto(asked[:2] + b'\x81\x83' + asked[4:], who)
        sockets[0].recv(512)
    for address in (B4, B6):
        s = ns_a.connect(address, 8080)
        for path in (b'/one', b'/two'):
            s.sendall(b'GET ' + path + b' HTTP/1.1\r\nHost: b\r\n\r\n')
            lab.exactly(s, len(page))
        time.sleep(0.3)  # so that both find whose it is
        s.close()
    try:
        ns_a.connect(B4, 8081)
        fail('8081 should refuse')
    except ConnectionRefusedError:
        pass
    time.sleep(0.3)
    web.close()
    for s in sockets + [names]:
        s.close()


# What is the same whichever tier an old kernel has, and who was found or why not.
COUNTED = ('bytes_read', 'bytes_written', 'tcp_established', 'tcp_closed', 'tcp_connect_failed', 'tcp_resets', 'count')
FOUND = ('pid', 'process_name', 'container_id')


def counted(lines):
    """{(measurement, tags without the process's): {field: sum}}"""
    out = {}
    for (kind, tags), fields in summary(lines).items():
        sums = out.setdefault((kind, tuple(t for t in tags if t[0] not in FOUND)), collections.Counter())
        sums.update({f: n for f, n in fields.items() if f in COUNTED})
    return {k: dict(v) for k, v in out.items()}


def summary(lines):
    """{(measurement, tags): {field: sum}} of the traffic, without what the clock gave."""
    out = {}
    for line in lines:
        (kind, tags, _), fields = parse_line(line)
        if kind == 'flowline':
            continue
        sums = out.setdefault((kind, tags), collections.Counter())
        for name, value in fields.items():
            if name not in MEASURED:
                sums[name] += value if isinstance(value, int) else 1
    return {k: dict(v) for k, v in out.items()}


def same_points_test(kernel, program):
    """Two flowlines that see the same packets: one on this kernel, one on the old one."""
    packet = 'capture: {mode: packet}'
    plain = Run(ns_a, '', packet, interval='60s')
    under(kernel, program)
    old = Run(ns_a, '', packet, interval='60s')
    traffic()
    for f in (plain, old):
        f.stop()
    want, got = summary(plain.lines()), summary(old.lines())
    lab.same('points', got, want)
    kinds = collections.Counter(kind for kind, _ in got)
    for kind in ('netflow', 'dnsflow', 'httpflow'):
        between(kind, kinds[kind], 1, 1000)
    packets = sum(v.get('packets_written', 0) for (kind, tags), v in got.items()
                  if kind == 'netflow' and dict(tags).get('dst_port') == '9001')
    eq('datagrams', packets, 20)
    if not any('pid' in dict(tags) for _, tags in got):
        fail('no point has a pid: sockets were not found')
    eq('what is said', without_places(old), without_places(plain))


def auto_test(kernel, program):
    """capture.mode: auto takes what such a kernel has, without a word of alarm, and counts the same. (What netlink
    answers is the new kernel's: that no message comes of sockets that end is test_fallback.py's.)"""
    plain = Run(ns_a, '', 'capture: {mode: packet}', interval='60s')
    under(kernel, program)
    old = Run(ns_a, '', interval='60s')
    time.sleep(0.4)
    mode = old.status()['capture']['mode']
    traffic()
    for f in (plain, old):
        f.stop()
    print('    auto is ' + mode)
    eq('no probe tier', mode in ('packet', 'socket'), True)
    lab.same('counted', counted(old.lines()), counted(plain.lines()))


def without_places(run):
    """The messages but for what differs between two runs: paths, numbers."""
    lines = run.said().split('flowline: ')[1:]
    return [''.join(c for c in line.split('\n')[0] if not c.isdigit()) for line in lines
            if '/' not in line.split('\n')[0]]


def outputs_test(kernel, program):
    """HTTP with gzip, a spool while the backend is away, status, files that are rotated, two reloads."""
    under(kernel, program)
    b = Backend(ns_a).start()
    rotated = spare('rotated')
    files = '\n- file: {path: %s, rotate_size: 64k, keep: 1000, compress: true}' % rotated
    f = Run(ns_a, http_output(database='x', gzip='true') + files, interval='250ms')
    load = Load(ns_a, 300)
    wait_until('points arrive', lambda: b.store.lines)
    b.kill()
    wait_until('the spool is used', lambda: f.output('http')['points_spooled'] > 300, 20)
    f.reload(http_output(database='x', gzip='true') + files, 'tags: {edition: two}')
    time.sleep(1)
    b.start()
    wait_until('the spool is sent', lambda: not f.output('http')['points_spooled'], 20)
    f.reload(http_output(database='x', gzip='false') + files, 'tags: {edition: three}')
    time.sleep(1)
    load.stop()
    f.stop()
    load.check('file', f.lines())
    # what a busy machine did not send before the end is in the spool
    rest = Run(ns_a, http_output(database='x'), spool=f.spool)
    balance(settled(rest))
    rest.stop()
    same_points('backend', b.store.points(), points_of(f.lines() + rest.lines()))
    between('gzipped requests', b.gzipped, 1, 1 << 20)
    b.kill()
    packed = [n for n in os.listdir(lab.scratch) if n.startswith(os.path.basename(rotated) + '-')]
    between('rotated files', len(packed), 1, 1000)
    text = b''
    for name in sorted(packed):
        r = subprocess.run(['gzip', '-dc', lab.scratch + '/' + name] if name.endswith('.gz') else
                           ['cat', lab.scratch + '/' + name], stdout=subprocess.PIPE, timeout=60)
        eq('exit status of gzip', r.returncode, 0)
        text += r.stdout
    text += backends.read_bytes(rotated)
    same_points('rotated files', points_of(split_lines(text)), points_of(f.lines()))


def killed_test(kernel, program):
    """kill -9 with points in the spool: the next run sends them."""
    under(kernel, program)
    f = Run(ns_a, http_output(database='x'), interval='250ms')
    load = Load(ns_a, 300)
    wait_until('the spool is used', lambda: f.output('http')['points_spooled'] > 300, 20)
    load.stop()
    wait_until('all is on disk', lambda: not f.output('http')['points_queued'])
    kept = f.output('http')['points_spooled']
    f.stop(signal.SIGKILL)
    b = Backend(ns_a).start()
    f = Run(ns_a, http_output(database='x'), spool=f.spool)
    o = settled(f)
    balance(o)
    f.stop()
    b.kill()
    between('points found', o['points_found'], kept, 1 << 24)
    eq('points lost', o['points_lost'], 0)
    between('points that arrived', len(b.store.points()), kept, 1 << 24)


def tests():
    out = []
    programs = [('ordinary', backends.FLOWLINE)]
    if STATIC:
        programs.append(('static', os.path.abspath(STATIC)))
    for what, program in programs:
        for kernel in ('el7', '3.10', '3.2'):
            for name, function in (('the same points', same_points_test), ('auto', auto_test),
                                   ('outputs', outputs_test), ('killed', killed_test)):
                if kernel != '3.10' or function in (same_points_test, auto_test):
                    out.append(('%s, %s: %s' % (what, kernel, name), bound(function, kernel, program)))
    if not STATIC:
        out.append(('static', skip_static))
    return out


def bound(function, kernel, program):
    ordinary = backends.FLOWLINE

    def run():
        backends.FLOWLINE = ordinary
        try:
            function(kernel, program)
        finally:
            backends.FLOWLINE = ordinary
    return run


def skip_static():
    raise lab.Skip('no static program: tools/build-static makes one, STATIC_FLOWLINE names it')


if __name__ == '__main__':
    lab.main(tests(), setup)
