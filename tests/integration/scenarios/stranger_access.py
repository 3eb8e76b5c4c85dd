"""Who may see what, and how much: budgets, the policy, Secrets, and the bearer token that nobody may ever see."""

import contextlib
import os
import shutil
import signal
from types import SimpleNamespace

from kit.attach import Attached, Refused
from kit.fold import Watch, wait_equal
from kit.servers import TOKEN, Daemon, Fakekube
from kit.world import World, expect, expect_all, need_root

NOBODY = 65534
SECRET_DATA = b"c2VjcmV0"  # fakekube's secrets hold it (base64 of "secret")


def budget(programs):
    """A list over its budget: a typed error on that list only; it is live again when it fits."""
    with World(programs, "budget") as world:
        fake = Fakekube(world, objects=100, resources="pods,configmaps")
        daemon = Daemon(world, fake.kubeconfig, settings={"limits": {"listBytes": "1Mi"}})
        pods, maps = (Watch(world, daemon, r, "-A", cluster="fake-1") for r in ("pods", "configmaps"))
        wait_equal(fake, daemon, [("pods", pods), ("configmaps", maps)], ["pods", "configmaps"])
        for number in range(80):
            fake.say(f"create fake-1 pods default/big-{number} bytes=20000")
        row = daemon.wait_row("the budget is used up", lambda r: r["last_error"] and r["last_error"]["name"] == "BUDGET", resource="pods")
        print(f"    over the budget: {row['state']} {row['last_error']}")
        expect(row["bytes"] <= 1 << 20, f"{row['bytes']} bytes")
        expect_all(row["last_error"]["text"], "budget", str(1 << 20), "raise")
        status, _, text = daemon.kubering("get", "pods", "-A", "--timeout", "2s")
        print(f"    get: exit {status} | {text.strip()}")
        expect(status in (1, 3), f"exit {status}")
        expect_all(text, "budget", "raise")
        fake.say("run fake-1 configmaps update 50")
        wait_equal(fake, daemon, [("configmaps", maps)], ["configmaps"])
        for number in range(80):
            fake.say(f"delete fake-1 pods default/big-{number}")
        wait_equal(fake, daemon, [("pods", pods)], ["pods"], seconds=130)  # parked: probed slowly


def memory(programs):
    """A service whose control group has 64 MiB: what does not fit is refused before the kernel kills it, and the rest goes on."""
    need_root("a /sys/fs/cgroup of its own")
    with World(programs, "memory") as world:
        fake = Fakekube(world, resources="pods,configmaps")
        groups = world.folder / "groups"
        (groups / "memory").mkdir(parents=True)
        for name in ("memory.max", "memory/memory.limit_in_bytes"):  # version 2, and 1
            (groups / name).write_text(f"{64 << 20}\n")
        daemon = Daemon(world, fake.kubeconfig, wait=False)
        daemon.end(signal.SIGKILL)
        daemon.command = ["unshare", "--mount", "--", "/bin/sh", "-c", f'mount --bind {groups} /sys/fs/cgroup && exec "$0" "$@"', *daemon.command]
        daemon.start()
        pods, maps = (Watch(world, daemon, r, "-A", cluster="fake-1") for r in ("pods", "configmaps"))
        wait_equal(fake, daemon, [("pods", pods), ("configmaps", maps)], ["pods", "configmaps"])
        for number in range(120):
            fake.say(f"create fake-1 pods default/big-{number} bytes=500000")
        row = daemon.wait_row("memory is used up", lambda r: r["last_error"] and r["last_error"]["name"] == "BUDGET", resource="pods")
        print(f"    over what there is: {row['state']} {row['last_error']}")
        expect_all(row["last_error"]["text"], "MemoryMax=")
        expect(row["bytes"] < 48 << 20, f"{row['bytes']} bytes")
        fake.say("run fake-1 configmaps update 50")
        wait_equal(fake, daemon, [("configmaps", maps)], ["configmaps"])
        expect(daemon.end() == 0, lambda: f"SIGTERM: {daemon.said()}")


def policy(programs):
    """Another user of this host: refused without a grant, and with one sees that and no more."""
    need_root("running the CLI as another user")
    with World(programs, "policy") as world:
        fake = Fakekube(world, clusters=2, objects=20, resources="pods,configmaps,secrets")
        for source in (programs.kubering, programs.library.resolve()):
            shutil.copy(source, world.folder)
        shutil.copy(programs.library.resolve(), world.folder / "libkubering.so.0")
        everyone = {"name": "ops", "allow": {"uids": [0]}, "lists": [{"clusters": "*"}]}
        grant = {"name": "web", "allow": {"uids": [NOBODY]}, "lists": [{"clusters": ["fake-1"], "resources": ["pods"]}]}
        for settings, allowed in (({}, False), ({"realms": [everyone, grant]}, True)):
            daemon = Daemon(world, fake.kubeconfig, "--context", "*", settings=settings)
            daemon.world = SimpleNamespace(programs=SimpleNamespace(kubering=world.folder / "kubering"))
            daemon.environment |= {"LD_LIBRARY_PATH": str(world.folder), "HOME": "/nonexistent"}
            def ask(resource, cluster, user=NOBODY):
                return daemon.kubering("get", resource, "-A", "--cluster", cluster, "-o", "name", user=user, group=user, extra_groups=[])
            for resource in ("pods", "configmaps", "secrets"):
                for cluster in fake.clusters:
                    expect(ask(resource, cluster, 0)[0] == 0, "the owner sees everything")
                    status, out, text = ask(resource, cluster)
                    may = allowed and resource == "pods" and cluster == "fake-1"
                    expect((status == 0) == may, f"{resource} of {cluster}: exit {status}: {text}")
                    expect(len(out.splitlines()) == (20 if may else 0), f"{resource} of {cluster}: {out}")
                    if not may:
                        # without any grant the very first question is refused, before a list is named
                        expect_all(text, str(NOBODY), "realms", *((resource, cluster) if allowed else ()))
            print(f"    refused: exit {status} | {text.strip()}")
            if not allowed:  # nobody is sent to look for a daemon that is there
                for words, part in ((("doctor",), "tells nothing"), (("version",), "does not say")):
                    status, out, text = daemon.kubering(*words, user=NOBODY, group=NOBODY, extra_groups=[])
                    expect(status == 1, f"{words}: exit {status}")
                    expect_all(out, part)
                    expect_all(text, str(NOBODY), "realms")
            realms = {row["realm"] for row in daemon.rows()}
            expect(realms == ({"ops", "web"} if allowed else {"default"}), f"{realms}")
            with Attached(daemon.socket) as consumer:  # without a list open in it, nobody maps a shard
                for shard in range(4):
                    try:
                        consumer.segment(shard, 0)
                        expect(False, "a segment without a list")
                    except Refused as refused:
                        expect(refused.code == -4, f"{refused}")
            daemon.world = world
            expect(daemon.end() == 0, "SIGTERM: exit status")


def shared_bytes(daemon):
    """The bytes of everything that the daemon could share: its memfds."""
    folder = f"/proc/{daemon.process.pid}/fd"
    for name in os.listdir(folder):
        with contextlib.suppress(FileNotFoundError):  # a consumer's may be gone meanwhile
            if "memfd:" in os.readlink(f"{folder}/{name}"):
                with open(f"{folder}/{name}", "rb") as file:
                    yield file.read()


def secrets(programs):
    """Secrets are mirrored as metadata, unless the realm grants their values; the token is nowhere."""
    need_root("reading the daemon's descriptors")
    with World(programs, "secrets") as world:
        fake = Fakekube(world, objects=30, resources="secrets,pods")
        logs = {"log": {"level": "debug"}}
        values = {"realms": [{"name": "ops", "allow": {"uids": [0]}, "lists": [{"clusters": "*"}], "secretValues": True}]}
        for settings, granted in ((logs, False), (logs | values, True)):
            daemon = Daemon(world, fake.kubeconfig, settings=settings)
            watch = Watch(world, daemon, "secrets", "-A", cluster="fake-1")
            pods = Watch(world, daemon, "pods", "-A", cluster="fake-1")
            wait_equal(fake, daemon, [("secrets", watch), ("pods", pods)], ["secrets", "pods"])
            fake.say("run fake-1 secrets update 20")
            fake.say("cut * rst")
            wait_equal(fake, daemon, [("secrets", watch)], ["secrets"])
            status, out, text = daemon.kubering("get", "secrets", "-A", "-o", "json")
            expect(status == 0, f"exit {status}: {text}")
            expect((SECRET_DATA.decode() in out) == granted, f"values in what the CLI prints, granted: {granted}")
            shared = list(shared_bytes(daemon))
            expect(len(shared) > 3 and any(b"creationTimestamp" in s for s in shared), "no object was found: the scan sees nothing")
            expect(any(SECRET_DATA in s for s in shared) == granted, f"values in shared memory, granted: {granted}")
            form = daemon.row(resource="secrets")["form"]
            expect(form == ("object" if granted else "metadata"), form)
            seen = [daemon.said(), str(daemon.status()), *(daemon.kubering("doctor")[1:]), out,
                    *(open(f"/proc/{daemon.process.pid}/{f}", "rb").read().decode(errors="replace") for f in ("cmdline", "environ")),
                    *(s.decode(errors="replace") for s in shared)]
            expect(not any(TOKEN in text for text in seen), "the bearer token can be seen")
            expect(daemon.end() == 0, "SIGTERM: exit status")
            expect(TOKEN not in daemon.said(), "the bearer token is in the log")


SCENARIOS = {"stranger.budget": budget, "stranger.memory": memory, "stranger.policy": policy, "stranger.secrets": secrets}
