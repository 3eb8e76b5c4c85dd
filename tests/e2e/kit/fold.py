#!/usr/bin/env -S python3 -B
"""A consumer of kubering in a process of its own: fold.py KUBERING VIEW..., with the socket in KUBERING_SOCKET.

For each view it runs `kubering watch ... -o jsonl` and folds what it prints into a map. It checks the stream as it goes: an
object is added once, modified or deleted only if it is there, keeps its uid while it lives, and its resourceVersion only
rises. A line that breaks this is a breach, and a breach fails the test.

Commands and answers are those of the witness (../witness/main.go): `wait NAME RV SECONDS`, `dump NAME`; and `state NAME`:
one line for each breach, then "= ok STATE COUNTS".
"""

import collections
import subprocess
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from kit import canon
from kit.process import end_with_parent

BREACHES_MAX = 20


class Fold:
    def __init__(self, kubering, view):
        self.view, self.changed = view, threading.Condition()
        self.lines, self.breaches, self.counts = {}, [], collections.Counter()
        self.version, self.state, self.ended = 0, "OPENING", False
        command = [kubering, "watch", *view.cli, "-o", "jsonl"]
        self.child = subprocess.Popen(command, stdout=subprocess.PIPE, preexec_fn=end_with_parent)
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for text in self.child.stdout:
            with self.changed:
                try:
                    self.take(canon.load(text))
                except (KeyError, TypeError, ValueError) as error:
                    self.breach(f"not a line of the contract: {error!r}: {text[:200]!r}")
                self.changed.notify_all()
        with self.changed:
            self.breach(f"kubering watch ended with {self.child.wait()}")
            self.ended = True
            self.changed.notify_all()

    def breach(self, text):
        if len(self.breaches) < BREACHES_MAX:
            self.breaches.append(f"{self.view.name}: {text}")

    def take(self, entry):
        kind, version = entry["type"], entry.get("resource_version")
        self.counts[kind] += 1
        if kind == "RESET":
            self.lines.clear()
        elif kind in ("ADDED", "MODIFIED", "DELETED"):
            self.change(kind, entry["object"])
        elif kind not in ("SYNCED", "STALE", "LIVE"):
            self.breach(f"unknown type {kind}")
        if kind in ("RESET", "STALE", "SYNCED", "LIVE"):
            self.state = kind
        if version:
            self.version = int(version) if kind == "RESET" else max(self.version, int(version))

    def change(self, kind, item):
        meta = item["metadata"]
        key = (meta.get("namespace", ""), meta["name"])
        old = self.lines.get(key)
        told = f"{kind} {'/'.join(key)} {meta.get('uid')} at {meta.get('resourceVersion')}, held: {old and old[2:4]}"
        if kind == "ADDED":
            if old:
                self.breach(f"added twice: {told}")
        elif not old:
            self.breach(f"not there: {told}")
        elif meta.get("uid", old[2]) != old[2]:
            self.breach(f"another uid: {told}")
        elif kind == "MODIFIED" and int(meta["resourceVersion"]) <= int(old[3]):
            self.breach(f"no newer version: {told}")
        if kind == "DELETED":  # found by a relist, it may have no more than a name
            self.lines.pop(key, None)
        else:
            self.lines[key] = canon.line(self.view, item).split("\t")

    def wait(self, version, seconds):
        deadline = time.monotonic() + seconds
        with self.changed:
            while self.version < version and not self.ended and (left := deadline - time.monotonic()) > 0:
                self.changed.wait(left)
            why = "ended" if self.ended else "timeout"
            return "= ok" if self.version >= version else f"= {why} at {self.version}"

    def answer(self, verb, words):
        if verb == "wait":
            return [self.wait(int(words[0]), float(words[1]))]
        with self.changed:
            if verb == "dump":
                return [*sorted("\t".join(entry) for entry in self.lines.values()), f"= ok {self.version}"]
            if verb == "state":
                counts = " ".join(f"{kind}={count}" for kind, count in sorted(self.counts.items()))
                return [*self.breaches, f"= ok {self.state} {counts}"]
        raise ValueError(f"unknown command {verb}")


if __name__ == "__main__":
    folds = {view.name: Fold(sys.argv[1], view) for view in map(canon.View.parse, sys.argv[2:])}
    for command in sys.stdin:
        verb, name, *words = command.split()
        print(*folds[name].answer(verb, words), sep="\n", flush=True)
