#!/usr/bin/env -S python3 -B
"""The words of the command line, against kuberingd and fakekube: cli_words.py KUBERINGD KUBERING FAKEKUBE.

What scripts of users rest on: exit codes, what is on stdout and what is not, the forms of -o, the lines of `watch -o jsonl`.
"""

import fcntl
import json
import os
import pty
import queue
import re
import resource
import select
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
from pathlib import Path

DAEMON, CLI, FAKE = sys.argv[1:4]
COMPLETION = (Path(__file__).resolve().parents[2] / "tools/kubering/completion.bash").read_text()
SECONDS = 30
OBJECTS = 25


EVIL = "evil\x1b[2J"  # the name of a context, and what a terminal would do with it


class Rig:
    def __init__(self, folder):
        self.folder, self.socket, self.children = folder, folder / "k.sock", []
        self.kubeconfig = folder / "kubeconfig"

    def spawn(self, *command, **more):
        child = subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL, **more)
        self.children.append(child)
        return child

    def start_servers(self):
        fake = self.spawn(FAKE, "--clusters", 2, "--objects", OBJECTS, "--resources", "pods,configmaps,nodes", "--quiet",
                          "--kubeconfig-out", self.kubeconfig, stdout=subprocess.PIPE)
        line = ready_line(fake)
        assert line.startswith(b"ready"), line
        return fake

    def start_daemon(self):
        log = open(self.folder / "kuberingd.log", "ab")
        daemon = self.spawn(DAEMON, "--kubeconfig", self.kubeconfig, "--context", "*", "--socket", self.socket, stderr=log)
        until(lambda: self.run("status").returncode == 0, "kuberingd answers")
        return daemon

    def run(self, *words, seconds=SECONDS, socket=None):
        env = os.environ | {"KUBERING_SOCKET": str(socket or self.socket)}
        return subprocess.run([CLI, *words], env=env, stdin=subprocess.DEVNULL, capture_output=True, timeout=seconds)

    def end(self):
        for child in reversed(self.children):
            if child.poll() is None:
                child.kill()
            child.wait()


class Watch:
    """A `kubering watch -o jsonl`, line by line."""

    def __init__(self, rig, *words):
        env = os.environ | {"KUBERING_SOCKET": str(rig.socket)}
        self.child = rig.spawn(CLI, "watch", *words, "-o", "jsonl", env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.lines = queue.Queue()
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.child.stdout:
            self.lines.put(json.loads(line))
        self.lines.put(None)

    def until(self, kind):
        """The lines up to the first of this type."""
        got = []
        while not got or got[-1]["type"] != kind:
            line = self.lines.get(timeout=SECONDS)
            assert line is not None, f"watch ended with {self.child.wait()} before {kind}, after {[x['type'] for x in got][-5:]}"
            got.append(line)
        return got


def ready_line(process):
    readable, _, _ = select.select([process.stdout], [], [], SECONDS)
    assert readable, "no ready line"
    return process.stdout.readline()


def until(condition, what):
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"timed out: {what}"
        select.select([], [], [], 0.05)


def expect(done, code, *said):
    text = done.stderr.decode()
    assert done.returncode == code, f"{done.args[1:]}: exit {done.returncode}, not {code}: {text}"
    for word in said:
        assert word in text, f"{done.args[1:]}: stderr lacks {word!r}: {text}"
    if code:
        assert not done.stdout, f"{done.args[1:]}: data on stdout although it failed"
    return done.stdout.decode()


def check_usage(rig):
    for words in ([], ["nonsense"], ["get"], ["get", "pods", "--nonsense"], ["get", "pods", "-o", "xml"], ["get", "pods", "-n"],
                  ["get", "pods", "a", "b"], ["get", "pods", "-n", "x", "-A"], ["get", "pods", "x", "-A"],
                  ["get", "pods", "--timeout", "soon"], ["watch", "pods", "--diff", "-o", "yaml"], ["status", "-A"],
                  ["status", "-o", "yaml"], ["get", "pods", "--diff"], ["get", "pods", "-n", ""], ["get", "pods", "-n="],
                  ["get", "pods", "--cluster="], ["status", "--socket", ""], ["get", "pods,nodes"], ["get", "po ds"], ["get", "pods/"], ["get", "pods", "--cluster", "x", "--all-clusters"]):
        expect(rig.run(*words), 2, "")
    for words in (["--nonsense", "status"], ["--socket"], ["-A", "status"], ["--socket", rig.folder / "x", "nonsense"]):
        expect(rig.run(*words), 2, "error")
    for command in ("get", "watch", "status", "clusters", "lists", "top", "doctor", "version", "reload"):
        text = expect(rig.run(command, "--help"), 0)
        assert 0 < text.index("Examples:") < text.index("Options:") < text.index("Usage:"), text
    assert "Exit codes" in expect(rig.run("--help"), 0)
    assert "Exit codes" in expect(rig.run("--socket", "x", "--help"), 0)
    assert expect(rig.run("--help", "get"), 0) == expect(rig.run("get", "--help"), 0)
    assert expect(rig.run("--version"), 0).startswith("kubering ")


def check_unreachable(rig):
    for command in (["get", "pods"], ["watch", "pods"], ["status"], ["clusters"], ["lists"], ["top"], ["reload"]):
        expect(rig.run(*command, socket=rig.folder / "nobody"), 4, "kuberingd", "nobody")
    done = rig.run("doctor", "-o", "json", socket=rig.folder / "nobody")
    assert done.returncode == 4 and json.loads(done.stdout)[0]["result"] == "broken", done
    done = rig.run("version", "-o", "json", socket=rig.folder / "nobody")
    assert done.returncode == 4 and json.loads(done.stdout)["daemon"] is None, done


def check_get(rig):
    expect(rig.run("get", "pods", "-A"), 2, "fake-1", "fake-2", "--cluster")
    one = ["--cluster", "fake-1"]
    expect(rig.run("get", "nosuch", *one), 1, "nosuch", "api-resources")
    expect(rig.run("get", "pods", "--cluster", "nowhere"), 1, "nowhere")
    expect(rig.run("get", "pods", "nosuch", *one), 1, "not found")
    for words in (["get"], ["watch"]):  # asked again it would be refused again
        expect(rig.run(*words, "pods", "-l", "a=(", "--timeout", "0", *one), 1, "400")
        expect(rig.run(*words, "pods", "--field-selector", "a", "--timeout", "0", *one), 1, "400")
    assert "is the selector right?" in expect(rig.run("doctor"), 0)
    assert expect(rig.run("get", "pods", "-A", "-l", "", *one), 0)
    lines = expect(rig.run("get", "pods", "-A", *one), 0).splitlines()
    assert len(lines) == OBJECTS + 1 and lines[0].split() == ["NAMESPACE", "NAME", "READY", "STATUS", "RESTARTS", "AGE"], lines[0]
    assert len({line.index(word) for line, word in ((lines[0], "NAME "), (lines[0], "READY"))}) == 2
    assert expect(rig.run("get", "pods", "-A", "--no-headers", *one), 0).count("\n") == OBJECTS
    whole = json.loads(expect(rig.run("get", "po", "-A", "-o", "json", *one), 0))
    assert (whole["apiVersion"], whole["kind"], len(whole["items"])) == ("v1", "List", OBJECTS)
    keys = [(item["metadata"]["namespace"], item["metadata"]["name"]) for item in whole["items"]]
    assert keys == sorted(keys) and len(set(keys)) == OBJECTS
    assert {(item["apiVersion"], item["kind"]) for item in whole["items"]} == {("v1", "Pod")}
    each = [json.loads(line) for line in expect(rig.run("get", "pods", "-A", "-o", "jsonl", *one), 0).splitlines()]
    assert each == whole["items"]
    names = expect(rig.run("get", "pods", "-A", "-o", "name", *one), 0).splitlines()
    assert names == [f"pod/{name}" for _, name in keys]
    namespace, name = keys[0]
    single = json.loads(expect(rig.run("get", f"pod/{name}", "-n", namespace, "-o", "json", *one), 0))
    assert single == whole["items"][0]
    assert "kind: Pod\n" in expect(rig.run("get", "pod", name, "-n", namespace, "-o", "yaml", *one), 0)
    assert expect(rig.run("get", "pods", "-n", "empty", *one), 0, "No resources found in empty namespace") == ""
    both = expect(rig.run("get", "nodes", "--all-clusters"), 0).splitlines()
    assert both[0].split()[:2] == ["CLUSTER", "NAME"] and len(both) == 2 * OBJECTS + 1
    tagged = [json.loads(line) for line in expect(rig.run("get", "nodes", "--all-clusters", "-o", "jsonl"), 0).splitlines()]
    assert {item["cluster"] for item in tagged} == {"fake-1", "fake-2"}


def check_hands_of_kubectl(rig):
    """What is not here as kubectl has it: the words say where it is."""
    expect(rig.run("get", "pods", "-w"), 2, "kubering watch")
    expect(rig.run("get", "pods", "--sort-by=.metadata.name"), 2, "jq")
    expect(rig.run("describe", "pods", "x"), 2, "kubectl describe")
    expect(rig.run("statsu"), 2, "get, watch, status")
    names = ("get", "pods", "-A", "-o", "name")  # a table has ages
    assert expect(rig.run(*names, "--context", "fake-1"), 0) == expect(rig.run(*names, "--cluster", "fake-1"), 0)


def check_namespace_of_context(rig):
    """Without -n it is that of the context, as with kubectl."""
    path, socket = rig.folder / "team", rig.folder / "team.sock"
    path.write_text(rig.kubeconfig.read_text().replace("{cluster: fake-1,", "{cluster: fake-1, namespace: ns-001,"))
    path.chmod(0o600)
    rig.spawn(DAEMON, "--kubeconfig", path, "--context", "*", "--socket", socket, stderr=subprocess.DEVNULL)
    until(lambda: rig.run("status", socket=socket).returncode == 0, "kuberingd answers")

    def get(*words):
        return expect(rig.run("get", "pods", *words, "-o", "jsonl", socket=socket), 0).splitlines()

    team = get("--cluster", "fake-1")
    assert team and {json.loads(line)["metadata"]["namespace"] for line in team} == {"ns-001"}, team
    assert get("--cluster", "fake-1", "-n", "ns-001") == team and not get("--cluster", "fake-2")
    assert len(get("--cluster", "fake-1", "-A")) == OBJECTS
    expect(rig.run("get", "pods", "typo", "--cluster", "fake-1", socket=socket), 1, "not found in cluster fake-1, namespace ns-001")


def check_completion(rig):
    script = COMPLETION + '\nset -u; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _kubering; printf "%s\\n" "${COMPREPLY[@]}"'

    def choices(*words):
        env = os.environ | {"KUBERING_SOCKET": str(rig.socket)}
        return subprocess.run(["bash", "-c", script, "bash", CLI, *words], env=env, capture_output=True, text=True, check=True, timeout=SECONDS).stdout.split()

    assert choices("w") == ["watch"] and {"get", "reload", "top"} <= set(choices(""))
    assert choices("get", "pods", "--cl") == ["--cluster"] and "--diff" in choices("watch", "--")
    assert choices("get", "pods", "--cluster", "fa") == ["fake-1", "fake-2"]
    assert choices("status", "-o", "") == ["json", "table"] and "configmaps" in choices("get", "c")
    assert "--output" in choices("audit", "--") and "--namespace" not in choices("audit", "--")
    assert {"fake-1", "fake-1/pods"} <= set(choices("audit", "fake-1")), choices("audit", "fake-1")


def on_terminal(rig, rows, columns, *words):
    """What the command prints to a terminal of this size, and its exit code."""
    here, there = pty.openpty()
    fcntl.ioctl(there, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    env = os.environ | {"KUBERING_SOCKET": str(rig.socket), "TERM": "xterm"}
    child = rig.spawn(CLI, *words, env=env, stdout=there, stderr=there)
    os.close(there)
    told = b""
    try:
        while more := os.read(here, 65536):
            told += more
    except OSError:  # the other side is closed
        pass
    os.close(here)
    return told.decode(), child.wait(SECONDS)


def wrapped(told, columns):
    """How many lines the terminal had to break."""
    count, column, wraps = 0, 0, True
    for word in re.split(r"(\x1b\[[?0-9;]*[A-Za-z]|[\r\n])", told):
        if word in ("\x1b[?7l", "\x1b[?7h"):
            wraps = word.endswith("h")
        elif word in ("\r", "\n"):
            column = 0
        elif not word.startswith("\x1b"):
            count += wraps and column <= columns < column + len(word)
            column += len(word)
    return count


def check_terminal(rig):
    """top shows the busiest lists of more than the terminal has room for, and no line of them is broken."""
    for namespace in range(12):
        expect(rig.run("get", "pods", "-n", f"ns{namespace}", "--cluster", "fake-1"), 0)
    told, code = on_terminal(rig, 10, 40, "top", "--timeout", "1s")
    screens = told.split("\x1b[H\x1b[J")[1:]
    assert code == 0 and screens, (told, code)
    assert all(screen.count("\n") < 10 and " lists, " in screen and "EVENTS/S" in screen for screen in screens), told
    assert not any(wrapped(screen, 40) for screen in screens), told


def check_kept_open(rig):
    """A list that is to be kept open and cannot be is in the log, and nowhere else."""
    path = rig.folder / "kept.log"
    with open(path, "ab") as log:
        rig.spawn(DAEMON, "--kubeconfig", rig.kubeconfig, "--context", "*", "--list", "podz", "--socket", rig.folder / "p.sock", stderr=log)
    until(lambda: all(f'cluster \\"{name}\\" has no resource \\"podz\\"' in path.read_text() for name in ("fake-1", "fake-2")), "podz is named")


def write_kubeconfig(path, context):
    path.write_text(json.dumps({
        "apiVersion": "v1", "kind": "Config", "current-context": context,
        "clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:1"}}], "users": [{"name": "u", "user": {}}],
        "contexts": [{"name": context, "context": {"cluster": "c", "user": "u"}}]}))


def check_words_of_strangers(rig):
    """What a server or a kubeconfig says does not command the terminal."""
    stranger = rig.folder / "stranger"
    write_kubeconfig(stranger, EVIL)
    socket = rig.folder / "s.sock"
    rig.spawn(DAEMON, "--kubeconfig", stranger, "--context", "*", "--socket", socket, stderr=subprocess.DEVNULL)
    until(lambda: rig.run("status", socket=socket).returncode == 0, "kuberingd answers")
    for words in (["get", "pods"], ["get", "pods", "--all-clusters"], ["get", "pods", "--cluster", EVIL], ["status"], ["clusters"], ["doctor"]):
        done = rig.run(*words, socket=socket)
        assert b"\x1b" not in done.stdout + done.stderr and b"evil^[" in done.stdout + done.stderr, done


def check_status(rig):
    status = json.loads(expect(rig.run("status", "-o", "json"), 0))
    assert {cluster["name"] for cluster in status["clusters"]} == {"fake-1", "fake-2"}
    assert any(row["resource"] == "pods" and row["objects"] == OBJECTS for row in status["lists"])
    assert [row["name"] for row in json.loads(expect(rig.run("clusters", "-o", "json", "--cluster", "fake-2"), 0))] == ["fake-2"]
    for command in ("clusters", "lists"):
        expect(rig.run(command, "--cluster", "nowhere"), 1, "nowhere")
        expect(rig.run(command, "-o", "json", "--cluster", "nowhere"), 1, "nowhere")
    assert "live" in expect(rig.run("lists"), 0) and "fake-1" in expect(rig.run("status"), 0)
    assert "0 broken" in expect(rig.run("doctor"), 0)
    assert {row["result"] for row in json.loads(expect(rig.run("doctor", "-o", "json"), 0))} <= {"ok", "warning"}
    assert json.loads(expect(rig.run("version", "-o", "json"), 0))["daemon"]["version"]
    assert "EVENTS/S" in expect(rig.run("top"), 0)
    first = ["--socket", rig.socket, "-o", "json"]  # options before the command are options of the command
    assert json.loads(expect(rig.run(*first, "status", socket="nobody"), 0))["pid"] == status["pid"]
    assert len(json.loads(expect(rig.run("-A", *first, "get", "pods", "--cluster", "fake-1", socket="nobody"), 0))["items"]) == OBJECTS


def check_watch(rig):
    one = ["pods", "-A", "--cluster", "fake-1"]
    done = rig.run("watch", *one, "-o", "jsonl", "--timeout", "300ms")
    assert done.returncode == 3, done
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["type"] for line in lines] == ["ADDED"] * OBJECTS + ["SYNCED"]
    assert all(set(line) == {"type", "cluster", "resource_version", "digest", "object"} for line in lines[:-1])
    row = next(row for row in json.loads(rig.run("lists", "-o", "json").stdout)
               if row["resource"] == "pods" and not row["namespace"] and row["cluster"] == "fake-1")
    assert lines[-1] == {"type": "SYNCED", "cluster": "fake-1", "resource_version": lines[-1]["resource_version"], "digest": row["digest"]}
    table = rig.run("watch", *one, "--timeout", "300ms")
    assert table.returncode == 3 and len(table.stdout.splitlines()) == OBJECTS + 1 and not table.stderr
    nothing = rig.run("watch", "pods", "typo", "-n", "shop", "--cluster", "fake-1", "--timeout", "300ms")
    assert nothing.returncode == 3 and b"No pods typo found yet in namespace shop; waiting for changes.\n" in nothing.stderr, nothing


def check_daemon_gone(rig, daemon):
    """A watch outlives its daemon, and says when what it shows is no longer fresh."""
    watch = Watch(rig, "pods", "-A", "--cluster", "fake-1")
    first = watch.until("SYNCED")
    daemon.send_signal(signal.SIGKILL)
    daemon.wait()
    watch.until("STALE")
    daemon = rig.start_daemon()
    last = watch.until("LIVE")
    held = {line["object"]["metadata"]["uid"] for line in first if line["type"] == "ADDED"}
    for line in last:
        if line["type"] == "RESET":
            held = set()
        elif line["type"] in ("ADDED", "MODIFIED"):
            held.add(line["object"]["metadata"]["uid"])
        elif line["type"] == "DELETED":
            held.discard(line["object"]["metadata"]["uid"])
    assert len(held) == OBJECTS, last
    return daemon


def check_servers_gone(rig, fake):
    expect(rig.run("get", "pods", "-A", "--cluster", "fake-1"), 0)
    fake.kill()
    fake.wait()
    expect(rig.run("get", "configmaps", "-A", "--cluster", "fake-2", "--timeout", "5s"), 1, "connection refused")
    expect(rig.run("get", "pods", "-A", "--cluster", "fake-1", "--timeout", "0.2s"), 3, "timed out")
    told, code = on_terminal(rig, 24, 40, "get", "pods", "-A", "--cluster", "fake-1", "--timeout", "2s")
    progress = told.split("error:")[0]
    assert code == 3 and "stale" in progress and not wrapped(progress, 40), told
    expect(rig.run("watch", "configmaps", "-A", "--cluster", "fake-1", "--timeout", "6s"), 3, "waiting for configmaps", "connection refused")


def check_many(rig):
    """Forty clusters, a limit of open files that is too low for them, and thirty that cannot be used."""
    many, at = rig.folder / "many", rig.folder / "many.sock"
    kubeconfig = {"clusters": [{"name": "dead", "cluster": {"server": "http://127.0.0.1:9"}}, {"name": "bad", "cluster": {"server": "ftp://x"}}],
                  "contexts": [{"name": f"c{i}", "context": {"cluster": "dead" if i < 40 else "bad"}} for i in range(70)]}
    many.write_text(json.dumps(kubeconfig))
    many.chmod(0o600)
    with open(rig.folder / "many.log", "ab") as log:
        rig.spawn(DAEMON, "--kubeconfig", many, "--context", "*", "--reactors", 1, "--socket", at, stderr=log,
                  preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64)))
    until(lambda: rig.run("status", socket=at).returncode == 0, "kuberingd answers")
    assert "raise LimitNOFILE" in (rig.folder / "many.log").read_text()
    done = rig.run("doctor", socket=at)
    told = done.stdout.decode().splitlines()
    assert done.returncode == 1, done
    for word, rest in (("ok      ", "20 more are well"), ("broken  ", "10 more have the same error: CONFIG")):
        assert sum(line.startswith(f"{word} cluster ") for line in told) == 20, told
        assert f"{word} clusters: {rest}" in told, told
    rows = json.loads(rig.run("doctor", "-o", "json", socket=at).stdout)
    assert sum(row["check"].startswith("cluster ") for row in rows) == 70, rows


def main():
    with tempfile.TemporaryDirectory(prefix="kubering-cli-", dir="/tmp") as folder:
        rig = Rig(Path(folder))
        try:
            check_usage(rig)
            check_unreachable(rig)
            check_many(rig)
            fake = rig.start_servers()
            daemon = rig.start_daemon()
            check_get(rig)
            check_status(rig)
            check_hands_of_kubectl(rig)
            check_namespace_of_context(rig)
            check_completion(rig)
            check_terminal(rig)
            check_kept_open(rig)
            check_words_of_strangers(rig)
            check_watch(rig)
            check_daemon_gone(rig, daemon)
            check_servers_gone(rig, fake)
        except BaseException:
            log = Path(folder) / "kuberingd.log"
            sys.stderr.write(log.read_text()[-4000:] if log.exists() else "")
            raise
        finally:
            rig.end()
    print("cli_words: passed")


main()
