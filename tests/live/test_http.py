#!/usr/bin/env python3
"""test_http.py - live HTTP: curl and raw sockets against nginx and a small server, watched on the
client's host and on the server's at once. The judges are nginx's access log and what curl counted.
"""
import collections
import os
import socket
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from socketserver import ThreadingMixIn
from threading import Thread

import lab
from lab import B4, B6, between, eq, same

NGINX = r'''
daemon off; master_process off; pid %(dir)s/pid; error_log %(dir)s/error.log;
events { worker_connections 256; }
http {
	log_format judge '$request_method\t$uri\t$status\t$server_protocol';
	access_log %(dir)s/access.log judge;
	client_body_temp_path %(dir)s; proxy_temp_path %(dir)s; fastcgi_temp_path %(dir)s;
	uwsgi_temp_path %(dir)s; scgi_temp_path %(dir)s;
	keepalive_requests 100000; large_client_header_buffers 4 32k; sendfile on;
	default_type text/plain;
	server {
		listen 80; listen [::]:80;
		root %(dir)s/www;
		location /item { return 200 "0123456789"; }
		location /error { return 500; }
		location /moved { return 301 /item/0; }
		location /none { return 204; }
		location /slow { limit_rate 64k; }
		location /text { gzip on; gzip_types text/plain; gzip_http_version 1.0; }
	}
}
'''
ns_a = ns_b = None


class Handler(BaseHTTPRequestHandler):
    """What nginx does not do: late first bytes, bodies read, interim answers, chunks by hand."""
    protocol_version = 'HTTP/1.1'
    disable_nagle_algorithm = True

    def answer(self, body=b'done', headers=()):
        self.send_response(200)
        for k, v in headers:
            self.send_header(k, v)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        if self.path == '/late':
            time.sleep(0.3)
            self.answer()
        elif self.path == '/chunks':
            self.send_response(200)
            self.send_header('Transfer-Encoding', 'chunked')
            self.end_headers()
            for size in (1, 10, 700, 3000, 40000):
                body = (get('/not-a-request') * 1200)[:size]
                self.wfile.write(b'%x\r\n%s\r\n' % (size, body))
            self.wfile.write(b'0\r\n\r\n')
        elif self.path == '/cookies':
            # a response head of 5 KB
            self.answer(headers=[('Set-Cookie', 'c%d=%s' % (i, 'v' * 90)) for i in range(50)])
        else:
            self.answer()

    def do_POST(self):
        self.rfile.read(int(self.headers['Content-Length']))
        self.answer()

    do_PUT = do_POST

    def log_message(self, *unused):
        pass


class Server(ThreadingMixIn, HTTPServer):
    daemon_threads = True

    def handle_error(self, *unused):
        pass


def setup():
    global ns_a, ns_b
    lab.need('nginx', 'curl')
    ns_a, ns_b = lab.pair()
    www = lab.scratch + '/www'
    os.mkdir(www)
    for name, size in (('big', 20 << 20), ('slow', 96 << 10), ('text', 300 << 10), ('index.html', 99)):
        with open('%s/%s' % (www, name), 'wb') as f:
            f.write((b'GET /not-a-request HTTP/1.1\r\n\r\n' + b'0123456789abcdef\n' * 9) * (size // 184 + 1))
            f.truncate(size)
    with ns_b:
        server = Server((B4, 8080), Handler)
    Thread(target=server.serve_forever, daemon=True).start()


class Watched:
    """Both hosts watched and nginx running, for the length of a with. Afterwards .a and .b are the
    points of both sides, and .log what nginx says it answered."""

    def __init__(self, *args, **more):
        self.args, self.more = args, more

    def __enter__(self):
        self.dir = lab.scratch
        with open(self.dir + '/nginx.conf', 'w') as f:
            f.write(NGINX % {'dir': self.dir})
        open(self.dir + '/access.log', 'w').close()
        self.nginx = ns_b.start(['nginx', '-c', self.dir + '/nginx.conf'])
        ns_b.wait_listening(80)
        self.flowlines = [lab.Flowline(ns, *self.args, **self.more) for ns in (ns_a, ns_b)]
        return self

    def __exit__(self, kind, *unused):
        time.sleep(0.2)
        self.a, self.b = (f.stop() for f in self.flowlines)
        self.nginx.terminate()
        self.nginx.wait(5)
        self.log = collections.Counter()
        with open(self.dir + '/access.log') as f:
            for line in f:
                method, path, status, version = line.rstrip('\n').split('\t')
                self.log[method, path, int(status), version.split('/')[1]] += 1

    def points(self):
        return (('client', self.a), ('server', self.b))

    def check(self, extra=None, n=None):
        """The points say what the access log says, and what else was asked."""
        want = self.log + collections.Counter(extra or {})
        if n is not None:
            eq('requests that the server answered', sum(want.values()), n)
        for name, points in self.points():
            before = len(lab.problems)
            same(name + "'s httpflow", points.http(), want)
            if len(lab.problems) > before:
                lab.fail('%s: %d frames were dropped' % (name, points.where('flowline').sum('packets_dropped_kernel')))
        for p in self.a.where('httpflow'):
            eq('direction at the client', p.tags['direction'], 'outgoing')
        for p in self.b.where('httpflow'):
            eq('direction at the server', p.tags['direction'], 'incoming')
            eq('ports at the server', (p.tags['src_port'][:2], p.tags['dst_port']), ('80', '*'))


def curl(*args):
    return ns_a.run(['curl', '-sS', '--max-time', '20'] + list(args))


def get(path, head='', version='1.1'):
    return ('GET %s HTTP/%s\r\nHost: b\r\n%s\r\n' % (path, version, head)).encode()


def talk(pieces, n, port=80, address=B4, pause=0.002):
    """Send pieces one by one on one connection; read until n responses of 10 bytes have come."""
    s = ns_a.connect(address, port)
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for p in pieces:
        s.sendall(p)
        time.sleep(pause)
    got = b''
    while got.count(b'HTTP/1.1 200') < n or not got.endswith((b'0123456789', b'done')):
        b = s.recv(1 << 16)
        if not b:
            raise RuntimeError('%d responses, wanted %d' % (got.count(b'HTTP/1.1 200'), n))
        got += b
    s.close()


def test_keep_alive():
    """1,000 requests, one connection: each a path of its own, bytes as curl counted them."""
    with Watched() as w:
        out = curl('http://%s/item/[1-1000]' % B4, '-o', '/dev/null', '-w',
                   'n %{size_request} %{size_header} %{size_download} %{num_connects}\n')
    rows = [[int(v) for v in r.split()[1:]] for r in out.splitlines() if r.startswith('n ')]
    sent, head, body, connects = (sum(c) for c in zip(*rows))
    w.check(n=1000)
    eq('connections', connects, 1)
    for (name, p), read, written in zip(w.points(), (head + body, sent), (sent, head + body)):
        flow = p.where('netflow')
        eq(name + ' bytes_read', flow.sum('bytes_read'), read)
        eq(name + ' bytes_written', flow.sum('bytes_written'), written)
        eq(name + ' connections', flow.sums('tcp_established', 'tcp_closed', 'tcp_resets'), (1, 1, 0))
        eq(name + ' retransmits', flow.sums('retransmits', 'retransmits_peer'), (0, 0))
        between(name + ' latency', max(p.where('httpflow').has('latency')), 1000, 200e6)


def test_pipelined():
    """100 requests in one send; the same byte by byte; and in pieces that end anywhere."""
    requests = b''.join(get('/item/p%d' % i) for i in range(100))
    dribbled = b''.join(get('/item/d%d' % i) for i in range(5))
    with Watched() as w:
        talk([requests], 100)
        talk([bytes([c]) for c in dribbled], 5, pause=0.001)
        talk([requests[i:i + 37] for i in range(0, len(requests), 37)], 100, pause=0)
        talk([requests], 100, address=B6)
    w.check(n=305)
    for name, p in w.points():
        eq(name + ' families', {q.tags['family'] for q in p.where('httpflow')}, {'IPv4', 'IPv6'})


def test_errors():
    with Watched() as w:
        for path in ('missing', 'error', 'moved', 'none', 'item/x?query=no#fragment', 'a%20b'):
            curl('-o', '/dev/null', 'http://%s/%s' % (B4, path))
        curl('-I', '-o', '/dev/null', 'http://%s/big' % B4, 'http://%s/item/y' % B4)
        curl('-0', '-o', '/dev/null', 'http://%s/item/old' % B4)
        curl('-X', 'OPTIONS', '-o', '/dev/null', 'http://%s/index.html' % B4)
        curl('-g', '-o', '/dev/null', 'http://[%s]/item/six' % B6)
    w.log['GET', '/a%20b', 404, '1.1'] = w.log.pop(('GET', '/a b', 404, '1.1'))  # logged decoded
    w.check()


def test_slow():
    """limit_rate stretches the body, not the time to first byte; a late first byte is one."""
    with Watched() as w:
        begin = time.time()
        curl('-o', '/dev/null', 'http://%s/slow' % B4)
        between('seconds of the slow answer', time.time() - begin, 0.9, 10)
        curl('-o', '/dev/null', 'http://%s:8080/late' % B4)
    w.check({('GET', '/late', 200, '1.1'): 1})
    for name, p in w.points():
        between(name + ' latency of slow', p.where('httpflow', path='/slow').sum('latency'), 1000, 300e6)
        between(name + ' latency of late', p.where('httpflow', path='/late').sum('latency'),
                300e6, 400e6)
        eq(name + ' bytes of slow', p.where('netflow', transport='tcp').sum('tcp_established'), 2)


def test_bodies():
    """Bodies that look like requests, in 20 MB, chunked, compressed; then the next request."""
    with Watched('--ring-size', '64M') as w:  # on a busy machine nobody reads for a while
        urls = []
        for _ in range(3):
            urls += ['-o', '/dev/null', 'http://%s/big' % B4, '-o', '/dev/null', 'http://%s/item/k' % B4,
                     '-o', '/dev/null', 'http://%s/text' % B4]
        out = curl('--compressed', '-w', '%{num_connects} ', *urls)
        eq('connections', sum(int(n) for n in out.split()), 1)
        curl('-o', '/dev/null', 'http://%s:8080/chunks' % B4, '-o', '/dev/null',
             'http://%s:8080/after' % B4)
    w.check({('GET', '/chunks', 200, '1.1'): 1, ('GET', '/after', 200, '1.1'): 1}, n=11)


def test_uploads():
    """POST and PUT with 100-continue, with bodies of all sizes, on one connection."""
    path = lab.scratch + '/upload'
    with open(path, 'wb') as f:
        f.write(get('/not-a-request') * 60000)
    base = 'http://%s:8080' % B4
    with Watched('--ring-size', '64M') as w:
        curl('-o', '/dev/null', '-d', 'x=1', base + '/form', '--next', '-o', '/dev/null', '-T', path,
             base + '/put', '--next', '-o', '/dev/null', '--data-binary', '@' + path, '-H',
             'Expect: 100-continue', base + '/post', '--next', '-o', '/dev/null', base + '/last')
    w.check({('POST', '/form', 200, '1.1'): 1, ('PUT', '/put', 200, '1.1'): 1,
             ('POST', '/post', 200, '1.1'): 1, ('GET', '/last', 200, '1.1'): 1})


def cookies(n):
    return 'Cookie: ' + 'c' * (n - 10) + '\r\n'


def heads():
    """Large heads: in one send, and in sends of a full segment, none beginning with a method."""
    one, several = get('/item/one', cookies(3000)), get('/item/several', cookies(3000))
    talk([one] * 5, 5)
    talk([several[i:i + 1400] for i in range(0, len(several), 1400)], 1, pause=0.02)
    talk([several[:1000], several[1000:2400], several[2400:] + one + get('/item/behind')], 3, pause=0.02)
    talk([get('/item/huge', cookies(15000) + cookies(15001))], 1)
    talk([get('/item/p', cookies(2000)) * 20], 20)
    talk([get('/cookies'), get('/next')], 2, port=8080, pause=0.1)


HEADS = {('GET', '/cookies', 200, '1.1'): 1, ('GET', '/next', 200, '1.1'): 1}


def test_large_heads():
    with Watched() as w:
        heads()
    w.check(HEADS, n=32)


def test_large_heads_segmented():
    """The same as a wire shows them: no packet above the MTU."""
    lab.need('ethtool')
    off = ['tso', 'off', 'gso', 'off', 'gro', 'off']
    for ns, name in ((ns_a, 'va'), (ns_b, 'vb')):
        ns.run(['ethtool', '-K', name] + off)
    try:
        with Watched('--ring-size', '64M') as w:
            heads()
            curl('-o', '/dev/null', 'http://%s/big' % B4, '-o', '/dev/null', 'http://%s/item/z' % B4)
    finally:
        for ns, name in ((ns_a, 'va'), (ns_b, 'vb')):
            ns.run(['ethtool', '-K', name] + [s.replace('off', 'on') for s in off])
    w.check(HEADS, n=34)
    for name, p in w.points():
        between(name + ' latency', max(p.where('httpflow').has('latency')), 1000, 250e6)


def test_no_answer():
    """The server ends the connection, or is still thinking when the run ends: status 0."""
    listener = lab.serve(ns_b.listen(B4, 8081), lambda s: s.recv(4096))
    hang = lab.serve(ns_b.listen(B4, 8082), lambda s: (s.recv(4096), time.sleep(9)))
    with Watched() as w:
        s = ns_a.connect(B4, 8081)
        s.sendall(get('/closed'))
        s.recv(100)
        t = ns_a.connect(B4, 8082)
        t.sendall(get('/hangs'))
        time.sleep(0.3)
    s.close()
    t.close()
    listener.close()
    hang.close()
    w.check({('GET', '/closed', 0, '1.1'): 1, ('GET', '/hangs', 0, '1.1'): 1})
    for name, p in w.points():
        eq(name + ' latencies', p.where('httpflow').has('latency'), [])


def test_many_connections():
    """A burst of 300 connections, 10 at a time, one request each."""
    with Watched() as w:
        curl('-Z', '--parallel-max', '10', '-H', 'Connection: close', '-o', '/dev/null',
             'http://%s/item/[1-300]' % B4)
    w.check(n=300)
    for name, p in w.points():
        eq(name + ' connections', p.where('netflow').sums('tcp_established', 'tcp_closed'), (300, 300))


def test_upgrade():
    """101 and what follows is no HTTP any more; CONNECT neither."""
    def websocket(s):
        s.recv(4096)
        s.sendall(b'HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n')
        s.recv(4096)
        s.sendall(b'HTTP/1.1 200 OK\r\n\r\n')

    def proxy(s):
        s.recv(4096)
        s.sendall(b'HTTP/1.1 200 Connection established\r\n\r\n')
        s.recv(4096)
        s.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')

    listeners = [lab.serve(ns_b.listen(B4, 8083), websocket), lab.serve(ns_b.listen(B4, 8084), proxy)]
    with Watched() as w:
        for port, first in ((8083, get('/chat', 'Connection: Upgrade\r\nUpgrade: x\r\n')),
                            (8084, b'CONNECT host:443 HTTP/1.1\r\nHost: host:443\r\n\r\n')):
            s = ns_a.connect(B4, port)
            s.sendall(first)
            s.recv(4096)
            s.sendall(get('/inside'))
            s.recv(4096)
            s.close()
    for s in listeners:
        s.close()
    for name, p in w.points():
        http = p.http()
        eq(name + ' tunnel', [k for k in http if k[1] == '/inside'], [])
        eq(name + ' heads', sorted((k[0], k[2]) for k in http), [('CONNECT', 200), ('GET', 101)])


lab.main([
    ('keep-alive', test_keep_alive), ('pipelined', test_pipelined), ('errors', test_errors),
    ('slow', test_slow), ('bodies', test_bodies), ('uploads', test_uploads),
    ('large heads', test_large_heads), ('large heads, segmented', test_large_heads_segmented),
    ('no answer', test_no_answer), ('many connections', test_many_connections),
    ('upgrade and CONNECT', test_upgrade),
], setup)
