"""Frames of a video at given times; the only module that knows decord.

PyAV reads, with one seek per call. On one core it is no slower than decord (32 frames at stride 2,
one keyframe in 250: 15 against 12 clips/s at 456x256, the same speed at 1920x1080), its pixels
are the same, and it is right where decord silently returns other frames: HEVC, edit lists, AVI.
decord is asked for one thing, a second count of the frames.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, NoReturn

from sumlctl.errors import SumlError

if TYPE_CHECKING:
    import numpy as np
    from av import VideoFrame, VideoStream
    from av.container import InputContainer

# Times that a container rounds to milliseconds may lie half of one after their frame's true time.
_ROUNDING_S = 0.0005 + 1e-6
# As many frames as H.264 may keep back to reorder.
_REORDERED = 16
_SEEKS_BACK_S = (0, 1, 4, 16, 64)


@dataclass(frozen=True)
class Frames:
    """Frames of one video.

    Args:
        pixels: uint8 [T, H, W, 3], RGB, upright.
        times_s: float64 [T], the frames' own timestamps, seconds since the first frame's.
        decoder: which decoder read them.
    """

    pixels: np.ndarray
    times_s: np.ndarray
    decoder: str


class Stamped(NamedTuple):
    """A frame and its timestamp in ticks of the stream's time base."""

    pts: int
    frame: VideoFrame


def read_frames(path: Path, times_s: Sequence[float], *, short_side: int | None = None) -> Frames:
    """The frames on screen at given times: for each, the last whose timestamp is not later.

    Args:
        path: a video file.
        times_s: seconds since the first frame's timestamp, ascending.
        short_side: largest short side in pixels; larger frames are scaled down while they are
            converted to RGB, by swscale's bilinear filter, which is as wide as the reduction and
            so does not alias.

    Raises:
        SumlError: the file cannot be opened, a time is not within it, or it fails midway.
        ValueError: `times_s` is empty or descends.
    """
    import av
    import numpy as np

    if not len(times_s) or any(b < a for a, b in pairwise(times_s)):
        raise ValueError("times_s must hold at least one time and may not descend")
    pixels: list[np.ndarray] = []
    stamps: list[float] = []
    try:
        with open_video(path) as (container, stream):
            for stamp, frame in _on_screen(path, container, stream, times_s):
                repeated = stamps and stamp == stamps[-1]
                pixels.append(pixels[-1] if repeated else _upright(frame, pixels, short_side))
                stamps.append(stamp)
    except av.FFmpegError as error:
        _refuse(path, "cannot be read", reason(error), "a whole video file")
    return Frames(np.stack(pixels), np.array(stamps, dtype=np.float64), "pyav")


@contextmanager
def open_video(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Opens a file and chooses its video stream: the largest, as decord does, cover art aside.

    Raises:
        SumlError: there is no video stream.
        av.FFmpegError: not a file that FFmpeg can open.
    """
    import av
    from av.stream import Disposition

    with av.open(str(path.absolute()), metadata_errors="replace") as container:
        streams = [
            s
            for s in container.streams.video
            if s.codec_context and not s.disposition & Disposition.attached_pic
        ]
        if not streams:
            _refuse(path, "no video stream", "none", "a video")
        stream = max(streams, key=lambda s: s.width * s.height)
        # Callers run many readers side by side; more threads each would only crowd the cores.
        stream.thread_count = 1
        yield container, stream


def stamped(container: InputContainer, stream: VideoStream) -> Iterator[Stamped]:
    """Decodes onward from where the container stands: frames in display order with their times.

    AVI holds no presentation times and FFmpeg hands its guesses to the wrong frames, so there
    the timestamps are put in order again.
    """
    import av

    held: list[VideoFrame] = []
    stamps: list[int] = []
    room = _REORDERED if container.format.name == "avi" else 0
    fault = None
    try:
        for frame in container.decode(stream):
            if frame.pts is None:
                continue
            held.append(frame)
            heapq.heappush(stamps, frame.pts)
            if len(held) > room:
                yield Stamped(heapq.heappop(stamps), held.pop(0))
    except av.FFmpegError as error:
        fault = error  # the frames before it are sound
    for frame in held:
        yield Stamped(heapq.heappop(stamps), frame)
    if fault:
        raise fault


def stamped_from(container: InputContainer, stream: VideoStream, pts: int) -> Iterator[Stamped]:
    """Seeks, then decodes onward from a frame at or before `pts`, in ticks of the time base.

    A seek may land late, on a keyframe whose leading frames need the one before, or on a frame
    that only the container calls a keyframe; then it is repeated from further back, and where
    that does not help, the file is read from its start.
    """
    import av

    assert stream.time_base is not None
    for seconds_back in _SEEKS_BACK_S:
        try:
            container.seek(pts - int(seconds_back / stream.time_base), stream=stream)
        except av.FFmpegError:
            break
        onward = stamped(container, stream)
        head = next(onward, None)
        if head is not None and head.pts <= pts and head.frame.key_frame:
            yield head
            yield from onward
            return
    with open_video(Path(container.name)) as (afresh, same_stream):
        yield from stamped(afresh, same_stream)


def frame_count_by_decord(path: Path) -> int:
    """How many frames decord says that a video has.

    Raises:
        ImportError: decord is not installed; there are no builds of it for arm64.
        Exception: decord refuses the file, with one of several types of its own.
    """
    import decord

    decord.logging.set_level(decord.logging.QUIET)
    return len(decord.VideoReader(str(path.absolute()), num_threads=1))


def reason(error: Exception) -> str:
    """An error of a decoder on one line, without the file's name."""
    text = getattr(error, "strerror", None) or str(error)
    return " ".join(f"{type(error).__name__}: {text}".split())


def _on_screen(
    path: Path, container: InputContainer, stream: VideoStream, times_s: Sequence[float]
) -> Iterator[tuple[float, VideoFrame]]:
    """For each time the frame on screen, with its own timestamp in seconds."""
    tick = stream.time_base
    head = next(stamped(container, stream), None)
    if head is None or tick is None:
        _refuse(path, "no frame decodes", "none", "a whole video file")
    first, rate = head.pts, stream.average_rate or 1 / tick
    if times_s[0] < -_ROUNDING_S:
        _refuse(path, "time before the first frame", f"{times_s[0]:g} s", "0 s or later")

    onward = stamped_from(container, stream, first + int(times_s[0] / tick))
    current, fault = _next(onward)
    if current is None:
        _refuse(path, f"cannot be read at {times_s[0]:g} s", fault, "a whole video file")
    following, fault = _next(onward)
    for time in times_s:
        while following and (following.pts - first) * tick <= time + _ROUNDING_S:
            current = following
            following, fault = _next(onward)
        lasts = current.frame.duration * tick or 1 / rate
        end = float((current.pts - first) * tick + lasts)
        if following is None and time >= end + _ROUNDING_S:
            _refuse(path, f"ends after {end:g} s", fault or f"time {time:g} s", "a time within it")
        yield float((current.pts - first) * tick), current.frame


def _next(frames: Iterator[Stamped]) -> tuple[Stamped | None, str | None]:
    """The next frame; where there is none, why, unless the file just ends."""
    import av

    try:
        return next(frames, None), None
    except av.FFmpegError as error:
        return None, reason(error)


def _upright(frame: VideoFrame, before: Sequence[np.ndarray], short_side: int | None) -> np.ndarray:
    """RGB pixels with the rotation applied that the frame carries, in the size of those before."""
    import numpy as np

    quarter_turns = round(frame.rotation / 90)
    scale = min(1.0, (short_side or math.inf) / min(frame.height, frame.width))
    height, width = round(frame.height * scale), round(frame.width * scale)
    if before:
        height, width = before[0].shape[:2][:: -1 if quarter_turns % 2 else 1]
    small = frame.reformat(width, height, "rgb24", interpolation="BILINEAR", threads=1)
    pixels = small.to_ndarray()
    return np.rot90(pixels, quarter_turns)


def _refuse(path: Path, what: str, got: object, expected: str) -> NoReturn:
    fix = "Replace the file or leave it out, then run `sumlctl index` again."
    raise SumlError(path, what, got=got, expected=expected, fix=fix)
