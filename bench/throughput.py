"""ingest, sync, reactors: how many events a core takes."""

import os
import re
import signal
import subprocess
import time
from pathlib import Path

from bed import Bed, pairs
from figures import Failed, Result
import goals


def bound(limits, tls, quick=False):
    """What the machine allows: receive, frame, find the fields, copy to a shared log; the same work, nothing else."""
    program = Path(limits) / "uring_recv"
    if not program.exists():
        raise Failed(f"{program} is not built")
    argv = ["taskset", "-c", "0,1", program, "-m", "mshot", "-n", "2000", "-k", "16", "-r", "12" if quick else "60",
            "-b", "16384", "-B", "64", "-W", "32",
            "-w", "2", "-t", "1" if tls else "0"]
    out = subprocess.run([str(a) for a in argv], capture_output=True, text=True, timeout=120).stdout
    rates = re.findall(r"(\d+) lines/s", out)
    if not rates:
        raise Failed(f"uring_recv printed no rate: {out!r}")
    return float(rates[0])


CLUSTERS, EVENTS = 32, 2500  # a backlog that the socket buffers hold: about 9 MB each


def hold(bed, clusters):
    return [bed.consumer("hold", cluster=c) for c in clusters]


def a_round(bed, clusters, alone=0):
    """The daemon is stopped while the server fills the sockets, then it drains them: every receive is full, and neighbours that
    slow the server down do not count. alone: seconds in which nobody asks for digests. Returns events, CPU time of the
    reactor, and when the daemon went on."""
    before = bed.reactor_cpu_ns()
    os.kill(bed.daemon.pid, signal.SIGSTOP)
    try:
        for c in clusters:
            bed.ask(f"blast {c} pods {EVENTS}")
        bed.idle()
    finally:
        began = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
        os.kill(bed.daemon.pid, signal.SIGCONT)
    if alone:
        time.sleep(alone)
        bed.drained()
    for c in clusters:
        if int(bed.settle(cluster=c)["relists"]):
            raise Failed(f"the list of {c} was taken again during the run")
    return EVENTS * len(clusters), bed.reactor_cpu_ns() - before, began


def ingest_once(run, tls):
    clusters = [f"fake-{i + 1}" for i in range(CLUSTERS)]
    with Bed(run.bin, 200, 3600, tls, ["--clusters", CLUSTERS]) as bed:
        hold(bed, clusters)
        a_round(bed, clusters)  # fills the ring and what it retains: first touches of memory are no steady state
        done = [a_round(bed, clusters) for _ in range(1 if run.quick else 3)]
        return sum(e for e, *_ in done) / sum(c for _, c, _ in done) * 1e9


def ingest_one(out, run, word):
    rate = ingest_once(run, word == "tls")
    run.say(f"ingest {word}: {rate:,.0f} events/s of reactor CPU, {1e9 / rate:,.0f} ns per event")
    limit = bound(run.limits, word == "tls", run.quick) if run.limits else None
    out.add(f"ingest_{word}", rate, "events/s/core", f"uring_recv_{word}" if limit else "none", limit)


def ingest(run):
    out = Result()
    for word in run.words():
        out.part(ingest_one, run, word)
    return out


def sync(run):
    out = Result()
    for objects, name in ((5000, ""),) if run.quick else ((30000, ""), (100000, "_100k")):
        with Bed(run.bin, objects, 14500) as bed:
            before, began = bed.reactor_cpu_ns(), time.monotonic()
            had = bed.settle(600)
            wall, cpu = time.monotonic() - began, bed.reactor_cpu_ns() - before
            if int(had["objects"]) != objects:
                raise Failed(f"{had['objects']} objects of {objects}")
            out.add(f"sync_cpu_per_pod{name}", cpu / objects / 1000, "us", "client-go_protobuf_reference", goals.SYNC_REFERENCE_US)
            out.add(f"sync_wall{name}", wall, "s")
    return out


def drain_seconds(run, reactors):
    """From SIGCONT to the last receive, as the newest object says: nothing asks the daemon anything meanwhile, and the server, which
    has sent everything before, is idle. Both CPUs are the daemon's."""
    clusters = [f"fake-{i + 1}" for i in range(CLUSTERS)]
    with Bed(run.bin, 200, 3600, False, ["--clusters", CLUSTERS], reactors=reactors, daemon_cpus="0,1") as bed:
        hold(bed, clusters)
        best = None
        for i in range(2 if run.quick else 4):  # the first warms up
            began = a_round(bed, clusters, alone=1)[2]
            text = subprocess.run(bed.probe("newest", cluster=f"fake-1..{CLUSTERS}"), capture_output=True, text=True).stdout
            seconds = (int(pairs(text)["newest"]) - began) / 1e9
            if i:
                best = seconds if best is None else min(best, seconds)
        return best


def reactors(run):
    one, two = drain_seconds(run, 1), drain_seconds(run, 2)
    run.say(f"reactors: {EVENTS * CLUSTERS:,} events drained by one in {one * 1e3:,.0f} ms, by two in {two * 1e3:,.0f} ms")
    out = Result()
    out.add("reactors_speedup", one / two, "x")
    out.add("reactors_drain_2", two * 1e3, "ms", "one_reactor", one * 1e3)
    return out
