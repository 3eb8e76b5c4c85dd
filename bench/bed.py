"""The bed of a bench: fakekube servers on CPU 0 and one kuberingd on CPU 1, in a folder of their own, and what can be asked of them."""

import json
import re
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path

from figures import Failed, must_be_built


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def pairs(text):
    """ "a 1 b 2" as a dictionary."""
    return dict(zip(*[iter(text.split())] * 2))


def cpu_of(pid):
    """CPU time of each thread, in ns. A thread that has ended is left out."""
    out = {}
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            out[task.name] = int((task / "schedstat").read_text().split()[0])
        except (FileNotFoundError, ProcessLookupError):
            pass
    return out


def cpu_ns(pid):
    """CPU time of a process: of all its threads, those that have ended included (the clock that clock_getcpuclockid gives)."""
    return time.clock_gettime_ns(~pid << 3 | 2)


class Control:
    """fakekube's control socket."""

    def connect(self, path):
        self.control = socket.socket(socket.AF_UNIX)
        self.control.settimeout(300)
        self.control.connect(str(path))
        self.answers = self.control.makefile("r")

    def ask(self, line):
        self.control.sendall(line.encode() + b"\n")
        answer = self.answers.readline().strip()
        if not answer.startswith("ok"):
            raise Failed(f"fakekube: {line}: {answer}")
        return dict(re.findall(r"(\S+?)=(\S+)", answer))


class Server(Control):
    """One more fakekube in a bed: its clusters are PREFIX-1, ... instead of fake-1, ... for the daemon."""

    def __init__(self, prefix, options, nice=0):
        self.prefix, self.options, self.nice = prefix, options, nice
        self.control = None

    def renamed(self, text):
        text = re.sub(r"(?m)^- name: fake-", f"- name: {self.prefix}-", text)
        text = text.replace("{cluster: fake-", f"{{cluster: {self.prefix}-").replace("user: fakekube}", f"user: {self.prefix}}}")
        return text.replace("- name: fakekube\n", f"- name: {self.prefix}\n")


def merged(configs):
    """One kubeconfig of several that fakekube wrote."""
    out = ["apiVersion: v1\nkind: Config\n"]
    for section in ("clusters", "users", "contexts"):
        out.append(section + ":\n")
        out += [re.search(rf"(?ms)^{section}:\n(.*?)(?=^\w|\Z)", text).group(1) for text in configs]
    return "".join(out)


class Bed(Control):
    """others: more servers. lists: kept open by the daemon itself, with metrics to ask how they are (wait_live)."""

    servers = None  # where fakekube is, if not beside the daemon: two builds get their load from the same one

    def __init__(self, bin_dir, objects, object_bytes, tls=False, extra=(), settings="", reactors=1, daemon_cpus="1", others=(), lists=None):
        self.bin = Path(bin_dir)
        self.dir = tempfile.TemporaryDirectory(prefix="kubering-bench-")
        self.path = Path(self.dir.name)
        self.children, self.others, self.metrics_port = [], list(others), None
        self.control = None
        must_be_built(self.bin)
        try:
            main = ["--objects", objects, "--object-bytes", object_bytes, *extra]
            self.server = self.start_server(self, "", main, tls)
            for other in self.others:
                other.server = self.start_server(other, other.prefix, other.options, tls)
            if self.others:
                texts = [self.conf("").read_text()] + [o.renamed(self.conf(o.prefix).read_text()) for o in self.others]
                self.conf("").write_text(merged(texts))
            if lists is not None:
                self.metrics_port = free_port()
                settings += f'metrics: {{listen: "127.0.0.1:{self.metrics_port}"}}\nlists: {json.dumps(lists)}\n'
            self.start_daemon(settings, reactors, daemon_cpus)
        except BaseException:
            self.close()
            raise

    def conf(self, prefix):
        return self.path / f"kubeconfig{prefix}"

    def start_server(self, who, prefix, options, tls):
        ctl = self.path / f"ctl{prefix}"
        argv = [(self.servers or self.bin) / "fakekube", "--kubeconfig-out", self.conf(prefix), "--control", ctl, "--quiet", "--stamp-writes", *options] + (["--tls"] if tls else [])
        child = self.start("0", argv, nice=getattr(who, "nice", 0), stdout=subprocess.PIPE)
        if not child.stdout.readline().startswith(b"ready"):
            raise Failed("fakekube did not start")
        Control.connect(who, ctl)
        return child

    def start_daemon(self, settings, reactors, cpus):
        self.socket, file = self.path / "kubering.sock", self.path / "kubering.yaml"
        file.write_text("apiVersion: kubering.io/v1alpha1\nkind: Config\n" + settings)
        self.began = time.monotonic()
        self.daemon = self.start(cpus, [self.bin / "kuberingd", "--config", file, "--kubeconfig", self.conf(""), "--context", "*",
                                        "--reactors", reactors, "--socket", self.socket], stderr=open(self.path / "log", "w"))
        deadline = time.monotonic() + 60
        while not self.socket.exists() or not self.answers_metrics():
            if time.monotonic() > deadline or self.daemon.poll() is not None:
                raise Failed("kuberingd did not start:\n" + self.log_end())
            time.sleep(0.01)
        self.start_seconds = time.monotonic() - self.began

    def log_end(self):
        return (self.path / "log").read_text()[-2000:]

    def start(self, cpu, argv, nice=0, **kw):
        front = ["nice", "-n", str(nice)] if nice else []
        return self.own([*front, "taskset", "-c", cpu] + [str(a) for a in argv], **kw)

    def own(self, argv, **kw):
        """Starts a program that ends with the bed. What ends the bench waits until it is known: it would be left behind."""
        had = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM, signal.SIGHUP))
        try:
            child = subprocess.Popen(argv, preexec_fn=lambda: signal.pthread_sigmask(signal.SIG_SETMASK, had), **kw)
            self.children.append(child)
            return child
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, had)

    # --- the oracle ---

    def probe(self, mode, *args, cluster="fake-1", cpu="0", resource="pods"):
        return [str(a) for a in ["taskset", "-c", cpu, self.bin / "bench_probe", mode, self.socket, cluster, resource, *args]]

    def consumer(self, mode, *args, **kw):
        """A probe that runs until its input is closed; it ends with the bed."""
        child = self.own(self.probe(mode, *args, **kw), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        child.said = child.stdout.readline()
        if not child.said:
            raise Failed(f"the probe ({mode}) ended")
        return child

    @staticmethod
    def finish(child, timeout=120):
        """What a consumer prints when its input ends."""
        text = child.communicate(timeout=timeout)[0]
        if child.returncode:
            raise Failed(f"the probe failed: exit {child.returncode}")
        return text

    def settle(self, seconds=120, cluster="fake-1"):
        """Waits until the mirror's digest is the server's; returns what the probe printed."""
        digest = self.ask(f"digest {cluster} pods")["digest"]
        out = subprocess.run(self.probe("digest", digest, seconds, cluster=cluster), capture_output=True, text=True)
        if out.returncode:
            raise Failed(f"the mirror differs from the server: {out.stderr}")
        return pairs(out.stdout)

    def settle_many(self, lists, seconds=120):
        """The same for many lists, by one consumer. lists: (server, cluster's number, resource)."""
        lines = []
        for server, number, resource in lists:
            digest = server.ask(f"digest fake-{number} {resource}")["digest"]
            lines.append(f"{getattr(server, 'prefix', 'fake')}-{number} {resource} {digest}\n")
        argv = ["taskset", "-c", "0", str(self.bin / "bench_probe"), "digests", str(self.socket), str(seconds)]
        out = subprocess.run(argv, input="".join(lines), capture_output=True, text=True)
        if out.returncode or out.stdout.split() != ["checked", str(len(lines))]:
            raise Failed(f"the mirror differs from the server: {out.stdout} {out.stderr}")

    # --- what the daemon costs ---

    def reactor_cpu_ns(self):
        """CPU time of the busiest thread: the reactor."""
        return max(cpu_of(self.daemon.pid).values())

    def spent(self, before):
        """CPU time of the thread that has worked most since then: the reactor."""
        return max(now - before.get(tid, 0) for tid, now in cpu_of(self.daemon.pid).items())

    def threads(self):
        return cpu_of(self.daemon.pid)

    def drained(self):
        """Waits until the daemon has nothing to do."""
        last, quiet, deadline = None, 0, time.monotonic() + 60
        while quiet < 4 and time.monotonic() < deadline:
            now = cpu_ns(self.daemon.pid)
            quiet = quiet + 1 if last is not None and now - last < 300000 else 0
            last = now
            time.sleep(0.01)

    def idle(self):
        """Waits until the server has sent what it can: it has used no CPU for a while."""
        deadline, last, quiet = time.monotonic() + 60, -1, 0
        while quiet < 5 and time.monotonic() < deadline:
            used = cpu_ns(self.server.pid)
            quiet = quiet + 1 if used - last < 2000000 else 0
            last = used
            time.sleep(0.05)

    def memory(self, pid, key="Pss"):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith(key + ":"):
                return int(line.split()[1]) * 1024
        raise Failed(f"no {key} of {pid}")

    # --- what the daemon says ---

    def answers_metrics(self):
        try:
            return self.metrics_port is None or bool(self.metrics())
        except OSError:
            return False

    def metrics(self):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics_port}/metrics", timeout=30) as answer:
            return {k: float(v) for k, v in re.findall(r"^(kubering_\w+) (\S+)$", answer.read().decode(), re.M)}

    def server_stats(self):
        """Counters of all servers, added up."""
        stats = [s.ask("stats") for s in (self, *self.others)]
        return {k: sum(int(s[k]) for s in stats) for k in stats[0]}

    def wait_live(self, lists, seconds):
        """Until so many lists are live, and the servers have as many watches. Returns how long it took."""
        began, m, stats = time.monotonic(), {}, {}
        while time.monotonic() - began < seconds:
            try:
                m, stats = self.metrics(), self.server_stats()
                if m["kubering_lists_live"] == m["kubering_lists"] == lists == stats["watches"]:
                    return time.monotonic() - began
            except OSError:
                if self.daemon.poll() is not None:
                    break
            time.sleep(0.02 + lists / 100000)  # asking costs the daemon more with more lists
        raise Failed(f"not {lists} live lists after {seconds} s: {m} {stats}\n{self.log_end()}")

    def changes(self):
        """Events of all lists without the bookmarks, of which a server sends one a minute to each."""
        return int(self.metrics()["kubering_open_lists_events"]) - self.server_stats()["bookmarks"]

    def close(self):
        try:
            for child in reversed(self.children):
                if child.poll() is None:
                    child.terminate()
            for child in self.children:
                try:
                    child.wait(10)
                except subprocess.TimeoutExpired:
                    pass
        finally:  # who interrupts this, too, leaves nobody behind
            for child in self.children:
                if child.poll() is None:
                    child.kill()
                    child.wait()
        for who in (self, *getattr(self, "others", ())):
            if who.control:
                who.control.close()
        self.dir.cleanup()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
