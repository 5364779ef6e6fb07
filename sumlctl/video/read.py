"""Frames of a video at given times, and which decoder reads them.

PyAV reads first; `Frames.decoder` says which did. In clips per second on one core, handles kept
open, 32 frames at stride 2, random windows, PyAV as used here reads 31.3 where decord reads 16.0
(456x256 at 50 fps, one keyframe in 250), 2.35 to 1.42 (1080p60, scaled to 256), and 1.03 to 1.23
times as many from real clips; where each window opens its file, 1.14 to 1.98 times. It is also
right where decord returns other frames without a word, notices damage that decord paints over, and
takes 27 MB for an open 1080p file, where decord takes 100 to 600.

decord reads what PyAV fails at, but not what PyAV finds damaged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from sumlctl.errors import SumlError
from sumlctl.video.handles import Handles

if TYPE_CHECKING:
    import numpy as np

    from sumlctl.video.decoders import Decoder, Shown

DECODERS = ("pyav", "decord")
_HANDLES = Handles(most=32, most_bytes=256 * 2**20)


@dataclass(frozen=True)
class Frames:
    """Frames of one video.

    Args:
        pixels: uint8 [T, H, W, 3], RGB, upright.
        times_s: float64 [T], the frames' own timestamps, seconds since the file's own start.
        decoder: which decoder read them: `pyav`, `decord` or `jpeg`.
    """

    pixels: np.ndarray
    times_s: np.ndarray
    decoder: str


def read_frames(
    path: Path,
    times_s: Sequence[float],
    *,
    short_side: int | None = None,
    fps: float | None = None,
    decoder: str | None = None,
) -> Frames:
    """The frames on screen at given times: for each, the last whose timestamp is not later.

    Before the first frame of a file whose sound begins earlier, that frame is shown, as
    `ffmpeg -ss` shows it. The video stays open for the next request.

    Args:
        path: a video file, or a folder of JPEG files, one for each frame.
        times_s: seconds since the file's own start (FFmpeg's `start_time`, from which players
            count), ascending.
        short_side: largest short side in pixels; larger frames are scaled down while they are
            converted to RGB, by swscale's bilinear filter, which is as wide as the reduction and
            so does not alias.
        fps: rate of a folder's frames; a file has its own.
        decoder: the one of `pyav` and `decord` to read a file with; by default the second reads
            what the first cannot, unless that is because the file is damaged.

    Raises:
        SumlError: the file cannot be opened, a time is not within it, or it fails midway.
        ValueError: `times_s` is empty or descends.
    """
    from sumlctl.video.decoders import DecodeError
    from sumlctl.video.streams import ROUNDING_S

    if not len(times_s) or any(b < a for a, b in pairwise(times_s)):
        raise ValueError("times_s must hold at least one time and may not descend")
    faults: list[DecodeError] = []
    for name, open_it in _decoders(path, fps, decoder):
        try:
            with _HANDLES.borrow(path, (name, fps), open_it) as video:
                held_s = [max(t, video.start_s) if t >= -ROUNDING_S else t for t in times_s]
                shown = video.read(held_s, short_side)
                _check(path, held_s, shown)
        except DecodeError as fault:
            faults.append(fault)
            if fault.damaged:
                break
        else:
            return Frames(shown.pixels, shown.begins_s, name)
    raise faults[0]


def _decoders(
    path: Path, fps: float | None, wanted: str | None
) -> Iterator[tuple[str, Callable[[], Decoder]]]:
    """What can read a video, in the order in which it is tried."""
    if path.is_dir():
        from sumlctl.video.decoders.jpeg import JpegDecoder

        yield "jpeg", partial(JpegDecoder, path, fps)
        return
    if wanted not in (None, *DECODERS):
        raise ValueError(f"decoder is {wanted!r}; {' or '.join(DECODERS)} are there")
    if wanted in (None, "pyav"):
        from sumlctl.video.decoders.pyav import PyavDecoder

        yield "pyav", partial(PyavDecoder, path)
    if wanted in (None, "decord"):
        try:
            from sumlctl.video.decoders.decord import DecordDecoder
        except ImportError as error:
            if wanted is None:
                return
            raise SumlError(
                "decord",
                "decoder is not installed",
                got=str(error),
                expected="the package decord, which arm64 does not have",
                fix="Leave the choice of the decoder to sumlctl.",
            ) from error
        yield "decord", partial(DecordDecoder, path)


def _check(path: Path, times_s: Sequence[float], shown: Shown) -> None:
    """Refuses what is not, for each time, the frame that has begun and not ended."""
    import numpy as np

    from sumlctl.video.decoders import DecodeError
    from sumlctl.video.streams import ROUNDING_S

    times, slack = np.asarray(times_s), ROUNDING_S + 1e-9
    whole = len(shown.pixels) == len(shown.begins_s) == len(times)
    if not whole or (np.diff(shown.begins_s) < 0).any():
        raise DecodeError(path, "frames are missing or out of order", f"{len(shown.pixels)} frames")
    astray = (shown.begins_s > times + slack) | (shown.ends_s <= times - slack)
    if astray.any():
        first = int(astray.argmax())
        got = f"a frame from {shown.begins_s[first]:g} to {shown.ends_s[first]:g} s"
        raise DecodeError(path, f"wrong frame at {times[first]:g} s", got)
