"""Every test that tests/headlamp.md names exists and runs, and no id of Headlamp's scenarios and defects is missing there."""
import pathlib
import re
import sys

TESTS = pathlib.Path(__file__).parent
COUNTS = {"C": 20, "L": 5, "A": 7, "U": 2, "H": 17, "S": 7, "B": 15, "R": 8, "KL-": 7, "LS-": 1, "SO-": 5, "BM-": 20, "FM-": 10,
          "LG-": 12, "V1-": 7, "HC-": 9}
IDS = {f"{name}{i}" for name, count in COUNTS.items() for i in range(1, count + 1)}
OURS = {"A-" + name for name in ("equal", "lower", "error", "bookmark", "2^53", "opaque", "again", "bare")}


def is_there(place, function):
    room, module = place.split("/")
    if room == "integration":
        text = (TESTS / room / "scenarios" / f"{module}.py").read_text()
        return f"\ndef {function}(" in text and f": {function}" in text
    file = TESTS / "unit" / room / f"{module}_test.c"
    text = file.read_text() if file.exists() else ""
    defined = re.search(rf"^static void {function}\(void \*\*", text, re.M)
    return bool(defined) and len(re.findall(rf"\b{function}\b", text)) > 1


def main():
    problems, seen = [], set()
    for number, line in enumerate((TESTS / "headlamp.md").read_text().splitlines(), 1):
        row = re.match(r"\| (\S+) \| (.+?) \| (.*)\|$", line)
        if not row or row[1] in ("id", "---"):
            continue
        name, demand, tests = row[1], row[2], re.findall(r"`([^`]+)`", row[3])
        if name in seen:
            problems.append(f"line {number}: {name} is there twice")
        seen.add(name)
        if not tests and not demand.startswith(("browser only: ", "backend only: ")):
            problems.append(f"line {number}: {name} has neither a test nor a reason")
        for test in tests:
            at = re.fullmatch(r"(\w+/\w+): (\w+)", test)
            if not at or not is_there(at[1], at[2]):
                problems.append(f"line {number}: there is no test \"{test}\"")
    problems += [f"{name} is missing" for name in sorted((IDS | OURS) - seen)]
    problems += [f"{name} is no id" for name in sorted(seen - IDS - OURS)]
    print("\n".join(problems) or f"{len(seen)} ids")
    return bool(problems)


sys.exit(main())
