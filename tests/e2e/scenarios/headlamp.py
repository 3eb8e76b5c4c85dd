"""A Headlamp backend in front of the real server: its contexts are clusters of the daemon, whichever way their watches take.

The backend is the model (fakekube as a relay); headlamp.real takes the binary that $HEADLAMP_SERVER names. Of its contexts
`south` is taken away and `slow` stops answering on the way; what that must not cost is counted on `east` and `west`.
"""

import os

from kit.canon import View
from kit.process import Failed, Skipped, wait_until
from kit.rig import CONFIGMAPS, CONVERGE_SECONDS, DEPLOYMENTS, PODS

DIAL_SECONDS = 60  # a backend blocks for 45 s in a dial that is not answered; the rest is for a busy machine
SILENCE_SECONDS = 200  # silence without bookmarks is looked into after 150 s
WAYS = ("multiplexed", "legacy", "http")

PODS_LOAD_2 = View("pods/load-2", "", "v1", "pods", "Pod", "load-2")
CONFIGMAPS_LOAD_1 = View("configmaps/load-1", "", "v1", "configmaps", "ConfigMap", "load-1")
CONFIGMAPS_LOAD_2 = View("configmaps/load-2", "", "v1", "configmaps", "ConfigMap", "load-2")
LISTS = [PODS, PODS_LOAD_2, CONFIGMAPS_LOAD_1, CONFIGMAPS_LOAD_2, DEPLOYMENTS]
HEALTHY = [view.of(name) for name in ("east", "west") for view in LISTS]
SOUTH = [view.of("south") for view in LISTS]
SLOW = [view.of("slow") for view in (PODS_LOAD_2, CONFIGMAPS)]
ALL = HEALTHY + SOUTH + SLOW


def begin(rig, strategy, views=ALL, server=None, broken=()):
    """The backend's four contexts are one server: two users of it, and a way to it that can be made to hang."""
    rig.start_stack()
    rig.start_proxy()
    rig.start_load()
    rig.write(300)
    ports = {"east": rig.stack.port, "west": rig.stack.port, "south": rig.stack.port, "slow": rig.proxy.port}
    rig.start_headlamp({name: (port, "admin" if name == "west" else "kubering") for name, port in ports.items()}, server)
    for command in broken:
        rig.headlamp.say(command)
    nothing = rig.state / "kubering.conf"
    nothing.write_text("apiVersion: v1\nkind: Config\n")
    nothing.chmod(0o600)
    hub = {"name": "hub", "strategy": strategy, "headlamp": {"url": rig.headlamp.url}}
    rig.start_kubering(kubeconfig=nothing, settings={"clusters": [hub]})
    wait_until("the daemon knows the backend's contexts", lambda: all(map(rig.kubering.cluster, ports)), CONVERGE_SECONDS)
    rig.start_fold(views)


def course(rig, strategy, server=None):
    """2,100 changes; the backend restarts twice, a cluster hangs, a context is gone: the others lose nothing."""
    begin(rig, strategy, server=server)
    rig.compare("first lists")
    expect_way(rig, strategy)
    before = relists(rig)
    rig.write(600, (.3, rig.headlamp.restart))
    rig.compare("backend restarted")

    rig.write(300, (.5, lambda: hang(rig)))
    if strategy == "multiplexed" and not server:
        wait_until("the backend dials the one that hangs", lambda: dialing(rig), CONVERGE_SECONDS)
    rig.write(300)
    rig.compare("one cluster hangs", views=HEALTHY + SOUTH)
    rig.headlamp.take_away("south")
    if strategy == "multiplexed" and not server:
        rig.tell(f"dials that block the multiplexer: {dialing(rig)}")
        wait_until("the backend has given the dial up", lambda: not dialing(rig), DIAL_SECONDS)
    rig.write(400)
    rig.compare("one cluster hangs, one context is gone", views=HEALTHY)
    rig.write(300, (.3, rig.headlamp.restart))
    rig.compare("backend restarted meanwhile", views=HEALTHY)
    for view in SOUTH[:1] + SLOW[:1]:
        row = rig.kubering.list_status(view)
        if row["state"] == "live" or not row["last_error"]:
            raise Failed(f"{view.name} cannot be up to date, and the status does not say so: {row}")
        rig.tell(f"{view.name} is {row['state']}: {row['last_error']['text']}")
    if relists(rig) != before:
        raise Failed(f"lists that nothing happened to were listed anew: {before} before, {relists(rig)} after")

    rig.headlamp.give_back("south")
    rig.proxy.say("stall off")
    rig.write(200)
    rig.compare("all is well again")
    expect_way(rig, strategy)
    if relists(rig) != before:
        raise Failed(f"lists that nothing happened to were listed anew: {before} before, {relists(rig)} after")
    rig.check_fold()


def hang(rig):
    """The host of `slow` takes connections and says nothing any more; those that there were are gone."""
    rig.proxy.say("stall on")
    rig.proxy.say("cut rst")


def dialing(rig):
    return int(rig.headlamp.say("headlamp status")["dialing"])


def relists(rig):
    return {view.name: rig.kubering.list_status(view)["relists"] for view in HEALTHY}


def ways(rig):
    """name of a cluster that has lists -> its way, and why it is no better one"""
    return {row["name"]: (row["strategy"], row.get("strategy_reason", ""))
            for row in rig.kubering.status()["clusters"] if row["lists"]}


def expect_way(rig, way, *reasons, seconds=CONVERGE_SECONDS):
    """Waits until all clusters take this way, for these reasons; without one, it has to be the first choice."""
    def fits(taken, reason):
        return taken == way and all(part in reason for part in reasons) and (reasons or not reason)
    wait_until(lambda: f"all take the way {way} {reasons}: {ways(rig)}",
               lambda: all(fits(*taken) for taken in ways(rig).values()), seconds)
    rig.tell(f"way of all clusters: {way}. {next(iter(ways(rig).values()))[1]}")


def auto(rig):
    """The multiplexer is refused: legacy, and the reason is told. It is there after a restart of the backend: taken at once."""
    begin(rig, "auto", HEALTHY, broken=["headlamp mux refuse"])
    rig.compare("the multiplexer is refused")
    expect_way(rig, "legacy", "multiplexed", "404", "next try in")
    before = relists(rig)
    rig.write(1000, (.5, lambda: rig.headlamp.say("headlamp restart 300")))
    rig.compare("refused, restarted")
    expect_way(rig, "legacy", "multiplexed", "404", "next try in")
    rig.headlamp.say("headlamp mux ok")
    rig.write(1000, (.3, lambda: rig.headlamp.say("headlamp restart 3000")))
    rig.compare("restarted, healthy")
    expect_way(rig, "multiplexed")
    if relists(rig) != before:
        raise Failed(f"a change of the way cost a relist: {before} before, {relists(rig)} after")
    rig.check_fold()


def silent(rig):
    """The multiplexer says "connected" and then nothing: found out by a list, and left with the reason; well after a restart."""
    begin(rig, "auto", HEALTHY, broken=["headlamp mux silent"])
    for view in HEALTHY:
        rig.kubering.wait_state(view, ["live"], CONVERGE_SECONDS)
    rig.write(500)
    expect_way(rig, "legacy", "multiplexed", "no byte", "next try in", seconds=SILENCE_SECONDS)
    rig.compare("the multiplexer is silent")
    rig.headlamp.say("headlamp mux ok")
    rig.write(500, (.3, lambda: rig.headlamp.say("headlamp restart 3000")))
    rig.compare("restarted, healthy")
    expect_way(rig, "multiplexed")
    rig.check_fold()


def real(rig, way):
    server = os.environ.get("HEADLAMP_SERVER")
    if not server:
        raise Skipped("HEADLAMP_SERVER is not set: no binary of a real Headlamp backend to run against; the model of it "
                      "answers in headlamp.multiplexed, headlamp.legacy and headlamp.http")
    course(rig, way, server)


SCENARIOS = {f"headlamp.{way}": lambda rig, way=way: course(rig, way) for way in WAYS} | {
    "headlamp.auto": auto, "headlamp.silent": silent}
SCENARIOS |= {f"headlamp.real.{way}": lambda rig, way=way: real(rig, way) for way in WAYS}
