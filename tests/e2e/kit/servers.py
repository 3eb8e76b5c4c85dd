"""etcd and kube-apiserver on loopback: start, stop, kill and restart them on the same data, ask them, compact, read the audit.

Every process is started on the state folder of one test and has its own ports, so tests can run side by side.
"""

import datetime
import http.client
import json
import os
import select
import shutil
import signal
import ssl
import subprocess
import urllib.parse
from pathlib import Path

from . import canon
from .process import Failed, Process, free_port, wait_until

SERVERS = Path(__file__).resolve().parent.parent / "servers"
START_SECONDS = 60

AUDIT_POLICY = """apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- {level: Metadata, users: [kubering, viewer]}
- {level: None}
"""


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def json(self):
        return json.loads(self.body)


class Api:
    """A client of one apiserver: one keep-alive connection, made anew when it broke."""

    def __init__(self, port, pki, user="admin", token=None, timeout=30):
        self.port, self.timeout, self.token, self.link = port, timeout, token, None
        self.tls = ssl.create_default_context(cafile=pki / "ca.crt")
        if not token:
            self.tls.load_cert_chain(pki / f"{user}.crt", pki / f"{user}.key")

    def call(self, method, path, body=None, content="application/json", **query):
        if self.is_over():  # a server closes a connection that nobody used for a while
            self.link.close()
            self.link = None
        if query:
            path += "?" + urllib.parse.urlencode(query)
        headers = {"User-Agent": "kubering-e2e", "Accept": "application/json"}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        if body is not None:
            headers["Content-Type"] = content
            body = json.dumps(body).encode()
        self.link = self.link or http.client.HTTPSConnection("127.0.0.1", self.port, timeout=self.timeout,
                                                             context=self.tls)
        try:
            self.link.request(method, path, body, headers)
            answer = self.link.getresponse()
            return Answer(answer.status, answer.headers, answer.read())
        except (OSError, http.client.HTTPException):
            self.link.close()
            self.link = None
            raise

    def is_over(self):
        return self.link and self.link.sock and select.select([self.link.sock], [], [], 0)[0]

    def ok(self, method, path, body=None, **options):
        """Like call, but a status other than 2xx fails the test."""
        answer = self.call(method, path, body, **options)
        if not 200 <= answer.status < 300:
            raise Failed(f"{method} {path}: {answer.status} {answer.body[:300]!r}")
        return answer.json()

    def grant(self, user, groups, *resources, verbs=("get", "list", "watch")):
        """Lets a user read these resources, and no others."""
        rbac, version = "/apis/rbac.authorization.k8s.io/v1", "rbac.authorization.k8s.io/v1"
        role = {"apiVersion": version, "kind": "ClusterRole", "metadata": {"name": user}, "rules": [
            {"apiGroups": groups, "resources": resources, "verbs": verbs}]}
        if self.call("POST", f"{rbac}/clusterroles", role).status == 409:
            self.ok("PUT", f"{rbac}/clusterroles/{user}", role)
        self.call("POST", f"{rbac}/clusterrolebindings", {
            "apiVersion": version, "kind": "ClusterRoleBinding", "metadata": {"name": user},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": user},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}]})

    def create(self, view, name, namespace="default", **body):
        """Makes an object; returns its resourceVersion."""
        path = view.path.replace(f"/{view.resource}", f"/namespaces/{namespace}/{view.resource}")
        head = {"apiVersion": view.api_version, "kind": view.kind, "metadata": {"name": name}}
        made = self.ok("POST", path, head | body)
        return int(made["metadata"]["resourceVersion"])

    def list(self, view, version=""):
        """All pages of a list, at exactly one resourceVersion if one is given: (resourceVersion, items)."""
        query = {"limit": 500}
        if view.selector:
            query["labelSelector"] = view.selector
        at = {"resourceVersion": version, "resourceVersionMatch": "Exact"} if version else {}
        items = []
        while True:
            answer = self.call("GET", view.path, **query, **at)
            if answer.status != 200:
                raise Failed(f"LIST {view.path} {at}: {answer.status} {answer.body[:300]!r}")
            page = canon.load(answer.body)
            items += page["items"]
            if not page["metadata"].get("continue"):
                return page["metadata"]["resourceVersion"], items
            query["continue"], at = page["metadata"]["continue"], {}

    def first_watch_event(self, path, version):
        """The first event of a watch from a version, or an HTTP status: how the server takes this version."""
        answer = self.call("GET", path, watch=1, resourceVersion=version, timeoutSeconds=1)
        if answer.status != 200:
            return {"type": "HTTP", "object": {"code": answer.status}}
        return json.loads(answer.body.splitlines()[0]) if answer.body else None

    def ready(self):
        try:
            return self.call("GET", "/readyz").status == 200
        except (OSError, http.client.HTTPException):
            return False


class Stack:
    """etcd + kube-apiserver. `flags` go to the apiserver."""

    def __init__(self, state, servers_bin, flags=(), etcd_bin=None, owned=True):
        self.state, self.flags, self.owned = Path(state), list(flags), owned
        self.bin, self.etcd_bin = Path(servers_bin), Path(etcd_bin or servers_bin)
        self.pki, self.data = self.state / "pki", self.state / "etcd"
        self.etcd_port, self.peer_port, self.port = free_port(), free_port(), free_port()
        self.etcd = self.apiserver = self.api = self.started = None

    def start(self):
        self.state.mkdir(parents=True, exist_ok=True)
        if not (self.pki / "tokens.csv").exists():
            subprocess.run([SERVERS / "certs", self.pki], check=True)
        self.api = Api(self.port, self.pki)
        self.start_etcd()
        self.start_apiserver()
        self.api.grant("kubering", ["*"], "*")

    def start_etcd(self):
        url, peer = f"http://127.0.0.1:{self.etcd_port}", f"http://127.0.0.1:{self.peer_port}"
        self.etcd = Process("etcd", [
            self.etcd_bin / "etcd", "--name", "t", "--data-dir", self.data, "--unsafe-no-fsync", "--log-level", "warn",
            "--listen-client-urls", url, "--advertise-client-urls", url, "--listen-peer-urls", peer,
            "--initial-advertise-peer-urls", peer, "--initial-cluster", f"t={peer}",
        ], self.state / "etcd.log", self.owned)
        wait_until("etcd is healthy", lambda: self.etcd.check_running() and self.etcd_healthy(), START_SECONDS)

    def start_apiserver(self):
        (self.state / "audit.yaml").write_text(AUDIT_POLICY)
        self.started = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        self.apiserver = Process("kube-apiserver", [
            self.bin / "kube-apiserver", "--etcd-servers", f"http://127.0.0.1:{self.etcd_port}",
            "--bind-address", "127.0.0.1", "--secure-port", self.port, "--advertise-address", "127.0.0.1",
            "--endpoint-reconciler-type", "none", "--service-cluster-ip-range", "10.0.0.0/24",
            "--tls-cert-file", self.pki / "server.crt", "--tls-private-key-file", self.pki / "server.key",
            "--client-ca-file", self.pki / "ca.crt", "--token-auth-file", self.pki / "tokens.csv",
            "--authorization-mode", "RBAC", "--service-account-issuer", "https://kubering.test",
            "--service-account-key-file", self.pki / "sa.key",
            "--service-account-signing-key-file", self.pki / "sa.key",
            "--disable-admission-plugins", "ServiceAccount", "--shutdown-watch-termination-grace-period", "1s",
            "--audit-policy-file", self.state / "audit.yaml", "--audit-log-path", self.audit_log,
            *self.flags,
        ], self.state / "apiserver.log", self.owned)
        wait_until("kube-apiserver is ready", lambda: self.apiserver.check_running() and self.api.ready(),
                   START_SECONDS)

    def restart_apiserver(self, number=signal.SIGTERM):
        self.apiserver.end(number)
        self.start_apiserver()

    def move_apiserver(self):
        """Starts another apiserver on another port; the old one is left to the caller."""
        old, self.port = self.apiserver, free_port()
        self.api = Api(self.port, self.pki)
        self.start_apiserver()
        return old

    def stop(self):
        for process in (self.apiserver, self.etcd):
            if process:
                process.end(signal.SIGKILL if self.owned else signal.SIGTERM)

    def forget(self):
        """Removes the data, keeps the logs."""
        shutil.rmtree(self.data, ignore_errors=True)

    # --- etcd, through its JSON gateway ---

    def etcd_call(self, path, body=None):
        link = http.client.HTTPConnection("127.0.0.1", self.etcd_port, timeout=10)
        try:
            link.request("GET" if body is None else "POST", path, body and json.dumps(body))
            answer = link.getresponse()
            return answer.status, answer.read()
        finally:
            link.close()

    def etcd_healthy(self):
        try:
            return self.etcd_call("/health")[0] == 200
        except (OSError, http.client.HTTPException):
            return False

    def compact(self):
        """Makes etcd forget all history before its newest revision; returns that revision."""
        revision = json.loads(self.etcd_call("/v3/kv/range", {"key": "AA=="})[1])["header"]["revision"]
        status, body = self.etcd_call("/v3/kv/compaction", {"revision": revision, "physical": True})
        if status != 200:
            raise Failed(f"etcd refused to compact: {status} {body!r}")
        return int(revision)

    # --- what the server saw of the daemon ---

    @property
    def audit_log(self):
        return self.state / "audit.log"

    def audit(self, path=""):
        """The daemon's requests to this apiserver since it started, from its audit log; those for one path only."""
        requests = {}
        if self.audit_log.exists():
            with open(self.audit_log, encoding="utf-8") as log:
                for entry in (json.loads(text) for text in log if text.endswith("\n")):
                    if entry["requestReceivedTimestamp"] >= self.started and entry["requestURI"].startswith(path):
                        requests[entry["auditID"]] = entry  # a watch has two: its head and its end
        return list(requests.values())

    def kubeconfig(self, name, port=None, user="kubering", token_file=None, ca=None):
        """Writes a kubeconfig for one user and returns its path; `port` leads through a proxy."""
        if token_file:
            credentials = f"tokenFile: {token_file}"
        else:
            credentials = f"client-certificate: {self.pki}/{user}.crt, client-key: {self.pki}/{user}.key"
        server = f"https://127.0.0.1:{port or self.port}"
        path = self.state / name
        path.write_text(f"""apiVersion: v1
kind: Config
current-context: real
clusters: [{{name: real, cluster: {{server: "{server}", certificate-authority: {ca or self.pki / "ca.crt"}}}}}]
users: [{{name: {user}, user: {{{credentials}}}}}]
contexts: [{{name: real, context: {{cluster: real, user: {user}}}}}]
""")
        path.chmod(0o600)
        return path
