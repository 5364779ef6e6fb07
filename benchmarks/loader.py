"""The loader of training batches against torch's DataLoader over the same decoder; memory.

* `loader`: batches of 8 pairs of windows, 32 frames at stride 2 of a generated video, 456x256 at 50
  frames a second, one keyframe in 250 frames, and of its store. The DataLoader stacks in its
  workers, as usual; ours lets no video stop it. The sides take turns.
* `loader_memory`: this process and its workers, while many windows of many files pass.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from benchmarks.common import report
from benchmarks.video import films
from sumlctl.learning.data.batches import EpochBatches, Loader, Samples, SampleView
from sumlctl.learning.data.clips import Clip
from sumlctl.learning.data.reader import Reader
from sumlctl.learning.data.requests import decode

_PAIRS, _BATCH, _FRAMES, _STRIDE, _SHORT_SIDE = 64, 8, 32, 2, 256
_TURNS = 3
_WINDOWS, _SECONDS = 10_000, 20


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = films.generated(Path(folder) / "video.mp4", 456, 256, 50, _SECONDS)
        video = films.stored(path, Path(folder) / "store")
        rows = _throughput(replace(video, stored=()), "original") + _throughput(video, "store")
        report("loader", "batches of pairs of windows, clips per second", rows)
        many = list(films.renamed(video, Path(folder) / "many"))
        report("loader_memory", f"{_WINDOWS:,} windows of {len(many)} files", _memory(many))


def _throughput(video: Clip, source: str) -> list[dict[str, Any]]:
    samples = _samples([video] * _PAIRS, _FRAMES, 4.0)
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
            "read from": source,
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


def _memory(videos: Sequence[Clip]) -> list[dict[str, Any]]:
    """Memory of this process and of its workers after every tenth of the windows."""
    samples = _samples(videos, 8, 0.3)
    batches, rows, seen = EpochBatches(len(videos), _BATCH, 0), [], 0
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


def _samples(videos: Sequence[Clip], frames: int, length_s: float) -> Samples:
    starts = np.random.default_rng(0).uniform(0, _SECONDS - length_s, (2, len(videos)))
    sides = {}
    for viewpoint, begins in zip(("fpv", "tpv"), starts, strict=True):
        clips = [
            replace(video, clip_id=f"d/{i}", start_s=begin, stop_s=begin + length_s)
            for i, (video, begin) in enumerate(zip(videos, begins.tolist(), strict=True))
        ]
        sides[viewpoint] = SampleView(clips, np.arange(len(clips)), {})
    return Samples(sides, {}, frames, _STRIDE, _SHORT_SIDE, seed=0)
