"""store, follow, view, get: the micro benches of the store and of libkubering, with shmcache as their bound in the same run."""

import re
import subprocess
from pathlib import Path

from figures import Failed, Result


RETAINED_MIB = 64  # limits.retainedBytes: by default, 32 MiB here, a view that takes 17 ms at 500,000 changes/s is overrun


def lines_of(argv, timeout=300):
    done = subprocess.run([str(a) for a in argv], capture_output=True, text=True, timeout=timeout)
    if done.returncode:
        raise Failed(f"{Path(str(argv[0])).name}: {done.stderr.strip() or done.stdout[-500:]}")
    return done.stdout


def number(text, pattern):
    found = re.search(pattern, text)
    if not found:
        raise Failed(f"no line like {pattern!r} in:\n{text}")
    return float(found[1])


def shmcache(run, pattern):
    """The bound's figure; it checks its own payloads ("torn 0")."""
    return number(lines_of([Path(run.limits) / "shmcache"]), pattern) if run.limits else None


def store(run):
    limit = [Path(run.limits) / "shmcache"] if run.limits else []
    text = lines_of([run.bin / "bench_micro_store", *limit])
    updates = re.findall(r"store update: (\d+) updates/s, \d+ ns per update", text)
    if len(updates) != 2:
        raise Failed(f"not two rates of updates in:\n{text}")
    small, large = map(float, updates)
    bounds = [float(n) for n in re.findall(r"bound shmcache w (\d+) updates/s", text)]
    out = Result()
    for name, value in (("store_update", large), ("store_update_small_ring", small)):
        out.add(name, value, "updates/s", "shmcache_w" if bounds else "none", max(bounds) if bounds else None)
    out.add("store_bytes_over_json", number(text, r"KiB, ([\d.]+) % over the JSON"), "%")
    out.add("store_relist_object", number(text, r"store relist: (\d+) ns per object"), "ns")
    return out


def client(run, rate, what):
    return lines_of([run.bin / "bench_micro_client", "--seconds", 0.5 if run.quick else 2, "--rate", rate, "--what", what,
                     "--retained", RETAINED_MIB])


def follow(run):
    text = client(run, "flat", "follow")
    out = Result()
    bound = shmcache(run, r"tail +writer flat out: +(\d+) changes/s")
    out.add("follow_changes", number(text, r"follow +flat out new +(\d+) changes/s"), "changes/s", "shmcache_tail" if bound else "none", bound)
    followed = r"follow +flat out new +\d+ changes/s followed, "
    out.add("follow_writer", number(text, followed + r"overruns \d+ \(writer did (\d+)/s\)"), "updates/s")
    out.add("follow_overruns", number(text, followed + r"overruns (\d+)"), "times")
    for key, words in (("new_and_old", r"flat out new\+old"), ("borrowed", "flat out borrowed")):
        out.add(f"follow_changes_{key}", number(text, rf"follow +{words} +(\d+) changes/s"), "changes/s")
    for word in ("close", "far"):
        out.add(f"follow_drain_{word}", number(text, rf"drain +{word} +new +(\d+) changes/s"), "changes/s")
    return out


ASKED = 500000  # updates/s of the writer


def beside_writer(out, name, text, line, value, unit, vs, bound):
    """A figure that is read beside the writer, and what that did: reading is cheap beside one that has no CPU, so then there is no verdict."""
    writer = number(text, line + r" .*?writer did (\d+)/s")
    out.add(name, value, unit, vs if bound else "none", bound, judged=writer >= 0.9 * ASKED)
    out.add(f"{name.removesuffix('_copied')}_writer", writer, "updates/s", "asked", ASKED)


def view(run):
    text = client(run, "500k", "view")
    bound = shmcache(run, r"snap +writer 500k/s: +([\d.]+) ms")
    out = Result()
    p50 = number(text, r"view +500k/s +\d+ objects: p50 ([\d.]+) ms")
    beside_writer(out, "view_500k", text, r"view +500k/s", p50, "ms", "shmcache_snap", bound)
    out.add("view_500k_p99", number(text, r"view +500k/s .*?p99 ([\d.]+) ms"), "ms")
    return out


def get(run):
    text = client(run, "500k", "get")
    bound = shmcache(run, r"get +writer 500k/s: .*?(\d+) ns each")
    out = Result()
    each = number(text, r"get +500k/s +copied .*?(\d+) ns each")
    beside_writer(out, "get_copied", text, r"get +500k/s +copied", each, "ns", "shmcache_get", bound)
    out.add("get_copied_cpu", number(text, r"get +500k/s +copied .*?cpu +(\d+)\)"), "ns")
    out.add("get_borrowed", number(text, r"get +500k/s +borrowed .*?(\d+) ns each"), "ns")
    return out
