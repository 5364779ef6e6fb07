"""Edit lists of MP4 and MOV (ISO 14496-12, 8.6.6): when the samples of a track are to be shown.

FFmpeg places what one part shows, and an empty part before it, rightly. Where there are more parts,
it drops a frame that a part begins within, is late in HEVC, and fills a pause with other frames.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

_EMPTY = -1
_CONTAINERS = (b"moov", b"trak", b"mdia", b"edts")


class Part(NamedTuple):
    """A stretch of a track's media that is shown, or a pause, in ticks of the track.

    Args:
        begin: when it is shown.
        media: where it begins in the media; -1 for a pause.
        duration: how long it is shown.
    """

    begin: int
    media: int
    duration: int


class EditList(NamedTuple):
    """What a track shows.

    Args:
        parts: in order of time.
        slack: ticks that the durations may be off, since they are kept in ticks of the file.
    """

    parts: list[Part]
    slack: int

    @property
    def is_simple(self) -> bool:
        """Whether it is one part, with or without a pause before it."""
        media = [part.media for part in self.parts]
        return len(media) <= 1 or (len(media) == 2 and media[0] == _EMPTY)


def edit_list(path: Path, track: int) -> EditList:
    """The edit list of a track; without parts where there is none, or none that can be read.

    Args:
        path: an MP4 or MOV.
        track: its number in the file, FFmpeg's stream id.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        size = file.seek(0, 2)
        try:
            return _edit_list(file, size, track)
        except struct.error:  # cut short
            return EditList([], 0)


def misplaced(edits: EditList, samples: Sequence[tuple[int, int]], shown: Sequence[int]) -> bool:
    """Whether FFmpeg shows frames at other times than a track's edit list says.

    Args:
        edits: the edit list.
        samples: timestamp and duration of each frame in the media, ascending.
        shown: FFmpeg's timestamps of the frames that it shows, ascending.
    """
    ends = [pts for pts, _ in samples[1:]] + [sum(last) for last in samples[-1:]]
    wanted = []
    for begin, media, duration in edits.parts:
        for (pts, _), end in zip(samples, ends, strict=True):
            inside = min(end, media + duration) - max(pts, media)
            if media != _EMPTY and inside > edits.slack:
                wanted.append(begin + max(pts - media, 0))
    if len(wanted) != len(shown):
        return True
    return any(abs(a - b) > edits.slack for a, b in zip(sorted(wanted), shown, strict=True))


def _edit_list(file: BinaryIO, size: int, track: int) -> EditList:
    movie_hz = 1
    number = media_hz = 0
    entries: list[tuple[int, int]] = []
    for kind, at in _boxes(file, 0, size):
        if kind == b"trak":
            if number == track and entries:
                break
            entries = []
        elif kind == b"mvhd":
            movie_hz = _timescale(file, at)
        elif kind == b"mdhd":
            media_hz = _timescale(file, at)
        elif kind == b"tkhd":
            is_long = _unpack(file, at, ">B")[0] == 1
            [number] = _unpack(file, at + (20 if is_long else 12), ">I")
        elif kind == b"elst":
            version, count = _unpack(file, at, ">B3xI")
            entry = ">qqi" if version == 1 else ">Iii"
            step = struct.calcsize(entry)
            found = (_unpack(file, at + 8 + i * step, entry) for i in range(count))
            entries = [(duration, media) for duration, media, _ in found]
    if number != track or not movie_hz or not entries:
        return EditList([], 0)
    begins = [0]
    for duration, _ in entries:
        begins.append(begins[-1] + duration)
    ticks = [begin * media_hz // movie_hz for begin in begins]
    parts = [
        Part(begin, media, end - begin)
        for (begin, end), (_, media) in zip(pairwise(ticks), entries, strict=True)
    ]
    return EditList(parts, media_hz // movie_hz + 2)


def _boxes(file: BinaryIO, at: int, end: int) -> Iterator[tuple[bytes, int]]:
    """Kinds of boxes and where their content begins; of containers first they, then their boxes."""
    while at + 8 <= end:
        size, kind = _unpack(file, at, ">I4s")
        head = 8
        if size == 1:
            [size] = _unpack(file, at + 8, ">Q")
            head = 16
        stop = end if size == 0 else at + size
        if stop < at + head:
            return
        yield kind, at + head
        if kind in _CONTAINERS:
            yield from _boxes(file, at + head, min(stop, end))
        at = stop


def _timescale(file: BinaryIO, at: int) -> int:
    is_long = _unpack(file, at, ">B")[0] == 1
    return int(_unpack(file, at + (20 if is_long else 12), ">I")[0])


def _unpack(file: BinaryIO, at: int, form: str) -> tuple[Any, ...]:
    file.seek(at)
    return struct.unpack(form, file.read(struct.calcsize(form)))
