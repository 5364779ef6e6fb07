"""What the benchmarks share: timing, the machine's name, the table and the JSON file."""

from __future__ import annotations

import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sumlctl import console

RESULTS = Path(__file__).parent / "results"


def shared_data() -> Path:
    """The folder of real annotations and videos."""
    default = Path(__file__).parents[2] / "shared"
    return Path(os.environ.get("SUMLCTL_SHARED", default)) / "data"


def seconds(run: Callable[[], Any], repeats: int = 3) -> float:
    """Median wall time of `run`."""
    taken = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def hardware() -> str:
    """The processor, cores and GPU that the figures belong to."""
    import torch

    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.is_file():
        names = [x for x in info.read_text().splitlines() if x.startswith("model name")]
        cpu = names[0].split(":", 1)[1].strip() if names else cpu
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    return f"{cpu}, {os.cpu_count()} cores, {gpu}"


def report(name: str, title: str, rows: list[dict[str, Any]]) -> None:
    """Prints the rows and writes `results/<name>.json` with the hardware's name."""
    header = list(rows[0])
    console.show_table(title, header, [[row.get(key) for key in header] for row in rows])
    RESULTS.mkdir(exist_ok=True)
    result = {"title": title, "hardware": hardware(), "rows": rows}
    (RESULTS / f"{name}.json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
