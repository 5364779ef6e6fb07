"""Windows of clips, and which clips can be learned from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sumlctl.errors import SumlError
from sumlctl.learning import clips
from sumlctl.learning.clips import Clip
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
