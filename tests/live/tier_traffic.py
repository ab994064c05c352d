"""tier_traffic.py - traffic for the tests of the tiers. Each function t_...() makes one kind of it between ns_a, the
client's host, and the given port of ns_b, the server's, and returns what has to be seen of it.

Python 3.6 and newer, no third-party packages.
"""
import collections
import json
import os
import socket
import sys
import threading
import time

import lab
import tiers
from lab import A4, B4, B6, DEAD4, DEAD6, eq
from tiers import connect, listen, make_socket, reset
from wire import tcp_info

MB = 1 << 20
PYTHON = sys.executable
DATA = b'\xf1'  # what no filter takes for text
NOWHERE = '10.71.9.9'  # a route says that it cannot be reached
ns_a = ns_b = None


def setup():
    global ns_a, ns_b
    ns_a, ns_b = lab.pair()
    ns_a.run(['sysctl', '-qw', 'net.ipv4.tcp_syn_retries=1'])
    ns_a.ip('route add unreachable %s/32' % NOWHERE)
    return ns_a, ns_b


class Want:
    """What a client's host sees of one port; the server's sees the mirror image."""

    def __init__(self, up=None, down=None, counters=(1, 1, 0, 0), **more):
        self.up, self.down = up, down  # payload; None: only the packets know
        self.counters = counters       # tiers.COUNTERS; None in it: as the packet tier
        self.errors = {}               # {errno's name: attempts}
        self.unsent = {}               # those that failed before a packet was sent
        self.pids = self.server_pids = {str(os.getpid())}  # of the two ends; None: may be any
        self.weak_pids = set()         # without a probe, these too
        self.at_server = True          # does the other host see it?
        self.port = None               # not the one that was given
        self.rtt = None                # the kernel's of both ends, us, and when that was
        self.again = None              # segments that both ends sent again, where the kernel was asked
        self.__dict__.update(more)


def exchange(port, address=B4, up=100000, down=200000, at=None, send=None, bound=None):
    """The client sends `up` and ends its half; the server then answers with `down`."""
    got = []

    def handle(s):
        got.append(lab.read_all(s))
        (send or (lambda t, n: t.sendall(DATA * n)))(s, down)

    server = at or ns_b
    listener = lab.serve(listen(server, bound or address, port), handle)
    s = connect(ns_a, address, port)
    (send or (lambda t, n: t.sendall(DATA * n)))(s, up)
    s.shutdown(socket.SHUT_WR)
    back = lab.read_all(s)
    s.close()
    listener.close()
    if (got, back) != ([up], down):
        raise RuntimeError('the programs counted %r, %r' % (got, back))
    return Want(up, down)


def zeros(size):
    path = lab.scratch + '/zeros'
    with open(path, 'wb') as f:
        f.truncate(size)
    return open(path, 'rb')


def t_ipv4(port):
    return exchange(port, up=3 * MB + 1, down=2 * MB + 3)


def t_ipv6(port):
    return exchange(port, B6)


def t_mapped(port):
    return exchange(port, '::ffff:' + B4, bound='::')


def t_sendfile(port):
    with zeros(5 * MB) as f:
        def send(s, n):
            s.setblocking(True)
            at = 0
            while at < n:
                at += os.sendfile(s.fileno(), f.fileno(), at, n - at)
        return exchange(port, up=5 * MB, down=4 * MB, send=send)


def t_splice(port):
    def send(s, n):
        with zeros(4 * MB) as f:
            s.setblocking(True)
            tiers.splice(f.fileno(), s.fileno(), n)
    return exchange(port, up=4 * MB, down=3 * MB, send=send)


def t_uring(port):
    ring = tiers.Uring()
    s, t = tiers.pair(ns_a, ns_b, B4, port)
    reader = threading.Thread(target=lab.exactly, args=(t, MB))
    reader.start()
    ring.send_all(s, DATA * MB)
    reader.join()
    t.sendall(DATA * 50000)
    ring.receive(s, 50000)
    ring.close()
    s.close()
    t.close()
    return Want(MB, 50000)


def t_iperf(port, *args):
    lab.need('iperf3')
    server = ns_b.start(['iperf3', '-s', '-1', '-p', str(port)])
    ns_b.wait_listening(port)
    client = ns_a.start(['iperf3', '-c', B4, '-p', str(port), '-n', '30M', '-J'] + list(args), stdout=-1)
    said = json.loads(client.communicate(timeout=30 * lab.SLOW)[0].decode())
    server.wait(10 * lab.SLOW)
    if 'error' in said:
        raise RuntimeError('iperf3: ' + said['error'])
    # a control connection and one of data; their ends may be RSTs
    return Want(counters=(2, 2, 0, None), pids={str(client.pid)}, server_pids={str(server.pid)})


def t_iperf_back(port):
    return t_iperf(port, '-R')


def t_half_closed(port):
    """Each half ends in a cycle of its own, and bytes come between."""
    s, t = tiers.pair(ns_a, ns_b, B4, port)
    s.sendall(DATA * 5000)
    s.shutdown(socket.SHUT_WR)
    eq('read', lab.read_all(t), 5000)
    for _ in range(3):
        time.sleep(1.1)
        t.sendall(DATA * 7000)
        lab.exactly(s, 7000)
    t.close()
    eq('the end', lab.read_all(s), 0)
    s.close()
    return Want(5000, 21000)


def t_half_closed_by_server(port):
    s, t = tiers.pair(ns_a, ns_b, B4, port)
    t.sendall(DATA * 300)
    t.shutdown(socket.SHUT_WR)
    eq('read', lab.read_all(s), 300)
    for _ in range(2):
        time.sleep(1.1)
        s.sendall(DATA * 40000)
        lab.exactly(t, 40000)
    s.close()
    eq('the end', lab.read_all(t), 0)
    t.close()
    return Want(80000, 300)


def t_reset_by_client(port):
    s, t = tiers.pair(ns_a, ns_b, B4, port)
    s.sendall(DATA * 500)
    lab.exactly(t, 500)
    reset(s)
    time.sleep(0.05)
    t.close()
    return Want(500, 0, (1, 1, 0, 1))


def t_reset_by_server(port):
    s, t = tiers.pair(ns_a, ns_b, B4, port)
    s.sendall(DATA * 70000)
    lab.exactly(t, 70000)
    t.sendall(DATA * 90)
    lab.exactly(s, 90)
    reset(t)
    time.sleep(0.05)
    s.close()
    return Want(70000, 90, (1, 1, 0, 1))


def t_reset_bulk(port):
    """The kernel forgets a socket's figures when close() sends a RST: tcp_disconnect(). All within one cycle."""
    s, t = tiers.pair(ns_a, ns_b, B4, port)
    for x, y, n in ((s, t, 3 * MB), (t, s, 2 * MB)):
        reader = threading.Thread(target=lab.exactly, args=(y, n))
        reader.start()
        x.sendall(DATA * n)
        reader.join()
    reset(s)
    time.sleep(0.05)
    t.close()
    return Want(3 * MB, 2 * MB, (1, 1, 0, 1))


def t_unread(port):
    """close() with data unread is a RST: RFC 2525 section 2.17."""
    s, t = tiers.pair(ns_a, ns_b, B4, port)
    t.sendall(DATA * 3000)
    time.sleep(0.1)
    s.close()
    time.sleep(0.05)
    t.close()
    return Want(0, 3000, (1, 1, 0, 1))


def t_reset_in_flight(port):
    """The reader is gone while more is on its way, and the writer has more than the window takes."""
    s, t = tiers.pair(ns_a, ns_b, B4, port)
    s.setblocking(False)
    try:
        while True:
            s.send(DATA * 100000)
    except BlockingIOError:
        pass
    time.sleep(0.1)
    t.close()
    time.sleep(0.05)
    s.close()
    return Want(counters=(1, 1, 0, 1))


def calm(s):
    """What was sent again, once all tiers have had the time to see it: an aborted socket has forgotten its figures, and
    the socket tier then knows those of the last cycle's list."""
    again, since, end = tcp_info(s)[2], time.time(), time.time() + 10
    while time.time() - since < 1.5 and time.time() < end:
        time.sleep(0.05)
        now = tcp_info(s)[2]
        if now != again:
            again, since = now, time.time()
    return again


def t_never_sent(port):
    """What the window did not let out has not been sent."""
    s, t = tiers.pair(ns_a, ns_b, B6, port)
    s.setblocking(False)
    try:
        while True:
            s.send(DATA * 100000)
    except BlockingIOError:
        pass
    again = calm(s)
    reset(s)
    time.sleep(0.05)
    t.close()
    return Want(counters=(1, 1, 0, 1), again=(again, 0))


def t_not_accepted(port):
    """The listener ends before it took the connection."""
    listener = listen(ns_b, B4, port)
    s = connect(ns_a, B4, port)
    s.sendall(DATA * 100)
    time.sleep(0.1)
    listener.close()
    time.sleep(0.1)
    s.close()
    # nobody has accepted it: at the server the listener's process, or none
    return Want(100, 0, (1, 1, 0, 1), server_pids={str(os.getpid()), None})


def t_refused(port):
    """By a blocking connect, by one that does not wait, by IPv6."""
    for address in (B4, B6, '::ffff:' + B4):
        s = make_socket(ns_a, tiers.family_of(address))
        eq('connect', s.connect_ex((address, port)), 111)
        s.close()
    s = make_socket(ns_a)
    s.setblocking(False)
    eq('connect', s.connect_ex((B4, port)), 115)
    time.sleep(0.1)
    eq('SO_ERROR', s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR), 111)
    s.close()
    return Want(0, 0, (0, 0, 4, 0), errors={'ECONNREFUSED': 4})


def t_black_hole(port):
    """Nobody answers: the kernel gives up (tcp_syn_retries is 1), or the program does, before."""
    sockets = [make_socket(ns_a, tiers.family_of(a)) for a in (DEAD4, DEAD6, DEAD4)]
    for s, address in zip(sockets, (DEAD4, DEAD6, DEAD4)):
        s.setblocking(False)
        s.connect_ex((address, port))
    time.sleep(1.5)
    sockets[2].close()
    lab.wait_until('the kernel gives up', lambda: sockets[0].getsockopt(
        socket.SOL_SOCKET, socket.SO_ERROR) == 110, 10)
    time.sleep(0.2)
    for s in sockets[:2]:
        s.close()
    return Want(0, 0, (0, 0, 3, 0), errors={'ETIMEDOUT': 2}, at_server=False)


def t_unreachable(port):
    """No packet is sent: only a probe can know."""
    s = make_socket(ns_a)
    eq('connect', s.connect_ex((NOWHERE, port)), 113)
    s.close()
    return Want(0, 0, (0, 0, 0, 0), unsent={'EHOSTUNREACH': 1}, at_server=False)


def t_loopback(port):
    """Both ends are here."""
    for address in ('127.0.0.1', '::1', A4):
        exchange(port, address, up=2 * MB, down=777, at=ns_a)
        s = make_socket(ns_a, tiers.family_of(address))
        eq('connect', s.connect_ex((address, port)), 111)
        s.close()
    return Want(6 * MB, 3 * 777, (3, 3, 3, 0), errors={'ECONNREFUSED': 3}, at_server=False)


def t_port_reuse(port):
    """Connections one after another from one port, ended by RST: each is one."""
    listener = lab.serve(listen(ns_b, B4, port), lambda s: (s.recv(100), s.sendall(DATA * 50)))
    for _ in range(100):
        s = make_socket(ns_a)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind((A4, 41000))
        s.connect((B4, port))
        s.sendall(DATA * 20)
        lab.read_all(s)
        reset(s)
    listener.close()
    # who made one is told later than the next one begins
    return Want(2000, 5000, (100, 100, 0, None), weak_pids={None})


# parent and three children send over one connection, and say who they are: ADDRESS PORT
SHARED = r'''
import os, socket, sys, time
s = socket.create_connection((sys.argv[1], int(sys.argv[2])))
children = []
for i in range(3):
    pid = os.fork()
    if not pid:
        for _ in range(5):
            s.sendall(b'\xf1' * 1000)
            time.sleep(0.1)
        os._exit(0)
    children.append(pid)
print(os.getpid(), *children)
s.sendall(b'\xf1' * 1000)
for pid in children:
    os.waitpid(pid, 0)
s.shutdown(socket.SHUT_WR)
while s.recv(100):
    pass
'''


def t_shared(port):
    """Several processes have one socket; it is counted once."""
    listener = lab.serve(listen(ns_b, B4, port), lambda s: (lab.read_all(s), s.sendall(DATA * 10)))
    p = ns_a.start([PYTHON, '-c', SHARED, B4, str(port)], stdout=-1)
    said = p.communicate(timeout=20 * lab.SLOW)[0].decode().split()
    listener.close()
    # who connected; without a probe one that has it now may be told
    return Want(16000, 10, pids={str(p.pid)}, weak_pids=set(said))


def t_probes(port):
    """Keep-alive probes (RFC 9293 section 3.8.4) are no data, and nothing sent again."""
    s, t = tiers.pair(ns_a, ns_b, B4, port)
    for option, n in ((socket.SO_KEEPALIVE, None), (socket.TCP_KEEPIDLE, 1), (socket.TCP_KEEPINTVL, 1)):
        s.setsockopt(*((socket.SOL_SOCKET, option, 1) if n is None else (socket.IPPROTO_TCP, option, n)))
    s.sendall(DATA * 10)
    lab.exactly(t, 10)
    time.sleep(3.2)
    s.close()
    t.close()
    return Want(10, 0)


def t_calm(port):
    """Questions and answers, then quiet: all that look at the kernel's rtt then see the same."""
    s, t = tiers.pair(ns_a, ns_b, B4, port)
    for _ in range(200):
        s.sendall(DATA * 100)
        lab.exactly(t, 100)
        t.sendall(DATA * 1000)
        lab.exactly(s, 1000)
    time.sleep(2.2)
    want = Want(20000, 200000, rtt=(tcp_info(s)[0], tcp_info(t)[0], int(time.time() * 1e9)))
    s.close()
    t.close()
    return want


def t_udp(port):
    """Datagrams of all sizes, up to fragments, both ways."""
    sizes = [0, 1, 100, 1472, 1473, 5000, 65507] * 10
    sink, s = make_socket(ns_b, kind=socket.SOCK_DGRAM), make_socket(ns_a, kind=socket.SOCK_DGRAM)
    for x in (sink, s):
        x.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 * MB)
    sink.bind((B4, port))
    for n in sizes:
        s.sendto(DATA * n, (B4, port))
        data, who = sink.recvfrom(70000)
        eq('datagram', len(data), n)
        sink.sendto(DATA * 10, who)
        s.recv(100)
    for x in (sink, s):
        x.close()
    return Want(sum(sizes), 10 * len(sizes), udp=(sum((n + 8 + 1479) // 1480 for n in sizes), len(sizes)))


def t_udp_loopback(port):
    """Seen twice on lo, counted once; IPv6."""
    u, v = (make_socket(ns_a, socket.AF_INET6, socket.SOCK_DGRAM) for _ in range(2))
    u.bind(('::1', port))
    for _ in range(100):
        v.sendto(b'd' * 10, ('::1', port))
        u.recv(100)
        time.sleep(0.01)
    for x in (u, v):
        x.close()
    return Want(1000, 0, udp=(100, 0), at_server=False)


def t_udp_refused(port):
    """Nobody is there: ICMP answers, which is no datagram of the flow."""
    s = make_socket(ns_a, kind=socket.SOCK_DGRAM)
    for _ in range(5):
        s.sendto(DATA * 20, (B4, port))
    s.close()
    return Want(100, 0, udp=(5, 0))


# --- HTTP and DNS ------------------------------------------------------------------------------------

NGINX = r'''
daemon off; user root; worker_processes 2; pid %(dir)s/nginx.pid; error_log %(dir)s/error.log;
events { worker_connections 256; }
http {
	log_format judge '$request_method\t$uri\t$status\t$server_protocol';
	access_log %(dir)s/access.log judge;
	client_body_temp_path %(dir)s; proxy_temp_path %(dir)s; fastcgi_temp_path %(dir)s;
	uwsgi_temp_path %(dir)s; scgi_temp_path %(dir)s;
	sendfile on; default_type text/plain; keepalive_requests 100000;
	server {
		listen %(port)d; listen [::]:%(port)d;
		root %(dir)s/www;
		location /item { return 200 "0123456789"; }
		location /none { return 204; }
		location /moved { return 301 /item/0; }
		location /text { gzip on; gzip_types text/plain; gzip_http_version 1.0; }
		location /inner { return 200 "0123456789"; }
		location /put { client_max_body_size 10m; proxy_pass http://127.0.0.1:%(port)d/inner; }
	}
}
'''


def start_nginx(port):
    lab.need('nginx', 'curl')
    d = lab.scratch + '/nginx'
    os.makedirs(d + '/www', exist_ok=True)
    for name, size in (('big', 3 * MB), ('text', 300 << 10), ('empty', 0)):
        with open('%s/www/%s' % (d, name), 'wb') as f:
            # what looks like requests, in the middle of segments and at their begin
            f.write((b'GET /not-a-request HTTP/1.1\r\n\r\n' + b'0123456789abcdef\n' * 9) * (size // 184 + 1))
            f.truncate(size)
    with open(d + '/post', 'wb') as f:
        f.write(b'POST /neither HTTP/1.1\r\n\r\n' * 40000)
    with open(d + '/nginx.conf', 'w') as f:
        f.write(NGINX % {'dir': d, 'port': port})
    open(d + '/access.log', 'w').close()
    server = ns_b.start(['nginx', '-c', d + '/nginx.conf'])
    ns_b.wait_listening(port)
    return server


def curl(urls, *args):
    p = ns_a.start(['curl', '-s', '-m', '20', '--no-progress-meter'] + list(args) +
                   [w for u in urls for w in (u, '-o', '/dev/null')])
    if p.wait(30 * lab.SLOW):
        raise RuntimeError('curl %r: exit %d' % (urls, p.returncode))
    return str(p.pid)


def t_http(port):
    """Heads amid bodies that are not read: keep-alive and close, sendfile, chunks, POST, HEAD, errors."""
    server = start_nginx(port)
    base = 'http://%s:%d' % (B4, port)
    pids = {curl([base + '/item/%d' % i for i in range(20)] + [base + '/big'] +
                 [base + '/after/%d' % i for i in range(5)] + [base + '/big', base + '/none', base + '/moved'])}
    for i in range(10):
        pids.add(curl([base + '/item/close%d' % i], '-H', 'Connection: close'))
    pids.add(curl(['http://[%s]:%d/%s' % (B6, port, p) for p in ('big', 'item/6', 'empty', 'item/7')]))
    pids.add(curl([base + '/text', base + '/item/8', base + '/text'], '-H', 'Accept-Encoding: gzip'))
    pids.add(curl([base + '/put/1', base + '/put/2'], '--data-binary', '@%s/nginx/post' % lab.scratch,
                  '-H', 'Expect:'))
    pids.add(curl([base + '/big', base + '/item/9'], '-I'))
    pids.add(curl([base + '/item/10'], '--http1.0'))
    time.sleep(0.2)
    with open('/proc/%d/task/%d/children' % (server.pid, server.pid)) as f:
        workers = set(f.read().split())
    server.terminate()
    server.wait(5 * lab.SLOW)
    log = collections.Counter()
    with open(lab.scratch + '/nginx/access.log') as f:
        for line in f:
            method, path, status, version = line.rstrip('\n').split('\t')
            log[method, path, int(status), version.split('/')[1]] += 1
    # what nginx asked itself is on lo
    for key in [k for k in log if k[1].startswith('/inner')]:
        del log[key]
    return Want(counters=(16, 16, 0, None), pids=pids, server_pids=workers, weak_pids={str(server.pid)}, http=log)


def message(number, who):
    return bytes([0, number, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0]) + b'\4www' + who + b'\7example\3org\0\0\1\0\1'


def nxdomain(asked):
    return asked[:2] + b'\x81\x83' + asked[4:]


def t_dns(port):
    """Port 53 whatever `port` is: over UDP, over TCP, one that nobody answers, one that is asked again."""
    server, asker = make_socket(ns_b, kind=socket.SOCK_DGRAM), make_socket(ns_a, kind=socket.SOCK_DGRAM)
    server.bind((B4, 53))
    for n in range(30):
        asker.sendto(message(n, b'a'), (B4, 53))
        asked, who = server.recvfrom(512)
        server.sendto(nxdomain(asked), who)
        asker.recv(512)
    for _ in range(2):
        asker.sendto(message(100, b'b'), (B4, 53))
        server.recvfrom(512)
    listener = listen(ns_b, B4, 53)
    s = connect(ns_a, B4, 53)
    t, _ = listener.accept()
    for n in range(10):
        m = message(n, b'c')
        s.sendall(bytes([0, len(m)]) + m)
        lab.exactly(t, len(m) + 2)
        t.sendall(bytes([0, len(m)]) + nxdomain(m))
        lab.exactly(s, len(m) + 2)
    for x in (s, t, listener, server, asker):
        x.close()
    return Want(port=53, up=10 * 36, down=10 * 36, dns=True)


def t_dnsmasq(port):
    lab.need('dnsmasq', 'dig')
    server = ns_b.start(['dnsmasq', '-k', '-p', '53', '--no-resolv', '--no-hosts', '-a', B6, '--bind-interfaces',
                         '--address=/example.net/10.9.8.7', '--pid-file=', '--user=root', '-C', '/dev/null'])
    ns_b.wait_listening(53)
    pids = set()
    for args in (['www.example.net'], ['www.example.net', 'aaaa'], ['+tcp', 'tcp.example.net']):
        p = ns_a.start(['dig', '@' + B6, '+tries=1', '+time=5'] + args)
        eq('dig', p.wait(20 * lab.SLOW), 0)
        pids.add(str(p.pid))
    server.terminate()
    server.wait(5 * lab.SLOW)
    return Want(port=53, dns=True, address=B6, pids=pids, server_pids=None)  # it forks for TCP


# --- connections older than the flowlines ------------------------------------------------------------

class Old:
    """Three of them: one with traffic and an end, one that stays, one that only ends."""

    def __init__(self, ports):
        self.ports, self.pairs = ports, []
        for port in ports:
            s, t = tiers.pair(ns_a, ns_b, B4, port)
            s.sendall(DATA * 1234)
            lab.exactly(t, 1234)
            t.sendall(DATA * 4321)
            lab.exactly(s, 4321)
            self.pairs.append((s, t))

    def traffic(self, i, up, down):
        s, t = self.pairs[i]
        for x, y, n in ((s, t, up), (t, s, down)):
            reader = threading.Thread(target=lab.exactly, args=(y, n))
            reader.start()
            x.sendall(DATA * n)
            reader.join()

    def t_end(self, port):
        """At once, in many segments, and again in a later cycle; then the end."""
        self.traffic(0, 200000, 30000)
        time.sleep(1.5)
        self.traffic(0, 1, MB)
        for x in self.pairs[0]:
            x.close()
        return Want(200001, 30000 + MB, (0, 1, 0, 0))

    def t_stay(self, port):
        self.traffic(1, 300, 2 * MB)
        time.sleep(1.2)
        self.traffic(1, 2 * MB, 100)
        return Want(2 * MB + 300, 2 * MB + 100, (0, 0, 0, 0))

    def t_only_end(self, port):
        time.sleep(1)
        for x in self.pairs[2]:
            x.close()
        return Want(0, 0, (0, 1, 0, 0))

    def close(self):
        for p in self.pairs:
            for s in p:
                s.close()


# --- many short ones ---------------------------------------------------------------------------------

# ADDRESS PORT N: a server that answers N connections, and a client that makes them
MANY_SERVER = r'''
import socket, sys
s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind((sys.argv[1], int(sys.argv[2])))
s.listen(512)
for _ in range(int(sys.argv[3])):
    c, _ = s.accept()
    c.sendall(c.recv(4000) * 3)
    c.close()
'''
MANY_CLIENT = r'''
import socket, sys
to, body = (sys.argv[1], int(sys.argv[2])), b'\xf1' * 100
for i in range(int(sys.argv[3])):
    c = socket.socket()
    c.connect(to)
    c.sendall(body[:1 + i % 100])
    while c.recv(4000):
        pass
    c.close()
'''


# --- all of it ---------------------------------------------------------------------------------------

# those that wait go beside the others
SLOW_ONES = [
    ('half closed', t_half_closed), ('half closed by the server', t_half_closed_by_server),
    ('never sent', t_never_sent), ('black hole', t_black_hole), ('several processes', t_shared),
    ('keep-alive probes', t_probes),
]
TRAFFIC = [
    ('IPv4', t_ipv4), ('IPv6', t_ipv6), ('v4-mapped', t_mapped), ('sendfile', t_sendfile),
    ('splice', t_splice), ('io_uring', t_uring), ('iperf3', t_iperf), ('iperf3 -R', t_iperf_back),
    ('reset by the client', t_reset_by_client), ('reset by the server', t_reset_by_server),
    ('reset after much', t_reset_bulk), ('closed unread', t_unread),
    ('reset in flight', t_reset_in_flight), ('not accepted', t_not_accepted),
    ('refused', t_refused), ('unreachable', t_unreachable), ('both ends here', t_loopback),
    ('one port, many', t_port_reuse), ('UDP', t_udp), ('UDP on lo', t_udp_loopback),
    ('UDP refused', t_udp_refused), ('HTTP', t_http), ('DNS', t_dns), ('dnsmasq', t_dnsmasq), ('rtt', t_calm),
]
