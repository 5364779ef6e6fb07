"""decord gives the right frames or refuses; what it gets wrong by itself is on record here."""

from __future__ import annotations

import os
import random
from pathlib import Path

import numpy as np
import pytest

from sumlctl.errors import SumlError
from sumlctl.video.decoders import DecodeError
from sumlctl.video.probe import probe
from sumlctl.video.read import DECODERS, read_frames
from tests.unit.video import awkward, numbered, several
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
    "ten_bits.mp4": {"pix_fmt": "yuv422p10le"},
}
DOUBTED = {
    "open_gop.mp4": ({"options": OPEN_GOP}, "open groups of pictures"),
    "no_leading.mp4": ({"options": awkward.OPEN_GOP}, "open groups of pictures"),
    "refreshed.mp4": (
        {"options": awkward.INTRA_REFRESH, "b_frames": 0, "gop": 1000},
        "open groups of pictures",
    ),
    "ten_bits.mkv": ({"pix_fmt": "yuv420p10le"}, "yuv420p10le"),
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
        with pytest.raises(SumlError, match="decord is not to be trusted with it, got 4:4:4"):
            read_frames(video, [0.0, 0.05], decoder="decord")
        return
    theirs = read_frames(video, [0.0, 0.05], decoder="decord")
    assert np.array_equal(mine.pixels, theirs.pixels)


def test_read_frames_of_a_sound_file_after_complaints_about_another(make_video, damage, numbers):
    """What decord's FFmpeg writes about a damaged file refuses that file alone, in any order."""
    steady = {"x264-params": "scenecut=0"}
    bad = make_video("bad.mp4", 40, gop=8, b_frames=0, paint=noisy, options=steady)
    damage(bad, 10)
    good = make_video("good.mp4")
    for _ in range(3):
        with pytest.raises(SumlError, match=r"bad.mp4: "):
            read_frames(bad, [1.15], decoder="decord", trusted=True)
        assert numbers(read_frames(good, [1.15], decoder="decord").pixels) == [11]


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="open files are counted in /proc")
def test_decord_decoder_that_refuses_leaves_no_file_open(make_video):
    """Upright pictures that look the same the other way up, of a turned video."""
    video = make_video("turned.mp4", **awkward.AWKWARD["turned_90.mp4"])
    before = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(DecodeError, match="look the same the other way up") as refusal:
        module.DecordDecoder(video)
    assert len(list(Path("/proc/self/fd").iterdir())) == before, refusal


def test_read_frames_keeps_a_file_open(make_video, numbers, monkeypatch):
    """Ten requests open the file once."""
    video, opened = make_video("video.mp4"), []

    class Counted(decord.VideoReader):
        def __init__(self, *args, **options):
            opened.append(args)
            super().__init__(*args, **options)

    monkeypatch.setattr(decord, "VideoReader", Counted)
    for n in range(10):
        assert numbers(read_frames(video, [n * 0.3], decoder="decord").pixels) == [n * 3]
    assert len(opened) == 1


def test_read_frames_leaves_no_thread_decoding(make_video, capfd):
    """What others write to stderr meanwhile is theirs, and arrives there."""
    video = make_video("video.mp4")
    with module._complaints() as lines:
        os.write(2, b"a line of another thread\n")
        os.write(2, b"[h264 @ 0x55aa] top block unavailable\n")
    assert [line.strip() for line in lines] == ["[h264 @ 0x55aa] top block unavailable"]
    assert capfd.readouterr().err == "a line of another thread\n"
    tasks = Path("/proc/self/task")
    if tasks.is_dir():
        read_frames(video, [0.0], decoder="decord")
        before = len(list(tasks.iterdir()))
        for n in range(1, 4):
            read_frames(video, [n / 10], decoder="decord")
        assert len(list(tasks.iterdir())) == before


@pytest.mark.parametrize("name", [*TRUSTED, *DOUBTED])
def test_probe_records_whether_decord_is_trusted(make_video, name):
    how = TRUSTED.get(name) or DOUBTED.get(name, ({},))[0]
    found = probe(make_video(name, **how))
    assert (found.decoder, found.decord) == ("pyav", "trusted" if name in TRUSTED else "doubted")
    assert probe(make_video(name, **how), ask_decord=False).decord is None


KINDS = [*awkward.AWKWARD, *(f"{name}.{kind}" for name in several.CASES for kind in ("mp4", "mkv"))]


@pytest.mark.parametrize("name", KINDS)
def test_read_frames_by_the_verdict_of_index(tmp_path, numbers, name):
    """What it is trusted with is read without another look at its pictures: all are right."""
    path = tmp_path / name
    if name in awkward.AWKWARD:
        numbered.write(path, 40, **awkward.AWKWARD[name])
    else:
        several.write(path, several.CASES[path.stem])
    trusted = probe(path).decord == "trusted"
    found, hidden = {}, awkward.HIDDEN.get(name, 0)
    for number in random.Random(0).sample(range(40 - hidden), 20):
        try:
            frames = read_frames(path, [number / 10 + 0.05], decoder="decord", trusted=trusted)
        except DecodeError as error:
            upside = "look the same the other way up" in str(error)  # so they do here
            assert upside or not trusted
        else:
            assert trusted
            found[number] = numbers(frames.pixels)[0] - hidden
    assert found == {number: number for number in found}


def test_probe_of_videos_with_4_4_4_chroma(make_video):
    """FFmpeg decodes these by the x264 version in the first frame, which decord seeks past."""
    found = probe(make_video("full_chroma.mp4", pix_fmt="yuv444p"))
    assert (found.status, found.decord) == ("ok", "doubted")


@pytest.mark.parametrize("seed", range(2))
def test_real_files_forced_to_decord_in_any_order(shared_data, seed):
    """No frame is wrong: the trusted give PyAV's frames, all else is refused, after any other."""
    files = sorted(path for path in (shared_data / "videos").rglob("*") if path.is_file())
    random.Random(seed).shuffle(files)
    read, refused = set(), set()
    for path in files:
        found = probe(path)
        if found.status != "ok":
            continue
        middle = found.duration_s / 2
        times = [middle + i / found.fps for i in range(3) if middle + i / found.fps < middle * 2]
        try:
            mine = read_frames(path, times, short_side=128, decoder="decord")
        except DecodeError:
            refused.add(path.name)
            assert found.decord == "doubted", path.name
            continue
        read.add(path.name)
        assert found.decord == "trusted", path.name
        theirs = read_frames(path, times, short_side=128, decoder="pyav")
        assert mine.times_s == pytest.approx(theirs.times_s, abs=0.002), path.name
        assert np.abs(mine.pixels.astype(int) - theirs.pixels).mean() < 3, path.name
    assert len(read) >= 29
    several_streams = "torchcodec_nasa_13013.mp4"
    assert {"imageio_cockatoo.mp4", "decord_corrupted.mp4", several_streams} <= refused
