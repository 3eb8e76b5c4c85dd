"""The mirror equals the server, whatever happens on the way: random changes while connections are cut, the path goes
half-open, the server is killed and restarted, versions expire (410), and the daemon itself is killed.

The same course against each kind of server and of io; `writes` is the number of random changes.
"""

import signal
import subprocess

from kit.process import Failed, wait_until
from kit.rig import ALL, CONFIGMAPS, CONVERGE_SECONDS, EVENTS, PODS, PODS_LOAD_1, CONFIGMAPS_IN
from kit.servers import SERVERS

WHOLE = [view for view in ALL if view not in (PODS_LOAD_1, CONFIGMAPS_IN)]
HALF_OPEN_SECONDS = 20  # 10 s are promised for a direct connection; the rest is for a busy machine


def course(rig, writes, flags=(), etcd_bin=None, long=False, settings=None):
    rig.start_stack(flags, etcd_bin)
    rig.start_proxy()
    rig.start_load()
    rig.write(writes * 3 // 10)  # more configmaps than one page has
    rig.start_witness(ALL)
    rig.start_kubering(lists=WHOLE, settings=settings)
    rig.start_fold(ALL)
    rig.compare("first lists")

    # From one fault to the next the daemon waits longer before it tries again; those that cost it least come first.
    expire_uncached(rig, writes // 10)
    cut_connections(rig, writes * 2 // 10)
    if long:
        half_open(rig, writes // 10)
    restarts(rig, writes * 2 // 10)
    expire_cached(rig, writes // 10)
    if long:
        daemon_killed(rig, writes // 10)
    rig.check_fold()


def expire_uncached(rig, writes):
    """Events have no watch cache: compaction alone is a 410 for them, and must cost the other lists nothing."""
    rig.proxy.say("refuse on")
    rig.proxy.say("cut fin")
    before, version = relists(rig), rig.kubering.list_status(EVENTS)["resource_version"]
    rig.write(writes)
    rig.stack.compact()
    expect_410(rig, EVENTS, version)
    rig.proxy.say("refuse off")
    rig.compare("410 of an uncached resource")
    after = relists(rig)
    if after["events"] <= before["events"] or any(after[name] != before[name] for name in ("pods", "configmaps")):
        raise Failed(f"compaction must make events relist and nothing else: {before} before, {after} after")


def cut_connections(rig, writes):
    say = rig.proxy.say
    before = relists(rig)
    rig.write(writes, (.2, lambda: say("cut rst")), (.4, lambda: say("cut fin")), (.5, lambda: say("split on")),
              (.7, lambda: say("split off")), (.8, lambda: say("cut rst")))
    rig.compare("connections cut")
    # The versions are still known to the server: a cut watch goes on where it was.
    if relists(rig) != before:
        raise Failed(f"a cut connection cost a relist: {before} before, {relists(rig)} after")


def half_open(rig, writes):
    """Packets vanish: no reset, no end. The daemon has to find out by itself, and must not call its lists live."""
    rig.proxy.say("hole on")
    rig.write(writes)
    rig.kubering.wait_state(PODS, ["stale", "resuming", "relisting", "connecting"], HALF_OPEN_SECONDS)
    rig.tell("half-open: noticed")
    rig.proxy.say("hole off")
    rig.compare("after a half-open path")


def restarts(rig, writes):
    rig.write(writes // 2, (.3, lambda: rig.stack.restart_apiserver(signal.SIGKILL)))
    rig.write(writes - writes // 2, (.3, lambda: rig.stack.restart_apiserver(signal.SIGTERM)))
    rig.compare("server killed, restarted")


def expire_cached(rig, writes):
    """The daemon is away while objects go, come and come back; a restarted server does not know its versions any more.
    The relist is cut short before it may succeed: half a list must not show."""
    rig.proxy.say("refuse on")
    rig.proxy.say("cut rst")
    before, version = relists(rig), rig.kubering.list_status(CONFIGMAPS)["resource_version"]
    rig.write(writes // 2)
    rig.stack.restart_apiserver(signal.SIGKILL)
    rig.stack.compact()
    expect_410(rig, CONFIGMAPS, version)
    rig.proxy.say("limit 200000")
    rig.proxy.say("refuse off")
    wait_until("a list is asked for", lambda: lists_asked(rig, CONFIGMAPS), CONVERGE_SECONDS)
    rig.proxy.say("limit 0")
    rig.write(writes - writes // 2)
    rig.compare("410 of a cached resource")
    if relists(rig)["configmaps"] <= before["configmaps"]:
        raise Failed(f"no relist after a 410: {before} before, {relists(rig)} after")


def daemon_killed(rig, writes):
    """The consumers outlive the daemon and learn from the next one what happened meanwhile."""
    rig.kubering.end(signal.SIGKILL)
    rig.write(writes)
    rig.kubering.start()
    rig.compare("daemon killed")


def relists(rig):
    return {view.name: rig.kubering.list_status(view)["relists"] for view in WHOLE}


def expect_410(rig, view, version):
    """The premise of a test: the server answers this version with a 410 now."""
    event = rig.stack.api.first_watch_event(view.path, version)
    if not event or event["object"].get("code") != 410:
        raise Failed(f"the server was to answer a watch of {view.name} from {version} with 410, not with {event}")


def lists_asked(rig, view):
    """How often the daemon asked the newest server for a whole list: LIST or streaming list."""
    return sum(entry["verb"] == "list" or "sendInitialEvents=true" in entry["requestURI"]
               for entry in rig.stack.audit(view.path + "?"))


def epoll(rig):
    rig.options.io = "epoll"
    course(rig, 1500)


def etcd34(rig):
    build = subprocess.run([SERVERS / "etcd34"], check=True, text=True, stdout=subprocess.PIPE)
    course(rig, 1500, etcd_bin=build.stdout.strip())


def websocket(rig):
    course(rig, 1500, settings={"clusters": [{"context": "real", "strategy": "websocket"}]})
    row = rig.kubering.cluster("real")
    answers = {entry["responseStatus"]["code"] for entry in rig.stack.audit()
               if entry["verb"] == "watch" and entry.get("responseStatus", {}).get("code", 500) < 400}
    if row["strategy"] != "websocket" or answers != {101}:
        raise Failed(f"the watches were to come over WebSockets, not answered with {answers}: {row}")


SCENARIOS = {
    "mirror": lambda rig: course(rig, 5500, long=True),
    "mirror.epoll": epoll,
    "mirror.nowatchlist": lambda rig: course(rig, 1500, ["--feature-gates=WatchList=false"]),
    "mirror.etcd34": etcd34,
    "mirror.websocket": websocket,
    "mirror.emulated134": lambda rig: course(rig, 1500, ["--emulated-version=1.34"]),
}
