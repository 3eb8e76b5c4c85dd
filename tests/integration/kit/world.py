"""A test's own folder, its processes, and the one way of waiting and of failing."""

import ctypes
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PR_SET_PDEATHSIG = 1
SYS_IO_URING_SETUP = 425
END_SECONDS = 10
LIBC = ctypes.CDLL(None)


class Failed(Exception):
    """An expectation that was not met: the text says which."""


class Skipped(Exception):
    """This machine or user cannot show it: the text says why."""


def wait_until(what, condition, seconds=30):
    """Asks until the answer is true, and returns it. `what` may be a function that says how far things came."""
    start = time.monotonic()
    while True:
        answer = condition()
        if answer:
            return answer
        passed = time.monotonic() - start
        if passed > seconds:
            raise Failed(f"after {seconds} s still not: {what() if callable(what) else what}")
        time.sleep(min(0.01 + passed / 20, 0.25))


def expect(condition, text):
    if not condition:
        raise Failed(text() if callable(text) else text)


def expect_all(text, *parts):
    """Every part is in the text."""
    for part in parts:
        expect(part in text, f"{part!r} is not in: {text}")


KEEPERS = []


def free_port():
    """A port that is this test's until it ends, whoever else looks for one meanwhile: a socket stays bound to it, which those who set
    SO_REUSEADDR, as fakekube does, may be as well, and for the kernel it is taken."""
    keeper = socket.socket()
    keeper.bind(("127.0.0.1", 0))
    keeper.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # behind bind(), or two tests could get one port
    KEEPERS.append(keeper)
    return keeper.getsockname()[1]


def die_with_parent():
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Process:
    """One child; what it prints goes into a file, unless stdout is given."""

    def __init__(self, name, command, folder, **options):
        self.name, self.log = name, Path(folder) / f"{name}.log"
        with open(self.log, "ab") as out:
            options = {"stdin": subprocess.DEVNULL, "stdout": out, "stderr": out} | options
            self.child = subprocess.Popen([str(part) for part in command], preexec_fn=die_with_parent, **options)
        self.pid = self.child.pid

    def running(self):
        return self.child.poll() is None

    def text(self):
        return self.log.read_text(errors="replace")

    def send(self, number):
        self.child.send_signal(number)

    def end(self, number=signal.SIGTERM, seconds=END_SECONDS):
        """Ends it, by SIGKILL if it does not within the time; its exit status (negative: the signal)."""
        if self.running():
            self.child.send_signal(signal.SIGCONT)
            self.child.send_signal(number)
        try:
            return self.child.wait(seconds)
        except subprocess.TimeoutExpired:
            self.child.kill()
            return self.child.wait()


class World:
    """Use as `with World(...) as w`: at the end every process is gone, and the folder too if all went well."""

    def __init__(self, programs, name):
        self.programs, self.name = programs, name
        self.processes, self.count = [], 0

    def __enter__(self):
        self.folder = Path(tempfile.mkdtemp(prefix=f"kr-{self.name[:20]}-", dir="/tmp"))  # a socket's path is short
        self.folder.chmod(0o755)  # tests as another user have to reach the socket
        return self

    def __exit__(self, kind, error, trace):
        for process in reversed(self.processes):
            process.end(signal.SIGKILL)
        if kind and not issubclass(kind, Skipped):
            for process in self.processes[-8:]:
                lines = process.text().splitlines()
                print(f"--- {process.name}: the last of {len(lines)} lines", *lines[-12:], sep="\n", file=sys.stderr)
        shutil.rmtree(self.folder, ignore_errors=True)

    def start(self, name, command, **options):
        self.count += 1
        process = Process(f"{name}-{self.count}", command, self.folder, **options)
        self.processes.append(process)
        return process

    def file(self, name, text, mode=0o600):
        path = self.folder / name
        path.write_text(text)
        path.chmod(mode)
        return path


def need_ring():
    """Asked of the kernel, not of the daemon, which would be believed then."""
    ring = LIBC.syscall(SYS_IO_URING_SETUP, 1, ctypes.create_string_buffer(120))
    if ring < 0:
        raise Skipped("this kernel or container gives this process no io_uring")
    os.close(ring)


def need_root(what):
    if os.geteuid() != 0:
        raise Skipped(f"{what} needs root")
