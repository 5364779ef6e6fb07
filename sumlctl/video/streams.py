"""The video stream of a file through PyAV: its packets, and its frames with their times."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import av
from av import VideoFrame, VideoStream
from av.container import InputContainer
from av.stream import Disposition

from sumlctl.errors import SumlError
from sumlctl.video.av_versions import declared_rate, open_input, time_base

# Times that a container rounds to milliseconds may lie half of one after their frame's true time.
ROUNDING_S = 0.0005 + 1e-6
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


class Span(NamedTuple):
    """When a frame is shown, in ticks of the time base."""

    pts: int
    duration: int


class Scan(NamedTuple):
    """What the packets of a video stream say, without decoding any.

    Args:
        container: FFmpeg's name of the format.
        codec: FFmpeg's name of the codec.
        tick: seconds of one tick of the time base.
        declared_rate: frames per second as the file declares them.
        expected: frames that the header claims and no edit list hides.
        shown: the frames, in order of time.
        hidden: number of frames that an edit list hides.
        last_keyframe: timestamp of it.
        closed: whether nothing is shown before the keyframe that it follows in the file.
        fault: why the packets end early, if they do.
        profile: FFmpeg's name of the codec's profile.
    """

    container: str
    codec: str
    tick: Fraction
    declared_rate: Fraction
    expected: int
    shown: list[Span]
    hidden: int
    last_keyframe: int
    closed: bool
    fault: str | None
    profile: str | None = None


@contextmanager
def open_video(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    """As `open_stream`; the container is closed at the end."""
    container, stream = open_stream(path)
    with container:
        yield container, stream


def open_stream(path: Path) -> tuple[InputContainer, VideoStream]:
    """Opens a file and chooses its video stream, see `_film`.

    Raises:
        SumlError: there is no video stream.
        av.FFmpegError: not a file that FFmpeg can open.
    """
    container = open_input(path)
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


def _film(path: Path, container: InputContainer) -> VideoStream | None:
    """Return the film among the video streams, None where there is no stream.

    Cover art is none. A still, or a stream of thumbnails, is one only where nothing else moves; of
    several films it is the one that is marked as default, then the largest, then the first.
    """
    streams = [s for s in container.streams.video if s.codec_context]
    candidates = [s for s in streams if not s.disposition & Disposition.attached_pic]
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
        for frame in container.decode(stream):
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


def scan(path: Path) -> Scan:
    """Reads all packets of the stream, up to the first that cannot be read.

    Raises:
        SumlError: there is no video stream.
        av.FFmpegError: not a file that FFmpeg can open.
    """
    shown: list[Span] = []
    hidden, last_keyframe, closed, fault = 0, 0, True, None
    with open_video(path) as (container, stream):
        tick, claimed = time_base(stream) or Fraction(1), stream.frames
        rate = declared_rate(stream) or 1 / tick
        names = container.format.name, stream.codec_context.name
        profile = stream.codec_context.profile
        try:
            for packet in container.demux(stream):
                if packet.pts is None:
                    continue
                if packet.is_keyframe:
                    last_keyframe = packet.pts
                closed = closed and packet.pts >= last_keyframe
                if packet.is_discard:  # cut off by an edit list
                    hidden += 1
                else:
                    shown.append(Span(packet.pts, packet.duration or 0))
        except av.FFmpegError as error:
            fault = reason(error)
    expected = claimed - hidden if claimed else len(shown)
    shown.sort()
    return Scan(*names, tick, rate, expected, shown, hidden, last_keyframe, closed, fault, profile)


def reason(error: Exception) -> str:
    """An error of a decoder on one line, without the file's name."""
    text = getattr(error, "strerror", None) or str(error)
    return " ".join(f"{type(error).__name__}: {text}".split())
