"""The daemon dies, or is stopped, or is started twice, while consumers watch."""

import os
import signal
import socket
import time

from kit.attach import Gone
from kit.fold import Watch, wait_equal
from kit.servers import Daemon, Fakekube
from kit.world import LIBC, World, expect, expect_all, need_ring, need_root, wait_until


PTRACE_ATTACH, PTRACE_DETACH = 16, 17
WAIT_ANY_CHILD = 0x40000000  # __WALL: threads too


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


def hold_threads(daemon):
    """All but the first, which is the control thread, stand still until they are let go."""
    threads = [int(t) for t in os.listdir(f"/proc/{daemon.process.pid}/task") if int(t) != daemon.process.pid]
    for thread in threads:
        expect(LIBC.ptrace(PTRACE_ATTACH, thread, 0, 0) == 0, f"ptrace of thread {thread}")
        os.waitpid(thread, WAIT_ANY_CHILD)
    return threads


def hung(programs):
    """A reactor that hangs: SIGTERM ends the daemon all the same, with exit status 1 and a word about it."""
    need_root("holding a thread of the daemon")
    with World(programs, "hung") as world:
        fake = Fakekube(world)
        daemon = Daemon(world, fake.kubeconfig, "--list", "pods.v1", "--reactors", 2)
        daemon.wait_row("live", lambda row: row["state"] == "live", resource="pods")
        threads = hold_threads(daemon)

        def ended():
            for thread in threads:  # the kernel shows us the end of each first
                try:
                    os.waitpid(thread, WAIT_ANY_CHILD | os.WNOHANG)
                except ChildProcessError:
                    pass
            return not daemon.process.running()
        try:
            daemon.process.send(signal.SIGTERM)
            wait_until("it ends", ended, 15)
        finally:
            if not ended():
                daemon.process.send(signal.SIGKILL)
                wait_until("it is killed", ended)
        expect(daemon.process.child.returncode == 1, f"exit {daemon.process.child.returncode}: {daemon.said()}")
        expect_all(daemon.said(), "a reactor does not stop")
        daemon.start()
        daemon.wait_row("live", lambda row: row["state"] == "live", resource="pods")


def told(programs):
    """The service manager hears that the daemon stops when it begins to, not when it has: here the reactors go on only then."""
    need_root("holding a thread of the daemon")
    with World(programs, "told") as world:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as bus:
            bus.bind(str(world.folder / "notify"))
            bus.settimeout(20)
            daemon = Daemon(world, Fakekube(world).kubeconfig, wait=False)
            daemon.process.end(signal.SIGKILL)
            daemon.environment["NOTIFY_SOCKET"] = str(world.folder / "notify")
            daemon.start(wait=False)
            expect(bus.recv(200) == b"READY=1", "ready")
            threads = hold_threads(daemon)
            daemon.process.send(signal.SIGTERM)
            expect(bus.recv(200) == b"STOPPING=1", "stopping")
            for thread in threads:
                LIBC.ptrace(PTRACE_DETACH, thread, 0, 0)
            wait_until("it ends", lambda: not daemon.process.running())
            expect(daemon.process.child.returncode == 0, f"exit {daemon.process.child.returncode}: {daemon.said()}")


def streams(programs):
    """Started with stdin, stdout and stderr closed: nothing of the daemon's own comes to be there, where its log goes."""
    need_root("seeing the daemon's descriptors")
    with World(programs, "streams") as world:
        fake = Fakekube(world)
        daemon = Daemon(world, fake.kubeconfig, wait=False)
        daemon.end(signal.SIGKILL)
        daemon.command = ["/bin/sh", "-c", 'exec "$0" "$@" <&- >&- 2>&-', *daemon.command]
        daemon.start(wait=False)
        wait_until("it listens", lambda: daemon.check() and daemon.kubering("status")[0] == 0)
        for number in range(3):
            target = os.readlink(f"/proc/{daemon.process.pid}/fd/{number}")
            expect(target == "/dev/null", f"descriptor {number} is {target}")
        expect(daemon.end() == 0, f"exit {daemon.process.child.returncode}")


def locked(programs):
    """With less locked memory than the rings of all reactors take, which newer kernels count, it starts, and says what is missing."""
    need_ring()
    with World(programs, "locked") as world:
        little = ["/bin/sh", "-c", 'ulimit -l 2048 && exec "$0" "$@"']
        if os.geteuid() == 0:  # root may lock what it likes
            little = ["setpriv", "--bounding-set=-ipc_lock", "--inh-caps=-ipc_lock", "--", *little]
        fake = Fakekube(world)
        daemon = Daemon(world, fake.kubeconfig, "--list", "pods.v1", "--reactors", 16, wait=False)
        daemon.end(signal.SIGKILL)
        daemon.command = [*little, *daemon.command]
        daemon.start()
        daemon.wait_row("live", lambda row: row["state"] == "live", resource="pods")
        status = daemon.status()
        kinds = [row["io"] for row in status["reactors"]]
        print("    ", kinds, status["io"])
        if "epoll" in kinds:  # an older kernel does not count them
            expect(status["io"]["kind"] == "epoll", f"{status['io']}")
            expect_all(daemon.said(), "RLIMIT_MEMLOCK")
        expect(daemon.end() == 0, lambda: f"SIGTERM: {daemon.said()}")


def limited(world, config, limit, *flags):
    """A daemon that is started behind such a `ulimit`."""
    daemon = Daemon(world, config, *flags, wait=False)
    daemon.end(signal.SIGKILL)
    daemon.command = ["/bin/sh", "-c", f'ulimit {limit} && exec "$0" "$@"', *daemon.command]
    daemon.start(wait=False)
    return daemon


def walls(programs):
    """Limits that a shell or a service manager sets: what goes over them is an error that says what to raise, and no more than that."""
    with World(programs, "walls") as world:
        config = Fakekube(world).kubeconfig
        daemon = limited(world, config, "-f 128")  # 64 KiB: no room for shared memory
        wait_until("it is there", lambda: daemon.check() and daemon.ready())
        status, _, text = daemon.kubering("get", "pods", "-A")
        print(f"    no large files: exit {status} | {text.strip()}")
        expect(status == 1, f"exit {status}: {text}")
        expect_all(text, "LimitFSIZE")
        expect(daemon.check() and daemon.kubering("status")[0] == 0, "it goes on")
        with open(daemon.process.log, "ab") as log:
            log.write(b"x" * (1 << 16) + b"\n")  # its log is as large as it may be
        daemon.process.send(signal.SIGHUP)
        wait_until("it reloads", lambda: daemon.check() and daemon.status()["configuration"]["reloads"] == 1)
        expect(daemon.end() == 0, f"exit {daemon.process.child.returncode}")
        many = Fakekube(world, clusters=60, objects=5, name="many").kubeconfig
        daemon = limited(world, many, "-n 64", "--context", "*", "--list", "pods.v1", "--io", "epoll", "--reactors", 2)
        wait_until("no socket is left", lambda: daemon.check() and "no socket is left" in daemon.said())
        status, _, text = daemon.kubering("status")
        expect(status == 0, f"status where sockets are used up: exit {status}: {text}")
        expect(daemon.end() == 0, f"exit {daemon.process.child.returncode}")
        daemon = limited(world, config, "-s 70000000000")  # no address space for the stack of a thread
        wait_until("it ends", lambda: not daemon.process.running(), 10)
        print(f"    no threads: {daemon.said().strip()}")
        expect(daemon.process.child.returncode == 1, f"exit {daemon.process.child.returncode}: {daemon.said()}")
        expect_all(daemon.said(), "TasksMax")


SCENARIOS = {f"restart.{f.__name__}": f for f in (killed, stopped, second, paused, hung, told, streams, locked, walls)}
