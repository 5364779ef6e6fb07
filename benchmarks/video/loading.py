"""The training's loader, and what a reader holds on to."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.video.ways import SHORT_SIDE
from sumlctl.learning.batches import EpochBatches, Samples, Side, loader
from sumlctl.learning.clips import Clip
from sumlctl.learning.reading import ClipReader, decode

_SAMPLES, _BATCH = 96, 8
_READS, _SETTLED = 10_000, 1_000


def throughput(video: str, clip: Clip, frames: int, stride: int) -> list[dict[str, Any]]:
    """Clips per second of a loader's second epoch, whose workers are there already."""
    rows = []
    for source, one in (("store", clip), ("original", replace(clip, stored=()))):
        for workers in (1, 2):
            side = Side([one], np.zeros(_SAMPLES, dtype=int), {})
            samples = Samples({"fpv": side}, {}, ClipReader(SHORT_SIDE, 0), frames, stride, seed=0)
            batches = EpochBatches(_SAMPLES, _BATCH, seed=0)
            reading = loader(samples, batches, workers)
            for epoch in range(2):
                batches.epoch, begin = epoch, time.perf_counter()
                count = sum(len(batch["fpv"]["clips"]) for batch in reading)
            how = f"loader, {workers} worker{'s' if workers > 1 else ''}, from the {source}"
            rows.append(_row(video, how, clips_per_s=count / (time.perf_counter() - begin)))
    return rows


def memory(video: str, clips: Sequence[Clip]) -> list[dict[str, Any]]:
    """Megabytes that a reader grows by, window after window."""
    random = np.random.default_rng(0)
    for read in range(_READS):
        one = clips[random.integers(len(clips))]
        decode(one, one.window(4, 2, random.random()), SHORT_SIDE)
        if read == _SETTLED:
            before = _resident_mb()
    how = f"reader, windows {_SETTLED:,} to {_READS:,} of {len(clips)} videos, from the store"
    return [_row(video, how, grown_mb=_resident_mb() - before)]


def _resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def _row(video: str, how: str, **values: float) -> dict[str, Any]:
    columns = ("clips_per_s", "to_decord", "to_pytorchvideo", "cpu_ms", "grown_mb")
    return {"video": video, "how": how} | dict.fromkeys(columns) | values
