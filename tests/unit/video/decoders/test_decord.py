"""decord gives the right frames or refuses; what it gets wrong by itself is on record here."""

from __future__ import annotations

import random

import numpy as np
import pytest

from sumlctl.errors import SumlError
from sumlctl.video.decoders import DecodeError
from sumlctl.video.read import DECODERS, read_frames
from tests.unit.video.numbered import noisy

decord = pytest.importorskip("decord")
module = pytest.importorskip("sumlctl.video.decoders.decord")

OPEN_GOP = {"x264-params": "open-gop=1:scenecut=0:bframes=3:b-adapt=0"}
X265 = {"x265-params": "log-level=none"}
VARIABLE = [0, 40, 80, 300, 333, 900, 901, 1500, 1533, 2000]
TRUSTED = {
    "b_frames.mp4": {},
    "b_frames.mkv": {},
    "one_group.mp4": {"gop": 1000},
    "late.mkv": {"shift": -30},
    "ten_bits.mp4": {"pix_fmt": "yuv420p10le"},
}
DOUBTED = {
    "open_gop.mp4": ({"options": OPEN_GOP}, "open groups of pictures"),
    "edited.mp4": ({"shift": 5, "gop": 1000}, "an edit list"),
    "hevc.mp4": ({"codec": "libx265", "options": X265}, "hevc in mov"),
    "mpeg4.avi": ({"codec": "mpeg4"}, "mpeg4 in avi"),
    "h264.avi": ({}, "h264 in avi"),
    "vp9.webm": ({"codec": "libvpx-vp9"}, "vp9 in matroska"),
}


@pytest.mark.parametrize("name", TRUSTED)
def test_where_it_is_trusted_the_frames_are_right(make_video, numbers, name):
    video = make_video(name, **TRUSTED[name])
    draw = random.Random(name)
    for _ in range(8):
        begin = draw.randrange(32)
        wanted = [begin, begin, begin + 3, begin + 7]
        frames = read_frames(video, [n / 10 + 0.05 for n in wanted], decoder="decord")
        assert numbers(frames.pixels) == wanted
        assert frames.times_s == pytest.approx([n / 10 for n in wanted], abs=1e-3)
        assert frames.decoder == "decord"


def test_a_variable_rate_is_read_by_its_timestamps(make_video, numbers):
    video = make_video("variable.mp4", 10, ticks=1000, stamps=VARIABLE)
    times = [0.0, 0.299, 0.3, 0.8, 0.902, 1.4, 2.0]
    frames = read_frames(video, times, decoder="decord")
    assert numbers(frames.pixels) == [0, 2, 3, 4, 6, 6, 9]


@pytest.mark.parametrize("name", DOUBTED)
def test_where_it_loses_count_it_is_not_asked(make_video, name):
    how, doubt = DOUBTED[name]
    with pytest.raises(DecodeError, match=f"{name}: decord is not to be trusted .* got {doubt}"):
        module.DecordDecoder(make_video(name, **how))


def test_what_it_is_not_asked_for_it_gets_wrong(make_video, numbers):
    hevc = make_video("hevc.mp4", codec="libx265", options=X265, gop=12)
    reader = decord.VideoReader(str(hevc), num_threads=1)
    assert numbers(reader.get_batch([13]).asnumpy()) != [13]
    edited = make_video("edited.mp4", shift=5, gop=1000)
    assert len(decord.VideoReader(str(edited), num_threads=1)) == 40  # a player shows 35


def test_other_timestamps_and_other_pictures_are_found_out(make_video, monkeypatch):
    video = make_video("video.mp4")

    class Late(decord.VideoReader):
        def get_frame_timestamp(self, places):
            stamps = super().get_frame_timestamp(places)
            return stamps + np.arange(len(stamps))[:, None] * 0.01

    class Astray(decord.VideoReader):
        def get_batch(self, places):
            return super().get_batch([max(place - 1, 0) for place in places])

    class Short(decord.VideoReader):
        def __len__(self):
            return 39

    for reader, says in ((Late, "other timestamps"), (Astray, "other pictures"), (Short, "39")):
        monkeypatch.setattr(decord, "VideoReader", reader)
        with pytest.raises(DecodeError, match=says):
            module.DecordDecoder(video)


def test_damage_is_not_painted_over(make_video, damage, capfd):
    steady = {"x264-params": "scenecut=0"}
    video = make_video("damaged.mp4", 40, gop=8, b_frames=0, paint=noisy, options=steady)
    assert read_frames(video, [1.15], decoder="decord").times_s == pytest.approx([1.1])
    damage(video, 10)
    before = decord.VideoReader(str(video), num_threads=1).get_batch([11]).asnumpy()
    assert before.shape == (1, 96, 128, 3)  # decord hands out something
    assert "error while decoding" in capfd.readouterr().err
    with pytest.raises(SumlError, match=r"damaged.mp4: decord cannot read it, got "):
        read_frames(video, [1.15], decoder="decord")
    assert capfd.readouterr().err == ""
    with pytest.raises(SumlError, match=r"damaged.mp4: ends after 1 s, got InvalidDataError"):
        read_frames(video, [1.15])
    assert read_frames(video, [1.65], decoder="decord").times_s == pytest.approx([1.6])


def test_frames_are_scaled_as_pyav_scales_them(make_video):
    video = make_video("video.mp4")
    mine, theirs = (read_frames(video, [1.0, 2.0], short_side=20, decoder=d) for d in DECODERS)
    assert mine.pixels.shape == theirs.pixels.shape == (2, 20, 80, 3)
    assert np.abs(mine.pixels.astype(int) - theirs.pixels).mean() < 3


def test_a_time_outside_is_refused(make_video):
    with pytest.raises(SumlError, match=r"short.mp4: ends after 4 s"):
        read_frames(make_video("short.mp4"), [1.0, 4.1], decoder="decord")


@pytest.mark.parametrize("name", ["decord_rot90.mov", "decord_rot180.mov", "imageio_cockatoo.mp4"])
def test_real_files_are_read_as_pyav_reads_them_or_not_at_all(shared_data, name):
    video = shared_data / "videos/awkward" / name
    mine = read_frames(video, [0.0, 0.05], decoder="pyav")
    if "cockatoo" in name:  # decord seeks past what its first frame says, and finds a mess
        with pytest.raises(SumlError, match="decord cannot read it"):
            read_frames(video, [0.0, 0.05], decoder="decord")
        return
    theirs = read_frames(video, [0.0, 0.05], decoder="decord")
    assert np.array_equal(mine.pixels, theirs.pixels)
