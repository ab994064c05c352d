#!/usr/bin/env python3
"""test_backends.py - live: points reach real backends (InfluxDB 1, VictoriaMetrics, nginx with TLS before
InfluxDB) and what is written here to check requests as they are documented (InfluxDB 2 and 3, QuestDB,
Datakit, Telegraf's sockets). What the backends hold is compared with the lines of standard output.
"""
import json
import os
import socket
import ssl
import subprocess
import time

import lab
from backends import (Capture, Certificates, Influx, Load, Nginx, Run, Victoria, balance, basic, counted,
                      fixtures, flowline_read, http_output, many_names, parse_line, points_of, same_lines,
                      same_points, settled, spare, split_lines, sums_of, write_text)
from lab import B4, between, eq, wait_until
from peers import Backend, Proxy, Reader, answer

ns_a = ns_b = None
NAMES = 1500


def setup():
    global ns_a, ns_b
    ns_a, ns_b = lab.pair()


def read_lines(capture, *args, **more):
    """What `flowline read` writes to standard output."""
    status, out, err = flowline_read(ns_a, capture, '-o', '-', *args, **more)
    eq('exit status of read -o - (%s)' % err, status, 0)
    return split_lines(out)


def read_to(outputs, capture, *args, text='', want=0, **more):
    """`flowline read` with these outputs in a configuration; its messages."""
    conf = 'sending: {retry_min: 100ms, retry_max: 1s}\noutputs:\n' + ''.join(
        '  %s\n' % line for line in outputs.splitlines()) + text
    status, out, err = flowline_read(ns_a, capture, *args, conf=write_text(spare('conf') + '.yaml', conf), **more)
    eq('exit status of read (%s)' % err[-800:], status, want)
    eq('standard output', out, b'')
    return err


def read_option(option, capture, *args, want=0, **more):
    status, _, err = flowline_read(ns_a, capture, '-o', option, *args, **more)
    eq('exit status of read -o %s (%s)' % (option, err[-800:]), status, want)
    return err


# --- InfluxDB 1 ---------------------------------------------------------------------------------------

def test_influx():
    """Every fixture: points and InfluxQL's sums are those of the lines."""
    i = Influx(ns_a).start()
    for n, (name, capture, args) in enumerate(fixtures()):
        want = points_of(read_lines(capture, *args), name)
        i.create(name)
        url = 'http://127.0.0.1:8086/%s?db=%s' % ('write' if n % 2 else '', name)
        eq(name + ' says', read_option(url, capture, *args), '')
        same_points(name, i.points(name), want)
        lab.same(name + ' sums', i.sums(name, sums_of(want)), sums_of(want))
    between('fixtures', n, 30, 1000)
    i.stop()


def test_influx_settings():
    """Database, retention policy, user and password of the configuration, in which nothing is harmless."""
    i = Influx(ns_a, auth=True).start()
    i.query("CREATE USER root WITH PASSWORD 'f1rst_one' WITH ALL PRIVILEGES")
    i.auth = basic('root', 'f1rst_one')
    db, rp, user, password = 'd b&=%+ü', 'short rp?', 'wri ter', 'p%s+w &=ö:"\\' % 'é'
    i.create(db)
    i.query('CREATE RETENTION POLICY "%s" ON "%s" DURATION INF REPLICATION 1' % (rp, db))
    i.query('CREATE USER "%s" WITH PASSWORD \'%s\'' % (user, password.replace('\\', '\\\\')))
    i.query('GRANT WRITE ON "%s" TO "%s"' % (db, user))
    capture = many_names(NAMES)
    want = points_of(read_lines(capture))
    for gzip in ('true', 'false'):
        said = read_to('- http: {url: "http://127.0.0.1:8086", database: "%s", retention_policy: "%s", user: "%s", '
                       'password: %s, gzip: %s, batch_points: 200}' %
                       (db, rp, user, json.dumps(password), gzip), capture)
        eq('says', said, '')
        same_points('points', i.points(db, rp), want)
        i.query('DROP SERIES FROM /.*/', db)
    eq('other retention policy', i.points(db), {})
    i.stop()


def test_influx_refuses():
    """Wrong password, no database: the advice is said once, points wait; mended, all of them arrive."""
    i = Influx(ns_a, auth=True).start()
    i.query("CREATE USER root WITH PASSWORD 'f1rst_one' WITH ALL PRIVILEGES")
    i.auth = basic('root', 'f1rst_one')
    f = Run(ns_a, http_output(database='later', user='root', password='se_cret1'))
    load = Load(ns_a, 50)
    f.wait_said('401')
    time.sleep(2)
    eq('state', f.output('http')['state'], 'refused')
    f.reload(http_output(database='later', user='root', password='f1rst_one'))
    f.wait_said('CREATE DATABASE')
    time.sleep(1)
    i.create('later')
    wait_until('points arrive', lambda: i.points('later'), 20)
    load.stop()
    time.sleep(1.2)
    o = settled(f)
    balance(o)
    eq('lost', o['points_lost'], 0)
    f.stop()
    same_points('points', i.points('later'), points_of(f.lines()))
    load.check('file', f.lines())
    between('said CREATE DATABASE', f.said().count('CREATE DATABASE'), 1, 2)
    between('said 401', f.said().count('401'), 1, 2)
    for secret in ('se_cret1', 'f1rst_one'):
        eq('said the password', secret in f.said(), False)
    i.stop()


def connections(n):
    """TCP connections to B: points with rtt."""
    listener = lab.serve(ns_b.listen(B4, 9000), lambda s: s.sendall(b'y' * (1 + lab.read_all(s))))
    for _ in range(n):
        s = ns_a.connect(B4, 9000)
        s.sendall(b'x')
        s.shutdown(socket.SHUT_WR)
        lab.read_all(s)
        s.close()
        time.sleep(1)
    listener.close()


def test_influx_partial():
    """A field of another type: the points that have it are lost and counted, and no others."""
    i = Influx(ns_a).start()
    i.create('x')
    # Types belong to a shard: of this week.
    eq('prepared', i.write('x', 'netflow,host=other rtt="text" %d\n' % (time.time() - 1), 's').status, 204)
    f = Run(ns_a, http_output(database='x'))
    load = Load(ns_a, 100)
    connections(3)
    load.stop()
    time.sleep(1.2)
    balance(settled(f))
    f.stop()
    points = points_of(f.lines())
    good = {k: v for k, v in points.items() if 'rtt' not in v}
    got = {k: v for k, v in i.points('x').items() if ('host', 'other') not in k[1]}
    same_points('points', got, good)
    between('points with rtt', len(points) - len(good), 1, 100)
    eq('counted as lost', f.counted('points lost'), len(points) - len(good))
    eq('said', 'field type conflict' in f.said(), True)
    i.stop()


def test_influx_values():
    """max-values-per-tag: as above. What it takes and what it does not is InfluxDB's to say; the sum is right."""
    i = Influx(ns_a, max_values=30).start()
    i.create('x')
    # It looks at what it had before a request: what is new in one request may go beyond.
    f = Run(ns_a, http_output(database='x', batch_points=20))
    load = Load(ns_a, 80)
    time.sleep(2.5)
    load.stop()
    time.sleep(1.2)
    balance(settled(f))
    f.stop()
    points, got = points_of(f.lines()), i.points('x')
    eq('not as written', {k: v for k, v in got.items() if points.get(k) != v}, {})
    between('lost', len(points) - len(got), 20, len(points) - 30)
    eq('counted as lost', f.counted('points lost'), len(points) - len(got))
    eq('said', 'max-values-per-tag' in f.said(), True)
    i.stop()


def hostile():
    """Names and paths with every byte, in the middle, at the end, twice, and before what is special."""
    c = Capture()
    for byte in range(256):
        b = bytes([byte])
        for label in (b'a' + b + b'z', b'a' + b, b + b, b'\\' + b, b + b'\\', b + b',x=1 y', b'\xc3' + b):
            c.query([label, b'test'], byte % 3 > 0)
            if byte > 0x20 and byte != 0x7f and b' ' not in label:
                c.get(b'/' + label)
    for label in ('größe', 'emoji😀', '中文', '\u202e', '\ufeff', 'x\\', '\\\\', '\\"', '"', '",a=1 ', 'a\\,b',
                  '\\x41', '\\x0', '\\n', "'", '`', '#', '\r\n', '\0', ' ', '  ', '=', ',', 'true', '1i', 't'):
        b = label.encode()
        c.query([b], True)
        c.query([b, b, b], True)
        c.get(b'/' + b.replace(b' ', b'%20').replace(b'\r\n', b'').replace(b'\0', b''))
    for b in (b'\xed\xa0\x80', b'\xc0\xaf', b'\xf4\x90\x80\x80', b'\xff\xfe', b'\x80' * 63):
        c.query([b], True)
        c.get(b'/' + b * 40)
    return c.done()


HOSTILE_TAGS = r'''
tags:
  weird: "a b,c=d\\"
  backslash: "\\"
  two: "\\\\"
  before: "\\,\\=\\ \\\""
  unicode: "größe 😀 \u202e"
  quote: '"x"'
  "k\\": "v\\"
  "ключ": "значение"
  true: "true"
  number: "1i"
'''


def test_influx_hostile():
    """No byte in a name, path or tag makes a line that is refused or read otherwise."""
    i, v = Influx(ns_a).start(), Victoria(ns_a).start()
    capture = hostile()
    conf = write_text(spare('conf') + '.yaml', HOSTILE_TAGS)
    for mode in ('field', 'tag'):
        args = ('--set', 'points.key_fields=' + mode, '--set', 'points.max_series=1000000')
        i.create(mode)
        lines = read_lines(capture, *args, conf=conf)
        want = points_of(lines, mode)
        between('points', len(want), 2500, 10000)
        eq('says', read_option('http://127.0.0.1:8086/?db=' + mode, capture, *args, conf=conf), '')
        same_points(mode, i.points(mode), want)
        lab.same(mode + ' sums', i.sums(mode, sums_of(want)), sums_of(want))
    eq('VictoriaMetrics', read_option('http://127.0.0.1:8428/write?db=x', capture, *args, conf=conf), '')
    lab.same('VictoriaMetrics', v.export(), metrics(want, 'x'))
    for s in (i, v):
        s.stop()


def random_lines(n):
    """What the encoder makes of the fuzzer's names, paths and tags, each with a time of its own."""
    program, out = os.environ['top_builddir'] + '/tests/fuzz/random_line', spare('random')
    if not os.access(program, os.X_OK):
        raise lab.Skip('tests/fuzz/random_line is not built: make check builds it')
    subprocess.run([program, str(n)], env=dict(os.environ, FUZZ_LINE_OUT=out), stdout=subprocess.DEVNULL, check=True)
    with open(out, 'rb') as f:
        lines = split_lines(f.read())
    return [line.rsplit(b' ', 1)[0] + b' %d' % (10**18 + i) for i, line in enumerate(lines)]


def test_influx_random():
    """Any bytes in any text of a point: no line is refused, and the values come back."""
    i = Influx(ns_a).start()
    kinds = {}
    for line in random_lines(4000):
        # a key field that is a tag here and a field there would have two columns of one name
        tags = {k for k, _ in parse_line(line)[0][1]}
        kinds.setdefault(bool(tags & {'rcode', 'domain', 'method', 'path'}), []).append(line)
    lab.between('lines', sum(map(len, kinds.values())), 3900, 4000)
    for kind, lines in kinds.items():
        for at in range(0, len(lines), 250):  # every tag key of a database is told with every series
            db, some = '%s%d' % (kind, at), lines[at:at + 250]
            i.create(db)
            r = i.write(db, b'\n'.join(some + [b'']))
            eq('%s: status (%s)' % (db, r.text()[:400]), r.status, 204)
            same_points(db, i.points(db), points_of(some))
    i.stop()


# --- VictoriaMetrics ----------------------------------------------------------------------------------

def metrics(points, db):
    """What VictoriaMetrics makes of points: a metric for each field, labels, milliseconds."""
    out = {}
    for (measurement, tags, t), fields in points.items():
        labels = tuple(sorted(tags + (('db', db),)))
        for name, value in fields.items():
            if not isinstance(value, str):
                out.setdefault((measurement + '_' + name, labels, t // 10**6), []).append(float(value))
    return {k: sorted(v) for k, v in out.items()}


def test_victoria():
    """Key fields as tags: every number of every fixture, with its labels."""
    v = Victoria(ns_a).start()
    for name, capture, args in fixtures():
        args += ['--set', 'points.key_fields=tag']
        want = metrics(points_of(read_lines(capture, *args), name), name)
        url = 'http://127.0.0.1:8428/write?db=' + name
        eq(name + ' says', read_option(url, capture, *args), '')
        got = {k: sorted(x) for k, x in v.export('{db="%s"}' % name).items()}
        lab.same(name, got, want)
    v.stop()


# --- InfluxDB 2 and 3, QuestDB, Datakit: requests as documented ---------------------------------------

class Checked(Backend):
    """Refuses, and notes, what the documents do not allow. wanted: of path and query; headers by name."""

    def __init__(self, path, query, headers=(), gzip=True, taken=204, body=b'', **more):
        super().__init__(ns_a, respond=self.check, **more)
        self.path, self.query, self.headers, self.gzip = path, query, dict(headers), gzip
        self.taken, self.body = taken, body
        self.most = self.judge = None
        self.start()

    def note(self, what, got, want):
        if got != want:
            self.problems.append('%s: %r, wanted %r' % (what, got, want))

    def check(self, r):
        h = r.headers
        self.note('method', r.method, 'POST')
        self.note('path', r.path, self.path)
        self.note('precision', r.query.pop('precision', 'ns') in ('ns', 'n'), True)
        self.note('query', r.query, self.query)
        for name, value in self.headers.items():
            self.note(name, h.get(name), value)
        self.note('Content-Type', h.get('content-type'), 'text/plain; charset=utf-8')
        self.note('Content-Encoding', h.get('content-encoding'), 'gzip' if self.gzip else None)
        self.note('User-Agent', h.get('user-agent', '')[:9], 'flowline/')
        self.note('Transfer-Encoding', h.get('transfer-encoding'), None)
        self.note('Expect', h.get('expect'), None)
        self.note('Content-Length', h.get('content-length'), str(len(r.body)))
        lines = split_lines(r.text)
        self.note('lines', len(lines) > 0, True)
        for line in lines:
            parse_line(line)
        if self.most and len(r.text) > self.most:
            return answer(413, {'code': 'request too large',
                                'message': 'unable to read data: points batch is too large'})
        if self.judge:
            return self.judge(r, lines)
        if self.taken == 204:
            return None
        self.store.write(r.text)
        return answer(self.taken, self.body)

    def done(self, what, capture):
        self.kill()
        eq(what + ': problems', self.problems[:5], [])
        same_lines(what, self.store.lines, read_lines(capture))
        eq(what + ': lines sent again', self.store.again(), 0)


def test_v2():
    """Organisation, bucket, token; keep-alive; compressed or not; too big; a rate limit."""
    capture = many_names(NAMES)
    conf = ('- http: {url: "http://127.0.0.1:8086", org: "my org&", bucket: "b/1 ü", token: "t0ken==", '
            'headers: ["X-Extra: a: b"], batch_points: 100%s}')
    query = {'org': 'my org&', 'bucket': 'b/1 ü'}
    headers = {'authorization': 'Token t0ken==', 'x-extra': 'a: b'}
    for gzip in (True, False):
        b = Checked('/api/v2/write', query, headers, gzip)
        eq('says', read_to(conf % ('' if gzip else ', gzip: false'), capture), '')
        eq('connections', b.accepted, 1)
        between('requests', b.requests, NAMES // 100, NAMES // 100 + 3)
        b.done('v2', capture)
    b = Checked('/api/v2/write', query, headers)
    b.most = 5000
    read_to((conf % '').replace('100', '1000'), capture)
    b.done('413', capture)

    b = Checked('/api/v2/write', query, headers)
    times = []

    def limited(r, lines):
        times.append(time.time())
        return answer(429, {'code': 'too many requests', 'message': 'rate limit'}, Retry_After='2') \
            if len(times) == 3 else None
    b.judge = limited
    read_to(conf % '', capture)
    between('seconds between 429 and the next request', times[3] - times[2], 1.9, 5)
    b.done('429', capture)


def test_v2_refuses():
    """401, 404 and then 204 in a live run: said with the mend, once each; nothing is lost."""
    b = Checked('/api/v2/write', {'org': 'o', 'bucket': 'b'})

    def judge(r, lines):
        if r.headers['authorization'] != 'Token right-one':
            return answer(401, {'code': 'unauthorized', 'message': 'unauthorized access'})
        if b.missing:
            return answer(404, {'code': 'not found', 'message': 'bucket "b" not found'})
        return None
    b.judge, b.missing = judge, True
    f = Run(ns_a, http_output(org='o', bucket='b', token='wrong-one'))
    load = Load(ns_a, 50)
    f.wait_said('401')
    time.sleep(2.2)
    eq('tried again too soon', b.requests <= 12, True)
    f.reload(http_output(org='o', bucket='b', token='right-one'))
    f.wait_said('bucket create')
    b.missing = False
    wait_until('points arrive', lambda: b.store.lines, 20)
    load.stop()
    f.stop()
    b.kill()
    same_lines('backend', b.store.lines, f.lines())
    eq('problems', b.problems[:3], [])
    load.check('backend', b.store.lines)
    eq('said the token', 'right-one' in f.said() or 'wrong-one' in f.said(), False)
    between('said 401', f.said().count('401'), 1, 2)


def poisoned(lines):
    return [line for line in lines if b'name00777' in line or b'name01234' in line]


def test_bad_lines():
    """Backends that refuse a line: only that is lost. All of the request, as InfluxDB 2 and QuestDB, or the
    line alone, as InfluxDB 1, 2 and 3 say it."""
    capture = many_names(NAMES)
    want = read_lines(capture)
    good = sorted(set(want) - set(poisoned(want)))
    eq('bad lines', len(want) - len(good), 2)

    def all_v2(bad, n):
        return answer(400, {'code': 'invalid', 'message': "unable to parse '%s': bad timestamp" % bad})

    def all_questdb(bad, n):
        return answer(400, {'code': 'invalid', 'message': 'failed to parse line protocol:errors encountered on '
                            'line(s):\nerror in line %d: table: dnsflow, column: domain; cast error from protocol '
                            'type: STRING to column type: LONG' % n, 'line': n, 'errorId': '8aa55e2b8f0c-0'})

    def part_v1(bad, n):
        return answer(400, {'error': 'partial write: field type conflict: input field "domain" on measurement '
                            '"dnsflow" is type string, already exists as type integer dropped=1'},
                      X_Influxdb_Error='partial write: field type conflict')

    def part_v1_parse(bad, n):
        return answer(400, {'error': "partial write: unable to parse '%s': bad timestamp dropped=0" % bad})

    def part_v2(bad, n):
        return answer(422, {'code': 'unprocessable entity', 'message': 'failure writing points to database: partial '
                            'write: field type conflict: input field "domain" on measurement "dnsflow" is type '
                            'string, already exists as type integer dropped=1'})

    def part_v3(bad, n):
        return answer(400, {'error': 'partial write of line protocol occurred', 'data': [
            {'original_line': bad, 'line_number': n, 'error_message': 'invalid column type for column domain'}]})

    for refuse, whole in ((all_v2, True), (all_questdb, True), (part_v1, False), (part_v1_parse, False),
                          (part_v2, False), (part_v3, False)):
        b = Checked('/write', {'db': 'x'})

        def judge(r, lines, refuse=refuse, whole=whole, b=b):
            bad = poisoned(lines)
            if not bad:
                return None
            if not whole:
                b.store.write(b''.join(line + b'\n' for line in lines if line not in bad))
            return refuse(bad[0].decode(), lines.index(bad[0]) + 1)
        b.judge = judge
        name = refuse.__name__
        status, _, err = flowline_read(ns_a, capture, '--stats', conf=write_text(
            spare('conf') + '.yaml', 'sending: {retry_min: 100ms}\noutputs:\n' +
            '- http: {name: http, url: "http://127.0.0.1:8086/write?db=x", batch_points: 500}\n'))
        b.kill()
        eq(name + ': problems', b.problems[:5], [])
        same_lines(name, b.store.lines, good)
        eq(name + ': lines sent again', b.store.again(), 0)
        eq(name + ': counted as lost', counted(err, 'points lost'), 2)
        eq(name + ': one line of many', '500 points' in err and 'refused' in err, not whole)


def test_other_apis():
    """A path in the URL stays, its query too: Datakit, Telegraf, QuestDB, anything behind a gateway."""
    capture = many_names(NAMES)
    for what, url, path, query, taken, body in (
            ('Datakit', '/v1/write/network?input=flowline&token=tkn_1', '/v1/write/network',
             {'input': 'flowline', 'token': 'tkn_1'}, 200, b''),
            ('Datakit, JSON', '/v1/write/network', '/v1/write/network', {}, 200, b'{"content":{}}'),
            ('Telegraf', '/telegraf?db=x', '/telegraf', {'db': 'x'}, 204, b''),
            ('QuestDB', '/write', '/write', {}, 204, b''),
            ('gateway', '/a%20b/influx/write?db=d%26b&x=1', '/a%20b/influx/write', {'db': 'd&b', 'x': '1'}, 204, b'')):
        b = Checked(path, query, taken=taken, body=body)
        said = read_option('http://127.0.0.1:8086' + url, capture)
        eq(what + ' says', said, '')
        b.done(what, capture)
    # An answer of somebody who is no backend.
    b = Checked('/write', {'db': 'x'}, taken=200, body=b'<!DOCTYPE html><html><title>Please log in</title></html>')
    b.respond = lambda r: answer(200, b.body, Content_Type='text/html')
    f = Run(ns_a, http_output(url='"http://127.0.0.1:8086/write?db=x&p=hush"').replace(
        'url: "http://127.0.0.1:8086", ', ''))
    load = Load(ns_a, 10)
    wait_until('it is asked', lambda: b.requests > 1, 20)
    eq('delivered to a login page', f.output('http')['points_delivered'], 0)
    b.respond = None
    load.stop()
    wait_until('points arrive', lambda: b.store.lines, 20)
    f.stop()
    b.kill()
    same_lines('after the login page', b.store.lines, f.lines())
    eq('said the password', 'hush' in f.said(), False)


# --- sockets ------------------------------------------------------------------------------------------

def test_sockets():
    """A unix stream, unix datagrams, UDP: whole lines, each once; datagrams as long as they may be."""
    capture = many_names(NAMES)
    want = read_lines(capture)
    for kind, output, most in (
            ('stream', '- unix: {path: %s}', None),
            ('datagram', '- unix: {path: %s, type: datagram, datagram_size: 4000}', 4000),
            ('udp', '- udp: {address: "127.0.0.1:8089", datagram_size: 1400}', 1400)):
        path = spare('socket')
        r = Reader(kind, path, ns_a)
        said = read_to(output % path if '%' in output else output, capture)
        wait_until(kind + ' has all', lambda r=r: len(r.lines) >= len(want), 5)
        r.kill()
        eq(kind + ' problems', r.problems[:3], [])
        eq(kind + ' lines', sorted(r.lines), sorted(want))
        eq(kind + ' says', said, '')
        if most:
            between(kind + ' longest datagram', max(r.sizes), most // 2, most)
    for option, kind in (('unix:%s', 'stream'), ('unixgram:%s', 'datagram'), ('udp:127.0.0.1:8089', 'udp')):
        path = spare('socket')
        r = Reader(kind, path, ns_a)
        read_option(option % path if '%' in option else option, capture)
        wait_until(option + ' has all', lambda r=r: len(r.lines) >= len(want), 5)
        r.kill()
        eq(option, sorted(r.lines), sorted(want))


def test_several():
    """Several outputs of one run: each gets everything."""
    capture = many_names(NAMES)
    want = read_lines(capture)
    path, out = spare('socket'), spare('out')
    b, r = Checked('/write', {'db': 'x'}), Reader('stream', path)
    status, stdout, err = flowline_read(ns_a, capture, '-o', '-', '-o', 'http://127.0.0.1:8086/write?db=x', '-o',
                                        'unix:' + path, '-o', 'file:' + out)
    eq('exit status (%s)' % err, status, 0)
    wait_until('the socket has all', lambda: len(r.lines) >= len(want), 5)
    r.kill()
    with open(out, 'rb') as f:
        eq('file', split_lines(f.read()), want)
    eq('standard output', split_lines(stdout), want)
    eq('socket', r.lines, want)
    b.done('http', capture)


# --- TLS and proxies ----------------------------------------------------------------------------------

def test_tls():
    """nginx with client certificates before InfluxDB. Nothing is sent before all is right."""
    c, i = Certificates(), Influx(ns_a).start()
    i.create('x')
    front = Nginx(ns_a, 8443, 'ssl_certificate %s; ssl_certificate_key %s; ssl_client_certificate %s; '
                  'ssl_verify_client on; location / { proxy_pass http://127.0.0.1:8086; }' %
                  (c.server + (c.ca,)), 'ssl').start()

    def output(*more):
        return '- http: {name: http, url: "https://127.0.0.1:8443", database: x%s}' % ''.join(
            ', ' + m for m in more)
    client = 'cert_file: %s, key_file: %s' % c.client
    f = Run(ns_a, output(client))
    load = Load(ns_a, 50)
    f.wait_said('certificate')
    f.reload(output('ca_file: ' + c.other_ca, client))
    wait_until('the wrong CA is noticed', lambda: 'certificate' in (f.output('http')['error'] or ''))
    time.sleep(0.5)
    eq('requests without a CA', sum(front.statuses().values()), 0)
    f.reload(output('ca_file: ' + c.ca))
    wait_until('nginx wants a certificate of the client', lambda: front.statuses()['400'])
    f.wait_said('cert_file')
    eq('points before that', i.points('x'), {})
    f.reload(output('ca_file: ' + c.ca, client))
    wait_until('points arrive', lambda: i.points('x'), 20)
    f.reload(output('insecure: true', client))
    time.sleep(1.2)
    load.stop()
    f.stop()
    same_points('points', i.points('x'), points_of(f.lines()))
    load.check('file', f.lines())

    # By name, with -o and the environment's CA bundle left alone: refused, and nothing hangs for ever.
    capture = many_names(100)
    said = read_to(output('ca_file: ' + c.ca, client).replace('127.0.0.1', 'localhost'), capture, '--host', 'byname')
    eq('says', said, '')
    eq('points', len([k for k in i.points('x') if ('host', 'byname') in k[1]]), 101)
    for s in (front, i):
        s.stop()


def test_proxy():
    """By setting and by the environment, with CONNECT for https; NO_PROXY."""
    c, capture = Certificates(), many_names(100)
    p = Proxy(ns_a)
    url = '- http: {url: "%s", database: x%s}'
    plain = 'http://127.0.0.1:8086'
    for what, output, env, seen in (
            ('setting', url % (plain, ', proxy: "http://127.0.0.1:3128"'), {}, True),
            ('environment', url % (plain, ''), {'http_proxy': 'http://127.0.0.1:3128'}, True),
            ('no_proxy', url % (plain, ''), {'http_proxy': 'http://127.0.0.1:3128', 'no_proxy': '127.0.0.1'}, False)):
        del p.seen[:]
        b = Checked('/write', {'db': 'x'})
        eq(what + ' says', read_to(output, capture, env=env), '')
        eq(what, [s[0] for s in p.seen], ['POST'] if seen else [])
        b.done(what, capture)
    del p.seen[:]
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(*c.server)
    b = Checked('/write', {'db': 'x'}, tls=tls)
    eq('https says', read_to(url % ('https://127.0.0.1:8086', ', proxy: "http://127.0.0.1:3128", ca_file: ' + c.ca),
                             capture), '')
    eq('https', p.seen, [('CONNECT', '127.0.0.1:8086')])
    b.done('https', capture)


if __name__ == '__main__':
    lab.main([
        ('InfluxDB 1', test_influx), ('InfluxDB 1, settings', test_influx_settings),
        ('InfluxDB 1 refuses', test_influx_refuses), ('InfluxDB 1, partial write', test_influx_partial),
        ('InfluxDB 1, max-values-per-tag', test_influx_values), ('hostile names', test_influx_hostile),
        ('random lines', test_influx_random),
        ('VictoriaMetrics', test_victoria), ('InfluxDB 2', test_v2), ('InfluxDB 2 refuses', test_v2_refuses),
        ('bad lines', test_bad_lines), ('other APIs', test_other_apis), ('sockets', test_sockets),
        ('several', test_several), ('TLS', test_tls), ('proxy', test_proxy),
    ], setup)
