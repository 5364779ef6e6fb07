"""Decoded pictures the way up that their file wants them shown, as FFmpeg's players turn them.

A display matrix maps the stored picture to the screen: `[x' y'] = [x y] [[a, b], [c, d]]`, y down
(ISO/IEC 14496-12, 6.2.2 and 8.3.2). Right angles and reflections are the eight that cameras write.
"""

from __future__ import annotations

import struct
from fractions import Fraction
from math import atan2, degrees, hypot
from typing import Any, NamedTuple

from av import VideoFrame
from av.filter import Graph


class Orientation(NamedTuple):
    """How the stored picture becomes upright: mirrored first, then turned.

    Args:
        mirrored: whether left and right are exchanged.
        rotation: degrees counter-clockwise: -90, 0, 90 or 180.
    """

    mirrored: bool = False
    rotation: int = 0

    @property
    def across(self) -> bool:
        """Whether the picture's rows become columns."""
        return self.rotation % 180 != 0


# The fewest of FFmpeg's filters. A transposition is a reflection, so that one does for both.
_FILTERS: dict[Orientation, tuple[tuple[str, str], ...]] = {
    Orientation(False, 0): (),
    Orientation(False, 90): (("transpose", "cclock"),),
    Orientation(False, 180): (("hflip", ""), ("vflip", "")),
    Orientation(False, -90): (("transpose", "clock"),),
    Orientation(True, 0): (("hflip", ""),),
    Orientation(True, 90): (("transpose", "cclock_flip"),),
    Orientation(True, 180): (("vflip", ""),),
    Orientation(True, -90): (("transpose", "clock_flip"),),
}


def orientation(frame: VideoFrame) -> Orientation:
    """Return how a frame becomes upright, by its display matrix, to the nearest right angle."""
    matrix: Any = frame.side_data.get("DISPLAYMATRIX")
    if matrix is None:
        return Orientation()
    a, b, _, c, d = struct.unpack("=5i", bytes(matrix)[:20])
    if not a * d - b * c:  # a picture without an area
        return Orientation()
    mirrored = a * d < b * c
    if mirrored:
        a, b = -a, -b
    turned = -degrees(atan2(b / hypot(b, d), a / hypot(a, c)))
    quarters = round(turned / 90) % 4
    return Orientation(mirrored, {3: -90}.get(quarters, 90 * quarters))


class Upright:
    """Turns the frames of one video upright.

    Chroma samples are taken to lie in the middle of the pixels that they cover, whatever the file
    says. So swscale takes them where it converts without scaling, and so decord takes them always.

    Args:
        orientation: how frames become upright.
    """

    def __init__(self, orientation: Orientation) -> None:
        self._orientation = orientation
        self._kind: tuple[Any, ...] | None = None
        self._graph: Graph | None = None

    def __call__(self, frame: VideoFrame) -> VideoFrame:
        """Return the frame upright; its pixels are not copied where nothing is to be turned.

        Raises:
            av.FFmpegError: FFmpeg cannot turn frames of this format.
        """
        kind = frame.format.name, frame.width, frame.height, frame.colorspace, frame.color_range
        if self._graph is None or kind != self._kind:
            self._kind, self._graph = kind, self._built(frame)
        self._graph.push(frame)
        found = self._graph.pull()
        assert isinstance(found, VideoFrame)
        return found

    def _built(self, frame: VideoFrame) -> Graph:
        graph = Graph()
        last = graph.add_buffer(
            width=frame.width,
            height=frame.height,
            format=frame.format,
            time_base=frame.time_base or Fraction(1),
        )
        filters = ("setparams", "chroma_location=unspecified"), *_FILTERS[self._orientation]
        for name, options in (*filters, ("buffersink", "")):
            following = graph.add(name, options or None)
            last.link_to(following)
            last = following
        graph.configure()
        return graph
