"""Windows of clips, and their decoding.

Decoding processes import this module: it imports nothing heavy.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import av  # noqa: F401, a new process is not up before it can decode
import numpy as np

from sumlctl.video.read import read_frames

if TYPE_CHECKING:
    from sumlctl.learning.clips import Clip


class Failure(NamedTuple):
    """A clip that could not be decoded.

    Args:
        clip_id: the clip.
        reason: why.
        file: its file, where that is in quarantine for it.
    """

    clip_id: str
    reason: str
    file: str = ""


class Window(NamedTuple):
    """Frames of a clip.

    Args:
        clip: the clip.
        times_s: ascending times inside it, seconds [T].
        short_side: largest short side in pixels; larger frames are scaled down.
        keep: whether the whole clip may be decoded and kept.
    """

    clip: Clip
    times_s: np.ndarray
    short_side: int
    keep: bool = False

    @property
    def file(self) -> str:
        return str(self.clip.path.absolute())


class Request(NamedTuple):
    """What a decoding process is asked for; without a decoder's name, the usual one reads."""

    path: Path
    times_s: np.ndarray
    short_side: int
    fps: float
    decoder: str | None = None


def decode(clip: Clip, times_s: np.ndarray, short_side: int) -> tuple[np.ndarray, np.ndarray]:
    """Frames of a clip, decoded in this process.

    Args:
        clip: the clip.
        times_s: ascending times inside it, seconds.
        short_side: largest short side in pixels; larger frames are scaled down.

    Returns:
        uint8 [T, H, W, 3], and the frames' own times [T].

    Raises:
        SumlError: the video cannot be decoded there.
    """
    return answer(Request(clip.path, times_s, short_side, clip.fps))


def answer(request: Request) -> tuple[np.ndarray, np.ndarray]:
    """What a decoding process gives back: as `decode`."""
    path, times_s, short_side, fps, decoder = request
    frames = read_frames(path, times_s.tolist(), short_side=short_side, fps=fps, decoder=decoder)
    return np.ascontiguousarray(frames.pixels), frames.times_s
