"""Folders of JPEG files as EPIC-KITCHENS and LEMMA distribute them."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from sumlctl.errors import SumlError
from sumlctl.video.probe import Probe, probe
from sumlctl.video.read import read_frames
from tests.unit.video.numbered import picture

EPIC, LEMMA = "frame_{:010d}.jpg", "img_{:05d}.jpg"


@pytest.fixture
def make_folder(tmp_path):
    """Writes a folder of numbered pictures; each file shows the number in its name."""

    def make(name=EPIC, numbers=range(1, 41)):
        folder = tmp_path / "P01_01"
        folder.mkdir()
        for number in numbers:
            Image.fromarray(picture(number)).save(folder / name.format(number), quality=95)
        return folder

    return make


@pytest.mark.parametrize(("name", "fps"), [(EPIC, 60), (EPIC, 50), (LEMMA, 24)])
def test_a_frame_is_on_screen_from_its_number_on(make_folder, numbers, name, fps):
    folder = make_folder(name)
    # File n (from 1) is shown from (n - 1) / fps; 12 / fps is where file 13 begins.
    times = [0.0, 0.5 / fps, 1 / fps, 12 / fps, 12.9 / fps, 39.9 / fps]
    frames = read_frames(folder, times, fps=fps)
    assert numbers(frames.pixels) == [1, 1, 2, 13, 13, 40]
    assert frames.times_s == pytest.approx([n / fps for n in (0, 0, 1, 12, 12, 39)])
    assert (frames.decoder, frames.pixels.dtype) == ("jpeg", np.uint8)


def test_every_frame_of_a_whole_second(make_folder, numbers):
    folder = make_folder(EPIC, range(1, 61))
    assert numbers(read_frames(folder, [i / 60 for i in range(60)], fps=60).pixels) == [
        *range(1, 61)
    ]


def test_numbers_may_begin_with_zero_and_want_padding(make_folder, numbers):
    folder = make_folder("{}.jpg", range(12))
    assert numbers(read_frames(folder, [0.0, 1.1], fps=10).pixels) == [0, 11]


def test_frames_are_scaled_down(make_folder):
    folder = make_folder()
    assert read_frames(folder, [0.0], fps=60, short_side=16).pixels.shape == (1, 16, 64, 3)
    assert read_frames(folder, [0.0], fps=60, short_side=64).pixels.shape == (1, 32, 128, 3)


def test_the_rate_is_asked_for_and_not_confused(make_folder, numbers):
    folder = make_folder()
    with pytest.raises(SumlError, match=r"P01_01: a folder of frames has no rate.*\[videos\]"):
        read_frames(folder, [0.0])
    assert numbers(read_frames(folder, [0.5], fps=60).pixels) == [31]
    assert numbers(read_frames(folder, [0.5], fps=50).pixels) == [26]


@pytest.mark.parametrize(("time", "says"), [(-0.1, "before the first"), (0.7, "ends after 0.666")])
def test_a_time_outside_is_refused(make_folder, time, says):
    with pytest.raises(SumlError, match=says):
        read_frames(make_folder(), sorted([0.1, time]), fps=60)


def test_a_missing_frame_is_named_and_not_made_up(make_folder, numbers):
    folder = make_folder(EPIC, [*range(1, 20), *range(23, 41)])
    assert numbers(read_frames(folder, [18 / 60, 22 / 60], fps=60).pixels) == [19, 23]
    with pytest.raises(SumlError, match=r"frame_0000000020.jpg is missing"):
        read_frames(folder, [18 / 60, 19 / 60], fps=60)
    found = probe(folder, fps=60)
    assert (found.status, found.n_frames) == ("ok", 37)
    assert found.error == "3 frames are missing, the first is 20"
    assert found.duration_s == pytest.approx(40 / 60)


def test_frames_missing_at_the_begin_do_not_move_the_others(make_folder, numbers):
    folder = make_folder(LEMMA, range(5, 41))
    assert numbers(read_frames(folder, [4 / 24], fps=24).pixels) == [5]
    with pytest.raises(SumlError, match=r"img_00001.jpg is missing"):
        read_frames(folder, [0.0], fps=24)


@pytest.mark.parametrize("content", [b"", b"no picture", "half"])
def test_a_broken_file_is_named(make_folder, content):
    folder = make_folder()
    broken = folder / EPIC.format(7)
    broken.write_bytes(broken.read_bytes()[:600] if content == "half" else content)
    assert read_frames(folder, [0.0], fps=60).times_s == [0.0]
    with pytest.raises(SumlError, match=r"frame_0000000007.jpg cannot be read"):
        read_frames(folder, [0.0, 0.1], fps=60)


def test_a_frame_of_another_size_is_refused(make_folder):
    folder = make_folder()
    Image.new("RGB", (64, 64)).save(folder / EPIC.format(40))
    with pytest.raises(SumlError, match=r"frame_0000000040.jpg is of another size than 128x32"):
        read_frames(folder, [39 / 60], fps=60)
    assert "another size" in probe(folder, fps=60).error


def test_other_files_do_not_matter_but_another_series_does(make_folder, numbers):
    folder = make_folder()
    (folder / "notes.txt").write_text("30 fps")
    (folder / "._frame_0000000001.jpg").write_bytes(b"left by a Mac")
    (folder / "u").mkdir()
    assert numbers(read_frames(folder, [0.0], fps=60).pixels) == [1]
    Image.new("RGB", (8, 8)).save(folder / "thumbnail_1.jpg")
    with pytest.raises(SumlError, match=r"not one series .* 40 of frame_N.jpg and 1 of thumb"):
        read_frames(folder, [0.0], fps=60)


def test_grey_pictures_are_rgb(tmp_path):
    Image.new("L", (8, 8), 99).save(tmp_path / "img_00001.jpg")
    assert read_frames(tmp_path, [0.0], fps=24).pixels.tolist() == [[[[99] * 3] * 8] * 8]


def test_a_probe_describes_the_folder(make_folder):
    folder = make_folder()
    assert probe(folder, fps=50) == Probe(
        "ok",
        container="image2",
        codec="mjpeg",
        width=128,
        height=32,
        rotation=0,
        mirrored=False,
        fps=50,
        n_frames=40,
        duration_s=0.8,
        mtime_ns=folder.stat().st_mtime_ns,
        decoder="jpeg",
        start_s=0.0,
    )


def test_a_probe_says_what_is_wrong_with_a_folder(make_folder, tmp_path):
    folder = make_folder()
    assert "`fps` is not under [videos]" in probe(folder).error
    empty = tmp_path / "empty"
    empty.mkdir()
    assert probe(empty, fps=60).error == "not one series of numbered JPEG files, got none"
    (folder / EPIC.format(1)).write_bytes(b"broken")
    assert probe(folder, fps=60).status == "unreadable"
    assert "frame_0000000001.jpg cannot be read" in probe(folder, fps=60).error
