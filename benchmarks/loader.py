"""The loader of training batches against torch's DataLoader over the same decoder; memory.

* `loader`: batches of 8 pairs of windows, 32 frames at stride 2 of two generated videos, 456x256 at
  50 frames a second, one keyframe in 250 frames (one in 12 as in the store, where said). The
  DataLoader stacks in its workers, as usual; ours lets no video stop it. The sides take turns.
* `loader_memory`: this process and its workers, while many windows of many files pass.
"""

from __future__ import annotations

import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from benchmarks.common import report
from benchmarks.views import write_video
from sumlctl.learning.batches import EpochBatches, Loader, Samples, Side
from sumlctl.learning.clips import Clip
from sumlctl.learning.reader import Reader
from sumlctl.learning.reading import decode

_PAIRS, _BATCH, _FRAMES, _STRIDE, _SHORT_SIDE = 64, 8, 32, 2, 256
_TURNS = 3
_WINDOWS, _FILES = 10_000, 500


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        rows = []
        for keyframes in (250, 12):
            path = Path(folder) / f"{keyframes}.mp4"
            write_video(path, keyframes=keyframes)
            rows += _throughput(path, keyframes)
        report("loader", "batches of pairs of windows, clips per second", rows)
        report("loader_memory", f"{_WINDOWS:,} windows of {_FILES} files", _memory(Path(folder)))


def _throughput(path: Path, keyframes: int) -> list[dict[str, Any]]:
    samples = _samples([path] * _PAIRS, _FRAMES, 4.0)
    taken: dict[tuple[str, int], list[float]] = {}
    for _ in range(_TURNS):
        for workers in (1, 2):
            theirs = DataLoader(
                _Decoded(samples),
                batch_sampler=EpochBatches(_PAIRS, _BATCH, 0),
                num_workers=workers,
                persistent_workers=True,
                pin_memory=torch.cuda.is_available(),
                worker_init_fn=lambda _: torch.set_num_threads(1),
            )
            taken.setdefault(("DataLoader", workers), []).append(_second_epoch(theirs))
            del theirs
            with Reader(workers, 120, 2048) as reader:
                ours = Loader(samples, EpochBatches(_PAIRS, _BATCH, 0), reader)
                taken.setdefault(("ours", workers), []).append(_second_epoch(ours))
    return [
        {
            "one keyframe in": keyframes,
            "loader": side,
            "workers": workers,
            "clips_per_s": 2 * _PAIRS / statistics.median(seconds),
            "ratio": statistics.median(taken["DataLoader", workers]) / statistics.median(seconds),
        }
        for (side, workers), seconds in taken.items()
    ]


def _second_epoch(batches: Iterable[Any]) -> float:
    """Seconds of an epoch whose workers are up."""
    for _ in range(2):
        start = time.perf_counter()
        for batch in batches:
            del batch
        seconds = time.perf_counter() - start
    return seconds


class _Decoded(Dataset[list[np.ndarray]]):
    """Windows of both sides of a pair, decoded one after the other."""

    def __init__(self, samples: Samples) -> None:
        self.samples = samples

    def __getitem__(self, key: tuple[int, int]) -> list[np.ndarray]:
        windows = self.samples.windows(*key).values()
        return [decode(window.clip, window.times_s, window.short_side)[0] for window in windows]


def _memory(folder: Path) -> list[dict[str, Any]]:
    """Memory of this process and of its workers after every tenth of the windows."""
    paths = [folder / f"copy{i}.mp4" for i in range(_FILES)]
    for path in paths:
        shutil.copyfile(folder / "12.mp4", path)
    samples = _samples(paths, 8, 0.3)
    batches, rows, seen = EpochBatches(_FILES, _BATCH, 0), [], 0
    with Reader(2, 120, 2048) as reader:
        while seen < _WINDOWS:
            for batch in Loader(samples, batches, reader):
                seen += 2 * len(batch["fpv"]["clips"])
                if seen * 10 // _WINDOWS > len(rows):
                    started = [p.read_text() for p in Path("/proc/self/task").glob("*/children")]
                    workers = [_resident_mb(int(pid)) for pid in " ".join(started).split()]
                    row = {"windows": seen, "this process": _resident_mb(os.getpid())}
                    rows.append(row | {"largest worker": max(workers)})
            batches.epoch += 1
    return rows


def _resident_mb(pid: int) -> float:
    """Without memory that is shared between processes."""
    _, resident, shared, *_ = Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()
    return (int(resident) - int(shared)) * os.sysconf("SC_PAGE_SIZE") / 1e6


def _samples(paths: list[Path], frames: int, length_s: float) -> Samples:
    starts = np.random.default_rng(0).uniform(0, 18 - length_s, (2, len(paths)))
    sides = {}
    for viewpoint, begins in zip(("fpv", "tpv"), starts, strict=True):
        clips = [
            Clip(f"d/{i}", path, begin, begin + length_s, 50.0)
            for i, (path, begin) in enumerate(zip(paths, begins.tolist(), strict=True))
        ]
        sides[viewpoint] = Side(clips, np.arange(len(clips)), {})
    return Samples(sides, {}, frames, _STRIDE, _SHORT_SIDE, seed=0)
