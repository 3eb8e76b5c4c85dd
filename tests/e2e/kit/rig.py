"""Everything one test has around it: servers, proxy, writer, witness, daemon, consumer; and the comparison of them all."""

import json
import shutil
import signal
import sys
import time
from pathlib import Path

from . import canon
from .canon import View
from .headlamp import backend
from .kubering import Kubering, uring_allowed
from .process import Failed, Helper, Process
from .proxy import Proxy
from .servers import Stack

# After any fault a list must be whole again within 45 s (back-off of 30 s and jitter); the rest is for a busy machine.
CONVERGE_SECONDS = 75
MARKED = "load-1"  # the namespace of what the writer's `mark` makes

PODS = View("pods", "", "v1", "pods", "Pod")
CONFIGMAPS = View("configmaps", "", "v1", "configmaps", "ConfigMap")
DEPLOYMENTS = View("deployments", "apps", "v1", "deployments", "Deployment")
EVENTS = View("events", "", "v1", "events", "Event")
WIDGETS = View("widgets", "kubering.test", "v1", "widgets", "Widget")
PODS_LOAD_1 = View("pods/load-1", "", "v1", "pods", "Pod", "load-1")
CONFIGMAPS_IN = View("configmaps/in", "", "v1", "configmaps", "ConfigMap", "", "stage=in")
ALL = [PODS, CONFIGMAPS, DEPLOYMENTS, EVENTS, WIDGETS, PODS_LOAD_1, CONFIGMAPS_IN]


class Rig:
    def __init__(self, options):
        self.options, self.state = options, Path(options.state).resolve()
        shutil.rmtree(self.state, ignore_errors=True)
        self.state.mkdir(parents=True)
        self.begin = time.monotonic()
        self.stack = self.proxy = self.load = self.witness = self.kubering = self.fold = self.model = self.headlamp = None
        self.views = []

    def tell(self, text):
        print(f"[{time.monotonic() - self.begin:5.1f} s] {text}", flush=True)

    # --- starting the parts ---

    def start_stack(self, flags=(), etcd_bin=None):
        self.stack = Stack(self.state, self.options.servers, flags, etcd_bin)
        self.stack.start()
        version = self.stack.api.ok("GET", "/version")["gitVersion"]
        self.tell(f"kube-apiserver {version} is ready, flags: {' '.join(flags) or 'none'}")

    def start_proxy(self):
        self.proxy = Proxy(self.stack.port, self.state)

    def start_load(self, workers=4):
        command = [Path(self.options.tools) / "load", "--server", f"https://127.0.0.1:{self.stack.port}",
                   "--pki", self.stack.pki, "--seed", self.options.seed, "--workers", workers]
        self.load = Helper("load", command, self.state / "load.log")
        self.load.answer()

    def start_witness(self, views):
        self.views = views
        kubeconfig = self.stack.kubeconfig("witness.conf", user="admin")
        command = [Path(self.options.tools) / "witness", "--kubeconfig", kubeconfig]
        self.witness = Helper("witness", [*command, *(view.spec for view in views)], self.state / "witness.log")

    def start_headlamp(self, contexts, server=None):
        """A Headlamp backend: the model, or the real one's binary. contexts: name -> (port of an apiserver, user)."""
        self.headlamp = backend(server, self.options.fakekube, self.state, self.stack.pki, contexts)
        self.headlamp.start()

    def start_kubering(self, *flags, kubeconfig=None, lists=(), settings=None):
        """The daemon, by way of the proxy if there is one. settings: kubering.yaml, as far as it matters."""
        kubeconfig = kubeconfig or self.stack.kubeconfig("kubering.conf", self.proxy and self.proxy.port)
        lists = [word for view in lists for word in ("--list", view.cli[0])]
        if settings:
            file = self.state / "kubering.yaml"
            file.write_text(json.dumps({"apiVersion": "kubering.io/v1alpha1", "kind": "Config"} | settings))
            flags = ["--config", file, *flags]
        self.kubering = Kubering(self.options.kuberingd, self.options.kubering, self.state, kubeconfig,
                                 "--io", self.options.io, *lists, *flags)
        self.kubering.start()
        io = self.kubering.status()["io"]["kind"]
        if io != ("epoll" if self.options.io == "epoll" or not uring_allowed() else "io_uring"):
            raise Failed(f"kuberingd --io {self.options.io} uses {io}")
        self.tell(f"kuberingd is up, io: {io}")

    def start_fold(self, views):
        """The consumer: a process of its own that folds what `kubering watch` prints."""
        self.views = views
        command = [sys.executable, "-B", Path(__file__).parent / "fold.py", self.options.kubering]
        self.fold = Helper("fold", [*command, *(view.spec for view in views)], self.state / "fold.log",
                           env=self.kubering.environment)

    # --- writing and comparing ---

    def write(self, total, *faults):
        """`total` random changes; each fault is (share of them after which it strikes, function)."""
        due = sorted(((int(share * total), strike) for share, strike in faults), key=lambda fault: fault[0])
        self.load.say(f"run {total}")
        last = False
        while not last:
            entry, last = self.load.hear()
            done = total if last else int(entry.split()[1])
            while due and due[0][0] <= done:
                due.pop(0)[1]()

    def mark(self):
        """Makes one last change to each resource; returns its resourceVersion for each."""
        _, last = self.load.ask("mark")
        return {resource: int(version) for resource, version in (word.split("=") for word in last.split()[1:])}

    def compare(self, what, marks=None, seconds=CONVERGE_SECONDS, views=None):
        """The server's LIST at the version of the last change = witness = folded kubering watch = kubering get.

        `marks` are these versions, by resource, if not the writer made the last changes."""
        marks, wrong, total, views = marks or self.mark(), [], 0, views or self.views
        for view in views:
            version = marks[view.resource]
            want = canon.lines(view, self.stack.api.list(view, str(version))[1])
            total += len(want)
            for helper in (self.witness, self.fold):
                wrong.append(helper and self.follow(helper, view, version, want, seconds))
            if self.kubering:  # no more waiting: what a consumer was told, every other one can read
                text = canon.differences("LIST", want, "kubering get", self.kubering.get(view))
                wrong += [text, self.check_status(view, version, len(want))]
        wrong = [text for text in wrong if text]
        if wrong:
            raise Failed(f"{what}: not the same:\n" + "\n".join(wrong))
        self.tell(f"{what}: {total} objects in {len(views)} views are the same everywhere")

    def follow(self, helper, view, version, want, seconds):
        """Waits until the witness or the fold has the version and holds what is wanted; says what is different if not."""
        deadline = time.monotonic() + seconds
        last = "not waited for"
        if view.namespace in ("", MARKED):  # a list of another namespace does not see the last change
            _, last = helper.ask(f"wait {view.name} {version} {seconds}")
        while True:
            got, at = helper.ask(f"dump {view.name}")
            text = canon.differences("LIST", want, helper.name, got)
            # The end of a relist can lie behind the first line that names its version.
            if not text or last.startswith("ended") or time.monotonic() > deadline:
                return text and f"{view.name} at {version} ({helper.name}: {last}, {at}):\n{text}\n{self.explain(view)}"
            time.sleep(0.1)

    def check_status(self, view, version, count):
        if view.namespace or view.selector:
            return None
        row = self.kubering.wait_state(view, ["live"], CONVERGE_SECONDS)
        right = int(row["resource_version"]) >= version and row["objects"] == count
        return None if right else f"{view.name} has {count} objects at {version}, but status says {row}"

    def check_fold(self, views=None):
        for view in views or self.views:
            breaches, last = self.fold.ask(f"state {view.name}")
            if breaches:
                raise Failed(f"the stream of {view.name} broke its promises ({last}):\n  " + "\n  ".join(breaches))

    def explain(self, view):
        told = self.fold.ask(f"state {view.name}") if self.fold else ""
        return f"  status: {self.kubering.list_status(view)}\n  fold: {told}" if self.kubering else ""

    # --- the end ---

    def close(self):
        if self.load and self.load.running:
            self.tell("load: " + self.load.close())
        if self.kubering and self.kubering.process.running:
            status = self.kubering.end(signal.SIGTERM)
            if status != 0:
                raise Failed(f"kuberingd ended with {status} on SIGTERM:\n{self.kubering.process.tail()}")

    def clean(self):
        """Ends what is left, whatever state it is in."""
        for process in (self.kubering and self.kubering.process, self.fold, self.witness, self.load, self.model,
                        self.proxy and self.proxy.helper, self.headlamp and self.headlamp.process):
            if process:
                process.end(signal.SIGKILL)
        if self.stack:
            self.stack.stop()
            self.stack.forget()

    def tails(self):
        processes = (self.kubering and self.kubering.process, self.fold, self.witness, self.load,
                     self.headlamp and self.headlamp.process, self.stack and self.stack.apiserver)
        return "\n".join(process.tail() for process in processes if isinstance(process, Process))
