"""fakekube and kuberingd under test, and the CLI as a stranger uses it."""

import json
import os
import re
import signal
import socket
import subprocess

from .attach import Attached
from .world import Failed, expect, wait_until

TOKEN = "canary-4e1f0c77b2"  # the bearer token of every test: nobody may ever see it


class Fakekube:
    """Clusters fake-1 .. fake-N behind one port; `say` is its control socket."""

    def __init__(self, world, *flags, clusters=1, objects=50, resources="pods", tls=True, name="fake"):
        self.kubeconfig, self.control = world.folder / f"{name}.yaml", world.folder / f"{name}.ctl"
        command = [world.programs.fakekube, "--kubeconfig-out", self.kubeconfig, "--control", self.control, "--clusters",
                   clusters, "--objects", objects, "--resources", resources, "--object-bytes", 700, "--duration", 600,
                   *(["--tls", "--token", TOKEN] if tls else []), *flags]  # no token goes out in the clear
        self.process = world.start(name, command)
        ready = wait_until("fakekube is ready", lambda: re.search(r"ready port=(\d+)", self.process.text()))
        self.port, self.line = int(ready[1]), None
        self.clusters = [f"fake-{i + 1}" for i in range(clusters)]
        authority = re.search(r"certificate-authority-data: (\S+)", self.kubeconfig.read_text())
        self.authority = authority and authority[1]
        self.scheme = "https" if tls else "http"

    def say(self, command):
        if not self.line:
            connection = socket.socket(socket.AF_UNIX)
            connection.settimeout(30)
            connection.connect(str(self.control))
            self.line = connection.makefile("rw")
        self.line.write(command + "\n")
        self.line.flush()
        answer = self.line.readline().rstrip("\n")
        expect(answer.startswith("ok"), f"fakekube: {command}: {answer}")
        return answer[3:]

    def fields(self, command):
        return dict(word.split("=", 1) for word in self.say(command).split())

    def digest(self, cluster, resource, version=None):
        """(digest, objects) of the server, now or at a version."""
        found = self.fields(f"digest-at {cluster} {resource} {version}" if version else f"digest {cluster} {resource}")
        return found["digest"], int(found["objects"])

    def entry(self, cluster="fake-1", **changes):
        """The cluster's part of a kubeconfig."""
        entry = {"server": f"{self.scheme}://127.0.0.1:{self.port}/clusters/{cluster}"}
        if self.authority:
            entry["certificate-authority-data"] = self.authority
        return entry | changes


def kubeconfig(clusters, users=None):
    """A kubeconfig as text. clusters: name -> (cluster entry, user entry)."""
    return json.dumps({
        "apiVersion": "v1", "kind": "Config", "current-context": next(iter(clusters)),
        "clusters": [{"name": n, "cluster": c} for n, (c, _) in clusters.items()],
        "users": [{"name": n, "user": u} for n, (_, u) in clusters.items()],
        "contexts": [{"name": n, "context": {"cluster": n, "user": n}} for n in clusters]}, indent=1)


class Daemon:
    """One kuberingd at one socket."""

    def __init__(self, world, config, *flags, settings=None, socket=None, wait=True):
        self.world = world
        self.socket = socket or world.folder / "k.sock"
        self.command = [world.programs.kuberingd, "--kubeconfig", config, "--socket", self.socket, *flags]
        if settings is not None:
            text = json.dumps({"apiVersion": "kubering.io/v1alpha1", "kind": "Config"} | settings, indent=1)
            self.command += ["--config", world.file(f"settings-{world.count}.yaml", text)]
        self.environment = {k: v for k, v in os.environ.items() if k not in ("KUBECONFIG", "XDG_RUNTIME_DIR")}
        self.start(wait)

    def start(self, wait=True):
        self.process = self.world.start("kuberingd", self.command, env=self.environment)
        if wait:
            wait_until(self.said, lambda: self.check() and self.ready(), 20)

    def check(self):
        expect(self.process.running(), lambda: f"kuberingd ended with {self.process.child.returncode}: {self.said()}")
        return True

    def said(self):
        return self.process.text()

    def ready(self):
        return "msg=ready" in self.said() or '"ready"' in self.said()

    def attach(self, **options):
        return Attached(self.socket, **options)

    def status(self):
        with self.attach() as consumer:
            return consumer.status()

    def rows(self, **match):
        return [row for row in self.status()["lists"] if all(row.get(k) == v for k, v in match.items())]

    def row(self, **match):
        return next(iter(self.rows(**match)), None)

    def wait_row(self, what, condition, seconds=30, **match):
        """Waits until the list's row fulfils the condition; returns it."""
        def reached():
            row = self.row(**match)
            return row if row and condition(row) else None
        return wait_until(lambda: f"{what}: {match} {json.dumps(self.row(**match))}", reached, seconds)

    def cluster(self, name):
        return next((c for c in self.status()["clusters"] if c["name"] == name), None)

    def wait_cluster_error(self, name, *parts, seconds=20):
        """Waits until the cluster's error says all of that; returns its text."""
        def told():
            error = self.cluster(name)["last_error"]
            text = f"{error['name']}: {error['text']}" if error else ""
            return all(part in text for part in parts) and text
        return wait_until(lambda: f"{parts}: {json.dumps(self.cluster(name))}", told, seconds)

    def kubering(self, *words, seconds=30, **options):
        """The CLI: (exit status, stdout, stderr)."""
        command = [str(self.world.programs.kubering), *map(str, words), "--socket", str(self.socket)]
        try:
            done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=seconds, text=True,
                                  env=self.environment, **options)
        except subprocess.TimeoutExpired as late:
            raise Failed(f"kubering {' '.join(map(str, words))}: still running after {seconds} s") from late
        return done.returncode, done.stdout, done.stderr

    def end(self, number=signal.SIGTERM):
        return self.process.end(number)

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))
