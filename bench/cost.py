#!/usr/bin/env python3
"""cost.py - what it costs a busy server that flowline watches: requests per second (nginx, wrk) and throughput
(iperf3) with and without it, in pairs that take turns, and the CPU of flowline itself, tier by tier.

    sudo FLOWLINE=./flowline bench/cost.py [--tier none,tap,packet,socket,probe] [--load keep,close,tcp]
        [--pairs 5] [--seconds 3] [--warm 12] [--interval 10s] [--connections 32] [--no-bpf-stats]
        [--set KEY=VALUE]...

Client and server are two network namespaces; flowline watches the server's. A pair is one run without and one
with flowline, in turns the one and the other first. "ratio" is with/without of each pair: the median, and in
brackets the middle half of them. The tier "none" starts no flowline at all: its ratios are what this machine's
noise alone does; "tap" is a packet socket whose filter takes nothing: what any program that looks at packets costs
at the least. Before each timed run there are --warm seconds of the same load, with and without flowline
alike: a new flowline may look for processes for as much as processes.cpu_share of ten seconds, at once, and with
short connections a shorter run would show that alone. On a busy machine look at "CPU per unit": that of the
load's own programs, with the kernel's work for them, which other people's load changes less.

Python 3.6 and newer, no third-party packages. Exit status 77: something is not there.
"""
import argparse
import json
import os
import re
import signal
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, '../tests/live'))
sys.dont_write_bytecode = True

import lab  # noqa: E402
import tiers  # noqa: E402
from lab import B4  # noqa: E402

NGINX = '''daemon off; master_process off; user root; pid %(dir)s/pid; error_log %(dir)s/error;
events { worker_connections 1024; }
http { access_log off; keepalive_requests 1000000000; client_body_temp_path %(dir)s; proxy_temp_path %(dir)s;
fastcgi_temp_path %(dir)s; uwsgi_temp_path %(dir)s; scgi_temp_path %(dir)s;
server { listen %(address)s:8000 reuseport backlog=4096; location / { return 200 "0123456789"; } } }
'''
STATS = '/proc/sys/kernel/bpf_stats_enabled'


def cpu_s(pid):
    """Seconds on a CPU of all threads there are: proc(5), schedstat."""
    total = 0
    for task in os.listdir('/proc/%d/task' % pid):
        try:
            with open('/proc/%d/task/%s/schedstat' % (pid, task)) as f:
                total += int(f.read().split()[0])
        except OSError:
            pass
    return total / 1e9


def ended(process):
    """Wait; output and seconds of CPU."""
    text = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = status
    if status:
        raise RuntimeError('%s: status %d: %s' % (process.args, status, text[-500:]))
    return text.decode(), usage.ru_utime + usage.ru_stime


class Load:
    """run(seconds) gives (units done, seconds it took, seconds of CPU of its programs)."""

    def __init__(self, a, b, options):
        self.a, self.b, self.o = a, b, options

    def start(self):
        """What stays for all runs."""


class Keep(Load):
    name, unit, scale = 'HTTP, keep-alive', 'request', 1
    server, more = None, ()

    def start(self):
        lab.need('nginx', 'wrk')
        if not Keep.server:
            conf = lab.scratch + '/nginx.conf'
            with open(conf, 'w') as f:
                f.write(NGINX % {'dir': lab.scratch, 'address': B4})
            Keep.server = self.b.start(['nginx', '-c', conf])
            self.b.wait_listening(8000)

    def run(self, seconds):
        before = cpu_s(Keep.server.pid)
        begin = time.monotonic()
        p = self.a.start(['wrk', '-t', '1', '-c', str(self.o.connections), '-d', '%ds' % seconds] +
                         list(self.more) + ['http://%s:8000/' % B4], stdout=subprocess.PIPE)
        said, cpu = ended(p)
        n = re.search(r'(\d+) requests in ([\d.]+)(m?s|m),', said)
        if not n:
            raise RuntimeError('wrk: ' + said)
        return int(n.group(1)), time.monotonic() - begin, cpu + cpu_s(Keep.server.pid) - before


class Close(Keep):
    name, more = 'HTTP, a connection each', ('-H', 'Connection: close')


class Tcp(Load):
    name, unit, scale = 'iperf3', 'GB', 1e9

    def start(self):
        lab.need('iperf3')

    def run(self, seconds):
        server = self.b.start(['iperf3', '-s', '-1'], stdout=subprocess.PIPE)
        self.b.wait_listening(5201)
        client = self.a.start(['iperf3', '-c', B4, '-J', '-t', str(seconds)], stdout=subprocess.PIPE)
        said, cpu = ended(client)
        _, more = ended(server)
        end = json.loads(said)['end']['sum_received']
        return end['bytes'] / 1e9, end['seconds'], cpu + more


LOADS = {'keep': Keep, 'close': Close, 'tcp': Tcp}


# --- numbers -----------------------------------------------------------------------------------------

def quantile(values, q):
    v = sorted(values)
    at = q * (len(v) - 1)
    low = int(at)
    return v[low] + (v[min(low + 1, len(v) - 1)] - v[low]) * (at - low)


def middle(values, form='%.3f'):
    return (form + ' (' + form + ' to ' + form + ')') % tuple(quantile(values, q) for q in (0.5, 0.25, 0.75))


def short(n):
    return '%.0f' % n if n >= 1000 else '%.3g' % n


def programs(pid):
    """{id: (runs, ns)} of the eBPF programs that a process has: proc(5), fdinfo, Linux 5.1."""
    found = {}
    for fd in os.listdir('/proc/%d/fdinfo' % pid):
        try:
            with open('/proc/%d/fdinfo/%s' % (pid, fd)) as f:
                rows = dict(line.split(':', 1) for line in f.read().splitlines() if ':' in line)
        except OSError:
            continue
        if 'run_time_ns' in rows:
            found[int(rows['prog_id'])] = (int(rows['run_cnt']), int(rows['run_time_ns']))
    return found


def program_name(number):
    r = lab.quietly(['bpftool', '-j', 'prog', 'show', 'id', str(number)]) if lab.shutil.which('bpftool') else None
    return json.loads(r.stdout).get('name', '') if r and not r.returncode else ''


# --- the pairs ---------------------------------------------------------------------------------------

TAP = """
import ctypes, socket, struct, time
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
code = ctypes.create_string_buffer(struct.pack('HBBI', 6, 0, 0, 0))
s.setsockopt(socket.SOL_SOCKET, 26, struct.pack('HP', 1, ctypes.addressof(code)))
time.sleep(3600)
"""


class Watcher:
    """A flowline in the server's namespace, or a packet socket (TAP: a filter of one instruction, take nothing), or none."""

    def __init__(self, ns, tier, options):
        self.run = self.tap = None
        self.mode = tier
        if tier == 'tap':
            self.tap = ns.start([sys.executable, '-c', TAP])
            time.sleep(0.5)
        elif tier != 'none':
            more = [w for s in options.set for w in ('--set', s)]
            self.run = tiers.start(tiers.Run(ns, tier, '--set', 'kernel.count_udp=auto', *more,
                                            interval=options.interval))[0]
            time.sleep(0.3)
            self.mode = self.run.mode()
            self.pid = self.run.process.pid

    def cpu(self):
        return cpu_s(self.pid) if self.run else 0.0

    def stop(self):
        """Frames it has read, and frames lost."""
        if self.tap:
            self.tap.terminate()
            self.tap.wait()
        if not self.run:
            return 0, 0
        points = self.run.stop().where('flowline')
        return points.sum('packets_seen'), points.sum('packets_dropped_kernel')


class Row:
    def __init__(self):
        self.ratios, self.cpu_ratios, self.rates, self.own, self.shares = [], [], ([], []), [], []
        self.frames = self.dropped = self.units = 0
        self.mode = 'none'

    def pair(self, load, tier, options, with_first):
        got = {}
        for on in ((True, False) if with_first else (False, True)):
            w = Watcher(load.b, tier if on else 'none', options)
            seen = load.run(options.warm)[0] if options.warm else 0
            before = w.cpu()
            units, seconds, cpu = load.run(options.seconds)
            own = w.cpu() - before
            got[on] = units / seconds, cpu / units
            self.rates[on].append(units / seconds)
            if on:
                self.own.append(own / units)
                self.shares.append(own / seconds)
                self.mode = w.mode
                self.units += seen + units  # as the frames
            frames, dropped = w.stop()
            self.frames += frames
            self.dropped += dropped
        self.ratios.append(got[True][0] / got[False][0])
        self.cpu_ratios.append(got[True][1] / got[False][1])

    def text(self, load):
        return '| %s | %s | %s/s | %s | %s | %s us | %.1f %% | %s | %d |' % (
            self.mode, load.name, short(quantile(self.rates[0], 0.5)) + ' ' + load.unit, middle(self.ratios),
            middle(self.cpu_ratios), short(quantile(self.own, 0.5) * 1e6), 100 * quantile(self.shares, 0.5),
            short(self.frames / self.units if self.units else 0), self.dropped)


def bpf_stats(load, tier, options):
    """One more run with the kernel's own count of what each program takes: not in the pairs, it costs, too."""
    with open(STATS) as f:
        was = f.read()
    w = Watcher(load.b, tier, options)
    try:
        with open(STATS, 'w') as f:
            f.write('1')
        if options.warm:
            load.run(options.warm)
        before = programs(w.pid)
        units, _, _ = load.run(options.seconds)
        after = programs(w.pid)
    finally:
        with open(STATS, 'w') as f:
            f.write(was)
    names = {i: program_name(i) for i in after}
    w.stop()
    out, total = [], 0
    for i in sorted(after):
        runs, ns = (x - y for x, y in zip(after[i], before.get(i, (0, 0))))
        total += ns
        if runs:
            out.append('| %s | %s | %s | %s | %.0f | %s |' % (
                w.mode, load.name, names[i] or 'program %d' % i, short(runs / units), ns / runs,
                short(ns / units)))
    if out:
        out.append('| %s | %s | all | | | %s |' % (w.mode, load.name, short(total / units)))
    return out


def options_of(words):
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument('--tier', default='none,tap,packet,socket,probe', help='which, by commas')
    p.add_argument('--load', default='keep,close,tcp', help='which, by commas: keep, close, tcp')
    p.add_argument('--pairs', type=int, default=5)
    p.add_argument('--seconds', type=int, default=3, help='of each run')
    p.add_argument('--warm', type=int, default=12, help='seconds of load before each run; 0: none')
    p.add_argument('--interval', default='10s', help="flowline's cycle")
    p.add_argument('--connections', type=int, default=32, help='of wrk')
    p.add_argument('--set', action='append', default=[], help='a setting of flowline, such as http.enabled=false')
    p.add_argument('--no-bpf-stats', action='store_true', help='not the ns of each eBPF program')
    o = p.parse_args(words)
    o.tier, o.load = o.tier.split(','), o.load.split(',')
    for name, known in [(t, ('none', 'tap', 'auto') + tiers.MODES) for t in o.tier] + [(x, LOADS) for x in o.load]:
        if name not in known:
            p.error('%s: want one of %s' % (name, ', '.join(known)))
    if not 1 <= o.pairs <= 1000 or not 1 <= o.seconds <= 600 or not 0 <= o.warm <= 600:
        p.error('--pairs: 1 to 1000, --seconds: 1 to 600, --warm: 0 to 600')
    return o


HEAD = ('| tier | load | without | ratio of rates | ratio of CPU per unit | flowline: CPU per unit | of one CPU '
        '| frames per unit | dropped |\n' + '|---' * 9 + '|')
BPF_HEAD = '| tier | load | program | runs per unit | ns per run | ns per unit |\n' + '|---' * 6 + '|'


def main():
    o = options_of(sys.argv[1:])
    try:
        lab.need_lab()
        a, b = lab.pair()
        loads = [LOADS[x](a, b, o) for x in o.load]
        for load in loads:
            load.start()
    except lab.Skip as e:
        print('skip: %s' % e)
        sys.exit(77)
    signal.signal(signal.SIGALRM, lambda *unused: sys.exit('it takes too long'))
    signal.alarm(int(len(loads) * len(o.tier) * (o.pairs * 2 + 2) * (o.seconds + o.warm + 10) + 60))
    print('%d pairs of %d s, each behind %d s of the same load; a cycle is %s; a unit is a request, or a GB\n' %
          (o.pairs, o.seconds, o.warm, o.interval))
    print(HEAD)
    for load in loads:
        load.run(o.seconds)  # everything is warm
        for tier in o.tier:
            row = Row()
            for i in range(o.pairs):
                row.pair(load, tier, o, i % 2)
            print(row.text(load), flush=True)
    if not o.no_bpf_stats and os.path.exists(STATS):
        rows = [r for load in loads for tier in o.tier if tier in ('socket', 'probe', 'auto')
                for r in bpf_stats(load, tier, o)]
        if rows:
            print('\neBPF programs, by kernel.bpf_stats_enabled\n\n' + BPF_HEAD + '\n' + '\n'.join(rows))
    if lab.problems:
        print('\n'.join(lab.problems))
        sys.exit(1)


main()
