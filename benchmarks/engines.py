"""What a unit of work costs beside the work itself, on each engine: units that do nothing.

Every unit goes to another process, leaves its receipt, synced, and comes back; then all of them are
asked for again, which reads the receipts alone.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from benchmarks.common import report
from sumlctl.jobs.executors import ENGINES, Limits, executor
from sumlctl.jobs.units import Unit, Work, fingerprint

SIZES = (100, 1_000, 10_000)
_JOBS = 2


def nothing(number: int) -> int:
    return number


def main() -> None:
    rows = []
    for engine in ENGINES:
        begun = time.perf_counter()
        with executor(engine, _JOBS) as who:
            list(who.run(nothing, range(2 * _JOBS), Limits(60.0)))  # processes and imports
            start_s = time.perf_counter() - begun
            for size in SIZES:
                with tempfile.TemporaryDirectory() as folder:
                    units = [Unit(f"{i:06d}", i, fingerprint(i)) for i in range(size)]
                    fresh_s, again_s = (_seconds(folder, units, who) for _ in range(2))
                rows.append(
                    {
                        "engine": engine,
                        "start_s": round(start_s, 2),
                        "units": size,
                        "units_per_s": round(size / fresh_s),
                        "ms_per_unit": round(1000 * fresh_s / size, 2),
                        "receipts_per_s": round(size / again_s),
                    }
                )
    report("engines", f"units of work that do nothing, {_JOBS} processes", rows)


def _seconds(folder: str, units: list[Unit], who: object) -> float:
    begun = time.perf_counter()
    assert sum(1 for _ in Work(Path(folder)).do(nothing, units, who, Limits(60.0))) == len(units)
    return time.perf_counter() - begun
