"""latency, flood, fanout: from the socket to the consumer."""

import subprocess
import threading
import time

import pace
from bed import Bed, Server, pairs
from figures import Failed, Histogram, Result
from sockets import QPS, farm, some_lists

NAMES = {"sent": "", "wrote": "_wrote"}  # of the figures, by the stamp that they begin at


def measured(children, timeout=120):
    """What latency probes printed: changes and CPU time of all, histograms added up."""
    changes, cpu, all_of = 0, 0, {}
    for child in children:
        text = child.communicate(timeout=timeout)[0]
        if child.returncode:
            raise Failed("a consumer did not see all changes")
        words = pairs(text.splitlines()[0])
        changes, cpu = changes + int(words["changes"]), cpu + int(words["cpu_ns"])
        for name, h in Histogram.read(text).items():
            all_of.setdefault(name, Histogram()).add(h)
    return changes, cpu, all_of


def wake_bound(run, gap_us, count):
    """Waking alone, at the same gap."""
    text = subprocess.run([str(run.bin / "bench_micro_wake"), "-g", str(gap_us), "-n", str(count)], capture_output=True, text=True,
                          timeout=300).stdout
    found = Histogram.read(text)
    if set(found) != {"eventfd", "chain"}:
        raise Failed("bench_micro_wake printed no histogram")
    return found


def put(run, out, word, found, bounds, judged=True, load=None):
    for stamp, part in NAMES.items():
        if stamp in found:
            run.say(f"{word}, since {stamp}: {found[stamp].words()} us, {found[stamp].count} changes")
            for p, percent in (("p50", 50), ("p99", 99), ("p999", 99.9)):
                chain, us = (h.percentile(percent) / 1000 for h in (bounds["chain"], found[stamp]))
                out.add(f"latency_{word}{part}_{p}", us, "us", "wake_chain", chain, judged=judged, load=load)
            out.histogram(f"latency_{word}: consumer - {stamp}", found[stamp])
    for stamp in ("to_daemon", "from_daemon"):
        out.histogram(f"latency_{word}: {stamp}", found[stamp])
    out.histogram(f"latency_{word}: bound, chain of wakes", bounds["chain"])
    out.histogram(f"latency_{word}: bound, one eventfd", bounds["eventfd"])


def latency_idle(out, run):
    count, rate = 500 if run.quick else 3000, 200
    with Bed(run.bin, 1000, 3600) as bed:
        bed.settle()
        follower = bed.consumer("latency", count, 120)
        bed.ask(f"rate {rate} status=1")
        _, _, found = measured([follower])
        bed.ask("rate 0")
        bed.settle()
    put(run, out, "idle", found, wake_bound(run, 1000000 // rate, count))


def latency_loaded(out, run):
    """The consumer shares CPU 1 with the reactor: CPU 0 is the server's, which is busy with sending."""
    sockets, asked = run.sockets or (500 if run.quick else 8000), run.rate or (20000 if run.quick else 100000)
    seconds, followed = 4 if run.quick else 10, min(64, sockets)
    with farm(run, sockets, ["pods"], 10, 3600, False, ["pods"], QPS) as bed:
        bed.wait_live(sockets, 600)

        def follow(rate):
            count = int(rate / sockets * followed * seconds * 0.8)
            follower = bed.consumer("latency", count, 3 * seconds + 10, cluster=f"fake-1..{followed}", cpu=run.consumer_cpu)
            paced = pace.at_rate(bed, asked, rate, seconds)
            if not paced.kept:
                follower.kill()
            return paced, measured([follower])[2] if paced.kept else None

        p, found = pace.kept(run, bed, "latency", asked, follow)
        bed.drained()
        bed.settle_many(some_lists(bed, ["pods"]))
    put(run, out, "loaded", found, wake_bound(run, max(100, int(1000000 * sockets / (p.rate * followed))), 2000), p.full, p.rate)
    out.add("latency_loaded_events", p.got, "events/s", "asked", asked, load=p.rate)


def latency(run):
    out = Result()
    if run.part in (None, "idle"):
        out.part(latency_idle, run)
    if run.part in (None, "loaded"):
        out.part(latency_loaded, run)
    return out


# --- one flooding cluster ---

class Flood(threading.Thread):
    """Blasts one cluster as long as it is wanted, the next as soon as the last is sent."""

    def __init__(self, server, events=20000):
        super().__init__(daemon=True)
        self.server, self.events, self.wanted, self.sent = server, events, True, 0

    def run(self):
        while self.wanted:
            try:
                self.server.ask(f"blast fake-1 pods {self.events}")
                self.sent += self.events
            except Failed:  # the last is still being sent
                time.sleep(0.005)


def others_latency(bed, steady, rate, count):
    follower = bed.consumer("latency", count, 120, cluster="steady-1..16")
    steady.ask(f"rate {rate} status=1")
    _, _, found = measured([follower])
    steady.ask("rate 0")
    return found


def flood(run):
    """The flooding server runs with nice 19, so that what is measured is the daemon's fairness and not the scheduler's."""
    count, rate = 1000 if run.quick else 5000, 1000
    steady = Server("steady", ["--objects", 100, "--object-bytes", 3600, "--clusters", 16])
    flooding = Server("flood", ["--objects", 1000, "--object-bytes", 3600], nice=19)
    with Bed(run.bin, 1, 1500, others=[steady, flooding], settings=QPS, lists=[{"clusters": "*", "resource": "pods"}]) as bed:
        bed.wait_live(18, 120)
        without = others_latency(bed, steady, rate, count)
        had, began = bed.changes(), time.monotonic()
        thread = Flood(flooding)
        thread.start()
        time.sleep(0.5)
        beside = others_latency(bed, steady, rate, count)
        thread.wanted = False
        thread.join()
        took, events = time.monotonic() - began, bed.changes() - had
        bed.drained()
        bed.settle_many([(flooding, 1, "pods")] + [(steady, i + 1, "pods") for i in range(16)])
    if thread.sent < 2 * thread.events:
        raise Failed("there was no flood")
    stamp = "wrote" if "wrote" in without else "sent"
    a, b = (h[stamp].percentile(99) / 1e6 for h in (without, beside))
    run.say(f"flood: {events / took:,.0f} events/s; others' p99 since {stamp} {a:.2f} ms without, {b:.2f} ms with it")
    out = Result()
    out.add("flood_p99_growth", b - a, "ms", "without", a)
    out.add("flood_p99", b, "ms", "without", a)
    out.add("flood_events", events / took, "events/s")
    out.histogram("flood: others without it", without[stamp])
    out.histogram("flood: others with it", beside[stamp])
    return out


# --- many consumers of one list ---

def fanout(run):
    rate, seconds = (1000, 3) if run.quick else (5000, 8)
    out = Result()
    with Bed(run.bin, 1000, 3600) as bed:
        bed.settle()
        for consumers in (1, 4, 16):
            followers = [bed.consumer("latency", rate * seconds, 10 * seconds) for _ in range(consumers)]
            before = bed.threads()
            bed.ask(f"rate {rate} status=1")
            changes, cpu, found = measured(followers)
            bed.ask("rate 0")
            spent = bed.spent(before)
            bed.settle()
            stamp = "wrote" if "wrote" in found else "sent"
            out.add(f"fanout_{consumers}_daemon", spent / (changes / consumers), "ns/event")
            out.add(f"fanout_{consumers}_consumer", cpu / changes, "ns/event")
            out.add(f"fanout_{consumers}_p99", found[stamp].percentile(99) / 1000, "us")
            out.histogram(f"fanout: {consumers} consumers", found[stamp])
    one = out.samples["fanout_1_daemon"].value
    for consumers in (4, 16):
        s = out.samples[f"fanout_{consumers}_daemon"]
        s.vs, s.vs_value = "one_consumer", one
    return out
