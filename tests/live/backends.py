"""backends.py - what the tests of outputs share: real backends and what they hold, certificates, traffic,
and a flowline with outputs. What is written in Python is in peers.py.

Python 3.6 and newer, no third-party packages, as lab.py. Everything runs in the network namespaces of a
test, so port numbers are its own. Sources: docs.influxdata.com (InfluxDB 1.x, 2.x and 3: line protocol,
write and query API), docs.victoriametrics.com (export), questdb.io (ILP over HTTP), RFC 9110, RFC 9112.
"""
import base64
import collections
import http.client
import json
import os
import re
import signal
import socket
import struct
import subprocess
import threading
import time
import urllib.parse

import lab
from lab import B4, eq, fail, wait_until

# The long forms of the tests: 50 restarts in two minutes, 50 kills.
FULL = os.environ.get('LIVE_FULL', '') not in ('', '0')
FLOWLINE = os.path.abspath(lab.FLOWLINE)


def spare(name):
    """A path of its own in the scratch directory."""
    spare.serial += 1
    return '%s/%s.%d' % (lab.scratch, name, spare.serial)


spare.serial = 0


def read_text(path):
    with open(path, encoding='utf-8', errors='replace') as f:
        return f.read()


def read_bytes(path):
    with open(path, 'rb') as f:
        return f.read()


def write_text(path, text):
    with open(path, 'w', encoding='utf-8') as f:
        f.write(text)
    return path


# --- line protocol, read by its specification ---------------------------------------------------------

def token(b, i, stops, specials):
    """Text from b[i] to the first of stops that no backslash keeps, and where that is. A backslash before
    anything but specials is a backslash."""
    out = bytearray()
    while i < len(b):
        if b[i] == 0x5c and i + 1 < len(b) and b[i + 1] in specials:
            out.append(b[i + 1])
            i += 2
        elif b[i] in stops:
            break
        else:
            out.append(b[i])
            i += 1
    return out.decode('utf-8'), i


def field_value(b, i):
    if b[i:i + 1] == b'"':
        text, i = token(b, i + 1, b'"', b'"\\')
        if b[i:i + 1] != b'"':
            raise ValueError('string without an end')
        return text, i + 1
    text, i = token(b, i, b', ', b'')
    if text in ('t', 'T', 'true', 'True', 'TRUE'):
        return True, i
    if text in ('f', 'F', 'false', 'False', 'FALSE'):
        return False, i
    return (int(text[:-1]) if text[-1:] == 'i' else float(text)), i


def parse_line(b):
    """(measurement, tags sorted, time in ns), {field: value}. ValueError where it is not line protocol."""
    measurement, i = token(b, 0, b', ', b', ')
    tags, fields = {}, {}
    while b[i:i + 1] == b',':
        key, i = token(b, i + 1, b'=, ', b'=, ')
        if b[i:i + 1] != b'=':
            raise ValueError('tag without value: %r' % b)
        value, i = token(b, i + 1, b'=, ', b'=, ')
        if not key or not value or b[i:i + 1] == b'=' or key in tags:
            raise ValueError('tag %r: %r' % (key, b))
        tags[key] = value
    separator = b' '
    while b[i:i + 1] == separator:
        key, i = token(b, i + 1, b'=, ', b'=, ')
        if not key or b[i:i + 1] != b'=' or key in fields:
            raise ValueError('field %r: %r' % (key, b))
        fields[key], i = field_value(b, i + 1)
        separator = b','
    if not measurement or not fields or b[i:i + 1] != b' ' or not b[i + 1:].lstrip(b'-').isdigit():
        raise ValueError('not a line: %r' % b)
    return (measurement, tuple(sorted(tags.items())), int(b[i + 1:])), fields


def split_lines(b):
    if b and not b.endswith(b'\n'):
        raise ValueError('no newline at the end: %r' % b[-200:])
    return b.split(b'\n')[:-1]


def points_of(lines, what='lines'):
    """{(measurement, tags, time): fields}; two of the same key are a problem of the test."""
    points = {}
    for line in lines:
        key, fields = parse_line(line)
        if key in points:
            fail('%s: two points overwrite each other: %r' % (what, line))
        points[key] = fields
    return points


def sums_of(points):
    """{(measurement, integer field): (points that have it, sum)}"""
    sums = {}
    for (measurement, _, _), fields in points.items():
        for name, value in fields.items():
            if type(value) is int:
                n, total = sums.get((measurement, name), (0, 0))
                sums[measurement, name] = n + 1, total + value
    return sums


def same_points(what, got, want):
    """Two dictionaries of points; says how many are missing, too many, different, and shows one each."""
    missing = [k for k in want if k not in got]
    more = [k for k in got if k not in want]
    other = [k for k in want if k in got and got[k] != want[k]]
    for name, keys in (('missing', missing), ('nobody wrote', more), ('of other values', other)):
        if keys:
            k = sorted(keys, key=lambda k: (k[2], repr(k)))[0]
            fail('%s: %d of %d points %s, first: %r: %r, wanted %r' %
                 (what, len(keys), len(want), name, k, got.get(k), want.get(k)))
    return not (missing or more or other)


def same_lines(what, got, want, more=()):
    """Every line of want is in got, and nothing that is neither in want nor in more."""
    got, want, more = set(got), set(want), set(more)
    for name, lines in (('missing', want - got), ('nobody wrote', got - want - more)):
        if lines:
            times = sorted({line.rsplit(b' ', 1)[-1] for line in lines})
            fail('%s: %d of %d lines %s, times %r; one: %r' %
                 (what, len(lines), len(want), name, times[:4], sorted(lines)[0]))


# --- talking to a server in a namespace ---------------------------------------------------------------

class Reply:
    def __init__(self, r):
        self.status, self.headers, self.body = r.status, r.headers, r.read()

    def text(self):
        return self.body.decode('utf-8', 'replace')


def request(ns, port, method, target, body=None, headers=(), seconds=30):
    c = http.client.HTTPConnection('127.0.0.1', port)
    c.sock = ns.connect('127.0.0.1', port)
    c.sock.settimeout(seconds)
    try:
        c.request(method, target, body, dict(headers))
        return Reply(c.getresponse())
    finally:
        c.close()


def basic(user, password):
    return {'Authorization': 'Basic ' + base64.b64encode(('%s:%s' % (user, password)).encode()).decode()}


class Server:
    """A program that serves; start() waits until it answers, kill() is kill -9 of that one process."""
    process = None
    port = 0

    def __init__(self, ns, name):
        self.ns, self.name, self.log = ns, name, spare(name + '.log')

    def launch(self, args, ready, seconds=30):
        with open(self.log, 'a') as log:
            self.process = self.ns.start(args, stdout=log)

        def there():
            if self.process.poll() is not None:
                raise RuntimeError('%s ended: %s' % (self.name, read_text(self.log)[-800:]))
            try:
                return ready()
            except OSError:
                return False
        wait_until(self.name + ' answers', there, seconds)

    def end(self, how):
        if self.process and self.process.poll() is None:
            self.process.send_signal(how)
            self.process.wait(30)

    def kill(self):
        self.end(signal.SIGKILL)

    def stop(self):
        self.end(signal.SIGTERM)


class Influx(Server):
    """influxd 1.x with its own directory. Auth: the first user that is made has to be an admin."""
    CONFIG = '''reporting-enabled = false
bind-address = "127.0.0.1:{rpc}"
[meta]
  dir = "{dir}/meta"
[data]
  dir = "{dir}/data"
  wal-dir = "{dir}/wal"
  query-log-enabled = false
  max-values-per-tag = {max_values}
[monitor]
  store-enabled = false
[continuous_queries]
  enabled = false
[http]
  bind-address = "127.0.0.1:{port}"
  auth-enabled = {auth}
  log-enabled = false
  max-body-size = {max_body}
{more}
'''

    def __init__(self, ns, port=8086, auth=False, max_values=0, max_body=25000000, more=''):
        lab.need('influxd')
        super().__init__(ns, 'influxd')
        self.port, self.dir, self.auth = port, spare('influx'), {}
        os.mkdir(self.dir)
        self.config = write_text(self.dir + '/conf', self.CONFIG.format(
            dir=self.dir, rpc=port + 2, port=port, max_values=max_values, max_body=max_body, more=more,
            auth='true' if auth else 'false'))

    def start(self):
        self.launch(['influxd', '-config', self.config], lambda: request(
            self.ns, self.port, 'GET', '/ping').status == 204)
        return self

    def query(self, q, db='', method='POST'):
        target = '/query?' + urllib.parse.urlencode({'q': q, 'db': db, 'epoch': 'ns'})
        r = request(self.ns, self.port, method, target, headers=self.auth)
        answer = json.loads(r.text())
        for part in [answer] + answer.get('results', []):
            if 'error' in part:
                raise RuntimeError('influxd: %s: %s' % (q, part['error']))
        return [s for part in answer['results'] for s in part.get('series', [])]

    def create(self, db):
        self.query('CREATE DATABASE "%s"' % db)
        return db

    def write(self, db, text, precision='ns'):
        return request(self.ns, self.port, 'POST', '/write?precision=%s&db=%s' % (precision, db),
                       text if isinstance(text, bytes) else text.encode(), self.auth)

    def points(self, db, rp=None, kinds='netflow|dnsflow|httpflow|flowline'):
        """Everything, as points_of() gives it."""
        source = ('"%s".' % rp if rp else '') + '/^(%s)$/' % kinds
        points = {}
        for s in self.query('SELECT * FROM %s GROUP BY *' % source, db):
            tags = tuple(sorted((k, v) for k, v in s.get('tags', {}).items() if v))
            for row in s['values']:
                fields = {k: v for k, v in zip(s['columns'], row) if v is not None}
                points[s['name'], tags, fields.pop('time')] = fields
        return points

    def sums(self, db, sums):
        """The same of InfluxQL for each that sums_of() gave."""
        out = {}
        for measurement, field in sums:
            series = self.query('SELECT COUNT("%s"), SUM("%s") FROM "%s"' % (field, field, measurement), db)
            out[measurement, field] = tuple(series[0]['values'][0][1:]) if series else (0, 0)
        return out


class Victoria(Server):
    def __init__(self, ns, port=8428):
        lab.need('victoria-metrics')
        super().__init__(ns, 'victoria-metrics')
        self.port, self.dir = port, spare('victoria')

    def start(self):
        self.launch(['victoria-metrics', '-storageDataPath=' + self.dir, '-retentionPeriod=100y',
                     '-httpListenAddr=127.0.0.1:%d' % self.port, '-memory.allowedBytes=64MB'],
                    lambda: request(self.ns, self.port, 'GET', '/health').status == 200)
        return self

    def export(self, match='{__name__!=""}'):
        """{(metric, labels sorted, time in ms): values sorted}"""
        request(self.ns, self.port, 'GET', '/internal/force_flush')
        r = request(self.ns, self.port, 'GET', '/api/v1/export?' + urllib.parse.urlencode({'match[]': match}))
        out = collections.defaultdict(list)
        for row in r.text().splitlines():
            row = json.loads(row)
            name = row['metric'].pop('__name__')
            labels = tuple(sorted(row['metric'].items()))
            for t, v in sorted(zip(row['timestamps'], row['values'])):
                out[name, labels, t].append(v)
        return dict(out)


class Nginx(Server):
    """location and server are texts of its configuration; reload() takes others."""
    CONFIG = '''daemon off; master_process on; worker_processes 1; user root; pid %(dir)s/pid;
error_log %(dir)s/error.log; events { worker_connections 256; }
http {
	log_format all '$status $request_length'; access_log %(dir)s/access.log all;
	client_body_temp_path %(dir)s; proxy_temp_path %(dir)s; fastcgi_temp_path %(dir)s;
	uwsgi_temp_path %(dir)s; scgi_temp_path %(dir)s; client_body_buffer_size 1m;
	%(http)s
	client_max_body_size 64m;
	server { listen 127.0.0.1:%(port)d %(listen)s; %(server)s }
}
'''

    def __init__(self, ns, port, server, listen='', http=''):
        lab.need('nginx')
        super().__init__(ns, 'nginx')
        self.port, self.listen, self.http, self.dir = port, listen, http, spare('nginx')
        os.mkdir(self.dir)
        self.configure(server)

    def configure(self, server):
        write_text(self.dir + '/conf', self.CONFIG % {
            'dir': self.dir, 'port': self.port, 'listen': self.listen, 'http': self.http, 'server': server})

    def start(self):
        self.launch(['nginx', '-c', self.dir + '/conf', '-e', self.dir + '/error.log'],
                    lambda: self.ns.connect('127.0.0.1', self.port).close() is None)
        return self

    def statuses(self):
        return collections.Counter(line.split()[0] for line in read_text(self.dir + '/access.log').splitlines())

    def reload(self, server):
        self.configure(server)
        before = self.workers()
        self.process.send_signal(signal.SIGHUP)
        wait_until('nginx takes its new configuration', lambda: self.workers() - before)
        try:
            wait_until('its old workers end', lambda: not self.workers() & before, 1)
        except RuntimeError:
            pass  # connections that are kept hold one

    def workers(self):
        pid = self.process.pid
        return set(read_text('/proc/%d/task/%d/children' % (pid, pid)).split())


class Certificates:
    """A CA, a server 127.0.0.1 (localhost) and a client, and another CA that signed nothing here."""

    def __init__(self):
        lab.need('openssl')
        self.dir = spare('tls')
        os.mkdir(self.dir)
        self.ca, self.other_ca = self.authority('ca'), self.authority('other')
        self.server = self.signed('server', 'subjectAltName=IP:127.0.0.1,DNS:localhost')
        self.client = self.signed('client', 'extendedKeyUsage=clientAuth')

    def key(self, name):
        lab.run(['openssl', 'ecparam', '-name', 'prime256v1', '-genkey', '-noout', '-out', self.path(name, 'key')])

    def path(self, name, ending):
        return '%s/%s.%s' % (self.dir, name, ending)

    def authority(self, name):
        self.key(name)
        lab.run(['openssl', 'req', '-x509', '-new', '-key', self.path(name, 'key'), '-days', '2', '-subj',
                 '/CN=flowline test ' + name, '-out', self.path(name, 'pem')])
        return self.path(name, 'pem')

    def signed(self, name, extension):
        self.key(name)
        lab.run(['openssl', 'req', '-new', '-key', self.path(name, 'key'), '-subj', '/CN=' + name, '-out',
                 self.path(name, 'csr')])
        write_text(self.path(name, 'ext'), extension + '\n')
        lab.run(['openssl', 'x509', '-req', '-in', self.path(name, 'csr'), '-CA', self.ca, '-CAkey',
                 self.path('ca', 'key'), '-CAcreateserial', '-days', '2', '-extfile', self.path(name, 'ext'),
                 '-out', self.path(name, 'pem')])
        return self.path(name, 'pem'), self.path(name, 'key')


# --- traffic and a flowline that watches it -----------------------------------------------------------

class Load:
    """Datagrams from ns to so many ports of B4, round and round: as many netflow series, until stop().
    What was sent is counted."""

    def __init__(self, ns, series=300, pause=0.2, first=20000):
        self.ports, self.pause = range(first, first + series), pause
        self.sent = collections.Counter()
        self.end = threading.Event()
        self.socket = ns.socket(kind=socket.SOCK_DGRAM)
        self.thread = threading.Thread(target=self.go, daemon=True)
        self.thread.start()
        lab.endings.append(self.end.set)

    def go(self):
        while not self.end.is_set():
            for i, port in enumerate(self.ports):
                try:
                    self.socket.sendto(b'd' * 100, (B4, port))
                except OSError:
                    continue  # counted as not sent: no buffer
                self.sent[port] += 1
                if i % 64 == 63:
                    time.sleep(0.001)
            self.end.wait(self.pause)

    def stop(self):
        self.end.set()
        self.thread.join(10)
        self.socket.close()
        return self

    def check(self, what, lines):
        """The lines hold each datagram once."""
        got = collections.Counter()
        for line in lines:
            (kind, tags, _), fields = parse_line(line)
            tags = dict(tags)
            if kind == 'netflow' and tags.get('dst_ip') == B4 and tags.get('dst_port', '*') != '*':
                got[int(tags['dst_port'])] += fields['packets_written']
        got = collections.Counter({p: n for p, n in got.items() if p in self.ports})
        if got != self.sent:
            wrong = [(p, got[p], self.sent[p]) for p in self.ports if got[p] != self.sent[p]]
            fail('%s: datagrams of %d ports are not as sent, first: port %d: %d, wanted %d' %
                 ((what, len(wrong)) + wrong[0]))


class Run:
    """`flowline run` of interface va, with outputs: the text of the list's further items, each a line. A file
    output is always there: .lines() is what the others have to be compared with. Its text is written to
    .conf, so that reload() can write another one."""

    def __init__(self, ns, outputs, more='', spool=None, file=True, prefix=(), wait=True, out=None,
                 sending='', spool_more='', interval='1s', status=None, **popen):
        self.ns, self.file, self.reloads = ns, file, 0
        self.conf, self.err, self.socket = spare('conf') + '.yaml', spare('err'), status or spare('status')
        self.out = out or spare('out')
        self.spool = spare('spool') if spool is None else spool
        self.sending = sending or 'retry_min: 100ms, retry_max: 1s, stop_timeout: 20s'
        self.spool_more = spool_more
        self.write(outputs, more)
        popen.setdefault('stdout', subprocess.DEVNULL)
        with open(self.err, 'w') as err:
            self.process = ns.start(
                list(prefix) + [FLOWLINE, 'run', '-i', 'va', '--stats', '-c', self.conf, '--interval', interval],
                stderr=err, **popen)
        if wait:
            self.wait_said('watching')

    def write(self, outputs, more=''):
        text = ('host: h\nstatus: {socket: %s}\nsending: {%s}\nspool: {directory: "%s"%s}\n' %
                (self.socket, self.sending, self.spool, self.spool_more))
        if self.file:
            outputs = outputs.rstrip('\n') + '\n- file: {path: %s}' % self.out
        text += more.rstrip('\n') + '\noutputs:\n'
        text += ''.join('  %s\n' % line for line in outputs.splitlines() if line.strip())
        write_text(self.conf, text)

    def said(self):
        return read_text(self.err)

    def wait_said(self, text, seconds=20, times=1):
        wait_until('%r is said: %s' % (text, self.said()[-500:]),
                   lambda: self.said().count(text) >= times or self.process.poll() is not None, seconds)
        if self.said().count(text) < times:
            raise RuntimeError('flowline ended (%d): %s' % (self.process.returncode, self.said()[-800:]))

    def reload(self, outputs, more=''):
        self.write(outputs, more)
        self.reloads += 1
        self.process.send_signal(signal.SIGHUP)
        self.wait_said('the new configuration is in force', times=self.reloads)

    def lines(self):
        return split_lines(read_bytes(self.out))

    def status(self):
        r = self.ns.quietly([FLOWLINE, 'status', '--json', '--socket', self.socket])
        if r.returncode not in (0, 3):
            raise RuntimeError('flowline status: exit %d: %s' % (r.returncode, r.stdout))
        return json.loads(r.stdout)

    def output(self, name):
        """The output whose name holds this, of status."""
        found = [o for o in self.status()['outputs'] if name in o['name']]
        if len(found) != 1:
            raise RuntimeError('%d outputs with %r' % (len(found), name))
        return found[0]

    def counted(self, what):
        """A count of --stats, by its words."""
        return counted(self.said(), what)

    def stop(self, how=signal.SIGTERM, status=0, adds_up=True):
        self.process.send_signal(how)
        self.process.wait(60)
        if how != signal.SIGKILL:
            if status is not None:
                eq('exit status of flowline (%s)' % self.said()[-400:], self.process.returncode, status)
            if adds_up and 'adds up' not in self.said():
                fail('--stats does not add up: ' + self.said()[-800:])
        return self


def http_output(**more):
    more.setdefault('batch_age', '100ms')  # so that settled() finds a moment when nothing waits
    return '- http: {name: http, url: "http://127.0.0.1:8086", %s}' % ', '.join(
        '%s: %s' % kv for kv in sorted(more.items()))


def settled(run, name='http', seconds=15):
    """Until nothing waits any more; the output's status."""
    last = {}

    def there():
        last.update(run.output(name))
        return last['points_made'] and not last['points_queued'] and not last['points_spooled']
    try:
        wait_until('all is sent', there, seconds)
    except RuntimeError:
        fail('%s still has points that wait: %r' % (name, last))
    return last


def balance(o):
    eq('balance of ' + o['name'], o['points_made'] + o['points_found'], o['points_delivered'] +
       o['points_lost'] + o['points_queued'] + o['points_spooled'])


def flowline_read(ns, capture, *args, conf=None, env=None, seconds=60):
    """`flowline read`: (exit status, standard output, standard error)."""
    command = [FLOWLINE, 'read', '--host', 'h'] + (['-c', conf] if conf else []) + list(args) + [capture]
    p = subprocess.Popen(['ip', 'netns', 'exec', ns.name] + command, stdin=subprocess.DEVNULL,
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=dict(os.environ, **(env or {})))
    lab.processes.append(p)
    out, err = p.communicate(timeout=seconds)
    return p.returncode, out, err.decode('utf-8', 'replace')


def counted(said, what):
    found = re.findall(r'^ *([0-9,]+) +.*%s' % re.escape(what), said, re.MULTILINE)
    return int(found[0].replace(',', '')) if len(found) == 1 else None


def fixtures(*names):
    """[(name, capture, arguments)] of tests/fixtures; all that are whole, without names."""
    top = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'fixtures')
    out = []
    for name in names or sorted(os.listdir(top)):
        folder = os.path.join(top, name)
        captures = [f for f in (os.listdir(folder) if os.path.isdir(folder) else []) if f.startswith('in.pcap')]
        if captures and not os.path.exists(folder + '/status'):
            out.append((name, os.path.join(folder, captures[0]), read_text(folder + '/args').split()))
    return out


def small_disk(size):
    """A tmpfs of its own; Skip where it cannot be mounted."""
    path = spare('disk')
    os.mkdir(path)
    r = lab.quietly(['mount', '-t', 'tmpfs', '-o', 'size=' + size, 'tmpfs', path])
    if r.returncode:
        raise lab.Skip('no tmpfs: ' + r.stdout.strip())
    small_disk.mounted.append(path)
    return path


small_disk.mounted = []


def unmount():
    for path in small_disk.mounted:
        lab.quietly(['umount', '-l', path])
    del small_disk.mounted[:]


lab.atexit.register(unmount)


# --- captures -----------------------------------------------------------------------------------------

class Capture:
    """A capture file of DNS over UDP and HTTP over one TCP connection, made of the bytes given."""
    CLIENT, SERVER = socket.inet_aton('10.0.0.1'), socket.inet_aton('10.0.0.2')

    def __init__(self):
        self.path, self.time = spare('capture') + '.pcap', 1700000000 * 10**6
        self.file = open(self.path, 'wb')
        self.file.write(struct.pack('<IHHiIII', 0xa1b2c3d4, 2, 4, 0, 0, 262144, 1))
        self.seq = None
        self.ids = 0

    def frame(self, protocol, up, data):
        src, dst = (self.CLIENT, self.SERVER) if up else (self.SERVER, self.CLIENT)
        b = b'\2\0\0\0\0\1\2\0\0\0\0\2\10\0' + struct.pack(
            '>BBHHHBBH4s4s', 0x45, 0, 20 + len(data), 1, 0x4000, 64, protocol, 0, src, dst) + data
        self.time += 50
        self.file.write(struct.pack('<4I', self.time // 10**6, self.time % 10**6, len(b), len(b)) + b)

    def udp(self, up, client_port, server_port, data):
        ports = (client_port, server_port) if up else (server_port, client_port)
        self.frame(17, up, struct.pack('>4H', *ports, 8 + len(data), 0) + data)

    def query(self, labels, answered=True):
        """A question for these labels (bytes), and its answer without a record."""
        self.ids = self.ids % 65535 + 1
        name = b''.join(bytes([len(label)]) + label for label in labels) + b'\0\0\1\0\1'
        self.udp(True, 40000, 53, struct.pack('>6H', self.ids, 0x100, 1, 0, 0, 0) + name)
        if answered:
            self.udp(False, 40000, 53, struct.pack('>6H', self.ids, 0x8180, 1, 0, 0, 0) + name)

    def tcp(self, up, flags, data=b''):
        ports, seq = ((41000, 80), self.seq[:]) if up else ((80, 41000), self.seq[::-1])
        self.frame(6, up, struct.pack('>HHIIBBHHH', *ports, seq[0], seq[1] if flags & 16 else 0, 0x50, flags,
                                      65535, 0, 0) + data)
        self.seq[0 if up else 1] += len(data) + (flags & 3 != 0)

    def get(self, path):
        """A request and its answer; the first one opens the connection."""
        if not self.seq:
            self.seq = [1000, 5000]
            self.tcp(True, 2)
            self.tcp(False, 18)
            self.tcp(True, 16)
        self.tcp(True, 24, b'GET ' + path + b' HTTP/1.1\r\nHost: x\r\n\r\n')
        self.tcp(False, 24, b'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')

    def done(self):
        self.file.close()
        return self.path


def many_names(n):
    """A capture that gives n dnsflow points (and a netflow point)."""
    c = Capture()
    for i in range(n):
        c.query([b'name%05d' % i, b'test'])
    return c.done()
