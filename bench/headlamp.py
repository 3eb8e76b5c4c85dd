"""The ways to a cluster side by side, each with fakekube on CPU 0 and kuberingd with one reactor on CPU 1; called by bench/run.

strategies: `bench/run ingest --strategy direct,websocket,legacy,multiplexed`: the reactor's CPU time per event. The strategies take turns in
each round, so a neighbour's load strikes all alike. As in `ingest`, the daemon is stopped while the server fills the sockets. All lists of
the multiplexer share one socket, whose buffers hold little: every strategy is measured in the same small drains, of DRAIN_EVENTS each.
With multiplexed among them and node here, the frontend's work in JavaScript is measured in the same run (bench/peers/headlamp).

headlamp: `bench/run headlamp`: many lists over legacy sockets and over one multiplexed socket: memory, CPU at a rate of events, recovery from
a restart of the backend. Recovery includes the daemon's back-off (0.25 to 0.5 s, drawn) and the server, whose CPU time is printed beside.
"""

import base64
import json
import os
import re
import shutil
import signal
import socket
import statistics
import struct
import subprocess
import tempfile
import time
from pathlib import Path

import goals
from bed import Bed, cpu_ns, free_port
from figures import Failed

FRONTEND = Path(__file__).resolve().parent / "peers/headlamp/frontend.mjs"
STRATEGIES = ("direct", "websocket", "legacy", "multiplexed")
CLUSTERS, OBJECTS, OBJECT_BYTES = 32, 200, 3600
DRAIN_EVENTS = 40 * CLUSTERS  # about 6 MB as the multiplexer quotes them: what the buffers of one socket take


def kernel_bytes_per_socket():
    """What the kernel holds for a TCP socket besides its buffers, which no process's memory shows. 0: this user may not read it."""
    try:
        slabs = Path("/proc/slabinfo").read_text()
    except OSError:
        return 0
    return sum(int(n) for n in re.findall(r"^(?:TCP|sock_inode_cache|filp|dentry) +\d+ +\d+ +(\d+)", slabs, re.M))


class WebSocket:
    """A client of the multiplexer, as small as can be: whole text messages."""

    def __init__(self, port, path):
        self.socket = socket.create_connection(("127.0.0.1", port), 60)
        key = base64.b64encode(os.urandom(16)).decode()
        self.socket.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode())
        self.file = self.socket.makefile("rb")
        head = self.file.readline()
        while self.file.readline().strip():
            pass
        if b" 101 " not in head:
            raise OSError(f"no WebSocket: {head!r}")

    def send(self, text):
        data, mask = text.encode(), os.urandom(4)
        head = bytes([0x81, 0x80 | (len(data) if len(data) < 126 else 126)]) + (struct.pack(">H", len(data)) if len(data) > 125 else b"")
        self.socket.sendall(head + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(data)))

    def receive(self):
        opcode, size = self.file.read(2)
        size = struct.unpack(">H", self.file.read(2))[0] if size == 126 else struct.unpack(">Q", self.file.read(8))[0] if size == 127 else size
        data = self.file.read(size)
        return data.decode() if opcode == 0x81 else self.receive()

    def close(self):
        self.file.close()
        self.socket.close()


class Way(Bed):
    """A bed whose clusters are reached by one strategy, and whose lists the configuration keeps open."""

    def __init__(self, bin_dir, strategy, lists, server, cluster=()):
        self.bin = Path(bin_dir)
        self.dir = tempfile.TemporaryDirectory(prefix="kubering-bench-")
        self.path = Path(self.dir.name)
        self.children, self.others, self.strategy, self.control = [], [], strategy, None
        try:
            self.begin(lists, server, dict(cluster))
        except BaseException:
            self.close()
            raise

    def begin(self, lists, server, cluster):
        conf, ctl = self.path / "kubeconfig", self.path / "ctl"
        self.server = self.start("0", [self.bin / "fakekube", "--kubeconfig-out", conf, "--control", ctl, "--headlamp", 0, "--quiet",
                                       *server], stdout=subprocess.PIPE)
        ready = re.search(rb"ready .*headlamp=(\d+)", self.server.stdout.readline())
        if not ready:
            raise Failed("fakekube did not start")
        self.port = int(ready.group(1))
        self.connect(ctl)
        self.socket, self.metrics_port = self.path / "kubering.sock", free_port()
        hub = self.strategy in ("legacy", "multiplexed")
        way = {"name": "hub", "headlamp": {"url": f"http://127.0.0.1:{self.port}"}} if hub else {"context": "*"}
        settings = {"apiVersion": "kubering.io/v1alpha1", "kind": "Config", "metrics": {"listen": f"127.0.0.1:{self.metrics_port}"},
                    "clusters": [way | {"strategy": self.strategy} | cluster], "lists": lists}
        (self.path / "kubering.yaml").write_text(json.dumps(settings))
        (self.path / "none").write_text('{"apiVersion": "v1", "kind": "Config"}')
        origin = ["--kubeconfig", self.path / "none"] if hub else ["--kubeconfig", conf, "--context", "*"]
        self.daemon = self.start("1", [self.bin / "kuberingd", "--config", self.path / "kubering.yaml", *origin, "--reactors", 1,
                                       "--socket", self.socket], stderr=open(self.path / "log", "w"))

    def versions(self, clusters):
        """The sum of the clusters' versions: each write adds one."""
        return sum(int(self.ask(f"rv fake-{c + 1}")["rv"]) for c in range(clusters))

    def relists(self):
        return int(self.metrics()["kubering_open_lists_relists"])


# --- CPU per event ---

def drain(way, clusters):
    """One filling and one draining; what the consumers of the oracle cost is outside."""
    had, sent, deadline = way.changes(), int(way.ask("stats")["events"]), time.monotonic() + 60
    os.kill(way.daemon.pid, signal.SIGSTOP)
    try:
        for c in clusters:
            way.ask(f"blast {c} pods {DRAIN_EVENTS // CLUSTERS}")
        way.idle()
        if int(way.ask("stats")["events"]) - sent < DRAIN_EVENTS:
            way.idle()  # it had no CPU, or the sockets hold less
        before = way.threads()
    finally:
        os.kill(way.daemon.pid, signal.SIGCONT)
    while True:
        way.drained()
        spent, events = way.spent(before), way.changes() - had
        if events == DRAIN_EVENTS:
            return spent
        if time.monotonic() > deadline:
            raise Failed(f"{way.strategy}: {events} of {DRAIN_EVENTS} events")


def a_round(way, clusters, drains):
    had = way.relists()
    cpu = sum(drain(way, clusters) for _ in range(drains))
    for c in clusters:
        way.settle(cluster=c)
    if way.relists() != had:
        raise Failed(f"{way.strategy}: a list was taken again during the run")
    return cpu / (drains * DRAIN_EVENTS)


def record(way, objects, file):
    """One MODIFIED event of each object of fake-1, as the multiplexer sends them."""
    digest = way.ask("rv fake-1")
    ws = WebSocket(way.port, "/wsMultiplexer")
    ws.send(json.dumps({"clusterId": "fake-1", "path": "/api/v1/pods", "query": f"watch=1&resourceVersion={digest['rv']}",
                        "userId": "bench", "type": "REQUEST"}))
    if '"STATUS"' not in ws.receive():
        raise Failed("the multiplexer does not say that it is connected")
    way.ask(f"blast fake-1 pods {objects}")
    lines, events = [], 0
    while events < objects:
        lines.append(ws.receive())
        events += json.loads(lines[-1])["type"] == "DATA"
    ws.close()
    file.write_text("\n".join(lines) + "\n")


def frontend(args, objects, rounds):
    """Nanoseconds of CPU per event of the frontend's JavaScript with a list of so many objects."""
    way = Way(args.bin, "legacy", [], ["--objects", objects, "--object-bytes", OBJECT_BYTES])
    try:
        file = way.path / "messages"
        record(way, objects, file)
        ns = []
        for _ in range(args.runs):
            out = subprocess.run(["taskset", "-c", "1", "node", FRONTEND, str(file), str(rounds)], capture_output=True, text=True)
            if out.returncode:
                raise Failed(f"frontend.mjs: {out.stderr}")
            events, seconds, had = out.stdout.split()
            if int(events) != objects * rounds or int(had) != objects:
                raise Failed(f"frontend.mjs: {out.stdout}: not {objects * rounds} events and {objects} objects")
            ns.append(float(seconds) / int(events) * 1e9)
        return ns
    finally:
        way.close()


def strategies(h, args):
    names = args.strategy.split(",")
    if not set(names) <= set(STRATEGIES):
        raise Failed(f"--strategy: a list of {', '.join(STRATEGIES)}")
    clusters = [f"fake-{i + 1}" for i in range(CLUSTERS)]
    server = ["--objects", OBJECTS, "--object-bytes", OBJECT_BYTES, "--clusters", CLUSTERS]
    ways, ns = [], {n: [] for n in names}
    try:
        for n in names:
            ways.append(Way(args.bin, n, [{"clusters": "*", "resource": "pods.v1"}], server, {"qps": 100}))
            ways[-1].wait_live(CLUSTERS, 120)
            a_round(ways[-1], clusters, 3)  # first touches of memory, and buffers that grow
        for n in range(args.runs):
            for way in ways[::-1] if n % 2 else ways:
                ns[way.strategy].append(a_round(way, clusters, 4 if args.quick else 12))
    finally:
        for way in ways:
            way.close()
    first, middle = names[0], {n: statistics.median(v) for n, v in ns.items()}
    for n in names:
        print(f"  {n}: {' '.join(f'{v:,.0f}' for v in ns[n])} ns per event, {1e9 / middle[n]:,.0f} events/s/core", flush=True)
        h.figure(f"ingest_{n}", ns[n], "ns/event", first, ns[first])
    if "multiplexed" in names and shutil.which("node"):
        print("  frontend: JSON.parse of the message and of the event in it, and the change of the list; no socket, WebSocket or render.\n"
              "  multiplexed: the kernel's receive, WebSocket, envelope, event, store and publication to consumers.")
        for objects in (100, 1000):
            js = frontend(args, objects, 10000 // objects)
            print(f"  frontend, {objects} objects: {' '.join(f'{v:,.0f}' for v in js)} ns per event", flush=True)
            h.figure(f"headlamp_frontend_js_{objects}", js, "ns/event", "kubering_multiplexed", ns["multiplexed"])


# --- many lists ---

def at_rate(way, rate, seconds):
    way.ask(f"rate {rate} status=1")
    time.sleep(seconds)
    way.ask("rate 0")


def work(way, clusters, writing):
    """Writes, and waits until as many events have come: no list lost one. Returns events, writes and CPU time of the reactor."""
    before, had, made, deadline = way.threads(), way.changes(), way.versions(clusters), time.monotonic() + 60
    writing()
    while True:
        way.drained()
        spent, writes = way.spent(before), way.versions(clusters) - made
        events = way.changes() - had
        if events == writes:
            return events, writes, spent
        if time.monotonic() > deadline:
            raise Failed(f"{way.strategy}: {writes} writes and {events} events")


def recover(way, lists):
    """A restart of the backend: until every list is watched again, the first back-off (0.25 to 0.5 s) included, as later ones are longer until
    a minute has been quiet; CPU time of the reactor and of the server."""
    before, server = way.threads(), cpu_ns(way.server.pid)
    way.ask("headlamp restart 0")
    seconds = way.wait_live(lists, 300)
    return seconds, way.spent(before) / 1e6, (cpu_ns(way.server.pid) - server) / 1e6


def many(args, strategy, clusters, resources):
    """One strategy: what its lists cost when nothing happens, at a rate of events, and after the backend was restarted."""
    lists, seconds, rate = clusters * len(resources), 5 if args.quick else 10, 2000
    wanted = [{"clusters": "*", "resource": r} for r in resources]
    way = Way(args.bin, strategy, wanted, ["--objects", 10, "--object-bytes", 1500, "--clusters", clusters, "--resources",
                                           ",".join(resources)])
    try:
        sync = way.wait_live(lists, 300)
        way.drained()
        out = {"sync_s": sync, "pss": way.memory(way.daemon.pid), "anonymous": way.memory(way.daemon.pid, "Anonymous"),
               "sockets": int(way.ask("headlamp status")["connections"])}
        out["pss_and_kernel"] = out["pss"] + out["sockets"] * kernel_bytes_per_socket()
        events, writes, spent = work(way, clusters, lambda: at_rate(way, rate, seconds))
        out |= {"events_per_s": events / seconds, "cpu_percent": spent / seconds / 1e7, "ns_per_event": spent / max(events, 1)}
        had = way.relists()
        out["recovery_s"], out["recovery_cpu_ms"], out["server_cpu_ms"] = recover(way, lists)
        each = [f"run fake-{c + 1} {r} status 1" for c in range(clusters) for r in resources]
        writes = work(way, clusters, lambda: [way.ask(line) for line in each])[1]
        if writes != lists:
            raise Failed(f"{writes} writes to {lists} lists")
        for c in range(1, clusters + 1, max(1, clusters // 20)):
            way.settle(cluster=f"fake-{c}")
        out["relists"] = way.relists() - had
        return out
    finally:
        way.close()


def empty(args, clusters):
    """The memory of a daemon that knows the clusters and has no list."""
    way = Way(args.bin, "multiplexed", [], ["--objects", 1, "--clusters", clusters])
    try:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if way.socket.exists() and way.metrics()["kubering_clusters"] == clusters:
                way.drained()
                return {key: way.memory(way.daemon.pid, key.title()) for key in ("pss", "anonymous")}
            time.sleep(0.05)
        raise Failed(f"the daemon does not know {clusters} clusters")
    finally:
        way.close()


def run(h, args):
    resources = ["pods", "configmaps", "endpoints", "limitranges", "persistentvolumeclaims", "services", "serviceaccounts",
                 "resourcequotas", "replicationcontrollers", "daemonsets.apps"]
    clusters = 50 if args.quick else 200
    lists, got = clusters * len(resources), {"legacy": [], "multiplexed": []}
    base = empty(args, clusters)
    base["pss_and_kernel"] = base["pss"]
    print(f"  without a list: pss {base['pss']:,}, anonymous {base['anonymous']:,}; the figures per list are what comes on top", flush=True)
    for n in range(args.runs):
        for strategy, rows in list(got.items())[::-1] if n % 2 else got.items():
            rows.append(many(args, strategy, clusters, resources))
            print(f"  {lists} lists, {strategy}: " + ", ".join(f"{k} {v:,.3f}".rstrip("0").rstrip(".") for k, v in rows[-1].items()),
                  flush=True)
    for key, per, unit in (("pss", 1024 * lists, "KiB/list"), ("pss_and_kernel", 1024 * lists, "KiB/list"),
                           ("anonymous", 1024 * lists, "KiB/list"), ("cpu_percent", 1, "%"), ("ns_per_event", 1, "ns/event"), ("recovery_s", 1, "s"), ("recovery_cpu_ms", 1, "ms")):
        legacy, mux = ([(row[key] - base.get(key, 0)) / per for row in rows] for rows in got.values())
        h.figure(f"headlamp_{lists}_{key}", mux, unit, "legacy", legacy)
    h.figure(f"headlamp_{lists}_relists", [sum(row["relists"] for rows in got.values() for row in rows)], "lists", goal=goals.Goal("==", 0))
