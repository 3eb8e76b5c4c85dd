"""The daemon dies, or is stopped, or is started twice, while consumers watch."""

import signal
import time

from kit.attach import Gone
from kit.fold import Watch, wait_equal
from kit.servers import Daemon, Fakekube
from kit.world import World, expect, expect_all, wait_until


def killed(programs):
    """SIGKILL under load, three times: the consumers go on by themselves, and learn of what was deleted meanwhile."""
    with World(programs, "restart") as world:
        fake = Fakekube(world, clusters=2, objects=120, resources="pods,configmaps")
        daemon = Daemon(world, fake.kubeconfig, "--context", "*", "--list", "pods.v1")
        watches = [(r, Watch(world, daemon, r, "-A")) for r in ("pods", "configmaps", "pods")]
        wait_equal(fake, daemon, watches, ["pods", "configmaps"])
        for number in range(3):
            fake.say("rate 200")
            incarnation = daemon.status()["incarnation"]
            daemon.process.end(signal.SIGKILL)
            wait_until("every consumer knows", lambda: all(
                w.check() and all(f.state != "LIVE" and f.state != "SYNCED" for f in w.folds.values()) for _, w in watches))
            for cluster in fake.clusters:
                fake.say(f"run {cluster} pods delete 30")
                fake.say(f"run {cluster} configmaps recreate 10")
            fake.say("rate 0")
            daemon.start()
            expect(daemon.status()["incarnation"] != incarnation, "a new life has a new incarnation")
            wait_equal(fake, daemon, watches, ["pods", "configmaps"])
        deleted = [w.counts.get("DELETED", 0) + 100 * w.counts.get("RESET", 0) for _, w in watches]
        expect(min(deleted) > 0, f"nobody was told of the deletions: {[w.counts for _, w in watches]}")


def stopped(programs):
    """SIGTERM: exit status 0 within 5 s, the socket is gone, consumers are told."""
    with World(programs, "stop") as world:
        fake = Fakekube(world, clusters=2)
        daemon = Daemon(world, fake.kubeconfig, "--context", "*")
        watch = Watch(world, daemon, "pods", "-A")
        wait_equal(fake, daemon, [("pods", watch)], ["pods"])
        consumer = daemon.attach()
        start = time.monotonic()
        expect(daemon.end(signal.SIGTERM) == 0, "exit status")
        expect(time.monotonic() - start < 5, f"it took {time.monotonic() - start:.1f} s")
        expect(not daemon.socket.exists(), "the socket is still there")
        try:
            consumer.receive() and consumer.receive()
        except Gone:
            pass
        else:
            expect(False, "the connection is still open")
        consumer.close()
        status, _, text = daemon.kubering("status")
        expect(status == 4, f"no daemon: exit {status}: {text}")
        daemon.start()
        wait_equal(fake, daemon, [("pods", watch)], ["pods"])
        daemon.process.send(signal.SIGINT)
        wait_until("SIGINT ends it", lambda: not daemon.process.running(), 5)
        expect(daemon.process.child.returncode == 0, "SIGINT: exit status")


def second(programs):
    """A second daemon on the same socket is refused and says why; the first goes on. A dead one's socket is taken over."""
    with World(programs, "second") as world:
        fake = Fakekube(world)
        first = Daemon(world, fake.kubeconfig)
        watch = Watch(world, first, "pods", "-A")
        wait_equal(fake, first, [("pods", watch)], ["pods"])
        other = Daemon(world, fake.kubeconfig, wait=False)
        wait_until("the second one ends", lambda: not other.process.running(), 10)
        expect(other.process.child.returncode == 1, f"exit {other.process.child.returncode}")
        expect_all(other.said(), "another kuberingd serves", str(first.socket), "--socket")
        fake.say("run fake-1 pods update 40")
        wait_equal(fake, first, [("pods", watch)], ["pods"])
        first.process.end(signal.SIGKILL)
        expect(first.socket.exists(), "SIGKILL leaves the socket file")
        other.start()
        wait_equal(fake, other, [("pods", watch)], ["pods"])


def paused(programs):
    """SIGSTOP of the daemon for a while (row 46): consumers see it as stale, then it catches up."""
    with World(programs, "paused") as world:
        fake = Fakekube(world)
        daemon = Daemon(world, fake.kubeconfig)
        watch = Watch(world, daemon, "pods", "-A")
        wait_equal(fake, daemon, [("pods", watch)], ["pods"])
        daemon.process.send(signal.SIGSTOP)
        fake.say("run fake-1 pods update 50")
        wait_until("the consumer notices", lambda: watch.check() and ("STALE", "fake-1") in watch.marks, 20)
        fake.say("cut * rst")
        daemon.process.send(signal.SIGCONT)
        wait_equal(fake, daemon, [("pods", watch)], ["pods"])


SCENARIOS = {"restart.killed": killed, "restart.stopped": stopped, "restart.second": second, "restart.paused": paused}
