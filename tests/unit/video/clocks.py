"""Numbered videos whose time is awkward: when their pictures begin, and what their clock does."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from tests.unit.video import numbered

RATE_HZ = 48_000


def with_sound(
    path: Path, n: int = 40, *, pictures_s: float = 0.0, sound_s: float = 0.0, **options: str
) -> Path:
    """Writes frames of 1/10 s from one time on, and sound from another one on."""
    with av.open(str(path), "w", container_options=options) as sink:
        film: Any = sink.add_stream("libx264", rate=10)
        film.height, film.width, _ = numbered.picture(0).shape
        film.pix_fmt, film.gop_size = "yuv420p", 12
        sound: Any = sink.add_stream("aac", rate=RATE_HZ)
        packets = []
        for number in [*range(n), None]:
            frame = None
            if number is not None:
                frame = av.VideoFrame.from_ndarray(numbered.picture(number), format="rgb24")
                frame.pts, frame.time_base = number + round(pictures_s * 10), Fraction(1, 10)
            packets += film.encode(frame)
        for begin in [*range(0, RATE_HZ * n // 10, 1024), None]:
            frame = None
            if begin is not None:
                silence = np.zeros((1, 1024), np.float32)
                frame = av.AudioFrame.from_ndarray(silence, "fltp", "mono")
                frame.sample_rate, frame.time_base = RATE_HZ, Fraction(1, RATE_HZ)
                frame.pts = begin + round(sound_s * RATE_HZ)
            packets += sound.encode(frame)
        for packet in sorted(packets, key=lambda p: p.dts * p.time_base):
            sink.mux(packet)
    return path


def joined(path: Path, n: int = 40, **options: Any) -> Path:
    """Writes two videos of the same clock byte by byte into one; their numbers differ."""
    parts = []
    for part in range(2):
        one = path.with_name(f"{part}.{path.name}")

        def paint(number: int, add: int = part * 100) -> np.ndarray:
            return numbered.picture(number + add)

        parts.append(numbered.write(one, n, paint=paint, **options).read_bytes())
        one.unlink()
    path.write_bytes(b"".join(parts))
    return path


def without_first(path: Path, count: int, n: int = 40, **options: Any) -> Path:
    """Writes a video of which the first packets, in the order of decoding, are not there."""
    whole = numbered.write(path.with_name(f"whole.{path.name}"), n, **options)
    with av.open(str(whole)) as source, av.open(str(path), "w") as sink:
        stream = sink.add_stream_from_template(source.streams.video[0])
        packets = [packet for packet in source.demux(video=0) if packet.size]
        for packet in packets[count:]:
            packet.stream = stream
            sink.mux(packet)
    whole.unlink()
    return path


def edited(path: Path, parts: Sequence[tuple[float, float | None]], **options: Any) -> Path:
    """Writes an MP4 of frames of 1/10 s and gives it an edit list.

    Each part is how long it lasts and where it begins in the media, both in seconds; without the
    latter, nothing is shown.
    """
    numbered.write(path, **options)
    data = bytearray(path.read_bytes())
    with av.open(str(path)) as container:
        hz = container.streams.video[0].time_base.denominator
    moov, moov_size = _box(data, b"moov", 0, len(data))
    trak, trak_size = _box(data, b"trak", moov + 8, moov + moov_size)
    edts, edts_size = _box(data, b"edts", trak + 8, trak + trak_size)
    # The one part that x264's frames out of order take says where the media begin.
    [first] = struct.unpack(">i", data[edts + 28 : edts + 32])
    entries = b"".join(
        struct.pack(
            ">Iihh", round(length * 1000), -1 if at is None else first + round(at * hz), 1, 0
        )
        for length, at in parts
    )
    elst = struct.pack(">I4sII", 16 + len(entries), b"elst", 0, len(parts)) + entries
    new = struct.pack(">I4s", 8 + len(elst), b"edts") + elst
    data[edts : edts + edts_size] = new
    for at, size in ((trak, trak_size), (moov, moov_size)):
        data[at : at + 4] = struct.pack(">I", size + len(new) - edts_size)
    path.write_bytes(data)
    return path


def _box(data: bytes, kind: bytes, at: int, end: int) -> tuple[int, int]:
    while at < end:
        size, found = struct.unpack(">I4s", data[at : at + 8])
        if found == kind:
            return at, size
        at += size
    raise ValueError(kind)
