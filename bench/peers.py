"""kubering beside the mirrors that people use today: client-go, kube-rs, the JavaScript client (bench/peers); called by bench/run.

fakekube runs on CPU 0. On CPU 1 runs one subject at a time: a peer, or kuberingd and one consumer that follows. Each has a server of its own
and gets the same load: a cold sync, bursts of MODIFIED events, events at a pace, churn over all objects, a relist after a 410. CPU is the
whole process by getrusage; ours is daemon and consumer together. A figure counts only if the mirror's digest is the server's at the end.

KUBERING_PEERS=client-go-json,kube-rs-typed names the peers to run; the default is all of them (with --quick: four of them).
"""

from dataclasses import dataclass

import goals
import pace
from figures import UNCOUNTED, Failed, Result, reason
from peers_programs import OURS, PEERS, chosen, prepared, version
from peers_report import ORDER, PACES, report
from peers_subject import Subject


@dataclass(frozen=True)
class Size:
    """How much of everything: for a figure, or to see that it works, which has a minute for all subjects."""
    objects: int
    warm_up: int       # events
    warm_up_ours: int
    events: int
    burst: float       # seconds, about: who is slow gets fewer events, as its figure is one per event
    churn: int
    again: int         # events after the forced collection
    idle: float        # seconds
    paced: float
    bounds: int


FIGURE = Size(30000, 2000, 80000, 50000, 20, 100000, 20000, 3, 4, 3)
QUICK = Size(1500, 200, 5000, 1000, 1, 500, 200, 0.3, 0.3, 1)


def measure(subject, size_of):
    """Everything with one subject; name: value."""
    out, s = {}, subject
    size = "14k5" if s.large else "3k6"
    if s.large:
        out["sync_wall"], out["sync_cpu"] = s.synced()
        if s.ours:
            out["sync_reactor"] = s.reactor_cpu_ns() / s.objects / 1000
        out["pss_sync"] = s.count("stat")["pss"] / s.objects / 1000
        out["pss_sync_gc"] = s.count("gc")["pss"] / s.objects / 1000
    else:
        s.say("synced")
    out["content"] = s.count()["content"]
    # First touches of memory and code that is compiled as it runs are no steady state; ours first fills what it keeps for followers.
    first, _, _ = s.blast(size_of.warm_up_ours if s.ours else size_of.warm_up)
    events = size_of.events * (1 if s.large else 2)
    out[f"event_{size}"], reactor, _ = s.blast(min(events, int(size_of.burst * 1e6 / first)))
    if s.ours:
        out[f"event_{size}_reactor"] = reactor
    out["idle"] = s.idle_cpu(size_of.idle)
    for rate in PACES:
        got = s.paced(rate, size_of.paced)
        if got:
            cpu, reactor, out[f"late_{size}_at_{rate}_p50"], out[f"late_{size}_at_{rate}_p99"] = got
            out[f"event_{size}_at_{rate}"] = cpu
            if s.ours:
                out[f"event_{size}_at_{rate}_reactor"] = reactor
    if s.large:
        s.churn(size_of.churn)
        out["pss_churn"] = s.count("stat")["pss"] / s.objects / 1000
        out["pss_churn_gc"] = s.count("gc")["pss"] / s.objects / 1000
        s.churn(size_of.again)  # as it runs, and not as the forced collection left it: what the relist's peak is set beside
        s.check()
        out |= s.relist(300)
        if s.ours and out["relist_calls"] != out["relist_changed"]:
            raise Failed(f"{s.name}: {out['relist_calls']} handler calls for {out['relist_changed']} changes by a relist")
    s.check()
    return out


def wake_bound(limits, runs):
    """us of CPU per event at each pace of one thread that only waits, receives and looks: one wake-up, where daemon and consumer have two."""
    return {f"event_3k6_at_{rate}": [1e6 / pace.epoll_run(limits, 1, rate).per_cpu_s for _ in range(runs)] for rate in PACES}


# --- the first list alone ---

def first_sync(run, name, argv, objects):
    """Seconds, and CPU in us per Pod, until one subject has all objects of a list and has been called for each."""
    subject = Subject(run, name, argv, objects, 14500)
    try:
        wall, cpu = subject.synced(900)
        if "protobuf" in name and "protobuf" not in subject.count()["content"]:
            raise Failed(f"{name}: the server did not answer protobuf")
        subject.check()
        return wall, cpu
    finally:
        subject.close()


def sync(run):
    """A list of 30 k and one of 100 k Pods, by us and by each peer that a goal names."""
    out = Result()
    built, argv_of = prepared(run, goals.SYNC_TIMES)
    names = [n for n in goals.SYNC_TIMES if PEERS[n][0] in built]
    for objects, size in ((5000, "5k"),) if run.quick else ((30000, "30k"), (100000, "100k")):
        wall, cpu = first_sync(run, "kubering", argv_of("kubering"), objects)
        run.say(f"sync of {objects:,}: kubering {wall:.2f} s, {cpu:.1f} us of CPU per Pod, the consumer's included")
        out.add(f"sync_wall_{size}", wall, "s")
        out.add(f"sync_cpu_{size}", cpu, "us")
        for name in names:
            peer_wall, peer_cpu = first_sync(run, name, argv_of(name), objects)
            run.say(f"sync of {objects:,}: {name} {peer_wall:.2f} s, {peer_cpu:.1f} us of CPU per Pod")
            out.add(f"sync_wall_{size}_{name}", peer_wall, "s", "kubering", wall)
            out.add(f"sync_cpu_{size}_{name}", peer_cpu, "us", "kubering", cpu)
    return out


# --- everything ---

def run(h, args):
    names = chosen(args)
    built, argv_of = prepared(args, names)
    names = [n for n in names if PEERS[n][0] in built]
    print("  " + ", ".join(f"{n} {version(n)}" for n in built) + "; one process on CPU 1, plain loopback, nothing compressed", flush=True)
    got = {n: [] for n in [*list(OURS)[: 1 if args.quick else None], *names]}

    size = QUICK if args.quick else FIGURE

    def once(name, object_bytes):
        subject = Subject(args, name, argv_of(name), size.objects, object_bytes)
        try:
            subject.large = object_bytes > 8000
            return measure(subject, size)
        finally:
            subject.close()

    failed, runs, order = {}, 1 if args.quick else args.runs, list(got)
    for n in range(runs):
        for name in order[::-1] if n % 2 else order:
            try:
                row = once(name, 3600) | once(name, 14500)
            except UNCOUNTED as why:
                failed[name] = reason(why)
                print(f"  {name}: NOT COUNTED: {failed[name]}", flush=True)
                continue
            if PEERS.get(name, ("", ""))[1].split(",")[0] in ("protobuf", "metadata") and "protobuf" not in row["content"]:
                name = name.replace("protobuf", "fallback-json").replace("metadata", "metadata-fallback-json")
                print(f"  {name}: asked for protobuf; the server answered {row['content']}, so this is not what its users have", flush=True)
            got.setdefault(name, []).append(row)
            print(f"  {name}: " + ", ".join(f"{k} {row[k]:.3g}" for k in ORDER if k in row), flush=True)
    if not got["kubering"]:
        raise Failed(f"kubering itself was not measured: {failed.get('kubering')}")
    report(h, {n: v for n, v in got.items() if v}, runs, wake_bound(args.limits, size.bounds) if args.limits else {})
    if failed:
        raise Failed(f"not counted: {', '.join(failed)}")
