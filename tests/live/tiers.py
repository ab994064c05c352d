"""tiers.py - what the tests of the tiers share: flowlines of every capture.mode side by side, what their points
say of one server's port, and ways of sending that Python has no words for.

    tiers.py [--refuse NAME]... [--drop NUMBER]... PROGRAM [ARGUMENT...]

runs a program to which a seccomp filter (seccomp(2)) answers EPERM to what is named, and without these
capabilities (capabilities(7)): what a container, an old kernel or a careful administrator does not allow.

Python 3.6 and newer, no third-party packages.
"""
import collections
import ctypes
import json
import mmap
import os
import platform
import signal
import socket
import struct
import subprocess
import sys
import threading

import lab

MODES = ('packet', 'socket', 'probe')
COUNTERS = ('tcp_established', 'tcp_closed', 'tcp_connect_failed', 'tcp_resets')
SUMS = ('bytes_written', 'bytes_read') + COUNTERS + ('tcp_syn_retransmits', 'retransmits')
HERE = os.path.dirname(os.path.abspath(__file__))


# --- flowlines side by side --------------------------------------------------------------------------

class Run(lab.Flowline):
    """A flowline that is asked to watch in this mode; start several, then wait() for each."""

    def __init__(self, ns, mode, *args, prefix=(), interval='1s'):
        lab.Flowline.serial += 1
        self.ns, self.wanted, self.adds_up = ns, mode, True
        self.name = '%s, asked for %s' % (ns.name[-1], mode)
        self.out, self.err, self.socket, self.conf = (
            '%s/%s.%d' % (lab.scratch, what, lab.Flowline.serial) for what in ('points', 'stderr', 'status', 'conf'))
        with open(self.conf, 'w') as f:
            f.write('tags: {edition: one}\n')
        with open(self.err, 'w') as err:
            self.process = ns.start(
                list(prefix) + [os.path.abspath(lab.FLOWLINE), 'run', '--stats', '-c', self.conf,
                                '-o', 'file:' + self.out, '--interval', interval, '--set', 'capture.mode=' + mode,
                                '--set', 'status.socket=' + self.socket] + list(args), stdout=err)

    def wait(self):
        lab.wait_until('flowline watches (%s): %s' % (self.name, self.said()), lambda: 'watching' in self.said() or
                       self.process.poll() is not None, 30)
        if self.process.poll() is not None:
            raise RuntimeError('flowline (%s): %s' % (self.name, self.said()))
        return self

    def status(self):
        r = self.ns.quietly([os.path.abspath(lab.FLOWLINE), 'status', '--json', '--socket', self.socket])
        if r.returncode not in (0, 3):
            raise RuntimeError('flowline status: exit %d: %s' % (r.returncode, r.stdout))
        return json.loads(r.stdout)

    def mode(self):
        """The tier it really has."""
        return self.status()['capture']['mode']

    def knows(self, *names):
        """Does a probe tell all of these facts?"""
        facts = self.status()['capture'].get('facts') or []
        return all(any(f['name'] == n and f['source'] == 'probe' and f['provider'] for f in facts) for n in names)

    def cpu(self):
        """Seconds of CPU since it started: proc(5), utime and stime. It may be a wrapper's child."""
        with open('/proc/%d/stat' % self.process.pid) as f:
            words = f.read().rsplit(')', 1)[1].split()
        return (int(words[11]) + int(words[12])) / os.sysconf('SC_CLK_TCK')

    def stop(self, how=signal.SIGINT):
        had = len(lab.problems)
        points = super().stop(how)
        lab.problems[had:] = ['%s: %s' % (self.name, p) for p in lab.problems[had:]]
        return points


def start(*runs):
    """All of them watch."""
    for r in runs:
        r.wait()
    return runs


def flow(points, at_client, port, transport='tcp'):
    """The points of what goes on with one server's port."""
    return points.where('netflow', transport=transport, **{'dst_port' if at_client else 'src_port': str(port)})


def sums(p):
    return {f: p.sum(f) for f in SUMS}


def ends(p):
    return {(q.tags['direction'], q.tags['family'], q.tags['src_ip'], q.tags['dst_ip']) for q in p}


def errors(p):
    """{errno's name: failed attempts}"""
    c = collections.Counter()
    for q in p:
        if 'connect_error' in q.fields or 'connect_error' in q.tags:
            c[q.get('connect_error')] += q.fields['tcp_connect_failed']
    return dict(c)


def wrong_pids(p, good, exact):
    """{pid: its name} of connections (a refused attempt may be over before anybody can look) for which it is none
    of the good ones; not to know is wrong where a probe tells."""
    return {q.tags.get('pid'): q.tags.get('process_name') for q in p if q.fields.get('tcp_established') and
            q.tags.get('pid') not in (good if exact else good | {None})}


def last(p, field):
    """The newest value of a field, or None."""
    have = sorted((q for q in p if field in q.fields), key=lambda q: int(q.time))
    return have[-1].fields[field] if have else None


def near(got, want, ratio=0.1, most=50):
    """Within 10 % or 50 us."""
    return abs(got - want) <= max(most, ratio * want)


# --- sockets, from any thread ------------------------------------------------------------------------

entering = threading.Lock()  # a namespace keeps one way back


def make_socket(ns, family=socket.AF_INET, kind=socket.SOCK_STREAM):
    with entering:
        return ns.socket(family, kind)


def family_of(address):
    return socket.AF_INET6 if ':' in address else socket.AF_INET


def connect(ns, address, port):
    s = make_socket(ns, family_of(address))
    s.connect((address, port))
    return s


def listen(ns, address, port):
    with entering:
        return ns.listen(address, port)


def pair(client, server, address, port):
    """A connection's two ends, and no listener any more."""
    listener = listen(server, address, port)
    s = connect(client, address, port)
    t, _ = listener.accept()
    t.settimeout(10 * lab.SLOW)
    listener.close()
    return s, t


def reset(s):
    """close() sends RST: SO_LINGER, socket(7)."""
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
    s.close()


# --- splice ------------------------------------------------------------------------------------------

def splice(source, target, n):
    """n bytes from one descriptor to the other through a pipe: splice(2). One of them may be a file."""
    r, w = os.pipe()
    none = ctypes.c_void_p(None)
    try:
        while n:
            got = lab.LIBC.splice(source, none, w, none, ctypes.c_size_t(min(n, 65536)), 0)
            if got <= 0:
                raise OSError(ctypes.get_errno(), 'splice')
            n -= got
            while got:
                done = lab.LIBC.splice(r, none, target, none, ctypes.c_size_t(got), 0)
                if done <= 0:
                    raise OSError(ctypes.get_errno(), 'splice')
                got -= done
    finally:
        os.close(r)
        os.close(w)


# --- io_uring: linux/io_uring.h, io_uring_setup(2), io_uring_enter(2) ---------------------------------

class Uring:
    """A ring of one entry: one operation at a time."""
    SETUP, ENTER = 425, 426
    SEND, RECV = 26, 27

    def __init__(self):
        params = ctypes.create_string_buffer(120)
        self.fd = lab.LIBC.syscall(self.SETUP, 1, params)
        if self.fd < 0:
            raise lab.Skip('no io_uring here: ' + os.strerror(ctypes.get_errno()))
        words = struct.unpack('=30I', params.raw)
        entries, completions = words[0], words[1]
        self.sq, self.cq = words[10:20], words[20:30]
        self.ring = mmap.mmap(self.fd, max(self.sq[6] + 4 * entries, self.cq[5] + 16 * completions), offset=0)
        self.completions = self.ring if words[5] & 1 else mmap.mmap(  # IORING_FEAT_SINGLE_MMAP
            self.fd, self.cq[5] + 16 * completions, offset=0x8000000)
        self.entries = mmap.mmap(self.fd, 64 * entries, offset=0x10000000)

    @staticmethod
    def word(ring, at):
        return struct.unpack_from('=I', ring, at)[0]

    def do(self, operation, fd, address, size):
        """One SEND or RECV; its result."""
        self.entries[:64] = struct.pack('=BBHiQQIIQ24x', operation, 0, 0, fd, 0, address, size, 0, 0)
        tail = self.word(self.ring, self.sq[1])
        struct.pack_into('=I', self.ring, self.sq[6] + 4 * (tail & self.word(self.ring, self.sq[2])), 0)
        struct.pack_into('=I', self.ring, self.sq[1], (tail + 1) & 0xffffffff)
        if lab.LIBC.syscall(self.ENTER, self.fd, 1, 1, 1, None, 0) < 0:
            raise OSError(ctypes.get_errno(), 'io_uring_enter')
        head = self.word(self.completions, self.cq[0])
        at = self.cq[5] + 16 * (head & self.word(self.completions, self.cq[2]))
        result = struct.unpack_from('=i', self.completions, at + 8)[0]
        struct.pack_into('=I', self.completions, self.cq[0], (head + 1) & 0xffffffff)
        return result

    def send_all(self, s, data):
        buffer = ctypes.create_string_buffer(data, len(data))
        at = 0
        while at < len(data):
            n = self.do(self.SEND, s.fileno(), ctypes.addressof(buffer) + at, len(data) - at)
            if n <= 0:
                raise OSError(-n, 'io_uring: send')
            at += n

    def receive(self, s, n):
        """Exactly n bytes."""
        buffer = ctypes.create_string_buffer(65536)
        while n:
            got = self.do(self.RECV, s.fileno(), ctypes.addressof(buffer), min(n, 65536))
            if got <= 0:
                raise OSError(-got, 'io_uring: recv')
            n -= got

    def close(self):
        for m in {self.ring, self.completions, self.entries}:
            m.close()
        os.close(self.fd)


# --- programs that are not allowed everything --------------------------------------------------------

# number on x86_64 and on the generic table (arm64), and (argument, value) pairs that have to match
REFUSALS = {
    'bpf': ((321, 280), ()),
    'perf_event_open': ((298, 241), ()),
    # socket(AF_NETLINK, ..., NETLINK_SOCK_DIAG)
    'sock_diag': ((41, 198), ((0, 16), (2, 4))),
    # setsockopt(..., SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, ...)
    'membership': ((54, 208), ((1, 270), (2, 1))),
    # setsockopt(..., SOL_SOCKET, SO_ATTACH_BPF, ...)
    'attach_bpf': ((54, 208), ((1, 1), (2, 50))),
}
CAP_NET_ADMIN, CAP_NET_RAW, CAP_SYS_PTRACE, CAP_SYS_ADMIN, CAP_SYS_RESOURCE = 12, 13, 19, 21, 24
CAP_PERFMON, CAP_BPF = 38, 39
PR_SET_SECCOMP, PR_CAPBSET_DROP = 22, 24


def filter_of(names):
    """A classic program that answers EPERM to each of these; numbers as seccomp_data, linux/seccomp.h."""
    index = {'x86_64': 0, 'aarch64': 1}.get(platform.machine())
    if index is None:
        raise lab.Skip('its system calls are known for x86_64 and arm64 only')
    code = []
    for name in names:
        numbers, conditions = REFUSALS[name]
        tests = [(0, numbers[index])] + [(16 + 8 * argument, v) for argument, v in conditions]
        rest = 2 * len(tests)
        for at, v in tests:
            rest -= 2
            code += [struct.pack('=HBBI', 0x20, 0, 0, at), struct.pack('=HBBI', 0x15, 0, rest + 1, v)]
        code.append(struct.pack('=HBBI', 0x06, 0, 0, 0x00050000 | 1))  # SECCOMP_RET_ERRNO, EPERM
    code.append(struct.pack('=HBBI', 0x06, 0, 0, 0x7fff0000))
    return b''.join(code)


def confined(refuse=(), drop=()):
    """What to put before a command line."""
    words = [sys.executable, os.path.join(HERE, 'tiers.py')]
    for name in refuse:
        words += ['--refuse', name]
    for number in drop:
        words += ['--drop', str(number)]
    return words


def confine(refuse, drop):
    for number in drop:
        if lab.LIBC.prctl(PR_CAPBSET_DROP, number, 0, 0, 0):
            raise OSError(ctypes.get_errno(), 'capability %d stays' % number)
    if refuse:
        code = filter_of(refuse)
        text = ctypes.create_string_buffer(code, len(code))
        program = struct.pack('HP', len(code) // 8, ctypes.addressof(text))
        if lab.LIBC.prctl(PR_SET_SECCOMP, 2, program, 0, 0):
            raise OSError(ctypes.get_errno(), 'seccomp')


def can_confine():
    """Skip where this machine takes no such filter, as inside some containers."""
    r = subprocess.run(confined(('bpf',)) + ['true'], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                       universal_newlines=True)
    if r.returncode:
        raise lab.Skip('no seccomp filter: ' + r.stdout.strip().splitlines()[-1])


# --- descriptors of another process ------------------------------------------------------------------

def take_socket(pid, link):
    """A copy of each of a process's sockets of a kind that /proc/net/netlink tells: pidfd_getfd(2)."""
    pidfd = lab.LIBC.syscall(434, pid, 0)
    if pidfd < 0:
        raise lab.Skip('no pidfd_open: Linux 5.3 has it')
    got = []
    for fd in os.listdir('/proc/%d/fd' % pid):
        try:
            if os.readlink('/proc/%d/fd/%s' % (pid, fd)) not in link:
                continue
        except OSError:
            continue
        copy = lab.LIBC.syscall(438, pidfd, int(fd), 0)
        if copy < 0:
            raise lab.Skip('no pidfd_getfd: Linux 5.6 has it')
        got.append(socket.socket(fileno=copy))
    os.close(pidfd)
    return got


def main(words):
    refuse, drop = [], []
    while len(words) > 1 and words[0] in ('--refuse', '--drop'):
        (refuse if words[0] == '--refuse' else drop).append(words[1])
        words = words[2:]
    if not words:
        sys.exit(__doc__)
    confine(refuse, [int(d) for d in drop])
    os.execvp(words[0], words)


if __name__ == '__main__':
    main(sys.argv[1:])
