#!/usr/bin/env python3
"""test_outages.py - live: backends that fail, are killed and come back, are slow or dead, while traffic goes
on; files that are rotated; outputs that come and go. Every point arrives, once, and capture loses nothing.

LIVE_FULL=1: 50 restarts in two minutes, as against 10 in 12 s, and all tests, as against some.
"""
import glob
import gzip
import os
import random
import signal
import subprocess
import time

import lab
from backends import (FULL, Influx, Load, Nginx, Run, balance, http_output, points_of, read_bytes, same_lines,
                      same_points, settled, spare, split_lines)
from lab import between, eq, fail, wait_until
from peers import Backend, Reader

ns_a = ns_b = None


def setup():
    global ns_a, ns_b
    ns_a, ns_b = lab.pair()


def dropped(lines):
    """By the kernel, as the self-measurement says it."""
    counts = [f['packets_dropped_kernel'] for (kind, _, _), f in points_of(lines, 'file').items()
              if kind == 'flowline' and 'packets_dropped_kernel' in f]
    return sum(counts) if counts else None


def check(run, backend, load=None, lost=0):
    """After a run: what it wrote to its file is what the backend has."""
    lines = run.lines()
    same_lines('backend', backend.store.lines, lines)
    eq('problems', backend.problems[:5], [])
    if load:
        load.check('file', lines)
    eq('packets_dropped_kernel', dropped(lines), 0)


# --- faults -------------------------------------------------------------------------------------------

def test_faults():
    """Each way to fail, in any order; what is sent again is the same, byte for byte."""
    b = Backend(ns_a).start()
    faults = (['cut', 'silent', 'reset', 'stored-503', '500', None] * (12 if FULL else 2) +
              ['503', '429', 'late'] * (4 if FULL else 1))
    random.Random(4).shuffle(faults)
    b.faults = list(faults)
    f = Run(ns_a, http_output(database='x', batch_points=100, timeout='500ms'))
    load = Load(ns_a, 300)
    wait_until('all faults were met', lambda: not b.faults, 120)
    load.stop()
    time.sleep(1.2)
    o = settled(f, seconds=30)
    balance(o)
    eq('lost', o['points_lost'], 0)
    f.stop()
    b.kill()
    check(f, b, load)
    eq('requests that were not sent again as they were', b.not_again(), 0)
    between('lines that came again', b.store.again(), 1, 1 << 20)


def test_too_big():
    """413 now and then, and above a size that only a few lines keep."""
    b = Backend(ns_a).start()
    b.respond = lambda r: b.FIXED['413'] if len(r.text) > 3000 else None
    f = Run(ns_a, http_output(database='x'))
    load = Load(ns_a, 200)
    wait_until('it is too big', lambda: b.requests > 50, 20)
    b.respond = None
    time.sleep(1)
    load.stop()
    f.stop()
    b.kill()
    check(f, b, load)
    eq('lines that came again', b.store.again(), 0)


def test_nginx():
    """nginx before InfluxDB: 503, 413, 429, 502, gone."""
    i = Influx(ns_a).start()
    i.create('x')
    good = 'location / { proxy_pass http://127.0.0.1:8086; }'
    front = Nginx(ns_a, 8080, good, http='limit_req_zone $server_port zone=z:1m rate=6r/m;').start()
    f = Run(ns_a, http_output(database='x', batch_points=100, gzip='false').replace('8086', '8080'))
    load = Load(ns_a, 300)
    for server in ('location / { return 503; }', 'client_max_body_size 10k; ' + good,
                   'limit_req_status 429; location / { limit_req zone=z; proxy_pass http://127.0.0.1:8086; }',
                   'location / { proxy_pass http://127.0.0.1:8099; }', good):
        time.sleep(1.3)
        front.reload(server)
    time.sleep(1)
    front.stop()
    time.sleep(1.3)
    front.start()
    load.stop()
    time.sleep(1.2)
    o = settled(f, seconds=30)
    balance(o)
    eq('lost', o['points_lost'], 0)
    f.stop()
    for status in ('204', '503', '413', '429', '502'):
        between('answers of nginx: ' + status, front.statuses()[status], 1, 10000)
    same_points('InfluxDB', i.points('x'), points_of(f.lines()))
    load.check('file', f.lines())
    front.stop()
    i.stop()


def test_restarts():
    """Two backends, InfluxDB and the one that is written here, each killed and restarted again and again."""
    times, seconds = (50, 120) if FULL else (10, 12)
    luck = random.Random(5)
    i, b = Influx(ns_a).start(), Backend(ns_a, 8087).start()
    i.create('x')
    f = Run(ns_a, http_output(database='x', batch_points=200, timeout='2s') + '\n' + http_output(
        database='x', batch_points=200, timeout='2s').replace('name: http', 'name: second').replace('8086', '8087'))
    load = Load(ns_a, 400)
    up = {}
    events = sorted((luck.uniform(0.5, seconds), who) for who in ('influx', 'backend') for _ in range(2 * times))
    begin, kills = time.time(), {'influx': 0, 'backend': 0}
    for at, who in events:
        time.sleep(max(0, begin + at - time.time()))
        server = i if who == 'influx' else b
        if up.get(who, True):
            server.kill()
            kills[who] += 1
        else:
            server.start()
        up[who] = not up.get(who, True)
    eq('restarts', kills, {'influx': times, 'backend': times})
    load.stop()
    time.sleep(1.2)
    for name in ('http', 'second'):
        o = settled(f, name, 60)
        balance(o)
        eq('lost of ' + name, o['points_lost'], 0)
        between('retries of ' + name, o['retries'] + o['errors'], 1, 1 << 20)
    f.stop()
    b.kill()
    check(f, b, load)
    points = points_of(f.lines())
    between('points', len(points), 300 * seconds, 1 << 20)
    same_points('InfluxDB', i.points('x'), points)
    for (kind, _, _), fields in points.items():
        if kind == 'flowline' and fields.get('points_lost'):
            fail('a point of the self-measurement says points_lost=%d' % fields['points_lost'])
            break
    i.stop()


def test_stream_restarts():
    """A unix stream whose reader goes and comes."""
    path = spare('socket')
    readers = [Reader('stream', path)]
    f = Run(ns_a, '- unix: {name: socket, path: %s, timeout: 1s, batch_age: 100ms}' % path)
    load = Load(ns_a, 100)
    for _ in range(3):
        time.sleep(1.1)
        readers[-1].kill()
        time.sleep(0.4)
        readers.append(Reader('stream', path))
    load.stop()
    time.sleep(1.2)
    o = settled(f, 'socket', 20)
    balance(o)
    f.stop()
    time.sleep(0.2)
    readers[-1].kill()
    got = [line for r in readers for line in r.lines]
    same_lines('socket', got, f.lines())
    load.check('file', f.lines())


# --- slow and dead ------------------------------------------------------------------------------------

def test_dead_sinks():
    """A pipe that nobody reads, a backend that takes seconds, an address that does not answer at all: capture
    does not notice, and the end comes in time."""
    slow = Backend(ns_a, 8087)
    slow.pause = 3
    slow.start()
    f = Run(ns_a, '- stdout\n- http: {name: slow, url: "http://127.0.0.1:8087/write?db=x"}\n'
            '- http: {name: dead, url: "http://10.71.0.9:8086/write?db=x"}\n'
            '- unix: {name: nobody, path: %s}' % spare('nobody'),
            sending='queue_size: 1M, stop_timeout: 1s', stdout=subprocess.PIPE)
    load = Load(ns_a, 1000, pause=0.3)
    time.sleep(5.5)
    for o in f.status()['outputs']:
        balance(o)
        if o['name'] == 'stdout':
            between('lost of stdout', o['lost']['queue'], 1, 1 << 30)
        else:
            eq('lost of ' + o['name'], o['points_lost'], 0)
    load.stop()
    begin = time.time()
    f.stop(status=None)
    between('seconds to the end', time.time() - begin, 0, 3)
    slow.kill()
    f.process.stdout.close()
    lines = f.lines()
    load.check('file', lines)
    eq('packets_dropped_kernel', dropped(lines), 0)


def test_stopped_reader():
    """A reader that is stopped for a while, then goes on, gets all of it, in order."""
    out = open(spare('stdout'), 'wb')
    f = Run(ns_a, '- stdout', stdout=subprocess.PIPE)
    load = Load(ns_a, 500)
    time.sleep(2.5)
    reader = subprocess.Popen(['cat'], stdin=f.process.stdout, stdout=out)
    lab.processes.append(reader)
    f.process.stdout.close()
    time.sleep(1)
    load.stop()
    f.stop()
    reader.wait(10)
    out.close()
    eq('standard output is the file', read_bytes(out.name) == read_bytes(f.out), True)
    load.check('file', f.lines())


# --- files --------------------------------------------------------------------------------------------

def all_files(path):
    """Every line of a file and of what was moved away from it, sorted."""
    lines = []
    for name in glob.glob(glob.escape(path) + '*'):
        b = read_bytes(name)
        lines += split_lines(gzip.decompress(b) if name.endswith('.gz') else b)
    return sorted(lines)


def test_rotation():
    """By size, compressed, under load."""
    path = spare('rotated')
    os.mkdir(path)
    path += '/points'
    f = Run(ns_a, '- file: {path: %s, rotate_size: 256k, keep: 1000, compress: true}' % path, interval='250ms')
    load = Load(ns_a, 1000, pause=0.1)
    time.sleep(3.5)
    load.stop()
    f.stop()
    names = glob.glob(path + '*')
    between('files', len(names), 5, 1000)
    between('compressed', len([n for n in names if n.endswith('.gz')]), 4, 1000)
    eq('others', [n for n in names if os.path.getsize(n) > 300 << 10], [])
    eq('each line once', all_files(path) == sorted(f.lines()), True)
    load.check('files', all_files(path))


def test_keep():
    path = spare('kept')
    os.mkdir(path)
    path += '/points'
    other = path + '-20240101T000000Z.other'
    open(other, 'w').close()
    f = Run(ns_a, '- file: {path: %s, rotate_size: 64k, keep: 3}' % path, interval='250ms')
    load = Load(ns_a, 1000, pause=0.1)
    time.sleep(3)
    load.stop()
    f.stop()
    names = [n for n in glob.glob(path + '*') if n != other]
    between('files', len(names), 3, 5)
    eq('a file that is not ours', os.path.exists(other), True)


def test_logrotate():
    """mv and SIGHUP, under load; and mv without SIGHUP, after which the old file goes on."""
    path = spare('log')
    output = '- file: {path: %s, name: log}' % path
    f = Run(ns_a, output, interval='250ms')
    load = Load(ns_a, 500)
    for i in range(6):
        time.sleep(0.3)
        os.rename(path, '%s.%d' % (path, i))
        time.sleep(0.15 * i)
        f.reload(output)
        wait_until('a new file', lambda: os.path.exists(path))
    load.stop()
    f.stop()
    eq('each line once', all_files(path) == sorted(f.lines()), True)
    load.check('file', f.lines())


# --- outputs that come and go -------------------------------------------------------------------------

def prefix(what, part, whole, low, high):
    """Lines that are the first of all, up to a time between low and high, none of them left out."""
    part = set(part)
    cut = max(int(line.rsplit(b' ', 1)[1]) for line in part)
    same_lines(what, part, [line for line in whole if int(line.rsplit(b' ', 1)[1]) <= cut])
    between(what + ': the last line\'s time', cut / 1e9, low - 1.1, high + 0.1)


def test_come_and_go():
    """One output more and one less under load, and one that keeps its place."""
    b, c = Backend(ns_a).start(), Backend(ns_a, 8087).start()
    first = http_output(database='x')
    second = first.replace('name: http', 'name: second').replace('8086', '8087')
    f = Run(ns_a, first, interval='500ms')
    load = Load(ns_a, 300)
    time.sleep(1.3)
    added = time.time()
    f.reload(first + '\n' + second, '')
    time.sleep(1.3)
    removed = time.time()
    f.reload(second)
    gone = time.time()
    time.sleep(1.3)
    load.stop()
    f.stop()
    for s in (b, c):
        s.kill()
        eq('problems', s.problems[:3], [])
    lines = f.lines()
    load.check('file', lines)
    prefix('the one removed', b.store.lines, lines, removed, gone)
    begin = min(int(line.rsplit(b' ', 1)[1]) for line in c.store.lines)
    same_lines('the one added', c.store.lines, [line for line in lines if int(line.rsplit(b' ', 1)[1]) >= begin])
    # a cycle's points are made when the frames of its last moments have come: up to LATE_MS behind its end, run.c
    between('the first line of the one added', begin / 1e9, added - 0.5, added + 1.1)


def test_signals():
    """SIGHUP after SIGHUP with outputs that are replaced each time: nothing is lost or doubled."""
    b = Backend(ns_a).start()
    f = Run(ns_a, http_output(database='x'))
    load = Load(ns_a, 200)
    for n in range(20):
        f.reload(http_output(database='x', timeout='%ds' % (5 + n % 3), batch_points=100 + n))
    for _ in range(50):
        f.process.send_signal(signal.SIGHUP)
        time.sleep(0.01)
    time.sleep(1)
    load.stop()
    f.stop()
    b.kill()
    check(f, b, load)


if __name__ == '__main__':
    lab.main([
        ('faults', test_faults), ('too big', test_too_big), ('nginx', test_nginx), ('restarts', test_restarts),
        ('stream restarts', test_stream_restarts), ('dead sinks', test_dead_sinks),
        ('rotation', test_rotation), ('logrotate', test_logrotate), ('come and go', test_come_and_go),
        ('signals', test_signals),
    ] + FULL * [('stopped reader', test_stopped_reader), ('keep', test_keep)], setup)
