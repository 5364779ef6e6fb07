"""Which stretches of a video are kept: those of its clips, or all of it, cut at even times."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import NamedTuple

# One file is long enough that windows rarely lie across two, short enough to open at once.
_LONGEST_MS = 30_000
_SHORTEST_MS = 1_000


class Span(NamedTuple):
    """A stretch of a video, in whole milliseconds since its first frame."""

    start_ms: int
    stop_ms: int

    @property
    def start_s(self) -> float:
        return self.start_ms / 1000

    @property
    def stop_s(self) -> float:
        return self.stop_ms / 1000


def around(
    clips: Iterable[tuple[float, float]], margin_s: float, duration_s: float
) -> Iterator[Span]:
    """The stretches that hold all clips of a video with a margin on both sides, each once.

    Args:
        clips: first and last instant of each, seconds.
        margin_s: seconds more before and after.
        duration_s: of the video.
    """
    merged: list[list[float]] = []
    for first_s, last_s in sorted(clips):
        start_s, stop_s = max(first_s - margin_s, 0.0), min(last_s + margin_s, duration_s)
        if merged and start_s <= merged[-1][1]:
            merged[-1][1] = max(merged[-1][1], stop_s)
        else:
            merged.append([start_s, stop_s])
    for start_s, stop_s in merged:
        yield from _cut(math.floor(start_s * 1000), math.ceil(stop_s * 1000))


def whole(duration_s: float) -> Iterator[Span]:
    """All of a video."""
    return _cut(0, math.ceil(duration_s * 1000))


def _cut(start_ms: int, stop_ms: int) -> Iterator[Span]:
    """Cuts at multiples of the longest stretch, so that other clips leave most of them the same."""
    every = range(_LONGEST_MS, stop_ms, _LONGEST_MS)
    inner = [at for at in every if start_ms + _SHORTEST_MS <= at <= stop_ms - _SHORTEST_MS]
    yield from (Span(a, b) for a, b in pairwise([start_ms, *inner, stop_ms]))
