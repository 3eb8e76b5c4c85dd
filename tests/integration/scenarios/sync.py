"""Three clusters, four resources, 2,000 random writes, cut connections and a compaction: at the end the server, the status
of the daemon and the folded state of consumer processes have one digest, and whatever a list said on the way was true."""

import functools
import random

from kit.fold import Watch, wait_equal
from kit.servers import Daemon, Fakekube
from kit.world import World, expect, need_ring

RESOURCES = ("pods", "configmaps", "deployments", "nodes")
VERBS = ("update", "update", "status", "create", "delete", "recreate", "labels")
WRITES, STEP = 2000, 10
IO_NAMES = {"uring": "io_uring", "epoll": "epoll"}


# What breaks after which batch. Few, because back-off grows with each failure that follows another.
BREAKS = {20: ["cut fake-1 rst pods"], 50: ["cut fake-2 fin"], 80: ["cut * cut"], 110: ["compact *", "cut * rst"],
          150: ["cut fake-3 rst", "cut fake-1 fin nodes"], 190: ["cut fake-2 rst deployments"]}
SETTLE = {0, 40, 70, 100, 140, 180}


def write(fake, draw, check, settle):
    """Random writes in small batches; after some of them something breaks as well."""
    for batch in range(WRITES // STEP):
        fake.say(f"run {draw.choice(fake.clusters)} {draw.choice(RESOURCES)} {draw.choice(VERBS)} {STEP}")
        for command in BREAKS.get(batch, ()):
            fake.say(command)
        if batch % 8 == 0:
            check()
        if batch in SETTLE:
            settle()


def check_truth(fake, daemon, seen):
    """Each row of the status is what the server was at the version that the row names (M2), also in the middle of it all."""
    for row in daemon.status()["lists"]:
        horizon = int(fake.fields(f"rv {row['cluster']}")["horizon"])  # what was compacted away cannot be asked for
        if row.get("whole") and int(row["resource_version"]) >= horizon:
            server = fake.digest(row["cluster"], row["resource"], row["resource_version"])
            expect(server == (row["digest"], row["objects"]), lambda: f"at {row['resource_version']} the server was {server}, not {row}")
            seen.add((row["cluster"], row["resource"], row["resource_version"]))


def sync(programs, io, tls):
    if io == "uring":
        need_ring()
    with World(programs, f"sync-{io}") as world:
        fake = Fakekube(world, clusters=3, objects=60, resources=",".join(RESOURCES), tls=tls)
        daemon = Daemon(world, fake.kubeconfig, "--context", "*", "--list", "pods.v1", "--io", io,
                        settings={"clusters": [{"context": "*", "qps": 100}]})
        expect(daemon.status()["io"]["kind"] == IO_NAMES[io], lambda: f"asked for {io}: {daemon.status()['io']}")
        watches = [(r, Watch(world, daemon, r, *([] if r == "nodes" else ["-A"]))) for r in RESOURCES]
        wait_equal(fake, daemon, watches, RESOURCES)
        seen = set()
        write(fake, random.Random(11), lambda: check_truth(fake, daemon, seen), lambda: wait_equal(fake, daemon, watches, RESOURCES))
        wait_equal(fake, daemon, watches, RESOURCES)
        expect(len(seen) >= 40, f"only {len(seen)} positions were compared")
        rows = daemon.status()["lists"]
        expect(len(rows) == len(RESOURCES) * 3, f"{len(rows)} lists are open")
        expect(sum(row["relists"] for row in rows) > 0, "the compaction forced no relist")
        stale = [mark for _, watch in watches for mark in watch.marks if mark[0] == "STALE"]
        expect(len(stale) >= len(BREAKS), f"the cuts were not noticed: {stale}")
        status, text, errors = daemon.kubering("status", "-o", "json")
        expect(status == 0 and '"digest"' in text, f"kubering status: {status} {errors}")
        fired = int(fake.fields("stats")["requests"])
        expect(fired > 30, f"the cuts led to {fired} requests only")
        expect(daemon.end() == 0, "SIGTERM: exit status")


SCENARIOS = {f"sync.{io}.{'tls' if tls else 'plain'}": functools.partial(sync, io=io, tls=tls)
             for io in ("uring", "epoll") for tls in (True, False)}
