"""Clusters behind a Headlamp backend: found when it answers, watched through it, and what is told while it does not. Which way
the watches take is the daemon's choice here."""

import json
import re
import socket

from kit.fold import Watch
from kit.servers import TOKEN, Daemon, Fakekube
from kit.world import World, expect, expect_all, wait_until


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def hub(port, **more):
    return {"name": "hub", "qps": 100, "headlamp": {"url": f"http://127.0.0.1:{port}", "backendToken": TOKEN} | more}


def backend(daemon):
    return daemon.status()["backends"][0]


def equal(fake, daemon, clusters):
    def same():
        rows = {row["cluster"]: row for row in daemon.rows(resource="pods")}
        return all(c in rows and rows[c]["state"] == "live" and (rows[c]["digest"], rows[c]["objects"]) == fake.digest(c, "pods")
                   for c in clusters)
    wait_until(lambda: f"the lists are the server's: {json.dumps(daemon.rows(resource='pods'))}", same, 40)


def found(programs):
    with World(programs, "headlamp") as world:
        port = free_port()
        nothing = world.file("none.yaml", "apiVersion: v1\nkind: Config\n")
        daemon = Daemon(world, nothing, settings={"clusters": [hub(port, contexts=["fake-[12]"])], "lists": [{"resource": "pods"}]})
        status, _, text = daemon.kubering("get", "pods", "-A", "--cluster", "fake-1")
        expect(status == 1, f"exit {status}")
        expect_all(text, "fake-1", 'backend "hub" has not answered yet')
        print("    before:", text.strip())
        expect(daemon.kubering("doctor")[0] == 1, "doctor finds nothing wrong with a backend that is away")
        fake = Fakekube(world, "--headlamp", port, "--headlamp-token", TOKEN, clusters=3, tls=False)
        wait_until("the backend's clusters are known", lambda: daemon.cluster("fake-2"), 40)
        names = [c["name"] for c in daemon.status()["clusters"]]
        expect(names == ["fake-1", "fake-2"], f"{names}")
        equal(fake, daemon, names)
        row = daemon.cluster("fake-1")
        expect(row["backend"] == "hub" and f":{port}/clusters/fake-1" in row["server"], json.dumps(row))
        expect(daemon.kubering("doctor")[0] == 0, "doctor")
        expect(re.search(r"^hub +true +3 +2 ", daemon.kubering("status")[1], re.M), daemon.kubering("status")[1])
        watch = Watch(world, daemon, "pods", "-A", cluster="fake-1")
        fake.say("run fake-1 pods update 30")
        wait_until("changes come through", lambda: watch.check() and watch.digest("fake-1") == fake.digest("fake-1", "pods"))
        fake.say("headlamp restart 500")
        fake.say("run fake-1 pods delete 5")
        equal(fake, daemon, names)
        wait_until("the consumer too", lambda: watch.check() and watch.digest("fake-1") == fake.digest("fake-1", "pods"))
        expect(TOKEN not in daemon.said() + json.dumps(daemon.status()), "the token is in the log or the status")
        expect(daemon.end() == 0, "SIGTERM: exit status")


def refused(programs):
    """A wrong token, and a name that is taken."""
    with World(programs, "headlamp") as world:
        port = free_port()
        fake = Fakekube(world, "--headlamp", port, "--headlamp-token", TOKEN, clusters=2, tls=False)
        settings = {"clusters": [hub(port), {"context": "fake-1", "qps": 100}]}
        daemon = Daemon(world, fake.kubeconfig, settings=settings)
        wait_until("all are known", lambda: daemon.cluster("fake-2"))
        names = {c["name"]: c.get("backend") for c in daemon.status()["clusters"]}
        expect(names == {"fake-1": None, "fake-2": "hub", "hub/fake-1": "hub"}, f"{names}")
        for name in names:
            status, text, errors = daemon.kubering("get", "pods", "-A", "--cluster", name, "-o", "name")
            expect(status == 0 and len(re.findall("pod", text)) >= 50, f"{name}: exit {status}: {errors}")
        daemon.end()
        settings["clusters"][0]["headlamp"]["backendToken"] = "wrong"
        daemon = Daemon(world, fake.kubeconfig, settings=settings)
        error = wait_until("it is refused", lambda: backend(daemon)["last_error"])
        expect_all(error["text"], "403", "headlamp.backendToken")
        print("    status:", error["text"])
        expect_all(daemon.said(), "has not answered yet")
        expect(daemon.kubering("get", "pods", "-A", "--cluster", "fake-1")[0] == 0, "the kubeconfig's own cluster suffers")


SCENARIOS = {"headlamp.found": found, "headlamp.refused": refused}
