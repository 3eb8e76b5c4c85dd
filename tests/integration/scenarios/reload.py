"""The configuration read again while everything goes on (engine/control/reload.h): what is new, gone or changed takes effect, and
nothing else is touched: not a connection, not a request, not a version."""

import json
import os
import signal
import socket
import threading
from random import Random

from kit.attach import QUERY_RESOLVE, Refused
from kit.fold import Watch
from kit.servers import TOKEN, Daemon, Fakekube, kubeconfig
from kit.world import World, expect, expect_all, free_port, need_root, wait_until
from scenarios.headlamp import equal, hub

EARLY_STARTS = 5


class Rig:
    """A daemon whose kubeconfig and kubering.yaml are written anew at will, and a cluster `good` on a server of its own, which must
    never notice."""

    def __init__(self, world, **settings):
        self.world = world
        self.good, self.fake = Fakekube(world, name="good"), Fakekube(world, clusters=4, name="fake")
        self.clusters = {"good": (self.good.entry(), {"token": TOKEN}), "one": (self.fake.entry("fake-1"), {"token": TOKEN})}
        self.settings = {"clusters": [{"context": "*", "qps": 100}], "lists": [{"resource": "pods"}]} | settings
        self.yaml, self.kubeconfig = world.folder / "kubering.yaml", world.folder / "kubeconfig"
        self.write()
        self.daemon = Daemon(world, self.kubeconfig, "--config", self.yaml)
        self.watch = Watch(world, self.daemon, "pods", "-A", cluster="good")
        wait_until("the good cluster is there", lambda: self.watch.check() and self.watch.digest("good") == self.good.digest("fake-1", "pods"))
        self.daemon.wait_row("live", lambda r: r["state"] == "live", cluster="one", resource="pods")
        self.before = self.untouched()

    def write(self):
        settings = {"apiVersion": "kubering.io/v1alpha1", "kind": "Config"} | self.settings
        for path, text in ((self.kubeconfig, kubeconfig(self.clusters)), (self.yaml, json.dumps(settings, indent=1))):
            beside = path.with_suffix(".new")  # half a file is another configuration
            beside.write_text(text)
            beside.chmod(0o600)
            beside.rename(path)

    def untouched(self):
        """What must not move: connections and requests ever made to the good server, and relists of its list."""
        stats = self.good.fields("stats")
        return stats["accepted"], stats["requests"], self.daemon.row(cluster="good", resource="pods")["relists"]

    def reload(self, code=0, *said):
        """By the command line; what it says is checked."""
        self.write()
        status, out, text = self.daemon.kubering("reload")
        expect(status == code, f"reload: exit {status}: {text}")
        expect_all(out + text, *said)
        expect(self.untouched() == self.before, lambda: f"the good cluster was disturbed: {self.before} {self.untouched()}")
        return self.daemon.status()["configuration"]

    def end(self):
        self.good.say("run fake-1 pods update 20")
        wait_until("the good cluster's consumer is equal",
                   lambda: self.watch.check() and self.watch.digest("good") == self.good.digest("fake-1", "pods"))
        expect({kind for kind, _ in self.watch.marks} <= {"SYNCED"}, f"{self.watch.marks}")
        expect(TOKEN not in self.daemon.said(), "the token is in the log")
        expect(self.daemon.end() == 0, lambda: f"SIGTERM: {self.daemon.said()}")


def clusters(programs):
    """Added, removed, at another server, with other options: by the command line and by the signal."""
    with World(programs, "reload") as world:
        rig = Rig(world)
        rig.clusters["two"] = (rig.fake.entry("fake-2"), {"token": TOKEN})
        rig.reload(0, "1 clusters added, 0 removed, 0 changed")
        check_lists(rig, {"one": "fake-1", "two": "fake-2"})
        watch = Watch(world, rig.daemon, "pods", "-A", cluster="two")
        wait_until("a consumer of the new cluster", lambda: watch.check() and watch.digest("two") == rig.fake.digest("fake-2", "pods"))
        every = Watch(world, rig.daemon, "pods", "-A")
        wait_until("a consumer of all", lambda: every.check() and every.digest("two") == rig.fake.digest("fake-2", "pods"))
        with rig.daemon.attach() as consumer:
            handle = consumer.open("two", "pods")[0]
            del rig.clusters["two"]
            rig.reload(0, "0 clusters added, 1 removed, 0 changed")
            wait_until("the consumer of the removed cluster ends", lambda: not watch.process.running(), 10)
            expect(watch.process.child.returncode == 1, f"exit {watch.process.child.returncode}")
            expect_all(watch.process.text(), "closed the list", "removed from the configuration")
            consumer.close_list(handle)  # a handle without a list behind it
        rig.fake.say("run fake-1 pods update 10")
        wait_until("of all clusters the others go on", lambda: every.check() and every.digest("one") == rig.fake.digest("fake-1", "pods"))
        expect_all(every.process.text(), "two: the daemon closed the list")
        every.process.end()
        status, _, text = rig.daemon.kubering("get", "pods", "-A", "--cluster", "two")
        expect(status == 1 and '"two"' in text, f"exit {status}: {text}")
        check_lists(rig, {"one": "fake-1"})
        # the same name again, another server: in one step and in two
        rig.clusters["two"] = (rig.fake.entry("fake-3"), {"token": TOKEN})
        rig.reload(0, "1 clusters added")
        check_lists(rig, {"one": "fake-1", "two": "fake-3"})
        follower = Watch(world, rig.daemon, "pods", "-A", cluster="two")
        wait_until("a consumer", lambda: follower.check() and follower.digest("two") == rig.fake.digest("fake-3", "pods"))
        rig.clusters["two"] = (rig.fake.entry("fake-4"), {"token": TOKEN})
        rig.reload(0, "1 changed")
        check_lists(rig, {"one": "fake-1", "two": "fake-4"})
        wait_until("the consumer goes along", lambda: follower.check() and follower.digest("two") == rig.fake.digest("fake-4", "pods"))
        # options only: nothing moves
        row, accepted = rig.daemon.row(cluster="two"), rig.fake.fields("stats")["accepted"]
        rig.settings["clusters"] = [{"context": "two", "qps": 7, "watchList": "never"}, {"context": "*", "qps": 100}]
        rig.settings["limits"] = {"lingerSeconds": 1, "clusterBytes": "1Gi", "ringEntries": 1 << 17}
        found = rig.reload(0, "1 changed", "limits.ringEntries")
        expect(found["needs_restart"] == "limits.ringEntries", json.dumps(found))
        expect(rig.fake.fields("stats")["accepted"] == accepted and rig.daemon.row(cluster="two")["relists"] == row["relists"],
               "a change of options made connections or relists")
        # a list that is no longer kept open goes when nobody wants it; SIGHUP does the same as `kubering reload`
        rig.settings["lists"] = [{"resource": "po", "clusters": "good"}]
        rig.write()
        rig.daemon.process.send(signal.SIGHUP)
        wait_until("the list goes", lambda: not rig.daemon.row(cluster="one", resource="pods"))
        expect(rig.daemon.row(cluster="two", resource="pods")["consumers"] == 1, "the list that is read went too")
        expect(rig.daemon.row(cluster="good", resource="pods")["pinned"], "pods is po")
        expect(rig.untouched() == rig.before, "the good cluster was disturbed")
        rig.end()


def check_lists(rig, names):
    """The clusters are these and `good`; each list of pods is what its server has."""
    known = sorted(c["name"] for c in rig.daemon.status()["clusters"])
    expect(known == sorted([*names, "good"]), f"{known}")
    for name, cluster in names.items():
        rig.daemon.wait_row(f"equal to {cluster}: {rig.fake.digest(cluster, 'pods')}",
                            lambda r, c=cluster: r["state"] == "live" and (r["digest"], r["objects"]) == rig.fake.digest(c, "pods"),
                            cluster=name, resource="pods")


def login(programs):
    """Another token, another authority: the list resumes on a new connection, and is not taken again. A token that becomes good
    again on the server is found by itself, soon."""
    with World(programs, "reload") as world:
        rig = Rig(world)
        row = rig.daemon.row(cluster="one")
        watches = rig.fake.fields("stats")["accepted"]
        rig.fake.say(f"token add {TOKEN}-renewed")
        rig.clusters["one"] = (rig.fake.entry("fake-1"), {"token": TOKEN + "-renewed"})
        rig.reload(0, "1 changed")
        rig.fake.say(f"token remove {TOKEN}")
        rig.fake.say("run fake-1 pods update 10")
        check_lists(rig, {"one": "fake-1"})
        expect(rig.daemon.row(cluster="one")["relists"] == row["relists"], "the list was taken again")
        expect(int(rig.fake.fields("stats")["accepted"]) > int(watches), "no new connection was made")
        # a token that is refused: the row says what to do; a reload with a good one mends it at once
        rig.clusters["one"] = (rig.fake.entry("fake-1"), {"token": TOKEN + "-wrong"})
        rig.reload(0, "1 changed")
        parked = rig.daemon.wait_row("refused", lambda r: r["state"] == "parked", cluster="one")
        expect_all(parked["last_error"]["text"], "401", "fix user")
        rig.clusters["one"] = (rig.fake.entry("fake-1"), {"token": TOKEN + "-renewed"})
        rig.reload(0, "1 changed")
        check_lists(rig, {"one": "fake-1"})
        # the server takes it back, and then again: within seconds, with the advice meanwhile, without a relist
        relists = rig.daemon.row(cluster="one")["relists"]
        rig.fake.say(f"token remove {TOKEN}-renewed")
        rig.fake.say("cut * rst")
        parked = rig.daemon.wait_row("refused", lambda r: r["state"] == "parked", cluster="one")
        expect_all(parked["last_error"]["text"], "401", "log in again")
        rig.fake.say("run fake-1 pods update 10")
        rig.fake.say(f"token add {TOKEN}-renewed")
        rig.daemon.wait_row("let in again", lambda r: r["state"] == "live", seconds=12, cluster="one")
        check_lists(rig, {"one": "fake-1"})
        expect(rig.daemon.row(cluster="one")["relists"] == relists, "the list was taken again")
        # another authority that does not vouch for the server: only this cluster is down, and says why
        other = Fakekube(world, name="other")
        rig.clusters["one"] = (rig.fake.entry("fake-1") | {"certificate-authority-data": other.authority}, {"token": TOKEN + "-renewed"})
        rig.reload(0, "1 changed")
        print("    ca:", rig.daemon.wait_cluster_error("one", "TLS_VERIFY"))
        rig.clusters["one"] = (rig.fake.entry("fake-1"), {"token": TOKEN + "-renewed"})
        rig.reload(0, "1 changed")
        rig.daemon.wait_row("trusted again", lambda r: r["state"] == "live", seconds=40, cluster="one")
        rig.end()


def broken(programs):
    """A file with an error changes nothing, and is told with its place, until it is mended."""
    with World(programs, "reload") as world:
        rig = Rig(world)
        whole = rig.yaml.read_text()
        rig.clusters["two"] = (rig.fake.entry("fake-2"), {"token": TOKEN})
        rig.kubeconfig.write_text(kubeconfig(rig.clusters))
        for text, parts in (("apiVersion: kubering.io/v1alpha1\nkind: Config\nlimitz: {}\n", ("kubering.yaml:3:1", "limitz")),
                            ("apiVersion: [\n", ("kubering.yaml:", )), ("", ("kubering.yaml", ))):
            rig.yaml.write_text(text)
            status, out, said = rig.daemon.kubering("reload")
            print(f"    reload: exit {status} | {said.strip()}")
            expect(status == 1, f"exit {status}")
            expect_all(said, "nothing has changed", *parts)
            expect_all(rig.daemon.kubering("status")[1], "last reload failed", *parts)
            code, doctor, _ = rig.daemon.kubering("doctor")
            expect(code == 1, "doctor is content")
            expect_all(doctor, "broken   configuration", *parts)
            expect(rig.untouched() == rig.before and not rig.daemon.cluster("two"), "something has changed")
        expect_all(rig.daemon.said(), "stays in force", "kubering.yaml:3:1")
        rig.yaml.write_text(whole)
        rig.kubeconfig.write_text("apiVersion: v1\nclusters: {{\n")
        expect(rig.daemon.kubering("reload")[0] == 1, "a broken kubeconfig was taken")
        rig.kubeconfig.write_text("")
        status, _, said = rig.daemon.kubering("reload")
        expect(status == 1 and "half written" in said, f"exit {status}: {said}")
        # one context that is broken breaks itself only, and not if it works as it is
        rig.clusters["one"] = (rig.fake.entry("fake-1") | {"certificate-authority-data": "bm8="}, {"token": TOKEN})
        rig.clusters["two"] = (rig.fake.entry("fake-2") | {"server": "ftp://x"}, {"token": TOKEN})
        found = rig.reload(0, "goes on as before")
        expect_all(found["warning"], "one")
        expect(rig.daemon.row(cluster="one")["state"] == "live", "one")
        expect(rig.daemon.cluster("two")["state"] == "broken", json.dumps(rig.daemon.cluster("two")))
        rig.clusters["one"] = (rig.fake.entry("fake-1"), {"token": TOKEN})
        rig.clusters["two"] = (rig.fake.entry("fake-2"), {"token": TOKEN})
        rig.reload(0)
        check_lists(rig, {"one": "fake-1", "two": "fake-2"})
        expect(rig.daemon.kubering("doctor")[0] == 0, "doctor")
        rig.end()


def many(programs):
    """A hundred times: descriptors, clusters and rows do not grow."""
    need_root("counting the daemon's descriptors")
    with World(programs, "reload") as world:
        rig = Rig(world, limits={"lingerSeconds": 1})
        def turn(i):
            rig.clusters["one"] = (rig.fake.entry("fake-1"), {"token": TOKEN})
            rig.clusters.pop("two", None)
            if i % 2:
                rig.clusters["two"] = (rig.fake.entry(f"fake-{2 + i // 2 % 2}"), {"token": TOKEN})
            if i % 5 == 0:
                rig.clusters["one"] = (rig.fake.entry("fake-1", **{"tls-server-name": "127.0.0.1"} if i % 10 else {}), {"token": TOKEN})
            rig.settings["lists"] = [{"resource": "pods"}, *([{"resource": "pods", "namespace": f"ns-{i % 3}", "clusters": "[ot]*"}] if i % 3 else [])]
        counts = []
        for i in range(100):
            turn(i)
            rig.reload(0)
            if i in (19, 99):
                check_lists(rig, {"one": "fake-1", "two": f"fake-{2 + i // 2 % 2}"})
                wait_until("the lists of before are gone", lambda: all(r["consumers"] or r["pinned"] for r in rig.daemon.status()["lists"]), 60)
                wait_until("connections settle", lambda: sum(r["connections"] for r in rig.daemon.status()["reactors"]) <= 6)
                status = rig.daemon.status()
                counts.append((rig.daemon.descriptors(), sum(r["clusters"] for r in status["reactors"]), len(status["clusters"])))
        print("    descriptors, clusters of reactors, clusters:", counts)
        expect(abs(counts[1][0] - counts[0][0]) <= 3 and counts[1][1:] == counts[0][1:], f"{counts}")
        expect(rig.daemon.status()["configuration"]["reloads"] == 100, "reloads")
        rig.end()


class Visitor(threading.Thread):
    """Attaches, asks, opens, closes and leaves, of clusters that come and go; answers may be refusals, but they come."""

    def __init__(self, daemon, seed):
        super().__init__(daemon=True)
        self.kuberingd, self.random, self.over, self.failed, self.opened, self.refused = daemon, Random(seed), False, None, 0, 0

    def run(self):
        try:
            while not self.over:
                with self.kuberingd.attach(seconds=40) as consumer:
                    handles = []
                    for _ in range(self.random.randint(1, 12)):
                        self.step(consumer, handles)
        except Exception as error:  # told by the test
            self.failed = error

    def step(self, consumer, handles):
        cluster, what = self.random.choice(["one", "two", "three", "fake-1", "fake-2"]), self.random.random()
        try:
            if what < 0.5:
                handles.append(consumer.open(cluster, "pods", namespace=self.random.choice(["", "ns-1", "ns-2"]))[0])
                self.opened += 1
            elif what < 0.7 and handles:
                consumer.close_list(handles.pop(self.random.randrange(len(handles))))
            elif what < 0.9:
                consumer.query(QUERY_RESOLVE, cluster, self.random.choice(["po", "cm"]))
            else:
                consumer.status()
        except Refused:
            self.refused += 1


def churn(programs):
    """Reloads without waiting for one another, while consumers open and ask: every question is answered, and at the end all is equal."""
    with World(programs, "reload") as world:
        port, random = free_port(), Random(7)
        rig = Rig(world, limits={"lingerSeconds": 0})
        hubs = Fakekube(world, "--headlamp", port, "--headlamp-token", TOKEN, clusters=2, tls=False, name="hubs")
        plain = rig.settings["clusters"]
        visitors = [Visitor(rig.daemon, seed) for seed in range(3)]
        for visitor in visitors:
            visitor.start()
        for i in range(80):
            for name in ("one", "two", "three"):
                rig.clusters.pop(name, None)
                if random.random() < 0.7:
                    token = TOKEN if random.random() < 0.8 else TOKEN + "-wrong"
                    rig.clusters[name] = (rig.fake.entry(f"fake-{random.randint(1, 4)}"), {"token": token})
            rig.settings["clusters"] = plain + ([hub(port)] if random.random() < 0.6 else [])
            rig.settings["lists"] = [{"resource": "pods"}][: random.randint(0, 1)] + [{"resource": "pods", "clusters": "good"}]
            rig.write()
            for _ in range(random.randint(1, 2)):
                rig.daemon.process.send(signal.SIGHUP)
            if random.random() < 0.5:
                rig.daemon.status()
        for visitor in visitors:
            visitor.over = True
        for visitor in visitors:
            visitor.join(60)
            expect(not visitor.is_alive() and not visitor.failed, f"a consumer was not answered: {visitor.failed!r}")
            expect(visitor.opened and visitor.refused, f"opened {visitor.opened}, refused {visitor.refused}: not what was to be shown")
        rig.clusters = {"good": rig.clusters["good"], "one": (rig.fake.entry("fake-1"), {"token": TOKEN})}
        rig.settings["clusters"], rig.settings["lists"] = plain, [{"resource": "pods"}]
        rig.write()
        expect(rig.daemon.kubering("reload")[0] == 0, "the last reload")
        check_lists(rig, {"one": "fake-1"})
        wait_until("nothing is left at the backend", lambda: hubs.fields("stats")["connections"] == "0")
        print("    opened:", [v.opened for v in visitors], "refused:", [v.refused for v in visitors],
              "reloads:", rig.daemon.status()["configuration"]["reloads"])
        rig.end()


def policy(programs):
    """Who may see what: taken away at once from who has it open, given to who asks again."""
    with World(programs, "reload") as world:
        me = os.getuid()
        def realms(*resources, name="all"):
            return [{"name": name, "allow": {"uids": [me]}, "lists": [{"resources": list(resources)}]}]
        rig = Rig(world, realms=realms("pods", "configmaps"))
        with rig.daemon.attach() as consumer:
            consumer.open("one", "pods")
            rig.settings["realms"] = realms("configmaps", "pods", name="other")
            found = rig.reload(0, "realms")
            expect(found["needs_restart"] == "realms", json.dumps(found))
            consumer.status()
            rig.settings["realms"] = [{"name": "all", "allow": {"uids": [me]}, "lists": [{"clusters": ["good"]}]},
                                      {"name": "more", "allow": {"uids": [me + 1]}, "lists": [{}]}]
            found = rig.reload(0)
            expect(not found["needs_restart"], json.dumps(found))
            expect(gone(consumer), "a consumer goes on reading what it may not")
        expect_all(rig.daemon.said(), "was cut off", "pods")
        status, _, text = rig.daemon.kubering("get", "pods", "-A", "--cluster", "one")
        expect(status == 1 and "may not see" in text, f"exit {status}: {text}")
        rig.settings["realms"][0]["lists"] = [{}]
        rig.reload(0)
        expect(rig.daemon.kubering("get", "pods", "-A", "--cluster", "one")[0] == 0, "get")
        rig.end()


def gone(consumer):
    try:
        return consumer.socket.recv(1) == b""
    except (ConnectionError, socket.timeout) as error:
        return isinstance(error, ConnectionError)


def headlamp(programs):
    """A backend that is the same keeps its sockets; one that changed comes anew with its clusters; one that is gone takes them along."""
    with World(programs, "reload") as world:
        port, other = free_port(), free_port()
        rig = Rig(world)
        first = Fakekube(world, "--headlamp", port, "--headlamp-token", TOKEN, clusters=2, tls=False, name="first")
        second = Fakekube(world, "--headlamp", other, "--headlamp-token", TOKEN, clusters=3, tls=False, name="second")
        plain = rig.settings["clusters"]
        rig.settings["clusters"] = plain + [hub(port)]
        rig.reload(0)
        wait_until("the backend's clusters are known", lambda: rig.daemon.cluster("fake-2"))
        equal(first, rig.daemon, ["fake-1", "fake-2"])
        watch = Watch(world, rig.daemon, "pods", "-A", cluster="fake-1")
        wait_until("equal", lambda: watch.check() and watch.digest("fake-1") == first.digest("fake-1", "pods"))
        accepted, relists = first.fields("stats")["accepted"], rig.daemon.row(cluster="fake-1")["relists"]
        rig.clusters["two"] = (rig.fake.entry("fake-2"), {"token": TOKEN})
        rig.reload(0, "1 clusters added, 0 removed, 0 changed")
        first.say("run fake-1 pods update 10")
        wait_until("equal", lambda: watch.check() and watch.digest("fake-1") == first.digest("fake-1", "pods"))
        expect((first.fields("stats")["accepted"], rig.daemon.row(cluster="fake-1")["relists"]) == (accepted, relists), "the backend was touched")
        rig.settings["clusters"] = plain + [hub(other)]
        rig.reload(0, "2 removed")
        wait_until("its consumer ends", lambda: not watch.process.running(), 10)
        expect_all(watch.process.text(), "backend")
        wait_until("the other's clusters are known", lambda: rig.daemon.cluster("fake-3"))
        equal(second, rig.daemon, ["fake-1", "fake-2", "fake-3"])
        wait_until("nothing is left at the first", lambda: first.fields("stats")["connections"] == "0")
        rig.settings["clusters"] = plain
        rig.reload(0, "3 removed")
        check_lists(rig, {"one": "fake-1", "two": "fake-2"})
        expect(not rig.daemon.status()["backends"], "backends")
        rig.end()


def systemd(programs):
    """Type=notify-reload: RELOADING with a time, then READY, whatever came of it."""
    with World(programs, "reload") as world:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as bus:
            bus.bind(str(world.folder / "notify"))
            bus.settimeout(20)
            fake = Fakekube(world)
            daemon = Daemon(world, fake.kubeconfig, wait=False)
            daemon.process.end(signal.SIGKILL)
            daemon.environment["NOTIFY_SOCKET"] = str(world.folder / "notify")
            daemon.start(wait=False)
            expect(bus.recv(200) == b"READY=1", "ready")
            for text in (fake.kubeconfig.read_text(), "{{"):
                fake.kubeconfig.write_text(text)
                daemon.process.send(signal.SIGHUP)
                lines = bus.recv(200).decode().splitlines()
                expect(lines[0] == "RELOADING=1" and int(lines[1].removeprefix("MONOTONIC_USEC=")) > 0, f"{lines}")
                expect(bus.recv(200) == b"READY=1", "ready again")
            expect(daemon.end() == 0 and bus.recv(200) == b"STOPPING=1", "stopping")


def early(programs):
    """SIGHUP while the daemon still starts: it neither ends it nor is lost."""
    with World(programs, "early") as world:
        config = world.file("kubeconfig", kubeconfig({"a": ({"server": "http://127.0.0.1:1"}, {})}))
        lock = world.folder / "k.sock.lock"
        for _ in range(EARLY_STARTS):
            lock.unlink(missing_ok=True)
            daemon = Daemon(world, config, "--reactors", 8, wait=False)
            while daemon.check() and not lock.exists():  # the configuration has been read; the reactors come next
                pass
            daemon.process.send(signal.SIGHUP)
            wait_until("it starts", lambda: daemon.check() and daemon.ready())
            wait_until("it reloads", lambda: daemon.status()["configuration"]["reloads"] == 1)
            expect(daemon.end() == 0, lambda: f"SIGTERM: {daemon.said()}")


SCENARIOS = {f"reload.{f.__name__}": f for f in (early, clusters, login, broken, many, churn, policy, headlamp, systemd)}
