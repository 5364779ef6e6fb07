"""Frames of stored video at given times: those of the original, from few decoded pictures.

A stored file consists of closed groups of nine pictures, `I b b b P b b b P`. Nothing refers to
a `b`, so one that is not wanted is not decoded; nor is what follows the last wanted picture of its
group, nor a group without one. A window of 32 frames at stride 2 takes about 44 decoded pictures
of the 64 that it spans, 8 frames at stride 8 about 24.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import groupby, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, NoReturn

from sumlctl.errors import SumlError
from sumlctl.video.read import _ROUNDING_S, Frames, reason

if TYPE_CHECKING:
    import numpy as np
    from av import Packet, VideoCodecContext, VideoFrame, VideoStream
    from av.container import InputContainer
    from av.video.reformatter import VideoReformatter


@dataclass(frozen=True)
class Segment:
    """A file of the store: the frames on screen from one instant of a video to another.

    Args:
        path: the file.
        start_s: first instant, seconds since the video's first frame.
        stop_s: last instant.
        first_tick: timestamp of its first frame, ticks since the video's first frame.
        tick: seconds of one tick of the video's time base.
    """

    path: Path
    start_s: float
    stop_s: float
    first_tick: int
    tick: Fraction


class Shown(NamedTuple):
    """A frame and when it comes on screen, seconds since the video's first frame."""

    time_s: float
    frame: VideoFrame


def read_stored(
    segments: Sequence[Segment], times_s: Sequence[float], *, short_side: int | None = None
) -> Frames:
    """The frames that `read_frames` finds on screen in the original, as the store has them.

    Args:
        segments: adjoining stretches of one video, in order.
        times_s: seconds since the video's first frame, ascending, within the segments.
        short_side: as for `read_frames`.

    Raises:
        SumlError: a file is missing or damaged, or a time lies outside.
        ValueError: `times_s` is empty or descends.
    """
    import numpy as np
    from av.video.reformatter import VideoReformatter

    if not len(times_s) or any(b < a for a, b in pairwise(times_s)):
        raise ValueError("times_s must hold at least one time and may not descend")
    starts = [segment.start_s for segment in segments]
    reformatter = VideoReformatter()
    pixels: list[np.ndarray] = []
    stamps: list[float] = []
    for place, times in groupby(times_s, lambda time: max(bisect_right(starts, time) - 1, 0)):
        for shown in on_screen(segments[place], list(times)):
            repeated = stamps and shown.time_s == stamps[-1]
            pixels.append(pixels[-1] if repeated else _rgb(shown.frame, reformatter, short_side))
            stamps.append(shown.time_s)
    return Frames(np.stack(pixels), np.array(stamps, dtype=np.float64))


def on_screen(segment: Segment, times_s: Sequence[float]) -> Iterator[Shown]:
    """For each time the frame on screen.

    Raises:
        SumlError: the file is missing or damaged, or a time lies outside.
    """
    import av

    for time in (times_s[0], times_s[-1]):
        if not segment.start_s <= time <= segment.stop_s:
            _refuse(segment, "time outside the stored stretch", f"{time:g} s")
    try:
        with av.open(str(segment.path.absolute())) as container:
            stream = container.streams.video[0]
            stream.thread_count = 1
            assert stream.time_base is not None
            tick, offset = stream.time_base, segment.first_tick * segment.tick
            until = [math.floor((Fraction(t + _ROUNDING_S) - offset) / tick) for t in times_s]
            packets = _packets(container, stream, until[0], until[-1])
            stamps = sorted(packet.pts for packet in packets if packet.pts is not None)
            wanted = [stamps[max(bisect_right(stamps, pts) - 1, 0)] for pts in until]
            found = _decode(stream.codec_context, packets, set(wanted))
            for pts in wanted:
                yield Shown(float(pts * tick + offset), found[pts])
    except (av.FFmpegError, LookupError) as error:
        _refuse(segment, "stored video cannot be read", reason(error))


def _packets(container: InputContainer, stream: VideoStream, first: int, last: int) -> list[Packet]:
    """The groups of pictures that hold all that is on screen between two timestamps."""
    packets: list[Packet] = []
    for begin in (first, 0):  # a seek may land late
        container.seek(begin, stream=stream)
        packets.clear()
        for packet in container.demux(stream):
            if packet.pts is None or (packet.is_keyframe and packet.pts > last):
                break
            packets.append(packet)
        if packets and (packets[0].pts or 0) <= first:
            break
    return packets


def _decode(
    codec: VideoCodecContext, packets: Sequence[Packet], wanted: set[int]
) -> dict[int, VideoFrame]:
    """The wanted frames by timestamp; of all others no more than they are made of."""
    last_wanted = 0
    needed: list[Packet] = []
    for packet in packets:
        if packet.is_keyframe:
            del needed[last_wanted:]
        needed.append(packet)
        if packet.pts in wanted:
            last_wanted = len(needed)
    frames: list[VideoFrame] = []
    for packet in needed[:last_wanted]:
        codec.skip_frame = "DEFAULT" if packet.pts in wanted else "NONREF"
        frames += codec.decode(packet)
    frames += codec.decode(None)
    return {frame.pts: frame for frame in frames if frame.pts in wanted}


def _rgb(frame: VideoFrame, reformatter: VideoReformatter, short_side: int | None) -> np.ndarray:
    scale = min(1.0, (short_side or math.inf) / min(frame.height, frame.width))
    width, height = round(frame.width * scale), round(frame.height * scale)
    return reformatter.reformat(
        frame, width, height, "rgb24", interpolation="BILINEAR", threads=1
    ).to_ndarray()


def _refuse(segment: Segment, what: str, got: str) -> NoReturn:
    raise SumlError(
        segment.path,
        what,
        got=got,
        expected=f"{segment.start_s:g} to {segment.stop_s:g} s of a video",
        fix="Delete it and run `sumlctl decode` again.",
    )
