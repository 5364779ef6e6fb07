"""Videos whose every frame shows its own number, so that the right one can be told by eye."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

BITS, SQUARE = 8, 16


def picture(number: int) -> np.ndarray:
    """`number` in binary as a row of black and white squares, uint8 [32, 128, 3]."""
    bits = [(number >> bit) & 1 for bit in range(BITS)]
    row = np.repeat(np.array(bits, dtype=np.uint8) * 255, SQUARE)
    return np.broadcast_to(row[None, :, None], (2 * SQUARE, BITS * SQUARE, 3)).copy()


def noisy(number):
    """The number above noise, so that the noise is where most of a file's bits go."""
    noise = np.random.default_rng(number).integers(0, 256, (64, 128, 3), dtype=np.uint8)
    return np.concatenate([picture(number), noise])


def read_off(pixels: np.ndarray) -> list[int]:
    """Reads off the numbers that pictures show in their upper left [T, 32, 128, 3]."""
    rows = pixels[:, : 2 * SQUARE, : BITS * SQUARE]
    squares = rows.reshape(len(pixels), 2 * SQUARE, BITS, SQUARE, 3).mean(axis=(1, 3, 4))
    return [sum(1 << bit for bit in range(BITS) if row[bit] > 128) for row in squares]


def write(
    path: Path,
    n: int = 40,
    *,
    codec: str = "libx264",
    ticks: int = 10,
    stamps: Sequence[int] | None = None,
    gop: int = 12,
    b_frames: int = 2,
    shift: int = 0,
    options: dict[str, str] | None = None,
    pix_fmt: str = "yuv420p",
    rotation: int = 0,
    matrix: tuple[int, int, int, int] | None = None,
    container: str | None = None,
    paint: Callable[[int], np.ndarray] = picture,
) -> Path:
    """Writes a video of numbered frames.

    `stamps` are ticks of 1/`ticks` s (default: one frame each 1/10 s), `shift` moves all packets
    to earlier times, so that an MP4 hides what falls before zero with an edit list, `rotation`
    is told to players, in degrees counter-clockwise, `matrix` overwrites an MP4's display matrix,
    `container` is its true format, and `paint` makes the stored pictures.
    """
    with same_scheduling(), av.open(str(path), "w", format=container) as sink:
        stream: Any = sink.add_stream(codec, rate=ticks)
        stream.height, stream.width, _ = paint(0).shape
        stream.pix_fmt = pix_fmt
        stream.codec_context.time_base = Fraction(1, ticks)
        stream.gop_size, stream.codec_context.max_b_frames = gop, b_frames
        stream.options = options or {}
        for number in [*range(n), None]:
            frame = None
            if number is not None:
                frame = av.VideoFrame.from_ndarray(paint(number), format="rgb24")
                frame.pts = stamps[number] if stamps else number
                frame.time_base = Fraction(1, ticks)
            for packet in stream.encode(frame):
                packet.pts -= shift
                packet.dts -= shift
                sink.mux(packet)
    if rotation:
        cos, sin = {90: (0, 1), 180: (-1, 0), 270: (0, -1)}[rotation]
        matrix = (cos, -sin, sin, cos)
    if matrix:
        show_by(path, matrix)
    return path


@contextmanager
def same_scheduling() -> Iterator[None]:
    """Undo what SVT-AV1 does when root encodes: it makes the calling thread a real-time one.

    Processes that the thread starts would inherit it, and one that computes without end would keep
    all others, and those that are to end it, from running (findings/svt-av1-as-root.sh).
    """
    if not hasattr(os, "sched_getscheduler"):
        yield
        return
    policy, parameters = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        yield
    finally:
        if os.sched_getscheduler(0) != policy:
            os.sched_setscheduler(0, policy, parameters)


def show_by(path: Path, matrix: tuple[int, int, int, int]) -> None:
    """Overwrites the display matrix in the only track header of an MP4.

    The header's box (ISO/IEC 14496-12, 8.3.2) has its version after its name; 40 bytes after that,
    52 in version 1, comes the matrix `a b u c d v x y w` as 16.16 and, for u, v and w, 2.30 bits.
    """
    content = bytearray(path.read_bytes())
    version_at = content.index(b"tkhd") + 4
    at = version_at + (52 if content[version_at] else 40)
    a, b, c, d = (element << 16 for element in matrix)
    assert struct.unpack_from(">9i", content, at) == (1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)
    struct.pack_into(">9i", content, at, a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(content)


def put_index_first(path: Path) -> None:
    """Rewrites an MP4 with its index before its pictures, as for the web."""
    beside = path.with_suffix(".tmp.mp4")
    faststart = {"movflags": "faststart"}
    with (
        av.open(str(path)) as source,
        av.open(str(beside), "w", container_options=faststart) as sink,
    ):
        stream = sink.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                sink.mux(packet)
    beside.replace(path)


def damage(path: Path, number: int) -> None:
    """Overwrites half of the nth frame's data in an MP4 without frames out of order."""
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    position, size = packets[number].pos, packets[number].size
    content = bytearray(path.read_bytes())
    middle = range(position + size // 4, position + 3 * size // 4)
    content[middle.start : middle.stop] = bytes(i * 37 % 256 for i in middle)
    path.write_bytes(content)
