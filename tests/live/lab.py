"""lab.py - what the live tests share: network namespaces, real clients and servers in them, and a
flowline beside these whose points are read back.

Python 3.6 and newer, no third-party packages. Namespaces and processes are ended in every case. A
socket stays in the namespace in which it was made, so a test enters one only to make its sockets.
"""
import atexit
import collections
import ctypes
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback

LIBC = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNET = 0x40000000
FLOWLINE = os.environ.get('FLOWLINE', './flowline')
SLOW = float(os.environ.get('LAB_SLOW', 1))  # how much longer everything may take: in an emulated machine
A4, B4, DEAD4 = '10.71.0.1', '10.71.0.2', '10.71.0.9'
A6, B6, DEAD6 = 'fd71::1', 'fd71::2', 'fd71::9'


class Skip(Exception):
    """What the machine cannot do."""


# --- checks and the list of tests --------------------------------------------------------------------

problems = []


def fail(text):
    problems.append(text)


def eq(what, got, want):
    if got != want:
        fail('%s: %r, wanted %r' % (what, got, want))


def between(what, got, low, high):
    if got is None or not low <= got <= high:
        fail('%s: %r, wanted %r to %r' % (what, got, low, high))


def same(what, got, want):
    """Two dictionaries; says only what differs."""
    for k in sorted(set(got) | set(want), key=repr):
        if got.get(k) != want.get(k):
            fail('%s: %r: %r, wanted %r' % (what, k, got.get(k), want.get(k)))


def attempt(name, function):
    """Run one test: 'pass', 'skip' or 'fail', having printed the line that says so."""
    del problems[:]
    begin = time.time()
    try:
        function()
    except Skip as e:
        print('skip %s: %s' % (name, e))
        return 'skip'
    except Exception:
        fail(traceback.format_exc())
    finally:
        stop_processes()
        while endings:
            endings.pop()()
    print('%s %s (%.1f s)' % ('not ok' if problems else 'ok', name, time.time() - begin))
    for p in problems[:20]:
        print('    ' + p.replace('\n', '\n    '))
    return 'fail' if problems else 'pass'


def main(tests, setup=None):
    """Run [(name, function)], or those whose name holds an argument; never returns. These tests are about
    real time on a machine that others use: one that fails is tried once more, and the log says so."""
    counts = collections.Counter()
    tests = [t for t in tests if not sys.argv[1:] or any(a in t[0] for a in sys.argv[1:])]
    try:
        need_lab()
        if setup:
            setup()
    except Skip as e:
        print('skip: %s' % e)
        print('0 passed, 0 failed, %d skipped' % len(tests))
        sys.exit(77)
    for name, function in tests:
        result = attempt(name, function)
        if result == 'fail':
            result = attempt(name, function)
            if result == 'pass':
                print('again %s: it failed once, and passed when it was tried again' % name)
        counts[result] += 1
        sys.stdout.flush()
    print('%d passed, %d failed, %d skipped' % (counts['pass'], counts['fail'], counts['skip']))
    sys.exit(1 if counts['fail'] else 0 if counts['pass'] else 77)


def need(*programs):
    for p in programs:
        if not shutil.which(p):
            raise Skip('no %s' % p)


def need_lab():
    if os.geteuid() != 0:
        raise Skip('network namespaces need root')
    os.environ['PATH'] += ':/usr/sbin:/sbin'
    need('ip')
    if not os.access(FLOWLINE, os.X_OK):
        raise Skip('%s is not built' % FLOWLINE)
    name = 'flprobe%d' % os.getpid()
    r = quietly(['ip', 'netns', 'add', name])
    if r.returncode:
        raise Skip('no network namespace: ' + r.stdout.strip())
    r = quietly(['ip', '-n', name, 'link', 'add', 'va', 'type', 'veth', 'peer', 'name', 'vb'])
    quietly(['ip', 'netns', 'del', name])
    if r.returncode:
        raise Skip('this kernel makes no veth pair: ' + r.stdout.strip())


# --- processes ---------------------------------------------------------------------------------------

processes = []
endings = []  # functions: called after the test that put them here, however it ended


def quietly(args, **more):
    return subprocess.run(args, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          stdin=subprocess.DEVNULL, universal_newlines=True, timeout=60 * SLOW, **more)


def run(args, **more):
    r = quietly(args, **more)
    if r.returncode:
        raise RuntimeError('%s: exit %d: %s' % (' '.join(args), r.returncode, r.stdout))
    return r.stdout


def stop_processes():
    for p in processes:
        if p.poll() is None:
            p.send_signal(signal.SIGCONT)
            p.terminate()
    for p in processes:
        try:
            p.wait(5 * SLOW)
        except subprocess.TimeoutExpired:
            p.kill()
            p.wait()
    del processes[:]


def wait_until(what, condition, seconds=10):
    seconds *= SLOW
    end = time.time() + seconds
    while time.time() < end:
        if condition():
            return
        time.sleep(0.02)
    raise RuntimeError('not within %g s: %s' % (seconds, what))


class Listener(socket.socket):
    """close() alone leaves the port taken while another thread is in accept()."""

    def close(self):
        try:
            self.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        super().close()


# --- namespaces --------------------------------------------------------------------------------------

class Namespace:
    made = []

    def __init__(self, name):
        self.name = 'fl%d%s' % (os.getpid(), name)
        run(['ip', 'netns', 'add', self.name])
        Namespace.made.append(self)
        self.ip('link set lo up')

    def ip(self, text, **more):
        return run(['ip', '-n', self.name] + text.split(), **more)

    def run(self, args, **more):
        return run(['ip', 'netns', 'exec', self.name] + args, **more)

    def quietly(self, args):
        return quietly(['ip', 'netns', 'exec', self.name] + args)

    def start(self, args, **more):
        more.setdefault('stdout', subprocess.DEVNULL)
        more.setdefault('stderr', subprocess.STDOUT)
        p = subprocess.Popen(['ip', 'netns', 'exec', self.name] + args, stdin=subprocess.DEVNULL, **more)
        processes.append(p)
        return p

    def sent_again(self):
        """TCP segments that this host has sent again: RFC 4022, tcpRetransSegs."""
        rows = [line.split() for line in self.run(['cat', '/proc/net/snmp']).splitlines()]
        names, values = [r for r in rows if r[0] == 'Tcp:']
        return int(values[names.index('RetransSegs')])

    def __enter__(self):
        self.back = os.open('/proc/thread-self/ns/net', os.O_RDONLY)
        with open('/run/netns/' + self.name) as f:
            if LIBC.setns(f.fileno(), CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), 'setns')
        return self

    def __exit__(self, *unused):
        LIBC.setns(self.back, CLONE_NEWNET)
        os.close(self.back)

    def socket(self, family=socket.AF_INET, kind=socket.SOCK_STREAM, protocol=0):
        with self:
            s = socket.socket(family, kind, protocol)
        s.settimeout(10 * SLOW)
        return s

    def connect(self, address, port, family=None):
        s = self.socket(family or (socket.AF_INET6 if ':' in address else socket.AF_INET))
        s.connect((address, port))
        return s

    def listen(self, address, port):
        with self:
            s = Listener(socket.AF_INET6 if ':' in address else socket.AF_INET, socket.SOCK_STREAM)
        s.settimeout(10 * SLOW)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if address == '::':
            s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        s.bind((address, port))
        s.listen(64)
        return s

    def wait_listening(self, port, kind='tcp'):
        """Until a server has its port open: proc(5), net/tcp: state 0A is LISTEN, 07 a bound UDP socket."""
        want = (':%04X' % port, '0A' if kind == 'tcp' else '07')

        def there():
            text = self.quietly(['cat', '/proc/net/' + kind, '/proc/net/%s6' % kind]).stdout
            rows = [line.split() for line in text.splitlines()]
            return any(r[1].endswith(want[0]) and r[3] == want[1] for r in rows if len(r) > 3)
        wait_until('port %d is open' % port, there)

    def wait_running(self, name):
        """A device that is up gets its queue a little later, and drops what comes before."""
        wait_until(name + ' runs', lambda: 'LOWER_UP' in self.ip('link show dev ' + name))
        time.sleep(0.05 * SLOW)


def veth(ns1, name1, ns2, name2, addresses1=(), addresses2=()):
    run(['ip', '-n', ns1.name, 'link', 'add', name1, 'type', 'veth', 'peer', 'name', name2,
         'netns', ns2.name])
    for ns, name, addresses in ((ns1, name1, addresses1), (ns2, name2, addresses2)):
        for a in addresses:
            ns.ip('addr add %s dev %s%s' % (a, name, ' nodad' if ':' in a else ''))
        ns.ip('link set dev %s up' % name)
    ns1.wait_running(name1)
    ns2.wait_running(name2)


def pair():
    """Client A and server B on one wire; DEAD4 and DEAD6 answer nothing, not even who they are."""
    a, b = Namespace('a'), Namespace('b')
    veth(a, 'va', b, 'vb', (A4 + '/24', A6 + '/64'), (B4 + '/24', B6 + '/64'))
    for dead in (DEAD4, DEAD6):
        a.ip('neigh add %s lladdr 02:00:00:00:00:09 nud permanent dev va' % dead)
    return a, b


scratch = tempfile.mkdtemp(prefix='flowline-live.')


def clean():
    stop_processes()
    for ns in Namespace.made:
        quietly(['ip', 'netns', 'del', ns.name])
    shutil.rmtree(scratch, ignore_errors=True)


atexit.register(clean)
for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
    signal.signal(number, lambda *unused: sys.exit(1))


# --- points ------------------------------------------------------------------------------------------

def split_unquoted(text, separator):
    """Line protocol: a backslash keeps the next character, quotes keep what is in them."""
    parts, part, quoted, i = [], '', False, 0
    while i < len(text):
        c = text[i]
        if c == '\\' and i + 1 < len(text):
            part += text[i:i + 2]
            i += 2
            continue
        if c == '"':
            quoted = not quoted
        if c == separator and not quoted:
            parts.append(part)
            part = ''
        else:
            part += c
        i += 1
    return parts + [part]


def unescape(text):
    out, i = '', 0
    while i < len(text):
        i += text[i] == '\\' and i + 1 < len(text)
        out += text[i]
        i += 1
    return out


def value(text):
    if text[0] == '"':
        return unescape(text[1:-1])
    if text[-1] == 'i':
        return int(text[:-1])
    return {'true': True, 'false': False}[text]


class Point:
    def __init__(self, line):
        head, fields, self.time = split_unquoted(line, ' ')
        head = split_unquoted(head, ',')
        self.kind = head[0]
        self.tags = dict(unescape_pair(t) for t in head[1:])
        self.fields = {}
        for f in split_unquoted(fields, ','):
            k, v = split_unquoted(f, '=')
            self.fields[unescape(k)] = value(v)

    def get(self, name):
        return self.tags.get(name, self.fields.get(name))


def unescape_pair(text):
    k, v = split_unquoted(text, '=')
    return unescape(k), unescape(v)


class Points(list):
    """Points of a run, to be selected and added up."""

    def where(self, kind=None, **tags):
        return Points(p for p in self if (kind is None or p.kind == kind) and
                      all(p.get(k) == v for k, v in tags.items()))

    def sum(self, field):
        return sum(p.fields.get(field, 0) for p in self)

    def sums(self, *fields):
        return tuple(self.sum(f) for f in fields)

    def has(self, field):
        return [p.fields[field] for p in self if field in p.fields]

    def http(self):
        """{(method, path, status, version): requests}"""
        c = collections.Counter()
        for p in self.where('httpflow'):
            c[tuple(p.fields[f] for f in ('method', 'path', 'status_code', 'http_version'))] += \
                p.fields['count']
        return c

    def dns(self):
        """{(domain, type, rcode): [queries, sent again]}"""
        c = {}
        for p in self.where('dnsflow'):
            key = tuple(p.fields[f] for f in ('domain', 'query_type', 'rcode'))
            had = c.get(key, (0, 0))
            c[key] = (had[0] + p.fields['count'], had[1] + p.fields['retries'])
        return c


class Flowline:
    """`flowline run` in a namespace, from when it watches until stop()."""
    serial = 0

    def __init__(self, ns, *args, interval='1s', adds_up=True):
        Flowline.serial += 1
        self.adds_up = adds_up
        self.out = '%s/points.%d' % (scratch, Flowline.serial)
        self.err = '%s/stderr.%d' % (scratch, Flowline.serial)
        with open(self.err, 'w') as err:
            args = (['--interval', interval] if interval else []) + list(args)
            self.process = ns.start([os.path.abspath(FLOWLINE), 'run', '--stats', '-o',
                                     'file:' + self.out] + args, stdout=err)
        wait_until('flowline watches', lambda: 'watching' in self.said() or
                   self.process.poll() is not None, 30)
        if self.process.poll() is not None:
            raise RuntimeError('flowline: ' + self.said())

    def said(self):
        with open(self.err) as f:
            return f.read()

    def stop(self, how=signal.SIGINT):
        self.process.send_signal(how)
        self.process.wait(30 * SLOW)
        said = self.said()
        eq('exit status of flowline (%s)' % said[-400:], self.process.returncode, 0)
        if self.adds_up and ('adds up' not in said or 'DOES NOT' in said):
            fail('--stats does not add up: ' + said)
        points = Points()
        stamps = collections.Counter()
        with open(self.out, encoding='utf-8') as f:
            for line in f:
                points.append(Point(line.rstrip('\n')))
                stamps[points[-1].kind, tuple(sorted(points[-1].tags.items())), points[-1].time] += 1
        twice = [k for k, n in stamps.items() if n > 1]
        if twice:
            fail('points that overwrite one another: %r' % twice[:3])
        return points


# --- small servers -----------------------------------------------------------------------------------

def serve(listener, handle):
    """Give each connection to handle() in a thread of its own, until the listener is closed."""
    def each(s):
        try:
            with s:
                s.settimeout(10 * SLOW)
                handle(s)
        except OSError:
            pass

    def loop():
        while True:
            try:
                s, _ = listener.accept()
            except socket.timeout:
                continue
            except OSError:
                return
            threading.Thread(target=each, args=(s,), daemon=True).start()
    threading.Thread(target=loop, daemon=True).start()
    return listener


def read_all(s):
    """Read to the end; how many bytes."""
    n = 0
    while True:
        b = s.recv(1 << 18)
        if not b:
            return n
        n += len(b)


def exactly(s, n):
    while n:
        b = s.recv(min(n, 1 << 18))
        if not b:
            raise RuntimeError('%d bytes are missing' % n)
        n -= len(b)
