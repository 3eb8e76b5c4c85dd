"""What a kube-apiserver does that no specification says: a test for each trap that a direct client can meet (README.md)."""

import json
import shutil
import signal
import socket
import ssl
import time

from kit import canon
from kit.process import Failed, wait_until
from kit.rig import CONFIGMAPS, CONVERGE_SECONDS, DEPLOYMENTS, PODS, WIDGETS
from kit.servers import Api

PARK_SECONDS = 180  # a list that was refused (401, 403, 404) is tried again after 30 s, then more
SHUTDOWN_SECONDS = 120  # an apiserver holds its watches for up to 60 s after SIGTERM
RESTORE_SECONDS = 240  # silence without bookmarks is looked into after 150 s
POD = {"spec": {"containers": [{"name": "c", "image": "i"}]}}


def begin(rig, *views, flags=(), writes=200):
    rig.start_stack(flags)
    rig.start_proxy()
    rig.start_load()
    rig.write(writes)
    rig.start_kubering(lists=views)
    rig.start_fold(views)


def create_marks(rig, name):
    return {"pods": rig.stack.api.create(PODS, name, **POD), "configmaps": rig.stack.api.create(CONFIGMAPS, name)}


# --- 2: a watch from a version in the future is accepted and silent ---


def restore(rig):
    """etcd goes back to a backup: the daemon's versions lie in the future now, a plain resume looks healthy for ever."""
    rig.start_stack()
    rig.start_proxy()
    rig.start_load()
    rig.write(300)
    stack, backup = rig.stack, rig.state / "backup"
    stop_cleanly(stack)
    shutil.copytree(stack.data, backup)
    start_again(stack)
    rig.start_kubering(lists=[PODS, CONFIGMAPS])
    rig.start_fold([PODS, CONFIGMAPS])
    rig.write(600)
    rig.compare("before the restore")

    rig.proxy.say("refuse on")
    rig.proxy.say("cut rst")
    stop_cleanly(stack)
    stack.forget()
    backup.rename(stack.data)
    start_again(stack)
    stack.api.create(CONFIGMAPS, "after-restore", data={"a": "b"})
    held = int(rig.kubering.list_status(CONFIGMAPS)["resource_version"])
    now = int(stack.api.list(CONFIGMAPS)[0])
    if held <= now:
        raise Failed(f"the daemon was to hold a version of the future, not {held} at {now}")
    rig.proxy.say("refuse off")
    for view in (PODS, CONFIGMAPS):
        wait_until(lambda: f"{view.name} follows the server back:\n{unlike_server(rig, view)}\n{rig.explain(view)}",
                   lambda: not unlike_server(rig, view), RESTORE_SECONDS)
        if "RESET=" not in rig.fold.ask(f"state {view.name}")[1]:
            raise Failed(f"the consumer of {view.name} was not told that the list went back")
    rig.tell("both lists followed the server back")
    rig.check_fold()


def stop_cleanly(stack):
    stack.apiserver.end()
    stack.etcd.end()


def start_again(stack):
    stack.start_etcd()
    stack.start_apiserver()


def unlike_server(rig, view):
    want = canon.lines(view, rig.stack.api.list(view)[1])
    folded, _ = rig.fold.ask(f"dump {view.name}")
    got = rig.kubering.get(view)
    return canon.differences("LIST", want, "fold", folded) or canon.differences("LIST", want, "kubering get", got)


# --- 4, 6: what the daemon asks for, and how ---


def requests(rig):
    """No User-Agent that makes the server pretty-print, bookmarks, one watch however many consumers, no HTTP/2."""
    begin(rig, PODS)
    for _ in range(3):
        rig.kubering.get(PODS)
    rig.compare("after several consumers")
    entries = rig.stack.audit(PODS.path)
    watches = [entry for entry in entries if entry["verb"] == "watch"]
    agents = {entry.get("userAgent", "") for entry in rig.stack.audit()}
    if not agents or any(not agent.startswith("kubering") for agent in agents):
        raise Failed(f"User-Agent of the daemon's requests: {agents}")
    if len(watches) != 1 or any("allowWatchBookmarks=true" not in entry["requestURI"] for entry in watches):
        raise Failed("one watch with bookmarks was to serve all consumers, not:\n" + json.dumps(watches, indent=1))
    protocol = offered_protocol(rig)
    if protocol not in (None, "http/1.1"):
        raise Failed(f"the daemon let the server choose {protocol}")


def offered_protocol(rig):
    """What a server that prefers HTTP/2, as the apiserver does, agrees on with the daemon."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(rig.stack.pki / "server.crt", rig.stack.pki / "server.key")
    tls.set_alpn_protocols(["h2", "http/1.1"])
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(CONVERGE_SECONDS)
        rig.proxy.say(f"target {listener.getsockname()[1]}")
        rig.proxy.say("cut rst")
        link, _ = listener.accept()
        link.settimeout(CONVERGE_SECONDS)
        with tls.wrap_socket(link, server_side=True) as session:
            protocol = session.selected_alpn_protocol()
    rig.proxy.say(f"target {rig.stack.port}")
    return protocol


# --- 7: the server is up and useless ---


def hung_store(rig):
    """etcd hangs: a new LIST gets no answer for a minute. What is mirrored stays readable; who waits gets a time-out."""
    begin(rig, PODS, CONFIGMAPS)
    rig.compare("before")
    before = rig.kubering.get(PODS)
    rig.stack.etcd.send(signal.SIGSTOP)
    try:
        start = time.monotonic()
        done = rig.kubering.run("get", *DEPLOYMENTS.cli, "-o", "json", "--timeout", "3s")
        took = time.monotonic() - start
        if done.returncode != 3 or not done.stderr or took > 30:
            raise Failed(f"get --timeout 3s: exit {done.returncode} after {took:.1f} s: {done.stderr.decode()}")
        if rig.kubering.get(PODS) != before:
            raise Failed("a list that is mirrored changed while the store hung")
    finally:
        rig.stack.etcd.send(signal.SIGCONT)
    rig.compare("after")
    rig.kubering.get(DEPLOYMENTS)


# --- 8: SIGTERM leaves watches open and silent for a minute ---


def sigterm(rig):
    """A rolling upgrade: the old apiserver holds its watches open and silent while the new one takes the changes."""
    begin(rig, PODS, CONFIGMAPS, flags=["--shutdown-watch-termination-grace-period=0s"])
    rig.compare("before")
    rig.stack.apiserver.send(signal.SIGTERM)
    old = rig.stack.move_apiserver()
    rig.proxy.say(f"target {rig.stack.port}")
    if not old.running:
        raise Failed("the old apiserver was to linger")
    rig.compare("changes through the new server", create_marks(rig, "a"), SHUTDOWN_SECONDS)

    def ended():
        rig.stack.api.create(CONFIGMAPS, f"meanwhile-{time.monotonic_ns()}")
        return not old.running

    wait_until("the old server has ended", ended, SHUTDOWN_SECONDS)
    rig.compare("after the old server's end", create_marks(rig, "b"))
    rig.check_fold()


# --- 9: rights and tokens are looked at when a request starts, and only then ---


def begin_as_viewer(rig, token):
    """The daemon as a user with a token in a file; returns that file and a client with the right token."""
    rig.start_stack()
    rig.start_proxy()
    right = (rig.stack.pki / "viewer.token").read_text().strip()
    viewer = Api(rig.stack.port, rig.stack.pki, token=right)
    rig.stack.api.grant("viewer", [""], "pods", "configmaps")
    wait_until("the viewer may list", lambda: viewer.call("GET", CONFIGMAPS.path).status == 200, 30)
    token_file = rig.state / "token"
    token_file.write_text(token or right)
    token_file.chmod(0o600)
    rig.stack.api.create(CONFIGMAPS, "first")
    rig.start_kubering(lists=[PODS, CONFIGMAPS],
                       kubeconfig=rig.stack.kubeconfig("kubering.conf", rig.proxy.port, "viewer", token_file))
    return token_file, viewer


def rights(rig):
    """A right that is taken away shows at the next request: the list parks, keeps what it has and says why."""
    _, viewer = begin_as_viewer(rig, None)
    rig.start_fold([PODS, CONFIGMAPS])
    rig.compare("with all rights", create_marks(rig, "a"))
    rig.stack.api.grant("viewer", [""], "pods")
    wait_until("the right is gone", lambda: viewer.call("GET", CONFIGMAPS.path).status == 403, 30)
    rig.compare("a running watch goes on without its right", create_marks(rig, "b"))

    rig.proxy.say("cut rst")
    row = rig.kubering.wait_state(CONFIGMAPS, ["parked"], CONVERGE_SECONDS)
    if "403" not in str(row["last_error"]) and "orbidden" not in str(row["last_error"]):
        raise Failed(f"the status does not say what was refused: {row}")
    if row["objects"] != len(rig.stack.api.list(CONFIGMAPS)[1]):
        raise Failed(f"a refused list lost its objects: {row}")
    rig.kubering.wait_state(PODS, ["live"], CONVERGE_SECONDS)

    rig.stack.api.grant("viewer", [""], "pods", "configmaps")
    rig.compare("with all rights again", create_marks(rig, "c"), PARK_SECONDS)
    rig.check_fold()


def list_only(rig):
    """A role with list and without watch: the list is taken now and then, and says that it may not be watched."""
    begin_as_viewer(rig, None)
    rig.stack.api.grant("viewer", [""], "pods", "configmaps", verbs=("get", "list"))
    rig.proxy.say("cut rst")
    row = rig.kubering.wait_state(CONFIGMAPS, ["parked"], CONVERGE_SECONDS)
    if "cannot watch" not in str(row["last_error"]):
        raise Failed(f"the status does not say what was refused: {row}")
    rig.stack.api.create(CONFIGMAPS, "while-parked")
    wait_until("it is taken again", lambda: rig.kubering.list_status(CONFIGMAPS)["objects"] ==
               len(rig.stack.api.list(CONFIGMAPS)[1]), PARK_SECONDS)
    rig.stack.api.grant("viewer", [""], "pods", "configmaps")
    for view in (PODS, CONFIGMAPS):
        rig.kubering.wait_state(view, ["live"], PARK_SECONDS)
    rig.start_fold([PODS, CONFIGMAPS])
    rig.compare("when it may be watched", create_marks(rig, "a"), PARK_SECONDS)
    rig.check_fold()


def token(rig):
    """A wrong token is a 401 that says so, at the start and later; the right one in the same file is taken up."""
    token_file, viewer = begin_as_viewer(rig, "not-the-token")
    done = rig.kubering.run("get", "pods", "-A")
    if done.returncode != 1 or b"401" not in done.stderr:
        raise Failed(f"kubering get with a wrong token: exit {done.returncode}: {done.stderr.decode()}")
    wait_until(lambda: f"the status says 401: {rig.kubering.status()}", lambda: "401" in str(rig.kubering.status()), 30)
    token_file.write_text(viewer.token)
    for view in (PODS, CONFIGMAPS):
        rig.kubering.wait_state(view, ["live"], PARK_SECONDS)
    rig.start_fold([PODS, CONFIGMAPS])
    rig.compare("with the right token", create_marks(rig, "a"))

    tokens = rig.stack.pki / "tokens.csv"  # read by the server at its start only
    tokens.write_text(tokens.read_text().replace(viewer.token, "another-token"))
    rig.stack.restart_apiserver()
    wait_until(lambda: f"the list says 401: {rig.kubering.list_status(PODS)}",
               lambda: "401" in str(rig.kubering.list_status(PODS)["last_error"]), CONVERGE_SECONDS)
    token_file.write_text("another-token")
    rig.compare("with the new token", create_marks(rig, "b"), PARK_SECONDS)
    rig.check_fold()


# --- 10: 404 of an unknown API and 429 are text, no Status ---


def not_found(rig):
    """An unknown resource is an error for who asked; a CRD that goes takes its objects along, and may come back."""
    begin(rig, PODS, WIDGETS)
    rig.compare("before")
    done = rig.kubering.run("get", "nosuchthings", "-A")
    if done.returncode != 1 or b"nosuchthings" not in done.stderr:
        raise Failed(f"kubering get nosuchthings: exit {done.returncode}: {done.stderr.decode()}")
    crd = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    definition = rig.stack.api.ok("GET", f"{crd}/widgets.kubering.test")
    rig.stack.api.ok("DELETE", f"{crd}/widgets.kubering.test")
    wait_until("the API is gone", lambda: rig.stack.api.call("GET", WIDGETS.path).status == 404, 30)
    rig.kubering.wait_state(WIDGETS, ["parked"], CONVERGE_SECONDS)
    wait_until("the consumer saw all widgets go", lambda: not rig.fold.ask(f"dump {WIDGETS.name}")[0], CONVERGE_SECONDS)
    rig.kubering.wait_state(PODS, ["live"], CONVERGE_SECONDS)

    definition["metadata"] = {"name": definition["metadata"]["name"]}
    rig.stack.api.ok("POST", crd, definition)
    wait_until("the API is back", lambda: rig.stack.api.call("GET", WIDGETS.path).status == 200, 30)
    marks = {"pods": rig.stack.api.create(PODS, "new", **POD), "widgets": rig.stack.api.create(WIDGETS, "new", spec={})}
    rig.compare("after the CRD came back", marks, PARK_SECONDS)
    rig.check_fold()


def too_many(rig):
    """A server that is too busy answers 429 with Retry-After: the lists come all the same."""
    rig.start_stack(["--enable-priority-and-fairness=false", "--max-requests-inflight=1",
                     "--feature-gates=WatchList=false"])  # streaming lists are not counted
    rig.start_load()
    rig.write(200)
    for number in range(10):
        rig.stack.api.create(CONFIGMAPS, f"big-{number}", data={"text": "x" * 1000000})
    marks = rig.mark()
    with never_read(rig.stack, CONFIGMAPS.path):
        plain = Api(rig.stack.port, rig.stack.pki, "kubering")
        wait_until("the server is too busy", lambda: plain.call("GET", PODS.path).status == 429, 30)
        before = told_429(rig)
        views = [PODS, CONFIGMAPS, DEPLOYMENTS, WIDGETS]
        rig.start_kubering(lists=views)
        wait_until("the daemon is told 429", lambda: told_429(rig) > before, CONVERGE_SECONDS)
    rig.start_fold(views)
    rig.compare("after 429", marks)


def told_429(rig):
    return sum(entry.get("responseStatus", {}).get("code") == 429 for entry in rig.stack.audit())


def never_read(stack, path):
    """A connection that asks for a long answer and does not read it: a request in flight until it is closed."""
    link = socket.socket()
    link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    link.connect(("127.0.0.1", stack.port))
    session = stack.api.tls.wrap_socket(link, server_hostname="127.0.0.1")
    session.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
    return session


SCENARIOS = {f"trap.{name}": scenario for name, scenario in {
    "restore": restore, "requests": requests, "hung_store": hung_store, "sigterm": sigterm, "rights": rights,
    "list_only": list_only,
    "token": token, "not_found": not_found, "too_many": too_many}.items()}
