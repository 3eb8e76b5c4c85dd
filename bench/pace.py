"""Load at a rate: the rate that was asked for, or the highest that the server keeps on this machine just now."""

import re
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from bed import cpu_ns
from figures import Failed

KEPT = 0.97      # of the rate must have come for it to be kept
STEP = 0.9       # to the next rate that is tried
QUICK_STEP = 0.6  # with --quick, which has a minute for all
LEAST = 0.2      # of what was asked for; below it there is nothing to measure
BOUND_TRIES = 3  # the bound's own sender is disturbed like ours


@dataclass
class Paced:
    """What came at a rate: rate is what was sent, asked what should have been."""
    asked: float
    rate: float
    events: int
    spent: int  # CPU of the busiest thread of the daemon, ns
    process: int  # of all its threads
    took: float
    server: float  # CPU of the server, share of a core

    @property
    def got(self):
        return self.events / self.took

    @property
    def kept(self):
        return self.got >= KEPT * self.rate

    @property
    def full(self):
        return self.rate >= self.asked

    def words(self):
        return (f"{self.got:,.0f} of {self.rate:,.0f} events/s, {self.spent / max(1, self.events):,.0f} ns per event; "
                f"the server used {self.server * 100:.0f} % of its CPU")


def at_rate(bed, asked, rate, seconds, warm_up=1):
    """Load for so long."""
    bed.ask(f"rate {rate:.0f} status=1")
    time.sleep(warm_up)
    threads, daemon, events, server, began = bed.threads(), cpu_ns(bed.daemon.pid), bed.changes(), cpu_ns(bed.server.pid), time.monotonic()
    time.sleep(seconds)
    spent, daemon = bed.spent(threads), cpu_ns(bed.daemon.pid) - daemon
    events, server, took = bed.changes() - events, cpu_ns(bed.server.pid) - server, time.monotonic() - began
    bed.ask("rate 0")
    return Paced(asked, rate, events, spent, daemon, took, server / took / 1e9)


def steps(run, word, asked):
    """The rates to try, each a tenth less, twice, as neighbours disturb. The first is what the last run kept: all runs are of one rate
    then."""
    rate = run.rates.get((word, asked), asked)
    while rate >= LEAST * asked:
        yield rate
        yield rate
        rate *= QUICK_STEP if run.quick else STEP


def kept(run, bed, word, asked, measure):
    """The measurement at the rate that was asked for, or at the next lower one that the server keeps. measure(rate) gives a Paced and
    what else it found; a short look goes before it."""
    for rate in steps(run, word, asked):
        paced, rest = at_rate(bed, asked, rate, 1.5, 0.5), None
        if paced.kept:
            paced, rest = measure(rate)
        if paced.kept:
            run.rates[word, asked] = rate
            run.say(paced.words())
            if not paced.full:
                run.say(f"THE RATE WAS LOWER: {rate:,.0f} instead of {asked:,.0f} events/s, which the server did not keep: no verdict")
            return paced, rest
        run.say(f"not kept: {paced.words()}")
        bed.drained()
    raise Failed(f"not even {LEAST * asked:,.0f} of {asked:,.0f} events/s came: the server is the limit")


@dataclass(frozen=True)
class EpollRun:
    percent: float    # of a core
    per_s: float      # events that came
    per_cpu_s: float  # events to a second of CPU


def epoll_run(limits, sockets, rate):
    """One thread that waits with epoll, receives, and does the same parsing, at that rate of events of 3.6 KB. Plain."""
    argv = [Path(limits) / "uring_recv", "-m", "epoll", "-n", sockets, "-s", 2, "-b", 65536, "-w", 2, "-R", f"{rate:.0f}"]
    text = subprocess.run([str(a) for a in argv], capture_output=True, text=True, timeout=120).stdout
    found = re.search(r"cpu +(\d+)%.*?(\d+) events/s wall, +(\d+) events per cpu-second", text)
    if not found:
        raise Failed(f"uring_recv printed no figure: {text!r}")
    return EpollRun(*map(float, found.groups()))


def epoll_bound(run, sockets, rate):
    """CPU of epoll at that rate over as many sockets: what the goal is set beside, in both cases. None: it could not keep the rate
    either."""
    for _ in range(BOUND_TRIES):
        got = epoll_run(run.limits, sockets, rate)
        run.say(f"bound: epoll + recv over {sockets} sockets: {got.percent:.0f} % at {got.per_s:,.0f} of {rate:,.0f} events/s")
        if got.per_s >= KEPT * rate:
            return got.percent
    return None
