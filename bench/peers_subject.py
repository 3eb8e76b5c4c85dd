"""One subject of bench/peers.py with a server of its own: a peer, or kuberingd and its consumer. What it is asked, and what it costs."""

import json
import mmap
import re
import select
import subprocess
import time
from pathlib import Path

import pace
from bed import Bed, cpu_ns
from figures import Failed
from peers_programs import OURS

TOUCHED = 8 << 30


def touch_memory():
    """A hypervisor that takes free memory away gives it back at the first touch, at many times a page fault's cost (measured: a first sync
    of 34 instead of 15 us per Pod); who runs first would pay for all. So free memory is touched before each subject."""
    available = int(re.search(r"MemAvailable: +(\d+)", Path("/proc/meminfo").read_text())[1]) * 1024
    mmap.mmap(-1, min(TOUCHED, available // 2), mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | mmap.MAP_POPULATE).close()


def edge(low):
    """The largest value of the bucket that begins there; the programs have 16 to a power of two."""
    return low + (1 << max(0, low.bit_length() - 5)) - 1


class Subject(Bed):
    def __init__(self, args, name, argv_of, objects, object_bytes):
        if not args.quick:
            touch_memory()
        super().__init__(args.bin, objects, object_bytes, False, ["--namespaces", 16], OURS.get(name, ("", ""))[1])
        self.name, self.objects, self.ours, self.quick = name, objects, name in OURS, args.quick
        try:
            self.log = open(self.path / "subject.log", "w")
            self.child = self.start("1", argv_of(self), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log, bufsize=0)
        except BaseException:
            self.close()
            raise

    def say(self, word, seconds=120):
        try:
            self.child.stdin.write(word.encode() + b"\n")
        except BrokenPipeError:
            pass  # it has ended: its output has, too
        if not select.select([self.child.stdout], [], [], seconds)[0]:
            raise Failed(f"{self.name}: no answer to {word} within {seconds} s")
        line = self.child.stdout.readline()
        if not line.endswith(b"\n"):
            raise Failed(f"{self.name}: ended: {(self.path / 'subject.log').read_text()[-2000:]}")
        return json.loads(line)

    def synced(self, seconds=120):
        """When all objects are there and were handled: seconds since the start, and us of CPU per object. Ours begins with the daemon's
        start, as a peer's does with its process."""
        first = self.say("synced", seconds)
        if first["objects"] != self.objects:
            raise Failed(f"{self.name}: synced with {first['objects']} of {self.objects} objects")
        wall, cpu = first["wall_ns"] / 1e9, first["cpu_ns"]
        if self.ours:
            wall, cpu = wall + self.start_seconds, cpu + cpu_ns(self.daemon.pid)
        return wall, cpu / self.objects / 1000

    def count(self, word="count"):
        """With the daemon's CPU and memory in ours."""
        out = self.say(word)
        if self.ours:
            out["cpu_ns"] += cpu_ns(self.daemon.pid)
            out["reactor_ns"] = self.reactor_cpu_ns()
            if "pss" in out:
                out["pss"] += self.memory(self.daemon.pid)
            if out["overruns"] or out["torn"]:
                raise Failed(f"{self.name}: the consumer was overrun {out['overruns']} times, {out['torn']} objects were torn")
        return out

    def events(self, load, seconds=600):
        """Does load, which returns how many events it makes, and waits for their handler calls. Returns CPU per event, the reactor's, and
        how long it took."""
        before, began = self.count(), time.monotonic()
        n = load()
        while True:
            now = self.count()
            if now["updates"] - before["updates"] >= n:
                break
            if time.monotonic() - began > seconds:
                raise Failed(f"{self.name}: {now['updates'] - before['updates']} of {n} events in {seconds} s")
            time.sleep(0.05)
        if now["updates"] - before["updates"] != n or now["lists"] != before["lists"]:
            raise Failed(f"{self.name}: {now['updates'] - before['updates']} handler calls for {n} events, {now['lists']} lists")
        reactor = now.get("reactor_ns", 0) - before.get("reactor_ns", 0)
        return (now["cpu_ns"] - before["cpu_ns"]) / n / 1000, reactor / n / 1000, time.monotonic() - began

    def rv(self):
        return int(self.ask("rv fake-1")["rv"])

    def blast(self, n):
        return self.events(lambda: self.ask(f"blast fake-1 pods {n}") and n)

    def paced(self, rate, seconds):
        """At a rate that the server has kept: CPU per event, the reactor's, p50 and p99 of the latency in us. None: it has not, three times."""
        for _ in range(1 if self.quick else 3):
            made = []

            def load():
                before, began = self.rv(), time.monotonic()
                self.ask(f"rate {rate} status=1")
                time.sleep(seconds)
                self.ask("rate 0")
                made.extend((self.rv() - before, time.monotonic() - began))
                return made[0]

            self.say("latency")
            cpu, reactor, _ = self.events(load)
            late = self.say("latency")
            if made[0] >= pace.KEPT * rate * made[1]:
                return cpu, reactor, edge(late["p50_ns"]) / 1000, edge(late["p99_ns"]) / 1000
            print(f"  {self.name}: the server made {made[0] / made[1]:,.0f} of {rate:,} events/s", flush=True)
        return None

    def idle_cpu(self, seconds):
        """Milliseconds of CPU per second without an event."""
        before = self.count()["cpu_ns"]
        time.sleep(seconds)
        return (self.count()["cpu_ns"] - before) / 1e6 / seconds

    def churn(self, n):
        """Writes to objects drawn from all, a piece at a time, so that no socket buffer holds them all."""
        while n > 0:
            piece = min(n, 5000)
            self.events(lambda: self.ask(f"run fake-1 pods status {piece}") and piece)
            n -= piece

    def listed(self):
        """NAMESPACE/NAME/VERSION of all objects that the server has."""
        self.control.sendall(f"list-at fake-1 pods {self.rv()}\n".encode())
        keys = {f"{ns}/{name}/{rv}" for ns, name, rv in re.findall(r"(\S+?)/([^:\s]+):[^:\s]*:(\d+)", self.answers.readline())}
        if len(keys) != self.objects:
            raise Failed(f"the server says that it has {len(keys)} objects, not {self.objects}")
        return keys

    def check(self, seconds=60):
        """The mirror is the server's list: FNV-1a of namespace/name/resourceVersion, summed. Returns the keys."""
        keys, want = self.listed(), 0
        for key in keys:
            x = 0xcbf29ce484222325
            for byte in key.encode():
                x = (x ^ byte) * 0x100000001b3 & 0xffffffffffffffff
            want = want + x & 0xffffffffffffffff
        deadline = time.monotonic() + seconds
        while True:
            got = self.say("digest")
            if got["objects"] == len(keys) and int(got["digest"], 16) == want:
                return keys
            if time.monotonic() > deadline:
                raise Failed(f"{self.name}: the mirror differs from the server: {got}, wanted {len(keys)} {want:016x}")
            time.sleep(0.2)

    def relist(self, writes):
        """When the connection is cut and the history is gone: peak by what was before, handler calls, and how many objects changed."""
        pid = self.daemon.pid if self.ours else self.child.pid
        had, before = self.listed(), self.count()
        rss = self.memory(pid, "Rss")
        Path(f"/proc/{pid}/clear_refs").write_text("5")
        self.ask("fault hang ms=300 verb=watch count=1")
        self.ask("cut fake-1 rst")
        self.ask(f"run fake-1 pods status {writes}")
        self.ask("compact fake-1")
        deadline = time.monotonic() + 120
        while self.count()["lists"] == before["lists"]:
            if time.monotonic() > deadline:
                raise Failed(f"{self.name}: no relist within 120 s")
            time.sleep(0.05)
        changed = len(self.check(120) - had)
        peak = int(re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{pid}/status").read_text()).group(1)) * 1024
        return {"relist_peak": peak / rss, "relist_calls": self.settled_events() - before["events"], "relist_changed": changed}

    def settled_events(self):
        """Handler calls, when none comes any more: some peers call handlers long after their store has changed."""
        last, quiet = -1, 0
        while quiet < 4:
            now = self.count()["events"]
            quiet, last = quiet + 1 if now == last else 0, now
            time.sleep(0.1)
        return last
