"""The API-server model (tools/fakekube) and the real server are asked the same questions and must answer alike.

Compared: status, the headers that steer a client, the events of a stream, the order of keys, and whole Status objects.
Digits, uids, tokens and the content of objects may differ. What differs is a defect of the model: other tests rest on it.
"""

import base64
import http.client
import json
import re
import secrets
import signal
import socket
import ssl

from kit.process import Failed, Helper, socket_path, wait_until
from kit.rig import CONFIGMAPS, WIDGETS
from kit.servers import Api

OBJECTS = 7
MAPS = "/api/v1/namespaces/ns-000/configmaps"
WIDGETS_PATH = "/apis/kubering.test/v1/namespaces/ns-000/widgets"  # custom resources: keys are sorted
STREAM = "sendInitialEvents=true&resourceVersionMatch=NotOlderThan"
FUTURE = "99999999"
PARTIAL = "application/json;as=PartialObjectMetadata{};g=meta.k8s.io;v=v1"
HEADERS = ["content-type", "retry-after", "content-encoding", "transfer-encoding"]
META = ["name", "namespace", "uid", "resourceVersion", "creationTimestamp", "managedFields", "annotations"]

# What is asked, and with which headers. {rv} is the version of the list, {next} the token of its second page.
QUESTIONS = [
    (f"{MAPS}", {}),
    ("/api/v1/configmaps", {}),
    (f"{MAPS}?limit=3", {}),
    (f"{MAPS}?limit=3&continue={{next}}", {}),
    (f"{MAPS}?limit=3&resourceVersion=0", {}),
    (f"{MAPS}?resourceVersion={{rv}}&resourceVersionMatch=Exact", {}),
    (f"{MAPS}?resourceVersion={{rv}}&resourceVersionMatch=NotOlderThan", {}),
    (f"{MAPS}?labelSelector=no%3Dsuch", {}),
    (f"{MAPS}?fieldSelector=metadata.name%3Dnosuch", {}),
    (f"{MAPS}", {"Accept": PARTIAL.format("List")}),
    (f"{MAPS}/nosuch", {}),
    ("/api/v1/namespaces/nosuch/configmaps", {}),
    ("/api/v1/nosuch", {}),
    ("/apis/no.such/v1/things", {}),
    ("/api", {}),
    ("/version", {}),
    ("/api/v1", {}),
    ("/apis/kubering.test/v1", {}),
    (WIDGETS_PATH, {}),
    (f"{WIDGETS_PATH}?limit=3", {}),
    (f"{WIDGETS_PATH}/nosuch", {}),
    (f"{WIDGETS_PATH}?watch=1&timeoutSeconds=1&{STREAM}&allowWatchBookmarks=true&resourceVersion=", {}),
    # refused lists
    (f"{MAPS}?resourceVersion=abc", {}),
    (f"{MAPS}?resourceVersion={FUTURE}", {}),
    (f"{MAPS}?resourceVersionMatch=Exact", {}),
    (f"{MAPS}?resourceVersion=0&resourceVersionMatch=Exact", {}),
    (f"{MAPS}?resourceVersion={{rv}}&resourceVersionMatch=Nonsense", {}),
    (f"{MAPS}?limit=3&continue=nonsense", {}),
    (f"{MAPS}?limit=3&continue={{next}}&resourceVersion={{rv}}", {}),
    (f"{MAPS}?fieldSelector=foo%3Dbar", {}),
    (f"{MAPS}?sendInitialEvents=true", {}),
    (f"{MAPS}", {"Accept": "application/nonsense"}),
    (f"{MAPS}", {"Authorization": "Bearer nonsense"}),
    # watches
    (f"{MAPS}?watch=1&timeoutSeconds=1&resourceVersion={{rv}}", {}),
    (f"{MAPS}?watch=1&timeoutSeconds=1&resourceVersion=0", {}),
    (f"{MAPS}?watch=1&timeoutSeconds=1&resourceVersion={FUTURE}", {}),
    (f"{MAPS}?watch=1&timeoutSeconds=1&{STREAM}&allowWatchBookmarks=true&resourceVersion=", {}),
    (f"{MAPS}?watch=1&timeoutSeconds=1&{STREAM}&allowWatchBookmarks=true&resourceVersion=", {"Accept": PARTIAL.format("")}),
    (f"{MAPS}?watch=1&timeoutSeconds=1&{STREAM}&allowWatchBookmarks=true&resourceVersion={FUTURE}", {}),
    (f"{MAPS}?watch=1&timeoutSeconds=1&fieldSelector=metadata.name%3Dnosuch&resourceVersion={{rv}}", {}),
    (f"{MAPS}?watch=1&resourceVersion=abc", {}),
    (f"{MAPS}?watch=1&sendInitialEvents=true&allowWatchBookmarks=true", {}),
    (f"{MAPS}?watch=1&resourceVersionMatch=NotOlderThan&resourceVersion={{rv}}", {}),
    (f"{MAPS}?watch=1&resourceVersion={{rv}}&fieldSelector=foo%3Dbar", {}),
    ("/api/v1/nosuch?watch=1", {}),
]

# Asked again when both servers have forgotten {rv} and {next}.
EXPIRED = [
    (f"{MAPS}?watch=1&timeoutSeconds=1&resourceVersion={{rv}}", {}),
    (f"{MAPS}?watch=1&timeoutSeconds=1&{STREAM}&allowWatchBookmarks=true&resourceVersion={{rv}}", {}),
    (f"{MAPS}?resourceVersion={{rv}}&resourceVersionMatch=Exact", {}),
    (f"{MAPS}?limit=3&continue={{next}}", {}),
]


class Server:
    """One of the two: asks, and reduces what comes back to what must be the same."""

    def __init__(self, port, ca, prefix, token):
        self.port, self.prefix, self.token = port, prefix, token
        self.tls = ssl.create_default_context(cadata=ca)
        first = json.loads(self.get(f"{MAPS}?limit=3")[2])["metadata"]
        self.words = {"rv": first["resourceVersion"], "next": first["continue"]}

    def get(self, path, headers=()):
        link = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=20, context=self.tls)
        try:
            usual = {"Authorization": f"Bearer {self.token}", "User-Agent": "kubering-e2e"}
            link.request("GET", self.prefix + path, headers=usual | dict(headers))
            answer = link.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            link.close()

    def ask(self, path, headers):
        status, head, body = self.get(path.format(**self.words), headers)
        steering = {name: head[name] for name in HEADERS if name in head}
        if "application/json" not in head.get("content-type", ""):
            return status, steering, body.decode()
        try:
            return status, steering, [b"\n  " in body, *filter(None, map(shape, documents(body.decode())))]
        except ValueError as error:
            return status, steering, f"no JSON: {error}: {body[:300]!r}"


def documents(text):
    """One or more JSON documents, one after the other; some answers are printed over several lines."""
    while text := text.strip():
        document, end = json.JSONDecoder().raw_decode(text)
        yield document
        text = text[end:]


def shape(value, inside=""):
    """A JSON document without what may differ between two servers."""
    if not isinstance(value, dict):
        return value
    if value.get("kind") == "Status":
        value["metadata"] = list(value["metadata"])  # a continue token is never the same
        return re.sub(r"\d+", "N", json.dumps(value))
    if inside == "metadata":
        return [key for key in value if key in META]
    if inside == "item":
        return {"kind" in value: shape(value["metadata"], "metadata")}
    if "items" in value:
        parts = [(key, shape(part, key)) for key, part in value.items() if key != "items"]
        return [*parts, list(value), [shape(item, "item") for item in value["items"]][:1]]
    if "type" in value and "object" in value:
        inner = value["object"]
        if value["type"] == "ERROR":
            return ["ERROR", shape(inner)]
        if value["type"] == "BOOKMARK" and "annotations" not in inner["metadata"]:
            return None  # sent when the server likes to
        meta = inner["metadata"]
        return [value["type"], meta.get("annotations"), list(inner)[:3], shape(meta, "metadata")]
    return list(value)


def start_real(rig):
    """The real server with the objects that the model has, and the way in by a token."""
    rig.start_stack()
    rig.stack.api.grant("viewer", ["*"], "*")
    rig.start_load()  # makes the custom resource
    rig.stack.api.ok("POST", "/api/v1/namespaces", {"metadata": {"name": "ns-000"}})
    for number in range(OBJECTS):
        rig.stack.api.create(CONFIGMAPS, f"configmap-{number:07}", "ns-000", data={"a": "b"})
        rig.stack.api.create(WIDGETS, f"widget-{number:07}", "ns-000", spec={"a": "b"})
    token, ca = ((rig.stack.pki / name).read_text().strip() for name in ("viewer.token", "ca.crt"))
    viewer = Api(rig.stack.port, rig.stack.pki, token=token)
    wait_until("the viewer may list", lambda: viewer.call("GET", MAPS).status == 200, 30)
    return Server(rig.stack.port, ca, "", token)


def start_model(rig):
    kubeconfig, token = rig.state / "model.conf", secrets.token_hex(16)
    rig.control = socket_path("model.sock")
    rig.model = Helper("fakekube", [
        rig.options.fakekube, "--port", "0", "--clusters", "1", "--objects", OBJECTS, "--namespaces", "1", "--resources",
        "configmaps,widgets.v1.kubering.test", "--object-bytes", "300", "--no-stamp", "--tls", "--token", token,
        "--control", rig.control, "--kubeconfig-out", kubeconfig], rig.state / "fakekube.log")
    ready = rig.model.child.stdout.readline()
    if not ready.startswith("ready port="):
        raise Failed(f"fakekube is not ready: {ready}{rig.model.tail()}")
    ca = re.search("certificate-authority-data: (.*)", kubeconfig.read_text())[1]
    return Server(int(ready.split("=")[1]), base64.b64decode(ca).decode(), "/clusters/fake-1", token)


def differences(real, ours, questions):
    text = []
    for path, headers in questions:
        want, got = real.ask(path, headers), ours.ask(path, headers)
        if want != got:
            text.append(f"GET {path} {headers or ''}\n    real:  {want}\n    model: {got}")
    return text


def forget(rig):
    """Both servers lose their history: a change, then a restart and a compaction; the model has a command for it."""
    rig.stack.api.create(CONFIGMAPS, "one-more", "ns-000", data={"a": "b"})
    rig.stack.restart_apiserver(signal.SIGKILL)
    rig.stack.compact()
    with socket.socket(socket.AF_UNIX) as control:
        control.connect(str(rig.control))
        for command in ("create fake-1 configmaps ns-000/one-more", "compact fake-1"):
            control.sendall(command.encode() + b"\n")
            if not (answer := control.recv(4096)).startswith(b"ok"):
                raise Failed(f"fakekube answers {command!r} with {answer!r}")


def model(rig):
    real, ours = start_real(rig), start_model(rig)
    wrong = differences(real, ours, QUESTIONS)
    forget(rig)
    wrong += differences(real, ours, EXPIRED)
    if wrong:
        raise Failed(f"{len(wrong)} of {len(QUESTIONS) + len(EXPIRED)} answers differ:\n  " + "\n  ".join(wrong))
    rig.tell(f"{len(QUESTIONS) + len(EXPIRED)} answers are alike")


SCENARIOS = {"model": model}
