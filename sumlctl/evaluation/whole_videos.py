"""Views of whole videos, for protocols that do not tell a model where the actions are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import polars as pl

from sumlctl.learning.data.clips import ClipSet
from sumlctl.learning.tasks import Task

_VIDEO = ("dataset", "video_id")


def videos(clip_set: ClipSet) -> ClipSet:
    """One clip per video, from its begin to its end, under the name of its first clip."""
    rows = clip_set.rows.unique(_VIDEO, keep="first", maintain_order=True)
    columns = rows.select("clip_id", "duration_s").iter_rows()
    known = {clip.clip_id: clip for clip in clip_set.clips}
    clips = [
        replace(known[clip_id], start_s=0.0, stop_s=duration, stored=())
        for clip_id, duration in columns
    ]
    return replace(clip_set, clips=clips, rows=rows)


def to_clips(predictions: pl.DataFrame, clip_set: ClipSet, tasks: Sequence[Task]) -> pl.DataFrame:
    """Gives each clip its video's scores, with its own labels.

    Args:
        predictions: of `videos(clip_set)`.
        clip_set: all clips.
        tasks: the heads' tasks.
    """
    of_video = clip_set.rows.select("clip_id", *_VIDEO)
    scored = predictions.join(of_video, "clip_id").drop("clip_id", "target")
    labels = pl.concat(
        of_video.with_columns(
            task=pl.lit(task.name),
            target=pl.Series(task.labels(clip_set.rows), dtype=pl.List(pl.Int32)),
        )
        for task in tasks
    )
    joined = labels.join(scored, [*_VIDEO, "task"], "inner", maintain_order="left")
    return joined.select(predictions.columns)
