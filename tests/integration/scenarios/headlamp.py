"""Clusters behind a Headlamp backend: found when it answers, watched through it, and what is told while it does not. Which way
the watches take is the daemon's choice here, but for `ways`: every way at once, to the same clusters."""

import json
import re

from kit.fold import Watch
from kit.servers import TOKEN, Daemon, Fakekube, kubeconfig
from kit.world import World, expect, expect_all, free_port, wait_until


def hub(port, **more):
    return {"name": "hub", "qps": 100, "headlamp": {"url": f"http://127.0.0.1:{port}", "backendToken": TOKEN} | more}


def backend(daemon):
    return daemon.status()["backends"][0]


def equal(fake, daemon, clusters, seconds=40):
    def same():
        rows = {row["cluster"]: row for row in daemon.rows(resource="pods")}
        return all(c in rows and rows[c]["state"] == "live" and (rows[c]["digest"], rows[c]["objects"]) == fake.digest(c, "pods")
                   for c in clusters)
    wait_until(lambda: f"the lists are the server's: {json.dumps(daemon.rows(resource='pods'))}", same, seconds)


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


WAYS = ("multiplexed", "legacy", "http", "direct", "websocket")
WAYS_RESOURCES = ("pods", "configmaps")


def ways_settings(fake, port):
    """Every cluster five times: by way of the backend as WAY/fake-N, straight as direct-N and websocket-N."""
    clusters = [hub(port) | {"name": way, "strategy": way} for way in WAYS[:3]]
    clusters += [{"context": f"{way}-*", "strategy": way, "qps": 100} for way in WAYS[3:]]
    contexts = {f"{way}-{n[5:]}": (fake.entry(n), {}) for way in WAYS[3:] for n in fake.clusters}
    contexts |= {n: (fake.entry(n), {}) for n in fake.clusters}  # takes the short names: the same in every run
    clusters.append({"context": "fake-*", "qps": 100})
    return kubeconfig(contexts), clusters


def ways_names(fake):
    """name of the daemon -> (way, cluster of the server)"""
    names = {f"{way}/{n}": (way, n) for way in WAYS[:3] for n in fake.clusters}
    return names | {f"{way}-{n[5:]}": (way, n) for way in WAYS[3:] for n in fake.clusters}


def ways_equal(fake, daemon, watches, names):
    """Server, status and the list's own consumer have one digest."""
    def differences():
        rows = {(row["cluster"], row["resource"]): row for row in daemon.status()["lists"]}
        found = []
        for (name, resource), watch in watches.items():
            server, row = fake.digest(names[name][1], resource), rows.get((name, resource), {})
            status = (row.get("digest"), row.get("objects"))
            if not watch.check() or row.get("state") != "live" or not server == status == watch.digest(name):
                found.append(f"{name}/{resource}: server {server}, status {status} {row.get('state')} {row.get('last_error')}, "
                             f"consumer {watch.digest(name)}")
        return found
    last = []
    def equal():
        last[:] = differences()
        return not last
    wait_until(lambda: "one digest everywhere: " + "; ".join(last[:6]), equal, 45)


def ways(programs):
    """The same clusters over every way at once; the backend restarts, and nothing is listed again."""
    with World(programs, "headlamp-ways") as world:
        port = free_port()
        fake = Fakekube(world, "--headlamp", port, "--headlamp-token", TOKEN, clusters=2, tls=False,
                        resources=",".join(WAYS_RESOURCES))
        config, clusters = ways_settings(fake, port)
        daemon = Daemon(world, world.file("ways.yaml", config), settings={"clusters": clusters})
        names = ways_names(fake)
        wait_until("all are known", lambda: all(daemon.cluster(name) for name in names))
        watches = {(name, resource): Watch(world, daemon, resource, "-A", cluster=name)
                   for name in names for resource in WAYS_RESOURCES}
        ways_equal(fake, daemon, watches, names)
        taken = {name: daemon.cluster(name)["strategy"] for name in names}
        expect(taken == {name: way for name, (way, _) in names.items()}, f"the ways: {taken}")
        watched = int(fake.fields("headlamp status")["watches"])
        expect(watched == len(fake.clusters) * len(WAYS_RESOURCES), f"{watched} watches on the multiplexer")
        before = relists(daemon)

        ways_write(fake)
        ways_equal(fake, daemon, watches, names)
        fake.say("headlamp restart 500")
        ways_write(fake)
        wait_until("the backend's lists noticed", lambda: all(("STALE", name) in watch.marks
                                                              for (name, _), watch in watches.items() if "/" in name))
        ways_equal(fake, daemon, watches, names)
        ways_write(fake)
        ways_equal(fake, daemon, watches, names)
        expect(relists(daemon) == before, lambda: f"a restart cost a relist: {before} before, {relists(daemon)} after")
        expect(int(fake.fields("headlamp status")["watches"]) == watched, "watches were left behind on the multiplexer")
        expect(daemon.end() == 0, "SIGTERM: exit status")


def ways_write(fake):
    for cluster in fake.clusters:
        for resource in WAYS_RESOURCES:
            for verb in ("update", "create", "delete", "recreate", "labels"):
                fake.say(f"run {cluster} {resource} {verb} 10")


def blocked(programs):
    """A cluster hangs and its dial blocks the multiplexer for 45 s; a restart of the backend must not make it block the next socket."""
    with World(programs, "headlamp") as world:
        port = free_port()
        fake = Fakekube(world, "--headlamp", port, "--headlamp-token", TOKEN, clusters=2, tls=False)
        nothing = world.file("none.yaml", "apiVersion: v1\nkind: Config\n")
        settings = {"clusters": [hub(port) | {"strategy": "multiplexed"}], "lists": [{"resource": "pods"}]}
        daemon = Daemon(world, nothing, settings=settings)
        wait_until("all are known", lambda: daemon.cluster("fake-2"))
        equal(fake, daemon, fake.clusters)
        before = relists(daemon)
        fake.say("headlamp context fake-2 hang")
        fake.say("run fake-2 pods update 1")  # it has just shown that it lives, so it is asked without a probe
        fake.say("cut fake-2 rst")
        wait_until("its dial blocks", lambda: fake.fields("headlamp status")["dialing"] == "1")
        fake.say("run fake-1 pods update 20")
        equal(fake, daemon, ["fake-1"])
        fake.say("headlamp restart 300")
        fake.say("run fake-1 pods update 20")
        equal(fake, daemon, ["fake-1"], seconds=25)
        row = daemon.row(cluster="fake-2")
        expect(row["state"] != "live" and row["last_error"], f"it cannot be up to date: {row}")
        expect(relists(daemon) == before, lambda: f"a relist: {before} before, {relists(daemon)} after")
        fake.say("headlamp context fake-2 ok")
        equal(fake, daemon, fake.clusters)
        expect(daemon.end() == 0, "SIGTERM: exit status")


def token(programs):
    """Clusters that ask for a token which the backend's kubeconfig does not give the multiplexer (BM-11): it goes as the backend's
    cookie, on the shared socket for all contexts at once."""
    with World(programs, "headlamp") as world:
        port = free_port()
        fake = Fakekube(world, "--headlamp", port, "--token", TOKEN, clusters=2, tls=False)
        file = world.file("token", TOKEN + "\n")
        nothing = world.file("none.yaml", "apiVersion: v1\nkind: Config\n")
        entry = {"name": "hub", "qps": 100, "headlamp": {"url": f"http://127.0.0.1:{port}", "clusterTokenFile": str(file)}}
        settings = {"clusters": [entry | {"strategy": "multiplexed"}], "lists": [{"resource": "pods"}]}
        daemon = Daemon(world, nothing, settings=settings)
        wait_until("all are known", lambda: daemon.cluster("fake-2"))
        equal(fake, daemon, fake.clusters)
        before = relists(daemon)
        fake.say("run fake-2 pods update 20")
        equal(fake, daemon, fake.clusters)
        expect(relists(daemon) == before, f"a relist: {before} before, {relists(daemon)} after")
        expect(TOKEN not in daemon.said() + json.dumps(daemon.status()), "the token is in the log or the status")
        daemon.end()
        file.write_text("wrong\n")
        daemon = Daemon(world, nothing, settings=settings)
        wait_until("all are known", lambda: daemon.cluster("fake-2"))
        status, _, text = daemon.kubering("get", "pods", "-A", "--cluster", "fake-1")
        expect(status == 1, f"exit {status}")
        expect_all(text, "401", "clusterToken")
        print("    get:", text.strip())
        expect(daemon.end() == 0, "SIGTERM: exit status")


def relists(daemon):
    return {(row["cluster"], row["resource"]): row["relists"] for row in daemon.status()["lists"]}


SCENARIOS = {"headlamp.found": found, "headlamp.refused": refused, "headlamp.ways": ways, "headlamp.blocked": blocked,
             "headlamp.token": token}
