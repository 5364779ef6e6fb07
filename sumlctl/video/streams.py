"""The video stream of a file through PyAV: its packets, and its frames with their times."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from itertools import chain, islice
from pathlib import Path
from typing import NamedTuple

import av
from av import Packet, VideoFrame, VideoStream
from av.container import InputContainer
from av.stream import Disposition

from sumlctl.errors import SumlError
from sumlctl.video.av_versions import open_input, time_base

# Times that a container rounds to milliseconds may lie half of one after their frame's true time.
ROUNDING_S = 0.0005 + 1e-6
_MOST_BEFORE_KEYFRAME = 64 * 2**20  # bytes
_FLOAT_S = 1e-6  # more than floating point and FFmpeg's microseconds may lose
ISO_MEDIA = "mov,mp4,m4a,3gp,3g2,mj2"
# As many frames as H.264 may keep back to reorder.
REORDERED = 16
# A seek may land late, on a keyframe whose leading frames need the one before; the next one then
# goes further back.
SEEKS_BACK_S = (0, 1, 4, 16, 64)
# A stream with so many times fewer pictures than another one of the file holds thumbnails.
_FEWER_THAN_FILM = 10
# Packets from which that is read off where the header does not tell.
_LOOKED_AHEAD = 1_000


class DamagedFrame(av.InvalidDataError):
    """A frame of which the decoder had to make up a part."""


class Stamped(NamedTuple):
    """A frame and its timestamp in ticks of the stream's time base."""

    pts: int
    frame: VideoFrame


class Clock:
    """Timestamps of a file's video stream as seconds since the file's own start, and back.

    Time zero is the container's `start_time` as FFmpeg gives it, the earliest of audio and video:
    players and `ffmpeg -ss` count from there, and so do annotations.

    Args:
        container: the file.
        stream: its video stream.
        first: timestamp of the first picture, in ticks.

    Attributes:
        tick: seconds of one tick of the stream's time base.
        start_s: when the first picture comes on screen.
    """

    def __init__(self, container: InputContainer, stream: VideoStream, first: int) -> None:
        self.tick = time_base(stream) or Fraction(1)
        zero = first * self.tick
        if container.start_time is not None:
            start = Fraction(container.start_time, av.time_base)
            # AVI has no presentation times; of FFmpeg's guesses the first one is late.
            is_avi = container.format.name == "avi"
            picture = (stream.start_time or 0) * self.tick if is_avi else zero
            if abs(picture - start) * av.time_base >= 1:  # `start_time` is rounded
                zero += start - picture
        self._whole, part = divmod(zero / self.tick, 1)
        # Integers, since a request turns some hundred timestamps into seconds.
        self._scale, self._part = part.denominator, part.numerator
        self._times, self._over = self.tick.numerator, self.tick.denominator * part.denominator
        self.start_s = self.seconds(first)

    def seconds(self, pts: int) -> float:
        """The time of a timestamp."""
        return ((pts - self._whole) * self._scale - self._part) * self._times / self._over

    def pts(self, time_s: float) -> int:
        """The latest timestamp that is not after a time."""
        ticks = (time_s + _FLOAT_S) / self.tick
        return self._whole + math.floor(ticks + self._part / self._scale)


@contextmanager
def open_video(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    """As `open_stream`; the container is closed at the end."""
    container, stream = open_stream(path)
    with container:
        yield container, stream


def open_stream(
    path: Path, options: dict[str, str] | None = None
) -> tuple[InputContainer, VideoStream]:
    """Opens a file and chooses its video stream, see `_film`; `options` are of FFmpeg's demuxer.

    Raises:
        SumlError: there is no video stream.
        av.FFmpegError: not a file that FFmpeg can open.
    """
    container = open_input(path, options)
    stream = _film(path, container)
    if stream is None:
        container.close()
        fix = "Replace the file or leave it out, then run `sumlctl index` again."
        raise SumlError(path, "no video stream", got="none", expected="a video", fix=fix)
    # Callers run many readers side by side; more threads each would only crowd the cores.
    stream.thread_count = 1
    # What the decoder notices is an error; it would else go on with a picture of its own making.
    stream.codec_context.options = {"err_detect": "crccheck+bitstream+buffer+explode"}
    return container, stream


def films(container: InputContainer) -> list[VideoStream]:
    """The video streams that are no cover art."""
    streams = [s for s in container.streams.video if s.codec_context]
    return [s for s in streams if not s.disposition & Disposition.attached_pic]


def _film(path: Path, container: InputContainer) -> VideoStream | None:
    """Return the film among the video streams, None where there is no stream.

    Cover art is none. A still, or a stream of thumbnails, is one only where nothing else moves; of
    several films it is the one that is marked as default, then the largest, then the first.
    """
    candidates = films(container)
    if len(candidates) < 2:
        return candidates[0] if candidates else None
    pictures = {s.index: s.frames for s in candidates}
    if not all(pictures.values()):  # the header does not have them
        pictures = _count_ahead(path, pictures)
    most = max(pictures.values())

    def rank(stream: VideoStream) -> tuple[bool, bool, int]:
        n = pictures[stream.index]
        moves = n == most or (n > 1 and n * _FEWER_THAN_FILM >= most)
        moves = moves and not stream.disposition & (
            Disposition.still_image | Disposition.timed_thumbnails
        )
        default = bool(stream.disposition & Disposition.default)
        return moves, default, stream.width * stream.height

    return max(candidates, key=rank)


def _count_ahead(path: Path, streams: Iterable[int]) -> dict[int, int]:
    """Return how many of a file's first video packets belong to each of some streams."""
    counts = dict.fromkeys(streams, 0)
    with open_input(path) as container:
        packets = container.demux([s for s in container.streams.video if s.index in counts])
        try:
            for packet in islice(packets, _LOOKED_AHEAD):
                counts[packet.stream.index] += packet.size > 0
        except av.FFmpegError:
            pass  # what is cut short has said enough
    return counts


def stamped(container: InputContainer, stream: VideoStream) -> Iterator[Stamped]:
    """Decodes onward from where the container stands: frames in display order with their times.

    AVI holds no presentation times and FFmpeg hands its guesses to the wrong frames, so there
    the timestamps are put in order again.

    Raises:
        av.FFmpegError: the stream cannot be decoded further; what follows would be wrong.
    """
    held: list[VideoFrame] = []
    stamps: list[int] = []
    room = REORDERED if container.format.name == "avi" else 0
    fault = None
    try:
        for frame in _decoded(container, stream):
            if frame.is_corrupt:
                raise DamagedFrame(0, "a part of a frame is missing")
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


def _decoded(container: InputContainer, stream: VideoStream) -> Iterator[VideoFrame]:
    """Decodes onward from the next keyframe; from where it stands, if no packet is marked as one.

    What comes before refers to pictures that are not there. Some decoders refuse it, others make
    something up.
    """
    before: list[Packet] = []
    nbytes = 0
    packets = container.demux(stream)
    for packet in packets:
        if packet.is_keyframe:
            before.clear()
        before.append(packet)
        nbytes += packet.size
        if packet.is_keyframe or nbytes > _MOST_BEFORE_KEYFRAME:
            break
    for packet in chain(before, packets):
        yield from packet.decode()


def stamped_from(container: InputContainer, stream: VideoStream, pts: int) -> Iterator[Stamped]:
    """Seeks, then decodes onward from a frame at or before `pts`, in ticks of the time base.

    A seek may land late, or on a frame that only the container calls a keyframe; then it is
    repeated from further back, and where that does not help, the file is read from its start.

    Raises:
        av.FFmpegError: as `stamped`.
    """
    tick = time_base(stream)
    assert tick is not None
    fault = None
    for seconds_back in SEEKS_BACK_S:
        try:
            container.seek(pts - int(seconds_back / tick), stream=stream)
        except av.FFmpegError:
            break
        onward = stamped(container, stream)
        try:
            head = next(onward, None)
        except av.FFmpegError as error:  # it may need the frames before
            fault = error
            continue
        if head is not None and head.pts <= pts and head.frame.key_frame:
            yield head
            yield from onward
            return
    if fault and pts * tick > SEEKS_BACK_S[-1]:
        raise fault  # damage; all the file before it would tell no more
    with open_video(Path(container.name)) as (afresh, same_stream):
        yield from stamped(afresh, same_stream)


def reason(error: Exception) -> str:
    """An error of a decoder on one line, without the file's name."""
    text = getattr(error, "strerror", None) or str(error)
    return " ".join(f"{type(error).__name__}: {text}".split())
