"""Which picture is on screen at a time, where the file's clock is awkward; numbers by hand."""

from __future__ import annotations

import random

import pytest

from sumlctl.errors import SumlError
from sumlctl.video.decoders import DecodeError
from sumlctl.video.probe import probe
from sumlctl.video.read import read_frames
from tests.unit.video import clocks

X265 = {"x265-params": "log-level=none"}


def decoders(path):
    """The decoders that do not refuse a file."""
    for name in ("pyav", "decord"):
        try:
            read_frames(path, [0.0], decoder=name)
        except SumlError:
            continue
        yield name


def shuffled(path, times_s, numbers, decoder):
    """The number of the picture at each time, asked for one by one in random order."""
    found = {}
    for place in random.Random(0).sample(range(len(times_s)), len(times_s)):
        found[place] = numbers(read_frames(path, [times_s[place]], decoder=decoder).pixels)[0]
    return [found[place] for place in range(len(times_s))]


@pytest.mark.parametrize("name", ["late.mp4", "late.mov", "late.mkv", "late.ts"])
def test_read_frames_pictures_after_the_sound(tmp_path, numbers, name):
    """A player shows picture 10 after 2 s where pictures begin at 1 s: `ffmpeg -ss` did.

    AAC begins 21 ms early, which Matroska and transport streams pass on.
    """
    video = clocks.with_sound(tmp_path / name, pictures_s=1.0)
    found = probe(video, ask_decord=False)
    assert (found.status, found.error, found.n_frames) == ("ok", None, 40)
    assert found.start_s == pytest.approx(1.0, abs=0.022)
    assert found.duration_s == pytest.approx(5.0, abs=0.022)
    assert found.fps == pytest.approx(10, rel=1e-3)
    times_s = [0.0, 0.5, 0.95, *(1.07 + n / 10 for n in range(40))]
    wanted = [0, 0, 0, *range(40)]
    readers = [*decoders(video)]
    assert readers[0] == "pyav"
    for decoder in readers:
        assert shuffled(video, times_s, numbers, decoder) == wanted
        together = read_frames(video, times_s, decoder=decoder)
        assert numbers(together.pixels) == wanted
        assert together.times_s[0] == pytest.approx(found.start_s)
        assert together.times_s[-1] == pytest.approx(found.start_s + 3.9, abs=1e-3)
        for time_s in (-0.1, 5.1):
            with pytest.raises(SumlError, match=name):
                read_frames(video, [time_s], decoder=decoder)


@pytest.mark.parametrize("name", ["sound.mp4", "sound.mkv", "sound.ts"])
def test_read_frames_sound_after_the_pictures(tmp_path, numbers, name):
    video = clocks.with_sound(tmp_path / name, sound_s=1.0)
    found = probe(video, ask_decord=False)
    assert (found.start_s, found.duration_s) == (0, pytest.approx(4.0))
    times_s = [n / 10 + 0.05 for n in range(40)]
    for decoder in decoders(video):
        assert shuffled(video, times_s, numbers, decoder) == [*range(40)]


def test_probe_a_fragmented_file_is_not_held_to_its_first_fragment(tmp_path, numbers):
    """The header counts the 12 frames of the first fragment."""
    video = clocks.with_sound(tmp_path / "fragments.mp4", movflags="frag_keyframe")
    found = probe(video, ask_decord=False)
    assert (found.status, found.error, found.n_frames) == ("ok", None, 40)
    times_s = [found.start_s + n / 10 + 0.05 for n in range(40)]
    assert shuffled(video, times_s, numbers, "pyav") == [*range(40)]


JOINED = {
    "joined.ts": {},
    "joined.mts": {"container": "mpegts"},
    "joined.mpg": {"codec": "mpeg2video", "ticks": 25},
    "joined.mkv": {},
}


@pytest.mark.parametrize("name", JOINED)
def test_probe_a_clock_that_starts_anew_is_refused(tmp_path, name):
    found = probe(clocks.joined(tmp_path / name, **JOINED[name]))
    assert (found.status, found.n_frames) == ("unreadable", None)
    assert "its clock starts anew" in found.error


@pytest.mark.parametrize("name", JOINED)
def test_read_frames_never_gives_two_answers(tmp_path, numbers, name):
    """What is not refused is the same whatever was asked before; without an index, all is."""
    video = clocks.joined(tmp_path / name, **JOINED[name])
    ticks = JOINED[name].get("ticks", 10)
    answers: dict[int, set[int]] = {}
    for seed in range(3):
        for number in random.Random(seed).sample(range(40), 40):
            try:
                frames = read_frames(video, [(number + 0.5) / ticks])
            except DecodeError as error:
                assert "its clock starts anew" in str(error)
            else:
                answers.setdefault(number, set()).update(numbers(frames.pixels))
    assert all(found == {number} for number, found in answers.items())
    assert not answers or name == "joined.mkv"


EARLY = {  # packets left out -> frames that go before the first one that decodes, and its number
    "early.mp4": ({}, 5, 3, 8),
    "early.mkv": ({}, 5, 3, 8),
    "early.ts": ({}, 5, 3, 8),
    "hevc.mp4": ({"codec": "libx265", "options": X265}, 5, 7, 12),
    "vp9.webm": ({"codec": "libvpx-vp9"}, 5, 7, 12),
    "mpeg4.mp4": ({"codec": "mpeg4", "gop": 10}, 5, 7, 12),
    "mpeg2.ts": ({"codec": "mpeg2video", "ticks": 25}, 5, 7, 12),
}


@pytest.mark.parametrize("name", EARLY)
def test_probe_frames_before_the_first_keyframe(tmp_path, numbers, name):
    how, left_out, early, first = EARLY[name]
    video = clocks.without_first(tmp_path / name, left_out, **how)
    found = probe(video, ask_decord=False)
    assert found.status == "ok"
    assert found.n_frames == 40 - first
    assert f"{early} frames before the first that can be decoded" in found.error
    step_s = 1 / how.get("ticks", 10)
    times_s = [found.start_s + (n + 0.5) * step_s for n in range(found.n_frames)]
    for decoder in decoders(video):
        assert shuffled(video, times_s, numbers, decoder) == [*range(first, 40)]
    assert numbers(read_frames(video, [0.0]).pixels) == [first]


PARTS = {  # parts of an edit list -> what a player shows, a number for each tenth of a second
    "two.mp4": ([(1, 0.5), (1, 2.5)], [*range(5, 15), *range(25, 35)]),
    "swapped.mp4": ([(1, 2.5), (1, 0.5)], [*range(25, 35), *range(5, 15)]),
    "repeated.mp4": ([(1, 0.5), (1, 0.5)], [*range(5, 15), *range(5, 15)]),
    "begins_late.mp4": ([(0.5, None), (1, 0.5), (1, 2.5)], [*range(5, 15), *range(25, 35)]),
}


@pytest.mark.parametrize("name", PARTS)
def test_read_frames_edit_lists_of_several_parts(tmp_path, numbers, name):
    parts, wanted = PARTS[name]
    video = clocks.edited(tmp_path / name, parts)
    found = probe(video, ask_decord=False)
    assert (found.status, found.error, found.n_frames) == ("ok", None, 20)
    times_s = [n / 10 + 0.05 for n in range(20)]
    for decoder in decoders(video):
        assert shuffled(video, times_s, numbers, decoder) == wanted


MISPLACED = {
    "within_a_frame.mp4": ([(1, 0.55), (1, 2.57)], {}),
    "pause.mp4": ([(1, 0.5), (0.5, None), (1, 2.5)], {}),
    "hevc.mp4": ([(1, 0.5), (1, 2.5)], {"codec": "libx265", "options": X265}),
}


@pytest.mark.parametrize("name", MISPLACED)
def test_read_frames_edit_lists_that_ffmpeg_misplaces_are_refused(tmp_path, name):
    """FFmpeg drops a frame that a part begins within, fills pauses, and is late in HEVC."""
    parts, how = MISPLACED[name]
    video = clocks.edited(tmp_path / name, parts, **how)
    found = probe(video)
    assert found.status == "unreadable"
    assert "parts of its edit list" in found.error
    with pytest.raises(SumlError, match=f"{name}: .*parts of its edit list"):
        read_frames(video, [0.5])


@pytest.mark.parametrize(
    ("name", "rate"),
    [("fast.mp4", 1200), ("faster.mp4", 2400), ("fast.mov", 4000), ("fast.mkv", 960)],
)
def test_read_frames_more_than_a_thousand_pictures_a_second(make_video, numbers, name, rate):
    """Matroska keeps whole milliseconds: 960 a second is as fast as it can tell apart."""
    video = make_video(name, 40, ticks=rate)
    assert probe(video, ask_decord=False).n_frames == 40
    parts = (0.5,) if name.endswith("mkv") else (0.01, 0.5, 0.9)
    for decoder in decoders(video):
        for part in parts:
            times_s = [(n + part) / rate for n in range(39)]
            assert shuffled(video, times_s, numbers, decoder) == [*range(39)]
            assert numbers(read_frames(video, times_s, decoder=decoder).pixels) == [*range(39)]
