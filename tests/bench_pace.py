"""bench/pace.py: the rate that a server keeps, and what the bound's program says; bench/peers_report.py: which figures get a verdict, and which is
the best peer."""
import contextlib
import io
import pathlib
import sys
import tempfile
import types

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "bench"))
import harness  # noqa: E402
import pace  # noqa: E402
import peers  # noqa: E402
import peers_report  # noqa: E402
import peers_subject  # noqa: E402
from figures import Failed  # noqa: E402


class Server:
    """Stands for a run, a bed and the load on it: of what is asked, `most` events/s come, and none in the first `bad` looks."""
    quick = False

    def __init__(self, most, bad=0):
        self.most, self.bad, self.rates, self.said, self.asked = most, bad, {}, [], []

    def say(self, words):
        self.said.append(words)

    def drained(self):
        pass

    def at_rate(self, _bed, asked, rate, seconds, _warm_up=1):
        self.asked.append(round(rate))
        self.bad -= 1
        return pace.Paced(asked, rate, 0 if self.bad >= 0 else int(min(rate, self.most) * seconds), 10**9, 2 * 10**9, seconds, 0.9)

    def kept(self, asked):
        pace.at_rate, had = self.at_rate, pace.at_rate
        try:
            return pace.kept(self, self, "plain", asked, lambda rate: (self.at_rate(self, asked, rate, 8), "more"))
        finally:
            pace.at_rate = had


def fails(what):
    try:
        what()
    except Failed as why:
        return str(why)
    raise AssertionError("it did not fail")


def rates():
    fast = Server(200000)
    got, more = fast.kept(100000)
    assert got.full and got.got == 100000 and more == "more" and fast.asked == [100000, 100000] and len(fast.said) == 1

    slow = Server(82000)
    got, _ = slow.kept(100000)
    assert not got.full and got.rate == 81000 and slow.asked == [100000, 100000, 90000, 90000, 81000, 81000]
    assert any("81,000 instead of 100,000" in words and "no verdict" in words for words in slow.said)
    slow.asked = []
    got, _ = slow.kept(100000)  # a later run begins where the first ended
    assert got.rate == 81000 and not got.full and slow.asked == [81000, 81000]

    disturbed = Server(200000, bad=1)
    got, _ = disturbed.kept(100000)
    assert got.full and disturbed.asked == [100000] * 3 and disturbed.said[0].startswith("not kept: 0 of 100,000")

    nearly = Server(97000)  # 97 % of it is it
    assert nearly.kept(100000)[0].full
    assert "20,000 of 100,000" in fails(lambda: Server(1000).kept(100000))
    looks = Server(1000)
    looks.quick = True
    fails(lambda: looks.kept(100000))
    assert len(looks.asked) == 8, "--quick looks for a rate longer than it has"


def bound():
    with tempfile.TemporaryDirectory() as folder:
        program = pathlib.Path(folder) / "uring_recv"

        def says(words):
            program.write_text(f"#!/bin/sh\necho '{words}'\n")
            program.chmod(0o755)

        says("recv paced  tls=0 epoll  n= 1 burst=3K: 0.018 GB/s wall, cpu  11%,  0.160 GB per cpu-second,    4999 events/s wall,    43967 "
             "events per cpu-second, 3.6 KiB/cqe")
        assert pace.epoll_run(folder, 1, 5000) == pace.EpollRun(11, 4999, 43967)
        server = Server(0)
        server.limits = folder
        assert pace.epoll_bound(server, 1, 5000) == 11
        assert pace.epoll_bound(server, 1, 6000) is None and len(server.said) == 1 + pace.BOUND_TRIES
        assert peers.wake_bound(folder, 3) == {f"event_3k6_at_{rate}": [1e6 / 43967] * 3 for rate in (1000, 5000)}
        says("no figure")
        assert "printed no figure" in fails(lambda: pace.epoll_run(folder, 1, 5000))


def told(rows, runs, bound=None, quick=False):
    """The figures of these runs, by name."""
    h = harness.Whole(types.SimpleNamespace(quick=quick))
    with contextlib.redirect_stdout(None):
        peers_report.report(h, rows, runs, bound or {})
    names = [f.name for f in h.found]
    assert len(names) == len(set(names)), names
    return {f.name: f for f in h.found}


def peers_verdicts():
    ours = {"event_3k6": 2.0, "event_3k6_at_1000": 30.0, "late_3k6_at_1000_p50": 60.0, "late_3k6_at_1000_p99": 70.0, "idle": 0.1}
    batched = {"event_3k6": 2.5, "event_3k6_at_1000": 4.0, "event_3k6_at_1000_reactor": 3.0, "idle": 0.1}
    rows = {"kubering": [ours], "kubering-batched": [batched],
            "kube-rs-typed": [{"event_3k6": 40.0, "event_3k6_at_1000": 100.0, "late_3k6_at_1000_p50": 90.0, "late_3k6_at_1000_p99": 300.0, "idle": 1}],
            "client-go-json": [{"event_3k6": 180.0, "event_3k6_at_1000": 600.0, "idle": 1}],
            "client-go-metadata": [{"event_3k6": 1.0, "event_3k6_at_1000": 1.0, "idle": 1}]}  # keeps less: never the best
    found = told(rows, 1, {"event_3k6_at_1000": [19.0, 20.0, 30.0]})
    said = {name: f.line().split(" ", 2)[2] for name, f in found.items()}
    assert said["peers_event_3k6_best_kube-rs-typed"] == "40 us vs kubering 2 ratio 20 goal >=15x ok"
    assert said["peers_event_3k6_client-go-json"] == "180 us vs kubering 2 ratio 90 goal >=100x short"
    assert said["peers_event_3k6_at_1000_client-go-json"] == "600 us vs kubering 30 ratio 20 goal >=100x short"
    assert said["peers_event_3k6_at_1000_best_kube-rs-typed"] == "100 us vs kubering 30 ratio 3.33 goal >=15x short"
    assert said["peers_event_3k6_at_1000_epoll_recv"] == "20 us vs kubering 30 ratio 0.667 goal - -"
    assert said["peers_event_3k6_at_1000_kube-rs-typed_batched"] == "100 us vs kubering-batched 4 ratio 25 goal - -"
    assert said["peers_late_3k6_at_1000_p99_kube-rs-typed"] == "300 us vs kubering 70 ratio 4.29 goal - -"
    assert said["peers_event_3k6_kubering-batched"] == "2.5 us vs kubering 2 ratio 1.25 goal - -"
    assert sum(name.endswith("_batched") for name in found) == 1 and not any("14k5" in name for name in found)
    assert found["peers_event_3k6_client-go-metadata"].goal is None
    assert all(f.ok is None for f in told(rows, 1, quick=True).values()), "--quick gets no verdict"


def peers_runs():
    def run(ours, theirs):
        return {"kubering": {"event_3k6": ours, "relist_peak": 1.0, "relist_calls": 298, "relist_changed": 298, "idle": 0},
                "kube-rs-typed": {"event_3k6": theirs, "idle": 0}}

    runs = [run(1.0, 40.0), run(2.0, 80.0), run(9.0, 90.0)]
    rows = {name: [r[name] for r in runs] for name in runs[0]}
    f = told(rows, 3)["peers_event_3k6_best_kube-rs-typed"]
    assert (f.values, f.vs_values, f.ratio, f.ok) == ([40.0, 80.0, 90.0], [1.0, 2.0, 9.0], 40.0, True)  # of the medians
    assert "3 runs, 40 to 90 us; kubering 1 to 9" in f.span()
    assert told(rows, 3)["peers_relist_calls_kubering"].line().endswith("ratio 1 goal ==1x ok")
    rows["kubering"] = rows["kubering"][1:]  # one of three did not count
    found = told(rows, 3)
    assert [f.ok for f in found.values() if f.goal] == [None] * 3, "a figure that a run lacks got a verdict"


def peers_at_a_pace():
    class Kept:
        name, asked, made, quick = "peer", [], 1.0, False

        def rv(self):
            return int(self.made * sum(self.asked))

        def ask(self, line):
            if line != "rate 0":
                self.asked.append(int(line.split()[1]) * took)

        def say(self, _word):
            return {"p50_ns": 128, "p99_ns": 15}

        def events(self, load):
            load()
            return 1.0, 0.0, 0.0

    took, had = 2, peers_subject.time
    ticks = iter(range(0, 1000, took))
    peers_subject.time = types.SimpleNamespace(sleep=lambda _: None, monotonic=lambda: next(ticks))
    try:
        good, slow = Kept(), Kept()
        slow.made, slow.asked = 0.9, []
        good.asked = []
        assert peers_subject.Subject.paced(good, 1000, took) == (1.0, 0.0, 0.135, 0.015)
        with contextlib.redirect_stdout(io.StringIO()) as said:
            assert peers_subject.Subject.paced(slow, 1000, took) is None, "a figure at a rate that was not that rate"
        assert said.getvalue().count("the server made 900 of 1,000 events/s") == 3
    finally:
        peers_subject.time = had


rates()
bound()
peers_verdicts()
peers_runs()
peers_at_a_pace()
print("bench pace and peers: ok")
