"""bench_micro_wake: a message that waits behind others is not faster than one that has the way to itself."""
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "bench"))
from figures import Histogram  # noqa: E402


def wakes(gap_us, count):
    text = subprocess.run([sys.argv[1], "-g", str(gap_us), "-n", str(count)], capture_output=True, text=True, check=True).stdout
    found = Histogram.read(text)
    assert set(found) == {"eventfd", "chain"} and all(h.count == count - count // 10 for h in found.values()), text
    return found


alone, crowd = wakes(2000, 200), wakes(1, 5000)
for name, h in crowd.items():
    assert h.max < 60 * 10**9, f"{name}: {h.max} ns"
    assert h.percentile(50) >= alone[name].percentile(1), f"{name}: half of a crowd took {h.percentile(50)} ns, alone {alone[name].percentile(1)} at least"
print("bench wake: ok")
