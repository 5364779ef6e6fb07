"""What can read frames: PyAV, decord, and folders of JPEG files."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from sumlctl.errors import SumlError
from sumlctl.video.streams import ROUNDING_S

# Mean and largest difference of the 8-bit values of two decoders' versions of one picture. They
# agree to the last bit on what H.264 prescribes, and where the picture is turned into RGB; only
# for more than 8 bits do versions of swscale differ.
ALIKE, ALIKE_AT_MOST = 0.5, 4


class Shown(NamedTuple):
    """What is on screen at given times.

    Args:
        pixels: uint8 [T, H, W, 3], RGB, upright.
        begins_s: when each frame comes on screen [T], seconds since the file's own start.
        ends_s: when it goes [T].
        tick_s: one tick of the time base.
    """

    pixels: np.ndarray
    begins_s: np.ndarray
    ends_s: np.ndarray
    tick_s: float = 0.0

    def until_s(self) -> np.ndarray:
        """The time from which the next frame counts as on screen [T]."""
        lasting_s = self.ends_s - self.begins_s
        return np.asarray(self.ends_s - slack_s(lasting_s, self.tick_s))


class Decoder(Protocol):
    """An open video.

    Args:
        nbytes: memory that it takes while it is open, roughly.
        start_s: when the first frame comes on screen, seconds since the file's own start.
    """

    nbytes: int
    start_s: float

    def read(self, times_s: Sequence[float], short_side: int | None) -> Shown:
        """The frames on screen at ascending times, no larger than a short side in pixels.

        No time lies before `start_s`, unless it is negative.

        Raises:
            SumlError: a time is not within the video.
            DecodeError: the video cannot be read there.
        """

    def close(self) -> None:
        """Frees the file and the memory."""


class DecodeError(SumlError):
    """A video that a decoder cannot read.

    Args:
        path: the video.
        what: what is wrong there.
        got: what was found.
        damaged: whether the file is at fault; another decoder would paint over it.
    """

    def __init__(self, path: Path, what: str, got: object, *, damaged: bool = False) -> None:
        self.damaged = damaged
        fix = "Replace the file or leave it out, then run `sumlctl index` again."
        super().__init__(path, what, got=got, expected="a whole video file", fix=fix)


def refuse_outside(path: Path, times_s: Sequence[float], end_s: float) -> None:
    """Raises a SumlError where ascending times are not within a video."""
    early = times_s[0] < -ROUNDING_S
    if early or times_s[-1] >= end_s + ROUNDING_S:
        raise SumlError(
            path,
            "time before the first frame" if early else f"ends after {end_s:g} s",
            got=f"time {times_s[0 if early else -1]:g} s",
            expected="a time within it",
            fix="Run `sumlctl index` again.",
        )


def slack_s(gap_s: Any, tick_s: float) -> Any:
    """How much later than a time a frame may begin and count as on screen.

    Containers round to their ticks, Matroska to milliseconds, and remuxing passes that on. Where
    frames follow each other about as quickly, the same slack would show a later one instead.

    Args:
        gap_s: from the beginning of the frame before.
        tick_s: one tick of the time base.
    """
    spare = gap_s / 30
    if tick_s > ROUNDING_S:
        spare = np.maximum(spare, np.minimum(tick_s, gap_s - tick_s) / 2)
    return np.minimum(spare + 1e-6, ROUNDING_S)


def on_screen(begins_s: Any, times_s: Any, tick_s: float) -> np.ndarray:
    """Which frame is on screen at each time: the last that has begun.

    Args:
        begins_s: when each frame comes on screen [N].
        times_s: times, none before the first of these frames [T].
        tick_s: one tick of the time base.

    Returns:
        int [T].
    """
    gaps_s = np.diff(begins_s, prepend=-np.inf)
    return np.searchsorted(begins_s - slack_s(gaps_s, tick_s), times_s, side="right") - 1


def reduced(width: int, height: int, short_side: int | None) -> tuple[int, int]:
    """Width and height with the short side at most `short_side` pixels, the shape kept."""
    scale = min(1.0, (short_side or math.inf) / min(width, height))
    return round(width * scale), round(height * scale)


def difference(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """How far 8-bit values of one shape lie apart: int16 of that shape."""
    return np.abs(a.astype(np.int16) - b)


def alike(a: np.ndarray, b: np.ndarray) -> bool:
    """Return whether two uint8 arrays can be two decoders' versions of one picture."""
    if a.shape != b.shape:
        return False
    apart = difference(a, b)
    return bool(apart.mean() <= ALIKE and apart.max() <= ALIKE_AT_MOST)
