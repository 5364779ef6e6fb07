"""CPU time and heavy imports of `sumlctl --help`."""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys

from benchmarks.common import report

HEAVY = ("torch", "decord", "faiss", "polars", "pyarrow", "numpy", "matplotlib")
COMMAND = (sys.executable, "-m", "sumlctl", "--help")


def main() -> None:
    taken = [_cpu_seconds(COMMAND) for _ in range(11)][1:]
    bare = [_cpu_seconds((sys.executable, "-c", "pass")) for _ in range(11)][1:]
    code = f"""
import sys
sys.argv = ["sumlctl", "--help"]
from sumlctl.cli.app import main
try:
    main()
except SystemExit:
    sys.stderr.write(" ".join(m for m in {HEAVY} if m in sys.modules) or "none")
"""
    run = (sys.executable, "-c", code)
    imported = subprocess.run(run, capture_output=True, text=True, check=True).stderr
    row = {
        "command": "sumlctl --help",
        "cpu_s": round(statistics.median(taken), 3),
        "bare_python_cpu_s": round(statistics.median(bare), 3),
        "heavy_imports": imported,
    }
    report("startup", "start-up, median of 10 runs", [row])


def _cpu_seconds(command: tuple[str, ...]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
