"""Views, and the canonical line of an object: what the server, kubering and the witness are compared by.

A line is NAMESPACE <tab> NAME <tab> UID <tab> RESOURCEVERSION <tab> SHA-256 of the object's canonical JSON: sorted keys, no
white space, UTF-8, without metadata.managedFields, with kind and apiVersion (the items of a LIST lack them). A number that is
no 64-bit integer counts digit by digit as the server sent it. ../witness/main.go writes the same in Go.
"""

import hashlib
import json
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class View:
    """One list to compare: a resource in all namespaces or one, with or without a label selector; of the daemon's only cluster,
    or of the one named."""

    name: str
    group: str
    version: str
    resource: str
    kind: str
    namespace: str = ""
    selector: str = ""
    cluster: str = ""

    @property
    def api_version(self):
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def path(self):
        root = f"/apis/{self.group}" if self.group else "/api"
        scope = f"/namespaces/{self.namespace}" if self.namespace else ""
        return f"{root}/{self.version}{scope}/{self.resource}"

    @property
    def spec(self):
        """As witness and fold take it on their command lines."""
        return "|".join([self.name, self.group, self.version, self.resource, self.kind, self.namespace, self.selector,
                         *([self.cluster] if self.cluster else [])])

    @property
    def cli(self):
        """The arguments of `kubering get` and `kubering watch`."""
        resource = f"{self.resource}.{self.version}.{self.group}" if self.group else self.resource
        scope = ["-n", self.namespace] if self.namespace else ["-A"]
        return [resource, *scope, *(["-l", self.selector] if self.selector else []),
                *(["--cluster", self.cluster] if self.cluster else [])]

    @classmethod
    def parse(cls, spec):
        return cls(*spec.split("|"))

    def of(self, cluster):
        """The same list of a cluster that the daemon calls so."""
        return replace(self, name=f"{cluster}:{self.name}", cluster=cluster)


def number(digits):
    """A whole number that Go keeps as such, in 64 bits; any other counts digit by digit."""
    value = None if set(digits) & set(".eE") else int(digits)
    return value if value is not None and -(1 << 63) <= value < 1 << 63 else "\0float:" + digits


def load(text):
    return json.loads(text, parse_float=number, parse_int=number)


def line(view, item):
    """Takes the object apart: it is not whole any more afterwards."""
    meta = item["metadata"]
    meta.pop("managedFields", None)
    item.setdefault("kind", view.kind)
    item.setdefault("apiVersion", view.api_version)
    text = json.dumps(item, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    return "\t".join([meta.get("namespace", ""), meta["name"], meta["uid"], meta["resourceVersion"], digest])


def lines(view, items):
    return sorted(line(view, item) for item in items)


def differences(want_name, want, got_name, got, most=6):
    """The first lines that only one of two dumps has, as text; empty if they are equal."""
    missing = sorted(set(want) - set(got))
    surplus = sorted(set(got) - set(want))
    text = [f"  only in {want_name}: {entry}" for entry in missing[:most]]
    text += [f"  only in {got_name}: {entry}" for entry in surplus[:most]]
    if missing or surplus or len(want) != len(got):
        text.append(f"  {want_name} has {len(want)} objects, {got_name} {len(got)};"
                    f" {len(missing)} lines only in the first, {len(surplus)} only in the second")
    return "\n".join(text)
