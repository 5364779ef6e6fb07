"""Frames of stored video at given times: those of the original, from few decoded pictures.

A stored file consists of closed groups of nine pictures, `I b b b P b b b P`. Nothing refers to
a `b`, and nothing after a group to what is in it, so that the decoder (`decoders/pyav`) leaves most
of them out: a window of 32 frames at stride 2 takes about 44 decoded pictures of the 64 that it
spans, 8 frames at stride 8 about 24.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import groupby
from pathlib import Path

import numpy as np

from sumlctl.errors import SumlError
from sumlctl.video.read import Frames, read_frames


@dataclass(frozen=True)
class Segment:
    """A file of the store: the frames on screen from one instant of a video to another.

    Args:
        path: the file.
        start_s: first instant, seconds since the video's first frame.
        stop_s: last instant.
        first_tick: timestamp of its first frame, ticks since the video's first frame.
        last_tick: timestamp of its last frame.
        tick: seconds of one tick of the video's time base.
        offset_s: from the video's own start to its first frame, where sound begins earlier.
    """

    path: Path
    start_s: float
    stop_s: float
    first_tick: int
    last_tick: int
    tick: Fraction
    offset_s: float = 0.0

    def within(self, times_s: Sequence[float]) -> list[float]:
        """Instants of the video as seconds since the file's first frame, at most its last one.

        The video tells how long its last frame is on screen, and the file does not.
        """
        offset_s = float(self.first_tick * self.tick)
        last_s = float((self.last_tick - self.first_tick) * self.tick)
        return [min(max(time - offset_s, 0.0), last_s) for time in times_s]

    def stamps(self, times_s: np.ndarray) -> np.ndarray:
        """Timestamps of the file's frames as the video has them, to the last bit."""
        ticks = (self.first_tick + round(time / float(self.tick)) for time in times_s)
        return np.array([float(at * self.tick) for at in ticks])

    def until(self, found: Frames) -> np.ndarray:
        """From when on the next frame is shown; after the last one, when the file ends."""
        first_s, last_s = (float(at * self.tick) for at in (self.first_tick, self.last_tick))
        is_last = found.times_s > last_s - first_s - float(self.tick) / 2
        return np.where(is_last, self.stop_s, found.until_s + first_s)


def read_stored(
    segments: Sequence[Segment],
    times_s: Sequence[float],
    *,
    short_side: int | None = None,
    decoder: str = "auto",
) -> Frames:
    """The frames that `read_frames` finds on screen in the original, as the store has them.

    Args:
        segments: adjoining stretches of one video, in order.
        times_s: seconds since the video's own start, ascending, within the segments; before its
            first frame, that one is shown.
        short_side: as for `read_frames`.
        decoder: as for `read_frames`.

    Raises:
        SumlError: a file is missing or damaged, or a time lies outside.
        ValueError: `times_s` is empty or descends.
    """
    starts, offset_s = [segment.start_s for segment in segments], segments[0].offset_s
    times_s = [time - offset_s if time > offset_s else min(time, 0.0) for time in times_s]
    parts: list[Frames] = []
    for place, some in groupby(times_s, lambda time: max(bisect_right(starts, time) - 1, 0)):
        segment, times = segments[place], list(some)
        _refuse_outside(segment, times)
        found = read_frames(
            segment.path, segment.within(times), short_side=short_side, decoder=decoder
        )
        stamps = segment.stamps(found.times_s) + offset_s
        until_s = segment.until(found) + offset_s
        parts.append(Frames(found.pixels, stamps, found.decoder, until_s))
    if len(parts) == 1:
        return parts[0]
    pixels = np.concatenate([part.pixels for part in parts])
    stamps = np.concatenate([part.times_s for part in parts])
    until_s = np.concatenate([part.until_s for part in parts])
    return Frames(pixels, stamps, parts[0].decoder, until_s)


def _refuse_outside(segment: Segment, times_s: Sequence[float]) -> None:
    for time in (times_s[0], times_s[-1]):
        if not segment.start_s <= time <= segment.stop_s:
            raise SumlError(
                segment.path,
                "time outside the stored stretch",
                got=f"{time:g} s",
                expected=f"{segment.start_s:g} to {segment.stop_s:g} s of a video",
                fix="Delete it and run `sumlctl decode` again.",
            )
