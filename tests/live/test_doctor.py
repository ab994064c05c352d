#!/usr/bin/env python3
"""test_doctor.py - live: `flowline doctor` says what `flowline run` does, whatever is taken away from both; it leaves
nothing behind, and a running flowline does not mind it.
"""
import json
import os
import subprocess
import time

import lab
import tiers
from lab import eq, fail

ns = None
FLOWLINE = os.path.abspath(lab.FLOWLINE)


def setup():
    global ns
    ns = lab.Namespace('d')


def doctor(*args, refuse=(), drop=()):
    """Its exit status and what it found; what is wrong with the page itself is told."""
    begin = time.time()
    words = tiers.confined(refuse, drop) if refuse or drop else []
    with ns:
        r = subprocess.run(words + [FLOWLINE, 'doctor', '--json', '-c', ''] + list(args), stdout=subprocess.PIPE,
                           stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, universal_newlines=True,
                           timeout=60 * lab.SLOW)
    took = time.time() - begin
    eq('standard error', r.stderr, '')
    if took > 4 * lab.SLOW:
        fail('it took %.1f s' % took)
    return r.returncode, json.loads(r.stdout)


def run_tier(mode='auto', refuse=(), drop=()):
    words = tiers.confined(refuse, drop) if refuse or drop else []
    r = tiers.Run(ns, mode, prefix=words)
    r.wait()
    s = r.status()
    r.stop()
    return s['capture']['mode'], {(f['source'], f['name']): f['provider'] for f in s['capture'].get('facts') or []}


def check(what, **less):
    """The doctor against a run from which the same was taken."""
    status, d = doctor(**less)
    tier, facts = run_tier(**less)
    eq(what + ': exit status', status, 0)
    eq(what + ': tier', d['tier_auto'], tier)
    eq(what + ': that of the mode', d['tier'], tier)
    if tier != 'packet':
        eq(what + ': filter', d['filter']['takes'], facts.get(('ring', 'filter')))
    for f in d[tier]['facts'] if tier != 'packet' else []:
        if (tier, f['name']) in facts:
            eq(what + ': ' + f['name'], f['provider'], facts[tier, f['name']])
    for name in ('socket', 'probe'):
        works = d[name]['works']
        why = d[name]['why'] or any(f['why'] for f in d[name]['facts'])
        if not works and not why:
            fail('%s: the %s tier does not work, and nothing says why' % (what, name))
    return d


def test_all():
    d = check('as it is')
    print('    Linux %s: %s' % (d['kernel']['release'], ', '.join(
        '%s by %s' % (f['name'], f['provider']) for f in d['socket']['facts'] + d['probe']['facts'])))
    eq('works', d['works'], True)
    eq('all capabilities are known', len(d['process']['capabilities']), 8)


def test_no_bpf():
    tiers.can_confine()
    d = check('no bpf(2)', refuse=('bpf',))
    eq('probe', d['probe']['works'], False)
    eq('eBPF filter', d['filter']['ebpf_works'], False)
    eq('seccomp', d['process']['seccomp'], 2)
    if d['libbpf'] and d['kernel']['btf'] and 'bpf' not in ' '.join(m['command'] for m in d['mend']):
        fail('nobody is told how to let bpf(2) pass: %r' % d['mend'])


def test_no_sock_diag():
    tiers.can_confine()
    d = check('no sock_diag', refuse=('sock_diag', 'bpf'))
    eq('socket', d['socket']['works'], False)
    eq('tier', d['tier_auto'], 'packet')
    eq('narrowed', d['filter']['narrowed'], False)


def test_no_right():
    status, d = doctor(drop=(tiers.CAP_NET_RAW,))
    eq('exit status', status, 1)
    eq('works', d['works'], False)
    eq('tier', (d['tier'], d['tier_auto']), (None, None))
    eq('CAP_NET_RAW', d['process']['capabilities']['CAP_NET_RAW'], False)
    commands = ' '.join(m['command'] for m in d['mend'])
    if 'cap_net_raw' not in commands and 'NET_RAW' not in commands:
        fail('nothing says how to grant CAP_NET_RAW: %r' % d['mend'])
    # and a run says the same
    with ns:
        r = lab.quietly(tiers.confined((), (tiers.CAP_NET_RAW,)) + [FLOWLINE, 'run', '-c', '', '--duration', '1s'])
    eq('a run', (r.returncode, 'CAP_NET_RAW' in r.stdout), (1, True))


def test_interfaces():
    status, d = doctor('-i', 'lo', '-i', 'eth99')
    eq('exit status', status, 0)
    eq('interfaces', [(i['name'], i['there'], i['works']) for i in d['packet']['interfaces']],
       [('lo', True, True), ('eth99', False, False)])
    status, d = doctor('-i', 'eth99')
    eq('waited for: exit status', status, 0)


def test_forwarding():
    ns.run(['sh', '-c', 'echo 1 >/proc/sys/net/ipv4/ip_forward'])
    try:
        status, d = doctor()
        eq('exit status', status, 0)
        eq('forwards', (d['filter']['forwards_ipv4'], d['filter']['narrowed']), (True, False))
        if d['tier'] != 'packet':
            eq('advice', [m['command'] for m in d['mend'] if 'narrow' in m['command']], ['kernel.narrow: always'])
            d = doctor('--set', 'kernel.narrow=always')[1]
            eq('narrowed by force', d['filter']['narrowed'], True)
    finally:
        ns.run(['sh', '-c', 'echo 0 >/proc/sys/net/ipv4/ip_forward'])
    status, d = doctor()
    eq('narrowed', d['filter']['narrowed'], d['tier'] != 'packet')


def programs():
    """Numbers of eBPF programs of this kernel, of whoever."""
    r = lab.quietly(['bpftool', 'prog', 'show'])
    if r.returncode:
        raise lab.Skip('bpftool: ' + r.stdout.strip())
    return {line.split(':')[0] for line in r.stdout.splitlines() if line[:1].isdigit()}


def test_leaves_nothing():
    lab.need('bpftool')
    before = programs()
    for _ in range(3):
        doctor()
    # the kernel frees programs a moment later; other programs of this machine may come meanwhile
    time.sleep(0.5)
    left = programs() - before
    for number in sorted(left):
        text = lab.quietly(['bpftool', 'prog', 'show', 'id', number]).stdout
        if 'flowline' in text and 'pids flowline' not in text:
            fail('a program was left: ' + text)
    text = ns.run(['cat', '/proc/net/packet'])
    eq('packet sockets', len(text.splitlines()), 1)
    text = ns.run(['cat', '/proc/net/tcp']) + ns.run(['cat', '/proc/net/tcp6'])
    eq('listeners', [row for row in text.splitlines() if ' 0A ' in row], [])


def test_beside_a_run():
    """Its connections on loopback are traffic as any other; the run loses nothing, and stays what it is."""
    r = tiers.Run(ns, 'auto')
    r.wait()
    before = r.status()
    for _ in range(5):
        doctor()
    after = r.status()
    eq('tier', after['capture']['mode'], before['capture']['mode'])
    eq('facts', after['capture']['facts'], before['capture']['facts'])
    eq('problems', after['problems'], [])
    r.stop()


lab.main([
    ('all', test_all),
    ('no bpf', test_no_bpf),
    ('no sock_diag', test_no_sock_diag),
    ('no right', test_no_right),
    ('interfaces', test_interfaces),
    ('forwarding', test_forwarding),
    ('leaves nothing', test_leaves_nothing),
    ('beside a run', test_beside_a_run),
], setup)
