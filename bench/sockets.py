"""sockets, storm: thousands of watches."""

import time

import pace
from bed import Bed, Server, cpu_ns
from figures import Failed, Result

PER_SERVER = 18000  # sockets of one fakekube, and of one reactor: below RLIMIT_NOFILE of 20,000


def farm(run, clusters, resources, objects, object_bytes, tls, lists, settings="", own_records=False):
    """As many servers and reactors as a list of each resource needs, in one bed; the clusters are spread over them evenly. lists: those
    that the daemon keeps open. own_records: what the servers send over TLS, they seal with less CPU than OpenSSL's record layer."""
    count = -(-clusters * len(resources) // PER_SERVER)
    each = [clusters // count + (i < clusters % count) for i in range(count)]
    extra = ["--resources", ",".join(resources), "--history", 100000] + (["--tls-own-records"] if tls and own_records else [])
    others = [Server(f"more{i}", ["--objects", objects, "--object-bytes", object_bytes, "--clusters", n, *extra])
              for i, n in enumerate(each[1:], 2)]
    bed = Bed(run.bin, objects, object_bytes, tls, ["--clusters", each[0], *extra], settings=settings, others=others,
              reactors=count, lists=[{"clusters": "*", "resource": r} for r in lists])
    bed.each = list(zip((bed, *others), each))
    return bed


QPS = "clusters:\n- {context: '*', qps: 100}\n"


def some_lists(bed, resources, most=200):
    """A sample of all lists, spread evenly, for the oracle."""
    every = [(server, i + 1, r) for server, n in bed.each for i in range(n) for r in resources]
    return every[::max(1, len(every) // most)]


# --- idle ---

BOOKMARK_SECONDS = 60  # a server sends each watch one in that time: in less, there may be none of them, or all


def wait_clusters(bed, clusters):
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if bed.metrics()["kubering_clusters"] == clusters:
            return
        time.sleep(0.05)
    raise Failed(f"the daemon does not know {clusters} clusters")


def idle_memory(run, clusters, lists, tls, seconds):
    """Memory with so many lists of each cluster, all live, after nothing has happened for a while, and CPU in that time."""
    resources = ["pods", "configmaps"]
    with farm(run, clusters, resources, 1, 1500, tls, resources[:lists], QPS) as bed:
        wait_clusters(bed, clusters)
        if lists:
            bed.wait_live(clusters * lists, 900)
            run.say(f"{clusters * lists} sockets, {'tls' if tls else 'plain'}: all live {time.monotonic() - bed.began:.1f} s after the start")
        bed.drained()
        sent, before, began = bed.server_stats(), cpu_ns(bed.daemon.pid), time.monotonic()
        time.sleep(seconds)
        got = {"cpu": (cpu_ns(bed.daemon.pid) - before) / (time.monotonic() - began) / 1e7, "pss": bed.memory(bed.daemon.pid),
               "segments": bed.memory(bed.daemon.pid, "Pss_Shmem")}
        got |= {k: n - sent[k] for k, n in bed.server_stats().items()}
        if got["events"]:
            raise Failed("it was not idle")
        bed.settle_many(some_lists(bed, resources[:lists]))
        return got


def idle(out, run, word):
    clusters = run.clusters or (500 if run.quick else 10000)
    tls, seconds = word == "tls", (5, 5, 5) if run.quick else (30, 30, BOOKMARK_SECONDS)
    none, half, full = (idle_memory(run, clusters, n, tls, seconds[n]) for n in (0, 1, 2))

    def per(key, a, b, count):
        return (b[key] - a[key]) / count / 1024

    sockets = 2 * clusters
    if not run.quick and not 0.9 * sockets <= full["bookmarks"] <= 1.1 * sockets:
        raise Failed(f"{full['bookmarks']} bookmarks to {sockets} idle sockets, and not one to each")
    user = {k: {"user": v["pss"] - v["segments"]} for k, v in (("none", none), ("half", half), ("full", full))}
    out.add(f"sockets_idle_cpu_{word}", full["cpu"], "%")
    out.add(f"sockets_idle_memory_{word}", per("user", user["none"], user["full"], sockets), "KiB",
            "slope_from_half", per("user", user["half"], user["full"], clusters))
    if tls:  # by default the records are the daemon's own, so the goal for that is one of this figure, too
        out.add("sockets_idle_memory_tls_own_records", per("user", user["none"], user["full"], sockets), "KiB")
    out.add(f"sockets_idle_segments_{word}", per("segments", none, full, sockets), "KiB",
            "slope_from_half", per("segments", half, full, clusters))
    out.add(f"sockets_idle_pss_{word}", per("pss", none, full, sockets), "KiB", "without_a_list", none["pss"] / 1024, same=False)


# --- loaded ---

def loaded(out, run, word):
    sockets = run.sockets or (500 if run.quick else 8000)
    asked, seconds = run.rate or (20000 if run.quick else 100000), 3 if run.quick else 8
    with farm(run, sockets, ["pods"], 10, 3600, word == "tls", ["pods"], QPS, own_records=True) as bed:
        bed.wait_live(sockets, 600)
        bed.drained()
        p, _ = pace.kept(run, bed, word, asked, lambda rate: (pace.at_rate(bed, asked, rate, seconds), None))
        bed.drained()
        bed.settle_many(some_lists(bed, ["pods"]))
        if bed.metrics()["kubering_open_lists_relists"]:
            raise Failed("a list was taken again during the run")
    limit = pace.epoll_bound(run, sockets, p.rate) if run.limits else None
    out.add(f"sockets_loaded_cpu_{word}", p.spent / p.took / 1e7, "%", "epoll_recv" if limit else "none", limit, judged=p.full, load=p.rate)
    out.add(f"sockets_loaded_process_{word}", p.process / p.took / 1e7, "%", load=p.rate)
    out.add(f"sockets_loaded_events_{word}", p.got, "events/s", "asked", asked, load=p.rate)
    out.add(f"sockets_loaded_ns_{word}", p.spent / max(1, p.events), "ns/event", load=p.rate)
    out.add(f"sockets_loaded_server_{word}", p.server * 100, "%", load=p.rate)


def sockets(run):
    out = Result()
    for word in run.words():
        if run.part in (None, "idle"):
            out.part(idle, run, word)
        if run.part in (None, "loaded"):
            out.part(loaded, run, word)
    return out


# --- storm ---

STEADY, STEADY_RATE = 32, 2000


def cut_and_wait(bed, clusters):
    """Cuts every socket of the first server. Returns when it began and how long until all lists were live again (0.25 to 0.5 s of
    it are the first back-off)."""
    began = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
    if int(bed.ask("cut * rst")["connections"]) < clusters:
        raise Failed("not every socket was there to be cut")
    bed.wait_live(clusters + STEADY, 300)
    return began, (time.clock_gettime_ns(time.CLOCK_MONOTONIC) - began) / 1e9


def kept(text, began, seconds):
    """From the probe's windows: events per second of the steady streams during the storm and before it."""
    words = text.split()
    start, width, counts = int(words[1]), int(words[2]), [int(n) for n in words[3:]]
    first = max(0, (began - start) // width)
    last = max(first + 1, int(began + seconds * 1e9 - start) // width)
    before, during = counts[first // 4:first], counts[first:last]
    if not before or not during or not sum(before):
        raise Failed("the storm was outside of what the probe saw")
    scale = 1e9 / width
    return sum(during) / len(during) * scale, sum(before) / len(before) * scale, min(during) * scale


def storm(run):
    clusters = run.clusters or (1000 if run.quick else 10000)
    tls = run.tls is not False
    steady = Server("steady", ["--objects", 100, "--object-bytes", 3600, "--clusters", STEADY])
    with Bed(run.bin, 1, 1500, tls, ["--clusters", clusters], settings=QPS, others=[steady],
             lists=[{"clusters": "*", "resource": "pods"}]) as bed:
        bed.each = [(bed, clusters), (steady, STEADY)]
        bed.wait_live(clusters + STEADY, 900)
        first = time.monotonic() - bed.began
        bed.drained()
        steady.ask(f"rate {STEADY_RATE} status=1")
        probe = bed.consumer("rates", 100, cluster=f"steady-1..{STEADY}")
        time.sleep(4)
        before = bed.threads()
        began, seconds = cut_and_wait(bed, clusters)
        cpu = bed.spent(before)
        time.sleep(0.3)
        during, normal, worst = kept(bed.finish(probe), began, seconds)
        steady.ask("rate 0")
        for i in range(1, clusters + 1, max(1, clusters // 200)):
            bed.ask(f"run fake-{i} pods status 1")
        bed.settle_many(some_lists(bed, ["pods"]) + [(steady, i + 1, "pods") for i in range(STEADY)])
        relists = int(bed.metrics()["kubering_open_lists_relists"])
    run.say(f"storm: {clusters} sockets, first connected in {first:.1f} s; cut: live again after {seconds:.2f} s, {relists} relists; "
            f"steady streams {during:,.0f} events/s of {normal:,.0f}, worst 100 ms at {worst:,.0f}")
    out = Result()
    out.add("storm_live", seconds, "s", "sockets", clusters, same=False, judged=tls)
    out.add("storm_kept", during / normal * 100, "%", "before", normal, same=False, judged=tls)
    out.add("storm_worst", worst, "events/s", "before", normal)
    out.add("storm_reactor_cpu", cpu / 1e9, "s", "wall", seconds)
    return out
