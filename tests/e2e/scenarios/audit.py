"""The self-audit against a real server: what is right stays equal while it changes, and what only an audit can see is mended."""

import json
import shutil

from kit.process import Failed, wait_until
from kit.rig import CONFIGMAPS, CONVERGE_SECONDS, DEPLOYMENTS, EVENTS, PODS, WIDGETS

from .traps import start_again, stop_cleanly, unlike_server

AUDIT_SECONDS = 200


def verdicts(rig, status):
    """resource -> (verdict, text); the exit status is to be that one."""
    done = rig.kubering.run("audit", "-o", "json", seconds=AUDIT_SECONDS)
    rows = json.loads(done.stdout or "[]")
    if done.returncode != status:
        raise Failed(f"kubering audit: exit {done.returncode}: {done.stderr.decode()} {rows}")
    return {row["resource"]: (row["verdict"], row["text"]) for row in rows}


def healthy(rig):
    found = verdicts(rig, 0)
    words = [verdict for verdict, _ in found.values()]
    if len(words) < 5 or "different" in words or words.count("none") > 1:  # one may not be live yet
        raise Failed(f"under change the audit found: {found}")
    rig.tell(f"equal: {found}")


def pass_version(rig, held):
    """The server, back from a backup, writes until it has been at the version that the daemon holds."""
    number = 0
    while int(rig.stack.api.list(CONFIGMAPS)[0]) <= held:
        for _ in range(50):
            number += 1
            rig.stack.api.create(CONFIGMAPS, f"after-restore-{number}", data={"a": "b"})


def audit(rig):
    """Equal under load, by five resources; then etcd goes back to a backup, and past the daemon's version, while the daemon cannot see it."""
    rig.start_stack()
    rig.start_proxy()
    rig.start_load()
    rig.write(300)
    stack, backup = rig.stack, rig.state / "backup"
    stop_cleanly(stack)
    shutil.copytree(stack.data, backup)
    start_again(stack)
    views = [PODS, CONFIGMAPS, DEPLOYMENTS, EVENTS, WIDGETS]
    rig.start_kubering(lists=views, settings={"clusters": [{"context": "*", "qps": 100}]})
    rig.start_fold(views)
    rig.write(2000, *((share, lambda: healthy(rig)) for share in (0.1, 0.3, 0.5, 0.7)))
    rig.compare("before the restore")
    healthy(rig)

    rig.proxy.say("refuse on")
    rig.proxy.say("cut rst")
    stop_cleanly(stack)
    stack.forget()
    backup.rename(stack.data)
    start_again(stack)
    pass_version(rig, int(rig.kubering.list_status(CONFIGMAPS)["resource_version"]))
    rig.proxy.say("refuse off")
    rig.kubering.wait_state(CONFIGMAPS, ["live"], CONVERGE_SECONDS)
    stack.api.create(CONFIGMAPS, "one-more", data={"a": "b"})
    row = rig.kubering.list_status(CONFIGMAPS)
    if row["relists"] or not unlike_server(rig, CONFIGMAPS):
        raise Failed(f"the list was to be deceived: {row}")
    found = verdicts(rig, 1)
    rig.tell(f"after the restore: {found}")
    if found["configmaps"][0] != "different":
        raise Failed(f"the audit found: {found}")
    wait_until("what differed is mended", lambda: not unlike_server(rig, CONFIGMAPS), CONVERGE_SECONDS)
    if verdicts(rig, 0)["configmaps"][0] != "equal":
        raise Failed("what was mended is not equal")
    rig.check_fold([CONFIGMAPS])


SCENARIOS = {"audit": audit}
