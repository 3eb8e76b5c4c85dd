"""A Headlamp backend before real API servers: the model of it (fakekube), or the binary that $HEADLAMP_SERVER names.

Both know the same words: start, restart, take_away and give_back a context. The model can do worse: `say("headlamp mux silent")`.
"""

import http.client
import json
import os
import signal
import socket

from .process import Failed, Process, free_port, socket_path, wait_until

START_SECONDS = 30


class Backend:
    """One backend on a port of its own, which it keeps over restarts. contexts: name -> (port of an apiserver, user)."""

    name = "backend"

    def __init__(self, program, state, pki, contexts):
        self.program, self.state, self.pki, self.contexts = program, state / "headlamp", pki, contexts
        self.state.mkdir()
        self.port, self.process, self.away = free_port(), None, set()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def start(self):
        self.process = Process(self.name, self.command(), self.state / "log", env=self.environment())
        wait_until("the backend lists its contexts", lambda: self.process.check_running() and self.listed() is not None,
                   START_SECONDS)

    def restart(self):
        """As after a crash: every socket is reset, all state is lost."""
        self.process.end(signal.SIGKILL)
        self.start()

    def environment(self):
        return None

    def listed(self):
        """The names in its /config, or None while it does not answer."""
        link = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            link.request("GET", "/config")
            answer = link.getresponse()
            return {row["name"] for row in json.loads(answer.read())["clusters"] or []} if answer.status == 200 else None
        except (OSError, http.client.HTTPException):
            return None
        finally:
            link.close()

    def take_away(self, name):
        """The context is gone; what runs through it goes on (BM-18), what is asked anew does not find it."""
        self.set_away(self.away | {name})

    def give_back(self, name):
        self.set_away(self.away - {name})

    def set_away(self, away):
        self.away = away
        wait_until(lambda: f"the backend serves all but {away}: {self.listed()}",
                   lambda: self.listed() == set(self.contexts) - away, START_SECONDS)


class Model(Backend):
    name = "fakekube"

    def __init__(self, *parts):
        super().__init__(*parts)
        self.control = socket_path("control")

    def command(self):
        ways = [f"{name}=127.0.0.1:{port},{self.pki}/ca.crt,{self.pki}/{user}.crt,{self.pki}/{user}.key"
                for name, (port, user) in self.contexts.items()]
        return [self.program, "--headlamp", self.port, "--kubeconfig-out", self.state / "unused", "--control",
                self.control, "--objects", 0, "--quiet", *(word for way in ways for word in ("--upstream", way))]

    def start(self):
        super().start()
        for name in self.away:
            self.say(f"headlamp context {name} invalid")

    def say(self, command):
        with socket.socket(socket.AF_UNIX) as link:
            link.settimeout(START_SECONDS)
            link.connect(str(self.control))
            link.sendall(f"{command}\n".encode())
            answer = link.makefile().readline().rstrip("\n")
        if not answer.startswith("ok"):
            raise Failed(f"fakekube: {command}: {answer}")
        return dict(word.split("=", 1) for word in answer.split()[1:] if "=" in word)

    def set_away(self, away):
        for name in away ^ self.away:
            self.say(f"headlamp context {name} {'invalid' if name in away else 'ok'}")
        super().set_away(away)


class Real(Backend):
    """With an empty folder for everything that it would read from the home of its user; it looks at its kubeconfig by itself."""

    name = "headlamp-server"

    def command(self):
        self.write()
        for folder in ("kubeconfigs", "plugins", "user-plugins", "home"):
            (self.state / folder).mkdir(exist_ok=True)
        return [self.program, "-kubeconfig", self.kubeconfig, "-listen-addr", "127.0.0.1", "-port", self.port, "-kubeconfig-dir",
                self.state / "kubeconfigs", "-plugins-dir", self.state / "plugins", "-user-plugins-dir",
                self.state / "user-plugins"]

    def environment(self):
        mine = {key: value for key, value in os.environ.items() if not key.startswith("HEADLAMP_") and key != "KUBECONFIG"}
        return mine | {"HOME": str(self.state / "home")}

    @property
    def kubeconfig(self):
        return self.state / "kubeconfig"

    def write(self):
        contexts = {name: context for name, context in self.contexts.items() if name not in self.away}
        file = self.state / "kubeconfig.new"
        file.write_text(json.dumps({
            "apiVersion": "v1", "kind": "Config", "current-context": next(iter(contexts)),
            "clusters": [{"name": name, "cluster": {"server": f"https://127.0.0.1:{port}",
                                                    "certificate-authority": str(self.pki / "ca.crt")}}
                         for name, (port, _) in contexts.items()],
            "users": [{"name": name, "user": {"client-certificate": f"{self.pki}/{user}.crt",
                                              "client-key": f"{self.pki}/{user}.key"}}
                      for name, (_, user) in contexts.items()],
            "contexts": [{"name": name, "context": {"cluster": name, "user": name}} for name in contexts]}, indent=1))
        file.rename(self.kubeconfig)

    def set_away(self, away):
        self.away = away
        self.write()
        super().set_away(away)


def backend(server, fakekube, state, pki, contexts):
    """server: path of the real backend's binary; None: the model."""
    return Real(server, state, pki, contexts) if server else Model(fakekube, state, pki, contexts)
