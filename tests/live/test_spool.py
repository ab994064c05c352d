#!/usr/bin/env python3
"""test_spool.py - live: points on disk. kill -9 of flowline, again and again; disks that are full, read-only,
not ours; a spool that waits for a token to be mended, for the next run, for an output that comes back.

LIVE_FULL=1: 50 kills, as against 10, and all tests, as against some.
"""
import os
import random
import shutil
import signal
import stat
import time

import lab
from backends import (FLOWLINE, FULL, Load, Run, balance, http_output, parse_line, points_of, read_bytes,
                      same_lines, settled, small_disk, spare, split_lines, write_text)
from lab import between, eq, fail, wait_until
from peers import Backend, answer

ns_a = ns_b = None
HTTP = None


def setup():
    global ns_a, ns_b, HTTP
    ns_a, ns_b = lab.pair()
    HTTP = http_output(database='x', batch_points=200)


def whole_lines(path):
    """Of a file whose writer may have been killed."""
    b = read_bytes(path) if os.path.exists(path) else b''
    return split_lines(b[:b.rfind(b'\n') + 1])


def stamp(line):
    return int(line.rsplit(b' ', 1)[1])


# --- kill -9 ------------------------------------------------------------------------------------------

class Kept:
    """What has certainly reached the spool: lines that the file had before a moment at which nothing of the
    output was in memory any more."""

    def __init__(self):
        self.lines, self.points, self.spooled = set(), 0, 0

    def look(self, run):
        before = whole_lines(run.out)
        o = run.output('http')
        balance(o)
        eq('lost', o['points_lost'], 0)
        if not o['points_queued']:
            self.lines.update(before)
        self.spooled = o['points_spooled']


def test_kills():
    """Killed at random moments with a dead backend: all that had reached the spool arrives in a later run, and
    nothing else than lines that were written."""
    luck, kept = random.Random(6), Kept()
    spool, outs, surplus = spare('spool'), [], []
    load = Load(ns_a, 300, pause=0.1)
    tails = 0
    for _ in range(50 if FULL else 10):
        before = kept.spooled
        f = Run(ns_a, HTTP, spool=spool, interval='250ms')
        wait_until('the spool is open', lambda: f.output('http')['points_found'] >= before, 10)
        outs.append(f.out)
        end = time.time() + luck.uniform(0.2, 1.2)
        while time.time() < end:
            kept.look(f)
            time.sleep(luck.uniform(0, 0.2))
        time.sleep(luck.uniform(0, 0.25))
        f.stop(signal.SIGKILL)
        tails += 'cut' in f.said()
    load.stop()
    between('lines that must arrive', len(kept.lines), 300, 1 << 24)

    b = Backend(ns_a).start()
    f = Run(ns_a, HTTP, spool=spool, spool_more=', replay_rate: 0')
    found = f.output('http')['points_found']
    between('points found', found, kept.spooled, 1 << 24)
    o = settled(f, seconds=60)
    balance(o)
    f.stop()
    b.kill()
    files = [whole_lines(path) for path in outs] + [f.lines()]
    written = {line for lines in files for line in lines}
    missing = kept.lines - set(b.store.lines)
    if missing:
        fail('%d of %d lines that had reached the spool are missing, one: %r' %
             (len(missing), len(kept.lines), sorted(missing)[0]))
    # The file's thread may have been killed a little earlier than the spool's: lines of a run's last moments.
    last = [max(map(stamp, lines)) for lines in files if lines]
    for line in set(b.store.lines) - written:
        parse_line(line)
        if not any(0 <= stamp(line) - t <= 10**9 for t in last):
            surplus.append(line)
    eq('lines that nobody wrote', surplus[:2], [])
    eq('sent twice in one run', b.store.again(), 0)
    eq('problems', b.problems[:3], [])
    points_of(b.store.lines, 'backend')
    eq('segments left', [n for n in os.listdir(spool) if n.endswith('.seg')] +
       [n for d in os.listdir(spool) if os.path.isdir(spool + '/' + d)
        for n in os.listdir(spool + '/' + d) if n.endswith('.seg')], [])


def test_next_run():
    """Ended as one should with a dead backend: soon, and the next run sends it all."""
    spool = spare('spool')
    f = Run(ns_a, HTTP, spool=spool)
    load = Load(ns_a, 300)
    time.sleep(2.5)
    load.stop()
    begin = time.time()
    f.stop(status=None)
    between('seconds to the end', time.time() - begin, 0, 5)
    b = Backend(ns_a).start()
    g = Run(ns_a, HTTP, spool=spool)
    o = settled(g)
    balance(o)
    eq('found', o['points_found'], len(f.lines()))
    g.stop()
    b.kill()
    same_lines('backend', b.store.lines, f.lines() + g.lines())
    eq('sent twice', b.store.again(), 0)
    load.check('backend', b.store.lines)


def test_killed_while_sending():
    """kill -9 while the spool is replayed to a live backend: nothing is missing; some may come twice."""
    spool, lines = spare('spool'), []
    f = Run(ns_a, HTTP, spool=spool, interval='250ms')
    load = Load(ns_a, 500)
    time.sleep(2)
    load.stop()
    f.stop(status=None)
    lines = f.lines()
    b = Backend(ns_a)
    b.pause = 0.05
    b.start()
    for _ in range(4):
        had = len(b.store.lines)
        f = Run(ns_a, HTTP, spool=spool, spool_more=', replay_rate: 0', wait=False)
        try:
            wait_until('it sends', lambda: len(b.store.lines) > had, 5)
        except RuntimeError:
            break
        time.sleep(0.08)
        f.stop(signal.SIGKILL)
    f = Run(ns_a, HTTP, spool=spool, spool_more=', replay_rate: 0')
    settled(f)
    f.stop()
    b.kill()
    missing = set(lines) - set(b.store.lines)
    eq('missing', (len(missing), sorted(missing)[:1]), (0, []))
    points_of(b.store.lines, 'backend')


# --- disks --------------------------------------------------------------------------------------------

def fill(path, leave):
    """Fill the disk but for so many bytes; the file that does it."""
    name = path + '/filler'
    with open(name, 'wb', buffering=0) as f:
        try:
            while True:
                f.write(b'\0' * 4096)
        except OSError:
            pass
        f.truncate(max(0, f.tell() - leave))
    return name


def run_until_spooled(disk, **more):
    f = Run(ns_a, HTTP, spool=disk + '/spool', interval='250ms', **more)
    load = Load(ns_a, 500, pause=0.1)
    wait_until('the spool takes points', lambda: f.output('http')['points_spooled'], 15)
    return load, f


def all_delivered(load, f, b):
    """The load stops and what waits is taken: the output's status, and the lines that were written."""
    load.stop()
    time.sleep(0.6)
    o = settled(f, seconds=30)
    balance(o)
    f.stop()
    b.kill()
    return o, f.lines()


def mended(load, f):
    """The backend comes: all points are in it, but for those that were counted as lost."""
    wait_until('the spool takes points again', lambda: not f.output('http')['points_queued'], 25)
    o = f.output('http')
    balance(o)
    eq('waits on disk', o['points_spooled'] > 0, True)
    b = Backend(ns_a).start()
    o, lines = all_delivered(load, f, b)
    load.check('file', lines)
    eq('problems', b.problems[:3], [])
    if o['points_lost']:
        eq('lines nobody wrote', set(b.store.lines) - set(lines), set())
        eq('lost', len(set(lines) - set(b.store.lines)), o['points_lost'])
    else:
        same_lines('backend', b.store.lines, lines)
    return o


def test_disk_full():
    """Capture goes on, the counters balance; with room again the spool takes points again."""
    disk = small_disk('4m')
    load, f = run_until_spooled(disk)
    filler = fill(disk, 16384)
    f.wait_said('takes nothing')
    for _ in range(10):
        balance(f.output('http'))
        time.sleep(0.1)
    eq('what is full is named', 'space' in f.said(), True)
    between('said', f.said().count('takes nothing'), 1, 1)
    os.unlink(filler)
    o = mended(load, f)
    eq('lost', o['points_lost'], 0)


def test_disk_and_memory_full():
    """Nowhere left: the oldest points go, and each of them is counted."""
    disk = small_disk('4m')
    fill(disk, 65536)
    f = Run(ns_a, HTTP, spool=disk + '/spool', sending='retry_min: 100ms, retry_max: 1s, queue_size: 1M, '
            'stop_timeout: 20s')
    load = Load(ns_a, 2000, pause=0.1)

    def losing():
        o = f.output('http')
        balance(o)
        return o['points_lost']
    wait_until('points are lost', losing, 30)
    os.unlink(disk + '/filler')
    o = mended(load, f)
    between('lost', o['points_lost'], 1, 1 << 24)


def test_read_only():
    """A file system that is read-only at the start: said; it is tried again, and then used."""
    lab.need('nsenter')
    disk = small_disk('8m')
    lab.run(['mount', '-o', 'remount,ro', disk])
    f = Run(ns_a, HTTP, spool=disk + '/spool', interval='250ms')
    load = Load(ns_a, 200)
    f.wait_said('no spool')
    eq('why is named', 'ead-only' in f.said(), True)
    time.sleep(1)
    balance(f.output('http'))
    # flowline has a mount of its own there: `ip netns exec` makes a mount namespace.
    for prefix in ([], ['nsenter', '-t', str(f.process.pid), '-m']):
        lab.run(prefix + ['mount', '-o', 'remount,rw', disk])
    f.wait_said('can be used again', 15)
    o = mended(load, f)
    eq('lost', o['points_lost'], 0)


def test_over_the_limit():
    """max_size: the oldest segments go, counted; the newest are there."""
    f = Run(ns_a, HTTP.replace('points: 200', 'points: 1000'), interval='250ms',
            spool_more=', max_size: 1M, segment_size: 64k')
    load = Load(ns_a, 2000, pause=0.1)

    def losing():
        o = f.output('http')
        balance(o)
        between('bytes in the spool', o['spool_bytes'], 0, (1 << 20) + (64 << 10))
        return o['lost']['spool']
    wait_until('points are lost', losing, 60)
    time.sleep(0.5)
    b = Backend(ns_a).start()
    o, lines = all_delivered(load, f, b)
    lost = set(lines) - set(b.store.lines)
    eq('nobody wrote', set(b.store.lines) - set(lines), set())
    # A parcel that is on its way while its segment goes counts as lost, and may arrive.
    between('lost', o['points_lost'], len(lost), len(lost) + 1000)
    if lost:
        # The oldest: nothing that is older than a lost one was kept, but for what shares its cycle or segment.
        newest = max(map(stamp, lost))
        kept_before = [line for line in b.store.lines if stamp(line) < newest - 10**9]
        between('older ones that were kept', len(kept_before), 0, 1000)


# --- directories --------------------------------------------------------------------------------------

def test_not_a_directory():
    """The path is a file: said with the path; the output works without."""
    path = write_text(spare('file'), 'mine\n')
    b = Backend(ns_a).start()
    f = Run(ns_a, HTTP, spool=path)
    load = Load(ns_a, 100)
    f.wait_said(path)
    time.sleep(1)
    b.kill()
    time.sleep(1.5)
    b.start()
    load.stop()
    time.sleep(1.2)
    o = settled(f)
    balance(o)
    eq('lost', o['points_lost'], 0)
    f.stop()
    b.kill()
    same_lines('backend', b.store.lines, f.lines())
    eq('the file', read_bytes(path), b'mine\n')


def test_no_permission():
    """An unprivileged user with CAP_NET_RAW and a spool of root's: said; points wait in memory."""
    lab.need('setpriv')
    prefix = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', '--inh-caps=-all,+net_raw',
              '--ambient-caps=-all,+net_raw']
    os.chmod(lab.scratch, 0o711)
    r = lab.quietly(prefix + [FLOWLINE, '--version'])
    if r.returncode:
        raise lab.Skip('setpriv %s: %s' % (FLOWLINE, r.stdout.strip()))
    spool, home = spare('spool'), spare('home')
    os.mkdir(spool, 0o700)
    os.mkdir(home)
    os.chown(home, 65534, 65534)
    f = Run(ns_a, HTTP, spool=spool, prefix=prefix, out=home + '/out', status=home + '/status')
    load = Load(ns_a, 100)
    f.wait_said('no spool')
    eq('names the path', spool in f.said(), True)
    b = Backend(ns_a)
    time.sleep(1.5)
    b.start()
    time.sleep(1)
    if FULL:
        # Mended while it runs: it is tried again, about every 10 s.
        os.chown(spool, 65534, 65534)
        b.kill()
        f.wait_said('can be used again', 15)
        wait_until('it is on disk', lambda: f.output('http')['points_spooled'], 10)
        b.start()
    load.stop()
    o = settled(f)
    balance(o)
    eq('lost', o['points_lost'], 0)
    f.stop()
    b.kill()
    same_lines('backend', b.store.lines, f.lines())
    load.check('file', f.lines())
    for folder, _, names in os.walk(spool):
        for name in names:
            mode = stat.S_IMODE(os.stat(folder + '/' + name).st_mode)
            eq('others may read ' + name, mode & 0o007, 0)


def test_taken_away():
    """The directory is removed under a running flowline."""
    load, f = run_until_spooled(lab.scratch)
    shutil.rmtree(f.spool)
    time.sleep(1)
    balance(f.output('http'))
    b = Backend(ns_a).start()
    load.stop()
    time.sleep(0.6)
    o = settled(f, seconds=30)
    balance(o)
    f.stop(status=None)
    b.kill()
    lines = f.lines()
    load.check('file', lines)
    eq('nobody wrote', set(b.store.lines) - set(lines), set())
    eq('lost', len(set(lines) - set(b.store.lines)), o['points_lost'])


def test_two():
    """Another flowline with the same spool: said, and both go on."""
    b = Backend(ns_a)
    spool = spare('spool')
    f = Run(ns_a, HTTP, spool=spool)
    load = Load(ns_a, 50)
    wait_until('the first one has it', lambda: f.output('http')['points_spooled'], 15)
    g = Run(ns_a, HTTP, spool=spool)
    g.wait_said('no spool')
    time.sleep(1)
    b.start()
    load.stop()
    for r in (f, g):
        time.sleep(1.2)
        settled(r)
        r.stop()
    b.kill()
    same_lines('both', b.store.lines, f.lines() + g.lines())


# --- changes ------------------------------------------------------------------------------------------

def test_token():
    """401: points wait on disk; the token is mended, SIGHUP, and they arrive."""
    b = Backend(ns_a)
    b.respond = lambda r: None if r.headers.get('authorization') == 'Token good' else answer(
        401, {'code': 'unauthorized', 'message': 'unauthorized access'})
    b.start()
    token = write_text(spare('token'), 'bad\n')
    output = http_output(org='o', bucket='b', token_file=token)
    f = Run(ns_a, output)
    load = Load(ns_a, 200)
    f.wait_said('401')
    wait_until('points wait on disk', lambda: f.output('http')['points_spooled'] > 400, 15)
    o = f.output('http')
    eq('state', o['state'], 'refused')
    balance(o)
    write_text(token, 'good\n')
    f.reload(output)
    wait_until('points arrive', lambda: b.store.lines, 5)
    load.stop()
    time.sleep(1.2)
    o = settled(f)
    balance(o)
    eq('lost', o['points_lost'], 0)
    f.stop()
    b.kill()
    same_lines('backend', b.store.lines, f.lines())
    load.check('file', f.lines())


def test_removed():
    """An output is removed while its backend is dead, and comes back later: its points are still there."""
    f = Run(ns_a, HTTP)
    load = Load(ns_a, 200)
    wait_until('points wait on disk', lambda: f.output('http')['points_spooled'] > 200, 15)
    time.sleep(0.5)
    f.reload('')
    mark = max(map(stamp, f.lines()))
    time.sleep(1.5)
    b = Backend(ns_a).start()
    again = time.time()
    f.reload(HTTP)
    wait_until('points arrive', lambda: any(stamp(line) <= mark for line in list(b.store.lines)), 15)
    load.stop()
    time.sleep(1.2)
    o = settled(f)
    balance(o)
    f.stop()
    b.kill()
    lines = f.lines()
    # Without those that were made while the output was not there.
    first = min(stamp(line) for line in b.store.lines if stamp(line) > again * 10**9 - 5 * 10**8)
    same_lines('backend', b.store.lines, [line for line in lines if stamp(line) <= mark or stamp(line) >= first])
    load.check('file', lines)


def test_replay_rate():
    """Beside the live points, old ones come at the rate that is set."""
    spool = spare('spool')
    f = Run(ns_a, HTTP, spool=spool, interval='250ms')
    load = Load(ns_a, 1000, pause=0.1)
    wait_until('points wait on disk', lambda: f.output('http')['points_spooled'] > 6000, 15)
    load.stop()
    f.stop(status=None)
    b = Backend(ns_a).start()
    g = Run(ns_a, HTTP, spool=spool, spool_more=', replay_rate: 2000')
    found = g.output('http')['points_found']
    begin = time.time()
    settled(g, seconds=30)
    seconds = time.time() - begin
    between('seconds for %d points at 2000 a second' % found, seconds, found / 2000 * 0.6, found / 2000 * 1.5 + 2)
    g.stop()
    b.kill()
    same_lines('backend', b.store.lines, f.lines() + g.lines())


if __name__ == '__main__':
    lab.main([
        ('kill -9', test_kills), ('next run', test_next_run), ('disk full', test_disk_full),
        ('not a directory', test_not_a_directory), ('no permission', test_no_permission),
        ('taken away', test_taken_away), ('token', test_token), ('removed', test_removed),
    ] + FULL * [
        ('killed while sending', test_killed_while_sending), ('disk and memory full', test_disk_and_memory_full),
        ('read-only', test_read_only), ('over the limit', test_over_the_limit), ('two flowlines', test_two),
        ('replay rate', test_replay_rate),
    ], setup)
