"""The test kit against itself, without kubering: witness and server agree, and what must be noticed is noticed."""

from kit import canon
from kit.process import Failed
from kit.rig import ALL, CONFIGMAPS, PODS

WRITES = 5000


def kit(rig):
    rig.start_stack()
    rig.start_load()
    rig.start_witness(ALL)
    # Before the writes: a server keeps what is younger than 75 s, and a slow machine takes longer for them.
    rig.stack.api.create(CONFIGMAPS, "first")
    if rig.stack.api.first_watch_event(CONFIGMAPS.path, 1)["type"] != "ADDED":
        raise Failed("a young server does not know its first version any more")
    rig.write(WRITES)
    rig.compare("after the writer")

    items = rig.stack.api.list(PODS)[1]
    want = canon.lines(PODS, items)
    check_noticed("a lost object", want, want[1:])
    check_noticed("a surplus object", want[1:], want)
    items = rig.stack.api.list(PODS)[1]
    items[0]["spec"]["containers"][0]["image"] += "x"
    check_noticed("one changed byte", want, canon.lines(PODS, items))
    items = rig.stack.api.list(PODS)[1]
    items[0]["metadata"]["managedFields"] = []
    if canon.lines(PODS, items) != want:
        raise Failed("managedFields counted")

    rig.stack.restart_apiserver()
    event = rig.stack.api.first_watch_event(CONFIGMAPS.path, 1)
    if event["object"].get("code") != 410:
        raise Failed(f"no 410 after a restart, but {event}")


def check_noticed(what, want, got):
    if not canon.differences("want", want, "got", got):
        raise Failed(f"{what} was not noticed")


SCENARIOS = {"kit": kit}
