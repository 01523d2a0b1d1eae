"""Runs one job: apart from everything else, within its limits (docs/protocol.md, L-16 and L-17)."""

import asyncio
import ctypes
import errno
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time

EVERY = 0.2
TAIL = 2_048
MOST_FILES = 20_000
PATH = '/usr/local/bin:/usr/bin:/bin'
# What the tools that make a jail see: nothing of a job's environment reaches them, where it could load a library into them.
OURS = {'PATH': f'{PATH}:/usr/sbin:/sbin'}
JAIL_PROCESSES = 2
TICKS = os.sysconf('SC_CLK_TCK')
PAGE = os.sysconf('SC_PAGE_SIZE')
MIB = 2**20
PROGRESS = '.progress'
SYSTEM = ['bin', 'sbin', 'lib', 'lib32', 'lib64', 'libx32']
SETTINGS = ['alternatives', 'ld.so.cache', 'localtime', 'passwd', 'group', 'nsswitch.conf']

# What `bwrap` does for us, by hand: a new root with the system read-only and the job's directory, then no rights at all.
UNSHARED = r'''
set -e
job=$1; shift
mount -t tmpfs -o mode=755 jail /mnt
cd /mnt
mkdir usr etc proc dev job tmp old
apart() { mount --bind "$1" "$2"; mount -o remount,bind,ro "$2"; }
apart /usr usr
for name in bin sbin lib lib32 lib64 libx32; do
  if [ -L "/$name" ]; then ln -s "$(readlink "/$name")" "$name"
  elif [ -d "/$name" ]; then mkdir "$name"; apart "/$name" "$name"; fi
done
for name in null zero full random urandom; do : > "dev/$name"; mount --bind "/dev/$name" "dev/$name"; done
mount -t proc proc proc
mount --bind "$job" job
mount --bind "$job/.tmp" tmp
pivot_root . old
umount -l old
mount -o remount,ro /
cd /job
# Not by exec: the first process of a namespace cannot be ended by a signal, which a job may want.
setpriv --bounding-set=-all --inh-caps=-all --no-new-privs -- "$@" || exit $?
'''


class CannotRun(Exception):
    """The job cannot be started as it is described; says why."""


def bubblewrap(work, command):
    options = ['--unshare-all', '--die-with-parent', '--new-session', '--cap-drop', 'ALL']
    for name in SYSTEM:
        if os.path.islink(f'/{name}'):
            options += ['--symlink', os.readlink(f'/{name}'), f'/{name}']
        elif os.path.isdir(f'/{name}'):
            options += ['--ro-bind', f'/{name}', f'/{name}']
    for name in SETTINGS:
        options += ['--ro-bind-try', f'/etc/{name}', f'/etc/{name}']
    return [
        'bwrap', '--ro-bind', '/usr', '/usr', *options, '--proc', '/proc', '--dev', '/dev',
        '--bind', work, '/job', '--bind', f'{work}/.tmp', '/tmp', '--bind', f'{work}/.tmp', '/dev/shm',
        '--remount-ro', '/dev', '--remount-ro', '/', '--chdir', '/job', '--', *command,
    ]


def unshared(work, command):
    spaces = ['--user', '--map-root-user', '--mount', '--pid', '--net', '--ipc', '--uts']
    return ['unshare', *spaces, '--fork', '--kill-child', '--', 'sh', '-c', UNSHARED, 'jail', work, *command]


def unprotected(_, command):
    return command


METHODS = {'bubblewrap': bubblewrap, 'unshare': unshared, 'none': unprotected}


def choose(wanted, directory):
    """The first method that works here, tried with a job that attempts what it must not; None where there is none."""
    candidates = [wanted] if wanted else ['bubblewrap', 'unshare']
    return next((method for method in candidates if method == 'none' or keeps_apart(method, directory)), None)


def keeps_apart(method, directory):
    with tempfile.TemporaryDirectory(dir=directory) as work:
        os.mkdir(f'{work}/.tmp')
        script = f'! cat {directory}/keys.json && ! kill -0 {os.getpid()} && ! touch /usr/co-pilot && echo so > proof'
        probe = METHODS[method](work, ['sh', '-c', script])
        try:
            ended = subprocess.run(
                probe, env=OURS, stdin=subprocess.DEVNULL, capture_output=True, timeout=20
            )
        except (OSError, subprocess.TimeoutExpired):
            return False
        return ended.returncode == 0 and os.path.exists(f'{work}/proof')


def prepare(work):
    """An empty directory for a job, whatever was there before."""
    remove(work)
    os.makedirs(f'{work}/.tmp', 0o700)


def remove(path):
    """A tree a job wrote into. Folders it closed are opened again; links are not followed."""
    def again(_, name, __):
        folder = os.path.dirname(name)
        for each in (folder, name):
            if not os.path.islink(each) and os.path.isdir(each):
                os.chmod(each, 0o700)
        if os.path.isdir(name) and not os.path.islink(name):
            shutil.rmtree(name, ignore_errors=True)
        else:
            os.unlink(name)
    if os.path.lexists(path):
        shutil.rmtree(path, onerror=again)


def place(work, name, executable):
    """Where an input goes; its folders are made. The directory is ours alone until the job starts."""
    path = os.path.join(work, name)
    os.makedirs(os.path.dirname(path), 0o700, exist_ok=True)
    if os.path.lexists(path):
        raise CannotRun('two inputs have one name')
    os.close(os.open(path, os.O_CREAT | os.O_EXCL, 0o700 if executable else 0o600))
    return path


class Job:
    """One run of a description. `usage`, `progress` and `tail` may be looked at meanwhile."""

    def __init__(self, description, work, method, variables):
        self.limits, self.work, self.method = description['limits'], work, method
        home = work if method == 'none' else '/job'
        self.environment = {
            'PATH': PATH, 'LANG': 'C.UTF-8', **description['environment'],
            'HOME': home, 'COPILOT_PROGRESS': f'{home}/{PROGRESS}', **variables,
        }
        self.command = [self.program(description), *description['arguments']]
        self.output = b''
        self.started = time.monotonic()
        self.cpu = self.memory = self.peak = self.disk = 0.0
        self.count = self.files = 0
        self.process = None
        self.mark = [f'{name}={value}'.encode() for name, value in variables.items()]

    def program(self, description):
        """L-16: a name on the path of the job, or an input."""
        command = description['command']
        inputs = {f'./{each["name"]}' for each in description['inputs']}
        if command in inputs:
            return command
        if '/' in command:
            raise CannotRun('the command is a path')
        if shutil.which(command, path=self.environment['PATH']) is None:
            raise CannotRun('there is no such program')
        return command

    async def run(self):
        """How it ended, in the words of a report. Whatever it started is gone by then; so it is where this is cancelled."""
        command = METHODS[self.method](self.work, self.bounded())
        try:
            self.process = await asyncio.create_subprocess_exec(
                *command, cwd=self.work, env=OURS, stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
            )
        except (OSError, ValueError) as fault:
            raise CannotRun('it cannot be started') from fault
        reader = asyncio.create_task(self.read())
        try:
            return await self.watch() or self.end()
        finally:
            self.kill()
            await asyncio.wait([reader], timeout=2)
            reader.cancel()

    def bounded(self):
        """The command with its limits and its environment, both set inside the jail."""
        assignments = [f'{name}={value}' for name, value in self.environment.items()]
        bounds = ['--core=0', '--nofile=4096', f'--fsize={self.limits["diskMiB"] * MIB}']
        # `env` would take a command with `=` for a variable; after `setpriv` it stands alone.
        apart = ['/usr/bin/setpriv', '--no-new-privs', '--', *self.command]
        return ['prlimit', *bounds, '--', 'env', '-i', *assignments, *apart]

    async def read(self):
        """Keeps the last of what the job says, so that it may say as much as it likes."""
        while data := await self.process.stdout.read(65_536):
            self.output = (self.output + data)[-4 * TAIL:]

    async def watch(self):
        """The end by the first limit that is reached; None where the job ends before."""
        while self.process.returncode is None:
            try:
                await asyncio.wait_for(asyncio.shield(self.process.wait()), EVERY)
            except asyncio.TimeoutError:
                pass
            if (limit := await asyncio.to_thread(self.reached)) is not None:
                return {'kind': 'limit', 'limit': limit}
            if self.count > self.limits.get('processes', self.count) + JAIL_PROCESSES:
                return {'kind': 'failed', 'reason': 'the job started more processes than it may'}
        return None

    def reached(self):
        self.measure()
        limits = self.limits
        if self.wall() > limits['wallSeconds']:
            return 'wall'
        if self.cpu > limits.get('cpuSeconds', float('inf')):
            return 'cpu'
        if self.memory > limits['memoryMiB']:
            return 'memory'
        if self.disk > limits['diskMiB']:
            return 'disk'
        if self.files > MOST_FILES:
            return 'files'
        return None

    def measure(self):
        table = processes()
        ours = below(self.process.pid, table)
        self.cpu = max(self.cpu, sum(table[pid]['cpu'] for pid in ours))
        self.memory = sum(table[pid]['memory'] for pid in ours)
        self.peak, self.count = max(self.peak, self.memory), len(ours)
        self.disk, self.files = room(self.work)

    def wall(self):
        return time.monotonic() - self.started

    def usage(self):
        figures = {
            'wallSeconds': self.wall(), 'cpuSeconds': self.cpu,
            'memoryMiB': self.peak, 'diskMiB': self.disk,
        }
        return {name: round(value, 3) for name, value in figures.items()}

    def progress(self):
        """What the job wrote into its progress file; it may be anything, even a link."""
        try:
            with open_plainly(self.work, PROGRESS) as file:
                value = float(file.read(32))
        except (OSError, ValueError, CannotRun):
            return 0
        return min(1, max(0, value)) if value == value else 0

    def tail(self, most):
        """The end of what it said, as text that any reader can show."""
        text = self.output.decode(errors='replace')
        return ''.join(each if each.isprintable() or each == '\n' else ' ' for each in text)[-most:]

    def end(self):
        code = self.process.returncode
        if code > 128 and self.method != 'none':
            code = 128 - code  # a jail says so of a job that a signal ended, as a shell does
        if code >= 0:
            return {'kind': 'exited', 'code': code}
        try:
            name = signal.Signals(-code).name
        except ValueError:
            return {'kind': 'exited', 'code': 128 - code}
        return {'kind': 'limit', 'limit': 'disk'} if name == 'SIGXFSZ' else {'kind': 'signalled', 'signal': name}

    def kill(self):
        """Ends the job and all that came of it, by parent, by session and by the environment it was given."""
        for pid in below(self.process.pid, processes()):
            end_process(pid)
        end_marked(self.mark)


def end_process(pid):
    try:
        os.kill(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass


def end_marked(mark):
    """Ends every process with these variables: what outlived its parent, or an earlier start of this agent."""
    for pid in processes():
        try:
            with open(f'/proc/{pid}/environ', 'rb') as file:
                variables = file.read().split(b'\0')
        except OSError:
            continue  # it ended, or is not ours
        if all(each in variables for each in mark):
            end_process(pid)
            reap(pid)


def reap(pid):
    """An adopted process that ended is a zombie until we ask."""
    try:
        if int(processes().get(pid, {}).get('parent', 0)) == os.getpid():
            os.waitpid(pid, 0)
    except ChildProcessError:
        pass


def adopt_orphans():
    """What a job leaves behind becomes our child, and not a stranger's (PR_SET_CHILD_SUBREAPER)."""
    ctypes.CDLL(None, use_errno=True).prctl(36, 1, 0, 0, 0)


def processes():
    """Every process: parent, session, CPU seconds with those of ended children, memory that is its own."""
    table = {}
    for name in os.listdir('/proc'):
        if not name.isdigit():
            continue
        try:
            with open(f'/proc/{name}/stat') as file:
                fields = file.read().rpartition(')')[2].split()
            with open(f'/proc/{name}/statm') as file:
                memory = file.read().split()
        except (OSError, ValueError, IndexError):
            continue  # it ended meanwhile
        table[int(name)] = {
            'parent': int(fields[1]), 'session': int(fields[3]),
            'cpu': sum(map(int, fields[11:15])) / TICKS,
            'memory': (int(memory[1]) - int(memory[2])) * PAGE / MIB,
        }
    return table


def below(pid, table):
    """A process, its session and everything under them."""
    found = {each for each, entry in table.items() if each == pid or entry['session'] == pid}
    while more := {each for each, entry in table.items() if entry['parent'] in found} - found:
        found |= more
    return found


def room(work):
    """MiB on the disk and number of files; links are not followed, and counting ends where it is too much anyway."""
    total, count, folders = 0, 0, [work]
    while folders and count <= MOST_FILES:
        try:
            with os.scandir(folders.pop()) as entries:
                for entry in entries:
                    count += 1
                    total += entry.stat(follow_symlinks=False).st_blocks * 512
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(entry.path)
        except OSError:
            continue  # removed meanwhile, or closed to us: what is in it was counted when it was written
    return total / MIB, count


def open_plainly(work, name):
    """A regular file below the work directory; no link is followed on the way, and nothing is waited for."""
    folder = os.open(work, os.O_RDONLY | os.O_DIRECTORY)
    try:
        *folders, last = name.split('/')
        for each in folders:
            inner = os.open(each, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=folder)
            os.close(folder)
            folder = inner
        opened = os.open(last, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
    except OSError as fault:
        if fault.errno in (errno.ELOOP, errno.ENOTDIR, errno.ENXIO):
            raise CannotRun(f'{name} is no plain file') from fault
        raise
    finally:
        os.close(folder)
    if not stat.S_ISREG(os.fstat(opened).st_mode):
        os.close(opened)
        raise CannotRun(f'{name} is no plain file')
    return os.fdopen(opened, 'rb')
