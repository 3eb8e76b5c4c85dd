"""What bench/peers.py says of what it measured: its figures, their goals, its table."""

import statistics

import goals
from peers_programs import NOT_THE_SAME, OURS

UNITS = {"sync_wall": "s", "pss_sync": "kB", "pss_sync_gc": "kB", "pss_churn": "kB", "pss_churn_gc": "kB", "relist_peak": "x", "relist_calls": "calls"}
ORDER = ["event_3k6", "event_3k6_at_1000", "event_3k6_at_5000", "event_14k5", "event_14k5_at_1000", "event_14k5_at_5000", "sync_wall", "sync_cpu",
         "pss_sync", "pss_sync_gc", "pss_churn", "pss_churn_gc", "relist_peak", "relist_calls"]
PACES = (1000, 5000)  # events/s
# figure, peer ("" is the best), how much less than it ours must be
GOALS = [("event_3k6", "", 15), ("event_3k6", "client-go-json", 100), ("event_14k5", "", 25), ("event_14k5", "client-go-json", 150),
         *((f"event_3k6_at_{rate}", "", 15) for rate in PACES), *((f"event_14k5_at_{rate}", "", 25) for rate in PACES),
         ("sync_wall", "client-go-protobuf", 5), *(("sync_cpu", peer, times) for peer, times in goals.SYNC_TIMES.items())]


def best(peers, key):
    """Who needs least of it; "": nobody was measured."""
    have = {n: r[key] for n, r in peers.items() if key in r and n not in NOT_THE_SAME}
    return min(have, key=have.get) if have else ""


def report(h, rows, bound):
    """Figure lines, and the table."""
    ours = rows["kubering"]
    peers = {n: r for n, r in rows.items() if n not in OURS}
    for key in ORDER:
        for name, row in peers.items():
            if key in row and key in ours:
                h.figure(f"peers_{key}_{name}", row[key], UNITS.get(key, "us"), ("kubering", ours[key]), row[key] / ours[key])
    for key, peer, goal in GOALS:
        name = peer or best(peers, key)
        if key not in peers.get(name, ()) or key not in ours:
            print(f"  goal {key} beside {peer or 'the best'}: not measured in this run", flush=True)
            continue
        ratio = peers[name][key] / ours[key]
        h.figure(f"peers_{key}_{'best_' if not peer else ''}{name}", peers[name][key], UNITS.get(key, "us"), ("kubering", ours[key]), ratio, f">={goal}x", ratio >= goal)
    for key, us in rows.get("kubering-batched", {}).items():
        name = best(peers, key)
        if key.startswith("event_") and "_at_" in key and name:
            h.figure(f"peers_{key}_{name}_batched", peers[name][key], "us", ("kubering-batched", us), peers[name][key] / us)
    for key, us in bound.items():
        h.figure(f"peers_{key}_epoll_recv", us, "us", ("kubering", ours[key]), us / ours[key])
    if "relist_peak" in ours:
        h.figure("peers_relist_peak_kubering", ours["relist_peak"], "x", goal="<=1.1", ok=ours["relist_peak"] <= 1.1)
        h.figure("peers_relist_calls_kubering", ours["relist_calls"], "calls", ("changed", ours["relist_changed"]), goal="=changed",
                 ok=ours["relist_calls"] == ours["relist_changed"])
    print("\n  CPU us per event: burst, at 1,000/s, at 5,000/s (a peer slower than the pace is in a burst); sync: s, CPU us per Pod; PSS in kB per Pod:\n"
          "  after the sync, after a forced GC, after churn, after a GC; relist: peak by before, handler calls when 300 writes changed some")
    print(f"  {'':26}{'3.6 KB':>22}{'14.5 KB':>24}{'sync':>14}{'PSS per Pod':>24}{'relist':>14}")
    for name, row in rows.items():
        def cells(keys, widths):
            return "".join(f"{row[k]:>{w}.{1 if row[k] < 100 else 0}f}" if k in row else f"{'-':>{w}}" for k, w in zip(keys, widths))
        print(f"  {name:26}" + cells(ORDER, [8, 7, 7, 10, 7, 7, 7, 7, 6, 6, 6, 6, 7, 7]), flush=True)
    for name, row in rows.items():
        late = [f"{k[5:]} {v[0]:,.0f}/{v[1]:,.0f}" for k, v in row.items() if k.startswith("late_")]
        print(f"  {name}: idle {row['idle']:.2f} ms of CPU per s; latency p50/p99 us: {', '.join(late)}", flush=True)
    for name in OURS:
        if name in rows:
            print(f"  {name}, the reactor's thread alone: " + ", ".join(f"{k} {v:.2f} us" for k, v in rows[name].items() if k.endswith("_reactor")), flush=True)


def middle(values):
    """The median of each name; of a pair, of each half."""
    out = {}
    for key in dict.fromkeys(k for v in values for k in v):
        got = [v[key] for v in values if key in v]
        if isinstance(got[0], str):
            out[key] = got[0]
        elif isinstance(got[0], tuple):
            out[key] = tuple(statistics.median(x) for x in zip(*got))
        else:
            out[key] = statistics.median(got)
    return out
