"""Files with several video streams, of which one is the film: that of `numbered.picture`."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
from av.stream import Disposition

from tests.unit.video import numbered

N = 40


def larger(number):
    """A picture that shows another number than asked for, larger than `numbered.picture`."""
    return np.pad(numbered.picture(255 - number), ((0, 96), (0, 128), (0, 0)))


def write(path, streams):
    """Writes H.264 streams, each `(pictures, ticks of 1/10 s of one, paint, default)`."""
    with av.open(str(path), "w") as sink:
        opened = []
        for n, ticks, paint, default in streams:
            stream = sink.add_stream("libx264", rate=10)
            stream.height, stream.width, _ = paint(0).shape
            stream.pix_fmt, stream.codec_context.time_base = "yuv420p", Fraction(1, 10)
            # The number: PyAV 17 takes no flag of its own.
            stream.disposition = (Disposition.default if default else Disposition(0)).value
            opened.append((stream, n, ticks, paint))
        packets = []
        for stream, n, ticks, paint in opened:
            for number in range(n):
                frame = av.VideoFrame.from_ndarray(paint(number), format="rgb24")
                frame.pts, frame.time_base = number * ticks, Fraction(1, 10)
                packets += stream.encode(frame)
            packets += stream.encode(None)
        for packet in sorted(packets, key=lambda p: p.dts * p.time_base):
            sink.mux(packet)
    return path


FILM = (N, 1, numbered.picture, True)
CASES = {
    "still_first": [(1, 1, larger, True), FILM],
    "still_last": [FILM, (1, 1, larger, True)],
    "thumbnails": [(3, 15, larger, True), FILM],
    "default_first": [FILM, (N, 1, larger, False)],
    "default_last": [(N, 1, larger, False), FILM],
    "larger_of_two_defaults": [(N, 1, lambda n: numbered.picture(255 - n)[:, :96], True), FILM],
}
