"""Many consumers of one list: those that die or stand still cost the others nothing, and what they held comes back."""

import signal

from kit.attach import Attached
from kit.fold import Watch, wait_equal
from kit.servers import Daemon, Fakekube
from kit.world import World, expect, need_root, wait_until

COUNT = 16


def write(fake, times, objects=25):
    for _ in range(times):
        for verb in ("update", "create", "delete", "recreate"):
            fake.say(f"run fake-1 pods {verb} {objects}")


def closed(daemon):
    wait_until(lambda: f"the list is closed after its linger: {daemon.rows()}", lambda: not daemon.rows())
    wait_until("its consumers are gone", lambda: len(daemon.status()["consumers"]) == 1)


def many(programs):
    """16 consumers, 5 of them killed in the middle, one stopped: the rest stay equal; descriptors and references come back."""
    need_root("counting the daemon's descriptors")
    with World(programs, "consumers") as world:
        fake = Fakekube(world, objects=200)
        daemon = Daemon(world, fake.kubeconfig, settings={"limits": {"lingerSeconds": 1}})
        first = Watch(world, daemon, "pods", "-A", cluster="fake-1")
        wait_equal(fake, daemon, [("pods", first)], ["pods"])
        first.process.end(signal.SIGKILL)
        closed(daemon)
        before = daemon.descriptors()  # the shard's segments stay for the next list
        watches = [("pods", Watch(world, daemon, "pods", "-A", cluster="fake-1")) for _ in range(COUNT)]
        wait_equal(fake, daemon, watches, ["pods"])
        consumers = daemon.status()["consumers"]
        expect(len([c for c in consumers if c["lists"] == 1]) == COUNT, f"consumers: {consumers}")
        expect(daemon.row(resource="pods")["consumers"] == COUNT, "the list is not shared by all of them")
        write(fake, 1)
        stopped, killed, kept = watches[0][1], watches[1:6], watches[6:]
        stopped.process.send(signal.SIGSTOP)
        for _, watch in killed:
            watch.process.end(signal.SIGKILL)
        write(fake, 3)
        wait_equal(fake, daemon, kept, ["pods"])
        daemon.wait_row("the dead have given it back", lambda row: row["consumers"] == COUNT - len(killed), resource="pods")
        stopped.process.send(signal.SIGCONT)
        wait_equal(fake, daemon, [*kept, ("pods", stopped)], ["pods"])
        for _, watch in watches:
            watch.process.end(signal.SIGKILL)
        closed(daemon)
        wait_until(lambda: f"{before} descriptors again, not {daemon.descriptors()}", lambda: daemon.descriptors() <= before)
        expect(int(fake.fields("stats")["watches"]) == 0, "the server still has a watch")
        watch = Watch(world, daemon, "pods", "-A", cluster="fake-1")  # and a closed list opens anew
        wait_equal(fake, daemon, [("pods", watch)], ["pods"])


def slow(programs):
    """A consumer that stands still for longer than a ring of 1,024 entries lasts, or than 1 MiB of replaced objects: RESET, then equal again."""
    for limits in ({"ringEntries": 1024}, {"retainedBytes": "1Mi"}):
        overrun(programs, limits)


def overrun(programs, limits):
    with World(programs, "slow") as world:
        fake = Fakekube(world, objects=100)
        daemon = Daemon(world, fake.kubeconfig, settings={"limits": limits})
        slow, quick = (Watch(world, daemon, "pods", "-A", cluster="fake-1") for _ in range(2))
        both = [("pods", slow), ("pods", quick)]
        wait_equal(fake, daemon, both, ["pods"])
        slow.process.send(signal.SIGSTOP)
        for _ in range(40):
            fake.say("run fake-1 pods update 100")
            server = fake.digest("fake-1", "pods")
            wait_until("the quick one follows", lambda: quick.check() and quick.digest("fake-1") == server)
        slow.process.send(signal.SIGCONT)
        wait_equal(fake, daemon, both, ["pods"])
        expect(slow.counts.get("RESET", 0) >= 1, f"the slow consumer was not told: {slow.counts}")
        expect(quick.counts.get("RESET", 0) == 0, f"the quick consumer was reset: {quick.counts}")


def lists(programs):
    """Opening and closing the same list again and again, across its linger, with and without others."""
    with World(programs, "lists") as world:
        fake = Fakekube(world, clusters=2, resources="pods,configmaps")
        daemon = Daemon(world, fake.kubeconfig, "--context", "*", settings={"limits": {"lingerSeconds": 0}})
        with Attached(daemon.socket) as a, Attached(daemon.socket) as b:
            for turn in range(60):
                first = a.open(fake.clusters[turn % 2], "pods")
                again = a.open(fake.clusters[turn % 2], "pods")
                other = b.open(fake.clusters[turn % 2], "pods")
                expect(first[1:] == again[1:] == other[1:], f"three openings, one list: {first} {again} {other}")
                expect(first[0] != again[0], f"two openings, two handles: {first} {again}")
                for consumer, opened in ((a, first), (b, other), (a, again)):
                    consumer.close_list(opened[0])
            handles = [a.open("fake-1", "pods", labels=f"app=x{i}")[0] for i in range(50)]
            expect(len(daemon.rows(cluster="fake-1")) >= 50, "50 selectors are 50 lists")
            for handle in handles[:25]:
                a.close_list(handle)
        wait_until(lambda: f"all lists are closed: {len(daemon.rows())}", lambda: not daemon.rows())
        expect(daemon.end() == 0, "SIGTERM: exit status")


SCENARIOS = {"consumers.many": many, "consumers.slow": slow, "consumers.lists": lists}
