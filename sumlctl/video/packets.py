"""What the packets of a video stream say, without decoding any."""

from __future__ import annotations

import math
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import av
from av import Packet, VideoStream
from av.container import InputContainer
from av.format import Flags

from sumlctl.video.av_versions import declared_rate, time_base
from sumlctl.video.edits import EditList, edit_list, misplaced
from sumlctl.video.streams import ISO_MEDIA, Clock, films, open_stream, open_video, reason

# Files that were joined byte by byte; a time then stands for several pictures.
CLOCK_RESTARTS = "its clock starts anew, as in files joined end to end; remux each part, then join"
EDITS_MISPLACED = "FFmpeg shows the parts of its edit list at other times; re-encode it"
# Types of H.264's units (table 7-1) that a picture's first slice may have.
_IDR_SLICE = 5
_SLICES = (1, 2, _IDR_SLICE)


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
        refreshes: whether a decoder forgets all pictures before at each keyframe, as far as that
            is known: of H.264 alone.
        n_films: number of video streams that are no cover art.
        pixel_format: FFmpeg's name of it.
        profile: FFmpeg's name of the codec's profile.
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
    refreshes: bool = False
    n_films: int = 1
    pixel_format: str | None = None
    profile: str | None = None


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
        rate = declared_rate(stream) or 1 / (time_base(stream) or Fraction(1))
        names = container.format.name, stream.codec_context.name
        n_films = len(films(container))
        pixel_format, profile = stream.codec_context.pix_fmt, stream.codec_context.profile
        length_bytes = unit_length_bytes(stream)
        refreshes = length_bytes > 0
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
                    refreshes = refreshes and is_idr(packet, length_bytes)
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
        clock=clock,
        declared_rate=rate,
        expected=expected,
        shown=shown,
        early=early,
        hidden=hidden,
        last_keyframe=last_keyframe,
        closed=closed,
        doubt=doubt,
        fault=fault,
        refreshes=refreshes,
        n_films=n_films,
        pixel_format=pixel_format,
        profile=profile,
    )


def unit_length_bytes(stream: VideoStream) -> int:
    """The size of the length that precedes each of H.264's units in a packet, 0 where none does.

    Such streams have a configuration record (ISO/IEC 14496-15, 5.3.3.1), which begins with 1.
    """
    configuration = stream.codec_context.extradata or b""
    is_h264 = stream.codec_context.name == "h264"
    return (configuration[4] & 3) + 1 if is_h264 and configuration[:1] == b"\1" else 0


def is_idr(packet: Packet, length_bytes: int) -> bool:
    """Whether a packet's picture is H.264's instantaneous decoder refresh (7.4.1.2.4)."""
    data, at = memoryview(packet), 0
    while at + length_bytes < len(data):
        kind = data[at + length_bytes] & 31
        if kind in _SLICES:
            return kind == _IDR_SLICE
        at += length_bytes + int.from_bytes(data[at : at + length_bytes], "big")
    return False


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
