"""What tools/demo shows once the programs are built. The consumers are those of the integration tests."""

import argparse
import collections
import signal
import sys
import time
from pathlib import Path
from types import SimpleNamespace

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "integration"))
from kit.fold import Watch, wait_equal
from kit.servers import Daemon, Fakekube
from kit.world import Failed, World, expect, wait_until

CLUSTERS, OBJECTS, RATE = 3, 400, 50
MIX = "status=5 update=2 labels=2 create=1 delete=1 recreate=1"
LINES_PER_SECOND = 3
FIELDS_SHOWN, VALUE_SHOWN = 2, 24
QUIET = ("resourceVersion", "fakekube.io/sent-ns", "fakekube.io/wrote-ns")  # they change with every write
BOLD, DIM, GREEN, RED, PLAIN = ("\033[1m", "\033[2m", "\033[32m", "\033[31m", "\033[0m") if sys.stdout.isatty() else [""] * 5


def say(text):
    print(text, flush=True)


def short(value):
    text = "(none)" if value is None else str(value)
    return text if len(text) <= VALUE_SHOWN else text[:VALUE_SHOWN - 3] + "..."


def merge(target, patch, path=()):
    """RFC 7386; yields (path, old, new) of each leaf that changed."""
    for name, value in patch.items():
        old = target.get(name)
        if isinstance(value, dict) and isinstance(old, dict):
            yield from merge(old, value, (*path, name))
            continue
        if value is None:
            target.pop(name, None)
        else:
            target[name] = value
        yield from leaves(".".join((*path, name)), old, value)


def leaves(path, old, new):
    """The patch replaces arrays as a whole; a person wants to see what changed inside."""
    if isinstance(old, dict) and isinstance(new, dict):
        for name in sorted(old.keys() | new.keys()):
            yield from leaves(f"{path}.{name}", old.get(name), new.get(name))
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for i, (a, b) in enumerate(zip(old, new)):
            yield from leaves(f"{path}[{i}]", a, b)
    elif old != new:
        yield path, old, new


class DiffWatch(Watch):
    """`kubering watch --diff -o jsonl`: holds whole objects and changes them by the patches that come."""

    def __init__(self, *arguments, **options):
        self.objects, self.shown = {}, collections.deque(maxlen=LINES_PER_SECOND)
        super().__init__(*arguments, **options)

    def metadata(self, line):
        if "patch" not in line:
            found = line["object"]
            meta = found["metadata"]
            self.objects[meta.get("namespace", ""), meta["name"]] = found
            if line["resource_version"]:  # not of the first set
                self.shown.append(f"{meta.get('namespace', '')}/{meta['name']}  {line['type'].lower()}")
            return meta
        held = self.objects[line["namespace"], line["name"]]
        leaves = [leaf for leaf in merge(held, line["patch"]) if not leaf[0].endswith(QUIET)]
        told = [f"{path}: {short(old)} -> {short(new)}" for path, old, new in leaves[:FIELDS_SHOWN]]
        if len(leaves) > FIELDS_SHOWN:
            told.append(f"{len(leaves) - FIELDS_SHOWN} more")
        if told:
            self.shown.append(f"{line['namespace']}/{line['name']}  {', '.join(told)}")
        return held["metadata"]

    def take_shown(self):
        with self.lock:
            lines = list(self.shown)
            self.shown.clear()
        return lines


def follow(watches, diff, until, begun):
    """Prints a few changes each second, and the states of lists as they change."""
    marks = [len(watch.marks) for watch in watches]
    while (left := until - time.monotonic()) > 0:
        time.sleep(min(1.0, left))
        at = f"{DIM}{time.monotonic() - begun:5.1f}s{PLAIN}"
        for line in diff.take_shown():
            say(f"{at}  fake-1 {line}")
        for i, watch in enumerate(watches):
            watch.check()
            new, marks[i] = watch.marks[marks[i]:], len(watch.marks)
            for kind, cluster in new:
                if kind != "SYNCED":
                    say(f"{at}  {BOLD}{cluster} {watch.resource}: {kind.lower()}{PLAIN}")


def table(fake, consumers):
    """The proof: what each consumer folded from its lines beside what the server has. True: all are equal."""
    row = "  {:<26} {:<8} {:>7} {:>9}  {:<16}  {:<16}  {}"
    say(f"{BOLD}{row.format('CONSUMER', 'CLUSTER', 'OBJECTS', 'VERSION', 'ITS DIGEST', 'SERVER', '').rstrip()}{PLAIN}")
    good = True
    for title, watch in consumers:
        for cluster in [watch.cluster] if watch.cluster else fake.clusters:
            server, (digest, count) = fake.digest(cluster, watch.resource), watch.digest(cluster)
            same = server == (digest, count)
            good = good and same
            verdict = f"{GREEN}ok{PLAIN}" if same else f"{RED}DIFFERENT{PLAIN}"
            say(row.format(title, cluster, count, watch.folds[cluster].version, digest, server[0], verdict))
    return good


def show(world, seconds):
    begun = time.monotonic()
    say(f"Starting {CLUSTERS} clusters with {OBJECTS} pods and {OBJECTS} configmaps each (fakekube: TLS, bearer token), kuberingd,")
    say(f"and three consumer processes of the CLI; everything lies in {world.folder}")
    fake = Fakekube(world, clusters=CLUSTERS, objects=OBJECTS, resources="pods,configmaps")
    daemon = Daemon(world, fake.kubeconfig, "--context", "*")
    pods, diff, maps = Watch(world, daemon, "pods", "-A"), DiffWatch(world, daemon, "pods", "-A", "--diff", cluster="fake-1"), \
        Watch(world, daemon, "configmaps", "-A")
    consumers = [("watch pods", pods), ("watch pods --diff", diff), ("watch configmaps", maps)]
    pairs, resources = [(w.resource, w) for _, w in consumers], ["pods", "configmaps"]
    wait_equal(fake, daemon, pairs, resources)
    status = daemon.status()
    say(f"In sync after {time.monotonic() - begun:.1f} s: {sum(r['objects'] for r in status['lists'])} objects in {len(status['lists'])} lists, "
        f"one copy of each for {len(status['consumers']) - 1} consumers ({status['io']['kind']}).")
    say(f"Now {RATE} writes per second; of the field-level changes that the second consumer prints, here are a few:")
    fake.say(f"rate {RATE} {MIX}")
    cut_at = begun + max(seconds * 0.5, time.monotonic() - begun + 1)
    follow([pods, maps], diff, cut_at, begun)
    seen = len(pods.marks)
    fake.say("cut fake-2 rst")
    cut = time.monotonic()
    say(f"{BOLD}The connections to fake-2 are cut (RST).{PLAIN} The lists go on from the version that they have:")
    wait_until("fake-2 is live again", lambda: pods.check() and ("LIVE", "fake-2") in pods.marks[seen:], 45)
    say(f"       fake-2 was stale for consumers and is live again after {time.monotonic() - cut:.1f} s")
    follow([pods, maps], diff, begun + seconds - 2, begun)
    fake.say("rate 0")
    say("The writes have stopped. What each consumer has folded from its lines, against what the server has:")
    try:
        wait_equal(fake, daemon, pairs, resources)
    except Failed as late:
        say(str(late))
    good = table(fake, consumers)
    for _, watch in consumers:
        watch.check()
    expect(daemon.end() == 0, "kuberingd did not stop in order")
    changes = sum(watch.counts.get(kind, 0) for _, watch in consumers for kind in ("ADDED", "MODIFIED", "DELETED"))
    say(f"{'All equal' if good else 'NOT equal'} after {changes} lines in {time.monotonic() - begun:.0f} s.")
    return 0 if good else 1


def end(*_):
    sys.exit(1)


def main():
    parser = argparse.ArgumentParser(prog="tools/demo", description=__doc__)
    parser.add_argument("--seconds", type=int, default=20, help="how long to watch (default 20)")
    parser.add_argument("--build", type=Path, default=ROOT / "build" / "release", help=argparse.SUPPRESS)
    options = parser.parse_args()
    binaries = options.build / "bin"
    programs = SimpleNamespace(kuberingd=binaries / "kuberingd", kubering=binaries / "kubering", fakekube=binaries / "fakekube",
                               library=options.build / "lib" / "libkubering.so")
    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # also where a shell has put us into the background
    try:
        with World(programs, "demo") as world:
            return show(world, options.seconds)
    except KeyboardInterrupt:
        say("stopped")
        return 130
    except Failed as failed:
        say(f"demo: {failed}")
        return 1


if __name__ == "__main__":
    sys.exit(main())
