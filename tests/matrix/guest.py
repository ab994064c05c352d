#!/usr/bin/python3
"""guest.py - the first process of the machine that tools/kernel-matrix boots: runs the list of tests that it
finds in /matrix/plan, says on the console what came of each, and turns the machine off.

A line of the plan: VARIANT SECONDS PROGRAM [ARGUMENT...]. The program is a script of tests/ or a test program
of the build; a variant is what the kernel refuses to flowline, see VARIANTS. What is said begins with "matrix:",
and in between are the tests' own lines. Python 3.9 and newer, no third-party packages.
"""
import ctypes
import os
import re
import signal
import subprocess
import sys
import threading
import time

LIBC = ctypes.CDLL(None, use_errno=True)
POWER_OFF = 0x4321fedc  # LINUX_REBOOT_CMD_POWER_OFF, linux/reboot.h
KPROBES_ARMED = '/sys/kernel/debug/kprobes/enabled'
LOCKDOWN = '/sys/kernel/security/lockdown'
MOUNTS = [
    ('proc', '/proc', 'proc'), ('sysfs', '/sys', 'sysfs'), ('devtmpfs', '/dev', 'devtmpfs'),
    ('devpts', '/dev/pts', 'devpts'), ('tmpfs', '/dev/shm', 'tmpfs'), ('tmpfs', '/run', 'tmpfs'),
    ('tmpfs', '/tmp', 'tmpfs'), ('cgroup2', '/sys/fs/cgroup', 'cgroup2'), ('bpf', '/sys/fs/bpf', 'bpf'),
    ('debugfs', '/sys/kernel/debug', 'debugfs'), ('tracefs', '/sys/kernel/tracing', 'tracefs'),
    ('securityfs', '/sys/kernel/security', 'securityfs'),
]
ENVIRONMENT = {
    'PATH': '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', 'HOME': '/', 'LANG': 'C.UTF-8',
    'TMPDIR': '/tmp', 'PYTHON': '/usr/bin/python3', 'PYTHONDONTWRITEBYTECODE': '1', 'PYTHONUNBUFFERED': '1',
    'top_srcdir': '/src', 'top_builddir': '/build',
}
COUNTS = re.compile(r'^(\d+) passed, (\d+) failed, (\d+) skipped$')


def say(text):
    sys.stdout.write('matrix: ' + text + '\n')
    sys.stdout.flush()


def write(path, text):
    try:
        with open(path, 'w') as f:
            f.write(text)
        return None
    except OSError as e:
        return '%s: %s' % (path, e.strerror)


# --- variants: what is done before a test; a sentence where that cannot be done -----------------------

def silent_kprobes():
    """Every probe can be made, and none ever fires: kernel/kprobes.c, disarm_all_kprobes()."""
    return write(KPROBES_ARMED, '0')


def lockdown():
    """security/lockdown: neither kprobes nor reading the kernel's memory. There is no way back."""
    try:
        with open(LOCKDOWN) as f:
            if '[confidentiality]' in f.read():
                return None
    except OSError as e:
        return '%s: %s' % (LOCKDOWN, e.strerror)
    return write(LOCKDOWN, 'confidentiality')


# As the service: not root, with the unit's capabilities, and dac_override to write where the tests read
RIGHTS = '+net_raw,+bpf,+perfmon,+sys_ptrace,+dac_read_search,+dac_override'
SERVICE = ['/usr/bin/setpriv', '--reuid', 'nobody', '--regid', 'nogroup', '--clear-groups', '--inh-caps', RIGHTS,
           '--ambient-caps', RIGHTS]
# name: (what is said to tests/matrix/refuse before the program, what is done before, what is done after)
VARIANTS = {
    'plain': ([], None, None),
    'no-btf': (['--btf'], None, None),
    'no-bpf': (['--bpf'], None, None),
    'no-kprobes': (['--kprobes'], None, None),
    'silent-kprobes': ([], silent_kprobes, lambda: write(KPROBES_ARMED, '1')),
    'memlock': (['--memlock', '65536'], None, None),
    'memlock-user': (['--memlock', '65536'] + SERVICE, None, None),
    'lockdown': ([], lockdown, None),
}


def flowline_of(variant):
    """A script that runs flowline as in this variant; the process is flowline's own."""
    path = '/matrix/flowline-' + variant
    if not os.path.exists(path):
        with open(path, 'w') as f:
            f.write('#!/bin/sh\nexec /build/tests/matrix/refuse %s /build/flowline "$@"\n' %
                    ' '.join(VARIANTS[variant][0]))
        os.chmod(path, 0o755)
    return path


# --- a test ------------------------------------------------------------------------------------------

def command(program):
    path = os.path.join('/build' if os.access('/build/' + program, os.X_OK) else '/src', program)
    return [ENVIRONMENT['PYTHON'], path] if path.endswith('.py') else [path]


def run(args, seconds, environment):
    """Its lines go to the console as they come; exit status, or None where it took too long."""
    late = []
    p = subprocess.Popen(args, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                         env=environment, cwd='/tmp', universal_newlines=True, errors='replace')

    def end():
        late.append(True)
        p.send_signal(signal.SIGTERM)  # it ends what it has started
        try:
            p.wait(30)
        except subprocess.TimeoutExpired:
            p.kill()
        kill_all()  # else one of them may keep its end of the pipe
    timer = threading.Timer(seconds, end)
    timer.start()
    last = ''
    for line in p.stdout:
        sys.stdout.write(line)
        sys.stdout.flush()
        if COUNTS.match(line.rstrip()):
            last = line.rstrip()
    p.wait()
    timer.cancel()
    return None if late else p.returncode, last


def kill_all():
    """Whatever a test has left: only this process and the first one stay."""
    try:
        os.kill(-1, signal.SIGKILL)
    except OSError:
        pass


def clean():
    kill_all()
    subprocess.run(['ip', '-all', 'netns', 'delete'], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def job(line):
    variant, seconds, program, *arguments = line.split()
    say('begin ' + line)
    begin = time.monotonic()
    _, before, after = VARIANTS[variant]
    why = before() if before else None
    if why:
        sys.stdout.write('skip: %s\n' % why)
        status, counts = 77, ''
    else:
        environment = dict(os.environ, FLOWLINE=flowline_of(variant), MATRIX_VARIANT=variant)
        status, counts = run(command(program) + arguments, float(seconds), environment)
    if after:
        after()
    clean()
    passed, failed, skipped = map(int, COUNTS.match(counts).groups()) if counts else (
        int(status == 0), 0, int(status == 77))
    if status is None:
        sys.stdout.write('not ok: not at its end within %s s\n' % seconds)
    if status not in (0, 77) and not failed:
        failed = 1
    say('end %s %s: %d passed, %d failed, %d skipped (%.0f s)' %
        (variant, program, passed, failed, skipped, time.monotonic() - begin))


def kernel_said():
    """What the kernel itself found wrong."""
    fd = os.open('/dev/kmsg', os.O_RDONLY | os.O_NONBLOCK)
    while True:
        try:
            text = os.read(fd, 8192).decode(errors='replace')
        except OSError:
            break
        if re.search(r'WARNING: CPU|BUG:|Oops|general protection', text):
            say('kernel: ' + text.split(';', 1)[-1].splitlines()[0])


def work():
    os.environ.pop('PYTHONHASHSEED', None)
    os.environ.update(ENVIRONMENT)
    with open('/matrix/environment') as f:
        os.environ.update(line.rstrip('\n').split('=', 1) for line in f if '=' in line)
    os.makedirs('/run/netns')
    subprocess.run(['ip', 'link', 'set', 'lo', 'up'])
    subprocess.run(['modprobe', 'tun'])  # /dev/net/tun; everything else is loaded when it is wanted
    with open('/matrix/plan') as f:
        for line in f:
            job(line)
    kernel_said()


# --- the machine -------------------------------------------------------------------------------------

def main():
    for what, where, kind in MOUNTS:
        os.makedirs(where, exist_ok=True)
        if LIBC.mount(what.encode(), where.encode(), kind.encode(), 0, None):
            why = os.strerror(ctypes.get_errno())
            if where == '/dev':
                os._exit(1)
            sys.stdout.write('matrix: %s: %s\n' % (where, why))
        if where == '/dev':
            console = os.open('/dev/console', os.O_RDWR)
            for fd in range(3):
                os.dup2(console, fd)
            sys.stdout = os.fdopen(1, 'w', errors='replace')
    say('Linux %s, %.0f s after the start' % (os.uname().release, time.clock_gettime(time.CLOCK_BOOTTIME)))
    worker = os.fork()
    if worker == 0:
        status = 1
        try:
            work()
            status = 0
        except BaseException as e:  # whatever it was: the machine has to come to its end
            say('guest: %r' % e)
        sys.stdout.flush()
        os._exit(status)
    while True:  # everybody's last parent
        pid, status = os.wait()
        if pid == worker:
            break
    say('complete' if status == 0 else 'broken')
    LIBC.sync()
    LIBC.reboot(POWER_OFF)


main()
