"""Clusters that do not work, one flaw each, beside one that does: a typed error that says what to do, and nothing else is lost."""

import json

from kit.fold import Watch
from kit.servers import TOKEN, Daemon, Fakekube, kubeconfig
from kit.world import World, expect, expect_all, wait_until


def exec_user(command, *args, **more):
    return {"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": str(command), "args": list(args),
                     "interactiveMode": "Never"} | more}


def good_goes_on(fake, watch):
    fake.say("run fake-1 pods update 20")
    wait_until("the good cluster's consumer is equal",
               lambda: watch.check() and watch.digest("good") == fake.digest("fake-1", "pods"))
    expect(("STALE", "good") not in watch.marks, "the good cluster was disturbed")


def told(daemon, name, error_name, *parts, timeout="5s"):
    """The CLI fails in time and says all of that, and so does the status of the cluster, with the name of the error."""
    status, _, text = daemon.kubering("get", "pods", "-A", "--cluster", name, "--timeout", timeout)
    error = daemon.wait_cluster_error(name, error_name, *parts)
    print(f"    {name}: exit {status} | {text.strip()} | status: {error}")
    expect(status in (1, 3), f"{name}: exit {status}: {text}")
    expect_all(text, *parts)


def network(programs):
    """Refused, unresolvable, wrong CA, wrong name, plain text instead of TLS."""
    with World(programs, "network") as world:
        fake, other = Fakekube(world), Fakekube(world, name="other")
        plain = Fakekube(world, name="plain", tls=False)
        user = {"token": TOKEN}
        config = world.file("config.yaml", kubeconfig({
            "good": (fake.entry(), user),
            "refused": (fake.entry() | {"server": "https://127.0.0.1:1"}, user),
            "unresolvable": (fake.entry() | {"server": "https://no-such-host.invalid:6443"}, user),
            "wrong-ca": (fake.entry() | {"certificate-authority-data": other.authority}, user),
            "wrong-name": (fake.entry() | {"tls-server-name": "other.example"}, user),
            "no-tls": (plain.entry() | {"server": plain.entry()["server"].replace("http:", "https:")}, user),
        }))
        daemon = Daemon(world, config, "--context", "*")
        watch = Watch(world, daemon, "pods", "-A", cluster="good")
        wait_until("the good cluster is there", lambda: watch.check() and watch.digest("good") == fake.digest("fake-1", "pods"))
        told(daemon, "refused", "CONN_REFUSED", "127.0.0.1:1")
        told(daemon, "unresolvable", "DNS", "no-such-host.invalid", timeout="20s")  # a name server that swallows questions: 6 s
        told(daemon, "wrong-ca", "TLS_VERIFY", "certificate")
        told(daemon, "wrong-name", "TLS_HOSTNAME", "other.example")
        told(daemon, "no-tls", "CONN_TIMEOUT", "TLS handshake", timeout="20s")  # it waits for a request, and we for a certificate
        status, text, _ = daemon.kubering("doctor")
        print(*("    doctor: " + line for line in text.splitlines()), sep="\n")
        good_goes_on(fake, watch)
        # a log line per cluster now and then, not one per attempt
        lines = [line for line in daemon.said().splitlines() if "refused" in line]
        expect(len(lines) <= 6, f"{len(lines)} log lines about one dead cluster")


def plugins(programs):
    """Exec plugins: missing (with its installHint), failing, hanging, talking nonsense, and one that works."""
    with World(programs, "plugins") as world:
        fake = Fakekube(world)
        def script(name, body):
            return world.file(name, f"#!/bin/sh\n{body}\n", 0o755)
        credential = json.dumps({"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": {"token": TOKEN}})
        hint = "get it from https://example.test/install"
        config = world.file("config.yaml", kubeconfig({
            "good": (fake.entry(), exec_user(script("works", f"echo '{credential}'"))),
            "missing": (fake.entry(), exec_user("kr-no-such-plugin", installHint=hint)),
            "fails": (fake.entry(), exec_user(script("fails", "echo 'please log in again' >&2; exit 3"))),
            "hangs": (fake.entry(), exec_user(script("hangs", "sleep 100 & sleep 100"))),
            "nonsense": (fake.entry(), exec_user(script("nonsense", "echo hello"))),
        }))
        daemon = Daemon(world, config, "--context", "*", settings={"execPolicy": "AllowAll", "log": {"level": "debug"}})
        watch = Watch(world, daemon, "pods", "-A", cluster="good")
        wait_until("the plugin that works lets us in", lambda: watch.check() and watch.digest("good") == fake.digest("fake-1", "pods"))
        status, _, text = daemon.kubering("get", "pods", "-A", "--cluster", "hangs", "--timeout", "1s")
        print(f"    hangs: exit {status} | {text.strip()}")
        expect(status == 3, f"hangs: exit {status}: {text}")
        expect_all(text, "hangs", "plugin")
        told(daemon, "missing", "CRED_EXEC", "kr-no-such-plugin", hint)
        told(daemon, "fails", "CRED_EXEC", "3")
        told(daemon, "nonsense", "CRED_EXEC", "nonsense")
        good_goes_on(fake, watch)
        print("    hangs:", daemon.wait_cluster_error("hangs", "CRED_EXEC", "30", seconds=45))
        expect(TOKEN not in daemon.said(), "the token is in the log")


def token(programs):
    """A token that the server no longer takes: a new one in its file is found by itself; without one, the list says what to do
    and goes on serving what it knows."""
    with World(programs, "token") as world:
        fake, other = Fakekube(world), Fakekube(world, name="other")
        file = world.file("token", TOKEN)
        config = world.file("config.yaml", kubeconfig({"good": (other.entry(), {"token": TOKEN}), "expired": (fake.entry(), {"tokenFile": str(file)})}))
        daemon = Daemon(world, config, "--context", "*")
        watch, good = Watch(world, daemon, "pods", "-A", cluster="expired"), Watch(world, daemon, "pods", "-A", cluster="good")
        def equal():
            return watch.check() and watch.digest("expired") == fake.digest("fake-1", "pods") and daemon.row(cluster="expired")["state"] == "live"
        wait_until("both are there", lambda: equal() and good.check() and good.digest("good") == other.digest("fake-1", "pods"))
        fake.say(f"token add {TOKEN}-renewed")
        fake.say(f"token remove {TOKEN}")
        file.write_text(f"{TOKEN}-renewed")
        fake.say("run fake-1 pods update 10")
        fake.say("cut * rst")
        wait_until(lambda: f"live with the new token: {daemon.row(cluster='expired')}", equal, 45)
        fake.say(f"token remove {TOKEN}-renewed")
        fake.say("run fake-1 pods update 10")
        fake.say("cut * rst")
        row = daemon.wait_row("it says why", lambda r: r["last_error"] and r["last_error"]["name"] == "KUBE_UNAUTHORIZED", cluster="expired")
        print(f"    expired: {row['state']} {row['last_error']}")
        status, _, text = daemon.kubering("get", "pods", "-A", "--cluster", "expired", "--timeout", "1s")
        print(f"    get: exit {status} | {text.strip()}")
        expect(status in (1, 3), f"exit {status}")
        expect_all(text.lower(), "401")
        expect(watch.digest("expired")[1] > 0, "what was known is no longer served")
        good_goes_on(other, good)


def forbidden(programs):
    """A list that the server forbids, and a resource that is taken away: parked with the reason, the others live."""
    with World(programs, "forbidden") as world:
        fake = Fakekube(world, resources="pods,configmaps,widgets.v1.example.com")
        daemon = Daemon(world, fake.kubeconfig, "--context", "*")
        watch = Watch(world, daemon, "pods", "-A", cluster="fake-1")
        fake.say("deny * configmaps")
        status, _, text = daemon.kubering("get", "configmaps", "-A", "--timeout", "3s")
        row = daemon.wait_row("forbidden", lambda r: r["last_error"] and r["last_error"]["name"] == "KUBE_FORBIDDEN", resource="configmaps")
        print(f"    forbidden: exit {status} | {text.strip()} | {row['state']} {row['last_error']}")
        expect(status == 1, f"exit {status}")
        expect(row["state"] == "parked", f"{row['state']}")
        expect_all(text, "configmaps", "forbidden")
        fake.say("run fake-1 pods update 20")
        wait_until("the other list goes on", lambda: watch.check() and watch.digest("fake-1") == fake.digest("fake-1", "pods"))


SCENARIOS = {"stranger.network": network, "stranger.plugins": plugins, "stranger.token": token, "stranger.forbidden": forbidden}
