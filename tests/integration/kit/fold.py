"""A consumer process: `kubering watch RESOURCE -o jsonl`, whose lines are folded into one map per cluster.

The stream is checked as it comes: an object is added once, changed or deleted only if it is there, keeps its uid while it
lives, and its version only rises; after each line the folded digest is the one that the line carries (D2 of engine/ARCHITECTURE.md).
What breaks that is a breach, and a breach fails the test.
"""

import ctypes
import json
import subprocess
import threading

from .world import expect, wait_until


class Hash:
    """kr_object_hash of libkubering: the digest of a list is the sum of it (engine/shm/layout.h S4)."""

    def __init__(self, library):
        self.call = ctypes.CDLL(str(library)).kr_object_hash
        self.call.restype, self.call.argtypes = ctypes.c_uint64, [ctypes.c_char_p] * 4

    def of(self, namespace, name, uid, version):
        return self.call(namespace.encode(), name.encode(), uid.encode(), version.encode())


class Fold:
    """One cluster's list, as the lines tell it."""

    def __init__(self):
        self.items, self.digest, self.version, self.state = {}, 0, "", "OPENING"

    def set(self, hasher, key, uid, version):
        old = self.items.pop(key, None)
        if old:
            self.digest -= hasher.of(*key, *old)
        if uid is not None:
            self.items[key] = (uid, version)
            self.digest += hasher.of(*key, uid, version)


class Watch:
    """The process and its folds."""

    def __init__(self, world, daemon, resource, *flags, cluster=None):
        words = ["--cluster", cluster] if cluster else ["--all-clusters"]
        command = [world.programs.kubering, "watch", resource, *words, *flags, "-o", "jsonl", "--socket", daemon.socket]
        self.resource, self.cluster, self.hasher = resource, cluster, Hash(world.programs.library)
        self.folds, self.counts, self.breaches, self.lock = {}, {}, [], threading.Lock()
        self.marks = []  # (type, cluster) of RESET, STALE, SYNCED, LIVE
        self.process = world.start(f"watch-{resource}", command, env=daemon.environment, stdout=subprocess.PIPE)
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for text in self.process.child.stdout:
            with self.lock:
                try:
                    self.take(json.loads(text))
                except (KeyError, TypeError, ValueError) as error:
                    self.breaches.append(f"not a line of the contract: {error!r}: {text[:200]!r}")

    def take(self, line):
        kind, cluster = line["type"], line["cluster"]
        fold = self.folds.setdefault(cluster, Fold())
        self.counts[kind] = self.counts.get(kind, 0) + 1
        fold.version = line.get("resource_version") or fold.version
        if kind == "RESET":
            self.folds[cluster] = Fold()
        elif kind in ("ADDED", "MODIFIED", "DELETED"):
            self.change(fold, kind, self.metadata(line))
        elif kind not in ("SYNCED", "STALE", "LIVE"):
            raise ValueError(f"unknown type {kind}")
        fold = self.folds[cluster]
        if f"{fold.digest % 2**64:016x}" != line["digest"]:
            self.breaches.append(f"the folded digest is {fold.digest % 2**64:016x} after {json.dumps(line)[:200]}")
        if kind in ("RESET", "STALE", "SYNCED", "LIVE"):
            fold.state = kind
            self.marks.append((kind, cluster))

    def metadata(self, line):
        """Of the object that the line is about."""
        return line["object"]["metadata"]

    def change(self, fold, kind, meta):
        key = (meta.get("namespace", ""), meta["name"])
        old, uid, version = fold.items.get(key), meta.get("uid"), meta.get("resourceVersion")
        told = f"{kind} {'/'.join(key)} {uid} at {version}, held {old}"
        if (kind == "ADDED") == bool(old):
            self.breaches.append(f"{'added twice' if old else 'not there'}: {told}")
        elif kind == "MODIFIED" and (uid != old[0] or int(version) <= int(old[1])):
            self.breaches.append(f"another uid or no newer version: {told}")
        fold.set(self.hasher, key, None if kind == "DELETED" else uid, version)

    def digest(self, cluster):
        """(digest, objects), as fakekube and the daemon print it."""
        with self.lock:
            fold = self.folds.get(cluster)
            return (f"{fold.digest % 2**64:016x}", len(fold.items)) if fold else None

    def check(self):
        with self.lock:
            expect(not self.breaches, lambda: f"{self.process.name}: " + "; ".join(self.breaches[:5]))
        expect(self.process.running(), lambda: f"{self.process.name} ended with {self.process.child.returncode}: {self.process.text()}")
        return True


def wait_equal(fake, daemon, watches, resources, clusters=None, seconds=45):
    """Waits until server, status and every watch have one digest. watches: (resource, Watch) pairs."""
    clusters = clusters or fake.clusters
    def differences():
        rows = {(row["cluster"], row["resource"]): row for row in daemon.status()["lists"]}
        found = []
        for cluster in clusters:
            for resource in resources:
                server, row = fake.digest(cluster, resource), rows.get((cluster, resource), {})
                if (row.get("digest"), row.get("objects")) != server or row.get("state") != "live":
                    found.append(f"{cluster}/{resource}: server {server}, status {row.get('digest')} {row.get('objects')} "
                                 f"{row.get('state')} {row.get('last_error')}")
                found += [f"{cluster}/{resource}: server {server}, {w.process.name} {w.digest(cluster)}" for r, w in watches
                          if r == resource and w.check() and (not w.cluster or w.cluster == cluster) and w.digest(cluster) != server]
        return found
    last = []
    def equal():
        last[:] = differences()
        return not last
    wait_until(lambda: "digests equal: " + "; ".join(last[:6]), equal, seconds)
    for _, watch in watches:
        watch.check()
