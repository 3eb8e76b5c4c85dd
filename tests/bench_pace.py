"""bench/pace.py: the rate that a server keeps, and what the bound's program says; bench/peers_report.py: which figures get a verdict, and which is
the best peer."""
import contextlib
import pathlib
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "bench"))
import pace  # noqa: E402
import peers  # noqa: E402
import peers_report  # noqa: E402
from figures import Failed  # noqa: E402


class Server:
    """Stands for a run, a bed and the load on it: of what is asked, `most` events/s come, and none in the first `bad` looks."""

    def __init__(self, most, bad=0):
        self.most, self.bad, self.rates, self.said, self.asked = most, bad, {}, [], []

    def say(self, words):
        self.said.append(words)

    def drained(self):
        pass

    def at_rate(self, _bed, asked, rate, seconds, _warm_up=1):
        self.asked.append(round(rate))
        self.bad -= 1
        return pace.Paced(asked, rate, 0 if self.bad >= 0 else int(min(rate, self.most) * seconds), 10**9, seconds, 0.9)

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
        assert peers.wake_bound(folder) == {f"event_3k6_at_{rate}": 1e6 / 43967 for rate in (1000, 5000)}
        says("no figure")
        assert "printed no figure" in fails(lambda: pace.epoll_run(folder, 1, 5000))


class Figures:
    def __init__(self):
        self.found = {}

    def figure(self, name, value, unit, vs=("none", 0), ratio=None, goal=None, ok=None):
        self.found[name] = (value, vs, ratio, goal, ok)


def peers_verdicts():
    ours = {"event_3k6": 2.0, "event_3k6_at_1000": 30.0, "idle": 0.1}
    batched = {"event_3k6": 2.5, "event_3k6_at_1000": 4.0, "event_3k6_at_1000_reactor": 3.0, "late_3k6_at_1000": (5000, 9900), "idle": 0.1}
    rows = {"kubering": ours, "kubering-batched": batched, "kube-rs-typed": {"event_3k6": 40.0, "event_3k6_at_1000": 100.0, "late_3k6_at_1000": (200, 300), "idle": 1},
            "client-go-json": {"event_3k6": 180.0, "event_3k6_at_1000": 600.0, "idle": 1},
            "client-go-metadata": {"event_3k6": 1.0, "event_3k6_at_1000": 1.0, "idle": 1}}  # keeps less: never the best
    h = Figures()
    with contextlib.redirect_stdout(None):
        peers_report.report(h, rows, {"event_3k6_at_1000": 20.0})
    assert h.found["peers_event_3k6_best_kube-rs-typed"] == (40.0, ("kubering", 2.0), 20.0, ">=15x", True)
    assert h.found["peers_event_3k6_client-go-json"][2:] == (90.0, ">=100x", False)
    assert h.found["peers_event_3k6_at_1000_best_kube-rs-typed"][3:] == (">=15x", False)
    assert h.found["peers_event_3k6_at_1000_epoll_recv"] == (20.0, ("kubering", 30.0), 20.0 / 30.0, None, None)
    assert h.found["peers_event_3k6_at_1000_kube-rs-typed_batched"] == (100.0, ("kubering-batched", 4.0), 25.0, None, None)
    assert sum("batched" in name for name in h.found) == 1
    assert h.found["peers_event_3k6_client-go-metadata"][3:] == (None, None)
    assert not any("14k5" in name for name in h.found)


rates()
bound()
peers_verdicts()
print("bench pace and peers: ok")
