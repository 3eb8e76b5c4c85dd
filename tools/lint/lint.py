"""House rules that a machine can check: arrows between rooms, lengths, words, names of the world outside, what is cited, the top level.

lint.py            checks the repository, then proves on fixtures that each check can fail
lint.py --tree D   checks another tree (the fixtures are such trees)
"""
import os
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
LIMITS = {"function": 70, "file": 800, "header": 300, "line": 100, "name": 36, "parameters": 7}
TOP = {"engine", "bench", "tools", "tests", "CMakeLists.txt", "README.md", "CMakePresets.json", "LICENSE"}
# Files whose length is their content: one table, or the public contract.
LONG_HEADERS = {"engine/include/kubering.h", "engine/shm/layout.h"}


def rooms():
    """The table of rooms in engine/ARCHITECTURE.md: | `room/` | what it is | may include |; base goes without saying."""
    table = re.findall(r"^\| `(\w+)/` \|.*\|([^|]*)\|$", open(os.path.join(ROOT, "engine/ARCHITECTURE.md")).read(), re.M)
    return {room: set(re.findall(r"\w+", re.sub(r"\(.*?\)", "", rest))) | {room, "base"} for room, rest in table}


def tracked(tree):
    # safe.directory: a checkout may be another user's, as in containers
    out = subprocess.run(["git", "-c", "safe.directory=*", "-C", tree, "ls-files", "--cached", "--others", "--exclude-standard"],
                         capture_output=True, text=True)
    if out.returncode == 0 and out.stdout:
        return [f for f in out.stdout.split("\n") if f and os.path.isfile(os.path.join(tree, f))]
    walked = [os.path.relpath(os.path.join(d, f), tree) for d, _, fs in os.walk(tree) for f in fs]
    return [f for f in walked if not f.startswith(("build/", ".git/"))]  # no repository: sources that were unpacked


def check_top(tree, files):
    for name in sorted({f.split("/")[0] for f in files}):
        if not name.startswith(".") and name not in TOP:
            yield f"{name}: not allowed at the top level"


def check_arrows(tree, files):
    allowed = rooms()
    for f in files:
        m = re.match(r"engine/(\w+)/.*\.(c|h|cc)$", f)
        if not m or m.group(1) == "include":
            continue
        room = m.group(1)
        if room not in allowed:
            yield f"{f}: room '{room}' is not in the table of engine/ARCHITECTURE.md"
            continue
        for n, line in enumerate(open(os.path.join(tree, f)), 1):
            inc = re.match(r'\s*#\s*include\s+"([^"]+)"', line)
            if not inc:
                continue
            target = inc.group(1).split("/")[0] if "/" in inc.group(1) else None
            if inc.group(1) == "kubering.h":
                target = "include"
            if target is None:
                yield f"{f}:{n}: include \"{inc.group(1)}\" must be written \"room/file.h\""
            elif target not in allowed[room]:
                yield f"{f}:{n}: {room}/ may not include {target}/ (engine/ARCHITECTURE.md)"


def check_pure(tree, files):
    pure = {"wire", "json", "kube", "headlamp", "store"}
    banned = re.compile(r"#\s*include\s+<(unistd|sys/socket|sys/epoll|pthread|time|syslog|fcntl|liburing)\.h>")
    for f in files:
        m = re.match(r"engine/(\w+)/.*\.(c|h|cc)$", f)
        if m and m.group(1) in pure:
            for n, line in enumerate(open(os.path.join(tree, f)), 1):
                if banned.search(line):
                    yield f"{f}:{n}: a pure room may not include {line.strip()}"
        if m and (m.group(1) == "client" or re.search(r"shm/.*read\.", f)):
            for n, line in enumerate(open(os.path.join(tree, f)), 1):
                if re.search(r"\bCHECK(_SLOW)?\(|\babort\(|\bexit\(", line):
                    yield f"{f}:{n}: code inside other people's processes never ends them"


def functions(lines):
    """(first line, last line, name) of C functions: a body starts with '{' in column 1 and ends with '}' there."""
    start = None
    for n, line in enumerate(lines, 1):
        if line.rstrip() == "{" and start is None:
            start = n
        elif line.startswith("}") and start is not None:
            head = " ".join(lines[max(0, start - 5):start - 1])
            m = re.findall(r"([A-Za-z_]\w*)\s*\(", head)
            yield start, n, m[-1] if m else "?"
            start = None


def check_lengths(tree, files):
    for f in files:
        if not re.search(r"^(engine|tools|tests|bench)/.*\.(c|h|cc)$", f) or "/fixtures/" in f:
            continue
        lines = open(os.path.join(tree, f), errors="replace").read().split("\n")
        header = f.endswith(".h")
        limit = LIMITS["header"] if header else LIMITS["file"]
        if f.startswith("tests/"):
            limit = LIMITS["file"] * 2
        if len(lines) > limit and f not in LONG_HEADERS:
            yield f"{f}: {len(lines)} lines, over {limit}"
        for n, line in enumerate(lines, 1):
            width = len(line.replace("\t", " " * 8))
            if width > LIMITS["line"] + 20:
                yield f"{f}:{n}: line of {width} columns, over {LIMITS['line']}"
        for a, b, name in functions(lines):
            if b - a > LIMITS["function"]:
                yield f"{f}:{a}: function of {b - a} lines, over {LIMITS['function']}"


def check_words(tree, files):
    words = re.compile(r"\b(TODO|FIXME|XXX)\b")
    bad_files = re.compile(r"(^|/)(utils?|common|misc|helpers?)(\.[ch]|/)")
    for f in files:
        if "lint" in f:
            continue
        if bad_files.search(f):
            yield f"{f}: a name that says nothing"
        if re.search(r"\.(c|h|cc|py|sh|go|md)$", f):
            for n, line in enumerate(open(os.path.join(tree, f), errors="replace"), 1):
                if words.search(line):
                    yield f"{f}:{n}: an issue number or nothing, no {words.search(line).group(0)}"


def check_calls(tree, files):
    product = re.compile(r"\b(strcpy|strcat|sprintf|gets|atoi|atol|alloca|system|usleep|sleep|strtok)\s*\(")
    tests = re.compile(r"\b(gets|alloca|system|usleep|sleep)\s*\(")  # a test that sleeps is a defect
    paced = re.compile(r"\b(gets|alloca|system)\s*\(")  # a benchmark keeps a pace
    for f in files:
        banned = tests if f.startswith("tests/") else paced if f.startswith("bench/") else product
        if not re.search(r"^(engine|tools|tests|bench)/.*\.(c|h|cc)$", f) or "/fixtures/" in f:
            continue
        for n, line in enumerate(open(os.path.join(tree, f), errors="replace"), 1):
            code = re.sub(r'"(\\.|[^"\\])*"', '""', line.split("//")[0])
            if not code.lstrip().startswith("*") and not code.lstrip().startswith("/*") and banned.search(code):
                yield f"{f}:{n}: {banned.search(code).group(1)}() is not used here"
            if "__builtin_prefetch" in code and f != "engine/base/fetch.h":  # says why
                yield f"{f}:{n}: fetch() of base/fetch.h instead of __builtin_prefetch"


def check_world(tree, files):
    """Nothing in the repository names a path of one machine."""
    path = re.compile(r"/(work|root)/[a-z]")
    for f in files:
        if "lint" in f or not re.search(r"\.(c|h|cc|py|sh|go|md|txt|json|yaml|cmake)$|/(run|setup|demo)$", f):
            continue
        for n, line in enumerate(open(os.path.join(tree, f), errors="replace"), 1):
            if path.search(line):
                yield f"{f}:{n}: a path of one machine"


def check_cites(tree, files):
    """Who has the repository has all that it cites."""
    name = re.compile(r"([\w./-]*\w\.md)\b( \d)?")
    for f in files:
        if "lint" in f or not re.search(r"\.(c|h|cc|def|py|sh|go|mjs|rs|pml|md|txt|json|yaml|cmake)$|/(run|setup|demo)$", f):
            continue
        for n, line in enumerate(open(os.path.join(tree, f), errors="replace"), 1):
            for cited, section in name.findall(line):
                if section or not any(("/" + g).endswith("/" + cited.removeprefix("../")) for g in files):
                    yield f"{f}:{n}: {cited}{section} is not in the repository"  # none of its documents has numbered sections


CHECKS = {"top": check_top, "arrows": check_arrows, "pure": check_pure, "lengths": check_lengths,
          "words": check_words, "calls": check_calls, "world": check_world, "cites": check_cites}


def headers_alone(tree, files):
    """Each header of the engine compiles by itself."""
    for f in files:
        if re.match(r"engine/.*\.h$", f):
            out = subprocess.run(["gcc", "-std=gnu11", "-D_GNU_SOURCE", "-fsyntax-only", "-Iengine", "-x", "c", f],
                                 cwd=tree, capture_output=True, text=True)
            if out.returncode:
                yield f"{f}: does not compile alone: {out.stderr.splitlines()[0]}"


def main():
    if len(sys.argv) == 3 and sys.argv[1] == "--tree":
        tree = sys.argv[2]
        files = tracked(tree)
        found = [p for c in CHECKS.values() for p in c(tree, files)]
        print("\n".join(found))
        return 1 if found else 0
    tree = ROOT
    files = [f for f in tracked(tree) if not f.startswith("tools/lint/fixtures/")]
    failed = 0
    for name, check in list(CHECKS.items()) + [("headers", headers_alone)]:
        for problem in check(tree, files):
            print(f"lint {name}: {problem}")
            failed += 1
    for name in sorted(os.listdir(os.path.join(HERE, "fixtures"))):
        fixture = os.path.join(HERE, "fixtures", name)
        ffiles = [os.path.relpath(os.path.join(d, f), fixture) for d, _, fs in os.walk(fixture) for f in fs]
        if not list(CHECKS[name.split("-")[0]](fixture, ffiles)):
            print(f"lint: fixture {name} passed, but it must fail")
            failed += 1
    print(f"lint: {len(files)} files, {failed} problems")
    return 1 if failed else 0


sys.exit(main())
