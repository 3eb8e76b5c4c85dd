"""settings_example.py KUBERINGD: engine/main/kubering.yaml names every setting there is, and with its comment signs away it is a good configuration.
What it says of the defaults is held to the code by unit.config.settings."""
import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
EXAMPLE = (ROOT / "engine/main/kubering.yaml").read_text()
KUBECONFIG = """apiVersion: v1
kind: Config
current-context: prod-eu
clusters: [{name: c, cluster: {server: "https://127.0.0.1:1"}}]
users: [{name: u, user: {token: t}}]
contexts: [{name: prod-eu, context: {cluster: c, user: u}}, {name: edge-admin, context: {cluster: c, user: u}}]
"""


def settings():
    return {name for file in (ROOT / "engine/config").glob("settings*.c")
            for name in re.findall(r'\b(?:FIELDS_ROW|LIMIT)\(\s*"(\w+)"', file.read_text())}


def check(folder, text):
    file = folder / "kubering.yaml"
    file.write_text(text)
    done = subprocess.run([sys.argv[1], "--config", file, "--kubeconfig", folder / "edge.yaml", "--check"], capture_output=True, text=True)
    assert done.returncode == 0 and "warning" not in done.stderr, done.stderr


names = settings()
assert len(names) > 40 and {"socket", "retainedBytes", "backendTokenFile", "secretValues"} <= names, names
missing = {name for name in names if not re.search(rf"\b{name}: ", EXAMPLE) and not re.search(rf"(?m)^#\s*{name}:$", EXAMPLE)}
assert missing <= {"backendToken", "clusterToken"}, f"engine/main/kubering.yaml does not show {missing}"
assert all(f"or {name}:" in EXAMPLE for name in missing)  # at most one of each pair: they stand in a comment
with tempfile.TemporaryDirectory() as at:
    here = pathlib.Path(at)
    for name in ("edge.yaml", "hub.token", "clusters.token"):
        (here / name).write_text(KUBECONFIG)
        (here / name).chmod(0o600)
    check(here, EXAMPLE)
    whole = re.sub(r"(?m)^#( {2,}|[^ #])", r"\1", EXAMPLE).replace("/etc/kubering", at)
    without_authority = re.sub(r"(?m)^ +certificateAuthority: .*\n", "", whole)  # its file would have to be a certificate
    assert without_authority != whole
    check(here, without_authority)
print(f"{len(names)} settings: ok")
