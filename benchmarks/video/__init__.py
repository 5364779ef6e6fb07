"""Windows of video at random places: ours, from the store and from the original, and the others'.

A window is 32 frames at stride 2 as `Clip.window` lays it, delivered as RGB [32, H, W, 3] with a
short side of at most 256 pixels. All get the same windows in turns, on one core, of so many files
that one is rarely open from before, as in training; seconds are those that the processor worked.
The videos: 60 s of 456x256 at 50 frames a second and 20 s of 1920x1080 at 60, generated, each under
500 names; and the real clips that are long enough, each in its own size.

* `limit`: bare H.264 decoding of those pictures that a window needs from the store.
* `decord`: `VideoReader(path, num_threads=1).get_batch(...)`, larger pictures scaled afterwards;
  and again with its options `width` and `height`.
* `PyAV`: one seek, then decoding onward to the last frame, scaled as it is turned to RGB.
* `torchcodec`: `VideoDecoder(path).get_frames_at(...)`, where it and FFmpeg's libraries load.
* `pytorchvideo`: `EncodedVideo.get_clip` and every second frame of it, left as floats.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.common import report
from benchmarks.video import films
from benchmarks.video.ways import LIMIT, bare, needed, ways
from sumlctl.learning.data.clips import Clip

_FRAMES, _STRIDE = 32, 2
_ROUNDS, _WINDOWS = 9, 6
_SMALL, _LARGE, _REAL = "456x256, 50 fps", "1920x1080, 60 fps", "real clips"


def main() -> None:
    torch.set_num_threads(1)
    cores = os.sched_getaffinity(0)
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = {
            _SMALL: [films.generated(folder / "small.mp4", 456, 256, 50, 60)],
            _LARGE: [films.generated(folder / "large.mp4", 1920, 1080, 60, 20)],
            _REAL: list(films.real()),
        }
        clips = {what: [films.stored(p, folder / "store") for p in paths[what]] for what in paths}
        for what in (_SMALL, _LARGE):
            clips[what] = list(films.renamed(clips[what][0], folder / "many"))
        os.sched_setaffinity(0, {max(cores)})
        for what, some in clips.items():
            rows += _side_by_side(what, some)
        os.sched_setaffinity(0, cores)
    report("video", "windows of 32 frames at stride 2", rows)


def _side_by_side(what: str, clips: Sequence[Clip]) -> list[dict[str, Any]]:
    """All ways in turns over the same windows; medians of the rounds."""
    sides = dict(ways(clips[0], clips[0].window(_FRAMES, _STRIDE, 0.5)))
    taken_s: dict[str, list[float]] = {name: [] for name in (LIMIT, *sides)}
    random = np.random.default_rng(0)
    for turn in range(_ROUNDS + 1):
        chosen = [clips[i] for i in random.integers(len(clips), size=_WINDOWS)]
        windows = [(clip, clip.window(_FRAMES, _STRIDE, random.random())) for clip in chosen]
        packets = [needed(clip, times_s) for clip, times_s in windows]
        for name, taken in taken_s.items():
            begin = time.process_time()
            if name == LIMIT:
                for some in packets:
                    bare(*some)
            else:
                for window in windows:
                    sides[name](*window)
            if turn:  # the first round warms up
                taken.append((time.process_time() - begin) / _WINDOWS)
    seconds = {name: statistics.median(taken) for name, taken in taken_s.items()}
    return [
        {
            "video": what,
            "how": name,
            "clips_per_s": 1 / taken,
            "to_decord": seconds["decord"] / taken if "decord" in seconds else None,
            "to_pytorchvideo": seconds["pytorchvideo"] / taken
            if "pytorchvideo" in seconds
            else None,
        }
        for name, taken in seconds.items()
    ]
