"""How long `sumlctl run` takes to see that there is nothing to do, in the workspace of the demo."""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.common import report

SUMLCTL = (sys.executable, "-m", "sumlctl")
SHORT = ("--set", "stage_one.epochs=1", "--set", "stage_two.epochs=1")


def main() -> None:
    with tempfile.TemporaryDirectory() as root:
        where = ("--workspace", root)
        run = (*SUMLCTL, "run", "demo", *SHORT, *where)
        subprocess.run(run, check=True, stdout=subprocess.DEVNULL)
        finished = subprocess.run(run, check=True, capture_output=True, text=True).stdout
        if "nothing to do" not in finished:
            raise SystemExit(f"not up to date:\n{finished}")
        size = sum(path.stat().st_size for path in Path(root).rglob("*") if path.is_file())
        rows = [
            {"command": f"run demo, up to date ({size / 1e6:.0f} MB)", **_measured(run)},
            {"command": "pipelines", **_measured((*SUMLCTL, "pipelines", *where))},
            {"command": "--help", **_measured((*SUMLCTL, "--help"))},
        ]
    report("run", "seconds of a whole process, median of 10", rows)


def _measured(command: tuple[str, ...]) -> dict[str, Any]:
    wall, cpu = [], []
    for _ in range(11):
        before, start = _children(), time.perf_counter()
        subprocess.run(command, check=True, capture_output=True, env=_environment())
        wall.append(time.perf_counter() - start)
        cpu.append(_children() - before)
    return {
        "wall_s": round(statistics.median(wall[1:]), 3),
        "cpu_s": round(statistics.median(cpu[1:]), 3),
    }


def _environment() -> dict[str, str]:
    """Python keeps what it has compiled, as it does for an installed program."""
    kept = {"PYTHONPYCACHEPREFIX": str(Path(tempfile.gettempdir()) / "sumlctl-benchmark")}
    return {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"} | kept


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
