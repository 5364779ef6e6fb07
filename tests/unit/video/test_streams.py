"""Which of a file's video streams is the film."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
import pytest
from av.stream import Disposition

from sumlctl.errors import SumlError
from sumlctl.video.probe import probe
from sumlctl.video.read import read_frames
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
            stream.disposition = Disposition.default if default else Disposition(0)
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


@pytest.mark.parametrize("container", ["mp4", "mkv"])
@pytest.mark.parametrize("name", CASES)
def test_read_frames_of_several_streams(tmp_path, numbers, name, container):
    video = write(tmp_path / f"{name}.{container}", CASES[name])
    found = probe(video, ask_decord=False)
    assert (found.width, found.height, found.n_frames) == (128, 32, N)
    assert numbers(read_frames(video, [0.05, 1.25, 3.95]).pixels) == [0, 12, 39]


@pytest.mark.parametrize("container", ["mp4", "mkv"])
@pytest.mark.parametrize("name", CASES)
def test_read_frames_of_several_streams_by_decord(tmp_path, numbers, name, container):
    """decord chooses for itself; where that is another stream, it is refused."""
    pytest.importorskip("decord")
    video = write(tmp_path / f"{name}.{container}", CASES[name])
    try:
        frames = read_frames(video, [0.05, 1.25, 3.95], decoder="decord")
    except SumlError as error:
        assert "decord" in str(error)
    else:
        assert numbers(frames.pixels) == [0, 12, 39]


def test_read_frames_of_two_films_of_one_size_by_decord(tmp_path):
    """Pictures that agree where they are compared do not tell which of them decord reads."""
    pytest.importorskip("decord")
    video = write(tmp_path / "two.mp4", [FILM, (N, 1, numbered.picture, False)])
    with pytest.raises(SumlError, match="several video streams of one size"):
        read_frames(video, [0.05], decoder="decord")


def test_read_frames_of_a_still_alone(tmp_path, numbers):
    video = write(tmp_path / "still.mp4", [(1, 1, numbered.picture, True)])
    assert numbers(read_frames(video, [0.05]).pixels) == [0]
