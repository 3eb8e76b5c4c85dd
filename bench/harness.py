"""Runs a bench several times, two builds in turns where asked, and says what came out. `h` of headlamp.py and peers.py is a Whole."""

import json
import os
import platform
import re
import subprocess
import time
import traceback
from pathlib import Path

import goals
import report
from bed import Bed
from figures import UNCOUNTED, Failed, Figure, Result, compare, gather, must_be_built, reason

ROOT = Path(__file__).resolve().parent.parent


def output(argv):
    try:
        return subprocess.run([str(a) for a in argv], capture_output=True, text=True).stdout.strip()
    except OSError:
        return ""


def build_flags(bin_dir):
    """Flags and compiler of the daemon, as the build wrote them down."""
    file = Path(bin_dir).parent / "compile_commands.json"
    commands = [c["command"] for c in json.loads(file.read_text())] if file.exists() else []
    ours = next((c.split() for c in commands if c.endswith("engine/main/main.c")), [])
    flags = " ".join(w for w in ours[1:] if re.match(r"-(O|g|f|m|std|D(NDEBUG|KR_|_FORTIFY))", w))
    compiler = next((w for w in ours if not w.startswith("-") and "ccache" not in w and "=" not in w), "cc")
    return flags or "unknown", output([compiler, "--version"]).split("\n")[0]


SIZES = ("tls", "part", "clusters", "sockets", "rate", "strategy", "consumer_cpu")  # options that change what is measured


def machine(args, bin_dir):
    """Where, when and with what a figure was taken."""
    cpu = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    flags, compiler = build_flags(bin_dir)
    commit = output(["git", "-C", ROOT, "rev-parse", "--short", "HEAD"])
    if output(["git", "-C", ROOT, "status", "--porcelain", "--untracked-files=no"]):
        commit += "+changes"
    return {"cpu": cpu[1] if cpu else platform.machine(), "cpus": os.cpu_count(), "kernel": f"Linux {platform.release().split('-')[0]}",
            "commit": commit, "program": output([Path(bin_dir) / "kuberingd", "--version"]), "flags": flags, "compiler": compiler,
            "load_at_start": round(os.getloadavg()[0], 2), "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "runs": args.runs,
            "quick": args.quick, "limits": bool(args.limits), **{k: v for k, v in vars(args).items() if k in SIZES and v is not None},
            **({"against": ", ".join([output([args.against / "kuberingd", "--version"]), *build_flags(args.against)])} if args.against else {})}


class Run:
    """What one run of a bench may know."""

    def __init__(self, args, bin_dir, rates=None):
        self.args, self.bin, self.quick, self.limits = args, Path(bin_dir), args.quick, args.limits
        self.tls, self.part, self.clusters, self.sockets = args.tls, args.part, args.clusters, args.sockets
        self.rate, self.consumer_cpu = args.rate, args.consumer_cpu
        self.rates = {} if rates is None else rates  # of all runs: what was kept where more was asked for (pace.py)

    def words(self):
        return ("plain", "tls") if self.tls is None else ("tls",) if self.tls else ("plain",)

    @staticmethod
    def say(text):
        print("  " + text, flush=True)


class Whole:
    """For benches that alternate inside themselves (headlamp, peers): what they measure with, and where their figures go."""

    Bed, Failed, ROOT = Bed, Failed, ROOT

    def __init__(self, args):
        self.args, self.found = args, []

    def figure(self, name, values, unit, vs="none", vs_values=(), goal=None, judged=True):
        """values: those of the runs. judged: it was measured in each of them. --quick gets no verdict."""
        f = Figure(name, unit, list(values), vs, list(vs_values))
        self.found.append(f.finished(True, goal or goals.GOALS.get(name), judged and not self.args.quick))
        say_figures([f])


def say_figures(found):
    for f in found:
        if len(f.values) > 1:
            print(f.span(), flush=True)
        print(f.line(), flush=True)


def run_in_turns(measure, args):
    """Figures, merged histograms, the comparison with the other build (A B B A: what changes steadily meets both alike), and what did not
    count."""
    builds = [args.bin] + ([args.against] if args.against else [])
    results, rates = [[] for _ in builds], {}
    turns = list(zip(builds, results, ("A", "B")))
    for n in range(args.runs):
        for build, had, word in turns[::-1] if n % 2 else turns:
            print(f"  run {n + 1} of {args.runs}" + (f", {word}" if args.against else ""), flush=True)
            try:
                had.append(measure(Run(args, build, rates)))
            except UNCOUNTED as why:
                had.append(Result(problems=[reason(why)]))
    found, histograms = gather(results[0], not (args.quick or args.clusters or args.sockets or args.rate))
    against = compare(found, gather(results[1])[0]) if args.against else []
    say_figures(found + against)
    problems = dict.fromkeys(p for had in results for r in had for p in r.problems)
    return found, histograms, against, "\n".join(problems) or None


def run_whole(bench, args, h):
    if args.against:
        raise Failed("it compares in itself; --against is not for it")
    must_be_built(args.bin)
    bench(h, args)


def run_one(name, bench, args):
    """One bench to one record; a failure is one, too, with what had been counted until then."""
    where = machine(args, args.bin)
    print(f"# {name}: " + ", ".join(f"{k} {v}" for k, v in where.items()), flush=True)
    h, histograms, against, problem = Whole(args), {}, [], None
    Bed.servers = args.bin
    try:
        if bench.whole:
            run_whole(bench.function, args, h)
        else:
            h.found, histograms, against, problem = run_in_turns(bench.function, args)
    except UNCOUNTED as why:
        problem = reason(why)
    except Exception as why:  # a mistake of ours takes no other bench along, nor what this one has counted
        traceback.print_exc()
        problem = f"{type(why).__name__}: {why}"
    return report.record(where, name, h.found, histograms, against, problem)
