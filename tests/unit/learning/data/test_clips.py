"""Windows of clips, and which clips can be learned from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sumlctl import config
from sumlctl.errors import SumlError
from sumlctl.learning.data import clips, how_read
from sumlctl.learning.data.clips import Clip
from tests.builders import write_clips
from tests.unit.learning import small_world


def clip(start_s: float = 10.0, stop_s: float = 20.0, fps: float = 10.0) -> Clip:
    return Clip("d/0", Path("v.mp4"), start_s, stop_s, fps)


def test_window_spreads_over_frames_times_stride():
    # 4 frames over 8 video frames: from the first to the eighth, as PySlowFast's linspace.
    first = clip().window(4, 2, position=0.0)
    np.testing.assert_allclose(first, 10.0 + np.array([0, 7 / 3, 14 / 3, 7]) / 10)
    last = clip().window(4, 2, position=1.0)
    np.testing.assert_allclose(last[-1], 19.9)


# 32 frames at stride 2 of a video's own rate last (64 - 1) / rate from the first to the last.
OWN_S = {24: 2.625, 29.97: 63 / 29.97, 47.95: 63 / 47.95, 60: 1.05, 90: 0.7}


@pytest.mark.parametrize("fps", OWN_S)
def test_window_lasts_as_long_at_a_rate_whatever_the_video(fps):
    own, at_60 = clip(fps=fps), replace(clip(fps=fps), rate=60.0)
    first, last = own.window(32, 2, 0.0)[[0, -1]]
    assert last - first == pytest.approx(OWN_S[fps], abs=1e-9)
    times = at_60.window(32, 2, 0.0)
    assert times[0] == 10.0
    assert times[-1] - times[0] == pytest.approx(1.05, abs=1e-9)  # 63 / 60
    assert times[1] - times[0] == pytest.approx(63 / 60 / 31, abs=1e-9)
    # The last of a clip's windows begins 64 / 60 s before its end.
    assert at_60.window(32, 2, 1.0)[0] == pytest.approx(20 - 64 / 60, abs=1e-9)


def test_window_at_a_rate_ends_with_the_clip():
    """One second holds 24 frames of the video: the last begins at 10.9583 and is repeated."""
    short = replace(clip(stop_s=11.0, fps=24.0), rate=60.0).window(32, 2, 0.5)
    assert short[0] == 10.0
    assert short[-1] == pytest.approx(11 - 1 / 24)


def test_window_at_the_published_rate_shows_the_published_pictures():
    """Picture k of a 60 Hz extraction of a 30 fps video shows frame k // 2."""
    times = replace(clip(start_s=0.0, fps=30.0), rate=60.0).window(8, 1, 0.0)
    assert np.floor(times * 30 + 1e-9).astype(int).tolist() == [0, 0, 1, 1, 2, 2, 3, 3]


def pipeline_with(tmp_path, *overrides):
    path = tmp_path / "p.toml"
    path.write_text("")
    return config.load(path, overrides)


CARD = """
title = "Ego"
viewpoints = ["fpv"]
homepage = "h"
licence = "l"
citation = "c"
reader = { name = "tabular" }
videos = { paths = ["{video_id}.mp4"], fps = { "P??_??" = 60, "P??_???" = 50 } }
"""
PUBLISHED = {"P01_01": 60.0, "P01_101": 50.0, "other": 0.0}


@pytest.mark.parametrize(
    ("rate", "expected"),
    [
        ("input.rate=0", dict.fromkeys(PUBLISHED, 0.0)),
        ("input.rate=30", dict.fromkeys(PUBLISHED, 30.0)),
        ("input.rate=published", PUBLISHED),
    ],
)
def test_load_counts_windows_at_the_pipelines_rate(workspace, tmp_path, capsys, rate, expected):
    """`published` is the configuration's rate of each video; others have their own."""
    how_read._say_once.cache_clear()
    workspace.manifests.mkdir(parents=True, exist_ok=True)
    (workspace.manifests / "ego.toml").write_text(CARD)
    (workspace.root / "videos").mkdir(parents=True, exist_ok=True)
    names = list(PUBLISHED)
    write_clips(
        workspace,
        "ego",
        names,
        video_id=names,
        start_s=[0.0] * 3,
        stop_s=[0.5] * 3,
        status=["ok"] * 3,
    )
    small_world.write_videos_table(
        workspace, "ego", workspace.root / "videos", 3, video_id=names, fps=[59.94, 50.0, 24.0]
    )
    pipeline = pipeline_with(tmp_path, rate)
    found = clips.load(workspace, ["ego"], "fpv", "train", pipeline=pipeline)
    assert {c.clip_id.partition("/")[2]: c.rate for c in found.clips} == {
        str(i): expected[name] for i, name in enumerate(names)
    }
    said = capsys.readouterr().err
    if rate == "input.rate=30":
        assert "windows of 3 of 3 clips (3 videos) are counted at 30 Hz, where" in said
    else:  # 59.94 is 60
        assert "counted at" not in said


def test_window_longer_than_the_clip_repeats_its_last_frame():
    short = clip(stop_s=10.5).window(8, 2, position=0.7)
    assert short[0] == 10.0
    np.testing.assert_allclose(short[3:], 10.4)


def test_a_clip_shorter_than_a_frame_still_has_one():
    assert clip(stop_s=10.01).window(3, 1, 0.5).tolist() == [10.0] * 3
    assert clip(stop_s=10.01).every_frame().tolist() == [10.0]


def test_every_frame():
    np.testing.assert_allclose(clip(stop_s=10.5).every_frame(), [10.0, 10.1, 10.2, 10.3, 10.4])


def test_clips_without_frames_are_left_out_and_counted(workspace, capsys):
    root = workspace.root / "elsewhere"
    root.mkdir(parents=True)
    status = ["ok"] * 4 + ["truncated", "out_of_range", "no_video", "ok"]
    write_clips(
        workspace,
        "ego",
        small_world.NAMES,
        video_id=[f"v{i}" for i in range(8)],
        start_s=[0.25] * 8,
        stop_s=[1.5] * 8,
        status=status,
    )
    gone = ["ok"] * 7 + ["unreadable"]
    small_world.write_videos_table(workspace, "ego", root, status=gone)
    found = clips.load(workspace, ["ego"], "fpv", "train")
    assert [c.clip_id for c in found.clips] == [f"ego/{i}" for i in range(5)]
    assert found.clips[2] == Clip("ego/2", root / "v2.mp4", 0.25, 1.0, 8.0)
    assert found.annotated.get_column("clip_id").to_list() == [f"ego/{i}" for i in range(8)]
    assert found.left_out == {"out_of_range": 1, "no_video": 2}
    assert "ego fpv train: clips left out: 2 no_video, 1 out_of_range" in capsys.readouterr().err


def test_a_videos_folder_that_is_gone(workspace):
    write_clips(workspace, "ego", ["a"], video_id=["v0"], status=["ok"])
    small_world.write_videos_table(workspace, "ego", workspace.root / "unplugged")
    with pytest.raises(SumlError, match="unplugged: videos folder is missing"):
        clips.load(workspace, ["ego"], "fpv", "train")


def test_no_clip_with_a_video(workspace):
    write_clips(workspace, "ego", ["a"], video_id=["v0"])
    small_world.write_videos_table(workspace, "ego", workspace.root)
    with pytest.raises(SumlError, match="no fpv clip of split train has a video, got 1 clips"):
        clips.load(workspace, ["ego"], "fpv", "train")
    with pytest.raises(SumlError, match="no fpv clips of split val, got splits train"):
        clips.load(workspace, ["ego"], "fpv", "val")


def test_load_with_decord_leaves_out_what_it_is_not_trusted_with(workspace, tmp_path, capsys):
    """A folder of JPEG files is no matter of decord's; a video never judged is looked at later."""
    pytest.importorskip("decord")
    how_read._warn_once.cache_clear()
    root = workspace.root / "videos"
    root.mkdir(parents=True)
    judged = ["trusted", "doubted", None, "absent"]
    names = [f"v{i}" for i in range(4)]
    write_clips(
        workspace,
        "ego",
        names,
        video_id=names,
        start_s=[0.0] * 4,
        stop_s=[0.5] * 4,
        status=["ok"] * 4,
    )
    small_world.write_videos_table(workspace, "ego", root, 4, decord=judged)
    found = clips.load(
        workspace, ["ego"], "fpv", "train", pipeline=pipeline_with(tmp_path, "decoder=decord")
    )
    assert [(c.clip_id, c.decoder, c.trusted) for c in found.clips] == [
        ("ego/0", "decord", True),
        ("ego/2", "decord", False),
        ("ego/3", "decord", False),
    ]
    assert found.left_out == {"no_video": 1}
    assert "decord is not trusted with 1 of 4 videos, which are left out (v1)" in (
        capsys.readouterr().err
    )
    assert len(clips.load(workspace, ["ego"], "fpv", "train")) == 4


def test_load_with_decord_where_it_is_not_installed(workspace, tmp_path, monkeypatch):
    write_clips(workspace, "ego", ["a"], status=["ok"])
    small_world.write_videos_table(workspace, "ego", tmp_path, 1, video_id=["v"])
    monkeypatch.setattr("sumlctl.video.read.find_spec", lambda name: None)
    with pytest.raises(SumlError, match="decoder: decord is not installed, got decord"):
        clips.load(
            workspace, ["ego"], "fpv", "train", pipeline=pipeline_with(tmp_path, "decoder=decord")
        )
