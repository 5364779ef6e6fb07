"""Frames by decord, where it can be shown that they are the right ones.

decord 0.6 counts frames and gives no times with them, and its count goes wrong without a word:
after a seek in HEVC and in open groups of pictures, where an edit list hides frames, in AVI. So it
reads H.264 in MP4 and Matroska only, where the packets, as PyAV reads them, show nothing of the
kind, decord lists their timestamps, and pictures after a seek are those that PyAV finds there.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

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

decord.logging.set_level(decord.logging.QUIET)

_SAME_S = 0.002  # its timestamps are float32
# Where it cannot decode it repeats a frame, in up to this share of a video.
_MOST_REPEATED = 1e-9
_PICTURES_KEPT = 80  # measured: it decodes far ahead


class DecordDecoder:
    """A video that decord has opened, and that it was found to read rightly.

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
        first, tick = packets.shown[0].pts, packets.tick
        self._begins_s = np.array([float((pts - first) * tick) for pts, _ in packets.shown])
        last_s = float(packets.shown[-1].duration * tick or 1 / packets.declared_rate)
        self._end_s = float(self._begins_s[-1]) + last_s
        self._video = _opened(path, _MOST_REPEATED)
        self._reformatter = VideoReformatter()
        self._check()
        height, width = self._pixels([0]).shape[1:3]
        self.nbytes = _PICTURES_KEPT * height * width * 3

    def close(self) -> None:
        del self._video

    def read(self, times_s: Sequence[float], short_side: int | None) -> Shown:
        refuse_outside(self._path, times_s, self._end_s)
        places = on_screen(self._begins_s, times_s)
        distinct, back = np.unique(places, return_inverse=True)
        pixels = self._pixels(distinct)
        width, height = reduced(pixels.shape[2], pixels.shape[1], short_side)
        if (height, width) != pixels.shape[1:3]:
            small = [
                self._reformatter.reformat(
                    VideoFrame.from_ndarray(picture, format="rgb24"),
                    width,
                    height,
                    interpolation="BILINEAR",
                    threads=1,
                )
                for picture in pixels
            ]
            pixels = np.stack([frame.to_ndarray() for frame in small])
        ends_s = np.append(self._begins_s[1:], self._end_s)
        return Shown(pixels[back], self._begins_s[places], ends_s[places])

    def _pixels(self, places: Any) -> np.ndarray:
        try:
            return self._video.get_batch(places).asnumpy()
        except Exception as error:
            raise DecodeError(self._path, "decord cannot read it", _brief(error)) from error

    def _check(self) -> None:
        """Refuses a video of which decord lists other timestamps or finds other pictures."""
        if len(self._video) != len(self._begins_s):
            raise DecodeError(
                self._path,
                f"decord counts {len(self._video)} frames",
                f"packets of {len(self._begins_s)}",
            )
        listed = self._video.get_frame_timestamp(range(len(self._video)))[:, 0]
        if not np.allclose(listed - listed[0], self._begins_s, rtol=1e-6, atol=_SAME_S):
            raise DecodeError(self._path, "decord lists other timestamps", f"{listed[:4]} s, ...")
        sought = sorted({len(self._begins_s) - 1, len(self._begins_s) // 2})
        theirs = PyavDecoder(self._path).read(self._begins_s[sought].tolist(), None).pixels
        for place, picture in zip(reversed(sought), reversed(theirs), strict=True):
            [mine] = self._pixels([place])
            if mine.shape != picture.shape or difference(mine, picture).mean() > ALIKE:
                raise DecodeError(self._path, "decord finds other pictures", f"frame {place}")


def count(path: Path) -> int:
    """How many frames decord says that a video has.

    Raises:
        DecodeError: decord refuses the file.
    """
    return len(_opened(path))


def _opened(path: Path, fault_tol: float = -1) -> decord.VideoReader:
    try:
        return decord.VideoReader(str(path.absolute()), num_threads=1, fault_tol=fault_tol)
    except Exception as error:  # its errors have no common type
        raise DecodeError(path, "decord refuses it", _brief(error)) from error


def _doubt(packets: Scan) -> str | None:
    """What makes decord lose count, as far as the packets tell."""
    if packets.fault or not packets.shown:
        return packets.fault or "no frames"
    if packets.codec != "h264" or packets.container not in STAMPED_PACKETS:
        return f"{packets.codec} in {packets.container}"
    if packets.hidden:
        return "an edit list"
    return None if packets.closed else "open groups of pictures"


def _brief(error: Exception) -> str:
    """One of decord's errors without the time, the line of its source and the path."""
    head = str(error).strip().splitlines()[0]
    return re.sub(r"^(\[[^\]]*\] *(\S+:\d+: *)?)+", "", head)[:120]
