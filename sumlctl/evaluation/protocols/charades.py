"""Charades-Ego is scored by video: what its two protocols share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from sumlctl.evaluation.protocols import per_class as classes
from sumlctl.evaluation.protocols.context import Context
from sumlctl.evaluation.protocols.measures import Measure, mean_ap
from sumlctl.evaluation.protocols.scored import Scored, read


@dataclass(frozen=True)
class Videos:
    """Scores and labels of whole videos.

    Args:
        task: name of the task.
        scores: largest score of any clip of the video [V, C].
        targets: union of its clips' labels, multi-hot int8 [V, C].
        n_clips: how many clips they come from.
    """

    task: str
    scores: np.ndarray
    targets: np.ndarray
    n_clips: int


def videos(predictions: pl.DataFrame, context: Context | None, protocol: str) -> list[Videos]:
    """Joins the clips of each video, task by task.

    A clip's scores are the largest sigmoids of its views already. Labels of clips without
    prediction count where another clip of their video has one.

    Args:
        predictions: columns of the predictions table.
        context: the clips of the split; they tell which video a clip belongs to.
        protocol: who asks, for the error.

    Raises:
        SumlError: predictions that do not fit the context, or no clips table.
    """
    context = context or Context()
    clips = context.required_clips(f"protocol {protocol}")
    return [_joined(task, clips) for task in read(predictions, context).values()]


def means(found: Sequence[Videos]) -> list[Measure]:
    """The mean average precision of each task over its videos, before it is computed."""
    return [
        mean_ap(v.task, v.scores, v.targets, np.arange(len(v.scores)), len(v.scores), v.n_clips)
        for v in found
    ]


def each_class(found: Sequence[Videos]) -> list[dict[str, Any]]:
    """Average precision of each class over the videos: task, class, positives and value."""
    return [row for v in found for row in classes.average_precisions(v.task, v.scores, v.targets)]


def _joined(task: Scored, clips: pl.DataFrame) -> Videos:
    scores = np.full((task.videos, task.scores.shape[1]), -np.inf, dtype=np.float32)
    np.maximum.at(scores, task.video, task.scores)
    targets = np.zeros(scores.shape, dtype=np.int8)
    np.maximum.at(targets, task.video, task.multi_hot())
    if task.task == "action":
        numbers = pl.DataFrame({"video_id": task.rows["video_id"], "video": task.video}).unique()
        labels = clips.join(numbers, on="video_id").explode("actions").drop_nulls("actions")
        targets[labels["video"].to_numpy(), labels["actions"].to_numpy()] = 1
    return Videos(task.task, scores, targets, len(task))
