"""bench_micro_wake: where many messages are under way, each has its own age."""
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "bench"))
from figures import Histogram  # noqa: E402


for gap_us, count in ((2000, 100), (1, 20000)):
    text = subprocess.run([sys.argv[1], "-g", str(gap_us), "-n", str(count)], capture_output=True, text=True, check=True).stdout
    found = Histogram.read(text)
    assert set(found) == {"eventfd", "chain"}, text
    for name, h in found.items():
        assert h.count == count - count // 10, f"{name}: {h.count} of {count}"
        assert h.max < 60 * 10**9, f"{name}: {h.max} ns: it came before it was sent"
print("bench wake: ok")
