"""ingest, reactors: how many events a core takes."""

import os
import re
import signal
import subprocess
import time
from pathlib import Path

from bed import Bed, pairs
from figures import Failed, Result


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


def fill_and_go(beds, clusters):
    """The daemons are stopped while the servers fill the sockets, then they drain them: every receive is full, and neighbours that
    slow a server down do not count. Returns when they went on."""
    for bed in beds:
        os.kill(bed.daemon.pid, signal.SIGSTOP)
    try:
        for bed in beds:
            for c in clusters:
                bed.ask(f"blast {c} pods {EVENTS}")
        for bed in beds:
            bed.idle()
    finally:
        began = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
        for bed in beds:
            os.kill(bed.daemon.pid, signal.SIGCONT)
    return began


def settle_all(beds, clusters, had=0):
    """Returns how many events have come. A mirror that left out all versions of an object but its last would have the right digest, too."""
    events = 0
    for bed in beds:
        for c in clusters:
            now = bed.settle(cluster=c)
            if int(now["relists"]):
                raise Failed(f"the list of {c} was taken again during the run")
            events += int(now["events"])
    made = EVENTS * len(clusters) * len(beds)
    if events - had < made:  # bookmarks may be among them
        raise Failed(f"{events - had} of {made} events came")
    return events


def a_round(bed, clusters, had=0):
    """Returns CPU time of the reactor, and how many events have come since it was started."""
    before = bed.reactor_cpu_ns()
    fill_and_go([bed], clusters)
    events = settle_all([bed], clusters, had)
    return bed.reactor_cpu_ns() - before, events


def ingest_once(run, tls):
    clusters = [f"fake-{i + 1}" for i in range(CLUSTERS)]
    with Bed(run.bin, 200, 3600, tls, ["--clusters", CLUSTERS]) as bed:
        hold(bed, clusters)
        _, had = a_round(bed, clusters)  # fills the ring and what it retains: first touches of memory are no steady state
        cpu, rounds = 0, 1 if run.quick else 3
        for _ in range(rounds):
            spent, had = a_round(bed, clusters, had)
            cpu += spent
        return EVENTS * CLUSTERS * rounds / cpu * 1e9


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


def drain_seconds(run, beds, clusters):
    """From SIGCONT to the last receive, as the newest object says: nothing asks the daemons anything meanwhile, and the servers, which
    have sent everything before, are idle. The best of some rounds, the first of which warms up."""
    times, had = [], 0
    for bed in beds:
        hold(bed, clusters)
    for _ in range(2 if run.quick else 4):
        began = fill_and_go(beds, clusters)
        time.sleep(1)
        for bed in beds:
            bed.drained()
        had = settle_all(beds, clusters, had)
        last = 0
        for bed in beds:
            out = subprocess.run(bed.probe("newest", cluster=f"fake-1..{len(clusters)}"), capture_output=True, text=True)
            if out.returncode:
                raise Failed(f"the probe failed: {out.stderr}")
            last = max(last, int(pairs(out.stdout)["newest"]))
        times.append((last - began) / 1e9)
    return min(times[1:])


def drain_together(run, reactors):
    """One daemon with so many reactors; both CPUs are its."""
    clusters = [f"fake-{i + 1}" for i in range(CLUSTERS)]
    with Bed(run.bin, 200, 3600, False, ["--clusters", CLUSTERS], reactors=reactors, daemon_cpus="0,1") as bed:
        return drain_seconds(run, [bed], clusters)


def drain_apart(run):
    """Two daemons with half of the clusters each, on a CPU each: what two reactors could do if they shared nothing at all."""
    clusters = [f"fake-{i + 1}" for i in range(CLUSTERS // 2)]
    extra = ["--clusters", CLUSTERS // 2]
    with Bed(run.bin, 200, 3600, False, extra, daemon_cpus="0") as a, Bed(run.bin, 200, 3600, False, extra, daemon_cpus="1") as b:
        return drain_seconds(run, [a, b], clusters)


def reactors(run):
    one, two, apart = drain_together(run, 1), drain_together(run, 2), drain_apart(run)
    run.say(f"reactors: {EVENTS * CLUSTERS:,} events drained by one in {one * 1e3:,.0f} ms, by two in {two * 1e3:,.0f} ms, "
            f"by two daemons with half each in {apart * 1e3:,.0f} ms")
    out = Result()
    out.add("reactors_speedup", one / two, "x", "two_daemons", one / apart)
    out.add("reactors_drain_2", two * 1e3, "ms", "one_reactor", one * 1e3)
    return out
