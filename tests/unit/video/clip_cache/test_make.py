"""What is stored is what the original shows: by every timestamp, by eye, and by PSNR."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction

import av
import numpy as np
import pytest

from sumlctl.datasets.render import PLAIN, Footage, write_mp4
from sumlctl.datasets.world import Action, Video
from sumlctl.datasets.world import Segment as Scene
from sumlctl.errors import SumlError
from sumlctl.video.clip_cache import manifest
from sumlctl.video.clip_cache.encode import EncodeSettings
from sumlctl.video.clip_cache.make import Job, Made, make, try_out
from sumlctl.video.clip_cache.spans import Span
from sumlctl.video.clip_cache.stored import Segment, read_stored
from sumlctl.video.probe import probe
from sumlctl.video.read import read_frames
from tests.unit.video import clocks
from tests.unit.video.awkward import AWKWARD, lying
from tests.unit.video.numbered import noisy

UNEVEN = [0, 1, 2, 9, 10, 30, 31, 32, 40, 70, 71, 73, 80, 81, 99, 100, 120, 121, 122, 150]
VIDEOS = {
    "steady.mp4": {},
    "milliseconds.mkv": {"ticks": 1000, "stamps": [round(i * 1000 / 60) for i in range(40)]},
    "ntsc.mp4": {"ticks": 30000, "stamps": [1001 * i for i in range(40)]},
    "uneven.mp4": {"n": 20, "stamps": UNEVEN},
    **{name: how for name, how in AWKWARD.items() if how and "\n" not in name},
}


@pytest.fixture
def store(tmp_path):
    """Makes a file of a store from a video's milliseconds."""

    def of(video, start_ms, stop_ms, settings=None):
        target = tmp_path / "store" / f"{video.name}.{start_ms}.mp4"
        job = Job(video, Span(start_ms, stop_ms), settings or EncodeSettings(256, 22), target)
        made = Made(**make(job))
        span = job.span
        ends = made.first_tick, made.last_tick, Fraction(made.tick_num, made.tick_den)
        return Segment(target, span.start_s, span.stop_s, *ends), made

    return of


@pytest.mark.parametrize("name", VIDEOS)
def test_the_same_frames_are_on_screen_at_any_time(make_video, numbers, store, name):
    video = make_video(name, **VIDEOS[name])
    duration_s = probe(video, ask_decord=False).duration_s
    cut_ms = round(duration_s * 400)
    segments = [
        store(video, start, stop)[0]
        for start, stop in ((0, cut_ms), (cut_ms, math.ceil(duration_s * 1000)))
    ]
    last_s = duration_s - 0.002
    for count in (1, 2, 7, 23, 90):
        times_s = np.linspace(0, last_s, count).tolist()
        original, stored = read_frames(video, times_s), read_stored(segments, times_s)
        assert stored.times_s.tolist() == original.times_s.tolist()
        assert numbers(stored.pixels) == numbers(original.pixels)
    rng = np.random.default_rng(0)
    for _ in range(8):
        times_s = np.sort(rng.uniform(0, last_s, 4)).tolist()
        original, stored = read_frames(video, times_s), read_stored(segments, times_s)
        assert stored.times_s.tolist() == original.times_s.tolist()
        assert numbers(stored.pixels) == numbers(original.pixels)


def test_a_stretch_begins_with_the_frame_that_is_on_screen(make_video, numbers, store):
    segment, made = store(make_video("video.mp4"), 1250, 2010)
    tick = Fraction(made.tick_num, made.tick_den)
    assert (made.first_tick * tick, made.last_tick * tick) == (
        Fraction(12, 10),
        Fraction(20, 10),
    )
    assert made.n_frames == 9
    frames = read_stored([segment], [1.25, 1.3, 2.01])
    assert numbers(frames.pixels) == [12, 13, 20]
    for time_s in (1.2, 2.02):
        with pytest.raises(SumlError, match="time outside the stored stretch"):
            read_stored([segment], [time_s])


def test_groups_are_closed_and_nothing_refers_to_most_pictures(make_video, store):
    """Told by the units themselves (H.264, 7.4.1): nal_ref_idc and nal_unit_type."""
    segment, _ = store(make_video("video.mp4", b_frames=0), 0, 4000)
    kinds = []
    with av.open(str(segment.path)) as container:
        for packet in container.demux(video=0):
            data, at = bytes(packet), 0
            while at < len(data):
                if data[at + 4] & 31 in {1, 5}:
                    kinds.append("I" if data[at + 4] & 31 == 5 else "Pb"[data[at + 4] >> 5 == 0])
                at += 4 + int.from_bytes(data[at : at + 4], "big")
    assert "".join(kinds).startswith("IPbbbPbbb" * 4)


def test_what_else_is_in_memory_does_not_show_in_a_file(tmp_path):
    """x264's macroblock tree reads what it has not written where lines are no multiple of 16."""
    rng = np.random.default_rng(0)
    segment = Scene(Action("take", "tomato"), 0.5, 2.5, "")
    footage = Footage(Video("x", "X01", "train", (segment,), 3.0), "fpv", (96, 72), 12, 0, PLAIN)
    write_mp4(tmp_path / "x.mp4", footage.frames(), (96, 72), 12)
    job = Job(tmp_path / "x.mp4", Span(0, 3000), EncodeSettings(256, 22), tmp_path / "stored.mp4")
    contents = set()
    for _ in range(8):
        junk = [rng.integers(0, 256, n, dtype=np.uint8) for n in rng.integers(1_000, 3_000_000, 60)]
        del junk
        make(job)
        contents.add(job.target.read_bytes())
    assert len(contents) == 1


def test_a_large_picture_is_scaled_and_turned_upright(make_video, numbers, store):
    video = make_video("turned.mp4", paint=lying(90), rotation=90)  # 128 x 32 upright
    _, made = store(video, 0, 2000, EncodeSettings(16, 22))
    assert (made.width, made.height) == (64, 16)
    segment, made = store(video, 0, 2000)
    assert (made.width, made.height) == (128, 32)
    assert numbers(read_stored([segment], [1.05]).pixels) == [10]


def test_psnr_is_that_of_the_pictures_handed_out(make_video, store):
    video = make_video("noisy.mp4", paint=noisy)
    for crf in (10, 40):
        segment, made = store(video, 0, 4000, EncodeSettings(256, crf))
        times_s = [i / 10 + 0.05 for i in range(40)]
        original, stored = read_frames(video, times_s), read_stored([segment], times_s)
        mse = np.mean((original.pixels.astype(float) - stored.pixels) ** 2)
        assert made.psnr_db == pytest.approx(10 * math.log10(255**2 / mse), abs=0.7)
    assert made.size_bytes == segment.path.stat().st_size


def test_a_file_that_is_no_video_is_not_stored(tmp_path):
    page = tmp_path / "page.mp4"
    page.write_bytes(b"<html>404</html>")
    with pytest.raises(SumlError, match=r"page\.mp4: cannot be read, got InvalidDataError"):
        make(Job(page, Span(0, 1000), EncodeSettings(256, 22), tmp_path / "store" / "x.mp4"))


def test_what_cannot_be_read_to_its_end_is_not_stored(make_video, damage, tmp_path):
    steady = {"x264-params": "scenecut=0"}
    video = make_video("damaged.mp4", b_frames=0, paint=noisy, options=steady)
    damage(video, 20)
    target = tmp_path / "store" / "x.mp4"
    with pytest.raises(SumlError, match=r"damaged\.mp4: ends after 2 s, got InvalidDataError"):
        make(Job(video, Span(1500, 3000), EncodeSettings(256, 22), target))
    with pytest.raises(SumlError, match=r"damaged\.mp4: ends after 4 s, got the end of the file"):
        make(Job(video, Span(3700, 4500), EncodeSettings(256, 22), target))
    assert not list(target.parent.glob("*"))


def test_a_trial_writes_nothing_and_costs_the_same(make_video, store, tmp_path):
    video = make_video("video.mp4", paint=noisy)
    cost = try_out(Job(video, Span(0, 4000), EncodeSettings(256, 22), tmp_path / "trial" / "x.mp4"))
    _, made = store(video, 0, 4000)
    assert (cost.n_frames, cost.size_bytes) == (made.n_frames, made.size_bytes)
    assert cost.work_s > 0
    assert not (tmp_path / "trial").exists()


@pytest.mark.parametrize("name", ["late.mp4", "late.mkv"])
def test_read_stored_pictures_after_the_sound(tmp_path, numbers, store, name):
    """Files of the store count from the first picture, as those made before there was an offset."""
    video = clocks.with_sound(tmp_path / name, pictures_s=1.0)
    offset_s = probe(video, ask_decord=False).start_s
    segments = [
        replace(store(video, *span)[0], offset_s=offset_s) for span in ((0, 2_000), (2_000, 4_000))
    ]
    times_s = [0.0, 0.9, *(1.07 + n / 10 for n in range(39))]
    original, stored = read_frames(video, times_s), read_stored(segments, times_s)
    assert numbers(stored.pixels) == numbers(original.pixels) == [0, 0, *range(39)]
    assert stored.times_s == pytest.approx(original.times_s, abs=1e-9)
    for time_s in (-0.1, 5.2):
        with pytest.raises(SumlError, match="outside the stored stretch"):
            read_stored(segments, [time_s])


def test_contents_hold_clips_by_the_time_of_the_file(tmp_path):
    """A clip of 1.5 to 2 s lies in what is kept from 0 to 1 s of pictures that begin at 1 s."""
    row = {"video_id": "v", "file": "v.mp4", "start_s": 0.0, "stop_s": 1.0, "settings": "x"}
    row |= {"video_size_bytes": 1, "video_mtime_ns": 2, "first_tick": 0, "last_tick": 9}
    row |= {"tick_num": 1, "tick_den": 10, "n_frames": 10, "width": 4, "height": 4}
    row |= {"size_bytes": 0, "psnr_db": 50.0}
    (tmp_path / "v.mp4").touch()
    manifest.write(tmp_path / "segments.parquet", [row], {}, {})
    held = manifest.Contents(
        tmp_path / "segments.parquet", {"v": (1, 2)}, offsets_s={"v": 1.0}
    ).holding
    assert [segment.offset_s for segment in held("v", 1.5, 2.0)] == [1.0]
    assert held("v", 0.0, 2.0) and not held("v", 1.5, 2.5)
