"""Child processes of a test, waiting, and the one way of failing."""

import atexit
import ctypes
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

STOP_SECONDS = 20  # etcd takes 2 s, the apiserver 3 s; a stopped (SIGSTOP) one never ends by itself
PR_SET_PDEATHSIG = 1


class Skipped(Exception):
    """What the test needs is not on this machine: the text says what."""


class Failed(Exception):
    """A test's expectation that was not met, or a helper that broke: the text says which."""


def wait_until(what, condition, seconds):
    """Asks the condition until its answer is true; returns the answer. The only way in which tests wait.

    `what` may be a function that says at the end how far things came."""
    start = time.monotonic()
    while True:
        answer = condition()
        if answer:
            return answer
        passed = time.monotonic() - start
        if passed > seconds:
            raise Failed(f"after {seconds} s still not: {what() if callable(what) else what}")
        time.sleep(min(0.02 + passed / 20, 0.5))  # short waits end soon, long ones cost little


KEEPERS = []


def free_port():
    """A port that is this test's until it ends, whoever else looks for one meanwhile, also while its server is down: a socket stays
    bound to it, which those who set SO_REUSEADDR may be as well, and for the kernel it is taken."""
    keeper = socket.socket()
    keeper.bind(("127.0.0.1", 0))
    keeper.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # behind bind(), or two tests could get one port
    KEEPERS.append(keeper)
    return keeper.getsockname()[1]


def socket_path(name):
    """For a UNIX socket, whose path may have 107 bytes: that of a build folder can be longer."""
    folder = tempfile.mkdtemp(prefix="kr-e2e-", dir="/tmp")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder) / name


def end_with_parent():
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Process:
    """One child with its log file; it dies with the test unless it was started to stay (`owned=False`)."""

    def __init__(self, name, command, log, owned=True, **options):
        self.name, self.log = name, Path(log)
        with open(log, "ab") as out:
            out.write(f"--- {' '.join(map(str, command))}\n".encode())
            out.flush()
            options = {"stdin": subprocess.DEVNULL, "stdout": out, "stderr": out} | options
            self.child = subprocess.Popen([str(part) for part in command], start_new_session=not owned,
                                          preexec_fn=end_with_parent if owned else None, **options)

    @property
    def running(self):
        return self.child.poll() is None

    def check_running(self):
        if not self.running:
            raise Failed(f"{self.name} ended with {self.child.returncode}:\n{self.tail()}")
        return True

    def tail(self, count=15):
        text = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        return "\n".join(f"  {self.name}| {entry[:400]}" for entry in text[-count:])

    def send(self, number):
        self.check_running()
        self.child.send_signal(number)

    def end(self, number=signal.SIGTERM, seconds=STOP_SECONDS):
        """Ends the process; after the given time by SIGKILL. Returns its exit status."""
        if self.running:
            self.child.send_signal(number)
        try:
            return self.child.wait(seconds)
        except subprocess.TimeoutExpired:
            self.child.kill()
            return self.child.wait()


class Helper(Process):
    """A child that takes commands on stdin, one a line; the last line of each answer begins with "= "."""

    def __init__(self, name, command, log, **options):
        super().__init__(name, command, log, stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8", **options)

    def say(self, command):
        self.child.stdin.write(command + "\n")
        self.child.stdin.flush()

    def hear(self):
        """The next line of an answer, and whether it is the last one (then without the "= ")."""
        entry = self.child.stdout.readline().rstrip("\n")
        if not entry:
            self.child.wait(STOP_SECONDS)
            raise Failed(f"{self.name} broke:\n{self.tail()}")
        last = entry.startswith("= ")
        return entry[2:] if last else entry, last

    def answer(self):
        """(lines, last line) of one answer."""
        entries, last = [], False
        while not last:
            entry, last = self.hear()
            entries.append(entry)
        return entries[:-1], entries[-1]

    def ask(self, command):
        self.say(command)
        return self.answer()

    def close(self):
        """Ends its stdin; returns what it says at its end."""
        self.child.stdin.close()
        text = self.child.stdout.read().strip().removeprefix("= ")
        self.child.wait(STOP_SECONDS)
        return text
