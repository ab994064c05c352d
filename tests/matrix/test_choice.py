#!/usr/bin/env python3
"""test_choice.py - live: which tier flowline takes where a kernel, or a part of it, is refused, and that its points
are right in each. Run by tools/kernel-matrix; MATRIX_VARIANT is what is refused to $FLOWLINE (guest.py).

The judge is the traffic: what was sent and received is known to the byte, and so is what became of each connection.
"""
import contextlib
import json
import os
import re
import shutil
import socket
import struct
import sys
import time

sys.path.insert(0, os.path.join(os.environ.get('top_srcdir', '.'), 'tests/live'))
import lab  # noqa: E402
from lab import B4, B6, eq, fail  # noqa: E402

KB = 1 << 10
VARIANT = os.environ.get('MATRIX_VARIANT', 'plain')
KERNEL = tuple(int(n) for n in re.match(r'(\d+)\.(\d+)', os.uname().release).groups())
# eBPF maps count against RLIMIT_MEMLOCK before Linux 5.11.
MEMLOCK = ('socket',) if KERNEL < (5, 11) else ('probe',)
# The tier that auto has to find. Under lockdown some kernels let a probe read nothing, others what BTF describes.
TIERS = {'plain': ('probe',), 'no-btf': ('socket',), 'no-bpf': ('socket',), 'no-kprobes': ('probe',),
         'silent-kprobes': ('probe',), 'memlock': MEMLOCK, 'memlock-user': MEMLOCK,
         'lockdown': ('probe', 'socket')}[VARIANT]
# What the reason for not having the probe tier has to hold: the cause, and what mends it.
CAUSES = {'no-btf': ('/sys/kernel/btf/vmlinux', 'kernel.btf_path'), 'no-bpf': ('bpf(2) is refused', 'seccomp filter'),
          'memlock': ('(RLIMIT_MEMLOCK)', 'LimitMEMLOCK=infinity'),
          'memlock-user': ('(RLIMIT_MEMLOCK)', 'LimitMEMLOCK=infinity'),
          'lockdown': ('kernel lockdown (confidentiality) forbids ', 'boot without lockdown=confidentiality')}
# ... and what `flowline doctor` advises
MENDS = {'no-btf': 'kernel.btf_path', 'memlock': 'LimitMEMLOCK=infinity', 'memlock-user': 'LimitMEMLOCK=infinity',
         'lockdown': 'boot without lockdown=confidentiality'}
KPROBE_TYPE = '/sys/bus/event_source/devices/kprobe/type'
# may a provider be one?
KPROBES = {'plain': os.path.exists(KPROBE_TYPE), 'no-kprobes': False, 'silent-kprobes': False}
BTF = '/sys/kernel/btf/vmlinux'
COUNTERS = ('tcp_established', 'tcp_closed', 'tcp_connect_failed', 'tcp_resets')
NOWHERE = '203.0.113.1'  # RFC 5737; no route leads there
ns_a = ns_b = None


def setup():
    global ns_a, ns_b
    ns_a, ns_b = lab.pair()


# --- traffic -----------------------------------------------------------------------------------------

def transfer(address, port, up, down):
    """The client ends its half, then the server answers."""
    def handle(s):
        eq('received by the server', lab.read_all(s), up)
        s.sendall(b's' * down)
    listener = lab.serve(ns_b.listen(address, port), handle)
    s = ns_a.connect(address, port)
    s.sendall(b'c' * up)
    s.shutdown(socket.SHUT_WR)
    eq('received by the client', lab.read_all(s), down)
    s.close()
    listener.close()


def reset(address, port):
    listener = ns_b.listen(address, port)
    s = ns_a.connect(address, port)
    t, _ = listener.accept()
    s.sendall(b'x' * 700)
    lab.exactly(t, 700)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
    s.close()
    time.sleep(0.1)
    t.close()
    listener.close()


def old_connection():
    """Open before the start; its second half is sent while flowline runs."""
    listener = ns_b.listen(B4, 9005)
    s = ns_a.connect(B4, 9005)
    t, _ = listener.accept()
    s.sendall(b'o' * 5000)
    lab.exactly(t, 5000)

    def second_half():
        s.sendall(b'n' * 3000)
        lab.exactly(t, 3000)
        t.sendall(b'm' * 2000)
        lab.exactly(s, 2000)
        for x in (s, t, listener):
            x.close()
    return second_half


def traffic():
    transfer(B4, 9001, 300 * KB + 1, 500 * KB + 3)
    transfer(B6, 9002, 20 * KB, 100 * KB)
    reset(B4, 9003)
    s = ns_a.socket()
    eq('refused', s.connect_ex((B4, 9)), 111)
    s.close()
    s = ns_a.socket()
    eq('no route', s.connect_ex((NOWHERE, 80)), 101)
    s.close()
    for address, family in ((B4, socket.AF_INET), (B6, socket.AF_INET6)):
        u, v = ns_a.socket(family, socket.SOCK_DGRAM), ns_b.socket(family, socket.SOCK_DGRAM)
        v.bind((address, 9004))
        for _ in range(30):
            u.sendto(b'd' * 100, (address, 9004))
            eq('datagram', len(v.recv(200)), 100)
        u.close()
        v.close()


# port: (bytes of the client, bytes of the server, COUNTERS)
WANTED = {
    '9001': (300 * KB + 1, 500 * KB + 3, (1, 1, 0, 0)),
    '9002': (20 * KB, 100 * KB, (1, 1, 0, 0)),
    '9003': (700, 0, (1, 1, 0, 1)),
    '9004': (6000, 0, (0, 0, 0, 0)),
    '9005': (3000, 2000, (0, 1, 0, 0)),
    '9': (0, 0, (0, 0, 1, 0)),
}


def check(points, at_client, what):
    up, down = ('bytes_written', 'bytes_read')[::1 if at_client else -1]
    for port, (sent, received, counters) in WANTED.items():
        p = points.where('netflow', **{'dst_port' if at_client else 'src_port': port})
        where = '%s, %s, port %s: ' % (what, 'client' if at_client else 'server', port)
        eq(where + 'bytes', p.sums(up, down), (sent, received))
        eq(where + ', '.join(COUNTERS), p.sums(*COUNTERS), counters)
        eq(where + 'direction', {q.tags['direction'] for q in p}, {'outgoing' if at_client else 'incoming'})


class Run:
    """flowlines on both sides, the traffic, and what came of it."""

    def __init__(self, *settings):
        old = old_connection()
        more = ['-v'] + [word for s in settings for word in ('--set', s)]
        before = [ns.sent_again() for ns in (ns_a, ns_b)]
        flowlines = [lab.Flowline(ns, *more) for ns in (ns_a, ns_b)]
        traffic()
        old()
        time.sleep(0.3)
        again = [ns.sent_again() - n for ns, n in zip((ns_a, ns_b), before)]
        self.points = [f.stop() for f in flowlines]
        self.said = flowlines[0].said()
        what = '%s, %s' % (VARIANT, ' '.join(settings))
        for points, at_client in zip(self.points, (True, False)):
            check(points, at_client, what)
            eq(what + ': sent again, as this host\'s kernel says',
               sum(points.where('netflow').sums('retransmits', 'tcp_syn_retransmits')), again[not at_client])
        found = re.findall(r'\b(packet|socket|probe) tier: (?:all traffic|TCP\'s figures)', self.said)
        self.tier = found[0] if len(found) == 1 else repr(found)

    def providers(self):
        """{fact: by what} of the probe tier."""
        return dict(re.findall(r'probe tier: (\S+) by ([^;\n]+)', self.said))

    def errors(self):
        c = {}
        for p in self.points[0].where('netflow'):
            if 'connect_error' in p.fields:
                key = p.tags['dst_ip'], p.fields['connect_error']
                c[key] = c.get(key, 0) + p.fields['tcp_connect_failed']
        return c

    def why(self, tier):
        """The reason that was given for not having it."""
        found = re.search(r'%s (?:tier )?cannot be had: (.*)' % tier, self.said)
        return found.group(1) if found else ''


def check_cause(where, why):
    """Whoever reads the reason knows what it is, and what to do."""
    print('    %s: %s' % (where, why))
    for words in CAUSES[VARIANT]:
        if words not in why:
            fail('%s: the reason has no "%s": %s' % (where, words, why))


def by_kprobe(providers):
    return sorted(f for f, by in providers.items() if by.startswith(('kprobe/', 'kretprobe/')))


@contextlib.contextmanager
def without_btf():
    """Flowlines that are started in here see no BTF in /sys; a copy of it is in the file whose name is given."""
    refuse = os.path.join(os.environ.get('top_builddir', '.'), 'tests/matrix/refuse')
    if not os.access(BTF, os.R_OK):
        raise lab.Skip('this kernel has no BTF')
    if not os.access(refuse, os.X_OK):
        raise lab.Skip('%s is not built' % refuse)
    copy, script, before = lab.scratch + '/vmlinux.btf', lab.scratch + '/without-btf', lab.FLOWLINE
    shutil.copyfile(BTF, copy)
    with open(script, 'w') as f:
        f.write('#!/bin/sh\nexec "%s" --btf "%s" "$@"\n' % (os.path.abspath(refuse), os.path.abspath(before)))
    os.chmod(script, 0o755)
    lab.FLOWLINE = script
    try:
        yield copy
    finally:
        lab.FLOWLINE = before


# --- tests -------------------------------------------------------------------------------------------

def test_auto():
    """The best that is to be had is taken; what cannot be had has a reason."""
    run = Run('capture.mode=auto')
    if run.tier not in TIERS:
        fail('auto took %s, wanted %s; it said: %s' % (run.tier, ' or '.join(TIERS), run.said[:1500]))
    if run.tier != 'probe':
        check_cause('the log', run.why('the probe tier'))
        eq('errors without probes', run.errors(), {})


def test_facts():
    """A kprobe is used where there is nothing better, it is there and fires; and nowhere else."""
    if VARIANT not in KPROBES:
        raise lab.Skip('what is refused here is not about kprobes')
    run = Run('capture.mode=probe')
    providers = run.providers()
    print('    ' + ', '.join('%s by %s' % item for item in sorted(providers.items())))
    if KPROBES[VARIANT]:
        eq('errors', run.errors(), {(B4, 'ECONNREFUSED'): 1, (NOWHERE, 'ENETUNREACH'): 1})
    else:
        eq('facts by a kprobe', by_kprobe(providers), [])
        eq('the refused connection', run.errors().get((B4, 'ECONNREFUSED')), 1)


def test_no_btf():
    """The same without BTF in the kernel, from a file with it: nothing but tracepoints and kprobes is left."""
    if VARIANT not in KPROBES:
        raise lab.Skip('what is refused here is not about kprobes')
    with without_btf() as path:
        run = Run('capture.mode=probe', 'kernel.btf_path=' + path)
    providers = run.providers()
    print('    ' + ', '.join('%s by %s' % item for item in sorted(providers.items())))
    eq('with a file of BTF', run.tier, 'probe')
    if KPROBES[VARIANT]:
        eq('by a kprobe', [f for f in ('accept', 'bind') if f not in by_kprobe(providers)], [])
        eq('errors', run.errors(), {(B4, 'ECONNREFUSED'): 1, (NOWHERE, 'ENETUNREACH'): 1})
    else:
        eq('facts by a kprobe', by_kprobe(providers), [])
        eq('errors', run.errors(), {(B4, 'ECONNREFUSED'): 1})


def test_explicit():
    """A mode that is asked for and cannot be had: a warning with the reason, and the next one is taken."""
    if VARIANT == 'plain':
        for mode in ('packet', 'socket'):
            eq(mode + ' was asked for', Run('capture.mode=' + mode).tier, mode)
    run = Run('capture.mode=probe')
    if run.tier not in TIERS:
        fail('probe was asked for: %s is taken, wanted %s' % (run.tier, ' or '.join(TIERS)))
    if run.tier != 'probe':
        check_cause('the log', run.why('capture.mode probe'))


def test_btf_path():
    """kernel.btf_path leads nowhere: that is said, and the socket tier is taken."""
    if VARIANT != 'no-btf':
        raise lab.Skip('tried as no-btf')
    run = Run('capture.mode=probe', 'kernel.btf_path=%s/nothing' % lab.scratch)
    why = run.why('capture.mode probe')
    print('    ' + why)
    eq('with a path to nothing', run.tier, 'socket')
    eq('the path is named (%s)' % why, 'nothing' in why, True)


def test_doctor():
    """The page names what a run names, and what would mend it; what works has no reason to give."""
    r = ns_a.quietly([os.path.abspath(lab.FLOWLINE), 'doctor', '--json'])
    eq('exit status', r.returncode, 0)
    page = json.loads(r.stdout)
    if page['tier'] not in TIERS:
        fail('doctor finds %s, wanted %s: %s' % (page['tier'], ' or '.join(TIERS), r.stdout))
    if page['tier'] == 'probe':
        return
    check_cause('doctor', page['probe']['why'] or 'none')
    if VARIANT in MENDS and not any(MENDS[VARIANT] in m['command'] for m in page['mend']):
        fail('nothing advises %s: %r' % (MENDS[VARIANT], page['mend']))


lab.main([
    ('auto', test_auto), ('facts', test_facts), ('btf-file', test_no_btf), ('explicit', test_explicit),
    ('btf-nowhere', test_btf_path), ('doctor', test_doctor),
], setup)
