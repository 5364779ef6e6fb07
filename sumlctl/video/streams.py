"""The video stream of a file through PyAV: its packets, and its frames with their times."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import av
from av import Packet, VideoFrame, VideoStream
from av.container import InputContainer
from av.format import Flags
from av.stream import Disposition

from sumlctl.errors import SumlError
from sumlctl.video.edits import EditList, edit_list, misplaced

# Times that a container rounds to milliseconds may lie half of one after their frame's true time.
ROUNDING_S = 0.0005 + 1e-6
_MOST_BEFORE_KEYFRAME = 64 * 2**20  # bytes
_FLOAT_S = 1e-6  # more than floating point and FFmpeg's microseconds may lose
# Files that were joined byte by byte; a time then stands for several pictures.
CLOCK_RESTARTS = "its clock starts anew, as in files joined end to end; remux each part, then join"
EDITS_MISPLACED = "FFmpeg shows the parts of its edit list at other times; re-encode it"
ISO_MEDIA = "mov,mp4,m4a,3gp,3g2,mj2"
# As many frames as H.264 may keep back to reorder.
REORDERED = 16
# A seek may land late, on a keyframe whose leading frames need the one before; the next one then
# goes further back.
SEEKS_BACK_S = (0, 1, 4, 16, 64)


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
        self.tick = stream.time_base or Fraction(1)
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


class Span(NamedTuple):
    """When a frame is shown, in ticks of the time base."""

    pts: int
    duration: int


class Scan(NamedTuple):
    """What the packets of a video stream say, without decoding any.

    Args:
        container: FFmpeg's name of the format.
        codec: FFmpeg's name of the codec.
        clock: when they are shown.
        declared_rate: frames per second as the file declares them.
        expected: frames that the header claims and no edit list hides; a fragmented MP4's header
            counts those of the first fragment alone.
        shown: the frames from the first keyframe on, in order of time.
        early: number of frames before it, which refer to what is not in the file.
        hidden: number of frames that an edit list hides.
        last_keyframe: timestamp of it.
        closed: whether nothing is shown before the keyframe that it follows in the file.
        doubt: why a time does not stand for one picture, if so.
        fault: why the packets end early, if they do.
    """

    container: str
    codec: str
    clock: Clock
    declared_rate: Fraction
    expected: int
    shown: list[Span]
    early: int
    hidden: int
    last_keyframe: int
    closed: bool
    doubt: str | None
    fault: str | None


@contextmanager
def open_video(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    """As `open_stream`; the container is closed at the end."""
    container, stream = open_stream(path)
    with container:
        yield container, stream


def open_stream(
    path: Path, options: dict[str, str] | None = None
) -> tuple[InputContainer, VideoStream]:
    """Opens a file and chooses its video stream: the largest, as decord does, cover art aside.

    Raises:
        SumlError: there is no video stream.
        av.FFmpegError: not a file that FFmpeg can open.
    """
    container = av.open(str(path.absolute()), metadata_errors="replace", options=options)
    streams = [
        s
        for s in container.streams.video
        if s.codec_context and not s.disposition & Disposition.attached_pic
    ]
    if not streams:
        container.close()
        fix = "Replace the file or leave it out, then run `sumlctl index` again."
        raise SumlError(path, "no video stream", got="none", expected="a video", fix=fix)
    stream = max(streams, key=lambda s: s.width * s.height)
    # Callers run many readers side by side; more threads each would only crowd the cores.
    stream.thread_count = 1
    # What the decoder notices is an error; it would else go on with a picture of its own making.
    stream.codec_context.options = {"err_detect": "crccheck+bitstream+buffer+explode"}
    return container, stream


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
    assert stream.time_base is not None
    fault = None
    for seconds_back in SEEKS_BACK_S:
        try:
            container.seek(pts - int(seconds_back / stream.time_base), stream=stream)
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
    if fault and pts * stream.time_base > SEEKS_BACK_S[-1]:
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
    early, hidden, last_keyframe, closed, doubt, fault = 0, 0, 0, True, None, None
    last_dts, any_keyframe = -math.inf, False
    with open_video(path) as (container, stream):
        claimed = stream.frames
        declared_rate = stream.average_rate or 1 / (stream.time_base or Fraction(1))
        names = container.format.name, stream.codec_context.name
        try:
            for packet in container.demux(stream):
                if packet.pts is None:
                    continue
                if packet.dts is not None:
                    # The parts of an MP4's edit list go back for the keyframe that they need.
                    if packet.dts < last_dts and names[0] != ISO_MEDIA:
                        doubt = CLOCK_RESTARTS
                    last_dts = packet.dts
                if packet.is_keyframe:
                    if not any_keyframe:
                        early, closed, any_keyframe = len(shown), True, True
                        shown.clear()
                    last_keyframe = packet.pts
                closed = closed and packet.pts >= last_keyframe
                if packet.is_discard:  # cut off by an edit list
                    hidden += 1
                else:
                    shown.append(Span(packet.pts, packet.duration or 0))
        except av.FFmpegError as error:
            fault = reason(error)
        shown.sort()
        clock = Clock(container, stream, shown[0].pts if shown else 0)
        edits = edit_list_of(container, stream)
    count = early + len(shown)
    if edits and not edits.is_simple:
        claimed = 0  # a sample may be shown twice
        if not fault and misplaced(edits, _samples(path), [span.pts for span in shown]):
            doubt = EDITS_MISPLACED
    of_fragment = names[0] == ISO_MEDIA and claimed < count + hidden
    expected = count if not claimed or of_fragment else claimed - hidden
    return Scan(
        *names,
        clock,
        declared_rate,
        expected,
        shown,
        early,
        hidden,
        last_keyframe,
        closed,
        doubt,
        fault,
    )


def _samples(path: Path) -> list[Span]:
    """The frames of an MP4 or MOV as they are in the media, whatever its edit list shows."""
    container, stream = open_stream(path, {"ignore_editlist": "1"})
    with container:
        packets = container.demux(stream)
        return sorted(Span(p.pts, p.duration or 1) for p in packets if p.pts is not None)


def edit_list_of(container: InputContainer, stream: VideoStream) -> EditList | None:
    """The edit list of a stream of an MP4 or MOV."""
    is_iso = container.format.name == ISO_MEDIA
    return edit_list(Path(container.name), stream.id) if is_iso else None


def doubt(container: InputContainer, stream: VideoStream) -> str | None:
    """Why a time does not stand for one picture of an open file, if so.

    Transport and programme streams have no index: where files were joined byte by byte, a seek
    finds either part. So their packets are read first, once in a process.

    Raises:
        OSError: the file is not there.
    """
    may_restart = Flags.ts_discont in Flags(container.format.flags)
    edits = edit_list_of(container, stream)
    if not may_restart and (edits is None or edits.is_simple):
        return None
    path = Path(container.name)
    found = path.stat()
    return _doubt(path, found.st_size, found.st_mtime_ns)


@lru_cache(maxsize=4096)
def _doubt(path: Path, size: int, mtime_ns: int) -> str | None:
    return scan(path).doubt


def reason(error: Exception) -> str:
    """An error of a decoder on one line, without the file's name."""
    text = getattr(error, "strerror", None) or str(error)
    return " ".join(f"{type(error).__name__}: {text}".split())
