"""memory, relist: what lists take, once, with many consumers, after a burst, and while a list is taken again."""

import re
from pathlib import Path

from bed import Bed, pairs
from figures import Failed, Result


def holders(bed, had, wanted, objects):
    while len(had) < wanted:
        had.append(bed.consumer("hold"))
        if f"holding {objects} " not in had[-1].said:
            raise Failed(f"a consumer did not see every object: {had[-1].said}")


def per_object(bed, base, had, objects):
    return (bed.memory(bed.daemon.pid) - base + sum(bed.memory(h.pid) for h in had)) / objects


def one_and_sixteen(bed, base, objects, out, name):
    """PSS of the daemon and of all consumers, per object."""
    had, each = [], []
    for consumers in (1, 16):
        holders(bed, had, consumers, objects)
        each.append(per_object(bed, base, had, objects))
    for h in had:
        bed.finish(h)
    out.add(f"memory{name}_per_pod_1", each[0] / 1024, "KiB")
    out.add(f"memory{name}_16_consumers_more", (each[1] / each[0] - 1) * 100, "%", "one_consumer", each[0], same=False)


def memory(run):
    objects, burst = (5000, 10000) if run.quick else (30000, 100000)
    out = Result()
    with Bed(run.bin, objects, 14500, lists=[]) as bed:  # none of the daemon's own, but metrics
        base = bed.memory(bed.daemon.pid)
        keeper = bed.consumer("count")  # the list stays open from here on
        bed.settle(300)
        bed.finish(keeper)
        one_and_sixteen(bed, base, objects, out, "")
        keeper = bed.consumer("hold")
        for done in range(0, burst, 10000):
            bed.ask(f"blast fake-1 pods {min(10000, burst - done)}")
            if int(bed.settle(300)["relists"]):
                raise Failed("the list was taken again during the burst")
        bed.finish(keeper)
        one_and_sixteen(bed, base, objects, out, "_after_burst")
        retained = bed.metrics()["kubering_shm_retained_bytes"]
        out.add("memory_after_burst_retained", retained / objects / 1024, "KiB", "live", bed.metrics()["kubering_shm_live_bytes"] / objects / 1024)
    return out


def relist(run):
    """A watch that ends where the server has forgotten what came after: 300 of the objects have changed meanwhile. The consumer must get
    these 300 changes and nothing else."""
    objects, changed = (20000 if run.quick else 100000), 300
    with Bed(run.bin, objects, 3600) as bed:
        bed.settle(600)
        follower = bed.consumer("count")
        Path(f"/proc/{bed.daemon.pid}/clear_refs").write_text("5")
        before = bed.memory(bed.daemon.pid, "Rss")
        bed.ask("fault hang ms=300 verb=watch count=1")
        bed.ask("cut fake-1 rst")
        for i in range(changed):
            n = i * (objects // changed)
            bed.ask(f"status fake-1 pods ns-{n % 4:03}/pod-{n:07}")
        bed.ask("compact fake-1")
        after = bed.settle(300)
        status = Path(f"/proc/{bed.daemon.pid}/status").read_text()
        peak = int(re.search(r"VmHWM:\s+(\d+)", status).group(1)) * 1024
        got = {k: int(v) for k, v in pairs(bed.finish(follower)).items()}
    if int(after["relists"]) < 1:
        raise Failed("the list was not taken again")
    wanted = {"added": 0, "modified": changed, "deleted": 0, "resets": 0, "from_relist": changed, "overruns": 0}
    if got != wanted:
        raise Failed(f"the consumer got {got}, and not {wanted}")
    out = Result()
    out.add("relist_peak", peak / before, "x", "before", before, same=False)
    out.add("relist_changes", got["modified"], "changes", "changed", changed)
    return out
