"""All eight orientations of a display matrix, by pictures whose four corners are known."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
import pytest

from sumlctl.errors import SumlError
from sumlctl.video.clip_cache.encode import EncodeSettings
from sumlctl.video.clip_cache.make import Job, Made, make
from sumlctl.video.clip_cache.spans import Span
from sumlctl.video.clip_cache.stored import Segment, read_stored
from sumlctl.video.probe import probe
from sumlctl.video.read import read_frames

COLOURS = {"r": (200, 30, 30), "g": (30, 200, 30), "b": (30, 30, 200), "w": (200, 200, 200)}
# (a, b, c, d) of x' = a x + c y, y' = b x + d y, with y down, applied by hand to corners that are
# stored as `rg` above `bw`: upper left and right, lower left and right as shown; then the rotation
# counter-clockwise and whether left and right are exchanged before it.
ORIENTATIONS = {
    "as_stored": ((1, 0, 0, 1), "rgbw", 0, False),
    "left_right": ((-1, 0, 0, 1), "grwb", 0, True),
    "up_down": ((1, 0, 0, -1), "bwrg", 180, True),
    "half_turn": ((-1, 0, 0, -1), "wbgr", 180, False),
    "clockwise": ((0, 1, -1, 0), "brwg", -90, False),
    "counter_clockwise": ((0, -1, 1, 0), "gwrb", 90, False),
    "transposed": ((0, 1, 1, 0), "rbgw", 90, True),
    "transposed_back": ((0, -1, -1, 0), "wgbr", -90, True),
}


def corners(number):
    """128 x 256 pixels: red, green, blue and white from the upper left to the lower right."""
    return np.kron(
        np.array([[COLOURS["r"], COLOURS["g"]], [COLOURS["b"], COLOURS["w"]]], np.uint8),
        np.ones((64, 128, 1), np.uint8),
    )


def seen(picture):
    """Names the colours in the middle of the four quarters."""
    height, width, _ = picture.shape
    return "".join(
        min(COLOURS, key=lambda name: np.abs(picture[y, x] - np.array(COLOURS[name])).sum())
        for y in (height // 4, 3 * height // 4)
        for x in (width // 4, 3 * width // 4)
    )


def in_matroska(video):
    """Copies the streams into Matroska, which has the orientation as a projection."""
    path = video.with_suffix(".mkv")
    with av.open(str(video)) as source, av.open(str(path), "w") as sink:
        stream = sink.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                sink.mux(packet)
    return path


@pytest.fixture
def turned(make_video):
    """Makes a video of a known orientation."""

    def make_one(name):
        return make_video(f"{name}.mp4", 12, paint=corners, matrix=ORIENTATIONS[name][0])

    return make_one


@pytest.mark.parametrize("name", ORIENTATIONS)
@pytest.mark.parametrize("short_side", [None, 61])
@pytest.mark.parametrize("decoder", ["pyav", "decord"])
def test_read_frames_oriented(turned, name, short_side, decoder):
    if decoder == "decord":
        pytest.importorskip("decord")
    _, as_shown, rotation, _ = ORIENTATIONS[name]
    frames = read_frames(turned(name), [0.0, 0.75], short_side=short_side, decoder=decoder)
    long_side, short = (256, 128) if short_side is None else (122, 61)
    size = (long_side, short) if rotation % 180 else (short, long_side)
    assert frames.pixels.shape == (2, *size, 3)
    assert [seen(picture) for picture in frames.pixels] == [as_shown] * 2


@pytest.mark.parametrize("name", ORIENTATIONS)
@pytest.mark.parametrize("container", ["mp4", "mkv"])
def test_probe_oriented(turned, name, container):
    _, as_shown, rotation, mirrored = ORIENTATIONS[name]
    video = turned(name)
    if container == "mkv":
        video = in_matroska(video)
    found = probe(video, ask_decord=False)
    assert (found.rotation, found.mirrored) == (rotation, mirrored)
    size = (128, 256) if rotation % 180 else (256, 128)
    assert (found.width, found.height) == size
    [picture] = read_frames(video, [0.75], decoder="pyav").pixels
    assert seen(picture) == as_shown


@pytest.mark.parametrize("name", ORIENTATIONS)
def test_read_frames_of_matroska_by_decord(turned, name):
    """Its FFmpeg does not know the projection: what it would show otherwise is refused."""
    pytest.importorskip("decord")
    video = in_matroska(turned(name))
    try:
        [picture] = read_frames(video, [0.75], decoder="decord").pixels
    except SumlError as error:
        assert "decord finds other pictures" in str(error)
        assert name not in {"as_stored", "up_down"}
    else:
        assert seen(picture) == ORIENTATIONS[name][1]


def test_read_frames_by_decord_of_pictures_that_are_symmetric(make_video):
    """Nothing tells there whether decord turns as PyAV does."""
    pytest.importorskip("decord")

    def grey(number):
        return np.full((128, 256, 3), 100, np.uint8)

    video = make_video("grey.mp4", 12, paint=grey, matrix=(-1, 0, 0, 1))
    with pytest.raises(SumlError, match="look the same the other way up"):
        read_frames(video, [0.5], decoder="decord")
    assert read_frames(video, [0.5]).decoder == "pyav"


@pytest.mark.parametrize("name", ORIENTATIONS)
@pytest.mark.parametrize("short_side", [256, 62])
def test_make_oriented(turned, tmp_path, name, short_side):
    """The clip cache keeps pictures upright."""
    _, as_shown, rotation, _ = ORIENTATIONS[name]
    job = Job(turned(name), Span(0, 1000), EncodeSettings(short_side, 22), tmp_path / "cached.mp4")
    made = Made(**make(job))
    size = (256, 128) if short_side == 256 else (124, 62)
    assert (made.width, made.height) == (size[::-1] if rotation % 180 else size)
    tick = Fraction(made.tick_num, made.tick_den)
    segment = Segment(job.target, 0.0, 1.0, made.first_tick, made.last_tick, tick)
    [picture] = read_stored([segment], [0.75]).pixels
    assert seen(picture) == as_shown


def test_read_frames_with_a_matrix_of_no_area(make_video):
    """A matrix that maps everything to a point turns nothing."""
    video = make_video("flat.mp4", 12, paint=corners, matrix=(0, 0, 0, 0))
    assert seen(read_frames(video, [0.5]).pixels[0]) == "rgbw"
    assert (probe(video, ask_decord=False).rotation, read_frames(video, [0.5]).decoder) == (
        0,
        "pyav",
    )


def test_probe_of_pixels_that_are_not_square(make_video):
    """Said once, and the pictures stay as they are stored."""
    wide = make_video("wide.mp4", 12, paint=corners, options={"x264-params": "sar=4/3"})
    found = probe(wide, ask_decord=False)
    assert found.error == "pixels are 4:3, not square; read as they are stored"
    assert (found.status, found.width, found.height) == ("ok", 256, 128)
    assert read_frames(wide, [0.5]).pixels.shape == (1, 128, 256, 3)
    square = make_video("square.mp4", 12, paint=corners, options={"x264-params": "sar=1/1"})
    assert probe(square, ask_decord=False).error is None
