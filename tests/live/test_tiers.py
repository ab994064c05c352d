#!/usr/bin/env python3
"""test_tiers.py - live: one schema, whichever way it is measured. The same traffic is watched by flowlines of all
tiers (capture.mode) at once, on the client's host and on the server's. Each kind has a server's port of its own.
The judges are the programs themselves and the kernel's tcp_info; where neither knows, the packet tier.

A tier that cannot be had here is skipped with the reason.
"""
import collections
import json
import sys
import threading
import time

import lab
import tier_traffic as traffic
import tiers
from lab import B4, B6, between, eq, fail
from tiers import COUNTERS
from wire import Wire, tcp_info

ns_a = ns_b = None


# --- the session: all of that at once ----------------------------------------------------------------

OLD = ['old, ends', 'old, stays', 'old, only ends']
NAMES = [n for n, _ in traffic.SLOW_ONES + traffic.TRAFFIC] + OLD
PORTS = {n: 7001 + i for i, n in enumerate(NAMES)}


class Session:
    """Six flowlines, each kind of traffic once; .points[mode, at_client], .want[name] or .why[name]."""

    def __init__(self, names):
        self.want, self.why, self.points, self.mode, self.knows, self.problems = {}, {}, {}, {}, {}, []
        names = [n for n in NAMES if n in names]
        old = traffic.Old([PORTS[n] for n in OLD])
        more = zip(OLD, (old.t_end, old.t_stay, old.t_only_end))
        runs = {(m, c): tiers.Run(ns_a if c else ns_b, m, '--no-fold', '--ring-size', '16M')
                for m in tiers.MODES for c in (True, False)}
        tiers.start(*runs.values())
        self.again = {True: ns_a.sent_again(), False: ns_b.sent_again()}
        begin = time.time()
        beside = [threading.Thread(target=self.one, args=x) for x in list(more) + traffic.SLOW_ONES if x[0] in names]
        for t in beside:
            t.start()
        for x in traffic.TRAFFIC:
            if x[0] in names:
                self.one(*x)
        for t in beside:
            t.join()
        time.sleep(0.3)
        print('    %.1f s of traffic' % (time.time() - begin))
        for c, ns in ((True, ns_a), (False, ns_b)):
            self.again[c] = ns.sent_again() - self.again[c]
        for key, r in runs.items():
            self.mode[key] = (r.mode(), r.said())
            self.knows[key] = {f: r.knows(f) for f in ('connect', 'accept', 'connect_error_at_once')}
        cpu = {key: r.cpu() for key, r in runs.items()}
        for m in tiers.MODES:
            print('    %s: CPU %.2f s at the client, %.2f s at the server' % (
                self.mode[m, True][0], cpu[m, True], cpu[m, False]))
        del lab.problems[:]
        for key, r in runs.items():
            self.points[key] = r.stop()
        self.problems = list(lab.problems)
        old.close()

    def one(self, name, function):
        before = len(lab.problems)
        try:
            self.want[name] = function(PORTS[name])
            if len(lab.problems) > before:
                self.why[name] = RuntimeError('the traffic went wrong: %s' % lab.problems[before:])
        except lab.Skip as e:
            self.why[name] = e
        except Exception as e:
            self.why[name] = RuntimeError('the traffic went wrong: %s: %s' % (type(e).__name__, e))


session = None
tried = set()


def setup():
    global ns_a, ns_b, session
    ns_a, ns_b = traffic.setup()
    names = {n for n in NAMES for m in tiers.MODES if selected('%s: %s' % (m, n))}
    if names or any(selected('%s: the sums' % m) for m in tiers.MODES):
        session = Session(names)


def selected(name):
    return not sys.argv[1:] or any(a in name for a in sys.argv[1:])


def has_tier(session, mode):
    """Skip with the reason where this machine does not have the tier."""
    got, said = session.mode[mode, True]
    if got != mode:
        reasons = [line for line in said.splitlines() if mode in line] or ['it says nothing of it']
        raise lab.Skip('no %s tier here, but %s: %s' % (mode, got, reasons[0].strip()))


def check(mode, name):
    """What the session says; when that is not right, tried again it is a session of this traffic alone."""
    s = Session([name]) if (mode, name) in tried else session
    tried.add((mode, name))
    has_tier(s, mode)
    if name in s.why:
        raise s.why[name]
    w = s.want[name]
    for at_client in (True, False):
        if at_client or w.at_server:
            check_side(s, mode, at_client, w, w.port or PORTS[name])


def select(points, at_client, w, port):
    p = tiers.flow(points, at_client, port, 'udp' if hasattr(w, 'udp') else 'tcp')
    if hasattr(w, 'address'):
        p = lab.Points(q for q in p if q.tags['dst_ip' if at_client else 'src_ip'] == w.address)
    elif hasattr(w, 'dns'):
        p = lab.Points(q for q in p if q.tags['family'] == 'IPv4')
    return p


def check_side(session, mode, at_client, w, port):
    """One tier's points of one port against what is known, and against the packet tier's."""
    side = 'client: ' if at_client else 'server: '
    points = session.points[mode, at_client]
    p = select(points, at_client, w, port)
    base = select(session.points['packet', at_client], at_client, w, port)
    got, want = tiers.sums(p), tiers.sums(base)
    w.now = w.unsent if session.knows[mode, at_client]['connect_error_at_once'] and at_client else {}
    unsent = sum(w.now.values())
    want['tcp_connect_failed'] += unsent
    if mode != 'packet':
        # A packet of many segments that is sent again is one where packets are counted, and so many for the kernel,
        # which also knows of those that went unseen: check_sums() asks it for the sum.
        again = w.again[0 if at_client else 1] if w.again else max(got['retransmits'], want['retransmits'])
        want['retransmits'] = again
    lab.same(side + 'sums, wanted as the packet tier', got, want)
    up, down = ('bytes_written', 'bytes_read')[::1 if at_client else -1]
    for field, n in ((up, w.up), (down, w.down)):
        if n is not None:
            eq(side + field + ' as the programs say', got[field], n)
    if hasattr(w, 'udp'):
        udp = ('packets_written', 'packets_read')[::1 if at_client else -1]
        eq(side + 'packets', p.sums(*udp), w.udp)
    else:
        for field, n in zip(COUNTERS, w.counters):
            if n is not None and not hasattr(w, 'dns'):
                eq(side + field, got[field], n + (unsent if field == 'tcp_connect_failed' else 0))
        check_figures(session, side, mode, at_client, w, p, base)
    if not unsent:
        eq(side + 'ends', tiers.ends(p), tiers.ends(base))
    check_transactions(session, side, mode, at_client, w, port)


def check_figures(session, side, mode, at_client, w, p, base):
    """What a tier may not know is absent; what it says is right."""
    errors = dict(collections.Counter(w.errors) + collections.Counter(w.now)) if at_client else {}
    eq(side + 'connect errors', tiers.errors(p), errors if session.mode[mode, at_client][0] == 'probe' else {})
    for q in p:
        if 'connect_error' in q.fields:
            eq(side + 'fields of a connect error', sorted(q.fields), ['connect_error', 'tcp_connect_failed'])
    if mode == 'packet':
        return
    had, has = tiers.last(base, 'connect_latency'), tiers.last(p, 'connect_latency')
    if at_client:
        eq(side + 'connect_latency', (has is None), (had is None))
    # Each ring takes the time for itself: in an emulated machine the one may come ms after the other.
    if has is not None and had is not None and not tiers.near(has, had, 0.2, 1000 if lab.SLOW == 1 else 20000):
        fail('%sconnect_latency: %d, the packet tier has %d' % (side, has, had))
    if w.rtt:
        kernel, said = w.rtt[0 if at_client else 1], tiers.last(
            lab.Points(q for q in p if int(q.time) <= w.rtt[2]), 'rtt')
        if said is None or not tiers.near(said, kernel):
            fail('%srtt: %r us, the kernel says %d' % (side, said, kernel))
    if not w.again and p.sum('retransmits_peer') > base.sum('retransmits_peer'):
        fail(side + 'retransmits_peer: %d' % p.sum('retransmits_peer'))
    pids = w.pids if at_client else w.server_pids
    if pids is not None and w.counters[0]:
        exact = session.knows[mode, at_client]['connect' if at_client else 'accept']
        wrong = tiers.wrong_pids(p, pids if exact and None not in w.weak_pids else pids | w.weak_pids, exact)
        eq(side + 'pids that are none of %s' % pids, wrong, {})


def check_transactions(session, side, mode, at_client, w, port):
    points = session.points[mode, at_client]
    if hasattr(w, 'http'):
        p = points.where(**{'dst_port' if at_client else 'src_port': str(port)})
        lab.same(side + 'requests, as nginx says', p.http(), w.http)
    if hasattr(w, 'dns'):
        base = session.points['packet', at_client]
        lab.same(side + 'DNS, wanted as the packet tier', points.dns(), base.dns())
        if at_client and not hasattr(w, 'address'):
            eq('DNS', {k: v for k, v in points.dns().items() if 'org' in k[0]}, {
                ('wwwa.example.org', 'A', 3): (30, 0), ('wwwb.example.org', 'A', -1): (1, 1),
                ('wwwc.example.org', 'A', 3): (10, 0)})


def check_sums(mode):
    """Self-measurement adds up, nothing was dropped or lost."""
    has_tier(session, mode)
    mine = [p for p in session.problems if 'asked for ' + mode in p]
    for p in mine:
        fail(p)
    for at_client in (True, False):
        p = session.points[mode, at_client].where('flowline')
        lost = [f for f in ('packets_dropped_kernel', 'flows_evicted', 'kernel_lost', 'map_full') if p.sum(f)]
        side = 'client' if at_client else 'server'
        eq('lost at the ' + side, {f: p.sum(f) for f in lost}, {})
        if mode != 'packet':
            # segments sent again by this host, which on lo is both ends; not SYNs that pass the server by
            p = lab.Points(q for q in session.points[mode, at_client].where('netflow', transport='tcp')
                           if at_client or q.tags['src_ip'] in (B4, B6, '127.0.0.1'))
            lo = lab.Points(q for q in p if q.tags['src_ip'] == q.tags['dst_ip'])
            missing = session.again[at_client] - sum(p.sums('retransmits', 'tcp_syn_retransmits')) - \
                lo.sum('retransmits_peer')
            # An aborted socket has forgotten what it sent again since the last list of all: probes see it before.
            if not 0 <= missing <= (3 if mode == 'socket' else 0):
                again = [(q.tags['src_port'], q.tags['dst_port'], f, q.fields[f]) for q in p for f in
                         ('retransmits', 'tcp_syn_retransmits', 'retransmits_peer') if q.fields.get(f)]
                fail('sent again by the %s: %r, RetransSegs is %d' % (side, again, session.again[at_client]))


MANY = 10000


def test_many():
    """10,000 short connections. What the ring had no room for is no tier's fault."""
    runs = {(m, c): tiers.Run(ns_a if c else ns_b, m, '--ring-size', '64M')
            for m in tiers.MODES for c in (True, False)}
    tiers.start(*runs.values())
    modes = {key: r.mode() for key, r in runs.items()}
    knows = {key: r.knows('connect' if key[1] else 'accept') for key, r in runs.items()}
    server = ns_b.start([traffic.PYTHON, '-c', traffic.MANY_SERVER, B4, '7500', str(MANY)])
    ns_b.wait_listening(7500)
    begin = time.time()
    client = ns_a.start([traffic.PYTHON, '-c', traffic.MANY_CLIENT, B4, '7500', str(MANY)])
    eq('client', client.wait(60 * lab.SLOW), 0)
    server.wait(10 * lab.SLOW)
    took = time.time() - begin
    time.sleep(0.3)
    up = sum(1 + i % 100 for i in range(MANY))
    for (m, at_client), r in runs.items():
        cpu = r.cpu()
        points = r.stop()
        dropped = points.where('flowline').sum('packets_dropped_kernel')
        print('    %-6s %s: %.0f us of CPU per connection, %d frames read, %d dropped, %.0f connections/s' % (
            modes[m, at_client], 'client' if at_client else 'server', cpu / MANY * 1e6,
            points.where('flowline').sum('packets_seen'), dropped, MANY / took))
        p = tiers.flow(points, at_client, 7500)
        want = dict.fromkeys(tiers.SUMS, 0)
        want.update(zip(('bytes_written', 'bytes_read'), (up, 3 * up)[::1 if at_client else -1]))
        want.update(tcp_established=MANY, tcp_closed=MANY)
        got = tiers.sums(p)
        if not dropped:
            lab.same('%s, %s' % (r.name, modes[m, at_client]), got, want)
        good = {str((client if at_client else server).pid)}
        eq(r.name + ': pids that are wrong', tiers.wrong_pids(p, good, False), {})
        known = lab.Points(q for q in p if 'pid' in q.tags).sum('tcp_established')
        print('        the process is known of %d' % known)
        if knows[m, at_client]:
            eq(r.name + ': connections whose process is known', known, MANY)


def test_wrap():
    """More than 4 GiB in one connection: sequence numbers begin anew, counters do not. In one long cycle."""
    lab.need('iperf3')
    runs = {(m, c): tiers.Run(ns_a if c else ns_b, m, '--no-fold', '--ring-size', '64M', interval='1h')
            for m in ('socket', 'probe') for c in (True, False)}
    tiers.start(*runs.values())
    modes = {key: r.mode() for key, r in runs.items()}
    if all(m == 'packet' for m in modes.values()):
        raise lab.Skip('neither the socket tier nor the probe tier here')
    server = ns_b.start(['iperf3', '-s', '-1'])
    ns_b.wait_listening(5201)
    said = ns_a.run(['iperf3', '-c', B4, '-J', '-n', '4500M', '--cport', '40404'])
    server.wait(10 * lab.SLOW)
    end = json.loads(said)['end']
    time.sleep(0.5)
    points = {key: r.stop() for key, r in runs.items()}
    cookie = 37  # what iperf3 sends first
    for (m, at_client), p in points.items():
        q = p.where('netflow', transport='tcp', **{'src_port' if at_client else 'dst_port': '40404'})
        what = '%s (%s) at the %s' % (m, modes[m, at_client], 'client' if at_client else 'server')
        if modes[m, at_client] != 'packet':
            between(what, q.sum('bytes_written' if at_client else 'bytes_read'),
                    end['sum_received']['bytes'] + cookie, end['sum_sent']['bytes'] + cookie)
            eq(what + ': connections', q.sums('tcp_established', 'tcp_closed'), (1, 1))
            print('    %s: %d frames read of %.1f GB' % (what, p.where('flowline').sum('packets_seen'),
                                                         end['sum_sent']['bytes'] / 1e9))


# --- a slow and lossy wire ---------------------------------------------------------------------------

def test_loss():
    """Segments sent again, as the kernel says; bytes once; rtt near the kernel's."""
    wire = Wire(0.005, 0.02)
    try:
        runs = {(m, c): tiers.Run(wire.c if c else wire.d, m) for m in tiers.MODES for c in (True, False)}
        tiers.start(*runs.values())
        modes = {key: r.mode() for key, r in runs.items()}
        s, t = tiers.pair(wire.c, wire.d, '10.72.0.2', 9000)
        for x in (s, t):
            x.settimeout(60 * lab.SLOW)

        def server():
            for _ in range(2):
                lab.exactly(t, 300000)
                t.sendall(traffic.DATA * 200000)
        thread = threading.Thread(target=server)
        thread.start()
        for _ in range(2):
            s.sendall(traffic.DATA * 300000)
            lab.exactly(s, 200000)
        thread.join()
        time.sleep(1.5)  # a dump of all while it is quiet
        infos = {True: tcp_info(s), False: tcp_info(t)}
        points = {key: r.stop() for key, r in runs.items()}
        s.close()
        t.close()
    finally:
        wire.end()
    if not wire.lost:
        fail('the wire lost nothing')
    for key, p in points.items():
        m, at_client = key
        what = '%s (%s) at the %s' % (m, modes[key], 'client' if at_client else 'server')
        q = tiers.flow(p, at_client, 9000)
        rtt, _, again = infos[at_client]
        eq(what + ': bytes', q.sums('bytes_written', 'bytes_read'), (600000, 400000)[::1 if at_client else -1])
        eq(what + ': sent again', q.sum('retransmits') + q.sum('tcp_syn_retransmits'), again)
        if modes[key] != 'packet':
            said = tiers.last(q, 'rtt')
            if said is None or not tiers.near(said, rtt):
                fail('%s: rtt %r us, the kernel says %d' % (what, said, rtt))
            peer = q.sum('retransmits_peer')
            if peer > infos[not at_client][2]:
                fail('%s: retransmits_peer %d' % (what, peer))


def bound(function, *args):
    return lambda: function(*args)


lab.main([('%s: %s' % (m, n), bound(check, m, n)) for m in tiers.MODES for n in NAMES] +
         [('%s: the sums' % m, bound(check_sums, m)) for m in tiers.MODES] +
         [('10,000 connections', test_many), ('more than 4 GiB', test_wrap), ('2% lost', test_loss)], setup)
