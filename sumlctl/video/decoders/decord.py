"""Frames by decord, where it can be shown that they are the right ones.

decord 0.6 counts frames and gives no times with them, and its count goes wrong without a word:
after a seek in HEVC and in open groups of pictures, where an edit list hides frames, in AVI. So it
reads H.264 in MP4 and Matroska only, where the packets, as PyAV reads them, show nothing of the
kind, decord lists their timestamps, and pictures after a seek are those that PyAV finds there.
Over damage it goes on with pictures that its FFmpeg makes up. All that tells of it is what FFmpeg
writes to stderr: whatever does so is refused.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import av
import decord
import numpy as np
from av import VideoFrame
from av.video.reformatter import VideoReformatter

from sumlctl.video.decoders import (
    ALIKE,
    DecodeError,
    Shown,
    difference,
    on_screen,
    reduced,
    refuse_outside,
)
from sumlctl.video.decoders.pyav import STAMPED_PACKETS, PyavDecoder
from sumlctl.video.streams import Scan, reason, scan

_SAME_S = 0.002  # its timestamps are float32
# Where it cannot decode it repeats a frame, in up to this share of a video.
_MOST_REPEATED = 1e-9
_STDERR = 2


class DecordDecoder:
    """A video that decord was found to read rightly; it is opened for each request.

    An open one would decode ahead, take hundreds of megabytes, and complain while nobody listens.

    Args:
        path: the file.

    Raises:
        SumlError: there is no video stream.
        DecodeError: decord refuses the file, or would give other frames than the packets promise.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            packets = scan(path)
        except av.FFmpegError as error:
            raise DecodeError(path, "cannot be read", reason(error)) from error
        doubt = _doubt(packets)
        if doubt:
            raise DecodeError(path, "decord is not to be trusted with it", doubt)
        clock = packets.clock
        self.start_s, self._tick_s = clock.start_s, float(clock.tick)
        self._begins_s = np.array([clock.seconds(pts) for pts, _ in packets.shown])
        last_s = float(packets.shown[-1].duration * clock.tick or 1 / packets.declared_rate)
        self._end_s = float(self._begins_s[-1]) + last_s
        self._reformatter = VideoReformatter()
        self.nbytes = self._begins_s.nbytes
        self._check()

    def close(self) -> None:
        """Nothing is held open."""

    def read(self, times_s: Sequence[float], short_side: int | None) -> Shown:
        refuse_outside(self._path, times_s, self._end_s)
        places = on_screen(self._begins_s, times_s, self._tick_s)
        distinct, back = np.unique(places, return_inverse=True)
        with _opened(self._path, _MOST_REPEATED) as video:
            pixels = video.get_batch(distinct).asnumpy()
        width, height = reduced(pixels.shape[2], pixels.shape[1], short_side)
        if (height, width) != pixels.shape[1:3]:
            pixels = np.stack([self._scaled(picture, width, height) for picture in pixels])
        ends_s = np.append(self._begins_s[1:], self._end_s)
        return Shown(pixels[back], self._begins_s[places], ends_s[places])

    def _scaled(self, picture: np.ndarray, width: int, height: int) -> np.ndarray:
        frame = VideoFrame.from_ndarray(picture, format="rgb24")
        small = self._reformatter.reformat(
            frame, width, height, interpolation="BILINEAR", threads=1
        )
        return small.to_ndarray()

    def _check(self) -> None:
        """Refuses a video of which decord lists other timestamps or finds other pictures."""
        number = len(self._begins_s)
        sought = sorted({number - 1, number // 2})
        with _opened(self._path, _MOST_REPEATED) as video:
            counted = len(video)
            listed = video.get_frame_timestamp(range(counted))[:, 0]
            found = [video.get_batch([place]).asnumpy()[0] for place in reversed(sought)]
        if counted != number:
            raise DecodeError(self._path, f"decord counts {counted} frames", f"{number} packets")
        since_first_s = self._begins_s - self.start_s
        if not np.allclose(listed - listed[0], since_first_s, rtol=1e-6, atol=_SAME_S):
            raise DecodeError(self._path, "decord lists other timestamps", f"{listed[:4]} s, ...")
        theirs = PyavDecoder(self._path).read(self._begins_s[sought].tolist(), None).pixels
        for place, mine, picture in zip(sought, reversed(found), theirs, strict=True):
            if mine.shape != picture.shape or difference(mine, picture).mean() > ALIKE:
                raise DecodeError(self._path, "decord finds other pictures", f"frame {place}")


def count(path: Path) -> int:
    """How many frames decord says that a video has.

    Raises:
        DecodeError: decord refuses the file.
    """
    with _opened(path) as video:
        return len(video)


@contextmanager
def _opened(path: Path, fault_tol: float = -1) -> Iterator[decord.VideoReader]:
    """Opens a file; whatever goes wrong with it then, or is complained of, is a DecodeError."""
    with _stderr() as said:
        try:
            video = decord.VideoReader(str(path.absolute()), num_threads=1, fault_tol=fault_tol)
            yield video
            del video
        except Exception as error:  # its errors have no common type
            raise DecodeError(path, "decord cannot read it", _brief(str(error))) from error
    if said and fault_tol >= 0:
        raise DecodeError(path, "decord cannot read it", _brief(said[0]))


@contextmanager
def _stderr() -> Iterator[list[str]]:
    """Catches the lines that native code writes to stderr."""
    lines: list[str] = []
    decord.logging.set_level(decord.logging.ERROR)
    kept = os.dup(_STDERR)
    try:
        with tempfile.TemporaryFile() as file:
            os.dup2(file.fileno(), _STDERR)
            try:
                yield lines
            finally:
                os.dup2(kept, _STDERR)
                file.seek(0)
                lines += file.read().decode(errors="replace").splitlines()
    finally:
        os.close(kept)


def _doubt(packets: Scan) -> str | None:
    """What makes decord lose count, as far as the packets tell."""
    if packets.fault or not packets.shown:
        return packets.fault or "no frames"
    if packets.doubt:
        return packets.doubt
    if packets.codec != "h264" or packets.container not in STAMPED_PACKETS:
        return f"{packets.codec} in {packets.container}"
    if packets.early:
        return "frames before the first keyframe"
    if packets.hidden:
        return "an edit list"
    return None if packets.closed else "open groups of pictures"


def _brief(said: str) -> str:
    """A message of decord or FFmpeg without the time, the line of its source and the path."""
    head = said.strip().splitlines()[0]
    return re.sub(r"^(\[[^\]]*\] *(\S+:\d+: *)?)+", "", head)[:120]
