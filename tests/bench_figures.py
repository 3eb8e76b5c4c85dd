"""The pure parts of bench/run: percentiles of a histogram, the line of a figure, the goals, the page that needs nothing else."""
import os
import pathlib
import random
import re
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "bench"))
import figures  # noqa: E402
import goals  # noqa: E402
import report  # noqa: E402

# The rows of the closing table, each the name of a goal: it must have a goal here that a figure can be held to.
ROWS = ("events/s per core", "CPU at 100 k events/s", "CPU per event beside", "10,000 clusters", "memory (PSS) per", "relist of 100 k", "cold sync of",
        "socket to consumer", "store update, follow, point get, view", "reconnect storm", "one flooding cluster", "1 -> 2 reactors")
LIMITS = {"ingest_plain": (0.70, "ratio"), "sockets_loaded_cpu_plain": (65, "value"), "sockets_loaded_cpu_tls": (70, "value"),
          "sockets_idle_cpu_tls": (1.5, "value"), "sockets_idle_memory_plain": (4, "value"), "sockets_idle_memory_tls": (20, "value"),
          "sockets_idle_memory_tls_own_records": (3, "value"),
          "memory_per_pod_1": (9.7, "value"), "memory_after_burst_16_consumers_more": (2, "value"), "relist_peak": (1.1, "value"),
          "relist_changes": (300, "value"), "latency_idle_p50": (30, "value"), "latency_idle_p99": (150, "value"),
          "latency_loaded_p99": (500, "value"), "store_update": (2e6, "value"), "follow_changes": (1.5e6, "value"),
          "get_copied": (700, "value"), "view_500k": (25, "value"), "storm_live": (10, "value"), "storm_kept": (80, "value"),
          "flood_p99_growth": (5, "value"), "reactors_speedup": (1.8, "value")}
MEASURED_BESIDE_PEERS = "CPU per event beside"  # its figures and their goals are peers.py's


def low(v):
    """The bucket of e2e/histogram.h that holds v, said in another way."""
    width = 1 << max(0, v.bit_length() - 7)
    return v // width * width


def percentiles():
    draw = random.Random(6)
    values = sorted(int(draw.lognormvariate(10, 2)) for _ in range(20000))
    h = figures.Histogram()
    for v in values:
        h.add(figures.Histogram({low(v): 1}, v))
    assert h.count == len(values) and h.max == values[-1]
    for p in (1, 50, 90, 99, 99.9, 100):
        exact, got = values[max(1, -(-len(values) * p // 100)).__int__() - 1], h.percentile(p)
        assert exact <= got <= exact * (1 + 1 / 64) + 1, (p, exact, got)
    assert figures.Histogram({7: 3}, 7).percentile(50) == 7 and figures.Histogram().percentile(99) == 0
    read = figures.Histogram.read("changes 4 cpu_ns 9\nhist sent max 130 5:1 128:3\nhist wrote max 0\n")
    assert read["sent"].buckets == {5: 1, 128: 3} and read["sent"].percentile(99) == 129 and read["wrote"].count == 0
    assert figures.Histogram({128: 1}, 128).percentile(50) == 128  # never more than the largest


def lines():
    a, b = figures.Result(), figures.Result()
    for r, v in ((a, 400000), (b, 600000)):
        r.add("ingest_plain", v, "events/s/core", "uring_recv_plain", 1000000)
        r.add("other", v, "ns")
        r.histogram("h", figures.Histogram({1: 1}, 1))
    found, histograms = figures.gather([a, b, a])
    assert histograms["h"].buckets == {1: 3}
    assert found[0].line() == "figure ingest_plain 400000 events/s/core vs uring_recv_plain 1e+06 ratio 0.4 goal >=0.7x short"
    assert found[1].line() == "figure other 400000 ns vs none 0 ratio - goal - -"
    assert figures.gather([b])[0][0].line().endswith("ratio 0.6 goal >=0.7x short")
    assert figures.gather([b], judged=False)[0][0].line().endswith("ratio 0.6 goal >=0.7x -")
    assert "3 runs, 400000 to 600000" in found[0].span()
    against = figures.compare(found, figures.gather([b])[0])
    assert [f.line() for f in against][1] == "figure other_against 400000 ns vs against 600000 ratio 0.667 goal - -"
    a.add("relist_peak", 1.05, "x", "before", 7e7, same=False)
    assert figures.gather([a])[0][-1].line() == "figure relist_peak 1.05 x vs before 7e+07 ratio - goal <=1.1 ok"


def goals_are_whole():
    assert [row.figure for row in goals.ROWS if not row.figure.startswith(ROWS)] == [] and len(goals.ROWS) == len(ROWS)
    for name, (limit, of) in LIMITS.items():
        assert (goals.GOALS[name].limit, goals.GOALS[name].of) == (limit, of), name
    for name in goals.GOALS:
        assert goals.row_of(name), f"{name} belongs to no row"
    assert goals.row_of("peers_sync_cpu_kube-rs-typed").figure.startswith("cold sync")
    for row in goals.ROWS:
        assert row.figure.startswith(MEASURED_BESIDE_PEERS) or any(goals.row_of(n) is row for n in goals.GOALS), row
    assert goals.Goal(">=", 0.7, "ratio").met(9, 0.7) and not goals.Goal("<=", 4).met(4.1, None)
    assert goals.Goal(">=", 0.7, "ratio").met(9, None) is None and goals.row_of("headlamp_x") is None


def page_is_alone():
    r = figures.Result()
    r.add("ingest_plain", 5, "events/s/core", "uring_recv_plain", 6)
    r.add("latency_idle_p50", 31, "us", "wake_chain", 20)
    r.histogram("latency_idle: consumer - sent", figures.Histogram({20000: 50, 31000: 40, 400000: 1}, 400001))
    found, histograms = figures.gather([r, r])
    bench = report.record({"cpu": "<a & b>"}, "latency", found, histograms, figures.compare(found, found), None)
    failed = report.record({"cpu": "x"}, "storm", [], {}, [], "the mirror <differs>")
    html = report.page([bench, failed])
    assert not re.search(r"""(src|href|url|@import)\s*[=(]|<script|<link|<img|https?:|//\w""", html), "the page asks for something from elsewhere"
    assert html.count("<svg") == html.count("</svg>") >= 3 and "<polyline" in html
    assert "&lt;a &amp; b&gt;" in html and "the mirror &lt;differs&gt;" in html and "<differs>" not in html
    table = report.table([bench, failed])
    assert "| latency_idle_p50 | 31 us | <=30 | wake_chain 20, ratio 1.55 | short |" in table and "storm: the mirror" in table
    lines = table.splitlines()
    assert sum(x.startswith("| not measured |") for x in lines) == len(goals.ROWS) - 2
    assert "| ingest_tls | not measured | >=0.7x | - | - |" in lines and "| storm_kept | not measured |" not in table


def newest():
    def bench(value, time, quick=False):
        r = figures.Result()
        r.add("storm_live", value, "s")
        return report.record({"time": time, "quick": quick}, "storm", *figures.gather([r]), [], None)

    def live(*benches):
        return next(x.split("|")[2].strip() for x in report.table(benches).splitlines() if x.startswith("| storm_live"))

    old, new = bench(9, "2026-11-24T10:00:00Z"), bench(5, "2026-11-25T09:00:00Z")
    assert live(old, new) == live(new, old) == "5 s", "the order of files decides which is the newest"
    assert live(new, bench(1, "2026-11-26T09:00:00Z", quick=True)) == "5 s", "a quick look wins over a figure"


def written_whole():
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder) / "all.json"
        report.write_json(file, [])
        had = file.read_text()
        assert report.read_json(file) == []
        os.symlink("/dev/full", f"{file}.new")
        try:
            report.write_json(file, [report.record({}, "x", [], {}, [], None)] * 1000)
            raise AssertionError("a full disk was not noticed")
        except OSError:
            assert file.read_text() == had, "what was measured before is lost"


def runs_that_are_not_there():
    good, bad = figures.Result(), figures.Result()
    good.add("storm_live", 5, "s")

    def part(_out):
        raise ConnectionResetError("the server has ended")

    bad.part(part)
    assert bad.problems == ["the server has ended"]
    found, _ = figures.gather([good, good, bad])
    assert found[0].line() == "figure storm_live 5 s vs none 0 ratio - goal <=10 -", "the run that went wrong was left out of the verdict"
    assert figures.gather([good, good])[0][0].ok
    assert figures.reason(FileNotFoundError(2, "no", "/x/uring_recv")).startswith("/x/uring_recv is not there")


def loads():
    def at(value, load):
        r = figures.Result()
        r.add("sockets_loaded_cpu_plain", value, "%", judged=load == 100000, load=load)
        return r

    ours, theirs = (figures.gather([at(*x) for x in xs])[0] for xs in (((60, 100000), (50, 90000), (52, 90000)), ((48, 90000),)))
    assert ours[0].values == [50, 52] and ours[0].ok is None, "a median of different loads"
    assert figures.compare(ours, theirs)[0].ratio == 51 / 48
    full = figures.gather([at(60, 100000)])[0]
    assert full[0].ok and figures.compare(full, theirs)[0].line().endswith("against 48 ratio - goal - -"), "a ratio of two loads"


def main():
    for check in (percentiles, lines, goals_are_whole, page_is_alone, newest, written_whole, runs_that_are_not_there, loads):
        check()
        print(check.__name__)


main()
