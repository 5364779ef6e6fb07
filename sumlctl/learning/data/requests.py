"""Windows of clips, and their decoding.

Decoding processes import this module: it imports nothing heavy.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import av  # noqa: F401, a new process is not up before it can decode
import numpy as np

from sumlctl import console
from sumlctl.errors import SumlError
from sumlctl.video.clip_cache.stored import Segment, read_stored
from sumlctl.video.installation import with_fault_check
from sumlctl.video.read import Frames, read_frames
from sumlctl.video.streams import ROUNDING_S

if TYPE_CHECKING:
    from sumlctl.learning.data.clips import Clip

# A frame may count as on screen so long before its timestamp, see `decoders.slack_s`.
_SLACK_S = ROUNDING_S + 1e-6
_MOST_ROUNDS = 4


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
    """What a decoding process is asked for.

    Args:
        path: the video.
        times_s: ascending, seconds [T].
        short_side: as for a window.
        fps: the video's frames per second.
        stored: files of the store that hold all of it; none where the video itself is read.
        decoder: who is to read: `auto`, `decord` or `pyav`.
        trusted: whether decord is known to read it rightly.
        whole: whether no frame between the first and the last time may be left out.
    """

    path: Path
    times_s: np.ndarray
    short_side: int
    fps: float
    stored: tuple[Segment, ...] = ()
    decoder: str = "auto"
    trusted: bool = False
    whole: bool = False

    @classmethod
    def of(cls, clip: Clip, times_s: np.ndarray, short_side: int) -> Request:
        """Frames of a clip at given times."""
        who = clip.decoder, clip.trusted
        return cls(clip.path, times_s, short_side, clip.fps, clip.stored, *who)


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
    return answer(Request.of(clip, times_s, short_side))


@with_fault_check
def answer(request: Request) -> tuple[np.ndarray, np.ndarray]:
    """What a decoding process gives back: as `decode`; of whole clips, when each frame goes."""
    if request.whole:
        return _every_frame(request)
    frames = _read(request)
    return np.ascontiguousarray(frames.pixels), frames.times_s


def _every_frame(request: Request) -> tuple[np.ndarray, np.ndarray]:
    """All frames from the first to the last time, and from when on the next one is on screen.

    At a variable rate the mean one passes over frames, which are asked for then.
    """
    for _ in range(_MOST_ROUNDS):
        frames = _read(request)
        begins_s, until_s = frames.times_s, frames.until_s
        gaps_s = begins_s[1:] - until_s[:-1]
        missed = np.flatnonzero(gaps_s > _SLACK_S)
        if not len(missed):
            return np.ascontiguousarray(frames.pixels), until_s
        more = until_s[missed, None] + np.arange(4) / 4 * gaps_s[missed, None]
        times_s = np.sort(np.append(request.times_s, more))
        request = request._replace(times_s=times_s)
    raise SumlError(
        request.path,
        "its frames come in bursts, too many to keep the clip",
        got=f"more than {len(begins_s):,} from {begins_s[0]:g} to {begins_s[-1]:g} s",
        expected="frames at about the video's mean rate",
        fix="Its windows are read one by one.",
    )


def _read(request: Request) -> Frames:
    return _stored(request) or read_frames(
        request.path,
        request.times_s.tolist(),
        short_side=request.short_side,
        fps=request.fps,
        decoder=request.decoder,
        trusted=request.trusted,
    )


def _stored(request: Request) -> Frames | None:
    """Frames from the store; None where they are not there, or not sound."""
    if not request.stored:
        return None
    try:
        times_s = request.times_s.tolist()
        return read_stored(
            request.stored, times_s, short_side=request.short_side, decoder=request.decoder
        )
    except SumlError as error:
        _warn_once(f"{error} The video itself is read.")
        return None


@cache
def _warn_once(text: str) -> None:
    console.warn(text)
