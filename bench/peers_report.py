"""What bench/peers.py says of what it measured: its figures, their goals, its table."""

import statistics

import goals
from peers_programs import NOT_THE_SAME, OURS

PACES = (1000, 5000)  # events/s
UNITS = {"sync_wall": "s", "pss_sync": "kB", "pss_sync_gc": "kB", "pss_churn": "kB", "pss_churn_gc": "kB", "relist_peak": "x", "relist_calls": "calls"}
ORDER = ["event_3k6", "event_3k6_at_1000", "event_3k6_at_5000", "event_14k5", "event_14k5_at_1000", "event_14k5_at_5000", "sync_wall", "sync_cpu",
         "pss_sync", "pss_sync_gc", "pss_churn", "pss_churn_gc", "relist_peak", "relist_calls"]
LATE = [f"late_{size}_at_{rate}_{p}" for size in ("3k6", "14k5") for rate in PACES for p in ("p50", "p99")]
# figure, peer ("" is the best), how much less than it ours must be
GOALS = {**{(f"event_{size}{pace}", peer): times for pace in ("", *(f"_at_{rate}" for rate in PACES))
            for size, peer, times in (("3k6", "", 15), ("3k6", "client-go-json", 100), ("14k5", "", 25), ("14k5", "client-go-json", 150))},
         **{(f"sync_{what}", peer): times for what in ("wall", "cpu") for peer, times in goals.SYNC_TIMES.items()}}


def best(peers, key):
    """Who needs least of it; "": nobody was measured."""
    have = {n: r[key] for n, r in peers.items() if key in r and n not in NOT_THE_SAME}
    return min(have, key=have.get) if have else ""


def column(rows, key):
    """Of the runs that have it."""
    return [row[key] for row in rows if key in row]


def report(h, rows, runs, bound):
    """Figure lines, and the table. rows: what each run measured, by subject."""
    median = {n: middle(of_runs) for n, of_runs in rows.items()}
    peers = {n: r for n, r in median.items() if n not in OURS}

    def beside(name, key, peer, ours="kubering", times=None):
        theirs, own = column(rows[peer], key), column(rows[ours], key)
        if own:
            h.figure(name, theirs, UNITS.get(key, "us"), ours, own, times and goals.Goal(">=", times, "ratio"), len(theirs) == len(own) == runs)

    for key in ORDER + LATE:
        for name in (n for n in median if n != "kubering" and key in median[n]):
            beside(f"peers_{key}_{name}", key, name, times=GOALS.get((key, name)))
    for (key, peer), times in GOALS.items():
        name = peer or best(peers, key)
        if key not in median.get(name, ()) or key not in median["kubering"]:
            print(f"  goal {key} beside {peer or 'the best'}: not measured in this run", flush=True)
        elif not peer:
            beside(f"peers_{key}_best_{name}", key, name, times=times)
    for key in median.get("kubering-batched", ()):
        if key.startswith("event_") and "_at_" in key and best(peers, key):
            beside(f"peers_{key}_{best(peers, key)}_batched", key, best(peers, key), "kubering-batched")
    for key, us in bound.items():
        h.figure(f"peers_{key}_epoll_recv", us, "us", "kubering", column(rows["kubering"], key))
    ours = {key: column(rows["kubering"], key) for key in ("relist_peak", "relist_calls", "relist_changed")}
    if ours["relist_peak"]:
        whole = len(ours["relist_peak"]) == runs
        h.figure("peers_relist_peak_kubering", ours["relist_peak"], "x", goal=goals.Goal("<=", 1.1), judged=whole)
        h.figure("peers_relist_calls_kubering", ours["relist_calls"], "calls", "changed", ours["relist_changed"], goals.Goal("==", 1, "ratio"), whole)
    say(median)


def say(rows):
    """The table, for readers."""
    print("\n  CPU us per event: burst, at 1,000/s, at 5,000/s (a peer slower than the pace is in a burst); sync: s, CPU us per Pod; PSS in kB per Pod:\n"
          "  after the sync, after a forced GC, after churn, after a GC; relist: peak by before, handler calls when 300 writes changed some")
    print(f"  {'':26}{'3.6 KB':>22}{'14.5 KB':>24}{'sync':>14}{'PSS per Pod':>24}{'relist':>14}")
    for name, row in rows.items():
        def cells(keys, widths):
            return "".join(f"{row[k]:>{w}.{1 if row[k] < 100 else 0}f}" if k in row else f"{'-':>{w}}" for k, w in zip(keys, widths))
        print(f"  {name:26}" + cells(ORDER, [8, 7, 7, 10, 7, 7, 7, 7, 6, 6, 6, 6, 7, 7]), flush=True)
    for name, row in rows.items():
        late = [f"{k[5:-4]} {row[k]:,.0f}/{row[k[:-3] + 'p99']:,.0f}" for k in LATE if k.endswith("_p50") and k in row]
        print(f"  {name}: idle {row['idle']:.2f} ms of CPU per s; latency p50/p99 us: {', '.join(late)}", flush=True)
    for name in OURS:
        if name in rows:
            print(f"  {name}, the reactor's thread alone: " + ", ".join(f"{k} {v:.2f} us" for k, v in rows[name].items() if k.endswith("_reactor")), flush=True)


def middle(values):
    """The median of each name."""
    out = {}
    for key in dict.fromkeys(k for v in values for k in v):
        got = column(values, key)
        out[key] = got[0] if isinstance(got[0], str) else statistics.median(got)
    return out
