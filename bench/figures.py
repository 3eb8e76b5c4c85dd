"""Figures: values of several runs and what they are measured beside, histograms, and the line that says them."""

import statistics
import subprocess
from dataclasses import dataclass, field

import goals

SUB_BITS = 6  # buckets to a power of two: 64, as in e2e/histogram.h
PERCENTILES = ((50, "p50"), (90, "p90"), (99, "p99"), (99.9, "p99.9"))


def readable(v):
    return f"{v:,.0f}" if abs(v) >= 1000 else f"{v:.4g}"


BUILD_COMMAND = "cmake --preset release && cmake --build --preset release"


class Failed(Exception):
    """The figure does not count: something did not start, or the oracle differs."""


UNCOUNTED = (Failed, OSError, subprocess.TimeoutExpired)  # end a run, a part of it or a peer, and nothing else


def reason(why):
    """What is said of one of them."""
    if isinstance(why, FileNotFoundError) and why.filename:
        return f"{why.filename} is not there; what this repository builds: {BUILD_COMMAND}"
    return str(why) or type(why).__name__


def must_be_built(bin_dir):
    """What every bench needs that starts a daemon."""
    missing = [name for name in ("fakekube", "kuberingd", "bench_probe") if not (bin_dir / name).exists()]
    if missing:
        raise Failed(f"{', '.join(missing)}: not in {bin_dir}; to build them: {BUILD_COMMAND}")


class Histogram:
    """Log-linear buckets, as e2e/histogram.h prints them: LOW:COUNT, where LOW is the bucket's smallest value."""

    def __init__(self, buckets=None, largest=0):
        self.buckets, self.max = dict(buckets or {}), largest

    @staticmethod
    def read(text):
        """All "hist NAME max M LOW:COUNT ..." lines of a text, by name."""
        out = {}
        for words in (line.split() for line in text.splitlines() if line.startswith("hist ")):
            pairs = (w.split(":") for w in words[4:])
            out[words[1]] = Histogram({int(low): int(n) for low, n in pairs}, int(words[3]))
        return out

    @property
    def count(self):
        return sum(self.buckets.values())

    def add(self, other):
        for low, n in other.buckets.items():
            self.buckets[low] = self.buckets.get(low, 0) + n
        self.max = max(self.max, other.max)

    def percentile(self, p):
        """The largest value of the bucket in which it lies: never better than it was."""
        rank, seen = max(1, -(-self.count * p // 100)), 0
        for low in sorted(self.buckets):
            seen += self.buckets[low]
            if seen >= rank:
                return min(self.max, low + max(1, 1 << max(0, low.bit_length() - 1 - SUB_BITS)) - 1)
        return 0

    def words(self, unit=1000):
        return ", ".join(f"{word} {self.percentile(p) / unit:,.1f}" for p, word in PERCENTILES) + f", max {self.max / unit:,.1f}"


@dataclass
class Sample:
    """One run's value of a figure."""
    value: float
    unit: str
    vs: str = "none"
    vs_value: float | None = None
    same: bool = True  # the two can be divided by each other
    judged: bool = True  # it was measured at the size, or rate, that its goal means
    load: float | None = None  # events/s that it was measured at, where that is not always what was asked for


@dataclass
class Result:
    """What one run of a bench measured, by name."""
    samples: dict = field(default_factory=dict)
    histograms: dict = field(default_factory=dict)
    problems: list = field(default_factory=list)

    def add(self, name, value, unit, vs="none", vs_value=None, same=True, judged=True, load=None):
        self.samples[name] = Sample(float(value), unit, vs, None if vs_value is None else float(vs_value), same, judged, load)

    def histogram(self, name, h):
        self.histograms[name] = h

    def part(self, measure, *args):
        """A part that does not count takes the others not with it: measure(self, *args) adds when it is done."""
        try:
            measure(self, *args)
        except UNCOUNTED as why:
            self.problems.append(reason(why))


@dataclass
class Figure:
    """A figure over all runs: medians, and the ratio of the medians."""
    name: str
    unit: str
    values: list
    vs: str = "none"
    vs_values: list = field(default_factory=list)
    ratio: float | None = None
    goal: str | None = None
    ok: bool | None = None
    load: float | None = None

    @staticmethod
    def of(name, samples, judged=True):
        """From the samples of the runs. Where they are of several loads, those of the least count: medians are of one load."""
        judged = judged and all(s.judged for s in samples)
        load = min((s.load for s in samples if s.load is not None), default=None)
        samples = [s for s in samples if s.load in (None, load)]
        first = next((s for s in samples if s.vs_value is not None), samples[0])
        beside = [s.vs_value for s in samples if s.vs_value is not None]
        return Figure(name, first.unit, [s.value for s in samples], first.vs, beside, load=load).finished(first.same, goals.GOALS.get(name), judged)

    def finished(self, same=True, goal=None, judged=True):
        """With the ratio of the medians, if the two can be divided, and with its goal. judged: it was measured in every run, at the size
        that the goal means."""
        if same and self.vs_value:
            self.ratio = self.value / self.vs_value
        if goal:
            self.goal, self.ok = str(goal), goal.met(self.value, self.ratio) if judged else None
        return self

    @property
    def value(self):
        return statistics.median(self.values)

    @property
    def vs_value(self):
        return statistics.median(self.vs_values) if self.vs_values else 0

    def line(self):
        """The line for machines; its words and their order are a contract."""
        ratio = "-" if self.ratio is None else f"{self.ratio:.3g}"
        verdict = "-" if self.ok is None else "ok" if self.ok else "short"
        return (f"figure {self.name} {self.value:.6g} {self.unit} vs {self.vs} {self.vs_value:.6g} ratio {ratio} "
                f"goal {self.goal or '-'} {verdict}")

    def span(self):
        """Range of the runs, for readers."""
        text = f"  {self.name}: {len(self.values)} runs, {min(self.values):.6g} to {max(self.values):.6g} {self.unit}"
        if len(self.vs_values) > 1:
            text += f"; {self.vs} {min(self.vs_values):.6g} to {max(self.vs_values):.6g}"
        return text

    def plain(self):
        """For JSON."""
        return {"name": self.name, "unit": self.unit, "value": self.value, "values": self.values, "min": min(self.values),
                "max": max(self.values), "vs": self.vs, "vs_value": self.vs_value, "vs_values": self.vs_values, "ratio": self.ratio,
                "goal": self.goal, "ok": self.ok, "load": self.load}


def gather(results, judged=True):
    """Figures and merged histograms of the runs' results, in the order in which they were measured. A figure that a run lacks, because it
    did not count there, has no verdict: the runs that are left may be those that went well."""
    names = list(dict.fromkeys(name for r in results for name in r.samples))
    found = [Figure.of(name, [r.samples[name] for r in results if name in r.samples], judged and all(name in r.samples for r in results))
             for name in names]
    histograms = {}
    for r in results:
        for name, h in r.histograms.items():
            histograms.setdefault(name, Histogram()).add(h)
    return found, histograms


def compare(ours, theirs):
    """The same figures of two builds, one line each: `figure NAME_against ...`. No ratio where one of them was measured at less load."""
    by_name = {f.name: f for f in theirs}
    return [Figure(f.name + "_against", f.unit, f.values, "against", by_name[f.name].values).finished(f.load == by_name[f.name].load)
            for f in ours if f.name in by_name]
