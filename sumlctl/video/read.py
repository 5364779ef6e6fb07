"""Frames of a video at given times, and which decoder reads them.

PyAV reads first; `Frames.decoder` says which did. In clips per second on one core, handles kept
open, 32 frames at stride 2, random windows, PyAV as used here reads 31.3 where decord reads 16.0
(456x256 at 50 fps, one keyframe in 250), 2.35 to 1.42 (1080p60, scaled to 256), and 1.03 to 1.23
times as many from real clips; where each window opens its file, 1.14 to 1.98 times. It is also
right where decord returns other frames without a word, notices damage that decord paints over, and
takes 27 MB for an open 1080p file, where decord takes 100 to 600.

So the choice `auto` is PyAV, and decord for what PyAV fails at but does not find damaged. With the
choice `decord` all that decord is not trusted with is refused; `pyav` never asks decord.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from sumlctl.config.sections import DECODERS as CHOICES
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
        until_s: float64 [T], from when on the next frame is the one on screen.
    """

    pixels: np.ndarray
    times_s: np.ndarray
    decoder: str
    until_s: np.ndarray


def read_frames(
    path: Path,
    times_s: Sequence[float],
    *,
    short_side: int | None = None,
    fps: float | None = None,
    decoder: str = "auto",
    trusted: bool = False,
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
            so does not alias. Both decoders give the same pictures, see `upright.Upright`.
        fps: rate of a folder's frames; a file has its own.
        decoder: who reads a file, `auto`, `decord` or `pyav`; with `auto` decord reads what PyAV
            cannot, unless that is because the file is damaged.
        trusted: whether `index` found that decord reads the file rightly; else it is looked at
            when decord opens it.

    Raises:
        SumlError: the file cannot be opened, a time is not within it, or it fails midway.
        ValueError: `times_s` is empty or descends.
    """
    from sumlctl.video.decoders import DecodeError
    from sumlctl.video.streams import ROUNDING_S

    if not len(times_s) or any(b < a for a, b in pairwise(times_s)):
        raise ValueError("times_s must hold at least one time and may not descend")
    faults: list[DecodeError] = []
    for name, open_it in _decoders(path, fps, decoder, trusted):
        try:
            with _HANDLES.borrow(path, (name, fps, trusted), open_it) as video:
                held_s = [max(t, video.start_s) if t >= -ROUNDING_S else t for t in times_s]
                shown = video.read(held_s, short_side)
                _check(path, held_s, shown)
        except DecodeError as fault:
            faults.append(fault)
            if fault.damaged:
                break
        else:
            return Frames(shown.pixels, shown.begins_s, name, shown.until_s())
    raise faults[0]


def require(decoder: str) -> None:
    """Refuse the choice of a decoder that is not there.

    Raises:
        SumlError: decord is asked for and not installed.
        ValueError: there is no such choice.
    """
    if decoder not in CHOICES:
        raise ValueError(f"decoder is {decoder!r}; {', '.join(CHOICES)} are there")
    if decoder == "decord" and not find_spec("decord"):
        raise SumlError(
            "decoder",
            "decord is not installed",
            got="decord",
            expected="the package decord, which not every platform has",
            fix="Choose auto or pyav: --decoder, SUMLCTL_DECODER, or `decoder` of a pipeline.",
        )


def _decoders(
    path: Path, fps: float | None, wanted: str, trusted: bool
) -> Iterator[tuple[str, Callable[[], Decoder]]]:
    """What can read a video, in the order in which it is tried."""
    if path.is_dir():
        from sumlctl.video.decoders.jpeg import JpegDecoder

        yield "jpeg", partial(JpegDecoder, path, fps)
        return
    require(wanted)
    if wanted in ("auto", "pyav"):
        from sumlctl.video.decoders.pyav import PyavDecoder

        yield "pyav", partial(PyavDecoder, path)
    if wanted == "decord" or (wanted == "auto" and find_spec("decord")):
        from sumlctl.video.decoders.decord import DecordDecoder

        yield "decord", partial(DecordDecoder, path, trusted)


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
