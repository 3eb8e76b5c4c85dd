"""kuberingd and kubering under test."""

import ctypes
import json
import os
import signal
import subprocess

from . import canon
from .process import Failed, Process, socket_path, wait_until

GET_SECONDS = 60
SYS_IO_URING_SETUP = 425


def uring_allowed():
    """Whether this kernel gives this process a ring: then the daemon has to use one by default."""
    ring = ctypes.CDLL(None).syscall(SYS_IO_URING_SETUP, 1, ctypes.create_string_buffer(120))
    if ring >= 0:
        os.close(ring)
    return ring >= 0


class Kubering:
    """One daemon, and its CLI as a consumer."""

    def __init__(self, daemon, cli, state, kubeconfig, *flags):
        self.daemon, self.cli, self.state = daemon, cli, state
        self.socket = socket_path("kubering.sock")
        self.command = [daemon, "--kubeconfig", kubeconfig, "--socket", self.socket, *flags]
        self.environment = os.environ | {"KUBERING_SOCKET": str(self.socket)}
        self.process = None

    def start(self):
        self.process = Process("kuberingd", self.command, self.state / "kuberingd.log")
        wait_until("kuberingd answers", lambda: self.process.check_running() and self.run("status").returncode == 0, 30)

    def end(self, number=signal.SIGTERM):
        return self.process.end(number)

    def run(self, *arguments, seconds=GET_SECONDS):
        try:
            return subprocess.run([self.cli, *arguments], env=self.environment, stdin=subprocess.DEVNULL,
                                  capture_output=True, timeout=seconds)
        except subprocess.TimeoutExpired as late:
            raise Failed(f"kubering {' '.join(arguments)} still runs after {seconds} s: {late.stderr}") from late

    def json(self, *arguments):
        done = self.run(*arguments, "-o", "json")
        if done.returncode:
            raise Failed(f"kubering {' '.join(arguments)}: exit {done.returncode}: {done.stderr.decode()[-600:]}")
        return canon.load(done.stdout)

    def get(self, view):
        return canon.lines(view, self.json("get", *view.cli)["items"])

    def status(self):
        return self.json("status")

    def cluster(self, name):
        """The row of a cluster, or None."""
        return next((row for row in self.status()["clusters"] if row["name"] == name), None)

    def list_status(self, view):
        """The row of an unselected list, or None."""
        key = (view.group, view.version, view.resource, view.namespace)
        for row in self.status()["lists"]:
            same = (row["group"], row["version"], row["resource"], row["namespace"] or "") == key
            same = same and view.cluster in ("", row["cluster"])
            if same and not row["label_selector"] and not row["field_selector"]:
                return row
        return None

    def wait_state(self, view, states, seconds):
        """Waits until a list is in one of the states; returns its row."""
        def reached():
            row = self.list_status(view)
            return row if row and row["state"] in states else None

        def told():
            return f"{view.name} {'|'.join(states)}: {json.dumps(self.list_status(view))}"
        return wait_until(told, reached, seconds)
