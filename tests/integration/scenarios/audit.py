"""The self-audit: a healthy list is never called wrong, and one that no stream could have mended is found and mended."""

import json
import socket
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor

from kit.servers import Daemon, Fakekube
from kit.world import World, expect, expect_all, need_root, wait_until

STRANGER = 65534  # nobody
SETTINGS = {"clusters": [{"context": "*", "qps": 100}]}


def audit(daemon, *words):
    """(exit status, the rows of -o json)"""
    status, text, errors = daemon.kubering("audit", *words, "-o", "json", seconds=150)
    expect(not errors, lambda: f"kubering audit: {errors}")
    return status, json.loads(text)


def counted(port):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        lines = [line for line in answer.read().decode().splitlines() if line.startswith("kubering_audits_total{")]
    return {line.split('"')[1]: int(line.split()[-1]) for line in lines}


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def healthy(programs):
    """Under constant change and by each way, again and again: equal, or no verdict with its reason."""
    with World(programs, "audit-healthy") as world:
        fake = Fakekube(world, clusters=2, objects=700, resources="pods,configmaps")  # more than one page
        port = free_port()
        daemon = Daemon(world, fake.kubeconfig, "--context", "*", "--list", "pods.v1", "--list", "configmaps.v1",
                        settings=SETTINGS | {"metrics": {"listen": f"127.0.0.1:{port}"}})
        for cluster in fake.clusters:
            for resource in ("pods", "configmaps"):
                daemon.wait_row("live", lambda row: row["state"] == "live", cluster=cluster, resource=resource)
        expect(sum(counted(port).values()) == 0, "nobody asked for an audit: by default there is none")
        fake.say("rate 1500 status=60 create=20 delete=20")
        for _ in range(6):
            status, rows = audit(daemon)
            expect(status == 0 and len(rows) == 4 and all(row["verdict"] == "equal" for row in rows), lambda: f"{status}: {rows}")
        fake.say("rate 0")
        status, rows = audit(daemon, "fake-2/pods")
        expect(status == 0 and [(r["cluster"], r["resource"]) for r in rows] == [("fake-2", "pods")], lambda: f"{rows}")
        row = daemon.row(cluster="fake-1", resource="pods")
        expect(row["audits"] == {"none": 0, "equal": 6, "different": 0} and row["relists"] == 0, lambda: f"{row}")
        status, text, errors = daemon.kubering("audit", "fake-1/pods", "fake-3/pods", seconds=60)
        expect(status == 1, f"of a cluster that is not there: {status}")
        expect_all(text + errors, "VERDICT", "equal", '"fake-3/pods"')

        def compacted():  # a bookmark in between takes the list to the version that is left
            fake.say("run fake-1 configmaps update 5")
            fake.say("compact fake-1")
            status, rows = audit(daemon, "fake-1/pods")
            expect(status == 0, "no verdict is no difference")
            return rows[0]["verdict"] == "none" and rows[0]["text"]
        expect_all(wait_until("410", compacted), "does not know version")
        numbers = counted(port)
        expect(numbers["different"] == 0 and numbers["none"] == 1 and numbers["equal"] >= 26, lambda: f"{numbers}")


def denied(programs):
    """Who may read everything may still not have the daemon ask for it again and again."""
    need_root("a consumer of another user")
    with World(programs, "audit-denied") as world:
        fake = Fakekube(world)
        realms = [{"name": "all", "allow": {"uids": [0, STRANGER]}, "lists": [{"clusters": ["*"]}]}]
        daemon = Daemon(world, fake.kubeconfig, "--list", "pods.v1", settings=SETTINGS | {"realms": realms})
        daemon.wait_row("live", lambda row: row["state"] == "live", cluster="fake-1")
        status, _, errors = daemon.kubering("get", "pods", "-A", user=STRANGER, group=STRANGER, extra_groups=[])
        expect(status == 0, f"get: {errors}")
        status, _, errors = daemon.kubering("audit", user=STRANGER, group=STRANGER, extra_groups=[])
        expect(status == 1, f"audit: {status}")
        expect_all(errors, "user or root")
        expect("audits" not in daemon.row(cluster="fake-1"), "it was audited")


def deceive(fake, daemon):
    """The server comes back from a backup, and has other objects at the versions that the list knows."""
    fake.say("run fake-1 pods update 40")
    known = daemon.wait_row("up to date", lambda row: row["digest"] == fake.digest("fake-1", "pods")[0], cluster="fake-1")
    version = int(known["resource_version"])
    fake.say("restart fake-1 2000")
    fake.say(f"restore fake-1 {version - 20}")
    fake.say("run fake-1 pods recreate 8")  # of these it is not told; of new objects it is
    for number in range(20):
        fake.say(f"create fake-1 pods ns-000/after-{number}")
    daemon.wait_row("resumed", lambda row: row["state"] == "live" and int(row["resource_version"]) > version, cluster="fake-1")
    row = daemon.row(cluster="fake-1")
    expect(row["digest"] != fake.digest("fake-1", "pods", row["resource_version"])[0] and row["relists"] == 0,
           lambda: f"it is not deceived: {row}")


def while_creating(fake, action):
    """A quiet list is judged when a bookmark has come, up to a minute later; one that goes on, at once."""
    with ThreadPoolExecutor() as pool:
        result, number = pool.submit(action), 0
        while not result.done():
            fake.say(f"create fake-1 pods ns-000/meanwhile-{number}")
            number += 1
            time.sleep(0.2)
        return result.result()


def wait_mended(fake, daemon):
    row = daemon.wait_row("mended", lambda row: row["state"] == "live" and row["digest"] == fake.digest("fake-1", "pods")[0],
                          cluster="fake-1")
    expect(row["relists"] == 1 and row["audits"]["different"] == 1, lambda: f"{row}")


def restored(programs):
    """A restore from backup that its watch could not see: found by hand, said and mended."""
    with World(programs, "audit-restored") as world:
        fake = Fakekube(world)
        daemon = Daemon(world, fake.kubeconfig, "--list", "pods.v1", settings=SETTINGS)
        daemon.wait_row("live", lambda row: row["state"] == "live", cluster="fake-1")
        deceive(fake, daemon)
        status, rows = while_creating(fake, lambda: audit(daemon, "fake-1"))
        expect(status == 1 and rows[0]["verdict"] == "different", lambda: f"{status} {rows}")
        wait_mended(fake, daemon)
        expect_all(daemon.said(), "list of pods", "an audit found")
        status, rows = audit(daemon)
        expect(status == 0 and rows[0]["verdict"] == "equal", lambda: f"{status} {rows}")


def periodic(programs):
    """The same by auditSeconds, switched on by a reload."""
    with World(programs, "audit-periodic") as world:
        fake = Fakekube(world)
        settings = {"clusters": [{"context": "*", "qps": 100, "auditSeconds": 5}]}
        daemon = Daemon(world, fake.kubeconfig, "--list", "pods.v1", settings=SETTINGS)
        daemon.wait_row("live", lambda row: row["state"] == "live", cluster="fake-1")
        deceive(fake, daemon)
        config = daemon.command[daemon.command.index("--config") + 1]
        text = json.dumps({"apiVersion": "kubering.io/v1alpha1", "kind": "Config"} | settings)
        config.write_text(text)
        status, _, errors = daemon.kubering("reload")
        expect(status == 0, f"reload: {errors}")
        while_creating(fake, lambda: daemon.wait_row("taken again", lambda row: row["relists"], cluster="fake-1"))
        wait_mended(fake, daemon)
        row = daemon.wait_row("audited again", lambda row: row.get("audits", {}).get("equal", 0) >= 2, cluster="fake-1")
        expect(row["relists"] == 1 and row["audits"]["different"] == 1, lambda: f"{row}")


SCENARIOS = {"audit.healthy": healthy, "audit.denied": denied, "audit.restored": restored, "audit.periodic": periodic}
