"""Whole videos in place of their clips, and back."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from sumlctl.evaluation import whole_videos
from sumlctl.learning.data.clips import Clip, ClipSet
from sumlctl.learning.tasks import Block, Task

ACTION = Task("action", False, (Block("ce", "actions", ("a", "b", "c")),))


def test_each_video_is_seen_once_and_its_clips_share_what_was_seen():
    rows = pl.DataFrame(
        {
            "clip_id": ["v_0", "w_0", "v_1"],
            "dataset": ["ce"] * 3,
            "video_id": ["v", "w", "v"],
            "duration_s": [30.0, 12.0, 30.0],
            "actions": [[0], [2], [1]],
        }
    )
    clips = [Clip(c, Path(f"{c[0]}.mp4"), 5.0, 6.0, 10.0) for c in rows["clip_id"]]
    clip_set = ClipSet(clips, rows, rows, {}, {})
    videos = whole_videos.videos(clip_set)
    assert [(c.clip_id, c.path.name, c.start_s, c.stop_s) for c in videos.clips] == [
        ("v_0", "v.mp4", 0.0, 30.0),
        ("w_0", "w.mp4", 0.0, 12.0),
    ]
    predictions = pl.DataFrame(
        {
            "clip_id": ["v_0", "w_0"],
            "task": ["action"] * 2,
            "scores": [[0.1, 0.2, 0.3], [0.4, 0.5, 0.6]],
            "target": [[0], [2]],
            "n_views": [6, 6],
        },
        schema_overrides={"target": pl.List(pl.Int32)},
    )
    spread = whole_videos.to_clips(predictions, clip_set, [ACTION])
    assert spread["clip_id"].to_list() == ["v_0", "w_0", "v_1"]
    assert spread["scores"].to_list() == [[0.1, 0.2, 0.3], [0.4, 0.5, 0.6], [0.1, 0.2, 0.3]]
    assert spread["target"].to_list() == [[0], [2], [1]]
