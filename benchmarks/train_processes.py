"""A whole training on generated videos: clips per second, data wait, memory; 1 and 2 processes.

Each process has one thread, so that the second one adds a core; gradients are averaged with gloo
on a CPU and NCCL on GPUs. Figures are those of the run's own log, without its first lines.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.common import report

_PREPARE = (
    "index demo-fpv demo-tpv",
    "embed demo-fpv demo-tpv --encoder all-MiniLM-L6-v2",
    "mine-pairs --fpv demo-fpv --tpv demo-tpv --assign spread",
)
_SETTINGS = ("stage_two.epochs=6", "encoders.tpv=same-init", "log.every=2")
_MORE = ("checkpoints.validate_every=0", "backbone.width=32")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        for words in _PREPARE:
            _run(folder, *words.split())
        rows = [
            _trained(folder, "decoded anew each time", 1, "cache_mb=0", "workers=0"),
            _trained(folder, "decoded ahead by 1 worker", 1, "cache_mb=0", "workers=1"),
            _trained(folder, "kept in memory", 1),
            _trained(folder, "kept in memory", 2),
        ]
    for row in rows:
        row["ratio"] = row["clips_per_s"] / rows[2]["clips_per_s"]
    report("train_processes", "training on generated videos, pairs per second", rows)


def _trained(folder: str, clips: str, devices: int, *settings: str) -> dict[str, Any]:
    run = f"run{devices}{len(list(Path(folder).glob('runs/*')))}"
    words = [w for s in (*_SETTINGS, *_MORE, *settings) for w in ("--set", s)]
    _run(folder, "train", "demo", "--run", run, "--devices", str(devices), *words)
    log = (Path(folder) / "runs" / run / "log.jsonl").read_text().splitlines()
    steps = [line for line in map(json.loads, log) if line["event"] == "steps"]
    warm = [line for line in steps if line["epoch"] > 0]
    return {
        "clips": clips,
        "processes": devices,
        "clips_per_s": statistics.median(line["clips_per_s"] for line in warm),
        "data_wait_share": statistics.median(line["data_wait_share"] for line in warm),
        "memory_mb": warm[-1]["memory_mb"],
    }


def _run(folder: str, *words: str) -> None:
    environment = os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-m", "sumlctl", *words, "--workspace", folder]
    subprocess.run(command, check=True, env=environment, capture_output=True)
