"""Annotations to tables at scale: rows a second and peak memory, without any video.

The clips are made up: a thousand videos, narrations of which every fifth is new.
"""

from __future__ import annotations

import csv
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.common import report

SIZES = (1_000, 10_000, 100_000, 1_000_000)
_PER_NARRATION, _VIDEOS = 5, 1_000
_MEASURED = """
import resource, sys
from sumlctl.cli.app import app
app(sys.argv[1:], standalone_mode=False)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""
_CARD = """
title = "Made-up clips"
homepage = "none"
licence = "none"
citation = "none"
viewpoints = ["fpv"]
[reader]
name = "tabular"
files = { train = "train.csv" }
[reader.columns]
clip_id = "id"
video_id = "video"
start_s = "from"
stop_s = "to"
narration = "said"
[videos]
paths = ["{video_id}.mp4"]
"""


def main() -> None:
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for size in SIZES:
            seconds, peak_mb = _index(Path(folder), size)
            rows.append(
                {
                    "clips": size,
                    "seconds": round(seconds, 2),
                    "rows_per_s": round(size / seconds),
                    "peak_mb": round(peak_mb),
                }
            )
    report("index", "sumlctl index of made-up annotations, its start included", rows)


def _index(folder: Path, size: int) -> tuple[float, float]:
    """Seconds and the peak memory of one `sumlctl index`, in MiB."""
    workspace = folder / str(size)
    annotations = workspace / "data/big/annotations"
    annotations.mkdir(parents=True)
    (workspace / "manifests").mkdir()
    (workspace / "manifests/big.toml").write_text(_CARD, encoding="utf-8")
    with (annotations / "train.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "video", "from", "to", "said"])
        for i in range(size):
            video, start_s = i % _VIDEOS, i // _VIDEOS
            said = f"put the cup number {i // _PER_NARRATION} on the shelf"
            writer.writerow([f"c{i}", f"v{video}", start_s, start_s + 2.5, said])
    begun = time.perf_counter()
    words = ["index", "big", "--workspace", str(workspace)]
    told = subprocess.run(
        [sys.executable, "-c", _MEASURED, *words], check=True, capture_output=True, text=True
    )
    seconds = time.perf_counter() - begun
    return seconds, int(told.stdout.split()[-1]) / 1024
