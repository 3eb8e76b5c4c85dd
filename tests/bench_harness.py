"""bench/harness.py, bed.py, peers.py and bench/run itself: turns, what happens when something dies, and what a run leaves behind."""
import contextlib
import io
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import types

BENCH = pathlib.Path(__file__).resolve().parent.parent / "bench"
sys.path.insert(0, str(BENCH))
import bed  # noqa: E402
import harness  # noqa: E402
import peers  # noqa: E402
import peers_programs  # noqa: E402
import peers_subject  # noqa: E402
import throughput  # noqa: E402
from figures import Failed, Result  # noqa: E402


def quiet(what, *args):
    with contextlib.redirect_stdout(io.StringIO()):
        return what(*args)


def arguments(**given):
    had = {"runs": 3, "quick": False, "bin": pathlib.Path("A"), "against": None, "limits": None, "tls": None, "part": None, "clusters": None,
           "sockets": None, "rate": None, "consumer_cpu": "1", "strategy": None}
    return types.SimpleNamespace(**(had | given))


# --- turns ---

def builds_in_turns():
    order = []

    def measure(run):
        order.append(str(run.bin))
        out = Result()
        out.add("drifting", 100 + len(order), "ns")  # the machine gets slower all the time, and both builds are the same
        return out

    found, _, against, problem = quiet(harness.run_in_turns, measure, arguments(runs=4, against=pathlib.Path("B")))
    assert order == ["A", "B", "B", "A", "A", "B", "B", "A"] and not problem
    assert against[0].ratio == 1, f"who runs first is {against[0].ratio} of who runs second"


def one_run_ends_alone():
    for why in (ConnectionResetError("the server has ended"), subprocess.TimeoutExpired("probe", 5), Failed("the mirror differs")):
        runs = iter((None, why, None))

        def measure(_run):
            this, out = next(runs), Result()
            if this:
                raise this
            out.add("storm_live", 5, "s")
            return out

        found, _, _, problem = quiet(harness.run_in_turns, measure, arguments())
        assert [f.values for f in found] == [[5, 5]] and problem == str(why), f"{type(why).__name__} took the other runs along"
        assert found[0].ok is None


def a_mistake_of_a_bench():
    def whole(h, _args):
        h.figure("storm_live", [5.0], "s")
        raise RuntimeError("dictionary changed size during iteration")

    had, harness.must_be_built = harness.must_be_built, lambda _: None
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            got = quiet(harness.run_one, "storm", types.SimpleNamespace(function=whole, whole=True), arguments())
    finally:
        harness.must_be_built = had
        bed.Bed.servers = None
    assert got["problem"] == "RuntimeError: dictionary changed size during iteration" and got["figures"][0]["value"] == 5


# --- the bed ---

def cpu_of_threads_that_have_ended():
    burn = ("import os, threading, time\n"
            "def work():\n"
            "    while time.thread_time() < .05: pass\n"
            "t = threading.Thread(target=work); t.start(); t.join()\n"
            "while len(os.listdir('/proc/self/task')) > 1: pass\n"
            "print(1, flush=True); input()")
    with subprocess.Popen([sys.executable, "-c", burn], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        child.stdout.readline()
        living, all_of = sum(bed.cpu_of(child.pid).values()), bed.cpu_ns(child.pid)
        child.communicate(b"\n")
    assert all_of - living > 40e6, f"{living} of {all_of} ns"


def bed_of(*children):
    b = bed.Bed.__new__(bed.Bed)
    b.dir, b.children, b.control = tempfile.TemporaryDirectory(), list(children), None
    return b


def interrupted_twice():
    child = subprocess.Popen(["sleep", "100"])
    had, child.terminate = child.wait, lambda: None  # it does not end when it is asked to
    waits = iter((True, False, False))

    def wait(*args):
        if next(waits):
            raise KeyboardInterrupt
        return had(*args)

    child.wait = wait
    try:
        bed_of(child).close()
        raise AssertionError("the interrupt was lost")
    except KeyboardInterrupt:
        pass
    finally:
        left = child.poll() is None
        child.kill()
        had()
    assert not left, "an interrupt while a bed is closed leaves its programs behind"


def one_server_for_both_builds():
    started = []
    b = bed_of()
    b.bin, b.path = pathlib.Path("B"), pathlib.Path(b.dir.name)
    b.start = lambda cpu, argv, **_: started.append(str(argv[0])) or types.SimpleNamespace(stdout=io.BytesIO(b""))
    try:
        bed.Bed.servers = pathlib.Path("A")
        b.start_server(b, "", [], False)
    except Failed:
        pass
    finally:
        bed.Bed.servers = None
        b.dir.cleanup()
    assert started == ["A/fakekube"], f"the load of build B comes from {started}"


def all_events_came():
    made = throughput.EVENTS

    class Fake:
        def __init__(self, events):
            self.events = events

        def settle(self, cluster):
            assert cluster
            return {"relists": "0", "events": str(self.events)}

    assert throughput.settle_all([Fake(made + 1)], ["fake-1"]) == made + 1
    assert throughput.settle_all([Fake(3 * made)], ["fake-1", "fake-2"], 4 * made) == 6 * made
    for had in (0, made):
        try:
            throughput.settle_all([Fake(had + 200)], ["fake-1"], had)
        except Failed as why:
            assert "200 of 2500" in str(why)
        else:
            raise AssertionError("a mirror that left out all but the last version of each object passed")


# --- peers ---

def subject(child):
    s = peers_subject.Subject.__new__(peers_subject.Subject)
    s.name, s.child, s.path = "peer", child, pathlib.Path(tempfile.mkdtemp())
    (s.path / "subject.log").write_text("out of memory")
    return s


def peer_that_died():
    with subprocess.Popen(["true"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0) as child:
        child.wait()
        s = subject(child)
        try:
            s.say("count")
        except Failed as why:
            assert "ended: out of memory" in str(why)
        else:
            raise AssertionError("a peer that is not there answered")
        finally:
            (s.path / "subject.log").unlink()
            s.path.rmdir()
            child.stdin.close()
    assert [peers_subject.edge(v) for v in (0, 15, 16, 31, 32, 1 << 20)] == [0, 15, 16, 31, 33, (1 << 20) + (1 << 16) - 1]


def a_consumer_for_each_library():
    """Two clones that measure at a time must not get each other's library."""
    built, had = [], peers_programs.nice
    peers_programs.nice = lambda argv: built.append([str(a) for a in argv])
    try:
        ours, theirs = (peers_programs.build_consumer(f"/{clone}/build/bin", pathlib.Path("/cache")) for clone in ("a", "b"))
    finally:
        peers_programs.nice = had
    assert ours != theirs and str(ours) in built[0] and "-L/a/build/lib" in built[0], (ours, theirs)


def peers_one_after_the_other():
    order, row = [], {"event_3k6": 1.0, "idle": 0.0, "content": "application/json"}

    class Subject:
        def __init__(self, _args, name, _argv, _objects, object_bytes):
            self.name = name
            if object_bytes < 8000:
                order.append(name)

        def close(self):
            pass

    def measure(s, _size):
        if s.name == "kube-rs-typed":
            raise BrokenPipeError("it died")
        return dict(row)

    os.environ["KUBERING_PEERS"] = "client-go-protobuf,kube-rs-typed,client-go-json"
    told, had = [], {name: getattr(peers, name) for name in ("prepared", "Subject", "measure", "report")}
    peers.prepared = lambda *_: ({"client-go": 1, "kube-rs": 1}, lambda name: None)
    peers.Subject, peers.measure, peers.report = Subject, measure, lambda h, rows, runs, bound: told.append((rows, runs))
    try:
        quiet(peers.run, None, arguments(runs=2))
    except Failed as why:
        assert str(why) == "not counted: kube-rs-typed"
    finally:
        del os.environ["KUBERING_PEERS"]
        for name, was in had.items():
            setattr(peers, name, was)
    rows, runs = told[0]
    assert order == order[::-1] and len(order) == 12 and runs == 2
    # A server that answered JSON to who asked for protobuf is said so.
    assert {n: len(v) for n, v in rows.items()} == {"kubering": 2, "kubering-kept": 2, "kubering-batched": 2, "client-go-json": 2,
                                                    "client-go-fallback-json": 2}


# --- bench/run ---

def run(*args):
    return subprocess.run([sys.executable, "-B", BENCH / "run", *args], capture_output=True, text=True)


def said_before_it_measures():
    with tempfile.TemporaryDirectory() as folder:
        for args, word in ((("get", "--json", f"{folder}/no/x.json"), "its folder is not there"), (("get", "--html", folder), "cannot be written"),
                           (("sockets", "--limits", folder), "uring_recv is not there"), (("all", "--limits", folder), "is not there"),
                           (("get", "--runs", "-1"), "1 or more"), (("get", "--against", f"{folder}/no"), "no folder of a build")):
            out = run("--bin", folder, *args)
            assert out.returncode == 2 and word in out.stderr and not out.stdout, (args, out)
        file = pathlib.Path(folder) / "list.json"
        file.write_text("[1]")
        assert run("table", file).returncode == 2


def nobody_is_left_behind(ends):
    """A bench whose server never gets ready is ended; its server must end with it."""
    with tempfile.TemporaryDirectory() as folder:
        fifo = pathlib.Path(folder) / "pid"
        os.mkfifo(fifo)
        for name, text in (("fakekube", f"echo $$ >{fifo}; exec sleep 100"), ("kuberingd", "exit 1"), ("bench_probe", "exit 1")):
            program = pathlib.Path(folder) / name
            program.write_text(f"#!/bin/sh\n{text}\n")
            program.chmod(0o755)
        signal.signal(ends, signal.default_int_handler)  # what is ignored here, as under nohup, would be ignored there
        bench = subprocess.Popen([sys.executable, "-B", BENCH / "run", "flood", "--quick", "--bin", folder], stdout=subprocess.DEVNULL,
                                 stderr=subprocess.DEVNULL, start_new_session=True)
        server = int(fifo.read_text())
        bench.send_signal(ends)
        bench.wait()
        try:
            os.kill(server, signal.SIGKILL)
        except ProcessLookupError:
            return
    raise AssertionError(f"{ends.name} leaves a server behind")


def main():
    for check in (builds_in_turns, one_run_ends_alone, a_mistake_of_a_bench, cpu_of_threads_that_have_ended, interrupted_twice,
                  one_server_for_both_builds, all_events_came, peer_that_died, a_consumer_for_each_library, peers_one_after_the_other,
                  said_before_it_measures):
        check()
        print(check.__name__)
    if 0 in os.sched_getaffinity(0):  # where a bench has its servers
        for ends in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            nobody_is_left_behind(ends)


main()
