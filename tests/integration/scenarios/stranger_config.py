"""What a stranger gets wrong before anything runs: files, contexts, settings. Each text says what, where and what to do."""

import fcntl
import json
import os
import subprocess
import sys
import termios

from kit.attach import Refused
from kit.fold import Watch
from kit.servers import Daemon, Fakekube, kubeconfig
from kit.world import World, expect, expect_all, wait_until


def refuse(world, config, *parts, flags=(), settings=None, status=1):
    """kuberingd ends by itself and says all of that, and so does --check where it is about files."""
    for check in ((), ("--check",)):
        daemon = Daemon(world, config, *flags, *check, settings=settings, wait=False)
        wait_until("kuberingd ends", lambda: not daemon.process.running(), 10)
        text = daemon.said().strip()
        expect(daemon.process.child.returncode == status, f"exit {daemon.process.child.returncode}, not {status}: {text}")
        expect_all(text, *parts)
        print(f"    {' '.join(check)} | {text.replace(str(world.folder), '')}")


def files(programs):
    good = {"good": ({"server": "http://127.0.0.1:1"}, {})}
    with World(programs, "config") as world:
        refuse(world, world.folder / "absent.yaml", "absent.yaml", "no such file")
        broken = world.file("broken.yaml", "apiVersion: v1\nkind: Config\nclusters:\n- name: a\n   cluster: {server: x\n")
        refuse(world, broken, "broken.yaml:5")
        refuse(world, world.file("list.yaml", "- 1\n- 2\n"), "list.yaml:1")
        refuse(world, world.file("field.yaml", kubeconfig(good).replace('"clusters": [', '"clusters": 7, "x": [')), "field.yaml", "clusters")
        bomb = "a: &a [x,x,x,x,x,x,x,x]\n" + "".join(f"{b}: &{b} [{','.join(['*' + a] * 8)}]\n" for a, b in zip("abcdefgh", "bcdefghi"))
        refuse(world, world.file("bomb.yaml", bomb), "bomb.yaml")
        config = world.file("good.yaml", kubeconfig(good))
        refuse(world, config, "nope", "good", flags=("--context", "nope"))
        refuse(world, config, "limts", "settings-", settings={"limts": {}})
        refuse(world, config, "ringEntries", settings={"limits": {"ringEntries": 1000}})
        refuse(world, config, "listBytes", settings={"limits": {"listBytes": "8Gi", "shardBytes": "1Gi"}})
        refuse(world, config, "--list", flags=("--list", "/wrong"))
        refuse(world, config, "--list", "cannot be a namespace", flags=("--list", "pods/Web"))
        refuse(world, config, "--io", "maybe", flags=("--io", "maybe"), status=2)
        refuse(world, config, "unexpected argument", flags=("positional",), status=2)
        for option in ("--config", "--kubeconfig", "--context", "--list", "--socket"):
            refuse(world, config, "empty value", option[2:], flags=(option, ""), status=2)
        refuse(world, config, "--reactors takes 1 to 64", flags=("--reactors", str(2**32 + 1)), status=2)


def one_broken_context(programs):
    """What is wrong with one context stays with it: the others work."""
    with World(programs, "context") as world:
        fake = Fakekube(world)
        good = (fake.entry(), {"token": "canary-4e1f0c77b2"})
        config = world.file("mixed.yaml", kubeconfig({
            "good": good,
            "no-ca": (fake.entry() | {"certificate-authority-data": None, "certificate-authority": "/nonexistent/ca.pem"}, good[1]),
            "bad-ca": (fake.entry() | {"certificate-authority-data": "bm90IGEgY2VydA=="}, good[1]),
            "proxy": (fake.entry() | {"proxy-url": "http://127.0.0.1:3128"}, good[1]),
            "no-key": (fake.entry(), {"client-certificate": "/nonexistent/c.pem", "client-key": "/nonexistent/k.pem"}),
            "no-token": (fake.entry(), {"tokenFile": "/nonexistent/token"}),
        }).replace('"certificate-authority-data": null,', ""))
        daemon = Daemon(world, config, "--context", "*")
        watch = Watch(world, daemon, "pods", "-A", cluster="good")
        texts = {}
        for name, part in (("no-ca", "/nonexistent/ca.pem"), ("bad-ca", "certificate"), ("proxy", "proxy"), ("no-key", "/nonexistent/"),
                           ("no-token", "/nonexistent/token")):
            status, _, text = daemon.kubering("get", "pods", "-A", "--cluster", name, "--timeout", "5s")
            row = daemon.cluster(name)
            texts[name] = f"exit {status} | {text.strip()} | status: {row['state']} {json.dumps(row['last_error'])}"
            expect(status in (1, 3), lambda: texts[name])
            expect_all(texts[name], part)
        print(*(f"    {name}: {text}" for name, text in texts.items()), sep="\n")
        status, _, text = daemon.kubering("get", "pods", "-A", "--cluster", "nowhere")
        expect(status == 1, f"exit {status}")
        expect_all(text, "nowhere")
        status, _, text = daemon.kubering("get", "gadgets", "-A", "--cluster", "good")
        expect(status == 1, f"exit {status}")
        expect_all(text, "gadgets")
        print("    unknown resource:", text.strip())
        try:
            with daemon.attach() as consumer:
                consumer.open("nowhere", "pods")
            expect(False, "a list of an unknown cluster was opened")
        except Refused as refused:
            expect(refused.code == -6, f"{refused}")
        fake.say("run fake-1 pods update 30")
        wait_until("the good one goes on", lambda: watch.check() and watch.digest("good") == fake.digest("fake-1", "pods"))


def core(programs):
    """There is no core with credentials in it, from when they are read on: kuberingd waits here, with all of them, for its warnings to be read."""
    with World(programs, "core") as world:
        users = {f"user-{i}-{'x' * 30}": ({"server": "http://127.0.0.1:1"}, {"token": "canary", "act-as": "x"}) for i in range(100)}
        config = world.file("warnings.yaml", kubeconfig(users))
        reader, writer = os.pipe()
        size = fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
        daemon = subprocess.Popen([programs.kuberingd, "--kubeconfig", config, "--context", "*", "--socket", world.folder / "k.sock"], stderr=writer)
        os.close(writer)
        try:
            def waiting():
                return int.from_bytes(fcntl.ioctl(reader, termios.FIONREAD, bytes(4)), sys.byteorder) > size - 300
            wait_until("it warns", waiting)
            expect(daemon.poll() is None and b"act-as" in os.read(reader, 400), "it did not wait for that")
            with open(f"/proc/{daemon.pid}/limits") as file:
                limit = next(line for line in file if line.startswith("Max core file size"))
            expect(limit.split()[4:6] == ["0", "0"], limit)
        finally:
            daemon.kill()
            daemon.wait()
            os.close(reader)


SCENARIOS = {"stranger.core": core, "stranger.files": files, "stranger.one_broken_context": one_broken_context}
