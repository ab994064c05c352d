"""peers.py - what the tests of outputs have in Python to send to: an HTTP backend that can fail in every
way, a proxy, and readers of unix sockets and datagrams.

Python 3.6 and newer, no third-party packages. Sources: docs.influxdata.com (write API of InfluxDB 1.x, 2.x
and 3), RFC 9110, RFC 9112; Telegraf's plugins/inputs/socket_listener.
"""
import collections
import gzip
import http.client
import json
import os
import socket
import struct
import threading
import urllib.parse

import lab
from backends import points_of, split_lines

RESET = struct.pack('ii', 1, 0)  # SO_LINGER: close() sends RST


class Store:
    """What InfluxDB keeps: a point written again is the same point. As lines, because flowline makes them
    once for all its outputs; two lines of one series and time are found by points()."""

    def __init__(self):
        self.lines = collections.Counter()
        self.lock = threading.Lock()

    def write(self, text):
        lines = split_lines(text)
        with self.lock:
            self.lines.update(lines)

    def points(self):
        return points_of(self.lines, 'backend')

    def again(self):
        """Lines that came more than once."""
        return sum(n > 1 for n in self.lines.values())


class Request:
    def __init__(self, method, target, headers):
        self.method, self.target, self.headers = method, target, headers
        parts = urllib.parse.urlsplit(target)
        self.path, self.query = parts.path, dict(urllib.parse.parse_qsl(parts.query))
        self.body = self.text = b''


def answer(status, body=b'', **headers):
    """Bytes of a whole answer; headers: Retry_After='1'."""
    if isinstance(body, (dict, list)):
        headers.setdefault('Content_Type', 'application/json')
        body = json.dumps(body).encode()
    head = 'HTTP/1.1 %d %s\r\n' % (status, http.client.responses.get(status, 'Status'))
    if status != 204:
        head += 'Content-Length: %d\r\n' % len(body)
    head += ''.join('%s: %s\r\n' % (k.replace('_', '-'), v) for k, v in headers.items())
    return (head + '\r\n').encode() + body


class Backend:
    """An HTTP server that keeps points. respond(request) gives an answer in place of storing, or None; faults
    is a list of names that the next requests meet, one each:

    503, 429, 413, 500, 404: answered without storing; late: not answered for a long time, not stored;
    cut: stored, and the connection ends inside the answer; silent: stored, and ended without an answer;
    reset: RST inside the request's body; stored-503: stored, and 503 all the same."""

    def __init__(self, ns, port=8086, respond=None, tls=None):
        self.ns, self.port, self.respond, self.tls = ns, port, respond, tls
        self.store, self.faults, self.met = Store(), [], collections.Counter()
        self.problems, self.connections = [], set()
        self.requests, self.accepted, self.bytes, self.last = 0, 0, 0, None
        self.gzipped = 0  # requests that were compressed
        self.failed = collections.Counter()
        self.lock, self.listener = threading.Lock(), None
        self.pause = 0  # seconds before each answer

    def start(self):
        self.ended = threading.Event()
        self.listener = self.ns.listen('127.0.0.1', self.port)
        lab.endings.append(self.kill)
        threading.Thread(target=self.accept, args=(self.listener, self.ended), daemon=True).start()
        return self

    def kill(self):
        """As kill -9 of a server: its connections are reset, whatever they were about."""
        self.ended.set()
        self.listener.close()
        with self.lock:
            for s in self.connections:
                try:
                    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                    s.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def accept(self, listener, ended):
        while not ended.is_set():
            try:
                s, _ = listener.accept()
            except socket.timeout:
                continue
            except OSError:
                return
            threading.Thread(target=self.connection, args=(s, ended), daemon=True).start()

    def connection(self, s, ended):
        with self.lock:
            self.connections.add(s)
            self.accepted += 1
        plain = s
        try:
            s.settimeout(30)
            if self.tls:
                s = self.tls.wrap_socket(s, server_side=True)
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            stream = s.makefile('rb')
            while not ended.is_set() and self.one(s, stream, ended):
                pass
        except (OSError, ValueError, EOFError) as e:
            if isinstance(e, ValueError):
                self.problems.append('%s: %s' % (type(e).__name__, e))
        finally:
            with self.lock:
                self.connections.discard(plain)
            s.close()
            plain.close()

    def one(self, s, stream, ended):
        line = stream.readline(65536).decode('latin-1').rstrip('\r\n')
        if not line:
            return False
        method, target, _ = line.split(' ')
        headers = {k.lower(): v for k, v in http.client.parse_headers(stream).items()}
        r = Request(method, target, headers)
        size = int(headers.get('content-length', 0))
        fault = None
        with self.lock:
            self.requests += 1
            if self.faults:
                fault = str(self.faults.pop(0))
                self.met[fault] += 1
        if fault == 'reset':
            stream.read(size // 2)
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            return False
        r.body = stream.read(size)
        if len(r.body) < size:
            return False
        r.text = r.body
        if headers.get('content-encoding') == 'gzip':
            r.text = gzip.decompress(r.body)
            self.gzipped += 1
        self.bytes += size
        self.last = r
        with self.lock:
            if self.failed[r.body]:
                self.failed[r.body] -= 1
            if fault in self.SAME_AGAIN:
                self.failed[r.body] += 1
        ended.wait(self.pause)
        return self.react(s, r, fault, ended)

    def not_again(self):
        """Requests that failed and never came again as they were, byte for byte."""
        return sum(self.failed.values())

    SAME_AGAIN = ('503', '429', '500', 'late', 'cut', 'silent', 'stored-503')
    FIXED = {
        '503': answer(503, {'code': 'unavailable', 'message': 'unavailable'}, Retry_After='1'),
        '429': answer(429, {'code': 'too many requests', 'message': 'limit'}, Retry_After='1'),
        '413': answer(413, {'code': 'request too large', 'message': 'too large'}),
        '500': answer(500, {'error': 'timeout'}),
        '404': answer(404, b'404 page not found\n'),
    }

    def react(self, s, r, fault, ended):
        if fault == 'late':
            ended.wait(20)
            return False
        if fault in self.FIXED:
            s.sendall(self.FIXED[fault])
            return True
        text = self.respond(r) if self.respond else None
        if text is None:
            self.store.write(r.text)
            text = answer(204, X_Influxdb_Version='1.8.10')
        if fault == 'stored-503':
            text = self.FIXED['503']
        elif fault == 'cut':
            text = text[:len(text) // 2]
        elif fault == 'silent':
            text = b''
        s.sendall(text)
        return fault not in ('cut', 'silent') and r.headers.get('connection', '').lower() != 'close'


class Proxy:
    """A forward proxy, with CONNECT: RFC 9110 section 9.3.6. ns is where it listens and connects."""

    def __init__(self, ns, port=3128):
        self.ns, self.port, self.seen = ns, port, []
        self.listener = lab.serve(ns.listen('127.0.0.1', port), self.handle)
        lab.endings.append(self.listener.close)

    def handle(self, s):
        stream = s.makefile('rb')
        line = stream.readline().decode('latin-1')
        method, target, version = line.split()
        head = b''
        while True:
            h = stream.readline()
            if h in (b'\r\n', b''):
                break
            if not h.lower().startswith(b'proxy-'):
                head += h
        self.seen.append((method, target))
        parts = urllib.parse.urlsplit('//' + target if method == 'CONNECT' else target)
        # lab.Namespace keeps one way back, so another thread may not enter it by a with.
        with open('/run/netns/' + self.ns.name) as f:
            lab.LIBC.setns(f.fileno(), lab.CLONE_NEWNET)
        peer = socket.create_connection((parts.hostname, parts.port or 80), 10)
        if method == 'CONNECT':
            s.sendall(b'HTTP/1.1 200 Connection established\r\n\r\n')
        else:
            path = parts.path + ('?' + parts.query if parts.query else '')
            peer.sendall(('%s %s %s\r\n' % (method, path, version)).encode() + head + b'\r\n')
        back = threading.Thread(target=self.copy, args=(peer.makefile('rb'), s), daemon=True)
        back.start()
        self.copy(stream, peer)
        back.join(10)

    @staticmethod
    def copy(stream, s):
        try:
            while True:
                b = stream.read1(65536)
                if not b:
                    break
                s.sendall(b)
            s.shutdown(socket.SHUT_WR)
        except OSError:
            pass


class Reader:
    """Telegraf's socket_listener and InfluxDB's UDP listener: 'stream' or 'datagram' at a path, or 'udp' at a
    port. Lines come in .lines; a datagram that does not end a line is a problem."""

    def __init__(self, kind, path=None, ns=None, port=8089):
        self.kind, self.path, self.lines, self.problems, self.sizes = kind, path, [], [], []
        self.open, self.peers = True, []
        if kind == 'udp':
            self.s = ns.socket(kind=socket.SOCK_DGRAM)
            self.s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
            self.s.bind(('127.0.0.1', port))
        else:
            if os.path.exists(path):
                os.unlink(path)
            self.s = lab.Listener(socket.AF_UNIX,
                                  socket.SOCK_STREAM if kind == 'stream' else socket.SOCK_DGRAM)
            self.s.bind(path)
        self.s.settimeout(0.2)
        if kind == 'stream':
            self.s.listen(8)
        self.thread = threading.Thread(target=self.streams if kind == 'stream' else self.datagrams, daemon=True)
        self.thread.start()
        lab.endings.append(self.kill)

    def datagrams(self):
        while self.open:
            try:
                b = self.s.recv(1 << 17)
            except socket.timeout:
                continue
            except OSError:
                return
            self.sizes.append(len(b))
            if not b.endswith(b'\n'):
                self.problems.append('a datagram ends inside a line: %r' % b[-100:])
            self.lines += b.split(b'\n')[:-1]

    def streams(self):
        while self.open:
            try:
                s, _ = self.s.accept()
            except socket.timeout:
                continue
            except OSError:
                return
            self.peers.append(s)
            threading.Thread(target=self.stream, args=(s,), daemon=True).start()

    def stream(self, s):
        rest = b''
        try:
            while True:
                b = s.recv(1 << 16)
                if not b:
                    break
                parts = (rest + b).split(b'\n')
                rest = parts.pop()
                self.lines += parts
        except OSError:
            pass
        s.close()

    def kill(self):
        """It is gone, as a process that was killed; what lay unread in its sockets is lost with it."""
        self.open = False
        self.s.close()
        self.thread.join(5)
        for s in self.peers:
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
